// SPDX-License-Identifier: Apache-2.0
// What a server of NATS Streaming for another NATS server's clients (-ns) has of the machine: its certificates, its key, and who
// connects.
#pragma once

#include "auth/nkey.h"
#include "env/log.h"
#include "os/dialer.h"
#include "os/tls.h"
#include "server/options.h"

#define SERVE_UPLINK_MESSAGE_SIZE (TLS_MESSAGE_SIZE + 64)

struct serve_uplink {
    struct dialer dialer;
    struct tls *tls; // owned; NULL: not started
    uint8_t seed[NKEY_SEED_LEN];
    bool has_seed;
};

// Reads the files. ERR_INVALID, ERR_NOT_FOUND: the message says which and why; nothing is to be stopped.
int serve_uplink_start(struct serve_uplink *uplink, const struct options_nats *nats, struct tcp *tcp,
                       char ret_message[SERVE_UPLINK_MESSAGE_SIZE]) MUST_USE;
// Whether a start would succeed, for -t.
int serve_uplink_check(const struct options_nats *nats, char ret_message[SERVE_UPLINK_MESSAGE_SIZE]) MUST_USE;
// Connections must be gone. Harmless on all zeroes.
void serve_uplink_stop(struct serve_uplink *uplink);
