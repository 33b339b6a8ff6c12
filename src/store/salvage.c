// SPDX-License-Identifier: Apache-2.0
#include "store/salvage.h"

static const struct {
    uint16_t kind;
    const char *name;
} kinds[] = {
    {RECORD_MESSAGE, "message"},
    {RECORD_STREAM_CREATE, "stream create"},
    {RECORD_STREAM_UPDATE, "stream update"},
    {RECORD_STREAM_DELETE, "stream delete"},
    {RECORD_STREAM_EVICT, "stream evict"},
    {RECORD_STREAM_CREATE_MORE, "stream create"},
    {RECORD_STREAM_UPDATE_MORE, "stream update"},
    {RECORD_STREAM_LAST, "stream last"},
    {RECORD_CONSUMER_CREATE, "consumer create"},
    {RECORD_CONSUMER_DELETE, "consumer delete"},
    {RECORD_MEMBER_ADD, "member add"},
    {RECORD_MEMBER_REMOVE, "member remove"},
    {RECORD_DELIVERED, "delivered"},
    {RECORD_ACKED, "acked"},
    {RECORD_RETURNED, "returned"},
    {RECORD_DEAD, "dead"},
    {RECORD_DYING, "dying"},
    {RECORD_TURN, "turn"},
    {RECORD_STREAM_PAUSE, "stream pause"},
    {RECORD_CONSUMER_PAUSE, "consumer pause"},
    {RECORD_CONSUMER_SEEK, "consumer seek"},
    {RECORD_REDRIVEN, "redriven"},
    {RECORD_STREAM_EDITED, "stream edited"},
    {RECORD_CLIENT_ADD, "client add"},
    {RECORD_CLIENT_CLOSE, "client close"},
    {RECORD_CLIENT_REMOVE, "client remove"},
    {RECORD_CHANNEL_LEFT, "channel left"},
};

static bool next_valid(struct bytes records, size_t *at, struct record *ret_record, size_t *ret_used);

int salvage_check_kinds(struct bytes records, const struct logger *logger)
{
    struct record record;
    size_t used;
    while (records.len) {
        if (record_get(records, false, &record, &used) != 0)
            return ERR_CORRUPT;
        bool known = record.kind == RECORD_MESSAGE || salvage_kind_name(record.kind)[0] != '?';
        if (!known && (record.kind & RECORD_MUST_UNDERSTAND)) {
            logger_write(
                logger, LOG_ERROR,
                "the log has records of kind 0x%04x, which this version of Weir does not know and must not skip: "
                "start the newer version",
                record.kind);
            return ERR_NEWER;
        }
        records = bytes_skip(records, used);
    }
    return 0;
}

int salvage_run(const struct entry_view *entry, int (*take)(void *owner, const struct entry_view *run), void *owner,
                uint32_t *ret_saved)
{
    size_t at = 0, used = 0;
    struct record record;
    while (next_valid(entry->records, &at, &record, &used)) {
        struct entry_view run = *entry;
        size_t end = at;
        do {
            end += used;
            (*ret_saved)++;
        } while (record_get(bytes_skip(entry->records, end), true, &record, &used) == 0);
        run.records = bytes_make(entry->records.ptr + at, end - at);
        run.offset = entry->offset + at;
        int error = take(owner, &run);
        if (error)
            return error;
        at = end;
    }
    return 0;
}

const char *salvage_kind_name(uint16_t kind)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].kind == kind)
            return kinds[i].name;
    }
    return "?";
}

// The first record from *at on that verifies. The kind is looked at first, so that hashes are computed for candidates only.
static bool next_valid(struct bytes records, size_t *at, struct record *ret_record, size_t *ret_used)
{
    for (; *at + RECORD_HEADER_SIZE <= records.len; *at += RECORD_ALIGN) {
        struct bytes rest = bytes_skip(records, *at);
        if (salvage_kind_name(get_u16(rest.ptr + 8))[0] != '?' && record_get(rest, true, ret_record, ret_used) == 0)
            return true;
    }
    return false;
}
