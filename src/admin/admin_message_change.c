// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// MSG.RELEASE and MSG.KILL: what is done to single messages that are out. The engine records it at the end of the turn, so the answer waits for what
// is in the log by the next one.
#include "admin/admin_internal.h"

enum { NS_PER_MS = 1000000, KILL_PATIENCE_MS = 1000 };

static enum admin_step begin_release(struct admin_api *api, struct admin_ask *ask);
static enum admin_step begin_kill(struct admin_api *api, struct admin_ask *ask);
static bool is_dying(struct admin_api *api, const struct admin_ask *ask);
static bool render_released(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static bool render_killed(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static bool render(struct admin_ask *ask, const char *key, struct buffer *out);

enum admin_step admin_message_release(struct admin_api *api, struct admin_ask *ask)
{
    if (!ask->begun)
        return begin_release(api, ask);
    ask->index = shard_last_index(api->options.shard);
    return admin_show(ask, render_released);
}

// That it is to die is recorded at once; where it is to be copied, its end may take longer, and nobody waits for that for long.
enum admin_step admin_message_kill(struct admin_api *api, struct admin_ask *ask)
{
    if (!ask->begun)
        return begin_kill(api, ask);
    if (is_dying(api, ask) && moment_mono_ms(api->now) < ask->begun_ms + KILL_PATIENCE_MS)
        return ADMIN_LATER;
    ask->index = shard_last_index(api->options.shard);
    return admin_show(ask, render_killed);
}

static enum admin_step begin_release(struct admin_api *api, struct admin_ask *ask)
{
    const struct admin_fields *fields = &ask->fields;
    uint64_t delay_ns = fields->delay_ms * NS_PER_MS;
    struct consumer *consumer = admin_find_group(api, ask);
    if (!consumer)
        return ADMIN_FAILED;
    if (admin_has(ask, FIELD_SEQUENCES) == admin_has(ask, FIELD_MEMBER))
        return admin_fail(ask, ADMIN_BAD_REQUEST, "sequences", "either sequences or member must be given");
    if (admin_has(ask, FIELD_MEMBER)) {
        struct member *member = engine_member_by_id(api->engine, (uint32_t)fields->member);
        if (!member || member_consumer(member) != consumer)
            return admin_fail(ask, ADMIN_BAD_REQUEST, "member", "the group has no member %llu",
                              (unsigned long long)fields->member);
        ask->count = member_in_flight(member);
        (void)!engine_nak(api->engine, consumer, member, 0, delay_ns, fields->count, admin_time(api));
        return ADMIN_LATER;
    }
    for (size_t i = 0; i < fields->sequences.count; i++) {
        uint64_t sequence = fields->sequences.at[i];
        if (engine_nak(api->engine, consumer, NULL, sequence, delay_ns, fields->count, admin_time(api)))
            ask->not_found.at[ask->not_found.count++] = sequence;
        else
            ask->count++;
    }
    return ADMIN_LATER;
}

static enum admin_step begin_kill(struct admin_api *api, struct admin_ask *ask)
{
    const struct json_request_numbers *sequences = &ask->fields.sequences;
    struct consumer *consumer = admin_find_group(api, ask);
    if (!consumer)
        return ADMIN_FAILED;
    for (size_t i = 0; i < sequences->count; i++) {
        if (engine_terminate(api->engine, consumer, sequences->at[i], ask->fields.reason, admin_time(api)))
            ask->not_found.at[ask->not_found.count++] = sequences->at[i];
        else
            ask->count++;
    }
    return ADMIN_LATER;
}

static bool is_dying(struct admin_api *api, const struct admin_ask *ask)
{
    const struct json_request_numbers *sequences = &ask->fields.sequences;
    const struct consumer *consumer = engine_consumer_by_id(api->engine, ask->consumer);
    for (size_t i = 0; consumer && i < sequences->count; i++) {
        struct pending_info info;
        if (consumer_pending_list(consumer, sequences->at[i], &info, 1) && info.sequence == sequences->at[i] &&
            info.place == PENDING_RUN_OUT)
            return true;
    }
    return false;
}

static bool render_released(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    (void)api;
    return render(ask, "released", out);
}

static bool render_killed(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    (void)api;
    return render(ask, "killed", out);
}

static bool render(struct admin_ask *ask, const char *key, struct buffer *out)
{
    struct json_writer json;
    json_writer_init_compact(&json, out);
    json_writer_begin_object(&json);
    json_writer_put_u64(&json, key, ask->count);
    json_writer_key(&json, "not_found");
    json_writer_begin_array(&json);
    for (size_t i = 0; i < ask->not_found.count; i++)
        json_writer_u64(&json, ask->not_found.at[i]);
    json_writer_end(&json);
    json_writer_end(&json);
    return admin_object_finish(&json, ask);
}
