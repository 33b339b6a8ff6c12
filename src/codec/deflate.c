// SPDX-License-Identifier: Apache-2.0
// tidy: prefix inflater deflater
#include "codec/deflate.h"

#define ZLIB_CONST
#include <zlib.h>

#include "base/memory.h"
#include "base/must.h"

#define RAW_WINDOW_BITS (-15) // no zlib header; 32 KiB
#define STEP            8192  // room made in the output at a time

struct inflater {
    z_stream stream;
    uint64_t left;    // bytes that may still come out
    uint8_t tail_fed; // bytes of TAIL
};

struct deflater {
    z_stream stream;
};

static const char TAIL[4] = {0, 0, (char)0xff, (char)0xff};

static int inflate_some(struct inflater *inflater, struct bytes *input);
static void *take(void *owner, unsigned count, unsigned size);
static void give(void *owner, void *memory);

struct inflater *inflater_new(void)
{
    struct inflater *inflater = mem_alloc_zero(sizeof(*inflater));
    inflater->stream.zalloc = take;
    inflater->stream.zfree = give;
    must(inflateInit2(&inflater->stream, RAW_WINDOW_BITS) == Z_OK);
    return inflater;
}

void inflater_free(struct inflater *inflater)
{
    if (!inflater)
        return;
    (void)inflateEnd(&inflater->stream);
    mem_free(inflater);
}

void inflater_begin(struct inflater *inflater, uint64_t max_size)
{
    must(inflateReset(&inflater->stream) == Z_OK);
    inflater->left = max_size;
    inflater->tail_fed = 0;
}

int inflater_step(struct inflater *inflater, struct bytes *input, bool last, char *to, size_t size, size_t *ret_len)
{
    z_stream *stream = &inflater->stream;
    stream->next_out = (Bytef *)to;
    stream->avail_out = size > UINT32_MAX ? UINT32_MAX : (uInt)size;
    uInt room = stream->avail_out;
    int error = inflate_some(inflater, input);
    if (!error && last && input->len == 0 && stream->avail_out > 0) {
        struct bytes tail = bytes_make(TAIL + inflater->tail_fed, sizeof(TAIL) - inflater->tail_fed);
        error = inflate_some(inflater, &tail);
        inflater->tail_fed = (uint8_t)(sizeof(TAIL) - tail.len);
    }
    *ret_len = room - stream->avail_out;
    if (!error && *ret_len > inflater->left)
        error = ERR_TOO_BIG;
    if (!error)
        inflater->left -= *ret_len;
    return error;
}

struct deflater *deflater_new(void)
{
    struct deflater *deflater = mem_alloc_zero(sizeof(*deflater));
    deflater->stream.zalloc = take;
    deflater->stream.zfree = give;
    // Speed first, as the servers we replace: payloads are often compressed already.
    must(deflateInit2(&deflater->stream, Z_BEST_SPEED, Z_DEFLATED, RAW_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    return deflater;
}

void deflater_free(struct deflater *deflater)
{
    if (!deflater)
        return;
    (void)deflateEnd(&deflater->stream);
    mem_free(deflater);
}

int deflater_message(struct deflater *deflater, const struct bytes *parts, size_t count, struct buffer *out)
{
    z_stream *stream = &deflater->stream;
    must(deflateReset(stream) == Z_OK);
    buffer_clear(out);
    for (size_t i = 0; i < count; i++) {
        must(parts[i].len <= UINT32_MAX);
        stream->next_in = (const Bytef *)parts[i].ptr;
        stream->avail_in = (uInt)parts[i].len;
        int flush = i + 1 == count ? Z_SYNC_FLUSH : Z_NO_FLUSH;
        do {
            char *to = buffer_reserve(out, STEP);
            if (!to)
                return ERR_TOO_BIG;
            stream->next_out = (Bytef *)to;
            stream->avail_out = STEP;
            int result = deflate(stream, flush);
            must(result == Z_OK || result == Z_BUF_ERROR);
            buffer_commit(out, STEP - stream->avail_out);
        } while (stream->avail_out == 0);
    }
    must(out->len >= sizeof(TAIL) && memcmp(out->ptr + out->len - sizeof(TAIL), TAIL, sizeof(TAIL)) == 0);
    out->len -= sizeof(TAIL);
    return 0;
}

static int inflate_some(struct inflater *inflater, struct bytes *input)
{
    z_stream *stream = &inflater->stream;
    must(input->len <= UINT32_MAX);
    stream->next_in = (const Bytef *)input->ptr;
    stream->avail_in = (uInt)input->len;
    int result = Z_OK;
    while (result == Z_OK && stream->avail_out > 0) {
        result = inflate(stream, Z_SYNC_FLUSH);
        // The sender may end its deflate stream and begin another within one message.
        if (result == Z_STREAM_END)
            result = inflateReset(stream);
        if (stream->avail_in == 0)
            break;
    }
    *input = bytes_make(stream->next_in, stream->avail_in);
    return result == Z_OK || result == Z_BUF_ERROR ? 0 : ERR_CORRUPT;
}

static void *take(void *owner, unsigned count, unsigned size)
{
    (void)owner;
    return mem_alloc_zero((size_t)count * size);
}

static void give(void *owner, void *memory)
{
    (void)owner;
    mem_free(memory);
}
