// SPDX-License-Identifier: Apache-2.0
// What goes to the log at the end of a turn: per consumer one record of its deliveries and one of its acknowledgements, as runs, and when
// there are several consumers, as parts of one record (turn.c). What was given back is recorded between the deliveries before and after it.
// No delivery waits for its record; an acknowledgement counts when its record is committed. If the log takes nothing, both are
// kept for later; what a dropped tail had is recorded again, because it did happen.
#include "stream/engine_internal.h"

enum { BODY_MAX = 65536, FIRST_RUNS = 16 };

static void write_linked(struct engine *engine, struct consumer *consumer);
static void add_run(struct consumer *consumer, struct journal_run run);
static void make_room(struct consumer *consumer);
static bool write_consumer(struct engine *engine, struct consumer *consumer);
static bool write_runs(struct engine *engine, struct consumer *consumer);
static bool put(struct engine *engine, uint16_t kind, uint32_t consumer, uint64_t *ret_index);
static bool write_acked(struct engine *engine, struct consumer *consumer);
static bool write_passage(struct engine *engine, struct passage *passage, uint32_t consumer);
static void end_passage(struct consumer *consumer);
static struct list *encode_acks(struct consumer *consumer, struct buffer *to);
static int apply_run(struct consumer *consumer, uint64_t first, uint64_t last, uint32_t member, uint32_t attempt);
static int apply_one(struct consumer *consumer, uint64_t sequence, struct member *member, uint32_t id,
                     uint32_t attempt);
static void apply_returned(struct consumer *consumer, uint64_t first, uint64_t last, uint32_t attempts,
                           uint64_t until_ms);
static bool is_beyond(const struct consumer *consumer, uint64_t sequence);
static int fill_gap(struct consumer *consumer, uint64_t end);
static void runs_recorded(struct consumer *consumer, uint64_t index);
static void drop_runs(struct consumer *consumer, uint64_t last_good);
static void drop_acks(struct consumer *consumer, uint64_t last_good);
static void drop_passage(struct consumer *consumer, uint64_t last_good);

void journal_delivered(struct consumer *consumer, uint64_t sequence, uint32_t member, uint32_t attempt)
{
    add_run(consumer, (struct journal_run){sequence, sequence, .member = member, .attempt = attempt});
}

void journal_returned(struct consumer *consumer, uint64_t sequence, uint32_t attempts, uint64_t until_ms)
{
    add_run(consumer, (struct journal_run){sequence, sequence, .attempt = attempts, .returned = true, until_ms});
}

void journal_passed(struct consumer *consumer, uint64_t first, uint64_t last)
{
    must(!consumer->passage);
    consumer->passage = mem_alloc(sizeof(*consumer->passage));
    *consumer->passage = (struct passage){.first = first, .last = last};
    journal_link(consumer);
}

void journal_link(struct consumer *consumer)
{
    if (!list_is_linked(&consumer->journal_link))
        list_push_back(&consumer->stream->engine->journal, &consumer->journal_link);
}

struct pending *journal_pending(struct consumer *consumer, uint64_t sequence)
{
    struct pending *pending = pending_find(consumer, sequence);
    if (!pending && apply_run(consumer, sequence, sequence, 0, 0) == 0)
        pending = pending_find(consumer, sequence);
    return pending;
}

// If the log took nothing the last time, the turn's end tries again.
void journal_write_some(struct engine *engine, struct consumer *const *consumers, size_t count)
{
    engine->turn.wanted = true;
    for (size_t i = 0; count > 1 && i < count && !engine->journal_refused; i++) {
        if (list_is_linked(&consumers[i]->journal_link))
            write_linked(engine, consumers[i]);
    }
    turn_close(engine);
    engine->turn.wanted = false;
}

void journal_write(struct engine *engine)
{
    engine->turn.wanted = engine->journal.next != engine->journal.prev;
    list_foreach(link, &engine->journal) write_linked(engine, container_of(link, struct consumer, journal_link));
    turn_close(engine);
    engine->turn.wanted = false;
}

void journal_put_run(struct buffer *to, uint64_t *last, uint64_t first, uint64_t end)
{
    codec_put_two(to, codec_zigzag((int64_t)(first - *last - 1)), end - first);
    *last = end;
}

int journal_get_run(struct bytes *from, uint64_t *last, uint64_t *ret_first, uint64_t *ret_last)
{
    uint64_t step, length;
    if (codec_get_number(from, &step) || codec_get_number(from, &length))
        return ERR_CORRUPT;
    *ret_first = *last + 1 + (uint64_t)codec_unzigzag(step);
    *ret_last = *ret_first + length;
    *last = *ret_last;
    return *ret_first == 0 || *ret_last < *ret_first || *ret_last > SEQUENCE_MAX ? ERR_CORRUPT : 0;
}

bool journal_flush(struct consumer *consumer)
{
    consumer_dirty(consumer);
    return write_consumer(consumer->stream->engine, consumer);
}

void journal_drop(struct engine *engine, uint64_t last_good)
{
    list_foreach(link, &engine->stream_list)
    {
        list_foreach(consumer_link, &container_of(link, struct stream, link)->consumers)
        {
            struct consumer *consumer = container_of(consumer_link, struct consumer, link);
            drop_runs(consumer, last_good);
            if (consumer->acked_count)
                drop_acks(consumer, last_good);
            if (consumer->passage)
                drop_passage(consumer, last_good);
            death_drop(consumer, last_good);
            dead_drop(consumer, last_good);
            stream_limits_claim_drop(consumer, last_good);
        }
    }
}

int journal_apply_delivered(struct engine *engine, const struct record *record, uint64_t index)
{
    struct consumer *consumer;
    int error = consumer_of_record(engine, record->object, index, &consumer);
    if (error || !consumer)
        return error;
    if (engine->live) {
        runs_recorded(consumer, index);
        return 0;
    }
    struct bytes body = record->body;
    uint64_t at = 0;
    while (body.len) {
        uint64_t first, last, member, attempt;
        if (journal_get_run(&body, &at, &first, &last) || codec_get_number(&body, &member) ||
            codec_get_number(&body, &attempt) || member > UINT32_MAX || attempt >= 1 << 24)
            return ERR_CORRUPT;
        error = apply_run(consumer, first, last, (uint32_t)member, (uint32_t)attempt);
        if (error)
            return error;
    }
    consumer->pick_sequence = consumer->next_sequence;
    consumer_dirty(consumer);
    return 0;
}

int journal_apply_returned(struct engine *engine, const struct record *record, uint64_t index)
{
    struct consumer *consumer;
    int error = consumer_of_record(engine, record->object, index, &consumer);
    if (error || !consumer)
        return error;
    if (engine->live) {
        runs_recorded(consumer, index);
        return 0;
    }
    struct bytes body = record->body;
    uint64_t at = 0;
    while (body.len) {
        uint64_t first, last, attempts, until_ms;
        if (journal_get_run(&body, &at, &first, &last) || codec_get_number(&body, &attempts) ||
            codec_get_number(&body, &until_ms) || attempts >= 1 << 24 || until_ms > UINT64_MAX / 1000000)
            return ERR_CORRUPT;
        error = apply_run(consumer, first, last, 0, 0);
        if (error)
            return error;
        apply_returned(consumer, first, last, (uint32_t)attempts, until_ms);
    }
    consumer->pick_sequence = consumer->next_sequence;
    consumer_dirty(consumer);
    return 0;
}

int journal_apply_acked(struct engine *engine, const struct record *record, uint64_t index)
{
    struct consumer *consumer;
    int error = consumer_of_record(engine, record->object, index, &consumer);
    if (error || !consumer)
        return error;
    struct bytes body = record->body;
    uint64_t at = 0;
    while (body.len) {
        uint64_t first, last;
        if (journal_get_run(&body, &at, &first, &last))
            return ERR_CORRUPT;
        pending_finish(consumer, first, last);
    }
    if (consumer->passage && consumer->passage->index && consumer->passage->index <= index)
        end_passage(consumer);
    consumer_dirty(consumer);
    return 0;
}

static void write_linked(struct engine *engine, struct consumer *consumer)
{
    if (write_consumer(engine, consumer))
        list_remove(&consumer->journal_link);
    consumer_dirty(consumer);
}

static void add_run(struct consumer *consumer, struct journal_run run)
{
    struct journal_run *last =
        consumer->run_count > consumer->run_written ? &consumer->runs[consumer->run_count - 1] : NULL;
    if (consumer->seeking)
        return; // it will be forgotten
    if (last && last->member == run.member && last->attempt == run.attempt && last->returned == run.returned &&
        last->until_ms == run.until_ms && last->last + 1 == run.first) {
        last->last = run.last;
        return;
    }
    if (consumer->run_count == consumer->run_cap)
        make_room(consumer);
    consumer->runs[consumer->run_count++] = run;
    journal_link(consumer);
}

// Behind the last one; what is at the front and not needed any more makes room if it is half of it.
static void make_room(struct consumer *consumer)
{
    uint32_t head = consumer->run_head;
    if (head && head >= consumer->run_cap / 2) {
        memmove(consumer->runs, consumer->runs + head, (consumer->run_count - head) * sizeof(*consumer->runs));
        consumer->run_written -= head;
        consumer->run_count -= head;
        consumer->run_head = 0;
        return;
    }
    consumer->run_cap = consumer->run_cap ? consumer->run_cap * 2 : FIRST_RUNS;
    consumer->runs = mem_realloc(consumer->runs, consumer->run_cap * sizeof(*consumer->runs));
}

static bool write_consumer(struct engine *engine, struct consumer *consumer)
{
    while (consumer->run_written < consumer->run_count) {
        if (!write_runs(engine, consumer))
            break;
    }
    if (consumer->run_count - consumer->run_written > ENGINE_RUNS_MAX)
        consumer->run_count = consumer->run_written;
    if (consumer->run_written < consumer->run_count || !death_write(consumer))
        return false;
    while (!list_empty(&consumer->acks)) {
        if (!write_acked(engine, consumer))
            return false;
    }
    return !consumer->passage || consumer->passage->index || write_passage(engine, consumer->passage, consumer->id);
}

// The first ones, as far as they are of one kind and fit one record.
static bool write_runs(struct engine *engine, struct consumer *consumer)
{
    struct buffer *body = &engine->scratch;
    uint64_t last = 0;
    uint32_t count = 0;
    struct journal_run *runs = consumer->runs + consumer->run_written;
    bool returned = runs->returned;
    buffer_clear(body);
    for (; count < consumer->run_count - consumer->run_written && body->len < BODY_MAX; count++) {
        const struct journal_run *run = &runs[count];
        if (run->returned != returned)
            break;
        journal_put_run(body, &last, run->first, run->last);
        codec_put_two(body, returned ? run->attempt : run->member, returned ? run->until_ms : run->attempt);
    }
    uint64_t index;
    if (!put(engine, returned ? RECORD_RETURNED : RECORD_DELIVERED, consumer->id, &index))
        return false;
    consumer->run_written += count;
    while (count)
        runs[--count].index = index;
    return true;
}

// What is in scratch, as a part of the turn's record or as a record of its own.
static bool put(struct engine *engine, uint16_t kind, uint32_t consumer, uint64_t *ret_index)
{
    struct bytes body = buffer_bytes(&engine->scratch);
    if (turn_put(engine, kind, consumer, body, ret_index))
        return true;
    turn_close(engine);
    if (engine_admit(engine, body.len, true))
        return false;
    *ret_index = engine_append(engine, kind, consumer, body);
    return true;
}

static bool write_acked(struct engine *engine, struct consumer *consumer)
{
    buffer_clear(&engine->scratch);
    struct list *end = encode_acks(consumer, &engine->scratch);
    uint64_t index;
    if (!put(engine, RECORD_ACKED, consumer->id, &index))
        return false;
    while (consumer->acks.next != end) {
        struct list *link = list_pop_front(&consumer->acks);
        container_of(link, struct pending, link)->index = index;
    }
    return true;
}

static bool write_passage(struct engine *engine, struct passage *passage, uint32_t consumer)
{
    uint64_t last = 0;
    buffer_clear(&engine->scratch);
    journal_put_run(&engine->scratch, &last, passage->first, passage->last);
    return put(engine, RECORD_ACKED, consumer, &passage->index);
}

static void end_passage(struct consumer *consumer)
{
    mem_free(consumer->passage);
    consumer->passage = NULL;
    consumer_wake(consumer);
}

// In the order in which they came; returns the first link that had no room.
static struct list *encode_acks(struct consumer *consumer, struct buffer *to)
{
    struct list *link = consumer->acks.next;
    uint64_t last = 0, first = container_of(link, struct pending, link)->sequence, end = first;
    for (link = link->next; link != &consumer->acks && to->len < BODY_MAX; link = link->next) {
        uint64_t sequence = container_of(link, struct pending, link)->sequence;
        if (sequence == end + 1) {
            end = sequence;
            continue;
        }
        journal_put_run(to, &last, first, end);
        first = end = sequence;
    }
    journal_put_run(to, &last, first, end);
    return link;
}

// Recovery: these were with this member when the server ended. Attempt 0: passed over, because it could not be read.
static int apply_run(struct consumer *consumer, uint64_t first, uint64_t last, uint32_t id, uint32_t attempt)
{
    struct member *member = id ? member_in(consumer, id) : NULL;
    if (last - first > ENGINE_PENDING_MAX)
        return ERR_CORRUPT;
    if (is_beyond(consumer, first))
        return 0; // delivered again, with all that lies before it
    int error = fill_gap(consumer, first);
    if (consumer->next_sequence <= last)
        consumer->next_sequence = last + 1;
    first = first > consumer->ack_floor ? first : consumer->ack_floor + 1;
    for (; !error && (first = seqset_next_absent(&consumer->acked, first)) <= last; first++)
        error = apply_one(consumer, first, member, id, attempt);
    return error;
}

static int apply_one(struct consumer *consumer, uint64_t sequence, struct member *member, uint32_t id, uint32_t attempt)
{
    struct pending *pending = pending_find(consumer, sequence);
    if (!pending && pending_room(consumer->stream->engine) == 0)
        return ERR_CORRUPT;
    if (!pending)
        pending = pending_new(consumer, sequence);
    if (attempt > pending->attempts)
        pending->attempts = attempt & 0xffffff;
    if (pending->state == PENDING_DYING)
        return 0;
    if (member)
        pending_set_out(consumer, pending, member, UINT64_MAX);
    else
        pending_set_waiting(consumer, pending);
    pending->holder = id;
    return 0;
}

// They wait, because apply_run() put them there, with nobody.
static void apply_returned(struct consumer *consumer, uint64_t first, uint64_t last, uint32_t attempts,
                           uint64_t until_ms)
{
    first = first > consumer->ack_floor ? first : consumer->ack_floor + 1;
    for (; (first = seqset_next_absent(&consumer->acked, first)) <= last && first < consumer->next_sequence; first++) {
        struct pending *pending = pending_find(consumer, first);
        if (!pending || pending->state == PENDING_DYING)
            continue;
        pending->attempts = attempts & 0xffffff;
        if (until_ms)
            pending_set_delayed(consumer, pending, until_ms * 1000000);
    }
}

// Do so many numbers lie between the position and this one that nobody can have them? Damage took a record that passed over them all.
static bool is_beyond(const struct consumer *consumer, uint64_t sequence)
{
    uint64_t from = consumer->next_sequence, first = consumer->stream->state.first_sequence, open = 0, last;
    for (from = from < first ? first : from; from < sequence && open <= ENGINE_PARKED_MAX; from = last + 1) {
        if (!seqset_next_present(&consumer->acked, from, &first, &last) || first > sequence)
            first = last = sequence;
        open += first - from;
    }
    return open > ENGINE_PARKED_MAX || open > pending_room(consumer->stream->engine);
}

// Sequences that were passed over had a record that a refused batch took along: they went out, to an unknown member.
static int fill_gap(struct consumer *consumer, uint64_t end)
{
    int error = 0;
    uint64_t sequence = consumer->next_sequence, first = consumer->stream->state.first_sequence;
    uint64_t behind = consumer->stream->state.last_sequence + 1;
    end = end < behind ? end : behind;
    sequence = sequence < first ? first : sequence;
    sequence = sequence <= consumer->ack_floor ? consumer->ack_floor + 1 : sequence;
    for (; !error && (sequence = seqset_next_absent(&consumer->acked, sequence)) < end; sequence++)
        error = apply_one(consumer, sequence, NULL, 0, 1);
    return error;
}

// Their record is committed, so nobody will ask for it again.
static void runs_recorded(struct consumer *consumer, uint64_t index)
{
    while (consumer->run_head < consumer->run_written && consumer->runs[consumer->run_head].index <= index)
        consumer->run_head++;
    if (consumer->run_head == consumer->run_count)
        consumer->run_head = consumer->run_written = consumer->run_count = 0;
}

static void drop_runs(struct consumer *consumer, uint64_t last_good)
{
    uint32_t *written = &consumer->run_written;
    while (*written > consumer->run_head && consumer->runs[*written - 1].index > last_good)
        --*written;
    if (*written < consumer->run_count)
        journal_link(consumer);
}

static void drop_acks(struct consumer *consumer, uint64_t last_good)
{
    size_t pos = 0;
    uint64_t sequence;
    for (struct pending *p = map_u64_next(&consumer->pending, &pos, &sequence); p;
         p = map_u64_next(&consumer->pending, &pos, &sequence)) {
        if (p->state != PENDING_ACKED || p->index <= last_good)
            continue;
        p->index = 0;
        list_push_back(&consumer->acks, &p->link);
        journal_link(consumer);
    }
}

static void drop_passage(struct consumer *consumer, uint64_t last_good)
{
    if (consumer->passage->index <= last_good)
        return;
    consumer->passage->index = 0;
    journal_link(consumer);
}
