// SPDX-License-Identifier: Apache-2.0
#include "cold_fixture.h"

#include <stdio.h>

#include "base/map_u64.h"
#include "base/must.h"

static void parts_init(struct cold_fixture *cold);
static void parts_deinit(struct cold_fixture *cold);

static void file_path(uint64_t id, char path[STORE_PATH_BYTES])
{
    snprintf(path, STORE_PATH_BYTES, "wal/%llx", (unsigned long long)id);
}

// ---- the log

static int log_hold(void *owner, uint64_t file, struct disk_file **ret_file)
{
    struct cold_fixture *cold = owner;
    if (file == 0 || file > cold->file_count || cold->files[file - 1].released) {
        return ERR_NOT_FOUND;
    }
    cold->files[file - 1].holds++;
    *ret_file = cold->files[file - 1].handle;
    return 0;
}

static void log_drop(void *owner, uint64_t file)
{
    struct cold_fixture *cold = owner;
    must(cold->files[file - 1].holds > 0);
    cold->files[file - 1].holds--;
}

static bool log_next_closed(void *owner, uint64_t after, struct log_file_info *ret_info)
{
    struct cold_fixture *cold = owner;
    for (uint64_t i = after; i < cold->file_count; i++) {
        if (!cold->files[i].released) {
            *ret_info = cold->files[i].info;
            return true;
        }
    }
    return false;
}

static uint64_t log_retained_bytes(void *owner)
{
    struct cold_fixture *cold = owner;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < cold->file_count; i++) {
        sum += cold->files[i].released ? 0 : cold->files[i].info.bytes;
    }
    return sum;
}

static uint64_t log_appended_bytes(void *owner)
{
    return ((struct cold_fixture *)owner)->appended;
}

static uint64_t log_applied_index(void *owner)
{
    return ((struct cold_fixture *)owner)->next_index - 1;
}

static uint64_t log_synced_index(void *owner)
{
    return ((struct cold_fixture *)owner)->synced_index;
}

static void log_sync_soon(void *owner)
{
    ((struct cold_fixture *)owner)->syncs_wanted++;
}

static void log_release(void *owner, uint64_t file)
{
    struct cold_fixture *cold = owner;
    must(!cold->files[file - 1].released && cold->files[file - 1].holds == 0);
    cold->files[file - 1].released = true;
}

static bool log_give_space(void *owner, bool vital)
{
    struct cold_fixture *cold = owner;
    cold->asked_space++;
    cold->asked_vital += vital;
    return cold->spaces > 0 && cold->spaces-- > 0;
}

// ---- the handler

static int on_restore(void *owner, const struct record *image)
{
    struct cold_fixture *cold = owner;
    cold->restored++;
    cold->restored_sum += get_u64(image->body.ptr);
    return 0;
}

static bool on_is_wanted(void *owner, uint32_t stream, uint64_t sequence)
{
    struct cold_fixture *cold = owner;
    return sequence >= cold->first[stream] && sequence <= cold->last[stream] && sequence != cold->unwanted;
}

static uint64_t on_first_wanted(void *owner, uint32_t stream)
{
    struct cold_fixture *cold = owner;
    return cold->first[stream] > cold->last[stream] ? UINT64_MAX : cold->first[stream];
}

static void on_checkpoint_begin(void *owner, bool base)
{
    struct cold_fixture *cold = owner;
    cold->begun++;
    cold->base = base;
    cold->images_given = 0;
}

static int on_checkpoint_next(void *owner, struct buffer *out, size_t max_bytes)
{
    struct cold_fixture *cold = owner;
    size_t start = out->len, size = RECORD_HEADER_SIZE + 8 + cold->image_bytes;
    for (; cold->images_given < cold->images && out->len - start < max_bytes; cold->images_given++) {
        char *at = buffer_reserve(out, record_padded(size));
        must(at);
        record_begin(at, (uint32_t)size, RECORD_IMAGE_STREAM, 0, cold->images_given);
        memset(at + RECORD_HEADER_SIZE, (int)cold->images_given, size - RECORD_HEADER_SIZE);
        put_u64(at + RECORD_HEADER_SIZE, cold->images_given + 1);
        record_seal(at);
        buffer_commit(out, record_padded(size));
    }
    return cold->images_given < cold->images;
}

static void on_save_ids(void *owner, uint64_t first_index, uint64_t last_index, uint64_t *ret_until_ns,
                        struct buffer *out)
{
    struct cold_fixture *cold = owner;
    *ret_until_ns = cold->ids_until_ns;
    must(buffer_append(out, cold->ids) == 0);
}

static void on_ids_awaited(void *owner, uint64_t bytes)
{
    struct cold_fixture *cold = owner;
    bool awaited = bytes > 0;
    must(awaited != cold->ids_awaited);
    cold->ids_awaited = awaited;
}

// In two parts, the second first.
static int on_restore_ids(void *owner, struct bytes ids, uint64_t last_index, size_t *ret_left)
{
    struct cold_fixture *cold = owner;
    must(cold->ids_awaited && last_index == 0);
    *ret_left = ids.len == cold->ids.len ? ids.len / 2 : 0;
    must(memcmp(ids.ptr, cold->ids.ptr, ids.len) == 0);
    cold->ids_restored += *ret_left == 0;
    return 0;
}

// ---- the fixture

void cold_fixture_init(struct cold_fixture *cold)
{
    static const char *const folders[] = {"wal", "shards", STORE_SEGMENT_FOLDER, STORE_CHECKPOINT_FOLDER};
    memset(cold, 0, sizeof(*cold));
    sim_disk_init(&cold->disk, 1);
    for (int i = 0; i < 4; i++) {
        struct disk_request make = {.op = DISK_MKDIR, .path = folders[i]};
        struct disk_request sync = {.op = DISK_SYNC_DIR, .path = i == 2 ? "shards" : "."};
        must(disk_run(&cold->disk.disk, &make) == 0 && disk_run(&cold->disk.disk, &sync) == 0);
    }
    cold->next_index = 1;
    cold->synced_index = UINT64_MAX;
    cold->images = 3;
    for (int i = 0; i < COLD_STREAM_COUNT; i++) {
        cold->first[i] = 1;
    }
    cold->context = (struct store_context){.disk = &cold->disk.disk, .now = {1000000000, 5000000000}};
    store_options_default(&cold->context.options);
    cold->context.options.identity = BYTES("cold");
    cold->context.options.log_bytes = 0;
    cold->context.options.checkpoint_bytes = UINT64_MAX;
    cold->context.handler = (struct store_handler){
        .owner = cold,
        .restore = on_restore,
        .is_wanted = on_is_wanted,
        .first_wanted = on_first_wanted,
        .checkpoint_begin = on_checkpoint_begin,
        .checkpoint_next = on_checkpoint_next,
        .save_ids = on_save_ids,
        .ids_awaited = on_ids_awaited,
        .restore_ids = on_restore_ids,
    };
    cold->context.log = (struct log_view){
        .owner = cold,
        .hold = log_hold,
        .drop = log_drop,
        .next_closed = log_next_closed,
        .retained_bytes = log_retained_bytes,
        .appended_bytes = log_appended_bytes,
        .applied_index = log_applied_index,
        .synced_index = log_synced_index,
        .sync_soon = log_sync_soon,
        .release = log_release,
        .give_space = log_give_space,
    };
    buffer_init(&cold->open, SIZE_MAX / 2);
    parts_init(cold);
}

void cold_fixture_deinit(struct cold_fixture *cold)
{
    cold->context.closing = true;
    sim_disk_drain(&cold->disk);
    must(cold->context.requests == 0);
    parts_deinit(cold);
    for (uint32_t i = 0; i < cold->file_count; i++) {
        struct disk_request close = {.op = DISK_CLOSE, .file = cold->files[i].handle};
        disk_run(&cold->disk.disk, &close);
    }
    buffer_deinit(&cold->open);
    sim_disk_deinit(&cold->disk);
}

static void parts_init(struct cold_fixture *cold)
{
    saved_ids_init(&cold->saved_ids, &cold->context);
    cold->ids_awaited = cold->context.ids_awaited = false;
    index_init(&cold->index, NULL, NULL);
    tail_init(&cold->tail, cold->context.options.cache_bytes, &cold->context.spares);
    segment_set_init(&cold->segments, &cold->context);
    reader_init(&cold->reader, &cold->context, &cold->index, &cold->tail, &cold->segments);
    checkpoint_init(&cold->checkpoint, &cold->context, &cold->segments);
    rollover_init(&cold->rollover, &cold->context, &cold->index, &cold->segments, &cold->checkpoint);
}

static void parts_deinit(struct cold_fixture *cold)
{
    saved_ids_deinit(&cold->saved_ids);
    rollover_deinit(&cold->rollover);
    checkpoint_deinit(&cold->checkpoint);
    reader_deinit(&cold->reader);
    segment_set_deinit(&cold->segments);
    tail_deinit(&cold->tail);
    index_deinit(&cold->index);
}

static void payload_fill(char *at, size_t len, uint32_t stream, uint64_t sequence)
{
    for (size_t i = 0; i < len; i++) {
        at[i] = (char)(map_u64_hash(stream * 1000003 + sequence) >> (i % 8 * 8));
    }
}

void cold_fixture_put(struct cold_fixture *cold, uint32_t stream, size_t payload)
{
    if (cold->open.len == 0) {
        char *block = buffer_reserve(&cold->open, STORE_BLOCK);
        memset(block, 'h', STORE_BLOCK);
        buffer_commit(&cold->open, STORE_BLOCK);
    }
    struct message_record message = {.stream_id = stream, .sequence = ++cold->last[stream]};
    message.time_ns = UINT64_C(1600000000000000000) + cold->next_index * 1000000;
    size_t size = message_record_size(0, 0, 0, payload), at = cold->open.len;
    char *to = buffer_reserve(&cold->open, record_padded(size));
    message_record_put(to, &message);
    payload_fill(to + RECORD_MESSAGE_SIZE, payload, stream, message.sequence);
    put_u32(to + 4, (uint32_t)size);
    record_seal(to);
    buffer_commit(&cold->open, record_padded(size));
    index_add(&cold->index, cold->file_count + 1, stream, message.sequence, message.time_ns, at, (uint32_t)size);
    if (cold->files[cold->file_count].info.first_index == 0) {
        cold->files[cold->file_count].info.first_index = cold->next_index;
    }
    cold->next_index++;
    cold->appended += record_padded(size);
}

uint64_t cold_fixture_close_file(struct cold_fixture *cold)
{
    struct cold_file *file = &cold->files[cold->file_count++];
    char path[STORE_PATH_BYTES];
    file->info.id = cold->file_count;
    file->info.bytes = cold->open.len;
    file->info.last_index = cold->next_index - 1;
    file_path(file->info.id, path);
    sim_disk_put(&cold->disk, path, buffer_bytes(&cold->open));
    struct disk_request open = {.op = DISK_OPEN, .flags = DISK_FLAG_READ_ONLY, .path = path};
    must(disk_run(&cold->disk.disk, &open) == 0);
    file->handle = open.file;
    buffer_clear(&cold->open);
    return file->info.id;
}

void cold_fixture_turn(struct cold_fixture *cold)
{
    cold->context.now.mono_ns += 10000000;
    cold->context.now.wall_ns += 10000000;
    rollover_step(&cold->rollover);
    checkpoint_step(&cold->checkpoint);
    sim_disk_drain(&cold->disk);
}

void cold_fixture_settle(struct cold_fixture *cold)
{
    int turns = 0;
    for (int quiet = 0; quiet < 60 && turns < 2000; quiet++, turns++) {
        uint64_t before = cold->disk.operations;
        cold_fixture_turn(cold);
        bool busy = cold->rollover.state != ROLLOVER_IDLE || cold->checkpoint.state != CHECKPOINT_IDLE;
        quiet = before != cold->disk.operations || busy ? 0 : quiet;
    }
}

static void fetched(struct store_fetch *fetch)
{
    fetch->stream = UINT32_MAX;
}

int cold_fixture_fetch(struct cold_fixture *cold, uint32_t stream, uint64_t sequence)
{
    struct store_fetch fetch = {.stream = stream, .sequence = sequence, .done = fetched};
    int result = reader_fetch(&cold->reader, &fetch);
    if (result == ERR_AGAIN) {
        sim_disk_drain(&cold->disk);
        must(fetch.stream == UINT32_MAX);
        result = fetch.result;
    }
    if (result != 0) {
        return result;
    }
    struct message_record message;
    must(message_record_get(&fetch.record, &message) == 0);
    char expected[128 * 1024];
    payload_fill(expected, message.payload.len, stream, sequence);
    bool right = message.sequence == sequence && message.stream_id == stream &&
                 memcmp(expected, message.payload.ptr, message.payload.len) == 0;
    chunk_unref(fetch.chunk);
    return right ? 0 : ERR_INVALID;
}

// Indexes what the retained files hold, as replay does.
static void files_index(struct cold_fixture *cold, uint64_t rolled_index)
{
    for (uint32_t i = 0; i < cold->file_count; i++) {
        char path[STORE_PATH_BYTES];
        file_path(i + 1, path);
        struct bytes all = cold->files[i].released ? bytes_make(NULL, 0) : sim_disk_content(&cold->disk, path);
        uint64_t index = cold->files[i].info.first_index;
        for (size_t at = STORE_BLOCK, used; at < all.len; at += used, index++) {
            struct record record;
            must(record_get(bytes_skip(all, at), false, &record, &used) == 0);
            uint64_t sequence = get_u64(record.whole.ptr + 16), time = get_u64(record.whole.ptr + 24);
            if (index > rolled_index && sequence >= cold->first[record.object]) {
                index_add(&cold->index, i + 1, record.object, sequence, time, at, (uint32_t)record.whole.len);
            }
        }
    }
}

int cold_fixture_restart(struct cold_fixture *cold, struct checkpoint_loaded *ret_loaded)
{
    cold->context.closing = true;
    sim_disk_drain(&cold->disk);
    parts_deinit(cold);
    for (uint32_t i = 0; i < cold->file_count; i++) {
        cold->files[i].holds = 0;
    }
    cold->context.closing = false;
    cold->context.damaged_areas = 0;
    cold->restored = cold->ids_restored = 0;
    cold->restored_sum = 0;
    parts_init(cold);
    uint64_t first = 0;
    struct log_file_info info;
    if (log_next_closed(cold, 0, &info)) {
        first = info.first_index;
    }
    int result = checkpoint_load(&cold->checkpoint, first, ret_loaded);
    if (result == 0) {
        files_index(cold, ret_loaded->rolled_index);
        rollover_recover(&cold->rollover, first, cold->next_index - 1, cold->context.damaged_areas > 0);
        saved_ids_begin(&cold->saved_ids, &cold->segments);
    }
    while (saved_ids_step(&cold->saved_ids) || sim_disk_step(&cold->disk)) {
    }
    return result;
}
