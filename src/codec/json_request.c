// SPDX-License-Identifier: Apache-2.0
#include "codec/json_request.h"

#include <jansson.h>
#include <stdio.h>

struct reading {
    void *base;
    struct json_request_error *error;
    const char *within; // name of the object, with its dot
};

static int read_object(struct reading *reading, json_t *object, const struct json_request_table *table,
                       uint64_t allowed);
static int read_value(struct reading *reading, const json_t *value, const struct json_request_field *field);
static int read_number(const json_t *value, const struct json_request_field *field, uint64_t *ret);
static int read_numbers(struct reading *reading, const json_t *value, const struct json_request_field *field);
static int refuse(struct reading *reading, enum json_request_problem problem, const char *field, const char *text);
static int refuse_range(struct reading *reading, const struct json_request_field *field, const char *what);

int json_request_read(struct bytes json, const struct json_request_table *table, uint64_t allowed, void *base,
                      void **ret_tree, struct json_request_error *ret_error)
{
    struct reading reading = {base, ret_error, ""};
    json_error_t problem = {.text = ""};
    json_t *tree = json.len ? json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, &problem) : json_object();
    int error = json_is_object(tree)
                    ? read_object(&reading, tree, table, allowed)
                    : refuse(&reading, JSON_REQUEST_NO_OBJECT, "", tree ? "not a JSON object" : problem.text);
    if (error) {
        json_decref(tree);
        return error;
    }
    *ret_tree = tree;
    return 0;
}

void json_request_free(void *tree)
{
    json_decref(tree);
}

static int read_object(struct reading *reading, json_t *object, const struct json_request_table *table,
                       uint64_t allowed)
{
    uint64_t *present = (uint64_t *)(void *)((char *)reading->base + table->present);
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const char *name = json_object_iter_key(at);
        size_t n = 0;
        while (n < table->count && (strcmp(table->fields[n].name, name) != 0 || !(allowed >> n & 1)))
            n++;
        if (n == table->count)
            return refuse(reading, JSON_REQUEST_UNKNOWN, name, "is not a field of this request");
        if (json_is_null(json_object_iter_value(at)))
            continue;
        int error = read_value(reading, json_object_iter_value(at), &table->fields[n]);
        if (error)
            return error;
        *present |= UINT64_C(1) << n;
    }
    return 0;
}

static int read_value(struct reading *reading, const json_t *value, const struct json_request_field *field)
{
    char *target = (char *)reading->base + field->offset;
    switch ((enum json_request_type)field->type) {
    case JSON_REQUEST_TEXT:
        if (!json_is_string(value))
            return refuse(reading, JSON_REQUEST_VALUE, field->name, "must be a string");
        if (json_string_length(value) > field->max)
            return refuse(reading, JSON_REQUEST_VALUE, field->name, "is too long");
        *(struct bytes *)(void *)target = bytes_make(json_string_value(value), json_string_length(value));
        return 0;
    case JSON_REQUEST_FLAG:
        if (!json_is_boolean(value))
            return refuse(reading, JSON_REQUEST_VALUE, field->name, "must be true or false");
        *(bool *)(void *)target = json_is_true(value);
        return 0;
    case JSON_REQUEST_NUMBER:
        return read_number(value, field, (uint64_t *)(void *)target)
                   ? refuse_range(reading, field, "must be an integer")
                   : 0;
    case JSON_REQUEST_NUMBERS: return read_numbers(reading, value, field);
    case JSON_REQUEST_OBJECT: break;
    }
    if (!json_is_object(value))
        return refuse(reading, JSON_REQUEST_VALUE, field->name, "must be an object");
    char within[sizeof(reading->error->field)];
    snprintf(within, sizeof(within), "%s.", field->name);
    struct reading inner = {reading->base, reading->error, within};
    return read_object(&inner, (json_t *)(uintptr_t)value, field->table, UINT64_MAX);
}

static int read_number(const json_t *value, const struct json_request_field *field, uint64_t *ret)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return ERR_INVALID;
    uint64_t number = (uint64_t)json_integer_value(value);
    if (number < field->min || number > field->max)
        return ERR_INVALID;
    *ret = number;
    return 0;
}

static int read_numbers(struct reading *reading, const json_t *value, const struct json_request_field *field)
{
    struct json_request_numbers *numbers = (void *)((char *)reading->base + field->offset);
    numbers->count = json_array_size(value);
    if (!json_is_array(value) || (field->min && numbers->count == 0) || numbers->count > JSON_REQUEST_NUMBERS_MAX)
        return refuse(reading, JSON_REQUEST_VALUE, field->name, "must be an array of 1 to 1000 integers");
    for (size_t i = 0; i < numbers->count; i++) {
        if (read_number(json_array_get(value, i), field, &numbers->at[i]))
            return refuse_range(reading, field, "must be an array of integers");
    }
    return 0;
}

static int refuse(struct reading *reading, enum json_request_problem problem, const char *field, const char *text)
{
    struct json_request_error *error = reading->error;
    error->problem = problem;
    snprintf(error->field, sizeof(error->field), "%s%s", reading->within, field);
    snprintf(error->text, sizeof(error->text), "%s", text);
    return ERR_INVALID;
}

static int refuse_range(struct reading *reading, const struct json_request_field *field, const char *what)
{
    char text[JSON_REQUEST_TEXT_SIZE];
    snprintf(text, sizeof(text), "%s from %llu to %llu", what, (unsigned long long)field->min,
             (unsigned long long)field->max);
    return refuse(reading, JSON_REQUEST_VALUE, field->name, text);
}
