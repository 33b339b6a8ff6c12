// SPDX-License-Identifier: Apache-2.0
// The files by which others find a running server (CO-X05): the pid file and the ports file. Both are written whole or not at all.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

// One kind of address that is listened on.
struct serve_port {
    const char *kind;   // "nats", "monitoring", "websocket"
    const char *scheme; // "nats", "tls", "http", "https", "ws", "wss"
    const char *host;
    uint16_t port; // 0: not listened on
};

// The process id, as its only content. ERR_* of file_error().
int serve_files_write_pid(const char *path) MUST_USE;
// Removes it if it is still ours.
void serve_files_remove_pid(const char *path);

// PROGRAM_PID.ports in `directory`: {"nats":["nats://127.0.0.1:4222"],…}. A wildcard host stands for the addresses of all interfaces.
int serve_files_write_ports(const char *directory, const char *program, const struct serve_port *ports,
                            size_t count) MUST_USE;
void serve_files_remove_ports(const char *directory, const char *program);

// Whether a file could be replaced as the pid file is, or appended to as a log: as far as that can be told without touching anything.
// ERR_* of file_error().
int serve_files_check_replace(const char *path) MUST_USE;
int serve_files_check_append(const char *path) MUST_USE;
