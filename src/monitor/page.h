// SPDX-License-Identifier: Apache-2.0
// One monitoring page: what was asked, and what a page's function fills in, now or later.
#pragma once

#include "base/buffer.h"
#include "codec/http.h"

// A page longer than this is answered with 503. Lists have limits of their own (offset, limit); but tools that ask /jsz for everything know
// none, and ten thousand channels with a consumer each are 16 MiB.
#define PAGE_SIZE_MAX (32 * 1024 * 1024)

// Of the query parameter "callback" (JSONP), with its NUL; longer ones are left out.
#define PAGE_CALLBACK_SIZE 128

struct page {
    // Borrowed during the first call of the page's function only.
    const struct http_request *request;
    int status;                // 200 unless the function says otherwise
    struct bytes content_type; // static; JSON unless the function says otherwise
    struct bytes fields;       // static: more lines of the header, each with its line end
    bool is_local;             // who asks is on this machine
    struct buffer *body;       // borrowed; empty at first
    const char *sys_key;       // static: what an answer in the system account calls the page; NULL: "data"
    bool sys_whole;            // the body is all of such an answer; nothing in it: none is sent
    // Set by a function that will fill the page later: whoever asked gets his answer when page_finish() is called, which frees
    // the page. Until then it stays where it is, even if the asker goes away.
    bool held;
    // Of such a function, if the asker's going away makes a difference: called once then, and may finish the page at once.
    void (*leave)(struct page *page);  // NULL: it makes none
    void *holder;                      // what `leave` needs
    void (*finish)(struct page *page); // the asker's
};

static inline void page_finish(struct page *page)
{
    page->finish(page);
}
