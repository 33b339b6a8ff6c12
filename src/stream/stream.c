// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine
// Streams: created and deleted by record, found by account and name or by id. Messages are in stream_publish.c, limits in
// stream_limits.c.
#include <stdio.h>

#include "stream/engine_internal.h"

enum { KEY_MAX = 4 + ENGINE_NAME_MAX };

static struct bytes key_put(char *to, uint32_t account, struct bytes name);
static int config_check(const struct stream_config *config);
static void list_in_order(struct engine *engine, struct stream *stream);
static void remove_committed(struct stream *stream);
static struct stream *stand_in(struct engine *engine, uint32_t id);
static void grace_changed(struct stream *stream);
static struct stream_mark *mark_new(struct stream *stream);
static void mark_free(struct stream *stream, struct stream_mark *mark);

struct stream *engine_stream_find(struct engine *engine, uint32_t account, struct bytes name)
{
    char key[KEY_MAX];
    return name.len <= ENGINE_NAME_MAX ? map_find(&engine->stream_names, key_put(key, account, name)) : NULL;
}

void engine_stream_find_many(struct engine *engine, uint32_t account, const struct bytes *names, size_t count,
                             struct stream **ret_streams)
{
    char keys[ENGINE_FIND_MAX * KEY_MAX], *at = keys;
    struct bytes places[ENGINE_FIND_MAX];
    void *found[ENGINE_FIND_MAX];
    must(count <= ENGINE_FIND_MAX);
    for (size_t i = 0; i < count; i++) {
        places[i] = names[i].len <= ENGINE_NAME_MAX ? key_put(at, account, names[i]) : BYTES(""); // nobody's
        at += places[i].len;
    }
    map_find_many(&engine->stream_names, places, count, found);
    for (size_t i = 0; i < count; i++)
        ret_streams[i] = found[i];
}

void engine_streams_ahead(const struct engine *engine, const uint32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        map_u64_prefetch(&engine->streams, ids[i]);
    for (size_t i = 0; i < count; i++) {
        const struct stream *stream = map_u64_find(&engine->streams, ids[i]);
        if (stream)
            stream_ahead(stream);
    }
}

struct stream *engine_stream_by_id(struct engine *engine, uint32_t id)
{
    struct stream *stream = map_u64_find(&engine->streams, id);
    return stream && !stream->deleting ? stream : NULL;
}

int engine_stream_create(struct engine *engine, const struct stream_config *config, struct engine_time now,
                         struct stream **ret_stream, uint64_t *ret_index)
{
    engine_time_set(engine, now);
    int error = config_check(config);
    if (error)
        return error;
    if (engine_stream_find(engine, config->account, config->name))
        return ERR_EXISTS;
    if (engine->next_stream > ENGINE_ID_MAX ||
        (engine->options.max_streams && map_count(&engine->stream_names) >= engine->options.max_streams))
        return ERR_LIMIT;
    buffer_clear(&engine->scratch);
    must(codec_put_stream(&engine->scratch, config) == 0);
    error = engine_admit(engine, engine->scratch.len, false);
    if (error)
        return error;
    struct stream *stream = stream_new(engine, engine->next_stream++, config);
    uint16_t kind = codec_stream_has_more(config) ? RECORD_STREAM_CREATE_MORE : RECORD_STREAM_CREATE;
    *ret_index = engine_append(engine, kind, stream->id, buffer_bytes(&engine->scratch));
    engine_tail_push(engine, TAIL_STREAM_CREATE, stream, *ret_index, false);
    *ret_stream = stream;
    return 0;
}

int engine_stream_update(struct engine *engine, struct stream *stream, const struct stream_config *config,
                         struct engine_time now, uint64_t *ret_index)
{
    engine_time_set(engine, now);
    int error = config_check(config);
    if (error || stream->deleting)
        return error ? error : ERR_NOT_FOUND;
    if (config->account != stream->config.account || !bytes_equal(config->name, stream->config.name))
        return ERR_INVALID;
    buffer_clear(&engine->scratch);
    must(codec_put_stream(&engine->scratch, config) == 0);
    error = engine_admit(engine, engine->scratch.len, true); // a lower limit is how a full disk gets space
    if (error)
        return error;
    uint16_t kind = codec_stream_has_more(config) ? RECORD_STREAM_UPDATE_MORE : RECORD_STREAM_UPDATE;
    *ret_index = engine_append(engine, kind, stream->id, buffer_bytes(&engine->scratch));
    engine_tail_push(engine, TAIL_STREAM_UPDATE, stream, *ret_index, false);
    stream->updates++;
    return 0;
}

int engine_stream_delete(struct engine *engine, struct stream *stream, struct engine_time now, uint64_t *ret_index)
{
    engine_time_set(engine, now);
    if (stream->deleting)
        return ERR_NOT_FOUND;
    int error = engine_admit(engine, 0, true);
    if (error)
        return error;
    *ret_index = engine_append(engine, RECORD_STREAM_DELETE, stream->id, bytes_make(NULL, 0));
    stream->deleting = true;
    stream_name_remove(stream);
    engine_tail_push(engine, TAIL_STREAM_DELETE, stream, *ret_index, false);
    return 0;
}

bool stream_config_equal(const struct stream_config *a, const struct stream_config *b)
{
    return a->account == b->account && bytes_equal(a->name, b->name) && a->max_msgs == b->max_msgs &&
           a->max_bytes == b->max_bytes && a->max_age_ns == b->max_age_ns &&
           a->duplicate_window_ns == b->duplicate_window_ns && a->disconnect_grace_ns == b->disconnect_grace_ns &&
           a->max_consumers == b->max_consumers && a->discard_new == b->discard_new &&
           a->max_deliver == b->max_deliver && a->backoff_count == b->backoff_count &&
           memcmp(a->backoff_ns, b->backoff_ns, a->backoff_count * sizeof(a->backoff_ns[0])) == 0 &&
           bytes_equal(a->dead_letter, b->dead_letter);
}

void stream_state_get(const struct stream *stream, struct stream_state *ret_state)
{
    *ret_state = (struct stream_state){
        .id = stream->id,
        .config = stream->config,
        .messages = stream->state.messages,
        .bytes = stream->state.bytes,
        .first_sequence = stream->state.first_sequence,
        .last_sequence = stream->state.last_sequence,
        .last_proposed = stream->tail.last_sequence,
        .last_time_ns = stream->state.last_time_ns,
        .consumers = stream->consumer_count,
        .members = stream->member_count,
        .paused = stream->pause.on,
        .paused_until_ns = stream->pause.until_ms * 1000000,
        .edited = stream->edited,
        .inactivity_ns = stream->inactivity_ns,
    };
}

uint32_t stream_id(const struct stream *stream)
{
    return stream->id;
}

struct bytes stream_name(const struct stream *stream)
{
    return stream->config.name;
}

struct stream *engine_stream_next(struct engine *engine, struct stream *after)
{
    struct list *link = after ? after->link.next : engine->stream_list.next;
    while (link != &engine->stream_list && container_of(link, struct stream, link)->deleting)
        link = link->next;
    return link != &engine->stream_list ? container_of(link, struct stream, link) : NULL;
}

struct consumer *stream_consumer_next(struct stream *stream, struct consumer *after)
{
    struct list *link = after ? after->link.next : stream->consumers.next;
    while (link != &stream->consumers && container_of(link, struct consumer, link)->deleting)
        link = link->next;
    return link != &stream->consumers ? container_of(link, struct consumer, link) : NULL;
}

struct stream *stream_new(struct engine *engine, uint32_t id, const struct stream_config *config)
{
    struct stream *stream = mem_alloc_zero(sizeof(*stream));
    stream->engine = engine;
    stream->id = id;
    stream->key = mem_alloc(4 + config->name.len);
    key_put(stream->key, config->account, config->name);
    stream->config.name = bytes_make(stream->key + 4, config->name.len);
    stream_config_set(stream, config);
    stream->state.first_sequence = stream->tail.first_sequence = 1;
    list_init(&stream->marks);
    map_init(&stream->consumer_names, SIZE_MAX);
    list_init(&stream->consumers);
    list_init(&stream->dirty_link);
    list_init(&stream->active_link);
    list_init(&stream->limits_link);
    must(map_u64_add(&engine->streams, id, stream) == 0);
    stream_name_add(stream);
    list_in_order(engine, stream);
    if (engine->next_stream <= id)
        engine->next_stream = id + 1;
    return stream;
}

void stream_free(struct stream *stream)
{
    struct engine *engine = stream->engine;
    consumer_start_cancel_stream(stream, ERR_NOT_FOUND);
    for (struct list *link = list_first(&stream->consumers); link; link = list_first(&stream->consumers))
        consumer_free(container_of(link, struct consumer, link));
    if (!stream->deleting)
        stream_name_remove(stream);
    must(map_u64_remove(&engine->streams, stream->id) == stream);
    engine->stats.messages -= stream->state.messages;
    engine->stats.bytes -= stream->state.bytes;
    for (struct list *link = list_first(&stream->marks); link; link = list_first(&stream->marks))
        mark_free(stream, container_of(link, struct stream_mark, link));
    map_deinit(&stream->consumer_names);
    stream_limits_purge_end(stream, ERR_NOT_FOUND);
    wheel_cancel(&engine->wheel, &stream->age_timer);
    wheel_cancel(&engine->wheel, &stream->pause.timer);
    list_remove(&stream->link);
    list_remove(&stream->dirty_link);
    list_remove(&stream->active_link);
    list_remove(&stream->limits_link);
    mem_free((void *)stream->config.dead_letter.ptr);
    mem_free(stream->key);
    mem_free(stream);
}

void stream_config_set(struct stream *stream, const struct stream_config *config)
{
    struct bytes name = stream->config.name;
    char *dead_letter = config->dead_letter.len ? mem_copy(config->dead_letter) : NULL;
    mem_free((void *)stream->config.dead_letter.ptr);
    stream->config = *config;
    stream->config.name = name;
    stream->config.dead_letter = bytes_make(dead_letter, config->dead_letter.len);
}

void stream_name_add(struct stream *stream)
{
    must(map_add(&stream->engine->stream_names, bytes_make(stream->key, 4 + stream->config.name.len), stream) == 0);
    tally_stream_named(stream);
}

void stream_name_remove(struct stream *stream)
{
    struct bytes key = bytes_make(stream->key, 4 + stream->config.name.len);
    must(map_remove(&stream->engine->stream_names, key) == stream);
    tally_stream_unnamed(stream);
}

void stream_mark(struct stream *stream, uint64_t index)
{
    struct list *link = list_last(&stream->marks);
    struct stream_mark *mark = link ? container_of(link, struct stream_mark, link) : NULL;
    if (!mark || mark->index != index) {
        mark = mark_new(stream);
        mark->index = index;
        list_push_back(&stream->marks, &mark->link);
    }
    mark->totals = stream->tail;
}

void stream_drop_marks(struct stream *stream, uint64_t last_good)
{
    struct list *link = list_last(&stream->marks);
    for (; link && container_of(link, struct stream_mark, link)->index > last_good; link = list_last(&stream->marks)) {
        mark_free(stream, container_of(link, struct stream_mark, link));
    }
    stream->tail = link ? container_of(link, struct stream_mark, link)->totals : stream->state;
}

void stream_commit_marks(struct stream *stream, uint64_t index)
{
    for (struct list *link = list_first(&stream->marks); link; link = list_first(&stream->marks)) {
        struct stream_mark *mark = container_of(link, struct stream_mark, link);
        if (mark->index >= index)
            break;
        mark_free(stream, mark);
    }
}

void stream_ahead(const struct stream *stream)
{
    prefetch_lines(stream, offsetof(struct stream, config.disconnect_grace_ns));
}

void stream_dirty(struct stream *stream)
{
    if (list_is_linked(&stream->dirty_link))
        return;
    stream->dirty_epoch = stream->engine->epoch;
    list_push_back(&stream->engine->dirty_streams, &stream->dirty_link);
}

void stream_activate(struct stream *stream)
{
    if (!list_is_linked(&stream->active_link))
        list_push_back(&stream->engine->active, &stream->active_link);
}

int stream_apply_create(struct engine *engine, const struct record *record, uint64_t index)
{
    struct stream_config config;
    if (codec_get_stream(record->body, record->kind == RECORD_STREAM_CREATE_MORE, &config) || record->object == 0 ||
        record->object > ENGINE_ID_MAX)
        return ERR_CORRUPT;
    struct stream *stream = map_u64_find(&engine->streams, record->object);
    if (stream && (stream->committed || !engine->live))
        return index <= stream->image_index ? 0 : ERR_CORRUPT;
    struct stream *older = stream ? NULL : engine_stream_find(engine, config.account, config.name);
    if (older && (engine->live || older->id > record->object))
        return ERR_CORRUPT;
    if (older) {
        engine->stats.replaced++; // its end was lost with a damaged entry
        remove_committed(older);
    }
    if (!stream)
        stream = stream_new(engine, record->object, &config);
    stream->committed = true;
    stream_dirty(stream);
    engine_tail_commit(engine, TAIL_STREAM_CREATE, stream);
    return 0;
}

int stream_apply_update(struct engine *engine, const struct record *record, uint64_t index)
{
    struct stream_config config;
    struct stream *stream;
    int error = stream_of_record(engine, record->object, index, &stream);
    if (error || !stream)
        return error;
    if (codec_get_stream(record->body, record->kind == RECORD_STREAM_UPDATE_MORE, &config))
        return ERR_CORRUPT;
    if (!bytes_equal(config.name, stream->config.name))
        return engine->live ? ERR_CORRUPT : 0; // a stand-in keeps its name and has no limits
    bool same_grace = config.disconnect_grace_ns == stream->config.disconnect_grace_ns;
    stream_config_set(stream, &config);
    stream_dirty(stream);
    if (engine_tail_commit(engine, TAIL_STREAM_UPDATE, stream))
        stream->updates--;
    stream_limits_floor_moved(stream);
    stream_limits_look(stream);
    if (!same_grace)
        grace_changed(stream);
    return 0;
}

int stream_apply_delete(struct engine *engine, const struct record *record, uint64_t index)
{
    struct stream *stream;
    int error = stream_of_record(engine, record->object, index, &stream);
    if (error || !stream)
        return error;
    engine_tail_commit(engine, TAIL_STREAM_DELETE, stream);
    remove_committed(stream);
    return 0;
}

int stream_of_record(struct engine *engine, uint32_t id, uint64_t index, struct stream **ret_stream)
{
    struct stream *stream = map_u64_find(&engine->streams, id);
    if (id == 0 || id > ENGINE_ID_MAX)
        return ERR_CORRUPT;
    if (!stream && !engine->live && id >= engine->restored_streams)
        stream = stand_in(engine, id);
    if (!stream && id >= engine->next_stream)
        return ERR_CORRUPT;
    *ret_stream = stream && index > stream->image_index ? stream : NULL;
    return 0;
}

static struct bytes key_put(char *to, uint32_t account, struct bytes name)
{
    put_u32(to, account);
    if (name.len)
        memcpy(to + 4, name.ptr, name.len);
    return bytes_make(to, 4 + name.len);
}

static int config_check(const struct stream_config *config)
{
    bool good = config->name.len > 0 && config->name.len <= ENGINE_NAME_MAX &&
                config->duplicate_window_ns / 1000000 <= DEDUPE_WINDOW_MAX_MS &&
                config->backoff_count <= STREAM_BACKOFF_MAX && config->dead_letter.len <= ENGINE_NAME_MAX;
    return good ? 0 : ERR_INVALID;
}

// Ids grow, but images may come in another order.
static void list_in_order(struct engine *engine, struct stream *stream)
{
    struct list *after = engine->stream_list.prev;
    while (after != &engine->stream_list && container_of(after, struct stream, link)->id > stream->id)
        after = after->prev;
    list_push_front(after, &stream->link);
}

static void remove_committed(struct stream *stream)
{
    const struct engine_host *host = &stream->engine->options.host;
    uint32_t id = stream->id;
    image_gone_stream(stream);
    stream_free(stream);
    host->trimmed(host->owner, id, UINT64_MAX);
}

// Recovery: the stream's creation was lost with a damaged entry. What it holds is kept and serves under a name that says so.
static struct stream *stand_in(struct engine *engine, uint32_t id)
{
    char name[40];
    int len = snprintf(name, sizeof(name), "weir.lost.stream.%u", id);
    struct stream_config config = {.account = 1, .name = bytes_make(name, (size_t)len)};
    if (engine_stream_find(engine, config.account, config.name))
        return NULL;
    struct stream *stream = stream_new(engine, id, &config);
    stream->committed = true;
    engine->stats.nameless++;
    stream_dirty(stream);
    return stream;
}

static void grace_changed(struct stream *stream)
{
    list_foreach(consumer_link, &stream->consumers)
    {
        list_foreach(link, &container_of(consumer_link, struct consumer, link)->members)
            member_grace_changed(container_of(link, struct member, link));
    }
}

// One that is in its stream comes with the lines of memory that a message touches anyway.
static struct stream_mark *mark_new(struct stream *stream)
{
    for (size_t i = 0; i < sizeof(stream->own_marks) / sizeof(stream->own_marks[0]); i++) {
        if (!list_is_linked(&stream->own_marks[i].link))
            return &stream->own_marks[i];
    }
    struct stream_mark *mark = pool_get(&stream->engine->marks);
    must(mark);
    return mark;
}

static void mark_free(struct stream *stream, struct stream_mark *mark)
{
    list_remove(&mark->link);
    size_t own = sizeof(stream->own_marks) / sizeof(stream->own_marks[0]);
    if (mark < stream->own_marks || mark >= stream->own_marks + own)
        pool_put(&stream->engine->marks, mark);
}
