// SPDX-License-Identifier: Apache-2.0
// tidy: prefix reader
// Messages of the retained log (see reader.h): from the chunks they were written from, or out of blocks of READER_BLOCK bytes on
// a grid. One that ends in the next block is put together of the two, if it is small enough for that; else its block is read
// again and longer. So what reads in order reads each byte once.
#include "store/reader_internal.h"

static struct reader_want want_of_block(const struct reader *reader, uint32_t file, uint64_t offset, uint64_t until);
static struct chunk *find_bytes(struct reader *reader, const struct index_place *place, const char **ret_at,
                                struct reader_want *ret_want);
static struct chunk *join(const struct index_place *place, const struct tail_block *block,
                          const struct tail_block *next, const char **ret_at);
static bool is_message(const struct index_place *place, uint32_t stream, const char *at);

int reader_fetch_place(struct reader *reader, uint32_t stream, const struct index_place *place,
                       struct store_fetch *fetch, struct reader_want *ret_want)
{
    struct chunk *chunk;
    if (reader->context->options.memory) {
        chunk = tail_memory_find(reader->tail, place->file);
        return reader_answer(fetch, chunk->data + place->offset, place->size, chunk);
    }
    const char *at = tail_find(reader->tail, place->file, place->offset, place->size, &chunk);
    if (at) {
        return reader_answer(fetch, at, place->size, chunk);
    }
    chunk = find_bytes(reader, place, &at, ret_want);
    if (!chunk) {
        return ERR_AGAIN;
    }
    if (is_message(place, stream, at)) {
        reader_answer(fetch, at, place->size, chunk);
    } else {
        reader->context->damaged_areas++;
        logger_write(reader->context->options.logger, LOG_ERROR,
                     "log file %u: message %llu of stream %u at %llu is damaged and is quarantined", place->file,
                     (unsigned long long)place->sequence, stream, (unsigned long long)place->offset);
        fetch->result = ERR_CORRUPT;
    }
    chunk_unref(chunk);
    return fetch->result;
}

// From a multiple of READER_BLOCK on, to the next one or to `until` if that is behind it.
static struct reader_want want_of_block(const struct reader *reader, uint32_t file, uint64_t offset, uint64_t until)
{
    until = until > offset + READER_BLOCK ? until : offset + READER_BLOCK;
    if (file == reader->tail->newest_file && until > reader->tail->newest_end) {
        until = reader->tail->newest_end; // what lies behind may be written while it is read
    }
    return (struct reader_want){.kind = TAIL_LOG, .file = file, .offset = offset, .bytes = (uint32_t)(until - offset)};
}

// A chunk with the record, referenced; NULL with what must be read.
static struct chunk *find_bytes(struct reader *reader, const struct index_place *place, const char **ret_at,
                                struct reader_want *ret_want)
{
    uint64_t offset = place->offset & ~(uint64_t)(READER_BLOCK - 1), end = record_padded(place->offset + place->size);
    *ret_want = want_of_block(reader, place->file, offset, end);
    struct tail_block *block = tail_block_find(reader->tail, reader_want_key(ret_want));
    if (!block) {
        return NULL;
    }
    if (end <= offset + block->chunk->used) {
        reader_ahead_log(reader, place->file, block, end);
        *ret_at = block->chunk->data + (place->offset - offset);
        return chunk_ref(block->chunk);
    }
    if (end > offset + 2 * (uint64_t)READER_BLOCK || block->chunk->used != READER_BLOCK) {
        return NULL;
    }
    *ret_want = want_of_block(reader, place->file, offset + READER_BLOCK, 0);
    const struct tail_block *next = tail_block_find(reader->tail, reader_want_key(ret_want));
    return next && end <= next->offset + next->chunk->used ? join(place, block, next, ret_at) : NULL;
}

// A copy of the record whose first bytes are the last of `block`.
static struct chunk *join(const struct index_place *place, const struct tail_block *block,
                          const struct tail_block *next, const char **ret_at)
{
    size_t size = record_padded(place->size), first = (size_t)(next->offset - place->offset);
    struct chunk *chunk = chunk_new(size);
    memcpy(chunk->data, block->chunk->data + (READER_BLOCK - first), first);
    memcpy(chunk->data + first, next->chunk->data, size - first);
    chunk->used = (uint32_t)size;
    *ret_at = chunk->data;
    return chunk;
}

static bool is_message(const struct index_place *place, uint32_t stream, const char *at)
{
    struct record record;
    size_t used;
    return record_get(bytes_make(at, record_padded(place->size)), true, &record, &used) == 0 &&
           record.whole.len == place->size && record.kind == RECORD_MESSAGE && record.object == stream &&
           record.whole.len >= RECORD_MESSAGE_SIZE && reader_record_sequence(at) == place->sequence;
}
