// SPDX-License-Identifier: Apache-2.0
// CO-S08 with several workers: wherever publisher, subscriber, asker and service are, everybody gets what he would get of one worker,
// once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/auth_builder.h"
#include "base/memory.h"
#include "broker/account.h"
#include "broker/broker_internal.h"
#include "broker/connection.h"
#include "broker/remote_internal.h"
#include "town.h"

#define WORKERS 3

static struct auth_config *make_config(void)
{
    struct auth_builder *builder = auth_builder_new();
    for (int i = 0; i < 3; i++)
        assert_int_equal(auth_builder_add_account(builder, bytes_make(&"ABC"[i], 1), NULL, 0), 0);
    struct auth_export_spec stream = {.account = BYTES("A"), .subject = BYTES("s.>"), .is_public = true};
    struct auth_export_spec service = {
        .is_service = true, .account = BYTES("A"), .subject = BYTES("req"), .is_public = true};
    struct auth_export_spec passed_on = {
        .is_service = true, .account = BYTES("B"), .subject = BYTES("q"), .is_public = true};
    assert_int_equal(auth_builder_add_export(builder, &stream), 0);
    assert_int_equal(auth_builder_add_export(builder, &service), 0);
    assert_int_equal(auth_builder_add_export(builder, &passed_on), 0);
    struct auth_import_spec streams = {
        .account = BYTES("B"), .exporter = BYTES("A"), .subject = BYTES("s.>"), .prefix = BYTES("p")};
    struct auth_import_spec asks = {
        .is_service = true, .account = BYTES("B"), .exporter = BYTES("A"), .subject = BYTES("req"), .to = BYTES("q")};
    struct auth_import_spec asks_on = {
        .is_service = true, .account = BYTES("C"), .exporter = BYTES("B"), .subject = BYTES("q")};
    assert_int_equal(auth_builder_add_import(builder, &streams), 0);
    assert_int_equal(auth_builder_add_import(builder, &asks), 0);
    assert_int_equal(auth_builder_add_import(builder, &asks_on), 0);
    struct auth_config *config;
    assert_int_equal(auth_builder_finish(builder, &config, NULL), 0);
    auth_builder_free(builder);
    return config;
}

static void begin(struct town *town)
{
    struct broker_options options;
    broker_options_default(&options);
    options.server_id = "ID";
    options.server_name = "name";
    town_init(town, WORKERS, &options);
    struct auth_config *config = make_config();
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(broker_accounts_replace(town->workers[i].world.broker, auth_config_view(config)), 0);
    auth_config_unref(config);
    town_settle(town);
}

static struct peer *join(struct town *town, uint32_t worker, const char *account)
{
    struct world *world = &town->workers[worker].world;
    struct peer *peer = peer_connect(world, "\"no_responders\":true,\"headers\":true");
    connection_account_set(peer->context, account_find(world->broker, bytes_from_string(account)));
    return peer;
}

static void say(struct town *town, struct peer *peer, const char *text)
{
    peer_say(peer, text);
    town_settle(town);
}

static void end(struct town *town)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        broker_check(town->workers[i].world.broker);
    town_deinit(town);
}

static void test_streams(void **state)
{
    struct town town;
    begin(&town);
    struct peer *a = join(&town, 0, "A"), *own = join(&town, 1, "A"), *here = join(&town, 0, "B"),
                *there = join(&town, 2, "B");
    say(&town, own, "SUB s.> 1\r\n");
    say(&town, here, "SUB p.s.> 1\r\n");
    say(&town, there, "SUB p.s.* 1\r\n");
    say(&town, a, "PUB s.x 2\r\nhi\r\n");
    peer_expect(own, "MSG s.x 1 2\r\nhi\r\n");
    peer_expect(here, "MSG p.s.x 1 2\r\nhi\r\n");
    peer_expect(there, "MSG p.s.x 1 2\r\nhi\r\n");
    end(&town);
}

// Asker, service and what lies between on any workers.
// Where the answers of an account that is no more arrived is withdrawn in the turn that notices.
static void test_retired_is_forgotten(void **state)
{
    struct town town;
    begin(&town);
    struct peer *asker = join(&town, 0, "C"), *service = join(&town, 1, "A");
    say(&town, service, "SUB req 1\r\n");
    say(&town, asker, "SUB in 1\r\nPUB q in 1\r\nx\r\n");
    struct auth_builder *builder = auth_builder_new();
    assert_int_equal(auth_builder_add_account(builder, BYTES("C"), NULL, 0), 0);
    struct auth_config *config;
    assert_int_equal(auth_builder_finish(builder, &config, NULL), 0);
    auth_builder_free(builder);
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(broker_accounts_replace(town.workers[i].world.broker, auth_config_view(config)), 0);
        town_step(&town, i, 0);
        assert_null(town.workers[i].world.broker->remotes->changed); // no other turn is to come
    }
    auth_config_unref(config);
    town_settle(&town);
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_true(broker_remote_is_idle(town.workers[i].world.broker));
        assert_true(list_empty(&town.workers[i].world.broker->retired));
    }
    end(&town);
}

static void test_requests(void **state)
{
    for (uint32_t at = 0; at < WORKERS * WORKERS * 2; at++) {
        struct town town;
        begin(&town);
        bool is_chain = at >= WORKERS * WORKERS;
        struct peer *asker = join(&town, at % WORKERS, is_chain ? "C" : "B");
        struct peer *service = join(&town, at / WORKERS % WORKERS, "A");
        say(&town, service, "SUB req 1\r\n");
        say(&town, asker, "SUB in 1\r\n");
        for (int i = 0; i < 3; i++) {
            say(&town, asker, "PUB q in 2\r\nhi\r\n");
            char reply[64], text[128];
            assert_int_equal(buffer_append_char(&service->received, '\0'), 0);
            assert_int_equal(sscanf(service->received.ptr, "HMSG req 1 %63s", reply), 1);
            peer_forget(service);
            snprintf(text, sizeof(text), "PUB %s 3\r\nyes\r\n", reply);
            say(&town, service, text);
            peer_expect(asker, "MSG in 1 3\r\nyes\r\n");
            say(&town, service, text); // once
            peer_expect(asker, "");
        }
        say(&town, service, "UNSUB 1\r\n");
        say(&town, asker, "PUB q in 2\r\nhi\r\n");
        peer_expect(asker, "HMSG in 1 33 33\r\nNATS/1.0 503\r\nNats-Subject: q\r\n\r\n\r\n");
        end(&town);
    }
}

// One of all members, wherever they are.
static void test_groups(void **state)
{
    struct town town;
    begin(&town);
    struct peer *a = join(&town, 0, "A");
    struct peer *members[4];
    for (uint32_t i = 0; i < 4; i++) {
        members[i] = join(&town, i % WORKERS, i < 2 ? "A" : "B");
        say(&town, members[i], i < 2 ? "SUB s.x g 1\r\n" : "SUB p.s.x g 1\r\n");
    }
    for (int i = 0; i < 200; i++)
        say(&town, a, "PUB s.x 0\r\n\r\n");
    int sum = 0;
    for (int i = 0; i < 4; i++) {
        int count = 0;
        assert_int_equal(buffer_append_char(&members[i]->received, '\0'), 0);
        for (const char *at = members[i]->received.ptr; (at = strstr(at, "MSG ")); at++)
            count++;
        assert_in_range(count, 20, 90);
        sum += count;
    }
    assert_int_equal(sum, 200);
    end(&town);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_retired_is_forgotten),
        cmocka_unit_test(test_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
