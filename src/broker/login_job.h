// SPDX-License-Identifier: Apache-2.0
// A password on its way to be compared with a bcrypt hash: at most BROKER_LOGINS_RUNNING_MAX of a broker are with the offload,
// the others wait in the order of their coming. A connection has at most one, so there are never more than connections.
#pragma once

#include "auth/login.h"
#include "broker/broker_internal.h"
#include "env/offload.h"

struct login_job {
    struct offload_job offload;
    struct list link; // list link: broker.logins, while it waits
    struct broker *broker;
    struct connection *connection;  // borrowed; NULL: it is gone
    struct auth_config *auth;       // owned reference: what the decision is of
    struct login_decision decision; // `given` is of text
    struct bytes user;              // of text: for the log
    bool matched;
    char text[];
};

// The connection is CHECKING, and paused, until connection_login_end().
void login_job_begin(struct connection *connection, const struct login_decision *decision, struct bytes user);
// The connection goes.
void login_job_forget(struct login_job *job);
