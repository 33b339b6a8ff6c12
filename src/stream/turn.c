// SPDX-License-Identifier: Apache-2.0
// The TURN record: what several consumers have to say of one turn, as parts of one record. A record's frame, its check and its place in
// the log cost more than the few bytes that there are to say of a consumer that got one message and finished another; when
// thousands of them do so in a turn, that is what they cost.
//
// Room for a whole record is kept in an entry when its first part comes, so that its index is known then: what the parts are about is marked
// at once, and nobody walks the consumers twice. While parts gather nothing else is appended. What is long goes as a record of its own.
#include "stream/engine_internal.h"

enum {
    BODY_MAX = 4096,    // so little that what a record is about is still in the caches when the next turn takes it up
    PART_MAX = 1024,    // of what a part says; more is a record of its own
    PART_HEAD_MAX = 8,  // consumer, kind, length
    AHEAD_MAX = 16,     // parts
    KIND_HIGH = 0xff00, // of a record's kind, which a part leaves out
};

static bool has_room(struct engine *engine, size_t size);
static int get_part(struct bytes *from, struct record *ret_part);
static bool is_whole(struct bytes body);
static void parts_ahead(const struct engine *engine, const struct record *parts, size_t count);
static int apply_part(struct engine *engine, const struct record *part, uint64_t index);

bool turn_put(struct engine *engine, uint16_t kind, uint32_t consumer, struct bytes body, uint64_t *ret_index)
{
    struct turn *turn = &engine->turn;
    if (!turn->wanted || body.len > PART_MAX || !has_room(engine, PART_HEAD_MAX + body.len))
        return false;
    must((kind & KIND_HIGH) == (RECORD_TURN & KIND_HIGH));
    char *from = buffer_reserve(&turn->body, PART_HEAD_MAX + body.len);
    must(from);
    char *at = varint_put(from, consumer);
    *at++ = (char)kind;
    at = varint_put(at, body.len);
    memcpy(at, body.ptr, body.len);
    buffer_commit(&turn->body, (size_t)(at - from) + body.len);
    *ret_index = turn->index;
    return true;
}

void turn_close(struct engine *engine)
{
    struct turn *turn = &engine->turn;
    if (!turn->open)
        return;
    turn->open = false;
    must(engine_append(engine, RECORD_TURN, 0, buffer_bytes(&turn->body)) == turn->index);
}

int turn_apply(struct engine *engine, const struct record *record, uint64_t index)
{
    struct bytes rest = record->body;
    if (record->object != 0 || (!engine->live && !is_whole(rest)))
        return ERR_CORRUPT;
    while (rest.len) {
        struct record parts[AHEAD_MAX];
        size_t count = 0;
        for (; rest.len && count < AHEAD_MAX; count++) {
            if (get_part(&rest, &parts[count]))
                return ERR_CORRUPT;
        }
        parts_ahead(engine, parts, count);
        for (size_t i = 0; i < count; i++) {
            int error = apply_part(engine, &parts[i], index);
            if (error)
                return error;
        }
    }
    return 0;
}

// In the record that is open, or in a new one, whose index is known from here on.
static bool has_room(struct engine *engine, size_t size)
{
    struct turn *turn = &engine->turn;
    const struct engine_host *host = &engine->options.host;
    if (turn->open && turn->body.len + size > BODY_MAX)
        turn_close(engine);
    if (turn->open)
        return true;
    if (engine_admit(engine, BODY_MAX, true))
        return false;
    buffer_clear(&turn->body);
    turn->index = host->together(host->owner, record_padded(RECORD_HEADER_SIZE + BODY_MAX));
    turn->open = true;
    return true;
}

// As the record that would say the same.
static int get_part(struct bytes *from, struct record *ret_part)
{
    uint64_t consumer, length;
    if (codec_get_number(from, &consumer) || consumer == 0 || consumer > UINT32_MAX || from->len == 0)
        return ERR_CORRUPT;
    uint16_t kind = (uint16_t)((RECORD_TURN & KIND_HIGH) | (uint8_t)from->ptr[0]);
    *from = bytes_skip(*from, 1);
    if ((kind != RECORD_DELIVERED && kind != RECORD_RETURNED && kind != RECORD_ACKED) ||
        codec_get_number(from, &length) || length > from->len)
        return ERR_CORRUPT;
    *ret_part = (struct record){
        .kind = kind,
        .object = (uint32_t)consumer,
        .body = bytes_make(from->ptr, (size_t)length),
    };
    *from = bytes_skip(*from, (size_t)length);
    return 0;
}

static bool is_whole(struct bytes body)
{
    struct record part;
    while (body.len) {
        if (get_part(&body, &part))
            return false;
    }
    return true;
}

// Each of them lies where the others have driven it: far from the processor. Each step for all before the next one.
static void parts_ahead(const struct engine *engine, const struct record *parts, size_t count)
{
    const struct consumer *consumers[AHEAD_MAX];
    size_t known = 0;
    for (size_t i = 0; i < count; i++)
        map_u64_prefetch(&engine->consumers, parts[i].object);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && parts[i].object == parts[i - 1].object)
            continue;
        consumers[known] = map_u64_find(&engine->consumers, parts[i].object);
        if (consumers[known])
            consumer_ahead(consumers[known++]);
    }
    for (size_t i = 0; i < known; i++) {
        prefetch_lines(consumers[i]->stream, 1);
        if (consumers[i]->runs)
            prefetch_lines(&consumers[i]->runs[consumers[i]->run_head], sizeof(*consumers[i]->runs));
        map_u64_prefetch(&consumers[i]->pending, consumers[i]->ack_floor + 1);
    }
    for (size_t i = 0; i < known; i++)
        prefetch_lines(pending_find(consumers[i], consumers[i]->ack_floor + 1), sizeof(struct pending));
}

static int apply_part(struct engine *engine, const struct record *part, uint64_t index)
{
    switch (part->kind) {
    case RECORD_DELIVERED: return journal_apply_delivered(engine, part, index);
    case RECORD_RETURNED: return journal_apply_returned(engine, part, index);
    default: return journal_apply_acked(engine, part, index);
    }
}
