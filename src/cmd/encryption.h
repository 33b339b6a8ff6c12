// SPDX-License-Identifier: Apache-2.0
// The keys of encryption at rest (ST-C23): from the environment, a file, the configuration or, if it must be, the command line. Never
// in a message.
#pragma once

#include "env/log.h"
#include "server/flag.h"
#include "server/options.h"
#include "store/store.h"

// Longest message, with its NUL.
#define ENCRYPTION_MESSAGE_SIZE 1024

// The variable that wins over everything else, as in nats-streaming-server. It is taken out of the environment.
#define ENCRYPTION_VARIABLE "NATS_STREAMING_ENCRYPTION_KEY"

struct encryption {
    struct store_encryption store; // key.len 0: no encryption was asked for
    char *key, *old_key;           // owned
    const char *from;              // static: where the key was found, for people
};

// Reads what the options name. ERR_INVALID and a message: there is no key, or a file cannot be read; then nothing is owned. Warns
// of keys that others can see. `logger` may be NULL.
int encryption_load(struct encryption *encryption, const struct options *options, const struct logger *logger,
                    char ret_message[ENCRYPTION_MESSAGE_SIZE]) MUST_USE;
// The key in a file, and nothing else; a cipher of env/crypto.h for what is written with it, 0: none. As above.
int encryption_load_file(struct encryption *encryption, const char *path, uint32_t cipher, const struct logger *logger,
                         char ret_message[ENCRYPTION_MESSAGE_SIZE]) MUST_USE;
// Of the directory that `weir import` and `weir restore` make: their flags, and what they say. A path of NULL: it is not encrypted. `cipher`: the
// position of the choice.
#define ENCRYPTION_DATA_FLAGS(type, file, cipher)                                                                      \
    {"data-key-file", FLAG_STRING, offsetof(type, file), 0, 0, NULL, "FILE", "encrypts DATA with the key in it"},      \
    {                                                                                                                  \
        "data-cipher", FLAG_CHOICE, offsetof(type, cipher), 0, 0, "AES,CHACHA", "AES|CHACHA",                          \
            "which encrypts DATA (AES)"                                                                                \
    }
int encryption_load_data(struct encryption *encryption, const char *path, uint32_t cipher, const struct logger *logger,
                         char ret_message[ENCRYPTION_MESSAGE_SIZE]) MUST_USE;
// As encryption_load() without a warning, and nothing stays: would a start find its keys?
int encryption_check(const struct options *options, char ret_message[ENCRYPTION_MESSAGE_SIZE]) MUST_USE;
// Wipes and frees. All zero is fine. The store does not need them any more once it is open.
void encryption_deinit(struct encryption *encryption);
