// SPDX-License-Identifier: Apache-2.0
// A whole node over a made-up network and a memory store: that the parts are put together, take their turns and end in order.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/prng.h"
#include "server/node.h"
#include "sim_disk.h"

struct peer {
    struct net_conn net;
    const struct net_handler *handler;
    void *context;
    struct buffer got;
    bool closing;
    bool closed;
};

struct rig {
    struct options options;
    struct prng prng;
    struct random_source random;
    struct process_source process;
    struct node *node;
    struct moment now;
    struct peer client;
    struct peer browser;
    struct sim_disk disk;
};

static size_t peer_write(struct net_conn *net, const struct bytes *parts, size_t count)
{
    struct peer *peer = container_of(net, struct peer, net);
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(buffer_append(&peer->got, parts[i]), 0);
        taken += parts[i].len;
    }
    return taken;
}

static void peer_nothing(struct net_conn *net)
{
}

static void peer_close(struct net_conn *net)
{
    container_of(net, struct peer, net)->closing = true;
}

static const struct net_ops peer_ops = {
    .write = peer_write, .read_pause = peer_nothing, .read_resume = peer_nothing, .close = peer_close};

static uint64_t random_next(void *owner)
{
    return prng_next(owner);
}

static void process_read(void *owner, struct process_usage *ret_usage)
{
    *ret_usage = (struct process_usage){.resident_bytes = 4711, .cpu_ns = 1000000, .cores = 3};
}

static void connect_peer(struct peer *peer, const struct net_handler *handler)
{
    peer->net.ops = &peer_ops;
    peer->handler = handler;
    buffer_init(&peer->got, 1 << 20);
    peer->context = handler->on_accept(handler->owner, &peer->net, &(struct net_peer){.ip = "127.0.0.1", .port = 1234});
    assert_non_null(peer->context);
}

static void disconnect_peer(struct peer *peer)
{
    if (peer->context && !peer->closed)
        peer->handler->on_close(peer->context, 0);
    peer->closed = true;
}

static void start(struct rig *rig)
{
    struct node_env env = {.disk = rig->options.store == OPTIONS_STORE_FILE ? &rig->disk.disk : NULL,
                           .random = &rig->random,
                           .process = &rig->process,
                           .port = 4222,
                           .http_port = 8222};
    assert_int_equal(node_start(&rig->options, &env, rig->now, &rig->node), 0);
}

static int rig_setup_with(void **state, uint32_t store, bool streaming)
{
    struct rig *rig = mem_alloc_zero(sizeof(*rig));
    options_default(&rig->options, OPTIONS_WEIR);
    rig->options.max_payload = 8192;
    rig->options.log_file_bytes = rig->options.log_first_bytes = 64 * 1024; // so that a log has several
    rig->options.checkpoint_bytes = 64 * 1024;
    rig->options.store = store;
    rig->options.streaming = streaming;
    sim_disk_init(&rig->disk, 1);
    rig->now = (struct moment){.mono_ns = 5000000000, .wall_ns = 1795411771000000000};
    prng_seed(&rig->prng, 1);
    rig->random = (struct random_source){&rig->prng, random_next};
    rig->process = (struct process_source){NULL, process_read, NULL};
    start(rig);
    node_turn_begin(rig->node, rig->now);
    connect_peer(&rig->client, node_client_handler(rig->node));
    connect_peer(&rig->browser, node_monitor_handler(rig->node));
    node_turn_end(rig->node);
    *state = rig;
    return 0;
}

static int rig_setup(void **state)
{
    return rig_setup_with(state, OPTIONS_STORE_MEMORY, true);
}

static int rig_setup_disk(void **state)
{
    return rig_setup_with(state, OPTIONS_STORE_FILE, true);
}

static int rig_setup_core(void **state)
{
    return rig_setup_with(state, OPTIONS_STORE_FILE, false);
}

// A turn without input, after what the disk had to do.
static void idle(struct rig *rig)
{
    do {
        node_turn_begin(rig->node, rig->now);
        sim_disk_drain(&rig->disk);
    } while (node_turn_end(rig->node) || !sim_disk_is_idle(&rig->disk));
}

static int rig_teardown(void **state)
{
    struct rig *rig = *state;
    disconnect_peer(&rig->client);
    disconnect_peer(&rig->browser);
    buffer_deinit(&rig->client.got);
    buffer_deinit(&rig->browser.got);
    if (rig->node) {
        node_shutdown(rig->node);
        while (!node_is_quiet(rig->node))
            idle(rig);
        node_stop(rig->node);
    }
    sim_disk_deinit(&rig->disk);
    mem_free(rig);
    return 0;
}

// One turn, and those that follow at once, in which the peer says something.
static void say(struct rig *rig, struct peer *peer, const char *text)
{
    buffer_clear(&peer->got);
    rig->now.mono_ns += 1000000;
    rig->now.wall_ns += 1000000;
    node_turn_begin(rig->node, rig->now);
    peer->handler->on_data(peer->context, bytes_from_string(text));
    while (node_turn_end(rig->node))
        node_turn_begin(rig->node, rig->now);
}

static const char *heard(struct peer *peer)
{
    assert_int_equal(buffer_append_char(&peer->got, '\0'), 0);
    return peer->got.ptr;
}

static void expect(struct peer *peer, const char *part)
{
    const char *text = heard(peer);
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void clients_are_served(void **state)
{
    struct rig *rig = *state;
    expect(&rig->client, "\"port\":4222");
    say(rig, &rig->client, "CONNECT {\"verbose\":false}\r\nSUB a.* 1\r\nPUB a.b 2\r\nhi\r\nPING\r\n");
    assert_string_equal(heard(&rig->client), "MSG a.b 1 2\r\nhi\r\nPONG\r\n");
}

// As nats-server: nothing goes to the disk and nobody answers STAN's subjects.
static void core_alone_stores_nothing(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(rig->disk.operations, 0);
    say(rig, &rig->client,
        "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nSUB in 1\r\n"
        "PUB _STAN.discover.test-cluster in 0\r\n\r\nPUB a 2\r\nhi\r\nPING\r\n");
    expect(&rig->client, "HMSG in 1 ");
    expect(&rig->client, "NATS/1.0 503");
    expect(&rig->client, "PONG\r\n");
    say(rig, &rig->browser, "GET /healthz HTTP/1.1\r\n\r\n");
    expect(&rig->browser, "{\"status\":\"ok\"}");
    say(rig, &rig->browser, "GET /varz HTTP/1.1\r\n\r\n");
    expect(&rig->browser, "\"in_msgs\": 2,");
    idle(rig);
    assert_int_equal(rig->disk.operations, 0);
}

// CO-H02, CO-H11
static void monitoring_shows_the_parts(void **state)
{
    struct rig *rig = *state;
    say(rig, &rig->client, "CONNECT {\"verbose\":false}\r\nPUB a 3\r\nabc\r\n");
    say(rig, &rig->browser, "GET /healthz?js-enabled-only=true HTTP/1.1\r\n\r\n");
    expect(&rig->browser, "{\"status\":\"ok\"}");
    say(rig, &rig->browser, "GET /varz HTTP/1.1\r\n\r\n");
    static const char *const parts[] = {
        "\"connections\": 1,",      "\"in_msgs\": 1,",     "\"in_bytes\": 3,",
        "\"mem\": 4711,",           "\"cores\": 3,",       "\"now\": \"2026-11-23T05:29:31.003Z\"",
        "\"type\": \"MEMORY\"",     "\"http_port\": 8222", "\"cluster_id\": \"test-cluster\"",
        "\"appended_index\": ",     "\"synced_index\": ",  "\"/varz\": 1",
        "\"version\": \"2.15.0\",",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        expect(&rig->browser, parts[i]);
    say(rig, &rig->browser, "GET / HTTP/1.1\r\n\r\n");
    expect(&rig->browser, "<a href=\"./varz\">");
    say(rig, &rig->browser, "GET /other HTTP/1.1\r\n\r\n");
    expect(&rig->browser, "HTTP/1.1 404 ");
}

// A NATS Streaming connect request (ST-M01) of client "c", which the log has to keep.
#define CONNECT_TO_STAN                                                                                                \
    "CONNECT {\"verbose\":false}\r\nSUB answer 1\r\n"                                                                  \
    "PUB _STAN.discover.test-cluster answer 15\r\n\x0a\x01"                                                            \
    "c\x12\x02hb\x18\x01\x22\x04"                                                                                      \
    "conn\r\n"

static void what_is_durable_is_shown(void **state)
{
    struct rig *rig = *state;
    say(rig, &rig->client, CONNECT_TO_STAN);
    say(rig, &rig->browser, "GET /varz HTTP/1.1\r\n\r\n");
    expect(&rig->browser, "\"appended_index\": 1,\n      \"synced_index\": 0,");
    buffer_clear(&rig->client.got);
    idle(rig);
    expect(&rig->client, "MSG answer 1 ");
    say(rig, &rig->browser, "GET /varz HTTP/1.1\r\n\r\n");
    expect(&rig->browser, "\"appended_index\": 1,\n      \"synced_index\": 1,");
    expect(&rig->browser, "\"clients\": 1,");
}

static void a_log_that_failed_is_no_health(void **state)
{
    struct rig *rig = *state;
    idle(rig);
    sim_disk_fail(&rig->disk, 1, ERR_IO);
    say(rig, &rig->client, CONNECT_TO_STAN);
    idle(rig);
    say(rig, &rig->browser, "GET /healthz HTTP/1.1\r\n\r\n");
    expect(&rig->browser, "HTTP/1.1 503 Service Unavailable\r\n");
    expect(&rig->browser, "the log has failed");
    say(rig, &rig->browser, "GET /varz HTTP/1.1\r\n\r\n");
    expect(&rig->browser, "\"failed\": true,");
    // It still stops in order.
    node_turn_begin(rig->node, rig->now);
    node_shutdown(rig->node);
    node_turn_end(rig->node);
    assert_true(rig->client.closing);
}

// Saved ids come back while the server serves; until then a publish with an id that is not known waits.
static void a_start_is_healthy_when_it_takes_publishes(void **state)
{
    struct rig *rig = *state;
    idle(rig);
    say(rig, &rig->client, CONNECT_TO_STAN);
    idle(rig);
    for (int i = 1000; i < 1200; i++) {
        char data[1100], text[1300];
        memset(data, 'x', sizeof(data));
        int head = snprintf(text, sizeof(text),
                            "PUB _STAN.pub.test-cluster.ch answer 1015\r\n\x0a\x01"
                            "c\x12\x04%d\x1a\x02"
                            "ch\x2a\xe7\x07",
                            i);
        snprintf(text + head, sizeof(text) - (size_t)head, "%.999s\r\n", data);
        say(rig, &rig->client, text);
        idle(rig);
        expect(&rig->client, "MSG answer 1 ");
    }
    node_turn_begin(rig->node, rig->now);
    node_shutdown(rig->node);
    node_turn_end(rig->node);
    disconnect_peer(&rig->client);
    disconnect_peer(&rig->browser);
    while (!node_is_quiet(rig->node))
        idle(rig);
    node_stop(rig->node);
    start(rig);
    rig->browser.closed = rig->browser.closing = false;
    buffer_deinit(&rig->browser.got);
    connect_peer(&rig->browser, node_monitor_handler(rig->node));
    say(rig, &rig->browser, "GET /healthz HTTP/1.1\r\n\r\n");
    expect(&rig->browser, "HTTP/1.1 503 Service Unavailable\r\n");
    expect(&rig->browser, "\"error\":\"starting: ");
    idle(rig);
    say(rig, &rig->browser, "GET /healthz HTTP/1.1\r\n\r\n");
    expect(&rig->browser, "HTTP/1.1 200 OK\r\n");
    expect(&rig->browser, "{\"status\":\"ok\"}");
}

static void the_id_is_random_and_has_the_form_of_a_key(void **state)
{
    struct rig *rig = *state;
    const char *id = node_server_id(rig->node);
    assert_int_equal(strlen(id), 56);
    assert_int_equal(id[0], 'N');
    assert_int_equal(strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), 56);
    struct node *first = rig->node;
    start(rig);
    assert_string_not_equal(node_server_id(rig->node), id);
    node_turn_begin(rig->node, rig->now);
    node_shutdown(rig->node);
    node_turn_end(rig->node);
    node_stop(rig->node);
    rig->node = first;
}

static void deadlines_are_those_of_the_parts(void **state)
{
    struct rig *rig = *state;
    uint64_t deadline_ms = node_next_deadline_ms(rig->node);
    assert_in_range(deadline_ms, moment_mono_ms(rig->now), moment_mono_ms(rig->now) + 60000);
}

static void a_shutdown_gives_connections_their_rest_and_closes_them(void **state)
{
    struct rig *rig = *state;
    say(rig, &rig->client, "CONNECT {\"verbose\":false}\r\nSUB a 1\r\n");
    buffer_clear(&rig->client.got);
    node_turn_begin(rig->node, rig->now);
    struct bytes publish = BYTES("PUB a 2\r\nhi\r\n");
    rig->client.handler->on_data(rig->client.context, publish);
    node_shutdown(rig->node);
    node_shutdown(rig->node);
    node_turn_end(rig->node);
    assert_string_equal(heard(&rig->client), "MSG a 1 2\r\nhi\r\n");
    assert_true(rig->client.closing);
    assert_true(rig->browser.closing);
    assert_true(node_is_quiet(rig->node));
    node_turn_begin(rig->node, rig->now);
    disconnect_peer(&rig->client);
    disconnect_peer(&rig->browser);
    node_turn_end(rig->node);
    node_stop(rig->node);
    rig->node = NULL;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
#define D(name) cmocka_unit_test_setup_teardown(name, rig_setup_disk, rig_teardown)
#define C(name) cmocka_unit_test_setup_teardown(name, rig_setup_core, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(clients_are_served),
        C(core_alone_stores_nothing),
        T(monitoring_shows_the_parts),
        D(what_is_durable_is_shown),
        D(a_log_that_failed_is_no_health),
        D(a_start_is_healthy_when_it_takes_publishes),
        T(the_id_is_random_and_has_the_form_of_a_key),
        T(deadlines_are_those_of_the_parts),
        T(a_shutdown_gives_connections_their_rest_and_closes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
