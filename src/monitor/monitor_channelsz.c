// SPDX-License-Identifier: Apache-2.0
// The channels, who subscribes to them, and what waits there for whom (ST-H05, ST-H06, ST-H09). KEDA's NATS Streaming scaler and the exporter
// read it (TL-01 … TL-07, TL-22).
//
// Made in steps: the names are gathered, sorted, cut, and then what they mean is written, channel by channel. A channel that goes meanwhile
// is left out.
#include "monitor/monitor_copy.h"
#include "monitor/monitor_internal.h"
#include "monitor/name_list.h"
#include "monitor/parameter.h"
#include "monitor/put.h"
#include "monitor/put_streaming.h"

#include <string.h>

enum phase { GATHER, SORT, LIST, SUBSCRIPTIONS, CONSUMERS };

struct channelsz {
    struct monitor_copy copy; // first
    struct streaming_query query;
    char channel[PARAMETER_TEXT_SIZE]; // "": all
    struct name_list names;
    struct json_writer json;
    enum phase phase;
    uint32_t gathered; // up to the channel of this id
    size_t at, to;     // of the names that are written
    bool has_array;    // the array of the phase is open
    struct stan_inspect_place place;
    uint32_t consumer; // written up to this id
    uint32_t patience;
    // Of the channel that is being written, over its durables, groups and subscriptions.
    uint64_t backlog_msgs, backlog_bytes; // the largest
    uint64_t redeliveries, dead;          // sums
};

static bool step(struct monitor_copy *copy);
static void release(struct monitor_copy *copy);
static bool gather(struct channelsz *channelsz);
static void begin(struct channelsz *channelsz);
static bool list(struct channelsz *channelsz, size_t *left);
static bool list_some(struct channelsz *channelsz, size_t *left);
static void begin_channel(struct channelsz *channelsz, const struct stan_channel_view *channel);
static void write_subscriptions(struct channelsz *channelsz, const struct stan_channel_view *channel, size_t *left);
static void write_consumers(struct channelsz *channelsz, const struct stan_channel_view *channel, size_t *left);
static void add_up(struct channelsz *channelsz, const struct consumer_state *consumer);
static void end_channel(struct channelsz *channelsz);
static void begin_array(struct channelsz *channelsz, const char *key);
static void end_array(struct channelsz *channelsz);

void monitor_channelsz(struct monitor *monitor, struct page *page)
{
    if (!monitor->options.stan) {
        monitor_say(page, 404, "404 page not found; / lists the pages");
        return;
    }
    struct channelsz *channelsz = monitor_copy_new_steps(sizeof(*channelsz), monitor, page, step, release);
    put_streaming_read(page, &channelsz->query);
    channelsz->patience = STREAMING_PATIENCE;
    if (!parameter_text(page, "channel", channelsz->channel)) {
        monitor_copy_free(&channelsz->copy);
        return;
    }
    name_list_init(&channelsz->names, &channelsz->copy.inspection.arena, STREAMING_NAMES_MAX);
    monitor_copy_start(&channelsz->copy);
}

static bool step(struct monitor_copy *copy)
{
    struct channelsz *channelsz = (struct channelsz *)copy;
    size_t left = STREAMING_STEP_OBJECTS;
    switch (channelsz->phase) {
    case GATHER: return !gather(channelsz);
    case SORT:
        if (name_list_sort(&channelsz->names, STREAMING_STEP_NAMES))
            begin(channelsz);
        return false;
    default: break;
    }
    return list(channelsz, &left);
}

static void release(struct monitor_copy *copy)
{
    name_list_deinit(&((struct channelsz *)copy)->names);
}

// False: the page is full of an error.
static bool gather(struct channelsz *channelsz)
{
    const struct stan *stan = channelsz->copy.monitor->options.stan;
    struct stan_channel_view channel;
    bool fits = true;
    if (channelsz->channel[0] != '\0') {
        if (!stan_inspect_channel_find(stan, bytes_from_string(channelsz->channel), &channel)) {
            monitor_say_missing(channelsz->copy.page, "Channel", channelsz->channel);
            return false;
        }
        fits = name_list_add(&channelsz->names, channel.name, channel.id);
        channelsz->phase = SORT;
    }
    for (size_t left = STREAMING_STEP_NAMES; fits && left > 0 && channelsz->phase == GATHER;) {
        if (!stan_inspect_channel_next(stan, channelsz->gathered, &channel)) {
            channelsz->phase = SORT;
            break;
        }
        channelsz->gathered = channel.id;
        fits = name_list_add(&channelsz->names, channel.name, channel.id);
        left = left > channel.state.consumers ? left - channel.state.consumers - 1 : 0;
    }
    if (!fits)
        monitor_say(channelsz->copy.page, 503, "too many channels to list");
    return fits;
}

static void begin(struct channelsz *channelsz)
{
    struct json_writer *json = &channelsz->json;
    channelsz->phase = LIST;
    if (channelsz->channel[0] != '\0') {
        json_writer_init(json, channelsz->copy.page->body);
        channelsz->to = 1;
        return;
    }
    bool long_one = channelsz->names.count > STREAMING_INDENTED_MAX && channelsz->query.limit > STREAMING_INDENTED_MAX;
    put_streaming_begin(channelsz->copy.monitor, channelsz->copy.page, json, long_one);
    put_time(json, "now", channelsz->copy.monitor->now.wall_ns);
    put_streaming_bounds(json, &channelsz->query, channelsz->names.count, &channelsz->at, &channelsz->to);
    if (channelsz->at == channelsz->to)
        return;
    json_writer_key(json, channelsz->query.subs ? "channels" : "names");
    json_writer_begin_array(json);
}

// True: the page is complete.
static bool list(struct channelsz *channelsz, size_t *left)
{
    struct json_writer *json = &channelsz->json;
    bool names = !channelsz->query.subs && channelsz->channel[0] == '\0';
    for (; *left > 0 && channelsz->at < channelsz->to && !channelsz->copy.waits; --*left) {
        if (names)
            json_writer_string(json, channelsz->names.entries[channelsz->at++].name);
        else if (!list_some(channelsz, left))
            return true;
    }
    if (channelsz->at < channelsz->to)
        return false;
    while (json->depth > 0)
        json_writer_end(json);
    monitor_finish_json(json, channelsz->copy.page);
    return true;
}

// Some more of the channel that is being written. False: the page is full of an error.
static bool list_some(struct channelsz *channelsz, size_t *left)
{
    const struct name_entry *entry = &channelsz->names.entries[channelsz->at];
    struct stan_channel_view channel;
    bool there = stan_inspect_channel(channelsz->copy.monitor->options.stan, entry->id, &channel);
    if (!there && channelsz->phase == LIST && channelsz->channel[0] != '\0') {
        monitor_say_missing(channelsz->copy.page, "Channel", channelsz->channel);
        return false;
    }
    if (!there && channelsz->phase == LIST)
        channelsz->at++;
    else if (!there)
        end_channel(channelsz);
    else if (channelsz->phase == LIST)
        begin_channel(channelsz, &channel);
    else if (channelsz->phase == SUBSCRIPTIONS)
        write_subscriptions(channelsz, &channel, left);
    else
        write_consumers(channelsz, &channel, left);
    return true;
}

static void begin_channel(struct channelsz *channelsz, const struct stan_channel_view *channel)
{
    struct json_writer *json = &channelsz->json;
    json_writer_begin_object(json);
    json_writer_put_string(json, "name", channel->name);
    json_writer_put_u64(json, "msgs", channel->state.messages);
    json_writer_put_u64(json, "bytes", channel->state.bytes);
    json_writer_put_u64(json, "first_seq", channel->first_sequence);
    json_writer_put_u64(json, "last_seq", channel->state.last_sequence);
    json_writer_put_u64(json, "subs_count", channel->subscriptions);
    channelsz->place = (struct stan_inspect_place){0};
    channelsz->consumer = 0;
    channelsz->backlog_msgs = channelsz->backlog_bytes = channelsz->redeliveries = channelsz->dead = 0;
    if (channelsz->query.subs)
        channelsz->phase = SUBSCRIPTIONS;
    else
        end_channel(channelsz);
}

static void write_subscriptions(struct channelsz *channelsz, const struct stan_channel_view *channel, size_t *left)
{
    const struct stan *stan = channelsz->copy.monitor->options.stan;
    struct stan_subscription_view subscription;
    while (*left > 1) {
        if (!stan_inspect_subscription_next(stan, channel, &channelsz->place, &subscription)) {
            end_array(channelsz);
            channelsz->phase = CONSUMERS;
            return;
        }
        begin_array(channelsz, "subscriptions");
        size_t work = put_streaming_subscription(&channelsz->json, &subscription, channelsz->query.held);
        *left = *left > work ? *left - work : 1;
    }
}

static void write_consumers(struct channelsz *channelsz, const struct stan_channel_view *channel, size_t *left)
{
    struct monitor *monitor = channelsz->copy.monitor;
    struct stan_consumer_view consumer;
    struct streaming_age age;
    for (; *left > 1; --*left) {
        if (!stan_inspect_consumer_next(monitor->options.stan, channel, true, channelsz->consumer, &consumer)) {
            end_channel(channelsz);
            return;
        }
        if (!put_streaming_age(monitor, channel, &consumer, &channelsz->patience, &age)) {
            channelsz->copy.waits = true;
            return;
        }
        begin_array(channelsz, "consumers");
        put_streaming_consumer(&channelsz->json, &consumer, &age);
        channelsz->consumer = consumer.id;
        add_up(channelsz, &consumer.state);
    }
}

static void add_up(struct channelsz *channelsz, const struct consumer_state *consumer)
{
    uint64_t msgs = consumer->waiting + consumer->pending, bytes = consumer->waiting_bytes + consumer->pending_bytes;
    channelsz->backlog_msgs = msgs > channelsz->backlog_msgs ? msgs : channelsz->backlog_msgs;
    channelsz->backlog_bytes = bytes > channelsz->backlog_bytes ? bytes : channelsz->backlog_bytes;
    channelsz->redeliveries += consumer->redelivered;
    channelsz->dead += consumer->dead;
}

static void end_channel(struct channelsz *channelsz)
{
    struct json_writer *json = &channelsz->json;
    end_array(channelsz);
    if (channelsz->query.subs) {
        json_writer_put_u64(json, "backlog_msgs", channelsz->backlog_msgs);
        json_writer_put_u64(json, "backlog_bytes", channelsz->backlog_bytes);
        json_writer_put_u64(json, "redeliveries", channelsz->redeliveries);
        json_writer_put_u64(json, "dead", channelsz->dead);
    }
    json_writer_end(json);
    channelsz->phase = LIST;
    channelsz->at++;
}

// An array without anything in it is not there, as in Go.
static void begin_array(struct channelsz *channelsz, const char *key)
{
    if (channelsz->has_array)
        return;
    json_writer_key(&channelsz->json, key);
    json_writer_begin_array(&channelsz->json);
    channelsz->has_array = true;
}

static void end_array(struct channelsz *channelsz)
{
    if (channelsz->has_array)
        json_writer_end(&channelsz->json);
    channelsz->has_array = false;
}
