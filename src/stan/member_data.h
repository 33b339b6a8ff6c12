// SPDX-License-Identifier: Apache-2.0
// tidy: prefix member_data
// What the engine keeps for STAN in a member's data: whose subscription it is and where its messages go.
//
//   offset size  data of a member
//        0    4  client number
//        4    2  client id length
//        6    2  inbox length
//        8    …  client id, inbox, and the rest: the ack inbox that the client was told; none: the one made of the member's id
#pragma once

#include "base/bytes.h"
#include "base/error.h"

enum { MEMBER_DATA_SIZE = 8 }; // without the texts

struct member_data {
    uint32_t client; // number
    struct bytes client_id, inbox;
    struct bytes ack_inbox; // len 0: the one made of the member's id
};

static inline size_t member_data_size(const struct member_data *data)
{
    return MEMBER_DATA_SIZE + data->client_id.len + data->inbox.len + data->ack_inbox.len;
}

// Writes member_data_size() bytes.
void member_data_encode(char *to, const struct member_data *data);
// Borrowed from `from`. ERR_CORRUPT: lengths past the end.
int member_data_decode(struct bytes from, struct member_data *ret) MUST_USE;
