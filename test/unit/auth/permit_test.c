// SPDX-License-Identifier: Apache-2.0
// CO-S06: what permissions allow, by table (what nats-server answers) and against a model that knows no cache, no trie and no
// order: a rule is compared token by token.
#include "auth/permit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/auth_builder.h"
#include "base/prng.h"
#include "subject/subject.h"

#define LIST_MAX 40

struct text_list {
    char text[LIST_MAX][64];
    struct bytes items[LIST_MAX];
    uint32_t count;
};

struct rules {
    struct text_list publish_allow, publish_deny, subscribe_allow, subscribe_deny;
    bool allow_responses;
};

static struct auth_strings strings(struct text_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        list->items[i] = bytes_from_string(list->text[i]);
    return (struct auth_strings){list->items, list->count};
}

static struct permit *permit_of(struct rules *rules)
{
    struct auth_permissions_spec spec = {
        .publish_allow = strings(&rules->publish_allow),
        .publish_deny = strings(&rules->publish_deny),
        .subscribe_allow = strings(&rules->subscribe_allow),
        .subscribe_deny = strings(&rules->subscribe_deny),
        .allow_responses = rules->allow_responses,
    };
    struct auth_builder *builder = auth_builder_new();
    struct auth_config *config = NULL;
    struct auth_error error = {0};
    auth_builder_add_user(builder, &(struct auth_user_spec){.name = BYTES("u"), .permissions = &spec});
    if (auth_builder_finish(builder, &config, &error) != 0)
        fail_msg("%s", error.text);
    auth_builder_free(builder);
    struct permit *permit = permit_new(config, auth_config_find_user(config, BYTES("u"))->permissions, 7);
    auth_config_unref(config); // the permit keeps it
    return permit;
}

static void add(struct text_list *list, const char *text)
{
    snprintf(list->text[list->count++], sizeof(list->text[0]), "%s", text);
}

static bool publish(struct permit *permit, const char *subject)
{
    bool first = permit_publish(permit, bytes_from_string(subject));
    assert_int_equal(permit_publish(permit, bytes_from_string(subject)), first);
    return first;
}

static bool subscribe(const struct permit *permit, const char *pattern, const char *queue)
{
    return permit_subscribe(permit, bytes_from_string(pattern), bytes_from_string(queue));
}

static bool names(struct permit *permit, const char *subject)
{
    return permit_names(permit_permissions(permit), bytes_from_string(subject));
}

static void test_names(void **state)
{
    struct rules rules = {0};
    add(&rules.publish_allow, ">");
    add(&rules.publish_allow, "*.API.x");
    add(&rules.publish_allow, "$ADM.API.*");
    add(&rules.publish_allow, "$ADM.more.>");
    add(&rules.publish_deny, "$ADM.*.no");
    struct permit *permit = permit_of(&rules);
    assert_true(publish(permit, "other") && publish(permit, "$ADM.x.y"));
    assert_true(names(permit, "$ADM.API.x") && names(permit, "$ADM.more.a.b"));
    assert_false(names(permit, "other") || names(permit, "$ADM.x.y") || names(permit, "$ADM.API.x.y"));
    assert_false(names(permit, "$ADMIN.API.x") || names(permit, "*.API.x") || names(permit, ">"));
    assert_false(names(permit, "$ADM.API.no") || names(permit, "$ADM.API.") || names(permit, ""));
    permit_unref(permit);
    assert_false(permit_names(NULL, BYTES("$ADM.API.x")));
    permit = permit_of(&(struct rules){0});
    assert_false(names(permit, "$ADM.API.x"));
    permit_unref(permit);
}

static void test_publish(void **state)
{
    struct rules rules = {0};
    add(&rules.publish_allow, "foo.*");
    add(&rules.publish_allow, "bar");
    add(&rules.publish_deny, "foo.no");
    struct permit *permit = permit_of(&rules);
    assert_true(publish(permit, "foo.a"));
    assert_true(publish(permit, "bar"));
    assert_true(publish(permit, "foo.*"));
    assert_false(publish(permit, "foo.no"));
    assert_false(publish(permit, "foo.a.b"));
    assert_false(publish(permit, "foo..a"));
    assert_false(publish(permit, "foo."));
    assert_false(publish(permit, ""));
    permit_unref(permit);
}

static void test_publish_denied_only(void **state)
{
    struct rules rules = {0};
    add(&rules.publish_deny, "x.>");
    struct permit *permit = permit_ref(permit_of(&rules));
    assert_true(permit_is_shared(permit));
    permit_unref(permit);
    assert_false(permit_is_shared(permit));
    assert_true(publish(permit, "y"));
    assert_false(publish(permit, "x.a"));
    assert_true(publish(permit, "x..a")); // no subject at all, and nobody gets it
    char longest[4096];
    memset(longest, 'a', sizeof(longest));
    assert_true(permit_publish(permit, bytes_make(longest, sizeof(longest))));
    memcpy(longest, "x.", 2);
    assert_false(permit_publish(permit, bytes_make(longest, sizeof(longest))));
    assert_true(publish(permit, "y"));
    permit_unref(permit);
}

static void test_responses_only(void **state)
{
    struct rules rules = {.allow_responses = true};
    struct permit *permit = permit_of(&rules);
    assert_false(publish(permit, "y"));
    assert_true(subscribe(permit, ">", ""));
    assert_true(permit_permissions(permit)->allow_responses);
    permit_unref(permit);
}

// As nats-server answers these, but for "foo.>", to which it lets a rule for "foo.*" lead.
static void test_subscribe(void **state)
{
    struct rules rules = {0};
    add(&rules.subscribe_allow, "foo.*");
    add(&rules.subscribe_allow, "q.* v1.*");
    add(&rules.subscribe_allow, "m");
    add(&rules.subscribe_allow, "m g1");
    add(&rules.subscribe_deny, "foo.no");
    struct permit *permit = permit_of(&rules);
    assert_true(subscribe(permit, "foo.a", ""));
    assert_true(subscribe(permit, "foo.a", "any"));
    assert_true(subscribe(permit, "foo.*", ""));
    assert_false(subscribe(permit, "foo.>", ""));
    assert_false(subscribe(permit, "foo.no", ""));
    assert_false(subscribe(permit, "bar", ""));
    assert_false(subscribe(permit, "bar", "qq"));
    assert_false(subscribe(permit, "q.a", ""));
    assert_true(subscribe(permit, "q.a", "v1.x"));
    assert_false(subscribe(permit, "q.a", "v1.x.y"));
    assert_true(subscribe(permit, "q.a", "v1.*"));
    assert_false(subscribe(permit, "q.a", "v1.>"));
    assert_false(subscribe(permit, "q.a", "v1..x"));
    assert_true(subscribe(permit, "m", ""));
    assert_true(subscribe(permit, "m", "g1"));
    assert_false(subscribe(permit, "m", "g2"));
    assert_false(subscribe(permit, "foo..a", ""));
    permit_unref(permit);
}

static void test_subscribe_denied(void **state)
{
    struct rules rules = {0};
    add(&rules.subscribe_deny, "d.x");
    add(&rules.subscribe_deny, "w.*.c");
    add(&rules.subscribe_deny, "dq q1");
    add(&rules.subscribe_deny, "both");
    add(&rules.subscribe_deny, "both q1");
    struct permit *permit = permit_of(&rules);
    assert_true(subscribe(permit, "d.*", ""));
    assert_false(subscribe(permit, "d.x", ""));
    assert_true(subscribe(permit, "dq", ""));
    assert_false(subscribe(permit, "dq", "q1"));
    assert_true(subscribe(permit, "dq", "q2"));
    assert_false(subscribe(permit, "both", ""));
    assert_false(subscribe(permit, "both", "q1"));
    assert_true(subscribe(permit, "both", "q2"));
    assert_true(subscribe(permit, "a..b", "")); // which is refused for itself
    assert_true(permit_filters(permit, BYTES("d.*")));
    assert_true(permit_filters(permit, BYTES("w.b.*")));
    assert_true(permit_filters(permit, BYTES(">")));
    assert_false(permit_filters(permit, BYTES("d.y")));
    assert_false(permit_filters(permit, BYTES("w.*")));
    assert_false(permit_deliver(permit, BYTES("d.x")));
    assert_false(permit_deliver(permit, BYTES("w.b.c")));
    assert_true(permit_deliver(permit, BYTES("d.y")));
    assert_true(permit_deliver(permit, BYTES("dq")));
    assert_false(permit_deliver(permit, BYTES("d.x")));
    permit_unref(permit);
}

// --- the model ------------------------------------------------------------------------------------------------------

static size_t split(const char *text, char tokens[16][64])
{
    size_t count = 1, len = 0;
    for (; *text; text++) {
        if (*text == '.') {
            tokens[count - 1][len] = '\0';
            count++;
            len = 0;
        } else {
            tokens[count - 1][len++] = *text;
        }
    }
    tokens[count - 1][len] = '\0';
    return count;
}

// Every subject of `inner` (a subject is one of itself) is one of `outer`.
static bool model_covers(const char *outer, const char *inner)
{
    char a[16][64], b[16][64];
    size_t m = split(outer, a), n = split(inner, b);
    bool a_open = strcmp(a[m - 1], ">") == 0, b_open = strcmp(b[n - 1], ">") == 0;
    if (a_open ? n < m : n != m || b_open)
        return false;
    for (size_t i = 0; i < (a_open ? m - 1 : m); i++) {
        if (b_open && i == n - 1)
            return false;
        if (strcmp(a[i], "*") != 0 && strcmp(a[i], b[i]) != 0)
            return false;
    }
    return true;
}

static bool model_any(const struct text_list *list, const char *subject)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (!strchr(list->text[i], ' ') && model_covers(list->text[i], subject))
            return true;
    return false;
}

static bool model_publish(const struct rules *rules, const char *subject)
{
    if ((rules->publish_allow.count || rules->allow_responses) && !model_any(&rules->publish_allow, subject))
        return false;
    return !model_any(&rules->publish_deny, subject);
}

static bool model_list(const struct text_list *list, const char *pattern, const char *queue)
{
    bool queued = false, fits = false;
    for (uint32_t i = 0; i < list->count; i++) {
        char subject[64], *blank;
        snprintf(subject, sizeof(subject), "%s", list->text[i]);
        if (!(blank = strchr(subject, ' ')))
            continue;
        *blank = '\0';
        if (*queue == '\0' || !model_covers(subject, pattern))
            continue;
        queued = true;
        fits |= strcmp(blank + 1, queue) == 0 || model_covers(blank + 1, queue);
    }
    return queued ? fits : model_any(list, pattern);
}

static bool model_subscribe(const struct rules *rules, const char *pattern, const char *queue)
{
    if (rules->subscribe_allow.count && !model_list(&rules->subscribe_allow, pattern, queue))
        return false;
    return rules->subscribe_deny.count == 0 || !model_list(&rules->subscribe_deny, pattern, queue);
}

static void make_subject(struct prng *prng, bool wild, char *ret_text)
{
    static const char *const tokens[] = {"a", "b", "c", "dd", "*", ">"};
    size_t count = 1 + prng_below(prng, 4), len = 0;
    for (size_t i = 0; i < count; i++) {
        const char *token = tokens[prng_below(prng, wild ? (i == count - 1 ? 6 : 5) : 4)];
        len += (size_t)snprintf(ret_text + len, 8, "%s%s", i ? "." : "", token);
    }
}

static void make_list(struct prng *prng, bool queues, struct text_list *ret_list)
{
    ret_list->count = 0;
    if (prng_below(prng, 3) == 0)
        return;
    uint32_t count = 1 + (uint32_t)prng_below(prng, prng_below(prng, 2) ? 5 : LIST_MAX - 1);
    for (uint32_t i = 0; i < count; i++) {
        char text[64];
        make_subject(prng, true, text);
        size_t len = strlen(text);
        if (queues && prng_below(prng, 4) == 0) {
            text[len++] = ' ';
            make_subject(prng, true, text + len);
        }
        add(ret_list, text);
    }
}

static void test_model(void **state)
{
    struct prng prng;
    prng_seed(&prng, 11);
    for (int round = 0; round < 300; round++) {
        static struct rules rules;
        make_list(&prng, false, &rules.publish_allow);
        make_list(&prng, false, &rules.publish_deny);
        make_list(&prng, true, &rules.subscribe_allow);
        make_list(&prng, true, &rules.subscribe_deny);
        rules.allow_responses = prng_below(&prng, 4) == 0;
        struct permit *permit = permit_of(&rules);
        for (int i = 0; i < 300; i++) {
            char subject[64], pattern[64], queue[64] = "";
            make_subject(&prng, false, subject);
            make_subject(&prng, true, pattern);
            if (prng_below(&prng, 2))
                make_subject(&prng, prng_below(&prng, 4) == 0, queue);
            if (publish(permit, subject) != model_publish(&rules, subject))
                fail_msg("round %d: publish to %s", round, subject);
            if (subscribe(permit, pattern, queue) != model_subscribe(&rules, pattern, queue))
                fail_msg("round %d: subscribe to %s as %s", round, pattern, queue);
            bool denied = model_any(&rules.subscribe_deny, subject);
            if (permit_deliver(permit, bytes_from_string(subject)) == denied)
                fail_msg("round %d: deliver %s", round, subject);
            // Whatever is denied and falls under an allowed wildcard subscription is filtered.
            if (denied && strpbrk(pattern, "*>") && model_covers(pattern, subject))
                assert_true(permit_filters(permit, bytes_from_string(pattern)));
        }
        permit_unref(permit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_publish_denied_only),
        cmocka_unit_test(test_responses_only),
        cmocka_unit_test(test_subscribe),
        cmocka_unit_test(test_subscribe_denied),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
