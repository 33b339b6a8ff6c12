// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// A list, page by page: {"<name>":[…],"total":…,"next":"…"}. An entry is written aside first, so that a page ends before the one that does not
// fit. The cursor is the place of the last entry in an order that never changes (ids), so whatever comes and goes meanwhile, what stays
// is listed once.
#include <stdio.h>

#include "admin/admin_internal.h"
#include "base/must.h"
#include "base/number.h"

enum { TAIL_ROOM = 128 }; // bytes: what stands behind the entries

bool admin_page_after(struct admin_ask *ask, uint64_t ret_after[2])
{
    struct bytes text = ask->fields.after, rest = text, part;
    ret_after[0] = ret_after[1] = 0;
    if (!admin_has(ask, FIELD_AFTER))
        return true;
    const char *dot = text.len ? memchr(text.ptr, '.', text.len) : NULL;
    part = bytes_make(text.ptr, dot ? (size_t)(dot - text.ptr) : text.len);
    rest = bytes_skip(text, dot ? part.len + 1 : text.len);
    if (number_parse_u64(part, UINT32_MAX, &ret_after[0]) == 0 &&
        (!dot || number_parse_u64(rest, UINT32_MAX, &ret_after[1]) == 0))
        return true;
    admin_fail(ask, ADMIN_BAD_REQUEST, "after", "after must be what an answer had as `next`");
    return false;
}

void admin_page_begin(struct admin_page *page, struct admin_api *api, const struct admin_ask *ask, const char *name,
                      struct buffer *out)
{
    *page = (struct admin_page){.api = api, .out = out, .limit = ADMIN_LIMIT_DEFAULT};
    if (admin_has(ask, FIELD_LIMIT))
        page->limit = ask->fields.limit;
    page->full = buffer_printf(out, "{\"%s\":[", name) != 0;
}

bool admin_page_entry(struct admin_page *page, struct json_writer *json)
{
    if (page->full || page->count >= page->limit)
        return false;
    buffer_clear(&page->api->piece);
    json_writer_init_compact(json, &page->api->piece);
    return true;
}

bool admin_page_put(struct admin_page *page, struct json_writer *json, uint64_t major, uint64_t minor)
{
    struct buffer *out = page->out;
    struct bytes piece = buffer_bytes(&page->api->piece);
    bool fits = json_writer_finish(json) == 0 && out->len + piece.len + 1 + TAIL_ROOM <= out->max;
    if (!fits || (page->count && buffer_append_char(out, ',')) || buffer_append(out, piece)) {
        page->full = true;
        return false;
    }
    page->count++;
    page->last[0] = major;
    page->last[1] = minor;
    return true;
}

bool admin_page_end(struct admin_page *page, struct admin_ask *ask, bool more, uint64_t total)
{
    struct buffer *out = page->out;
    int error = 0;
    if (page->full && page->count == 0) {
        admin_fail(ask, ADMIN_TOO_BIG, NULL, "not one entry fits into a message (max_payload)");
        return false;
    }
    error |= buffer_append_char(out, ']');
    if (total != UINT64_MAX)
        error |= buffer_printf(out, ",\"total\":%llu", (unsigned long long)total);
    if (more && page->last[1])
        error |= buffer_printf(out, ",\"next\":\"%llu.%llu\"", (unsigned long long)page->last[0],
                               (unsigned long long)page->last[1]);
    else if (more)
        error |= buffer_printf(out, ",\"next\":\"%llu\"", (unsigned long long)page->last[0]);
    error |= buffer_append_char(out, '}');
    if (error)
        admin_fail(ask, ADMIN_TOO_BIG, NULL, "the answer does not fit into a message (max_payload)");
    return !error;
}
