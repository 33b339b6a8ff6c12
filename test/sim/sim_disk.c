// SPDX-License-Identifier: Apache-2.0
#include "sim_disk.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/must.h"

enum { SECTOR = 512, PATH_MAX_BYTES = 96, NAMES_MAX = 512 };

struct sim_inode {
    char *data;    // owned: what reads see
    char *durable; // owned: what a crash leaves at least
    bool *dirty;   // owned, per sector: data differs from durable and a sync would make it so
    bool *lost;    // owned, per sector: a failed sync forgot it; data may differ from durable, and no sync helps
    size_t size, durable_size, capacity;
    unsigned handles;
    uint64_t bad; // offset of a byte that cannot be read, plus 1; 0: none
};

struct sim_name {
    char path[PATH_MAX_BYTES];
    struct sim_inode *inode; // NULL: a folder
};

enum change_kind { CHANGE_ADD, CHANGE_REMOVE, CHANGE_RENAME };

struct sim_change {
    enum change_kind kind;
    struct sim_name name;
    char path2[PATH_MAX_BYTES];
};

struct disk_file {
    struct sim_inode *inode;
    unsigned generation;
};

static void submit(struct disk *disk, enum disk_lane lane, struct disk_request *request);
static void run(struct disk *disk, struct disk_request *request);
static int execute(struct sim_disk *disk, struct disk_request *request);
static void sync_inode(struct sim_inode *inode);
static void crash_inode(struct sim_disk *disk, struct sim_inode *inode, enum sim_loss loss);
static void crash_names(struct sim_disk *disk, enum sim_loss loss);

static const struct disk_ops ops = {.submit = submit, .run = run};

void sim_disk_init(struct sim_disk *disk, uint64_t seed)
{
    *disk = (struct sim_disk){.disk = {.ops = &ops}, .capacity = UINT64_MAX};
    prng_seed(&disk->prng, seed);
    disk->names = mem_alloc(NAMES_MAX * sizeof(*disk->names));
    disk->durable = mem_alloc(NAMES_MAX * sizeof(*disk->durable));
    disk->changes = mem_alloc(NAMES_MAX * sizeof(*disk->changes));
    disk->inodes = mem_alloc(8 * NAMES_MAX * sizeof(*disk->inodes));
    for (int lane = 0; lane < 2; lane++) {
        disk->submitted[lane] = mem_alloc(NAMES_MAX * sizeof(struct disk_request *));
        disk->executed[lane] = mem_alloc(NAMES_MAX * sizeof(struct disk_request *));
    }
}

static void free_inode(struct sim_inode *inode)
{
    mem_free(inode->data);
    mem_free(inode->durable);
    mem_free(inode->dirty);
    mem_free(inode->lost);
    mem_free(inode);
}

void sim_disk_deinit(struct sim_disk *disk)
{
    for (size_t i = 0; i < disk->inode_count; i++)
        free_inode(disk->inodes[i]);
    mem_free(disk->inodes);
    mem_free(disk->names);
    mem_free(disk->durable);
    mem_free(disk->changes);
    for (int lane = 0; lane < 2; lane++) {
        mem_free(disk->submitted[lane]);
        mem_free(disk->executed[lane]);
    }
    *disk = (struct sim_disk){0};
}

// ---- queues

static void submit(struct disk *base, enum disk_lane lane, struct disk_request *request)
{
    struct sim_disk *disk = container_of(base, struct sim_disk, disk);
    must(disk->submitted_count[lane] < NAMES_MAX);
    request->implementation = (void *)(uintptr_t)disk->generation;
    disk->submitted[lane][disk->submitted_count[lane]++] = request;
}

static void run(struct disk *base, struct disk_request *request)
{
    struct sim_disk *disk = container_of(base, struct sim_disk, disk);
    request->result = execute(disk, request);
}

static struct disk_request *take(struct disk_request **queue, size_t *count, size_t at)
{
    struct disk_request *request = queue[at];
    memmove(queue + at, queue + at + 1, (*count - at - 1) * sizeof(*queue));
    (*count)--;
    return request;
}

bool sim_disk_step(struct sim_disk *disk)
{
    size_t choices[4] = {disk->submitted_count[0], disk->submitted_count[1], disk->executed_count[0],
                         disk->executed_count[1]};
    if (sim_disk_is_idle(disk))
        return false;
    size_t what;
    do
        what = prng_below(&disk->prng, 4);
    while (choices[what] == 0);
    enum disk_lane lane = what % 2 ? DISK_POOL : DISK_LOG;
    size_t at = lane == DISK_POOL ? prng_below(&disk->prng, choices[what]) : 0;
    if (what < 2) {
        struct disk_request *request = take(disk->submitted[lane], &disk->submitted_count[lane], at);
        bool old = (unsigned)(uintptr_t)request->implementation != disk->generation;
        request->result = old && request->op != DISK_CLOSE ? ERR_IO : execute(disk, request);
        disk->executed[lane][disk->executed_count[lane]++] = request;
    } else {
        struct disk_request *request = take(disk->executed[lane], &disk->executed_count[lane], at);
        request->done(request);
    }
    return true;
}

void sim_disk_drain(struct sim_disk *disk)
{
    while (sim_disk_step(disk))
        ;
}

bool sim_disk_is_idle(const struct sim_disk *disk)
{
    return disk->submitted_count[0] + disk->submitted_count[1] + disk->executed_count[0] + disk->executed_count[1] == 0;
}

// ---- names

static struct sim_name *find(const struct sim_disk *disk, const char *path)
{
    for (size_t i = 0; i < disk->name_count; i++) {
        if (strcmp(disk->names[i].path, path) == 0)
            return &disk->names[i];
    }
    return NULL;
}

static bool in_folder(const char *path, const char *folder)
{
    const char *slash = strrchr(path, '/');
    if (strcmp(folder, ".") == 0)
        return slash == NULL;
    return slash && strlen(folder) == (size_t)(slash - path) && strncmp(path, folder, strlen(folder)) == 0;
}

static void apply_change(struct sim_name *names, size_t *count, const struct sim_change *change)
{
    const char *gone = change->kind == CHANGE_RENAME ? change->path2 : change->name.path;
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(names[i].path, gone) == 0 ||
            (change->kind == CHANGE_RENAME && strcmp(names[i].path, change->name.path) == 0))
            names[i--] = names[--*count];
    }
    if (change->kind == CHANGE_REMOVE)
        return;
    must(*count < NAMES_MAX);
    names[*count] = change->name;
    if (change->kind == CHANGE_RENAME)
        snprintf(names[*count].path, PATH_MAX_BYTES, "%s", change->path2);
    (*count)++;
}

static void change(struct sim_disk *disk, enum change_kind kind, const char *path, const char *path2,
                   struct sim_inode *inode)
{
    struct sim_change made = {.kind = kind, .name = {.inode = inode}};
    snprintf(made.name.path, PATH_MAX_BYTES, "%s", path);
    if (path2)
        snprintf(made.path2, PATH_MAX_BYTES, "%s", path2);
    must(disk->change_count < NAMES_MAX);
    disk->changes[disk->change_count++] = made;
    apply_change(disk->names, &disk->name_count, &made);
}

static void sync_folder(struct sim_disk *disk, const char *folder)
{
    size_t kept = 0;
    for (size_t i = 0; i < disk->change_count; i++) {
        if (in_folder(disk->changes[i].name.path, folder))
            apply_change(disk->durable, &disk->durable_count, &disk->changes[i]);
        else
            disk->changes[kept++] = disk->changes[i];
    }
    disk->change_count = kept;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const struct sim_name *)a)->path, ((const struct sim_name *)b)->path);
}

static int list_folder(struct sim_disk *disk, struct disk_request *request)
{
    bool root = strcmp(request->path, ".") == 0;
    if (!root && !find(disk, request->path))
        return ERR_NOT_FOUND;
    qsort(disk->names, disk->name_count, sizeof(*disk->names), compare_paths);
    char *out = mem_alloc(disk->name_count * PATH_MAX_BYTES + 1);
    size_t used = 0, count = 0;
    for (size_t i = 0; i < disk->name_count; i++) {
        const char *path = disk->names[i].path;
        if (!in_folder(path, request->path))
            continue;
        const char *name = root ? path : path + strlen(request->path) + 1;
        memcpy(out + used, name, strlen(name) + 1);
        used += strlen(name) + 1;
        count++;
    }
    if (!count) {
        mem_free(out);
        out = NULL;
    }
    request->names = (struct disk_names){out, count};
    return 0;
}

// ---- files

static void grow(struct sim_inode *inode, size_t size)
{
    if (size > inode->capacity) {
        size_t capacity = (size + size / 2 + SECTOR) / SECTOR * SECTOR;
        inode->data = mem_realloc(inode->data, capacity);
        inode->durable = mem_realloc(inode->durable, capacity);
        inode->dirty = mem_realloc(inode->dirty, capacity / SECTOR);
        inode->lost = mem_realloc(inode->lost, capacity / SECTOR);
        memset(inode->data + inode->capacity, 0, capacity - inode->capacity);
        memset(inode->durable + inode->capacity, 0, capacity - inode->capacity);
        memset(inode->dirty + inode->capacity / SECTOR, 0, (capacity - inode->capacity) / SECTOR);
        memset(inode->lost + inode->capacity / SECTOR, 0, (capacity - inode->capacity) / SECTOR);
        inode->capacity = capacity;
    }
    if (size > inode->size)
        inode->size = size;
}

static struct sim_inode *new_inode(struct sim_disk *disk)
{
    must(disk->inode_count < 8 * NAMES_MAX);
    struct sim_inode *inode = mem_alloc_zero(sizeof(*inode));
    disk->inodes[disk->inode_count++] = inode;
    return inode;
}

uint64_t sim_disk_used(const struct sim_disk *disk)
{
    uint64_t used = 0;
    for (size_t i = 0; i < disk->name_count; i++)
        used += disk->names[i].inode ? disk->names[i].inode->size : 0;
    return used;
}

static uint64_t free_bytes(const struct sim_disk *disk)
{
    uint64_t used = sim_disk_used(disk);
    return used < disk->capacity ? disk->capacity - used : 0;
}

static int open_file(struct sim_disk *disk, struct disk_request *request)
{
    struct sim_name *name = find(disk, request->path);
    if (name && (request->flags & DISK_FLAG_CREATE))
        return ERR_EXISTS;
    if (!name && !(request->flags & DISK_FLAG_CREATE))
        return ERR_NOT_FOUND;
    struct sim_inode *inode = name ? name->inode : new_inode(disk);
    if (!name)
        change(disk, CHANGE_ADD, request->path, NULL, inode);
    if (!inode)
        return ERR_IO;
    request->file = mem_alloc(sizeof(*request->file));
    *request->file = (struct disk_file){inode, disk->generation};
    disk->open_handles++;
    return 0;
}

// What a crash now would leave at most: a removed file keeps its space until its name is gone for good, a shortened one until then too.
static uint64_t held_bytes(const struct sim_disk *disk)
{
    uint64_t held = 0;
    for (size_t i = 0; i < disk->name_count + disk->durable_count; i++) {
        bool durable = i >= disk->name_count;
        const struct sim_inode *inode = durable ? disk->durable[i - disk->name_count].inode : disk->names[i].inode;
        bool counted = !inode;
        for (size_t n = 0; durable && !counted && n < disk->name_count; n++)
            counted = disk->names[n].inode == inode;
        if (!counted)
            held += inode->size > inode->durable_size ? inode->size : inode->durable_size;
    }
    return held;
}

// As the journal of a file system: space is not used again before it is free for good.
static void commit_removals(struct sim_disk *disk)
{
    for (size_t i = 0; i < disk->change_count; i++)
        apply_change(disk->durable, &disk->durable_count, &disk->changes[i]);
    disk->change_count = 0;
    for (size_t i = 0; i < disk->inode_count; i++) {
        struct sim_inode *inode = disk->inodes[i];
        inode->durable_size = inode->size < inode->durable_size ? inode->size : inode->durable_size;
    }
}

static bool has_space(struct sim_disk *disk, const struct sim_inode *inode, uint64_t size)
{
    if (size <= inode->size)
        return true;
    uint64_t more = size - inode->size;
    if (more > free_bytes(disk))
        return false;
    if (disk->capacity != UINT64_MAX && held_bytes(disk) + more > disk->capacity)
        commit_removals(disk);
    return true;
}

static void write_bytes(struct sim_inode *inode, uint64_t offset, const char *ptr, size_t len)
{
    if (!len)
        return;
    grow(inode, offset + len);
    memcpy(inode->data + offset, ptr, len);
    for (size_t s = offset / SECTOR; s <= (offset + len - 1) / SECTOR; s++)
        inode->dirty[s] = true;
}

static void sync_file(struct sim_disk *disk, struct sim_inode *inode)
{
    if (!disk->lying)
        sync_inode(inode);
    disk->syncs++;
}

static int write_file(struct sim_disk *disk, struct disk_request *request, bool fail)
{
    struct sim_inode *inode = request->file->inode;
    uint64_t offset = request->offset, total = 0;
    for (size_t i = 0; i < request->span_count; i++)
        total += request->spans[i].len;
    if (!has_space(disk, inode, offset + total))
        return ERR_NO_SPACE;
    uint64_t left = fail ? prng_below(&disk->prng, total + 1) : total;
    for (size_t i = 0; i < request->span_count; i++) {
        size_t len = request->spans[i].len < left ? request->spans[i].len : (size_t)left;
        write_bytes(inode, offset, request->spans[i].ptr, len);
        offset += request->spans[i].len;
        left -= len;
    }
    request->transferred = total;
    if (!fail && (request->flags & DISK_FLAG_SYNC))
        sync_file(disk, inode);
    return 0;
}

static void read_span(const struct sim_inode *inode, uint64_t offset, struct disk_span *span, uint64_t *transferred)
{
    uint64_t left = offset < inode->size ? inode->size - offset : 0;
    size_t len = span->len < left ? span->len : (size_t)left;
    if (len)
        memcpy(span->ptr, inode->data + offset, len);
    *transferred += len;
}

static int read_file(struct disk_request *request)
{
    uint64_t offset = request->offset;
    request->transferred = 0;
    for (size_t i = 0; i < request->span_count; i++) {
        uint64_t before = request->transferred;
        bool each = request->op == DISK_READ_EACH;
        uint64_t from = each ? request->spans[i].offset : offset, bad = request->file->inode->bad;
        if (bad > from && bad <= from + request->spans[i].len)
            return ERR_IO;
        read_span(request->file->inode, from, &request->spans[i], &request->transferred);
        offset += request->spans[i].len;
        if (each && request->transferred - before != request->spans[i].len)
            return ERR_IO;
    }
    return 0;
}

static int truncate_file(struct sim_disk *disk, struct disk_request *request)
{
    struct sim_inode *inode = request->file->inode;
    if (!has_space(disk, inode, request->length))
        return ERR_NO_SPACE;
    if (request->op == DISK_ALLOCATE && request->length <= inode->size)
        return 0;
    grow(inode, request->length);
    if (request->length < inode->size) {
        memset(inode->data + request->length, 0, inode->size - request->length);
        inode->size = request->length;
    }
    return 0;
}

static void sync_inode(struct sim_inode *inode)
{
    for (size_t s = 0; s < inode->capacity / SECTOR; s++) {
        if (inode->dirty[s]) {
            memcpy(inode->durable + s * SECTOR, inode->data + s * SECTOR, SECTOR);
            inode->lost[s] = false;
        }
        inode->dirty[s] = false;
    }
    inode->durable_size = inode->size;
}

static void forget_dirty(struct sim_inode *inode)
{
    for (size_t s = 0; s < inode->capacity / SECTOR; s++) {
        inode->lost[s] |= inode->dirty[s];
        inode->dirty[s] = false;
    }
}

static int execute_name(struct sim_disk *disk, struct disk_request *request)
{
    const struct sim_name *name = find(disk, request->path);
    switch (request->op) {
    case DISK_RENAME:
        if (!name)
            return ERR_NOT_FOUND;
        change(disk, CHANGE_RENAME, request->path, request->path2, name->inode);
        return 0;
    case DISK_UNLINK:
        if (!name)
            return ERR_NOT_FOUND;
        change(disk, CHANGE_REMOVE, request->path, NULL, NULL);
        return 0;
    case DISK_SYNC_DIR: sync_folder(disk, request->path); return 0;
    case DISK_MKDIR:
        if (!name)
            change(disk, CHANGE_ADD, request->path, NULL, NULL);
        return 0;
    default: return list_folder(disk, request);
    }
}

static void close_file(struct sim_disk *disk, struct disk_request *request)
{
    must(disk->open_handles > 0);
    disk->open_handles--;
    mem_free(request->file);
}

static int execute(struct sim_disk *disk, struct disk_request *request)
{
    disk->operations++;
    bool fail = disk->fail_error && disk->operations == disk->fail_at;
    disk->failed |= fail;
    bool stale = request->file && request->op != DISK_OPEN && request->file->generation != disk->generation;
    if (request->op == DISK_CLOSE) {
        close_file(disk, request);
        return fail ? disk->fail_error : 0;
    }
    if (stale)
        return ERR_IO;
    if (fail) {
        if (request->op == DISK_WRITE)
            (void)write_file(disk, request, true);
        bool syncs = request->op == DISK_SYNC || (request->op == DISK_WRITE && (request->flags & DISK_FLAG_SYNC));
        if (syncs && disk->fail_error == ERR_IO)
            forget_dirty(request->file->inode);
        // A sync has no other word than this, whatever the reason.
        return request->op == DISK_SYNC ? ERR_IO : disk->fail_error;
    }
    switch (request->op) {
    case DISK_OPEN: return open_file(disk, request);
    case DISK_WRITE: return write_file(disk, request, false);
    case DISK_READ:
    case DISK_READ_EACH: return read_file(request);
    case DISK_SYNC: sync_file(disk, request->file->inode); return 0;
    case DISK_ALLOCATE:
    case DISK_TRUNCATE: return truncate_file(disk, request);
    case DISK_SIZE: request->transferred = request->file->inode->size; return 0;
    default: return execute_name(disk, request);
    }
}

// ---- crashes

void sim_disk_crash(struct sim_disk *disk, enum sim_loss loss)
{
    for (int lane = 0; lane < 2; lane++) {
        for (size_t i = 0; i < disk->submitted_count[lane] && loss != SIM_LOSS_ALL; i++) {
            struct disk_request *request = disk->submitted[lane][i];
            bool old = (unsigned)(uintptr_t)request->implementation != disk->generation;
            if (!old && request->op == DISK_WRITE && prng_chance(&disk->prng, 1, 2))
                (void)write_file(disk, request, true);
        }
    }
    for (size_t i = 0; i < disk->inode_count; i++)
        crash_inode(disk, disk->inodes[i], loss);
    crash_names(disk, loss);
    disk->generation++;
}

static void crash_sector(struct sim_disk *disk, char *kept, const char *wanted, unsigned bias)
{
    uint64_t fate = prng_below(&disk->prng, 100);
    if (fate < bias)
        memcpy(kept, wanted, SECTOR);
    else if (fate >= 97)
        memcpy(kept, wanted, prng_below(&disk->prng, SECTOR));
    else if (fate >= 95)
        for (size_t i = 0; i < SECTOR; i++)
            kept[i] = (char)prng_next(&disk->prng);
}

static void crash_inode(struct sim_disk *disk, struct sim_inode *inode, enum sim_loss loss)
{
    unsigned bias = prng_chance(&disk->prng, 1, 3) ? 95 : (unsigned)prng_below(&disk->prng, 95);
    if (loss == SIM_LOSS_NONE)
        return;
    for (size_t s = 0; s < inode->capacity / SECTOR; s++) {
        bool maybe = inode->dirty[s] && loss == SIM_LOSS_RANDOM;
        if (maybe)
            crash_sector(disk, inode->durable + s * SECTOR, inode->data + s * SECTOR, bias);
        inode->dirty[s] = inode->lost[s] = false;
    }
    if (inode->size != inode->durable_size && loss == SIM_LOSS_RANDOM && prng_chance(&disk->prng, 1, 2))
        inode->durable_size = inode->size;
    inode->size = inode->durable_size;
    if (inode->capacity)
        memcpy(inode->data, inode->durable, inode->capacity);
}

static void crash_names(struct sim_disk *disk, enum sim_loss loss)
{
    bool in_order = prng_chance(&disk->prng, 1, 2);
    size_t kept = in_order ? prng_below(&disk->prng, disk->change_count + 1) : disk->change_count;
    for (size_t i = 0; i < disk->change_count; i++) {
        bool chosen = in_order ? i < kept : prng_chance(&disk->prng, 1, 2);
        if (loss == SIM_LOSS_NONE || (loss == SIM_LOSS_RANDOM && chosen))
            apply_change(disk->durable, &disk->durable_count, &disk->changes[i]);
    }
    disk->change_count = 0;
    disk->name_count = 0;
    for (size_t i = 0; i < disk->durable_count; i++) {
        bool reachable = true;
        char folder[PATH_MAX_BYTES];
        snprintf(folder, sizeof(folder), "%s", disk->durable[i].path);
        for (char *slash; (slash = strrchr(folder, '/')) != NULL;) {
            *slash = 0;
            bool found = false;
            for (size_t f = 0; f < disk->durable_count; f++)
                found |= !disk->durable[f].inode && strcmp(disk->durable[f].path, folder) == 0;
            reachable &= found;
        }
        if (reachable)
            disk->names[disk->name_count++] = disk->durable[i];
    }
    memcpy(disk->durable, disk->names, disk->name_count * sizeof(*disk->names));
    disk->durable_count = disk->name_count;
}

static struct sim_inode *copy_inode(struct sim_disk *to, const struct sim_inode *from)
{
    struct sim_inode *inode = new_inode(to);
    grow(inode, from->capacity);
    if (from->capacity) {
        memcpy(inode->data, from->data, from->capacity);
        memcpy(inode->durable, from->durable, from->capacity);
        memcpy(inode->dirty, from->dirty, from->capacity / SECTOR);
        memcpy(inode->lost, from->lost, from->capacity / SECTOR);
    }
    inode->size = from->size;
    inode->durable_size = from->durable_size;
    inode->bad = from->bad;
    return inode;
}

static void move_names(struct sim_name *to, const struct sim_name *from, size_t count, const struct sim_disk *old,
                       const struct sim_disk *new)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = from[i];
        for (size_t n = 0; from[i].inode && n < old->inode_count; n++) {
            if (old->inodes[n] == from[i].inode)
                to[i].inode = new->inodes[n];
        }
    }
}

void sim_disk_fork(struct sim_disk *disk, uint64_t seed, enum sim_loss loss, struct sim_disk *ret_disk)
{
    sim_disk_init(ret_disk, seed);
    ret_disk->capacity = disk->capacity;
    for (size_t i = 0; i < disk->inode_count; i++)
        copy_inode(ret_disk, disk->inodes[i]);
    ret_disk->name_count = disk->name_count;
    ret_disk->durable_count = disk->durable_count;
    ret_disk->change_count = disk->change_count;
    move_names(ret_disk->names, disk->names, disk->name_count, disk, ret_disk);
    move_names(ret_disk->durable, disk->durable, disk->durable_count, disk, ret_disk);
    for (size_t i = 0; i < disk->change_count; i++) {
        ret_disk->changes[i] = disk->changes[i];
        move_names(&ret_disk->changes[i].name, &disk->changes[i].name, 1, disk, ret_disk);
    }
    sim_disk_crash(ret_disk, loss);
}

void sim_disk_fail(struct sim_disk *disk, uint64_t n, int error)
{
    disk->fail_at = disk->operations + n;
    disk->fail_error = error;
    disk->failed = false;
}

// ---- tampering

bool sim_disk_has(const struct sim_disk *disk, const char *path)
{
    return find(disk, path) != NULL;
}

struct bytes sim_disk_content(const struct sim_disk *disk, const char *path)
{
    const struct sim_name *name = find(disk, path);
    must(name && name->inode);
    return bytes_make(name->inode->data, name->inode->size);
}

void sim_disk_flip(struct sim_disk *disk, const char *path, uint64_t offset, unsigned bit)
{
    const struct sim_name *name = find(disk, path);
    must(name && name->inode && offset < name->inode->size);
    name->inode->data[offset] = (char)(name->inode->data[offset] ^ (1 << bit % 8));
    name->inode->durable[offset] = name->inode->data[offset];
}

void sim_disk_spoil(struct sim_disk *disk, const char *path, uint64_t offset)
{
    const struct sim_name *name = find(disk, path);
    must(name && name->inode && offset < name->inode->size);
    name->inode->bad = offset + 1;
}

void sim_disk_put(struct sim_disk *disk, const char *path, struct bytes content)
{
    sim_disk_remove(disk, path);
    char folder[PATH_MAX_BYTES];
    snprintf(folder, sizeof(folder), "%s", path);
    for (char *slash = strchr(folder, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        struct disk_request make = {.op = DISK_MKDIR, .path = folder};
        disk_run(&disk->disk, &make);
        sync_folder(disk, folder);
        *slash = '/';
    }
    struct sim_inode *inode = new_inode(disk);
    change(disk, CHANGE_ADD, path, NULL, inode);
    write_bytes(inode, 0, content.ptr, content.len);
    sync_inode(inode);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    sync_folder(disk, slash ? folder : ".");
    sync_folder(disk, ".");
}

void sim_disk_remove(struct sim_disk *disk, const char *path)
{
    struct sim_change gone = {.kind = CHANGE_REMOVE};
    snprintf(gone.name.path, PATH_MAX_BYTES, "%s", path);
    apply_change(disk->names, &disk->name_count, &gone);
    apply_change(disk->durable, &disk->durable_count, &gone);
}

const char *sim_disk_path(const struct sim_disk *disk, size_t i)
{
    qsort(disk->names, disk->name_count, sizeof(*disk->names), compare_paths);
    for (size_t n = 0; n < disk->name_count; n++) {
        if (disk->names[n].inode && i-- == 0)
            return disk->names[n].path;
    }
    return NULL;
}
