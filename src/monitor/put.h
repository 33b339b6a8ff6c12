// SPDX-License-Identifier: Apache-2.0
// Members that several pages have.
#pragma once

#include "broker/inspection.h"
#include "codec/json_writer.h"

struct monitor;

void put_server_id(struct json_writer *json, const struct monitor *monitor);
// RFC 3339.
void put_time(struct json_writer *json, const char *key, uint64_t wall_ns);
// Between two readings of the wall clock, which may have jumped.
void put_uptime(struct json_writer *json, const char *key, uint64_t from_ns, uint64_t to_ns);
// Nothing if it is empty, as Go's "omitempty".
void put_text(struct json_writer *json, const char *key, struct bytes text);
void put_subscription(struct json_writer *json, const struct inspection_subscription *subscription);
// The counters of /subsz.
void put_sublist(struct json_writer *json, const struct inspection_sublist *sublist);
