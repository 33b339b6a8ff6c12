// SPDX-License-Identifier: Apache-2.0
#include "cmd/intake_target.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "os/file.h"

// What a store makes of its own, folders first.
static const char *const folders[] = {"wal", "shards", "checkpoint"};

static int look(const struct directory *directory, const char **ret_text);
static bool is_ours(const char *name);
static int clear(const struct directory *directory);
static int clear_folder(const struct directory *directory, const char *name);
static int set_mark(const struct directory *directory);
static int run(const struct directory *directory, enum disk_op op, const char *path);

int intake_target_open(struct directory *directory, const char *path, const char **ret_text)
{
    int error = directory_open(directory, path, true);
    if (error)
        return error;
    // Before the lock, which makes a file, in what may be somebody's folder; and again, because another import may just have ended.
    error = look(directory, ret_text);
    if (!error)
        error = directory_lock(directory, true);
    if (!error)
        error = look(directory, ret_text);
    if (!error)
        error = set_mark(directory);
    if (!error)
        error = clear(directory);
    if (error)
        directory_close(directory);
    return error;
}

int intake_target_finish(const struct directory *directory)
{
    int error = run(directory, DISK_SYNC_DIR, ".");
    if (!error)
        error = run(directory, DISK_UNLINK, INTAKE_TARGET_MARK);
    return error ? error : run(directory, DISK_SYNC_DIR, ".");
}

bool intake_target_is_unfinished(const struct directory *directory)
{
    return faccessat(directory->fd, INTAKE_TARGET_MARK, F_OK, 0) == 0;
}

bool intake_target_is_taken(const char *path)
{
    struct directory directory;
    const char *text;
    if (directory_open(&directory, path, false))
        return false;
    bool taken = look(&directory, &text) != 0;
    directory_close(&directory);
    return taken;
}

// ERR_EXISTS: there is something, and no mark that would say whose it is.
static int look(const struct directory *directory, const char **ret_text)
{
    struct disk_request request = {.op = DISK_LIST, .path = "."};
    directory_execute(directory, &request, NULL);
    if (request.result)
        return request.result;
    bool unfinished = intake_target_is_unfinished(directory);
    const char *name = request.names.names;
    int error = 0;
    for (size_t i = 0; i < request.names.count; i++, name += strlen(name) + 1) {
        bool harmless = strcmp(name, "lost+found") == 0 || strcmp(name, "LOCK") == 0;
        if (harmless || (unfinished && is_ours(name)))
            continue;
        error = ERR_EXISTS;
        bool is_log = strcmp(name, "wal") == 0;
        *ret_text = is_log ? "it is a data directory already: an import begins with an empty one" : "it is not empty";
        if (is_log)
            break;
    }
    mem_free(request.names.names);
    return error;
}

static bool is_ours(const char *name)
{
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        if (strcmp(name, folders[i]) == 0)
            return true;
    }
    return strcmp(name, INTAKE_TARGET_MARK) == 0;
}

static int clear(const struct directory *directory)
{
    int error = 0;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && !error; i++)
        error = clear_folder(directory, folders[i]);
    return error ? error : run(directory, DISK_SYNC_DIR, ".");
}

// With the folders in it; a store has one level of them at most.
static int clear_folder(const struct directory *directory, const char *name)
{
    struct disk_request request = {.op = DISK_LIST, .path = name};
    directory_execute(directory, &request, NULL);
    if (request.result)
        return request.result == ERR_NOT_FOUND ? 0 : request.result;
    const char *file = request.names.names;
    int error = 0;
    for (size_t i = 0; i < request.names.count && !error; i++, file += strlen(file) + 1) {
        struct bytes parts[] = {bytes_from_string(name), BYTES("/"), bytes_from_string(file)};
        char *path = mem_alloc_zero(parts[0].len + parts[2].len + 2);
        size_t at = 0;
        for (int p = 0; p < 3; p++) {
            memcpy(path + at, parts[p].ptr, parts[p].len);
            at += parts[p].len;
        }
        if (unlinkat(directory->fd, path, 0) != 0)
            error = errno == EISDIR ? clear_folder(directory, path) : ERR_IO;
        mem_free(path);
    }
    mem_free(request.names.names);
    if (!error && unlinkat(directory->fd, name, AT_REMOVEDIR) != 0)
        error = ERR_IO;
    return error;
}

static int set_mark(const struct directory *directory)
{
    static const char text[] =
        "an import or a restore has not finished here: repeat it, and what it made will be replaced\n";
    int fd = openat(directory->fd, INTAKE_TARGET_MARK, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return file_error(errno);
    errno = ENOSPC; // of a write that took only a part
    bool written = write(fd, text, sizeof(text) - 1) == (ssize_t)(sizeof(text) - 1) && fsync(fd) == 0;
    int error = written ? 0 : file_error(errno);
    close(fd);
    return error ? error : run(directory, DISK_SYNC_DIR, ".");
}

static int run(const struct directory *directory, enum disk_op op, const char *path)
{
    struct disk_request request = {.op = op, .path = path};
    directory_execute(directory, &request, NULL);
    return request.result;
}
