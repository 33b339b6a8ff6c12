// SPDX-License-Identifier: Apache-2.0
#include "cmd/backup_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "codec/timestamp.h"

enum { CHUNK = 1 << 20, FRAME_MAX = 1 << 30 }; // bytes

static int fill(struct backup_reader *reader, size_t need);
static int take(struct backup_reader *reader, struct record *ret_record);

int backup_reader_open(struct backup_reader *reader, const char *path, struct backup_begin *ret_begin)
{
    struct stat stat;
    struct record record;
    *reader = (struct backup_reader){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (reader->fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : errno == EACCES ? ERR_PERMISSION : ERR_IO;
    int error = fstat(reader->fd, &stat) != 0 ? ERR_IO : 0;
    reader->size = error ? 0 : (uint64_t)stat.st_size;
    if (!error)
        error = take(reader, &record);
    if (!error)
        error = backup_file_get_begin(&record, ret_begin);
    if (error)
        backup_reader_close(reader);
    return error;
}

void backup_reader_close(struct backup_reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    mem_free(reader->window);
    reader->fd = -1;
    reader->window = NULL;
}

int backup_reader_next(struct backup_reader *reader, struct record *ret_record)
{
    struct backup_sum before = reader->sum, claimed;
    if (reader->ended)
        return reader->offset == reader->size ? 0 : ERR_CORRUPT;
    int error = take(reader, ret_record);
    if (error)
        return error;
    if (ret_record->kind != BACKUP_END)
        return 1;
    if (backup_file_get_end(ret_record, &claimed, &reader->missing) || claimed.frames != before.frames ||
        claimed.bytes != before.bytes || claimed.digest != before.digest)
        return ERR_CORRUPT;
    reader->ended = true;
    return reader->offset == reader->size ? 0 : ERR_CORRUPT;
}

int backup_verify(const char *path, FILE *out)
{
    struct backup_reader reader;
    struct backup_begin begin;
    struct record record;
    char time[TIMESTAMP_TEXT_SIZE], name[1100];
    int result = backup_reader_open(&reader, path, &begin);
    if (result) {
        fprintf(stderr, "weir: %s: %s\n", path, result == ERR_CORRUPT ? "not a backup" : error_text(result));
        return result;
    }
    timestamp_format(begin.time_ns, time);
    snprintf(name, sizeof(name), begin.channel.len ? "channel %.*s" : "everything%.*s", BYTES_ARG(begin.channel));
    char cluster_id[130];
    snprintf(cluster_id, sizeof(cluster_id), "%.*s", BYTES_ARG(begin.cluster_id));
    uint64_t channels = 0, messages = 0;
    while ((result = backup_reader_next(&reader, &record)) == 1) {
        channels += record.kind == RECORD_IMAGE_STREAM || record.kind == RECORD_IMAGE_STREAM_MORE;
        messages += record.kind == RECORD_MESSAGE;
    }
    if (result)
        fprintf(stderr, "weir: %s: damaged at byte %llu, or cut off\n", path, (unsigned long long)reader.offset);
    else
        fprintf(out, "%s, cluster id %s, of %s: %llu channels, %llu messages, %llu bytes, whole\n", name, cluster_id,
                time, (unsigned long long)channels, (unsigned long long)messages, (unsigned long long)reader.size);
    if (!result && reader.missing)
        fprintf(out, "%llu messages are missing: the server could not read them\n", (unsigned long long)reader.missing);
    backup_reader_close(&reader);
    return result;
}

// The next frame, whatever it is, verified and in the sum.
static int take(struct backup_reader *reader, struct record *ret_record)
{
    size_t used;
    int error = fill(reader, RECORD_HEADER_SIZE);
    if (error)
        return error;
    size_t size = get_u32(reader->window + reader->start + 4);
    if (size < RECORD_HEADER_SIZE || size > FRAME_MAX)
        return ERR_CORRUPT;
    error = fill(reader, record_padded(size));
    if (!error)
        error = record_get(bytes_make(reader->window + reader->start, reader->end - reader->start), true, ret_record,
                           &used);
    if (error)
        return error;
    backup_sum_add(&reader->sum, bytes_make(reader->window + reader->start, used));
    reader->start += used;
    reader->offset += used;
    return 0;
}

// ERR_CORRUPT: the file has no more.
static int fill(struct backup_reader *reader, size_t need)
{
    size_t held = reader->end - reader->start;
    if (held >= need)
        return 0;
    if (need > reader->size - reader->offset)
        return ERR_CORRUPT;
    if (held && reader->start)
        memmove(reader->window, reader->window + reader->start, held);
    reader->start = 0;
    reader->end = held;
    size_t wanted = need > CHUNK ? need : CHUNK;
    if (reader->capacity < wanted) {
        reader->capacity = wanted;
        reader->window = mem_realloc(reader->window, wanted);
    }
    while (reader->end < need) {
        ssize_t got = read(reader->fd, reader->window + reader->end, reader->capacity - reader->end);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? ERR_IO : ERR_CORRUPT;
        reader->end += (size_t)got;
    }
    return 0;
}
