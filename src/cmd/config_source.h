// SPDX-License-Identifier: Apache-2.0
// The files and the environment of this machine, for server/config.h.
#pragma once

#include "codec/conf.h"

// Stateless, static.
const struct conf_source *config_source_machine(void);
