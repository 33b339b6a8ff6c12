// SPDX-License-Identifier: Apache-2.0
// A map by subject, and the entries in the order of their messages: since all live equally long, what has expired stands in front.
#include "auth/replies.h"

#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/must.h"

struct reply {
    struct list link; // list link: replies.oldest_first
    uint64_t since_ms;
    int32_t left;         // answers; AUTH_UNLIMITED
    struct bytes subject; // of text
    char text[];
};

struct replies {
    int32_t response_max;
    uint64_t ttl_ms; // UINT64_MAX: for ever
    struct map by_subject;
    size_t text_bytes; // of all subjects
    struct list oldest_first;
};

static void forget(struct replies *replies, struct reply *reply);
static void forget_expired(struct replies *replies, uint64_t now_ms);
static bool is_expired(const struct replies *replies, const struct reply *reply, uint64_t now_ms);
static void make_room(struct replies *replies, size_t len);
static struct reply *oldest(const struct replies *replies);

struct replies *replies_new(int32_t response_max, int64_t response_ttl_ns, uint64_t hash_seed)
{
    struct replies *replies = mem_alloc(sizeof(*replies));
    replies->text_bytes = 0;
    replies->response_max = response_max;
    replies->ttl_ms = response_ttl_ns < 0 ? UINT64_MAX : (uint64_t)response_ttl_ns / 1000000;
    map_init_seeded(&replies->by_subject, REPLIES_MAX, hash_seed);
    list_init(&replies->oldest_first);
    return replies;
}

void replies_free(struct replies *replies)
{
    if (!replies)
        return;
    while (oldest(replies))
        forget(replies, oldest(replies));
    map_deinit(&replies->by_subject);
    mem_free(replies);
}

void replies_add(struct replies *replies, struct bytes subject, uint64_t now_ms)
{
    struct reply *reply = map_find(&replies->by_subject, subject);
    if (reply) {
        list_remove(&reply->link);
    } else {
        if (subject.len > REPLIES_BYTES_MAX)
            return;
        forget_expired(replies, now_ms);
        make_room(replies, subject.len);
        reply = mem_alloc(sizeof(*reply) + subject.len);
        memcpy(reply->text, subject.ptr, subject.len);
        reply->subject = bytes_make(reply->text, subject.len);
        list_init(&reply->link);
        int error = map_add(&replies->by_subject, reply->subject, reply);
        must(error == 0);
        replies->text_bytes += subject.len;
    }
    reply->since_ms = now_ms;
    reply->left = replies->response_max;
    list_push_back(&replies->oldest_first, &reply->link);
}

bool replies_take(struct replies *replies, struct bytes subject, uint64_t now_ms)
{
    struct reply *reply = map_find(&replies->by_subject, subject);
    if (!reply)
        return false;
    if (is_expired(replies, reply, now_ms)) {
        forget(replies, reply);
        return false;
    }
    if (reply->left != AUTH_UNLIMITED && --reply->left == 0)
        forget(replies, reply);
    return true;
}

size_t replies_count(const struct replies *replies)
{
    return map_count(&replies->by_subject);
}

static void forget(struct replies *replies, struct reply *reply)
{
    must(map_remove(&replies->by_subject, reply->subject) == reply);
    list_remove(&reply->link);
    replies->text_bytes -= reply->subject.len;
    mem_free(reply);
}

static void forget_expired(struct replies *replies, uint64_t now_ms)
{
    struct reply *reply;
    while ((reply = oldest(replies)) && is_expired(replies, reply, now_ms))
        forget(replies, reply);
}

static void make_room(struct replies *replies, size_t len)
{
    while (map_count(&replies->by_subject) == REPLIES_MAX || replies->text_bytes + len > REPLIES_BYTES_MAX)
        forget(replies, oldest(replies));
}

static bool is_expired(const struct replies *replies, const struct reply *reply, uint64_t now_ms)
{
    return replies->ttl_ms != UINT64_MAX && now_ms - reply->since_ms > replies->ttl_ms;
}

static struct reply *oldest(const struct replies *replies)
{
    struct list *link = list_first(&replies->oldest_first);
    return link ? container_of(link, struct reply, link) : NULL;
}
