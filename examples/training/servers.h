// SPDX-License-Identifier: Apache-2.0
// "nats://a:4222,nats://b:4222": a fleet.
#pragma once

#include <weir.h>

// Begins to connect; waits for no server. `client_id` may be NULL. The handle is the caller's. -1: ret_error says why.
int servers_open(const char *list, const char *client_id, weir_fleet_event_fn *on_event, void *closure,
                 struct weir_fleet **ret_fleet, struct weir_error *ret_error);
