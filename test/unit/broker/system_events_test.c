// SPDX-License-Identifier: Apache-2.0
// What the system account is told: who comes and goes, who was not let in, that the server stops. Fields as nats-server 2.9.10
// sends them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/auth_builder.h"
#include "broker/account.h"
#include "broker/broker_internal.h"
#include "broker/connection.h"
#include "broker/system_events.h"
#include "world.h"

#define SERVER                                                                                                         \
    "\"server\":{\"name\":\"name\",\"host\":\"0.0.0.0\",\"id\":\"ID\",\"ver\":\"2.15.0\",\"seq\":%d,"                  \
    "\"jetstream\":false,\"time\":\"2023-11-14T22:13:20Z\"}"
#define CLIENT                                                                                                         \
    "\"client\":{\"start\":\"2023-11-14T22:13:20Z\",\"host\":\"127.0.0.1\",\"id\":2,\"acc\":\"%s\",\"user\":\"u\","    \
    "\"name\":\"n\",\"lang\":\"c\",\"ver\":\"1\",%s\"kind\":\"Client\",\"client_type\":\"nats\"}"
#define STOP "\"stop\":\"2023-11-14T22:13:20Z\","

struct scene {
    struct world world;
    struct peer *system;
    struct account *account;
};

static void begin(struct scene *scene)
{
    struct broker_options options;
    broker_options_default(&options);
    options.server_id = "ID";
    options.server_name = "name";
    world_init(&scene->world, &options);
    struct bytes name = BYTES("A");
    assert_int_equal(world_accounts(scene->world.broker, &name, 1), 0);
    scene->account = account_find(scene->world.broker, name);
    scene->system = peer_connect(&scene->world, "");
    connection_account_set(scene->system->context, account_system(scene->world.broker));
    peer_say(scene->system, "SUB $SYS.> 1\r\n");
}

// Connects in A, as a login would.
static struct peer *join(struct scene *scene)
{
    struct peer *peer = peer_open(&scene->world);
    connection_account_set(peer->context, scene->account);
    peer_say(peer, "CONNECT {\"verbose\":false,\"headers\":true,\"user\":\"u\",\"pass\":\"secret\",\"name\":\"n\","
                   "\"lang\":\"c\",\"version\":\"1\"}\r\n");
    return peer;
}

// The next event, without type's id and its time.
static void expect_event(struct peer *peer, const char *subject, const char *type, const char *rest)
{
    char head[128], id[64];
    assert_int_equal(buffer_append_char(&peer->received, '\0'), 0);
    int len = snprintf(head, sizeof(head), "MSG %s 1 ", subject);
    if (strncmp(peer->received.ptr, head, (size_t)len) != 0)
        fail_msg("expected %s, got %s", head, peer->received.ptr);
    const char *json = strchr(peer->received.ptr, '\n') + 1;
    if (type) {
        len = snprintf(head, sizeof(head), "{\"type\":\"io.nats.server.advisory.v1.%s\",\"id\":\"", type);
        assert_memory_equal(json, head, (size_t)len);
        assert_int_equal(sscanf(json + len, "%63[0-9A-Za-z]", id), 1);
        assert_int_equal(strlen(id), 22);
        json += len + 22;
    }
    if (strcmp(json, rest) != 0)
        fail_msg("expected %s, got %s", rest, json);
    peer_forget(peer);
}

static void test_connect_and_disconnect(void **state)
{
    struct scene scene;
    char rest[1024];
    begin(&scene);
    struct peer *peer = join(&scene);
    snprintf(rest, sizeof(rest), "\",\"timestamp\":\"2023-11-14T22:13:20Z\"," SERVER "," CLIENT "}\r\n", 1, "A", "");
    expect_event(scene.system, "$SYS.ACCOUNT.A.CONNECT", "client_connect", rest);
    peer_say(peer, "PUB x 3\r\nabc\r\n");
    peer_close(peer);
    world_turn(&scene.world);
    snprintf(rest, sizeof(rest),
             "\",\"timestamp\":\"2023-11-14T22:13:20Z\"," SERVER "," CLIENT ",\"sent\":{\"msgs\":0,\"bytes\":0},"
             "\"received\":{\"msgs\":1,\"bytes\":3},\"reason\":\"Client Closed\"}\r\n",
             2, "A", STOP);
    expect_event(scene.system, "$SYS.ACCOUNT.A.DISCONNECT", "client_disconnect", rest);
    // Nothing about `$G`.
    peer = peer_connect(&scene.world, "");
    peer_close(peer);
    world_turn(&scene.world);
    peer_expect(scene.system, "");
    world_deinit(&scene.world);
}

static void test_who_was_not_let_in(void **state)
{
    struct scene scene;
    char rest[1024];
    begin(&scene);
    struct peer *peer = peer_connect(&scene.world, "\"user\":\"u\",\"pass\":\"bad\",\"name\":\"n\",\"lang\":\"c\","
                                                   "\"version\":\"1\"");
    connection_fail(peer->context, WIRE_AUTHORIZATION_VIOLATION);
    world_turn(&scene.world);
    world_turn(&scene.world);
    snprintf(rest, sizeof(rest),
             "\",\"timestamp\":\"2023-11-14T22:13:20Z\"," SERVER "," CLIENT ",\"sent\":{\"msgs\":0,\"bytes\":0},"
             "\"received\":{\"msgs\":0,\"bytes\":0},\"reason\":\"Authentication Failure\"}\r\n",
             1, "$G", STOP);
    expect_event(scene.system, "$SYS.SERVER.ID.CLIENT.AUTH.ERR", "client_disconnect", rest);
    world_deinit(&scene.world);
}

static void test_account_is_told_too(void **state)
{
    struct scene scene;
    begin(&scene);
    struct peer *own = join(&scene);
    peer_say(own, "SUB $SYS.> 1\r\n");
    struct peer *peer = peer_open(&scene.world);
    connection_account_set(peer->context, scene.account);
    connection_fail(peer->context, WIRE_AUTHENTICATION_EXPIRED);
    world_turn(&scene.world);
    world_turn(&scene.world);
    assert_int_equal(buffer_append_char(&own->received, '\0'), 0);
    assert_memory_equal(own->received.ptr, "MSG $SYS.ACCOUNT.CLIENT.AUTH.ERR 1 ", 35);
    assert_non_null(strstr(own->received.ptr, "\"reason\":\"Authentication Expired\"}"));
    world_deinit(&scene.world);
}

static void test_shutdown_and_lame_duck(void **state)
{
    struct scene scene;
    char rest[1024];
    for (int round = 0; round < 2; round++) {
        begin(&scene);
        if (round)
            broker_shutdown(scene.world.broker);
        else
            system_events_lame_duck(scene.world.broker);
        world_turn(&scene.world);
        snprintf(
            rest, sizeof(rest),
            "{\"name\":\"name\",\"host\":\"0.0.0.0\",\"id\":\"ID\",\"ver\":\"2.15.0\",\"seq\":1,\"jetstream\":false,"
            "\"time\":\"2023-11-14T22:13:20Z\"}\r\n");
        expect_event(scene.system, round ? "$SYS.SERVER.ID.SHUTDOWN" : "$SYS.SERVER.ID.LAMEDUCK", NULL, rest);
        world_deinit(&scene.world);
    }
}

// CO-Y31, in any account; one's own, not those of the system account.
static void test_user_info(void **state)
{
    struct scene scene;
    char rest[1024];
    begin(&scene);
    struct peer *peer = join(&scene);
    peer_say(peer, "SUB in 1\r\nPUB $SYS.REQ.USER.INFO in 0\r\n\r\n");
    snprintf(rest, sizeof(rest), "{" SERVER ",\"data\":{\"user\":\"u\",\"account\":\"A\"}}\r\n", 2);
    expect_event(peer, "in", NULL, rest);
    world_deinit(&scene.world);
}

static void test_user_info_has_permissions(void **state)
{
    struct scene scene;
    char rest[1024];
    begin(&scene);
    struct auth_builder *builder = auth_builder_new();
    assert_int_equal(auth_builder_add_account(builder, BYTES("A"), NULL, 0), 0);
    struct bytes publish[] = {BYTES("p.>"), BYTES("$SYS.REQ.USER.INFO")}, subscribe[] = {BYTES("in"), BYTES("w.* q")};
    struct bytes deny = BYTES("p.x");
    struct auth_permissions_spec permissions = {.publish_allow = {publish, 2},
                                                .publish_deny = {&deny, 1},
                                                .subscribe_allow = {subscribe, 2},
                                                .allow_responses = true,
                                                .response_max = 5,
                                                .response_ttl_ns = -1};
    struct auth_user_spec user = {.name = BYTES("u"),
                                  .account = BYTES("A"),
                                  .password = BYTES("secret"),
                                  .has_password = true,
                                  .permissions = &permissions};
    assert_int_equal(auth_builder_add_user(builder, &user), 0);
    struct auth_config *config;
    assert_int_equal(auth_builder_finish(builder, &config, NULL), 0);
    auth_builder_free(builder);
    assert_int_equal(broker_auth_replace(scene.world.broker, config), 0);
    auth_config_unref(config);
    struct peer *peer = peer_connect(&scene.world, "\"user\":\"u\",\"pass\":\"secret\"");
    peer_say(peer, "SUB in 1\r\nPUB $SYS.REQ.USER.INFO in 0\r\n\r\n");
    snprintf(rest, sizeof(rest),
             "{" SERVER ",\"data\":{\"user\":\"u\",\"account\":\"A\",\"permissions\":{"
             "\"publish\":{\"allow\":[\"p.>\",\"$SYS.REQ.USER.INFO\"],\"deny\":[\"p.x\"]},"
             "\"subscribe\":{\"allow\":[\"in\",\"w.* q\"]},\"responses\":{\"max\":5,\"ttl\":-1}}}}\r\n",
             1);
    expect_event(peer, "in", NULL, rest);
    world_deinit(&scene.world);
}

// CO-Y24, CO-Y25: by a client of the system account, wherever the connection is.
static void test_kick_and_lame_duck_of_one(void **state)
{
    struct scene scene;
    char rest[512];
    begin(&scene);
    struct peer *peer = join(&scene), *other = join(&scene);
    peer_say(peer, "CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n");
    peer_forget(peer);
    peer_say(scene.system, "UNSUB 1\r\nSUB in 1\r\n");
    peer_forget(scene.system);
    peer_say(scene.system, "PUB $SYS.REQ.SERVER.ID.LDM in 9\r\n{\"cid\":2}\r\n");
    snprintf(rest, sizeof(rest), "{" SERVER "}\r\n", 4);
    expect_event(scene.system, "in", NULL, rest);
    assert_int_equal(buffer_append_char(&peer->received, '\0'), 0);
    assert_non_null(strstr(peer->received.ptr, "\"ldm\":true"));
    peer_forget(peer);
    peer_say(scene.system, "PUB $SYS.REQ.SERVER.ID.KICK in 9\r\n{\"cid\":2}\r\n");
    world_turn(&scene.world);
    assert_true(peer->closed && !other->closed);
    peer_forget(scene.system);
    peer_say(scene.system,
             "PUB $SYS.REQ.SERVER.ID.KICK in 9\r\n{\"cid\":2}\r\nPUB $SYS.REQ.SERVER.ID.KICK 2\r\n{]\r\n");
    snprintf(rest, sizeof(rest), "{" SERVER ",\"error\":{\"code\":500,\"description\":\"no such client\"}}\r\n", 6);
    expect_event(scene.system, "in", NULL, rest);
    // Nobody else may.
    peer_say(other, "PUB $SYS.REQ.SERVER.ID.KICK 9\r\n{\"cid\":1}\r\n");
    world_turn(&scene.world);
    assert_false(scene.system->closed);
    broker_check(scene.world.broker);
    world_deinit(&scene.world);
}

static void test_nothing_is_written_for_nobody(void **state)
{
    struct scene scene;
    begin(&scene);
    peer_say(scene.system, "UNSUB 1\r\n");
    peer_close(join(&scene));
    world_turn(&scene.world);
    assert_int_equal(scene.world.broker->event_seq, 0);
    world_deinit(&scene.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_and_disconnect),
        cmocka_unit_test(test_who_was_not_let_in),
        cmocka_unit_test(test_account_is_told_too),
        cmocka_unit_test(test_shutdown_and_lame_duck),
        cmocka_unit_test(test_user_info),
        cmocka_unit_test(test_user_info_has_permissions),
        cmocka_unit_test(test_nothing_is_written_for_nobody),
        cmocka_unit_test(test_kick_and_lame_duck_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
