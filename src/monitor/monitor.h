// SPDX-License-Identifier: Apache-2.0
// Monitoring over HTTP: what the server does, how much, and whether it is well. Names and types of fields are nats-server's
// (CO-H01, CO-H02, CO-H11) wherever they mean the same, so existing dashboards and exporters read them; what only Weir has
// stands under "weir".
//
// Read-only, pure, one thread, on the worker's turns like the broker.
#pragma once

#include "admin/admin_api.h"
#include "broker/broker.h"
#include "env/clock.h"
#include "env/net.h"
#include "env/process.h"
#include "shard/shard.h"
#include "stan/stan.h"

struct monitor;

// Of the websocket listener, as /varz shows it.
struct monitor_websocket {
    const char *host; // borrowed
    uint16_t port;
    bool no_tls, same_origin, compression;
    uint64_t handshake_ns;
};

// Something to be done with every broker. Embedded by a page, in place until `done`.
struct monitor_visit {
    void (*run)(struct monitor_visit *visit, struct broker *broker); // on that broker's worker, within a turn
    void (*done)(struct monitor_visit *visit);                       // afterwards, on the monitor's
};

// Of what a reload that was refused says, with its NUL.
#define MONITOR_RELOAD_MESSAGE_SIZE 1024

// All pointers are borrowed for life.
struct monitor_options {
    const struct broker_options *broker_options; // limits and names shown
    struct broker *broker;                       // of the monitor's own worker
    // Runs a visit on all workers, one after the other, then its `done`. NULL: there is only `broker`.
    void (*visit)(void *owner, struct monitor_visit *visit);
    void *visit_owner;
    // Reads the configuration again, as a signal has it done, within a turn. A negative error, and a message, when what ran before still
    // runs. NULL: nobody can be asked for that.
    int (*reload)(void *owner, char ret_message[MONITOR_RELOAD_MESSAGE_SIZE]);
    void *reload_owner;
    struct shard *shard;                     // NULL without storage: core NATS alone
    const struct stan *stan;                 // NULL with it
    struct admin_api *admin;                 // NULL with it: no dashboard
    const char *admin_user, *admin_password; // who may do everything over HTTP, plain or bcrypt; NULL: nobody
    const char *http_host;
    const char *http_base_path; // "/nats": pages are below it; NULL: below /
    const char *const *tags;    // of the server
    size_t tag_count;
    uint16_t http_port;
    const struct monitor_websocket *websocket; // NULL: no such listener
    uint16_t https_port;
    const char *cluster_id;               // STAN's; NULL: none
    const char *store_type;               // "FILE", "MEMORY"
    const char *store_dir;                // "" without files
    const char *sync_mode;                // "always", "interval", "never"
    const struct process_source *process; // may be NULL: then zeroes are shown
};

// Of a configuration's digest, with its NUL: "sha256:" and 64 digits.
#define MONITOR_DIGEST_SIZE 72

struct monitor *monitor_new(const struct monitor_options *options, struct moment now);
// All connections must be gone.
void monitor_free(struct monitor *monitor);

// What the listener of the monitoring port hands connections to.
const struct net_handler *monitor_net_handler(struct monitor *monitor);
void monitor_turn_begin(struct monitor *monitor, struct moment now);
// Before the broker's: publishes what is due.
void monitor_turn_end(struct monitor *monitor);
// UINT64_MAX: none.
uint64_t monitor_next_deadline_ms(const struct monitor *monitor);
// Within a turn: a configuration holds from now on. `digest` is copied; NULL: there is no file.
void monitor_set_config(struct monitor *monitor, const char *digest);
// Closes all connections, refuses new ones.
void monitor_shutdown(struct monitor *monitor);
