// SPDX-License-Identifier: Apache-2.0
// One request after the other to a server's admin API (docs/admin-api.md), on the commands' client.
//
// admin_link_open ──► admin_link_ask … ──► admin_link_close
#pragma once

#include <jansson.h>

#include "cmd/client.h"

enum { ADMIN_LINK_ERROR_SIZE = CLIENT_ERROR_MAX + 256, ADMIN_LINK_INBOX_SIZE = 64 };

struct admin_link {
    struct client client;
    char inbox[ADMIN_LINK_INBOX_SIZE]; // answers come to inbox.<number>
    uint64_t asked;                    // the number of the last request; an answer to another one is too late
    json_t *answer;                    // of it; NULL: not there yet
    bool nobody;                       // nobody listens
    bool refused;                      // it, or to hear the answer, is not permitted: client.error
    char error[ADMIN_LINK_ERROR_SIZE]; // why the last call failed, for people
};

// Options, and `command` as the connection's name, are borrowed during the call. 0, or ERR_* with link->error; then nothing needs closing.
int admin_link_open(struct admin_link *link, const struct client_options *options, const char *command) MUST_USE;
void admin_link_close(struct admin_link *link);

// `request`: behind "$WEIR.API.V1.", such as "CHANNEL.LIST". The answer is the caller's (json_decref). NULL with link->error: no answer, or
// one that is an error.
json_t *admin_link_ask(struct admin_link *link, const char *request, const json_t *body, int timeout_ms) MUST_USE;
