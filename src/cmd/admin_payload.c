// SPDX-License-Identifier: Apache-2.0
#include "cmd/admin_payload.h"

#include <string.h>

#include "base/memory.h"
#include "cmd/terminal.h"
#include "codec/base64.h"

static const struct admin_column fields[] = {
    {"Sequence", "sequence", ADMIN_SHOW_COUNT}, {"Published", "time", ADMIN_SHOW_TEXT},
    {"Subject", "subject", ADMIN_SHOW_TEXT},    {"Size", "size", ADMIN_SHOW_SIZE},
    {"Cut off", "truncated", ADMIN_SHOW_TEXT},  {0},
};

static char *decode(const json_t *answer, size_t *ret_len);
static void put_text(const json_t *text, FILE *out);

void admin_payload_show(const json_t *answer, FILE *out)
{
    const json_t *headers = json_object_get(answer, "headers"), *pair;
    size_t i, len;
    admin_show_fields(answer, fields, out);
    fputc('\n', out);
    json_array_foreach(headers, i, pair)
    {
        put_text(json_array_get(pair, 0), out);
        fputs(": ", out);
        put_text(json_array_get(pair, 1), out);
        fputc('\n', out);
    }
    if (json_array_size(headers))
        fputc('\n', out);
    char *data = decode(answer, &len);
    terminal_print(bytes_make(data, len), false, out);
    fputc('\n', out);
    mem_free(data);
}

void admin_payload_show_raw(const json_t *answer, FILE *out)
{
    size_t len;
    char *data = decode(answer, &len);
    fwrite(data, 1, len, out);
    mem_free(data);
}

// What is not base64 counts as nothing.
static char *decode(const json_t *answer, size_t *ret_len)
{
    const json_t *data = json_object_get(answer, "data");
    struct bytes text = bytes_make(json_string_value(data), json_string_length(data));
    size_t size = BASE64_DECODED_LEN(text.len);
    char *decoded = mem_alloc(size);
    *ret_len = 0;
    if (base64_decode(text, BASE64_STANDARD, decoded, size, ret_len))
        *ret_len = 0;
    return decoded;
}

static void put_text(const json_t *text, FILE *out)
{
    terminal_print(bytes_make(json_string_value(text), json_string_length(text)), true, out);
}
