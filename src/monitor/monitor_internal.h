// SPDX-License-Identifier: Apache-2.0
// What the pages share: the monitor itself, and one function per page.
#pragma once

#include "base/list.h"
#include "codec/json_writer.h"
#include "monitor/http_server.h"
#include "monitor/monitor.h"

// A path and the function that fills its page. The index lists those that have a description.
struct monitor_route {
    const char *path;
    const char *description; // NULL: not listed
    void (*fill)(struct monitor *monitor, struct page *page);
};

#define MONITOR_ROUTES 21

struct monitor {
    struct monitor_options options;
    struct http_server *http; // owned
    struct sys_requests *sys; // owned
    struct api_login *login;  // owned; NULL without the admin API
    uint64_t sys_sequence;    // of what was said in the system account
    struct moment start;
    struct moment now;
    struct broker_stats stats; // of all workers, when they were last collected
    uint64_t active_accounts;  // that had connections then
    uint64_t collections;      // how often that was
    struct moment config_loaded;
    char config_digest[MONITOR_DIGEST_SIZE]; // "": there is no file
    unsigned copies;                         // that are being made
    struct list waiting;                     // struct monitor_copy, longest first: until fewer are
    struct list stepping;                    // struct monitor_copy: those whose pages are made in steps, the next first
    bool stopping;                           // no page is begun any more that takes steps
    uint64_t requests[MONITOR_ROUTES];       // per route, in order of monitor_routes
    uint64_t cpu_ns, cpu_at_ns;              // at the last reading of the processor time, for its rate since then
    double cpu_percent;
};

extern const struct monitor_route monitor_routes[MONITOR_ROUTES];

// Runs a page's visit on every broker; `done` may be called in here.
void monitor_visit_brokers(struct monitor *monitor, struct monitor_visit *visit);
// Of all workers, when they were last collected.
void monitor_stats(const struct monitor *monitor, struct broker_stats *ret_stats);
// Adds them up over all brokers; then `write` is called, now or in a later turn, with the page, which was held meanwhile and is finished
// afterwards. The page may be NULL.
void monitor_collect_stats(struct monitor *monitor, struct page *page,
                           void (*write)(struct monitor *monitor, struct page *page));
// Memory, cores, and processor time in percent of one core since the last look.
void monitor_put_process(struct monitor *monitor, struct json_writer *json);
// The same to be read; returns the percents.
double monitor_read_process(struct monitor *monitor, struct process_usage *ret_usage);
// Begins a page as most do: an object with the server's id and the time.
void monitor_begin_json(struct monitor *monitor, struct page *page, struct json_writer *json);
// Ends a page that was written; one that has become too long becomes an error.
void monitor_finish_json(struct json_writer *json, struct page *page);

// "/"
void monitor_index(struct monitor *monitor, struct page *page);
// "/healthz"
void monitor_healthz(struct monitor *monitor, struct page *page);
// "/varz"
void monitor_varz(struct monitor *monitor, struct page *page);
// "/metrics"
void monitor_metrics(struct monitor *monitor, struct page *page);

// "/connz", "/subsz", "/accountz", "/accstatz": what the workers hold
void monitor_connz(struct monitor *monitor, struct page *page);
void monitor_subsz(struct monitor *monitor, struct page *page);
void monitor_accountz(struct monitor *monitor, struct page *page);
void monitor_accstatz(struct monitor *monitor, struct page *page);
// How many there are in one account: an event, as in the system account (CO-Y13). Empty when nobody is.
void monitor_account_connections(struct monitor *monitor, struct page *page);
// One account in detail, without what surrounds it on /accountz: for the system account.
void monitor_account_info(struct monitor *monitor, struct page *page);
// "/streaming", "/streaming/serverz", "/streaming/storez", "/streaming/clientsz", "/streaming/channelsz", "/streaming/isFTActive"; not
// found where NATS Streaming is not served
void monitor_streaming(struct monitor *monitor, struct page *page);
void monitor_serverz(struct monitor *monitor, struct page *page);
void monitor_storez(struct monitor *monitor, struct page *page);
void monitor_clientsz(struct monitor *monitor, struct page *page);
void monitor_channelsz(struct monitor *monitor, struct page *page);
void monitor_ft_active(struct monitor *monitor, struct page *page);
// "/jsz": the same in JetStream's words
void monitor_jsz(struct monitor *monitor, struct page *page);
// "/routez", "/gatewayz", "/leafz": nothing, in good form
void monitor_routez(struct monitor *monitor, struct page *page);
void monitor_gatewayz(struct monitor *monitor, struct page *page);
void monitor_leafz(struct monitor *monitor, struct page *page);
// "/ipqueuesz", "/stacksz": insides of another program
void monitor_ipqueuesz(struct monitor *monitor, struct page *page);
void monitor_stacksz(struct monitor *monitor, struct page *page);

// The member "weir" of /varz.
void monitor_weir(struct monitor *monitor, struct json_writer *json);

// "/api/v1/NOUN/VERB": the admin API (docs/admin-api.md). `rest`: "NOUN/VERB".
void monitor_api(struct monitor *monitor, struct page *page, struct bytes rest);
// "/ui": the dashboard. `rest`: what stands behind it, with its slash.
void monitor_ui(struct monitor *monitor, struct page *page, struct bytes rest);

// Replaces what is in the body by one line of text.
void monitor_say(struct page *page, int status, const char *text);
// The same with a name in it that the client gave: "Channel NAME not found".
void monitor_say_missing(struct page *page, const char *what, const char *name);
