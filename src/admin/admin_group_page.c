// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// A page of groups, of one channel or of all: a bounded number of them is looked at, whether they are meant or not, so a page may have few
// entries, or none, and still go on.
#include "admin/admin_internal.h"

static bool put_channel(struct admin_page *page, const struct admin_ask *ask, const struct admin_groups *groups,
                        struct stream *stream, uint32_t after, size_t *visits);

bool admin_group_page(struct admin_api *api, struct admin_ask *ask, struct buffer *out,
                      const struct admin_groups *groups)
{
    struct admin_page page;
    uint64_t after[2];
    struct stream *only = NULL;
    size_t visits = 0;
    bool more = false;
    (void)!admin_page_after(ask, after);
    if (admin_has(ask, FIELD_CHANNEL) && !(only = admin_find_channel_again(api, ask)))
        return false;
    admin_page_begin(&page, api, ask, "groups", out);
    struct stream *stream = only;
    if (!only)
        stream = engine_stream_after(api->engine, after[0] ? (uint32_t)after[0] - 1 : 0);
    for (; stream && !more; stream = only ? NULL : engine_stream_next(api->engine, stream))
        more = put_channel(&page, ask, groups, stream, stream_id(stream) == after[0] ? (uint32_t)after[1] : 0, &visits);
    return admin_page_end(&page, ask, more, groups->count ? groups->count(api, ask, only) : UINT64_MAX);
}

// Returns whether there are more than the page takes.
static bool put_channel(struct admin_page *page, const struct admin_ask *ask, const struct admin_groups *groups,
                        struct stream *stream, uint32_t after, size_t *visits)
{
    struct admin_api *api = page->api;
    struct json_writer json;
    struct consumer *each = engine_consumer_after(api->engine, stream, after);
    for (; each; each = stream_consumer_next(stream, each)) {
        if (!groups->is_meant(ask, each)) {
            if (++*visits < ADMIN_VISITS_MAX)
                continue;
            page->last[0] = stream_id(stream); // it goes on behind this one, which is not meant
            page->last[1] = consumer_id(each);
            return true;
        }
        if (!admin_page_entry(page, &json))
            return true;
        groups->put(api, &json, each);
        if (!admin_page_put(page, &json, stream_id(stream), consumer_id(each)))
            return true;
    }
    return false;
}
