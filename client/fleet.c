// SPDX-License-Identifier: Apache-2.0
// Makes and ends fleets, and says how their servers are.
#include "client/fleet_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static int read_options(const struct weir_fleet_options *options, struct weir_fleet_options *ret,
                        struct weir_error *ret_error);
static int make(const struct weir_fleet_options *options, struct weir_fleet **ret_fleet, struct weir_error *ret_error);
static void wait_on(pthread_cond_t *condition, struct weir_fleet *fleet, int64_t until_ms);
static int make_server(struct weir_fleet *fleet, size_t index, const char *url);
static char *without_login(const char *url);
static void stop(struct weir_fleet *fleet);
static void destroy(struct weir_fleet *fleet);
static int set_drained(struct weir_fleet *fleet, size_t server, bool drained);

int weir_fleet_open(const struct weir_fleet_options *options, struct weir_fleet **ret_fleet,
                    struct weir_error *ret_error)
{
    struct weir_fleet_options read = {0};
    struct weir_fleet *fleet = NULL;
    int error = read_options(options, &read, ret_error);
    if (error || (error = make(&read, &fleet, ret_error)))
        return error;
    error = weir_fleet_publish_start_retrier(fleet);
    for (size_t i = 0; i < fleet->count && !error; i++)
        error = weir_fleet_server_start(&fleet->servers[i]);
    if (error) {
        weir_fleet_free(fleet);
        return weir_error_set(ret_error, error, "no thread could be started");
    }
    *ret_fleet = fleet;
    return 0;
}

int weir_fleet_wait(struct weir_fleet *fleet, size_t count, int64_t timeout_ms, struct weir_error *ret_error)
{
    int64_t deadline_ms = weir_client_deadline_ms(timeout_ms);
    char why[WEIR_ERROR_TEXT_BYTES];
    int error = 0;
    pthread_mutex_lock(&fleet->mutex);
    for (;;) {
        size_t up = 0;
        for (size_t i = 0; i < fleet->count; i++)
            up += fleet->servers[i].state == WEIR_SERVER_UP;
        if (up >= (count == 0 || count > fleet->count ? fleet->count : count))
            break;
        if (weir_client_now_ms() >= deadline_ms) {
            weir_fleet_describe(fleet, NULL, why, sizeof(why));
            error = weir_error_set(ret_error, WEIR_ERR_TIMEOUT, "%zu of %zu servers are up: %s", up, fleet->count, why);
            break;
        }
        weir_fleet_pause(fleet, deadline_ms);
    }
    pthread_mutex_unlock(&fleet->mutex);
    return error;
}

void weir_fleet_free(struct weir_fleet *fleet)
{
    if (!fleet)
        return;
    stop(fleet);
    weir_fleet_publish_end_all(fleet);
    weir_fleet_sub_wait_all(fleet);
    destroy(fleet);
}

const char *weir_fleet_client_id(const struct weir_fleet *fleet)
{
    return fleet->options.client_id;
}

size_t weir_fleet_servers(const struct weir_fleet *fleet)
{
    return fleet->count;
}

const char *weir_fleet_server_url(const struct weir_fleet *fleet, size_t server)
{
    return server < fleet->count ? fleet->servers[server].shown : NULL;
}

enum weir_server_state weir_fleet_server_state(struct weir_fleet *fleet, size_t server)
{
    if (server >= fleet->count)
        return WEIR_SERVER_DOWN;
    pthread_mutex_lock(&fleet->mutex);
    enum weir_server_state state = fleet->servers[server].state;
    pthread_mutex_unlock(&fleet->mutex);
    return state;
}

int weir_fleet_drain(struct weir_fleet *fleet, size_t server)
{
    return set_drained(fleet, server, true);
}

int weir_fleet_undrain(struct weir_fleet *fleet, size_t server)
{
    return set_drained(fleet, server, false);
}

bool weir_fleet_is_drained(struct weir_fleet *fleet, size_t server)
{
    if (server >= fleet->count)
        return false;
    pthread_mutex_lock(&fleet->mutex);
    bool drained = fleet->servers[server].drained;
    pthread_mutex_unlock(&fleet->mutex);
    return drained;
}

void weir_fleet_pause(struct weir_fleet *fleet, int64_t until_ms)
{
    wait_on(&fleet->changed, fleet, until_ms);
}

void weir_fleet_pause_for_end(struct weir_fleet *fleet, int64_t until_ms)
{
    wait_on(&fleet->ended, fleet, until_ms);
}

void weir_fleet_describe(const struct weir_fleet *fleet, const struct weir_fleet_round *round, char *to, size_t size)
{
    size_t used = 0;
    to[0] = '\0';
    for (size_t i = 0; i < fleet->count && used < size; i++) {
        const struct weir_fleet_server *server = &fleet->servers[i];
        const char *why = server->state == WEIR_SERVER_UP ? "up" : server->why;
        if (round && round->refused >> i & 1)
            why = round->refusal ? round->refusal : weir_strerror(WEIR_ERR_REFUSED);
        else if (round && server->drained)
            why = "drained, takes no publishes";
        else if (round && round->codes[i] && server->state != WEIR_SERVER_DOWN)
            why = weir_strerror(round->codes[i]);
        int len = snprintf(to + used, size - used, "%s%s: %s", i ? "; " : "", server->shown, why);
        used += len > 0 ? (size_t)len : 0;
    }
}

static int read_options(const struct weir_fleet_options *options, struct weir_fleet_options *ret,
                        struct weir_error *ret_error)
{
    if (!options || options->size_bytes < sizeof(options->size_bytes) || options->size_bytes > 65536)
        return weir_error_set(ret_error, WEIR_ERR_INVALID,
                              "the options were not initialized: call weir_fleet_options_init() first");
    memcpy(ret, options, options->size_bytes < sizeof(*ret) ? options->size_bytes : sizeof(*ret));
    if (!ret->servers || ret->servers_count == 0 || ret->servers_count > WEIR_FLEET_SERVERS_MAX)
        return weir_error_set(ret_error, WEIR_ERR_INVALID, "a fleet has 1 to %d servers", WEIR_FLEET_SERVERS_MAX);
    int error = weir_options_default_time(&ret->try_timeout_ms, 2000, "try_timeout_ms", ret_error);
    if (error)
        return error;
    for (size_t i = 0; i < ret->servers_count; i++) {
        if (!ret->servers[i] || !ret->servers[i][0])
            return weir_error_set(ret_error, WEIR_ERR_INVALID, "server %zu has no URL", i);
        if ((error = weir_options_check_servers(ret->servers[i], i + 1, ret_error)))
            return error;
    }
    return 0;
}

static int make(const struct weir_fleet_options *options, struct weir_fleet **ret_fleet, struct weir_error *ret_error)
{
    struct weir_fleet *fleet = calloc(1, sizeof(*fleet));
    pthread_condattr_t attributes;
    int error;
    if (!fleet)
        return weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    if ((error = weir_options_client_copy(options->client, &fleet->options, ret_error))) {
        free(fleet);
        return error;
    }
    pthread_mutex_init(&fleet->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&fleet->changed, &attributes);
    pthread_cond_init(&fleet->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    fleet->try_timeout_ms = options->try_timeout_ms;
    fleet->on_event = options->on_event;
    fleet->closure = options->closure;
    if (getrandom(&fleet->random, sizeof(fleet->random), 0) != sizeof(fleet->random) || fleet->random == 0)
        fleet->random = (uint64_t)weir_client_now_ms() | 1;
    error = weir_options_letters(fleet->ids, sizeof(fleet->ids));
    for (size_t i = 0; i < options->servers_count && !error; i++)
        error = make_server(fleet, i, options->servers[i]);
    if (error) {
        destroy(fleet);
        return weir_error_set(ret_error, error, "out of memory");
    }
    *ret_fleet = fleet;
    return 0;
}

static void wait_on(pthread_cond_t *condition, struct weir_fleet *fleet, int64_t until_ms)
{
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    if (until_ms == INT64_MAX)
        pthread_cond_wait(condition, &fleet->mutex);
    else
        pthread_cond_timedwait(condition, &fleet->mutex, &until);
}

static int make_server(struct weir_fleet *fleet, size_t index, const char *url)
{
    struct weir_fleet_server *server = &fleet->servers[index];
    server->fleet = fleet;
    server->index = index;
    server->url = strdup(url);
    server->shown = without_login(url);
    server->hash = UINT64_C(14695981039346656037);
    for (const char *byte = server->shown; byte && *byte; byte++)
        server->hash = (server->hash ^ (unsigned char)*byte) * UINT64_C(1099511628211);
    snprintf(server->why, sizeof(server->why), "not connected yet");
    fleet->count++;
    return server->url && server->shown ? 0 : WEIR_ERR_MEMORY;
}

// Removes what is between "//" and the last '@' of each URL of a list.
static char *without_login(const char *url)
{
    char *shown = strdup(url);
    if (!shown)
        return NULL;
    for (char *part = shown, *end; *part; part = *end ? end + 1 : end) {
        end = part + strcspn(part, ",");
        char *begin = strstr(part, "//"), *at = memrchr(part, '@', (size_t)(end - part));
        if (!at)
            continue;
        begin = begin && begin < at ? begin + 2 : part;
        memmove(begin, at + 1, strlen(at + 1) + 1);
        end -= at + 1 - begin;
    }
    return shown;
}

static void stop(struct weir_fleet *fleet)
{
    pthread_mutex_lock(&fleet->mutex);
    fleet->closing = true;
    pthread_cond_broadcast(&fleet->changed);
    pthread_cond_broadcast(&fleet->ended);
    pthread_mutex_unlock(&fleet->mutex);
    for (size_t i = 0; i < fleet->count; i++) {
        if (fleet->servers[i].thread_runs)
            pthread_join(fleet->servers[i].thread, NULL);
    }
    if (fleet->retrier_runs)
        pthread_join(fleet->retrier, NULL);
}

static void destroy(struct weir_fleet *fleet)
{
    for (struct weir_fleet_sub *sub = fleet->subs, *next; sub; sub = next) {
        next = sub->next;
        weir_fleet_sub_destroy(sub);
    }
    for (size_t i = 0; i < fleet->count; i++) {
        free(fleet->servers[i].url);
        free(fleet->servers[i].shown);
    }
    weir_options_client_deinit(&fleet->options);
    pthread_cond_destroy(&fleet->changed);
    pthread_cond_destroy(&fleet->ended);
    pthread_mutex_destroy(&fleet->mutex);
    free(fleet);
}

static int set_drained(struct weir_fleet *fleet, size_t server, bool drained)
{
    if (server >= fleet->count)
        return WEIR_ERR_NOT_FOUND;
    pthread_mutex_lock(&fleet->mutex);
    fleet->servers[server].drained = drained;
    pthread_cond_broadcast(&fleet->changed);
    pthread_mutex_unlock(&fleet->mutex);
    return 0;
}
