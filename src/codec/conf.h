// SPDX-License-Identifier: Apache-2.0
// The NATS configuration language (CO-X03), of which JSON is a subset: text in, a tree of values out. Pure: files and the
// environment come through the caller's functions. What the keys mean is server/config's.
//
//   # a comment          // another
//   port: 4222           key and value: '=', ':' or just a blank between them; ',', ';' or the line's end behind
//   max_payload = 1MB    k, m, g, t, p, e are powers of 1000; with b, i or ib (kb, Ki, MiB) of 1024
//   tls { verify: yes }  true, yes, on; false, no, off
//   list [ a, 'b'        an array: commas or lines
//          "c\n" ]       escapes in double quotes and bare words: \t \n \r \" \\ \xXX, and JSON's \/ \b \f \uXXXX
//   text (               a block: all lines up to a ')' alone on its line
//   )
//   include 'more.conf'  the members of another file, relative to this one
//   PASS: s3cr3t         a member may be used as a variable by those behind it
//   user { pass: $PASS } looked up in the blocks around, outward, then in the environment
//
// Where the language leaves doubt it is read as nats-server reads it: a repeated key replaces the one before; a key ends at a
// blank, '=' or ':'; words that begin with $2a$, $2b$ or $2y$ are bcrypt hashes, not variables; an included file does not see the
// variables of the one that includes it; the value of an environment variable is itself read as a value.
//
// An error says where and what, and never shows a value: it might be a secret.
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/map.h"

// Beyond these a configuration is refused.
#define CONF_FILE_BYTES_MAX (32 * 1024 * 1024)  // of one file
#define CONF_BYTES_MAX      (512 * 1024 * 1024) // of memory for the tree
#define CONF_FILES_MAX      1000                // read in all, a file included twice counts twice
#define CONF_INCLUDE_MAX    10                  // files within each other
#define CONF_VARIABLE_MAX   10                  // environment variables whose values name others
#define CONF_DEPTH_MAX      64                  // arrays and maps within each other
#define CONF_VALUES_MAX     2000000             // a variable's value counts each time it is used
#define CONF_PATH_MAX       4096                // bytes of a file's name, with its NUL

#define CONF_MESSAGE_SIZE 512

enum conf_type { CONF_STRING, CONF_BOOL, CONF_INTEGER, CONF_FLOAT, CONF_TIME, CONF_ARRAY, CONF_MAP };

// Where something stands.
struct conf_place {
    const char *file; // owned by the conf; as it was opened. "$NAME" for the value of an environment variable
    uint32_t line;    // from 1
    uint32_t column;  // from 1, in characters
};

struct conf_member;

struct conf_value {
    enum conf_type type;
    struct conf_place place; // of the value; of the reference when it came through a variable
    struct bytes text;       // STRING: the content; others but ARRAY and MAP: as it was written. A NUL stands behind it
    union {
        bool boolean;
        int64_t integer;
        double real;
        int64_t seconds; // TIME: since 1970
        struct {
            struct conf_member *first; // NULL: empty
            struct conf_member *last;
            size_t count;
            size_t weight;     // values in it, however deep
            struct map *names; // MAP with more than a few members
        };
    };
};

// A member of a map, or an element of an array.
struct conf_member {
    struct conf_member *next;
    struct bytes name;       // empty in an array; a NUL stands behind it
    struct conf_place place; // of the name
    struct conf_value value;
    bool used; // somebody referred to it as a variable: it may be a name that nobody knows
};

struct conf_source {
    void *owner;
    // Appends the file's content; the buffer's maximum is CONF_FILE_BYTES_MAX. Returns 0 or ERR_*; ERR_NOT_FOUND, ERR_PERMISSION and
    // ERR_TOO_BIG are told as such.
    int (*read)(void *owner, const char *path, struct buffer *content);
    // NULL: no such variable. Valid until the next call.
    const char *(*environment)(void *owner, const char *name);
};

struct conf {
    struct conf_value root; // a MAP
    struct arena arena;
    struct conf_index *indexes; // list of the maps to free
};

struct conf_error {
    struct conf_place place; // line 0: of the whole file. The file is owned by the conf: read it before conf_deinit()
    char text[CONF_MESSAGE_SIZE];
};

// Reads the file and what it includes. The conf must be freed with conf_deinit() in any case. On failure ERR_INVALID, or the
// source's error when the file itself cannot be read, and *ret_error.
int conf_read_file(struct conf *conf, const struct conf_source *source, const char *path,
                   struct conf_error *ret_error) MUST_USE;
// The same for text; `name` stands for the file in errors, includes are relative to its folder.
int conf_read_text(struct conf *conf, const struct conf_source *source, const char *name, struct bytes text,
                   struct conf_error *ret_error) MUST_USE;
void conf_deinit(struct conf *conf);

// The member of a map, by its exact name; NULL: none.
struct conf_member *conf_find(const struct conf_value *map, struct bytes name);

// "an integer", "a map": for messages.
const char *conf_type_name(enum conf_type type);
// "file:line:column: text", as much as fits.
void conf_error_format(const struct conf_error *error, char *ret_text, size_t size);
