// SPDX-License-Identifier: Apache-2.0
// Reads through a jansson tree and writes through json_dump_callback(). The depth of hostile JSON is bounded by jansson's
// own limit (2,048), its length by the caller.
#include "codec/json_fields.h"

#include <jansson.h>
#include <limits.h>

#include "base/memory.h"
#include "codec/utf8.h"

enum { FIXED_SEED = 0x57454952 }; // any but 0, which would mean a random one

struct sink {
    char *ptr;
    size_t size;
    size_t len;
};

static json_t *load_repaired(struct bytes json);
static size_t strings_size(const json_t *object, const struct json_field *fields, size_t count);
static int read_field(const json_t *value, const struct json_field *field, void *base, char **at);
static int read_list(const json_t *value, struct bytes *target, char **at);
static int read_number(const json_t *value, enum json_field_type type, void *target);
static int add_field(json_t *object, const struct json_field *field, const void *base);
static json_t *field_value(const struct json_field *field, const void *source, bool *ret_is_empty);
static int append(const char *buffer, size_t size, void *data);

void json_fields_init(void)
{
    json_set_alloc_funcs(mem_alloc, mem_free);
    json_object_seed(FIXED_SEED);
}

int json_fields_read(struct bytes json, const struct json_field *fields, size_t count, void *base, char **ret_owned)
{
    json_t *object = json.len > 0 ? json_loadb(json.ptr, json.len, 0, NULL) : NULL;
    if (!object && json.len > 0)
        object = load_repaired(json);
    char *owned = NULL;
    int error = json_is_object(object) ? 0 : ERR_INVALID;
    if (error)
        goto done;
    owned = mem_alloc(strings_size(object, fields, count));
    char *at = owned;
    for (size_t i = 0; i < count && !error; i++) {
        const json_t *value = json_object_get(object, fields[i].name);
        if (value != NULL && !json_is_null(value))
            error = read_field(value, &fields[i], base, &at);
    }
    if (!error) {
        *ret_owned = owned;
        owned = NULL;
    }
done:
    mem_free(owned);
    json_decref(object);
    return error;
}

int json_fields_write(const char *verb, const struct json_field *fields, size_t count, const void *base, char *ret_line,
                      size_t size, size_t *ret_len)
{
    json_t *object = json_object();
    struct sink sink = {ret_line, size, 0};
    int error = 0;
    for (size_t i = 0; i < count && !error; i++)
        error = add_field(object, &fields[i], base);
    if (error)
        goto done;
    if (append(verb, strlen(verb), &sink) || append(" ", 1, &sink) ||
        json_dump_callback(object, append, &sink, JSON_COMPACT) || append("\r\n", 2, &sink))
        error = ERR_TOO_BIG;
    else
        *ret_len = sink.len;
done:
    json_decref(object);
    return error;
}

static json_t *load_repaired(struct bytes json)
{
    struct buffer text;
    buffer_init(&text, 3 * json.len);
    int error = utf8_repair_json(json, &text);
    bool is_other = !error && !bytes_equal(buffer_bytes(&text), json);
    json_t *object = is_other ? json_loadb(text.ptr, text.len, 0, NULL) : NULL;
    buffer_deinit(&text);
    return object;
}

static size_t strings_size(const json_t *object, const struct json_field *fields, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, fields[i].name);
        size += json_string_length(value);
        for (size_t k = 0; k < json_array_size(value); k++)
            size += json_string_length(json_array_get(value, k)) + 1;
    }
    return size;
}

static int read_field(const json_t *value, const struct json_field *field, void *base, char **at)
{
    void *target = (char *)base + field->offset;
    if (field->type == JSON_FIELD_BYTES) {
        if (!json_is_string(value))
            return ERR_INVALID;
        size_t len = json_string_length(value);
        memcpy(*at, json_string_value(value), len);
        *(struct bytes *)target = bytes_make(*at, len);
        *at += len;
        return 0;
    }
    if (field->type == JSON_FIELD_LIST)
        return read_list(value, target, at);
    if (field->type == JSON_FIELD_BOOL) {
        if (!json_is_boolean(value))
            return ERR_INVALID;
        *(bool *)target = json_is_true(value);
        return 0;
    }
    return read_number(value, field->type, target);
}

static int read_list(const json_t *value, struct bytes *target, char **at)
{
    char *begin = *at;
    if (!json_is_array(value))
        return ERR_INVALID;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        if (!json_is_string(item))
            return ERR_INVALID;
        if (*at > begin)
            *(*at)++ = ',';
        memcpy(*at, json_string_value(item), json_string_length(item));
        *at += json_string_length(item);
    }
    *target = bytes_make(begin, (size_t)(*at - begin));
    return 0;
}

static int read_number(const json_t *value, enum json_field_type type, void *target)
{
    if (!json_is_integer(value))
        return ERR_INVALID;
    int64_t number = json_integer_value(value);
    switch (type) {
    case JSON_FIELD_INT:
        if (number < INT_MIN || number > INT_MAX)
            return ERR_INVALID;
        *(int *)target = (int)number;
        return 0;
    case JSON_FIELD_U16:
        if (number < 0 || number > UINT16_MAX)
            return ERR_INVALID;
        *(uint16_t *)target = (uint16_t)number;
        return 0;
    case JSON_FIELD_U64:
        if (number < 0)
            return ERR_INVALID;
        *(uint64_t *)target = (uint64_t)number;
        return 0;
    case JSON_FIELD_I64: *(int64_t *)target = number; return 0;
    case JSON_FIELD_BYTES:
    case JSON_FIELD_LIST:
    case JSON_FIELD_BOOL: break;
    }
    return ERR_INVALID;
}

static int add_field(json_t *object, const struct json_field *field, const void *base)
{
    bool is_empty = false;
    json_t *value = field_value(field, (const char *)base + field->offset, &is_empty);
    if (value == NULL)
        return ERR_INVALID;
    if (is_empty && !field->always) {
        json_decref(value);
        return 0;
    }
    return json_object_set_new(object, field->name, value) == 0 ? 0 : ERR_INVALID;
}

// NULL: a string that is not UTF-8.
static json_t *field_value(const struct json_field *field, const void *source, bool *ret_is_empty)
{
    int64_t number = 0;
    switch ((enum json_field_type)field->type) {
    case JSON_FIELD_BYTES: {
        struct bytes text = *(const struct bytes *)source;
        *ret_is_empty = text.len == 0;
        return json_stringn(text.len > 0 ? text.ptr : "", text.len);
    }
    case JSON_FIELD_LIST: *ret_is_empty = true; return json_null();
    case JSON_FIELD_BOOL: *ret_is_empty = !*(const bool *)source; return json_boolean(!*ret_is_empty);
    case JSON_FIELD_INT: number = *(const int *)source; break;
    case JSON_FIELD_U16: number = *(const uint16_t *)source; break;
    case JSON_FIELD_U64: number = (int64_t) * (const uint64_t *)source; break;
    case JSON_FIELD_I64: number = *(const int64_t *)source; break;
    }
    *ret_is_empty = number == 0;
    return json_integer(number);
}

// A json_dump_callback_t: nonzero stops.
static int append(const char *buffer, size_t size, void *data)
{
    struct sink *sink = data;
    if (size > sink->size - sink->len)
        return -1;
    memcpy(sink->ptr + sink->len, buffer, size);
    sink->len += size;
    return 0;
}
