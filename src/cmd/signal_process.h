// SPDX-License-Identifier: Apache-2.0
// `-sl SIGNAL[=PID]` (CO-X01): what an operator asks of a running server, as a signal to it.
//
//   ldm SIGUSR2 · stop SIGKILL · quit SIGINT · term SIGTERM · reopen SIGUSR1 · reload SIGHUP
#pragma once

// `text` is the value of -sl; PID is a number or the path of a pid file. Without it the one process that was called `program` is
// meant. Returns the exit code; says what is wrong, in nats-server's words, on standard error.
int signal_process(const char *program, const char *text);
