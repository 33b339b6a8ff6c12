// SPDX-License-Identifier: Apache-2.0
// Connections stand in a list in order of their last sign of life, so the front is the next to be given up.
#include "monitor/http_server.h"

#include "base/list.h"
#include "base/memory.h"
#include "base/must.h"
#include "env/log_quota.h"

// The page to one request. Outlives its connection while it is held.
struct http_page {
    struct page page;
    struct http_server *server;         // borrowed
    struct http_connection *connection; // NULL: the asker has gone
    struct buffer body;
    bool head;
    bool finished;                     // within the call that asked for it
    char callback[PAGE_CALLBACK_SIZE]; // empty: none
};

struct http_connection {
    struct http_server *server; // borrowed
    struct net_conn *net;       // borrowed from on_accept to on_close
    struct net_peer peer;
    struct list link;       // list link: http_server.connections
    uint64_t alive_ms;      // last accept, complete request, or enough progress in sending
    struct buffer in;       // what is not yet a complete request, or waits for its turn
    struct buffer out;      // the head of the answer that is being sent
    struct buffer body;     // the rest of it: the page's own, because a long one is not copied
    size_t sent;            // bytes of both
    size_t noticed;         // of these, when it last counted as progress
    struct http_page *held; // borrowed: its answer comes later; NULL: none
    bool is_secure;         // its TLS handshake is done
    bool last;              // close when `out` is sent
    bool closing;
};

struct http_server {
    void *owner; // borrowed
    void (*answer)(void *owner, struct page *page);
    const struct logger *logger; // borrowed, may be NULL
    struct net_handler handler;
    struct list connections; // struct http_connection, longest silent first
    size_t count;
    size_t held;                      // pages
    size_t waiting;                   // bytes, in `out` and `body` of all connections
    uint64_t now_ms;                  // monotonic
    uint64_t now_ns;                  // wall clock
    struct log_quota handshake_lines; // of failed TLS handshakes
    bool is_tls;
    bool stopping;
};

static void *on_accept(void *owner, struct net_conn *net, const struct net_peer *peer);
static void on_data(void *context, struct bytes data);
static void on_writable(void *context);
static void on_close(void *context, int error);
static void on_secure(void *context, const struct net_tls_info *info);
static void log_handshake(struct http_connection *connection, const char *what, const char *why);
static void work(struct http_connection *connection);
static bool answer_next(struct http_connection *connection);
static void answer_request(struct http_connection *connection, const struct http_request *request);
static void answer_error(struct http_connection *connection, int status);
static struct http_page *page_new(struct http_connection *connection, int status, struct bytes content_type);
static void page_free(struct http_page *made);
static void finish_held(struct page *page);
static void read_callback(const struct http_request *request, char ret_callback[PAGE_CALLBACK_SIZE]);
static void wrap_in_callback(struct http_page *made);
static void respond(struct http_connection *connection, struct http_page *made);
static void refuse_busy(struct http_page *made);
static bool send_out(struct http_connection *connection);
static void close_connection(struct http_connection *connection);
static void touch(struct http_connection *connection);

struct http_server *http_server_new(void *owner, void (*answer)(void *owner, struct page *page), bool is_tls,
                                    const struct logger *logger, struct moment now)
{
    struct http_server *server = mem_alloc_zero(sizeof(*server));
    server->owner = owner;
    server->answer = answer;
    server->is_tls = is_tls;
    server->logger = logger;
    server->handler = (struct net_handler){
        .owner = server,
        .on_accept = on_accept,
        .on_data = on_data,
        .on_writable = on_writable,
        .on_close = on_close,
        .on_secure = on_secure,
    };
    server->now_ms = moment_mono_ms(now);
    server->now_ns = now.wall_ns;
    list_init(&server->connections);
    return server;
}

void http_server_free(struct http_server *server)
{
    must(list_empty(&server->connections) && server->held == 0);
    mem_free(server);
}

const struct net_handler *http_server_net_handler(struct http_server *server)
{
    return &server->handler;
}

void http_server_turn_begin(struct http_server *server, struct moment now)
{
    server->now_ms = moment_mono_ms(now);
    server->now_ns = now.wall_ns;
    list_foreach(link, &server->connections)
    {
        struct http_connection *connection = container_of(link, struct http_connection, link);
        if (connection->alive_ms + HTTP_SERVER_IDLE_MS > server->now_ms)
            return;
        if (connection->held) {
            touch(connection); // it is not the client that lets us wait
            continue;
        }
        if (server->is_tls && !connection->is_secure && !connection->closing)
            log_handshake(connection, "TLS handshake timeout", "");
        close_connection(connection);
    }
}

uint64_t http_server_next_deadline_ms(const struct http_server *server)
{
    list_foreach(link, &server->connections)
    {
        const struct http_connection *connection = container_of(link, struct http_connection, link);
        if (!connection->closing)
            return connection->alive_ms + HTTP_SERVER_IDLE_MS;
    }
    return UINT64_MAX;
}

size_t http_server_waiting(const struct http_server *server)
{
    return server->waiting;
}

void http_server_shutdown(struct http_server *server)
{
    server->stopping = true;
    list_foreach(link, &server->connections) close_connection(container_of(link, struct http_connection, link));
}

static void *on_accept(void *owner, struct net_conn *net, const struct net_peer *peer)
{
    struct http_server *server = owner;
    if (server->stopping || server->count == HTTP_SERVER_CONNECTIONS_MAX)
        return NULL;
    struct http_connection *connection = mem_alloc_zero(sizeof(*connection));
    connection->server = server;
    connection->net = net;
    connection->peer = *peer;
    buffer_init(&connection->in, HTTP_SERVER_PIPELINE_MAX);
    buffer_init(&connection->out, HTTP_HEAD_SIZE_MAX);
    buffer_init(&connection->body, 0);
    list_push_back(&server->connections, &connection->link);
    connection->alive_ms = server->now_ms;
    server->count++;
    return connection;
}

static void on_data(void *context, struct bytes data)
{
    struct http_connection *connection = context;
    if (connection->closing)
        return;
    size_t room = HTTP_SERVER_PIPELINE_MAX - connection->in.len;
    bool is_too_much = data.len > room;
    must(buffer_append(&connection->in, bytes_make(data.ptr, is_too_much ? room : data.len)) == 0);
    work(connection); // a head that is too long is told so
    if (is_too_much && !connection->closing && !connection->last)
        close_connection(connection);
}

static void on_writable(void *context)
{
    struct http_connection *connection = context;
    if (!connection->closing && send_out(connection))
        work(connection);
}

static void on_secure(void *context, const struct net_tls_info *info)
{
    struct http_connection *connection = context;
    connection->is_secure = !info->failure;
    if (!info->failure || connection->closing)
        return;
    log_handshake(connection, "TLS handshake error: ", info->failure);
    close_connection(connection);
}

static void log_handshake(struct http_connection *connection, const char *what, const char *why)
{
    struct http_server *server = connection->server;
    uint32_t left_out;
    if (!log_quota_take(&server->handshake_lines, server->now_ms, &left_out))
        return;
    if (left_out > 0)
        logger_write(server->logger, LOG_ERROR, "monitoring - %u more TLS handshakes failed", left_out);
    logger_write(server->logger, LOG_ERROR, "%s:%u - monitoring - %s%s", connection->peer.ip, connection->peer.port,
                 what, why);
}

static void on_close(void *context, int error)
{
    (void)error;
    struct http_connection *connection = context;
    list_remove(&connection->link);
    connection->server->count--;
    connection->server->waiting -= connection->out.len + connection->body.len;
    struct http_page *held = connection->held;
    buffer_deinit(&connection->in);
    buffer_deinit(&connection->out);
    buffer_deinit(&connection->body);
    mem_free(connection);
    if (!held)
        return;
    held->connection = NULL;
    if (held->page.leave)
        held->page.leave(&held->page);
}

// Answers as many of the waiting requests as can be sent without waiting.
static void work(struct http_connection *connection)
{
    while (connection->out.len == 0 && !connection->held && !connection->closing && answer_next(connection)) {
        touch(connection);
        if (connection->held || !send_out(connection))
            break;
    }
    buffer_shrink(&connection->in);
}

// Makes the answer to the request in front. False: it is not complete yet.
static bool answer_next(struct http_connection *connection)
{
    struct http_request request;
    size_t used;
    int error = http_request_parse(buffer_bytes(&connection->in), HTTP_SERVER_BODY_MAX, &request, &used);
    if (error == ERR_AGAIN)
        return false;
    if (error) {
        answer_error(connection, http_error_status(error));
        buffer_clear(&connection->in);
        return true;
    }
    answer_request(connection, &request);
    buffer_consume(&connection->in, used);
    return true;
}

static void answer_request(struct http_connection *connection, const struct http_request *request)
{
    struct http_server *server = connection->server;
    struct http_page *made = page_new(connection, 200, BYTES("application/json"));
    made->page.request = request;
    made->page.is_local = net_peer_is_local(&connection->peer);
    made->head = request->head;
    read_callback(request, made->callback);
    connection->last = !request->keep_alive;
    server->answer(server->owner, &made->page);
    made->page.request = NULL;
    if (!made->page.held || made->finished) {
        respond(connection, made);
        page_free(made);
        return;
    }
    server->held++;
    connection->held = made;
    // Only by reading is it seen that a client has gone. Where that makes no difference, one that has closed its sending
    // side still gets its answer.
    if (!made->page.leave)
        net_read_pause(connection->net);
}

static void answer_error(struct http_connection *connection, int status)
{
    struct http_page *made = page_new(connection, status, BYTES("text/plain"));
    must(buffer_printf(&made->body,
                       "%d: this server answers GET and HEAD requests without a body, and POST of at most 64 KiB\n",
                       status) == 0);
    if (status == 405)
        made->page.fields = BYTES("Allow: GET, HEAD, POST\r\n");
    connection->last = true;
    respond(connection, made);
    page_free(made);
}

static struct http_page *page_new(struct http_connection *connection, int status, struct bytes content_type)
{
    struct http_page *made = mem_alloc_zero(sizeof(*made));
    buffer_init(&made->body, PAGE_SIZE_MAX);
    made->server = connection->server;
    made->connection = connection;
    made->page =
        (struct page){.status = status, .content_type = content_type, .body = &made->body, .finish = finish_held};
    return made;
}

static void page_free(struct http_page *made)
{
    buffer_deinit(&made->body);
    mem_free(made);
}

static void finish_held(struct page *page)
{
    struct http_page *made = container_of(page, struct http_page, page);
    struct http_connection *connection = made->connection;
    if (page->request) {
        made->finished = true;
        return;
    }
    made->server->held--;
    if (connection && !connection->closing) {
        connection->held = NULL;
        touch(connection);
        respond(connection, made);
        if (send_out(connection))
            work(connection);
    } else if (connection) {
        connection->held = NULL;
    }
    page_free(made);
}

// JSONP, as nats-server has it; but only what can be the name of a function.
static void read_callback(const struct http_request *request, char ret_callback[PAGE_CALLBACK_SIZE])
{
    if (http_query_find(request->query, BYTES("callback"), ret_callback, PAGE_CALLBACK_SIZE))
        ret_callback[0] = '\0';
    for (const char *at = ret_callback; *at; at++) {
        bool word = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
        if (!word && !strchr("_$.", *at)) {
            ret_callback[0] = '\0';
            return;
        }
    }
}

static void wrap_in_callback(struct http_page *made)
{
    struct buffer wrapped;
    buffer_init(&wrapped, PAGE_SIZE_MAX + PAGE_CALLBACK_SIZE + 2);
    must(buffer_printf(&wrapped, "%s(", made->callback) == 0);
    must(buffer_append(&wrapped, buffer_bytes(&made->body)) == 0 && buffer_append_char(&wrapped, ')') == 0);
    buffer_deinit(&made->body);
    made->body = wrapped;
    made->page.content_type = BYTES("application/javascript");
}

static void respond(struct http_connection *connection, struct http_page *made)
{
    struct http_server *server = connection->server;
    if (made->body.len > HTTP_SERVER_SMALL && server->waiting + made->body.len > HTTP_SERVER_WAITING_MAX)
        refuse_busy(made);
    bool is_json = made->page.status == 200 && bytes_equal(made->page.content_type, BYTES("application/json"));
    if (is_json && made->callback[0] != '\0')
        wrap_in_callback(made);
    struct http_response response = {
        .status = made->page.status,
        .content_type = made->page.content_type,
        .fields = made->page.fields,
        .body = buffer_bytes(&made->body),
        .date_ns = server->now_ns,
        .head = true,
        .keep_alive = !connection->last,
    };
    must(connection->out.len == 0 && connection->body.len == 0);
    must(http_response_append(&connection->out, &response) == 0); // a head is short
    if (!made->head) {
        buffer_deinit(&connection->body);
        connection->body = made->body;
        buffer_init(&made->body, 0);
    }
    server->waiting += connection->out.len + connection->body.len;
}

static void refuse_busy(struct http_page *made)
{
    made->page.status = 503;
    made->page.content_type = BYTES("text/plain; charset=utf-8");
    buffer_clear(&made->body);
    must(buffer_append(&made->body, BYTES("busy: too many answers wait for slow readers\n")) == 0);
}

// True when all is sent and the next answer may be made.
static bool send_out(struct http_connection *connection)
{
    size_t head = connection->out.len, total = head + connection->body.len, begin = connection->sent;
    const struct bytes rest[2] = {
        bytes_skip(buffer_bytes(&connection->out), begin < head ? begin : head),
        bytes_skip(buffer_bytes(&connection->body), begin < head ? 0 : begin - head),
    };
    bool in_head = begin<head, has_body = connection->body.len> 0;
    size_t count = (size_t)in_head + (size_t)has_body;
    connection->sent += net_write(connection->net, in_head ? rest : rest + 1, count);
    if (connection->sent == total || connection->sent - connection->noticed >= HTTP_SERVER_PROGRESS) {
        connection->noticed = connection->sent;
        touch(connection);
    }
    if (connection->sent < total) {
        net_read_pause(connection->net);
        return false;
    }
    connection->server->waiting -= total;
    connection->sent = connection->noticed = 0;
    buffer_clear(&connection->out);
    buffer_shrink(&connection->out);
    buffer_deinit(&connection->body);
    if (connection->last) {
        close_connection(connection);
        return false;
    }
    net_read_resume(connection->net);
    return true;
}

static void close_connection(struct http_connection *connection)
{
    if (connection->closing)
        return;
    connection->closing = true;
    net_close(connection->net);
}

static void touch(struct http_connection *connection)
{
    connection->alive_ms = connection->server->now_ms;
    list_remove(&connection->link);
    list_push_back(&connection->server->connections, &connection->link);
}
