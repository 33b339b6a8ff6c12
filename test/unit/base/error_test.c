// SPDX-License-Identifier: Apache-2.0
// Every entry of the table has its own number, name and text.
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    int number;
    const char *name;
} table[] = {
#define X(name, number, text) {name, #name},
    ERROR_TABLE(X)
#undef X
};

static void names_and_texts(void **state)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_true(table[i].number < 0);
        assert_string_equal(error_name(table[i].number), table[i].name);
        assert_true(strlen(error_text(table[i].number)) > 0);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(error_text(table[i].number), error_text(table[j].number));
        }
    }
    assert_string_equal(error_text(ERR_IO), "input/output error");
}

static void numbers_outside_the_table(void **state)
{
    assert_string_equal(error_text(0), "ok");
    assert_string_equal(error_name(0), "OK");
    assert_string_equal(error_name(5), "ERR_UNKNOWN");
    assert_string_equal(error_text(-12345), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_texts),
        cmocka_unit_test(numbers_outside_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
