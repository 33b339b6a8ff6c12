// SPDX-License-Identifier: Apache-2.0
// tidy: prefix answer
// What clients get back. Every answer to something that was stored goes through the hold queue, in front of the frame one byte
// that says what it is; so do refusals that rest on what is not durable yet. Other refusals are answered at once.
#include "base/memory.h"
#include "base/must.h"
#include "stan/envelope.h"
#include "stan/stan_internal.h"

enum { HELD_REFUSALS_MAX = 64 << 20 }; // bytes of held answers above which refusals do not wait

static void release(void *owner, struct bytes subject, struct bytes frame);
static void refuse(void *owner, struct bytes subject, struct bytes frame, int error);
static void hold(struct stan *stan, uint64_t index, struct bytes reply);
static void hold_subscribe(struct stan *stan, uint64_t index, struct bytes reply,
                           const StanPb__SubscriptionResponse *response);
static char *frame_begin(struct stan *stan, enum answer_kind kind, size_t size);
static size_t error_encode(enum answer_kind kind, struct bytes guid, struct bytes text, struct buffer *out);
static void *allocate(void *data, size_t size);
static void release_memory(void *data, void *pointer);

const ProtobufCAllocator answer_allocator = {allocate, release_memory, NULL};

void answer_init(struct stan *stan)
{
    stan->answers.owner = stan;
    stan->answers.release = release;
    stan->answers.refuse = refuse;
    hold_init(&stan->answers, stan->shard);
}

void answer_publish(struct stan *stan, uint64_t index, struct bytes reply, struct bytes guid)
{
    if (reply.len == 0)
        return;
    char *to = frame_begin(stan, ANSWER_PUBLISH, envelope_pub_ack_size(guid.len, 0));
    buffer_commit(&stan->scratch, envelope_pub_ack_encode(to, guid, (struct bytes){0}));
    hold(stan, index, reply);
}

static ProtobufCBinaryData text_field(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

void answer_connect(struct stan *stan, uint64_t index, struct bytes reply, const struct stan_client *client)
{
    if (reply.len == 0)
        return;
    StanPb__ConnectResponse response = STAN_PB__CONNECT_RESPONSE__INIT;
    response.pub_prefix = text_field(stan->publish_prefix);
    response.sub_requests = text_field(stan->subscribe_subject);
    response.unsub_requests = text_field(stan->unsubscribe_subject);
    response.sub_close_requests = text_field(stan->sub_close_subject);
    response.close_requests = text_field(stan->close_subject);
    response.protocol = 1;
    if (client->protocol >= 1) {
        response.ping_requests = text_field(stan->ping_subject);
        response.ping_interval = (int32_t)client->ping_interval_s;
        response.ping_max_out = (int32_t)client->ping_max_out;
    }
    char *to = frame_begin(stan, ANSWER_CONNECT, stan_pb__connect_response__get_packed_size(&response));
    buffer_commit(&stan->scratch, stan_pb__connect_response__pack(&response, (uint8_t *)to));
    hold(stan, index, reply);
}

void answer_subscribe(struct stan *stan, uint64_t index, struct bytes reply, struct bytes ack_inbox)
{
    if (reply.len == 0)
        return;
    StanPb__SubscriptionResponse response = STAN_PB__SUBSCRIPTION_RESPONSE__INIT;
    response.ack_inbox = (ProtobufCBinaryData){ack_inbox.len, (uint8_t *)(uintptr_t)ack_inbox.ptr};
    hold_subscribe(stan, index, reply, &response);
}

void answer_inquiry(struct stan *stan, struct bytes reply, uint64_t first_sequence, uint64_t last_sequence)
{
    if (reply.len == 0)
        return;
    StanPb__SubscriptionResponse response = STAN_PB__SUBSCRIPTION_RESPONSE__INIT;
    response.inquired = true;
    response.first_sequence = first_sequence;
    response.last_sequence = last_sequence;
    hold_subscribe(stan, shard_last_index(stan->shard), reply, &response);
}

void answer_close(struct stan *stan, uint64_t index, struct bytes reply)
{
    if (reply.len == 0)
        return;
    frame_begin(stan, ANSWER_CLOSE, 0);
    hold(stan, index, reply);
}

void answer_error(struct stan *stan, enum answer_kind kind, struct bytes reply, struct bytes guid, const char *text)
{
    if (reply.len == 0)
        return;
    buffer_clear(&stan->scratch);
    error_encode(kind, guid, bytes_from_string(text), &stan->scratch);
    struct bytes payload = buffer_bytes(&stan->scratch);
    broker_publish(stan->broker, reply, (struct bytes){0}, (struct bytes){0}, &payload, 1);
}

void answer_reject(struct stan *stan, enum answer_kind kind, struct bytes reply, struct bytes guid, const char *text)
{
    uint64_t index = shard_last_index(stan->shard);
    if (index <= shard_committed_index(stan->shard) || hold_bytes(&stan->answers) > HELD_REFUSALS_MAX) {
        answer_error(stan, kind, reply, guid, text);
        return;
    }
    if (reply.len == 0)
        return;
    frame_begin(stan, kind, 0);
    error_encode(kind, guid, bytes_from_string(text), &stan->scratch);
    hold(stan, index, reply);
}

bool answer_error_waits(int error)
{
    return error == ERR_LIMIT || error == ERR_EXISTS || error == ERR_NOT_FOUND || error == ERR_IDS_FULL ||
           error == ERR_FULL || error == ERR_IN_USE;
}

const char *answer_error_text(enum answer_kind kind, int error)
{
    switch (error) {
    case ERR_NO_SPACE: return "stan: the server's disk is full, nothing was stored";
    case ERR_IO: // what failed it
    case ERR_FAILED: return "stan: the server's log has failed, nothing is stored until it is restarted";
    case ERR_IDS_FULL: return "stan: too many messages within the duplicate window";
    case ERR_FULL: return "stan: the channel is full of messages that are not acknowledged, nothing was stored";
    case ERR_TOO_BIG: return "stan: too big to be stored";
    case ERR_CLOSED: return "stan: the server is shutting down";
    case ERR_AGAIN: return "stan: the server is overloaded, try again";
    case ERR_LIMIT: // ST-E20
        return kind == ANSWER_SUBSCRIBE ? "too many subscriptions per channel"
               : kind == ANSWER_CONNECT ? "stan: too many clients"
                                        : "stan: the server's memory store is full";
    case ERR_IN_USE: return "stan: channel is being deleted";       // ST-E18
    case ERR_EXISTS: return "stan: duplicate durable registration"; // ST-E14
    default: return "stan: the server could not store the request";
    }
}

static void release(void *owner, struct bytes subject, struct bytes frame)
{
    struct stan *stan = owner;
    struct bytes payload = bytes_skip(frame, 1);
    broker_publish(stan->broker, subject, (struct bytes){0}, (struct bytes){0}, &payload, 1);
}

static void refuse(void *owner, struct bytes subject, struct bytes frame, int error)
{
    struct stan *stan = owner;
    enum answer_kind kind = (enum answer_kind)frame.ptr[0];
    struct envelope_publish ack = {0};
    // A PubAck has the guid in field 1, where a PubMsg has its client id.
    if (kind == ANSWER_PUBLISH && envelope_publish_decode(bytes_skip(frame, 1), &ack))
        return;
    answer_error(stan, kind, subject, ack.client_id, answer_error_text(kind, error));
}

// The frame in scratch waits for its record.
static void hold(struct stan *stan, uint64_t index, struct bytes reply)
{
    hold_push(&stan->answers, index, reply, buffer_bytes(&stan->scratch));
}

static void hold_subscribe(struct stan *stan, uint64_t index, struct bytes reply,
                           const StanPb__SubscriptionResponse *response)
{
    char *to = frame_begin(stan, ANSWER_SUBSCRIBE, stan_pb__subscription_response__get_packed_size(response));
    buffer_commit(&stan->scratch, stan_pb__subscription_response__pack(response, (uint8_t *)to));
    hold(stan, index, reply);
}

// Room for a frame of `size` bytes behind its kind.
static char *frame_begin(struct stan *stan, enum answer_kind kind, size_t size)
{
    buffer_clear(&stan->scratch);
    char *to = buffer_reserve(&stan->scratch, 1 + size);
    must(to);
    to[0] = (char)kind;
    buffer_commit(&stan->scratch, 1);
    return to + 1;
}

// Appends the message of this kind with its error field set.
static size_t error_encode(enum answer_kind kind, struct bytes guid, struct bytes text, struct buffer *out)
{
    static const uint8_t fields[] = {
        [ANSWER_PUBLISH] = 2, [ANSWER_CONNECT] = 5, [ANSWER_SUBSCRIBE] = 3, [ANSWER_CLOSE] = 1};
    char *to = buffer_reserve(out, envelope_pub_ack_size(guid.len, text.len));
    must(to);
    size_t used = envelope_pub_ack_encode(to, kind == ANSWER_PUBLISH ? guid : (struct bytes){0}, text);
    if (kind != ANSWER_PUBLISH)
        to[0] = (char)(fields[kind] << 3 | 2);
    buffer_commit(out, used);
    return used;
}

static void *allocate(void *data, size_t size)
{
    (void)data;
    return mem_alloc(size);
}

static void release_memory(void *data, void *pointer)
{
    (void)data;
    mem_free(pointer);
}
