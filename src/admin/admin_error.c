// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_error.h"

#include <stdarg.h>
#include <stdio.h>

#include "codec/json_writer.h"

static const struct {
    const char *name;
    unsigned status;
} CODES[ADMIN_CODE_COUNT] = {
    [ADMIN_BAD_JSON] = {"bad_json", 400},
    [ADMIN_BAD_REQUEST] = {"bad_request", 400},
    [ADMIN_UNKNOWN_FIELD] = {"unknown_field", 400},
    [ADMIN_TOO_BIG] = {"too_big", 413},
    [ADMIN_UNKNOWN_REQUEST] = {"unknown_request", 404},
    [ADMIN_NOT_PERMITTED] = {"not_permitted", 403},
    [ADMIN_CHANNEL_NOT_FOUND] = {"channel_not_found", 404},
    [ADMIN_GROUP_NOT_FOUND] = {"group_not_found", 404},
    [ADMIN_MESSAGE_NOT_FOUND] = {"message_not_found", 404},
    [ADMIN_CLIENT_NOT_FOUND] = {"client_not_found", 404},
    [ADMIN_JOB_NOT_FOUND] = {"job_not_found", 404},
    [ADMIN_AMBIGUOUS] = {"ambiguous", 409},
    [ADMIN_EXISTS] = {"exists", 409},
    [ADMIN_IN_USE] = {"in_use", 409},
    [ADMIN_CONFLICT] = {"conflict", 409},
    [ADMIN_LIMIT] = {"limit", 409},
    [ADMIN_NO_SPACE] = {"no_space", 507},
    [ADMIN_BUSY] = {"busy", 503},
    [ADMIN_UNAVAILABLE] = {"unavailable", 503},
};

const char *admin_error_name(enum admin_code code)
{
    return CODES[code].name;
}

enum admin_code admin_error_find(struct bytes name)
{
    int code = 0;
    while (code < ADMIN_CODE_COUNT && !bytes_equal(name, bytes_from_string(CODES[code].name)))
        code++;
    return (enum admin_code)code;
}

unsigned admin_error_status(enum admin_code code)
{
    return CODES[code].status;
}

enum admin_code admin_error_of(int error)
{
    switch (error) {
    case ERR_NO_SPACE: return ADMIN_NO_SPACE;
    case ERR_LIMIT: return ADMIN_LIMIT;
    case ERR_AGAIN: return ADMIN_BUSY;
    case ERR_EXISTS: return ADMIN_EXISTS;
    case ERR_IN_USE:
    case ERR_NOT_FOUND: return ADMIN_CONFLICT; // it was there when it was looked for
    case ERR_INVALID:
    case ERR_TOO_BIG: return ADMIN_BAD_REQUEST;
    default: return ADMIN_UNAVAILABLE;
    }
}

void admin_error_set(struct admin_error *error, enum admin_code code, const char *field, const char *format, ...)
{
    va_list arguments;
    error->code = code;
    snprintf(error->field, sizeof(error->field), "%s", field ? field : "");
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
}

void admin_error_put(const struct admin_error *error, struct buffer *to)
{
    struct json_writer json;
    json_writer_init_compact(&json, to);
    json_writer_begin_object(&json);
    json_writer_put_object(&json, "error");
    json_writer_put_string(&json, "code", bytes_from_string(CODES[error->code].name));
    json_writer_put_u64(&json, "status", CODES[error->code].status);
    json_writer_put_string(&json, "message", bytes_from_string(error->message));
    if (error->field[0])
        json_writer_put_string(&json, "field", bytes_from_string(error->field));
    json_writer_end(&json);
    json_writer_end(&json);
    (void)!json_writer_finish(&json);
}
