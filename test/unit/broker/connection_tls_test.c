// SPDX-License-Identifier: Apache-2.0
// CO-S01: who speaks first, and how a connection becomes a secure one; the handshake itself is the network's.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/auth_builder.h"
#include "world.h"

#define HELLO "\x16\x03\x01"

static const struct net_tls_info SECURE = {.version = "1.3", .cipher_suite = "TLS_AES_128_GCM_SHA256"};
static const struct net_tls_info PLAIN = {.failure = "not TLS", .is_plain = true};
static const struct net_tls_info BROKEN = {.failure = "bad certificate"};

struct rig {
    struct world world;
    struct logger logger;
    char log[512]; // the last line
};

static void keep_line(void *owner, enum log_level level, const char *format, va_list arguments)
{
    struct rig *rig = owner;
    (void)level;
    vsnprintf(rig->log, sizeof(rig->log), format, arguments);
}

static void start(struct rig *rig, const struct broker_tls *tls)
{
    struct broker_options options;
    broker_options_default(&options);
    rig->logger = (struct logger){.owner = rig, .level = LOG_INFO, .write = keep_line};
    options.logger = &rig->logger;
    options.tls = *tls;
    options.tls.fallback_ms = 50;
    options.tls.timeout_ms = 2000;
    world_init(&rig->world, &options);
}

static void expect_info(struct peer *peer, const char *wanted, const char *unwanted)
{
    assert_int_equal(buffer_append(&peer->received, bytes_make("", 1)), 0);
    const char *text = peer->received.ptr;
    if (memcmp(text, "INFO {", 6) != 0 || !strstr(text, wanted) || (unwanted && strstr(text, unwanted)))
        fail_msg("\"%s\" should be an INFO with %s, without %s", text, wanted, unwanted ? unwanted : "");
    peer_forget(peer);
}

static void expect_service(struct peer *peer)
{
    peer_say(peer, "CONNECT {\"verbose\":false,\"tls_required\":true}\r\nPING\r\n");
    peer_expect(peer, "PONG\r\n");
    world_advance(peer->world, 10000);
    peer_expect(peer, "PING\r\n"); // the first one, which is not sent before the connection is settled
}

static void info_then_the_handshake(void **state)
{
    struct rig rig;
    start(&rig, &(struct broker_tls){.enabled = true, .verify = true});
    struct peer *peer = peer_arrive(&rig.world);
    assert_true(peer->paused);
    assert_false(peer->shaking);
    world_turn(&rig.world);
    expect_info(peer, "\"tls_required\":true,\"tls_verify\":true", "tls_available");
    assert_true(peer->shaking);
    assert_false(peer->paused);
    peer_secure(peer, &SECURE);
    peer_expect(peer, "");
    expect_service(peer);
    world_deinit(&rig.world);
}

// CO-X07
static void beyond_the_rate_clients_are_sent_away(void **state)
{
    struct rig rig;
    start(&rig, &(struct broker_tls){.enabled = true, .rate_limit = 2});
    struct peer *peers[4];
    for (size_t i = 0; i < 4; i++) {
        peers[i] = peer_arrive(&rig.world);
        world_turn(&rig.world);
        peer_forget(peers[i]);
        if (i == 2)
            world_advance(&rig.world, 1000);
    }
    assert_true(peers[0]->shaking && peers[1]->shaking && peers[3]->shaking);
    assert_false(peers[2]->shaking);
    assert_true(peers[2]->closed);
    assert_non_null(strstr(rig.log, "Connection throttling is active. Please try again later."));
    peer_secure(peers[3], &SECURE);
    expect_service(peers[3]);
    world_deinit(&rig.world);
}

static void info_leaves_whole_before_the_handshake_begins(void **state)
{
    struct rig rig;
    start(&rig, &(struct broker_tls){.enabled = true});
    struct peer *peer = peer_arrive(&rig.world);
    peer->takes = 10;
    world_turn(&rig.world);
    assert_int_equal(peer->received.len, 10);
    assert_false(peer->shaking);
    assert_true(peer->paused);
    peer_take(peer, SIZE_MAX);
    expect_info(peer, "\"tls_required\":true", NULL);
    assert_true(peer->shaking);
    peer_secure(peer, &SECURE);
    expect_service(peer);
    world_deinit(&rig.world);
}

static void the_handshake_then_info(void **state)
{
    struct rig rig;
    start(&rig, &(struct broker_tls){.enabled = true, .allow_plain = true, .first = BROKER_TLS_HANDSHAKE});
    struct peer *peer = peer_arrive(&rig.world);
    world_turn(&rig.world);
    peer_expect(peer, "");
    assert_true(peer->shaking);
    peer_secure(peer, &SECURE);
    expect_info(peer, "\"tls_required\":true", NULL);
    expect_service(peer);
    world_deinit(&rig.world);
}

static void auto_waits_for_who_speaks_first(void **state)
{
    struct rig rig;
    start(&rig, &(struct broker_tls){.enabled = true, .first = BROKER_TLS_AUTO});
    struct peer *early = peer_arrive(&rig.world);
    struct peer *late = peer_arrive(&rig.world);
    world_advance(&rig.world, 40);
    peer_expect(early, "");
    peer_say(early, HELLO);
    assert_true(early->shaking);
    assert_int_equal(early->unread.len, 3); // given back
    peer_expect(late, "");
    world_advance(&rig.world, 20);
    peer_expect(early, "");
    expect_info(late, "\"tls_required\":true", NULL);
    assert_true(late->shaking);
    peer_secure(late, &SECURE);
    peer_expect(late, "");
    buffer_clear(&early->unread);
    peer_secure(early, &SECURE);
    expect_info(early, "\"tls_required\":true", NULL);
    expect_service(late);
    world_deinit(&rig.world);
}

static void clients_without_tls_are_served_where_that_is_allowed(void **state)
{
    struct rig rig;
    start(&rig, &(struct broker_tls){.enabled = true, .allow_plain = true});
    struct peer *secure = peer_arrive(&rig.world);
    struct peer *plain = peer_arrive(&rig.world);
    struct peer *silent = peer_arrive(&rig.world);
    world_turn(&rig.world);
    expect_info(secure, "\"tls_available\":true", "tls_required");
    peer_forget(plain);
    peer_forget(silent);
    peer_say(secure, HELLO);
    assert_true(secure->shaking);
    assert_int_equal(secure->unread.len, 3);
    buffer_clear(&secure->unread);
    peer_secure(secure, &SECURE);
    peer_say(secure, "CONNECT {\"verbose\":false}\r\nPING\r\n");
    peer_expect(secure, "PONG\r\n");
    expect_service(plain);
    assert_false(silent->shaking || silent->closed);
    peer_say(silent, "PING\r\n");
    peer_expect(silent, "PONG\r\n");
    world_deinit(&rig.world);
}

static void a_plain_client_is_told_in_the_clear(void **state)
{
    struct rig rig;
    start(&rig, &(struct broker_tls){.enabled = true});
    struct peer *peer = peer_open(&rig.world);
    peer_secure(peer, &PLAIN);
    peer_expect(peer, "-ERR 'Secure Connection - TLS Required'\r\n");
    assert_true(peer->closed);
    assert_string_equal(rig.log, "127.0.0.1:40000 - cid:1 - TLS handshake error: not TLS");
    world_deinit(&rig.world);
}

static void a_broken_handshake_ends_without_a_word(void **state)
{
    struct rig rig;
    start(&rig, &(struct broker_tls){.enabled = true});
    struct peer *peer = peer_open(&rig.world);
    peer_secure(peer, &BROKEN);
    peer_expect(peer, "");
    assert_true(peer->closed);
    assert_string_equal(rig.log, "127.0.0.1:40000 - cid:1 - TLS handshake error: bad certificate");
    world_deinit(&rig.world);
}

static void a_handshake_has_two_seconds(void **state)
{
    static const enum broker_tls_first firsts[] = {BROKER_TLS_INFO, BROKER_TLS_HANDSHAKE};
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        start(&rig, &(struct broker_tls){.enabled = true, .first = firsts[i]});
        struct peer *peer = peer_arrive(&rig.world);
        world_turn(&rig.world);
        world_advance(&rig.world, 1900);
        assert_false(peer->closed);
        world_advance(&rig.world, 200);
        assert_true(peer->closed);
        assert_string_equal(rig.log, "127.0.0.1:40000 - cid:1 - TLS handshake timeout");
        world_deinit(&rig.world);
    }
}

static void an_end_at_any_stage(void **state)
{
    for (int stage = 0; stage < 5; stage++) {
        for (int ours = 0; ours < 2; ours++) {
            struct rig rig;
            start(&rig, &(struct broker_tls){.enabled = true,
                                             .allow_plain = stage == 3,
                                             .first = stage == 2 ? BROKER_TLS_AUTO : BROKER_TLS_INFO});
            struct peer *peer = peer_arrive(&rig.world);
            if (stage == 1)
                peer->takes = 5;
            if (stage != 0)
                world_turn(&rig.world);
            if (ours)
                broker_shutdown(rig.world.broker);
            else
                peer_close(peer);
            world_advance(&rig.world, 20000);
            assert_true(peer->closed);
            world_deinit(&rig.world);
        }
    }
}

static void who_is_over_the_limit_is_told_before(void **state)
{
    struct rig rig;
    struct broker_options options;
    broker_options_default(&options);
    options.max_connections = 1;
    options.tls.enabled = true;
    world_init(&rig.world, &options);
    peer_open(&rig.world);
    struct peer *peer = peer_open(&rig.world);
    peer_expect(peer, "-ERR 'maximum connections exceeded'\r\n");
    assert_true(peer->closed && !peer->shaking);
    world_deinit(&rig.world);
}

static void a_change_is_for_new_connections(void **state)
{
    struct rig rig;
    start(&rig, &(struct broker_tls){.enabled = false});
    struct peer *old = peer_arrive(&rig.world);
    world_turn(&rig.world);
    expect_info(old, "\"headers\":true", "tls");
    broker_set_tls(rig.world.broker, &(struct broker_tls){.enabled = true, .timeout_ms = 2000});
    struct peer *new = peer_open(&rig.world);
    assert_true(new->shaking);
    expect_service(old);
    world_deinit(&rig.world);
}

// The only user from here on.
static void let_in(struct rig *rig, const char *name)
{
    struct auth_builder *builder = auth_builder_new();
    struct auth_config *config = NULL;
    auth_builder_add_user(
        builder,
        &(struct auth_user_spec){.name = bytes_from_string(name), .password = BYTES("pass"), .has_password = true});
    assert_int_equal(auth_builder_finish(builder, &config, NULL), 0);
    assert_int_equal(broker_auth_replace(rig->world.broker, config), 0);
    auth_config_unref(config);
    auth_builder_free(builder);
}

static void new_users_do_not_disturb_a_handshake(void **state)
{
    struct rig rig;
    start(&rig, &(struct broker_tls){.enabled = true});
    struct peer *peer = peer_arrive(&rig.world);
    world_turn(&rig.world);
    peer_forget(peer);
    let_in(&rig, "ann");
    let_in(&rig, "bob");
    world_turn(&rig.world);
    peer_expect(peer, "");
    peer_secure(peer, &SECURE);
    peer_say(peer, "CONNECT {\"verbose\":false,\"user\":\"bob\",\"pass\":\"pass\"}\r\nPING\r\n");
    peer_expect(peer, "PONG\r\n");
    world_deinit(&rig.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(info_then_the_handshake),
        cmocka_unit_test(beyond_the_rate_clients_are_sent_away),
        cmocka_unit_test(info_leaves_whole_before_the_handshake_begins),
        cmocka_unit_test(the_handshake_then_info),
        cmocka_unit_test(auto_waits_for_who_speaks_first),
        cmocka_unit_test(clients_without_tls_are_served_where_that_is_allowed),
        cmocka_unit_test(a_plain_client_is_told_in_the_clear),
        cmocka_unit_test(a_broken_handshake_ends_without_a_word),
        cmocka_unit_test(a_handshake_has_two_seconds),
        cmocka_unit_test(an_end_at_any_stage),
        cmocka_unit_test(who_is_over_the_limit_is_told_before),
        cmocka_unit_test(a_change_is_for_new_connections),
        cmocka_unit_test(new_users_do_not_disturb_a_handshake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
