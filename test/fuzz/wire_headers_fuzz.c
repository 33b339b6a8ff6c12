// SPDX-License-Identifier: Apache-2.0
// Header blocks: no bytes are too strange to read; a block that passes, built anew from its pieces, reads the same; and
// headers_find() finds what iterating finds.
#include <stdlib.h>

#include "base/must.h"
#include "wire/headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BLOCK_LEN_MAX 4096

static void check_same(const struct headers *a, const struct headers *b)
{
    struct bytes rest_a = a->fields, rest_b = b->fields;
    struct headers_field field_a, field_b;
    must(a->status == b->status && bytes_equal(a->description, b->description));
    while (headers_next(&rest_a, &field_a)) {
        must(headers_next(&rest_b, &field_b));
        must(bytes_equal(field_a.name, field_b.name) && bytes_equal(field_a.value, field_b.value));
    }
    must(rest_a.len == 0 && rest_b.len == 0);
}

static void check_find(struct bytes block, const struct headers *headers)
{
    struct bytes rest = headers->fields, again, value;
    struct headers_field field, first;
    while (headers_next(&rest, &field)) {
        must(headers_find(block, field.name, &value) == 0);
        again = headers->fields;
        while (headers_next(&again, &first) && !bytes_equal(first.name, field.name)) {
        }
        must(value.ptr == first.value.ptr && value.len == first.value.len);
    }
}

static void check_build(const struct headers *headers)
{
    static char memory[2 * BLOCK_LEN_MAX];
    struct headers_builder builder;
    struct headers built;
    struct headers_field field;
    struct bytes rest = headers->fields, block;
    headers_begin(&builder, memory, sizeof(memory), headers->status, headers->description);
    while (headers_next(&rest, &field))
        headers_add(&builder, field.name, field.value);
    int error = headers_end(&builder, &block);
    if (error == 0) {
        must(headers_parse(block, &built) == 0);
        check_same(headers, &built);
    } else {
        must(error == ERR_INVALID); // a lone CR or a NUL in a value, or a description of status 0: read, never written
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes block = bytes_make(data, size), value, rest = block;
    struct headers headers;
    struct headers_field field;
    if (size > BLOCK_LEN_MAX)
        return 0;
    while (headers_next(&rest, &field))
        must(field.name.len > 0);
    if (headers_find(block, BYTES("A"), &value) == 0)
        must(value.ptr >= block.ptr && value.ptr + value.len <= block.ptr + block.len);
    if (headers_parse(block, &headers) == 0) {
        check_find(block, &headers);
        check_build(&headers);
    }
    return 0;
}
