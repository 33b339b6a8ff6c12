// SPDX-License-Identifier: Apache-2.0
// tidy: prefix rollover
// Reads a gather of messages of a log file to their places in the writer's buffer. They are asked for in the order of the file,
// whatever streams they are of, so that the disk reads through what lies between neighbours instead of going to each. What the
// disk cannot read is tried again, after a while of trying each message alone, and then left out: else one bad sector would keep
// the file, and with it the log, for ever.
#include "base/memory.h"
#include "base/must.h"
#include "store/rollover_internal.h"

enum {
    GATHER_PATIENCE = 6, // tries, half a minute, until what cannot be read is given up
    GATHER_DEAD = 8,     // of so many items not one can be read: it is not a sector but the disk
    GATHER_SPANS = 4096, // in one request
    KEY_INDEX_BITS = 15, // of a key: the item's index; above them its offset, in eights
    KEY_DIGIT_BITS = 11, // sorted by at a time
};

static const uint64_t *sort_items(struct rollover *rollover);
static void items_read(struct rollover *rollover);
static void items_done(struct disk_request *request);
static void item_read_alone(struct rollover *rollover);
static void item_read_alone_done(struct disk_request *request);
static void submit(struct rollover *rollover, struct disk_span *spans, size_t count,
                   void (*done)(struct disk_request *));
static void take(struct rollover *rollover);

// Neighbours in the log that stay neighbours are one span.
void rollover_gather_read(struct rollover *rollover)
{
    char *base = rollover->writer->out.ptr;
    const uint64_t *keys = sort_items(rollover);
    rollover->span_count = rollover->spans_read = 0;
    for (uint32_t i = 0; i < rollover->item_count; i++) {
        const struct rollover_item *item = &rollover->items[keys[i] & (ROLLOVER_ITEMS - 1)];
        struct disk_span *last = rollover->span_count > 0 ? &rollover->spans[rollover->span_count - 1] : NULL;
        size_t padded = record_padded(item->size);
        if (last && last->offset + last->len == item->offset && last->ptr + last->len == base + item->at) {
            last->len += padded;
        } else {
            rollover->spans[rollover->span_count++] =
                (struct disk_span){.ptr = base + item->at, .len = padded, .offset = item->offset};
        }
    }
    items_read(rollover);
}

// Digit by digit: what sorts tens of thousands within a turn.
static const uint64_t *sort_items(struct rollover *rollover)
{
    uint64_t *keys = rollover->keys, *sorted = rollover->keys + ROLLOVER_ITEMS;
    for (uint32_t i = 0; i < rollover->item_count; i++) {
        keys[i] = rollover->items[i].offset / 8 << KEY_INDEX_BITS | i;
    }
    uint64_t most = rollover->item_end / 8 << KEY_INDEX_BITS;
    for (uint32_t shift = KEY_INDEX_BITS; shift < 64 && most >> shift; shift += KEY_DIGIT_BITS) {
        uint32_t places[1 << KEY_DIGIT_BITS] = {0}, sum = 0;
        const uint64_t mask = (1 << KEY_DIGIT_BITS) - 1;
        for (uint32_t i = 0; i < rollover->item_count; i++) {
            places[keys[i] >> shift & mask]++;
        }
        for (size_t digit = 0; digit <= mask; digit++) {
            uint32_t count = places[digit];
            places[digit] = sum;
            sum += count;
        }
        for (uint32_t i = 0; i < rollover->item_count; i++) {
            sorted[places[keys[i] >> shift & mask]++] = keys[i];
        }
        uint64_t *other = keys;
        keys = sorted;
        sorted = other;
    }
    return keys;
}

static void items_read(struct rollover *rollover)
{
    uint32_t left = rollover->span_count - rollover->spans_read;
    uint32_t count = left < GATHER_SPANS ? left : GATHER_SPANS;
    struct disk_span *spans = rollover->spans + rollover->spans_read;
    rollover->spans_read += count;
    submit(rollover, spans, count, items_done);
}

static void items_done(struct disk_request *request)
{
    struct rollover *rollover = container_of(request, struct rollover, request);
    const struct store_context *context = rollover->context;
    rollover->context->requests--;
    rollover->state = ROLLOVER_COLLECTING;
    if (context->closing || context->failed) {
        return;
    }
    if (request->result == 0 && rollover->spans_read < rollover->span_count) {
        items_read(rollover);
    } else if (request->result == 0) {
        take(rollover);
    } else if (request->result == ERR_IO && rollover->failures >= GATHER_PATIENCE) {
        rollover->alone = rollover->unreadable = 0;
        item_read_alone(rollover);
    } else {
        rollover_failed(rollover, request->result);
    }
}

static void item_read_alone(struct rollover *rollover)
{
    const struct rollover_item *item = &rollover->items[rollover->alone];
    rollover->spans[0] = (struct disk_span){
        .ptr = rollover->writer->out.ptr + item->at, .len = record_padded(item->size), .offset = item->offset};
    submit(rollover, rollover->spans, 1, item_read_alone_done);
}

// What cannot be read becomes zeros, which do not verify.
static void item_read_alone_done(struct disk_request *request)
{
    struct rollover *rollover = container_of(request, struct rollover, request);
    rollover->context->requests--;
    if (request->result != 0) {
        memset(rollover->spans[0].ptr, 0, rollover->spans[0].len);
        rollover->unreadable++;
    }
    rollover->alone++;
    rollover->state = ROLLOVER_COLLECTING;
    if (rollover->context->closing || rollover->context->failed) {
        return;
    }
    if (rollover->alone < rollover->item_count) {
        item_read_alone(rollover);
    } else if (rollover->unreadable == rollover->item_count && rollover->item_count >= GATHER_DEAD) {
        rollover_failed(rollover, ERR_IO);
    } else {
        take(rollover);
    }
}

static void submit(struct rollover *rollover, struct disk_span *spans, size_t count,
                   void (*done)(struct disk_request *))
{
    rollover->request = (struct disk_request){
        .op = DISK_READ_EACH,
        .file = rollover->handle,
        .spans = spans,
        .span_count = count,
        .done = done,
    };
    rollover->state = ROLLOVER_READING;
    rollover->context->requests++;
    disk_submit(rollover->context->disk, DISK_POOL, &rollover->request);
}

static void take(struct rollover *rollover)
{
    rollover->taken = 0;
    rollover->state = ROLLOVER_TAKING;
    rollover_wake(rollover);
}
