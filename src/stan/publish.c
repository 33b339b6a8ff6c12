// SPDX-License-Identifier: Apache-2.0
// tidy: prefix publish
// Publishing (ST-P02): the hot path. Decode in place, propose, encode the PubAck into the hold queue. Messages come in runs: all of a
// run are decoded first, and the memory in which their ids belong is called for, because each id lies somewhere else in a table
// that is larger than any cache.
//
// When the log has too much in flight (ERR_AGAIN), messages wait in a bounded backlog, in order, and the broker stops reading
// from those who send them; each connection adds at most what was read from it already.
#include "stan/channel.h"
#include "stan/dead_letter.h"
#include "stan/envelope.h"
#include "stan/stan_internal.h"

enum {
    BACKLOG_HEADER = 12, // bytes: lengths of reply, headers, payload
    GUID_MAX = 256,      // bytes; clients send 22
    HELD_MAX = 64 << 20, // bytes of answers that wait for the disk; duplicates add to them without adding to the log
};

#define INVALID "stan: invalid publish request" // ST-E10

// A publish request, decoded. What of `client` and `stream` is NULL has to be looked up.
struct arrival {
    struct envelope_publish publish;
    struct stan_client *client; // borrowed from the registry
    struct stream *stream;      // borrowed from the engine
    struct hash128 id;          // with a client
    bool valid;
};

static void arrival_decode(struct stan *stan, struct bytes payload, const struct arrival *previous,
                           struct arrival *ret_arrival);
static void find_streams(struct stan *stan, struct arrival *arrivals, size_t count);
static bool is_addressed(const struct stan *stan, struct bytes subject, const struct arrival *arrival);
static int publish_now(struct stan *stan, struct bytes reply, struct bytes headers, struct arrival *arrival);
static void refuse(struct stan *stan, struct bytes reply, struct bytes guid, const char *text, bool waits);
static struct stream *channel(struct stan *stan, struct bytes name, int *ret_error);
static bool backlog_is_empty(const struct stan *stan);
static bool backlog_append(struct stan *stan, struct bytes reply, struct bytes headers, struct bytes payload);

bool publish_on_message(struct stan *stan, const struct inlet_message *message)
{
    return publish_on_run(stan, message, 1);
}

// Refusals are answered at once, perhaps to one of our own subjects: what was looked up before is in doubt then.
bool publish_on_run(struct stan *stan, const struct inlet_message *messages, size_t count)
{
    struct arrival arrivals[INLET_RUN_MAX];
    bool keeps_up = true, sure = true;
    for (size_t i = 0; i < count; i++)
        arrival_decode(stan, messages[i].payload, i > 0 ? &arrivals[i - 1] : NULL, &arrivals[i]);
    find_streams(stan, arrivals, count);
    for (size_t i = 0; i < count; i++) {
        if (arrivals[i].stream)
            engine_publish_ahead(stan->engine, arrivals[i].stream, arrivals[i].id);
    }
    for (size_t i = 0; i < count; i++) {
        if (!sure)
            arrivals[i].client = NULL, arrivals[i].stream = NULL;
        uint64_t refused = stan->refused;
        int error = 0;
        if (arrivals[i].valid && !is_addressed(stan, messages[i].subject, &arrivals[i]))
            refuse(stan, messages[i].reply, arrivals[i].publish.guid, INVALID, false);
        else
            error = backlog_is_empty(stan) ? publish_now(stan, messages[i].reply, messages[i].headers, &arrivals[i])
                                           : ERR_AGAIN;
        if (error == ERR_AGAIN) {
            keeps_up = false;
            if (!backlog_append(stan, messages[i].reply, messages[i].headers, messages[i].payload))
                refuse(stan, messages[i].reply, arrivals[i].publish.guid, answer_error_text(ANSWER_PUBLISH, ERR_AGAIN),
                       false);
        }
        sure = sure && stan->refused == refused;
    }
    return keeps_up;
}

// The messages are taken out of the backlog first: a refusal may be answered to one of our own subjects, and what that publishes
// must not move the bytes being read.
void publish_resume(struct stan *stan)
{
    struct buffer taken = stan->backlog;
    size_t head = stan->backlog_head;
    buffer_init(&stan->backlog, taken.max);
    stan->backlog_head = 0;
    bool more = true;
    while (more && head < taken.len) {
        const char *at = taken.ptr + head;
        struct bytes reply = bytes_make(at + BACKLOG_HEADER, get_u32(at));
        struct bytes headers = bytes_make(reply.ptr + reply.len, get_u32(at + 4));
        struct bytes payload = bytes_make(headers.ptr + headers.len, get_u32(at + 8));
        struct arrival arrival;
        arrival_decode(stan, payload, NULL, &arrival);
        find_streams(stan, &arrival, 1);
        more = publish_now(stan, reply, headers, &arrival) != ERR_AGAIN;
        if (more)
            head += BACKLOG_HEADER + reply.len + headers.len + payload.len;
    }
    if (more) {
        buffer_deinit(&taken);
    } else {
        // Only answers to subjects of ours can have come meanwhile; past the limit they are nobody's loss.
        (void)!buffer_append(&taken, buffer_bytes(&stan->backlog));
        if (head > taken.len / 2) {
            buffer_consume(&taken, head);
            head = 0;
        }
        buffer_deinit(&stan->backlog);
        stan->backlog = taken;
        stan->backlog_head = head;
    }
    if (backlog_is_empty(stan))
        broker_inlets_resume(stan->broker);
}

bool publish_is_waiting(const struct stan *stan)
{
    return !backlog_is_empty(stan);
}

// The one before it is often of the same client. The stream is looked for by find_streams().
static void arrival_decode(struct stan *stan, struct bytes payload, const struct arrival *previous,
                           struct arrival *ret_arrival)
{
    struct arrival *arrival = ret_arrival;
    arrival->client = NULL;
    arrival->stream = NULL;
    arrival->valid = envelope_publish_decode(payload, &arrival->publish) == 0 && arrival->publish.guid.len > 0;
    if (!arrival->valid)
        return;
    const struct envelope_publish *publish = &arrival->publish;
    bool same = previous && previous->client && bytes_equal(publish->client_id, previous->publish.client_id);
    arrival->client = same ? previous->client : registry_find(&stan->registry, publish->client_id);
    if (arrival->client)
        arrival->id = hash128_bytes(publish->guid, arrival->client->id_hash);
}

// Of those with a client. One behind the other they are often of the same channel.
static void find_streams(struct stan *stan, struct arrival *arrivals, size_t count)
{
    struct bytes names[INLET_RUN_MAX];
    struct stream *found[INLET_RUN_MAX];
    size_t places[INLET_RUN_MAX], different = 0;
    for (size_t i = 0; i < count; i++) {
        struct bytes name = arrivals[i].client ? arrivals[i].publish.subject : (struct bytes){0};
        if (different == 0 || !bytes_equal(name, names[different - 1]))
            names[different++] = name;
        places[i] = different - 1;
    }
    _Static_assert((int)INLET_RUN_MAX <= (int)ENGINE_FIND_MAX, "a run is found at once");
    engine_stream_find_many(stan->engine, 1, names, different, found);
    for (size_t i = 0; i < count; i++)
        arrivals[i].stream = arrivals[i].client ? found[places[i]] : NULL;
}

// Whether the subject that it was sent to names its channel, as with every client: permissions are about that subject.
static bool is_addressed(const struct stan *stan, struct bytes subject, const struct arrival *arrival)
{
    size_t prefix_len = strlen(stan->publish_prefix) + 1; // with the '.'
    return subject.len >= prefix_len && bytes_equal(bytes_skip(subject, prefix_len), arrival->publish.subject);
}

// ERR_AGAIN: nothing was done. Else the publisher was, or will be, answered.
static int publish_now(struct stan *stan, struct bytes reply, struct bytes headers, struct arrival *arrival)
{
    if (hold_bytes(&stan->answers) > HELD_MAX)
        return ERR_AGAIN;
    const char *refusal = INVALID;
    bool waits = false;
    const struct envelope_publish *publish = &arrival->publish;
    if (!arrival->valid)
        goto refuse;
    if (publish->guid.len > GUID_MAX)
        goto refuse;
    // ST-B17: a channel name has no wildcards.
    const struct stan_client *client =
        arrival->client ? arrival->client : registry_find(&stan->registry, publish->client_id);
    waits = !client || (publish->connection_id.len && !bytes_equal(publish->connection_id, client->connection_id));
    if (waits)
        goto refuse;
    int error = 0;
    struct stream *stream = arrival->stream ? arrival->stream : channel(stan, publish->subject, &error);
    if (error == ERR_INVALID)
        goto refuse;
    struct publish_result result;
    if (!error) {
        struct publish message = {
            .reply = publish->reply,
            .headers = dead_letter_strip(headers, &stan->headers),
            .payload = publish->data,
            .dedupe = arrival->client ? arrival->id : hash128_bytes(publish->guid, client->id_hash),
        };
        error = engine_publish(stan->engine, stream, &message, stan_time(stan), &result);
    } else if (error == ERR_LIMIT) {
        refusal = "too many channels"; // ST-E20
        waits = true;
        goto refuse;
    }
    if (error == ERR_AGAIN)
        return error;
    if (error) {
        refusal = answer_error_text(ANSWER_PUBLISH, error);
        waits = answer_error_waits(error);
        goto refuse;
    }
    stan->stats.in_msgs++;
    stan->stats.in_bytes += publish->data.len;
    answer_publish(stan, result.index, reply, publish->guid);
    return 0;
refuse:
    refuse(stan, reply, publish->guid, refusal, waits);
    return 0;
}

// An id that is too long is not repeated: it may be as long as a message, whatever else is wrong with the request.
static void refuse(struct stan *stan, struct bytes reply, struct bytes guid, const char *text, bool waits)
{
    stan->refused++;
    if (guid.len > GUID_MAX)
        guid = (struct bytes){0};
    if (waits)
        answer_reject(stan, ANSWER_PUBLISH, reply, guid, text);
    else
        answer_error(stan, ANSWER_PUBLISH, reply, guid, text);
}

// The channel's stream, created on first use (ST-B01). ERR_INVALID: no name for a channel.
static struct stream *channel(struct stan *stan, struct bytes name, int *ret_error)
{
    struct stream *stream = engine_stream_find(stan->engine, 1, name);
    *ret_error = 0;
    if (stream)
        return stream;
    *ret_error = channel_name_is_valid(name) ? channels_create(stan, name, &stream) : ERR_INVALID;
    return stream;
}

static bool backlog_is_empty(const struct stan *stan)
{
    return stan->backlog_head == stan->backlog.len;
}

static bool backlog_append(struct stan *stan, struct bytes reply, struct bytes headers, struct bytes payload)
{
    const struct bytes parts[] = {reply, headers, payload};
    size_t size = BACKLOG_HEADER + reply.len + headers.len + payload.len;
    char *to = buffer_reserve(&stan->backlog, size);
    if (!to)
        return false;
    for (size_t i = 0; i < 3; i++)
        put_u32(to + 4 * i, (uint32_t)parts[i].len);
    to += BACKLOG_HEADER;
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].len)
            memcpy(to, parts[i].ptr, parts[i].len);
        to += parts[i].len;
    }
    buffer_commit(&stan->backlog, size);
    return true;
}
