// SPDX-License-Identifier: Apache-2.0
// tidy: prefix vault
// Content into sealed blocks, and back.
#include "base/endian.h"
#include "base/memory.h"
#include "base/must.h"
#include "store/log_file.h"
#include "store/vault_internal.h"

// Bytes that lie in the spans of a request, one after the other.
struct cursor {
    const struct disk_span *span;
    size_t used; // of the span
};

static void take_buffer(struct vault_job *job, size_t bytes);
static uint32_t block_of(const struct disk_file *file, uint64_t offset);
static size_t span_bytes(const struct disk_request *request);
static void cursor_get(struct cursor *cursor, char *to, size_t len);
static void open_block(const struct disk_file *file, uint32_t block, char *at, size_t len);
static void take_range(const struct disk_file *file, const char *blocks, uint32_t first, uint64_t offset, char *to,
                       size_t len);

void vault_begin_log(struct vault *vault, struct disk_file *file, const struct disk_span *spans)
{
    struct log_file_header header;
    must(spans[0].len >= LOG_FILE_BLOCK);
    uint64_t id = log_file_id(spans[0].ptr);
    must(log_file_decode(spans[0].ptr, id, &header) == 0);
    file->mode = header.mark.cipher ? VAULT_SEALED : VAULT_CLEAR;
    file->name.id = id;
    file->writes = file->partial_len = 0;
    file->locked = file->flushed = false;
    const struct seal_key *key = seal_keys_find(&vault->keys, header.mark.key_id);
    if (file->mode == VAULT_CLEAR)
        return;
    must(key);
    seal_life_init(&file->life, &vault->keys, key, &header.mark, file->name);
}

bool vault_look(struct vault *vault, struct disk_file *file, const char block[SEAL_BLOCK])
{
    struct seal_mark mark = {0};
    if (file->name.kind == 'w') {
        struct log_file_header header;
        if (log_file_decode(block, file->name.id, &header) != 0)
            return false;
        mark = header.mark;
    } else if (seal_header_decode(block, &mark) != 0) {
        // The headers of clear files begin alike.
        return memcmp(block, SEAL_MAGIC, 4) == 0 && memcmp(block, SEAL_MAGIC, 8) != 0;
    }
    if (mark.cipher) {
        const struct seal_key *key = seal_keys_find(&vault->keys, mark.key_id);
        file->mode = VAULT_SEALED;
        file->locked = !key;
        if (key)
            seal_life_init(&file->life, &vault->keys, key, &mark, file->name);
    }
    return true;
}

void vault_look_inside(struct vault *vault, struct disk_file *file, char *blocks, size_t bytes)
{
    char copy[SEAL_BLOCK];
    for (size_t at = 0; at < bytes; at += SEAL_BLOCK) {
        size_t len = bytes - at < SEAL_BLOCK ? bytes - at : SEAL_BLOCK;
        struct seal_mark mark;
        if (!seal_block_mark(blocks + at, len, &mark))
            continue;
        for (size_t i = 0; i < vault->keys.count; i++) {
            seal_life_init(&file->life, &vault->keys, &vault->keys.keys[i], &mark, file->name);
            memcpy(copy, blocks + at, len);
            if (seal_open(&file->life, (uint32_t)(1 + at / SEAL_BLOCK), copy, len)) {
                file->mode = VAULT_SEALED;
                return;
            }
        }
    }
}

// Whole blocks, behind the clear one if that is to be written too. Content that is already there in `partial` comes first.
void vault_write(struct vault_job *job)
{
    const struct disk_request *outer = job->outer;
    struct disk_file *file = outer->file;
    struct cursor cursor = {.span = outer->spans};
    bool begins = outer->offset == 0;
    size_t head = begins ? SEAL_BLOCK : 0, carried = !begins && outer->offset == file->end ? file->partial_len : 0;
    size_t content = carried + span_bytes(outer) - (begins ? file->head : 0);
    size_t whole = content / SEAL_CONTENT;
    must(!file->locked && !file->flushed);
    must(begins || (outer->offset - file->head - carried) % SEAL_CONTENT == 0);
    take_buffer(job, head + (whole + 1) * SEAL_BLOCK);
    if (begins && file->head)
        cursor_get(&cursor, job->buffer, file->head);
    else if (begins)
        seal_header_encode(&file->life.mark, file->name, job->buffer);
    uint32_t block = begins ? 1 : block_of(file, outer->offset - carried);
    uint64_t write = ++file->writes;
    char *at = job->buffer + head;
    for (size_t i = 0; i <= whole; i++, at += SEAL_BLOCK) {
        size_t from = i == 0 ? carried : 0, len = i < whole ? SEAL_CONTENT : content % SEAL_CONTENT;
        if (from)
            memcpy(at, file->partial, from);
        cursor_get(&cursor, at + from, len - from);
        if (i < whole)
            seal_block(&file->life, write, block + (uint32_t)i, at, SEAL_CONTENT);
    }
    job->rest = content % SEAL_CONTENT;
    job->rest_at = head + whole * SEAL_BLOCK;
    must(!job->rest || !(outer->flags & DISK_FLAG_SYNC));
    job->span = (struct disk_span){.ptr = job->buffer, .len = job->rest_at};
    job->inner.spans = &job->span;
    job->inner.span_count = 1;
    job->inner.offset = begins ? 0 : (uint64_t)block * SEAL_BLOCK;
    if (job->rest_at == 0) // nothing but the rest: any request that changes nothing
        job->inner = (struct disk_request){.op = DISK_SIZE, .file = file->below};
}

void vault_write_rest(struct vault_job *job)
{
    struct disk_file *file = job->outer->file;
    take_buffer(job, SEAL_BLOCK);
    memcpy(job->buffer, file->partial, file->partial_len);
    uint32_t block = block_of(file, file->end - file->partial_len);
    seal_block(&file->life, ++file->writes, block, job->buffer, file->partial_len);
    job->span = (struct disk_span){.ptr = job->buffer, .len = file->partial_len + SEAL_TRAILER};
    job->inner = (struct disk_request){.op = DISK_WRITE,
                                       .file = file->below,
                                       .offset = (uint64_t)block * SEAL_BLOCK,
                                       .spans = &job->span,
                                       .span_count = 1};
}

void vault_written(struct vault_job *job)
{
    struct disk_file *file = job->outer->file;
    file->end = job->outer->offset + span_bytes(job->outer);
    file->partial_len = job->rest;
    if (job->rest && !file->partial)
        file->partial = mem_alloc(SEAL_CONTENT);
    if (job->rest)
        memcpy(file->partial, job->buffer + job->rest_at, job->rest);
}

void vault_read(struct vault_job *job)
{
    const struct disk_request *outer = job->outer;
    const struct disk_file *file = outer->file;
    uint64_t last = outer->offset + span_bytes(outer);
    uint32_t first = block_of(file, outer->offset), end = last > outer->offset ? block_of(file, last - 1) + 1 : first;
    take_buffer(job, (size_t)(end - first) * SEAL_BLOCK);
    job->span = (struct disk_span){.ptr = job->buffer, .len = (size_t)(end - first) * SEAL_BLOCK};
    job->inner.spans = &job->span;
    job->inner.span_count = 1;
    job->inner.offset = (uint64_t)first * SEAL_BLOCK;
}

// Spans that follow each other in neighbouring blocks, or the same, are one read. For log files, whose blocks are all whole.
void vault_read_each(struct vault_job *job)
{
    const struct disk_request *outer = job->outer;
    const struct disk_file *file = outer->file;
    size_t count = 0, bytes = 0;
    job->groups = mem_alloc((outer->span_count + 1) * sizeof(*job->groups));
    for (size_t i = 0; i < outer->span_count; i++) {
        const struct disk_span *span = &outer->spans[i];
        uint64_t from = (uint64_t)block_of(file, span->offset) * SEAL_BLOCK;
        uint64_t to = ((uint64_t)block_of(file, span->offset + (span->len ? span->len - 1 : 0)) + 1) * SEAL_BLOCK;
        struct disk_span *group = count ? &job->groups[count - 1] : NULL;
        if (group && from >= group->offset && from <= group->offset + group->len &&
            to - group->offset <= VAULT_GROUP_BYTES) {
            uint64_t end = group->offset + group->len;
            bytes += to > end ? to - end : 0;
            group->len = (to > end ? to : end) - group->offset;
            continue;
        }
        job->groups[count++] = (struct disk_span){.offset = from, .len = to - from};
        bytes += to - from;
    }
    take_buffer(job, bytes);
    char *at = job->buffer;
    for (size_t i = 0; i < count; at += job->groups[i++].len)
        job->groups[i].ptr = at;
    job->inner.spans = job->groups;
    job->inner.span_count = count;
}

void vault_take(struct vault_job *job)
{
    const struct disk_request *outer = job->outer;
    const struct disk_file *file = outer->file;
    const struct disk_span *groups = job->groups ? job->groups : &job->span;
    size_t group_count = job->groups ? job->inner.span_count : 1;
    uint64_t first = job->groups ? 0 : job->inner.offset;
    for (size_t g = 0; g < group_count; g++) {
        uint64_t left = job->groups ? groups[g].len : job->inner.transferred;
        uint32_t block = (uint32_t)((job->groups ? groups[g].offset : first) / SEAL_BLOCK);
        for (char *at = groups[g].ptr; left > 0; at += SEAL_BLOCK, block++) {
            size_t len = left < SEAL_BLOCK ? (size_t)left : SEAL_BLOCK;
            open_block(file, block, at, len);
            left -= len;
        }
    }
    uint64_t offset = outer->offset;
    if (!job->groups) {
        uint64_t end = seal_content_bytes(first + job->inner.transferred, file->head);
        uint64_t got = end > offset ? end - offset : 0, wanted = span_bytes(outer);
        job->inner.transferred = got = got < wanted ? got : wanted;
        for (size_t i = 0; i < outer->span_count && got > 0; i++) {
            size_t len = outer->spans[i].len < got ? outer->spans[i].len : (size_t)got;
            take_range(file, job->buffer, (uint32_t)(first / SEAL_BLOCK), offset, outer->spans[i].ptr, len);
            offset += len;
            got -= len;
        }
        return;
    }
    size_t g = 0;
    for (size_t i = 0; i < outer->span_count; i++) {
        const struct disk_span *span = &outer->spans[i];
        uint64_t from = (uint64_t)block_of(file, span->offset) * SEAL_BLOCK;
        uint64_t to = ((uint64_t)block_of(file, span->offset + (span->len ? span->len - 1 : 0)) + 1) * SEAL_BLOCK;
        if (from < groups[g].offset || to > groups[g].offset + groups[g].len)
            g++;
        must(g < group_count);
        take_range(file, groups[g].ptr, (uint32_t)(groups[g].offset / SEAL_BLOCK), span->offset, span->ptr, span->len);
    }
}

void vault_give_buffer(struct vault_job *job)
{
    if (job->kept && !job->vault->spare)
        job->vault->spare = job->buffer;
    else
        mem_free(job->buffer);
    job->buffer = NULL;
}

// One buffer is kept for the log's batches: without it each would be new memory from the kernel.
static void take_buffer(struct vault_job *job, size_t bytes)
{
    struct vault *vault = job->vault;
    job->kept = bytes <= VAULT_SPARE_BYTES && (vault->spare || job->outer->op == DISK_WRITE);
    if (job->kept && vault->spare) {
        job->buffer = vault->spare;
        vault->spare = NULL;
        return;
    }
    job->buffer = mem_alloc(job->kept ? (size_t)VAULT_SPARE_BYTES : bytes);
}

static uint32_t block_of(const struct disk_file *file, uint64_t offset)
{
    return offset < file->head ? 0 : (uint32_t)(1 + (offset - file->head) / SEAL_CONTENT);
}

static size_t span_bytes(const struct disk_request *request)
{
    size_t bytes = 0;
    for (size_t i = 0; i < request->span_count; i++)
        bytes += request->spans[i].len;
    return bytes;
}

static void cursor_get(struct cursor *cursor, char *to, size_t len)
{
    while (len > 0) {
        size_t left = cursor->span->len - cursor->used, part = left < len ? left : len;
        if (part)
            memcpy(to, cursor->span->ptr + cursor->used, part);
        to += part;
        len -= part;
        cursor->used += part;
        if (cursor->used == cursor->span->len)
            *cursor = (struct cursor){.span = cursor->span + 1};
    }
}

// In place. What does not open becomes zeros.
static void open_block(const struct disk_file *file, uint32_t block, char *at, size_t len)
{
    if (block > 0 && (file->locked || !seal_open(&file->life, block, at, len)))
        memset(at, 0, len);
}

// Content from `offset` on, out of opened blocks of which the first is number `first`.
static void take_range(const struct disk_file *file, const char *blocks, uint32_t first, uint64_t offset, char *to,
                       size_t len)
{
    while (len > 0) {
        uint32_t block = block_of(file, offset);
        uint64_t begin = block ? file->head + (uint64_t)(block - 1) * SEAL_CONTENT : 0;
        size_t skip = (size_t)(offset - begin), room = (block ? SEAL_CONTENT : (size_t)file->head) - skip;
        size_t part = len < room ? len : room;
        memcpy(to, blocks + (size_t)(block - first) * SEAL_BLOCK + skip, part);
        to += part;
        offset += part;
        len -= part;
    }
}
