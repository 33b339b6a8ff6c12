// SPDX-License-Identifier: Apache-2.0
// The first and the last frame of a backup, byte by byte (BACKUP.md), and the sum between them.
#include "admin/backup_file.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct record get(const struct buffer *file)
{
    struct record record;
    size_t used;
    assert_int_equal(record_get(buffer_bytes(file), true, &record, &used), 0);
    assert_int_equal(used, file->len);
    return record;
}

static void test_begin(void **state)
{
    struct buffer file;
    struct backup_begin begin;
    buffer_init(&file, 4096);
    backup_file_put_begin(
        &file,
        &(struct backup_begin){.time_ns = 0x0102030405060708, .cluster_id = BYTES("cluster"), .channel = BYTES("a.b")});
    struct record record = get(&file);
    assert_int_equal(record.kind, 0x8070);
    assert_memory_equal(record.body.ptr, "\1\0\0\0\0\0\0\0\x8\7\6\5\4\3\2\1\7\0clustera.b", 28);
    assert_int_equal(record.body.len, 28);
    assert_int_equal(backup_file_get_begin(&record, &begin), 0);
    assert_int_equal(begin.time_ns, 0x0102030405060708);
    assert_true(bytes_equal(begin.cluster_id, BYTES("cluster")) && bytes_equal(begin.channel, BYTES("a.b")));
    struct record other = record;
    other.kind = BACKUP_END;
    assert_int_equal(backup_file_get_begin(&other, &begin), ERR_CORRUPT);
    for (size_t len = 0; len < 25; len++) {
        other = record;
        other.body.len = len;
        assert_int_equal(backup_file_get_begin(&other, &begin), ERR_CORRUPT);
    }
    file.ptr[RECORD_HEADER_SIZE] = 2; // the version
    assert_int_equal(backup_file_get_begin(&record, &begin), ERR_NEWER);
    buffer_deinit(&file);
}

static void test_end_and_sum(void **state)
{
    struct backup_sum sum = {0}, other = {0}, read;
    uint64_t missing;
    struct buffer file;
    backup_sum_add(&sum, BYTES("first   "));
    backup_sum_add(&sum, BYTES("second  second  "));
    assert_int_equal(sum.frames, 2);
    assert_int_equal(sum.bytes, 24);
    // In another order, or cut elsewhere, it is another sum.
    backup_sum_add(&other, BYTES("second  second  "));
    backup_sum_add(&other, BYTES("first   "));
    assert_true(other.digest != sum.digest);
    buffer_init(&file, 4096);
    backup_file_put_end(&file, &sum, 5);
    struct record record = get(&file);
    assert_int_equal(record.kind, 0x8071);
    assert_int_equal(backup_file_get_end(&record, &read, &missing), 0);
    assert_int_equal(missing, 5);
    assert_memory_equal(&read, &sum, sizeof(sum));
    record.body.len--;
    assert_int_equal(backup_file_get_end(&record, &read, &missing), ERR_CORRUPT);
    buffer_deinit(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begin),
        cmocka_unit_test(test_end_and_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
