// SPDX-License-Identifier: Apache-2.0
// Interest between workers. Ours is counted per account, pattern and queue group, and announced when it begins, ends or (of
// a group) changes its weight; what comes and goes within a turn is never told. Theirs lies in our tries as targets.
//
// A round is the interest of one turn: it is known everywhere when the batch that ends it has come back from every worker.
#include "broker/connection.h"
#include "broker/remote_internal.h"
#include "subject/subject.h"

static struct bytes make_key(struct remotes *remotes, const struct account *account, struct bytes pattern,
                             struct bytes queue);
static struct remote_interest *interest_new(struct remotes *remotes, const struct account *account, struct bytes key,
                                            size_t queue_len);
static void touch(struct remotes *remotes, struct remote_interest *interest);
static uint32_t interest_weight(const struct remote_interest *interest);
static void announce(struct remotes *remotes, uint32_t worker, const struct remote_interest *interest);
static struct remote_target_set *set_new(struct remotes *remotes, uint32_t from, const struct remote_record *record);
static void set_weight(struct remote_target_set *set, uint32_t weight);
static void set_free(struct remote_target_set *set);

static struct bytes interest_queue(const struct remote_interest *interest)
{
    return bytes_make(interest->key + 8, interest->queue_len);
}

static struct bytes interest_pattern(const struct remote_interest *interest)
{
    return bytes_skip(bytes_make(interest->key, interest->key_len), 8 + interest->queue_len);
}

uint64_t remote_interest_add(struct remotes *remotes, struct account *account, struct bytes pattern, struct bytes queue)
{
    struct bytes key = make_key(remotes, account, pattern, queue);
    struct remote_interest *interest = map_find(&remotes->interests, key);
    if (!interest)
        interest = interest_new(remotes, account, key, queue.len);
    interest->count++;
    // One more member changes who is drawn: that, too, is known before its client goes on.
    if (queue.len > 0)
        interest->round = remotes->round;
    touch(remotes, interest);
    return interest->round > remotes->acked_round ? interest->round : 0;
}

void remote_interest_remove(struct remotes *remotes, struct account *account, struct bytes pattern, struct bytes queue)
{
    struct remote_interest *interest = map_find(&remotes->interests, make_key(remotes, account, pattern, queue));
    must(interest && interest->count > 0);
    interest->count--;
    touch(remotes, interest);
}

void remote_interest_flush(struct remotes *remotes)
{
    if (list_empty(&remotes->changed))
        return;
    struct list *link;
    while ((link = list_pop_front(&remotes->changed))) {
        struct remote_interest *interest = container_of(link, struct remote_interest, changed);
        if (interest_weight(interest) != interest->announced) {
            for (uint32_t i = 0; i < remotes->count; i++) {
                if (i != remotes->self)
                    announce(remotes, i, interest);
            }
            interest->announced = interest_weight(interest);
        }
        if (interest->count == 0) {
            must(map_remove(&remotes->interests, bytes_make(interest->key, interest->key_len)) == interest);
            mem_free(interest);
        }
    }
    // Somebody may wait for this round though all that began in it has ended again: so it is completed in any case.
    for (uint32_t i = 0; i < remotes->count; i++) {
        if (i == remotes->self)
            continue;
        if (!remotes->links[i].open)
            remote_record_add(remotes, i, REMOTE_INTEREST, 0);
        remotes->links[i].open->round = remotes->round;
    }
    remotes->round++;
}

void remote_interest_receive(struct remotes *remotes, uint32_t from, const struct remote_record *record)
{
    struct map_u64 *targets = &remotes->links[from].targets;
    struct remote_target_set *set = map_u64_find(targets, record->id);
    if (!set && record->subject_len > 0)
        set = set_new(remotes, from, record);
    if (!set)
        return;
    set_weight(set, record->weight);
    if (record->weight > 0)
        return;
    must(map_u64_remove(targets, record->id) == set);
    set_free(set);
}

void remote_interest_adopt(struct remotes *remotes, struct account *account)
{
    for (uint32_t i = 0; i < remotes->count; i++) {
        size_t pos = 0;
        struct remote_target_set *set;
        while ((set = map_u64_next(&remotes->links[i].targets, &pos, NULL))) {
            if (set->account || set->account_id != account->id)
                continue;
            uint32_t weight = set->weight;
            set->weight = 0;
            set->account = account;
            set_weight(set, weight);
        }
    }
}

void remote_interest_drop(struct remotes *remotes)
{
    size_t pos = 0;
    struct remote_interest *interest;
    while ((interest = map_next(&remotes->interests, &pos, NULL)))
        mem_free(interest);
    for (uint32_t i = 0; i < remotes->count; i++) {
        struct remote_target_set *set;
        for (pos = 0; (set = map_u64_next(&remotes->links[i].targets, &pos, NULL));) {
            set_weight(set, 0);
            set_free(set);
        }
        map_u64_deinit(&remotes->links[i].targets);
    }
}

void remote_interest_acked(struct remotes *remotes)
{
    uint64_t acked = UINT64_MAX;
    for (uint32_t i = 0; i < remotes->count; i++)
        acked = remotes->links[i].acked_round < acked ? remotes->links[i].acked_round : acked;
    if (acked == remotes->acked_round)
        return;
    remotes->acked_round = acked;
    remote_wait_acked(remotes, acked);
}

void remote_interest_check(const struct remotes *remotes)
{
    size_t pos = 0;
    const struct remote_interest *interest;
    while ((interest = map_next(&remotes->interests, &pos, NULL))) {
        must(interest->count > 0 || list_is_linked(&interest->changed));
        must(interest->announced == interest_weight(interest) || list_is_linked(&interest->changed));
    }
    for (uint32_t i = 0; i < remotes->count; i++) {
        const struct remote_target_set *set;
        for (pos = 0; (set = map_u64_next(&remotes->links[i].targets, &pos, NULL));) {
            uint32_t count = 0;
            for (const struct remote_target *target = set->first; target; target = target->next) {
                must(trie_entry_is_inserted(&target->target.entry) && target->worker == i && !target->target.dead);
                count++;
            }
            must(set->weight > 0 && count == (set->account ? set->weight : 0));
        }
    }
}

static struct bytes make_key(struct remotes *remotes, const struct account *account, struct bytes pattern,
                             struct bytes queue)
{
    struct buffer *key = &remotes->key;
    uint32_t head[2] = {account->id, (uint32_t)queue.len};
    buffer_clear(key);
    char *at = buffer_reserve(key, sizeof(head) + queue.len + pattern.len);
    must(at);
    at = broker_copy(at, bytes_make((const char *)head, sizeof(head)));
    at = broker_copy(at, queue);
    at = broker_copy(at, pattern);
    return bytes_make(key->ptr, (size_t)(at - key->ptr));
}

static struct remote_interest *interest_new(struct remotes *remotes, const struct account *account, struct bytes key,
                                            size_t queue_len)
{
    struct remote_interest *interest = mem_alloc(sizeof(*interest) + key.len);
    *interest = (struct remote_interest){
        .id = ++remotes->next_id,
        .round = remotes->round,
        .account = account->id,
        .queue_len = (uint32_t)queue_len,
        .key_len = key.len,
    };
    list_init(&interest->changed);
    broker_copy(interest->key, key);
    int error = map_add(&remotes->interests, bytes_make(interest->key, key.len), interest);
    must(error == 0);
    return interest;
}

static void touch(struct remotes *remotes, struct remote_interest *interest)
{
    bool changed = interest_weight(interest) != interest->announced || interest->count == 0;
    if (changed && !list_is_linked(&interest->changed))
        list_push_back(&remotes->changed, &interest->changed);
}

static uint32_t interest_weight(const struct remote_interest *interest)
{
    return interest->queue_len > 0 ? interest->count : interest->count > 0;
}

static void announce(struct remotes *remotes, uint32_t worker, const struct remote_interest *interest)
{
    bool is_new = interest->announced == 0;
    struct bytes pattern = is_new ? interest_pattern(interest) : (struct bytes){0};
    struct bytes queue = is_new ? interest_queue(interest) : (struct bytes){0};
    struct remote_record *record = remote_record_add(remotes, worker, REMOTE_INTEREST, pattern.len + queue.len);
    record->id = interest->id;
    record->account = interest->account;
    record->weight = interest_weight(interest);
    record->subject_len = (uint32_t)pattern.len;
    record->queue_len = (uint32_t)queue.len;
    broker_copy(broker_copy((char *)(record + 1), pattern), queue);
}

static struct remote_target_set *set_new(struct remotes *remotes, uint32_t from, const struct remote_record *record)
{
    struct bytes pattern = remote_record_subject(record), queue = remote_record_queue(record);
    struct remote_target_set *set = mem_alloc(sizeof(*set) + pattern.len + queue.len);
    *set = (struct remote_target_set){
        .account = map_u64_find(&remotes->accounts, record->account),
        .account_id = record->account,
        .worker = from,
        .pattern_len = record->subject_len,
        .queue_len = record->queue_len,
    };
    broker_copy(broker_copy(set->text, pattern), queue);
    int error = map_u64_add(&remotes->links[from].targets, record->id, set);
    must(error == 0);
    return set;
}

static void set_weight(struct remote_target_set *set, uint32_t weight)
{
    struct account *account = set->account;
    if (!account) {
        set->weight = weight; // until it is known here
        return;
    }
    struct bytes pattern = bytes_make(set->text, set->pattern_len);
    struct bytes queue = bytes_make(set->text + set->pattern_len, set->queue_len);
    for (; set->weight < weight; set->weight++) {
        struct remote_target *target = mem_alloc_zero(sizeof(*target));
        target->target.kind = TARGET_REMOTE;
        target->account = account;
        target->worker = set->worker;
        target->next = set->first;
        set->first = target;
        int error = trie_insert(account->trie, &target->target.entry, pattern, queue);
        must(error == 0); // the other worker's trie took it
        account->remote_count++;
        broker_inlet_count_overlap(account, NULL, pattern, 1);
    }
    for (; set->weight > weight; set->weight--) {
        struct remote_target *target = set->first;
        set->first = target->next;
        broker_inlet_count_overlap(account, NULL, pattern, -1);
        account->remote_count--;
        trie_remove(account->trie, &target->target.entry);
        broker_bury(account->broker, &target->target);
    }
}

static void set_free(struct remote_target_set *set)
{
    must(!set->first);
    mem_free(set);
}
