// SPDX-License-Identifier: Apache-2.0
// A channel as a stream of /jsz, a durable or a queue group as a consumer of it (CO-H10, TL-12, TL-25): what JetStream's tools read is
// computed here from what NATS Streaming has.
//
//   channel "jobs.gpu"                                stream "jobs%2Egpu", config.subjects ["jobs.gpu"]
//   durable queue group, durable "d", group "g"       consumer "d:g"
//   queue group "g" without a durable                 consumer ":g"
//   plain durable "d" of client "c"                   consumer "d"; "d@c" if that is taken
//
// Names of JetStream's have no blanks, control characters, '.', '*', '>', '/' and '\': they, and '%', are written as in URLs.
#pragma once

#include "codec/json_writer.h"
#include "stan/stan_inspect.h"

struct monitor;

// Of the escaped name of a channel, durable or group.
#define PUT_JSZ_NAME_MAX 6144

// The name of a stream; its length. `to` has PUT_JSZ_NAME_MAX bytes.
size_t put_jsz_stream_name(struct bytes channel, char *to);
// The n-th name to try for a consumer, from 0 on; 0 bytes: there are no more.
size_t put_jsz_consumer_name(const struct stan_consumer_view *consumer, unsigned n, char *to);

// Members "name" to "state" of an object that is open, and stays so. `first_ns`: of the oldest message, wall clock; 0: not known.
void put_jsz_stream(struct monitor *monitor, struct json_writer *json, const struct stan_channel_view *channel,
                    struct bytes name, bool with_config, uint64_t first_ns);
void put_jsz_consumer(struct monitor *monitor, struct json_writer *json, const struct stan_consumer_view *consumer,
                      struct bytes stream, struct bytes name, bool with_config);
