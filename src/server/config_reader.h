// SPDX-License-Identifier: Apache-2.0
// Reads the members of a map by a block's table of keys, and what the readers of single keys share. Made by server/config.c, used
// by the files config_*.c; nobody else's.
#pragma once

#include "server/config.h"
#include "server/config_key.h"

struct config_reader {
    struct config *config;
    char *message; // CONFIG_MESSAGE_SIZE
    // In a server's own block keys of this one are known too, their target the config; NULL: none.
    const struct config_block *also;
};

// All members into `target`, in the file's order. Unknown ones are refused with the nearest known name, unless they were used as
// a variable.
int config_reader_apply(struct config_reader *reader, const struct config_block *block, const struct conf_value *map,
                        void *target) MUST_USE;

// ERR_INVALID and "FILE:LINE:COLUMN: text".
int config_reader_fail(struct config_reader *reader, struct conf_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4))) MUST_USE;
// "…: KEY: WANTED is expected, not a string"
int config_reader_refuse(struct config_reader *reader, const struct conf_member *member, const char *wanted) MUST_USE;
void config_reader_warn(struct config_reader *reader, struct conf_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Memory that lives as long as the config.
void *config_reader_alloc(struct config_reader *reader, size_t size);
// "FILE:LINE:COLUMN", in such memory: for what is wrong with it later.
const char *config_reader_where(struct config_reader *reader, struct conf_place place);
// A mark for the auth builder.
uint32_t config_reader_mark(struct config_reader *reader, struct conf_place place);

// Values of a certain type; others are refused.
int config_reader_string(struct config_reader *reader, const struct conf_member *member,
                         const char **ret_string) MUST_USE;
int config_reader_bool(struct config_reader *reader, const struct conf_member *member, bool *ret_bool) MUST_USE;
int config_reader_integer(struct config_reader *reader, const struct conf_member *member, int64_t min, int64_t max,
                          int64_t *ret_integer) MUST_USE;
// DURATION and SECONDS.
int config_reader_duration(struct config_reader *reader, const struct conf_member *member, uint64_t *ret_ns) MUST_USE;
int config_reader_seconds(struct config_reader *reader, const struct conf_member *member, uint64_t *ret_ns) MUST_USE;
// A string, or an array of them. The items' bytes are the conf's.
int config_reader_strings(struct config_reader *reader, const struct conf_member *member,
                          struct auth_strings *ret_strings) MUST_USE;
// "HOST:PORT", ":PORT" or PORT. *ret_host is left alone when there is none.
int config_reader_address(struct config_reader *reader, const struct conf_member *member, const char **ret_host,
                          int32_t *ret_port) MUST_USE;
int config_reader_map(struct config_reader *reader, const struct conf_member *member) MUST_USE;
