// SPDX-License-Identifier: Apache-2.0
// Subscribers inside the process: what reaches them, what they may do while they are called, and how they make the broker
// stop reading.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/list.h"
#include "world.h"

#define MODERN "\"headers\":true,\"no_responders\":true"

// An inlet that writes down what it gets.
struct recorder {
    struct inlet inlet;
    struct broker *broker;
    char seen[2048];
    size_t seen_len;
    uint64_t connection;
    bool overloaded;
    int calls;
    void (*then)(struct recorder *recorder, const struct inlet_message *message);
    struct recorder *other;
    bool resumes;
};

static bool record(struct inlet *inlet, const struct inlet_message *message)
{
    struct recorder *recorder = (struct recorder *)(void *)inlet;
    int n = snprintf(recorder->seen + recorder->seen_len, sizeof(recorder->seen) - recorder->seen_len,
                     "%.*s|%.*s|%.*s|%.*s;", BYTES_ARG(message->subject), BYTES_ARG(message->reply),
                     BYTES_ARG(message->headers), BYTES_ARG(message->payload));
    recorder->seen_len += (size_t)n;
    if (recorder->seen_len >= sizeof(recorder->seen))
        recorder->seen_len = 0; // the long-running ones only count
    recorder->connection = message->connection;
    recorder->calls++;
    bool overloaded = recorder->overloaded;
    if (recorder->then)
        recorder->then(recorder, message); // may free the recorder
    return !overloaded;
}

static void recorder_init(struct recorder *recorder, struct world *world, const char *subject)
{
    *recorder = (struct recorder){.inlet.on_message = record, .broker = world->broker};
    assert_int_equal(broker_inlet_add(world->broker, &recorder->inlet, bytes_from_string(subject)), 0);
}

static void expect_seen(struct recorder *recorder, const char *text)
{
    recorder->seen[recorder->seen_len] = '\0';
    assert_string_equal(recorder->seen, text);
    recorder->seen_len = 0;
}

static void publish(struct broker *broker, const char *subject, const char *reply, const char *payload)
{
    struct bytes part = bytes_from_string(payload);
    broker_publish(broker, bytes_from_string(subject), bytes_from_string(reply), (struct bytes){0}, &part, 1);
}

static struct broker_options options_make(void)
{
    struct broker_options options;
    broker_options_default(&options);
    options.seed = 3;
    return options;
}

static struct world *setup(struct world *world)
{
    struct broker_options options = options_make();
    world_init(world, &options);
    return world;
}

static void gets_messages(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct recorder literal, prefix, wildcard;
    recorder_init(&literal, &world, "api.info");
    recorder_init(&prefix, &world, "_STAN.pub.x.>");
    recorder_init(&wildcard, &world, "w.*.z");
    struct peer *peer = peer_connect(&world, MODERN);
    peer_say(peer, "PUB api.info r 2\r\nhi\r\nPUB _STAN.pub.x.a.b 1\r\n1\r\nPUB _STAN.pub.x.* 1\r\n2\r\n");
    peer_say(peer, "HPUB w.y.z 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPUB _STAN.pub.x 1\r\n1\r\nPUB w.z 0\r\n\r\n");
    expect_seen(&literal, "api.info|r||hi;");
    expect_seen(&prefix, "_STAN.pub.x.a.b|||1;_STAN.pub.x.*|||2;");
    expect_seen(&wildcard, "w.y.z||NATS/1.0\r\n\r\n|hi;");
    assert_int_equal(wildcard.connection, 1);
    peer_expect(peer, "-ERR 'Invalid Publish Subject'\r\n");
    // An empty token is nobody's, whichever way it is looked up.
    peer_say(peer, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
    peer_say(
        peer,
        "PUB _STAN.pub.x. 1\r\n1\r\nPUB _STAN.pub.x..a 1\r\n1\r\nPUB _STAN.pub.x.a. 1\r\n1\r\nPUB w..z 1\r\n1\r\n");
    expect_seen(&prefix, "");
    expect_seen(&wildcard, "");
    broker_inlet_remove(world.broker, &literal.inlet);
    broker_inlet_remove(world.broker, &prefix.inlet);
    peer_say(peer, "PUB api.info r 2\r\nhi\r\nPUB _STAN.pub.x.a 1\r\n1\r\n");
    expect_seen(&literal, "");
    expect_seen(&prefix, "");
    assert_int_equal(broker_inlet_add(world.broker, &literal.inlet, BYTES("a..b")), ERR_INVALID);
    assert_int_equal(broker_inlet_add(world.broker, &literal.inlet, BYTES("")), ERR_INVALID);
    world_deinit(&world);
}

static void prefix_overlap(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct recorder prefix, nested, late;
    struct peer *early = peer_connect(&world, "");
    peer_say(early, "SUB _STAN.ack.* 1\r\n"); // before the inlet
    recorder_init(&prefix, &world, "_STAN.ack.>");
    struct peer *peer = peer_connect(&world, "");
    peer_say(peer, "PUB _STAN.ack.1 1\r\na\r\n");
    peer_expect(early, "MSG _STAN.ack.1 1 1\r\na\r\n");
    expect_seen(&prefix, "_STAN.ack.1|||a;");
    peer_close(early);
    const char *overlapping[] = {">", "_STAN.>", "*.ack.1", "_STAN.ack.1", "_STAN.*.* q"};
    for (size_t i = 0; i < sizeof(overlapping) / sizeof(overlapping[0]); i++) {
        struct peer *spy = peer_connect(&world, "");
        char line[64];
        snprintf(line, sizeof(line), "SUB %s 7\r\n", overlapping[i]);
        peer_say(spy, line);
        peer_say(peer, "PUB _STAN.ack.1 1\r\nb\r\n");
        peer_expect(spy, "MSG _STAN.ack.1 7 1\r\nb\r\n");
        expect_seen(&prefix, "_STAN.ack.1|||b;");
        peer_say(spy, "UNSUB 7\r\n");
        peer_say(peer, "PUB _STAN.ack.1 1\r\nc\r\n");
        expect_seen(&prefix, "_STAN.ack.1|||c;");
        peer_expect(spy, "");
    }
    recorder_init(&nested, &world, "_STAN.ack.1.>");
    recorder_init(&late, &world, "_STAN.ack.1.2");
    peer_say(peer, "PUB _STAN.ack.1.2 1\r\nd\r\nPUB _STAN.ack.2.2 1\r\ne\r\n");
    expect_seen(&prefix, "_STAN.ack.1.2|||d;_STAN.ack.2.2|||e;");
    expect_seen(&nested, "_STAN.ack.1.2|||d;");
    expect_seen(&late, "_STAN.ack.1.2|||d;");
    broker_inlet_remove(world.broker, &prefix.inlet);
    broker_inlet_remove(world.broker, &late.inlet);
    peer_say(peer, "PUB _STAN.ack.1.2 1\r\nf\r\n");
    expect_seen(&nested, "_STAN.ack.1.2|||f;");
    world_deinit(&world);
}

// More prefixes than are looked up by prefix: the others work all the same.
static void many_prefixes(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct recorder recorders[40];
    char text[64];
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof(text), "p%d.>", i);
        recorder_init(&recorders[i], &world, text);
    }
    struct peer *peer = peer_connect(&world, "");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 40; i++) {
            snprintf(text, sizeof(text), "PUB p%d.a 1\r\nx\r\n", i);
            peer_say(peer, text);
            snprintf(text, sizeof(text), "p%d.a|||x;", i);
            if (round == 1 && i % 2 == 0)
                text[0] = '\0';
            expect_seen(&recorders[i], text);
        }
        for (int i = 0; round == 0 && i < 40; i += 2)
            broker_inlet_remove(world.broker, &recorders[i].inlet);
    }
    world_deinit(&world);
}

static void publish_parts(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct recorder inlet;
    recorder_init(&inlet, &world, "a.b");
    struct peer *plain = peer_connect(&world, "");
    struct peer *modern = peer_connect(&world, MODERN);
    peer_say(plain, "SUB a.b 1\r\n");
    peer_say(modern, "SUB a.* q 2\r\n");
    struct bytes parts[] = {BYTES("one "), BYTES(""), {NULL, 0}, BYTES("two")};
    struct bytes block = BYTES("NATS/1.0\r\n\r\n");
    assert_int_equal(broker_publish(world.broker, BYTES("a.b"), BYTES("r"), block, parts, 4), 3);
    peer_expect(plain, ""); // nothing leaves before the turn's end
    assert_int_equal(broker_publish(world.broker, BYTES("a.b"), (struct bytes){0}, (struct bytes){0}, NULL, 0), 3);
    assert_int_equal(broker_publish(world.broker, BYTES("nobody"), (struct bytes){0}, (struct bytes){0}, parts, 4), 0);
    world_turn(&world);
    peer_expect(plain, "MSG a.b 1 r 7\r\none two\r\nMSG a.b 1 0\r\n\r\n");
    peer_expect(modern, "HMSG a.b 2 r 12 19\r\nNATS/1.0\r\n\r\none two\r\nMSG a.b 2 0\r\n\r\n");
    expect_seen(&inlet, "a.b|r|NATS/1.0\r\n\r\n|one two;a.b|||;");
    assert_int_equal(plain->writes, 2); // INFO, and one for both messages
    world_deinit(&world);
}

static void answer(struct recorder *recorder, const struct inlet_message *message)
{
    struct bytes parts[] = {BYTES("re:"), message->payload};
    broker_publish(recorder->broker, message->reply, (struct bytes){0}, (struct bytes){0}, parts, 2);
}

static void request_reply(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct recorder inlet;
    recorder_init(&inlet, &world, "svc");
    inlet.then = answer;
    struct peer *peer = peer_connect(&world, MODERN);
    peer_say(peer, "SUB _INBOX.1.* 1\r\nPUB svc _INBOX.1.7 2\r\nhi\r\nPING\r\n");
    peer_expect(peer, "MSG _INBOX.1.7 1 5\r\nre:hi\r\nPONG\r\n");
    world_deinit(&world);
}

static void remove_itself(struct recorder *recorder, const struct inlet_message *message)
{
    (void)message;
    broker_inlet_remove(recorder->broker, &recorder->inlet);
    if (recorder->other) {
        broker_inlet_remove(recorder->broker, &recorder->other->inlet);
        recorder->other->inlet.on_message = NULL;
    }
    recorder->inlet.on_message = NULL; // nobody may call it any more
}

static void removal_while_routed(void **state)
{
    (void)state;
    for (int variant = 0; variant < 3; variant++) {
        struct world world;
        setup(&world);
        struct recorder first, second;
        const char *subjects[] = {"a.b", "a.*", "a.>"};
        recorder_init(&first, &world, subjects[variant]);
        recorder_init(&second, &world, subjects[variant]);
        first.then = second.then = remove_itself;
        first.other = &second;
        second.other = &first;
        struct peer *peer = peer_connect(&world, "");
        peer_say(peer, "SUB a.b 1\r\nUNSUB 1 1\r\nPUB a.b 1\r\nx\r\nPUB a.b 1\r\ny\r\n");
        peer_expect(peer, "MSG a.b 1 1\r\nx\r\n");
        assert_int_equal(first.calls + second.calls, 1);
        world_deinit(&world);
    }
}

static void add_another(struct recorder *recorder, const struct inlet_message *message)
{
    if (recorder->other->broker)
        return;
    recorder->other->broker = recorder->broker;
    recorder->other->inlet.on_message = record;
    assert_int_equal(broker_inlet_add(recorder->broker, &recorder->other->inlet, message->subject), 0);
    publish(recorder->broker, "a.b", "", "nested"); // the new one sees it, and so do I
}

static void addition_while_routed(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct recorder first, second = {.broker = NULL};
    recorder_init(&first, &world, "a.>");
    first.then = add_another;
    first.other = &second;
    struct peer *peer = peer_connect(&world, "");
    peer_say(peer, "PUB a.b 5\r\nouter\r\n");
    expect_seen(&first, "a.b|||outer;a.b|||nested;");
    expect_seen(&second, "a.b|||nested;");
    peer_say(peer, "PUB a.b 4\r\nnext\r\n");
    expect_seen(&second, "a.b|||next;");
    world_deinit(&world);
}

static void bounce(struct recorder *recorder, const struct inlet_message *message)
{
    if (recorder->calls < 100000)
        broker_publish(recorder->broker, message->reply, message->subject, (struct bytes){0}, &message->payload, 1);
}

// Two inlets that answer each other: no deep stack, and every turn ends.
static void endless_answers(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct recorder first, second;
    recorder_init(&first, &world, "ping.>");
    recorder_init(&second, &world, "pong");
    first.then = second.then = bounce;
    publish(world.broker, "ping.x", "pong", "ball");
    assert_true(broker_turn_end(world.broker));
    int calls = first.calls;
    assert_true(calls > 100 && calls < 20000);
    assert_true(broker_turn_end(world.broker));
    assert_true(first.calls > calls);
    expect_seen(&second, second.seen_len ? second.seen : "");
    // Never drained: freed with the broker.
    world_deinit(&world);
}

struct splitter {
    struct inlet inlet;
    struct broker *broker;
    unsigned taken, dropped;
};

static bool split(struct inlet *inlet, const struct inlet_message *message)
{
    struct splitter *splitter = container_of(inlet, struct splitter, inlet);
    for (int i = 0; i < 2; i++) {
        if (broker_publish(splitter->broker, message->subject, (struct bytes){0}, (struct bytes){0}, &message->payload,
                           1))
            splitter->taken++;
        else
            splitter->dropped++;
    }
    return true;
}

// Each message makes two: what waits for the turn's end is bounded in bytes.
static void multiplying_answers(void **state)
{
    (void)state;
    static char payload[1024 * 1024];
    struct world world;
    setup(&world);
    struct splitter splitter = {.inlet.on_message = split, .broker = world.broker};
    assert_int_equal(broker_inlet_add(world.broker, &splitter.inlet, BYTES("cell")), 0);
    struct bytes part = bytes_make(payload, sizeof(payload));
    assert_int_equal(broker_publish(world.broker, BYTES("cell"), (struct bytes){0}, (struct bytes){0}, &part, 1), 1);
    // 254 that nest, and as many of the 256 beyond as fit.
    assert_in_range(splitter.taken, 254 + 60, 254 + 64);
    assert_int_equal(splitter.taken + splitter.dropped, 254 + 256);
    broker_inlet_remove(world.broker, &splitter.inlet);
    world_turn(&world);
    world_deinit(&world);
}

static void resume_inside(struct recorder *recorder, const struct inlet_message *message)
{
    (void)message;
    if (recorder->resumes)
        broker_inlets_resume(recorder->broker);
}

static void pausing(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < 8; cut++) {
        struct world world;
        setup(&world);
        world.cut = cut;
        struct recorder inlet;
        recorder_init(&inlet, &world, "in.>");
        struct peer *peer = peer_connect(&world, "");
        struct peer *other = peer_connect(&world, "");
        inlet.overloaded = true;
        // The message itself is taken; nothing behind it is looked at.
        peer_say(peer, "PUB in.a 1\r\n1\r\nPUB in.b 1\r\n2\r\nPING\r\nPUB in.c 1\r\n3\r\n");
        expect_seen(&inlet, "in.a|||1;");
        peer_expect(peer, "");
        assert_true(peer->paused);
        peer_say(other, "PING\r\n"); // others go on
        peer_expect(other, "PONG\r\n");
        peer_say(peer, "PING\r\n"); // stays where it is
        peer_expect(peer, "");
        broker_inlets_resume(world.broker); // one more, and full again
        world_turn(&world);
        expect_seen(&inlet, "in.b|||2;");
        assert_true(peer->paused);
        inlet.overloaded = false;
        broker_inlets_resume(world.broker);
        broker_inlets_resume(world.broker);
        world_turn(&world);
        expect_seen(&inlet, "in.c|||3;");
        peer_expect(peer, "PONG\r\nPONG\r\n");
        assert_false(peer->paused);
        // Resumed from within the callback that pauses.
        inlet.overloaded = true;
        inlet.resumes = true;
        inlet.then = resume_inside;
        peer_say(peer, "PUB in.a 1\r\n1\r\nPUB in.b 1\r\n2\r\nPUB in.c 1\r\n3\r\nPING\r\n");
        expect_seen(&inlet, "in.a|||1;in.b|||2;in.c|||3;");
        peer_expect(peer, "PONG\r\n");
        // Gone while paused.
        inlet.resumes = false;
        peer_say(peer, "PUB in.a 1\r\n1\r\nPUB in.b 1\r\n2\r\n");
        peer_close(peer);
        broker_inlets_resume(world.broker);
        world_turn(&world);
        expect_seen(&inlet, "in.a|||1;");
        world_deinit(&world);
    }
}

// A run is written down as its messages in brackets.
static bool record_run(struct inlet *inlet, const struct inlet_message *messages, size_t count)
{
    struct recorder *recorder = (struct recorder *)(void *)inlet;
    bool keeps_up = true;
    recorder->seen[recorder->seen_len++] = '[';
    for (size_t i = 0; i < count; i++)
        keeps_up &= record(inlet, &messages[i]);
    recorder->seen[recorder->seen_len++] = ']';
    return keeps_up;
}

static void runs(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct recorder inlet, single;
    recorder_init(&inlet, &world, "in.>");
    recorder_init(&single, &world, "single.>");
    inlet.inlet.on_run = record_run;
    struct peer *peer = peer_connect(&world, "");
    struct peer *other = peer_connect(&world, "");
    // What lies together comes together, whatever its subject; another operation, another inlet or the end of the bytes ends it.
    peer_say(
        peer,
        "PUB in.a 1\r\n1\r\nPUB in.b r 1\r\n2\r\nPING\r\nPUB in.c 1\r\n3\r\nPUB single.a 0\r\n\r\nPUB in.d 1\r\n4\r\n");
    expect_seen(&inlet, "[in.a|||1;in.b|r||2;][in.c|||3;][in.d|||4;]");
    expect_seen(&single, "single.a|||;");
    peer_expect(peer, "PONG\r\n");
    assert_int_equal(inlet.connection, single.connection);
    peer_say(other, "PUB in.a 1\r\n1\r\nPUB single.a 0\r\n\r\n");
    assert_int_equal(inlet.connection, single.connection);
    expect_seen(&inlet, "[in.a|||1;]");
    expect_seen(&single, "single.a|||;");
    // As long as INLET_RUN_MAX.
    char text[1024];
    size_t len = 0;
    for (int i = 0; i < INLET_RUN_MAX + 2; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "PUB in.x 0\r\n\r\n");
    inlet.calls = 0;
    peer_say(peer, text);
    assert_int_equal(inlet.calls, INLET_RUN_MAX + 2);
    inlet.seen[inlet.seen_len] = '\0';
    assert_non_null(strstr(inlet.seen, ";][in.x|||;in.x|||;]"));
    inlet.seen_len = 0;
    // A subscriber in between: the next message of the run goes to both, as every message on its own would.
    peer_say(peer, "PUB in.a 1\r\n1\r\nSUB in.* 7\r\nPUB in.a 1\r\n2\r\nPUB in.b 1\r\n3\r\n");
    expect_seen(&inlet, "[in.a|||1;]in.a|||2;in.b|||3;");
    peer_expect(peer, "MSG in.a 7 1\r\n2\r\nMSG in.b 7 1\r\n3\r\n");
    world_deinit(&world);
}

// What comes behind an overloaded run is not carried out before reading goes on, wherever the bytes are cut.
static void runs_pause(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < 8; cut++) {
        struct world world;
        setup(&world);
        world.cut = cut;
        struct recorder inlet, single;
        recorder_init(&inlet, &world, "in.>");
        recorder_init(&single, &world, "single.>");
        inlet.inlet.on_run = record_run;
        inlet.overloaded = true;
        struct peer *peer = peer_connect(&world, "");
        peer_say(peer, "PUB in.a 1\r\n1\r\nPUB single.a 0\r\n\r\nPING\r\nPUB in.b 1\r\n2\r\n");
        expect_seen(&inlet, "[in.a|||1;]");
        expect_seen(&single, "");
        peer_expect(peer, "");
        assert_true(peer->paused);
        inlet.overloaded = false;
        broker_inlets_resume(world.broker);
        world_turn(&world);
        expect_seen(&single, "single.a|||;");
        expect_seen(&inlet, "[in.b|||2;]");
        peer_expect(peer, "PONG\r\n");
        // What was complete before the error is delivered.
        peer_say(peer, "PUB in.a 1\r\n1\r\nNONSENSE\r\n");
        expect_seen(&inlet, "[in.a|||1;]");
        peer_expect(peer, "-ERR 'Unknown Protocol Operation'\r\n");
        world_deinit(&world);
    }
}

static void no_503_for_inlets(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct recorder inlet;
    recorder_init(&inlet, &world, "svc.>");
    struct peer *peer = peer_connect(&world, MODERN);
    peer_say(peer, "SUB r 1\r\nPUB svc.a r 0\r\n\r\nPUB svc r 0\r\n\r\n");
    peer_expect(peer, "HMSG r 1 35 35\r\nNATS/1.0 503\r\nNats-Subject: svc\r\n\r\n\r\n");
    expect_seen(&inlet, "svc.a|r||;");
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"inlets get what matches, with headers and reply", gets_messages, NULL, NULL, NULL},
        {"a prefix inlet shares with whoever overlaps it", prefix_overlap, NULL, NULL, NULL},
        {"any number of prefix inlets", many_prefixes, NULL, NULL, NULL},
        {"publish from inside, payload in parts, one write a turn", publish_parts, NULL, NULL, NULL},
        {"CO-P19 an inlet answers a request", request_reply, NULL, NULL, NULL},
        {"inlets removed while a message is routed", removal_while_routed, NULL, NULL, NULL},
        {"inlets added while a message is routed", addition_while_routed, NULL, NULL, NULL},
        {"inlets that answer each other for ever", endless_answers, NULL, NULL, NULL},
        {"inlets whose answers multiply", multiplying_answers, NULL, NULL, NULL},
        {"an overloaded inlet pauses reading", pausing, NULL, NULL, NULL},
        {"messages that lie together come in a run", runs, NULL, NULL, NULL},
        {"an overloaded inlet pauses behind its run", runs_pause, NULL, NULL, NULL},
        {"CO-P10 an inlet is a responder", no_503_for_inlets, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
