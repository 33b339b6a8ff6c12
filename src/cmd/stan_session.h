// SPDX-License-Identifier: Apache-2.0
// A small client of NATS Streaming for our own commands (bench, bridge, work, enqueue), on cmd/client: of any server that speaks it. One thread
// at a time, no reconnect by itself: whoever wants that opens another session, or resumes this one.
//
// stan_session_open ──► stan_session_subscribe/_publish/_acknowledge … client_wait() or client_step() on .client ──► stan_session_close
//
// Requests wait for their answers; what comes meanwhile goes to the callbacks. Everything else is buffered, as in cmd/client.h.
#pragma once

#include "cmd/client.h"
#include "stan/stan.pb-c.h"

enum { STAN_SESSION_TEXT_SIZE = 512, STAN_SESSION_SUBJECT_SIZE = 2048 };

// ST-M12
enum stan_session_start {
    STAN_SESSION_START_LAST = 1,
    STAN_SESSION_START_TIME = 2,
    STAN_SESSION_START_SEQUENCE = 3,
    STAN_SESSION_START_FIRST = 4,
};

// Borrowed during the callback.
struct stan_session_message {
    uint64_t sid; // of the subscription
    uint64_t sequence, time_ns;
    uint32_t redelivery_count; // deliveries before this one
    struct bytes headers;      // len 0: none, or a server that has none
    struct bytes reply, data;
};

// Strings are borrowed during the call.
struct stan_session_subscription {
    const char *channel;
    const char *durable; // "": none
    const char *group;   // NULL: none
    uint64_t sid;        // at least STAN_SESSION_FIRST_SID, each only once in a session
    uint32_t max_in_flight, ack_wait_s;
    enum stan_session_start start;
    uint64_t start_sequence;
    uint64_t start_delta_ns;
    char *ack_inbox; // STAN_SESSION_TEXT_SIZE bytes: filled in before the first message is handed over
};

enum { STAN_SESSION_FIRST_SID = 100 }; // lower ones are the session's own

struct stan_session {
    struct client client;
    char client_id[STAN_SESSION_TEXT_SIZE];
    // Called for messages of subscriptions, and for answers to publishes: `tag` is what was given with it, error.len 0 success. They may
    // publish and acknowledge on any session, and request nothing.
    void (*on_message)(void *owner, const struct stan_session_message *message);
    void (*on_published)(void *owner, uint64_t tag, struct bytes guid, struct bytes error);
    // For whoever subscribes with .client itself, from STAN_SESSION_FIRST_SID on: instead of on_message, and what comes is not decoded.
    void (*on_raw)(void *owner, uint64_t sid, const struct wire_op *op);
    bool (*is_stopped)(void *owner); // asked while a request waits: true gives it up. NULL: never
    void *owner;
    char error[CLIENT_ERROR_MAX]; // why the last call failed

    // For those who encode requests themselves.
    char inbox[64]; // what its inboxes begin with, and the id of its connection
    char publish_prefix[STAN_SESSION_TEXT_SIZE], subscribe_subject[STAN_SESSION_TEXT_SIZE];
    char unsubscribe_subject[STAN_SESSION_TEXT_SIZE], sub_close_subject[STAN_SESSION_TEXT_SIZE];
    char close_subject[STAN_SESSION_TEXT_SIZE];
    char ping_subject[STAN_SESSION_TEXT_SIZE]; // empty: the server does not know it

    // Its own.
    char reply[128]; // of the request that waits
    struct buffer answer, frame;
    bool answered, refused_by_nobody; // the latter: a 503
    struct stan_session_subscription *subscribing;
    uint64_t requests, pings, pongs, pinged_ns;
    char replaced[128]; // what the server says about this client: empty is well
};

// Connects and registers; `on_message`, `on_published`, `is_stopped` and `owner` are set before, all else is zero. ERR_NOT_FOUND: nobody
// serves that cluster id there. ERR_EXISTS: the server refuses this client. ERR_INVALID, ERR_TIMEOUT, ERR_CLOSED, ERR_PROTOCOL, ERR_IO as
// in client_connect(). On failure nothing needs closing.
int stan_session_open(struct stan_session *session, const struct client_options *connection, const char *cluster_id,
                      const char *client_id) MUST_USE;
// A lost connection is made anew under the same registration, with the same inbox for the subscription `sid`: the server goes on as if
// nothing had been. ERR_CLOSED: it has forgotten the client, which has to be opened again. Others as in client_connect(): try again.
// Whatever comes of it, the session stays one to drop.
int stan_session_resume(struct stan_session *session, const struct client_options *connection, uint64_t sid) MUST_USE;
// Says goodbye, if the connection still works, and closes. Durables stay.
void stan_session_close(struct stan_session *session);
// The same for those who cannot wait: the goodbye leaves in one go with what waits to be sent before it, as far as the kernel takes it. Then
// client_step() on .client until it has left, fails or is not worth waiting for any longer, and stan_session_drop().
void stan_session_leave(struct stan_session *session);
bool stan_session_has_left(const struct stan_session *session);
// Closes without a word.
void stan_session_drop(struct stan_session *session);

// ERR_EXISTS: refused, session->error has the server's words. Others: the session is of no use any more; ERR_CLOSED also when the server
// has forgotten the client.
int stan_session_subscribe(struct stan_session *session, struct stan_session_subscription *subscription) MUST_USE;
// Ends a subscription and leaves its durable, if it has one, where it is. Errors as above.
int stan_session_unsubscribe(struct stan_session *session,
                             const struct stan_session_subscription *subscription) MUST_USE;
// What a channel of a Weir server has; nothing is subscribed or made. Without messages *ret_first is behind *ret_last. ERR_UNSUPPORTED:
// another server.
int stan_session_inquire(struct stan_session *session, const char *channel, uint64_t *ret_first,
                         uint64_t *ret_last) MUST_USE;

struct stan_session_publish {
    const char *channel;
    uint64_t tag; // comes back with the answer
    struct bytes guid, headers, reply, data;
};
// ERR_TOO_BIG: more than the server's max_payload.
int stan_session_publish(struct stan_session *session, const struct stan_session_publish *publish) MUST_USE;
// Our words beyond the acknowledgement (stan/verdict.h).
int stan_session_say(struct stan_session *session, const char *ack_inbox, struct bytes words) MUST_USE;
int stan_session_acknowledge(struct stan_session *session, const char *ack_inbox, const char *channel,
                             uint64_t sequence) MUST_USE;

// Now and then, with client_now_ns(): asks the server whether it still knows us. ERR_CLOSED: it does not; ERR_TIMEOUT: no answer for half a minute.
int stan_session_check(struct stan_session *session, uint64_t now_ns) MUST_USE;

// Whether anything can be published to it: a channel's name, and, as it comes behind the prefix of a subject, without blanks.
bool stan_session_takes_channel(struct bytes name);

static inline ProtobufCBinaryData stan_session_data(struct bytes from)
{
    return (ProtobufCBinaryData){from.len, (uint8_t *)(uintptr_t)from.ptr};
}
static inline ProtobufCBinaryData stan_session_text(const char *string)
{
    return stan_session_data(bytes_from_string(string));
}
static inline struct bytes stan_session_bytes(ProtobufCBinaryData from)
{
    return bytes_make(from.data, from.len);
}
