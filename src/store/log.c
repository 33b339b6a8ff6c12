// SPDX-License-Identifier: Apache-2.0
#include "store/log.h"

#include "base/memory.h"
#include "base/must.h"
#include "store/parts.h"
#include "store/vault.h"

enum {
    YOUNG_SHARE = 64, // of its first file: so much of it is in a young log before spares are made
};

static uint64_t usable_bytes(const struct log *log, uint64_t need);
static bool start_batch(struct log *log, size_t first);
static bool has_room(const struct log *log, uint64_t length);
static bool roll(struct log *log);
static bool take_next(struct log *log, struct log_file *next);
static void gather(struct log *log, size_t first);
static void add_span(struct log *log, struct chunk *chunk, char *ptr, size_t len);
static void encode_file_header(struct log *log);
static void fill_request(struct log *log);
static int finish_batch(struct log *log);
static int finish_sync(struct log *log);
static int finish_file(struct log *log);
static void on_written(struct disk_request *request);
static void take_batch(struct log *log);
static void advance(struct log *log);
static void count_sync(struct log *log, uint64_t duration_ns);
static void apply_entries(struct log *log, uint64_t file, uint64_t position, size_t count);
static void refuse(struct log *log, int error);
static void fail(struct log *log, const char *what, int error);
static void start_sync(struct log *log);
static void on_synced(struct disk_request *request);
static void tell_admitting(struct log *log);

struct log *log_new(struct store *store)
{
    struct log *log = mem_alloc_zero(sizeof(*log));
    log->store = store;
    list_init(&log->files);
    prepare_init(&log->prepare, store);
    return log;
}

void log_free(struct log *log)
{
    must(!log_is_busy(log));
    prepare_deinit(&log->prepare);
    struct list *link;
    while ((link = list_pop_front(&log->files))) {
        struct log_file *file = container_of(link, struct log_file, link);
        struct disk_request close = {.op = DISK_CLOSE, .file = file->file};
        disk_run(log->store->context.disk, &close);
        mem_free(file);
    }
    mem_free(log);
}

void log_start(struct log *log, struct log_file *current, uint64_t last_index)
{
    log->current = current;
    log->begun = true;
    log->position = current->valid;
    log->committed_index = log->applied_index = log->synced_index = last_index;
    log->synced_file = current->id;
    log->synced_position = current->valid;
    list_foreach(link, &log->files) log->files_bytes += container_of(link, struct log_file, link)->size;
}

int log_admit(const struct store *store, size_t size, bool reserved)
{
    struct log *log = store->log;
    if (log->state == LOG_FAILED)
        return ERR_FAILED;
    uint64_t queued = store->appender.queued_bytes;
    uint64_t need = queued + size + size / 4 + LOG_ADMIT_SLACK;
    uint64_t rest = log->current->size - log->position;
    // What is appended may have to be copied by the next recovery, even if there is nothing else.
    uint64_t kept = reserved ? need : prepare_reserve(&log->prepare);
    int error = 0;
    if (!reserved && (queued + size > store->context.options.inflight_bytes || parts_is_behind(store->parts)))
        error = ERR_AGAIN;
    else if (rest < need + kept && usable_bytes(log, need) < need + kept) {
        log->prepare.wanted = true;
        error = store->context.starved ? ERR_NO_SPACE : reserved ? 0 : ERR_AGAIN;
    }
    log->was_refused |= error != 0;
    return error;
}

void log_step(struct log *log)
{
    struct store *store = log->store;
    if (log->state == LOG_FAILED)
        return;
    if (log->state != LOG_WRITING && store->appender.count)
        start_batch(log, 0);
    bool unsynced = log->committed_index > log->synced_index;
    bool due = store->context.options.sync == STORE_SYNC_INTERVAL &&
               moment_mono_ms(store->context.now) >= log->sync_deadline_ms;
    if (unsynced && !log->syncing && store->context.options.sync != STORE_SYNC_ALWAYS && (log->sync_wanted || due))
        start_sync(log);
    if (log->was_refused)
        tell_admitting(log);
}

void log_resume(struct log *log)
{
    if (log->state == LOG_ROLLING)
        start_batch(log, 0);
    if (log->was_refused)
        tell_admitting(log);
}

uint64_t log_free_bytes(const struct log *log)
{
    uint64_t headers = log->prepare.spare_count * LOG_FILE_BLOCK;
    return log->current->size - log->position + log->prepare.spare_bytes - headers;
}

uint64_t log_next_deadline_ms(const struct log *log)
{
    uint64_t deadline = prepare_next_deadline_ms(&log->prepare);
    bool interval = log->store->context.options.sync == STORE_SYNC_INTERVAL;
    if (interval && log->committed_index > log->synced_index && !log->syncing && log->sync_deadline_ms < deadline)
        deadline = log->sync_deadline_ms;
    return deadline;
}

bool log_is_busy(const struct log *log)
{
    return log->state == LOG_WRITING || log->syncing || log->prepare.job != PREPARE_NOTHING;
}

int log_finish(struct log *log)
{
    struct store *store = log->store;
    appender_seal(&store->appender);
    while (store->appender.count) {
        int error = has_room(log, appender_at(&store->appender, 0)->length) ? 0 : finish_file(log);
        if (!error)
            error = finish_batch(log);
        if (error)
            return error;
    }
    int error = finish_sync(log);
    bool proof = log->begun && log->position + LOG_FILE_BLOCK <= log->current->size;
    return error || !proof ? error : finish_batch(log);
}

// Where `need` bytes of entries can go for sure: what does not fit into the rest of a file begins the next.
static uint64_t usable_bytes(const struct log *log, uint64_t need)
{
    const struct prepare *prepare = &log->prepare;
    uint64_t rest = log->current->size - log->position;
    uint64_t largest = log->store->appender.entry_max + ENTRY_HEADER_SIZE;
    uint64_t lost = prepare->spare_count * LOG_FILE_BLOCK;
    if (log->store->context.options.max_payload > largest)
        largest = log->store->context.options.max_payload;
    if (prepare->spare_count > 1)
        lost += (prepare->spare_count - 1) * largest;
    uint64_t spares = prepare->spare_bytes > lost ? prepare->spare_bytes - lost : 0;
    return rest >= need ? rest + spares : spares;
}

// Begins a batch with the queue's entries from `first` on (those before are being applied). False when it has to wait.
static bool start_batch(struct log *log, size_t first)
{
    struct store *store = log->store;
    must(log->state != LOG_WRITING);
    log->state = LOG_IDLE;
    if (first >= store->appender.count)
        return false;
    if (!has_room(log, appender_at(&store->appender, first)->length) && !roll(log)) {
        log->state = LOG_ROLLING;
        prepare_step(&log->prepare);
        return false;
    }
    gather(log, first);
    fill_request(log);
    log->state = LOG_WRITING;
    log->batches++;
    disk_submit(store->context.disk, DISK_LOG, &log->write);
    return true;
}

static bool has_room(const struct log *log, uint64_t length)
{
    return log->position + batch_padded(BATCH_HEADER_SIZE + length, log->current->block_bytes) <= log->current->size;
}

// Makes a spare the current file, whose header goes out with its first batch. False: not yet.
static bool roll(struct log *log)
{
    if (log->synced_file != log->current->id || log->synced_position != log->position) {
        if (!log->syncing)
            start_sync(log);
        return false;
    }
    return take_next(log, prepare_take(&log->prepare));
}

static bool take_next(struct log *log, struct log_file *next)
{
    if (!next)
        return false;
    list_push_back(&log->files, &next->link);
    log->files_bytes += next->size;
    log->current = next;
    log->begun = false;
    log->position = LOG_FILE_BLOCK;
    return true;
}

// Lays the batch out: which entries, at which positions, in which pieces of memory. With no entries it only proves.
static void gather(struct log *log, size_t first)
{
    struct appender *appender = &log->store->appender;
    uint64_t position = log->position + BATCH_HEADER_SIZE;
    log->span_count = 0;
    log->batch_entries = 0;
    log->batch_index = log->committed_index;
    if (!log->begun) {
        encode_file_header(log);
        add_span(log, NULL, log->file_header, LOG_FILE_BLOCK);
    }
    add_span(log, NULL, log->batch_header, BATCH_HEADER_SIZE);
    for (size_t i = first; i < appender->count; i++) {
        struct appender_entry *entry = appender_at(appender, i);
        uint64_t end = position + entry->length - log->position;
        bool fits = batch_padded(end, log->current->block_bytes) <= log->current->size - log->position;
        bool enough =
            end > LOG_BATCH_MAX || log->span_count + 2 > LOG_SPANS_MAX || log->batch_entries == LOG_BATCH_ENTRIES_MAX;
        if (!fits || (enough && log->batch_entries))
            break;
        char *header = entry->chunk->data + entry->offset;
        entry_place(header, log->current->id, position);
        add_span(log, entry->chunk, header, entry->length);
        position += entry->length;
        log->batch_entries++;
        log->batch_index = entry->index;
    }
    struct batch_header header = {
        .length = (uint32_t)(position - log->position),
        .count = (uint32_t)log->batch_entries,
        .file = log->current->id,
        .position = log->position,
        .synced_file = log->synced_file,
        .synced_position = log->synced_position,
    };
    batch_encode(log->batch_header, &header);
    log->batch_position = log->position;
    log->batch_end = log->position + batch_padded(header.length, log->current->block_bytes);
    add_span(log, NULL, log->zeros, log->batch_end - position);
}

// Neighbours in one chunk become one span.
static void add_span(struct log *log, struct chunk *chunk, char *ptr, size_t len)
{
    struct disk_span *last = log->span_count ? &log->spans[log->span_count - 1] : NULL;
    if (last && chunk && log->span_chunks[log->span_count - 1] == chunk && last->ptr + last->len == ptr) {
        last->len += len;
        return;
    }
    if (len == 0)
        return;
    must(log->span_count < LOG_SPANS_MAX);
    log->span_chunks[log->span_count] = chunk;
    log->spans[log->span_count++] = (struct disk_span){.ptr = ptr, .len = len};
}

static void encode_file_header(struct log *log)
{
    const struct store *store = log->store;
    const struct log_file *previous = container_of(log->current->link.prev, struct log_file, link);
    bool first = log->current->link.prev == &log->files;
    struct log_file_header header = {
        .id = log->current->id,
        .previous_id = first ? 0 : previous->id,
        .previous_valid = first ? 0 : previous->valid,
        .created_ns = store->context.now.wall_ns,
        .feature_level = LOG_FILE_FEATURE_LEVEL,
        .mark = vault_mark(store->context.vault),
        .identity = store->context.options.identity,
        .shard_count = 1,
        .shards = {{.shard = STORE_SHARD, .last_index = log->committed_index, .commit_index = log->committed_index}},
    };
    log_file_encode(&header, log->file_header);
    log->current->header_check = log_file_check(log->file_header);
    log->current->sound = true;
}

static void fill_request(struct log *log)
{
    log->write = (struct disk_request){
        .op = DISK_WRITE,
        .file = log->current->file,
        .offset = log->begun ? log->position : 0,
        .spans = log->spans,
        .span_count = log->span_count,
        .flags = log->store->context.options.sync == STORE_SYNC_ALWAYS ? DISK_FLAG_SYNC : 0,
        .done = on_written,
    };
}

// The end of the log's life, with disk_run: a batch; the sync of what was written; the change to the next file.
static int finish_batch(struct log *log)
{
    gather(log, 0);
    fill_request(log);
    log->write.flags = DISK_FLAG_SYNC;
    int error = disk_run(log->store->context.disk, &log->write);
    if (error)
        return error;
    advance(log);
    for (size_t i = 0; i < log->batch_entries; i++)
        chunk_unref(appender_pop(&log->store->appender).chunk);
    log->synced_file = log->current->id;
    log->synced_position = log->position;
    return 0;
}

static int finish_sync(struct log *log)
{
    struct disk_request sync = {.op = DISK_SYNC, .file = log->current->file};
    int error = disk_run(log->store->context.disk, &sync);
    if (error)
        return error;
    log->synced_file = log->current->id;
    log->synced_position = log->position;
    return 0;
}

static int finish_file(struct log *log)
{
    int error = finish_sync(log);
    if (error)
        return error;
    return take_next(log, prepare_make_now(&log->prepare)) ? 0 : ERR_NO_SPACE;
}

static void on_written(struct disk_request *request)
{
    struct log *log = container_of(request, struct log, write);
    must(log->state == LOG_WRITING);
    log->state = LOG_IDLE;
    if (log->store->context.failed) { // meanwhile, by a sync
        log->state = LOG_FAILED;
        appender_drop(&log->store->appender, 0, log->committed_index);
        return;
    }
    if (request->result == ERR_NO_SPACE) {
        refuse(log, ERR_NO_SPACE);
        return;
    }
    if (request->result) {
        fail(log, "writing the log", request->result);
        return;
    }
    uint64_t file = log->current->id, position = log->batch_position + BATCH_HEADER_SIZE;
    size_t count = log->batch_entries;
    take_batch(log);
    start_batch(log, count); // before the work on this one, so that the disk does not wait for it
    apply_entries(log, file, position, count);
    log->prepare.wanted |= log->position > LOG_FILE_BLOCK + log->store->context.options.first_file_bytes / YOUNG_SHARE;
    prepare_step(&log->prepare);
    log_step(log);
}

// The batch is durable (or written, if that is all that is asked for).
static void take_batch(struct log *log)
{
    struct store *store = log->store;
    struct log_file *current = log->current;
    uint64_t at = log->batch_position - (log->begun ? 0 : LOG_FILE_BLOCK);
    for (size_t i = 0; i < log->span_count; i++) {
        struct bytes bytes = bytes_make(log->spans[i].ptr, log->spans[i].len);
        if (log->span_chunks[i])
            parts_add_durable(store->parts, current->id, at, bytes, log->span_chunks[i]);
        at += bytes.len;
    }
    advance(log);
    if (store->context.options.sync == STORE_SYNC_ALWAYS) {
        log->synced_bytes = log->appended_bytes;
        log->synced_index = log->batch_index;
        log->synced_file = current->id;
        log->synced_position = log->position;
        count_sync(log, log->write.duration_ns);
    }
}

// The current file now ends behind the batch.
static void advance(struct log *log)
{
    log->begun = true;
    log->appended_bytes += log->batch_end - log->batch_position;
    histogram_record(&log->batch_bytes, log->batch_end - log->batch_position);
    log->position = log->current->valid = log->batch_end;
    if (log->batch_entries) {
        if (!log->current->first_index)
            log->current->first_index = appender_at(&log->store->appender, 0)->index;
        log->current->last_index = log->batch_index;
    }
    log->committed_index = log->batch_index;
}

static void count_sync(struct log *log, uint64_t duration_ns)
{
    log->sync_ns_last = duration_ns;
    log->sync_ns_total += duration_ns;
    histogram_record(&log->sync_ns, duration_ns);
}

static void apply_entries(struct log *log, uint64_t file, uint64_t position, size_t count)
{
    struct store *store = log->store;
    const struct store_handler *handler = &store->context.handler;
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        struct appender_entry entry = appender_pop(&store->appender);
        struct entry_view view = appender_view(&entry, file, position);
        position += entry.length;
        last = log->applied_index = entry.index;
        handler->apply(handler->owner, &view);
        chunk_unref(entry.chunk);
    }
    if (count)
        handler->committed(handler->owner, last);
}

// Nothing of the batch is durable: it and all that depends on it is given back.
static void refuse(struct log *log, int error)
{
    struct store *store = log->store;
    appender_drop(&store->appender, 0, log->committed_index);
    prepare_set_full(&log->prepare);
    log->was_refused = true;
    store->context.handler.refused(store->context.handler.owner, log->committed_index, error);
}

static void fail(struct log *log, const char *what, int error)
{
    struct store *store = log->store;
    if (store->context.failed)
        return;
    logger_write(store->logger, LOG_ERROR,
                 "%s failed: %s. Nothing more is acknowledged, because what the disk holds is unknown; what was "
                 "acknowledged before is safe. Repair the disk and restart",
                 what, error_text(error));
    store->context.failed = true;
    if (log->state != LOG_WRITING) {
        log->state = LOG_FAILED;
        appender_drop(&store->appender, 0, log->committed_index);
    }
    store->context.handler.refused(store->context.handler.owner, log->committed_index, error);
}

// Modes without sync: proves everything written so far.
static void start_sync(struct log *log)
{
    log->syncing = true;
    log->sync_wanted = false;
    log->sync_position = log->position;
    log->sync_index = log->committed_index;
    log->sync_bytes = log->appended_bytes;
    log->sync_file = log->current->id;
    log->sync = (struct disk_request){.op = DISK_SYNC, .file = log->current->file, .done = on_synced};
    disk_submit(log->store->context.disk, DISK_POOL, &log->sync);
}

static void on_synced(struct disk_request *request)
{
    struct log *log = container_of(request, struct log, sync);
    struct store *store = log->store;
    log->syncing = false;
    if (store->context.failed)
        return;
    if (request->result) {
        fail(log, "syncing the log", request->result);
        return;
    }
    log->synced_file = log->sync_file;
    log->synced_position = log->sync_position;
    log->synced_index = log->sync_index;
    log->synced_bytes = log->sync_bytes;
    count_sync(log, request->duration_ns);
    log->sync_deadline_ms = moment_mono_ms(store->context.now) + store->context.options.sync_interval_ns / 1000000;
    if (log->state == LOG_ROLLING)
        start_batch(log, 0);
}

static void tell_admitting(struct log *log)
{
    const struct store *store = log->store;
    log->was_refused = false;
    if (store->appender.queued_bytes > store->context.options.inflight_bytes / 2 ||
        log_admit(store, store->context.starved ? 0 : store->context.options.max_payload, false) != 0) {
        log->was_refused = true;
        return;
    }
    store->context.handler.admitting(store->context.handler.owner);
}
