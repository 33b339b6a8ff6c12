// SPDX-License-Identifier: Apache-2.0
// The broker's life and its turns; see broker.h. It owns the accounts, the timers and the lists of connections; what a
// connection does is connection*.c, where a message goes broker_route.c.
#include "broker/broker.h"

#include "broker/broker_internal.h"
#include "broker/closed.h"
#include "broker/connection.h"
#include "broker/remote_internal.h"
#include "broker/response.h"
#include "broker/system_events.h"
#include "subject/subject.h"

static void flush(struct broker *broker);
static void on_lost(void *owner);

void broker_options_default(struct broker_options *options)
{
    *options = (struct broker_options){
        .server_id = "",
        .server_name = "",
        .host = "0.0.0.0",
        .port = 4222,
        .max_payload = 1024 * 1024,
        .max_control_line = 4096,
        .max_pending = 64ULL * 1024 * 1024,
        .congested_bytes = 256 * 1024,
        .max_connections = 65536,
        .max_closed = 10000,
        .leave_turn_max = 256,
        .max_subscriptions = 0,
        .max_accounts = 100000,
        .max_responses = 262144,
        .max_response_bytes = 64ULL * 1024 * 1024,
        .ping_interval_ms = 120000,
        .ping_max = 2,
        .write_deadline_ms = 10000,
        .tls = {.fallback_ms = 50, .timeout_ms = 2000},
        .remote_window_bytes = 1024 * 1024,
    };
}

struct broker *broker_new(const struct broker_options *options, struct moment now)
{
    must(options->max_payload > 0 && options->max_control_line > 0 && options->max_pending > 0);
    must(options->max_accounts >= 2 && options->max_responses > 0 && options->max_response_bytes > 0);
    must(options->congested_bytes > 0 && options->ping_interval_ms > 0 && options->write_deadline_ms > 0);
    struct broker *broker = mem_alloc_zero(sizeof(*broker));
    broker->options = *options;
    broker->handler = (struct net_handler){
        .owner = broker,
        .on_accept = connection_accept,
        .on_data = connection_on_data,
        .on_writable = connection_on_writable,
        .on_close = connection_on_close,
        .on_secure = connection_on_secure,
        .on_lost = on_lost,
    };
    broker->now = now;
    broker->now_ms = moment_mono_ms(now);
    wheel_init(&broker->wheel, broker->now_ms);
    prng_seed(&broker->prng, options->seed);
    broker->sid_seed = ~options->seed;
    bool congested_first = options->congested_bytes < options->max_pending;
    broker->slow_bytes = congested_first ? options->congested_bytes : options->max_pending;
    broker->closed = closed_new(options->max_closed);
    list_init(&broker->connections);
    list_init(&broker->dirty);
    list_init(&broker->paused);
    list_init(&broker->leaving[0]);
    list_init(&broker->leaving[1]);
    connection_leave_turn(broker);
    list_init(&broker->deferred);
    list_init(&broker->watch_dirty);
    list_init(&broker->logins);
    map_u64_init(&broker->permits, SIZE_MAX);
    broker->auth = auth_config_new_open();
    buffer_init(&broker->spare_tail, SIZE_MAX / 2);
    broker->scratch = mem_alloc(SUBJECT_LEN_MAX);
    broker->lame_timer.fire = broker_lame_duck_step;
    broker->remotes = remote_new(broker);
    account_open_all(broker);
    return broker;
}

void broker_free(struct broker *broker)
{
    must(list_empty(&broker->connections));
    connection_leave_all(broker);
    wheel_cancel(&broker->wheel, &broker->lame_timer);
    broker_route_drop_deferred(broker);
    remote_free(broker->remotes);
    broker->remotes = NULL;
    must(broker->logins_running == 0 && list_empty(&broker->logins) && map_u64_count(&broker->permits) == 0);
    account_close_all(broker);
    auth_config_unref(broker->auth);
    map_u64_deinit(&broker->permits);
    outbound_cache_deinit(&broker->cache);
    closed_free(broker->closed);
    buffer_deinit(&broker->spare_tail);
    mem_free(broker->scratch);
    mem_free(broker);
}

void broker_set_tls(struct broker *broker, const struct broker_tls *tls)
{
    broker->options.tls = *tls;
}

const struct net_handler *broker_net_handler(struct broker *broker)
{
    return &broker->handler;
}

void broker_turn_begin(struct broker *broker, struct moment now)
{
    uint64_t now_ms = moment_mono_ms(now);
    if (now_ms > broker->now_ms)
        broker->now_ms = now_ms;
    broker->now = now;
    connection_leave_turn(broker);
    broker->tracing = logger_is_enabled(broker->options.logger, LOG_TRACE);
}

bool broker_turn_end(struct broker *broker)
{
    must(broker->depth == 0);
    broker->called = false;
    wheel_advance(&broker->wheel, broker->now_ms);
    connection_leave_some(broker);
    broker_inlet_resume_paused(broker);
    broker_route_deferred(broker);
    for (int round = 0; round < BROKER_WATCH_ROUNDS; round++) {
        if (broker->remotes)
            remote_flush(broker->remotes);
        flush(broker);
        if (!broker_watch_report(broker))
            break;
    }
    broker_reap(broker);
    account_reap(broker); // withdraws interest, which has to leave in this turn
    if (broker->remotes)
        remote_return(broker->remotes);
    // Whoever was called in here may have work for a turn's end of his own, and that may be over already.
    return broker->called || broker->resume || !list_empty(&broker->deferred) || !list_empty(&broker->dirty) ||
           !list_empty(&broker->watch_dirty) || broker->leaving_count > 0;
}

uint64_t broker_next_deadline_ms(const struct broker *broker)
{
    uint64_t deadline_ms;
    return wheel_next(&broker->wheel, &deadline_ms) ? deadline_ms : UINT64_MAX;
}

void broker_drain(struct broker *broker)
{
    broker->draining = true;
    list_foreach(link, &broker->connections)
        connection_pause(container_of(link, struct connection, link), CONNECTION_PAUSE_DRAIN);
}

bool broker_is_drained(const struct broker *broker)
{
    return broker->draining && (!broker->remotes || remote_is_drained(broker->remotes));
}

uint64_t broker_connections_ended(const struct broker *broker)
{
    return broker->next_id + broker->turned_away - broker->connection_count - broker->refused_count;
}

void broker_shutdown(struct broker *broker)
{
    if (!broker->stopping)
        system_events_shutdown(broker);
    broker->stopping = true;
    wheel_cancel(&broker->wheel, &broker->lame_timer);
    list_foreach(link, &broker->connections)
        connection_finish(container_of(link, struct connection, link), "Server Shutdown");
}

void broker_stats_get(const struct broker *broker, struct broker_stats *ret_stats)
{
    *ret_stats = broker->stats;
    ret_stats->connections = broker->connection_count;
    list_foreach(link, &broker->connections)
    {
        const struct connection *connection = container_of(link, struct connection, link);
        ret_stats->pending_bytes += connection->outbound.size_bytes;
        ret_stats->in_msgs += connection->traffic.in_msgs;
        ret_stats->out_msgs += connection->traffic.out_msgs;
        ret_stats->in_bytes += connection->traffic.in_bytes;
        ret_stats->out_bytes += connection->traffic.out_bytes;
    }
}

void broker_check(const struct broker *broker)
{
    uint64_t subscriptions = 0;
    uint32_t counts[2] = {0};
    list_foreach(link, &broker->connections)
    {
        const struct connection *connection = container_of(link, struct connection, link);
        must(connection->broker == broker);
        connection_check(connection);
        subscriptions += connection->is_leaving ? 0 : connection->subscriptions.count;
        counts[connection->refused]++;
    }
    must(counts[false] == broker->connection_count && counts[true] == broker->refused_count);
    must(subscriptions == broker->stats.subscriptions);
    must(broker->logins_running <= BROKER_LOGINS_RUNNING_MAX);
    must(broker->dead == NULL || broker->depth > 0);
    uint64_t account_subscriptions = 0, leaving = 0;
    uint32_t account_connections = 0;
    list_foreach(link, &broker->accounts)
    {
        const struct account *account = container_of(link, struct account, link);
        must(!account->is_retired && map_find(&broker->account_names, account_name(account)) == account);
        account_check(account);
        account_subscriptions += account->subscription_count;
        leaving += account->leaving_count;
        account_connections += account->connection_count;
    }
    list_foreach(link, &broker->retired)
    {
        const struct account *account = container_of(link, struct account, link);
        must(account->is_retired);
        account_check(account);
        account_subscriptions += account->subscription_count;
        leaving += account->leaving_count;
        account_connections += account->connection_count;
    }
    must(account_subscriptions == subscriptions && account_connections == broker->connection_count);
    must(leaving == broker->leaving_count);
    must((leaving == 0) == (list_empty(&broker->leaving[0]) && list_empty(&broker->leaving[1])));
    map_check(&broker->account_names);
    if (broker->remotes)
        remote_check(broker->remotes);
    response_check(broker);
}

static void flush(struct broker *broker)
{
    struct list *link;
    while ((link = list_pop_front(&broker->dirty)))
        connection_flush(container_of(link, struct connection, dirty));
}

static void on_lost(void *owner)
{
    ((struct broker *)owner)->turned_away++; // whoever accepted it has counted it
}
