// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bridge
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "cmd/bridge_internal.h"
#include "codec/nats_url.h"

enum { PENDING_MAX = 8 << 20 }; // bytes on their way to the new server above which the old one is not read

static const uint64_t SECOND_NS = 1000000000;

static int begin(struct bridge *bridge);
static void show_refused(const char *which, const char *server, const char *cluster_id, const char *why);
static bool is_the_same(struct bridge *bridge);
static int open_again(struct bridge *bridge, const char *which, int error, const char *text, uint64_t *next_ns);
static void reconnect(struct bridge *bridge);
static void look_after(struct bridge *bridge);
static bool is_finished(struct bridge *bridge);
static void drain(struct bridge *bridge);
static void say_goodbye(struct bridge *bridge);
static void on_name(void *owner, struct bytes name);
static uint64_t in_flight(const struct bridge *bridge);

int bridge_copy(struct bridge *bridge)
{
    bridge->began_ns = client_now_ns();
    int status = begin(bridge);
    bridge->begun = status == 0;
    bool is_done = false;
    if (!status && (bridge->options.once || bridge->options.dry_run))
        bridge_probe(bridge);
    if (!status && bridge->options.dry_run) {
        for (size_t i = 0; i < bridge->channel_count && !bridge->stopping; i++) {
            if (bridge->to_up && bridge->channels[i]->state == BRIDGE_SCAN)
                (void)!bridge_scan(bridge, i);
        }
        status = bridge->stopping || !bridge->from_up || !bridge->to_up;
    } else if (!status) {
        while (!bridge->stopping && !bridge->fatal && !(is_done = is_finished(bridge))) {
            reconnect(bridge);
            bridge_prepare(bridge);
            bridge_serve(bridge, BRIDGE_TICK_MS);
            look_after(bridge);
        }
        drain(bridge);
    }
    say_goodbye(bridge);
    bool is_cut_short = bridge->options.once && !bridge->options.dry_run && !is_done;
    return status || bridge->fatal || bridge->failed || is_cut_short ? 1 : 0;
}

void bridge_serve(struct bridge *bridge, int timeout_ms)
{
    bool reads = bridge->from_up && (!bridge->to_up || client_pending(&bridge->to.client) < PENDING_MAX);
    short from_events = bridge->from_up ? client_events(&bridge->from.client) : 0;
    struct pollfd fds[] = {
        {.fd = bridge->signal_fd, .events = POLLIN},
        {.fd = bridge->from_up ? bridge->from.client.link.fd : -1,
         .events = reads ? from_events : from_events & ~POLLIN},
        {.fd = bridge->to_up ? bridge->to.client.link.fd : -1,
         .events = bridge->to_up ? client_events(&bridge->to.client) : 0},
    };
    (void)poll(fds, 3, timeout_ms);
    (void)bridge_is_stopped(bridge);
    int error = bridge->to_up && fds[2].revents ? client_step(&bridge->to.client) : 0;
    if (error)
        bridge_lose_to(bridge, bridge->to.client.error);
    error = bridge->from_up && fds[1].revents ? client_step(&bridge->from.client) : 0;
    if (error)
        bridge_lose_from(bridge, bridge->from.client.error);
}

// The first signal asks for an end in order; the next one is not held back any more, and ends us.
bool bridge_is_stopped(void *owner)
{
    struct bridge *bridge = owner;
    char told[128]; // struct signalfd_siginfo
    if (!bridge->stopping && bridge->signal_fd >= 0 && read(bridge->signal_fd, told, sizeof(told)) > 0) {
        bridge->stopping = true;
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
    }
    return bridge->stopping && !bridge->saying_goodbye;
}

void bridge_channel_fail(struct bridge *bridge, struct bridge_channel *channel, const char *what)
{
    if (channel->state == BRIDGE_FAILED)
        return;
    channel->state = BRIDGE_FAILED;
    snprintf(channel->error, sizeof(channel->error), "%s", what);
    bridge->failed++;
    bridge_show_line("channel %s: %s", channel->name, what);
    if (!bridge->options.keep_going)
        bridge->stopping = true;
}

int bridge_channel_add(struct bridge *bridge, struct bytes name)
{
    if (!stan_session_takes_channel(name))
        return ERR_INVALID;
    for (size_t i = 0; i < bridge->channel_count; i++) {
        if (bytes_equal(name, bytes_from_string(bridge->channels[i]->name)))
            return 0;
    }
    if (bridge->channel_count == BRIDGE_CHANNELS_MAX)
        return ERR_LIMIT;
    if (bridge->channel_count == bridge->channel_capacity) {
        bridge->channel_capacity = bridge->channel_capacity ? 2 * bridge->channel_capacity : 16;
        bridge->channels = mem_realloc(bridge->channels, bridge->channel_capacity * sizeof(struct bridge_channel *));
    }
    struct bridge_channel *channel = mem_alloc_zero(sizeof(*channel));
    channel->name = mem_copy_string(name);
    bridge_position_init(&channel->position);
    bridge->channels[bridge->channel_count++] = channel;
    return 0;
}

int bridge_discover(struct bridge *bridge)
{
    struct bridge_names names = {
        .url = bridge->options.monitoring,
        .tls = bridge->options.from.tls,
        .timeout_ms = bridge->options.from.timeout_ms,
        .max = BRIDGE_CHANNELS_MAX,
        .on_name = on_name,
        .owner = bridge,
    };
    int error = bridge_names_fetch(&names);
    if (error && !bridge->begun)
        bridge_show_line("--channels_from_monitoring: %s", names.error);
    bridge->discovered_ns = client_now_ns();
    return error;
}

uint64_t bridge_sid(struct bridge *bridge, size_t index)
{
    return STAN_SESSION_FIRST_SID + ++bridge->sids * BRIDGE_CHANNELS_MAX + index;
}

static int begin(struct bridge *bridge)
{
    if (bridge_open_from(bridge)) {
        show_refused("the old server, --from", bridge->options.from.server, bridge->options.from_cluster,
                     bridge->from.error);
        return 1;
    }
    if (bridge_open_to(bridge)) {
        show_refused("the new server, --to", bridge->options.to.server, bridge->options.to_cluster, bridge->to.error);
        return 1;
    }
    if (is_the_same(bridge)) {
        bridge_show_line("--from and --to are the same server");
        return 1;
    }
    // Before anything is published: without headers nothing could be marked.
    uint64_t first, last;
    if (!bridge->to.client.headers || stan_session_inquire(&bridge->to, "weir", &first, &last)) {
        bridge_show_line("the new server, --to: %s",
                         bridge->to.client.headers ? bridge->to.error : "it takes no headers, so it is no Weir");
        return 1;
    }
    return 0;
}

// The address without the user and the password that may be in it.
static void show_refused(const char *which, const char *server, const char *cluster_id, const char *why)
{
    struct nats_url url;
    if (nats_url_parse(server, &url))
        return; // it was parsed before
    bool is_v6 = strchr(url.host, ':') != NULL;
    bridge_show_line("%s %s://%s%s%s:%s (cluster id %s): %s", which, url.is_tls ? "tls" : "nats", is_v6 ? "[" : "",
                     url.host, is_v6 ? "]" : "", url.port, cluster_id, why);
}

// Registered at the second, are we forgotten by the first? It would copy channels into themselves, for ever.
static bool is_the_same(struct bridge *bridge)
{
    struct stan_session *from = &bridge->from;
    uint64_t end_ns = client_now_ns() + 5 * SECOND_NS;
    from->pinged_ns = 0;
    bool is_lost = stan_session_check(from, client_now_ns()) != 0;
    while (!is_lost && bridge->from_up && from->ping_subject[0] && from->pongs < from->pings &&
           client_now_ns() < end_ns)
        bridge_serve(bridge, BRIDGE_TICK_MS);
    return from->replaced[0] != '\0';
}

static void reconnect(struct bridge *bridge)
{
    uint64_t now_ns = client_now_ns();
    if (bridge->retry_to)
        bridge_lose_to(bridge, "it takes nothing at the moment");
    bridge->retry_to = false;
    if (!bridge->from_up && now_ns >= bridge->from_next_ns &&
        open_again(bridge, "old", bridge_open_from(bridge), bridge->from.error, &bridge->from_next_ns) == 0)
        bridge_show_line("the old server is there again");
    if (!bridge->to_up && now_ns >= bridge->to_next_ns &&
        open_again(bridge, "new", bridge_open_to(bridge), bridge->to.error, &bridge->to_next_ns) == 0)
        bridge_show_line("the new server is there again");
}

// A server that refuses us has another one of us, and it is not for us to push it aside.
static int open_again(struct bridge *bridge, const char *which, int error, const char *text, uint64_t *next_ns)
{
    *next_ns = client_now_ns() + SECOND_NS / 2;
    if (error == ERR_EXISTS || error == ERR_INVALID) {
        bridge_show_line("the %s server: %s", which, text);
        bridge->fatal = true;
    }
    return error;
}

static void look_after(struct bridge *bridge)
{
    // What a server behind another NATS server had not yet taken when it was restarted is answered by nobody.
    const uint64_t answer_max_ns = 10 * SECOND_NS, discover_every_ns = 5 * SECOND_NS;
    uint64_t now_ns = client_now_ns();
    if (bridge->from_up && stan_session_check(&bridge->from, now_ns))
        bridge_lose_from(bridge, bridge->from.error);
    if (bridge->to_up && stan_session_check(&bridge->to, now_ns))
        bridge_lose_to(bridge, bridge->to.error);
    for (size_t i = 0; i < bridge->channel_count && bridge->to_up; i++) {
        const struct bridge_channel *channel = bridge->channels[i];
        if (channel->state == BRIDGE_COPYING && seqset_count(&channel->position.in_flight) &&
            now_ns - channel->answer_ns > answer_max_ns)
            bridge_lose_to(bridge, "it does not acknowledge what is published");
    }
    if (bridge->options.monitoring && !bridge->options.once && now_ns - bridge->discovered_ns > discover_every_ns)
        (void)!bridge_discover(bridge); // if the old server is gone, its other port says so
    bridge_show_progress(bridge);
}

// --once: everything that the old server had is there. A channel of which it sends nothing for a while, though it has more, was copied by this
// durable before, to somewhere else or from where limits have removed it.
static bool is_finished(struct bridge *bridge)
{
    if (bridge->channel_count == bridge->failed && bridge->channel_count > 0 && !bridge->options.monitoring)
        return true;
    for (size_t i = 0; bridge->options.once && i < bridge->channel_count; i++) {
        struct bridge_channel *channel = bridge->channels[i];
        if (channel->state == BRIDGE_FAILED)
            continue;
        if (channel->state != BRIDGE_COPYING || channel->missed || seqset_count(&channel->position.in_flight))
            return false;
        if (bridge_position_reached(&channel->position) >= channel->goal)
            continue;
        if (client_now_ns() - channel->heard_ns < bridge->options.idle_ns || !bridge->from_up)
            return false;
        char text[BRIDGE_ERROR_SIZE];
        snprintf(text, sizeof(text),
                 "the old server has messages up to %llu and sends none: durable %s has had them; another --durable "
                 "begins anew",
                 (unsigned long long)channel->goal, bridge->options.durable);
        bridge_channel_fail(bridge, channel, text);
    }
    return bridge->options.once;
}

// What is on its way to the new server is waited for, so that the old one hears of it.
static void drain(struct bridge *bridge)
{
    uint64_t end_ns = client_now_ns() + 5 * SECOND_NS;
    bool was_stopping = bridge->stopping;
    bridge->stopping = true;
    while (bridge->to_up && in_flight(bridge) && client_now_ns() < end_ns)
        bridge_serve(bridge, BRIDGE_TICK_MS);
    bridge->stopping = was_stopping;
}

static void say_goodbye(struct bridge *bridge)
{
    bridge->saying_goodbye = true;
    if (bridge->from_up)
        stan_session_close(&bridge->from);
    else if (bridge->from_open)
        stan_session_drop(&bridge->from);
    if (bridge->to_up)
        stan_session_close(&bridge->to);
    else if (bridge->to_open)
        stan_session_drop(&bridge->to);
}

// What cannot be taken is told at the start, once.
static void on_name(void *owner, struct bytes name)
{
    struct bridge *bridge = owner;
    if (bridge_channel_add(bridge, name) && !bridge->begun)
        bridge_show_line("channel %.*s has a name that Weir does not take: left out",
                         (int)(name.len < 100 ? name.len : 100), name.ptr);
}

static uint64_t in_flight(const struct bridge *bridge)
{
    uint64_t count = 0;
    for (size_t i = 0; i < bridge->channel_count; i++)
        count += seqset_count(&bridge->channels[i]->position.in_flight);
    return count;
}
