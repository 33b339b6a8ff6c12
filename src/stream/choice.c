// SPDX-License-Identifier: Apache-2.0
// Members by load. A member alone in its bucket, whose next bucket is not the one it goes to, takes its bucket along.
#include "stream/choice.h"

#include "base/must.h"

static struct choice_bucket *bucket_of(struct list *link);
static bool is_alone(const struct choice_bucket *bucket);
static void leave(struct choice_entry *entry, struct pool *buckets);
static void enter(struct choice_entry *entry, struct choice *choice, struct list *near, uint64_t load,
                  struct pool *buckets);
static bool is_between(const struct choice *choice, const struct choice_bucket *bucket, uint64_t load);

void choice_init(struct choice *choice)
{
    list_init(&choice->buckets);
}

void choice_place(struct choice_entry *entry, struct choice *choice, uint64_t load, struct pool *buckets)
{
    struct choice_bucket *bucket = entry->bucket;
    if (bucket && choice && bucket->choice != choice && is_alone(bucket) && list_empty(&choice->buckets)) {
        list_remove(&bucket->link); // as an only member's is each time
        list_push_back(&choice->buckets, &bucket->link);
        bucket->load = load;
        bucket->choice = choice;
        return;
    }
    struct list *near = choice ? choice->buckets.prev : NULL;
    if (bucket && bucket->choice == choice) {
        if (bucket->load == load)
            return;
        if (is_alone(bucket) && is_between(choice, bucket, load)) {
            bucket->load = load;
            return;
        }
        near = load > bucket->load ? bucket->link.next : bucket->link.prev;
        if (near == &choice->buckets)
            near = choice->buckets.prev;
        if (near == &bucket->link && is_alone(bucket))
            near = &choice->buckets;
    }
    if (bucket)
        leave(entry, buckets);
    if (choice)
        enter(entry, choice, near, load, buckets);
}

struct choice_entry *choice_first(const struct choice *choice, const struct choice_entry * not )
{
    list_foreach(link, &choice->buckets)
    {
        list_foreach(entry_link, &bucket_of(link)->entries)
        {
            struct choice_entry *entry = container_of(entry_link, struct choice_entry, link);
            if (entry != not )
                return entry;
        }
    }
    return NULL;
}

struct choice_entry *choice_after(const struct choice_entry *entry)
{
    struct list *next = entry->link.next;
    return next == &entry->bucket->entries ? NULL : container_of(next, struct choice_entry, link);
}

void choice_check(const struct choice *choice)
{
    uint64_t last = 0;
    list_foreach(link, &choice->buckets)
    {
        struct choice_bucket *bucket = bucket_of(link);
        must(bucket->choice == choice && bucket->load >= last && !list_empty(&bucket->entries));
        last = bucket->load + 1;
        list_foreach(entry_link, &bucket->entries)
            must(container_of(entry_link, struct choice_entry, link)->bucket == bucket);
    }
}

static struct choice_bucket *bucket_of(struct list *link)
{
    return container_of(link, struct choice_bucket, link);
}

// Has it one entry?
static bool is_alone(const struct choice_bucket *bucket)
{
    return bucket->entries.next == bucket->entries.prev;
}

static void leave(struct choice_entry *entry, struct pool *buckets)
{
    struct choice_bucket *bucket = entry->bucket;
    list_remove(&entry->link);
    entry->bucket = NULL;
    if (list_empty(&bucket->entries)) {
        list_remove(&bucket->link);
        pool_put(buckets, bucket);
    }
}

// `near` is a bucket's link, or the head, from which the right place is looked for in both directions.
static void enter(struct choice_entry *entry, struct choice *choice, struct list *near, uint64_t load,
                  struct pool *buckets)
{
    struct list *head = &choice->buckets, *after = near;
    while (after != head && bucket_of(after)->load > load)
        after = after->prev;
    while (after->next != head && bucket_of(after->next)->load <= load)
        after = after->next;
    if (after == head || bucket_of(after)->load != load) {
        struct choice_bucket *bucket = pool_get(buckets);
        must(bucket);
        list_init(&bucket->entries);
        bucket->load = load;
        bucket->choice = choice;
        list_push_front(after, &bucket->link);
        after = &bucket->link;
    }
    entry->bucket = bucket_of(after);
    list_push_back(&entry->bucket->entries, &entry->link);
}

// Does the bucket stay in order with this load, and alone?
static bool is_between(const struct choice *choice, const struct choice_bucket *bucket, uint64_t load)
{
    const struct list *head = &choice->buckets;
    return (bucket->link.prev == head || bucket_of(bucket->link.prev)->load < load) &&
           (bucket->link.next == head || bucket_of(bucket->link.next)->load > load);
}
