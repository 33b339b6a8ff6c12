// SPDX-License-Identifier: Apache-2.0
// When requests are answered: on a log whose disk works when the test says so. What they do is shown by test/conformance/admin.test.js.
#include "admin/admin_api.h"

#include <stdio.h>

#include "base/memory.h"
#include "codec/json_fields.h"
#include "rig.h"

struct scene {
    struct rig *rig;
    struct admin_api *api;
    char heard[8192]; // "name status;" of each answer
    char last[4096];  // the newest
};

// Who asked.
struct asker {
    struct scene *scene;
    const char *name;
};

static void hear(void *owner, unsigned status, struct bytes json)
{
    struct asker *asker = owner;
    struct scene *scene = asker->scene;
    size_t len = strlen(scene->heard);
    snprintf(scene->heard + len, sizeof(scene->heard) - len, "%s %u;", asker->name, status);
    snprintf(scene->last, sizeof(scene->last), "%.*s", BYTES_ARG(json));
}

static uint64_t ask(struct scene *scene, struct asker *asker, const char *request, const char *body)
{
    asker->scene = scene;
    return admin_api_ask(scene->api, bytes_from_string(request), bytes_from_string(body), hear, asker);
}

// A turn in which the disk does nothing.
static void turn(struct scene *scene)
{
    admin_api_turn_end(scene->api, scene->rig->now);
    rig_turn(scene->rig);
}

static void settle(struct scene *scene)
{
    for (int i = 0; i < 5; i++) {
        turn(scene);
        rig_settle(scene->rig);
    }
}

static void expect(struct scene *scene, const char *heard)
{
    assert_string_equal(scene->heard, heard);
    scene->heard[0] = '\0';
}

static void expect_code(const struct scene *scene, const char *code)
{
    char text[64];
    snprintf(text, sizeof(text), "\"code\":\"%s\"", code);
    assert_non_null(strstr(scene->last, text));
}

static void made(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    (void)owner;
    (void)index;
    assert_true(error == 0 && consumer);
}

// A channel with a message and a group.
static struct scene begin(struct rig *rig)
{
    struct scene scene = {.rig = rig};
    scene.api = admin_api_new(
        &(struct admin_api_options){
            .shard = rig->shard,
            .stan = rig->stan,
            .server_id = "N",
            .server_name = "n",
            .version = "0",
            .cluster_id = "c",
            .store = "file",
            .sync = "always",
            .answer_bytes = 65536,
        },
        rig->now);
    rig_connect(rig, "me", "");
    rig_settle(rig);
    rig_publish(rig, "me", "1", 10, "");
    rig_subscribe_durable(rig, "me", "inbox", "d", "");
    rig_settle(rig);
    return scene;
}

static void end(struct scene *scene)
{
    admin_api_stop(scene->api);
    admin_api_free(scene->api);
}

static void a_change_is_answered_when_it_is_durable(void **state)
{
    struct scene scene = begin(*state);
    struct asker pause = {.name = "pause"}, info = {.name = "info"}, bad = {.name = "bad"};
    assert_true(ask(&scene, &pause, "CHANNEL.PAUSE", "{\"channel\":\"channel\"}") > 0);
    ask(&scene, &bad, "CHANNEL.INFO", "{\"channel\":\"none\"}");
    ask(&scene, &info, "CHANNEL.INFO", "{\"channel\":\"channel\"}");
    for (int i = 0; i < 5; i++)
        turn(&scene);
    expect(&scene, ""); // also what was asked behind it
    settle(&scene);
    expect(&scene, "pause 200;bad 404;info 200;");
    assert_non_null(strstr(scene.last, "\"paused\":true"));
    // What only shows does not wait for the disk.
    ask(&scene, &info, "GROUP.LIST", "");
    turn(&scene);
    expect(&scene, "info 200;");
    end(&scene);
}

static void what_the_log_refuses_is_refused(void **state)
{
    struct rig *rig = *state;
    struct scene scene = begin(rig);
    struct asker pause = {.name = "pause"}, info = {.name = "info"};
    sim_disk_fail(&rig->disk, 1, ERR_IO);
    ask(&scene, &pause, "CHANNEL.PAUSE", "{\"channel\":\"channel\"}");
    settle(&scene);
    expect(&scene, "pause 503;");
    expect_code(&scene, "unavailable");
    ask(&scene, &pause, "GROUP.PAUSE", "{\"channel\":\"channel\",\"group\":\"d\"}");
    settle(&scene);
    expect(&scene, "pause 503;");
    // What is there can still be looked at, and nothing of it has changed.
    ask(&scene, &info, "CHANNEL.INFO", "{\"channel\":\"channel\"}");
    settle(&scene);
    expect(&scene, "info 200;");
    assert_non_null(strstr(scene.last, "\"paused\":false"));
    end(&scene);
}

// However many groups there are in which nothing is dead, an answer looks at a bounded number, and says where to go on.
static void a_list_looks_at_so_many(void **state)
{
    enum { GROUPS = 20500 };
    struct scene scene = begin(*state);
    struct rig *rig = *state;
    struct engine *engine = shard_engine(rig->shard);
    struct stream *stream = engine_stream_find(engine, 1, BYTES("channel"));
    for (int i = 0; i < GROUPS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "g%d", i);
        const struct consumer_config config = {
            .name = bytes_from_string(name), .protocol = ENGINE_PROTOCOL_JETSTREAM, .durable = true, .group = true};
        engine_consumer_create(engine, stream, &config, (struct engine_time){rig->now.mono_ns, rig->now.wall_ns}, made,
                               NULL);
        if (i % 200 == 199)
            rig_settle(rig);
    }
    settle(&scene);
    struct asker first = {.name = "first"}, second = {.name = "second"};
    ask(&scene, &first, "DLQ.LIST", "");
    settle(&scene);
    const char *next = strstr(scene.last, "\"next\":\"");
    assert_true(strstr(scene.last, "{\"groups\":[]") && next);
    char body[64];
    snprintf(body, sizeof(body), "{\"after\":\"%.*s\"}", (int)strcspn(next + 8, "\""), next + 8);
    ask(&scene, &second, "DLQ.LIST", body);
    settle(&scene);
    assert_string_equal(scene.last, "{\"groups\":[]}");
    end(&scene);
}

static void too_many_are_refused_at_once(void **state)
{
    struct scene scene = begin(*state);
    struct asker one = {.name = "one"}, more = {.name = "more"};
    for (int i = 0; i < 64; i++)
        assert_true(ask(&scene, &one, "SERVER.INFO", "{}") > 0);
    expect(&scene, "");
    assert_int_equal(ask(&scene, &more, "SERVER.INFO", "{}"), 0);
    expect(&scene, "more 503;");
    expect_code(&scene, "busy");
    settle(&scene);
    assert_int_equal(strlen(scene.heard), 64 * strlen("one 200;"));
    scene.heard[0] = '\0';
    char *big = mem_alloc_zero(ADMIN_BODY_MAX + 2);
    memset(big, ' ', ADMIN_BODY_MAX + 1);
    ask(&scene, &more, "SERVER.INFO", big);
    expect(&scene, "more 413;");
    mem_free(big);
    end(&scene);
}

static void who_is_forgotten_is_not_answered(void **state)
{
    struct scene scene = begin(*state);
    struct asker gone = {.name = "gone"}, info = {.name = "info"};
    uint64_t number = ask(&scene, &gone, "CHANNEL.PAUSE", "{\"channel\":\"channel\"}");
    turn(&scene);
    admin_api_forget(scene.api, number);
    admin_api_forget(scene.api, 12345);
    ask(&scene, &info, "CHANNEL.INFO", "{\"channel\":\"channel\"}");
    settle(&scene);
    expect(&scene, "info 200;");
    assert_non_null(strstr(scene.last, "\"paused\":true")); // it was done all the same
    end(&scene);
}

static void at_the_end_what_is_recorded_is_still_answered(void **state)
{
    struct scene scene = begin(*state);
    struct asker done = {.name = "done"}, late = {.name = "late"}, later = {.name = "later"};
    ask(&scene, &done, "CHANNEL.PAUSE", "{\"channel\":\"channel\"}");
    turn(&scene);
    ask(&scene, &late, "CHANNEL.PAUSE", "{\"channel\":\"channel\"}");
    admin_api_stop(scene.api);
    expect(&scene, "late 503;");
    assert_int_equal(ask(&scene, &later, "SERVER.INFO", "{}"), 0);
    expect(&scene, "later 503;");
    rig_settle(scene.rig);
    expect(&scene, "done 200;");
    end(&scene);
}

static void what_is_under_way_may_end_with_its_object(void **state)
{
    struct rig *rig = *state;
    struct scene scene = begin(rig);
    struct asker purge = {.name = "purge"}, seek = {.name = "seek"}, rm = {.name = "rm"}, get = {.name = "get"};
    ask(&scene, &purge, "CHANNEL.PURGE", "{\"channel\":\"channel\",\"before_sequence\":1}");
    ask(&scene, &seek, "GROUP.SEEK", "{\"group_id\":1,\"to_time\":\"2020-01-01T00:00:00Z\"}");
    ask(&scene, &get, "MSG.GET", "{\"channel\":\"channel\",\"sequence\":1}");
    ask(&scene, &rm, "CHANNEL.RM", "{\"channel\":\"channel\",\"force\":true}");
    settle(&scene);
    // Each is answered once, with what there was or with what there is no more.
    size_t answers = 0;
    for (const char *at = scene.heard; (at = strchr(at, ';')); at++)
        answers++;
    assert_int_equal(answers, 4);
    assert_non_null(strstr(scene.heard, "rm 200;"));
    // And those that nobody will end.
    rig_publish(rig, "me", "2", 10, "");
    rig_settle(rig);
    ask(&scene, &purge, "CHANNEL.PURGE", "{\"channel\":\"channel\",\"all\":true}");
    ask(&scene, &get, "MSG.GET", "{\"channel\":\"channel\",\"sequence\":1}");
    admin_api_turn_end(scene.api, rig->now);
    end(&scene);
}

// Messages 1 to 5 are dead for the group.
static struct consumer *bury(struct scene *scene)
{
    struct rig *rig = scene->rig;
    struct engine *engine = shard_engine(rig->shard);
    const struct engine_time now = {rig->now.mono_ns, rig->now.wall_ns};
    uint64_t index;
    for (int i = 2; i <= 5; i++)
        rig_publish(rig, "me", (const char[]){(char)('0' + i), '\0'}, 10, "");
    rig_settle(rig);
    struct stream *stream = engine_stream_find(engine, 1, BYTES("channel"));
    const struct consumer_config config = {.protocol = ENGINE_PROTOCOL_STAN,
                                           .name = BYTES("d:q"),
                                           .durable = true,
                                           .group = true,
                                           .start = CONSUMER_START_FIRST};
    engine_consumer_create(engine, stream, &config, now, made, NULL);
    struct consumer *consumer = engine_consumer_find(engine, stream, BYTES("d:q"));
    assert_int_equal(engine_import_position(engine, consumer, 6, NULL, 0, now, &index), 0);
    for (uint64_t sequence = 1; sequence <= 5; sequence++) {
        const struct dead_info info = {
            .sequence = sequence, .attempts = 3, .reason = DEAD_MAX_DELIVER, .size = 70, .since_ns = now.wall_ns};
        assert_int_equal(engine_import_dead(engine, consumer, &info, now), 0);
    }
    settle(scene);
    return consumer;
}

static uint64_t count_dead(const struct consumer *consumer)
{
    struct consumer_state state;
    consumer_state_get(consumer, &state);
    return state.dead;
}

// A batch that the log refuses is tried again: nothing is left out, and nothing is counted twice.
static void a_redrive_that_is_refused_goes_on(void **state)
{
    static const char *const bodies[] = {"{\"group_id\":%u,\"all\":true}",
                                         "{\"group_id\":%u,\"sequences\":[5,1,3,2,4]}"};
    struct rig *rig = *state;
    for (int i = 0; i < 2; i++) {
        struct scene scene = begin(rig);
        struct asker redrive = {.name = "redrive"}, jobs = {.name = "jobs"};
        struct consumer *consumer = bury(&scene);
        char body[100];
        snprintf(body, sizeof(body), bodies[i], consumer_id(consumer));
        assert_int_equal(count_dead(consumer), 5);
        ask(&scene, &redrive, "DLQ.REDRIVE", body);
        turn(&scene);
        sim_disk_fail(&rig->disk, 1, ERR_NO_SPACE);
        turn(&scene);
        for (int n = 0; n < 100; n++)
            settle(&scene);
        assert_int_equal(count_dead(consumer), 0);
        scene.heard[0] = '\0';
        ask(&scene, &jobs, "DLQ.JOBS", "");
        settle(&scene);
        expect(&scene, "jobs 200;");
        assert_non_null(strstr(scene.last, "\"total\":5,\"redriven\":5,\"gone\":0,\"rate\":0,\"state\":\"done\""));
        assert_true(admin_api_next_deadline_ms(scene.api) > rig->now.mono_ns / 1000000);
        end(&scene);
        if (i == 0) {
            assert_int_equal(rig_tear_down(state), 0);
            assert_int_equal(rig_set_up(state), 0);
            rig = *state;
        }
    }
}

int main(void)
{
    json_fields_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_change_is_answered_when_it_is_durable, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(what_the_log_refuses_is_refused, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(a_list_looks_at_so_many, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(too_many_are_refused_at_once, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(who_is_forgotten_is_not_answered, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(at_the_end_what_is_recorded_is_still_answered, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(what_is_under_way_may_end_with_its_object, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(a_redrive_that_is_refused_goes_on, rig_set_up, rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
