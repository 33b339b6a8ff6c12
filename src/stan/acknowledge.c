// SPDX-License-Identifier: Apache-2.0
// tidy: prefix acknowledge
// What subscribers say about messages on their ack inbox: an Ack (ST-P06), or one of our verdicts. Neither is answered; what it has,
// and its group, is told to who asks with +INFO. What
// does not make sense is nothing to tell anybody: the message comes again.
#include "stan/envelope.h"
#include "stan/stan_internal.h"
#include "stan/verdict.h"

static void finish(struct stan *stan, uint32_t number, uint64_t sequence);
static void take(struct stan *stan, struct member *member, const struct inlet_message *message);
static void describe(struct stan *stan, const struct member *member, struct bytes reply);
static void carry_out(struct stan *stan, struct member *member, const struct verdict *verdict);

// Acknowledgements of many members come side by side; what they are about does not lie so. What is no Ack, or nobody's, has member 0.
void acknowledge_on_run(struct stan *stan, const struct inlet_message *messages, size_t count)
{
    uint32_t members[INLET_RUN_MAX] = {0};
    uint64_t sequences[INLET_RUN_MAX];
    for (size_t i = 0; i < count; i++) {
        struct envelope_ack ack = {0};
        if (!verdict_may_be(messages[i].payload) && envelope_ack_decode(messages[i].payload, &ack) == 0)
            (void)!stan_subject_number(messages[i].subject, &members[i]);
        sequences[i] = ack.sequence;
    }
    engine_acks_ahead(stan->engine, members, sequences, count);
    for (size_t i = 0; i < count; i++) {
        if (members[i])
            finish(stan, members[i], sequences[i]);
        else
            acknowledge_on_message(stan, &messages[i]);
    }
}

void acknowledge_on_message(struct stan *stan, const struct inlet_message *message)
{
    uint32_t number;
    if (stan_subject_number(message->subject, &number))
        return;
    struct member *member = engine_member_by_id(stan->engine, number);
    if (member && member_context(member))
        take(stan, member, message);
}

bool acknowledge_on_former(struct inlet *inlet, const struct inlet_message *message)
{
    struct subscription *subscription = container_of(inlet, struct subscription, former_ack);
    take(subscription->stan, subscription->member, message);
    return true;
}

// A late acknowledgement of something that is not pending any more is nothing to tell anybody (ST-B09).
static void finish(struct stan *stan, uint32_t number, uint64_t sequence)
{
    struct member *member = engine_member_by_id(stan->engine, number);
    if (member && member_context(member))
        (void)!engine_ack(stan->engine, member_consumer(member), sequence, stan_time(stan));
}

static void take(struct stan *stan, struct member *member, const struct inlet_message *message)
{
    struct bytes payload = message->payload;
    struct verdict verdict;
    struct envelope_ack ack;
    if (bytes_equal(payload, BYTES("+INFO"))) {
        describe(stan, member, message->reply);
        return;
    }
    int error = verdict_decode(payload, &verdict);
    if (!error)
        carry_out(stan, member, &verdict);
    if (error == ERR_NOT_FOUND && envelope_ack_decode(payload, &ack) == 0)
        (void)!engine_ack(stan->engine, member_consumer(member), ack.sequence, stan_time(stan));
}

static void describe(struct stan *stan, const struct member *member, struct bytes reply)
{
    struct bytes none = {0}, text;
    if (!stan->describe || reply.len == 0)
        return;
    buffer_clear(&stan->scratch);
    stan->describe(stan->describe_owner, member_id(member), &stan->scratch);
    text = buffer_bytes(&stan->scratch);
    if (text.len)
        broker_publish(stan->broker, reply, none, none, &text, 1);
}

static void carry_out(struct stan *stan, struct member *member, const struct verdict *verdict)
{
    struct consumer *consumer = member_consumer(member);
    switch (verdict->kind) {
    case VERDICT_IN_PROGRESS:
        (void)!engine_extend(stan->engine, consumer, member, verdict->sequence, stan_time(stan));
        break;
    case VERDICT_GIVE_BACK:
        (void)!engine_nak(stan->engine, consumer, member, verdict->sequence, verdict->delay_ns, verdict->count,
                          stan_time(stan));
        break;
    case VERDICT_TERMINATE:
        (void)!engine_terminate(stan->engine, consumer, verdict->sequence, verdict->reason, stan_time(stan));
        break;
    }
}
