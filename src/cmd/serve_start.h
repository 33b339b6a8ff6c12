// SPDX-License-Identifier: Apache-2.0
// What `serve` does before and beside serving: the command line becomes options, options become a log, and the log says what there
// is. The words are those of the server that it stands for, which tools wait for.
// tidy: prefix serve
#pragma once

#include <stdbool.h>

#include "os/server_log.h"
#include "server/config.h"

// `serve` under the name of another server, with its flags: serves until it is told to stop. Returns the exit code.
int serve_as(enum options_persona persona, int count, char **arguments);

// Reads a command line and the configuration that it names. False when there is nothing to serve, because it asked for something
// else (help, -v, -sl, -t) or something was wrong: *ret_code is the exit code, everything has been said, and there is nothing to free.
bool serve_read_config(enum options_persona persona, int count, char **arguments, struct config *ret_config,
                       int *ret_code);

// Room for a host of the options as it stands in front of a port.
#define SERVE_HOST_SIZE 288
// "[::1]" for "::1", others as they are; in `text`, which is returned.
const char *serve_format_host(const char *host, char text[SERVE_HOST_SIZE]);

// Where the log goes and how much of it. ERR_* of server_log_configure(), then nothing has changed.
int serve_configure_log(struct server_log *log, const struct options *options) MUST_USE;
// What a user reads of such an error; `text` is used for it, and returned.
const char *serve_explain_log(const struct options *options, int error, char *text, size_t size);

// "Starting nats-server" and so on: the first lines.
void serve_announce_start(const struct logger *logger, const struct config *config, const char *server_id);
void serve_announce_websocket(const struct logger *logger, const struct websocket_config *websocket, unsigned port);
// "Server is ready" and so on: the last ones. http_port 0: no monitoring.
void serve_announce_ready(const struct logger *logger, const struct options *options, const char *server_id,
                          unsigned port, unsigned http_port);
