// SPDX-License-Identifier: Apache-2.0
// Lists of rules, and what was found out about subjects lately.
//
// A short list is walked; a long one is a trie. A cache slot belongs to one hash value and is overwritten by the next subject that
// comes to it; it keeps its memory, so that in the steady state nothing is allocated. The subject itself is compared: two
// subjects with one hash must not borrow each other's permissions.
#include "auth/permit.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/must.h"
#include "subject/subject.h"
#include "subject/trie.h"

#define SLOTS          256
#define SLOT_TEXT_MAX  256 // longer subjects are not remembered
#define SLOT_TEXT_STEP 32
#define WALKED_RULES   8

struct slot {
    char *text; // owned
    uint16_t len;
    uint16_t cap;
    bool allowed;
};

// Of one question.
struct cache {
    struct slot *slots; // owned; NULL: never asked
    struct slot *last;  // borrowed from slots; NULL: none
};

// Rules without queue, asked whether a literal subject falls under one of them.
struct ruleset {
    const struct auth_rules *rules; // borrowed from the permissions
    struct trie *trie;              // owned; NULL: walked
    struct trie_entry *entries;     // owned: of the trie
};

struct permit {
    uint32_t refs;
    struct auth_config *config; // owned reference
    const struct auth_permissions *permissions;
    uint64_t hash_seed;
    struct ruleset publish_allow, publish_deny, subscribe_deny;
    struct cache publish, deliver;
};

static void ruleset_init(struct ruleset *list, const struct auth_rules *rules, uint64_t hash_seed);
static void ruleset_deinit(struct ruleset *list);
static bool ruleset_has(const struct ruleset *list, struct bytes subject);
static bool may_publish(const struct permit *permit, struct bytes subject);
static struct slot *cache_slot(struct cache *cache, uint64_t hash_seed, struct bytes subject, bool *ret_hit);
static void cache_deinit(struct cache *cache);
static void slot_set(struct slot *slot, struct bytes subject, bool allowed);
static bool rules_cover(const struct auth_rules *rules, struct bytes pattern, struct bytes queue);
static bool queue_fits(struct bytes rule, struct bytes queue);
static bool is_well_formed(struct bytes subject);

struct permit *permit_new(struct auth_config *config, const struct auth_permissions *permissions, uint64_t hash_seed)
{
    struct permit *permit = mem_alloc_zero(sizeof(*permit));
    permit->refs = 1;
    permit->config = auth_config_ref(config);
    permit->permissions = permissions;
    permit->hash_seed = hash_seed;
    ruleset_init(&permit->publish_allow, &permissions->publish_allow, hash_seed);
    ruleset_init(&permit->publish_deny, &permissions->publish_deny, hash_seed);
    ruleset_init(&permit->subscribe_deny, &permissions->subscribe_deny, hash_seed);
    return permit;
}

struct permit *permit_ref(struct permit *permit)
{
    permit->refs++;
    return permit;
}

void permit_unref(struct permit *permit)
{
    if (!permit)
        return;
    must(permit->refs > 0);
    if (--permit->refs > 0)
        return;
    ruleset_deinit(&permit->publish_allow);
    ruleset_deinit(&permit->publish_deny);
    ruleset_deinit(&permit->subscribe_deny);
    cache_deinit(&permit->publish);
    cache_deinit(&permit->deliver);
    auth_config_unref(permit->config);
    mem_free(permit);
}

bool permit_is_shared(const struct permit *permit)
{
    return permit->refs > 1;
}

const struct auth_permissions *permit_permissions(const struct permit *permit)
{
    return permit->permissions;
}

bool permit_publish(struct permit *permit, struct bytes subject)
{
    bool hit;
    struct slot *slot = cache_slot(&permit->publish, permit->hash_seed, subject, &hit);
    if (hit)
        return slot->allowed;
    bool allowed = may_publish(permit, subject);
    if (slot)
        slot_set(slot, subject, allowed);
    return allowed;
}

bool permit_names(const struct auth_permissions *permissions, struct bytes subject)
{
    bool named = false;
    if (!permissions || !is_well_formed(subject))
        return false;
    for (uint32_t i = 0; i < permissions->publish_deny.count; i++)
        if (subject_match(permissions->publish_deny.items[i].subject, subject))
            return false;
    for (uint32_t i = 0; i < permissions->publish_allow.count && !named; i++) {
        struct bytes rule = permissions->publish_allow.items[i].subject;
        named = subject_names_first(rule, subject) && subject_match(rule, subject);
    }
    return named;
}

bool permit_subscribe(const struct permit *permit, struct bytes pattern, struct bytes queue)
{
    const struct auth_permissions *permissions = permit->permissions;
    bool allowed = true;
    if (!subject_is_valid_subscribe(pattern))
        return !permissions->subscribe_restricted;
    if (permissions->subscribe_restricted)
        allowed = rules_cover(&permissions->subscribe_allow, pattern, queue);
    if (allowed && permissions->subscribe_deny.count > 0)
        allowed = !rules_cover(&permissions->subscribe_deny, pattern, queue);
    return allowed;
}

bool permit_filters(const struct permit *permit, struct bytes pattern)
{
    const struct auth_rules *deny = &permit->permissions->subscribe_deny;
    if (deny->count == 0 || !subject_has_wildcard(pattern))
        return false;
    for (uint32_t i = 0; i < deny->count; i++)
        if (deny->items[i].queue.len == 0 && subject_overlap(deny->items[i].subject, pattern))
            return true;
    return false;
}

bool permit_deliver(struct permit *permit, struct bytes subject)
{
    bool hit;
    struct slot *slot = cache_slot(&permit->deliver, permit->hash_seed, subject, &hit);
    if (hit)
        return slot->allowed;
    bool allowed = !ruleset_has(&permit->subscribe_deny, subject);
    if (slot)
        slot_set(slot, subject, allowed);
    return allowed;
}

static void ruleset_init(struct ruleset *list, const struct auth_rules *rules, uint64_t hash_seed)
{
    *list = (struct ruleset){.rules = rules};
    if (rules->count <= WALKED_RULES)
        return;
    struct trie_config config = {.hash_seed = hash_seed, .tokens_max = TRIE_TOKENS_LIMIT};
    list->entries = mem_alloc_zero(rules->count * sizeof(*list->entries));
    list->trie = trie_new(&config);
    for (uint32_t i = 0; i < rules->count; i++) {
        if (rules->items[i].queue.len > 0)
            continue;
        int error = trie_insert(list->trie, &list->entries[i], rules->items[i].subject, (struct bytes){0});
        must(error == 0); // the builder has checked it
    }
}

static void ruleset_deinit(struct ruleset *list)
{
    if (list->trie)
        trie_free(list->trie);
    mem_free(list->entries);
}

static bool ruleset_has(const struct ruleset *list, struct bytes subject)
{
    if (list->rules->count == 0 || !is_well_formed(subject))
        return false;
    if (list->trie)
        return trie_has_interest(list->trie, subject);
    for (uint32_t i = 0; i < list->rules->count; i++) {
        const struct auth_rule *rule = &list->rules->items[i];
        if (rule->queue.len == 0 && subject_match(rule->subject, subject))
            return true;
    }
    return false;
}

static bool may_publish(const struct permit *permit, struct bytes subject)
{
    if (permit->permissions->publish_restricted && !ruleset_has(&permit->publish_allow, subject))
        return false;
    return !ruleset_has(&permit->publish_deny, subject);
}

// The subject's slot (*ret_hit: it says what was found before), or NULL: it is too long to be remembered.
static struct slot *cache_slot(struct cache *cache, uint64_t hash_seed, struct bytes subject, bool *ret_hit)
{
    struct slot *last = cache->last;
    *ret_hit = last && bytes_equal(bytes_make(last->text, last->len), subject);
    if (*ret_hit)
        return last;
    if (subject.len > SLOT_TEXT_MAX || subject.len == 0)
        return NULL;
    if (!cache->slots)
        cache->slots = mem_alloc_zero(SLOTS * sizeof(*cache->slots));
    struct slot *slot = &cache->slots[hash_bytes(subject, hash_seed) % SLOTS];
    *ret_hit = slot->len > 0 && bytes_equal(bytes_make(slot->text, slot->len), subject);
    cache->last = slot;
    return slot;
}

static void cache_deinit(struct cache *cache)
{
    for (size_t i = 0; cache->slots && i < SLOTS; i++)
        mem_free(cache->slots[i].text);
    mem_free(cache->slots);
}

static void slot_set(struct slot *slot, struct bytes subject, bool allowed)
{
    if (subject.len > slot->cap) {
        mem_free(slot->text);
        slot->cap = (uint16_t)((subject.len + SLOT_TEXT_STEP - 1) / SLOT_TEXT_STEP * SLOT_TEXT_STEP);
        slot->text = mem_alloc(slot->cap);
    }
    memcpy(slot->text, subject.ptr, subject.len);
    slot->len = (uint16_t)subject.len;
    slot->allowed = allowed;
}

// As nats-server: where rules for queue groups cover the pattern, they alone speak for members of a group; other rules
// speak for everybody else.
static bool rules_cover(const struct auth_rules *rules, struct bytes pattern, struct bytes queue)
{
    bool plain = false, queued = false, fits = false;
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct auth_rule *rule = &rules->items[i];
        if (rule->queue.len && (queue.len == 0 || fits))
            continue;
        if (!rule->queue.len && plain)
            continue;
        if (!subject_covers(rule->subject, pattern))
            continue;
        if (rule->queue.len) {
            queued = true;
            fits = queue_fits(rule->queue, queue);
        } else {
            plain = true;
        }
    }
    return queued ? fits : plain;
}

static bool queue_fits(struct bytes rule, struct bytes queue)
{
    return bytes_equal(rule, queue) ||
           (subject_has_wildcard(rule) && subject_is_valid_subscribe(queue) && subject_covers(rule, queue));
}

// No empty token: nothing falls under a rule that could not be sent anywhere.
static bool is_well_formed(struct bytes subject)
{
    char before = '.';
    for (size_t i = 0; i < subject.len; i++) {
        if (subject.ptr[i] == '.' && before == '.')
            return false;
        before = subject.ptr[i];
    }
    return before != '.';
}
