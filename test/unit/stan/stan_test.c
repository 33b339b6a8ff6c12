// SPDX-License-Identifier: Apache-2.0
// What answers wait for, and what becomes of requests that are overtaken by others: requests from inside the process, on a log whose
// disk works when the test says so.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/varint.h"
#include "broker/broker.h"
#include "shard/shard.h"
#include "sim_disk.h"
#include "stan/stan.h"
#include "stan/stan.pb-c.h"

#define KIB    1024
#define SECOND 1000000000ULL

struct rig {
    struct sim_disk disk;
    struct broker *broker;
    struct shard *shard;
    struct stan *stan;
    struct inlet ear;
    struct moment now;
    char heard[4096]; // "reply-subject text;" for each answer
    size_t heard_len;
};

// The error of any answer is the only text in it that begins so; a publish's guid and a subscription's inbox do not.
static void note(struct rig *rig, struct bytes subject, struct bytes payload)
{
    size_t at = 0;
    while (at < payload.len && !bytes_starts_with(bytes_skip(payload, at), BYTES("stan: ")))
        at++;
    struct bytes text = at < payload.len ? bytes_skip(payload, at + 6) : BYTES("ok");
    int len = snprintf(rig->heard + rig->heard_len, sizeof(rig->heard) - rig->heard_len, "%.*s %.*s;",
                       BYTES_ARG(bytes_skip(subject, 2)), BYTES_ARG(text));
    assert_true(len > 0 && rig->heard_len + (size_t)len < sizeof(rig->heard));
    rig->heard_len += (size_t)len;
}

static bool hear(struct inlet *inlet, const struct inlet_message *message)
{
    note(container_of(inlet, struct rig, ear), message->subject, message->payload);
    return true;
}

static void start(struct rig *rig)
{
    struct broker_options broker;
    broker_options_default(&broker);
    rig->broker = broker_new(&broker, rig->now);
    struct shard_options shard = {.id = 1};
    store_options_default(&shard.store);
    shard.store.identity = BYTES("test-cluster");
    shard.store.max_payload = 4 * KIB;
    shard.store.file_bytes = shard.store.first_file_bytes = 64 * KIB;
    shard.store.log_bytes = 1024 * KIB;
    shard.store.checkpoint_bytes = 128 * KIB;
    shard.store.cache_bytes = 4 * KIB; // so that a search by time has to read
    rig->shard = shard_new(&shard);
    struct stan_options stan;
    stan_options_default(&stan);
    rig->stan = stan_new(&stan, rig->broker, rig->shard);
    assert_int_equal(shard_open(rig->shard, &rig->disk.disk, rig->now), 0);
    assert_int_equal(stan_start(rig->stan, rig->now), 0);
    rig->ear = (struct inlet){.on_message = hear};
    assert_int_equal(broker_inlet_add(rig->broker, &rig->ear, BYTES("r.>")), 0);
}

static void stop(struct rig *rig)
{
    sim_disk_drain(&rig->disk);
    shard_quiesce(rig->shard);
    sim_disk_drain(&rig->disk);
    stan_stop(rig->stan);
    broker_inlet_remove(rig->broker, &rig->ear);
    shard_stop(rig->shard);
    stan_free(rig->stan);
    shard_free(rig->shard);
    broker_free(rig->broker);
}

static int set_up(void **state)
{
    struct rig *rig = mem_alloc_zero(sizeof(*rig));
    sim_disk_init(&rig->disk, 7);
    rig->now = (struct moment){.mono_ns = SECOND, .wall_ns = 1000 * SECOND};
    start(rig);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    stop(rig);
    sim_disk_deinit(&rig->disk);
    mem_free(rig);
    return 0;
}

// A turn in which the disk does nothing.
static void turn(struct rig *rig)
{
    rig->now.mono_ns += SECOND / 100;
    rig->now.wall_ns += SECOND / 100;
    broker_turn_begin(rig->broker, rig->now);
    stan_turn_begin(rig->stan, rig->now);
    stan_turn_end(rig->stan);
    shard_turn_end(rig->shard, rig->now);
    broker_turn_end(rig->broker);
}

static void settle(struct rig *rig)
{
    for (int i = 0; i < 50; i++) {
        turn(rig);
        sim_disk_drain(&rig->disk);
    }
}

static void expect_heard(struct rig *rig, const char *text)
{
    rig->heard[rig->heard_len] = '\0';
    assert_string_equal(rig->heard, text);
    rig->heard_len = 0;
}

static ProtobufCBinaryData text(const char *string)
{
    return (ProtobufCBinaryData){strlen(string), (uint8_t *)(uintptr_t)string};
}

static void say(struct rig *rig, struct bytes subject, const char *reply, const ProtobufCMessage *message)
{
    uint8_t packed[5 * KIB];
    assert_true(protobuf_c_message_get_packed_size(message) <= sizeof(packed));
    struct bytes payload = bytes_make(packed, protobuf_c_message_pack(message, packed));
    broker_publish(rig->broker, subject, bytes_from_string(reply), (struct bytes){0}, &payload, 1);
}

static void say_connect(struct rig *rig, const char *id, const char *reply)
{
    StanPb__ConnectRequest request = STAN_PB__CONNECT_REQUEST__INIT;
    request.client_id = text(id);
    request.heartbeat_inbox = text("r.heartbeat");
    say(rig, BYTES("_STAN.discover.test-cluster"), reply, &request.base);
}

static void say_close(struct rig *rig, const char *id, const char *reply)
{
    StanPb__CloseRequest request = STAN_PB__CLOSE_REQUEST__INIT;
    request.client_id = text(id);
    say(rig, BYTES("_STAN.close.test-cluster"), reply, &request.base);
}

static void say_publish(struct rig *rig, const char *id, const char *guid, size_t size, const char *reply)
{
    char data[4 * KIB] = "";
    StanPb__PubMsg message = STAN_PB__PUB_MSG__INIT;
    message.client_id = text(id);
    message.guid = text(guid);
    message.subject = text("channel");
    message.data = (ProtobufCBinaryData){size, (uint8_t *)data};
    say(rig, BYTES("_STAN.pub.test-cluster.channel"), reply, &message.base);
}

static void say_subscribe(struct rig *rig, const char *id, const char *inbox, bool by_time, const char *reply)
{
    StanPb__SubscriptionRequest request = STAN_PB__SUBSCRIPTION_REQUEST__INIT;
    request.client_id = text(id);
    request.subject = text("channel");
    request.inbox = text(inbox);
    request.max_in_flight = 1;
    request.ack_wait_in_secs = 30;
    request.start_position = by_time ? 2 : 4;
    request.start_time_delta = by_time ? (int64_t)(SECOND / 2) : 0;
    say(rig, BYTES("_STAN.sub.test-cluster"), reply, &request.base);
}

static void say_sub_close(struct rig *rig, const char *id, const char *inbox, const char *reply)
{
    StanPb__UnsubscribeRequest request = STAN_PB__UNSUBSCRIBE_REQUEST__INIT;
    request.client_id = text(id);
    request.subject = text("channel");
    request.inbox = text(inbox);
    say(rig, BYTES("_STAN.subclose.test-cluster"), reply, &request.base);
}

static void expect_counts(struct rig *rig, uint64_t clients, uint64_t subscriptions, uint64_t consumers)
{
    struct stan_stats stan;
    struct engine_stats engine;
    stan_stats_get(rig->stan, &stan);
    engine_stats_get(shard_engine(rig->shard), &engine);
    assert_int_equal(stan.clients, clients);
    assert_int_equal(stan.subscriptions, subscriptions);
    assert_int_equal(engine.consumers, consumers);
    assert_int_equal(engine.members, subscriptions);
}

// That an id is taken is only true when the one who took it is durable; what the request itself says is true at once.
static void refusals_wait_for_what_they_rest_on(void **state)
{
    struct rig *rig = *state;
    say_connect(rig, "a", "r.1");
    say_connect(rig, "a", "r.2");
    say_connect(rig, "", "r.3");
    turn(rig);
    expect_heard(rig, "3 clientID missing;");
    settle(rig);
    expect_heard(rig, "1 ok;2 clientID already registered;");
    // Its close is not durable: that nobody of the name is there is not, either.
    say_close(rig, "a", "r.1");
    say_publish(rig, "a", "g", 10, "r.2");
    say_subscribe(rig, "a", "r.inbox", false, "r.3");
    say_sub_close(rig, "a", "r.inbox", "r.4");
    say_close(rig, "a", "r.5");
    turn(rig);
    expect_heard(rig, "");
    settle(rig);
    expect_heard(rig, "1 ok;2 invalid publish request;3 unknown clientID;4 invalid subscription;5 unknown clientID;");
    // With nothing on its way there is nothing to wait for.
    say_close(rig, "a", "r.1");
    expect_heard(rig, "1 unknown clientID;");
    expect_counts(rig, 0, 0, 0);
}

// What the log does not take was never true.
static void refusals_go_with_what_they_rest_on(void **state)
{
    struct rig *rig = *state;
    say_connect(rig, "a", "r.1");
    say_connect(rig, "b", "r.2");
    say_connect(rig, "a", "r.3");
    sim_disk_fail(&rig->disk, 1, ERR_NO_SPACE);
    settle(rig);
    expect_heard(rig, "1 the server's disk is full, nothing was stored;2 the server's disk is full, nothing was stored;"
                      "3 the server's disk is full, nothing was stored;");
    expect_counts(rig, 0, 0, 0);
    say_connect(rig, "a", "r.1");
    settle(rig);
    expect_heard(rig, "1 ok;");
    expect_counts(rig, 1, 0, 0);
}

// ST-P05: by the inbox, of a subscription whose answer has not left.
static void a_subscription_is_closed_before_it_is_durable(void **state)
{
    struct rig *rig = *state;
    say_connect(rig, "a", "r.0");
    settle(rig);
    say_subscribe(rig, "a", "r.inbox", false, "r.1");
    say_sub_close(rig, "a", "r.other", "r.2");
    say_sub_close(rig, "a", "r.inbox", "r.3");
    say_sub_close(rig, "a", "r.inbox", "r.4");
    turn(rig);
    expect_heard(rig, "0 ok;");
    settle(rig);
    expect_heard(rig, "1 ok;2 invalid subscription;3 ok;4 invalid subscription;");
    expect_counts(rig, 1, 0, 0);
    // A batch that is refused takes all of it back.
    say_subscribe(rig, "a", "r.inbox", false, "r.1");
    turn(rig);
    say_sub_close(rig, "a", "r.inbox", "r.2");
    sim_disk_fail(&rig->disk, 1, ERR_NO_SPACE);
    settle(rig);
    rig->heard_len = 0;
    expect_counts(rig, 1, 0, 0);
    say_subscribe(rig, "a", "r.inbox", false, "r.1");
    settle(rig);
    expect_heard(rig, "1 ok;");
    expect_counts(rig, 1, 1, 1);
    say_sub_close(rig, "a", "r.inbox", "r.2");
    settle(rig);
    expect_heard(rig, "2 ok;");
    expect_counts(rig, 1, 0, 0);
}

// The same while it is searched for where it begins.
static void a_subscription_is_closed_before_it_begins(void **state)
{
    struct rig *rig = *state;
    say_connect(rig, "a", "r.0");
    settle(rig);
    for (int i = 0; i < 100; i++) {
        char guid[16];
        snprintf(guid, sizeof(guid), "g%d", i);
        say_publish(rig, "a", guid, KIB, "");
        settle(rig);
    }
    rig->heard_len = 0;
    say_subscribe(rig, "a", "r.inbox", true, "r.1");
    turn(rig);
    expect_heard(rig, "");
    say_sub_close(rig, "a", "r.inbox", "r.2");
    settle(rig);
    expect_heard(rig, "1 subscription closed;2 ok;");
    expect_counts(rig, 1, 0, 0);
}

// Publishes until one more checkpoint is complete.
static void pass_checkpoint(struct rig *rig, const char *id)
{
    struct store_stats before, now;
    store_stats_get(shard_store(rig->shard), &before);
    do {
        char guid[32];
        snprintf(guid, sizeof(guid), "%llu", (unsigned long long)rig->now.mono_ns);
        say_publish(rig, id, guid, KIB, "");
        settle(rig);
        store_stats_get(shard_store(rig->shard), &now);
    } while (now.checkpoints == before.checkpoints);
}

// That a client has gone is part of the checkpoint after that, also of one that only says what has changed.
static void a_client_that_has_gone_stays_away(void **state)
{
    struct rig *rig = *state;
    say_connect(rig, "a", "");
    say_connect(rig, "b", "");
    pass_checkpoint(rig, "b");
    say_close(rig, "a", "");
    pass_checkpoint(rig, "b");
    expect_counts(rig, 1, 0, 0);
    stop(rig);
    start(rig);
    settle(rig);
    expect_counts(rig, 1, 0, 0);
    rig->heard_len = 0;
}

// A batch that has one client more; false when the log has no room for it.
static bool connect_one(struct rig *rig, int number)
{
    char id[16];
    snprintf(id, sizeof(id), "x%d", number);
    rig->heard_len = 0;
    say_connect(rig, id, "r.0");
    for (int i = 0; i < 12; i++) {
        turn(rig);
        sim_disk_drain(&rig->disk);
    }
    rig->heard[rig->heard_len] = '\0';
    return strstr(rig->heard, "ok") != NULL;
}

enum { CLOSING = 300 };

// A server with many clients, on a disk without space for anything but what is allocated.
static void fill(struct rig *rig)
{
    char id[16];
    for (int i = 0; i < CLOSING; i++) {
        snprintf(id, sizeof(id), "c%d", i);
        say_connect(rig, id, "");
    }
    say_publish(rig, "c0", "first", 10, "");
    settle(rig);
    rig->disk.capacity = 1; // whatever is given back, it is not enough
}

// They all close in one turn, behind `odd` other records. Returns whether something is left to do for later.
static bool close_all(struct rig *rig, int odd)
{
    char id[16];
    say_publish(rig, "c0", "g", 4 * KIB, ""); // wants the next file, and so shows that there is none
    settle(rig);
    for (int i = 0; i < odd; i++) {
        snprintf(id, sizeof(id), "y%d", i);
        say_connect(rig, id, "");
    }
    for (int i = 0; i < CLOSING; i++) {
        snprintf(id, sizeof(id), "c%d", i);
        say_close(rig, id, "");
    }
    settle(rig);
    return stan_next_deadline_ms(rig->stan) <= rig->now.mono_ns / 1000000 + 100;
}

// A full log may take that a client closes but not that it is gone: that follows when there is room, without a restart.
static void a_closing_without_room_is_finished_later(void **state)
{
    struct rig *rig = *state;
    int room = 0, found = 0;
    fill(rig);
    while (connect_one(rig, room))
        room++;
    for (int left = 1; left <= 4; left++) {
        for (int odd = 0; odd < 4; odd++) {
            stop(rig);
            sim_disk_deinit(&rig->disk);
            sim_disk_init(&rig->disk, 7);
            rig->heard_len = 0;
            start(rig);
            fill(rig);
            for (int i = 0; i < room - left; i++)
                assert_true(connect_one(rig, i));
            bool waits = close_all(rig, odd);
            uint64_t index = shard_last_index(rig->shard);
            rig->disk.capacity = UINT64_MAX;
            settle(rig);
            settle(rig);
            assert_true(shard_last_index(rig->shard) > index || !waits);
            assert_true(stan_next_deadline_ms(rig->stan) > rig->now.mono_ns / 1000000 + 100);
            found += waits;
        }
    }
    assert_true(found > 0);
    rig->heard_len = 0;
}

// An answer repeats the id of the publish, however wrong the rest of it is: but not one of megabytes, which no answer has room for.
static void an_id_that_is_too_long_is_not_repeated(void **state)
{
    struct rig *rig = *state;
    size_t id_size = 5 * KIB * KIB;
    char *packed = mem_alloc_zero(id_size + 16);
    packed[0] = 2 << 3 | 2; // the guid's tag
    char *to = varint_put(packed + 1, id_size) + id_size;
    *to++ = 0; // no tag of any field
    struct bytes payload = bytes_make(packed, (size_t)(to - packed));
    broker_publish(rig->broker, BYTES("_STAN.pub.test-cluster.channel"), BYTES("r.p"), (struct bytes){0}, &payload, 1);
    mem_free(packed);
    settle(rig);
    expect_heard(rig, "p invalid publish request;");
}

// Who may publish to the subject of one channel may not publish to others by naming them in the message.
static void a_publish_goes_to_the_channel_of_its_subject(void **state)
{
    struct rig *rig = *state;
    StanPb__PubMsg message = STAN_PB__PUB_MSG__INIT;
    message.client_id = text("a");
    message.guid = text("g");
    message.subject = text("channel");
    say_connect(rig, "a", "r.c");
    settle(rig);
    say(rig, BYTES("_STAN.pub.test-cluster.other"), "r.1", &message.base);
    say(rig, BYTES("_STAN.pub.test-cluster.channel.other"), "r.2", &message.base);
    say(rig, BYTES("_STAN.pub.test-cluster.channel"), "r.3", &message.base);
    settle(rig);
    expect_heard(rig, "c ok;1 invalid publish request;2 invalid publish request;3 ok;");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(refusals_wait_for_what_they_rest_on),
        T(refusals_go_with_what_they_rest_on),
        T(a_subscription_is_closed_before_it_is_durable),
        T(a_subscription_is_closed_before_it_begins),
        T(a_client_that_has_gone_stays_away),
        T(a_closing_without_room_is_finished_later),
        T(an_id_that_is_too_long_is_not_repeated),
        T(a_publish_goes_to_the_channel_of_its_subject),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
