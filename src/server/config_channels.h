// SPDX-License-Identifier: Apache-2.0
// What channels may hold: the blocks `store_limits` and `channels` of `streaming` (ST-C09…C15). Internal to server/.
#pragma once

#include "server/config_reader.h"

// Behind all files and flags: what rules and limits together refuse, with the place of `channels`.
int config_channels_check(struct config_reader *reader) MUST_USE;
// The rules in memory of another arena, before the files and the config's own arena go.
void config_channels_move(struct options *options, struct arena *strings);
// Are the rules of both the same?
bool config_channels_equal(const struct options *a, const struct options *b);
