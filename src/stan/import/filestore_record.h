// SPDX-License-Identifier: Apache-2.0
// The payloads in the files of a NATS Streaming file store: ServerInfo (IM-01), ClientInfo (IM-02), MsgProto (IM-03), SubState
// (IM-05). Decoded in place, all bytes borrowed from the payload; unknown fields are passed over, of a repeated one the last counts.
// ERR_PROTOCOL: no such message.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

struct filestore_server {
    struct bytes cluster_id, discovery, publish, subscribe, unsubscribe, close, sub_close, acks;
    struct bytes node_id; // len 0: it was no node of a cluster
};

int filestore_server_decode(struct bytes from, struct filestore_server *ret) MUST_USE;

enum filestore_client_type { FILESTORE_CLIENT_ADD = 1, FILESTORE_CLIENT_DELETE = 2 };

struct filestore_client {
    struct bytes id, inbox, connection_id;
    uint32_t protocol, ping_interval_s, ping_max_out; // beyond what fits: the most
};

// Also of a delete, which has the id only.
int filestore_client_decode(struct bytes from, struct filestore_client *ret) MUST_USE;

struct filestore_message {
    uint64_t sequence;
    uint64_t time_ns;
    struct bytes subject, reply, data;
};

int filestore_message_decode(struct bytes from, struct filestore_message *ret) MUST_USE;

enum filestore_sub_type {
    FILESTORE_SUB_NEW = 1,
    FILESTORE_SUB_UPDATE = 2,
    FILESTORE_SUB_DELETE = 3,
    FILESTORE_SUB_ACK = 4,
    FILESTORE_SUB_PENDING = 5,
};

struct filestore_sub {
    uint64_t id;
    struct bytes client_id, group, inbox, ack_inbox, durable;
    uint32_t max_in_flight, ack_wait_s; // as for clients
    uint64_t last_sent;
    bool is_durable, is_closed;
};

int filestore_sub_decode(struct bytes from, struct filestore_sub *ret) MUST_USE;
// Of a delete (sequence 0), an acknowledgement or a pending message.
int filestore_sub_change_decode(struct bytes from, uint64_t *ret_id, uint64_t *ret_sequence) MUST_USE;
