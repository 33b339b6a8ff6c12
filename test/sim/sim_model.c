// SPDX-License-Identifier: Apache-2.0
// tidy: prefix sim
// Publishing and subscribing as the model sees them; deliveries are judged in sim_judge.c.
#include "sim_model.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "base/prng.h"

static void *grow(void *items, size_t count, size_t *capacity, size_t size);
static void sub_gone(struct sim_sub *sub, uint64_t now_ns);
static struct sim_consumer *consumer_find(struct sim_model *model, const char *key);
static struct sim_consumer *consumer_new(struct sim_model *model, const struct sim_sub_request *request,
                                         const char *key, uint64_t now_ns);
static bool consumer_is_used(const struct sim_model *model, const struct sim_consumer *consumer);

void sim_model_init(struct sim_model *model, struct sim_trace *trace, uint32_t channels)
{
    must(channels <= SIM_CHANNELS_MAX);
    *model = (struct sim_model){.trace = trace, .channel_count = channels, .life = 1, .disk_healthy = true};
    for (uint32_t i = 0; i < channels; i++)
        snprintf(model->channels[i].name, sizeof(model->channels[i].name), i % 2 ? "jobs.%u" : "events%u", i);
}

void sim_model_deinit(struct sim_model *model)
{
    for (size_t i = 0; i < model->publish_count; i++)
        mem_free(model->publishes[i]);
    for (size_t i = 0; i < model->sub_count; i++)
        mem_free(model->subs[i]);
    for (size_t i = 0; i < model->consumer_count; i++) {
        mem_free(model->consumers[i]->held);
        mem_free(model->consumers[i]);
    }
    for (uint32_t i = 0; i < model->channel_count; i++)
        mem_free(model->channels[i].stored);
    mem_free(model->publishes);
    mem_free(model->subs);
    mem_free(model->consumers);
}

void sim_model_clock(struct sim_model *model, uint64_t now_ns, uint64_t wall_ns)
{
    model->now_ns = now_ns;
    model->wall_ns = wall_ns;
    model->wall_max_ns = wall_ns > model->wall_max_ns ? wall_ns : model->wall_max_ns;
}

struct sim_publish *sim_model_publish_new(struct sim_model *model, uint32_t client, uint32_t channel, uint32_t size)
{
    struct sim_publish *publish = mem_alloc_zero(sizeof(*publish));
    *publish = (struct sim_publish){
        .id = (uint32_t)model->publish_count, .client = client, .channel = channel, .size = size < 16 ? 16 : size};
    model->publishes = grow(model->publishes, model->publish_count, &model->publish_capacity, sizeof(publish));
    model->publishes[model->publish_count++] = publish;
    return publish;
}

void sim_model_publish_sent(struct sim_model *model, struct sim_publish *publish, uint64_t connection, uint64_t now_ns)
{
    (void)model;
    if (publish->attempts++ == 0) {
        publish->first_ns = now_ns;
        publish->connection = connection;
    }
    publish->last_ns = now_ns;
    publish->consumed_ns = 0;
    if (publish->state == SIM_PUBLISH_REFUSED || publish->state == SIM_PUBLISH_UNKNOWN)
        publish->state = SIM_PUBLISH_OPEN;
}

void sim_model_publish_answered(struct sim_model *model, struct sim_publish *publish, struct bytes error,
                                uint64_t now_ns)
{
    if (error.len == 0) {
        publish->state = SIM_PUBLISH_ACCEPTED;
        if (publish->accepted_ns == 0)
            publish->accepted_ns = now_ns;
        // Its record lies behind those of acknowledgements of earlier turns, and is on the disk.
        if (publish->attempts == 1 && publish->consumed_ns > model->synced_ns)
            model->synced_ns = publish->consumed_ns;
        return;
    }
    const struct bytes nothing[] = {BYTES("stan: the server's disk is full, nothing was stored"),
                                    BYTES("stan: the server is overloaded, try again"),
                                    BYTES("stan: the server's memory store is full"),
                                    BYTES("stan: too many messages within the duplicate window"),
                                    BYTES("stan: the channel is full of messages that are not acknowledged, nothing "
                                          "was stored")};
    bool stored_nothing = false;
    for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
        stored_nothing |= bytes_equal(error, nothing[i]);
    // A write that found no space half-way leaves bytes which a kill may keep.
    if (bytes_equal(error, nothing[0]) && model->reads_fail)
        stored_nothing = false;
    bool failed =
        bytes_equal(error, nothing[0]) || bytes_starts_with(error, BYTES("stan: the server's log has failed"));
    if (!stored_nothing && !failed)
        sim_trace_fail(model->trace, "publish %u refused: %.*s", publish->id, BYTES_ARG(error));
    if (bytes_equal(error, nothing[4]) && !model->keeps_unfinished)
        sim_trace_fail(model->trace, "publish %u: the channel drops messages instead", publish->id);
    if (bytes_equal(error, nothing[0]) && !model->disk_small)
        sim_trace_fail(model->trace, "publish %u: the disk is not full", publish->id);
    if (failed && !bytes_equal(error, nothing[0]) && model->disk_healthy)
        sim_trace_fail(model->trace, "publish %u: the log failed on a healthy disk", publish->id);
    publish->refusals++;
    if (publish->state == SIM_PUBLISH_OPEN)
        publish->state =
            stored_nothing && publish->refusals == publish->attempts ? SIM_PUBLISH_REFUSED : SIM_PUBLISH_UNKNOWN;
}

void sim_publish_guid(const struct sim_publish *publish, char ret_guid[32])
{
    snprintf(ret_guid, 32, "guid-%u-%u", publish->client, publish->id);
}

void sim_publish_payload(const struct sim_model *model, const struct sim_publish *publish, struct buffer *out)
{
    struct prng prng;
    prng_seed(&prng, publish->id * 7919ULL + 1);
    char *to = buffer_reserve(out, publish->size);
    must(to);
    memset(to, ' ', 16);
    char head[17];
    int length = snprintf(head, sizeof(head), "%u %u", publish->id, publish->channel);
    memcpy(to, head, (size_t)length);
    for (uint32_t i = 16; i < publish->size; i++)
        to[i] = (char)prng_next(&prng);
    buffer_commit(out, publish->size);
    (void)model;
}

struct sim_sub *sim_model_sub_new(struct sim_model *model, const struct sim_sub_request *request, uint64_t now_ns)
{
    struct sim_sub *sub = mem_alloc_zero(sizeof(*sub));
    model->subs = grow(model->subs, model->sub_count, &model->sub_capacity, sizeof(sub));
    sub->id = (uint32_t)model->sub_count;
    model->subs[model->sub_count++] = sub;
    char key[64];
    const char *channel = model->channels[request->channel].name;
    if (request->group[0] && request->durable[0])
        snprintf(key, sizeof(key), "%s Q %s:%s", channel, request->durable, request->group);
    else if (request->group[0])
        snprintf(key, sizeof(key), "%s q %s", channel, request->group);
    else if (request->durable[0])
        snprintf(key, sizeof(key), "%s d %u.%s", channel, request->client, request->durable);
    else
        snprintf(key, sizeof(key), "%s s %u", channel, sub->id);
    sub->consumer = consumer_find(model, key);
    if (!sub->consumer)
        sub->consumer = consumer_new(model, request, key, now_ns);
    else if (sub->consumer->opened_ns == 0)
        sub->consumer->certain = false; // whose start position counts depends on whose request arrives first
    sub->client = request->client;
    sub->request = *request;
    sub->max_in_flight = request->max_in_flight;
    sub->ack_wait_ns = request->ack_wait_ns;
    sub->requested_ns = now_ns;
    sub->released_ns = UINT64_MAX;
    snprintf(sub->inbox, sizeof(sub->inbox), "_INBOX.c%u.s%u", sub->client, sub->id);
    return sub;
}

void sim_model_sub_opened(struct sim_model *model, struct sim_sub *sub, uint64_t now_ns)
{
    (void)model;
    sub->state = SIM_SUB_OPEN;
    sub->opened_ns = now_ns;
    if (sub->consumer->opened_ns == 0)
        sub->consumer->opened_ns = now_ns;
}

void sim_model_sub_ending(struct sim_model *model, struct sim_sub *sub, uint64_t now_ns)
{
    (void)model;
    if (sub->released_ns == UINT64_MAX)
        sub->released_ns = now_ns;
    sub->state = SIM_SUB_CLOSING;
}

void sim_model_sub_ended(struct sim_model *model, struct sim_sub *sub, bool unsubscribe, bool answered, uint64_t now_ns)
{
    struct sim_consumer *consumer = sub->consumer;
    if (sub->state == SIM_SUB_ENDED)
        return;
    // The server may or may not have made it: the next one to come may find it, or begin anew.
    if (consumer->opened_ns == 0)
        consumer->certain = false;
    sim_model_sub_ending(model, sub, now_ns);
    sub->state = SIM_SUB_ENDED;
    if ((!consumer->durable || unsubscribe) && !consumer_is_used(model, consumer)) {
        consumer->ended = true;
        consumer->unclear = !answered;
    }
}

void sim_model_link_gone(struct sim_model *model, uint64_t link, uint64_t now_ns)
{
    for (size_t i = 0; i < model->sub_count; i++)
        if (model->subs[i]->link == link)
            sub_gone(model->subs[i], now_ns);
}

void sim_model_sub_back(struct sim_model *model, struct sim_sub *sub, uint64_t link, uint64_t now_ns)
{
    if (sub->gone_ns && sub->gone_ns + model->grace_ns <= now_ns + 1000000)
        sub->grace_over_ns = now_ns;
    sub->gone_ns = 0;
    sub->link = link;
}

// From here on its messages are like those that were refused: none may appear again.
void sim_model_channel_gone(struct sim_model *model, uint32_t channel)
{
    struct sim_channel *gone = &model->channels[channel];
    memset(gone->stored, 0, gone->stored_count * sizeof(*gone->stored));
    gone->last_sequence = 0;
    for (size_t i = 0; i < model->publish_count; i++)
        if (model->publishes[i]->channel == channel)
            model->publishes[i]->state = SIM_PUBLISH_REFUSED;
    for (size_t i = 0; i < model->consumer_count; i++)
        if (model->consumers[i]->channel == channel)
            model->consumers[i]->ended = true;
}

void sim_model_crashed(struct sim_model *model, uint64_t now_ns)
{
    const uint64_t long_ago_ns = 4000000000; // after so long on a healthy disk a sync must have returned
    for (size_t i = 0; i < model->consumer_count; i++) {
        struct sim_consumer *consumer = model->consumers[i];
        for (size_t s = 0; s < consumer->held_count; s++) {
            struct sim_held *held = &consumer->held[s];
            uint64_t before_ns = model->synced_ns;
            if (model->disk_healthy && now_ns - long_ago_ns > before_ns)
                before_ns = now_ns - long_ago_ns;
            if (held->deliveries && held->life == model->life && held->last.written_ns < before_ns)
                held->delivery_synced = true;
            if (held->ack_ns && held->ack_life == model->life && held->ack_ns < before_ns)
                held->ack_synced = true;
        }
    }
    model->crash_ns = now_ns;
}

void sim_model_started(struct sim_model *model, uint64_t now_ns)
{
    model->life++;
    model->crash_ns = now_ns;
    model->disk_healthy = true;
    model->reads_fail = model->stopping = false;
    for (size_t i = 0; i < model->sub_count; i++)
        if (model->subs[i]->state != SIM_SUB_ENDED) {
            model->subs[i]->gone_ns = 0;
            model->subs[i]->first_last = 0;
            sub_gone(model->subs[i], now_ns);
        }
}

static void sub_gone(struct sim_sub *sub, uint64_t now_ns)
{
    if (sub->gone_ns == 0)
        sub->gone_ns = now_ns;
    sub->link = 0;
    sub->epoch++;
}

static void *grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? *capacity * 2 : 64;
    return mem_realloc(items, *capacity * size);
}

static struct sim_consumer *consumer_find(struct sim_model *model, const char *key)
{
    for (size_t i = 0; i < model->consumer_count; i++)
        if (!model->consumers[i]->ended && strcmp(model->consumers[i]->key, key) == 0)
            return model->consumers[i];
    return NULL;
}

static struct sim_consumer *consumer_new(struct sim_model *model, const struct sim_sub_request *request,
                                         const char *key, uint64_t now_ns)
{
    struct sim_consumer *consumer = mem_alloc_zero(sizeof(*consumer));
    model->consumers = grow(model->consumers, model->consumer_count, &model->consumer_capacity, sizeof(consumer));
    consumer->id = (uint32_t)model->consumer_count;
    model->consumers[model->consumer_count++] = consumer;
    snprintf(consumer->key, sizeof(consumer->key), "%s", key);
    consumer->channel = request->channel;
    consumer->durable = request->durable[0];
    consumer->group = request->group[0];
    consumer->certain = true;
    for (size_t i = 0; i + 1 < model->consumer_count; i++)
        if (model->consumers[i]->unclear && strcmp(model->consumers[i]->key, key) == 0)
            consumer->certain = false;
    consumer->request = *request;
    consumer->requested_ns = now_ns;
    return consumer;
}

// Has a member that lives, or may live, on the server.
static bool consumer_is_used(const struct sim_model *model, const struct sim_consumer *consumer)
{
    for (size_t i = 0; i < model->sub_count; i++)
        if (model->subs[i]->consumer == consumer && model->subs[i]->state != SIM_SUB_ENDED)
            return true;
    return false;
}
