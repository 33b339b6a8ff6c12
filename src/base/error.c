// SPDX-License-Identifier: Apache-2.0
// Names and texts of the error table, expanded from the one list in the header.
#include "base/error.h"

const char *error_text(int error)
{
    switch (error) {
    case 0: return "ok";
#define X(name, number, text)                                                                                          \
    case name: return text;
        ERROR_TABLE(X)
#undef X
    default: return "unknown error";
    }
}

const char *error_name(int error)
{
    switch (error) {
    case 0: return "OK";
#define X(name, number, text)                                                                                          \
    case name: return #name;
        ERROR_TABLE(X)
#undef X
    default: return "ERR_UNKNOWN";
    }
}
