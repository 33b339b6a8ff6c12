// SPDX-License-Identifier: Apache-2.0
// The files and the environment of this machine, for server/config.h.
#pragma once

#include "codec/conf.h"
#include "server/config.h"

// Stateless, static.
const struct conf_source *config_source_machine(void);

// "sha256:…" of what the file of -c says, as nats-server shows it.
#define CONFIG_SOURCE_DIGEST_SIZE 72
void config_source_digest(const struct config *config, char ret_digest[CONFIG_SOURCE_DIGEST_SIZE]);
