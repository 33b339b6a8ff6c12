// SPDX-License-Identifier: Apache-2.0
// Users and permissions, as authorization and accounts both have them (CO-S02, S03, S06).
#pragma once

#include "server/config_reader.h"

// An array of users, all of `account` ("" is $G), into the config's auth builder.
int config_user_read_all(struct config_reader *reader, const struct conf_member *member, struct bytes account) MUST_USE;
// A map of permissions. What it points to lives as long as the config.
int config_user_read_permissions(struct config_reader *reader, const struct conf_member *member,
                                 struct auth_permissions_spec *ret_permissions) MUST_USE;
