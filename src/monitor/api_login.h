// SPDX-License-Identifier: Apache-2.0
// Who asks over HTTP (docs/admin-api.md, "HTTP"): the user of the `admin` block, who may do everything, or a user of NATS, who may what the
// permissions name. Hashes are compared by the offload, one at a time, and who was let in once is remembered, since dashboards ask every
// second. After API_LOGIN_WRONG_MAX wrong tries in a minute nobody else is looked at until it is over.
#pragma once

#include "auth/auth_config.h"
#include "broker/broker.h"
#include "env/clock.h"

struct api_login;

enum {
    API_LOGIN_WRONG_MAX = 20,
    API_LOGIN_WAITING_MAX = 16, // whose hashes are still to be compared; more are turned away
    API_LOGIN_TEXT_MAX = 1024,  // bytes of an Authorization field
};

struct api_login_options {
    struct broker *broker; // borrowed for life, as all of this: its users, crypto and offload
    const struct broker_options *broker_options;
    const char *admin_user, *admin_password; // NULL: nobody
};

enum api_login_verdict {
    API_LOGIN_REFUSED,
    API_LOGIN_BUSY, // try again later
    API_LOGIN_ALL,  // everything is allowed
    API_LOGIN_USER, // what `permissions` name
};

// Once. `permissions` (NULL: none are named) are borrowed for the call.
typedef void api_login_done(void *owner, enum api_login_verdict verdict, const struct auth_permissions *permissions);

struct api_login *api_login_new(const struct api_login_options *options);
// What the offload has must have come back.
void api_login_free(struct api_login *login);

// `authorization`: the field's value. Answers within the call, and gives NULL, or later: what it gives is for api_login_forget().
struct api_login_try *api_login_ask(struct api_login *login, struct bytes authorization, struct moment now,
                                    api_login_done *done, void *owner);
void api_login_forget(struct api_login_try *one);
