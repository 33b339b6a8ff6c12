// SPDX-License-Identifier: Apache-2.0
// IM-02, IM-05: files of changes, replayed. Records as nats-streaming-server 0.25.6 wrote them, and made-up ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/must.h"
#include "stan/import/filestore_clients.h"
#include "stan/import/filestore_subs.h"

// Subscription 1: audit's durable "ledger", ten in flight, 60 s, sent up to 50.
#define LEDGER                                                                                                         \
    BYTES("\x08\x01\x12\x05"                                                                                           \
          "audit"                                                                                                      \
          "\x22\x04"                                                                                                   \
          "in.1"                                                                                                       \
          "\x2a\x05"                                                                                                   \
          "ack.1"                                                                                                      \
          "\x30\x0a\x38\x3c\x42\x06"                                                                                   \
          "ledger"                                                                                                     \
          "\x48\x32\x50\x01")

static int apply(struct filestore_subs *subs, uint8_t type, struct bytes payload)
{
    const struct filestore_frame frame = {.type = type, .payload = payload};
    return filestore_subs_apply(subs, &frame);
}

static int change(struct filestore_subs *subs, uint8_t type, char id, char sequence)
{
    const char payload[] = {0x08, id, 0x10, sequence};
    return apply(subs, type, bytes_make(payload, sizeof(payload)));
}

static struct filestore_subscription *first(struct filestore_subs *subs)
{
    struct list *link = list_first(&subs->list);
    must(link);
    return container_of(link, struct filestore_subscription, link);
}

static void test_a_subscription(void **state)
{
    struct filestore_subs subs;
    filestore_subs_init(&subs, 10, 10);
    assert_int_equal(apply(&subs, FILESTORE_SUB_NEW, LEDGER), 0);
    const struct filestore_sub *sub = &first(&subs)->state;
    assert_int_equal(sub->id, 1);
    assert_true(bytes_equal(sub->client_id, BYTES("audit")) && bytes_equal(sub->inbox, BYTES("in.1")) &&
                bytes_equal(sub->ack_inbox, BYTES("ack.1")) && bytes_equal(sub->durable, BYTES("ledger")));
    assert_int_equal(sub->group.len, 0);
    assert_int_equal(sub->max_in_flight, 10);
    assert_int_equal(sub->ack_wait_s, 60);
    assert_int_equal(sub->last_sent, 50);
    assert_true(sub->is_durable && !sub->is_closed);
    filestore_subs_clear(&subs);
}

static void test_pending(void **state)
{
    struct filestore_subs subs;
    filestore_subs_init(&subs, 10, 3);
    assert_int_equal(apply(&subs, FILESTORE_SUB_NEW, LEDGER), 0);
    assert_int_equal(change(&subs, FILESTORE_SUB_PENDING, 1, 51), 0);
    assert_int_equal(change(&subs, FILESTORE_SUB_PENDING, 1, 51), 0); // sent again
    assert_int_equal(change(&subs, FILESTORE_SUB_PENDING, 1, 53), 0);
    assert_int_equal(change(&subs, FILESTORE_SUB_PENDING, 1, 40), 0);
    assert_int_equal(first(&subs)->state.last_sent, 53);
    assert_int_equal(subs.pending_count, 3);
    assert_int_equal(change(&subs, FILESTORE_SUB_PENDING, 1, 54), ERR_LIMIT);
    assert_int_equal(change(&subs, FILESTORE_SUB_ACK, 1, 51), 0);
    assert_int_equal(change(&subs, FILESTORE_SUB_ACK, 1, 51), 0);
    assert_int_equal(change(&subs, FILESTORE_SUB_ACK, 1, 99), 0);
    assert_int_equal(subs.pending_count, 2);
    assert_null(map_u64_find(&first(&subs)->pending, 51));
    assert_non_null(map_u64_find(&first(&subs)->pending, 53));
    filestore_subs_clear(&subs);
}

// Closed: an update, with what was sent until then in it or in the changes before, whichever is more.
static void test_update_keeps_what_is_pending(void **state)
{
    struct filestore_subs subs;
    filestore_subs_init(&subs, 10, 10);
    assert_int_equal(apply(&subs, FILESTORE_SUB_NEW, LEDGER), 0);
    assert_int_equal(change(&subs, FILESTORE_SUB_PENDING, 1, 60), 0);
    assert_int_equal(apply(&subs, FILESTORE_SUB_UPDATE, BYTES("\x08\x01\x48\x05\x50\x01\x58\x01")), 0);
    assert_int_equal(filestore_subs_count(&subs), 1);
    assert_true(first(&subs)->state.is_closed);
    assert_int_equal(first(&subs)->state.client_id.len, 0);
    assert_int_equal(first(&subs)->state.last_sent, 60);
    assert_int_equal(subs.pending_count, 1);
    assert_int_equal(change(&subs, FILESTORE_SUB_DELETE, 1, 0), 0);
    assert_int_equal(filestore_subs_count(&subs), 0);
    assert_int_equal(subs.pending_count, 0);
    filestore_subs_clear(&subs);
}

static void test_what_cannot_be(void **state)
{
    struct filestore_subs subs;
    filestore_subs_init(&subs, 1, 10);
    assert_int_equal(change(&subs, FILESTORE_SUB_PENDING, 7, 1), 0); // of one that is not there
    assert_int_equal(change(&subs, FILESTORE_SUB_DELETE, 7, 0), 0);
    assert_int_equal(apply(&subs, 0, LEDGER), ERR_UNSUPPORTED);
    assert_int_equal(apply(&subs, 6, LEDGER), ERR_UNSUPPORTED);
    for (size_t len = 1; len < LEDGER.len; len++)
        (void)!apply(&subs, FILESTORE_SUB_NEW, bytes_make(LEDGER.ptr, len));
    assert_int_equal(apply(&subs, FILESTORE_SUB_NEW,
                           BYTES("\x08\x01\x12\x7f"
                                 "short")),
                     ERR_PROTOCOL);
    assert_int_equal(apply(&subs, FILESTORE_SUB_NEW, BYTES("\x0a\x01x")), ERR_PROTOCOL); // an id that is a text
    assert_int_equal(apply(&subs, FILESTORE_SUB_ACK, BYTES("\x08")), ERR_PROTOCOL);
    filestore_subs_clear(&subs);
    filestore_subs_init(&subs, 1, 10);
    assert_int_equal(apply(&subs, FILESTORE_SUB_NEW, LEDGER), 0);
    assert_int_equal(apply(&subs, FILESTORE_SUB_NEW, BYTES("\x08\x02")), ERR_LIMIT);
    // Numbers beyond what fits, and fields that nobody knows yet.
    assert_int_equal(apply(&subs, FILESTORE_SUB_UPDATE, BYTES("\x08\x01\x30\xff\xff\xff\xff\xff\x01\x98\x06\x07")), 0);
    assert_int_equal(first(&subs)->state.max_in_flight, INT32_MAX);
    filestore_subs_clear(&subs);
}

static void test_clients(void **state)
{
    struct filestore_clients clients;
    filestore_clients_init(&clients, 2);
    const struct bytes add = BYTES("\x0a\x05"
                                   "audit\x12\x03"
                                   "hb1\x1a\x02"
                                   "c1\x20\x01\x28\x05\x30\x03");
    const struct bytes remove = BYTES("\x0a\x05"
                                      "audit");
    const struct filestore_frame added = {.type = FILESTORE_CLIENT_ADD, .payload = add},
                                 removed = {.type = FILESTORE_CLIENT_DELETE, .payload = remove},
                                 unknown = {.type = 3, .payload = add},
                                 broken = {.type = FILESTORE_CLIENT_ADD, .payload = BYTES("\x0a\x7f")};
    assert_int_equal(filestore_clients_apply(&clients, &added), 0);
    assert_int_equal(filestore_clients_apply(&clients, &added), 0); // registered anew
    struct filestore_registered *found = filestore_clients_find(&clients, BYTES("audit"));
    assert_non_null(found);
    assert_true(bytes_equal(found->client.inbox, BYTES("hb1")) &&
                bytes_equal(found->client.connection_id, BYTES("c1")));
    assert_int_equal(found->client.protocol, 1);
    assert_int_equal(found->client.ping_interval_s, 5);
    assert_int_equal(found->client.ping_max_out, 3);
    assert_int_equal(filestore_clients_apply(&clients, &unknown), ERR_UNSUPPORTED);
    assert_int_equal(filestore_clients_apply(&clients, &broken), ERR_PROTOCOL);
    assert_int_equal(filestore_clients_apply(&clients, &removed), 0);
    assert_int_equal(filestore_clients_apply(&clients, &removed), 0);
    assert_null(filestore_clients_find(&clients, BYTES("audit")));
    filestore_clients_deinit(&clients);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_subscription),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_update_keeps_what_is_pending),
        cmocka_unit_test(test_what_cannot_be),
        cmocka_unit_test(test_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
