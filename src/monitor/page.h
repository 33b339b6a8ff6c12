// SPDX-License-Identifier: Apache-2.0
// One monitoring page: what was asked, and what a page's function fills in.
#pragma once

#include "base/buffer.h"
#include "codec/http.h"

// A page longer than this is answered with 503. Lists have limits of their own (offset, limit).
#define PAGE_SIZE_MAX (16 * 1024 * 1024)

struct page {
    const struct http_request *request; // borrowed
    int status;                         // 200 unless the function says otherwise
    struct bytes content_type;          // static; JSON unless the function says otherwise
    struct buffer *body;                // borrowed; empty at first
};
