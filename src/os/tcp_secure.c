// SPDX-License-Identifier: Apache-2.0
// A connection whose bytes go through a TLS session (os/tls_session.h): the socket's side of it.
//
// Records that the kernel does not take are kept until it does, and the plain bytes in them count as taken only then. So whoever
// writes sees what he would see of the kernel itself: what was taken has left this process.
#include <errno.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/must.h"
#include "os/tcp_internal.h"

// A recv() may complete a record of which the session holds the beginning.
#define TCP_SECURE_PLAIN_SIZE (TCP_READ_SIZE + TLS_SESSION_RECORD_SIZE)

static void begin(struct tcp_conn *conn);
static void begin_as_client(struct tcp_conn *conn);
static void leave_share(struct tcp_conn *conn);
static void count_handshake(struct tcp_conn *conn);
static void wake_next(struct tcp *tcp);
static void tell(struct tcp_conn *conn);
static void show_handler(void *owner, const struct net_tls_info *info);
static bool send_held(struct tcp_conn *conn);
static bool send_out(struct tcp_conn *conn);

void tcp_secure_start(struct tcp_conn *conn, struct bytes received)
{
    struct tcp *tcp = conn->tcp;
    must(conn->tls && !conn->session);
    if (!tcp->plain_buffer) {
        tls_io_init(&tcp->tls_io);
        tcp->plain_buffer = mem_alloc(TCP_SECURE_PLAIN_SIZE);
    }
    conn->session = mem_alloc(sizeof(*conn->session));
    tls_session_init(conn->session, conn->tls, &tcp->tls_io);
    if (conn->server_name) {
        must(received.len == 0); // it waits for our first words
        begin_as_client(conn);
        return;
    }
    must(received.len <= TLS_SESSION_HELD_MAX); // the handler got it in one read
    must(buffer_append(&conn->session->held, received) == 0);
    tcp_secure_resume(conn);
}

bool tcp_secure_describe(const struct tcp_conn *conn, void *owner,
                         void (*show)(void *owner, const struct net_tls_info *info))
{
    if (!conn->session || conn->session->state != TLS_SESSION_SECURE)
        return false;
    tls_session_describe(conn->session, owner, show);
    return true;
}

void tcp_secure_receive(struct tcp_conn *conn, struct bytes data)
{
    struct tcp *tcp = conn->tcp;
    struct tls_session *session = conn->session;
    bool was_open = session->state < TLS_SESSION_SECURE;
    size_t len;
    buffer_clear(&tcp->tls_io.out);
    int error = tls_session_receive(session, data, tcp->plain_buffer, TCP_SECURE_PLAIN_SIZE, &len);
    count_handshake(conn);
    (void)send_out(conn);
    if (was_open && session->state >= TLS_SESSION_SECURE && !conn->closing)
        tell(conn);
    if (len > 0 && !conn->closing)
        conn->handler->on_data(conn->context, bytes_make(tcp->plain_buffer, len));
    if (error && session->state != TLS_SESSION_FAILED)
        tcp_fail(conn, error == ERR_CLOSED ? 0 : error);
    tcp_watch(conn);
}

size_t tcp_secure_write(struct tcp_conn *conn, const struct bytes *parts, size_t count, size_t total)
{
    struct tls_session *session = conn->session;
    if (session->state == TLS_SESSION_FAILED)
        return total;
    size_t taken = 0;
    bool is_stuck = session->state != TLS_SESSION_SECURE || !send_held(conn);
    if (!is_stuck) {
        taken = session->owed;
        session->owed = 0;
        must(taken <= total); // the same bytes are offered again
    }
    size_t skip = taken; // bytes of the first part that have gone
    while (!is_stuck && taken < total) {
        for (; skip >= parts->len; parts++, count--)
            skip -= parts->len;
        buffer_clear(&session->io->out);
        size_t n = tls_session_send(session, parts, count, skip);
        if (n == 0)
            tcp_fail(conn, ERR_PROTOCOL);
        is_stuck = n == 0 || !send_out(conn);
        if (is_stuck) {
            session->owed = n;
        } else {
            taken += n;
            skip += n;
        }
    }
    if (conn->closing)
        return total;
    conn->blocked = is_stuck;
    if (is_stuck)
        tcp_watch(conn);
    return taken;
}

void tcp_secure_resume(struct tcp_conn *conn)
{
    if (conn->session->state == TLS_SESSION_EMPTY && conn->session->held.len > 0 && !conn->paused && !conn->closing)
        (void)tcp_secure_must_wait(conn);
}

bool tcp_secure_on_writable(struct tcp_conn *conn)
{
    if (conn->blocked && conn->session->state >= TLS_SESSION_SECURE)
        return true; // who then writes sends what is held first
    if (conn->session->state != TLS_SESSION_EMPTY)
        (void)send_held(conn);
    return false;
}

bool tcp_secure_wants_read(const struct tcp_conn *conn)
{
    return conn->session->state != TLS_SESSION_FAILED && !list_is_linked(&conn->handshake_link);
}

bool tcp_secure_wants_write(const struct tcp_conn *conn)
{
    const struct tls_session *session = conn->session;
    return session->state != TLS_SESSION_EMPTY &&
           (session->held.len > 0 || (conn->blocked && session->state >= TLS_SESSION_SECURE));
}

bool tcp_secure_must_wait(struct tcp_conn *conn)
{
    if (conn->session->state != TLS_SESSION_EMPTY)
        return false;
    if (!list_is_linked(&conn->handshake_link) && !conn->let_in) {
        conn->let_in = tcp_shares_enter(&conn->tcp->shares, conn->address, &conn->handshake_link);
        if (conn->let_in)
            list_push_back(&conn->tcp->handshakes, &conn->handshake_link);
    }
    tcp_watch(conn);
    wake_next(conn->tcp);
    return true;
}

void tcp_secure_run_handshakes(struct loop_task *task)
{
    struct tcp *tcp = container_of(task, struct tcp, handshake_task);
    for (int i = 0; i < TCP_HANDSHAKES_PER_TURN && tcp->handshaking < TCP_HANDSHAKES_MAX; i++) {
        struct list *link = list_pop_front(&tcp->handshakes);
        if (!link)
            return;
        begin(container_of(link, struct tcp_conn, handshake_link));
    }
    wake_next(tcp);
}

void tcp_secure_end(struct tcp_conn *conn, bool in_order)
{
    struct tls_session *session = conn->session;
    list_remove(&conn->handshake_link);
    if (in_order && session->state == TLS_SESSION_SECURE && session->held.len == 0) {
        buffer_clear(&session->io->out);
        tls_session_end(session);
        struct bytes out = buffer_bytes(&session->io->out);
        (void)tcp_send(conn, &out, 1, 0);
    }
    tls_session_deinit(session);
    mem_free(session);
    conn->session = NULL;
    count_handshake(conn);
    leave_share(conn);
}

static void begin(struct tcp_conn *conn)
{
    struct tls_session *session = conn->session;
    if (!conn->closing && !conn->paused && session->held.len > 0) {
        struct buffer received = session->held;
        buffer_init(&session->held, received.max);
        tcp_secure_receive(conn, buffer_bytes(&received));
        buffer_deinit(&received);
    } else if (!conn->closing && !conn->paused) {
        tcp_read(conn);
    }
    if (!conn->counted)
        leave_share(conn);
    tcp_watch(conn);
}

// At once: we make few connections, and choose to whom.
static void begin_as_client(struct tcp_conn *conn)
{
    buffer_clear(&conn->tcp->tls_io.out);
    if (tls_session_connect(conn->session, conn->server_name))
        tcp_fail(conn, ERR_PROTOCOL);
    else
        (void)send_out(conn);
    count_handshake(conn);
    tcp_watch(conn);
}

// The first in line of its address comes in instead.
static void leave_share(struct tcp_conn *conn)
{
    struct tcp *tcp = conn->tcp;
    if (!conn->let_in)
        return;
    conn->let_in = false;
    struct list *next = tcp_shares_leave(&tcp->shares, conn->address);
    if (!next)
        return;
    container_of(next, struct tcp_conn, handshake_link)->let_in = true;
    list_push_back(&tcp->handshakes, next);
    wake_next(tcp);
}

static void count_handshake(struct tcp_conn *conn)
{
    bool is_counted = conn->session && conn->session->state == TLS_SESSION_HANDSHAKE;
    if (is_counted == conn->counted)
        return;
    conn->counted = is_counted;
    if (is_counted) {
        conn->tcp->handshaking++;
    } else {
        conn->tcp->handshaking--;
        leave_share(conn);
        wake_next(conn->tcp);
    }
}

static void wake_next(struct tcp *tcp)
{
    if (!list_empty(&tcp->handshakes) && tcp->handshaking < TCP_HANDSHAKES_MAX)
        loop_defer(tcp->loop, &tcp->handshake_task);
}

static void tell(struct tcp_conn *conn)
{
    bool is_secure = conn->session->state == TLS_SESSION_SECURE;
    if (conn->handler->on_secure)
        tls_session_describe(conn->session, conn, show_handler);
    else if (!is_secure)
        tcp_fail(conn, ERR_PROTOCOL);
    if (is_secure && conn->blocked && !conn->closing) {
        conn->blocked = false;
        conn->handler->on_writable(conn->context);
    }
}

static void show_handler(void *owner, const struct net_tls_info *info)
{
    const struct tcp_conn *conn = owner;
    conn->handler->on_secure(conn->context, info);
}

// True when nothing is held any more.
static bool send_held(struct tcp_conn *conn)
{
    struct buffer *held = &conn->session->held;
    while (held->len > 0) {
        struct bytes rest = buffer_bytes(held);
        ssize_t sent = tcp_send(conn, &rest, 1, 0);
        if (sent < 0) {
            if (!tcp_is_full())
                tcp_fail_send(conn);
            return false;
        }
        buffer_consume(held, (size_t)sent);
    }
    buffer_shrink(held);
    return true;
}

// What the session has made, as far as the kernel takes it; true if all.
static bool send_out(struct tcp_conn *conn)
{
    struct tls_session *session = conn->session;
    struct bytes rest = buffer_bytes(&session->io->out);
    while (rest.len > 0 && session->held.len == 0) {
        ssize_t sent = tcp_send(conn, &rest, 1, 0);
        if (sent < 0 && !tcp_is_full()) {
            tcp_fail_send(conn);
            return false;
        }
        if (sent < 0)
            break;
        rest = bytes_skip(rest, (size_t)sent);
    }
    if (rest.len > 0 && buffer_append(&session->held, rest)) {
        tcp_fail(conn, ERR_LIMIT); // it makes the protocol talk and does not listen
        return false;
    }
    return rest.len == 0;
}
