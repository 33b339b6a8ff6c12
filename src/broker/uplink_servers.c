// SPDX-License-Identifier: Apache-2.0
// Which servers an uplink may try, in which order, and when: those that were configured, then those that a server has named (CO-P18),
// with the credentials and for the certificate's name of the one who named them.
#include "base/memory.h"
#include "broker/uplink_internal.h"

#include <stdio.h>

static int add_configured(struct uplink_server *servers, uint32_t *count, struct bytes url);
static bool take_item(struct bytes *list, struct bytes *ret_item);
static int read_url(struct bytes text, struct nats_url *ret_url);
static bool is_known(const struct uplink *uplink, const struct nats_url *url);
static int read_list(const char *urls, struct uplink_server *servers, uint32_t *ret_count,
                     char message[UPLINK_MESSAGE_SIZE]);

int uplink_check(const char *urls, char ret_message[UPLINK_MESSAGE_SIZE])
{
    uint32_t count;
    struct uplink_server *servers = mem_alloc(UPLINK_CONFIGURED_MAX * sizeof(*servers));
    int error = read_list(urls, servers, &count, ret_message);
    mem_free(servers);
    return error;
}

int uplink_servers_init(struct uplink *uplink, char ret_message[UPLINK_MESSAGE_SIZE])
{
    uplink->servers = mem_alloc_zero(UPLINK_SERVERS_MAX * sizeof(*uplink->servers));
    return read_list(uplink->options.urls, uplink->servers, &uplink->server_count, ret_message);
}

void uplink_servers_deinit(struct uplink *uplink)
{
    mem_free(uplink->servers);
}

void uplink_servers_learn(struct uplink *uplink, struct bytes connect_urls)
{
    if (connect_urls.len == 0)
        return;
    uint32_t kept = 0;
    while (kept < uplink->server_count && uplink->servers[kept].is_configured)
        kept++;
    uplink->server_count = kept;
    struct bytes item;
    while (uplink->server_count < UPLINK_SERVERS_MAX && take_item(&connect_urls, &item)) {
        struct uplink_server *server = &uplink->servers[uplink->server_count];
        *server = uplink->current;
        struct nats_url place;
        if (read_url(item, &place) || is_known(uplink, &place))
            continue;
        memcpy(server->url.host, place.host, sizeof(place.host));
        memcpy(server->url.port, place.port, sizeof(place.port));
        server->is_configured = false;
        uplink->server_count++;
    }
}

uint64_t uplink_servers_next(struct uplink *uplink, bool was_serving)
{
    if (uplink->next >= uplink->server_count)
        uplink->next = 0;
    uplink->current = uplink->servers[uplink->next++];
    if (!was_serving && uplink->tried > 0 && uplink->tried < uplink->server_count)
        return 0;
    uint64_t wait_ms = UPLINK_WAIT_MS;
    for (uint32_t i = 0; i < uplink->rounds && wait_ms < UPLINK_WAIT_MAX_MS; i++)
        wait_ms *= 2;
    if (wait_ms > UPLINK_WAIT_MAX_MS)
        wait_ms = UPLINK_WAIT_MAX_MS;
    if (uplink->tried > 0)
        uplink->rounds++;
    uplink->tried = 0;
    // So that all who lost the same server do not come back together.
    return wait_ms / 2 + prng_below(&uplink->prng, wait_ms / 2 + 1);
}

// Nothing of a URL is shown: it may hold a password.
static int read_list(const char *urls, struct uplink_server *servers, uint32_t *ret_count,
                     char message[UPLINK_MESSAGE_SIZE])
{
    struct bytes list = bytes_from_string(urls), item;
    uint32_t count = 0;
    int error = 0;
    while (!error && take_item(&list, &item))
        error = add_configured(servers, &count, item);
    if (error == ERR_LIMIT)
        snprintf(message, UPLINK_MESSAGE_SIZE, "more than %d servers", UPLINK_CONFIGURED_MAX);
    else if (error || count == 0)
        snprintf(message, UPLINK_MESSAGE_SIZE,
                 "nats://[USER:PASSWORD@]HOST[:PORT] is expected, or several of them "
                 "separated by commas");
    *ret_count = count;
    return error || count == 0 ? ERR_INVALID : 0;
}

static int add_configured(struct uplink_server *servers, uint32_t *count, struct bytes url)
{
    if (*count == UPLINK_CONFIGURED_MAX)
        return ERR_LIMIT;
    struct uplink_server *server = &servers[*count];
    *server = (struct uplink_server){.is_configured = true};
    int error = read_url(url, &server->url);
    if (error)
        return ERR_INVALID;
    memcpy(server->tls_name, server->url.host, sizeof(server->tls_name));
    ++*count;
    return 0;
}

// The next that is not empty, without blanks around it.
static bool take_item(struct bytes *list, struct bytes *ret_item)
{
    while (list->len > 0) {
        const char *comma = memchr(list->ptr, ',', list->len);
        struct bytes item = bytes_make(list->ptr, comma ? (size_t)(comma - list->ptr) : list->len);
        *list = bytes_skip(*list, comma ? item.len + 1 : item.len);
        while (item.len > 0 && item.ptr[0] == ' ')
            item = bytes_skip(item, 1);
        while (item.len > 0 && item.ptr[item.len - 1] == ' ')
            item.len--;
        *ret_item = item;
        if (item.len > 0)
            return true;
    }
    return false;
}

static int read_url(struct bytes text, struct nats_url *ret_url)
{
    char url[1024];
    if (text.len >= sizeof(url) || memchr(text.ptr, '\0', text.len))
        return ERR_INVALID;
    memcpy(url, text.ptr, text.len);
    url[text.len] = '\0';
    return nats_url_parse(url, ret_url);
}

static bool is_known(const struct uplink *uplink, const struct nats_url *url)
{
    for (uint32_t i = 0; i < uplink->server_count; i++) {
        const struct nats_url *known = &uplink->servers[i].url;
        if (strcmp(known->host, url->host) == 0 && strcmp(known->port, url->port) == 0)
            return true;
    }
    return false;
}
