// SPDX-License-Identifier: Apache-2.0
// The same pages for clients of the system account (1b.5 of the reference): requests to `$SYS.REQ.SERVER.PING[.<page>]` and
// `$SYS.REQ.SERVER.<id>.<page>` (CO-Y23, Y27, Y28, Y90), `$SYS.REQ.ACCOUNT.<account>.<page>` and `$SYS.REQ.ACCOUNT.PING.<page>` (CO-Y13, Y91),
// answered as {"server": …, "data": the page} or {"server": …, "error": …}. Their JSON options become the parameters of the page.
// `$SYS.REQ.ACCOUNT.<account>.CONNS` is answered with the bare event of nats-server, while the account has connections.
// `$SYS.REQ.SERVER.<id>.RELOAD` (CO-Y26) reloads the configuration: {"server": …}, with "error" when nothing was taken.
#pragma once

#include "monitor/monitor.h"

// Under way at once; more are not answered.
#define SYS_REQUESTS_MAX 1024

struct sys_requests;

// Subscribes in the broker's system account.
struct sys_requests *sys_requests_new(struct monitor *monitor);
// All visits of the monitor must have ended.
void sys_requests_free(struct sys_requests *requests);
// Publishes `$SYS.SERVER.<id>.STATSZ` when it is time (CO-Y37): soon after the start, then every 10 s. Called once a turn.
void sys_requests_turn(struct sys_requests *requests);
// Monotonic ms.
uint64_t sys_requests_next_deadline_ms(const struct sys_requests *requests);
