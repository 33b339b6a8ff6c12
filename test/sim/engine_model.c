// SPDX-License-Identifier: Apache-2.0
#include "engine_model.h"

#include "base/must.h"
#include "base/varint.h"

static const uint64_t GRACE_NS = 5000000000ull;

static void check_may_come_again(struct engine_model *model, const struct model_delivery *at,
                                 const struct stream_config *config);
static void remember_deaths(struct engine_model *model, const struct model_consumer *only, struct bytes entry);
static void check_entry(struct bytes entry, uint32_t letters);
static uint64_t dead_number(struct bytes body, size_t which);
static void check_choice(struct engine_model *model, const struct delivery *delivery);
static void settle_seek(struct engine_model *model, struct model_consumer *consumer);
static void settle_redrive(struct engine_model *model, struct model_delivery *at);
static void forget_words(struct engine_model *model, uint64_t good);
static void forget_pauses(struct model_pause *pause, uint64_t good);
static void check_pause(const struct engine_model *model, const struct model_pause *pause);
static void forget_messages(struct engine_model *model);
static bool is_free(struct engine_model *model, const struct member *member, uint32_t in_flight);

void engine_model_init(struct engine_model *model, struct fake_host *host)
{
    memset(model, 0, sizeof(*model));
    model->host = host;
    model->synchronous = true;
}

void engine_model_published(struct engine_model *model, uint32_t stream, const struct publish_result *result,
                            uint64_t number, uint64_t id)
{
    must(stream < FAKE_STREAMS && result->sequence < MODEL_SEQUENCES);
    struct model_message *message = &model->messages[stream][result->sequence];
    if (result->duplicate) {
        must(message->number && message->id == id);
        return;
    }
    must(message->number == 0 && (result->sequence == 1 || message[-1].number));
    *message = (struct model_message){number, result->index, id, model->host->now.mono_ns / 1000000};
}

void engine_model_delivered(struct engine_model *model, const struct delivery *delivery)
{
    struct stream_state stream;
    stream_state_get(delivery->stream, &stream);
    uint64_t sequence = delivery->message->sequence, number = 0;
    const struct model_message *message = &model->messages[stream.id][sequence];
    struct model_consumer *consumer = engine_model_consumer(model, delivery->consumer);
    struct model_delivery *at = &consumer->at[sequence];
    settle_seek(model, consumer);
    bool revived = at->redrive_index && at->redrive_index <= model->host->applied;
    settle_redrive(model, at);
    check_pause(model, &consumer->pause); // M10
    check_pause(model, &model->pauses[stream.id]);
    if (sequence >= consumer->end)
        consumer->end = sequence + 1;
    must(delivery->message->payload.len == 8);
    memcpy(&number, delivery->message->payload.ptr, 8);
    must(message->number == number && message->index <= model->host->applied); // M1
    must(sequence >= stream.first_sequence && sequence <= stream.last_sequence);
    must(at->ack_index == 0); // M2
    must(!at->terminated);    // M7
    must(!revived || member_in_flight(delivery->member) <= member_config_get(delivery->member)->max_in_flight);
    must(!stream.config.max_deliver || delivery->redelivery_count < stream.config.max_deliver); // M7
    if (delivery->redelivery_count == 0 && !at->ever_uncounted) {
        must(sequence > consumer->last_first); // M3
        consumer->last_first = sequence;
        check_choice(model, delivery); // M6
        model->first++;
    } else {
        check_may_come_again(model, at, &stream.config); // M4
        model->again++;
    }
    must(delivery->redelivery_count <= at->deliveries && delivery->redelivery_count >= at->committed); // M5
    const struct member_config *config = member_config_get(delivery->member);
    *at = (struct model_delivery){
        .deliveries = delivery->redelivery_count + 1,
        .committed = delivery->redelivery_count + 1,
        .member = member_id(delivery->member),
        .last_ns = model->host->now.mono_ns,
        .ack_wait_ns = config->ack_wait_ns,
        .index = UINT64_MAX,
        .ever_uncounted = at->ever_uncounted,
    };
    uint64_t fact[] = {consumer->id, at->member, sequence, delivery->redelivery_count, model->host->now.mono_ns};
    model->trace = hash_bytes(bytes_make(fact, sizeof(fact)), model->trace);
}

void engine_model_acked(struct engine_model *model, struct consumer *consumer, uint64_t sequence)
{
    struct model_consumer *c = engine_model_consumer(model, consumer);
    struct model_delivery *at = &c->at[sequence];
    settle_seek(model, c);
    settle_redrive(model, at);
    at->ack_index = UINT64_MAX;
    at->ack_low = 0;
    at->terminated = false; // it came in time
    model->acks++;
}

void engine_model_given_back(struct engine_model *model, struct consumer *consumer, uint64_t sequence,
                             uint64_t delay_ns, bool count)
{
    struct model_delivery *at = &engine_model_consumer(model, consumer)->at[sequence];
    at->released = true;
    at->not_before_ns = delay_ns ? model->host->now.mono_ns + delay_ns : 0;
    at->nak_index = UINT64_MAX;
    if (count || at->deliveries == 0)
        return;
    at->uncounted = at->ever_uncounted = true;
    at->deliveries--;
    at->committed = at->committed < at->deliveries ? at->committed : at->deliveries;
}

void engine_model_terminated(struct engine_model *model, struct consumer *consumer, uint64_t sequence)
{
    struct model_consumer *c = engine_model_consumer(model, consumer);
    settle_seek(model, c);
    settle_redrive(model, &c->at[sequence]);
    c->at[sequence].terminated = true;
}

void engine_model_extended(struct engine_model *model, struct consumer *consumer, uint64_t sequence)
{
    engine_model_consumer(model, consumer)->at[sequence].last_ns = model->host->now.mono_ns;
}

void engine_model_paused(struct engine_model *model, uint32_t stream, struct consumer *consumer, bool on,
                         uint64_t until_ns, uint64_t index)
{
    struct model_pause *pause = consumer ? &engine_model_consumer(model, consumer)->pause : &model->pauses[stream];
    must(pause->count < MODEL_PAUSES);
    pause->said[pause->count].on = on;
    pause->said[pause->count].until_ns = until_ns;
    pause->said[pause->count++].index = index;
}

bool engine_model_can_pause(struct engine_model *model, uint32_t stream, struct consumer *consumer)
{
    struct model_pause *pause = consumer ? &engine_model_consumer(model, consumer)->pause : &model->pauses[stream];
    while (pause->count > 1 && pause->said[1].index <= model->host->applied)
        memmove(pause->said, pause->said + 1, --pause->count * sizeof(pause->said[0]));
    return pause->count < MODEL_PAUSES;
}

void engine_model_sought(struct engine_model *model, struct consumer *consumer, uint64_t index)
{
    struct model_consumer *c = engine_model_consumer(model, consumer);
    settle_seek(model, c);
    must(c->seek_index == 0);
    c->seek_index = index;
}

void engine_model_redriven(struct engine_model *model, struct consumer *consumer, uint64_t sequence, uint64_t index)
{
    struct model_consumer *c = engine_model_consumer(model, consumer);
    settle_seek(model, c);
    settle_redrive(model, &c->at[sequence]);
    c->at[sequence].redrive_index = index;
    if (sequence >= c->end)
        c->end = sequence + 1;
}

void engine_model_member_state(struct engine_model *model, uint32_t id, enum member_state state)
{
    struct model_member *member = engine_model_member(model, id);
    if (state == member->state)
        return;
    if (member->state == MEMBER_GONE && model->host->now.mono_ns - member->gone_ns >= GRACE_NS)
        engine_model_member_removed(model, id);
    member->gone_ns = model->host->now.mono_ns;
    member->state = state;
}

void engine_model_member_removed(struct engine_model *model, uint32_t id)
{
    for (size_t c = 0; c < MODEL_CONSUMERS; c++) {
        for (size_t s = 0; s < model->consumers[c].end; s++) {
            if (model->consumers[c].at[s].member == id)
                model->consumers[c].at[s].released = true;
        }
    }
}

void engine_model_turned(struct engine_model *model)
{
    uint64_t index = fake_host_last_index(model->host);
    for (size_t c = 0; c < MODEL_CONSUMERS; c++) {
        for (size_t s = 0; s < model->consumers[c].end; s++) {
            struct model_delivery *at = &model->consumers[c].at[s];
            if (at->ack_index == UINT64_MAX && at->ack_low == 0)
                at->ack_low = model->turned_index + 1;
            at->ack_index = at->ack_index == UINT64_MAX ? index : at->ack_index;
            at->index = at->index == UINT64_MAX ? index : at->index;
            at->nak_index = at->nak_index == UINT64_MAX ? index : at->nak_index;
        }
    }
    model->turned_index = index;
}

void engine_model_refused(struct engine_model *model)
{
    uint64_t good = model->host->applied;
    forget_messages(model);
    forget_words(model, good);
    model->turned_index = good;
    for (size_t c = 0; c < MODEL_CONSUMERS; c++) {
        for (size_t s = 0; s < model->consumers[c].end; s++) {
            struct model_delivery *at = &model->consumers[c].at[s];
            if (at->ack_index > good) {
                at->ack_index = UINT64_MAX;
                at->ack_low = at->ack_low > good ? 0 : at->ack_low;
            }
            if (at->index != UINT64_MAX && at->index > good)
                at->index = UINT64_MAX - 1; // its record is lost for ever
            if (at->nak_index != UINT64_MAX && at->nak_index > good)
                at->nak_index = UINT64_MAX - 1;
        }
    }
}

void engine_model_crashed(struct engine_model *model)
{
    uint64_t good = model->host->applied;
    forget_messages(model);
    forget_words(model, good);
    model->turned_index = good;
    for (size_t c = 0; c < MODEL_CONSUMERS; c++) {
        struct model_consumer *consumer = &model->consumers[c];
        for (size_t s = 0; s < consumer->end; s++) {
            struct model_delivery *at = &consumer->at[s];
            if (at->ack_index > good) {
                at->maybe = at->ack_low && at->ack_low <= good;
                at->ack_index = 0;
            }
            if (at->index > good)
                at->committed = 0;
            at->released = true;
            // An image does not remember the last second of a delay.
            at->not_before_ns -= at->not_before_ns > 1000000000 ? 1000000000 : at->not_before_ns;
            if (at->nak_index > good) { // what was said is forgotten, or not
                at->deliveries += at->uncounted;
                at->not_before_ns = 0;
            }
            at->nak_index = 0;
            at->terminated = false;
        }
        consumer->last_first = 0;
    }
    for (size_t i = 0; i < good; i++)
        remember_deaths(model, NULL, bytes_make(model->host->entries[i].records, model->host->entries[i].len));
    list_foreach(link, &model->host->reads) must(!"no read survives a crash");
    memset(model->members, 0, sizeof(model->members));
}

void engine_model_check_letters(const struct engine_model *model, uint32_t letters)
{
    for (size_t i = 0; i < model->host->entry_count; i++)
        check_entry(bytes_make(model->host->entries[i].records, model->host->entries[i].len), letters);
}

struct model_consumer *engine_model_consumer(struct engine_model *model, const struct consumer *consumer)
{
    struct consumer_state state;
    struct stream_state stream;
    consumer_state_get(consumer, &state);
    stream_state_get(consumer_stream(consumer), &stream);
    size_t free_at = MODEL_CONSUMERS;
    for (size_t c = 0; c < MODEL_CONSUMERS; c++) {
        if (model->consumers[c].id == state.id && model->consumers[c].stream == stream.id)
            return &model->consumers[c];
        free_at = free_at == MODEL_CONSUMERS && model->consumers[c].id == 0 ? c : free_at;
    }
    must(free_at < MODEL_CONSUMERS);
    model->consumers[free_at].id = state.id;
    model->consumers[free_at].stream = stream.id;
    return &model->consumers[free_at];
}

struct model_member *engine_model_member(struct engine_model *model, uint32_t id)
{
    struct model_member *member = &model->members[id % MODEL_MEMBERS];
    if (member->id != id)
        *member = (struct model_member){.id = id, .state = MEMBER_GONE, .gone_ns = model->host->now.mono_ns};
    return member;
}

static void check_may_come_again(struct engine_model *model, const struct model_delivery *at,
                                 const struct stream_config *config)
{
    const uint64_t rounding_ns = 3000000; // records have milliseconds
    uint64_t now_ns = model->host->now.mono_ns, wait_ns = at->ack_wait_ns;
    const struct model_member *member = engine_model_member(model, at->member);
    bool graced = member->state == MEMBER_GONE && now_ns - member->gone_ns >= GRACE_NS;
    if (config->backoff_count && at->deliveries) {
        uint32_t last = config->backoff_count - 1u, step = at->deliveries - 1 < last ? at->deliveries - 1 : last;
        wait_ns = config->backoff_ns[step] > wait_ns ? config->backoff_ns[step] : wait_ns;
    }
    must(at->released || graced || now_ns - at->last_ns >= wait_ns);
    must(now_ns + rounding_ns >= at->not_before_ns);
}

// A seek is committed: what was before it counts no more, but for the dead.
static void settle_seek(struct engine_model *model, struct model_consumer *consumer)
{
    uint64_t index = consumer->seek_index, next = 0;
    if (index == 0 || index > model->host->applied)
        return;
    consumer->seek_index = 0;
    memset(consumer->at, 0, sizeof(consumer->at));
    for (size_t i = 0; i < model->host->applied; i++) {
        struct bytes rest = bytes_make(model->host->entries[i].records, model->host->entries[i].len);
        for (struct record record; rest.len && model->host->entries[i].index == index;) {
            size_t used;
            must(record_get(rest, false, &record, &used) == 0);
            if (record.kind == RECORD_CONSUMER_SEEK && record.object == consumer->id)
                next = get_u64(record.body.ptr);
            rest = bytes_skip(rest, used);
        }
        remember_deaths(model, consumer, bytes_make(model->host->entries[i].records, model->host->entries[i].len));
    }
    must(next > 0);
    consumer->last_first = next - 1;
}

static void settle_redrive(struct engine_model *model, struct model_delivery *at)
{
    if (at->redrive_index && at->redrive_index <= model->host->applied)
        *at = (struct model_delivery){.member = at->member, .released = true, .ever_uncounted = true};
}

// Seeks, redrives and pauses that are not in the log.
static void forget_words(struct engine_model *model, uint64_t good)
{
    for (size_t c = 0; c < MODEL_CONSUMERS; c++) {
        struct model_consumer *consumer = &model->consumers[c];
        settle_seek(model, consumer);
        consumer->seek_index = 0;
        for (size_t s = 0; s < consumer->end; s++) {
            settle_redrive(model, &consumer->at[s]);
            consumer->at[s].redrive_index = 0;
        }
        forget_pauses(&consumer->pause, good);
    }
    for (size_t stream = 0; stream < FAKE_STREAMS; stream++)
        forget_pauses(&model->pauses[stream], good);
}

static void forget_pauses(struct model_pause *pause, uint64_t good)
{
    while (pause->count && pause->said[pause->count - 1].index > good)
        pause->count--;
}

static void check_pause(const struct engine_model *model, const struct model_pause *pause)
{
    size_t last = pause->count;
    while (last && pause->said[last - 1].index > model->host->applied)
        last--;
    if (last && pause->said[last - 1].on)
        must(pause->said[last - 1].until_ns && pause->said[last - 1].until_ns <= model->host->now.wall_ns + 1000000);
}

// Whoever died in this entry is dead until it is redriven. `only` may be NULL.
static void remember_deaths(struct engine_model *model, const struct model_consumer *only, struct bytes entry)
{
    while (entry.len) {
        struct record record;
        size_t used;
        must(record_get(entry, false, &record, &used) == 0);
        bool dead = record.kind == RECORD_DEAD, redriven = record.kind == RECORD_REDRIVEN;
        for (size_t c = 0; c < MODEL_CONSUMERS && (dead || redriven); c++) {
            struct model_consumer *consumer = &model->consumers[c];
            if (consumer->id != record.object || (only && only != consumer))
                continue;
            // One message is redriven at a time here, as a run that begins with the zigzag of its sequence - 1.
            uint64_t number = dead_number(record.body, 0);
            consumer->at[dead ? number : number / 2 + 1].terminated = dead;
        }
        entry = bytes_skip(entry, used);
    }
}

// As many copies as deaths that name one, each with the sequence that its death names.
static void check_entry(struct bytes entry, uint32_t letters)
{
    uint64_t copies = 0, deaths = 0, copied = 0, died = 0;
    while (entry.len) {
        struct record record;
        size_t used;
        must(record_get(entry, true, &record, &used) == 0);
        if (record.kind == RECORD_MESSAGE && record.object == letters) {
            copies++;
            copied += get_u64(record.whole.ptr + 16);
        }
        if (record.kind == RECORD_DEAD && dead_number(record.body, 6) == letters) {
            deaths++;
            died += dead_number(record.body, 7);
        }
        entry = bytes_skip(entry, used);
    }
    must(copies == deaths && copied == died);
}

// One of the numbers at the front of a DEAD record.
static uint64_t dead_number(struct bytes body, size_t which)
{
    uint64_t number = 0;
    for (size_t i = 0; i <= which; i++) {
        size_t used;
        must(varint_get(body, &number, &used) == 0);
        body = bytes_skip(body, used);
    }
    return number;
}

static void check_choice(struct engine_model *model, const struct delivery *delivery)
{
    uint32_t chosen = member_in_flight(delivery->member);
    must(chosen > 0 && chosen <= member_config_get(delivery->member)->max_in_flight);
    if (!model->synchronous)
        return;
    for (struct member *m = consumer_member_next(delivery->consumer, NULL); m;
         m = consumer_member_next(delivery->consumer, m))
        must(m == delivery->member || !is_free(model, m, chosen - 1));
}

// Could it have taken the message, with fewer in flight than the chosen one had?
static bool is_free(struct engine_model *model, const struct member *member, uint32_t in_flight)
{
    return model->members[member_id(member) % MODEL_MEMBERS].id == member_id(member) && member_context(member) &&
           model->members[member_id(member) % MODEL_MEMBERS].state == MEMBER_READY &&
           member_in_flight(member) < member_config_get(member)->max_in_flight && member_in_flight(member) < in_flight;
}

// What was published after the last committed entry never was; its sequences will be used again.
static void forget_messages(struct engine_model *model)
{
    for (size_t stream = 0; stream < FAKE_STREAMS; stream++) {
        for (size_t s = 0; s < MODEL_SEQUENCES; s++) {
            if (model->messages[stream][s].index > model->host->applied)
                model->messages[stream][s] = (struct model_message){0};
        }
    }
}
