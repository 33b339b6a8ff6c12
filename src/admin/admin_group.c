// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// GROUP.*: who takes messages from a channel, and where they are.
#include "admin/admin_internal.h"

enum { MEMBERS_MAX = 1000, MEMBER_ROOM = 16384 }; // of an answer; bytes that one takes at most

static bool render_list(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static void put_entry(struct admin_api *api, struct json_writer *json, struct consumer *consumer);
static bool is_meant(const struct admin_ask *ask, const struct consumer *consumer);
static uint64_t count_meant(struct admin_api *api, const struct admin_ask *ask, struct stream *only);
static bool render_info(struct admin_api *api, struct admin_ask *ask, struct buffer *out);

enum admin_step admin_group_list(struct admin_api *api, struct admin_ask *ask)
{
    uint64_t after[2];
    if (!admin_page_after(ask, after) || (admin_has(ask, FIELD_CHANNEL) && !admin_find_channel(api, ask)))
        return ADMIN_FAILED;
    return admin_show(ask, render_list);
}

// The times of its oldest messages may have to be read.
enum admin_step admin_group_info(struct admin_api *api, struct admin_ask *ask)
{
    struct consumer *consumer = ask->begun ? admin_find_group_again(api, ask) : admin_find_group(api, ask);
    struct consumer_state state;
    uint64_t time_ns;
    if (!consumer)
        return ADMIN_FAILED;
    consumer_state_get(consumer, &state);
    struct stream *stream = consumer_stream(consumer);
    bool reads =
        (state.oldest_pending &&
         engine_message_time(api->engine, stream, state.oldest_pending, &time_ns) == ERR_AGAIN) ||
        (state.oldest_waiting && engine_message_time(api->engine, stream, state.oldest_waiting, &time_ns) == ERR_AGAIN);
    return reads && admin_is_patient(api, ask) ? ADMIN_LATER : admin_show(ask, render_info);
}

static bool render_list(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    static const struct admin_groups groups = {.is_meant = is_meant, .put = put_entry, .count = count_meant};
    return admin_group_page(api, ask, out, &groups);
}

static void put_entry(struct admin_api *api, struct json_writer *json, struct consumer *consumer)
{
    json_writer_begin_object(json);
    admin_object_put_group(api, json, consumer, true);
    json_writer_end(json);
}

static bool is_meant(const struct admin_ask *ask, const struct consumer *consumer)
{
    struct bytes client;
    return !admin_has(ask, FIELD_MATCH) ||
           admin_find_matches(ask->fields.match, admin_find_group_name(consumer, &client));
}

// UINT64_MAX: that would take long.
static uint64_t count_meant(struct admin_api *api, const struct admin_ask *ask, struct stream *only)
{
    uint64_t count = 0;
    struct engine_stats stats;
    engine_stats_get(api->engine, &stats);
    if (admin_has(ask, FIELD_MATCH) && stats.consumers > ADMIN_VISITS_MAX)
        return UINT64_MAX;
    for (struct stream *stream = only ? only : engine_stream_next(api->engine, NULL); stream;
         stream = only ? NULL : engine_stream_next(api->engine, stream)) {
        for (struct consumer *each = stream_consumer_next(stream, NULL); each;
             each = stream_consumer_next(stream, each))
            count += is_meant(ask, each);
    }
    return count;
}

static bool render_info(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    struct consumer *consumer = admin_find_group_again(api, ask);
    struct consumer_state state;
    struct json_writer json;
    size_t count = 0;
    if (!consumer)
        return false;
    consumer_state_get(consumer, &state);
    json_writer_init_compact(&json, out);
    json_writer_begin_object(&json);
    admin_object_put_group(api, &json, consumer, false);
    json_writer_key(&json, "members");
    json_writer_begin_array(&json);
    for (struct member *each = consumer_member_next(consumer, NULL);
         each && count < MEMBERS_MAX && (count == 0 || out->len + MEMBER_ROOM <= out->max);
         each = consumer_member_next(consumer, each), count++)
        admin_object_member(api, &json, each);
    json_writer_end(&json);
    json_writer_put_u64(&json, "members_total", state.members);
    json_writer_end(&json);
    return admin_object_finish(&json, ask);
}
