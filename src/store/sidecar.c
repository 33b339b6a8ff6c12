// SPDX-License-Identifier: Apache-2.0
#include "store/sidecar.h"

#include <stdio.h>

#include "base/endian.h"
#include "base/hash.h"
#include "base/memory.h"
#include "store/log_file.h"

#define SIDECAR_MAGIC     "WEIRIDX1"
#define SIDECAR_END_MAGIC "WEIRIEND"

// See FORMAT.md, "Sidecars".
enum {
    SIDECAR_FORMAT = 1,
    HEAD_FORMAT = 8,
    HEAD_MINIMUM_READER = 12,
    HEAD_FILE = 16,
    TRAILER_FILE = 0,
    TRAILER_HEADER_CHECK = 8,
    TRAILER_VALID = 16,
    TRAILER_FIRST_INDEX = 24,
    TRAILER_LAST_INDEX = 32,
    TRAILER_MESSAGES = 40,
    TRAILER_IDS_OFFSET = 48,
    TRAILER_IDS_BYTES = 56,
    TRAILER_IDS_UNTIL = 64,
    TRAILER_RUNS_CHECK = 72,
    TRAILER_IDS_CHECK = 80,
    TRAILER_BYTES = 88,
    TRAILER_MINIMUM_READER = 96,
    TRAILER_MAGIC = 112,
    TRAILER_CHECK = 120,
};

static int read_at(struct disk *disk, struct disk_file *file, uint64_t offset, char *to, size_t len);
static int open_sidecar(struct disk *disk, uint64_t file, struct disk_file **ret_handle);
static int read_section(struct disk *disk, struct disk_file *handle, uint64_t offset, uint64_t len, uint64_t check,
                        char **ret_section);
static int verify_runs(const struct sidecar_info *info, const char *runs);

void sidecar_name(uint64_t file, char ret_path[STORE_PATH_BYTES])
{
    snprintf(ret_path, STORE_PATH_BYTES, "wal/%016llx.idx", (unsigned long long)file);
}

int sidecar_parse_name(const char *name, uint64_t *ret_file, bool *ret_temporary)
{
    // As the name of a log file, but for the suffix.
    char other[LOG_FILE_NAME_MAX];
    size_t len = strlen(name);
    *ret_temporary = len == 24 && strcmp(name + 16, ".idx.tmp") == 0;
    if (!*ret_temporary && (len != 20 || strcmp(name + 16, ".idx") != 0)) {
        return ERR_NOT_OURS;
    }
    snprintf(other, sizeof(other), "%.16s.wal", name);
    return log_file_parse_name(other, ret_file);
}

void sidecar_head_encode(uint64_t file, char to[SIDECAR_HEAD_SIZE])
{
    memset(to, 0, SIDECAR_HEAD_SIZE);
    memcpy(to, SIDECAR_MAGIC, 8);
    put_u32(to + HEAD_FORMAT, SIDECAR_FORMAT);
    put_u32(to + HEAD_MINIMUM_READER, SIDECAR_FORMAT);
    put_u64(to + HEAD_FILE, file);
}

void sidecar_run_encode(const struct index_piece *piece, char to[SIDECAR_RUN_SIZE])
{
    put_u32(to, piece->stream);
    put_u32(to + 4, piece->count);
    put_u64(to + 8, piece->first);
    put_u64(to + 16, piece->time_ns);
}

void sidecar_trailer_encode(const struct sidecar_info *info, char to[SIDECAR_TRAILER_SIZE])
{
    memset(to, 0, SIDECAR_TRAILER_SIZE);
    put_u64(to + TRAILER_FILE, info->file);
    put_u64(to + TRAILER_HEADER_CHECK, info->header_check);
    put_u64(to + TRAILER_VALID, info->valid);
    put_u64(to + TRAILER_FIRST_INDEX, info->first_index);
    put_u64(to + TRAILER_LAST_INDEX, info->last_index);
    put_u64(to + TRAILER_MESSAGES, info->messages);
    put_u64(to + TRAILER_IDS_OFFSET, info->ids_offset);
    put_u64(to + TRAILER_IDS_BYTES, info->ids_bytes);
    put_u64(to + TRAILER_IDS_UNTIL, info->ids_until_ns);
    put_u64(to + TRAILER_RUNS_CHECK, info->runs_check);
    put_u64(to + TRAILER_IDS_CHECK, info->ids_check);
    put_u64(to + TRAILER_BYTES, info->ids_offset + info->ids_bytes + SIDECAR_TRAILER_SIZE);
    put_u32(to + TRAILER_MINIMUM_READER, SIDECAR_FORMAT);
    memcpy(to + TRAILER_MAGIC, SIDECAR_END_MAGIC, 8);
    put_u64(to + TRAILER_CHECK, hash_bytes(bytes_make(to, TRAILER_CHECK), 0));
}

int sidecar_trailer_decode(const char from[SIDECAR_TRAILER_SIZE], uint64_t file, uint64_t bytes,
                           struct sidecar_info *ret_info)
{
    if (memcmp(from + TRAILER_MAGIC, SIDECAR_END_MAGIC, 8) != 0 || get_u64(from + TRAILER_FILE) != file ||
        get_u64(from + TRAILER_CHECK) != hash_bytes(bytes_make(from, TRAILER_CHECK), 0) ||
        get_u64(from + TRAILER_BYTES) != bytes) {
        return ERR_CORRUPT;
    }
    if (get_u32(from + TRAILER_MINIMUM_READER) > SIDECAR_FORMAT) {
        return ERR_NEWER;
    }
    *ret_info = (struct sidecar_info){
        .file = file,
        .header_check = get_u64(from + TRAILER_HEADER_CHECK),
        .valid = get_u64(from + TRAILER_VALID),
        .first_index = get_u64(from + TRAILER_FIRST_INDEX),
        .last_index = get_u64(from + TRAILER_LAST_INDEX),
        .messages = get_u64(from + TRAILER_MESSAGES),
        .ids_offset = get_u64(from + TRAILER_IDS_OFFSET),
        .ids_bytes = get_u64(from + TRAILER_IDS_BYTES),
        .ids_until_ns = get_u64(from + TRAILER_IDS_UNTIL),
        .runs_check = get_u64(from + TRAILER_RUNS_CHECK),
        .ids_check = get_u64(from + TRAILER_IDS_CHECK),
    };
    const struct sidecar_info *info = ret_info;
    bool fits = info->ids_offset >= SIDECAR_HEAD_SIZE && info->ids_offset <= bytes &&
                info->ids_bytes == bytes - info->ids_offset - SIDECAR_TRAILER_SIZE && info->first_index > 0 &&
                info->first_index <= info->last_index;
    return fits ? 0 : ERR_CORRUPT;
}

uint64_t sidecar_check(struct bytes pieces, uint64_t seed)
{
    while (pieces.len > 0) {
        size_t len = pieces.len < SIDECAR_CHECK_BYTES ? pieces.len : SIDECAR_CHECK_BYTES;
        seed = hash_bytes(bytes_make(pieces.ptr, len), seed);
        pieces = bytes_skip(pieces, len);
    }
    return seed;
}

int sidecar_look(struct disk *disk, uint64_t file, struct sidecar_info *ret_info)
{
    struct disk_file *handle;
    char trailer[SIDECAR_TRAILER_SIZE];
    int error = open_sidecar(disk, file, &handle);
    if (error) {
        return error;
    }
    struct disk_request size = {.op = DISK_SIZE, .file = handle};
    error = disk_run(disk, &size);
    if (!error && size.transferred < SIDECAR_HEAD_SIZE + SIDECAR_TRAILER_SIZE) {
        error = ERR_CORRUPT;
    }
    if (!error) {
        error = read_at(disk, handle, size.transferred - sizeof(trailer), trailer, sizeof(trailer));
    }
    struct disk_request close = {.op = DISK_CLOSE, .file = handle};
    disk_run(disk, &close);
    return error ? error : sidecar_trailer_decode(trailer, file, size.transferred, ret_info);
}

int sidecar_read(struct disk *disk, const struct sidecar_info *info, bool with_ids, char **ret_runs, char **ret_ids)
{
    struct disk_file *handle;
    *ret_runs = *ret_ids = NULL;
    int error = open_sidecar(disk, info->file, &handle);
    if (error) {
        return error;
    }
    error =
        read_section(disk, handle, SIDECAR_HEAD_SIZE, info->ids_offset - SIDECAR_HEAD_SIZE, info->runs_check, ret_runs);
    if (!error) {
        error = verify_runs(info, *ret_runs);
    }
    if (!error && with_ids && info->ids_bytes > 0) {
        error = read_section(disk, handle, info->ids_offset, info->ids_bytes, info->ids_check, ret_ids);
    }
    struct disk_request close = {.op = DISK_CLOSE, .file = handle};
    disk_run(disk, &close);
    if (error) {
        mem_free(*ret_runs);
        *ret_runs = NULL;
    }
    return error;
}

bool sidecar_next_piece(const struct sidecar_info *info, const char *runs, uint64_t *position,
                        struct index_piece *ret_piece)
{
    uint64_t len = info->ids_offset - SIDECAR_HEAD_SIZE;
    if (len - *position < SIDECAR_RUN_SIZE) {
        return false;
    }
    const char *at = runs + *position;
    *ret_piece = (struct index_piece){
        .stream = get_u32(at),
        .count = get_u32(at + 4),
        .first = get_u64(at + 8),
        .time_ns = get_u64(at + 16),
        .entries = at + SIDECAR_RUN_SIZE,
    };
    uint64_t left = len - *position - SIDECAR_RUN_SIZE;
    if (ret_piece->count == 0 || ret_piece->count > INDEX_RUN_MAX || left < ret_piece->count * INDEX_ENTRY_SIZE) {
        return false;
    }
    *position += SIDECAR_RUN_SIZE + ret_piece->count * INDEX_ENTRY_SIZE;
    return true;
}

static int read_at(struct disk *disk, struct disk_file *file, uint64_t offset, char *to, size_t len)
{
    struct disk_span span = {.ptr = to, .len = len};
    struct disk_request read = {.op = DISK_READ, .file = file, .offset = offset, .spans = &span, .span_count = 1};
    int error = disk_run(disk, &read);
    return error == 0 && read.transferred != len ? ERR_CORRUPT : error;
}

static int open_sidecar(struct disk *disk, uint64_t file, struct disk_file **ret_handle)
{
    char path[STORE_PATH_BYTES];
    sidecar_name(file, path);
    struct disk_request open = {.op = DISK_OPEN, .flags = DISK_FLAG_READ_ONLY, .path = path};
    int error = disk_run(disk, &open);
    *ret_handle = open.file;
    return error;
}

static int read_section(struct disk *disk, struct disk_file *handle, uint64_t offset, uint64_t len, uint64_t check,
                        char **ret_section)
{
    char *section = mem_alloc(len + 1);
    int error = read_at(disk, handle, offset, section, len);
    if (error == 0 && sidecar_check(bytes_make(section, len), 0) != check) {
        error = ERR_CORRUPT;
    }
    if (error) {
        mem_free(section);
        section = NULL;
    }
    *ret_section = section;
    return error;
}

// What verifies was written by us; this keeps a mistake of ours from becoming more than a slow start.
static int verify_runs(const struct sidecar_info *info, const char *runs)
{
    uint64_t position = 0, messages = 0;
    struct index_piece piece;
    while (sidecar_next_piece(info, runs, &position, &piece)) {
        for (uint32_t i = 0; i < piece.count; i++) {
            const char *entry = piece.entries + (size_t)i * INDEX_ENTRY_SIZE;
            uint64_t size = get_u32(entry + 4);
            if (size > 0 && get_u32(entry) * UINT64_C(8) + size > info->valid) {
                return ERR_CORRUPT;
            }
            messages += size > 0;
        }
    }
    return position == info->ids_offset - SIDECAR_HEAD_SIZE && messages == info->messages ? 0 : ERR_CORRUPT;
}
