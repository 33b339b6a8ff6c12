// SPDX-License-Identifier: Apache-2.0
#include "os/log_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "os/file.h"

// ".2026.11.23.08.00.00.000000000"
#define LOG_FILE_STAMP_LEN 30

static int log_file_create(const char *path, int *ret_fd, uint64_t *ret_size);
static void log_file_stamp(char *stamp, size_t size);
static void log_file_prune(const struct log_file *file);
static bool log_file_is_backup(const char *name, const char *base);

int log_file_open(struct log_file *file, const char *path, uint64_t size_limit, uint32_t max_files)
{
    if (strlen(path) + LOG_FILE_STAMP_LEN >= LOG_FILE_PATH_SIZE)
        return ERR_TOO_BIG;
    int fd;
    uint64_t size;
    int error = log_file_create(path, &fd, &size);
    if (error)
        return error;
    *file = (struct log_file){
        .fd = fd,
        .path = mem_copy_string(bytes_from_string(path)),
        .size = size,
        .size_limit = size_limit,
        .max_files = max_files,
    };
    return 0;
}

void log_file_close(struct log_file *file)
{
    if (file->fd < 0)
        return;
    close(file->fd);
    mem_free(file->path);
    file->fd = -1;
    file->path = NULL;
}

int log_file_rotate(struct log_file *file, char ret_backup[LOG_FILE_PATH_SIZE])
{
    char stamp[LOG_FILE_STAMP_LEN + 1];
    log_file_stamp(stamp, sizeof(stamp));
    char backup[LOG_FILE_PATH_SIZE];
    snprintf(backup, sizeof(backup), "%s%s", file->path, stamp);
    int fd;
    uint64_t size;
    int error = rename(file->path, backup) == 0 ? 0 : file_error(errno);
    if (!error)
        error = log_file_create(file->path, &fd, &size);
    if (error) {
        file->rotation_failed = true;
        return error;
    }
    close(file->fd);
    file->fd = fd;
    file->size = size;
    memcpy(ret_backup, backup, sizeof(backup));
    log_file_prune(file);
    return 0;
}

static int log_file_create(const char *path, int *ret_fd, uint64_t *ret_size)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return file_error(errno);
    struct stat status;
    *ret_size = fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0;
    *ret_fd = fd;
    return 0;
}

static void log_file_stamp(char *stamp, size_t size)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm local;
    localtime_r(&now.tv_sec, &local);
    char date[24];
    strftime(date, sizeof(date), "%Y.%m.%d.%H.%M.%S", &local);
    snprintf(stamp, size, ".%s.%09ld", date, now.tv_nsec);
}

// Removes the oldest backup until no more than max_files - 1 are left: their names sort by time. There is one too many at most,
// unless somebody lowered the number, so looking through the folder again for each costs nothing.
static void log_file_prune(const struct log_file *file)
{
    char folder[LOG_FILE_PATH_SIZE];
    snprintf(folder, sizeof(folder), "%s", file->path);
    char *slash = strrchr(folder, '/');
    const char *base = slash ? slash + 1 : folder;
    int folder_fd = -1;
    if (slash)
        slash[0] = '\0';
    folder_fd = open(!slash ? "." : slash == folder ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0)
        return;
    for (uint32_t count = UINT32_MAX; file->max_files > 0 && count > file->max_files;) {
        int list_fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *list = list_fd < 0 ? NULL : fdopendir(list_fd);
        if (!list)
            break;
        char oldest[NAME_MAX + 1] = "";
        count = 1;
        for (struct dirent *entry; (entry = readdir(list));) {
            if (!log_file_is_backup(entry->d_name, base))
                continue;
            count++;
            if (oldest[0] == '\0' || strcmp(entry->d_name, oldest) < 0)
                snprintf(oldest, sizeof(oldest), "%s", entry->d_name);
        }
        closedir(list);
        if (count > file->max_files && unlinkat(folder_fd, oldest, 0) != 0)
            break;
    }
    close(folder_fd);
}

static bool log_file_is_backup(const char *name, const char *base)
{
    size_t len = strlen(base);
    if (strncmp(name, base, len) != 0 || strlen(name) != len + LOG_FILE_STAMP_LEN)
        return false;
    return strspn(name + len, "0123456789.") == LOG_FILE_STAMP_LEN;
}
