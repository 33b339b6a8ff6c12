// SPDX-License-Identifier: Apache-2.0
// The config as its builder sees it.
#pragma once

#include <stdatomic.h>

#include "auth/auth_config.h"
#include "base/arena.h"
#include "base/map.h"

struct auth_config {
    atomic_uint refs;
    struct arena arena; // owns whatever the view points to
    struct auth_view view;
    struct map users;    // struct auth_user by name or nkey
    struct map accounts; // struct auth_account by name
    // All that ever changes: connections now, by index of account and of user.
    atomic_uint *account_connections;
    atomic_uint *user_connections;
};

// Empty, one reference.
struct auth_config *auth_config_new(void);
