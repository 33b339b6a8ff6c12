// SPDX-License-Identifier: Apache-2.0
// tidy: prefix store
// `weir check DIR`: what a directory holds and what is wrong with it, in lines for people. Reads everything that recovery
// would read, judges it the same way (survey.h), and changes nothing.
#include <stdio.h>

#include "base/map_u64.h"
#include "base/memory.h"
#include "base/must.h"
#include "env/log.h"
#include "store/parts.h"
#include "store/salvage.h"
#include "store/sidecar.h"
#include "store/survey.h"
#include "store/vault.h"

enum { KINDS = 0x60, STREAMS_MAX = 1 << 20 };

struct stream_count {
    uint64_t messages, first, last;
};

struct check {
    void (*print)(void *owner, const char *line);
    void *owner;
    struct survey survey;
    uint64_t problems;
    uint64_t kinds[KINDS], other_kinds; // records, by the low bits of their kind
    struct map_u64 streams;             // id -> struct stream_count, owned
    uint64_t last_index;                // of the entry looked at last
    uint64_t entries, first_entry;      // of the file being looked at
    uint64_t records;
};

static void check_log(void *owner, enum log_level level, const char *format, va_list arguments);
static int check_files(struct check *check);
static int check_file(struct check *check, size_t i);
static void check_sidecars(struct check *check);
static void check_start(struct check *check, struct disk *disk, const struct logger *logger);
static int ignore_image(void *owner, const struct record *image);
static uint64_t want_all(void *owner, uint32_t stream);
static void check_item(struct check *check, size_t i, const struct scan_item *item);
static void count_records(struct check *check, const struct scan_item *item);
static void count_message(struct check *check, const struct record *record);
static void print_file(struct check *check, const struct survey_file *file);
static void print_totals(struct check *check);
static void print_locked(struct check *check);
static void problem(struct check *check, uint64_t file, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void say(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));

int store_check(struct disk *disk, const struct store_encryption *encryption,
                void (*print)(void *owner, const char *line), void *owner)
{
    struct check *check = mem_alloc_zero(sizeof(*check));
    check->print = print;
    check->owner = owner;
    map_u64_init(&check->streams, STREAMS_MAX);
    struct logger logger = {.owner = check, .write = check_log};
    struct vault *vault = encryption && encryption->key.len ? vault_new(disk, encryption, &logger) : NULL;
    disk = vault ? vault_disk(vault) : disk;
    int error = survey_open(&check->survey, disk, vault, bytes_make(NULL, 0), true, &logger);
    if (!error)
        error = vault_check_files(vault, disk, &logger);
    if (error == ERR_KEY)
        print_locked(check);
    if (!error && check->survey.is_new) {
        say(check, "there is no log here");
        error = ERR_NOT_OURS;
    }
    if (!error)
        error = check_files(check);
    if (!error) {
        print_totals(check);
        check_start(check, disk, &logger);
        int others = parts_check(disk, print, owner);
        error = others < 0 ? others : 0;
        check->problems += others > 0 ? (uint64_t)others : 0;
    }
    check->problems += vault_damaged(vault);
    if (!error)
        say(check, check->problems ? "%llu problems" : "no problems", (unsigned long long)check->problems);
    int result = error ? error : check->problems > INT32_MAX ? INT32_MAX : (int)check->problems;
    struct stream_count *stream;
    for (size_t at = 0; (stream = map_u64_next(&check->streams, &at, NULL));)
        mem_free(stream);
    map_u64_deinit(&check->streams);
    survey_close(&check->survey);
    vault_free(vault);
    mem_free(check);
    return result;
}

// What survey.c has to say to an operator, as a line.
static void check_log(void *owner, enum log_level level, const char *format, va_list arguments)
{
    struct check *check = owner;
    char line[512];
    vsnprintf(line, sizeof(line), format, arguments);
    check->print(check->owner, line);
}

static int check_files(struct check *check)
{
    int error = 0;
    bool named = false;
    for (size_t i = 0; !error && i < check->survey.count; i++) {
        const struct survey_file *file = &check->survey.files[i];
        if (file->header_ok && !named) {
            named = true;
            say(check, "cluster id \"%.*s\", format %u, feature level %u", BYTES_ARG(file->header.identity),
                file->header.format, file->header.feature_level);
        }
        if (file->begun && !file->superseded)
            error = check_file(check, i);
        else
            print_file(check, file);
    }
    check_sidecars(check);
    if (check->survey.ballast)
        say(check, "wal/ballast: space kept for a full disk");
    return error;
}

// One that is bad is no problem: the next start reads the log file instead.
static void check_sidecars(struct check *check)
{
    struct survey *survey = &check->survey;
    const char *name = survey->names.names;
    for (size_t i = 0; i < survey->names.count; i++, name += strlen(name) + 1) {
        uint64_t id;
        bool temporary, fits = false;
        struct sidecar_info info;
        char *runs, *ids;
        if (sidecar_parse_name(name, &id, &temporary) != 0)
            continue;
        int error = temporary ? ERR_CORRUPT : sidecar_look(survey->disk, id, &info);
        for (size_t f = 0; !error && f < survey->count; f++) {
            const struct survey_file *file = &survey->files[f];
            fits |= file->id == id && file->header_ok && log_file_check(file->block) == info.header_check &&
                    file->limit_known && file->limit == info.valid;
        }
        if (fits && !(error = sidecar_read(survey->disk, &info, true, &runs, &ids))) {
            mem_free(runs);
            mem_free(ids);
            say(check, "wal/%s: sidecar, entries %llu to %llu, %llu messages, %llu bytes of dedupe ids", name,
                (unsigned long long)info.first_index, (unsigned long long)info.last_index,
                (unsigned long long)info.messages, (unsigned long long)info.ids_bytes);
        } else {
            say(check, "wal/%s: sidecar that is not used (%s)", name,
                error ? error_text(error) : "of another log file");
        }
    }
}

// What a start would make of the checkpoints, and whether log and segments reach as far as they say. Loads them as recovery does, for
// nobody.
static void check_start(struct check *check, struct disk *disk, const struct logger *logger)
{
    struct store_context context = {
        .disk = disk,
        .handler = {.owner = check, .restore = ignore_image, .first_wanted = want_all},
    };
    store_options_default(&context.options);
    context.options.logger = logger;
    context.options.identity = (struct bytes){0}; // anybody's
    struct parts *parts = parts_new(&context);
    struct parts_loaded loaded = {0};
    if (parts_load(parts, check->survey.first_index, &loaded) != 0) {
        say(check, "DAMAGE the server would refuse to start from this directory");
        check->problems++;
    } else if (check->survey.first_index > loaded.rolled + 1) {
        say(check, "DAMAGE entries %llu to %llu are missing between segments and log",
            (unsigned long long)loaded.rolled + 1, (unsigned long long)check->survey.first_index - 1);
        check->problems++;
    } else if (loaded.end > check->last_index) {
        say(check, "DAMAGE entries %llu to %llu are missing at the end of the log",
            (unsigned long long)check->last_index + 1, (unsigned long long)loaded.end);
        check->problems++;
    }
    check->problems += context.damaged_areas;
    parts_free(parts);
}

static int ignore_image(void *owner, const struct record *image)
{
    (void)owner;
    (void)image;
    return 0;
}

static uint64_t want_all(void *owner, uint32_t stream)
{
    (void)owner;
    (void)stream;
    return 0;
}

static int check_file(struct check *check, size_t i)
{
    const struct survey_file *file = &check->survey.files[i];
    check->entries = check->first_entry = check->records = 0;
    struct scan scan;
    scan_init(&scan, check->survey.disk, file->file, file->id, file->block_bytes, file->limit);
    struct scan_item item = {.kind = SCAN_BAD};
    int error = 0;
    while (!error && item.kind != SCAN_END) {
        error = scan_next(&scan, &item);
        if (!error && item.kind != SCAN_BATCH)
            check_item(check, i, &item);
    }
    scan_deinit(&scan);
    if (!file->header_ok)
        problem(check, file->id, 0, "the file's header is damaged");
    if (!error)
        print_file(check, file);
    return error;
}

static void check_item(struct check *check, size_t i, const struct scan_item *item)
{
    uint64_t id = check->survey.files[i].id;
    enum survey_verdict verdict = survey_judge(&check->survey, i, item);
    if (verdict == SURVEY_NOTHING || verdict == SURVEY_VOID)
        return;
    if (item->kind != SCAN_ENTRY) {
        problem(check, id, item->position, "%llu bytes are damaged", (unsigned long long)item->length);
        return;
    }
    uint64_t index = item->entry.index;
    if (check->last_index && index > check->last_index + 1)
        problem(check, id, item->position, "entries %llu to %llu of shard %u are missing before this place",
                (unsigned long long)check->last_index + 1, (unsigned long long)index - 1, item->entry.shard);
    if (verdict == SURVEY_DAMAGE)
        problem(check, id, item->position, "entry %llu of shard %u is damaged", (unsigned long long)index,
                item->entry.shard);
    check->last_index = index;
    check->first_entry = check->first_entry ? check->first_entry : index;
    check->entries++;
    if (verdict != SURVEY_DAMAGE)
        count_records(check, item);
}

static void count_records(struct check *check, const struct scan_item *item)
{
    struct bytes rest = item->records;
    while (rest.len) {
        struct record record;
        size_t used;
        if (record_get(rest, true, &record, &used) != 0) {
            problem(check, item->entry.file, item->position, "entry %llu has a record that does not verify",
                    (unsigned long long)item->entry.index);
            return;
        }
        check->records++;
        uint16_t low = record.kind & (uint16_t)~RECORD_MUST_UNDERSTAND;
        if (low < KINDS)
            check->kinds[low]++;
        else
            check->other_kinds++;
        if (record.kind == RECORD_MESSAGE && record.whole.len >= RECORD_MESSAGE_SIZE)
            count_message(check, &record);
        rest = bytes_skip(rest, used);
    }
}

static void count_message(struct check *check, const struct record *record)
{
    uint64_t sequence = get_u64(record->whole.ptr + 16);
    struct stream_count *stream = map_u64_find(&check->streams, record->object);
    if (!stream) {
        if (map_u64_count(&check->streams) == STREAMS_MAX)
            return;
        stream = mem_alloc_zero(sizeof(*stream));
        stream->first = sequence;
        must(map_u64_add(&check->streams, record->object, stream) == 0);
    }
    stream->messages++;
    stream->last = sequence;
}

static void print_file(struct check *check, const struct survey_file *file)
{
    unsigned long long id = file->id, size = file->size, limit = file->limit;
    if (file->superseded)
        say(check, "wal/%016llx.wal: %llu bytes, superseded: its entries were copied to a later file", id, size);
    else if (!file->begun)
        say(check, "wal/%016llx.wal: %llu bytes, spare", id, size);
    else if (!check->entries)
        say(check, "wal/%016llx.wal: %llu bytes, no entries", id, size);
    else
        say(check, "wal/%016llx.wal: %llu bytes%s, entries %llu to %llu, %llu records", id,
            file->limit_known ? limit : size, file->limit_known ? "" : " (the newest)",
            (unsigned long long)check->first_entry, (unsigned long long)check->last_index,
            (unsigned long long)check->records);
}

static void print_totals(struct check *check)
{
    for (unsigned low = 0; low < KINDS; low++) {
        if (check->kinds[low])
            say(check, "records of kind 0x%04x (%s): %llu", low | RECORD_MUST_UNDERSTAND,
                salvage_kind_name((uint16_t)(low | RECORD_MUST_UNDERSTAND)), (unsigned long long)check->kinds[low]);
    }
    if (check->other_kinds)
        say(check, "records of other kinds: %llu", (unsigned long long)check->other_kinds);
    size_t at = 0;
    uint64_t id;
    struct stream_count *stream;
    while ((stream = map_u64_next(&check->streams, &at, &id)))
        say(check, "stream %llu: %llu messages in the log, sequences %llu to %llu", (unsigned long long)id,
            (unsigned long long)stream->messages, (unsigned long long)stream->first, (unsigned long long)stream->last);
    say(check, "proven synced up to file %llu, byte %llu", (unsigned long long)check->survey.mark.file,
        (unsigned long long)check->survey.mark.position);
}

// Without the key: what the headers say.
static void print_locked(struct check *check)
{
    static const char *const ciphers[] = {"clear", "AES-256-GCM", "ChaCha20-Poly1305"};
    for (size_t i = 0; i < check->survey.count; i++) {
        const struct survey_file *file = &check->survey.files[i];
        if (file->header_ok)
            say(check, "wal/%016llx.wal: %llu bytes, cluster id \"%.*s\", %s, key id %016llx",
                (unsigned long long)file->id, (unsigned long long)file->size, BYTES_ARG(file->header.identity),
                ciphers[file->header.mark.cipher], (unsigned long long)file->header.mark.key_id);
        else
            say(check, "wal/%016llx.wal: %llu bytes, not looked at", (unsigned long long)file->id,
                (unsigned long long)file->size);
    }
}

static void problem(struct check *check, uint64_t file, uint64_t offset, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    say(check, "DAMAGE wal/%016llx.wal at %llu: %s", (unsigned long long)file, (unsigned long long)offset, text);
    check->problems++;
}

static void say(struct check *check, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    check->print(check->owner, line);
}
