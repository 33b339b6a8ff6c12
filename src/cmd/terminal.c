// SPDX-License-Identifier: Apache-2.0
#include "cmd/terminal.h"

void terminal_print(struct bytes text, bool one_line, FILE *out)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        // C1 controls are U+0080 to U+009F: in UTF-8 a byte behind 0xc2.
        bool is_c1 = c >= 0x80 && c < 0xa0 &&
                     (i == 0 || (unsigned char)text.ptr[i - 1] == 0xc2 || (unsigned char)text.ptr[i - 1] < 0x80);
        bool is_line_end = c == '\n' || (c == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n');
        bool is_space = !one_line && (is_line_end || c == '\t');
        if ((c < ' ' && !is_space) || c == 0x7f || is_c1)
            fprintf(out, "\\x%02x", c);
        else
            putc(c, out);
    }
}
