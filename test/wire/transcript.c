// SPDX-License-Identifier: Apache-2.0
#include "transcript.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/number.h"
#include "pattern.h"

// While a file is read.
struct reading {
    struct transcript *transcript;
    struct bytes rest; // behind the current line
    unsigned number;   // of the current line
    uint8_t players;   // of the lines that follow
    uint8_t head_players;
    char *message;
};

static int read_line(struct reading *reading, struct bytes line);
static int read_talk(struct reading *reading, struct bytes line, size_t mark);
static int read_payload(struct reading *reading, struct transcript_line *line, bool wanted);
static int read_directive(struct reading *reading, struct bytes line);
static int read_names(struct reading *reading, enum transcript_kind kind, struct bytes names);
static int read_let(struct reading *reading, struct bytes rest);
static int read_advance(struct reading *reading, struct bytes rest);
static int read_only(struct reading *reading, struct bytes rest);
static struct bytes take_config(struct reading *reading, struct bytes first);
static bool take_line(struct reading *reading, struct bytes *ret_line);
static struct bytes take_word(struct bytes *line);
static int find_name(struct reading *reading, struct bytes name, uint8_t *ret_conn);
static void add_section(struct reading *reading, struct bytes title);
static struct transcript_line *add_line(struct reading *reading, enum transcript_kind kind);
static int fail(struct reading *reading, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool change_one_byte(struct bytes text, struct buffer *storage, struct bytes *ret_text);
static size_t find_mark(struct bytes line);

int transcript_read(struct transcript *transcript, const char *path, struct bytes text,
                    char ret_message[TRANSCRIPT_MESSAGE_SIZE])
{
    *transcript = (struct transcript){.path = path, .content = mem_copy(text)};
    struct reading reading = {.transcript = transcript,
                              .rest = bytes_make(transcript->content, text.len),
                              .players = TRANSCRIPT_EVERYONE,
                              .head_players = TRANSCRIPT_EVERYONE,
                              .message = ret_message};
    struct bytes line;
    int error = 0;
    while (!error && take_line(&reading, &line))
        error = read_line(&reading, line);
    if (!error && transcript->section_count == 0)
        error = fail(&reading, "there is no section (== TITLE)");
    if (error)
        transcript_deinit(transcript);
    return error;
}

void transcript_deinit(struct transcript *transcript)
{
    for (size_t i = 0; i < transcript->section_count; i++)
        mem_free(transcript->sections[i].lines);
    mem_free(transcript->begin.lines);
    mem_free(transcript->sections);
    mem_free(transcript->content);
}

void transcript_config(struct bytes lines, struct buffer *out)
{
    struct reading reading = {.rest = lines};
    struct bytes line;
    while (take_line(&reading, &line)) {
        int error = buffer_append(out, bytes_skip(line, line.len > 1 ? 2 : 1));
        error = error ? error : buffer_append_char(out, '\n');
        (void)error;
    }
}

bool transcript_mutate(const struct transcript_section *section, size_t line, enum transcript_mutant mutant,
                       struct buffer *storage, struct transcript_section *ret_section)
{
    struct transcript_line changed = section->lines[line];
    if (changed.kind != TRANSCRIPT_HEAR && (changed.kind != TRANSCRIPT_CLOSED || mutant != TRANSCRIPT_LEFT_OUT))
        return false;
    if (mutant == TRANSCRIPT_CHANGED &&
        !(changed.has_payload && change_one_byte(changed.payload, storage, &changed.payload)) &&
        !change_one_byte(changed.text, storage, &changed.text))
        return false;
    // What a player passes over where it is not expected.
    bool unseen = bytes_starts_with(changed.text, BYTES("INFO ")) || bytes_equal(changed.text, BYTES("PING"));
    if (mutant != TRANSCRIPT_CHANGED && unseen)
        return false;
    *ret_section = *section;
    ret_section->lines = mem_alloc((section->count + 1) * sizeof(*section->lines));
    ret_section->count = 0;
    static const int COPIES[TRANSCRIPT_MUTANT_COUNT] = {[TRANSCRIPT_CHANGED] = 1, [TRANSCRIPT_TWICE] = 2};
    for (size_t i = 0; i < section->count; i++)
        for (int copies = i == line ? COPIES[mutant] : 1; copies > 0; copies--)
            ret_section->lines[ret_section->count++] = i == line ? changed : section->lines[i];
    return true;
}

static int read_line(struct reading *reading, struct bytes line)
{
    struct transcript *transcript = reading->transcript;
    if (line.len == 0 || line.ptr[0] == '#')
        return 0;
    if (bytes_starts_with(line, BYTES("== "))) {
        reading->players = reading->head_players;
        add_section(reading, bytes_skip(line, 3));
        return 0;
    }
    if (line.ptr[0] == '|') {
        if (transcript->section_count > 0 || transcript->config.len > 0)
            return fail(reading, "configuration stands once at the head, or below `reload`");
        transcript->config = take_config(reading, line);
        return 0;
    }
    size_t mark = find_mark(line);
    return mark < line.len ? read_talk(reading, line, mark) : read_directive(reading, line);
}

// `NAME> TEXT`, `NAME< TEXT`, `NAME<? TEXT`
static int read_talk(struct reading *reading, struct bytes line, size_t mark)
{
    bool is_say = line.ptr[mark] == '>';
    struct bytes text = bytes_skip(line, mark + 1);
    struct transcript_line *added = add_line(reading, is_say ? TRANSCRIPT_SAY : TRANSCRIPT_HEAR);
    int error = find_name(reading, bytes_make(line.ptr, mark), &added->conn);
    if (error)
        return error;
    if (!is_say && bytes_starts_with(text, BYTES("?"))) {
        added->in_any_order = true;
        text = bytes_skip(text, 1);
    }
    if (text.len > 0 && text.ptr[0] != ' ')
        return fail(reading, "a blank is missing after %s", is_say ? "`>`" : "`<`");
    added->text = text.len > 0 ? bytes_skip(text, 1) : text;
    if (is_say && added->text.len > 0 && added->text.ptr[added->text.len - 1] == '\\' &&
        (added->text.len < 2 || added->text.ptr[added->text.len - 2] != '\\')) {
        added->no_end = true;
        added->text.len--;
    }
    bool has_payload =
        is_say ? pattern_has(added->text, BYTES("#"))
               : bytes_starts_with(added->text, BYTES("MSG ")) || bytes_starts_with(added->text, BYTES("HMSG "));
    return read_payload(reading, added, has_payload);
}

// The line below is the payload, from or to the same client.
static int read_payload(struct reading *reading, struct transcript_line *line, bool wanted)
{
    struct bytes next;
    if (!wanted)
        return 0;
    if (!take_line(reading, &next))
        return fail(reading, "the payload is missing");
    size_t mark = find_mark(next);
    bool same = mark < next.len && next.ptr[mark] == (line->kind == TRANSCRIPT_SAY ? '>' : '<') &&
                bytes_equal(bytes_make(next.ptr, mark), reading->transcript->names[line->conn]);
    if (!same)
        return fail(reading, "this should be the payload of the line above");
    struct bytes text = bytes_skip(next, mark + 1);
    if (line->in_any_order && bytes_starts_with(text, BYTES("?")))
        text = bytes_skip(text, 1);
    line->payload = text.len > 0 ? bytes_skip(text, 1) : text;
    line->has_payload = true;
    return 0;
}

static int read_directive(struct reading *reading, struct bytes line)
{
    struct bytes rest = line;
    struct bytes word = take_word(&rest);
    static const struct {
        const char *word;
        enum transcript_kind kind;
    } NAMED[] = {{"open", TRANSCRIPT_OPEN},
                 {"close", TRANSCRIPT_CLOSE},
                 {"closed", TRANSCRIPT_CLOSED},
                 {"quiet", TRANSCRIPT_QUIET}};
    for (size_t i = 0; i < sizeof(NAMED) / sizeof(NAMED[0]); i++)
        if (bytes_equal(word, bytes_from_string(NAMED[i].word)))
            return read_names(reading, NAMED[i].kind, rest);
    if (bytes_equal(word, BYTES("let")))
        return read_let(reading, rest);
    if (bytes_equal(word, BYTES("advance")))
        return read_advance(reading, rest);
    if (bytes_equal(word, BYTES("only")))
        return read_only(reading, rest);
    if (bytes_equal(word, BYTES("everyone"))) {
        reading->players = reading->head_players;
        return 0;
    }
    if (bytes_equal(line, BYTES("lame-duck"))) {
        add_line(reading, TRANSCRIPT_LAME_DUCK);
        return 0;
    }
    if (bytes_equal(line, BYTES("restart"))) {
        add_line(reading, TRANSCRIPT_RESTART);
        return 0;
    }
    if (bytes_equal(line, BYTES("reload"))) {
        struct transcript_line *added = add_line(reading, TRANSCRIPT_RELOAD);
        struct bytes first;
        if (!take_line(reading, &first) || first.len == 0 || first.ptr[0] != '|')
            return fail(reading, "`reload` is followed by configuration");
        added->text = take_config(reading, first);
        return 0;
    }
    return fail(reading, "not a line of a transcript: %.*s", BYTES_ARG(word));
}

static int read_names(struct reading *reading, enum transcript_kind kind, struct bytes names)
{
    do {
        struct transcript_line *line = add_line(reading, kind);
        int error = find_name(reading, take_word(&names), &line->conn);
        if (error)
            return error;
    } while (names.len > 0);
    return 0;
}

static int read_let(struct reading *reading, struct bytes rest)
{
    struct bytes name = take_word(&rest);
    if (name.len == 0 || rest.len == 0)
        return fail(reading, "let NAME TEXT");
    struct transcript_line *line = add_line(reading, TRANSCRIPT_LET);
    line->text = name;
    line->payload = rest;
    return 0;
}

static int read_advance(struct reading *reading, struct bytes rest)
{
    static const struct {
        const char *unit;
        uint64_t ns;
    } UNITS[] = {{"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}};
    size_t digits = 0;
    while (digits < rest.len && rest.ptr[digits] >= '0' && rest.ptr[digits] <= '9')
        digits++;
    uint64_t value = 0, unit = 0;
    for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++)
        if (bytes_equal(bytes_skip(rest, digits), bytes_from_string(UNITS[i].unit)))
            unit = UNITS[i].ns;
    if (unit == 0 || number_parse_u64(bytes_make(rest.ptr, digits), 1000000, &value))
        return fail(reading, "advance takes a time like 500ms, 31s or 2m");
    if (reading->players != TRANSCRIPT_SIMULATION)
        return fail(reading, "advance needs `only simulation: REASON` above it");
    add_line(reading, TRANSCRIPT_ADVANCE)->duration_ns = value * unit;
    return 0;
}

static int read_only(struct reading *reading, struct bytes rest)
{
    static const struct {
        const char *word;
        uint8_t players;
    } PLAYERS[] = {{"simulation:", TRANSCRIPT_SIMULATION},
                   {"weir:", TRANSCRIPT_SIMULATION | TRANSCRIPT_WEIR},
                   {"sockets:", TRANSCRIPT_WEIR | TRANSCRIPT_NATS_SERVER},
                   {"nats-server:", TRANSCRIPT_NATS_SERVER}};
    struct bytes word = take_word(&rest);
    if (rest.len == 0)
        return fail(reading, "only PLAYER: REASON");
    for (size_t i = 0; i < sizeof(PLAYERS) / sizeof(PLAYERS[0]); i++) {
        if (!bytes_equal(word, bytes_from_string(PLAYERS[i].word)))
            continue;
        reading->players = reading->head_players & PLAYERS[i].players;
        if (reading->transcript->section_count == 0 && reading->transcript->begin.count == 0)
            reading->head_players = reading->players;
        return 0;
    }
    return fail(reading, "the players are weir, nats-server, sockets and simulation, with a colon");
}

// All `|` lines from this one on.
static struct bytes take_config(struct reading *reading, struct bytes first)
{
    struct bytes line = first;
    while (reading->rest.len > 0 && reading->rest.ptr[0] == '|' && take_line(reading, &line))
        ;
    return bytes_make(first.ptr, (size_t)(line.ptr + line.len - first.ptr));
}

static bool take_line(struct reading *reading, struct bytes *ret_line)
{
    if (reading->rest.len == 0)
        return false;
    const char *end = memchr(reading->rest.ptr, '\n', reading->rest.len);
    size_t len = end ? (size_t)(end - reading->rest.ptr) : reading->rest.len;
    *ret_line = bytes_make(reading->rest.ptr, len);
    reading->rest = bytes_skip(reading->rest, end ? len + 1 : len);
    reading->number++;
    return true;
}

// And the blank behind it.
static struct bytes take_word(struct bytes *line)
{
    size_t len = 0;
    while (len < line->len && line->ptr[len] != ' ')
        len++;
    struct bytes word = bytes_make(line->ptr, len);
    *line = bytes_skip(*line, len < line->len ? len + 1 : len);
    return word;
}

static int find_name(struct reading *reading, struct bytes name, uint8_t *ret_conn)
{
    struct transcript *transcript = reading->transcript;
    size_t i = 0;
    while (i < transcript->name_count && !bytes_equal(transcript->names[i], name))
        i++;
    if (i == TRANSCRIPT_NAMES_MAX)
        return fail(reading, "more than %d names of clients", TRANSCRIPT_NAMES_MAX);
    if (i == transcript->name_count)
        transcript->names[transcript->name_count++] = name;
    *ret_conn = (uint8_t)i;
    return 0;
}

static void add_section(struct reading *reading, struct bytes title)
{
    struct transcript *transcript = reading->transcript;
    if (transcript->section_count == transcript->section_capacity) {
        transcript->section_capacity = transcript->section_capacity * 2 + 8;
        transcript->sections =
            mem_realloc(transcript->sections, transcript->section_capacity * sizeof(*transcript->sections));
    }
    struct transcript_section *section = &transcript->sections[transcript->section_count++];
    *section = (struct transcript_section){.title = title, .number = reading->number};
    if (transcript->begin.count == 0)
        return;
    section->count = section->capacity = section->begin_count = transcript->begin.count;
    section->lines = mem_copy(bytes_make(transcript->begin.lines, section->count * sizeof(*section->lines)));
}

static struct transcript_line *add_line(struct reading *reading, enum transcript_kind kind)
{
    struct transcript *transcript = reading->transcript;
    struct transcript_section *section =
        transcript->section_count > 0 ? &transcript->sections[transcript->section_count - 1] : &transcript->begin;
    if (section->count == section->capacity) {
        section->capacity = section->capacity * 2 + 16;
        section->lines = mem_realloc(section->lines, section->capacity * sizeof(*section->lines));
    }
    section->players |= kind == TRANSCRIPT_LET ? 0 : reading->players;
    section->has_restart |= kind == TRANSCRIPT_RESTART;
    struct transcript_line *line = &section->lines[section->count++];
    *line = (struct transcript_line){.kind = (uint8_t)kind, .players = reading->players, .number = reading->number};
    return line;
}

static int fail(struct reading *reading, const char *format, ...)
{
    int len =
        snprintf(reading->message, TRANSCRIPT_MESSAGE_SIZE, "%s:%u: ", reading->transcript->path, reading->number);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reading->message + len, TRANSCRIPT_MESSAGE_SIZE - (size_t)len, format, arguments);
    va_end(arguments);
    return ERR_INVALID;
}

// The last letter or digit that stands for itself becomes another.
static bool change_one_byte(struct bytes text, struct buffer *storage, struct bytes *ret_text)
{
    size_t place = SIZE_MAX;
    for (size_t i = 0; i < text.len;) {
        size_t placeholder = pattern_placeholder(bytes_skip(text, i));
        char c = text.ptr[i];
        if (placeholder == 0 && ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            place = i;
        i += placeholder ? placeholder : c == '\\' ? 2 : 1;
    }
    if (place == SIZE_MAX || buffer_append(storage, text))
        return false;
    size_t start = storage->len - text.len;
    storage->ptr[start + place] = storage->ptr[start + place] == '7' ? '8' : '7';
    *ret_text = bytes_make(storage->ptr + start, text.len);
    return true;
}

// Where `>` or `<` stands after a name; the line's length: it is no line of a client.
static size_t find_mark(struct bytes line)
{
    size_t i = 0;
    while (i < line.len && ((line.ptr[i] >= 'a' && line.ptr[i] <= 'z') || (line.ptr[i] >= '0' && line.ptr[i] <= '9')))
        i++;
    return i < line.len && (line.ptr[i] == '>' || line.ptr[i] == '<') ? i : line.len;
}
