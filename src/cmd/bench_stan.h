// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bench_stan
// What the modes of `weir bench` on NATS Streaming share: message n goes to channel n modulo --channels.
#pragma once

#include "cmd/bench.h"
#include "cmd/stan_session.h"

enum { BENCH_STAN_CHANNEL_MAX = 320 }; // of a channel's name, with its NUL

// The channel of a message: --subject, or that and a number if there are several.
void bench_stan_channel(const struct bench *bench, uint64_t number, char ret[BENCH_STAN_CHANNEL_MAX]);
// A session under an id of this process. 0, or an exit status after saying why; then nothing needs closing.
int bench_stan_open(struct bench *bench, struct stan_session *session);
