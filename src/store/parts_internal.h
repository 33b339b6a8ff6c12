// SPDX-License-Identifier: Apache-2.0
// The members of `struct parts`, for parts.c and read_api.c.
#pragma once

#include "store/checkpoint.h"
#include "store/index.h"
#include "store/reader.h"
#include "store/rollover.h"
#include "store/saved_ids.h"
#include "store/segment_set.h"
#include "store/sidecar_writer.h"
#include "store/tail.h"

struct parts {
    struct store_context *context; // borrowed
    struct index index;
    struct tail tail;
    struct segment_set segments;
    struct reader reader;
    struct checkpoint checkpoint;
    struct rollover rollover;
    struct sidecar_writer sidecars;
    struct saved_ids ids;
};
