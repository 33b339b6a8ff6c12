// SPDX-License-Identifier: Apache-2.0
// Subscribers inside the process.
//
// An inlet whose pattern is a literal prefix and ">" is found by comparing prefixes, before the trie and its match cache,
// because behind such inlets stand subjects that never come twice (acknowledgements) or in great variety (channels). That
// is right only while no other target could want such a subject: overlap_count tells how many could.
// tidy: prefix account
#include "broker/broker_internal.h"
#include "broker/connection.h"
#include "broker/remote_internal.h"
#include "subject/subject.h"

struct overlap_count {
    const struct broker *broker;
    struct bytes pattern;
    uint64_t count;
};

static void tell_follower(const struct account *account, struct bytes pattern, bool is_there);
static bool tell_of_inlet(void *context, struct trie_entry *entry);
static void announce(struct account *account, enum target_kind kind, struct bytes subject);
static bool is_under(const struct inlet_target *target, struct bytes subject);
static bool may_overlap(const struct inlet_target *target, struct bytes pattern);
static bool is_prefix_pattern(struct bytes pattern);
static void prefix_add(struct account *account, struct inlet_target *target);
static void prefix_remove(struct account *account, struct inlet_target *target);
static void set_first_bytes(struct account *account);
static bool count_overlap(void *context, struct trie_entry *entry);

int broker_inlet_add(struct broker *broker, struct inlet *inlet, struct bytes subject)
{
    return account_inlet_add(broker->global, inlet, subject);
}

int account_inlet_add(struct account *account, struct inlet *inlet, struct bytes subject)
{
    struct inlet_target *target;
    int error = broker_inlet_open(account, TARGET_INLET, inlet, subject, &target);
    if (error)
        return error;
    account->inlet_count++;
    inlet->implementation = target;
    tell_follower(account, subject, true);
    return 0;
}

int broker_inlet_open(struct account *account, enum target_kind kind, struct inlet *inlet, struct bytes subject,
                      struct inlet_target **ret_target)
{
    if (!subject_is_valid_subscribe(subject))
        return ERR_INVALID;
    struct inlet_target *target = mem_alloc_zero(sizeof(*target));
    target->target.kind = (uint8_t)kind;
    target->account = account;
    target->inlet = inlet;
    target->pattern = bytes_make(mem_copy(subject), subject.len);
    if (is_prefix_pattern(subject))
        prefix_add(account, target);
    int error = trie_insert(account->trie, &target->target.entry, subject, (struct bytes){0});
    if (error) {
        prefix_remove(account, target);
        mem_free((void *)target->pattern.ptr);
        mem_free(target);
        return error;
    }
    broker_inlet_count_overlap(account, target, subject, 1);
    if (account->broker->remotes)
        announce(account, kind, subject);
    *ret_target = target;
    return 0;
}

void broker_inlet_remove(struct broker *broker, struct inlet *inlet)
{
    struct inlet_target *target = inlet->implementation;
    must(target && target->inlet == inlet && !target->target.dead);
    struct account *account = target->account;
    must(account->broker == broker);
    inlet->implementation = NULL;
    target->inlet = NULL;
    trie_remove(account->trie, &target->target.entry);
    prefix_remove(account, target);
    broker_inlet_count_overlap(account, target, target->pattern, -1);
    account->inlet_count--;
    tell_follower(account, target->pattern, false);
    if (broker->remotes)
        remote_interest_remove(broker->remotes, account, target->pattern, (struct bytes){0});
    broker_bury(broker, &target->target);
}

void broker_inlets_follow(struct broker *broker, struct inlet_follower *follower)
{
    must(!broker->follower);
    broker->follower = follower;
    trie_each(broker->global->trie, tell_of_inlet, follower);
}

void broker_inlets_unfollow(struct broker *broker)
{
    broker->follower = NULL;
}

void broker_inlets_resume(struct broker *broker)
{
    broker->resume |= CONNECTION_PAUSE_INLET;
}

struct inlet_target *broker_inlet_find_prefix(struct account *account, struct bytes subject)
{
    for (uint32_t i = 0; i < account->prefix_count; i++) {
        struct inlet_target *target = account->prefixes[i];
        if (is_under(target, subject))
            return broker_inlet_is_behind(target, subject) ? target : NULL;
    }
    return NULL;
}

// The trie finds nothing for a subject with an empty token; what stands behind the prefix must not be easier to please.
bool broker_inlet_is_behind(const struct inlet_target *target, struct bytes subject)
{
    return target->is_prefix && target->overlap_count == 0 && is_under(target, subject) &&
           !subject_has_empty_token(bytes_skip(subject, target->pattern.len - 1));
}

bool broker_inlet_deliver(struct inlet_target *target, struct broker_message *message)
{
    struct inlet_message inlet_message = {
        .subject = message->subject,
        .reply = message->reply,
        .headers = message->header,
        .standing = message->standing,
        .connection = message->from      ? message->from->id
                      : message->passage ? message->passage->connection
                                         : 0,
    };
    if (message->part_count == 1) {
        inlet_message.payload = message->parts[0];
    } else if (message->payload_len > 0) {
        struct outbound_block *block = broker_message_block(target->account->broker, message);
        inlet_message.payload = bytes_skip(bytes_make(outbound_block_data(block), block->len), message->header.len);
    }
    target->account->broker->called = true;
    return target->inlet->on_message(target->inlet, &inlet_message);
}

void broker_inlet_count_overlap(struct account *account, const struct inlet_target *except, struct bytes pattern,
                                int change)
{
    for (uint32_t i = 0; i < account->prefix_count; i++) {
        struct inlet_target *target = account->prefixes[i];
        if (target != except && may_overlap(target, pattern))
            target->overlap_count += (uint64_t)(int64_t)change;
    }
}

void broker_inlet_resume_paused(struct broker *broker)
{
    uint8_t ended = broker->resume;
    if (!ended)
        return;
    broker->resume = 0;
    if (broker->remotes && (ended & CONNECTION_PAUSE_INLET))
        remote_message_resume(broker->remotes);
    struct list paused;
    list_init(&paused);
    list_append_all(&paused, &broker->paused);
    struct list *link;
    while ((link = list_first(&paused)))
        connection_resume(container_of(link, struct connection, paused), ended);
}

void broker_inlet_check(const struct account *account)
{
    for (uint32_t i = 0; i < account->prefix_count; i++) {
        const struct inlet_target *target = account->prefixes[i];
        must(target->is_prefix && !target->target.dead && is_prefix_pattern(target->pattern));
        struct overlap_count overlaps = {.broker = account->broker, .pattern = target->pattern};
        trie_each(account->trie, count_overlap, &overlaps);
        must(overlaps.count == target->overlap_count + 1); // it overlaps itself
    }
}

static void tell_follower(const struct account *account, struct bytes pattern, bool is_there)
{
    struct inlet_follower *follower = account->broker->follower;
    if (follower && account == account->broker->global)
        follower->on_inlet(follower, pattern, is_there);
}

static bool tell_of_inlet(void *context, struct trie_entry *entry)
{
    struct inlet_follower *follower = context;
    const struct target *target = container_of(entry, struct target, entry);
    if (target->kind == TARGET_INLET && !target->dead)
        follower->on_inlet(follower, container_of(target, struct inlet_target, target)->pattern, true);
    return true;
}

// Where answers arrive is known before the first request for one leaves, which is in this turn.
static void announce(struct account *account, enum target_kind kind, struct bytes subject)
{
    struct remotes *remotes = account->broker->remotes;
    remote_interest_add(remotes, account, subject, (struct bytes){0});
    if (kind == TARGET_RESPONSES)
        remote_interest_flush(remotes);
}

// Does it begin as the pattern does, without the ">"?
static bool is_under(const struct inlet_target *target, struct bytes subject)
{
    size_t len = target->pattern.len - 1;
    return subject.len > len && memcmp(subject.ptr, target->pattern.ptr, len) == 0;
}

static bool may_overlap(const struct inlet_target *target, struct bytes pattern)
{
    char first = pattern.ptr[0];
    if (first != target->pattern.ptr[0] && first != '*' && first != '>')
        return false;
    return subject_overlap(target->pattern, pattern);
}

static bool is_prefix_pattern(struct bytes pattern)
{
    return pattern.len > 2 && pattern.ptr[pattern.len - 1] == '>' &&
           !subject_has_wildcard(bytes_make(pattern.ptr, pattern.len - 2));
}

static void prefix_add(struct account *account, struct inlet_target *target)
{
    if (account->prefix_count == BROKER_PREFIXES_MAX)
        return;
    struct overlap_count overlaps = {.broker = account->broker, .pattern = target->pattern};
    trie_each(account->trie, count_overlap, &overlaps);
    target->is_prefix = true;
    target->overlap_count = overlaps.count;
    account->prefixes[account->prefix_count++] = target;
    set_first_bytes(account);
}

static void prefix_remove(struct account *account, struct inlet_target *target)
{
    if (!target->is_prefix)
        return;
    target->is_prefix = false;
    uint32_t at = 0;
    while (account->prefixes[at] != target)
        at++;
    account->prefixes[at] = account->prefixes[--account->prefix_count];
    set_first_bytes(account);
}

static void set_first_bytes(struct account *account)
{
    memset(account->prefix_first_bytes, 0, sizeof(account->prefix_first_bytes));
    for (uint32_t i = 0; i < account->prefix_count; i++) {
        uint8_t first = (uint8_t)account->prefixes[i]->pattern.ptr[0];
        account->prefix_first_bytes[first >> 6] |= 1ULL << (first & 63);
    }
}

static bool count_overlap(void *context, struct trie_entry *entry)
{
    struct overlap_count *overlaps = context;
    char *scratch = overlaps->broker->scratch;
    struct bytes pattern = bytes_make(scratch, trie_entry_pattern(entry, scratch, SUBJECT_LEN_MAX));
    overlaps->count += subject_overlap(overlaps->pattern, pattern);
    return true;
}
