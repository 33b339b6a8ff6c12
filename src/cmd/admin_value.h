// SPDX-License-Identifier: Apache-2.0
// Words of the command line as JSON values for the admin API.
#pragma once

#include "cmd/admin_command.h"

// The caller's (json_decref). NULL: the text is none of its type, which was said on standard error: "weir COMMAND: WHAT takes …". `text`
// is not looked at for ADMIN_TRUE.
json_t *admin_value_read(const char *command, const char *what, enum admin_type type, const char *text) MUST_USE;

// A duration: 0, or the exit status 2 when it was said what is wrong.
int admin_value_ms(const char *command, const char *what, const char *text, uint64_t *ret_ms) MUST_USE;
