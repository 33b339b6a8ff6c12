// SPDX-License-Identifier: Apache-2.0
#include "admin/backup_service.h"

#include <stdio.h>

#include "admin/admin_access.h"
#include "admin/backup_file.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/number.h"

enum {
    WAITING_MAX = 8,       // requests for frames at a time
    FORGOTTEN_MS = 60000,  // without any
    META_MAX = 512 << 20,  // bytes of consumers, clients and channels
    READS_PER_TURN = 4096, // of messages
    ANSWERS_PER_TURN = 4,
};

enum { KIND_BEGUN = 'B', KIND_DATA = 'D', KIND_LAST = 'Z', KIND_ERROR = 'E' };

// One channel of the backup: its frames in `meta`, and the messages that go between them.
struct part {
    uint32_t stream; // id
    size_t image, consumers,
        end;             // offsets in `meta`: [image, consumers) goes before the messages, [consumers, end) behind them
    uint64_t next, last; // sequences
};

struct backup {
    uint32_t number;
    struct buffer meta; // frames
    size_t head_end;    // those in front of the first part
    struct part *parts; // owned
    size_t part_count;
    size_t part; // being written
    bool begun;  // `part`: its image is written
    bool ended;
    struct buffer answer; // kind and frames
    struct backup_sum sum;
    struct store_fetch fetch;
    bool fetching;              // the store is reading it
    bool fetched;               // it has, and nobody took it yet
    uint64_t asked_ms;          // the last time
    char *waiting[WAITING_MAX]; // owned: reply subjects, the oldest first
    size_t waiting_count;
};

struct backup_service {
    struct backup_service_options options;
    struct admin_access access;
    struct inlet begin, next;
    struct backup *backup; // owned; NULL: none
    uint32_t numbers;
    struct moment now;
    bool stopped;
};

static bool on_begin(struct inlet *inlet, const struct inlet_message *message);
static bool on_next(struct inlet *inlet, const struct inlet_message *message);
static bool is_allowed(struct backup_service *service, const struct inlet_message *message);
static int begin(struct backup_service *service, struct bytes channel);
static void take_part(struct backup_service *service, struct backup *backup, struct stream *stream);
static void backup_free(struct backup_service *service);
static bool work(struct backup_service *service, size_t *reads);
static bool add_messages(struct backup_service *service, struct part *part, size_t *reads);
static bool add_message(struct backup_service *service, struct part *part, int result);
static void on_fetched(struct store_fetch *fetch);
static void add_frames(struct backup *backup, struct bytes frames);
static bool is_full(const struct backup_service *service);
static void send_answer(struct backup_service *service);
static void answer(struct backup_service *service, struct bytes reply, char kind, struct bytes text);

struct backup_service *backup_service_new(const struct backup_service_options *options)
{
    struct backup_service *service = mem_alloc_zero(sizeof(*service));
    service->options = *options;
    service->access.logger = options->logger;
    service->begin.on_message = on_begin;
    service->next.on_message = on_next;
    must(broker_inlet_add(options->broker, &service->begin, BYTES(BACKUP_SUBJECT)) == 0);
    must(broker_inlet_add(options->broker, &service->next, BYTES(BACKUP_NEXT_SUBJECT)) == 0);
    return service;
}

void backup_service_free(struct backup_service *service)
{
    if (!service)
        return;
    backup_service_stop(service);
    mem_free(service);
}

void backup_service_stop(struct backup_service *service)
{
    if (service->stopped)
        return;
    service->stopped = true;
    broker_inlet_remove(service->options.broker, &service->begin);
    broker_inlet_remove(service->options.broker, &service->next);
    backup_free(service);
}

bool backup_service_turn_end(struct backup_service *service, struct moment now)
{
    service->now = now;
    struct backup *backup = service->backup;
    if (backup && moment_mono_ms(now) > backup->asked_ms + FORGOTTEN_MS) {
        logger_write(service->options.logger, LOG_WARN, "backup %u is given up: nobody asks for more of it",
                     backup->number);
        backup_free(service);
    }
    size_t reads = READS_PER_TURN;
    for (int i = 0; i < ANSWERS_PER_TURN && service->backup && service->backup->waiting_count; i++) {
        if (!work(service, &reads))
            return service->backup && !service->backup->fetching;
        send_answer(service);
    }
    return service->backup && service->backup->waiting_count && !service->backup->fetching;
}

uint64_t backup_service_next_deadline_ms(const struct backup_service *service)
{
    const struct backup *backup = service->backup;
    if (!backup)
        return UINT64_MAX;
    bool busy = backup->waiting_count && !backup->fetching;
    return busy ? moment_mono_ms(service->now) : backup->asked_ms + FORGOTTEN_MS + 1;
}

static bool on_begin(struct inlet *inlet, const struct inlet_message *message)
{
    struct backup_service *service = container_of(inlet, struct backup_service, begin);
    if (!is_allowed(service, message) || message->reply.len == 0)
        return true; // with nowhere to send it nobody would ask for the rest
    if (service->backup) {
        answer(service, message->reply, KIND_ERROR, BYTES("another backup is under way"));
        return true;
    }
    int error = begin(service, message->payload);
    if (error) {
        answer(service, message->reply, KIND_ERROR,
               error == ERR_NOT_FOUND ? BYTES("there is no such channel")
                                      : BYTES("what would be in it is too much to be held in memory"));
        return true;
    }
    char text[NUMBER_MAX_DIGITS];
    answer(service, message->reply, KIND_BEGUN, bytes_make(text, number_format_u64(text, service->backup->number)));
    logger_write(service->options.logger, LOG_INFO, "backup %u begins: %zu channels", service->backup->number,
                 service->backup->part_count);
    return true;
}

static bool on_next(struct inlet *inlet, const struct inlet_message *message)
{
    struct backup_service *service = container_of(inlet, struct backup_service, next);
    struct backup *backup = service->backup;
    uint64_t number;
    if (!is_allowed(service, message))
        return true;
    if (!backup || number_parse_u64(message->payload, UINT32_MAX, &number) || number != backup->number) {
        answer(service, message->reply, KIND_ERROR, BYTES("there is no such backup, or it was given up"));
    } else if (backup->waiting_count == WAITING_MAX || message->reply.len == 0) {
        answer(service, message->reply, KIND_ERROR, BYTES("too many requests at a time"));
    } else {
        backup->waiting[backup->waiting_count++] = mem_copy_string(message->reply);
        backup->asked_ms = moment_mono_ms(service->now);
    }
    return true;
}

// False: it was told.
static bool is_allowed(struct backup_service *service, const struct inlet_message *message)
{
    bool allowed = admin_access_allows(&service->access, message, service->now);
    if (!allowed)
        answer(service, message->reply, KIND_ERROR, BYTES(ADMIN_ACCESS_TEXT));
    return allowed;
}

static int begin(struct backup_service *service, struct bytes channel)
{
    struct engine *engine = shard_engine(service->options.shard);
    struct stream *only = channel.len ? engine_stream_find(engine, 1, channel) : NULL;
    struct engine_stats stats;
    if (channel.len && !only)
        return ERR_NOT_FOUND;
    engine_stats_get(engine, &stats);
    // A pending message takes a few bytes, a member's texts at most 4 KiB and mostly 100.
    if (stats.pending > META_MAX / 32 || stats.members > META_MAX / 4096 || stats.consumers > META_MAX / 4096)
        return ERR_LIMIT;
    struct backup *backup = service->backup = mem_alloc_zero(sizeof(*backup));
    backup->number = ++service->numbers;
    backup->asked_ms = moment_mono_ms(service->now);
    buffer_init(&backup->meta, SIZE_MAX / 2);
    buffer_init(&backup->answer, SIZE_MAX / 2);
    backup->fetch.done = on_fetched;
    backup_file_put_begin(&backup->meta, &(struct backup_begin){.time_ns = service->now.wall_ns,
                                                                .cluster_id = service->options.cluster_id,
                                                                .channel = channel});
    if (!only && service->options.stan)
        stan_save_clients(service->options.stan, &backup->meta);
    backup->head_end = backup->meta.len;
    backup->parts = mem_alloc_zero((only ? 1 : stats.streams) * sizeof(*backup->parts));
    for (struct stream *stream = engine_stream_next(engine, NULL); stream;
         stream = engine_stream_next(engine, stream)) {
        if (!only || stream == only)
            take_part(service, backup, stream);
    }
    return 0;
}

static void take_part(struct backup_service *service, struct backup *backup, struct stream *stream)
{
    struct stream_state state;
    (void)service;
    struct part *part = &backup->parts[backup->part_count];
    stream_state_get(stream, &state);
    *part = (struct part){
        .stream = state.id, .image = backup->meta.len, .next = state.first_sequence, .last = state.last_sequence};
    if (!engine_image_stream(stream, &backup->meta))
        return; // proposed, and not durable
    backup->part_count++;
    part->consumers = backup->meta.len;
    for (struct consumer *consumer = stream_consumer_next(stream, NULL); consumer;
         consumer = stream_consumer_next(stream, consumer))
        engine_image_consumer(consumer, &backup->meta);
    part->end = backup->meta.len;
}

static void backup_free(struct backup_service *service)
{
    struct backup *backup = service->backup;
    if (!backup)
        return;
    if (backup->fetching)
        store_fetch_cancel(shard_store(service->options.shard), &backup->fetch);
    if (backup->fetched && backup->fetch.result == 0)
        chunk_unref(backup->fetch.chunk);
    for (size_t i = 0; i < backup->waiting_count; i++)
        mem_free(backup->waiting[i]);
    buffer_deinit(&backup->meta);
    buffer_deinit(&backup->answer);
    mem_free(backup->parts);
    mem_free(backup);
    service->backup = NULL;
}

// Fills the answer. True: it can go; false: a read is under way, or this turn has read enough.
static bool work(struct backup_service *service, size_t *reads)
{
    struct backup *backup = service->backup;
    if (backup->fetching || *reads == 0)
        return false;
    if (backup->answer.len == 0)
        must(buffer_append_char(&backup->answer, KIND_DATA) == 0);
    if (backup->sum.frames == 0)
        add_frames(backup, bytes_make(backup->meta.ptr, backup->head_end));
    while (backup->part < backup->part_count && !is_full(service)) {
        struct part *part = &backup->parts[backup->part];
        if (!backup->begun)
            add_frames(backup, bytes_make(backup->meta.ptr + part->image, part->consumers - part->image));
        backup->begun = true;
        if (!add_messages(service, part, reads))
            return false;
        if (part->next <= part->last)
            return true;
        add_frames(backup, bytes_make(backup->meta.ptr + part->consumers, part->end - part->consumers));
        backup->begun = false;
        backup->part++;
    }
    if (backup->part == backup->part_count && !is_full(service)) {
        backup_file_put_end(&backup->answer, &backup->sum);
        backup->answer.ptr[0] = KIND_LAST;
        backup->ended = true;
    }
    return true;
}

// False: it has to wait.
static bool add_messages(struct backup_service *service, struct part *part, size_t *reads)
{
    struct backup *backup = service->backup;
    uint64_t first = engine_first_wanted(shard_engine(service->options.shard), part->stream);
    if (part->next < first && !backup->fetched)
        part->next = first; // dropped meanwhile; UINT64_MAX: all of them
    while (part->next <= part->last && !is_full(service)) {
        if (*reads == 0)
            return false;
        --*reads;
        int result = backup->fetch.result;
        if (!backup->fetched) {
            backup->fetch.stream = part->stream;
            backup->fetch.sequence = part->next;
            result = store_fetch(shard_store(service->options.shard), &backup->fetch);
            backup->fetching = result == ERR_AGAIN;
        }
        backup->fetched = false;
        if (backup->fetching || !add_message(service, part, result))
            return false;
    }
    return true;
}

// False: the backup has ended, because what is there could not be read.
static bool add_message(struct backup_service *service, struct part *part, int result)
{
    struct backup *backup = service->backup;
    if (result == 0) {
        const struct record *record = &backup->fetch.record;
        add_frames(backup, bytes_make(record->whole.ptr, record_padded(record->whole.len)));
        chunk_unref(backup->fetch.chunk);
    }
    if (result == 0 || result == ERR_NOT_FOUND) {
        part->next++;
        return true;
    }
    char text[128];
    int len = snprintf(text, sizeof(text), "message %llu of channel %u cannot be read: %s",
                       (unsigned long long)part->next, part->stream, error_text(result));
    logger_write(service->options.logger, LOG_ERROR, "backup %u ends: %s", backup->number, text);
    for (size_t i = 0; i < backup->waiting_count; i++)
        answer(service, bytes_from_string(backup->waiting[i]), KIND_ERROR, bytes_make(text, (size_t)len));
    backup_free(service);
    return false;
}

static void on_fetched(struct store_fetch *fetch)
{
    struct backup *backup = container_of(fetch, struct backup, fetch);
    backup->fetching = false;
    backup->fetched = true;
}

static void add_frames(struct backup *backup, struct bytes frames)
{
    must(buffer_append(&backup->answer, frames) == 0);
    while (frames.len) {
        size_t size = record_padded(get_u32(frames.ptr + 4));
        backup_sum_add(&backup->sum, bytes_make(frames.ptr, size));
        frames = bytes_skip(frames, size);
    }
}

static bool is_full(const struct backup_service *service)
{
    return service->backup->answer.len >= service->options.answer_bytes;
}

// To the oldest request that waits.
static void send_answer(struct backup_service *service)
{
    struct backup *backup = service->backup;
    char *reply = backup->waiting[0];
    struct bytes content = buffer_bytes(&backup->answer), none = {0};
    broker_publish(service->options.broker, bytes_from_string(reply), none, none, &content, 1);
    mem_free(reply);
    backup->waiting_count--;
    memmove(backup->waiting, backup->waiting + 1, backup->waiting_count * sizeof(backup->waiting[0]));
    buffer_clear(&backup->answer);
    if (!backup->ended)
        return;
    logger_write(service->options.logger, LOG_INFO, "backup %u is whole: %llu frames, %llu bytes", backup->number,
                 (unsigned long long)backup->sum.frames, (unsigned long long)backup->sum.bytes);
    backup_free(service);
}

static void answer(struct backup_service *service, struct bytes reply, char kind, struct bytes text)
{
    const struct bytes parts[] = {bytes_make(&kind, 1), text}, none = {0};
    if (reply.len)
        broker_publish(service->options.broker, reply, none, none, parts, 2);
}
