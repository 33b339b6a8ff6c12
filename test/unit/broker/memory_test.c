// SPDX-License-Identifier: Apache-2.0
// What a connection costs while it does nothing, and that messages cost no allocation. The heap's doors are wrapped by the
// linker, to count what goes through them.
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "world.h"

void *__real_mem_alloc(size_t size);
void *__real_mem_alloc_zero(size_t size);
void *__real_mem_realloc(void *ptr, size_t size);
void __real_mem_free(void *ptr);
void *__wrap_mem_alloc(size_t size);
void *__wrap_mem_alloc_zero(size_t size);
void *__wrap_mem_realloc(void *ptr, size_t size);
void __wrap_mem_free(void *ptr);

static int64_t used_bytes;   // tidy: allow mutable
static uint64_t allocations; // tidy: allow mutable

static void *counted(void *ptr)
{
    allocations++;
    used_bytes += (int64_t)malloc_usable_size(ptr);
    return ptr;
}

void *__wrap_mem_alloc(size_t size)
{
    return counted(__real_mem_alloc(size));
}

void *__wrap_mem_alloc_zero(size_t size)
{
    return counted(__real_mem_alloc_zero(size));
}

void *__wrap_mem_realloc(void *ptr, size_t size)
{
    used_bytes -= (int64_t)malloc_usable_size(ptr);
    return counted(__real_mem_realloc(ptr, size));
}

void __wrap_mem_free(void *ptr)
{
    used_bytes -= (int64_t)malloc_usable_size(ptr);
    __real_mem_free(ptr);
}

// A network that keeps nothing itself.
static size_t take_all(struct net_conn *conn, const struct bytes *parts, size_t count)
{
    (void)conn;
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    return len;
}

static void do_nothing(struct net_conn *conn)
{
    (void)conn;
}

static const struct net_ops OPS = {
    .write = take_all, .read_pause = do_nothing, .read_resume = do_nothing, .close = do_nothing};

#define COUNT 2000

static void idle_connections(void **state)
{
    (void)state;
    struct broker_options options;
    broker_options_default(&options);
    struct moment now = {0};
    struct broker *broker = broker_new(&options, now);
    const struct net_handler *handler = broker_net_handler(broker);
    static struct net_conn conns[COUNT]; // tidy: allow mutable
    static void *contexts[COUNT];        // tidy: allow mutable
    struct net_peer peer = {.ip = "127.0.0.1"};
    const struct bytes says[2] = {BYTES("CONNECT {\"verbose\":false}\r\nPUB a 3\r\nxyz\r\nPI"), BYTES("NG\r\n")};
    // One at first, so that what is shared has been made.
    int64_t before = 0;
    for (int i = 0; i < COUNT; i++) {
        if (i == 1)
            before = used_bytes;
        conns[i].ops = &OPS;
        contexts[i] = handler->on_accept(handler->owner, &conns[i], &peer);
        for (int k = 0; k < 2; k++) {
            handler->on_data(contexts[i], says[k]);
            broker_turn_end(broker);
        }
    }
    int64_t each = (used_bytes - before) / (COUNT - 1);
    print_message("%d bytes per idle connection\n", (int)each);
    assert_in_range(each, 100, 560);
    for (int i = 0; i < COUNT; i++) {
        char line[64];
        snprintf(line, sizeof(line), "SUB _INBOX.0123456789abcdefghij%d 1\r\n", i);
        handler->on_data(contexts[i], bytes_from_string(line));
    }
    broker_turn_end(broker);
    print_message("%d with a subscription\n", (int)((used_bytes - before) / COUNT));
    for (int i = 0; i < COUNT; i++)
        handler->on_close(contexts[i], 0);
    broker_turn_end(broker);
    broker_check(broker);
    broker_free(broker);
    assert_int_equal(used_bytes, 0);
}

static bool answer(struct inlet *inlet, const struct inlet_message *message)
{
    struct bytes parts[2] = {BYTES("ok "), message->payload};
    broker_publish(*(struct broker **)(void *)(inlet + 1), message->reply, (struct bytes){0}, (struct bytes){0}, parts,
                   2);
    return true;
}

// Publish, deliver (literal, wildcard, group, headers), ask an inlet: in reads that end within a message.
static void messages_allocate_nothing(void **state)
{
    (void)state;
    struct broker_options options;
    broker_options_default(&options);
    struct world world;
    world_init(&world, &options);
    struct {
        struct inlet inlet;
        struct broker *broker;
    } service = {.inlet.on_message = answer, .broker = world.broker};
    assert_int_equal(broker_inlet_add(world.broker, &service.inlet, BYTES("svc.>")), 0);
    struct peer *peer = peer_connect(&world, "\"headers\":true");
    peer->discard = true;
    peer_say(peer, "SUB a.b 1\r\nSUB a.* 2\r\nSUB a.> q 3\r\nSUB _INBOX.> 4\r\n");
    struct bytes text = BYTES("PUB a.b 5\r\nhello\r\nPUB nobody 2\r\nhi\r\nHPUB a.b r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"
                              "PUB svc.x _INBOX.1 3\r\nask\r\nPUB a.b 5\r\nhello\r\nPUB a.b 5\r\nhello\r\n");
    uint64_t before = 0;
    for (int round = 0; round < 400; round++) {
        if (round == 100)
            before = allocations;
        size_t cut = 1 + (size_t)round % (text.len - 1);
        world.handler->on_data(peer->context, bytes_make(text.ptr, cut));
        for (int i = 0; i < 20; i++) {
            // The read buffer moves; what is kept of it is a copy.
            char buffer[512];
            struct bytes rest = bytes_skip(text, cut);
            memcpy(buffer, rest.ptr, rest.len);
            memcpy(buffer + rest.len, text.ptr, cut);
            world.handler->on_data(peer->context, bytes_make(buffer, text.len));
        }
        world.handler->on_data(peer->context, bytes_skip(text, cut));
        broker_turn_end(world.broker);
    }
    assert_true(before > 0);
    assert_int_equal(allocations, before);
    assert_true(peer->received_bytes > 400 * 20 * 100);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"an idle connection is small", idle_connections, NULL, NULL, NULL},
        {"no allocation per message after warm-up", messages_allocate_nothing, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
