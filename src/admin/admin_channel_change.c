// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// CHANNEL.*: what is done to channels.
#include "admin/admin_internal.h"
#include "codec/timestamp.h"
#include "stan/stan_control.h"

enum { NS_PER_MS = 1000000 };

static enum admin_step read_config(struct admin_ask *ask, struct stream_edit *edit);
static enum admin_step read_texts(struct admin_ask *ask, struct stream_edit *edit);
static enum admin_step propose_edit(struct admin_api *api, struct admin_ask *ask, struct stream *stream,
                                    const struct stream_edit *edit);
static bool render_edited(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static enum admin_step begin_purge(struct admin_api *api, struct admin_ask *ask);
static void on_purged(struct stream_purge *purge, int error);
static bool render_purged(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static bool render_removed(struct admin_api *api, struct admin_ask *ask, struct buffer *out);

enum admin_step admin_channel_create(struct admin_api *api, struct admin_ask *ask)
{
    struct bytes name = ask->fields.channel;
    struct stream *stream;
    struct stream_edit edit;
    if (!stan_control_is_name(name))
        return admin_fail(ask, ADMIN_BAD_REQUEST, "channel", "this is no name for a channel");
    stan_control_config(api->options.stan, name, &edit);
    if (admin_has(ask, FIELD_CONFIG) && read_config(ask, &edit) == ADMIN_FAILED)
        return ADMIN_FAILED;
    int error = stan_control_create_channel(api->options.stan, name, &stream, &ask->index);
    if (error == ERR_EXISTS)
        return admin_fail(ask, ADMIN_EXISTS, "channel", "there is a channel \"%.*s\"", (int)name.len, name.ptr);
    if (error)
        return admin_fail_with(ask, error, "create the channel");
    ask->stream = stream_id(stream);
    return admin_has(ask, FIELD_CONFIG) ? propose_edit(api, ask, stream, &edit)
                                        : admin_show(ask, admin_object_render_channel);
}

enum admin_step admin_channel_edit(struct admin_api *api, struct admin_ask *ask)
{
    struct stream *stream = admin_find_channel(api, ask);
    struct stream_state state;
    struct stream_edit edit;
    if (!stream)
        return ADMIN_FAILED;
    if (admin_has(ask, FIELD_CONFIG) == (admin_has(ask, FIELD_RESET) && ask->fields.reset))
        return admin_fail(ask, ADMIN_BAD_REQUEST, "config", "either config or reset: true");
    stream_state_get(stream, &state);
    stan_control_config(api->options.stan, state.config.name, &edit);
    if (admin_has(ask, FIELD_CONFIG)) {
        edit.config = state.config;
        edit.inactivity_ns = stan_inspect_inactivity(api->options.stan, state.config.name);
        if (read_config(ask, &edit) == ADMIN_FAILED)
            return ADMIN_FAILED;
    }
    return propose_edit(api, ask, stream, &edit);
}

enum admin_step admin_channel_pause(struct admin_api *api, struct admin_ask *ask)
{
    struct stream *stream = admin_find_channel(api, ask);
    if (!stream)
        return ADMIN_FAILED;
    uint64_t until_ns = admin_has(ask, FIELD_FOR_MS) ? api->now.wall_ns + ask->fields.for_ms * NS_PER_MS : 0;
    int error = engine_stream_pause(api->engine, stream, true, until_ns, admin_time(api), &ask->index);
    return error ? admin_fail_with(ask, error, "pause the channel") : admin_show(ask, admin_object_render_channel);
}

enum admin_step admin_channel_resume(struct admin_api *api, struct admin_ask *ask)
{
    struct stream *stream = admin_find_channel(api, ask);
    if (!stream)
        return ADMIN_FAILED;
    int error = engine_stream_pause(api->engine, stream, false, 0, admin_time(api), &ask->index);
    return error ? admin_fail_with(ask, error, "resume the channel") : admin_show(ask, admin_object_render_channel);
}

enum admin_step admin_channel_purge(struct admin_api *api, struct admin_ask *ask)
{
    if (!ask->begun)
        return begin_purge(api, ask);
    if (!ask->over)
        return ADMIN_LATER;
    if (ask->outcome == ERR_NOT_FOUND)
        return admin_fail(ask, ADMIN_CHANNEL_NOT_FOUND, NULL, "the channel has gone");
    if (ask->outcome)
        return admin_fail_with(ask, ask->outcome, "purge the channel");
    ask->index = ask->purge.index;
    return admin_show(ask, render_purged);
}

enum admin_step admin_channel_remove(struct admin_api *api, struct admin_ask *ask)
{
    struct stream *stream = admin_find_channel(api, ask);
    struct stream_state state;
    if (!stream)
        return ADMIN_FAILED;
    stream_state_get(stream, &state);
    if (state.members && !ask->fields.force)
        return admin_fail(ask, ADMIN_IN_USE, "force", "%u subscriptions take from this channel: ask with force",
                          state.members);
    int error = stan_control_remove_channel(api->options.stan, stream, &ask->index);
    return error ? admin_fail_with(ask, error, "remove the channel") : admin_show(ask, render_removed);
}

enum admin_step admin_show_removed(struct admin_ask *ask)
{
    return admin_show(ask, render_removed);
}

static enum admin_step read_config(struct admin_ask *ask, struct stream_edit *edit)
{
    const struct admin_config *from = &ask->fields.config;
    struct stream_config *to = &edit->config;
    const struct {
        enum admin_config_field field;
        uint64_t value, *target;
    } numbers[] = {
        {CONFIG_MAX_MSGS, from->max_msgs, &to->max_msgs},
        {CONFIG_MAX_BYTES, from->max_bytes, &to->max_bytes},
        {CONFIG_MAX_AGE_MS, from->max_age_ms * NS_PER_MS, &to->max_age_ns},
        {CONFIG_MAX_INACTIVITY_MS, from->max_inactivity_ms * NS_PER_MS, &edit->inactivity_ns},
        {CONFIG_DISCONNECT_GRACE_MS, from->disconnect_grace_ms * NS_PER_MS, &to->disconnect_grace_ns},
        {CONFIG_DUPLICATE_WINDOW_MS, from->duplicate_window_ms * NS_PER_MS, &to->duplicate_window_ns},
    };
    uint64_t given = ask->fields.config_present;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (given & FIELD_BIT(numbers[i].field))
            *numbers[i].target = numbers[i].value;
    }
    if (given & FIELD_BIT(CONFIG_MAX_SUBS))
        to->max_consumers = (uint32_t)from->max_subs;
    if (given & FIELD_BIT(CONFIG_MAX_DELIVER))
        to->max_deliver = (uint32_t)from->max_deliver;
    if (given & FIELD_BIT(CONFIG_BACKOFF_MS)) {
        if (from->backoff_ms.count > STREAM_BACKOFF_MAX)
            return admin_fail(ask, ADMIN_BAD_REQUEST, "config.backoff_ms", "backoff_ms has at most %d steps",
                              STREAM_BACKOFF_MAX);
        to->backoff_count = (uint8_t)from->backoff_ms.count;
        for (size_t i = 0; i < from->backoff_ms.count; i++)
            to->backoff_ns[i] = from->backoff_ms.at[i] * NS_PER_MS;
    }
    edit->edited = true;
    return read_texts(ask, edit);
}

static enum admin_step read_texts(struct admin_ask *ask, struct stream_edit *edit)
{
    const struct admin_config *from = &ask->fields.config;
    uint64_t given = ask->fields.config_present;
    bool discard_new = bytes_equal(from->discard, BYTES("new"));
    if (given & FIELD_BIT(CONFIG_DISCARD)) {
        if (!discard_new && !bytes_equal(from->discard, BYTES("old")))
            return admin_fail(ask, ADMIN_BAD_REQUEST, "config.discard", "discard must be old or new");
        edit->config.discard_new = discard_new;
    }
    if (given & FIELD_BIT(CONFIG_DEAD_LETTER)) {
        if (from->dead_letter.len && !stan_control_is_name(from->dead_letter))
            return admin_fail(ask, ADMIN_BAD_REQUEST, "config.dead_letter", "this is no name for a channel");
        edit->config.dead_letter = from->dead_letter;
    }
    return ADMIN_READY;
}

static enum admin_step propose_edit(struct admin_api *api, struct admin_ask *ask, struct stream *stream,
                                    const struct stream_edit *edit)
{
    int error = engine_stream_edit(api->engine, stream, edit, admin_time(api), &ask->index);
    return error ? admin_fail_with(ask, error, "configure the channel") : admin_show(ask, render_edited);
}

static bool render_edited(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    stan_control_edited(api->options.stan);
    return admin_object_render_channel(api, ask, out);
}

static enum admin_step begin_purge(struct admin_api *api, struct admin_ask *ask)
{
    static const enum admin_field fields[] = {FIELD_ALL, FIELD_BEFORE_SEQUENCE, FIELD_BEFORE_TIME, FIELD_KEEP};
    struct stream_purge *purge = &ask->purge;
    struct stream *stream = admin_find_channel(api, ask);
    size_t given = 0;
    if (!stream)
        return ADMIN_FAILED;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        given += admin_has(ask, fields[i]);
    if (given != 1 || (admin_has(ask, FIELD_ALL) && !ask->fields.all))
        return admin_fail(ask, ADMIN_BAD_REQUEST, "all",
                          "exactly one of all: true, before_sequence, before_time, keep must be given");
    *purge = (struct stream_purge){.before_sequence = UINT64_MAX, .before_time_ns = UINT64_MAX, .done = on_purged};
    if (admin_has(ask, FIELD_BEFORE_SEQUENCE))
        purge->before_sequence = ask->fields.before_sequence;
    if (admin_has(ask, FIELD_BEFORE_TIME) && timestamp_parse(ask->fields.before_time, &purge->before_time_ns))
        return admin_fail(ask, ADMIN_BAD_REQUEST, "before_time", "before_time must be a time as of RFC 3339");
    purge->keep = ask->fields.keep;
    int error = engine_stream_purge(api->engine, stream, purge, admin_time(api));
    if (error == ERR_IN_USE)
        return admin_fail(ask, ADMIN_CONFLICT, NULL, "the channel is being purged");
    return error ? admin_fail_with(ask, error, "purge the channel") : ADMIN_LATER;
}

static void on_purged(struct stream_purge *purge, int error)
{
    struct admin_ask *ask = container_of(purge, struct admin_ask, purge);
    ask->outcome = error;
    ask->over = true;
}

static bool render_purged(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    struct stream *stream = admin_find_channel_again(api, ask);
    struct json_writer json;
    size_t visits = 0;
    if (!stream)
        return false;
    json_writer_init_compact(&json, out);
    json_writer_begin_object(&json);
    admin_object_put_amount(&json, "purged", ask->purge.messages, ask->purge.bytes);
    json_writer_key(&json, "channel");
    admin_object_channel(api, &json, stream, &visits);
    json_writer_end(&json);
    return admin_object_finish(&json, ask);
}

static bool render_removed(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    struct json_writer json;
    (void)api;
    json_writer_init_compact(&json, out);
    json_writer_begin_object(&json);
    json_writer_put_bool(&json, "removed", true);
    json_writer_end(&json);
    return admin_object_finish(&json, ask);
}
