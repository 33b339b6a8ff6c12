// SPDX-License-Identifier: Apache-2.0
// Several workers of one server, stepped in random order from a seed, with clients that publish, subscribe, unsubscribe and stop
// reading at random, against a model that knows nothing of workers:
//
//   W1  a message reaches every plain subscription that its client knew to be made (by a PONG) before it was published, and that
//       is not ended before everything is quiet, exactly once
//   W2  nobody gets a message twice by one subscription, or one that he did not ask for
//   W3  what one client published comes to one plain subscription in the order in which it was published
//   W4  of each queue group that has a member all the time, exactly one gets the message
//   W5  when everything is quiet, nothing is under way and every broker's invariants hold
//
// A seed that fails prints itself: `test-sim-workers_model SEED` runs it alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "town.h"

#define SEEDS        300
#define STEPS        400
#define CLIENTS      9
#define SUBJECTS     6
#define GROUPS       2
#define MESSAGES_MAX 4096
#define SUBS_MAX     512
#define LONG_BYTES   9000

// A subscription, as its client knows it.
struct sub {
    int subject; // SUBJECTS: the wildcard
    int group;   // -1: plain
    int client;
    int sid;
    int since;         // messages published when its PONG was there; INT32_MAX: not yet
    int until;         // messages published when it began to end; INT32_MAX: not ended
    int last[CLIENTS]; // number of the last message seen, by publisher
};

struct message {
    int subject;
    int publisher;
    uint8_t seen[SUBS_MAX]; // times, by subscription
};

struct model {
    struct town town;
    struct prng prng;
    struct peer *peers[CLIENTS];
    struct sub *subs;
    int sub_count;
    struct message *messages;
    int message_count;
    int pongs_due[CLIENTS];
    uint64_t seed;
};

static int pick(struct model *model, int below)
{
    return (int)prng_below(&model->prng, (uint64_t)below);
}

static struct town_worker *worker_of(struct model *model, int client)
{
    return &model->town.workers[(uint32_t)client % model->town.count];
}

static const char *subject_name(int subject)
{
    static const char *const names[] = {"a.0", "a.1", "a.2", "b.0", "b.1", "b.2", "a.*"};
    return names[subject];
}

static bool is_wanted(const struct sub *sub, int subject)
{
    return sub->subject == subject || (sub->subject == SUBJECTS && subject < 3);
}

static void say(struct model *model, int client, const char *text, size_t len)
{
    struct peer *peer = model->peers[client];
    struct world *world = &worker_of(model, client)->world;
    world->cut = pick(model, 3) == 0 ? 1 + (size_t)pick(model, 40) : 0;
    broker_turn_begin(world->broker, world->now);
    peer_give_bytes(peer, bytes_make(text, len));
    if (pick(model, 2))
        world_turn(world);
}

static void subscribe(struct model *model, int client)
{
    if (model->sub_count == SUBS_MAX)
        return;
    struct sub *sub = &model->subs[model->sub_count];
    *sub = (struct sub){
        .subject = pick(model, SUBJECTS + 1),
        .group = pick(model, 2) ? pick(model, GROUPS) : -1,
        .client = client,
        .sid = model->sub_count,
        .since = INT32_MAX,
        .until = INT32_MAX,
    };
    model->sub_count++;
    for (int i = 0; i < CLIENTS; i++)
        sub->last[i] = -1;
    char text[100];
    char queue[8] = "";
    if (sub->group >= 0)
        snprintf(queue, sizeof(queue), "q%d ", sub->group);
    int len = snprintf(text, sizeof(text), "SUB %s %s%d\r\nPING\r\n", subject_name(sub->subject), queue, sub->sid);
    model->pongs_due[client]++;
    say(model, client, text, (size_t)len);
}

static void unsubscribe(struct model *model, int client)
{
    for (int tries = 0; tries < 5 && model->sub_count > 0; tries++) {
        struct sub *sub = &model->subs[pick(model, model->sub_count)];
        if (sub->client != client || sub->until != INT32_MAX || sub->since == INT32_MAX)
            continue;
        char text[40];
        int len = snprintf(text, sizeof(text), "UNSUB %d\r\n", sub->sid);
        sub->until = model->message_count;
        say(model, client, text, (size_t)len);
        return;
    }
}

static void publish(struct model *model, int client)
{
    static char text[8 * (LONG_BYTES + 64)];
    size_t len = 0;
    for (int n = 1 + pick(model, 8); n > 0 && model->message_count < MESSAGES_MAX; n--) {
        struct message *message = &model->messages[model->message_count];
        message->subject = pick(model, SUBJECTS);
        message->publisher = client;
        int size = pick(model, 10) == 0 ? LONG_BYTES : 12 + pick(model, 50);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "PUB %s %d\r\n%06d%0*d\r\n",
                                subject_name(message->subject), size, model->message_count, size - 6, client);
        model->message_count++;
    }
    say(model, client, text, len);
}

static void see(struct model *model, int client, int sid, int number)
{
    struct sub *sub = &model->subs[sid];
    struct message *message = &model->messages[number];
    assert_in_range(sid, 0, model->sub_count - 1);
    assert_in_range(number, 0, model->message_count - 1);
    assert_int_equal(sub->client, client);
    assert_true(is_wanted(sub, message->subject));
    assert_int_equal(message->seen[sid], 0);
    message->seen[sid]++;
    if (sub->group < 0) {
        assert_true(sub->last[message->publisher] < number);
        sub->last[message->publisher] = number;
    }
}

// Takes everything complete that a client has received.
static void listen(struct model *model, int client)
{
    struct peer *peer = model->peers[client];
    struct bytes rest = buffer_bytes(&peer->received);
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        if (!end)
            break;
        size_t line = (size_t)(end - rest.ptr) + 1;
        if (rest.ptr[0] != 'M') {
            assert_memory_equal(rest.ptr, "PONG", 4);
            model->pongs_due[client]--;
            rest = bytes_skip(rest, line);
            // What it subscribed to before the PING that this answers: the oldest that is not known yet.
            for (int i = 0; i < model->sub_count; i++) {
                struct sub *sub = &model->subs[i];
                if (sub->client == client && sub->since == INT32_MAX) {
                    sub->since = model->message_count;
                    break;
                }
            }
            continue;
        }
        char subject[8];
        int sid, size, number;
        assert_int_equal(sscanf(rest.ptr, "MSG %7s %d %d", subject, &sid, &size), 3);
        if (rest.len < line + (size_t)size + 2)
            break;
        char digits[7] = {0};
        memcpy(digits, rest.ptr + line, 6);
        number = (int)strtol(digits, NULL, 10);
        assert_string_equal(subject, subject_name(model->messages[number].subject));
        see(model, client, sid, number);
        rest = bytes_skip(rest, line + (size_t)size + 2);
    }
    buffer_consume(&peer->received, peer->received.len - rest.len);
}

static void step(struct model *model)
{
    int client = pick(model, CLIENTS);
    switch (pick(model, 12)) {
    case 0:
    case 1: subscribe(model, client); break;
    case 2: unsubscribe(model, client); break;
    case 3:
    case 4:
    case 5: publish(model, client); break;
    case 6: model->peers[client]->takes = (size_t)pick(model, 3000); break;
    case 7: peer_take(model->peers[client], SIZE_MAX); break;
    default: town_step(&model->town, (uint32_t)pick(model, (int)model->town.count), (size_t)pick(model, 4)); break;
    }
    listen(model, client);
}

static void check_message(const struct model *model, int number)
{
    const struct message *message = &model->messages[number];
    int of_group[GROUPS] = {0}, lasting[GROUPS] = {0};
    for (int i = 0; i < model->sub_count; i++) {
        const struct sub *sub = &model->subs[i];
        bool lasts = is_wanted(sub, message->subject) && sub->since <= number && sub->until == INT32_MAX;
        if (sub->group >= 0) {
            of_group[sub->group] += message->seen[i];
            lasting[sub->group] += lasts;
        } else if (lasts) {
            assert_int_equal(message->seen[i], 1);
        }
    }
    for (int g = 0; g < GROUPS; g++) {
        assert_true(of_group[g] <= 1);
        if (lasting[g] > 0)
            assert_int_equal(of_group[g], 1);
    }
}

static void open_model(struct model *model, uint64_t seed)
{
    *model = (struct model){.seed = seed};
    prng_seed(&model->prng, seed);
    model->subs = mem_alloc_zero(SUBS_MAX * sizeof(*model->subs));
    model->messages = mem_alloc_zero(MESSAGES_MAX * sizeof(*model->messages));
    struct broker_options options;
    broker_options_default(&options);
    options.seed = seed;
    options.leave_turn_max = pick(model, 2) ? 1 : 256;
    options.remote_window_bytes = pick(model, 2) ? 1024 * 1024 : 500 + (uint64_t)pick(model, 20000);
    town_init(&model->town, 2 + (uint32_t)pick(model, 3), &options);
    for (int i = 0; i < CLIENTS; i++)
        model->peers[i] = peer_connect(&worker_of(model, i)->world, pick(model, 4) ? "" : "\"headers\":true");
}

static void run_seed(uint64_t seed)
{
    struct model model;
    open_model(&model, seed);
    int steps = STEPS / 4 + pick(&model, STEPS);
    for (int i = 0; i < steps; i++)
        step(&model);
    for (int i = 0; i < CLIENTS; i++)
        peer_take(model.peers[i], SIZE_MAX);
    for (int round = 0; round < 3; round++) {
        town_settle(&model.town);
        for (int i = 0; i < CLIENTS; i++)
            listen(&model, i);
    }
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(model.pongs_due[i], 0);
        assert_int_equal(model.peers[i]->received.len, 0);
        assert_false(model.peers[i]->paused);
    }
    for (int i = 0; i < model.message_count; i++)
        check_message(&model, i);
    town_deinit(&model.town);
    mem_free(model.subs);
    mem_free(model.messages);
}

static uint64_t first_seed = 1, last_seed = SEEDS; // tidy: allow mutable (from the command line)

static void test_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed <= last_seed; seed++) {
        run_seed(seed);
    }
}

int main(int count, char **arguments)
{
    if (count > 1)
        first_seed = last_seed = strtoull(arguments[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
