// SPDX-License-Identifier: Apache-2.0
// Answers of the admin API for people: tables, and lists of fields. What comes from strangers (names, payloads) cannot move the cursor.
#pragma once

#include <stdio.h>

#include "cmd/admin_link.h"

enum admin_format {
    ADMIN_SHOW_TEXT,
    ADMIN_SHOW_COUNT, // 1,234,567
    ADMIN_SHOW_SIZE,  // 1.2 MB
    ADMIN_SHOW_AGE,   // of milliseconds: 1m30s; "now" below a millisecond
    ADMIN_SHOW_LIMIT, // a number; 0: "none"
    ADMIN_SHOW_SIZE_LIMIT,
    ADMIN_SHOW_AGE_LIMIT,
    ADMIN_SHOW_FLAG, // its title if true
};

// A column of a table, or a line of a list of fields. Ends with a row without a title.
struct admin_column {
    const char *title;
    const char *path; // "waiting.messages"
    enum admin_format format;
};

enum { ADMIN_CELL_SIZE = 512 };

// The value at `path` within `object`, as a cell shows it; "-" if there is none.
void admin_show_cell(const json_t *object, const struct admin_column *column, char ret_cell[ADMIN_CELL_SIZE]);
// One line per element of `list`, below a line of titles; says so when it is empty.
void admin_show_table(const json_t *list, const struct admin_column *columns, FILE *out);
// One line per column; those without a value are left out.
void admin_show_fields(const json_t *object, const struct admin_column *columns, FILE *out);
// 1,234,567 and 1.2 MB.
void admin_show_count(uint64_t value, char *ret_text, size_t size);
void admin_show_size(uint64_t bytes, char *ret_text, size_t size);
