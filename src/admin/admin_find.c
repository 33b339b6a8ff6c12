// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// From the names in a request to what they name. A group's name is what /streaming/channelsz calls it; its id names it alone.
#include "admin/admin_internal.h"
#include "stan/member_data.h"

static bool is_named(const struct consumer *consumer, const struct admin_ask *ask);

struct stream *admin_find_channel(struct admin_api *api, struct admin_ask *ask)
{
    struct bytes name = ask->fields.channel;
    struct stream *stream = engine_stream_find(api->engine, ADMIN_ACCOUNT, name);
    if (!stream) {
        admin_fail(ask, ADMIN_CHANNEL_NOT_FOUND, "channel", "there is no channel \"%.*s\"", (int)name.len, name.ptr);
        return NULL;
    }
    ask->stream = stream_id(stream);
    return stream;
}

struct consumer *admin_find_group(struct admin_api *api, struct admin_ask *ask)
{
    struct consumer *found = NULL;
    struct bytes name = ask->fields.group;
    if (!admin_has(ask, FIELD_GROUP_ID) && !(admin_has(ask, FIELD_CHANNEL) && admin_has(ask, FIELD_GROUP))) {
        admin_fail(ask, ADMIN_BAD_REQUEST, "group", "channel and group, or group_id, are missing");
        return NULL;
    }
    struct stream *stream = admin_has(ask, FIELD_CHANNEL) ? admin_find_channel(api, ask) : NULL;
    if (admin_has(ask, FIELD_CHANNEL) && !stream)
        return NULL;
    if (admin_has(ask, FIELD_GROUP_ID)) {
        found = engine_consumer_by_id(api->engine, (uint32_t)ask->fields.group_id);
        if (!found || (stream && consumer_stream(found) != stream) ||
            (admin_has(ask, FIELD_GROUP) && !is_named(found, ask))) {
            admin_fail(ask, ADMIN_GROUP_NOT_FOUND, "group_id", "there is no such group %llu",
                       (unsigned long long)ask->fields.group_id);
            return NULL;
        }
    }
    for (struct consumer *each = found ? NULL : stream_consumer_next(stream, NULL); each;
         each = stream_consumer_next(stream, each)) {
        if (!is_named(each, ask))
            continue;
        if (found) {
            admin_fail(ask, ADMIN_AMBIGUOUS, "group", "there are several groups \"%.*s\": ask with group_id",
                       (int)name.len, name.ptr);
            return NULL;
        }
        found = each;
    }
    if (!found) {
        admin_fail(ask, ADMIN_GROUP_NOT_FOUND, "group", "there is no group \"%.*s\" in this channel", (int)name.len,
                   name.ptr);
        return NULL;
    }
    ask->consumer = consumer_id(found);
    ask->stream = stream_id(consumer_stream(found));
    return found;
}

struct stream *admin_find_channel_again(struct admin_api *api, struct admin_ask *ask)
{
    struct stream *stream = engine_stream_by_id(api->engine, ask->stream);
    if (!stream)
        admin_fail(ask, ADMIN_CHANNEL_NOT_FOUND, NULL, "the channel has gone");
    return stream;
}

struct consumer *admin_find_group_again(struct admin_api *api, struct admin_ask *ask)
{
    struct consumer *consumer = engine_consumer_by_id(api->engine, ask->consumer);
    if (!consumer)
        admin_fail(ask, ADMIN_GROUP_NOT_FOUND, NULL, "the group has gone");
    return consumer;
}

struct bytes admin_find_group_name(const struct consumer *consumer, struct bytes *ret_client)
{
    struct stan_consumer_view view;
    struct member_data data;
    stan_inspect_consumer(consumer, &view);
    *ret_client = view.client_id;
    if (view.queue.len || view.durable.len)
        return view.queue.len ? view.queue : view.durable;
    const struct member *member = consumer_member_next((struct consumer *)(uintptr_t)consumer, NULL);
    if (!member || member_data_decode(member_config_get(member)->data, &data))
        return consumer_name_get(consumer);
    *ret_client = data.client_id;
    return data.inbox;
}

bool admin_find_matches(struct bytes pattern, struct bytes text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.len && pattern.ptr[p] == text.ptr[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

static bool is_named(const struct consumer *consumer, const struct admin_ask *ask)
{
    struct bytes client, name = admin_find_group_name(consumer, &client);
    return bytes_equal(name, ask->fields.group) &&
           (!admin_has(ask, FIELD_CLIENT_ID) || bytes_equal(client, ask->fields.client_id));
}
