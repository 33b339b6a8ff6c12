// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cmd/server_list.h"

#include <string.h>

static struct server_list list;

static void each_has_an_address_and_a_name_without_secrets(void **state)
{
    assert_int_equal(server_list_init(&list, "nats://me:secret@a:4223, b\t,, ,tls://[::1]:99/"), 0);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.entries[0].url, "nats://me:secret@a:4223");
    assert_string_equal(list.entries[0].name, "a:4223");
    assert_string_equal(list.entries[1].name, "b:4222");
    assert_string_equal(list.entries[2].name, "[::1]:99");
    server_list_deinit(&list);
}

static void what_is_no_list_is_refused_and_leaves_nothing(void **state)
{
    static const char *const wrong[] = {"", ",", " ", "a,http://b", "a,:::", "a b"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(server_list_init(&list, wrong[i]), ERR_INVALID);
        assert_int_equal(list.count, 0);
    }
}

static void there_is_a_limit(void **state)
{
    char text[2 * SERVER_LIST_MAX + 3] = "";
    for (size_t i = 0; i < SERVER_LIST_MAX; i++)
        memcpy(text + 2 * i, "a,", 3);
    assert_int_equal(server_list_init(&list, text), 0);
    assert_int_equal(list.count, SERVER_LIST_MAX);
    server_list_deinit(&list);
    memcpy(text + strlen(text), "a", 2);
    assert_int_equal(server_list_init(&list, text), ERR_LIMIT);
    assert_int_equal(list.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_an_address_and_a_name_without_secrets),
        cmocka_unit_test(what_is_no_list_is_refused_and_leaves_nothing),
        cmocka_unit_test(there_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
