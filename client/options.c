// SPDX-License-Identifier: Apache-2.0
#include "client/options.h"

#include "client/error.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>

enum { ID_MAX = 255, CHANNEL_MAX = 4096, URL_MAX = 8191, YEAR_S = 365 * 24 * 3600 };

#define COUNT(array)             (sizeof(array) / sizeof((array)[0]))
#define TEXT_AT(options, offset) ((const char **)(void *)((char *)(options) + (offset)))

static const size_t client_texts[] = {
    offsetof(struct weir_client_options, servers),        offsetof(struct weir_client_options, cluster_id),
    offsetof(struct weir_client_options, client_id),      offsetof(struct weir_client_options, name),
    offsetof(struct weir_client_options, user),           offsetof(struct weir_client_options, password),
    offsetof(struct weir_client_options, token),          offsetof(struct weir_client_options, nkey_public),
    offsetof(struct weir_client_options, nkey_seed_file), offsetof(struct weir_client_options, credentials_file),
    offsetof(struct weir_client_options, tls_ca_file),    offsetof(struct weir_client_options, tls_cert_file),
    offsetof(struct weir_client_options, tls_key_file),   offsetof(struct weir_client_options, discover_prefix),
};
static const size_t sub_texts[] = {offsetof(struct weir_sub_options, group),
                                   offsetof(struct weir_sub_options, durable)};

static int read_options(const void *from, void *to, size_t size, struct weir_error *ret_error);
static bool is_server(const char *url, size_t len);
static int check_channel(const char *channel, struct weir_error *ret_error);
static int copy_texts(void *options, const size_t *offsets, size_t count, struct weir_error *ret_error);
static void free_texts(void *options, const size_t *offsets, size_t count);
static void default_text(const char **text, const char *value);

int weir_options_client_copy(const struct weir_client_options *options, struct weir_client_options *ret,
                             struct weir_error *ret_error)
{
    struct weir_client_options copy = {0};
    char unique[WEIR_UNIQUE_BYTES], made_up[WEIR_UNIQUE_BYTES + 8];
    int error = read_options(options, &copy, sizeof(copy), ret_error);
    if (error)
        return error;
    if (weir_options_unique(unique))
        return weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    snprintf(made_up, sizeof(made_up), "weir-%s", unique);
    default_text(&copy.servers, "nats://127.0.0.1:4222");
    default_text(&copy.cluster_id, "test-cluster");
    default_text(&copy.client_id, made_up);
    default_text(&copy.name, copy.client_id);
    default_text(&copy.discover_prefix, "_STAN.discover");
    if (strlen(copy.client_id) > ID_MAX || strlen(copy.cluster_id) > ID_MAX || strlen(copy.discover_prefix) > ID_MAX)
        return weir_error_set(ret_error, WEIR_ERR_TOO_BIG,
                              "client id, cluster id and discover prefix have at most %d bytes", ID_MAX);
    if ((error = weir_options_default_time(&copy.connect_timeout_ms, 2000, "connect_timeout_ms", ret_error)) ||
        (error = weir_options_default_time(&copy.request_timeout_ms, 10000, "request_timeout_ms", ret_error)) ||
        (error = weir_options_default_time(&copy.publish_timeout_ms, 30000, "publish_timeout_ms", ret_error)) ||
        (error = weir_options_default_time(&copy.ping_interval_ms, 5000, "ping_interval_ms", ret_error)) ||
        (error = weir_options_default_time(&copy.reconnect_wait_ms, 250, "reconnect_wait_ms", ret_error)))
        return error;
    copy.ping_interval_ms = (copy.ping_interval_ms + 999) / 1000 * 1000;
    copy.max_publishes_in_flight = copy.max_publishes_in_flight ? copy.max_publishes_in_flight : 16384;
    copy.ping_max_out = copy.ping_max_out == 0 ? 88 : copy.ping_max_out < 2 ? 2 : copy.ping_max_out;
    if (copy.ping_max_out > INT_MAX)
        copy.ping_max_out = INT_MAX;
    if ((error = copy_texts(&copy, client_texts, COUNT(client_texts), ret_error)))
        return error;
    *ret = copy;
    return 0;
}

void weir_options_client_deinit(struct weir_client_options *options)
{
    if (options->password)
        explicit_bzero((char *)(uintptr_t)options->password, strlen(options->password));
    free_texts(options, client_texts, COUNT(client_texts));
}

int weir_options_sub_copy(const char *channel, const struct weir_sub_options *options, struct weir_sub_options *ret,
                          struct weir_error *ret_error)
{
    struct weir_sub_options copy = {0};
    int error = read_options(options, &copy, sizeof(copy), ret_error);
    if (error || (error = check_channel(channel, ret_error)) ||
        (error = weir_options_default_time(&copy.ack_wait_ms, 30000, "ack_wait_ms", ret_error)))
        return error;
    copy.max_in_flight = copy.max_in_flight ? copy.max_in_flight : 1024;
    if (copy.max_in_flight > INT_MAX)
        copy.max_in_flight = INT_MAX;
    if (copy.group && !copy.group[0])
        copy.group = NULL;
    if (copy.durable && !copy.durable[0])
        copy.durable = NULL;
    if ((copy.group && strlen(copy.group) > ID_MAX) || (copy.durable && strlen(copy.durable) > ID_MAX))
        return weir_error_set(ret_error, WEIR_ERR_TOO_BIG, "group and durable have at most %d bytes", ID_MAX);
    if ((error = copy_texts(&copy, sub_texts, COUNT(sub_texts), ret_error)))
        return error;
    *ret = copy;
    return 0;
}

void weir_options_sub_deinit(struct weir_sub_options *options)
{
    free_texts(options, sub_texts, COUNT(sub_texts));
}

int weir_options_read_publish(const char *channel, const void *data, size_t data_bytes,
                              const struct weir_publish_options *options, struct weir_publish_options *ret,
                              struct weir_error *ret_error)
{
    struct weir_publish_options copy = {0};
    int error = read_options(options, &copy, sizeof(copy), ret_error);
    if (error || (error = check_channel(channel, ret_error)))
        return error;
    if (!data && data_bytes > 0)
        return weir_error_set(ret_error, WEIR_ERR_INVALID, "data is NULL");
    if (data_bytes > INT_MAX / 2)
        return weir_error_set(ret_error, WEIR_ERR_TOO_BIG, "%zu bytes are more than any server takes", data_bytes);
    if ((error = weir_options_default_time(&copy.timeout_ms, 0, "timeout_ms", ret_error)))
        return error;
    if (copy.id && !copy.id[0])
        copy.id = NULL;
    if (copy.id && strlen(copy.id) > ID_MAX)
        return weir_error_set(ret_error, WEIR_ERR_TOO_BIG, "a message's id has at most %d bytes", ID_MAX);
    for (const char *byte = copy.id; byte && *byte; byte++) {
        if ((unsigned char)*byte < ' ' || *byte == 127)
            return weir_error_set(ret_error, WEIR_ERR_INVALID, "a message's id has no control characters");
    }
    *ret = copy;
    return 0;
}

int weir_options_check_servers(const char *urls, size_t number, struct weir_error *ret_error)
{
    for (const char *url = urls;; url++, number++) {
        size_t len = strcspn(url, ",");
        if (!is_server(url, len)) // which it is, and not its text: there may be a password in it
            return weir_error_set(ret_error, WEIR_ERR_INVALID,
                                  "URL %zu of the list is none of a server: nats://HOST:PORT, or tls://, with a port "
                                  "of 1 to 65535",
                                  number);
        url += len;
        if (!*url)
            return 0;
    }
}

int weir_options_default_time(int64_t *time_ms, int64_t value_ms, const char *name, struct weir_error *ret_error)
{
    if (*time_ms < 0 || *time_ms > (int64_t)YEAR_S * 1000)
        return weir_error_set(ret_error, WEIR_ERR_INVALID, "%s is negative, or more than a year", name);
    if (*time_ms == 0)
        *time_ms = value_ms;
    return 0;
}

int weir_options_letters(char *ret_text, size_t size)
{
    if (getentropy(ret_text, size) != 0)
        return WEIR_ERR_MEMORY;
    for (size_t i = 0; i + 1 < size; i++)
        ret_text[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(unsigned char)ret_text[i] % 62];
    ret_text[size - 1] = '\0';
    return 0;
}

int weir_options_unique(char ret_text[WEIR_UNIQUE_BYTES])
{
    natsInbox *inbox = NULL; // "_INBOX." and a NUID
    if (natsInbox_Create(&inbox) != NATS_OK)
        return WEIR_ERR_MEMORY;
    const char *last = strrchr(inbox, '.');
    snprintf(ret_text, WEIR_UNIQUE_BYTES, "%s", last ? last + 1 : inbox);
    natsInbox_Destroy(inbox);
    return 0;
}

// A caller that was compiled with a newer library has more fields than we know, one with an older library fewer.
static int read_options(const void *from, void *to, size_t size, struct weir_error *ret_error)
{
    size_t theirs;
    memcpy(to, &size, sizeof(size)); // a copy may be read again: a fleet's are
    if (!from)
        return 0;
    memcpy(&theirs, from, sizeof(theirs));
    if (theirs < sizeof(theirs) || theirs > 65536)
        return weir_error_set(ret_error, WEIR_ERR_INVALID,
                              "the options were not initialized: call their init function first");
    memcpy((char *)to + sizeof(size), (const char *)from + sizeof(size),
           (theirs < size ? theirs : size) - sizeof(size));
    return 0;
}

// What libnats takes for a server that is away, and, of a blank, crashes on. Blanks around it are allowed, and an IPv6 address without brackets, which
// has no port.
static bool is_server(const char *url, size_t len)
{
    char text[URL_MAX + 1], *end;
    while (len > 0 && (unsigned char)*url <= ' ') {
        url++;
        len--;
    }
    while (len > 0 && (unsigned char)url[len - 1] <= ' ')
        len--;
    if (len == 0 || len > URL_MAX)
        return false;
    memcpy(text, url, len);
    text[len] = '\0';
    char *host = strstr(text, "://");
    if (host && strncasecmp(text, "nats://", 7) != 0 && strncasecmp(text, "tls://", 6) != 0)
        return false;
    host = host ? host + 3 : text;
    char *login_end = strrchr(host, '@');
    host = login_end ? login_end + 1 : host;
    host[strcspn(host, "/")] = '\0';
    char *bracket = strrchr(host, ']');
    const char *port = strchr(bracket ? bracket : host, ':');
    if (!port || !port[1] || (!bracket && strchr(port + 1, ':')))
        return true;
    unsigned long number = strtoul(port + 1, &end, 10);
    return port[1] >= '0' && port[1] <= '9' && !*end && number >= 1 && number <= 65535;
}

// Whether it may be a part of a NATS subject: what has a blank would be read as something else, and an empty word reaches nobody. Of channels
// there are no wildcards (ST-B17); a fleet without a server that could say so would go on trying.
static int check_channel(const char *channel, struct weir_error *ret_error)
{
    if (!channel || !channel[0])
        return weir_error_set(ret_error, WEIR_ERR_INVALID, "a channel has a name");
    size_t len = 0;
    for (char before = '.'; channel[len]; before = channel[len++]) {
        if ((unsigned char)channel[len] <= ' ' || channel[len] == 127 || (before == '.' && channel[len] == '.'))
            return weir_error_set(ret_error, WEIR_ERR_INVALID,
                                  "channel \"%.100s\" has a blank, a control character or an empty word", channel);
        if (channel[len] == '*' || channel[len] == '>')
            return weir_error_set(ret_error, WEIR_ERR_INVALID,
                                  "channel \"%.100s\" has a wildcard: a channel is one, by its whole name", channel);
        if (len >= CHANNEL_MAX)
            return weir_error_set(ret_error, WEIR_ERR_TOO_BIG, "a channel's name has at most %d bytes", CHANNEL_MAX);
    }
    if (channel[len - 1] == '.')
        return weir_error_set(ret_error, WEIR_ERR_INVALID, "channel \"%.100s\" ends with a dot", channel);
    return 0;
}

static int copy_texts(void *options, const size_t *offsets, size_t count, struct weir_error *ret_error)
{
    for (size_t i = 0; i < count; i++) {
        const char **text = TEXT_AT(options, offsets[i]);
        if (*text && !(*text = strdup(*text))) {
            free_texts(options, offsets, i);
            return weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
        }
    }
    return 0;
}

static void free_texts(void *options, const size_t *offsets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char **text = TEXT_AT(options, offsets[i]);
        free((char *)(uintptr_t)*text);
        *text = NULL;
    }
}

static void default_text(const char **text, const char *value)
{
    if (!*text || !(*text)[0])
        *text = value;
}
