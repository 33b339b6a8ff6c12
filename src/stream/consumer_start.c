// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine
// Creating a consumer: its start position becomes a sequence, within what is there (ST-B05). A position by time may need the disk;
// the request waits for it in the engine's list, and everything is checked again when the answer comes.
#include "stream/engine_internal.h"

static int check(struct engine *engine, struct stream *stream, const struct consumer_config *config);
static uint64_t clamp(const struct stream *stream, uint64_t sequence);
static uint64_t start_now(const struct stream *stream, const struct consumer_config *config);
static void propose(struct engine *engine, struct stream *stream, const struct consumer_config *config,
                    uint64_t next_sequence, engine_consumer_done *done, void *owner);
static bool is_at_end(const struct stream *stream, const struct consumer_config *config);
static int check_seek(const struct consumer *consumer);
static void move(struct consumer *consumer, uint64_t next_sequence, engine_consumer_done *done, void *owner);
static void seek(struct engine *engine, struct stream *stream, const struct consumer_config *config, uint32_t consumer,
                 engine_consumer_done *done, void *owner);
static void seek_done(struct engine_read *read);
static void request_free(struct create_request *request, bool cancel);

void engine_consumer_create(struct engine *engine, struct stream *stream, const struct consumer_config *config,
                            struct engine_time now, engine_consumer_done *done, void *owner)
{
    engine_time_set(engine, now);
    int error = check(engine, stream, config);
    if (error)
        done(owner, error, NULL, 0);
    else if (config->start != CONSUMER_START_TIME)
        propose(engine, stream, config, clamp(stream, start_now(stream, config)), done, owner);
    else if (is_at_end(stream, config))
        propose(engine, stream, config, clamp(stream, stream->state.last_sequence + 1), done, owner);
    else
        seek(engine, stream, config, 0, done, owner);
}

void engine_consumer_seek(struct engine *engine, struct consumer *consumer, enum consumer_start start,
                          uint64_t sequence, uint64_t time_ns, struct engine_time now, engine_consumer_done *done,
                          void *owner)
{
    struct stream *stream = consumer->stream;
    const struct consumer_config config = {.start = start, .start_sequence = sequence, .start_time_ns = time_ns};
    engine_time_set(engine, now);
    int error = check_seek(consumer);
    if (error)
        done(owner, error, NULL, 0);
    else if (start != CONSUMER_START_TIME)
        move(consumer, clamp(stream, start_now(stream, &config)), done, owner);
    else if (is_at_end(stream, &config))
        move(consumer, clamp(stream, stream->state.last_sequence + 1), done, owner);
    else
        seek(engine, stream, &config, consumer->id, done, owner);
}

void engine_consumer_create_cancel(struct engine *engine, void *owner)
{
    list_foreach(link, &engine->requests)
    {
        struct create_request *request = container_of(link, struct create_request, link);
        if (request->owner == owner)
            request_free(request, true);
    }
}

void consumer_start_cancel_stream(struct stream *stream, int error)
{
    list_foreach(link, &stream->engine->requests)
    {
        struct create_request *request = container_of(link, struct create_request, link);
        if (request->stream != stream)
            continue;
        engine_consumer_done *done = request->done;
        void *owner = request->owner;
        request_free(request, true);
        if (stream->engine->live)
            done(owner, error, NULL, 0);
    }
}

static int check(struct engine *engine, struct stream *stream, const struct consumer_config *config)
{
    if (stream->deleting || engine->quiet)
        return stream->deleting ? ERR_NOT_FOUND : ERR_CLOSED;
    if (config->name.len == 0 || config->name.len > ENGINE_NAME_MAX || config->data.len > ENGINE_DATA_MAX ||
        config->protocol == 0 || config->protocol >= ENGINE_PROTOCOL_COUNT)
        return ERR_INVALID;
    if (engine_consumer_find(engine, stream, config->name))
        return ERR_EXISTS;
    if (engine->next_consumer > ENGINE_ID_MAX ||
        (engine->options.max_consumers && map_u64_count(&engine->consumers) >= engine->options.max_consumers))
        return ERR_LIMIT;
    return 0;
}

static int check_seek(const struct consumer *consumer)
{
    if (consumer->deleting || consumer->stream->deleting)
        return ERR_NOT_FOUND;
    if (consumer->stream->engine->quiet)
        return ERR_CLOSED;
    return consumer->committed && !consumer->seeking ? 0 : ERR_AGAIN;
}

// No message is as new as the time that is asked for.
static bool is_at_end(const struct stream *stream, const struct consumer_config *config)
{
    return stream->state.messages == 0 || config->start_time_ns > stream->state.last_time_ns;
}

static uint64_t clamp(const struct stream *stream, uint64_t sequence)
{
    uint64_t first = stream->tail.first_sequence, end = stream->tail.last_sequence + 1;
    return sequence < first ? first : sequence > end ? end : sequence;
}

static uint64_t start_now(const struct stream *stream, const struct consumer_config *config)
{
    switch (config->start) {
    case CONSUMER_START_LAST:
        return stream->tail.messages ? stream->tail.last_sequence : stream->tail.last_sequence + 1;
    case CONSUMER_START_FIRST: return 0;
    case CONSUMER_START_SEQUENCE: return config->start_sequence;
    default: return stream->tail.last_sequence + 1;
    }
}

static void propose(struct engine *engine, struct stream *stream, const struct consumer_config *config,
                    uint64_t next_sequence, engine_consumer_done *done, void *owner)
{
    buffer_clear(&engine->scratch);
    must(codec_put_consumer(&engine->scratch, stream->id, config, next_sequence) == 0);
    int error = engine_admit(engine, engine->scratch.len, true);
    if (error) {
        done(owner, error, NULL, 0);
        return;
    }
    struct consumer *consumer = consumer_new(stream, engine->next_consumer++, config, next_sequence);
    uint64_t index = engine_append(engine, RECORD_CONSUMER_CREATE, consumer->id, buffer_bytes(&engine->scratch));
    engine_tail_push(engine, TAIL_CONSUMER_CREATE, consumer, index, false);
    done(owner, 0, consumer, index);
}

static void move(struct consumer *consumer, uint64_t next_sequence, engine_consumer_done *done, void *owner)
{
    uint64_t index = 0;
    int error = seek_propose(consumer, next_sequence, &index);
    done(owner, error, error ? NULL : consumer, index);
}

static void seek(struct engine *engine, struct stream *stream, const struct consumer_config *config, uint32_t consumer,
                 engine_consumer_done *done, void *owner)
{
    struct create_request *request = mem_alloc_zero(sizeof(*request));
    request->engine = engine;
    request->stream = stream;
    request->consumer = consumer;
    request->config = *config;
    request->text = mem_alloc(config->name.len + config->data.len);
    if (config->name.len)
        memcpy(request->text, config->name.ptr, config->name.len);
    if (config->data.len)
        memcpy(request->text + config->name.len, config->data.ptr, config->data.len);
    request->config.name.ptr = request->text;
    request->config.data.ptr = request->text + config->name.len;
    request->done = done;
    request->owner = owner;
    request->read =
        (struct engine_read){.stream = stream->id, .sequence = stream->state.first_sequence, .done = seek_done};
    list_push_back(&engine->requests, &request->link);
    int result = engine->options.host.seek(engine->options.host.owner, &request->read, config->start_time_ns);
    if (result == ERR_AGAIN)
        return;
    request->read.result = result;
    seek_done(&request->read);
}

static void seek_done(struct engine_read *read)
{
    struct create_request *request = container_of(read, struct create_request, read);
    struct engine *engine = request->engine;
    struct stream *stream = request->stream;
    struct consumer *consumer = request->consumer ? map_u64_find(&engine->consumers, request->consumer) : NULL;
    uint64_t sequence = clamp(stream, read->result ? stream->state.last_sequence + 1 : read->sequence);
    int error = consumer            ? check_seek(consumer)
                : request->consumer ? ERR_NOT_FOUND
                                    : check(engine, stream, &request->config);
    if (read->result && read->result != ERR_NOT_FOUND)
        error = read->result;
    list_remove(&request->link);
    if (error)
        request->done(request->owner, error, NULL, 0);
    else if (consumer)
        move(consumer, sequence, request->done, request->owner);
    else
        propose(engine, stream, &request->config, sequence, request->done, request->owner);
    request_free(request, false);
}

static void request_free(struct create_request *request, bool cancel)
{
    if (cancel)
        request->engine->options.host.read_cancel(request->engine->options.host.owner, &request->read);
    list_remove(&request->link);
    mem_free(request->text);
    mem_free(request);
}
