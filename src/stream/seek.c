// SPDX-License-Identifier: Apache-2.0
// tidy: prefix seek
// A consumer begins anew elsewhere. The record says where; everything that was recorded of the consumer before it counts no more, and what
// happens between proposal and commit could not be told apart from what happens after it: so nothing happens then (consumer.seeking), and
// what happened before is recorded in front of it.
#include "stream/engine_internal.h"

enum { SEEK_SIZE = 8 };

int seek_propose(struct consumer *consumer, uint64_t next_sequence, uint64_t *ret_index)
{
    struct engine *engine = consumer->stream->engine;
    char body[SEEK_SIZE];
    int error = journal_flush(consumer) ? engine_admit(engine, SEEK_SIZE, true) : ERR_NO_SPACE;
    if (error)
        return error;
    put_u64(body, next_sequence);
    *ret_index = engine_append(engine, RECORD_CONSUMER_SEEK, consumer->id, bytes_make(body, SEEK_SIZE));
    engine_tail_push(engine, TAIL_CONSUMER_SEEK, consumer, *ret_index, false);
    stream_limits_claim(consumer, next_sequence, *ret_index);
    consumer->seeking = true;
    return 0;
}

int seek_apply(struct engine *engine, const struct record *record, uint64_t index)
{
    struct consumer *consumer;
    int error = consumer_of_record(engine, record->object, index, &consumer);
    if (error || !consumer)
        return error;
    uint64_t next = record->body.len == SEEK_SIZE ? get_u64(record->body.ptr) : 0;
    if (next == 0 || next > SEQUENCE_MAX + 1)
        return ERR_CORRUPT;
    if (engine_tail_commit(engine, TAIL_CONSUMER_SEEK, consumer))
        consumer->seeking = false;
    uint64_t end = consumer->stream->state.last_sequence + 1;
    pending_begin_at(consumer, next < end ? next : end); // messages in front of it may be lost with a damaged entry
    stream_limits_claim_end(consumer, index);
    consumer_dirty(consumer);
    consumer_wake(consumer);
    return 0;
}
