// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/metric_writer.h"

static void expect(struct buffer *out, const char *text)
{
    if (!bytes_equal(buffer_bytes(out), bytes_from_string(text)))
        fail_msg("%.*s", BYTES_ARG(buffer_bytes(out)));
    buffer_clear(out);
}

static void write_families(struct buffer *out, enum metric_format format)
{
    struct metric_writer writer;
    metric_writer_init(&writer, out, format);
    metric_writer_family(&writer, METRIC_COUNTER, "weir_acks", "Messages.");
    metric_writer_u64(&writer, BYTES("channel=\"a\""), 7);
    metric_writer_u64(&writer, BYTES(""), UINT64_MAX);
    metric_writer_family(&writer, METRIC_GAUGE, "weir_age_seconds", "Age.");
    metric_writer_seconds(&writer, BYTES(""), 1500000000);
    metric_writer_seconds(&writer, BYTES("a=\"b\""), 1);
    metric_writer_seconds(&writer, BYTES(""), 2000000000);
    metric_writer_seconds(&writer, BYTES(""), UINT64_MAX);
    metric_writer_family(&writer, METRIC_INFO, "weir_build", "Build.");
    metric_writer_u64(&writer, BYTES("v=\"1\""), 1);
    metric_writer_family(&writer, METRIC_UNKNOWN, "old_total", "Old.");
    metric_writer_u64(&writer, BYTES(""), 3);
    assert_int_equal(metric_writer_finish(&writer), 0);
}

static void families_as_both_formats_have_them(void **state)
{
    struct buffer out;
    buffer_init(&out, 4096);
    write_families(&out, METRIC_PROMETHEUS);
    expect(&out, "# HELP weir_acks_total Messages.\n# TYPE weir_acks_total counter\n"
                 "weir_acks_total{channel=\"a\"} 7\nweir_acks_total 18446744073709551615\n"
                 "# HELP weir_age_seconds Age.\n# TYPE weir_age_seconds gauge\n"
                 "weir_age_seconds 1.5\nweir_age_seconds{a=\"b\"} 0.000000001\nweir_age_seconds 2\n"
                 "weir_age_seconds 18446744073.709551615\n"
                 "# HELP weir_build_info Build.\n# TYPE weir_build_info gauge\nweir_build_info{v=\"1\"} 1\n"
                 "# HELP old_total Old.\n# TYPE old_total untyped\nold_total 3\n");
    write_families(&out, METRIC_OPENMETRICS);
    expect(&out, "# HELP weir_acks Messages.\n# TYPE weir_acks counter\n"
                 "weir_acks_total{channel=\"a\"} 7\nweir_acks_total 18446744073709551615\n"
                 "# HELP weir_age_seconds Age.\n# TYPE weir_age_seconds gauge\n"
                 "weir_age_seconds 1.5\nweir_age_seconds{a=\"b\"} 0.000000001\nweir_age_seconds 2\n"
                 "weir_age_seconds 18446744073.709551615\n"
                 "# HELP weir_build Build.\n# TYPE weir_build info\nweir_build_info{v=\"1\"} 1\n"
                 "# HELP old_total Old.\n# TYPE old_total unknown\nold_total 3\n# EOF\n");
    buffer_deinit(&out);
}

static void a_histogram_counts_up_to_its_edges(void **state)
{
    static const uint64_t seconds[] = {500000, 1000000000}, sizes[] = {4096, 1048576};
    struct histogram *histogram = mem_alloc_zero(sizeof(*histogram));
    struct metric_writer writer;
    struct buffer out;
    buffer_init(&out, 4096);
    histogram_record(histogram, 1000);
    histogram_record(histogram, 600000);
    histogram_record(histogram, 5000000000);
    metric_writer_init(&writer, &out, METRIC_PROMETHEUS);
    metric_writer_family(&writer, METRIC_HISTOGRAM, "s_seconds", "S.");
    metric_writer_histogram(&writer, histogram, seconds, 2, true);
    expect(&out, "# HELP s_seconds S.\n# TYPE s_seconds histogram\ns_seconds_bucket{le=\"0.0005\"} 1\n"
                 "s_seconds_bucket{le=\"1.0\"} 2\ns_seconds_bucket{le=\"+Inf\"} 3\ns_seconds_sum 5.000601\n"
                 "s_seconds_count 3\n");
    metric_writer_family(&writer, METRIC_HISTOGRAM, "b_bytes", "B.");
    metric_writer_histogram(&writer, histogram, sizes, 2, false);
    expect(&out, "# HELP b_bytes B.\n# TYPE b_bytes histogram\nb_bytes_bucket{le=\"4096.0\"} 1\n"
                 "b_bytes_bucket{le=\"1048576.0\"} 2\nb_bytes_bucket{le=\"+Inf\"} 3\nb_bytes_sum 5000601000\n"
                 "b_bytes_count 3\n");
    buffer_deinit(&out);
    mem_free(histogram);
}

static void labels_are_escaped_and_stay_different(void **state)
{
    static const struct {
        const char *name, *label;
    } cases[] = {
        {"jobs.*.a b", "x=\"jobs.*.a b\""},
        {"a\"b\\c\nd", "x=\"a\\\"b\\\\c\\nd\""},
        {"\t\x7f\r", "x=\"\xef\xbf\xbd"
                     "09\xef\xbf\xbd"
                     "7f\xef\xbf\xbd"
                     "0d\""},
        {"\xff", "x=\"\xef\xbf\xbd"
                 "ff\""},
        {"\xef\xbf\xbd"
         "ff",
         "x=\"\xef\xbf\xbd"
         "ef\xef\xbf\xbd"
         "bf\xef\xbf\xbd"
         "bdff\""},
        {"gr\xc3\xbc\xc3\x9f\xf0\x9f\x90\x9f", "x=\"gr\xc3\xbc\xc3\x9f\xf0\x9f\x90\x9f\""},
        {"", "x=\"\""},
    };
    struct buffer labels;
    buffer_init(&labels, 64);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(metric_label_append(&labels, "x", bytes_from_string(cases[i].name)), 0);
        expect(&labels, cases[i].label);
    }
    assert_int_equal(metric_label_append(&labels, "a", BYTES("1")), 0);
    assert_int_equal(metric_label_append(&labels, "b", bytes_make("\0", 1)), 0);
    expect(&labels, "a=\"1\",b=\"\xef\xbf\xbd"
                    "00\"");
    assert_int_equal(metric_label_append(&labels, "a", BYTES("1")), 0);
    char longer[70] = {0};
    assert_int_equal(metric_label_append(&labels, "b", bytes_make(longer, sizeof(longer))), ERR_TOO_BIG);
    expect(&labels, "a=\"1\"");
    buffer_deinit(&labels);
}

static void a_full_buffer_is_told(void **state)
{
    for (size_t max = 0;; max++) {
        struct buffer out;
        buffer_init(&out, max);
        struct metric_writer writer;
        metric_writer_init(&writer, &out, METRIC_OPENMETRICS);
        metric_writer_family(&writer, METRIC_COUNTER, "a", "b");
        metric_writer_u64(&writer, BYTES(""), 1);
        int error = metric_writer_finish(&writer);
        assert_true(error == 0 || error == ERR_TOO_BIG);
        bool whole = out.len > 6 && memcmp(out.ptr + out.len - 6, "# EOF\n", 6) == 0;
        assert_int_equal(whole, error == 0);
        buffer_deinit(&out);
        if (!error)
            break;
        assert_true(max < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_as_both_formats_have_them),
        cmocka_unit_test(a_histogram_counts_up_to_its_edges),
        cmocka_unit_test(labels_are_escaped_and_stay_different),
        cmocka_unit_test(a_full_buffer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
