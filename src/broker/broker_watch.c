// SPDX-License-Identifier: Apache-2.0
// Who is told when connections begin or cease to listen to a subject, or fall behind.
//
// Watches lie in groups twice: by their subject, and by its first two tokens. A change of a literal subscription concerns the
// watches of its subject, however many others have the same beginning; of one with wildcards those that begin as it does, or all
// when a wildcard is in the first two tokens. Those that match become dirty and are evaluated once at the turn's end.
// tidy: prefix account
#include "broker/broker_internal.h"
#include "broker/connection.h"
#include "broker/remote_internal.h"
#include "broker/subscription.h"
#include "subject/subject.h"

struct watch_group {
    struct list entries; // struct watch_entry.of_subject or .of_prefix
    size_t key_len;
    char key[];
};

static struct bytes prefix_of(struct bytes subject);
static struct watch_group *group_get(struct map *groups, struct bytes key);
static void group_leave(struct map *groups, struct watch_group *group, struct list *link);
static void touch_subject(struct account *account, struct bytes subject, bool was_congested);
static void touch_prefix(struct broker *broker, const struct watch_group *prefix, struct bytes pattern,
                         bool was_congested);
static void touch(struct broker *broker, struct watch_entry *entry, bool was_congested);
static void drop_groups(struct map *groups);
static uint64_t check_groups(const struct map *groups);
static enum broker_interest own_interest(struct account *account, struct bytes literal_subject, uint64_t *ret_workers);
static enum broker_interest entry_interest(const struct trie_entry *entry, uint64_t *workers);
static struct watch_entry *entry_new(struct account *account, struct broker_watch *watch, struct bytes literal_subject);
static enum broker_interest whole_interest(const struct watch_entry *entry, enum broker_interest own);
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
    uint64_t workers;
    enum broker_interest own = own_interest(account, literal_subject, &workers);
    broker_watch_set_ready(entry, workers);
    if (account->broker->remotes)
        remote_watch_add(account->broker->remotes, entry);
    return entry->reported = whole_interest(entry, own);
}

enum broker_interest broker_watch_add_own(struct account *account, struct broker_watch *watch,
                                          struct bytes literal_subject)
{
    uint64_t workers;
    return entry_new(account, watch, literal_subject)->reported = own_interest(account, literal_subject, &workers);
}

struct account *broker_watch_account(const struct watch_entry *entry)
{
    return entry->account;
}

struct bytes broker_watch_subject(const struct watch_entry *entry)
{
    return bytes_make(entry->subject->key, entry->subject->key_len);
}

void broker_watch_remove(struct broker *broker, struct broker_watch *watch)
{
    struct watch_entry *entry = watch->implementation;
    must(entry && entry->watch == watch);
    watch->implementation = NULL;
    struct account *account = entry->account;
    must(account->broker == broker);
    if (entry->id)
        remote_watch_remove(broker->remotes, entry);
    group_leave(&account->watch_subjects, entry->subject, &entry->of_subject);
    group_leave(&account->watch_prefixes, entry->prefix, &entry->of_prefix);
    list_remove(&entry->dirty);
    mem_free(entry);
    account->watch_count--;
}

// Asked before each message: so what nearly always suffices lies with the owner.
bool broker_watch_is_behind(struct broker_watch *watch)
{
    if (watch->was_congested)
        return true;
    struct watch_entry *entry = watch->is_elsewhere ? watch->implementation : NULL;
    return entry && remote_watch_is_behind(entry->account->broker->remotes, entry);
}

void broker_watch_set_ready(struct watch_entry *entry, uint64_t workers)
{
    entry->ready = workers;
    entry->watch->is_elsewhere = workers != 0;
}

void broker_watch_touch(struct account *account, struct bytes pattern, bool was_congested)
{
    if (account->watch_count == 0)
        return;
    if (!subject_has_wildcard(pattern)) {
        touch_subject(account, pattern, was_congested);
        return;
    }
    struct bytes key = prefix_of(pattern);
    if (!subject_has_wildcard(key)) {
        const struct watch_group *prefix = map_find(&account->watch_prefixes, key);
        if (prefix)
            touch_prefix(account->broker, prefix, pattern, was_congested);
        return;
    }
    size_t pos = 0;
    const struct watch_group *prefix;
    while ((prefix = map_next(&account->watch_prefixes, &pos, NULL)))
        touch_prefix(account->broker, prefix, pattern, was_congested);
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
    const struct watch_group *subject;
    while ((subject = map_next(&account->watch_subjects, &pos, NULL))) {
        list_foreach(link, &subject->entries)
        {
            struct watch_entry *entry = container_of(link, struct watch_entry, of_subject);
            list_remove(&entry->dirty);
            list_remove(&entry->of_prefix);
            list_remove(link);
            mem_free(entry);
        }
    }
    drop_groups(&account->watch_subjects);
    drop_groups(&account->watch_prefixes);
    account->watch_count = 0;
}

void broker_watch_check(const struct account *account)
{
    uint64_t count = 0;
    size_t pos = 0;
    const struct watch_group *group;
    while ((group = map_next(&account->watch_subjects, &pos, NULL))) {
        list_foreach(link, &group->entries)
        {
            const struct watch_entry *entry = container_of(link, struct watch_entry, of_subject);
            must(entry->account == account && entry->subject == group && entry->watch->implementation == entry);
            must(map_find(&account->watch_prefixes, prefix_of(broker_watch_subject(entry))) == entry->prefix);
            count++;
        }
    }
    must(count == account->watch_count);
    must(check_groups(&account->watch_subjects) == count && check_groups(&account->watch_prefixes) == count);
}

// All of the subject up to its second dot.
static struct bytes prefix_of(struct bytes subject)
{
    const char *dot = memchr(subject.ptr, '.', subject.len);
    if (!dot)
        return subject;
    size_t at = (size_t)(dot - subject.ptr) + 1;
    const char *second = memchr(subject.ptr + at, '.', subject.len - at);
    return second ? bytes_make(subject.ptr, (size_t)(second - subject.ptr)) : subject;
}

static struct watch_group *group_get(struct map *groups, struct bytes key)
{
    struct watch_group *group = map_find(groups, key);
    if (group)
        return group;
    group = mem_alloc(sizeof(*group) + key.len);
    list_init(&group->entries);
    group->key_len = key.len;
    broker_copy(group->key, key);
    int error = map_add(groups, bytes_make(group->key, key.len), group);
    must(error == 0);
    return group;
}

static void group_leave(struct map *groups, struct watch_group *group, struct list *link)
{
    list_remove(link);
    if (!list_empty(&group->entries))
        return;
    must(map_remove(groups, bytes_make(group->key, group->key_len)) == group);
    mem_free(group);
}

static void touch_subject(struct account *account, struct bytes subject, bool was_congested)
{
    const struct watch_group *group = map_find(&account->watch_subjects, subject);
    if (!group)
        return;
    list_foreach(link, &group->entries)
        touch(account->broker, container_of(link, struct watch_entry, of_subject), was_congested);
}

static void touch_prefix(struct broker *broker, const struct watch_group *prefix, struct bytes pattern,
                         bool was_congested)
{
    list_foreach(link, &prefix->entries)
    {
        struct watch_entry *entry = container_of(link, struct watch_entry, of_prefix);
        if (subject_match(pattern, broker_watch_subject(entry)))
            touch(broker, entry, was_congested);
    }
}

static void touch(struct broker *broker, struct watch_entry *entry, bool was_congested)
{
    entry->watch->was_congested |= was_congested;
    if (!list_is_linked(&entry->dirty))
        list_push_back(&broker->watch_dirty, &entry->dirty);
}

// They are empty by now; the map forgets them with the account.
static void drop_groups(struct map *groups)
{
    size_t pos = 0;
    struct watch_group *group;
    while ((group = map_next(groups, &pos, NULL)))
        mem_free(group);
}

// The entries in them.
static uint64_t check_groups(const struct map *groups)
{
    uint64_t count = 0;
    size_t pos = 0;
    const struct watch_group *group;
    map_check(groups);
    while ((group = map_next(groups, &pos, NULL))) {
        must(!list_empty(&group->entries));
        list_foreach(link, &group->entries) count++;
    }
    return count;
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
    struct watch_entry *entry = mem_alloc(sizeof(*entry));
    *entry = (struct watch_entry){
        .account = account,
        .subject = group_get(&account->watch_subjects, literal_subject),
        .prefix = group_get(&account->watch_prefixes, prefix_of(literal_subject)),
        .watch = watch,
    };
    list_push_back(&entry->subject->entries, &entry->of_subject);
    list_push_back(&entry->prefix->entries, &entry->of_prefix);
    list_init(&entry->dirty);
    list_init(&entry->behind);
    watch->implementation = entry;
    watch->was_congested = watch->is_elsewhere = false;
    account->watch_count++;
    return entry;
}

// What the others said last counts, not what their interest lets one guess.
static enum broker_interest whole_interest(const struct watch_entry *entry, enum broker_interest own)
{
    if (own == BROKER_INTEREST_READY || entry->ready)
        return BROKER_INTEREST_READY;
    return entry->congested ? BROKER_INTEREST_CONGESTED : own;
}

static bool report(struct broker *broker, struct watch_entry *entry)
{
    uint64_t workers;
    enum broker_interest own = own_interest(entry->account, broker_watch_subject(entry), &workers);
    enum broker_interest interest = whole_interest(entry, own);
    bool recovered = entry->watch->was_congested && interest == BROKER_INTEREST_READY;
    entry->watch->was_congested = false;
    if (interest == entry->reported && !recovered)
        return false;
    entry->reported = interest;
    broker->called = true;
    entry->watch->on_change(entry->watch, interest);
    return true;
}
