// SPDX-License-Identifier: Apache-2.0
// must(cond): the assertion for what cannot happen. Always compiled in, in release builds too: a server that has lost
// its invariants must stop before it writes them down. Expected failures are ERR_* (base/error.h), never must().
#pragma once

// Prints "must failed: <expression> <file>:<line>" to standard error and aborts (the core dump has the trace).
_Noreturn void must_fail(const char *expression, const char *file, int line) __attribute__((cold));

// The condition is evaluated exactly once; it must have no side effects a reader would miss.
#define must(condition) (__builtin_expect(!!(condition), 1) ? (void)0 : must_fail(#condition, __FILE__, __LINE__))
