// SPDX-License-Identifier: Apache-2.0
#include "cmd/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/must.h"

enum { CONNECT_TIMEOUT_MS = 3000, LAST_WAIT_MS = 300 };

static const uint64_t SECOND_NS = 1000000000, RETRY_MIN_NS = 100000000, RETRY_MAX_NS = 2000000000;

static bool is_leaving(const struct fleet *fleet, uint64_t opening_until_ns);
static void step_leaving(struct fleet_server *server, bool is_ready, uint64_t now_ns);
static void begin(struct fleet_server *server);
static void *run(void *argument);
static int open_session(struct fleet_server *server);
static void end(struct fleet_server *server, uint64_t now_ns);
static void lose(struct fleet_server *server, const char *why, uint64_t now_ns);
static void forget(struct fleet_server *server);
static void drop_arrived(struct fleet_server *server);
static int check_ours(const struct fleet_message *message);
static bool is_stopped(void *owner);
static void on_message(void *owner, const struct stan_session_message *message);

int fleet_init(struct fleet *fleet, const struct fleet_config *config)
{
    int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd < 0)
        return ERR_IO;
    *fleet = (struct fleet){.config = *config, .count = config->list->count, .wake_fd = wake_fd};
    fleet->servers = mem_alloc_zero(fleet->count * sizeof(fleet->servers[0]));
    for (size_t i = 0; i < fleet->count; i++) {
        struct fleet_server *server = &fleet->servers[i];
        server->fleet = fleet;
        server->name = config->list->entries[i].name;
        server->connection = *config->connection;
        server->connection.server = config->list->entries[i].url;
        server->connection.timeout_ms = CONNECT_TIMEOUT_MS;
        list_init(&server->arrived);
    }
    return 0;
}

bool fleet_close(struct fleet *fleet)
{
    bool all_ended = true;
    for (size_t i = 0; i < fleet->count; i++)
        fleet_leave(&fleet->servers[i]);
    uint64_t until_ns = client_now_ns() + LAST_WAIT_MS * 1000000ull;
    while (is_leaving(fleet, until_ns)) {
        struct pollfd fds[FLEET_FDS_MAX];
        size_t count = fleet_poll(fleet, fds);
        (void)poll(fds, count, 10);
        fleet_step(fleet, fds, client_now_ns());
    }
    for (size_t i = 0; i < fleet->count; i++)
        all_ended = all_ended && fleet->servers[i].state == FLEET_LEFT;
    if (!all_ended)
        return false;
    close(fleet->wake_fd);
    mem_free(fleet->servers);
    return true;
}

size_t fleet_poll(const struct fleet *fleet, struct pollfd fds[FLEET_FDS_MAX])
{
    for (size_t i = 0; i < fleet->count; i++) {
        const struct fleet_server *server = &fleet->servers[i];
        bool is_open = server->state == FLEET_UP || server->state == FLEET_LEAVING;
        fds[i] = (struct pollfd){.fd = is_open ? server->session.client.link.fd : -1,
                                 .events = is_open ? client_events(&server->session.client) : 0};
    }
    fds[fleet->count] = (struct pollfd){.fd = fleet->wake_fd, .events = POLLIN};
    return fleet->count + 1;
}

void fleet_step(struct fleet *fleet, const struct pollfd *fds, uint64_t now_ns)
{
    uint64_t count;
    if (fds[fleet->count].revents)
        (void)!read(fleet->wake_fd, &count, sizeof(count));
    for (size_t i = 0; i < fleet->count; i++) {
        struct fleet_server *server = &fleet->servers[i];
        if (server->state == FLEET_OPENING && atomic_load(&server->is_done))
            end(server, now_ns);
        else if (server->state == FLEET_LEAVING)
            step_leaving(server, fds[i].revents != 0, now_ns);
        else if (server->state == FLEET_UP && fds[i].revents && client_step(&server->session.client))
            lose(server, server->session.client.error, now_ns);
        if (server->state == FLEET_UP && stan_session_check(&server->session, now_ns))
            lose(server, server->session.error, now_ns);
        if (server->state == FLEET_AWAY && now_ns >= server->next_ns)
            begin(server);
    }
}

struct fleet_message *fleet_take(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->count; i++) {
        struct fleet_server *server = &fleet->servers[(fleet->turn + i) % fleet->count];
        if (server->state != FLEET_UP || list_empty(&server->arrived))
            continue;
        fleet->turn = (fleet->turn + i + 1) % fleet->count;
        struct fleet_message *message = container_of(server->arrived.next, struct fleet_message, link);
        list_remove(&message->link);
        list_init(&message->link);
        return message;
    }
    return NULL;
}

size_t fleet_up_count(const struct fleet *fleet)
{
    size_t count = 0;
    for (size_t i = 0; i < fleet->count; i++)
        count += fleet->servers[i].state == FLEET_UP;
    return count;
}

int fleet_acknowledge(const struct fleet_message *message)
{
    struct fleet_server *server = message->server;
    int error = check_ours(message);
    return error ? error
                 : stan_session_acknowledge(&server->session, server->ack_inbox, server->fleet->config.channel,
                                            message->sequence);
}

int fleet_say(const struct fleet_message *message, struct bytes words)
{
    int error = check_ours(message);
    return error ? error : stan_session_say(&message->server->session, message->server->ack_inbox, words);
}

void fleet_leave(struct fleet_server *server)
{
    if (server->state == FLEET_LEAVING || server->state == FLEET_LEFT)
        return;
    atomic_store(&server->gives_up, true);
    if (server->state == FLEET_OPENING)
        return; // it finds out by itself
    if (server->state == FLEET_UP) {
        (void)!stan_session_say(&server->session, server->ack_inbox, BYTES("-NAK {\"count\": false}"));
        stan_session_leave(&server->session);
        server->leave_ns = client_now_ns() + SECOND_NS;
        server->state = FLEET_LEAVING;
        return;
    }
    forget(server);
    server->state = FLEET_LEFT;
}

static bool is_leaving(const struct fleet *fleet, uint64_t opening_until_ns)
{
    for (size_t i = 0; i < fleet->count; i++) {
        enum fleet_state state = fleet->servers[i].state;
        if (state == FLEET_LEAVING || (state == FLEET_OPENING && client_now_ns() < opening_until_ns))
            return true;
    }
    return false;
}

static void step_leaving(struct fleet_server *server, bool is_ready, uint64_t now_ns)
{
    bool is_broken = is_ready && client_step(&server->session.client) < 0;
    if (!is_broken && !stan_session_has_left(&server->session) && now_ns < server->leave_ns)
        return;
    forget(server);
    server->state = FLEET_LEFT;
}

static void begin(struct fleet_server *server)
{
    atomic_store(&server->is_done, false);
    if (pthread_create(&server->thread, NULL, run, server)) {
        server->next_ns = client_now_ns() + RETRY_MAX_NS;
        snprintf(server->error, sizeof(server->error), "no thread to be had");
        return;
    }
    server->state = FLEET_OPENING;
}

static void *run(void *argument)
{
    struct fleet_server *server = argument;
    const uint64_t one = 1;
    int wake_fd = server->fleet->wake_fd;
    server->result = open_session(server);
    atomic_store(&server->is_done, true);
    (void)!write(wake_fd, &one, sizeof(one));
    return NULL;
}

// The old registration, or else a new one.
static int open_session(struct fleet_server *server)
{
    const struct fleet_config *config = &server->fleet->config;
    struct stan_session *session = &server->session;
    if (server->has_session) {
        int error = stan_session_resume(session, &server->connection, server->subscription.sid);
        if (error != ERR_CLOSED)
            return error;
        forget(server);
    }
    *session = (struct stan_session){.on_message = on_message, .is_stopped = is_stopped, .owner = server};
    int error = stan_session_open(session, &server->connection, config->cluster, config->client_id);
    if (error)
        return error;
    server->has_session = true;
    server->registration++;
    server->subscription = (struct stan_session_subscription){
        .channel = config->channel,
        .durable = config->durable,
        .group = config->group,
        .sid = STAN_SESSION_FIRST_SID,
        .max_in_flight = config->max_in_flight,
        .ack_wait_s = config->ack_wait_s,
        .start = STAN_SESSION_START_FIRST,
        .ack_inbox = server->ack_inbox,
    };
    error = stan_session_subscribe(session, &server->subscription);
    if (error)
        forget(server);
    return error;
}

static void end(struct fleet_server *server, uint64_t now_ns)
{
    must(pthread_join(server->thread, NULL) == 0);
    server->state = server->result ? FLEET_AWAY : FLEET_UP;
    if (atomic_load(&server->gives_up)) {
        fleet_leave(server);
        return;
    }
    if (server->result) {
        uint64_t wait_ns = RETRY_MIN_NS << (server->failures < 6 ? server->failures : 6);
        server->failures++;
        server->next_ns = now_ns + (wait_ns < RETRY_MAX_NS ? wait_ns : RETRY_MAX_NS);
        snprintf(server->error, sizeof(server->error), "%s", server->session.error);
        return;
    }
    server->failures = 0;
    server->error[0] = '\0';
}

static void lose(struct fleet_server *server, const char *why, uint64_t now_ns)
{
    snprintf(server->error, sizeof(server->error), "%s", why);
    server->losses++;
    server->state = FLEET_AWAY;
    server->next_ns = now_ns;
    // The socket goes now; what the server was told and what it said is kept for a resumption.
    client_close(&server->session.client);
}

static void forget(struct fleet_server *server)
{
    if (server->has_session)
        stan_session_drop(&server->session);
    server->has_session = false;
    drop_arrived(server);
}

static void drop_arrived(struct fleet_server *server)
{
    list_foreach(link, &server->arrived)
    {
        list_remove(link);
        mem_free(container_of(link, struct fleet_message, link));
    }
}

static int check_ours(const struct fleet_message *message)
{
    const struct fleet_server *server = message->server;
    if (server->state == FLEET_LEAVING || server->state == FLEET_LEFT)
        return ERR_CLOSED;
    // Who is to say whether it will be the same registration?
    if (server->state != FLEET_UP)
        return ERR_AGAIN;
    return message->registration == server->registration ? 0 : ERR_CLOSED;
}

static bool is_stopped(void *owner)
{
    struct fleet_server *server = owner;
    return atomic_load(&server->gives_up);
}

static void on_message(void *owner, const struct stan_session_message *message)
{
    struct fleet_server *server = owner;
    struct fleet_message *copy = mem_alloc(sizeof(*copy) + message->headers.len + message->data.len);
    char *bytes = (char *)(copy + 1);
    *copy = (struct fleet_message){
        .server = server,
        .registration = server->registration,
        .sequence = message->sequence,
        .time_ns = message->time_ns,
        .redelivery_count = message->redelivery_count,
        .headers = bytes_make(bytes, message->headers.len),
        .data = bytes_make(bytes + message->headers.len, message->data.len),
    };
    if (message->headers.len)
        memcpy(bytes, message->headers.ptr, message->headers.len);
    if (message->data.len)
        memcpy(bytes + message->headers.len, message->data.ptr, message->data.len);
    list_push_back(&server->arrived, &copy->link);
}
