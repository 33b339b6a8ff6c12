// SPDX-License-Identifier: Apache-2.0
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"

// Spans per system call; the kernel's limit is 1024.
#define FILE_SPANS_MAX 128
// A folder with more bytes of names than this is not one of ours.
#define FILE_LIST_MAX (64 * 1024 * 1024)

struct disk_file {
    int fd; // owned
};

typedef ssize_t file_transfer(int fd, const struct iovec *vector, int count, off_t offset);

static int file_move(int fd, struct disk_request *request, file_transfer *transfer, bool at_end_is_fine);
static int file_load(const struct disk_request *request, size_t first, size_t skip, struct iovec *vector);
static int file_read_span(int fd, const struct disk_span *span);
static int file_write_zeros(int fd, uint64_t from, uint64_t to);
static int file_collect(DIR *folder, struct buffer *names, size_t *ret_count);
static char *file_sort(struct buffer *names, size_t count);
static int file_compare(const void *a, const void *b);

int file_error(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT: return ERR_NO_SPACE;
    case ENOENT: return ERR_NOT_FOUND;
    case EEXIST: return ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS: return ERR_PERMISSION;
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG: return ERR_INVALID;
    case EMFILE:
    case ENFILE: return ERR_LIMIT;
    default: return ERR_IO;
    }
}

int file_open(int directory_fd, const char *path, unsigned flags, struct disk_file **ret_file)
{
    int mode = (flags & DISK_FLAG_READ_ONLY) ? O_RDONLY : O_RDWR;
    if (flags & DISK_FLAG_CREATE)
        mode |= O_CREAT | O_EXCL;
    int fd = openat(directory_fd, path, mode | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return file_error(errno);
    *ret_file = mem_alloc(sizeof(**ret_file));
    (*ret_file)->fd = fd;
    return 0;
}

int file_close(struct disk_file *file)
{
    int failed = close(file->fd);
    mem_free(file);
    return failed ? file_error(errno) : 0;
}

int file_write(struct disk_file *file, struct disk_request *request)
{
    int error = file_move(file->fd, request, pwritev, false);
    if (!error && (request->flags & DISK_FLAG_SYNC))
        error = file_sync(file);
    return error;
}

int file_read(struct disk_file *file, struct disk_request *request)
{
    return file_move(file->fd, request, preadv, true);
}

int file_read_each(struct disk_file *file, struct disk_request *request)
{
    for (size_t i = 0; i < request->span_count; i++) {
        int error = file_read_span(file->fd, &request->spans[i]);
        if (error)
            return error;
        request->transferred += request->spans[i].len;
    }
    return 0;
}

int file_sync(struct disk_file *file)
{
    return fdatasync(file->fd) ? file_error(errno) : 0;
}

int file_allocate(struct disk_file *file, uint64_t length)
{
    uint64_t before;
    int error = file_size(file, &before);
    if (error || before >= length)
        return error;
    // Asks for all the space at once, so that it lies together and its lack shows before anything is written. Not every
    // file system can; the zeros below do it as well.
    if (fallocate(file->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)length) != 0 && errno != EOPNOTSUPP && errno != EINTR)
        return file_error(errno);
    error = file_write_zeros(file->fd, before, length);
    if (error && ftruncate(file->fd, (off_t)before) != 0)
        return ERR_IO;
    return error;
}

int file_truncate(struct disk_file *file, uint64_t length)
{
    return ftruncate(file->fd, (off_t)length) ? file_error(errno) : 0;
}

int file_size(struct disk_file *file, uint64_t *ret_size)
{
    struct stat status;
    if (fstat(file->fd, &status) != 0)
        return file_error(errno);
    *ret_size = (uint64_t)status.st_size;
    return 0;
}

int file_list(int directory_fd, const char *path, struct disk_names *ret_names)
{
    int fd = openat(directory_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_error(errno);
    DIR *folder = fdopendir(fd);
    if (!folder) {
        close(fd);
        return ERR_IO;
    }
    struct buffer names;
    buffer_init(&names, FILE_LIST_MAX);
    size_t count = 0;
    int error = file_collect(folder, &names, &count);
    closedir(folder);
    if (!error) {
        ret_names->names = count ? file_sort(&names, count) : NULL;
        ret_names->count = count;
    }
    buffer_deinit(&names);
    return error;
}

// Moves all spans from request->offset on. A short transfer goes on where it stopped; a read that gives nothing is at the
// end of the file, a write that gives nothing would go round for ever.
static int file_move(int fd, struct disk_request *request, file_transfer *transfer, bool at_end_is_fine)
{
    size_t index = 0;
    size_t skip = 0; // bytes of spans[index] that are done
    for (;;) {
        for (; index < request->span_count && skip >= request->spans[index].len; index++)
            skip -= request->spans[index].len;
        if (index == request->span_count)
            return 0;
        struct iovec vector[FILE_SPANS_MAX];
        int count = file_load(request, index, skip, vector);
        ssize_t moved = transfer(fd, vector, count, (off_t)(request->offset + request->transferred));
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved < 0)
            return file_error(errno);
        if (moved == 0)
            return at_end_is_fine ? 0 : ERR_IO;
        request->transferred += (uint64_t)moved;
        skip += (size_t)moved;
    }
}

static int file_load(const struct disk_request *request, size_t first, size_t skip, struct iovec *vector)
{
    int count = 0;
    for (size_t i = first; i < request->span_count && count < FILE_SPANS_MAX; i++, count++) {
        vector[count].iov_base = request->spans[i].ptr + skip;
        vector[count].iov_len = request->spans[i].len - skip;
        skip = 0;
    }
    return count;
}

static int file_read_span(int fd, const struct disk_span *span)
{
    for (size_t done = 0; done < span->len;) {
        ssize_t got = pread(fd, span->ptr + done, span->len - done, (off_t)(span->offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_error(errno);
        if (got == 0)
            return ERR_IO;
        done += (size_t)got;
    }
    return 0;
}

static int file_write_zeros(int fd, uint64_t from, uint64_t to)
{
    char *zeros = mem_alloc_zero(FILE_ALLOCATE_SLICE);
    struct disk_file file = {.fd = fd};
    int error = 0;
    while (from < to && !error) {
        struct disk_span span = {.ptr = zeros, .len = FILE_ALLOCATE_SLICE};
        if (to - from < span.len)
            span.len = (size_t)(to - from);
        struct disk_request slice = {.offset = from, .spans = &span, .span_count = 1, .flags = DISK_FLAG_SYNC};
        error = file_write(&file, &slice);
        from += span.len;
    }
    mem_free(zeros);
    return error;
}

static int file_collect(DIR *folder, struct buffer *names, size_t *ret_count)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry)
            return errno ? file_error(errno) : 0;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        int error = buffer_append(names, bytes_make(name, strlen(name) + 1));
        if (error)
            return ERR_IO;
        (*ret_count)++;
    }
}

// One new allocation with the same names in order.
static char *file_sort(struct buffer *names, size_t count)
{
    const char **index = mem_alloc(count * sizeof(*index));
    const char *name = names->ptr;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1)
        index[i] = name;
    qsort(index, count, sizeof(*index), file_compare);
    char *sorted = mem_alloc(names->len);
    char *out = sorted;
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(index[i]) + 1;
        memcpy(out, index[i], size);
        out += size;
    }
    mem_free(index);
    return sorted;
}

static int file_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}
