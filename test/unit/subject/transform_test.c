// SPDX-License-Identifier: Apache-2.0
// CO-S08: mapping of subjects by prefix, stars and numbered wildcards, and back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "subject/subject.h"
#include "subject/transform.h"

static void expect(const char *source, const char *destination, const char *subject, const char *mapped)
{
    struct transform *transform;
    assert_int_equal(transform_new(bytes_from_string(source), bytes_from_string(destination), &transform), 0);
    char text[256];
    size_t len = transform_apply(transform, bytes_from_string(subject), text, sizeof(text) - 1);
    text[len] = '\0';
    assert_string_equal(text, mapped);
    assert_int_equal(transform_apply(transform, bytes_from_string(subject), NULL, 0), len);
    transform_free(transform);
}

static void test_maps(void **state)
{
    expect("s.>", "from.a.s.>", "s.one.two", "from.a.s.one.two");
    expect("s.>", ">", "s.one.two", "one.two");
    expect("p.*", "priv.*", "p.x", "priv.x");
    expect("tr.*.*", "rt.$2.$1", "tr.y.x", "rt.x.y");
    expect("tr.*.*", "rt.{{wildcard(2)}}", "tr.y.x", "rt.x");
    expect("a.*.c.>", "z.>", "a.b.c.d.e", "z.d.e");
    expect("lit", "other.lit", "lit", "other.lit");
    expect("a.*", "all", "a.b", "all");
    expect(">", "p.>", "x", "p.x");
    expect("a.*", "$x.$.*", "a.b", "$x.$.b"); // no reference, no number
}

static void test_what_does_not_match_maps_to_nothing(void **state)
{
    expect("a.*", "b.*", "a", "");
    expect("a.*", "b.*", "a.b.c", "");
    expect("a.*", "b.*", "x.b", "");
    expect("a.>", "b.>", "a", "");
    expect("a.b", "c", "a.b.c", "");
}

static void test_refuses(void **state)
{
    static const char *const BAD[][2] = {{"a..b", "c"},   {"a.>.b", "c"},      {"a.*", "b.*.*"}, {"a.*", "b.$2"},
                                         {"a.*", "b.>"},  {"a.>", "b.>.c"},    {"a", ""},        {"a", "b."},
                                         {"a", "b..c"},   {"a", ".b"},         {"*.*", "$1.*"},  {"a", "b c"},
                                         {"a.*", "b.$9"}, {"a.*", "b.$0001.>"}};
    struct transform *transform = NULL;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(transform_new(bytes_from_string(BAD[i][0]), bytes_from_string(BAD[i][1]), &transform),
                         ERR_INVALID);
    char many[2 * TRANSFORM_WILDCARDS_MAX + 2];
    for (size_t i = 0; i < sizeof(many); i++)
        many[i] = i % 2 ? '.' : '*';
    assert_int_equal(transform_new(bytes_make(many, sizeof(many) - 1), BYTES("a"), &transform), ERR_LIMIT);
    // A result longer than any subject may be.
    assert_int_equal(transform_new(BYTES("*"), BYTES("$1.$1"), &transform), 0);
    char *huge = mem_alloc(SUBJECT_LEN_MAX);
    memset(huge, 'x', SUBJECT_LEN_MAX);
    assert_int_equal(transform_apply(transform, bytes_make(huge, SUBJECT_LEN_MAX), NULL, 0), 0);
    assert_int_equal(transform_apply(transform, bytes_make(huge, SUBJECT_LEN_MAX / 2), NULL, 0), SUBJECT_LEN_MAX);
    mem_free(huge);
    transform_free(transform);
}

static void test_inverse_needs_every_wildcard_once(void **state)
{
    struct transform *transform;
    assert_int_equal(transform_new_inverse(BYTES("a.*.*"), BYTES("b.$1"), &transform), ERR_INVALID);
    assert_int_equal(transform_new_inverse(BYTES("a.*"), BYTES("b.$1.$1"), &transform), ERR_INVALID);
    assert_int_equal(transform_new_inverse(BYTES("a.*.>"), BYTES("b.>"), &transform), ERR_INVALID);
    assert_int_equal(transform_new_inverse(BYTES("req.*.*"), BYTES("$2.q.$1"), &transform), 0);
    assert_true(bytes_equal(transform_source(transform), BYTES("*.q.*")));
    char text[64];
    size_t len = transform_apply(transform, BYTES("x.q.y"), text, sizeof(text));
    assert_true(bytes_equal(bytes_make(text, len), BYTES("req.y.x")));
    assert_false(transform_is_identity(transform));
    transform_free(transform);
    assert_int_equal(transform_new_inverse(BYTES("a.>"), BYTES("a.>"), &transform), 0);
    assert_true(transform_is_identity(transform));
    transform_free(transform);
}

// Random shapes: what the transform makes, its inverse takes back.
static void test_inverse_takes_back(void **state)
{
    struct prng prng;
    prng_seed(&prng, 5);
    for (int round = 0; round < 2000; round++) {
        char source[64] = "", destination[64] = "", subject[64] = "", text[128], back[128];
        int stars = (int)prng_below(&prng, 4), order[4] = {0, 1, 2, 3};
        bool rest = prng_chance(&prng, 1, 3);
        size_t s = 0, d = 0, u = 0;
        for (int i = 0; i < stars; i++) {
            int k = i + (int)prng_below(&prng, (uint64_t)(stars - i)), keep = order[i];
            order[i] = order[k];
            order[k] = keep;
            s += (size_t)snprintf(source + s, sizeof(source) - s, "s%d.*.", i);
            u += (size_t)snprintf(subject + u, sizeof(subject) - u, "s%d.v%d.", i, (int)prng_below(&prng, 9));
        }
        for (int i = 0; i < stars; i++)
            d += (size_t)snprintf(destination + d, sizeof(destination) - d, "$%d.t%d.", order[i] + 1, i);
        snprintf(source + s, sizeof(source) - s, rest ? ">" : "end");
        snprintf(destination + d, sizeof(destination) - d, rest ? ">" : "fin");
        snprintf(subject + u, sizeof(subject) - u, rest ? "x.y" : "end");
        struct transform *there, *home;
        assert_int_equal(transform_new(bytes_from_string(source), bytes_from_string(destination), &there), 0);
        assert_int_equal(transform_new_inverse(bytes_from_string(source), bytes_from_string(destination), &home), 0);
        size_t len = transform_apply(there, bytes_from_string(subject), text, sizeof(text));
        assert_true(len > 0 && subject_match(transform_source(home), bytes_make(text, len)));
        len = transform_apply(home, bytes_make(text, len), back, sizeof(back));
        assert_true(bytes_equal(bytes_make(back, len), bytes_from_string(subject)));
        transform_free(there);
        transform_free(home);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_what_does_not_match_maps_to_nothing),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_inverse_needs_every_wildcard_once),
        cmocka_unit_test(test_inverse_takes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
