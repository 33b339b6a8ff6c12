// SPDX-License-Identifier: Apache-2.0
#include "cmd/bridge_position.h"

static void begin_anew(struct bridge_position *position, uint64_t epoch);

void bridge_position_init(struct bridge_position *position)
{
    *position = (struct bridge_position){0};
    seqset_init(&position->ahead);
    seqset_init(&position->in_flight);
}

void bridge_position_deinit(struct bridge_position *position)
{
    seqset_deinit(&position->ahead);
    seqset_deinit(&position->in_flight);
}

enum bridge_verdict bridge_position_take(struct bridge_position *position, uint64_t sequence, uint64_t time_ns)
{
    if (sequence == 0 || sequence >= SEQSET_MAX)
        return BRIDGE_WAIT; // no server sends it
    bool is_known = sequence <= position->highest || seqset_has(&position->ahead, sequence);
    if (is_known && time_ns > position->newest_ns) {
        begin_anew(position, position->epoch + 1);
        is_known = false;
    }
    if (is_known)
        return seqset_has(&position->in_flight, sequence) ? BRIDGE_WAIT : BRIDGE_PRESENT;
    position->highest = bridge_position_reached(position);
    seqset_remove_below(&position->ahead, position->highest + 1);
    if (sequence > position->highest + 1 && position->gap != sequence) {
        position->gap = sequence;
        return BRIDGE_GAP;
    }
    position->gap = 0;
    position->highest = sequence;
    if (time_ns > position->newest_ns)
        position->newest_ns = time_ns;
    seqset_add(&position->in_flight, sequence);
    return BRIDGE_COPY;
}

uint64_t bridge_position_reached(const struct bridge_position *position)
{
    return seqset_next_absent(&position->ahead, position->highest + 1) - 1;
}

bool bridge_position_arrived(struct bridge_position *position, uint64_t epoch, uint64_t sequence)
{
    return epoch == position->epoch && sequence < SEQSET_MAX && seqset_remove(&position->in_flight, sequence);
}

void bridge_position_lose(struct bridge_position *position)
{
    uint64_t first, last;
    if (seqset_next_present(&position->in_flight, 0, &first, &last))
        position->highest = first - 1;
    seqset_clear(&position->in_flight);
}

void bridge_position_found(struct bridge_position *position, uint64_t epoch, uint64_t sequence, uint64_t time_ns)
{
    if (epoch < position->epoch || sequence == 0 || sequence >= SEQSET_MAX)
        return;
    if (epoch > position->epoch)
        begin_anew(position, epoch);
    if (sequence > position->highest)
        seqset_add(&position->ahead, sequence);
    if (time_ns > position->newest_ns)
        position->newest_ns = time_ns;
}

void bridge_position_found_all(struct bridge_position *position)
{
    uint64_t first, last;
    if (position->highest == 0 && seqset_next_present(&position->ahead, 0, &first, &last))
        position->highest = first - 1;
}

static void begin_anew(struct bridge_position *position, uint64_t epoch)
{
    seqset_clear(&position->ahead);
    seqset_clear(&position->in_flight);
    position->epoch = epoch;
    position->highest = position->newest_ns = position->gap = 0;
}
