// SPDX-License-Identifier: Apache-2.0
#include "monitor/sys_requests.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "broker/account.h"
#include "codec/json_fields.h"
#include "monitor/monitor_internal.h"
#include "monitor/put.h"
#include "monitor/statsz.h"

#define SUBJECT_SIZE       512
#define QUERY_SIZE_MAX     8192
#define STATSZ_INTERVAL_MS 10000
#define STATSZ_FIRST_MS    250 // doubles until it is the interval

// What a page is asked for by its name in a subject.
struct sys_page {
    const char *name;
    void (*fill)(struct monitor *monitor, struct page *page);
};

// The options of all pages together, as clients write them; those a page does not know change nothing.
struct sys_options {
    struct bytes sort, user, acc, account, test, filter_subject;
    struct bytes server_name, cluster, host, domain; // who is meant
    bool auth, subscriptions, subscriptions_detail, include_unused, exact_match;
    bool accounts, streams, consumer, config, raft; // of JSZ
    int64_t offset, limit, cid, state;
};

struct sys_requests {
    struct monitor *monitor; // borrowed
    struct account *account; // borrowed: the system account, a reload may name another; NULL: there is none
    struct inlet server, ping, own, accounts;
    char own_subject[SUBJECT_SIZE];
    uint64_t statsz_at_ms, statsz_wait_ms;
    uint32_t pending;
};

// One request under way: a page that was asked for by no HTTP connection.
struct sys_request {
    struct page page;
    struct sys_requests *requests; // borrowed
    struct buffer body;
    struct buffer query;
    struct http_request asked;
    bool finished; // within the call that asked for it
    char reply[SUBJECT_SIZE];
};

static void listen(struct sys_requests *requests);
static void stop_listening(struct sys_requests *requests);
static void publish_statsz(struct monitor *monitor, struct page *page);
static void add_inlet(struct sys_requests *requests, struct inlet *inlet,
                      bool (*on_message)(struct inlet *, const struct inlet_message *), const char *subject);
static bool on_server(struct inlet *inlet, const struct inlet_message *message);
static bool on_ping(struct inlet *inlet, const struct inlet_message *message);
static bool on_own(struct inlet *inlet, const struct inlet_message *message);
static bool on_account(struct inlet *inlet, const struct inlet_message *message);
static const struct sys_page *find_page(const struct sys_page *pages, size_t count, struct bytes name);
static void ask(struct sys_requests *requests, const struct sys_page *page, const struct inlet_message *message,
                struct bytes account);
static bool is_meant(const struct sys_requests *requests, const struct sys_options *options);
static void write_query(struct buffer *query, const struct sys_options *options, struct bytes account);
static void put_parameter(struct buffer *query, const char *name, struct bytes value);
static void put_number(struct buffer *query, const char *name, int64_t value);
static void finish(struct page *page);
static void answer(struct sys_request *request);
static void request_free(struct sys_request *request);
static struct bytes last_token(struct bytes subject, struct bytes *ret_before);

static const struct sys_page server_pages[] = {
    {"IDZ", statsz_idz},
    {"STATSZ", statsz_page},
    {"VARZ", monitor_varz},
    {"SUBSZ", monitor_subsz},
    {"CONNZ", monitor_connz},
    {"ROUTEZ", monitor_routez},
    {"GATEWAYZ", monitor_gatewayz},
    {"LEAFZ", monitor_leafz},
    {"ACCOUNTZ", monitor_accountz},
    {"JSZ", monitor_jsz},
    {"IPQUEUESZ", monitor_ipqueuesz},
    {"HEALTHZ", monitor_healthz},
};

static const struct sys_page account_pages[] = {
    {"SUBSZ", monitor_subsz}, {"CONNZ", monitor_connz},       {"LEAFZ", monitor_leafz},
    {"JSZ", monitor_jsz},     {"INFO", monitor_account_info}, {"STATZ", monitor_accstatz},
};

static const struct json_field option_fields[] = {
    {"sort", offsetof(struct sys_options, sort), JSON_FIELD_BYTES, false},
    {"user", offsetof(struct sys_options, user), JSON_FIELD_BYTES, false},
    {"acc", offsetof(struct sys_options, acc), JSON_FIELD_BYTES, false},
    {"account", offsetof(struct sys_options, account), JSON_FIELD_BYTES, false},
    {"test", offsetof(struct sys_options, test), JSON_FIELD_BYTES, false},
    {"filter_subject", offsetof(struct sys_options, filter_subject), JSON_FIELD_BYTES, false},
    {"server_name", offsetof(struct sys_options, server_name), JSON_FIELD_BYTES, false},
    {"cluster", offsetof(struct sys_options, cluster), JSON_FIELD_BYTES, false},
    {"host", offsetof(struct sys_options, host), JSON_FIELD_BYTES, false},
    {"domain", offsetof(struct sys_options, domain), JSON_FIELD_BYTES, false},
    {"auth", offsetof(struct sys_options, auth), JSON_FIELD_BOOL, false},
    {"subscriptions", offsetof(struct sys_options, subscriptions), JSON_FIELD_BOOL, false},
    {"subscriptions_detail", offsetof(struct sys_options, subscriptions_detail), JSON_FIELD_BOOL, false},
    {"include_unused", offsetof(struct sys_options, include_unused), JSON_FIELD_BOOL, false},
    {"exact_match", offsetof(struct sys_options, exact_match), JSON_FIELD_BOOL, false},
    {"accounts", offsetof(struct sys_options, accounts), JSON_FIELD_BOOL, false},
    {"streams", offsetof(struct sys_options, streams), JSON_FIELD_BOOL, false},
    {"consumer", offsetof(struct sys_options, consumer), JSON_FIELD_BOOL, false},
    {"config", offsetof(struct sys_options, config), JSON_FIELD_BOOL, false},
    {"raft", offsetof(struct sys_options, raft), JSON_FIELD_BOOL, false},
    {"offset", offsetof(struct sys_options, offset), JSON_FIELD_I64, false},
    {"limit", offsetof(struct sys_options, limit), JSON_FIELD_I64, false},
    {"cid", offsetof(struct sys_options, cid), JSON_FIELD_I64, false},
    {"state", offsetof(struct sys_options, state), JSON_FIELD_I64, false},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct sys_requests *sys_requests_new(struct monitor *monitor)
{
    struct sys_requests *requests = mem_alloc_zero(sizeof(*requests));
    requests->monitor = monitor;
    requests->account = account_system(monitor->options.broker);
    requests->statsz_wait_ms = STATSZ_FIRST_MS;
    requests->statsz_at_ms = moment_mono_ms(monitor->now) + STATSZ_FIRST_MS;
    int len = snprintf(requests->own_subject, SUBJECT_SIZE, "$SYS.REQ.SERVER.%s.*",
                       monitor->options.broker_options->server_id);
    must(len < SUBJECT_SIZE);
    listen(requests);
    return requests;
}

void sys_requests_free(struct sys_requests *requests)
{
    must(requests->pending == 0);
    stop_listening(requests);
    mem_free(requests);
}

void sys_requests_turn(struct sys_requests *requests)
{
    struct account *account = account_system(requests->monitor->options.broker);
    if (account != requests->account) {
        stop_listening(requests);
        requests->account = account;
        listen(requests);
    }
    uint64_t now_ms = moment_mono_ms(requests->monitor->now);
    if (now_ms < requests->statsz_at_ms)
        return;
    requests->statsz_wait_ms *= 2;
    if (requests->statsz_wait_ms > STATSZ_INTERVAL_MS)
        requests->statsz_wait_ms = STATSZ_INTERVAL_MS;
    requests->statsz_at_ms = now_ms + requests->statsz_wait_ms;
    if (!requests->account)
        return;
    monitor_collect_stats(requests->monitor, NULL, publish_statsz);
}

uint64_t sys_requests_next_deadline_ms(const struct sys_requests *requests)
{
    return requests->statsz_at_ms;
}

static void publish_statsz(struct monitor *monitor, struct page *page)
{
    (void)page;
    struct sys_requests *requests = monitor->sys;
    if (!requests->account)
        return; // by now
    char subject[SUBJECT_SIZE];
    snprintf(subject, sizeof(subject), "$SYS.SERVER.%s.STATSZ", requests->monitor->options.broker_options->server_id);
    struct buffer text;
    buffer_init(&text, PAGE_SIZE_MAX);
    statsz_write(requests->monitor, &text);
    struct bytes part = buffer_bytes(&text);
    account_publish(requests->account, bytes_from_string(subject), (struct bytes){0}, (struct bytes){0}, &part, 1);
    buffer_deinit(&text);
}

static void listen(struct sys_requests *requests)
{
    if (!requests->account)
        return;
    add_inlet(requests, &requests->server, on_server, "$SYS.REQ.SERVER.PING");
    add_inlet(requests, &requests->ping, on_ping, "$SYS.REQ.SERVER.PING.*");
    add_inlet(requests, &requests->own, on_own, requests->own_subject);
    add_inlet(requests, &requests->accounts, on_account, "$SYS.REQ.ACCOUNT.*.*");
}

static void stop_listening(struct sys_requests *requests)
{
    struct broker *broker = requests->monitor->options.broker;
    if (!requests->account)
        return;
    broker_inlet_remove(broker, &requests->server);
    broker_inlet_remove(broker, &requests->ping);
    broker_inlet_remove(broker, &requests->own);
    broker_inlet_remove(broker, &requests->accounts);
}

static void add_inlet(struct sys_requests *requests, struct inlet *inlet,
                      bool (*on_message)(struct inlet *, const struct inlet_message *), const char *subject)
{
    inlet->on_message = on_message;
    must(account_inlet_add(requests->account, inlet, bytes_from_string(subject)) == 0);
}

static bool on_server(struct inlet *inlet, const struct inlet_message *message)
{
    static const struct sys_page statsz = {"STATSZ", statsz_page};
    ask(container_of(inlet, struct sys_requests, server), &statsz, message, (struct bytes){0});
    return true;
}

static bool on_ping(struct inlet *inlet, const struct inlet_message *message)
{
    struct bytes before;
    const struct sys_page *page = find_page(server_pages, COUNT(server_pages), last_token(message->subject, &before));
    if (page)
        ask(container_of(inlet, struct sys_requests, ping), page, message, (struct bytes){0});
    return true;
}

static bool on_own(struct inlet *inlet, const struct inlet_message *message)
{
    struct bytes before;
    const struct sys_page *page = find_page(server_pages, COUNT(server_pages), last_token(message->subject, &before));
    if (page)
        ask(container_of(inlet, struct sys_requests, own), page, message, (struct bytes){0});
    return true;
}

// "PING" in place of an account: of all, or of those the options name.
static bool on_account(struct inlet *inlet, const struct inlet_message *message)
{
    struct bytes before;
    struct bytes rest;
    const struct sys_page *page = find_page(account_pages, COUNT(account_pages), last_token(message->subject, &before));
    struct bytes account = last_token(before, &rest);
    if (bytes_equal(account, BYTES("PING")))
        account = (struct bytes){0};
    if (page)
        ask(container_of(inlet, struct sys_requests, accounts), page, message, account);
    return true;
}

static const struct sys_page *find_page(const struct sys_page *pages, size_t count, struct bytes name)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(name, bytes_from_string(pages[i].name)))
            return &pages[i];
    }
    return NULL;
}

static void ask(struct sys_requests *requests, const struct sys_page *page, const struct inlet_message *message,
                struct bytes account)
{
    struct sys_options options = {0};
    char *owned = NULL;
    if (message->reply.len == 0 || message->reply.len >= SUBJECT_SIZE || requests->pending >= SYS_REQUESTS_MAX)
        return;
    int error = 0;
    if (message->payload.len > 0)
        error = message->payload.len > QUERY_SIZE_MAX
                    ? ERR_TOO_BIG
                    : json_fields_read(message->payload, option_fields, COUNT(option_fields), &options, &owned);
    struct sys_request *request = mem_alloc_zero(sizeof(*request));
    request->requests = requests;
    buffer_init(&request->body, PAGE_SIZE_MAX);
    buffer_init(&request->query, 8 * QUERY_SIZE_MAX);
    memcpy(request->reply, message->reply.ptr, message->reply.len);
    requests->pending++;
    if (!error && is_meant(requests, &options)) {
        write_query(&request->query, &options, account);
        request->asked = (struct http_request){.path = BYTES("/"), .query = buffer_bytes(&request->query)};
        request->page = (struct page){.request = &request->asked,
                                      .status = 200,
                                      .content_type = BYTES("application/json"),
                                      .body = &request->body,
                                      .finish = finish};
        page->fill(requests->monitor, &request->page);
    } else if (error) {
        request->page = (struct page){.status = 400, .body = &request->body};
        must(buffer_append(&request->body, BYTES("the options are not a JSON object of the expected form")) == 0);
    } else {
        request->reply[0] = '\0'; // somebody else is meant
    }
    mem_free(owned);
    request->page.request = NULL;
    if (!request->page.held || request->finished)
        answer(request);
}

static bool is_meant(const struct sys_requests *requests, const struct sys_options *options)
{
    const struct broker_options *broker = requests->monitor->options.broker_options;
    const struct bytes asked[] = {options->server_name, options->host};
    const struct bytes have[] = {bytes_from_string(broker->server_name), bytes_from_string(broker->host)};
    for (size_t i = 0; i < 2; i++) {
        bool same = asked[i].len == 0 || bytes_equal(asked[i], have[i]);
        bool within = asked[i].len > 0 && memmem(have[i].ptr, have[i].len, asked[i].ptr, asked[i].len);
        if (!same && (options->exact_match || !within))
            return false;
    }
    return options->cluster.len == 0 && options->domain.len == 0;
}

static void write_query(struct buffer *query, const struct sys_options *options, struct bytes account)
{
    static const char *const states[] = {"open", "closed", "all"};
    struct bytes wanted = account.len > 0 ? account : options->acc.len > 0 ? options->acc : options->account;
    put_parameter(query, "sort", options->sort);
    put_parameter(query, "user", options->user);
    put_parameter(query, "acc", wanted);
    put_parameter(query, "test", options->test);
    put_parameter(query, "filter_subject", options->filter_subject);
    const struct {
        const char *name;
        bool on;
    } switches[] = {
        {"auth", options->auth},          {"accounts", options->accounts}, {"streams", options->streams},
        {"consumers", options->consumer}, {"config", options->config},     {"raft", options->raft},
    };
    for (size_t i = 0; i < COUNT(switches); i++) {
        if (switches[i].on)
            put_number(query, switches[i].name, 1);
    }
    if (options->include_unused || account.len > 0)
        put_number(query, "unused", 1);
    if (options->subscriptions_detail)
        put_parameter(query, "subs", BYTES("detail"));
    else if (options->subscriptions)
        put_number(query, "subs", 1);
    if (options->offset > 0)
        put_number(query, "offset", options->offset);
    if (options->limit > 0)
        put_number(query, "limit", options->limit);
    if (options->cid > 0)
        put_number(query, "cid", options->cid);
    if (options->state >= 0 && options->state < (int64_t)COUNT(states))
        put_parameter(query, "state", bytes_from_string(states[options->state]));
}

// What does not fit was never meant seriously: the options are bounded, and so is their form in a query.
static void put_parameter(struct buffer *query, const char *name, struct bytes value)
{
    if (value.len == 0)
        return;
    must(buffer_printf(query, "&%s=", name) == 0);
    for (size_t i = 0; i < value.len; i++)
        must(buffer_printf(query, "%%%02x", (unsigned)(unsigned char)value.ptr[i]) == 0);
}

static void put_number(struct buffer *query, const char *name, int64_t value)
{
    must(buffer_printf(query, "&%s=%lld", name, (long long)value) == 0);
}

static void finish(struct page *page)
{
    struct sys_request *request = container_of(page, struct sys_request, page);
    if (page->request)
        request->finished = true;
    else
        answer(request);
}

static void answer(struct sys_request *request)
{
    struct sys_requests *requests = request->requests;
    struct buffer head;
    buffer_init(&head, PAGE_SIZE_MAX);
    // A text instead of the page says why there is none; /healthz is a page whatever its status.
    bool failed = !bytes_equal(request->page.content_type, BYTES("application/json"));
    must(buffer_append(&head, BYTES("{\"server\":")) == 0);
    statsz_server(requests->monitor, &head);
    if (failed)
        statsz_error(request->page.status, buffer_bytes(&request->body), &head);
    else
        must(buffer_printf(&head, ",\"%s\":", request->page.sys_key ? request->page.sys_key : "data") == 0);
    struct bytes parts[] = {buffer_bytes(&head), buffer_bytes(&request->body), BYTES("}")};
    if (failed)
        parts[1] = (struct bytes){0};
    if (request->reply[0] != '\0' && requests->account)
        account_publish(requests->account, bytes_from_string(request->reply), (struct bytes){0}, (struct bytes){0},
                        parts, 3);
    buffer_deinit(&head);
    request_free(request);
}

static void request_free(struct sys_request *request)
{
    request->requests->pending--;
    buffer_deinit(&request->body);
    buffer_deinit(&request->query);
    mem_free(request);
}

static struct bytes last_token(struct bytes subject, struct bytes *ret_before)
{
    const char *dot = memrchr(subject.ptr, '.', subject.len);
    must(dot); // the patterns have several tokens
    *ret_before = bytes_make(subject.ptr, (size_t)(dot - subject.ptr));
    return bytes_skip(subject, ret_before->len + 1);
}
