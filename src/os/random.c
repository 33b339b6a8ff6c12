// SPDX-License-Identifier: Apache-2.0
#include "os/random.h"

#include <stddef.h>
#include <sys/random.h>

#include "base/must.h"

static uint64_t random_next(void *owner)
{
    (void)owner;
    uint64_t value;
    // Eight bytes are never interrupted or cut short once the kernel's pool is ready, and getrandom() waits for that.
    must(getrandom(&value, sizeof(value), 0) == (ssize_t)sizeof(value));
    return value;
}

const struct random_source random_machine = {.owner = NULL, .next = random_next};
