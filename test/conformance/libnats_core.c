// SPDX-License-Identifier: Apache-2.0
// Core NATS as Debian's libnats sees it. `libnats-core URL`; libnats.js starts the server.
#include <nats/nats.h>
#include <string.h>

#include "tap.h"

enum { WAIT_MS = 15000, COUNT = 1000 };

// The text of a message equals; the message is destroyed.
static bool message_is(natsMsg *msg, const char *text)
{
    bool same =
        (size_t)natsMsg_GetDataLength(msg) == strlen(text) && memcmp(natsMsg_GetData(msg), text, strlen(text)) == 0;
    natsMsg_Destroy(msg);
    return same;
}

static bool next_is(natsSubscription *sub, const char *text)
{
    natsMsg *msg = NULL;
    return natsSubscription_NextMsg(&msg, sub, WAIT_MS) == NATS_OK && message_is(msg, text);
}

// Nothing is there once the connection was flushed.
static bool is_empty(natsConnection *nc, natsSubscription *sub)
{
    uint64_t queued = 1;
    return natsConnection_FlushTimeout(nc, WAIT_MS) == NATS_OK &&
           natsSubscription_GetPending(sub, NULL, NULL) == NATS_OK &&
           natsSubscription_QueuedMsgs(sub, &queued) == NATS_OK && queued == 0;
}

static const char *test_connects(const char *url)
{
    natsConnection *nc = NULL;
    char found[256], id[128];
    check(natsConnection_ConnectTo(&nc, url) == NATS_OK);
    check(natsConnection_GetConnectedUrl(nc, found, sizeof(found)) == NATS_OK && strcmp(found, url) == 0);
    check(natsConnection_GetConnectedServerId(nc, id, sizeof(id)) == NATS_OK && strlen(id) == 56);
    check(natsConnection_GetMaxPayload(nc) == 1048576);
    check(natsConnection_HasHeaderSupport(nc) == NATS_OK);
    natsConnection_Destroy(nc);
    return NULL;
}

static const char *test_options(const char *url)
{
    natsOptions *options = NULL;
    natsConnection *nc = NULL;
    check(natsOptions_Create(&options) == NATS_OK && natsOptions_SetURL(options, url) == NATS_OK);
    check(natsOptions_SetName(options, "a name") == NATS_OK && natsOptions_SetVerbose(options, true) == NATS_OK);
    check(natsOptions_SetPedantic(options, true) == NATS_OK &&
          natsOptions_SetUserInfo(options, "user", "pass") == NATS_OK);
    check(natsConnection_Connect(&nc, options) == NATS_OK);
    check(natsConnection_FlushTimeout(nc, WAIT_MS) == NATS_OK);
    natsConnection_Destroy(nc);
    natsOptions_Destroy(options);
    return NULL;
}

static const char *test_publish(const char *url)
{
    natsConnection *nc = NULL;
    natsSubscription *sub = NULL;
    char text[16];
    check(natsConnection_ConnectTo(&nc, url) == NATS_OK);
    check(natsConnection_SubscribeSync(&sub, nc, "c.publish") == NATS_OK);
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof(text), "%d", i);
        check(natsConnection_PublishString(nc, "c.publish", text) == NATS_OK);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof(text), "%d", i);
        check(next_is(sub, text));
    }
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(nc);
    return NULL;
}

static const char *test_sizes(const char *url)
{
    static const int sizes[] = {0, 1, 4095, 4096, 65536, 1048576};
    static char payload[1048576];
    natsConnection *nc = NULL;
    natsSubscription *sub = NULL;
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (char)(i * 37);
    check(natsConnection_ConnectTo(&nc, url) == NATS_OK);
    check(natsConnection_SubscribeSync(&sub, nc, "c.sizes") == NATS_OK);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        natsMsg *msg = NULL;
        check(natsConnection_Publish(nc, "c.sizes", payload, sizes[i]) == NATS_OK);
        check(natsSubscription_NextMsg(&msg, sub, WAIT_MS) == NATS_OK);
        check(natsMsg_GetDataLength(msg) == sizes[i] && memcmp(natsMsg_GetData(msg), payload, (size_t)sizes[i]) == 0);
        natsMsg_Destroy(msg);
    }
    check(natsConnection_Publish(nc, "c.sizes", payload, (int)sizeof(payload) + 1) == NATS_MAX_PAYLOAD);
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(nc);
    return NULL;
}

static const char *test_headers(const char *url)
{
    natsConnection *nc = NULL;
    natsSubscription *sub = NULL;
    natsMsg *msg = NULL, *got = NULL;
    const char *value = NULL;
    check(natsConnection_ConnectTo(&nc, url) == NATS_OK);
    check(natsConnection_SubscribeSync(&sub, nc, "c.headers") == NATS_OK);
    check(natsMsg_Create(&msg, "c.headers", NULL, "body", 4) == NATS_OK);
    check(natsMsgHeader_Set(msg, "Key", "some: value") == NATS_OK && natsMsgHeader_Add(msg, "Other", "x") == NATS_OK);
    check(natsConnection_PublishMsg(nc, msg) == NATS_OK);
    check(natsSubscription_NextMsg(&got, sub, WAIT_MS) == NATS_OK);
    check(natsMsgHeader_Get(got, "Key", &value) == NATS_OK && strcmp(value, "some: value") == 0);
    check(natsMsgHeader_Get(got, "Other", &value) == NATS_OK && strcmp(value, "x") == 0);
    check(message_is(got, "body"));
    natsMsg_Destroy(msg);
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(nc);
    return NULL;
}

static const char *test_unsubscribe(const char *url)
{
    natsConnection *nc = NULL;
    natsSubscription *goes = NULL, *stays = NULL;
    check(natsConnection_ConnectTo(&nc, url) == NATS_OK);
    check(natsConnection_SubscribeSync(&goes, nc, "c.unsub") == NATS_OK);
    check(natsConnection_SubscribeSync(&stays, nc, "c.unsub") == NATS_OK);
    check(natsSubscription_Unsubscribe(goes) == NATS_OK);
    check(natsConnection_PublishString(nc, "c.unsub", "x") == NATS_OK);
    check(next_is(stays, "x"));
    check(is_empty(nc, stays));
    natsSubscription_Destroy(goes);
    natsSubscription_Destroy(stays);
    natsConnection_Destroy(nc);
    return NULL;
}

static const char *test_wildcards(const char *url)
{
    natsConnection *nc = NULL;
    natsSubscription *word = NULL, *rest = NULL;
    check(natsConnection_ConnectTo(&nc, url) == NATS_OK);
    check(natsConnection_SubscribeSync(&word, nc, "c.wild.*.x") == NATS_OK);
    check(natsConnection_SubscribeSync(&rest, nc, "c.wild.>") == NATS_OK);
    check(natsConnection_PublishString(nc, "c.wild.a.x", "1") == NATS_OK);
    check(natsConnection_PublishString(nc, "c.wild.a.y", "2") == NATS_OK);
    check(natsConnection_PublishString(nc, "c.wild", "3") == NATS_OK);
    check(next_is(word, "1") && next_is(rest, "1") && next_is(rest, "2"));
    check(is_empty(nc, word) && is_empty(nc, rest));
    natsSubscription_Destroy(word);
    natsSubscription_Destroy(rest);
    natsConnection_Destroy(nc);
    return NULL;
}

static const char *test_queue_group(const char *url)
{
    natsConnection *nc = NULL;
    natsSubscription *members[3];
    uint64_t total = 0;
    check(natsConnection_ConnectTo(&nc, url) == NATS_OK);
    for (int i = 0; i < 3; i++)
        check(natsConnection_QueueSubscribeSync(&members[i], nc, "c.group", "workers") == NATS_OK);
    for (int i = 0; i < COUNT; i++)
        check(natsConnection_PublishString(nc, "c.group", "x") == NATS_OK);
    check(natsConnection_FlushTimeout(nc, WAIT_MS) == NATS_OK);
    for (int i = 0; i < 3; i++) {
        uint64_t queued = 0;
        check(natsSubscription_QueuedMsgs(members[i], &queued) == NATS_OK && queued > 0);
        total += queued;
        natsSubscription_Destroy(members[i]);
    }
    check(total == COUNT);
    natsConnection_Destroy(nc);
    return NULL;
}

static const char *test_no_responders(const char *url)
{
    natsConnection *nc = NULL;
    natsMsg *reply = NULL;
    check(natsConnection_ConnectTo(&nc, url) == NATS_OK);
    check(natsConnection_RequestString(&reply, nc, "c.nobody", "x", WAIT_MS) == NATS_NO_RESPONDERS);
    natsConnection_Destroy(nc);
    return NULL;
}

static const char *test_auto_unsubscribe(const char *url)
{
    natsConnection *nc = NULL;
    natsSubscription *sub = NULL;
    natsMsg *msg = NULL;
    check(natsConnection_ConnectTo(&nc, url) == NATS_OK);
    check(natsConnection_SubscribeSync(&sub, nc, "c.max") == NATS_OK);
    check(natsSubscription_AutoUnsubscribe(sub, 2) == NATS_OK);
    for (int i = 0; i < 5; i++)
        check(natsConnection_PublishString(nc, "c.max", "x") == NATS_OK);
    check(next_is(sub, "x") && next_is(sub, "x"));
    check(natsSubscription_NextMsg(&msg, sub, WAIT_MS) == NATS_MAX_DELIVERED_MSGS);
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(nc);
    return NULL;
}

static const char *test_no_echo(const char *url)
{
    natsOptions *options = NULL;
    natsConnection *nc = NULL;
    natsSubscription *sub = NULL;
    check(natsOptions_Create(&options) == NATS_OK && natsOptions_SetURL(options, url) == NATS_OK);
    check(natsOptions_SetNoEcho(options, true) == NATS_OK);
    check(natsConnection_Connect(&nc, options) == NATS_OK);
    check(natsConnection_SubscribeSync(&sub, nc, "c.echo") == NATS_OK);
    check(natsConnection_PublishString(nc, "c.echo", "x") == NATS_OK);
    check(is_empty(nc, sub));
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(nc);
    natsOptions_Destroy(options);
    return NULL;
}

static void answer(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
    (void)sub;
    (void)closure;
    natsConnection_Publish(nc, natsMsg_GetReply(msg), natsMsg_GetData(msg), natsMsg_GetDataLength(msg));
    natsMsg_Destroy(msg);
}

static const char *request_many(const char *url, bool old_style)
{
    natsOptions *options = NULL;
    natsConnection *nc = NULL, *server = NULL;
    natsSubscription *sub = NULL;
    char text[16];
    check(natsOptions_Create(&options) == NATS_OK && natsOptions_SetURL(options, url) == NATS_OK);
    check(natsOptions_UseOldRequestStyle(options, old_style) == NATS_OK);
    check(natsConnection_Connect(&nc, options) == NATS_OK && natsConnection_ConnectTo(&server, url) == NATS_OK);
    check(natsConnection_Subscribe(&sub, server, "c.echoes", answer, NULL) == NATS_OK);
    check(natsConnection_FlushTimeout(server, WAIT_MS) == NATS_OK);
    for (int i = 0; i < 200; i++) {
        natsMsg *reply = NULL;
        snprintf(text, sizeof(text), "%d", i);
        check(natsConnection_RequestString(&reply, nc, "c.echoes", text, WAIT_MS) == NATS_OK);
        check(message_is(reply, text));
    }
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(server);
    natsConnection_Destroy(nc);
    natsOptions_Destroy(options);
    return NULL;
}

static const char *test_requests(const char *url)
{
    return request_many(url, false);
}

static const char *test_old_requests(const char *url)
{
    return request_many(url, true);
}

static const struct tap_test tests[] = {
    {"CO-P01 libnats connects and reads INFO", test_connects},
    {"CO-P02 libnats connects with a name, a user, verbose and pedantic", test_options},
    {"CO-P03 libnats publishes and receives in order", test_publish},
    {"CO-P03 libnats sends payloads from nothing to max_payload", test_sizes},
    {"CO-P04 libnats sends and receives headers", test_headers},
    {"CO-P05 libnats unsubscribes", test_unsubscribe},
    {"CO-P08 libnats subscribes to wildcards", test_wildcards},
    {"CO-P09 libnats shares messages in a queue group", test_queue_group},
    {"CO-P10 libnats is told that nobody responds", test_no_responders},
    {"CO-P11 libnats unsubscribes after a number of messages", test_auto_unsubscribe},
    {"CO-P12 libnats with no echo", test_no_echo},
    {"CO-P19 libnats requests through one inbox", test_requests},
    {"CO-P19 libnats requests in the old style, an inbox each", test_old_requests},
};

int main(int count, char **arguments)
{
    if (count != 2)
        return 2;
    int failed = tap_run(tests, sizeof(tests) / sizeof(tests[0]), arguments[1]);
    nats_CloseAndWait(WAIT_MS);
    return failed;
}
