// SPDX-License-Identifier: Apache-2.0
// tidy: prefix subscribe
// Subscriptions (ST-P03 … ST-P05) as members of the engine's consumers. What they get is sent in deliver.c, what they say about it
// heard in acknowledge.c.
//
// Which consumer a subscription joins is its name: "d.<client>.<durable>" a plain durable (ST-B06), "q.<group>" a queue group,
// "Q.<durable>:<group>" a durable queue group (ST-B08), "s.<n>" a subscription of its own (ST-B13).
#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "stan/channel.h"
#include "stan/member_data.h"
#include "stan/stan_internal.h"
#include "subject/subject.h"

// A request on its way: the creation of its consumer may wait for a read, then the member waits to be durable.
struct subscribing {
    struct stan *stan;
    uint32_t client; // number
    struct member_config config;
    struct member *member;            // borrowed, proposed; NULL: waits for the consumer
    uint64_t add_index, remove_index; // of the proposals; 0: none
    char *storage;                    // owned: the member's data, the reply, the channel
    struct bytes inbox, reply, channel;
    struct list link; // stan.subscribing
};

struct request {
    struct bytes client_id, channel, group, durable, inbox;
    int32_t max_in_flight, ack_wait_s, start;
    uint64_t start_sequence;
    int64_t start_delta_ns;
    bool inquiry;
};

static const char *request_check(const struct request *request);
static void request_execute(struct stan *stan, const struct request *request, struct bytes reply);
static void inquire(struct stan *stan, const struct stream *stream, struct bytes reply);
static size_t consumer_name(struct stan *stan, const struct request *request, char *to);
static void consumer_config(struct stan *stan, const struct request *request, struct consumer_config *ret);
static struct subscribing *subscribing_new(struct stan *stan, const struct request *request, uint32_t client,
                                           struct bytes reply);
static void subscribing_free(struct subscribing *subscribing);
static int subscribing_remove(struct subscribing *subscribing, bool unsubscribe, uint64_t *ret_index);
static struct subscribing *find_subscribing(struct stan *stan, struct bytes client_id, struct bytes channel,
                                            struct bytes inbox);
static struct subscribing *subscribing_of(struct stan *stan, const struct member *member);
static int take_over(struct subscribing *subscribing, struct consumer *consumer, struct member **ret_member,
                     uint64_t *ret_index);
static void refuse(struct stan *stan, struct bytes reply, int error, const char *text);
static void consumer_ready(void *owner, int error, struct consumer *consumer, uint64_t index);
static struct subscription *find(struct stan *stan, struct bytes client_id, struct bytes channel, struct bytes inbox);
static int subscription_remove(struct subscription *subscription, bool unsubscribe, uint64_t *ret_index);
static int member_end(struct stan *stan, struct member *member, bool unsubscribe, uint64_t *ret_index);

void subscribe_on_request(struct stan *stan, const struct inlet_message *message)
{
    const struct bytes none = {0};
    StanPb__SubscriptionRequest *decoded =
        stan_pb__subscription_request__unpack((ProtobufCAllocator *)(uintptr_t)&answer_allocator, message->payload.len,
                                              (const uint8_t *)message->payload.ptr);
    if (!decoded) {
        answer_error(stan, ANSWER_SUBSCRIBE, message->reply, none, "stan: invalid subscription request"); // ST-E11
        return;
    }
    struct request request = {
        .client_id = stan_field(decoded->client_id),
        .channel = stan_field(decoded->subject),
        .group = stan_field(decoded->q_group),
        .durable = stan_field(decoded->durable_name),
        .inbox = stan_field(decoded->inbox),
        .max_in_flight = decoded->max_in_flight,
        .ack_wait_s = decoded->ack_wait_in_secs,
        .start = decoded->start_position,
        .start_sequence = decoded->start_sequence,
        .start_delta_ns = decoded->start_time_delta,
        .inquiry = decoded->inquiry,
    };
    const char *refusal = request_check(&request);
    if (refusal)
        answer_error(stan, ANSWER_SUBSCRIBE, message->reply, none, refusal);
    else
        request_execute(stan, &request, message->reply);
    stan_pb__subscription_request__free_unpacked(decoded, (ProtobufCAllocator *)(uintptr_t)&answer_allocator);
}

void subscribe_on_unsubscribe(struct stan *stan, const struct inlet_message *message, bool close_only)
{
    const struct bytes none = {0};
    StanPb__UnsubscribeRequest *decoded =
        stan_pb__unsubscribe_request__unpack((ProtobufCAllocator *)(uintptr_t)&answer_allocator, message->payload.len,
                                             (const uint8_t *)message->payload.ptr);
    if (!decoded) {
        answer_error(stan, ANSWER_SUBSCRIBE, message->reply, none, "stan: invalid unsubscribe request"); // ST-E12
        return;
    }
    struct bytes client_id = stan_field(decoded->client_id);
    struct subscription *subscription = find(stan, client_id, stan_field(decoded->subject), stan_field(decoded->inbox));
    uint64_t index;
    int error;
    if (subscription && !bytes_equal(subscription->client->id, client_id)) {
        answer_reject(stan, ANSWER_SUBSCRIBE, message->reply, none, "stan: unknown clientID"); // ST-E16
        goto done;
    }
    if (subscription)
        error = subscription_remove(subscription, !close_only, &index);
    else
        error = subscribing_remove(
            find_subscribing(stan, client_id, stan_field(decoded->subject), stan_field(decoded->inbox)), !close_only,
            &index);
    if (error == ERR_NOT_FOUND)
        answer_reject(stan, ANSWER_SUBSCRIBE, message->reply, none, "stan: invalid subscription"); // ST-E03
    else if (error)
        answer_error(stan, ANSWER_SUBSCRIBE, message->reply, none, answer_error_text(ANSWER_CLOSE, error));
    else
        answer_subscribe(stan, index, message->reply, none);
done:
    stan_pb__unsubscribe_request__free_unpacked(decoded, (ProtobufCAllocator *)(uintptr_t)&answer_allocator);
}

size_t subscribe_consumer_name(struct bytes client_id, struct bytes durable, struct bytes group, char *to)
{
    int length;
    if (group.len && durable.len)
        length = snprintf(to, CHANNEL_NAME_MAX, "Q.%.*s:%.*s", BYTES_ARG(durable), BYTES_ARG(group));
    else if (group.len)
        length = snprintf(to, CHANNEL_NAME_MAX, "q.%.*s", BYTES_ARG(group));
    else
        length = snprintf(to, CHANNEL_NAME_MAX, "d.%.*s.%.*s", BYTES_ARG(client_id), BYTES_ARG(durable));
    must(length > 0 && length < CHANNEL_NAME_MAX);
    return (size_t)length;
}

uint64_t subscribe_joined(struct stan *stan, const struct member *member)
{
    struct subscribing *subscribing = subscribing_of(stan, member);
    uint64_t remove_index = subscribing ? subscribing->remove_index : 0;
    if (subscribing)
        subscribing_free(subscribing);
    return remove_index;
}

void subscribe_reap_orphans(struct stan *stan)
{
    while (!list_empty(&stan->orphans)) {
        struct subscription *subscription = container_of(list_first(&stan->orphans), struct subscription, of_client);
        uint64_t index;
        if (!subscription->remove_index && subscription_remove(subscription, false, &index))
            return; // the log takes nothing; later
        list_remove(&subscription->of_client);
    }
}

bool subscribe_is_coming(const struct stan *stan, struct bytes channel)
{
    list_foreach(link, &stan->subscribing)
    {
        if (bytes_equal(container_of(link, struct subscribing, link)->channel, channel))
            return true;
    }
    return false;
}

void subscribe_forget_client(struct stan *stan, struct stan_client *client)
{
    struct list *link, *next;
    for (link = stan->subscribing.next; link != &stan->subscribing; link = next) {
        next = link->next;
        struct subscribing *subscribing = container_of(link, struct subscribing, link);
        if (subscribing->client == client->number) {
            if (!subscribing->member)
                engine_consumer_create_cancel(stan->engine, subscribing);
            subscribing_free(subscribing);
        }
    }
    while (!list_empty(&client->subscriptions)) {
        struct subscription *subscription =
            container_of(list_first(&client->subscriptions), struct subscription, of_client);
        list_remove(&subscription->of_client);
        list_push_back(&stan->orphans, &subscription->of_client);
        subscription->client = NULL;
    }
    client->subscription_count = 0;
}

void subscribe_drop_tail(struct stan *stan, uint64_t last_good)
{
    struct list *next;
    for (struct list *link = stan->subscribing.next; link != &stan->subscribing; link = next) {
        next = link->next;
        struct subscribing *subscribing = container_of(link, struct subscribing, link);
        if (subscribing->remove_index > last_good)
            subscribing->remove_index = 0;
        if (subscribing->member && subscribing->add_index > last_good)
            subscribing_free(subscribing); // its member goes, its answer says so
    }
    for (struct list *link = stan->all.next; link != &stan->all; link = link->next) {
        struct subscription *subscription = container_of(link, struct subscription, link);
        if (subscription->remove_index <= last_good)
            continue;
        subscription->remove_index = 0;
        if (!subscription->client && !list_is_linked(&subscription->of_client))
            list_push_back(&stan->orphans, &subscription->of_client);
    }
}

void subscribe_forget_all(struct stan *stan)
{
    while (!list_empty(&stan->subscribing)) {
        struct subscribing *subscribing = container_of(list_first(&stan->subscribing), struct subscribing, link);
        engine_consumer_create_cancel(stan->engine, subscribing);
        subscribing_free(subscribing);
    }
    while (!list_empty(&stan->all))
        deliver_forget(container_of(list_first(&stan->all), struct subscription, link));
}

// In the order in which the servers we replace check. NULL: fine.
static const char *request_check(const struct request *request)
{
    if (request->client_id.len == 0)
        return "stan: clientID missing"; // ST-E05
    if (request->ack_wait_s <= 0)
        return "stan: invalid ack wait time, should be >= 1s"; // ST-E07
    if (request->max_in_flight <= 0)
        return "stan: invalid MaxInflight, should be >= 1"; // ST-E08
    if (request->start < 0 || request->start > 4)
        return "stan: invalid start position"; // ST-E02
    if (!channel_name_is_valid(request->channel))
        return "stan: invalid subject"; // ST-E01
    if (request->group.len && memchr(request->durable.len ? request->durable.ptr : "", ':', request->durable.len))
        return "stan: durable name of a durable queue subscriber can't contain the character ':'"; // ST-E15
    bool names = request->group.len <= CHANNEL_NAME_MAX / 3 && request->durable.len <= CHANNEL_NAME_MAX / 3 &&
                 request->inbox.len <= CHANNEL_NAME_MAX && channel_text_is_valid(request->group) &&
                 channel_text_is_valid(request->durable) && subject_is_valid_publish(request->inbox);
    return names ? NULL : "stan: invalid subscription request"; // ST-E11
}

static void request_execute(struct stan *stan, const struct request *request, struct bytes reply)
{
    const struct bytes none = {0};
    struct stan_client *client = registry_find(&stan->registry, request->client_id);
    if (!client) {
        answer_reject(stan, ANSWER_SUBSCRIBE, reply, none, "stan: unknown clientID"); // ST-E16
        return;
    }
    struct stream *stream = engine_stream_find(stan->engine, 1, request->channel);
    if (request->inquiry) {
        inquire(stan, stream, reply);
        return;
    }
    int error = stream ? 0 : channels_create(stan, request->channel, &stream);
    if (error) {
        refuse(stan, reply, error,
               error == ERR_LIMIT ? "too many channels" : answer_error_text(ANSWER_SUBSCRIBE, error)); // ST-E20
        return;
    }
    struct consumer_config config;
    char name[CHANNEL_NAME_MAX + 16];
    consumer_config(stan, request, &config);
    config.name = bytes_make(name, consumer_name(stan, request, name));
    struct subscribing *subscribing = subscribing_new(stan, request, client->number, reply);
    struct consumer *consumer = engine_consumer_find(stan->engine, stream, config.name);
    if (consumer)
        consumer_ready(subscribing, 0, consumer, 0);
    else
        engine_consumer_create(stan->engine, stream, &config, stan_time(stan), consumer_ready, subscribing);
}

// What a subscription would find. What is on its way counts: whoever registered anew asks what the connection before him, from which
// nothing is taken any more, has left.
static void inquire(struct stan *stan, const struct stream *stream, struct bytes reply)
{
    struct stream_state state = {.first_sequence = 1};
    if (stream)
        stream_state_get(stream, &state);
    answer_inquiry(stan, reply, state.first_sequence, state.last_proposed);
}

// Writes at most CHANNEL_NAME_MAX bytes.
static size_t consumer_name(struct stan *stan, const struct request *request, char *to)
{
    if (request->group.len || request->durable.len)
        return subscribe_consumer_name(request->client_id, request->durable, request->group, to);
    // The log's index makes it unique over restarts, the counter within a turn.
    int length = snprintf(to, CHANNEL_NAME_MAX, "s.%llu.%llu", (unsigned long long)shard_last_index(stan->shard),
                          (unsigned long long)++stan->name_counter);
    must(length > 0 && length < CHANNEL_NAME_MAX);
    return (size_t)length;
}

static void consumer_config(struct stan *stan, const struct request *request, struct consumer_config *ret)
{
    static const enum consumer_start starts[] = {CONSUMER_START_NEW, CONSUMER_START_LAST, CONSUMER_START_TIME,
                                                 CONSUMER_START_SEQUENCE, CONSUMER_START_FIRST}; // ST-M12
    uint64_t wall = stan->now.wall_ns, delta = request->start_delta_ns > 0 ? (uint64_t)request->start_delta_ns : 0;
    *ret = (struct consumer_config){
        .protocol = ENGINE_PROTOCOL_STAN,
        .durable = request->durable.len > 0,
        .group = request->group.len > 0,
        .start = starts[request->start],
        .start_sequence = request->start_sequence,
        .start_time_ns = delta < wall ? wall - delta : 0,
    };
}

static struct subscribing *subscribing_new(struct stan *stan, const struct request *request, uint32_t client,
                                           struct bytes reply)
{
    struct subscribing *subscribing = mem_alloc_zero(sizeof(*subscribing));
    struct member_data data = {.client = client, .client_id = request->client_id, .inbox = request->inbox};
    size_t data_len = member_data_size(&data);
    char *to = subscribing->storage = mem_alloc(data_len + reply.len + request->channel.len);
    member_data_encode(to, &data);
    must(member_data_decode(bytes_make(to, data_len), &data) == 0);
    if (reply.len)
        memcpy(to + data_len, reply.ptr, reply.len);
    memcpy(to + data_len + reply.len, request->channel.ptr, request->channel.len);
    subscribing->stan = stan;
    subscribing->client = client;
    subscribing->inbox = data.inbox;
    subscribing->reply = bytes_make(to + data_len, reply.len);
    subscribing->channel = bytes_make(to + data_len + reply.len, request->channel.len);
    subscribing->config = (struct member_config){
        .max_in_flight = (uint32_t)request->max_in_flight,
        .ack_wait_ns = (uint64_t)request->ack_wait_s * 1000000000,
        .data = bytes_make(to, data_len),
    };
    list_push_back(&stan->subscribing, &subscribing->link);
    return subscribing;
}

static void subscribing_free(struct subscribing *subscribing)
{
    list_remove(&subscribing->link);
    mem_free(subscribing->storage);
    mem_free(subscribing);
}

// Its consumer exists (or not, with an error): join it.
static void consumer_ready(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    struct subscribing *subscribing = owner;
    struct stan *stan = subscribing->stan;
    struct member *member;
    uint64_t created = index;
    if (!error)
        error = engine_member_add(stan->engine, consumer, &subscribing->config, stan_time(stan), &member, &index);
    if (error == ERR_EXISTS && stan->options.replace_durable)
        error = take_over(subscribing, consumer, &member, &index);
    if (error) {
        if (consumer && created) // nobody will ever join it, or knows that there is a durable
            (void)!engine_consumer_delete(stan->engine, consumer, stan_time(stan), &index);
        refuse(stan, subscribing->reply, error, answer_error_text(ANSWER_SUBSCRIBE, error));
        subscribing_free(subscribing);
        return;
    }
    char inbox[STAN_SUBJECT_MAX + 32];
    int length = snprintf(inbox, sizeof(inbox), "%s.ack.%u", stan->inbox_prefix, member_id(member));
    answer_subscribe(stan, index, subscribing->reply, bytes_make(inbox, (size_t)length));
    subscribing->member = member;
    subscribing->add_index = index;
}

// The one subscription of a durable ends, and this one takes its place and what it held (ST-B06): both, or nothing. The channel stays in
// use, so there is no note of its end (inactivity_note()).
static int take_over(struct subscribing *subscribing, struct consumer *consumer, struct member **ret_member,
                     uint64_t *ret_index)
{
    struct stan *stan = subscribing->stan;
    struct member *former = consumer_member_next(consumer, NULL);
    struct subscription *subscription = former ? member_context(former) : NULL;
    struct subscribing *coming = former && !subscription ? subscribing_of(stan, former) : NULL;
    if (!subscription && !coming)
        return ERR_EXISTS;
    int error =
        engine_member_replace(stan->engine, former, &subscribing->config, stan_time(stan), ret_member, ret_index);
    if (error)
        return error;
    if (subscription)
        subscription->remove_index = *ret_index;
    else
        coming->remove_index = *ret_index;
    return 0;
}

// Closed before it was durable, or before it was even proposed. ERR_NOT_FOUND for NULL, admission errors.
static int subscribing_remove(struct subscribing *subscribing, bool unsubscribe, uint64_t *ret_index)
{
    if (!subscribing)
        return ERR_NOT_FOUND;
    struct stan *stan = subscribing->stan;
    if (subscribing->member) {
        int error = member_end(stan, subscribing->member, unsubscribe, ret_index);
        if (!error)
            subscribing->remove_index = *ret_index;
        return error;
    }
    engine_consumer_create_cancel(stan->engine, subscribing);
    answer_error(stan, ANSWER_SUBSCRIBE, subscribing->reply, (struct bytes){0}, "stan: subscription closed");
    subscribing_free(subscribing);
    *ret_index = shard_last_index(stan->shard);
    return 0;
}

static struct subscribing *find_subscribing(struct stan *stan, struct bytes client_id, struct bytes channel,
                                            struct bytes inbox)
{
    const struct stan_client *client = registry_find(&stan->registry, client_id);
    for (struct list *link = stan->subscribing.next; client && link != &stan->subscribing; link = link->next) {
        struct subscribing *subscribing = container_of(link, struct subscribing, link);
        if (subscribing->client == client->number && !subscribing->remove_index &&
            bytes_equal(subscribing->inbox, inbox) && bytes_equal(subscribing->channel, channel))
            return subscribing;
    }
    return NULL;
}

// Members become durable in the order in which they were proposed: it is among the first.
static struct subscribing *subscribing_of(struct stan *stan, const struct member *member)
{
    for (struct list *link = stan->subscribing.next; link != &stan->subscribing; link = link->next) {
        struct subscribing *subscribing = container_of(link, struct subscribing, link);
        if (subscribing->member == member)
            return subscribing;
    }
    return NULL;
}

static void refuse(struct stan *stan, struct bytes reply, int error, const char *text)
{
    const struct bytes none = {0};
    if (answer_error_waits(error))
        answer_reject(stan, ANSWER_SUBSCRIBE, reply, none, text);
    else
        answer_error(stan, ANSWER_SUBSCRIBE, reply, none, text);
}

// By ack inbox, or by the subscription's own inbox when the client never got our answer (ST-P05).
static struct subscription *find(struct stan *stan, struct bytes client_id, struct bytes channel, struct bytes inbox)
{
    struct subscription *found = NULL;
    uint32_t number;
    struct bytes prefix = bytes_from_string(stan->inbox_prefix);
    if (bytes_starts_with(inbox, prefix) && bytes_starts_with(bytes_skip(inbox, prefix.len), BYTES(".ack."))) {
        struct member *member = stan_subject_number(inbox, &number) ? NULL : engine_member_by_id(stan->engine, number);
        found = member ? member_context(member) : NULL;
    } else {
        struct stan_client *client = registry_find(&stan->registry, client_id);
        for (struct list *link = client ? client->subscriptions.next : NULL; link && link != &client->subscriptions;
             link = link->next) {
            struct subscription *subscription = container_of(link, struct subscription, of_client);
            // Only a member that was taken over has an ack inbox of another server's: no inbox at all names nobody.
            if (inbox.len > 0 &&
                (bytes_equal(subscription->inbox, inbox) || bytes_equal(subscription->ack_inbox, inbox)))
                found = subscription;
        }
    }
    if (!found || !found->client || found->remove_index)
        return NULL;
    struct stream_state state;
    stream_state_get(consumer_stream(member_consumer(found->member)), &state);
    return bytes_equal(state.config.name, channel) ? found : NULL;
}

static int subscription_remove(struct subscription *subscription, bool unsubscribe, uint64_t *ret_index)
{
    struct stan *stan = subscription->stan;
    int error = member_end(stan, subscription->member, unsubscribe, ret_index);
    if (!error)
        subscription->remove_index = *ret_index;
    return error;
}

static int member_end(struct stan *stan, struct member *member, bool unsubscribe, uint64_t *ret_index)
{
    int error = inactivity_note(&stan->inactivity, consumer_stream(member_consumer(member)));
    return error ? error : engine_member_remove(stan->engine, member, unsubscribe, stan_time(stan), ret_index);
}
