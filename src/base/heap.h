// SPDX-License-Identifier: Apache-2.0
// Intrusive binary min-heap: an array of pointers to nodes embedded in their owners, each knowing its place, so that any
// node can be removed or re-keyed in O(log n). One thread. Equal keys leave in no promised (but reproducible) order.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define HEAP_NONE SIZE_MAX

struct heap_node {
    size_t index; // place in the array; HEAP_NONE when in no heap
    uint64_t key; // smallest first; change it only with heap_update()
};

struct heap {
    struct heap_node **nodes; // owned array of borrowed nodes
    size_t count;
    size_t cap;
    size_t max; // nodes
};

// No allocation until the first insert.
void heap_init(struct heap *heap, size_t max);
// Frees the array; nodes still in it keep a stale index.
void heap_deinit(struct heap *heap);

// A node in no heap. Needed before heap_is_linked() only.
static inline void heap_node_init(struct heap_node *node)
{
    node->index = HEAP_NONE;
    node->key = 0;
}

static inline bool heap_is_linked(const struct heap_node *node)
{
    return node->index != HEAP_NONE;
}

// The node is in no heap, stays borrowed until removed. ERR_LIMIT when max nodes are in.
int heap_insert(struct heap *heap, struct heap_node *node, uint64_t key) MUST_USE;
// The node must be in this heap.
void heap_remove(struct heap *heap, struct heap_node *node);
// Gives the node, which must be in this heap, a new key.
void heap_update(struct heap *heap, struct heap_node *node, uint64_t key);
// Asserts order and back references; for tests and checked builds.
void heap_check(const struct heap *heap);

// The node with the smallest key, still in the heap; NULL when empty.
static inline struct heap_node *heap_min(const struct heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}

static inline size_t heap_count(const struct heap *heap)
{
    return heap->count;
}
