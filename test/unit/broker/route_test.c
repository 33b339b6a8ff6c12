// SPDX-License-Identifier: Apache-2.0
// Who gets what, against a model that compares every message with every subscription, while connections, subscriptions
// and inlets come and go.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "world.h"

#define CONNECTIONS   6
#define SUBSCRIPTIONS 30
#define INLETS        4
#define PATHS         16
#define STEPS         12000

struct model_subscription {
    bool used;
    int connection;
    int sid;
    char pattern[32];
    char queue[4]; // empty: plain
    uint64_t delivered;
    uint64_t max;
    int got; // of the message being checked
};

struct model_inlet {
    struct inlet inlet;
    bool used;
    char pattern[32];
    int calls;
    char payload[16];
};

struct model_path {
    char subject[32];
    struct broker_path path;
};

struct model {
    struct world world;
    struct prng prng;
    struct peer *peers[CONNECTIONS];
    bool echo[CONNECTIONS];
    bool modern[CONNECTIONS];
    struct model_subscription subscriptions[SUBSCRIPTIONS];
    struct model_inlet inlets[INLETS];
    struct model_path paths[PATHS];
    int next_sid;
    int messages;
    int deliveries, group_deliveries, told, inlet_calls, remembered; // that the test is not empty
};

static int pick(struct model *model, int n)
{
    return (int)prng_below(&model->prng, (uint64_t)n);
}

// The rules of wildcards, written down once more and differently.
static bool matches(const char *pattern, const char *subject)
{
    for (;;) {
        if (strcmp(pattern, ">") == 0)
            return *subject != '\0';
        size_t p = strcspn(pattern, "."), s = strcspn(subject, ".");
        bool same = p == s && memcmp(pattern, subject, p) == 0;
        if (s == 0 || (!same && !(p == 1 && *pattern == '*')))
            return false;
        pattern += p;
        subject += s;
        if (*pattern == '\0' || *subject == '\0')
            return *pattern == *subject;
        pattern++;
        subject++;
    }
}

static void make_subject(struct model *model, char *ret, bool pattern)
{
    static const char *const TOKENS[] = {"a", "b", "cc", "d", "ee", "*", ">"};
    int tokens = 1 + pick(model, 3);
    *ret = '\0';
    for (int i = 0; i < tokens; i++) {
        int token = pick(model, pattern ? 7 : 5);
        if (token == 6 && i < tokens - 1)
            token = 5;
        size_t len = strlen(ret);
        snprintf(ret + len, 32 - len, "%s%s", i ? "." : "", TOKENS[token]);
    }
}

static void open_connection(struct model *model, int at)
{
    model->echo[at] = prng_chance(&model->prng, 3, 4);
    model->modern[at] = prng_chance(&model->prng, 1, 2);
    char fields[128];
    snprintf(fields, sizeof(fields), "\"pedantic\":false,\"echo\":%s,\"headers\":%s,\"no_responders\":%s",
             model->echo[at] ? "true" : "false", model->modern[at] ? "true" : "false",
             model->modern[at] ? "true" : "false");
    model->peers[at] = peer_connect(&model->world, fields);
}

static void reopen_connection(struct model *model)
{
    int at = pick(model, CONNECTIONS);
    if (model->world.peer_count == WORLD_PEERS_MAX)
        return;
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        if (model->subscriptions[i].used && model->subscriptions[i].connection == at)
            model->subscriptions[i].used = false;
    }
    if (prng_chance(&model->prng, 1, 2)) {
        peer_close(model->peers[at]);
    } else {
        peer_say(model->peers[at], "NONSENSE\r\n");
        peer_expect(model->peers[at], "-ERR 'Unknown Protocol Operation'\r\n");
    }
    open_connection(model, at);
}

static void subscribe(struct model *model)
{
    struct model_subscription *subscription = &model->subscriptions[pick(model, SUBSCRIPTIONS)];
    if (subscription->used)
        return;
    static const char *const QUEUES[] = {"", "", "q", "w"};
    *subscription =
        (struct model_subscription){.used = true, .connection = pick(model, CONNECTIONS), .sid = ++model->next_sid};
    make_subject(model, subscription->pattern, true);
    snprintf(subscription->queue, sizeof(subscription->queue), "%s", QUEUES[pick(model, 4)]);
    char line[96];
    snprintf(line, sizeof(line), "SUB %s %s %d\r\n", subscription->pattern, subscription->queue, subscription->sid);
    peer_say(model->peers[subscription->connection], line);
}

static void unsubscribe(struct model *model)
{
    struct model_subscription *subscription = &model->subscriptions[pick(model, SUBSCRIPTIONS)];
    if (!subscription->used)
        return;
    subscription->max = (uint64_t)pick(model, 6);
    subscription->used = subscription->max > subscription->delivered;
    char line[64];
    if (subscription->max == 0)
        snprintf(line, sizeof(line), "UNSUB %d\r\n", subscription->sid);
    else
        snprintf(line, sizeof(line), "UNSUB %d %d\r\n", subscription->sid, (int)subscription->max);
    peer_say(model->peers[subscription->connection], line);
}

static bool count_call(struct inlet *inlet, const struct inlet_message *message)
{
    struct model_inlet *model_inlet = (struct model_inlet *)(void *)inlet;
    model_inlet->calls++;
    snprintf(model_inlet->payload, sizeof(model_inlet->payload), "%.*s", BYTES_ARG(message->payload));
    return true;
}

static void change_inlet(struct model *model)
{
    struct model_inlet *inlet = &model->inlets[pick(model, INLETS)];
    inlet->used = !inlet->used;
    if (!inlet->used) {
        broker_inlet_remove(model->world.broker, &inlet->inlet);
        return;
    }
    *inlet = (struct model_inlet){.inlet.on_message = count_call, .used = true};
    make_subject(model, inlet->pattern, prng_chance(&model->prng, 1, 3));
    if (prng_chance(&model->prng, 2, 3) && !strchr(inlet->pattern, '>'))
        snprintf(inlet->pattern + strlen(inlet->pattern), 8, ".>");
    assert_int_equal(broker_inlet_add(model->world.broker, &inlet->inlet, bytes_from_string(inlet->pattern)), 0);
}

static struct model_subscription *find_sid(struct model *model, int connection, int sid)
{
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        struct model_subscription *subscription = &model->subscriptions[i];
        if (subscription->used && subscription->connection == connection && subscription->sid == sid)
            return subscription;
    }
    fail_msg("connection %d received for sid %d, which it does not have", connection, sid);
    return NULL;
}

// Takes everything a connection received apart; every message must be the one just published. Returns the sid of a 503.
static int read_received(struct model *model, int connection, const char *subject, const char *payload,
                         const char *reply)
{
    struct peer *peer = model->peers[connection];
    int told_sid = 0;
    char expected[128];
    const char *at = peer->received.ptr, *end = at + peer->received.len;
    while (at < end) {
        const char *digits =
            at[0] == 'H' ? at + strlen("HMSG ") + strlen(reply) + 1 : at + strlen("MSG ") + strlen(subject) + 1;
        int sid = atoi(digits); // tidy: allow atoi
        if (at[0] == 'H') {
            assert_int_equal(told_sid, 0);
            told_sid = sid;
            size_t len = 32 + strlen(subject);
            snprintf(expected, sizeof(expected), "HMSG %s %d %zu %zu\r\nNATS/1.0 503\r\nNats-Subject: %s\r\n\r\n\r\n",
                     reply, sid, len, len, subject);
        } else {
            find_sid(model, connection, sid)->got++;
            snprintf(expected, sizeof(expected), "MSG %s %d %s%s%zu\r\n%s\r\n", subject, sid, reply, *reply ? " " : "",
                     strlen(payload), payload);
        }
        assert_true((size_t)(end - at) >= strlen(expected));
        assert_memory_equal(at, expected, strlen(expected));
        at += strlen(expected);
    }
    peer_forget(peer);
    return told_sid;
}

// Each plain subscription once, one member of each group, each inlet; returns how many got it.
static int check_deliveries(struct model *model, int from, const char *subject, const char *payload)
{
    int total = 0, group_members[2] = {0}, group_got[2] = {0};
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        struct model_subscription *subscription = &model->subscriptions[i];
        if (!subscription->used)
            continue;
        bool wants = matches(subscription->pattern, subject) && (subscription->connection != from || model->echo[from]);
        total += subscription->got;
        if (*subscription->queue) {
            assert_true(subscription->got == 0 || wants);
            group_members[*subscription->queue == 'w'] += wants;
            group_got[*subscription->queue == 'w'] += subscription->got;
        } else {
            assert_int_equal(subscription->got, wants);
            model->deliveries += wants;
        }
        subscription->delivered += (uint64_t)subscription->got;
        subscription->got = 0;
        if (subscription->max > 0 && subscription->delivered >= subscription->max)
            subscription->used = false;
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(group_got[i], group_members[i] > 0);
        model->group_deliveries += group_got[i];
    }
    for (int i = 0; i < INLETS; i++) {
        struct model_inlet *inlet = &model->inlets[i];
        bool wants = inlet->used && matches(inlet->pattern, subject);
        assert_int_equal(inlet->calls, wants);
        if (wants)
            assert_string_equal(inlet->payload, payload);
        total += inlet->calls;
        model->inlet_calls += inlet->calls;
        inlet->calls = 0;
    }
    return total;
}

static void check_told(struct model *model, int from, const char *reply, int total, int told_sid)
{
    bool wants = false;
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        struct model_subscription *subscription = &model->subscriptions[i];
        bool may = subscription->used && subscription->connection == from && !*subscription->queue &&
                   matches(subscription->pattern, reply);
        wants |= may;
        assert_true(subscription->sid != told_sid || !subscription->used || may);
    }
    wants = wants && model->modern[from] && *reply && total == 0;
    assert_int_equal(told_sid != 0, wants);
    model->told += wants;
}

// From inside the process, along a path or not: who gets it is the same.
static size_t publish_inside(struct model *model, struct model_path *path, const char *subject, const char *reply,
                             const char *payload)
{
    struct broker *broker = model->world.broker;
    struct bytes part = bytes_from_string(payload), none = {0}, to = bytes_from_string(subject);
    if (!path)
        return broker_publish(broker, to, bytes_from_string(reply), none, &part, 1);
    model->remembered += path->path.sole.entry != NULL;
    return broker_publish_along(broker, &path->path, to, none, &part, 1);
}

static void publish(struct model *model)
{
    char subject[32], payload[16], reply[32] = "", text[128];
    make_subject(model, subject, prng_chance(&model->prng, 1, 20));
    snprintf(payload, sizeof(payload), "%d", ++model->messages);
    if (prng_chance(&model->prng, 1, 3))
        make_subject(model, reply, false);
    int from = pick(model, CONNECTIONS + 1) - 1;
    int told[CONNECTIONS] = {0};
    size_t count = 0;
    if (from < 0) {
        struct model_path *path = *reply ? NULL : &model->paths[pick(model, PATHS)];
        if (path)
            snprintf(subject, sizeof(subject), "%s", path->subject);
        count = publish_inside(model, path, subject, reply, payload);
        world_turn(&model->world);
    } else {
        snprintf(text, sizeof(text), "PUB %s %s %zu\r\n%s\r\n", subject, reply, strlen(payload), payload);
        peer_say(model->peers[from], text);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        told[i] = read_received(model, i, subject, payload, reply);
        assert_true(i == from || told[i] == 0);
    }
    int total = check_deliveries(model, from, subject, payload);
    if (from < 0)
        assert_int_equal(count, total);
    else
        check_told(model, from, reply, total, told[from]);
}

static void churn(uint64_t seed)
{
    struct broker_options options;
    broker_options_default(&options);
    options.seed = seed;
    options.leave_turn_max = 1 + (uint32_t)(seed % 5);
    struct model *model = mem_alloc_zero(sizeof(*model));
    world_init(&model->world, &options);
    prng_seed(&model->prng, seed);
    for (int i = 0; i < CONNECTIONS; i++)
        open_connection(model, i);
    for (int i = 0; i < PATHS; i++)
        make_subject(model, model->paths[i].subject, false);
    for (int step = 0; step < STEPS; step++) {
        model->world.cut = (size_t)pick(model, 40);
        switch (pick(model, 12)) {
        case 0:
        case 1: subscribe(model); break;
        case 2: unsubscribe(model); break;
        case 3: change_inlet(model); break;
        case 4:
            if (prng_chance(&model->prng, 1, 10))
                reopen_connection(model);
            break;
        default: publish(model); break;
        }
    }
    assert_true(model->deliveries > 1000 && model->group_deliveries > 500);
    assert_true(model->told > 5 && model->inlet_calls > 200 && model->remembered > 50);
    world_deinit(&model->world);
    mem_free(model);
}

static void churn_seeds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        churn(seed);
}

// Every member of a group has its turn, and about equally often.
static void groups_are_fair(void **state)
{
    (void)state;
    struct broker_options options;
    broker_options_default(&options);
    options.seed = 11;
    struct world world;
    world_init(&world, &options);
    struct peer *members[4], *publisher = peer_connect(&world, "");
    for (int i = 0; i < 4; i++) {
        members[i] = peer_connect(&world, "");
        peer_say(members[i], i % 2 ? "SUB work.* q 1\r\n" : "SUB work.a q 1\r\n"); // one group, whatever the pattern
    }
    size_t one = strlen("MSG work.a 1 1\r\nx\r\n");
    for (int i = 0; i < 400; i++)
        peer_give_bytes(publisher, BYTES("PUB work.a 1\r\nx\r\n"));
    world_turn(&world);
    size_t sum = 0;
    for (int i = 0; i < 4; i++) {
        assert_in_range(members[i]->received.len / one, 70, 130);
        sum += members[i]->received.len;
        peer_forget(members[i]);
    }
    assert_int_equal(sum, 400 * one);
    // A member that is on its way out, though still there, is passed over.
    for (int i = 0; i < 3; i++) {
        members[i]->takes = 0;
        peer_give_bytes(members[i], BYTES("NONSENSE\r\n"));
    }
    for (int i = 0; i < 20; i++)
        peer_give_bytes(publisher, BYTES("PUB work.a 1\r\nx\r\n"));
    world_turn(&world);
    assert_int_equal(members[3]->received.len, 20 * one);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"CO-P08 CO-P09 CO-P10 CO-P11 CO-P12 churn against a model", churn_seeds, NULL, NULL, NULL},
        {"CO-P09 queue groups pick at random and skip who is leaving", groups_are_fair, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
