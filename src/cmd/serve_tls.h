// SPDX-License-Identifier: Apache-2.0
// The certificates of a serving program: made of the options at start, and again when it is told to reload. Clients and https
// monitoring show the same certificate; monitoring asks for none. Listeners borrow `security`.
#pragma once

#include "env/log.h"
#include "os/tcp.h"
#include "server/config.h"

// Longest message, with its NUL: that of a file of the configuration, and where it stands.
#define SERVE_TLS_MESSAGE_SIZE 1024

struct serve_tls {
    struct tcp_security clients;    // the broker starts TLS
    struct tcp_security monitoring; // TLS from the first byte
    struct tcp_security
        websocket; // the same, with the certificate of the `websocket` block; for a listener that has one
};

// All contexts exist afterwards, empty where TLS is off; so a reload can turn it on. Errors of serve_tls_reload(), and then there is
// nothing to stop.
int serve_tls_start(struct serve_tls *tls, const struct config *config, const struct logger *logger,
                    char ret_message[SERVE_TLS_MESSAGE_SIZE]) MUST_USE;
// Reads the files again; certificates that end soon are logged, unless `logger` is NULL. ERR_INVALID: a file is wrong, the message
// says which and why; then nothing has changed.
int serve_tls_reload(struct serve_tls *tls, const struct config *config, const struct logger *logger,
                     char ret_message[SERVE_TLS_MESSAGE_SIZE]) MUST_USE;
// Whether a start would succeed, for -t: errors as those of serve_tls_reload().
int serve_tls_check(const struct config *config, char ret_message[SERVE_TLS_MESSAGE_SIZE]) MUST_USE;
// Connections must be gone. Harmless on all zeroes.
void serve_tls_stop(struct serve_tls *tls);

// For --help_tls.
void serve_tls_help(void);
