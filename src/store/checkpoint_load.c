// SPDX-License-Identifier: Apache-2.0
// tidy: prefix checkpoint
// Finds and loads the newest checkpoint that is whole and reaches the retained log. Everything is verified before the first
// image is given to the handler; damage only ever costs the files behind it, and nothing is removed because of it.
#include <stdio.h>

#include "base/hash.h"
#include "base/memory.h"
#include "store/checkpoint.h"

// What the folder holds: generations with the steps that are there, newest first.
struct generation {
    uint64_t number;
    uint32_t steps; // complete files: the base and the deltas up to the first that is missing or damaged
    uint32_t files; // there by name
    bool shorter;   // not all of what is there is usable
    struct checkpoint_found tip;
};

struct loading {
    struct checkpoint *checkpoint;
    struct generation *generations; // owned
    size_t count;
};

static int generations_list(struct loading *loading);
static int generation_verify(struct loading *loading, struct generation *generation);
static int chain_choose(struct loading *loading, uint64_t first_index, struct generation **ret_generation);
static int chain_apply(struct loading *loading, const struct generation *generation);
static int slice_apply(void *owner, enum checkpoint_slice_type type, struct bytes content);
static int slice_count(void *owner, enum checkpoint_slice_type type, struct bytes content);
static int segments_look(struct checkpoint *checkpoint);

int checkpoint_load(struct checkpoint *checkpoint, uint64_t first_index, struct checkpoint_loaded *ret_loaded)
{
    struct loading loading = {.checkpoint = checkpoint};
    struct generation *generation = NULL;
    *ret_loaded = (struct checkpoint_loaded){0};
    int result = generations_list(&loading);
    if (result == 0) {
        result = chain_choose(&loading, first_index, &generation);
    }
    if (result == 0 && generation) {
        result = chain_apply(&loading, generation);
    }
    if (result == 0) {
        result = segments_look(checkpoint);
    }
    checkpoint->generation = loading.count > 0 ? loading.generations[0].number : 0;
    if (result == 0 && generation) {
        const struct checkpoint_found *tip = &generation->tip;
        checkpoint->complete = generation->number;
        checkpoint->step = generation->steps - 1;
        checkpoint->check = tip->check;
        checkpoint->covered_index = tip->header.begin_index;
        checkpoint->rolled_index = tip->end.rolled_index;
        // The engine keeps no record of what changed before this process: go on with a base.
        checkpoint->has_base = false;
        *ret_loaded = (struct checkpoint_loaded){tip->header.begin_index, tip->end.end_index, tip->end.rolled_index};
    }
    mem_free(loading.generations);
    return result;
}

static int generations_list(struct loading *loading)
{
    struct disk_request list = {.op = DISK_LIST, .path = STORE_CHECKPOINT_FOLDER};
    int result = disk_run(loading->checkpoint->context->disk, &list);
    if (result != 0) {
        return result == ERR_NOT_FOUND ? 0 : result;
    }
    const char *name = list.names.names;
    loading->generations = mem_alloc_zero((list.names.count + 1) * sizeof(struct generation));
    for (size_t i = 0; i < list.names.count; i++, name += strlen(name) + 1) {
        uint64_t number;
        uint32_t step;
        if (checkpoint_parse_name(name, &number, &step) != 0) {
            continue;
        }
        // Names are sorted: those of one generation lie together.
        if (loading->count == 0 || loading->generations[loading->count - 1].number != number) {
            loading->generations[loading->count++].number = number;
        }
        loading->generations[loading->count - 1].files++;
    }
    for (size_t i = 0; i < loading->count / 2; i++) {
        struct generation other = loading->generations[i];
        loading->generations[i] = loading->generations[loading->count - 1 - i];
        loading->generations[loading->count - 1 - i] = other;
    }
    mem_free(list.names.names);
    return 0;
}

// Verifies its files in order until one is damaged or missing. 0, or what makes the whole directory unusable.
static int generation_verify(struct loading *loading, struct generation *generation)
{
    const struct store_context *context = loading->checkpoint->context;
    for (uint32_t step = 0; step <= CHECKPOINT_STEP_MAX && generation->steps < generation->files; step++) {
        struct checkpoint_found found;
        uint64_t records = 0;
        struct checkpoint_visitor visitor = {&records, slice_count};
        int result =
            checkpoint_file_read(context->disk, generation->number, step, context->options.identity, &visitor, &found);
        if (result == ERR_NEWER || result == ERR_OTHER_CLUSTER) {
            return result;
        }
        bool fits = result == 0 && records == found.end.records &&
                    (step == 0 || found.header.previous == generation->tip.check);
        if (!fits) {
            generation->shorter = true;
            logger_write(context->options.logger, LOG_ERROR, "checkpoint %016llx.%04x is damaged: %s",
                         (unsigned long long)generation->number, step,
                         result ? error_text(result) : "it does not fit to the one before");
            break;
        }
        generation->tip = found;
        generation->steps++;
    }
    return 0;
}

// A log that begins at 1 needs no checkpoint; else its first entry must follow what the checkpoint covers.
static int chain_choose(struct loading *loading, uint64_t first_index, struct generation **ret_generation)
{
    struct store_context *context = loading->checkpoint->context;
    for (size_t i = 0; i < loading->count; i++) {
        struct generation *generation = &loading->generations[i];
        int result = generation_verify(loading, generation);
        if (result != 0) {
            return result;
        }
        context->damaged_areas += generation->shorter;
        if (generation->steps > 0 && first_index <= generation->tip.header.begin_index + 1) {
            *ret_generation = generation;
            return 0;
        }
    }
    if (first_index <= 1 && (first_index == 1 || loading->count == 0)) {
        return 0;
    }
    logger_write(
        context->options.logger, LOG_ERROR,
        "no checkpoint in %s/ is whole and reaches the first entry of the log (%llu); nothing was changed: restore "
        "the folder from a backup, or look at the directory with `weir check`",
        STORE_CHECKPOINT_FOLDER, (unsigned long long)first_index);
    return ERR_CORRUPT;
}

static int chain_apply(struct loading *loading, const struct generation *generation)
{
    struct checkpoint *checkpoint = loading->checkpoint;
    struct store_context *context = checkpoint->context;
    struct checkpoint_visitor visitor = {checkpoint, slice_apply};
    segment_set_clear(checkpoint->segments);
    for (uint32_t step = 0; step < generation->steps; step++) {
        struct checkpoint_found found;
        int result =
            checkpoint_file_read(context->disk, generation->number, step, context->options.identity, &visitor, &found);
        if (result != 0) {
            return result;
        }
        if (found.end.next_segment_id > checkpoint->segments->next_id) {
            checkpoint->segments->next_id = found.end.next_segment_id;
        }
    }
    segment_set_recorded(checkpoint->segments, UINT64_MAX);
    return 0;
}

static int slice_count(void *owner, enum checkpoint_slice_type type, struct bytes content)
{
    uint64_t *records = owner;
    struct record record;
    size_t used;
    while (type == CHECKPOINT_IMAGES && content.len > 0) {
        if (record_get(content, true, &record, &used) != 0) {
            return ERR_CORRUPT;
        }
        content = bytes_skip(content, used);
        (*records)++;
    }
    return 0;
}

static int slice_apply(void *owner, enum checkpoint_slice_type type, struct bytes content)
{
    struct checkpoint *checkpoint = owner;
    const struct store_handler *handler = &checkpoint->context->handler;
    if (type == CHECKPOINT_MANIFEST) {
        return segment_manifest_apply(checkpoint->segments, content);
    }
    struct record record;
    size_t used;
    while (content.len > 0) {
        if (record_get(content, false, &record, &used) != 0) {
            return ERR_CORRUPT;
        }
        int result = handler->restore(handler->owner, &record);
        if (result != 0) {
            return result;
        }
        content = bytes_skip(content, used);
    }
    return 0;
}

// Which of the manifest's segments are there, by name; ids in use are never given again.
static int segments_look(struct checkpoint *checkpoint)
{
    struct segment_set *set = checkpoint->segments;
    struct disk_request list = {.op = DISK_LIST, .path = STORE_SEGMENT_FOLDER};
    int result = disk_run(checkpoint->context->disk, &list);
    if (result != 0 && result != ERR_NOT_FOUND) {
        return result;
    }
    list_foreach(link, &set->all)
    {
        container_of(link, struct segment, link)->missing = true;
    }
    const char *name = list.names.names;
    for (size_t i = 0; result == 0 && i < list.names.count; i++, name += strlen(name) + 1) {
        // The name may go on, as that of a .tmp or .orphan.
        uint64_t id;
        if (segment_parse_prefix(name, &id) == 0 && id >= set->next_id) {
            set->next_id = id + 1;
        }
        struct segment *segment = segment_parse_name(name, &id) == 0 ? segment_set_get(set, id) : NULL;
        if (segment) {
            segment->missing = false;
        }
    }
    mem_free(result == 0 ? list.names.names : NULL);
    list_foreach(link, &set->all)
    {
        struct segment *segment = container_of(link, struct segment, link);
        if (segment->missing && segment->state == SEGMENT_LIVE) {
            checkpoint->context->damaged_areas++;
            logger_write(checkpoint->context->options.logger, LOG_ERROR,
                         "segment %016llx is missing: its messages are quarantined",
                         (unsigned long long)segment->info.id);
        }
    }
    return 0;
}
