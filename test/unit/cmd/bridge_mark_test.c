// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cmd/bridge_mark.h"

#define OLD BYTES("old")

static const struct bridge_mark mark = {.cluster = {"old", 3}, .sequence = 17, .time_ns = 1795411771500000000};

static struct bytes encode(const struct bridge_mark *which, const char *own, char *room)
{
    return bridge_mark_encode(which, bytes_from_string(own), room, 2 * strlen(own) + BRIDGE_MARK_FIELDS_SIZE);
}

static void expect(struct bytes block, const char *text)
{
    assert_int_equal(block.len, strlen(text));
    assert_memory_equal(block.ptr, text, block.len);
}

#define FIELDS "Weir-Bridge-Cluster: old\r\nWeir-Bridge-Sequence: 17\r\nWeir-Bridge-Time: 2026-11-23T05:29:31.5Z\r\n"

static void fields_are_added_and_read(void **state)
{
    char room[2048];
    struct bridge_mark read;
    struct bytes block = encode(&mark, "", room);
    expect(block, "NATS/1.0\r\n" FIELDS "\r\n");
    assert_int_equal(bridge_mark_decode(block, OLD, &read), 0);
    assert_true(read.epoch == 0 && read.sequence == 17 && read.time_ns == mark.time_ns);
    struct bridge_mark anew = mark;
    anew.epoch = 3;
    block = encode(&anew, "", room);
    expect(block, "NATS/1.0\r\n" FIELDS "Weir-Bridge-Epoch: 3\r\n\r\n");
    assert_int_equal(bridge_mark_decode(block, OLD, &read), 0);
    assert_int_equal(read.epoch, 3);
}

static void a_messages_own_fields_stay_but_not_older_marks(void **state)
{
    char room[2048];
    expect(encode(&mark, "NATS/1.0\r\nTrace:7\r\nWeir-Bridge-Sequence: 1\r\nTrace: 8\r\n\r\n", room),
           "NATS/1.0\r\nTrace: 7\r\nTrace: 8\r\n" FIELDS "\r\n");
    expect(encode(&mark, "no header at all", room), "NATS/1.0\r\n" FIELDS "\r\n");
}

static void a_mark_that_makes_no_sense_is_none(void **state)
{
    static const char *const wrong[] = {
        "",
        "NATS/1.0\r\n\r\n",
        "NATS/1.0\r\nWeir-Bridge-Cluster: old\r\nWeir-Bridge-Sequence: 17\r\n\r\n",
        "NATS/1.0\r\nWeir-Bridge-Cluster: old\r\nWeir-Bridge-Sequence: x\r\nWeir-Bridge-Time: "
        "2026-11-23T05:29:31Z\r\n\r\n",
        "NATS/1.0\r\nWeir-Bridge-Cluster: old\r\nWeir-Bridge-Sequence: 1\r\nWeir-Bridge-Time: today\r\n\r\n",
        "NATS/1.0\r\n" FIELDS "Weir-Bridge-Epoch: -1\r\n\r\n",
        "NATS/1.0\r\nWeir-Bridge-Cluster: other\r\nWeir-Bridge-Sequence: 1\r\nWeir-Bridge-Time: "
        "2026-11-23T05:29:31Z\r\n\r\n",
    };
    struct bridge_mark read;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(bridge_mark_decode(bytes_from_string(wrong[i]), OLD, &read), ERR_NOT_FOUND);
}

static void an_id_is_the_same_in_every_run(void **state)
{
    static const char *const wrong[] = {"", "1", "1.", ".", "1.2", "a.2.3.old", "1.b.3.old", "-1.2.3.old"};
    char guid[BRIDGE_MARK_GUID_SIZE], long_name[BRIDGE_MARK_CLUSTER_MAX];
    uint64_t epoch, sequence;
    struct bytes id = bridge_mark_guid(&mark, guid);
    expect(id, "0.17.1795411771500000000.old");
    assert_int_equal(bridge_mark_read_guid(id, &epoch, &sequence), 0);
    assert_true(epoch == 0 && sequence == 17);
    memset(long_name, 'x', sizeof(long_name));
    const struct bridge_mark largest = {bytes_make(long_name, sizeof(long_name)), UINT64_MAX, UINT64_MAX, UINT64_MAX};
    id = bridge_mark_guid(&largest, guid);
    assert_int_equal(bridge_mark_read_guid(id, &epoch, &sequence), 0);
    assert_true(epoch == UINT64_MAX && sequence == UINT64_MAX);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(bridge_mark_read_guid(bytes_from_string(wrong[i]), &epoch, &sequence), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_added_and_read),
        cmocka_unit_test(a_messages_own_fields_stay_but_not_older_marks),
        cmocka_unit_test(a_mark_that_makes_no_sense_is_none),
        cmocka_unit_test(an_id_is_the_same_in_every_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
