// SPDX-License-Identifier: Apache-2.0
// Order, the maximum, and a random life against the obvious model.
#include "base/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"

static void gives_the_smallest_first(void **state)
{
    struct heap heap;
    struct heap_node nodes[9];
    const uint64_t keys[9] = {5, 3, UINT64_MAX, 0, 9, 3, 1, 8, 2};
    heap_init(&heap, 9);
    assert_null(heap_min(&heap));
    for (int i = 0; i < 9; i++) {
        heap_node_init(&nodes[i]);
        assert_false(heap_is_linked(&nodes[i]));
        assert_int_equal(heap_insert(&heap, &nodes[i], keys[i]), 0);
        assert_true(heap_is_linked(&nodes[i]));
    }
    struct heap_node extra;
    assert_int_equal(heap_insert(&heap, &extra, 1), ERR_LIMIT);
    const uint64_t sorted[9] = {0, 1, 2, 3, 3, 5, 8, 9, UINT64_MAX};
    for (int i = 0; i < 9; i++) {
        struct heap_node *min = heap_min(&heap);
        assert_true(min->key == sorted[i]);
        heap_remove(&heap, min);
        assert_false(heap_is_linked(min));
    }
    assert_int_equal(heap_count(&heap), 0);
    heap_deinit(&heap);
}

static uint64_t model_min(const struct heap_node *nodes, size_t count)
{
    uint64_t min = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        if (heap_is_linked(&nodes[i]) && nodes[i].key < min) {
            min = nodes[i].key;
        }
    }
    return min;
}

static void follows_a_model(void **state)
{
    enum { NODES = 150, MAX = 120 };
    struct heap heap;
    struct heap_node nodes[NODES];
    struct prng prng;
    size_t count = 0;
    prng_seed(&prng, 1);
    heap_init(&heap, MAX);
    for (int i = 0; i < NODES; i++) {
        heap_node_init(&nodes[i]);
    }
    for (int step = 0; step < 30000; step++) {
        struct heap_node *node = &nodes[prng_below(&prng, NODES)];
        uint64_t key = prng_below(&prng, 200);
        if (!heap_is_linked(node)) {
            assert_int_equal(heap_insert(&heap, node, key), count == MAX ? ERR_LIMIT : 0);
            count += count < MAX;
        } else if (prng_chance(&prng, 1, 2)) {
            heap_update(&heap, node, key);
            assert_true(node->key == key);
        } else {
            heap_remove(&heap, node);
            count--;
        }
        heap_check(&heap);
        assert_int_equal(heap_count(&heap), count);
        if (count) {
            assert_true(heap_min(&heap)->key == model_min(nodes, NODES));
        }
    }
    heap_deinit(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_smallest_first),
        cmocka_unit_test(follows_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
