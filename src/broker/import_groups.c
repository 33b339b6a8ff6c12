// SPDX-License-Identifier: Apache-2.0
// See import_groups.h.
#include "broker/import_groups.h"

#include "broker/import.h"
#include "subject/transform.h"

// Where members are: the account of the message itself, and each that imports it.
struct place {
    struct account *account;        // borrowed
    const struct trie_match *match; // pinned, but the first
    struct bytes subject;           // under which it is there
    char *text;                     // owned; NULL: the message's own
    bool is_import;
};

// One name.
struct shared_group {
    struct bytes queue; // borrowed from a match
    uint32_t places;
    uint64_t members;
};

struct import_groups {
    struct place *places; // owned
    uint32_t place_count;
    struct map names; // struct shared_group by queue; owned
};

static uint32_t count_streams(const struct trie_match *match);
static bool is_stream(const struct trie_entry *entry);
static void add_place(struct import_groups *groups, struct import_target *import, struct bytes subject);
static void count_members(struct import_groups *groups, const struct place *place);
static const struct trie_group *find_group(const struct place *place, struct bytes queue);
static size_t deliver_group(struct import_groups *groups, const struct shared_group *group,
                            const struct broker_message *message);
static bool try_place(const struct place *place, struct bytes queue, const struct broker_message *message);
static void free_groups(struct import_groups *groups);

struct import_groups *import_groups_find(struct account *account, const struct broker_message *message,
                                         const struct trie_match *match)
{
    uint32_t streams = count_streams(match);
    if (streams == 0 || (streams == 1 && match->group_count == 0) || message->hops >= IMPORT_HOPS_MAX)
        return NULL;
    struct import_groups *groups = mem_alloc_zero(sizeof(*groups));
    map_init(&groups->names, INT32_MAX);
    groups->places = mem_alloc_zero((streams + 1) * sizeof(*groups->places));
    groups->places[groups->place_count++] =
        (struct place){.account = account, .match = match, .subject = message->subject};
    for (uint32_t i = 0; i < match->count; i++) {
        if (is_stream(match->entries[i]))
            add_place(groups, container_of(match->entries[i], struct import_target, target.entry), message->subject);
    }
    for (uint32_t i = 0; i < groups->place_count; i++)
        count_members(groups, &groups->places[i]);
    size_t pos = 0;
    const struct shared_group *group;
    while ((group = map_next(&groups->names, &pos, NULL))) {
        if (group->places > 1)
            return groups;
    }
    free_groups(groups);
    return NULL;
}

bool import_groups_have(const struct import_groups *groups, struct bytes queue)
{
    const struct shared_group *group = map_find(&groups->names, queue);
    return group && group->places > 1;
}

size_t import_groups_deliver(struct import_groups *groups, const struct broker_message *message)
{
    size_t count = 0, pos = 0;
    const struct shared_group *group;
    while ((group = map_next(&groups->names, &pos, NULL))) {
        if (group->places > 1)
            count += deliver_group(groups, group, message);
    }
    free_groups(groups);
    return count;
}

static uint32_t count_streams(const struct trie_match *match)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < match->count; i++)
        count += is_stream(match->entries[i]);
    return count;
}

static bool is_stream(const struct trie_entry *entry)
{
    const struct target *target = container_of(entry, struct target, entry);
    return target->kind == TARGET_IMPORT && !target->dead &&
           !container_of(target, struct import_target, target)->is_service;
}

static void add_place(struct import_groups *groups, struct import_target *import, struct bytes subject)
{
    struct place place = {.account = import->importer, .subject = subject, .is_import = true};
    if (!transform_is_identity(import->transform)) {
        size_t len = transform_apply(import->transform, subject, NULL, 0);
        if (len == 0)
            return;
        place.text = mem_alloc(len);
        transform_apply(import->transform, subject, place.text, len);
        place.subject = bytes_make(place.text, len);
    }
    place.match = trie_match_find(import->importer->trie, place.subject);
    groups->places[groups->place_count++] = place;
}

static void count_members(struct import_groups *groups, const struct place *place)
{
    for (uint32_t i = 0; i < place->match->group_count; i++) {
        const struct trie_group *one = &place->match->groups[i];
        struct shared_group *group = map_find(&groups->names, one->queue);
        if (!group) {
            group = mem_alloc_zero(sizeof(*group));
            group->queue = one->queue;
            int error = map_add(&groups->names, group->queue, group);
            must(error == 0);
        }
        group->places++;
        group->members += one->count;
    }
}

static const struct trie_group *find_group(const struct place *place, struct bytes queue)
{
    for (uint32_t i = 0; i < place->match->group_count; i++) {
        if (bytes_equal(place->match->groups[i].queue, queue))
            return &place->match->groups[i];
    }
    return NULL;
}

// Every member with the same chance; if nobody there takes it (they are leaving), the other places are asked.
static size_t deliver_group(struct import_groups *groups, const struct shared_group *group,
                            const struct broker_message *message)
{
    uint64_t drawn = prng_below(&groups->places[0].account->broker->prng, group->members);
    uint32_t first = 0;
    for (; first + 1 < groups->place_count; first++) {
        const struct trie_group *one = find_group(&groups->places[first], group->queue);
        if (one && drawn < one->count)
            break;
        drawn -= one ? one->count : 0;
    }
    for (uint32_t i = 0; i < groups->place_count; i++) {
        if (try_place(&groups->places[(first + i) % groups->place_count], group->queue, message))
            return 1;
    }
    return 0;
}

static bool try_place(const struct place *place, struct bytes queue, const struct broker_message *message)
{
    const struct trie_group *group = find_group(place, queue);
    if (!group)
        return false;
    struct broker_message next = *message;
    next.subject = place->subject;
    next.groups = NULL;
    next.skips_imports = place->is_import;
    next.hops += place->is_import;
    return broker_route_group(place->account, &next, group) > 0;
}

static void free_groups(struct import_groups *groups)
{
    size_t pos = 0;
    struct shared_group *group;
    while ((group = map_next(&groups->names, &pos, NULL)))
        mem_free(group);
    map_deinit(&groups->names);
    for (uint32_t i = 0; i < groups->place_count; i++) {
        if (groups->places[i].is_import)
            trie_match_release(groups->places[i].account->trie, groups->places[i].match);
        mem_free(groups->places[i].text);
    }
    mem_free(groups->places);
    mem_free(groups);
}
