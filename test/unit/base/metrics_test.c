// SPDX-License-Identifier: Apache-2.0
// Bucket edges, quantiles against sorted values, and what is beyond the range.
#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"

static int setup(void **state)
{
    struct histogram *histogram = mem_alloc(sizeof(*histogram));
    histogram_reset(histogram);
    *state = histogram;
    return 0;
}

static int teardown(void **state)
{
    mem_free(*state);
    return 0;
}

static void counts(void **state)
{
    struct counter counter = {0};
    counter_add(&counter, 2);
    counter_add(&counter, 40);
    assert_int_equal(counter.value, 42);
}

static void buckets_follow_each_other(void **state)
{
    uint32_t last = 0;
    for (uint64_t value = 0; value < 1 << 16; value++) {
        uint32_t bucket = histogram_bucket(value);
        assert_true(bucket == last || bucket == last + 1);
        assert_true(value >= 128 || bucket == value);
        last = bucket;
    }
    assert_int_equal(histogram_bucket(HISTOGRAM_LIMIT - 1), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_bucket(HISTOGRAM_LIMIT), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void empty_and_single(void **state)
{
    struct histogram *histogram = *state;
    assert_int_equal(histogram_quantile(histogram, 0.5), 0);
    assert_int_equal(histogram_count(histogram), 0);
    histogram_record(histogram, 1000003);
    assert_int_equal(histogram_quantile(histogram, 0), 1000003);
    assert_int_equal(histogram_quantile(histogram, 1), 1000003);
    histogram_record(histogram, UINT64_MAX);
    assert_true(histogram_quantile(histogram, 1) == UINT64_MAX);
    assert_true(histogram_max(histogram) == UINT64_MAX);
    histogram_reset(histogram);
    assert_int_equal(histogram_max(histogram), 0);
}

static void a_quantile_is_the_upper_edge_of_its_bucket(void **state)
{
    struct histogram *histogram = *state;
    histogram_record(histogram, 128);
    histogram_record(histogram, 5000);
    assert_int_equal(histogram_quantile(histogram, 0.5), 129);
    assert_int_equal(histogram_bucket(129), histogram_bucket(128));
    assert_int_equal(histogram_bucket(130), histogram_bucket(128) + 1);
}

static void counts_up_to_a_value(void **state)
{
    struct histogram *histogram = *state;
    assert_int_equal(histogram_count_up_to(histogram, UINT64_MAX), 0);
    for (uint64_t value = 1; value <= 100; value++)
        histogram_record(histogram, value);
    histogram_record(histogram, 1000000);
    histogram_record(histogram, UINT64_MAX);
    assert_int_equal(histogram_count_up_to(histogram, 0), 0);
    assert_int_equal(histogram_count_up_to(histogram, 50), 50);
    assert_int_equal(histogram_count_up_to(histogram, 900000), 100);
    assert_int_equal(histogram_count_up_to(histogram, 1000000 + 1000000 / 64), 101);
    assert_int_equal(histogram_count_up_to(histogram, HISTOGRAM_LIMIT), 101);
    assert_int_equal(histogram_count_up_to(histogram, UINT64_MAX), 102);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void quantiles_have_two_digits(void **state)
{
    enum { VALUES = 10000 };
    struct histogram *histogram = *state;
    static uint64_t values[VALUES];
    struct prng prng;
    prng_seed(&prng, 4);
    for (int i = 0; i < VALUES; i++) {
        values[i] = prng_next(&prng) >> (24 + prng_below(&prng, 40));
        histogram_record(histogram, values[i]);
    }
    qsort(values, VALUES, sizeof(values[0]), by_value);
    for (int percent = 1; percent <= 100; percent++) {
        uint64_t exact = values[VALUES / 100 * percent - 1];
        uint64_t shown = histogram_quantile(histogram, percent / 100.0);
        assert_true(shown >= exact && shown - exact <= exact / 64);
    }
    assert_int_equal(histogram_quantile(histogram, 1), histogram_max(histogram));
    assert_int_equal(histogram_count(histogram), VALUES);
}

static void merging_adds(void **state)
{
    struct histogram *all = *state, *part = mem_alloc(sizeof(*part));
    histogram_reset(part);
    histogram_record(all, 10);
    histogram_record(part, 20);
    histogram_record(part, 30);
    histogram_merge(all, part);
    assert_int_equal(histogram_count(all), 3);
    assert_int_equal(histogram_max(all), 30);
    assert_int_equal(histogram_quantile(all, 0.5), 20);
    assert_int_equal(all->sum, 60);
    mem_free(part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),
        cmocka_unit_test(buckets_follow_each_other),
        cmocka_unit_test_setup_teardown(empty_and_single, setup, teardown),
        cmocka_unit_test_setup_teardown(a_quantile_is_the_upper_edge_of_its_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(counts_up_to_a_value, setup, teardown),
        cmocka_unit_test_setup_teardown(quantiles_have_two_digits, setup, teardown),
        cmocka_unit_test_setup_teardown(merging_adds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
