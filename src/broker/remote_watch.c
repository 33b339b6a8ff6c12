// SPDX-License-Identifier: Apache-2.0
// Watches across workers. Whoever watches a subject asks every other worker, which watches it among its own connections and tells
// what it finds, first at once and then at each change. What is told of a batch's messages comes before that batch returns, so
// whoever stops at remotes.behind_bytes under way never makes a slow consumer of a healthy one.
#include "broker/remote_internal.h"

// Another worker's watch, among our connections.
struct remote_watch {
    struct broker_watch watch;
    struct remotes *remotes; // borrowed
    uint32_t worker;         // whose it is
    uint64_t id;             // by which he knows it
};

static void on_change(struct broker_watch *watch, enum broker_interest interest);
static void touch(struct remotes *remotes, struct watch_entry *entry, bool was_congested);

void remote_watch_add(struct remotes *remotes, struct watch_entry *entry)
{
    struct account *account = broker_watch_account(entry);
    struct bytes subject = broker_watch_subject(entry);
    entry->id = ++remotes->next_id;
    int error = map_u64_add(&remotes->watches, entry->id, entry);
    must(error == 0);
    for (uint32_t i = 0; i < remotes->count; i++) {
        if (i == remotes->self)
            continue;
        struct remote_record *record = remote_record_add(remotes, i, REMOTE_WATCH, subject.len);
        record->id = entry->id;
        record->account = account->id;
        record->subject_len = (uint32_t)subject.len;
        broker_copy((char *)(record + 1), subject);
    }
}

void remote_watch_remove(struct remotes *remotes, struct watch_entry *entry)
{
    must(map_u64_remove(&remotes->watches, entry->id) == entry);
    list_remove(&entry->behind);
    for (uint32_t i = 0; i < remotes->count; i++) {
        if (i != remotes->self)
            remote_record_add(remotes, i, REMOTE_WATCH_END, 0)->id = entry->id;
    }
}

void remote_watch_receive(struct remotes *remotes, uint32_t from, const struct remote_record *record)
{
    struct account *account = map_u64_find(&remotes->accounts, record->account);
    if (!account)
        return; // gone again: it has no connections. Not yet here: account_watch_add() forbids it
    struct remote_watch *watch = mem_alloc(sizeof(*watch));
    *watch = (struct remote_watch){
        .watch.on_change = on_change,
        .remotes = remotes,
        .worker = from,
        .id = record->id,
    };
    int error = map_u64_add(&remotes->links[from].watches, watch->id, watch);
    must(error == 0);
    on_change(&watch->watch, broker_watch_add_own(account, &watch->watch, remote_record_subject(record)));
}

void remote_watch_receive_end(struct remotes *remotes, uint32_t from, const struct remote_record *record)
{
    struct remote_watch *watch = map_u64_remove(&remotes->links[from].watches, record->id);
    if (!watch)
        return; // of an account that is not known here
    broker_watch_remove(remotes->broker, &watch->watch);
    mem_free(watch);
}

void remote_watch_receive_state(struct remotes *remotes, uint32_t from, const struct remote_record *record)
{
    struct watch_entry *entry = map_u64_find(&remotes->watches, record->id);
    if (!entry)
        return;
    uint64_t bit = UINT64_C(1) << from;
    bool was_listening = (entry->ready | entry->congested) & entry->answered & bit;
    entry->answered |= bit;
    entry->congested &= ~bit;
    broker_watch_set_ready(entry, record->weight == BROKER_INTEREST_READY ? entry->ready | bit : entry->ready & ~bit);
    if (record->weight == BROKER_INTEREST_CONGESTED)
        entry->congested |= bit;
    // Told READY once more, its worker had fallen behind meanwhile.
    touch(remotes, entry, was_listening && record->weight != BROKER_INTEREST_NONE);
}

bool remote_watch_is_behind(struct remotes *remotes, struct watch_entry *entry)
{
    uint64_t workers = entry->ready;
    for (uint32_t i = 0; workers; i++, workers >>= 1) {
        if (!(workers & 1) || !remote_is_over(remotes, i, remotes->behind_bytes))
            continue;
        if (!list_is_linked(&entry->behind))
            list_push_back(&remotes->links[i].behind, &entry->behind);
        return true;
    }
    return false;
}

void remote_watch_recover(struct remotes *remotes, uint32_t worker)
{
    struct list *link;
    while ((link = list_pop_front(&remotes->links[worker].behind)))
        touch(remotes, container_of(link, struct watch_entry, behind), true);
}

void remote_watch_drop(struct remotes *remotes, struct remote_link *link)
{
    size_t pos = 0;
    struct remote_watch *watch;
    while ((watch = map_u64_next(&link->watches, &pos, NULL))) {
        broker_watch_remove(remotes->broker, &watch->watch);
        mem_free(watch);
    }
    map_u64_deinit(&link->watches);
    while (list_pop_front(&link->behind))
        ;
}

static void on_change(struct broker_watch *base, enum broker_interest interest)
{
    struct remote_watch *watch = container_of(base, struct remote_watch, watch);
    struct remote_record *record = remote_record_add(watch->remotes, watch->worker, REMOTE_WATCH_STATE, 0);
    record->id = watch->id;
    record->weight = interest;
}

static void touch(struct remotes *remotes, struct watch_entry *entry, bool was_congested)
{
    entry->watch->was_congested |= was_congested;
    if (!list_is_linked(&entry->dirty))
        list_push_back(&remotes->broker->watch_dirty, &entry->dirty);
}
