// SPDX-License-Identifier: Apache-2.0
#include "cmd/admin_value.h"

#include <string.h>

#include "base/number.h"
#include "codec/duration.h"
#include "codec/size.h"

enum { COMPLAINT_SIZE = 128, WORD_SIZE = 64 };

static const uint64_t max_ns = INT64_MAX;

static json_t *read_durations(const char *command, const char *what, const char *text);
static json_t *complain(const char *command, const char *what, const char *takes, const char *text);

json_t *admin_value_read(const char *command, const char *what, enum admin_type type, const char *text)
{
    uint64_t number;
    json_t *value;
    switch (type) {
    case ADMIN_TEXT: value = json_string(text); return value ? value : complain(command, what, "UTF-8", text);
    case ADMIN_NUMBER:
        if (number_parse_u64(bytes_from_string(text), INT64_MAX, &number))
            return complain(command, what, "a number", text);
        return json_integer((json_int_t)number);
    case ADMIN_SIZE:
        if (size_parse(bytes_from_string(text), &number))
            return complain(command, what, "a size (1024, 64K, 10M, 1G)", text);
        return json_integer((json_int_t)number);
    case ADMIN_DURATION: return admin_value_ms(command, what, text, &number) ? NULL : json_integer((json_int_t)number);
    case ADMIN_DURATIONS: return read_durations(command, what, text);
    case ADMIN_TRUE: return json_true();
    }
    return NULL;
}

int admin_value_ms(const char *command, const char *what, const char *text, uint64_t *ret_ms)
{
    uint64_t ns;
    if (duration_parse(bytes_from_string(text), max_ns, &ns)) {
        complain(command, what, "a duration (250ms, 30s, 1h30m, 2d)", text);
        return 2;
    }
    *ret_ms = ns / 1000000;
    return 0;
}

static json_t *read_durations(const char *command, const char *what, const char *text)
{
    json_t *list = json_array();
    while (*text) {
        char word[WORD_SIZE];
        size_t len = strcspn(text, ",");
        snprintf(word, sizeof(word), "%.*s", (int)(len < WORD_SIZE ? len : WORD_SIZE - 1), text);
        uint64_t ms;
        if (admin_value_ms(command, what, word, &ms)) {
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, json_integer((json_int_t)ms));
        text += len + (text[len] == ',');
    }
    return list;
}

static json_t *complain(const char *command, const char *what, const char *takes, const char *text)
{
    char complaint[COMPLAINT_SIZE];
    snprintf(complaint, sizeof(complaint), "%s takes %s", what, takes);
    client_complain(command, complaint, text);
    return NULL;
}
