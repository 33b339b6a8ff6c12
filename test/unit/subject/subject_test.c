// SPDX-License-Identifier: Apache-2.0
// CO-P08: subjects and wildcards, by table.
#include "subject/subject.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct rule {
    const char *text;
    bool publish;
    bool subscribe;
    bool wildcard;
};

static const struct rule RULES[] = {
    {"foo", true, true, false},        {"foo.bar.baz", true, true, false},
    {"$SYS.REQ", true, true, false},   {"\xc3\xa9t\xc3\xa9.\xe2\x82\xac", true, true, false},
    {"foo*", true, true, false},       {"*foo.b*r", true, true, false},
    {"foo>", true, true, false},       {">>", true, true, false},
    {"**", true, true, false},         {"*", false, true, true},
    {">", false, true, true},          {"foo.*", false, true, true},
    {"*.foo", false, true, true},      {"foo.*.bar.>", false, true, true},
    {"foo.>", false, true, true},      {"", false, false, false},
    {".", false, false, false},        {".foo", false, false, false},
    {"foo.", false, false, false},     {"foo..bar", false, false, false},
    {"foo.>.bar", false, false, true}, {">.foo", false, false, true},
    {"foo bar", false, false, false},  {"foo\tbar", false, false, false},
    {"foo\rbar", false, false, false}, {"foo\nbar", false, false, false},
    {" ", false, false, false},        {"*.", false, false, true},
};

static void test_rules(void **state)
{
    for (size_t i = 0; i < COUNT(RULES); i++) {
        struct bytes text = bytes_from_string(RULES[i].text);
        if (subject_is_valid_publish(text) != RULES[i].publish ||
            subject_is_valid_subscribe(text) != RULES[i].subscribe || subject_has_wildcard(text) != RULES[i].wildcard)
            fail_msg("'%s'", RULES[i].text);
    }
}

static void test_nul_and_length(void **state)
{
    static char longest[SUBJECT_LEN_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    assert_false(subject_is_valid_publish(bytes_make("a\0b", 3)));
    assert_true(subject_is_valid_publish(bytes_make(longest, SUBJECT_LEN_MAX)));
    assert_false(subject_is_valid_publish(bytes_make(longest, SUBJECT_LEN_MAX + 1)));
    assert_false(subject_is_valid_subscribe(bytes_make(NULL, 0)));
}

static void test_queue_names(void **state)
{
    assert_true(subject_is_valid_queue(BYTES("workers")));
    assert_true(subject_is_valid_queue(BYTES("a..b.*")));
    assert_false(subject_is_valid_queue(BYTES("")));
    assert_false(subject_is_valid_queue(BYTES("a b")));
    assert_false(subject_is_valid_queue(BYTES("a\r")));
}

struct pair {
    const char *a;
    const char *b;
    bool yes;
};

static const struct pair MATCHES[] = {
    {"foo", "foo", true},
    {"foo", "bar", false},
    {"foo", "foo.bar", false},
    {"foo.bar", "foo", false},
    {"*", "foo", true},
    {"*", "foo.bar", false},
    {">", "foo", true},
    {">", "foo.bar.baz", true},
    {"foo.>", "foo", false},
    {"foo.>", "foo.bar", true},
    {"foo.>", "foo.b.c.d", true},
    {"foo.*", "foo.bar", true},
    {"foo.*", "foo", false},
    {"foo.*", "foo.bar.b", false},
    {"*.bar", "foo.bar", true},
    {"foo.*.baz", "foo.b.baz", true},
    {"foo.*.baz", "foo.b.bar", false},
    {"*.*", "a.b", true},
    {"*.>", "a.b.c", true},
    {"*.>", "a", false},
    {"foo*", "foo*", true},
    {"foo*", "foobar", false},
    {"foo>", "foox", false},
    {"foo.*", "foo.*", true},
    {"foo.>", "foo.>", true},
    {"foo.bar", "foo.*", false},
    {"fo", "foo", false},
};

static void test_match(void **state)
{
    for (size_t i = 0; i < COUNT(MATCHES); i++) {
        if (subject_match(bytes_from_string(MATCHES[i].a), bytes_from_string(MATCHES[i].b)) != MATCHES[i].yes)
            fail_msg("'%s' '%s'", MATCHES[i].a, MATCHES[i].b);
    }
}

static const struct pair OVERLAPS[] = {
    {"foo", "foo", true},      {"foo", "bar", false},  {"foo.*", "*.bar", true}, {"foo.*", "foo", false},
    {"foo.>", "foo", false},   {"foo.>", "*.*", true}, {">", "a.b", true},       {"a.*.c", "a.b.*", true},
    {"a.*.c", "a.b.d", false}, {"a.>", "b.>", false},  {"a.b.>", "a.*", false},  {"a.b.>", "a.>", true},
};

static void test_overlap(void **state)
{
    for (size_t i = 0; i < COUNT(OVERLAPS); i++) {
        struct bytes a = bytes_from_string(OVERLAPS[i].a), b = bytes_from_string(OVERLAPS[i].b);
        if (subject_overlap(a, b) != OVERLAPS[i].yes || subject_overlap(b, a) != OVERLAPS[i].yes)
            fail_msg("'%s' '%s'", OVERLAPS[i].a, OVERLAPS[i].b);
    }
}

static void test_tokens(void **state)
{
    assert_int_equal(subject_token_count(BYTES("")), 0);
    assert_int_equal(subject_token_count(BYTES("a")), 1);
    assert_int_equal(subject_token_count(BYTES("a.b.c")), 3);
    struct bytes rest = BYTES("ab..c"), token;
    assert_true(subject_token_next(&rest, &token));
    assert_true(bytes_equal(token, BYTES("ab")));
    assert_true(subject_token_next(&rest, &token));
    assert_int_equal(token.len, 0);
    assert_true(subject_token_next(&rest, &token));
    assert_true(bytes_equal(token, BYTES("c")));
    assert_false(subject_token_next(&rest, &token));
}

static void test_covers(void **state)
{
    static const struct {
        const char *outer, *inner;
        bool covers;
    } cases[] = {
        {"foo", "foo", true},
        {"foo", "bar", false},
        {"*", "foo", true},
        {"*", "*", true},
        {"foo", "*", false},
        {"*", ">", false},
        {">", ">", true},
        {">", "a.*.c.>", true},
        {"foo.>", "foo", false},
        {"foo.>", "foo.>", true},
        {"foo.*", "foo.>", false},
        {"foo.*.b", "foo.a.b", true},
        {"foo.*.b", "foo.*.*", false},
        {"*.>", ">", false},
        {"a.>", "a.*", true},
        {"a", "a.b", false},
        {"a.b", "a", false},
        {"a.*", "*.a", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (subject_covers(bytes_from_string(cases[i].outer), bytes_from_string(cases[i].inner)) != cases[i].covers)
            fail_msg("%s covers %s", cases[i].outer, cases[i].inner);
}

static void test_names_first(void **state)
{
    assert_true(subject_names_first(BYTES("$A.>"), BYTES("$A.x")) && subject_names_first(BYTES("$A"), BYTES("$A.x")));
    assert_true(subject_names_first(BYTES("$A.*"), BYTES("$A.*")));
    assert_false(subject_names_first(BYTES(">"), BYTES("$A.x")) || subject_names_first(BYTES("*.x"), BYTES("$A.x")));
    assert_false(subject_names_first(BYTES(">"), BYTES(">")) || subject_names_first(BYTES("*.x"), BYTES("*.x")));
    assert_false(subject_names_first(BYTES("$A.>"), BYTES("$AB.x")) || subject_names_first(BYTES(""), BYTES("$A")));
}

// Each position of a dot, alone and beside another, in subjects of each length around a load's eight bytes.
static void test_empty_tokens(void **state)
{
    assert_true(subject_has_empty_token(BYTES("")));
    for (size_t len = 1; len < 40; len++) {
        for (size_t at = 0; at < len; at++) {
            char text[40];
            memset(text, at % 2 ? '/' : 'a', sizeof(text)); // '/' is the neighbour of '.'
            assert_false(subject_has_empty_token(bytes_make(text, len)));
            text[at] = '.';
            assert_int_equal(subject_has_empty_token(bytes_make(text, len)), at == 0 || at == len - 1);
            if (at == 0 || at + 2 >= len)
                continue;
            text[at + 1] = (char)('.' | 0x80);
            assert_false(subject_has_empty_token(bytes_make(text, len)));
            text[at + 1] = '.';
            assert_true(subject_has_empty_token(bytes_make(text, len)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_first), cmocka_unit_test(test_rules),  cmocka_unit_test(test_nul_and_length),
        cmocka_unit_test(test_queue_names), cmocka_unit_test(test_match),  cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_tokens),      cmocka_unit_test(test_covers), cmocka_unit_test(test_empty_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
