// SPDX-License-Identifier: Apache-2.0
#include "monitor/metrics_old.h"

#include "base/must.h"
#include "base/number.h"
#include "monitor/put_jsz.h"

static void put(struct metrics_rows *rows, const char *key, struct bytes value);

void metrics_old_add_stream(struct metrics_rows *rows, const struct stan_channel_view *channel,
                            const uint64_t values[METRICS_COLUMNS_MAX])
{
    char name[PUT_JSZ_NAME_MAX];
    buffer_clear(&rows->scratch);
    put(rows, "account", BYTES("$G"));
    put(rows, "stream_name", bytes_make(name, put_jsz_stream_name(channel->name, name)));
    (void)metrics_rows_add(rows, METRICS_OLD_STREAM, values);
}

// Two durables of one name are told apart by whose they are, and not by their names as on /jsz, which depend on who came first.
void metrics_old_add_consumer(struct metrics_rows *rows, const struct stan_channel_view *channel,
                              const struct stan_consumer_view *consumer)
{
    char name[PUT_JSZ_NAME_MAX];
    const struct consumer_state *state = &consumer->state;
    uint64_t start = state->config.start_sequence, next = state->next_sequence;
    const uint64_t values[METRICS_COLUMNS_MAX] = {
        [OLD_CONSUMER_PENDING] = state->waiting,
        [OLD_CONSUMER_UNACKED] = state->pending,
        [OLD_CONSUMER_DELIVERED] = (next > start ? next - start : 0) + state->redelivered,
    };
    buffer_clear(&rows->scratch);
    put(rows, "account", BYTES("$G"));
    put(rows, "stream_name", bytes_make(name, put_jsz_stream_name(channel->name, name)));
    put(rows, "consumer_name", bytes_make(name, put_jsz_consumer_name(consumer, 0, name)));
    if (consumer->client_id.len > 0)
        put(rows, "client_id", consumer->client_id);
    (void)metrics_rows_add(rows, METRICS_OLD_CONSUMER, values);
}

void metrics_old_add_subscription(struct metrics_rows *rows, const struct stan_subscription_view *subscription,
                                  const struct stan_inspect_place *place)
{
    char number[NUMBER_MAX_DIGITS];
    const struct stan_consumer_view *consumer = &subscription->consumer;
    const uint64_t values[METRICS_COLUMNS_MAX] = {
        [OLD_SUBSCRIPTION_PENDING] = subscription->pending,
        [OLD_SUBSCRIPTION_LAST] = subscription->last_sent,
        [OLD_SUBSCRIPTION_MAX] = subscription->max_in_flight,
    };
    buffer_clear(&rows->scratch);
    put(rows, "channel", subscription->channel);
    put(rows, "client_id", subscription->client_id);
    put(rows, "inbox", subscription->inbox);
    put(rows, "queue_name", consumer->queue);
    put(rows, "durable_name", consumer->durable);
    put(rows, "is_durable", consumer->state.config.durable ? BYTES("true") : BYTES("false"));
    put(rows, "is_offline", subscription->is_offline ? BYTES("true") : BYTES("false"));
    put(rows, "subscription",
        bytes_make(number, number_format_u64(number, place->member ? place->member : place->consumer)));
    (void)metrics_rows_add(rows, METRICS_OLD_SUBSCRIPTION, values);
}

// Names and inboxes are short beside what `scratch` takes.
static void put(struct metrics_rows *rows, const char *key, struct bytes value)
{
    must(metric_label_append(&rows->scratch, key, value) == 0);
}
