// SPDX-License-Identifier: Apache-2.0
#include "client/inflight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static struct weir_bytes text(const char *words)
{
    return (struct weir_bytes){words, strlen(words)};
}

static struct weir_inflight_entry *add(struct weir_inflight *inflight, const char *id, int64_t deadline_ms)
{
    const struct weir_envelope_publish publish = {text("client"), text(id),     text("jobs"),
                                                  text(""),       text("data"), text("conn")};
    struct weir_inflight_entry *entry = weir_inflight_entry_new(NULL, "_STAN.pub", &publish);
    assert_non_null(entry);
    assert_string_equal(entry->id, id);
    assert_string_equal(entry->subject, "_STAN.pub.jobs");
    assert_int_equal(entry->message.len, weir_envelope_publish_size(&publish));
    entry->deadline_ms = deadline_ms;
    weir_inflight_add(inflight, entry);
    return entry;
}

static void ids_find_their_publish(void **state)
{
    struct weir_inflight inflight;
    char id[16];
    (void)state;
    assert_int_equal(weir_inflight_init(&inflight, 1), 0); // few buckets: most ids share one
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "id-%d", i);
        assert_int_equal(add(&inflight, id, 0)->serial, i + 1);
    }
    assert_null(weir_inflight_take(&inflight, text("id-1000")));
    assert_null(weir_inflight_take(&inflight, text("id-")));
    assert_null(weir_inflight_take(&inflight, text("")));
    for (int i = 999; i >= 0; i -= 3) {
        snprintf(id, sizeof(id), "id-%d", i);
        struct weir_inflight_entry *entry = weir_inflight_take(&inflight, text(id));
        assert_string_equal(entry->id, id);
        free(entry);
        assert_null(weir_inflight_take(&inflight, text(id)));
    }
    uint64_t before = 0; // what is left is in its order
    while (inflight.first) {
        struct weir_inflight_entry *entry = inflight.first;
        assert_true(entry->serial > before);
        before = entry->serial;
        weir_inflight_remove(&inflight, entry);
        free(entry);
    }
    assert_int_equal(inflight.count, 0);
    weir_inflight_deinit(&inflight);
}

// Ids are hashed when one is asked for that is not the first; what comes and goes before and after that is found all the same.
static void it_makes_no_difference_when_ids_are_hashed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct weir_inflight inflight;
        bool there[200] = {false};
        uint64_t random = seed * 0x9e3779b97f4a7c15U;
        char id[32];
        assert_int_equal(weir_inflight_init(&inflight, 1), 0);
        for (int step = 0; step < 1000; step++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            size_t one = (random >> 33) % (seed < 25 ? 200 : 8);
            snprintf(id, sizeof(id), "%s-%zu", one % 2 ? "number" : "an-id-of-some-length", one);
            if (step % 3 == 2 && inflight.first) { // in order
                struct weir_bytes first = {inflight.first->id, inflight.first->id_len};
                struct weir_inflight_entry *entry = weir_inflight_take(&inflight, first);
                assert_ptr_equal(first.ptr, entry->id);
                there[strtoul(strrchr(entry->id, '-') + 1, NULL, 10)] = false;
                free(entry);
            } else if (!there[one]) {
                assert_null(weir_inflight_take(&inflight, text(id)));
                add(&inflight, id, 0);
                there[one] = true;
            } else {
                struct weir_inflight_entry *entry = weir_inflight_take(&inflight, text(id));
                assert_string_equal(entry->id, id);
                there[one] = false;
                free(entry);
            }
        }
        while (inflight.first) {
            struct weir_inflight_entry *entry = inflight.last;
            weir_inflight_remove(&inflight, entry);
            free(entry);
        }
        assert_null(inflight.unhashed);
        weir_inflight_deinit(&inflight);
    }
}

static void of_one_id_the_older_is_first(void **state)
{
    struct weir_inflight inflight;
    (void)state;
    assert_int_equal(weir_inflight_init(&inflight, 100), 0);
    struct weir_inflight_entry *first = add(&inflight, "same", 1), *second = add(&inflight, "same", 2);
    assert_ptr_equal(weir_inflight_take(&inflight, text("same")), first);
    assert_ptr_equal(weir_inflight_take(&inflight, text("same")), second);
    assert_null(weir_inflight_take(&inflight, text("same")));
    free(first);
    free(second);
    weir_inflight_deinit(&inflight);
}

static void those_whose_time_is_over_come_out_in_order(void **state)
{
    struct weir_inflight inflight;
    int64_t next_ms = 0;
    (void)state;
    assert_int_equal(weir_inflight_init(&inflight, 100), 0);
    add(&inflight, "a", 30);
    add(&inflight, "b", 10);
    add(&inflight, "c", 20);
    assert_null(weir_inflight_expire(&inflight, 9, &next_ms));
    assert_int_equal(next_ms, 10);
    struct weir_inflight_entry *expired = weir_inflight_expire(&inflight, 20, &next_ms);
    assert_string_equal(expired->id, "b");
    assert_string_equal(expired->next->id, "c");
    assert_null(expired->next->next);
    assert_int_equal(next_ms, 30);
    free(expired->next);
    free(expired);
    expired = weir_inflight_expire(&inflight, INT64_MAX, &next_ms);
    assert_string_equal(expired->id, "a");
    assert_int_equal(next_ms, INT64_MAX);
    free(expired);
    weir_inflight_deinit(&inflight);
}

static void a_spare_is_used_again_if_it_is_large_enough(void **state)
{
    static char big[3000];
    struct weir_envelope_publish publish = {text("client"), text("id"), text("jobs"),
                                            text(""),       {big, 100}, text("conn")};
    (void)state;
    struct weir_inflight_entry *first = weir_inflight_entry_new(NULL, "p", &publish);
    publish.data.len = 500;
    struct weir_inflight_entry *second = weir_inflight_entry_new(first, "p", &publish);
    assert_ptr_equal(second, first);
    assert_int_equal(second->message.len, weir_envelope_publish_size(&publish));
    publish.data.len = sizeof(big);
    struct weir_inflight_entry *third = weir_inflight_entry_new(second, "p", &publish); // the spare is freed
    assert_int_equal(third->message.len, weir_envelope_publish_size(&publish));
    free(third);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_find_their_publish),
        cmocka_unit_test(it_makes_no_difference_when_ids_are_hashed),
        cmocka_unit_test(of_one_id_the_older_is_first),
        cmocka_unit_test(those_whose_time_is_over_come_out_in_order),
        cmocka_unit_test(a_spare_is_used_again_if_it_is_large_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
