// SPDX-License-Identifier: Apache-2.0
// What the files of the subscription trie share; nobody else includes this.
//
//   trie.c        the public functions: insert, remove, iterate
//   trie_nodes.c  the one hash table all nodes are in, and their life
//   trie_match.c  collects the targets of a subject into an immutable list
//   trie_cache.c  keeps lists of busy subjects, and knows when they have become wrong
//
// Every pattern ends in a node that carries its entries. Literal patterns are one node, found by their whole text; others
// are a path of one node per token from the root. A queue group of a pattern is a node too (under the pattern's), as is
// each distinct queue name, so that groups of one name are merged across patterns without comparing names.
#pragma once

#include "base/hash.h"
#include "base/table.h"
#include "subject/trie.h"

enum trie_node_kind {
    TRIE_LITERAL, // text: the whole pattern; parent: the root
    TRIE_TOKEN,   // text: one token
    TRIE_STAR,    // `*`; no text
    TRIE_REST,    // `>`; no text
    TRIE_GROUP,   // text: queue name; parent: the node of the pattern
    TRIE_QUEUE,   // text: queue name; parent: the root. Its children are counted, being the groups of that name
    TRIE_HIDDEN,  // no text; parent: the node whose entries they were. No match comes here
};

struct trie_node {
    struct trie_node *parent;   // borrowed; NULL at the root
    struct trie_entry *entries; // borrowed: first of the list; its prev is the last, whose next is NULL
    uint32_t id;                // what children are hashed with; the same in every run, unlike the address
    uint32_t entry_count;
    uint32_t child_count; // nodes that have this one as parent (or as queue)
    uint16_t text_len;
    uint8_t kind; // enum trie_node_kind
    union {
        struct {
            struct trie_node *groups; // borrowed: first of the list
            struct trie_node *star;   // borrowed: the child of that kind, or NULL; a literal has no such field
            struct trie_node *rest;   // the same
        } pattern;
        struct {
            struct trie_node *next;  // list link
            struct trie_node *prev;  // list link
            struct trie_node *queue; // borrowed: the node of the name
        } group;
        struct {
            uint64_t build;       // the list being built in which `slot` and `total` count
            uint32_t slot;        // the group's place in that list
            uint32_t entry_total; // its members over all patterns
        } queue;
    };
    // The text follows: see trie_node_size(). Most nodes are literals, and of those there may be millions.
};

// A list of targets with what the cache needs to know about it. Groups, entries, subject and queue names follow in the
// same allocation.
struct trie_list {
    struct trie_match match; // first, so that both have one address
    uint64_t hash;           // of the subject
    uint64_t stamp;          // trie_cache_stamp() when it was built
    struct bytes subject;    // in this allocation; empty ptr for lists that are not cached
    uint32_t refs;           // finds not yet released, plus one of the cache
    uint16_t bucket_one;     // hash class of the first token
    uint16_t bucket_two;     // hash class of the first two
    uint32_t size_bytes;     // of the allocation
    bool is_spare;           // from trie->spare, of the standard size
};

#define TRIE_WAYS 4

struct trie_cache_set {
    uint32_t tags[TRIE_WAYS];          // high half of the subject's hash
    uint8_t used;                      // bit per way: hit since the hand passed
    uint8_t hand;                      // the way looked at first when one is needed
    struct trie_list *ways[TRIE_WAYS]; // one reference each; NULL: free
};

#define TRIE_CACHE_SUBJECTS_FIRST 64   // of a new cache
#define TRIE_CACHE_GROWTH         4    // times as many when it is crowded
#define TRIE_SIGHTED_MIN          1024 // fingerprints
#define TRIE_BUCKETS_FIRST        256
#define TRIE_BUCKETS              1024

struct trie_cache {
    struct trie_cache_set *sets; // owned; NULL: no cache (yet)
    uint64_t set_count;          // a power of two
    uint64_t set_count_max;      // a power of two; 0: never a cache
    uint64_t crowded;            // right lists that had to give way to others since it has this size
    uint64_t sweep;              // next set to look at when memory is short
    uint32_t *sighted;           // owned: a fingerprint of the last subject seen per hash class
    uint64_t sighted_mask;
    uint64_t count;
    size_t size_bytes;
    // How often patterns changed: those with wildcards by the class of their literal first tokens, literal ones by that of the whole.
    uint64_t changes; // of all classes since ever: what sums of theirs never exceed
    uint32_t bucket_mask;
    uint64_t changes_any;      // no literal first token; begins where no sum of before can have been
    uint64_t *changes_one;     // owned: exactly one
    uint64_t *changes_two;     // borrowed from the same allocation: two or more
    uint64_t *changes_literal; // owned: TRIE_BUCKETS, made with the first struct trie_sole
};

#define TRIE_SPARE_SIZE_BYTES 512
#define TRIE_SPARE_COUNT      8

struct trie {
    struct trie_config config;
    struct table nodes; // owned: all but the root
    uint32_t next_id;
    uint32_t pinned;
    struct trie_list *last;  // owned ref: the list found last, if it came from the cache; NULL once any pattern changed
    struct trie_node *root;  // owned; not in the table
    uint64_t build;          // number of lists built
    struct trie_node **hits; // owned: scratch, pattern nodes that match
    uint32_t hit_count;
    uint32_t hit_capacity;
    struct trie_list *spare[TRIE_SPARE_COUNT]; // owned: memory for lists that are not cached
    uint32_t spare_count;
    struct trie_cache cache;
    struct trie_stats stats; // finds, hits, inserts, removes
};

static inline uint64_t trie_hash(const struct trie *trie, struct bytes text)
{
    return hash_bytes(text, trie->config.hash_seed);
}

// Without its text, which follows.
static inline size_t trie_node_size(enum trie_node_kind kind)
{
    return kind == TRIE_LITERAL ? offsetof(struct trie_node, pattern.star) : sizeof(struct trie_node);
}

static inline struct bytes trie_node_text(const struct trie_node *node)
{
    return bytes_make((const char *)node + trie_node_size((enum trie_node_kind)node->kind), node->text_len);
}

// trie_nodes.c
void trie_nodes_init(struct trie *trie);
void trie_nodes_deinit(struct trie *trie);
// `hash` is trie_hash(text). NULL if there is none.
struct trie_node *trie_nodes_find(const struct trie *trie, enum trie_node_kind kind, const struct trie_node *parent,
                                  struct bytes text, uint64_t hash);
// Finds or creates; a new one is counted in its parent and linked as its star or rest.
struct trie_node *trie_nodes_get(struct trie *trie, enum trie_node_kind kind, struct trie_node *parent,
                                 struct bytes text);
// Frees the node, and its parents, as far as they carry nothing any more.
void trie_nodes_prune(struct trie *trie, struct trie_node *node);

// trie_match.c
struct trie_list *trie_match_build(struct trie *trie, struct bytes subject, uint64_t hash, bool for_cache);
void trie_match_unref(struct trie *trie, struct trie_list *list);
// The class of the first token (or of the first two) in the change counters; by token texts.
uint16_t trie_bucket_one(const struct trie *trie, struct bytes first);
uint16_t trie_bucket_two(const struct trie *trie, struct bytes first, struct bytes second);

// trie_cache.c
void trie_cache_init(struct trie *trie);
void trie_cache_deinit(struct trie *trie);
// Before anything that may make a list wrong.
void trie_forget_last(struct trie *trie);
// The list of that subject if it is cached and still right, not yet referenced for the caller; else NULL and
// `*ret_admit` tells whether the list to be built should be given to trie_cache_put().
struct trie_list *trie_cache_find(struct trie *trie, struct bytes subject, uint64_t hash, bool *ret_admit);
// Takes a reference of its own unless the list is too large.
void trie_cache_put(struct trie *trie, struct trie_list *list);
uint64_t trie_cache_stamp(const struct trie *trie, uint16_t bucket_one, uint16_t bucket_two);
// What sole->stamp must be for it to be right; it was set by the next one.
uint64_t trie_cache_sole_stamp(const struct trie *trie, const struct trie_sole *sole);
// It is right from now on; without a cache it never is.
void trie_cache_sole_set(struct trie *trie, struct trie_sole *sole, struct bytes subject);
// Entries of the pattern that ends in `node` have changed.
void trie_cache_invalidate(struct trie *trie, const struct trie_node *node);
