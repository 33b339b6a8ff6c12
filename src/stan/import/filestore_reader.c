// SPDX-License-Identifier: Apache-2.0
#include "stan/import/filestore_reader.h"

#include <stdio.h>

#include "base/endian.h"
#include "base/memory.h"

enum { CHUNK = 1 << 20 }; // bytes read at a time

// What resync may check in a file, besides four times its size: seconds.
static const uint64_t CREDIT = 256ull << 20;

static bool fill(struct filestore_reader *reader, size_t need);
static void make_room(struct filestore_reader *reader, size_t need);
static enum filestore_finding look(struct filestore_reader *reader, struct filestore_frame *ret_frame);

void filestore_reader_init(struct filestore_reader *reader, struct disk *disk)
{
    *reader = (struct filestore_reader){.disk = disk};
}

void filestore_reader_deinit(struct filestore_reader *reader)
{
    filestore_reader_close(reader);
    mem_free(reader->window);
    reader->window = NULL;
}

int filestore_reader_open(struct filestore_reader *reader, const char *path, bool typed,
                          const struct filestore_crc *crc)
{
    filestore_reader_close(reader);
    snprintf(reader->path, sizeof(reader->path), "%s", path);
    struct disk_request request = {.op = DISK_OPEN, .path = reader->path, .flags = DISK_FLAG_READ_ONLY};
    int error = disk_run(reader->disk, &request);
    if (error)
        return error;
    reader->file = request.file;
    request = (struct disk_request){.op = DISK_SIZE, .file = reader->file};
    error = disk_run(reader->disk, &request);
    if (error)
        return error;
    reader->size = request.transferred;
    reader->typed = typed;
    reader->crc = crc;
    reader->start = reader->end = reader->used = 0;
    reader->offset = reader->read_to = 0;
    reader->error = 0;
    reader->credit = CREDIT + 4 * reader->size;
    if (!fill(reader, FILESTORE_VERSION_SIZE))
        return reader->error ? reader->error : ERR_CORRUPT;
    if (get_u32(reader->window) != FILESTORE_VERSION)
        return ERR_CORRUPT;
    reader->used = FILESTORE_VERSION_SIZE;
    return 0;
}

void filestore_reader_close(struct filestore_reader *reader)
{
    if (!reader->file)
        return;
    struct disk_request request = {.op = DISK_CLOSE, .file = reader->file};
    (void)!disk_run(reader->disk, &request); // only read from
    reader->file = NULL;
}

enum filestore_finding filestore_reader_next(struct filestore_reader *reader, struct filestore_frame *ret_frame)
{
    reader->start += reader->used;
    reader->offset += reader->used;
    reader->used = 0;
    return look(reader, ret_frame);
}

bool filestore_reader_rest_is_blank(struct filestore_reader *reader)
{
    for (;;) {
        size_t left = reader->end - reader->start;
        for (size_t i = 0; i < left; i++) {
            if (reader->window[reader->start + i])
                return false;
        }
        if (reader->read_to == reader->size)
            return true;
        size_t past = left > FILESTORE_HEADER_SIZE ? left - FILESTORE_HEADER_SIZE : 0; // a record may begin with zeros
        reader->start += past;
        reader->offset += past;
        if (!fill(reader, FILESTORE_HEADER_SIZE + 1) && reader->error)
            return false;
    }
}

enum filestore_finding filestore_reader_resync(struct filestore_reader *reader,
                                               bool (*plausible)(const void *owner, struct bytes bytes),
                                               const void *owner, struct filestore_frame *ret_frame)
{
    reader->used = 0;
    for (;;) {
        if (reader->start < reader->end) {
            reader->start++;
            reader->offset++;
        }
        (void)fill(reader, FILESTORE_GLANCE);
        size_t left = reader->end - reader->start;
        if (left < FILESTORE_HEADER_SIZE)
            return FILESTORE_END;
        struct bytes glance = bytes_make(reader->window + reader->start, left);
        if (glance.len > FILESTORE_GLANCE)
            glance.len = FILESTORE_GLANCE;
        if (plausible(owner, glance)) {
            if (look(reader, ret_frame) == FILESTORE_RECORD)
                return FILESTORE_RECORD;
            size_t checked = reader->used > FILESTORE_GLANCE ? reader->used : FILESTORE_GLANCE;
            reader->credit = reader->credit > checked ? reader->credit - checked : 0;
        }
        reader->used = 0;
        if (reader->credit == 0)
            return FILESTORE_END;
    }
}

static enum filestore_finding look(struct filestore_reader *reader, struct filestore_frame *ret_frame)
{
    for (;;) {
        struct bytes window = bytes_make(reader->window + reader->start, reader->end - reader->start);
        bool at_end = reader->read_to == reader->size;
        size_t used;
        enum filestore_finding finding =
            filestore_frame_get(window, at_end, reader->typed, reader->crc, ret_frame, &used);
        if (finding == FILESTORE_RECORD || finding == FILESTORE_DAMAGED)
            reader->used = used;
        if (finding != FILESTORE_MORE)
            return finding;
        // A length beyond the file is known to be torn without reading up to there.
        if (used > reader->size - reader->offset || !fill(reader, used))
            return FILESTORE_TORN;
    }
}

// Reads until the window holds `need` bytes; false: the file ends before, or the disk could not (reader->error).
static bool fill(struct filestore_reader *reader, size_t need)
{
    while (reader->end - reader->start < need && reader->read_to < reader->size && !reader->error) {
        make_room(reader, need);
        struct disk_span span = {.ptr = reader->window + reader->end, .len = reader->capacity - reader->end};
        if (span.len > reader->size - reader->read_to)
            span.len = reader->size - reader->read_to;
        struct disk_request request = {
            .op = DISK_READ, .file = reader->file, .offset = reader->read_to, .spans = &span, .span_count = 1};
        reader->error = disk_run(reader->disk, &request);
        if (!reader->error && request.transferred == 0)
            reader->size = reader->read_to; // it was cut off while we read
        reader->end += reader->error ? 0 : request.transferred;
        reader->read_to += reader->error ? 0 : request.transferred;
    }
    return reader->end - reader->start >= need;
}

static void make_room(struct filestore_reader *reader, size_t need)
{
    size_t held = reader->end - reader->start;
    if (reader->start > 0 && held)
        memmove(reader->window, reader->window + reader->start, held);
    reader->start = 0;
    reader->end = held;
    size_t wanted = need > CHUNK ? need : CHUNK;
    if (reader->capacity >= wanted && reader->capacity > held)
        return;
    reader->capacity = wanted + CHUNK;
    reader->window = mem_realloc(reader->window, reader->capacity);
}
