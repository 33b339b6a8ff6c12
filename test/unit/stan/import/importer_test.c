// SPDX-License-Identifier: Apache-2.0
// IM-01 … IM-13 in memory: a store with everything in it, imported, and found again by a start; both disks failing at every operation.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/endian.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/varint.h"
#include "import_world.h"
#include "stan/import/filestore_frame.h"

// --- a writer of files ----------------------------------------------------------------------------------------------

struct writer {
    struct buffer file, record;
    struct filestore_crc crc;
    uint8_t type;
};

static void writer_init(struct writer *writer)
{
    buffer_init(&writer->file, 1 << 20);
    buffer_init(&writer->record, 1 << 20);
    filestore_crc_init(&writer->crc, FILESTORE_CRC_IEEE);
    must(buffer_append(&writer->file, BYTES("\1\0\0\0")) == 0);
}

static void number(struct writer *writer, uint32_t field, uint64_t value)
{
    char *at = buffer_reserve(&writer->record, 2 * VARINT_MAX_SIZE);
    buffer_commit(&writer->record, (size_t)(varint_put(varint_put(at, field << 3), value) - at));
}

static void text(struct writer *writer, uint32_t field, const char *value)
{
    number(writer, field, strlen(value));
    writer->record.ptr[writer->record.len - 2] |= 2; // both numbers have one byte
    must(buffer_append(&writer->record, bytes_from_string(value)) == 0);
}

static void end_record(struct writer *writer, uint8_t type)
{
    char head[FILESTORE_HEADER_SIZE];
    put_u32(head, (uint32_t)writer->record.len | (uint32_t)type << 24);
    put_u32(head + 4, filestore_crc_of(&writer->crc, buffer_bytes(&writer->record)));
    must(buffer_append(&writer->file, bytes_make(head, sizeof(head))) == 0);
    must(buffer_append(&writer->file, buffer_bytes(&writer->record)) == 0);
    buffer_clear(&writer->record);
}

static void end_file(struct writer *writer, struct import_world *world, const char *path)
{
    import_world_put(world, path, buffer_bytes(&writer->file));
    buffer_deinit(&writer->file);
    buffer_deinit(&writer->record);
}

static void put_server(struct import_world *world, const char *publish)
{
    struct writer writer;
    writer_init(&writer);
    text(&writer, 1, "test-cluster");
    text(&writer, 3, publish);
    end_record(&writer, 0);
    end_file(&writer, world, "server.dat");
}

static void put_messages(struct import_world *world, const char *path, uint64_t from, uint64_t to)
{
    struct writer writer;
    writer_init(&writer);
    for (uint64_t sequence = from; sequence <= to; sequence++) {
        number(&writer, 1, sequence);
        text(&writer, 2, "jobs");
        text(&writer, 4, "payload");
        number(&writer, 5, 1000 + sequence);
        end_record(&writer, 0);
    }
    end_file(&writer, world, path);
}

static void put_sub(struct writer *writer, uint64_t id, const char *group, const char *ack_inbox)
{
    number(writer, 1, id);
    text(writer, 2, "worker");
    text(writer, 3, group);
    text(writer, 4, "in.box");
    text(writer, 5, ack_inbox);
    number(writer, 6, 5);
    number(writer, 7, 30);
    number(writer, 10, 1);
    end_record(writer, 1);
}

static void put_change(struct writer *writer, uint8_t type, uint64_t id, uint64_t sequence)
{
    number(writer, 1, id);
    number(writer, 2, sequence);
    end_record(writer, type);
}

// Messages 11 to 40, and a durable group of two members: 11 and 14 are with them, 12 and 13 finished.
static void put_store(struct import_world *world)
{
    struct writer writer;
    put_server(world, "_STAN.pub.test-cluster");
    writer_init(&writer);
    text(&writer, 1, "worker");
    text(&writer, 2, "heart.beat");
    text(&writer, 3, "connection");
    number(&writer, 4, 1);
    end_record(&writer, 1);
    end_file(&writer, world, "clients.dat");
    put_messages(world, "jobs/msgs.1.dat", 11, 20);
    put_messages(world, "jobs/msgs.2.dat", 21, 40);
    writer_init(&writer);
    put_sub(&writer, 1, "d:group", "ack.1");
    put_sub(&writer, 2, "d:group", "ack.2");
    for (uint64_t sequence = 11; sequence <= 14; sequence++)
        put_change(&writer, 5, 1 + sequence % 2, sequence);
    put_change(&writer, 4, 2, 13);
    put_change(&writer, 4, 1, 12);
    end_file(&writer, world, "jobs/subs.dat");
}

// --- tests ----------------------------------------------------------------------------------------------------------

static int setup(void **state)
{
    struct import_world *world = mem_alloc_zero(sizeof(*world));
    import_world_init(world);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    import_world_deinit(*state);
    mem_free(*state);
    return 0;
}

static void expect_whole(struct import_world *world)
{
    assert_int_equal(import_world_open(world), 0);
    struct engine *engine = shard_engine(world->shard);
    struct stream *stream = engine_stream_find(engine, 1, BYTES("jobs"));
    struct stream_state state;
    struct consumer_state consumer_state;
    assert_non_null(stream);
    stream_state_get(stream, &state);
    assert_int_equal(state.first_sequence, 11);
    assert_int_equal(state.last_sequence, 40);
    assert_int_equal(state.messages, 30);
    assert_int_equal(state.last_time_ns, 1040);
    struct consumer *consumer = engine_consumer_find(engine, stream, BYTES("Q.d:group"));
    assert_non_null(consumer);
    consumer_state_get(consumer, &consumer_state);
    assert_int_equal(consumer_state.next_sequence, 15);
    assert_int_equal(consumer_state.ack_floor, 10);
    assert_int_equal(consumer_state.pending, 2);
    assert_int_equal(consumer_state.members, 2);
    assert_true(consumer_state.config.durable && consumer_state.config.group);
    struct stan_stats stats;
    stan_stats_get(world->stan, &stats);
    assert_int_equal(stats.clients, 1);
    assert_int_equal(stats.subscriptions, 2);
    engine_check(engine);
}

static void acknowledge(struct import_world *world, const char *inbox, char sequence)
{
    const char payload[] = {0x10, sequence};
    const struct bytes part = bytes_make(payload, sizeof(payload)), none = {0};
    broker_publish(world->broker, bytes_from_string(inbox), none, none, &part, 1);
    import_world_settle(world);
}

static uint64_t pending(struct import_world *world)
{
    struct engine_stats stats;
    engine_stats_get(shard_engine(world->shard), &stats);
    return stats.pending;
}

static void test_everything_comes_over(void **state)
{
    struct import_world *world = *state;
    put_store(world);
    assert_int_equal(import_world_run(world, false), 0);
    assert_int_equal(world->stats.messages, 30);
    assert_int_equal(world->stats.seed.pending, 2);
    assert_int_equal(world->stats.seed.durable_groups, 1);
    assert_int_equal(world->stats.bytes_read, world->stats.bytes_total);
    assert_string_equal(world->said, "");
    expect_whole(world);
    // Where the old server told its clients; of any member, anybody's message (ST-B09).
    acknowledge(world, "ack.1", 11);
    assert_int_equal(pending(world), 1);
    acknowledge(world, "ack.1", 14);
    assert_int_equal(pending(world), 0);
    import_world_close(world);
}

static void test_only_looking_says_the_same(void **state)
{
    struct import_world *world = *state;
    put_store(world);
    assert_int_equal(import_world_run(world, true), 0);
    struct importer_stats looked = world->stats;
    assert_int_equal(import_world_run(world, false), 0);
    assert_memory_equal(&looked, &world->stats, sizeof(looked));
}

// IM-13: who was told to publish elsewhere must be started anew, and that is said.
static void test_other_subjects_are_told(void **state)
{
    struct import_world *world = *state;
    put_store(world);
    put_server(world, "_STAN.pub.XYZ");
    assert_int_equal(import_world_run(world, false), 0);
    assert_true(world->stats.other_subjects);
    assert_non_null(strstr(world->said, "_STAN.pub.XYZ"));
    assert_int_equal(world->stats.problems, 0);
}

static void put_big_store(struct import_world *world)
{
    static const char payload[20000];
    struct writer writer;
    put_store(world);
    writer_init(&writer);
    number(&writer, 1, 41);
    number(&writer, 4, sizeof(payload));
    writer.record.ptr[2] |= 2;
    must(buffer_append(&writer.record, bytes_make(payload, sizeof(payload))) == 0);
    end_record(&writer, 0);
    number(&writer, 1, 42);
    end_record(&writer, 0);
    end_file(&writer, world, "jobs/msgs.3.dat");
}

// What no log takes is told, and nothing else of the channel is lost.
static void test_a_message_that_is_too_big(void **state)
{
    struct import_world *world = *state;
    put_big_store(world);
    assert_int_equal(import_world_run(world, false), ERR_TOO_BIG);
    assert_non_null(strstr(world->said, "jobs/msgs.3.dat:4: sequence 41 is too big"));
    teardown(state);
    setup(state);
    world = *state;
    put_big_store(world);
    world->options.keep_going = true;
    assert_int_equal(import_world_run(world, false), 0);
    assert_int_equal(world->stats.messages, 31);
    assert_int_equal(world->stats.missing, 1);
}

// Numbers say nothing of how much there is: message 11, and 12 an age behind it, are two. Both are with a member.
static void test_numbers_far_apart(void **state)
{
    struct import_world *world = *state;
    const uint64_t far = 1ull << 50;
    struct writer writer;
    put_store(world);
    put_messages(world, "jobs/msgs.1.dat", 11, 11);
    put_messages(world, "jobs/msgs.2.dat", far, far);
    writer_init(&writer);
    put_sub(&writer, 1, "d:group", "ack.1");
    put_change(&writer, 5, 1, 11);
    put_change(&writer, 5, 1, far);
    end_file(&writer, world, "jobs/subs.dat");
    assert_int_equal(import_world_run(world, false), 0);
    assert_int_equal(world->stats.messages, 2);
    assert_int_equal(world->stats.seed.pending, 2);
    assert_int_equal(import_world_open(world), 0);
    assert_int_equal(pending(world), 2);
    engine_check(shard_engine(world->shard));
    acknowledge(world, "ack.1", 11);
    assert_int_equal(pending(world), 1);
    import_world_close(world);
}

// Whatever fails while the store is read ends the import with an error, or was no part of it.
static void test_the_source_fails(void **state)
{
    struct import_world *world = *state;
    put_store(world);
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        uint64_t before = world->source.operations;
        sim_disk_fail(&world->source, n, ERR_IO);
        int error = import_world_run(world, true);
        failed = world->source.operations - before >= n;
        if (failed && error == 0) // a size or a close: only the bar knows
            assert_int_equal(world->stats.messages, 30);
        assert_true(n < 1000);
    }
}

// Whatever fails while the target is written: either the import says so, or everything is there.
static void test_the_target_fails(void **state)
{
    const int errors[] = {ERR_IO, ERR_NO_SPACE};
    for (size_t e = 0; e < 2; e++) {
        bool failed = true;
        for (uint64_t n = 1; failed; n++) {
            struct import_world *world = *state;
            put_store(world);
            sim_disk_fail(&world->target, n, errors[e]);
            int error = import_world_run(world, false);
            failed = world->target.operations >= n;
            if (!error) {
                world->target.fail_error = 0;
                expect_whole(world);
                import_world_close(world);
            }
            assert_true(n < 1000);
            teardown(state);
            setup(state);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_everything_comes_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_looking_says_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_subjects_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_message_that_is_too_big, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers_far_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_source_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_target_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
