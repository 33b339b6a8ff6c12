// SPDX-License-Identifier: Apache-2.0
// What the files of a directory's log say when all of them are looked at: which of them hold something, up to where
// everything was proven synced, and up to where what is there counts. recovery.c acts on it, check.c prints it.
// FORMAT.md, "Reading the log", has the reasons. With disk_run; changes nothing.
#pragma once

#include "store/log_file.h"
#include "store/scan.h"
#include "store/sidecar.h"
#include "store/vault.h"

struct logger;

// A place in the log. Files in order of id.
struct survey_place {
    uint64_t file;
    uint64_t position;
};

struct survey_file {
    uint64_t id;
    uint64_t size;
    uint32_t block_bytes; // bytes of content in a block
    uint64_t limit;       // no further than this: what the next file's header says, or the size
    bool limit_known;     // the former
    bool header_ok;       // a valid header of its own id
    bool begun;           // the header is valid, or something in it is
    bool superseded;      // a later file's header says that nothing of it counts
    uint64_t tail_end;    // set by recovery: end of what has to be copied from it; 0: nothing has
    uint64_t unreadable;  // lowest position the disk could not read; UINT64_MAX: none
    bool indexed; // there is a sidecar that fits to it, and nothing speaks against taking its word for the entries
    struct sidecar_info sidecar; // if indexed
    struct disk_file *file;      // owned until somebody takes it (NULL then)
    char block[LOG_FILE_BLOCK];
    struct log_file_header header; // if header_ok; identity points into `block`
};

// An entry whose index was used before: what came before this place with such an index, or a greater one, is void.
struct survey_void {
    struct survey_place place;
    uint64_t index;
};

struct survey {
    struct disk *disk;           // borrowed
    const struct vault *vault;   // borrowed: whose disk it is; NULL: nothing encrypted can be read
    const struct logger *logger; // borrowed
    bool read_only;
    bool is_new;               // there is no log here, and nothing of others either
    struct survey_file *files; // owned, by id
    size_t count;
    struct disk_names names;   // owned: of the folder wal/
    uint64_t last_id;          // the highest id in any name
    bool ballast;              // there is a ballast file
    struct survey_place mark;  // everything before was proven synced
    struct survey_place end;   // nothing from here on counts
    uint64_t first_index;      // of shard 1: where the log begins, as its oldest file says; 0: nothing counts
    struct survey_place first; // the first entry found
    uint64_t last_index;       // of the entry looked at last
    struct survey_void *voids; // owned
    size_t void_count, void_capacity;
    struct survey_place *breaks; // owned: where something above the mark is bad or missing, in order
    size_t break_count, break_capacity;
};

enum survey_verdict {
    SURVEY_COUNTS,  // proven and valid
    SURVEY_TAIL,    // valid, not proven: has to be copied before it counts
    SURVEY_VOID,    // superseded by a later entry
    SURVEY_DAMAGE,  // was proven, and is not valid now
    SURVEY_NOTHING, // torn tail, end of a file
};

// `identity` empty: whatever it is. `read_only`: the files are opened so. Errors: ERR_NOT_OURS, ERR_OTHER_CLUSTER, ERR_KEY,
// ERR_NEWER, ERR_IO, each logged with what to do.
int survey_open(struct survey *survey, struct disk *disk, const struct vault *vault, struct bytes identity,
                bool read_only, const struct logger *logger) MUST_USE;
// Closes what was not taken. Also after survey_open() failed.
void survey_close(struct survey *survey);
// Do all entries of files[i], which is `indexed`, count?
bool survey_is_whole(const struct survey *survey, size_t i);
// What an item found in files[i] is. Not for SCAN_BATCH.
enum survey_verdict survey_judge(const struct survey *survey, size_t i, const struct scan_item *item);

static inline const struct survey_file *survey_find(const struct survey *survey, uint64_t id)
{
    for (size_t i = 0; i < survey->count; i++) {
        if (survey->files[i].id == id)
            return &survey->files[i];
    }
    return NULL;
}

static inline bool survey_before(struct survey_place a, struct survey_place b)
{
    return a.file < b.file || (a.file == b.file && a.position < b.position);
}
