// SPDX-License-Identifier: Apache-2.0
// What a copied message says about where it comes from: header fields that stay with it at the new server, and an id by which that
// server knows a message that is published twice. Pure.
//
//   Weir-Bridge-Cluster    the old server's cluster id
//   Weir-Bridge-Sequence   the message's number there
//   Weir-Bridge-Time       when it was published there, RFC 3339
//   Weir-Bridge-Epoch      how often the channel had begun anew there; left out while it never had
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "wire/headers.h"

enum { BRIDGE_MARK_CLUSTER_MAX = 128, BRIDGE_MARK_GUID_SIZE = 256, BRIDGE_MARK_FIELDS_SIZE = 512 };

struct bridge_mark {
    struct bytes cluster; // at most BRIDGE_MARK_CLUSTER_MAX bytes
    uint64_t epoch, sequence, time_ns;
};

// The message's own fields, but for such marks, and then this one. `room` takes twice the bytes of `own` and BRIDGE_MARK_FIELDS_SIZE. A
// block of its own that cannot be read is left out: nobody else can read it either.
struct bytes bridge_mark_encode(const struct bridge_mark *mark, struct bytes own, char *room, size_t size);
// ERR_NOT_FOUND: the block has no mark, or one of another cluster, or one that makes no sense.
int bridge_mark_decode(struct bytes block, struct bytes cluster, struct bridge_mark *ret_mark) MUST_USE;

// The same for the same message in every run.
struct bytes bridge_mark_guid(const struct bridge_mark *mark, char ret_guid[BRIDGE_MARK_GUID_SIZE]);
// ERR_INVALID: none of ours.
int bridge_mark_read_guid(struct bytes guid, uint64_t *ret_epoch, uint64_t *ret_sequence) MUST_USE;
