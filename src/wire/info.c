// SPDX-License-Identifier: Apache-2.0
// INFO by its table of fields; the order is nats-server's.
#include "wire/info.h"

#include "base/memory.h"
#include "codec/json_fields.h"

#define FIELD(name, member, type, always)                                                                              \
    {                                                                                                                  \
        name, offsetof(struct wire_info, member), type, always                                                         \
    }

static const struct json_field FIELDS[] = {
    FIELD("server_id", server_id, JSON_FIELD_BYTES, true),
    FIELD("server_name", server_name, JSON_FIELD_BYTES, true),
    FIELD("version", version, JSON_FIELD_BYTES, true),
    FIELD("weir_version", weir_version, JSON_FIELD_BYTES, false),
    FIELD("proto", proto, JSON_FIELD_INT, true),
    FIELD("git_commit", git_commit, JSON_FIELD_BYTES, false),
    FIELD("go", go, JSON_FIELD_BYTES, true),
    FIELD("host", host, JSON_FIELD_BYTES, true),
    FIELD("port", port, JSON_FIELD_U16, true),
    FIELD("headers", headers, JSON_FIELD_BOOL, true),
    FIELD("auth_required", auth_required, JSON_FIELD_BOOL, false),
    FIELD("tls_required", tls_required, JSON_FIELD_BOOL, false),
    FIELD("tls_verify", tls_verify, JSON_FIELD_BOOL, false),
    FIELD("tls_available", tls_available, JSON_FIELD_BOOL, false),
    FIELD("max_payload", max_payload, JSON_FIELD_I64, true),
    FIELD("jetstream", jetstream, JSON_FIELD_BOOL, false),
    FIELD("client_id", client_id, JSON_FIELD_U64, false),
    FIELD("client_ip", client_ip, JSON_FIELD_BYTES, false),
    FIELD("nonce", nonce, JSON_FIELD_BYTES, false),
    FIELD("cluster", cluster, JSON_FIELD_BYTES, false),
    FIELD("ldm", lame_duck, JSON_FIELD_BOOL, false),
    FIELD("connect_urls", connect_urls, JSON_FIELD_LIST, false),
};
#define FIELD_COUNT (sizeof(FIELDS) / sizeof(FIELDS[0]))

int info_encode(const struct wire_info *info, char *ret_line, size_t size, size_t *ret_len)
{
    struct wire_info filled = *info;
    if (filled.version.len == 0)
        filled.version = BYTES(INFO_NATS_VERSION);
    if (filled.weir_version.len == 0)
        filled.weir_version = BYTES(WEIR_VERSION);
    if (filled.go.len == 0)
        filled.go = BYTES("C " __VERSION__);
    if (filled.proto == 0)
        filled.proto = 1;
    return json_fields_write("INFO", FIELDS, FIELD_COUNT, &filled, ret_line, size, ret_len);
}

int info_parse(struct bytes json, struct wire_info *ret_info)
{
    struct wire_info info = {0};
    int error = json_fields_read(json, FIELDS, FIELD_COUNT, &info, &info.owned);
    if (!error)
        *ret_info = info;
    return error;
}

void info_deinit(struct wire_info *info)
{
    mem_free(info->owned);
    *info = (struct wire_info){0};
}
