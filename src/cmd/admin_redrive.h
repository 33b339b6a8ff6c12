// SPDX-License-Identifier: Apache-2.0
// Waits for a redrive that was begun, with a line of progress on a terminal.
#pragma once

#include "cmd/admin_command.h"

// Of DLQ.REDRIVE's answer. Interrupting ends the waiting, not the redrive. The exit status.
int admin_redrive_follow(struct admin_link *link, const json_t *answer);
