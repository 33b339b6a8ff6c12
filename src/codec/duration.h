// SPDX-License-Identifier: Apache-2.0
// Durations as Go programs write them ("1m30s", "250ms", "1.5h"), and as nats-server shows an uptime ("2d3h4m5s").
#pragma once

#include "base/bytes.h"
#include "base/error.h"

// Longest text of duration_format(), with its NUL.
#define DURATION_TEXT_SIZE 32

// A sequence of numbers with units (ns, us, µs, ms, s, m, h, d), all of them added; "0" needs no unit. No sign: nothing here
// waits backwards. ERR_INVALID for other text, ERR_TOO_BIG above max_ns.
int duration_parse(struct bytes text, uint64_t max_ns, uint64_t *ret_ns) MUST_USE;
// Whole seconds, in years (of 365 days), days, hours, minutes and seconds, from the first that is not 0 on.
void duration_format(uint64_t ns, char ret_text[DURATION_TEXT_SIZE]);
// As Go prints a duration: "514µs", "2.338848ms", "1m30.5s", "0s".
void duration_format_go(uint64_t ns, char ret_text[DURATION_TEXT_SIZE]);
