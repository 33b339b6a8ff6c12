// SPDX-License-Identifier: Apache-2.0
// The server's side of an uplink: from INFO to SERVING, what it says, and what it is told; see uplink.h.
// tidy: prefix uplink
#include <stdio.h>

#include "auth/nkey.h"
#include "base/memory.h"
#include "base/must.h"
#include "broker/uplink_internal.h"
#include "codec/base64.h"
#include "wire/connect.h"
#include "wire/info.h"
#include "wire/writer.h"

// What CONNECT's strings are borrowed from.
struct proof {
    char nkey[NKEY_TEXT_LEN];
    char signature[2 * CRYPTO_ED25519_SIGNATURE_LEN];
};

static void *on_accept(void *owner, struct net_conn *conn, const struct net_peer *peer);
static void on_data(void *context, struct bytes data);
static void on_writable(void *context);
static void on_close(void *context, int error);
static void on_secure(void *context, const struct net_tls_info *info);
static void take(struct uplink *uplink, const struct wire_op *op, bool is_last);
static void take_info(struct uplink *uplink, struct bytes json, bool is_last);
static void greet(struct uplink *uplink, const struct wire_info *info, bool is_last);
static void take_error(struct uplink *uplink, struct bytes text);
static void take_message(struct uplink *uplink, const struct wire_op *op);
static void log_in(struct uplink *uplink);
static bool prove(const struct uplink *uplink, struct proof *proof, struct wire_connect *connect);
static void logged_in(struct uplink *uplink);
static void announce(struct uplink *uplink);
static void probe(struct uplink *uplink);
static void subscribe(struct uplink *uplink, struct bytes subject, uint64_t sid);
static void unsubscribe(struct uplink *uplink, uint64_t sid);
static void on_inlet(struct inlet_follower *follower, struct bytes pattern, bool is_there);

void uplink_server_init(struct uplink *uplink)
{
    uplink->handler = (struct net_handler){
        .owner = uplink,
        .on_accept = on_accept,
        .on_data = on_data,
        .on_writable = on_writable,
        .on_close = on_close,
        .on_secure = on_secure,
    };
    buffer_init(&uplink->in, (size_t)UPLINK_PAYLOAD_MAX + UPLINK_INFO_MAX + UPLINK_OUT_MARK);
    buffer_init(&uplink->out, (size_t)UPLINK_PAYLOAD_MAX + 2 * UPLINK_OUT_MARK);
    buffer_init(&uplink->nonce, UPLINK_MESSAGE_SIZE);
    map_init(&uplink->interests, SIZE_MAX / 2);
    uplink->next_sid = UPLINK_PROBE_SID + 1;
    uplink->follower.on_inlet = on_inlet;
    broker_inlets_follow(uplink->options.broker, &uplink->follower);
}

void uplink_server_deinit(struct uplink *uplink)
{
    broker_inlets_unfollow(uplink->options.broker);
    size_t pos = 0;
    struct uplink_interest *interest;
    while ((interest = map_next(&uplink->interests, &pos, NULL)))
        mem_free(interest);
    map_deinit(&uplink->interests);
    buffer_deinit(&uplink->in);
    buffer_deinit(&uplink->out);
    buffer_deinit(&uplink->nonce);
}

void uplink_server_reset(struct uplink *uplink)
{
    const struct parser_config config = {
        .control_line_max = UPLINK_LINE_MAX,
        .info_line_max = UPLINK_INFO_MAX,
        .payload_max = UPLINK_PAYLOAD_MAX,
    };
    parser_init(&uplink->parser, PARSER_CLIENT, &config);
    buffer_clear(&uplink->in);
    buffer_clear(&uplink->out);
    buffer_shrink(&uplink->in);
    buffer_shrink(&uplink->out);
    uplink->blocked = uplink->is_secure = false;
    uplink->pings = 0;
}

// Subscribed first: an answer cannot overtake that on its way back.
void uplink_server_serve(struct uplink *uplink)
{
    if (!uplink->is_probed)
        unsubscribe(uplink, UPLINK_PROBE_SID);
    uplink->is_probed = true;
    uplink->tried = uplink->rounds = 0;
    size_t pos = 0;
    const struct uplink_interest *interest;
    while ((interest = map_next(&uplink->interests, &pos, NULL)))
        subscribe(uplink, bytes_make(interest->pattern, interest->len), interest->sid);
    uplink_server_say(uplink, BYTES(WRITER_PING));
    uplink_server_send(uplink);
    if (uplink->conn_closing)
        return;
    uplink_enter(uplink, UPLINK_SERVING, UPLINK_PING_MS);
    uplink->told[0] = '\0';
    uplink->is_known = false;
    if (!uplink_client_open(uplink))
        uplink_finish(uplink);
}

void uplink_server_ping(struct uplink *uplink)
{
    if (uplink->pings >= UPLINK_PINGS_MAX) {
        uplink_lose(uplink, "connection lost: %u pings are not answered", uplink->pings);
        return;
    }
    uplink->pings++;
    uplink_enter(uplink, UPLINK_SERVING, UPLINK_PING_MS);
    uplink_server_say(uplink, BYTES(WRITER_PING));
    uplink_server_send(uplink);
}

void uplink_server_say(struct uplink *uplink, struct bytes bytes)
{
    if (uplink->conn && !uplink->conn_closing && buffer_append(&uplink->out, bytes))
        uplink_lose(uplink, "it takes too little");
}

void uplink_server_send(struct uplink *uplink)
{
    if (!uplink->conn || uplink->conn_closing || uplink->blocked || uplink->out.len == 0)
        return;
    struct bytes rest = buffer_bytes(&uplink->out);
    size_t taken = net_write(uplink->conn, &rest, 1);
    uplink->blocked = taken < rest.len;
    buffer_consume(&uplink->out, taken);
}

static void *on_accept(void *owner, struct net_conn *conn, const struct net_peer *peer)
{
    struct uplink *uplink = owner;
    uplink->conn = conn;
    uplink->conn_closing = false;
    uplink->peer = *peer;
    uplink_enter(uplink, UPLINK_GREETING, UPLINK_STEP_MS);
    return uplink;
}

static void on_data(void *context, struct bytes data)
{
    struct uplink *uplink = context;
    struct wire_op op;
    int got = 0;
    bool was_kept = uplink->in.len > 0;
    if (uplink->conn_closing)
        return;
    if (was_kept && buffer_append(&uplink->in, data)) {
        uplink_lose(uplink, "it sends more than can be held");
        return;
    }
    struct bytes input = was_kept ? buffer_bytes(&uplink->in) : data;
    size_t size = input.len;
    while (!uplink->conn_closing && (got = parser_next(&uplink->parser, &input, &op)) > 0)
        take(uplink, &op, input.len == 0);
    if (uplink->conn_closing)
        return;
    if (got < 0)
        uplink_lose(uplink, "it does not speak the protocol of NATS");
    else if (was_kept)
        buffer_consume(&uplink->in, size - input.len);
    else if (buffer_append(&uplink->in, input))
        uplink_lose(uplink, "it sends more than can be held");
    uplink_server_send(uplink);
    uplink_client_give(uplink);
}

static void on_writable(void *context)
{
    struct uplink *uplink = context;
    uplink->blocked = false;
    uplink_server_send(uplink);
    if (uplink->stopping && !uplink->context)
        uplink_finish(uplink);
}

static void on_close(void *context, int error)
{
    struct uplink *uplink = context;
    uplink->conn_closing = true;
    uplink->conn = NULL;
    if (uplink->state == UPLINK_LOGIN && uplink->is_secure)
        uplink_lose(uplink, "it has closed the connection instead of answering: does it want another certificate?");
    else
        uplink_lose(uplink, "connection lost%s%s", error ? ": " : "", error ? error_text(error) : "");
    uplink->conn_closing = false;
}

static void on_secure(void *context, const struct net_tls_info *info)
{
    struct uplink *uplink = context;
    if (uplink->conn_closing)
        return;
    if (info->failure) {
        uplink_lose(uplink, "the TLS handshake failed: %s", info->failure);
        return;
    }
    uplink->is_secure = true;
    log_in(uplink);
}

static void take(struct uplink *uplink, const struct wire_op *op, bool is_last)
{
    switch (op->kind) {
    case WIRE_INFO: take_info(uplink, op->text, is_last); break;
    case WIRE_MSG: take_message(uplink, op); break;
    case WIRE_PING: uplink_server_say(uplink, BYTES(WRITER_PONG)); break;
    case WIRE_MINUS_ERR: take_error(uplink, op->text); break;
    case WIRE_PONG:
        uplink->pings = 0;
        if (uplink->state == UPLINK_LOGIN)
            logged_in(uplink);
        else if (uplink->state == UPLINK_SERVING && !uplink->is_known)
            announce(uplink);
        break;
    default: break;
    }
}

static void take_info(struct uplink *uplink, struct bytes json, bool is_last)
{
    struct wire_info info;
    if (info_parse(json, &info)) {
        uplink_lose(uplink, "its INFO cannot be read");
        return;
    }
    uplink->headers = info.headers;
    uplink->max_payload = info.max_payload > 0 ? (uint64_t)info.max_payload : UPLINK_PAYLOAD_MAX;
    uplink_servers_learn(uplink, info.connect_urls);
    if (uplink->state == UPLINK_GREETING)
        greet(uplink, &info, is_last);
    info_deinit(&info);
}

static void greet(struct uplink *uplink, const struct wire_info *info, bool is_last)
{
    bool wanted = uplink->options.tls || uplink->current.url.is_tls;
    buffer_clear(&uplink->nonce);
    if (buffer_append(&uplink->nonce, info->nonce)) {
        uplink_lose(uplink, "its INFO cannot be read");
        return;
    }
    if (wanted && !info->tls_required && !info->tls_available) {
        uplink_lose(uplink, "TLS is asked for, and it has none");
    } else if (!wanted && !info->tls_required) {
        log_in(uplink);
    } else if (!net_may_start_tls(uplink->conn) || !is_last) {
        uplink_lose(uplink, "TLS cannot be started");
    } else {
        uplink_enter(uplink, UPLINK_SECURING, UPLINK_STEP_MS);
        net_start_tls(uplink->conn, (struct bytes){0});
    }
}

// Before SERVING it says why it does not let us in. Later it closes if it means it: of one subject, say, it only speaks.
static void take_error(struct uplink *uplink, struct bytes text)
{
    if (uplink->state < UPLINK_SERVING)
        uplink_lose(uplink, "it refuses us: %.*s", BYTES_ARG(text));
    else
        uplink_tell(uplink, LOG_ERROR, "it says: %.*s", BYTES_ARG(text));
}

static void take_message(struct uplink *uplink, const struct wire_op *op)
{
    if (uplink->state == UPLINK_SERVING) {
        uplink_client_add(uplink, op);
    } else if (uplink->state == UPLINK_PROBING) {
        uplink->has_rival = true;
        uplink->stopping = true;
        uplink_finish(uplink);
    }
}

static void log_in(struct uplink *uplink)
{
    const struct uplink_options *options = &uplink->options;
    const struct nats_url *url = &uplink->current.url;
    bool own = options->user || options->token || options->nkey_seed;
    struct proof proof;
    struct wire_connect connect = {
        .user = own ? bytes_from_string(options->user) : bytes_from_string(url->user),
        .pass = own ? bytes_from_string(options->password) : bytes_from_string(url->password),
        .auth_token = own ? bytes_from_string(options->token) : bytes_from_string(url->token),
        .name = bytes_from_string(options->name),
        .lang = BYTES("c"),
        .version = BYTES(WEIR_VERSION),
        .protocol = 1,
        .tls_required = uplink->is_secure,
        .headers = uplink->headers,
    };
    char line[CONNECT_LINE_SIZE_MAX];
    size_t len;
    if (options->nkey_seed && !prove(uplink, &proof, &connect)) {
        uplink_lose(uplink, "it does not take nkeys");
    } else if (connect_encode(&connect, line, sizeof(line), &len)) {
        uplink_lose(uplink, "user, password or token are too long or no UTF-8");
    } else {
        uplink_enter(uplink, UPLINK_LOGIN, UPLINK_STEP_MS);
        uplink_server_say(uplink, bytes_make(line, len));
        uplink_server_say(uplink, BYTES(WRITER_PING));
        uplink_server_send(uplink);
    }
}

// CO-S03: the nonce is signed as it stands in INFO.
static bool prove(const struct uplink *uplink, struct proof *proof, struct wire_connect *connect)
{
    uint8_t key[CRYPTO_ED25519_KEY_LEN], signature[CRYPTO_ED25519_SIGNATURE_LEN];
    size_t len;
    if (uplink->nonce.len == 0)
        return false;
    uplink->options.sign(uplink->options.nkey_seed, buffer_bytes(&uplink->nonce), key, signature);
    nkey_encode_user(key, proof->nkey);
    must(base64_encode(bytes_make(signature, sizeof(signature)), BASE64_RAW_URL, proof->signature,
                       sizeof(proof->signature), &len) == 0);
    connect->nkey = bytes_make(proof->nkey, sizeof(proof->nkey));
    connect->sig = bytes_make(proof->signature, len);
    return true;
}

static void logged_in(struct uplink *uplink)
{
    if (uplink->is_probed)
        uplink_server_serve(uplink);
    else
        probe(uplink);
}

// It knows what we have subscribed to: whoever now asks is heard.
static void announce(struct uplink *uplink)
{
    uplink->is_known = true;
    uplink_tell(uplink, LOG_INFO, "connected%s, NATS Streaming is served to its clients",
                uplink->is_secure ? " with TLS" : "");
}

static void probe(struct uplink *uplink)
{
    const struct uplink_options *options = &uplink->options;
    int inbox_len =
        snprintf(uplink->inbox, sizeof(uplink->inbox), "_INBOX.%016llx", (unsigned long long)prng_next(&uplink->prng));
    struct bytes inbox = bytes_make(uplink->inbox, (size_t)inbox_len);
    char line[UPLINK_MESSAGE_SIZE + WRITER_LINE_LEN_MAX(UPLINK_INBOX_SIZE)];
    must(options->probe_subject.len <= UPLINK_MESSAGE_SIZE);
    subscribe(uplink, inbox, UPLINK_PROBE_SID);
    char *end = writer_pub(line, options->probe_subject, inbox, options->probe_payload.len);
    uplink_server_say(uplink, bytes_make(line, (size_t)(end - line)));
    uplink_server_say(uplink, options->probe_payload);
    uplink_server_say(uplink, BYTES("\r\n"));
    uplink_enter(uplink, UPLINK_PROBING, UPLINK_PROBE_MS);
    uplink_server_send(uplink);
}

static void subscribe(struct uplink *uplink, struct bytes subject, uint64_t sid)
{
    char *line = mem_alloc(WRITER_LINE_LEN_MAX(subject.len));
    char *end = writer_sub(line, subject, (struct bytes){0}, sid);
    uplink_server_say(uplink, bytes_make(line, (size_t)(end - line)));
    mem_free(line);
}

static void unsubscribe(struct uplink *uplink, uint64_t sid)
{
    char line[WRITER_LINE_LEN_MAX(0)];
    char *end = writer_unsub(line, sid, 0);
    uplink_server_say(uplink, bytes_make(line, (size_t)(end - line)));
}

static void on_inlet(struct inlet_follower *follower, struct bytes pattern, bool is_there)
{
    struct uplink *uplink = container_of(follower, struct uplink, follower);
    if (pattern.ptr[0] == UPLINK_OWN_SUBJECTS)
        return; // of the server, not of what it serves
    struct uplink_interest *interest = map_find(&uplink->interests, pattern);
    bool is_told = uplink->state == UPLINK_SERVING;
    if (!interest) {
        must(is_there);
        interest = mem_alloc(sizeof(*interest) + pattern.len);
        *interest = (struct uplink_interest){.sid = uplink->next_sid++, .len = pattern.len};
        memcpy(interest->pattern, pattern.ptr, pattern.len);
        must(map_add(&uplink->interests, bytes_make(interest->pattern, interest->len), interest) == 0);
        if (is_told)
            subscribe(uplink, pattern, interest->sid);
    }
    interest->inlets += is_there ? 1 : UINT32_MAX;
    if (interest->inlets == 0) {
        must(map_remove(&uplink->interests, pattern) == interest);
        if (is_told)
            unsubscribe(uplink, interest->sid);
        mem_free(interest);
    }
    uplink_server_send(uplink);
}
