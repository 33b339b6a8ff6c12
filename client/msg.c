// SPDX-License-Identifier: Apache-2.0
// Messages, and what a program says about them.
#include "client/sub_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { REASON_MAX = 256, SMALL = 512 };
static const int64_t DELAY_MAX_MS = INT64_C(365) * 24 * 3600 * 1000;

static struct weir_msg *drop(struct weir_msg *msg);

uint64_t weir_msg_sequence(const struct weir_msg *msg)
{
    return msg->delivery.sequence;
}

const void *weir_msg_data(const struct weir_msg *msg)
{
    return msg->delivery.data.ptr;
}

size_t weir_msg_data_bytes(const struct weir_msg *msg)
{
    return msg->delivery.data.len;
}

const char *weir_msg_channel(const struct weir_msg *msg)
{
    return msg->sub->channel;
}

const char *weir_msg_reply(const struct weir_msg *msg)
{
    return msg->reply;
}

int64_t weir_msg_time_ns(const struct weir_msg *msg)
{
    return msg->delivery.time_ns;
}

bool weir_msg_is_redelivered(const struct weir_msg *msg)
{
    return msg->delivery.redelivered;
}

uint32_t weir_msg_redeliveries(const struct weir_msg *msg)
{
    return msg->delivery.redeliveries;
}

const char *weir_msg_header(struct weir_msg *msg, const char *name)
{
    const char *value = NULL;
    return natsMsgHeader_Get(msg->raw, name, &value) == NATS_OK ? value : NULL;
}

size_t weir_msg_server(const struct weir_msg *msg)
{
    return msg->sub->client->server;
}

void weir_msg_keep(struct weir_msg *msg)
{
    if (msg->kept)
        return;
    msg->kept = true;
    weir_sub_ref(msg->sub);
    atomic_fetch_add(&msg->references, 1);
}

void weir_msg_free(struct weir_msg *msg)
{
    if (!msg)
        return;
    weir_msg_finish(msg);
    free(drop(msg));
}

int weir_msg_ack(struct weir_msg *msg)
{
    if (!msg->sub->options.manual_ack)
        return WEIR_ERR_INVALID;
    return weir_msg_send_ack(msg);
}

int weir_msg_extend(struct weir_msg *msg)
{
    char words[32];
    int len = snprintf(words, sizeof(words), "+WPI %" PRIu64, msg->delivery.sequence);
    return weir_sub_say(msg->sub, words, (size_t)len);
}

int weir_msg_nak(struct weir_msg *msg, int64_t delay_ms, bool count)
{
    if (delay_ms < 0 || delay_ms > DELAY_MAX_MS)
        return WEIR_ERR_INVALID;
    int error = weir_sub_nak(msg->sub, msg->delivery.sequence, delay_ms, count);
    if (!error)
        weir_msg_finish(msg);
    return error;
}

int weir_msg_term(struct weir_msg *msg, const char *reason)
{
    char words[REASON_MAX + 48];
    int len = snprintf(words, sizeof(words), "+TERM %" PRIu64 "%s%.*s", msg->delivery.sequence,
                       reason && reason[0] ? " " : "", REASON_MAX, reason ? reason : "");
    int error = weir_sub_say(msg->sub, words, (size_t)len);
    if (!error)
        weir_msg_finish(msg);
    return error;
}

struct weir_msg *weir_msg_drop(struct weir_msg *msg)
{
    if (!msg->kept)
        weir_msg_finish(msg);
    return drop(msg);
}

void weir_msg_finish(struct weir_msg *msg)
{
    if (atomic_exchange(&msg->finished, true))
        return;
    atomic_fetch_add(&msg->sub->finished_bytes, (uint64_t)natsMsg_GetDataLength(msg->raw));
    atomic_fetch_add(&msg->sub->finished_messages, 1);
}

int weir_msg_send_ack(struct weir_msg *msg)
{
    struct weir_bytes channel = {msg->sub->channel, strlen(msg->sub->channel)};
    char small[SMALL], *bytes = small;
    if (weir_envelope_ack_size(channel.len) > SMALL && !(bytes = malloc(weir_envelope_ack_size(channel.len))))
        return WEIR_ERR_MEMORY;
    int error = weir_sub_say(msg->sub, bytes, weir_envelope_ack_encode(bytes, channel, msg->delivery.sequence));
    if (bytes != small)
        free(bytes);
    if (!error)
        weir_msg_finish(msg);
    return error;
}

// Drops a reference; with the last one the message is gone, and its memory is returned.
static struct weir_msg *drop(struct weir_msg *msg)
{
    struct weir_sub *sub = msg->sub;
    bool kept = msg->kept;
    if (atomic_fetch_sub(&msg->references, 1) > 1)
        return NULL;
    natsMsg_Destroy(msg->raw);
    free(msg->reply);
    if (kept)
        weir_sub_unref(sub);
    return msg;
}
