// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine import
// What other stores held: messages with their numbers and times, consumers with their positions. Everything is written as the records
// that a server would have written who had served it all itself, so recovery knows nothing of imports.
#include "stream/engine_internal.h"

enum {
    BODY_MAX = 65536, // bytes of a record of acknowledgements, about
    LAST_SIZE = 8,    // of a record of a stream's last sequence
};

static void end_at(struct stream_totals *totals, uint64_t sequence);
static int check_position(const struct consumer *consumer, uint64_t next_sequence, const struct import_pending *pending,
                          size_t count);
static int append_acked(struct consumer *consumer, uint64_t next_sequence, const struct import_pending *pending,
                        size_t count, uint64_t *ret_index);
static void take_pending(struct consumer *consumer, const struct import_pending *from);

int engine_import_message(struct engine *engine, struct stream *stream, const struct publish *publish,
                          uint64_t sequence, uint64_t time_ns, struct engine_time now, uint64_t *ret_index)
{
    engine_time_set(engine, now);
    struct stream_totals *tail = &stream->tail;
    if (stream->deleting)
        return ERR_NOT_FOUND;
    if (sequence <= tail->last_sequence || sequence > SEQUENCE_MAX)
        return ERR_INVALID;
    int error = stream_publish_check(publish);
    if (error)
        return error;
    size_t size =
        message_record_size(publish->subject.len, publish->reply.len, publish->headers.len, publish->payload.len);
    error = engine->options.host.admit(engine->options.host.owner, record_padded(size), false);
    if (error)
        return error;
    if (time_ns > now.wall_ns)
        time_ns = now.wall_ns;
    if (tail->messages == 0)
        tail->first_sequence = sequence;
    const struct message_record message = {
        .stream_id = stream->id,
        .sequence = sequence,
        .time_ns = time_ns > tail->last_time_ns ? time_ns : tail->last_time_ns,
        .dedupe = publish->dedupe,
        .subject = publish->subject,
        .reply = publish->reply,
        .headers = publish->headers,
        .payload = publish->payload,
    };
    *ret_index = stream_publish_append(stream, &message, size);
    stream_limits_look(stream);
    return 0;
}

int engine_import_last(struct engine *engine, struct stream *stream, uint64_t sequence, struct engine_time now)
{
    struct stream_totals *tail = &stream->tail;
    char body[LAST_SIZE];
    engine_time_set(engine, now);
    if (sequence <= tail->last_sequence)
        return 0;
    if (stream->deleting || sequence > SEQUENCE_MAX)
        return stream->deleting ? ERR_NOT_FOUND : ERR_INVALID;
    int error = engine_admit(engine, LAST_SIZE, true);
    if (error)
        return error;
    put_u64(body, sequence);
    uint64_t index = engine_append(engine, RECORD_STREAM_LAST, stream->id, bytes_make(body, LAST_SIZE));
    end_at(tail, sequence);
    stream_mark(stream, index);
    return 0;
}

int import_apply_last(struct engine *engine, const struct record *record, uint64_t index)
{
    struct stream *stream;
    int error = stream_of_record(engine, record->object, index, &stream);
    if (error || !stream)
        return error;
    stream_commit_marks(stream, index);
    uint64_t sequence = record->body.len == LAST_SIZE ? get_u64(record->body.ptr) : 0;
    if (sequence == 0 || sequence > SEQUENCE_MAX)
        return ERR_CORRUPT;
    if (sequence > stream->state.last_sequence)
        end_at(&stream->state, sequence);
    stream_dirty(stream);
    stream_activate(stream);
    return 0;
}

int engine_import_position(struct engine *engine, struct consumer *consumer, uint64_t next_sequence,
                           const struct import_pending *pending, size_t count, struct engine_time now,
                           uint64_t *ret_index)
{
    engine_time_set(engine, now);
    int error = check_position(consumer, next_sequence, pending, count);
    *ret_index = engine->last_index;
    if (!error)
        error = append_acked(consumer, next_sequence, pending, count, ret_index);
    if (error)
        return error;
    for (size_t i = 0; i < count; i++)
        take_pending(consumer, &pending[i]);
    // Recovery learns from deliveries how far a consumer has come.
    uint64_t reached = count ? pending[count - 1].sequence : consumer->ack_floor;
    if (reached < next_sequence - 1)
        journal_delivered(consumer, next_sequence - 1, 0, 1);
    consumer->next_sequence = consumer->pick_sequence = next_sequence;
    consumer_dirty(consumer);
    return 0;
}

int engine_import_dead(struct engine *engine, struct consumer *consumer, const struct dead_info *info,
                       struct engine_time now)
{
    engine_time_set(engine, now);
    if (consumer->deleting || consumer->stream->deleting)
        return ERR_NOT_FOUND;
    if (info->sequence == 0 || info->sequence >= consumer->next_sequence || pending_find(consumer, info->sequence) ||
        info->text.len > ENGINE_REASON_MAX)
        return ERR_INVALID;
    int error = engine_admit(engine, DEAD_RECORD_MAX, true);
    if (error)
        return error;
    buffer_clear(&engine->scratch);
    dead_put(&engine->scratch, info);
    engine_append(engine, RECORD_DEAD, consumer->id, buffer_bytes(&engine->scratch));
    return 0;
}

static void end_at(struct stream_totals *totals, uint64_t sequence)
{
    totals->last_sequence = sequence;
    if (totals->messages == 0)
        totals->first_sequence = sequence + 1;
}

static int check_position(const struct consumer *consumer, uint64_t next_sequence, const struct import_pending *pending,
                          size_t count)
{
    const struct stream *stream = consumer->stream;
    if (consumer->deleting || stream->deleting)
        return ERR_NOT_FOUND;
    uint64_t last = consumer->ack_floor;
    if (next_sequence <= last || next_sequence > stream->tail.last_sequence + 1 || consumer->fetch_count ||
        map_u64_count(&consumer->pending))
        return ERR_INVALID;
    for (size_t i = 0; i < count; i++) {
        if (pending[i].sequence <= last || pending[i].sequence >= next_sequence || pending[i].attempts == 0 ||
            pending[i].attempts >= 1 << 24 || (pending[i].member && !member_in(consumer, pending[i].member)) ||
            pending[i].until_ms > UINT64_MAX / 1000000)
            return ERR_INVALID;
        last = pending[i].sequence;
    }
    return pool_count(&stream->engine->pendings) + count > stream->engine->options.max_pending ? ERR_LIMIT : 0;
}

// What lies between the pending ones is finished. In pieces; all of them are in the log's open entries, or none.
static int append_acked(struct consumer *consumer, uint64_t next_sequence, const struct import_pending *pending,
                        size_t count, uint64_t *ret_index)
{
    struct engine *engine = consumer->stream->engine;
    struct buffer *body = &engine->scratch;
    // A run is two numbers.
    int error = engine_admit(engine, (count + 1) * 2 * VARINT_MAX_SIZE, true);
    if (error)
        return error;
    uint64_t from = consumer->ack_floor + 1, last = 0;
    buffer_clear(body);
    for (size_t i = 0; i <= count; i++) {
        uint64_t end = i < count ? pending[i].sequence : next_sequence;
        if (from < end)
            journal_put_run(body, &last, from, end - 1);
        from = end + 1;
        if (body->len < BODY_MAX && i < count)
            continue;
        if (body->len)
            *ret_index = engine_append(engine, RECORD_ACKED, consumer->id, buffer_bytes(body));
        buffer_clear(body);
        last = 0;
    }
    return 0;
}

static void take_pending(struct consumer *consumer, const struct import_pending *from)
{
    struct pending *pending = pending_new(consumer, from->sequence);
    must(pending);
    struct member *member = from->member ? member_in(consumer, from->member) : NULL;
    pending->attempts = from->attempts & 0xffffff;
    const struct engine *engine = consumer->stream->engine;
    uint64_t wall_ms = engine_record_time_ms(engine);
    bool waits = !member && from->until_ms > wall_ms;
    if (member)
        pending_set_out(consumer, pending, member, UINT64_MAX);
    else if (waits)
        pending_set_delayed(consumer, pending, engine->now.mono_ns + (from->until_ms - wall_ms) * 1000000);
    else
        pending_set_waiting(consumer, pending);
    pending->holder = from->member;
    journal_delivered(consumer, from->sequence, from->member, from->attempts);
    if (waits)
        journal_returned(consumer, from->sequence, from->attempts, from->until_ms);
}
