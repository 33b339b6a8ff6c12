// SPDX-License-Identifier: Apache-2.0
// Messages between workers: what goes out is written into the destination's batch, what comes in is routed here like any other,
// but never further, except for a queue group that has no member left here.
#include "broker/connection.h"
#include "broker/remote_internal.h"

static void send(struct account *account, struct broker_message *message, uint32_t worker, struct bytes queue);
static void write_text(struct remote_record *record, const struct broker_message *message, struct bytes queue);
static void answer(struct remotes *remotes, const struct broker_message *message);

void remote_passage_begin(struct remote_passage *passage, struct broker_message *message)
{
    *passage = (struct remote_passage){0};
    if (message->from) {
        passage->origin = message->from->broker->remotes->self;
        passage->connection = message->from->id;
    }
    message->passage = passage;
}

size_t remote_message_send(struct account *account, struct broker_message *message)
{
    size_t count = 0;
    uint64_t workers = message->passage->workers;
    for (uint32_t worker = 0; workers; worker++, workers >>= 1) {
        if (!(workers & 1))
            continue;
        send(account, message, worker, (struct bytes){0});
        count++;
    }
    return count;
}

bool remote_message_send_group(const struct remote_target *target, struct broker_message *message)
{
    struct remote_passage *passage = message->passage;
    uint64_t bit = UINT64_C(1) << target->worker;
    if (target->target.dead || (passage->visited & bit))
        return false;
    send(target->account, message, target->worker, passage->group);
    passage->last->visited = passage->visited | bit;
    return true;
}

void remote_message_finish(struct broker_message *message, size_t count)
{
    const struct remote_passage *passage = message->passage;
    if (passage->sent != 1 || count != 1)
        return;
    const struct connection *from = message->from;
    passage->last->wants_answer =
        passage->is_hop ? passage->wants_answer : from && from->no_responders && message->reply.len > 0;
}

void remote_message_receive(struct remotes *remotes, const struct remote_record *record)
{
    struct account *account = map_u64_find(&remotes->accounts, record->account);
    if (!account) {
        if (record->block)
            shared_block_unref(record->block);
        return;
    }
    struct remote_passage passage = {
        .is_hop = true,
        .wants_answer = record->wants_answer,
        .origin = record->origin,
        .connection = record->id,
        .visited = record->visited,
    };
    const char *body = remote_record_body(record);
    struct bytes payload = bytes_make(body + record->header_len, record->payload_len);
    struct broker_message message = {
        .subject = remote_record_subject(record),
        .reply = remote_record_reply(record),
        .header = bytes_make(body, record->header_len),
        .parts = &payload,
        .part_count = 1,
        .payload_len = payload.len,
        .passage = &passage,
        .standing = record->standing,
        .skips_imports = true, // the worker it comes from has seen to those
        .shares_block = record->block != NULL,
        .block = record->block ? outbound_block_wrap(record->block) : NULL,
    };
    // Passed on until it came home: its own connection may still not want it.
    if (passage.origin == remotes->self)
        message.from = map_u64_find(&remotes->connections, passage.connection);
    if (broker_route_hop(account, &message, remote_record_queue(record)) == 0 && passage.wants_answer)
        answer(remotes, &message);
}

void remote_message_pause(struct remotes *remotes, const struct remote_passage *passage)
{
    struct remote_link *link = &remotes->links[passage->origin];
    if (passage->connection == 0 || passage->origin == remotes->self)
        return;
    // Once for what came together. Behind that it is said again: another worker's resume may have set it going meanwhile.
    if (link->has_paused && link->paused_id == passage->connection && link->paused_in == remotes->worked_through)
        return;
    link->has_paused = true;
    link->paused_id = passage->connection;
    link->paused_in = remotes->worked_through;
    remote_record_add(remotes, passage->origin, REMOTE_PAUSE, 0)->id = passage->connection;
}

void remote_message_resume(struct remotes *remotes)
{
    for (uint32_t i = 0; i < remotes->count; i++) {
        if (!remotes->links[i].has_paused)
            continue;
        remotes->links[i].has_paused = false;
        remote_record_add(remotes, i, REMOTE_RESUME, 0);
    }
}

void remote_message_no_responders(struct remotes *remotes, const struct remote_record *record)
{
    struct connection *connection = map_u64_find(&remotes->connections, record->id);
    if (connection)
        connection_tell_no_responders(connection, remote_record_subject(record), remote_record_reply(record));
}

// Short messages are copied into the batch, of long ones it gets a reference.
static void send(struct account *account, struct broker_message *message, uint32_t worker, struct bytes queue)
{
    struct broker *broker = account->broker;
    struct remotes *remotes = broker->remotes;
    struct outbound_block *block =
        message->payload_len > BROKER_BLOCK_MIN_BYTES ? broker_message_block(broker, message) : NULL;
    size_t text_len = message->subject.len + message->reply.len + queue.len;
    if (!block)
        text_len += message->header.len + message->payload_len;
    struct remote_record *record = remote_record_add(remotes, worker, REMOTE_MESSAGE, text_len);
    record->origin = (uint8_t)message->passage->origin;
    record->standing = message->standing;
    record->id = message->passage->connection;
    record->account = account->id;
    record->subject_len = (uint32_t)message->subject.len;
    record->reply_len = (uint32_t)message->reply.len;
    record->queue_len = (uint32_t)queue.len;
    record->header_len = (uint32_t)message->header.len;
    record->payload_len = (uint32_t)message->payload_len;
    if (block) {
        record->block = block->shared;
        shared_block_ref(block->shared);
        remote_count_bytes(remotes, worker, block->len);
    }
    write_text(record, message, queue);
    message->passage->sent++;
    message->passage->last = record;
    if (message->from && !message->passage->is_hop && remote_is_over(remotes, worker, remotes->window_bytes)) {
        remotes->links[worker].is_full = true;
        connection_pause(message->from, CONNECTION_PAUSE_WINDOW);
    }
}

static void write_text(struct remote_record *record, const struct broker_message *message, struct bytes queue)
{
    char *at = broker_copy((char *)(record + 1), message->subject);
    at = broker_copy(at, message->reply);
    at = broker_copy(at, queue);
    if (record->block)
        return;
    at = broker_copy(at, message->header);
    for (size_t i = 0; i < message->part_count; i++)
        at = broker_copy(at, message->parts[i]);
}

static void answer(struct remotes *remotes, const struct broker_message *message)
{
    const struct remote_passage *passage = message->passage;
    if (passage->origin == remotes->self) {
        if (message->from)
            connection_tell_no_responders(message->from, message->subject, message->reply);
        return;
    }
    size_t text_len = message->subject.len + message->reply.len;
    struct remote_record *record = remote_record_add(remotes, passage->origin, REMOTE_NO_RESPONDERS, text_len);
    record->id = passage->connection;
    record->subject_len = (uint32_t)message->subject.len;
    record->reply_len = (uint32_t)message->reply.len;
    broker_copy(broker_copy((char *)(record + 1), message->subject), message->reply);
}
