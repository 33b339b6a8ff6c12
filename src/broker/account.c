// SPDX-License-Identifier: Apache-2.0
// The accounts of a broker: which there are, who belongs to them, and their end; see account.h. Where a message goes within
// one is broker_route.c.
// tidy: prefix broker_accounts
#include "broker/account.h"

#include "broker/broker_internal.h"
#include "broker/connection.h"
#include "broker/remote_internal.h"

static struct account *open_account(struct broker *broker, struct bytes name);
static void close_account(struct account *account);
static void retire(struct account *account);
static bool is_valid_name(struct bytes name);
static bool bury_inlet(void *context, struct trie_entry *entry);
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
    broker->cache_budget.size_bytes_max = TRIE_CACHE_SIZE_BYTES_DEFAULT;
    broker->global = open_account(broker, BYTES(ACCOUNT_DEFAULT_NAME));
    broker->system = open_account(broker, BYTES(ACCOUNT_SYSTEM_NAME));
    must(broker->global->id == ACCOUNT_DEFAULT_ID && broker->system->id == ACCOUNT_SYSTEM_ID);
}

void account_close_all(struct broker *broker)
{
    struct list *link;
    while ((link = list_pop_front(&broker->accounts)) || (link = list_pop_front(&broker->retired)))
        close_account(container_of(link, struct account, link));
    map_deinit(&broker->account_names);
}

int broker_accounts_replace(struct broker *broker, const struct bytes *names, size_t count)
{
    must(broker->depth == 0);
    if (count > broker->options.max_accounts - 2)
        return ERR_LIMIT;
    for (size_t i = 0; i < count; i++) {
        if (!is_valid_name(names[i]))
            return ERR_INVALID;
    }
    list_foreach(link, &broker->accounts) container_of(link, struct account, link)->is_kept = false;
    broker->global->is_kept = broker->system->is_kept = true;
    for (size_t i = 0; i < count; i++) {
        struct account *account = account_find(broker, names[i]);
        if (account)
            account->is_kept = true;
    }
    list_foreach(link, &broker->accounts)
    {
        if (!container_of(link, struct account, link)->is_kept)
            retire(container_of(link, struct account, link));
    }
    for (size_t i = 0; i < count; i++) {
        if (!account_find(broker, names[i]))
            open_account(broker, names[i])->is_kept = true;
    }
    return 0;
}

void account_reap(struct broker *broker)
{
    list_foreach(link, &broker->retired)
    {
        struct account *account = container_of(link, struct account, link);
        if (!list_empty(&account->connections) || account->inlet_count > 0 || account->watch_count > 0 ||
            account->remote_count > 0)
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
        subscriptions += connection->subscription_count;
    }
    must(connections == account->connection_count && subscriptions == account->subscription_count);
    must(trie_count(account->trie) == subscriptions + account->inlet_count + account->remote_count);
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
    account->trie = trie_new(&(struct trie_config){
        .hash_seed = prng_next(&broker->prng),
        .cache_subjects_max = TRIE_CACHE_SUBJECTS_DEFAULT,
        .cache_size_bytes_max = TRIE_CACHE_SIZE_BYTES_DEFAULT,
        .budget = &broker->cache_budget,
    });
    map_init_seeded(&account->watch_groups, INT32_MAX, prng_next(&broker->prng));
    list_push_back(&broker->accounts, &account->link);
    int error = map_add(&broker->account_names, account_name(account), account);
    must(error == 0);
    if (broker->remotes)
        remote_account_add(broker->remotes, account);
    return account;
}

static void close_account(struct account *account)
{
    must(list_empty(&account->connections));
    if (account->broker->remotes)
        remote_account_remove(account->broker->remotes, account);
    broker_watch_drop(account);
    // What is left in the trie are inlets that nobody removed.
    trie_each(account->trie, bury_inlet, account->broker);
    broker_reap(account->broker);
    trie_free(account->trie);
    map_deinit(&account->watch_groups);
    mem_free(account);
}

static void retire(struct account *account)
{
    struct broker *broker = account->broker;
    must(map_remove(&broker->account_names, account_name(account)) == account);
    list_remove(&account->link);
    list_push_back(&broker->retired, &account->link);
    account->is_retired = true;
    list_foreach(link, &account->connections)
        connection_fail(container_of(link, struct connection, member), WIRE_AUTHORIZATION_VIOLATION);
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

static bool bury_inlet(void *context, struct trie_entry *entry)
{
    struct broker *broker = context;
    struct target *target = container_of(entry, struct target, entry);
    must(target->kind == TARGET_INLET);
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
