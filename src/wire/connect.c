// SPDX-License-Identifier: Apache-2.0
// CONNECT by its table of fields.
#include "wire/connect.h"

#include "base/memory.h"
#include "codec/json_fields.h"

#define PROTOCOL_MAX 1

#define FIELD(name, member, type, always)                                                                              \
    {                                                                                                                  \
        name, offsetof(struct wire_connect, member), type, always                                                      \
    }

static const struct json_field FIELDS[] = {
    FIELD("verbose", verbose, JSON_FIELD_BOOL, true),
    FIELD("pedantic", pedantic, JSON_FIELD_BOOL, true),
    FIELD("tls_required", tls_required, JSON_FIELD_BOOL, true),
    FIELD("user", user, JSON_FIELD_BYTES, false),
    FIELD("pass", pass, JSON_FIELD_BYTES, false),
    FIELD("auth_token", auth_token, JSON_FIELD_BYTES, false),
    FIELD("nkey", nkey, JSON_FIELD_BYTES, false),
    FIELD("jwt", jwt, JSON_FIELD_BYTES, false),
    FIELD("sig", sig, JSON_FIELD_BYTES, false),
    FIELD("name", name, JSON_FIELD_BYTES, true),
    FIELD("lang", lang, JSON_FIELD_BYTES, true),
    FIELD("version", version, JSON_FIELD_BYTES, true),
    FIELD("account", account, JSON_FIELD_BYTES, false),
    FIELD("protocol", protocol, JSON_FIELD_INT, true),
    FIELD("echo", echo, JSON_FIELD_BOOL, true),
    FIELD("headers", headers, JSON_FIELD_BOOL, true),
    FIELD("no_responders", no_responders, JSON_FIELD_BOOL, true),
};
#define FIELD_COUNT (sizeof(FIELDS) / sizeof(FIELDS[0]))

void connect_init(struct wire_connect *connect)
{
    *connect = (struct wire_connect){.verbose = true, .pedantic = true, .echo = true};
}

int connect_parse(struct bytes json, struct wire_connect *ret_connect)
{
    struct wire_connect connect;
    connect_init(&connect);
    int error = connect_parse_over(json, &connect);
    if (error)
        return error;
    *ret_connect = connect;
    return 0;
}

int connect_parse_over(struct bytes json, struct wire_connect *connect)
{
    if (bytes_equal(json, BYTES("null")))
        return 0;
    return json_fields_read(json, FIELDS, FIELD_COUNT, connect, &connect->owned);
}

bool connect_is_supported(const struct wire_connect *connect)
{
    return connect->protocol >= 0 && connect->protocol <= PROTOCOL_MAX;
}

void connect_deinit(struct wire_connect *connect)
{
    mem_free(connect->owned);
    connect_init(connect);
}

int connect_encode(const struct wire_connect *connect, char *ret_line, size_t size, size_t *ret_len)
{
    return json_fields_write("CONNECT", FIELDS, FIELD_COUNT, connect, ret_line, size, ret_len);
}
