// SPDX-License-Identifier: Apache-2.0
// The life of websocket connections; see websocket.h. What arrives is websocket_input.c, what leaves websocket_output.c.
#include "broker/websocket.h"

#include "base/memory.h"
#include "base/must.h"
#include "broker/websocket_internal.h"
#include "broker/websocket_opening.h"

static void *on_accept(void *owner, struct net_conn *lower, const struct net_peer *peer);
static void on_data(void *context, struct bytes data);
static void on_close(void *context, int error);
static void on_lost(void *owner);
static size_t conn_write(struct net_conn *net, const struct bytes *parts, size_t count);
static void conn_read_pause(struct net_conn *net);
static void conn_read_resume(struct net_conn *net);
static void conn_close(struct net_conn *net);
static void conn_explain_close(struct net_conn *net, uint16_t status, const char *reason);
static bool conn_describe_tls(struct net_conn *net, void *owner,
                              void (*show)(void *owner, const struct net_tls_info *info));
static const char *conn_forwarded_ip(const struct net_conn *net);
static bool may_begin(struct websocket *websocket);
static void on_secure(void *context, const struct net_tls_info *info);
static void log_handshake(struct websocket_conn *conn, const char *what, const char *why);
static void open_conn(struct websocket_conn *conn);
static void answer_opening(struct websocket_conn *conn, const struct buffer *answer);
static void hand_over(struct websocket_conn *conn, const struct websocket_opening *opening);

static const struct net_ops CONN_OPS = {
    .write = conn_write,
    .read_pause = conn_read_pause,
    .read_resume = conn_read_resume,
    .close = conn_close,
    .describe_tls = conn_describe_tls,
    .forwarded_ip = conn_forwarded_ip,
    .explain_close = conn_explain_close,
};

void websocket_options_default(struct websocket_options *options)
{
    *options = (struct websocket_options){
        .opening_ms = 2000,
        .message_size_max = 64ULL * 1024 * 1024,
        .connections_max = 1024,
    };
}

struct websocket *websocket_new(const struct websocket_options *options, struct moment now)
{
    must(options->inner && options->sha1 && options->origin_count <= WEBSOCKET_ORIGINS_MAX);
    must(options->message_size_max > 0 && options->connections_max > 0);
    struct websocket *websocket = mem_alloc_zero(sizeof(*websocket));
    websocket->options = *options;
    websocket->handler = (struct net_handler){
        .owner = websocket,
        .on_accept = on_accept,
        .on_data = on_data,
        .on_writable = websocket_on_writable,
        .on_close = on_close,
        .on_secure = on_secure,
        .on_lost = on_lost,
    };
    websocket->now_ms = moment_mono_ms(now);
    list_init(&websocket->opening);
    list_init(&websocket->resumed);
    buffer_init(&websocket->scratch, SIZE_MAX / 2);
    buffer_init(&websocket->deflated, 2 * (size_t)WEBSOCKET_FRAME_MAX);
    return websocket;
}

void websocket_free(struct websocket *websocket)
{
    must(websocket->count == 0);
    buffer_deinit(&websocket->scratch);
    buffer_deinit(&websocket->deflated);
    deflater_free(websocket->deflater);
    inflater_free(websocket->spare_inflater);
    mem_free(websocket);
}

const struct net_handler *websocket_net_handler(struct websocket *websocket)
{
    return &websocket->handler;
}

void websocket_turn_begin(struct websocket *websocket, struct moment now)
{
    websocket->now_ms = moment_mono_ms(now);
    list_foreach(link, &websocket->opening)
    {
        struct websocket_conn *conn = container_of(link, struct websocket_conn, link);
        if (conn->deadline_ms > websocket->now_ms)
            return;
        if (websocket->options.is_tls && !conn->is_secure)
            log_handshake(conn, "TLS handshake timeout", "");
        websocket_conn_end(conn);
    }
}

bool websocket_turn_end(struct websocket *websocket)
{
    struct list due;
    websocket->called = false;
    list_init(&due);
    list_append_all(&due, &websocket->resumed);
    struct list *link;
    while ((link = list_pop_front(&due)))
        websocket_conn_resume(container_of(link, struct websocket_conn, link));
    return websocket->called || !list_empty(&websocket->resumed);
}

uint64_t websocket_next_deadline_ms(const struct websocket *websocket)
{
    struct list *first = list_first(&websocket->opening);
    return first ? container_of(first, struct websocket_conn, link)->deadline_ms : UINT64_MAX;
}

uint64_t websocket_unopened(const struct websocket *websocket)
{
    return websocket->unopened;
}

void websocket_shutdown(struct websocket *websocket)
{
    websocket->stopping = true;
    list_foreach(link, &websocket->opening) websocket_conn_end(container_of(link, struct websocket_conn, link));
}

void websocket_conn_end(struct websocket_conn *conn)
{
    if (conn->state == WEBSOCKET_CLOSING)
        return;
    if (conn->state == WEBSOCKET_OPENING)
        conn->websocket->opening_count--;
    conn->state = WEBSOCKET_CLOSING;
    list_remove(&conn->link);
    net_close(conn->lower);
}

static void *on_accept(void *owner, struct net_conn *lower, const struct net_peer *peer)
{
    struct websocket *websocket = owner;
    if (websocket->stopping || websocket->opening_count >= websocket->options.connections_max ||
        !may_begin(websocket)) {
        websocket->unopened++;
        return NULL;
    }
    struct websocket_conn *conn = mem_alloc_zero(sizeof(*conn));
    conn->net.ops = &CONN_OPS;
    conn->lower = lower;
    conn->websocket = websocket;
    conn->peer = *peer;
    conn->peer.transport = NET_WEBSOCKET;
    conn->deadline_ms = websocket->now_ms + websocket->options.opening_ms;
    buffer_init(&conn->in, SIZE_MAX / 2);
    buffer_init(&conn->packed, SIZE_MAX / 2);
    buffer_init(&conn->out, SIZE_MAX / 2);
    list_init(&conn->link);
    list_push_back(&websocket->opening, &conn->link);
    websocket->opening_count++;
    websocket->count++;
    return conn;
}

// They all begin with a handshake.
static bool may_begin(struct websocket *websocket)
{
    if (websocket->now_ms >= websocket->second_ends_ms) {
        websocket->begun = 0;
        websocket->second_ends_ms = websocket->now_ms + 1000;
    }
    if (websocket->options.rate_limit != 0 && websocket->begun >= websocket->options.rate_limit)
        return false;
    websocket->begun++;
    return true;
}

static void on_data(void *context, struct bytes data)
{
    struct websocket_conn *conn = context;
    if (conn->state == WEBSOCKET_OPEN) {
        websocket_input(conn, data);
    } else if (conn->state == WEBSOCKET_OPENING) {
        must(buffer_append(&conn->in, data) == 0); // at most a head and one read
        open_conn(conn);
    }
}

static void on_secure(void *context, const struct net_tls_info *info)
{
    struct websocket_conn *conn = context;
    conn->is_secure = !info->failure;
    if (!info->failure || conn->state == WEBSOCKET_CLOSING)
        return;
    log_handshake(conn, "TLS handshake error: ", info->failure);
    websocket_conn_end(conn);
}

static void log_handshake(struct websocket_conn *conn, const char *what, const char *why)
{
    struct websocket *websocket = conn->websocket;
    uint32_t left_out;
    if (!log_quota_take(&websocket->handshake_lines, websocket->now_ms, &left_out))
        return;
    if (left_out > 0)
        logger_write(websocket->options.logger, LOG_ERROR, "websocket - %u more TLS handshakes failed", left_out);
    logger_write(websocket->options.logger, LOG_ERROR, "%s:%u - websocket - %s%s", conn->peer.ip, conn->peer.port, what,
                 why);
}

static void on_close(void *context, int error)
{
    struct websocket_conn *conn = context;
    struct websocket *websocket = conn->websocket;
    if (conn->state == WEBSOCKET_OPENING)
        websocket->opening_count--;
    list_remove(&conn->link);
    if (conn->context)
        websocket->options.inner->on_close(conn->context, error);
    else if (!conn->was_offered)
        websocket->unopened++;
    websocket_conn_release_inflater(conn);
    buffer_deinit(&conn->in);
    buffer_deinit(&conn->packed);
    buffer_deinit(&conn->out);
    websocket->count--;
    mem_free(conn);
}

static void open_conn(struct websocket_conn *conn)
{
    struct http_request request;
    struct websocket_opening opening;
    struct buffer answer;
    size_t used = 0;
    int error = http_request_parse(buffer_bytes(&conn->in), 0, &request, &used);
    if (error == ERR_AGAIN)
        return;
    buffer_init(&answer, HTTP_HEAD_SIZE_MAX);
    if (error)
        websocket_opening_refuse(error, &answer);
    else
        error = websocket_opening_answer(&conn->websocket->options, &request, &answer, &opening);
    answer_opening(conn, &answer);
    buffer_deinit(&answer);
    if (error) {
        websocket_conn_end(conn);
        return;
    }
    buffer_consume(&conn->in, used);
    hand_over(conn, &opening);
}

// On a connection this young everything fits into the kernel; else it is not worth keeping.
static void answer_opening(struct websocket_conn *conn, const struct buffer *answer)
{
    struct bytes bytes = buffer_bytes(answer);
    if (net_write(conn->lower, &bytes, 1) < bytes.len)
        websocket_conn_end(conn);
}

static void hand_over(struct websocket_conn *conn, const struct websocket_opening *opening)
{
    struct websocket *websocket = conn->websocket;
    const struct net_handler *inner = websocket->options.inner;
    if (conn->state != WEBSOCKET_OPENING)
        return;
    conn->state = WEBSOCKET_OPEN;
    list_remove(&conn->link);
    websocket->opening_count--;
    conn->compressed = opening->compressed;
    websocket_reader_init(&conn->reader, opening->compressed);
    memcpy(conn->forwarded_ip, opening->forwarded_ip, sizeof(conn->forwarded_ip));
    conn->was_offered = true;
    conn->context = inner->on_accept(inner->owner, &conn->net, &conn->peer);
    if (!conn->context)
        websocket_conn_end(conn);
    else
        websocket_input(conn, (struct bytes){0});
}

static void on_lost(void *owner)
{
    ((struct websocket *)owner)->unopened++;
}

static size_t conn_write(struct net_conn *net, const struct bytes *parts, size_t count)
{
    return websocket_output(container_of(net, struct websocket_conn, net), parts, count);
}

static void conn_read_pause(struct net_conn *net)
{
    struct websocket_conn *conn = container_of(net, struct websocket_conn, net);
    conn->paused = true;
    net_read_pause(conn->lower);
}

// Not from in here: what is left of the input goes to the inner handler, and that may be who is calling.
static void conn_read_resume(struct net_conn *net)
{
    struct websocket_conn *conn = container_of(net, struct websocket_conn, net);
    if (!conn->paused || conn->state != WEBSOCKET_OPEN)
        return;
    conn->paused = false;
    if (!list_is_linked(&conn->link))
        list_push_back(&conn->websocket->resumed, &conn->link);
}

static void conn_close(struct net_conn *net)
{
    struct websocket_conn *conn = container_of(net, struct websocket_conn, net);
    if (conn->state == WEBSOCKET_OPEN)
        websocket_output_status(
            conn, conn->close_status ? (enum websocket_status)conn->close_status : WEBSOCKET_STATUS_NORMAL,
            conn->close_reason);
    websocket_conn_end(conn);
}

static void conn_explain_close(struct net_conn *net, uint16_t status, const char *reason)
{
    struct websocket_conn *conn = container_of(net, struct websocket_conn, net);
    conn->close_status = status;
    conn->close_reason = reason;
}

static bool conn_describe_tls(struct net_conn *net, void *owner,
                              void (*show)(void *owner, const struct net_tls_info *info))
{
    return net_describe_tls(container_of(net, struct websocket_conn, net)->lower, owner, show);
}

static const char *conn_forwarded_ip(const struct net_conn *net)
{
    const struct websocket_conn *conn = container_of(net, struct websocket_conn, net);
    return conn->forwarded_ip[0] != '\0' ? conn->forwarded_ip : NULL;
}
