// SPDX-License-Identifier: Apache-2.0
#include "stan/channel.h"

enum { CLIENT_ID_MAX = 256 };

static size_t character_length(const unsigned char *at, size_t left);

bool channel_name_is_valid(struct bytes name)
{
    if (name.len == 0 || name.len > CHANNEL_NAME_MAX || name.ptr[0] == '.' || name.ptr[name.len - 1] == '.')
        return false;
    bool ascii = true;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (c == '*' || c == '>' || c == '/' || c == 0)
            return false;
        if (c == '.' && name.ptr[i + 1] == '.')
            return false;
        ascii = ascii && c < 0x80;
    }
    return ascii || channel_text_is_valid(name);
}

bool channel_client_id_is_valid(struct bytes id)
{
    if (id.len == 0 || id.len > CLIENT_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!fine)
            return false;
    }
    return true;
}

bool channel_text_is_valid(struct bytes text)
{
    for (size_t i = 0; i < text.len;) {
        size_t length = character_length((const unsigned char *)text.ptr + i, text.len - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

// Bytes of the UTF-8 sequence at `at`; 0 when it is none.
static size_t character_length(const unsigned char *at, size_t left)
{
    unsigned char c = at[0];
    if (c < 0x80)
        return 1;
    size_t length = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (length == 0 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c == 0xe0 && at[1] < 0xa0) || (c == 0xf0 && at[1] < 0x90);
    bool surrogate = c == 0xed && at[1] > 0x9f;
    bool too_high = c == 0xf4 && at[1] > 0x8f;
    return overlong || surrogate || too_high ? 0 : length;
}
