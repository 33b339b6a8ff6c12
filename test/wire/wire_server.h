// SPDX-License-Identifier: Apache-2.0
// A server's process for one playing of one section: started on a free port of 127.0.0.1 with a configuration and a directory of its own
// below the system's temporary files, and ended with it. If the runner dies, so does the server.
#pragma once

#include <sys/types.h>

#include "base/buffer.h"

struct wire_server {
    bool is_nats_server;
    const char *program, *threads; // borrowed
    pid_t pid;
    int log_fd; // its standard error; -1: closed
    uint16_t port;
    char directory[64];
    struct buffer log; // all that it said
};

// `program`: a weir, or one that is called nats-server. Returns when it serves. False: it does not; the log says why.
bool wire_server_start(struct wire_server *server, const char *program, const char *threads, struct bytes config);
// Tells it to end and waits. False: it did not, or not well (a sanitizer's complaint). Its directory is removed; the log stays.
bool wire_server_stop(struct wire_server *server);
void wire_server_deinit(struct wire_server *server);

// Ends it in good order and starts it again on its data, on another port. False as for start and stop.
bool wire_server_restart(struct wire_server *server);
// Another configuration; returns when it is in force, false if it was refused.
bool wire_server_reload(struct wire_server *server, struct bytes config);
void wire_server_lame_duck(struct wire_server *server);
// Takes what it has logged, so that it never waits for us; call it when log_fd is readable.
void wire_server_read_log(struct wire_server *server);

// A clock that never goes back.
uint64_t wire_server_now_ms(void);
