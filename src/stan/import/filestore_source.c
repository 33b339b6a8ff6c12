// SPDX-License-Identifier: Apache-2.0
#include "stan/import/filestore_source.h"

#include <stdarg.h>
#include <stdio.h>

static int cut_end(struct filestore_source *source, bool (*plausible)(const void *owner, struct bytes bytes),
                   const void *owner, struct filestore_frame *ret_frame, bool *ret_end);

void filestore_source_init(struct filestore_source *source, struct disk *disk, uint32_t crc_polynomial)
{
    *source = (struct filestore_source){.check_crc = true};
    filestore_crc_init(&source->crc, crc_polynomial);
    filestore_reader_init(&source->reader, disk);
}

void filestore_source_deinit(struct filestore_source *source)
{
    filestore_reader_deinit(&source->reader);
}

const struct filestore_crc *filestore_source_crc(const struct filestore_source *source)
{
    return source->check_crc ? &source->crc : NULL;
}

int filestore_source_open(struct filestore_source *source, const char *path, bool typed)
{
    struct filestore_reader *reader = &source->reader;
    int error = filestore_reader_open(reader, path, typed, filestore_source_crc(source));
    source->counted = 0;
    if (error == ERR_CORRUPT) {
        bool empty = reader->size < FILESTORE_VERSION_SIZE;
        error = empty && source->truncate_bad_eof
                    ? 0
                    : filestore_source_problem(
                          source, error, empty ? "the file is empty, as after a power cut" : "not a file of version 1");
        filestore_reader_close(reader);
        return error;
    }
    return error ? filestore_source_fail(source, error, path) : 0;
}

int filestore_source_next(struct filestore_source *source, bool (*plausible)(const void *owner, struct bytes bytes),
                          const void *owner, struct filestore_frame *ret_frame, bool *ret_end)
{
    struct filestore_reader *reader = &source->reader;
    enum filestore_finding finding = filestore_reader_next(reader, ret_frame);
    *ret_end = finding == FILESTORE_END && filestore_reader_rest_is_blank(reader);
    if (finding == FILESTORE_RECORD || *ret_end)
        return 0;
    if (reader->error)
        return filestore_source_fail(source, reader->error, reader->path);
    uint64_t from = reader->offset;
    if (finding == FILESTORE_TORN && source->truncate_bad_eof)
        return cut_end(source, plausible, owner, ret_frame, ret_end);
    int error = filestore_source_problem(
        source, ERR_CORRUPT, "%s",
        finding == FILESTORE_TORN      ? "the file ends within a record (--truncate-bad-eof takes what is before it)"
        : finding == FILESTORE_DAMAGED ? "the check of a record does not fit"
                                       : "no record begins here");
    if (error)
        return error;
    finding = filestore_reader_resync(reader, plausible, owner, ret_frame);
    if (reader->error)
        return filestore_source_fail(source, reader->error, reader->path);
    *ret_end = finding != FILESTORE_RECORD;
    bool given_up = *ret_end && reader->credit == 0;
    uint64_t to = *ret_end ? reader->size : reader->offset; // what is left is too short for a record, and lost as well
    logger_write(source->logger, LOG_WARN, "%s:%llu: passed over %llu bytes%s", reader->path, (unsigned long long)from,
                 (unsigned long long)(to - from),
                 given_up ? ", all that is left: long records seem to begin everywhere in it" : "");
    return 0;
}

int filestore_source_replay(struct filestore_source *source, const char *path,
                            bool (*plausible)(const void *owner, struct bytes bytes),
                            int (*apply)(void *owner, const struct filestore_frame *frame), void *owner)
{
    int error = filestore_source_open(source, path, true);
    while (!error && source->reader.file) {
        struct filestore_frame frame;
        bool end;
        error = filestore_source_next(source, plausible, owner, &frame, &end);
        if (error || end)
            break;
        int bad = apply(owner, &frame);
        if (bad)
            error = filestore_source_problem(source, bad, "a record of type %u that cannot be used", frame.type);
    }
    filestore_source_close(source);
    return error;
}

void filestore_source_count(struct filestore_source *source)
{
    uint64_t at = source->reader.file ? source->reader.offset + source->reader.used : 0;
    if (at > source->counted) {
        source->bytes_read += at - source->counted;
        source->counted = at;
    }
}

void filestore_source_close(struct filestore_source *source)
{
    filestore_source_count(source);
    filestore_reader_close(&source->reader);
}

int filestore_source_problem(struct filestore_source *source, int error, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    bool goes_on = source->keep_going;
    enum log_level level = goes_on ? LOG_WARN : LOG_ERROR;
    if (source->reader.file)
        logger_write(source->logger, level, "%s:%llu: %s", source->reader.path,
                     (unsigned long long)source->reader.offset, text);
    else
        logger_write(source->logger, level, "%s", text);
    source->problems += goes_on;
    return goes_on ? 0 : error;
}

int filestore_source_fail(const struct filestore_source *source, int error, const char *what)
{
    if (error != ERR_NO_SPACE)
        logger_write(source->logger, LOG_ERROR, "%s: %s", what, error_text(error));
    return error;
}

// A length that was damaged looks like a record at the end, too: then whole ones follow, and nothing may be cut off.
static int cut_end(struct filestore_source *source, bool (*plausible)(const void *owner, struct bytes bytes),
                   const void *owner, struct filestore_frame *ret_frame, bool *ret_end)
{
    struct filestore_reader *reader = &source->reader;
    uint64_t from = reader->offset;
    *ret_end = filestore_reader_resync(reader, plausible, owner, ret_frame) != FILESTORE_RECORD;
    if (reader->error)
        return filestore_source_fail(source, reader->error, reader->path);
    if (!*ret_end || reader->credit == 0)
        return filestore_source_problem(source, ERR_CORRUPT, "a record before which, from %llu on, none can be read",
                                        (unsigned long long)from);
    logger_write(source->logger, LOG_WARN, "%s:%llu: %llu bytes at the end, no whole record, were left out",
                 reader->path, (unsigned long long)from, (unsigned long long)(reader->size - from));
    return 0;
}
