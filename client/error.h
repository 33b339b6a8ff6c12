// SPDX-License-Identifier: Apache-2.0
// How the functions of libweir fail: a code for programs, a sentence for people.
#pragma once

#include "client/weir.h"

#include <nats/nats.h>

// Fills *ret_error, which may be NULL, and returns `code`. What does not fit is cut off.
int weir_error_set(struct weir_error *ret_error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// What libnats said last on this thread, as weir_error_plain() has it, or what the status means. Valid until libnats says something else.
const char *weir_error_words(natsStatus status);
// Words of libnats without the source file that it puts in front, and with a guess where it only says what it saw. Within `words`, or static.
const char *weir_error_plain(const char *words);

// The code for a status of libnats.
int weir_error_of(natsStatus status);

// Both: "WHAT: words of libnats".
int weir_error_nats(struct weir_error *ret_error, natsStatus status, const char *what);
