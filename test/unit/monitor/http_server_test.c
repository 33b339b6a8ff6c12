// SPDX-License-Identifier: Apache-2.0
// HTTP connections over a made-up network: requests cut anywhere, slow readers, silence.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/memory.h"
#include "env/log_quota.h"
#include "monitor/http_server.h"

#define SECOND 1000000000ULL

// The peer of one connection: takes what there is room for.
struct peer {
    struct net_conn net;
    void *context;
    const struct net_handler *handler;
    struct buffer got;
    size_t room;
    bool paused;
    bool closed;
};

struct rig {
    struct http_server *server;
    struct peer peer;
    struct moment now;
    unsigned answered;
    size_t body_size;
    bool head;
    bool holds;
    bool finishes; // what it holds, at once
    struct page *held;
    bool leaves; // what it holds: its asker's going away is told
    unsigned left;
    struct logger logger;
    char line[200];   // the last one logged
    char before[200]; // the line before
    unsigned lines;
};

static size_t peer_write(struct net_conn *net, const struct bytes *parts, size_t count)
{
    struct peer *peer = container_of(net, struct peer, net);
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        size_t len = parts[i].len < peer->room ? parts[i].len : peer->room;
        assert_int_equal(buffer_append(&peer->got, bytes_make(parts[i].ptr, len)), 0);
        peer->room -= len;
        taken += len;
    }
    return taken;
}

static void peer_pause(struct net_conn *net)
{
    container_of(net, struct peer, net)->paused = true;
}

static void peer_resume(struct net_conn *net)
{
    container_of(net, struct peer, net)->paused = false;
}

static void peer_close(struct net_conn *net)
{
    container_of(net, struct peer, net)->closed = true;
}

static const struct net_ops peer_ops = {
    .write = peer_write, .read_pause = peer_pause, .read_resume = peer_resume, .close = peer_close};

static void on_leave(struct page *page)
{
    struct rig *rig = page->holder;
    rig->left++;
    page_finish(page);
}

static void answer(void *owner, struct page *page)
{
    struct rig *rig = owner;
    rig->answered++;
    rig->head = page->request->head;
    if (rig->holds) {
        page->held = true;
        rig->held = page;
        page->holder = rig;
        page->leave = rig->leaves ? on_leave : NULL;
        if (rig->finishes) {
            assert_int_equal(buffer_append(page->body, BYTES("at once")), 0);
            page_finish(page);
        }
        return;
    }
    if (rig->body_size == 0) {
        page->content_type = BYTES("text/plain");
        assert_int_equal(buffer_append(page->body, page->request->path), 0);
        return;
    }
    char *body = buffer_reserve(page->body, rig->body_size);
    memset(body, 'b', rig->body_size);
    buffer_commit(page->body, rig->body_size);
}

static void keep_line(void *owner, enum log_level level, const char *format, va_list arguments)
{
    struct rig *rig = owner;
    assert_int_equal(level, LOG_ERROR);
    rig->lines++;
    memcpy(rig->before, rig->line, sizeof(rig->before));
    vsnprintf(rig->line, sizeof(rig->line), format, arguments);
}

static int rig_setup(void **state)
{
    struct rig *rig = mem_alloc_zero(sizeof(*rig));
    rig->logger = (struct logger){.owner = rig, .level = LOG_INFO, .write = keep_line};
    rig->now.mono_ns = 1000 * SECOND;
    rig->server = http_server_new(rig, answer, true, &rig->logger, rig->now);
    struct peer *peer = &rig->peer;
    peer->net.ops = &peer_ops;
    peer->room = SIZE_MAX;
    peer->handler = http_server_net_handler(rig->server);
    buffer_init(&peer->got, 64 * 1024 * 1024);
    peer->context =
        peer->handler->on_accept(peer->handler->owner, &peer->net, &(struct net_peer){.ip = "127.0.0.1", .port = 1});
    assert_non_null(peer->context);
    *state = rig;
    return 0;
}

static int rig_teardown(void **state)
{
    struct rig *rig = *state;
    rig->peer.handler->on_close(rig->peer.context, 0);
    buffer_deinit(&rig->peer.got);
    http_server_free(rig->server);
    mem_free(rig);
    return 0;
}

static void ask(struct rig *rig, const char *text)
{
    rig->peer.handler->on_data(rig->peer.context, bytes_from_string(text));
}

static bool got_ends_with(struct rig *rig, const char *end)
{
    struct bytes got = buffer_bytes(&rig->peer.got);
    size_t len = strlen(end);
    return got.len >= len && bytes_equal(bytes_skip(got, got.len - len), bytes_from_string(end));
}

static void a_request_cut_anywhere_is_answered_once(void **state)
{
    struct rig *rig = *state;
    const char *text = "GET /varz HTTP/1.1\r\nHost: a\r\n\r\n";
    for (size_t i = 0; i < strlen(text); i++) {
        assert_int_equal(rig->answered, 0);
        rig->peer.handler->on_data(rig->peer.context, bytes_make(text + i, 1));
    }
    assert_int_equal(rig->answered, 1);
    assert_true(
        bytes_starts_with(buffer_bytes(&rig->peer.got), BYTES("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")));
    assert_true(got_ends_with(rig, "\r\nConnection: keep-alive\r\n\r\n/varz"));
    assert_false(rig->peer.closed);
}

static void the_connection_closes_when_asked(void **state)
{
    struct rig *rig = *state;
    ask(rig, "HEAD /a HTTP/1.0\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
    assert_int_equal(rig->answered, 1);
    assert_true(rig->head);
    assert_true(got_ends_with(rig, "Content-Length: 2\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"));
    assert_true(rig->peer.closed);
    ask(rig, "GET /c HTTP/1.1\r\n\r\n");
    assert_int_equal(rig->answered, 1);
}

static void a_bad_request_is_told_and_closed(void **state)
{
    struct rig *rig = *state;
    ask(rig, "PUT /a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    assert_int_equal(rig->answered, 0);
    assert_true(bytes_starts_with(buffer_bytes(&rig->peer.got), BYTES("HTTP/1.1 405 ")));
    assert_true(rig->peer.closed);
}

static void a_body_comes_with_its_request(void **state)
{
    struct rig *rig = *state;
    ask(rig, "POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel");
    assert_int_equal(rig->answered, 0);
    ask(rig, "loGET /b HTTP/1.1\r\n\r\n");
    assert_int_equal(rig->answered, 2);
    assert_false(rig->peer.closed);
}

static void a_body_that_is_too_long_is_told_before_it_comes(void **state)
{
    struct rig *rig = *state;
    ask(rig, "POST /a HTTP/1.1\r\nContent-Length: 65537\r\n\r\n");
    assert_int_equal(rig->answered, 0);
    assert_true(bytes_starts_with(buffer_bytes(&rig->peer.got), BYTES("HTTP/1.1 413 ")));
    assert_true(rig->peer.closed);
}

static void requests_wait_for_a_slow_reader(void **state)
{
    struct rig *rig = *state;
    rig->peer.room = 10;
    ask(rig, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
    assert_int_equal(rig->answered, 1);
    assert_true(rig->peer.paused);
    for (int i = 0; i < 1000 && rig->answered < 3; i++) {
        rig->peer.room = 10;
        rig->peer.handler->on_writable(rig->peer.context);
    }
    rig->peer.room = SIZE_MAX;
    rig->peer.handler->on_writable(rig->peer.context);
    assert_int_equal(rig->answered, 3);
    assert_false(rig->peer.paused);
    assert_true(got_ends_with(rig, "\r\n\r\n/3"));
    assert_false(rig->peer.closed);
}

static void a_large_page_comes_whole(void **state)
{
    struct rig *rig = *state;
    rig->body_size = PAGE_SIZE_MAX;
    ask(rig, "GET /big HTTP/1.1\r\n\r\n");
    assert_true(rig->peer.got.len > PAGE_SIZE_MAX);
}

static void a_head_without_end_is_told_however_it_comes(void **state)
{
    struct rig *rig = *state;
    char *more = mem_alloc(2 * HTTP_SERVER_PIPELINE_MAX);
    memset(more, 'x', 2 * HTTP_SERVER_PIPELINE_MAX);
    memcpy(more, "GET /", 5);
    rig->peer.handler->on_data(rig->peer.context, bytes_make(more, 2 * HTTP_SERVER_PIPELINE_MAX));
    assert_true(bytes_starts_with(buffer_bytes(&rig->peer.got), BYTES("HTTP/1.1 431 ")));
    assert_true(rig->peer.closed);
    assert_int_equal(rig->answered, 0);
    mem_free(more);
}

static void who_asks_for_more_than_it_reads_is_closed(void **state)
{
    struct rig *rig = *state;
    rig->peer.room = 0;
    ask(rig, "GET /1 HTTP/1.1\r\n\r\n");
    char *more = mem_alloc_zero(HTTP_SERVER_PIPELINE_MAX + 1);
    rig->peer.handler->on_data(rig->peer.context, bytes_make(more, HTTP_SERVER_PIPELINE_MAX));
    assert_false(rig->peer.closed);
    rig->peer.handler->on_data(rig->peer.context, bytes_make(more, 1));
    assert_true(rig->peer.closed);
    mem_free(more);
}

static void pass(struct rig *rig, uint64_t ms)
{
    rig->now.mono_ns += ms * 1000000;
    http_server_turn_begin(rig->server, rig->now);
}

static void silence_and_half_requests_end_at_the_deadline(void **state)
{
    struct rig *rig = *state;
    uint64_t deadline_ms = http_server_next_deadline_ms(rig->server);
    assert_int_equal(deadline_ms, moment_mono_ms(rig->now) + HTTP_SERVER_IDLE_MS);
    pass(rig, HTTP_SERVER_IDLE_MS - 1);
    ask(rig, "GET /slow HTT");
    assert_false(rig->peer.closed);
    assert_int_equal(http_server_next_deadline_ms(rig->server), deadline_ms);
    pass(rig, 1);
    assert_true(rig->peer.closed);
    assert_int_equal(http_server_next_deadline_ms(rig->server), UINT64_MAX);
}

static void a_complete_request_keeps_a_connection_alive(void **state)
{
    struct rig *rig = *state;
    pass(rig, HTTP_SERVER_IDLE_MS - 1);
    ask(rig, "GET / HTTP/1.1\r\n\r\n");
    pass(rig, HTTP_SERVER_IDLE_MS - 1);
    assert_false(rig->peer.closed);
    pass(rig, 1);
    assert_true(rig->peer.closed);
}

static void finish(struct rig *rig, struct bytes body)
{
    assert_int_equal(buffer_append(rig->held->body, body), 0);
    page_finish(rig->held);
}

// A reader that takes a byte now and then keeps nothing for long.
static void little_progress_is_none(void **state)
{
    struct rig *rig = *state;
    rig->body_size = 4 * HTTP_SERVER_PROGRESS;
    rig->peer.room = 0;
    ask(rig, "GET /big HTTP/1.1\r\n\r\n");
    pass(rig, HTTP_SERVER_IDLE_MS - 1);
    rig->peer.room = HTTP_SERVER_PROGRESS;
    rig->peer.handler->on_writable(rig->peer.context);
    pass(rig, HTTP_SERVER_IDLE_MS - 1);
    assert_false(rig->peer.closed);
    rig->peer.room = HTTP_SERVER_PROGRESS - 1;
    rig->peer.handler->on_writable(rig->peer.context);
    pass(rig, 1);
    assert_true(rig->peer.closed);
}

static void answers_that_wait_have_a_budget(void **state)
{
    struct rig *rig = *state;
    enum { COUNT = HTTP_SERVER_WAITING_MAX / PAGE_SIZE_MAX };
    struct peer others[COUNT];
    const struct net_handler *handler = rig->peer.handler;
    rig->body_size = PAGE_SIZE_MAX;
    for (size_t i = 0; i < COUNT; i++) {
        others[i] = (struct peer){.net.ops = &peer_ops};
        buffer_init(&others[i].got, 1);
        others[i].context = handler->on_accept(handler->owner, &others[i].net, &(struct net_peer){.port = 2});
        handler->on_data(others[i].context, BYTES("GET /big HTTP/1.1\r\n\r\n"));
    }
    ask(rig, "GET /big HTTP/1.1\r\n\r\n");
    assert_true(bytes_starts_with(buffer_bytes(&rig->peer.got), BYTES("HTTP/1.1 503 ")));
    buffer_clear(&rig->peer.got);
    rig->body_size = HTTP_SERVER_SMALL;
    ask(rig, "GET /healthz HTTP/1.1\r\n\r\n");
    assert_true(bytes_starts_with(buffer_bytes(&rig->peer.got), BYTES("HTTP/1.1 200 ")));
    for (size_t i = 0; i < COUNT; i++)
        handler->on_close(others[i].context, 0);
    buffer_clear(&rig->peer.got);
    rig->body_size = PAGE_SIZE_MAX;
    ask(rig, "GET /big HTTP/1.1\r\n\r\n");
    assert_true(bytes_starts_with(buffer_bytes(&rig->peer.got), BYTES("HTTP/1.1 200 ")));
}

static void a_failed_handshake_is_logged(void **state)
{
    struct rig *rig = *state;
    rig->peer.handler->on_secure(rig->peer.context, &(struct net_tls_info){.version = "1.3"});
    assert_string_equal(rig->line, "");
    assert_false(rig->peer.closed);
    rig->peer.handler->on_secure(rig->peer.context, &(struct net_tls_info){.failure = "no shared cipher"});
    assert_string_equal(rig->line, "127.0.0.1:1 - monitoring - TLS handshake error: no shared cipher");
    assert_true(rig->peer.closed);
}

// At most so many lines a second; the others are counted.
static void a_handshake_that_never_ends_is_logged(void **state)
{
    enum { COUNT = LOG_QUOTA_LINES + 5 };
    struct rig *rig = *state;
    const struct net_handler *handler = rig->peer.handler;
    struct peer others[COUNT];
    rig->peer.handler->on_secure(rig->peer.context, &(struct net_tls_info){.version = "1.3"});
    for (size_t i = 0; i < COUNT; i++) {
        others[i] = (struct peer){.net.ops = &peer_ops, .handler = handler, .room = SIZE_MAX};
        others[i].context =
            handler->on_accept(handler->owner, &others[i].net, &(struct net_peer){.ip = "127.0.0.2", .port = 7});
    }
    pass(rig, HTTP_SERVER_IDLE_MS);
    assert_string_equal(rig->line, "127.0.0.2:7 - monitoring - TLS handshake timeout");
    assert_int_equal(rig->lines, LOG_QUOTA_LINES);
    assert_true(rig->peer.closed && others[COUNT - 1].closed);
    pass(rig, 1000);
    assert_int_equal(rig->lines, LOG_QUOTA_LINES);
    for (size_t i = 0; i < COUNT; i++)
        handler->on_close(others[i].context, 0);
    struct peer late = {.net.ops = &peer_ops, .handler = handler, .room = SIZE_MAX};
    late.context = handler->on_accept(handler->owner, &late.net, &(struct net_peer){.ip = "127.0.0.3", .port = 7});
    handler->on_secure(late.context, &(struct net_tls_info){.failure = "no shared cipher"});
    assert_int_equal(rig->lines, LOG_QUOTA_LINES + 2);
    assert_string_equal(rig->before, "monitoring - 5 more TLS handshakes failed");
    handler->on_close(late.context, 0);
}

static void a_page_may_come_later_and_the_next_request_waits(void **state)
{
    struct rig *rig = *state;
    rig->holds = true;
    ask(rig, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    assert_int_equal(rig->answered, 1);
    assert_int_equal(rig->peer.got.len, 0);
    rig->holds = false;
    finish(rig, BYTES("first"));
    assert_int_equal(rig->answered, 2);
    assert_non_null(memmem(rig->peer.got.ptr, rig->peer.got.len, "\r\n\r\nfirstHTTP/1.1 200", 21));
    assert_true(got_ends_with(rig, "\r\n\r\n/2"));
    assert_false(rig->peer.paused);
}

static void a_held_page_may_be_finished_at_once(void **state)
{
    struct rig *rig = *state;
    rig->holds = rig->finishes = true;
    ask(rig, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    assert_int_equal(rig->answered, 2);
    assert_true(got_ends_with(rig, "\r\n\r\nat once"));
}

static void nobody_gets_the_page_of_who_has_gone(void **state)
{
    struct rig *rig = *state;
    rig->holds = true;
    ask(rig, "GET /1 HTTP/1.1\r\n\r\n");
    rig->peer.handler->on_close(rig->peer.context, 0);
    finish(rig, BYTES("too late"));
    assert_int_equal(rig->peer.got.len, 0);
    rig->peer.context = rig->peer.handler->on_accept(rig->peer.handler->owner, &rig->peer.net,
                                                     &(struct net_peer){.ip = "127.0.0.1", .port = 1});
    ask(rig, "GET /1 HTTP/1.1\r\n\r\n");
    assert_true(rig->peer.paused);
    http_server_shutdown(rig->server);
    assert_true(rig->peer.closed);
    finish(rig, BYTES("too late"));
    assert_int_equal(rig->peer.got.len, 0);
}

static void who_waits_for_a_page_is_not_silent(void **state)
{
    struct rig *rig = *state;
    rig->holds = true;
    ask(rig, "GET /1 HTTP/1.1\r\n\r\n");
    pass(rig, HTTP_SERVER_IDLE_MS);
    assert_false(rig->peer.closed);
    finish(rig, BYTES("late"));
    assert_true(got_ends_with(rig, "\r\n\r\nlate"));
    pass(rig, HTTP_SERVER_IDLE_MS - 1);
    assert_false(rig->peer.closed);
    pass(rig, 1);
    assert_true(rig->peer.closed);
}

// It is read from meanwhile, or nobody would notice.
static void who_holds_a_page_is_told_that_its_asker_has_gone(void **state)
{
    struct rig *rig = *state;
    rig->holds = rig->leaves = true;
    ask(rig, "GET /1 HTTP/1.1\r\n\r\n");
    assert_false(rig->peer.paused);
    ask(rig, "GET /2 HTTP/1.1\r\n\r\n");
    assert_int_equal(rig->answered, 1);
    rig->peer.handler->on_close(rig->peer.context, 0);
    assert_int_equal(rig->left, 1);
    assert_int_equal(rig->peer.got.len, 0);
    rig->peer.context = rig->peer.handler->on_accept(rig->peer.handler->owner, &rig->peer.net,
                                                     &(struct net_peer){.ip = "127.0.0.1", .port = 1});
    ask(rig, "GET /3 HTTP/1.1\r\n\r\n");
    rig->held->leave = NULL; // its holder does not mind any more
    finish(rig, BYTES("third"));
    assert_int_equal(rig->left, 1);
    assert_true(got_ends_with(rig, "\r\n\r\nthird"));
}

static void json_may_be_wrapped_in_a_callback(void **state)
{
    struct rig *rig = *state;
    rig->holds = true;
    ask(rig, "GET /1?callback=a.b_$1 HTTP/1.1\r\n\r\n");
    finish(rig, BYTES("{}"));
    assert_non_null(memmem(rig->peer.got.ptr, rig->peer.got.len, "application/javascript", 22));
    assert_true(got_ends_with(rig, "\r\n\r\na.b_$1({})"));
    ask(rig, "GET /1?callback=alert(1) HTTP/1.1\r\n\r\n");
    finish(rig, BYTES("{}"));
    assert_true(got_ends_with(rig, "\r\n\r\n{}"));
}

static void there_is_a_limit_and_an_end(void **state)
{
    struct rig *rig = *state;
    struct peer *peers = mem_alloc_zero(HTTP_SERVER_CONNECTIONS_MAX * sizeof(*peers));
    const struct net_handler *handler = http_server_net_handler(rig->server);
    struct net_peer from = {.ip = "127.0.0.1", .port = 1};
    for (size_t i = 0; i < HTTP_SERVER_CONNECTIONS_MAX; i++) {
        peers[i].net.ops = &peer_ops;
        peers[i].context = handler->on_accept(handler->owner, &peers[i].net, &from);
        assert_int_equal(peers[i].context != NULL, i < HTTP_SERVER_CONNECTIONS_MAX - 1);
    }
    http_server_shutdown(rig->server);
    assert_true(rig->peer.closed);
    for (size_t i = 0; i < HTTP_SERVER_CONNECTIONS_MAX - 1; i++) {
        assert_true(peers[i].closed);
        handler->on_close(peers[i].context, 0);
    }
    assert_null(handler->on_accept(handler->owner, &peers[0].net, &from));
    mem_free(peers);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(a_request_cut_anywhere_is_answered_once),
        T(the_connection_closes_when_asked),
        T(a_bad_request_is_told_and_closed),
        T(a_body_comes_with_its_request),
        T(a_body_that_is_too_long_is_told_before_it_comes),
        T(requests_wait_for_a_slow_reader),
        T(a_large_page_comes_whole),
        T(a_head_without_end_is_told_however_it_comes),
        T(who_asks_for_more_than_it_reads_is_closed),
        T(silence_and_half_requests_end_at_the_deadline),
        T(a_complete_request_keeps_a_connection_alive),
        T(a_failed_handshake_is_logged),
        T(a_handshake_that_never_ends_is_logged),
        T(little_progress_is_none),
        T(answers_that_wait_have_a_budget),
        T(a_page_may_come_later_and_the_next_request_waits),
        T(a_held_page_may_be_finished_at_once),
        T(nobody_gets_the_page_of_who_has_gone),
        T(who_waits_for_a_page_is_not_silent),
        T(who_holds_a_page_is_told_that_its_asker_has_gone),
        T(json_may_be_wrapped_in_a_callback),
        T(there_is_a_limit_and_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
