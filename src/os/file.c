// SPDX-License-Identifier: Apache-2.0
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
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
// Bytes that are read through, out of the cache, in the time that another system call takes.
#define FILE_READ_WORTH 4096

struct disk_file {
    int fd;        // owned
    int direct_fd; // owned; the same file with O_DIRECT, -1: the file system has none
    // The file system took O_DIRECT and then refused to do it. Any thread of the pool may find out, while others are at work: so
    // the descriptor stays open.
    atomic_bool is_direct_refused;
};

// Spans that one read can take.
struct file_window {
    size_t count;
    size_t wanted; // bytes of them
    size_t len;    // bytes to be read
};

typedef ssize_t file_transfer(int fd, const struct iovec *vector, int count, off_t offset);

static int file_move(int fd, struct disk_request *request, file_transfer *transfer, bool at_end_is_fine);
static int file_load(const struct disk_request *request, size_t first, size_t skip, struct iovec *vector);
static void file_read_direct(struct disk_file *file, struct disk_request *request, char *window);
static size_t file_spread(const struct disk_request *request, uint64_t from, struct bytes bytes);
static int file_read_span(int fd, const struct disk_span *span);
static size_t file_read_window(struct disk_file *file, const struct disk_request *request, size_t first, char *bounce);
static struct file_window file_window_from(const struct disk_request *request, size_t first, uint64_t start);
static size_t file_scatter(const struct disk_request *request, size_t first, uint64_t start, struct bytes window);
static bool file_is_direct(const struct disk_file *file);
static bool file_refuses_direct(struct disk_file *file, int number);
static uint64_t file_direct_bytes(const struct disk_file *file, const struct disk_request *request);
static int file_write_direct(struct disk_file *file, struct disk_request *request, uint64_t end, char *bounce);
static size_t file_gather(const struct disk_request *request, uint64_t from, uint64_t end, char *bounce);
static int file_write_zeros(struct disk_file *file, uint64_t from, uint64_t to);
static ssize_t file_write_slice(struct disk_file *file, const char *bytes, size_t len, uint64_t offset,
                                bool *ret_cached);
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
    atomic_init(&(*ret_file)->is_direct_refused, false);
    mode &= ~(O_CREAT | O_EXCL);
    (*ret_file)->direct_fd = openat(directory_fd, path, mode | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
    return 0;
}

int file_close(struct disk_file *file)
{
    if (file->direct_fd >= 0)
        close(file->direct_fd);
    int failed = close(file->fd);
    mem_free(file);
    return failed ? file_error(errno) : 0;
}

int file_write(struct disk_file *file, struct disk_request *request, char *bounce)
{
    int error = 0;
    uint64_t direct = bounce ? file_direct_bytes(file, request) : 0;
    if (direct > 0)
        error = file_write_direct(file, request, direct, bounce);
    bool cached = request->transferred < direct || direct == 0;
    if (!error)
        error = file_move(file->fd, request, pwritev, false);
    if (!error && ((request->flags & DISK_FLAG_SYNC) || ((request->flags & DISK_FLAG_SOON) && cached)))
        error = file_sync(file);
    return error;
}

int file_read(struct disk_file *file, struct disk_request *request, char *window)
{
    if (window && (request->flags & DISK_FLAG_AROUND))
        file_read_direct(file, request, window);
    return file_move(file->fd, request, preadv, true);
}

int file_read_each(struct disk_file *file, struct disk_request *request, char *bounce)
{
    for (size_t i = 0; i < request->span_count;) {
        size_t count = bounce ? file_read_window(file, request, i, bounce) : 0;
        if (count == 0) {
            int error = file_read_span(file->fd, &request->spans[i]);
            if (error)
                return error;
            count = 1;
        }
        while (count-- > 0)
            request->transferred += request->spans[i++].len;
    }
    return 0;
}

int file_sync(struct disk_file *file)
{
    // ENOSPC of a delayed allocation included: what is stored is unknown, unlike after a write that found no space.
    return fdatasync(file->fd) ? ERR_IO : 0;
}

int file_allocate(struct disk_file *file, uint64_t length)
{
    uint64_t before;
    int error = file_size(file, &before);
    if (error || before >= length)
        return error;
    // Asks for all the space at once, so that it lies together and its lack shows before anything is written. Not every
    // file system can; the zeros below do it as well.
    bool refused = fallocate(file->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)length) != 0;
    refused = refused && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINTR;
    error = refused ? file_error(errno) : file_write_zeros(file, before, length);
    // Also gives back what a fallocate() that failed has taken behind the end.
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

// Moves what is left of the spans, from request->transferred on. A short transfer goes on where it stopped; a read that gives
// nothing is at the end of the file, a write that gives nothing would go round for ever.
static int file_move(int fd, struct disk_request *request, file_transfer *transfer, bool at_end_is_fine)
{
    size_t index = 0;
    size_t skip = (size_t)request->transferred; // bytes from spans[index] on that are done
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

// Reads what can be read around the cache; request->transferred says how far that came, and the caller does the rest. So does
// an error: it will show again.
static void file_read_direct(struct disk_file *file, struct disk_request *request, char *window)
{
    uint64_t len = 0;
    for (size_t i = 0; i < request->span_count; i++)
        len += request->spans[i].len;
    while (request->transferred < len && file_is_direct(file)) {
        uint64_t from = request->offset + request->transferred, start = from / FILE_BLOCK * FILE_BLOCK;
        uint64_t end = (request->offset + len + FILE_BLOCK - 1) / FILE_BLOCK * FILE_BLOCK;
        size_t most = end - start < FILE_WINDOW_SIZE ? (size_t)(end - start) : FILE_WINDOW_SIZE;
        ssize_t got = pread(file->direct_fd, window, most, (off_t)start);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            (void)file_refuses_direct(file, errno);
        if (got <= (ssize_t)(from - start))
            return;
        struct bytes bytes = bytes_skip(bytes_make(window, (size_t)got), (size_t)(from - start));
        request->transferred += file_spread(request, request->transferred, bytes);
        if ((size_t)got < most)
            return; // the end of the file, which is for the caller to find
    }
}

// Copies bytes to where they belong, the first being byte `from` of the spans; returns how many the spans took.
static size_t file_spread(const struct disk_request *request, uint64_t from, struct bytes bytes)
{
    size_t done = 0;
    for (size_t i = 0; i < request->span_count && done < bytes.len; i++) {
        const struct disk_span *span = &request->spans[i];
        if (from >= span->len) {
            from -= span->len;
            continue;
        }
        size_t room = span->len - (size_t)from, n = bytes.len - done < room ? bytes.len - done : room;
        memcpy(span->ptr + from, bytes.ptr + done, n);
        done += n;
        from = 0;
    }
    return done;
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

// Reads the spans from `first` on that lie close together with one read, around the cache if most of it is wanted. Returns how
// many; 0: they do not, or it cannot be.
static size_t file_read_window(struct disk_file *file, const struct disk_request *request, size_t first, char *bounce)
{
    uint64_t start = request->spans[first].offset / FILE_BLOCK * FILE_BLOCK;
    struct file_window window = file_window_from(request, first, start);
    ssize_t got = 0;
    if (window.count > 0 && file_is_direct(file) && window.wanted * 2 >= window.len)
        got = pread(file->direct_fd, bounce, window.len, (off_t)start);
    else if (window.count > 1 && window.len <= window.count * FILE_READ_WORTH)
        got = pread(file->fd, bounce, window.len, (off_t)start);
    return got > 0 ? file_scatter(request, first, start, bytes_make(bounce, (size_t)got)) : 0;
}

// The spans in ascending order that the bounce buffer can take.
static struct file_window file_window_from(const struct disk_request *request, size_t first, uint64_t start)
{
    struct file_window window = {0};
    uint64_t end = start;
    for (size_t i = first; i < request->span_count; i++) {
        const struct disk_span *span = &request->spans[i];
        if (span->offset < end || span->offset + span->len > start + FILE_BOUNCE_SIZE)
            break;
        end = span->offset + span->len;
        window.wanted += span->len;
        window.count++;
    }
    window.len = (size_t)((end - start + FILE_BLOCK - 1) / FILE_BLOCK * FILE_BLOCK);
    return window;
}

// Copies out what the spans want of the window; returns how many lie wholly in it.
static size_t file_scatter(const struct disk_request *request, size_t first, uint64_t start, struct bytes window)
{
    size_t i = first;
    for (; i < request->span_count; i++) {
        const struct disk_span *span = &request->spans[i];
        if (span->offset < start || span->offset + span->len > start + window.len)
            break;
        memcpy(span->ptr, window.ptr + (span->offset - start), span->len);
    }
    return i - first;
}

static bool file_is_direct(const struct disk_file *file)
{
    return file->direct_fd >= 0 && !atomic_load_explicit(&file->is_direct_refused, memory_order_relaxed);
}

// Whether a write or read around the cache failed only because it was one. EINVAL may mean this one write; the others mean all.
static bool file_refuses_direct(struct disk_file *file, int number)
{
    if (number != EINVAL && number != EOPNOTSUPP && number != ENOSYS)
        return false;
    if (number != EINVAL)
        atomic_store_explicit(&file->is_direct_refused, true, memory_order_relaxed);
    return true;
}

// How much of a write goes around the cache: whole blocks of what is to be on the device at once. The rest had better stay in
// the cache, where the kernel can gather it.
static uint64_t file_direct_bytes(const struct disk_file *file, const struct disk_request *request)
{
    uint64_t len = 0;
    for (size_t i = 0; i < request->span_count; i++)
        len += request->spans[i].len;
    bool now = (request->flags & (DISK_FLAG_SYNC | DISK_FLAG_SOON)) != 0;
    return now && file_is_direct(file) && request->offset % FILE_BLOCK == 0 ? len / FILE_BLOCK * FILE_BLOCK : 0;
}

// Writes the first `end` bytes. What does not go around the cache, for whatever reason but an error of the device, is left to
// the caller: request->transferred says how far this came.
static int file_write_direct(struct disk_file *file, struct disk_request *request, uint64_t end, char *bounce)
{
    for (;;) {
        size_t len = file_gather(request, request->transferred, end, bounce);
        if (len == 0)
            return 0;
        ssize_t written = pwrite(file->direct_fd, bounce, len, (off_t)(request->offset + request->transferred));
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return file_refuses_direct(file, errno) ? 0 : file_error(errno);
        request->transferred += (uint64_t)written;
        if ((size_t)written < len)
            return 0;
    }
}

// Copies the spans' bytes [from, end), as many as the bounce buffer takes.
static size_t file_gather(const struct disk_request *request, uint64_t from, uint64_t end, char *bounce)
{
    size_t used = 0, most = end - from < FILE_BOUNCE_SIZE ? (size_t)(end - from) : FILE_BOUNCE_SIZE;
    for (size_t i = 0; i < request->span_count && used < most; i++) {
        const struct disk_span *span = &request->spans[i];
        if (from >= span->len) {
            from -= span->len;
            continue;
        }
        size_t len = span->len - (size_t)from;
        if (len > most - used)
            len = most - used;
        memcpy(bounce + used, span->ptr + from, len);
        used += len;
        from = 0;
    }
    return used;
}

static int file_write_zeros(struct disk_file *file, uint64_t from, uint64_t to)
{
    char *zeros = mem_alloc_aligned(FILE_BLOCK, FILE_ALLOCATE_SLICE);
    memset(zeros, 0, FILE_ALLOCATE_SLICE);
    int error = 0;
    while (from < to && !error) {
        bool cached;
        size_t len = to - from < FILE_ALLOCATE_SLICE ? (size_t)(to - from) : FILE_ALLOCATE_SLICE;
        ssize_t written = file_write_slice(file, zeros, len, from, &cached);
        if (written < 0 && errno == EINTR)
            continue;
        error = written < 0 ? file_error(errno) : written == 0 ? ERR_IO : cached ? file_sync(file) : 0;
        from += written > 0 ? (uint64_t)written : 0;
    }
    mem_free(zeros);
    return error;
}

static ssize_t file_write_slice(struct disk_file *file, const char *bytes, size_t len, uint64_t offset,
                                bool *ret_cached)
{
    size_t blocks = len - len % FILE_BLOCK;
    *ret_cached = false;
    if (file_is_direct(file) && blocks > 0 && offset % FILE_BLOCK == 0) {
        ssize_t written = pwrite(file->direct_fd, bytes, blocks, (off_t)offset);
        if (written >= 0 || !file_refuses_direct(file, errno))
            return written;
    }
    *ret_cached = true;
    return pwrite(file->fd, bytes, len, (off_t)offset);
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
