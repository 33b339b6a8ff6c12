// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine
// Members: the targets of a consumer. A member's state says what may be sent; what it has stays with it until it is finished, its
// ack wait or its grace is over, or it is removed.
//
//              set_state                   set_state, or refused a delivery
//     GONE ◄────────────────► READY ◄──────────────────────────────► CONGESTED
//      │ grace over: its messages are released; it may come back
#include "stream/engine_internal.h"

enum { REMOVE_SIZE = 5, REMOVE_WITH_CONSUMER = 1 };

static void state_fire(struct wheel_timer *timer, uint64_t now_ms);
static void grace_begin(struct member *member);
static void grace_set(struct member *member);
static void list_in_order(struct consumer *consumer, struct member *member);
static void replace_only(struct consumer *consumer);
static struct member *append_add(struct consumer *consumer, const struct member_config *config, uint64_t *ret_index);
static uint64_t append_remove(struct member *member, bool with_consumer);

int engine_member_add(struct engine *engine, struct consumer *consumer, const struct member_config *config,
                      struct engine_time now, struct member **ret_member, uint64_t *ret_index)
{
    engine_time_set(engine, now);
    const struct stream *stream = consumer->stream;
    if (consumer->deleting || stream->deleting)
        return ERR_NOT_FOUND;
    if (!member_config_is_valid(config))
        return ERR_INVALID;
    if (!consumer->config.group && consumer->member_count > 0)
        return ERR_EXISTS;
    if (stream->config.max_consumers && stream->member_count >= stream->config.max_consumers)
        return ERR_LIMIT;
    if (engine->next_member > ENGINE_ID_MAX ||
        (engine->options.max_members && map_u64_count(&engine->members) >= engine->options.max_members))
        return ERR_LIMIT;
    int error = engine_admit(engine, codec_size_member(config), true);
    if (!error)
        *ret_member = append_add(consumer, config, ret_index);
    return error;
}

int engine_member_remove(struct engine *engine, struct member *member, bool delete_durable, struct engine_time now,
                         uint64_t *ret_index)
{
    engine_time_set(engine, now);
    struct consumer *consumer = member->consumer;
    if (member->removing || consumer->deleting || consumer->stream->deleting)
        return ERR_NOT_FOUND;
    int error = engine_admit(engine, REMOVE_SIZE, true);
    if (error)
        return error;
    bool with_consumer = consumer->member_count == 1 && (delete_durable || !consumer->config.durable);
    *ret_index = append_remove(member, with_consumer);
    return 0;
}

int engine_member_replace(struct engine *engine, struct member *member, const struct member_config *config,
                          struct engine_time now, struct member **ret_member, uint64_t *ret_index)
{
    engine_time_set(engine, now);
    struct consumer *consumer = member->consumer;
    const struct engine_host *host = &engine->options.host;
    size_t add_size = codec_size_member(config);
    if (member->removing || consumer->deleting || consumer->stream->deleting)
        return ERR_NOT_FOUND;
    if (!member_config_is_valid(config))
        return ERR_INVALID;
    int error = engine_admit(engine, REMOVE_SIZE + RECORD_HEADER_SIZE + RECORD_ALIGN + add_size, true);
    if (error)
        return error;
    host->together(host->owner,
                   record_padded(RECORD_HEADER_SIZE + REMOVE_SIZE) + record_padded(RECORD_HEADER_SIZE + add_size));
    append_remove(member, false);
    *ret_member = append_add(consumer, config, ret_index);
    return 0;
}

void engine_member_set_state(struct engine *engine, struct member *member, enum member_state state,
                             struct engine_time now)
{
    engine_time_set(engine, now);
    if (member->state == state && !member->refused)
        return;
    wheel_cancel(&engine->wheel, &member->state_timer);
    member->refused = false;
    member->state = state;
    if (state != MEMBER_READY)
        delivery_member_lost(member);
    member_choice_update(member);
    if (state == MEMBER_GONE) {
        grace_begin(member);
        return;
    }
    if (member->recovered)
        redelivery_restart_deadlines(member);
    member->recovered = false;
    consumer_wake(member->consumer);
}

void engine_member_set_suspect(struct engine *engine, struct member *member, bool suspect)
{
    (void)engine;
    member->suspect = suspect;
    member_choice_update(member);
    consumer_wake(member->consumer);
}

bool member_is_suspect(const struct member *member)
{
    return member->suspect;
}

struct member *engine_member_by_id(struct engine *engine, uint32_t id)
{
    struct member *member = map_u64_find(&engine->members, id);
    return member && !member->removing ? member : NULL;
}

void member_ahead(const struct member *member)
{
    prefetch_lines(member, offsetof(struct member, ack_timer.fire));
}

uint32_t member_id(const struct member *member)
{
    return member->id;
}

struct consumer *member_consumer(const struct member *member)
{
    return member->consumer;
}

const struct member_config *member_config_get(const struct member *member)
{
    return &member->config;
}

uint32_t member_in_flight(const struct member *member)
{
    return member->in_flight;
}

void member_set_context(struct member *member, void *context)
{
    member->context = context;
}

void *member_context(const struct member *member)
{
    return member->context;
}

struct member *member_new(struct consumer *consumer, uint32_t id, const struct member_config *config)
{
    struct engine *engine = consumer->stream->engine;
    struct member *member = mem_alloc_aligned(PREFETCH_LINE_BYTES, sizeof(*member));
    memset(member, 0, sizeof(*member));
    member->consumer = consumer;
    member->id = id;
    member->config = *config;
    member->config.data.ptr = mem_copy(config->data);
    list_init(&member->out);
    member->ack_timer.fire = redelivery_ack_timer_fire;
    member->state_timer.fire = state_fire;
    must(map_u64_add(&engine->members, id, member) == 0);
    list_in_order(consumer, member);
    consumer->member_count++;
    consumer->stream->member_count++;
    if (engine->next_member <= id)
        engine->next_member = id + 1;
    return member;
}

void member_free(struct member *member)
{
    struct consumer *consumer = member->consumer;
    struct engine *engine = consumer->stream->engine;
    must(list_empty(&member->out));
    delivery_member_lost(member);
    choice_place(&member->entry, NULL, 0, &engine->buckets);
    if (!member->removing) {
        consumer->member_count--;
        consumer->stream->member_count--;
    }
    wheel_cancel(&engine->wheel, &member->ack_timer);
    wheel_cancel(&engine->wheel, &member->state_timer);
    must(map_u64_remove(&engine->members, member->id) == member);
    list_remove(&member->link);
    mem_free((void *)member->config.data.ptr);
    mem_free(member);
}

void member_tell_removed(struct member *member)
{
    struct engine *engine = member->consumer->stream->engine;
    const struct engine_adapter *adapter = engine_adapter_of(engine, member->consumer);
    if (engine->live && member->committed && adapter->member_removed)
        adapter->member_removed(adapter->owner, member);
}

void member_choice_update(struct member *member)
{
    struct consumer *consumer = member->consumer;
    struct choice *choice = NULL;
    uint64_t load = (uint64_t)member->in_flight + member->reserved;
    if (member->state == MEMBER_READY && member->committed && !member->removing) {
        bool stalled = load >= member->config.max_in_flight;
        choice = &consumer->choices[stalled ? (member->suspect ? CHOICE_SUSPECT_STALLED : CHOICE_STALLED)
                                            : (member->suspect ? CHOICE_SUSPECT_FREE : CHOICE_FREE)];
    }
    choice_place(&member->entry, choice, load, &consumer->stream->engine->buckets);
}

void member_recovered(struct member *member)
{
    const struct engine_adapter *adapter = engine_adapter_of(member->consumer->stream->engine, member->consumer);
    member->recovered = true;
    grace_begin(member);
    if (adapter->member_added)
        adapter->member_added(adapter->owner, member, true);
}

void member_refused(struct member *member)
{
    struct engine *engine = member->consumer->stream->engine;
    if (member->state != MEMBER_READY)
        return;
    member->state = MEMBER_CONGESTED;
    member->refused = true;
    delivery_member_lost(member);
    member_choice_update(member);
    wheel_set(&engine->wheel, &member->state_timer, engine_now_ms(engine) + ENGINE_REFUSED_MS);
}

void member_grace_changed(struct member *member)
{
    if (member->state == MEMBER_GONE && wheel_is_set(&member->state_timer))
        grace_set(member);
}

int member_apply_add(struct engine *engine, const struct record *record, uint64_t index)
{
    struct member_config config;
    struct consumer *consumer;
    uint32_t id;
    if (codec_get_member(record->body, &id, &config))
        return ERR_CORRUPT;
    int error = consumer_of_record(engine, record->object, index, &consumer);
    if (error || !consumer) {
        if (!error && engine->next_member <= id)
            engine->next_member = id + 1;
        return error;
    }
    struct member *member = map_u64_find(&engine->members, id);
    if (member && (member->committed || member->consumer != consumer))
        return ERR_CORRUPT;
    if (!member && !engine->live && !consumer->config.group && consumer->member_count > 0)
        replace_only(consumer);
    if (!member)
        member = member_new(consumer, id, &config);
    member->committed = true;
    consumer_dirty(consumer);
    engine_tail_commit(engine, TAIL_MEMBER_ADD, member);
    member_choice_update(member);
    consumer_wake(consumer);
    const struct engine_adapter *adapter = engine_adapter_of(engine, consumer);
    if (engine->live && adapter->member_added)
        adapter->member_added(adapter->owner, member, false);
    return 0;
}

int member_apply_remove(struct engine *engine, const struct record *record, uint64_t index)
{
    struct consumer *consumer;
    if (record->body.len != REMOVE_SIZE)
        return ERR_CORRUPT;
    int error = consumer_of_record(engine, record->object, index, &consumer);
    if (error || !consumer)
        return error;
    struct member *member = member_in(consumer, get_u32(record->body.ptr));
    if (!member && engine->live)
        return ERR_CORRUPT;
    engine_tail_commit(engine, TAIL_MEMBER_REMOVE, member);
    if (record->body.ptr[4] & REMOVE_WITH_CONSUMER) {
        image_gone_consumer(consumer);
        consumer_free(consumer);
        return 0;
    }
    if (member) {
        redelivery_release(member);
        member_tell_removed(member);
        member_free(member);
    }
    consumer_dirty(consumer);
    return 0;
}

struct member *member_in(const struct consumer *consumer, uint32_t id)
{
    struct member *member = map_u64_find(&consumer->stream->engine->members, id);
    return member && member->consumer == consumer ? member : NULL;
}

bool member_config_is_valid(const struct member_config *config)
{
    return config->max_in_flight > 0 && config->ack_wait_ns >= 1000000 && config->data.len <= ENGINE_DATA_MAX;
}

// The caller was admitted.
static struct member *append_add(struct consumer *consumer, const struct member_config *config, uint64_t *ret_index)
{
    struct engine *engine = consumer->stream->engine;
    buffer_clear(&engine->scratch);
    must(codec_put_member(&engine->scratch, engine->next_member, config) == 0);
    struct member *member = member_new(consumer, engine->next_member, config);
    *ret_index = engine_append(engine, RECORD_MEMBER_ADD, consumer->id, buffer_bytes(&engine->scratch));
    engine_tail_push(engine, TAIL_MEMBER_ADD, member, *ret_index, false);
    return member;
}

// The caller was admitted.
static uint64_t append_remove(struct member *member, bool with_consumer)
{
    struct consumer *consumer = member->consumer;
    struct engine *engine = consumer->stream->engine;
    char body[REMOVE_SIZE];
    put_u32(body, member->id);
    body[4] = with_consumer ? REMOVE_WITH_CONSUMER : 0;
    uint64_t index = engine_append(engine, RECORD_MEMBER_REMOVE, consumer->id, bytes_make(body, REMOVE_SIZE));
    engine_tail_push(engine, TAIL_MEMBER_REMOVE, member, index, with_consumer);
    member->removing = true;
    consumer->member_count--;
    consumer->stream->member_count--;
    member_choice_update(member);
    delivery_member_lost(member);
    if (with_consumer) {
        consumer->deleting = true;
        consumer_name_remove(consumer);
    }
    return index;
}

// The grace of one that is gone is over, or one that refused is tried again.
static void state_fire(struct wheel_timer *timer, uint64_t now_ms)
{
    struct member *member = container_of(timer, struct member, state_timer);
    (void)now_ms;
    if (member->refused) {
        member->refused = false;
        member->state = MEMBER_READY;
        member_choice_update(member);
        consumer_wake(member->consumer);
        return;
    }
    member->recovered = false;
    redelivery_release(member);
}

static void grace_begin(struct member *member)
{
    member->gone_ms = engine_now_ms(member->consumer->stream->engine);
    grace_set(member);
}

static void grace_set(struct member *member)
{
    struct engine *engine = member->consumer->stream->engine;
    uint64_t grace_ns = member->consumer->stream->config.disconnect_grace_ns;
    if (grace_ns == 0) {
        wheel_cancel(&engine->wheel, &member->state_timer);
        redelivery_release(member);
    } else {
        wheel_set(&engine->wheel, &member->state_timer, member->gone_ms + grace_ns / 1000000 + 1);
    }
}

static void list_in_order(struct consumer *consumer, struct member *member)
{
    struct list *after = consumer->members.prev;
    while (after != &consumer->members && container_of(after, struct member, link)->id > member->id)
        after = after->prev;
    list_push_front(after, &member->link);
}

// Recovery: the end of a consumer's only member was lost with a damaged entry; a newer one takes its place.
static void replace_only(struct consumer *consumer)
{
    struct member *member = container_of(list_first(&consumer->members), struct member, link);
    consumer->stream->engine->stats.replaced++;
    redelivery_release(member);
    member_free(member);
}
