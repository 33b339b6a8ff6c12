// SPDX-License-Identifier: Apache-2.0
// Rules are kept in one order, wide before narrow: `>` before `*` before words. So the rules that a name falls under, taken in this
// order, are what counts and what is inherited; those without wildcards are found by search, the others by looking at each.
#include "stan/channel_limits.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/must.h"
#include "stan/channel.h"
#include "subject/subject.h"

struct channel_limits {
    struct channel_limit all;
    struct channel_rule *rules; // owned, in order, inheritance done
    size_t count;
    uint32_t *wildcards; // owned: places in `rules`, in order
    size_t wildcard_count;
    char *text; // owned: patterns and dead letters
};

static int compare_rules(const void *a, const void *b);
static int compare_patterns(struct bytes a, struct bytes b);
static int token_width(struct bytes token);
static struct bytes keep(char **to, struct bytes text);
static size_t drop_repeated(struct channel_rule *rules, size_t count);
static void find_wildcards(struct channel_limits *limits);
static const struct channel_limit *find_wildcard(const struct channel_limits *limits, struct bytes name, size_t end);
static void inherit(struct channel_limit *limit, const struct channel_limit *parent);
static bool is_too_deep(const struct channel_limits *limits, struct bytes dead_letter);

void channel_limits_default(struct channel_limit *ret_limit)
{
    const uint64_t second = 1000000000;
    *ret_limit = (struct channel_limit){
        .max_subscriptions = 1000,
        .max_msgs = 1000000,
        .max_bytes = 1024000000,
        .duplicate_window_ns = 120 * second,
        .disconnect_grace_ns = 5 * second,
    };
}

bool channel_limits_is_pattern(struct bytes pattern)
{
    struct bytes rest = pattern, token;
    char plain[CHANNEL_NAME_MAX];
    size_t len = 0;
    if (pattern.len == 0 || pattern.len > CHANNEL_NAME_MAX)
        return false;
    // What is left when wildcards are replaced by a letter must be a channel's name.
    while (subject_token_next(&rest, &token)) {
        int width = token_width(token);
        if (width == 0 && rest.ptr)
            return false;
        memcpy(plain + len, width < 2 ? "x" : token.ptr, token.len);
        len += token.len;
        if (rest.ptr)
            plain[len++] = '.';
    }
    return channel_name_is_valid(bytes_make(plain, len));
}

struct channel_limits *channel_limits_new(const struct channel_limit *all, const struct channel_rule *rules,
                                          size_t count)
{
    must(count <= CHANNEL_RULES_MAX);
    struct channel_limits *limits = mem_alloc_zero(sizeof(*limits));
    size_t text_size = all->dead_letter.len + 1;
    for (size_t i = 0; i < count; i++)
        text_size += rules[i].pattern.len + rules[i].limit.dead_letter.len;
    char *to = limits->text = mem_alloc(text_size);
    limits->all = *all;
    limits->all.dead_letter = keep(&to, all->dead_letter);
    limits->rules = mem_alloc((count + 1) * sizeof(*rules));
    for (size_t i = 0; i < count; i++) {
        limits->rules[i] = rules[i];
        limits->rules[i].pattern = keep(&to, rules[i].pattern);
        limits->rules[i].limit.dead_letter = keep(&to, rules[i].limit.dead_letter);
    }
    qsort(limits->rules, count, sizeof(*rules), compare_rules);
    limits->count = drop_repeated(limits->rules, count);
    find_wildcards(limits);
    for (size_t i = 0; i < limits->count; i++)
        inherit(&limits->rules[i].limit, find_wildcard(limits, limits->rules[i].pattern, i));
    return limits;
}

void channel_limits_free(struct channel_limits *limits)
{
    if (!limits)
        return;
    mem_free(limits->rules);
    mem_free(limits->wildcards);
    mem_free(limits->text);
    mem_free(limits);
}

const struct channel_limit *channel_limits_find(const struct channel_limits *limits, struct bytes name)
{
    const struct channel_rule wanted = {.pattern = name};
    const struct channel_rule *rule =
        bsearch(&wanted, limits->rules, limits->count, sizeof(*limits->rules), compare_rules);
    return rule ? &rule->limit : find_wildcard(limits, name, limits->count);
}

void channel_limits_config(const struct channel_limits *limits, struct bytes name, struct stream_config *ret_config)
{
    const struct channel_limit *limit = channel_limits_find(limits, name);
    *ret_config = (struct stream_config){
        .account = 1,
        .name = name,
        .max_msgs = limit->max_msgs,
        .max_bytes = limit->max_bytes,
        .max_age_ns = limit->max_age_ns,
        .duplicate_window_ns = limit->duplicate_window_ns,
        .disconnect_grace_ns = limit->disconnect_grace_ns,
        .max_consumers = limit->max_subscriptions,
        .discard_new = limit->discard_new,
        .max_deliver = limit->max_deliver,
        .backoff_count = limit->backoff_count,
    };
    memcpy(ret_config->backoff_ns, limit->backoff_ns, limit->backoff_count * sizeof(limit->backoff_ns[0]));
    if (!bytes_equal(limit->dead_letter, name))
        ret_config->dead_letter = limit->dead_letter;
}

bool channel_limits_expire(const struct channel_limits *limits)
{
    bool expire = limits->all.max_inactivity_ns > 0;
    for (size_t i = 0; i < limits->count && !expire; i++)
        expire = limits->rules[i].limit.max_inactivity_ns > 0;
    return expire;
}

struct bytes channel_limits_find_circle(const struct channel_limits *limits)
{
    const struct bytes none = {NULL, 0};
    if (is_too_deep(limits, limits->all.dead_letter))
        return limits->all.dead_letter;
    for (size_t i = 0; i < limits->count; i++) {
        struct bytes dead_letter = limits->rules[i].limit.dead_letter;
        // Many rules inherit the same one.
        bool known = i > 0 && bytes_equal(dead_letter, limits->rules[i - 1].limit.dead_letter);
        if (!known && is_too_deep(limits, dead_letter))
            return dead_letter;
    }
    return none;
}

static int compare_rules(const void *a, const void *b)
{
    const struct channel_rule *rule_a = a, *rule_b = b;
    return compare_patterns(rule_a->pattern, rule_b->pattern);
}

static int compare_patterns(struct bytes a, struct bytes b)
{
    struct bytes token_a, token_b;
    for (;;) {
        bool has_a = subject_token_next(&a, &token_a), has_b = subject_token_next(&b, &token_b);
        if (!has_a || !has_b)
            return has_a - has_b;
        int order = token_width(token_a) - token_width(token_b);
        if (order == 0)
            order = bytes_compare(token_a, token_b);
        if (order)
            return order;
    }
}

// The wider, the smaller.
static int token_width(struct bytes token)
{
    return bytes_equal(token, BYTES(">")) ? 0 : bytes_equal(token, BYTES("*")) ? 1 : 2;
}

static struct bytes keep(char **to, struct bytes text)
{
    struct bytes copy = bytes_make(*to, text.len);
    if (text.len)
        memcpy(*to, text.ptr, text.len);
    *to += text.len;
    return copy;
}

static size_t drop_repeated(struct channel_rule *rules, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !bytes_equal(rules[kept - 1].pattern, rules[i].pattern))
            rules[kept++] = rules[i];
    }
    return kept;
}

static void find_wildcards(struct channel_limits *limits)
{
    limits->wildcards = mem_alloc((CHANNEL_RULES_WILDCARD_MAX + 1) * sizeof(*limits->wildcards));
    for (size_t i = 0; i < limits->count; i++) {
        if (!subject_has_wildcard(limits->rules[i].pattern))
            continue;
        must(limits->wildcard_count < CHANNEL_RULES_WILDCARD_MAX);
        limits->wildcards[limits->wildcard_count++] = (uint32_t)i;
    }
}

// Of the rules before `end` the last one with wildcards that the name falls under. A wildcard in the name is a word like any other.
static const struct channel_limit *find_wildcard(const struct channel_limits *limits, struct bytes name, size_t end)
{
    for (size_t i = limits->wildcard_count; i > 0; i--) {
        const struct channel_rule *rule = &limits->rules[limits->wildcards[i - 1]];
        if (limits->wildcards[i - 1] < end && subject_match(rule->pattern, name))
            return &rule->limit;
    }
    return &limits->all;
}

static void inherit(struct channel_limit *limit, const struct channel_limit *parent)
{
    uint32_t missing = ~limit->given;
    if (missing & CHANNEL_GIVES_SUBSCRIPTIONS)
        limit->max_subscriptions = parent->max_subscriptions;
    if (missing & CHANNEL_GIVES_MSGS)
        limit->max_msgs = parent->max_msgs;
    if (missing & CHANNEL_GIVES_BYTES)
        limit->max_bytes = parent->max_bytes;
    if (missing & CHANNEL_GIVES_AGE)
        limit->max_age_ns = parent->max_age_ns;
    if (missing & CHANNEL_GIVES_INACTIVITY)
        limit->max_inactivity_ns = parent->max_inactivity_ns;
    if (missing & CHANNEL_GIVES_WINDOW)
        limit->duplicate_window_ns = parent->duplicate_window_ns;
    if (missing & CHANNEL_GIVES_GRACE)
        limit->disconnect_grace_ns = parent->disconnect_grace_ns;
    if (missing & CHANNEL_GIVES_DISCARD)
        limit->discard_new = parent->discard_new;
    if (missing & CHANNEL_GIVES_DELIVERIES)
        limit->max_deliver = parent->max_deliver;
    if (missing & CHANNEL_GIVES_DEAD_LETTER)
        limit->dead_letter = parent->dead_letter;
    if (missing & CHANNEL_GIVES_BACKOFF) {
        memcpy(limit->backoff_ns, parent->backoff_ns, sizeof(limit->backoff_ns));
        limit->backoff_count = parent->backoff_count;
    }
}

static bool is_too_deep(const struct channel_limits *limits, struct bytes dead_letter)
{
    for (int i = 0; i < CHANNEL_DEAD_LETTERS_MAX && dead_letter.len; i++) {
        struct bytes next = channel_limits_find(limits, dead_letter)->dead_letter;
        dead_letter = bytes_equal(next, dead_letter) ? (struct bytes){NULL, 0} : next;
    }
    return dead_letter.len > 0;
}
