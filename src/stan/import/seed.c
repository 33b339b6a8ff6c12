// SPDX-License-Identifier: Apache-2.0
// tidy: prefix seed
#include "stan/import/seed.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/memory.h"
#include "base/must.h"
#include "stan/channel.h"
#include "stan/member_data.h"
#include "stan/stan_internal.h"
#include "subject/subject.h"

// What a subscription without a word about it gets, as client libraries have it (ST-L04, ST-L05).
enum { MAX_IN_FLIGHT_DEFAULT = 1024, ACK_WAIT_DEFAULT_S = 30 };

enum kind { KIND_SUBSCRIPTION, KIND_DURABLE, KIND_GROUP, KIND_DURABLE_GROUP };

// A consumer in the making: all subscriptions of one name.
struct plan {
    char name[CHANNEL_NAME_MAX];
    size_t name_len;
    enum kind kind;
    uint64_t last_sent;             // the highest of its subscriptions
    struct import_pending *pending; // owned; grows
    size_t pending_count, pending_capacity;
    struct plan_member *members; // owned; grows
    size_t member_count, member_capacity;
    struct list link;
};

struct plan_member {
    const struct filestore_subscription *subscription;
    const struct filestore_registered *client; // NULL: the subscription has no client (any more)
};

struct plans {
    struct map by_name;
    struct list list; // plan, in the order of the subscriptions
};

struct create_result {
    int error;
    struct consumer *consumer;
};

static void plan_all(struct plans *plans, const struct filestore_clients *clients, const struct filestore_subs *subs,
                     struct seed_counts *counts);
static void plan_add(struct plans *plans, const struct filestore_subscription *subscription,
                     const struct filestore_registered *client);
static void plan_pending(struct plan *plan, const struct seed_channel_state *channel, struct seed_counts *counts);
static void plan_count(const struct plan *plan, struct seed_counts *counts);
static int plan_execute(struct stan *stan, const struct seed_channel_state *channel, struct plan *plan,
                        struct engine_time now);
static int add_member(struct stan *stan, struct consumer *consumer, const struct plan_member *member,
                      struct engine_time now, uint32_t *ret_id);
static void plans_free(struct plans *plans);
static bool names_fit(const struct filestore_sub *sub);
static enum kind kind_of(const struct filestore_sub *sub);
static size_t name_of(const struct filestore_sub *sub, char *to);
static int by_sequence(const void *a, const void *b);
static void created(void *owner, int error, struct consumer *consumer, uint64_t index);

int seed_client(struct stan *stan, struct filestore_registered *registered, struct seed_counts *counts)
{
    const struct filestore_client *client = &registered->client;
    if (!channel_client_id_is_valid(client->id) || !subject_is_valid_publish(client->inbox))
        return ERR_INVALID;
    const struct registry_request request = {
        .id = client->id,
        .inbox = client->inbox,
        .connection_id = client->connection_id,
        .protocol = client->protocol >= 1 ? 1 : 0,
        .ping_interval_s = client->ping_interval_s,
        .ping_max_out = client->ping_max_out,
    };
    registered->number = 1;
    if (stan) {
        struct stan_client *added;
        uint64_t index;
        int error = registry_add(&stan->registry, &request, &added, &index);
        registered->number = error ? 0 : added->number;
        if (error)
            return error;
    }
    counts->clients++;
    return 0;
}

int seed_channel(struct stan *stan, struct bytes name, struct engine_time now, struct stream **ret_stream)
{
    // The grace is needed before a server applies its own: for what it recovers.
    struct channel_limit limit;
    channel_limits_default(&limit);
    const struct stream_config config = {
        .account = 1,
        .name = name,
        .disconnect_grace_ns = limit.disconnect_grace_ns,
    };
    uint64_t index;
    return engine_stream_create(stan->engine, &config, now, ret_stream, &index);
}

int seed_subscriptions(struct stan *stan, const struct seed_channel_state *channel,
                       const struct filestore_clients *clients, const struct filestore_subs *subs,
                       struct engine_time now, struct seed_counts *counts)
{
    struct plans plans;
    map_init(&plans.by_name, SIZE_MAX);
    list_init(&plans.list);
    plan_all(&plans, clients, subs, counts);
    int error = 0;
    list_foreach(link, &plans.list)
    {
        struct plan *plan = container_of(link, struct plan, link);
        plan_pending(plan, channel, counts);
        if (stan && !error)
            error = plan_execute(stan, channel, plan, now);
        if (!error)
            plan_count(plan, counts);
    }
    plans_free(&plans);
    return error;
}

static void plan_all(struct plans *plans, const struct filestore_clients *clients, const struct filestore_subs *subs,
                     struct seed_counts *counts)
{
    list_foreach(link, &subs->list)
    {
        const struct filestore_subscription *subscription = container_of(link, struct filestore_subscription, link);
        const struct filestore_sub *state = &subscription->state;
        struct filestore_registered *client = filestore_clients_find(clients, state->client_id);
        if (client && (client->number == 0 || state->is_closed || !subject_is_valid_publish(state->inbox)))
            client = NULL;
        enum kind kind = kind_of(state);
        bool stays = kind == KIND_DURABLE || kind == KIND_DURABLE_GROUP;
        if (!names_fit(state))
            counts->unusable++;
        else if (client || stays)
            plan_add(plans, subscription, client);
        else
            counts->without_client++;
    }
}

static void plan_add(struct plans *plans, const struct filestore_subscription *subscription,
                     const struct filestore_registered *client)
{
    char name[CHANNEL_NAME_MAX];
    size_t len = name_of(&subscription->state, name);
    struct plan *plan = map_find(&plans->by_name, bytes_make(name, len));
    if (!plan) {
        plan = mem_alloc_zero(sizeof(*plan));
        memcpy(plan->name, name, len);
        plan->name_len = len;
        plan->kind = kind_of(&subscription->state);
        must(map_add(&plans->by_name, bytes_make(plan->name, len), plan) == 0);
        list_push_back(&plans->list, &plan->link);
    }
    if (plan->last_sent < subscription->state.last_sent)
        plan->last_sent = subscription->state.last_sent;
    if (plan->member_count == plan->member_capacity) {
        plan->member_capacity = plan->member_capacity ? 2 * plan->member_capacity : 1;
        plan->members = mem_realloc(plan->members, plan->member_capacity * sizeof(*plan->members));
    }
    plan->members[plan->member_count++] = (struct plan_member){subscription, client};
}

// The union of what its subscriptions have, in order; who has each is, until the members exist, the number of the one in the plan
// plus one. Of several that have the same, as after a redelivery to another member, the latest counts.
static void plan_pending(struct plan *plan, const struct seed_channel_state *channel, struct seed_counts *counts)
{
    for (size_t i = 0; i < plan->member_count; i++)
        plan->pending_capacity += map_u64_count(&plan->members[i].subscription->pending);
    plan->pending = mem_alloc(plan->pending_capacity * sizeof(*plan->pending));
    for (size_t i = 0; i < plan->member_count; i++) {
        const struct plan_member *member = &plan->members[i];
        size_t position = 0;
        uint64_t sequence;
        while (map_u64_next(&member->subscription->pending, &position, &sequence)) {
            bool there = sequence >= channel->first_sequence && sequence <= channel->last_sequence;
            counts->pending_gone += !there;
            if (there)
                plan->pending[plan->pending_count++] =
                    (struct import_pending){sequence, 1, member->client ? (uint32_t)i + 1 : 0, 0};
        }
    }
    if (plan->pending_count)
        qsort(plan->pending, plan->pending_count, sizeof(*plan->pending), by_sequence);
    size_t kept = 0;
    for (size_t i = 0; i < plan->pending_count; i++) {
        if (i + 1 == plan->pending_count || plan->pending[i + 1].sequence != plan->pending[i].sequence)
            plan->pending[kept++] = plan->pending[i];
    }
    plan->pending_count = kept;
    if (plan->last_sent > channel->last_sequence) {
        counts->beyond_the_end++;
        plan->last_sent = channel->last_sequence;
    }
}

static void plan_count(const struct plan *plan, struct seed_counts *counts)
{
    uint64_t *const kinds[] = {&counts->subscriptions, &counts->durables, &counts->groups, &counts->durable_groups};
    ++*kinds[plan->kind];
    for (size_t i = 0; i < plan->member_count; i++)
        counts->members += plan->members[i].client != NULL;
    counts->pending += plan->pending_count;
}

static int plan_execute(struct stan *stan, const struct seed_channel_state *channel, struct plan *plan,
                        struct engine_time now)
{
    uint64_t next = plan->last_sent + 1 > channel->first_sequence ? plan->last_sent + 1 : channel->first_sequence;
    const struct consumer_config config = {
        .name = bytes_make(plan->name, plan->name_len),
        .protocol = ENGINE_PROTOCOL_STAN,
        .durable = plan->kind == KIND_DURABLE || plan->kind == KIND_DURABLE_GROUP,
        .group = plan->kind == KIND_GROUP || plan->kind == KIND_DURABLE_GROUP,
        .start = CONSUMER_START_SEQUENCE,
        .start_sequence = plan->pending_count ? plan->pending[0].sequence : next,
    };
    struct create_result result = {.error = ERR_AGAIN};
    engine_consumer_create(stan->engine, channel->stream, &config, now, created, &result);
    uint32_t *ids = mem_alloc_zero((plan->member_count + 1) * sizeof(*ids));
    bool room = true; // a durable that is no group has one subscription, whatever a damaged file says
    for (size_t i = 0; i < plan->member_count && !result.error; i++) {
        if (plan->members[i].client && room)
            result.error = add_member(stan, result.consumer, &plan->members[i], now, &ids[i + 1]);
        room &= config.group || ids[i + 1] == 0;
    }
    for (size_t i = 0; i < plan->pending_count; i++)
        plan->pending[i].member = ids[plan->pending[i].member];
    uint64_t index;
    if (!result.error)
        result.error = engine_import_position(stan->engine, result.consumer, next, plan->pending, plan->pending_count,
                                              now, &index);
    mem_free(ids);
    return result.error;
}

static int add_member(struct stan *stan, struct consumer *consumer, const struct plan_member *member,
                      struct engine_time now, uint32_t *ret_id)
{
    const struct filestore_sub *state = &member->subscription->state;
    const struct member_data data = {
        .client = member->client->number,
        .client_id = state->client_id,
        .inbox = state->inbox,
        .ack_inbox = subject_is_valid_publish(state->ack_inbox) ? state->ack_inbox : (struct bytes){0},
    };
    char *text = mem_alloc(member_data_size(&data));
    member_data_encode(text, &data);
    const struct member_config config = {
        .max_in_flight = state->max_in_flight ? state->max_in_flight : MAX_IN_FLIGHT_DEFAULT,
        .ack_wait_ns = (uint64_t)(state->ack_wait_s ? state->ack_wait_s : ACK_WAIT_DEFAULT_S) * 1000000000,
        .data = bytes_make(text, member_data_size(&data)),
    };
    struct member *added;
    uint64_t index;
    int error = engine_member_add(stan->engine, consumer, &config, now, &added, &index);
    mem_free(text);
    if (!error)
        *ret_id = member_id(added);
    return error;
}

static void plans_free(struct plans *plans)
{
    for (struct list *link = list_pop_front(&plans->list); link; link = list_pop_front(&plans->list)) {
        struct plan *plan = container_of(link, struct plan, link);
        mem_free(plan->pending);
        mem_free(plan->members);
        mem_free(plan);
    }
    map_deinit(&plans->by_name);
}

// As for requests (subscribe.c), which the old server took without such limits.
static bool names_fit(const struct filestore_sub *sub)
{
    const size_t most = CHANNEL_NAME_MAX / 3;
    return sub->client_id.len <= most && sub->durable.len <= most && sub->group.len <= 2 * most &&
           sub->inbox.len <= CHANNEL_NAME_MAX && sub->ack_inbox.len <= CHANNEL_NAME_MAX &&
           channel_text_is_valid(sub->group) && channel_text_is_valid(sub->durable) &&
           channel_text_is_valid(sub->client_id);
}

// The name of a durable group is written "durable:group"; one that is not durable has a group only.
static enum kind kind_of(const struct filestore_sub *sub)
{
    if (sub->group.len)
        return sub->is_durable || memchr(sub->group.ptr, ':', sub->group.len) ? KIND_DURABLE_GROUP : KIND_GROUP;
    return sub->is_durable || sub->durable.len ? KIND_DURABLE : KIND_SUBSCRIPTION;
}

static size_t name_of(const struct filestore_sub *sub, char *to)
{
    const struct bytes none = {0};
    const char *colon = sub->group.len ? memchr(sub->group.ptr, ':', sub->group.len) : NULL;
    if (colon) {
        size_t durable = (size_t)(colon - sub->group.ptr);
        return subscribe_consumer_name(sub->client_id, bytes_make(sub->group.ptr, durable),
                                       bytes_skip(sub->group, durable + 1), to);
    }
    if (sub->group.len)
        return subscribe_consumer_name(sub->client_id, none, sub->group, to);
    if (kind_of(sub) == KIND_DURABLE)
        return subscribe_consumer_name(sub->client_id, sub->durable, none, to);
    // As those of our own, of which none has a 0 in front.
    int len = snprintf(to, CHANNEL_NAME_MAX, "s.0.%llu", (unsigned long long)sub->id);
    return (size_t)len;
}

static int by_sequence(const void *a, const void *b)
{
    const struct import_pending *x = a, *y = b;
    if (x->sequence != y->sequence)
        return x->sequence < y->sequence ? -1 : 1;
    return x->member < y->member ? -1 : x->member > y->member;
}

static void created(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    struct create_result *result = owner;
    (void)index;
    result->error = error;
    result->consumer = consumer;
}
