// SPDX-License-Identifier: Apache-2.0
// What can be had from an entry that does not verify as a whole.
#include "store/salvage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { RECORDS = 6, SIZE = 48 };

struct taken {
    char objects[64];
    size_t count;
    size_t runs;
};

static int take(void *owner, const struct entry_view *run)
{
    struct taken *taken = owner;
    struct bytes rest = run->records;
    assert_int_equal(run->offset, 1000 + (size_t)(run->records.ptr - (const char *)run->chunk));
    taken->runs++;
    while (rest.len) {
        struct record record;
        size_t used;
        assert_int_equal(record_get(rest, true, &record, &used), 0);
        taken->objects[taken->count++] = (char)('0' + record.object);
        rest = bytes_skip(rest, used);
    }
    return 0;
}

static void make(char *bytes)
{
    for (uint32_t i = 0; i < RECORDS; i++) {
        char *at = bytes + (size_t)i * SIZE;
        record_begin(at, SIZE - 3, RECORD_ACKED, 0, i);
        memset(at + RECORD_HEADER_SIZE, (int)i, SIZE - 3 - RECORD_HEADER_SIZE);
        record_seal(at);
    }
}

// `chunk` is only a mark for where the bytes begin.
static void expect(char *bytes, const char *objects, size_t runs)
{
    struct taken taken = {.count = 0};
    uint32_t saved = 0;
    struct entry_view entry = {
        .records = bytes_make(bytes, (size_t)RECORDS * SIZE), .offset = 1000, .chunk = (struct chunk *)(void *)bytes};
    assert_int_equal(salvage_run(&entry, take, &taken, &saved), 0);
    assert_string_equal(taken.objects, objects);
    assert_int_equal(saved, taken.count);
    assert_int_equal(taken.runs, runs);
}

static void the_rest_of_a_damaged_entry_is_found(void **state)
{
    _Alignas(64) char bytes[RECORDS * SIZE];
    make(bytes);
    expect(bytes, "012345", 1);
    bytes[2 * SIZE + 30] ^= 1; // a body
    expect(bytes, "01345", 2);
    make(bytes);
    bytes[2 * SIZE + 6] ^= 1; // a length
    expect(bytes, "01345", 2);
    bytes[0] ^= 1;            // the first check
    bytes[5 * SIZE + 8] ^= 1; // the last kind
    expect(bytes, "134", 2);
    memset(bytes, 0, sizeof(bytes));
    expect(bytes, "", 0);
}

static int refuse(void *owner, const struct entry_view *run)
{
    return ERR_LIMIT;
}

static void an_error_ends_it(void **state)
{
    _Alignas(64) char bytes[RECORDS * SIZE];
    uint32_t saved = 0;
    make(bytes);
    struct entry_view entry = {.records = bytes_make(bytes, sizeof(bytes))};
    assert_int_equal(salvage_run(&entry, refuse, NULL, &saved), ERR_LIMIT);
}

static void kinds_are_checked(void **state)
{
    _Alignas(64) char bytes[RECORDS * SIZE];
    make(bytes);
    assert_int_equal(salvage_check_kinds(bytes_make(bytes, sizeof(bytes)), NULL), 0);
    assert_int_equal(salvage_check_kinds(bytes_make(bytes, sizeof(bytes) - 8), NULL), ERR_CORRUPT);
    record_begin(bytes + SIZE, SIZE, 0x0123, 0, 1);
    assert_int_equal(salvage_check_kinds(bytes_make(bytes, sizeof(bytes)), NULL), 0);
    // Reserved: a version that writes it is a newer one.
    record_begin(bytes + SIZE, SIZE, RECORD_MESSAGE_DELETE, 0, 1);
    assert_int_equal(salvage_check_kinds(bytes_make(bytes, sizeof(bytes)), NULL), ERR_NEWER);
    record_begin(bytes + SIZE, SIZE, 0x8123, 0, 1);
    assert_int_equal(salvage_check_kinds(bytes_make(bytes, sizeof(bytes)), NULL), ERR_NEWER);
    assert_string_equal(salvage_kind_name(RECORD_MESSAGE), "message");
    assert_string_equal(salvage_kind_name(0x8123), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rest_of_a_damaged_entry_is_found),
        cmocka_unit_test(an_error_ends_it),
        cmocka_unit_test(kinds_are_checked),
    };
    return cmocka_run_group_tests_name("store/salvage", tests, NULL, NULL);
}
