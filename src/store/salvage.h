// SPDX-License-Identifier: Apache-2.0
// Looks into the records of an entry at recovery: are their kinds known, and, when the entry does not verify as a whole,
// which of its records do.
#pragma once

#include "store/store.h"

// ERR_NEWER (logged) when a kind that must be understood is not known; ERR_CORRUPT when the records do not fill the entry.
int salvage_check_kinds(struct bytes records, const struct logger *logger) MUST_USE;
// Calls `take` for each run of neighbouring records of a damaged entry that verify, as a view of that run.
// Stops at the first error of `take` and returns it.
int salvage_run(const struct entry_view *entry, int (*take)(void *owner, const struct entry_view *run), void *owner,
                uint32_t *ret_saved) MUST_USE;
// Of a kind, for people; "?" when it is not known.
const char *salvage_kind_name(uint16_t kind);
