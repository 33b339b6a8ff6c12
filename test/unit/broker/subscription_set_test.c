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

static struct subscription *make(unsigned sid)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", sid);
    struct subscription *subscription = mem_alloc_zero(sizeof(*subscription) + (size_t)len);
    memcpy(subscription->text, text, (size_t)len);
    subscription->sid_len = (uint16_t)len;
    return subscription;
}

static struct subscription *find(const struct subscription_set *set, unsigned sid)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", sid);
    return subscription_set_find(set, SEED, bytes_make(text, (size_t)len));
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
    assert_null(set.slots);
}

static unsigned drained; // tidy: allow mutable

static void drop(struct subscription *subscription)
{
    drained++;
    mem_free(subscription);
}

static void it_can_be_drained(void **state)
{
    static const unsigned counts[] = {0, 1, 8, 9, 1000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct subscription_set set = {0};
        for (unsigned sid = 0; sid < counts[i]; sid++)
            subscription_set_add(&set, SEED, make(sid));
        drained = 0;
        subscription_set_drain(&set, drop);
        assert_int_equal(drained, counts[i]);
        assert_int_equal(set.count, 0);
        assert_null(set.slots);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_an_array_holds),
        cmocka_unit_test(it_can_be_drained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
