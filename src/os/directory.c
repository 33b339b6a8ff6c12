// SPDX-License-Identifier: Apache-2.0
#include "os/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

static void directory_sign(int lock_fd);
static int directory_make(const char *path);
static int directory_make_one(const char *path);
static void directory_sync_parent(const char *path);
static int directory_run(const struct directory *directory, struct disk_request *request, char *bounce);
static int directory_sync(const struct directory *directory, const char *path);
static int directory_result(int failed);

int directory_open(struct directory *directory, const char *path, bool create)
{
    if (create) {
        int error = directory_make(path);
        if (error)
            return error;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_error(errno);
    directory->fd = fd;
    directory->lock_fd = -1;
    return 0;
}

void directory_close(struct directory *directory)
{
    close(directory->fd);
    if (directory->lock_fd >= 0)
        close(directory->lock_fd);
}

int directory_lock(struct directory *directory, bool create)
{
    int fd = openat(directory->fd, "LOCK", (create ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0640);
    if (fd < 0)
        return errno == ENOENT && !create ? 0 : file_error(errno);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno == EWOULDBLOCK ? ERR_IN_USE : ERR_IO;
        close(fd);
        return error;
    }
    directory->lock_fd = fd;
    if (create)
        directory_sign(fd);
    return 0;
}

// Locks of fcntl() belong to the process and end with the first close of the file, whichever descriptor that is; so it is opened once.
int directory_lock_foreign(struct directory *directory, const char *name, long *ret_pid)
{
    *ret_pid = 0;
    int fd = openat(directory->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : file_error(errno);
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    bool taken = fcntl(fd, F_SETLK, &lock) == 0 && flock(fd, LOCK_SH | LOCK_NB) == 0;
    if (taken) {
        directory->lock_fd = fd;
        return 0;
    }
    int error = errno == EAGAIN || errno == EACCES ? ERR_IN_USE : ERR_IO;
    lock.l_type = F_RDLCK;
    if (error == ERR_IN_USE && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        *ret_pid = lock.l_pid;
    close(fd);
    return error;
}

void directory_execute(const struct directory *directory, struct disk_request *request, char *bounce)
{
    uint64_t begin_ns = clock_mono_ns();
    request->transferred = 0;
    request->result = directory_run(directory, request, bounce);
    request->duration_ns = clock_mono_ns() - begin_ns;
}

// Only for people: whoever finds the directory in use wants to know by whom. The lock itself is the kernel's, so a failure
// does not matter.
static void directory_sign(int lock_fd)
{
    char line[24];
    int len = snprintf(line, sizeof(line), "%ld\n", (long)getpid());
    if (ftruncate(lock_fd, 0) == 0)
        (void)!pwrite(lock_fd, line, (size_t)len, 0);
}

// Each missing part of the path from left to right; every new name is synced into its parent.
static int directory_make(const char *path)
{
    char *copy = mem_copy_string(bytes_from_string(path));
    int error = 0;
    for (char *slash = strchr(copy + 1, '/'); slash && !error; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        error = directory_make_one(copy);
        *slash = '/';
    }
    if (!error)
        error = directory_make_one(copy);
    mem_free(copy);
    return error;
}

static int directory_make_one(const char *path)
{
    if (mkdir(path, 0750) == 0) {
        directory_sync_parent(path);
        return 0;
    }
    return errno == EEXIST ? 0 : file_error(errno);
}

// Best effort: the parent may be one we may use but not open. The store syncs everything inside the directory itself.
static void directory_sync_parent(const char *path)
{
    char *parent = mem_copy_string(bytes_from_string(path));
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent ? 1 : 0] = '\0';
    int fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    mem_free(parent);
}

static int directory_run(const struct directory *directory, struct disk_request *request, char *bounce)
{
    switch (request->op) {
    case DISK_OPEN: return file_open(directory->fd, request->path, request->flags, &request->file);
    case DISK_CLOSE: return file_close(request->file);
    case DISK_WRITE: return file_write(request->file, request, bounce);
    case DISK_READ: return file_read(request->file, request, bounce);
    case DISK_READ_EACH: return file_read_each(request->file, request, bounce);
    case DISK_SYNC: return file_sync(request->file);
    case DISK_ALLOCATE: return file_allocate(request->file, request->length);
    case DISK_TRUNCATE: return file_truncate(request->file, request->length);
    case DISK_SIZE: return file_size(request->file, &request->transferred);
    case DISK_RENAME: return directory_result(renameat(directory->fd, request->path, directory->fd, request->path2));
    case DISK_UNLINK: return directory_result(unlinkat(directory->fd, request->path, 0));
    case DISK_SYNC_DIR: return directory_sync(directory, request->path);
    case DISK_MKDIR:
        if (mkdirat(directory->fd, request->path, 0750) == 0 || errno == EEXIST)
            return 0;
        return file_error(errno);
    case DISK_LIST: return file_list(directory->fd, request->path, &request->names);
    }
    return ERR_INVALID;
}

static int directory_sync(const struct directory *directory, const char *path)
{
    int fd = openat(directory->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_error(errno);
    int error = directory_result(fsync(fd));
    close(fd);
    return error;
}

static int directory_result(int failed)
{
    return failed ? file_error(errno) : 0;
}
