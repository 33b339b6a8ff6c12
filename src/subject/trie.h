// SPDX-License-Identifier: Apache-2.0
// Who is interested in a subject: the subscriptions of one account, and the match cache in front of them (CO-P08, CO-P09).
//
// Literal patterns live in a hash table, patterns with wildcards in a trie of tokens, so finding, adding and removing cost
// the same with ten subscriptions or a million. The caller embeds a struct trie_entry in its subscription; the trie keeps
// the pattern and the queue group's name (once per pattern and per name), never the caller's memory.
//
//     struct trie_entry in the caller's subscription ──► pattern [──► queue group]
//
// A match is an immutable list of targets: a message goes to every plain entry and to ONE entry of each queue group (the
// caller picks which). A group is one per name, across all patterns that match. Lists of subjects seen twice are kept in
// a bounded cache, which begins small and grows with the subjects in use, so that a thousand quiet tries cost little; a
// first sighting (a reply inbox) leaves no trace but a fingerprint. A subscription invalidates only
// what it may match: a literal one its own subject; a wildcard one the subjects that share its literal first two tokens
// (or fewer, if its wildcard comes earlier).
//
// Life time of entries found: trie_match_find() pins the list it returns until trie_match_release(). Removing an entry
// takes it out of later finds, not out of lists already pinned. So somebody who removes subscriptions while a list may be
// pinned (a delivery callback that unsubscribes) marks its own subscription as dead, skips dead ones when it delivers, and
// frees their memory only when trie_pinned_count() is 0. Entries may be inserted and removed, and other subjects found,
// while lists are pinned.
//
// One thread. No clock, no randomness (the hash seed is given).
#pragma once

#include "base/bytes.h"
#include "base/error.h"

struct trie;
struct trie_node;

// Embedded in the caller's subscription; zero it before its first use. All fields belong to the trie.
struct trie_entry {
    struct trie_entry *next; // list link
    struct trie_entry *prev; // list link
    struct trie_node *node;  // borrowed: where it is inserted; NULL when it is not
};

// Memory of the cached lists of several tries together. Embedded by whoever owns the tries; not freed before them.
struct trie_budget {
    size_t size_bytes; // in use; the tries'
    size_t size_bytes_max;
};

struct trie_config {
    uint64_t hash_seed;          // unpredictable to clients, so that they cannot choose colliding subjects
    uint64_t entries_max;        // refuse more entries than this; 0: no limit here
    uint32_t tokens_max;         // refuse patterns of more tokens, at most TRIE_TOKENS_LIMIT; 0: TRIE_TOKENS_DEFAULT
    uint32_t cache_subjects_max; // subjects with a cached list, rounded up to a power of two; 0: no cache
    size_t cache_size_bytes_max; // memory of all cached lists
    struct trie_budget *budget;  // borrowed: shared with other tries, besides cache_size_bytes_max; NULL: none
};

#define TRIE_TOKENS_DEFAULT           TRIE_TOKENS_LIMIT // more than fit into a control line of 4 KiB
#define TRIE_TOKENS_LIMIT             2048              // bounds the recursion of matching
#define TRIE_CACHE_SUBJECTS_DEFAULT   32768 // more than the members of one large queue group, each with its inbox
#define TRIE_CACHE_SIZE_BYTES_DEFAULT (32 * 1024 * 1024)

// All members of one queue group that match; never empty.
struct trie_group {
    struct bytes queue;                // name; borrowed from the match
    struct trie_entry *const *entries; // borrowed from the match
    uint32_t count;
};

// An immutable list of targets; read it only while it is pinned.
struct trie_match {
    struct trie_entry *const *entries; // plain subscriptions; borrowed from the match
    const struct trie_group *groups;   // borrowed from the match
    uint32_t count;                    // of entries
    uint32_t group_count;
};

// What somebody who looks up the same subject again and again remembers of it: its only target, if it has just one. Zero it
// before its first use, and whenever it is to be about another subject; it needs no end. All fields belong to the trie.
struct trie_sole {
    struct trie_entry *entry; // borrowed, and not to be followed unless the stamp is right; NULL: none, or several
    uint64_t stamp;           // of all that may match the subject; 0: nothing is remembered
    uint16_t bucket_one, bucket_two; // classes of the subject's first token, of its first two
    uint16_t bucket_literal;         // and of all of it
};

struct trie_stats {
    uint64_t entries;
    uint64_t nodes;
    uint64_t cache_subjects;
    uint64_t cache_size_bytes;
    uint64_t finds;
    uint64_t cache_hits;
    uint64_t inserts;
    uint64_t removes;
};

// Never NULL; release with trie_free(). `config` is copied.
struct trie *trie_new(const struct trie_config *config);
// No list may be pinned. Entries still inserted are forgotten (their `node` dangles: do not remove them any more).
void trie_free(struct trie *trie);

// `entry` must not be inserted. An empty `queue` means a plain subscription. ERR_INVALID: not a valid pattern or queue
// name; ERR_LIMIT: too many entries or tokens; then nothing has changed.
int trie_insert(struct trie *trie, struct trie_entry *entry, struct bytes pattern, struct bytes queue) MUST_USE;
// `entry` must be inserted; afterwards it can be inserted again. Cost does not depend on the number of entries.
void trie_remove(struct trie *trie, struct trie_entry *entry);

// How many entries that can be found have the pattern and the queue of this one, itself included; 0: it is hidden.
uint32_t trie_entry_crowd(const struct trie_entry *entry);
// Of all entries with the pattern and the queue of `like`, hides those that `is_meant`: later finds do not have them, though they are
// inserted (counted, visited, with pattern and queue) until they are removed, which then costs the cache nothing. One quick pass, for
// who is going to remove a great many of a crowd, a few at a time.
void trie_hide(struct trie *trie, const struct trie_entry *like, bool (*is_meant)(const struct trie_entry *entry));

static inline bool trie_entry_is_inserted(const struct trie_entry *entry)
{
    return entry->node != NULL;
}

// Of an inserted entry: writes its pattern (no NUL) and returns its length; with a buffer too small only returns it.
size_t trie_entry_pattern(const struct trie_entry *entry, char *ret_buffer, size_t size);
// Of an inserted entry: its queue group, empty if plain; borrowed until the entry is removed.
struct bytes trie_entry_queue(const struct trie_entry *entry);

// The targets of a message to `subject`; never NULL, pinned until released. An invalid subject (empty token) has none.
// In the steady state no memory is allocated.
const struct trie_match *trie_match_find(struct trie *trie, struct bytes subject);
void trie_match_release(struct trie *trie, const struct trie_match *match);
// Number of finds not yet released.
uint32_t trie_pinned_count(const struct trie *trie);

// The only target of the subject, if it is one plain entry; NULL: there is none, or there are several: ask trie_match_find().
// What `sole` remembers is looked at instead of the subject while nothing has changed that may match it: this is the quick way for
// ten thousand subjects in turn, which no cache holds. Nothing is pinned: the entry is there until it is removed.
struct trie_entry *trie_sole_find(struct trie *trie, struct trie_sole *sole, struct bytes subject);

bool trie_has_interest(struct trie *trie, struct bytes subject);

uint64_t trie_count(const struct trie *trie);
struct trie_stats trie_stats(const struct trie *trie);
// How many targets the cached lists have: the longest, and all together. Walks the cache.
void trie_fanout(const struct trie *trie, uint64_t *ret_max, uint64_t *ret_total);

// Calls `visit` for each entry, in no promised order, until it returns false. It must not insert or remove.
void trie_each(const struct trie *trie, bool (*visit)(void *context, struct trie_entry *entry), void *context);

// Asserts the invariants of the structure (walks everything; for tests).
void trie_check(const struct trie *trie);
