// SPDX-License-Identifier: Apache-2.0
#include "broker/inlet_run.h"

#include "broker/broker_internal.h"
#include "broker/connection.h"

static struct inlet_target *find(const struct inlet_run *run, struct account *account, struct bytes subject);

bool inlet_run_goes_on(const struct inlet_run *run, const struct connection *connection, const struct wire_op *op)
{
    return run->count == 0 || (op->kind == WIRE_PUB && find(run, connection->account, op->subject) == run->target);
}

bool inlet_run_add(struct inlet_run *run, struct connection *connection, const struct broker_message *message)
{
    struct inlet_target *target = find(run, connection->account, message->subject);
    must(run->count == 0 || target == run->target);
    if (!target || target->target.kind != TARGET_INLET || !target->inlet->on_run)
        return false;
    run->target = target;
    run->subject = message->subject;
    run->messages[run->count++] = (struct inlet_message){
        .subject = message->subject,
        .reply = message->reply,
        .headers = message->header,
        .payload = message->parts[0],
        .connection = connection->id,
        .standing = message->standing,
    };
    // Not with the next one: before that, somebody looks at whether the connection may go on.
    if (run->count == INLET_RUN_MAX)
        inlet_run_end(run, connection);
    return true;
}

void inlet_run_end(struct inlet_run *run, struct connection *connection)
{
    if (run->count == 0)
        return;
    struct broker *broker = connection->broker;
    struct inlet *inlet = run->target->inlet;
    size_t count = run->count;
    run->count = 0;
    broker->depth++;
    broker->called = true;
    if (!inlet->on_run(inlet, run->messages, count))
        connection_pause(connection, CONNECTION_PAUSE_INLET);
    broker->depth--;
    if (broker->dead)
        broker_reap(broker);
}

// While a run gathers nothing happens that could change who gets its subject, or another one with the same prefix: that was found because
// nothing else overlaps it.
static struct inlet_target *find(const struct inlet_run *run, struct account *account, struct bytes subject)
{
    if (run->count > 0 && (bytes_equal(run->subject, subject) || broker_inlet_is_behind(run->target, subject)))
        return run->target;
    return broker_inlet_find(account, subject);
}
