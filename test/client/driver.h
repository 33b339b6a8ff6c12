// SPDX-License-Identifier: Apache-2.0
// What driver.c (a client) and driver_fleet.c (a fleet) share.
#pragma once

#include <jansson.h>
#include <pthread.h>
#include <weir.h>

enum driver_kind { KIND_NONE, KIND_CLIENT, KIND_SUB, KIND_MSG, KIND_FLEET, KIND_FLEET_SUB };

struct driver_named {
    enum driver_kind kind;
    char name[64];
    void *handle;
    struct driver_handler *handler; // of a subscription; of a client or fleet its own name
};

// What a subscription does with its messages.
struct driver_handler {
    char name[64];
    bool keep;
    int64_t hold_ms;
};

// Publishes whose ends are waited for.
struct driver_pending {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    int64_t left;
    int result;
    char why[256];
    struct weir_client *close; // the first of them closes this one; NULL: none
    char id[32];               // of the one before; made-up ids count up
    bool in_order;             // they must
};

// One line of output; takes it.
void driver_say(json_t *line);
// The named one must be there.
struct driver_named *driver_find(enum driver_kind kind, const char *name);
void driver_add(enum driver_kind kind, const char *name, void *handle, struct driver_handler *handler);
void *driver_forget(enum driver_kind kind, const char *name);

// Fields of a call: NULL, 0 and false if they are not there.
const char *driver_text(const json_t *call, const char *name);
int64_t driver_number(const json_t *call, const char *name);
bool driver_truth(const json_t *call, const char *name);

void driver_read_client(const json_t *call, struct weir_client_options *options);
void driver_read_publish(const json_t *call, struct weir_publish_options *options);
void driver_read_sub(const json_t *call, struct weir_sub_options *options);
json_t *driver_backlog(const struct weir_backlog *backlog);

void driver_on_message(struct weir_msg *msg, void *closure);
void driver_on_published(int result, const char *id, const char *why, void *closure);

// A call whose name begins with fleet_; `what` is the rest.
int driver_fleet(const json_t *call, const char *what, json_t *answer, struct weir_error *error);
