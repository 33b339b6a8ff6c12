// SPDX-License-Identifier: Apache-2.0
// The public face of the subscription trie; see trie.h for the contract and trie_internal.h for the shape inside.
#include "subject/trie.h"

#include "base/memory.h"
#include "base/must.h"
#include "subject/subject.h"
#include "subject/trie_internal.h"

static struct trie_node *pattern_node(struct trie *trie, struct bytes pattern);
static struct trie_node *group_node(struct trie *trie, struct trie_node *pattern, struct bytes queue);
static enum trie_node_kind token_kind(struct bytes token, bool is_last);
static struct trie_node *entry_owner(const struct trie_entry *entry);
static const struct trie_node *entry_pattern(const struct trie_entry *entry);
static struct bytes node_word(const struct trie_node *node);
static void list_append(struct trie_node *node, struct trie_entry *entry);
static void list_remove(struct trie_node *node, struct trie_entry *entry);
static void check_node(const struct trie *trie, const struct trie_node *node);

struct trie *trie_new(const struct trie_config *config)
{
    struct trie *trie = mem_alloc_zero(sizeof(*trie));
    trie->config = *config;
    if (trie->config.tokens_max == 0)
        trie->config.tokens_max = TRIE_TOKENS_DEFAULT;
    must(trie->config.tokens_max <= TRIE_TOKENS_LIMIT);
    trie_nodes_init(trie);
    trie_cache_init(trie);
    return trie;
}

void trie_free(struct trie *trie)
{
    must(trie->pinned == 0);
    trie_forget_last(trie);
    trie_cache_deinit(trie);
    trie_nodes_deinit(trie);
    while (trie->spare_count > 0)
        mem_free(trie->spare[--trie->spare_count]);
    mem_free(trie->hits);
    mem_free(trie);
}

int trie_insert(struct trie *trie, struct trie_entry *entry, struct bytes pattern, struct bytes queue)
{
    must(!trie_entry_is_inserted(entry));
    if (!subject_is_valid_subscribe(pattern) || (queue.len > 0 && !subject_is_valid_queue(queue)))
        return ERR_INVALID;
    if (subject_token_count(pattern) > trie->config.tokens_max)
        return ERR_LIMIT;
    if (trie->config.entries_max > 0 && trie->stats.entries >= trie->config.entries_max)
        return ERR_LIMIT;
    struct trie_node *node = pattern_node(trie, pattern);
    struct trie_node *owner = queue.len > 0 ? group_node(trie, node, queue) : node;
    list_append(owner, entry);
    entry->node = owner;
    trie->stats.entries++;
    trie->stats.inserts++;
    trie_cache_invalidate(trie, node);
    return 0;
}

void trie_remove(struct trie *trie, struct trie_entry *entry)
{
    must(trie_entry_is_inserted(entry));
    struct trie_node *node = entry->node;
    if (node->kind != TRIE_HIDDEN)
        trie_cache_invalidate(trie, entry_pattern(entry));
    list_remove(node, entry);
    *entry = (struct trie_entry){0};
    trie->stats.entries--;
    trie->stats.removes++;
    trie_nodes_prune(trie, node);
}

uint32_t trie_entry_crowd(const struct trie_entry *entry)
{
    must(trie_entry_is_inserted(entry));
    return entry->node->kind == TRIE_HIDDEN ? 0 : entry->node->entry_count;
}

void trie_hide(struct trie *trie, const struct trie_entry *like, bool (*is_meant)(const struct trie_entry *entry))
{
    struct trie_node *hidden = NULL, *owner = entry_owner(like);
    for (struct trie_entry *entry = owner->entries, *next; entry != NULL; entry = next) {
        next = entry->next;
        if (!is_meant(entry))
            continue;
        if (hidden == NULL) {
            hidden = trie_nodes_get(trie, TRIE_HIDDEN, owner, bytes_make(NULL, 0));
            trie_cache_invalidate(trie, entry_pattern(entry));
        }
        list_remove(owner, entry);
        list_append(hidden, entry);
        entry->node = hidden;
    }
}

size_t trie_entry_pattern(const struct trie_entry *entry, char *ret_buffer, size_t size)
{
    const struct trie_node *last = entry_pattern(entry);
    size_t len = 0;
    for (const struct trie_node *node = last; node->parent != NULL; node = node->parent)
        len += node_word(node).len + (node != last);
    if (len > size)
        return len;
    char *at = ret_buffer + len;
    for (const struct trie_node *node = last; node->parent != NULL; node = node->parent) {
        struct bytes word = node_word(node);
        if (node != last)
            *--at = '.';
        at -= word.len;
        memcpy(at, word.ptr, word.len);
    }
    return len;
}

struct bytes trie_entry_queue(const struct trie_entry *entry)
{
    must(trie_entry_is_inserted(entry));
    const struct trie_node *owner = entry_owner(entry);
    return owner->kind == TRIE_GROUP ? trie_node_text(owner) : bytes_make(NULL, 0);
}

const struct trie_match *trie_match_find(struct trie *trie, struct bytes subject)
{
    trie->stats.finds++;
    trie->pinned++;
    struct trie_list *list = trie->last;
    if (list != NULL && bytes_equal(list->subject, subject)) {
        trie->stats.cache_hits++;
        list->refs++;
        return &list->match;
    }
    uint64_t hash = trie_hash(trie, subject);
    bool admit;
    list = trie_cache_find(trie, subject, hash, &admit);
    if (list != NULL) {
        trie->stats.cache_hits++;
        list->refs += 2;
        trie_forget_last(trie);
        trie->last = list;
        return &list->match;
    }
    list = trie_match_build(trie, subject, hash, admit);
    if (admit)
        trie_cache_put(trie, list);
    return &list->match;
}

void trie_forget_last(struct trie *trie)
{
    struct trie_list *last = trie->last;
    trie->last = NULL;
    if (last != NULL)
        trie_match_unref(trie, last);
}

void trie_match_release(struct trie *trie, const struct trie_match *match)
{
    must(trie->pinned > 0);
    trie->pinned--;
    trie_match_unref(trie, (struct trie_list *)match);
}

// A list is not kept for it: what is remembered takes its place.
struct trie_entry *trie_sole_find(struct trie *trie, struct trie_sole *sole, struct bytes subject)
{
    trie->stats.finds++;
    if (sole->stamp && sole->stamp == trie_cache_sole_stamp(trie, sole)) {
        trie->stats.cache_hits++;
        return sole->entry;
    }
    uint64_t hash = trie_hash(trie, subject);
    bool admit;
    struct trie_list *list = trie_cache_find(trie, subject, hash, &admit);
    trie->stats.cache_hits += list != NULL;
    if (list)
        list->refs++;
    else
        list = trie_match_build(trie, subject, hash, false);
    sole->entry = list->match.count == 1 && list->match.group_count == 0 ? list->match.entries[0] : NULL;
    trie_match_unref(trie, list);
    trie_cache_sole_set(trie, sole, subject);
    return sole->entry;
}

uint32_t trie_pinned_count(const struct trie *trie)
{
    return trie->pinned;
}

bool trie_has_interest(struct trie *trie, struct bytes subject)
{
    const struct trie_match *match = trie_match_find(trie, subject);
    bool interest = match->count > 0 || match->group_count > 0;
    trie_match_release(trie, match);
    return interest;
}

uint64_t trie_count(const struct trie *trie)
{
    return trie->stats.entries;
}

struct trie_stats trie_stats(const struct trie *trie)
{
    struct trie_stats stats = trie->stats;
    stats.nodes = trie->nodes.count;
    stats.cache_subjects = trie->cache.count;
    stats.cache_size_bytes = trie->cache.size_bytes;
    return stats;
}

void trie_each(const struct trie *trie, bool (*visit)(void *context, struct trie_entry *entry), void *context)
{
    const struct trie_node *node;
    uint32_t at = 0;
    while ((node = table_next(&trie->nodes, &at)) != NULL) {
        struct trie_entry *entry = node->entries;
        while (entry != NULL) {
            struct trie_entry *next = entry->next; // the visitor may be about to free it all
            if (!visit(context, entry))
                return;
            entry = next;
        }
    }
}

void trie_check(const struct trie *trie)
{
    uint64_t entries = 0, children = trie->root->child_count;
    uint32_t nodes = 0, groups = 0;
    const struct trie_node *node;
    uint32_t at = 0;
    while ((node = table_next(&trie->nodes, &at)) != NULL) {
        check_node(trie, node);
        nodes++;
        groups += node->kind == TRIE_GROUP;
        entries += node->entry_count;
        children += node->child_count;
    }
    table_check(&trie->nodes);
    must(nodes == trie->nodes.count);
    must(entries == trie->stats.entries);
    must(children == nodes + groups); // a group is a child of its pattern and of its queue name
}

static struct trie_node *pattern_node(struct trie *trie, struct bytes pattern)
{
    if (!subject_has_wildcard(pattern))
        return trie_nodes_get(trie, TRIE_LITERAL, trie->root, pattern);
    struct trie_node *node = trie->root;
    struct bytes token;
    while (subject_token_next(&pattern, &token)) {
        enum trie_node_kind kind = token_kind(token, pattern.ptr == NULL);
        node = trie_nodes_get(trie, kind, node, kind == TRIE_TOKEN ? token : bytes_make(NULL, 0));
    }
    return node;
}

static struct trie_node *group_node(struct trie *trie, struct trie_node *pattern, struct bytes queue)
{
    struct trie_node *group = trie_nodes_get(trie, TRIE_GROUP, pattern, queue);
    if (group->group.queue != NULL)
        return group;
    group->group.queue = trie_nodes_get(trie, TRIE_QUEUE, trie->root, queue);
    group->group.queue->child_count++;
    group->group.next = pattern->pattern.groups;
    if (group->group.next != NULL)
        group->group.next->group.prev = group;
    pattern->pattern.groups = group;
    return group;
}

static enum trie_node_kind token_kind(struct bytes token, bool is_last)
{
    if (token.len != 1)
        return TRIE_TOKEN;
    if (token.ptr[0] == '*')
        return TRIE_STAR;
    return token.ptr[0] == '>' && is_last ? TRIE_REST : TRIE_TOKEN;
}

static struct trie_node *entry_owner(const struct trie_entry *entry)
{
    return entry->node->kind == TRIE_HIDDEN ? entry->node->parent : entry->node;
}

static const struct trie_node *entry_pattern(const struct trie_entry *entry)
{
    must(trie_entry_is_inserted(entry));
    const struct trie_node *owner = entry_owner(entry);
    return owner->kind == TRIE_GROUP ? owner->parent : owner;
}

static struct bytes node_word(const struct trie_node *node)
{
    if (node->kind == TRIE_STAR)
        return BYTES("*");
    return node->kind == TRIE_REST ? BYTES(">") : trie_node_text(node);
}

static void list_append(struct trie_node *node, struct trie_entry *entry)
{
    entry->next = NULL;
    if (node->entries == NULL) {
        entry->prev = entry;
        node->entries = entry;
    } else {
        entry->prev = node->entries->prev;
        entry->prev->next = entry;
        node->entries->prev = entry;
    }
    node->entry_count++;
}

static void list_remove(struct trie_node *node, struct trie_entry *entry)
{
    must(node->entry_count > 0);
    if (entry->next != NULL)
        entry->next->prev = entry->prev;
    else
        node->entries->prev = entry->prev;
    if (entry != node->entries)
        entry->prev->next = entry->next;
    else
        node->entries = entry->next;
    node->entry_count--;
}

static void check_node(const struct trie *trie, const struct trie_node *node)
{
    bool has_own_lists = node->kind != TRIE_GROUP && node->kind != TRIE_QUEUE && node->kind != TRIE_HIDDEN;
    must(node->entry_count > 0 || node->child_count > 0);
    must(trie_nodes_find(trie, node->kind, node->parent, trie_node_text(node), trie_hash(trie, trie_node_text(node))) ==
         node);
    uint32_t entries = 0;
    for (const struct trie_entry *entry = node->entries; entry != NULL; entry = entry->next) {
        must(entry->node == node);
        must(entry->next == NULL || entry->next->prev == entry);
        entries++;
    }
    must(entries == node->entry_count);
    uint32_t children = 0;
    for (const struct trie_node *group = has_own_lists ? node->pattern.groups : NULL; group != NULL;
         group = group->group.next) {
        must(group->parent == node && group->group.queue->kind == TRIE_QUEUE);
        children++;
    }
    must(children <= node->child_count);
}
