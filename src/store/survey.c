// SPDX-License-Identifier: Apache-2.0
#include "store/survey.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "env/log.h"
#include "store/prepare.h"

static int look_at_folder(struct survey *survey);
static int look_at_names(struct survey *survey);
static int add_file(struct survey *survey, uint64_t id);
static int read_header(struct survey *survey, struct survey_file *file, struct bytes identity);
static void link_files(struct survey *survey);
static int read_files(struct survey *survey);
static int read_file(struct survey *survey, struct survey_file *file);
static bool take_sidecar(struct survey *survey, struct survey_file *file);
static void note_entry(struct survey *survey, struct survey_place place, const struct scan_item *item);
static void raise_mark(struct survey *survey, uint64_t file, uint64_t position);
static void note_break(struct survey *survey, struct survey_place place);
static int find_end(struct survey *survey);

int survey_open(struct survey *survey, struct disk *disk, const struct vault *vault, struct bytes identity,
                bool read_only, const struct logger *logger)
{
    *survey = (struct survey){.disk = disk, .vault = vault, .logger = logger, .read_only = read_only};
    int error = look_at_folder(survey);
    if (!error && !survey->is_new)
        error = look_at_names(survey);
    for (size_t i = 0; !error && i < survey->count; i++)
        error = read_header(survey, &survey->files[i], identity);
    if (error)
        return error;
    link_files(survey);
    error = read_files(survey);
    return error ? error : find_end(survey);
}

void survey_close(struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++) {
        struct disk_request close = {.op = DISK_CLOSE, .file = survey->files[i].file};
        if (close.file)
            disk_run(survey->disk, &close);
    }
    mem_free(survey->files);
    mem_free(survey->voids);
    mem_free(survey->breaks);
    mem_free(survey->names.names);
    *survey = (struct survey){0};
}

bool survey_is_whole(const struct survey *survey, size_t i)
{
    const struct survey_file *file = &survey->files[i];
    for (size_t v = 0; v < survey->void_count; v++) {
        if (survey->voids[v].place.file > file->id && survey->voids[v].index <= file->sidecar.last_index)
            return false;
    }
    return file->indexed;
}

enum survey_verdict survey_judge(const struct survey *survey, size_t i, const struct scan_item *item)
{
    struct survey_place place = {survey->files[i].id, item->position};
    bool proven = survey_before(place, survey->mark);
    if (item->kind == SCAN_END)
        return proven && item->length && survey->files[i].limit_known ? SURVEY_DAMAGE : SURVEY_NOTHING;
    if (!survey_before(place, survey->end))
        return SURVEY_NOTHING;
    if (item->kind == SCAN_BAD)
        return proven ? SURVEY_DAMAGE : SURVEY_NOTHING;
    for (size_t v = 0; v < survey->void_count; v++) {
        const struct survey_void *rule = &survey->voids[v];
        if (survey_before(place, rule->place) && survey_before(rule->place, survey->end) &&
            item->entry.index >= rule->index)
            return SURVEY_VOID;
    }
    if (proven)
        return item->intact ? SURVEY_COUNTS : SURVEY_DAMAGE;
    return SURVEY_TAIL;
}

static int list(struct survey *survey, const char *path, struct disk_names *ret_names)
{
    struct disk_request request = {.op = DISK_LIST, .path = path};
    int error = disk_run(survey->disk, &request);
    *ret_names = error ? (struct disk_names){0} : request.names;
    return error;
}

// Is there a log, nothing at all, or something of others?
static int look_at_folder(struct survey *survey)
{
    static const char *const harmless[] = {"LOCK", "IMPORTING", "lost+found", "shards", "checkpoint"};
    struct disk_names names;
    int error = list(survey, ".", &names);
    if (error && error != ERR_NOT_FOUND) {
        logger_write(survey->logger, LOG_ERROR, "cannot list the data directory: %s", error_text(error));
        return error;
    }
    survey->is_new = true;
    bool is_filestore = false;
    const char *foreign = NULL, *name = names.names;
    for (size_t i = 0; i < names.count; i++, name += strlen(name) + 1) {
        bool known = false;
        for (size_t h = 0; h < sizeof(harmless) / sizeof(harmless[0]); h++)
            known |= strcmp(name, harmless[h]) == 0;
        if (strcmp(name, "wal") == 0)
            survey->is_new = false;
        else if (!known && name[0] != '.')
            foreign = name;
        is_filestore |= strcmp(name, "server.dat") == 0;
    }
    bool ours = !foreign || !survey->is_new;
    if (!ours && is_filestore)
        logger_write(survey->logger, LOG_ERROR,
                     "the data directory is a store of NATS Streaming (it holds server.dat): it stays as it is, and is "
                     "moved into a new one by `weir import OLD --dir NEW`, or at a server's start by --import OLD "
                     "--dir NEW");
    else if (!ours)
        logger_write(survey->logger, LOG_ERROR,
                     "the data directory holds \"%s\" and no log: it is not Weir's; choose an empty directory",
                     foreign);
    mem_free(names.names);
    return ours ? 0 : ERR_NOT_OURS;
}

static int look_at_names(struct survey *survey)
{
    int error = list(survey, "wal", &survey->names);
    if (error) {
        logger_write(survey->logger, LOG_ERROR, "cannot list wal/: %s", error_text(error));
        return error;
    }
    survey->files = mem_alloc_zero((survey->names.count + 1) * sizeof(*survey->files));
    const char *name = survey->names.names, *foreign = NULL;
    for (size_t i = 0; !error && i < survey->names.count; i++, name += strlen(name) + 1) {
        uint64_t id;
        bool made = log_file_parse_temporary(name, &id) == 0;
        if (made || log_file_parse_name(name, &id) == 0)
            survey->last_id = id > survey->last_id ? id : survey->last_id;
        else if (strcmp(name, &PREPARE_BALLAST[sizeof("wal/") - 1]) == 0)
            survey->ballast = true;
        else
            foreign = name;
        if (!made && log_file_parse_name(name, &id) == 0)
            error = add_file(survey, id);
    }
    if (!error && foreign && survey->last_id == 0 && !survey->ballast) {
        logger_write(survey->logger, LOG_ERROR,
                     "wal/ holds \"%s\" and no log file: it is not Weir's; choose an empty directory", foreign);
        error = ERR_NOT_OURS;
    }
    return error;
}

static int add_file(struct survey *survey, uint64_t id)
{
    char path[LOG_FILE_NAME_MAX];
    log_file_name(id, path);
    struct disk_request open = {.op = DISK_OPEN, .path = path};
    open.flags = survey->read_only ? DISK_FLAG_READ_ONLY : 0;
    int error = disk_run(survey->disk, &open);
    if (!error) {
        struct survey_file *file = &survey->files[survey->count++];
        *file =
            (struct survey_file){.id = id, .file = open.file, .unreadable = UINT64_MAX, .block_bytes = LOG_FILE_BLOCK};
        if (survey->vault)
            file->block_bytes = vault_block(file->file);
        struct disk_request size = {.op = DISK_SIZE, .file = open.file};
        error = disk_run(survey->disk, &size);
        file->size = file->limit = size.transferred;
    }
    if (error)
        logger_write(survey->logger, LOG_ERROR, "%s: cannot open: %s", path, error_text(error));
    return error;
}

static int read_header(struct survey *survey, struct survey_file *file, struct bytes identity)
{
    struct disk_span span = {.ptr = file->block, .len = LOG_FILE_BLOCK};
    struct disk_request read = {.op = DISK_READ, .file = file->file, .spans = &span, .span_count = 1};
    int error = disk_run(survey->disk, &read);
    if (error == ERR_IO) {
        file->unreadable = 0;
        return 0;
    }
    if (error)
        return error;
    memset(file->block + read.transferred, 0, LOG_FILE_BLOCK - (size_t)read.transferred);
    error = log_file_decode(file->block, file->id, &file->header);
    if (error == ERR_NEWER) {
        logger_write(
            survey->logger, LOG_ERROR,
            "wal/%016llx.wal was written by a newer version of Weir: this version cannot read the directory; start "
            "the newer one",
            (unsigned long long)file->id);
        return ERR_NEWER;
    }
    file->header_ok = file->begun = error == 0;
    if (file->header_ok && file->header.mark.cipher && !vault_has_key(survey->vault, file->header.mark.key_id)) {
        char path[LOG_FILE_NAME_MAX];
        log_file_name(file->id, path);
        return vault_refuse(survey->vault, path, file->header.mark.key_id, survey->logger);
    }
    if (file->header_ok && identity.len && !bytes_equal(identity, file->header.identity)) {
        logger_write(
            survey->logger, LOG_ERROR,
            "the data directory belongs to the cluster id \"%.*s\", not to \"%.*s\": start with that id, or with "
            "another directory",
            BYTES_ARG(file->header.identity), BYTES_ARG(identity));
        return ERR_OTHER_CLUSTER;
    }
    return 0;
}

// What the headers say about the files before them.
static void link_files(struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++) {
        const struct survey_file *file = &survey->files[i];
        if (!file->header_ok)
            continue;
        raise_mark(survey, file->header.previous_id, file->header.previous_valid);
        for (size_t before = 0; before < i; before++) {
            struct survey_file *other = &survey->files[before];
            if (other->id > file->header.previous_id)
                other->superseded = true;
            if (other->id == file->header.previous_id && file->header.previous_valid <= other->size) {
                other->limit = file->header.previous_valid;
                other->limit_known = other->begun = true;
            }
        }
    }
}

static int read_files(struct survey *survey)
{
    int error = 0;
    bool began = false;
    for (size_t i = 0; !error && i < survey->count; i++) {
        const struct survey_file *file = &survey->files[i];
        if (file->superseded)
            continue;
        if (!take_sidecar(survey, &survey->files[i]))
            error = read_file(survey, &survey->files[i]);
        if (!began && file->header_ok && file->header.shard_count && survey->first_index)
            survey->first_index = file->header.shards[0].last_index + 1;
        began |= file->begun;
    }
    return error;
}

static int read_file(struct survey *survey, struct survey_file *file)
{
    struct scan scan;
    scan_init(&scan, survey->disk, file->file, file->id, file->block_bytes, file->limit);
    struct scan_item item = {.kind = SCAN_BAD};
    int error = 0;
    while (!error && item.kind != SCAN_END) {
        error = scan_next(&scan, &item);
        if (error)
            break;
        struct survey_place place = {file->id, item.position};
        if (item.kind == SCAN_BATCH)
            raise_mark(survey, item.batch.synced_file, item.batch.synced_position);
        if (item.kind == SCAN_BAD)
            note_break(survey, place);
        if (item.kind == SCAN_ENTRY)
            note_entry(survey, place, &item);
        file->begun |= item.kind == SCAN_BATCH || item.kind == SCAN_ENTRY;
    }
    if (scan.unreadable < file->unreadable)
        file->unreadable = scan.unreadable;
    scan_deinit(&scan);
    if (error)
        logger_write(survey->logger, LOG_ERROR, "wal/%016llx.wal: cannot read: %s", (unsigned long long)file->id,
                     error_text(error));
    return error;
}

// A file before the mark whose entries a sidecar vouches for need not be read: what could be bad in it would be damage, which
// reads find as well. `weir check` reads everything.
static bool take_sidecar(struct survey *survey, struct survey_file *file)
{
    struct sidecar_info *info = &file->sidecar;
    if (survey->read_only || !file->header_ok || !file->limit_known || sidecar_look(survey->disk, file->id, info) ||
        info->header_check != log_file_check(file->block) || info->valid != file->limit ||
        info->first_index <= survey->last_index)
        return false;
    if (!survey->first_index) {
        survey->first_index = info->first_index;
        survey->first = (struct survey_place){file->id, LOG_FILE_BLOCK};
    }
    survey->last_index = info->last_index;
    file->indexed = true;
    return true;
}

static void note_entry(struct survey *survey, struct survey_place place, const struct scan_item *item)
{
    uint64_t index = item->entry.index;
    if (!item->intact || (survey->last_index && index > survey->last_index + 1))
        note_break(survey, place);
    if (survey->last_index && index <= survey->last_index) {
        if (survey->void_count == survey->void_capacity) {
            survey->void_capacity = survey->void_capacity ? 2 * survey->void_capacity : 16;
            survey->voids = mem_realloc(survey->voids, survey->void_capacity * sizeof(*survey->voids));
        }
        survey->voids[survey->void_count++] = (struct survey_void){place, index};
    }
    if (!survey->first_index) {
        survey->first_index = index;
        survey->first = place;
    }
    survey->last_index = index;
}

static void raise_mark(struct survey *survey, uint64_t file, uint64_t position)
{
    struct survey_place place = {file, position};
    if (!survey_before(survey->mark, place))
        return;
    survey->mark = place;
    size_t kept = 0;
    for (size_t i = 0; i < survey->break_count; i++) {
        if (!survey_before(survey->breaks[i], place))
            survey->breaks[kept++] = survey->breaks[i];
    }
    survey->break_count = kept;
}

static void note_break(struct survey *survey, struct survey_place place)
{
    if (survey_before(place, survey->mark))
        return;
    if (survey->break_count == survey->break_capacity) {
        survey->break_capacity = survey->break_capacity ? 2 * survey->break_capacity : 16;
        survey->breaks = mem_realloc(survey->breaks, survey->break_capacity * sizeof(*survey->breaks));
    }
    survey->breaks[survey->break_count++] = place;
}

// A place the disk cannot read may hold something acknowledged, unless it is known to be damage.
static int find_end(struct survey *survey)
{
    survey->end = survey->break_count ? survey->breaks[0] : (struct survey_place){UINT64_MAX, 0};
    if (!survey_before(survey->first, survey->end))
        survey->first_index = 0;
    for (size_t i = 0; i < survey->count; i++) {
        const struct survey_file *file = &survey->files[i];
        struct survey_place place = {file->id, file->unreadable};
        if (file->superseded || file->unreadable == UINT64_MAX || survey_before(place, survey->mark))
            continue;
        logger_write(
            survey->logger, LOG_ERROR,
            "wal/%016llx.wal: the disk cannot read at %llu, where the newest messages may be: repair the disk, or "
            "copy the directory to another one",
            (unsigned long long)file->id, (unsigned long long)file->unreadable);
        return ERR_IO;
    }
    return 0;
}
