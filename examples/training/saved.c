// SPDX-License-Identifier: Apache-2.0
// link() gives a file its name only if nobody has it, rename() whoever has it: both at once or not at all.
#include "saved.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static const char magic[8] = {'W', 'E', 'I', 'R', 'T', 'R', 'N', '1'};
enum { PREFIX_BYTES = 16, CHECK_BYTES = 4 };

#define SUFFIX ".tmp.XXXXXX" // of which mkostemp() changes the six letters
enum { SUFFIX_LETTERS = 5 };

static int read_file(const char *path, uint8_t **ret_bytes, size_t *ret_count, struct complaint *ret_complaint);
static int decode(const char *path, const uint8_t *bytes, size_t count, struct saved *ret_saved,
                  struct complaint *ret_complaint);
static int write_file(const char *path, const void *bytes, size_t count, enum saved_when when,
                      struct complaint *ret_complaint);
static int open_temporary(const char *path, char temporary[PATH_MAX]);
static void remove_if_nobodys(int folder, const char *name);
static int write_all(int fd, const uint8_t *bytes, size_t count);
static int sync_folder(const char *path);

static void put_u32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

int saved_read(const char *path, struct saved *ret_saved, struct complaint *ret_complaint)
{
    uint8_t *bytes = NULL;
    size_t count = 0;
    if (read_file(path, &bytes, &count, ret_complaint))
        return -1;
    int result = decode(path, bytes, count, ret_saved, ret_complaint);
    free(bytes);
    return result;
}

void saved_deinit(struct saved *saved)
{
    json_decref(saved->head);
    free(saved->weights);
    *saved = (struct saved){0};
}

int saved_write(const char *path, const struct saved *saved, enum saved_when when, struct complaint *ret_complaint)
{
    char *head = json_dumps(saved->head, JSON_COMPACT);
    size_t head_bytes = head ? strlen(head) : 0, count = PREFIX_BYTES + head_bytes + 4 * saved->weights_count;
    if (head_bytes == 0 || head_bytes > SAVED_HEAD_MAX || saved->weights_count > SAVED_WEIGHTS_MAX) {
        free(head);
        return complaint_set(ret_complaint, "%s: larger than a file of weights may be", path);
    }
    uint8_t *bytes = complaint_alloc(count + CHECK_BYTES, 1), *weights = bytes + PREFIX_BYTES + head_bytes;
    memcpy(bytes, magic, sizeof(magic));
    put_u32(bytes + 8, (uint32_t)head_bytes);
    put_u32(bytes + 12, (uint32_t)saved->weights_count);
    memcpy(bytes + PREFIX_BYTES, head, head_bytes);
    for (size_t i = 0; i < saved->weights_count; i++) {
        uint32_t bits;
        memcpy(&bits, &saved->weights[i], sizeof(bits));
        put_u32(weights + 4 * i, bits);
    }
    put_u32(bytes + count, (uint32_t)crc32_z(0, bytes, count));
    int result = write_file(path, bytes, count + CHECK_BYTES, when, ret_complaint);
    free(bytes);
    free(head);
    return result;
}

int saved_write_text(const char *path, const char *text, enum saved_when when, struct complaint *ret_complaint)
{
    return write_file(path, text, strlen(text), when, ret_complaint);
}

void saved_clean(const char *path)
{
    char folder_copy[PATH_MAX], name_copy[PATH_MAX];
    snprintf(folder_copy, sizeof(folder_copy), "%s", path);
    snprintf(name_copy, sizeof(name_copy), "%s", path);
    const char *name = basename(name_copy);
    size_t len = strlen(name);
    DIR *folder = opendir(dirname(folder_copy));
    if (!folder)
        return;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        const char *rest = entry->d_name + len;
        if (strncmp(entry->d_name, name, len) == 0 && strncmp(rest, SUFFIX, SUFFIX_LETTERS) == 0 &&
            strlen(rest) == strlen(SUFFIX))
            remove_if_nobodys(dirfd(folder), entry->d_name);
    }
    closedir(folder);
}

static int read_file(const char *path, uint8_t **ret_bytes, size_t *ret_count, struct complaint *ret_complaint)
{
    const size_t max = PREFIX_BYTES + SAVED_HEAD_MAX + 4 * (size_t)SAVED_WEIGHTS_MAX + CHECK_BYTES;
    struct stat stat;
    FILE *file = fopen(path, "rbe");
    if (!file)
        return complaint_set(ret_complaint, "%s: %s", path, strerror(errno));
    if (fstat(fileno(file), &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_size <= 0 || (size_t)stat.st_size > max) {
        fclose(file);
        return complaint_set(ret_complaint, "%s: no file of weights", path);
    }
    size_t count = (size_t)stat.st_size;
    uint8_t *bytes = complaint_alloc(count, 1);
    size_t got = fread(bytes, 1, count, file);
    fclose(file);
    if (got != count) {
        free(bytes);
        return complaint_set(ret_complaint, "%s: cannot be read", path);
    }
    *ret_bytes = bytes;
    *ret_count = count;
    return 0;
}

static int decode(const char *path, const uint8_t *bytes, size_t count, struct saved *ret_saved,
                  struct complaint *ret_complaint)
{
    json_error_t error;
    if (count < PREFIX_BYTES + CHECK_BYTES || memcmp(bytes, magic, sizeof(magic)) != 0)
        return complaint_set(ret_complaint, "%s: no file of weights", path);
    size_t head_bytes = get_u32(bytes + 8), weights_count = get_u32(bytes + 12);
    if (head_bytes > SAVED_HEAD_MAX || weights_count > SAVED_WEIGHTS_MAX ||
        count != PREFIX_BYTES + head_bytes + 4 * weights_count + CHECK_BYTES ||
        get_u32(bytes + count - CHECK_BYTES) != crc32_z(0, bytes, count - CHECK_BYTES))
        return complaint_set(ret_complaint, "%s: damaged", path);
    json_t *head = json_loadb((const char *)bytes + PREFIX_BYTES, head_bytes, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(head)) {
        json_decref(head);
        return complaint_set(ret_complaint, "%s: damaged", path);
    }
    *ret_saved = (struct saved){head, complaint_alloc(weights_count, sizeof(float)), weights_count};
    for (size_t i = 0; i < weights_count; i++) {
        uint32_t bits = get_u32(bytes + PREFIX_BYTES + head_bytes + 4 * i);
        memcpy(&ret_saved->weights[i], &bits, sizeof(bits));
    }
    return 0;
}

static int write_file(const char *path, const void *bytes, size_t count, enum saved_when when,
                      struct complaint *ret_complaint)
{
    char temporary[PATH_MAX];
    int fd = open_temporary(path, temporary);
    if (fd < 0)
        return complaint_set(ret_complaint, "%s: %s", temporary, strerror(errno));
    // It was made for us alone; a model is for everybody whom the folder lets in.
    int result = fchmod(fd, 0644) != 0 || write_all(fd, bytes, count) != 0 || fsync(fd) != 0 ? -1 : 0;
    if (!result)
        result = when == SAVED_ONCE ? link(temporary, path) : rename(temporary, path);
    int error = errno;
    close(fd);
    if (result || when == SAVED_ONCE)
        unlink(temporary);
    if (result)
        return error == EEXIST ? 1 : complaint_set(ret_complaint, "%s: %s", path, strerror(error));
    return sync_folder(path) ? complaint_set(ret_complaint, "%s: its folder: %s", path, strerror(errno)) : 0;
}

// A new file, locked. Between the two somebody may have taken it for one that is nobody's: then another one is made.
static int open_temporary(const char *path, char temporary[PATH_MAX])
{
    for (;;) {
        struct stat stat;
        if ((size_t)snprintf(temporary, PATH_MAX, "%s" SUFFIX, path) >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
            return -1;
        // Where nothing can be locked it is not locked, and nobody removes it.
        if (flock(fd, LOCK_EX) != 0 || fstat(fd, &stat) != 0 || stat.st_nlink > 0)
            return fd;
        close(fd);
    }
}

static void remove_if_nobodys(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(folder, name, 0);
    close(fd);
}

static int write_all(int fd, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t done = write(fd, bytes, count);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        bytes += done;
        count -= (size_t)done;
    }
    return 0;
}

static int sync_folder(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = fsync(fd), error = errno;
    close(fd);
    errno = error;
    return result;
}
