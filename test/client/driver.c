// SPDX-License-Identifier: Apache-2.0
// Libweir at the end of two pipes, so that tests can be written beside those of other clients: a line of JSON on stdin is a call, a line on
// stdout its result, or a message or event that came. driver.js is the other end.
//
//   {"id":1,"do":"open","name":"a", …options}          {"id":1,"result":0}
//   {"id":2,"do":"subscribe","name":"s","client":"a"}  {"sub":"s","token":7,"sequence":1,"data":"…"}
//
// Every call runs on a thread of its own. What is named is freed by "free"; when stdin ends so does all that is left.
#include "driver.h"

#include <dirent.h>
#include <nats/nats.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAMED_MAX = 4096 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;
static struct driver_named all[NAMED_MAX];
static int running;
static atomic_uint tokens;

void driver_say(json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    flockfile(stdout);
    fputs(text, stdout);
    fputc('\n', stdout);
    fflush(stdout);
    funlockfile(stdout);
    free(text);
}

struct driver_named *driver_find(enum driver_kind kind, const char *name)
{
    struct driver_named *found = NULL;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < NAMED_MAX && name && !found; i++) {
        if (all[i].kind == kind && strcmp(all[i].name, name) == 0)
            found = &all[i];
    }
    pthread_mutex_unlock(&mutex);
    if (!found) {
        fprintf(stderr, "driver: nothing is called %s\n", name ? name : "(none)");
        abort();
    }
    return found;
}

void driver_add(enum driver_kind kind, const char *name, void *handle, struct driver_handler *handler)
{
    size_t i = 0;
    pthread_mutex_lock(&mutex);
    while (i < NAMED_MAX && all[i].kind != KIND_NONE)
        i++;
    if (i == NAMED_MAX)
        abort();
    all[i].kind = kind;
    snprintf(all[i].name, sizeof(all[i].name), "%s", name);
    all[i].handle = handle;
    all[i].handler = handler;
    pthread_mutex_unlock(&mutex);
}

void *driver_forget(enum driver_kind kind, const char *name)
{
    struct driver_named *named = driver_find(kind, name);
    void *handle = named->handle;
    pthread_mutex_lock(&mutex);
    named->kind = KIND_NONE;
    pthread_mutex_unlock(&mutex);
    return handle;
}

const char *driver_text(const json_t *call, const char *name)
{
    return json_string_value(json_object_get(call, name));
}

int64_t driver_number(const json_t *call, const char *name)
{
    return json_integer_value(json_object_get(call, name));
}

bool driver_truth(const json_t *call, const char *name)
{
    return json_is_true(json_object_get(call, name));
}

// A payload as a text, or, if it is none, in hexadecimal digits.
static json_t *payload(const void *data, size_t len, const char **ret_name)
{
    json_t *text = json_stringn(data, len);
    *ret_name = "data";
    if (text)
        return text;
    char *hex = malloc(2 * len + 1);
    for (size_t i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", ((const unsigned char *)data)[i]);
    text = json_string(hex);
    free(hex);
    *ret_name = "hex";
    return text;
}

static void hold(int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&own);
    while (pthread_cond_timedwait(&never, &own, &until) == 0)
        ;
    pthread_mutex_unlock(&own);
}

void driver_on_message(struct weir_msg *msg, void *closure)
{
    const struct driver_handler *handler = closure;
    const char *name;
    char token[24];
    json_t *data = payload(weir_msg_data(msg), weir_msg_data_bytes(msg), &name);
    snprintf(token, sizeof(token), "%u", atomic_fetch_add(&tokens, 1));
    if (handler->keep) {
        weir_msg_keep(msg);
        driver_add(KIND_MSG, token, msg, NULL);
    }
    const char *trace = weir_msg_header(msg, "Trace");
    driver_say(json_pack("{ss ss sI ss sb sI sI ss* ss* sI so}", "sub", handler->name, "token", token, "sequence",
                         (json_int_t)weir_msg_sequence(msg), "channel", weir_msg_channel(msg), "redelivered",
                         weir_msg_is_redelivered(msg), "count", (json_int_t)weir_msg_redeliveries(msg), "time",
                         (json_int_t)weir_msg_time_ns(msg), "reply", weir_msg_reply(msg), "trace", trace, "server",
                         (json_int_t)weir_msg_server(msg), name, data));
    if (handler->hold_ms > 0)
        hold(handler->hold_ms);
}

static void on_event(struct weir_client *client, enum weir_event event, const char *why, void *closure)
{
    static const char *const names[] = {"", "disconnected", "reconnected", "lost"};
    (void)client;
    driver_say(json_pack("{ss ss ss}", "client", (const char *)closure, "event", names[event], "why", why));
}

void driver_read_client(const json_t *call, struct weir_client_options *options)
{
    weir_client_options_init(options);
    options->cluster_id = driver_text(call, "cluster");
    options->client_id = driver_text(call, "client_id");
    options->user = driver_text(call, "user");
    options->password = driver_text(call, "password");
    options->token = driver_text(call, "token");
    options->nkey_public = driver_text(call, "nkey_public");
    options->nkey_seed_file = driver_text(call, "nkey_seed_file");
    options->credentials_file = driver_text(call, "credentials_file");
    options->tls = driver_truth(call, "tls");
    options->tls_insecure = driver_truth(call, "tls_insecure");
    options->tls_ca_file = driver_text(call, "tls_ca_file");
    options->tls_cert_file = driver_text(call, "tls_cert_file");
    options->tls_key_file = driver_text(call, "tls_key_file");
    options->connect_timeout_ms = driver_number(call, "connect_timeout_ms");
    options->publish_timeout_ms = driver_number(call, "publish_timeout_ms");
    options->request_timeout_ms = driver_number(call, "request_timeout_ms");
    options->ping_interval_ms = driver_number(call, "ping_interval_ms");
    options->ping_max_out = (uint32_t)driver_number(call, "ping_max_out");
    options->max_publishes_in_flight = (uint32_t)driver_number(call, "max_publishes_in_flight");
    options->reconnect_wait_ms = driver_number(call, "reconnect_wait_ms");
}

static int open_client(const json_t *call, struct weir_error *error)
{
    struct weir_client_options options;
    struct weir_client *client;
    driver_read_client(call, &options);
    options.servers = driver_text(call, "servers");
    options.on_event = on_event;
    options.closure = strdup(driver_text(call, "name"));
    int result = weir_client_open(&options, &client, error);
    if (result == 0)
        driver_add(KIND_CLIENT, options.closure, client, options.closure);
    else
        free(options.closure);
    return result;
}

void driver_on_published(int result, const char *id, const char *why, void *closure)
{
    struct driver_pending *pending = closure;
    pthread_mutex_lock(&pending->mutex);
    struct weir_client *close = pending->close;
    pending->close = NULL;
    pthread_mutex_unlock(&pending->mutex);
    if (close)
        weir_client_close(close, NULL);
    pthread_mutex_lock(&pending->mutex);
    if (result || !id[0]) {
        pending->result = result;
        snprintf(pending->why, sizeof(pending->why), "%s", why);
    }
    size_t len = strlen(id), before = strlen(pending->id);
    if (pending->in_order && (len < before || (len == before && strcmp(id, pending->id) <= 0))) {
        pending->result = WEIR_ERR_PROTOCOL;
        snprintf(pending->why, sizeof(pending->why), "%s after %s", id, pending->id);
    }
    snprintf(pending->id, sizeof(pending->id), "%s", id);
    if (--pending->left == 0)
        pthread_cond_signal(&pending->done);
    pthread_mutex_unlock(&pending->mutex);
}

void driver_read_publish(const json_t *call, struct weir_publish_options *options)
{
    weir_publish_options_init(options);
    options->id = driver_text(call, "message_id");
    options->reply = driver_text(call, "reply");
    options->key = driver_text(call, "key");
    options->timeout_ms = driver_number(call, "timeout_ms");
}

// `times` asynchronous ones with the payloads 0, 1, …
static int publish_many(struct weir_client *client, const json_t *call, const struct weir_publish_options *options,
                        struct weir_error *error)
{
    struct driver_pending pending = {PTHREAD_MUTEX_INITIALIZER,
                                     PTHREAD_COND_INITIALIZER,
                                     driver_number(call, "times"),
                                     0,
                                     "",
                                     driver_truth(call, "close") ? client : NULL,
                                     "",
                                     driver_truth(call, "in_order")};
    int64_t times = pending.left;
    for (int64_t i = 0; i < times; i++) {
        char text[24];
        int len = snprintf(text, sizeof(text), "%lld", (long long)i);
        int result = weir_client_publish_async(client, driver_text(call, "channel"), text, (size_t)len, options,
                                               driver_on_published, &pending, error);
        if (result)
            driver_on_published(result, "", error->text, &pending);
    }
    pthread_mutex_lock(&pending.mutex);
    while (pending.left > 0)
        pthread_cond_wait(&pending.done, &pending.mutex);
    pthread_mutex_unlock(&pending.mutex);
    if (pending.result)
        snprintf(error->text, sizeof(error->text), "%s", pending.why);
    return pending.result;
}

static int publish(const json_t *call, struct weir_error *error)
{
    struct weir_client *client = driver_find(KIND_CLIENT, driver_text(call, "client"))->handle;
    struct weir_publish_options options;
    driver_read_publish(call, &options);
    if (driver_number(call, "times") > 0)
        return publish_many(client, call, &options, error);
    if (!json_object_get(call, "size"))
        return weir_client_publish(client, driver_text(call, "channel"), driver_text(call, "data"),
                                   strlen(driver_text(call, "data")), &options, error);
    size_t size = (size_t)driver_number(call, "size");
    unsigned char *data = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 7 + size);
    int result = weir_client_publish(client, driver_text(call, "channel"), data, size, &options, error);
    free(data);
    return result;
}

void driver_read_sub(const json_t *call, struct weir_sub_options *options)
{
    weir_sub_options_init(options);
    options->group = driver_text(call, "group");
    options->durable = driver_text(call, "durable");
    options->start = (enum weir_start)driver_number(call, "start");
    options->start_sequence = (uint64_t)driver_number(call, "start_sequence");
    options->start_ago_ns = driver_number(call, "start_ago_ns");
    options->max_in_flight = (uint32_t)driver_number(call, "max_in_flight");
    options->ack_wait_ms = driver_number(call, "ack_wait_ms");
    options->manual_ack = driver_truth(call, "manual");
}

static int subscribe(const json_t *call, struct weir_error *error)
{
    struct weir_sub_options options;
    struct driver_handler *handler = calloc(1, sizeof(*handler));
    struct weir_sub *sub;
    driver_read_sub(call, &options);
    snprintf(handler->name, sizeof(handler->name), "%s", driver_text(call, "name"));
    handler->keep = options.manual_ack;
    handler->hold_ms = driver_number(call, "hold_ms");
    int result = weir_client_subscribe(driver_find(KIND_CLIENT, driver_text(call, "client"))->handle,
                                       driver_text(call, "channel"), &options, driver_on_message, handler, &sub, error);
    if (result == 0)
        driver_add(KIND_SUB, handler->name, sub, handler);
    else
        free(handler);
    return result;
}

static int end_sub(const json_t *call, struct weir_error *error)
{
    struct weir_sub *sub = driver_find(KIND_SUB, driver_text(call, "sub"))->handle;
    return driver_truth(call, "delete") ? weir_sub_unsubscribe(sub, error) : weir_sub_close(sub, error);
}

static int say_about(struct weir_msg *msg, const char *what, const json_t *call)
{
    if (strcmp(what, "ack") == 0)
        return weir_msg_ack(msg);
    if (strcmp(what, "extend") == 0)
        return weir_msg_extend(msg);
    if (strcmp(what, "term") == 0)
        return weir_msg_term(msg, driver_text(call, "reason"));
    if (strcmp(what, "nak") == 0)
        return weir_msg_nak(msg, driver_number(call, "delay_ms"), !driver_truth(call, "uncounted"));
    return 0;
}

// What was said with success is the end of a message, unless it was "extend".
static int verdict(const json_t *call)
{
    const char *token = driver_text(call, "token"), *what = driver_text(call, "say");
    int result = say_about(driver_find(KIND_MSG, token)->handle, what, call);
    if (result == 0 && strcmp(what, "extend") != 0)
        weir_msg_free(driver_forget(KIND_MSG, token));
    return result;
}

json_t *driver_backlog(const struct weir_backlog *backlog)
{
    return json_pack("{sI sI sI sI sI sI sI sI sI}", "messages", (json_int_t)backlog->messages, "bytes",
                     (json_int_t)backlog->bytes, "waiting", (json_int_t)backlog->waiting_messages, "waiting_bytes",
                     (json_int_t)backlog->waiting_bytes, "in_flight", (json_int_t)backlog->in_flight_messages,
                     "in_flight_bytes", (json_int_t)backlog->in_flight_bytes, "dead",
                     (json_int_t)backlog->dead_messages, "members", (json_int_t)backlog->members, "oldest_age_ms",
                     (json_int_t)backlog->oldest_age_ms);
}

static int backlog(struct weir_sub *sub, json_t *answer, struct weir_error *error)
{
    struct weir_backlog backlog;
    int result = weir_sub_backlog(sub, &backlog, error);
    if (result == 0)
        json_object_set_new(answer, "backlog", driver_backlog(&backlog));
    return result;
}

static int ask_sub(const json_t *call, const char *what, json_t *answer, struct weir_error *error)
{
    struct weir_sub *sub = driver_find(KIND_SUB, driver_text(call, "sub"))->handle;
    uint64_t messages, bytes;
    if (strcmp(what, "backlog") == 0)
        return backlog(sub, answer, error);
    if (strcmp(what, "nak_all") == 0)
        return weir_sub_nak_all(sub, !driver_truth(call, "uncounted"));
    if (strcmp(what, "stop") == 0)
        return weir_sub_stop(sub), 0;
    weir_sub_pending(sub, &messages, &bytes);
    json_object_set_new(answer, "messages", json_integer((json_int_t)messages));
    json_object_set_new(answer, "bytes", json_integer((json_int_t)bytes));
    return 0;
}

static void free_named(const json_t *call)
{
    const char *name;
    if ((name = driver_text(call, "sub"))) {
        struct driver_handler *handler = driver_find(KIND_SUB, name)->handler;
        weir_sub_free(driver_forget(KIND_SUB, name));
        free(handler);
    } else if ((name = driver_text(call, "client"))) {
        void *closure = driver_find(KIND_CLIENT, name)->handler;
        weir_client_free(driver_forget(KIND_CLIENT, name));
        free(closure);
    }
}

static int perform(const json_t *call, json_t *answer, struct weir_error *error)
{
    const char *what = driver_text(call, "do");
    if (strcmp(what, "open") == 0)
        return open_client(call, error);
    if (strcmp(what, "close") == 0)
        return weir_client_close(driver_find(KIND_CLIENT, driver_text(call, "client"))->handle, error);
    if (strcmp(what, "publish") == 0)
        return publish(call, error);
    if (strcmp(what, "flush") == 0)
        return weir_client_flush(driver_find(KIND_CLIENT, driver_text(call, "client"))->handle,
                                 driver_number(call, "timeout_ms"));
    if (strcmp(what, "subscribe") == 0)
        return subscribe(call, error);
    if (strcmp(what, "end") == 0)
        return end_sub(call, error);
    if (strcmp(what, "verdict") == 0)
        return verdict(call);
    if (strcmp(what, "free") == 0)
        return free_named(call), 0;
    if (strncmp(what, "fleet_", 6) == 0)
        return driver_fleet(call, what + 6, answer, error);
    return ask_sub(call, what, answer, error);
}

static void *run(void *closure)
{
    json_t *call = closure;
    struct weir_error error = {0, ""};
    json_t *answer = json_pack("{sO}", "id", json_object_get(call, "id"));
    int result = perform(call, answer, &error);
    json_object_set_new(answer, "result", json_integer(result));
    json_object_set_new(answer, "why", json_string(error.text));
    json_object_set_new(answer, "words", json_string(weir_strerror(result)));
    json_decref(call);
    driver_say(answer);
    nats_ReleaseThreadMemory();
    pthread_mutex_lock(&mutex);
    if (--running == 0)
        pthread_cond_signal(&idle);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void start(json_t *call)
{
    pthread_t thread;
    pthread_mutex_lock(&mutex);
    running++;
    pthread_mutex_unlock(&mutex);
    if (pthread_create(&thread, NULL, run, call) != 0)
        abort();
    pthread_detach(thread);
}

static void end_all(void)
{
    pthread_mutex_lock(&mutex);
    while (running > 0)
        pthread_cond_wait(&idle, &mutex);
    pthread_mutex_unlock(&mutex);
    for (size_t i = 0; i < NAMED_MAX; i++) {
        if (all[i].kind == KIND_CLIENT)
            weir_client_free(all[i].handle);
        else if (all[i].kind == KIND_FLEET)
            weir_fleet_free(all[i].handle);
    }
    for (size_t i = 0; i < NAMED_MAX; i++) {
        if (all[i].kind == KIND_MSG)
            weir_msg_free(all[i].handle);
        else if (all[i].kind != KIND_NONE)
            free(all[i].handler);
    }
}

// A thread of libnats that ends frees what its subscription had not delivered, by way of another thread. That one is ended by nats_Close(), which does
// not wait for the first (3.4): what comes too late is never freed, and would be taken for a leak of ours. Three threads are libnats's own.
static void wait_for_threads(void)
{
    enum { OWN = 4, TRIES = 1000 };
    for (int i = 0; i < TRIES; i++) {
        int count = 0;
        DIR *tasks = opendir("/proc/self/task");
        if (!tasks)
            return;
        for (const struct dirent *task; (task = readdir(tasks));)
            count += task->d_name[0] != '.';
        closedir(tasks);
        if (count <= OWN)
            return;
        poll(NULL, 0, 2);
    }
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        json_t *call = json_loads(line, 0, NULL);
        if (!call)
            abort();
        start(call);
    }
    free(line);
    end_all();
    wait_for_threads();
    return nats_CloseAndWait(10000) == NATS_OK ? 0 : 1;
}
