// SPDX-License-Identifier: Apache-2.0
// The sift operations move a hole instead of swapping: one store per level and node.
#include "base/heap.h"

#include "base/memory.h"
#include "base/must.h"

#define FIRST_CAP 16

static void sift_up(struct heap *heap, size_t at, struct heap_node *node);
static void sift_down(struct heap *heap, size_t at, struct heap_node *node);
static void place(struct heap *heap, size_t at, struct heap_node *node);

void heap_init(struct heap *heap, size_t max)
{
    *heap = (struct heap){.max = max};
}

void heap_deinit(struct heap *heap)
{
    mem_free(heap->nodes);
    heap_init(heap, heap->max);
}

int heap_insert(struct heap *heap, struct heap_node *node, uint64_t key)
{
    if (heap->count >= heap->max) {
        return ERR_LIMIT;
    }
    if (heap->count == heap->cap) {
        heap->cap = heap->cap ? heap->cap * 2 : FIRST_CAP;
        heap->nodes = mem_realloc(heap->nodes, heap->cap * sizeof(*heap->nodes));
    }
    node->key = key;
    sift_up(heap, heap->count++, node);
    return 0;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    size_t at = node->index;
    must(at < heap->count && heap->nodes[at] == node);
    struct heap_node *last = heap->nodes[--heap->count];
    node->index = HEAP_NONE;
    if (last != node) {
        last->index = at;
        heap->nodes[at] = last;
        heap_update(heap, last, last->key);
    }
}

void heap_update(struct heap *heap, struct heap_node *node, uint64_t key)
{
    size_t at = node->index;
    must(at < heap->count && heap->nodes[at] == node);
    node->key = key;
    if (at > 0 && heap->nodes[(at - 1) / 2]->key > key) {
        sift_up(heap, at, node);
    } else {
        sift_down(heap, at, node);
    }
}

void heap_check(const struct heap *heap)
{
    must(heap->count <= heap->max && heap->count <= heap->cap);
    for (size_t i = 0; i < heap->count; i++) {
        must(heap->nodes[i]->index == i);
        must(i == 0 || heap->nodes[(i - 1) / 2]->key <= heap->nodes[i]->key);
    }
}

// Places the node at the hole `at` or as far above as its key demands.
static void sift_up(struct heap *heap, size_t at, struct heap_node *node)
{
    while (at > 0 && heap->nodes[(at - 1) / 2]->key > node->key) {
        place(heap, at, heap->nodes[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(heap, at, node);
}

// Places the node at the hole `at` or as far below as its key demands.
static void sift_down(struct heap *heap, size_t at, struct heap_node *node)
{
    for (size_t child = 2 * at + 1; child < heap->count; child = 2 * at + 1) {
        if (child + 1 < heap->count && heap->nodes[child + 1]->key < heap->nodes[child]->key) {
            child++;
        }
        if (heap->nodes[child]->key >= node->key) {
            break;
        }
        place(heap, at, heap->nodes[child]);
        at = child;
    }
    place(heap, at, node);
}

static void place(struct heap *heap, size_t at, struct heap_node *node)
{
    heap->nodes[at] = node;
    node->index = at;
}
