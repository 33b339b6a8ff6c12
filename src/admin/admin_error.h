// SPDX-License-Identifier: Apache-2.0
// What the admin API answers when it does not do what it is asked: codes that never change, each with what HTTP calls it.
#pragma once

#include "base/buffer.h"

enum admin_code {
    ADMIN_BAD_JSON,
    ADMIN_BAD_REQUEST,
    ADMIN_UNKNOWN_FIELD,
    ADMIN_TOO_BIG,
    ADMIN_UNKNOWN_REQUEST,
    ADMIN_NOT_PERMITTED,
    ADMIN_CHANNEL_NOT_FOUND,
    ADMIN_GROUP_NOT_FOUND,
    ADMIN_MESSAGE_NOT_FOUND,
    ADMIN_CLIENT_NOT_FOUND,
    ADMIN_JOB_NOT_FOUND,
    ADMIN_AMBIGUOUS,
    ADMIN_EXISTS,
    ADMIN_IN_USE,
    ADMIN_CONFLICT,
    ADMIN_LIMIT,
    ADMIN_NO_SPACE,
    ADMIN_BUSY,
    ADMIN_UNAVAILABLE,
    ADMIN_CODE_COUNT,
};

struct admin_error {
    enum admin_code code;
    char field[64];    // empty: none
    char message[512]; // for people
};

const char *admin_error_name(enum admin_code code);
// Of a name. ADMIN_CODE_COUNT: there is none such.
enum admin_code admin_error_find(struct bytes name);
unsigned admin_error_status(enum admin_code code);
// What an ERR_* of the engine or the log is to who asks.
enum admin_code admin_error_of(int error);

void admin_error_set(struct admin_error *error, enum admin_code code, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// {"error":{…}}; appends. What does not fit is left out.
void admin_error_put(const struct admin_error *error, struct buffer *to);
