// SPDX-License-Identifier: Apache-2.0
// HTTP connections on env/net: reads requests, has each answered by a function, at once or later (page.h), sends the answers in
// order, one at a time. A client that is slow to ask or to read is closed, and so is one that asks for more than it reads.
//
// Pure, one thread. Turns like the broker's: the time is set before any callback.
#pragma once

#include "env/clock.h"
#include "env/log.h"
#include "env/net.h"
#include "monitor/page.h"

// Connections at once; more are refused.
#define HTTP_SERVER_CONNECTIONS_MAX 256
// Without a complete request, or without taking an answer or the next HTTP_SERVER_PROGRESS bytes of it, for so long: closed.
#define HTTP_SERVER_IDLE_MS  60000
#define HTTP_SERVER_PROGRESS (1024 * 1024)
// Bytes of answers that may wait for their readers, of all connections together; a longer answer than HTTP_SERVER_SMALL is then
// 503. The small ones always go, so that a probe sees that the server is well.
#define HTTP_SERVER_WAITING_MAX (64 * 1024 * 1024)
#define HTTP_SERVER_SMALL       (64 * 1024)
// Requests that wait while an answer is being sent.
#define HTTP_SERVER_PIPELINE_MAX (128 * 1024)
// Of a request.
#define HTTP_SERVER_BODY_MAX (64 * 1024)

struct http_server;

// `answer` fills the page, or holds it. Called within on_data, on_writable and page_finish(). The logger, borrowed for life, may be NULL.
// `is_tls`: connections begin with a TLS handshake.
struct http_server *http_server_new(void *owner, void (*answer)(void *owner, struct page *page), bool is_tls,
                                    const struct logger *logger, struct moment now);
// All connections must be gone, and all held pages finished.
void http_server_free(struct http_server *server);

const struct net_handler *http_server_net_handler(struct http_server *server);
// The time of this turn; closes who was idle for too long.
void http_server_turn_begin(struct http_server *server, struct moment now);
// UINT64_MAX: none.
uint64_t http_server_next_deadline_ms(const struct http_server *server);
// Bytes of answers that wait for their readers.
size_t http_server_waiting(const struct http_server *server);
// Closes all connections and refuses new ones.
void http_server_shutdown(struct http_server *server);
