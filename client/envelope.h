// SPDX-License-Identifier: Apache-2.0
// The four messages of every publish and every delivery, by hand: PubMsg (ST-M01) and Ack (ST-M04) are encoded into the caller's memory, PubAck
// (ST-M02) and MsgProto (ST-M03) decoded in place. src/stan/envelope.h is the server's side of the same. All other messages go
// through protobuf-c (request.h). Unknown fields are skipped; what cannot be read is WEIR_ERR_PROTOCOL. Pure.
#pragma once

#include "client/weir.h"

// Borrowed; absent: len 0.
struct weir_bytes {
    const char *ptr;
    size_t len;
};

struct weir_envelope_publish {
    struct weir_bytes client_id, id, channel, reply, data, connection_id;
};

size_t weir_envelope_publish_size(const struct weir_envelope_publish *publish);
// Writes exactly weir_envelope_publish_size() bytes.
void weir_envelope_publish_encode(char *to, const struct weir_envelope_publish *publish);

struct weir_envelope_answer {
    struct weir_bytes id, error;
};

int weir_envelope_answer_decode(struct weir_bytes from, struct weir_envelope_answer *ret) WEIR_MUST_USE;

struct weir_envelope_delivery {
    uint64_t sequence;
    struct weir_bytes reply, data;
    int64_t time_ns;
    bool redelivered;
    uint32_t redeliveries;
};

int weir_envelope_delivery_decode(struct weir_bytes from, struct weir_envelope_delivery *ret) WEIR_MUST_USE;

static inline size_t weir_envelope_ack_size(size_t channel_len)
{
    return 2 * (1 + 10) + channel_len;
}

// At most weir_envelope_ack_size() bytes; returns how many.
size_t weir_envelope_ack_encode(char *to, struct weir_bytes channel, uint64_t sequence);
