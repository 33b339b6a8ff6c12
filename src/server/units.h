// SPDX-License-Identifier: Apache-2.0
// What tables of flags and keys count in: bytes and nanoseconds.
#pragma once

#define KIB 1024LL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define MS     1000000LL
#define SECOND (1000 * MS)
#define DAY    (86400 * SECOND)
