// SPDX-License-Identifier: Apache-2.0
// libuv only tells readiness (uv_poll); reading and writing are done here, because uv_tcp would allocate per write and per
// read. Nothing is queued here: what the kernel does not take stays with the caller.
//
// Closing: tcp_close() only marks and lists; on_close, the loop's handle and the descriptor go in a task of a later turn.
#include "os/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/must.h"

// Parts given to one sendmsg(); more than a few dozen no longer help, and IOV_MAX is the limit.
#define TCP_PARTS_MAX 256
// How much of what a peer has sent is thrown away before its socket is closed (see tcp_drain).
#define TCP_DRAIN_ROUNDS 16

struct tcp_conn {
    struct net_conn net;               // first: what the handler knows
    struct tcp *tcp;                   // borrowed
    const struct net_handler *handler; // borrowed
    void *context;                     // the handler's
    uv_poll_t poll;
    struct list link;         // list link: tcp->conns
    struct list closing_link; // list link: tcp->closing
    int fd;                   // owned
    int error;                // what on_close will be told
    uint8_t watched;          // uv_poll events asked for now
    bool paused;              // reading, by the handler
    bool blocked;             // the kernel took less than it was given
    bool closing;
};

static size_t tcp_write(struct net_conn *net, const struct bytes *parts, size_t count);
static void tcp_read_pause(struct net_conn *net);
static void tcp_read_resume(struct net_conn *net);
static void tcp_close(struct net_conn *net);
static ssize_t tcp_send(struct tcp_conn *conn, const struct bytes *parts, size_t count, size_t skip);
static void tcp_watch(struct tcp_conn *conn);
static void tcp_fail(struct tcp_conn *conn, int error);
static void tcp_on_ready(uv_poll_t *handle, int status, int events);
static void tcp_read(struct tcp_conn *conn);
static void tcp_read_last(struct tcp_conn *conn);
static void tcp_run_closing(struct loop_task *task);
static void tcp_drain(struct tcp_conn *conn);
static void tcp_on_freed(uv_handle_t *handle);

static const struct net_ops tcp_net_ops = {
    .write = tcp_write,
    .read_pause = tcp_read_pause,
    .read_resume = tcp_read_resume,
    .close = tcp_close,
};

static struct tcp_conn *tcp_from_net(struct net_conn *net)
{
    return container_of(net, struct tcp_conn, net);
}

void tcp_init(struct tcp *tcp, struct loop *loop)
{
    tcp->loop = loop;
    tcp->read_buffer = mem_alloc(TCP_READ_SIZE);
    tcp->count = 0;
    list_init(&tcp->conns);
    list_init(&tcp->closing);
    list_init(&tcp->close_task.link);
    tcp->close_task.run = tcp_run_closing;
}

void tcp_deinit(struct tcp *tcp)
{
    must(tcp->count == 0);
    list_remove(&tcp->close_task.link);
    mem_free(tcp->read_buffer);
}

int tcp_adopt(struct tcp *tcp, int fd, const struct net_handler *handler, const struct net_peer *peer)
{
    struct tcp_conn *conn = mem_alloc_zero(sizeof(*conn));
    conn->net.ops = &tcp_net_ops;
    conn->tcp = tcp;
    conn->handler = handler;
    conn->fd = fd;
    list_init(&conn->closing_link);
    if (uv_poll_init(&tcp->loop->uv, &conn->poll, fd) != 0) {
        close(fd);
        mem_free(conn);
        return ERR_IO;
    }
    // Answers are gathered per turn already; waiting for more would only add delay. Fails on sockets that are not TCP.
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    tcp->count++;
    list_push_back(&tcp->conns, &conn->link);
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
    size_t taken = 0;
    size_t skip = 0; // bytes of parts[0] that have gone
    while (taken < total) {
        ssize_t sent = tcp_send(conn, parts, count, skip);
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            conn->blocked = true;
            tcp_watch(conn);
            break;
        }
        if (sent < 0) {
            tcp_fail(conn, errno == EPIPE || errno == ECONNRESET ? ERR_CLOSED : ERR_IO);
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
    tcp_watch(conn);
}

static void tcp_close(struct net_conn *net)
{
    tcp_fail(tcp_from_net(net), 0);
}

// One sendmsg() of the first parts, from `skip` bytes into the first on; of a single part, which is most turns, a send(), for
// which the kernel copies no vectors. Negative: see errno, never EINTR.
static ssize_t tcp_send(struct tcp_conn *conn, const struct bytes *parts, size_t count, size_t skip)
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

// Brings the loop's watcher in line with what is wanted; a system call follows only when that changed.
static void tcp_watch(struct tcp_conn *conn)
{
    uint8_t wanted = 0;
    if (!conn->closing)
        wanted = (uint8_t)((conn->paused ? 0 : UV_READABLE) | (conn->blocked ? UV_WRITABLE : 0));
    if (wanted == conn->watched)
        return;
    conn->watched = wanted;
    if (wanted == 0)
        uv_poll_stop(&conn->poll);
    else
        must(uv_poll_start(&conn->poll, wanted, tcp_on_ready) == 0);
}

// The end of a connection begins here, whoever wants it. The first reason stays.
static void tcp_fail(struct tcp_conn *conn, int error)
{
    if (conn->closing)
        return;
    conn->closing = true;
    conn->error = error;
    tcp_watch(conn);
    list_push_back(&conn->tcp->closing, &conn->closing_link);
    loop_defer(conn->tcp->loop, &conn->tcp->close_task);
}

static void tcp_on_ready(uv_poll_t *handle, int status, int events)
{
    struct tcp_conn *conn = container_of(handle, struct tcp_conn, poll);
    loop_enter(conn->tcp->loop);
    if (status < 0) {
        tcp_read_last(conn);
        return;
    }
    // Changing what is watched costs two system calls, and a slow reader blocks again at once: so the watch for
    // "writable" is only dropped when it has fired for nothing.
    if ((events & UV_WRITABLE) && conn->blocked && !conn->closing) {
        conn->blocked = false;
        conn->handler->on_writable(conn->context);
    } else if (events & UV_WRITABLE) {
        tcp_watch(conn);
    }
    if ((events & UV_READABLE) && !conn->paused && !conn->closing)
        tcp_read(conn);
}

// Once per readiness: a connection that sends without end must not keep the others waiting.
static void tcp_read(struct tcp_conn *conn)
{
    ssize_t got;
    do {
        got = recv(conn->fd, conn->tcp->read_buffer, TCP_READ_SIZE, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0)
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
        if (conn->error == 0)
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
