// SPDX-License-Identifier: Apache-2.0
// CO-S06, allow_responses: how often, how long, and that what is remembered has an end.
#include "auth/replies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_count(void **state)
{
    struct replies *replies = replies_new(2, AUTH_UNLIMITED, 1);
    assert_false(replies_take(replies, BYTES("a"), 0));
    replies_add(replies, BYTES("a"), 0);
    assert_true(replies_take(replies, BYTES("a"), 0));
    assert_true(replies_take(replies, BYTES("a"), 1000000));
    assert_false(replies_take(replies, BYTES("a"), 0));
    assert_int_equal(replies_count(replies), 0);
    replies_add(replies, BYTES("a"), 0);
    assert_true(replies_take(replies, BYTES("a"), 0));
    replies_add(replies, BYTES("a"), 0); // begins anew
    assert_true(replies_take(replies, BYTES("a"), 0));
    assert_true(replies_take(replies, BYTES("a"), 0));
    assert_false(replies_take(replies, BYTES("a"), 0));
    replies_free(replies);
}

static void test_time(void **state)
{
    struct replies *replies = replies_new(AUTH_UNLIMITED, 300000000, 1);
    replies_add(replies, BYTES("a"), 1000);
    for (int i = 0; i < 100; i++)
        assert_true(replies_take(replies, BYTES("a"), 1300));
    assert_false(replies_take(replies, BYTES("a"), 1301));
    assert_int_equal(replies_count(replies), 0);
    replies_add(replies, BYTES("a"), 2000);
    replies_add(replies, BYTES("b"), 2200);
    replies_add(replies, BYTES("a"), 2400); // moves behind b
    replies_add(replies, BYTES("c"), 2501); // drops b
    assert_int_equal(replies_count(replies), 2);
    assert_false(replies_take(replies, BYTES("b"), 2501));
    assert_true(replies_take(replies, BYTES("a"), 2501));
    replies_free(replies);
}

static void test_bound(void **state)
{
    struct replies *replies = replies_new(1, AUTH_UNLIMITED, 1);
    char text[32];
    for (int i = 0; i < REPLIES_MAX + 10; i++)
        replies_add(replies, bytes_make(text, (size_t)snprintf(text, sizeof(text), "r.%d", i)), 0);
    assert_int_equal(replies_count(replies), REPLIES_MAX);
    assert_false(replies_take(replies, BYTES("r.9"), 0));
    assert_true(replies_take(replies, BYTES("r.10"), 0));
    replies_free(replies);
    replies_free(NULL);
}

// Long subjects: few are remembered, the newest.
static void test_bytes_bound(void **state)
{
    static char text[REPLIES_BYTES_MAX + 1];
    const size_t len = 1024 * 1024;
    struct replies *replies = replies_new(1, AUTH_UNLIMITED, 1);
    memset(text, 'a', sizeof(text));
    for (char i = 0; i < 10; i++) {
        text[0] = (char)('a' + i);
        replies_add(replies, bytes_make(text, len), 0);
    }
    assert_int_equal(replies_count(replies), REPLIES_BYTES_MAX / len);
    text[0] = 'b';
    assert_false(replies_take(replies, bytes_make(text, len), 0));
    text[0] = 'c';
    assert_true(replies_take(replies, bytes_make(text, len), 0));
    assert_int_equal(replies_count(replies), REPLIES_BYTES_MAX / len - 1);
    replies_add(replies, bytes_make(text, sizeof(text)), 0);
    assert_int_equal(replies_count(replies), REPLIES_BYTES_MAX / len - 1);
    replies_add(replies, bytes_make(text, REPLIES_BYTES_MAX), 0);
    assert_int_equal(replies_count(replies), 1);
    replies_free(replies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_bytes_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
