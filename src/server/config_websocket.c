// SPDX-License-Identifier: Apache-2.0
// The `websocket` block (CO-T04).
#include "server/config_blocks.h"
#include "server/config_reader.h"
#include "server/units.h"

#define AT(field) offsetof(struct websocket_config, field)

#define NO_COOKIE "credentials come in CONNECT, not in cookies"
#define NO_JWT    "there are no JWTs here, so none comes in a cookie"

static int read_listen(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_port(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_tls(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_origins(struct config_reader *reader, const struct conf_member *member, void *target);

static const struct config_key keys[] = {
    CONFIG_OWN("listen", "HOST:PORT, \":PORT\" or a port", 0, read_listen, CONFIG_RELOAD_NO, NULL,
               "where browsers connect; a port of -1: any free one"),
    CONFIG_KEY("host,net", CONFIG_STRING, AT(host), 0, 0, CONFIG_RELOAD_NO, "0.0.0.0", "the address of `listen`"),
    CONFIG_OWN("port", "an integer from -1 to 65535", 0, read_port, CONFIG_RELOAD_NO, "none: no listener",
               "the port of `listen`"),
    CONFIG_KEY("advertise", CONFIG_STRING, AT(advertise), 0, 0, CONFIG_RELOAD_NO, NULL,
               "`HOST[:PORT]` that clients are told to connect to"),
    CONFIG_MAP("tls", AT(tls), &config_tls_block, read_tls, CONFIG_RELOAD_NO, "of this listener"),
    CONFIG_KEY("no_tls", CONFIG_BOOL, AT(no_tls), 0, 0, CONFIG_RELOAD_NO, "false",
               "plain text, for what is behind a proxy that speaks TLS; without it `tls` is needed"),
    CONFIG_KEY("same_origin", CONFIG_BOOL, AT(same_origin), 0, 0, CONFIG_RELOAD_NO, "false",
               "a page must come from the host that it connects to"),
    CONFIG_OWN("allowed_origins,allowed_origin,allow_origins,allow_origin,origins,origin",
               "a string or an array of strings", 0, read_origins, CONFIG_RELOAD_NO, "all",
               "pages that may connect, as `https://example.org:8080`"),
    CONFIG_KEY("compression,compress,websocket_compress,websocket_compression,ws_compress,ws_compression", CONFIG_BOOL,
               AT(compression), 0, 0, CONFIG_RELOAD_NO, "false", "messages are deflated for clients that offer it"),
    CONFIG_KEY("handshake_timeout", CONFIG_DURATION, AT(handshake_ns), MS, DAY, CONFIG_RELOAD_NO, "2s",
               "for the HTTP request that begins it"),
    CONFIG_KEY("ping_interval", CONFIG_DURATION, AT(ping_interval_ns), 10 * MS, DAY, CONFIG_RELOAD_NO,
               "that of the server", "between pings to a client"),
    CONFIG_KEY("no_auth_user", CONFIG_STRING, AT(no_auth_user), 0, 0, CONFIG_RELOAD_NO, "that of the server",
               "the user that a client without credentials is"),
    CONFIG_MAP("authorization,authentication", 0, &config_websocket_authorization_block, NULL, CONFIG_RELOAD_NO,
               "a user or a token for this listener alone"),
    CONFIG_NOT_SERVED("jwt_cookie", NO_JWT),
    CONFIG_NOT_SERVED("user_cookie,pass_cookie,token_cookie", NO_COOKIE),
    CONFIG_NOT_SERVED("headers", "headers of the HTTP response cannot be added yet"),
    CONFIG_NO_EFFECT("no_masking,ws_no_masking,websocket_no_masking", "it is about connections between servers"),
};
static const struct config_key authorization_keys[] = {
    CONFIG_KEY("user,username", CONFIG_STRING, AT(user), 0, 0, CONFIG_RELOAD_NO, NULL, "that clients must name"),
    CONFIG_SECRET("password,pass", AT(password), CONFIG_RELOAD_NO, "of that user, plain or bcrypt"),
    CONFIG_SECRET("token", AT(token), CONFIG_RELOAD_NO, "that clients must have, plain or bcrypt"),
    CONFIG_KEY("timeout", CONFIG_SECONDS, AT(auth_timeout_ns), 0, 0, CONFIG_RELOAD_NO, "that of the server",
               "until a client must have said who it is"),
    CONFIG_NOT_SERVED("users", "lists of users are the server's: accounts or authorization"),
};

const struct config_block config_websocket_block = CONFIG_BLOCK_OF("websocket", keys);
const struct config_block config_websocket_authorization_block =
    CONFIG_BLOCK_OF("websocket authorization", authorization_keys);

static int read_listen(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct websocket_config *websocket = target;
    int error = config_reader_address(reader, member, &websocket->host, &websocket->port);
    websocket->on |= !error && websocket->port != 0;
    return error;
}

static int read_port(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct websocket_config *websocket = target;
    int64_t port;
    int error = config_reader_integer(reader, member, -1, 65535, &port);
    if (error)
        return error;
    websocket->port = (int32_t)port;
    websocket->on = port != 0;
    return 0;
}

static int read_tls(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct tls_options *tls = target;
    if (config_reader_map(reader, member))
        return ERR_INVALID;
    tls->use = TLS_OPTIONS_ON;
    tls->where = config_reader_where(reader, member->place);
    int error = config_reader_apply(reader, &config_tls_block, &member->value, tls);
    const char *wrong = error ? NULL : tls_options_check(tls);
    return wrong ? config_reader_fail(reader, member->place, "%s", wrong) : error;
}

static int read_origins(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct websocket_config *websocket = target;
    struct auth_strings texts;
    int error = config_reader_strings(reader, member, &texts);
    if (error)
        return error;
    if (texts.count > WEBSOCKET_CONFIG_ORIGINS_MAX)
        return config_reader_fail(reader, member->place, "%.*s: more than %d", BYTES_ARG(member->name),
                                  WEBSOCKET_CONFIG_ORIGINS_MAX);
    for (uint32_t i = 0; i < texts.count; i++)
        websocket->origins[i] = texts.items[i];
    websocket->origin_count = texts.count;
    return 0;
}
