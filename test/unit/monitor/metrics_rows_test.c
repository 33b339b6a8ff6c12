// SPDX-License-Identifier: Apache-2.0
// Rows are written family by family, whatever the steps, and never more than was reckoned.
#include "monitor/metrics_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/prng.h"

#define PAGE_MAX (4 * 1024 * 1024)

static void label(struct metrics_rows *rows, const char *name)
{
    buffer_clear(&rows->scratch);
    assert_int_equal(metric_label_append(&rows->scratch, "channel", bytes_from_string(name)), 0);
}

static size_t write_all(struct metrics_rows *rows, size_t samples, struct buffer *out)
{
    struct metric_writer writer;
    size_t steps = 1;
    metric_writer_init(&writer, out, METRIC_PROMETHEUS);
    for (; !metrics_rows_write(rows, &writer, samples); steps++)
        assert_true(steps < 100000);
    assert_int_equal(metric_writer_finish(&writer), 0);
    return steps;
}

static size_t occurrences(const struct buffer *out, struct bytes text)
{
    size_t count = 0;
    for (struct bytes rest = buffer_bytes(out); rest.len >= text.len; rest = bytes_skip(rest, 1))
        count += memcmp(rest.ptr, text.ptr, text.len) == 0;
    return count;
}

static void fill(struct metrics_rows *rows, uint64_t seed, size_t count)
{
    struct prng prng;
    prng_seed(&prng, seed);
    for (size_t i = 0; i < count; i++) {
        uint64_t values[METRICS_COLUMNS_MAX];
        char name[64];
        for (size_t column = 0; column < METRICS_COLUMNS_MAX; column++)
            values[column] = prng_next(&prng) >> prng_below(&prng, 64);
        snprintf(name, sizeof(name), "c\"%zu", i);
        label(rows, name);
        (void)metrics_rows_add(rows, i % 3 == 0 ? METRICS_CHANNEL : METRICS_GROUP, values);
    }
}

static void steps_make_no_difference(void **state)
{
    struct buffer whole, out;
    buffer_init(&whole, PAGE_MAX);
    buffer_init(&out, PAGE_MAX);
    for (size_t samples = 1; samples < 100000; samples *= 10) {
        struct metrics_rows rows;
        metrics_rows_init(&rows, 1000, PAGE_MAX);
        fill(&rows, 4711, 300);
        assert_false(rows.truncated);
        buffer_clear(&out);
        size_t steps = write_all(&rows, samples, &out);
        assert_int_equal(steps > 1, samples < 10000);
        if (whole.len == 0)
            assert_int_equal(buffer_append(&whole, buffer_bytes(&out)), 0);
        assert_true(bytes_equal(buffer_bytes(&whole), buffer_bytes(&out)));
        metrics_rows_deinit(&rows);
    }
    assert_int_equal(occurrences(&whole, BYTES("# TYPE weir_channel_messages gauge\n")), 1);
    assert_int_equal(occurrences(&whole, BYTES("\nweir_channel_messages{")), 100);
    assert_int_equal(occurrences(&whole, BYTES("\nweir_group_acks_total{")), 200);
    assert_int_equal(occurrences(&whole, BYTES("jetstream_")), 0);
    buffer_deinit(&whole);
    buffer_deinit(&out);
}

static void never_more_than_was_reckoned(void **state)
{
    for (size_t max = 16384; max < 200000; max = max * 3 / 2) {
        struct metrics_rows rows;
        struct buffer out;
        metrics_rows_init(&rows, SIZE_MAX, max);
        buffer_init(&out, PAGE_MAX);
        fill(&rows, max, 300);
        write_all(&rows, 1000, &out);
        assert_true(out.len <= rows.bytes && rows.bytes <= max);
        assert_int_equal(rows.truncated, rows.lists[METRICS_CHANNEL].count + rows.lists[METRICS_GROUP].count < 300);
        buffer_deinit(&out);
        metrics_rows_deinit(&rows);
    }
}

static void there_are_so_many_rows_and_what_is_unknown_is_left_out(void **state)
{
    struct metrics_rows rows;
    struct buffer out;
    uint64_t values[METRICS_COLUMNS_MAX] = {[CHANNEL_BYTES] = METRICS_UNKNOWN, [CHANNEL_MESSAGES] = 7};
    metrics_rows_init(&rows, 2, PAGE_MAX);
    buffer_init(&out, PAGE_MAX);
    rows.old = true;
    for (int i = 0; i < 4; i++) {
        label(&rows, i % 2 ? "b" : "a");
        assert_int_equal(metrics_rows_add(&rows, METRICS_CHANNEL, values), i < 2);
        assert_true(metrics_rows_add(&rows, METRICS_OLD_STREAM, values)); // they belong to a channel that counts
    }
    assert_true(rows.truncated);
    write_all(&rows, 1000, &out);
    assert_int_equal(occurrences(&out, BYTES("\nweir_channel_messages{channel=\"b\"} 7\n")), 1);
    assert_int_equal(occurrences(&out, BYTES("\nweir_channel_bytes{")), 0);
    assert_int_equal(occurrences(&out, BYTES("\njetstream_stream_total_messages{")), 4);
    buffer_deinit(&out);
    metrics_rows_deinit(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_make_no_difference),
        cmocka_unit_test(never_more_than_was_reckoned),
        cmocka_unit_test(there_are_so_many_rows_and_what_is_unknown_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
