// SPDX-License-Identifier: Apache-2.0
// Who may connect and do what: `authorization` and `accounts` (CO-S02…S08), into the config's auth builder.
#pragma once

#include "server/config_reader.h"

// For the table of the server's keys; the targets are unused.
int config_account_read_authorization(struct config_reader *reader, const struct conf_member *member,
                                      void *target) MUST_USE;
int config_account_read_all(struct config_reader *reader, const struct conf_member *member, void *target) MUST_USE;
