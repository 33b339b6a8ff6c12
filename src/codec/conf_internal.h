// SPDX-License-Identifier: Apache-2.0
// What the files of the configuration reader share: conf.c keeps the tree, the files and the variables; conf_parser.c reads the
// structure of a text, conf_string.c its strings; conf_word.c knows what an unquoted word means.
// tidy: prefix conf
#pragma once

#include "base/must.h"
#include "codec/conf.h"

// A map that answers by hash, because it has many members.
struct conf_index {
    struct map map;
    struct conf_index *next; // list link
};

// The maps around a place, from the inside out: where variables are looked up.
struct conf_scope {
    struct conf_value *map;         // borrowed; still growing
    const struct conf_scope *outer; // NULL: the file's (or the variable's) own top level
};

// One reading, over all its files.
struct conf_reader {
    struct conf *conf; // borrowed
    const struct conf_source *source;
    struct conf_error *error;
    unsigned files;     // read so far
    unsigned includes;  // files open within each other
    unsigned variables; // of the environment, open within each other
    unsigned depth;     // arrays and maps open within each other
    size_t values;      // so far, those of used variables included
    bool secret;        // the value being read belongs to a key that looks like one of a secret: nothing of it is told
};

// Sets the error and returns ERR_INVALID.
int conf_fail(struct conf_reader *reader, struct conf_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4))) MUST_USE;
// A copy in the conf's memory with a NUL behind it.
int conf_copy(struct conf_reader *reader, struct conf_place place, struct bytes text, struct bytes *ret_copy) MUST_USE;
// Counts values against CONF_VALUES_MAX.
int conf_count(struct conf_reader *reader, struct conf_place place, size_t count) MUST_USE;
// Adds the value to the map, or replaces the one of that name; `name` must be the conf's.
int conf_put(struct conf_reader *reader, struct conf_value *map, struct bytes name, struct conf_place place,
             const struct conf_value *value) MUST_USE;
// Adds an element to the array.
int conf_push(struct conf_reader *reader, struct conf_value *array, const struct conf_value *value) MUST_USE;
// What $NAME stands for. `place` is the reference's.
int conf_look_up(struct conf_reader *reader, const struct conf_scope *scope, struct bytes name, struct conf_place place,
                 struct conf_value *ret_value) MUST_USE;
// Puts the members of another file into the map; `place` is the include's.
int conf_include(struct conf_reader *reader, struct conf_value *map, struct bytes path,
                 struct conf_place place) MUST_USE;

// A text while it is read.
struct conf_parser {
    struct conf_reader *reader;
    struct bytes text;
    size_t at;
    struct conf_place here; // of text.ptr[at]
    unsigned wrapped;       // braces around the whole text: one in JSON
};

static inline bool conf_at_end(const struct conf_parser *parser)
{
    return parser->at == parser->text.len;
}

// The next byte; NUL at the end, and nowhere else: conf_parser_read() looked.
static inline char conf_peek(const struct conf_parser *parser)
{
    return conf_at_end(parser) ? '\0' : parser->text.ptr[parser->at];
}

static inline bool conf_follows(const struct conf_parser *parser, struct bytes what)
{
    return bytes_starts_with(bytes_skip(parser->text, parser->at), what);
}

static inline void conf_step(struct conf_parser *parser)
{
    must(!conf_at_end(parser));
    unsigned char c = (unsigned char)parser->text.ptr[parser->at++];
    if (c == '\n') {
        parser->here.line++;
        parser->here.column = 1;
    } else if ((c & 0xc0) != 0x80) {
        parser->here.column++;
    }
}

// A whole text as the members of `map`, which is its own top level.
int conf_parser_read(struct conf_reader *reader, const char *file, struct bytes text, struct conf_value *map) MUST_USE;
// A whole text as one value; no text is an empty string.
int conf_parser_read_value(struct conf_reader *reader, const char *file, struct bytes text,
                           struct conf_value *ret_value) MUST_USE;

// Sets type and content by what an unquoted word looks like: boolean, number, time or string. On failure ERR_INVALID and
// what is wrong with it.
int conf_word_read(struct bytes word, struct conf_value *value, const char **ret_wrong) MUST_USE;
// "$2a$…": a bcrypt hash, which is no variable.
bool conf_word_is_bcrypt(struct bytes word);

// Strings of all kinds, from their first character to behind their last, into value->text.
int conf_string_read_single(struct conf_parser *parser, struct conf_value *value) MUST_USE;
int conf_string_read_double(struct conf_parser *parser, struct conf_value *value) MUST_USE;
int conf_string_read_block(struct conf_parser *parser, struct conf_value *value) MUST_USE;
// What a backslash and what follows it stand for, appended to the content.
int conf_string_read_escape(struct conf_parser *parser, struct buffer *content) MUST_USE;
