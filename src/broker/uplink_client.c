// SPDX-License-Identifier: Apache-2.0
// The broker's side of an uplink: a connection as its listeners hand them over, whose other end is here; see uplink.h. It says CONNECT and
// SUB to everything, then what clients elsewhere publish; what the broker delivers is said to the server.
//
// The broker is called from uplink_turn_begin() and from within callbacks of the network, never from inside a call of its own.
// tidy: prefix uplink
#include "base/must.h"
#include "broker/uplink_internal.h"
#include "wire/connect.h"
#include "wire/writer.h"

static size_t conn_write(struct net_conn *net, const struct bytes *parts, size_t count);
static void conn_read_pause(struct net_conn *net);
static void conn_read_resume(struct net_conn *net);
static void conn_close(struct net_conn *net);
static void take_part(struct uplink *uplink, struct bytes part);
static void take(struct uplink *uplink, const struct wire_op *op);
static void take_message(struct uplink *uplink, const struct wire_op *op);
static void introduce(struct uplink *uplink);
static void append(struct uplink *uplink, struct bytes bytes);
static void closed(struct uplink *uplink);

static const struct net_ops CLIENT_OPS = {
    .write = conn_write,
    .read_pause = conn_read_pause,
    .read_resume = conn_read_resume,
    .close = conn_close,
};

static struct uplink *uplink_of(struct net_conn *net)
{
    return container_of(net, struct uplink, client);
}

void uplink_client_init(struct uplink *uplink)
{
    uplink->client.ops = &CLIENT_OPS;
    uplink->broker = broker_net_handler(uplink->options.broker);
    buffer_init(&uplink->client_in, (size_t)UPLINK_PAYLOAD_MAX + UPLINK_INFO_MAX + UPLINK_OUT_MARK);
    buffer_init(&uplink->client_out, 2 * (size_t)UPLINK_PAYLOAD_MAX);
}

void uplink_client_deinit(struct uplink *uplink)
{
    must(!uplink->context);
    buffer_deinit(&uplink->client_in);
    buffer_deinit(&uplink->client_out);
}

bool uplink_client_open(struct uplink *uplink)
{
    const struct parser_config config = {
        .control_line_max = UPLINK_LINE_MAX,
        .info_line_max = UPLINK_INFO_MAX,
        .payload_max = UPLINK_PAYLOAD_MAX,
    };
    must(!uplink->context);
    parser_init(&uplink->client_parser, PARSER_CLIENT, &config);
    buffer_clear(&uplink->client_in);
    buffer_clear(&uplink->client_out);
    uplink->client_closing = uplink->client_paused = uplink->client_starved = false;
    uplink->context = uplink->broker->on_accept(uplink->broker->owner, &uplink->client, &uplink->peer);
    if (!uplink->context)
        return false;
    introduce(uplink);
    uplink_client_give(uplink);
    return true;
}

void uplink_client_close(struct uplink *uplink)
{
    uplink->client_closing = uplink->context != NULL;
}

// What the broker would close a connection for goes no further, nor what we have not subscribed to.
void uplink_client_add(struct uplink *uplink, const struct wire_op *op)
{
    if (op->subject.ptr[0] == UPLINK_OWN_SUBJECTS)
        return;
    const struct uplink_options *options = &uplink->options;
    size_t size = op->header.len + op->payload.len;
    size_t line_max = WRITER_LINE_LEN_MAX(op->subject.len + op->reply.len);
    if (size > options->max_payload || line_max > options->max_control_line) {
        uplink_tell(uplink, LOG_WARN, "a message larger than max_payload (%u bytes) is not taken",
                    options->max_payload);
        return;
    }
    char *line = buffer_reserve(&uplink->client_out, line_max);
    if (!line) {
        uplink_lose(uplink, "it sends more than can be held");
        return;
    }
    char *end = op->has_header ? writer_hpub(line, op->subject, op->reply, op->header.len, op->payload.len)
                               : writer_pub(line, op->subject, op->reply, op->payload.len);
    buffer_commit(&uplink->client_out, (size_t)(end - line));
    append(uplink, op->header);
    append(uplink, op->payload);
    append(uplink, BYTES("\r\n"));
}

void uplink_client_give(struct uplink *uplink)
{
    if (!uplink->context || uplink->client_closing || uplink->client_paused || uplink->client_out.len == 0)
        return;
    struct buffer out = uplink->client_out;
    buffer_init(&uplink->client_out, out.max);
    uplink->broker->on_data(uplink->context, buffer_bytes(&out));
    must(uplink->client_out.len == 0);
    uplink->client_out = out;
    buffer_clear(&uplink->client_out);
    buffer_shrink(&uplink->client_out);
}

void uplink_client_turn(struct uplink *uplink)
{
    if (!uplink->context)
        return;
    if (uplink->client_closing) {
        closed(uplink);
        return;
    }
    uplink_client_give(uplink);
    if (uplink->client_starved && uplink->out.len < UPLINK_OUT_MARK / 2) {
        uplink->client_starved = false;
        uplink->broker->on_writable(uplink->context);
    }
}

bool uplink_client_is_busy(const struct uplink *uplink)
{
    if (!uplink->context)
        return false;
    return uplink->client_closing || (uplink->client_out.len > 0 && !uplink->client_paused) ||
           (uplink->client_starved && uplink->out.len < UPLINK_OUT_MARK / 2);
}

static size_t conn_write(struct net_conn *net, const struct bytes *parts, size_t count)
{
    struct uplink *uplink = uplink_of(net);
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        if (uplink->out.len >= UPLINK_OUT_MARK && !uplink->client_closing) {
            uplink->client_starved = true;
            break;
        }
        if (!uplink->client_closing)
            take_part(uplink, parts[i]);
        taken += parts[i].len;
    }
    uplink_server_send(uplink);
    return taken;
}

static void conn_read_pause(struct net_conn *net)
{
    struct uplink *uplink = uplink_of(net);
    uplink->client_paused = true;
    if (uplink->conn && !uplink->conn_closing)
        net_read_pause(uplink->conn);
}

static void conn_read_resume(struct net_conn *net)
{
    struct uplink *uplink = uplink_of(net);
    uplink->client_paused = false;
    if (uplink->conn && !uplink->conn_closing)
        net_read_resume(uplink->conn);
}

static void conn_close(struct net_conn *net)
{
    uplink_client_close(uplink_of(net));
}

static void take_part(struct uplink *uplink, struct bytes part)
{
    struct wire_op op;
    bool was_kept = uplink->client_in.len > 0;
    if (was_kept)
        must(buffer_append(&uplink->client_in, part) == 0); // an operation and a chunk
    struct bytes input = was_kept ? buffer_bytes(&uplink->client_in) : part;
    size_t size = input.len;
    int got;
    while ((got = parser_next(&uplink->client_parser, &input, &op)) > 0)
        take(uplink, &op);
    must(got == 0); // the broker writes what its own parser reads
    if (was_kept)
        buffer_consume(&uplink->client_in, size - input.len);
    else
        must(buffer_append(&uplink->client_in, input) == 0);
}

static void take(struct uplink *uplink, const struct wire_op *op)
{
    switch (op->kind) {
    case WIRE_MSG: take_message(uplink, op); break;
    case WIRE_PING: append(uplink, BYTES(WRITER_PONG)); break;
    case WIRE_MINUS_ERR: uplink_tell(uplink, LOG_ERROR, "we close the connection: %.*s", BYTES_ARG(op->text)); break;
    default: break;
    }
}

static void take_message(struct uplink *uplink, const struct wire_op *op)
{
    size_t size = op->header.len + op->payload.len;
    if (size > uplink->max_payload) {
        uplink_tell(uplink, LOG_ERROR,
                    "a message of %zu bytes is not delivered, its max_payload is %llu: it will be tried again", size,
                    (unsigned long long)uplink->max_payload);
        return;
    }
    char line[WRITER_LINE_LEN_MAX(UPLINK_LINE_MAX)];
    must(op->subject.len + op->reply.len <= UPLINK_LINE_MAX);
    char *end = op->has_header ? writer_hpub(line, op->subject, op->reply, op->header.len, op->payload.len)
                               : writer_pub(line, op->subject, op->reply, op->payload.len);
    uplink_server_say(uplink, bytes_make(line, (size_t)(end - line)));
    uplink_server_say(uplink, op->header);
    uplink_server_say(uplink, op->payload);
    uplink_server_say(uplink, BYTES("\r\n"));
}

static void introduce(struct uplink *uplink)
{
    const struct wire_connect connect = {
        .name = bytes_from_string(uplink->options.name),
        .lang = BYTES("c"),
        .version = BYTES(WEIR_VERSION),
        .protocol = 1,
        .headers = uplink->headers,
    };
    char line[CONNECT_LINE_SIZE_MAX];
    size_t len;
    must(connect_encode(&connect, line, sizeof(line), &len) == 0); // the name is ours
    append(uplink, bytes_make(line, len));
    append(uplink, BYTES("SUB > 1\r\n"));
}

static void append(struct uplink *uplink, struct bytes bytes)
{
    if (buffer_append(&uplink->client_out, bytes))
        uplink_lose(uplink, "it sends more than can be held");
}

static void closed(struct uplink *uplink)
{
    void *context = uplink->context;
    uplink->context = NULL;
    uplink->client_closing = false;
    uplink->broker->on_close(context, 0);
    if (uplink->state != UPLINK_SERVING)
        return;
    if (uplink->stopping)
        uplink_finish(uplink);
    else
        uplink_lose(uplink, "the connection is closed and made again");
}
