// SPDX-License-Identifier: Apache-2.0
// What a new engine knows from the log, from images and both: ST-B06, ST-B11, ST-B12, ST-B29.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "fake_host.h"

enum { FROM_LOG, FROM_BASE, FROM_DELTA, WAYS };

static struct consumer *find(struct fake_host *h, const char *name)
{
    return engine_consumer_find(h->engine, engine_stream_find(h->engine, 1, BYTES("s")), bytes_from_string(name));
}

// Ten messages, seven of them out, three of these acknowledged: 1, 4, 5.
static void fill(struct fake_host *h, struct stream *s, int way)
{
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 4, 60000);
    if (way == FROM_DELTA) {
        fake_host_settle(h);
        fake_host_checkpoint(h, true, 100, 0);
    }
    for (uint64_t i = 1; i <= 10; i++)
        fake_publish(h, s, "m", i);
    fake_host_settle(h);
    engine_ack(h->engine, c, 1, h->now);
    engine_ack(h->engine, c, 4, h->now);
    fake_host_settle(h);
    engine_ack(h->engine, c, 5, h->now);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 7);
    if (way != FROM_LOG)
        fake_host_checkpoint(h, way == FROM_BASE, 100, 0);
}

static void build(struct fake_host *h, int way)
{
    fill(h, fake_stream(h, "s", 0), way);
}

static void ready(struct fake_host *h, struct member *member, bool recovered)
{
    assert_true(recovered);
    assert_int_equal(member_in_flight(member), 4);
    *(struct member **)h->owner = member;
}

// Nothing is sent again while the member's client comes back within its grace, whose ack wait then begins anew.
static void test_members_keep_what_they_have(void **state)
{
    struct fake_host *h = *state;
    for (int way = 0; way < WAYS; way++) {
        struct member *member = NULL;
        build(h, way);
        h->owner = &member;
        h->on_member = ready;
        fake_host_advance(h, 100000);
        fake_host_crash(h, way != FROM_LOG);
        assert_non_null(member);
        assert_int_equal(fake_consumer_state(find(h, "c")).pending, 4);
        assert_int_equal(fake_consumer_state(find(h, "c")).ack_floor, 1);
        assert_int_equal(fake_consumer_state(find(h, "c")).waiting, 3);
        fake_host_advance(h, 4000);
        fake_host_settle(h);
        engine_member_set_state(h->engine, member, MEMBER_READY, h->now);
        fake_host_advance(h, 59999);
        fake_host_settle(h);
        assert_int_equal(h->delivery_count, 7);
        assert_int_equal(engine_ack(h->engine, find(h, "c"), 2, h->now), 0);
        assert_int_equal(engine_ack(h->engine, find(h, "c"), 4, h->now), ERR_NOT_FOUND);
        fake_host_settle(h);
        assert_int_equal(h->delivery_count, 8);
        assert_int_equal(h->deliveries[7].sequence, 8);
        fake_host_advance(h, 2);
        fake_host_settle(h);
        assert_true(h->delivery_count >= 11);
        for (size_t i = 8; i < 11; i++) {
            uint64_t expected[] = {3, 6, 7};
            assert_int_equal(h->deliveries[i].sequence, expected[i - 8]);
            assert_int_equal(h->deliveries[i].count, 1);
        }
        engine_check(h->engine);
        h->on_member = NULL;
        fake_host_deinit(h);
        fake_host_set_up(state);
    }
}

static void test_grace_after_start_releases(void **state)
{
    struct fake_host *h = *state;
    for (int way = 0; way < WAYS; way++) {
        build(h, way);
        fake_host_crash(h, way != FROM_LOG);
        fake_host_advance(h, 1000);
        struct member *other = fake_member(h, find(h, "c"), 10, 60000);
        fake_host_settle(h);
        assert_int_equal(member_in_flight(other), 3); // the new ones: 8, 9, 10
        fake_host_advance(h, 4002);
        fake_host_settle(h);
        assert_int_equal(member_in_flight(other), 7);
        assert_int_equal(h->deliveries[10].sequence, 2);
        assert_int_equal(h->deliveries[10].count, 1);
        fake_host_deinit(h);
        fake_host_set_up(state);
    }
}

static void test_counts_are_kept(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", true, false, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 4, 1000);
    fake_publish(h, s, "m", 0);
    fake_host_settle(h);
    for (int i = 0; i < 3; i++) {
        fake_host_advance(h, 1001);
        fake_host_settle(h);
    }
    for (int way = 0; way < 2; way++) {
        if (way)
            fake_host_checkpoint(h, true, 100, 0);
        fake_host_crash(h, way);
        engine_member_set_state(h->engine, consumer_member_next(find(h, "c"), NULL), MEMBER_READY, h->now);
        fake_host_advance(h, 1001);
        fake_host_settle(h);
        assert_int_equal(h->deliveries[h->delivery_count - 1].count, 4 + way);
    }
}

static void test_what_was_not_committed_is_gone(void **state)
{
    struct fake_host *h = *state;
    build(h, FROM_LOG);
    struct stream *s = engine_stream_find(h->engine, 1, BYTES("s"));
    engine_ack(h->engine, find(h, "c"), 2, h->now);
    fake_publish(h, s, "lost", 77);
    fake_stream(h, "t", 0);
    fake_host_turn(h);
    fake_host_crash(h, false);
    assert_null(engine_stream_find(h->engine, 1, BYTES("t")));
    assert_int_equal(fake_consumer_state(find(h, "c")).pending, 4);
    assert_int_equal(fake_publish(h, engine_stream_find(h->engine, 1, BYTES("s")), "again", 77), 11);
}

static void test_deleted_objects_stay_deleted(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    build(h, FROM_BASE);
    struct stream *s = engine_stream_find(h->engine, 1, BYTES("s"));
    assert_int_equal(engine_consumer_delete(h->engine, find(h, "c"), h->now, &index), 0);
    fake_stream(h, "t", 0);
    fake_host_settle(h);
    fake_host_checkpoint(h, false, 100, 0);
    fake_host_crash(h, true);
    assert_null(find(h, "c"));
    assert_non_null(engine_stream_find(h->engine, 1, BYTES("t")));
    s = engine_stream_find(h->engine, 1, BYTES("s"));
    assert_int_equal(engine_stream_delete(h->engine, s, h->now, &index), 0);
    fake_host_settle(h);
    fake_host_checkpoint(h, false, 100, 0);
    fake_host_crash(h, true);
    assert_null(engine_stream_find(h->engine, 1, BYTES("s")));
    struct engine_stats stats;
    engine_stats_get(h->engine, &stats);
    assert_int_equal(stats.streams, 1);
    assert_int_equal(stats.messages, 0);
}

// Without checkpoints nothing is kept about what is gone.
static void test_without_images_the_gone_are_forgotten(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    for (int i = 0; i < 2; i++) {
        h->options.no_images = i;
        fake_host_crash(h, false);
        struct stream *s = fake_stream(h, "t", 0);
        struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
        fake_host_settle(h);
        assert_int_equal(engine_consumer_delete(h->engine, c, h->now, &index), 0);
        fake_host_settle(h);
        assert_int_equal(engine_stream_delete(h->engine, s, h->now, &index), 0);
        fake_host_settle(h);
        buffer_clear(&h->image);
        fake_host_checkpoint(h, false, 100, 0);
        size_t gone = 0, used;
        struct record record;
        for (struct bytes rest = buffer_bytes(&h->image); rest.len; rest = bytes_skip(rest, used)) {
            assert_int_equal(record_get(rest, true, &record, &used), 0);
            gone += record.kind == RECORD_IMAGE_GONE;
        }
        assert_int_equal(gone, i ? 0 : 2);
    }
}

static void test_ids_do_not_come_back(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    struct stream_state before, after;
    struct stream *s = fake_stream(h, "s", 0);
    stream_state_get(s, &before);
    fake_host_settle(h);
    engine_stream_delete(h->engine, s, h->now, &index);
    fake_host_settle(h);
    fake_host_checkpoint(h, true, 100, 0);
    fake_host_crash(h, true);
    stream_state_get(fake_stream(h, "s", 0), &after);
    assert_true(after.id > before.id);
}

static void test_saved_ids(void **state)
{
    struct fake_host *h = *state;
    struct buffer ids;
    uint64_t until_ns, sequence_before = 10;
    buffer_init(&ids, 1 << 20);
    build(h, FROM_BASE);
    engine_save_ids(h->engine, 0, fake_host_last_index(h), &until_ns, &ids);
    assert_int_equal(ids.len, 10 * 32);
    assert_int_equal(until_ns / 1000000, (h->now.wall_ns + 120000000000ull) / 1000000);
    // A new engine that has the image and the ids, and no log: the ids came with a segment.
    engine_free(h->engine);
    h->engine = engine_new(&h->options);
    size_t left;
    assert_int_equal(engine_restore_ids(h->engine, bytes_make(ids.ptr, 31), 0, &left), ERR_CORRUPT);
    struct bytes rest = buffer_bytes(&h->image);
    while (rest.len) {
        struct record record;
        size_t used;
        assert_int_equal(record_get(rest, true, &record, &used), 0);
        assert_int_equal(engine_restore(h->engine, &record), 0);
        rest = bytes_skip(rest, used);
    }
    engine_ids_await(h->engine, ids.len);
    engine_recovered(h->engine, h->now);
    struct publish publish = {.payload = BYTES("m"), .dedupe = {3, 3}};
    struct publish_result result;
    struct stream *s = engine_stream_find(h->engine, 1, BYTES("s"));
    // Whether it is a duplicate cannot be told yet; what has no id is none.
    assert_int_equal(engine_publish(h->engine, s, &publish, h->now, &result), ERR_AGAIN);
    assert_int_equal(engine_restore_ids(h->engine, buffer_bytes(&ids), 0, &left), 0);
    assert_int_equal(left, 0);
    struct hash128 id = publish.dedupe;
    publish.dedupe = (struct hash128){98, 98};
    assert_int_equal(engine_publish(h->engine, s, &publish, h->now, &result), ERR_AGAIN);
    publish.dedupe = id;
    engine_ids_await(h->engine, 0);
    assert_int_equal(engine_publish(h->engine, s, &publish, h->now, &result), 0);
    assert_true(result.duplicate && result.sequence == 3);
    publish.dedupe = (struct hash128){99, 99};
    assert_int_equal(engine_publish(h->engine, s, &publish, h->now, &result), 0);
    assert_int_equal(result.sequence, sequence_before + 1);
    buffer_deinit(&ids);
}

// The wall clock goes back further than the window, and only then a second stream begins: its ids count from when they came, not
// from a time that lies before all others.
static void test_ids_survive_a_clock_that_went_back(void **state)
{
    struct fake_host *h = *state;
    struct publish publish = {.payload = BYTES("m"), .dedupe = {1, 1}};
    struct publish_result first, again;
    assert_int_equal(engine_publish(h->engine, fake_stream(h, "a", 0), &publish, h->now, &first), 0);
    h->now.wall_ns -= 3600 * 1000000000ull;
    publish.dedupe = (struct hash128){2, 2};
    assert_int_equal(engine_publish(h->engine, fake_stream(h, "b", 0), &publish, h->now, &first), 0);
    fake_host_settle(h);
    fake_host_crash(h, true);
    struct stream *b = engine_stream_find(h->engine, 1, BYTES("b"));
    assert_int_equal(engine_publish(h->engine, b, &publish, h->now, &again), 0);
    assert_true(again.duplicate);
    assert_int_equal(again.sequence, first.sequence);
}

// Every byte of every image and record cut off or changed: an error or a state that holds together, never a crash.
static void test_damaged_images_are_refused(void **state)
{
    struct fake_host *h = *state;
    build(h, FROM_BASE);
    struct bytes rest = buffer_bytes(&h->image);
    size_t refused = 0;
    while (rest.len) {
        struct record record;
        size_t used;
        assert_int_equal(record_get(rest, true, &record, &used), 0);
        for (size_t len = 0; len < record.body.len; len++) {
            struct engine *engine = engine_new(&h->options);
            struct record cut = record;
            cut.body.len = len;
            if (record.kind == RECORD_IMAGE_CONSUMER) {
                struct record stream;
                size_t skip;
                assert_int_equal(record_get(buffer_bytes(&h->image), true, &stream, &skip), 0);
                assert_int_equal(engine_restore(engine, &stream), 0);
            }
            refused += engine_restore(engine, &cut) == ERR_CORRUPT;
            engine_free(engine);
        }
        rest = bytes_skip(rest, used);
    }
    assert_true(refused > 100);
}

static struct engine_stats stats_of(const struct fake_host *h)
{
    struct engine_stats stats;
    engine_stats_get(h->engine, &stats);
    return stats;
}

// Any entry may be lost to damage: the rest serves.
static void test_a_lost_entry_leaves_the_rest(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    struct stream *s = fake_stream(h, "s", 12);
    fake_host_settle(h);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
    fake_host_settle(h);
    struct member *a = fake_member(h, c, 5, 60000);
    fake_host_settle(h);
    fake_member(h, c, 5, 60000);
    for (uint64_t i = 1; i <= 30; i++) {
        fake_publish(h, s, "m", i);
        fake_host_settle(h);
        engine_ack(h->engine, c, i - i % 3, h->now);
        fake_host_settle(h);
    }
    assert_int_equal(engine_member_remove(h->engine, a, false, h->now, &index), 0);
    fake_host_settle(h);
    for (h->lost_entry = 1; h->lost_entry <= h->entry_count; h->lost_entry++) {
        fake_host_crash(h, false);
        engine_check(h->engine);
        const char *name = h->lost_entry == 1 ? "weir.lost.stream.1" : "s";
        assert_non_null(engine_stream_find(h->engine, 1, bytes_from_string(name)));
        assert_in_range(stats_of(h).messages, 11, h->lost_entry == 1 ? 30 : 12);
    }
}

// Streams, durables and members go and come again under the same name; whichever entry is lost, a start serves the newest of them.
static void test_lost_ends_of_what_came_again(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    for (int round = 0; round < 3; round++) {
        struct stream *s = fake_stream(h, "s", 0);
        fake_host_settle(h);
        for (int i = 0; i < 3; i++) {
            struct consumer *c = fake_consumer(h, s, "c", true, false, CONSUMER_START_FIRST, 0);
            fake_host_settle(h);
            struct member *m = fake_member(h, c, 5, 60000);
            fake_publish(h, s, "m", (uint64_t)(round * 10 + i + 1));
            fake_host_settle(h);
            assert_int_equal(engine_member_remove(h->engine, m, false, h->now, &index), 0);
            fake_host_settle(h);
            m = fake_member(h, c, 5, 60000);
            fake_host_settle(h);
            assert_int_equal(engine_member_remove(h->engine, m, i == 1, h->now, &index), 0);
            fake_host_settle(h);
            if (i != 1)
                assert_int_equal(engine_consumer_delete(h->engine, c, h->now, &index), 0);
            fake_host_settle(h);
        }
        if (round < 2)
            assert_int_equal(engine_stream_delete(h->engine, s, h->now, &index), 0);
        fake_host_settle(h);
    }
    uint64_t replaced = 0, nameless = 0;
    for (h->lost_entry = 1; h->lost_entry <= h->entry_count; h->lost_entry++) {
        fake_host_crash(h, false);
        engine_check(h->engine);
        replaced += stats_of(h).replaced;
        nameless += stats_of(h).nameless;
        assert_in_range(stats_of(h).streams, 1, 2);
        assert_in_range(stats_of(h).messages, 2, 6);
        fake_host_settle(h);
    }
    assert_int_equal(replaced, 2 + 9 + 6); // streams, only members, durables
    assert_int_equal(nameless, 3);
}

// The messages of a stream whose creation was lost are wanted, and its consumers go on, also after the next checkpoint.
static void test_a_stream_without_creation_keeps_its_messages(void **state)
{
    struct fake_host *h = *state;
    struct stream_state state_of_stream;
    fake_stream(h, "s", 0);
    fake_host_settle(h);
    fill(h, engine_stream_find(h->engine, 1, BYTES("s")), FROM_LOG);
    h->lost_entry = 1;
    fake_host_crash(h, false);
    assert_null(engine_stream_find(h->engine, 1, BYTES("s")));
    for (int i = 0; i < 2; i++) {
        struct stream *s = engine_stream_find(h->engine, 1, BYTES("weir.lost.stream.1"));
        assert_non_null(s);
        stream_state_get(s, &state_of_stream);
        assert_int_equal(state_of_stream.messages, 10);
        assert_int_equal(state_of_stream.id, 1);
        for (uint64_t sequence = 1; sequence <= 10; sequence++)
            assert_true(engine_is_wanted(h->engine, 1, sequence));
        assert_int_equal(fake_consumer_state(engine_consumer_find(h->engine, s, BYTES("c"))).pending, 4);
        assert_int_equal(stats_of(h).nameless, i == 0);
        fake_host_checkpoint(h, true, 100, 0);
        fake_host_crash(h, true);
    }
    struct stream_state fresh;
    stream_state_get(fake_stream(h, "s", 0), &fresh);
    assert_int_equal(fresh.id, 2);
}

// The creation was on its way when a checkpoint began, or came while it was taken: its entry is the only trace of it. Then too the
// messages of a stream are not those of one that was deleted.
static void test_a_creation_lost_during_a_checkpoint(void **state)
{
    struct fake_host *h = *state;
    fake_stream(h, "deleted", 0);
    fake_stream(h, "old", 0);
    fake_host_settle(h);
    uint64_t index;
    struct stream *deleted = engine_stream_find(h->engine, 1, BYTES("deleted"));
    assert_int_equal(engine_stream_delete(h->engine, deleted, h->now, &index), 0);
    fake_host_settle(h);
    struct stream *under_way = fake_stream(h, "under way", 0);
    uint64_t first_lost = fake_host_last_index(h);
    engine_checkpoint_begin(h->engine, true);
    h->image_index = h->applied;
    fake_host_settle(h);
    struct stream *during = fake_stream(h, "during", 0);
    fake_host_settle(h);
    uint64_t second_lost = fake_host_last_index(h);
    while (engine_checkpoint_next(h->engine, h->applied, &h->image, 50)) {
    }
    fake_publish(h, under_way, "m", 1);
    fake_publish(h, during, "m", 2);
    fake_host_settle(h);
    const uint64_t lost[] = {first_lost, second_lost};
    const char *const names[] = {"weir.lost.stream.3", "weir.lost.stream.4"};
    for (int i = 0; i < 2; i++) {
        h->lost_entry = lost[i];
        fake_host_crash(h, true);
        assert_int_equal(stats_of(h).nameless, 1);
        assert_non_null(engine_stream_find(h->engine, 1, bytes_from_string(names[i])));
        assert_int_equal(stats_of(h).messages, 2);
        assert_true(engine_is_wanted(h->engine, 3, 1) && engine_is_wanted(h->engine, 4, 1));
        assert_int_equal(stats_of(h).streams, 3); // the deleted one is not among them
    }
}

static void test_consumer_without_stream_is_refused(void **state)
{
    struct fake_host *h = *state;
    build(h, FROM_BASE);
    struct bytes rest = buffer_bytes(&h->image);
    struct engine *engine = engine_new(&h->options);
    while (rest.len) {
        struct record record;
        size_t used;
        assert_int_equal(record_get(rest, true, &record, &used), 0);
        if (record.kind == RECORD_IMAGE_CONSUMER)
            assert_int_equal(engine_restore(engine, &record), ERR_CORRUPT);
        rest = bytes_skip(rest, used);
    }
    engine_free(engine);
}

// The log again, but for one number in the first record of a kind (size 0: none); the error of the first record that is refused.
static int replay(struct fake_host *h, struct engine *engine, uint16_t kind, size_t offset, size_t size, uint64_t value)
{
    int error = 0;
    for (size_t i = 0; i < h->entry_count && !error; i++) {
        struct bytes rest = bytes_make(h->entries[i].records, h->entries[i].len);
        struct record record;
        for (size_t used; rest.len && !error; rest = bytes_skip(rest, used)) {
            assert_int_equal(record_get(rest, true, &record, &used), 0);
            char *body = mem_copy(record.body);
            if (record.kind == kind && size == 8)
                put_u64(body + offset, value);
            else if (record.kind == kind && size == 1)
                body[offset] = (char)value;
            size = record.kind == kind ? 0 : size;
            record.body.ptr = body;
            error = engine_apply(engine, &record, h->entries[i].index, false);
            mem_free(body);
        }
    }
    assert_int_equal(size, 0);
    return error;
}

static void test_numbers_that_nobody_writes_are_refused(void **state)
{
    static const struct {
        uint16_t kind;
        size_t offset, size;
        uint64_t good, bad;
    } cases[] = {
        {RECORD_STREAM_CREATE, 32, 8, 1728000000000000, 1728000001000000}, // duplicate window
        {RECORD_CONSUMER_CREATE, 6, 1, CONSUMER_START_TIME, CONSUMER_START_TIME + 1},
        {RECORD_CONSUMER_CREATE, 8, 8, 1ull << 63, (1ull << 63) + 1},
        {RECORD_MEMBER_ADD, 8, 8, 1000000, 999999}, // ack wait
    };
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 12);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 5, 60000);
    fake_host_settle(h);
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        bool bad = i % 2;
        struct engine *engine = engine_new(&h->options);
        int error = replay(h, engine, cases[i / 2].kind, cases[i / 2].offset, cases[i / 2].size,
                           bad ? cases[i / 2].bad : cases[i / 2].good);
        assert_int_equal(error, bad ? ERR_CORRUPT : 0);
        engine_free(engine);
    }
}

// Twice what there is at most is taken from the log, and not one more.
static void test_more_pending_than_there_may_be(void **state)
{
    struct fake_host *h = *state;
    struct consumer *c = fake_consumer(h, fake_stream(h, "s", 12), "c", true, true, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 4, 60000);
    for (uint64_t i = 1; i <= 4; i++)
        fake_publish(h, engine_stream_find(h->engine, 1, BYTES("s")), "m", i);
    fake_host_settle(h);
    for (uint32_t most = 1; most <= 2; most++) {
        h->options.max_pending = most;
        struct engine *engine = engine_new(&h->options);
        assert_int_equal(replay(h, engine, 0, 0, 0, 0), most < 2 ? ERR_CORRUPT : 0);
        engine_free(engine);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_host_set_up, fake_host_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_members_keep_what_they_have),
        TEST(test_grace_after_start_releases),
        TEST(test_counts_are_kept),
        TEST(test_what_was_not_committed_is_gone),
        TEST(test_deleted_objects_stay_deleted),
        TEST(test_without_images_the_gone_are_forgotten),
        TEST(test_ids_do_not_come_back),
        TEST(test_saved_ids),
        TEST(test_ids_survive_a_clock_that_went_back),
        TEST(test_damaged_images_are_refused),
        TEST(test_a_lost_entry_leaves_the_rest),
        TEST(test_lost_ends_of_what_came_again),
        TEST(test_a_stream_without_creation_keeps_its_messages),
        TEST(test_a_creation_lost_during_a_checkpoint),
        TEST(test_consumer_without_stream_is_refused),
        TEST(test_numbers_that_nobody_writes_are_refused),
        TEST(test_more_pending_than_there_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
