// SPDX-License-Identifier: Apache-2.0
// The machine's clocks (env/clock.h). Any thread.
#pragma once

#include "env/clock.h"

// Both clocks, read one after the other.
struct moment clock_now(void);
// The monotonic clock alone, for durations.
uint64_t clock_mono_ns(void);
