// SPDX-License-Identifier: Apache-2.0
// Membership, runs, memory and encoding, at chunk borders and in a random life against an array of flags.
#include "base/seqset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "base/varint.h"

enum { CHUNK = SEQSET_CHUNK_BITS, SPAN = 10 * CHUNK };

static void adds_and_removes(void **state)
{
    struct seqset set;
    seqset_init(&set);
    assert_false(seqset_has(&set, 5));
    assert_false(seqset_remove(&set, 5));
    assert_true(seqset_add(&set, 5));
    assert_false(seqset_add(&set, 5));
    assert_true(seqset_add(&set, 0));
    assert_true(seqset_add(&set, SEQSET_MAX));
    assert_int_equal(seqset_count(&set), 3);
    assert_true(seqset_has(&set, SEQSET_MAX));
    assert_true(seqset_next_absent(&set, SEQSET_MAX) == UINT64_MAX);
    assert_true(seqset_remove(&set, 5));
    assert_false(seqset_has(&set, 5));
    seqset_check(&set);
    seqset_clear(&set);
    assert_int_equal(seqset_count(&set), 0);
    assert_int_equal(seqset_memory(&set), 0);
    seqset_deinit(&set);
}

static void walks_runs(void **state)
{
    struct seqset set;
    uint64_t first = 1, last = 1;
    seqset_init(&set);
    assert_false(seqset_next_present(&set, 0, &first, &last));
    assert_int_equal(first, 1);
    seqset_add_range(&set, 10, 5 * CHUNK + 9);
    seqset_add_range(&set, 7 * CHUNK - 1, 7 * CHUNK);
    assert_true(seqset_next_present(&set, 0, &first, &last));
    assert_true(first == 10 && last == 5 * CHUNK + 9);
    assert_true(seqset_next_present(&set, 3 * CHUNK + 5, &first, &last));
    assert_true(first == 3 * CHUNK + 5 && last == 5 * CHUNK + 9);
    assert_true(seqset_next_present(&set, last + 1, &first, &last));
    assert_true(first == 7 * CHUNK - 1 && last == 7 * CHUNK);
    assert_false(seqset_next_present(&set, last + 1, &first, &last));
    assert_int_equal(seqset_next_absent(&set, 9), 9);
    assert_int_equal(seqset_next_absent(&set, 10), 5 * CHUNK + 10);
    assert_int_equal(seqset_next_absent(&set, 7 * CHUNK), 7 * CHUNK + 1);
    seqset_deinit(&set);
}

static void the_last_sequences_are_a_run_too(void **state)
{
    struct seqset set;
    uint64_t first, last;
    seqset_init(&set);
    seqset_add_range(&set, SEQSET_MAX - 3 * CHUNK, SEQSET_MAX);
    assert_true(seqset_next_present(&set, 0, &first, &last));
    assert_true(first == SEQSET_MAX - 3 * CHUNK && last == SEQSET_MAX);
    assert_false(seqset_next_present(&set, last + 1, &first, &last));
    seqset_check(&set);
    seqset_remove_below(&set, SEQSET_MAX);
    assert_int_equal(seqset_count(&set), 1);
    seqset_deinit(&set);
}

static void dense_is_small(void **state)
{
    struct seqset set;
    seqset_init(&set);
    for (uint64_t seq = 1; seq <= 1000000; seq++) {
        assert_true(seqset_add(&set, seq));
    }
    assert_in_range(seqset_memory(&set), 1, 1000);
    seqset_add_range(&set, 1, 1000000000000);
    assert_true(seqset_count(&set) == 1000000000000);
    assert_in_range(seqset_memory(&set), 1, 1000);
    seqset_remove(&set, 500000000);
    assert_in_range(seqset_memory(&set), 1, 1500);
    seqset_clear(&set);
    for (uint64_t seq = 1; seq <= 1000000; seq += 2) {
        seqset_add(&set, seq);
    }
    assert_in_range(seqset_memory(&set), 1, 160000);
    // Filling the gaps, then emptying, gives it back.
    for (uint64_t seq = 2; seq <= 1000000; seq += 2) {
        seqset_add(&set, seq);
    }
    assert_in_range(seqset_memory(&set), 1, 5000);
    seqset_check(&set);
    seqset_deinit(&set);
}

// Acknowledgements beyond a floor, slightly out of order: memory stays what it was.
static void a_moving_window_stays_small(void **state)
{
    struct seqset set;
    seqset_init(&set);
    for (uint64_t base = 0; base < 200000; base += 8) {
        for (uint64_t i = 0; i < 8; i++) {
            seqset_add(&set, base + (i * 5 + 3) % 8 + 1);
        }
        seqset_remove_below(&set, seqset_next_absent(&set, base + 1));
        assert_int_equal(seqset_count(&set), 0);
        assert_in_range(seqset_memory(&set), 1, 1000);
    }
    seqset_deinit(&set);
}

static void check_against(const struct seqset *set, const bool *model)
{
    uint64_t count = 0, first = 0, last = 0, at = 0;
    seqset_check(set);
    for (uint64_t seq = 0; seq < SPAN; seq++) {
        assert_int_equal(seqset_has(set, seq), model[seq]);
        count += model[seq];
    }
    assert_int_equal(seqset_count(set), count);
    while (seqset_next_present(set, at, &first, &last)) {
        for (; at < first; at++) {
            assert_false(model[at]);
        }
        for (; at <= last; at++) {
            assert_true(model[at]);
        }
        assert_false(model[at]);
        assert_int_equal(seqset_next_absent(set, first), last + 1);
    }
    for (; at < SPAN; at++) {
        assert_false(model[at]);
    }
}

static void check_encoding(const struct seqset *set, const bool *model)
{
    struct buffer buffer;
    struct seqset copy;
    size_t used;
    buffer_init(&buffer, 1 << 20);
    seqset_init(&copy);
    assert_int_equal(seqset_encode(set, &buffer), 0);
    size_t size = buffer.len;
    assert_int_equal(buffer_append(&buffer, BYTES("behind")), 0);
    assert_int_equal(seqset_decode(&copy, buffer_bytes(&buffer), &used), 0);
    assert_int_equal(used, size);
    check_against(&copy, model);
    seqset_deinit(&copy);
    buffer_deinit(&buffer);
}

// One random change to the set and to the flags. Ranges, and places near chunk borders, are frequent.
static void change(struct seqset *set, bool *model, struct prng *prng)
{
    uint64_t seq = prng_below(prng, SPAN - CHUNK);
    if (prng_chance(prng, 1, 3)) {
        seq = seq / CHUNK * CHUNK + prng_below(prng, 3);
        seq -= seq >= 2 ? prng_below(prng, 2) : 0;
    }
    uint64_t last = seq + prng_below(prng, prng_chance(prng, 1, 2) ? 4 * CHUNK : 70);
    last = last < SPAN - 1 ? last : SPAN - 2;
    switch (prng_below(prng, 20)) {
    case 0:
        seqset_add_range(set, seq, last);
        for (; seq <= last; seq++) {
            model[seq] = true;
        }
        break;
    case 1:
        seq = prng_chance(prng, 1, 10) ? seq : seq / 8;
        seqset_remove_below(set, seq);
        memset(model, 0, seq * sizeof(*model));
        break;
    case 2:
    case 3:
        for (; seq <= last; seq++) {
            assert_int_equal(seqset_remove(set, seq), model[seq]);
            model[seq] = false;
        }
        break;
    case 4:
    case 5:
        for (; seq <= last; seq++) {
            assert_int_equal(seqset_add(set, seq), !model[seq]);
            model[seq] = true;
        }
        break;
    default:
        assert_int_equal(seqset_add(set, seq), !model[seq]);
        model[seq] = true;
        assert_int_equal(seqset_remove(set, last), model[last]);
        model[last] = false;
    }
}

static void follows_a_model(void **state)
{
    static bool model[SPAN];
    struct seqset set;
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct prng prng;
        prng_seed(&prng, seed);
        memset(model, 0, sizeof(model));
        seqset_init(&set);
        for (int step = 0; step < 1500; step++) {
            change(&set, model, &prng);
            seqset_check(&set);
            if (step % 50 == 0) {
                check_against(&set, model);
                check_encoding(&set, model);
            }
        }
        seqset_deinit(&set);
    }
}

static void encoding_is_as_documented(void **state)
{
    struct seqset set;
    struct buffer buffer;
    seqset_init(&set);
    buffer_init(&buffer, 7);
    seqset_add_range(&set, 3, 5);
    seqset_add(&set, 7);
    assert_int_equal(seqset_encode(&set, &buffer), 0);
    const unsigned char expected[] = {3, 3, 1, 1, 0};
    assert_int_equal(buffer.len, sizeof(expected));
    assert_memory_equal(buffer.ptr, expected, sizeof(expected));
    // A second one does not fit, and leaves the buffer alone.
    assert_int_equal(seqset_encode(&set, &buffer), ERR_TOO_BIG);
    assert_int_equal(buffer.len, sizeof(expected));
    buffer_deinit(&buffer);
    seqset_deinit(&set);
}

static void refuses_garbage(void **state)
{
    char max[VARINT_MAX_SIZE + 4];
    *varint_put(varint_put(max, 2), SEQSET_MAX) = 0; // two numbers from the last one on
    const struct bytes garbage[] = {
        {NULL, 0},                                              // no end mark
        {"\1", 1},                                              // no gap
        {"\1\1", 2},                                            // no end mark
        {"\1\x80", 2},                                          // a cut varint
        {"\1\1\1\0\0", 5},                                      // a gap of 0: two runs that are one
        {"\1\5\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0", 14}, // a gap around the end of all numbers
        bytes_make(max, sizeof(max)),
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1\0", 12}, // longer than all there is
    };
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        struct seqset set;
        size_t used = 77;
        seqset_init(&set);
        assert_int_equal(seqset_decode(&set, garbage[i], &used), ERR_CORRUPT);
        assert_int_equal(used, 77);
        assert_int_equal(seqset_count(&set), 0);
        assert_int_equal(seqset_memory(&set), 0);
        seqset_deinit(&set);
    }
}

// Whatever the bytes are, decoding ends, stays in bounds (the copy is exact, for the sanitizer) and yields a sound set.
static void survives_random_bytes(void **state)
{
    struct prng prng;
    prng_seed(&prng, 11);
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        size_t len = prng_below(&prng, sizeof(bytes)), used;
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (char)(prng_next(&prng) >> prng_below(&prng, 60));
        }
        char *exact = mem_copy(bytes_make(bytes, len));
        struct seqset set;
        seqset_init(&set);
        if (seqset_decode(&set, bytes_make(exact, len), &used) == 0) {
            assert_true(used <= len);
        }
        seqset_check(&set);
        seqset_deinit(&set);
        mem_free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_and_removes),
        cmocka_unit_test(walks_runs),
        cmocka_unit_test(the_last_sequences_are_a_run_too),
        cmocka_unit_test(dense_is_small),
        cmocka_unit_test(a_moving_window_stays_small),
        cmocka_unit_test(follows_a_model),
        cmocka_unit_test(encoding_is_as_documented),
        cmocka_unit_test(refuses_garbage),
        cmocka_unit_test(survives_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
