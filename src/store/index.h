// SPDX-License-Identifier: Apache-2.0
// The dense index of the retained log: where the message with this sequence of this stream lies. Twelve bytes a message.
//
//   stream ──► slots (array): first sequence, run ──► run: file, first time, entries {offset, size, time}
//
// A run holds up to 512 neighbouring sequences of one stream in one log file; small gaps are entries of size 0. It ends at a
// new file, a larger gap, or when its times no longer fit. So the runs of the oldest file are the first of each stream, and
// dropping a file costs by runs. In the memory store a "file" is a chunk; whoever counts what is alive in it is told of
// each message that goes (index_init). Embedded; one thread; no I/O.
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/map_u64.h"

enum {
    INDEX_RUN_MAX = 512,   // entries of a run
    INDEX_AHEAD_MAX = 16,  // index_find_ahead()
    INDEX_TIME_SHIFT = 16, // times are kept in units of 2^16 ns (65.5 microseconds) after the run's first
};

struct index_stream;
struct index_run;
struct index_file;

struct index {
    struct map_u64 streams;    // id → struct index_stream, owned
    struct index_stream *last; // the one used last, or NULL: borrowed from `streams`
    struct index_file *files;  // owned array, oldest first; unused when `gone` is set
    size_t file_count;
    size_t file_cap;
    struct index_run *spare; // owned list of full-sized runs kept for reuse
    size_t spare_count;
    uint64_t bytes; // memory in use
    uint64_t count; // messages
    void *owner;    // of gone
    void (*gone)(void *owner, uint32_t file, uint32_t count);
};

struct index_place {
    uint64_t sequence;
    uint64_t time_ns; // rounded down to units of 2^INDEX_TIME_SHIFT after the run's first
    uint64_t offset;  // bytes in the file; a multiple of 8
    uint32_t file;
    uint32_t size; // bytes of the record, without padding
};

// `gone` (may be NULL) is told that `count` messages in `file` left the index by trim, forget or drop of their stream.
void index_init(struct index *index, void (*gone)(void *owner, uint32_t file, uint32_t count), void *owner);
void index_deinit(struct index *index);

// Sequences of a stream increase, files never go back. offset is a multiple of 8 below 32 GiB, size > 0.
void index_add(struct index *index, uint32_t file, uint32_t stream, uint64_t sequence, uint64_t time_ns,
               uint64_t offset, uint32_t size);
// A hint: messages of these streams are added before long.
void index_ahead(const struct index *index, const uint32_t *streams, size_t count);
// A hint: these messages, at most INDEX_AHEAD_MAX, are looked for before long.
void index_find_ahead(struct index *index, const uint32_t *streams, const uint64_t *sequences, size_t count);
bool index_find(struct index *index, uint32_t stream, uint64_t sequence, struct index_place *ret_place);
// The first message of the stream at or after `sequence`.
bool index_next(struct index *index, uint32_t stream, uint64_t sequence, struct index_place *ret_place);
// The first message at or after `sequence` whose time can be >= time_ns: its rounded time lies less than a unit below it.
// Times that do not increase along the stream give some message near. False when there is none.
bool index_seek(struct index *index, uint32_t stream, uint64_t sequence, uint64_t time_ns,
                struct index_place *ret_place);
// One past the last sequence ever added to the stream; 0 when it is not here.
uint64_t index_end(const struct index *index, uint32_t stream);

// Messages of the stream below `first` are gone; UINT64_MAX: the stream is.
void index_trim(struct index *index, uint32_t stream, uint64_t first);
void index_forget(struct index *index, uint32_t stream, uint64_t sequence);
// Everything in this file, and in older ones, leaves the index, for at most `budget` streams in one call. True when done.
// Not with `gone`.
bool index_drop_file(struct index *index, uint32_t file, size_t budget);

// Walks the messages of one file, grouped by stream, each in order of sequence. Starts with a zeroed cursor; the index may
// change in between, but nothing may be added for this file any more.
struct index_cursor {
    size_t position;   // in the file's list of streams
    uint64_t sequence; // of that stream, to go on with
};
bool index_file_next(struct index *index, uint32_t file, struct index_cursor *cursor, uint32_t *ret_stream,
                     struct index_place *ret_place);

// A run as it can be kept elsewhere: neighbouring sequences of one stream in one file. Each entry is offset in units of 8 bytes,
// size (0: no message) and time in units of 2^INDEX_TIME_SHIFT after time_ns, four bytes each, little-endian.
struct index_piece {
    uint32_t stream;
    uint32_t count; // of entries, 1 … INDEX_RUN_MAX; the first and the last are messages
    uint64_t first; // sequence
    uint64_t time_ns;
    const char *entries; // borrowed
};
enum { INDEX_ENTRY_SIZE = 12 };
// Appends the entries of the file's next piece to `out`, with a cursor as index_file_next() has; false: there is none, or no room.
// ret_piece->entries is not set.
bool index_file_next_piece(struct index *index, uint32_t file, struct index_cursor *cursor, struct buffer *out,
                           struct index_piece *ret_piece);
// Adds those messages of a piece whose sequences are at or above `from`. Files never go back; what a stream has already is
// left as it is.
void index_add_piece(struct index *index, uint32_t file, const struct index_piece *piece, uint64_t from);

// Asserts the invariants; for tests.
void index_check(const struct index *index);
