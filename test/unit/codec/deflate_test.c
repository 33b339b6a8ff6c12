// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/prng.h"
#include "codec/deflate.h"

// Inflates a message that arrives `cut` bytes at a time into room for `size`.
static int inflate_all(struct inflater *inflater, struct bytes packed, size_t cut, size_t size, struct buffer *out)
{
    buffer_clear(out);
    do {
        struct bytes piece = bytes_make(packed.ptr, packed.len < cut ? packed.len : cut);
        packed = bytes_skip(packed, piece.len);
        size_t len;
        do {
            char *to = buffer_reserve(out, size);
            int error = inflater_step(inflater, &piece, packed.len == 0, to, size, &len);
            if (error)
                return error;
            buffer_commit(out, len);
        } while (piece.len > 0 || len == size);
    } while (packed.len > 0);
    return 0;
}

static void what_was_deflated_comes_back_however_it_is_cut(void **state)
{
    struct prng prng;
    prng_seed(&prng, 7);
    struct deflater *deflater = deflater_new();
    struct inflater *inflater = inflater_new();
    struct buffer packed, out;
    buffer_init(&packed, 1 << 20);
    buffer_init(&out, 1 << 20);
    static char text[100000];
    for (int round = 0; round < 60; round++) {
        size_t len = prng_below(&prng, round < 30 ? 300 : sizeof(text));
        uint64_t letters = 1 + prng_below(&prng, 255);
        for (size_t i = 0; i < len; i++)
            text[i] = (char)prng_below(&prng, letters);
        size_t split = prng_below(&prng, len + 1);
        struct bytes parts[] = {bytes_make(text, split), bytes_make(text + split, len - split)};
        assert_int_equal(deflater_message(deflater, parts, 2, &packed), 0);
        inflater_begin(inflater, len);
        size_t cut = 1 + prng_below(&prng, 2000);
        assert_int_equal(inflate_all(inflater, buffer_bytes(&packed), cut, 1 + prng_below(&prng, 5000), &out), 0);
        assert_true(bytes_equal(buffer_bytes(&out), bytes_make(text, len)));
    }
    buffer_deinit(&packed);
    buffer_deinit(&out);
    deflater_free(deflater);
    inflater_free(inflater);
}

// RFC 7692, section 7.2.3: one block, a stored block, a final block with another behind it, two blocks.
static void the_messages_of_the_rfc_are_read(void **state)
{
    static const struct bytes MESSAGES[] = {
        {"\xf2\x48\xcd\xc9\xc9\x07\x00", 7},
        {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11},
        {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8},
        {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13},
    };
    struct inflater *inflater = inflater_new();
    struct buffer out;
    buffer_init(&out, 1 << 20);
    for (size_t i = 0; i < sizeof(MESSAGES) / sizeof(MESSAGES[0]); i++) {
        for (size_t cut = 1; cut < 14; cut++) {
            inflater_begin(inflater, 5);
            assert_int_equal(inflate_all(inflater, MESSAGES[i], cut, 3, &out), 0);
            assert_true(bytes_equal(buffer_bytes(&out), BYTES("Hello")));
        }
    }
    buffer_deinit(&out);
    inflater_free(inflater);
}

static void more_than_agreed_is_refused(void **state)
{
    struct deflater *deflater = deflater_new();
    struct inflater *inflater = inflater_new();
    struct buffer packed, out;
    buffer_init(&packed, 1 << 20);
    buffer_init(&out, 1 << 20);
    static char zeroes[500000];
    struct bytes part = bytes_make(zeroes, sizeof(zeroes));
    assert_int_equal(deflater_message(deflater, &part, 1, &packed), 0);
    assert_true(packed.len < sizeof(zeroes) / 100);
    inflater_begin(inflater, sizeof(zeroes) - 1);
    assert_int_equal(inflate_all(inflater, buffer_bytes(&packed), 1000, 4096, &out), ERR_TOO_BIG);
    inflater_begin(inflater, sizeof(zeroes));
    assert_int_equal(inflate_all(inflater, buffer_bytes(&packed), 1000, 4096, &out), 0);
    buffer_deinit(&packed);
    buffer_init(&packed, 100);
    assert_int_equal(deflater_message(deflater, &part, 1, &packed), ERR_TOO_BIG);
    buffer_deinit(&packed);
    buffer_deinit(&out);
    deflater_free(deflater);
    inflater_free(inflater);
}

static void garbage_is_refused_and_harms_no_later_message(void **state)
{
    struct inflater *inflater = inflater_new();
    struct buffer out;
    buffer_init(&out, 1 << 20);
    inflater_begin(inflater, 1000);
    assert_int_equal(inflate_all(inflater, BYTES("\xff\xff\xff\xff"), 4, 100, &out), ERR_CORRUPT);
    inflater_begin(inflater, 1000);
    assert_int_equal(inflate_all(inflater, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), 4, 100, &out), 0);
    assert_true(bytes_equal(buffer_bytes(&out), BYTES("Hello")));
    buffer_deinit(&out);
    inflater_free(inflater);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_deflated_comes_back_however_it_is_cut),
        cmocka_unit_test(the_messages_of_the_rfc_are_read),
        cmocka_unit_test(more_than_agreed_is_refused),
        cmocka_unit_test(garbage_is_refused_and_harms_no_later_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
