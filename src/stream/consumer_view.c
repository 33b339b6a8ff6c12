// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine consumer member
// What others may know about a consumer: counts, bytes, ages, which message is where; and the way back to what was seen in an earlier
// turn. Bytes are kept as messages pass, not counted when somebody asks: a consumer's position is a number of bytes as well, in the
// coordinate of everything its stream ever held, so that neither a publish nor an eviction has to visit the stream's consumers.
#include "stream/engine_internal.h"

// HOLES_LOOK: numbers below the position that are neither finished nor pending; only a damaged store has such.
enum { OLDEST_LOOK = 1024, AHEAD_LOOK = 1024, HOLES_LOOK = 1024 };

static uint64_t waiting(const struct consumer *consumer);
static uint64_t finished_ahead(const struct consumer *consumer);
static uint64_t waiting_bytes(const struct consumer *consumer);
static uint64_t oldest_pending(const struct consumer *consumer);
static struct pending *next_pending(const struct consumer *consumer, uint64_t *sequence, int *holes);
static size_t list_sparse(const struct consumer *consumer, uint64_t from, size_t count, struct pending_info *ret,
                          size_t max);
static void info_get(const struct consumer *consumer, const struct pending *pending, struct pending_info *ret);

struct bytes consumer_name_get(const struct consumer *consumer)
{
    return consumer->config.name;
}

void consumer_state_get(const struct consumer *consumer, struct consumer_state *ret_state)
{
    const struct stream_totals *stream = &consumer->stream->state;
    uint64_t next = consumer->next_sequence > stream->first_sequence ? consumer->next_sequence : stream->first_sequence;
    uint64_t waits = waiting(consumer) - finished_ahead(consumer);
    waits = waits < stream->messages ? waits : stream->messages; // not all numbers need be in use
    *ret_state = (struct consumer_state){
        .id = consumer->id,
        .config = consumer->config,
        .next_sequence = consumer->next_sequence,
        .ack_floor = consumer->ack_floor,
        .pending = map_u64_count(&consumer->pending) - consumer->acked_count,
        .parked = consumer->parked,
        .waiting = waits,
        .redelivered = consumer->redelivered,
        .members = consumer->member_count,
        .pending_bytes = consumer->pending_bytes,
        .waiting_bytes = waiting_bytes(consumer),
        .oldest_pending = oldest_pending(consumer),
        .oldest_waiting = waits ? seqset_next_absent(&consumer->acked, next) : 0,
        .delayed = heap_count(&consumer->delayed),
        .delayed_bytes = consumer->delayed_bytes,
        .paused = consumer->pause.on,
        .paused_until_ns = consumer->pause.until_ms * 1000000,
    };
    dead_state_get(consumer, ret_state);
}

size_t consumer_pending_list(const struct consumer *consumer, uint64_t from, struct pending_info *ret, size_t max)
{
    size_t count = 0;
    int holes = HOLES_LOOK;
    from = from > consumer->ack_floor ? from : consumer->ack_floor + 1;
    while (count < max) {
        const struct pending *pending = next_pending(consumer, &from, &holes);
        if (!pending)
            break;
        if (pending->state != PENDING_ACKED)
            info_get(consumer, pending, &ret[count++]);
        from++;
    }
    return holes ? count : list_sparse(consumer, from, count, ret, max);
}

size_t member_pending_list(const struct member *member, struct pending_info *ret, size_t max)
{
    size_t count = 0;
    for (const struct list *link = member->out.next; link != &member->out && count < max; link = link->next)
        info_get(member->consumer, container_of(link, struct pending, link), &ret[count++]);
    return count;
}

enum member_state member_state_get(const struct member *member)
{
    return member->state;
}

struct stream *engine_stream_after(struct engine *engine, uint32_t id)
{
    struct stream *stream = id ? map_u64_find(&engine->streams, id) : NULL;
    stream = engine_stream_next(engine, stream);
    while (stream && stream->id <= id)
        stream = engine_stream_next(engine, stream);
    return stream;
}

struct consumer *engine_consumer_after(struct engine *engine, struct stream *stream, uint32_t id)
{
    struct consumer *consumer = id ? map_u64_find(&engine->consumers, id) : NULL;
    consumer = stream_consumer_next(stream, consumer && consumer->stream == stream ? consumer : NULL);
    while (consumer && consumer->id <= id)
        consumer = stream_consumer_next(stream, consumer);
    return consumer;
}

struct member *engine_member_after(struct engine *engine, struct consumer *consumer, uint32_t id)
{
    struct member *member = id ? map_u64_find(&engine->members, id) : NULL;
    member = consumer_member_next(consumer, member && member->consumer == consumer ? member : NULL);
    while (member && member->id <= id)
        member = consumer_member_next(consumer, member);
    return member;
}

struct consumer *engine_consumer_by_id(struct engine *engine, uint32_t id)
{
    struct consumer *consumer = map_u64_find(&engine->consumers, id);
    return consumer && !consumer->deleting && !consumer->stream->deleting ? consumer : NULL;
}

size_t engine_message_list(struct engine *engine, const struct stream *stream, uint64_t from, struct engine_size *ret,
                           size_t max, bool *ret_wait)
{
    const struct engine_host *host = &engine->options.host;
    *ret_wait = false;
    return host->sizes(host->owner, stream->id, from, ret, max, ret_wait);
}

int engine_message_time(struct engine *engine, const struct stream *stream, uint64_t sequence, uint64_t *ret_time_ns)
{
    const struct engine_host *host = &engine->options.host;
    struct engine_size size;
    bool wait = false;
    if (host->sizes(host->owner, stream->id, sequence, &size, 1, &wait) == 0)
        return wait ? ERR_AGAIN : ERR_NOT_FOUND;
    *ret_time_ns = size.time_ns;
    return 0;
}

void consumer_guess_sizes(struct consumer *consumer)
{
    const struct stream *stream = consumer->stream;
    const struct stream_totals *state = &stream->state;
    uint64_t each = state->messages ? state->bytes / state->messages : 0, sequence;
    uint64_t end = stream->evicted_bytes + state->bytes, behind = each * waiting(consumer);
    bool all = waiting(consumer) >= state->messages || behind > state->bytes;
    consumer->position_bytes = all ? stream->evicted_bytes : end - behind;
    size_t pos = 0;
    for (struct pending *p = map_u64_next(&consumer->pending, &pos, &sequence); p;
         p = map_u64_next(&consumer->pending, &pos, &sequence))
        pending_size_set(consumer, p, each < UINT32_MAX ? (uint32_t)each : UINT32_MAX);
}

void consumer_passed(struct consumer *consumer, uint32_t size)
{
    const struct stream *stream = consumer->stream;
    uint64_t end = stream->evicted_bytes + stream->state.bytes;
    uint64_t at = consumer->position_bytes > stream->evicted_bytes ? consumer->position_bytes : stream->evicted_bytes;
    consumer->position_bytes = waiting(consumer) && at + size < end ? at + size : end;
}

static uint64_t waiting(const struct consumer *consumer)
{
    const struct stream_totals *stream = &consumer->stream->state;
    uint64_t next = consumer->next_sequence > stream->first_sequence ? consumer->next_sequence : stream->first_sequence;
    return stream->last_sequence >= next ? stream->last_sequence - next + 1 : 0;
}

// Of what waits: dead before a seek, or not there. A look at so many runs, the rest counts as waiting.
static uint64_t finished_ahead(const struct consumer *consumer)
{
    const struct stream_totals *stream = &consumer->stream->state;
    uint64_t count = 0, first, last, from = consumer->next_sequence;
    from = from > stream->first_sequence ? from : stream->first_sequence;
    if (from > consumer->acked_max)
        return 0;
    for (int i = 0; i < AHEAD_LOOK && seqset_next_present(&consumer->acked, from, &first, &last); i++) {
        if (first > stream->last_sequence)
            break;
        last = last < stream->last_sequence ? last : stream->last_sequence;
        count += last - first + 1;
        from = last + 1;
    }
    return count;
}

static uint64_t waiting_bytes(const struct consumer *consumer)
{
    const struct stream *stream = consumer->stream;
    uint64_t at = consumer->position_bytes > stream->evicted_bytes ? consumer->position_bytes : stream->evicted_bytes;
    uint64_t end = stream->evicted_bytes + stream->state.bytes;
    return waiting(consumer) && at < end ? end - at : 0;
}

// Everything below the position that is not finished is pending. Acknowledgements that are being recorded are skipped, within reason.
static uint64_t oldest_pending(const struct consumer *consumer)
{
    uint64_t sequence = consumer->ack_floor + 1;
    int holes = HOLES_LOOK;
    struct pending_info least;
    const struct pending *pending = next_pending(consumer, &sequence, &holes);
    for (int i = 0; i < OLDEST_LOOK && pending && pending->state == PENDING_ACKED; i++) {
        sequence++;
        pending = next_pending(consumer, &sequence, &holes);
    }
    if (holes == 0 && list_sparse(consumer, sequence, 0, &least, 1))
        return least.sequence;
    return pending ? sequence : 0;
}

// The one at *sequence or else behind it; *sequence becomes its. NULL with *holes 0: too many were looked at, and *sequence is the next.
static struct pending *next_pending(const struct consumer *consumer, uint64_t *sequence, int *holes)
{
    uint64_t first = consumer->stream->state.first_sequence;
    *sequence = *sequence < first ? first : *sequence;
    for (; *holes && *sequence < consumer->next_sequence; ++*sequence, --*holes) {
        if (*sequence <= consumer->acked_max)
            *sequence = seqset_next_absent(&consumer->acked, *sequence);
        struct pending *pending = pending_find(consumer, *sequence);
        if (pending)
            return pending;
    }
    return NULL;
}

// The lowest ones from `from` on, behind the `count` that are there; as many steps as there are pending ones, however far apart.
static size_t list_sparse(const struct consumer *consumer, uint64_t from, size_t count, struct pending_info *ret,
                          size_t max)
{
    size_t pos = 0, begin = count;
    uint64_t sequence;
    for (const struct pending *p = map_u64_next(&consumer->pending, &pos, &sequence); p;
         p = map_u64_next(&consumer->pending, &pos, &sequence)) {
        bool fits = begin < max && (count < max || sequence < ret[max - 1].sequence);
        if (!fits || sequence < from || sequence >= consumer->next_sequence || p->state == PENDING_ACKED)
            continue;
        count += count < max;
        size_t at = count - 1;
        for (; at > begin && ret[at - 1].sequence > sequence; at--)
            ret[at] = ret[at - 1];
        info_get(consumer, p, &ret[at]);
    }
    return count;
}

static void info_get(const struct consumer *consumer, const struct pending *pending, struct pending_info *ret)
{
    static const enum pending_place places[] = {
        [PENDING_OUT] = PENDING_WITH_MEMBER,        [PENDING_WAITING] = PENDING_FOR_REDELIVERY,
        [PENDING_READING] = PENDING_FOR_REDELIVERY, [PENDING_DELAYED] = PENDING_HELD_BACK,
        [PENDING_DYING] = PENDING_RUN_OUT,
    };
    const struct engine_time *now = &consumer->stream->engine->now;
    *ret = (struct pending_info){
        .sequence = pending->sequence,
        .member = pending->holder,
        .attempts = pending->attempts,
        .place = places[pending->state],
        .size = pending->size,
        .delivered_ns = pending->delivered_ns,
    };
    uint64_t due_ns = pending->state == PENDING_OUT       ? pending->deadline_ns
                      : pending->state == PENDING_DELAYED ? pending->node.key
                                                          : UINT64_MAX;
    if (due_ns != UINT64_MAX)
        ret->deadline_ns = now->wall_ns + (due_ns - now->mono_ns);
}
