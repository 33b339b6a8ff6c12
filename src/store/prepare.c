// SPDX-License-Identifier: Apache-2.0
#include "store/prepare.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "store/log.h"

enum {
    STEPS_MAX = 5,
    STEP_END = -1,
    LAST_BYTES = 8 * LOG_FILE_BLOCK, // of the current file, without which the last spare is not given away
};

// What each job asks of the disk, in order.
static const int plans[][STEPS_MAX] = {
    [PREPARE_NOTHING] = {STEP_END},
    [PREPARE_CREATE] = {DISK_OPEN, DISK_ALLOCATE, DISK_SYNC, DISK_SYNC_DIR, STEP_END},
    [PREPARE_RECYCLE] = {DISK_RENAME, DISK_SYNC_DIR, STEP_END},
    [PREPARE_REMOVE] = {DISK_CLOSE, DISK_UNLINK, STEP_END},
    [PREPARE_BALLAST_MAKE] = {DISK_OPEN, DISK_ALLOCATE, DISK_SYNC, DISK_CLOSE, STEP_END},
    [PREPARE_BALLAST_CUT] = {DISK_OPEN, DISK_TRUNCATE, DISK_CLOSE, STEP_END},
    [PREPARE_BALLAST_DROP] = {DISK_UNLINK, STEP_END},
    [PREPARE_UNDO] = {DISK_CLOSE, DISK_UNLINK, STEP_END},
    [PREPARE_ABANDON] = {DISK_CLOSE, STEP_END},
};

static enum prepare_job missing(const struct prepare *prepare);
static bool begin_released(struct prepare *prepare);
static void begin_new(struct prepare *prepare, enum prepare_job job);
static void begin(struct prepare *prepare, enum prepare_job job, struct log_file *file);
static void submit(struct prepare *prepare);
static void on_done(struct disk_request *request);
static void take_result(struct prepare *prepare);
static void fail_job(struct prepare *prepare, int error);
static void note_failure(struct prepare *prepare, int error);
static void complete_job(struct prepare *prepare);
static void add_spare(struct prepare *prepare, struct log_file *file, bool created);
static void set_room(struct prepare *prepare);
static bool shrink(uint64_t *size, uint64_t least);
static uint64_t ballast_most(const struct prepare *prepare);
static void close_list(struct prepare *prepare, struct list *files);

void prepare_init(struct prepare *prepare, struct store *store)
{
    *prepare = (struct prepare){.store = store, .next_size = store->context.options.first_file_bytes};
    prepare->next_ballast = ballast_most(prepare);
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
    if (begin_released(prepare) || !prepare->wanted || store->context.claims ||
        moment_mono_ms(store->context.now) < prepare->retry_ms)
        return;
    enum prepare_job job = missing(prepare);
    if (job != PREPARE_NOTHING)
        begin_new(prepare, job);
    else
        set_room(prepare);
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
        struct disk_request unlink = {.op = DISK_UNLINK, .path = prepare->path};
        disk_run(disk, &close);
        disk_run(disk, &unlink);
        return NULL;
    }
    struct log_file *file = mem_alloc_zero(sizeof(*file));
    *file = (struct log_file){
        .id = prepare->last_id, .size = size, .block_bytes = prepare->store->context.block_bytes, .file = open.file};
    list_init(&file->link);
    return file;
}

void prepare_release(struct prepare *prepare, struct log_file *file)
{
    list_push_back(&prepare->released, &file->link);
}

void prepare_set_full(struct prepare *prepare)
{
    struct store *store = prepare->store;
    uint64_t two = 2 * store->context.options.file_bytes, least = 2 * store->context.options.first_file_bytes;
    if (!store->context.starved) {
        uint64_t left = log_free_bytes(store->log);
        left = left < two ? left : two;
        prepare->reserve = left / 2 > least ? left / 2 : least;
        prepare->enough = left > prepare->reserve ? left : prepare->reserve;
        if (!store->context.options.unserved)
            logger_write(
                store->logger, LOG_ERROR,
                "no space for the log: publishes are refused when %llu bytes of it are left; free some space, or "
                "delete messages: service resumes by itself",
                (unsigned long long)prepare->reserve);
    }
    prepare->wanted = store->context.starved = true;
    prepare->retry_ms = moment_mono_ms(store->context.now) + PREPARE_RETRY_MS;
}

bool prepare_give(struct prepare *prepare, bool vital)
{
    const struct log *log = prepare->store->log;
    prepare_set_full(prepare);
    if (prepare->store->stopping)
        return false;
    if (prepare->job != PREPARE_NOTHING) // which may have the space, for a moment
        return true;
    if (begin_released(prepare))
        return true;
    if (prepare->ballast == PREPARE_BALLAST_WHOLE || (vital && prepare->ballast)) {
        begin(prepare, vital ? PREPARE_BALLAST_DROP : PREPARE_BALLAST_CUT, NULL);
        return true;
    }
    // What is queued may have to be copied by the next start.
    uint64_t needed = LAST_BYTES + 3 * prepare->store->appender.queued_bytes;
    bool last = prepare->spare_count == 1 && log->current->size - log->position < needed;
    if (!vital || prepare->spare_count == 0 || last)
        return false;
    struct log_file *newest = container_of(list_last(&prepare->spares), struct log_file, link);
    list_remove(&newest->link);
    prepare->spare_count--;
    prepare->spare_bytes -= newest->size;
    begin(prepare, PREPARE_REMOVE, newest);
    return true;
}

uint64_t prepare_reserve(const struct prepare *prepare)
{
    const struct store_context *context = &prepare->store->context;
    uint64_t first = context->options.first_file_bytes;
    return context->starved ? prepare->reserve : prepare->spare_count ? first : first / 4;
}

uint64_t prepare_next_deadline_ms(const struct prepare *prepare)
{
    const struct store_context *context = &prepare->store->context;
    bool waits = prepare->wanted && prepare->job == PREPARE_NOTHING && prepare->retry_ms && !context->claims &&
                 (missing(prepare) != PREPARE_NOTHING || context->starved);
    return waits ? prepare->retry_ms : UINT64_MAX;
}

// The next thing to be made, for those who need it most.
static enum prepare_job missing(const struct prepare *prepare)
{
    if (prepare->spare_count == 0)
        return PREPARE_CREATE;
    if (prepare->ballast != PREPARE_BALLAST_WHOLE)
        return PREPARE_BALLAST_MAKE;
    bool starved = prepare->store->context.starved;
    bool enough = !starved || log_free_bytes(prepare->store->log) >= prepare->enough;
    return prepare->spare_count >= PREPARE_SPARES && enough ? PREPARE_NOTHING : PREPARE_CREATE;
}

// A released file without holders becomes a spare, if it is large enough and there are not too many, or in FULL if that is what is
// missing; else its space is free. To make a file writes all of it, to remove one makes the file system write: both while the log
// wants the disk.
static bool begin_released(struct prepare *prepare)
{
    const struct store_context *context = &prepare->store->context;
    uint64_t least = context->starved ? context->options.first_file_bytes : prepare->next_size;
    bool recycle = context->starved ? missing(prepare) == PREPARE_CREATE && !context->claims
                                    : prepare->spare_count < PREPARE_SPARES_MAX;
    list_foreach(link, &prepare->released)
    {
        struct log_file *file = container_of(link, struct log_file, link);
        if (file->holds)
            continue;
        list_remove(&file->link);
        begin(prepare, recycle && file->size >= least ? PREPARE_RECYCLE : PREPARE_REMOVE, file);
        return true;
    }
    return false;
}

static void begin_new(struct prepare *prepare, enum prepare_job job)
{
    struct log_file *file = NULL;
    if (job == PREPARE_CREATE) {
        file = mem_alloc_zero(sizeof(*file));
        file->size = prepare->next_size;
        file->block_bytes = prepare->store->context.block_bytes;
    }
    begin(prepare, job, file);
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
        file->size = log_file_resized(file->size, file->block_bytes, prepare->store->context.block_bytes);
        file->block_bytes = prepare->store->context.block_bytes;
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
        .length = prepare->file ? prepare->file->size : prepare->next_ballast,
        .done = on_done,
    };
    if (request->op == DISK_SYNC_DIR)
        request->path = "wal";
    if (request->op == DISK_OPEN && (prepare->file || !prepare->ballast))
        request->flags = DISK_FLAG_CREATE;
    if (request->op == DISK_TRUNCATE)
        request->length = ballast_most(prepare) / 4;
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

// What was half made is closed and removed, but for a part of the ballast that was there before; a file whose new name is in doubt
// is left to the next start.
static void fail_job(struct prepare *prepare, int error)
{
    enum prepare_job job = prepare->job;
    bool open = prepare->request.op != DISK_OPEN;
    bool making = job == PREPARE_CREATE || (job == PREPARE_BALLAST_MAKE && !prepare->ballast);
    bool ballast = job == PREPARE_BALLAST_MAKE || job == PREPARE_BALLAST_CUT;
    note_failure(prepare, error);
    prepare->step = 0;
    if (ballast && !open)
        prepare->ballast = error == ERR_EXISTS ? PREPARE_BALLAST_PART : PREPARE_BALLAST_NONE;
    else if (job == PREPARE_BALLAST_CUT)
        prepare->ballast = PREPARE_BALLAST_PART;
    if (open && (making || ballast || job == PREPARE_RECYCLE)) {
        prepare->job = making ? PREPARE_UNDO : PREPARE_ABANDON;
        submit(prepare);
        return;
    }
    prepare->job = job == PREPARE_BALLAST_DROP ? job : PREPARE_UNDO;
    complete_job(prepare);
}

static void note_failure(struct prepare *prepare, int error)
{
    struct store *store = prepare->store;
    bool ballast = prepare->job == PREPARE_BALLAST_MAKE;
    uint64_t least = store->context.options.first_file_bytes;
    // A log of smaller and smaller files would leave a small reserve.
    if (!ballast && !store->context.starved && prepare->spare_count)
        least = container_of(list_last(&prepare->spares), struct log_file, link)->size;
    prepare->retry_ms = moment_mono_ms(store->context.now) + PREPARE_RETRY_MS;
    if (error != ERR_NO_SPACE) {
        logger_write(store->logger, LOG_WARN, "%s: cannot prepare a log file: %s", prepare->path, error_text(error));
    } else if (shrink(ballast ? &prepare->next_ballast : &prepare->next_size, least)) {
        prepare->retry_ms = 0;
    } else {
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
            prepare->ballast = PREPARE_BALLAST_WHOLE;
        else if (job == PREPARE_BALLAST_CUT)
            prepare->ballast = PREPARE_BALLAST_PART;
        else if (job == PREPARE_BALLAST_DROP)
            prepare->ballast = PREPARE_BALLAST_NONE;
        if (job == PREPARE_BALLAST_CUT || job == PREPARE_BALLAST_DROP)
            prepare->next_ballast = ballast_most(prepare);
        else if (job == PREPARE_REMOVE)
            prepare->retry_ms = 0; // there is space
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
    log_resume(store->log);
}

// Nothing is missing.
static void set_room(struct prepare *prepare)
{
    struct store *store = prepare->store;
    prepare->retry_ms = 0;
    if (!store->context.starved)
        return;
    logger_write(store->logger, LOG_INFO, "there is space for the log again");
    store->context.starved = false;
    log_resume(store->log);
}

// Half of it, next time. False: it is as small as may be.
static bool shrink(uint64_t *size, uint64_t least)
{
    if (*size <= least)
        return false;
    *size = *size / 2 > least ? *size / 2 : least;
    *size -= *size % LOG_FILE_BLOCK;
    return true;
}

static uint64_t ballast_most(const struct prepare *prepare)
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
