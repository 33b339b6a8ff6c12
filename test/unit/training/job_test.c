// SPDX-License-Identifier: Apache-2.0
// Jobs: what is one is read, and whatever else somebody sends is refused with a reason.
#include "job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

enum { IMAGES = 1000 };

static int parse(const char *text, struct job *job, struct complaint *complaint)
{
    return job_parse(text, strlen(text), IMAGES, job, complaint);
}

static void a_job_is_read(void **state)
{
    struct job job;
    struct complaint complaint;
    (void)state;
    assert_int_equal(parse("{\"id\": \"shoes-17_B\", \"tags\": {\"zebra\": [[0, 8], 20], \"ä b\": [[990, 999]]},"
                           "\"epochs\": 3, \"hidden\": 5, \"batch\": 7, \"rate\": 1, \"seed\": -1}",
                           &job, &complaint),
                     0);
    assert_string_equal(job.id, "shoes-17_B");
    assert_int_equal(job.tags_count, 2);
    assert_string_equal(job.tags[0], "zebra"); // in the order of the job
    assert_string_equal(job.tags[1], "ä b");
    assert_int_equal(job.images_count, 20);
    assert_int_equal(job.images[9].image, 20);
    assert_int_equal(job.images[9].tag, 0);
    assert_int_equal(job.images[19].image, 999);
    assert_int_equal(job.images[19].tag, 1);
    assert_int_equal(job.epochs, 3);
    assert_int_equal(job.hidden, 5);
    assert_int_equal(job.batch, 7);
    assert_true(job.rate == 1 && job.seed == UINT64_MAX);
    job_deinit(&job);
}

static void settings_have_defaults(void **state)
{
    struct job job;
    struct complaint complaint;
    (void)state;
    assert_int_equal(parse("{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"b\":[[10,19]]}}", &job, &complaint), 0);
    assert_true(job.epochs == 10 && job.hidden == 0 && job.batch == 32 && job.rate == 0.1 && job.seed == 0);
    uint64_t digest = job.digest;
    job_deinit(&job);
    assert_int_equal(parse("{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"b\":[[10,20]]}}", &job, &complaint), 0);
    assert_true(job.digest != digest);
    job_deinit(&job);
}

static void what_is_no_job_is_refused(void **state)
{
#define GOOD "\"tags\":{\"a\":[[0,9]],\"b\":[[10,19]]}"
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "no JSON"},
        {"{", "no JSON"},
        {"{\"id\":\"a\"," GOOD "} x", "no JSON"},
        {"\xff", "no JSON"},
        {"{\"id\":\"a\",\"id\":\"b\"," GOOD "}", "no JSON"},
        {"[]", "a JSON object"},
        {"null", "no JSON"},
        {"{" GOOD "}", "has an id"},
        {"{\"id\":\"\"," GOOD "}", "id is"},
        {"{\"id\":7," GOOD "}", "id is"},
        {"{\"id\":\"../../etc/passwd\"," GOOD "}", "id is"},
        {"{\"id\":\"a.b\"," GOOD "}", "id is"},
        {"{\"id\":\"a\\u0000b\"," GOOD "}", "no JSON"},
        {"{\"id\":\"01234567890123456789012345678901234567890123456789012345678901234\"," GOOD "}", "id is"},
        {"{\"id\":\"a\"}", "tags is"},
        {"{\"id\":\"a\",\"tags\":[]}", "tags is"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9]]}}", "tags is"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"\":[[10,19]]}}", "1 to 64 bytes"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"\\u001b[2J\":[[10,19]]}}", "control character"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"b\":{}}}", "no list"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"b\":[[10,18]]}}", "has 9 images"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"b\":[[990,1000]]}}", "from 0 to 999"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"b\":[[-1,9]]}}", "from 0 to 999"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"b\":[[20,10]]}}", "from 0 to 999"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"b\":[[20]]}}", "from 0 to 999"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"b\":[1.5]}}", "from 0 to 999"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"b\":[[0,9223372036854775807]]}}", "from 0 to 999"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9]],\"b\":[9,[10,19]]}}", "image 9 is named twice"},
        {"{\"id\":\"a\",\"tags\":{\"a\":[[0,9],[0,9]],\"b\":[[10,19]]}}", "image 0 is named twice"},
        {"{\"id\":\"a\",\"epochs\":0," GOOD "}", "epochs is"},
        {"{\"id\":\"a\",\"epochs\":501," GOOD "}", "epochs is"},
        {"{\"id\":\"a\",\"epochs\":\"9\"," GOOD "}", "epochs is"},
        {"{\"id\":\"a\",\"hidden\":-1," GOOD "}", "hidden is"},
        {"{\"id\":\"a\",\"hidden\":513," GOOD "}", "hidden is"},
        {"{\"id\":\"a\",\"batch\":0," GOOD "}", "batch is"},
        {"{\"id\":\"a\",\"rate\":0," GOOD "}", "rate is"},
        {"{\"id\":\"a\",\"rate\":11," GOOD "}", "rate is"},
        {"{\"id\":\"a\",\"rate\":1e999," GOOD "}", "no JSON"},
        {"{\"id\":\"a\",\"rate\":\"x\"," GOOD "}", "rate is"},
        {"{\"id\":\"a\",\"seed\":0.5," GOOD "}", "seed is"},
        {"{\"id\":\"a\",\"epoch\":5," GOOD "}", "not \"epoch\""},
        {"{\"id\":\"a\",\"\\r\\nX: 1\":5," GOOD "}", "and nothing else"},
        {"{\"id\":\"a\",\"d\303\251j\303\240\":5," GOOD "}", "and nothing else"},
    };
#undef GOOD
    struct job job;
    struct complaint complaint;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        complaint.text[0] = '\0';
        if (parse(cases[i].text, &job, &complaint) != -1 || !strstr(complaint.text, cases[i].why))
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].text, complaint.text, cases[i].why);
    }
}

static void large_and_deep_jobs_are_refused(void **state)
{
    struct job job;
    struct complaint complaint;
    size_t bytes = JOB_BYTES_MAX + 1;
    char *text = complaint_alloc(bytes, 1);
    (void)state;
    memset(text, '[', bytes);
    assert_int_equal(job_parse(text, bytes, IMAGES, &job, &complaint), -1);
    assert_non_null(strstr(complaint.text, "at most"));
    assert_int_equal(job_parse(text, bytes - 1, IMAGES, &job, &complaint), -1);
    assert_non_null(strstr(complaint.text, "no JSON"));
    free(text);
}

static void more_tags_than_fit_are_refused(void **state)
{
    char text[16384] = "{\"id\":\"a\",\"tags\":{";
    struct job job;
    struct complaint complaint;
    (void)state;
    for (int i = 0; i <= JOB_TAGS_MAX; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\"t%d\":[[%d,%d]]", i ? "," : "", i, i * 10,
                 i * 10 + 9);
    char *end = text + strlen(text);
    snprintf(end, sizeof(text) - strlen(text), "}}");
    assert_int_equal(parse(text, &job, &complaint), -1);
    snprintf(strstr(text, ",\"t64\""), 3, "}}"); // as many as fit
    assert_int_equal(parse(text, &job, &complaint), 0);
    assert_int_equal(job.tags_count, JOB_TAGS_MAX);
    job_deinit(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_read),
        cmocka_unit_test(settings_have_defaults),
        cmocka_unit_test(what_is_no_job_is_refused),
        cmocka_unit_test(large_and_deep_jobs_are_refused),
        cmocka_unit_test(more_tags_than_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
