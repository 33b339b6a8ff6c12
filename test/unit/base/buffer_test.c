// SPDX-License-Identifier: Apache-2.0
// Growth, the maximum (and that a refused call changes nothing), consumption, formatted text.
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/prng.h"

static void assert_content(const struct buffer *buffer, const char *expected)
{
    struct bytes bytes = buffer_bytes(buffer);
    assert_int_equal(bytes.len, strlen(expected));
    assert_memory_equal(bytes.ptr, expected, bytes.len);
}

static void appends_up_to_the_maximum(void **state)
{
    struct buffer buffer;
    buffer_init(&buffer, 10);
    assert_null(buffer.ptr);
    assert_int_equal(buffer_append(&buffer, BYTES("")), 0);
    assert_int_equal(buffer_append(&buffer, BYTES("12345678")), 0);
    assert_int_equal(buffer_append(&buffer, BYTES("abc")), ERR_TOO_BIG);
    assert_content(&buffer, "12345678");
    assert_int_equal(buffer_append_char(&buffer, '9'), 0);
    assert_int_equal(buffer_append_char(&buffer, '0'), 0);
    assert_int_equal(buffer_append_char(&buffer, '!'), ERR_TOO_BIG);
    assert_content(&buffer, "1234567890");
    assert_true(buffer.cap <= 10);
    buffer_deinit(&buffer);
    assert_null(buffer.ptr);
    assert_int_equal(buffer.max, 10);
}

static void reserves_and_commits(void **state)
{
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    assert_null(buffer_reserve(&buffer, 1001));
    assert_null(buffer_reserve(&buffer, SIZE_MAX));
    char *to = buffer_reserve(&buffer, 1000);
    memset(to, 'x', 1000);
    buffer_commit(&buffer, 3);
    assert_content(&buffer, "xxx");
    assert_null(buffer_reserve(&buffer, 998));
    assert_null(buffer_reserve(&buffer, SIZE_MAX));
    assert_non_null(buffer_reserve(&buffer, 997));
    buffer_clear(&buffer);
    assert_content(&buffer, "");
    assert_int_equal(buffer.cap, 1000);
    buffer_shrink(&buffer);
    assert_int_equal(buffer.cap, 0);
    buffer_deinit(&buffer);
}

static void consumes_from_the_front(void **state)
{
    struct buffer buffer;
    buffer_init(&buffer, 100);
    assert_int_equal(buffer_append(&buffer, BYTES("PUB foo 3")), 0);
    buffer_consume(&buffer, 0);
    buffer_consume(&buffer, 4);
    assert_content(&buffer, "foo 3");
    buffer_shrink(&buffer);
    assert_content(&buffer, "foo 3");
    buffer_consume(&buffer, 5);
    assert_content(&buffer, "");
    buffer_deinit(&buffer);
}

static void formats_at_every_fill(void **state)
{
    for (size_t max = 0; max < 200; max++) {
        struct buffer buffer;
        char expected[300] = "";
        buffer_init(&buffer, max);
        for (int i = 0; i < 40; i++) {
            char text[32];
            int size = snprintf(text, sizeof(text), "<%d %s>", i * i, "ab");
            if (strlen(expected) + (size_t)size <= max) {
                assert_int_equal(buffer_printf(&buffer, "<%d %s>", i * i, "ab"), 0);
                memcpy(expected + strlen(expected), text, (size_t)size + 1);
            } else {
                assert_int_equal(buffer_printf(&buffer, "<%d %s>", i * i, "ab"), ERR_TOO_BIG);
                break;
            }
        }
        // The last bytes, without room for vsnprintf's NUL.
        while (buffer.len < max) {
            assert_int_equal(buffer_printf(&buffer, "%c", 'z'), 0);
            memcpy(expected + strlen(expected), "z", 2);
        }
        assert_int_equal(buffer_printf(&buffer, "%s", ""), 0);
        assert_int_equal(buffer_printf(&buffer, "%s", "y"), ERR_TOO_BIG);
        assert_content(&buffer, expected);
        buffer_deinit(&buffer);
    }
}

static void follows_a_model(void **state)
{
    struct prng prng;
    struct buffer buffer;
    static char model[5000];
    size_t len = 0;
    prng_seed(&prng, 7);
    buffer_init(&buffer, sizeof(model));
    for (int step = 0; step < 20000; step++) {
        char piece[300];
        size_t n = prng_below(&prng, sizeof(piece));
        if (prng_chance(&prng, 1, 2)) {
            memset(piece, (int)prng_below(&prng, 256), n);
            int err = buffer_append(&buffer, bytes_make(piece, n));
            assert_int_equal(err, len + n > sizeof(model) ? ERR_TOO_BIG : 0);
            if (!err) {
                memcpy(model + len, piece, n);
                len += n;
            }
        } else {
            n = n < len ? n : len;
            buffer_consume(&buffer, n);
            memmove(model, model + n, len - n);
            len -= n;
        }
        assert_true(bytes_equal(buffer_bytes(&buffer), bytes_make(model, len)));
        assert_true(buffer.cap <= buffer.max);
    }
    buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_up_to_the_maximum), cmocka_unit_test(reserves_and_commits),
        cmocka_unit_test(consumes_from_the_front),   cmocka_unit_test(formats_at_every_fill),
        cmocka_unit_test(follows_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
