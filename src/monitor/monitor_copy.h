// SPDX-License-Identifier: Apache-2.0
// The making of a page that copies what all brokers hold, before it sorts, cuts and writes it. A few such copies are made at a
// time; whoever asks meanwhile waits for his turn, first come, first served. Those who wait are bounded by who can ask: one page
// for each HTTP connection (HTTP_SERVER_CONNECTIONS_MAX) and each request of the system account (SYS_REQUESTS_MAX). A client that
// goes away leaves the queue.
//
// A page about streams is not copied from other workers, because they are all on the monitor's own; but there may be a great many. Such a
// page is made in steps, one a turn, and those that are under way take turns.
//
//   monitor_copy_new ─► monitor_copy_start ─► [waits] ─► add, on each broker's worker ─► write ─► finished, freed
//   monitor_copy_new_steps ─► monitor_copy_start ─► [waits] ─► step, turn by turn ─► release ─► finished, freed
//          └─► monitor_copy_free, when the parameters are refused
#pragma once

#include "base/list.h"
#include "broker/inspection.h"
#include "monitor/monitor.h"
#include "monitor/page.h"

// What a page copies, and how many pages may do so at once. Together with the answers that wait (http_server.h) some 300 MB,
// whoever asks however often.
#define MONITOR_COPY_MAX   (64 * 1024 * 1024)
#define MONITOR_COPIES_MAX 3

// First in the struct of such a page.
struct monitor_copy {
    struct monitor_visit visit;   // first
    struct monitor *monitor;      // borrowed
    struct page *page;            // borrowed until it is finished
    struct inspection inspection; // at most MONITOR_COPY_MAX bytes; from the first `add` on
    void (*add)(struct monitor_copy *copy, struct broker *broker); // on that broker's worker, within a turn
    void (*write)(struct monitor_copy *copy);                      // all is there: fills the page
    // Instead of these two: makes some more of the page. True: it is complete.
    bool (*step)(struct monitor_copy *copy);
    void (*release)(
        struct monitor_copy *copy); // gives back what is not in the inspection's arena; also of a page given up
    bool waits;                     // set by a step that waits for something: the next one is in a while
    struct list link;               // list link: monitor.waiting, or .stepping
};

// size: of the page's struct, which is zeroed behind its copy.
void *monitor_copy_new(size_t size, struct monitor *monitor, struct page *page,
                       void (*add)(struct monitor_copy *copy, struct broker *broker),
                       void (*write)(struct monitor_copy *copy));
// The same for a page that is made in steps.
void *monitor_copy_new_steps(size_t size, struct monitor *monitor, struct page *page,
                             bool (*step)(struct monitor_copy *copy), void (*release)(struct monitor_copy *copy));
// Of one that was not started; the page is untouched.
void monitor_copy_free(struct monitor_copy *copy);
// Holds the page, and finishes it in here or in a later turn. The copy must not be used any more.
void monitor_copy_start(struct monitor_copy *copy);
// The server stops: answers those who wait, and those whose page is made in steps, with 503.
void monitor_copy_refuse_waiting(struct monitor *monitor);
// At a turn's end: one step of one page.
void monitor_copy_turn(struct monitor *monitor);
// When that is due again. UINT64_MAX: never.
uint64_t monitor_copy_next_deadline_ms(const struct monitor *monitor);
