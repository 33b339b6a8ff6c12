// SPDX-License-Identifier: Apache-2.0
#include "broker/inspection.h"

#include "broker/closed.h"
#include "broker/inspection_describe.h"
#include "broker/subscription.h"
#include "subject/subject.h"

#define CHUNK_SIZE (64 * 1024)

struct adding {
    struct inspection *inspection;
    const struct inspection_query *query;
};

static void add_open(struct adding *adding, const struct connection *connection);
static void copy_certificates(void *owner, const struct net_tls_info *info);
static bool add_closed(void *context, const struct inspection_connection *connection);
static bool is_meant(const struct inspection_query *query, const struct inspection_connection *info);
static bool subscribes(const struct connection *connection, struct bytes filter);
static void push(struct inspection *inspection, struct inspection_connection *copy);
static void add_counters(struct inspection_sublist *sublist, const struct account *account);
static void add_matching(struct inspection *inspection, struct inspection_sublist *sublist, struct account *account,
                         struct bytes test, uint64_t list_max);
static void add_all(struct inspection *inspection, struct inspection_sublist *sublist, struct account *account,
                    uint64_t list_max);
static void add_subscription(struct inspection *inspection, struct inspection_sublist *sublist,
                             struct trie_entry *entry, uint64_t list_max);
static void copy_subscription(struct arena *arena, const struct inspection_subscription *info, struct bytes account,
                              struct inspection_subscription *ret_copy);
static struct inspection_subscription *list_next(struct inspection *inspection, struct inspection_sublist *sublist,
                                                 uint64_t list_max);

void inspection_init(struct inspection *inspection, size_t max_bytes)
{
    *inspection = (struct inspection){0};
    arena_init(&inspection->arena, CHUNK_SIZE, max_bytes);
}

void inspection_deinit(struct inspection *inspection)
{
    arena_deinit(&inspection->arena);
}

void inspection_add_connections(struct inspection *inspection, struct broker *broker,
                                const struct inspection_query *query)
{
    struct adding adding = {inspection, query};
    if (query->state & INSPECTION_OPEN)
        list_foreach(link, &broker->connections) add_open(&adding, container_of(link, struct connection, link));
    if (query->state & INSPECTION_CLOSED)
        closed_each(broker->closed, add_closed, &adding);
}

void inspection_add_subscriptions(struct inspection *inspection, struct inspection_sublist *sublist,
                                  struct broker *broker, struct bytes account, struct bytes test, uint64_t list_max)
{
    list_foreach(link, &broker->accounts)
    {
        struct account *one = container_of(link, struct account, link);
        if (account.len > 0 && !bytes_equal(account, account_name(one)))
            continue;
        add_counters(sublist, one);
        if (test.len > 0)
            add_matching(inspection, sublist, one, test, list_max);
        else
            add_all(inspection, sublist, one, list_max);
    }
}

static void add_open(struct adding *adding, const struct connection *connection)
{
    struct inspection *inspection = adding->inspection;
    const struct inspection_query *query = adding->query;
    struct inspection_connection info;
    if (connection->state != CONNECTION_OPEN || connection->refused)
        return;
    inspection_describe(connection, &info);
    if (!is_meant(query, &info) || (query->filter_subject.len > 0 && !subscribes(connection, query->filter_subject)))
        return;
    inspection->total++;
    uint32_t listed = query->with_subs == INSPECTION_SUBS_NONE ? 0 : connection->subscriptions.count;
    size_t size = sizeof(info) + listed * sizeof(struct inspection_subscription) +
                  inspection_text_size(&info, connection, listed);
    struct inspection_connection *copy = arena_alloc(&inspection->arena, size);
    if (!copy)
        return;
    inspection_copy(&info, connection, listed, copy, copy + 1);
    push(inspection, copy);
    if (query->with_certificates)
        net_describe_tls(connection->net, inspection, copy_certificates);
}

// Of the connection that was pushed last.
static void copy_certificates(void *owner, const struct net_tls_info *info)
{
    struct inspection *inspection = owner;
    struct inspection_connection *copy = inspection->connections;
    size_t size = info->certificate_count * sizeof(struct net_certificate);
    copy->certificates = size > 0 ? arena_alloc(&inspection->arena, size) : NULL;
    copy->certificate_count = copy->certificates ? info->certificate_count : 0;
    for (size_t i = 0; i < copy->certificate_count; i++) {
        copy->certificates[i] = info->certificates[i];
        copy->certificates[i].subject = arena_copy(&inspection->arena, info->certificates[i].subject);
    }
}

// The texts stay where they are until the broker's next turn, so they are copied as well.
static bool add_closed(void *context, const struct inspection_connection *connection)
{
    struct adding *adding = context;
    struct inspection *inspection = adding->inspection;
    if (!is_meant(adding->query, connection))
        return true;
    struct inspection_connection *copy = arena_alloc(&inspection->arena, sizeof(*copy));
    uint32_t listed = adding->query->with_subs == INSPECTION_SUBS_NONE ? 0 : connection->listed_count;
    inspection->total++;
    if (!copy)
        return true;
    *copy = *connection;
    copy->subscriptions = arena_alloc(&inspection->arena, (listed + 1) * sizeof(struct inspection_subscription));
    copy->listed_count = copy->subscriptions ? listed : 0;
    struct bytes *texts[INSPECTION_TEXTS];
    inspection_texts(copy, texts);
    for (size_t i = 0; i < INSPECTION_TEXTS; i++)
        *texts[i] = arena_copy(&inspection->arena, *texts[i]);
    for (uint32_t i = 0; i < copy->listed_count; i++)
        copy_subscription(&inspection->arena, &connection->subscriptions[i], copy->account, &copy->subscriptions[i]);
    push(inspection, copy);
    return true;
}

static bool is_meant(const struct inspection_query *query, const struct inspection_connection *info)
{
    return (query->cid == 0 || query->cid == info->cid) &&
           (query->account.len == 0 || bytes_equal(query->account, info->account)) &&
           (query->user.len == 0 || bytes_equal(query->user, info->user));
}

static bool subscribes(const struct connection *connection, struct bytes filter)
{
    subscription_set_foreach(subscription, &connection->subscriptions)
    {
        struct bytes pattern = subscription_pattern(subscription);
        if (bytes_equal(pattern, filter) || subject_match(pattern, filter) || subject_match(filter, pattern))
            return true;
    }
    return false;
}

static void push(struct inspection *inspection, struct inspection_connection *copy)
{
    copy->next = inspection->connections;
    inspection->connections = copy;
    inspection->connection_count++;
}

static void add_counters(struct inspection_sublist *sublist, const struct account *account)
{
    struct trie_stats stats = trie_stats(account->trie);
    sublist->subscriptions += stats.entries - account->leaving_count;
    sublist->cache += stats.cache_subjects;
    sublist->inserts += stats.inserts;
    sublist->removes += stats.removes;
    sublist->matches += stats.finds;
    sublist->cache_hits += stats.cache_hits;
    uint64_t fanout_max, fanout_total;
    trie_fanout(account->trie, &fanout_max, &fanout_total);
    sublist->fanout_total += fanout_total;
    if (fanout_max > sublist->fanout_max)
        sublist->fanout_max = fanout_max;
}

static void add_matching(struct inspection *inspection, struct inspection_sublist *sublist, struct account *account,
                         struct bytes test, uint64_t list_max)
{
    const struct trie_match *match = trie_match_find(account->trie, test);
    for (uint32_t i = 0; i < match->count; i++)
        add_subscription(inspection, sublist, match->entries[i], list_max);
    for (uint32_t i = 0; i < match->group_count; i++) {
        for (uint32_t k = 0; k < match->groups[i].count; k++)
            add_subscription(inspection, sublist, match->groups[i].entries[k], list_max);
    }
    trie_match_release(account->trie, match);
}

// Walks connections, not the trie, so that it may end when the list is full.
static void add_all(struct inspection *inspection, struct inspection_sublist *sublist, struct account *account,
                    uint64_t list_max)
{
    sublist->total += account->subscription_count;
    list_foreach(link, &account->connections)
    {
        struct connection *connection = container_of(link, struct connection, member);
        if (connection->is_leaving)
            continue;
        subscription_set_foreach(subscription, &connection->subscriptions)
        {
            if (sublist->list_count >= list_max)
                return;
            sublist->total--; // counted again
            add_subscription(inspection, sublist, &subscription->target.entry, list_max);
        }
    }
}

static void add_subscription(struct inspection *inspection, struct inspection_sublist *sublist,
                             struct trie_entry *entry, uint64_t list_max)
{
    struct target *target = container_of(entry, struct target, entry);
    if (target->kind != TARGET_SUBSCRIPTION || target->dead ||
        container_of(target, struct subscription, target)->connection->is_leaving)
        return;
    sublist->total++;
    struct inspection_subscription *to = list_next(inspection, sublist, list_max);
    if (!to)
        return;
    struct inspection_subscription info;
    char room[NUMBER_MAX_DIGITS];
    inspection_describe_subscription(container_of(target, struct subscription, target), room, &info);
    copy_subscription(&inspection->arena, &info, arena_copy(&inspection->arena, info.account), to);
}

// The name of its account is there already.
static void copy_subscription(struct arena *arena, const struct inspection_subscription *info, struct bytes account,
                              struct inspection_subscription *ret_copy)
{
    *ret_copy = *info;
    ret_copy->account = account;
    ret_copy->subject = arena_copy(arena, info->subject);
    ret_copy->queue = arena_copy(arena, info->queue);
    ret_copy->sid = arena_copy(arena, info->sid);
}

// NULL: the list is full.
static struct inspection_subscription *list_next(struct inspection *inspection, struct inspection_sublist *sublist,
                                                 uint64_t list_max)
{
    if (sublist->list_count >= list_max)
        return NULL;
    if (sublist->list_count == sublist->list_cap) {
        uint64_t cap = sublist->list_cap ? 2 * sublist->list_cap : 64;
        struct inspection_subscription *list = arena_alloc(&inspection->arena, (size_t)cap * sizeof(*list));
        if (!list)
            return NULL;
        if (sublist->list_count > 0)
            memcpy(list, sublist->list, (size_t)sublist->list_count * sizeof(*list));
        sublist->list = list;
        sublist->list_cap = cap;
    }
    return &sublist->list[sublist->list_count++];
}
