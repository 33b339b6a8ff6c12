// SPDX-License-Identifier: Apache-2.0
#include "store_model.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/map_u64.h"
#include "base/memory.h"
#include "base/must.h"

static struct store_handler make_handler(struct model *model);

void model_init(struct model *model, struct sim_disk *disk, uint64_t seed)
{
    *model = (struct model){.disk = disk, .state_first = 1, .now = {1000000000, 1700000000000000000ull}};
    prng_seed(&model->prng, seed);
    store_options_default(&model->options);
    model->options.identity = BYTES("model");
    model->options.file_bytes = 128 * 1024;
    model->options.first_file_bytes = 64 * 1024;
    model->options.max_payload = 12 * 1024;
    model->options.log_bytes = 100ull << 20;
    model->options.checkpoint_bytes = 1ull << 40;
    model->options.inflight_bytes = 256 * 1024;
    model->options.cache_bytes = 256 * 1024;
}

void model_complain(struct model *model, const char *format, ...)
{
    if (model->complaint[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(model->complaint, sizeof(model->complaint), format, arguments);
    va_end(arguments);
}

// ---- messages

static size_t payload_size(uint64_t sequence, uint32_t epoch, size_t max)
{
    uint64_t h = map_u64_hash(sequence * 31 + epoch);
    return h % 50 == 0 ? h / 50 % (max + 1) : h / 50 % (max < 200 ? max + 1 : 200);
}

static void fill_payload(char *at, size_t size, uint64_t sequence, uint32_t epoch)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (char)(map_u64_hash(sequence + i / 8) >> (i % 8 * 8)) ^ (char)epoch;
}

static bool check_message(struct model *model, const struct record *record, uint64_t sequence)
{
    struct message_record message;
    if (message_record_get(record, &message) != 0 || message.sequence != sequence || message.stream_id != MODEL_STREAM)
        return false;
    char expected[16 * 1024];
    if (message.payload.len > sizeof(expected) || sequence > MODEL_MESSAGES_MAX)
        return false;
    fill_payload(expected, message.payload.len, sequence, model->epochs[sequence]);
    return memcmp(expected, message.payload.ptr, message.payload.len) == 0;
}

bool model_append(struct model *model, size_t max)
{
    uint64_t sequence = model->appended + 1, index;
    if (sequence > MODEL_MESSAGES_MAX)
        return false;
    size_t payload = payload_size(sequence, model->epoch, max);
    size_t size = message_record_size(0, 0, 0, payload);
    if (store_admit(model->store, size) != 0)
        return false;
    char bytes[16 * 1024];
    must(payload <= sizeof(bytes));
    fill_payload(bytes, payload, sequence, model->epoch);
    struct message_record message = {
        .stream_id = MODEL_STREAM,
        .sequence = sequence,
        .time_ns = model->now.wall_ns,
        .payload = bytes_make(bytes, payload),
    };
    message_record_put(store_reserve(model->store, 1, size, &index), &message);
    model->epochs[sequence] = model->epoch;
    model->appended = sequence;
    return true;
}

int model_trim(struct model *model, uint64_t sequence)
{
    uint64_t index;
    int error = store_admit_reserved(model->store, RECORD_HEADER_SIZE + 8);
    if (error)
        return error;
    char *at = store_reserve(model->store, 1, RECORD_HEADER_SIZE + 8, &index);
    record_begin(at, RECORD_HEADER_SIZE + 8, RECORD_STREAM_EVICT, 0, MODEL_STREAM);
    put_u64(at + RECORD_HEADER_SIZE, sequence + 1);
    record_seal(at);
    if (sequence > model->asked_trim)
        model->asked_trim = sequence;
    return 0;
}

bool model_turn(struct model *model)
{
    model->now.mono_ns += 1000000;
    model->now.wall_ns += 1000000;
    return store_turn_end(model->store, model->now);
}

// ---- the state machine

static void take_message(struct model *model, const struct entry_view *entry, const struct record *record,
                         size_t offset, bool covered)
{
    uint64_t sequence = get_u64(record->whole.ptr + 16);
    if (!check_message(model, record, sequence))
        model_complain(model, "message %llu is not what was appended", (unsigned long long)sequence);
    if (!covered) {
        if (sequence != model->state_last + 1) {
            model->holes += sequence - model->state_last - 1;
            if (!model->holes_allowed || sequence <= model->state_last)
                model_complain(model, "message %llu follows %llu", (unsigned long long)sequence,
                               (unsigned long long)model->state_last);
        }
        model->state_last = sequence;
    }
    if (sequence >= model->state_first)
        store_index_add(model->store, entry, MODEL_STREAM, sequence, get_u64(record->whole.ptr + 24), offset,
                        record->whole.len);
}

static void take_entry(struct model *model, const struct entry_view *entry, bool covered)
{
    struct bytes rest = entry->records;
    while (rest.len) {
        struct record record;
        size_t used;
        if (record_get(rest, true, &record, &used) != 0) {
            model_complain(model, "entry %llu has a bad record", (unsigned long long)entry->index);
            return;
        }
        if (record.kind == RECORD_MESSAGE)
            take_message(model, entry, &record, entry->records.len - rest.len, covered);
        if (record.kind == RECORD_STREAM_EVICT && get_u64(record.body.ptr) > model->state_first) {
            model->state_first = get_u64(record.body.ptr);
            store_trim(model->store, MODEL_STREAM, model->state_first);
        }
        rest = bytes_skip(rest, used);
    }
    if (!covered)
        model->state_index = entry->index;
}

static int on_restore(void *owner, const struct record *image)
{
    struct model *model = owner;
    if (image->body.len < 24)
        return ERR_CORRUPT;
    model->state_index = model->image_index = get_u64(image->body.ptr);
    model->state_last = get_u64(image->body.ptr + 8);
    model->state_first = get_u64(image->body.ptr + 16);
    return 0;
}

static int on_replay(void *owner, const struct entry_view *entry, bool covered)
{
    struct model *model = owner;
    if (!model->replayed_from)
        model->replayed_from = entry->index;
    // The same entry may come in several pieces when it is damaged.
    if (model->applied_index && entry->index != model->applied_index + 1 && !model->holes_allowed)
        model_complain(model, "entry %llu follows %llu", (unsigned long long)entry->index,
                       (unsigned long long)model->applied_index);
    model->applied_index = entry->index;
    take_entry(model, entry, entry->index <= model->image_index);
    return 0;
}

static void on_apply(void *owner, const struct entry_view *entry)
{
    struct model *model = owner;
    if (entry->index != model->applied_index + 1)
        model_complain(model, "entry %llu applied after %llu", (unsigned long long)entry->index,
                       (unsigned long long)model->applied_index);
    model->applied_index = entry->index;
    take_entry(model, entry, false);
}

// Would this survive now? A fork of the disk that loses all that is not synced must have it.
static void check_commit(struct model *model, uint64_t index)
{
    struct sim_disk fork;
    sim_disk_fork(model->disk, prng_next(&model->prng), SIM_LOSS_ALL, &fork);
    fork.lying = model->disk->lying;
    struct model *other = mem_alloc(sizeof(*other));
    *other = *model;
    other->disk = &fork;
    other->store = NULL;
    other->check_commits = 0;
    other->promised = model->state_last;
    other->trimmed = model->state_first - 1;
    other->complaint[0] = 0;
    int error = model_open(other);
    if (error)
        model_complain(model, "at commit %llu: the synced part does not open: %s", (unsigned long long)index,
                       error_text(error));
    else
        model_stop(other);
    if (other->complaint[0])
        model_complain(model, "committed before it was synced: %.150s", other->complaint);
    mem_free(other);
    sim_disk_deinit(&fork);
}

static void on_committed(void *owner, uint64_t index)
{
    struct model *model = owner;
    if (index != model->applied_index)
        model_complain(model, "commit %llu, applied %llu", (unsigned long long)index,
                       (unsigned long long)model->applied_index);
    model->promised_index = index;
    model->promised = model->state_last;
    model->trimmed = model->state_first - 1;
    if (model->check_commits && model->commits_checked++ % model->check_commits == 0)
        check_commit(model, index);
}

static void on_refused(void *owner, uint64_t last_good, int error)
{
    struct model *model = owner;
    if (last_good != model->promised_index && last_good != model->applied_index)
        model_complain(model, "refused after %llu, committed %llu", (unsigned long long)last_good,
                       (unsigned long long)model->promised_index);
    model->refused = true;
    model->refused_error = error;
    if (error != ERR_NO_SPACE)
        return; // what a failed write left may be there after the next start
    model->appended = model->state_last;
    model->asked_trim = model->state_first - 1;
    model->epoch++;
}

static void on_admitting(void *owner)
{
    ((struct model *)owner)->admitted++;
}

static bool on_is_wanted(void *owner, uint32_t stream, uint64_t sequence)
{
    const struct model *model = owner;
    return stream == MODEL_STREAM && sequence >= model->state_first && sequence <= model->state_last;
}

static uint64_t on_first_wanted(void *owner, uint32_t stream)
{
    const struct model *model = owner;
    return stream != MODEL_STREAM || model->state_first > model->state_last ? UINT64_MAX : model->state_first;
}

static void on_checkpoint_begin(void *owner, bool base)
{
    ((struct model *)owner)->checkpointing = true;
}

static int on_checkpoint_next(void *owner, struct buffer *out, size_t max_bytes)
{
    struct model *model = owner;
    if (!model->checkpointing)
        return 0;
    model->checkpointing = false;
    char *at = buffer_reserve(out, 40);
    must(at);
    record_begin(at, 40, RECORD_IMAGE_COUNTERS, 0, 0);
    put_u64(at + 16, model->state_index);
    put_u64(at + 24, model->state_last);
    put_u64(at + 32, model->state_first);
    record_seal(at);
    buffer_commit(out, 40);
    return 0;
}

static void on_save_ids(void *owner, uint64_t first_index, uint64_t last_index, uint64_t *ret_until_ns,
                        struct buffer *out)
{
    *ret_until_ns = 0;
}

static void on_ids_awaited(void *owner, uint64_t bytes)
{
}

static int on_restore_ids(void *owner, struct bytes ids, uint64_t last_index, size_t *ret_left)
{
    *ret_left = 0;
    return 0;
}

static struct store_handler make_handler(struct model *model)
{
    return (struct store_handler){
        .owner = model,
        .restore = on_restore,
        .replay = on_replay,
        .apply = on_apply,
        .committed = on_committed,
        .refused = on_refused,
        .admitting = on_admitting,
        .is_wanted = on_is_wanted,
        .first_wanted = on_first_wanted,
        .checkpoint_begin = on_checkpoint_begin,
        .checkpoint_next = on_checkpoint_next,
        .save_ids = on_save_ids,
        .ids_awaited = on_ids_awaited,
        .restore_ids = on_restore_ids,
    };
}

// ---- lives

int model_open(struct model *model)
{
    model->state_last = 0;
    model->state_first = 1;
    model->state_index = model->image_index = model->applied_index = model->replayed_from = 0;
    model->holes = 0;
    model->refused = false;
    struct store_handler handler = make_handler(model);
    uint64_t appended = model->appended, asked = model->asked_trim;
    sim_crypto_next_life(&model->options.encryption);
    int error = store_open(&model->options, &model->disk->disk, &handler, model->now, &model->store);
    if (error) {
        model->store = NULL;
        return error;
    }
    if (sim_crypto_nonce_reused())
        model_complain(model, "a nonce was used twice");
    if (model->state_last < model->promised && !model->holes_allowed)
        model_complain(model, "message %llu was acknowledged, %llu is the last one recovered",
                       (unsigned long long)model->promised, (unsigned long long)model->state_last);
    if (model->state_last > appended)
        model_complain(model, "message %llu was never appended", (unsigned long long)model->state_last);
    if (model->state_first <= model->trimmed && !model->holes_allowed)
        model_complain(model, "message %llu was deleted and is back", (unsigned long long)model->trimmed);
    if (model->state_first > asked + 1)
        model_complain(model, "deletion up to %llu was never asked for", (unsigned long long)model->state_first);
    uint64_t index = store_last_index(model->store, 1);
    if (index != store_committed_index(model->store, 1) || index < model->applied_index)
        model_complain(model, "recovered index %llu, replayed %llu", (unsigned long long)index,
                       (unsigned long long)model->applied_index);
    model->applied_index = index;
    model->promised_index = index;
    model->promised = model->state_last;
    model->appended = model->state_last;
    model->trimmed = model->asked_trim = model->state_first - 1;
    model->epoch++;
    return 0;
}

static void on_fetched(struct store_fetch *fetch)
{
    fetch->implementation = fetch;
    fetch->stream = 0;
}

void model_fetch(struct model *model, uint64_t sequence)
{
    struct store_fetch fetch = {.stream = MODEL_STREAM, .sequence = sequence, .done = on_fetched};
    int error = store_fetch(model->store, &fetch);
    if (error == ERR_AGAIN) {
        while (fetch.stream && sim_disk_step(model->disk))
            ;
        if (fetch.stream) {
            store_fetch_cancel(model->store, &fetch);
            model_complain(model, "message %llu: the read was never answered", (unsigned long long)sequence);
            return;
        }
        error = fetch.result;
    }
    bool gone = sequence < model->state_first; // meanwhile, by a commit
    if (error == ERR_NOT_FOUND && gone)
        return;
    if (error)
        model_complain(model, "message %llu cannot be read: %s", (unsigned long long)sequence, error_text(error));
    else if (!check_message(model, &fetch.record, sequence))
        model_complain(model, "message %llu reads as something else", (unsigned long long)sequence);
    if (!error)
        chunk_unref(fetch.chunk);
}

void model_stop(struct model *model)
{
    store_quiesce(model->store);
    sim_disk_drain(model->disk);
    must(store_is_idle(model->store));
    store_stop(model->store);
    model->store = NULL;
}

void model_abandon(struct model *model)
{
    model_stop(model);
}
