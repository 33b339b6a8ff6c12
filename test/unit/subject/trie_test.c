// SPDX-License-Identifier: Apache-2.0
// CO-P08, CO-P09: the trie against a list that is matched naively, under churn, with the cache on, small and off; then the
// promises of the header one by one.
#include "subject/trie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "subject/subject.h"

#define SUBSCRIPTIONS 120
#define PINS          4
#define SOLES         24

struct subscription {
    struct trie_entry entry; // first: an entry is a subscription
    char pattern[32];
    char queue[8];
    uint32_t seen; // by the list being checked
    bool is_meant; // by trie_hide()
    bool is_hidden;
};

struct pin {
    const struct trie_match *match;
    uint32_t count;
    uint32_t group_count;
    struct trie_entry *copy[SUBSCRIPTIONS];
};

struct known {
    char subject[32];
    struct trie_sole sole;
};

struct model {
    struct prng prng;
    struct trie *trie;
    struct subscription subscriptions[SUBSCRIPTIONS];
    struct pin pins[PINS];
    struct known known[SOLES];
    uint32_t serial;
};

static const struct trie_config DEFAULTS = {.hash_seed = 7, .cache_subjects_max = 64, .cache_size_bytes_max = 1 << 20};

static struct bytes text(const char *string)
{
    return bytes_from_string(string);
}

static void random_subject(struct prng *prng, bool wild, char *ret)
{
    static const char *const TOKENS[] = {"a", "b", "c", "dd", "e*"};
    int depth = 1 + (int)prng_below(prng, 4);
    ret[0] = '\0';
    for (int i = 0; i < depth; i++) {
        const char *token = TOKENS[prng_below(prng, 5)];
        if (wild && prng_below(prng, 4) == 0)
            token = i == depth - 1 && prng_below(prng, 2) ? ">" : "*";
        size_t len = strlen(ret);
        snprintf(ret + len, 32 - len, "%s%s", i ? "." : "", token);
    }
}

static void check_match(struct model *model, const char *subject, const struct trie_match *match)
{
    uint32_t serial = ++model->serial, plain = 0, grouped = 0;
    for (uint32_t i = 0; i < match->count; i++)
        ((struct subscription *)match->entries[i])->seen = serial;
    for (uint32_t i = 0; i < match->group_count; i++) {
        assert_true(match->groups[i].count > 0);
        for (uint32_t j = 0; j < i; j++)
            assert_false(bytes_equal(match->groups[i].queue, match->groups[j].queue));
        for (uint32_t j = 0; j < match->groups[i].count; j++) {
            struct subscription *member = (struct subscription *)match->groups[i].entries[j];
            assert_true(bytes_equal(text(member->queue), match->groups[i].queue));
            member->seen = serial;
            grouped++;
        }
    }
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        struct subscription *subscription = &model->subscriptions[i];
        bool wanted = trie_entry_is_inserted(&subscription->entry) && !subscription->is_hidden &&
                      subject_match(text(subscription->pattern), text(subject));
        if (wanted != (subscription->seen == serial))
            fail_msg("subject %s pattern %s queue '%s'", subject, subscription->pattern, subscription->queue);
        plain += wanted && subscription->queue[0] == '\0';
        grouped -= wanted && subscription->queue[0] != '\0';
    }
    assert_int_equal(plain, match->count);
    assert_int_equal(grouped, 0);
}

static void toggle(struct model *model)
{
    struct subscription *subscription = &model->subscriptions[prng_below(&model->prng, SUBSCRIPTIONS)];
    if (trie_entry_is_inserted(&subscription->entry)) {
        trie_remove(model->trie, &subscription->entry);
        return;
    }
    random_subject(&model->prng, prng_below(&model->prng, 2), subscription->pattern);
    subscription->is_hidden = false;
    subscription->is_meant = prng_below(&model->prng, 4) > 0;
    subscription->queue[0] = '\0';
    if (prng_below(&model->prng, 3) == 0)
        snprintf(subscription->queue, sizeof(subscription->queue), "q%d", (int)prng_below(&model->prng, 3));
    int error = trie_insert(model->trie, &subscription->entry, text(subscription->pattern), text(subscription->queue));
    assert_int_equal(error, 0);
}

static bool is_meant(const struct trie_entry *entry)
{
    return ((const struct subscription *)entry)->is_meant;
}

// Part of what shares pattern and queue with any one of them, which may be hidden itself.
static void hide(struct model *model)
{
    const struct subscription *like = &model->subscriptions[prng_below(&model->prng, SUBSCRIPTIONS)];
    if (!trie_entry_is_inserted(&like->entry))
        return;
    trie_hide(model->trie, &like->entry, is_meant);
    uint32_t crowd = 0;
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        struct subscription *one = &model->subscriptions[i];
        if (!trie_entry_is_inserted(&one->entry) || strcmp(one->pattern, like->pattern) != 0 ||
            strcmp(one->queue, like->queue) != 0)
            continue;
        one->is_hidden |= one->is_meant;
        crowd += !one->is_hidden;
        char pattern[32];
        size_t len = trie_entry_pattern(&one->entry, pattern, sizeof(pattern));
        assert_true(bytes_equal(bytes_make(pattern, len), text(one->pattern)));
        assert_true(bytes_equal(trie_entry_queue(&one->entry), text(one->queue)));
    }
    assert_int_equal(trie_entry_crowd(&like->entry), like->is_hidden ? 0 : crowd);
}

// What was pinned does not change, whatever happened since.
static void repin(struct model *model, struct pin *pin, const char *subject)
{
    if (pin->match != NULL) {
        assert_int_equal(pin->match->count, pin->count);
        assert_int_equal(pin->match->group_count, pin->group_count);
        for (uint32_t i = 0; i < pin->count; i++)
            assert_ptr_equal(pin->match->entries[i], pin->copy[i]);
        trie_match_release(model->trie, pin->match);
    }
    pin->match = trie_match_find(model->trie, text(subject));
    pin->count = pin->match->count;
    pin->group_count = pin->match->group_count;
    for (uint32_t i = 0; i < pin->count; i++)
        pin->copy[i] = pin->match->entries[i];
}

// What is remembered of a subject is right, whatever happened since.
static void look_again(struct model *model)
{
    struct known *known = &model->known[prng_below(&model->prng, SOLES)];
    if (!known->subject[0] || prng_below(&model->prng, 32) == 0) {
        random_subject(&model->prng, false, known->subject);
        known->sole = (struct trie_sole){0};
    }
    const struct trie_entry *sole = trie_sole_find(model->trie, &known->sole, text(known->subject));
    const struct trie_match *match = trie_match_find(model->trie, text(known->subject));
    assert_ptr_equal(sole, match->count == 1 && match->group_count == 0 ? match->entries[0] : NULL);
    trie_match_release(model->trie, match);
}

static void run_model(uint64_t seed, uint32_t subjects_max, size_t size_max, int steps)
{
    struct model *model = mem_alloc_zero(sizeof(*model));
    struct trie_config config = {
        .hash_seed = seed, .cache_subjects_max = subjects_max, .cache_size_bytes_max = size_max};
    prng_seed(&model->prng, seed);
    model->trie = trie_new(&config);
    for (int i = 0; i < steps; i++) {
        char subject[32];
        random_subject(&model->prng, prng_below(&model->prng, 20) == 0, subject);
        if (prng_below(&model->prng, 4) == 0)
            toggle(model);
        if (prng_below(&model->prng, 16) == 0)
            hide(model);
        look_again(model);
        const struct trie_match *match = trie_match_find(model->trie, text(subject));
        check_match(model, subject, match);
        trie_match_release(model->trie, match);
        if (prng_below(&model->prng, 8) == 0)
            repin(model, &model->pins[prng_below(&model->prng, PINS)], subject);
        if (i % 64 == 0)
            trie_check(model->trie);
        struct trie_stats stats = trie_stats(model->trie);
        assert_true(stats.cache_size_bytes <= size_max || subjects_max == 0);
    }
    if (subjects_max >= 64)
        assert_true(trie_stats(model->trie).cache_hits > (uint64_t)steps / 20);
    for (int i = 0; i < PINS; i++)
        trie_match_release(model->trie, model->pins[i].match);
    assert_int_equal(trie_pinned_count(model->trie), 0);
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        if (trie_entry_is_inserted(&model->subscriptions[i].entry))
            trie_remove(model->trie, &model->subscriptions[i].entry);
    }
    trie_check(model->trie);
    assert_int_equal(trie_stats(model->trie).nodes, 0);
    trie_free(model->trie);
    mem_free(model);
}

static void test_model_with_cache(void **state)
{
    run_model(1, 4096, 1 << 20, 12000);
}

static void test_model_with_tiny_cache(void **state)
{
    run_model(2, 16, 1 << 20, 6000);
}

static void test_model_short_of_cache_memory(void **state)
{
    run_model(3, 256, 4096, 6000);
}

static void test_model_without_cache(void **state)
{
    run_model(4, 0, 0, 3000);
}

static bool finds(struct trie *trie, const char *subject, uint32_t count, uint32_t group_count)
{
    const struct trie_match *match = trie_match_find(trie, text(subject));
    bool right = match->count == count && match->group_count == group_count;
    trie_match_release(trie, match);
    return right;
}

static bool hits_cache(struct trie *trie, const char *subject)
{
    uint64_t before = trie_stats(trie).cache_hits;
    trie_match_release(trie, trie_match_find(trie, text(subject)));
    return trie_stats(trie).cache_hits > before;
}

static void test_refuses(void **state)
{
    struct trie_config config = {.entries_max = 2, .tokens_max = 3};
    struct trie *trie = trie_new(&config);
    struct trie_entry entries[3] = {0};
    assert_int_equal(trie_insert(trie, &entries[0], BYTES("a..b"), BYTES("")), ERR_INVALID);
    assert_int_equal(trie_insert(trie, &entries[0], BYTES("a.>.b"), BYTES("")), ERR_INVALID);
    assert_int_equal(trie_insert(trie, &entries[0], BYTES("a"), BYTES("q q")), ERR_INVALID);
    assert_int_equal(trie_insert(trie, &entries[0], BYTES("a.b.c.d"), BYTES("")), ERR_LIMIT);
    assert_int_equal(trie_insert(trie, &entries[0], BYTES("a.b.*.d"), BYTES("")), ERR_LIMIT);
    assert_int_equal(trie_count(trie), 0);
    assert_int_equal(trie_insert(trie, &entries[0], BYTES("a.b.c"), BYTES("")), 0);
    assert_int_equal(trie_insert(trie, &entries[1], BYTES("a.*.c"), BYTES("q")), 0);
    assert_int_equal(trie_insert(trie, &entries[2], BYTES("a"), BYTES("")), ERR_LIMIT);
    assert_false(trie_entry_is_inserted(&entries[2]));
    trie_check(trie);
    trie_free(trie);
}

// As many tokens as there may be: with letters, with wildcards, and both at every place along the way.
static void test_the_longest_patterns(void **state)
{
    static char patterns[3][2 * TRIE_TOKENS_LIMIT + 2];
    struct trie *trie = trie_new(&DEFAULTS);
    struct trie_entry entries[3] = {0};
    size_t len = 2 * TRIE_TOKENS_LIMIT - 1;
    for (size_t i = 0; i < len + 2; i++) {
        patterns[0][i] = i % 2 ? '.' : 'a';
        patterns[1][i] = i % 2 ? '.' : '*';
        patterns[2][i] = i % 2 ? '.' : i % 4 ? '*' : 'a';
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(trie_insert(trie, &entries[i], bytes_make(patterns[i], len + 2), BYTES("")), ERR_LIMIT);
        assert_int_equal(trie_insert(trie, &entries[i], bytes_make(patterns[i], len), BYTES("")), 0);
    }
    const struct trie_match *match = trie_match_find(trie, bytes_make(patterns[0], len));
    assert_int_equal(match->count, 3);
    trie_match_release(trie, match);
    match = trie_match_find(trie, bytes_make(patterns[0], len - 2));
    assert_int_equal(match->count, 0);
    trie_match_release(trie, match);
    trie_check(trie);
    for (int i = 0; i < 3; i++)
        trie_remove(trie, &entries[i]);
    trie_check(trie);
    trie_free(trie);
}

static void test_invalid_subjects_have_no_targets(void **state)
{
    struct trie *trie = trie_new(&DEFAULTS);
    struct trie_entry all = {0};
    assert_int_equal(trie_insert(trie, &all, BYTES(">"), BYTES("")), 0);
    static const char *const BAD[] = {"", ".", "a.", ".a", "a..b"};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++)
            assert_true(finds(trie, BAD[i], 0, 0));
    }
    assert_true(finds(trie, "a.*", 1, 0)); // not pedantic: reaches wildcard subscriptions
    assert_true(trie_has_interest(trie, BYTES("x")));
    assert_false(trie_has_interest(trie, BYTES("x.")));
    trie_free(trie);
}

// CO-P09: one group per name across patterns; the same name on other patterns is not mixed in.
static void test_groups_merge_by_name(void **state)
{
    struct trie *trie = trie_new(&DEFAULTS);
    struct trie_entry entries[5] = {0};
    assert_int_equal(trie_insert(trie, &entries[0], BYTES("a.b"), BYTES("q")), 0);
    assert_int_equal(trie_insert(trie, &entries[1], BYTES("a.*"), BYTES("q")), 0);
    assert_int_equal(trie_insert(trie, &entries[2], BYTES("a.>"), BYTES("r")), 0);
    assert_int_equal(trie_insert(trie, &entries[3], BYTES("x"), BYTES("q")), 0);
    assert_int_equal(trie_insert(trie, &entries[4], BYTES("a.b"), BYTES("")), 0);
    const struct trie_match *match = trie_match_find(trie, BYTES("a.b"));
    assert_int_equal(match->count, 1);
    assert_int_equal(match->group_count, 2);
    assert_true(bytes_equal(match->groups[0].queue, BYTES("q")));
    assert_int_equal(match->groups[0].count, 2);
    trie_remove(trie, &entries[0]);
    trie_remove(trie, &entries[1]);
    trie_remove(trie, &entries[3]); // the last of that name, while the list that shows it is pinned
    assert_true(bytes_equal(match->groups[0].queue, BYTES("q")));
    trie_match_release(trie, match);
    assert_true(finds(trie, "a.b", 1, 1));
    trie_free(trie);
}

static void test_pattern_and_queue_of_an_entry(void **state)
{
    static const char *const PATTERNS[] = {"a", "a.b.c", "*", ">", "a.*.c", "*.*.>", "foo.>", "x.*"};
    struct trie *trie = trie_new(&DEFAULTS);
    struct trie_entry entries[8] = {0};
    for (int i = 0; i < 8; i++)
        assert_int_equal(trie_insert(trie, &entries[i], text(PATTERNS[i]), i % 2 ? BYTES("q") : BYTES("")), 0);
    for (int i = 0; i < 8; i++) {
        char buffer[16];
        size_t len = trie_entry_pattern(&entries[i], buffer, sizeof(buffer));
        assert_true(bytes_equal(bytes_make(buffer, len), text(PATTERNS[i])));
        assert_int_equal(trie_entry_pattern(&entries[i], buffer, 0), len);
        assert_int_equal(trie_entry_queue(&entries[i]).len, i % 2);
    }
    trie_free(trie);
}

static void test_order_of_subscribing_is_kept(void **state)
{
    struct trie *trie = trie_new(&DEFAULTS);
    struct trie_entry entries[4] = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(trie_insert(trie, &entries[i], BYTES("a"), BYTES("")), 0);
    trie_remove(trie, &entries[1]);
    const struct trie_match *match = trie_match_find(trie, BYTES("a"));
    assert_int_equal(match->count, 3);
    assert_ptr_equal(match->entries[0], &entries[0]);
    assert_ptr_equal(match->entries[1], &entries[2]);
    assert_ptr_equal(match->entries[2], &entries[3]);
    trie_match_release(trie, match);
    trie_free(trie);
}

static void test_cache_takes_the_second_sighting(void **state)
{
    struct trie *trie = trie_new(&DEFAULTS);
    assert_false(hits_cache(trie, "a.b.c"));
    assert_int_equal(trie_stats(trie).cache_subjects, 0);
    assert_false(hits_cache(trie, "a.b.c"));
    assert_int_equal(trie_stats(trie).cache_subjects, 1);
    assert_true(hits_cache(trie, "a.b.c"));
    trie_free(trie);
}

static void warm(struct trie *trie, const char *subject)
{
    hits_cache(trie, subject);
    hits_cache(trie, subject);
    assert_true(hits_cache(trie, subject));
}

// The churn of request/reply must not cost the busy subjects their place.
static void test_cache_survives_inbox_churn(void **state)
{
    struct trie *trie = trie_new(&DEFAULTS);
    struct trie_entry busy = {0}, literal = {0}, wild = {0};
    assert_int_equal(trie_insert(trie, &busy, BYTES("orders.*"), BYTES("")), 0);
    warm(trie, "orders.new");
    int hits = 0;
    for (int i = 0; i < 1000; i++) {
        char inbox[32];
        snprintf(inbox, sizeof(inbox), "_INBOX.x%d", i);
        assert_int_equal(trie_insert(trie, &literal, text(inbox), BYTES("")), 0);
        assert_true(finds(trie, inbox, 1, 0));
        trie_remove(trie, &literal);
        snprintf(inbox, sizeof(inbox), "_INBOX.y%d.*", i);
        assert_int_equal(trie_insert(trie, &wild, text(inbox), BYTES("")), 0);
        trie_remove(trie, &wild);
        hits += hits_cache(trie, "orders.new");
        assert_true(finds(trie, "orders.new", 1, 0));
    }
    assert_true(hits > 990); // one wildcard in 1,024 shares its class
    trie_free(trie);
}

static void test_changes_reach_cached_subjects(void **state)
{
    static const char *const PATTERNS[] = {"a.b.c", "a.b.*", "a.*.c", "a.>", "*.b.c", ">", "a.b.>"};
    struct trie *trie = trie_new(&DEFAULTS);
    struct trie_entry entries[7] = {0};
    warm(trie, "a.b.c");
    for (uint32_t i = 0; i < 7; i++) {
        assert_int_equal(trie_insert(trie, &entries[i], text(PATTERNS[i]), BYTES("")), 0);
        assert_true(finds(trie, "a.b.c", i + 1, 0));
        assert_true(hits_cache(trie, "a.b.c")); // known to be busy: back at once
    }
    for (uint32_t i = 0; i < 7; i++) {
        trie_remove(trie, &entries[i]);
        assert_true(finds(trie, "a.b.c", 6 - i, 0));
    }
    trie_free(trie);
}

static void test_one_token_subjects_under_wildcards(void **state)
{
    struct trie *trie = trie_new(&DEFAULTS);
    struct trie_entry star = {0}, deeper = {0};
    warm(trie, "a");
    assert_int_equal(trie_insert(trie, &deeper, BYTES("a.>"), BYTES("")), 0);
    assert_true(finds(trie, "a", 0, 0));
    assert_int_equal(trie_insert(trie, &star, BYTES("*"), BYTES("")), 0);
    assert_true(finds(trie, "a", 1, 0));
    trie_free(trie);
}

static void test_cache_is_bounded_in_subjects(void **state)
{
    struct trie *trie = trie_new(&DEFAULTS);
    for (int i = 0; i < 4000; i++) {
        char subject[16];
        snprintf(subject, sizeof(subject), "s%d", i / 2);
        assert_true(finds(trie, subject, 0, 0));
        assert_true(trie_stats(trie).cache_subjects <= 64);
    }
    assert_true(trie_stats(trie).cache_subjects > 32);
    trie_free(trie);
}

// A thousand quiet tries must not cost a thousand large caches; a busy one gets its own.
static void test_cache_grows_with_use(void **state)
{
    struct trie_config config = {.hash_seed = 7, .cache_subjects_max = 4096, .cache_size_bytes_max = 1 << 20};
    struct trie *trie = trie_new(&config);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 600; i++) {
            char subject[16];
            snprintf(subject, sizeof(subject), "s.%d", i);
            hits_cache(trie, subject);
        }
        assert_true(round > 0 || trie_stats(trie).cache_subjects <= 64);
    }
    assert_true(trie_stats(trie).cache_subjects > 300);
    trie_check(trie);
    trie_free(trie);
}

static void test_budget_is_shared(void **state)
{
    struct trie_budget budget = {.size_bytes_max = 4096};
    struct trie_config config = {
        .hash_seed = 7, .cache_subjects_max = 64, .cache_size_bytes_max = 1 << 20, .budget = &budget};
    struct trie *tries[2] = {trie_new(&config), trie_new(&config)};
    struct trie_entry entry = {0};
    assert_int_equal(trie_insert(tries[1], &entry, BYTES("s.*"), BYTES("")), 0);
    for (int i = 0; i < 400; i++) {
        char subject[16];
        snprintf(subject, sizeof(subject), "s.%d", i / 2 % 50);
        assert_true(finds(tries[i >= 200], subject, i >= 200, 0));
        size_t used = trie_stats(tries[0]).cache_size_bytes + trie_stats(tries[1]).cache_size_bytes;
        assert_int_equal(used, budget.size_bytes);
        assert_true(used <= budget.size_bytes_max);
    }
    assert_true(budget.size_bytes > 2048);
    trie_free(tries[0]);
    trie_free(tries[1]);
    assert_int_equal(budget.size_bytes, 0);
}

static bool count_visit(void *context, struct trie_entry *entry)
{
    uint32_t *left = context;
    ((struct subscription *)entry)->seen++;
    return --*left > 0;
}

static void test_each_visits_all_once(void **state)
{
    struct trie *trie = trie_new(&DEFAULTS);
    struct subscription *subscriptions = mem_alloc_zero(300 * sizeof(*subscriptions));
    static const char *const FORMATS[] = {"a.%d", "a.%d.*", "b.>"};
    for (int i = 0; i < 300; i++) {
        char pattern[16];
        snprintf(pattern, sizeof(pattern), FORMATS[i % 3], i);
        struct bytes queue = i % 5 ? BYTES("") : BYTES("q");
        assert_int_equal(trie_insert(trie, &subscriptions[i].entry, text(pattern), queue), 0);
    }
    uint32_t left = 10;
    trie_each(trie, count_visit, &left);
    assert_int_equal(left, 0);
    for (int i = 0; i < 300; i++)
        subscriptions[i].seen = 0;
    left = 1000;
    trie_each(trie, count_visit, &left);
    for (int i = 0; i < 300; i++)
        assert_int_equal(subscriptions[i].seen, 1);
    trie_check(trie);
    trie_free(trie);
    mem_free(subscriptions);
}

// Of a crowd that is to go, the cache is told once.
static void test_hidden_ones_go_quietly(void **state)
{
    enum { COUNT = 100 };
    struct trie *trie = trie_new(&DEFAULTS);
    struct subscription crowd[COUNT] = {0}, other = {0};
    for (int i = 0; i < COUNT; i++) {
        crowd[i].is_meant = true;
        assert_int_equal(trie_insert(trie, &crowd[i].entry, BYTES("jobs"), BYTES("q")), 0);
    }
    assert_int_equal(trie_insert(trie, &other.entry, BYTES("jobs"), BYTES("q")), 0);
    assert_int_equal(trie_entry_crowd(&other.entry), COUNT + 1);
    warm(trie, "jobs");
    trie_hide(trie, &crowd[3].entry, is_meant);
    assert_int_equal(trie_entry_crowd(&other.entry), 1);
    assert_true(finds(trie, "jobs", 0, 1));
    uint64_t hits = trie_stats(trie).cache_hits;
    for (int i = 0; i < COUNT; i++) {
        uint32_t left = COUNT + 2;
        trie_each(trie, count_visit, &left);
        assert_int_equal(left, 1 + i);
        assert_int_equal(trie_count(trie), COUNT + 1 - i);
        trie_remove(trie, &crowd[i].entry);
        assert_true(finds(trie, "jobs", 0, 1));
    }
    assert_int_equal(trie_stats(trie).cache_hits, hits + COUNT);
    // A group whose members are all hidden is none.
    other.is_meant = true;
    trie_hide(trie, &other.entry, is_meant);
    assert_true(finds(trie, "jobs", 0, 0));
    assert_false(trie_has_interest(trie, BYTES("jobs")));
    trie_check(trie);
    trie_remove(trie, &other.entry);
    assert_int_equal(trie_stats(trie).nodes, 0);
    trie_free(trie);
}

static void test_many_literals_grow_and_shrink(void **state)
{
    enum { COUNT = 20000 };
    struct trie *trie = trie_new(&DEFAULTS);
    struct trie_entry *entries = mem_alloc_zero(COUNT * sizeof(*entries));
    char subject[24];
    for (int i = 0; i < COUNT; i++) {
        snprintf(subject, sizeof(subject), "inbox.%d", i);
        assert_int_equal(trie_insert(trie, &entries[i], text(subject), BYTES("")), 0);
    }
    for (int i = 0; i < COUNT; i += 2)
        trie_remove(trie, &entries[i]);
    trie_check(trie);
    for (int i = 0; i < COUNT; i++) {
        snprintf(subject, sizeof(subject), "inbox.%d", i);
        assert_true(finds(trie, subject, i % 2, 0));
    }
    for (int i = 1; i < COUNT; i += 2)
        trie_remove(trie, &entries[i]);
    trie_check(trie);
    trie_free(trie);
    mem_free(entries);
}

static void expect_count(struct trie *trie, const char *subject, uint32_t count)
{
    const struct trie_match *match = trie_match_find(trie, text(subject));
    assert_int_equal(match->count, count);
    trie_match_release(trie, match);
}

static void test_found_last_is_forgotten(void **state)
{
    struct trie *trie = trie_new(&DEFAULTS);
    struct trie_entry literal = {0}, wild = {0}, all = {0}, other = {0};
    for (int i = 0; i < 3; i++)
        expect_count(trie, "jobs.gpu", 0);
    assert_int_equal(trie_insert(trie, &literal, text("jobs.gpu"), text("")), 0);
    for (int i = 0; i < 3; i++)
        expect_count(trie, "jobs.gpu", 1);
    assert_int_equal(trie_insert(trie, &wild, text("jobs.*"), text("")), 0);
    for (int i = 0; i < 3; i++)
        expect_count(trie, "jobs.gpu", 2);
    assert_int_equal(trie_insert(trie, &all, text(">"), text("")), 0);
    assert_int_equal(trie_insert(trie, &other, text("other"), text("")), 0);
    for (int i = 0; i < 3; i++)
        expect_count(trie, "jobs.gpu", 3);
    expect_count(trie, "jobs.cpu", 2);
    trie_remove(trie, &wild);
    for (int i = 0; i < 3; i++)
        expect_count(trie, "jobs.gpu", 2);
    trie_remove(trie, &literal);
    expect_count(trie, "jobs.gpu", 1);
    assert_int_equal(trie_pinned_count(trie), 0);
    trie_free(trie);
}

// A thousand subjects in turn, and a cache for a few: none of them is looked up again before a pattern of its own changes.
static void test_the_only_target_is_remembered(void **state)
{
    enum { COUNT = 1000 };
    struct trie_config config = {.hash_seed = 7, .cache_subjects_max = 16, .cache_size_bytes_max = 1 << 20};
    struct trie *trie = trie_new(&config);
    struct trie_entry *entries = mem_alloc_zero(COUNT * sizeof(*entries)), one = {0}, another = {0};
    struct trie_sole *soles = mem_alloc_zero(COUNT * sizeof(*soles));
    struct trie_stats before;
    char subject[24];
    for (int i = 0; i < COUNT; i++) {
        snprintf(subject, sizeof(subject), "_INBOX.a.%d", i);
        assert_int_equal(trie_insert(trie, &entries[i], text(subject), BYTES("")), 0);
    }
    for (int round = 0; round < 3; round++) {
        before = trie_stats(trie);
        for (int i = 0; i < COUNT; i++) {
            snprintf(subject, sizeof(subject), "_INBOX.a.%d", i);
            assert_ptr_equal(trie_sole_find(trie, &soles[i], text(subject)), &entries[i]);
        }
    }
    assert_int_equal(trie_stats(trie).cache_hits - before.cache_hits, COUNT);
    // Wildcards elsewhere, and literals that are others, change nothing but what shares a class with them.
    assert_int_equal(trie_insert(trie, &one, BYTES("_INBOX.b.*"), BYTES("")), 0);
    assert_int_equal(trie_insert(trie, &another, BYTES("_INBOX.c"), BYTES("")), 0);
    before = trie_stats(trie);
    for (int i = 0; i < COUNT; i++) {
        snprintf(subject, sizeof(subject), "_INBOX.a.%d", i);
        assert_ptr_equal(trie_sole_find(trie, &soles[i], text(subject)), &entries[i]);
    }
    assert_true(trie_stats(trie).cache_hits - before.cache_hits > COUNT - 20);
    trie_remove(trie, &one);
    trie_remove(trie, &another);
    assert_int_equal(trie_insert(trie, &one, BYTES("_INBOX.a.5"), BYTES("")), 0);
    assert_int_equal(trie_insert(trie, &another, BYTES("_INBOX.a.7"), BYTES("q")), 0);
    assert_null(trie_sole_find(trie, &soles[5], BYTES("_INBOX.a.5")));
    assert_null(trie_sole_find(trie, &soles[7], BYTES("_INBOX.a.7")));
    trie_remove(trie, &entries[5]);
    assert_ptr_equal(trie_sole_find(trie, &soles[5], BYTES("_INBOX.a.5")), &one);
    trie_remove(trie, &one);
    assert_null(trie_sole_find(trie, &soles[5], BYTES("_INBOX.a.5")));
    trie_free(trie);
    mem_free(entries);
    mem_free(soles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_with_cache),
        cmocka_unit_test(test_model_with_tiny_cache),
        cmocka_unit_test(test_model_short_of_cache_memory),
        cmocka_unit_test(test_model_without_cache),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_the_longest_patterns),
        cmocka_unit_test(test_invalid_subjects_have_no_targets),
        cmocka_unit_test(test_groups_merge_by_name),
        cmocka_unit_test(test_pattern_and_queue_of_an_entry),
        cmocka_unit_test(test_order_of_subscribing_is_kept),
        cmocka_unit_test(test_cache_takes_the_second_sighting),
        cmocka_unit_test(test_cache_survives_inbox_churn),
        cmocka_unit_test(test_changes_reach_cached_subjects),
        cmocka_unit_test(test_one_token_subjects_under_wildcards),
        cmocka_unit_test(test_cache_is_bounded_in_subjects),
        cmocka_unit_test(test_cache_grows_with_use),
        cmocka_unit_test(test_budget_is_shared),
        cmocka_unit_test(test_each_visits_all_once),
        cmocka_unit_test(test_hidden_ones_go_quietly),
        cmocka_unit_test(test_many_literals_grow_and_shrink),
        cmocka_unit_test(test_found_last_is_forgotten),
        cmocka_unit_test(test_the_only_target_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
