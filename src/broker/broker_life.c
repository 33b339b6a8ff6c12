// SPDX-License-Identifier: Apache-2.0
// What changes for everybody who is connected: limits after a reload, and the end of a server that clients shall leave without a rush
// (CO-P17, CO-P18, CO-X02).
#include "broker/connection.h"
#include "broker/remote_internal.h"
#include "broker/system_events.h"

// Between two closes of a lame duck at most: few connections need not wait for the whole duration.
#define LAME_DUCK_INTERVAL_MAX_MS 1000
// For answers that wait for the disk, before a connection is closed.
#define LAME_DUCK_LINGER_MS 200

static void pace(struct broker *broker, uint64_t span_ms);
static bool stop_hearing(struct broker *broker);
static bool close_next(struct broker *broker);
static bool is_here(const struct connection *connection);
static uint32_t close_latest(struct broker *broker, uint32_t keep);

void broker_lame_duck(struct broker *broker, uint64_t duration_ms, uint64_t grace_ms)
{
    if (broker->lame_duck || broker->stopping)
        return;
    broker->lame_duck = true;
    system_events_lame_duck(broker);
    list_foreach(link, &broker->connections) broker_info_push(container_of(link, struct connection, link));
    pace(broker, duration_ms > grace_ms ? duration_ms - grace_ms : LAME_DUCK_INTERVAL_MAX_MS);
    wheel_set(&broker->wheel, &broker->lame_timer, broker->now_ms + grace_ms);
}

bool broker_is_lame_duck(const struct broker *broker)
{
    return broker->lame_duck;
}

// The pause is random, at least half of what the pace says, so that clients of several servers that are told at the same time do
// not come to the next one in step.
void broker_lame_duck_step(struct wheel_timer *timer, uint64_t now_ms)
{
    struct broker *broker = container_of(timer, struct broker, lame_timer);
    uint64_t linger_ms =
        broker->lame_interval_ms / 2 < LAME_DUCK_LINGER_MS ? broker->lame_interval_ms / 2 : LAME_DUCK_LINGER_MS;
    broker->lame_lingering = !broker->lame_lingering && linger_ms > 0;
    if (broker->lame_lingering) {
        if (stop_hearing(broker))
            wheel_set(&broker->wheel, timer, now_ms + linger_ms);
        return;
    }
    if (!close_next(broker))
        return;
    uint64_t half_ms = broker->lame_interval_ms / 2;
    uint64_t wait_ms = half_ms + prng_below(&broker->prng, broker->lame_interval_ms - half_ms);
    wheel_set(&broker->wheel, timer, now_ms + (wait_ms > linger_ms ? wait_ms - linger_ms : 1));
}

// Of the connections that go next nothing more is taken, so that what they have asked for is answered before they are closed. False: there
// are none.
static bool stop_hearing(struct broker *broker)
{
    uint32_t count = 0;
    list_foreach(link, &broker->connections)
    {
        struct connection *connection = container_of(link, struct connection, link);
        if (connection->state != CONNECTION_OPEN)
            continue;
        if (count++ == broker->lame_batch)
            break;
        connection_pause(connection, CONNECTION_PAUSE_LEAVING);
    }
    return count > 0;
}

// True: others are left.
static bool close_next(struct broker *broker)
{
    uint32_t closed = 0;
    list_foreach(link, &broker->connections)
    {
        struct connection *connection = container_of(link, struct connection, link);
        if (connection->state != CONNECTION_OPEN)
            continue;
        if (closed++ == broker->lame_batch)
            return true;
        connection_finish(connection, "Server Shutdown");
    }
    return false;
}

uint32_t broker_limits_set(struct broker *broker, const struct broker_options *options, uint32_t keep)
{
    struct broker_options *own = &broker->options;
    bool is_news = own->max_payload != options->max_payload;
    own->max_payload = options->max_payload;
    own->max_control_line = options->max_control_line;
    own->max_pending = options->max_pending;
    own->congested_bytes = options->congested_bytes;
    own->max_connections = options->max_connections;
    own->max_subscriptions = options->max_subscriptions;
    own->max_sub_tokens = options->max_sub_tokens;
    own->max_traced_bytes = options->max_traced_bytes;
    own->trace_system = options->trace_system;
    own->ping_interval_ms = options->ping_interval_ms;
    own->ping_max = options->ping_max;
    own->write_deadline_ms = options->write_deadline_ms;
    broker->slow_bytes = own->congested_bytes < own->max_pending ? own->congested_bytes : own->max_pending;
    if (broker->remotes)
        remote_limits_take(broker->remotes);
    list_foreach(link, &broker->connections)
    {
        struct connection *connection = container_of(link, struct connection, link);
        connection_limits_take(connection);
        if (is_news)
            broker_info_push(connection);
    }
    return close_latest(broker, keep);
}

void broker_info_push(struct connection *connection)
{
    connection->info_is_due = true;
    if (connection->state != CONNECTION_OPEN || !connection->takes_info || !connection->was_ponged)
        return;
    connection->info_is_due = false;
    connection_send_info(connection);
}

// Closing all takes the span: one connection at a time, or several when there are more than milliseconds.
static void pace(struct broker *broker, uint64_t span_ms)
{
    uint64_t count = broker->connection_count > 0 ? broker->connection_count : 1;
    uint64_t interval_ms = span_ms / count;
    broker->lame_batch = 1;
    if (interval_ms < 1) {
        interval_ms = 1;
        broker->lame_batch = (uint32_t)((count + span_ms - 1) / (span_ms > 0 ? span_ms : 1));
    }
    broker->lame_interval_ms = interval_ms < LAME_DUCK_INTERVAL_MAX_MS ? interval_ms : LAME_DUCK_INTERVAL_MAX_MS;
}

static bool is_here(const struct connection *connection)
{
    return !connection->refused && connection->state == CONNECTION_OPEN;
}

static uint32_t close_latest(struct broker *broker, uint32_t keep)
{
    uint32_t count = 0, closed = 0;
    list_foreach(link, &broker->connections) count += is_here(container_of(link, struct connection, link));
    for (struct list *link = broker->connections.prev; count > keep; link = link->prev) {
        struct connection *connection = container_of(link, struct connection, link);
        if (!is_here(connection))
            continue;
        connection_fail(connection, WIRE_MAX_CONNECTIONS);
        closed++;
        count--;
    }
    return closed;
}
