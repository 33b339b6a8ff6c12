// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "codec/websocket.h"
#include "websocket_client.h"

// Reads everything, `cut` bytes at a time; messages end with '|', control frames appear as "[opcode:payload]".
static int read_all(struct bytes input, bool allow_compressed, size_t cut, struct buffer *ret_text)
{
    struct websocket_reader reader;
    websocket_reader_init(&reader, allow_compressed);
    buffer_clear(ret_text);
    while (input.len > 0) {
        struct bytes piece = bytes_make(input.ptr, input.len < cut ? input.len : cut);
        input = bytes_skip(input, piece.len);
        struct websocket_event event;
        int error;
        while ((error = websocket_reader_next(&reader, &piece, &event)) == 0) {
            if (event.opcode == WEBSOCKET_BINARY) {
                char *at = buffer_reserve(ret_text, event.bytes.len + 1);
                websocket_unmask(at, event.bytes, event.mask);
                buffer_commit(ret_text, event.bytes.len);
                if (event.last)
                    assert_int_equal(buffer_append_char(ret_text, event.compressed ? '~' : '|'), 0);
            } else {
                assert_int_equal(
                    buffer_printf(ret_text, "[%d:%.*s:%d]", (int)event.opcode, BYTES_ARG(event.bytes), event.status),
                    0);
            }
        }
        if (error != ERR_AGAIN)
            return error;
        assert_int_equal(piece.len, 0);
    }
    return 0;
}

static void expect(const struct buffer *input, bool allow_compressed, const char *text)
{
    struct buffer found;
    buffer_init(&found, 1 << 20);
    for (size_t cut = 1; cut <= input->len; cut++) {
        assert_int_equal(read_all(buffer_bytes(input), allow_compressed, cut, &found), 0);
        assert_true(bytes_equal(buffer_bytes(&found), bytes_from_string(text)));
    }
    buffer_deinit(&found);
}

static void frames_become_messages_however_they_are_cut(void **state)
{
    struct buffer input;
    buffer_init(&input, 1 << 20);
    websocket_client_append(&input, 0x82, BYTES("PING\r\n"));
    websocket_client_append(&input, 0x01, BYTES("SUB a"));
    websocket_client_append(&input, 0x89, BYTES("there?"));
    websocket_client_append(&input, 0x00, BYTES(""));
    websocket_client_append(&input, 0x80, BYTES(" 1\r\n"));
    websocket_client_append(&input, 0xc2, BYTES("xyz"));
    websocket_client_append(&input, 0x82, BYTES(""));
    websocket_client_append(&input, 0x88, BYTES("\x03\xe9 bye"));
    websocket_client_append(&input, 0x88, BYTES(""));
    expect(&input, true, "PING\r\n|SUB a[9:there?:1005] 1\r\n|xyz~|[8:\x03\xe9 bye:1001][8::1005]");
    buffer_deinit(&input);
}

static void lengths_of_all_three_forms_are_read(void **state)
{
    static const size_t LENS[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};
    static char payload[70000];
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof(LENS) / sizeof(LENS[0]); i++) {
        struct buffer input, found;
        buffer_init(&input, 1 << 20);
        buffer_init(&found, 1 << 20);
        websocket_client_append(&input, 0x82, bytes_make(payload, LENS[i]));
        assert_int_equal(read_all(buffer_bytes(&input), false, 1000, &found), 0);
        assert_int_equal(found.len, LENS[i] + 1);
        assert_memory_equal(found.ptr, payload, LENS[i]);
        buffer_deinit(&input);
        buffer_deinit(&found);
    }
}

static int error_of(struct bytes input, bool allow_compressed)
{
    struct buffer found;
    buffer_init(&found, 1 << 20);
    int error = read_all(input, allow_compressed, SIZE_MAX, &found);
    assert_int_equal(read_all(input, allow_compressed, 1, &found), error);
    buffer_deinit(&found);
    return error;
}

static int error_of_frame(int first, struct bytes payload)
{
    struct buffer input;
    buffer_init(&input, 1 << 20);
    websocket_client_append(&input, first, payload);
    int error = error_of(buffer_bytes(&input), false);
    buffer_deinit(&input);
    return error;
}

static void broken_frames_are_refused(void **state)
{
    static char long_payload[126];
    assert_int_equal(error_of_frame(0x82, BYTES("fine")), 0);
    assert_int_equal(error_of_frame(0xc2, BYTES("compressed without agreement")), ERR_PROTOCOL);
    assert_int_equal(error_of_frame(0xa2, BYTES("reserved")), ERR_PROTOCOL);
    assert_int_equal(error_of_frame(0x92, BYTES("reserved")), ERR_PROTOCOL);
    assert_int_equal(error_of_frame(0x83, BYTES("unknown")), ERR_PROTOCOL);
    assert_int_equal(error_of_frame(0x8b, BYTES("unknown")), ERR_PROTOCOL);
    assert_int_equal(error_of_frame(0x80, BYTES("continues nothing")), ERR_PROTOCOL);
    assert_int_equal(error_of_frame(0x09, BYTES("ping in pieces")), ERR_PROTOCOL);
    assert_int_equal(error_of_frame(0x88, BYTES("1")), ERR_PROTOCOL);
    assert_int_equal(error_of_frame(0x89, bytes_make(long_payload, 125)), 0);
    assert_int_equal(error_of_frame(0x89, bytes_make(long_payload, 126)), ERR_PROTOCOL);
    assert_int_equal(error_of(BYTES("\x82\x01"
                                    "a"),
                              false),
                     ERR_PROTOCOL); // not masked
    assert_int_equal(error_of(BYTES("\x82\xfe\x00\x05"
                                    "mask"
                                    "12345"),
                              false),
                     ERR_PROTOCOL); // 5 as 16 bits
    assert_int_equal(error_of(BYTES("\x82\xff\0\0\0\0\0\0\xff\xff"
                                    "mask"),
                              false),
                     ERR_PROTOCOL); // 16 as 64 bits
    assert_int_equal(error_of(BYTES("\x82\xff\x80\0\0\0\0\0\0\0"
                                    "mask"),
                              false),
                     ERR_PROTOCOL); // negative
    assert_int_equal(error_of(BYTES("\x02\x80"
                                    "mask"
                                    "\x82\x80"
                                    "mask"),
                              false),
                     ERR_PROTOCOL); // two messages at once
}

static void masks_of_any_length_and_alignment_are_undone(void **state)
{
    char masked[40], clear[40];
    for (size_t len = 0; len < sizeof(masked); len++) {
        for (size_t i = 0; i < len; i++)
            masked[i] = (char)((uint8_t)(i * 11) ^ websocket_client_mask[i & 3]);
        websocket_unmask(clear, bytes_make(masked, len), websocket_client_mask);
        for (size_t i = 0; i < len; i++)
            assert_int_equal((uint8_t)clear[i], (uint8_t)(i * 11));
        websocket_unmask(masked, bytes_make(masked, len), websocket_client_mask);
        assert_memory_equal(masked, clear, len);
    }
}

static void headers_are_written_as_the_rfc_shows(void **state)
{
    char header[WEBSOCKET_HEADER_SIZE_MAX];
    assert_int_equal(websocket_header_encode(header, WEBSOCKET_BINARY, false, 5), 2);
    assert_memory_equal(header, "\x82\x05", 2);
    assert_int_equal(websocket_header_encode(header, WEBSOCKET_BINARY, false, 256), 4);
    assert_memory_equal(header, "\x82\x7e\x01\x00", 4);
    assert_int_equal(websocket_header_encode(header, WEBSOCKET_BINARY, true, 65536), 10);
    assert_memory_equal(header, "\xc2\x7f\0\0\0\0\0\x01\0\0", 10);
    assert_int_equal(websocket_header_encode(header, WEBSOCKET_PONG, false, 0), 2);
    assert_memory_equal(header, "\x8a\x00", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_become_messages_however_they_are_cut),
        cmocka_unit_test(lengths_of_all_three_forms_are_read),
        cmocka_unit_test(broken_frames_are_refused),
        cmocka_unit_test(masks_of_any_length_and_alignment_are_undone),
        cmocka_unit_test(headers_are_written_as_the_rfc_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
