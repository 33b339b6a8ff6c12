// SPDX-License-Identifier: Apache-2.0
// The end of the road for a broken invariant. Writes to standard error directly, because nothing that must() guards,
// the log included, can be trusted at that point.
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

void must_fail(const char *expression, const char *file, int line)
{
    fprintf(stderr, "must failed: %s %s:%d\n", expression, file, line);
    abort();
}
