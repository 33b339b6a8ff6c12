// SPDX-License-Identifier: Apache-2.0
// The servers of a command that is for several (work, enqueue): "nats://a:4222,nats://b:4222", each as in codec/nats_url.h, with blanks
// around it or none. Pure, but for memory.
#pragma once

#include <stddef.h>

#include "base/error.h"

enum { SERVER_LIST_MAX = 32, SERVER_LIST_NAME_SIZE = 272 };

struct server_list {
    size_t count;
    struct server_list_entry {
        char *url;                        // owned; may hold secrets
        char name[SERVER_LIST_NAME_SIZE]; // host:port, for people and for children
    } entries[SERVER_LIST_MAX];
};

// ERR_INVALID: one of them is no address, or there is none. ERR_LIMIT: more than SERVER_LIST_MAX. Then there is nothing to free.
int server_list_init(struct server_list *list, const char *text) MUST_USE;
void server_list_deinit(struct server_list *list);
