// SPDX-License-Identifier: Apache-2.0
// The real cryptography (env/crypto.h): OpenSSL, and libcrypt for bcrypt.
#pragma once

#include "env/crypto.h"

// Static, any thread.
extern const struct crypto crypto_machine;
