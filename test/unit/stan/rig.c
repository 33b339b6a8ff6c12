// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include <stdio.h>

#include "base/memory.h"

static void say_publish(struct rig *rig, const char *channel, const char *id, const char *guid, size_t size,
                        const char *reply)
{
    char subject[128], data[4 * KIB] = "";
    StanPb__PubMsg message = STAN_PB__PUB_MSG__INIT;
    message.client_id = rig_text(id);
    message.guid = rig_text(guid);
    message.subject = rig_text(channel);
    message.data = (ProtobufCBinaryData){size, (uint8_t *)data};
    snprintf(subject, sizeof(subject), "_STAN.pub.test-cluster.%s", channel);
    rig_say(rig, bytes_from_string(subject), reply, &message.base);
}

static StanPb__SubscriptionRequest subscription_request(const char *id, const char *inbox)
{
    StanPb__SubscriptionRequest request = STAN_PB__SUBSCRIPTION_REQUEST__INIT;
    request.client_id = rig_text(id);
    request.subject = rig_text("channel");
    request.inbox = rig_text(inbox);
    request.max_in_flight = 1;
    request.ack_wait_in_secs = 30;
    request.start_position = 4;
    return request;
}

static void say_unsubscribe(struct rig *rig, struct bytes subject, const char *id, const char *inbox, const char *reply)
{
    StanPb__UnsubscribeRequest request = STAN_PB__UNSUBSCRIBE_REQUEST__INIT;
    request.client_id = rig_text(id);
    request.subject = rig_text("channel");
    request.inbox = rig_text(inbox);
    rig_say(rig, subject, reply, &request.base);
}

// The error of any answer is the only text in it that begins like one; a publish's guid and a subscription's inbox do not.
static void note(struct rig *rig, struct bytes subject, struct bytes payload)
{
    const struct bytes errors[] = {BYTES("stan: "), BYTES("too many ")};
    struct bytes text = BYTES("ok");
    for (size_t at = 0; at < payload.len; at++) {
        if (bytes_starts_with(bytes_skip(payload, at), errors[0]))
            text = bytes_skip(payload, at + errors[0].len);
        else if (bytes_starts_with(bytes_skip(payload, at), errors[1]))
            text = bytes_skip(payload, at);
    }
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

void rig_start(struct rig *rig)
{
    struct broker_options broker;
    broker_options_default(&broker);
    broker.has_uplink = rig->has_uplink;
    rig->broker = broker_new(&broker, rig->now);
    struct shard_options shard = {.id = 1};
    store_options_default(&shard.store);
    shard.store.identity = BYTES("test-cluster");
    shard.store.max_payload = 4 * KIB;
    shard.store.file_bytes = shard.store.first_file_bytes = 64 * KIB;
    shard.store.log_bytes = 1024 * KIB;
    shard.store.checkpoint_bytes = 128 * KIB;
    shard.store.cache_bytes = 4 * KIB; // so that a search by time has to read
    shard.engine.max_streams = rig->options.max_channels;
    rig->shard = shard_new(&shard);
    rig->stan = stan_new(&rig->options, rig->broker, rig->shard, rig->now);
    assert_int_equal(shard_open(rig->shard, &rig->disk.disk, rig->now), 0);
    assert_int_equal(stan_start(rig->stan, rig->now), 0);
    rig->ear = (struct inlet){.on_message = hear};
    assert_int_equal(broker_inlet_add(rig->broker, &rig->ear, BYTES("r.>")), 0);
}

void rig_stop(struct rig *rig)
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

int rig_set_up(void **state)
{
    struct rig *rig = mem_alloc_zero(sizeof(*rig));
    sim_disk_init(&rig->disk, 7);
    rig->now = (struct moment){.mono_ns = SECOND, .wall_ns = 1000 * SECOND};
    stan_options_default(&rig->options);
    rig_start(rig);
    *state = rig;
    return 0;
}

int rig_tear_down(void **state)
{
    struct rig *rig = *state;
    rig_stop(rig);
    sim_disk_deinit(&rig->disk);
    mem_free(rig);
    return 0;
}

void rig_turn(struct rig *rig)
{
    rig->now.mono_ns += SECOND / 100;
    rig->now.wall_ns += SECOND / 100;
    broker_turn_begin(rig->broker, rig->now);
    stan_turn_begin(rig->stan, rig->now);
    stan_turn_end(rig->stan);
    shard_turn_end(rig->shard, rig->now);
    broker_turn_end(rig->broker);
}

void rig_settle(struct rig *rig)
{
    for (int i = 0; i < 50; i++) {
        rig_turn(rig);
        sim_disk_drain(&rig->disk);
    }
}

void rig_pass(struct rig *rig, uint64_t seconds)
{
    rig_settle(rig);
    rig->now.mono_ns += seconds * SECOND;
    rig->now.wall_ns += seconds * SECOND;
    rig_settle(rig);
}

void rig_pass_checkpoint(struct rig *rig, const char *channel, const char *id)
{
    struct store_stats before, now;
    store_stats_get(shard_store(rig->shard), &before);
    do {
        char guid[32];
        snprintf(guid, sizeof(guid), "%llu", (unsigned long long)rig->now.mono_ns);
        rig_publish_to(rig, channel, id, guid, "");
        rig_settle(rig);
        store_stats_get(shard_store(rig->shard), &now);
    } while (now.checkpoints == before.checkpoints);
}

void rig_expect_heard(struct rig *rig, const char *text)
{
    rig->heard[rig->heard_len] = '\0';
    assert_string_equal(rig->heard, text);
    rig->heard_len = 0;
}

void rig_expect_counts(struct rig *rig, uint64_t clients, uint64_t subscriptions, uint64_t consumers)
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

ProtobufCBinaryData rig_text(const char *string)
{
    return (ProtobufCBinaryData){strlen(string), (uint8_t *)(uintptr_t)string};
}

void rig_say(struct rig *rig, struct bytes subject, const char *reply, const ProtobufCMessage *message)
{
    uint8_t packed[5 * KIB];
    assert_true(protobuf_c_message_get_packed_size(message) <= sizeof(packed));
    struct bytes payload = bytes_make(packed, protobuf_c_message_pack(message, packed));
    broker_publish(rig->broker, subject, bytes_from_string(reply), (struct bytes){0}, &payload, 1);
}

void rig_connect(struct rig *rig, const char *id, const char *reply)
{
    StanPb__ConnectRequest request = STAN_PB__CONNECT_REQUEST__INIT;
    request.client_id = rig_text(id);
    request.heartbeat_inbox = rig_text("r.heartbeat");
    rig_say(rig, BYTES("_STAN.discover.test-cluster"), reply, &request.base);
}

void rig_close(struct rig *rig, const char *id, const char *reply)
{
    StanPb__CloseRequest request = STAN_PB__CLOSE_REQUEST__INIT;
    request.client_id = rig_text(id);
    rig_say(rig, BYTES("_STAN.close.test-cluster"), reply, &request.base);
}

void rig_publish(struct rig *rig, const char *id, const char *guid, size_t size, const char *reply)
{
    say_publish(rig, "channel", id, guid, size, reply);
}

void rig_publish_to(struct rig *rig, const char *channel, const char *id, const char *guid, const char *reply)
{
    say_publish(rig, channel, id, guid, KIB, reply);
}

void rig_subscribe(struct rig *rig, const char *id, const char *inbox, bool by_time, const char *reply)
{
    StanPb__SubscriptionRequest request = subscription_request(id, inbox);
    request.start_position = by_time ? 2 : 4;
    request.start_time_delta = by_time ? (int64_t)(SECOND / 2) : 0;
    rig_say(rig, BYTES("_STAN.sub.test-cluster"), reply, &request.base);
}

void rig_subscribe_durable(struct rig *rig, const char *id, const char *inbox, const char *durable, const char *reply)
{
    StanPb__SubscriptionRequest request = subscription_request(id, inbox);
    request.durable_name = rig_text(durable);
    rig_say(rig, BYTES("_STAN.sub.test-cluster"), reply, &request.base);
}

void rig_sub_close(struct rig *rig, const char *id, const char *inbox, const char *reply)
{
    say_unsubscribe(rig, BYTES("_STAN.subclose.test-cluster"), id, inbox, reply);
}

void rig_unsubscribe(struct rig *rig, const char *id, const char *inbox, const char *reply)
{
    say_unsubscribe(rig, BYTES("_STAN.unsub.test-cluster"), id, inbox, reply);
}
