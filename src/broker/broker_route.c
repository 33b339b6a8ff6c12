// SPDX-License-Identifier: Apache-2.0
// From a message to everybody who wants it (CO-P08, CO-P09).
//
// Inlets answer by publishing, from within the delivery to them: routing nests, up to BROKER_DEPTH_MAX; what is deeper
// is copied and waits for the end of the turn, so that inlets that answer each other for ever cost time but no stack. That is only
// for messages from inside the process: one on its way through accounts nests as deep as its hops take it, because it has a publisher,
// who may go before the turn ends.
// tidy: prefix account
#include "base/prefetch.h"
#include "broker/broker_internal.h"
#include "broker/connection.h"
#include "broker/import.h"
#include "broker/import_groups.h"
#include "broker/remote_internal.h"
#include "broker/response.h"
#include "broker/subscription.h"

struct deferred_message {
    struct list link;        // list link: broker.deferred
    struct account *account; // borrowed
    size_t size_bytes;
    struct bytes subject;
    struct bytes reply;
    struct bytes header;
    struct bytes payload;
    char data[];
};

static size_t route_among(struct account *account, struct broker_message *message);
static size_t route_match(struct account *account, struct broker_message *message, const struct trie_match *match);
static size_t route_rest(struct account *account, struct broker_message *message, const struct trie_match *match);
static size_t route_shared(struct account *account, struct broker_message *message, const struct trie_match *match);
static size_t route_group(struct broker *broker, struct broker_message *message, const struct trie_group *group);
static size_t route_hop_match(struct account *account, struct broker_message *message, const struct trie_match *match,
                              struct bytes queue);
static size_t route_hop_group(struct broker *broker, struct broker_message *message, const struct trie_group *group);
static size_t total_len(const struct bytes *parts, size_t count);
static bool deliver(struct trie_entry *entry, struct broker_message *message);
static bool deliver_inside(struct target *target, struct broker_message *message);
static bool deliver_remote(struct remote_target *target, struct broker_message *message);
static inline void finish(struct broker *broker, struct broker_message *message);
static void free_target(struct target *target);
static size_t defer(struct account *account, const struct broker_message *message);
static char *defer_bytes(char *at, struct bytes bytes, struct bytes *ret_copy);

size_t broker_publish(struct broker *broker, struct bytes subject, struct bytes reply, struct bytes headers,
                      const struct bytes *parts, size_t part_count)
{
    return account_publish(broker->global, subject, reply, headers, parts, part_count);
}

size_t account_publish(struct account *account, struct bytes subject, struct bytes reply, struct bytes headers,
                       const struct bytes *parts, size_t part_count)
{
    struct broker_message message = {
        .subject = subject,
        .reply = reply,
        .header = headers,
        .parts = parts,
        .part_count = part_count,
        .payload_len = total_len(parts, part_count),
    };
    if (account->broker->depth >= BROKER_DEPTH_MAX)
        return defer(account, &message);
    return broker_route(account, &message);
}

// A target that is a connection's here, and the only one, needs nothing that broker_route() does for others: no import, no group, no
// inlet and no other worker would get the message.
size_t broker_publish_along(struct broker *broker, struct broker_path *path, struct bytes subject, struct bytes headers,
                            const struct bytes *parts, size_t part_count)
{
    struct trie_entry *entry = trie_sole_find(broker->global->trie, &path->sole, subject);
    if (!entry || container_of(entry, struct target, entry)->kind != TARGET_SUBSCRIPTION ||
        broker->depth >= BROKER_DEPTH_MAX)
        return broker_publish(broker, subject, (struct bytes){0}, headers, parts, part_count);
    struct broker_message message = {
        .subject = subject,
        .header = headers,
        .parts = parts,
        .part_count = part_count,
        .payload_len = total_len(parts, part_count),
    };
    broker->depth++;
    size_t count = deliver(entry, &message);
    finish(broker, &message);
    return count;
}

void broker_path_ahead(const struct broker_path *path)
{
    prefetch_lines(path->sole.entry, sizeof(struct subscription));
}

size_t broker_route(struct account *account, struct broker_message *message)
{
    struct broker *broker = account->broker;
    size_t count;
    if (broker->remotes && !message->passage)
        return route_among(account, message);
    broker->depth++;
    struct inlet_target *inlet = broker_inlet_find(account, message->subject);
    if (inlet) {
        count = deliver(&inlet->target.entry, message);
    } else {
        const struct trie_match *match = trie_match_find(account->trie, message->subject);
        count = route_match(account, message, match);
        trie_match_release(account->trie, match);
    }
    finish(broker, message);
    return count;
}

size_t broker_forward(struct account *account, struct broker_message *message, enum inlet_standing standing)
{
    message->standing = standing;
    message->block = NULL;
    message->passage = NULL;
    if (account->broker->depth >= BROKER_DEPTH_MAX + IMPORT_HOPS_MAX)
        return 0; // more answers and imports, one behind the other, than a message may pass
    message->hops++;
    return broker_route(account, message);
}

size_t broker_route_hop(struct account *account, struct broker_message *message, struct bytes queue)
{
    struct broker *broker = account->broker;
    size_t count;
    broker->depth++;
    struct inlet_target *inlet = queue.len == 0 ? broker_inlet_find(account, message->subject) : NULL;
    if (inlet) {
        count = deliver(&inlet->target.entry, message);
    } else {
        const struct trie_match *match = trie_match_find(account->trie, message->subject);
        count = route_hop_match(account, message, match, queue);
        trie_match_release(account->trie, match);
    }
    finish(broker, message);
    return count;
}

size_t broker_route_group(struct account *account, struct broker_message *message, const struct trie_group *group)
{
    struct broker *broker = account->broker;
    struct remote_passage passage;
    message->block = NULL;
    message->passage = NULL;
    message->shares_block = false;
    if (broker->remotes)
        remote_passage_begin(&passage, message);
    broker->depth++;
    size_t count = route_group(broker, message, group);
    if (message->passage)
        remote_message_finish(message, count);
    message->passage = NULL;
    finish(broker, message);
    return count;
}

struct outbound_block *broker_message_block(const struct broker *broker, struct broker_message *message)
{
    if (message->block)
        return message->block;
    size_t len = message->header.len + message->payload_len;
    message->block = broker->remotes ? outbound_block_new_shared(len) : outbound_block_new(len);
    char *at = broker_copy(outbound_block_data(message->block), message->header);
    for (size_t i = 0; i < message->part_count; i++)
        at = broker_copy(at, message->parts[i]);
    return message->block;
}

bool broker_route_deferred(struct broker *broker)
{
    for (int i = 0; i < BROKER_DEFERRED_TURN_MAX; i++) {
        struct list *link = list_pop_front(&broker->deferred);
        if (!link)
            return false;
        struct deferred_message *deferred = container_of(link, struct deferred_message, link);
        struct broker_message message = {
            .subject = deferred->subject,
            .reply = deferred->reply,
            .header = deferred->header,
            .parts = &deferred->payload,
            .part_count = 1,
            .payload_len = deferred->payload.len,
        };
        broker->deferred_bytes -= deferred->size_bytes;
        broker_route(deferred->account, &message);
        mem_free(deferred);
    }
    return !list_empty(&broker->deferred);
}

void broker_route_drop_deferred(struct broker *broker)
{
    struct list *link;
    while ((link = list_pop_front(&broker->deferred)))
        mem_free(container_of(link, struct deferred_message, link));
    broker->deferred_bytes = 0;
}

void broker_bury(struct broker *broker, struct target *target)
{
    target->dead = true;
    target->next_dead = broker->dead;
    broker->dead = target;
    broker_reap(broker);
}

void broker_reap(struct broker *broker)
{
    if (broker->depth > 0)
        return;
    while (broker->dead) {
        struct target *target = broker->dead;
        broker->dead = target->next_dead;
        free_target(target);
    }
}

// With other workers a message has more to remember; one that has none pays nothing for it.
static __attribute__((noinline)) size_t route_among(struct account *account, struct broker_message *message)
{
    struct remote_passage passage;
    remote_passage_begin(&passage, message);
    size_t count = broker_route(account, message);
    remote_message_finish(message, count);
    message->passage = NULL;
    return count;
}

static size_t route_match(struct account *account, struct broker_message *message, const struct trie_match *match)
{
    if (account->import_count > 0 && !message->skips_imports && !message->groups) {
        message->groups = import_groups_find(account, message, match);
        if (message->groups)
            return route_shared(account, message, match);
    }
    size_t count = 0;
    message->shares_block = message->payload_len > BROKER_BLOCK_MIN_BYTES && match->count + match->group_count > 1;
    for (uint32_t i = 0; i < match->count; i++)
        count += deliver(match->entries[i], message);
    if (match->group_count > 0 || message->passage)
        count += route_rest(account, message, match);
    return count;
}

// To queue groups and other workers.
static __attribute__((noinline)) size_t route_rest(struct account *account, struct broker_message *message,
                                                   const struct trie_match *match)
{
    size_t count = message->passage ? remote_message_send(account, message) : 0;
    for (uint32_t i = 0; i < match->group_count; i++) {
        if (!message->groups || !import_groups_have(message->groups, match->groups[i].queue))
            count += route_group(account->broker, message, &match->groups[i]);
    }
    return count;
}

// Some groups have members in other accounts as well.
static __attribute__((noinline)) size_t route_shared(struct account *account, struct broker_message *message,
                                                     const struct trie_match *match)
{
    struct import_groups *groups = message->groups;
    size_t count = route_match(account, message, match);
    message->groups = NULL;
    return count + import_groups_deliver(groups, message);
}

static size_t route_group(struct broker *broker, struct broker_message *message, const struct trie_group *group)
{
    if (message->passage)
        message->passage->group = group->queue;
    uint32_t start = group->count > 1 ? (uint32_t)prng_below(&broker->prng, group->count) : 0;
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t at = start + i < group->count ? start + i : start + i - group->count;
        if (deliver(group->entries[at], message))
            return 1;
    }
    return 0;
}

// To who is here; a queue group is passed on to another worker when nobody is.
static size_t route_hop_match(struct account *account, struct broker_message *message, const struct trie_match *match,
                              struct bytes queue)
{
    size_t count = 0;
    for (uint32_t i = 0; i < match->count && queue.len == 0; i++)
        count += deliver(match->entries[i], message);
    for (uint32_t i = 0; i < match->group_count && queue.len > 0; i++) {
        if (!bytes_equal(match->groups[i].queue, queue))
            continue;
        count = route_hop_group(account->broker, message, &match->groups[i]);
        remote_message_finish(message, count);
    }
    return count;
}

static size_t route_hop_group(struct broker *broker, struct broker_message *message, const struct trie_group *group)
{
    // With the name of no group, targets of other workers do not take it: so the members here are asked first, each with the same
    // chance, wherever they are among the others.
    message->passage->group = (struct bytes){0};
    uint32_t own = 0;
    for (uint32_t i = 0; i < group->count; i++)
        own += container_of(group->entries[i], struct target, entry)->kind != TARGET_REMOTE;
    uint32_t skip = own > 1 ? (uint32_t)prng_below(&broker->prng, own) : 0;
    for (uint32_t i = 0, seen = 0; i < 2 * group->count && own > 0; i++) {
        struct trie_entry *entry = group->entries[i % group->count];
        if (container_of(entry, struct target, entry)->kind == TARGET_REMOTE || seen++ < skip)
            continue;
        if (deliver(entry, message))
            return 1;
    }
    return route_group(broker, message, group);
}

static size_t total_len(const struct bytes *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    return len;
}

static bool deliver(struct trie_entry *entry, struct broker_message *message)
{
    struct target *target = container_of(entry, struct target, entry);
    if (target->kind == TARGET_SUBSCRIPTION)
        return subscription_deliver(container_of(target, struct subscription, target), message);
    return deliver_inside(target, message);
}

static bool deliver_inside(struct target *target, struct broker_message *message)
{
    if (target->dead)
        return false;
    if (target->kind == TARGET_REMOTE)
        return deliver_remote(container_of(target, struct remote_target, target), message);
    if (target->kind == TARGET_IMPORT)
        return import_deliver(container_of(target, struct import_target, target), message);
    if (target->kind == TARGET_RESPONSES)
        return response_deliver(container_of(target, struct inlet_target, target), message);
    struct inlet_target *inlet = container_of(target, struct inlet_target, target);
    if (broker_inlet_deliver(inlet, message))
        return true;
    if (message->from)
        connection_pause(message->from, CONNECTION_PAUSE_INLET);
    else if (message->passage)
        remote_message_pause(inlet->account->broker->remotes, message->passage);
    return true;
}

// Plain subscribers of another worker share one copy, which is sent when all of them are known.
static bool deliver_remote(struct remote_target *target, struct broker_message *message)
{
    if (message->passage->group.len > 0)
        return remote_message_send_group(target, message);
    message->passage->workers |= UINT64_C(1) << target->worker;
    return false;
}

static inline void finish(struct broker *broker, struct broker_message *message)
{
    if (message->block)
        outbound_block_unref(message->block);
    broker->depth--;
    if (broker->dead)
        broker_reap(broker);
}

static void free_target(struct target *target)
{
    if (target->kind == TARGET_IMPORT) {
        import_free(container_of(target, struct import_target, target));
        return;
    }
    if (target->kind == TARGET_INLET || target->kind == TARGET_RESPONSES)
        mem_free((void *)container_of(target, struct inlet_target, target)->pattern.ptr);
    mem_free(target);
}

// How many will get it is not known yet; that somebody is interested is. Beyond BROKER_DEFERRED_BYTES_MAX nobody gets it.
static size_t defer(struct account *account, const struct broker_message *message)
{
    if (!broker_inlet_find(account, message->subject) && !trie_has_interest(account->trie, message->subject))
        return 0;
    struct broker *broker = account->broker;
    size_t size = sizeof(struct deferred_message) + message->subject.len + message->reply.len + message->header.len +
                  message->payload_len;
    if (list_empty(&broker->deferred))
        broker->deferred_full = false;
    if (size > BROKER_DEFERRED_BYTES_MAX - broker->deferred_bytes) {
        if (!broker->deferred_full)
            logger_write(broker->options.logger, LOG_WARN,
                         "messages that answer each other wait in %d MiB: more are dropped",
                         BROKER_DEFERRED_BYTES_MAX / (1024 * 1024));
        broker->deferred_full = true;
        return 0;
    }
    struct deferred_message *deferred = mem_alloc(size);
    deferred->account = account;
    deferred->size_bytes = size;
    broker->deferred_bytes += size;
    char *at = deferred->data;
    at = defer_bytes(at, message->subject, &deferred->subject);
    at = defer_bytes(at, message->reply, &deferred->reply);
    at = defer_bytes(at, message->header, &deferred->header);
    deferred->payload = bytes_make(at, message->payload_len);
    for (size_t i = 0; i < message->part_count; i++)
        at = broker_copy(at, message->parts[i]);
    list_push_back(&broker->deferred, &deferred->link);
    return 1;
}

static char *defer_bytes(char *at, struct bytes bytes, struct bytes *ret_copy)
{
    *ret_copy = bytes_make(at, bytes.len);
    return broker_copy(at, bytes);
}
