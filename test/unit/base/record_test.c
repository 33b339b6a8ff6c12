// SPDX-License-Identifier: Apache-2.0
// The frame of records, byte by byte, and every damage to one that must be seen.
#include "base/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"

static const struct message_record sample = {
    .stream_id = 7,
    .sequence = 0x0102030405060708,
    .time_ns = 1700000000000000001,
    .dedupe = {.lo = 11, .hi = 12},
    .subject = {"jobs.new", 8},
    .reply = {"_INBOX.1", 8},
    .headers = {"NATS/1.0\r\n\r\n", 12},
    .payload = {"hello", 5},
};

static size_t put_sample(char *at, size_t room)
{
    size_t size = message_record_size(8, 8, 12, 5);
    assert_true(record_padded(size) <= room);
    memset(at, 0xee, room);
    message_record_put(at, &sample);
    return size;
}

static void frame_is_as_documented(void **state)
{
    char at[128];
    size_t size = put_sample(at, sizeof(at));
    assert_int_equal(size, 56 + 8 + 8 + 12 + 5);
    assert_int_equal(get_u32(at), hash_bytes32(bytes_make(at + 4, size - 4), 0));
    assert_int_equal(get_u32(at + 4), size);
    assert_int_equal(get_u16(at + 8), RECORD_MESSAGE);
    assert_int_equal(get_u16(at + 10), 0);
    assert_int_equal(get_u32(at + 12), 7);
    assert_true(get_u64(at + 16) == sample.sequence);
    assert_true(get_u64(at + 24) == sample.time_ns);
    assert_int_equal(get_u64(at + 32), 11);
    assert_int_equal(get_u64(at + 40), 12);
    assert_int_equal(get_u16(at + 48), 8);
    assert_int_equal(get_u16(at + 50), 8);
    assert_int_equal(get_u32(at + 52), 12);
    assert_memory_equal(at + 56, "jobs.new_INBOX.1NATS/1.0\r\n\r\nhello", 33);
    // Zeroes up to the next multiple of 8, and nothing behind.
    assert_int_equal(record_padded(size), 96);
    assert_memory_equal(at + size, "\0\0\0\0\0\0\0\xee", 8);
}

static void reads_back(void **state)
{
    char at[128];
    struct record record = {0};
    struct message_record message = {0};
    size_t used, size = put_sample(at, sizeof(at));
    assert_int_equal(record_get(bytes_make(at, sizeof(at)), true, &record, &used), 0);
    assert_int_equal(used, 96);
    assert_int_equal(record.kind, RECORD_MESSAGE);
    assert_int_equal(record.whole.len, size);
    assert_int_equal(record.body.len, size - RECORD_HEADER_SIZE);
    assert_int_equal(message_record_get(&record, &message), 0);
    assert_int_equal(message.stream_id, 7);
    assert_true(message.sequence == sample.sequence && message.time_ns == sample.time_ns);
    assert_true(hash128_equal(message.dedupe, sample.dedupe));
    assert_true(bytes_equal(message.subject, sample.subject));
    assert_true(bytes_equal(message.reply, sample.reply));
    assert_true(bytes_equal(message.headers, sample.headers));
    assert_true(bytes_equal(message.payload, sample.payload));
}

static void sees_every_flipped_bit(void **state)
{
    char at[128];
    size_t used, size = put_sample(at, sizeof(at));
    for (size_t bit = 0; bit < size * 8; bit++) {
        struct record record = {0};
        at[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(record_get(bytes_make(at, sizeof(at)), true, &record, &used), ERR_CORRUPT);
        at[bit / 8] ^= (char)(1 << bit % 8);
    }
}

// Cut off anywhere; each piece is a copy of its exact size, so that the sanitizer sees a read behind it.
static void sees_what_is_cut(void **state)
{
    char at[128];
    size_t used, size = put_sample(at, sizeof(at));
    for (size_t len = 0; len < record_padded(size); len++) {
        struct record record = {0};
        char *piece = mem_copy(bytes_make(at, len));
        assert_int_equal(record_get(bytes_make(piece, len), true, &record, &used), ERR_CORRUPT);
        mem_free(piece);
    }
}

static void refuses_sizes_that_cannot_be(void **state)
{
    char at[128];
    struct record record = {0};
    size_t used;
    const uint32_t sizes[] = {0, 15, 129, UINT32_MAX, UINT32_MAX - 7};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put_sample(at, sizeof(at));
        put_u32(at + 4, sizes[i]);
        assert_int_equal(record_get(bytes_make(at, sizeof(at)), false, &record, &used), ERR_CORRUPT);
    }
}

static void refuses_lengths_that_do_not_fit(void **state)
{
    char at[128];
    struct record record = {0};
    struct message_record message = {0};
    size_t used;
    put_sample(at, sizeof(at));
    put_u32(at + 52, 18); // payload and one byte more
    assert_int_equal(record_get(bytes_make(at, sizeof(at)), false, &record, &used), 0);
    assert_int_equal(message_record_get(&record, &message), ERR_CORRUPT);
    put_u32(at + 52, UINT32_MAX);
    assert_int_equal(message_record_get(&record, &message), ERR_CORRUPT);
    put_u32(at + 52, 17);
    assert_int_equal(message_record_get(&record, &message), 0);
    assert_int_equal(message.payload.len, 0);
    record_begin(at, 55, RECORD_MESSAGE, 0, 7);
    record_seal(at);
    assert_int_equal(record_get(bytes_make(at, sizeof(at)), true, &record, &used), 0);
    assert_int_equal(message_record_get(&record, &message), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_is_as_documented),       cmocka_unit_test(reads_back),
        cmocka_unit_test(sees_every_flipped_bit),       cmocka_unit_test(sees_what_is_cut),
        cmocka_unit_test(refuses_sizes_that_cannot_be), cmocka_unit_test(refuses_lengths_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
