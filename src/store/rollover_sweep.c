// SPDX-License-Identifier: Apache-2.0
// tidy: prefix rollover
// Removes segments: those of which nothing is wanted any more, when both kept generations of checkpoints say so, and at start
// what interrupted roll-overs left behind. A file that no checkpoint names is only removed when the log proves that it holds
// all of it; else it is kept, renamed and reported.
#include <stdio.h>

#include "base/memory.h"
#include "store/rollover_internal.h"

enum {
    ROLLOVER_LOOK_BUDGET = 64,            // segments looked at in one turn
    ROLLOVER_LOOK_NS = 100 * 1000 * 1000, // between rounds
};

static void round_end(struct rollover *rollover);
static void remove_submit(struct rollover *rollover, enum disk_op op);
static void remove_done(struct disk_request *request);
static bool orphan_covered(const struct rollover *rollover, const char *path, uint64_t first_index,
                           uint64_t last_index);

void rollover_sweep_dead(struct rollover *rollover)
{
    struct segment_set *set = rollover->segments;
    if (rollover_sweep_waits(rollover)) {
        return;
    }
    if (rollover->removing) {
        segment_set_remove(set, rollover->removing);
        rollover->removing = NULL;
        rollover->removed = false;
    }
    if (rollover->context->now.mono_ns < rollover->look_ns) {
        return;
    }
    for (int i = 0; i < ROLLOVER_LOOK_BUDGET && rollover->look->next != &set->all; i++) {
        struct segment *segment = container_of(rollover->look->next, struct segment, link);
        if (segment_set_is_dead(set, segment)) {
            segment_set_die(set, segment, checkpoint_next_number(rollover->checkpoint));
        } else if (segment->state == SEGMENT_DEAD && segment->stamp <= checkpoint_safe(rollover->checkpoint)) {
            rollover->removing = segment;
            segment_name(segment->info.id, rollover->path);
            remove_submit(rollover, DISK_UNLINK);
            return;
        } else if (rollover->context->starved && rollover_is_husk(rollover, segment)) {
            rollover->husk = segment;
            rollover->look = &segment->link;
            return;
        }
        rollover->dead_bytes += segment->state == SEGMENT_DEAD ? segment->info.file_bytes : 0;
        rollover->look = &segment->link;
    }
    if (rollover->look->next == &set->all) {
        round_end(rollover);
    }
}

bool rollover_sweep_waits(const struct rollover *rollover)
{
    return checkpoint_is_writing(rollover->checkpoint) || (rollover->removing && !rollover->removed);
}

void rollover_sweep_orphans(struct rollover *rollover, uint64_t first_index, uint64_t last_index, bool damaged)
{
    struct store_context *context = rollover->context;
    struct disk_request list = {.op = DISK_LIST, .path = STORE_SEGMENT_FOLDER};
    if (disk_run(context->disk, &list) != 0) {
        return;
    }
    const char *name = list.names.names;
    for (size_t i = 0; i < list.names.count; i++, name += strlen(name) + 1) {
        uint64_t id;
        char path[STORE_PATH_BYTES], path2[STORE_PATH_BYTES + 8];
        size_t len = strlen(name);
        snprintf(path, sizeof(path), STORE_SEGMENT_FOLDER "/%.64s", name);
        snprintf(path2, sizeof(path2), "%s.orphan", path);
        bool temporary = segment_parse_prefix(name, &id) == 0 && len > 4 && strcmp(name + len - 4, ".tmp") == 0;
        if (!temporary && (segment_parse_name(name, &id) != 0 || segment_set_get(rollover->segments, id))) {
            continue;
        }
        struct disk_request request = {.op = DISK_UNLINK, .path = path, .path2 = path2};
        if (!temporary && (damaged || !orphan_covered(rollover, path, first_index, last_index))) {
            request.op = DISK_RENAME;
            context->damaged_areas++;
            logger_write(context->options.logger, LOG_ERROR,
                         "segment %s is in no checkpoint and the log does not hold its messages: kept as %s", path,
                         path2);
        }
        disk_run(context->disk, &request);
    }
    mem_free(list.names.names);
    struct disk_request sync = {.op = DISK_SYNC_DIR, .path = STORE_SEGMENT_FOLDER};
    disk_run(context->disk, &sync);
}

// Space is given back by checkpoints that say what is not needed any more: hastens them when that is worth it.
static void round_end(struct rollover *rollover)
{
    const struct store_context *context = rollover->context;
    struct checkpoint *checkpoint = rollover->checkpoint;
    bool starved = context->starved && (rollover->dead_bytes > 0 || rollover->rolled_count > 0);
    if (checkpoint->state == CHECKPOINT_IDLE && (starved || rollover->dead_bytes > context->options.log_bytes / 8)) {
        checkpoint_request(checkpoint, true);
    }
    rollover->look = &rollover->segments->all;
    rollover->look_ns = context->now.mono_ns + ROLLOVER_LOOK_NS;
    rollover->dead_bytes = 0;
}

static void remove_submit(struct rollover *rollover, enum disk_op op)
{
    struct store_context *context = rollover->context;
    rollover->remove_request = (struct disk_request){
        .op = op, .path = op == DISK_UNLINK ? rollover->path : STORE_SEGMENT_FOLDER, .done = remove_done};
    context->requests++;
    disk_submit(context->disk, DISK_POOL, &rollover->remove_request);
}

// The file is gone, then its name for ever, then the set forgets it. An error: later again.
static void remove_done(struct disk_request *request)
{
    struct rollover *rollover = container_of(request, struct rollover, remove_request);
    struct segment *segment = rollover->removing;
    rollover->context->requests--;
    bool gone = request->result == 0 || (request->op == DISK_UNLINK && request->result == ERR_NOT_FOUND);
    if (gone && request->op == DISK_UNLINK && !rollover->context->closing) {
        remove_submit(rollover, DISK_SYNC_DIR);
        return;
    }
    rollover->removed = gone;
    rollover->retry_ns = gone ? 0 : rollover->retry_ns; // there is more space than before
    if (!gone) {
        segment->stamp = checkpoint_next_number(rollover->checkpoint);
        rollover->removing = NULL;
    }
}

// Does the log hold everything that is in this segment?
static bool orphan_covered(const struct rollover *rollover, const char *path, uint64_t first_index, uint64_t last_index)
{
    const struct store_context *context = rollover->context;
    struct disk_request open = {.op = DISK_OPEN, .flags = DISK_FLAG_READ_ONLY, .path = path};
    if (disk_run(context->disk, &open) != 0) {
        return false;
    }
    char *block = mem_alloc(STORE_BLOCK);
    struct disk_span span = {.ptr = block, .len = STORE_BLOCK};
    struct disk_request read = {.op = DISK_READ, .file = open.file, .spans = &span, .span_count = 1};
    int result = disk_run(context->disk, &read);
    struct disk_request close = {.op = DISK_CLOSE, .file = open.file};
    disk_run(context->disk, &close);
    struct segment_info info;
    bool whole = result == 0 && read.transferred == STORE_BLOCK &&
                 segment_header_decode(block, context->options.identity, &info) == 0;
    // First index 0: only ids, of another segment that is still there.
    bool covered = whole && (info.first_index == 0 ||
                             (first_index > 0 && first_index <= info.first_index && info.last_index <= last_index));
    mem_free(block);
    return covered;
}
