// SPDX-License-Identifier: Apache-2.0
// tidy: prefix open openat open64 openat64
// A library for LD_PRELOAD that notes in a journal everything a process does to the files below one directory: writes,
// syncs, names. From a copy of the directory as it was and the journal, power_image.py builds what a power cut at that moment
// could have left. It can also make every sync take longer.
//
//   POWERCUT_DIR      the directory, an absolute path without symbolic links
//   POWERCUT_JOURNAL  the journal; made if missing, appended to
//   POWERCUT_DELAY    optional; a file: while it holds a number, every sync first waits for so many milliseconds
//   POWERCUT_AIM      optional; at which moment to kill the process: aim.h
//
// The journal: records of struct note, each followed by `size` bytes. A note is written when the operation has succeeded, so what
// was under way when the process was killed is missing: it was not synced. A sync notes its begin, too: it covers the writes
// noted before that. One lock orders the notes as the operations; around writes and syncs it is not held.
#undef _FILE_OFFSET_BITS // it would rename open() to open64(); here both are defined
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "aim.h"

enum { FD_MAX = 65536, PATH_SIZE = 4096 };

// What a note says, and what follows it.
enum note_kind {
    NOTE_OPEN = 'O',     // file: the number that later notes use; offset 1: created; the path, relative
    NOTE_WRITE = 'W',    // file, offset; the bytes
    NOTE_ZEROS = 'Z',    // file, offset, count: bytes that are zero
    NOTE_TRUNCATE = 'T', // file, offset: the new length
    NOTE_BEGIN = 'B',    // file: a sync begins; count: its number
    NOTE_END = 'E',      // file: it succeeded; count: its number
    NOTE_RENAME = 'R',   // old path, NUL, new path
    NOTE_UNLINK = 'U',   // path
    NOTE_MKDIR = 'M',    // path
};

struct note {
    uint8_t kind; // enum note_kind
    uint8_t zero[3];
    uint32_t file;
    uint64_t offset;
    uint64_t count;
    uint64_t size; // of what follows, in bytes
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal_fd = -1;
static const char *directory; // NULL: not asked for
static size_t directory_len;
static char *paths[FD_MAX];    // of these, relative: as they were opened
static uint32_t files[FD_MAX]; // descriptor → number of the open file, 0: not ours
static uint32_t files_opened;
static uint64_t syncs;

static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_renameat)(int, const char *, int, const char *);
static int (*real_unlinkat)(int, const char *, int);
static int (*real_mkdirat)(int, const char *, mode_t);

static void die(const char *what)
{
    dprintf(STDERR_FILENO, "powercut: %s\n", what);
    _exit(99);
}

static void *next_symbol(const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    if (!symbol)
        die(name);
    return symbol;
}

__attribute__((constructor)) static void start(void)
{
    *(void **)&real_openat = next_symbol("openat");
    *(void **)&real_close = next_symbol("close");
    *(void **)&real_write = next_symbol("write");
    *(void **)&real_pwrite = next_symbol("pwrite");
    *(void **)&real_pwritev = next_symbol("pwritev");
    *(void **)&real_fsync = next_symbol("fsync");
    *(void **)&real_fdatasync = next_symbol("fdatasync");
    *(void **)&real_ftruncate = next_symbol("ftruncate");
    *(void **)&real_renameat = next_symbol("renameat");
    *(void **)&real_unlinkat = next_symbol("unlinkat");
    *(void **)&real_mkdirat = next_symbol("mkdirat");
    const char *journal = getenv("POWERCUT_JOURNAL");
    const char *asked = getenv("POWERCUT_DIR");
    if (!journal || !asked)
        return;
    journal_fd = real_openat(AT_FDCWD, journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal_fd < 0)
        die("cannot open the journal");
    directory_len = strlen(asked);
    directory = asked;
    aim_start();
}

// The lock is held. One writev per note: a kill leaves it whole or not at all, but for a disk that is full.
static void note_append(enum note_kind kind, uint32_t file, uint64_t offset, uint64_t count, const struct iovec *parts,
                        int part_count)
{
    struct note note = {.kind = (uint8_t)kind, .file = file, .offset = offset, .count = count};
    struct iovec vector[1 + 8] = {{&note, sizeof(note)}};
    if (part_count > 8)
        die("a write in too many parts");
    for (int i = 0; i < part_count; i++) {
        vector[1 + i] = parts[i];
        note.size += parts[i].iov_len;
    }
    if (writev(journal_fd, vector, 1 + part_count) != (ssize_t)(sizeof(note) + note.size))
        die("cannot write to the journal");
}

static void note_text(enum note_kind kind, uint32_t file, uint64_t offset, const char *text, size_t len)
{
    struct iovec part = {(void *)(uintptr_t)text, len};
    note_append(kind, file, offset, 0, &part, 1);
}

// The path relative to the directory; false: it is not below it.
static bool path_resolve(int at, const char *path, char ret_path[PATH_SIZE])
{
    char full[PATH_SIZE * 2];
    char link[64], base[PATH_SIZE] = "";
    if (!directory)
        return false;
    if (path[0] != '/') {
        snprintf(link, sizeof(link), at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        ssize_t len = readlink(link, base, sizeof(base) - 1);
        if (len < 0)
            return false;
        base[len] = '\0';
    }
    snprintf(full, sizeof(full), path[0] == '/' ? "%s%s" : "%s/%s", base, path);
    if (strncmp(full, directory, directory_len) != 0 || (full[directory_len] != '/' && full[directory_len] != '\0'))
        return false;
    snprintf(ret_path, PATH_SIZE, "%s", full + directory_len + (full[directory_len] == '/'));
    return true;
}

static uint32_t file_of(int fd)
{
    return fd >= 0 && fd < FD_MAX ? __atomic_load_n(&files[fd], __ATOMIC_ACQUIRE) : 0;
}

static int file_open(int at, const char *path, int flags, mode_t mode)
{
    char relative[PATH_SIZE];
    if (!path_resolve(at, path, relative))
        return real_openat(at, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat status;
    bool new = (flags & O_CREAT) && fstatat(at, path, &status, AT_SYMLINK_NOFOLLOW) != 0;
    if (new)
        aim_name(false, "create", relative);
    int fd = real_openat(at, path, flags, mode);
    if (fd >= FD_MAX || ((flags & O_TRUNC) && fd >= 0 && !new))
        die("an open that is not foreseen");
    if (fd >= 0) {
        uint32_t number = ++files_opened;
        note_text(NOTE_OPEN, number, new, relative, strlen(relative));
        free(paths[fd]);
        paths[fd] = strdup(relative);
        __atomic_store_n(&files[fd], number, __ATOMIC_RELEASE);
    }
    if (new &&fd >= 0)
        aim_name(true, "create", relative);
    pthread_mutex_unlock(&lock);
    return fd;
}

static bool bytes_are_zero(const struct iovec *parts, int count)
{
    for (int i = 0; i < count; i++) {
        const char *bytes = parts[i].iov_base;
        if (parts[i].iov_len && (bytes[0] || memcmp(bytes, bytes + 1, parts[i].iov_len - 1) != 0))
            return false;
    }
    return true;
}

// What was written, `written` bytes of the parts.
static void note_write(int fd, const struct iovec *parts, int count, off_t offset, ssize_t written)
{
    struct iovec done[8];
    size_t left = (size_t)written;
    int used = 0;
    for (int i = 0; i < count && left > 0; i++) {
        if (used == 8)
            die("a write in too many parts");
        done[used] = parts[i];
        if (done[used].iov_len > left)
            done[used].iov_len = left;
        left -= done[used++].iov_len;
    }
    pthread_mutex_lock(&lock);
    if (bytes_are_zero(done, used))
        note_append(NOTE_ZEROS, file_of(fd), (uint64_t)offset, (uint64_t)written, NULL, 0);
    else
        note_append(NOTE_WRITE, file_of(fd), (uint64_t)offset, (uint64_t)written, done, used);
    pthread_mutex_unlock(&lock);
    aim_write(true, paths[fd], done, used, offset);
}

static void sync_delay(void)
{
    const char *path = getenv("POWERCUT_DELAY");
    int fd = path ? real_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    char text[16] = "";
    ssize_t len = read(fd, text, sizeof(text) - 1);
    real_close(fd);
    if (len > 0)
        (void)poll(NULL, 0, (int)strtol(text, NULL, 10));
}

static int file_sync(int fd, int (*sync)(int))
{
    uint32_t file = file_of(fd);
    if (!file)
        return sync(fd);
    pthread_mutex_lock(&lock);
    uint64_t number = ++syncs;
    note_append(NOTE_BEGIN, file, 0, number, NULL, 0);
    pthread_mutex_unlock(&lock);
    sync_delay();
    int failed = sync(fd);
    if (!failed) {
        pthread_mutex_lock(&lock);
        note_append(NOTE_END, file, 0, number, NULL, 0);
        pthread_mutex_unlock(&lock);
        aim_synced();
    }
    return failed;
}

// ---- what the process calls instead of libc

#define TAKE_MODE(mode, flags)                                                                                         \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                             \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode = va_arg(list, mode_t);                                                                                   \
        va_end(list);                                                                                                  \
    }

int open(const char *path, int flags, ...)
{
    TAKE_MODE(mode, flags)
    return file_open(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    TAKE_MODE(mode, flags)
    return file_open(at, path, flags, mode);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return file_open(AT_FDCWD, path, flags, 0);
}

int __openat_2(int at, const char *path, int flags);
int __openat_2(int at, const char *path, int flags)
{
    return file_open(at, path, flags, 0);
}

int close(int fd)
{
    if (file_of(fd))
        __atomic_store_n(&files[fd], 0, __ATOMIC_RELEASE);
    return real_close(fd);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    if (file_of(fd))
        die("write() to a file of the directory is not foreseen");
    return real_write(fd, bytes, len);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    struct iovec part = {(void *)(uintptr_t)bytes, len};
    if (file_of(fd))
        aim_write(false, paths[fd], &part, 1, offset);
    ssize_t written = real_pwrite(fd, bytes, len, offset);
    if (written > 0 && file_of(fd))
        note_write(fd, &part, 1, offset, written);
    return written;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    // So few that a note takes them; the caller goes on with the rest.
    if (file_of(fd) && count > 8)
        count = 8;
    if (file_of(fd))
        aim_write(false, paths[fd], parts, count, offset);
    ssize_t written = real_pwritev(fd, parts, count, offset);
    if (written > 0 && file_of(fd))
        note_write(fd, parts, count, offset, written);
    return written;
}

int fsync(int fd)
{
    return file_sync(fd, real_fsync);
}

int fdatasync(int fd)
{
    return file_sync(fd, real_fdatasync);
}

int ftruncate(int fd, off_t length)
{
    if (!file_of(fd))
        return real_ftruncate(fd, length);
    pthread_mutex_lock(&lock);
    aim_name(false, "truncate", paths[fd]);
    int failed = real_ftruncate(fd, length);
    if (!failed)
        note_append(NOTE_TRUNCATE, file_of(fd), (uint64_t)length, 0, NULL, 0);
    if (!failed)
        aim_name(true, "truncate", paths[fd]);
    pthread_mutex_unlock(&lock);
    return failed;
}

int renameat(int from, const char *old, int to, const char *new)
{
    char both[2 * PATH_SIZE], path[PATH_SIZE];
    bool ours = path_resolve(from, old, both);
    if (ours != path_resolve(to, new, path))
        die("a file renamed into the directory or out of it");
    if (!ours)
        return real_renameat(from, old, to, new);
    size_t len = strlen(both) + 1;
    memcpy(both + len, path, strlen(path));
    pthread_mutex_lock(&lock);
    aim_name(false, "rename", path);
    int failed = real_renameat(from, old, to, new);
    if (!failed) {
        note_text(NOTE_RENAME, 0, 0, both, len + strlen(path));
        aim_name(true, "rename", path);
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

int unlinkat(int at, const char *path, int flags)
{
    char relative[PATH_SIZE];
    if (!path_resolve(at, path, relative))
        return real_unlinkat(at, path, flags);
    pthread_mutex_lock(&lock);
    aim_name(false, "unlink", relative);
    int failed = real_unlinkat(at, path, flags);
    if (!failed) {
        note_text(NOTE_UNLINK, 0, 0, relative, strlen(relative));
        aim_name(true, "unlink", relative);
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

int mkdirat(int at, const char *path, mode_t mode)
{
    char relative[PATH_SIZE];
    if (!path_resolve(at, path, relative))
        return real_mkdirat(at, path, mode);
    pthread_mutex_lock(&lock);
    int failed = real_mkdirat(at, path, mode);
    if (!failed)
        note_text(NOTE_MKDIR, 0, 0, relative, strlen(relative));
    pthread_mutex_unlock(&lock);
    return failed;
}

// The names with which 64-bit offsets come; the same functions on our machines.
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int at, const char *path, int flags, ...) __attribute__((alias("openat")));
int __open64_2(const char *path, int flags) __attribute__((alias("__open_2")));
int __openat64_2(int at, const char *path, int flags) __attribute__((alias("__openat_2")));
ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t offset) __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) __attribute__((alias("pwritev")));
int ftruncate64(int fd, off_t length) __attribute__((alias("ftruncate")));
