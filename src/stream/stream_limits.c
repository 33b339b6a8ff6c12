// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine
// What a stream may hold: number, bytes and age of messages. Beyond it the oldest go, finished or not (ST-B20), as one record per
// turn with the result: the new first sequence, and how many messages and bytes left. Only messages that are committed go. A stream
// with discard_new lets only go what every consumer has finished; there a publish asks for room first, and is refused without.
#include "stream/engine_internal.h"

enum { SIZES_BATCH = 128, EVICT_SIZE = 24 };

struct eviction {
    uint64_t first; // the new first sequence
    uint64_t count, bytes;
    uint64_t oldest_ns;              // time of the first message that stays, if known
    uint64_t room_count, room_bytes; // to be made for a message that comes
    bool wait, more, held_back;
    uint64_t purged, purged_bytes; // of these, what goes because somebody wants it
};

static void take_away(struct stream_totals *totals, uint64_t first, uint64_t count, uint64_t bytes);
static bool is_over(const struct stream *stream, const struct eviction *eviction, uint64_t time_ns);
static bool is_over_without_age(const struct stream *stream, const struct eviction *eviction);
static bool is_protected(struct stream *stream, uint64_t sequence);
static void choose(struct stream *stream, size_t *budget, struct eviction *eviction);
static bool take_batch(struct stream *stream, struct eviction *eviction, const struct engine_size *sizes, size_t count);
static bool is_purged(const struct stream *stream, const struct eviction *eviction, uint64_t sequence,
                      uint64_t time_ns);
static bool takes_all(const struct stream *stream);
static int write_record(struct stream *stream, const struct eviction *eviction);
static bool run(struct stream *stream, size_t *budget);
static void age_fire(struct wheel_timer *timer, uint64_t now_ms);
static void age_timer_set(struct stream *stream, uint64_t oldest_ns);

void stream_limits_look(struct stream *stream)
{
    const struct stream_config *config = &stream->config;
    const struct stream_totals *tail = &stream->tail;
    bool over = (config->max_msgs && tail->messages > config->max_msgs) ||
                (config->max_bytes && tail->bytes > config->max_bytes) ||
                (config->max_age_ns && tail->messages && !wheel_is_set(&stream->age_timer));
    if (((over && !stream->held_back) || stream->purge) && !list_is_linked(&stream->limits_link))
        list_push_back(&stream->engine->limited, &stream->limits_link);
}

int stream_limits_room(struct stream *stream, size_t size)
{
    struct eviction eviction = {.room_count = 1, .room_bytes = size};
    size_t budget = SIZES_BATCH;
    if (!stream->config.discard_new || !is_over_without_age(stream, &eviction))
        return 0;
    if (stream->config.max_bytes && size > stream->config.max_bytes)
        return ERR_TOO_BIG;
    choose(stream, &budget, &eviction);
    bool enough = !is_over_without_age(stream, &eviction);
    if (!enough && !eviction.wait && !eviction.more)
        return ERR_FULL; // then nothing goes for nothing
    if (eviction.count && write_record(stream, &eviction))
        return ERR_AGAIN;
    return enough ? 0 : ERR_AGAIN;
}

void stream_limits_floor_moved(struct stream *stream)
{
    stream->finished_known = false;
    if (!stream->held_back)
        return;
    stream->held_back = false;
    wheel_cancel(&stream->engine->wheel, &stream->age_timer);
    stream_limits_look(stream);
}

void stream_limits_claim(struct consumer *consumer, uint64_t sequence, uint64_t index)
{
    if (!consumer->claimed || sequence < consumer->claimed)
        consumer->claimed = sequence;
    consumer->claim_index = index;
    stream_limits_floor_moved(consumer->stream);
}

void stream_limits_claim_end(struct consumer *consumer, uint64_t index)
{
    if (consumer->claim_index <= index)
        consumer->claimed = 0;
    stream_limits_floor_moved(consumer->stream);
}

void stream_limits_claim_drop(struct consumer *consumer, uint64_t last_good)
{
    if (consumer->claim_index <= last_good)
        return;
    consumer->claimed = consumer->claim_index = 0;
    stream_limits_floor_moved(consumer->stream);
}

bool stream_limits_step(struct engine *engine, size_t *budget)
{
    struct list again;
    list_init(&again);
    for (struct list *link = list_first(&engine->limited); link && *budget; link = list_first(&engine->limited)) {
        struct stream *stream = container_of(link, struct stream, limits_link);
        list_remove(link);
        if (run(stream, budget))
            list_push_back(&engine->limited, link);
        else
            list_push_back(&again, link);
    }
    bool more = !list_empty(&engine->limited);
    list_foreach(link, &again)
    {
        struct stream *stream = container_of(link, struct stream, limits_link);
        list_remove(link);
        if (stream->sizes_wait)
            list_push_back(&engine->limited, link);
        else
            stream_limits_look(stream);
    }
    return more;
}

int stream_limits_apply(struct engine *engine, const struct record *record, uint64_t index)
{
    struct stream *stream;
    int error = stream_of_record(engine, record->object, index, &stream);
    if (error || !stream)
        return error;
    stream_commit_marks(stream, index);
    struct stream_totals *state = &stream->state;
    if (record->body.len != EVICT_SIZE)
        return ERR_CORRUPT;
    uint64_t first = get_u64(record->body.ptr), count = get_u64(record->body.ptr + 8),
             bytes = get_u64(record->body.ptr + 16);
    if (!engine->live) {
        // What it names may have been lost with a damaged entry.
        count = count < state->messages ? count : state->messages;
        bytes = bytes < state->bytes ? bytes : state->bytes;
        if (first > state->last_sequence + 1 && first <= SEQUENCE_MAX)
            state->last_sequence = first - 1;
    }
    if (first < state->first_sequence || first > state->last_sequence + 1 || count > state->messages ||
        bytes > state->bytes)
        return ERR_CORRUPT;
    engine->stats.messages -= state->messages;
    engine->stats.bytes -= state->bytes;
    stream->evicted_bytes += state->bytes;
    take_away(state, first, count, bytes);
    stream->evicted_bytes -= state->bytes;
    engine->stats.messages += state->messages;
    engine->stats.bytes += state->bytes;
    stream_dirty(stream);
    stream_activate(stream);
    engine->options.host.trimmed(engine->options.host.owner, stream->id, first);
    return 0;
}

int engine_stream_purge(struct engine *engine, struct stream *stream, struct stream_purge *purge,
                        struct engine_time now)
{
    engine_time_set(engine, now);
    if (stream->deleting || engine->quiet)
        return stream->deleting ? ERR_NOT_FOUND : ERR_CLOSED;
    if (stream->purge)
        return ERR_IN_USE;
    uint64_t end = stream->state.last_sequence + 1, messages = stream->tail.messages;
    purge->messages = purge->bytes = 0;
    purge->index = engine->last_index;
    purge->before_sequence = purge->before_sequence < end ? purge->before_sequence : end;
    purge->left = purge->keep == 0 ? UINT64_MAX : messages > purge->keep ? messages - purge->keep : 0;
    purge->stream = stream;
    stream->purge = purge;
    stream_limits_look(stream);
    return 0;
}

void engine_purge_cancel(struct stream_purge *purge)
{
    if (purge->stream)
        purge->stream->purge = NULL;
    purge->stream = NULL;
}

void stream_limits_purge_end(struct stream *stream, int error)
{
    struct stream_purge *purge = stream->purge;
    if (!purge)
        return;
    engine_purge_cancel(purge);
    purge->done(purge, error);
}

// Messages that damage took are still counted; they are forgotten here, so that no more are counted than can be there.
static void take_away(struct stream_totals *totals, uint64_t first, uint64_t count, uint64_t bytes)
{
    uint64_t room = totals->last_sequence + 1 - first;
    totals->first_sequence = first;
    totals->messages = totals->messages - count < room ? totals->messages - count : room;
    totals->bytes = totals->messages ? totals->bytes - bytes : 0;
}

// Must the oldest message, of this time, go as well?
static bool is_over(const struct stream *stream, const struct eviction *eviction, uint64_t time_ns)
{
    const struct stream_config *config = &stream->config;
    uint64_t wall_ns = stream->engine->now.wall_ns;
    return is_over_without_age(stream, eviction) ||
           (config->max_age_ns && wall_ns > config->max_age_ns && time_ns <= wall_ns - config->max_age_ns);
}

static bool is_over_without_age(const struct stream *stream, const struct eviction *eviction)
{
    const struct stream_config *config = &stream->config;
    uint64_t messages = stream->tail.messages + eviction->room_count - eviction->count;
    uint64_t bytes = stream->tail.bytes + eviction->room_bytes - eviction->bytes;
    return (config->max_msgs && messages > config->max_msgs) || (config->max_bytes && bytes > config->max_bytes);
}

// Must it stay, because a consumer has not finished it?
static bool is_protected(struct stream *stream, uint64_t sequence)
{
    if (!stream->config.discard_new)
        return false;
    if (!stream->finished_known) {
        stream->finished = list_empty(&stream->consumers) ? 0 : UINT64_MAX;
        list_foreach(link, &stream->consumers)
        {
            const struct consumer *consumer = container_of(link, struct consumer, link);
            uint64_t floor = consumer->ack_floor;
            if (consumer->claimed && consumer->claimed <= floor)
                floor = consumer->claimed - 1;
            stream->finished = floor < stream->finished ? floor : stream->finished;
        }
        stream->finished_known = true;
    }
    return sequence > stream->finished;
}

// Is it among what somebody wants to be gone?
static bool is_purged(const struct stream *stream, const struct eviction *eviction, uint64_t sequence, uint64_t time_ns)
{
    const struct stream_purge *purge = stream->purge;
    return purge && sequence < purge->before_sequence && time_ns < purge->before_time_ns &&
           eviction->purged < purge->left;
}

// Everything, and how much that is is known.
static bool takes_all(const struct stream *stream)
{
    const struct stream_purge *purge = stream->purge;
    const struct stream_totals *tail = &stream->tail;
    return purge && tail->last_sequence == stream->state.last_sequence &&
           purge->before_sequence > tail->last_sequence && purge->before_time_ns == UINT64_MAX &&
           purge->left >= tail->messages;
}

// The caller has set what room is wanted.
static void choose(struct stream *stream, size_t *budget, struct eviction *eviction)
{
    const struct engine_host *host = &stream->engine->options.host;
    struct engine_size sizes[SIZES_BATCH];
    eviction->first = stream->tail.first_sequence;
    if (takes_all(stream)) {
        eviction->first = stream->tail.last_sequence + 1;
        eviction->count = eviction->purged = stream->tail.messages;
        eviction->bytes = eviction->purged_bytes = stream->tail.bytes;
        return;
    }
    eviction->held_back = !stream->purge && is_protected(stream, eviction->first);
    while (!eviction->held_back) {
        if (*budget == 0) {
            eviction->more = true;
            return;
        }
        size_t max = *budget < SIZES_BATCH ? *budget : SIZES_BATCH;
        size_t count = host->sizes(host->owner, stream->id, eviction->first, sizes, max, &eviction->wait);
        if (count == 0)
            return;
        *budget -= count;
        eviction->wait = false;
        if (!take_batch(stream, eviction, sizes, count))
            return;
    }
}

static bool take_batch(struct stream *stream, struct eviction *eviction, const struct engine_size *sizes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool purged = is_purged(stream, eviction, sizes[i].sequence, sizes[i].time_ns);
        bool over = purged || is_over(stream, eviction, sizes[i].time_ns);
        eviction->held_back = over && !purged && is_protected(stream, sizes[i].sequence);
        if (!over || eviction->held_back) {
            eviction->oldest_ns = sizes[i].time_ns;
            return false;
        }
        must(sizes[i].sequence >= eviction->first && sizes[i].sequence <= stream->state.last_sequence);
        eviction->first = sizes[i].sequence + 1;
        eviction->count++;
        eviction->bytes += sizes[i].size;
        eviction->purged += purged;
        eviction->purged_bytes += purged ? sizes[i].size : 0;
    }
    return true;
}

static int write_record(struct stream *stream, const struct eviction *eviction)
{
    char body[EVICT_SIZE];
    int error = engine_admit(stream->engine, EVICT_SIZE, true);
    if (error)
        return error;
    put_u64(body, eviction->first);
    put_u64(body + 8, eviction->count);
    put_u64(body + 16, eviction->bytes);
    uint64_t index = engine_append(stream->engine, RECORD_STREAM_EVICT, stream->id, bytes_make(body, EVICT_SIZE));
    take_away(&stream->tail, eviction->first, eviction->count, eviction->bytes);
    stream_mark(stream, index);
    if (stream->purge && eviction->purged) {
        stream->purge->messages += eviction->purged;
        stream->purge->bytes += eviction->purged_bytes;
        stream->purge->left -= eviction->purged;
        stream->purge->index = index;
    }
    return 0;
}

// Returns whether more is to be done at once.
static bool run(struct stream *stream, size_t *budget)
{
    struct eviction eviction = {0};
    stream->sizes_wait = false;
    if (stream->deleting || stream->tail.messages == 0)
        stream_limits_purge_end(stream, stream->deleting ? ERR_NOT_FOUND : 0);
    if (stream->deleting || stream->updates || stream->tail.messages == 0)
        return false;
    choose(stream, budget, &eviction);
    int error = eviction.count ? write_record(stream, &eviction) : 0;
    if (error || (!eviction.more && !eviction.wait))
        stream_limits_purge_end(stream, error);
    if (error)
        return false;
    stream->sizes_wait = eviction.wait;
    stream->held_back = eviction.held_back;
    if (stream->config.max_age_ns && !eviction.more && !eviction.wait && !eviction.held_back)
        age_timer_set(stream, eviction.oldest_ns);
    return eviction.more;
}

static void age_fire(struct wheel_timer *timer, uint64_t now_ms)
{
    struct stream *stream = container_of(timer, struct stream, age_timer);
    (void)now_ms;
    stream_limits_look(stream);
}

// When the oldest message that stays is due; without one (all of them are still being committed) soon.
static void age_timer_set(struct stream *stream, uint64_t oldest_ns)
{
    struct engine *engine = stream->engine;
    uint64_t wait_ms = ENGINE_RETRY_MS;
    if (oldest_ns) {
        uint64_t due_ns = oldest_ns + stream->config.max_age_ns;
        wait_ms = due_ns > engine->now.wall_ns ? (due_ns - engine->now.wall_ns) / 1000000 + 1 : 1;
    }
    wait_ms = wait_ms < ENGINE_AGE_LOOK_MS ? wait_ms : ENGINE_AGE_LOOK_MS;
    stream->age_timer.fire = age_fire;
    if (stream->tail.messages)
        wheel_set(&engine->wheel, &stream->age_timer, engine_now_ms(engine) + wait_ms);
}
