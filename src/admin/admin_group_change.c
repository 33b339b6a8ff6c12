// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// GROUP.*: what is done to groups.
#include "admin/admin_internal.h"
#include "codec/timestamp.h"
#include "stan/stan_control.h"

enum { NS_PER_MS = 1000000 };

static enum admin_step begin_seek(struct admin_api *api, struct admin_ask *ask);
static int read_start(struct admin_ask *ask, enum consumer_start *ret_start, uint64_t *ret_time_ns);
static void on_sought(void *owner, int error, struct consumer *consumer, uint64_t index);

enum admin_step admin_group_pause(struct admin_api *api, struct admin_ask *ask)
{
    struct consumer *consumer = admin_find_group(api, ask);
    if (!consumer)
        return ADMIN_FAILED;
    uint64_t until_ns = admin_has(ask, FIELD_FOR_MS) ? api->now.wall_ns + ask->fields.for_ms * NS_PER_MS : 0;
    int error = engine_consumer_pause(api->engine, consumer, true, until_ns, admin_time(api), &ask->index);
    return error ? admin_fail_with(ask, error, "pause the group") : admin_show(ask, admin_object_render_group);
}

enum admin_step admin_group_resume(struct admin_api *api, struct admin_ask *ask)
{
    struct consumer *consumer = admin_find_group(api, ask);
    if (!consumer)
        return ADMIN_FAILED;
    int error = engine_consumer_pause(api->engine, consumer, false, 0, admin_time(api), &ask->index);
    return error ? admin_fail_with(ask, error, "resume the group") : admin_show(ask, admin_object_render_group);
}

enum admin_step admin_group_seek(struct admin_api *api, struct admin_ask *ask)
{
    if (!ask->begun && begin_seek(api, ask) == ADMIN_FAILED)
        return ADMIN_FAILED;
    if (!ask->over)
        return ADMIN_LATER;
    if (ask->outcome == ERR_AGAIN)
        return admin_fail(ask, ADMIN_CONFLICT, NULL, "the group is being moved or made");
    if (ask->outcome == ERR_NOT_FOUND)
        return admin_fail(ask, ADMIN_GROUP_NOT_FOUND, NULL, "the group has gone");
    return ask->outcome ? admin_fail_with(ask, ask->outcome, "move the group")
                        : admin_show(ask, admin_object_render_group);
}

enum admin_step admin_group_remove(struct admin_api *api, struct admin_ask *ask)
{
    struct consumer *consumer = admin_find_group(api, ask);
    struct consumer_state state;
    if (!consumer)
        return ADMIN_FAILED;
    consumer_state_get(consumer, &state);
    if (state.members && !ask->fields.force)
        return admin_fail(ask, ADMIN_IN_USE, "force", "the group has %u members: ask with force", state.members);
    int error = stan_control_remove_group(api->options.stan, consumer, &ask->index);
    return error ? admin_fail_with(ask, error, "remove the group") : admin_show_removed(ask);
}

static enum admin_step begin_seek(struct admin_api *api, struct admin_ask *ask)
{
    enum consumer_start start = CONSUMER_START_SEQUENCE;
    uint64_t time_ns = 0;
    struct consumer *consumer = admin_find_group(api, ask);
    if (!consumer || read_start(ask, &start, &time_ns))
        return ADMIN_FAILED;
    ask->awaiting = true;
    engine_consumer_seek(api->engine, consumer, start, ask->fields.to_sequence, time_ns, admin_time(api), on_sought,
                         ask);
    return ADMIN_LATER;
}

static int read_start(struct admin_ask *ask, enum consumer_start *ret_start, uint64_t *ret_time_ns)
{
    static const struct {
        const char *name;
        enum consumer_start start;
    } words[] = {{"first", CONSUMER_START_FIRST}, {"last", CONSUMER_START_LAST}, {"new", CONSUMER_START_NEW}};
    bool sequence = admin_has(ask, FIELD_TO_SEQUENCE), time = admin_has(ask, FIELD_TO_TIME),
         word = admin_has(ask, FIELD_TO);
    if (sequence + time + word != 1) {
        admin_fail(ask, ADMIN_BAD_REQUEST, "to", "exactly one of to_sequence, to_time, to must be given");
        return ERR_INVALID;
    }
    if (time && timestamp_parse(ask->fields.to_time, ret_time_ns)) {
        admin_fail(ask, ADMIN_BAD_REQUEST, "to_time", "to_time must be a time as of RFC 3339");
        return ERR_INVALID;
    }
    *ret_start = time ? CONSUMER_START_TIME : CONSUMER_START_SEQUENCE;
    for (size_t i = 0; word && i < sizeof(words) / sizeof(words[0]); i++) {
        if (!bytes_equal(ask->fields.to, bytes_from_string(words[i].name)))
            continue;
        *ret_start = words[i].start;
        return 0;
    }
    if (word)
        admin_fail(ask, ADMIN_BAD_REQUEST, "to", "to must be first, last or new");
    return word ? ERR_INVALID : 0;
}

static void on_sought(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    struct admin_ask *ask = owner;
    (void)consumer;
    ask->awaiting = false;
    ask->over = true;
    ask->outcome = error;
    ask->index = index;
}
