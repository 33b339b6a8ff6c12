// SPDX-License-Identifier: Apache-2.0
// The engine's facade: its life, the dispatch of committed records, the turn and the numbers. What happens to streams, consumers,
// members and messages is in the files named after them.
#include "stream/engine_internal.h"

static void tell_recovered(struct engine *engine);
static void ids_to_monotonic(struct engine *engine);
static void check_consumer(const struct consumer *consumer);
static void check_members(const struct consumer *consumer);

struct engine *engine_new(const struct engine_options *options)
{
    struct engine *engine = mem_alloc_zero(sizeof(*engine));
    engine->options = *options;
    if (engine->options.turn_budget == 0)
        engine->options.turn_budget = 1024;
    if (engine->options.max_pending == 0)
        engine->options.max_pending = ENGINE_PENDING_MAX;
    if (engine->options.max_parked == 0)
        engine->options.max_parked = ENGINE_PARKED_MAX;
    engine->next_stream = engine->next_consumer = engine->next_member = engine->restored_streams = 1;
    map_init(&engine->stream_names, SIZE_MAX);
    map_u64_init(&engine->streams, SIZE_MAX);
    map_u64_init(&engine->consumers, SIZE_MAX);
    map_u64_init(&engine->members, SIZE_MAX);
    dedupe_init(&engine->dedupe, options->max_ids ? options->max_ids : UINT64_MAX);
    tally_book_init(&engine->tallies, TALLY_NAMES_MAX);
    wheel_init(&engine->wheel, 0);
    struct list *lists[] = {
        &engine->stream_list,     &engine->tail,    &engine->active,        &engine->limited,
        &engine->crowded,         &engine->journal, &engine->requests,      &engine->dirty_streams,
        &engine->dirty_consumers, &engine->gone,    &engine->image_streams, &engine->image_consumers,
        &engine->image_gone,
    };
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        list_init(lists[i]);
    pool_init(&engine->pendings, sizeof(struct pending), SIZE_MAX);
    pool_init(&engine->fetches, sizeof(struct fetch), SIZE_MAX);
    pool_init(&engine->marks, sizeof(struct stream_mark), SIZE_MAX);
    pool_init(&engine->ops, sizeof(struct tail_op), SIZE_MAX);
    pool_init(&engine->buckets, sizeof(struct choice_bucket), SIZE_MAX);
    buffer_init(&engine->scratch, SIZE_MAX / 2);
    roster_init(&engine->work);
    buffer_init(&engine->turn.body, SIZE_MAX / 2);
    return engine;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    engine->live = false;
    for (struct list *link = list_first(&engine->stream_list); link; link = list_first(&engine->stream_list))
        stream_free(container_of(link, struct stream, link));
    struct list *gone_lists[] = {&engine->gone, &engine->image_gone};
    for (int i = 0; i < 2; i++) {
        for (struct list *link = list_pop_front(gone_lists[i]); link; link = list_pop_front(gone_lists[i]))
            mem_free(container_of(link, struct gone, link));
    }
    dedupe_deinit(&engine->dedupe);
    tally_book_deinit(&engine->tallies);
    map_deinit(&engine->stream_names);
    map_u64_deinit(&engine->streams);
    map_u64_deinit(&engine->consumers);
    map_u64_deinit(&engine->members);
    struct pool *pools[] = {&engine->pendings, &engine->fetches, &engine->marks, &engine->ops, &engine->buckets};
    for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++)
        pool_deinit(pools[i]);
    buffer_deinit(&engine->scratch);
    roster_deinit(&engine->work);
    buffer_deinit(&engine->turn.body);
    mem_free(engine);
}

void engine_adapter_set(struct engine *engine, unsigned protocol, const struct engine_adapter *adapter)
{
    must(protocol > 0 && protocol < ENGINE_PROTOCOL_COUNT);
    engine->adapters[protocol] = *adapter;
}

int engine_apply(struct engine *engine, const struct record *record, uint64_t index, bool covered)
{
    if (covered && record->kind != RECORD_MESSAGE)
        return 0;
    switch (record->kind) {
    case RECORD_MESSAGE: return stream_publish_apply(engine, record, index, covered);
    case RECORD_STREAM_CREATE:
    case RECORD_STREAM_CREATE_MORE: return stream_apply_create(engine, record, index);
    case RECORD_STREAM_UPDATE:
    case RECORD_STREAM_UPDATE_MORE: return stream_apply_update(engine, record, index);
    case RECORD_STREAM_DELETE: return stream_apply_delete(engine, record, index);
    case RECORD_STREAM_EVICT: return stream_limits_apply(engine, record, index);
    case RECORD_STREAM_LAST: return import_apply_last(engine, record, index);
    case RECORD_CONSUMER_CREATE: return consumer_apply_create(engine, record, index);
    case RECORD_CONSUMER_DELETE: return consumer_apply_delete(engine, record, index);
    case RECORD_MEMBER_ADD: return member_apply_add(engine, record, index);
    case RECORD_MEMBER_REMOVE: return member_apply_remove(engine, record, index);
    case RECORD_DELIVERED: return journal_apply_delivered(engine, record, index);
    case RECORD_ACKED: return journal_apply_acked(engine, record, index);
    case RECORD_RETURNED: return journal_apply_returned(engine, record, index);
    case RECORD_DEAD: return dead_apply(engine, record, index);
    case RECORD_DYING: return death_apply(engine, record, index);
    case RECORD_TURN: return turn_apply(engine, record, index);
    case RECORD_STREAM_PAUSE: return control_apply_stream_pause(engine, record, index);
    case RECORD_CONSUMER_PAUSE: return control_apply_consumer_pause(engine, record, index);
    case RECORD_CONSUMER_SEEK: return seek_apply(engine, record, index);
    case RECORD_REDRIVEN: return redrive_apply(engine, record, index);
    case RECORD_STREAM_EDITED: return control_apply_edited(engine, record, index);
    default: return ERR_CORRUPT;
    }
}

void engine_recovered(struct engine *engine, struct engine_time now)
{
    must(!engine->live);
    engine_time_set(engine, now);
    wheel_advance(&engine->wheel, engine_now_ms(engine));
    engine->live = true;
    ids_to_monotonic(engine);
    list_foreach(link, &engine->stream_list)
    {
        struct stream *stream = container_of(link, struct stream, link);
        stream->tail = stream->state;
        stream_limits_look(stream);
        stream_activate(stream);
        control_stream_recovered(stream);
    }
    tell_recovered(engine);
}

bool engine_turn_end(struct engine *engine, struct engine_time now)
{
    engine_time_set(engine, now);
    wheel_advance(&engine->wheel, engine_now_ms(engine));
    // Ids and messages leave faster than they come, however many come in a turn.
    size_t budget = engine->options.turn_budget + 2 * engine->fresh;
    engine->fresh = 0;
    bool more = dedupe_expire(&engine->dedupe, (uint32_t)engine_now_ms(engine), budget);
    if (!engine->quiet) {
        more |= stream_limits_step(engine, &budget);
        budget = engine->options.turn_budget;
        more |= delivery_step(engine, &budget);
    }
    journal_write(engine);
    engine->journal_refused = !list_empty(&engine->journal);
    return more;
}

uint64_t engine_next_deadline_ms(const struct engine *engine)
{
    uint64_t deadline_ms = UINT64_MAX, now_ms = engine_now_ms(engine);
    // Something woke a consumer after the turn's deliveries: interest that was only seen when the sockets were served.
    if (engine->live && !engine->quiet && (delivery_can_go_on(engine) || !list_empty(&engine->active)))
        return now_ms;
    // Acknowledgements came after it: to be recorded at once, or in a while if the log took nothing the last time.
    if (!list_empty(&engine->journal))
        deadline_ms = engine->journal_refused ? now_ms + ENGINE_REFUSED_MS : now_ms;
    if (!list_empty(&engine->limited) && deadline_ms > now_ms + ENGINE_RETRY_MS)
        deadline_ms = now_ms + ENGINE_RETRY_MS;
    uint64_t timer_ms;
    if (wheel_next(&engine->wheel, &timer_ms) && timer_ms < deadline_ms)
        deadline_ms = timer_ms;
    uint32_t expires_ms;
    if (engine->live && dedupe_next_expiry(&engine->dedupe, &expires_ms)) {
        int32_t left = (int32_t)(expires_ms - (uint32_t)now_ms);
        uint64_t expiry_ms = now_ms + (left > 0 ? (uint32_t)left : 0);
        deadline_ms = expiry_ms < deadline_ms ? expiry_ms : deadline_ms;
    }
    return deadline_ms;
}

void engine_quiesce(struct engine *engine)
{
    engine->quiet = true;
    list_foreach(link, &engine->stream_list)
    {
        struct stream *stream = container_of(link, struct stream, link);
        consumer_start_cancel_stream(stream, ERR_CLOSED);
        stream_limits_purge_end(stream, ERR_CLOSED);
        list_foreach(consumer_link, &stream->consumers)
        {
            delivery_cancel(container_of(consumer_link, struct consumer, link));
            death_cancel_reads(container_of(consumer_link, struct consumer, link));
        }
    }
}

void engine_stats_get(const struct engine *engine, struct engine_stats *ret_stats)
{
    *ret_stats = engine->stats;
    ret_stats->streams = map_u64_count(&engine->streams);
    ret_stats->consumers = map_u64_count(&engine->consumers);
    ret_stats->members = map_u64_count(&engine->members);
    ret_stats->pending = pool_count(&engine->pendings);
    ret_stats->ids = dedupe_count(&engine->dedupe);
    ret_stats->ids_bytes = dedupe_memory(&engine->dedupe);
    ret_stats->pool_bytes = pool_memory(&engine->pendings) + pool_memory(&engine->fetches) +
                            pool_memory(&engine->marks) + pool_memory(&engine->ops) + pool_memory(&engine->buckets);
}

void engine_check(const struct engine *engine)
{
    uint64_t messages = 0, bytes = 0;
    dedupe_check(&engine->dedupe);
    list_foreach(link, &engine->stream_list)
    {
        const struct stream *stream = container_of(link, struct stream, link);
        must(stream->state.first_sequence <= stream->state.last_sequence + 1);
        must(stream->tail.last_sequence >= stream->state.last_sequence);
        must(stream->state.messages <= stream->state.last_sequence + 1 - stream->state.first_sequence);
        messages += stream->state.messages;
        bytes += stream->state.bytes;
        list_foreach(consumer_link, &stream->consumers)
            check_consumer(container_of(consumer_link, struct consumer, link));
    }
    must(messages == engine->stats.messages && bytes == engine->stats.bytes);
}

bool engine_is_wanted(const struct engine *engine, uint32_t stream_id, uint64_t sequence)
{
    const struct stream *stream = map_u64_find(&engine->streams, stream_id);
    return stream && stream->committed && sequence >= stream->state.first_sequence &&
           sequence <= stream->state.last_sequence;
}

uint64_t engine_first_wanted(const struct engine *engine, uint32_t stream_id)
{
    const struct stream *stream = map_u64_find(&engine->streams, stream_id);
    return stream && stream->committed && stream->state.messages ? stream->state.first_sequence : UINT64_MAX;
}

bool engine_has_gap(const struct engine *engine, uint32_t stream_id, uint64_t first, uint64_t end)
{
    const struct stream *stream = map_u64_find(&engine->streams, stream_id);
    if (!stream)
        return false;
    const struct stream_totals *state = &stream->state;
    uint64_t behind = state->last_sequence + 1;
    end = end < behind ? end : behind;
    uint64_t used = state->messages + (end > first ? end - first : 0);
    return first < end && used <= behind - state->first_sequence;
}

uint64_t engine_append(struct engine *engine, uint16_t kind, uint32_t object, struct bytes body)
{
    uint64_t index;
    size_t size = RECORD_HEADER_SIZE + body.len;
    must(!engine->turn.open);
    char *at = engine->options.host.append(engine->options.host.owner, size, &index);
    record_begin(at, (uint32_t)size, kind, 0, object);
    if (body.len)
        memcpy(at + RECORD_HEADER_SIZE, body.ptr, body.len);
    record_seal(at);
    must(index >= engine->last_index);
    engine->last_index = index;
    return index;
}

int engine_admit(struct engine *engine, size_t body_size, bool reserved)
{
    return engine->options.host.admit(engine->options.host.owner, RECORD_HEADER_SIZE + body_size + RECORD_ALIGN,
                                      reserved);
}

const struct engine_adapter *engine_adapter_of(const struct engine *engine, const struct consumer *consumer)
{
    return &engine->adapters[consumer->config.protocol];
}

void engine_time_set(struct engine *engine, struct engine_time now)
{
    engine->now.wall_ns = now.wall_ns;
    if (now.mono_ns > engine->now.mono_ns)
        engine->now.mono_ns = now.mono_ns;
}

uint64_t engine_record_time_ms(const struct engine *engine)
{
    uint64_t wall_ns = engine->now.wall_ns > engine->newest_ns ? engine->now.wall_ns : engine->newest_ns;
    uint64_t wall_ms = wall_ns / 1000000;
    return wall_ms > engine->replay_ms ? wall_ms : engine->replay_ms;
}

// In order of ids, so that two recoveries of one log tell the same story.
static void tell_recovered(struct engine *engine)
{
    list_foreach(link, &engine->stream_list)
    {
        struct stream *stream = container_of(link, struct stream, link);
        list_foreach(consumer_link, &stream->consumers)
        {
            struct consumer *consumer = container_of(consumer_link, struct consumer, link);
            list_foreach(member_link, &consumer->members)
                member_recovered(container_of(member_link, struct member, link));
            redelivery_recovered(consumer);
            consumer_guess_sizes(consumer);
            control_consumer_recovered(consumer);
            consumer_wake(consumer);
        }
    }
}

// During recovery the clock of the ids is the time of the records. A wall clock that went back counts as the last record's.
static void ids_to_monotonic(struct engine *engine)
{
    uint64_t wall_ms = engine_record_time_ms(engine);
    engine->recovered_wall_ms = wall_ms;
    engine->recovered_ms = engine_now_ms(engine);
    dedupe_expire(&engine->dedupe, (uint32_t)wall_ms, SIZE_MAX);
    dedupe_shift(&engine->dedupe, (uint32_t)engine_now_ms(engine) - (uint32_t)wall_ms);
}

static void check_consumer(const struct consumer *consumer)
{
    size_t pos = 0;
    uint64_t sequence, bytes = 0, delayed_bytes = 0;
    uint32_t acked = 0, out = 0, waiting = 0, delayed = 0, parked = 0;
    for (struct pending *p = map_u64_next(&consumer->pending, &pos, &sequence); p;
         p = map_u64_next(&consumer->pending, &pos, &sequence)) {
        must(p->sequence == sequence && sequence < consumer->next_sequence && sequence > consumer->ack_floor);
        must(!seqset_has(&consumer->acked, sequence));
        bytes += p->size;
        acked += p->state == PENDING_ACKED;
        waiting += p->state == PENDING_WAITING;
        delayed += p->state == PENDING_DELAYED;
        delayed_bytes += p->state == PENDING_DELAYED ? p->size : 0;
        out += p->state == PENDING_OUT;
        parked += pending_is_parked(p);
    }
    must(parked == consumer->parked);
    must(bytes == consumer->pending_bytes && delayed_bytes == consumer->delayed_bytes);
    must(acked == consumer->acked_count && waiting == heap_count(&consumer->redelivery));
    must(consumer->pick_sequence >= consumer->next_sequence);
    heap_check(&consumer->redelivery);
    must(delayed == heap_count(&consumer->delayed));
    heap_check(&consumer->delayed);
    dead_check(consumer);
    for (size_t i = 0; i < CHOICE_KINDS; i++)
        choice_check(&consumer->choices[i]);
    check_members(consumer);
    list_foreach(link, &consumer->members) out -= container_of(link, struct member, link)->in_flight;
    must(out == 0);
}

static void check_members(const struct consumer *consumer)
{
    list_foreach(link, &consumer->members)
    {
        const struct member *member = container_of(link, struct member, link);
        uint32_t count = 0, reserved = 0;
        uint64_t last_ns = 0;
        list_foreach(pending_link, &member->out)
        {
            const struct pending *p = container_of(pending_link, struct pending, link);
            must(p->state == PENDING_OUT && p->member == member && p->deadline_ns >= last_ns);
            last_ns = p->deadline_ns;
            count++;
        }
        list_foreach(fetch_link, &consumer->fetches) reserved +=
            container_of(fetch_link, struct fetch, link)->member == member;
        must(count == member->in_flight && reserved == member->reserved);
        must((member->entry.bucket != NULL) ==
             (member->state == MEMBER_READY && member->committed && !member->removing));
        must(!member->entry.bucket || member->entry.bucket->load == (uint64_t)count + reserved);
    }
}
