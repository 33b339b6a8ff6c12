// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// The table of requests: what each may say, and who does it. docs/admin-api.md has the same rows; a test compares them.
#include <stddef.h>

#include "admin/admin_internal.h"

#define BIT(field) FIELD_BIT(FIELD_##field)

enum { NAME_MAX_BYTES = 1024, TEXT_MAX_BYTES = 256 };

#define TEXT(field, bytes)                                                                                             \
    {                                                                                                                  \
#field, offsetof(struct admin_fields, field), JSON_REQUEST_TEXT, 0, bytes, NULL                                \
    }
#define FLAG(field)                                                                                                    \
    {                                                                                                                  \
#field, offsetof(struct admin_fields, field), JSON_REQUEST_FLAG, 0, 0, NULL                                    \
    }
#define NUMBER(field, min, max)                                                                                        \
    {                                                                                                                  \
#field, offsetof(struct admin_fields, field), JSON_REQUEST_NUMBER, min, max, NULL                              \
    }
#define CONFIG(type, field, max)                                                                                       \
    {                                                                                                                  \
#field, offsetof(struct admin_fields, config) + offsetof(struct admin_config, field), type, 0, max, NULL       \
    }

static const struct json_request_field CONFIG_FIELDS[] = {
    [CONFIG_MAX_MSGS] = CONFIG(JSON_REQUEST_NUMBER, max_msgs, INT64_MAX),
    [CONFIG_MAX_BYTES] = CONFIG(JSON_REQUEST_NUMBER, max_bytes, INT64_MAX),
    [CONFIG_MAX_AGE_MS] = CONFIG(JSON_REQUEST_NUMBER, max_age_ms, INT64_MAX / 1000000),
    [CONFIG_MAX_SUBS] = CONFIG(JSON_REQUEST_NUMBER, max_subs, UINT32_MAX),
    [CONFIG_MAX_INACTIVITY_MS] = CONFIG(JSON_REQUEST_NUMBER, max_inactivity_ms, INT64_MAX / 1000000),
    [CONFIG_DISCARD] = CONFIG(JSON_REQUEST_TEXT, discard, TEXT_MAX_BYTES),
    [CONFIG_MAX_DELIVER] = CONFIG(JSON_REQUEST_NUMBER, max_deliver, UINT32_MAX),
    [CONFIG_BACKOFF_MS] = CONFIG(JSON_REQUEST_NUMBERS, backoff_ms, INT64_MAX / 1000000),
    [CONFIG_DEAD_LETTER] = CONFIG(JSON_REQUEST_TEXT, dead_letter, NAME_MAX_BYTES),
    [CONFIG_DISCONNECT_GRACE_MS] = CONFIG(JSON_REQUEST_NUMBER, disconnect_grace_ms, 86400000),
    [CONFIG_DUPLICATE_WINDOW_MS] = CONFIG(JSON_REQUEST_NUMBER, duplicate_window_ms, 86400000),
};

static const struct json_request_table CONFIG_TABLE = {CONFIG_FIELDS, CONFIG_END,
                                                       offsetof(struct admin_fields, config_present)};

static const struct json_request_field FIELDS[] = {
    [FIELD_CHANNEL] = TEXT(channel, NAME_MAX_BYTES),
    [FIELD_GROUP] = TEXT(group, NAME_MAX_BYTES),
    [FIELD_GROUP_ID] = NUMBER(group_id, 1, UINT32_MAX),
    [FIELD_CLIENT_ID] = TEXT(client_id, NAME_MAX_BYTES),
    [FIELD_MATCH] = TEXT(match, NAME_MAX_BYTES),
    [FIELD_AFTER] = TEXT(after, TEXT_MAX_BYTES),
    [FIELD_LIMIT] = NUMBER(limit, 1, ADMIN_LIMIT_MAX),
    [FIELD_CONFIG] = {"config", 0, JSON_REQUEST_OBJECT, 0, 0, &CONFIG_TABLE},
    [FIELD_RESET] = FLAG(reset),
    [FIELD_FOR_MS] = NUMBER(for_ms, 1, ADMIN_FOR_MAX_MS),
    [FIELD_ALL] = FLAG(all),
    [FIELD_BEFORE_SEQUENCE] = NUMBER(before_sequence, 1, INT64_MAX),
    [FIELD_BEFORE_TIME] = TEXT(before_time, TEXT_MAX_BYTES),
    [FIELD_KEEP] = NUMBER(keep, 0, INT64_MAX),
    [FIELD_FORCE] = FLAG(force),
    [FIELD_TO_SEQUENCE] = NUMBER(to_sequence, 0, INT64_MAX),
    [FIELD_TO_TIME] = TEXT(to_time, TEXT_MAX_BYTES),
    [FIELD_TO] = TEXT(to, TEXT_MAX_BYTES),
    [FIELD_STATE] = TEXT(state, TEXT_MAX_BYTES),
    [FIELD_FROM_SEQUENCE] = NUMBER(from_sequence, 0, INT64_MAX),
    [FIELD_SEQUENCE] = NUMBER(sequence, 1, INT64_MAX),
    [FIELD_MAX_BYTES] = NUMBER(max_bytes, 0, INT64_MAX),
    [FIELD_SEQUENCES] = {"sequences", offsetof(struct admin_fields, sequences), JSON_REQUEST_NUMBERS, 1, INT64_MAX,
                         NULL},
    [FIELD_MEMBER] = NUMBER(member, 1, UINT32_MAX),
    [FIELD_DELAY_MS] = NUMBER(delay_ms, 0, 365ULL * 86400000),
    [FIELD_COUNT] = FLAG(count),
    [FIELD_REASON] = TEXT(reason, TEXT_MAX_BYTES),
    [FIELD_RATE] = NUMBER(rate, 1, 1000000),
    [FIELD_JOB] = NUMBER(job, 1, INT64_MAX),
    [FIELD_CID] = NUMBER(cid, 1, INT64_MAX),
};

const struct json_request_table admin_request_table = {FIELDS, FIELD_END, offsetof(struct admin_fields, present)};

#define PAGE_FIELDS  (BIT(AFTER) | BIT(LIMIT))
#define GROUP_FIELDS (BIT(CHANNEL) | BIT(GROUP) | BIT(CLIENT_ID) | BIT(GROUP_ID))

static const struct admin_row ROWS[] = {
    {"SERVER.INFO", 0, 0, true, admin_server_info},
    {"CHANNEL.LIST", BIT(MATCH) | PAGE_FIELDS, 0, true, admin_channel_list},
    {"CHANNEL.INFO", BIT(CHANNEL), BIT(CHANNEL), true, admin_channel_info},
    {"CHANNEL.CREATE", BIT(CHANNEL) | BIT(CONFIG), BIT(CHANNEL), false, admin_channel_create},
    {"CHANNEL.EDIT", BIT(CHANNEL) | BIT(CONFIG) | BIT(RESET), BIT(CHANNEL), false, admin_channel_edit},
    {"CHANNEL.PAUSE", BIT(CHANNEL) | BIT(FOR_MS), BIT(CHANNEL), false, admin_channel_pause},
    {"CHANNEL.RESUME", BIT(CHANNEL), BIT(CHANNEL), false, admin_channel_resume},
    {"CHANNEL.PURGE", BIT(CHANNEL) | BIT(ALL) | BIT(BEFORE_SEQUENCE) | BIT(BEFORE_TIME) | BIT(KEEP), BIT(CHANNEL),
     false, admin_channel_purge},
    {"CHANNEL.RM", BIT(CHANNEL) | BIT(FORCE), BIT(CHANNEL), false, admin_channel_remove},
    {"GROUP.LIST", BIT(CHANNEL) | BIT(MATCH) | PAGE_FIELDS, 0, true, admin_group_list},
    {"GROUP.INFO", GROUP_FIELDS, 0, true, admin_group_info},
    {"GROUP.PAUSE", GROUP_FIELDS | BIT(FOR_MS), 0, false, admin_group_pause},
    {"GROUP.RESUME", GROUP_FIELDS, 0, false, admin_group_resume},
    {"GROUP.SEEK", GROUP_FIELDS | BIT(TO_SEQUENCE) | BIT(TO_TIME) | BIT(TO), 0, false, admin_group_seek},
    {"GROUP.RM", GROUP_FIELDS | BIT(FORCE), 0, false, admin_group_remove},
    {"MSG.LIST", GROUP_FIELDS | BIT(STATE) | BIT(FROM_SEQUENCE) | BIT(LIMIT), 0, true, admin_message_list},
    {"MSG.GET", BIT(CHANNEL) | BIT(SEQUENCE) | BIT(MAX_BYTES), BIT(CHANNEL) | BIT(SEQUENCE), false, admin_message_get},
    {"MSG.RELEASE", GROUP_FIELDS | BIT(SEQUENCES) | BIT(MEMBER) | BIT(DELAY_MS) | BIT(COUNT), 0, false,
     admin_message_release},
    {"MSG.KILL", GROUP_FIELDS | BIT(SEQUENCES) | BIT(REASON), BIT(SEQUENCES), false, admin_message_kill},
    {"DLQ.LIST", BIT(CHANNEL) | PAGE_FIELDS, 0, true, admin_dlq_list},
    {"DLQ.REDRIVE", GROUP_FIELDS | BIT(SEQUENCES) | BIT(ALL) | BIT(RATE), 0, false, admin_dlq_redrive},
    {"DLQ.JOBS", 0, 0, true, admin_dlq_jobs},
    {"DLQ.CANCEL", BIT(JOB), BIT(JOB), false, admin_dlq_cancel},
    {"CLIENT.LIST", BIT(MATCH) | PAGE_FIELDS, 0, true, admin_client_list},
    {"CLIENT.INFO", BIT(CLIENT_ID), BIT(CLIENT_ID), true, admin_client_info},
    {"CLIENT.KICK", BIT(CLIENT_ID) | BIT(CID), 0, false, admin_client_kick},
};

enum { ROW_COUNT = sizeof(ROWS) / sizeof(ROWS[0]) };

const struct admin_row *admin_request_find(struct bytes name)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (bytes_equal(name, bytes_from_string(ROWS[i].name)))
            return &ROWS[i];
    }
    return NULL;
}

const char *admin_api_request_name(size_t n)
{
    return n < ROW_COUNT ? ROWS[n].name : NULL;
}

bool admin_api_is_view(struct bytes request)
{
    const struct admin_row *row = admin_request_find(request);
    return row && row->view;
}

bool admin_api_is_change(struct bytes request)
{
    const struct admin_row *row = admin_request_find(request);
    return row && !row->view && row->work != admin_message_get;
}
