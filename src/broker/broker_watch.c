// SPDX-License-Identifier: Apache-2.0
// Who is told when connections begin or cease to listen to a subject, or fall behind.
//
// Watches lie in groups by the first two tokens of their subject. A change of a subscription concerns the watches of one
// group, or of all when its pattern has a wildcard in the first two tokens; those that match become dirty and are
// evaluated once at the turn's end.
// tidy: prefix account
#include "broker/broker_internal.h"
#include "broker/connection.h"
#include "broker/remote_internal.h"
#include "broker/subscription.h"
#include "subject/subject.h"

struct watch_group {
    struct account *account; // borrowed
    struct list entries;     // struct watch_entry.link
    size_t key_len;
    char key[]; // the first two tokens, or the only one
};

static struct bytes group_key(struct bytes subject);
static struct watch_group *group_get(struct account *account, struct bytes key);
static void touch_group(struct broker *broker, const struct watch_group *group, struct bytes pattern,
                        bool was_congested);
static enum broker_interest own_interest(struct account *account, struct bytes literal_subject, uint64_t *ret_workers);
static enum broker_interest entry_interest(const struct trie_entry *entry, uint64_t *workers);
static struct watch_entry *entry_new(struct account *account, struct broker_watch *watch, struct bytes literal_subject);
static enum broker_interest whole_interest(const struct watch_entry *entry);
static bool report(struct broker *broker, struct watch_entry *entry);

enum broker_interest broker_interest(struct broker *broker, struct bytes literal_subject)
{
    return account_interest(broker->global, literal_subject);
}

bool broker_is_cut_off(const struct broker *broker)
{
    return broker->options.has_uplink && broker->connection_count == 0;
}

enum broker_interest account_interest(struct account *account, struct bytes literal_subject)
{
    uint64_t workers;
    enum broker_interest own = own_interest(account, literal_subject, &workers);
    return workers ? BROKER_INTEREST_READY : own;
}

enum broker_interest broker_watch_add(struct broker *broker, struct broker_watch *watch, struct bytes literal_subject)
{
    return account_watch_add(broker->global, watch, literal_subject);
}

enum broker_interest account_watch_add(struct account *account, struct broker_watch *watch,
                                       struct bytes literal_subject)
{
    const struct broker *broker = account->broker;
    must(!broker->remotes || account == broker->global || account == broker->system); // all workers have them
    struct watch_entry *entry = entry_new(account, watch, literal_subject);
    entry->reported = own_interest(account, literal_subject, &entry->ready);
    if (account->broker->remotes)
        remote_watch_add(account->broker->remotes, entry);
    return entry->reported = whole_interest(entry);
}

enum broker_interest broker_watch_add_own(struct account *account, struct broker_watch *watch,
                                          struct bytes literal_subject)
{
    uint64_t workers;
    return entry_new(account, watch, literal_subject)->reported = own_interest(account, literal_subject, &workers);
}

struct account *broker_watch_account(const struct watch_entry *entry)
{
    return entry->group->account;
}

struct bytes broker_watch_subject(const struct watch_entry *entry)
{
    return bytes_make(entry->subject, entry->subject_len);
}

void broker_watch_remove(struct broker *broker, struct broker_watch *watch)
{
    struct watch_entry *entry = watch->implementation;
    must(entry && entry->watch == watch);
    watch->implementation = NULL;
    struct watch_group *group = entry->group;
    struct account *account = group->account;
    must(account->broker == broker);
    if (entry->id)
        remote_watch_remove(broker->remotes, entry);
    list_remove(&entry->link);
    list_remove(&entry->dirty);
    mem_free(entry);
    account->watch_count--;
    if (list_empty(&group->entries)) {
        must(map_remove(&account->watch_groups, bytes_make(group->key, group->key_len)) == group);
        mem_free(group);
    }
}

bool broker_watch_is_behind(struct broker_watch *watch)
{
    struct watch_entry *entry = watch->implementation;
    if (entry->was_congested)
        return true;
    return entry->ready != 0 && remote_watch_is_behind(entry->group->account->broker->remotes, entry);
}

void broker_watch_touch(struct account *account, struct bytes pattern, bool was_congested)
{
    if (account->watch_count == 0)
        return;
    struct bytes key = group_key(pattern);
    if (!subject_has_wildcard(key)) {
        const struct watch_group *group = map_find(&account->watch_groups, key);
        if (group)
            touch_group(account->broker, group, pattern, was_congested);
        return;
    }
    size_t pos = 0;
    const struct watch_group *group;
    while ((group = map_next(&account->watch_groups, &pos, NULL)))
        touch_group(account->broker, group, pattern, was_congested);
}

bool broker_watch_report(struct broker *broker)
{
    // What becomes dirty from here on waits for the next round, or owners that answer each other would never end.
    struct list dirty;
    list_init(&dirty);
    list_append_all(&dirty, &broker->watch_dirty);
    bool told = false;
    struct list *link;
    while ((link = list_pop_front(&dirty)))
        told |= report(broker, container_of(link, struct watch_entry, dirty));
    return told;
}

void broker_watch_drop(struct account *account)
{
    size_t pos = 0;
    struct watch_group *group;
    while ((group = map_next(&account->watch_groups, &pos, NULL))) {
        struct list *link;
        while ((link = list_pop_front(&group->entries))) {
            struct watch_entry *entry = container_of(link, struct watch_entry, link);
            list_remove(&entry->dirty);
            mem_free(entry);
        }
        mem_free(group);
    }
    account->watch_count = 0;
}

void broker_watch_check(const struct account *account)
{
    uint64_t count = 0;
    size_t pos = 0;
    const struct watch_group *group;
    map_check(&account->watch_groups);
    while ((group = map_next(&account->watch_groups, &pos, NULL))) {
        must(!list_empty(&group->entries));
        list_foreach(link, &group->entries)
        {
            const struct watch_entry *entry = container_of(link, struct watch_entry, link);
            must(group->account == account && entry->group == group && entry->watch->implementation == entry);
            count++;
        }
    }
    must(count == account->watch_count);
}

// All of the subject up to its second dot.
static struct bytes group_key(struct bytes subject)
{
    const char *dot = memchr(subject.ptr, '.', subject.len);
    if (!dot)
        return subject;
    size_t at = (size_t)(dot - subject.ptr) + 1;
    const char *second = memchr(subject.ptr + at, '.', subject.len - at);
    return second ? bytes_make(subject.ptr, (size_t)(second - subject.ptr)) : subject;
}

static struct watch_group *group_get(struct account *account, struct bytes key)
{
    struct watch_group *group = map_find(&account->watch_groups, key);
    if (group)
        return group;
    group = mem_alloc(sizeof(*group) + key.len);
    list_init(&group->entries);
    group->account = account;
    group->key_len = key.len;
    broker_copy(group->key, key);
    int error = map_add(&account->watch_groups, bytes_make(group->key, key.len), group);
    must(error == 0);
    return group;
}

static void touch_group(struct broker *broker, const struct watch_group *group, struct bytes pattern,
                        bool was_congested)
{
    list_foreach(link, &group->entries)
    {
        struct watch_entry *entry = container_of(link, struct watch_entry, link);
        if (!subject_match(pattern, bytes_make(entry->subject, entry->subject_len)))
            continue;
        entry->was_congested |= was_congested;
        if (!list_is_linked(&entry->dirty))
            list_push_back(&broker->watch_dirty, &entry->dirty);
    }
}

// Of this worker's connections. *ret_workers: the set of other workers that have some.
static enum broker_interest own_interest(struct account *account, struct bytes literal_subject, uint64_t *ret_workers)
{
    enum broker_interest best = BROKER_INTEREST_NONE;
    const struct trie_match *match = trie_match_find(account->trie, literal_subject);
    *ret_workers = 0;
    for (uint32_t i = 0; i < match->count && best != BROKER_INTEREST_READY; i++) {
        enum broker_interest one = entry_interest(match->entries[i], ret_workers);
        best = one == BROKER_INTEREST_NONE ? best : one;
    }
    for (uint32_t g = 0; g < match->group_count; g++) {
        for (uint32_t i = 0; i < match->groups[g].count && best != BROKER_INTEREST_READY; i++) {
            enum broker_interest one = entry_interest(match->groups[g].entries[i], ret_workers);
            best = one == BROKER_INTEREST_NONE ? best : one;
        }
    }
    trie_match_release(account->trie, match);
    if (best == BROKER_INTEREST_NONE && account->broker->options.has_uplink && account == account->broker->global)
        return BROKER_INTEREST_CONGESTED;
    return best;
}

static enum broker_interest entry_interest(const struct trie_entry *entry, uint64_t *workers)
{
    const struct target *target = container_of(entry, struct target, entry);
    if (target->dead)
        return BROKER_INTEREST_NONE;
    if (target->kind == TARGET_REMOTE) {
        *workers |= UINT64_C(1) << container_of(target, struct remote_target, target)->worker;
        return BROKER_INTEREST_NONE;
    }
    if (target->kind != TARGET_SUBSCRIPTION)
        return BROKER_INTEREST_NONE;
    const struct connection *connection = container_of(target, struct subscription, target)->connection;
    if (connection->state != CONNECTION_OPEN)
        return BROKER_INTEREST_NONE;
    return connection->congested ? BROKER_INTEREST_CONGESTED : BROKER_INTEREST_READY;
}

static struct watch_entry *entry_new(struct account *account, struct broker_watch *watch, struct bytes literal_subject)
{
    struct watch_entry *entry = mem_alloc(sizeof(*entry) + literal_subject.len);
    *entry = (struct watch_entry){
        .watch = watch,
        .group = group_get(account, group_key(literal_subject)),
        .subject_len = literal_subject.len,
    };
    broker_copy(entry->subject, literal_subject);
    list_push_back(&entry->group->entries, &entry->link);
    list_init(&entry->dirty);
    list_init(&entry->behind);
    watch->implementation = entry;
    account->watch_count++;
    return entry;
}

// What the others said last counts, not what their interest lets one guess.
static enum broker_interest whole_interest(const struct watch_entry *entry)
{
    uint64_t workers;
    enum broker_interest own = own_interest(entry->group->account, broker_watch_subject(entry), &workers);
    if (own == BROKER_INTEREST_READY || entry->ready)
        return BROKER_INTEREST_READY;
    return entry->congested ? BROKER_INTEREST_CONGESTED : own;
}

static bool report(struct broker *broker, struct watch_entry *entry)
{
    enum broker_interest interest = whole_interest(entry);
    bool recovered = entry->was_congested && interest == BROKER_INTEREST_READY;
    entry->was_congested = false;
    if (interest == entry->reported && !recovered)
        return false;
    entry->reported = interest;
    broker->called = true;
    entry->watch->on_change(entry->watch, interest);
    return true;
}
