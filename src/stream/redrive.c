// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine redrive
// Dead messages live again. One that is redriven is not finished any more: the floor goes back to it, and what lies between counts as
// acknowledged one by one.
#include "stream/engine_internal.h"

enum { BODY_MAX = 32768 }; // bytes

static void revive(struct consumer *consumer, uint64_t sequence);

int engine_redrive(struct engine *engine, struct consumer *consumer, const uint64_t *sequences, size_t count,
                   struct engine_time now, size_t *ret_count, uint64_t *ret_index)
{
    struct buffer *body = &engine->scratch;
    uint64_t last = 0, lowest = UINT64_MAX;
    size_t taken = 0;
    engine_time_set(engine, now);
    if (consumer->deleting || consumer->stream->deleting)
        return ERR_NOT_FOUND;
    if (consumer->seeking || !consumer->committed)
        return ERR_AGAIN;
    if (pool_count(&engine->pendings) + count > engine->options.max_pending)
        return ERR_LIMIT;
    must(count <= BODY_MAX / (2 * VARINT_MAX_SIZE));
    int error = engine_admit(engine, BODY_MAX, true);
    if (error)
        return error;
    buffer_clear(body);
    for (size_t i = 0; i < count; i++) {
        if (sequences[i] < consumer->stream->tail.first_sequence || !dead_mark(consumer, sequences[i]))
            continue;
        journal_put_run(body, &last, sequences[i], sequences[i]);
        lowest = sequences[i] < lowest ? sequences[i] : lowest;
        taken++;
    }
    *ret_count = taken;
    *ret_index = engine->last_index;
    if (taken) {
        *ret_index = engine_append(engine, RECORD_REDRIVEN, consumer->id, buffer_bytes(body));
        dead_marked(consumer, *ret_index);
        stream_limits_claim(consumer, lowest, *ret_index);
    }
    return 0;
}

int redrive_apply(struct engine *engine, const struct record *record, uint64_t index)
{
    struct consumer *consumer;
    int error = consumer_of_record(engine, record->object, index, &consumer);
    if (error || !consumer)
        return error;
    struct bytes body = record->body;
    uint64_t at = 0;
    while (body.len) {
        uint64_t first, last;
        if (journal_get_run(&body, &at, &first, &last) || last - first > BODY_MAX)
            return ERR_CORRUPT;
        for (uint64_t sequence = first; sequence <= last; sequence++)
            revive(consumer, sequence);
    }
    stream_limits_claim_end(consumer, index);
    consumer_dirty(consumer);
    consumer_wake(consumer);
    return 0;
}

// What the stream dropped meanwhile stays finished.
static void revive(struct consumer *consumer, uint64_t sequence)
{
    uint32_t size = dead_take(consumer, sequence);
    const struct stream_totals *state = &consumer->stream->state;
    if (sequence >= state->first_sequence && sequence <= state->last_sequence)
        pending_revive(consumer, sequence, size);
}
