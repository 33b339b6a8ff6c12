// SPDX-License-Identifier: Apache-2.0
#include "stan/channel.h"

#include "base/utf8.h"

enum { CLIENT_ID_MAX = 256 };

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
        size_t length = utf8_len(bytes_skip(text, i));
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}
