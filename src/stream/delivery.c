// SPDX-License-Identifier: Apache-2.0
// The pump: who has work gets a slice of the turn. A consumer picks a message and a member, reserves a place, reads, and sends
// when the message is there. Redeliveries go before new messages (ST-B11), and what is read leaves in the order in which it was
// picked, so first deliveries leave in sequence order although the disk may answer in any. When the answer comes, everything
// is checked again: stream trimmed, message acknowledged, member gone.
#include "stream/engine_internal.h"

enum { SERVED_MAX = 4 * ENGINE_FIND_MAX };

static bool has_room(const struct engine *engine);
static bool serve_some(struct engine *engine, size_t *budget);
static void serve_ahead(const struct engine *engine);
static struct consumer *next_to_serve(struct engine *engine);
static bool step_consumer(struct consumer *consumer, size_t *budget);
static uint32_t reads_allowed(const struct consumer *consumer);
static bool start_next(struct consumer *consumer, size_t *budget);
static bool start_redelivery(struct consumer *consumer, struct pending *pending);
static bool start_first(struct consumer *consumer);
static bool turned_away(struct consumer *consumer);
static uint64_t next_to_pick(struct consumer *consumer);
static void fetch_start(struct consumer *consumer, uint64_t sequence, struct member *member, struct pending *pending);
static void fetch_done(struct engine_read *read);
static void fetch_unreserve(struct fetch *fetch);
static void fetch_free(struct fetch *fetch);
static struct member *choose_first(struct consumer *consumer);
static struct member *choose_again(struct consumer *consumer, uint32_t holder);
static void next_ahead(const struct consumer *consumer, const struct choice_entry *entry);
static struct member *member_of(struct choice_entry *entry);
static void arrive(struct consumer *consumer, struct fetch *fetch);
static struct member *take_place(struct consumer *consumer, struct fetch *fetch);
static void arrive_failed(struct consumer *consumer, struct fetch *fetch, int result);
static bool pass_over(struct consumer *consumer, const struct fetch *fetch);
static bool send(struct consumer *consumer, struct fetch *fetch, struct member *member);
static void put_back(struct consumer *consumer, struct fetch *fetch);

bool delivery_step(struct engine *engine, size_t *budget)
{
    for (struct list *link = list_pop_front(&engine->active); link; link = list_pop_front(&engine->active)) {
        struct stream *stream = container_of(link, struct stream, active_link);
        list_foreach(consumer_link, &stream->consumers)
            consumer_wake(container_of(consumer_link, struct consumer, link));
    }
    while (*budget && serve_some(engine, budget))
        ;
    return delivery_can_go_on(engine);
}

bool delivery_can_go_on(const struct engine *engine)
{
    return !roster_is_empty(&engine->work) || (!list_empty(&engine->crowded) && has_room(engine));
}

void delivery_member_lost(struct member *member)
{
    if (member->reserved == 0)
        return;
    list_foreach(link, &member->consumer->fetches)
    {
        struct fetch *fetch = container_of(link, struct fetch, link);
        if (fetch->member == member)
            fetch_unreserve(fetch);
    }
}

void delivery_forget(struct consumer *consumer, struct pending *pending)
{
    list_foreach(link, &consumer->fetches)
    {
        struct fetch *fetch = container_of(link, struct fetch, link);
        if (fetch->pending == pending)
            fetch->pending = NULL;
    }
}

void delivery_cancel(struct consumer *consumer)
{
    const struct engine_host *host = &consumer->stream->engine->options.host;
    for (struct list *link = list_first(&consumer->fetches); link; link = list_first(&consumer->fetches)) {
        struct fetch *fetch = container_of(link, struct fetch, link);
        if (!fetch->done)
            host->read_cancel(host->owner, &fetch->read);
        else if (fetch->read.result == 0)
            host->release(host->owner, fetch->read.hold);
        list_remove(link);
        consumer->fetch_count--;
        put_back(consumer, fetch);
        fetch_free(fetch);
    }
    consumer->pick_sequence = consumer->next_sequence;
}

static bool has_room(const struct engine *engine)
{
    return pool_count(&engine->pendings) < engine->options.max_pending;
}

// A few consumers, and what they have to record, as long as it is in the caches. Returns whether there may be more.
static bool serve_some(struct engine *engine, size_t *budget)
{
    struct consumer *served[SERVED_MAX];
    size_t count = 0;
    bool more = true;
    for (size_t i = 0; more && *budget && i < SERVED_MAX; i++) {
        if (i % ENGINE_FIND_MAX == 0)
            serve_ahead(engine);
        struct consumer *consumer = next_to_serve(engine);
        size_t slice = *budget < ENGINE_SLICE ? *budget : ENGINE_SLICE, left = slice;
        more = consumer != NULL;
        if (consumer && step_consumer(consumer, &left))
            consumer_wake(consumer);
        else if (consumer)
            served[count++] = consumer;
        *budget -= slice - left;
    }
    journal_write_some(engine, served, count);
    return more;
}

// What the next ones need lies where the others have driven it: far from the processor. So all of them call for it, step by step, each of which
// needs what the one before has called for.
static void serve_ahead(const struct engine *engine)
{
    void *consumers[ENGINE_FIND_MAX], *contexts[ENGINE_FIND_MAX];
    uint32_t streams[ENGINE_FIND_MAX];
    uint64_t sequences[ENGINE_FIND_MAX];
    const struct engine_adapter *adapter = NULL;
    size_t count = roster_front(&engine->work, consumers, ENGINE_FIND_MAX), known = 0;
    if (count < 2)
        return;
    for (size_t i = 0; i < count; i++)
        consumer_ahead(consumers[i]);
    for (size_t i = 0; i < count; i++) {
        const struct consumer *consumer = consumers[i];
        stream_ahead(consumer->stream);
        if (!list_empty(&consumer->members))
            member_ahead(container_of(consumer->members.next, struct member, link));
    }
    for (size_t i = 0; i < count; i++) {
        const struct consumer *consumer = consumers[i];
        if (list_empty(&consumer->members) || consumer->pick_sequence > consumer->stream->state.last_sequence)
            continue;
        adapter = engine_adapter_of(engine, consumer);
        map_u64_prefetch(&consumer->pending, consumer->pick_sequence);
        if (consumer->runs)
            prefetch_lines(&consumer->runs[consumer->run_count], sizeof(*consumer->runs));
        contexts[known] = container_of(consumer->members.next, struct member, link)->context;
        streams[known] = consumer->stream->id;
        sequences[known++] = consumer->pick_sequence;
    }
    const struct engine_host *host = &engine->options.host;
    if (known && host->read_ahead)
        host->read_ahead(host->owner, streams, sequences, known);
    if (known && adapter->ahead)
        adapter->ahead(adapter->owner, contexts, known);
}

// NULL: nobody.
static struct consumer *next_to_serve(struct engine *engine)
{
    struct consumer *consumer = roster_pop(&engine->work);
    if (consumer) {
        consumer->work_place = 0;
        return consumer;
    }
    struct list *link = has_room(engine) ? list_pop_front(&engine->crowded) : NULL;
    return link ? container_of(link, struct consumer, crowded_link) : NULL;
}

// Returns whether it stopped for lack of budget.
static bool step_consumer(struct consumer *consumer, size_t *budget)
{
    if (!consumer->committed || consumer->deleting || consumer->stream->deleting || consumer->seeking)
        return false;
    if (pending_trim(consumer, budget) || death_step(consumer, budget))
        return true;
    if (control_is_paused(consumer))
        return false;
    for (;;) {
        struct list *link = list_first(&consumer->fetches);
        struct fetch *fetch = link ? container_of(link, struct fetch, link) : NULL;
        if (*budget == 0)
            return true;
        if (fetch && fetch->done) {
            --*budget;
            list_remove(link);
            consumer->fetch_count--;
            arrive(consumer, fetch);
        } else if (consumer->fetch_count >= reads_allowed(consumer) || !start_next(consumer, budget)) {
            return false;
        }
    }
}

// What has been read and waits for what comes before it pins a block of the store, outside of the cache's budget. So there is a number of
// reads for all consumers, and none begins another while it has as many as are left: n of them come to an n+1st of the number each.
// One is always allowed: who is stopped here waits for a read of its own, which wakes it. Nor does it ask for much more than the store reads
// ahead by itself: what reaches beyond that would be read block by block.
static uint32_t reads_allowed(const struct consumer *consumer)
{
    const struct engine *engine = consumer->stream->engine;
    const struct stream_totals *totals = &consumer->stream->state;
    size_t count = pool_count(&engine->fetches), left = count < ENGINE_READS_MAX ? ENGINE_READS_MAX - count : 1;
    size_t most = left < ENGINE_READ_AHEAD ? left : ENGINE_READ_AHEAD;
    if (consumer->fetch_count < ENGINE_READ_FEW || totals->messages == 0)
        return (uint32_t)most;
    uint64_t fit = ENGINE_READ_AHEAD_BYTES / (totals->bytes / totals->messages + 1);
    fit = fit > ENGINE_READ_FEW ? fit : ENGINE_READ_FEW;
    return (uint32_t)(most < fit ? most : fit);
}

static bool start_next(struct consumer *consumer, size_t *budget)
{
    struct heap_node *node = heap_min(&consumer->redelivery);
    if (node && redelivery_ran_out(consumer, container_of(node, struct pending, node))) {
        --*budget;
        death_begin(consumer, container_of(node, struct pending, node), DEAD_MAX_DELIVER, bytes_make(NULL, 0));
        return true;
    }
    return node ? start_redelivery(consumer, container_of(node, struct pending, node)) : start_first(consumer);
}

static bool start_redelivery(struct consumer *consumer, struct pending *pending)
{
    struct member *member =
        pending_is_revived(pending) ? choose_first(consumer) : choose_again(consumer, pending->holder);
    if (!member)
        return false;
    pending_set_reading(consumer, pending);
    fetch_start(consumer, pending->sequence, member, pending);
    return true;
}

static bool start_first(struct consumer *consumer)
{
    uint64_t sequence = next_to_pick(consumer);
    if (sequence > consumer->stream->state.last_sequence || consumer->passage)
        return false;
    struct member *member = choose_first(consumer);
    if (!member || turned_away(consumer))
        return false;
    consumer->pick_sequence = sequence + 1;
    fetch_start(consumer, sequence, member, NULL);
    return true;
}

// Too many of its own messages are parked, or too many of all are out: it is woken when one has left.
static bool turned_away(struct consumer *consumer)
{
    struct engine *engine = consumer->stream->engine;
    if (consumer->parked >= engine->options.max_parked)
        return true;
    if (has_room(engine))
        return false;
    if (!list_is_linked(&consumer->crowded_link))
        list_push_back(&engine->crowded, &consumer->crowded_link);
    return true;
}

static uint64_t next_to_pick(struct consumer *consumer)
{
    uint64_t sequence = consumer->pick_sequence, first = consumer->stream->state.first_sequence;
    sequence = sequence < first ? first : sequence;
    if (sequence <= consumer->acked_max)
        sequence = seqset_next_absent(&consumer->acked, sequence);
    return sequence;
}

static void fetch_start(struct consumer *consumer, uint64_t sequence, struct member *member, struct pending *pending)
{
    struct engine *engine = consumer->stream->engine;
    struct fetch *fetch = pool_get(&engine->fetches);
    must(fetch);
    *fetch = (struct fetch){
        .read = {.stream = consumer->stream->id, .sequence = sequence, .done = fetch_done},
        .consumer = consumer,
        .member = member,
        .pending = pending,
        .first_time = !pending,
    };
    list_push_back(&consumer->fetches, &fetch->link);
    consumer->fetch_count++;
    member->reserved++;
    member_choice_update(member);
    int result = engine->options.host.read(engine->options.host.owner, &fetch->read);
    if (result == ERR_AGAIN)
        return;
    fetch->read.result = result;
    fetch->done = true;
}

static void fetch_done(struct engine_read *read)
{
    struct fetch *fetch = container_of(read, struct fetch, read);
    fetch->done = true;
    consumer_wake(fetch->consumer);
}

static void fetch_unreserve(struct fetch *fetch)
{
    struct member *member = fetch->member;
    if (!member)
        return;
    must(member->reserved > 0);
    member->reserved--;
    fetch->member = NULL;
    member_choice_update(member);
}

static void fetch_free(struct fetch *fetch)
{
    fetch_unreserve(fetch);
    pool_put(&fetch->consumer->stream->engine->fetches, fetch);
}

static struct member *choose_first(struct consumer *consumer)
{
    struct choice_entry *entry = choice_first(&consumer->choices[CHOICE_FREE], NULL);
    if (entry)
        next_ahead(consumer, entry);
    return member_of(entry ? entry : choice_first(&consumer->choices[CHOICE_SUSPECT_FREE], NULL));
}

// Somebody else than the holder, who may be stuck; with room, but it goes out without it as well (ST-B03).
static struct member *choose_again(struct consumer *consumer, uint32_t holder)
{
    static const uint8_t order[] = {CHOICE_FREE, CHOICE_STALLED, CHOICE_SUSPECT_FREE, CHOICE_SUSPECT_STALLED};
    struct member *had = holder ? member_in(consumer, holder) : NULL;
    for (size_t i = 0; i < sizeof(order); i++) {
        const struct choice *choice = &consumer->choices[order[i]];
        struct choice_entry *entry = choice_first(choice, had ? &had->entry : NULL);
        entry = entry ? entry : choice_first(choice, NULL);
        if (entry)
            return member_of(entry);
    }
    return NULL;
}

// Among many, the members that are likely to be next have been driven out of the caches by all that came after their last messages.
// What lies behind a pointer is called for one delivery after the pointer was: the third's member, the second's context, and where the
// first's context leads.
static void next_ahead(const struct consumer *consumer, const struct choice_entry *entry)
{
    const struct engine_adapter *adapter = engine_adapter_of(consumer->stream->engine, consumer);
    const struct choice_entry *first = choice_after(entry), *second = first ? choice_after(first) : NULL;
    const struct choice_entry *third = second ? choice_after(second) : NULL;
    if (first && adapter->ahead)
        adapter->ahead(adapter->owner, &container_of(first, struct member, entry)->context, 1);
    if (second)
        __builtin_prefetch(container_of(second, struct member, entry)->context, 1);
    if (third)
        member_ahead(container_of(third, struct member, entry));
}

static struct member *member_of(struct choice_entry *entry)
{
    return entry ? container_of(entry, struct member, entry) : NULL;
}

// A fetch that was first in line has its answer. Its member may be gone, or redeliveries may have filled it meanwhile.
static void arrive(struct consumer *consumer, struct fetch *fetch)
{
    const struct engine_host *host = &consumer->stream->engine->options.host;
    int result = fetch->read.result;
    bool forgotten = !fetch->first_time && !fetch->pending;
    bool sent = true, passed = false;
    if (!forgotten && result == 0) {
        struct member *member = take_place(consumer, fetch);
        sent = member && send(consumer, fetch, member);
    } else if (!forgotten) {
        passed = pass_over(consumer, fetch);
        if (!passed)
            arrive_failed(consumer, fetch, result);
    }
    if (result == 0)
        host->release(host->owner, fetch->read.hold);
    if (!sent)
        put_back(consumer, fetch);
    bool rewind = (!sent && fetch->first_time) || passed;
    fetch_free(fetch);
    if (rewind)
        delivery_cancel(consumer);
}

// The member that was chosen or, if it is gone or full by now, another; NULL: none. What it is sent counts in place of what was reserved
// for it, so its load stays what it is, and with it its place among the others.
static struct member *take_place(struct consumer *consumer, struct fetch *fetch)
{
    struct member *member = fetch->member;
    bool first = fetch->first_time || pending_is_revived(fetch->pending);
    if (member && (!first || member->in_flight < member->config.max_in_flight)) {
        fetch->member = NULL;
        member->reserved--;
        return member;
    }
    fetch_unreserve(fetch);
    return first ? choose_first(consumer) : choose_again(consumer, fetch->pending->holder);
}

// The message cannot be read. Gone or damaged, it is finished for this consumer; else it is tried again later, and holds up nobody.
static void arrive_failed(struct consumer *consumer, struct fetch *fetch, int result)
{
    struct engine *engine = consumer->stream->engine;
    struct pending *pending = fetch->pending;
    if (fetch->first_time) {
        pending = pending_new(consumer, fetch->read.sequence);
        consumer->next_sequence = fetch->read.sequence + 1;
        journal_delivered(consumer, fetch->read.sequence, 0, 0);
    }
    fetch->pending = NULL;
    engine->stats.unreadable += result == ERR_CORRUPT;
    if (result == ERR_NOT_FOUND || result == ERR_CORRUPT)
        pending_set_acked(consumer, pending);
    else
        redelivery_retry(consumer, pending);
}

// Numbers may be as far apart as those of another store were: what is not there costs nothing, however much it is. A few are passed over
// one by one, which does not wait for the log.
static bool pass_over(struct consumer *consumer, const struct fetch *fetch)
{
    const struct engine_read *read = &fetch->read;
    struct engine *engine = consumer->stream->engine;
    uint64_t end = consumer->stream->state.last_sequence + 1, messages = consumer->stream->state.messages;
    end = read->next < end ? read->next : end;
    bool gone = read->result == ERR_NOT_FOUND || read->result == ERR_CORRUPT;
    if (!fetch->first_time || !gone || end <= read->sequence + ENGINE_READ_AHEAD)
        return false;
    uint64_t count = end - read->sequence;
    if (read->result == ERR_CORRUPT)
        engine->stats.unreadable += count < messages ? count : messages;
    journal_passed(consumer, read->sequence, end - 1);
    return true;
}

// The state changes before the adapter is called, so that it may call back; false takes it back.
static bool send(struct consumer *consumer, struct fetch *fetch, struct member *member)
{
    struct engine *engine = consumer->stream->engine;
    struct pending *pending = fetch->pending;
    if (fetch->first_time) {
        pending = pending_new(consumer, fetch->read.sequence);
        consumer->next_sequence = fetch->read.sequence + 1;
    }
    fetch->pending = NULL;
    const struct message_record *message = &fetch->read.message;
    size_t size =
        message_record_size(message->subject.len, message->reply.len, message->headers.len, message->payload.len);
    pending_size_set(consumer, pending, (uint32_t)size);
    bool first = fetch->first_time || pending_is_revived(pending);
    uint32_t had = pending->holder;
    pending->delivered_ns = engine->now.wall_ns;
    pending->attempts++;
    pending_set_out(consumer, pending, member, redelivery_deadline(member));
    struct delivery delivery = {
        .stream = consumer->stream,
        .consumer = consumer,
        .member = member,
        .message = message,
        .first = first,
        .redelivery_count = pending->attempts - 1,
    };
    const struct engine_adapter *adapter = engine_adapter_of(engine, consumer);
    if (adapter->deliver && adapter->deliver(adapter->owner, &delivery)) {
        journal_delivered(consumer, fetch->read.sequence, member->id, delivery.redelivery_count + 1);
        engine->stats.delivered++;
        engine->stats.redelivered += !first;
        consumer->redelivered += !first;
        consumer->tally.delivered++;
        consumer->tally.redelivered += !first;
        if (fetch->first_time)
            consumer_passed(consumer, (uint32_t)size);
        return true;
    }
    member_refused(member);
    pending->attempts--;
    pending->holder = had;
    if (fetch->first_time) {
        pending_free(consumer, pending);
        consumer->next_sequence = fetch->read.sequence;
    } else {
        fetch->pending = pending;
    }
    return false;
}

// What was picked and not delivered waits again. First deliveries are picked anew, see delivery_cancel().
static void put_back(struct consumer *consumer, struct fetch *fetch)
{
    struct pending *pending = fetch->pending;
    fetch->pending = NULL;
    if (pending && pending->state != PENDING_ACKED)
        pending_set_waiting(consumer, pending);
}
