// SPDX-License-Identifier: Apache-2.0
// Requests of the system account, asked from inside the process (CO-Y23, Y27, Y28, Y37, Y90, Y91).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buffer.h"
#include "base/list.h"
#include "broker/account.h"
#include "monitor/monitor.h"

struct rig {
    struct broker_options broker_options;
    struct broker *broker;
    struct broker *other; // of another worker; NULL: there is none
    struct monitor *monitor;
    struct inlet answers;
    struct inlet statsz;
    unsigned answered;
    unsigned statsz_count;
    json_t *answer; // owned: the last
    struct moment now;
    bool waits; // visits of the brokers, in `visits`
    struct monitor_visit *visits[16];
    size_t visit_count, visits_ended;
    unsigned reloads;
    const char *reload_error; // NULL: it succeeds
};

static json_t *parse(struct bytes text)
{
    json_error_t error;
    json_t *value = json_loadb(text.ptr, text.len, 0, &error);
    if (!value)
        print_message("%s: %.*s\n", error.text, BYTES_ARG(text));
    assert_non_null(value);
    return value;
}

static bool on_answer(struct inlet *inlet, const struct inlet_message *message)
{
    struct rig *rig = container_of(inlet, struct rig, answers);
    rig->answered++;
    json_decref(rig->answer);
    rig->answer = parse(message->payload);
    return true;
}

static bool on_statsz(struct inlet *inlet, const struct inlet_message *message)
{
    struct rig *rig = container_of(inlet, struct rig, statsz);
    rig->statsz_count++;
    json_t *said = parse(message->payload);
    assert_non_null(json_object_get(json_object_get(said, "statsz"), "connections"));
    json_decref(said);
    return true;
}

static void visit(void *owner, struct monitor_visit *visit)
{
    struct rig *rig = owner;
    if (rig->waits) {
        assert_true(rig->visit_count < 16);
        rig->visits[rig->visit_count++] = visit;
        return;
    }
    visit->run(visit, rig->broker);
    if (rig->other)
        visit->run(visit, rig->other);
    visit->done(visit);
}

static int reload(void *owner, char ret_message[MONITOR_RELOAD_MESSAGE_SIZE])
{
    struct rig *rig = owner;
    rig->reloads++;
    if (!rig->reload_error)
        return 0;
    snprintf(ret_message, MONITOR_RELOAD_MESSAGE_SIZE, "%s", rig->reload_error);
    return ERR_INVALID;
}

static int setup(void **state)
{
    static struct rig rig;
    rig = (struct rig){.now = {.mono_ns = 1000000000, .wall_ns = 1700000000000000000}};
    broker_options_default(&rig.broker_options);
    rig.broker_options.server_id = "NID";
    rig.broker_options.server_name = "S1";
    rig.broker_options.host = "127.0.0.1";
    rig.broker = broker_new(&rig.broker_options, rig.now);
    struct monitor_options options = {.broker_options = &rig.broker_options,
                                      .broker = rig.broker,
                                      .visit = visit,
                                      .visit_owner = &rig,
                                      .reload = reload,
                                      .reload_owner = &rig,
                                      .http_host = "127.0.0.1",
                                      .store_type = "",
                                      .sync_mode = ""};
    rig.monitor = monitor_new(&options, rig.now);
    rig.answers.on_message = on_answer;
    rig.statsz.on_message = on_statsz;
    assert_int_equal(account_inlet_add(account_system(rig.broker), &rig.answers, BYTES("answers.*")), 0);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    json_decref(rig->answer);
    monitor_free(rig->monitor);
    broker_inlet_remove(rig->broker, &rig->answers);
    broker_free(rig->broker);
    return 0;
}

static size_t sink_write(struct net_conn *net, const struct bytes *parts, size_t count)
{
    (void)net;
    size_t taken = 0;
    for (size_t i = 0; i < count; i++)
        taken += parts[i].len;
    return taken;
}

static void sink_ignore(struct net_conn *net)
{
    (void)net;
}

static const struct net_ops sink_ops = {
    .write = sink_write, .read_pause = sink_ignore, .read_resume = sink_ignore, .close = sink_ignore};

static void turn(struct rig *rig)
{
    broker_turn_begin(rig->broker, rig->now);
    monitor_turn_begin(rig->monitor, rig->now);
    monitor_turn_end(rig->monitor);
    broker_turn_end(rig->broker);
}

// The answer; NULL: there was none.
static json_t *ask(struct rig *rig, const char *subject, const char *options)
{
    unsigned before = rig->answered;
    struct bytes part = bytes_from_string(options);
    account_publish(account_system(rig->broker), bytes_from_string(subject), BYTES("answers.1"), (struct bytes){0},
                    &part, 1);
    turn(rig);
    assert_in_range(rig->answered - before, 0, 1);
    return rig->answered > before ? rig->answer : NULL;
}

static const char *text_of(json_t *object, const char *outer, const char *key)
{
    return json_string_value(json_object_get(json_object_get(object, outer), key));
}

static void a_ping_tells_who_is_there_and_how_it_is(void **state)
{
    struct rig *rig = *state;
    json_t *answer = ask(rig, "$SYS.REQ.SERVER.PING", "");
    assert_string_equal(text_of(answer, "server", "name"), "S1");
    assert_string_equal(text_of(answer, "server", "id"), "NID");
    assert_non_null(json_object_get(json_object_get(answer, "statsz"), "total_connections"));
    assert_non_null(json_object_get(ask(rig, "$SYS.REQ.SERVER.PING.STATSZ", ""), "statsz"));
    assert_string_equal(text_of(ask(rig, "$SYS.REQ.SERVER.NID.IDZ", ""), "data", "id"), "NID");
    assert_null(ask(rig, "$SYS.REQ.SERVER.OTHER.IDZ", ""));
    assert_null(ask(rig, "$SYS.REQ.SERVER.PING.NOPE", ""));
}

static void pages_come_with_their_options(void **state)
{
    struct rig *rig = *state;
    json_t *data =
        json_object_get(ask(rig, "$SYS.REQ.SERVER.PING.CONNZ", "{\"limit\":7,\"offset\":2,\"auth\":true}"), "data");
    assert_int_equal(json_integer_value(json_object_get(data, "limit")), 7);
    assert_int_equal(json_integer_value(json_object_get(data, "offset")), 2);
    assert_int_equal(json_array_size(json_object_get(
                         json_object_get(ask(rig, "$SYS.REQ.SERVER.PING.ACCOUNTZ", ""), "data"), "accounts")),
                     2);
    assert_string_equal(
        json_string_value(json_object_get(
            json_object_get(
                json_object_get(ask(rig, "$SYS.REQ.SERVER.PING.ACCOUNTZ", "{\"account\":\"$SYS\"}"), "data"),
                "account_detail"),
            "account_name")),
        "$SYS");
    static const char *const pages[] = {"SUBSZ", "ROUTEZ", "GATEWAYZ", "LEAFZ", "JSZ"};
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        char subject[64];
        snprintf(subject, sizeof(subject), "$SYS.REQ.SERVER.PING.%s", pages[i]);
        assert_string_equal(text_of(ask(rig, subject, "{}"), "data", "server_id"), "NID");
    }
}

static void accounts_are_asked_by_name(void **state)
{
    struct rig *rig = *state;
    assert_string_equal(text_of(ask(rig, "$SYS.REQ.ACCOUNT.$G.INFO", ""), "data", "account_name"), "$G");
    json_t *statz =
        json_object_get(json_object_get(ask(rig, "$SYS.REQ.ACCOUNT.$G.STATZ", ""), "data"), "account_statz");
    assert_int_equal(json_array_size(statz), 1);
    assert_non_null(json_object_get(json_object_get(ask(rig, "$SYS.REQ.ACCOUNT.$G.CONNZ", ""), "data"), "connections"));
    assert_non_null(
        json_object_get(json_object_get(ask(rig, "$SYS.REQ.ACCOUNT.PING.STATZ", "{\"include_unused\":true}"), "data"),
                        "account_statz"));
    assert_int_equal(json_integer_value(
                         json_object_get(json_object_get(ask(rig, "$SYS.REQ.ACCOUNT.nope.INFO", ""), "error"), "code")),
                     400);
    // As a control line that is configured longer than by default lets it be.
    static char subject[32 * 1024];
    int len = snprintf(subject, sizeof(subject), "$SYS.REQ.ACCOUNT.%028000d.INFO", 0);
    assert_in_range(len, 28000, sizeof(subject) - 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(ask(rig, subject, ""), "error"), "code")), 400);
}

// Of account `name`, or NULL.
static json_t *ask_connections(struct rig *rig, const char *name, const char *options)
{
    char subject[64];
    snprintf(subject, sizeof(subject), "$SYS.REQ.ACCOUNT.%s.CONNS", name);
    return ask(rig, subject, options);
}

// CO-Y13
static void connections_of_an_account_are_counted_while_there_are_any(void **state)
{
    struct rig *rig = *state;
    struct net_conn net = {.ops = &sink_ops};
    const struct net_handler *handler = broker_net_handler(rig->broker);
    assert_null(ask_connections(rig, "$G", ""));
    void *client = handler->on_accept(handler->owner, &net, &(struct net_peer){.ip = "127.0.0.1"});
    json_t *answer = ask_connections(rig, "$G", "");
    assert_non_null(answer);
    assert_string_equal(json_string_value(json_object_get(answer, "type")),
                        "io.nats.server.advisory.v1.account_connections");
    assert_string_equal(json_string_value(json_object_get(answer, "acc")), "$G");
    assert_string_equal(text_of(answer, "server", "id"), "NID");
    assert_int_equal(json_integer_value(json_object_get(answer, "conns")), 1);
    assert_null(json_object_get(answer, "data"));
    assert_null(ask_connections(rig, "nope", ""));
    assert_null(ask_connections(rig, "PING", ""));
    handler->on_close(client, 0);
}

// CO-Y26
static void a_reload_is_answered_when_it_is_done(void **state)
{
    struct rig *rig = *state;
    json_t *answer = ask(rig, "$SYS.REQ.SERVER.NID.RELOAD", "");
    assert_string_equal(text_of(answer, "server", "id"), "NID");
    assert_int_equal(json_object_size(answer), 1);
    assert_int_equal(rig->reloads, 1);
    assert_non_null(ask(rig, "$SYS.REQ.SERVER.NID.RELOAD", "{}"));
    assert_int_equal(rig->reloads, 2);
    rig->reload_error = "weir.conf:1:1: no";
    json_t *error = json_object_get(ask(rig, "$SYS.REQ.SERVER.NID.RELOAD", "{}"), "error");
    assert_int_equal(json_integer_value(json_object_get(error, "code")), 500);
    assert_string_equal(json_string_value(json_object_get(error, "description")), "weir.conf:1:1: no");
    assert_int_equal(rig->reloads, 3);
    assert_null(ask(rig, "$SYS.REQ.SERVER.PING.RELOAD", ""));
    assert_null(ask(rig, "$SYS.REQ.SERVER.NID.RELOAD", "{\"server_name\":\"other\"}"));
    assert_int_equal(rig->reloads, 3);
}

static void bad_options_are_told(void **state)
{
    struct rig *rig = *state;
    static const char *const bad[] = {"{bad", "[]", "7", "{\"limit\":\"many\"}", "{\"sort\":3}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *error = json_object_get(ask(rig, "$SYS.REQ.SERVER.PING.CONNZ", bad[i]), "error");
        assert_int_equal(json_integer_value(json_object_get(error, "code")), 400);
    }
    json_t *error = json_object_get(ask(rig, "$SYS.REQ.SERVER.PING.CONNZ", "{\"sort\":\"\\u0001&x=%\"}"), "error");
    assert_string_equal(json_string_value(json_object_get(error, "description")), "invalid sorting option: \x01&x=%");
}

// Lets the copy that has been under way for longest come to its end.
static void end_copy(struct rig *rig)
{
    struct monitor_visit *first = rig->visits[rig->visits_ended++];
    first->run(first, rig->broker);
    first->done(first);
    turn(rig);
}

static const char *const copying[] = {"$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.SERVER.PING.SUBSZ",
                                      "$SYS.REQ.SERVER.PING.ACCOUNTZ"};
// A member that only this page has.
static const char *const members[] = {"connections", "num_subscriptions", "accounts"};

// Three pages copy at once; the others wait their turn, and whoever copies nothing does not wait.
static void pages_that_copy_wait_their_turn(void **state)
{
    struct rig *rig = *state;
    enum { COUNT = 12 };
    rig->waits = true;
    for (size_t i = 0; i < COUNT; i++)
        assert_null(ask(rig, copying[i % 3], ""));
    assert_int_equal(rig->visit_count, 3);
    assert_non_null(json_object_get(ask(rig, "$SYS.REQ.SERVER.PING.HEALTHZ", ""), "data"));
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned before = rig->answered;
        end_copy(rig);
        assert_int_equal(rig->answered, before + 1);
        assert_int_equal(rig->visit_count, i + 4 < COUNT ? i + 4 : COUNT);
        assert_non_null(json_object_get(json_object_get(rig->answer, "data"), members[i % 3]));
    }
    assert_null(ask(rig, copying[0], ""));
    assert_int_equal(rig->visit_count, COUNT + 1);
    end_copy(rig);
}

static void who_waits_at_the_end_is_told(void **state)
{
    struct rig *rig = *state;
    rig->waits = true;
    for (size_t i = 0; i < 4; i++)
        assert_null(ask(rig, copying[0], ""));
    monitor_shutdown(rig->monitor);
    turn(rig);
    assert_int_equal(rig->answered, 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(rig->answer, "error"), "code")), 503);
    for (size_t i = 0; i < 3; i++)
        end_copy(rig);
    assert_int_equal(rig->answered, 4);
    assert_int_equal(rig->visit_count, 3);
}

// Over HTTP: the copy of a client that has gone is never begun.
static void who_goes_away_leaves_the_queue(void **state)
{
    struct rig *rig = *state;
    const struct net_handler *handler = monitor_net_handler(rig->monitor);
    struct net_conn nets[6];
    void *contexts[6];
    rig->waits = true;
    for (size_t i = 0; i < 6; i++) {
        nets[i] = (struct net_conn){.ops = &sink_ops};
        contexts[i] = handler->on_accept(handler->owner, &nets[i], &(struct net_peer){.ip = "127.0.0.1"});
        handler->on_data(contexts[i], BYTES("GET /connz HTTP/1.1\r\n\r\n"));
    }
    handler->on_close(contexts[1], 0); // under way: it ends for nobody
    handler->on_close(contexts[3], 0);
    handler->on_close(contexts[5], 0);
    for (size_t i = 0; i < 4; i++)
        end_copy(rig);
    assert_int_equal(rig->visit_count, 4);
    handler->on_close(contexts[0], 0);
    handler->on_close(contexts[2], 0);
    handler->on_close(contexts[4], 0);
}

static void only_who_is_meant_answers(void **state)
{
    struct rig *rig = *state;
    assert_non_null(ask(rig, "$SYS.REQ.SERVER.PING", "{\"server_name\":\"S1\"}"));
    assert_non_null(ask(rig, "$SYS.REQ.SERVER.PING", "{\"server_name\":\"S\"}"));
    assert_null(ask(rig, "$SYS.REQ.SERVER.PING", "{\"server_name\":\"S\",\"exact_match\":true}"));
    assert_null(ask(rig, "$SYS.REQ.SERVER.PING", "{\"server_name\":\"S2\"}"));
    assert_null(ask(rig, "$SYS.REQ.SERVER.PING", "{\"cluster\":\"C\"}"));
}

static json_int_t active_accounts(struct rig *rig)
{
    json_t *statsz = json_object_get(ask(rig, "$SYS.REQ.SERVER.PING", ""), "statsz");
    return json_integer_value(json_object_get(statsz, "active_accounts"));
}

static void an_account_is_active_wherever_its_clients_are(void **state)
{
    struct rig *rig = *state;
    struct net_conn nets[2] = {{.ops = &sink_ops}, {.ops = &sink_ops}};
    struct net_peer peer = {.ip = "127.0.0.1"};
    rig->other = broker_new(&rig->broker_options, rig->now);
    const struct net_handler *here = broker_net_handler(rig->broker), *there = broker_net_handler(rig->other);
    assert_int_equal(active_accounts(rig), 0);
    void *second = there->on_accept(there->owner, &nets[1], &peer);
    assert_int_equal(active_accounts(rig), 1);
    void *first = here->on_accept(here->owner, &nets[0], &peer);
    assert_int_equal(active_accounts(rig), 1);
    there->on_close(second, 0);
    assert_int_equal(active_accounts(rig), 1);
    here->on_close(first, 0);
    assert_int_equal(active_accounts(rig), 0);
    broker_free(rig->other);
    rig->other = NULL;
}

// CO-Y37
static void statsz_is_published_soon_and_then_every_ten_seconds(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(account_inlet_add(account_system(rig->broker), &rig->statsz, BYTES("$SYS.SERVER.*.STATSZ")), 0);
    for (int i = 0; i < 600; i++) {
        rig->now.mono_ns += 100000000;
        turn(rig);
    }
    assert_in_range(rig->statsz_count, 8, 14);
    broker_inlet_remove(rig->broker, &rig->statsz);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_ping_tells_who_is_there_and_how_it_is),
        T(pages_come_with_their_options),
        T(accounts_are_asked_by_name),
        T(connections_of_an_account_are_counted_while_there_are_any),
        T(a_reload_is_answered_when_it_is_done),
        T(bad_options_are_told),
        T(pages_that_copy_wait_their_turn),
        T(who_waits_at_the_end_is_told),
        T(who_goes_away_leaves_the_queue),
        T(only_who_is_meant_answers),
        T(an_account_is_active_wherever_its_clients_are),
        T(statsz_is_published_soon_and_then_every_ten_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
