// SPDX-License-Identifier: Apache-2.0
// JetStream as its tools read it (CO-H10): the channels of NATS Streaming are streams, their durables and queue groups consumers, all of
// the global account (put_jsz.h says how). So KEDA's nats-jetstream scaler and the exporter see them (TL-10 … TL-17, TL-24 … TL-26). A
// server that serves no NATS Streaming says, as nats-server without JetStream does, that it is disabled.
//
// Made in steps: all is counted first, then written stream by stream, both in the order of their ids.
#include "base/map.h"
#include "monitor/monitor_copy.h"
#include "monitor/monitor_internal.h"
#include "monitor/parameter.h"
#include "monitor/put.h"
#include "monitor/put_jsz.h"
#include "monitor/put_streaming.h"

#define ACCOUNT "$G"

struct jsz {
    struct monitor_copy copy; // first
    bool accounts, streams, consumers, config, raft;
    char account[PARAMETER_TEXT_SIZE]; // "": all
    uint64_t offset;
    struct json_writer json;
    bool counted;
    uint32_t stream; // counted, then written up to this id
    uint64_t stream_count, consumer_count;
    bool in_stream;    // its object is open, and
    uint32_t consumer; // its consumers are written up to this id
    bool has_array;    // of these
    struct map names;  // of its consumers so far
    struct arena arena;
    uint32_t patience;
};

static void write_disabled(struct monitor *monitor, struct page *page);
static bool read_parameters(struct jsz *jsz, struct page *page);
static bool step(struct monitor_copy *copy);
static void release(struct monitor_copy *copy);
static bool count(struct jsz *jsz);
static void begin(struct jsz *jsz);
static void put_usage(struct json_writer *json, const struct monitor *monitor, bool of_account);
static bool list(struct jsz *jsz);
static bool list_some(struct jsz *jsz, size_t *left);
static bool begin_stream(struct jsz *jsz, const struct stan_channel_view *channel);
static bool write_consumer(struct jsz *jsz, const struct stan_channel_view *channel);
static struct bytes take_name(struct jsz *jsz, const struct stan_consumer_view *consumer);
static void end_stream(struct jsz *jsz);
static void end(struct jsz *jsz);

void monitor_jsz(struct monitor *monitor, struct page *page)
{
    if (!monitor->options.stan) {
        write_disabled(monitor, page);
        return;
    }
    struct jsz *jsz = monitor_copy_new_steps(sizeof(*jsz), monitor, page, step, release);
    jsz->patience = STREAMING_PATIENCE;
    map_init(&jsz->names, SIZE_MAX);
    arena_init(&jsz->arena, 16 * 1024, MONITOR_COPY_MAX);
    if (read_parameters(jsz, page))
        monitor_copy_start(&jsz->copy);
    else
        monitor_copy_free(&jsz->copy);
}

static void write_disabled(struct monitor *monitor, struct page *page)
{
    static const char *const zeroes[] = {"memory",    "storage", "reserved_memory", "reserved_storage", "accounts",
                                         "ha_assets", "streams", "consumers",       "messages",         "bytes"};
    struct json_writer json;
    monitor_begin_json(monitor, page, &json);
    json_writer_put_bool(&json, "disabled", true);
    json_writer_put_object(&json, "config");
    json_writer_put_u64(&json, "max_memory", 0);
    json_writer_put_u64(&json, "max_storage", 0);
    json_writer_end(&json);
    for (size_t i = 0; i < sizeof(zeroes) / sizeof(zeroes[0]); i++)
        json_writer_put_u64(&json, zeroes[i], 0);
    json_writer_put_object(&json, "api");
    json_writer_put_u64(&json, "total", 0);
    json_writer_put_u64(&json, "errors", 0);
    json_writer_end(&json);
    json_writer_end(&json);
    monitor_finish_json(&json, page);
}

// Whoever asks for consumers gets streams, and whoever asks for streams or an account gets accounts. There is no other leader, so
// leader-only changes nothing; nor does limit, with one account.
static bool read_parameters(struct jsz *jsz, struct page *page)
{
    bool ignored;
    int64_t limit, offset = 0;
    if (!parameter_bool(page, "accounts", &jsz->accounts) || !parameter_bool(page, "streams", &jsz->streams) ||
        !parameter_bool(page, "consumers", &jsz->consumers) || !parameter_bool(page, "config", &jsz->config) ||
        !parameter_bool(page, "raft", &jsz->raft) || !parameter_bool(page, "leader-only", &ignored) ||
        !parameter_bool(page, "direct-consumers", &ignored) || !parameter_bool(page, "stream-leader-only", &ignored) ||
        !parameter_int(page, "offset", &offset) || !parameter_int(page, "limit", &limit) ||
        !parameter_text(page, "acc", jsz->account))
        return false;
    jsz->offset = offset > 0 ? (uint64_t)offset : 0;
    jsz->streams |= jsz->consumers;
    jsz->accounts |= jsz->streams || jsz->account[0] != '\0';
    return true;
}

static bool step(struct monitor_copy *copy)
{
    struct jsz *jsz = (struct jsz *)copy;
    if (jsz->counted)
        return list(jsz);
    if (count(jsz))
        begin(jsz);
    return false;
}

static void release(struct monitor_copy *copy)
{
    struct jsz *jsz = (struct jsz *)copy;
    map_deinit(&jsz->names);
    arena_deinit(&jsz->arena);
}

// True: all are.
static bool count(struct jsz *jsz)
{
    struct stan_channel_view channel;
    for (size_t left = STREAMING_STEP_NAMES; left > 0;) {
        if (!stan_inspect_channel_next(jsz->copy.monitor->options.stan, jsz->stream, &channel))
            return true;
        jsz->stream = channel.id;
        jsz->stream_count++;
        jsz->consumer_count += channel.consumers;
        left = left > channel.state.consumers ? left - channel.state.consumers - 1 : 0;
    }
    return false;
}

static void begin(struct jsz *jsz)
{
    struct monitor *monitor = jsz->copy.monitor;
    struct json_writer *json = &jsz->json;
    struct engine_stats engine;
    engine_stats_get(shard_engine(monitor->options.shard), &engine);
    jsz->counted = true;
    jsz->stream = 0;
    if (jsz->streams && jsz->stream_count > STREAMING_INDENTED_MAX)
        json_writer_init_compact(json, jsz->copy.page->body);
    else
        json_writer_init(json, jsz->copy.page->body);
    json_writer_begin_object(json);
    put_usage(json, monitor, false);
    put_server_id(json, monitor);
    put_time(json, "now", monitor->now.wall_ns);
    json_writer_put_object(json, "config");
    json_writer_put_u64(json, "max_memory", 0);
    json_writer_put_u64(json, "max_storage", 0);
    json_writer_put_string(json, "store_dir", bytes_from_string(monitor->options.store_dir));
    json_writer_put_u64(json, "sync_interval", 0);
    json_writer_put_bool(json, "strict", true);
    json_writer_end(json);
    json_writer_put_object(json, "limits");
    json_writer_end(json);
    json_writer_put_u64(json, "streams", jsz->stream_count);
    if (jsz->raft)
        json_writer_put_u64(json, "streams_leader", jsz->stream_count);
    json_writer_put_u64(json, "consumers", jsz->consumer_count);
    if (jsz->raft)
        json_writer_put_u64(json, "consumers_leader", jsz->consumer_count);
    json_writer_put_u64(json, "messages", engine.messages);
    json_writer_put_u64(json, "bytes", engine.bytes);
    json_writer_put_object(json, "meta_cluster");
    json_writer_put_string(json, "name", bytes_from_string(monitor->options.cluster_id));
    json_writer_put_string(json, "leader", bytes_from_string(monitor->options.broker_options->server_name));
    json_writer_put_u64(json, "cluster_size", 1);
    json_writer_end(json);
    bool meant = jsz->account[0] == '\0' || strcmp(jsz->account, ACCOUNT) == 0;
    if (!jsz->accounts || !meant || jsz->offset > 0) {
        jsz->streams = false;
        return;
    }
    json_writer_key(json, "account_details");
    json_writer_begin_array(json);
    json_writer_begin_object(json);
    json_writer_put_string(json, "name", BYTES(ACCOUNT));
    json_writer_put_string(json, "id", BYTES(ACCOUNT));
    put_usage(json, monitor, true);
    if (jsz->streams && jsz->stream_count > 0) {
        json_writer_key(json, "stream_detail");
        json_writer_begin_array(json);
    }
}

static void put_usage(struct json_writer *json, const struct monitor *monitor, bool of_account)
{
    // As an account without a reservation has it.
    uint64_t reserved = of_account ? UINT64_MAX : 0;
    struct engine_stats engine;
    engine_stats_get(shard_engine(monitor->options.shard), &engine);
    bool memory = strcmp(monitor->options.store_type, "MEMORY") == 0;
    json_writer_put_u64(json, "memory", memory ? engine.bytes : 0);
    json_writer_put_u64(json, "storage", memory ? 0 : engine.bytes);
    json_writer_put_u64(json, "reserved_memory", reserved);
    json_writer_put_u64(json, "reserved_storage", reserved);
    json_writer_put_u64(json, "accounts", of_account ? 0 : 1);
    json_writer_put_u64(json, "ha_assets", 0);
    json_writer_put_object(json, "api");
    json_writer_put_u64(json, "level", 0);
    json_writer_put_u64(json, "total", 0);
    json_writer_put_u64(json, "errors", 0);
    json_writer_end(json);
}

// True: the page is complete.
static bool list(struct jsz *jsz)
{
    for (size_t left = STREAMING_STEP_OBJECTS; jsz->streams && left > 0; left--) {
        if (!list_some(jsz, &left))
            jsz->streams = false;
        if (jsz->copy.waits)
            return false;
    }
    if (jsz->streams)
        return false;
    end(jsz);
    return true;
}

// One more stream, or some of its consumers. False: that was all.
static bool list_some(struct jsz *jsz, size_t *left)
{
    const struct stan *stan = jsz->copy.monitor->options.stan;
    struct stan_channel_view channel;
    if (!jsz->in_stream)
        return stan_inspect_channel_next(stan, jsz->stream, &channel) && begin_stream(jsz, &channel);
    bool more = jsz->consumers && stan_inspect_channel(stan, jsz->stream, &channel);
    while (more && *left > 1) {
        more = write_consumer(jsz, &channel);
        --*left;
    }
    if (!more)
        end_stream(jsz);
    return true;
}

static bool begin_stream(struct jsz *jsz, const struct stan_channel_view *channel)
{
    struct monitor *monitor = jsz->copy.monitor;
    char text[PUT_JSZ_NAME_MAX];
    uint64_t first_ns = 0;
    int error = channel->state.messages > 0
                    ? stan_inspect_time(monitor->options.stan, channel, channel->first_sequence, &first_ns)
                    : 0;
    if (error == ERR_AGAIN && jsz->patience > 0) {
        jsz->patience--;
        jsz->copy.waits = true;
        return true;
    }
    json_writer_begin_object(&jsz->json);
    put_jsz_stream(monitor, &jsz->json, channel, bytes_make(text, put_jsz_stream_name(channel->name, text)),
                   jsz->config, error ? 0 : first_ns);
    jsz->stream = channel->id;
    jsz->in_stream = true;
    jsz->consumer = 0;
    return true;
}

// False: there are no more.
static bool write_consumer(struct jsz *jsz, const struct stan_channel_view *channel)
{
    struct monitor *monitor = jsz->copy.monitor;
    struct json_writer *json = &jsz->json;
    struct stan_consumer_view consumer;
    char text[PUT_JSZ_NAME_MAX];
    if (!stan_inspect_consumer_next(monitor->options.stan, channel, false, jsz->consumer, &consumer))
        return false;
    jsz->consumer = consumer.id;
    struct bytes name = take_name(jsz, &consumer);
    if (name.len == 0)
        return true;
    if (!jsz->has_array) {
        json_writer_key(json, "consumer_detail");
        json_writer_begin_array(json);
    }
    jsz->has_array = true;
    struct bytes stream = bytes_make(text, put_jsz_stream_name(channel->name, text));
    put_jsz_consumer(monitor, json, &consumer, stream, name, jsz->config);
    return true;
}

// A name that no other consumer of the stream has: Prometheus refuses all of a page that has one twice.
static struct bytes take_name(struct jsz *jsz, const struct stan_consumer_view *consumer)
{
    char text[PUT_JSZ_NAME_MAX];
    for (unsigned n = 0;; n++) {
        struct bytes name = bytes_make(text, put_jsz_consumer_name(consumer, n, text));
        if (name.len == 0)
            return name;
        if (map_find(&jsz->names, name))
            continue;
        name = arena_copy(&jsz->arena, name);
        if (!name.ptr || map_add(&jsz->names, name, jsz))
            return (struct bytes){0};
        return name;
    }
}

static void end_stream(struct jsz *jsz)
{
    if (jsz->has_array)
        json_writer_end(&jsz->json);
    json_writer_end(&jsz->json);
    jsz->in_stream = jsz->has_array = false;
    map_deinit(&jsz->names);
    arena_reset(&jsz->arena);
}

static void end(struct jsz *jsz)
{
    struct json_writer *json = &jsz->json;
    while (json->depth > 1)
        json_writer_end(json);
    json_writer_put_u64(json, "total", 1);
    json_writer_end(json);
    monitor_finish_json(json, jsz->copy.page);
}
