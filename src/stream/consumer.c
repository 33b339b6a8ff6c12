// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine
// Consumers: a position in a stream and the set of messages that are delivered and not finished. Where one begins is decided in
// consumer_start.c.
#include "stream/engine_internal.h"

static void remove_committed(struct consumer *consumer);
static void list_in_order(struct stream *stream, struct consumer *consumer);

struct consumer *engine_consumer_find(struct engine *engine, struct stream *stream, struct bytes name)
{
    (void)engine;
    return map_find(&stream->consumer_names, name);
}

int engine_consumer_delete(struct engine *engine, struct consumer *consumer, struct engine_time now,
                           uint64_t *ret_index)
{
    engine_time_set(engine, now);
    if (consumer->deleting || consumer->stream->deleting)
        return ERR_NOT_FOUND;
    int error = engine_admit(engine, 0, true);
    if (error)
        return error;
    *ret_index = engine_append(engine, RECORD_CONSUMER_DELETE, consumer->id, bytes_make(NULL, 0));
    consumer->deleting = true;
    consumer_name_remove(consumer);
    engine_tail_push(engine, TAIL_CONSUMER_DELETE, consumer, *ret_index, false);
    return 0;
}

struct stream *consumer_stream(const struct consumer *consumer)
{
    return consumer->stream;
}

struct member *consumer_member_next(struct consumer *consumer, struct member *after)
{
    struct list *link = after ? after->link.next : consumer->members.next;
    while (link != &consumer->members && container_of(link, struct member, link)->removing)
        link = link->next;
    return link != &consumer->members ? container_of(link, struct member, link) : NULL;
}

uint32_t consumer_id(const struct consumer *consumer)
{
    return consumer->id;
}

struct consumer *consumer_new(struct stream *stream, uint32_t id, const struct consumer_config *config,
                              uint64_t next_sequence)
{
    struct engine *engine = stream->engine;
    struct consumer *consumer = mem_alloc_zero(sizeof(*consumer));
    consumer->stream = stream;
    consumer->id = id;
    consumer->config = *config;
    consumer->text = mem_alloc(config->name.len + config->data.len);
    memcpy(consumer->text, config->name.ptr, config->name.len);
    if (config->data.len)
        memcpy(consumer->text + config->name.len, config->data.ptr, config->data.len);
    consumer->config.name.ptr = consumer->text;
    consumer->config.data.ptr = consumer->text + config->name.len;
    consumer->config.start_sequence = next_sequence;
    consumer->next_sequence = consumer->pick_sequence = next_sequence;
    consumer->ack_floor = next_sequence - 1;
    seqset_init(&consumer->acked);
    map_u64_init(&consumer->pending, SIZE_MAX);
    heap_init(&consumer->redelivery, SIZE_MAX);
    heap_init(&consumer->delayed, SIZE_MAX);
    consumer->delayed_timer.fire = redelivery_delayed_timer_fire;
    struct list *lists[] = {&consumer->members,    &consumer->fetches,      &consumer->acks,
                            &consumer->dirty_link, &consumer->crowded_link, &consumer->journal_link};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        list_init(lists[i]);
    for (size_t i = 0; i < CHOICE_KINDS; i++)
        choice_init(&consumer->choices[i]);
    must(map_u64_add(&engine->consumers, id, consumer) == 0);
    consumer_name_add(consumer);
    list_in_order(stream, consumer);
    stream->consumer_count++;
    if (engine->next_consumer <= id)
        engine->next_consumer = id + 1;
    consumer_guess_sizes(consumer);
    stream_limits_floor_moved(stream);
    return consumer;
}

void consumer_free(struct consumer *consumer)
{
    struct stream *stream = consumer->stream;
    struct engine *engine = stream->engine;
    delivery_cancel(consumer);
    list_foreach(link, &consumer->members) member_tell_removed(container_of(link, struct member, link));
    pending_clear(consumer);
    death_free(consumer);
    dead_free(consumer);
    for (struct list *link = list_first(&consumer->members); link; link = list_first(&consumer->members))
        member_free(container_of(link, struct member, link));
    if (consumer->deleting)
        tally_consumer_unnamed(consumer); // what came behind
    else
        consumer_name_remove(consumer);
    must(map_u64_remove(&engine->consumers, consumer->id) == consumer);
    stream->consumer_count--;
    wheel_cancel(&engine->wheel, &consumer->delayed_timer);
    wheel_cancel(&engine->wheel, &consumer->pause.timer);
    list_remove(&consumer->link);
    list_remove(&consumer->dirty_link);
    if (consumer->work_place)
        roster_remove(&engine->work, consumer->work_place);
    list_remove(&consumer->crowded_link);
    list_remove(&consumer->journal_link);
    seqset_deinit(&consumer->acked);
    map_u64_deinit(&consumer->pending);
    heap_deinit(&consumer->redelivery);
    heap_deinit(&consumer->delayed);
    mem_free(consumer->runs);
    mem_free(consumer->passage);
    mem_free(consumer->text);
    mem_free(consumer);
    stream_limits_floor_moved(stream);
}

void consumer_name_add(struct consumer *consumer)
{
    must(map_add(&consumer->stream->consumer_names, consumer->config.name, consumer) == 0);
    tally_consumer_named(consumer);
}

void consumer_name_remove(struct consumer *consumer)
{
    must(map_remove(&consumer->stream->consumer_names, consumer->config.name) == consumer);
    tally_consumer_unnamed(consumer);
}

void consumer_dirty(struct consumer *consumer)
{
    if (!consumer->committed || list_is_linked(&consumer->dirty_link))
        return;
    consumer->dirty_epoch = consumer->stream->engine->epoch;
    list_push_back(&consumer->stream->engine->dirty_consumers, &consumer->dirty_link);
}

void consumer_wake(struct consumer *consumer)
{
    if (!consumer->work_place)
        consumer->work_place = roster_push(&consumer->stream->engine->work, consumer);
}

void consumer_ahead(const struct consumer *consumer)
{
    prefetch_lines(consumer, offsetof(struct consumer, pause) + 1);
}

int consumer_apply_create(struct engine *engine, const struct record *record, uint64_t index)
{
    struct consumer_config config;
    uint32_t stream_id;
    uint64_t next_sequence;
    if (codec_get_consumer(record->body, &stream_id, &config, &next_sequence) || record->object == 0 ||
        record->object > ENGINE_ID_MAX)
        return ERR_CORRUPT;
    struct consumer *consumer = map_u64_find(&engine->consumers, record->object);
    if (consumer && (consumer->committed || !engine->live))
        return index <= consumer->image_index ? 0 : ERR_CORRUPT;
    if (!consumer) {
        struct stream *stream;
        int error = stream_of_record(engine, stream_id, UINT64_MAX, &stream);
        if (!error && !stream && engine->next_consumer <= record->object)
            engine->next_consumer = record->object + 1;
        if (error || !stream)
            return error;
        struct consumer *older = engine_consumer_find(engine, stream, config.name);
        if (older && (engine->live || older->id > record->object))
            return ERR_CORRUPT;
        if (older) {
            engine->stats.replaced++; // its end was lost with a damaged entry
            remove_committed(older);
        }
        consumer = consumer_new(stream, record->object, &config, next_sequence);
    }
    consumer->committed = true;
    consumer_dirty(consumer);
    engine_tail_commit(engine, TAIL_CONSUMER_CREATE, consumer);
    return 0;
}

int consumer_apply_delete(struct engine *engine, const struct record *record, uint64_t index)
{
    struct consumer *consumer;
    int error = consumer_of_record(engine, record->object, index, &consumer);
    if (error || !consumer)
        return error;
    engine_tail_commit(engine, TAIL_CONSUMER_DELETE, consumer);
    remove_committed(consumer);
    return 0;
}

int consumer_of_record(struct engine *engine, uint32_t id, uint64_t index, struct consumer **ret_consumer)
{
    struct consumer *consumer = map_u64_find(&engine->consumers, id);
    if (!consumer && id >= engine->next_consumer) {
        if (engine->live || id > ENGINE_ID_MAX)
            return ERR_CORRUPT;
        engine->next_consumer = id + 1; // its creation was lost with a damaged entry; the rest serves
    }
    *ret_consumer = consumer && index > consumer->image_index ? consumer : NULL;
    return 0;
}

static void remove_committed(struct consumer *consumer)
{
    image_gone_consumer(consumer);
    consumer_free(consumer);
}

static void list_in_order(struct stream *stream, struct consumer *consumer)
{
    struct list *after = stream->consumers.prev;
    while (after != &stream->consumers && container_of(after, struct consumer, link)->id > consumer->id)
        after = after->prev;
    list_push_front(after, &consumer->link);
}
