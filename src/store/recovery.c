// SPDX-License-Identifier: Apache-2.0
#include "store/recovery.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "store/fresh_file.h"
#include "store/log.h"
#include "store/parts.h"
#include "store/salvage.h"
#include "store/survey.h"
#include "store/vault.h"

struct recovery {
    struct store *store; // borrowed
    struct survey survey;
    struct parts_loaded loaded;
    struct fresh_file fresh; // the new file, and the entries that go into it
    uint64_t first_index;    // of what was replayed; 0: nothing
    uint64_t last_index;     // of shard 1: the newest that counts
    bool gap_explained;      // damage was reported since the last entry that counts
    bool scanned;            // a file was scanned for what is derived from the log
};

static int check_keys(struct recovery *recovery);
static int make_folders(struct recovery *recovery);
static int replay_files(struct recovery *recovery);
static int replay_file(struct recovery *recovery, size_t i, struct log_file *file);
static bool take_sidecar(struct recovery *recovery, size_t i, struct log_file *file);
static int scan_file(struct recovery *recovery, size_t i, struct log_file *file);
static int take_item(struct recovery *recovery, size_t i, const struct scan_item *item, struct log_file *file);
static int replay_entry(struct recovery *recovery, const struct scan_item *item, struct log_file *file);
static int replay_view(void *owner, const struct entry_view *view);
static int salvage_entry(struct recovery *recovery, const struct scan_item *item, struct log_file *file);
static void note_index(struct recovery *recovery, const struct scan_item *item, struct log_file *file);
static void note_indexes(struct recovery *recovery, uint64_t first, uint64_t last, struct log_file *file);
static void report_gap(struct recovery *recovery, uint64_t first, uint64_t last);
static void report_area(struct recovery *recovery, uint64_t file, const struct scan_item *item);
static int replay_tail(struct recovery *recovery);
static void give_files(struct recovery *recovery);
static void remove_sidecars(struct recovery *recovery);

int recovery_run(struct store *store)
{
    struct recovery recovery = {.store = store};
    fresh_file_init(&recovery.fresh, store);
    struct log_file *current = NULL;
    int error = survey_open(&recovery.survey, store->context.disk, store->context.vault,
                            store->context.options.identity, false, store->logger);
    if (!error)
        error = check_keys(&recovery);
    if (!error)
        error = make_folders(&recovery);
    if (!error)
        error = parts_load(store->parts, recovery.survey.first_index, &recovery.loaded);
    if (!error)
        error = replay_files(&recovery);
    if (!error)
        error = fresh_file_make(&recovery.fresh, &recovery.survey, recovery.last_index, &current);
    if (!error)
        error = replay_tail(&recovery);
    if (!error) {
        parts_begin_file(store->parts, current->id);
        if (recovery.loaded.end > recovery.last_index) {
            report_gap(&recovery, recovery.last_index + 1, recovery.loaded.end);
            recovery.last_index = recovery.loaded.end;
            current->sound = false;
        }
        give_files(&recovery);
        remove_sidecars(&recovery);
        list_push_back(&store->log->files, &current->link);
        store->appender.last_index = recovery.last_index;
        log_start(store->log, current, recovery.last_index);
        if (recovery.fresh.starved)
            prepare_set_full(&store->log->prepare);
        parts_recovered(store->parts, recovery.first_index, recovery.last_index, store->context.damaged_areas > 0);
    } else if (current) {
        struct disk_request close = {.op = DISK_CLOSE, .file = current->file};
        disk_run(store->context.disk, &close);
        mem_free(current);
    }
    fresh_file_deinit(&recovery.fresh);
    survey_close(&recovery.survey);
    return error;
}

// Nothing is looked at in a directory that was never encrypted.
static int check_keys(struct recovery *recovery)
{
    const struct store_context *context = &recovery->store->context;
    bool needed = context->vault != NULL;
    for (size_t i = 0; i < recovery->survey.count; i++)
        needed |= recovery->survey.files[i].header_ok && recovery->survey.files[i].header.mark.key_id != 0;
    return needed ? vault_check_files(context->vault, context->disk, context->options.logger) : 0;
}

static int make_folders(struct recovery *recovery)
{
    static const char *const folders[] = {"shards", STORE_SEGMENT_FOLDER, STORE_CHECKPOINT_FOLDER, "wal"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        struct disk_request make = {.op = DISK_MKDIR, .path = folders[i]};
        int error = disk_run(recovery->store->context.disk, &make);
        if (error && error != ERR_EXISTS) {
            logger_write(recovery->store->logger, LOG_ERROR, "cannot create the folder %s: %s", folders[i],
                         error_text(error));
            return error;
        }
    }
    static const char *const parents[] = {"shards", "."};
    for (size_t i = 0; i < 2; i++) {
        struct disk_request sync = {.op = DISK_SYNC_DIR, .path = parents[i]};
        int error = disk_run(recovery->store->context.disk, &sync);
        if (error) {
            logger_write(recovery->store->logger, LOG_ERROR, "cannot sync the data directory: %s", error_text(error));
            return error;
        }
    }
    return 0;
}

// The files of which something counts go into the log's list; give_files() takes care of the others.
static int replay_files(struct recovery *recovery)
{
    int error = 0;
    for (size_t i = 0; !error && i < recovery->survey.count; i++) {
        struct survey_file *found = &recovery->survey.files[i];
        if (!found->begun || found->superseded)
            continue;
        struct log_file *file = mem_alloc_zero(sizeof(*file));
        *file = (struct log_file){
            .id = found->id, .size = found->size, .block_bytes = found->block_bytes, .sound = found->header_ok};
        file->header_check = log_file_check(found->block);
        list_init(&file->link);
        error = replay_file(recovery, i, file);
        bool counts = file->first_index != 0 || found->limit_known;
        struct survey_place mark = recovery->survey.mark;
        if (found->limit_known)
            file->valid = found->limit;
        else if (mark.file == found->id && mark.position > file->valid && mark.position <= found->limit)
            file->valid = mark.position;
        if (!error && counts) {
            file->file = found->file;
            found->file = NULL;
            list_push_back(&recovery->store->log->files, &file->link);
        } else {
            mem_free(file);
        }
    }
    return error;
}

static int replay_file(struct recovery *recovery, size_t i, struct log_file *file)
{
    const struct survey_file *found = &recovery->survey.files[i];
    if (!found->header_ok) {
        recovery->store->context.damaged_areas++;
        logger_write(recovery->store->logger, LOG_ERROR,
                     "damage: wal/%016llx.wal has no valid header; its entries are read nevertheless",
                     (unsigned long long)found->id);
    }
    return take_sidecar(recovery, i, file) ? 0 : scan_file(recovery, i, file);
}

// What the checkpoint covers is replayed only for the index and the ids: the sidecar has both. In order: ids from a file that was
// scanned cannot be followed by saved ones (dedupe.h).
static bool take_sidecar(struct recovery *recovery, size_t i, struct log_file *file)
{
    const struct sidecar_info *info = &recovery->survey.files[i].sidecar;
    if (!survey_is_whole(&recovery->survey, i) || info->last_index > recovery->loaded.covered || recovery->scanned)
        return false;
    if (info->last_index > recovery->loaded.rolled && !parts_load_sidecar(recovery->store->parts, info))
        return false;
    file->indexed = true;
    note_indexes(recovery, info->first_index, info->last_index, file);
    return true;
}

static int scan_file(struct recovery *recovery, size_t i, struct log_file *file)
{
    const struct survey_file *found = &recovery->survey.files[i];
    struct scan scan;
    scan_init(&scan, recovery->store->context.disk, found->file, found->id, found->block_bytes, found->limit);
    struct scan_item item = {.kind = SCAN_BAD};
    int error = 0;
    while (!error && item.kind != SCAN_END) {
        error = scan_next(&scan, &item);
        if (!error && item.kind != SCAN_BATCH)
            error = take_item(recovery, i, &item, file);
    }
    scan_deinit(&scan);
    return error;
}

static int take_item(struct recovery *recovery, size_t i, const struct scan_item *item, struct log_file *file)
{
    enum survey_verdict verdict = survey_judge(&recovery->survey, i, item);
    file->sound &= verdict == SURVEY_COUNTS || verdict == SURVEY_TAIL || verdict == SURVEY_NOTHING;
    if (verdict == SURVEY_NOTHING || verdict == SURVEY_VOID)
        return 0;
    if (item->kind != SCAN_ENTRY) {
        report_area(recovery, file->id, item);
        return 0;
    }
    if (item->entry.shard != STORE_SHARD) {
        logger_write(recovery->store->logger, LOG_ERROR,
                     "the log has entries of shard %u, which this version does not know", item->entry.shard);
        return ERR_NEWER;
    }
    if (verdict == SURVEY_TAIL) {
        note_index(recovery, item, NULL);
        int error = salvage_check_kinds(item->records, recovery->store->logger);
        recovery->survey.files[i].tail_end = batch_boundary(item->position + item->length, file->block_bytes);
        if (!error)
            fresh_file_add(&recovery->fresh, item);
        return error;
    }
    note_index(recovery, item, file);
    if (item->entry.index <= recovery->loaded.rolled)
        return 0;
    recovery->scanned = true;
    return verdict == SURVEY_DAMAGE ? salvage_entry(recovery, item, file) : replay_entry(recovery, item, file);
}

static struct entry_view view_of(const struct scan_item *item, uint64_t file)
{
    return (struct entry_view){
        .shard = item->entry.shard,
        .term = item->entry.term,
        .index = item->entry.index,
        .time_ns = item->entry.time_ns,
        .records = item->records,
        .chunk = item->chunk,
        .file = file,
        .offset = item->position + ENTRY_HEADER_SIZE,
    };
}

static int replay_entry(struct recovery *recovery, const struct scan_item *item, struct log_file *file)
{
    int error = salvage_check_kinds(item->records, recovery->store->logger);
    if (error == ERR_CORRUPT)
        return salvage_entry(recovery, item, file);
    if (error)
        return error;
    struct entry_view view = view_of(item, file->id);
    parts_add_durable(recovery->store->parts, file->id, view.offset, view.records, item->chunk);
    return replay_view(recovery, &view);
}

static int replay_view(void *owner, const struct entry_view *view)
{
    struct recovery *recovery = owner;
    const struct store_handler *handler = &recovery->store->context.handler;
    int error = handler->replay(handler->owner, view, view->index <= recovery->loaded.covered);
    if (error)
        logger_write(recovery->store->logger, LOG_ERROR, "entry %llu of the log is refused: %s",
                     (unsigned long long)view->index, error_text(error));
    return error;
}

// What of a damaged entry verifies record by record is served.
static int salvage_entry(struct recovery *recovery, const struct scan_item *item, struct log_file *file)
{
    struct store *store = recovery->store;
    struct entry_view view = view_of(item, file->id);
    uint32_t saved = 0;
    int error = salvage_run(&view, replay_view, recovery, &saved);
    if (error)
        return error;
    store->context.damaged_areas++;
    logger_write(
        store->logger, LOG_ERROR,
        "damage: wal/%016llx.wal at %llu: entry %llu of shard %u does not verify; %u of its %u records do and are "
        "served",
        (unsigned long long)file->id, (unsigned long long)item->position, (unsigned long long)item->entry.index,
        item->entry.shard, saved, item->entry.count);
    return 0;
}

// `file` is NULL for an entry that will be in the new one.
static void note_index(struct recovery *recovery, const struct scan_item *item, struct log_file *file)
{
    note_indexes(recovery, item->entry.index, item->entry.index, file);
    if (file)
        file->valid = batch_boundary(item->position + item->length, file->block_bytes);
}

static void note_indexes(struct recovery *recovery, uint64_t first, uint64_t last, struct log_file *file)
{
    uint64_t rolled =
        recovery->loaded.rolled; // a released file may come back at a crash: what is missing behind it is fine
    uint64_t expected = (recovery->last_index > rolled ? recovery->last_index : rolled) + 1;
    if (first > expected)
        report_gap(recovery, expected, first - 1);
    recovery->gap_explained = false;
    recovery->last_index = last;
    if (!recovery->first_index)
        recovery->first_index = first;
    if (!file)
        return;
    file->sound &= !file->first_index || first == file->last_index + 1;
    if (!file->first_index)
        file->first_index = first;
    file->last_index = last;
}

static void report_gap(struct recovery *recovery, uint64_t first, uint64_t last)
{
    struct store *store = recovery->store;
    store->context.damaged_areas += !recovery->gap_explained;
    logger_write(store->logger, LOG_ERROR, "damage: entries %llu to %llu of shard %d are missing; the rest is served",
                 (unsigned long long)first, (unsigned long long)last, STORE_SHARD);
}

static void report_area(struct recovery *recovery, uint64_t file, const struct scan_item *item)
{
    struct store *store = recovery->store;
    store->context.damaged_areas++;
    recovery->gap_explained = true;
    logger_write(store->logger, LOG_ERROR, "damage: wal/%016llx.wal at %llu: %llu bytes are not valid",
                 (unsigned long long)file, (unsigned long long)item->position, (unsigned long long)item->length);
}

// The entries that were copied into the new file, where they are now.
static int replay_tail(struct recovery *recovery)
{
    struct store *store = recovery->store;
    int error = 0;
    for (size_t i = 0; !error && i < recovery->fresh.count; i++) {
        struct entry_view view = recovery->fresh.entries[i];
        parts_add_durable(store->parts, view.file, view.offset, view.records, view.chunk);
        if (view.index > recovery->loaded.rolled)
            error = replay_view(recovery, &view);
    }
    return error;
}

// What is left in the survey holds nothing that counts: it may become a spare, under a new id.
static void give_files(struct recovery *recovery)
{
    struct prepare *prepare = &recovery->store->log->prepare;
    struct survey *survey = &recovery->survey;
    uint64_t most = recovery->store->context.options.file_bytes, largest = 0;
    for (size_t i = 0; i < survey->count; i++) {
        struct survey_file *found = &survey->files[i];
        largest = found->size > largest ? found->size : largest;
        if (!found->file)
            continue;
        struct log_file *file = mem_alloc_zero(sizeof(*file));
        *file = (struct log_file){
            .id = found->id, .size = found->size, .block_bytes = found->block_bytes, .file = found->file};
        found->file = NULL;
        prepare_release(prepare, file);
    }
    if (2 * largest > prepare->next_size)
        prepare->next_size = 2 * largest < most ? 2 * largest : most;
    prepare->ballast = survey->ballast ? PREPARE_BALLAST_PART : PREPARE_BALLAST_NONE;
    prepare->last_id = recovery->fresh.id;
}

// Those of log files that are gone, and those that were being written. An error leaves them to the next start.
static void remove_sidecars(struct recovery *recovery)
{
    const struct survey *survey = &recovery->survey;
    const char *name = survey->names.names;
    for (size_t i = 0; i < survey->names.count; i++, name += strlen(name) + 1) {
        uint64_t id;
        bool temporary, wanted = false;
        if (sidecar_parse_name(name, &id, &temporary) != 0)
            continue;
        list_foreach(link, &recovery->store->log->files) wanted |= container_of(link, struct log_file, link)->id == id;
        char path[STORE_PATH_BYTES];
        snprintf(path, sizeof(path), STORE_LOG_FOLDER "/%.32s", name);
        struct disk_request unlink = {.op = DISK_UNLINK, .path = path};
        if (temporary || !wanted)
            disk_run(recovery->store->context.disk, &unlink);
    }
}
