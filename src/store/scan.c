// SPDX-License-Identifier: Apache-2.0
#include "store/scan.h"

#include "base/endian.h"
#include "base/must.h"

enum { WINDOW_BYTES = 1024 * 1024 };

static int next_in_batch(struct scan *scan, struct scan_item *ret_item, bool *ret_found);
static int next_batch(struct scan *scan, struct scan_item *ret_item, bool *ret_found);
static int read_entry(struct scan *scan, uint64_t position, uint64_t end, struct scan_item *ret_item, bool *ret_found);
static int read_batch(struct scan *scan, uint64_t position, struct scan_item *ret_item, bool *ret_found);
static int find_valid(struct scan *scan, uint64_t from, uint64_t *ret_position, bool *ret_is_entry);
static int need(struct scan *scan, uint64_t position, size_t len, const char **ret_data);
static int load(struct scan *scan, uint64_t position, size_t len);
static int load_blocks(struct scan *scan, size_t len);
static int is_zero(struct scan *scan, uint64_t from, uint64_t to, bool *ret_zero);

void scan_init(struct scan *scan, struct disk *disk, struct disk_file *file, uint64_t id, uint32_t block_bytes,
               uint64_t limit)
{
    *scan = (struct scan){
        .disk = disk,
        .file = file,
        .id = id,
        .block_bytes = block_bytes,
        .limit = limit,
        .position = BATCH_ALIGN,
        .unreadable = UINT64_MAX,
    };
}

void scan_deinit(struct scan *scan)
{
    chunk_unref(scan->window);
    scan->window = NULL;
}

int scan_next(struct scan *scan, struct scan_item *ret_item)
{
    bool found = false;
    int error = 0;
    if (scan->batch_end)
        error = next_in_batch(scan, ret_item, &found);
    if (!error && !found)
        error = next_batch(scan, ret_item, &found);
    if (error || found)
        return error;
    uint64_t valid = scan->limit;
    bool is_entry = false;
    error = find_valid(scan, scan->position, &valid, &is_entry);
    if (error)
        return error;
    *ret_item = (struct scan_item){
        .kind = valid < scan->limit ? SCAN_BAD : SCAN_END,
        .position = scan->position,
        .length = valid > scan->position ? valid - scan->position : 0,
    };
    scan->adrift = is_entry;
    scan->batch_end = is_entry ? scan->limit : 0;
    if (ret_item->kind == SCAN_BAD)
        scan->position = valid;
    return 0;
}

// An entry of this batch. Not found: either the batch is over (batch_end is 0 then), or what is here is bad.
static int next_in_batch(struct scan *scan, struct scan_item *ret_item, bool *ret_found)
{
    uint64_t end = scan->batch_end;
    int error = read_entry(scan, scan->position, end, ret_item, ret_found);
    if (error || *ret_found)
        return error;
    uint64_t over = batch_boundary(scan->position, scan->block_bytes);
    bool zero = scan->position >= end;
    if (!zero && scan->adrift) {
        error = is_zero(scan, scan->position, over < scan->limit ? over : scan->limit, &zero);
        if (error)
            return error;
    }
    if (!zero)
        return 0;
    scan->batch_end = 0;
    scan->adrift = false;
    scan->position = over;
    return 0;
}

// A batch header at the position, which is the beginning of a block. Not while inside a batch.
static int next_batch(struct scan *scan, struct scan_item *ret_item, bool *ret_found)
{
    if (scan->batch_end || scan->position != batch_boundary(scan->position, scan->block_bytes))
        return 0;
    int error = read_batch(scan, scan->position, ret_item, ret_found);
    if (error || !*ret_found)
        return error;
    scan->batch_end = scan->position + ret_item->batch.length;
    scan->position += BATCH_HEADER_SIZE;
    return 0;
}

static int read_entry(struct scan *scan, uint64_t position, uint64_t end, struct scan_item *ret_item, bool *ret_found)
{
    const char *data;
    if (position + ENTRY_HEADER_SIZE > end)
        return 0;
    int error = need(scan, position, ENTRY_HEADER_SIZE, &data);
    if (error)
        return error;
    struct scan_item item = {.kind = SCAN_ENTRY, .position = position};
    if (entry_decode(data, scan->id, position, &item.entry) != 0 ||
        item.entry.length > end - position - ENTRY_HEADER_SIZE || item.entry.length % ENTRY_ALIGN)
        return 0;
    item.length = ENTRY_HEADER_SIZE + (uint64_t)item.entry.length;
    error = need(scan, position, item.length, &data);
    if (error)
        return error;
    item.records = bytes_make(data + ENTRY_HEADER_SIZE, item.entry.length);
    item.intact = entry_hash(item.records) == item.entry.hash;
    item.chunk = scan->window;
    *ret_item = item;
    *ret_found = true;
    scan->position = position + item.length;
    return 0;
}

static int read_batch(struct scan *scan, uint64_t position, struct scan_item *ret_item, bool *ret_found)
{
    const char *data;
    if (position + BATCH_HEADER_SIZE > scan->limit)
        return 0;
    int error = need(scan, position, BATCH_HEADER_SIZE, &data);
    if (error)
        return error;
    struct scan_item item = {.kind = SCAN_BATCH, .position = position};
    if (batch_decode(data, scan->id, position, &item.batch) != 0 || item.batch.length > scan->limit - position)
        return 0;
    item.length = item.batch.length;
    *ret_item = item;
    *ret_found = true;
    return 0;
}

// The first position after `from` at which a valid header begins; *ret_position stays as it is when there is none.
static int find_valid(struct scan *scan, uint64_t from, uint64_t *ret_position, bool *ret_is_entry)
{
    uint64_t at = (from + ENTRY_ALIGN) & ~(uint64_t)(ENTRY_ALIGN - 1);
    while (at + ENTRY_HEADER_SIZE <= scan->limit) {
        const char *data;
        uint64_t left = scan->limit - at;
        size_t len = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        int error = need(scan, at, len, &data);
        if (error)
            return error;
        size_t i = 0;
        for (; i + ENTRY_HEADER_SIZE <= len; i += ENTRY_ALIGN) {
            uint32_t magic = get_u32(data + i);
            struct entry_header entry;
            struct batch_header batch;
            bool is_entry = magic == ENTRY_MAGIC && entry_decode(data + i, scan->id, at + i, &entry) == 0;
            bool is_batch = magic == BATCH_MAGIC && at + i == batch_boundary(at + i, scan->block_bytes) &&
                            batch_decode(data + i, scan->id, at + i, &batch) == 0;
            if (is_entry || is_batch) {
                *ret_position = at + i;
                *ret_is_entry = is_entry;
                return 0;
            }
        }
        at += i;
    }
    return 0;
}

// `len` bytes of the file at `position`, below the limit, in the window.
static int need(struct scan *scan, uint64_t position, size_t len, const char **ret_data)
{
    must(position + len <= scan->limit);
    if (!scan->window || position < scan->window_at || position + len > scan->window_at + scan->window->used) {
        int error = load(scan, position, len);
        if (error)
            return error;
    }
    *ret_data = scan->window->data + (position - scan->window_at);
    return 0;
}

// A new window, in a new chunk if somebody keeps the old one.
static int load(struct scan *scan, uint64_t position, size_t len)
{
    uint64_t left = scan->limit - position;
    size_t wanted = len > WINDOW_BYTES ? len : left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
    if (!scan->window || scan->window->refs > 1 || scan->window->capacity < wanted) {
        chunk_unref(scan->window);
        scan->window = chunk_new(wanted);
    }
    scan->window_at = position;
    scan->window->used = (uint32_t)wanted;
    struct disk_span span = {.ptr = scan->window->data, .len = wanted};
    struct disk_request read = {
        .op = DISK_READ, .file = scan->file, .offset = position, .spans = &span, .span_count = 1};
    int error = disk_run(scan->disk, &read);
    if (error == ERR_IO)
        return load_blocks(scan, wanted);
    if (!error && read.transferred < wanted)
        memset(scan->window->data + read.transferred, 0, wanted - read.transferred);
    return error;
}

// Around a place that the disk cannot read, block by block: the rest of the window is still there.
static int load_blocks(struct scan *scan, size_t len)
{
    for (size_t done = 0; done < len;) {
        uint64_t at = scan->window_at + done;
        size_t step = (size_t)(batch_boundary(at + 1, scan->block_bytes) - at);
        if (step > len - done)
            step = len - done;
        struct disk_span span = {.ptr = scan->window->data + done, .len = step};
        struct disk_request read = {.op = DISK_READ, .file = scan->file, .offset = at, .spans = &span, .span_count = 1};
        int error = disk_run(scan->disk, &read);
        if (error && error != ERR_IO)
            return error;
        size_t got = error ? 0 : (size_t)read.transferred;
        memset(scan->window->data + done + got, 0, step - got);
        if (error && at < scan->unreadable)
            scan->unreadable = at;
        done += step;
    }
    return 0;
}

static int is_zero(struct scan *scan, uint64_t from, uint64_t to, bool *ret_zero)
{
    const char *data;
    *ret_zero = true;
    if (from >= to)
        return 0;
    int error = need(scan, from, to - from, &data);
    for (uint64_t i = 0; !error && i < to - from; i++)
        *ret_zero &= data[i] == 0;
    return error;
}
