// SPDX-License-Identifier: Apache-2.0
// The files and the environment of this machine, for server/config.h.
#pragma once

#include "server/config.h"

// config_read() on this machine; then the files are forgotten, but for their digest, which is nats-server's of the same file.
int config_source_read(struct config *config, enum options_persona persona, int count, char *const *arguments,
                       char ret_message[CONFIG_MESSAGE_SIZE]) MUST_USE;

// A whole file. ERR_NOT_FOUND, ERR_PERMISSION, ERR_UNSUPPORTED (no file), ERR_TOO_BIG (for the buffer), ERR_IO.
int config_source_read_file(const char *path, struct buffer *content) MUST_USE;
