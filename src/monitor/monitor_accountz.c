// SPDX-License-Identifier: Apache-2.0
// Accounts: their names, or one in detail (CO-H09), and the traffic of each. An account has its part on every worker; the parts are added
// up by name.
#include "auth/auth_config.h"
#include "broker/account.h"
#include "broker/system_events.h"
#include "monitor/monitor_copy.h"
#include "monitor/monitor_internal.h"
#include "monitor/parameter.h"
#include "monitor/put.h"

struct account_sum {
    struct account_sum *next; // list link
    struct bytes name;
    struct account_stats stats;
};

struct accountz {
    struct monitor_copy copy; // first; the arena of its inspection holds the sums
    struct inspection_sublist sublist;
    struct account_sum *first, *last;
    bool unused;
    char account[PARAMETER_TEXT_SIZE]; // empty: all
};

static void start(struct monitor *monitor, struct page *page, void (*write)(struct monitor_copy *));
static void write_info(struct monitor_copy *copy);
static const struct account_sum *find_asked(struct accountz *accountz);
static void add(struct monitor_copy *copy, struct broker *broker);
static bool visit_account(void *context, struct account *account);
static struct account_sum *find_sum(struct accountz *accountz, struct bytes name);
static void write_names_or_detail(struct monitor_copy *copy);
static void write_names(struct accountz *accountz);
static void write_detail(struct accountz *accountz);
static void put_detail(struct json_writer *json, struct accountz *accountz, const struct account_sum *sum);
static void put_exchange(struct json_writer *json, const struct auth_view *view, struct bytes name);
static void put_exports(struct json_writer *json, const struct auth_view *view, const struct auth_account *account);
static void put_imports(struct json_writer *json, const struct auth_view *view, const struct auth_account *account);
static void write_traffic(struct monitor_copy *copy);
static void write_connections(struct monitor_copy *copy);
static void put_stats(struct json_writer *json, const struct account_sum *sum);
static void put_traffic(struct json_writer *json, const char *key, uint64_t msgs, uint64_t bytes);

void monitor_accountz(struct monitor *monitor, struct page *page)
{
    start(monitor, page, write_names_or_detail);
}

void monitor_account_info(struct monitor *monitor, struct page *page)
{
    start(monitor, page, write_info);
}

void monitor_accstatz(struct monitor *monitor, struct page *page)
{
    start(monitor, page, write_traffic);
}

void monitor_account_connections(struct monitor *monitor, struct page *page)
{
    page->sys_whole = true;
    start(monitor, page, write_connections);
}

static void start(struct monitor *monitor, struct page *page, void (*write)(struct monitor_copy *))
{
    struct accountz *accountz = monitor_copy_new(sizeof(*accountz), monitor, page, add, write);
    bool with_unused = write == write_traffic;
    if ((!with_unused || parameter_bool(page, "unused", &accountz->unused)) &&
        parameter_text(page, "acc", accountz->account))
        monitor_copy_start(&accountz->copy);
    else
        monitor_copy_free(&accountz->copy);
}

static void add(struct monitor_copy *copy, struct broker *broker)
{
    struct accountz *accountz = (struct accountz *)copy;
    account_each(broker, visit_account, accountz);
    if (accountz->account[0] != '\0')
        inspection_add_subscriptions(&copy->inspection, &accountz->sublist, broker,
                                     bytes_from_string(accountz->account), (struct bytes){0}, 0);
}

static bool visit_account(void *context, struct account *account)
{
    struct accountz *accountz = context;
    struct account_sum *sum = find_sum(accountz, account_name(account));
    if (!sum)
        return false;
    struct account_stats stats;
    account_stats_get(account, &stats);
    sum->stats.connections += stats.connections;
    sum->stats.subscriptions += stats.subscriptions;
    sum->stats.in_msgs += stats.in_msgs;
    sum->stats.out_msgs += stats.out_msgs;
    sum->stats.in_bytes += stats.in_bytes;
    sum->stats.out_bytes += stats.out_bytes;
    return true;
}

// Made if it is not there; every broker has its accounts in the same order, so it is found at once. NULL: too many.
static struct account_sum *find_sum(struct accountz *accountz, struct bytes name)
{
    for (struct account_sum *sum = accountz->first; sum; sum = sum->next) {
        if (bytes_equal(sum->name, name))
            return sum;
    }
    struct account_sum *sum = arena_alloc(&accountz->copy.inspection.arena, sizeof(*sum));
    if (!sum)
        return NULL;
    *sum = (struct account_sum){.name = arena_copy(&accountz->copy.inspection.arena, name)};
    if (accountz->last)
        accountz->last->next = sum;
    else
        accountz->first = sum;
    accountz->last = sum;
    return sum;
}

static void write_names_or_detail(struct monitor_copy *copy)
{
    struct accountz *accountz = (struct accountz *)copy;
    if (accountz->account[0] == '\0')
        write_names(accountz);
    else
        write_detail(accountz);
}

static void write_names(struct accountz *accountz)
{
    struct json_writer writer;
    struct json_writer *json = &writer;
    monitor_begin_json(accountz->copy.monitor, accountz->copy.page, json);
    json_writer_put_string(json, "system_account", BYTES(ACCOUNT_SYSTEM_NAME));
    json_writer_key(json, "accounts");
    json_writer_begin_array(json);
    for (const struct account_sum *sum = accountz->first; sum; sum = sum->next)
        json_writer_string(json, sum->name);
    json_writer_end(json);
    json_writer_end(json);
    monitor_finish_json(json, accountz->copy.page);
}

static void write_detail(struct accountz *accountz)
{
    struct json_writer writer;
    struct json_writer *json = &writer;
    const struct account_sum *sum = find_asked(accountz);
    if (!sum)
        return;
    monitor_begin_json(accountz->copy.monitor, accountz->copy.page, json);
    json_writer_put_string(json, "system_account", BYTES(ACCOUNT_SYSTEM_NAME));
    json_writer_put_object(json, "account_detail");
    put_detail(json, accountz, sum);
    json_writer_end(json);
    json_writer_end(json);
    monitor_finish_json(json, accountz->copy.page);
}

static void write_info(struct monitor_copy *copy)
{
    struct accountz *accountz = (struct accountz *)copy;
    struct json_writer json;
    const struct account_sum *sum = find_asked(accountz);
    if (!sum)
        return;
    json_writer_init(&json, accountz->copy.page->body);
    json_writer_begin_object(&json);
    put_detail(&json, accountz, sum);
    json_writer_end(&json);
    monitor_finish_json(&json, accountz->copy.page);
}

// NULL: there is none, and the page says so.
static const struct account_sum *find_asked(struct accountz *accountz)
{
    for (const struct account_sum *sum = accountz->first; sum; sum = sum->next) {
        if (bytes_equal(sum->name, bytes_from_string(accountz->account)))
            return sum;
    }
    parameter_refuse(accountz->copy.page, "Account %s does not exist", accountz->account);
    return NULL;
}

static void put_detail(struct json_writer *json, struct accountz *accountz, const struct account_sum *sum)
{
    json_writer_put_string(json, "account_name", sum->name);
    put_time(json, "update_time", accountz->copy.monitor->start.wall_ns);
    if (bytes_equal(sum->name, BYTES(ACCOUNT_SYSTEM_NAME)))
        json_writer_put_bool(json, "is_system", true);
    json_writer_put_bool(json, "expired", false);
    json_writer_put_bool(json, "complete", true);
    json_writer_put_bool(json, "jetstream_enabled", false);
    json_writer_put_u64(json, "leafnode_connections", 0);
    json_writer_put_u64(json, "client_connections", sum->stats.connections);
    json_writer_put_u64(json, "subscriptions", sum->stats.subscriptions);
    put_exchange(json, auth_config_view(broker_auth(accountz->copy.monitor->options.broker)), sum->name);
    json_writer_put_string(json, "name_tag", sum->name);
    json_writer_put_object(json, "sublist_stats");
    put_sublist(json, &accountz->sublist);
    json_writer_end(json);
}

// What the account gives to others and takes from them, if anything (CO-S08).
static void put_exchange(struct json_writer *json, const struct auth_view *view, struct bytes name)
{
    for (uint32_t i = 0; i < view->account_count; i++) {
        const struct auth_account *account = &view->accounts[i];
        if (!bytes_equal(account->name, name))
            continue;
        if (account->export_count > 0)
            put_exports(json, view, account);
        if (account->import_count > 0)
            put_imports(json, view, account);
    }
}

static void put_exports(struct json_writer *json, const struct auth_view *view, const struct auth_account *account)
{
    static const char *const responses[] = {"Singleton", "Stream", "Chunked"};
    json_writer_key(json, "exports");
    json_writer_begin_array(json);
    for (uint32_t i = 0; i < account->export_count; i++) {
        const struct auth_export *one = &account->exports[i];
        json_writer_begin_object(json);
        json_writer_put_string(json, "subject", one->subject);
        json_writer_put_string(json, "type", one->is_service ? BYTES("service") : BYTES("stream"));
        if (one->is_service)
            json_writer_put_string(json, "response_type", bytes_from_string(responses[one->response]));
        if (!one->is_public) {
            json_writer_key(json, "approved_accounts");
            json_writer_begin_array(json);
            for (uint32_t k = 0; k < one->account_count; k++)
                json_writer_string(json, view->accounts[one->accounts[k]].name);
            json_writer_end(json);
        }
        json_writer_end(json);
    }
    json_writer_end(json);
}

static void put_imports(struct json_writer *json, const struct auth_view *view, const struct auth_account *account)
{
    json_writer_key(json, "imports");
    json_writer_begin_array(json);
    for (uint32_t i = 0; i < account->import_count; i++) {
        const struct auth_import *one = &account->imports[i];
        json_writer_begin_object(json);
        json_writer_put_string(json, "subject", one->subject);
        json_writer_put_string(json, "account", view->accounts[one->account].name);
        json_writer_put_string(json, "to", one->local);
        json_writer_put_string(json, "local_subject", one->local);
        json_writer_put_string(json, "type", one->is_service ? BYTES("service") : BYTES("stream"));
        json_writer_put_bool(json, "invalid", false);
        json_writer_put_bool(json, "share", one->share);
        json_writer_put_bool(json, "tracking", false);
        json_writer_end(json);
    }
    json_writer_end(json);
}

static void write_traffic(struct monitor_copy *copy)
{
    struct accountz *accountz = (struct accountz *)copy;
    struct json_writer writer;
    struct json_writer *json = &writer;
    monitor_begin_json(accountz->copy.monitor, accountz->copy.page, json);
    json_writer_key(json, "account_statz");
    json_writer_begin_array(json);
    for (const struct account_sum *sum = accountz->first; sum; sum = sum->next) {
        bool asked = accountz->account[0] == '\0' || bytes_equal(sum->name, bytes_from_string(accountz->account));
        if (!asked || (!accountz->unused && sum->stats.connections == 0))
            continue;
        json_writer_begin_object(json);
        put_stats(json, sum);
        json_writer_end(json);
    }
    json_writer_end(json);
    json_writer_end(json);
    monitor_finish_json(json, accountz->copy.page);
}

static void write_connections(struct monitor_copy *copy)
{
    struct accountz *accountz = (struct accountz *)copy;
    struct broker *broker = copy->monitor->options.broker;
    struct json_writer json;
    for (const struct account_sum *sum = accountz->first; sum; sum = sum->next) {
        if (sum->stats.connections == 0 || !bytes_equal(sum->name, bytes_from_string(accountz->account)))
            continue;
        json_writer_init(&json, copy->page->body);
        system_events_begin(broker, "io.nats.server.advisory.v1.account_connections", &json);
        system_events_put_server(broker, &json);
        put_stats(&json, sum);
        json_writer_end(&json);
        monitor_finish_json(&json, copy->page);
    }
}

static void put_stats(struct json_writer *json, const struct account_sum *sum)
{
    json_writer_put_string(json, "acc", sum->name);
    json_writer_put_string(json, "name", sum->name);
    json_writer_put_u64(json, "conns", sum->stats.connections);
    json_writer_put_u64(json, "leafnodes", 0);
    json_writer_put_u64(json, "total_conns", sum->stats.connections);
    json_writer_put_u64(json, "num_subscriptions", sum->stats.subscriptions);
    put_traffic(json, "sent", sum->stats.out_msgs, sum->stats.out_bytes);
    put_traffic(json, "received", sum->stats.in_msgs, sum->stats.in_bytes);
    json_writer_put_u64(json, "slow_consumers", 0);
}

static void put_traffic(struct json_writer *json, const char *key, uint64_t msgs, uint64_t bytes)
{
    json_writer_put_object(json, key);
    json_writer_put_u64(json, "msgs", msgs);
    json_writer_put_u64(json, "bytes", bytes);
    json_writer_end(json);
}
