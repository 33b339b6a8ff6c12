// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine
// Messages come in. Proposed, a message has its sequence and time and its id is known; applied, it is there for consumers. The
// time of a stream never goes back, whatever the wall clock does.
#include "stream/engine_internal.h"

static bool is_duplicate(struct engine *engine, struct stream *stream, struct hash128 key,
                         struct publish_result *ret_result);
static void id_replay(struct engine *engine, const struct stream *stream, const struct message_record *message,
                      uint64_t index);

int engine_publish(struct engine *engine, struct stream *stream, const struct publish *publish, struct engine_time now,
                   struct publish_result *ret_result)
{
    engine_time_set(engine, now);
    bool unique = (publish->dedupe.lo || publish->dedupe.hi) && stream->config.duplicate_window_ns;
    int error = stream_publish_admit(stream, publish, 0);
    if (unique && error != ERR_NOT_FOUND && error != ERR_TOO_BIG &&
        is_duplicate(engine, stream, dedupe_key(stream->id, publish->dedupe), ret_result))
        return 0;
    if (error)
        return error;
    if (unique && engine->ids_awaited)
        return ERR_AGAIN;
    if (unique && dedupe_is_full(&engine->dedupe)) {
        dedupe_expire(&engine->dedupe, (uint32_t)engine_now_ms(engine), 16);
        if (dedupe_is_full(&engine->dedupe))
            return ERR_IDS_FULL;
    }
    error = stream_limits_room(stream, stream_publish_size(publish));
    if (error)
        return error;
    stream_publish_put(stream, publish, unique, ret_result);
    return 0;
}

void engine_publish_ahead(const struct engine *engine, const struct stream *stream, struct hash128 dedupe)
{
    stream_ahead(stream);
    dedupe_prefetch(&engine->dedupe, dedupe_key(stream->id, dedupe));
}

int stream_publish_admit(struct stream *stream, const struct publish *publish, size_t more)
{
    const struct engine_host *host = &stream->engine->options.host;
    if (stream->deleting)
        return ERR_NOT_FOUND;
    int error = stream->tail.last_sequence < SEQUENCE_MAX ? stream_publish_check(publish) : ERR_LIMIT;
    return error ? error : host->admit(host->owner, record_padded(stream_publish_size(publish)) + more, false);
}

void stream_publish_put(struct stream *stream, const struct publish *publish, bool unique,
                        struct publish_result *ret_result)
{
    struct engine *engine = stream->engine;
    uint64_t wall_ns = engine->now.wall_ns;
    struct message_record message = {
        .stream_id = stream->id,
        .sequence = stream->tail.last_sequence + 1,
        .time_ns = wall_ns > stream->tail.last_time_ns ? wall_ns : stream->tail.last_time_ns,
        .dedupe = publish->dedupe,
        .subject = publish->subject,
        .reply = publish->reply,
        .headers = publish->headers,
        .payload = publish->payload,
    };
    uint64_t index = stream_publish_append(stream, &message, stream_publish_size(publish));
    if (unique)
        dedupe_add(&engine->dedupe, dedupe_key(stream->id, publish->dedupe), message.sequence, index,
                   (uint32_t)engine_now_ms(engine) + (uint32_t)(stream->config.duplicate_window_ns / 1000000));
    stream_limits_look(stream);
    *ret_result = (struct publish_result){.index = index, .sequence = message.sequence};
}

int stream_publish_check(const struct publish *publish)
{
    bool fits = publish->subject.len <= UINT16_MAX && publish->reply.len <= UINT16_MAX &&
                publish->headers.len <= INT32_MAX &&
                publish->payload.len <= INT32_MAX - publish->headers.len - RECORD_MESSAGE_SIZE - 2 * UINT16_MAX;
    return fits ? 0 : ERR_TOO_BIG;
}

uint64_t stream_publish_append(struct stream *stream, const struct message_record *message, size_t size)
{
    struct engine *engine = stream->engine;
    uint64_t index;
    message_record_put(engine->options.host.append(engine->options.host.owner, size, &index), message);
    must(index >= engine->last_index);
    engine->last_index = index;
    stream->tail.last_sequence = message->sequence;
    stream->tail.last_time_ns = message->time_ns;
    if (message->time_ns > engine->newest_ns)
        engine->newest_ns = message->time_ns;
    stream->tail.messages++;
    engine->fresh++;
    stream->tail.bytes += size;
    stream_mark(stream, index);
    return index;
}

int stream_publish_apply(struct engine *engine, const struct record *record, uint64_t index, bool covered)
{
    struct message_record message;
    if (message_record_get(record, &message))
        return ERR_CORRUPT;
    struct stream *stream = map_u64_find(&engine->streams, message.stream_id);
    if (!engine->live)
        id_replay(engine, stream, &message, index);
    if (covered)
        return 0;
    int error = stream_of_record(engine, message.stream_id, index, &stream);
    if (error || !stream)
        return error;
    if (message.sequence <= stream->state.last_sequence || message.sequence > SEQUENCE_MAX)
        return ERR_CORRUPT;
    stream_commit_marks(stream, index);
    struct stream_totals *state = &stream->state;
    if (state->messages == 0)
        state->first_sequence = message.sequence;
    state->last_sequence = message.sequence;
    state->last_time_ns = message.time_ns;
    state->messages++;
    state->bytes += record->whole.len;
    engine->stats.messages++;
    engine->stats.bytes += record->whole.len;
    if (engine->live) {
        engine->stats.published++;
        stream->tally.published++;
        stream->tally.published_bytes += record->whole.len;
    }
    stream_dirty(stream);
    stream_activate(stream);
    return 0;
}

// Its original may be in flight; the newest index is at or behind it, and an answer for that never overtakes another.
static bool is_duplicate(struct engine *engine, struct stream *stream, struct hash128 key,
                         struct publish_result *ret_result)
{
    uint64_t sequence;
    if (!dedupe_find(&engine->dedupe, key, (uint32_t)engine_now_ms(engine), &sequence))
        return false;
    engine->stats.duplicates++;
    *ret_result = (struct publish_result){.index = engine->last_index, .sequence = sequence, .duplicate = true};
    return true;
}

// Without its stream the window is unknown; but then the stream is gone, and with it the meaning of the id.
static void id_replay(struct engine *engine, const struct stream *stream, const struct message_record *message,
                      uint64_t index)
{
    uint64_t time_ms = message->time_ns / 1000000;
    if (time_ms > engine->replay_ms)
        engine->replay_ms = time_ms;
    dedupe_expire(&engine->dedupe, (uint32_t)engine->replay_ms, 16);
    if (!stream || !stream->config.duplicate_window_ns || (message->dedupe.lo == 0 && message->dedupe.hi == 0))
        return;
    // Not from its own time: if the wall clock had gone back, that lies before those of messages that came earlier.
    uint32_t expires_ms = (uint32_t)engine->replay_ms + (uint32_t)(stream->config.duplicate_window_ns / 1000000);
    if (!dedupe_is_full(&engine->dedupe))
        dedupe_add(&engine->dedupe, dedupe_key(stream->id, message->dedupe), message->sequence, index, expires_ms);
}
