// SPDX-License-Identifier: Apache-2.0
#include "monitor/put_jsz.h"

#include <stdio.h>

#include "base/must.h"
#include "codec/percent.h"
#include "monitor/monitor_internal.h"
#include "monitor/put.h"

#define NOT_IN_NAMES     " .*>/\\"
#define REDELIVERED_LOOK 1024 // pending messages that are asked how often they went out

static void put_stream_config(struct monitor *monitor, struct json_writer *json,
                              const struct stan_channel_view *channel, struct bytes name);
static void put_consumer_config(struct json_writer *json, const struct stan_consumer_view *consumer,
                                const struct stream_config *stream, struct bytes name);
static void put_leader(struct monitor *monitor, struct json_writer *json);
static void put_position(struct json_writer *json, const char *key, uint64_t consumer_sequence, uint64_t sequence);
static void put_limit(struct json_writer *json, const char *key, uint64_t limit);
static void put_time_or_never(struct json_writer *json, const char *key, uint64_t wall_ns);

size_t put_jsz_stream_name(struct bytes channel, char *to)
{
    return percent_encode(channel, NOT_IN_NAMES, to, PUT_JSZ_NAME_MAX);
}

size_t put_jsz_consumer_name(const struct stan_consumer_view *consumer, unsigned n, char *to)
{
    char text[32];
    struct bytes more = {0};
    size_t len = percent_encode(consumer->durable, NOT_IN_NAMES, to, PUT_JSZ_NAME_MAX);
    if (consumer->group.len) {
        to[len++] = ':';
        len += percent_encode(consumer->group, NOT_IN_NAMES, to + len, PUT_JSZ_NAME_MAX - len);
    }
    if (n == 1)
        more = consumer->client_id;
    if (n == 2)
        more = bytes_make(text, (size_t)snprintf(text, sizeof(text), "%u", consumer->id));
    if (n > 2)
        return 0;
    if (more.len) {
        to[len++] = '@';
        len += percent_encode(more, NOT_IN_NAMES, to + len, PUT_JSZ_NAME_MAX - len);
    }
    return len;
}

void put_jsz_stream(struct monitor *monitor, struct json_writer *json, const struct stan_channel_view *channel,
                    struct bytes name, bool with_config, uint64_t first_ns)
{
    const struct stream_state *state = &channel->state;
    json_writer_put_string(json, "name", name);
    put_time(json, "created", monitor->start.wall_ns);
    put_leader(monitor, json);
    if (with_config)
        put_stream_config(monitor, json, channel, name);
    json_writer_put_object(json, "state");
    json_writer_put_u64(json, "messages", state->messages);
    json_writer_put_u64(json, "bytes", state->bytes);
    json_writer_put_u64(json, "first_seq", channel->first_sequence);
    put_time_or_never(json, "first_ts", first_ns);
    json_writer_put_u64(json, "last_seq", state->last_sequence);
    put_time_or_never(json, "last_ts", state->last_sequence ? state->last_time_ns : 0);
    if (state->messages > 0)
        json_writer_put_u64(json, "num_subjects", 1);
    json_writer_put_u64(json, "consumer_count", channel->consumers);
    json_writer_end(json);
}

void put_jsz_consumer(struct monitor *monitor, struct json_writer *json, const struct stan_consumer_view *consumer,
                      struct bytes stream, struct bytes name, bool with_config)
{
    const struct consumer_state *state = &consumer->state;
    struct stream_state of;
    stream_state_get(consumer_stream(consumer->consumer), &of);
    uint64_t start = state->config.start_sequence, sent = state->next_sequence - start + state->redelivered;
    json_writer_begin_object(json);
    json_writer_put_string(json, "stream_name", stream);
    json_writer_put_string(json, "name", name);
    put_time(json, "created", monitor->start.wall_ns);
    if (with_config)
        put_consumer_config(json, consumer, &of.config, name);
    put_position(json, "delivered", sent, state->next_sequence - 1);
    put_position(json, "ack_floor", state->ack_floor >= start ? state->ack_floor - start + 1 : 0, state->ack_floor);
    json_writer_put_u64(json, "num_ack_pending", state->pending);
    json_writer_put_u64(json, "num_redelivered", stan_inspect_redelivered(consumer, REDELIVERED_LOOK));
    json_writer_put_u64(json, "num_waiting", 0);
    json_writer_put_u64(json, "num_pending", state->waiting);
    put_leader(monitor, json);
    if (state->members > 0)
        json_writer_put_bool(json, "push_bound", true);
    put_time(json, "ts", monitor->now.wall_ns);
    json_writer_end(json);
}

static void put_stream_config(struct monitor *monitor, struct json_writer *json,
                              const struct stan_channel_view *channel, struct bytes name)
{
    static const char *const never[] = {"allow_direct", "mirror_direct", "sealed",
                                        "deny_delete",  "deny_purge",    "allow_rollup_hdrs"};
    const struct stream_config *config = &channel->state.config;
    bool memory = strcmp(monitor->options.store_type, "MEMORY") == 0;
    json_writer_put_object(json, "config");
    json_writer_put_string(json, "name", name);
    json_writer_key(json, "subjects");
    json_writer_begin_array(json);
    json_writer_string(json, channel->name);
    json_writer_end(json);
    json_writer_put_string(json, "retention", BYTES("limits"));
    put_limit(json, "max_consumers", config->max_consumers);
    put_limit(json, "max_msgs", config->max_msgs);
    put_limit(json, "max_bytes", config->max_bytes);
    json_writer_put_u64(json, "max_age", config->max_age_ns);
    put_limit(json, "max_msgs_per_subject", 0);
    put_limit(json, "max_msg_size", 0);
    json_writer_put_string(json, "discard", config->discard_new ? BYTES("new") : BYTES("old"));
    json_writer_put_string(json, "storage", memory ? BYTES("memory") : BYTES("file"));
    json_writer_put_u64(json, "num_replicas", 1);
    json_writer_put_u64(json, "duplicate_window", config->duplicate_window_ns);
    json_writer_put_string(json, "compression", BYTES("none"));
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        json_writer_put_bool(json, never[i], false);
    json_writer_put_object(json, "consumer_limits");
    json_writer_end(json);
    json_writer_put_bool(json, "allow_msg_ttl", false);
    json_writer_put_object(json, "metadata");
    json_writer_put_string(json, "weir.protocol", BYTES("stan"));
    json_writer_end(json);
    json_writer_end(json);
}

static void put_consumer_config(struct json_writer *json, const struct stan_consumer_view *consumer,
                                const struct stream_config *stream, struct bytes name)
{
    const struct member *member =
        consumer_member_next((struct consumer *)(uintptr_t)consumer->consumer, NULL); // which changes nothing
    const struct member_config *config = member ? member_config_get(member) : NULL;
    json_writer_put_object(json, "config");
    if (consumer->durable.len)
        json_writer_put_string(json, "durable_name", name);
    json_writer_put_string(json, "name", name);
    json_writer_put_string(json, "deliver_policy", BYTES("by_start_sequence"));
    json_writer_put_u64(json, "opt_start_seq", consumer->state.config.start_sequence);
    json_writer_put_string(json, "ack_policy", BYTES("explicit"));
    json_writer_put_u64(json, "ack_wait", config ? config->ack_wait_ns : 0);
    put_limit(json, "max_deliver", stream->max_deliver);
    json_writer_put_string(json, "replay_policy", BYTES("instant"));
    json_writer_put_u64(json, "max_ack_pending",
                        config ? (uint64_t)config->max_in_flight * consumer->state.members : 0);
    put_text(json, "deliver_group", consumer->group);
    json_writer_put_u64(json, "num_replicas", 0);
    json_writer_put_object(json, "metadata");
    json_writer_put_string(json, "weir.protocol", BYTES("stan"));
    put_text(json, "weir.client", consumer->client_id);
    put_text(json, "weir.durable", consumer->durable);
    put_text(json, "weir.group", consumer->group);
    json_writer_end(json);
    json_writer_end(json);
}

// A server by itself leads everything, so that nobody looks for another (TL-14, TL-16).
static void put_leader(struct monitor *monitor, struct json_writer *json)
{
    json_writer_put_object(json, "cluster");
    json_writer_put_string(json, "leader", bytes_from_string(monitor->options.broker_options->server_name));
    json_writer_end(json);
}

static void put_position(struct json_writer *json, const char *key, uint64_t consumer_sequence, uint64_t sequence)
{
    json_writer_put_object(json, key);
    json_writer_put_u64(json, "consumer_seq", consumer_sequence);
    json_writer_put_u64(json, "stream_seq", sequence);
    json_writer_end(json);
}

// -1: none.
static void put_limit(struct json_writer *json, const char *key, uint64_t limit)
{
    json_writer_put_i64(json, key, limit > 0 && limit <= INT64_MAX ? (int64_t)limit : -1);
}

// Go's zero time.
static void put_time_or_never(struct json_writer *json, const char *key, uint64_t wall_ns)
{
    if (wall_ns)
        put_time(json, key, wall_ns);
    else
        json_writer_put_string(json, key, BYTES("0001-01-01T00:00:00Z"));
}
