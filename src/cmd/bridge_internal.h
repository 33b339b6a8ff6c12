// SPDX-License-Identifier: Apache-2.0
// `weir bridge` (IM-25): copies channels from a running NATS Streaming server, whatever its store, to a running Weir. What its files share.
//
// It is a client of both. At the old server it has a durable subscription to each channel and acknowledges what the new server has on
// disk; so nothing is lost. What it copies it marks (cmd/bridge_mark.h), and at the start of a run, and whenever the connection to the new server
// was lost, it reads in the newest messages there how far it came (cmd/bridge_scan.c); so nothing is there twice. Whoever registers anew at the
// new server shuts out the one before, so a run that was killed publishes nothing any more when the next one reads.
//
// A channel goes   SCAN ──► OPEN ──► COPY    and back to OPEN (the old server was lost; a gap), or SCAN (the new one was);
//                     └───────┴───────┴────► FAILED    one of the servers refused it
#pragma once

#include <stdio.h>

#include "cmd/bridge_names.h"
#include "cmd/bridge_position.h"
#include "cmd/stan_session.h"

enum {
    BRIDGE_CHANNELS_MAX = 16384,
    BRIDGE_NAME_MAX = 1000,
    BRIDGE_ERROR_SIZE = 400,
    BRIDGE_TICK_MS = 100,
};

struct bridge_options {
    struct client_options from, to; // `server` NULL until given
    const char *from_cluster, *to_cluster;
    const char *monitoring; // NULL: the channels are named
    const char *client_id, *durable;
    bool once, follow, dry_run, keep_going, help;
    uint32_t window;
    uint64_t idle_ns;
};

enum bridge_state { BRIDGE_SCAN, BRIDGE_OPEN, BRIDGE_COPYING, BRIDGE_FAILED };

struct bridge_channel {
    char *name; // owned
    enum bridge_state state;
    struct bridge_position position;
    uint64_t sid, probe_sid; // of its subscriptions at the old server; 0: none
    char ack_inbox[STAN_SESSION_TEXT_SIZE];
    bool missed;        // something came that could not be taken: open it again
    bool has_goal;      // --once, --dry-run: `goal` is known
    uint64_t goal;      // the old server's last message at the start; 0: there was none
    uint64_t heard_ns;  // when the old server last sent something, or the subscription was opened
    uint64_t answer_ns; // when the new server last answered, or had nothing to answer
    uint64_t refusals;  // one after the other, of those that pass
    uint64_t copied, bytes, present;
    char error[BRIDGE_ERROR_SIZE];
};

struct bridge {
    struct bridge_options options;
    struct bridge_channel **channels; // owned, with room for channel_capacity
    size_t channel_count, channel_capacity;
    struct stan_session from, to;
    bool from_up, to_up;               // the connection works, as far as is known
    bool from_open, to_open;           // the session is there, if only to be dropped
    uint64_t from_next_ns, to_next_ns; // when a lost connection is tried again
    uint64_t sids;                     // given out
    int signal_fd;
    bool begun;    // both servers were there
    bool stopping; // a signal, or a refusal without --keep-going: what is on its way is waited for
    bool saying_goodbye;
    bool fatal;               // and it was said why
    bool retry_to;            // the new server refused what it may take later
    struct bridge_scan *scan; // borrowed while one goes on
    struct buffer room;       // for headers
    uint64_t copied, bytes, present, failed;
    uint64_t began_ns, shown_ns, discovered_ns;
};

// bridge_copy.c: connects, copies until told to stop or, with --once, everything is there. Returns the exit code.
int bridge_copy(struct bridge *bridge);
// Serves both connections for up to so long, until something came. Loses what broke.
void bridge_serve(struct bridge *bridge, int timeout_ms);
bool bridge_is_stopped(void *owner);
// The channel goes no further; without --keep-going nothing does.
void bridge_channel_fail(struct bridge *bridge, struct bridge_channel *channel, const char *what);
// Adds a channel unless it is there. ERR_INVALID: the name is none; ERR_LIMIT.
int bridge_channel_add(struct bridge *bridge, struct bytes name) MUST_USE;
// Adds the channels that monitoring lists. ERR_* of bridge_names_fetch(), told before the start.
int bridge_discover(struct bridge *bridge) MUST_USE;
// A new number for a subscription of this channel.
uint64_t bridge_sid(struct bridge *bridge, size_t index);

// bridge_open.c: connections, and what a channel needs before it is copied.
int bridge_open_from(struct bridge *bridge) MUST_USE;
int bridge_open_to(struct bridge *bridge) MUST_USE;
void bridge_lose_from(struct bridge *bridge, const char *why);
void bridge_lose_to(struct bridge *bridge, const char *why);
// Brings channels that wait for it on, as far as the connections last.
void bridge_prepare(struct bridge *bridge);
// Learns how far each channel goes at the old server.
void bridge_probe(struct bridge *bridge);

// bridge_message.c: what comes over the sessions; a publish's tag is the size of its data times BRIDGE_CHANNELS_MAX, and the channel's index.
void bridge_on_from_message(void *owner, const struct stan_session_message *message);
void bridge_on_published(void *owner, uint64_t tag, struct bytes guid, struct bytes error);

// bridge_scan.c: what the new server has of a channel. ERR_*: its connection is lost, or the channel was refused (bridge_channel_fail()).
int bridge_scan(struct bridge *bridge, size_t index) MUST_USE;
// A message of the new server: `owner` is the bridge.
void bridge_scan_take(void *owner, const struct stan_session_message *message);

// bridge_show.c
void bridge_show_progress(struct bridge *bridge);
void bridge_show_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void bridge_show_summary(const struct bridge *bridge, FILE *out);
