// SPDX-License-Identifier: Apache-2.0
#include "cold_model.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/map_u64.h"
#include "base/must.h"

enum {
    ID_SIZE = 16,
    IDS_AT_ONCE = 7,
    COLD_PAYLOAD_MAX = 8192,
    IMAGE_SIZE = RECORD_HEADER_SIZE + 24,
    TRIM_SIZE = RECORD_HEADER_SIZE + 8
};

static struct store_handler make_handler(struct cold_model *model);
static void check_ids(struct cold_model *model);

void cold_model_init(struct cold_model *model, struct sim_disk *disk)
{
    *model = (struct cold_model){.disk = disk, .now = {1000000000, UINT64_C(1700000000000000000)}};
    model->window_ns = COLD_WINDOW_NS;
    store_options_default(&model->options);
    model->options.identity = BYTES("cold");
    model->options.log_bytes = 256 * 1024;
    model->options.file_bytes = 64 * 1024;
    model->options.first_file_bytes = 64 * 1024;
    model->options.max_payload = COLD_PAYLOAD_MAX;
    model->options.checkpoint_bytes = 150 * 1024;
    model->options.cache_bytes = 128 * 1024;
    model->options.inflight_bytes = 64 * 1024;
    for (int i = 0; i < COLD_STREAMS; i++) {
        model->streams[i].promised_first = model->streams[i].asked_first = 1;
    }
}

void cold_model_complain(struct cold_model *model, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!model->complaint[0]) {
        vsnprintf(model->complaint, sizeof(model->complaint), format, arguments);
    }
    va_end(arguments);
}

// ---- messages

static void payload_fill(char *at, size_t size, uint32_t stream, uint64_t sequence, uint16_t epoch)
{
    uint64_t seed = map_u64_hash((uint64_t)stream << 48 | (uint64_t)epoch << 32 | sequence);
    for (size_t i = 0; i < size; i++) {
        at[i] = (char)(map_u64_hash(seed + i / 8) >> (i % 8 * 8));
    }
}

static bool message_is_right(const struct cold_model *model, const struct record *record, uint32_t stream,
                             uint64_t sequence)
{
    struct message_record message;
    char expected[COLD_PAYLOAD_MAX];
    if (message_record_get(record, &message) != 0 || message.sequence != sequence || message.stream_id != stream + 1 ||
        message.payload.len > sizeof(expected)) {
        return false;
    }
    payload_fill(expected, message.payload.len, stream, sequence, model->streams[stream].epochs[sequence]);
    return memcmp(expected, message.payload.ptr, message.payload.len) == 0;
}

bool cold_model_append(struct cold_model *model, uint32_t stream, size_t size)
{
    struct cold_stream *own = &model->streams[stream];
    uint64_t sequence = own->appended + 1, index;
    char payload[COLD_PAYLOAD_MAX];
    must(size <= sizeof(payload));
    size_t whole = message_record_size(0, 0, 0, size);
    if (sequence > COLD_MESSAGES || store_admit(model->store, whole) != 0) {
        return false;
    }
    payload_fill(payload, size, stream, sequence, model->epoch);
    struct message_record message = {
        .stream_id = stream + 1,
        .sequence = sequence,
        .time_ns = model->now.wall_ns,
        .payload = bytes_make(payload, size),
    };
    message_record_put(store_reserve(model->store, 1, whole, &index), &message);
    own->epochs[sequence] = model->epoch;
    own->appended = sequence;
    return true;
}

void cold_model_trim(struct cold_model *model, uint32_t stream, uint64_t first)
{
    uint64_t index;
    if (store_admit_reserved(model->store, TRIM_SIZE) != 0) {
        return;
    }
    char *at = store_reserve(model->store, 1, TRIM_SIZE, &index);
    record_begin(at, TRIM_SIZE, RECORD_STREAM_EVICT, 0, stream + 1);
    put_u64(at + RECORD_HEADER_SIZE, first);
    record_seal(at);
    struct cold_stream *own = &model->streams[stream];
    own->asked_first = first > own->asked_first ? first : own->asked_first;
}

bool cold_model_turn(struct cold_model *model)
{
    model->now.mono_ns += 1000000;
    model->now.wall_ns += 1000000;
    return store_turn_end(model->store, model->now);
}

void cold_model_settle(struct cold_model *model, uint64_t turns)
{
    for (uint64_t i = 0; i < turns; i++) {
        cold_model_turn(model);
        sim_disk_drain(model->disk);
    }
}

static void read_done(struct store_fetch *fetch)
{
    fetch->stream = 0;
}

void cold_model_read(struct cold_model *model, uint32_t stream, uint64_t sequence)
{
    struct store_fetch fetch = {.stream = stream + 1, .sequence = sequence, .done = read_done};
    int result = store_fetch(model->store, &fetch);
    if (result == ERR_AGAIN) {
        while (fetch.stream != 0 && sim_disk_step(model->disk)) {
        }
        if (fetch.stream != 0) {
            store_fetch_cancel(model->store, &fetch);
            cold_model_complain(model, "message %u/%llu: never answered", stream, (unsigned long long)sequence);
            return;
        }
        result = fetch.result;
    }
    bool gone = sequence < model->streams[stream].first; // meanwhile
    if (result == 0) {
        if (!message_is_right(model, &fetch.record, stream, sequence)) {
            cold_model_complain(model, "message %u/%llu reads as something else", stream, (unsigned long long)sequence);
        }
        chunk_unref(fetch.chunk);
    } else if (result == ERR_CORRUPT && model->damaged) {
        model->quarantined++;
    } else if (!gone && !(result == ERR_IO && model->disk->failed)) {
        cold_model_complain(model, "message %u/%llu cannot be read: %s", stream, (unsigned long long)sequence,
                            error_text(result));
    }
}

void cold_model_read_all(struct cold_model *model)
{
    for (uint32_t i = 0; i < COLD_STREAMS; i++) {
        for (uint64_t s = model->streams[i].first; s <= model->streams[i].last && !model->complaint[0]; s++) {
            cold_model_read(model, i, s);
        }
    }
}

// ---- the state machine

static void take_message(struct cold_model *model, const struct entry_view *entry, const struct record *record,
                         size_t offset, bool covered)
{
    uint32_t stream = record->object - 1;
    uint64_t sequence = get_u64(record->whole.ptr + 16);
    struct cold_stream *own = &model->streams[stream];
    if (!message_is_right(model, record, stream, sequence)) {
        cold_model_complain(model, "message %u/%llu is not what was appended", stream, (unsigned long long)sequence);
    }
    own->indexes[sequence] = entry->index;
    own->times[sequence] = get_u64(record->whole.ptr + 24);
    own->known[sequence] = true;
    if (!covered && entry->index > own->index) {
        if (sequence != own->last + 1) {
            cold_model_complain(model, "message %u/%llu follows %llu", stream, (unsigned long long)sequence,
                                (unsigned long long)own->last);
        }
        own->last = sequence;
        own->changed = true;
    }
    if (sequence >= own->first) {
        store_index_add(model->store, entry, stream + 1, sequence, get_u64(record->whole.ptr + 24), offset,
                        record->whole.len);
    }
}

static void take_trim(struct cold_model *model, const struct record *record)
{
    struct cold_stream *own = &model->streams[record->object - 1];
    uint64_t first = get_u64(record->body.ptr);
    if (first > own->first) {
        own->first = first;
        own->changed = true;
        store_trim(model->store, record->object, first);
    }
}

static void take_entry(struct cold_model *model, const struct entry_view *entry, bool covered)
{
    struct bytes rest = entry->records;
    struct record record;
    for (size_t used; rest.len > 0; rest = bytes_skip(rest, used)) {
        if (record_get(rest, true, &record, &used) != 0) {
            cold_model_complain(model, "entry %llu has a bad record", (unsigned long long)entry->index);
            return;
        }
        if (record.kind == RECORD_MESSAGE) {
            take_message(model, entry, &record, entry->records.len - rest.len, covered);
        } else if (record.kind == RECORD_STREAM_EVICT) {
            take_trim(model, &record);
        }
    }
}

static int on_restore(void *owner, const struct record *image)
{
    struct cold_model *model = owner;
    if (image->kind != RECORD_IMAGE_STREAM || image->object >= COLD_STREAMS || image->whole.len != IMAGE_SIZE) {
        return ERR_CORRUPT;
    }
    struct cold_stream *own = &model->streams[image->object];
    if (get_u64(image->body.ptr) < own->index) {
        cold_model_complain(model, "an older image of stream %u follows a newer", image->object);
    }
    own->index = get_u64(image->body.ptr);
    own->first = get_u64(image->body.ptr + 8);
    own->last = get_u64(image->body.ptr + 16);
    return 0;
}

static int on_replay(void *owner, const struct entry_view *entry, bool covered)
{
    struct cold_model *model = owner;
    // Entries whose file has a sidecar are not replayed.
    if (entry->index <= model->applied_index) {
        cold_model_complain(model, "entry %llu is replayed after %llu", (unsigned long long)entry->index,
                            (unsigned long long)model->applied_index);
    }
    model->applied_index = entry->index;
    model->replayed++;
    take_entry(model, entry, covered);
    return 0;
}

static void on_apply(void *owner, const struct entry_view *entry)
{
    struct cold_model *model = owner;
    if (entry->index != model->applied_index + 1) {
        cold_model_complain(model, "entry %llu is applied after %llu", (unsigned long long)entry->index,
                            (unsigned long long)model->applied_index);
    }
    model->applied_index = entry->index;
    take_entry(model, entry, false);
}

static void on_committed(void *owner, uint64_t index)
{
    struct cold_model *model = owner;
    for (int i = 0; i < COLD_STREAMS; i++) {
        model->streams[i].promised_first = model->streams[i].first;
        model->streams[i].promised_last = model->streams[i].last;
    }
}

static void on_refused(void *owner, uint64_t last_good, int error)
{
    struct cold_model *model = owner;
    for (int i = 0; error == ERR_NO_SPACE && i < COLD_STREAMS; i++) {
        model->streams[i].appended = model->streams[i].last;
        model->streams[i].asked_first = model->streams[i].first;
    }
    model->epoch++;
}

static void on_admitting(void *owner)
{
}

static bool on_is_wanted(void *owner, uint32_t stream, uint64_t sequence)
{
    const struct cold_stream *own = &((struct cold_model *)owner)->streams[stream - 1];
    return sequence >= own->first && sequence <= own->last;
}

static uint64_t on_first_wanted(void *owner, uint32_t stream)
{
    const struct cold_stream *own = &((struct cold_model *)owner)->streams[stream - 1];
    return own->first > own->last ? UINT64_MAX : own->first;
}

static void on_checkpoint_begin(void *owner, bool base)
{
    struct cold_model *model = owner;
    model->image_next = 0;
    model->image_base = base;
}

// Three streams in one slice, so that a checkpoint is spread over several turns.
static int on_checkpoint_next(void *owner, struct buffer *out, size_t max_bytes)
{
    struct cold_model *model = owner;
    for (int count = 0; model->image_next < COLD_STREAMS && count < 3; model->image_next++, count++) {
        struct cold_stream *own = &model->streams[model->image_next];
        if (!own->changed && !model->image_base) {
            continue;
        }
        own->changed = false;
        char *at = buffer_reserve(out, IMAGE_SIZE);
        must(at);
        record_begin(at, IMAGE_SIZE, RECORD_IMAGE_STREAM, 0, model->image_next);
        put_u64(at + 16, model->applied_index);
        put_u64(at + 24, own->first);
        put_u64(at + 32, own->last);
        record_seal(at);
        buffer_commit(out, IMAGE_SIZE);
    }
    return model->image_next < COLD_STREAMS;
}

// An id is the stream and the sequence.
static void on_save_ids(void *owner, uint64_t first_index, uint64_t last_index, uint64_t *ret_until_ns,
                        struct buffer *out)
{
    struct cold_model *model = owner;
    *ret_until_ns = 0;
    if (model->ids_awaited) {
        cold_model_complain(model, "ids are saved while not all are known");
    }
    for (uint32_t i = 0; i < COLD_STREAMS; i++) {
        const struct cold_stream *own = &model->streams[i];
        for (uint64_t s = 1; s <= own->last; s++) {
            uint64_t until_ns = own->times[s] + model->window_ns;
            if (!own->known[s] || own->indexes[s] < first_index || own->indexes[s] > last_index ||
                until_ns <= model->now.wall_ns) {
                continue;
            }
            char *to = buffer_reserve(out, ID_SIZE);
            put_u64(to, i);
            put_u64(to + 8, s);
            buffer_commit(out, ID_SIZE);
            *ret_until_ns = until_ns > *ret_until_ns ? until_ns : *ret_until_ns;
        }
    }
}

static void on_ids_awaited(void *owner, uint64_t bytes)
{
    struct cold_model *model = owner;
    bool awaited = bytes > 0;
    if (awaited == model->ids_awaited) {
        cold_model_complain(model, "ids are awaited twice, or never were");
    }
    model->ids_awaited = awaited;
    if (!awaited) {
        check_ids(model);
    }
}

static int on_restore_ids(void *owner, struct bytes ids, uint64_t last_index, size_t *ret_left)
{
    struct cold_model *model = owner;
    if (!model->ids_awaited || ids.len == 0 || ids.len % ID_SIZE) {
        cold_model_complain(model, "these are no ids that were saved");
        return ERR_CORRUPT;
    }
    for (int n = 0; n < IDS_AT_ONCE && ids.len > 0; n++, ids.len -= ID_SIZE) {
        const char *at = ids.ptr + ids.len - ID_SIZE;
        uint64_t stream = get_u64(at), sequence = get_u64(at + 8);
        if (stream >= COLD_STREAMS || sequence == 0 || sequence > COLD_MESSAGES) {
            cold_model_complain(model, "the saved ids are not what was saved");
            return ERR_CORRUPT;
        }
        model->streams[stream].known[sequence] = true;
        // Exactly or not at all: roll-over asks again by file.
        model->streams[stream].indexes[sequence] = last_index;
        model->ids_restored++;
    }
    *ret_left = ids.len;
    return 0;
}

// Whatever is promised and in its window is known, or it could be stored twice.
static void check_ids(struct cold_model *model)
{
    for (uint32_t i = 0; i < COLD_STREAMS && !model->damaged; i++) {
        const struct cold_stream *own = &model->streams[i];
        for (uint64_t s = 1; s <= own->last; s++) {
            if (own->times[s] > 0 && own->times[s] + model->window_ns > model->now.wall_ns) {
                model->ids_checked++;
                if (!own->known[s]) {
                    cold_model_complain(model, "the id of message %u/%llu is forgotten", i, (unsigned long long)s);
                }
            }
        }
    }
}

static struct store_handler make_handler(struct cold_model *model)
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

static void compare_with_promise(struct cold_model *model)
{
    for (uint32_t i = 0; i < COLD_STREAMS; i++) {
        struct cold_stream *own = &model->streams[i];
        if (own->last < own->promised_last || own->last > own->appended) {
            cold_model_complain(model, "stream %u ends at %llu: %llu was promised, %llu was appended", i,
                                (unsigned long long)own->last, (unsigned long long)own->promised_last,
                                (unsigned long long)own->appended);
        }
        if (own->first < own->promised_first || own->first > own->asked_first) {
            cold_model_complain(model, "stream %u begins at %llu: %llu was promised, %llu was asked for", i,
                                (unsigned long long)own->first, (unsigned long long)own->promised_first,
                                (unsigned long long)own->asked_first);
        }
        own->appended = own->promised_last = own->last;
        own->asked_first = own->promised_first = own->first;
    }
}

int cold_model_open(struct cold_model *model)
{
    for (int i = 0; i < COLD_STREAMS; i++) {
        model->streams[i].first = 1;
        model->streams[i].last = model->streams[i].index = 0;
        model->streams[i].changed = false;
        memset(model->streams[i].known, 0, sizeof(model->streams[i].known));
    }
    model->ids_awaited = false;
    model->applied_index = model->replayed = 0;
    model->now.mono_ns += 1000000000;
    struct store_handler handler = make_handler(model);
    sim_crypto_next_life(&model->options.encryption);
    int result = store_open(&model->options, &model->disk->disk, &handler, model->now, &model->store);
    if (result != 0) {
        model->store = NULL;
        return result;
    }
    compare_with_promise(model);
    if (sim_crypto_nonce_reused()) {
        cold_model_complain(model, "a nonce was used twice");
    }
    if (!model->ids_awaited) {
        check_ids(model);
    }
    model->applied_index = store_last_index(model->store, 1);
    model->epoch++;
    return 0;
}

void cold_model_stop(struct cold_model *model)
{
    store_quiesce(model->store);
    sim_disk_drain(model->disk);
    must(store_is_idle(model->store));
    store_stop(model->store);
    model->store = NULL;
}

void cold_model_promise_all(struct cold_model *model)
{
    for (int i = 0; i < COLD_STREAMS; i++) {
        model->streams[i].promised_last = model->streams[i].appended;
        model->streams[i].promised_first = model->streams[i].asked_first;
    }
}
