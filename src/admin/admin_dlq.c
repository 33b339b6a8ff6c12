// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// DLQ.*: messages that are dead, by group.
#include "admin/admin_internal.h"

enum { BATCH = 64, LOOK_MAX = 1024 };

static bool render_list(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static bool has_dead(const struct admin_ask *ask, const struct consumer *consumer);
static void put_entry(struct admin_api *api, struct json_writer *json, struct consumer *consumer);

enum admin_step admin_dlq_list(struct admin_api *api, struct admin_ask *ask)
{
    uint64_t after[2];
    if (!admin_page_after(ask, after) || (admin_has(ask, FIELD_CHANNEL) && !admin_find_channel(api, ask)))
        return ADMIN_FAILED;
    return admin_show(ask, render_list);
}

static bool render_list(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    static const struct admin_groups groups = {.is_meant = has_dead, .put = put_entry};
    return admin_group_page(api, ask, out, &groups);
}

static bool has_dead(const struct admin_ask *ask, const struct consumer *consumer)
{
    (void)ask;
    struct consumer_state state;
    consumer_state_get(consumer, &state);
    return state.dead > 0;
}

static void put_entry(struct admin_api *api, struct json_writer *json, struct consumer *consumer)
{
    struct consumer_state state;
    consumer_state_get(consumer, &state);
    struct dead_info infos[BATCH];
    struct bytes client, name = admin_find_group_name(consumer, &client);
    uint64_t oldest_ns = UINT64_MAX, newest_ns = 0, from = 0;
    size_t count = BATCH;
    for (size_t looked = 0; looked < LOOK_MAX && count == BATCH; looked += count) {
        count = consumer_dead_list(consumer, from, infos, BATCH);
        for (size_t i = 0; i < count; i++) {
            oldest_ns = infos[i].since_ns < oldest_ns ? infos[i].since_ns : oldest_ns;
            newest_ns = infos[i].since_ns > newest_ns ? infos[i].since_ns : newest_ns;
            from = infos[i].sequence + 1;
        }
    }
    json_writer_begin_object(json);
    json_writer_put_string(json, "channel", stream_name(consumer_stream(consumer)));
    json_writer_put_string(json, "group", name);
    json_writer_put_u64(json, "group_id", state.id);
    if (client.len)
        json_writer_put_string(json, "client_id", client);
    json_writer_put_object(json, "dead");
    json_writer_put_u64(json, "messages", state.dead);
    json_writer_put_u64(json, "bytes", state.dead_bytes);
    if (newest_ns) {
        admin_object_put_time(json, "oldest_since", oldest_ns);
        admin_object_put_time(json, "newest_since", newest_ns);
    }
    json_writer_end(json);
    json_writer_end(json);
}
