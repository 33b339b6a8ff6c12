// SPDX-License-Identifier: Apache-2.0
// Which rule counts for a channel, and what it inherits (ST-C15).
#include "stan/channel_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/prng.h"
#include "subject/subject.h"

#define MODEL_RULES_MAX 12
#define MODEL_NAME_SIZE 16

static struct channel_limit limit_of_all;

static int start(void **state)
{
    channel_limits_default(&limit_of_all);
    return 0;
}

// A rule that gives a maximum of messages, of bytes, or both; 0 stands for what is not given, -1 for no limit.
static struct channel_rule rule(const char *pattern, int64_t msgs, int64_t bytes)
{
    struct channel_rule rule = {.pattern = bytes_from_string(pattern)};
    rule.limit.max_msgs = msgs > 0 ? (uint64_t)msgs : 0;
    rule.limit.max_bytes = bytes > 0 ? (uint64_t)bytes : 0;
    rule.limit.given = (msgs ? CHANNEL_GIVES_MSGS : 0) | (bytes ? CHANNEL_GIVES_BYTES : 0);
    return rule;
}

static void expect(const struct channel_limits *limits, const char *name, uint64_t msgs, uint64_t bytes)
{
    const struct channel_limit *limit = channel_limits_find(limits, bytes_from_string(name));
    assert_int_equal(limit->max_msgs, msgs);
    assert_int_equal(limit->max_bytes, bytes);
}

static void patterns(void **state)
{
    const char *good[] = {"a", "a.b", "*", ">", "a.*", "a.>", "*.*.b", "*.>", "a.*.c.>"};
    const char *bad[] = {"", ".", "a*", "*a", "a.>.b", ">.a", "a..*", "*.", ".*", "a/b", "a.>b", "**", "caf\xc3\x28.*"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(channel_limits_is_pattern(bytes_from_string(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(channel_limits_is_pattern(bytes_from_string(bad[i])));
    char name[CHANNEL_RULES_MAX] = {0};
    assert_false(channel_limits_is_pattern(bytes_make(name, sizeof(name))));
}

static void without_rules_the_defaults_count(void **state)
{
    struct channel_limits *limits = channel_limits_new(&limit_of_all, NULL, 0);
    const struct channel_limit *limit = channel_limits_find(limits, BYTES("any"));
    assert_int_equal(limit->max_subscriptions, 1000);
    assert_int_equal(limit->max_msgs, 1000000);
    assert_int_equal(limit->max_bytes, 1024000000);
    assert_int_equal(limit->max_age_ns, 0);
    assert_int_equal(limit->max_inactivity_ns, 0);
    assert_false(channel_limits_expire(limits));
    channel_limits_free(limits);
    channel_limits_free(NULL);
}

// ST-C15: the examples of the header.
static void the_narrowest_rule_counts_and_inherits(void **state)
{
    const struct channel_rule rules[] = {rule("*.a", 7, 0), rule("foo.*", 5, 0), rule("foo.>", 3, 300)};
    struct channel_limits *limits = channel_limits_new(&limit_of_all, rules, 3);
    expect(limits, "foo.a", 5, 300);
    expect(limits, "foo.b.c", 3, 300);
    expect(limits, "bar.a", 7, 1024000000);
    expect(limits, "bar", 1000000, 1024000000);
    channel_limits_free(limits);
}

static void no_limit_is_not_inherited(void **state)
{
    const struct channel_rule rules[] = {rule("foo.>", 3, 300), rule("foo.bar", -1, 0), rule("foo.bar", -1, 0)};
    struct channel_limits *limits = channel_limits_new(&limit_of_all, rules, 3);
    expect(limits, "foo.bar", 0, 300);
    expect(limits, "foo.baz", 3, 300);
    channel_limits_free(limits);
}

static void every_value_is_inherited_unless_given(void **state)
{
    struct channel_limit all = {
        .max_subscriptions = 1,
        .max_msgs = 2,
        .max_bytes = 3,
        .max_age_ns = 4,
        .max_inactivity_ns = 5,
        .duplicate_window_ns = 6,
        .disconnect_grace_ns = 7,
        .discard_new = true,
        .max_deliver = 8,
        .backoff_count = 2,
        .backoff_ns = {9, 10},
        .dead_letter = BYTES("dead"),
    };
    struct channel_rule rules[] = {{.pattern = BYTES("a")}, {.pattern = BYTES("b")}};
    rules[1].limit.given = UINT32_MAX;
    struct channel_limits *limits = channel_limits_new(&all, rules, 2);
    struct stream_config config;
    channel_limits_config(limits, BYTES("a"), &config);
    const struct stream_config wanted = {
        .account = 1,
        .name = BYTES("a"),
        .max_consumers = 1,
        .max_msgs = 2,
        .max_bytes = 3,
        .max_age_ns = 4,
        .duplicate_window_ns = 6,
        .disconnect_grace_ns = 7,
        .discard_new = true,
        .max_deliver = 8,
        .backoff_count = 2,
        .backoff_ns = {9, 10},
        .dead_letter = BYTES("dead"),
    };
    const struct stream_config nothing = {.account = 1, .name = BYTES("b")};
    assert_true(stream_config_equal(&config, &wanted));
    assert_int_equal(channel_limits_find(limits, BYTES("a"))->max_inactivity_ns, 5);
    channel_limits_config(limits, BYTES("b"), &config);
    assert_true(stream_config_equal(&config, &nothing));
    assert_int_equal(channel_limits_find(limits, BYTES("b"))->max_inactivity_ns, 0);
    // A dead letter channel is not its own.
    channel_limits_config(limits, BYTES("dead"), &config);
    assert_int_equal(config.dead_letter.len, 0);
    assert_true(channel_limits_expire(limits));
    channel_limits_free(limits);
}

static struct channel_rule letters(const char *pattern, const char *dead_letter)
{
    struct channel_rule rule = {.pattern = bytes_from_string(pattern)};
    rule.limit.dead_letter = bytes_from_string(dead_letter);
    rule.limit.given = CHANNEL_GIVES_DEAD_LETTER;
    return rule;
}

static void circles_of_dead_letters(void **state)
{
    const struct channel_rule line[] = {letters("a", "b"), letters("b", "c"), letters("c", ""), letters("x.>", "x.x")};
    struct channel_limits *limits = channel_limits_new(&limit_of_all, line, 4);
    assert_int_equal(channel_limits_find_circle(limits).len, 0);
    channel_limits_free(limits);
    const struct channel_rule circle[] = {letters("a", "b"), letters("b", "c"), letters("c", "a")};
    limits = channel_limits_new(&limit_of_all, circle, 3);
    assert_int_equal(channel_limits_find_circle(limits).len, 1);
    channel_limits_free(limits);
    // Everything's dead letters go to `dead`, and its own to a channel whose go there again.
    limit_of_all.dead_letter = BYTES("dead");
    const struct channel_rule back[] = {letters("dead", "rest")};
    limits = channel_limits_new(&limit_of_all, back, 1);
    assert_memory_equal(channel_limits_find_circle(limits).ptr, "dead", 4);
    channel_limits_free(limits);
    limit_of_all.dead_letter = BYTES("");
}

// --- beside a naive model ------------------------------------------------------------------------------------------

// A text that sorts as patterns do: '0' for `>`, '1' for `*`, '2' before a word.
static void key_of(const char *pattern, char *to)
{
    bool begins = true;
    for (; *pattern; begins = *pattern == '.', pattern++) {
        if (begins)
            *to++ = *pattern == '>' ? '0' : *pattern == '*' ? '1' : '2';
        *to++ = *pattern == '.' ? '!' : *pattern;
    }
    *to = '\0';
}

// The last rule, in the order of the keys, that the text falls under and that comes before `before`.
static const struct channel_rule *model_find(const struct channel_rule *rules, size_t count, const char *text,
                                             const char *before)
{
    const struct channel_rule *best = NULL;
    char key[64], best_key[64] = "", before_key[64] = "~";
    if (before)
        key_of(before, before_key);
    for (size_t i = 0; i < count; i++) {
        key_of(rules[i].pattern.ptr, key);
        if (strcmp(key, best_key) > 0 && strcmp(key, before_key) < 0 &&
            subject_match(rules[i].pattern, bytes_from_string(text))) {
            best = &rules[i];
            memcpy(best_key, key, sizeof(key));
        }
    }
    return best;
}

static uint64_t model_msgs(const struct channel_rule *rules, size_t count, const char *name)
{
    const struct channel_rule *rule = model_find(rules, count, name, NULL);
    while (rule && !(rule->limit.given & CHANNEL_GIVES_MSGS))
        rule = model_find(rules, count, rule->pattern.ptr, rule->pattern.ptr);
    return rule ? rule->limit.max_msgs : limit_of_all.max_msgs;
}

static void make_name(struct prng *prng, bool pattern, char name[MODEL_NAME_SIZE])
{
    const char words[] = "ab*>";
    size_t len = 0, tokens = 1 + prng_below(prng, 4);
    for (size_t i = 0; i < tokens; i++) {
        char word = words[prng_below(prng, pattern ? 4 : 2)];
        if (i > 0)
            name[len++] = '.';
        name[len++] = word;
        if (word == '>')
            break;
    }
    name[len] = '\0';
}

static void random_rules_count_as_in_a_model(void **state)
{
    struct prng prng;
    prng_seed(&prng, 15);
    for (int round = 0; round < 3000; round++) {
        char names[MODEL_RULES_MAX][MODEL_NAME_SIZE], name[MODEL_NAME_SIZE];
        struct channel_rule rules[MODEL_RULES_MAX];
        size_t count = 0, wanted = prng_below(&prng, MODEL_RULES_MAX + 1);
        for (size_t i = 0; i < wanted; i++) {
            make_name(&prng, true, names[count]);
            bool is_new = true;
            for (size_t j = 0; j < count; j++)
                is_new &= strcmp(names[j], names[count]) != 0;
            if (is_new) {
                rules[count] = rule(names[count], prng_chance(&prng, 1, 2) ? 0 : (int64_t)(1 + i), 0);
                count++;
            }
        }
        struct channel_limits *limits = channel_limits_new(&limit_of_all, rules, count);
        for (int i = 0; i < 10; i++) {
            make_name(&prng, false, name);
            uint64_t got = channel_limits_find(limits, bytes_from_string(name))->max_msgs;
            assert_int_equal(got, model_msgs(rules, count, name));
        }
        channel_limits_free(limits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(without_rules_the_defaults_count),
        cmocka_unit_test(the_narrowest_rule_counts_and_inherits),
        cmocka_unit_test(no_limit_is_not_inherited),
        cmocka_unit_test(every_value_is_inherited_unless_given),
        cmocka_unit_test(circles_of_dead_letters),
        cmocka_unit_test(random_rules_count_as_in_a_model),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
