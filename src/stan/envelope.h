// SPDX-License-Identifier: Apache-2.0
// The four STAN messages of the hot path, by hand: PubMsg (ST-M01) and Ack (ST-M04) are decoded in place, PubAck (ST-M02) and
// MsgProto (ST-M03) encoded into the caller's memory. Everything else goes through protobuf-c (stan.proto). Unknown fields are
// skipped; a known field of the wrong wire type, a length past the end or a group is ERR_PROTOCOL, as protobuf-c has it.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

// Borrowed from the decoded bytes. An absent field has len 0; of a repeated one the last counts.
struct envelope_publish {
    struct bytes client_id, guid, subject, reply, data, connection_id;
};

int envelope_publish_decode(struct bytes from, struct envelope_publish *ret) MUST_USE;

struct envelope_ack {
    struct bytes subject;
    uint64_t sequence;
};

int envelope_ack_decode(struct bytes from, struct envelope_ack *ret) MUST_USE;

// Bytes that envelope_pub_ack_encode() needs at most.
static inline size_t envelope_pub_ack_size(size_t guid_len, size_t error_len)
{
    return 2 * (1 + 10) + guid_len + error_len;
}

// Returns the bytes written. error.len 0: success.
size_t envelope_pub_ack_encode(char *to, struct bytes guid, struct bytes error);

// What surrounds the data of a MsgProto. The frame is head, data, tail.
struct envelope_delivery {
    uint64_t sequence;
    struct bytes subject; // up to 64 KiB
    struct bytes reply;
    size_t data_len;
    uint64_t time_ns;
    uint32_t redelivery_count; // > 0 sets redelivered as well
};

enum { ENVELOPE_TAIL_MAX = 32 };

static inline size_t envelope_head_size(const struct envelope_delivery *delivery)
{
    return 4 * (1 + 10) + delivery->subject.len + delivery->reply.len;
}

size_t envelope_head_encode(char *to, const struct envelope_delivery *delivery);
// At most ENVELOPE_TAIL_MAX bytes.
size_t envelope_tail_encode(char *to, const struct envelope_delivery *delivery);
