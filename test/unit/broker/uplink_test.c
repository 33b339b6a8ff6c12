// SPDX-License-Identifier: Apache-2.0
// An uplink between a broker and a server that the test plays: what it says to both, and when.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/list.h"
#include "broker/uplink.h"

#define INFO      "INFO {\"server_id\":\"S\",\"version\":\"2.9.0\",\"headers\":true,\"max_payload\":1000}\r\n"
#define CONNECTED "PING\r\n"
#define STEPS_MAX 100

struct far {
    struct net_dialer dialer; // first
    struct net_conn conn;
    struct net_dial *dial; // under way
    const struct net_handler *handler;
    void *context; // of the connection; NULL: there is none
    struct broker *broker;
    struct uplink *uplink;
    struct moment now;
    struct inlet inlet;
    struct inlet other; // hears nothing
    struct broker_watch watch;
    enum broker_interest interest;
    struct buffer said; // by the uplink
    struct buffer got;  // by the inlet, as text
    size_t takes;       // bytes; SIZE_MAX: all
    bool paused, closing, shaking, tls;
    unsigned dials, rivals;
    bool accepts; // what the inlet answers
    char host[64];
    char lines[4096]; // of the log
};

static void dial_start(struct net_dialer *dialer, struct net_dial *dial)
{
    struct far *far = container_of(dialer, struct far, dialer);
    far->dial = dial;
    far->handler = dial->handler;
    far->dials++;
    dial->implementation = far;
    snprintf(far->host, sizeof(far->host), "%s:%s", dial->host, dial->port);
}

static void dial_stop(struct net_dialer *dialer, struct net_dial *dial)
{
    container_of(dialer, struct far, dialer)->dial = NULL;
    dial->implementation = NULL;
}

static size_t conn_write(struct net_conn *conn, const struct bytes *parts, size_t count)
{
    struct far *far = container_of(conn, struct far, conn);
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n = parts[i].len < far->takes ? parts[i].len : far->takes;
        assert_int_equal(buffer_append(&far->said, bytes_make(parts[i].ptr, n)), 0);
        far->takes -= far->takes == SIZE_MAX ? 0 : n;
        taken += n;
    }
    return taken;
}

static void conn_pause(struct net_conn *conn)
{
    container_of(conn, struct far, conn)->paused = true;
}

static void conn_resume(struct net_conn *conn)
{
    container_of(conn, struct far, conn)->paused = false;
}

static void conn_close(struct net_conn *conn)
{
    container_of(conn, struct far, conn)->closing = true;
}

static bool conn_may_start_tls(const struct net_conn *conn)
{
    return container_of((struct net_conn *)(uintptr_t)conn, struct far, conn)->tls;
}

static void conn_start_tls(struct net_conn *conn, struct bytes received)
{
    assert_int_equal(received.len, 0);
    container_of(conn, struct far, conn)->shaking = true;
}

static const struct net_ops OPS = {.write = conn_write,
                                   .read_pause = conn_pause,
                                   .read_resume = conn_resume,
                                   .close = conn_close,
                                   .may_start_tls = conn_may_start_tls,
                                   .start_tls = conn_start_tls};

static bool on_message(struct inlet *inlet, const struct inlet_message *message)
{
    struct far *far = container_of(inlet, struct far, inlet);
    assert_int_equal(buffer_printf(&far->got, "%.*s|%.*s|%.*s|%.*s\n", BYTES_ARG(message->subject),
                                   BYTES_ARG(message->reply), BYTES_ARG(message->headers), BYTES_ARG(message->payload)),
                     0);
    return far->accepts;
}

static bool on_nothing(struct inlet *inlet, const struct inlet_message *message)
{
    fail_msg("%.*s is not for it", BYTES_ARG(message->subject));
    return true;
}

static void on_interest(struct broker_watch *watch, enum broker_interest interest)
{
    container_of(watch, struct far, watch)->interest = interest;
}

static void on_rival(void *owner)
{
    ((struct far *)owner)->rivals++;
}

static void write_line(void *owner, enum log_level level, const char *format, va_list arguments)
{
    struct far *far = owner;
    size_t len = strlen(far->lines);
    vsnprintf(far->lines + len, sizeof(far->lines) - len, format, arguments);
    strncat(far->lines, "\n", sizeof(far->lines) - strlen(far->lines) - 1);
}

static void turns(struct far *far)
{
    bool again = true;
    for (int i = 0; again; i++) {
        assert_true(i < STEPS_MAX);
        again = broker_turn_end(far->broker);
        again |= uplink_is_busy(far->uplink);
        broker_check(far->broker);
        broker_turn_begin(far->broker, far->now);
        if (far->closing && far->context) {
            far->closing = false;
            void *context = far->context;
            far->context = NULL;
            far->handler->on_close(context, 0);
            again = true;
        }
        uplink_turn_begin(far->uplink, far->now);
        again |= far->closing && far->context;
    }
}

static void advance(struct far *far, uint64_t ms)
{
    far->now.mono_ns += ms * 1000000;
    turns(far);
}

static void say(struct far *far, const char *text)
{
    far->handler->on_data(far->context, bytes_from_string(text));
    turns(far);
}

// Cut anywhere.
static void say_slowly(struct far *far, const char *text)
{
    for (; *text; text++) {
        far->handler->on_data(far->context, bytes_make(text, 1));
        turns(far);
    }
}

static void expect(struct buffer *buffer, const char *text)
{
    assert_int_equal(buffer_append_char(buffer, '\0'), 0);
    assert_string_equal(buffer->ptr, text);
    buffer_clear(buffer);
}

static void expect_with(struct buffer *buffer, const char *part)
{
    assert_int_equal(buffer_append_char(buffer, '\0'), 0);
    assert_non_null(strstr(buffer->ptr, part));
    buffer_clear(buffer);
}

static void reach(struct far *far)
{
    const struct net_peer peer = {.ip = "192.0.2.1", .port = 4222};
    assert_non_null(far->dial);
    far->dial->implementation = NULL;
    far->dial = NULL;
    far->paused = false;
    far->takes = SIZE_MAX;
    far->context = far->handler->on_accept(far->handler->owner, &far->conn, &peer);
    turns(far);
}

static void fail_dial(struct far *far)
{
    struct net_dial *dial = far->dial;
    far->dial = NULL;
    dial->implementation = NULL;
    dial->on_failed(dial, "connection refused");
    turns(far);
}

static void lose(struct far *far)
{
    void *context = far->context;
    far->context = NULL;
    far->closing = false;
    far->handler->on_close(context, 0);
    turns(far);
}

static void serve(struct far *far)
{
    reach(far);
    say(far, INFO);
    expect_with(&far->said, CONNECTED);
    say(far, "PONG\r\n");
}

static void open_with(struct far *far, const struct uplink_options *chosen)
{
    static const struct logger LOGGER = {.write = write_line};
    struct broker_options options;
    broker_options_default(&options);
    options.has_uplink = true;
    *far = (struct far){.dialer = {dial_start, dial_stop},
                        .conn.ops = &OPS,
                        .takes = SIZE_MAX,
                        .accepts = true,
                        .tls = true,
                        .now = {.mono_ns = 1000000000, .wall_ns = 1700000000000000000}};
    buffer_init(&far->said, 1 << 26);
    buffer_init(&far->got, 1 << 26);
    far->broker = broker_new(&options, far->now);
    broker_turn_begin(far->broker, far->now);
    far->inlet.on_message = on_message;
    far->other.on_message = on_nothing;
    assert_int_equal(broker_inlet_add(far->broker, &far->inlet, BYTES("in.>")), 0);
    far->watch.on_change = on_interest;
    far->interest = broker_watch_add(far->broker, &far->watch, BYTES("_INBOX.x"));
    static struct logger logger; // tidy: allow mutable (its owner changes)
    logger = LOGGER;
    logger.owner = far;
    struct uplink_options uplink = *chosen;
    uplink.broker = far->broker;
    uplink.dialer = &far->dialer;
    uplink.urls = chosen->urls ? chosen->urls : "nats://ann:hush@a:1";
    uplink.name = "weir";
    uplink.max_payload = 100;
    uplink.max_control_line = 4096;
    uplink.on_rival = on_rival;
    uplink.owner = far;
    uplink.logger = &logger;
    char message[UPLINK_MESSAGE_SIZE];
    assert_int_equal(uplink_new(&uplink, far->now, &far->uplink, message), 0);
    turns(far);
}

static void open_far(struct far *far)
{
    open_with(far, &(struct uplink_options){0});
}

static void close_far(struct far *far)
{
    uplink_shutdown(far->uplink);
    broker_shutdown(far->broker);
    turns(far);
    if (far->context)
        lose(far);
    turns(far);
    assert_true(uplink_has_ended(far->uplink));
    uplink_free(far->uplink);
    broker_watch_remove(far->broker, &far->watch);
    broker_free(far->broker);
    buffer_deinit(&far->said);
    buffer_deinit(&far->got);
    assert_null(strstr(far->lines, "hush"));
}

static void publish(struct far *far, const char *subject, const char *payload)
{
    const struct bytes none = {0}, parts[] = {bytes_from_string(payload)};
    broker_publish(far->broker, bytes_from_string(subject), none, none, parts, 1);
    turns(far);
}

// ST-C06: the inlets' subjects are subscribed, both directions keep replies, headers and order.
static void carries_messages_both_ways(void **state)
{
    struct far far;
    open_far(&far);
    serve(&far);
    expect(&far.said, "SUB in.> 2\r\nPING\r\n");
    assert_int_equal(far.interest, BROKER_INTEREST_READY);
    assert_string_equal(far.lines, "");
    say(&far, "PONG\r\n");
    say(&far, "PONG\r\n");
    assert_string_equal(far.lines, "NATS server a:1: connected, NATS Streaming is served to its clients\n");
    say_slowly(&far, "MSG in.a 2 _INBOX.r 2\r\nhi\r\nHMSG in.b 2 12 13\r\nNATS/1.0\r\n\r\nx\r\nPING\r\n");
    expect(&far.got, "in.a|_INBOX.r||hi\nin.b||NATS/1.0\r\n\r\n|x\n");
    expect(&far.said, "PONG\r\n");
    publish(&far, "out", "one");
    const struct bytes part = BYTES("two");
    assert_int_equal(broker_publish(far.broker, BYTES("out"), BYTES("re"), BYTES("NATS/1.0\r\n\r\n"), &part, 1), 1);
    turns(&far);
    expect(&far.said, "PUB out 3\r\none\r\nHPUB out re 12 15\r\nNATS/1.0\r\n\r\ntwo\r\n");
    assert_int_equal(broker_inlet_add(far.broker, &far.other, BYTES("late")), 0);
    expect(&far.said, "SUB late 3\r\n");
    broker_inlet_remove(far.broker, &far.other);
    expect(&far.said, "UNSUB 3\r\n");
    assert_int_equal(broker_inlet_add(far.broker, &far.other, BYTES("$WEIR.own")), 0);
    expect(&far.said, "");
    say(&far, "MSG $WEIR.own 2 1\r\nx\r\n");
    expect(&far.got, "");
    close_far(&far);
}

// While it is away members are congested, not gone; it comes back by itself, later and later.
static void comes_back(void **state)
{
    struct far far;
    open_with(&far, &(struct uplink_options){.urls = "ann:hush@a:1,b:2"});
    assert_int_equal(far.interest, BROKER_INTEREST_CONGESTED);
    assert_true(broker_is_cut_off(far.broker));
    assert_string_equal(far.host, "a:1");
    fail_dial(&far);
    assert_string_equal(far.host, "b:2");
    serve(&far);
    buffer_clear(&far.said);
    assert_int_equal(far.interest, BROKER_INTEREST_READY);
    assert_false(broker_is_cut_off(far.broker));
    lose(&far);
    assert_int_equal(far.interest, BROKER_INTEREST_CONGESTED);
    publish(&far, "out", "nobody");
    unsigned dials = far.dials;
    advance(&far, 100);
    assert_int_equal(far.dials, dials + 1);
    assert_string_equal(far.host, "a:1");
    serve(&far);
    expect(&far.said, "SUB in.> 2\r\nPING\r\n");
    lose(&far);
    for (int i = 0; i < 20; i++) {
        advance(&far, 4000);
        if (far.dial)
            fail_dial(&far);
    }
    dials = far.dials;
    advance(&far, 1500);
    assert_int_equal(far.dials, dials); // half of four seconds at least
    advance(&far, 2500);
    assert_true(far.dials > dials);
    close_far(&far);
}

static void learns_servers_from_info(void **state)
{
    struct far far;
    open_far(&far);
    reach(&far);
    say(&far, "INFO {\"max_payload\":1000,\"connect_urls\":[\"a:1\",\"c:3\",\"[::1]:4\"]}\r\n");
    expect_with(&far.said, "\"user\":\"ann\",\"pass\":\"hush\"");
    say(&far, "PONG\r\n");
    lose(&far);
    advance(&far, 100);
    assert_string_equal(far.host, "c:3");
    reach(&far);
    say(&far, "INFO {\"max_payload\":1000}\r\n");
    expect_with(&far.said, "\"user\":\"ann\",\"pass\":\"hush\"");
    lose(&far);
    assert_string_equal(far.host, "::1:4");
    close_far(&far);
}

// Its -ERR before we are in ends the attempt; later it is only told, once.
static void tells_errors_once(void **state)
{
    struct far far;
    open_far(&far);
    for (int i = 0; i < 3; i++) {
        reach(&far);
        say(&far, INFO);
        say(&far, "-ERR 'Authorization Violation'\r\n");
        assert_null(far.context);
        advance(&far, 4000);
    }
    assert_string_equal(far.lines, "NATS server a:1: it refuses us: Authorization Violation\n");
    serve(&far);
    far.lines[0] = '\0';
    say(&far,
        "-ERR 'Permissions Violation for Publish to \"x\"'\r\n-ERR 'Permissions Violation for Publish to \"x\"'\r\n");
    assert_non_null(far.context);
    assert_string_equal(far.lines, "NATS server a:1: it says: Permissions Violation for Publish to \"x\"\n");
    close_far(&far);
}

static void what_is_too_large_goes_no_further(void **state)
{
    struct far far;
    char big[2000], text[2100];
    memset(big, 'x', sizeof(big));
    big[1500] = '\0';
    open_far(&far);
    serve(&far);
    buffer_clear(&far.said);
    publish(&far, "out", big);
    publish(&far, "out", "small");
    expect(&far.said, "PUB out 5\r\nsmall\r\n");
    big[101] = '\0';
    snprintf(text, sizeof(text), "MSG in.a 2 101\r\n%s\r\nMSG in.b 2 1\r\ny\r\n", big);
    say(&far, text);
    expect(&far.got, "in.b|||y\n");
    assert_non_null(far.context);
    close_far(&far);
}

// An overloaded inlet stops reading, a slow server makes the broker's queue grow until members are congested.
static void pushes_back(void **state)
{
    struct far far;
    open_far(&far);
    serve(&far);
    far.accepts = false;
    say(&far, "MSG in.a 2 1\r\nx\r\n");
    assert_true(far.paused);
    far.accepts = true;
    broker_inlets_resume(far.broker);
    turns(&far);
    assert_false(far.paused);
    buffer_clear(&far.said);
    far.takes = 0;
    char block[1000];
    memset(block, 'x', sizeof(block) - 1);
    block[sizeof(block) - 1] = '\0';
    int sent = 0;
    while (far.interest == BROKER_INTEREST_READY && sent < 2000) {
        publish(&far, "out", block);
        sent++;
    }
    assert_int_equal(far.interest, BROKER_INTEREST_CONGESTED);
    assert_int_equal(far.said.len, 0);
    far.takes = SIZE_MAX;
    far.handler->on_writable(far.context);
    turns(&far);
    assert_int_equal(far.interest, BROKER_INTEREST_READY);
    assert_int_equal(far.said.len, (size_t)sent * (strlen("PUB out 999\r\n") + strlen(block) + 2));
    close_far(&far);
}

// ST-P01.
static void finds_a_rival(void **state)
{
    const struct uplink_options options = {.probe_subject = BYTES("_STAN.discover.c"), .probe_payload = BYTES("?")};
    struct far far;
    open_with(&far, &options);
    serve(&far);
    expect_with(&far.said, "PUB _STAN.discover.c _INBOX.");
    say(&far, "MSG _INBOX.x 1 2\r\nme\r\n");
    assert_int_equal(far.rivals, 1);
    assert_null(far.context);
    close_far(&far);
    open_with(&far, &options);
    serve(&far);
    buffer_clear(&far.said);
    advance(&far, 249);
    assert_false(uplink_is_serving(far.uplink));
    advance(&far, 1);
    expect(&far.said, "UNSUB 1\r\nSUB in.> 2\r\nPING\r\n");
    assert_int_equal(far.rivals, 0);
    close_far(&far);
}

static void becomes_secure_when_asked_to(void **state)
{
    struct far far;
    open_with(&far, &(struct uplink_options){.urls = "tls://a:1"});
    reach(&far);
    say(&far, INFO);
    assert_null(far.context);
    assert_string_equal(far.lines, "NATS server a:1: TLS is asked for, and it has none\n");
    advance(&far, 4000);
    reach(&far);
    say(&far, "INFO {\"tls_required\":true,\"max_payload\":1000}\r\n");
    assert_true(far.shaking);
    expect(&far.said, "");
    far.handler->on_secure(far.context, &(struct net_tls_info){.failure = "certificate signed by nobody"});
    turns(&far);
    assert_null(far.context);
    advance(&far, 4000);
    reach(&far);
    say(&far, "INFO {\"tls_required\":true,\"max_payload\":1000}\r\n");
    far.handler->on_secure(far.context, &(struct net_tls_info){.version = "1.3"});
    turns(&far);
    expect_with(&far.said, "\"tls_required\":true");
    close_far(&far);
}

static void gives_up_on_silence(void **state)
{
    struct far far;
    open_far(&far);
    for (int step = 0; step < 3; step++) {
        if (step > 0)
            reach(&far);
        if (step > 1)
            say(&far, INFO);
        advance(&far, 5000);
        assert_null(far.context);
        advance(&far, 4000);
        assert_non_null(far.dial);
    }
    serve(&far);
    for (int i = 0; i < 3; i++) {
        assert_non_null(far.context);
        advance(&far, 30000);
    }
    assert_null(far.context);
    advance(&far, 4000);
    reach(&far);
    say(&far, "HTTP/1.1 400 Bad Request\r\n");
    assert_null(far.context);
    close_far(&far);
}

static void refuses_lists_without_showing_them(void **state)
{
    char message[UPLINK_MESSAGE_SIZE], many[600] = "";
    for (int i = 0; i <= UPLINK_CONFIGURED_MAX; i++)
        strncat(many, "nats://host:4222,", sizeof(many) - strlen(many) - 1);
    assert_int_equal(uplink_check(many, message), ERR_INVALID);
    const char *const wrong[] = {"", " , ", "nats://u:hush@", "h:0", "h:hush", "h,u:hush@h:99999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(uplink_check(wrong[i], message), ERR_INVALID);
        assert_null(strstr(message, "hush"));
    }
    assert_int_equal(uplink_check("h", message), 0);
    assert_int_equal(uplink_check("nats://u:p@h:1 , tls://[::1]:2", message), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_messages_both_ways),
        cmocka_unit_test(comes_back),
        cmocka_unit_test(learns_servers_from_info),
        cmocka_unit_test(tells_errors_once),
        cmocka_unit_test(what_is_too_large_goes_no_further),
        cmocka_unit_test(pushes_back),
        cmocka_unit_test(finds_a_rival),
        cmocka_unit_test(becomes_secure_when_asked_to),
        cmocka_unit_test(gives_up_on_silence),
        cmocka_unit_test(refuses_lists_without_showing_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
