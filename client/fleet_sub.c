// SPDX-License-Identifier: Apache-2.0
// Subscriptions of a fleet: a wish, and at each server the place where it is or is not fulfilled yet. The server's thread works on its own places;
// what wants to know the outcome waits for those of servers that are up.
#include "client/fleet_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { RETRY_MS = 500 };

static int make(struct weir_fleet *fleet, const char *channel, const struct weir_sub_options *options,
                struct weir_fleet_sub **ret_sub, struct weir_error *ret_error);
static bool wait_for_places(struct weir_fleet_sub *sub);
static bool place_is_open(const struct weir_fleet_sub *sub, size_t server);
static void subscribe_at(struct weir_fleet_server *server, struct weir_fleet_sub *sub);
static void end_at(struct weir_fleet_server *server, struct weir_fleet_sub *sub);
static int end(struct weir_fleet_sub *sub, enum weir_fleet_wish wish, struct weir_error *ret_error);
static bool is_untold(const struct weir_fleet_sub *sub, size_t server);
static void hush(struct weir_fleet_sub *sub);
static void deliver(struct weir_msg *msg, void *closure);
static void take_leave(void *closure);
static void sweep(struct weir_fleet *fleet);
static struct weir_sub *sub_at(struct weir_fleet_sub *sub, size_t server);

int weir_fleet_subscribe(struct weir_fleet *fleet, const char *channel, const struct weir_sub_options *options,
                         weir_message_fn *on_message, void *closure, struct weir_fleet_sub **ret_sub,
                         struct weir_error *ret_error)
{
    struct weir_fleet_sub *sub = NULL;
    if (!on_message)
        return weir_error_set(ret_error, WEIR_ERR_INVALID, "a subscription needs a handler");
    int error = make(fleet, channel, options, &sub, ret_error);
    if (error)
        return error;
    sub->on_message = on_message;
    sub->closure = closure;
    pthread_mutex_lock(&fleet->mutex);
    sub->next = fleet->subs;
    fleet->subs = sub;
    pthread_cond_broadcast(&fleet->changed);
    wait_for_places(sub);
    for (size_t i = 0; i < fleet->count && !error; i++) {
        if (sub->places[i].state == WEIR_FLEET_REFUSED)
            error = weir_error_set(ret_error, sub->places[i].code, "%s", sub->places[i].why);
    }
    pthread_mutex_unlock(&fleet->mutex);
    if (error) {
        weir_fleet_sub_free(sub);
        return error;
    }
    *ret_sub = sub;
    return 0;
}

int weir_fleet_sub_close(struct weir_fleet_sub *sub, struct weir_error *ret_error)
{
    return end(sub, WEIR_FLEET_CLOSED, ret_error);
}

int weir_fleet_sub_unsubscribe(struct weir_fleet_sub *sub, struct weir_error *ret_error)
{
    return end(sub, WEIR_FLEET_DELETED, ret_error);
}

void weir_fleet_sub_free(struct weir_fleet_sub *sub)
{
    if (!sub)
        return;
    struct weir_fleet *fleet = sub->fleet;
    end(sub, WEIR_FLEET_CLOSED, NULL);
    pthread_mutex_lock(&fleet->mutex);
    while (sub->alive > 0)
        weir_fleet_pause(fleet, INT64_MAX);
    sub->freed = true;
    sweep(fleet);
    pthread_mutex_unlock(&fleet->mutex);
}

void weir_fleet_sub_stop(struct weir_fleet_sub *sub)
{
    pthread_mutex_lock(&sub->fleet->mutex);
    sub->stopped = true;
    for (size_t i = 0; i < sub->fleet->count; i++) {
        if (sub->places[i].sub)
            weir_sub_stop(sub->places[i].sub);
    }
    pthread_mutex_unlock(&sub->fleet->mutex);
}

int weir_fleet_sub_pending(struct weir_fleet_sub *sub, size_t server, uint64_t *ret_messages, uint64_t *ret_bytes)
{
    struct weir_fleet *fleet = sub->fleet;
    uint64_t messages = 0, bytes = 0;
    if (server != WEIR_ALL_SERVERS && server >= fleet->count)
        return WEIR_ERR_NOT_FOUND;
    for (size_t i = server == WEIR_ALL_SERVERS ? 0 : server;
         i < (server == WEIR_ALL_SERVERS ? fleet->count : server + 1); i++) {
        uint64_t messages_here, bytes_here;
        struct weir_sub *here = sub_at(sub, i);
        if (!here)
            continue;
        weir_sub_pending(here, &messages_here, &bytes_here);
        messages += messages_here;
        bytes += bytes_here;
        weir_sub_unref(here);
    }
    if (ret_messages)
        *ret_messages = messages;
    if (ret_bytes)
        *ret_bytes = bytes;
    return 0;
}

int weir_fleet_sub_backlog(struct weir_fleet_sub *sub, size_t server, struct weir_backlog *ret_backlog,
                           size_t *ret_answers, struct weir_error *ret_error)
{
    struct weir_fleet *fleet = sub->fleet;
    struct weir_backlog sum = {.oldest_age_ms = -1};
    size_t answers = 0;
    int error = WEIR_ERR_UNREACHABLE;
    if (server != WEIR_ALL_SERVERS && server >= fleet->count)
        return weir_error_set(ret_error, WEIR_ERR_NOT_FOUND, "there is no server %zu", server);
    weir_error_set(ret_error, error, "the subscription is not at %s now",
                   server == WEIR_ALL_SERVERS ? "any server" : "that server");
    for (size_t i = server == WEIR_ALL_SERVERS ? 0 : server;
         i < (server == WEIR_ALL_SERVERS ? fleet->count : server + 1); i++) {
        struct weir_backlog backlog;
        struct weir_sub *here = sub_at(sub, i);
        int result = here ? weir_sub_backlog(here, &backlog, ret_error) : WEIR_ERR_UNREACHABLE;
        if (here)
            weir_sub_unref(here);
        if (result) {
            error = here ? result : error;
            continue;
        }
        answers++;
        sum.messages += backlog.messages;
        sum.bytes += backlog.bytes;
        sum.waiting_messages += backlog.waiting_messages;
        sum.waiting_bytes += backlog.waiting_bytes;
        sum.in_flight_messages += backlog.in_flight_messages;
        sum.in_flight_bytes += backlog.in_flight_bytes;
        sum.dead_messages += backlog.dead_messages;
        sum.members += backlog.members;
        sum.oldest_age_ms = backlog.oldest_age_ms > sum.oldest_age_ms ? backlog.oldest_age_ms : sum.oldest_age_ms;
    }
    if (answers == 0)
        return error;
    *ret_backlog = sum;
    if (ret_answers)
        *ret_answers = answers;
    return 0;
}

int weir_fleet_sub_nak_all(struct weir_fleet_sub *sub, bool count)
{
    int error = 0;
    for (size_t i = 0; i < sub->fleet->count; i++) {
        struct weir_sub *here = sub_at(sub, i);
        if (!here)
            continue;
        int result = weir_sub_nak_all(here, count);
        error = error ? error : result;
        weir_sub_unref(here);
    }
    return error;
}

bool weir_fleet_sub_settle(struct weir_fleet_server *server, int64_t *ret_next_ms)
{
    bool up = server->state == WEIR_SERVER_UP;
    for (struct weir_fleet_sub *sub = server->fleet->subs; sub; sub = sub->next) {
        struct weir_fleet_place *place = &sub->places[server->index];
        if (place->state == WEIR_FLEET_FINISHED)
            continue;
        if (sub->wish != WEIR_FLEET_SUBSCRIBED && (!place->sub || !place->deaf || up)) {
            end_at(server, sub);
            return true;
        }
        if (sub->wish != WEIR_FLEET_SUBSCRIBED || place->state == WEIR_FLEET_PRESENT || !up)
            continue;
        if (place->retry_ms <= weir_client_now_ms()) {
            subscribe_at(server, sub);
            return true;
        }
        *ret_next_ms = place->retry_ms < *ret_next_ms ? place->retry_ms : *ret_next_ms;
    }
    return false;
}

void weir_fleet_sub_forget(struct weir_fleet_server *server)
{
    for (struct weir_fleet_sub *sub = server->fleet->subs; sub; sub = sub->next) {
        struct weir_fleet_place *place = &sub->places[server->index];
        place->sub = NULL;
        place->retry_ms = 0;
        place->state = sub->wish == WEIR_FLEET_SUBSCRIBED ? WEIR_FLEET_ABSENT : WEIR_FLEET_FINISHED;
    }
    sweep(server->fleet);
    pthread_cond_broadcast(&server->fleet->changed);
}

void weir_fleet_sub_destroy(struct weir_fleet_sub *sub)
{
    weir_options_sub_deinit(&sub->options);
    free(sub->channel);
    free(sub);
}

void weir_fleet_sub_wait_all(struct weir_fleet *fleet)
{
    pthread_mutex_lock(&fleet->mutex);
    for (;;) {
        size_t alive = 0;
        for (const struct weir_fleet_sub *sub = fleet->subs; sub; sub = sub->next)
            alive += sub->alive;
        if (alive == 0)
            break;
        weir_fleet_pause(fleet, INT64_MAX);
    }
    pthread_mutex_unlock(&fleet->mutex);
}

static int make(struct weir_fleet *fleet, const char *channel, const struct weir_sub_options *options,
                struct weir_fleet_sub **ret_sub, struct weir_error *ret_error)
{
    struct weir_fleet_sub *sub = calloc(1, sizeof(*sub));
    if (!sub)
        return weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    int error = weir_options_sub_copy(channel, options, &sub->options, ret_error);
    if (!error && !(sub->channel = strdup(channel)))
        error = weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    if (error) {
        weir_fleet_sub_destroy(sub);
        return error;
    }
    sub->fleet = fleet;
    *ret_sub = sub;
    return 0;
}

// Until every server that is up has done what there is to do for it, or for as long as it may take to answer. The lock is held. False: not all have.
static bool wait_for_places(struct weir_fleet_sub *sub)
{
    struct weir_fleet *fleet = sub->fleet;
    int64_t deadline_ms = weir_client_now_ms() + fleet->options.request_timeout_ms;
    for (;;) {
        bool open = false;
        for (size_t i = 0; i < fleet->count; i++)
            open |= place_is_open(sub, i);
        if (!open || fleet->closing)
            return !open;
        if (weir_client_now_ms() >= deadline_ms)
            return false;
        weir_fleet_pause(fleet, deadline_ms);
    }
}

static bool place_is_open(const struct weir_fleet_sub *sub, size_t server)
{
    const struct weir_fleet_place *place = &sub->places[server];
    if (sub->fleet->servers[server].state != WEIR_SERVER_UP)
        return sub->wish != WEIR_FLEET_SUBSCRIBED && place->sub && !place->deaf;
    if (sub->wish == WEIR_FLEET_SUBSCRIBED)
        return place->state == WEIR_FLEET_BUSY || (place->state == WEIR_FLEET_ABSENT && place->retry_ms == 0);
    return place->state != WEIR_FLEET_FINISHED;
}

static void subscribe_at(struct weir_fleet_server *server, struct weir_fleet_sub *sub)
{
    struct weir_fleet *fleet = server->fleet;
    struct weir_fleet_place *place = &sub->places[server->index];
    struct weir_error error = {0, ""};
    struct weir_sub *here = NULL;
    place->state = WEIR_FLEET_BUSY;
    sub->alive++;
    pthread_mutex_unlock(&fleet->mutex);
    int result = weir_sub_open(server->client, sub->channel, &sub->options, deliver, sub, take_leave, &here, &error);
    pthread_mutex_lock(&fleet->mutex);
    pthread_cond_broadcast(&fleet->changed);
    bool refused = result == WEIR_ERR_REFUSED || result == WEIR_ERR_INVALID;
    place->code = result;
    place->asked = place->asked || !refused; // a try that timed out may have made what the next is refused for
    if (result == 0) {
        place->sub = here;
        place->deaf = false;
        place->state = WEIR_FLEET_PRESENT;
        if (sub->stopped)
            weir_sub_stop(here);
        return;
    }
    place->state = refused ? WEIR_FLEET_REFUSED : WEIR_FLEET_ABSENT;
    place->retry_ms = weir_client_now_ms() + RETRY_MS;
    snprintf(place->why, sizeof(place->why), "%.*s", (int)sizeof(place->why) - 1, error.text);
    if (refused && !server->lost) {
        snprintf(server->why, sizeof(server->why), "subscribing to %.100s: %.120s", sub->channel, error.text);
        server->tell_why = true;
    }
}

// First here, then at the server, if that can be asked. What came of it is noted and not tried again: what the server still has ends with the client.
static void end_at(struct weir_fleet_server *server, struct weir_fleet_sub *sub)
{
    struct weir_fleet *fleet = server->fleet;
    struct weir_fleet_place *place = &sub->places[server->index];
    struct weir_sub *here = place->sub;
    struct weir_error error = {0, ""};
    int result = 0;
    if (here) {
        bool tell = server->state == WEIR_SERVER_UP, delete = sub->wish == WEIR_FLEET_DELETED;
        place->state = WEIR_FLEET_BUSY;
        place->deaf = true;
        pthread_mutex_unlock(&fleet->mutex);
        if (tell)
            result = weir_sub_tell_end(here, delete, &error);
        weir_sub_deafen(here);
        if (tell)
            weir_sub_release(here);
        pthread_mutex_lock(&fleet->mutex);
        place->state = tell ? WEIR_FLEET_FINISHED : WEIR_FLEET_PRESENT;
        place->sub = tell ? NULL : here;
    } else {
        place->state = WEIR_FLEET_FINISHED;
    }
    place->code = result;
    snprintf(place->why, sizeof(place->why), "%.*s", (int)sizeof(place->why) - 1, error.text);
    sweep(fleet);
    pthread_cond_broadcast(&fleet->changed);
}

static void deliver(struct weir_msg *msg, void *closure)
{
    struct weir_fleet_sub *sub = closure;
    sub->on_message(msg, sub->closure);
}

static void take_leave(void *closure)
{
    struct weir_fleet_sub *sub = closure;
    struct weir_fleet *fleet = sub->fleet;
    pthread_mutex_lock(&fleet->mutex);
    sub->alive--;
    sweep(fleet);
    pthread_cond_broadcast(&fleet->changed);
    pthread_mutex_unlock(&fleet->mutex);
}

static int end(struct weir_fleet_sub *sub, enum weir_fleet_wish wish, struct weir_error *ret_error)
{
    struct weir_fleet *fleet = sub->fleet;
    char untold[WEIR_ERROR_TEXT_BYTES / 2] = "";
    size_t used = 0;
    int error = 0;
    pthread_mutex_lock(&fleet->mutex);
    if (sub->wish == WEIR_FLEET_SUBSCRIBED) {
        sub->wish = wish;
        hush(sub);
        pthread_cond_broadcast(&fleet->changed);
        wait_for_places(sub);
        for (size_t i = 0; i < fleet->count; i++) {
            const struct weir_fleet_place *place = &sub->places[i];
            if (!is_untold(sub, i) || used >= sizeof(untold))
                continue;
            error = error ? error : place->state == WEIR_FLEET_FINISHED ? place->code : WEIR_ERR_UNREACHABLE;
            int len =
                snprintf(untold + used, sizeof(untold) - used, "%s%s: %s", used ? "; " : "", fleet->servers[i].shown,
                         place->state == WEIR_FLEET_FINISHED ? place->why : fleet->servers[i].why);
            used += len > 0 ? (size_t)len : 0;
        }
    }
    pthread_mutex_unlock(&fleet->mutex);
    return error ? weir_error_set(ret_error, error, "not told: %s", untold) : 0;
}

// Whether a server may still have what the wish should have ended there. One that never had the subscription has nothing to be told, but for a
// durable that is to be deleted: that may be from an earlier run. The lock is held.
static bool is_untold(const struct weir_fleet_sub *sub, size_t server)
{
    const struct weir_fleet_place *place = &sub->places[server];
    if (place->state == WEIR_FLEET_FINISHED)
        return place->code != 0;
    return place->asked || place->state == WEIR_FLEET_BUSY ||
           (sub->wish == WEIR_FLEET_DELETED && sub->options.durable != NULL);
}

// From now on no handler begins any more. The lock is held.
static void hush(struct weir_fleet_sub *sub)
{
    for (size_t i = 0; i < sub->fleet->count; i++) {
        if (sub->places[i].sub)
            atomic_store(&sub->places[i].sub->closed, true);
    }
}

// Frees what has no handle and nothing left to do. The lock is held.
static void sweep(struct weir_fleet *fleet)
{
    for (struct weir_fleet_sub **link = &fleet->subs; *link;) {
        struct weir_fleet_sub *sub = *link;
        bool finished = sub->freed && sub->alive == 0;
        for (size_t i = 0; i < fleet->count && finished; i++)
            finished = sub->places[i].state != WEIR_FLEET_BUSY && !sub->places[i].sub;
        if (finished) {
            *link = sub->next;
            weir_fleet_sub_destroy(sub);
        } else {
            link = &sub->next;
        }
    }
}

// Referenced; NULL: it is not there.
static struct weir_sub *sub_at(struct weir_fleet_sub *sub, size_t server)
{
    pthread_mutex_lock(&sub->fleet->mutex);
    struct weir_sub *here = sub->places[server].sub;
    if (here)
        weir_sub_ref(here);
    pthread_mutex_unlock(&sub->fleet->mutex);
    return here;
}
