// SPDX-License-Identifier: Apache-2.0
// CO-S01: so many of one address, and the others in line.
#include "os/tcp_shares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static uint64_t address(const char *ip)
{
    struct net_peer peer = {.port = 1};
    snprintf(peer.ip, sizeof(peer.ip), "%s", ip);
    return tcp_shares_address(&peer);
}

static void addresses_and_networks(void **state)
{
    assert_true(address("127.0.0.1") == address("127.0.0.1"));
    assert_true(address("127.0.0.1") != address("127.0.0.2"));
    assert_true(address("2001:db8:1:2::3") == address("2001:db8:1:2:ffff::"));
    assert_true(address("2001:db8:1:2::3") != address("2001:db8:1:3::3"));
    assert_true(address("") == address(""));
}

static void those_of_one_address_wait_for_one_another(void **state)
{
    struct tcp_shares shares;
    struct list links[5];
    uint64_t here = address("10.0.0.1"), there = address("10.0.0.2");
    tcp_shares_init(&shares, 2);
    for (int i = 0; i < 5; i++)
        list_init(&links[i]);
    for (int i = 0; i < 5; i++)
        assert_int_equal(tcp_shares_enter(&shares, here, &links[i]), i < 2);
    struct list other;
    list_init(&other);
    assert_true(tcp_shares_enter(&shares, there, &other));
    assert_null(tcp_shares_leave(&shares, there));
    // In the order of their coming, but for who gave up.
    list_remove(&links[3]);
    assert_ptr_equal(tcp_shares_leave(&shares, here), &links[2]);
    assert_ptr_equal(tcp_shares_leave(&shares, here), &links[4]);
    assert_false(tcp_shares_enter(&shares, here, &links[0]));
    list_remove(&links[0]);
    assert_null(tcp_shares_leave(&shares, here));
    assert_true(tcp_shares_enter(&shares, here, &links[1]));
    assert_null(tcp_shares_leave(&shares, here));
    assert_null(tcp_shares_leave(&shares, here));
    tcp_shares_deinit(&shares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_and_networks),
        cmocka_unit_test(those_of_one_address_wait_for_one_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
