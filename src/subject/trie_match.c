// SPDX-License-Identifier: Apache-2.0
// Builds the immutable list of a subject's targets: finds the pattern nodes that match, counts, allocates once, fills.
#include "base/memory.h"
#include "base/must.h"
#include "subject/subject.h"
#include "subject/trie_internal.h"

struct totals {
    uint32_t entries; // plain ones
    uint32_t members; // of groups
    uint32_t groups;
    size_t name_bytes;
};

static void find_patterns(struct trie *trie, const struct trie_node *node, struct bytes rest);
static void add_hit(struct trie *trie, struct trie_node *node);
static struct totals count_targets(struct trie *trie);
static struct trie_list *list_alloc(struct trie *trie, size_t size, bool for_cache);
static void fill_targets(struct trie *trie, struct trie_list *list, const struct totals *totals, char *names);
static struct trie_entry **copy_entries(const struct trie_node *node, struct trie_entry **at);

struct trie_list *trie_match_build(struct trie *trie, struct bytes subject, uint64_t hash, bool for_cache)
{
    trie->hit_count = 0;
    if (subject.len <= SUBJECT_LEN_MAX && !subject_has_empty_token(subject)) {
        struct trie_node *literal = trie_nodes_find(trie, TRIE_LITERAL, trie->root, subject, hash);
        if (literal != NULL)
            add_hit(trie, literal);
        find_patterns(trie, trie->root, subject);
    }
    struct totals totals = count_targets(trie);
    size_t subject_len = for_cache ? subject.len : 0;
    size_t size = sizeof(struct trie_list) + totals.groups * sizeof(struct trie_group) +
                  ((size_t)totals.entries + totals.members) * sizeof(struct trie_entry *) + totals.name_bytes +
                  subject_len;
    struct trie_list *list = list_alloc(trie, size, for_cache);
    list->hash = hash;
    list->refs = 1;
    char *text = (char *)list + size - totals.name_bytes - subject_len;
    fill_targets(trie, list, &totals, text + subject_len);
    if (for_cache) {
        struct bytes rest = subject, first = bytes_make(NULL, 0), second = first;
        subject_token_next(&rest, &first);
        subject_token_next(&rest, &second);
        if (subject.len > 0)
            memcpy(text, subject.ptr, subject.len);
        list->subject = bytes_make(text, subject.len);
        list->bucket_one = trie_bucket_one(trie, first);
        list->bucket_two = trie_bucket_two(trie, first, second);
        list->stamp = trie_cache_stamp(trie, list->bucket_one, list->bucket_two);
    }
    return list;
}

void trie_match_unref(struct trie *trie, struct trie_list *list)
{
    must(list->refs > 0);
    if (--list->refs > 0)
        return;
    if (list->is_spare && trie->spare_count < TRIE_SPARE_COUNT)
        trie->spare[trie->spare_count++] = list;
    else
        mem_free(list);
}

uint16_t trie_bucket_one(const struct trie *trie, struct bytes first)
{
    return (uint16_t)(trie_hash(trie, first) & trie->cache.bucket_mask);
}

uint16_t trie_bucket_two(const struct trie *trie, struct bytes first, struct bytes second)
{
    return (uint16_t)((trie_hash(trie, first) * 31 + trie_hash(trie, second)) & trie->cache.bucket_mask);
}

// Depth is bounded by the longest pattern (tokens_max), since it follows existing nodes only; `rest` is not at its end.
static void find_patterns(struct trie *trie, const struct trie_node *node, struct bytes rest)
{
    if (node->pattern.rest != NULL)
        add_hit(trie, node->pattern.rest);
    struct trie_node *star = node->pattern.star;
    uint32_t wildcards = (star != NULL) + (node->pattern.rest != NULL);
    if (node->child_count == wildcards && star == NULL)
        return;
    struct bytes token;
    subject_token_next(&rest, &token);
    struct trie_node *next[2] = {star, NULL};
    if (node->child_count > wildcards)
        next[1] = trie_nodes_find(trie, TRIE_TOKEN, node, token, trie_hash(trie, token));
    for (int i = 0; i < 2; i++) {
        if (next[i] == NULL)
            continue;
        if (rest.ptr == NULL)
            add_hit(trie, next[i]);
        else
            find_patterns(trie, next[i], rest);
    }
}

static void add_hit(struct trie *trie, struct trie_node *node)
{
    if (node->entries == NULL && node->pattern.groups == NULL)
        return;
    if (trie->hit_count == trie->hit_capacity) {
        trie->hit_capacity = trie->hit_capacity ? trie->hit_capacity * 2 : 16;
        trie->hits = mem_realloc(trie->hits, trie->hit_capacity * sizeof(struct trie_node *));
    }
    trie->hits[trie->hit_count++] = node;
}

// Gives each queue name met its slot in the list, in order of first sight; fill_targets() meets them in the same order.
static struct totals count_targets(struct trie *trie)
{
    struct totals totals = {0};
    trie->build++;
    for (uint32_t i = 0; i < trie->hit_count; i++) {
        totals.entries += trie->hits[i]->entry_count;
        for (struct trie_node *group = trie->hits[i]->pattern.groups; group != NULL; group = group->group.next) {
            struct trie_node *queue = group->group.queue;
            if (group->entries == NULL)
                continue; // all hidden
            if (queue->queue.build != trie->build) {
                queue->queue.build = trie->build;
                queue->queue.slot = totals.groups++;
                queue->queue.entry_total = 0;
                totals.name_bytes += queue->text_len;
            }
            queue->queue.entry_total += group->entry_count;
            totals.members += group->entry_count;
        }
    }
    return totals;
}

// Lists for the cache have their exact size; others come from a few spare blocks, so that routing to subjects seen once
// does not allocate.
static struct trie_list *list_alloc(struct trie *trie, size_t size, bool for_cache)
{
    must(size <= UINT32_MAX);
    bool is_spare = !for_cache && size <= TRIE_SPARE_SIZE_BYTES;
    struct trie_list *list = NULL;
    if (is_spare && trie->spare_count > 0)
        list = trie->spare[--trie->spare_count];
    else
        list = mem_alloc(is_spare ? TRIE_SPARE_SIZE_BYTES : size);
    *list = (struct trie_list){.size_bytes = (uint32_t)size, .is_spare = is_spare};
    return list;
}

static void fill_targets(struct trie *trie, struct trie_list *list, const struct totals *totals, char *names)
{
    struct trie_group *groups = (struct trie_group *)(list + 1);
    struct trie_entry **plain = (struct trie_entry **)(groups + totals->groups);
    struct trie_entry **members = plain + totals->entries;
    list->match = (struct trie_match){plain, groups, totals->entries, totals->groups};
    uint32_t group_count = 0;
    for (uint32_t i = 0; i < trie->hit_count; i++) {
        plain = copy_entries(trie->hits[i], plain);
        for (struct trie_node *node = trie->hits[i]->pattern.groups; node != NULL; node = node->group.next) {
            struct trie_node *queue = node->group.queue;
            if (node->entries == NULL)
                continue;
            struct trie_group *group = &groups[queue->queue.slot];
            if (queue->queue.slot == group_count) {
                group_count++;
                memcpy(names, trie_node_text(queue).ptr, queue->text_len);
                *group = (struct trie_group){bytes_make(names, queue->text_len), members, 0};
                names += queue->text_len;
                members += queue->queue.entry_total;
            }
            copy_entries(node, (struct trie_entry **)group->entries + group->count);
            group->count += node->entry_count;
        }
    }
}

static struct trie_entry **copy_entries(const struct trie_node *node, struct trie_entry **at)
{
    for (struct trie_entry *entry = node->entries; entry != NULL; entry = entry->next)
        *at++ = entry;
    return at;
}
