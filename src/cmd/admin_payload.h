// SPDX-License-Identifier: Apache-2.0
// A message, as MSG.GET answers it, for people.
#pragma once

#include "cmd/admin_command.h"

// Fields, headers, payload; what could steer a terminal is escaped.
void admin_payload_show(const json_t *answer, FILE *out);
// The payload's bytes and nothing else.
void admin_payload_show_raw(const json_t *answer, FILE *out);
