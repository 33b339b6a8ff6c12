// SPDX-License-Identifier: Apache-2.0
// tidy: prefix enqueue
// The window of `weir enqueue`, and the server that it goes to.
#include <poll.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/memory.h"
#include "cmd/enqueue_internal.h"
#include "wire/headers.h"

enum { TICK_MS = 100, REFUSALS_MAX = 3, HEADERS_SIZE = 2 * ENQUEUE_ID_SIZE };

static const uint64_t SECOND_NS = 1000000000;

static int step(struct enqueue *enqueue, int input, bool *ret_is_input);
static int open_next(struct enqueue *enqueue);
static void lose(struct enqueue *enqueue, const char *why, bool refused);
static int send_job(struct enqueue *enqueue, size_t index);
static int look_after(struct enqueue *enqueue);
static uint64_t patience_ns(const struct enqueue *enqueue);
static bool is_stopped(void *owner);
static void on_published(void *owner, uint64_t tag, struct bytes guid, struct bytes error);
static void drop(struct enqueue *enqueue, struct enqueue_job *job);
static int make_id(struct enqueue *enqueue, struct enqueue_job *job, const char *file);
static struct bytes next_word(struct bytes *rest);

bool enqueue_knows_id(const char *template)
{
    bool known = true;
    for (struct bytes rest = bytes_from_string(template); rest.len > 0 && known;) {
        struct bytes word = next_word(&rest);
        known = word.ptr[0] != '{' || bytes_equal(word, BYTES("{n}")) || bytes_equal(word, BYTES("{file}")) ||
                bytes_equal(word, BYTES("{hash}"));
    }
    return known;
}

int enqueue_put(struct enqueue *enqueue, struct bytes data, const char *file)
{
    size_t index = 0;
    int error = 0;
    bool is_input;
    while (!error && enqueue->in_window > 0 &&
           (enqueue->in_window == ENQUEUE_WINDOW || enqueue->window_bytes + data.len > ENQUEUE_WINDOW_BYTES))
        error = step(enqueue, -1, &is_input);
    if (error)
        return error;
    while (enqueue->window[index].data)
        index++;
    struct enqueue_job *job = &enqueue->window[index];
    *job = (struct enqueue_job){.data = mem_alloc(data.len + 1), .len = data.len};
    if (data.len)
        memcpy(job->data, data.ptr, data.len);
    enqueue->taken++;
    enqueue->in_window++;
    enqueue->window_bytes += data.len;
    error = make_id(enqueue, job, file);
    if (error)
        drop(enqueue, job); // what has no id is not sent with the rest
    if (!error && enqueue->is_open)
        error = send_job(enqueue, index);
    if (!error && enqueue->is_open && client_pending(&enqueue->session.client) < (1 << 20))
        return 0;
    return error ? error : step(enqueue, -1, &is_input);
}

int enqueue_wait_input(struct enqueue *enqueue, int fd)
{
    int error = 0;
    bool is_input = !enqueue->is_open && enqueue->in_window == 0; // nothing to be served
    while (!error && !is_input)
        error = step(enqueue, fd, &is_input);
    return error;
}

int enqueue_drain(struct enqueue *enqueue)
{
    int error = 0;
    bool is_input;
    while (!error && enqueue->in_window > 0)
        error = step(enqueue, -1, &is_input);
    return error;
}

void enqueue_close(struct enqueue *enqueue)
{
    enqueue->attempt_end_ns = client_now_ns() + SECOND_NS;
    if (enqueue->is_open)
        stan_session_close(&enqueue->session);
    enqueue->is_open = false;
    for (size_t i = 0; i < ENQUEUE_WINDOW; i++) {
        mem_free(enqueue->window[i].data);
        enqueue->window[i].data = NULL;
    }
}

// Something happens, or a tenth of a second passes. `input` -1: nothing is to be read.
static int step(struct enqueue *enqueue, int input, bool *ret_is_input)
{
    enqueue_show_progress(enqueue);
    if (!enqueue->is_open) {
        int error = open_next(enqueue);
        if (error || !enqueue->is_open)
            return error ? error : look_after(enqueue);
    }
    struct client *client = &enqueue->session.client;
    struct pollfd fds[] = {{.fd = client->link.fd, .events = client_events(client)}, {.fd = input, .events = POLLIN}};
    (void)poll(fds, 2, TICK_MS);
    *ret_is_input = fds[1].revents != 0;
    if (fds[0].revents && client_step(client))
        lose(enqueue, client->error, false);
    else if (enqueue->is_refused)
        lose(enqueue, NULL, true);
    else if (stan_session_check(&enqueue->session, client_now_ns()))
        lose(enqueue, enqueue->session.error, false);
    return look_after(enqueue);
}

// ERR_TOO_BIG: a job that this server cannot take.
static int open_next(struct enqueue *enqueue)
{
    const struct server_list_entry *entry = &enqueue->list.entries[enqueue->at];
    struct client_options connection = enqueue->options.connection;
    connection.server = entry->url;
    connection.timeout_ms = (int)(patience_ns(enqueue) / 1000000);
    enqueue->session = (struct stan_session){.on_published = on_published, .is_stopped = is_stopped, .owner = enqueue};
    enqueue->attempt_end_ns = client_now_ns() + patience_ns(enqueue);
    enqueue->is_refused = false;
    int error = stan_session_open(&enqueue->session, &connection, enqueue->options.cluster, enqueue->options.client_id);
    if (error) {
        bool is_silent = client_now_ns() >= enqueue->attempt_end_ns;
        lose(enqueue, is_silent ? "it does not answer" : enqueue->session.error,
             error == ERR_EXISTS || error == ERR_INVALID);
        return 0;
    }
    enqueue->is_open = true;
    for (size_t i = 0; i < ENQUEUE_WINDOW && !error; i++)
        error = enqueue->window[i].data ? send_job(enqueue, i) : 0;
    return error;
}

// `why` NULL: it has been noted. When all have been tried, there is a pause before the next round.
static void lose(struct enqueue *enqueue, const char *why, bool refused)
{
    struct enqueue_server *server = &enqueue->servers[enqueue->at];
    if (why)
        snprintf(server->error, sizeof(server->error), "%s", why);
    if (enqueue->is_open)
        stan_session_drop(&enqueue->session);
    server->refusals += refused;
    enqueue->is_open = false;
    enqueue->at = (enqueue->at + 1) % enqueue->list.count;
    if (enqueue->servers[enqueue->at].error[0])
        (void)poll(NULL, 0, TICK_MS);
}

static int send_job(struct enqueue *enqueue, size_t index)
{
    struct enqueue_job *job = &enqueue->window[index];
    struct stan_session *session = &enqueue->session;
    struct headers_builder builder;
    char memory[HEADERS_SIZE];
    struct bytes id = bytes_from_string(job->id);
    struct stan_session_publish publish = {
        .channel = enqueue->options.channel, .tag = index, .guid = id, .data = bytes_make(job->data, job->len)};
    if (session->client.headers) {
        headers_begin(&builder, memory, sizeof(memory), 0, (struct bytes){0});
        headers_add(&builder, BYTES("Nats-Msg-Id"), id);
        if (headers_end(&builder, &publish.headers)) {
            snprintf(enqueue->error, sizeof(enqueue->error), "--id has a character that cannot be in an id");
            return ERR_INVALID;
        }
    }
    job->sent_ns = client_now_ns();
    int error = stan_session_publish(session, &publish);
    if (error)
        snprintf(enqueue->error, sizeof(enqueue->error), "job %.64s, %zu bytes, at %.100s: %.600s", job->id, job->len,
                 enqueue->list.entries[enqueue->at].name, session->error);
    return error;
}

static int look_after(struct enqueue *enqueue)
{
    uint64_t now_ns = client_now_ns(), oldest_ns = now_ns;
    bool all_refuse = true;
    for (size_t i = 0; enqueue->is_open && i < ENQUEUE_WINDOW; i++) {
        const struct enqueue_job *job = &enqueue->window[i];
        oldest_ns = job->data && job->sent_ns < oldest_ns ? job->sent_ns : oldest_ns;
    }
    if (enqueue->is_open && now_ns - oldest_ns > patience_ns(enqueue))
        lose(enqueue, "it does not answer", false);
    if (enqueue->in_window == 0)
        enqueue->progress_ns = now_ns;
    for (size_t i = 0; i < enqueue->list.count; i++)
        all_refuse = all_refuse && enqueue->servers[i].refusals >= REFUSALS_MAX;
    enqueue->has_failed = all_refuse || now_ns - enqueue->progress_ns > enqueue->options.deadline_ns;
    return all_refuse ? ERR_FAILED : enqueue->has_failed ? ERR_TIMEOUT : 0;
}

// With one server: all the time there is; with several, each has its turn within the deadline.
static uint64_t patience_ns(const struct enqueue *enqueue)
{
    uint64_t share_ns = enqueue->options.deadline_ns / enqueue->list.count;
    uint64_t most_ns = 5 * SECOND_NS, least_ns = SECOND_NS / 10;
    return share_ns > most_ns ? most_ns : share_ns < least_ns ? least_ns : share_ns;
}

static bool is_stopped(void *owner)
{
    const struct enqueue *enqueue = owner;
    return client_now_ns() >= enqueue->attempt_end_ns;
}

static void on_published(void *owner, uint64_t tag, struct bytes guid, struct bytes error)
{
    struct enqueue *enqueue = owner;
    struct enqueue_server *server = &enqueue->servers[enqueue->at];
    struct enqueue_job *job = tag < ENQUEUE_WINDOW ? &enqueue->window[tag] : NULL;
    if (!job || !job->data || !bytes_equal(guid, bytes_from_string(job->id)))
        return;
    if (error.len) {
        snprintf(server->error, sizeof(server->error), "it refuses: %.*s", (int)(error.len < 300 ? error.len : 300),
                 error.ptr);
        enqueue->is_refused = true;
        return;
    }
    server->stored++;
    enqueue->stored++;
    enqueue->stored_bytes += job->len;
    drop(enqueue, job);
    enqueue->progress_ns = client_now_ns();
    for (size_t i = 0; i < enqueue->list.count; i++)
        enqueue->servers[i].refusals = 0;
}

static void drop(struct enqueue *enqueue, struct enqueue_job *job)
{
    enqueue->in_window--;
    enqueue->window_bytes -= job->len;
    mem_free(job->data);
    job->data = NULL;
}

// Of the template, or the random number of this run and the job's.
static int make_id(struct enqueue *enqueue, struct enqueue_job *job, const char *file)
{
    struct buffer id;
    unsigned long long number = enqueue->taken;
    const char *template = enqueue->options.id_template;
    struct bytes rest = bytes_from_string(template ? template : "");
    int error = 0;
    buffer_init(&id, sizeof(job->id) - 1);
    if (!template)
        error = buffer_printf(&id, "%s-%llu", enqueue->made_id, number);
    while (rest.len > 0 && !error) {
        struct bytes word = next_word(&rest);
        if (bytes_equal(word, BYTES("{n}")))
            error = buffer_printf(&id, "%llu", number);
        else if (bytes_equal(word, BYTES("{file}")))
            error = buffer_append(&id, bytes_from_string(file));
        else if (bytes_equal(word, BYTES("{hash}")))
            error = buffer_printf(&id, "%016llx", (unsigned long long)hash_bytes(bytes_make(job->data, job->len), 0));
        else
            error = buffer_append(&id, word);
    }
    if (error)
        snprintf(enqueue->error, sizeof(enqueue->error), "--id makes an id that is too long");
    else
        memcpy(job->id, id.ptr, id.len);
    buffer_deinit(&id);
    return error;
}

// What is in braces, with them, or what is between such.
static struct bytes next_word(struct bytes *rest)
{
    bool braces = rest->ptr[0] == '{';
    size_t len = 0;
    while (len < rest->len && (braces ? rest->ptr[len] != '}' : rest->ptr[len] != '{'))
        len++;
    len += braces && len < rest->len;
    struct bytes word = bytes_make(rest->ptr, len);
    *rest = bytes_skip(*rest, len);
    return word;
}
