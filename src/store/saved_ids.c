// SPDX-License-Identifier: Apache-2.0
#include "store/saved_ids.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/must.h"

enum {
    SAVED_IDS_TRIES = 3,               // before ids are given up that the disk cannot read
    SAVED_IDS_AHEAD = 2,               // sections of segments in memory: the one being given back, and the next
    SAVED_IDS_SLICE = 4 * STORE_SLICE, // read at once
};

static struct saved_section *section_new(struct saved_ids *saved);
static uint64_t bytes_awaited(const struct saved_ids *saved);
static bool is_reading(const struct saved_ids *saved);
static void read_ahead(struct saved_ids *saved);
static void read_section(struct saved_ids *saved);
static void give(struct saved_ids *saved, struct saved_section *section);
static void section_end(struct saved_ids *saved);
static void submit(struct saved_ids *saved, enum disk_op op);
static void on_done(struct disk_request *request);
static void verify(struct saved_ids *saved);
static void report(struct saved_ids *saved, uint64_t segment, int error);

void saved_ids_init(struct saved_ids *saved, struct store_context *context)
{
    *saved = (struct saved_ids){.context = context};
}

void saved_ids_deinit(struct saved_ids *saved)
{
    for (size_t i = 0; i < saved->count; i++) {
        mem_free(saved->sections[i].ids);
    }
    if (saved->request.file) {
        struct disk_request close = {.op = DISK_CLOSE, .file = saved->request.file};
        disk_run(saved->context->disk, &close);
    }
    mem_free(saved->sections);
    *saved = (struct saved_ids){0};
}

void saved_ids_add(struct saved_ids *saved, char *ids, uint64_t bytes, uint64_t last_index)
{
    *section_new(saved) = (struct saved_section){
        .state = SAVED_SECTION_READY, .bytes = bytes, .last_index = last_index, .left = bytes, .ids = ids};
}

// Those that were added before are newer than all segments.
void saved_ids_begin(struct saved_ids *saved, struct segment_set *segments)
{
    struct store_context *context = saved->context;
    size_t files = saved->count;
    list_foreach(link, &segments->all)
    {
        const struct segment *segment = container_of(link, struct segment, link);
        const struct segment_info *info = &segment->info;
        if (info->ids_bytes == 0 || info->ids_until_ns <= context->now.wall_ns || segment->state != SEGMENT_LIVE) {
            continue;
        }
        if (segment->missing) {
            report(saved, info->id, ERR_NOT_FOUND);
            continue;
        }
        *section_new(saved) = (struct saved_section){
            .segment = info->id, .offset = info->ids_offset, .bytes = info->ids_bytes, .check = info->ids_check};
    }
    for (size_t i = 0; i < files; i++) {
        struct saved_section first = saved->sections[0];
        memmove(saved->sections, saved->sections + 1, (saved->count - 1) * sizeof(first));
        saved->sections[saved->count - 1] = first;
    }
    if (saved->count > 0) {
        saved->begun = true;
        context->ids_awaited = true;
        context->handler.ids_awaited(context->handler.owner, bytes_awaited(saved));
    }
}

bool saved_ids_step(struct saved_ids *saved)
{
    struct store_context *context = saved->context;
    if (context->closing || !saved->begun) {
        return false;
    }
    if (saved->count == 0) {
        saved->begun = false;
        context->ids_awaited = false;
        context->handler.ids_awaited(context->handler.owner, 0);
        return false;
    }
    read_ahead(saved);
    struct saved_section *section = &saved->sections[saved->count - 1];
    if (section->state == SAVED_SECTION_READING) {
        return false;
    }
    if (section->state == SAVED_SECTION_READY) {
        give(saved, section);
    } else {
        section_end(saved);
    }
    return true;
}

static struct saved_section *section_new(struct saved_ids *saved)
{
    if (saved->count == saved->capacity) {
        saved->capacity = saved->capacity ? saved->capacity * 2 : 16;
        saved->sections = mem_realloc(saved->sections, saved->capacity * sizeof(*saved->sections));
    }
    return &saved->sections[saved->count++];
}

static uint64_t bytes_awaited(const struct saved_ids *saved)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < saved->count; i++) {
        bytes += saved->sections[i].bytes;
    }
    return bytes;
}

static bool is_reading(const struct saved_ids *saved)
{
    return saved->reading < saved->count && saved->sections[saved->reading].state == SAVED_SECTION_READING;
}

// The newest that is not in memory, if it is soon wanted.
static void read_ahead(struct saved_ids *saved)
{
    for (size_t ahead = 0; ahead < SAVED_IDS_AHEAD && ahead < saved->count && !is_reading(saved); ahead++) {
        struct saved_section *section = &saved->sections[saved->count - 1 - ahead];
        if (section->state == SAVED_SECTION_STORED) {
            saved->reading = saved->count - 1 - ahead;
            saved->tries = 0;
            section->ids = mem_alloc(section->bytes);
            section->state = SAVED_SECTION_READING;
            segment_name(section->segment, saved->path);
            read_section(saved);
        }
    }
}

static void read_section(struct saved_ids *saved)
{
    saved->read = 0;
    saved->result = 0;
    submit(saved, DISK_OPEN);
}

// The handler takes a part from the end.
static void give(struct saved_ids *saved, struct saved_section *section)
{
    const struct store_handler *handler = &saved->context->handler;
    size_t left = 0;
    int error =
        handler->restore_ids(handler->owner, bytes_make(section->ids, section->left), section->last_index, &left);
    if (error) {
        report(saved, section->segment, error);
        left = 0;
    }
    must(left < section->left || left == 0);
    section->left = left;
    if (left == 0) {
        section_end(saved);
    }
}

static void section_end(struct saved_ids *saved)
{
    saved->count--;
    mem_free(saved->sections[saved->count].ids);
}

static void submit(struct saved_ids *saved, enum disk_op op)
{
    struct saved_section *section = &saved->sections[saved->reading];
    uint64_t left = section->bytes - saved->read;
    struct disk_file *file = saved->request.file;
    saved->span =
        (struct disk_span){.ptr = section->ids + saved->read, .len = left < SAVED_IDS_SLICE ? left : SAVED_IDS_SLICE};
    saved->request = (struct disk_request){
        .op = op,
        .flags = DISK_FLAG_READ_ONLY,
        .path = saved->path,
        .file = file,
        .offset = section->offset + saved->read,
        .spans = &saved->span,
        .span_count = 1,
        .done = on_done,
    };
    saved->context->requests++;
    disk_submit(saved->context->disk, DISK_POOL, &saved->request);
}

static void on_done(struct disk_request *request)
{
    struct saved_ids *saved = container_of(request, struct saved_ids, request);
    saved->context->requests--;
    if (request->op == DISK_CLOSE) {
        request->file = NULL;
        verify(saved);
        return;
    }
    saved->result = request->result;
    if (request->op == DISK_READ) {
        saved->read += request->transferred;
        if (saved->result == 0 && request->transferred < saved->span.len) {
            saved->result = ERR_CORRUPT;
        }
    }
    if (saved->context->closing) {
        return; // what is open is closed at the end
    }
    if (request->op == DISK_OPEN && saved->result != 0) {
        request->file = NULL;
        verify(saved);
    } else if (saved->result != 0 || saved->read == saved->sections[saved->reading].bytes) {
        submit(saved, DISK_CLOSE);
    } else {
        submit(saved, DISK_READ);
    }
}

static void verify(struct saved_ids *saved)
{
    struct saved_section *section = &saved->sections[saved->reading];
    int error = saved->result;
    if (!error && hash_bytes(bytes_make(section->ids, section->bytes), 0) != section->check) {
        error = ERR_CORRUPT;
    }
    if (error == ERR_IO && ++saved->tries < SAVED_IDS_TRIES && !saved->context->closing) {
        read_section(saved);
        return;
    }
    section->state = error ? SAVED_SECTION_LOST : SAVED_SECTION_READY;
    section->left = section->bytes;
    if (error) {
        report(saved, section->segment, error);
    }
}

// A message from that time that is published again would be stored twice.
static void report(struct saved_ids *saved, uint64_t segment, int error)
{
    saved->context->damaged_areas++;
    logger_write(saved->context->options.logger, LOG_ERROR, "the dedupe ids of segment %016llx cannot be read: %s",
                 (unsigned long long)segment, error_text(error));
}
