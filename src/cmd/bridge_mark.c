// SPDX-License-Identifier: Apache-2.0
#include "cmd/bridge_mark.h"

#include <stdio.h>

#include "base/must.h"
#include "base/number.h"
#include "codec/timestamp.h"

#define PREFIX "Weir-Bridge-"

static int build(const struct bridge_mark *mark, struct bytes own, char *room, size_t size, struct bytes *ret_block);
static void add_number(struct headers_builder *builder, struct bytes name, uint64_t value);

struct bytes bridge_mark_encode(const struct bridge_mark *mark, struct bytes own, char *room, size_t size)
{
    struct bytes block;
    if (build(mark, own, room, size, &block))
        must(build(mark, (struct bytes){0}, room, size, &block) == 0);
    return block;
}

int bridge_mark_decode(struct bytes block, struct bytes cluster, struct bridge_mark *ret_mark)
{
    struct bytes value;
    struct bridge_mark mark = {.cluster = cluster};
    if (block.len == 0 || headers_find(block, BYTES(PREFIX "Cluster"), &value) || !bytes_equal(value, cluster) ||
        headers_find(block, BYTES(PREFIX "Sequence"), &value) || number_parse_u64(value, UINT64_MAX, &mark.sequence) ||
        headers_find(block, BYTES(PREFIX "Time"), &value) || timestamp_parse(value, &mark.time_ns))
        return ERR_NOT_FOUND;
    if (headers_find(block, BYTES(PREFIX "Epoch"), &value) == 0 && number_parse_u64(value, UINT32_MAX, &mark.epoch))
        return ERR_NOT_FOUND;
    *ret_mark = mark;
    return 0;
}

struct bytes bridge_mark_guid(const struct bridge_mark *mark, char ret_guid[BRIDGE_MARK_GUID_SIZE])
{
    int len = snprintf(ret_guid, BRIDGE_MARK_GUID_SIZE, "%llu.%llu.%llu.%.*s", (unsigned long long)mark->epoch,
                       (unsigned long long)mark->sequence, (unsigned long long)mark->time_ns, BYTES_ARG(mark->cluster));
    must(len < BRIDGE_MARK_GUID_SIZE);
    return bytes_make(ret_guid, (size_t)len);
}

int bridge_mark_read_guid(struct bytes guid, uint64_t *ret_epoch, uint64_t *ret_sequence)
{
    const char *first = guid.len ? memchr(guid.ptr, '.', guid.len) : NULL;
    struct bytes rest = first ? bytes_skip(guid, (size_t)(first + 1 - guid.ptr)) : (struct bytes){0};
    const char *second = rest.len ? memchr(rest.ptr, '.', rest.len) : NULL;
    if (!second || number_parse_u64(bytes_make(guid.ptr, (size_t)(first - guid.ptr)), UINT64_MAX, ret_epoch) ||
        number_parse_u64(bytes_make(rest.ptr, (size_t)(second - rest.ptr)), UINT64_MAX, ret_sequence))
        return ERR_INVALID;
    return 0;
}

static int build(const struct bridge_mark *mark, struct bytes own, char *room, size_t size, struct bytes *ret_block)
{
    struct headers_builder builder;
    struct headers headers;
    struct headers_field field;
    char time[TIMESTAMP_TEXT_SIZE];
    headers_begin(&builder, room, size, 0, (struct bytes){0});
    if (own.len && headers_parse(own, &headers) == 0) {
        while (headers_next(&headers.fields, &field)) {
            if (!bytes_starts_with(field.name, BYTES(PREFIX)))
                headers_add(&builder, field.name, field.value);
        }
    }
    timestamp_format(mark->time_ns, time);
    headers_add(&builder, BYTES(PREFIX "Cluster"), mark->cluster);
    add_number(&builder, BYTES(PREFIX "Sequence"), mark->sequence);
    headers_add(&builder, BYTES(PREFIX "Time"), bytes_from_string(time));
    if (mark->epoch)
        add_number(&builder, BYTES(PREFIX "Epoch"), mark->epoch);
    return headers_end(&builder, ret_block);
}

static void add_number(struct headers_builder *builder, struct bytes name, uint64_t value)
{
    char digits[NUMBER_MAX_DIGITS];
    headers_add(builder, name, bytes_make(digits, number_format_u64(digits, value)));
}
