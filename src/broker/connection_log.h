// SPDX-License-Identifier: Apache-2.0
// What the log says of a connection, in nats-server's words: -D (who came, why it went) and -V (every operation), CO-X04.
//
//   127.0.0.1:34567 - cid:5 - "v1.2:nodejs:name" - Client connection closed: Client Closed
//   127.0.0.1:34567 - cid:5 - "v1.2:nodejs:name" - <<- [PUB foo 5]
//   127.0.0.1:34567 - cid:5 - "v1.2:nodejs:name" - <<- MSG_PAYLOAD: ["hello"]
//
// Behind a proxy that says whom it serves: 192.0.2.7/127.0.0.1:34567, as nats-server has it.
//
// Never secrets: what CONNECT proves is shown as [REDACTED]. What clients send is quoted, so that it cannot forge lines.
// tidy: prefix connection
#pragma once

#include "broker/connection.h"
#include "env/log.h"

// Longest line; longer ones are cut.
#define CONNECTION_LOG_LINE_MAX 4096

// Lines a second and worker, of those that nobody asked for with -D or -V: a client can cause one with every operation. How many were left
// out is told with the next one.
#define CONNECTION_LOG_LINES 100

// One line about this connection.
void connection_log(const struct connection *connection, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// One operation that arrived, before it is carried out.
void connection_trace_in(const struct connection *connection, const struct wire_op *op);
// One line that leaves, with or without its CRLF; INFO is not shown.
void connection_trace_out(const struct connection *connection, struct bytes line);
// A subscription ends.
void connection_trace_end(const struct connection *connection, struct bytes sid);

// The one branch that it costs when nobody wants a trace.
static inline bool connection_is_traced(const struct connection *connection)
{
    const struct broker *broker = connection->broker;
    return __builtin_expect(broker->tracing, 0) &&
           (connection->account != broker->system || broker->options.trace_system);
}
