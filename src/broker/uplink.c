// SPDX-License-Identifier: Apache-2.0
// An uplink's life: when it tries which server, and how an attempt or a connection ends; see uplink.h. Every end goes through
// uplink_lose(): buffers and what the broker knows are cleared when the next attempt begins, so that it may be called in the midst of reading.
#include "broker/uplink.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "broker/uplink_internal.h"

static void begin_attempt(struct uplink *uplink);
static void on_failed(struct net_dial *dial, const char *why);
static void on_time(struct uplink *uplink);
static void close_conn(struct uplink *uplink);
static void log_line(struct uplink *uplink, enum log_level level, const char *format, va_list arguments);

int uplink_new(const struct uplink_options *options, struct moment now, struct uplink **ret_uplink,
               char ret_message[UPLINK_MESSAGE_SIZE])
{
    struct uplink *uplink = mem_alloc_zero(sizeof(*uplink));
    uplink->options = *options;
    int error = uplink_servers_init(uplink, ret_message);
    if (error) {
        uplink_servers_deinit(uplink);
        mem_free(uplink);
        return error;
    }
    prng_seed(&uplink->prng, options->seed);
    uplink->now_ms = moment_mono_ms(now);
    uplink->is_probed = options->probe_subject.len == 0;
    uplink->dial.on_failed = on_failed;
    uplink->dial.handler = &uplink->handler;
    uplink_client_init(uplink);
    uplink_server_init(uplink);
    uplink->current = uplink->servers[uplink->next++];
    uplink_enter(uplink, UPLINK_WAITING, 0);
    *ret_uplink = uplink;
    return 0;
}

void uplink_free(struct uplink *uplink)
{
    must(!uplink->conn);
    net_dial_stop(uplink->options.dialer, &uplink->dial);
    uplink_client_deinit(uplink);
    uplink_server_deinit(uplink);
    uplink_servers_deinit(uplink);
    mem_free(uplink);
}

void uplink_turn_begin(struct uplink *uplink, struct moment now)
{
    uplink->now_ms = moment_mono_ms(now);
    uplink_client_turn(uplink);
    if (uplink->has_rival) {
        uplink->has_rival = false;
        uplink->options.on_rival(uplink->options.owner);
    }
    if (uplink->now_ms >= uplink->deadline_ms)
        on_time(uplink);
}

bool uplink_is_busy(const struct uplink *uplink)
{
    return uplink->has_rival || uplink_client_is_busy(uplink);
}

uint64_t uplink_next_deadline_ms(const struct uplink *uplink)
{
    // What is left of the connection before goes first; its end brings a turn.
    bool is_held = uplink->state == UPLINK_WAITING && (uplink->conn || uplink->context);
    return is_held ? UINT64_MAX : uplink->deadline_ms;
}

void uplink_limits_set(struct uplink *uplink, uint32_t max_payload, uint32_t max_control_line)
{
    uplink->options.max_payload = max_payload;
    uplink->options.max_control_line = max_control_line;
}

void uplink_shutdown(struct uplink *uplink)
{
    uplink->stopping = true;
    if (uplink->state != UPLINK_SERVING) {
        net_dial_stop(uplink->options.dialer, &uplink->dial);
        close_conn(uplink);
        uplink_enter(uplink, UPLINK_ENDED, 0);
    }
}

bool uplink_is_serving(const struct uplink *uplink)
{
    return uplink->state == UPLINK_SERVING;
}

bool uplink_has_ended(const struct uplink *uplink)
{
    return uplink->state == UPLINK_ENDED && !uplink->conn && !uplink->context;
}

void uplink_enter(struct uplink *uplink, enum uplink_state state, uint64_t wait_ms)
{
    uplink->state = state;
    uplink->deadline_ms = state == UPLINK_ENDED ? UINT64_MAX : uplink->now_ms + wait_ms;
}

void uplink_lose(struct uplink *uplink, const char *format, ...)
{
    bool was_serving = uplink->state == UPLINK_SERVING;
    if (uplink->state == UPLINK_WAITING || uplink->state == UPLINK_ENDED)
        return;
    va_list arguments;
    va_start(arguments, format);
    log_line(uplink, LOG_WARN, format, arguments);
    va_end(arguments);
    net_dial_stop(uplink->options.dialer, &uplink->dial);
    close_conn(uplink);
    uplink_client_close(uplink);
    if (uplink->stopping)
        uplink_enter(uplink, UPLINK_ENDED, 0);
    else
        uplink_enter(uplink, UPLINK_WAITING, uplink_servers_next(uplink, was_serving));
}

void uplink_tell(struct uplink *uplink, enum log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(uplink, level, format, arguments);
    va_end(arguments);
}

void uplink_finish(struct uplink *uplink)
{
    if (uplink->out.len > 0 && uplink->conn && !uplink->conn_closing)
        return;
    close_conn(uplink);
    uplink_enter(uplink, UPLINK_ENDED, 0);
}

static void begin_attempt(struct uplink *uplink)
{
    if (uplink->conn || uplink->context)
        return;
    uplink_server_reset(uplink);
    uplink->tried++;
    uplink->dial.host = uplink->current.url.host;
    uplink->dial.port = uplink->current.url.port;
    uplink->dial.tls_name = uplink->options.tls_name ? uplink->options.tls_name : uplink->current.tls_name;
    uplink_enter(uplink, UPLINK_DIALING, UPLINK_STEP_MS);
    net_dial_start(uplink->options.dialer, &uplink->dial);
}

static void on_failed(struct net_dial *dial, const char *why)
{
    struct uplink *uplink = container_of(dial, struct uplink, dial);
    uplink_lose(uplink, "cannot connect: %s", why);
}

static void on_time(struct uplink *uplink)
{
    switch (uplink->state) {
    case UPLINK_WAITING: begin_attempt(uplink); break;
    case UPLINK_DIALING: uplink_lose(uplink, "cannot connect: no answer within %d s", UPLINK_STEP_MS / 1000); break;
    case UPLINK_GREETING: uplink_lose(uplink, "it says nothing: is it a NATS server?"); break;
    case UPLINK_SECURING: uplink_lose(uplink, "the TLS handshake takes too long"); break;
    case UPLINK_LOGIN: uplink_lose(uplink, "no answer to CONNECT"); break;
    case UPLINK_PROBING: uplink_server_serve(uplink); break;
    case UPLINK_SERVING: uplink_server_ping(uplink); break;
    case UPLINK_ENDED: break;
    }
}

static void close_conn(struct uplink *uplink)
{
    if (!uplink->conn || uplink->conn_closing)
        return;
    uplink->conn_closing = true;
    net_close(uplink->conn);
}

static void log_line(struct uplink *uplink, enum log_level level, const char *format, va_list arguments)
{
    char text[UPLINK_MESSAGE_SIZE];
    vsnprintf(text, sizeof(text), format, arguments);
    if (strcmp(text, uplink->told) == 0)
        return;
    memcpy(uplink->told, text, sizeof(text));
    logger_write(uplink->options.logger, level, "NATS server %s:%s: %s", uplink->current.url.host,
                 uplink->current.url.port, text);
}
