// SPDX-License-Identifier: Apache-2.0
// tidy: prefix vault
// Before anything is changed: is there a key for everything? A segment without one would look like a damaged segment, and
// its messages would be given up.
#include <stdio.h>

#include "base/memory.h"
#include "store/vault_internal.h"

static int check_folder(const struct vault *vault, struct disk *disk, const char *folder, const struct logger *logger);
static int read_mark(struct disk *disk, const char *path, char *block, struct seal_mark *ret_mark);

int vault_refuse(const struct vault *vault, const char *path, uint64_t key_id, const struct logger *logger)
{
    if (vault)
        logger_write(logger, LOG_ERROR,
                     "%s is encrypted with another key than the one given (its key has the id %016llx); nothing was "
                     "changed: start with the right key, or with both after it was changed (--encryption_old_key_file)",
                     path, (unsigned long long)key_id);
    else
        logger_write(
            logger, LOG_ERROR,
            "%s is encrypted (its key has the id %016llx) and no key was given; nothing was changed: start with "
            "--encrypt, and the key in a file (--encryption_key_file) or in NATS_STREAMING_ENCRYPTION_KEY",
            path, (unsigned long long)key_id);
    return ERR_KEY;
}

int vault_check_files(const struct vault *vault, struct disk *disk, const struct logger *logger)
{
    struct disk *below = vault ? vault->below : disk;
    int error = check_folder(vault, below, STORE_CHECKPOINT_FOLDER, logger);
    return error ? error : check_folder(vault, below, STORE_SEGMENT_FOLDER, logger);
}

static int check_folder(const struct vault *vault, struct disk *disk, const char *folder, const struct logger *logger)
{
    struct disk_request list = {.op = DISK_LIST, .path = folder};
    int error = disk_run(disk, &list);
    if (error)
        return error == ERR_NOT_FOUND ? 0 : error;
    char *block = mem_alloc(SEAL_BLOCK);
    const char *name = list.names.names;
    for (size_t i = 0; !error && i < list.names.count; i++, name += strlen(name) + 1) {
        char path[STORE_PATH_BYTES];
        struct seal_mark mark;
        snprintf(path, sizeof(path), "%s/%.64s", folder, name);
        // What is still being written, or cannot be read, is not looked for here.
        if (strstr(name, ".tmp") || read_mark(disk, path, block, &mark) != 0 || vault_has_key(vault, mark.key_id))
            continue;
        error = vault_refuse(vault, path, mark.key_id, logger);
    }
    mem_free(block);
    mem_free(list.names.names);
    return error;
}

static int read_mark(struct disk *disk, const char *path, char *block, struct seal_mark *ret_mark)
{
    struct disk_request open = {.op = DISK_OPEN, .flags = DISK_FLAG_READ_ONLY, .path = path};
    int error = disk_run(disk, &open);
    if (error)
        return error;
    struct disk_span span = {.ptr = block, .len = SEAL_BLOCK};
    struct disk_request read = {.op = DISK_READ, .file = open.file, .spans = &span, .span_count = 1};
    error = disk_run(disk, &read);
    if (!error)
        error = read.transferred == SEAL_BLOCK ? seal_header_decode(block, ret_mark) : ERR_CORRUPT;
    struct disk_request close = {.op = DISK_CLOSE, .file = open.file};
    disk_run(disk, &close);
    return error;
}
