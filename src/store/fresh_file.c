// SPDX-License-Identifier: Apache-2.0
#include "store/fresh_file.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "store/log.h"
#include "store/vault.h"

// Of a file on a full disk: for acknowledgements and deletes, which log_admit() takes while twice their size and LOG_ADMIT_SLACK are left.
enum { SMALL_BYTES = 64 * LOG_FILE_BLOCK, LEAST_BYTES = 3 * LOG_ADMIT_SLACK };

static int get_space(struct fresh_file *fresh, struct survey *survey, uint64_t bytes, uint64_t room);
static int create_largest(struct fresh_file *fresh, uint64_t least);
static void leave_some(struct fresh_file *fresh, uint64_t least);
static int create(struct fresh_file *fresh);
static int take_spare(struct fresh_file *fresh, struct survey *survey, uint64_t least);
static void drop_spares(struct fresh_file *fresh, struct survey *survey);
static void drop_sidecars(struct fresh_file *fresh, struct survey *survey);
static void cut_ends(struct fresh_file *fresh, struct survey *survey);
static int cut(struct fresh_file *fresh, struct disk_file *file, uint64_t length);
static void remove_leftovers(struct fresh_file *fresh, struct survey *survey);
static int fill(struct fresh_file *fresh, uint64_t last_index, uint64_t *ret_valid);
static void encode_header(struct fresh_file *fresh, uint64_t last_index, char block[LOG_FILE_BLOCK]);
static int write_entries(struct fresh_file *fresh, uint64_t *position);
static int write_proof(struct fresh_file *fresh, uint64_t *position);
static int write_at(struct fresh_file *fresh, uint64_t offset, struct disk_span *spans, size_t count);
static int give_name(struct fresh_file *fresh);
static int run(struct fresh_file *fresh, struct disk_request request);

void fresh_file_init(struct fresh_file *fresh, struct store *store)
{
    *fresh = (struct fresh_file){.store = store};
}

void fresh_file_deinit(struct fresh_file *fresh)
{
    for (size_t i = 0; i < fresh->count; i++)
        chunk_unref(fresh->entries[i].chunk);
    mem_free(fresh->entries);
    mem_free(fresh->headers);
    *fresh = (struct fresh_file){0};
}

void fresh_file_add(struct fresh_file *fresh, const struct scan_item *item)
{
    if (fresh->count == fresh->capacity) {
        fresh->capacity = fresh->capacity ? 2 * fresh->capacity : 64;
        fresh->entries = mem_realloc(fresh->entries, fresh->capacity * sizeof(*fresh->entries));
        fresh->headers = mem_realloc(fresh->headers, fresh->capacity * sizeof(*fresh->headers));
    }
    fresh->headers[fresh->count] = item->entry;
    fresh->entries[fresh->count++] = (struct entry_view){
        .shard = item->entry.shard,
        .term = item->entry.term,
        .index = item->entry.index,
        .time_ns = item->entry.time_ns,
        .records = item->records,
        .chunk = chunk_ref(item->chunk),
    };
}

int fresh_file_make(struct fresh_file *fresh, struct survey *survey, uint64_t last_index, struct log_file **ret_file)
{
    uint64_t bytes = 2 * LOG_FILE_BLOCK + BATCH_HEADER_SIZE, valid = 0;
    for (size_t i = 0; i < fresh->count; i++)
        bytes += ENTRY_HEADER_SIZE + fresh->entries[i].records.len;
    uint64_t first = fresh->store->context.options.first_file_bytes;
    uint64_t whole = batch_boundary(bytes, fresh->store->context.block_bytes);
    fresh->size = fresh->count ? whole + first : first;
    fresh->id = survey->last_id + 1;
    log_file_temporary(fresh->id, fresh->temporary);
    remove_leftovers(fresh, survey);
    uint64_t room = first / 2 < SMALL_BYTES ? first / 2 : SMALL_BYTES;
    room = room < LEAST_BYTES ? LEAST_BYTES : room;
    int error = get_space(fresh, survey, whole, room);
    if (!error)
        error = fill(fresh, last_index, &valid);
    if (!error)
        error = give_name(fresh);
    if (error) {
        logger_write(fresh->store->logger, LOG_ERROR, "%s: cannot make a new log file: %s", fresh->temporary,
                     error_text(error));
        if (fresh->file)
            run(fresh, (struct disk_request){.op = DISK_CLOSE, .file = fresh->file});
        return error;
    }
    struct log_file *file = mem_alloc_zero(sizeof(*file));
    *file = (struct log_file){
        .id = fresh->id,
        .size = fresh->size,
        .block_bytes = fresh->store->context.block_bytes,
        .valid = valid,
        .header_check = fresh->header_check,
        .sound = true,
        .file = fresh->file,
    };
    list_init(&file->link);
    if (fresh->count) {
        file->first_index = fresh->entries[0].index;
        file->last_index = fresh->entries[fresh->count - 1].index;
    }
    *ret_file = file;
    return 0;
}

// `bytes` are needed, `room` more should be there for acknowledgements, which are what makes space.
static int get_space(struct fresh_file *fresh, struct survey *survey, uint64_t bytes, uint64_t room)
{
    int error = create(fresh);
    if (error != ERR_NO_SPACE)
        return error;
    fresh->starved = true;
    drop_sidecars(fresh, survey);
    cut_ends(fresh, survey);
    error = create_largest(fresh, bytes + room);
    if (!error && !survey->ballast)
        leave_some(fresh, bytes + room);
    if (error == ERR_NO_SPACE)
        error = take_spare(fresh, survey, bytes + room);
    if (error == ERR_NO_SPACE) {
        drop_spares(fresh, survey);
        error = create_largest(fresh, bytes + 2 * LOG_FILE_BLOCK);
    }
    return error;
}

// The largest file that there is space for.
static int create_largest(struct fresh_file *fresh, uint64_t least)
{
    uint64_t most = fresh->size;
    least = batch_boundary(least, fresh->store->context.block_bytes);
    int error = create(fresh);
    while (error == ERR_NO_SPACE && fresh->size > least) {
        fresh->size -= batch_padded(fresh->size / 16, LOG_FILE_BLOCK);
        fresh->size = fresh->size > least ? fresh->size : least;
        error = create(fresh);
    }
    if (error)
        fresh->size = most;
    return error;
}

// There is no ballast: a quarter is for the checkpoints, without which no space is ever given back.
static void leave_some(struct fresh_file *fresh, uint64_t least)
{
    uint64_t size = fresh->size - batch_padded(fresh->size / 4, LOG_FILE_BLOCK);
    if (size >= least && !run(fresh, (struct disk_request){.op = DISK_TRUNCATE, .file = fresh->file, .length = size}))
        fresh->size = size;
}

static int create(struct fresh_file *fresh)
{
    struct disk_request open = {.op = DISK_OPEN, .path = fresh->temporary, .flags = DISK_FLAG_CREATE};
    int error = disk_run(fresh->store->context.disk, &open);
    if (error)
        return error;
    fresh->size = batch_boundary(fresh->size, fresh->store->context.block_bytes); // takes as much space
    error = run(fresh, (struct disk_request){.op = DISK_ALLOCATE, .file = open.file, .length = fresh->size});
    if (!error) {
        fresh->file = open.file;
        return 0;
    }
    run(fresh, (struct disk_request){.op = DISK_CLOSE, .file = open.file});
    run(fresh, (struct disk_request){.op = DISK_UNLINK, .path = fresh->temporary});
    return error;
}

// A file that was found and of which nothing counts, nor is to be copied. Its stale content has another id.
static int take_spare(struct fresh_file *fresh, struct survey *survey, uint64_t least)
{
    for (size_t i = 0; i < survey->count; i++) {
        struct survey_file *found = &survey->files[i];
        uint64_t size = log_file_resized(found->size, found->block_bytes, fresh->store->context.block_bytes);
        if (!found->file || found->tail_end || size < least)
            continue;
        char name[LOG_FILE_NAME_MAX];
        log_file_name(found->id, name);
        int error = run(fresh, (struct disk_request){.op = DISK_RENAME, .path = name, .path2 = fresh->temporary});
        if (error)
            return error;
        fresh->file = found->file;
        fresh->size = size;
        found->file = NULL;
        return 0;
    }
    return ERR_NO_SPACE;
}

// All files of which nothing counts, and the ballast.
static void drop_spares(struct fresh_file *fresh, struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++) {
        struct survey_file *found = &survey->files[i];
        if (!found->file || found->tail_end)
            continue;
        char name[LOG_FILE_NAME_MAX];
        log_file_name(found->id, name);
        run(fresh, (struct disk_request){.op = DISK_CLOSE, .file = found->file});
        run(fresh, (struct disk_request){.op = DISK_UNLINK, .path = name});
        found->file = NULL;
    }
    run(fresh, (struct disk_request){.op = DISK_UNLINK, .path = PREPARE_BALLAST});
    survey->ballast = false;
}

// All of them: the next start scans their log files.
static void drop_sidecars(struct fresh_file *fresh, struct survey *survey)
{
    const char *name = survey->names.names;
    for (size_t i = 0; i < survey->names.count; i++, name += strlen(name) + 1) {
        uint64_t id;
        bool temporary;
        if (sidecar_parse_name(name, &id, &temporary) != 0)
            continue;
        char path[STORE_PATH_BYTES];
        snprintf(path, sizeof(path), STORE_LOG_FOLDER "/%.32s", name);
        run(fresh, (struct disk_request){.op = DISK_UNLINK, .path = path});
    }
}

// Gives back what lies behind the last thing that counts in the files that were found. No byte that counts is touched.
static void cut_ends(struct fresh_file *fresh, struct survey *survey)
{
    list_foreach(link, &fresh->store->log->files)
    {
        struct log_file *file = container_of(link, struct log_file, link);
        const struct survey_file *found = survey_find(survey, file->id);
        uint64_t end = found && found->tail_end > file->valid ? found->tail_end : file->valid;
        if (end < LOG_FILE_BLOCK || end >= file->size)
            continue;
        if (!cut(fresh, file->file, end))
            file->size = end;
    }
    for (size_t i = 0; i < survey->count; i++) {
        struct survey_file *found = &survey->files[i];
        if (!found->file || !found->tail_end || found->tail_end >= found->size)
            continue;
        if (!cut(fresh, found->file, found->tail_end))
            found->size = found->tail_end;
    }
}

// For good: else what is made of the space would be lost with it at a power cut.
static int cut(struct fresh_file *fresh, struct disk_file *file, uint64_t length)
{
    int error = run(fresh, (struct disk_request){.op = DISK_TRUNCATE, .file = file, .length = length});
    return error ? error : run(fresh, (struct disk_request){.op = DISK_SYNC, .file = file});
}

// Files that an interrupted recovery was making.
static void remove_leftovers(struct fresh_file *fresh, struct survey *survey)
{
    const char *name = survey->names.names;
    for (size_t i = 0; i < survey->names.count; i++, name += strlen(name) + 1) {
        uint64_t id;
        char path[LOG_FILE_NAME_MAX];
        if (log_file_parse_temporary(name, &id) != 0)
            continue;
        log_file_temporary(id, path);
        run(fresh, (struct disk_request){.op = DISK_UNLINK, .path = path});
    }
}

static int fill(struct fresh_file *fresh, uint64_t last_index, uint64_t *ret_valid)
{
    char block[LOG_FILE_BLOCK];
    encode_header(fresh, last_index, block);
    fresh->header_check = log_file_check(block);
    struct disk_span span = {.ptr = block, .len = sizeof(block)};
    int error = write_at(fresh, 0, &span, 1);
    *ret_valid = LOG_FILE_BLOCK;
    if (!error && fresh->count)
        error = write_entries(fresh, ret_valid);
    if (!error)
        error = run(fresh, (struct disk_request){.op = DISK_SYNC, .file = fresh->file});
    if (error || !fresh->count)
        return error;
    error = write_proof(fresh, ret_valid);
    return error ? error : run(fresh, (struct disk_request){.op = DISK_SYNC, .file = fresh->file});
}

static void encode_header(struct fresh_file *fresh, uint64_t last_index, char block[LOG_FILE_BLOCK])
{
    const struct store *store = fresh->store;
    const struct list *link = list_last(&store->log->files);
    const struct log_file *previous = link ? container_of(link, struct log_file, link) : NULL;
    uint64_t before = fresh->count ? fresh->entries[0].index - 1 : last_index;
    struct log_file_header header = {
        .id = fresh->id,
        .previous_id = previous ? previous->id : 0,
        .previous_valid = previous ? previous->valid : 0,
        .created_ns = store->context.now.wall_ns,
        .feature_level = LOG_FILE_FEATURE_LEVEL,
        .mark = vault_mark(store->context.vault),
        .identity = store->context.options.identity,
        .shard_count = 1,
        .shards = {{.shard = STORE_SHARD, .last_index = before, .commit_index = before}},
    };
    log_file_encode(&header, block);
}

// One batch with all of them, from front to back. The records' bytes go out from where they were read.
static int write_entries(struct fresh_file *fresh, uint64_t *position)
{
    char bytes[BATCH_HEADER_SIZE], zeros[BATCH_ALIGN] = {0};
    uint64_t at = *position + BATCH_HEADER_SIZE, end = at;
    for (size_t i = 0; i < fresh->count; i++)
        end += ENTRY_HEADER_SIZE + fresh->entries[i].records.len;
    struct batch_header batch = {
        .length = (uint32_t)(end - *position),
        .count = (uint32_t)fresh->count,
        .file = fresh->id,
        .position = *position,
    };
    must(end - *position <= UINT32_MAX);
    batch_encode(bytes, &batch);
    struct disk_span span = {.ptr = bytes, .len = sizeof(bytes)};
    int error = write_at(fresh, *position, &span, 1);
    for (size_t i = 0; !error && i < fresh->count; i++) {
        struct entry_view *entry = &fresh->entries[i];
        char header[ENTRY_HEADER_SIZE];
        entry_encode(header, &fresh->headers[i]);
        entry_place(header, fresh->id, at);
        entry->file = fresh->id;
        entry->offset = at + ENTRY_HEADER_SIZE;
        struct disk_span spans[] = {{.ptr = header, .len = sizeof(header)},
                                    {.ptr = (char *)entry->records.ptr, .len = entry->records.len}};
        error = write_at(fresh, at, spans, 2);
        at += ENTRY_HEADER_SIZE + entry->records.len;
    }
    *position = batch_boundary(at, fresh->store->context.block_bytes);
    span = (struct disk_span){.ptr = zeros, .len = *position - at};
    return error || !span.len ? error : write_at(fresh, at, &span, 1);
}

// An empty batch that says that everything before it is synced, which it is.
static int write_proof(struct fresh_file *fresh, uint64_t *position)
{
    char block[BATCH_ALIGN] = {0};
    struct batch_header batch = {
        .length = BATCH_HEADER_SIZE,
        .file = fresh->id,
        .position = *position,
        .synced_file = fresh->id,
        .synced_position = *position,
    };
    batch_encode(block, &batch);
    struct disk_span span = {.ptr = block, .len = fresh->store->context.block_bytes};
    int error = write_at(fresh, *position, &span, 1);
    *position += span.len;
    return error;
}

static int write_at(struct fresh_file *fresh, uint64_t offset, struct disk_span *spans, size_t count)
{
    return run(fresh,
               (struct disk_request){
                   .op = DISK_WRITE, .file = fresh->file, .offset = offset, .spans = spans, .span_count = count});
}

static int give_name(struct fresh_file *fresh)
{
    char name[LOG_FILE_NAME_MAX];
    log_file_name(fresh->id, name);
    int error = run(fresh, (struct disk_request){.op = DISK_RENAME, .path = fresh->temporary, .path2 = name});
    return error ? error : run(fresh, (struct disk_request){.op = DISK_SYNC_DIR, .path = "wal"});
}

static int run(struct fresh_file *fresh, struct disk_request request)
{
    return disk_run(fresh->store->context.disk, &request);
}
