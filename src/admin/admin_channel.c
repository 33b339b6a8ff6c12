// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// CHANNEL.*: what channels there are.
#include "admin/admin_internal.h"
#include "subject/subject.h"

static bool render_list(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static bool is_meant(const struct admin_ask *ask, const struct stream *stream);
static uint64_t count_meant(struct admin_api *api, const struct admin_ask *ask);

enum admin_step admin_channel_list(struct admin_api *api, struct admin_ask *ask)
{
    uint64_t after[2];
    (void)api;
    if (!admin_page_after(ask, after))
        return ADMIN_FAILED;
    if (admin_has(ask, FIELD_MATCH) && !subject_is_valid_subscribe(ask->fields.match))
        return admin_fail(ask, ADMIN_BAD_REQUEST, "match", "match is no subject");
    return admin_show(ask, render_list);
}

enum admin_step admin_channel_info(struct admin_api *api, struct admin_ask *ask)
{
    return admin_find_channel(api, ask) ? admin_show(ask, admin_object_render_channel) : ADMIN_FAILED;
}

static bool render_list(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    struct admin_page page;
    struct json_writer json;
    uint64_t after[2];
    size_t visits = 0;
    (void)!admin_page_after(ask, after);
    admin_page_begin(&page, api, ask, "channels", out);
    struct stream *stream = engine_stream_after(api->engine, (uint32_t)after[0]);
    for (; stream; stream = engine_stream_next(api->engine, stream)) {
        struct stream_state state;
        if (!is_meant(ask, stream))
            continue;
        if (visits > ADMIN_VISITS_MAX || !admin_page_entry(&page, &json))
            break;
        stream_state_get(stream, &state);
        admin_object_channel(api, &json, stream, &visits);
        if (!admin_page_put(&page, &json, state.id, 0))
            break;
    }
    return admin_page_end(&page, ask, stream, count_meant(api, ask));
}

static bool is_meant(const struct admin_ask *ask, const struct stream *stream)
{
    return !admin_has(ask, FIELD_MATCH) || subject_match(ask->fields.match, stream_name(stream));
}

static uint64_t count_meant(struct admin_api *api, const struct admin_ask *ask)
{
    uint64_t count = 0;
    for (struct stream *each = engine_stream_next(api->engine, NULL); each;
         each = engine_stream_next(api->engine, each))
        count += is_meant(ask, each);
    return count;
}
