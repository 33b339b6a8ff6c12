// SPDX-License-Identifier: Apache-2.0
// The hash table of all nodes of a trie, keyed by kind, parent and text: linear probing, at most three quarters full,
// deletion by shifting back. The hash stands in the slot, so that growing does not touch the nodes.
#include "base/memory.h"
#include "base/must.h"
#include "subject/trie_internal.h"

#define SLOTS_MIN 16

static uint32_t slot_hash(uint64_t text_hash, enum trie_node_kind kind, uint32_t parent_id);
static uint32_t node_slot(const struct trie *trie, const struct trie_node *node);
static struct trie_node *node_new(struct trie *trie, enum trie_node_kind kind, struct trie_node *parent,
                                  struct bytes text);
static void table_add(struct trie_slot *slots, uint32_t slot_count, uint32_t hash, struct trie_node *node);
static void table_remove(struct trie *trie, uint32_t slot);
static void table_resize(struct trie *trie, uint32_t slot_count);
static void node_detach(struct trie_node *node);

void trie_nodes_init(struct trie *trie)
{
    trie->slot_count = SLOTS_MIN;
    trie->slots = mem_alloc_zero(SLOTS_MIN * sizeof(*trie->slots));
    trie->root = node_new(trie, TRIE_TOKEN, NULL, bytes_make(NULL, 0));
}

void trie_nodes_deinit(struct trie *trie)
{
    for (uint32_t i = 0; i < trie->slot_count; i++)
        mem_free(trie->slots[i].node);
    mem_free(trie->slots);
    mem_free(trie->root);
}

struct trie_node *trie_nodes_find(const struct trie *trie, enum trie_node_kind kind, const struct trie_node *parent,
                                  struct bytes text, uint64_t hash)
{
    uint32_t wanted = slot_hash(hash, kind, parent->id);
    uint32_t mask = trie->slot_count - 1;
    for (uint32_t i = wanted & mask; trie->slots[i].node != NULL; i = (i + 1) & mask) {
        struct trie_node *node = trie->slots[i].node;
        if (trie->slots[i].hash == wanted && node->parent == parent && node->kind == kind &&
            bytes_equal(trie_node_text(node), text))
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
    if (trie->node_count >= trie->slot_count / 4 * 3)
        table_resize(trie, trie->slot_count * 2);
    node = node_new(trie, kind, parent, text);
    table_add(trie->slots, trie->slot_count, slot_hash(hash, kind, parent->id), node);
    trie->node_count++;
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
        table_remove(trie, node_slot(trie, node));
        trie->node_count--;
        parent->child_count--;
        mem_free(node);
        if (queue != NULL) {
            queue->child_count--;
            trie_nodes_prune(trie, queue);
        }
        node = parent;
    }
    if (trie->slot_count > SLOTS_MIN && trie->node_count < trie->slot_count / 8)
        table_resize(trie, trie->slot_count / 2);
}

static uint32_t slot_hash(uint64_t text_hash, enum trie_node_kind kind, uint32_t parent_id)
{
    uint64_t hash = text_hash + (((uint64_t)parent_id << 3) + (uint64_t)kind) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(hash ^ (hash >> 32));
}

static uint32_t node_slot(const struct trie *trie, const struct trie_node *node)
{
    uint32_t hash = slot_hash(trie_hash(trie, trie_node_text(node)), node->kind, node->parent->id);
    uint32_t i = hash & (trie->slot_count - 1);
    while (trie->slots[i].node != node) {
        must(trie->slots[i].node != NULL);
        i = (i + 1) & (trie->slot_count - 1);
    }
    return i;
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

static void table_add(struct trie_slot *slots, uint32_t slot_count, uint32_t hash, struct trie_node *node)
{
    uint32_t i = hash & (slot_count - 1);
    while (slots[i].node != NULL)
        i = (i + 1) & (slot_count - 1);
    slots[i] = (struct trie_slot){hash, node};
}

// Moves later members of the same run into the hole as long as that brings them no further than their home.
static void table_remove(struct trie *trie, uint32_t slot)
{
    uint32_t mask = trie->slot_count - 1;
    uint32_t hole = slot;
    for (uint32_t i = (hole + 1) & mask; trie->slots[i].node != NULL; i = (i + 1) & mask) {
        uint32_t home = trie->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            trie->slots[hole] = trie->slots[i];
            hole = i;
        }
    }
    trie->slots[hole].node = NULL;
}

static void table_resize(struct trie *trie, uint32_t slot_count)
{
    must(slot_count >= SLOTS_MIN && slot_count <= UINT32_C(1) << 31);
    struct trie_slot *slots = mem_alloc_zero(slot_count * sizeof(*slots));
    for (uint32_t i = 0; i < trie->slot_count; i++) {
        if (trie->slots[i].node != NULL)
            table_add(slots, slot_count, trie->slots[i].hash, trie->slots[i].node);
    }
    mem_free(trie->slots);
    trie->slots = slots;
    trie->slot_count = slot_count;
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
