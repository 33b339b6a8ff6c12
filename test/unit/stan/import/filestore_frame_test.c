// SPDX-License-Identifier: Apache-2.0
// Section 6.1: records within a file, as nats-streaming-server 0.25.6 wrote them, cut off at every byte, and damaged; and their checks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stan/import/filestore_frame.h"

// A pending message of a subs.dat: type 5, four bytes.
#define PENDING BYTES("\x04\x00\x00\x05\x83\xee\x20\x10\x08\x01\x10\x33")

static enum filestore_finding get(struct bytes window, bool at_end, bool typed, bool checked,
                                  struct filestore_frame *ret_frame, size_t *ret_used)
{
    static struct filestore_crc crc;
    filestore_crc_init(&crc, FILESTORE_CRC_IEEE);
    return filestore_frame_get(window, at_end, typed, checked ? &crc : NULL, ret_frame, ret_used);
}

static void test_crc(void **state)
{
    static struct filestore_crc crc;
    const struct bytes digits = BYTES("123456789");
    filestore_crc_init(&crc, FILESTORE_CRC_IEEE);
    assert_int_equal(filestore_crc_of(&crc, digits), 0xcbf43926);
    assert_int_equal(filestore_crc_of(&crc, BYTES("")), 0);
    assert_int_equal(filestore_crc_of(&crc, BYTES("The quick brown fox jumps over the lazy dog")), 0x414fa339);
    filestore_crc_init(&crc, 0x82f63b78); // Castagnoli
    assert_int_equal(filestore_crc_of(&crc, digits), 0xe3069283);
    filestore_crc_init(&crc, 0xeb31d82e); // Koopman
    assert_int_equal(filestore_crc_of(&crc, digits), 0x2d3dd0ae);
}

static void test_a_record(void **state)
{
    struct filestore_frame frame;
    size_t used;
    assert_int_equal(get(PENDING, true, true, true, &frame, &used), FILESTORE_RECORD);
    assert_int_equal(used, 12);
    assert_int_equal(frame.type, 5);
    assert_true(bytes_equal(frame.payload, BYTES("\x08\x01\x10\x33")));
    // Without types these would be many bytes; there are not so many in the file.
    assert_int_equal(get(PENDING, true, false, true, &frame, &used), FILESTORE_IMPOSSIBLE);
}

static void test_cut_off_anywhere(void **state)
{
    struct filestore_frame frame;
    size_t used;
    for (size_t len = 0; len < PENDING.len; len++) {
        struct bytes part = bytes_make(PENDING.ptr, len);
        assert_int_equal(get(part, true, true, true, &frame, &used), len == 0 ? FILESTORE_END : FILESTORE_TORN);
        assert_int_equal(get(part, false, true, true, &frame, &used), FILESTORE_MORE);
        assert_int_equal(used, len < 8 ? 8 : 12);
    }
}

static void test_end_of_data(void **state)
{
    struct filestore_frame frame;
    size_t used;
    const struct bytes zeros = BYTES("\0\0\0\0\0\0\0\0\1\2\3");
    assert_int_equal(get(zeros, false, true, true, &frame, &used), FILESTORE_END);
    assert_int_equal(get(zeros, false, false, false, &frame, &used), FILESTORE_END);
    // A size of nothing with a type is a record.
    assert_int_equal(get(BYTES("\0\0\0\5\0\0\0\0"), true, true, true, &frame, &used), FILESTORE_RECORD);
    assert_int_equal(frame.payload.len, 0);
}

static void test_damage(void **state)
{
    struct filestore_frame frame;
    size_t used;
    char bytes[12];
    for (size_t i = 4; i < sizeof(bytes); i++) {
        memcpy(bytes, PENDING.ptr, sizeof(bytes));
        bytes[i] ^= 0x10;
        assert_int_equal(get(bytes_make(bytes, 12), true, true, true, &frame, &used), FILESTORE_DAMAGED);
        assert_int_equal(used, 12);
        assert_int_equal(get(bytes_make(bytes, 12), true, true, false, &frame, &used), FILESTORE_RECORD);
    }
    // The largest size there can be, and one more.
    assert_int_equal(get(BYTES("\x00\x00\x01\x04\x01\0\0\0"), false, false, true, &frame, &used), FILESTORE_MORE);
    assert_int_equal(used, 8 + FILESTORE_PAYLOAD_MAX);
    assert_int_equal(get(BYTES("\x01\x00\x01\x04\x01\0\0\0"), false, false, true, &frame, &used), FILESTORE_IMPOSSIBLE);
    assert_int_equal(get(BYTES("\xff\xff\xff\xff\x01\0\0\0"), true, false, true, &frame, &used), FILESTORE_IMPOSSIBLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc),         cmocka_unit_test(test_a_record), cmocka_unit_test(test_cut_off_anywhere),
        cmocka_unit_test(test_end_of_data), cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
