// SPDX-License-Identifier: Apache-2.0
// Publishes that go to any server. A publish makes tries, one after the other, each at another server: of those that are up first, then of those that were
// silent; by chance, or in the order that its key gives. When all were tried it pauses and begins again, until its time is over. All tries
// have the same id. A publish that is waited for makes them on the caller's thread; an asynchronous one on whatever thread the try before ended,
// and, after a pause, on that of the retrier.
#include "client/fleet_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAUSE_MS = 50, SOME = 64, SMALL = 1024, SPARES_MAX = 1024 };

struct weir_fleet_publish {
    struct weir_fleet_publish *previous, *next;
    struct weir_fleet *fleet;
    uint64_t serial;
    struct weir_client_try publish; // texts and data in `memory`
    int64_t deadline_ms;
    bool has_key;
    uint64_t key;
    size_t server;      // of the try under way
    size_t *ret_server; // of the caller who waits; may be NULL
    bool parked;        // none is under way
    struct weir_fleet_round round;
    weir_published_fn *on_published;
    void *closure;
    size_t capacity; // of `memory`
    char memory[];
};

static int read_publish(struct weir_fleet *fleet, const char *channel, const void *data, size_t data_bytes,
                        const struct weir_publish_options *options, char id[WEIR_CLIENT_ID_BYTES],
                        struct weir_fleet_publish *ret, struct weir_error *ret_error);
static struct weir_fleet_publish *copy(const struct weir_fleet_publish *from, struct weir_fleet_publish *spare);
static struct weir_fleet_publish *take_spare(struct weir_fleet *fleet);
static size_t room_mark(const struct weir_fleet *fleet);
static int wait_for_room(struct weir_fleet *fleet, int64_t deadline_ms, struct weir_error *ret_error);
static void leave(struct weir_fleet_publish *publish, int result, const char *why);
static struct weir_client *pick(struct weir_fleet_publish *publish);
static uint64_t weigh(struct weir_fleet *fleet, const struct weir_fleet_publish *publish,
                      const struct weir_fleet_server *server);
static void note(struct weir_fleet_publish *publish, int result, const char *why);
static int verdict(const struct weir_fleet_publish *publish, char *why, size_t size);
static void try_next(struct weir_fleet_publish *publish);
static void on_try_end(int result, const char *id, const char *why, void *closure);
static void *retry(void *closure);
static size_t take_parked(struct weir_fleet *fleet, struct weir_fleet_publish *some[SOME], uint64_t *done);

int weir_fleet_publish(struct weir_fleet *fleet, const char *channel, const void *data, size_t data_bytes,
                       const struct weir_publish_options *options, struct weir_error *ret_error)
{
    char id[WEIR_CLIENT_ID_BYTES], why[WEIR_ERROR_TEXT_BYTES];
    struct weir_fleet_publish publish;
    int result = read_publish(fleet, channel, data, data_bytes, options, id, &publish, ret_error);
    if (result)
        return result;
    if (weir_client_callback_of_thread() == fleet)
        return weir_error_set(ret_error, WEIR_ERR_INVALID,
                              "publishing and waiting within a callback of a publish would wait for itself");
    pthread_mutex_lock(&fleet->mutex);
    while ((result = verdict(&publish, why, sizeof(why))) > 0) {
        struct weir_client *client = pick(&publish);
        if (!client) {
            publish.round.tried = 0;
            weir_fleet_pause(fleet, weir_client_now_ms() + PAUSE_MS);
            continue;
        }
        struct weir_error error = {0, ""};
        pthread_mutex_unlock(&fleet->mutex);
        result = weir_client_try_publish(client, &publish.publish, &error);
        weir_client_unref(client);
        pthread_mutex_lock(&fleet->mutex);
        if (result == 0)
            break;
        note(&publish, result, error.text);
    }
    pthread_mutex_unlock(&fleet->mutex);
    free(publish.round.refusal);
    if (result)
        return weir_error_set(ret_error, result, "%s", why);
    if (publish.ret_server)
        *publish.ret_server = publish.server;
    return 0;
}

int weir_fleet_publish_async(struct weir_fleet *fleet, const char *channel, const void *data, size_t data_bytes,
                             const struct weir_publish_options *options, weir_published_fn *on_published, void *closure,
                             struct weir_error *ret_error)
{
    char id[WEIR_CLIENT_ID_BYTES];
    struct weir_fleet_publish read, *publish = NULL;
    int error = read_publish(fleet, channel, data, data_bytes, options, id, &read, ret_error);
    if (error)
        return error;
    bool small = data_bytes <= SMALL / 2; // then one is at hand, and copying takes no time
    read.on_published = on_published;
    read.closure = closure;
    if (!small && !(publish = copy(&read, NULL)))
        return weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    pthread_mutex_lock(&fleet->mutex);
    error = wait_for_room(fleet, read.deadline_ms, ret_error);
    if (!error && small && !(publish = copy(&read, take_spare(fleet))))
        error = weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    if (error) {
        pthread_mutex_unlock(&fleet->mutex);
        free(publish);
        return error;
    }
    publish->serial = ++fleet->serials;
    publish->previous = fleet->last;
    *(fleet->last ? &fleet->last->next : &fleet->first) = publish;
    fleet->last = publish;
    fleet->publishes++;
    try_next(publish);
    return 0;
}

int weir_fleet_flush(struct weir_fleet *fleet, int64_t timeout_ms)
{
    int64_t deadline_ms = weir_client_deadline_ms(timeout_ms);
    int result = 0;
    if (timeout_ms < 0 || weir_client_callback_of_thread() == fleet)
        return WEIR_ERR_INVALID;
    pthread_mutex_lock(&fleet->mutex);
    uint64_t last = fleet->serials;
    fleet->end_waiters++;
    while (fleet->first && fleet->first->serial <= last && !result) {
        if (weir_client_now_ms() >= deadline_ms)
            result = WEIR_ERR_TIMEOUT;
        else
            weir_fleet_pause_for_end(fleet, deadline_ms);
    }
    fleet->end_waiters--;
    pthread_mutex_unlock(&fleet->mutex);
    return result;
}

int weir_fleet_publish_start_retrier(struct weir_fleet *fleet)
{
    if (pthread_create(&fleet->retrier, NULL, retry, fleet) != 0)
        return WEIR_ERR_MEMORY;
    fleet->retrier_runs = true;
    return 0;
}

void weir_fleet_publish_end_all(struct weir_fleet *fleet)
{
    pthread_mutex_lock(&fleet->mutex);
    fleet->end_waiters++;
    while (fleet->first) {
        struct weir_fleet_publish *publish = fleet->first;
        if (!publish->parked) { // the client that has it is ending it
            weir_fleet_pause_for_end(fleet, INT64_MAX);
            continue;
        }
        publish->parked = false;
        pthread_mutex_unlock(&fleet->mutex);
        leave(publish, WEIR_ERR_CLOSED, "the fleet was closed");
        pthread_mutex_lock(&fleet->mutex);
    }
    fleet->end_waiters--;
    for (struct weir_fleet_publish *spare; (spare = take_spare(fleet));)
        free(spare);
    pthread_mutex_unlock(&fleet->mutex);
}

static int read_publish(struct weir_fleet *fleet, const char *channel, const void *data, size_t data_bytes,
                        const struct weir_publish_options *options, char id[WEIR_CLIENT_ID_BYTES],
                        struct weir_fleet_publish *ret, struct weir_error *ret_error)
{
    struct weir_publish_options read;
    int error = weir_options_read_publish(channel, data, data_bytes, options, &read, ret_error);
    if (error)
        return error;
    *ret = (struct weir_fleet_publish){
        .fleet = fleet,
        .deadline_ms = weir_client_now_ms() + (read.timeout_ms ? read.timeout_ms : fleet->options.publish_timeout_ms),
        .has_key = read.key != NULL,
        .ret_server = read.ret_server,
        .publish = {.channel = channel,
                    .data = {data, data_bytes},
                    .id = read.id ? (struct weir_bytes){read.id, strlen(read.id)}
                                  : weir_client_make_id(fleet->ids, atomic_fetch_add(&fleet->made_ids, 1), id),
                    .reply = {read.reply, read.reply ? strlen(read.reply) : 0}},
    };
    ret->key = UINT64_C(14695981039346656037);
    for (const char *byte = read.key; byte && *byte; byte++)
        ret->key = (ret->key ^ (unsigned char)*byte) * UINT64_C(1099511628211);
    return 0;
}

static char *append(char **end, const char *bytes, size_t len)
{
    char *begin = *end;
    if (len > 0)
        memcpy(begin, bytes, len);
    begin[len] = '\0';
    *end += len + 1;
    return begin;
}

// In the memory of a spare one, if there is one and that is enough.
static struct weir_fleet_publish *copy(const struct weir_fleet_publish *from, struct weir_fleet_publish *spare)
{
    const struct weir_client_try *publish = &from->publish;
    struct weir_fleet_publish *to;
    size_t channel_len = strlen(publish->channel);
    size_t size = channel_len + publish->data.len + publish->id.len + publish->reply.len + 4;
    size_t capacity = size < SMALL ? SMALL : size;
    if (spare && spare->capacity >= size) {
        to = spare;
        capacity = spare->capacity;
    } else {
        free(spare);
        if (!(to = malloc(sizeof(*to) + capacity)))
            return NULL;
    }
    *to = *from;
    to->capacity = capacity;
    char *end = to->memory;
    to->publish.channel = append(&end, publish->channel, channel_len);
    to->publish.data.ptr = append(&end, publish->data.ptr, publish->data.len);
    to->publish.id.ptr = append(&end, publish->id.ptr, publish->id.len);
    to->publish.reply.ptr = append(&end, publish->reply.ptr, publish->reply.len);
    return to;
}

// NULL: there is none. The lock is held.
static struct weir_fleet_publish *take_spare(struct weir_fleet *fleet)
{
    struct weir_fleet_publish *spare = fleet->spares;
    if (spare) {
        fleet->spares = spare->next;
        fleet->spares_count--;
    }
    return spare;
}

static size_t room_mark(const struct weir_fleet *fleet)
{
    size_t max = fleet->options.max_publishes_in_flight;
    return max - (max + 3) / 4;
}

// The lock is held, and let go of for waiting.
static int wait_for_room(struct weir_fleet *fleet, int64_t deadline_ms, struct weir_error *ret_error)
{
    bool wait = weir_client_callback_of_thread() != fleet;
    while (!fleet->closing && fleet->publishes >= fleet->options.max_publishes_in_flight) {
        if (!wait || weir_client_now_ms() >= deadline_ms)
            return weir_error_set(ret_error, wait ? WEIR_ERR_TIMEOUT : WEIR_ERR_LIMIT, "%zu publishes are under way",
                                  fleet->publishes);
        fleet->room_waiters++;
        while (!fleet->closing && fleet->publishes > room_mark(fleet) && weir_client_now_ms() < deadline_ms)
            weir_fleet_pause_for_end(fleet, deadline_ms);
        fleet->room_waiters--;
    }
    return fleet->closing ? weir_error_set(ret_error, WEIR_ERR_CLOSED, "the fleet was closed") : 0;
}

// Calls back, and lets go of it.
static void leave(struct weir_fleet_publish *publish, int result, const char *why)
{
    struct weir_fleet *fleet = publish->fleet;
    if (publish->on_published) {
        const void *outer = weir_client_callback_of_thread();
        weir_client_set_callback_of_thread(fleet);
        publish->on_published(result, publish->publish.id.ptr, why, publish->closure);
        weir_client_set_callback_of_thread(outer);
    }
    pthread_mutex_lock(&fleet->mutex);
    *(publish->previous ? &publish->previous->next : &fleet->first) = publish->next;
    *(publish->next ? &publish->next->previous : &fleet->last) = publish->previous;
    fleet->publishes--;
    if (fleet->end_waiters > 0 || (fleet->room_waiters > 0 && fleet->publishes == room_mark(fleet)))
        pthread_cond_broadcast(&fleet->ended);
    free(publish->round.refusal);
    bool keep = publish->capacity == SMALL && fleet->spares_count < SPARES_MAX;
    if (keep) {
        publish->next = fleet->spares;
        fleet->spares = publish;
        fleet->spares_count++;
    }
    pthread_mutex_unlock(&fleet->mutex);
    if (!keep)
        free(publish);
}

// The next server to try: its client, referenced, and publish->server; NULL: there is none that was not tried. The lock is held.
static struct weir_client *pick(struct weir_fleet_publish *publish)
{
    struct weir_fleet *fleet = publish->fleet;
    struct weir_fleet_server *best = NULL;
    uint64_t best_weight = 0;
    for (size_t i = 0; i < fleet->count; i++) {
        struct weir_fleet_server *server = &fleet->servers[i];
        if (!server->client || server->state == WEIR_SERVER_DOWN || server->drained ||
            ((publish->round.tried | publish->round.refused) >> i & 1))
            continue;
        uint64_t weight = weigh(fleet, publish, server);
        if (!best || weight > best_weight) {
            best = server;
            best_weight = weight;
        }
    }
    if (!best)
        return NULL;
    int64_t try_until_ms = weir_client_now_ms() + fleet->try_timeout_ms;
    publish->server = best->index;
    publish->round.tried |= UINT64_C(1) << best->index;
    publish->publish.deadline_ms = try_until_ms < publish->deadline_ms ? try_until_ms : publish->deadline_ms;
    weir_client_ref(best->client);
    return best->client;
}

// Those that are up before those that are silent; then by the key, such that each key has its own order of the servers, or by chance.
static uint64_t weigh(struct weir_fleet *fleet, const struct weir_fleet_publish *publish,
                      const struct weir_fleet_server *server)
{
    uint64_t weight = publish->key ^ server->hash;
    if (!publish->has_key) {
        fleet->random ^= fleet->random << 13;
        fleet->random ^= fleet->random >> 7;
        fleet->random ^= fleet->random << 17;
        weight = fleet->random;
    }
    weight = (weight ^ weight >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    weight = (weight ^ weight >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return (weight >> 1 ^ weight >> 33) >> 1 | (uint64_t)(server->state == WEIR_SERVER_UP) << 63;
}

// What came of a try. The lock is held.
static void note(struct weir_fleet_publish *publish, int result, const char *why)
{
    struct weir_fleet_server *server = &publish->fleet->servers[publish->server];
    struct weir_fleet_round *round = &publish->round;
    uint64_t bit = UINT64_C(1) << publish->server;
    round->codes[publish->server] = (signed char)result;
    if (result == WEIR_ERR_REFUSED || result == WEIR_ERR_TOO_BIG) {
        round->refused |= bit;
        free(round->refusal);
        round->refusal = strdup(why);
        return;
    }
    if (result == WEIR_ERR_TIMEOUT || result == WEIR_ERR_LOST || result == WEIR_ERR_CLOSED)
        round->uncertain |= bit; // it was sent, at least before the connection broke
    if (result == WEIR_ERR_TIMEOUT && server->state == WEIR_SERVER_UP) {
        char text[WEIR_FLEET_WHY_BYTES];
        snprintf(text, sizeof(text), "did not acknowledge a publish in time (%.200s)", why);
        weir_fleet_server_set_state(server, WEIR_SERVER_SILENT, text);
    }
}

// 1: go on trying. Else how it ends, and why. The lock is held.
static int verdict(const struct weir_fleet_publish *publish, char *why, size_t size)
{
    const struct weir_fleet *fleet = publish->fleet;
    uint64_t open = 0;
    for (size_t i = 0; i < fleet->count; i++)
        open |= (uint64_t)!fleet->servers[i].drained << i;
    if (fleet->closing) {
        snprintf(why, size, "the fleet was closed");
        return WEIR_ERR_CLOSED;
    }
    bool refused = open != 0 && (open & ~publish->round.refused) == 0;
    if (!refused && weir_client_now_ms() < publish->deadline_ms)
        return 1;
    weir_fleet_describe(fleet, &publish->round, why, size);
    return refused ? WEIR_ERR_REFUSED : publish->round.uncertain ? WEIR_ERR_TIMEOUT : WEIR_ERR_UNREACHABLE;
}

// Tries until a try is under way, it is parked, or it has ended. Nobody else has it. The lock is held, and let go of.
static void try_next(struct weir_fleet_publish *publish)
{
    struct weir_fleet *fleet = publish->fleet;
    struct weir_error error;
    char why[WEIR_ERROR_TEXT_BYTES];
    int result;
    while ((result = verdict(publish, why, sizeof(why))) > 0) {
        struct weir_client *client = pick(publish);
        error.text[0] = '\0';
        if (!client) {
            publish->round.tried = 0;
            publish->parked = true;
            pthread_cond_broadcast(&fleet->changed);
            pthread_mutex_unlock(&fleet->mutex);
            return;
        }
        pthread_mutex_unlock(&fleet->mutex);
        result = weir_client_try_publish_async(client, &publish->publish, on_try_end, publish, &error);
        weir_client_unref(client);
        if (result == 0)
            return;
        pthread_mutex_lock(&fleet->mutex);
        note(publish, result, error.text);
    }
    pthread_mutex_unlock(&fleet->mutex);
    leave(publish, result, why);
}

static void on_try_end(int result, const char *id, const char *why, void *closure)
{
    struct weir_fleet_publish *publish = closure;
    (void)id;
    if (result == 0) {
        leave(publish, 0, "");
        return;
    }
    pthread_mutex_lock(&publish->fleet->mutex);
    note(publish, result, why);
    try_next(publish);
}

// Takes up again what was parked, each once after each pause.
static void *retry(void *closure)
{
    struct weir_fleet *fleet = closure;
    pthread_mutex_lock(&fleet->mutex);
    while (!fleet->closing) {
        struct weir_fleet_publish *some[SOME];
        uint64_t done = 0;
        size_t count;
        while (!fleet->closing && (count = take_parked(fleet, some, &done)) > 0) {
            for (size_t i = 0; i < count; i++) {
                try_next(some[i]);
                pthread_mutex_lock(&fleet->mutex);
            }
        }
        int64_t until_ms = done > 0 ? weir_client_now_ms() + PAUSE_MS : INT64_MAX;
        do
            weir_fleet_pause(fleet, until_ms);
        while (done > 0 && !fleet->closing && weir_client_now_ms() < until_ms);
    }
    pthread_mutex_unlock(&fleet->mutex);
    nats_ReleaseThreadMemory();
    return NULL;
}

// Some that are parked and behind *done, which moves on; they are nobody else's then.
static size_t take_parked(struct weir_fleet *fleet, struct weir_fleet_publish *some[SOME], uint64_t *done)
{
    size_t count = 0;
    for (struct weir_fleet_publish *publish = fleet->first; publish && count < SOME; publish = publish->next) {
        if (!publish->parked || publish->serial <= *done)
            continue;
        publish->parked = false;
        *done = publish->serial;
        some[count++] = publish;
    }
    return count;
}
