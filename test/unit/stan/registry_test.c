// SPDX-License-Identifier: Apache-2.0
// Clients as images of checkpoints: written so that a start takes them in at once, and taken in in any order.
#include "rig.h"

#include <stdio.h>

#include "base/buffer.h"
#include "base/endian.h"
#include "base/record.h"
#include "stan/registry.h"

enum { CLIENTS = 100, IMAGE_HEAD = 16, BODY_HEAD = 20, CLOSING = 1, OPEN = 0 };

// A registry of its own, of clients that were there before a start.
static void begin(const struct rig *rig, struct registry *registry)
{
    registry_init(registry, rig->stan, CLIENTS);
}

static void restore(struct registry *registry, uint32_t number, const char *id, uint32_t closing)
{
    char body[IMAGE_HEAD + BODY_HEAD + 32] = {0};
    size_t len = strlen(id);
    put_u32(body + 8, closing);
    put_u16(body + IMAGE_HEAD + 12, (uint16_t)len);
    memcpy(body + IMAGE_HEAD + BODY_HEAD, id, len);
    const struct record image = {
        .kind = RECORD_IMAGE_CLIENT, .object = number, .body = bytes_make(body, IMAGE_HEAD + BODY_HEAD + len)};
    assert_int_equal(registry->machine.restore(&registry->machine, &image), 0);
}

static void a_checkpoint_has_them_by_number(void **state)
{
    struct registry registry;
    struct buffer images;
    char id[16];
    begin(*state, &registry);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        snprintf(id, sizeof(id), "c%u", i);
        restore(&registry, 1 + i * 37 % CLIENTS, id, OPEN);
    }
    buffer_init(&images, 1 << 20);
    registry.machine.checkpoint_begin(&registry.machine, true);
    assert_int_equal(registry.machine.checkpoint_next(&registry.machine, 1, &images, 1 << 20), 0);
    struct bytes rest = buffer_bytes(&images);
    struct record image;
    size_t used;
    for (uint32_t number = 1; number <= CLIENTS; number++) {
        assert_int_equal(record_get(rest, true, &image, &used), 0);
        assert_int_equal(image.object, number);
        rest = bytes_skip(rest, used);
    }
    assert_int_equal(rest.len, 0);
    buffer_deinit(&images);
    registry_deinit(&registry);
}

// The end of an older client is still to be written, or was lost: whoever has its id now keeps it.
static void the_newer_of_two_counts(void **state)
{
    for (uint32_t older = OPEN; older <= CLOSING; older++) {
        for (int first = 0; first < 2; first++) {
            struct registry registry;
            begin(*state, &registry);
            if (first == 0)
                restore(&registry, 3, "a", older);
            restore(&registry, 7, "a", OPEN);
            if (first == 1)
                restore(&registry, 3, "a", older);
            assert_ptr_equal(registry_find(&registry, BYTES("a")), registry_by_number(&registry, 7));
            assert_false(registry_by_number(&registry, 7)->closing);
            assert_true(registry_by_number(&registry, 3)->closing);
            registry_deinit(&registry);
        }
    }
}

// An import may bring more than are taken from then on.
static void more_than_may_connect_are_kept(void **state)
{
    struct registry registry;
    struct stan_client *client;
    uint64_t index;
    char id[16];
    begin(*state, &registry);
    for (uint32_t i = 1; i <= CLIENTS + 1; i++) {
        snprintf(id, sizeof(id), "c%u", i);
        restore(&registry, i, id, OPEN);
    }
    assert_int_equal(registry_count(&registry), CLIENTS + 1);
    assert_int_equal(registry_add(&registry, &(struct registry_request){.id = BYTES("new")}, &client, &index),
                     ERR_LIMIT);
    registry_deinit(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_checkpoint_has_them_by_number, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(the_newer_of_two_counts, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(more_than_may_connect_are_kept, rig_set_up, rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
