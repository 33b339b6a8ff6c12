// SPDX-License-Identifier: Apache-2.0
#include "store/prepare.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "store/log.h"

enum { STEPS_MAX = 5, STEP_END = -1 };

// What each job asks of the disk, in order.
static const int plans[][STEPS_MAX] = {
    [PREPARE_NOTHING] = {STEP_END},
    [PREPARE_CREATE] = {DISK_OPEN, DISK_ALLOCATE, DISK_SYNC, DISK_SYNC_DIR, STEP_END},
    [PREPARE_RECYCLE] = {DISK_RENAME, DISK_SYNC_DIR, STEP_END},
    [PREPARE_REMOVE] = {DISK_CLOSE, DISK_UNLINK, STEP_END},
    [PREPARE_BALLAST_MAKE] = {DISK_OPEN, DISK_ALLOCATE, DISK_SYNC, DISK_CLOSE, STEP_END},
    [PREPARE_BALLAST_DROP] = {DISK_UNLINK, STEP_END},
    [PREPARE_UNDO] = {DISK_CLOSE, DISK_UNLINK, STEP_END},
    [PREPARE_ABANDON] = {DISK_CLOSE, STEP_END},
};

static bool begin_released(struct prepare *prepare);
static bool begin_new(struct prepare *prepare);
static void begin(struct prepare *prepare, enum prepare_job job, struct log_file *file);
static void submit(struct prepare *prepare);
static void on_done(struct disk_request *request);
static void take_result(struct prepare *prepare);
static void fail_job(struct prepare *prepare, int error);
static void note_failure(struct prepare *prepare, int error);
static void complete_job(struct prepare *prepare);
static void add_spare(struct prepare *prepare, struct log_file *file, bool created);
static void set_room(struct prepare *prepare);
static uint64_t ballast_bytes(const struct prepare *prepare);
static void close_list(struct prepare *prepare, struct list *files);

void prepare_init(struct prepare *prepare, struct store *store)
{
    *prepare = (struct prepare){.store = store, .next_size = store->context.options.first_file_bytes};
    list_init(&prepare->spares);
    list_init(&prepare->released);
}

void prepare_deinit(struct prepare *prepare)
{
    must(prepare->job == PREPARE_NOTHING);
    close_list(prepare, &prepare->spares);
    close_list(prepare, &prepare->released);
}

void prepare_step(struct prepare *prepare)
{
    struct store *store = prepare->store;
    if (prepare->job != PREPARE_NOTHING || store->context.failed || store->stopping)
        return;
    if (prepare->ballast_taken && prepare->ballast) {
        begin(prepare, PREPARE_BALLAST_DROP, NULL);
        return;
    }
    if (begin_released(prepare) || !prepare->wanted)
        return;
    if (moment_mono_ms(store->context.now) >= prepare->retry_ms)
        begin_new(prepare);
}

struct log_file *prepare_take(struct prepare *prepare)
{
    prepare->wanted = true;
    struct list *link = list_pop_front(&prepare->spares);
    if (!link)
        return NULL;
    struct log_file *file = container_of(link, struct log_file, link);
    prepare->spare_count--;
    prepare->spare_bytes -= file->size;
    return file;
}

struct log_file *prepare_make_now(struct prepare *prepare)
{
    struct log_file *spare = prepare_take(prepare);
    if (spare)
        return spare;
    must(prepare->job == PREPARE_NOTHING);
    struct disk *disk = prepare->store->context.disk;
    uint64_t size = prepare->next_size;
    log_file_name(++prepare->last_id, prepare->path);
    struct disk_request open = {.op = DISK_OPEN, .path = prepare->path, .flags = DISK_FLAG_CREATE};
    if (disk_run(disk, &open) != 0)
        return NULL;
    struct disk_request allocate = {.op = DISK_ALLOCATE, .file = open.file, .length = size};
    struct disk_request sync = {.op = DISK_SYNC, .file = open.file};
    struct disk_request sync_name = {.op = DISK_SYNC_DIR, .path = "wal"};
    if (disk_run(disk, &allocate) || disk_run(disk, &sync) || disk_run(disk, &sync_name)) {
        struct disk_request close = {.op = DISK_CLOSE, .file = open.file};
        disk_run(disk, &close);
        return NULL;
    }
    struct log_file *file = mem_alloc_zero(sizeof(*file));
    *file = (struct log_file){.id = prepare->last_id, .size = size, .file = open.file};
    list_init(&file->link);
    return file;
}

void prepare_release(struct prepare *prepare, struct log_file *file)
{
    list_push_back(&prepare->released, &file->link);
}

void prepare_set_full(struct prepare *prepare)
{
    uint64_t two = 2 * prepare->store->context.options.file_bytes;
    uint64_t half = log_free_bytes(prepare->store->log) / 2;
    if (!prepare->full) {
        prepare->reserve = two < half ? two : half;
        logger_write(prepare->store->logger, LOG_ERROR,
                     "no space for the log: publishes are refused when %llu bytes of it are left; free some space, or "
                     "delete messages: service resumes by itself",
                     (unsigned long long)prepare->reserve);
    }
    prepare->full = prepare->wanted = prepare->store->context.starved = true;
    prepare->retry_ms = moment_mono_ms(prepare->store->context.now) + PREPARE_RETRY_MS;
}

uint64_t prepare_next_deadline_ms(const struct prepare *prepare)
{
    bool waits = prepare->wanted && prepare->job == PREPARE_NOTHING && prepare->retry_ms &&
                 (prepare->spare_count < PREPARE_SPARES || prepare->full);
    return waits ? prepare->retry_ms : UINT64_MAX;
}

// A released file without holders becomes a spare, if there are not too many and it is of full size; else it goes. To make a
// file writes all of it, to remove one makes the file system write: both while the log wants the disk.
static bool begin_released(struct prepare *prepare)
{
    list_foreach(link, &prepare->released)
    {
        struct log_file *file = container_of(link, struct log_file, link);
        if (file->holds)
            continue;
        list_remove(&file->link);
        bool missing = prepare->spare_count < PREPARE_SPARES_MAX;
        bool fits = file->size == prepare->store->context.options.file_bytes ||
                    (prepare->full && file->size >= prepare->store->context.options.first_file_bytes);
        begin(prepare, missing && fits ? PREPARE_RECYCLE : PREPARE_REMOVE, file);
        return true;
    }
    return false;
}

static bool begin_new(struct prepare *prepare)
{
    if (prepare->spare_count < PREPARE_SPARES) {
        struct log_file *file = mem_alloc_zero(sizeof(*file));
        file->size = prepare->next_size;
        begin(prepare, PREPARE_CREATE, file);
        return true;
    }
    set_room(prepare);
    bool grown = prepare->next_size == prepare->store->context.options.file_bytes;
    bool due = moment_mono_ms(prepare->store->context.now) >= prepare->ballast_retry_ms;
    if (grown && due && !prepare->ballast && !prepare->ballast_taken) {
        begin(prepare, PREPARE_BALLAST_MAKE, NULL);
        return true;
    }
    return false;
}

static void begin(struct prepare *prepare, enum prepare_job job, struct log_file *file)
{
    prepare->job = job;
    prepare->step = 0;
    prepare->file = file;
    snprintf(prepare->path, sizeof(prepare->path), "%s", PREPARE_BALLAST);
    if (job == PREPARE_CREATE)
        file->id = ++prepare->last_id;
    if (file)
        log_file_name(file->id, prepare->path);
    if (job == PREPARE_RECYCLE) {
        file->id = ++prepare->last_id;
        log_file_name(file->id, prepare->path2);
    }
    submit(prepare);
}

static void submit(struct prepare *prepare)
{
    struct disk_request *request = &prepare->request;
    *request = (struct disk_request){
        .op = (enum disk_op)plans[prepare->job][prepare->step],
        .path = prepare->path,
        .path2 = prepare->path2,
        .file = prepare->file ? prepare->file->file : prepare->handle,
        .length = prepare->file ? prepare->file->size : ballast_bytes(prepare),
        .flags = DISK_FLAG_CREATE,
        .done = on_done,
    };
    if (request->op == DISK_SYNC_DIR)
        request->path = "wal";
    if (request->op != DISK_OPEN)
        request->flags = 0;
    disk_submit(prepare->store->context.disk, DISK_POOL, request);
}

static void on_done(struct disk_request *request)
{
    struct prepare *prepare = container_of(request, struct prepare, request);
    take_result(prepare);
    if (request->result && request->op != DISK_CLOSE && prepare->job != PREPARE_UNDO) {
        fail_job(prepare, request->result);
        return;
    }
    prepare->step++;
    if (plans[prepare->job][prepare->step] == STEP_END)
        complete_job(prepare);
    else
        submit(prepare);
}

// A handle that a request gave or took.
static void take_result(struct prepare *prepare)
{
    struct disk_request *request = &prepare->request;
    if (request->op != DISK_CLOSE && (request->op != DISK_OPEN || request->result))
        return;
    struct disk_file *handle = request->op == DISK_OPEN ? request->file : NULL;
    if (prepare->file)
        prepare->file->file = handle;
    else
        prepare->handle = handle;
}

// What was half made is closed and removed; a file whose new name is in doubt is left to the next start.
static void fail_job(struct prepare *prepare, int error)
{
    enum prepare_job job = prepare->job;
    bool making = job == PREPARE_CREATE || job == PREPARE_BALLAST_MAKE;
    note_failure(prepare, error);
    prepare->step = 0;
    if (making && prepare->request.op != DISK_OPEN) {
        prepare->job = PREPARE_UNDO;
        submit(prepare);
    } else if (job == PREPARE_RECYCLE) {
        prepare->job = PREPARE_ABANDON;
        submit(prepare);
    } else {
        if (job == PREPARE_BALLAST_MAKE)
            prepare->ballast = error == ERR_EXISTS;
        prepare->job = job == PREPARE_BALLAST_DROP ? job : PREPARE_UNDO;
        complete_job(prepare);
    }
}

static void note_failure(struct prepare *prepare, int error)
{
    struct store *store = prepare->store;
    uint64_t least = store->context.options.first_file_bytes;
    uint64_t retry_ms = moment_mono_ms(store->context.now) + PREPARE_RETRY_MS;
    if (prepare->job == PREPARE_BALLAST_MAKE)
        prepare->ballast_retry_ms = retry_ms;
    else
        prepare->retry_ms = retry_ms;
    if (error != ERR_NO_SPACE) {
        logger_write(store->logger, LOG_WARN, "%s: cannot prepare a log file: %s", prepare->path, error_text(error));
    } else if (prepare->job == PREPARE_CREATE && prepare->next_size > least) {
        prepare->next_size = prepare->next_size / 2 > least ? prepare->next_size / 2 : least;
        prepare->next_size -= prepare->next_size % LOG_FILE_BLOCK;
        prepare->retry_ms = 0;
    } else if (prepare->job == PREPARE_CREATE) {
        prepare_set_full(prepare);
    }
}

static void complete_job(struct prepare *prepare)
{
    enum prepare_job job = prepare->job;
    struct log_file *file = prepare->file;
    prepare->job = PREPARE_NOTHING;
    prepare->file = NULL;
    if (job == PREPARE_CREATE || job == PREPARE_RECYCLE) {
        add_spare(prepare, file, job == PREPARE_CREATE);
    } else {
        mem_free(file);
        if (job == PREPARE_BALLAST_MAKE)
            prepare->ballast = true;
        else if (job == PREPARE_BALLAST_DROP)
            prepare->ballast = false;
    }
    prepare_step(prepare);
}

static void add_spare(struct prepare *prepare, struct log_file *file, bool created)
{
    struct store *store = prepare->store;
    file->valid = 0;
    file->first_index = file->last_index = 0;
    list_push_back(&prepare->spares, &file->link);
    prepare->spare_count++;
    prepare->spare_bytes += file->size;
    if (created) {
        uint64_t most = store->context.options.file_bytes;
        prepare->next_size = 2 * file->size < most ? 2 * file->size : most;
        prepare->retry_ms = 0;
    }
    if (created || prepare->spare_count >= PREPARE_SPARES)
        set_room(prepare);
    log_resume(store->log);
}

// The last attempt to get space succeeded, or no space is needed.
static void set_room(struct prepare *prepare)
{
    if (prepare->full)
        logger_write(prepare->store->logger, LOG_INFO, "there is space for the log again");
    prepare->full = prepare->store->context.starved = false;
    prepare->reserve = 0;
    prepare->retry_ms = 0;
}

static uint64_t ballast_bytes(const struct prepare *prepare)
{
    uint64_t file = prepare->store->context.options.file_bytes;
    return file < PREPARE_BALLAST_BYTES ? file : PREPARE_BALLAST_BYTES;
}

static void close_list(struct prepare *prepare, struct list *files)
{
    struct list *link;
    while ((link = list_pop_front(files))) {
        struct log_file *file = container_of(link, struct log_file, link);
        struct disk_request close = {.op = DISK_CLOSE, .file = file->file};
        disk_run(prepare->store->context.disk, &close);
        mem_free(file);
    }
}
