// SPDX-License-Identifier: Apache-2.0
// Names and headers of log files.
#include "store/log_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/endian.h"
#include "base/hash.h"

static struct log_file_header sample(void)
{
    return (struct log_file_header){
        .id = 7,
        .previous_id = 6,
        .previous_valid = 81920,
        .created_ns = 1700000000000000000,
        .feature_level = LOG_FILE_FEATURE_LEVEL,
        .identity = BYTES("my-cluster"),
        .shard_count = 1,
        .shards = {{.shard = 1, .term = 2, .vote = 3, .last_index = 400, .commit_index = 399}},
    };
}

static void a_header_comes_back(void **state)
{
    char block[LOG_FILE_BLOCK];
    struct log_file_header header = sample(), back;
    log_file_encode(&header, block);
    assert_int_equal(log_file_decode(block, 7, &back), 0);
    assert_int_equal(back.id, 7);
    assert_int_equal(back.previous_id, 6);
    assert_int_equal(back.previous_valid, 81920);
    assert_int_equal(back.created_ns, 1700000000000000000);
    assert_true(bytes_equal(back.identity, BYTES("my-cluster")));
    assert_int_equal(back.shard_count, 1);
    assert_int_equal(back.shards[0].term, 2);
    assert_int_equal(back.shards[0].vote, 3);
    assert_int_equal(back.shards[0].last_index, 400);
    assert_int_equal(back.shards[0].commit_index, 399);
}

// Only an encrypted file needs a reader that knows of encryption: the version before starts on all others.
static void encryption_raises_the_minimum_reader(void **state)
{
    char block[LOG_FILE_BLOCK];
    struct log_file_header header = sample(), back;
    log_file_encode(&header, block);
    assert_int_equal(get_u32(block + 8), 1);
    assert_int_equal(get_u32(block + 12), 1);
    header.mark = (struct seal_mark){.cipher = CRYPTO_CHACHA20_POLY1305, .key_id = 0x1122334455667788, .salt = "salt"};
    log_file_encode(&header, block);
    assert_int_equal(get_u32(block + 8), 2);
    assert_int_equal(get_u32(block + 12), 2);
    assert_int_equal(get_u32(block + 20), CRYPTO_CHACHA20_POLY1305);
    assert_int_equal(get_u64(block + 56), 0x1122334455667788);
    assert_memory_equal(block + 64, "salt", 5);
    assert_int_equal(log_file_decode(block, 7, &back), 0);
    assert_int_equal(back.mark.cipher, header.mark.cipher);
    assert_int_equal(back.mark.key_id, header.mark.key_id);
    assert_memory_equal(back.mark.salt, header.mark.salt, SEAL_SALT_LEN);
}

static void each_bit_matters(void **state)
{
    char block[LOG_FILE_BLOCK];
    struct log_file_header header = sample(), back;
    log_file_encode(&header, block);
    for (unsigned bit = 0; bit < 8 * LOG_FILE_BLOCK; bit += 7) {
        block[bit / 8] = (char)(block[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(log_file_decode(block, 7, &back), ERR_CORRUPT);
        block[bit / 8] = (char)(block[bit / 8] ^ 1 << bit % 8);
    }
    assert_int_equal(log_file_decode(block, 8, &back), ERR_CORRUPT);
}

static int decode_with(unsigned offset, uint32_t value)
{
    char block[LOG_FILE_BLOCK];
    struct log_file_header header = sample(), back;
    log_file_encode(&header, block);
    put_u32(block + offset, value);
    put_u64(block + LOG_FILE_BLOCK - 8, hash_bytes(bytes_make(block, LOG_FILE_BLOCK - 8), 0));
    return log_file_decode(block, 7, &back);
}

static void newer_formats_are_refused(void **state)
{
    assert_int_equal(decode_with(8, 9), 0); // a later format that this reader can read, as it says itself
    assert_int_equal(decode_with(12, LOG_FILE_FORMAT + 1), ERR_NEWER);
    assert_int_equal(decode_with(16, LOG_FILE_FEATURE_LEVEL + 1), ERR_NEWER);
    assert_int_equal(decode_with(20, 3), ERR_NEWER); // a cipher of later
    assert_int_equal(decode_with(96, 129), ERR_CORRUPT);
    assert_int_equal(decode_with(100, 65), ERR_CORRUPT);
}

static void names_are_told_apart(void **state)
{
    char name[LOG_FILE_NAME_MAX];
    uint64_t id = 0;
    log_file_name(0x2a, name);
    assert_string_equal(name, "wal/000000000000002a.wal");
    assert_int_equal(log_file_parse_name(name + 4, &id), 0);
    assert_int_equal(id, 0x2a);
    log_file_temporary(0x2b, name);
    assert_string_equal(name, "wal/000000000000002b.tmp");
    assert_int_equal(log_file_parse_temporary(name + 4, &id), 0);
    assert_int_equal(id, 0x2b);
    static const char *const others[] = {"",
                                         "ballast",
                                         "000000000000002a",
                                         "000000000000002A.wal",
                                         "0000000000000000.wal",
                                         "000000000000002a.walx",
                                         "ffffffffffffffff.wal",
                                         "000000000000002a.tmp"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(log_file_parse_name(others[i], &id), ERR_NOT_OURS);
    assert_int_equal(id, 0x2b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_comes_back),  cmocka_unit_test(encryption_raises_the_minimum_reader),
        cmocka_unit_test(each_bit_matters),     cmocka_unit_test(newer_formats_are_refused),
        cmocka_unit_test(names_are_told_apart),
    };
    return cmocka_run_group_tests_name("store/log_file", tests, NULL, NULL);
}
