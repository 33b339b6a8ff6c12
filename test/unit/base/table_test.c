// SPDX-License-Identifier: Apache-2.0
// A table against a plain array, with good hashes and with bad ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "base/table.h"

#define MANY 4000

struct thing {
    uint32_t hash;
    bool in;
};

static bool has(const struct table *table, const struct thing *thing)
{
    const struct table_slot *slot = table_find(table, thing->hash);
    while (slot->item && slot->hash == thing->hash && slot->item != thing)
        slot++;
    return slot->item == thing;
}

static void expect(const struct table *table, const struct thing *things)
{
    uint32_t count = 0, at = 0, last = 0;
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(has(table, &things[i]), things[i].in);
        count += things[i].in;
    }
    assert_int_equal(table->count, count);
    const struct thing *thing;
    while ((thing = table_next(table, &at))) {
        assert_true(thing->in && thing->hash >= last);
        last = thing->hash;
        count--;
    }
    assert_int_equal(count, 0);
    table_check(table);
}

// Up to so many, then down to as many, and so on.
static void churn(struct table *table, struct thing *things, struct prng *prng)
{
    static const unsigned turns[] = {1, 0, 3, 1, 13, 12, 90, 17, 2500, 300, 3900, 2000, 3900, 0, 12, 0};
    for (size_t turn = 0; turn < sizeof(turns) / sizeof(turns[0]); turn++) {
        while (table->count != turns[turn]) {
            struct thing *thing = &things[prng_below(prng, MANY)];
            if (table->count < turns[turn] && !thing->in) {
                table_add(table, thing->hash, thing);
                thing->in = true;
            } else if (table->count > turns[turn] && (thing->in || prng_below(prng, 8) == 0)) {
                thing = thing->in ? thing : table_pop(table);
                if (thing->in && has(table, thing))
                    table_remove(table, thing->hash, thing);
                thing->in = false;
            }
        }
        expect(table, things);
    }
    assert_int_equal(table->cap, 16);
}

static void it_holds_what_an_array_holds(void **state)
{
    static struct thing things[MANY];
    // A hash for each, few hashes, all in front, all at the end.
    static const struct {
        uint32_t from, count;
    } spreads[] = {{0, UINT32_MAX}, {0, 700}, {0, MANY}, {UINT32_MAX - MANY, MANY}, {UINT32_MAX - 200, 200}};
    struct prng prng;
    prng_seed(&prng, 3);
    for (size_t spread = 0; spread < sizeof(spreads) / sizeof(spreads[0]); spread++) {
        struct table table = {0};
        for (unsigned i = 0; i < MANY; i++)
            things[i] =
                (struct thing){.hash = spreads[spread].from + (uint32_t)prng_below(&prng, spreads[spread].count)};
        if (spread < 3)
            churn(&table, things, &prng);
        else
            for (unsigned i = 0; i < 60; i++) {
                table_add(&table, things[i].hash, &things[i]);
                things[i].in = true;
            }
        expect(&table, things);
        for (unsigned i = 0; i < MANY; i++) {
            if (things[i].in)
                table_remove(&table, things[i].hash, &things[i]);
            things[i].in = false;
        }
        expect(&table, things);
        table_deinit(&table);
        expect(&table, things);
    }
}

static void it_can_be_emptied_from_its_end(void **state)
{
    static struct thing things[MANY];
    struct table table = {0};
    struct prng prng;
    prng_seed(&prng, 4);
    assert_null(table_pop(&table));
    for (unsigned i = 0; i < MANY; i++) {
        things[i] = (struct thing){.hash = (uint32_t)prng_next(&prng), .in = true};
        table_add(&table, things[i].hash, &things[i]);
    }
    for (unsigned i = 0; i < MANY; i++) {
        struct thing *thing = table_pop(&table);
        assert_true(thing && thing->in);
        thing->in = false;
        if (i % 97 == 0)
            expect(&table, things);
    }
    assert_null(table_pop(&table));
    table_deinit(&table);
}

// A quarter more, not twice as much; and it gives back what it does not need.
static void it_is_as_large_as_it_must_be(void **state)
{
    static struct thing things[MANY];
    struct table table = {0};
    struct prng prng;
    prng_seed(&prng, 5);
    for (unsigned i = 0; i < MANY; i++) {
        things[i] = (struct thing){.hash = (uint32_t)prng_next(&prng)};
        table_add(&table, things[i].hash, &things[i]);
        assert_true(table.cap <= 16 || table.count >= table.cap / 100 * 60);
    }
    for (unsigned i = 0; i < MANY - 1; i++) {
        table_remove(&table, things[i].hash, &things[i]);
        assert_true(table.cap <= 16 || table.count >= table.cap / 5);
    }
    table_deinit(&table);
    assert_int_equal(table.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_an_array_holds),
        cmocka_unit_test(it_can_be_emptied_from_its_end),
        cmocka_unit_test(it_is_as_large_as_it_must_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
