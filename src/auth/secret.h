// SPDX-License-Identifier: Apache-2.0
// Comparing what a client sends with what the configuration says.
#pragma once

#include "auth/auth_config.h"

// Byte for byte, for kinds NONE (which equals nothing but no bytes) and PLAIN. The time depends on the length of `given` alone.
bool secret_equal(struct auth_secret secret, struct bytes given);
// Kind PLAIN, or BCRYPT for what looks like a hash of it.
enum auth_secret_kind secret_kind(struct bytes text);
// Of a bcrypt hash: 0 to 99; each is twice as slow as the one below.
int secret_cost(struct bytes hash);
// A hash of nobody's password that costs as much to compare as `hash` (a bcrypt one) does: SECRET_DECOY_LEN characters.
#define SECRET_DECOY_LEN 60
void secret_decoy(struct bytes hash, char ret_text[SECRET_DECOY_LEN]);
