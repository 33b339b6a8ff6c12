// SPDX-License-Identifier: Apache-2.0
#include "codec/size.h"

#include <string.h>

#include "base/number.h"

int size_parse(struct bytes text, uint64_t *ret_bytes)
{
    static const char letters[] = "KMGT";
    unsigned shift = 0;
    if (text.len > 1 && (text.ptr[text.len - 1] == 'B' || text.ptr[text.len - 1] == 'b'))
        text.len--;
    if (text.len > 1) {
        char last = text.ptr[text.len - 1];
        const char *letter = strchr(letters, last >= 'a' ? last - ('a' - 'A') : last);
        if (letter && *letter) {
            shift = 10 * (unsigned)(letter - letters + 1);
            text.len--;
        }
    }
    uint64_t number;
    int error = number_parse_u64(text, (uint64_t)INT64_MAX >> shift, &number);
    if (!error)
        *ret_bytes = number << shift;
    return error;
}
