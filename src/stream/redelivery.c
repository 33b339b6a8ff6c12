// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine
// When a message that is with a member goes out again: its ack wait is over (ST-B10), it is given back, at once or after a delay, its
// member is gone. And whether: each delivery is counted, and a stream may limit their number. What was given back, and what waits between
// two tries, is recorded, so that delays, and deliveries that do not count, hold over a restart (ST-B12).
#include "stream/engine_internal.h"

enum { EXPIRY_BATCH = 1024 };

static const uint64_t WAIT_MAX_NS = 1ULL << 62; // so that no sum overflows

static void give_back(struct consumer *consumer, struct pending *pending, uint64_t delay_ns, bool count);
static void record(struct consumer *consumer, const struct pending *pending);
static int extend_all(const struct member *member);
static struct pending *find_out(const struct consumer *consumer, const struct member *member, uint64_t sequence);
static void ack_wait_over(struct consumer *consumer, struct pending *pending);
static uint64_t backoff_of(const struct stream_config *config, uint32_t attempts);

int engine_nak(struct engine *engine, struct consumer *consumer, const struct member *member, uint64_t sequence,
               uint64_t delay_ns, bool count, struct engine_time now)
{
    engine_time_set(engine, now);
    struct list *all = member && sequence == 0 && !consumer->seeking ? list_first(&member->out) : NULL;
    struct pending *pending = all ? container_of(all, struct pending, link) : find_out(consumer, member, sequence);
    if (!pending)
        return ERR_NOT_FOUND;
    give_back(consumer, pending, delay_ns, count);
    while (all && (all = list_first(&member->out)))
        give_back(consumer, container_of(all, struct pending, link), delay_ns, count);
    return 0;
}

// The waits of a member are all the same, so the one that begins last ends last.
int engine_extend(struct engine *engine, struct consumer *consumer, const struct member *member, uint64_t sequence,
                  struct engine_time now)
{
    engine_time_set(engine, now);
    if (member && sequence == 0)
        return extend_all(member);
    struct pending *pending = find_out(consumer, member, sequence);
    if (!pending)
        return ERR_NOT_FOUND;
    if (pending->deadline_ns == UINT64_MAX)
        return 0;
    pending->deadline_ns = redelivery_deadline(pending->member);
    list_remove(&pending->link);
    list_push_back(&pending->member->out, &pending->link);
    redelivery_ack_timer_set(pending->member);
    return 0;
}

void redelivery_release(struct member *member)
{
    struct consumer *consumer = member->consumer;
    for (struct list *link = list_first(&member->out); link; link = list_first(&member->out))
        pending_set_waiting(consumer, container_of(link, struct pending, link));
}

void redelivery_ack_timer_fire(struct wheel_timer *timer, uint64_t now_ms)
{
    struct member *member = container_of(timer, struct member, ack_timer);
    struct consumer *consumer = member->consumer;
    uint64_t now_ns = consumer->stream->engine->now.mono_ns;
    (void)now_ms;
    for (int i = 0; i < EXPIRY_BATCH && !list_empty(&member->out); i++) {
        struct pending *pending = container_of(list_first(&member->out), struct pending, link);
        if (pending->deadline_ns > now_ns)
            break;
        ack_wait_over(consumer, pending);
    }
    redelivery_ack_timer_set(member);
}

void redelivery_delayed_timer_fire(struct wheel_timer *timer, uint64_t now_ms)
{
    struct consumer *consumer = container_of(timer, struct consumer, delayed_timer);
    struct engine *engine = consumer->stream->engine;
    (void)now_ms;
    struct heap_node *node = heap_min(&consumer->delayed);
    for (int i = 0; i < EXPIRY_BATCH && node && node->key <= engine->now.mono_ns; i++) {
        pending_set_waiting(consumer, container_of(node, struct pending, node));
        node = heap_min(&consumer->delayed);
    }
    if (node)
        wheel_set(&engine->wheel, timer, (node->key + 999999) / 1000000);
}

uint64_t redelivery_deadline(const struct member *member)
{
    uint64_t wait_ns = member->config.ack_wait_ns < WAIT_MAX_NS ? member->config.ack_wait_ns : WAIT_MAX_NS;
    return member->consumer->stream->engine->now.mono_ns + wait_ns;
}

void redelivery_restart_deadlines(struct member *member)
{
    uint64_t deadline_ns = redelivery_deadline(member);
    list_foreach(link, &member->out) container_of(link, struct pending, link)->deadline_ns = deadline_ns;
    redelivery_ack_timer_set(member);
}

void redelivery_ack_timer_set(struct member *member)
{
    struct list *link = list_first(&member->out);
    if (!link || container_of(link, struct pending, link)->deadline_ns == UINT64_MAX)
        return;
    uint64_t deadline_ns = container_of(link, struct pending, link)->deadline_ns;
    wheel_set(&member->consumer->stream->engine->wheel, &member->ack_timer, (deadline_ns + 999999) / 1000000);
}

void redelivery_retry(struct consumer *consumer, struct pending *pending)
{
    const uint64_t wait_ns = (uint64_t)ENGINE_RETRY_MS * 1000000;
    pending_set_delayed(consumer, pending, consumer->stream->engine->now.mono_ns + wait_ns);
}

bool redelivery_ran_out(const struct consumer *consumer, const struct pending *pending)
{
    uint32_t max = consumer->stream->config.max_deliver;
    return max && pending->attempts >= max;
}

void redelivery_recovered(struct consumer *consumer)
{
    const struct engine *engine = consumer->stream->engine;
    uint64_t wall_ns = engine_record_time_ms(engine) * 1000000;
    struct list waiting;
    list_init(&waiting);
    for (struct heap_node *node = heap_min(&consumer->delayed); node; node = heap_min(&consumer->delayed)) {
        struct pending *pending = container_of(node, struct pending, node);
        uint64_t left_ns = node->key > wall_ns ? node->key - wall_ns : 0;
        pending_set_reading(consumer, pending); // out of the heap
        pending->deadline_ns = left_ns;
        list_push_back(&waiting, &pending->link);
    }
    for (struct list *link = list_pop_front(&waiting); link; link = list_pop_front(&waiting)) {
        struct pending *pending = container_of(link, struct pending, link);
        pending_set_delayed(consumer, pending, engine->now.mono_ns + pending->deadline_ns);
    }
}

uint64_t redelivery_until_ms(const struct consumer *consumer, const struct pending *pending)
{
    const struct engine *engine = consumer->stream->engine;
    if (pending->state != PENDING_DELAYED)
        return 0;
    if (!engine->live)
        return pending->node.key / 1000000;
    uint64_t left_ms =
        pending->node.key > engine->now.mono_ns ? (pending->node.key - engine->now.mono_ns) / 1000000 : 0;
    return left_ms > ENGINE_RETRY_MS ? engine_record_time_ms(engine) + left_ms : 0;
}

static void give_back(struct consumer *consumer, struct pending *pending, uint64_t delay_ns, bool count)
{
    const struct engine *engine = consumer->stream->engine;
    pending->attempts -= !count && pending->attempts > 0;
    if (delay_ns == 0 || redelivery_ran_out(consumer, pending))
        pending_set_waiting(consumer, pending);
    else
        pending_set_delayed(consumer, pending, engine->now.mono_ns + (delay_ns < WAIT_MAX_NS ? delay_ns : WAIT_MAX_NS));
    record(consumer, pending);
    consumer_wake(consumer);
}

// That nobody has it, and until when.
static void record(struct consumer *consumer, const struct pending *pending)
{
    const struct engine *engine = consumer->stream->engine;
    bool waits = pending->state == PENDING_DELAYED && pending->node.key > engine->now.mono_ns;
    uint64_t left_ms = waits ? (pending->node.key - engine->now.mono_ns) / 1000000 : 0;
    uint64_t until_ms = left_ms ? engine_record_time_ms(engine) + left_ms : 0;
    journal_returned(consumer, pending->sequence, pending->attempts, until_ms);
}

// What was with a recovered member keeps no deadline until it is back.
static int extend_all(const struct member *member)
{
    struct list *link = list_first(&member->out);
    if (!link)
        return ERR_NOT_FOUND;
    struct pending *pending = container_of(link, struct pending, link);
    if (pending->deadline_ns != UINT64_MAX)
        redelivery_restart_deadlines(pending->member);
    return 0;
}

// What the member, or anybody if it is NULL, has; NULL otherwise.
static struct pending *find_out(const struct consumer *consumer, const struct member *member, uint64_t sequence)
{
    struct pending *pending = pending_find(consumer, sequence);
    bool out = pending && pending->state == PENDING_OUT && !consumer->seeking;
    return out && (!member || pending->member == member) ? pending : NULL;
}

static void ack_wait_over(struct consumer *consumer, struct pending *pending)
{
    const struct stream_config *config = &consumer->stream->config;
    uint64_t wait_ns = pending->member->config.ack_wait_ns, backoff_ns = backoff_of(config, pending->attempts);
    if (backoff_ns <= wait_ns || redelivery_ran_out(consumer, pending)) {
        pending_set_waiting(consumer, pending);
        return;
    }
    pending_set_delayed(consumer, pending, pending->deadline_ns + (backoff_ns - wait_ns));
    record(consumer, pending);
}

// The wait after so many deliveries; 0: none.
static uint64_t backoff_of(const struct stream_config *config, uint32_t attempts)
{
    if (config->backoff_count == 0 || attempts == 0)
        return 0;
    uint32_t step = attempts <= config->backoff_count ? attempts - 1 : config->backoff_count - 1u;
    return config->backoff_ns[step] < WAIT_MAX_NS ? config->backoff_ns[step] : WAIT_MAX_NS;
}
