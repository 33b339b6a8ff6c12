// SPDX-License-Identifier: Apache-2.0
// Connections to others (struct net_dial): the name is looked up by libuv's threads, its addresses are tried one after the other, and
// what is connected becomes a connection of the loop's tcp as one that was accepted.
//
//   net_dial_start ──► RESOLVING ──► CONNECTING, address by address ──► on_accept, or on_failed with what the last address said
//                          └───────────────┴── net_dial_stop ──► nothing more
//
// One thread, the loop's. A look-up that was stopped ends later, unheard; loop_deinit() waits for it.
#pragma once

#include "os/tcp.h"

struct dialer {
    struct net_dialer net; // first
    struct tcp *tcp;       // borrowed
    struct tls *tls;       // borrowed, of tls_client_load(); NULL: net_start_tls() is not allowed
};

void dialer_init(struct dialer *dialer, struct tcp *tcp, struct tls *tls);
