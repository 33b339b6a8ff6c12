// SPDX-License-Identifier: Apache-2.0
// Merge sort from the bottom up: it can be interrupted anywhere, and what is equal stays in its order.
#include "monitor/name_list.h"

#include "base/memory.h"
#include "base/must.h"

static bool merge_round(struct name_list *list, size_t *comparisons);
static bool is_before(const struct name_entry *a, const struct name_entry *b);
static size_t smaller(size_t a, size_t b);

void name_list_init(struct name_list *list, struct arena *arena, size_t max)
{
    *list = (struct name_list){.arena = arena, .max = max};
}

void name_list_deinit(struct name_list *list)
{
    mem_free(list->entries);
    mem_free(list->other);
    list->entries = list->other = NULL;
}

bool name_list_add(struct name_list *list, struct bytes name, uint32_t id)
{
    must(list->width == 0);
    struct bytes copy = arena_copy(list->arena, name);
    if (list->count == list->max || (name.len && !copy.ptr))
        return false;
    if (list->count == list->capacity) {
        list->capacity = smaller(list->capacity ? 2 * list->capacity : 64, list->max);
        list->entries = mem_realloc(list->entries, list->capacity * sizeof(*list->entries));
    }
    list->entries[list->count++] = (struct name_entry){copy, id};
    return true;
}

bool name_list_sort(struct name_list *list, size_t comparisons)
{
    if (list->width == 0) {
        list->width = 1;
        list->other = mem_alloc((list->count + 1) * sizeof(*list->other));
        list->right = list->width;
    }
    while (list->width < list->count) {
        if (!merge_round(list, &comparisons))
            return false;
        struct name_entry *merged = list->other;
        list->other = list->entries;
        list->entries = merged;
        list->width *= 2;
        list->at = list->left = 0;
        list->right = list->width;
    }
    return true;
}

// Merges pairs of runs as far as it may. True: all of them are.
static bool merge_round(struct name_list *list, size_t *comparisons)
{
    while (list->at < list->count) {
        size_t pair = list->at / (2 * list->width) * 2 * list->width;
        size_t middle = smaller(pair + list->width, list->count), end = smaller(pair + 2 * list->width, list->count);
        for (; list->at < end; list->at++) {
            if (*comparisons == 0)
                return false;
            --*comparisons;
            bool from_left = list->right >= end || (list->left < middle && !is_before(&list->entries[list->right],
                                                                                      &list->entries[list->left]));
            list->other[list->at] = list->entries[from_left ? list->left++ : list->right++];
        }
        list->left = end;
        list->right = end + list->width;
    }
    return true;
}

static bool is_before(const struct name_entry *a, const struct name_entry *b)
{
    int result = bytes_compare(a->name, b->name);
    return result ? result < 0 : a->id < b->id;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}
