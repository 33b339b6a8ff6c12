// SPDX-License-Identifier: Apache-2.0
#include "cmd/admin_show.h"

#include <string.h>

#include "base/utf8.h"
#include "codec/duration.h"
#include "wire/quote.h"

enum { COLUMNS_MAX = 24, NUMBER_SIZE = 40 };

static const json_t *value_at(const json_t *object, const char *path);
static void cell_text(struct bytes text, char *ret_cell);
static void cell_number(uint64_t value, const struct admin_column *column, char *ret_cell);
static void cell_age(uint64_t ms, char *ret_cell, size_t size);
static size_t width_of(const char *text);
static bool is_number(enum admin_format format);
static void put_cell(const char *cell, size_t width, bool right, bool last, FILE *out);
static size_t count_columns(const struct admin_column *columns);

void admin_show_cell(const json_t *object, const struct admin_column *column, char ret_cell[ADMIN_CELL_SIZE])
{
    const json_t *value = value_at(object, column->path);
    if (json_is_string(value) && json_string_length(value))
        cell_text(bytes_make(json_string_value(value), json_string_length(value)), ret_cell);
    else if (json_is_integer(value))
        cell_number((uint64_t)json_integer_value(value), column, ret_cell);
    else if (json_is_boolean(value) && column->format == ADMIN_SHOW_FLAG)
        snprintf(ret_cell, ADMIN_CELL_SIZE, "%s", json_is_true(value) ? column->title : "-");
    else if (json_is_boolean(value))
        snprintf(ret_cell, ADMIN_CELL_SIZE, "%s", json_is_true(value) ? "yes" : "no");
    else
        snprintf(ret_cell, ADMIN_CELL_SIZE, "-");
}

void admin_show_table(const json_t *list, const struct admin_column *columns, FILE *out)
{
    size_t count = count_columns(columns), widths[COLUMNS_MAX], row, i;
    char cell[ADMIN_CELL_SIZE];
    const json_t *object;
    if (json_array_size(list) == 0) {
        fputs("nothing\n", out);
        return;
    }
    for (i = 0; i < count; i++)
        widths[i] = width_of(columns[i].title);
    json_array_foreach(list, row, object)
    {
        for (i = 0; i < count; i++) {
            admin_show_cell(object, &columns[i], cell);
            size_t width = width_of(cell);
            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    for (i = 0; i < count; i++)
        put_cell(columns[i].title, widths[i], is_number(columns[i].format), i + 1 == count, out);
    json_array_foreach(list, row, object)
    {
        for (i = 0; i < count; i++) {
            admin_show_cell(object, &columns[i], cell);
            put_cell(cell, widths[i], is_number(columns[i].format), i + 1 == count, out);
        }
    }
}

void admin_show_fields(const json_t *object, const struct admin_column *columns, FILE *out)
{
    size_t count = count_columns(columns), width = 0;
    for (size_t i = 0; i < count; i++)
        width = width_of(columns[i].title) > width ? width_of(columns[i].title) : width;
    for (size_t i = 0; i < count; i++) {
        char cell[ADMIN_CELL_SIZE];
        if (!value_at(object, columns[i].path))
            continue;
        admin_show_cell(object, &columns[i], cell);
        fprintf(out, "%-*s  %s\n", (int)width, columns[i].title, cell);
    }
}

void admin_show_count(uint64_t value, char *ret_text, size_t size)
{
    char digits[NUMBER_SIZE];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    size_t used = 0;
    for (int i = 0; i < len && used + 2 < size; i++) {
        if (i && (len - i) % 3 == 0)
            ret_text[used++] = ',';
        ret_text[used++] = digits[i];
    }
    ret_text[used] = '\0';
}

void admin_show_size(uint64_t bytes, char *ret_text, size_t size)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1000;
        unit++;
    }
    snprintf(ret_text, size, unit && value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static const json_t *value_at(const json_t *object, const char *path)
{
    char name[64];
    while (object && *path) {
        size_t len = strcspn(path, ".");
        snprintf(name, sizeof(name), "%.*s", (int)len, path);
        object = json_object_get(object, name);
        path += len + (path[len] == '.');
    }
    return object;
}

static void cell_text(struct bytes text, char *ret_cell)
{
    size_t used = 0;
    while (used + QUOTE_UNIT_LEN_MAX < ADMIN_CELL_SIZE) {
        size_t len = quote_next(&text, ret_cell + used, ADMIN_CELL_SIZE - 1 - used);
        if (!len)
            break;
        used += len;
    }
    ret_cell[used] = '\0';
}

static void cell_number(uint64_t value, const struct admin_column *column, char *ret_cell)
{
    enum admin_format format = column->format;
    bool limit = format == ADMIN_SHOW_LIMIT || format == ADMIN_SHOW_SIZE_LIMIT || format == ADMIN_SHOW_AGE_LIMIT;
    if (limit && value == 0)
        snprintf(ret_cell, ADMIN_CELL_SIZE, "none");
    else if (format == ADMIN_SHOW_SIZE || format == ADMIN_SHOW_SIZE_LIMIT)
        admin_show_size(value, ret_cell, ADMIN_CELL_SIZE);
    else if (format == ADMIN_SHOW_AGE || format == ADMIN_SHOW_AGE_LIMIT)
        cell_age(value, ret_cell, ADMIN_CELL_SIZE);
    else if (format == ADMIN_SHOW_COUNT || format == ADMIN_SHOW_LIMIT)
        admin_show_count(value, ret_cell, ADMIN_CELL_SIZE);
    else
        snprintf(ret_cell, ADMIN_CELL_SIZE, "%llu", (unsigned long long)value);
}

// Below a minute with its milliseconds, above without.
static void cell_age(uint64_t ms, char *ret_cell, size_t size)
{
    char text[DURATION_TEXT_SIZE];
    if (ms >= 60000)
        duration_format(ms * 1000000, text);
    else
        duration_format_go(ms * 1000000, text);
    snprintf(ret_cell, size, "%s", text);
}

// Characters, not bytes: as wide as a terminal shows most of them.
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (struct bytes rest = bytes_from_string(text); rest.len; width++) {
        size_t len = utf8_len(rest);
        rest = bytes_make(rest.ptr + (len ? len : 1), rest.len - (len ? len : 1));
    }
    return width;
}

static bool is_number(enum admin_format format)
{
    return format != ADMIN_SHOW_TEXT && format != ADMIN_SHOW_FLAG;
}

static void put_cell(const char *cell, size_t width, bool right, bool last, FILE *out)
{
    int padding = (int)(width - width_of(cell));
    if (right)
        fprintf(out, "%*s%s", padding, "", cell);
    else if (last)
        fputs(cell, out);
    else
        fprintf(out, "%s%*s", cell, padding, "");
    fputs(last ? "\n" : "  ", out);
}

static size_t count_columns(const struct admin_column *columns)
{
    size_t count = 0;
    while (count < COLUMNS_MAX && columns[count].title)
        count++;
    return count;
}
