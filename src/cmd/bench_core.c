// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bench_core
// weir bench on core NATS: publish, deliver, fan-out, queue group, request and reply. One thread polls all connections.
#include <poll.h>
#include <stdio.h>

#include "base/memory.h"
#include "cmd/bench.h"

enum { FLUSH_BYTES = 64 << 10, AHEAD_BYTES = 4 << 20 }; // sent at once; published and not yet received

int bench_core_publish(struct bench *bench)
{
    struct client client;
    int status = bench_connect(bench, &client, "weir-bench-pub");
    if (status)
        return status;
    bench_start(bench);
    int error = 0;
    for (uint64_t i = 0; i < bench->messages && !error; i++) {
        error = client_publish(&client, bytes_from_string(bench->subject), (struct bytes){0}, (struct bytes){0},
                               bench_payload(bench, i));
        bench->done++;
        if (client_pending(&client) >= FLUSH_BYTES && !error) {
            error = client_flush(&client);
            bench_progress(bench);
        }
    }
    if (!error)
        error = client_round_trip(&client, 30000);
    bench_stop(bench);
    status = error ? bench_fail(&client) : 0;
    client_close(&client);
    return status;
}

// One connection of a subscriber: it sees increasing numbers, all of them unless it shares them with a group.
struct receiver {
    struct bench *bench;
    uint64_t next;
    bool queue;
    struct client client;
};

static void on_message(void *owner, const struct wire_op *message)
{
    struct receiver *receiver = owner;
    uint64_t number;
    bench_verify(receiver->bench, message->payload, &number);
    if (receiver->queue ? number < receiver->next : number != receiver->next)
        receiver->bench->wrong++;
    receiver->next = number + 1;
}

static int receivers_open(struct bench *bench, struct receiver *receivers, bool queue, uint32_t *ret_opened)
{
    for (*ret_opened = 0; *ret_opened < bench->subscribers; ++*ret_opened) {
        struct receiver *receiver = &receivers[*ret_opened];
        int status = bench_connect(bench, &receiver->client, "weir-bench-sub");
        if (status)
            return status;
        receiver->bench = bench;
        receiver->queue = queue;
        receiver->client.owner = receiver;
        receiver->client.on_message = on_message;
        client_subscribe(&receiver->client, bytes_from_string(bench->subject), queue ? BYTES("group") : BYTES(""), 1);
        if (client_round_trip(&receiver->client, 5000)) {
            status = bench_fail(&receiver->client);
            client_close(&receiver->client);
            return status;
        }
    }
    return 0;
}

// Publishes as far ahead of the receivers as allowed.
static int publish_some(struct bench *bench, struct client *client, uint64_t *published, uint64_t factor)
{
    int error = 0;
    while (!error && *published < bench->messages && client_pending(client) < FLUSH_BYTES &&
           (*published - bench->done / factor) * bench->size <= AHEAD_BYTES) {
        error = client_publish(client, bytes_from_string(bench->subject), (struct bytes){0}, (struct bytes){0},
                               bench_payload(bench, *published));
        ++*published;
    }
    return error ? error : client_flush(client);
}

static int receive_some(struct bench *bench, struct receiver *receivers, struct pollfd *poll_fds)
{
    for (uint32_t i = 0; i < bench->subscribers; i++)
        poll_fds[i] = (struct pollfd){.fd = receivers[i].client.link.fd, .events = POLLIN};
    if (poll(poll_fds, bench->subscribers, 1000) <= 0)
        return 0;
    for (uint32_t i = 0; i < bench->subscribers; i++) {
        int got = poll_fds[i].revents ? client_wait(&receivers[i].client, 0) : 0;
        if (got < 0)
            return bench_fail(&receivers[i].client);
    }
    return 0;
}

int bench_core_deliver(struct bench *bench, bool queue)
{
    struct client publisher;
    struct receiver *receivers = mem_alloc_zero(bench->subscribers * sizeof(*receivers));
    struct pollfd *poll_fds = mem_alloc(bench->subscribers * sizeof(*poll_fds));
    uint64_t factor = queue ? 1 : bench->subscribers, published = 0;
    uint32_t opened = 0;
    int status = bench_connect(bench, &publisher, "weir-bench-pub");
    if (status)
        goto free_receivers;
    status = receivers_open(bench, receivers, queue, &opened);
    bench_start(bench);
    while (!status && bench->done < bench->messages * factor) {
        if (publish_some(bench, &publisher, &published, factor))
            status = bench_fail(&publisher);
        else
            status = receive_some(bench, receivers, poll_fds);
        bench_progress(bench);
    }
    bench_stop(bench);
    while (opened > 0)
        client_close(&receivers[--opened].client);
    client_close(&publisher);
free_receivers:
    mem_free(poll_fds);
    mem_free(receivers);
    return status;
}

// The other side of a request: answers with what it was asked.
struct responder {
    struct client client;
    uint64_t answered;
};

static void on_request(void *owner, const struct wire_op *message)
{
    struct responder *responder = owner;
    if (client_publish(&responder->client, message->reply, (struct bytes){0}, (struct bytes){0}, message->payload))
        fprintf(stderr, "weir bench: %s\n", responder->client.error);
    responder->answered++;
}

static void on_reply(void *owner, const struct wire_op *message)
{
    struct bench *bench = owner;
    uint64_t number, expected = bench->done;
    bench_verify(bench, message->payload, &number);
    if (number != expected)
        bench->wrong++;
}

// Something came, or ERR_*.
static int wait_for(struct client *client)
{
    int got = client_wait(client, 5000);
    return got == 0 ? ERR_TIMEOUT : got;
}

int bench_core_request(struct bench *bench)
{
    struct client requester;
    struct responder responder = {.answered = 0};
    int status = bench_connect(bench, &requester, "weir-bench-requester");
    if (status)
        return status;
    status = bench_connect(bench, &responder.client, "weir-bench-responder");
    if (status) {
        client_close(&requester);
        return status;
    }
    requester.owner = bench;
    requester.on_message = on_reply;
    responder.client.owner = &responder;
    responder.client.on_message = on_request;
    client_subscribe(&responder.client, bytes_from_string(bench->subject), BYTES(""), 1);
    client_subscribe(&requester, BYTES("_INBOX.weir-bench"), BYTES(""), 1);
    int error = client_round_trip(&responder.client, 5000);
    if (!error)
        error = client_round_trip(&requester, 5000);
    bench_start(bench);
    for (uint64_t i = 0; i < bench->messages && error >= 0; i++) {
        error = client_publish(&requester, bytes_from_string(bench->subject), BYTES("_INBOX.weir-bench"),
                               (struct bytes){0}, bench_payload(bench, i));
        if (!error)
            error = client_flush(&requester);
        // A ping of the server wakes as well: only a message counts.
        while (error >= 0 && responder.answered <= i)
            error = wait_for(&responder.client);
        while (error >= 0 && bench->done <= i)
            error = wait_for(&requester);
        bench_progress(bench);
    }
    bench_stop(bench);
    status = error < 0 ? bench_fail(requester.error[0] ? &requester : &responder.client) : 0;
    client_close(&requester);
    client_close(&responder.client);
    return status;
}
