// SPDX-License-Identifier: Apache-2.0
// Brings a NATS Streaming file store into a shard (section 6 of the reference, IM-01 … IM-22): everything that the old server would
// have recovered from it. The store is read with disk_run() through a disk of its own and never written; memory does not grow with
// its messages. What the shard takes counts when it is durable there, so whoever runs an import begins with an empty directory and
// throws it away if the import fails.
//
//   importer_open ──► importer_begin ──► importer_step* ──► importer_free
//
// Damage is told with file and offset. Then the import ends, or (keep_going) goes on behind it; nothing is passed over silently.
#pragma once

#include "env/crypto.h"
#include "env/disk.h"
#include "env/log.h"
#include "stan/import/seed.h"

struct importer;

struct importer_options {
    struct disk *source;         // borrowed for life
    const struct crypto *crypto; // borrowed for life
    struct bytes
        cluster_id; // with keep_going, what it is if a damaged or missing server.dat does not say; copied; len 0: then it ends
    struct bytes key;            // of an encrypted store; copied nowhere but as a digest; len 0: none
    const char *key_hint;        // static: how people give it, for the text that says it is needed; NULL: nothing
    bool may_be_encrypted;       // without a key, a channel whose messages all look so is a problem
    bool check_crc;              // false: the store was run with `crc: false`
    uint32_t crc_polynomial;     // FILESTORE_CRC_IEEE
    bool keep_going;             // past damage
    uint32_t message_max;        // bytes of a message: what the shard's log takes; 8 MiB
    bool truncate_bad_eof;       // a file that ends within a record ends before it: told, no damage
    const struct logger *logger; // borrowed for life; problems are warnings, what ends the import is an error
};

void importer_options_default(struct importer_options *options);

struct importer_stats {
    uint64_t channels, messages, message_bytes; // bytes: of payloads
    uint64_t decrypted;                         // messages that were encrypted
    uint64_t missing;                           // sequences that a channel does not have between its first and its last
    struct seed_counts seed;
    uint64_t problems;                // that were passed over
    uint64_t bytes_read, bytes_total; // of files
    bool other_subjects; // clients were told subjects that are not those of this cluster id: they must start anew
    bool clustered;      // it was a node of a cluster: its subscriptions are elsewhere (IM-22)
};

// Looks at the store: its server.dat, and what files there are. ERR_NOT_FOUND: no store; ERR_UNSUPPORTED: another kind of it;
// ERR_CORRUPT: server.dat is damaged, or missing where there are clients or messages; errors of the disk. Each is logged with what to do.
int importer_open(const struct importer_options *options, struct importer **ret_importer) MUST_USE;
void importer_free(struct importer *importer);
// Of the old server. Borrowed.
struct bytes importer_cluster_id(const struct importer *importer);
// Where to, before the first step; the shard is open and serves nobody. NULL: nowhere, only to look.
void importer_begin(struct importer *importer, struct stan *stan);
// Within a turn: goes on for about `budget` bytes. 1: there is more; 0: everything is proposed, and durable as soon as the shard's log
// is; ERR_AGAIN: the log takes no more now, another turn; any other error: it has ended, and why was logged, but for
// ERR_NO_SPACE of the shard.
int importer_step(struct importer *importer, struct engine_time now, size_t budget) MUST_USE;
void importer_stats_get(const struct importer *importer, struct importer_stats *ret_stats);
