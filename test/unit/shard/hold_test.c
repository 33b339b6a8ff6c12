// SPDX-License-Identifier: Apache-2.0
#include "shard/hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct hold hold;
    uint64_t released, refused, next; // frames are numbers that must come in order
    bool push_more;
};

static void push(struct fixture *f, uint64_t index, uint64_t number, size_t len)
{
    static char frame[200000];
    memcpy(frame, &number, 8);
    hold_push(&f->hold, index, bytes_make(&number, 8), bytes_make(frame, len));
}

static void take(struct fixture *f, struct bytes subject, struct bytes frame)
{
    uint64_t number;
    memcpy(&number, frame.ptr, 8);
    assert_memory_equal(subject.ptr, &number, 8);
    assert_int_equal(number, f->next++);
}

static void on_release(void *owner, struct bytes subject, struct bytes frame)
{
    struct fixture *f = owner;
    if (f->push_more)
        push(f, 0, f->next + 1, 8); // an index below the newest waits like the newest
    f->push_more = false;
    take(f, subject, frame);
    f->released++;
}

static void on_refuse(void *owner, struct bytes subject, struct bytes frame, int error)
{
    struct fixture *f = owner;
    assert_int_equal(error, -8);
    take(f, subject, frame);
    f->refused++;
}

static void begin(struct fixture *f)
{
    *f = (struct fixture){.hold = {.owner = f, .release = on_release, .refuse = on_refuse}};
    hold_init(&f->hold, NULL);
}

static void test_order_and_indexes(void **state)
{
    struct fixture f;
    begin(&f);
    for (uint64_t i = 0; i < 10; i++)
        push(&f, i / 2, i, 8 + i);
    hold_commit(&f.hold, 1);
    assert_int_equal(f.released, 4);
    hold_commit(&f.hold, 1);
    assert_int_equal(f.released, 4);
    hold_commit(&f.hold, 4);
    assert_int_equal(f.released, 10);
    assert_int_equal(hold_bytes(&f.hold), 0);
    hold_deinit(&f.hold);
}

static void test_many_and_large(void **state)
{
    struct fixture f;
    uint64_t number = 0;
    begin(&f);
    for (uint64_t round = 0; round < 50; round++) {
        for (uint64_t i = 0; i < 300; i++, number++)
            push(&f, number, number, i % 50 == 7 ? 150000 : 8 + i);
        hold_commit(&f.hold, number - 1 - round);
    }
    hold_commit(&f.hold, number);
    assert_int_equal(f.released, number);
    assert_int_equal(hold_bytes(&f.hold), 0);
    hold_deinit(&f.hold);
}

static void test_drop_refuses_what_is_above(void **state)
{
    struct fixture f;
    begin(&f);
    for (uint64_t i = 0; i < 10; i++)
        push(&f, 100 + i, i, 8);
    hold_drop(&f.hold, 103, -8);
    assert_int_equal(f.released, 4);
    assert_int_equal(f.refused, 6);
    push(&f, 104, 10, 8); // indexes begin anew behind what is left
    hold_commit(&f.hold, 104);
    assert_int_equal(f.released, 5);
    hold_deinit(&f.hold);
}

static void test_a_release_may_push(void **state)
{
    struct fixture f;
    begin(&f);
    f.push_more = true;
    push(&f, 7, 0, 8);
    hold_commit(&f.hold, 7);
    assert_int_equal(f.released, 2);
    hold_deinit(&f.hold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_indexes),
        cmocka_unit_test(test_many_and_large),
        cmocka_unit_test(test_drop_refuses_what_is_above),
        cmocka_unit_test(test_a_release_may_push),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
