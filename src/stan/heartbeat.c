// SPDX-License-Identifier: Apache-2.0
// tidy: prefix heartbeat
// Heartbeats from the server to its clients (ST-P09, ST-B14 … B16). One timer per client: the next heartbeat, or the time-out
// of the one that is out.
//
//   IDLE ──interval──► AWAITING ──answer──► IDLE, failures = 0
//                         └──time-out, or nobody subscribes──► IDLE, failures + 1; beyond the limit: closed
//
// While all clients are out of reach (broker_is_cut_off()) nothing is asked, and no answer that is missing counts.
#include "stan/stan_internal.h"
#include <stdio.h>

static void fire(struct wheel_timer *timer, uint64_t now_ms);
static void send_one(struct stan_client *client);
static void failed(struct stan_client *client);
static void schedule(struct stan_client *client, uint64_t wait_ns);
static void set_suspect(struct stan_client *client, bool suspect);

void heartbeat_start(struct stan_client *client)
{
    client->heartbeat.fire = fire;
    client->awaiting = false;
    schedule(client, client->stan->options.heartbeat_interval_ns);
}

void heartbeat_stop(struct stan_client *client)
{
    if (client->stan->wheel_ready)
        wheel_cancel(&client->stan->wheel, &client->heartbeat);
}

void heartbeat_on_answer(struct stan *stan, struct bytes subject)
{
    uint32_t number;
    if (stan_subject_number(subject, &number))
        return;
    struct stan_client *client = registry_by_number(&stan->registry, number);
    if (!client || !client->awaiting)
        return;
    client->awaiting = false;
    if (client->failures) {
        client->failures = 0;
        set_suspect(client, false);
    }
    schedule(client, stan->options.heartbeat_interval_ns);
}

void heartbeat_on_ping(struct stan_client *client)
{
    if (!client->failures)
        return;
    // It lives: counting begins anew, or one that loses its connection again and again would be closed within seconds.
    client->failures = 1;
    if (!client->awaiting)
        schedule(client, 1000000);
}

static void fire(struct wheel_timer *timer, uint64_t now_ms)
{
    struct stan_client *client = container_of(timer, struct stan_client, heartbeat);
    if (broker_is_cut_off(client->stan->broker)) {
        client->awaiting = false;
        schedule(client, client->stan->options.heartbeat_interval_ns);
    } else if (client->awaiting)
        failed(client);
    else
        send_one(client);
}

static void send_one(struct stan_client *client)
{
    struct stan *stan = client->stan;
    char reply[STAN_SUBJECT_MAX + 32];
    int length = snprintf(reply, sizeof(reply), "%s.hb.%u", stan->inbox_prefix, client->number);
    // The answer may come from within the call: wait for it before.
    client->awaiting = true;
    schedule(client, stan->options.heartbeat_timeout_ns);
    if (broker_publish(stan->broker, client->inbox, bytes_make(reply, (size_t)length), (struct bytes){0}, NULL, 0) == 0)
        failed(client);
}

static void failed(struct stan_client *client)
{
    struct stan *stan = client->stan;
    uint64_t index;
    client->awaiting = false;
    client->failures++;
    if (client->failures > stan->options.heartbeat_fail_count) {
        logger_write(stan->options.logger, LOG_INFO, "[Client:%.*s] closed: %u heartbeats unanswered",
                     BYTES_ARG(client->id), client->failures);
        if (registry_close(&stan->registry, client, &index) == 0)
            return;
    }
    if (client->failures == 1)
        set_suspect(client, true);
    schedule(client, stan->options.heartbeat_interval_ns);
}

static void schedule(struct stan_client *client, uint64_t wait_ns)
{
    uint64_t deadline_ns = client->stan->now.mono_ns + wait_ns;
    wheel_set(&client->stan->wheel, &client->heartbeat, (deadline_ns + 999999) / 1000000);
}

static void set_suspect(struct stan_client *client, bool suspect)
{
    struct list *link, *next;
    for (link = client->subscriptions.next; link != &client->subscriptions; link = next) {
        next = link->next;
        struct subscription *subscription = container_of(link, struct subscription, of_client);
        engine_member_set_suspect(client->stan->engine, subscription->member, suspect);
    }
}
