// SPDX-License-Identifier: Apache-2.0
// The match cache: literal subject -> immutable list of targets, four-way set associative, bounded in subjects and bytes.
//
// A subject comes in at its second sighting: `sighted` keeps one fingerprint per hash class, so the endless one-time
// subjects of request/reply pass by. A list is right as long as no pattern that may match its subject has changed:
//   - a literal pattern drops exactly its own subject;
//   - a wildcard pattern counts a change in the class of its literal first tokens (none, one, two or more), and a list
//     remembers the sum of the three counters of its subject. They only grow, so an equal sum means no change.
// In front of it stands the list found last: who publishes in a row to one subject does not even hash it. Any change of
// patterns forgets it.
// It begins small (a thousand quiet accounts have one each) and grows when lists that are right have to give way to others.
// So a client that subscribes `_INBOX.x.*` makes one class of a thousand stale, and nothing is scanned.
//
// A struct trie_sole is no list and in no cache; it is right by the same counters, and one more for literal patterns, which here cannot
// drop it. Counters begin anew when the cache grows, but the sum of any of them above all of before.
#include "base/memory.h"
#include "base/must.h"
#include "subject/subject.h"
#include "subject/trie_internal.h"

// A list larger than this part of the budget is not cached: delivering it costs far more than building it.
#define LIST_SHARE 16

static void set_up(struct trie *trie, uint64_t set_count);
static void drop_all(struct trie *trie);
static int find_way(const struct trie_cache_set *set, struct bytes subject, uint64_t hash);
static int free_way(struct trie *trie, struct trie_cache_set *set);
static void drop_way(struct trie *trie, struct trie_cache_set *set, int way);
static bool is_right(const struct trie *trie, const struct trie_list *list);
static bool was_sighted(struct trie_cache *cache, uint64_t hash);
static void make_room(struct trie *trie, size_t size_bytes);
static bool has_room(const struct trie *trie, size_t size_bytes);
static struct trie_cache_set *set_of(const struct trie_cache *cache, uint64_t hash);

void trie_cache_init(struct trie *trie)
{
    struct trie_cache *cache = &trie->cache;
    uint32_t subjects_max = trie->config.cache_subjects_max;
    if (subjects_max == 0)
        return;
    must(subjects_max <= UINT32_C(1) << 24);
    cache->set_count_max = 1;
    while (cache->set_count_max * TRIE_WAYS < subjects_max)
        cache->set_count_max *= 2;
}

void trie_cache_deinit(struct trie *trie)
{
    drop_all(trie);
}

struct trie_list *trie_cache_find(struct trie *trie, struct bytes subject, uint64_t hash, bool *ret_admit)
{
    struct trie_cache *cache = &trie->cache;
    *ret_admit = false;
    if (cache->sets == NULL) {
        if (cache->set_count_max == 0)
            return NULL;
        set_up(trie, TRIE_CACHE_SUBJECTS_FIRST / TRIE_WAYS);
    }
    struct trie_cache_set *set = set_of(cache, hash);
    int way = find_way(set, subject, hash);
    if (way < 0) {
        if (cache->crowded > cache->set_count * TRIE_WAYS && cache->set_count < cache->set_count_max)
            set_up(trie, cache->set_count * TRIE_CACHE_GROWTH);
        *ret_admit = was_sighted(cache, hash);
        return NULL;
    }
    if (!is_right(trie, set->ways[way])) {
        drop_way(trie, set, way);
        *ret_admit = true;
        return NULL;
    }
    set->used |= (uint8_t)(1 << way);
    return set->ways[way];
}

void trie_cache_put(struct trie *trie, struct trie_list *list)
{
    struct trie_cache *cache = &trie->cache;
    must(cache->sets != NULL && !list->is_spare);
    if (list->size_bytes > trie->config.cache_size_bytes_max / LIST_SHARE)
        return;
    make_room(trie, list->size_bytes);
    if (!has_room(trie, list->size_bytes))
        return; // other tries have it
    struct trie_cache_set *set = set_of(cache, list->hash);
    int way = free_way(trie, set);
    set->ways[way] = list;
    set->tags[way] = (uint32_t)(list->hash >> 32);
    set->used &= (uint8_t) ~(1 << way);
    list->refs++;
    cache->count++;
    cache->size_bytes += list->size_bytes;
    if (trie->config.budget)
        trie->config.budget->size_bytes += list->size_bytes;
}

uint64_t trie_cache_stamp(const struct trie *trie, uint16_t bucket_one, uint16_t bucket_two)
{
    const struct trie_cache *cache = &trie->cache;
    return cache->changes_any + cache->changes_one[bucket_one] + cache->changes_two[bucket_two];
}

uint64_t trie_cache_sole_stamp(const struct trie *trie, const struct trie_sole *sole)
{
    const struct trie_cache *cache = &trie->cache;
    if (!cache->changes_literal)
        return 0;
    return trie_cache_stamp(trie, sole->bucket_one, sole->bucket_two) + cache->changes_literal[sole->bucket_literal];
}

void trie_cache_sole_set(struct trie *trie, struct trie_sole *sole, struct bytes subject)
{
    struct trie_cache *cache = &trie->cache;
    if (!cache->sets)
        return;
    if (!cache->changes_literal)
        cache->changes_literal = mem_alloc_zero(TRIE_BUCKETS * sizeof(*cache->changes_literal));
    struct bytes rest = subject, first = bytes_make(NULL, 0), second = first;
    subject_token_next(&rest, &first);
    subject_token_next(&rest, &second);
    sole->bucket_one = trie_bucket_one(trie, first);
    sole->bucket_two = trie_bucket_two(trie, first, second);
    sole->bucket_literal = (uint16_t)(trie_hash(trie, subject) % TRIE_BUCKETS);
    sole->stamp = trie_cache_sole_stamp(trie, sole);
}

void trie_cache_invalidate(struct trie *trie, const struct trie_node *node)
{
    struct trie_cache *cache = &trie->cache;
    if (cache->sets == NULL)
        return;
    trie_forget_last(trie);
    cache->changes++;
    if (node->kind == TRIE_LITERAL) {
        uint64_t hash = trie_hash(trie, trie_node_text(node));
        if (cache->changes_literal)
            cache->changes_literal[hash % TRIE_BUCKETS]++;
        struct trie_cache_set *set = set_of(cache, hash);
        int way = find_way(set, trie_node_text(node), hash);
        if (way >= 0)
            drop_way(trie, set, way);
        return;
    }
    const struct trie_node *first = node, *second = NULL;
    while (first->parent != trie->root) {
        second = first;
        first = first->parent;
    }
    if (first->kind != TRIE_TOKEN)
        cache->changes_any++;
    else if (second == NULL || second->kind != TRIE_TOKEN)
        cache->changes_one[trie_bucket_one(trie, trie_node_text(first))]++;
    else
        cache->changes_two[trie_bucket_two(trie, trie_node_text(first), trie_node_text(second))]++;
}

void trie_fanout(const struct trie *trie, uint64_t *ret_max, uint64_t *ret_total)
{
    const struct trie_cache *cache = &trie->cache;
    *ret_max = *ret_total = 0;
    for (uint64_t i = 0; cache->sets != NULL && i < cache->set_count; i++) {
        for (int way = 0; way < TRIE_WAYS; way++) {
            const struct trie_list *list = cache->sets[i].ways[way];
            uint64_t fanout = list ? (uint64_t)list->match.count + list->match.group_count : 0;
            *ret_max = fanout > *ret_max ? fanout : *ret_max;
            *ret_total += fanout;
        }
    }
}

// A cache of that many sets, or of the most; what there was goes: its classes are others.
static void set_up(struct trie *trie, uint64_t set_count)
{
    struct trie_cache *cache = &trie->cache;
    drop_all(trie);
    cache->set_count = set_count < cache->set_count_max ? set_count : cache->set_count_max;
    cache->sets = mem_alloc_zero(cache->set_count * sizeof(*cache->sets));
    uint64_t ways = cache->set_count * TRIE_WAYS;
    uint64_t sighted = ways > TRIE_SIGHTED_MIN ? ways : TRIE_SIGHTED_MIN;
    cache->sighted = mem_alloc_zero(sighted * sizeof(*cache->sighted));
    cache->sighted_mask = sighted - 1;
    uint32_t buckets = ways > TRIE_CACHE_SUBJECTS_FIRST ? TRIE_BUCKETS : TRIE_BUCKETS_FIRST;
    cache->changes_one = mem_alloc_zero((size_t)2 * buckets * sizeof(*cache->changes_one));
    cache->changes_two = cache->changes_one + buckets;
    cache->bucket_mask = buckets - 1;
    cache->changes_any = ++cache->changes;
    cache->crowded = 0;
    cache->sweep = 0;
}

static void drop_all(struct trie *trie)
{
    struct trie_cache *cache = &trie->cache;
    trie_forget_last(trie);
    for (uint64_t i = 0; cache->sets != NULL && i < cache->set_count; i++) {
        for (int way = 0; way < TRIE_WAYS; way++)
            drop_way(trie, &cache->sets[i], way);
    }
    mem_free(cache->sets);
    mem_free(cache->sighted);
    mem_free(cache->changes_one);
    mem_free(cache->changes_literal);
    cache->changes_literal = NULL;
}

static int find_way(const struct trie_cache_set *set, struct bytes subject, uint64_t hash)
{
    for (int way = 0; way < TRIE_WAYS; way++) {
        const struct trie_list *list = set->ways[way];
        if (set->tags[way] == (uint32_t)(hash >> 32) && list != NULL && bytes_equal(list->subject, subject))
            return way;
    }
    return -1;
}

// A free way, else a stale list's, else the first not hit since the hand last passed.
static int free_way(struct trie *trie, struct trie_cache_set *set)
{
    int victim = -1;
    for (int way = 0; way < TRIE_WAYS; way++) {
        if (set->ways[way] == NULL)
            return way;
        if (!is_right(trie, set->ways[way]))
            victim = way;
    }
    trie->cache.crowded += victim < 0;
    while (victim < 0) {
        if ((set->used & (1 << set->hand)) == 0)
            victim = set->hand;
        set->used &= (uint8_t) ~(1 << set->hand);
        set->hand = (uint8_t)((set->hand + 1) % TRIE_WAYS);
    }
    drop_way(trie, set, victim);
    return victim;
}

static void drop_way(struct trie *trie, struct trie_cache_set *set, int way)
{
    struct trie_list *list = set->ways[way];
    if (list == NULL)
        return;
    trie->cache.count--;
    trie->cache.size_bytes -= list->size_bytes;
    if (trie->config.budget)
        trie->config.budget->size_bytes -= list->size_bytes;
    set->ways[way] = NULL;
    trie_match_unref(trie, list);
}

static bool is_right(const struct trie *trie, const struct trie_list *list)
{
    return list->stamp == trie_cache_stamp(trie, list->bucket_one, list->bucket_two);
}

static bool was_sighted(struct trie_cache *cache, uint64_t hash)
{
    uint32_t *sighted = &cache->sighted[(hash >> 16) & cache->sighted_mask];
    uint32_t fingerprint = (uint32_t)(hash ^ (hash >> 32)) | 1;
    if (*sighted == fingerprint)
        return true;
    *sighted = fingerprint;
    return false;
}

// Sweeps over the sets, sparing in the first round what has been hit since the last one.
static void make_room(struct trie *trie, size_t size_bytes)
{
    struct trie_cache *cache = &trie->cache;
    while (cache->count > 0 && !has_room(trie, size_bytes)) {
        struct trie_cache_set *set = &cache->sets[cache->sweep];
        for (int way = 0; way < TRIE_WAYS; way++) {
            if ((set->used & (1 << way)) == 0)
                drop_way(trie, set, way);
        }
        set->used = 0;
        cache->sweep = (cache->sweep + 1) & (cache->set_count - 1);
    }
}

static bool has_room(const struct trie *trie, size_t size_bytes)
{
    const struct trie_budget *budget = trie->config.budget;
    if (trie->cache.size_bytes + size_bytes > trie->config.cache_size_bytes_max)
        return false;
    return !budget || budget->size_bytes + size_bytes <= budget->size_bytes_max;
}

static struct trie_cache_set *set_of(const struct trie_cache *cache, uint64_t hash)
{
    return &cache->sets[hash & (cache->set_count - 1)];
}
