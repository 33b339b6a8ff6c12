// SPDX-License-Identifier: Apache-2.0
// The last step of auth_builder_finish(): what each listener asks for, once users have their places. Errors stick to the builder.
#pragma once

#include "auth/auth_builder_internal.h"

// One user, a token or a list of users, outside of accounts: which of them counts would otherwise depend on what a client sends.
void auth_listeners_check(struct auth_builder *builder);
// Finds the no_auth_users, completes the websocket listener by the other one, and says what follows.
void auth_listeners_finish(struct auth_builder *builder);
