// SPDX-License-Identifier: Apache-2.0
// What is wrong with the imports of a configuration as a whole (CO-S08): a mapping that makes no sense, an account that gets back
// what it gave away, a chain from account to account that is too long. auth_builder_finish() asks; nobody else needs to.
#pragma once

#include "auth/auth_config.h"
#include "base/error.h"

// Accounts that a request may pass through one after the other.
#define AUTH_CHAIN_MAX 16

struct auth_imports_error {
    uint32_t account; // index of the importing account
    uint32_t import;  // index into its imports
    const char *text; // what is wrong with it; static
};

// 0, or ERR_INVALID and the first import that must not be.
int auth_imports_check(const struct auth_view *view, struct auth_imports_error *ret_error) MUST_USE;
