// SPDX-License-Identifier: Apache-2.0
// The filter between a fake network below and a fake handler above.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../codec/websocket_client.h"
#include "base/buffer.h"
#include "base/prng.h"
#include "broker/websocket.h"
#include "codec/deflate.h"
#include "codec/websocket.h"

struct bench {
    struct net_conn lower; // first
    struct net_handler inner;
    struct websocket_options options;
    struct websocket *websocket;
    struct moment now;
    void *context; // the filter's, for the lower side
    size_t takes;  // bytes that lower writes accept
    struct buffer sent;
    bool lower_paused;
    bool lower_closing;
    struct net_conn *conn; // the filter's, for the inner side
    struct net_peer peer;
    struct buffer received;
    size_t pause_every; // inner pauses when it has received so much more; 0: never
    size_t pause_at;
    unsigned writables;
    unsigned inner_closes;
    bool refuses;
};

static size_t lower_write(struct net_conn *conn, const struct bytes *parts, size_t count)
{
    struct bench *bench = (struct bench *)(void *)conn;
    size_t taken = 0;
    for (size_t i = 0; i < count && bench->takes > 0; i++) {
        size_t n = parts[i].len < bench->takes ? parts[i].len : bench->takes;
        assert_int_equal(buffer_append(&bench->sent, bytes_make(parts[i].ptr, n)), 0);
        taken += n;
        bench->takes -= bench->takes == SIZE_MAX ? 0 : n;
    }
    return taken;
}

static void lower_pause(struct net_conn *conn)
{
    ((struct bench *)(void *)conn)->lower_paused = true;
}

static void lower_resume(struct net_conn *conn)
{
    ((struct bench *)(void *)conn)->lower_paused = false;
}

static void lower_close(struct net_conn *conn)
{
    ((struct bench *)(void *)conn)->lower_closing = true;
}

static const struct net_ops LOWER_OPS = {
    .write = lower_write, .read_pause = lower_pause, .read_resume = lower_resume, .close = lower_close};

static void *inner_accept(void *owner, struct net_conn *conn, const struct net_peer *peer)
{
    struct bench *bench = owner;
    bench->conn = conn;
    bench->peer = *peer;
    return bench->refuses ? NULL : bench;
}

static void inner_data(void *context, struct bytes data)
{
    struct bench *bench = context;
    assert_true(bench->pause_every == 0 || bench->received.len < bench->pause_at);
    assert_int_equal(buffer_append(&bench->received, data), 0);
    if (bench->pause_every > 0 && bench->received.len >= bench->pause_at)
        net_read_pause(bench->conn);
}

static void inner_writable(void *context)
{
    ((struct bench *)context)->writables++;
}

static void inner_close(void *context, int error)
{
    ((struct bench *)context)->inner_closes++;
}

static void sha1(struct bytes data, uint8_t ret_digest[20])
{
    assert_true(bytes_equal(data, BYTES("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
    // RFC 6455, 1.3
    memcpy(ret_digest, "\xb3\x7a\x4f\x2c\xc0\x62\x4f\x16\x90\xf6\x46\x06\xcf\x38\x59\x45\xb2\xbe\xc4\xea", 20);
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.lower.ops = &LOWER_OPS, .takes = SIZE_MAX};
    bench->inner = (struct net_handler){.owner = bench,
                                        .on_accept = inner_accept,
                                        .on_data = inner_data,
                                        .on_writable = inner_writable,
                                        .on_close = inner_close};
    websocket_options_default(&bench->options);
    bench->options.inner = &bench->inner;
    bench->options.sha1 = sha1;
    bench->options.compression = true;
    buffer_init(&bench->sent, 1 << 26);
    buffer_init(&bench->received, 1 << 26);
}

static void start(struct bench *bench)
{
    bench->websocket = websocket_new(&bench->options, bench->now);
    const struct net_handler *handler = websocket_net_handler(bench->websocket);
    websocket_turn_begin(bench->websocket, bench->now);
    bench->context = handler->on_accept(handler->owner, &bench->lower, &(struct net_peer){.ip = "10.0.0.1"});
    assert_non_null(bench->context);
}

static void bench_deinit(struct bench *bench)
{
    websocket_net_handler(bench->websocket)->on_close(bench->context, 0);
    websocket_free(bench->websocket);
    buffer_deinit(&bench->sent);
    buffer_deinit(&bench->received);
}

static void give(struct bench *bench, struct bytes data)
{
    websocket_net_handler(bench->websocket)->on_data(bench->context, data);
}

#define REQUEST                                                                                                        \
    "GET / HTTP/1.1\r\nHost: here:8080\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

static void open_with(struct bench *bench, const char *fields)
{
    char request[1024];
    int len = snprintf(request, sizeof(request), REQUEST "%s\r\n", fields);
    start(bench);
    give(bench, bytes_make(request, (size_t)len));
}

static bool sent_has(const struct bench *bench, const char *text)
{
    return memmem(bench->sent.ptr, bench->sent.len, text, strlen(text)) != NULL;
}

static void give_frame(struct bench *bench, int first, struct bytes payload)
{
    struct buffer frame;
    buffer_init(&frame, 1 << 20);
    websocket_client_append(&frame, first, payload);
    give(bench, buffer_bytes(&frame));
    buffer_deinit(&frame);
}

static void an_opening_is_answered_and_handed_over(void **state)
{
    struct bench bench;
    bench_init(&bench);
    open_with(&bench, "");
    assert_true(bytes_starts_with(buffer_bytes(&bench.sent), BYTES("HTTP/1.1 101 ")));
    assert_true(sent_has(&bench, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_false(sent_has(&bench, "Extensions"));
    assert_non_null(bench.conn);
    assert_string_equal(bench.peer.ip, "10.0.0.1");
    assert_null(net_forwarded_ip(bench.conn));
    assert_int_equal(bench.peer.transport, NET_WEBSOCKET);
    assert_int_equal(websocket_next_deadline_ms(bench.websocket), UINT64_MAX);
    bench_deinit(&bench);
    assert_int_equal(bench.inner_closes, 1);
}

static void keep_line(void *owner, enum log_level level, const char *format, va_list arguments)
{
    assert_int_equal(level, LOG_ERROR);
    vsnprintf(owner, 200, format, arguments);
}

static void a_failed_handshake_is_logged(void **state)
{
    struct bench bench;
    char line[200] = "";
    struct logger logger = {.owner = line, .level = LOG_INFO, .write = keep_line};
    bench_init(&bench);
    bench.options.logger = &logger;
    start(&bench);
    const struct net_handler *handler = websocket_net_handler(bench.websocket);
    handler->on_secure(bench.context, &(struct net_tls_info){.version = "1.3"});
    assert_string_equal(line, "");
    assert_false(bench.lower_closing);
    handler->on_secure(bench.context, &(struct net_tls_info){.failure = "no shared cipher"});
    assert_string_equal(line, "10.0.0.1:0 - websocket - TLS handshake error: no shared cipher");
    assert_true(bench.lower_closing);
    bench_deinit(&bench);
}

static void a_handshake_that_never_ends_is_logged(void **state)
{
    for (int is_secure = 0; is_secure < 2; is_secure++) {
        struct bench bench;
        char line[200] = "";
        struct logger logger = {.owner = line, .level = LOG_INFO, .write = keep_line};
        bench_init(&bench);
        bench.options.logger = &logger;
        bench.options.is_tls = true;
        start(&bench);
        if (is_secure)
            websocket_net_handler(bench.websocket)->on_secure(bench.context, &(struct net_tls_info){.version = "1.3"});
        bench.now.mono_ns = 2000000000;
        websocket_turn_begin(bench.websocket, bench.now);
        assert_true(bench.lower_closing);
        assert_string_equal(line, is_secure ? "" : "10.0.0.1:0 - websocket - TLS handshake timeout");
        bench_deinit(&bench);
    }
}

static void only_so_many_begin_within_a_second(void **state)
{
    struct bench bench;
    bench_init(&bench);
    bench.options.rate_limit = 2;
    start(&bench);
    const struct net_handler *handler = websocket_net_handler(bench.websocket);
    struct net_conn others[2] = {{&LOWER_OPS}, {&LOWER_OPS}};
    void *second = handler->on_accept(handler->owner, &others[0], &bench.peer);
    assert_non_null(second);
    assert_null(handler->on_accept(handler->owner, &others[1], &bench.peer));
    bench.now.mono_ns += 1000000000;
    websocket_turn_begin(bench.websocket, bench.now);
    void *third = handler->on_accept(handler->owner, &others[1], &bench.peer);
    assert_non_null(third);
    handler->on_close(second, 0);
    handler->on_close(third, 0);
    bench_deinit(&bench);
}

static void an_opening_may_come_byte_by_byte_with_frames_behind_it(void **state)
{
    struct bench bench;
    struct buffer input;
    bench_init(&bench);
    buffer_init(&input, 1 << 20);
    assert_int_equal(buffer_append(&input, BYTES(REQUEST "X-Forwarded-For: 192.0.2.7, 10.1.1.1\r\n\r\n")), 0);
    websocket_client_append(&input, 0x82, BYTES("CONNECT {}\r\n"));
    start(&bench);
    for (size_t i = 0; i < input.len; i++)
        give(&bench, bytes_make(input.ptr + i, 1));
    assert_true(bytes_equal(buffer_bytes(&bench.received), BYTES("CONNECT {}\r\n")));
    assert_string_equal(bench.peer.ip, "10.0.0.1"); // anybody may say that he is somebody else
    assert_string_equal(net_forwarded_ip(bench.conn), "192.0.2.7");
    bench_deinit(&bench);
    bench_init(&bench);
    start(&bench);
    give(&bench, buffer_bytes(&input));
    assert_true(bytes_equal(buffer_bytes(&bench.received), BYTES("CONNECT {}\r\n")));
    buffer_deinit(&input);
    bench_deinit(&bench);
}

static void expect_refusal(const char *request, const char *status)
{
    struct bench bench;
    bench_init(&bench);
    start(&bench);
    give(&bench, bytes_from_string(request));
    assert_true(sent_has(&bench, status));
    assert_true(bench.lower_closing);
    assert_null(bench.conn);
    give(&bench, BYTES("more"));
    bench_deinit(&bench);
    assert_int_equal(bench.inner_closes, 0);
}

static void a_request_that_opens_nothing_is_refused(void **state)
{
#define GOOD_HOST    "Host: a\r\n"
#define GOOD_UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define GOOD_KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define GOOD_VERSION "Sec-WebSocket-Version: 13\r\n"
    expect_refusal("GET / HTTP/1.1\r\n" GOOD_UPGRADE GOOD_KEY GOOD_VERSION "\r\n", " 400 ");
    expect_refusal("GET / HTTP/1.1\r\n" GOOD_HOST "Connection: Upgrade\r\n" GOOD_KEY GOOD_VERSION "\r\n", " 400 ");
    expect_refusal("GET / HTTP/1.1\r\n" GOOD_HOST "Upgrade: websocket\r\n" GOOD_KEY GOOD_VERSION "\r\n", " 400 ");
    expect_refusal("GET / HTTP/1.1\r\n" GOOD_HOST GOOD_UPGRADE GOOD_VERSION "\r\n", " 400 ");
    expect_refusal("GET / HTTP/1.1\r\n" GOOD_HOST GOOD_UPGRADE GOOD_KEY "\r\n", " 400 ");
    expect_refusal("GET /mqtt HTTP/1.1\r\n" GOOD_HOST GOOD_UPGRADE GOOD_KEY GOOD_VERSION "\r\n", " 400 ");
    expect_refusal("POST / HTTP/1.1\r\n" GOOD_HOST GOOD_UPGRADE GOOD_KEY GOOD_VERSION "\r\n", " 405 ");
    expect_refusal("\x16\x03\x01 what TLS says\r\n\r\n", " 400 ");
}

static void expect_origin(const char *fields, bool same_origin, bool is_tls, struct bytes *origins, size_t count,
                          bool allowed)
{
    struct bench bench;
    bench_init(&bench);
    bench.options.same_origin = same_origin;
    bench.options.is_tls = is_tls;
    bench.options.origins = origins;
    bench.options.origin_count = count;
    open_with(&bench, fields);
    assert_int_equal(sent_has(&bench, "HTTP/1.1 101 "), allowed);
    assert_int_equal(sent_has(&bench, "HTTP/1.1 403 "), !allowed);
    bench_deinit(&bench);
}

// CO-T04
static void pages_of_other_origins_may_not_connect(void **state)
{
    struct bytes listed[] = {BYTES("https://example.org"), BYTES("http://local:3000")};
    expect_origin("Origin: http://anywhere\r\n", false, false, NULL, 0, true);
    expect_origin("", true, false, listed, 2, true);
    expect_origin("Origin: http://here:8080\r\n", true, false, NULL, 0, true);
    expect_origin("Origin: http://HERE:8080\r\n", true, false, NULL, 0, true);
    expect_origin("Origin: http://here\r\n", true, false, NULL, 0, false);
    expect_origin("Origin: http://here:8080.evil\r\n", true, false, NULL, 0, false);
    expect_origin("Origin: http://there:8080\r\n", true, false, NULL, 0, false);
    expect_origin("Origin: null\r\n", true, false, NULL, 0, false);
    expect_origin("Origin: https://example.org\r\n", false, false, listed, 2, true);
    expect_origin("Origin: https://example.org:443\r\n", false, false, listed, 2, true);
    expect_origin("Origin: http://example.org\r\n", false, false, listed, 2, false);
    expect_origin("Origin: https://example.org.evil\r\n", false, false, listed, 2, false);
    expect_origin("Origin: http://local:3000\r\n", false, false, listed, 2, true);
    expect_origin("Sec-WebSocket-Origin: http://local:3001\r\n", false, false, listed, 2, false);
}

static void expect_deflate(const char *fields, bool agreed)
{
    struct bench bench;
    bench_init(&bench);
    open_with(&bench, fields);
    assert_int_equal(sent_has(&bench, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                                      "client_no_context_takeover\r\n"),
                     agreed);
    bench_deinit(&bench);
}

static void compression_is_agreed_on_if_the_offer_allows_our_way(void **state)
{
#define OFFER "Sec-WebSocket-Extensions: "
    expect_deflate(OFFER "permessage-deflate\r\n", true);
    expect_deflate(OFFER "permessage-deflate; client_max_window_bits\r\n", true);
    expect_deflate(OFFER "x-other, permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n",
                   true);
    expect_deflate(OFFER "permessage-deflate; server_max_window_bits=10\r\n", false);
    expect_deflate(OFFER "permessage-deflate; server_max_window_bits=10, permessage-deflate\r\n", true);
    expect_deflate(OFFER "x-other\r\n" OFFER "permessage-deflate\r\n", true);
    expect_deflate(OFFER "x-permessage-deflate\r\n", false);
}

static void an_opening_that_takes_too_long_is_ended(void **state)
{
    struct bench bench;
    bench_init(&bench);
    start(&bench);
    give(&bench, BYTES("GET / HT"));
    assert_int_equal(websocket_next_deadline_ms(bench.websocket), 2000);
    bench.now.mono_ns = 1999000000;
    websocket_turn_begin(bench.websocket, bench.now);
    assert_false(bench.lower_closing);
    bench.now.mono_ns = 2000000000;
    websocket_turn_begin(bench.websocket, bench.now);
    assert_true(bench.lower_closing);
    assert_int_equal(websocket_next_deadline_ms(bench.websocket), UINT64_MAX);
    bench_deinit(&bench);
}

static void pings_are_answered_and_a_close_is_returned(void **state)
{
    struct bench bench;
    bench_init(&bench);
    open_with(&bench, "");
    buffer_clear(&bench.sent);
    give_frame(&bench, 0x89, BYTES("you?"));
    give_frame(&bench, 0x8a, BYTES("unasked"));
    give_frame(&bench, 0x82, BYTES("last words"));
    give_frame(&bench, 0x88, BYTES("\x03\xe9"));
    assert_true(bytes_equal(buffer_bytes(&bench.sent), BYTES("\x8a\x04you?\x88\x02\x03\xe9")));
    assert_true(bytes_equal(buffer_bytes(&bench.received), BYTES("last words")));
    assert_true(bench.lower_closing);
    give_frame(&bench, 0x82, BYTES("too late"));
    assert_int_equal(bench.received.len, 10);
    bench_deinit(&bench);
    assert_int_equal(bench.inner_closes, 1);
}

static void what_closes_says_why(void **state)
{
    struct bench bench;
    bench_init(&bench);
    open_with(&bench, "");
    buffer_clear(&bench.sent);
    net_close(bench.conn);
    net_close(bench.conn);
    assert_true(bytes_equal(buffer_bytes(&bench.sent), BYTES("\x88\x02\x03\xe8")));
    assert_true(bench.lower_closing);
    bench_deinit(&bench);

    bench_init(&bench);
    open_with(&bench, "");
    buffer_clear(&bench.sent);
    net_explain_close(bench.conn, WEBSOCKET_STATUS_GOING_AWAY, "Shutdown");
    net_close(bench.conn);
    assert_true(bytes_equal(buffer_bytes(&bench.sent), BYTES("\x88\x0a\x03\xe9Shutdown")));
    bench_deinit(&bench);

    bench_init(&bench);
    open_with(&bench, "");
    buffer_clear(&bench.sent);
    give(&bench, BYTES("\x82\x01x"));
    assert_true(bytes_equal(buffer_bytes(&bench.sent), BYTES("\x88\x02\x03\xea")));
    assert_true(bench.lower_closing);
    bench_deinit(&bench);

    bench_init(&bench);
    open_with(&bench, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    buffer_clear(&bench.sent);
    give_frame(&bench, 0xc2, BYTES("\xff\xff\xff\xff"));
    assert_true(bytes_equal(buffer_bytes(&bench.sent), BYTES("\x88\x02\x03\xef")));
    bench_deinit(&bench);
}

static void a_message_that_inflates_without_end_is_refused(void **state)
{
    static char zeroes[1 << 20];
    struct bench bench;
    struct buffer packed;
    struct deflater *deflater = deflater_new();
    bench_init(&bench);
    buffer_init(&packed, 1 << 20);
    bench.options.message_size_max = sizeof(zeroes) / 2;
    open_with(&bench, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    buffer_clear(&bench.sent);
    struct bytes part = bytes_make(zeroes, sizeof(zeroes));
    assert_int_equal(deflater_message(deflater, &part, 1, &packed), 0);
    give_frame(&bench, 0xc2, buffer_bytes(&packed));
    assert_true(bytes_equal(buffer_bytes(&bench.sent), BYTES("\x88\x02\x03\xf1")));
    assert_true(bench.received.len <= sizeof(zeroes) / 2);
    bench_deinit(&bench);
    buffer_deinit(&packed);
    deflater_free(deflater);
}

// A few kilobytes are enough for many megabytes: others of the worker are served meanwhile.
static void what_inflates_to_much_is_read_over_several_turns(void **state)
{
    static char zeroes[8 << 20];
    struct bench bench;
    struct buffer packed;
    struct deflater *deflater = deflater_new();
    bench_init(&bench);
    buffer_init(&packed, 1 << 20);
    open_with(&bench, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    struct bytes part = bytes_make(zeroes, sizeof(zeroes));
    assert_int_equal(deflater_message(deflater, &part, 1, &packed), 0);
    give_frame(&bench, 0xc2, buffer_bytes(&packed));
    assert_true(bench.lower_paused);
    int turns = 0;
    for (size_t before = 0; bench.received.len > before; turns++) {
        assert_true(bench.received.len - before <= 2 << 20);
        before = bench.received.len;
        assert_int_equal(websocket_turn_end(bench.websocket), before < sizeof(zeroes));
    }
    assert_true(turns >= 4);
    assert_true(bytes_equal(buffer_bytes(&bench.received), part));
    assert_false(bench.lower_paused);
    give_frame(&bench, 0x82, BYTES("on"));
    assert_int_equal(bench.received.len, sizeof(zeroes) + 2);
    bench_deinit(&bench);
    buffer_deinit(&packed);
    deflater_free(deflater);
}

static void a_refusing_handler_ends_the_connection(void **state)
{
    struct bench bench;
    bench_init(&bench);
    bench.refuses = true;
    open_with(&bench, "");
    assert_true(bench.lower_closing);
    bench_deinit(&bench);
    assert_int_equal(bench.inner_closes, 0);
}

static void a_stop_ends_what_is_opening(void **state)
{
    struct bench bench;
    bench_init(&bench);
    start(&bench);
    websocket_shutdown(bench.websocket);
    assert_true(bench.lower_closing);
    const struct net_handler *handler = websocket_net_handler(bench.websocket);
    assert_null(handler->on_accept(handler->owner, &bench.lower, &(struct net_peer){.ip = "10.0.0.1"}));
    uint64_t unopened = websocket_unopened(bench.websocket);
    handler->on_lost(handler->owner);
    assert_int_equal(websocket_unopened(bench.websocket), unopened + 1);
    bench_deinit(&bench);
}

// The inner handler resumes at the end of each turn.
static void end_turns(struct bench *bench)
{
    bool again = true;
    while (again || bench->lower_paused) {
        bench->pause_at = bench->received.len + bench->pause_every;
        net_read_resume(bench->conn);
        again = websocket_turn_end(bench->websocket);
    }
}

static void random_text(struct prng *prng, char *text, size_t len)
{
    uint64_t letters = 1 + prng_below(prng, 255);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)prng_below(prng, letters);
}

// Frames of all kinds, cut anywhere, to a handler that pauses whenever it likes: the same bytes arrive.
static void input_is_one_stream_of_bytes(void **state)
{
    static char text[200000];
    struct deflater *deflater = deflater_new();
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct prng prng;
        struct bench bench;
        struct buffer input, expected, packed;
        prng_seed(&prng, seed);
        bench_init(&bench);
        buffer_init(&input, 1 << 26);
        buffer_init(&expected, 1 << 26);
        buffer_init(&packed, 1 << 26);
        open_with(&bench, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        for (int message = 0; message < 20; message++) {
            size_t len = prng_below(&prng, prng_below(&prng, 2) ? 300 : sizeof(text));
            random_text(&prng, text, len);
            assert_int_equal(buffer_append(&expected, bytes_make(text, len)), 0);
            struct bytes rest = bytes_make(text, len);
            bool compressed = prng_below(&prng, 2);
            if (compressed) {
                assert_int_equal(deflater_message(deflater, &rest, 1, &packed), 0);
                rest = buffer_bytes(&packed);
            }
            int first = compressed ? 0x42 : 0x02;
            do {
                size_t n = prng_below(&prng, rest.len + 1);
                bool final = prng_below(&prng, 3) == 0;
                n = final ? rest.len : n;
                websocket_client_append(&input, first | (final ? 0x80 : 0), bytes_make(rest.ptr, n));
                if (prng_below(&prng, 3) == 0)
                    websocket_client_append(&input, 0x89, BYTES("ping"));
                first = final ? -1 : 0;
                rest = bytes_skip(rest, n);
            } while (first >= 0);
        }
        bench.pause_every = prng_below(&prng, 2) ? 1 + prng_below(&prng, 100000) : 0;
        bench.pause_at = bench.pause_every;
        struct bytes rest = buffer_bytes(&input);
        size_t cut_max = 1 + prng_below(&prng, 100000);
        while (rest.len > 0) {
            size_t n = 1 + prng_below(&prng, cut_max);
            n = n < rest.len ? n : rest.len;
            give(&bench, bytes_make(rest.ptr, n));
            rest = bytes_skip(rest, n);
            end_turns(&bench);
        }
        assert_false(bench.lower_closing);
        assert_true(bytes_equal(buffer_bytes(&bench.received), buffer_bytes(&expected)));
        bench_deinit(&bench);
        buffer_deinit(&input);
        buffer_deinit(&expected);
        buffer_deinit(&packed);
    }
    deflater_free(deflater);
}

// The payload of what was sent, as a client would read it.
static void read_sent(struct bytes sent, struct buffer *ret_stream)
{
    struct inflater *inflater = inflater_new();
    while (sent.len > 0) {
        uint8_t first = (uint8_t)sent.ptr[0];
        uint8_t length = (uint8_t)sent.ptr[1];
        uint64_t len = length;
        size_t header = 2;
        if (length >= 126) {
            header = length == 126 ? 4 : 10;
            len = 0;
            for (size_t i = 2; i < header; i++)
                len = len << 8 | (uint8_t)sent.ptr[i];
        }
        struct bytes payload = bytes_make(sent.ptr + header, (size_t)len);
        assert_true(header + len <= sent.len);
        sent = bytes_skip(sent, header + (size_t)len);
        if (first == 0x82) {
            assert_int_equal(buffer_append(ret_stream, payload), 0);
            continue;
        }
        assert_int_equal(first, 0xc2);
        inflater_begin(inflater, 1 << 20);
        size_t n;
        do {
            char *to = buffer_reserve(ret_stream, 5000);
            assert_int_equal(inflater_step(inflater, &payload, true, to, 5000, &n), 0);
            buffer_commit(ret_stream, n);
        } while (payload.len > 0 || n == 5000);
    }
    inflater_free(inflater);
}

// Writes of all sizes into a network that takes what it likes: a client reads the same bytes, and whoever was told "not all" is told
// when to go on.
static void output_is_one_stream_of_bytes(void **state)
{
    static char text[300000];
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct prng prng;
        struct bench bench;
        struct buffer stream;
        prng_seed(&prng, seed);
        bench_init(&bench);
        buffer_init(&stream, 1 << 26);
        open_with(&bench, prng_below(&prng, 2) ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
        buffer_clear(&bench.sent);
        size_t len = prng_below(&prng, prng_below(&prng, 2) ? 3000 : sizeof(text));
        random_text(&prng, text, len);
        struct bytes rest = bytes_make(text, len);
        const struct net_handler *handler = websocket_net_handler(bench.websocket);
        bool blocked = false;
        bench.takes = prng_below(&prng, 100000);
        while (rest.len > 0 || blocked) {
            if (blocked) {
                unsigned before = bench.writables;
                bench.takes = prng_below(&prng, 100000);
                handler->on_writable(bench.context);
                blocked = bench.writables == before;
                continue;
            }
            size_t n = prng_below(&prng, rest.len + 1);
            size_t half = prng_below(&prng, n + 1);
            struct bytes parts[] = {bytes_make(rest.ptr, half), bytes_make(rest.ptr + half, n - half)};
            size_t taken = net_write(bench.conn, parts, 2);
            assert_true(taken <= n);
            blocked = taken < n;
            rest = bytes_skip(rest, taken);
        }
        bench.takes = SIZE_MAX;
        handler->on_writable(bench.context);
        read_sent(buffer_bytes(&bench.sent), &stream);
        assert_true(bytes_equal(buffer_bytes(&stream), bytes_make(text, len)));
        bench_deinit(&bench);
        buffer_deinit(&stream);
    }
}

static void a_peer_that_pings_and_does_not_read_costs_little(void **state)
{
    struct bench bench;
    bench_init(&bench);
    open_with(&bench, "");
    buffer_clear(&bench.sent);
    bench.takes = 0;
    for (int i = 0; i < 100000; i++)
        give_frame(&bench, 0x89, BYTES("still there?"));
    bench.takes = SIZE_MAX;
    websocket_net_handler(bench.websocket)->on_writable(bench.context);
    assert_true(bench.sent.len > 0 && bench.sent.len < 100000);
    bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_opening_is_answered_and_handed_over),
        cmocka_unit_test(a_failed_handshake_is_logged),
        cmocka_unit_test(a_handshake_that_never_ends_is_logged),
        cmocka_unit_test(only_so_many_begin_within_a_second),
        cmocka_unit_test(an_opening_may_come_byte_by_byte_with_frames_behind_it),
        cmocka_unit_test(a_request_that_opens_nothing_is_refused),
        cmocka_unit_test(pages_of_other_origins_may_not_connect),
        cmocka_unit_test(compression_is_agreed_on_if_the_offer_allows_our_way),
        cmocka_unit_test(an_opening_that_takes_too_long_is_ended),
        cmocka_unit_test(pings_are_answered_and_a_close_is_returned),
        cmocka_unit_test(what_closes_says_why),
        cmocka_unit_test(a_message_that_inflates_without_end_is_refused),
        cmocka_unit_test(what_inflates_to_much_is_read_over_several_turns),
        cmocka_unit_test(a_refusing_handler_ends_the_connection),
        cmocka_unit_test(a_stop_ends_what_is_opening),
        cmocka_unit_test(input_is_one_stream_of_bytes),
        cmocka_unit_test(output_is_one_stream_of_bytes),
        cmocka_unit_test(a_peer_that_pings_and_does_not_read_costs_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
