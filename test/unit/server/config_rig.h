// SPDX-License-Identifier: Apache-2.0
// Configurations as texts, for the tests of config*.c. Secrets in these tests contain the word "hush", and no message may.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/config.h"

#define SECOND 1000000000ULL

extern struct config config; // of the last call; who accepts frees it
extern char message[CONFIG_MESSAGE_SIZE];
extern const char *stan_text; // the file "stan" beside "main"; NULL: there is none

// Reads as this server with these arguments, split at blanks; `text` is the file "main". 0 or an error, with `message`.
int read_config(enum options_persona persona, const char *arguments, const char *text);
void accept_as(enum options_persona persona, const char *arguments, const char *text);
// As nats-server -c main.
void accept(const char *text);
// It is refused, with `wanted` in the message.
void refuse_as(enum options_persona persona, const char *arguments, const char *text, const char *wanted);
void refuse(const char *text, const char *wanted);
