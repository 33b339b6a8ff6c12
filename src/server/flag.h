// SPDX-License-Identifier: Apache-2.0
// Command-line flags by a table: every flag names where its value goes, its bounds and its description, so that parsing, help
// and error messages cannot disagree. Syntax as in Go's flag package (-x, --x, -x=v, -x v; a boolean takes a value only
// with '='); the first argument that is no flag ends them. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

enum flag_type {
    FLAG_BOOL,     // bool
    FLAG_SWITCH,   // uint32_t: 1 for false, 2 for true; whoever did not say leaves 0
    FLAG_STRING,   // const char *; not empty
    FLAG_INT,      // int32_t
    FLAG_COUNT,    // uint32_t
    FLAG_COUNT64,  // uint64_t
    FLAG_BYTES,    // uint64_t; 1024, 64K, 64KB, 10M, 1G (of 1024)
    FLAG_BYTES32,  // uint32_t; the same
    FLAG_DURATION, // uint64_t in ns; 1m30s
    FLAG_CHOICE,   // uint32_t, the position of the value in `choices`
    FLAG_REFUSED,  // known and not there: `help` is the reason why
    FLAG_IGNORED,  // struct flag_ignored; known, its value is not looked at
    FLAG_IGNORED_BOOL,
    FLAG_HEADING, // no flag: a line of the help; only `help` is used
};

// Which of the ignored flags were given, so that somebody says so. Static strings; more than fit are forgotten.
#define FLAG_IGNORED_MAX 32
struct flag_ignored {
    const char *names[FLAG_IGNORED_MAX];
    uint32_t count;
};

struct flag {
    const char *names; // all of them, comma-separated: "p,port"
    enum flag_type type;
    size_t offset;       // of the value in the target
    int64_t min, max;    // of numbers, sizes and durations (ns); both 0: any
    const char *choices; // CHOICE: comma-separated, any case; "-sql" at the end: taken, not shown
    const char *value;   // what the help calls the value; NULL for BOOL
    const char *help;    // one line; NULL: the help does not show it
};

// Reads arguments into `target`. Messages begin with the words of Go's flag package, which people search for. Stops at the first that is no flag, or behind "--": *ret_used is the number read. On
// failure ERR_INVALID and a message of one line, with the nearest known name for an unknown one.
int flag_parse(const struct flag *flags, size_t flag_count, void *target, int count, char *const *arguments,
               int *ret_used, char *ret_message, size_t message_size) MUST_USE;

// The same for flags in front of and behind one other argument. *ret_other is left alone if there is none; ERR_INVALID: there is a second
// one ("there is one <name>").
int flag_parse_around(const struct flag *flags, size_t flag_count, void *target, int count, char *const *arguments,
                      const char *name, const char **ret_other, char *ret_message, size_t message_size) MUST_USE;

// "  -p, --port PORT          text", without a newline. False for a flag that the help does not show.
bool flag_help(const struct flag *flag, char *ret_line, size_t size);
