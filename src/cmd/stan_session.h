// SPDX-License-Identifier: Apache-2.0
// A client of NATS Streaming for our own commands, on cmd/client: an id registered with the server (ST-P01), the subjects that it
// said, its heartbeats answered. What a command publishes and subscribes to beyond that it does with `client` itself.
//
// stan_session_open ──► stan_session_request, client_wait, client_flush … ──► stan_session_close
#pragma once

#include "cmd/client.h"
#include "stan/stan.pb-c.h"

enum {
    STAN_SESSION_TEXT_MAX = 512,  // of a subject, with its NUL
    STAN_SESSION_FIRST_SID = 100, // subscriptions of the command have this sid or a higher one
};

struct stan_session {
    struct client client;
    char id[64]; // of the client and of its connection
    char publish_prefix[STAN_SESSION_TEXT_MAX], subscribe_subject[STAN_SESSION_TEXT_MAX],
        close_subject[STAN_SESSION_TEXT_MAX]; // empty: not connected
    struct buffer answer;                     // to the last request
    bool answered;
    // Messages of the command's own subscriptions, with their sid; they are borrowed during the call.
    void (*on_message)(void *owner, uint64_t sid, const struct wire_op *message);
    void *owner;
    const char *command; // borrowed: who complains on standard error
};

// `name` is that of the NATS connection. 0, or an exit status after saying why; either way it is to be closed.
int stan_session_open(struct stan_session *session, const struct client_options *options, const char *cluster_id,
                      const char *name, const char *command) MUST_USE;
void stan_session_close(struct stan_session *session);

// Asks and waits for the answer, at most five seconds, handing on what comes meanwhile. 0, or an exit status after saying why.
int stan_session_request(struct stan_session *session, const char *subject, struct bytes frame) MUST_USE;

// Says what a server answered instead of doing it. Returns the exit status.
int stan_session_refused(const struct stan_session *session, const char *what, struct bytes error);

static inline ProtobufCBinaryData stan_session_text(const char *string)
{
    return (ProtobufCBinaryData){strlen(string), (uint8_t *)(uintptr_t)string};
}
static inline struct bytes stan_session_bytes(ProtobufCBinaryData from)
{
    return bytes_make(from.data, from.len);
}
