// SPDX-License-Identifier: Apache-2.0
// The accounts of a broker: which there are, who belongs to them, and their end; see account.h. Where a message goes within
// one is broker_route.c.
// tidy: prefix broker_accounts
#include "broker/account.h"

#include "auth/auth_config.h"
#include "broker/broker_internal.h"
#include "broker/connection.h"
#include "broker/import.h"
#include "broker/remote_internal.h"
#include "broker/response.h"
#include "broker/system_control.h"

static struct account *open_account(struct broker *broker, struct bytes name);
static void close_account(struct account *account);
static void retire_others(struct broker *broker, const struct auth_view *view);
static void retire(struct account *account);
static bool is_valid_name(struct bytes name);
static void withdraw(struct account *account);
static bool bury_target(void *context, struct trie_entry *entry);
static void add_traffic(struct account_stats *stats, const struct broker_traffic *traffic);

struct account *account_default(const struct broker *broker)
{
    return broker->global;
}

struct account *account_system(const struct broker *broker)
{
    return broker->system;
}

struct account *account_find(const struct broker *broker, struct bytes name)
{
    return map_find(&broker->account_names, name);
}

struct bytes account_name(const struct account *account)
{
    return bytes_make(account->name, account->name_len);
}

uint32_t account_id(const struct account *account)
{
    return account->id;
}

struct broker *account_broker(const struct account *account)
{
    return account->broker;
}

bool account_has_connections(const struct account *account)
{
    return account->connection_count > 0;
}

void account_stats_get(const struct account *account, struct account_stats *ret_stats)
{
    *ret_stats = (struct account_stats){
        .connections = account->connection_count,
        .subscriptions = account->subscription_count,
    };
    add_traffic(ret_stats, &account->gone);
    list_foreach(link, &account->connections)
        add_traffic(ret_stats, &container_of(link, struct connection, member)->traffic);
}

void account_each(const struct broker *broker, bool (*visit)(void *context, struct account *account), void *context)
{
    list_foreach(link, &broker->accounts)
    {
        if (!visit(context, container_of(link, struct account, link)))
            return;
    }
}

void account_each_connection(const struct account *account, bool (*visit)(void *context, struct connection *connection),
                             void *context)
{
    list_foreach(link, &account->connections)
    {
        if (!visit(context, container_of(link, struct connection, member)))
            return;
    }
}

void account_open_all(struct broker *broker)
{
    list_init(&broker->accounts);
    list_init(&broker->retired);
    map_init_seeded(&broker->account_names, broker->options.max_accounts, prng_next(&broker->prng));
    map_u64_init(&broker->responses, broker->options.max_responses);
    list_init(&broker->response_list);
    prng_seed(&broker->response_prng, broker->options.seed ^ RESPONSE_SEED);
    // Its last two digits say which worker, so that no two of a server share a mark.
    broker->response_mark =
        prng_below(&broker->response_prng, RESPONSE_MARKS) * RESPONSE_WORKERS + broker->options.worker;
    broker->cache_budget.size_bytes_max = TRIE_CACHE_SIZE_BYTES_DEFAULT;
    broker->global = open_account(broker, BYTES(ACCOUNT_DEFAULT_NAME));
    broker->system = open_account(broker, BYTES(ACCOUNT_SYSTEM_NAME));
    must(broker->global->id == ACCOUNT_DEFAULT_ID && broker->system->id == ACCOUNT_SYSTEM_ID);
    system_control_listen(broker);
}

void account_close_all(struct broker *broker)
{
    struct list *link;
    import_remove_all(broker);
    system_control_stop(broker);
    while ((link = list_pop_front(&broker->accounts)) || (link = list_pop_front(&broker->retired)))
        close_account(container_of(link, struct account, link));
    map_deinit(&broker->account_names);
    map_u64_deinit(&broker->responses);
}

int broker_accounts_replace(struct broker *broker, const struct auth_view *view)
{
    must(broker->depth == 0);
    if (view->account_count > broker->options.max_accounts)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < view->account_count; i++) {
        if (!is_valid_name(view->accounts[i].name))
            return ERR_INVALID;
    }
    int error = import_check_all(view);
    if (error)
        return error;
    import_remove_all(broker);
    retire_others(broker, view);
    for (uint32_t i = 0; i < view->account_count; i++) {
        if (!account_find(broker, view->accounts[i].name))
            open_account(broker, view->accounts[i].name);
    }
    broker->system = NULL;
    if (view->system_account != AUTH_NONE)
        broker->system = account_find(broker, view->accounts[view->system_account].name);
    system_control_listen(broker);
    import_open_all(broker, view);
    return 0;
}

void account_reap(struct broker *broker)
{
    if (!list_empty(&broker->deferred))
        return; // they may be for one of these
    list_foreach(link, &broker->retired)
    {
        struct account *account = container_of(link, struct account, link);
        if (!list_empty(&account->connections) || account->inlet_count > 0 || account->watch_count > 0 ||
            account->leaving_count > 0)
            continue;
        if (broker->remotes)
            withdraw(account);
        if (account->remote_count > 0)
            continue;
        list_remove(link);
        close_account(account);
    }
}

void account_check(const struct account *account)
{
    uint32_t connections = 0;
    uint64_t subscriptions = 0;
    list_foreach(link, &account->connections)
    {
        const struct connection *connection = container_of(link, struct connection, member);
        must(connection->account == account);
        connections += !connection->refused;
        subscriptions += connection->is_leaving ? 0 : connection->subscriptions.count;
    }
    must(connections == account->connection_count && subscriptions == account->subscription_count);
    must(trie_count(account->trie) == subscriptions + account->leaving_count + account->inlet_count +
                                          account->remote_count + account->import_count + (account->responses != NULL));
    broker_inlet_check(account);
    broker_watch_check(account);
    trie_check(account->trie);
}

static struct account *open_account(struct broker *broker, struct bytes name)
{
    struct account *account = mem_alloc_zero(sizeof(*account) + name.len);
    account->broker = broker;
    account->id = ++broker->account_next_id;
    account->name_len = name.len;
    broker_copy(account->name, name);
    list_init(&account->connections);
    list_init(&account->imports);
    account->trie = trie_new(&(struct trie_config){
        .hash_seed = prng_next(&broker->prng),
        .cache_subjects_max = TRIE_CACHE_SUBJECTS_DEFAULT,
        .cache_size_bytes_max = TRIE_CACHE_SIZE_BYTES_DEFAULT,
        .budget = &broker->cache_budget,
    });
    uint64_t watch_seed = prng_next(&broker->prng);
    map_init_seeded(&account->watch_subjects, INT32_MAX, watch_seed);
    map_init_seeded(&account->watch_prefixes, INT32_MAX, watch_seed);
    list_push_back(&broker->accounts, &account->link);
    int error = map_add(&broker->account_names, account_name(account), account);
    must(error == 0);
    if (broker->remotes)
        remote_account_add(broker->remotes, account);
    return account;
}

static void close_account(struct account *account)
{
    must(list_empty(&account->connections) && list_empty(&account->imports));
    response_remove_all(account);
    if (account->broker->remotes)
        remote_account_remove(account->broker->remotes, account);
    broker_watch_drop(account);
    // What is left in the trie are answers' ways and inlets that nobody removed.
    trie_each(account->trie, bury_target, account->broker);
    broker_reap(account->broker);
    trie_free(account->trie);
    map_deinit(&account->watch_subjects);
    map_deinit(&account->watch_prefixes);
    mem_free(account);
}

static void retire_others(struct broker *broker, const struct auth_view *view)
{
    list_foreach(link, &broker->accounts) container_of(link, struct account, link)->is_kept = false;
    broker->global->is_kept = true;
    for (uint32_t i = 0; i < view->account_count; i++) {
        struct account *account = account_find(broker, view->accounts[i].name);
        if (account)
            account->is_kept = true;
    }
    list_foreach(link, &broker->accounts)
    {
        if (!container_of(link, struct account, link)->is_kept)
            retire(container_of(link, struct account, link));
    }
}

static void retire(struct account *account)
{
    struct broker *broker = account->broker;
    must(map_remove(&broker->account_names, account_name(account)) == account);
    list_remove(&account->link);
    list_push_back(&broker->retired, &account->link);
    account->is_retired = true;
    response_remove_all(account);
    list_foreach(link, &account->connections)
    {
        struct connection *connection = container_of(link, struct connection, member);
        connection_log_refusal(connection, "the account is gone", connection_user_name(connection), (struct bytes){0});
        connection_fail(connection, WIRE_AUTHORIZATION_VIOLATION);
    }
}

static bool is_valid_name(struct bytes name)
{
    if (name.len == 0 || name.len > ACCOUNT_NAME_LEN_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] <= ' ')
            return false;
    }
    return true;
}

// Nobody here waits for answers any more: so no worker keeps the account of another alive.
static void withdraw(struct account *account)
{
    if (!account->responses || account->is_withdrawn)
        return;
    account->is_withdrawn = true;
    remote_interest_remove(account->broker->remotes, account, account->responses->pattern, (struct bytes){0});
}

static bool bury_target(void *context, struct trie_entry *entry)
{
    struct broker *broker = context;
    struct target *target = container_of(entry, struct target, entry);
    must(target->kind == TARGET_INLET || target->kind == TARGET_RESPONSES);
    target->next_dead = broker->dead;
    broker->dead = target;
    return true;
}

static void add_traffic(struct account_stats *stats, const struct broker_traffic *traffic)
{
    stats->in_msgs += traffic->in_msgs;
    stats->out_msgs += traffic->out_msgs;
    stats->in_bytes += traffic->in_bytes;
    stats->out_bytes += traffic->out_bytes;
}
