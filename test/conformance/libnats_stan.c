// SPDX-License-Identifier: Apache-2.0
// NATS Streaming as Debian's libnats sees it: its header declares that part when NATS_HAS_STREAMING is defined, and the library
// has it. `libnats-stan URL`; libnats.js starts the server.
#define NATS_HAS_STREAMING
#include <nats/nats.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "tap.h"

enum { WAIT_MS = 15000, KEPT_MAX = 2048, DATA_MAX = 32 };

struct received {
    uint64_t sequence;
    int64_t time_ns;
    bool redelivered;
    char data[DATA_MAX];
    stanMsg *msg; // owned with manual acknowledgement, else NULL
};

// What a subscription has got, filled by the library's thread.
struct inbox {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    bool manual;
    size_t count;
    size_t taken;
    struct received kept[KEPT_MAX];
};

static struct inbox *inbox_new(bool manual)
{
    struct inbox *inbox = calloc(1, sizeof(*inbox));
    pthread_mutex_init(&inbox->mutex, NULL);
    pthread_cond_init(&inbox->filled, NULL);
    inbox->manual = manual;
    return inbox;
}

static void inbox_free(struct inbox *inbox)
{
    for (size_t i = 0; i < inbox->count; i++)
        stanMsg_Destroy(inbox->kept[i].msg);
    pthread_mutex_destroy(&inbox->mutex);
    pthread_cond_destroy(&inbox->filled);
    free(inbox);
}

static void on_message(stanConnection *sc, stanSubscription *sub, const char *channel, stanMsg *msg, void *closure)
{
    struct inbox *inbox = closure;
    (void)sc;
    (void)sub;
    (void)channel;
    pthread_mutex_lock(&inbox->mutex);
    if (inbox->count < KEPT_MAX) {
        struct received *received = &inbox->kept[inbox->count++];
        int len = stanMsg_GetDataLength(msg) < DATA_MAX ? stanMsg_GetDataLength(msg) : DATA_MAX - 1;
        received->sequence = stanMsg_GetSequence(msg);
        received->time_ns = stanMsg_GetTimestamp(msg);
        received->redelivered = stanMsg_IsRedelivered(msg);
        memcpy(received->data, stanMsg_GetData(msg), (size_t)len);
        received->msg = inbox->manual ? msg : NULL;
    }
    if (!inbox->manual)
        stanMsg_Destroy(msg);
    pthread_cond_signal(&inbox->filled);
    pthread_mutex_unlock(&inbox->mutex);
}

// The next one, or NULL after WAIT_MS.
static struct received *inbox_next(struct inbox *inbox)
{
    struct timespec end;
    struct received *received = NULL;
    int error = 0;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&inbox->mutex);
    while (inbox->taken == inbox->count && !error)
        error = pthread_cond_timedwait(&inbox->filled, &inbox->mutex, &end);
    if (inbox->taken < inbox->count)
        received = &inbox->kept[inbox->taken++];
    pthread_mutex_unlock(&inbox->mutex);
    return received;
}

static bool next_is(struct inbox *inbox, const char *data, bool redelivered)
{
    const struct received *received = inbox_next(inbox);
    return received && strcmp(received->data, data) == 0 && received->redelivered == redelivered;
}

static bool connect_as(stanConnection **sc, const char *url, const char *id)
{
    stanConnOptions *options = NULL;
    bool fine = stanConnOptions_Create(&options) == NATS_OK && stanConnOptions_SetURL(options, url) == NATS_OK &&
                stanConnOptions_SetConnectionWait(options, WAIT_MS) == NATS_OK &&
                stanConnOptions_SetPubAckWait(options, WAIT_MS) == NATS_OK &&
                stanConnection_Connect(sc, "test-cluster", id, options) == NATS_OK;
    stanConnOptions_Destroy(options);
    return fine;
}

static bool publish(stanConnection *sc, const char *channel, const char *text)
{
    return stanConnection_Publish(sc, channel, text, (int)strlen(text)) == NATS_OK;
}

// `durable` and `group` may be NULL. From the first message on. Groups have a long ack wait: what moves in them does not move by it.
static bool subscribe(stanSubscription **sub, stanConnection *sc, const char *channel, const char *group,
                      const char *durable, int max_in_flight, struct inbox *inbox)
{
    stanSubOptions *options = NULL;
    bool fine = stanSubOptions_Create(&options) == NATS_OK && stanSubOptions_DeliverAllAvailable(options) == NATS_OK &&
                stanSubOptions_SetManualAckMode(options, inbox->manual) == NATS_OK &&
                stanSubOptions_SetAckWait(options, group ? 30000 : 1000) == NATS_OK &&
                stanSubOptions_SetMaxInflight(options, max_in_flight) == NATS_OK &&
                (!durable || stanSubOptions_SetDurableName(options, durable) == NATS_OK);
    natsStatus status = NATS_ERR;
    if (fine)
        status = group ? stanConnection_QueueSubscribe(sub, sc, channel, group, on_message, inbox, options)
                       : stanConnection_Subscribe(sub, sc, channel, on_message, inbox, options);
    stanSubOptions_Destroy(options);
    return status == NATS_OK;
}

static const char *test_connects(const char *url)
{
    stanConnection *sc = NULL;
    check(connect_as(&sc, url, "c-connects"));
    check(stanConnection_Close(sc) == NATS_OK);
    stanConnection_Destroy(sc);
    return NULL;
}

static const char *test_publishes(const char *url)
{
    stanConnection *sc = NULL;
    stanSubscription *sub = NULL;
    struct inbox *inbox = inbox_new(false);
    char text[DATA_MAX];
    check(connect_as(&sc, url, "c-publishes"));
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof(text), "%d", i);
        check(publish(sc, "c.publish", text));
    }
    check(subscribe(&sub, sc, "c.publish", NULL, NULL, 1024, inbox));
    for (int i = 0; i < 200; i++) {
        const struct received *received = inbox_next(inbox);
        snprintf(text, sizeof(text), "%d", i);
        check(received && strcmp(received->data, text) == 0 && received->sequence == (uint64_t)i + 1);
        check(received->time_ns / 1000000000 > 1500000000);
    }
    stanSubscription_Destroy(sub);
    stanConnection_Destroy(sc);
    inbox_free(inbox);
    return NULL;
}

struct acks {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    int good, bad;
};

static void on_ack(const char *guid, const char *error, void *closure)
{
    struct acks *acks = closure;
    pthread_mutex_lock(&acks->mutex);
    if (guid && !error)
        acks->good++;
    else
        acks->bad++;
    pthread_cond_signal(&acks->filled);
    pthread_mutex_unlock(&acks->mutex);
}

static const char *test_publishes_async(const char *url)
{
    struct acks acks = {.mutex = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};
    stanConnection *sc = NULL;
    check(connect_as(&sc, url, "c-async"));
    for (int i = 0; i < 2000; i++)
        check(stanConnection_PublishAsync(sc, "c.async", "x", 1, on_ack, &acks) == NATS_OK);
    pthread_mutex_lock(&acks.mutex);
    while (acks.good + acks.bad < 2000)
        pthread_cond_wait(&acks.filled, &acks.mutex); // each one ends at the latest with its time-out
    pthread_mutex_unlock(&acks.mutex);
    check(acks.good == 2000 && acks.bad == 0);
    stanConnection_Destroy(sc);
    return NULL;
}

static const char *test_manual_ack(const char *url)
{
    stanConnection *sc = NULL;
    stanSubscription *sub = NULL;
    struct inbox *inbox = inbox_new(true);
    check(connect_as(&sc, url, "c-manual"));
    for (int i = 0; i < 3; i++)
        check(publish(sc, "c.manual", i == 0 ? "a" : i == 1 ? "b" : "c"));
    check(subscribe(&sub, sc, "c.manual", NULL, NULL, 2, inbox));
    struct received *a = inbox_next(inbox);
    check(a && strcmp(a->data, "a") == 0 && !a->redelivered);
    check(next_is(inbox, "b", false));
    check(stanSubscription_AckMsg(sub, a->msg) == NATS_OK);
    check(next_is(inbox, "c", false));
    check(next_is(inbox, "b", true) && next_is(inbox, "c", true)); // after the ack wait; a does not come again
    stanSubscription_Destroy(sub);
    stanConnection_Destroy(sc);
    inbox_free(inbox);
    return NULL;
}

// The library does not tell its ack inbox; an acknowledgement that goes there does.
static const char *test_gives_back(const char *url)
{
    stanConnection *sc = NULL;
    stanSubscription *sub = NULL;
    natsConnection *nc = NULL;
    natsSubscription *spy = NULL;
    natsMsg *ack = NULL;
    struct inbox *inbox = inbox_new(true);
    check(connect_as(&sc, url, "c-back"));
    check(publish(sc, "c.back", "a") && publish(sc, "c.back", "b"));
    check(stanConnection_GetNATSConnection(sc, &nc) == NATS_OK);
    check(natsConnection_SubscribeSync(&spy, nc, "_INBOX.STAN-test-cluster.ack.*") == NATS_OK);
    check(natsConnection_Flush(nc) == NATS_OK);
    check(subscribe(&sub, sc, "c.back", "workers", NULL, 2, inbox));
    struct received *a = inbox_next(inbox);
    check(a && next_is(inbox, "b", false) && stanSubscription_AckMsg(sub, a->msg) == NATS_OK);
    check(natsSubscription_NextMsg(&ack, spy, WAIT_MS) == NATS_OK);
    check(natsConnection_PublishString(nc, natsMsg_GetSubject(ack), "-NAK 2") == NATS_OK);
    check(next_is(inbox, "b", true));
    check(natsConnection_PublishString(nc, natsMsg_GetSubject(ack), "+TERM 2") == NATS_OK);
    check(natsConnection_PublishString(nc, natsMsg_GetSubject(ack), "-NAK 2") == NATS_OK);
    check(publish(sc, "c.back", "c") && next_is(inbox, "c", false)); // b is dead
    natsMsg_Destroy(ack);
    natsSubscription_Destroy(spy);
    stanConnection_ReleaseNATSConnection(sc);
    stanSubscription_Destroy(sub);
    stanConnection_Destroy(sc);
    inbox_free(inbox);
    return NULL;
}

static const char *test_durable(const char *url)
{
    stanConnection *sc = NULL;
    stanSubscription *sub = NULL;
    struct inbox *inbox = inbox_new(true);
    check(connect_as(&sc, url, "c-durable"));
    check(publish(sc, "c.durable", "a"));
    check(subscribe(&sub, sc, "c.durable", NULL, "d", 10, inbox));
    struct received *a = inbox_next(inbox);
    check(a && strcmp(a->data, "a") == 0 && stanSubscription_AckMsg(sub, a->msg) == NATS_OK);
    check(stanSubscription_Close(sub) == NATS_OK);
    stanSubscription_Destroy(sub);
    check(publish(sc, "c.durable", "b"));
    check(subscribe(&sub, sc, "c.durable", NULL, "d", 10, inbox) && next_is(inbox, "b", false));
    check(stanSubscription_Unsubscribe(sub) == NATS_OK);
    stanSubscription_Destroy(sub);
    check(subscribe(&sub, sc, "c.durable", NULL, "d", 10, inbox) && next_is(inbox, "a", false));
    stanSubscription_Destroy(sub);
    stanConnection_Destroy(sc);
    inbox_free(inbox);
    return NULL;
}

static const char *test_duplicate_durable(const char *url)
{
    stanConnection *sc = NULL;
    stanSubscription *sub = NULL, *second = NULL;
    struct inbox *inbox = inbox_new(false);
    check(connect_as(&sc, url, "c-duplicate"));
    check(subscribe(&sub, sc, "c.duplicate", NULL, "d", 10, inbox));
    check(!subscribe(&second, sc, "c.duplicate", NULL, "d", 10, inbox));
    check(strstr(nats_GetLastError(NULL), "stan: duplicate durable registration"));
    stanSubscription_Destroy(sub);
    stanConnection_Destroy(sc);
    inbox_free(inbox);
    return NULL;
}

static const char *test_duplicate_client(const char *url)
{
    stanConnection *first = NULL, *second = NULL;
    check(connect_as(&first, url, "c-same"));
    check(!connect_as(&second, url, "c-same"));
    check(strstr(nats_GetLastError(NULL), "stan: clientID already registered"));
    check(publish(first, "c.same", "x"));
    stanConnection_Destroy(first);
    return NULL;
}

static const char *test_queue_group(const char *url)
{
    stanConnection *connections[2] = {NULL, NULL};
    stanSubscription *subs[2] = {NULL, NULL};
    struct inbox *inboxes[2];
    static bool seen[201];
    for (int i = 0; i < 2; i++) {
        inboxes[i] = inbox_new(true);
        check(connect_as(&connections[i], url, i == 0 ? "c-group-0" : "c-group-1"));
        check(subscribe(&subs[i], connections[i], "c.group", "workers", "d", 100, inboxes[i]));
    }
    for (int i = 0; i < 200; i++)
        check(publish(connections[0], "c.group", "x"));
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 100; k++) { // nobody acknowledges: each gets as many as it may hold
            const struct received *received = inbox_next(inboxes[i]);
            check(received && received->sequence >= 1 && received->sequence <= 200);
            check(!received->redelivered && !seen[received->sequence]);
            seen[received->sequence] = true;
        }
    }
    for (int i = 1; i <= 200; i++)
        check(seen[i]);
    for (int i = 0; i < 2; i++) {
        stanSubscription_Destroy(subs[i]);
        stanConnection_Destroy(connections[i]);
        inbox_free(inboxes[i]);
    }
    return NULL;
}

static const char *test_member_leaves(const char *url)
{
    stanConnection *goes = NULL, *stays = NULL;
    stanSubscription *first = NULL, *second = NULL;
    struct inbox *one = inbox_new(true), *two = inbox_new(true);
    check(connect_as(&goes, url, "c-goes") && connect_as(&stays, url, "c-stays"));
    check(subscribe(&first, goes, "c.leave", "workers", NULL, 10, one));
    check(publish(stays, "c.leave", "job") && next_is(one, "job", false));
    check(subscribe(&second, stays, "c.leave", "workers", NULL, 10, two));
    check(stanConnection_Close(goes) == NATS_OK);
    check(next_is(two, "job", true));
    stanSubscription_Destroy(first);
    stanSubscription_Destroy(second);
    stanConnection_Destroy(goes);
    stanConnection_Destroy(stays);
    inbox_free(one);
    inbox_free(two);
    return NULL;
}

static const char *test_invalid_channel(const char *url)
{
    stanConnection *sc = NULL;
    stanSubscription *sub = NULL;
    struct inbox *inbox = inbox_new(false);
    check(connect_as(&sc, url, "c-invalid"));
    check(!subscribe(&sub, sc, "a.*", NULL, NULL, 1, inbox) &&
          strstr(nats_GetLastError(NULL), "stan: invalid subject"));
    check(!publish(sc, "a.*", "x") && strstr(nats_GetLastError(NULL), "stan: invalid publish request"));
    stanConnection_Destroy(sc);
    inbox_free(inbox);
    return NULL;
}

static const struct tap_test tests[] = {
    {"ST-P01 libnats connects", test_connects},
    {"ST-P02 libnats publishes and gets everything in order", test_publishes},
    {"ST-P02 libnats publishes thousands asynchronously", test_publishes_async},
    {"ST-P06 libnats acknowledges by hand; what it does not comes again", test_manual_ack},
    {"libnats gives back and terminates in words", test_gives_back},
    {"ST-B06 libnats closes, resumes and unsubscribes a durable", test_durable},
    {"ST-E14 libnats reads that a durable is in use", test_duplicate_durable},
    {"ST-E04 libnats reads that its client id is in use", test_duplicate_client},
    {"ST-B07 libnats shares the work of a queue group", test_queue_group},
    {"ST-B10 libnats: a member that closes leaves its job to another", test_member_leaves},
    {"ST-B17 libnats is refused wildcards", test_invalid_channel},
};

int main(int count, char **arguments)
{
    if (count != 2)
        return 2;
    int failed = tap_run(tests, sizeof(tests) / sizeof(tests[0]), arguments[1]);
    nats_CloseAndWait(WAIT_MS);
    return failed;
}
