// SPDX-License-Identifier: Apache-2.0
#include "monitor/put_streaming.h"

#include "monitor/monitor_internal.h"
#include "monitor/parameter.h"
#include "monitor/put.h"

#define LIMIT_DEFAULT   1024
#define HELD_PER_OBJECT 4 // messages are as much work as an object

static size_t put_held(struct json_writer *json, const struct stan_subscription_view *subscription, uint32_t held);
static bool get_age(struct monitor *monitor, const struct stan_channel_view *channel, uint64_t sequence,
                    uint32_t *patience, bool *ret_known, uint64_t *ret_ns);
static void put_oldest(struct json_writer *json, const char *sequence_key, const char *seconds_key, uint64_t sequence,
                       bool known, uint64_t ns);

void put_streaming_read(const struct page *page, struct streaming_query *ret)
{
    int64_t held = parameter_lenient_int(page, "held");
    int64_t offset = parameter_lenient_int(page, "offset");
    int64_t limit = parameter_lenient_int(page, "limit");
    *ret = (struct streaming_query){
        .subs = parameter_lenient_int(page, "subs") == 1,
        .held = held <= 0                   ? 0
                : held < STREAMING_HELD_MAX ? (uint32_t)held
                                            : STREAMING_HELD_MAX,
        .offset = offset > 0 ? (uint64_t)offset : 0,
        .limit = limit > 0 ? (uint64_t)limit : LIMIT_DEFAULT,
    };
}

void put_streaming_begin(struct monitor *monitor, struct page *page, struct json_writer *json, bool compact)
{
    if (compact)
        json_writer_init_compact(json, page->body);
    else
        json_writer_init(json, page->body);
    json_writer_begin_object(json);
    json_writer_put_string(json, "cluster_id", bytes_from_string(monitor->options.cluster_id));
    put_server_id(json, monitor);
}

void put_streaming_bounds(struct json_writer *json, const struct streaming_query *query, size_t total, size_t *ret_from,
                          size_t *ret_to)
{
    *ret_from = query->offset < total ? (size_t)query->offset : total;
    *ret_to = total - *ret_from < query->limit ? total : *ret_from + (size_t)query->limit;
    json_writer_put_u64(json, "offset", query->offset);
    json_writer_put_u64(json, "limit", query->limit);
    json_writer_put_u64(json, "count", *ret_to - *ret_from);
    json_writer_put_u64(json, "total", total);
}

size_t put_streaming_subscription(struct json_writer *json, const struct stan_subscription_view *subscription,
                                  uint32_t held)
{
    const struct stan_consumer_view *consumer = &subscription->consumer;
    json_writer_begin_object(json);
    json_writer_put_string(json, "client_id", subscription->client_id);
    json_writer_put_string(json, "inbox", subscription->inbox);
    json_writer_put_string(json, "ack_inbox", subscription->ack_inbox);
    put_text(json, "durable_name", consumer->queue.len ? (struct bytes){0} : consumer->durable);
    put_text(json, "queue_name", consumer->queue);
    json_writer_put_bool(json, "is_durable", consumer->state.config.durable);
    json_writer_put_bool(json, "is_offline", subscription->is_offline);
    json_writer_put_u64(json, "max_inflight", subscription->max_in_flight);
    json_writer_put_u64(json, "ack_wait", subscription->ack_wait_s);
    json_writer_put_u64(json, "last_sent", subscription->last_sent);
    json_writer_put_u64(json, "pending_count", subscription->pending);
    json_writer_put_bool(json, "is_stalled", subscription->is_stalled);
    json_writer_put_u64(json, "consumer", consumer->id);
    json_writer_put_string(json, "state", bytes_from_string(subscription->state));
    json_writer_put_u64(json, "redeliveries", subscription->redelivered);
    size_t count = held > 0 ? put_held(json, subscription, held) : 0;
    json_writer_end(json);
    return 1 + count / HELD_PER_OBJECT;
}

bool put_streaming_age(struct monitor *monitor, const struct stan_channel_view *channel,
                       const struct stan_consumer_view *consumer, uint32_t *patience, struct streaming_age *ret)
{
    *ret = (struct streaming_age){0};
    return get_age(monitor, channel, consumer->state.oldest_waiting, patience, &ret->waiting_known, &ret->waiting_ns) &&
           get_age(monitor, channel, consumer->state.oldest_pending, patience, &ret->unacked_known, &ret->unacked_ns);
}

void put_streaming_consumer(struct json_writer *json, const struct stan_consumer_view *consumer,
                            const struct streaming_age *age)
{
    const struct consumer_state *state = &consumer->state;
    json_writer_begin_object(json);
    json_writer_put_u64(json, "consumer", consumer->id);
    put_text(json, "client_id", consumer->client_id);
    put_text(json, "durable_name", consumer->queue.len ? (struct bytes){0} : consumer->durable);
    put_text(json, "queue_name", consumer->queue);
    json_writer_put_u64(json, "members", state->members);
    json_writer_put_u64(json, "backlog_msgs", state->waiting + state->pending);
    json_writer_put_u64(json, "backlog_bytes", state->waiting_bytes + state->pending_bytes);
    json_writer_put_u64(json, "waiting_msgs", state->waiting);
    json_writer_put_u64(json, "waiting_bytes", state->waiting_bytes);
    json_writer_put_u64(json, "unacked_msgs", state->pending);
    json_writer_put_u64(json, "unacked_bytes", state->pending_bytes);
    put_oldest(json, "oldest_waiting_seq", "oldest_waiting_seconds", state->oldest_waiting, age->waiting_known,
               age->waiting_ns);
    put_oldest(json, "oldest_unacked_seq", "oldest_unacked_seconds", state->oldest_pending, age->unacked_known,
               age->unacked_ns);
    json_writer_put_u64(json, "redeliveries", state->redelivered);
    json_writer_put_u64(json, "dead", state->dead);
    json_writer_put_u64(json, "dead_bytes", state->dead_bytes);
    json_writer_put_u64(json, "dead_ever", state->dead_ever);
    json_writer_end(json);
}

static size_t put_held(struct json_writer *json, const struct stan_subscription_view *subscription, uint32_t held)
{
    struct pending_info infos[STREAMING_HELD_MAX];
    size_t count = stan_inspect_held(subscription, infos, held);
    json_writer_key(json, "held");
    json_writer_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        json_writer_begin_object(json);
        json_writer_put_u64(json, "seq", infos[i].sequence);
        if (infos[i].delivered_ns)
            put_time(json, "since", infos[i].delivered_ns);
        json_writer_put_u64(json, "attempts", infos[i].attempts);
        if (infos[i].deadline_ns)
            put_time(json, "until", infos[i].deadline_ns);
        json_writer_end(json);
    }
    json_writer_end(json);
    return count;
}

static bool get_age(struct monitor *monitor, const struct stan_channel_view *channel, uint64_t sequence,
                    uint32_t *patience, bool *ret_known, uint64_t *ret_ns)
{
    uint64_t time_ns, now_ns = monitor->now.wall_ns;
    int error = sequence ? stan_inspect_time(monitor->options.stan, channel, sequence, &time_ns) : ERR_NOT_FOUND;
    if (error == ERR_AGAIN && *patience > 0) {
        --*patience;
        return false;
    }
    *ret_known = error == 0;
    *ret_ns = error == 0 && time_ns < now_ns ? now_ns - time_ns : 0;
    return true;
}

static void put_oldest(struct json_writer *json, const char *sequence_key, const char *seconds_key, uint64_t sequence,
                       bool known, uint64_t ns)
{
    if (sequence)
        json_writer_put_u64(json, sequence_key, sequence);
    if (known)
        json_writer_put_double(json, seconds_key, (double)ns / 1e9);
}
