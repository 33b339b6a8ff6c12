// SPDX-License-Identifier: Apache-2.0
// What speaks for whoever publishes to a subject of the operators (broker.h, enum inlet_standing): permissions by name, being on the machine
// where there are no users, service exports by name; and never what is published on somebody's behalf.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/auth_builder.h"
#include "broker/account.h"
#include "broker/broker_internal.h"
#include "broker/connection.h"
#include "world.h"

#define STRINGS(...)                                                                                                   \
    {                                                                                                                  \
        (const struct bytes[]){__VA_ARGS__}, sizeof((struct bytes[]){__VA_ARGS__}) / sizeof(struct bytes)              \
    }

struct scene {
    struct world world;
    struct auth_builder *builder;
    struct inlet inlet;
    int count;
    enum inlet_standing standing; // of the last message
};

static bool on_message(struct inlet *inlet, const struct inlet_message *message)
{
    struct scene *scene = (struct scene *)(void *)((char *)inlet - offsetof(struct scene, inlet));
    scene->count++;
    scene->standing = message->standing;
    return true;
}

static void begin(struct scene *scene, const char *pattern)
{
    struct broker_options options;
    *scene = (struct scene){.inlet.on_message = on_message};
    broker_options_default(&options);
    options.server_id = "ID";
    options.server_name = "standing";
    world_init(&scene->world, &options);
    assert_int_equal(broker_inlet_add(scene->world.broker, &scene->inlet, bytes_from_string(pattern)), 0);
    scene->builder = auth_builder_new();
}

static void apply(struct scene *scene)
{
    struct auth_config *config;
    struct auth_error error;
    if (auth_builder_finish(scene->builder, &config, &error))
        fail_msg("%s", error.text);
    auth_builder_free(scene->builder);
    scene->builder = NULL;
    assert_int_equal(broker_auth_replace(scene->world.broker, config), 0);
    auth_config_unref(config);
}

static void end(struct scene *scene)
{
    auth_builder_free(scene->builder);
    broker_inlet_remove(scene->world.broker, &scene->inlet);
    world_deinit(&scene->world);
}

static enum inlet_standing said(struct scene *scene, struct peer *peer, const char *operations)
{
    int before = scene->count;
    peer_say(peer, operations);
    assert_int_equal(scene->count, before + 1);
    return scene->standing;
}

static struct net_peer *address_of(struct peer *peer)
{
    struct connection *connection = peer->context;
    return &connection->peer;
}

static enum inlet_standing from(struct scene *scene, struct peer *peer, const char *ip, enum net_transport transport)
{
    snprintf(address_of(peer)->ip, sizeof(address_of(peer)->ip), "%s", ip);
    address_of(peer)->transport = (uint8_t)transport;
    return said(scene, peer, "PUB $WEIR.API.V1.BACKUP 0\r\n\r\n");
}

static void test_without_users(void **state)
{
    struct scene scene;
    begin(&scene, ">");
    struct peer *peer = peer_connect(&scene.world, "\"name\":\"n\"");
    for (int round = 0; round < 2; round++) {
        assert_int_equal(from(&scene, peer, "127.0.0.1", NET_PLAIN), INLET_STANDING_LOCAL);
        assert_int_equal(from(&scene, peer, "127.9.9.9", NET_PLAIN), INLET_STANDING_LOCAL);
        assert_int_equal(from(&scene, peer, "::1", NET_PLAIN), INLET_STANDING_LOCAL);
        assert_int_equal(from(&scene, peer, "::ffff:127.0.0.1", NET_PLAIN), INLET_STANDING_LOCAL);
        assert_int_equal(from(&scene, peer, "::ffff:10.0.0.1", NET_PLAIN), INLET_STANDING_NONE);
        assert_int_equal(from(&scene, peer, "10.127.0.1", NET_PLAIN), INLET_STANDING_NONE);
        assert_int_equal(from(&scene, peer, "::11", NET_PLAIN), INLET_STANDING_NONE);
        assert_int_equal(from(&scene, peer, "127.0.0.1", NET_WEBSOCKET), INLET_STANDING_NONE);
        address_of(peer)->transport = NET_PLAIN;
        assert_int_equal(said(&scene, peer, "PUB $WEIRD.API 0\r\n\r\n"), INLET_STANDING_NONE);
        assert_int_equal(said(&scene, peer, "PUB $WEIR 0\r\n\r\n"), INLET_STANDING_NONE);
        assert_int_equal(said(&scene, peer, "PUB jobs 0\r\n\r\n"), INLET_STANDING_NONE);
        if (round == 0) // those of the system account are no users
            auth_builder_add_user(scene.builder,
                                  &(struct auth_user_spec){.name = BYTES("s"), .account = BYTES("$SYS")});
        if (round == 0)
            apply(&scene);
    }
    end(&scene);
}

// Clients say where their messages and answers go.
static void test_from_inside(void **state)
{
    struct scene scene;
    begin(&scene, "$WEIR.>");
    const struct bytes none = {0};
    broker_publish(scene.world.broker, BYTES("$WEIR.API.V1.BACKUP"), none, none, &none, 1);
    assert_int_equal(scene.count, 1);
    assert_int_equal(scene.standing, INLET_STANDING_NONE);
    end(&scene);
}

static void test_users(void **state)
{
    struct auth_permissions_spec wide = {.publish_allow = STRINGS(BYTES(">"), BYTES("*.API.V1.X.LIST"))};
    struct auth_permissions_spec viewer = {.publish_allow = STRINGS(BYTES(">"), BYTES("$WEIR.API.V1.*.LIST"))};
    struct auth_permissions_spec operator= {.publish_allow = STRINGS(BYTES("$WEIR.>"))};
    struct auth_permissions_spec denies = {.publish_deny = STRINGS(BYTES("other"))};
    const struct {
        const char *name;
        const struct auth_permissions_spec *permissions;
        enum inlet_standing list, remove;
    } users[] = {
        {"all", NULL, INLET_STANDING_NONE, INLET_STANDING_NONE},
        {"wide", &wide, INLET_STANDING_NONE, INLET_STANDING_NONE},
        {"denies", &denies, INLET_STANDING_NONE, INLET_STANDING_NONE},
        {"viewer", &viewer, INLET_STANDING_NAMED, INLET_STANDING_NONE},
        {"operator", &operator, INLET_STANDING_NAMED, INLET_STANDING_NAMED},
    };
    struct scene scene;
    begin(&scene, "$WEIR.API.>");
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
        auth_builder_add_user(scene.builder, &(struct auth_user_spec){.name = bytes_from_string(users[i].name),
                                                                      .password = BYTES("p"),
                                                                      .has_password = true,
                                                                      .permissions = users[i].permissions});
    apply(&scene);
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        char fields[64];
        snprintf(fields, sizeof(fields), "\"user\":\"%s\",\"pass\":\"p\"", users[i].name);
        struct peer *peer = peer_connect(&scene.world, fields);
        assert_int_equal(said(&scene, peer, "PUB $WEIR.API.V1.X.LIST 0\r\n\r\n"), users[i].list);
        assert_int_equal(said(&scene, peer, "PUB $WEIR.API.V1.X.RM 0\r\n\r\n"), users[i].remove);
    }
    end(&scene);
}

static void add_service(struct scene *scene, const char *exporter, const char *exported, const char *importer,
                        const char *subject, const char *to)
{
    struct auth_export_spec what = {.is_service = true,
                                    .account = bytes_from_string(exporter),
                                    .subject = bytes_from_string(exported),
                                    .is_public = true};
    struct auth_import_spec taken = {.is_service = true,
                                     .account = bytes_from_string(importer),
                                     .exporter = bytes_from_string(exporter),
                                     .subject = bytes_from_string(subject),
                                     .to = bytes_from_string(to)};
    assert_int_equal(auth_builder_add_export(scene->builder, &what), 0);
    assert_int_equal(auth_builder_add_import(scene->builder, &taken), 0);
}

static struct peer *join(struct scene *scene, const char *account)
{
    struct peer *peer = peer_connect(&scene->world, "\"name\":\"n\"");
    connection_account_set(peer->context, account_find(scene->world.broker, bytes_from_string(account)));
    return peer;
}

static void add_accounts(struct scene *scene)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(auth_builder_add_account(scene->builder, bytes_make(&"AB"[i], 1), NULL, 0), 0);
}

static void test_exports(void **state)
{
    struct scene scene;
    begin(&scene, "$WEIR.API.>");
    add_accounts(&scene);
    add_service(&scene, "$G", "$WEIR.API.V1.BACKUP", "A", "$WEIR.API.V1.BACKUP", "adm.backup");
    add_service(&scene, "A", "adm.>", "B", "adm.backup", "");
    apply(&scene);
    assert_int_equal(said(&scene, join(&scene, "A"), "PUB adm.backup 0\r\n\r\n"), INLET_STANDING_EXPORTED);
    assert_int_equal(said(&scene, join(&scene, "B"), "PUB adm.backup 0\r\n\r\n"), INLET_STANDING_EXPORTED);
    end(&scene);
    begin(&scene, "$WEIR.API.>");
    add_accounts(&scene);
    add_service(&scene, "$G", ">", "A", "$WEIR.API.>", "");
    apply(&scene);
    assert_int_equal(said(&scene, join(&scene, "A"), "PUB $WEIR.API.V1.BACKUP 0\r\n\r\n"), INLET_STANDING_NONE);
    end(&scene);
}

// An answer goes where who asked said: that is no request of who answers, nor of who asked.
static void test_answers(void **state)
{
    struct scene scene;
    begin(&scene, "$WEIR.API.>");
    add_accounts(&scene);
    add_service(&scene, "$G", "$WEIR.API.>", "A", "$WEIR.API.>", "");
    add_service(&scene, "B", "echo", "A", "echo", "");
    apply(&scene);
    struct peer *asker = join(&scene, "A"), *answers = join(&scene, "B");
    peer_say(answers, "SUB echo 1\r\n");
    peer_say(asker, "PUB echo $WEIR.API.V1.BACKUP 0\r\n\r\n");
    char reply[64], answer[128];
    assert_int_equal(buffer_append_char(&answers->received, '\0'), 0);
    assert_int_equal(sscanf(answers->received.ptr, "MSG echo 1 %63s", reply), 1);
    snprintf(answer, sizeof(answer), "PUB %s 0\r\n\r\n", reply);
    assert_int_equal(said(&scene, answers, answer), INLET_STANDING_NONE);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_users), cmocka_unit_test(test_from_inside), cmocka_unit_test(test_users),
        cmocka_unit_test(test_exports),       cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
