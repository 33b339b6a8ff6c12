// SPDX-License-Identifier: Apache-2.0
// The bytes of sealed files, with the real ciphers: what opens, what does not, and that the format stays what it is.
#include "store/seal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/endian.h"
#include "os/crypto.h"

static struct seal_keys make_keys(void)
{
    struct store_encryption encryption = {
        .key = BYTES("new secret"), .old_key = BYTES("old secret"), .crypto = &crypto_machine};
    struct seal_keys keys;
    seal_keys_init(&keys, &encryption);
    return keys;
}

static struct seal_life make_life(const struct seal_keys *keys, size_t key, uint32_t cipher, const char *path)
{
    struct seal_mark mark = {.cipher = cipher, .key_id = keys->keys[key].id, .salt = "a salt of thirty-two bytes, all"};
    struct seal_life life;
    seal_life_init(&life, keys, &keys->keys[key], &mark, seal_name_of(path));
    return life;
}

static void fill(char *block)
{
    for (int i = 0; i < SEAL_CONTENT; i++)
        block[i] = (char)(i * 7);
}

static void a_block_comes_back(void **state)
{
    struct seal_keys keys = make_keys();
    for (uint32_t cipher = 1; cipher <= 2; cipher++) {
        struct seal_life life = make_life(&keys, 0, cipher, "wal/0000000000000007.wal");
        for (size_t len = 1; len <= SEAL_CONTENT; len = len == SEAL_CONTENT      ? len + 1
                                                        : len * 3 < SEAL_CONTENT ? len * 3
                                                                                 : SEAL_CONTENT) {
            char block[SEAL_BLOCK], clear[SEAL_BLOCK];
            fill(clear);
            memcpy(block, clear, len);
            seal_block(&life, 5, 9, block, len);
            assert_memory_not_equal(block, clear, len);
            struct seal_mark mark;
            assert_true(seal_block_mark(block, len + SEAL_TRAILER, &mark));
            assert_int_equal(mark.cipher, cipher);
            assert_memory_equal(mark.salt, life.mark.salt, SEAL_SALT_LEN);
            assert_true(seal_open(&life, 9, block, len + SEAL_TRAILER));
            assert_memory_equal(block, clear, len);
        }
    }
}

static bool opens(const struct seal_life *life, uint32_t number, const char *sealed, size_t len)
{
    char copy[SEAL_BLOCK];
    memcpy(copy, sealed, len);
    return seal_open(life, number, copy, len);
}

static void nothing_else_opens(void **state)
{
    struct seal_keys keys = make_keys();
    struct seal_life life = make_life(&keys, 0, CRYPTO_AES_256_GCM, "wal/0000000000000007.wal");
    char block[SEAL_BLOCK];
    fill(block);
    seal_block(&life, 5, 9, block, SEAL_CONTENT);
    assert_true(opens(&life, 9, block, SEAL_BLOCK));
    for (size_t bit = 0; bit < 8 * SEAL_BLOCK; bit += bit < 8 * SEAL_CONTENT ? 97 : 1) {
        block[bit / 8] = (char)(block[bit / 8] ^ 1 << bit % 8);
        assert_false(opens(&life, 9, block, SEAL_BLOCK));
        block[bit / 8] = (char)(block[bit / 8] ^ 1 << bit % 8);
    }
    assert_false(opens(&life, 8, block, SEAL_BLOCK)); // another place
    assert_false(opens(&life, 9, block, SEAL_BLOCK - 1));
    assert_false(opens(&life, 9, block, SEAL_TRAILER));
    assert_false(opens(&life, 9, block, 0));
    struct seal_life other = make_life(&keys, 0, CRYPTO_AES_256_GCM, "wal/0000000000000008.wal");
    assert_false(opens(&other, 9, block, SEAL_BLOCK)); // another file
    other = make_life(&keys, 0, CRYPTO_AES_256_GCM, "wal/0000000000000007.idx");
    assert_false(opens(&other, 9, block, SEAL_BLOCK));
    other = make_life(&keys, 1, CRYPTO_AES_256_GCM, "wal/0000000000000007.wal");
    assert_false(opens(&other, 9, block, SEAL_BLOCK)); // another key
    other = make_life(&keys, 0, CRYPTO_CHACHA20_POLY1305, "wal/0000000000000007.wal");
    assert_false(opens(&other, 9, block, SEAL_BLOCK));
}

// A change here is a change of the format: old directories could not be read any more.
static void the_bytes_stay_what_they_are(void **state)
{
    static const uint8_t expected[2][SEAL_TRAILER / 2 + 4] = {
        {0x0e, 0x8f, 0x60, 0x5c, 0x5a, 0x96, 0x72, 0x9f, 0x28, 0x76, 0x9c, 0xda, 0xeb, 0x09, 0x2a, 0x53, 0xf5, 0x41,
         0xab, 0x94, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00},
        {0x9b, 0xaa, 0xd1, 0x9f, 0x1c, 0x42, 0xda, 0xef, 0xf3, 0xc2, 0x66, 0x9d, 0x83, 0xd5, 0x52, 0x50, 0xd5, 0x2b,
         0xab, 0x5c, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00},
    };
    struct seal_keys keys = make_keys();
    assert_int_equal(keys.keys[0].id, 0xb6d0bd1464dd63c6);
    for (uint32_t cipher = 1; cipher <= 2; cipher++) {
        struct seal_life life = make_life(&keys, 0, cipher, "checkpoint/0000000000000007.0003");
        char block[SEAL_BLOCK] = "weir";
        seal_block(&life, 5, 9, block, 4);
        assert_memory_equal(block, expected[cipher - 1], sizeof(expected[0]));
        assert_memory_equal(block + 4 + 32, "a salt of thirty-two bytes, all", SEAL_SALT_LEN);
    }
}

static void headers_come_back(void **state)
{
    struct seal_mark mark = {.cipher = 2, .key_id = 77, .salt = "salt"}, back;
    char block[SEAL_BLOCK];
    seal_header_encode(&mark, seal_name_of("shards/1/00000000000000ab.seg"), block);
    assert_int_equal(seal_header_decode(block, &back), 0);
    assert_int_equal(back.cipher, mark.cipher);
    assert_int_equal(back.key_id, mark.key_id);
    assert_memory_equal(back.salt, mark.salt, SEAL_SALT_LEN);
    for (size_t bit = 0; bit < 8 * SEAL_BLOCK; bit += 31) {
        block[bit / 8] = (char)(block[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(seal_header_decode(block, &back), ERR_CORRUPT);
        block[bit / 8] = (char)(block[bit / 8] ^ 1 << bit % 8);
    }
}

static void files_are_told_by_their_names(void **state)
{
    static const struct {
        const char *path;
        struct seal_name name;
    } cases[] = {
        {"wal/0000000000000007.wal", {'w', 0, 7}},
        {"wal/0000000000000007.tmp", {'w', 0, 7}},
        {"wal/0000000000000007.idx", {'i', 0, 7}},
        {"wal/0000000000000007.idx.tmp", {'i', 0, 7}},
        {"shards/1/00000000000000ab.seg", {'s', 0, 171}},
        {"shards/1/00000000000000ab.seg.orphan", {'s', 0, 171}},
        {"checkpoint/0000000000000010.0002", {'c', 2, 16}},
        {"checkpoint/0000000000000010.0002.tmp", {'c', 2, 16}},
        {"wal/ballast", {0}},
        {"LOCK", {0}},
        {"checkpoint/0000000000000010", {0}},
        {"shards/1", {0}},
        {"wal/000000000000000g.wal", {0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seal_name name = seal_name_of(cases[i].path);
        assert_int_equal(name.kind, cases[i].name.kind);
        assert_int_equal(name.step, cases[i].name.step);
        assert_int_equal(name.kind ? name.id : 0, cases[i].name.id);
    }
}

static void sizes_go_both_ways(void **state)
{
    for (uint64_t head = 0; head <= SEAL_BLOCK; head += SEAL_BLOCK) {
        assert_int_equal(seal_content_bytes(0, head), 0);
        assert_int_equal(seal_content_bytes(SEAL_BLOCK, head), head);
        assert_int_equal(seal_content_bytes(SEAL_BLOCK + SEAL_TRAILER, head), head);
        assert_int_equal(seal_content_bytes(SEAL_BLOCK + SEAL_TRAILER + 1, head), head + 1);
        for (uint64_t content = head; content < 40000; content += 13) {
            uint64_t bytes = seal_file_bytes(content, head);
            assert_true(content == head || bytes % SEAL_BLOCK == 0);
            assert_true(seal_content_bytes(bytes, head) >= content);
            assert_true(bytes <= SEAL_BLOCK || seal_content_bytes(bytes - SEAL_BLOCK, head) < content);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_comes_back),
        cmocka_unit_test(nothing_else_opens),
        cmocka_unit_test(the_bytes_stay_what_they_are),
        cmocka_unit_test(headers_come_back),
        cmocka_unit_test(files_are_told_by_their_names),
        cmocka_unit_test(sizes_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
