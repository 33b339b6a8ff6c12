// SPDX-License-Identifier: Apache-2.0
#include "stan/member_data.h"

#include "base/endian.h"

void member_data_encode(char *to, const struct member_data *data)
{
    put_u32(to, data->client);
    put_u16(to + 4, (uint16_t)data->client_id.len);
    put_u16(to + 6, (uint16_t)data->inbox.len);
    to += MEMBER_DATA_SIZE;
    const struct bytes texts[] = {data->client_id, data->inbox, data->ack_inbox};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].len)
            memcpy(to, texts[i].ptr, texts[i].len);
        to += texts[i].len;
    }
}

int member_data_decode(struct bytes from, struct member_data *ret)
{
    if (from.len < MEMBER_DATA_SIZE)
        return ERR_CORRUPT;
    size_t client = get_u16(from.ptr + 4), inbox = get_u16(from.ptr + 6);
    if (from.len < MEMBER_DATA_SIZE + client + inbox)
        return ERR_CORRUPT;
    *ret = (struct member_data){
        .client = get_u32(from.ptr),
        .client_id = bytes_make(from.ptr + MEMBER_DATA_SIZE, client),
        .inbox = bytes_make(from.ptr + MEMBER_DATA_SIZE + client, inbox),
        .ack_inbox = bytes_skip(from, MEMBER_DATA_SIZE + client + inbox),
    };
    return 0;
}
