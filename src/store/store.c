// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include "base/memory.h"
#include "base/must.h"
#include "store/log.h"
#include "store/memory.h"
#include "store/parts.h"
#include "store/recovery.h"
#include "store/vault.h"

enum {
    MEMORY_CHUNK_MAX = 256 * 1024, // one message keeps all of its chunk alive
    MEMORY_CHUNK_MIN = 4096,
    DISK_CHUNK = 1024 * 1024,
    SPARE_CHUNKS = 4, // as many as one batch may need more of than the one before
};

static int check_options(const struct store_options *options, const struct disk *disk);
static struct store *make(const struct store_options *options, struct disk *disk, const struct store_handler *handler,
                          struct moment now);
static void destroy(struct store *store);

void store_options_default(struct store_options *options)
{
    *options = (struct store_options){
        .identity = BYTES("weir"),
        .sync = STORE_SYNC_ALWAYS,
        .sync_interval_ns = 1000000000,
        .log_bytes = 512ull << 20,
        .file_bytes = 64ull << 20,
        .first_file_bytes = 4ull << 20,
        .checkpoint_bytes = 128ull << 20,
        .cache_bytes = 32ull << 20,
        .inflight_bytes = 64ull << 20,
        .memory_bytes = 1ull << 30,
        .max_payload = 1u << 20,
    };
}

int store_open(const struct store_options *options, struct disk *disk, const struct store_handler *handler,
               struct moment now, struct store **ret_store)
{
    int error = check_options(options, disk);
    if (error)
        return error;
    struct store *store = make(options, disk, handler, now);
    *ret_store = store; // the handler needs it to index what is replayed
    if (!options->memory) {
        error = recovery_run(store);
        if (error) {
            *ret_store = NULL;
            destroy(store);
            return error;
        }
        if (options->sync != STORE_SYNC_ALWAYS)
            logger_write(store->logger, LOG_WARN,
                         "sync is \"%s\": messages are acknowledged before they are on stable storage, and the last of "
                         "them are lost when the machine or its power fails",
                         options->sync == STORE_SYNC_NEVER ? "never" : "interval");
    }
    return 0;
}

void store_quiesce(struct store *store)
{
    store->stopping = true;
    parts_quiesce(store->parts);
}

bool store_is_idle(const struct store *store)
{
    return !store->log || (!log_is_busy(store->log) && !parts_is_busy(store->parts));
}

void store_finish(struct store *store)
{
    store->stopping = true;
    must(store_is_idle(store));
    if (store->log && !store->context.failed && !store->finished) {
        int error = log_finish(store->log);
        if (error)
            logger_write(store->logger, LOG_ERROR, "cannot write the end of the log: %s", error_text(error));
    }
    store->finished = true;
}

void store_stop(struct store *store)
{
    store_finish(store);
    destroy(store);
}

int store_admit(const struct store *store, size_t size)
{
    return store->log ? log_admit(store, size, false) : memory_admit(store, size);
}

int store_admit_reserved(const struct store *store, size_t size)
{
    return store->log ? log_admit(store, size, true) : 0;
}

char *store_reserve(struct store *store, uint32_t shard, size_t size, uint64_t *ret_index)
{
    must(shard == STORE_SHARD && size >= RECORD_HEADER_SIZE && size <= UINT32_MAX / 2);
    return appender_reserve(&store->appender, size, ret_index);
}

uint64_t store_together(struct store *store, uint32_t shard, size_t size)
{
    must(shard == STORE_SHARD && size <= UINT32_MAX / 2);
    appender_together(&store->appender, size);
    return store->appender.last_index;
}

uint64_t store_last_index(const struct store *store, uint32_t shard)
{
    return store->appender.last_index;
}

uint64_t store_committed_index(const struct store *store, uint32_t shard)
{
    return store->log ? store->log->committed_index : store->memory_log->committed_index;
}

bool store_turn_end(struct store *store, struct moment now)
{
    store->context.now = now;
    store->appender.time_ns = now.wall_ns;
    if (!store->log)
        return memory_commit(store);
    appender_seal(&store->appender);
    log_step(store->log);
    prepare_step(&store->log->prepare);
    if (store->context.failed || store->stopping)
        return false;
    return parts_step(store->parts);
}

uint64_t store_next_deadline_ms(const struct store *store)
{
    if (!store->log || store->context.failed || store->stopping)
        return UINT64_MAX;
    uint64_t log = log_next_deadline_ms(store->log), parts = parts_next_deadline_ms(store->parts);
    return log < parts ? log : parts;
}

void store_stats_get(const struct store *store, struct store_stats *ret_stats)
{
    struct store_stats *stats = ret_stats;
    *stats = (struct store_stats){
        .failed = store->context.failed,
        .admitting = store_admit(store, RECORD_HEADER_SIZE) == 0,
        .ids_awaited = store->context.ids_awaited,
        .appended_index = store->appender.last_index,
        .committed_index = store_committed_index(store, STORE_SHARD),
        .inflight_bytes = store->appender.queued_bytes,
        .damaged_areas = store->context.damaged_areas,
    };
    parts_stats(store->parts, stats);
    if (!store->log) {
        stats->synced_index = stats->committed_index;
        stats->appended_bytes = stats->synced_bytes = store->memory_log->appended_bytes;
        return;
    }
    const struct log *log = store->log;
    stats->synced_index = log->synced_index;
    stats->appended_bytes = log->appended_bytes;
    stats->synced_bytes = log->synced_bytes;
    stats->batches = log->batches;
    stats->sync_ns_last = log->sync_ns_last;
    stats->sync_ns_total = log->sync_ns_total;
    stats->log_bytes = log->files_bytes;
    stats->free_bytes = log_free_bytes(log);
    list_foreach(link, &log->files) stats->log_files++;
}

const struct histogram *store_sync_times(const struct store *store)
{
    return store->log ? &store->log->sync_ns : NULL;
}

const struct histogram *store_batch_sizes(const struct store *store)
{
    return store->log ? &store->log->batch_bytes : NULL;
}

static int check_options(const struct store_options *options, const struct disk *disk)
{
    if (options->memory)
        return 0;
    must(disk);
    bool identity = options->identity.len >= 1 && options->identity.len <= LOG_FILE_IDENTITY_MAX;
    uint64_t least = 4ull * options->max_payload;
    if (identity && options->file_bytes >= least && options->first_file_bytes >= least &&
        options->first_file_bytes <= options->file_bytes && options->file_bytes % LOG_FILE_BLOCK == 0 &&
        options->first_file_bytes % LOG_FILE_BLOCK == 0 && options->first_file_bytes >= 4 * LOG_FILE_BLOCK)
        return 0;
    logger_write(options->logger, LOG_ERROR,
                 "store options: the cluster id has 1 to %d bytes; a log file holds at least four times max_payload "
                 "(%u bytes) and is a multiple of %d bytes",
                 LOG_FILE_IDENTITY_MAX, options->max_payload, LOG_FILE_BLOCK);
    return ERR_INVALID;
}

static struct store *make(const struct store_options *options, struct disk *disk, const struct store_handler *handler,
                          struct moment now)
{
    struct store *store = mem_alloc_zero(sizeof(*store));
    store->context.options = *options;
    must(options->identity.len <= sizeof(store->identity));
    if (options->identity.len)
        memcpy(store->identity, options->identity.ptr, options->identity.len);
    store->context.options.identity = bytes_make(store->identity, options->identity.len);
    store->context.disk = disk;
    store->context.block_bytes = LOG_FILE_BLOCK;
    if (options->encryption.key.len && !options->memory) {
        store->context.vault = vault_new(disk, &options->encryption, options->logger);
        store->context.disk = vault_disk(store->context.vault);
        store->context.block_bytes = vault_new_block(store->context.vault);
    }
    store->context.options.encryption = (struct store_encryption){0}; // the secrets are the caller's
    store->context.handler = *handler;
    store->context.now = now;
    store->logger = options->logger;
    size_t chunk_bytes = options->file_bytes < DISK_CHUNK ? options->file_bytes : DISK_CHUNK;
    if (options->memory) {
        uint64_t share = options->memory_bytes / 16;
        chunk_bytes = share > MEMORY_CHUNK_MAX ? MEMORY_CHUNK_MAX : share < MEMORY_CHUNK_MIN ? MEMORY_CHUNK_MIN : share;
        store->memory_log = memory_new(store);
    } else {
        store->log = log_new(store);
        store->context.log = log_make_view(store->log);
    }
    size_t entry_max = ENTRY_RECORDS_MAX;
    if (!options->memory && options->first_file_bytes / 4 < entry_max)
        entry_max = options->first_file_bytes / 4; // an entry never spans files
    chunk_spares_init(&store->context.spares, chunk_bytes, options->memory ? 0 : SPARE_CHUNKS);
    appender_init(&store->appender, &store->context.spares, entry_max, 0);
    store->appender.time_ns = now.wall_ns;
    store->parts = parts_new(&store->context);
    return store;
}

static void destroy(struct store *store)
{
    parts_free(store->parts);
    appender_deinit(&store->appender);
    if (store->log)
        log_free(store->log);
    if (store->memory_log)
        memory_free(store->memory_log);
    vault_free(store->context.vault);
    chunk_spares_deinit(&store->context.spares);
    mem_free(store);
}
