// SPDX-License-Identifier: Apache-2.0
// What is taken for a verdict on a message, and what for none.
#include "stan/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stan/envelope.h"

#define SECONDS 1000000000ull
#define DAYS    (24 * 3600 * SECONDS)

static int decode(const char *text, struct verdict *ret)
{
    return verdict_decode(bytes_from_string(text), ret);
}

static void progress(void **state)
{
    struct verdict verdict;
    assert_int_equal(decode("+WPI", &verdict), 0);
    assert_true(verdict.kind == VERDICT_IN_PROGRESS && verdict.sequence == 0);
    assert_int_equal(decode("+WPI 17", &verdict), 0);
    assert_int_equal(verdict.sequence, 17);
    assert_int_equal(decode("+WPI 18446744073709551615", &verdict), 0);
    assert_true(verdict.sequence == UINT64_MAX);
}

static void give_back(void **state)
{
    struct verdict verdict;
    assert_int_equal(decode("-NAK", &verdict), 0);
    assert_true(verdict.kind == VERDICT_GIVE_BACK && verdict.sequence == 0 && verdict.delay_ns == 0 && verdict.count);
    assert_int_equal(decode("-NAK 3", &verdict), 0);
    assert_true(verdict.sequence == 3 && verdict.delay_ns == 0 && verdict.count);
    assert_int_equal(decode("-NAK 3 {\"delay\": 5000000000}", &verdict), 0);
    assert_true(verdict.sequence == 3 && verdict.delay_ns == 5 * SECONDS && verdict.count);
    assert_int_equal(decode("-NAK {\"delay\": \"1m30s\", \"count\": false}", &verdict), 0);
    assert_true(verdict.sequence == 0 && verdict.delay_ns == 90 * SECONDS && !verdict.count);
    assert_int_equal(decode("-NAK 3 {\"count\":true,\"of\":\"another version\"}", &verdict), 0);
    assert_true(verdict.delay_ns == 0 && verdict.count);
    assert_int_equal(decode("-NAK 3 {\"delay\":\"8760h\"}", &verdict), 0);
    assert_true(verdict.delay_ns == 365 * DAYS);
    assert_int_equal(decode("-NAK 3 {}", &verdict), 0);
}

static void terminate(void **state)
{
    struct verdict verdict;
    assert_int_equal(decode("+TERM 9", &verdict), 0);
    assert_true(verdict.kind == VERDICT_TERMINATE && verdict.sequence == 9 && verdict.reason.len == 0);
    assert_int_equal(decode("+TERM 9 no such customer", &verdict), 0);
    assert_true(verdict.sequence == 9 && bytes_equal(verdict.reason, BYTES("no such customer")));
}

static void what_is_wrong(void **state)
{
    static const char *const texts[] = {
        "+WPI 0",
        "+WPI x",
        "+WPI 1x",
        "+WPI 1 2",
        "+WPI 18446744073709551616",
        "-NAK 0",
        "-NAK -1",
        "-NAK 1 5s",
        "-NAK 1 {",
        "-NAK 1 []",
        "-NAK 1 {\"delay\":-1}",
        "-NAK 1 {\"delay\":1.5}",
        "-NAK 1 {\"delay\":\"soon\"}",
        "-NAK 1 {\"delay\":\"8761h\"}",
        "-NAK 1 {\"delay\":true}",
        "-NAK 1 {\"count\":0}",
        "-NAK 1 {} {}",
        "+TERM",
        "+TERM 0",
        "+TERM because",
    };
    struct verdict verdict;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(decode(texts[i], &verdict), ERR_INVALID);
    static char longer[VERDICT_OPTIONS_MAX + 20] = "-NAK 1 {\"x\":\"";
    memset(longer + 13, 'x', sizeof(longer) - 14);
    memcpy(longer + sizeof(longer) - 3, "\"}", 3);
    assert_int_equal(decode(longer, &verdict), ERR_INVALID);
}

// An Ack is none of these, whatever it is about, nor is a word that begins like one.
static void acknowledgements(void **state)
{
    struct verdict verdict;
    const char *const others[] = {"", "+", "+WP", "+WPIx", "-NAKED", "+TERMS 1", "-nak 1", "+ACK", " +WPI", "WPI 1"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(decode(others[i], &verdict), ERR_NOT_FOUND);
    const struct bytes acks[] = {BYTES("\x0a\x04+WPI\x10\x01"), BYTES("\x10\x2b"), BYTES("\x0a\x06-NAK 1\x10\x2d")};
    for (size_t i = 0; i < sizeof(acks) / sizeof(acks[0]); i++) {
        struct envelope_ack ack;
        assert_int_equal(envelope_ack_decode(acks[i], &ack), 0);
        assert_int_equal(verdict_decode(acks[i], &verdict), ERR_NOT_FOUND);
        assert_false(verdict_may_be(acks[i]));
    }
    // Read as an Ack it would be one, of nothing.
    struct envelope_ack ack;
    assert_int_equal(envelope_ack_decode(BYTES("-NAK 51234"), &ack), 0);
    assert_true(verdict_may_be(BYTES("-NAK 51234")) && verdict_may_be(BYTES("")) && verdict_may_be(BYTES("+INFO")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress),      cmocka_unit_test(give_back),        cmocka_unit_test(terminate),
        cmocka_unit_test(what_is_wrong), cmocka_unit_test(acknowledgements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
