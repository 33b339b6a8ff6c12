// SPDX-License-Identifier: Apache-2.0
// libuv only tells readiness (uv_poll); reading and writing are done here, because uv_tcp would allocate per write and per
// read. Nothing is queued here: what the kernel does not take stays with the caller.
//
// Closing: tcp_close() only marks and lists; on_close, the loop's handle and the descriptor go in a task of a later turn.
#include "os/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/must.h"
#include "os/tcp_internal.h"

// How much of what a peer has sent is thrown away before its socket is closed (see tcp_drain).
#define TCP_DRAIN_ROUNDS 16

static size_t tcp_write(struct net_conn *net, const struct bytes *parts, size_t count);
static void tcp_read_pause(struct net_conn *net);
static void tcp_read_resume(struct net_conn *net);
static void tcp_close(struct net_conn *net);
static bool tcp_may_start_tls(const struct net_conn *net);
static void tcp_start_tls(struct net_conn *net, struct bytes received);
static bool tcp_describe_tls(struct net_conn *net, void *owner,
                             void (*show)(void *owner, const struct net_tls_info *info));
static void tcp_on_ready(uv_poll_t *handle, int status, int events);
static void tcp_on_room(struct tcp_conn *conn);
static void tcp_read_last(struct tcp_conn *conn);
static void tcp_run_closing(struct loop_task *task);
static void tcp_drain(struct tcp_conn *conn);
static void tcp_on_freed(uv_handle_t *handle);

static const struct net_ops tcp_net_ops = {
    .write = tcp_write,
    .read_pause = tcp_read_pause,
    .read_resume = tcp_read_resume,
    .close = tcp_close,
    .may_start_tls = tcp_may_start_tls,
    .start_tls = tcp_start_tls,
    .describe_tls = tcp_describe_tls,
};

static struct tcp_conn *tcp_from_net(struct net_conn *net)
{
    return container_of(net, struct tcp_conn, net);
}

void tcp_init(struct tcp *tcp, struct loop *loop)
{
    *tcp = (struct tcp){.loop = loop, .read_buffer = mem_alloc(TCP_READ_SIZE)};
    list_init(&tcp->conns);
    list_init(&tcp->closing);
    list_init(&tcp->close_task.link);
    tcp->close_task.run = tcp_run_closing;
    list_init(&tcp->handshakes);
    tcp_shares_init(&tcp->shares, TCP_HANDSHAKES_PER_ADDRESS);
    list_init(&tcp->handshake_task.link);
    tcp->handshake_task.run = tcp_secure_run_handshakes;
}

void tcp_deinit(struct tcp *tcp)
{
    must(tcp->count == 0);
    list_remove(&tcp->close_task.link);
    list_remove(&tcp->handshake_task.link);
    tcp_shares_deinit(&tcp->shares);
    tls_io_deinit(&tcp->tls_io);
    mem_free(tcp->plain_buffer);
    mem_free(tcp->read_buffer);
}

int tcp_adopt(struct tcp *tcp, int fd, const struct net_handler *handler, const struct net_peer *peer,
              const struct tcp_security *security)
{
    struct tcp_conn *conn = mem_alloc_zero(sizeof(*conn));
    conn->net.ops = &tcp_net_ops;
    conn->tcp = tcp;
    conn->handler = handler;
    conn->fd = fd;
    conn->tls = security ? security->tls : NULL;
    conn->server_name = security ? security->server_name : NULL;
    conn->address = conn->tls ? tcp_shares_address(peer) : 0;
    list_init(&conn->closing_link);
    list_init(&conn->handshake_link);
    if (uv_poll_init(&tcp->loop->uv, &conn->poll, fd) != 0) {
        close(fd);
        mem_free(conn);
        if (handler->on_lost)
            handler->on_lost(handler->owner);
        return ERR_IO;
    }
    // Answers are gathered per turn already; waiting for more would only add delay. Fails on sockets that are not TCP.
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    tcp->count++;
    list_push_back(&tcp->conns, &conn->link);
    if (conn->tls && security->at_once)
        tcp_secure_start(conn, (struct bytes){0});
    conn->context = handler->on_accept(handler->owner, &conn->net, peer);
    if (!conn->context) {
        tcp_close(&conn->net);
        return ERR_CLOSED;
    }
    tcp_watch(conn);
    return 0;
}

void tcp_close_all(struct tcp *tcp)
{
    list_foreach(link, &tcp->conns) tcp_close(&container_of(link, struct tcp_conn, link)->net);
}

void tcp_describe_peer(const struct sockaddr_storage *address, struct net_peer *ret_peer)
{
    *ret_peer = (struct net_peer){0};
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &v4->sin_addr, ret_peer->ip, sizeof(ret_peer->ip));
        ret_peer->port = ntohs(v4->sin_port);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
            inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], ret_peer->ip, sizeof(ret_peer->ip));
        else
            inet_ntop(AF_INET6, &v6->sin6_addr, ret_peer->ip, sizeof(ret_peer->ip));
        ret_peer->port = ntohs(v6->sin6_port);
    }
}

static size_t tcp_write(struct net_conn *net, const struct bytes *parts, size_t count)
{
    struct tcp_conn *conn = tcp_from_net(net);
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += parts[i].len;
    if (conn->closing)
        return total;
    if (conn->blocked)
        return 0;
    if (conn->session && !conn->session->is_plain)
        return tcp_secure_write(conn, parts, count, total);
    size_t taken = 0;
    size_t skip = 0; // bytes of parts[0] that have gone
    while (taken < total) {
        ssize_t sent = tcp_send(conn, parts, count, skip);
        if (sent < 0 && tcp_is_full()) {
            conn->blocked = true;
            tcp_watch(conn);
            break;
        }
        if (sent < 0) {
            tcp_fail_send(conn);
            return total;
        }
        taken += (size_t)sent;
        for (skip += (size_t)sent; count > 0 && skip >= parts->len; parts++, count--)
            skip -= parts->len;
    }
    return taken;
}

static void tcp_read_pause(struct net_conn *net)
{
    struct tcp_conn *conn = tcp_from_net(net);
    conn->paused = true;
    tcp_watch(conn);
}

static void tcp_read_resume(struct net_conn *net)
{
    struct tcp_conn *conn = tcp_from_net(net);
    conn->paused = false;
    if (conn->session)
        tcp_secure_resume(conn);
    tcp_watch(conn);
}

static void tcp_close(struct net_conn *net)
{
    tcp_fail(tcp_from_net(net), 0);
}

static bool tcp_may_start_tls(const struct net_conn *net)
{
    const struct tcp_conn *conn = container_of(net, const struct tcp_conn, net);
    return conn->tls && !conn->session;
}

static void tcp_start_tls(struct net_conn *net, struct bytes received)
{
    tcp_secure_start(tcp_from_net(net), received);
}

static bool tcp_describe_tls(struct net_conn *net, void *owner,
                             void (*show)(void *owner, const struct net_tls_info *info))
{
    return tcp_secure_describe(tcp_from_net(net), owner, show);
}

// Of a single part, which is most turns, a send(), for which the kernel copies no vectors.
ssize_t tcp_send(struct tcp_conn *conn, const struct bytes *parts, size_t count, size_t skip)
{
    struct iovec vector[TCP_PARTS_MAX];
    size_t used = 0;
    for (; used < count && used < TCP_PARTS_MAX; used++) {
        vector[used].iov_base = (void *)(uintptr_t)(parts[used].ptr + skip);
        vector[used].iov_len = parts[used].len - skip;
        skip = 0;
    }
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = used};
    ssize_t sent;
    do {
        sent = used == 1 ? send(conn->fd, vector[0].iov_base, vector[0].iov_len, MSG_NOSIGNAL)
                         : sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

bool tcp_is_full(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

void tcp_watch(struct tcp_conn *conn)
{
    uint8_t wanted = 0;
    if (!conn->closing) {
        bool reads = !conn->session || tcp_secure_wants_read(conn);
        bool writes = conn->session ? tcp_secure_wants_write(conn) : conn->blocked;
        wanted = (uint8_t)((reads && !conn->paused ? UV_READABLE : 0) | (writes ? UV_WRITABLE : 0));
    }
    if (wanted == conn->watched)
        return;
    conn->watched = wanted;
    if (wanted == 0)
        uv_poll_stop(&conn->poll);
    else
        must(uv_poll_start(&conn->poll, wanted, tcp_on_ready) == 0);
}

void tcp_fail(struct tcp_conn *conn, int error)
{
    if (conn->closing)
        return;
    conn->closing = true;
    conn->error = error;
    tcp_watch(conn);
    list_push_back(&conn->tcp->closing, &conn->closing_link);
    loop_defer(conn->tcp->loop, &conn->tcp->close_task);
}

void tcp_fail_send(struct tcp_conn *conn)
{
    tcp_fail(conn, errno == EPIPE || errno == ECONNRESET ? ERR_CLOSED : ERR_IO);
}

static void tcp_on_ready(uv_poll_t *handle, int status, int events)
{
    struct tcp_conn *conn = container_of(handle, struct tcp_conn, poll);
    loop_enter(conn->tcp->loop);
    if (status < 0) {
        tcp_read_last(conn);
        return;
    }
    if (events & UV_WRITABLE)
        tcp_on_room(conn);
    if ((events & UV_READABLE) && !conn->paused && !conn->closing && !(conn->session && tcp_secure_must_wait(conn)))
        tcp_read(conn);
}

// Changing what is watched costs two system calls, and a slow reader blocks again at once: so the watch for "writable" is only
// dropped when it has fired for nothing.
static void tcp_on_room(struct tcp_conn *conn)
{
    if (!conn->closing && (conn->session ? tcp_secure_on_writable(conn) : conn->blocked)) {
        conn->blocked = false;
        conn->handler->on_writable(conn->context);
    } else {
        tcp_watch(conn);
    }
}

// Once per readiness: a connection that sends without end must not keep the others waiting.
void tcp_read(struct tcp_conn *conn)
{
    ssize_t got;
    do {
        got = recv(conn->fd, conn->tcp->read_buffer, TCP_READ_SIZE, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0 && conn->session)
        tcp_secure_receive(conn, bytes_make(conn->tcp->read_buffer, (size_t)got));
    else if (got > 0)
        conn->handler->on_data(conn->context, bytes_make(conn->tcp->read_buffer, (size_t)got));
    else if (got == 0)
        tcp_fail(conn, 0);
    else if (errno != EAGAIN && errno != EWOULDBLOCK)
        tcp_fail(conn, errno == ECONNRESET ? ERR_CLOSED : ERR_IO);
}

// The socket has an error, and libuv no longer watches it. What came before the error is still there to be read.
static void tcp_read_last(struct tcp_conn *conn)
{
    conn->watched = 0;
    for (int i = 0; i < TCP_DRAIN_ROUNDS && !conn->closing && !conn->paused; i++)
        tcp_read(conn);
    tcp_fail(conn, ERR_CLOSED);
}

static void tcp_run_closing(struct loop_task *task)
{
    struct tcp *tcp = container_of(task, struct tcp, close_task);
    struct list *link;
    while ((link = list_pop_front(&tcp->closing))) {
        struct tcp_conn *conn = container_of(link, struct tcp_conn, closing_link);
        list_remove(&conn->link);
        tcp->count--;
        if (conn->context)
            conn->handler->on_close(conn->context, conn->error);
        uv_close((uv_handle_t *)&conn->poll, tcp_on_freed);
        if (conn->session)
            tcp_secure_end(conn, conn->error == 0);
        if (conn->error == 0 || conn->error == ERR_PROTOCOL)
            tcp_drain(conn);
        close(conn->fd);
    }
}

// The kernel answers a close() with unread input by a reset, which can overtake the last thing we sent: the error that
// tells the client why. So what has arrived is read and dropped; a peer that goes on sending gets its reset.
static void tcp_drain(struct tcp_conn *conn)
{
    (void)shutdown(conn->fd, SHUT_WR);
    for (int i = 0; i < TCP_DRAIN_ROUNDS; i++) {
        if (recv(conn->fd, conn->tcp->read_buffer, TCP_READ_SIZE, MSG_DONTWAIT) <= 0)
            return;
    }
}

static void tcp_on_freed(uv_handle_t *handle)
{
    mem_free(container_of(handle, struct tcp_conn, poll));
}
