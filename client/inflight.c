// SPDX-License-Identifier: Apache-2.0
#include "client/inflight.h"

#include <stdlib.h>

static uint32_t hash_of(struct weir_bytes id);
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
    capacity = entry->capacity;
    memset(entry, 0, sizeof(*entry));
    entry->capacity = capacity;
    atomic_init(&entry->references, 1);
    entry->hash = hash_of(publish->id);
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

void weir_inflight_entry_ref(struct weir_inflight_entry *entry)
{
    atomic_fetch_add(&entry->references, 1);
}

bool weir_inflight_entry_unref(struct weir_inflight_entry *entry)
{
    return atomic_fetch_sub(&entry->references, 1) == 1;
}

void weir_inflight_add(struct weir_inflight *inflight, struct weir_inflight_entry *entry)
{
    struct weir_inflight_entry **link = bucket_of(inflight, entry->hash);
    while (*link) // the older ones of the same id come first
        link = &(*link)->same_bucket;
    *link = entry;
    entry->serial = ++inflight->serials;
    entry->previous = inflight->last;
    *(inflight->last ? &inflight->last->next : &inflight->first) = entry;
    inflight->last = entry;
    inflight->count++;
}

struct weir_inflight_entry *weir_inflight_take(struct weir_inflight *inflight, struct weir_bytes id)
{
    uint32_t hash = hash_of(id);
    struct weir_inflight_entry *entry = *bucket_of(inflight, hash);
    while (entry && !(entry->hash == hash && entry->id_len == id.len && memcmp(entry->id, id.ptr, id.len) == 0))
        entry = entry->same_bucket;
    if (entry)
        weir_inflight_remove(inflight, entry);
    return entry;
}

bool weir_inflight_has(const struct weir_inflight *inflight, const struct weir_inflight_entry *entry)
{
    const struct weir_inflight_entry *other = inflight->buckets[entry->hash & (inflight->bucket_count - 1)];
    while (other && other != entry)
        other = other->same_bucket;
    return other != NULL;
}

void weir_inflight_remove(struct weir_inflight *inflight, struct weir_inflight_entry *entry)
{
    struct weir_inflight_entry **link = bucket_of(inflight, entry->hash);
    while (*link != entry)
        link = &(*link)->same_bucket;
    *link = entry->same_bucket;
    *(entry->previous ? &entry->previous->next : &inflight->first) = entry->next;
    *(entry->next ? &entry->next->previous : &inflight->last) = entry->previous;
    entry->previous = entry->next = entry->same_bucket = NULL;
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

// FNV-1a: ids are short, and whoever chooses them is the program itself.
static uint32_t hash_of(struct weir_bytes id)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < id.len; i++)
        hash = (hash ^ (unsigned char)id.ptr[i]) * 16777619U;
    return hash ^ hash >> 15;
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
