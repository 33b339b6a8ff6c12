// SPDX-License-Identifier: Apache-2.0
// Where a server is and who we are there, as one line of text.
#pragma once

#include <stdbool.h>

#include "base/error.h"

#define NATS_URL_SECRET_SIZE 256

// All strings end with a NUL.
struct nats_url {
    char host[256]; // a name or an address, without brackets
    char port[8];   // "4222" where none is given
    char user[NATS_URL_SECRET_SIZE];
    char password[NATS_URL_SECRET_SIZE];
    char token[NATS_URL_SECRET_SIZE];
    bool is_tls;
};

// Schemes count without case; an address of another one is refused, because what it says is not meant for us.
// [nats://|tls://][user:password@|token@]host[:port][/]; an IPv6 host stands in brackets, "%40" is a character that cannot stand there
// itself. ERR_INVALID, ERR_TOO_BIG.
int nats_url_parse(const char *server, struct nats_url *ret_url) MUST_USE;
