// SPDX-License-Identifier: Apache-2.0
// Connects and closes as ST-P01 and ST-P09 have it. Inboxes are the client's own: they carry its id, so that two commands on one
// server do not hear each other's answers.
#include "cmd/stan_session.h"

#include <stdio.h>
#include <unistd.h>

#include "base/number.h"

enum { SID_ANSWER = 1, SID_HEARTBEAT, ANSWER_MS = 5000, ANSWER_MAX = 1 << 20 };

static void on_message(void *owner, const struct wire_op *message);
static void inbox_make(const struct stan_session *session, const char *what, char ret[STAN_SESSION_TEXT_MAX]);
static int connect_request(struct stan_session *session, const char *cluster_id);
static void copy_text(char to[STAN_SESSION_TEXT_MAX], ProtobufCBinaryData from);

int stan_session_open(struct stan_session *session, const struct client_options *options, const char *cluster_id,
                      const char *name, const char *command)
{
    struct client_options named = *options;
    named.name = name;
    session->command = command;
    session->close_subject[0] = 0;
    buffer_init(&session->answer, ANSWER_MAX);
    if (client_connect(&session->client, &named)) {
        fprintf(stderr, "weir %s: %s\n", command, session->client.error);
        return 1;
    }
    session->client.owner = session;
    session->client.on_message = on_message;
    snprintf(session->id, sizeof(session->id), "%.40s-%d", name, (int)getpid());
    char inbox[STAN_SESSION_TEXT_MAX];
    inbox_make(session, "answer", inbox);
    client_subscribe(&session->client, bytes_from_string(inbox), BYTES(""), SID_ANSWER);
    inbox_make(session, "heartbeat", inbox);
    client_subscribe(&session->client, bytes_from_string(inbox), BYTES(""), SID_HEARTBEAT);
    return connect_request(session, cluster_id);
}

void stan_session_close(struct stan_session *session)
{
    if (session->client.link.fd >= 0 && session->close_subject[0]) {
        StanPb__CloseRequest close = STAN_PB__CLOSE_REQUEST__INIT;
        close.client_id = stan_session_text(session->id);
        uint8_t frame[128];
        size_t len = stan_pb__close_request__pack(&close, frame);
        (void)!stan_session_request(session, session->close_subject, bytes_make(frame, len));
    }
    client_close(&session->client);
    buffer_deinit(&session->answer);
}

int stan_session_request(struct stan_session *session, const char *subject, struct bytes frame)
{
    char inbox[STAN_SESSION_TEXT_MAX];
    inbox_make(session, "answer", inbox);
    session->answered = false;
    int got = client_publish(&session->client, bytes_from_string(subject), bytes_from_string(inbox), (struct bytes){0},
                             frame);
    uint64_t end_ns = client_now_ns() + (uint64_t)ANSWER_MS * 1000000;
    while (got >= 0 && !session->answered && client_now_ns() < end_ns)
        got = client_wait(&session->client, 100);
    if (got >= 0 && session->answered)
        return 0;
    if (got < 0)
        fprintf(stderr, "weir %s: %s\n", session->command, session->client.error);
    else
        fprintf(stderr, "weir %s: no answer on %s (a STAN server with another cluster id?)\n", session->command,
                subject);
    return 1;
}

int stan_session_refused(const struct stan_session *session, const char *what, struct bytes error)
{
    fprintf(stderr, "weir %s: %s: %.*s\n", session->command, what, BYTES_ARG(error));
    return 1;
}

static void on_message(void *owner, const struct wire_op *message)
{
    struct stan_session *session = owner;
    uint64_t sid = 0;
    if (number_parse_u64(message->sid, UINT64_MAX, &sid))
        return;
    if (sid == SID_HEARTBEAT) {
        (void)!client_publish(&session->client, message->reply, (struct bytes){0}, (struct bytes){0},
                              (struct bytes){0});
    } else if (sid == SID_ANSWER) {
        buffer_clear(&session->answer);
        session->answered = buffer_append(&session->answer, message->payload) == 0;
    } else {
        session->on_message(session->owner, sid, message);
    }
}

static void inbox_make(const struct stan_session *session, const char *what, char ret[STAN_SESSION_TEXT_MAX])
{
    snprintf(ret, STAN_SESSION_TEXT_MAX, "_INBOX.%s.%s", session->id, what);
}

static int connect_request(struct stan_session *session, const char *cluster_id)
{
    char heartbeat[STAN_SESSION_TEXT_MAX], subject[STAN_SESSION_TEXT_MAX];
    inbox_make(session, "heartbeat", heartbeat);
    snprintf(subject, sizeof(subject), "_STAN.discover.%.256s", cluster_id);
    StanPb__ConnectRequest connect = STAN_PB__CONNECT_REQUEST__INIT;
    connect.client_id = stan_session_text(session->id);
    connect.conn_id = stan_session_text(session->id);
    connect.heartbeat_inbox = stan_session_text(heartbeat);
    connect.protocol = 1;
    uint8_t frame[STAN_SESSION_TEXT_MAX + 256];
    int status =
        stan_session_request(session, subject, bytes_make(frame, stan_pb__connect_request__pack(&connect, frame)));
    if (status)
        return status;
    StanPb__ConnectResponse *response =
        stan_pb__connect_response__unpack(NULL, session->answer.len, (const uint8_t *)session->answer.ptr);
    if (!response)
        return stan_session_refused(session, "connect", BYTES("the answer is not one of NATS Streaming"));
    if (response->error.len) {
        status = stan_session_refused(session, "connect", stan_session_bytes(response->error));
    } else {
        copy_text(session->publish_prefix, response->pub_prefix);
        copy_text(session->subscribe_subject, response->sub_requests);
        copy_text(session->close_subject, response->close_requests);
    }
    stan_pb__connect_response__free_unpacked(response, NULL);
    return status;
}

static void copy_text(char to[STAN_SESSION_TEXT_MAX], ProtobufCBinaryData from)
{
    size_t len = from.len < STAN_SESSION_TEXT_MAX - 1 ? from.len : STAN_SESSION_TEXT_MAX - 1;
    memcpy(to, from.data, len);
    to[len] = 0;
}
