// SPDX-License-Identifier: Apache-2.0
// Names of channels (ST-E01, ST-B17) and clients (ST-E06).
#include "stan/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void channel_names(void **state)
{
    const char *good[] = {"a", "a.b", "training.jobs", "with blank", "Gru\xc3\x9f", "$x", "UPPER.lower"};
    const char *bad[] = {"",    ".",   ".a",  "a.",          "a..b",         "a/b",
                         "a.*", "a.>", "a*b", "caf\xc3\x28", "\xed\xa0\x80", "\xf5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(channel_name_is_valid(bytes_from_string(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(channel_name_is_valid(bytes_from_string(bad[i])));
    char name[CHANNEL_NAME_MAX + 1];
    memset(name, 'x', sizeof(name));
    assert_true(channel_name_is_valid(bytes_make(name, CHANNEL_NAME_MAX)));
    assert_false(channel_name_is_valid(bytes_make(name, CHANNEL_NAME_MAX + 1)));
    assert_false(channel_name_is_valid(bytes_make("a\0b", 3)));
}

static void client_ids(void **state)
{
    const char *bad[] = {"", "a.b", "a b", "a/b", "\xc3\xb6", "a\n"};
    assert_true(channel_client_id_is_valid(BYTES("Worker_1-x")));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(channel_client_id_is_valid(bytes_from_string(bad[i])));
}

static void utf8(void **state)
{
    assert_true(channel_text_is_valid(BYTES("")));
    assert_true(channel_text_is_valid(BYTES("\xf4\x8f\xbf\xbf")));
    assert_false(channel_text_is_valid(BYTES("\xf4\x90\x80\x80"))); // above 10FFFF
    assert_false(channel_text_is_valid(BYTES("\xc0\x80")));         // overlong
    assert_false(channel_text_is_valid(BYTES("\xe0\x80\x80")));
    assert_false(channel_text_is_valid(BYTES("\xf0\x80\x80\x80")));
    assert_false(channel_text_is_valid(BYTES("\xe2\x82"))); // cut off
    assert_false(channel_text_is_valid(BYTES("\x80")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(channel_names), cmocka_unit_test(client_ids),
                                       cmocka_unit_test(utf8)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
