// SPDX-License-Identifier: Apache-2.0
// tidy: prefix reader
// The first message at or after a time (see reader.h): the extent, then the block, then the record in a segment; or the index,
// whose times are rounded, and the records whose time it cannot tell. Each step decides anew what it needs next.
#include "store/reader_internal.h"

// Is the real time of a place, whose time is rounded down, at or after time_ns? 1, 0, or ERR_AGAIN.
static int place_reaches(struct reader *reader, struct store_fetch *fetch, const struct index_place *place,
                         struct reader_want *ret_want)
{
    if (place->time_ns >= fetch->time_ns) {
        return 1;
    }
    struct store_fetch probe = {.stream = fetch->stream};
    int result = reader_fetch_place(reader, fetch->stream, place, &probe, ret_want);
    if (result == ERR_AGAIN) {
        return ERR_AGAIN;
    }
    bool reaches = result == 0 && reader_record_time(probe.record.whole.ptr) >= fetch->time_ns;
    chunk_unref(probe.chunk);
    return reaches;
}

// In the block it was led to: the first message at the time or behind it, else what follows the block.
static int seek_block(struct reader *reader, struct reader_wait *wait, struct reader_want *ret_want)
{
    struct store_fetch *fetch = wait->fetch;
    struct tail_block *block = reader_find_block(reader, wait, ret_want);
    if (!block) {
        return ERR_AGAIN;
    }
    for (uint32_t i = reader_record_position(block, fetch->sequence); i < block->count; i++) {
        if (reader_record_time(reader_record_at(block, i)) >= fetch->time_ns) {
            fetch->sequence = reader_record_sequence(reader_record_at(block, i));
            return 0;
        }
    }
    struct segment *segment;
    const struct segment_extent *extent;
    wait->have_block = false;
    if (wait->has_behind) {
        // It was the last block that begins before the time.
        fetch->sequence = fetch->sequence > wait->behind.first ? fetch->sequence : wait->behind.first;
        return 0;
    }
    if (segment_set_find(reader->segments, fetch->stream, wait->block.first, &segment, &extent) &&
        extent->first <= wait->block.first) {
        fetch->sequence = fetch->sequence > extent->last ? fetch->sequence : extent->last + 1;
    }
    return ERR_EXISTS;
}

// Each round answers, asks for a block, or moves fetch->sequence forward.
int reader_seek_step(struct reader *reader, struct reader_wait *wait, struct reader_want *ret_want)
{
    struct store_fetch *fetch = wait->fetch;
    struct segment *segment;
    const struct segment_extent *extent;
    struct index_place place;
    for (;;) {
        if (wait->have_block) {
            int result = seek_block(reader, wait, ret_want);
            if (result != ERR_EXISTS) {
                return result;
            }
        } else if (segment_set_seek(reader->segments, fetch->stream, fetch->sequence, fetch->time_ns, &segment,
                                    &extent)) {
            struct tail_block *summaries;
            int result = reader_find_summaries(reader, segment, extent, &summaries, ret_want);
            if (result == ERR_AGAIN) {
                return result;
            }
            if (result != 0 || !reader_choose_block(summaries, segment, 0, fetch->time_ns, wait)) {
                fetch->sequence = extent->last + 1; // quarantined
                continue;
            }
            if (wait->segment) {
                segment_unref(reader->segments, wait->segment);
            }
            wait->segment = segment_ref(segment);
        } else if (segment_set_find(reader->segments, fetch->stream, fetch->sequence, &segment, &extent)) {
            fetch->sequence = fetch->sequence > extent->first ? fetch->sequence : extent->first;
            return 0;
        } else if (index_seek(reader->index, fetch->stream, fetch->sequence, fetch->time_ns, &place)) {
            int reaches = place_reaches(reader, fetch, &place, ret_want);
            fetch->sequence = reaches == 0 ? place.sequence + 1 : place.sequence;
            if (reaches != 0) {
                return reaches == ERR_AGAIN ? ERR_AGAIN : 0;
            }
        } else {
            uint64_t end = index_end(reader->index, fetch->stream);
            fetch->sequence = fetch->sequence > end ? fetch->sequence : end;
            return 0;
        }
    }
}
