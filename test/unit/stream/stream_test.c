// SPDX-License-Identifier: Apache-2.0
// A stream's configuration in the log and in images, in both of its forms.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_host.h"

static struct stream_config config_of(struct fake_host *h)
{
    struct stream_state state;
    stream_state_get(engine_stream_find(h->engine, 1, BYTES("s")), &state);
    return state.config;
}

static const struct stream_config plain = {.account = 1, .name = {"s", 1}, .max_msgs = 5, .max_age_ns = 7};

static struct stream_config full_config(void)
{
    struct stream_config config = plain;
    config.discard_new = true;
    config.max_deliver = 70000;
    config.dead_letter = BYTES("s.dead");
    config.backoff_count = STREAM_BACKOFF_MAX;
    for (size_t i = 0; i < STREAM_BACKOFF_MAX; i++)
        config.backoff_ns[i] = (i + 1) << 40;
    return config;
}

static void create(struct fake_host *h, const struct stream_config *config)
{
    struct stream *stream;
    uint64_t index;
    assert_int_equal(engine_stream_create(h->engine, config, h->now, &stream, &index), 0);
    fake_host_settle(h);
}

static void update(struct fake_host *h, const struct stream_config *config)
{
    uint64_t index;
    struct stream *stream = engine_stream_find(h->engine, 1, BYTES("s"));
    assert_int_equal(engine_stream_update(h->engine, stream, config, h->now, &index), 0);
    fake_host_settle(h);
}

static void assert_config(struct fake_host *h, const struct stream_config *expected)
{
    struct stream_config config = config_of(h);
    assert_true(stream_config_equal(&config, expected));
}

static void test_config_survives(void **state)
{
    struct fake_host *h = *state;
    const struct stream_config full = full_config();
    create(h, &full);
    assert_config(h, &full);
    for (int image = 0; image < 2; image++) {
        if (image)
            fake_host_checkpoint(h, true, 100, 0);
        fake_host_crash(h, image);
        assert_config(h, &full);
        update(h, &plain);
        assert_config(h, &plain);
        fake_host_crash(h, image);
        assert_config(h, &plain);
        update(h, &full);
    }
    // An image of the other form takes the place of the older one.
    update(h, &plain);
    fake_host_checkpoint(h, false, 100, 0);
    fake_host_crash(h, true);
    assert_config(h, &plain);
    update(h, &full);
    fake_host_checkpoint(h, false, 100, 0);
    fake_host_crash(h, true);
    assert_config(h, &full);
}

static size_t count_kind(struct bytes rest, uint16_t kind)
{
    size_t count = 0, used;
    for (; rest.len; rest = bytes_skip(rest, used)) {
        struct record record;
        assert_int_equal(record_get(rest, true, &record, &used), 0);
        count += record.kind == kind;
    }
    return count;
}

static size_t count_in_log(const struct fake_host *h, uint16_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < h->entry_count; i++)
        count += count_kind(bytes_make(h->entries[i].records, h->entries[i].len), kind);
    return count;
}

// A directory in which nobody asked for the newer fields is one that the version before them can start on.
static void test_newer_kinds_are_written_only_when_asked_for(void **state)
{
    struct fake_host *h = *state;
    create(h, &plain);
    update(h, &plain);
    fake_host_checkpoint(h, true, 100, 0);
    assert_int_equal(count_in_log(h, RECORD_STREAM_CREATE), 1);
    assert_int_equal(count_in_log(h, RECORD_STREAM_UPDATE), 1);
    assert_int_equal(count_kind(buffer_bytes(&h->image), RECORD_IMAGE_STREAM), 1);
    struct stream_config configs[4] = {plain, plain, plain, plain};
    configs[0].discard_new = true;
    configs[1].max_deliver = 1;
    configs[2].backoff_count = 1;
    configs[3].dead_letter = BYTES("d");
    for (size_t i = 0; i < 4; i++) {
        update(h, &configs[i]);
        assert_int_equal(count_in_log(h, RECORD_STREAM_UPDATE_MORE), i + 1);
        fake_host_checkpoint(h, true, 100, 0);
        assert_int_equal(count_kind(buffer_bytes(&h->image), RECORD_IMAGE_STREAM_MORE), 1);
    }
    struct stream_config other = full_config();
    other.name = BYTES("t");
    create(h, &other);
    assert_int_equal(count_in_log(h, RECORD_STREAM_CREATE_MORE), 1);
}

static void test_invalid_configs(void **state)
{
    struct fake_host *h = *state;
    static char name[ENGINE_NAME_MAX + 1];
    struct stream_config config = full_config();
    struct stream *stream;
    uint64_t index;
    config.backoff_count = STREAM_BACKOFF_MAX + 1;
    assert_int_equal(engine_stream_create(h->engine, &config, h->now, &stream, &index), ERR_INVALID);
    config = full_config();
    config.dead_letter = bytes_make(name, sizeof(name));
    assert_int_equal(engine_stream_create(h->engine, &config, h->now, &stream, &index), ERR_INVALID);
    config.dead_letter.len--;
    create(h, &config);
    config = full_config();
    config.backoff_count = STREAM_BACKOFF_MAX + 1;
    stream = engine_stream_find(h->engine, 1, BYTES("s"));
    assert_int_equal(engine_stream_update(h->engine, stream, &config, h->now, &index), ERR_INVALID);
}

static int apply(struct fake_host *h, uint16_t kind, const char *body, size_t len)
{
    struct record record = {.kind = kind, .object = 1, .body = bytes_make(body, len)};
    struct engine *engine = engine_new(&h->options);
    int error = engine_apply(engine, &record, 1, false);
    engine_free(engine);
    return error;
}

static void test_bodies_that_do_not_add_up_are_refused(void **state)
{
    struct fake_host *h = *state;
    enum { NAME_END = 51, SIZE = NAME_END + 8 + 8 * STREAM_BACKOFF_MAX + 6 };
    const struct stream_config full = full_config();
    create(h, &full);
    char body[SIZE + 1] = {0};
    struct record record;
    size_t used;
    assert_int_equal(record_get(bytes_make(h->entries[0].records, h->entries[0].len), true, &record, &used), 0);
    assert_int_equal(record.body.len, SIZE);
    memcpy(body, record.body.ptr, SIZE);
    assert_int_equal(apply(h, RECORD_STREAM_CREATE_MORE, body, SIZE), 0);
    for (size_t len = 0; len < SIZE + 2; len++)
        assert_int_equal(apply(h, RECORD_STREAM_CREATE_MORE, body, len), len == SIZE ? 0 : ERR_CORRUPT);
    assert_int_equal(apply(h, RECORD_STREAM_CREATE, body, SIZE), ERR_CORRUPT);
    assert_int_equal(apply(h, RECORD_STREAM_CREATE, body, NAME_END), 0);
    body[NAME_END] |= 2; // a flag nobody knows
    assert_int_equal(apply(h, RECORD_STREAM_CREATE_MORE, body, SIZE), ERR_CORRUPT);
    body[NAME_END] = 0;
    body[NAME_END + 1] = STREAM_BACKOFF_MAX + 1;
    assert_int_equal(apply(h, RECORD_STREAM_CREATE_MORE, body, SIZE), ERR_CORRUPT);
}

static uint64_t proposed(const struct stream *stream)
{
    struct stream_state state;
    stream_state_get(stream, &state);
    return state.last_proposed;
}

// However many entries are under way, a refused one takes back what it and those behind it brought, and no more.
static void test_refused_entries_are_taken_back(void **state)
{
    struct fake_host *h = *state;
    struct stream *stream = fake_stream(h, "s", 0), *other = fake_stream(h, "t", 0);
    uint64_t id = 0, committed = 0;
    fake_host_settle(h);
    for (size_t entries = 0; entries < 6; entries++) {
        for (size_t commits = 0; commits <= entries; commits++) {
            for (size_t i = 0; i < entries; i++) {
                assert_int_equal(fake_publish(h, stream, "a", ++id), committed + 2 * i + 1);
                fake_publish(h, other, "b", ++id);
                fake_publish(h, stream, "c", ++id);
                fake_host_turn(h);
            }
            fake_host_commit(h, commits);
            committed += 2 * commits;
            fake_host_refuse(h);
            assert_int_equal(proposed(stream), committed);
            assert_int_equal(proposed(other), committed / 2);
        }
    }
}

static void test_many_are_found_at_once(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0), *t = fake_stream(h, "t", 0), *found[ENGINE_FIND_MAX];
    char text[ENGINE_NAME_MAX + 1];
    struct bytes names[ENGINE_FIND_MAX], too_long = bytes_make(memset(text, 's', sizeof(text)), sizeof(text));
    const struct bytes some[] = {BYTES("s"), too_long, BYTES(""), BYTES("t"), BYTES("st"), BYTES("s"), {0}};
    struct stream *const wanted[] = {s, NULL, NULL, t, NULL, s, NULL};
    for (size_t i = 0; i < ENGINE_FIND_MAX; i++)
        names[i] = some[i % 7];
    engine_stream_find_many(h->engine, 1, names, ENGINE_FIND_MAX, found);
    for (size_t i = 0; i < ENGINE_FIND_MAX; i++)
        assert_ptr_equal(found[i], wanted[i % 7]);
    engine_stream_find_many(h->engine, 2, names, ENGINE_FIND_MAX, found);
    assert_null(found[0]);
    engine_stream_find_many(h->engine, 1, names, 0, found);
    const uint32_t ids[] = {1, 2, 77};
    engine_streams_ahead(h->engine, ids, 3); // a hint about what is not there is none
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_host_set_up, fake_host_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_config_survives),
        TEST(test_newer_kinds_are_written_only_when_asked_for),
        TEST(test_invalid_configs),
        TEST(test_bodies_that_do_not_add_up_are_refused),
        TEST(test_refused_entries_are_taken_back),
        TEST(test_many_are_found_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
