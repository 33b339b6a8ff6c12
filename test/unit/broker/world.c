// SPDX-License-Identifier: Apache-2.0
// See world.h.
#include "world.h"
#include "auth/auth_config.h"
#include "broker/account.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

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

static const char *conn_forwarded_ip(const struct net_conn *conn)
{
    return ((const struct peer *)(const void *)conn)->forwarded_ip;
}

static const struct net_ops OPS = {
    .write = conn_write,
    .read_pause = conn_pause,
    .read_resume = conn_resume,
    .close = conn_close,
    .may_start_tls = conn_may_start_tls,
    .start_tls = conn_start_tls,
    .describe_tls = conn_describe_tls,
    .forwarded_ip = conn_forwarded_ip,
};

void world_init(struct world *world, const struct broker_options *options)
{
    *world = (struct world){.now = {.mono_ns = 1000000000, .wall_ns = 1700000000000000000}};
    world->broker = broker_new(options, world->now);
    world->handler = broker_net_handler(world->broker);
    broker_turn_begin(world->broker, world->now);
}

void world_deinit(struct world *world)
{
    for (size_t i = 0; i < world->peer_count; i++)
        peer_close(world->peers[i]);
    broker_turn_end(world->broker);
    broker_check(world->broker);
    broker_free(world->broker);
    for (size_t i = 0; i < world->peer_count; i++) {
        buffer_deinit(&world->peers[i]->received);
        buffer_deinit(&world->peers[i]->unread);
        mem_free(world->peers[i]);
    }
}

int world_accounts(struct broker *broker, const struct bytes *names, uint32_t count)
{
    struct auth_account *accounts = mem_alloc_zero((count + 2) * sizeof(*accounts));
    accounts[0].name = BYTES(ACCOUNT_DEFAULT_NAME);
    accounts[1].name = BYTES(ACCOUNT_SYSTEM_NAME);
    for (uint32_t i = 0; i < count; i++)
        accounts[i + 2].name = names[i];
    struct auth_view view = {.accounts = accounts, .account_count = count + 2, .system_account = 1};
    int error = broker_accounts_replace(broker, &view);
    mem_free(accounts);
    return error;
}

void world_turn(struct world *world)
{
    bool again = true;
    for (int turns = 0; again; turns++) {
        must(turns < 1000);
        again = broker_turn_end(world->broker);
        broker_check(world->broker);
        broker_turn_begin(world->broker, world->now);
        for (size_t i = 0; i < world->peer_count; i++) {
            struct peer *peer = world->peers[i];
            if (peer->closing && !peer->closed) {
                peer_close(peer);
                again = true;
            } else if (!peer->paused && !peer->shaking && !peer->closing && peer->unread.len > 0) {
                struct buffer unread = peer->unread;
                buffer_init(&peer->unread, SIZE_MAX / 2);
                peer_give_bytes(peer, buffer_bytes(&unread));
                buffer_deinit(&unread);
                again = true;
            }
        }
    }
}

void world_advance(struct world *world, uint64_t ms)
{
    world->now.mono_ns += ms * 1000000;
    broker_turn_begin(world->broker, world->now);
    world_turn(world);
}

struct peer *peer_arrive(struct world *world)
{
    must(world->peer_count < WORLD_PEERS_MAX);
    struct peer *peer = mem_alloc_zero(sizeof(*peer));
    peer->conn.ops = &OPS;
    peer->world = world;
    peer->takes = SIZE_MAX;
    buffer_init(&peer->received, SIZE_MAX / 2);
    buffer_init(&peer->unread, SIZE_MAX / 2);
    struct net_peer address = {.ip = "127.0.0.1", .port = 40000};
    peer->context = world->handler->on_accept(world->handler->owner, &peer->conn, &address);
    if (!peer->context) {
        mem_free(peer);
        return NULL;
    }
    world->peers[world->peer_count++] = peer;
    return peer;
}

struct peer *peer_open(struct world *world)
{
    struct peer *peer = peer_arrive(world);
    if (!peer)
        return NULL;
    world_turn(world);
    const char *end = memchr(peer->received.ptr, '\n', peer->received.len);
    must(end && memcmp(peer->received.ptr, "INFO {", 6) == 0);
    buffer_consume(&peer->received, (size_t)(end - peer->received.ptr) + 1);
    return peer;
}

struct peer *peer_connect(struct world *world, const char *json_fields)
{
    struct peer *peer = peer_open(world);
    char line[512];
    snprintf(line, sizeof(line), "CONNECT {\"verbose\":false%s%s}\r\n", *json_fields ? "," : "", json_fields);
    peer_say(peer, line);
    return peer;
}

void peer_say(struct peer *peer, const char *text)
{
    peer_say_bytes(peer, bytes_from_string(text));
}

void peer_say_bytes(struct peer *peer, struct bytes bytes)
{
    peer_give_bytes(peer, bytes);
    world_turn(peer->world);
}

void peer_give_bytes(struct peer *peer, struct bytes bytes)
{
    size_t cut = peer->world->cut ? peer->world->cut : bytes.len;
    while (bytes.len > 0) {
        size_t n = bytes.len < cut ? bytes.len : cut;
        if (peer->closed || peer->closing)
            return;
        if (peer->paused || peer->shaking) {
            must(buffer_append(&peer->unread, bytes) == 0);
            return;
        }
        // A copy of exact size, freed at once: whoever keeps a pointer into it is found out.
        char *copy = mem_copy(bytes_make(bytes.ptr, n));
        peer->world->handler->on_data(peer->context, bytes_make(copy, n));
        mem_free(copy);
        bytes = bytes_skip(bytes, n);
    }
}

void peer_close(struct peer *peer)
{
    if (peer->closed)
        return;
    peer->closed = true;
    peer->world->handler->on_close(peer->context, 0);
    peer->context = NULL;
}

void peer_secure(struct peer *peer, const struct net_tls_info *info)
{
    must(peer->shaking);
    peer->shaking = false;
    peer->world->handler->on_secure(peer->context, info);
    if (peer->starved && !peer->closing) {
        peer->starved = false;
        peer->world->handler->on_writable(peer->context);
    }
    world_turn(peer->world);
}

void peer_take(struct peer *peer, size_t n)
{
    peer->takes = n == SIZE_MAX || peer->takes == SIZE_MAX ? SIZE_MAX : peer->takes + n;
    if (peer->starved && !peer->closing && !peer->closed) {
        peer->starved = false;
        peer->world->handler->on_writable(peer->context);
    }
    world_turn(peer->world);
}

void peer_expect_at(struct peer *peer, const char *text, const char *file, int line)
{
    if (!bytes_equal(buffer_bytes(&peer->received), bytes_from_string(text))) {
        fprintf(stderr, "%s:%d: expected \"%s\", received \"%.*s\"\n", file, line, text,
                BYTES_ARG(buffer_bytes(&peer->received)));
        must(!"received what was expected");
    }
    peer_forget(peer);
}

void peer_forget(struct peer *peer)
{
    buffer_clear(&peer->received);
}

static size_t conn_write(struct net_conn *conn, const struct bytes *parts, size_t count)
{
    struct peer *peer = (struct peer *)(void *)conn;
    must(!peer->closing && !peer->closed && count > 0);
    if (peer->shaking) {
        peer->starved = true;
        return 0;
    }
    peer->writes++;
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n = parts[i].len < peer->takes ? parts[i].len : peer->takes;
        if (!peer->discard)
            must(buffer_append(&peer->received, bytes_make(parts[i].ptr, n)) == 0);
        if (peer->takes != SIZE_MAX)
            peer->takes -= n;
        taken += n;
        if (n < parts[i].len) {
            peer->starved = true;
            break;
        }
    }
    peer->received_bytes += taken;
    return taken;
}

static void conn_pause(struct net_conn *conn)
{
    ((struct peer *)(void *)conn)->paused = true;
}

static void conn_resume(struct net_conn *conn)
{
    ((struct peer *)(void *)conn)->paused = false;
}

static void conn_close(struct net_conn *conn)
{
    struct peer *peer = (struct peer *)(void *)conn;
    must(!peer->closing && !peer->closed);
    peer->closing = true;
}

static bool conn_may_start_tls(const struct net_conn *conn)
{
    (void)conn;
    return true;
}

static void conn_start_tls(struct net_conn *conn, struct bytes received)
{
    struct peer *peer = (struct peer *)(void *)conn;
    must(!peer->closing && !peer->closed && !peer->shaking);
    peer->shaking = true;
    must(buffer_append(&peer->unread, received) == 0);
}

static bool conn_describe_tls(struct net_conn *conn, void *owner,
                              void (*show)(void *owner, const struct net_tls_info *info))
{
    (void)conn, (void)owner, (void)show;
    return false;
}
