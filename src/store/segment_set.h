// SPDX-License-Identifier: Apache-2.0
// The segments in force, in memory: which extent of which segment holds a sequence of a stream, which segments still have a
// message that is wanted, and the handles of those open for reading. What is here is exactly what the manifest says.
//
//   LIVE ──► DEAD      nothing in it is wanted: the next checkpoint says so
//   DEAD ──► (gone)    both kept generations say so: the file is removed, the next checkpoint says that too
//
// A segment is referenced by the set and by reads under way. Embedded; one thread.
#pragma once

#include "base/list.h"
#include "base/map_u64.h"
#include "store/segment.h"

enum segment_state { SEGMENT_LIVE, SEGMENT_DEAD, SEGMENT_GONE };

struct segment {
    struct list link;      // list link: segment_set.all
    struct list open_link; // list link: segment_set.open, while `file` is set
    enum segment_state state;
    bool fresh;      // not in a checkpoint of this chain yet
    bool died;       // nor is its death
    bool missing;    // the file was not there at start: its messages are quarantined
    bool moved;      // its dedupe ids are in another one
    bool unreadable; // they cannot be moved
    uint32_t refs;
    uint32_t live_extents;
    uint64_t stamp; // number of the checkpoint that says it is DEAD
    struct segment_info info;
    struct segment_extent *extents; // owned
    struct disk_file *file;         // owned; NULL while closed
};

struct segment_set {
    struct store_context *context; // borrowed
    struct list all;
    struct list open; // used longest ago first
    size_t open_count;
    struct map_u64 streams; // id → struct segment_stream, owned
    struct map_u64 by_id;   // id → struct segment
    uint64_t *gone;         // owned: ids whose removal no checkpoint of this chain says yet
    size_t gone_count;
    size_t gone_cap;
    uint64_t next_id;
    uint64_t count; // of `all`
    uint64_t file_bytes;
    uint64_t bytes; // memory in use
};

void segment_set_init(struct segment_set *set, struct store_context *context);
// Closes what is open with disk_run().
void segment_set_deinit(struct segment_set *set);

// Takes over `extents` (info->extent_count of them). `all` is in order of the last index. Sequences of a stream are above those of all segments added before, or
// the extent is taken for damage: not served, never taken for dead. ERR_EXISTS when the id is known.
int segment_set_add(struct segment_set *set, const struct segment_info *info, struct segment_extent *extents,
                    struct segment **ret_segment) MUST_USE;
struct segment *segment_set_get(const struct segment_set *set, uint64_t id);

// The extent that may hold the sequence, or else the first behind it. False when there is none.
bool segment_set_find(const struct segment_set *set, uint32_t stream, uint64_t sequence, struct segment **ret_segment,
                      const struct segment_extent **ret_extent);
// The last extent whose first time is before time_ns among those that reach up to `sequence` or beyond. False when there
// is none.
bool segment_set_seek(const struct segment_set *set, uint32_t stream, uint64_t sequence, uint64_t time_ns,
                      struct segment **ret_segment, const struct segment_extent **ret_extent);

// Messages of the stream below `first` are not wanted any more; UINT64_MAX: none is.
void segment_set_trim(struct segment_set *set, uint32_t stream, uint64_t first);
// Calls trim for every stream with what the handler wants: after recovery.
void segment_set_settle(struct segment_set *set);
// May it be declared dead? No extent and no dedupe id of it is wanted, or not from here.
bool segment_set_is_dead(const struct segment_set *set, const struct segment *segment);
void segment_set_die(struct segment_set *set, struct segment *segment, uint64_t stamp);
// DEAD only: leaves the set, may be freed; its id stays in `gone` until a checkpoint has said so. The file is the caller's.
void segment_set_remove(struct segment_set *set, struct segment *segment);
// Changes of segments whose entries are up to rolled_index are in a checkpoint.
void segment_set_recorded(struct segment_set *set, uint64_t rolled_index);
// What the manifest says of a segment when it is read: DEAD or GONE. The file is left alone.
void segment_set_declare(struct segment_set *set, struct segment *segment, enum segment_state state);
// Empties the set: before another checkpoint is tried.
void segment_set_clear(struct segment_set *set);

struct segment *segment_ref(struct segment *segment);
void segment_unref(struct segment_set *set, struct segment *segment);
// A handle was opened by a read: keeps it for the next, unless there is one; closes those used longest ago.
void segment_set_opened(struct segment_set *set, struct segment *segment, struct disk_file *file);
// The handle is used now.
void segment_set_used(struct segment_set *set, struct segment *segment);
