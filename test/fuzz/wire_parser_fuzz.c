// SPDX-License-Identifier: Apache-2.0
// The wire parser must find the same operations and end the same way however the input is cut. First byte: side, limits
// and the seed of the cuts; the rest is what came over the wire. Each presented piece is an allocation of its exact size, so
// the sanitizer sees a read too far.
#include <stdlib.h>

#include "base/must.h"
#include "base/prng.h"
#include "wire/connect.h"
#include "wire/info.h"
#include "wire/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_LEN_MAX 2048

// Everything the operations say, in order, as bytes.
struct transcript {
    char *ptr;
    size_t len;
    size_t size;
};

static void write_bytes(struct transcript *transcript, struct bytes bytes)
{
    size_t wanted = transcript->len + sizeof(bytes.len) + bytes.len;
    if (wanted > transcript->size) {
        transcript->size = wanted * 2;
        transcript->ptr = realloc(transcript->ptr, transcript->size);
    }
    memcpy(transcript->ptr + transcript->len, &bytes.len, sizeof(bytes.len));
    if (bytes.len > 0)
        memcpy(transcript->ptr + transcript->len + sizeof(bytes.len), bytes.ptr, bytes.len);
    transcript->len = wanted;
}

static void write_number(struct transcript *transcript, uint64_t number)
{
    write_bytes(transcript, bytes_make(&number, sizeof(number)));
}

static void parse_json(const struct wire_op *op)
{
    struct wire_connect connect;
    struct wire_info info;
    if (op->kind == WIRE_CONNECT && connect_parse(op->text, &connect) == 0)
        connect_deinit(&connect);
    if (op->kind == WIRE_INFO && info_parse(op->text, &info) == 0)
        info_deinit(&info);
}

static void write_op(struct transcript *transcript, const struct wire_op *op)
{
    write_number(transcript, op->kind);
    switch (op->kind) {
    case WIRE_CONNECT:
    case WIRE_INFO:
    case WIRE_MINUS_ERR: write_bytes(transcript, op->text); break;
    case WIRE_MSG:
    case WIRE_PUB:
        if (op->kind == WIRE_MSG)
            write_bytes(transcript, op->sid);
        write_bytes(transcript, op->subject);
        write_bytes(transcript, op->reply);
        write_bytes(transcript, op->header);
        write_bytes(transcript, op->payload);
        write_number(transcript, op->has_header);
        must(op->header.ptr + op->header.len == op->payload.ptr);
        break;
    case WIRE_SUB:
        write_bytes(transcript, op->subject);
        write_bytes(transcript, op->queue);
        write_bytes(transcript, op->sid);
        break;
    case WIRE_UNSUB:
        write_bytes(transcript, op->sid);
        write_number(transcript, op->max);
        break;
    case WIRE_PING:
    case WIRE_PONG:
    case WIRE_PLUS_OK: break;
    }
}

// Presents the tail and the next piece in fresh memory until the input is used up.
static struct transcript run(enum parser_side side, const struct parser_config *config, struct bytes input,
                             uint64_t seed, size_t piece_max)
{
    struct transcript transcript = {0};
    struct parser parser;
    struct wire_op op;
    struct prng prng;
    size_t at = 0, tail_len = 0;
    int result = 0;
    prng_seed(&prng, seed);
    parser_init(&parser, side, config);
    struct parser_memo memo = {0};
    if (seed & 1) // with a memo or without, the same
        parser_set_memo(&parser, &memo);
    while (at < input.len && result >= 0) {
        size_t piece = 1 + (size_t)prng_below(&prng, piece_max);
        if (piece > input.len - at)
            piece = input.len - at;
        size_t len = tail_len + piece;
        char *memory = malloc(len);
        memcpy(memory, input.ptr + at - tail_len, len);
        at += piece;
        struct bytes rest = bytes_make(memory, len);
        while ((result = parser_next(&parser, &rest, &op)) > 0) {
            write_op(&transcript, &op);
            parse_json(&op);
        }
        tail_len = rest.len;
        must(rest.ptr + rest.len == memory + len);
        must(result < 0 || parser_needed_bytes(&parser) == 0 || tail_len < parser_needed_bytes(&parser));
        must(result < 0 || tail_len <= parser_size_max_bytes(&parser));
        free(memory);
    }
    must((result < 0) == (parser_error(&parser) != WIRE_OK));
    write_number(&transcript, parser_error(&parser));
    write_number(&transcript, result < 0 ? 0 : tail_len);
    return transcript;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INPUT_LEN_MAX)
        return 0;
    enum parser_side side = data[0] & 1 ? PARSER_CLIENT : PARSER_SERVER;
    struct parser_config small = {.control_line_max = 24, .info_line_max = 40, .payload_max = 16};
    const struct parser_config *config = data[0] & 2 ? &small : NULL;
    struct bytes input = bytes_make(data + 1, size - 1);
    struct transcript whole = run(side, config, input, 0, SIZE_MAX / 2);
    static const size_t PIECES_MAX[] = {1, 8, 128};
    for (size_t i = 0; i < sizeof(PIECES_MAX) / sizeof(PIECES_MAX[0]); i++) {
        struct transcript cut = run(side, config, input, data[0] + i, PIECES_MAX[i]);
        must(bytes_equal(bytes_make(whole.ptr, whole.len), bytes_make(cut.ptr, cut.len)));
        free(cut.ptr);
    }
    free(whole.ptr);
    return 0;
}
