// SPDX-License-Identifier: Apache-2.0
// tidy: prefix shard
// The store's handler: entries are taken apart, each record goes to the engine or to the machine whose kind it is, messages that
// are wanted go into the store's index. The same code for recovery and live.
#include "base/must.h"
#include "shard/shard_internal.h"

enum { APPLY_AHEAD = 16 }; // records

static int handler_restore(void *owner, const struct record *image);
static int handler_replay(void *owner, const struct entry_view *entry, bool covered);
static void handler_apply(void *owner, const struct entry_view *entry);
static void handler_committed(void *owner, uint64_t index);
static void handler_refused(void *owner, uint64_t last_good, int error);
static void handler_admitting(void *owner);
static bool handler_is_wanted(void *owner, uint32_t stream, uint64_t sequence);
static uint64_t handler_first_wanted(void *owner, uint32_t stream);
static void handler_checkpoint_begin(void *owner, bool base);
static int handler_checkpoint_next(void *owner, struct buffer *out, size_t max_bytes);
static void handler_save_ids(void *owner, uint64_t first_index, uint64_t last_index, uint64_t *ret_until_ns,
                             struct buffer *out);
static void handler_ids_awaited(void *owner, uint64_t bytes);
static int handler_restore_ids(void *owner, struct bytes ids, uint64_t last_index, size_t *ret_left);
static int apply_entry(struct shard *shard, const struct entry_view *entry, bool covered);
static void apply_ahead(const struct shard *shard, struct bytes rest);
static int apply_record(struct shard *shard, const struct record *record, uint64_t index, bool covered);
static void index_message(struct shard *shard, const struct entry_view *entry, const struct record *record);
static bool is_engine_kind(uint16_t kind);
static struct shard_machine *machine_of(struct shard *shard, uint16_t kind);
static struct shard_machine *machine_of_image(struct shard *shard, uint16_t kind);
static struct shard_machine *machine_after(struct shard *shard, struct shard_machine *machine);

void shard_handler_fill(struct shard *shard, struct store_handler *handler)
{
    *handler = (struct store_handler){
        .owner = shard,
        .restore = handler_restore,
        .replay = handler_replay,
        .apply = handler_apply,
        .committed = handler_committed,
        .refused = handler_refused,
        .admitting = handler_admitting,
        .is_wanted = handler_is_wanted,
        .first_wanted = handler_first_wanted,
        .checkpoint_begin = handler_checkpoint_begin,
        .checkpoint_next = handler_checkpoint_next,
        .save_ids = handler_save_ids,
        .ids_awaited = handler_ids_awaited,
        .restore_ids = handler_restore_ids,
    };
}

static int handler_restore(void *owner, const struct record *image)
{
    struct shard *shard = owner;
    uint16_t kind = image->kind == RECORD_IMAGE_GONE ? image->flags : image->kind;
    struct shard_machine *machine = machine_of_image(shard, kind);
    return machine ? machine->restore(machine, image) : engine_restore(shard->engine, image);
}

static int handler_replay(void *owner, const struct entry_view *entry, bool covered)
{
    return apply_entry(owner, entry, covered);
}

// What was proposed here cannot contradict the state; if it does, going on would make it worse.
static void handler_apply(void *owner, const struct entry_view *entry)
{
    struct shard *shard = owner;
    must(apply_entry(shard, entry, false) == 0);
    shard->committed = true;
}

// Answers leave here and not at the turn's end, because a batch may become durable between turns.
static void handler_committed(void *owner, uint64_t index)
{
    struct shard *shard = owner;
    shard->committed = true;
    list_foreach(link, &shard->holds) hold_commit(container_of(link, struct hold, link), index);
}

// Machines first: they may hold members that the engine is about to free.
static void handler_refused(void *owner, uint64_t last_good, int error)
{
    struct shard *shard = owner;
    logger_write(shard->options.logger, LOG_ERROR, "shard %u: what was appended after index %llu is not in the log: %s",
                 shard->options.id, (unsigned long long)last_good, error_text(error));
    list_foreach(link, &shard->machines)
    {
        struct shard_machine *machine = container_of(link, struct shard_machine, link);
        if (machine->drop_tail)
            machine->drop_tail(machine, last_good);
    }
    engine_drop_tail(shard->engine, last_good);
    list_foreach(link, &shard->holds) hold_drop(container_of(link, struct hold, link), last_good, error);
}

static void handler_admitting(void *owner)
{
    struct shard *shard = owner;
    if (shard->options.admitting)
        shard->options.admitting(shard->options.owner);
}

static bool handler_is_wanted(void *owner, uint32_t stream, uint64_t sequence)
{
    struct shard *shard = owner;
    return engine_is_wanted(shard->engine, stream, sequence);
}

static uint64_t handler_first_wanted(void *owner, uint32_t stream)
{
    struct shard *shard = owner;
    return engine_first_wanted(shard->engine, stream);
}

static void handler_checkpoint_begin(void *owner, bool base)
{
    struct shard *shard = owner;
    engine_checkpoint_begin(shard->engine, base);
    list_foreach(link, &shard->machines)
    {
        struct shard_machine *machine = container_of(link, struct shard_machine, link);
        machine->checkpoint_begin(machine, base);
    }
    shard->engine_left = true;
    shard->image_machine = machine_after(shard, NULL);
}

static int handler_checkpoint_next(void *owner, struct buffer *out, size_t max_bytes)
{
    struct shard *shard = owner;
    uint64_t index = shard_committed_index(shard);
    size_t end = out->len + max_bytes;
    if (shard->engine_left)
        shard->engine_left = engine_checkpoint_next(shard->engine, index, out, max_bytes) != 0;
    while (!shard->engine_left && shard->image_machine && out->len < end) {
        struct shard_machine *machine = shard->image_machine;
        if (machine->checkpoint_next(machine, index, out, end - out->len) == 0)
            shard->image_machine = machine_after(shard, machine);
    }
    return shard->engine_left || shard->image_machine;
}

static void handler_save_ids(void *owner, uint64_t first_index, uint64_t last_index, uint64_t *ret_until_ns,
                             struct buffer *out)
{
    struct shard *shard = owner;
    engine_save_ids(shard->engine, first_index, last_index, ret_until_ns, out);
}

// Publishes that could be repetitions were refused meanwhile: they come again now.
static void handler_ids_awaited(void *owner, uint64_t bytes)
{
    struct shard *shard = owner;
    engine_ids_await(shard->engine, bytes);
    if (bytes == 0 && shard->options.admitting)
        shard->options.admitting(shard->options.owner);
}

static int handler_restore_ids(void *owner, struct bytes ids, uint64_t last_index, size_t *ret_left)
{
    struct shard *shard = owner;
    return engine_restore_ids(shard->engine, ids, last_index, ret_left);
}

static int apply_entry(struct shard *shard, const struct entry_view *entry, bool covered)
{
    struct bytes rest = entry->records;
    for (size_t number = 0; rest.len; number++) {
        struct record record;
        size_t used;
        if (number % APPLY_AHEAD == 0)
            apply_ahead(shard, rest);
        int error = record_get(rest, false, &record, &used);
        if (error)
            return error;
        error = apply_record(shard, &record, entry->index, covered);
        if (error)
            return error;
        if (record.kind == RECORD_MESSAGE)
            index_message(shard, entry, &record);
        rest = bytes_skip(rest, used);
    }
    return 0;
}

// Messages to many streams find each of them where the others have driven it: far from the processor. So those of the next few records
// are called for together.
static void apply_ahead(const struct shard *shard, struct bytes rest)
{
    uint32_t streams[APPLY_AHEAD], last = 0;
    size_t count = 0, used;
    struct record record;
    for (size_t i = 0; i < APPLY_AHEAD && record_get(rest, false, &record, &used) == 0; i++) {
        if (record.kind == RECORD_MESSAGE && record.object != last)
            streams[count++] = last = record.object;
        rest = bytes_skip(rest, used);
    }
    if (count > 1) {
        engine_streams_ahead(shard->engine, streams, count);
        store_index_ahead(shard->store, streams, count);
    }
}

static int apply_record(struct shard *shard, const struct record *record, uint64_t index, bool covered)
{
    if (is_engine_kind(record->kind))
        return engine_apply(shard->engine, record, index, covered);
    struct shard_machine *machine = machine_of(shard, record->kind);
    if (machine)
        return covered ? 0 : machine->apply(machine, record, index);
    return record->kind & RECORD_MUST_UNDERSTAND ? ERR_CORRUPT : 0;
}

static void index_message(struct shard *shard, const struct entry_view *entry, const struct record *record)
{
    struct message_record message;
    if (message_record_get(record, &message) || !engine_is_wanted(shard->engine, message.stream_id, message.sequence))
        return;
    store_index_add(shard->store, entry, message.stream_id, message.sequence, message.time_ns,
                    (size_t)(record->whole.ptr - entry->records.ptr), record->whole.len);
}

static bool is_engine_kind(uint16_t kind)
{
    return kind >= RECORD_MESSAGE && kind <= RECORD_STREAM_EDITED;
}

static struct shard_machine *machine_of(struct shard *shard, uint16_t kind)
{
    list_foreach(link, &shard->machines)
    {
        struct shard_machine *machine = container_of(link, struct shard_machine, link);
        if (kind >= machine->first_kind && kind <= machine->last_kind)
            return machine;
    }
    return NULL;
}

static struct shard_machine *machine_of_image(struct shard *shard, uint16_t kind)
{
    list_foreach(link, &shard->machines)
    {
        struct shard_machine *machine = container_of(link, struct shard_machine, link);
        if (kind == machine->image_kind)
            return machine;
    }
    return NULL;
}

// NULL: the first; NULL after the last.
static struct shard_machine *machine_after(struct shard *shard, struct shard_machine *machine)
{
    struct list *link = machine ? machine->link.next : shard->machines.next;
    return link != &shard->machines ? container_of(link, struct shard_machine, link) : NULL;
}
