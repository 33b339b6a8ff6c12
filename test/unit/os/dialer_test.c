// SPDX-License-Identifier: Apache-2.0
// Connections to others on real loopback sockets: to a listener of the same loop, to nobody, and given up.
#include "os_test.h"

#include "base/buffer.h"
#include "os/dialer.h"
#include "os/listener.h"

struct rig {
    struct os_test_loop test;
    struct tcp tcp;
    struct listener listener;
    struct dialer dialer;
    struct net_handler near, far; // who dials, who listens
    struct net_dial dial;
    char port[8];
    struct net_conn *near_conn, *far_conn; // NULL: closed
    struct net_peer peer;
    struct buffer got;
    bool in_start;
    unsigned failures;
    char why[128];
};

static void *near_accept(void *owner, struct net_conn *conn, const struct net_peer *peer)
{
    struct rig *rig = owner;
    assert_false(rig->in_start);
    assert_null(rig->dial.implementation);
    rig->near_conn = conn;
    rig->peer = *peer;
    assert_int_equal(net_write(conn, &BYTES("hello"), 1), 5);
    return rig;
}

static void *far_accept(void *owner, struct net_conn *conn, const struct net_peer *peer)
{
    ((struct rig *)owner)->far_conn = conn;
    return owner;
}

static void on_data(void *context, struct bytes data)
{
    assert_int_equal(buffer_append(&((struct rig *)context)->got, data), 0);
}

static void on_writable(void *context)
{
}

static void near_closed(void *context, int error)
{
    ((struct rig *)context)->near_conn = NULL;
}

static void far_closed(void *context, int error)
{
    ((struct rig *)context)->far_conn = NULL;
}

static void on_failed(struct net_dial *dial, const char *why)
{
    struct rig *rig = container_of(dial, struct rig, dial);
    assert_false(rig->in_start);
    assert_null(dial->implementation);
    rig->failures++;
    snprintf(rig->why, sizeof(rig->why), "%s", why);
}

static int setup(void **state)
{
    struct rig *rig = mem_alloc_zero(sizeof(*rig));
    os_test_loop_init(&rig->test);
    tcp_init(&rig->tcp, &rig->test.loop);
    buffer_init(&rig->got, 1 << 20);
    dialer_init(&rig->dialer, &rig->tcp, NULL);
    rig->near = (struct net_handler){rig, near_accept, on_data, on_writable, near_closed, NULL, NULL};
    rig->far = (struct net_handler){rig, far_accept, on_data, on_writable, far_closed, NULL, NULL};
    assert_int_equal(listener_open(&rig->listener, &rig->tcp, "127.0.0.1", -1), 0);
    assert_int_equal(listener_start(&rig->listener, &rig->far, NULL), 0);
    snprintf(rig->port, sizeof(rig->port), "%u", rig->listener.port);
    rig->dial =
        (struct net_dial){.host = "localhost", .port = rig->port, .handler = &rig->near, .on_failed = on_failed};
    *state = rig;
    return 0;
}

static bool is_over(void *context)
{
    const struct rig *rig = context;
    return rig->tcp.count == 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    listener_close(&rig->listener);
    tcp_close_all(&rig->tcp);
    if (rig->tcp.count > 0)
        os_test_run_until(&rig->test, is_over, rig);
    tcp_deinit(&rig->tcp);
    loop_deinit(&rig->test.loop);
    buffer_deinit(&rig->got);
    mem_free(rig);
    return 0;
}

static void start(struct rig *rig)
{
    loop_enter(&rig->test.loop);
    rig->in_start = true;
    net_dial_start(&rig->dialer.net, &rig->dial);
    rig->in_start = false;
}

static bool has_hello(void *context)
{
    return ((struct rig *)context)->got.len == 5;
}

static bool has_failed(void *context)
{
    return ((struct rig *)context)->failures > 0;
}

static void a_name_becomes_a_connection(void **state)
{
    struct rig *rig = *state;
    start(rig);
    os_test_run_until(&rig->test, has_hello, rig);
    assert_memory_equal(rig->got.ptr, "hello", 5);
    assert_string_equal(rig->peer.ip, "127.0.0.1"); // not ::1, which is tried first where there is one
    assert_int_equal(rig->peer.port, rig->listener.port);
    assert_false(net_may_start_tls(rig->near_conn));
    assert_int_equal(rig->failures, 0);
}

static void nobody_there_is_told(void **state)
{
    struct rig *rig = *state;
    listener_close(&rig->listener);
    start(rig);
    os_test_run_until(&rig->test, has_failed, rig);
    assert_string_equal(rig->why, "Connection refused");
    rig->failures = 0;
    rig->dial.host = "name.invalid";
    start(rig);
    os_test_run_until(&rig->test, has_failed, rig);
    assert_true(strlen(rig->why) > 0);
    assert_null(rig->near_conn);
}

static void what_is_stopped_is_not_heard_of(void **state)
{
    struct rig *rig = *state;
    start(rig);
    net_dial_stop(&rig->dialer.net, &rig->dial); // its name is being looked up
    net_dial_stop(&rig->dialer.net, &rig->dial);
    assert_null(rig->dial.implementation);
    start(rig); // the struct can be used again
    os_test_run_until(&rig->test, has_hello, rig);
    assert_int_equal(rig->tcp.count, 2);
    assert_int_equal(rig->failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_name_becomes_a_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_there_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_stopped_is_not_heard_of, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
