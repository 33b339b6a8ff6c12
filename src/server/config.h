// SPDX-License-Identifier: Apache-2.0
// All that a server is told, from the configuration file and the command line (CO-X03, CO-X04, ST-C01…): flags win over the file,
// the file over the defaults. docs/configuration.md describes every key; server/config_key.h says how they are read.
//
//     config_read(&config, persona, count, arguments, &source, message)     start, and again with new memory at a reload
//     config_compare(running, fresh, &changes)                              at a reload: what is different, what may be
//     config_deinit(&config)
//
// Strings in it live as long as the config; the command line must live longer. What it holds of secrets is never in a message.
#pragma once

#include "auth/auth_builder.h"
#include "auth/auth_config.h"
#include "base/arena.h"
#include "codec/conf.h"
#include "server/options.h"
#include "server/websocket_config.h"

// Longest message, with its NUL.
#define CONFIG_MESSAGE_SIZE  1024
#define CONFIG_DIGEST_SIZE   72 // "sha256:", 64 digits and a NUL
#define CONFIG_WARNINGS_MAX  64
#define CONFIG_CHANGES_MAX   64
#define CONFIG_CHANGE_SIZE   256
#define CONFIG_STRINGS_BYTES (64 * 1024 * 1024) // of values that are put together

struct config {
    struct options options; // what flags can say too, TLS included
    struct websocket_config websocket;
    struct auth_config *auth;  // owned: one reference. NULL until config_finish()
    uint64_t auth_fingerprint; // of everything `auth` was made of; for config_compare()

    char digest[CONFIG_DIGEST_SIZE]; // what options.config_digest points to

    // To be logged at start, one line each: keys without effect, discouraged spellings.
    const char *warnings[CONFIG_WARNINGS_MAX];
    size_t warning_count;

    struct auth_builder *builder; // owned; until config_finish()
    struct conf conf, streaming_conf;
    struct arena strings;
    struct buffer places;                      // struct conf_place: what the builder's `where` means, from 1 on
    struct conf_place user_place, token_place; // file NULL: the command line
    uint64_t auth_timeout_ns;                  // 0: the default
    struct conf_place channels_place;          // of options.channel_rules
};

// Defaults; nothing is read.
void config_init(struct config *config, enum options_persona persona);
void config_deinit(struct config *config);

// config_init(), the command line, the files it names (-c, -sc), the command line again, config_finish(). ERR_INVALID: a message of
// one line without a newline, "FILE:LINE:COLUMN: …" if a file is to blame; the config must be freed in any case. With --help,
// --version and the like in the arguments nothing else is looked at.
int config_read(struct config *config, enum options_persona persona, int count, char *const *arguments,
                const struct conf_source *source, char ret_message[CONFIG_MESSAGE_SIZE]) MUST_USE;

// The parts of config_read(). A file's keys over what is in the config.
int config_load(struct config *config, const struct conf_source *source, const char *path,
                char ret_message[CONFIG_MESSAGE_SIZE]) MUST_USE;
// A file of -sc beside one of -c: the `streaming` block in it, or, without one, its members as if they were that block.
int config_load_streaming(struct config *config, const struct conf_source *source, const char *path,
                          char ret_message[CONFIG_MESSAGE_SIZE]) MUST_USE;
// Checks what no key can know alone, and makes `auth`.
int config_finish(struct config *config, char ret_message[CONFIG_MESSAGE_SIZE]) MUST_USE;

// Frees the values of the files, which are much more than what the config has of them (100,000 users: some 70 MB). Afterwards there is
// no digest of them to be made.
void config_forget_files(struct config *config);

struct config_changes {
    struct {
        char text[CONFIG_CHANGE_SIZE]; // "debug = true": for "Reloaded: debug = true", never a secret
    } lines[CONFIG_CHANGES_MAX];
    size_t count;
    bool auth; // users, accounts, permissions: connections are to be looked at again
    bool tls;  // of client connections; certificates are always to be read again
    bool log;  // where the log goes, and how
};

// What a reload from `old` to `fresh` changes (CO-X02). ERR_UNSUPPORTED: something changed that only a restart can; the message names
// it, and nothing may be applied.
int config_compare(const struct config *old, const struct config *fresh, struct config_changes *ret_changes,
                   char ret_message[CONFIG_MESSAGE_SIZE]) MUST_USE;
