// SPDX-License-Identifier: Apache-2.0
#include "cmd/server_list.h"

#include <stdio.h>

#include "base/memory.h"
#include "codec/nats_url.h"

static int add(struct server_list *list, struct bytes url);

int server_list_init(struct server_list *list, const char *text)
{
    struct bytes rest = bytes_from_string(text);
    int error = 0;
    list->count = 0;
    while (!error && rest.len > 0) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        size_t len = comma ? (size_t)(comma - rest.ptr) : rest.len;
        struct bytes url = bytes_trim(bytes_make(rest.ptr, len));
        error = url.len ? add(list, url) : 0;
        rest = bytes_skip(rest, len + (comma != NULL));
    }
    if (!error && list->count == 0)
        error = ERR_INVALID;
    if (error)
        server_list_deinit(list);
    return error;
}

void server_list_deinit(struct server_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->entries[i].url);
    list->count = 0;
}

static int add(struct server_list *list, struct bytes url)
{
    if (list->count == SERVER_LIST_MAX)
        return ERR_LIMIT;
    struct server_list_entry *entry = &list->entries[list->count++];
    struct nats_url parsed;
    entry->url = mem_copy_string(url);
    int error = nats_url_parse(entry->url, &parsed);
    if (!error)
        snprintf(entry->name, sizeof(entry->name), strchr(parsed.host, ':') ? "[%s]:%s" : "%s:%s", parsed.host,
                 parsed.port);
    return error ? ERR_INVALID : 0;
}
