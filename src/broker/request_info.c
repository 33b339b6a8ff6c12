// SPDX-License-Identifier: Apache-2.0
#include "broker/request_info.h"

#include "broker/connection.h"
#include "codec/json_writer.h"
#include "codec/timestamp.h"

#define BEGINNING "NATS/1.0\r\n"

static void put_text(struct json_writer *writer, const char *key, struct bytes text);
static void put_time(struct json_writer *writer, const char *key, uint64_t wall_ns);
static void append(struct buffer *buffer, struct bytes bytes);
static struct bytes without_info(struct bytes *rest);

void request_info_write(const struct request_info *info, struct json_writer *writer)
{
    const struct connection *connection = info->connection;
    const struct connection_client *client = connection && info->is_detailed ? connection->client : NULL;
    bool is_detailed = connection && info->is_detailed;
    json_writer_begin_object(writer);
    if (is_detailed) {
        put_time(writer, "start", connection->start_ns);
        put_text(writer, "host", bytes_from_string(connection->peer.ip));
        json_writer_put_u64(writer, "id", connection->id);
    }
    put_text(writer, "acc", account_name(info->account));
    if (info->service)
        put_text(writer, "svc", account_name(info->service));
    if (client) {
        put_text(writer, "user", connection_user_name(connection));
        put_text(writer, "name", client->name);
        put_text(writer, "lang", client->lang);
        put_text(writer, "ver", client->version);
    }
    if (connection && connection->rtt_ns > 0)
        json_writer_put_u64(writer, "rtt", connection->rtt_ns);
    if (info->with_server)
        put_text(writer, "server", bytes_from_string(info->account->broker->options.server_name));
    if (info->stop_ns > 0)
        put_time(writer, "stop", info->stop_ns);
    if (is_detailed) {
        put_text(writer, "kind", BYTES("Client"));
        bool is_websocket = connection->peer.transport == NET_WEBSOCKET;
        put_text(writer, "client_type", is_websocket ? BYTES("websocket") : BYTES("nats"));
    }
    json_writer_end(writer);
}

void request_info_add(const struct request_info *info, struct bytes header, struct buffer *ret_header)
{
    buffer_init(ret_header, SIZE_MAX / 2);
    struct bytes rest = header.len > 0 ? header : BYTES(BEGINNING "\r\n");
    while (rest.len > 2)
        append(ret_header, without_info(&rest));
    append(ret_header, BYTES(REQUEST_INFO_HEADER ": "));
    struct json_writer writer;
    json_writer_init_compact(&writer, ret_header);
    request_info_write(info, &writer);
    must(json_writer_finish(&writer) == 0);
    append(ret_header, BYTES("\r\n\r\n"));
}

static void put_text(struct json_writer *writer, const char *key, struct bytes text)
{
    if (text.len > 0)
        json_writer_put_string(writer, key, text);
}

static void put_time(struct json_writer *writer, const char *key, uint64_t wall_ns)
{
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(wall_ns, text);
    put_text(writer, key, bytes_from_string(text));
}

static void append(struct buffer *buffer, struct bytes bytes)
{
    int error = buffer_append(buffer, bytes);
    must(error == 0);
}

// The next line with its end, or nothing if it is an info. Safe on any block: without an end of line it is all of the rest.
static struct bytes without_info(struct bytes *rest)
{
    const char *end = memchr(rest->ptr, '\n', rest->len);
    struct bytes line = bytes_make(rest->ptr, end ? (size_t)(end - rest->ptr) + 1 : rest->len);
    *rest = bytes_skip(*rest, line.len);
    const struct bytes name = BYTES(REQUEST_INFO_HEADER ":");
    if (line.len >= name.len && memcmp(line.ptr, name.ptr, name.len) == 0)
        return bytes_make(line.ptr, 0);
    return line;
}
