// SPDX-License-Identifier: Apache-2.0
#include "client/inflight.h"

#include <stdlib.h>

static void hash_all(struct weir_inflight *inflight);
static void leave_bucket(struct weir_inflight *inflight, struct weir_inflight_entry *entry);
static bool has_id(const struct weir_inflight_entry *entry, struct weir_bytes id);
static uint32_t hash_of(struct weir_bytes id);
static uint64_t word_at(const char *from);
static struct weir_inflight_entry **bucket_of(struct weir_inflight *inflight, uint32_t hash);
static char *put_text(char *to, struct weir_bytes text);

int weir_inflight_init(struct weir_inflight *inflight, size_t max)
{
    *inflight = (struct weir_inflight){.bucket_count = 64};
    while (inflight->bucket_count < max && inflight->bucket_count < 1U << 20)
        inflight->bucket_count *= 2;
    inflight->buckets = calloc(inflight->bucket_count, sizeof(inflight->buckets[0]));
    return inflight->buckets ? 0 : WEIR_ERR_MEMORY;
}

void weir_inflight_deinit(struct weir_inflight *inflight)
{
    free(inflight->buckets);
    inflight->buckets = NULL;
}

struct weir_inflight_entry *weir_inflight_entry_new(struct weir_inflight_entry *spare, const char *prefix,
                                                    const struct weir_envelope_publish *publish)
{
    struct weir_bytes head = {prefix, strlen(prefix)};
    size_t message_len = weir_envelope_publish_size(publish);
    size_t size = publish->id.len + head.len + publish->channel.len + 3 + message_len;
    size_t capacity = size < WEIR_INFLIGHT_SMALL ? WEIR_INFLIGHT_SMALL : size;
    struct weir_inflight_entry *entry = spare;
    if (!spare || spare->capacity < size) {
        free(spare);
        if (!(entry = malloc(sizeof(*entry) + capacity)))
            return NULL;
        entry->capacity = capacity;
    }
    entry->previous = entry->next = entry->same_bucket = NULL;
    entry->serial = entry->epoch = 0;
    entry->hash = 0;
    entry->hashed = false;
    entry->id_len = publish->id.len;
    char *to = entry->memory;
    entry->id = to;
    to = put_text(to, publish->id);
    entry->subject = to;
    to = put_text(to, head);
    to[-1] = '.';
    to = put_text(to, publish->channel);
    entry->message = (struct weir_bytes){to, message_len};
    weir_envelope_publish_encode(to, publish);
    return entry;
}

void weir_inflight_add(struct weir_inflight *inflight, struct weir_inflight_entry *entry)
{
    entry->serial = ++inflight->serials;
    entry->previous = inflight->last;
    *(inflight->last ? &inflight->last->next : &inflight->first) = entry;
    inflight->last = entry;
    inflight->count++;
    if (!inflight->unhashed)
        inflight->unhashed = entry;
}

struct weir_inflight_entry *weir_inflight_take(struct weir_inflight *inflight, struct weir_bytes id)
{
    struct weir_inflight_entry *entry = inflight->first;
    if (entry && !has_id(entry, id)) {
        hash_all(inflight);
        uint32_t hash = hash_of(id);
        entry = *bucket_of(inflight, hash);
        while (entry && !(entry->hash == hash && has_id(entry, id)))
            entry = entry->same_bucket;
    }
    if (entry)
        weir_inflight_remove(inflight, entry);
    return entry;
}

void weir_inflight_remove(struct weir_inflight *inflight, struct weir_inflight_entry *entry)
{
    if (entry->hashed)
        leave_bucket(inflight, entry);
    else if (inflight->unhashed == entry)
        inflight->unhashed = entry->next;
    *(entry->previous ? &entry->previous->next : &inflight->first) = entry->next;
    *(entry->next ? &entry->next->previous : &inflight->last) = entry->previous;
    entry->previous = entry->next = NULL;
    inflight->count--;
}

struct weir_inflight_entry *weir_inflight_expire(struct weir_inflight *inflight, int64_t now_ms, int64_t *ret_next_ms)
{
    struct weir_inflight_entry *expired = NULL, **end = &expired;
    int64_t earliest_ms = INT64_MAX;
    for (struct weir_inflight_entry *entry = inflight->first, *next; entry; entry = next) {
        next = entry->next;
        if (entry->deadline_ms <= now_ms) {
            weir_inflight_remove(inflight, entry);
            *end = entry;
            end = &entry->next;
        } else if (entry->deadline_ms < earliest_ms) {
            earliest_ms = entry->deadline_ms;
        }
    }
    *ret_next_ms = earliest_ms;
    return expired;
}

static void hash_all(struct weir_inflight *inflight)
{
    for (struct weir_inflight_entry *entry = inflight->unhashed; entry; entry = entry->next) {
        entry->hash = hash_of((struct weir_bytes){entry->id, entry->id_len});
        struct weir_inflight_entry **link = bucket_of(inflight, entry->hash);
        while (*link) // the older ones of the same id come first
            link = &(*link)->same_bucket;
        *link = entry;
        entry->same_bucket = NULL;
        entry->hashed = true;
    }
    inflight->unhashed = NULL;
}

static void leave_bucket(struct weir_inflight *inflight, struct weir_inflight_entry *entry)
{
    struct weir_inflight_entry **link = bucket_of(inflight, entry->hash);
    while (*link != entry)
        link = &(*link)->same_bucket;
    *link = entry->same_bucket;
    entry->same_bucket = NULL;
    entry->hashed = false;
}

static bool has_id(const struct weir_inflight_entry *entry, struct weir_bytes id)
{
    return entry->id_len == id.len && memcmp(entry->id, id.ptr, id.len) == 0;
}

// Eight bytes at a time; whoever chooses the ids is the program itself.
static uint32_t hash_of(struct weir_bytes id)
{
    const uint64_t factor = 0x9e3779b97f4a7c15U;
    uint64_t hash = id.len;
    char rest[sizeof(hash)] = {0};
    for (; id.len >= sizeof(hash); id.ptr += sizeof(hash), id.len -= sizeof(hash)) {
        hash = (hash ^ word_at(id.ptr)) * factor;
        hash ^= hash >> 32;
    }
    if (id.len > 0)
        memcpy(rest, id.ptr, id.len);
    hash = (hash ^ word_at(rest)) * factor;
    return (uint32_t)(hash >> 32 ^ hash);
}

static uint64_t word_at(const char *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

static struct weir_inflight_entry **bucket_of(struct weir_inflight *inflight, uint32_t hash)
{
    return &inflight->buckets[hash & (inflight->bucket_count - 1)];
}

static char *put_text(char *to, struct weir_bytes text)
{
    memcpy(to, text.ptr, text.len);
    to[text.len] = '\0';
    return to + text.len + 1;
}
