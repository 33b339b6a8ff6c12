// SPDX-License-Identifier: Apache-2.0
// tidy: prefix log
// The log as roll-over, checkpoints and cold reads see it: the functions of struct log_view (context.h).
#include "base/must.h"
#include "store/log.h"

static struct log_file *find(struct log *log, uint64_t id)
{
    list_foreach(link, &log->files)
    {
        struct log_file *file = container_of(link, struct log_file, link);
        if (file->id == id)
            return file;
    }
    return NULL;
}

static int hold(void *owner, uint64_t id, struct disk_file **ret_file)
{
    struct log_file *file = find(owner, id);
    if (!file)
        return ERR_NOT_FOUND;
    file->holds++;
    *ret_file = file->file;
    return 0;
}

// The file may have been released meanwhile.
static void drop(void *owner, uint64_t id)
{
    struct log *log = owner;
    struct log_file *file = find(log, id);
    list_foreach(link, &log->prepare.released)
    {
        struct log_file *released = container_of(link, struct log_file, link);
        if (!file && released->id == id)
            file = released;
    }
    must(file && file->holds > 0);
    file->holds--;
    prepare_step(&log->prepare);
}

static bool next_closed(void *owner, uint64_t after, struct log_file_info *ret_info)
{
    struct log *log = owner;
    list_foreach(link, &log->files)
    {
        struct log_file *file = container_of(link, struct log_file, link);
        if (file->id <= after)
            continue;
        if (file == log->current || file->last_index > log->applied_index)
            return false;
        *ret_info = (struct log_file_info){
            .id = file->id,
            .bytes = file->size,
            .first_index = file->first_index,
            .last_index = file->last_index,
            .valid = file->valid,
            .header_check = file->header_check,
            .sound = file->sound,
            .indexed = file->indexed,
        };
        return true;
    }
    return false;
}

static uint64_t retained_bytes(void *owner)
{
    return ((struct log *)owner)->files_bytes;
}

static uint64_t appended_bytes(void *owner)
{
    return ((struct log *)owner)->appended_bytes;
}

static uint64_t applied_index(void *owner)
{
    return ((struct log *)owner)->applied_index;
}

static uint64_t synced_index(void *owner)
{
    return ((struct log *)owner)->synced_index;
}

static void sync_soon(void *owner)
{
    struct log *log = owner;
    log->sync_wanted = true;
    log_step(log);
}

static void release(void *owner, uint64_t id)
{
    struct log *log = owner;
    struct log_file *file = find(log, id);
    must(file && file != log->current);
    list_remove(&file->link);
    log->files_bytes -= file->size;
    prepare_release(&log->prepare, file);
    prepare_step(&log->prepare);
}

static bool give_space(void *owner, bool vital)
{
    return prepare_give(&((struct log *)owner)->prepare, vital);
}

struct log_view log_make_view(struct log *log)
{
    return (struct log_view){
        .owner = log,
        .hold = hold,
        .drop = drop,
        .next_closed = next_closed,
        .retained_bytes = retained_bytes,
        .appended_bytes = appended_bytes,
        .applied_index = applied_index,
        .synced_index = synced_index,
        .sync_soon = sync_soon,
        .release = release,
        .give_space = give_space,
    };
}
