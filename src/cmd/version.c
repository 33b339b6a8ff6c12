// SPDX-License-Identifier: Apache-2.0
// `weir version`: ours, and the protocol's that clients look at.
#include <stdio.h>

#include "cmd/commands.h"
#include "cmd/persona.h"

int version_run(int count, char **arguments)
{
    (void)arguments;
    if (count > 0) {
        fputs("weir version: takes no arguments\n", stderr);
        return 2;
    }
    persona_print_version(OPTIONS_WEIR);
    return 0;
}

void version_help(void)
{
    puts("usage: weir version\n\nPrints Weir's version, and the nats-server version whose client protocol it meets.");
}
