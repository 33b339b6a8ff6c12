// SPDX-License-Identifier: Apache-2.0
// The structure of a configuration text: members, arrays, maps, strings. One pass, recursive, as deep as CONF_DEPTH_MAX allows.
// What a word means is conf_word's; files and variables are conf's.
#include <strings.h>

#include "codec/conf_internal.h"

static int read_members(struct conf_parser *parser, const struct conf_scope *scope, struct conf_place opened, bool top);
static int end_top(struct conf_parser *parser);
static int read_member(struct conf_parser *parser, const struct conf_scope *scope, bool top);
static int read_name(struct conf_parser *parser, struct bytes *ret_name, bool *ret_quoted);
static int read_include(struct conf_parser *parser, const struct conf_scope *scope, struct conf_place place);
static int skip_to_value(struct conf_parser *parser, bool top);
static int read_value_of(struct conf_parser *parser, const struct conf_scope *scope, struct bytes name,
                         struct conf_value *value);
static bool is_secret(struct bytes name);
static int read_value(struct conf_parser *parser, const struct conf_scope *scope, struct conf_value *value);
static int read_map(struct conf_parser *parser, const struct conf_scope *scope, struct conf_value *value);
static int read_array(struct conf_parser *parser, const struct conf_scope *scope, struct conf_value *value);
static int read_word(struct conf_parser *parser, const struct conf_scope *scope, struct conf_value *value);
static int use_variable(struct conf_parser *parser, const struct conf_scope *scope, struct bytes name,
                        struct conf_value *value);
static int end_element(struct conf_parser *parser, char closing);
static int enter(struct conf_parser *parser);
static void leave(struct conf_parser *parser);

static struct conf_parser begin(struct conf_reader *reader, const char *file, struct bytes text)
{
    struct conf_parser parser = {.reader = reader, .text = text, .here = {.file = file, .line = 1, .column = 1}};
    if (text.len == 0)
        parser.text = BYTES(""); // an empty file has no memory
    if (bytes_starts_with(text, BYTES("\xef\xbb\xbf")))
        parser.at = 3; // the byte order mark is no character of the text
    return parser;
}

// Bytes of the blank that begins here: ASCII's, and the wide ones that come from web pages; 0: none.
static size_t blank_size(const struct conf_parser *parser)
{
    static const char *const wide[] = {"\xc2\xa0",     "\xc2\x85",     "\xe2\x80\xa8",
                                       "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe3\x80\x80"};
    char c = conf_peek(parser);
    if (c == ' ' || (c >= '\t' && c <= '\r'))
        return 1;
    for (size_t i = 0; (unsigned char)c >= 0x80 && i < sizeof(wide) / sizeof(wide[0]); i++) {
        if (conf_follows(parser, bytes_from_string(wide[i])))
            return strlen(wide[i]);
    }
    return 0;
}

// Also over line ends, and comments if they may stand here. True when there was a line's end.
static bool skip_blanks(struct conf_parser *parser, bool comments)
{
    uint32_t line = parser->here.line;
    bool returned = false;
    for (;;) {
        size_t size = blank_size(parser);
        returned |= size && conf_peek(parser) == '\r';
        for (size_t i = 0; i < size; i++)
            conf_step(parser);
        bool comment = comments && (conf_peek(parser) == '#' || conf_follows(parser, BYTES("//")));
        while (comment && !conf_at_end(parser) && conf_peek(parser) != '\n' && conf_peek(parser) != '\r')
            conf_step(parser);
        if (size == 0 && !comment)
            return returned || parser->here.line != line;
    }
}

int conf_parser_read(struct conf_reader *reader, const char *file, struct bytes text, struct conf_value *map)
{
    struct conf_parser parser = begin(reader, file, text);
    struct conf_scope scope = {map, NULL};
    const char *nul = text.len ? memchr(text.ptr, '\0', text.len) : NULL;
    while (nul && parser.text.ptr + parser.at < nul)
        conf_step(&parser);
    if (nul)
        return conf_fail(reader, parser.here, "a NUL byte; is this a text file?");
    return read_members(&parser, &scope, parser.here, true);
}

int conf_parser_read_value(struct conf_reader *reader, const char *file, struct bytes text,
                           struct conf_value *ret_value)
{
    struct conf_parser parser = begin(reader, file, text);
    struct conf_value value = {.type = CONF_STRING, .place = parser.here, .text = BYTES("")};
    skip_blanks(&parser, false);
    if (!conf_at_end(&parser)) {
        int error = read_value(&parser, NULL, &value);
        if (error)
            return error;
    }
    skip_blanks(&parser, true);
    if (!conf_at_end(&parser))
        return conf_fail(reader, parser.here,
                         "one value is expected, and more follows it; quote it if it is one string");
    *ret_value = value;
    return 0;
}

// Until '}', which is taken; at the top until the end.
static int read_members(struct conf_parser *parser, const struct conf_scope *scope, struct conf_place opened, bool top)
{
    for (;;) {
        skip_blanks(parser, true);
        if (conf_at_end(parser) && top && !parser->wrapped)
            return 0;
        if (conf_at_end(parser))
            return conf_fail(parser->reader, opened, "this '{' is never closed with '}'");
        if (conf_peek(parser) == '}' && top)
            return end_top(parser);
        if (conf_peek(parser) == '}') {
            conf_step(parser);
            return 0;
        }
        int error = 0;
        if (top && scope->map->first == NULL && conf_peek(parser) == '{') {
            parser->wrapped++;
            opened = parser->here;
            conf_step(parser);
        } else {
            error = read_member(parser, scope, top);
        }
        if (error)
            return error;
    }
}

// Behind the '}' that ends a text within braces only more of them may follow. nats-server also takes one too many.
static int end_top(struct conf_parser *parser)
{
    unsigned closed = 0;
    while (conf_peek(parser) == '}' && closed <= parser->wrapped) {
        conf_step(parser);
        closed++;
        skip_blanks(parser, true);
    }
    if (!conf_at_end(parser))
        return conf_fail(parser->reader, parser->here, "something follows the '}' that ends the configuration");
    if (closed < parser->wrapped)
        return conf_fail(parser->reader, parser->here, "a '}' is missing at the end");
    return 0;
}

static int read_member(struct conf_parser *parser, const struct conf_scope *scope, bool top)
{
    struct conf_place place = parser->here;
    struct bytes name, kept;
    bool quoted;
    int error = read_name(parser, &name, &quoted);
    if (error)
        return error;
    if (!quoted && name.len == 7 && strncasecmp(name.ptr, "include", 7) == 0 && blank_size(parser)) {
        error = read_include(parser, scope, place);
    } else {
        struct conf_value value;
        error = conf_copy(parser->reader, place, name, &kept);
        if (!error)
            error = skip_to_value(parser, top);
        if (!error)
            error = read_value_of(parser, scope, name, &value);
        if (!error)
            error = conf_put(parser->reader, scope->map, kept, place, &value);
    }
    return error ? error : end_element(parser, '}');
}

// A name without quotes ends at a blank, '=' or ':'; everything else may be part of it.
static int read_name(struct conf_parser *parser, struct bytes *ret_name, bool *ret_quoted)
{
    struct conf_place place = parser->here;
    char quote = conf_peek(parser);
    *ret_quoted = quote == '"' || quote == '\'';
    if (strchr("=:,;]", quote))
        return conf_fail(parser->reader, place, "a key is expected here");
    if (*ret_quoted)
        conf_step(parser);
    size_t begin_at = parser->at;
    while (!conf_at_end(parser) &&
           (*ret_quoted ? conf_peek(parser) != quote
                        : blank_size(parser) == 0 && conf_peek(parser) != '=' && conf_peek(parser) != ':'))
        conf_step(parser);
    *ret_name = bytes_make(parser->text.ptr + begin_at, parser->at - begin_at);
    if (!*ret_quoted && ret_name->len > 1 && ret_name->ptr[ret_name->len - 1] == '{')
        return conf_fail(parser->reader, place, "a blank belongs between this key and its '{'");
    if (!*ret_quoted)
        return 0;
    if (conf_at_end(parser))
        return conf_fail(parser->reader, place, "this quoted key is never closed");
    conf_step(parser);
    return 0;
}

static int read_include(struct conf_parser *parser, const struct conf_scope *scope, struct conf_place place)
{
    skip_blanks(parser, false);
    char c = conf_peek(parser);
    struct conf_value path = {.type = CONF_STRING, .place = parser->here};
    if (c == '\0' || strchr("[{(-\\", c) || (c >= '0' && c <= '9'))
        return conf_fail(parser->reader, parser->here, "include needs the name of a file; quote it");
    if (c == '"' || c == '\'') {
        // No escapes in the name of a file.
        conf_step(parser);
        size_t begin_at = parser->at;
        while (!conf_at_end(parser) && conf_peek(parser) != c)
            conf_step(parser);
        path.text = bytes_make(parser->text.ptr + begin_at, parser->at - begin_at);
        if (conf_at_end(parser))
            return conf_fail(parser->reader, path.place, "this quoted name is never closed");
        conf_step(parser);
    } else {
        size_t begin_at = parser->at;
        while (!conf_at_end(parser) && blank_size(parser) == 0 && !strchr(";}'", conf_peek(parser)))
            conf_step(parser);
        path.text = bytes_make(parser->text.ptr + begin_at, parser->at - begin_at);
        if (conf_peek(parser) == '\'')
            conf_step(parser);
    }
    return conf_include(parser->reader, scope->map, path.text, place);
}

// Over the separator between a key and its value. What seems to be a key is not shown: it may be the rest of a secret that was
// not quoted.
static int skip_to_value(struct conf_parser *parser, bool top)
{
    skip_blanks(parser, false);
    if (conf_peek(parser) == '=' || conf_peek(parser) == ':') {
        struct conf_place separator = parser->here;
        conf_step(parser);
        if (skip_blanks(parser, false) && top && !parser->wrapped)
            return conf_fail(parser->reader, separator, "the value must begin on the line of its key");
    }
    if (conf_at_end(parser) || strchr("},;]", conf_peek(parser)))
        return conf_fail(parser->reader, parser->here, "the key before has no value");
    return 0;
}

static int read_value_of(struct conf_parser *parser, const struct conf_scope *scope, struct bytes name,
                         struct conf_value *value)
{
    bool outer = parser->reader->secret;
    parser->reader->secret = outer || is_secret(name);
    int error = read_value(parser, scope, value);
    parser->reader->secret = outer;
    return error;
}

// By its looks: a name of the user's own, of which the value becomes a variable, may hold a secret as well.
static bool is_secret(struct bytes name)
{
    static const char *const parts[] = {"pass", "token", "secret", "seed", "key"};
    for (size_t at = 0; at < name.len; at++) {
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            size_t len = strlen(parts[i]);
            if (len <= name.len - at && strncasecmp(name.ptr + at, parts[i], len) == 0)
                return true;
        }
    }
    return false;
}

static int read_value(struct conf_parser *parser, const struct conf_scope *scope, struct conf_value *value)
{
    *value = (struct conf_value){.type = CONF_STRING, .place = parser->here};
    int error = conf_count(parser->reader, parser->here, 1);
    if (error)
        return error;
    switch (conf_peek(parser)) {
    case '{': return read_map(parser, scope, value);
    case '[': return read_array(parser, scope, value);
    case '\'': return conf_string_read_single(parser, value);
    case '"': return conf_string_read_double(parser, value);
    case '(': return conf_string_read_block(parser, value);
    default: return read_word(parser, scope, value);
    }
}

static int read_map(struct conf_parser *parser, const struct conf_scope *scope, struct conf_value *value)
{
    struct conf_scope inner = {value, scope};
    value->type = CONF_MAP;
    int error = enter(parser);
    if (error)
        return error;
    conf_step(parser);
    error = read_members(parser, &inner, value->place, false);
    leave(parser);
    return error;
}

static int read_array(struct conf_parser *parser, const struct conf_scope *scope, struct conf_value *value)
{
    value->type = CONF_ARRAY;
    int error = enter(parser);
    if (error)
        return error;
    conf_step(parser);
    for (;;) {
        struct conf_value element;
        skip_blanks(parser, true);
        if (conf_at_end(parser))
            return conf_fail(parser->reader, value->place, "this '[' is never closed with ']'");
        if (conf_peek(parser) == ']')
            break;
        if (strchr(",;}", conf_peek(parser)))
            return conf_fail(parser->reader, parser->here, "a value or ']' is expected here");
        error = read_value(parser, scope, &element);
        if (!error)
            error = conf_push(parser->reader, value, &element);
        if (!error)
            error = end_element(parser, ']');
        if (error)
            return error;
    }
    conf_step(parser);
    leave(parser);
    return 0;
}

// An unquoted word, as nats-server reads it: a ' ends it too, and is dropped; but the first character behind digits, which says that
// it is no number, is taken as it is.
static int read_word(struct conf_parser *parser, const struct conf_scope *scope, struct conf_value *value)
{
    struct buffer content;
    buffer_init(&content, CONF_FILE_BYTES_MAX);
    bool escaped = false;
    int error = 0;
    bool digits = true;
    while (!error && !conf_at_end(parser) && !strchr(" \t\r\n,;]}", conf_peek(parser))) {
        bool as_it_is = digits && content.len > 0;
        digits &= conf_peek(parser) >= '0' && conf_peek(parser) <= '9';
        if (conf_peek(parser) == '\'' && !as_it_is) {
            break;
        } else if (conf_peek(parser) == '\\' && !as_it_is) {
            escaped = true;
            error = conf_string_read_escape(parser, &content);
        } else {
            error = buffer_append_char(&content, conf_peek(parser));
            conf_step(parser);
        }
    }
    if (!error && content.len == 0)
        error = conf_fail(parser->reader, parser->here, "a value is expected here");
    if (!error)
        error = conf_copy(parser->reader, value->place, buffer_bytes(&content), &value->text);
    buffer_deinit(&content);
    if (error)
        return error;
    if (conf_peek(parser) == '\'')
        conf_step(parser);
    if (escaped || conf_word_is_bcrypt(value->text))
        return 0;
    if (value->text.ptr[0] == '$')
        return use_variable(parser, scope, bytes_skip(value->text, 1), value);
    const char *wrong;
    if (conf_word_read(value->text, value, &wrong))
        return conf_fail(parser->reader, value->place, "%s", wrong);
    return 0;
}

static int use_variable(struct conf_parser *parser, const struct conf_scope *scope, struct bytes name,
                        struct conf_value *value)
{
    struct conf_place place = value->place;
    if (name.len == 0)
        return conf_fail(parser->reader, place, "the name of a variable is expected behind '$'");
    int error = conf_look_up(parser->reader, scope, name, place, value);
    value->place = place;
    return error;
}

// Behind a member or an element: a ',' or (a member's) ';', a line's end, or the closing bracket, which stays.
static int end_element(struct conf_parser *parser, char closing)
{
    bool ended = skip_blanks(parser, true);
    char c = conf_peek(parser);
    if (c == ',' || (c == ';' && closing == '}')) {
        conf_step(parser);
        while (closing == '}' && (skip_blanks(parser, true), conf_peek(parser) == ';'))
            conf_step(parser);
        return 0;
    }
    if (ended || c == closing || conf_at_end(parser))
        return 0;
    return conf_fail(parser->reader, parser->here,
                     "a ',', a new line or '%c' is expected here; quote a value with blanks", closing);
}

static int enter(struct conf_parser *parser)
{
    if (++parser->reader->depth <= CONF_DEPTH_MAX)
        return 0;
    return conf_fail(parser->reader, parser->here, "more than %d arrays and maps within each other", CONF_DEPTH_MAX);
}

static void leave(struct conf_parser *parser)
{
    parser->reader->depth--;
}
