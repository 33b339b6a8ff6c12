// SPDX-License-Identifier: Apache-2.0
#include "admin/backup.h"

#include <stdio.h>

#include "admin/backup_file.h"
#include "base/map_u64.h"
#include "base/memory.h"
#include "base/must.h"

enum {
    GATHER_BYTES = 256 << 10, // of images in a piece, and the one that goes beyond; as a checkpoint does it
    GATHER_LOOKS = 4096,      // streams, consumers and clients in a piece
    GATHERED_MAX = 512 << 20, // bytes of consumers and clients
    READS = 1024,             // of messages in a piece
    MISSING_LOGGED = 10,
};

enum phase { GATHERING_CONSUMERS, GATHERING_CLIENTS, GIVING, WHOLE, FAILED };

// The consumers of a stream, in `gathered`.
struct crowd {
    uint32_t stream; // id
    size_t begin, end;
};

// One channel of the backup.
struct part {
    uint32_t stream;        // id
    struct crowd consumers; // which are not given yet
    uint64_t next, last;    // sequences
};

struct backup {
    struct backup_options options;
    struct engine *engine;
    enum phase phase;
    uint32_t only;             // id of the stream; 0: all
    struct buffer head;        // frames: BEGIN, clients
    struct buffer gathered;    // frames: consumers
    struct buffer crowds;      // struct crowd, in order of stream
    uint32_t stream, consumer; // gathered last: ids
    struct buffer clients;     // numbers, u32
    size_t client;             // gathered next: offset in `clients`
    struct part *parts;        // owned
    size_t part_count, part;
    bool begun; // `part`: its image was given
    struct buffer out;
    size_t dropped; // bytes of `out`
    struct backup_sum sum;
    uint64_t missing;
    struct store_fetch fetch;
    bool fetching; // the store is reading it
    bool fetched;  // it has, and nobody took it yet
    char error[256];
};

static bool gather_consumers(struct backup *backup);
static bool gather_stream(struct backup *backup, struct stream *stream, size_t end, int *looks);
static bool gather_clients(struct backup *backup);
static void note_ends(struct backup *backup);
static enum backup_result give(struct backup *backup, size_t want);
static bool give_image(struct backup *backup, struct part *part);
static enum backup_result give_messages(struct backup *backup, struct part *part, size_t want, int *reads);
static bool give_message(struct backup *backup, struct part *part, int result);
static void give_frames(struct backup *backup, struct buffer *from, size_t *at, size_t end, size_t want);
static void give_frame(struct backup *backup, struct bytes frame);
static void miss(struct backup *backup, const struct part *part, uint64_t last);
static void on_fetched(struct store_fetch *fetch);
static size_t ready(const struct backup *backup);

int backup_new(const struct backup_options *options, struct backup **ret_backup)
{
    struct engine *engine = shard_engine(options->shard);
    struct stream *only = options->channel.len ? engine_stream_find(engine, 1, options->channel) : NULL;
    if (options->channel.len && !only)
        return ERR_NOT_FOUND;
    struct backup *backup = mem_alloc_zero(sizeof(*backup));
    backup->options = *options;
    backup->engine = engine;
    struct buffer *buffers[] = {&backup->head, &backup->gathered, &backup->crowds, &backup->clients, &backup->out};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        buffer_init(buffers[i], SIZE_MAX / 2);
    backup->fetch.done = on_fetched;
    backup_file_put_begin(&backup->head, &(struct backup_begin){.time_ns = options->time_ns,
                                                                .cluster_id = options->cluster_id,
                                                                .channel = options->channel});
    if (only) {
        struct stream_state state;
        stream_state_get(only, &state);
        backup->only = state.id;
        backup->stream = state.id - 1;
    }
    *ret_backup = backup;
    return 0;
}

void backup_free(struct backup *backup)
{
    if (!backup)
        return;
    if (backup->fetching)
        store_fetch_cancel(shard_store(backup->options.shard), &backup->fetch);
    if (backup->fetched && backup->fetch.result == 0)
        chunk_unref(backup->fetch.chunk);
    buffer_deinit(&backup->head);
    buffer_deinit(&backup->gathered);
    buffer_deinit(&backup->crowds);
    buffer_deinit(&backup->clients);
    buffer_deinit(&backup->out);
    mem_free(backup->parts);
    mem_free(backup);
}

enum backup_result backup_work(struct backup *backup, size_t want)
{
    enum backup_result result = BACKUP_READY;
    switch (backup->phase) {
    case GATHERING_CONSUMERS:
        if (gather_consumers(backup))
            backup->phase = GATHERING_CLIENTS;
        result = BACKUP_BUSY;
        break;
    case GATHERING_CLIENTS:
        if (gather_clients(backup))
            note_ends(backup);
        result = BACKUP_BUSY;
        break;
    case GIVING: result = give(backup, want); break;
    case WHOLE:
    case FAILED: break;
    }
    if (backup->gathered.len + backup->head.len > GATHERED_MAX) {
        backup->phase = FAILED;
        snprintf(backup->error, sizeof(backup->error), "what would be in it is too much to be held in memory");
    }
    return backup->phase == FAILED ? BACKUP_FAILED : result;
}

struct bytes backup_bytes(const struct backup *backup)
{
    return bytes_skip(buffer_bytes(&backup->out), backup->dropped);
}

void backup_drop(struct backup *backup, size_t count)
{
    must(count <= ready(backup));
    backup->dropped += count;
    if (backup->dropped < backup->out.len)
        return;
    buffer_clear(&backup->out);
    backup->dropped = 0;
}

bool backup_is_whole(const struct backup *backup)
{
    return backup->phase == WHOLE;
}

const char *backup_error(const struct backup *backup)
{
    return backup->error;
}

void backup_stats_get(const struct backup *backup, struct backup_stats *ret_stats)
{
    *ret_stats = (struct backup_stats){
        .channels = backup->part,
        .frames = backup->sum.frames,
        .bytes = backup->sum.bytes,
        .missing = backup->missing,
    };
}

// True: all of them. Streams that came meanwhile are behind the others.
static bool gather_consumers(struct backup *backup)
{
    size_t end = backup->gathered.len + GATHER_BYTES;
    int looks = GATHER_LOOKS;
    while (looks > 0 && backup->gathered.len < end) {
        // One whose consumers were not all looked at comes again.
        struct stream *stream = backup->consumer ? engine_stream_by_id(backup->engine, backup->stream)
                                                 : engine_stream_after(backup->engine, backup->stream);
        struct stream_state state;
        looks--;
        if (stream) {
            stream_state_get(stream, &state);
            backup->stream = state.id;
        }
        bool is_over = !backup->consumer && (!stream || (backup->only && state.id != backup->only));
        if (is_over)
            return true;
        if (!stream || gather_stream(backup, stream, end, &looks))
            backup->consumer = 0;
    }
    return false;
}

// True: all of its consumers.
static bool gather_stream(struct backup *backup, struct stream *stream, size_t end, int *looks)
{
    if (backup->consumer == 0) {
        struct crowd crowd = {backup->stream, backup->gathered.len, backup->gathered.len};
        must(buffer_append(&backup->crowds, bytes_make((const char *)&crowd, sizeof(crowd))) == 0);
    }
    struct consumer *consumer = engine_consumer_after(backup->engine, stream, backup->consumer);
    for (; consumer && *looks > 0 && backup->gathered.len < end; consumer = stream_consumer_next(stream, consumer)) {
        struct consumer_state state;
        consumer_state_get(consumer, &state);
        backup->consumer = state.id;
        engine_image_consumer(consumer, &backup->gathered);
        --*looks;
    }
    ((struct crowd *)(void *)(backup->crowds.ptr + backup->crowds.len))[-1].end = backup->gathered.len;
    return !consumer;
}

// True: all of them.
static bool gather_clients(struct backup *backup)
{
    const struct stan *stan = backup->only ? NULL : backup->options.stan;
    size_t end = backup->head.len + GATHER_BYTES;
    if (stan && backup->client == 0)
        stan_list_clients(stan, &backup->clients);
    while (backup->client < backup->clients.len && backup->head.len < end) {
        stan_save_client(stan, get_u32(backup->clients.ptr + backup->client), &backup->head);
        backup->client += 4;
    }
    return backup->client == backup->clients.len;
}

// The moment: where every channel ends that is there now.
static void note_ends(struct backup *backup)
{
    struct engine_stats stats;
    engine_stats_get(backup->engine, &stats);
    backup->parts = mem_alloc_zero((stats.streams + 1) * sizeof(*backup->parts));
    const struct crowd *crowd = (const struct crowd *)(const void *)backup->crowds.ptr;
    const struct crowd *end = crowd + backup->crowds.len / sizeof(*crowd);
    for (struct stream *stream = engine_stream_next(backup->engine, NULL); stream;
         stream = engine_stream_next(backup->engine, stream)) {
        struct stream_state state;
        stream_state_get(stream, &state);
        if (backup->only && state.id != backup->only)
            continue;
        while (crowd < end && crowd->stream < state.id)
            crowd++;
        struct part *part = &backup->parts[backup->part_count++];
        *part = (struct part){.stream = state.id, .next = state.first_sequence, .last = state.last_sequence};
        if (crowd < end && crowd->stream == state.id)
            part->consumers = *crowd;
    }
    backup->phase = GIVING;
}

static enum backup_result give(struct backup *backup, size_t want)
{
    int reads = READS;
    size_t head = backup->sum.bytes;
    if (head < backup->head.len)
        give_frames(backup, &backup->head, &head, backup->head.len, want);
    while (backup->part < backup->part_count && ready(backup) < want) {
        struct part *part = &backup->parts[backup->part];
        if (!backup->begun && !give_image(backup, part)) {
            backup->part++; // it has gone
            continue;
        }
        backup->begun = true;
        enum backup_result result = give_messages(backup, part, want, &reads);
        if (result != BACKUP_READY)
            return result;
        if (part->next > part->last)
            give_frames(backup, &backup->gathered, &part->consumers.begin, part->consumers.end, want);
        if (part->next > part->last && part->consumers.begin == part->consumers.end) {
            backup->begun = false;
            backup->part++;
        }
        if (--reads <= 0)
            return ready(backup) < want ? BACKUP_BUSY : BACKUP_READY;
    }
    if (backup->part == backup->part_count && ready(backup) < want) {
        backup_file_put_end(&backup->out, &backup->sum, backup->missing);
        backup->phase = WHOLE;
    }
    return BACKUP_READY;
}

static bool give_image(struct backup *backup, struct part *part)
{
    struct stream *stream = engine_stream_by_id(backup->engine, part->stream);
    struct buffer image;
    buffer_init(&image, SIZE_MAX / 2);
    bool is_there = stream && engine_image_stream(stream, part->last, &image);
    size_t at = 0;
    if (is_there)
        give_frames(backup, &image, &at, image.len, SIZE_MAX);
    buffer_deinit(&image);
    return is_there;
}

// READY: all of them, or as many bytes as are wanted.
static enum backup_result give_messages(struct backup *backup, struct part *part, size_t want, int *reads)
{
    if (backup->fetching)
        return BACKUP_WAITS;
    uint64_t first = engine_first_wanted(backup->engine, part->stream);
    if (part->next < first && !backup->fetched)
        part->next = first; // dropped meanwhile; UINT64_MAX: all of them
    while (part->next <= part->last && ready(backup) < want) {
        if (--*reads <= 0)
            return BACKUP_BUSY;
        int result = backup->fetch.result;
        if (!backup->fetched) {
            backup->fetch.stream = part->stream;
            backup->fetch.sequence = part->next;
            result = store_fetch(shard_store(backup->options.shard), &backup->fetch);
            backup->fetching = result == ERR_AGAIN;
        }
        backup->fetched = false;
        if (backup->fetching)
            return BACKUP_WAITS;
        if (!give_message(backup, part, result))
            return BACKUP_FAILED;
    }
    return BACKUP_READY;
}

// False: it cannot be read, and that is the end.
static bool give_message(struct backup *backup, struct part *part, int result)
{
    const struct store_fetch *fetch = &backup->fetch;
    uint64_t next = part->next + 1;
    if (result == 0) {
        give_frame(backup, bytes_make(fetch->record.whole.ptr, record_padded(fetch->record.whole.len)));
        chunk_unref(fetch->chunk);
    } else if (result == ERR_NOT_FOUND || (result == ERR_CORRUPT && shard_is_gap(backup->options.shard, fetch))) {
        next = fetch->next;
    } else if (result == ERR_CORRUPT && backup->options.keep_going) {
        next = fetch->next <= part->last ? fetch->next : part->last + 1;
        miss(backup, part, next - 1);
    } else {
        struct stream *stream = engine_stream_by_id(backup->engine, part->stream);
        struct bytes name = stream ? stream_name(stream) : BYTES("?");
        snprintf(backup->error, sizeof(backup->error), "message %llu of channel %.*s cannot be read: %s%s",
                 (unsigned long long)part->next, (int)(name.len < 100 ? name.len : 100), name.ptr, error_text(result),
                 result == ERR_CORRUPT ? "; --keep-going passes over such messages" : "");
        backup->phase = FAILED;
        return false;
    }
    part->next = next;
    return true;
}

// From the next one to `last`.
static void miss(struct backup *backup, const struct part *part, uint64_t last)
{
    struct stream *stream = engine_stream_by_id(backup->engine, part->stream);
    struct bytes name = stream ? stream_name(stream) : BYTES("?");
    uint64_t before = backup->missing;
    backup->missing += last - part->next + 1;
    if (before >= MISSING_LOGGED)
        return;
    const char *more = backup->missing >= MISSING_LOGGED ? " (more of these are only counted)" : "";
    if (last == part->next)
        logger_write(backup->options.logger, LOG_WARN,
                     "a backup lacks message %llu of channel %.*s, which cannot be read%s", (unsigned long long)last,
                     BYTES_ARG(name), more);
    else
        logger_write(backup->options.logger, LOG_WARN,
                     "a backup lacks messages %llu to %llu of channel %.*s, which cannot be read%s",
                     (unsigned long long)part->next, (unsigned long long)last, BYTES_ARG(name), more);
}

// From *at on, until there are as many bytes as are wanted.
static void give_frames(struct backup *backup, struct buffer *from, size_t *at, size_t end, size_t want)
{
    while (*at < end && ready(backup) < want) {
        size_t size = record_padded(get_u32(from->ptr + *at + 4));
        give_frame(backup, bytes_make(from->ptr + *at, size));
        *at += size;
    }
}

static void give_frame(struct backup *backup, struct bytes frame)
{
    must(buffer_append(&backup->out, frame) == 0);
    backup_sum_add(&backup->sum, frame);
}

static void on_fetched(struct store_fetch *fetch)
{
    struct backup *backup = container_of(fetch, struct backup, fetch);
    backup->fetching = false;
    backup->fetched = true;
}

static size_t ready(const struct backup *backup)
{
    return backup->out.len - backup->dropped;
}
