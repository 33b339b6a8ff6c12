// SPDX-License-Identifier: Apache-2.0
// The files and the environment of this machine, for server/config.h. Also what -t says.
#pragma once

#include "codec/conf.h"
#include "server/config.h"

// Stateless, static.
const struct conf_source *config_source_machine(void);

// -t: looks at what the command line names and prints what is wrong, or that nothing is, to standard error as nats-server does.
// `program` is what it calls itself. Returns the exit code, 0 or 1.
int config_source_check(const char *program, enum options_persona persona, int count, char **arguments);
