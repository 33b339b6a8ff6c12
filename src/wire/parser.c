// SPDX-License-Identifier: Apache-2.0
// The parser works line by line: find the LF, recognise the verb, split the arguments; operations with a payload then
// wait until that is complete. State between calls is only the offsets of the current operation's arguments, so the
// caller may move its buffer. Nothing is copied and nothing is scanned twice.
//
// Whether the input comes in one piece or byte by byte, the operations and the error are the same (the fuzz target
// checks it); only an unknown verb is noticed as soon as it cannot become a known one.
#include "wire/parser.h"

#include "base/endian.h"
#include "base/must.h"
#include "base/number.h"

#define INFO_LINE_DEFAULT (64 * 1024)
#define VERB_LEN_MAX      7
#define ARGS_MAX          5

enum side_set {
    FROM_CLIENT = 1 << PARSER_SERVER,
    FROM_SERVER = 1 << PARSER_CLIENT,
    FROM_BOTH = FROM_CLIENT | FROM_SERVER,
};

enum style {
    STYLE_BARE,  // no arguments; nats-server ignores whatever follows up to the LF, and so do we
    STYLE_TEXT,  // the rest of the line, which may follow the verb directly
    STYLE_ARGS,  // words
    STYLE_SIZED, // words, the last one or two being sizes of the payload behind the line
};

struct verb {
    char name[VERB_LEN_MAX + 1];
    uint8_t len;
    uint8_t kind;
    uint8_t sides;
    uint8_t style;
    bool has_header;
};

// The frequent ones first.
static const struct verb VERBS[] = {
    {"PUB", 3, WIRE_PUB, FROM_CLIENT, STYLE_SIZED, false},
    {"MSG", 3, WIRE_MSG, FROM_SERVER, STYLE_SIZED, false},
    {"HPUB", 4, WIRE_PUB, FROM_CLIENT, STYLE_SIZED, true},
    {"HMSG", 4, WIRE_MSG, FROM_SERVER, STYLE_SIZED, true},
    {"SUB", 3, WIRE_SUB, FROM_CLIENT, STYLE_ARGS, false},
    {"UNSUB", 5, WIRE_UNSUB, FROM_CLIENT, STYLE_ARGS, false},
    {"PING", 4, WIRE_PING, FROM_BOTH, STYLE_BARE, false},
    {"PONG", 4, WIRE_PONG, FROM_BOTH, STYLE_BARE, false},
    {"+OK", 3, WIRE_PLUS_OK, FROM_BOTH, STYLE_BARE, false},
    {"CONNECT", 7, WIRE_CONNECT, FROM_CLIENT, STYLE_TEXT, false},
    {"INFO", 4, WIRE_INFO, FROM_BOTH, STYLE_TEXT, false},
    {"-ERR", 4, WIRE_MINUS_ERR, FROM_BOTH, STYLE_TEXT, false},
};
#define VERB_COUNT (sizeof(VERBS) / sizeof(VERBS[0]))

struct args {
    struct bytes word[ARGS_MAX];
    int count; // more than ARGS_MAX: too many
};

static bool memo_matches(const struct parser *parser, struct bytes input);
static bool memo_differs_in_subject(const struct parser *parser, const char *line);
static void memo_keep(struct parser *parser, struct bytes line);
static void memo_forget(struct parser *parser);
static int fail(struct parser *parser, enum wire_error error);
static int wait_for_line(struct parser *parser, struct bytes input, size_t searched);
static const struct verb *find_verb(const struct parser *parser, struct bytes line);
static bool starts_verb(const struct verb *verb, struct bytes line, size_t len);
static bool is_blank(char c);
static int parse_line(struct parser *parser, struct bytes line, struct wire_op *ret_op);
static void split_args(struct bytes text, struct args *ret_args);
static bool parts_words(char c);
static const char *word_end(const char *at, const char *end);
static uint64_t low_bytes(uint64_t eight);
static bool is_one_word(const char *at, size_t len);
static int parse_sub(struct parser *parser, const struct args *args, struct wire_op *ret_op);
static int parse_unsub(struct parser *parser, const struct args *args, struct wire_op *ret_op);
static int parse_sized(struct parser *parser, const struct verb *verb, const struct args *args, const char *start);
static int parse_sizes(struct parser *parser, bool has_header, const struct bytes *sizes);
static int take_payload(struct parser *parser, struct bytes *input, struct wire_op *ret_op);
static struct bytes trim(struct bytes text);
static struct bytes unquote(struct bytes text);

void parser_init(struct parser *parser, enum parser_side side, const struct parser_config *config)
{
    *parser = (struct parser){.side = (uint8_t)side};
    parser_set_limits(parser, config);
}

void parser_set_limits(struct parser *parser, const struct parser_config *config)
{
    struct parser_config limits = config ? *config : (struct parser_config){0};
    if (limits.control_line_max == 0)
        limits.control_line_max = PARSER_CONTROL_LINE_DEFAULT;
    if (limits.info_line_max == 0)
        limits.info_line_max = INFO_LINE_DEFAULT;
    if (limits.payload_max == 0)
        limits.payload_max = PARSER_PAYLOAD_DEFAULT;
    must(limits.control_line_max <= UINT32_MAX / 4 && limits.info_line_max <= UINT32_MAX / 4 &&
         limits.payload_max <= UINT32_MAX / 4);
    uint32_t line_max = limits.control_line_max;
    if (parser->side == PARSER_CLIENT && limits.info_line_max > line_max)
        line_max = limits.info_line_max;
    parser->config = limits;
    memo_forget(parser);
    parser->line_size_max = VERB_LEN_MAX + line_max + 2;
    parser->scanned = 0;
}

void parser_set_memo(struct parser *parser, struct parser_memo *memo)
{
    memo_forget(parser);
    parser->memo = memo;
    memo_forget(parser);
}

int parser_next(struct parser *parser, struct bytes *input, struct wire_op *ret_op)
{
    if (parser->error != WIRE_OK)
        return ERR_PROTOCOL;
    if (parser->in_payload)
        return take_payload(parser, input, ret_op);
    if (input->len == 0)
        return 0;
    if (memo_matches(parser, *input)) {
        parser->in_payload = true;
        return take_payload(parser, input, ret_op);
    }
    size_t search = input->len < parser->line_size_max ? input->len : parser->line_size_max;
    must(parser->scanned <= search);
    const char *lf = memchr(input->ptr + parser->scanned, '\n', search - parser->scanned);
    if (lf == NULL)
        return wait_for_line(parser, *input, search);
    parser->scanned = 0;
    size_t line_len = (size_t)(lf - input->ptr) + 1;
    int result = parse_line(parser, bytes_make(input->ptr, line_len), ret_op);
    if (result < 0)
        return result;
    if (parser->in_payload) {
        memo_keep(parser, bytes_make(input->ptr, line_len));
        return take_payload(parser, input, ret_op);
    }
    *input = bytes_skip(*input, line_len);
    return 1;
}

size_t parser_needed_bytes(const struct parser *parser)
{
    return parser->in_payload ? (size_t)parser->line_len + parser->total_len + 2 : 0;
}

size_t parser_size_max_bytes(const struct parser *parser)
{
    return (size_t)parser->line_size_max + parser->config.payload_max + 2;
}

enum wire_error parser_error(const struct parser *parser)
{
    return (enum wire_error)parser->error;
}

// What the line says still stands in the parser's fields.
static bool memo_matches(const struct parser *parser, struct bytes input)
{
    const struct parser_memo *memo = parser->memo;
    if (!memo || memo->owner != parser || parser->scanned != 0 || input.len < memo->len)
        return false;
    return bytes_equal(bytes_make(input.ptr, memo->len), bytes_make(memo->line, memo->len)) ||
           memo_differs_in_subject(parser, input.ptr);
}

// Who publishes to many subjects in turn sends a line that differs in nothing else, often not even in the subject's length.
static bool memo_differs_in_subject(const struct parser *parser, const char *line)
{
    const struct parser_memo *memo = parser->memo;
    size_t at = parser->subject_at, end = at + parser->subject_len;
    return memcmp(line, memo->line, at) == 0 && memcmp(line + end, memo->line + end, memo->len - end) == 0 &&
           is_one_word(line + at, parser->subject_len);
}

static void memo_keep(struct parser *parser, struct bytes line)
{
    struct parser_memo *memo = parser->memo;
    if (!memo)
        return;
    memo->owner = line.len <= sizeof(memo->line) ? parser : NULL;
    if (!memo->owner)
        return;
    memo->len = (uint32_t)line.len;
    memcpy(memo->line, line.ptr, line.len);
}

static void memo_forget(struct parser *parser)
{
    if (parser->memo && parser->memo->owner == parser)
        parser->memo->owner = NULL;
}

static int fail(struct parser *parser, enum wire_error error)
{
    parser->error = (uint16_t)error;
    return ERR_PROTOCOL;
}

// No LF in the first `searched` bytes: refuse now what can only be refused later.
static int wait_for_line(struct parser *parser, struct bytes input, size_t searched)
{
    bool known = false;
    for (size_t i = 0; i < VERB_COUNT && !known; i++) {
        const struct verb *verb = &VERBS[i];
        size_t len = input.len < verb->len ? input.len : verb->len;
        known = (verb->sides & (1 << parser->side)) && starts_verb(verb, input, len);
    }
    if (!known)
        return fail(parser, WIRE_UNKNOWN_OPERATION);
    if (searched == parser->line_size_max)
        return fail(parser, WIRE_MAX_CONTROL_LINE);
    parser->scanned = (uint32_t)searched;
    return 0;
}

static const struct verb *find_verb(const struct parser *parser, struct bytes line)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        const struct verb *verb = &VERBS[i];
        if (!(verb->sides & (1 << parser->side)) || line.len <= verb->len || !starts_verb(verb, line, verb->len))
            continue;
        bool needs_blank = verb->style == STYLE_ARGS || verb->style == STYLE_SIZED || verb->kind == WIRE_MINUS_ERR;
        return needs_blank && !is_blank(line.ptr[verb->len]) ? NULL : verb;
    }
    return NULL;
}

// Case-insensitive; '+' and '-' already have the bit set that makes a letter small.
static bool starts_verb(const struct verb *verb, struct bytes line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (line.ptr[i] != verb->name[i] && line.ptr[i] != (verb->name[i] | 0x20))
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

// `line` ends with its LF. Sets `*ret_op`, or in_payload when a payload is to follow.
static int parse_line(struct parser *parser, struct bytes line, struct wire_op *ret_op)
{
    const struct verb *verb = find_verb(parser, line);
    if (verb == NULL)
        return fail(parser, WIRE_UNKNOWN_OPERATION);
    struct bytes text = bytes_make(line.ptr + verb->len, line.len - verb->len - 1);
    if (text.len > 0 && text.ptr[text.len - 1] == '\r')
        text.len--;
    bool is_long = parser->side == PARSER_CLIENT && verb->style == STYLE_TEXT;
    if (text.len > (is_long ? parser->config.info_line_max : parser->config.control_line_max))
        return fail(parser, WIRE_MAX_CONTROL_LINE);
    if (verb->style == STYLE_SIZED) {
        struct args args;
        split_args(text, &args);
        parser->line_len = (uint32_t)line.len;
        return parse_sized(parser, verb, &args, line.ptr);
    }
    ret_op->kind = verb->kind;
    if (verb->style == STYLE_ARGS) {
        struct args args;
        split_args(text, &args);
        return verb->kind == WIRE_SUB ? parse_sub(parser, &args, ret_op) : parse_unsub(parser, &args, ret_op);
    }
    if (verb->style == STYLE_TEXT)
        ret_op->text = verb->kind == WIRE_MINUS_ERR ? unquote(trim(text)) : trim(text);
    return 0;
}

// A CR inside the line parts words too: it must not get into a subject that is sent to others.
// Not returned by value: copying what was just written in other sizes stalls longer than the splitting takes.
static void split_args(struct bytes text, struct args *ret_args)
{
    int count = 0;
    const char *at = text.ptr, *end = text.ptr + text.len;
    while (at < end) {
        if (parts_words(*at)) {
            at++;
            continue;
        }
        if (count == ARGS_MAX) {
            count++;
            break;
        }
        const char *word = at;
        at = word_end(at, end);
        ret_args->word[count].ptr = word;
        ret_args->word[count++].len = (size_t)(at - word);
    }
    ret_args->count = count;
}

static bool parts_words(char c)
{
    return is_blank(c) || c == '\r';
}

// Eight bytes at a time up to the first that is below '!', then one at a time, since other control characters belong to the word.
static const char *word_end(const char *at, const char *end)
{
    while (end - at >= 8) {
        uint64_t low = low_bytes(get_u64(at));
        if (low != 0) {
            at += __builtin_ctzll(low) / 8;
            break;
        }
        at += 8;
    }
    while (at < end && !parts_words(*at))
        at++;
    return at;
}

// Not zero if a byte is below '!', and the lowest bit set is in the first of those: subtracting borrows into its high bit, and it had
// none before.
static uint64_t low_bytes(uint64_t eight)
{
    return (eight - UINT64_C(0x2121212121212121)) & ~eight & UINT64_C(0x8080808080808080);
}

// Has no byte below '!': neither what parts words nor a line's end. It may say no where other control characters are.
static bool is_one_word(const char *at, size_t len)
{
    uint64_t low = 0;
    for (; len >= 8; at += 8, len -= 8)
        low |= low_bytes(get_u64(at));
    for (; len > 0; at++, len--)
        low |= (unsigned char)*at < '!';
    return low == 0;
}

static int parse_sub(struct parser *parser, const struct args *args, struct wire_op *ret_op)
{
    if (args->count != 2 && args->count != 3)
        return fail(parser, WIRE_PARSER_ERROR);
    ret_op->subject = args->word[0];
    ret_op->queue = args->count == 3 ? args->word[1] : bytes_make(NULL, 0);
    ret_op->sid = args->word[args->count - 1];
    return 0;
}

// A `max` that is no number means none, as in nats-server.
static int parse_unsub(struct parser *parser, const struct args *args, struct wire_op *ret_op)
{
    if (args->count != 1 && args->count != 2)
        return fail(parser, WIRE_PARSER_ERROR);
    ret_op->sid = args->word[0];
    ret_op->max = 0;
    if (args->count == 2 && number_parse_u64(args->word[1], UINT64_MAX, &ret_op->max) != 0)
        ret_op->max = 0;
    return 0;
}

// PUB subject [reply] size; MSG subject sid [reply] size; with a header two sizes.
static int parse_sized(struct parser *parser, const struct verb *verb, const struct args *args, const char *start)
{
    int leading = verb->kind == WIRE_MSG ? 2 : 1;
    int sizes = verb->has_header ? 2 : 1;
    int replies = args->count - leading - sizes;
    if (replies != 0 && replies != 1)
        return fail(parser, WIRE_PARSER_ERROR);
    int error = parse_sizes(parser, verb->has_header, &args->word[args->count - sizes]);
    if (error)
        return error;
    parser->kind = verb->kind;
    parser->has_header = verb->has_header;
    parser->subject_at = (uint32_t)(args->word[0].ptr - start);
    parser->subject_len = (uint32_t)args->word[0].len;
    if (leading == 2) {
        parser->sid_at = (uint32_t)(args->word[1].ptr - start);
        parser->sid_len = (uint32_t)args->word[1].len;
    }
    parser->reply_at = replies ? (uint32_t)(args->word[leading].ptr - start) : 0;
    parser->reply_len = replies ? (uint32_t)args->word[leading].len : 0;
    parser->in_payload = true;
    return 0;
}

static int parse_sizes(struct parser *parser, bool has_header, const struct bytes *sizes)
{
    uint64_t header_len = 0, total_len = 0;
    int error = number_parse_u64(sizes[has_header], parser->config.payload_max, &total_len);
    if (error)
        return fail(parser, error == ERR_TOO_BIG ? WIRE_MAX_PAYLOAD : WIRE_PARSER_ERROR);
    if (has_header && number_parse_u64(sizes[0], total_len, &header_len) != 0)
        return fail(parser, WIRE_PARSER_ERROR);
    parser->header_len = (uint32_t)header_len;
    parser->total_len = (uint32_t)total_len;
    return 0;
}

static int take_payload(struct parser *parser, struct bytes *input, struct wire_op *ret_op)
{
    const char *start = input->ptr;
    size_t end = (size_t)parser->line_len + parser->total_len;
    if (input->len > end && start[end] != '\r')
        return fail(parser, WIRE_UNKNOWN_OPERATION);
    if (input->len < end + 2)
        return 0;
    if (start[end + 1] != '\n')
        return fail(parser, WIRE_UNKNOWN_OPERATION);
    ret_op->kind = parser->kind;
    ret_op->has_header = parser->has_header;
    ret_op->subject = bytes_make(start + parser->subject_at, parser->subject_len);
    ret_op->reply = bytes_make(start + parser->reply_at, parser->reply_len);
    ret_op->header = bytes_make(start + parser->line_len, parser->header_len);
    ret_op->payload = bytes_make(start + parser->line_len + parser->header_len, parser->total_len - parser->header_len);
    if (parser->kind == WIRE_MSG)
        ret_op->sid = bytes_make(start + parser->sid_at, parser->sid_len);
    parser->in_payload = false;
    *input = bytes_skip(*input, end + 2);
    return 1;
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && is_blank(text.ptr[0]))
        text = bytes_skip(text, 1);
    while (text.len > 0 && (is_blank(text.ptr[text.len - 1]) || text.ptr[text.len - 1] == '\r'))
        text.len--;
    return text;
}

static struct bytes unquote(struct bytes text)
{
    if (text.len >= 2 && text.ptr[0] == '\'' && text.ptr[text.len - 1] == '\'')
        return bytes_make(text.ptr + 1, text.len - 2);
    return text;
}
