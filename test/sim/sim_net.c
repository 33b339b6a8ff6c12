// SPDX-License-Identifier: Apache-2.0
// tidy: prefix sim
#include "sim_net.h"

#include "base/memory.h"
#include "base/must.h"

static size_t conn_write(struct net_conn *conn, const struct bytes *parts, size_t count);
static void conn_pause(struct net_conn *conn);
static void conn_resume(struct net_conn *conn);
static void conn_close(struct net_conn *conn);
static bool conn_may_start_tls(const struct net_conn *conn);
static void conn_start_tls(struct net_conn *conn, struct bytes received);
static bool conn_describe_tls(struct net_conn *conn, void *owner,
                              void (*show)(void *owner, const struct net_tls_info *info));
static void link_secure(struct sim_link *link, const struct net_handler *handler);
static void link_turn(struct sim_link *link, const struct net_handler *handler);
static void link_accept(struct sim_link *link, const struct net_handler *handler);
static void link_input(struct sim_link *link, const struct net_handler *handler);
static void link_gone(struct sim_link *link, const struct net_handler *handler, int error);
static bool link_output(struct sim_link *link);
static bool link_is_done(const struct sim_link *link);
static void link_free(struct sim_link *link);
static void pipe_init(struct sim_pipe *pipe);
static void pipe_deinit(struct sim_pipe *pipe);
static void pipe_put(struct sim_pipe *pipe, struct bytes bytes, uint64_t ready_ns, struct sim_stamp stamp);
static size_t pipe_ready(const struct sim_pipe *pipe, uint64_t now_ns);
static void pipe_take(struct sim_pipe *pipe, size_t n);
static void pipe_clear(struct sim_pipe *pipe);

static const struct net_ops OPS = {
    .write = conn_write,
    .read_pause = conn_pause,
    .read_resume = conn_resume,
    .close = conn_close,
    .may_start_tls = conn_may_start_tls,
    .start_tls = conn_start_tls,
    .describe_tls = conn_describe_tls,
};
static const struct net_tls_info SECURE = {.version = "1.3", .cipher_suite = "TLS_AES_128_GCM_SHA256"};

static uint64_t delay(struct sim_net *net)
{
    return net->faults.delay_max_ns ? prng_below(net->prng, net->faults.delay_max_ns) : 0;
}

void sim_net_init(struct sim_net *net, struct prng *prng, const struct sim_net_faults *faults)
{
    *net = (struct sim_net){.prng = prng, .faults = *faults};
    list_init(&net->links);
}

void sim_net_deinit(struct sim_net *net)
{
    while (!list_empty(&net->links))
        link_free(container_of(list_first(&net->links), struct sim_link, link));
}

struct sim_link *sim_net_connect(struct sim_net *net, const struct sim_peer *peer)
{
    if (!net->up)
        return NULL;
    struct sim_link *link = mem_alloc_zero(sizeof(*link));
    link->conn.ops = &OPS;
    link->net = net;
    link->peer = *peer;
    link->number = ++net->link_count;
    link->accept_ns = net->now_ns + delay(net);
    buffer_init(&link->returned, SIZE_MAX / 4);
    pipe_init(&link->to_node);
    pipe_init(&link->to_client);
    link->to_node.last_ready_ns = link->accept_ns;
    list_push_back(&net->links, &link->link);
    return link;
}

uint64_t sim_link_send(struct sim_link *link, struct bytes bytes)
{
    pipe_put(&link->to_node, bytes, link->net->now_ns + delay(link->net), (struct sim_stamp){0});
    link->sent_bytes += bytes.len;
    return link->sent_bytes;
}

void sim_link_close(struct sim_link *link)
{
    link->peer.owner = NULL;
    link->peer_closed = true;
}

void sim_link_reset(struct sim_link *link)
{
    link->peer.owner = NULL;
    link->reset = true;
}

void sim_link_vanish(struct sim_link *link)
{
    link->peer.owner = NULL;
    link->silent = true;
    pipe_clear(&link->to_node);
}

void sim_link_freeze(struct sim_link *link, uint64_t until_ns)
{
    if (until_ns > link->frozen_until_ns)
        link->frozen_until_ns = until_ns;
}

void sim_net_turn(struct sim_net *net, const struct net_handler *handler, uint64_t now_ns)
{
    net->now_ns = now_ns;
    struct list *at, *next;
    for (at = net->links.next; at != &net->links; at = next) {
        next = at->next;
        struct sim_link *link = container_of(at, struct sim_link, link);
        if (link->frozen_until_ns <= now_ns || link->node_closing || link->reset)
            link_turn(link, handler);
        if (link_is_done(link))
            link_free(link);
    }
}

void sim_net_deliver(struct sim_net *net, uint64_t now_ns)
{
    net->now_ns = now_ns;
    struct list *at, *next;
    for (at = net->links.next; at != &net->links; at = next) {
        next = at->next;
        struct sim_link *link = container_of(at, struct sim_link, link);
        if (link_is_done(link)) {
            link_free(link);
            continue;
        }
        if (!link->peer.owner || link->silent || (link->frozen_until_ns > now_ns && !link->reset))
            continue;
        while (link->peer.owner && link_output(link))
            ;
        // The node's side has ended and all that it wrote has arrived: the client learns of it.
        if (link->peer.owner && !link->context && link->accept_ns <= now_ns &&
            (link->reset || (link->node_closing && link->to_client.bytes.len == 0))) {
            void *owner = link->peer.owner;
            link->peer.owner = NULL;
            link->peer.on_close(owner);
        }
    }
}

uint64_t sim_net_next_ns(const struct sim_net *net)
{
    uint64_t first_ns = UINT64_MAX;
    for (struct list *at = net->links.next; at != &net->links; at = at->next) {
        const struct sim_link *link = container_of(at, struct sim_link, link);
        uint64_t due_ns = UINT64_MAX;
        if (!link->context && !link->node_closing && !link->reset)
            due_ns = link->accept_ns;
        if (link->to_node.run_count && link->context && !link->paused && !link->node_closing)
            due_ns = link->to_node.runs[link->to_node.run_head].ready_ns;
        if (link->to_client.run_count && link->peer.owner && !link->silent) {
            uint64_t ready_ns = link->to_client.runs[link->to_client.run_head].ready_ns;
            due_ns = ready_ns < due_ns ? ready_ns : due_ns;
        }
        if (link->reset || link->node_closing || (link->tls == SIM_TLS_HANDSHAKE && !link->paused) ||
            (link->peer_closed && link->to_node.bytes.len == 0 && !link->paused) ||
            (link->blocked && link->to_client.bytes.len < net->faults.buffer_bytes))
            due_ns = net->now_ns;
        bool at_once = link->reset || (link->node_closing && link->context);
        if (due_ns < link->frozen_until_ns && !at_once)
            due_ns = link->frozen_until_ns;
        first_ns = due_ns < first_ns ? due_ns : first_ns;
    }
    return first_ns;
}

void sim_net_crash(struct sim_net *net, const struct net_handler *handler)
{
    net->up = false;
    struct list *at, *next;
    for (at = net->links.next; at != &net->links; at = next) {
        next = at->next;
        struct sim_link *link = container_of(at, struct sim_link, link);
        if (link->context && handler)
            handler->on_close(link->context, ERR_CLOSED);
        link->context = NULL;
        link->reset = true;
        link->accept_ns = 0;
        pipe_clear(&link->to_node);
        pipe_clear(&link->to_client);
        if (link_is_done(link))
            link_free(link);
    }
}

// ---- env/net

static size_t conn_write(struct net_conn *conn, const struct bytes *parts, size_t count)
{
    struct sim_link *link = (struct sim_link *)(void *)conn;
    struct sim_net *net = link->net;
    must(link->context && !link->node_closing);
    if (link->tls == SIM_TLS_HANDSHAKE) {
        link->blocked_ns = link->blocked ? link->blocked_ns : net->now_ns;
        link->blocked = true;
        return 0;
    }
    struct sim_stamp stamp = {link->blocked ? link->blocked_ns : net->now_ns, net->now_ns};
    uint64_t ready_ns = net->now_ns + delay(net);
    size_t taken = 0, offered = 0;
    for (size_t i = 0; i < count; i++) {
        offered += parts[i].len;
        if (taken + parts[i].len < offered)
            continue;
        size_t room = net->faults.buffer_bytes > link->to_client.bytes.len
                          ? net->faults.buffer_bytes - link->to_client.bytes.len
                          : 0;
        size_t n = parts[i].len < room ? parts[i].len : room;
        if (link->reset)
            n = parts[i].len;
        else if (n)
            pipe_put(&link->to_client, bytes_make(parts[i].ptr, n), ready_ns, stamp);
        taken += n;
    }
    if (taken < offered && !link->blocked)
        link->blocked_ns = net->now_ns;
    link->blocked = taken < offered;
    return taken;
}

static void conn_pause(struct net_conn *conn)
{
    ((struct sim_link *)(void *)conn)->paused = true;
}

static void conn_resume(struct net_conn *conn)
{
    struct sim_link *link = (struct sim_link *)(void *)conn;
    link->paused = false;
    link->consumed_bytes = link->given_bytes - link->returned.len;
}

static void conn_close(struct net_conn *conn)
{
    struct sim_link *link = (struct sim_link *)(void *)conn;
    must(link->context && !link->node_closing);
    link->node_closing = true;
}

static bool conn_may_start_tls(const struct net_conn *conn)
{
    return ((const struct sim_link *)(const void *)conn)->tls == SIM_TLS_NONE;
}

// Encryption is not what is simulated, but when it begins is: the bytes stay what they are, nothing passes before on_secure, and
// whoever gave back too much or too little finds his operations in pieces.
static void conn_start_tls(struct net_conn *conn, struct bytes received)
{
    struct sim_link *link = (struct sim_link *)(void *)conn;
    must(!link->node_closing && link->tls == SIM_TLS_NONE);
    link->tls = SIM_TLS_HANDSHAKE;
    must(buffer_append(&link->returned, received) == 0);
}

static bool conn_describe_tls(struct net_conn *conn, void *owner,
                              void (*show)(void *owner, const struct net_tls_info *info))
{
    const struct sim_link *link = (const struct sim_link *)(const void *)conn;
    if (link->tls != SIM_TLS_SECURE)
        return false;
    show(owner, &SECURE);
    return true;
}

// ---- links

static void link_secure(struct sim_link *link, const struct net_handler *handler)
{
    link->tls = SIM_TLS_SECURE;
    if (handler->on_secure)
        handler->on_secure(link->context, &SECURE);
    if (!link->node_closing && link->returned.len > 0)
        handler->on_data(link->context, buffer_bytes(&link->returned));
    buffer_deinit(&link->returned);
    if (!link->paused)
        link->consumed_bytes = link->given_bytes;
}

static void link_turn(struct sim_link *link, const struct net_handler *handler)
{
    struct sim_net *net = link->net;
    if (!link->context && !link->node_closing && !link->reset && link->accept_ns <= net->now_ns)
        link_accept(link, handler);
    if (!link->context)
        return;
    if (link->reset) {
        link_gone(link, handler, ERR_IO);
        return;
    }
    if (link->tls == SIM_TLS_HANDSHAKE && !link->paused)
        link_secure(link, handler);
    link_input(link, handler);
    if (link->blocked && link->tls != SIM_TLS_HANDSHAKE && !link->node_closing &&
        link->to_client.bytes.len < net->faults.buffer_bytes)
        handler->on_writable(link->context);
    if (link->node_closing)
        link_gone(link, handler, 0);
    else if (link->peer_closed && link->to_node.bytes.len == 0 && !link->paused)
        link_gone(link, handler, 0);
}

static void link_accept(struct sim_link *link, const struct net_handler *handler)
{
    struct net_peer address = {.ip = "127.0.0.1", .port = (uint16_t)(10000 + link->number % 50000)};
    link->context = handler->on_accept(handler->owner, &link->conn, &address);
    if (!link->context)
        link->node_closing = true;
}

static void link_input(struct sim_link *link, const struct net_handler *handler)
{
    struct sim_net *net = link->net;
    size_t ready;
    for (int pieces = 0; (ready = pipe_ready(&link->to_node, net->now_ns)) && pieces < 8; pieces++) {
        if (link->paused || link->node_closing || link->tls == SIM_TLS_HANDSHAKE)
            return;
        size_t n = net->faults.cut && prng_chance(net->prng, 1, 2) ? 1 + prng_below(net->prng, ready) : ready;
        // A copy of exact size, freed at once: whoever keeps a pointer into it is found out.
        char *copy = mem_copy(bytes_make(link->to_node.bytes.ptr, n));
        pipe_take(&link->to_node, n);
        link->given_bytes += n;
        handler->on_data(link->context, bytes_make(copy, n));
        mem_free(copy);
        if (!link->paused)
            link->consumed_bytes = link->given_bytes - link->returned.len;
    }
}

static void link_gone(struct sim_link *link, const struct net_handler *handler, int error)
{
    void *context = link->context;
    if (link->net->on_gone)
        link->net->on_gone(link->net->owner, link);
    link->context = NULL;
    link->node_closing = true;
    pipe_clear(&link->to_node);
    if (link->reset)
        pipe_clear(&link->to_client);
    handler->on_close(context, error);
}

// One run, or a part of it, to the client. False: nothing is ready.
static bool link_output(struct sim_link *link)
{
    struct sim_net *net = link->net;
    size_t ready = pipe_ready(&link->to_client, net->now_ns);
    if (ready == 0)
        return false;
    struct sim_run *run = &link->to_client.runs[link->to_client.run_head];
    struct sim_stamp stamp = run->stamp;
    size_t n = run->len;
    if (net->faults.cut && prng_chance(net->prng, 1, 4))
        n = 1 + prng_below(net->prng, n);
    char *copy = mem_copy(bytes_make(link->to_client.bytes.ptr, n));
    pipe_take(&link->to_client, n);
    link->peer.on_data(link->peer.owner, bytes_make(copy, n), &stamp);
    mem_free(copy);
    return true;
}

static bool link_is_done(const struct sim_link *link)
{
    return !link->peer.owner && !link->context && (link->node_closing || link->reset);
}

static void link_free(struct sim_link *link)
{
    list_remove(&link->link);
    pipe_deinit(&link->to_node);
    pipe_deinit(&link->to_client);
    buffer_deinit(&link->returned);
    mem_free(link);
}

// ---- pipes

static void pipe_init(struct sim_pipe *pipe)
{
    buffer_init(&pipe->bytes, SIZE_MAX / 4);
}

static void pipe_deinit(struct sim_pipe *pipe)
{
    buffer_deinit(&pipe->bytes);
    mem_free(pipe->runs);
}

static void pipe_put(struct sim_pipe *pipe, struct bytes bytes, uint64_t ready_ns, struct sim_stamp stamp)
{
    if (bytes.len == 0)
        return;
    must(buffer_append(&pipe->bytes, bytes) == 0);
    if (ready_ns < pipe->last_ready_ns)
        ready_ns = pipe->last_ready_ns;
    pipe->last_ready_ns = ready_ns;
    struct sim_run *last = pipe->run_count ? &pipe->runs[pipe->run_head + pipe->run_count - 1] : NULL;
    if (last && last->ready_ns == ready_ns && last->stamp.written_ns == stamp.written_ns &&
        last->stamp.earliest_ns == stamp.earliest_ns) {
        last->len += bytes.len;
        return;
    }
    if (pipe->run_head + pipe->run_count == pipe->run_capacity) {
        if (pipe->run_count)
            memmove(pipe->runs, pipe->runs + pipe->run_head, pipe->run_count * sizeof(*pipe->runs));
        pipe->run_head = 0;
        if (pipe->run_count * 2 >= pipe->run_capacity) {
            pipe->run_capacity = pipe->run_capacity ? pipe->run_capacity * 2 : 16;
            pipe->runs = mem_realloc(pipe->runs, pipe->run_capacity * sizeof(*pipe->runs));
        }
    }
    pipe->runs[pipe->run_head + pipe->run_count++] = (struct sim_run){bytes.len, ready_ns, stamp};
}

static size_t pipe_ready(const struct sim_pipe *pipe, uint64_t now_ns)
{
    size_t ready = 0;
    for (size_t i = 0; i < pipe->run_count && pipe->runs[pipe->run_head + i].ready_ns <= now_ns; i++)
        ready += pipe->runs[pipe->run_head + i].len;
    return ready;
}

static void pipe_take(struct sim_pipe *pipe, size_t n)
{
    buffer_consume(&pipe->bytes, n);
    while (n) {
        struct sim_run *run = &pipe->runs[pipe->run_head];
        size_t part = n < run->len ? n : run->len;
        run->len -= part;
        n -= part;
        if (run->len == 0) {
            pipe->run_head++;
            pipe->run_count--;
        }
    }
}

static void pipe_clear(struct sim_pipe *pipe)
{
    buffer_clear(&pipe->bytes);
    pipe->run_head = pipe->run_count = 0;
}
