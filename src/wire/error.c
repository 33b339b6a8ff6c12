// SPDX-License-Identifier: Apache-2.0
// The table of wire/error.h as look-ups.
#include "wire/error.h"

#include "base/must.h"

const char *wire_error_text(enum wire_error error)
{
    switch (error) {
#define X(id, fate, text)                                                                                              \
    case id: return text;
        WIRE_ERROR_TABLE(X)
#undef X
    case WIRE_OK:
    case WIRE_ERROR_COUNT: break;
    }
    return "";
}

enum wire_error_fate wire_error_fate(enum wire_error error)
{
    static const uint8_t FATES[WIRE_ERROR_COUNT] = {
#define X(id, fate, text) [id] = fate,
        WIRE_ERROR_TABLE(X)
#undef X
    };
    must((unsigned)error < WIRE_ERROR_COUNT);
    return (enum wire_error_fate)FATES[error];
}
