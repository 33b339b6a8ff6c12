// SPDX-License-Identifier: Apache-2.0
#include "store/sidecar_writer.h"

#include "base/endian.h"
#include "base/memory.h"
#include "base/must.h"

enum {
    WRITER_PACE_NS = 8 * 1000 * 1000, // between slices, as roll-over's
    WRITER_TURN_BYTES = 128 * 1024,   // encoded in one turn
    WRITER_TURN_ENTRIES = 256,        // of the log, whose ids are looked up in one turn
};

static void begin(struct sidecar_writer *writer);
static bool collect(struct sidecar_writer *writer);
static void collect_runs(struct sidecar_writer *writer);
static void collect_ids(struct sidecar_writer *writer);
static void section_move(struct sidecar_writer *writer, uint64_t *check, bool last);
static void seal(struct sidecar_writer *writer);
static void end(struct sidecar_writer *writer);
static void note_written(struct sidecar_writer *writer, uint64_t file);
static void remove_old(struct sidecar_writer *writer);
static void on_removed(struct disk_request *request);
static void on_progress(void *owner);

void sidecar_writer_init(struct sidecar_writer *writer, struct store_context *context, struct index *index,
                         const struct rollover *rollover)
{
    *writer = (struct sidecar_writer){.context = context, .index = index, .rollover = rollover};
    buffer_init(&writer->section, SIZE_MAX / 2);
}

void sidecar_writer_deinit(struct sidecar_writer *writer)
{
    file_writer_drop(writer->out);
    mem_free(writer->written);
    buffer_deinit(&writer->section);
    *writer = (struct sidecar_writer){0};
}

void sidecar_writer_recover(struct sidecar_writer *writer)
{
    const struct log_view *log = &writer->context->log;
    struct log_file_info info = {0};
    while (log->next_closed(log->owner, info.id, &info)) {
        if (info.indexed) {
            note_written(writer, info.id);
        }
    }
}

bool sidecar_writer_step(struct sidecar_writer *writer)
{
    const struct store_context *context = writer->context;
    if (context->closing || context->failed) {
        return false;
    }
    bool gone = writer->rollover->last_file >= writer->file.id;
    if (writer->out && writer->state != SIDECAR_WRITER_SEALING &&
        (gone || writer->out->state == FILE_WRITER_BROKEN || context->starved)) {
        end(writer);
        return true;
    }
    switch (writer->state) {
    case SIDECAR_WRITER_IDLE:
        remove_old(writer);
        if (!context->ids_awaited && !context->starved) {
            begin(writer);
        }
        return writer->state != SIDECAR_WRITER_IDLE;
    case SIDECAR_WRITER_RUNS:
    case SIDECAR_WRITER_IDS: return collect(writer);
    case SIDECAR_WRITER_WAITING: seal(writer); return false;
    case SIDECAR_WRITER_SEALING:
        if (writer->out->state == FILE_WRITER_SEALED) {
            note_written(writer, writer->file.id);
            writer->written_total++;
        } else if (writer->out->state != FILE_WRITER_BROKEN) {
            return false;
        }
        end(writer);
        return true;
    }
    return false;
}

uint64_t sidecar_writer_next_deadline_ms(const struct sidecar_writer *writer)
{
    const struct store_context *context = writer->context;
    const struct log_view *log = &context->log;
    bool ready = writer->out && writer->out->state == FILE_WRITER_READY;
    bool unsynced = ready && writer->state == SIDECAR_WRITER_WAITING && file_writer_pending(writer->out) == 0 &&
                    log->synced_index(log->owner) < writer->seen_index; // the news of the sync comes with a turn
    bool waits = ready && !unsynced;
    if (context->closing || context->failed || !waits) {
        return UINT64_MAX;
    }
    return (writer->slice_ns + WRITER_PACE_NS) / 1000000 + 1;
}

// The next closed file that has none. A file that was found damaged gets none: each start shall report it.
static void begin(struct sidecar_writer *writer)
{
    struct store_context *context = writer->context;
    const struct log_view *log = &context->log;
    struct log_file_info *file = &writer->file;
    do {
        struct log_file_info next;
        if (!log->next_closed(log->owner, writer->last_file, &next)) {
            return;
        }
        *file = next;
        writer->last_file = file->id;
    } while (!file->sound || file->indexed || file->first_index == 0 || file->id <= writer->rollover->last_file);
    char path[STORE_PATH_BYTES];
    sidecar_name(file->id, path);
    writer->info = (struct sidecar_info){
        .file = file->id,
        .header_check = file->header_check,
        .valid = file->valid,
        .first_index = file->first_index,
        .last_index = file->last_index,
    };
    writer->cursor = (struct index_cursor){0};
    writer->next_index = file->first_index;
    writer->out = file_writer_new(context, STORE_LOG_FOLDER, path, on_progress, writer);
    writer->out->worth = FILE_WRITER_OPTIONAL;
    char *head = buffer_reserve(&writer->out->out, SIDECAR_HEAD_SIZE);
    must(head);
    sidecar_head_encode(file->id, head);
    buffer_commit(&writer->out->out, SIDECAR_HEAD_SIZE);
    writer->state = SIDECAR_WRITER_RUNS;
}

// Encodes a little, or writes what is a slice.
static bool collect(struct sidecar_writer *writer)
{
    const struct store_context *context = writer->context;
    if (writer->out->state != FILE_WRITER_READY) {
        return false;
    }
    if (file_writer_pending(writer->out) >= STORE_SLICE) {
        if (context->now.mono_ns >= writer->slice_ns + WRITER_PACE_NS) {
            writer->slice_ns = context->now.mono_ns;
            file_writer_write(writer->out);
        }
        return false;
    }
    // Else the buffer would grow to the whole file.
    buffer_consume(&writer->out->out, writer->out->flushed);
    writer->out->flushed = 0;
    if (writer->state == SIDECAR_WRITER_RUNS) {
        collect_runs(writer);
    } else {
        collect_ids(writer);
    }
    return true;
}

static void collect_runs(struct sidecar_writer *writer)
{
    struct buffer *section = &writer->section;
    size_t enough = section->len + WRITER_TURN_BYTES;
    bool more = true;
    while (more && section->len < enough) {
        struct index_piece piece;
        size_t at = section->len;
        must(buffer_reserve(section, SIDECAR_RUN_SIZE));
        buffer_commit(section, SIDECAR_RUN_SIZE);
        more = index_file_next_piece(writer->index, (uint32_t)writer->file.id, &writer->cursor, section, &piece);
        if (!more) {
            section->len = at;
            break;
        }
        sidecar_run_encode(&piece, section->ptr + at);
        const char *entry = section->ptr + at + SIDECAR_RUN_SIZE;
        for (uint32_t i = 0; i < piece.count; i++) {
            writer->info.messages += get_u32(entry + (size_t)i * INDEX_ENTRY_SIZE + 4) > 0;
        }
    }
    section_move(writer, &writer->info.runs_check, !more);
    if (!more) {
        const struct log_view *log = &writer->context->log;
        writer->seen_index = log->applied_index(log->owner);
        writer->info.ids_offset = writer->out->offset + file_writer_pending(writer->out);
        writer->state = SIDECAR_WRITER_IDS;
    }
}

static void collect_ids(struct sidecar_writer *writer)
{
    const struct store_handler *handler = &writer->context->handler;
    struct sidecar_info *info = &writer->info;
    uint64_t left = WRITER_TURN_ENTRIES, until_ns;
    size_t before = writer->section.len, enough = before + WRITER_TURN_BYTES;
    while (writer->next_index <= info->last_index && left > 0 && writer->section.len < enough) {
        // Some entries are large, most are small.
        uint64_t last = writer->next_index + 15 < info->last_index ? writer->next_index + 15 : info->last_index;
        handler->save_ids(handler->owner, writer->next_index, last, &until_ns, &writer->section);
        info->ids_until_ns = until_ns > info->ids_until_ns ? until_ns : info->ids_until_ns;
        left -= left < 16 ? left : 16;
        writer->next_index = last + 1;
    }
    info->ids_bytes += writer->section.len - before;
    bool done = writer->next_index > info->last_index;
    section_move(writer, &info->ids_check, done);
    if (!done) {
        return;
    }
    char *trailer = buffer_reserve(&writer->out->out, SIDECAR_TRAILER_SIZE);
    must(trailer);
    sidecar_trailer_encode(info, trailer);
    buffer_commit(&writer->out->out, SIDECAR_TRAILER_SIZE);
    writer->state = SIDECAR_WRITER_WAITING;
}

// Whole pieces of the check go to the file; at the end of the section the rest too.
static void section_move(struct sidecar_writer *writer, uint64_t *check, bool last)
{
    struct buffer *section = &writer->section;
    size_t len = last ? section->len : section->len - section->len % SIDECAR_CHECK_BYTES;
    struct bytes pieces = bytes_make(section->ptr, len);
    *check = sidecar_check(pieces, *check);
    must(buffer_append(&writer->out->out, pieces) == 0);
    buffer_consume(section, len);
}

// The rest is written; a message that a later change took out of the runs must not be wanted again after a crash.
static void seal(struct sidecar_writer *writer)
{
    const struct log_view *log = &writer->context->log;
    if (writer->out->state != FILE_WRITER_READY) {
        return;
    }
    if (file_writer_pending(writer->out) > 0) {
        if (writer->context->now.mono_ns >= writer->slice_ns + WRITER_PACE_NS) {
            writer->slice_ns = writer->context->now.mono_ns;
            file_writer_write(writer->out);
        }
        return;
    }
    if (log->synced_index(log->owner) < writer->seen_index) {
        log->sync_soon(log->owner);
        return;
    }
    file_writer_seal(writer->out);
    writer->state = SIDECAR_WRITER_SEALING;
}

static void end(struct sidecar_writer *writer)
{
    file_writer_free(writer->out);
    writer->out = NULL;
    buffer_deinit(&writer->section);
    writer->state = SIDECAR_WRITER_IDLE;
}

static void note_written(struct sidecar_writer *writer, uint64_t file)
{
    if (writer->written_count == writer->written_cap) {
        writer->written_cap = writer->written_cap ? writer->written_cap * 2 : 16;
        writer->written = mem_realloc(writer->written, writer->written_cap * sizeof(*writer->written));
    }
    writer->written[writer->written_count++] = file;
}

// One whose log file is not retained any more. An error leaves it to the next start.
static void remove_old(struct sidecar_writer *writer)
{
    struct store_context *context = writer->context;
    struct log_file_info oldest;
    if (writer->removing || writer->written_count == 0 || !context->log.next_closed(context->log.owner, 0, &oldest) ||
        writer->written[0] >= oldest.id) {
        return;
    }
    sidecar_name(writer->written[0], writer->path);
    writer->written_count--;
    memmove(writer->written, writer->written + 1, writer->written_count * sizeof(*writer->written));
    writer->remove = (struct disk_request){.op = DISK_UNLINK, .path = writer->path, .done = on_removed};
    writer->removing = true;
    context->requests++;
    disk_submit(context->disk, DISK_POOL, &writer->remove);
}

static void on_removed(struct disk_request *request)
{
    struct sidecar_writer *writer = container_of(request, struct sidecar_writer, remove);
    writer->context->requests--;
    writer->removing = false;
}

static void on_progress(void *owner)
{
    (void)sidecar_writer_step(owner);
}
