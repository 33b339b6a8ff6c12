// SPDX-License-Identifier: Apache-2.0
// Blocks from disk for the reader: a queue, a few reads at a time, the table of a segment block's records. Knows nothing of
// what its waiters want from the block.
#include "base/endian.h"
#include "base/memory.h"
#include "base/must.h"
#include "store/reader_internal.h"

enum { READER_ACTIVE_MAX = 16 }; // so that memory for reads is bounded

struct reader_read {
    struct list link; // list link: reader.queue while it waits for its turn
    struct reader *reader;
    struct reader_want want; // its segment is referenced
    uint64_t key;
    struct list waits; // struct reader_wait
    struct chunk *chunk;
    char path[STORE_PATH_BYTES];
    struct disk_request request;
    struct disk_span span;
};

static void read_start(struct reader *reader);
static void read_begin(struct reader_read *read);
static void read_submit(struct reader_read *read, enum disk_op op);
static void read_done(struct disk_request *request);
static void read_finish(struct reader_read *read, int result);
static void summaries_check(const struct reader_read *read);
static uint32_t *records_find(struct reader_read *read, uint32_t *ret_count, bool *ret_damaged);

uint64_t reader_want_key(const struct reader_want *want)
{
    return tail_key(want->kind, want->kind == TAIL_LOG ? want->file : want->segment->info.id, want->offset);
}

bool reader_read_has_room(const struct reader *reader)
{
    return reader->active < READER_ACTIVE_MAX / 2 && !reader->context->closing;
}

int reader_read_want(struct reader *reader, const struct reader_want *want, struct reader_wait *wait)
{
    uint64_t key = reader_want_key(want);
    struct reader_read *read = map_u64_find(&reader->reads, key);
    if (!read) {
        struct disk_file *file = NULL;
        struct log_view *log = &reader->context->log;
        int result = want->kind == TAIL_LOG ? log->hold(log->owner, want->file, &file) : 0;
        if (result != 0) {
            return result;
        }
        read = mem_alloc_zero(sizeof(*read));
        read->reader = reader;
        read->want = *want;
        read->key = key;
        read->request.file = file;
        list_init(&read->waits);
        if (want->segment) {
            segment_ref(want->segment);
        }
        must(map_u64_add(&reader->reads, key, read) == 0);
        list_push_back(&reader->queue, &read->link);
    } else if (list_is_linked(&read->link) && want->bytes > read->want.bytes) {
        read->want.bytes = want->bytes;
    }
    if (wait) {
        list_push_back(&read->waits, &wait->link);
    }
    read_start(reader);
    return 0;
}

void reader_read_free_all(struct reader *reader)
{
    struct reader_read *read;
    for (size_t at = 0; (read = map_u64_next(&reader->reads, &at, NULL));) {
        chunk_unref(read->chunk);
        mem_free(read);
    }
    map_u64_deinit(&reader->reads);
}

static void read_start(struct reader *reader)
{
    while (reader->active < READER_ACTIVE_MAX && !list_empty(&reader->queue)) {
        struct reader_read *read = container_of(list_pop_front(&reader->queue), struct reader_read, link);
        reader->active++;
        read_begin(read);
    }
}

static void read_begin(struct reader_read *read)
{
    struct segment *segment = read->want.segment;
    if (segment && segment->file) {
        segment_set_used(read->reader->segments, segment);
        read->request.file = segment->file;
    }
    read_submit(read, read->request.file ? DISK_READ : DISK_OPEN);
}

static void read_submit(struct reader_read *read, enum disk_op op)
{
    struct store_context *context = read->reader->context;
    if (op == DISK_READ) {
        read->chunk = chunk_new(read->want.bytes);
        read->span.ptr = read->chunk->data;
        read->span.len = read->want.bytes;
    } else {
        segment_name(read->want.segment->info.id, read->path);
    }
    read->request = (struct disk_request){
        .op = op,
        .flags = op == DISK_OPEN ? DISK_FLAG_READ_ONLY : 0,
        .path = read->path,
        .file = read->request.file,
        .offset = read->want.offset,
        .spans = &read->span,
        .span_count = 1,
        .done = read_done,
    };
    context->requests++;
    disk_submit(context->disk, DISK_POOL, &read->request);
}

static void read_done(struct disk_request *request)
{
    struct reader_read *read = container_of(request, struct reader_read, request);
    struct reader *reader = read->reader;
    reader->context->requests--;
    if (request->op == DISK_OPEN && request->result == 0) {
        segment_set_opened(reader->segments, read->want.segment, request->file);
        read->request.file = read->want.segment->file;
        read_submit(read, DISK_READ);
        return;
    }
    if (read->want.kind == TAIL_LOG) {
        reader->context->log.drop(reader->context->log.owner, read->want.file);
    }
    int result = request->result;
    if (request->op == DISK_OPEN) {
        result = result == ERR_NOT_FOUND ? ERR_CORRUPT : result;
    } else if (result == 0) {
        read->chunk->used = (uint32_t)request->transferred;
    }
    read_finish(read, result);
}

// Into the cache, then to those who wait. The block cannot be dropped before they have looked: nothing is called back earlier.
static void read_finish(struct reader_read *read, int result)
{
    struct reader *reader = read->reader;
    must(map_u64_remove(&reader->reads, read->key) == read);
    reader->active--;
    struct tail_block *block = NULL;
    if (result == 0) {
        uint32_t count = 0, *records = NULL;
        bool damaged = false;
        if (read->want.kind == TAIL_SEGMENT && !read->want.summaries) {
            records = records_find(read, &count, &damaged);
        } else if (read->want.kind == TAIL_SEGMENT) {
            summaries_check(read);
        }
        block = tail_block_add(reader->tail, read->key, read->want.offset, read->chunk, records, count);
        block->damaged = damaged;
    } else if (result != ERR_NOT_FOUND && result != ERR_LIMIT) { // too many open files is not the disk's fault
        reader->context->damaged_areas++;
        logger_write(reader->context->options.logger, LOG_ERROR, "reading %s %llu at %llu failed: %s",
                     read->want.kind == TAIL_LOG ? "log file" : "segment",
                     (unsigned long long)(read->want.segment ? read->want.segment->info.id : read->want.file),
                     (unsigned long long)read->want.offset, error_text(result));
    }
    struct list waits;
    list_init(&waits);
    list_append_all(&waits, &read->waits);
    uint64_t key = read->key;
    chunk_unref(read->chunk);
    if (read->want.segment) {
        segment_unref(reader->segments, read->want.segment);
    }
    mem_free(read);
    reader_arrived(reader, &waits, key, block, result);
    read_start(reader);
}

// What a damaged summary hides is not found: said once, when it is read.
static void summaries_check(const struct reader_read *read)
{
    const struct segment *segment = read->want.segment;
    uint32_t damaged = read->chunk->used < read->want.bytes;
    for (uint32_t at = 0; at + SEGMENT_SUMMARY_SIZE <= read->chunk->used; at += SEGMENT_SUMMARY_SIZE) {
        struct segment_summary summary;
        damaged += segment_summary_decode(read->chunk->data + at, segment->info.id, &summary) != 0;
    }
    if (damaged) {
        read->reader->context->damaged_areas++;
        logger_write(
            read->reader->context->options.logger, LOG_ERROR,
            "segment %llu: %u block summaries at %llu are damaged, the messages in these blocks are quarantined",
            (unsigned long long)segment->info.id, damaged, (unsigned long long)read->want.offset);
    }
}

// Where the valid message records of a segment's block begin. Behind damage the next valid record is searched for, so that
// what is behind a broken length still serves.
static uint32_t *records_find(struct reader_read *read, uint32_t *ret_count, bool *ret_damaged)
{
    struct bytes all = bytes_make(read->chunk->data, read->chunk->used);
    uint32_t *records = NULL, cap = 0, count = 0;
    bool damaged = all.len < read->want.bytes;
    for (size_t at = 0; at + RECORD_HEADER_SIZE <= all.len;) {
        struct record record;
        size_t used;
        bool valid = get_u16(all.ptr + at + 8) == RECORD_MESSAGE && get_u32(all.ptr + at + 12) == read->want.stream &&
                     record_get(bytes_skip(all, at), true, &record, &used) == 0 &&
                     record.whole.len >= RECORD_MESSAGE_SIZE;
        if (!valid) {
            damaged = true;
            at += RECORD_ALIGN;
            continue;
        }
        if (count == cap) {
            cap = cap ? cap * 2 : 64;
            records = mem_realloc(records, cap * sizeof(uint32_t));
        }
        records[count++] = (uint32_t)at;
        at += used;
    }
    if (damaged) {
        read->reader->context->damaged_areas++;
        logger_write(read->reader->context->options.logger, LOG_ERROR,
                     "segment %llu: damaged block at %llu (stream %u), %u messages of it are readable",
                     (unsigned long long)read->want.segment->info.id, (unsigned long long)read->want.offset,
                     read->want.stream, count);
    }
    *ret_count = count;
    *ret_damaged = damaged;
    return mem_realloc(records, (count ? count : 1) * sizeof(uint32_t));
}
