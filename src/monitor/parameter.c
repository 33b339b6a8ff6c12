// SPDX-License-Identifier: Apache-2.0
#include "monitor/parameter.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

static bool refuse_range(struct page *page, const char *type, const char *name, const char *function, const char *text);
static bool is_number(const char *text, bool is_signed);

bool parameter_bool(struct page *page, const char *name, bool *value)
{
    static const char *const words[2][6] = {{"0", "f", "F", "false", "False", "FALSE"},
                                            {"1", "t", "T", "true", "True", "TRUE"}};
    char text[PARAMETER_TEXT_SIZE] = "";
    if (!parameter_text(page, name, text))
        return false;
    if (text[0] == '\0')
        return true;
    for (size_t i = 0; i < 12; i++) {
        if (strcmp(text, words[i / 6][i % 6]) == 0) {
            *value = i / 6 == 1;
            return true;
        }
    }
    parameter_refuse(page, "Error decoding boolean for '%s': strconv.ParseBool: parsing \"%s\": invalid syntax", name,
                     text);
    return false;
}

bool parameter_int(struct page *page, const char *name, int64_t *value)
{
    char text[PARAMETER_TEXT_SIZE] = "";
    if (!parameter_text(page, name, text))
        return false;
    if (text[0] == '\0')
        return true;
    if (!is_number(text, true)) {
        parameter_refuse(page, "Error decoding int for '%s': strconv.Atoi: parsing \"%s\": invalid syntax", name, text);
        return false;
    }
    *value = strtoll(text, NULL, 10); // the ends of the range also stand for what lies beyond
    return *value > INT64_MIN && *value < INT64_MAX ? true : refuse_range(page, "int", name, "Atoi", text);
}

bool parameter_uint(struct page *page, const char *name, uint64_t *value)
{
    char text[PARAMETER_TEXT_SIZE] = "";
    if (!parameter_text(page, name, text))
        return false;
    if (text[0] == '\0')
        return true;
    if (!is_number(text, false)) {
        parameter_refuse(page, "Error decoding uint64 for '%s': strconv.ParseUint: parsing \"%s\": invalid syntax",
                         name, text);
        return false;
    }
    *value = strtoull(text, NULL, 10);
    return *value < UINT64_MAX ? true : refuse_range(page, "uint64", name, "ParseUint", text);
}

bool parameter_text(struct page *page, const char *name, char value[PARAMETER_TEXT_SIZE])
{
    char text[PARAMETER_TEXT_SIZE];
    int error = http_query_find(page->request->query, bytes_from_string(name), text, sizeof(text));
    if (error == ERR_NOT_FOUND)
        return true;
    if (error) {
        parameter_refuse(page, "'%s' is %s", name, error == ERR_TOO_BIG ? "too long" : "not decodable");
        return false;
    }
    memcpy(value, text, strlen(text) + 1);
    return true;
}

int64_t parameter_lenient_int(const struct page *page, const char *name)
{
    char text[32];
    if (http_query_find(page->request->query, bytes_from_string(name), text, sizeof(text)) || !is_number(text, true))
        return 0;
    int64_t value = strtoll(text, NULL, 10);
    return value > INT64_MIN && value < INT64_MAX ? value : 0;
}

void parameter_refuse(struct page *page, const char *format, ...)
{
    char text[2 * PARAMETER_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    page->status = 400;
    page->content_type = BYTES("text/plain; charset=utf-8");
    buffer_clear(page->body);
    must(buffer_append(page->body, bytes_from_string(text)) == 0);
}

static bool refuse_range(struct page *page, const char *type, const char *name, const char *function, const char *text)
{
    parameter_refuse(page, "Error decoding %s for '%s': strconv.%s: parsing \"%s\": value out of range", type, name,
                     function, text);
    return false;
}

static bool is_number(const char *text, bool is_signed)
{
    if (is_signed && (*text == '-' || *text == '+'))
        text++;
    if (*text == '\0')
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
    }
    return true;
}
