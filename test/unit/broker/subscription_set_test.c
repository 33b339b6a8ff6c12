// SPDX-License-Identifier: Apache-2.0
// A set against a plain array, through all its forms and back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "broker/subscription.h"
#include "broker/subscription_set.h"

#define MANY 3000
#define SEED 77

// Numbers, and words of which some look like numbers.
static struct bytes sid_text(unsigned sid, char text[16])
{
    static const char *const forms[] = {"%u", "%u", "%u", "0%u", "%u9999999999", "s%u", "%u-"};
    int len = snprintf(text, 16, forms[sid % 7], sid);
    return bytes_make(text, (size_t)len);
}

static struct subscription *make(unsigned number)
{
    char text[16], room[NUMBER_MAX_DIGITS];
    struct bytes bytes = sid_text(number, text);
    struct subscription_sid sid = subscription_sid_of(bytes);
    struct subscription *subscription = subscription_new(&sid);
    assert_true(bytes_equal(subscription_sid_text(subscription, room), bytes));
    return subscription;
}

static struct subscription *find(const struct subscription_set *set, unsigned number)
{
    char text[16];
    struct subscription_sid sid = subscription_sid_of(sid_text(number, text));
    return subscription_set_find(set, SEED, &sid);
}

static void expect(const struct subscription_set *set, struct subscription *const *model)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < MANY; i++) {
        assert_ptr_equal(find(set, i), model[i]);
        count += model[i] != NULL;
    }
    assert_int_equal(set->count, count);
    subscription_set_check(set, SEED);
    uint32_t walked = 0;
    subscription_set_foreach(subscription, set) walked++;
    assert_int_equal(walked, count);
}

static void it_holds_what_an_array_holds(void **state)
{
    static struct subscription *model[MANY];
    struct subscription_set set = {0};
    struct prng prng;
    prng_seed(&prng, 5);
    // Up to so many, then down to as many, and so on.
    static const unsigned turns[] = {1, 0, 3, 1, 9, 7, 40, 8, 2500, 300, 2900, 0, 12, 0};
    for (size_t turn = 0; turn < sizeof(turns) / sizeof(turns[0]); turn++) {
        while (set.count != turns[turn]) {
            unsigned sid = (unsigned)prng_below(&prng, MANY);
            if (set.count < turns[turn] && !model[sid]) {
                model[sid] = make(sid);
                subscription_set_add(&set, SEED, model[sid]);
            } else if (set.count > turns[turn] && model[sid]) {
                subscription_set_remove(&set, SEED, model[sid]);
                mem_free(model[sid]);
                model[sid] = NULL;
            }
        }
        expect(&set, model);
    }
    assert_null(set.row);
}

static void it_can_be_emptied(void **state)
{
    static const unsigned counts[] = {0, 1, 8, 9, 1000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct subscription_set set = {0};
        for (unsigned sid = 0; sid < counts[i]; sid++)
            subscription_set_add(&set, SEED, make(sid));
        unsigned popped = 0;
        struct subscription *subscription;
        while ((subscription = subscription_set_pop(&set))) {
            mem_free(subscription);
            popped++;
            if (popped % 16 == 0)
                subscription_set_check(&set, SEED);
        }
        assert_int_equal(popped, counts[i]);
        assert_int_equal(set.count, 0);
        assert_null(set.row);
    }
}

static void a_sid_is_what_it_was(void **state)
{
    static const struct {
        const char *text;
        bool is_number;
    } sids[] = {
        {"0", true},           {"1", true},   {"9007", true}, {"4294967295", true},
        {"4294967296", false}, {"01", false}, {"00", false},  {"+1", false},
        {"1a", false},         {"a", false},  {"-", false},   {"99999999999", false},
        {"1 ", false},
    };
    for (size_t i = 0; i < sizeof(sids) / sizeof(sids[0]); i++) {
        struct subscription_sid sid = subscription_sid_of(bytes_from_string(sids[i].text));
        assert_int_equal(sid.is_number, sids[i].is_number);
        struct subscription *subscription = subscription_new(&sid);
        char room[NUMBER_MAX_DIGITS];
        assert_true(bytes_equal(subscription_sid_text(subscription, room), sid.text));
        for (size_t j = 0; j < sizeof(sids) / sizeof(sids[0]); j++) {
            struct subscription_sid other = subscription_sid_of(bytes_from_string(sids[j].text));
            assert_int_equal(subscription_has_sid(subscription, &other), i == j);
        }
        mem_free(subscription);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_an_array_holds),
        cmocka_unit_test(it_can_be_emptied),
        cmocka_unit_test(a_sid_is_what_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
