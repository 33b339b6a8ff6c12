// SPDX-License-Identifier: Apache-2.0
// The `streaming` block (ST-C01…C46), of -sc files too.
#pragma once

#include "server/config_reader.h"

// `streaming { … }` turns NATS Streaming on, `streaming: false` off. Target: unused.
int config_streaming_read(struct config_reader *reader, const struct conf_member *member, void *target) MUST_USE;
