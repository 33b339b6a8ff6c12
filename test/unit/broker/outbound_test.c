// SPDX-License-Identifier: Apache-2.0
// The queue of bytes to one connection against a plain byte string, and connections whose peer takes little or nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/prng.h"
#include "broker/outbound.h"
#include "world.h"

static void queue_model(void **state)
{
    (void)state;
    struct outbound outbound = {0};
    struct outbound_cache cache = {0};
    struct buffer model;
    buffer_init(&model, SIZE_MAX / 2);
    struct prng prng;
    prng_seed(&prng, 1);
    char noise[40000];
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)prng_next(&prng);
    for (int step = 0; step < 4000; step++) {
        size_t len = (size_t)prng_below(&prng, prng_chance(&prng, 1, 10) ? sizeof(noise) : 600);
        struct bytes bytes = bytes_make(noise + prng_below(&prng, sizeof(noise) - len + 1), len);
        uint64_t what = prng_below(&prng, 5);
        if (what == 0) {
            outbound_append(&outbound, &cache, bytes);
        } else if (what == 1) {
            char *at = outbound_reserve(&outbound, &cache, len + 17);
            if (len > 0)
                memcpy(at, bytes.ptr, len);
            outbound_commit(&outbound, at + len);
        } else if (what == 2) {
            struct outbound_block *block = outbound_block_new(len);
            if (len > 0)
                memcpy(block->data, bytes.ptr, len);
            outbound_append_block(&outbound, &cache, block);
            outbound_append_block(&outbound, &cache, block);
            outbound_block_unref(block);
            assert_int_equal(buffer_append(&model, bytes), 0);
        } else {
            struct bytes parts[3];
            size_t count = outbound_gather(&outbound, parts, 3), at = 0;
            for (size_t i = 0; i < count; i++) {
                assert_memory_equal(parts[i].ptr, model.ptr + at, parts[i].len);
                at += parts[i].len;
            }
            assert_true(at > 0 || model.len == 0);
            size_t taken = (size_t)prng_below(&prng, at + 1);
            outbound_consume(&outbound, &cache, taken);
            buffer_consume(&model, taken);
            bytes.len = 0;
        }
        assert_int_equal(buffer_append(&model, bytes), 0);
        assert_int_equal(outbound.size_bytes, model.len);
        outbound_check(&outbound);
    }
    outbound_clear(&outbound, &cache);
    assert_int_equal(outbound.size_bytes, 0);
    assert_true(cache.large_count <= OUTBOUND_LARGE_KEPT && cache.small_count <= OUTBOUND_SMALL_KEPT);
    outbound_cache_deinit(&cache);
    buffer_deinit(&model);
}

static struct broker_options options_make(void)
{
    struct broker_options options;
    broker_options_default(&options);
    options.max_pending = 100000;
    options.write_deadline_ms = 1000;
    return options;
}

// A transcript with small and large deliveries; the peer takes `first` bytes, then `step` at a time.
static void trickle(size_t first, size_t step, struct buffer *ret_received)
{
    struct broker_options options = options_make();
    struct world world;
    world_init(&world, &options);
    struct peer *publisher = peer_connect(&world, "");
    struct peer *other = peer_connect(&world, "");
    struct peer *peer = peer_connect(&world, "");
    peer_say(peer, "SUB a 1\r\nSUB * 2\r\n");
    peer_say(other, "SUB a 3\r\n");
    peer->takes = first;
    char payload[5001];
    memset(payload, 'z', sizeof(payload));
    for (int i = 0; i < 3; i++) {
        struct bytes parts[2] = {BYTES("tiny"), bytes_make(payload, i == 1 ? 5000 : 3)};
        broker_publish(world.broker, BYTES("a"), BYTES("reply"), (struct bytes){0}, parts, 2);
    }
    peer_say(publisher, "PUB a 2\r\nhi\r\nPING\r\n");
    peer_expect(publisher, "PONG\r\n");
    size_t all = other->received.len; // nobody waits for the slow one
    while (peer->starved && step > 0) {
        peer_say(publisher, "PING\r\n");
        peer_take(peer, step);
    }
    assert_int_equal(peer->received.len, 2 * all);
    assert_int_equal(buffer_append(ret_received, buffer_bytes(&peer->received)), 0);
    world_deinit(&world);
}

static void writes_cut_everywhere(void **state)
{
    (void)state;
    struct buffer whole, part;
    buffer_init(&whole, SIZE_MAX / 2);
    buffer_init(&part, SIZE_MAX / 2);
    trickle(SIZE_MAX, 0, &whole);
    assert_in_range(whole.len, 10000, 20000);
    for (size_t first = 0; first < whole.len; first = first < 300 || first > whole.len - 300 ? first + 1 : first + 37) {
        buffer_clear(&part);
        trickle(first, 6000, &part);
        assert_true(bytes_equal(buffer_bytes(&whole), buffer_bytes(&part)));
    }
    for (size_t step = 1; step < 4; step++) {
        buffer_clear(&part);
        trickle(0, step, &part);
        assert_true(bytes_equal(buffer_bytes(&whole), buffer_bytes(&part)));
    }
    buffer_deinit(&whole);
    buffer_deinit(&part);
}

static uint64_t slow_consumers(struct world *world)
{
    struct broker_stats stats;
    broker_stats_get(world->broker, &stats);
    return stats.slow_consumers;
}

static void slow_consumer_pending(void **state)
{
    (void)state;
    struct broker_options options = options_make();
    struct world world;
    world_init(&world, &options);
    struct peer *publisher = peer_connect(&world, "");
    struct peer *fast = peer_connect(&world, "");
    struct peer *slow = peer_connect(&world, "");
    peer_say(fast, "SUB a 1\r\n");
    peer_say(slow, "SUB a 1\r\n");
    slow->takes = 10;
    int sent = 0;
    for (; !slow->closed && sent < 100; sent++)
        peer_say(publisher, "PUB a 2000\r\n"), peer_say_bytes(publisher, bytes_make((char[2002]){0}, 2000)),
            peer_say(publisher, "\r\n");
    assert_in_range(sent, 45, 51); // 100,000 bytes
    assert_int_equal(slow_consumers(&world), 1);
    assert_int_equal(fast->received.len, (size_t)sent * (strlen("MSG a 1 2000\r\n") + 2002));
    assert_int_equal(slow->received.len, 10);
    peer_say(publisher, "PING\r\n");
    peer_expect(publisher, "PONG\r\n");
    // One that fell behind within a turn, but reads: it is told.
    struct peer *reader = peer_connect(&world, "");
    peer_say(reader, "SUB a 1\r\n");
    char big[4001];
    memset(big, 'b', sizeof(big));
    struct bytes part = bytes_make(big, 4000);
    for (int i = 0; i < 30; i++)
        broker_publish(world.broker, BYTES("a"), (struct bytes){0}, (struct bytes){0}, &part, 1);
    world_turn(&world);
    assert_true(reader->closed);
    const char *error = "-ERR 'Slow Consumer'\r\n";
    assert_true(reader->received.len > 100000 && reader->received.len < 110000);
    assert_memory_equal(reader->received.ptr + reader->received.len - strlen(error), error, strlen(error));
    world_deinit(&world);
}

static void slow_consumer_deadline(void **state)
{
    (void)state;
    struct broker_options options = options_make();
    struct world world;
    world_init(&world, &options);
    struct peer *slow = peer_connect(&world, "");
    slow->takes = 0;
    peer_say(slow, "PING\r\nPING\r\n");
    world_advance(&world, 900);
    assert_false(slow->closed);
    peer_take(slow, 1); // it takes something: a new second
    world_advance(&world, 900);
    assert_false(slow->closed);
    world_advance(&world, 200);
    assert_true(slow->closed);
    assert_int_equal(slow_consumers(&world), 1);
    struct peer *fine = peer_connect(&world, "");
    fine->takes = 0;
    peer_say(fine, "PING\r\n");
    peer_take(fine, 100);
    world_advance(&world, 1500);
    assert_false(fine->closed);
    world_deinit(&world);
}

static void error_text_arrives(void **state)
{
    (void)state;
    const char *expected = "PONG\r\n-ERR 'Unknown Protocol Operation'\r\n";
    for (size_t first = 0; first <= strlen(expected); first++) {
        struct broker_options options = options_make();
        struct world world;
        world_init(&world, &options);
        struct peer *peer = peer_connect(&world, "");
        struct peer *publisher = peer_connect(&world, "");
        peer_say(peer, "SUB a 1\r\n");
        peer->takes = first;
        peer_say(peer, "PING\r\nNONSENSE\r\nPING\r\n");
        assert_int_equal(peer->closed, first == strlen(expected));
        peer_say(publisher, "PUB a 1\r\nx\r\n"); // goes to nobody any more
        if (!peer->closed)
            peer_say(peer, "PING\r\n");
        peer_take(peer, 100);
        peer_expect(peer, expected);
        assert_true(peer->closed);
        // Whoever never takes it is closed all the same.
        struct peer *deaf = peer_connect(&world, "");
        deaf->takes = 0;
        peer_say(deaf, "NONSENSE\r\n");
        assert_false(deaf->closed);
        world_advance(&world, 1001);
        assert_true(deaf->closed);
        assert_int_equal(slow_consumers(&world), 0);
        world_deinit(&world);
    }
}

static void shutdown(void **state)
{
    (void)state;
    struct broker_options options = options_make();
    struct world world;
    world_init(&world, &options);
    struct peer *peer = peer_connect(&world, "");
    struct peer *slow = peer_connect(&world, "");
    peer_say(peer, "SUB a 1\r\n");
    slow->takes = 0;
    peer_give_bytes(slow, BYTES("PING\r\n"));
    struct bytes part = BYTES("bye");
    broker_publish(world.broker, BYTES("a"), (struct bytes){0}, (struct bytes){0}, &part, 1);
    broker_shutdown(world.broker);
    world_turn(&world);
    peer_expect(peer, "MSG a 1 3\r\nbye\r\n");
    assert_true(peer->closed);
    assert_false(slow->closed);
    assert_null(peer_open(&world));
    peer_take(slow, 6);
    peer_expect(slow, "PONG\r\n");
    assert_true(slow->closed);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"the queue is a byte string", queue_model, NULL, NULL, NULL},
        {"writes cut at every byte", writes_cut_everywhere, NULL, NULL, NULL},
        {"CO-P14 slow consumer: too much pending", slow_consumer_pending, NULL, NULL, NULL},
        {"CO-P16 slow consumer: write deadline", slow_consumer_deadline, NULL, NULL, NULL},
        {"CO-P14 an error that closes reaches the client first", error_text_arrives, NULL, NULL, NULL},
        {"shutdown sends what is queued", shutdown, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
