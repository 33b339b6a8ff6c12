// SPDX-License-Identifier: Apache-2.0
#include "store/vault.h"

#include <string.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/must.h"
#include "store/log_file.h"
#include "store/vault_internal.h"

static void submit(struct disk *disk, enum disk_lane lane, struct disk_request *request);
static void run(struct disk *disk, struct disk_request *request);
static void on_done(struct disk_request *inner);
static void begin(struct vault_job *job);
static bool go_on(struct vault_job *job);
static bool opened(struct vault_job *job);
static bool looked(struct vault_job *job);
static void make_life(struct vault *vault, struct disk_file *file);
static bool synced(struct vault_job *job);
static void closed(struct vault_job *job);
static void finish(struct vault_job *job);

static const struct disk_ops ops = {.submit = submit, .run = run};

struct vault *vault_new(struct disk *disk, const struct store_encryption *encryption, const struct logger *logger)
{
    struct vault *vault = mem_alloc_zero(sizeof(*vault));
    vault->disk.ops = &ops;
    vault->below = disk;
    vault->cipher = encryption->cipher;
    vault->random = encryption->random;
    vault->logger = logger;
    if (encryption->crypto->guard)
        encryption->crypto->guard(vault, sizeof(*vault));
    seal_keys_init(&vault->keys, encryption);
    return vault;
}

void vault_free(struct vault *vault)
{
    if (!vault)
        return;
    must(vault->jobs == 0);
    mem_free(vault->spare);
    explicit_bzero(vault, sizeof(*vault));
    mem_free(vault);
}

uint64_t vault_damaged(const struct vault *vault)
{
    return vault ? vault->damaged : 0;
}

struct disk *vault_disk(struct vault *vault)
{
    return &vault->disk;
}

struct seal_mark vault_mark(struct vault *vault)
{
    struct seal_mark mark = {0};
    if (!vault)
        return mark;
    mark.cipher = vault->cipher;
    mark.key_id = vault->keys.keys[0].id;
    for (size_t i = 0; mark.cipher && i < SEAL_SALT_LEN; i += sizeof(uint64_t)) {
        uint64_t bits = vault->random->next(vault->random->owner);
        memcpy(mark.salt + i, &bits, sizeof(bits));
    }
    return mark;
}

bool vault_has_key(const struct vault *vault, uint64_t key_id)
{
    return vault && seal_keys_find(&vault->keys, key_id) != NULL;
}

uint32_t vault_new_block(const struct vault *vault)
{
    return vault->cipher ? SEAL_CONTENT : SEAL_BLOCK;
}

uint32_t vault_block(const struct disk_file *file)
{
    return file->mode == VAULT_CLEAR ? SEAL_BLOCK : SEAL_CONTENT;
}

static void submit(struct disk *disk, enum disk_lane lane, struct disk_request *request)
{
    struct vault *vault = container_of(disk, struct vault, disk);
    struct vault_job *job = mem_alloc_zero(sizeof(*job));
    *job = (struct vault_job){.vault = vault, .outer = request, .lane = lane};
    vault->jobs++;
    begin(job);
    job->inner.done = on_done;
    disk_submit(vault->below, lane, &job->inner);
}

static void run(struct disk *disk, struct disk_request *request)
{
    struct vault *vault = container_of(disk, struct vault, disk);
    struct vault_job job = {.vault = vault, .outer = request};
    begin(&job);
    do
        disk_run(vault->below, &job.inner);
    while (go_on(&job));
    finish(&job);
}

static void on_done(struct disk_request *inner)
{
    struct vault_job *job = container_of(inner, struct vault_job, inner);
    if (go_on(job)) {
        job->inner.done = on_done;
        disk_submit(job->vault->below, job->lane, &job->inner);
        return;
    }
    struct disk_request *outer = job->outer;
    finish(job);
    job->vault->jobs--;
    mem_free(job);
    outer->done(outer);
}

// The first request of the disk below.
static void begin(struct vault_job *job)
{
    struct disk_request *outer = job->outer, *inner = &job->inner;
    *inner = *outer;
    bool of_file = outer->op != DISK_OPEN && outer->file;
    struct disk_file *file = of_file ? outer->file : NULL;
    if (!file)
        return;
    inner->file = file->below;
    if (outer->op == DISK_WRITE && file->name.kind == 'w' && outer->offset == 0)
        vault_begin_log(job->vault, file, outer->spans);
    if (file->mode == VAULT_CLEAR)
        return;
    if (outer->op == DISK_WRITE)
        vault_write(job);
    else if (outer->op == DISK_READ)
        vault_read(job);
    else if (outer->op == DISK_READ_EACH)
        vault_read_each(job);
    else if (outer->op == DISK_ALLOCATE || outer->op == DISK_TRUNCATE)
        inner->length = seal_file_bytes(outer->length, file->head);
    else if (outer->op == DISK_SYNC && file->partial_len && !file->flushed)
        vault_write_rest(job);
}

// After a request of the disk below: true if there is another one.
static bool go_on(struct vault_job *job)
{
    const struct disk_request *outer = job->outer;
    int result = job->inner.result;
    job->duration_ns += job->inner.duration_ns;
    if (outer->op == DISK_OPEN)
        return job->opened ? looked(job) : opened(job);
    if (outer->op == DISK_CLOSE)
        closed(job);
    if (result || !outer->file || outer->op == DISK_CLOSE || outer->file->mode == VAULT_CLEAR)
        return false;
    if (outer->op == DISK_WRITE)
        vault_written(job);
    else if (outer->op == DISK_READ || outer->op == DISK_READ_EACH)
        vault_take(job);
    else if (outer->op == DISK_SIZE)
        job->inner.transferred = seal_content_bytes(job->inner.transferred, outer->file->head);
    else if (outer->op == DISK_SYNC)
        return synced(job);
    return false;
}

// A handle of ours for that of the disk below; what kind of file it is has to be looked up in it, unless it is new.
static bool opened(struct vault_job *job)
{
    const struct disk_request *outer = job->outer;
    if (job->inner.result)
        return false;
    struct disk_file *file = mem_alloc_zero(sizeof(*file));
    file->below = job->inner.file;
    file->name = seal_name_of(outer->path);
    file->head = file->name.kind == 'w' ? LOG_FILE_BLOCK : 0;
    job->opened = file;
    if (file->name.kind == 0)
        return false;
    if (outer->flags & DISK_FLAG_CREATE) {
        make_life(job->vault, file);
        return false;
    }
    job->buffer = mem_alloc(VAULT_LOOK_BYTES);
    job->span = (struct disk_span){.ptr = job->buffer, .len = SEAL_BLOCK};
    job->inner = (struct disk_request){.op = DISK_READ, .file = file->below, .spans = &job->span, .span_count = 1};
    return true;
}

// The clear block was read, or then some others.
static bool looked(struct vault_job *job)
{
    struct disk_file *file = job->opened;
    uint64_t bytes = job->inner.result ? 0 : job->inner.transferred;
    bool first = job->inner.offset == 0;
    job->inner.result = 0; // an unreadable place is for the readers to find
    if (first) {
        memset(job->buffer + bytes, 0, SEAL_BLOCK - bytes);
        if (vault_look(job->vault, file, job->buffer))
            return false;
        job->span.len = VAULT_LOOK_BYTES;
        job->inner = (struct disk_request){
            .op = DISK_READ, .file = file->below, .offset = SEAL_BLOCK, .spans = &job->span, .span_count = 1};
        return true;
    }
    vault_look_inside(job->vault, file, job->buffer, bytes);
    if (file->mode == VAULT_SEALED && file->name.kind != 'w') { // of those of the log recovery tells
        job->vault->damaged++;
        logger_write(job->vault->logger, LOG_ERROR,
                     "damage: the first block of %s is not valid; the others are read nevertheless", job->outer->path);
    }
    return false;
}

// A new file. One of the log begins when its header is written; until then only its size matters.
static void make_life(struct vault *vault, struct disk_file *file)
{
    if (!vault->cipher)
        return;
    file->mode = VAULT_SEALED;
    if (file->name.kind == 'w')
        return;
    struct seal_mark mark = vault_mark(vault);
    seal_life_init(&file->life, &vault->keys, &vault->keys.keys[0], &mark, file->name);
}

// The rest is written: now the sync itself.
static bool synced(struct vault_job *job)
{
    struct disk_file *file = job->outer->file;
    if (job->inner.op == DISK_SYNC)
        return false;
    file->flushed = true;
    job->inner = (struct disk_request){.op = DISK_SYNC, .file = file->below};
    return true;
}

static void closed(struct vault_job *job)
{
    struct disk_file *file = job->outer->file;
    if (file->partial)
        explicit_bzero(file->partial, SEAL_CONTENT);
    mem_free(file->partial);
    explicit_bzero(file, sizeof(*file));
    mem_free(file);
}

static void finish(struct vault_job *job)
{
    struct disk_request *outer = job->outer;
    const struct disk_request *inner = &job->inner;
    outer->result = inner->result;
    outer->duration_ns = job->duration_ns;
    outer->transferred = inner->transferred;
    if (outer->op == DISK_OPEN)
        outer->file = job->opened;
    else if (outer->op == DISK_LIST)
        outer->names = inner->names;
    vault_give_buffer(job);
    mem_free(job->groups);
}
