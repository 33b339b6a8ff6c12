// SPDX-License-Identifier: Apache-2.0
#include "monitor/sys_requests.h"

#include <stdio.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/must.h"
#include "broker/account.h"
#include "codec/json_fields.h"
#include "monitor/monitor_internal.h"
#include "monitor/parameter.h"
#include "monitor/put.h"
#include "monitor/statsz.h"
#include "subject/subject.h"

#define ACCOUNT_PREFIX     "$SYS.REQ.ACCOUNT."
#define SUBJECT_SIZE       512
#define QUERY_SIZE_MAX     8192
#define STATSZ_INTERVAL_MS 10000
#define COUNT(array)       (sizeof(array) / sizeof((array)[0]))
#define STATSZ_FIRST_MS    250 // doubles until it is the interval

// What a page is asked for by its name in a subject.
struct sys_page {
    const char *name;
    void (*fill)(struct monitor *monitor, struct page *page);
};

// Where one of them is asked for: only what is served has an inlet, so a client that asks for anything else hears at once that nobody
// is there.
struct sys_inlet {
    struct inlet inlet;
    struct sys_requests *requests; // borrowed
    const struct sys_page *page;   // static
    bool names_account;            // the subject does
};

#define SERVER_PAGE_COUNT  12
#define ACCOUNT_PAGE_COUNT 7
// Each of the server's by "PING" and by its id; a bare PING and RELOAD.
#define INLET_COUNT (2 * SERVER_PAGE_COUNT + ACCOUNT_PAGE_COUNT + 2)

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
    struct sys_inlet inlets[INLET_COUNT];
    size_t inlet_count;
    struct list reloads; // requests that wait for the end of a reload
    uint64_t statsz_at_ms, statsz_wait_ms;
    uint32_t pending;
};

// One request under way: a page that was asked for by no HTTP connection.
struct sys_request {
    struct page page;
    struct list link;              // of sys_requests.reloads
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
static void add_inlet(struct sys_requests *requests, const struct sys_page *page, const char *prefix, const char *name);
static bool on_request(struct inlet *inlet, const struct inlet_message *message);
static struct bytes named_account(struct bytes subject);
static void wait_for_reload(struct monitor *monitor, struct page *page);
static void reload(struct sys_requests *requests);
static void follow_account(struct sys_requests *requests);
static void ask(struct sys_requests *requests, const struct sys_page *page, const struct inlet_message *message,
                struct bytes account);
static bool is_meant(const struct sys_requests *requests, const struct sys_options *options);
static void write_query(struct buffer *query, const struct sys_options *options, struct bytes account);
static void put_parameter(struct buffer *query, const char *name, struct bytes value);
static void put_number(struct buffer *query, const char *name, int64_t value);
static void finish(struct page *page);
static void answer(struct sys_request *request);
static void request_free(struct sys_request *request);

static const struct sys_page server_pages[SERVER_PAGE_COUNT] = {
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

static const struct sys_page account_pages[ACCOUNT_PAGE_COUNT] = {
    {"SUBSZ", monitor_subsz},
    {"CONNZ", monitor_connz},
    {"LEAFZ", monitor_leafz},
    {"JSZ", monitor_jsz},
    {"INFO", monitor_account_info},
    {"STATZ", monitor_accstatz},
    {"CONNS", monitor_account_connections},
};

static const struct sys_page ping_page = {"PING", statsz_page};
static const struct sys_page reload_page = {"RELOAD", wait_for_reload};

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

struct sys_requests *sys_requests_new(struct monitor *monitor)
{
    struct sys_requests *requests = mem_alloc_zero(sizeof(*requests));
    requests->monitor = monitor;
    requests->account = account_system(monitor->options.broker);
    requests->statsz_wait_ms = STATSZ_FIRST_MS;
    requests->statsz_at_ms = moment_mono_ms(monitor->now) + STATSZ_FIRST_MS;
    list_init(&requests->reloads);
    listen(requests);
    return requests;
}

void sys_requests_free(struct sys_requests *requests)
{
    struct list *link;
    while ((link = list_pop_front(&requests->reloads)))
        request_free(container_of(link, struct sys_request, link));
    must(requests->pending == 0);
    stop_listening(requests);
    mem_free(requests);
}

void sys_requests_turn(struct sys_requests *requests)
{
    follow_account(requests);
    if (!list_empty(&requests->reloads))
        reload(requests);
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
    return list_empty(&requests->reloads) ? requests->statsz_at_ms : 0;
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
    char own[SUBJECT_SIZE];
    int len = snprintf(own, sizeof(own), "$SYS.REQ.SERVER.%s.", requests->monitor->options.broker_options->server_id);
    must(len > 0 && len < SUBJECT_SIZE);
    requests->inlet_count = 0;
    if (!requests->account)
        return;
    add_inlet(requests, &ping_page, "$SYS.REQ.SERVER.", ping_page.name);
    for (size_t i = 0; i < COUNT(server_pages); i++) {
        add_inlet(requests, &server_pages[i], "$SYS.REQ.SERVER.PING.", server_pages[i].name);
        add_inlet(requests, &server_pages[i], own, server_pages[i].name);
    }
    if (requests->monitor->options.reload)
        add_inlet(requests, &reload_page, own, reload_page.name);
    for (size_t i = 0; i < COUNT(account_pages); i++)
        add_inlet(requests, &account_pages[i], ACCOUNT_PREFIX "*.", account_pages[i].name);
}

static void stop_listening(struct sys_requests *requests)
{
    for (size_t i = 0; i < requests->inlet_count; i++)
        broker_inlet_remove(requests->monitor->options.broker, &requests->inlets[i].inlet);
    requests->inlet_count = 0;
}

static void add_inlet(struct sys_requests *requests, const struct sys_page *page, const char *prefix, const char *name)
{
    char subject[SUBJECT_SIZE + 32];
    must(requests->inlet_count < INLET_COUNT);
    struct sys_inlet *own = &requests->inlets[requests->inlet_count++];
    int len = snprintf(subject, sizeof(subject), "%s%s", prefix, name);
    *own = (struct sys_inlet){
        .inlet = {.on_message = on_request},
        .requests = requests,
        .page = page,
        .names_account = strncmp(prefix, ACCOUNT_PREFIX, strlen(ACCOUNT_PREFIX)) == 0,
    };
    must(len > 0 && (size_t)len < sizeof(subject));
    must(account_inlet_add(requests->account, &own->inlet, bytes_from_string(subject)) == 0);
}

static bool on_request(struct inlet *inlet, const struct inlet_message *message)
{
    struct sys_inlet *own = container_of(inlet, struct sys_inlet, inlet);
    ask(own->requests, own->page, message, own->names_account ? named_account(message->subject) : (struct bytes){0});
    return true;
}

// "PING" in place of an account: of all, or of those the options name.
static struct bytes named_account(struct bytes subject)
{
    struct bytes rest = bytes_skip(subject, strlen(ACCOUNT_PREFIX)), account;
    must(subject_token_next(&rest, &account)); // the patterns have several tokens
    // So long that nobody has it: but no longer, it goes into a query.
    if (account.len > ACCOUNT_NAME_LEN_MAX)
        account.len = ACCOUNT_NAME_LEN_MAX + 1;
    return bytes_equal(account, BYTES("PING")) ? (struct bytes){0} : account;
}

// Not from in here: a message is under way, and the reload may close connections and end accounts.
static void wait_for_reload(struct monitor *monitor, struct page *page)
{
    page->held = true;
    list_push_back(&monitor->sys->reloads, &container_of(page, struct sys_request, page)->link);
}

// One for all who wait.
static void reload(struct sys_requests *requests)
{
    const struct monitor_options *options = &requests->monitor->options;
    char message[MONITOR_RELOAD_MESSAGE_SIZE] = "";
    int error = options->reload(options->reload_owner, message);
    follow_account(requests);
    struct list *link;
    while ((link = list_pop_front(&requests->reloads))) {
        struct page *page = &container_of(link, struct sys_request, link)->page;
        if (error) {
            parameter_refuse(page, "%s", message);
            page->status = 500;
        }
        page_finish(page);
    }
}

static void follow_account(struct sys_requests *requests)
{
    struct account *account = account_system(requests->monitor->options.broker);
    if (account == requests->account)
        return;
    stop_listening(requests);
    requests->account = account;
    listen(requests);
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
    bool whole = request->page.sys_whole && !failed, has_page = !failed && buffer_bytes(&request->body).len > 0;
    must(buffer_append(&head, BYTES("{\"server\":")) == 0);
    statsz_server(requests->monitor, &head);
    if (failed)
        statsz_error(request->page.status, buffer_bytes(&request->body), &head);
    else if (has_page)
        must(buffer_printf(&head, ",\"%s\":", request->page.sys_key ? request->page.sys_key : "data") == 0);
    struct bytes parts[] = {buffer_bytes(&head), buffer_bytes(&request->body), BYTES("}")};
    if (!has_page)
        parts[1] = (struct bytes){0};
    if (whole)
        parts[0] = parts[2] = (struct bytes){0};
    if (request->reply[0] != '\0' && requests->account && (has_page || !whole))
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
