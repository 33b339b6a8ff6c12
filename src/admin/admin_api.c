// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
#include "admin/admin_api.h"

#include <stdarg.h>
#include <stdio.h>

#include "admin/admin_internal.h"
#include "base/memory.h"
#include "base/must.h"

enum { PIECE_MAX = 256 << 10, PART_SIZE = 8 }; // bytes: of a list's entry; of a frame in the hold queue, a number

static void hold_release(void *owner, struct bytes subject, struct bytes frame);
static void hold_refuse(void *owner, struct bytes subject, struct bytes frame, int error);
static struct admin_ask *held_ask(struct admin_api *api, struct bytes subject);
static int read_request(struct bytes request, struct bytes body, struct admin_ask *ask);
static void missing_field(struct admin_ask *ask);
static void work(struct admin_api *api, struct admin_ask *ask);
static void answer(struct admin_api *api, struct admin_ask *ask, unsigned status);
static void answer_error(struct admin_api *api, struct admin_ask *ask);
static void ask_free(struct admin_api *api, struct admin_ask *ask);
static size_t cost(const struct admin_ask *ask);

struct admin_api *admin_api_new(const struct admin_api_options *options, struct moment now)
{
    struct admin_api *api = mem_alloc_zero(sizeof(*api));
    api->options = *options;
    api->engine = shard_engine(options->shard);
    api->store = shard_store(options->shard);
    api->now = now;
    api->start_ns = now.wall_ns;
    list_init(&api->asks);
    list_init(&api->jobs);
    map_u64_init(&api->by_number, 2 * ADMIN_UNDER_WAY_MAX);
    buffer_init(&api->out, options->answer_bytes);
    buffer_init(&api->piece, PIECE_MAX);
    api->answers.owner = api;
    api->answers.release = hold_release;
    api->answers.refuse = hold_refuse;
    hold_init(&api->answers, options->shard);
    return api;
}

void admin_api_free(struct admin_api *api)
{
    if (!api)
        return;
    for (struct list *link = list_first(&api->asks); link; link = list_first(&api->asks))
        ask_free(api, container_of(link, struct admin_ask, link));
    admin_jobs_free(api);
    hold_deinit(&api->answers);
    map_u64_deinit(&api->by_number);
    buffer_deinit(&api->out);
    buffer_deinit(&api->piece);
    mem_free(api);
}

void admin_api_stop(struct admin_api *api)
{
    if (!api || api->stopped)
        return;
    api->stopped = true;
    list_foreach(link, &api->asks)
    {
        struct admin_ask *ask = container_of(link, struct admin_ask, link);
        if (ask->held)
            continue;
        admin_fail(ask, ADMIN_UNAVAILABLE, NULL, "the server is stopping");
        answer_error(api, ask);
    }
}

uint64_t admin_api_ask(struct admin_api *api, struct bytes request, struct bytes body, admin_api_done *done,
                       void *owner)
{
    struct admin_ask *ask = mem_alloc_zero(sizeof(*ask));
    ask->done = done;
    ask->owner = owner;
    ask->number = ++api->numbers;
    list_init(&ask->link);
    if (api->stopped) {
        admin_fail(ask, ADMIN_UNAVAILABLE, NULL, "the server is stopping");
    } else if (body.len > ADMIN_BODY_MAX) {
        admin_fail(ask, ADMIN_TOO_BIG, NULL, "a request has at most %u bytes", ADMIN_BODY_MAX);
    } else if (api->ask_count >= ADMIN_UNDER_WAY_MAX) {
        admin_fail(ask, ADMIN_BUSY, NULL, "%u requests are under way", ADMIN_UNDER_WAY_MAX);
    } else if (read_request(request, body, ask) == 0) {
        list_push_back(&api->asks, &ask->link);
        must(map_u64_add(&api->by_number, ask->number, ask) == 0);
        api->ask_count++;
        return ask->number;
    }
    answer_error(api, ask);
    return 0;
}

void admin_api_forget(struct admin_api *api, uint64_t number)
{
    struct admin_ask *ask = map_u64_find(&api->by_number, number);
    if (ask)
        ask->done = NULL;
}

void admin_api_kicked(struct admin_api *api, uint64_t number, bool found)
{
    struct admin_ask *ask = map_u64_find(&api->by_number, number);
    if (!ask)
        return;
    ask->over = true;
    ask->outcome = found ? 0 : ERR_NOT_FOUND;
}

void admin_api_put_error(struct buffer *to, const char *code, const char *message)
{
    struct admin_error error;
    enum admin_code known = admin_error_find(bytes_from_string(code));
    must(known < ADMIN_CODE_COUNT);
    admin_error_set(&error, known, NULL, "%s", message);
    admin_error_put(&error, to);
}

bool admin_api_turn_end(struct admin_api *api, struct moment now)
{
    size_t left = ADMIN_TURN_WORK;
    bool more = false;
    api->now = now;
    list_foreach(link, &api->asks)
    {
        struct admin_ask *ask = container_of(link, struct admin_ask, link);
        if (ask->held)
            continue;
        size_t price = cost(ask);
        if (left < price && left < ADMIN_TURN_WORK) {
            more = true;
            break;
        }
        left -= price < left ? price : left;
        work(api, ask);
    }
    return !api->stopped && (admin_jobs_turn_end(api) || more);
}

uint64_t admin_api_next_deadline_ms(const struct admin_api *api)
{
    uint64_t deadline_ms = UINT64_MAX, now_ms = moment_mono_ms(api->now);
    list_foreach(link, &api->asks)
    {
        const struct admin_ask *ask = container_of(link, struct admin_ask, link);
        if (!ask->held)
            deadline_ms = ask->begun ? now_ms + ADMIN_POLL_MS : now_ms;
        if (deadline_ms == now_ms)
            break;
    }
    uint64_t jobs_ms = api->stopped ? UINT64_MAX : admin_jobs_next_deadline_ms(api);
    return jobs_ms < deadline_ms ? jobs_ms : deadline_ms;
}

struct moment admin_api_now(const struct admin_api *api)
{
    return api->now;
}

enum admin_step admin_fail(struct admin_ask *ask, enum admin_code code, const char *field, const char *format, ...)
{
    char message[sizeof(ask->error.message)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    admin_error_set(&ask->error, code, field, "%s", message);
    return ADMIN_FAILED;
}

enum admin_step admin_fail_with(struct admin_ask *ask, int error, const char *what)
{
    return admin_fail(ask, admin_error_of(error), NULL, "cannot %s: %s", what, error_text(error));
}

bool admin_is_patient(const struct admin_api *api, const struct admin_ask *ask)
{
    return moment_mono_ms(api->now) < ask->begun_ms + ADMIN_PATIENCE_MS;
}

enum admin_step admin_show(struct admin_ask *ask,
                           bool (*render)(struct admin_api *api, struct admin_ask *ask, struct buffer *out))
{
    ask->render = render;
    return ADMIN_READY;
}

static void hold_release(void *owner, struct bytes subject, struct bytes frame)
{
    struct admin_api *api = owner;
    struct admin_ask *ask = held_ask(api, subject);
    (void)frame;
    if (!ask)
        return;
    buffer_clear(&api->out);
    if (ask->render && ask->render(api, ask, &api->out))
        answer(api, ask, 200);
    else
        answer_error(api, ask);
}

static void hold_refuse(void *owner, struct bytes subject, struct bytes frame, int error)
{
    struct admin_api *api = owner;
    struct admin_ask *ask = held_ask(api, subject);
    (void)frame;
    if (!ask)
        return;
    api->dropped = true;
    admin_fail(ask, error == ERR_NO_SPACE ? ADMIN_NO_SPACE : ADMIN_UNAVAILABLE, NULL, "nothing was changed: %s",
               error_text(error));
    answer_error(api, ask);
}

static struct admin_ask *held_ask(struct admin_api *api, struct bytes subject)
{
    uint64_t number;
    must(subject.len == PART_SIZE);
    memcpy(&number, subject.ptr, PART_SIZE);
    return map_u64_find(&api->by_number, number);
}

// 0, or ERR_INVALID with its error set.
static int read_request(struct bytes request, struct bytes body, struct admin_ask *ask)
{
    static const enum admin_code codes[] = {[JSON_REQUEST_NO_OBJECT] = ADMIN_BAD_JSON,
                                            [JSON_REQUEST_UNKNOWN] = ADMIN_UNKNOWN_FIELD,
                                            [JSON_REQUEST_VALUE] = ADMIN_BAD_REQUEST};
    struct json_request_error problem;
    ask->row = admin_request_find(request);
    if (!ask->row) {
        admin_fail(ask, ADMIN_UNKNOWN_REQUEST, NULL, "there is no request %.*s",
                   (int)(request.len < 64 ? request.len : 64), request.ptr);
        return ERR_INVALID;
    }
    if (json_request_read(body, &admin_request_table, ask->row->fields, &ask->fields, &ask->tree, &problem)) {
        admin_fail(ask, codes[problem.problem], problem.field, "%s%s%s", problem.field, problem.field[0] ? " " : "",
                   problem.text);
        return ERR_INVALID;
    }
    if ((ask->fields.present & ask->row->required) == ask->row->required)
        return 0;
    missing_field(ask);
    return ERR_INVALID;
}

static void missing_field(struct admin_ask *ask)
{
    uint64_t missing = ask->row->required & ~ask->fields.present;
    const char *name = admin_request_table.fields[__builtin_ctzll(missing)].name;
    admin_fail(ask, ADMIN_BAD_REQUEST, name, "%s is missing", name);
}

static void work(struct admin_api *api, struct admin_ask *ask)
{
    if (!ask->begun)
        ask->begun_ms = moment_mono_ms(api->now);
    enum admin_step step = ask->row->work(api, ask);
    ask->begun = true;
    if (step == ADMIN_LATER)
        return;
    if (step == ADMIN_FAILED) {
        ask->render = NULL;
        ask->index = shard_last_index(api->options.shard); // it may rest on what is not durable yet
    }
    if (api->dropped || api->held_index == 0)
        api->held_index = shard_last_index(api->options.shard);
    api->dropped = false;
    api->held_index = ask->index > api->held_index ? ask->index : api->held_index;
    ask->held = true;
    hold_push(&api->answers, api->held_index, bytes_make(&ask->number, PART_SIZE), bytes_make(NULL, 0));
}

static void answer(struct admin_api *api, struct admin_ask *ask, unsigned status)
{
    if (ask->done)
        ask->done(ask->owner, status, buffer_bytes(&api->out));
    ask_free(api, ask);
}

static void answer_error(struct admin_api *api, struct admin_ask *ask)
{
    buffer_clear(&api->out);
    admin_error_put(&ask->error, &api->out);
    answer(api, ask, admin_error_status(ask->error.code));
}

static void ask_free(struct admin_api *api, struct admin_ask *ask)
{
    admin_message_end(api, ask);
    engine_purge_cancel(&ask->purge);
    if (ask->awaiting)
        engine_consumer_create_cancel(api->engine, ask);
    if (map_u64_remove(&api->by_number, ask->number))
        api->ask_count--;
    list_remove(&ask->link);
    json_request_free(ask->tree);
    mem_free(ask);
}

// In entries of lists, about.
static size_t cost(const struct admin_ask *ask)
{
    return ask->fields.limit ? ask->fields.limit : ask->row->fields & FIELD_BIT(FIELD_LIMIT) ? ADMIN_LIMIT_DEFAULT : 10;
}
