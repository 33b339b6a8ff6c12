// SPDX-License-Identifier: Apache-2.0
// tidy: prefix reader
// Blocks from disk for the reader: a queue, a few requests at a time, each for a read and those queued behind it that are its
// neighbours in the file; the table of a segment block's records. Knows nothing of what its waiters want from the block.
#include "base/endian.h"
#include "base/memory.h"
#include "base/must.h"
#include "store/reader_internal.h"

// A block to come.
struct reader_read {
    struct list link;        // list link: reader.queue while it waits for its turn, then of its transfer
    struct reader_want want; // its segment is referenced
    uint64_t key;
    struct list waits;         // struct reader_wait
    uint32_t run;              // for its block, see tail.h
    bool alone;                // not with its neighbours: with them it failed
    struct disk_file *file;    // of the log, held; NULL for a segment
    struct transfer *transfer; // NULL while it waits for its turn
    struct chunk *chunk;
};

// One request of the disk for a few blocks that follow each other in a file.
struct transfer {
    struct reader *reader;
    struct list reads; // in order
    uint32_t count;
    uint64_t bytes;
    char path[STORE_PATH_BYTES];
    struct disk_request request;
    struct disk_span spans[READER_RUN_BLOCKS];
};

static struct reader_read *read_new(struct reader *reader, const struct reader_want *want, int *ret_result);
static void transfer_start(struct reader *reader);
static bool follows(const struct transfer *transfer, const struct reader_read *read);
static void transfer_add(struct transfer *transfer, struct reader_read *read);
static void transfer_submit(struct transfer *transfer, enum disk_op op);
static void transfer_done(struct disk_request *request);
static void transfer_finish(struct transfer *transfer, int result);
static void transfer_split(struct transfer *transfer);
static void read_finish(struct reader *reader, struct reader_read *read, int result);
static struct tail_block *read_take(struct reader *reader, struct reader_read *read);
static void summaries_check(struct reader *reader, const struct reader_read *read);
static uint32_t *records_find(struct reader *reader, struct reader_read *read, uint32_t *ret_count, bool *ret_damaged);

uint64_t reader_want_key(const struct reader_want *want)
{
    return tail_key(want->kind, want->kind == TAIL_LOG ? want->file : want->segment->info.id, want->offset);
}

bool reader_read_has_room(const struct reader *reader)
{
    return reader->active < READER_ACTIVE_MAX / 2 && reader->active_bytes < READER_ACTIVE_BYTES / 2 &&
           list_empty(&reader->queue) && !reader->context->closing;
}

int reader_read_want(struct reader *reader, const struct reader_want *want, struct reader_wait *wait)
{
    struct reader_read *read = map_u64_find(&reader->reads, reader_want_key(want));
    int result = 0;
    if (!read) {
        read = read_new(reader, want, &result);
        if (!read) {
            return result;
        }
    } else if (!read->transfer && want->bytes > read->want.bytes) {
        read->want.bytes = want->bytes;
    }
    if (wait) {
        list_push_back(&read->waits, &wait->link);
    }
    transfer_start(reader);
    return 0;
}

void reader_read_ahead(struct reader *reader, const struct reader_want *wants, uint32_t count)
{
    struct reader_read *first = NULL;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t key = reader_want_key(&wants[i]);
        int result;
        struct reader_read *read = NULL;
        if (!map_u64_find(&reader->tail->blocks, key) && !map_u64_find(&reader->reads, key)) {
            read = read_new(reader, &wants[i], &result);
        }
        if (!read && first) {
            break;
        }
        if (read) {
            first = first ? first : read;
            read->run = 0;
            first->run++;
        }
    }
    transfer_start(reader);
}

void reader_read_free_all(struct reader *reader)
{
    struct reader_read *read;
    for (size_t at = 0; (read = map_u64_next(&reader->reads, &at, NULL));) {
        struct transfer *transfer = read->transfer;
        if (transfer && --transfer->count == 0) {
            mem_free(transfer);
        }
        chunk_unref(read->chunk);
        mem_free(read);
    }
    map_u64_deinit(&reader->reads);
}

// At the end of the queue. NULL with a result: the log file is gone.
static struct reader_read *read_new(struct reader *reader, const struct reader_want *want, int *ret_result)
{
    struct disk_file *file = NULL;
    struct log_view *log = &reader->context->log;
    *ret_result = want->kind == TAIL_LOG ? log->hold(log->owner, want->file, &file) : 0;
    if (*ret_result != 0) {
        return NULL;
    }
    struct reader_read *read = mem_alloc(sizeof(*read));
    *read = (struct reader_read){.want = *want, .key = reader_want_key(want), .run = 1, .file = file};
    list_init(&read->waits);
    if (want->segment) {
        segment_ref(want->segment);
    }
    must(map_u64_add(&reader->reads, read->key, read) == 0);
    list_push_back(&reader->queue, &read->link);
    return read;
}

static void transfer_start(struct reader *reader)
{
    while (reader->active < READER_ACTIVE_MAX && !list_empty(&reader->queue)) {
        struct reader_read *read = container_of(list_first(&reader->queue), struct reader_read, link);
        if (reader->active > 0 && reader->active_bytes + read->want.bytes > READER_ACTIVE_BYTES) {
            return;
        }
        struct transfer *transfer = mem_alloc(sizeof(*transfer));
        *transfer = (struct transfer){.reader = reader};
        list_init(&transfer->reads);
        do {
            transfer_add(transfer, read);
            struct list *next = list_first(&reader->queue);
            read = next ? container_of(next, struct reader_read, link) : NULL;
        } while (read && follows(transfer, read));
        reader->active++;
        reader->active_bytes += transfer->bytes;
        struct segment *segment = container_of(list_first(&transfer->reads), struct reader_read, link)->want.segment;
        if (segment && segment->file) {
            segment_set_used(reader->segments, segment);
            transfer->request.file = segment->file;
        }
        transfer_submit(transfer, transfer->request.file ? DISK_READ : DISK_OPEN);
    }
}

// Can the read be part of it?
static bool follows(const struct transfer *transfer, const struct reader_read *read)
{
    const struct reader_read *first = container_of(list_first(&transfer->reads), struct reader_read, link);
    const struct reader_want *a = &first->want, *b = &read->want;
    bool beside = a->kind == b->kind && a->file == b->file && a->segment == b->segment && !a->summaries &&
                  !b->summaries && b->offset == a->offset + transfer->bytes;
    return beside && !first->alone && !read->alone && transfer->count < READER_RUN_BLOCKS &&
           transfer->bytes + b->bytes <= READER_RUN_BYTES;
}

static void transfer_add(struct transfer *transfer, struct reader_read *read)
{
    list_remove(&read->link);
    list_push_back(&transfer->reads, &read->link);
    read->transfer = transfer;
    read->chunk = tail_chunk_new(transfer->reader->tail, read->want.bytes);
    transfer->spans[transfer->count++] = (struct disk_span){.ptr = read->chunk->data, .len = read->want.bytes};
    transfer->bytes += read->want.bytes;
    transfer->request.file = read->file;
}

static void transfer_submit(struct transfer *transfer, enum disk_op op)
{
    struct store_context *context = transfer->reader->context;
    const struct reader_want *want = &container_of(list_first(&transfer->reads), struct reader_read, link)->want;
    unsigned flags = DISK_FLAG_READ_ONLY;
    if (op == DISK_READ) {
        flags = reader_ahead_is_around(transfer->reader, want, transfer->bytes) ? DISK_FLAG_AROUND : 0;
    } else {
        segment_name(want->segment->info.id, transfer->path);
    }
    transfer->request = (struct disk_request){
        .op = op,
        .flags = flags,
        .path = transfer->path,
        .file = transfer->request.file,
        .offset = want->offset,
        .spans = transfer->spans,
        .span_count = transfer->count,
        .done = transfer_done,
    };
    context->requests++;
    disk_submit(context->disk, DISK_POOL, &transfer->request);
}

static void transfer_done(struct disk_request *request)
{
    struct transfer *transfer = container_of(request, struct transfer, request);
    struct reader *reader = transfer->reader;
    struct segment *segment = container_of(list_first(&transfer->reads), struct reader_read, link)->want.segment;
    reader->context->requests--;
    if (request->op == DISK_OPEN && request->result == 0) {
        segment_set_opened(reader->segments, segment, request->file);
        transfer->request.file = segment->file;
        transfer_submit(transfer, DISK_READ);
        return;
    }
    int result = request->result;
    if (request->op == DISK_OPEN) {
        result = result == ERR_NOT_FOUND ? ERR_CORRUPT : result;
    }
    transfer_finish(transfer, result);
}

// What cannot be read spares its neighbours: each of them is read alone.
static void transfer_finish(struct transfer *transfer, int result)
{
    struct reader *reader = transfer->reader;
    uint64_t left = transfer->request.transferred;
    reader->active--;
    reader->active_bytes -= transfer->bytes;
    if (result != 0 && transfer->count > 1) {
        transfer_split(transfer);
    }
    while (!list_empty(&transfer->reads)) {
        struct reader_read *read = container_of(list_pop_front(&transfer->reads), struct reader_read, link);
        uint32_t used = left < read->want.bytes ? (uint32_t)left : read->want.bytes;
        read->chunk->used = used;
        left -= used;
        transfer->count--;
        read_finish(reader, read, result);
    }
    mem_free(transfer);
    transfer_start(reader);
}

static void transfer_split(struct transfer *transfer)
{
    while (!list_empty(&transfer->reads)) {
        struct reader_read *read = container_of(list_pop_front(&transfer->reads), struct reader_read, link);
        chunk_unref(read->chunk);
        read->chunk = NULL;
        read->transfer = NULL;
        read->alone = true;
        list_push_back(&transfer->reader->queue, &read->link);
    }
    transfer->count = 0;
}

// Into the cache, then to those who wait. The block cannot be dropped before they have looked: nothing is called back earlier.
static void read_finish(struct reader *reader, struct reader_read *read, int result)
{
    must(map_u64_remove(&reader->reads, read->key) == read);
    if (read->want.kind == TAIL_LOG) {
        reader->context->log.drop(reader->context->log.owner, read->want.file);
    }
    struct tail_block *block = NULL;
    bool behind_the_end = read->chunk->used == 0 && list_empty(&read->waits);
    if (result == 0 && !behind_the_end) {
        block = read_take(reader, read);
    } else if (result != 0 && result != ERR_NOT_FOUND &&
               result != ERR_LIMIT) { // too many open files is not the disk's fault
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
    uint32_t asked = read->want.bytes;
    chunk_unref(read->chunk);
    if (read->want.segment) {
        segment_unref(reader->segments, read->want.segment);
    }
    mem_free(read);
    reader_arrived(reader, &waits, key, asked, block, result);
}

static struct tail_block *read_take(struct reader *reader, struct reader_read *read)
{
    uint32_t count = 0, *records = NULL;
    bool damaged = false;
    if (read->want.kind == TAIL_SEGMENT && !read->want.summaries) {
        records = records_find(reader, read, &count, &damaged);
    } else if (read->want.kind == TAIL_SEGMENT) {
        summaries_check(reader, read);
    }
    struct tail_block *block = tail_block_add(reader->tail, read->key, read->want.offset, read->chunk, records, count);
    block->damaged = damaged;
    block->run = read->run;
    return block;
}

// What a damaged summary hides is not found: said once, when it is read.
static void summaries_check(struct reader *reader, const struct reader_read *read)
{
    const struct segment *segment = read->want.segment;
    uint32_t damaged = read->chunk->used < read->want.bytes;
    for (uint32_t at = 0; at + SEGMENT_SUMMARY_SIZE <= read->chunk->used; at += SEGMENT_SUMMARY_SIZE) {
        struct segment_summary summary;
        damaged += segment_summary_decode(read->chunk->data + at, segment->info.id, &summary) != 0;
    }
    if (damaged) {
        reader->context->damaged_areas++;
        logger_write(
            reader->context->options.logger, LOG_ERROR,
            "segment %llu: %u block summaries at %llu are damaged, the messages in these blocks are quarantined",
            (unsigned long long)segment->info.id, damaged, (unsigned long long)read->want.offset);
    }
}

// Where the valid message records of a segment's block begin. Behind damage the next valid record is searched for, so that
// what is behind a broken length still serves.
static uint32_t *records_find(struct reader *reader, struct reader_read *read, uint32_t *ret_count, bool *ret_damaged)
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
        reader->context->damaged_areas++;
        logger_write(reader->context->options.logger, LOG_ERROR,
                     "segment %llu: damaged block at %llu (stream %u), %u messages of it are readable",
                     (unsigned long long)read->want.segment->info.id, (unsigned long long)read->want.offset,
                     read->want.stream, count);
    }
    *ret_count = count;
    *ret_damaged = damaged;
    return mem_realloc(records, (count ? count : 1) * sizeof(uint32_t));
}
