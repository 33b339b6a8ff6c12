// SPDX-License-Identifier: Apache-2.0
// Which files a NATS Streaming store has: a folder for each channel, in it the slices of its messages and its subscriptions.
#pragma once

#include "base/error.h"
#include "env/disk.h"

struct filestore_channel {
    struct bytes name; // of the folder, which is the channel's; NUL-terminated
    uint64_t *slices;  // owned: the numbers of msgs.N.dat, in order
    size_t slice_count;
    bool has_subs;
};

struct filestore_listing {
    char *names;                        // owned: those of the channels lie in it
    struct filestore_channel *channels; // owned, by name
    size_t count;
    bool has_clients;
    uint64_t bytes; // of all files that an import reads
};

// Reads with disk_run(). Errors of the disk: then there is nothing to free.
int filestore_listing_read(struct filestore_listing *listing, struct disk *disk) MUST_USE;
// Harmless on all zeroes.
void filestore_listing_deinit(struct filestore_listing *listing);
