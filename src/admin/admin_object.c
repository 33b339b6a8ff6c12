// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// Channels, groups and members as JSON.
#include "admin/admin_internal.h"
#include "codec/timestamp.h"

enum { HELD_LOOK = 256, NS_PER_MS = 1000000 }; // of a member's messages, those looked at

static void put_channel_times(struct admin_api *api, struct json_writer *json, struct stream *stream,
                              const struct stream_state *state);
static void put_config(struct admin_api *api, struct json_writer *json, const struct stream_config *config);
static void put_oldest(struct admin_api *api, struct json_writer *json, struct stream *stream, const char *key,
                       uint64_t messages, uint64_t bytes, uint64_t oldest);
static void put_held(struct admin_api *api, struct json_writer *json, const struct member *member);
static const char *kind_of(const struct consumer_state *state);

void admin_object_channel(struct admin_api *api, struct json_writer *json, struct stream *stream, size_t *visits)
{
    struct stream_state state;
    struct admin_sums sums = {0};
    stream_state_get(stream, &state);
    for (struct consumer *each = stream_consumer_next(stream, NULL); each; each = stream_consumer_next(stream, each)) {
        admin_object_add(&sums, each);
        ++*visits;
    }
    json_writer_begin_object(json);
    json_writer_put_string(json, "channel", state.config.name);
    json_writer_put_u64(json, "id", state.id);
    json_writer_put_u64(json, "messages", state.messages);
    json_writer_put_u64(json, "bytes", state.bytes);
    json_writer_put_u64(json, "first_sequence", state.last_sequence ? state.first_sequence : 0);
    json_writer_put_u64(json, "last_sequence", state.last_sequence);
    put_channel_times(api, json, stream, &state);
    json_writer_put_u64(json, "published", state.last_sequence);
    json_writer_put_bool(json, "paused", state.paused);
    if (state.paused_until_ns)
        admin_object_put_time(json, "paused_until", state.paused_until_ns);
    json_writer_put_bool(json, "edited", state.edited);
    json_writer_put_u64(json, "groups", state.consumers);
    json_writer_put_u64(json, "members", state.members);
    admin_object_put_sums(json, &sums);
    put_config(api, json, &state.config);
    json_writer_end(json);
}

void admin_object_put_group(struct admin_api *api, struct json_writer *json, struct consumer *consumer, bool with_count)
{
    struct stream *stream = consumer_stream(consumer);
    struct consumer_state state;
    struct bytes client, name = admin_find_group_name(consumer, &client);
    struct tally tally;
    consumer_state_get(consumer, &state);
    consumer_tally_get(consumer, &tally);
    json_writer_put_string(json, "channel", stream_name(stream));
    json_writer_put_string(json, "group", name);
    json_writer_put_u64(json, "group_id", state.id);
    json_writer_put_string(json, "kind", bytes_from_string(kind_of(&state)));
    json_writer_put_bool(json, "durable", state.config.durable);
    json_writer_put_string(json, "protocol",
                           state.config.protocol == ENGINE_PROTOCOL_STAN ? BYTES("stan") : BYTES("jetstream"));
    if (client.len)
        json_writer_put_string(json, "client_id", client);
    json_writer_put_bool(json, "paused", state.paused);
    if (state.paused_until_ns)
        admin_object_put_time(json, "paused_until", state.paused_until_ns);
    json_writer_put_u64(json, "next_sequence", state.next_sequence);
    json_writer_put_u64(json, "ack_floor", state.ack_floor);
    put_oldest(api, json, stream, "waiting", state.waiting, state.waiting_bytes, state.oldest_waiting);
    put_oldest(api, json, stream, "in_flight", state.pending, state.pending_bytes, state.oldest_pending);
    admin_object_put_amount(json, "delayed", state.delayed, state.delayed_bytes);
    admin_object_put_amount(json, "dead", state.dead, state.dead_bytes);
    json_writer_put_u64(json, "delivered", tally.delivered);
    json_writer_put_u64(json, "redelivered", tally.redelivered);
    json_writer_put_u64(json, "acked", tally.acked);
    if (with_count)
        json_writer_put_u64(json, "members", state.members);
}

void admin_object_member(struct admin_api *api, struct json_writer *json, const struct member *member)
{
    static const char *const states[] = {
        [MEMBER_GONE] = "gone", [MEMBER_READY] = "ready", [MEMBER_CONGESTED] = "congested"};
    struct stan_subscription_view subscription;
    struct stan_client_view client;
    const struct member_config *config = member_config_get(member);
    enum member_state state = member_state_get(member);
    const char *text = state == MEMBER_READY && member_is_suspect(member) ? "suspect" : states[state];
    json_writer_begin_object(json);
    json_writer_put_u64(json, "member", member_id(member));
    if (stan_inspect_subscription(api->options.stan, member_id(member), &subscription) && subscription.client_id.len) {
        json_writer_put_string(json, "client_id", subscription.client_id);
        if (stan_inspect_client(api->options.stan, subscription.client_id, &client) && client.connection)
            json_writer_put_u64(json, "cid", client.connection);
    }
    json_writer_put_string(json, "state", bytes_from_string(text));
    json_writer_put_u64(json, "max_in_flight", config->max_in_flight);
    json_writer_put_u64(json, "ack_wait_ms", config->ack_wait_ns / NS_PER_MS);
    put_held(api, json, member);
    json_writer_end(json);
}

void admin_object_put_time(struct json_writer *json, const char *key, uint64_t wall_ns)
{
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(wall_ns, text);
    json_writer_put_string(json, key, bytes_from_string(text));
}

void admin_object_put_amount(struct json_writer *json, const char *key, uint64_t messages, uint64_t bytes)
{
    json_writer_put_object(json, key);
    json_writer_put_u64(json, "messages", messages);
    json_writer_put_u64(json, "bytes", bytes);
    json_writer_end(json);
}

void admin_object_add(struct admin_sums *sums, const struct consumer *consumer)
{
    struct consumer_state state;
    consumer_state_get(consumer, &state);
    sums->waiting += state.waiting;
    sums->waiting_bytes += state.waiting_bytes;
    sums->in_flight += state.pending;
    sums->in_flight_bytes += state.pending_bytes;
    sums->dead += state.dead;
    sums->dead_bytes += state.dead_bytes;
}

void admin_object_put_sums(struct json_writer *json, const struct admin_sums *sums)
{
    admin_object_put_amount(json, "waiting", sums->waiting, sums->waiting_bytes);
    admin_object_put_amount(json, "in_flight", sums->in_flight, sums->in_flight_bytes);
    admin_object_put_amount(json, "dead", sums->dead, sums->dead_bytes);
}

bool admin_object_render_channel(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    struct stream *stream = admin_find_channel_again(api, ask);
    struct json_writer json;
    size_t visits = 0;
    if (!stream)
        return false;
    json_writer_init_compact(&json, out);
    admin_object_channel(api, &json, stream, &visits);
    return admin_object_finish(&json, ask);
}

bool admin_object_render_group(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    struct consumer *consumer = admin_find_group_again(api, ask);
    struct json_writer json;
    if (!consumer)
        return false;
    json_writer_init_compact(&json, out);
    json_writer_begin_object(&json);
    admin_object_put_group(api, &json, consumer, true);
    json_writer_end(&json);
    return admin_object_finish(&json, ask);
}

void admin_api_put_subscription(struct admin_api *api, uint32_t id, struct buffer *out)
{
    struct member *member = engine_member_by_id(api->engine, id);
    struct json_writer json;
    size_t before = out->len;
    if (!member)
        return;
    json_writer_init_compact(&json, out);
    json_writer_begin_object(&json);
    admin_object_put_group(api, &json, member_consumer(member), true);
    json_writer_key(&json, "member");
    admin_object_member(api, &json, member);
    json_writer_end(&json);
    if (json_writer_finish(&json))
        out->len = before;
}

bool admin_object_finish(struct json_writer *json, struct admin_ask *ask)
{
    if (json_writer_finish(json) == 0)
        return true;
    admin_fail(ask, ADMIN_TOO_BIG, NULL, "the answer does not fit into a message (max_payload)");
    return false;
}

static void put_channel_times(struct admin_api *api, struct json_writer *json, struct stream *stream,
                              const struct stream_state *state)
{
    uint64_t time_ns;
    if (state->messages && engine_message_time(api->engine, stream, state->first_sequence, &time_ns) == 0)
        admin_object_put_time(json, "first_time", time_ns);
    if (state->last_time_ns)
        admin_object_put_time(json, "last_time", state->last_time_ns);
}

static void put_config(struct admin_api *api, struct json_writer *json, const struct stream_config *config)
{
    json_writer_put_object(json, "config");
    json_writer_put_u64(json, "max_msgs", config->max_msgs);
    json_writer_put_u64(json, "max_bytes", config->max_bytes);
    json_writer_put_u64(json, "max_age_ms", config->max_age_ns / NS_PER_MS);
    json_writer_put_u64(json, "max_subs", config->max_consumers);
    json_writer_put_u64(json, "max_inactivity_ms",
                        stan_inspect_inactivity(api->options.stan, config->name) / NS_PER_MS);
    json_writer_put_string(json, "discard", config->discard_new ? BYTES("new") : BYTES("old"));
    json_writer_put_u64(json, "max_deliver", config->max_deliver);
    json_writer_key(json, "backoff_ms");
    json_writer_begin_array(json);
    for (size_t i = 0; i < config->backoff_count; i++)
        json_writer_u64(json, config->backoff_ns[i] / NS_PER_MS);
    json_writer_end(json);
    json_writer_put_string(json, "dead_letter", config->dead_letter);
    json_writer_put_u64(json, "disconnect_grace_ms", config->disconnect_grace_ns / NS_PER_MS);
    json_writer_put_u64(json, "duplicate_window_ms", config->duplicate_window_ns / NS_PER_MS);
    json_writer_end(json);
}

// Its time is left out while the disk is asked for it.
static void put_oldest(struct admin_api *api, struct json_writer *json, struct stream *stream, const char *key,
                       uint64_t messages, uint64_t bytes, uint64_t oldest)
{
    uint64_t time_ns;
    json_writer_put_object(json, key);
    json_writer_put_u64(json, "messages", messages);
    json_writer_put_u64(json, "bytes", bytes);
    if (oldest) {
        json_writer_put_u64(json, "oldest_sequence", oldest);
        if (engine_message_time(api->engine, stream, oldest, &time_ns) == 0) {
            admin_object_put_time(json, "oldest_time", time_ns);
            json_writer_put_u64(json, "oldest_age_ms",
                                api->now.wall_ns > time_ns ? (api->now.wall_ns - time_ns) / NS_PER_MS : 0);
        }
    }
    json_writer_end(json);
}

// What it has longest is among those whose ack waits end first. The bytes of very many are left out.
static void put_held(struct admin_api *api, struct json_writer *json, const struct member *member)
{
    struct pending_info infos[HELD_LOOK];
    size_t count = member_pending_list(member, infos, HELD_LOOK), oldest = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += infos[i].size;
        if (infos[i].delivered_ns < infos[oldest].delivered_ns)
            oldest = i;
    }
    json_writer_put_object(json, "in_flight");
    json_writer_put_u64(json, "messages", member_in_flight(member));
    if (count == member_in_flight(member))
        json_writer_put_u64(json, "bytes", bytes);
    if (count) {
        uint64_t since_ns = infos[oldest].delivered_ns;
        json_writer_put_u64(json, "oldest_sequence", infos[oldest].sequence);
        if (since_ns)
            json_writer_put_u64(json, "oldest_held_ms",
                                api->now.wall_ns > since_ns ? (api->now.wall_ns - since_ns) / NS_PER_MS : 0);
    }
    json_writer_end(json);
}

static const char *kind_of(const struct consumer_state *state)
{
    return state->config.group ? "queue" : state->config.durable ? "durable" : "subscription";
}
