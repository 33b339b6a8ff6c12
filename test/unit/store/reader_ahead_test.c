// SPDX-License-Identifier: Apache-2.0
// Reading ahead: a disk that looks at what is asked of it stands between the reader and the simulated one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cold_fixture.h"

enum { PAYLOAD = 4000 };

struct spy {
    struct disk disk; // first
    struct disk *below;
    uint64_t reads, bytes, largest, around;
};

struct rig {
    struct cold_fixture cold;
    struct spy spy;
};

static void spy_submit(struct disk *disk, enum disk_lane lane, struct disk_request *request)
{
    struct spy *spy = (struct spy *)disk;
    uint64_t bytes = 0;
    for (size_t i = 0; request->op == DISK_READ && i < request->span_count; i++) {
        bytes += request->spans[i].len;
    }
    spy->reads += request->op == DISK_READ;
    spy->around += (request->flags & DISK_FLAG_AROUND) ? bytes : 0;
    spy->bytes += bytes;
    spy->largest = bytes > spy->largest ? bytes : spy->largest;
    disk_submit(spy->below, lane, request);
}

static void spy_run(struct disk *disk, struct disk_request *request)
{
    disk_run(((struct spy *)disk)->below, request);
}

static const struct disk_ops spy_ops = {.submit = spy_submit, .run = spy_run};

static int setup(void **state)
{
    static struct rig rig;
    cold_fixture_init(&rig.cold);
    rig.spy = (struct spy){.disk.ops = &spy_ops, .below = rig.cold.context.disk};
    rig.cold.context.disk = &rig.spy.disk;
    rig.cold.context.options.log_bytes = UINT64_MAX;
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    rig->cold.context.disk = rig->spy.below;
    cold_fixture_deinit(&rig->cold);
    return 0;
}

// A log file of messages of one stream. Returns its bytes.
static uint64_t fill(struct rig *rig, uint32_t count, size_t payload)
{
    for (uint32_t i = 0; i < count; i++) {
        cold_fixture_put(&rig->cold, 1, payload);
    }
    cold_fixture_close_file(&rig->cold);
    return rig->cold.files[rig->cold.file_count - 1].info.bytes;
}

static void roll(struct rig *rig)
{
    rig->cold.context.options.log_bytes = 0;
    cold_fixture_settle(&rig->cold);
    assert_true(rig->cold.segments.count > 0);
}

static void forget(struct rig *rig)
{
    tail_deinit(&rig->cold.tail);
    tail_init(&rig->cold.tail, 32 << 20, &rig->cold.context.spares);
    rig->cold.reader.wasted_seen = 0;
    rig->spy.reads = rig->spy.bytes = rig->spy.around = rig->spy.largest = 0;
}

// And what was read ahead of the last one comes to its end.
static void read_all(struct rig *rig, uint32_t count)
{
    for (uint64_t sequence = 1; sequence <= count; sequence++) {
        assert_int_equal(cold_fixture_fetch(&rig->cold, 1, sequence), 0);
    }
    sim_disk_drain(&rig->cold.disk);
}

// Also the messages that lie in two blocks: so each byte is read once, and with few requests.
static void who_reads_in_order_reads_each_byte_once(void **state)
{
    struct rig *rig = *state;
    uint64_t bytes = fill(rig, 2000, PAYLOAD);
    assert_true(bytes > 60 * (uint64_t)READER_BLOCK);
    forget(rig);
    read_all(rig, 2000);
    assert_true(rig->spy.bytes <
                bytes + 2 * READER_RUN_BYTES); // what follows the last message is asked for before it is known
    assert_true(rig->spy.reads < 15);
    assert_int_equal(rig->spy.largest, READER_RUN_BYTES);
    assert_int_equal(rig->cold.context.damaged_areas, 0);
    assert_int_equal(rig->cold.files[0].holds, 0);
    roll(rig);
    forget(rig);
    read_all(rig, 2000);
    assert_true(rig->spy.bytes < bytes + 2 * READER_RUN_BYTES);
    assert_true(rig->spy.reads < 20);
    assert_true(rig->spy.largest > READER_RUN_BYTES - SEGMENT_BLOCK_BYTES);
}

// Larger than a block, about as large, and a little larger than half of one.
static void large_messages_come_whole(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 40; i++) {
        cold_fixture_put(&rig->cold, 1, (size_t[]){130000, 70000, 131000, 60000}[i % 4]);
    }
    cold_fixture_close_file(&rig->cold);
    forget(rig);
    read_all(rig, 40);
    rig->cold.tail.budget = 1;
    for (uint64_t sequence = 40; sequence > 0; sequence--) {
        assert_int_equal(cold_fixture_fetch(&rig->cold, 1, sequence), 0);
    }
    tail_check(&rig->cold.tail);
}

static void one_message_here_and_there_reads_little(void **state)
{
    struct rig *rig = *state;
    fill(rig, 2000, PAYLOAD);
    forget(rig);
    for (uint64_t sequence = 1; sequence <= 2000; sequence += 400) {
        assert_int_equal(cold_fixture_fetch(&rig->cold, 1, sequence), 0);
    }
    assert_true(rig->spy.bytes <= 5 * 3 * (uint64_t)READER_BLOCK);
}

// What is read for the second time within a while is left to the kernel's cache.
static void long_runs_go_around_the_cache_the_first_time(void **state)
{
    struct rig *rig = *state;
    uint64_t bytes = fill(rig, 2000, PAYLOAD);
    forget(rig);
    read_all(rig, 2000);
    assert_true(rig->spy.around > bytes - 2 * READER_RUN_BYTES);
    forget(rig);
    read_all(rig, 2000);
    assert_true(rig->spy.around < 2 * READER_RUN_BYTES);
}

// The cache holds less than what is read ahead: runs become short, and what is read does not become many times what is wanted.
static void many_readers_read_less_ahead(void **state)
{
    struct rig *rig = *state;
    enum { READERS = 16, EACH = 500 };
    uint64_t bytes = fill(rig, READERS * EACH, PAYLOAD);
    forget(rig);
    rig->cold.tail.budget = READERS * 2 * READER_BLOCK;
    for (uint64_t i = 1; i <= EACH; i++) {
        for (uint64_t reader = 0; reader < READERS; reader++) {
            assert_int_equal(cold_fixture_fetch(&rig->cold, 1, reader * EACH + i), 0);
        }
    }
    assert_true(rig->cold.tail.wasted > 0);
    assert_true(rig->spy.bytes < 3 * bytes);
    assert_true(rig->cold.reader.run_bytes < READER_RUN_BYTES);
    assert_true(tail_bytes(&rig->cold.tail) < rig->cold.tail.budget + 2 * READER_RUN_BYTES);
}

// One place cannot be read: the messages of its block are tried again later, all others come.
static void a_run_that_fails_is_read_block_by_block(void **state)
{
    struct rig *rig = *state;
    fill(rig, 2000, PAYLOAD);
    struct index_place place;
    assert_true(index_find(&rig->cold.index, 1, 1000, &place));
    sim_disk_spoil(&rig->cold.disk, "wal/1", place.offset + 60);
    forget(rig);
    uint64_t failed = 0;
    for (uint64_t sequence = 1; sequence <= 2000; sequence++) {
        int result = cold_fixture_fetch(&rig->cold, 1, sequence);
        assert_true(result == 0 || result == ERR_IO);
        failed += result != 0;
    }
    sim_disk_drain(&rig->cold.disk);
    assert_true(failed > 0 && failed <= READER_BLOCK / PAYLOAD + 1);
    assert_int_equal(rig->spy.largest, READER_RUN_BYTES);
    assert_int_equal(rig->cold.files[0].holds, 0);
}

static void ignore_answer(struct store_fetch *fetch)
{
    assert_int_equal(fetch->result, 0);
    chunk_unref(fetch->chunk);
    fetch->stream = UINT32_MAX;
}

// A message that was written after the read of its block began is read by another one.
static void the_newest_file_grows_while_it_is_read(void **state)
{
    struct rig *rig = *state;
    struct tail *tail = &rig->cold.tail;
    fill(rig, 20, PAYLOAD);
    forget(rig);
    struct index_place first, last;
    assert_true(index_find(&rig->cold.index, 1, 10, &first) && index_find(&rig->cold.index, 1, 15, &last));
    tail->newest_file = 1;
    tail->newest_end = record_padded(first.offset + first.size);
    struct store_fetch fetches[] = {{.stream = 1, .sequence = 10, .done = ignore_answer},
                                    {.stream = 1, .sequence = 15, .done = ignore_answer}};
    assert_int_equal(reader_fetch(&rig->cold.reader, &fetches[0]), ERR_AGAIN);
    tail->newest_end = record_padded(last.offset + last.size);
    assert_int_equal(reader_fetch(&rig->cold.reader, &fetches[1]), ERR_AGAIN);
    sim_disk_drain(&rig->cold.disk);
    assert_int_equal(fetches[0].stream, UINT32_MAX);
    assert_int_equal(fetches[1].stream, UINT32_MAX);
    assert_int_equal(rig->spy.reads, 2);
}

static void a_damaged_place_spares_its_neighbours(void **state)
{
    struct rig *rig = *state;
    fill(rig, 2000, PAYLOAD);
    struct index_place place;
    assert_true(index_find(&rig->cold.index, 1, 1000, &place));
    sim_disk_flip(&rig->cold.disk, "wal/1", place.offset + 60, 3);
    forget(rig);
    for (uint64_t sequence = 1; sequence <= 2000; sequence++) {
        assert_int_equal(cold_fixture_fetch(&rig->cold, 1, sequence), sequence == 1000 ? ERR_CORRUPT : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_reads_in_order_reads_each_byte_once, setup, teardown),
        cmocka_unit_test_setup_teardown(large_messages_come_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(one_message_here_and_there_reads_little, setup, teardown),
        cmocka_unit_test_setup_teardown(long_runs_go_around_the_cache_the_first_time, setup, teardown),
        cmocka_unit_test_setup_teardown(many_readers_read_less_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_that_fails_is_read_block_by_block, setup, teardown),
        cmocka_unit_test_setup_teardown(the_newest_file_grows_while_it_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_place_spares_its_neighbours, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
