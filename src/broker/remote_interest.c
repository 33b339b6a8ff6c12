// SPDX-License-Identifier: Apache-2.0
// Interest between workers. Ours is counted per account, pattern and queue group, and announced when it begins, ends or (of
// a group) changes its weight; what comes and goes within a turn is never told. Theirs lies in our tries as targets.
//
// A round is the interest of one turn: it is known everywhere when the batch that ends it has come back from every worker.
#include "base/hash.h"
#include "broker/connection.h"
#include "broker/remote_internal.h"
#include "subject/subject.h"

static struct remote_interest *interest_find(const struct remotes *remotes, uint32_t account, struct bytes pattern,
                                             struct bytes queue, uint32_t hash);
static struct remote_interest *interest_new(struct remotes *remotes, uint32_t account, struct bytes pattern,
                                            struct bytes queue, uint32_t hash);
static void interest_end(struct remotes *remotes, struct remote_interest *interest);
static uint32_t interest_hash(const struct remotes *remotes, uint32_t account, struct bytes pattern,
                              struct bytes queue);
static struct bytes interest_pattern(const struct remote_interest *interest);
static struct bytes interest_queue(const struct remote_interest *interest);
static void touch(struct remotes *remotes, struct remote_interest *interest);
static struct remote_interest *take_changed(struct remotes *remotes);
static uint32_t interest_weight(const struct remote_interest *interest);
static void announce(struct remotes *remotes, uint32_t worker, const struct remote_interest *interest);
static void receive_new(struct remotes *remotes, uint32_t from, const struct remote_record *record);
static void receive_stranger(struct remote_link *link, const struct remote_record *record);
static struct remote_target *target_new(struct account *account, uint32_t worker, struct bytes pattern,
                                        struct bytes queue);
static struct remote_target *targets_new(struct account *account, uint32_t worker, uint32_t weight,
                                         struct bytes pattern, struct bytes queue);
static struct bytes pattern_of(const struct remote_target *first);
static void target_end(struct remote_target *target, struct bytes pattern);
static void targets_set_weight(struct remote_target *first, uint32_t weight);
static void targets_end(struct remote_target *first);

uint64_t remote_interest_add(struct remotes *remotes, struct account *account, struct bytes pattern, struct bytes queue)
{
    uint32_t hash = interest_hash(remotes, account->id, pattern, queue);
    struct remote_interest *interest = interest_find(remotes, account->id, pattern, queue, hash);
    if (!interest)
        interest = interest_new(remotes, account->id, pattern, queue, hash);
    interest->count++;
    // One more member changes who is drawn: that, too, is known before its client goes on.
    if (queue.len > 0)
        interest->round = remotes->round;
    touch(remotes, interest);
    return interest->round > remotes->acked_round ? interest->round : 0;
}

void remote_interest_remove(struct remotes *remotes, struct account *account, struct bytes pattern, struct bytes queue)
{
    uint32_t hash = interest_hash(remotes, account->id, pattern, queue);
    struct remote_interest *interest = interest_find(remotes, account->id, pattern, queue, hash);
    must(interest && interest->count > 0);
    interest->count--;
    touch(remotes, interest);
}

void remote_interest_flush(struct remotes *remotes)
{
    if (!remotes->changed)
        return;
    struct remote_interest *interest;
    while ((interest = take_changed(remotes))) {
        if (interest_weight(interest) != interest->announced) {
            for (uint32_t i = 0; i < remotes->count; i++) {
                if (i != remotes->self)
                    announce(remotes, i, interest);
            }
            interest->announced = interest_weight(interest) & INT32_MAX;
        }
        if (interest->count == 0)
            interest_end(remotes, interest);
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
    struct remote_link *link = &remotes->links[from];
    struct remote_target *first = map_u64_find(&link->targets, record->id);
    if (!first) {
        if (map_u64_find(&link->strangers, record->id))
            receive_stranger(link, record);
        else if (record->weight > 0)
            receive_new(remotes, from, record);
        return;
    }
    if (record->weight > 0) {
        targets_set_weight(first, record->weight);
        return;
    }
    must(map_u64_remove(&link->targets, record->id) == first);
    targets_end(first);
}

void remote_interest_adopt(struct remotes *remotes, struct account *account)
{
    for (uint32_t i = 0; i < remotes->count; i++) {
        struct remote_link *link = &remotes->links[i];
        size_t pos = 0;
        struct remote_stranger *stranger;
        uint64_t id;
        while ((stranger = map_u64_next(&link->strangers, &pos, &id))) {
            if (stranger->account != account->id)
                continue;
            struct bytes pattern = bytes_make(stranger->text, stranger->pattern_len);
            struct bytes queue = bytes_make(stranger->text + stranger->pattern_len, stranger->queue_len);
            int error = map_u64_add(&link->targets, id, targets_new(account, i, stranger->weight, pattern, queue));
            must(error == 0 && map_u64_remove(&link->strangers, id) == stranger);
            mem_free(stranger);
        }
    }
}

void remote_interest_drop(struct remotes *remotes)
{
    uint32_t at = 0;
    struct remote_interest *interest;
    while ((interest = table_next(&remotes->interests, &at)))
        mem_free(interest);
    for (uint32_t i = 0; i < remotes->count; i++) {
        struct remote_link *link = &remotes->links[i];
        size_t pos = 0;
        struct remote_target *first;
        while ((first = map_u64_next(&link->targets, &pos, NULL)))
            targets_end(first);
        struct remote_stranger *stranger;
        for (pos = 0; (stranger = map_u64_next(&link->strangers, &pos, NULL));)
            mem_free(stranger);
        map_u64_deinit(&link->targets);
        map_u64_deinit(&link->strangers);
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
    uint32_t at = 0;
    const struct remote_interest *interest;
    table_check(&remotes->interests);
    while ((interest = table_next(&remotes->interests, &at))) {
        must(interest->count > 0 || interest->is_changed);
        must(interest->announced == interest_weight(interest) || interest->is_changed);
    }
    for (uint32_t i = 0; i < remotes->count; i++) {
        size_t pos = 0;
        const struct remote_target *first;
        while ((first = map_u64_next(&remotes->links[i].targets, &pos, NULL))) {
            uint32_t count = 0;
            for (const struct remote_target *target = first; target; target = target->next) {
                must(trie_entry_is_inserted(&target->target.entry) && target->worker == i && !target->target.dead);
                count++;
            }
            must(count == first->weight);
        }
        const struct remote_stranger *stranger;
        for (pos = 0; (stranger = map_u64_next(&remotes->links[i].strangers, &pos, NULL));)
            must(stranger->weight > 0 && !map_u64_find(&remotes->accounts, stranger->account));
    }
}

static struct remote_interest *interest_find(const struct remotes *remotes, uint32_t account, struct bytes pattern,
                                             struct bytes queue, uint32_t hash)
{
    const struct table_slot *slot = table_find(&remotes->interests, hash);
    for (; slot->item && slot->hash == hash; slot++) {
        struct remote_interest *interest = slot->item;
        if (interest->account == account && bytes_equal(interest_pattern(interest), pattern) &&
            bytes_equal(interest_queue(interest), queue))
            return interest;
    }
    return NULL;
}

static struct remote_interest *interest_new(struct remotes *remotes, uint32_t account, struct bytes pattern,
                                            struct bytes queue, uint32_t hash)
{
    must(pattern.len <= UINT16_MAX && queue.len <= UINT16_MAX); // the trie took them
    size_t size = offsetof(struct remote_interest, text) + pattern.len + queue.len;
    struct remote_interest *interest = mem_alloc(size > sizeof(*interest) ? size : sizeof(*interest));
    *interest = (struct remote_interest){
        .id = ++remotes->next_id,
        .round = remotes->round,
        .account = account,
        .pattern_len = (uint16_t)pattern.len,
        .queue_len = (uint16_t)queue.len,
    };
    broker_copy(broker_copy(interest->text, pattern), queue);
    table_add(&remotes->interests, hash, interest);
    return interest;
}

static void interest_end(struct remotes *remotes, struct remote_interest *interest)
{
    uint32_t hash = interest_hash(remotes, interest->account, interest_pattern(interest), interest_queue(interest));
    table_remove(&remotes->interests, hash, interest);
    mem_free(interest);
}

static uint32_t interest_hash(const struct remotes *remotes, uint32_t account, struct bytes pattern, struct bytes queue)
{
    uint64_t seed = remotes->interest_seed + account;
    if (queue.len > 0)
        seed += hash_bytes(queue, seed);
    return hash_bytes32(pattern, seed);
}

static struct bytes interest_pattern(const struct remote_interest *interest)
{
    return bytes_make(interest->text, interest->pattern_len);
}

static struct bytes interest_queue(const struct remote_interest *interest)
{
    return bytes_make(interest->text + interest->pattern_len, interest->queue_len);
}

static void touch(struct remotes *remotes, struct remote_interest *interest)
{
    bool changed = interest_weight(interest) != interest->announced || interest->count == 0;
    if (!changed || interest->is_changed)
        return;
    interest->is_changed = true;
    interest->next = NULL;
    if (remotes->changed)
        remotes->changed_last->next = interest;
    else
        remotes->changed = interest;
    remotes->changed_last = interest;
}

static struct remote_interest *take_changed(struct remotes *remotes)
{
    struct remote_interest *interest = remotes->changed;
    if (interest) {
        remotes->changed = interest->next;
        interest->is_changed = false;
    }
    return interest;
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

static void receive_new(struct remotes *remotes, uint32_t from, const struct remote_record *record)
{
    struct remote_link *link = &remotes->links[from];
    struct account *account = map_u64_find(&remotes->accounts, record->account);
    struct bytes pattern = remote_record_subject(record), queue = remote_record_queue(record);
    int error;
    if (account) {
        error = map_u64_add(&link->targets, record->id, targets_new(account, from, record->weight, pattern, queue));
    } else {
        struct remote_stranger *stranger = mem_alloc(sizeof(*stranger) + pattern.len + queue.len);
        *stranger = (struct remote_stranger){record->account, record->weight, record->subject_len, record->queue_len};
        broker_copy(broker_copy(stranger->text, pattern), queue);
        error = map_u64_add(&link->strangers, record->id, stranger);
    }
    must(error == 0);
}

static void receive_stranger(struct remote_link *link, const struct remote_record *record)
{
    struct remote_stranger *stranger = map_u64_find(&link->strangers, record->id);
    stranger->weight = record->weight;
    if (record->weight > 0)
        return;
    must(map_u64_remove(&link->strangers, record->id) == stranger);
    mem_free(stranger);
}

static struct remote_target *target_new(struct account *account, uint32_t worker, struct bytes pattern,
                                        struct bytes queue)
{
    struct remote_target *target = mem_alloc_zero(sizeof(*target));
    target->target.kind = TARGET_REMOTE;
    target->account = account;
    target->worker = worker;
    int error = trie_insert(account->trie, &target->target.entry, pattern, queue);
    must(error == 0); // the other worker's trie took it
    account->remote_count++;
    broker_inlet_count_overlap(account, NULL, pattern, 1);
    return target;
}

static struct remote_target *targets_new(struct account *account, uint32_t worker, uint32_t weight,
                                         struct bytes pattern, struct bytes queue)
{
    struct remote_target *first = target_new(account, worker, pattern, queue);
    first->weight = 1;
    targets_set_weight(first, weight);
    return first;
}

// From the pattern that the first has in the trie.
static struct bytes pattern_of(const struct remote_target *first)
{
    char *scratch = first->account->broker->scratch;
    return bytes_make(scratch, trie_entry_pattern(&first->target.entry, scratch, SUBJECT_LEN_MAX));
}

static void target_end(struct remote_target *target, struct bytes pattern)
{
    struct account *account = target->account;
    broker_inlet_count_overlap(account, NULL, pattern, -1);
    account->remote_count--;
    trie_remove(account->trie, &target->target.entry);
    broker_bury(account->broker, &target->target);
}

// Not to 0.
static void targets_set_weight(struct remote_target *first, uint32_t weight)
{
    must(weight > 0);
    if (first->weight == weight)
        return;
    struct bytes pattern = pattern_of(first);
    for (; first->weight < weight; first->weight++) {
        struct remote_target *target =
            target_new(first->account, first->worker, pattern, trie_entry_queue(&first->target.entry));
        target->next = first->next;
        first->next = target;
    }
    for (; first->weight > weight; first->weight--) {
        struct remote_target *target = first->next;
        first->next = target->next;
        target_end(target, pattern);
    }
}

static void targets_end(struct remote_target *first)
{
    struct bytes pattern = pattern_of(first);
    targets_set_weight(first, 1);
    target_end(first, pattern);
}
