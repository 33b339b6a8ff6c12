// SPDX-License-Identifier: Apache-2.0
// The sequence set. All changes go through four steps: find the array entry of a chunk, give that chunk a bitmap, change
// bits, and settle, which turns a full bitmap into a full run and drops an empty one. That is what keeps the invariants:
//   1. entries are sorted and disjoint;  2. a bitmap is neither empty nor full;  3. adjacent full runs are one entry;
//   4. count is the number of members, bitmap_count that of bitmaps.
#include "base/seqset.h"

#include "base/memory.h"
#include "base/must.h"
#include "base/varint.h"

#define BITS      SEQSET_CHUNK_BITS
#define WORDS     SEQSET_CHUNK_WORDS
#define FIRST_CAP 4
#define SMALL_CAP 64 // an array of this size is not worth shrinking

static size_t find(const struct seqset *set, uint64_t number);
static bool covers(const struct seqset *set, size_t at, uint64_t number);
static uint64_t *give_bitmap(struct seqset *set, size_t *at, uint64_t number);
static uint64_t *bitmap_new(struct seqset *set, int fill);
static void bitmap_free(struct seqset *set, uint64_t *bits);
static void settle(struct seqset *set, size_t at);
static void merge(struct seqset *set, size_t at);
static void replace(struct seqset *set, size_t at, size_t out_count, const struct seqset_chunk *in, size_t in_count);
static void resize(struct seqset *set, size_t cap);
static void add_in_chunk(struct seqset *set, uint64_t number, uint32_t from, uint32_t to);
static void add_chunks(struct seqset *set, uint64_t first, uint64_t last);
static uint64_t fill_bits(uint64_t *bits, uint32_t from, uint32_t to);
static uint64_t clear_bits(uint64_t *bits, uint32_t from, uint32_t to);
static uint64_t word_mask(uint32_t word, uint32_t from, uint32_t to);
static uint32_t next_bit(const uint64_t *bits, uint32_t from, uint64_t flip);
static uint64_t members(const struct seqset_chunk *chunk);
static int read_run(struct bytes *from, uint64_t *at, bool first_run, uint64_t *ret_first, uint64_t *ret_last);

void seqset_init(struct seqset *set)
{
    *set = (struct seqset){0};
}

void seqset_deinit(struct seqset *set)
{
    for (size_t i = 0; i < set->chunk_count; i++) {
        mem_free(set->chunks[i].bits);
    }
    mem_free(set->chunks);
    mem_free(set->spare);
    seqset_init(set);
}

void seqset_clear(struct seqset *set)
{
    seqset_deinit(set);
}

bool seqset_add(struct seqset *set, uint64_t seq)
{
    must(seq <= SEQSET_MAX);
    size_t at = find(set, seq / BITS);
    if (covers(set, at, seq / BITS) && !set->chunks[at].bits) {
        return false;
    }
    uint64_t *word = &give_bitmap(set, &at, seq / BITS)[seq % BITS / 64];
    uint64_t bit = 1ULL << seq % 64;
    if (*word & bit) {
        return false;
    }
    *word |= bit;
    set->count++;
    if (*word == UINT64_MAX) {
        settle(set, at);
    }
    return true;
}

void seqset_add_range(struct seqset *set, uint64_t first, uint64_t last)
{
    must(first <= last && last <= SEQSET_MAX);
    uint64_t number = first / BITS, last_number = last / BITS;
    uint32_t from = first % BITS, to = last % BITS;
    if (number == last_number) {
        add_in_chunk(set, number, from, to);
        return;
    }
    if (from != 0) {
        add_in_chunk(set, number++, from, BITS - 1);
    }
    if (to != BITS - 1) {
        add_in_chunk(set, last_number--, 0, to);
    }
    if (number <= last_number) {
        add_chunks(set, number, last_number);
    }
}

bool seqset_remove(struct seqset *set, uint64_t seq)
{
    size_t at = find(set, seq / BITS);
    if (!seqset_has(set, seq)) {
        return false;
    }
    uint64_t *word = &give_bitmap(set, &at, seq / BITS)[seq % BITS / 64];
    *word &= ~(1ULL << seq % 64);
    set->count--;
    if (*word == 0) {
        settle(set, at);
    }
    return true;
}

void seqset_remove_below(struct seqset *set, uint64_t seq)
{
    uint64_t number = seq / BITS;
    size_t at = find(set, number);
    for (size_t i = 0; i < at; i++) {
        set->count -= members(&set->chunks[i]);
        bitmap_free(set, set->chunks[i].bits);
    }
    replace(set, 0, at, NULL, 0);
    if (!covers(set, 0, number)) {
        return;
    }
    set->count -= (number - set->chunks[0].first) * BITS;
    set->chunks[0].first = number;
    if (seq % BITS != 0) {
        at = 0;
        set->count -= clear_bits(give_bitmap(set, &at, number), 0, seq % BITS - 1);
        settle(set, at);
    }
}

bool seqset_has(const struct seqset *set, uint64_t seq)
{
    size_t at = find(set, seq / BITS);
    if (!covers(set, at, seq / BITS)) {
        return false;
    }
    const uint64_t *bits = set->chunks[at].bits;
    return !bits || (bits[seq % BITS / 64] >> seq % 64 & 1);
}

uint64_t seqset_next_absent(const struct seqset *set, uint64_t seq)
{
    for (size_t at = find(set, seq / BITS); covers(set, at, seq / BITS); at++) {
        const struct seqset_chunk *chunk = &set->chunks[at];
        if (chunk->bits) {
            uint32_t bit = next_bit(chunk->bits, seq % BITS, UINT64_MAX);
            if (bit < BITS) {
                return chunk->first * BITS + bit;
            }
        }
        seq = (chunk->last + 1) * BITS;
    }
    return seq;
}

bool seqset_next_present(const struct seqset *set, uint64_t seq, uint64_t *ret_first, uint64_t *ret_last)
{
    for (size_t at = find(set, seq / BITS); at < set->chunk_count; at++) {
        const struct seqset_chunk *chunk = &set->chunks[at];
        seq = seq < chunk->first * BITS ? chunk->first * BITS : seq;
        uint32_t bit = chunk->bits ? next_bit(chunk->bits, seq % BITS, 0) : seq % BITS;
        if (bit < BITS) {
            *ret_first = seq - seq % BITS + bit;
            *ret_last = seqset_next_absent(set, *ret_first) - 1;
            return true;
        }
    }
    return false;
}

size_t seqset_memory(const struct seqset *set)
{
    size_t bitmaps = set->bitmap_count + (set->spare != NULL);
    return set->chunk_cap * sizeof(*set->chunks) + bitmaps * WORDS * sizeof(uint64_t);
}

int seqset_encode(const struct seqset *set, struct buffer *to)
{
    char pair[2 * VARINT_MAX_SIZE];
    size_t start_len = to->len;
    uint64_t at = 0, first, last;
    int err = 0;
    while (!err && seqset_next_present(set, at, &first, &last)) {
        char *end = varint_put(varint_put(pair, last - first + 1), first - at);
        err = buffer_append(to, bytes_make(pair, (size_t)(end - pair)));
        at = last + 1;
    }
    err = err ? err : buffer_append_char(to, 0);
    if (err) {
        to->len = start_len;
    }
    return err;
}

int seqset_decode(struct seqset *set, struct bytes from, size_t *ret_used)
{
    must(set->count == 0);
    struct bytes rest = from;
    uint64_t at = 0, first, last;
    for (;;) {
        int runs = read_run(&rest, &at, set->count == 0, &first, &last);
        if (runs < 0) {
            seqset_clear(set);
            return runs;
        }
        if (runs == 0) {
            *ret_used = from.len - rest.len;
            return 0;
        }
        seqset_add_range(set, first, last);
    }
}

void seqset_check(const struct seqset *set)
{
    uint64_t count = 0;
    size_t bitmaps = 0;
    must(set->chunk_count <= set->chunk_cap);
    for (size_t i = 0; i < set->chunk_count; i++) {
        const struct seqset_chunk *chunk = &set->chunks[i], *before = i ? chunk - 1 : NULL;
        must(chunk->first <= chunk->last && (!chunk->bits || chunk->first == chunk->last));
        must(!before || before->last < chunk->first);
        must(!before || before->bits || chunk->bits || before->last + 1 < chunk->first);
        must(!chunk->bits || (members(chunk) > 0 && members(chunk) < BITS));
        bitmaps += chunk->bits != NULL;
        count += members(chunk);
    }
    must(count == set->count && bitmaps == set->bitmap_count);
}

// The first entry that ends at or after the chunk; the last entry is looked at first, because most work is at the end.
static size_t find(const struct seqset *set, uint64_t number)
{
    size_t low = 0, high = set->chunk_count;
    if (high > 0 && set->chunks[high - 1].first <= number) {
        return set->chunks[high - 1].last >= number ? high - 1 : high;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->chunks[middle].last < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// Whether the entry found is there and has the chunk.
static bool covers(const struct seqset *set, size_t at, uint64_t number)
{
    return at < set->chunk_count && set->chunks[at].first <= number;
}

// The bitmap of a chunk, where `at` is what find() said: there already, new and empty, or full and cut out of its run.
// *at is then the bitmap's entry.
static uint64_t *give_bitmap(struct seqset *set, size_t *at, uint64_t number)
{
    struct seqset_chunk in[3];
    size_t in_count = 0, cut = covers(set, *at, number);
    if (cut && set->chunks[*at].bits) {
        return set->chunks[*at].bits;
    }
    struct seqset_chunk run = cut ? set->chunks[*at] : (struct seqset_chunk){number, number, NULL};
    if (run.first < number) {
        in[in_count++] = (struct seqset_chunk){run.first, number - 1, NULL};
    }
    uint64_t *bits = bitmap_new(set, cut ? 0xff : 0);
    in[in_count++] = (struct seqset_chunk){number, number, bits};
    if (run.last > number) {
        in[in_count++] = (struct seqset_chunk){number + 1, run.last, NULL};
    }
    replace(set, *at, cut, in, in_count);
    *at += run.first < number;
    return bits;
}

static uint64_t *bitmap_new(struct seqset *set, int fill)
{
    uint64_t *bits = set->spare ? set->spare : mem_alloc(WORDS * sizeof(*bits));
    set->spare = NULL;
    set->bitmap_count++;
    return memset(bits, fill, WORDS * sizeof(*bits));
}

// NULL, the bitmap of a full run, is fine.
static void bitmap_free(struct seqset *set, uint64_t *bits)
{
    if (!bits) {
        return;
    }
    set->bitmap_count--;
    if (set->spare) {
        mem_free(bits);
    } else {
        set->spare = bits;
    }
}

// After bits changed: a bitmap that became empty goes, one that became full joins its neighbours.
static void settle(struct seqset *set, size_t at)
{
    struct seqset_chunk *chunk = &set->chunks[at];
    if (next_bit(chunk->bits, 0, 0) == BITS) {
        bitmap_free(set, chunk->bits);
        replace(set, at, 1, NULL, 0);
    } else if (next_bit(chunk->bits, 0, UINT64_MAX) == BITS) {
        bitmap_free(set, chunk->bits);
        chunk->bits = NULL;
        merge(set, at);
    }
}

// Makes one entry of a full run and the full runs that touch it.
static void merge(struct seqset *set, size_t at)
{
    struct seqset_chunk run = set->chunks[at];
    const struct seqset_chunk *before = at > 0 ? &set->chunks[at - 1] : NULL;
    const struct seqset_chunk *after = at + 1 < set->chunk_count ? &set->chunks[at + 1] : NULL;
    bool with_before = before && !before->bits && before->last + 1 == run.first;
    bool with_after = after && !after->bits && run.last + 1 == after->first;
    run.first = with_before ? before->first : run.first;
    run.last = with_after ? after->last : run.last;
    replace(set, at - with_before, (size_t)1 + with_before + with_after, &run, 1);
}

// Puts in_count entries where out_count entries were. Bitmaps are the caller's to account for.
static void replace(struct seqset *set, size_t at, size_t out_count, const struct seqset_chunk *in, size_t in_count)
{
    size_t count = set->chunk_count - out_count + in_count;
    size_t behind = set->chunk_count - at - out_count;
    if (count > set->chunk_cap) {
        resize(set, set->chunk_cap ? set->chunk_cap * 2 : FIRST_CAP);
    }
    if (in_count != out_count && behind != 0) {
        memmove(&set->chunks[at + in_count], &set->chunks[at + out_count], behind * sizeof(*set->chunks));
    }
    if (in_count != 0) {
        memcpy(&set->chunks[at], in, in_count * sizeof(*in));
    }
    set->chunk_count = count;
    if (set->chunk_cap > SMALL_CAP && count < set->chunk_cap / 4) {
        resize(set, count * 2 > SMALL_CAP ? count * 2 : SMALL_CAP);
    }
}

static void resize(struct seqset *set, size_t cap)
{
    set->chunks = mem_realloc(set->chunks, cap * sizeof(*set->chunks));
    set->chunk_cap = cap;
}

static void add_in_chunk(struct seqset *set, uint64_t number, uint32_t from, uint32_t to)
{
    size_t at = find(set, number);
    if (from == 0 && to == BITS - 1) {
        add_chunks(set, number, number);
    } else if (!covers(set, at, number) || set->chunks[at].bits) {
        set->count += fill_bits(give_bitmap(set, &at, number), from, to);
        settle(set, at);
    }
}

// Adds whole chunks: one full run in place of all entries that it touches.
static void add_chunks(struct seqset *set, uint64_t first, uint64_t last)
{
    size_t at = find(set, first), out_count = 0;
    struct seqset_chunk run = {first, last, NULL};
    for (; covers(set, at + out_count, last); out_count++) {
        struct seqset_chunk *chunk = &set->chunks[at + out_count];
        set->count -= members(chunk);
        bitmap_free(set, chunk->bits);
        run.first = chunk->first < run.first ? chunk->first : run.first;
        run.last = chunk->last > run.last ? chunk->last : run.last;
    }
    set->count += members(&run);
    replace(set, at, out_count, &run, 1);
    merge(set, at);
}

// Sets bits from..to inclusive; returns how many were not set.
static uint64_t fill_bits(uint64_t *bits, uint32_t from, uint32_t to)
{
    uint64_t changed = 0;
    for (uint32_t word = from / 64; word <= to / 64; word++) {
        uint64_t mask = word_mask(word, from, to);
        changed += (uint64_t)__builtin_popcountll(mask & ~bits[word]);
        bits[word] |= mask;
    }
    return changed;
}

// Clears bits from..to inclusive; returns how many were set.
static uint64_t clear_bits(uint64_t *bits, uint32_t from, uint32_t to)
{
    uint64_t changed = 0;
    for (uint32_t word = from / 64; word <= to / 64; word++) {
        uint64_t mask = word_mask(word, from, to);
        changed += (uint64_t)__builtin_popcountll(mask & bits[word]);
        bits[word] &= ~mask;
    }
    return changed;
}

// The part of bits from..to that lies in a word.
static uint64_t word_mask(uint32_t word, uint32_t from, uint32_t to)
{
    uint64_t mask = UINT64_MAX;
    if (word == from / 64) {
        mask &= UINT64_MAX << from % 64;
    }
    if (word == to / 64) {
        mask &= UINT64_MAX >> (63 - to % 64);
    }
    return mask;
}

// The first bit at or after `from` that is set (flip 0) or clear (flip all ones); BITS when there is none.
static uint32_t next_bit(const uint64_t *bits, uint32_t from, uint64_t flip)
{
    uint64_t mask = UINT64_MAX << from % 64;
    for (uint32_t word = from / 64; word < WORDS; word++) {
        uint64_t hits = (bits[word] ^ flip) & mask;
        if (hits != 0) {
            return word * 64 + (uint32_t)__builtin_ctzll(hits);
        }
        mask = UINT64_MAX;
    }
    return BITS;
}

static uint64_t members(const struct seqset_chunk *chunk)
{
    if (!chunk->bits) {
        return (chunk->last - chunk->first + 1) * BITS;
    }
    uint64_t count = 0;
    for (uint32_t word = 0; word < WORDS; word++) {
        count += (uint64_t)__builtin_popcountll(chunk->bits[word]);
    }
    return count;
}

// Reads one run, at *at, the number behind the run before. 1: a run; 0: the end mark; ERR_CORRUPT.
static int read_run(struct bytes *from, uint64_t *at, bool first_run, uint64_t *ret_first, uint64_t *ret_last)
{
    uint64_t length, gap;
    size_t used;
    if (varint_get(*from, &length, &used)) {
        return ERR_CORRUPT;
    }
    *from = bytes_skip(*from, used);
    if (length == 0) {
        return 0;
    }
    if (varint_get(*from, &gap, &used) || (gap == 0 && !first_run)) {
        return ERR_CORRUPT;
    }
    *from = bytes_skip(*from, used);
    if (gap > SEQSET_MAX - *at || length - 1 > SEQSET_MAX - *at - gap) {
        return ERR_CORRUPT;
    }
    *ret_first = *at + gap;
    *ret_last = *ret_first + length - 1;
    *at = *ret_last + 1;
    return 1;
}
