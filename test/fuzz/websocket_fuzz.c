// SPDX-License-Identifier: Apache-2.0
// Websocket frames: any bytes may be read; where the input is cut changes nothing of what they say; compressed messages may hold anything
// and are inflated within their limit. The first byte chooses the cuts.
#include "base/buffer.h"
#include "base/must.h"
#include "codec/deflate.h"
#include "codec/websocket.h"

#define INFLATED_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inflate_into(struct inflater *inflater, struct bytes packed, bool last, uint64_t *total)
{
    static char piece[4096];
    size_t len;
    do {
        if (inflater_step(inflater, &packed, last, piece, sizeof(piece), &len)) {
            inflater_begin(inflater, INFLATED_MAX);
            *total = 0;
            return;
        }
        *total += len;
        must(*total <= INFLATED_MAX);
    } while (packed.len > 0 || len == sizeof(piece));
    if (last) {
        inflater_begin(inflater, INFLATED_MAX);
        *total = 0;
    }
}

// What the frames say, as text in which pieces of one message are joined.
static int read_all(struct bytes input, size_t cut, struct inflater *inflater, struct buffer *said)
{
    struct websocket_reader reader;
    uint64_t inflated = 0;
    int error = ERR_AGAIN;
    websocket_reader_init(&reader, true);
    inflater_begin(inflater, INFLATED_MAX);
    while (input.len > 0 && error == ERR_AGAIN) {
        struct bytes piece = bytes_make(input.ptr, input.len < cut ? input.len : cut);
        input = bytes_skip(input, piece.len);
        struct websocket_event event;
        while ((error = websocket_reader_next(&reader, &piece, &event)) == 0) {
            char *at = buffer_reserve(said, event.bytes.len + 8);
            if (event.opcode == WEBSOCKET_BINARY) {
                websocket_unmask(at, event.bytes, event.mask);
                buffer_commit(said, event.bytes.len);
                if (event.compressed)
                    inflate_into(inflater, bytes_make(at, event.bytes.len), event.last, &inflated);
                must(!event.last || buffer_append(said, BYTES("|")) == 0);
            } else {
                must(event.bytes.len <= WEBSOCKET_CONTROL_SIZE_MAX);
                must(buffer_printf(said, "<%d>", (int)event.opcode) == 0 && buffer_append(said, event.bytes) == 0);
            }
        }
    }
    return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct buffer whole, pieces;
    struct bytes input = bytes_make(data + 1, size - 1);
    struct inflater *inflater = inflater_new();
    buffer_init(&whole, SIZE_MAX / 2);
    buffer_init(&pieces, SIZE_MAX / 2);
    int error = read_all(input, SIZE_MAX, inflater, &whole);
    must(error == read_all(input, 1 + data[0] % 16, inflater, &pieces));
    must(bytes_equal(buffer_bytes(&whole), buffer_bytes(&pieces)));
    buffer_deinit(&whole);
    buffer_deinit(&pieces);
    inflater_free(inflater);
    return 0;
}
