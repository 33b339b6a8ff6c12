// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine
// Messages that were delivered and are not finished: who has them, until when, and in which of the places drawn in
// engine_internal.h. Every change of place goes through a pending_set_*() function, which keeps counts and choices right.
#include "stream/engine_internal.h"

enum { TRIM_SPREAD = 64 }; // numbers for each pending message, beyond which these are looked at rather than the numbers

static void free_between(struct consumer *consumer, uint64_t first, uint64_t last);
static void park(struct consumer *consumer, struct pending *pending, enum pending_state state);
static void leave(struct consumer *consumer, struct pending *pending);
static void floor_join(struct consumer *consumer);
static void position_join(struct consumer *consumer);

int engine_ack(struct engine *engine, struct consumer *consumer, uint64_t sequence, struct engine_time now)
{
    engine_time_set(engine, now);
    struct pending *pending = pending_find(consumer, sequence);
    if (!pending || pending->state == PENDING_ACKED || death_is_proposed(pending) || consumer->seeking)
        return ERR_NOT_FOUND;
    pending_set_acked(consumer, pending);
    engine->stats.acked++;
    consumer->tally.acked++;
    consumer_wake(consumer);
    return 0;
}

// Each step for all before the next one, which needs what it has called for.
void engine_acks_ahead(const struct engine *engine, const uint32_t *members, const uint64_t *sequences, size_t count)
{
    const struct consumer *consumers[ENGINE_FIND_MAX];
    must(count <= ENGINE_FIND_MAX);
    for (size_t i = 0; i < count; i++)
        map_u64_prefetch(&engine->members, members[i]);
    for (size_t i = 0; i < count; i++) {
        const struct member *member = map_u64_find(&engine->members, members[i]);
        consumers[i] = member ? member->consumer : NULL;
        if (member)
            member_ahead(member);
        if (member && (i == 0 || consumers[i] != consumers[i - 1]))
            consumer_ahead(member->consumer);
    }
    for (size_t i = 0; i < count; i++) {
        if (consumers[i])
            map_u64_prefetch(&consumers[i]->pending, sequences[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (consumers[i])
            __builtin_prefetch(pending_find(consumers[i], sequences[i]), 1);
    }
}

struct pending *pending_find(const struct consumer *consumer, uint64_t sequence)
{
    return map_u64_find(&consumer->pending, sequence);
}

struct pending *pending_new(struct consumer *consumer, uint64_t sequence)
{
    struct pending *pending = pool_get(&consumer->stream->engine->pendings);
    must(pending);
    *pending = (struct pending){.sequence = sequence};
    must(map_u64_add(&consumer->pending, sequence, pending) == 0);
    return pending;
}

size_t pending_room(const struct engine *engine)
{
    size_t most = 2 * (size_t)engine->options.max_pending, count = pool_count(&engine->pendings);
    return count < most ? most - count : 0;
}

void pending_size_set(struct consumer *consumer, struct pending *pending, uint32_t size)
{
    consumer->pending_bytes += (uint64_t)size - pending->size;
    if (pending->state == PENDING_DELAYED)
        consumer->delayed_bytes += (uint64_t)size - pending->size;
    pending->size = size;
}

void pending_free(struct consumer *consumer, struct pending *pending)
{
    leave(consumer, pending);
    pending_size_set(consumer, pending, 0);
    must(map_u64_remove(&consumer->pending, pending->sequence) == pending);
    pool_put(&consumer->stream->engine->pendings, pending);
}

void pending_set_out(struct consumer *consumer, struct pending *pending, struct member *member, uint64_t deadline_ns)
{
    leave(consumer, pending);
    pending->state = PENDING_OUT;
    pending->member = member;
    pending->holder = member->id;
    pending->deadline_ns = deadline_ns;
    list_push_back(&member->out, &pending->link);
    member->in_flight++;
    member_choice_update(member);
    if (!wheel_is_set(&member->ack_timer) && deadline_ns != UINT64_MAX)
        redelivery_ack_timer_set(member);
}

void pending_set_waiting(struct consumer *consumer, struct pending *pending)
{
    park(consumer, pending, PENDING_WAITING);
    must(heap_insert(&consumer->redelivery, &pending->node, pending->sequence) == 0);
    consumer_wake(consumer);
}

void pending_set_delayed(struct consumer *consumer, struct pending *pending, uint64_t due_ns)
{
    struct engine *engine = consumer->stream->engine;
    park(consumer, pending, PENDING_DELAYED);
    consumer->delayed_bytes += pending->size;
    must(heap_insert(&consumer->delayed, &pending->node, due_ns) == 0);
    if (engine->live && heap_min(&consumer->delayed) == &pending->node)
        wheel_set(&engine->wheel, &consumer->delayed_timer, (due_ns + 999999) / 1000000);
    consumer_wake(consumer); // its place is free
}

void pending_set_reading(struct consumer *consumer, struct pending *pending)
{
    park(consumer, pending, PENDING_READING);
}

void pending_set_dying(struct consumer *consumer, struct pending *pending, struct death *death)
{
    park(consumer, pending, PENDING_DYING);
    pending->death = death;
}

void pending_set_acked(struct consumer *consumer, struct pending *pending)
{
    leave(consumer, pending);
    pending->state = PENDING_ACKED;
    pending->index = 0;
    pending_size_set(consumer, pending, 0);
    list_push_back(&consumer->acks, &pending->link);
    consumer->acked_count++;
    journal_link(consumer);
}

bool pending_trim(struct consumer *consumer, size_t *budget)
{
    uint64_t first = consumer->stream->state.first_sequence;
    dead_trim(consumer);
    if (consumer->ack_floor + 1 >= first)
        return false;
    if (consumer->next_sequence < first) {
        delivery_cancel(consumer);
        consumer->next_sequence = consumer->pick_sequence = first;
        consumer->position_bytes = consumer->stream->evicted_bytes;
    }
    if (first - consumer->ack_floor > map_u64_count(&consumer->pending) * TRIM_SPREAD) {
        free_between(consumer, consumer->ack_floor + 1, first - 1);
        consumer->ack_floor = first - 1;
    }
    while (consumer->ack_floor + 1 < first && map_u64_count(&consumer->pending) && *budget) {
        struct pending *pending = pending_find(consumer, consumer->ack_floor + 1);
        if (pending)
            pending_free(consumer, pending);
        consumer->ack_floor++;
        --*budget;
    }
    if (map_u64_count(&consumer->pending) == 0 && consumer->ack_floor + 1 < first)
        consumer->ack_floor = first - 1;
    floor_join(consumer);
    consumer_dirty(consumer);
    return consumer->ack_floor + 1 < first;
}

void pending_finish(struct consumer *consumer, uint64_t first, uint64_t last)
{
    if (last <= consumer->ack_floor)
        return;
    if (first <= consumer->ack_floor)
        first = consumer->ack_floor + 1;
    if (last - first < map_u64_count(&consumer->pending)) {
        for (uint64_t sequence = first; sequence <= last; sequence++) {
            struct pending *pending = pending_find(consumer, sequence);
            if (pending)
                pending_free(consumer, pending);
        }
    } else {
        free_between(consumer, first, last);
    }
    if (last > consumer->acked_max)
        consumer->acked_max = last;
    if (first > consumer->ack_floor + 1) {
        seqset_add_range(&consumer->acked, first, last);
        position_join(consumer);
        return;
    }
    consumer->ack_floor = last;
    floor_join(consumer);
}

void pending_clear(struct consumer *consumer)
{
    size_t pos = 0;
    uint64_t sequence;
    for (struct pending *p = map_u64_next(&consumer->pending, &pos, &sequence); p;
         p = map_u64_next(&consumer->pending, &pos, &sequence)) {
        leave(consumer, p);
        pool_put(&consumer->stream->engine->pendings, p);
    }
    consumer->pending_bytes = 0;
    map_u64_deinit(&consumer->pending);
}

void pending_revive(struct consumer *consumer, uint64_t sequence, uint32_t size)
{
    if (pending_find(consumer, sequence))
        return;
    if (sequence > consumer->ack_floor) {
        if (!seqset_remove(&consumer->acked, sequence))
            return;
    } else {
        if (sequence < consumer->ack_floor)
            seqset_add_range(&consumer->acked, sequence + 1, consumer->ack_floor);
        if (consumer->acked_max < consumer->ack_floor)
            consumer->acked_max = consumer->ack_floor;
        consumer->ack_floor = sequence - 1;
    }
    if (sequence < consumer->next_sequence) {
        struct pending *pending = pending_new(consumer, sequence);
        pending_size_set(consumer, pending, size);
        pending_set_waiting(consumer, pending);
    } else if (sequence < consumer->pick_sequence) {
        delivery_cancel(consumer);
    }
}

void pending_begin_at(struct consumer *consumer, uint64_t next_sequence)
{
    delivery_cancel(consumer);
    pending_clear(consumer);
    seqset_clear(&consumer->acked);
    consumer->config.start_sequence = next_sequence;
    consumer->next_sequence = consumer->pick_sequence = next_sequence;
    consumer->ack_floor = next_sequence - 1;
    consumer->acked_max = 0;
    dead_stay_finished(consumer, next_sequence);
    consumer_guess_sizes(consumer);
    floor_join(consumer);
}

// As many steps as there are pending ones, however far apart.
static void free_between(struct consumer *consumer, uint64_t first, uint64_t last)
{
    size_t pos = 0;
    uint64_t sequence;
    for (struct pending *p = map_u64_next(&consumer->pending, &pos, &sequence); p;
         p = map_u64_next(&consumer->pending, &pos, &sequence)) {
        if (sequence >= first && sequence <= last)
            pending_free(consumer, p);
    }
}

static void park(struct consumer *consumer, struct pending *pending, enum pending_state state)
{
    leave(consumer, pending);
    pending->state = state;
    consumer->parked++;
}

// Takes it out of its place.
static void leave(struct consumer *consumer, struct pending *pending)
{
    if (pending_is_parked(pending) && consumer->parked-- == consumer->stream->engine->options.max_parked)
        consumer_wake(consumer);
    switch ((enum pending_state)pending->state) {
    case PENDING_NONE: break;
    case PENDING_OUT:
        list_remove(&pending->link);
        must(pending->member->in_flight > 0);
        pending->member->in_flight--;
        member_choice_update(pending->member);
        pending->member = NULL;
        break;
    case PENDING_WAITING: heap_remove(&consumer->redelivery, &pending->node); break;
    case PENDING_READING: delivery_forget(consumer, pending); break;
    case PENDING_DELAYED:
        heap_remove(&consumer->delayed, &pending->node);
        consumer->delayed_bytes -= pending->size;
        break;
    case PENDING_DYING: death_forget(pending->death); break;
    case PENDING_ACKED:
        list_remove(&pending->link);
        consumer->acked_count--;
        break;
    }
    pending->state = PENDING_NONE;
}

// The floor takes in what follows it without a gap. It passes the position of a consumer whose acknowledgements are known and whose
// deliveries are not, because a refused batch took their record along.
static void floor_join(struct consumer *consumer)
{
    if (seqset_count(&consumer->acked)) {
        uint64_t next = seqset_next_absent(&consumer->acked, consumer->ack_floor + 1);
        consumer->ack_floor = next - 1;
        seqset_remove_below(&consumer->acked, next);
    }
    if (consumer->next_sequence <= consumer->ack_floor)
        consumer->next_sequence = consumer->ack_floor + 1;
    position_join(consumer);
    stream_limits_floor_moved(consumer->stream);
}

// The position passes what is finished already.
static void position_join(struct consumer *consumer)
{
    if (consumer->next_sequence <= consumer->acked_max)
        consumer->next_sequence = seqset_next_absent(&consumer->acked, consumer->next_sequence);
    if (consumer->pick_sequence < consumer->next_sequence)
        consumer->pick_sequence = consumer->next_sequence;
}
