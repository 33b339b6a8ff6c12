// SPDX-License-Identifier: Apache-2.0
// Connections stand in a list in order of their last sign of life, so the front is the next to be given up.
#include "monitor/http_server.h"

#include "base/list.h"
#include "base/memory.h"
#include "base/must.h"

struct http_connection {
    struct http_server *server; // borrowed
    struct net_conn *net;       // borrowed from on_accept to on_close
    struct list link;           // list link: http_server.connections
    uint64_t alive_ms;          // last accept, complete request, or progress in sending
    struct buffer in;           // what is not yet a complete request, or waits for its turn
    struct buffer out;          // the answer that is being sent
    size_t sent;                // bytes of it
    bool last;                  // close when `out` is sent
    bool closing;
};

struct http_server {
    void *owner; // borrowed
    void (*answer)(void *owner, struct page *page);
    struct net_handler handler;
    struct list connections; // struct http_connection, longest silent first
    size_t count;
    uint64_t now_ms;
    struct buffer body; // of the page being made
    bool stopping;
};

static void *on_accept(void *owner, struct net_conn *net, const struct net_peer *peer);
static void on_data(void *context, struct bytes data);
static void on_writable(void *context);
static void on_close(void *context, int error);
static void work(struct http_connection *connection);
static bool answer_next(struct http_connection *connection);
static void answer_request(struct http_connection *connection, const struct http_request *request);
static void answer_error(struct http_connection *connection, int status);
static void respond(struct http_connection *connection, const struct page *page, bool head);
static bool send_out(struct http_connection *connection);
static void close_connection(struct http_connection *connection);
static void touch(struct http_connection *connection);

struct http_server *http_server_new(void *owner, void (*answer)(void *owner, struct page *page), struct moment now)
{
    struct http_server *server = mem_alloc_zero(sizeof(*server));
    server->owner = owner;
    server->answer = answer;
    server->handler = (struct net_handler){server, on_accept, on_data, on_writable, on_close, NULL};
    server->now_ms = moment_mono_ms(now);
    list_init(&server->connections);
    buffer_init(&server->body, PAGE_SIZE_MAX);
    return server;
}

void http_server_free(struct http_server *server)
{
    must(list_empty(&server->connections));
    buffer_deinit(&server->body);
    mem_free(server);
}

const struct net_handler *http_server_net_handler(struct http_server *server)
{
    return &server->handler;
}

void http_server_turn_begin(struct http_server *server, struct moment now)
{
    server->now_ms = moment_mono_ms(now);
    list_foreach(link, &server->connections)
    {
        struct http_connection *connection = container_of(link, struct http_connection, link);
        if (connection->alive_ms + HTTP_SERVER_IDLE_MS > server->now_ms)
            return;
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

void http_server_shutdown(struct http_server *server)
{
    server->stopping = true;
    list_foreach(link, &server->connections) close_connection(container_of(link, struct http_connection, link));
}

static void *on_accept(void *owner, struct net_conn *net, const struct net_peer *peer)
{
    (void)peer;
    struct http_server *server = owner;
    if (server->stopping || server->count == HTTP_SERVER_CONNECTIONS_MAX)
        return NULL;
    struct http_connection *connection = mem_alloc_zero(sizeof(*connection));
    connection->server = server;
    connection->net = net;
    buffer_init(&connection->in, HTTP_SERVER_PIPELINE_MAX);
    buffer_init(&connection->out, PAGE_SIZE_MAX + HTTP_HEAD_SIZE_MAX);
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
    if (buffer_append(&connection->in, data)) {
        close_connection(connection);
        return;
    }
    work(connection);
}

static void on_writable(void *context)
{
    struct http_connection *connection = context;
    if (!connection->closing && send_out(connection))
        work(connection);
}

static void on_close(void *context, int error)
{
    (void)error;
    struct http_connection *connection = context;
    list_remove(&connection->link);
    connection->server->count--;
    buffer_deinit(&connection->in);
    buffer_deinit(&connection->out);
    mem_free(connection);
}

// Answers as many of the waiting requests as can be sent without waiting.
static void work(struct http_connection *connection)
{
    while (connection->out.len == 0 && !connection->closing && answer_next(connection)) {
        touch(connection);
        if (!send_out(connection))
            break;
    }
    buffer_shrink(&connection->in);
}

// Makes the answer to the request in front. False: it is not complete yet.
static bool answer_next(struct http_connection *connection)
{
    struct http_request request;
    size_t used;
    int error = http_request_parse(buffer_bytes(&connection->in), &request, &used);
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
    buffer_clear(&server->body);
    struct page page = {
        .request = request, .status = 200, .content_type = BYTES("application/json"), .body = &server->body};
    server->answer(server->owner, &page);
    connection->last = !request->keep_alive;
    respond(connection, &page, request->head);
    buffer_clear(&server->body);
    buffer_shrink(&server->body);
}

static void answer_error(struct http_connection *connection, int status)
{
    struct page page = {.status = status, .content_type = BYTES("text/plain"), .body = &connection->server->body};
    buffer_clear(page.body);
    must(buffer_printf(page.body, "%d: this server answers GET and HEAD requests without a body\n", status) == 0);
    connection->last = true;
    respond(connection, &page, false);
}

static void respond(struct http_connection *connection, const struct page *page, bool head)
{
    struct http_response response = {
        .status = page->status,
        .content_type = page->content_type,
        .body = buffer_bytes(page->body),
        .head = head,
        .keep_alive = !connection->last,
    };
    // A page fits: its body is bounded below what `out` takes.
    must(http_response_append(&connection->out, &response) == 0);
}

// True when all is sent and the next answer may be made.
static bool send_out(struct http_connection *connection)
{
    struct bytes rest = bytes_skip(buffer_bytes(&connection->out), connection->sent);
    size_t taken = net_write(connection->net, &rest, 1);
    if (taken > 0)
        touch(connection);
    connection->sent += taken;
    if (taken < rest.len) {
        net_read_pause(connection->net);
        return false;
    }
    connection->sent = 0;
    buffer_clear(&connection->out);
    buffer_shrink(&connection->out);
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
