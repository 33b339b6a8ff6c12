// SPDX-License-Identifier: Apache-2.0
// The life of the nodes of a trie, and the table they are found in by kind, parent and text.
#include "base/memory.h"
#include "base/must.h"
#include "subject/trie_internal.h"

static uint32_t slot_hash(uint64_t text_hash, enum trie_node_kind kind, uint32_t parent_id);
static uint32_t node_hash(const struct trie *trie, const struct trie_node *node);
static struct trie_node *node_new(struct trie *trie, enum trie_node_kind kind, struct trie_node *parent,
                                  struct bytes text);
static void node_detach(struct trie_node *node);

void trie_nodes_init(struct trie *trie)
{
    trie->root = node_new(trie, TRIE_TOKEN, NULL, bytes_make(NULL, 0));
}

void trie_nodes_deinit(struct trie *trie)
{
    struct trie_node *node;
    uint32_t at = 0;
    while ((node = table_next(&trie->nodes, &at)))
        mem_free(node);
    table_deinit(&trie->nodes);
    mem_free(trie->root);
}

struct trie_node *trie_nodes_find(const struct trie *trie, enum trie_node_kind kind, const struct trie_node *parent,
                                  struct bytes text, uint64_t hash)
{
    uint32_t wanted = slot_hash(hash, kind, parent->id);
    for (const struct table_slot *slot = table_find(&trie->nodes, wanted); slot->item && slot->hash == wanted; slot++) {
        struct trie_node *node = slot->item;
        if (node->parent == parent && node->kind == kind && bytes_equal(trie_node_text(node), text))
            return node;
    }
    return NULL;
}

struct trie_node *trie_nodes_get(struct trie *trie, enum trie_node_kind kind, struct trie_node *parent,
                                 struct bytes text)
{
    uint64_t hash = trie_hash(trie, text);
    struct trie_node *node = trie_nodes_find(trie, kind, parent, text, hash);
    if (node != NULL)
        return node;
    node = node_new(trie, kind, parent, text);
    table_add(&trie->nodes, slot_hash(hash, kind, parent->id), node);
    parent->child_count++;
    if (kind == TRIE_STAR)
        parent->pattern.star = node;
    else if (kind == TRIE_REST)
        parent->pattern.rest = node;
    return node;
}

void trie_nodes_prune(struct trie *trie, struct trie_node *node)
{
    while (node != trie->root && node->entry_count == 0 && node->child_count == 0) {
        struct trie_node *parent = node->parent;
        struct trie_node *queue = node->kind == TRIE_GROUP ? node->group.queue : NULL;
        node_detach(node);
        table_remove(&trie->nodes, node_hash(trie, node), node);
        parent->child_count--;
        mem_free(node);
        if (queue != NULL) {
            queue->child_count--;
            trie_nodes_prune(trie, queue);
        }
        node = parent;
    }
}

static uint32_t slot_hash(uint64_t text_hash, enum trie_node_kind kind, uint32_t parent_id)
{
    uint64_t hash = text_hash + (((uint64_t)parent_id << 3) + (uint64_t)kind) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(hash ^ (hash >> 32));
}

static uint32_t node_hash(const struct trie *trie, const struct trie_node *node)
{
    return slot_hash(trie_hash(trie, trie_node_text(node)), node->kind, node->parent->id);
}

static struct trie_node *node_new(struct trie *trie, enum trie_node_kind kind, struct trie_node *parent,
                                  struct bytes text)
{
    must(text.len <= UINT16_MAX);
    size_t size = trie_node_size(kind);
    struct trie_node *node = mem_alloc_zero(size + text.len);
    node->parent = parent;
    node->kind = (uint8_t)kind;
    node->text_len = (uint16_t)text.len;
    node->id = trie->next_id++;
    if (text.len > 0)
        memcpy((char *)node + size, text.ptr, text.len);
    return node;
}

// Takes the node out of the short cuts and lists of its parent.
static void node_detach(struct trie_node *node)
{
    struct trie_node *parent = node->parent;
    if (node->kind == TRIE_STAR)
        parent->pattern.star = NULL;
    if (node->kind == TRIE_REST)
        parent->pattern.rest = NULL;
    if (node->kind != TRIE_GROUP)
        return;
    if (node->group.prev != NULL)
        node->group.prev->group.next = node->group.next;
    else
        parent->pattern.groups = node->group.next;
    if (node->group.next != NULL)
        node->group.next->group.prev = node->group.prev;
}
