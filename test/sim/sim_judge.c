// SPDX-License-Identifier: Apache-2.0
// tidy: prefix sim
// The judge's half of the model: was this delivery allowed, and has everything owed been paid.
#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "sim_model.h"

enum { MS = 1000000 };

// A publisher's retry may lie in the network for so long before the node gets it.
#define SLACK_NS (10000ULL * MS)
// A timer of the node may fire early by less than a millisecond, its resolution.
#define TIMER_NS (1ULL * MS)
// So long a message may be delivered after its maximum age: it is looked at once a turn, and the record has to be durable.
#define LATE_NS (4000ULL * MS)
// With several workers what they tell each other is under way for less than this.
#define WORKERS_NS (1ULL * MS)

static struct sim_publish *published(struct sim_model *model, const struct sim_sub *sub,
                                     const struct sim_delivery *delivery);
static void check_stored(struct sim_model *model, const struct sim_sub *sub, const struct sim_delivery *delivery,
                         struct sim_publish *publish);
static void check_age(struct sim_model *model, const struct sim_sub *sub, const struct sim_delivery *delivery);
static bool is_young(const struct sim_model *model, uint64_t time_ns);
static void check_copy(struct sim_model *model, struct sim_publish *publish, uint64_t sequence);
static void check_first(struct sim_model *model, struct sim_sub *sub, const struct sim_delivery *delivery);
static void check_order(struct sim_model *model, const struct sim_sub *sub, const struct sim_delivery *delivery);
static void check_in_flight(struct sim_model *model, const struct sim_sub *sub, const struct sim_delivery *delivery);
static void check_again(struct sim_model *model, const struct sim_sub *sub, const struct sim_delivery *delivery,
                        struct sim_held *held);
static bool is_released(const struct sim_model *model, const struct sim_held *held, uint64_t when_ns);
static uint64_t owed_from(const struct sim_model *model, const struct sim_consumer *consumer);
static bool is_owed(const struct sim_model *model, const struct sim_consumer *consumer, uint64_t sequence);
static bool has_member(const struct sim_model *model, const struct sim_consumer *consumer);
static void check_channel_end(struct sim_model *model, uint32_t channel);
static void check_publishes_end(struct sim_model *model);
static void check_start_end(struct sim_model *model, const struct sim_consumer *consumer);

static struct sim_held *held_at(struct sim_consumer *consumer, uint64_t sequence)
{
    if (sequence >= consumer->held_count) {
        size_t count = sequence + 64;
        consumer->held = mem_realloc(consumer->held, count * sizeof(*consumer->held));
        memset(consumer->held + consumer->held_count, 0, (count - consumer->held_count) * sizeof(*consumer->held));
        consumer->held_count = count;
    }
    return &consumer->held[sequence];
}

void sim_model_delivered(struct sim_model *model, struct sim_sub *sub, const struct sim_delivery *delivery,
                         uint64_t now_ns)
{
    struct sim_trace *trace = model->trace;
    struct sim_consumer *consumer = sub->consumer;
    sim_trace_note(trace, "sub %u (%s) gets %" PRIu64 "%s %u", sub->id, consumer->key, delivery->sequence,
                   delivery->redelivered ? " again" : "", delivery->redelivery_count);
    if (sub->state == SIM_SUB_REQUESTED)
        sim_trace_fail(trace, "sub %u: a delivery overtook the answer to the subscription", sub->id);
    struct sim_publish *publish = published(model, sub, delivery);
    if (!publish || delivery->sequence > 1000000)
        return;
    check_stored(model, sub, delivery, publish);
    check_age(model, sub, delivery);
    struct sim_held *held = held_at(consumer, delivery->sequence);
    if (delivery->redelivered != (delivery->redelivery_count > 0))
        sim_trace_fail(trace, "M9 sub %u: redelivered %d with count %u", sub->id, delivery->redelivered,
                       delivery->redelivery_count);
    // One that was under way, or queued for a slow reader, while a later one arrived elsewhere.
    bool queued = delivery->stamp.earliest_ns < delivery->stamp.written_ns;
    bool overtaken = held->deliveries && (delivery->stamp.written_ns < held->last.earliest_ns ||
                                          (queued && delivery->redelivery_count < held->last_count &&
                                           delivery->stamp.earliest_ns < held->last.earliest_ns));
    if (held->deliveries && !overtaken)
        check_again(model, sub, delivery, held);
    // One that was given back without counting comes again as if it were new.
    if (!delivery->redelivered && !held->uncounted)
        check_first(model, sub, delivery);
    if (consumer->low == 0 || delivery->sequence < consumer->low)
        consumer->low = delivery->sequence;
    held->epoch_deliveries = held->life == model->life ? held->epoch_deliveries + 1 : 1;
    held->deliveries++;
    model->deliveries++;
    model->redeliveries += held->deliveries > 1;
    if (overtaken)
        return;
    held->life = model->life;
    held->delivery_synced = false;
    held->holder = sub;
    held->holder_epoch = sub->epoch;
    held->last = delivery->stamp;
    held->last_count = delivery->redelivery_count;
    (void)now_ns;
}

uint64_t sim_model_ack_sent(struct sim_model *model, struct sim_sub *sub, uint64_t sequence)
{
    sim_trace_note(model->trace, "sub %u acks %" PRIu64, sub->id, sequence);
    struct sim_held *held = held_at(sub->consumer, sequence);
    held->ack_sent = true;
    return held->life;
}

void sim_model_given_back(struct sim_model *model, struct sim_sub *sub, uint64_t sequence, uint64_t delay_ns,
                          bool counts)
{
    struct sim_held *held = held_at(sub->consumer, sequence);
    uint64_t due_ns = model->now_ns + delay_ns;
    held->nak_due_ns = held->naks && held->nak_due_ns < due_ns ? held->nak_due_ns : due_ns;
    held->naks++;
    held->uncounted += !counts;
}

void sim_model_ack_maybe(struct sim_sub *sub, uint64_t sequence)
{
    held_at(sub->consumer, sequence)->ack_seen = true;
}

void sim_model_ack_consumed(struct sim_model *model, struct sim_sub *sub, uint64_t sequence, uint64_t life,
                            uint64_t now_ns)
{
    struct sim_held *held = held_at(sub->consumer, sequence);
    held->ack_seen = true;
    // It may be under way yet to the worker that knows the consumer, and a delivery on its way back.
    now_ns += model->has_workers ? WORKERS_NS : 0;
    // A node that was started again may not know of the delivery; then it makes another one, and may have done so by now.
    if (life != model->life && (held->life != life || !held->delivery_synced))
        return;
    if (held->ack_ns && (held->ack_life == model->life || held->ack_synced))
        return;
    held->ack_ns = now_ns;
    held->ack_life = model->life;
}

bool sim_model_is_owed(const struct sim_model *model, char *ret_text, size_t size)
{
    for (size_t i = 0; i < model->publish_count; i++)
        if (model->publishes[i]->state == SIM_PUBLISH_OPEN) {
            snprintf(ret_text, size, "publish %zu of client %u has no answer", i, model->publishes[i]->client);
            return true;
        }
    for (size_t i = 0; i < model->sub_count; i++)
        if (model->subs[i]->state == SIM_SUB_REQUESTED || model->subs[i]->state == SIM_SUB_CLOSING) {
            snprintf(ret_text, size, "request of sub %zu (%s) has no answer", i, model->subs[i]->consumer->key);
            return true;
        }
    for (size_t i = 0; i < model->consumer_count; i++) {
        const struct sim_consumer *consumer = model->consumers[i];
        if (consumer->ended || !has_member(model, consumer))
            continue;
        const struct sim_channel *channel = &model->channels[consumer->channel];
        for (uint64_t s = owed_from(model, consumer); s <= channel->last_sequence; s++) {
            if (!is_owed(model, consumer, s))
                continue;
            const struct sim_held *held = s < consumer->held_count ? &consumer->held[s] : NULL;
            if (held && held->ack_sent && held->ack_seen)
                continue;
            snprintf(ret_text, size, "M1 %s (life %s): sequence %" PRIu64 " was %s", consumer->key,
                     consumer->durable ? "durable" : "of its members", s,
                     !held || !held->deliveries ? "never delivered" : "not acknowledged");
            return true;
        }
    }
    return false;
}

void sim_model_check_end(struct sim_model *model)
{
    for (uint32_t i = 0; i < model->channel_count; i++)
        check_channel_end(model, i);
    check_publishes_end(model);
    for (size_t i = 0; i < model->consumer_count; i++)
        if (!model->consumers[i]->ended && has_member(model, model->consumers[i]))
            check_start_end(model, model->consumers[i]);
}

// M2. NULL: nobody did.
static struct sim_publish *published(struct sim_model *model, const struct sim_sub *sub,
                                     const struct sim_delivery *delivery)
{
    char head[17] = {0};
    unsigned id, channel;
    memcpy(head, delivery->data.ptr, delivery->data.len < 16 ? delivery->data.len : 16);
    if (delivery->data.len < 16 || sscanf(head, "%u %u", &id, &channel) != 2 || id >= model->publish_count) {
        sim_trace_fail(model->trace, "M2 sub %u: sequence %" PRIu64 " holds what nobody published", sub->id,
                       delivery->sequence);
        return NULL;
    }
    struct sim_publish *publish = model->publishes[id];
    struct buffer expected;
    buffer_init(&expected, 1 << 24);
    sim_publish_payload(model, publish, &expected);
    if (!bytes_equal(buffer_bytes(&expected), delivery->data))
        sim_trace_fail(model->trace, "M2 sub %u: payload of publish %u was altered", sub->id, id);
    buffer_deinit(&expected);
    struct bytes name = bytes_from_string(model->channels[sub->consumer->channel].name);
    if (publish->channel != sub->consumer->channel || !bytes_equal(delivery->subject, name))
        sim_trace_fail(model->trace, "M2 sub %u (%s): publish %u was for channel %u, subject %.*s", sub->id,
                       sub->consumer->key, id, publish->channel, BYTES_ARG(delivery->subject));
    return publish;
}

// M3.
static void check_stored(struct sim_model *model, const struct sim_sub *sub, const struct sim_delivery *delivery,
                         struct sim_publish *publish)
{
    struct sim_channel *channel = &model->channels[sub->consumer->channel];
    uint64_t sequence = delivery->sequence;
    if (sequence == 0) {
        sim_trace_fail(model->trace, "M3 sub %u: sequence 0", sub->id);
        return;
    }
    if (sequence >= channel->stored_count) {
        size_t count = sequence + 256;
        channel->stored = mem_realloc(channel->stored, count * sizeof(*channel->stored));
        memset(channel->stored + channel->stored_count, 0, (count - channel->stored_count) * sizeof(*channel->stored));
        channel->stored_count = count;
    }
    struct sim_stored *stored = &channel->stored[sequence];
    if (stored->publish == 0) {
        *stored = (struct sim_stored){publish->id + 1, delivery->time_ns};
        check_copy(model, publish, sequence);
    } else if (stored->publish != publish->id + 1 || stored->time_ns != delivery->time_ns) {
        sim_trace_fail(model->trace, "M3 %s: sequence %" PRIu64 " was publish %u, is publish %u", channel->name,
                       sequence, stored->publish - 1, publish->id);
    }
    if (sequence > channel->last_sequence)
        channel->last_sequence = sequence;
}

// M10. What is too old goes with a record, so a disk that fails keeps it; and a clock that jumped forward is noticed in a while.
static void check_age(struct sim_model *model, const struct sim_sub *sub, const struct sim_delivery *delivery)
{
    uint64_t left_ns = model->wall_ns - (model->now_ns - delivery->stamp.earliest_ns);
    bool late = delivery->time_ns + model->max_age_ns + LATE_NS < left_ns;
    bool excused = model->keeps_unfinished || model->jump_ns || !model->disk_healthy || model->disk_small ||
                   model->crash_ns + LATE_NS > model->now_ns;
    if (model->max_age_ns && late && !excused)
        sim_trace_fail(model->trace, "M10 sub %u: sequence %" PRIu64 " is %.3f s older than it may be", sub->id,
                       delivery->sequence, (double)(left_ns - delivery->time_ns - model->max_age_ns) / 1e9);
}

// Cannot have gone because of its age, whatever the clock showed.
static bool is_young(const struct sim_model *model, uint64_t time_ns)
{
    return time_ns + model->max_age_ns > model->wall_max_ns;
}

// M2 for refused messages, M6.
static void check_copy(struct sim_model *model, struct sim_publish *publish, uint64_t sequence)
{
    if (publish->state == SIM_PUBLISH_REFUSED)
        sim_trace_fail(model->trace, "M2 publish %u was refused and has sequence %" PRIu64, publish->id, sequence);
    if (publish->copies++ == 0) {
        publish->sequence = sequence;
        return;
    }
    model->duplicates++;
    bool outside = publish->last_ns - publish->first_ns + SLACK_NS >= model->window_ns;
    // Over a restart the window is measured by the wall clock.
    bool jumped = model->jump_ns > publish->first_ns && model->crash_ns > publish->first_ns;
    if (!outside && !jumped)
        sim_trace_fail(model->trace, "M6 publish %u is stored twice, as %" PRIu64 " and %" PRIu64, publish->id,
                       publish->sequence, sequence);
}

// A first delivery (not redelivered).
static void check_first(struct sim_model *model, struct sim_sub *sub, const struct sim_delivery *delivery)
{
    struct sim_held *held = &sub->consumer->held[delivery->sequence];
    if (held->first_life == model->life)
        sim_trace_fail(model->trace, "M9 sub %u: sequence %" PRIu64 " came twice as new", sub->id, delivery->sequence);
    if (!model->reads_fail)
        check_order(model, sub, delivery);
    // What could not be read is sent as a redelivery would be, beyond the limit.
    if (!model->reads_fail)
        check_in_flight(model, sub, delivery);
    held->first_life = model->life;
    held->first = delivery->stamp;
    sub->first_last = delivery->sequence;
}

// M4: exactly along one member's connection; between members as far as the times at which bytes left allow to tell, if one worker
// has them all: several do not wait for each other.
static void check_order(struct sim_model *model, const struct sim_sub *sub, const struct sim_delivery *delivery)
{
    if (delivery->sequence <= sub->first_last)
        sim_trace_fail(model->trace, "M4 sub %u: new sequence %" PRIu64 " after %" PRIu64, sub->id, delivery->sequence,
                       sub->first_last);
    const struct sim_consumer *consumer = sub->consumer;
    for (uint64_t s = consumer->low; s && s < consumer->held_count && !model->has_workers; s++) {
        const struct sim_held *other = &consumer->held[s];
        if (other->first_life != model->life)
            continue;
        if ((s > delivery->sequence && other->first.written_ns < delivery->stamp.earliest_ns) ||
            (s < delivery->sequence && delivery->stamp.written_ns < other->first.earliest_ns))
            sim_trace_fail(model->trace, "M4 %s: sequences %" PRIu64 " and %" PRIu64 " left in the wrong order",
                           consumer->key, s, delivery->sequence);
    }
}

// M7: unacknowledged by what the client has sent, held by this member for certain.
static void check_in_flight(struct sim_model *model, const struct sim_sub *sub, const struct sim_delivery *delivery)
{
    const struct sim_consumer *consumer = sub->consumer;
    uint32_t in_flight = 0;
    for (uint64_t s = consumer->low; s && s < consumer->held_count; s++) {
        const struct sim_held *other = &consumer->held[s];
        bool mine = other->deliveries && other->holder == sub && other->holder_epoch == sub->epoch &&
                    other->life == model->life && !other->ack_sent && !other->naks;
        // With a backoff its place is free from then on.
        if (mine && other->last.earliest_ns + sub->ack_wait_ns > delivery->stamp.written_ns + TIMER_NS)
            in_flight++;
    }
    // What a limit has removed is in flight no more.
    if (in_flight >= sub->max_in_flight && !model->limited)
        sim_trace_fail(model->trace, "M7 sub %u: new sequence %" PRIu64 " with %u of %u in flight", sub->id,
                       delivery->sequence, in_flight, sub->max_in_flight);
}

// M8, M9: section 6 of ARCHITECTURE.md, (a) to (c); and once for each time that it was given back.
static void check_again(struct sim_model *model, const struct sim_sub *sub, const struct sim_delivery *delivery,
                        struct sim_held *held)
{
    uint64_t sequence = delivery->sequence;
    if (held->ack_synced) {
        sim_trace_fail(model->trace, "M8 %s: sequence %" PRIu64 " came again after its acknowledgement was synced",
                       sub->consumer->key, sequence);
        return;
    }
    if (held->life != model->life)
        return; // (a)
    if (held->ack_ns && held->ack_life == model->life && held->ack_ns < delivery->stamp.earliest_ns)
        sim_trace_fail(model->trace, "M8 %s: sequence %" PRIu64 " came again though it was acknowledged",
                       sub->consumer->key, sequence);
    uint64_t written_ns = delivery->stamp.written_ns;
    bool past_wait = written_ns + TIMER_NS >= held->last.earliest_ns + held->holder->ack_wait_ns; // (b)
    bool early = !past_wait && !is_released(model, held, written_ns);                             // (c)
    if (early && held->naks && written_ns + TIMER_NS >= held->nak_due_ns)
        held->naks--;
    else if (early)
        sim_trace_fail(model->trace, "M8 %s: sequence %" PRIu64 " came again after %.3f s, from sub %u to sub %u",
                       sub->consumer->key, sequence, (double)(written_ns - held->last.earliest_ns) / 1e9,
                       held->holder->id, sub->id);
    if (delivery->redelivery_count + held->uncounted < held->epoch_deliveries)
        sim_trace_fail(model->trace, "M9 %s: sequence %" PRIu64 " has count %u after %u deliveries", sub->consumer->key,
                       sequence, delivery->redelivery_count, held->epoch_deliveries);
}

// (c) Of a closed client, or one past its grace.
static bool is_released(const struct sim_model *model, const struct sim_held *held, uint64_t when_ns)
{
    const struct sim_sub *holder = held->holder;
    if (holder->released_ns <= when_ns)
        return true;
    if (holder->gone_ns && holder->gone_ns + model->grace_ns <= when_ns + TIMER_NS)
        return true;
    return holder->grace_over_ns >= held->last.earliest_ns && holder->grace_over_ns;
}

// ---- the end

static bool has_member(const struct sim_model *model, const struct sim_consumer *consumer)
{
    for (size_t i = 0; i < model->sub_count; i++)
        if (model->subs[i]->consumer == consumer && model->subs[i]->state == SIM_SUB_OPEN)
            return true;
    return false;
}

static uint64_t owed_from(const struct sim_model *model, const struct sim_consumer *consumer)
{
    if (!consumer->certain || model->limited)
        return consumer->low ? consumer->low : UINT64_MAX;
    if (consumer->request.start == SIM_START_FIRST)
        return 1;
    return consumer->low ? consumer->low : UINT64_MAX;
}

// With limits only what can still be read is owed, unless it is kept.
static bool is_owed(const struct sim_model *model, const struct sim_consumer *consumer, uint64_t sequence)
{
    if (!model->limited || model->keeps_unfinished)
        return true;
    const struct sim_consumer *reader = model->readers[consumer->channel];
    const struct sim_channel *channel = &model->channels[consumer->channel];
    if (model->max_age_ns && !is_young(model, channel->stored[sequence].time_ns))
        return false;
    return consumer == reader || (reader && sequence < reader->held_count && reader->held[sequence].deliveries > 0);
}

static void check_channel_end(struct sim_model *model, uint32_t channel)
{
    const struct sim_channel *at = &model->channels[channel];
    const struct sim_consumer *reader = model->readers[channel];
    uint64_t time_ns = 0;
    for (uint64_t s = 1; s <= at->last_sequence; s++) {
        if (at->stored[s].publish && at->stored[s].time_ns < time_ns)
            sim_trace_fail(model->trace, "M3 %s: time goes back at sequence %" PRIu64, at->name, s);
        if (at->stored[s].publish)
            time_ns = at->stored[s].time_ns;
        bool readable = reader && s < reader->held_count && reader->held[s].deliveries > 0;
        bool must_be_there = !model->limited || (model->only_aged && is_young(model, at->stored[s].time_ns));
        if (reader && !readable && must_be_there)
            sim_trace_fail(model->trace, "M1 %s: sequence %" PRIu64 " of %" PRIu64 " cannot be read", at->name, s,
                           at->last_sequence);
    }
}

// M1, M5.
static void check_publishes_end(struct sim_model *model)
{
    for (size_t i = 0; i < model->publish_count; i++) {
        const struct sim_publish *publish = model->publishes[i];
        if (publish->state == SIM_PUBLISH_ACCEPTED && publish->copies == 0 && !model->limited)
            sim_trace_fail(model->trace, "M1 publish %zu on %s was acknowledged at %.6f and is lost", i,
                           model->channels[publish->channel].name, (double)publish->accepted_ns / 1e9);
        if (publish->state != SIM_PUBLISH_ACCEPTED || publish->attempts != 1 || publish->copies == 0)
            continue;
        for (size_t k = i + 1; k < model->publish_count; k++) {
            const struct sim_publish *later = model->publishes[k];
            if (later->client != publish->client || later->channel != publish->channel || later->copies == 0 ||
                later->connection != publish->connection || later->attempts != 1 ||
                later->state != SIM_PUBLISH_ACCEPTED)
                continue;
            if (later->sequence <= publish->sequence)
                sim_trace_fail(model->trace, "M5 publishes %zu and %zu have sequences %" PRIu64 " and %" PRIu64, i, k,
                               publish->sequence, later->sequence);
            break;
        }
    }
}

// Where a consumer began (ST-B05): what was acknowledged before it was asked for, what was sent after it was there.
static void check_start_end(struct sim_model *model, const struct sim_consumer *consumer)
{
    if (!consumer->certain || model->limited)
        return;
    uint64_t before = 0, after = UINT64_MAX; // the last sequence known before, the first known after
    for (size_t i = 0; i < model->publish_count; i++) {
        const struct sim_publish *publish = model->publishes[i];
        if (publish->channel != consumer->channel || publish->copies != 1)
            continue;
        if (publish->accepted_ns && publish->accepted_ns < consumer->requested_ns && publish->sequence > before)
            before = publish->sequence;
        if (publish->first_ns > consumer->opened_ns && publish->sequence < after)
            after = publish->sequence;
    }
    uint64_t least = 1, most = after;
    if (consumer->request.start == SIM_START_NEW)
        least = before + 1;
    else if (consumer->request.start == SIM_START_LAST)
        least = before;
    else if (consumer->request.start == SIM_START_FIRST)
        most = 1;
    else if (consumer->request.start == SIM_START_SEQUENCE && consumer->request.start_sequence > 0) {
        // Clamped to what there was, which was between `before` and `after`.
        uint64_t wanted = consumer->request.start_sequence;
        least = wanted < before + 1 ? wanted : before + 1;
        most = wanted < after ? wanted : after;
    }
    uint64_t last = model->channels[consumer->channel].last_sequence;
    if (consumer->low == 0 ? most <= last : consumer->low < least || consumer->low > most)
        sim_trace_fail(model->trace, "M1 %s: began with %" PRIu64 ", not between %" PRIu64 " and %" PRIu64,
                       consumer->key, consumer->low, least, most);
}
