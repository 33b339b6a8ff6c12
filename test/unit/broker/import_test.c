// SPDX-License-Identifier: Apache-2.0
// CO-S08: streams and services that accounts export and import; what nats-server 2.9.10 does with the same configuration.
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
#include "broker/import.h"
#include "world.h"

struct scene {
    struct world world;
    struct auth_builder *builder;
    struct peer *a, *b, *c;
};

static void begin(struct scene *scene)
{
    struct broker_options options;
    broker_options_default(&options);
    options.server_id = "ID";
    options.server_name = "oracle";
    options.max_responses = 200;
    options.ping_interval_ms = 100000000;
    world_init(&scene->world, &options);
    scene->builder = auth_builder_new();
    for (int i = 0; i < 3; i++)
        assert_int_equal(auth_builder_add_account(scene->builder, bytes_make(&"ABC"[i], 1), NULL, 0), 0);
}

static void give(struct scene *scene, const char *account, bool is_service, const char *subject,
                 enum auth_response_type response, int64_t threshold_ms)
{
    struct auth_export_spec spec = {.is_service = is_service,
                                    .account = bytes_from_string(account),
                                    .subject = bytes_from_string(subject),
                                    .is_public = true,
                                    .response = response,
                                    .response_threshold_ns = threshold_ms * 1000000};
    assert_int_equal(auth_builder_add_export(scene->builder, &spec), 0);
}

static void take(struct scene *scene, const char *account, const char *exporter, bool is_service, const char *subject,
                 const char *prefix, const char *to, bool share)
{
    struct auth_import_spec spec = {.is_service = is_service,
                                    .account = bytes_from_string(account),
                                    .exporter = bytes_from_string(exporter),
                                    .subject = bytes_from_string(subject),
                                    .prefix = bytes_from_string(prefix),
                                    .to = bytes_from_string(to),
                                    .share = share};
    assert_int_equal(auth_builder_add_import(scene->builder, &spec), 0);
}

static struct peer *join(struct scene *scene, const char *account, const char *fields)
{
    struct peer *peer = peer_connect(&scene->world, fields);
    connection_account_set(peer->context, account_find(scene->world.broker, bytes_from_string(account)));
    return peer;
}

static void apply(struct scene *scene)
{
    struct auth_config *config;
    struct auth_error error;
    if (auth_builder_finish(scene->builder, &config, &error))
        fail_msg("%s", error.text);
    auth_builder_free(scene->builder);
    assert_int_equal(broker_accounts_replace(scene->world.broker, auth_config_view(config)), 0);
    auth_config_unref(config);
}

static void open_scene(struct scene *scene)
{
    static const char FIELDS[] =
        "\"headers\":true,\"no_responders\":true,\"name\":\"n\",\"lang\":\"c\",\"version\":\"1\","
        "\"user\":\"u\",\"pass\":\"secret\"";
    apply(scene);
    scene->a = join(scene, "A", FIELDS);
    scene->b = join(scene, "B", FIELDS);
    scene->c = join(scene, "C", FIELDS);
    world_advance(&scene->world, 3000); // the first pings
    struct peer *peers[] = {scene->a, scene->b, scene->c};
    for (int i = 0; i < 3; i++) {
        peer_expect(peers[i], "PING\r\n");
        peer_say(peers[i], "PONG\r\n");
    }
}

static void end(struct scene *scene)
{
    broker_check(scene->world.broker);
    world_deinit(&scene->world);
}

// What A received must be a request to this subject; returns the reply subject it carries.
static const char *asked(struct peer *peer, const char *subject)
{
    static char reply[64];
    char verb[8], got[64], sid[16];
    assert_int_equal(buffer_append_char(&peer->received, '\0'), 0);
    assert_int_equal(sscanf(peer->received.ptr, "%7s %63s %15s %63s", verb, got, sid, reply), 4);
    assert_string_equal(got, subject);
    assert_memory_equal(reply, "_R_.", 4);
    peer_forget(peer);
    return reply;
}

static void say(struct peer *peer, const char *format, const char *subject)
{
    char text[256];
    snprintf(text, sizeof(text), format, subject);
    peer_say(peer, text);
}

static void test_streams(void **state)
{
    struct scene scene;
    begin(&scene);
    give(&scene, "A", false, "s.>", 0, 0);
    give(&scene, "A", false, "p.*", 0, 0);
    give(&scene, "A", false, "tr.*.*", 0, 0);
    give(&scene, "B", false, "from.a.>", 0, 0);
    take(&scene, "B", "A", false, "s.>", "from.a", "", false);
    take(&scene, "B", "A", false, "p.*", "", "priv.*", false);
    take(&scene, "B", "A", false, "tr.*.*", "", "rt.$2.$1", false);
    take(&scene, "C", "B", false, "from.a.>", "via.b", "", false);
    open_scene(&scene);
    peer_say(scene.b, "SUB from.a.> 1\r\nSUB priv.x 2\r\nSUB rt.x.* q 3\r\nSUB s.one 4\r\n");
    peer_say(scene.c, "SUB > 1\r\n");
    peer_say(scene.a, "PUB s.one r 2\r\nhi\r\n");
    peer_expect(scene.b, "MSG from.a.s.one 1 r 2\r\nhi\r\n"); // the reply subject stays
    peer_say(scene.a, "PUB p.x 2\r\nhi\r\nPUB p.y 2\r\nhi\r\nPUB tr.y.x 2\r\nhi\r\nPUB other 0\r\n\r\n");
    peer_expect(scene.b, "MSG priv.x 2 2\r\nhi\r\nMSG rt.x.y 3 2\r\nhi\r\n");
    // A stream ends in the account that imports it; what is published there is no stream of the exporter.
    peer_expect(scene.c, "");
    peer_say(scene.b, "PUB from.a.s.two 0\r\n\r\n");
    peer_expect(scene.a, "");
    peer_expect(scene.b, "MSG from.a.s.two 1 0\r\n\r\n");
    peer_expect(scene.c, "MSG via.b.from.a.s.two 1 0\r\n\r\n");
    // An imported stream without subscribers is nobody: who asks for an answer there learns it.
    peer_say(scene.a, "SUB in 9\r\nPUB s.none in 0\r\n\r\nPUB p.none in 0\r\n\r\n");
    peer_expect(scene.a, "HMSG in 9 38 38\r\nNATS/1.0 503\r\nNats-Subject: p.none\r\n\r\n\r\n");
    end(&scene);
}

static int count_of(struct peer *peer, const char *head)
{
    int count = 0;
    assert_int_equal(buffer_append_char(&peer->received, '\0'), 0);
    for (const char *at = peer->received.ptr; (at = strstr(at, head)); at++)
        count++;
    peer_forget(peer);
    return count;
}

// One group, wherever its members are; groups of other names are their own.
static void test_groups_over_accounts(void **state)
{
    struct scene scene;
    begin(&scene);
    give(&scene, "A", false, "s.>", 0, 0);
    take(&scene, "B", "A", false, "s.>", "", "", false);
    take(&scene, "C", "A", false, "s.>", "p", "", false);
    open_scene(&scene);
    peer_say(scene.a, "SUB s.* g 1\r\nSUB s.x own 2\r\n");
    peer_say(scene.b, "SUB s.x g 1\r\nSUB s.> g 1a\r\nSUB s.x other 2\r\nSUB s.x 3\r\n");
    peer_say(scene.c, "SUB p.s.x g 1\r\nSUB p.s.x late 2\r\n");
    for (int i = 0; i < 400; i++)
        peer_say(scene.a, "PUB s.x 0\r\n\r\n");
    broker_check(scene.world.broker);
    struct peer *peers[] = {scene.a, scene.b, scene.c};
    int sum = 0;
    for (int i = 0; i < 3; i++) {
        char *copy = mem_copy(buffer_bytes(&peers[i]->received));
        size_t len = peers[i]->received.len;
        int mine = count_of(peers[i], i < 2 ? "MSG s.x 1" : "MSG p.s.x 1");
        assert_int_equal(buffer_append(&peers[i]->received, bytes_make(copy, len)), 0);
        mem_free(copy);
        sum += mine;
        assert_in_range(mine, i == 1 ? 150 : 60, i == 1 ? 250 : 140); // B has two members of four
        assert_int_equal(count_of(peers[i], i < 2 ? "MSG s.x 2" : "MSG p.s.x 2"), 400);
    }
    assert_int_equal(sum, 400);
    // When the members in one account leave, the others get all.
    peer_say(scene.b, "UNSUB 1\r\nUNSUB 1a\r\n");
    peer_say(scene.c, "UNSUB 1\r\n");
    for (int i = 0; i < 10; i++)
        peer_say(scene.a, "PUB s.x 0\r\n\r\n");
    assert_int_equal(count_of(scene.a, "MSG s.x 1"), 10);
    end(&scene);
}

static void test_service(void **state)
{
    struct scene scene;
    begin(&scene);
    give(&scene, "A", true, "req.*", 0, 0);
    take(&scene, "B", "A", true, "req.*", "", "q.*", false);
    give(&scene, "C", true, "other", 0, 0);
    take(&scene, "B", "C", true, "other", "", "", false);
    open_scene(&scene);
    peer_say(scene.c, "SUB other 1\r\n"); // answers are heard there too
    peer_say(scene.b, "PUB other in.0 0\r\n\r\n");
    asked(scene.c, "other");
    peer_say(scene.a, "SUB req.* 1\r\n");
    peer_say(scene.b, "SUB in.> 1\r\nSUB q.x 2\r\nPUB q.x in.1 2\r\nhi\r\n");
    peer_expect(scene.b, "MSG q.x 2 in.1 2\r\nhi\r\n"); // its own subscribers get it too
    broker_check(scene.world.broker);
    const char *reply = asked(scene.a, "req.x");
    say(scene.c, "PUB %s 5\r\nforge\r\n", reply);
    peer_expect(scene.b, ""); // only who was asked
    say(scene.a, "PUB %s 6\r\nanswer\r\nPUB q.x 0\r\n\r\n", reply);
    peer_expect(scene.b, "MSG in.1 1 6\r\nanswer\r\n");
    say(scene.a, "PUB %s 6\r\nsecond\r\n", reply);
    peer_expect(scene.b, "");                                           // one answer
    assert_int_equal(map_u64_count(&scene.world.broker->responses), 1); // other's
    end(&scene);
}

// CO-P10 across accounts.
static void test_service_without_responders(void **state)
{
    struct scene scene;
    begin(&scene);
    give(&scene, "A", true, "req.*", 0, 0);
    give(&scene, "B", true, "q.>", 0, 0);
    take(&scene, "B", "A", true, "req.*", "", "q.*", false);
    take(&scene, "C", "B", true, "q.>", "", "cq.>", false);
    open_scene(&scene);
    peer_say(scene.b, "SUB in.> 1\r\nPUB q.x in.1 2\r\nhi\r\n");
    peer_expect(scene.b, "HMSG in.1 1 35 35\r\nNATS/1.0 503\r\nNats-Subject: q.x\r\n\r\n\r\n");
    peer_say(scene.c, "SUB in.> 1\r\nPUB cq.x in.1 2\r\nhi\r\n");
    peer_expect(scene.c, "HMSG in.1 1 36 36\r\nNATS/1.0 503\r\nNats-Subject: cq.x\r\n\r\n\r\n");
    assert_int_equal(map_u64_count(&scene.world.broker->responses), 0);
    // Over two accounts, and back.
    peer_say(scene.a, "SUB req.* 1\r\n");
    peer_say(scene.c, "PUB cq.x in.2 2\r\nhi\r\n");
    assert_int_equal(map_u64_count(&scene.world.broker->responses), 2);
    say(scene.a, "PUB %s 6\r\nanswer\r\n", asked(scene.a, "req.x"));
    peer_expect(scene.c, "MSG in.2 1 6\r\nanswer\r\n");
    assert_int_equal(map_u64_count(&scene.world.broker->responses), 0);
    end(&scene);
}

static void test_request_info(void **state)
{
    struct scene scene;
    begin(&scene);
    give(&scene, "A", true, "req", 0, 0);
    give(&scene, "A", true, "shared", 0, 0);
    give(&scene, "B", true, "q", 0, 0);
    take(&scene, "B", "A", true, "req", "", "q", false);
    take(&scene, "B", "A", true, "shared", "", "", true);
    take(&scene, "C", "B", true, "q", "", "", false);
    open_scene(&scene);
    peer_say(scene.a, "SUB req 1\r\nSUB shared 2\r\n");
    peer_say(scene.b, "PUB q 2\r\nhi\r\n");
    peer_expect(scene.a, "HMSG req 1 44 46\r\nNATS/1.0\r\nNats-Request-Info: {\"acc\":\"B\"}\r\n\r\nhi\r\n");
    // Nobody can claim to be somebody else.
    peer_say(scene.b, "HPUB q 52 54\r\nNATS/1.0\r\nFoo: bar\r\nNats-Request-Info: {\"acc\":1}\r\n\r\nhi\r\n");
    peer_expect(scene.a,
                "HMSG req 1 54 56\r\nNATS/1.0\r\nFoo: bar\r\nNats-Request-Info: {\"acc\":\"B\"}\r\n\r\nhi\r\n");
    peer_say(scene.c, "PUB q 0\r\n\r\n");
    peer_expect(scene.a,
                "HMSG req 1 54 54\r\nNATS/1.0\r\nNats-Request-Info: {\"acc\":\"C\",\"svc\":\"B\"}\r\n\r\n\r\n");
    peer_say(scene.b, "PUB shared 0\r\n\r\n");
    peer_expect(scene.a,
                "HMSG shared 2 199 199\r\nNATS/1.0\r\nNats-Request-Info: "
                "{\"start\":\"2023-11-14T22:13:20Z\",\"host\":\"127.0.0.1\",\"id\":2,\"acc\":\"B\",\"user\":\"u\","
                "\"name\":\"n\",\"lang\":\"c\",\"ver\":\"1\",\"server\":\"oracle\",\"kind\":\"Client\","
                "\"client_type\":\"nats\"}\r\n\r\n\r\n");
    end(&scene);
}

static void test_streamed_answers(void **state)
{
    struct scene scene;
    begin(&scene);
    give(&scene, "A", true, "st", AUTH_RESPONSE_STREAM, 1000);
    give(&scene, "A", true, "ch", AUTH_RESPONSE_CHUNKED, 1000);
    take(&scene, "B", "A", true, "st", "", "", false);
    take(&scene, "B", "A", true, "ch", "", "", false);
    open_scene(&scene);
    peer_say(scene.a, "SUB st 1\r\nSUB ch 2\r\n");
    peer_say(scene.b, "SUB in 1\r\n");
    for (int round = 0; round < 2; round++) {
        peer_say(scene.b, round ? "PUB ch in 0\r\n\r\n" : "PUB st in 0\r\n\r\n");
        const char *reply = asked(scene.a, round ? "ch" : "st");
        for (int i = 0; i < 3; i++) {
            world_advance(&scene.world, 600); // each answer gives it another second
            say(scene.a, "PUB %s 1\r\nx\r\n", reply);
            peer_expect(scene.b, "MSG in 1 1\r\nx\r\n");
        }
        say(scene.a, "PUB %s 0\r\n\r\n", reply);
        peer_expect(scene.b, "MSG in 1 0\r\n\r\n");
        say(scene.a, "PUB %s 1\r\ny\r\n", reply);
        peer_expect(scene.b, "");
    }
    peer_say(scene.b, "PUB st in 0\r\n\r\n");
    const char *reply = asked(scene.a, "st");
    world_advance(&scene.world, 1100);
    say(scene.a, "PUB %s 1\r\nx\r\n", reply);
    peer_expect(scene.b, ""); // too late
    assert_int_equal(map_u64_count(&scene.world.broker->responses), 0);
    end(&scene);
}

// Who answers may ask in turn.
static void test_answer_with_a_reply(void **state)
{
    struct scene scene;
    begin(&scene);
    give(&scene, "A", true, "req", 0, 0);
    take(&scene, "B", "A", true, "req", "", "", false);
    open_scene(&scene);
    peer_say(scene.a, "SUB req 1\r\nSUB more 2\r\n");
    peer_say(scene.b, "SUB in 1\r\nPUB req in 0\r\n\r\n");
    say(scene.a, "PUB %s more 1\r\nx\r\n", asked(scene.a, "req"));
    say(scene.b, "PUB %s 1\r\ny\r\n", asked(scene.b, "in"));
    peer_expect(scene.a, "MSG more 2 1\r\ny\r\n");
    end(&scene);
}

static void test_responses_are_bounded_and_expire(void **state)
{
    struct scene scene;
    begin(&scene);
    give(&scene, "A", true, "req", 0, 0);
    take(&scene, "B", "A", true, "req", "", "", false);
    open_scene(&scene);
    peer_say(scene.a, "SUB req 1\r\n");
    peer_say(scene.b, "SUB in 1\r\n");
    for (int i = 0; i < 100; i++)
        peer_say(scene.b, "PUB req in 0\r\n\r\n");
    peer_expect(scene.b, "");
    peer_say(scene.b, "PUB req in 0\r\n\r\n");
    peer_expect(scene.b, "HMSG in 1 35 35\r\nNATS/1.0 503\r\nNats-Subject: req\r\n\r\n\r\n");
    broker_check(scene.world.broker);
    world_advance(&scene.world, 121000);
    assert_int_equal(map_u64_count(&scene.world.broker->responses), 0);
    end(&scene);
}

// Who asks what nobody answers takes half of what there is at most, in number and in bytes; another account still gets its answers.
static void test_responses_are_shared_out(void **state)
{
    for (int is_long = 0; is_long < 2; is_long++) {
        struct scene scene;
        begin(&scene);
        give(&scene, "A", true, "req", 0, 0);
        take(&scene, "B", "A", true, "req", "", "", false);
        take(&scene, "C", "B", true, "req", "", "by.b", false); // counts for C, not for B
        assert_int_equal(auth_builder_add_export(scene.builder, &(struct auth_export_spec){.is_service = true,
                                                                                           .account = BYTES("B"),
                                                                                           .subject = BYTES("req"),
                                                                                           .is_public = true}),
                         0);
        open_scene(&scene);
        struct broker *broker = scene.world.broker;
        char reply[1024] = "in", text[1100];
        if (is_long) {
            memset(reply, 'r', 1000);
            broker->options.max_response_bytes = 100000;
        }
        snprintf(text, sizeof(text), "PUB by.b %s 0\r\n\r\n", reply);
        peer_say(scene.a, "SUB req 1\r\n");
        for (int i = 0; i < 300; i++)
            peer_say(scene.c, text);
        peer_forget(scene.a);
        peer_forget(scene.c);
        broker_check(broker);
        assert_true(map_u64_count(&broker->responses) <= 100 && broker->response_bytes <= 50000);
        peer_say(scene.b, "SUB in 1\r\nPUB req in 0\r\n\r\n");
        say(scene.a, "PUB %s 2\r\nok\r\n", asked(scene.a, "req"));
        peer_expect(scene.b, "MSG in 1 2\r\nok\r\n");
        world_advance(&scene.world, 121000);
        assert_int_equal(map_u64_count(&broker->responses), 0);
        assert_int_equal(broker->response_bytes, 0);
        end(&scene);
    }
}

// The longest way there and back: who asked first is known at its end, and everything is done within the turn.
static void test_long_chain(void **state)
{
    struct scene scene;
    begin(&scene);
    char names[IMPORT_HOPS_MAX + 1][4];
    for (int i = 0; i <= IMPORT_HOPS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d", i);
        assert_int_equal(auth_builder_add_account(scene.builder, bytes_from_string(names[i]), NULL, 0), 0);
        if (i > 0) {
            give(&scene, names[i], true, "req", 0, 0);
            take(&scene, names[i - 1], names[i], true, "req", "", "", i == 1);
        }
    }
    open_scene(&scene);
    struct peer *asker = join(&scene, "n0", "\"headers\":true,\"name\":\"first\"");
    struct peer *service = join(&scene, names[IMPORT_HOPS_MAX], "\"headers\":true");
    peer_say(service, "SUB req 1\r\n");
    peer_say(asker, "SUB in 1\r\n");
    peer_give_bytes(asker, BYTES("PUB req in 1\r\nx\r\n"));
    assert_true(list_empty(&scene.world.broker->deferred));
    world_turn(&scene.world);
    assert_int_equal(buffer_append_char(&service->received, '\0'), 0);
    assert_non_null(strstr(service->received.ptr, "\"acc\":\"n0\",\"svc\":\"n15\",\"name\":\"first\""));
    say(service, "PUB %s 2\r\nok\r\n", asked(service, "req"));
    peer_expect(asker, "MSG in 1 2\r\nok\r\n");
    end(&scene);
}

static void test_reload(void **state)
{
    struct scene scene;
    begin(&scene);
    give(&scene, "A", false, "s.*", 0, 0);
    give(&scene, "A", true, "req", 0, 0);
    take(&scene, "B", "A", false, "s.*", "", "", false);
    take(&scene, "B", "A", true, "req", "", "", false);
    open_scene(&scene);
    peer_say(scene.a, "SUB req 1\r\n");
    peer_say(scene.b, "SUB s.* 1\r\nSUB t.* 2\r\nSUB in 3\r\nPUB req in 0\r\n\r\n");
    const char *reply = asked(scene.a, "req");
    for (int i = 0; i < 4; i++) // into the match cache
        peer_say(scene.a, "PUB s.x 0\r\n\r\n");
    peer_forget(scene.b);
    scene.builder = auth_builder_new();
    for (int i = 0; i < 3; i++)
        assert_int_equal(auth_builder_add_account(scene.builder, bytes_make(&"ABC"[i], 1), NULL, 0), 0);
    give(&scene, "A", false, "s.*", 0, 0);
    take(&scene, "B", "A", false, "s.*", "", "t.*", false);
    apply(&scene);
    peer_say(scene.a, "PUB s.x 0\r\n\r\n");
    peer_expect(scene.b, "MSG t.x 2 0\r\n\r\n");
    peer_say(scene.b, "PUB req in 0\r\n\r\n");
    peer_expect(scene.a, "");
    peer_expect(scene.b, "HMSG in 3 35 35\r\nNATS/1.0 503\r\nNats-Subject: req\r\n\r\n\r\n");
    say(scene.a, "PUB %s 1\r\nx\r\n", reply); // what was asked before is answered
    peer_expect(scene.b, "MSG in 3 1\r\nx\r\n");
    // Without B at all: nobody is there to be answered.
    peer_say(scene.a, "UNSUB 1\r\n");
    scene.builder = auth_builder_new();
    assert_int_equal(auth_builder_add_account(scene.builder, BYTES("A"), NULL, 0), 0);
    apply(&scene);
    world_turn(&scene.world);
    assert_true(scene.b->closed && !scene.a->closed);
    peer_say(scene.a, "PUB s.x 0\r\n\r\n");
    assert_true(list_empty(&scene.world.broker->retired));
    end(&scene);
}

static void expect_metric(struct peer *peer, const char *part)
{
    assert_int_equal(buffer_append_char(&peer->received, '\0'), 0);
    if (!strstr(peer->received.ptr, "{\"type\":\"io.nats.server.metric.v1.service_latency\",\"id\":\"") ||
        !strstr(peer->received.ptr, part))
        fail_msg("expected %s, got %s", part, peer->received.ptr);
    peer_forget(peer);
}

static void test_latency(void **state)
{
    struct scene scene;
    begin(&scene);
    struct auth_export_spec spec = {.is_service = true,
                                    .account = BYTES("A"),
                                    .subject = BYTES("lat"),
                                    .is_public = true,
                                    .latency_sampling = 100,
                                    .latency_subject = BYTES("lat.out")};
    assert_int_equal(auth_builder_add_export(scene.builder, &spec), 0);
    spec.subject = BYTES("traced");
    spec.latency_sampling = AUTH_LATENCY_HEADERS;
    assert_int_equal(auth_builder_add_export(scene.builder, &spec), 0);
    take(&scene, "B", "A", true, "lat", "", "", false);
    take(&scene, "B", "A", true, "traced", "", "", false);
    open_scene(&scene);
    struct peer *ear = join(&scene, "A", "");
    peer_say(ear, "SUB lat.out 1\r\n");
    peer_say(scene.a, "SUB lat 1\r\nSUB traced 1\r\n");
    peer_say(scene.b, "SUB in 1\r\nPUB lat in 0\r\n\r\n");
    const char *reply = asked(scene.a, "lat");
    world_advance(&scene.world, 250);
    say(scene.a, "PUB %s 1\r\nx\r\n", reply);
    expect_metric(ear, "\"status\":200,\"requestor\":{\"acc\":\"B\"},\"responder\":{\"start\":\"2023-11-14T22:13:20Z\","
                       "\"host\":\"127.0.0.1\",\"id\":1,\"acc\":\"A\",\"user\":\"u\",\"name\":\"n\",\"lang\":\"c\","
                       "\"ver\":\"1\",\"server\":\"oracle\",\"kind\":\"Client\",\"client_type\":\"nats\"},"
                       "\"start\":\"2023-11-14T22:13:20Z\",\"service\":250000000,\"system\":0,\"total\":250000000}");
    // Too late, nobody there, nowhere to answer to.
    peer_say(scene.b, "PUB lat in 0\r\n\r\n");
    world_advance(&scene.world, 130000);
    expect_metric(ear, "\"status\":504,\"description\":\"Service Timeout\"");
    peer_say(scene.b, "PUB lat 0\r\n\r\n");
    expect_metric(ear, "\"status\":400,\"description\":\"Bad Request\"");
    peer_say(scene.a, "UNSUB 1\r\n");
    peer_say(scene.b, "PUB lat in 0\r\n\r\n");
    expect_metric(ear, "\"status\":503,\"description\":\"Service Unavailable\"");
    // As the request asks for it.
    peer_say(scene.b, "PUB traced 0\r\n\r\nHPUB traced 29 29\r\nNATS/1.0\r\nX-B3-Sampled: 0\r\n\r\n\r\n");
    peer_expect(ear, "");
    static const char *const TRACED[] = {"X-B3-Sampled: 1", "Traceparent: 0-1-2-01", "Uber-Trace-Id: 1:2:3:1",
                                         "B3: 1-2-d"};
    for (int i = 0; i < 4; i++) {
        char text[128];
        int size = (int)strlen(TRACED[i]) + 14;
        snprintf(text, sizeof(text), "HPUB traced %d %d\r\nNATS/1.0\r\n%s\r\n\r\n\r\n", size, size, TRACED[i]);
        peer_say(scene.b, text);
        expect_metric(ear, "\"status\":400");
    }
    end(&scene);
}

// A user name that no metric has room for: there is none, the service is answered as ever.
static void test_latency_of_long_user(void **state)
{
    struct scene scene;
    begin(&scene);
    struct auth_export_spec spec = {.is_service = true,
                                    .account = BYTES("A"),
                                    .subject = BYTES("lat"),
                                    .is_public = true,
                                    .latency_sampling = 100,
                                    .latency_subject = BYTES("lat.out")};
    assert_int_equal(auth_builder_add_export(scene.builder, &spec), 0);
    take(&scene, "B", "A", true, "lat", "", "", true);
    static char name[128 * 1024];
    memset(name, 'n', sizeof(name));
    struct auth_user_spec user = {.name = bytes_make(name, sizeof(name)), .account = BYTES("B")};
    assert_int_equal(auth_builder_add_user(scene.builder, &user), 0);
    auth_builder_set_no_auth_user(scene.builder, user.name, 0);
    struct auth_config *config;
    assert_int_equal(auth_builder_finish(scene.builder, &config, NULL), 0);
    auth_builder_free(scene.builder);
    assert_int_equal(broker_auth_replace(scene.world.broker, config), 0);
    auth_config_unref(config);
    struct peer *asker = peer_connect(&scene.world, "\"headers\":true,\"name\":\"n\""), *ear = join(&scene, "A", "");
    struct peer *service = join(&scene, "A", "");
    peer_say(ear, "SUB lat.out 1\r\n");
    peer_say(service, "SUB lat 1\r\n");
    peer_say(asker, "SUB in 1\r\nPUB lat in 0\r\n\r\n");
    const char *reply = asked(service, "lat");
    say(service, "PUB %s 1\r\nx\r\n", reply);
    peer_expect(asker, "MSG in 1 1\r\nx\r\n");
    peer_expect(ear, "");
    end(&scene);
}

struct echo {
    struct inlet inlet;
    struct account *account;
    bool twice;
};

static bool answer(struct inlet *inlet, const struct inlet_message *message)
{
    struct echo *echo = container_of(inlet, struct echo, inlet);
    for (int i = 0; i < 1 + echo->twice; i++)
        account_publish(echo->account, message->reply, (struct bytes){0}, (struct bytes){0}, &message->payload, 1);
    return true;
}

// Inlets answer from within the request; a second answer must not reach the first one's memory.
static void test_inlets_answer_at_once(void **state)
{
    struct scene scene;
    begin(&scene);
    give(&scene, "A", true, "req", 0, 0);
    take(&scene, "B", "A", true, "req", "", "", false);
    open_scene(&scene);
    struct echo echo = {
        .inlet.on_message = answer, .account = account_find(scene.world.broker, BYTES("A")), .twice = true};
    assert_int_equal(account_inlet_add(echo.account, &echo.inlet, BYTES("req")), 0);
    peer_say(scene.b, "SUB in 1\r\nPUB req in 2\r\nhi\r\n");
    peer_expect(scene.b, "MSG in 1 2\r\nhi\r\n");
    assert_int_equal(map_u64_count(&scene.world.broker->responses), 0);
    broker_inlet_remove(scene.world.broker, &echo.inlet);
    end(&scene);
}

static void test_long_subjects(void **state)
{
    struct scene scene;
    begin(&scene);
    give(&scene, "A", false, "s.>", 0, 0);
    take(&scene, "B", "A", false, "s.>", "prefix", "", false);
    open_scene(&scene);
    peer_say(scene.b, "SUB prefix.> 1\r\n");
    char name[1001] = "", text[2048];
    memset(name, 'x', 1000);
    snprintf(text, sizeof(text), "PUB s.%s 0\r\n\r\n", name);
    peer_say(scene.a, text);
    snprintf(text, sizeof(text), "MSG prefix.s.%s 1 0\r\n\r\n", name);
    peer_expect(scene.b, text);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_groups_over_accounts),
        cmocka_unit_test(test_service),
        cmocka_unit_test(test_service_without_responders),
        cmocka_unit_test(test_request_info),
        cmocka_unit_test(test_streamed_answers),
        cmocka_unit_test(test_answer_with_a_reply),
        cmocka_unit_test(test_responses_are_bounded_and_expire),
        cmocka_unit_test(test_responses_are_shared_out),
        cmocka_unit_test(test_long_chain),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_inlets_answer_at_once),
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_latency_of_long_user),
        cmocka_unit_test(test_long_subjects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
