// SPDX-License-Identifier: Apache-2.0
// The keys of the configuration by tables, one per block: each row names where its value goes, its bounds, what a reload does and a
// description, so that reading, comparing and docs/configuration.md cannot disagree. Keys are compared without case.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/conf.h"

struct config_reader;
struct config_block;

enum config_type {
    CONFIG_BOOL,     // bool
    CONFIG_STRING,   // const char *; not empty
    CONFIG_INT,      // int32_t
    CONFIG_COUNT,    // uint32_t
    CONFIG_COUNT64,  // uint64_t
    CONFIG_BYTES,    // uint64_t; an integer: 65536, 64KB, 1GB
    CONFIG_BYTES32,  // uint32_t; the same
    CONFIG_DURATION, // uint64_t in ns: "2m"; a bare integer is seconds, and discouraged as in nats-server
    CONFIG_SECONDS,  // uint64_t in ns: 2, 0.5, or "2s"
    CONFIG_CHOICE,   // uint32_t, the position of the value in `choices`
    CONFIG_CUSTOM,   // `read` knows; `choices` says to readers of the document what it is
    CONFIG_BLOCK,    // a map; `block` has its keys, and reads into the place; `read`, if any, instead
    CONFIG_IGNORED,  // accepted, without effect; `help` says why, and the log says that
    CONFIG_REFUSED,  // a feature that is not served: `help` is the sentence
};

enum config_reload {
    CONFIG_RELOAD_NO,  // needs a restart: a reload that changes it is refused
    CONFIG_RELOAD_YES, // takes effect at once
    CONFIG_RELOAD_NEW, // for new connections
};

typedef int (*config_read_fn)(struct config_reader *reader, const struct conf_member *member, void *target);

struct config_key {
    const char *names; // all of them, comma-separated, the first is the one to use
    enum config_type type;
    enum config_reload reload;
    bool secret;      // never shown
    size_t offset;    // of the value in the block's target
    int64_t min, max; // of numbers, sizes and durations (ns); both 0: any that is not negative
    const char *choices;
    const char *unserved; // CHOICE: a value that other servers have, a colon, why it is none here; NULL: none
    const struct config_block *block;
    config_read_fn read;
    const char *fallback; // the default, as the document shows it; NULL: none
    const char *help;
};

struct config_block {
    const char *name; // as the document calls it: "authorization"
    const struct config_key *keys;
    size_t count;
};

// Every block that there is, the server's own first; NULL behind the last.
const struct config_block *config_key_block(size_t index);
// The row that knows the name; NULL: none.
const struct config_key *config_key_find(const struct config_block *block, struct bytes name);
// The name in the table nearest to an unknown one; false: none is near.
bool config_key_nearest(const struct config_block *block, struct bytes name, struct bytes *ret_known);
// The first name.
struct bytes config_key_name(const struct config_key *key);
// What a value looks like: "a size from 1024 to 8388608".
void config_key_describe(const struct config_key *key, char *ret_text, size_t size);
// The value in a block's target as people read it; "" for those that have no short form, "…" for a secret.
void config_key_format(const struct config_key *key, const void *target, char *ret_text, size_t size);
