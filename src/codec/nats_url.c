// SPDX-License-Identifier: Apache-2.0
#include "codec/nats_url.h"

#include "base/number.h"
#include "codec/percent.h"

static bool take_scheme(struct bytes *rest, struct bytes scheme);
static int take_credentials(struct bytes text, struct nats_url *url);
static int take_place(struct bytes text, struct nats_url *url);
static int take_port(struct bytes text, struct nats_url *url);

int nats_url_parse(const char *server, struct nats_url *ret_url)
{
    struct nats_url url = {.port = "4222"};
    struct bytes rest = bytes_from_string(server);
    url.is_tls = take_scheme(&rest, BYTES("tls://"));
    if (!url.is_tls && !take_scheme(&rest, BYTES("nats://")) && memmem(rest.ptr, rest.len, "://", 3))
        return ERR_INVALID; // of another protocol: its secrets are not for this one
    if (rest.len > 0 && rest.ptr[rest.len - 1] == '/')
        rest.len--;
    const char *at = rest.len ? memrchr(rest.ptr, '@', rest.len) : NULL;
    int error = 0;
    if (at) {
        error = take_credentials(bytes_make(rest.ptr, (size_t)(at - rest.ptr)), &url);
        rest = bytes_skip(rest, (size_t)(at - rest.ptr) + 1);
    }
    if (!error)
        error = take_place(rest, &url);
    if (!error)
        *ret_url = url;
    return error;
}

static bool take_scheme(struct bytes *rest, struct bytes scheme)
{
    bool has = rest->len >= scheme.len && bytes_equal_fold(bytes_make(rest->ptr, scheme.len), scheme);
    if (has)
        *rest = bytes_skip(*rest, scheme.len);
    return has;
}

// One word alone is a token, as all clients have it.
static int take_credentials(struct bytes text, struct nats_url *url)
{
    const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
    if (!colon)
        return percent_decode(text, false, url->token, sizeof(url->token));
    size_t len = (size_t)(colon - text.ptr);
    int error = percent_decode(bytes_make(text.ptr, len), false, url->user, sizeof(url->user));
    return error ? error : percent_decode(bytes_skip(text, len + 1), false, url->password, sizeof(url->password));
}

static int take_place(struct bytes text, struct nats_url *url)
{
    bool has_brackets = text.len > 0 && text.ptr[0] == '[';
    if (has_brackets)
        text = bytes_skip(text, 1);
    const char *end = text.len ? memchr(text.ptr, has_brackets ? ']' : ':', text.len) : NULL;
    size_t len = end ? (size_t)(end - text.ptr) : text.len;
    if (len == 0 || len >= sizeof(url->host) || (has_brackets && !end) || memchr(text.ptr, '/', len))
        return ERR_INVALID;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text.ptr[i] <= ' ')
            return ERR_INVALID;
    }
    memcpy(url->host, text.ptr, len);
    struct bytes rest = bytes_skip(text, has_brackets ? len + 1 : len);
    if (rest.len == 0)
        return 0;
    return rest.ptr[0] == ':' ? take_port(bytes_skip(rest, 1), url) : ERR_INVALID;
}

static int take_port(struct bytes text, struct nats_url *url)
{
    uint64_t port;
    if (number_parse_u64(text, UINT16_MAX, &port) || port == 0)
        return ERR_INVALID;
    char digits[NUMBER_MAX_DIGITS];
    size_t len = number_format_u64(digits, port);
    memcpy(url->port, digits, len);
    url->port[len] = '\0';
    return 0;
}
