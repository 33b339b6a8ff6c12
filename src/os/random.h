// SPDX-License-Identifier: Apache-2.0
// The machine's randomness (env/random.h), from the kernel.
#pragma once

#include "env/random.h"

// 64 bits a call, unpredictable. Static, any thread, no owner.
extern const struct random_source random_machine;
