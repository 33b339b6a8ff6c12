// SPDX-License-Identifier: Apache-2.0
// The clients of a NATS Streaming store, as clients.dat tells them (IM-02): a file of changes, whose replay is the state.
// tidy: prefix filestore
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "stan/import/filestore_frame.h"
#include "stan/import/filestore_record.h"

struct filestore_registered {
    struct filestore_client client; // its texts lie in `storage`
    char *storage;                  // owned
    uint32_t number;                // for whoever imports; 0: not imported
    struct list link;               // filestore_clients.list
};

struct filestore_clients {
    struct map by_id;
    struct list list; // filestore_registered, in the order in which they came
};

void filestore_clients_init(struct filestore_clients *clients, size_t max);
void filestore_clients_deinit(struct filestore_clients *clients);
// Replays one record. ERR_PROTOCOL: its payload is none; ERR_UNSUPPORTED: a type nobody wrote yet; ERR_LIMIT.
int filestore_clients_apply(struct filestore_clients *clients, const struct filestore_frame *frame) MUST_USE;
// NULL: no such client.
struct filestore_registered *filestore_clients_find(const struct filestore_clients *clients, struct bytes id);
