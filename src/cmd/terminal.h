// SPDX-License-Identifier: Apache-2.0
// What comes from strangers, on a terminal: control characters cannot move the cursor or change its colours.
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"

// As it is but for control characters, which become "\x1b"; with `one_line` line feeds and tabs too.
void terminal_print(struct bytes text, bool one_line, FILE *out);
