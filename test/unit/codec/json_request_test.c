// SPDX-License-Identifier: Apache-2.0
#include "codec/json_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/json_fields.h"

struct request {
    uint64_t present, inner_present;
    struct bytes name;
    bool force;
    uint64_t limit, size;
    struct json_request_numbers numbers;
};

enum { NAME, FORCE, LIMIT, NUMBERS, INNER };

static const struct json_request_field INNER_FIELDS[] = {
    {"size", offsetof(struct request, size), JSON_REQUEST_NUMBER, 0, 9, NULL},
};
static const struct json_request_table INNER_TABLE = {INNER_FIELDS, 1, offsetof(struct request, inner_present)};
static const struct json_request_field FIELDS[] = {
    [NAME] = {"name", offsetof(struct request, name), JSON_REQUEST_TEXT, 0, 5, NULL},
    [FORCE] = {"force", offsetof(struct request, force), JSON_REQUEST_FLAG, 0, 0, NULL},
    [LIMIT] = {"limit", offsetof(struct request, limit), JSON_REQUEST_NUMBER, 1, 1000, NULL},
    [NUMBERS] = {"numbers", offsetof(struct request, numbers), JSON_REQUEST_NUMBERS, 1, INT64_MAX, NULL},
    [INNER] = {"inner", 0, JSON_REQUEST_OBJECT, 0, 0, &INNER_TABLE},
};
static const struct json_request_table TABLE = {FIELDS, 5, offsetof(struct request, present)};

static void what_is_there_is_read(void **state)
{
    struct request request = {.limit = 7};
    struct json_request_error error;
    void *tree;
    struct bytes json = BYTES(" {\"name\":\"a\\u00e9\",\"force\":true,\"limit\":null,\"numbers\":[1,9007199254740993],"
                              "\"inner\":{\"size\":9}} ");
    assert_int_equal(json_request_read(json, &TABLE, UINT64_MAX, &request, &tree, &error), 0);
    assert_true(bytes_equal(request.name, BYTES("a\xc3\xa9")));
    assert_true(request.force);
    assert_int_equal(request.limit, 7);
    assert_int_equal(request.present, 1 << NAME | 1 << FORCE | 1 << NUMBERS | 1 << INNER);
    assert_int_equal(request.numbers.count, 2);
    assert_int_equal(request.numbers.at[1], 9007199254740993);
    assert_int_equal(request.inner_present, 1);
    assert_int_equal(request.size, 9);
    json_request_free(tree);
    // Nothing is an object without fields.
    request = (struct request){0};
    assert_int_equal(json_request_read(bytes_make(NULL, 0), &TABLE, 0, &request, &tree, &error), 0);
    assert_int_equal(request.present, 0);
    json_request_free(tree);
}

static void everything_else_is_refused(void **state)
{
    static const struct {
        const char *json;
        enum json_request_problem problem;
        const char *field, *text;
    } cases[] = {
        {"[]", JSON_REQUEST_NO_OBJECT, "", "not a JSON object"},
        {"1", JSON_REQUEST_NO_OBJECT, "", NULL},
        {"{\"limit\":1", JSON_REQUEST_NO_OBJECT, "", NULL},
        {"{} {}", JSON_REQUEST_NO_OBJECT, "", NULL},
        {"{\"limit\":1,\"limit\":2}", JSON_REQUEST_NO_OBJECT, "", NULL},
        {"{\"name\":\"\xff\"}", JSON_REQUEST_NO_OBJECT, "", NULL},
        {"{\"limit\":99999999999999999999}", JSON_REQUEST_NO_OBJECT, "", NULL},
        {"{\"limits\":1}", JSON_REQUEST_UNKNOWN, "limits", "is not a field of this request"},
        {"{\"inner\":{\"sise\":1}}", JSON_REQUEST_UNKNOWN, "inner.sise", NULL},
        {"{\"name\":1}", JSON_REQUEST_VALUE, "name", "must be a string"},
        {"{\"name\":\"abcdef\"}", JSON_REQUEST_VALUE, "name", "is too long"},
        {"{\"force\":1}", JSON_REQUEST_VALUE, "force", "must be true or false"},
        {"{\"limit\":0}", JSON_REQUEST_VALUE, "limit", "must be an integer from 1 to 1000"},
        {"{\"limit\":1001}", JSON_REQUEST_VALUE, "limit", NULL},
        {"{\"limit\":-1}", JSON_REQUEST_VALUE, "limit", NULL},
        {"{\"limit\":1.0}", JSON_REQUEST_VALUE, "limit", NULL},
        {"{\"limit\":\"1\"}", JSON_REQUEST_VALUE, "limit", NULL},
        {"{\"numbers\":1}", JSON_REQUEST_VALUE, "numbers", "must be an array of 1 to 1000 integers"},
        {"{\"numbers\":[]}", JSON_REQUEST_VALUE, "numbers", NULL},
        {"{\"numbers\":[1,0]}", JSON_REQUEST_VALUE, "numbers", NULL},
        {"{\"inner\":[]}", JSON_REQUEST_VALUE, "inner", "must be an object"},
        {"{\"inner\":{\"size\":10}}", JSON_REQUEST_VALUE, "inner.size", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct request request = {0};
        struct json_request_error error;
        void *tree;
        struct bytes json = bytes_from_string(cases[i].json);
        assert_int_equal(json_request_read(json, &TABLE, UINT64_MAX, &request, &tree, &error), ERR_INVALID);
        assert_int_equal(error.problem, cases[i].problem);
        assert_string_equal(error.field, cases[i].field);
        assert_true(error.text[0] != 0);
        if (cases[i].text)
            assert_string_equal(error.text, cases[i].text);
    }
}

static void a_field_of_another_request_is_unknown(void **state)
{
    struct request request = {0};
    struct json_request_error error;
    void *tree;
    assert_int_equal(json_request_read(BYTES("{\"limit\":1}"), &TABLE, 1 << NAME, &request, &tree, &error),
                     ERR_INVALID);
    assert_int_equal(error.problem, JSON_REQUEST_UNKNOWN);
}

static void too_much_is_refused(void **state)
{
    static char text[200000];
    struct request request = {0};
    struct json_request_error error;
    void *tree;
    memset(text, '[', sizeof(text));
    assert_int_equal(json_request_read(bytes_make(text, sizeof(text)), &TABLE, UINT64_MAX, &request, &tree, &error),
                     ERR_INVALID);
    assert_int_equal(error.problem, JSON_REQUEST_NO_OBJECT);
    size_t len = (size_t)snprintf(text, sizeof(text), "{\"numbers\":[1");
    for (int i = 0; i < JSON_REQUEST_NUMBERS_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, ",1");
    len += (size_t)snprintf(text + len, sizeof(text) - len, "]}");
    assert_int_equal(json_request_read(bytes_make(text, len), &TABLE, UINT64_MAX, &request, &tree, &error),
                     ERR_INVALID);
    assert_int_equal(error.problem, JSON_REQUEST_VALUE);
}

int main(void)
{
    json_fields_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_is_read),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(a_field_of_another_request_is_unknown),
        cmocka_unit_test(too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
