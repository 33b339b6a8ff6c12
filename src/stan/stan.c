// SPDX-License-Identifier: Apache-2.0
#include "stan/stan.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "base/number.h"
#include "stan/channel.h"
#include "stan/stan_internal.h"

enum { SCRATCH_MAX = 4 << 20, BACKLOG_MAX = 64 << 20 }; // bytes
enum { RETRY_MS = 20 };                                 // what the log did not take is tried again

static void subjects_make(struct stan *stan);
static bool on_connect(struct inlet *inlet, const struct inlet_message *message);
static bool on_publish(struct inlet *inlet, const struct inlet_message *message);
static bool on_publish_run(struct inlet *inlet, const struct inlet_message *messages, size_t count);
static bool on_subscribe(struct inlet *inlet, const struct inlet_message *message);
static bool on_unsubscribe(struct inlet *inlet, const struct inlet_message *message);
static bool on_sub_close(struct inlet *inlet, const struct inlet_message *message);
static bool on_ack_run(struct inlet *inlet, const struct inlet_message *messages, size_t count);
static bool on_ack(struct inlet *inlet, const struct inlet_message *message);
static bool on_close(struct inlet *inlet, const struct inlet_message *message);
static bool on_ping(struct inlet *inlet, const struct inlet_message *message);
static bool on_heartbeat(struct inlet *inlet, const struct inlet_message *message);
static bool on_probe(struct inlet *inlet, const struct inlet_message *message);
static int inlet_open(struct stan *stan, enum stan_inlet which, const char *subject, const char *suffix);

void stan_options_default(struct stan_options *options)
{
    const uint64_t second = 1000000000;
    *options = (struct stan_options){
        .cluster_id = BYTES("test-cluster"),
        .discover_prefix = BYTES("_STAN.discover"),
        .max_channels = 100,
        .heartbeat_interval_ns = 30 * second,
        .heartbeat_timeout_ns = 10 * second,
        .heartbeat_fail_count = 10,
        .max_clients = 65536,
    };
    channel_limits_default(&options->channel);
}

struct stan *stan_new(const struct stan_options *options, struct broker *broker, struct shard *shard, struct moment now)
{
    struct stan *stan = mem_alloc_zero(sizeof(*stan));
    stan->options = *options;
    stan->now = now; // recovery tells of members, and asks for their deadlines
    stan->broker = broker;
    stan->shard = shard;
    stan->engine = shard_engine(shard);
    stan->limits = channel_limits_new(&options->channel, options->rules, options->rule_count);
    list_init(&stan->subscribing);
    list_init(&stan->all);
    list_init(&stan->orphans);
    buffer_init(&stan->scratch, SCRATCH_MAX);
    buffer_init(&stan->headers, INT32_MAX); // as large as a message may be
    buffer_init(&stan->backlog, BACKLOG_MAX);
    registry_init(&stan->registry, stan, options->max_clients);
    shard_machine_add(shard, &stan->registry.machine);
    inactivity_init(&stan->inactivity, stan);
    shard_machine_add(shard, &stan->inactivity.machine);
    answer_init(stan);
    struct engine_adapter adapter;
    deliver_adapter(stan, &adapter);
    engine_adapter_set(stan->engine, ENGINE_PROTOCOL_STAN, &adapter);
    return stan;
}

int stan_start(struct stan *stan, struct moment now)
{
    if (!channel_client_id_is_valid(stan->options.cluster_id))
        return ERR_INVALID;
    stan->now = now;
    subjects_make(stan);
    channels_follow_limits(stan);
    char discover[STAN_SUBJECT_MAX];
    snprintf(discover, sizeof(discover), "%.*s.%.*s", BYTES_ARG(stan->options.discover_prefix),
             BYTES_ARG(stan->options.cluster_id));
    const struct {
        enum stan_inlet which;
        bool (*on_message)(struct inlet *inlet, const struct inlet_message *message);
        const char *subject, *suffix;
    } table[] = {
        {STAN_INLET_PUBLISH, on_publish, stan->publish_prefix, ".>"},
        {STAN_INLET_SUBSCRIBE, on_subscribe, stan->subscribe_subject, ""},
        {STAN_INLET_UNSUBSCRIBE, on_unsubscribe, stan->unsubscribe_subject, ""},
        {STAN_INLET_SUB_CLOSE, on_sub_close, stan->sub_close_subject, ""},
        {STAN_INLET_ACK, on_ack, stan->inbox_prefix, ".ack.>"},
        {STAN_INLET_CLOSE, on_close, stan->close_subject, ""},
        {STAN_INLET_PING, on_ping, stan->ping_subject, ""},
        {STAN_INLET_HEARTBEAT, on_heartbeat, stan->inbox_prefix, ".hb.>"},
        {STAN_INLET_PROBE, on_probe, stan->inbox_prefix, ".dup.>"},
        {STAN_INLET_CONNECT, on_connect, discover, ""},
    };
    stan->inlets[STAN_INLET_PUBLISH].on_run = on_publish_run;
    stan->inlets[STAN_INLET_ACK].on_run = on_ack_run;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        stan->inlets[table[i].which].on_message = table[i].on_message;
        int error = inlet_open(stan, table[i].which, table[i].subject, table[i].suffix);
        if (error)
            return error;
    }
    return 0;
}

void stan_stop(struct stan *stan)
{
    for (int i = 0; i < STAN_INLET_COUNT; i++)
        if (stan->inlet_open[i])
            broker_inlet_remove(stan->broker, &stan->inlets[i]);
    memset(stan->inlet_open, 0, sizeof(stan->inlet_open));
}

void stan_free(struct stan *stan)
{
    stan_stop(stan);
    // The shard outlives us: its members keep no pointer.
    const struct engine_adapter none = {0};
    subscribe_forget_all(stan);
    engine_adapter_set(stan->engine, ENGINE_PROTOCOL_STAN, &none);
    registry_deinit(&stan->registry);
    inactivity_deinit(&stan->inactivity);
    hold_deinit(&stan->answers);
    buffer_deinit(&stan->scratch);
    buffer_deinit(&stan->headers);
    buffer_deinit(&stan->backlog);
    channel_limits_free(stan->limits);
    mem_free(stan);
}

void stan_turn_begin(struct stan *stan, struct moment now)
{
    stan->now = now;
}

void stan_turn_end(struct stan *stan)
{
    wheel_advance(&stan->wheel, moment_mono_ms(stan->now));
    subscribe_reap_orphans(stan);
    registry_reap(&stan->registry);
    inactivity_turn_end(&stan->inactivity);
    if (publish_is_waiting(stan))
        publish_resume(stan);
}

void stan_admitting(struct stan *stan)
{
    publish_resume(stan);
}

uint64_t stan_next_deadline_ms(const struct stan *stan)
{
    uint64_t deadline = UINT64_MAX, retry = moment_mono_ms(stan->now) + RETRY_MS;
    if (!stan->wheel_ready || !wheel_next(&stan->wheel, &deadline))
        deadline = UINT64_MAX;
    uint64_t inactivity = inactivity_next_deadline_ms(&stan->inactivity);
    deadline = inactivity < deadline ? inactivity : deadline;
    bool waiting = publish_is_waiting(stan) || !list_empty(&stan->orphans) || !list_empty(&stan->registry.unfinished);
    return waiting && retry < deadline ? retry : deadline;
}

void stan_make_probe(const struct stan_options *options, struct buffer *subject, struct buffer *payload)
{
    const struct bytes id = options->cluster_id;
    StanPb__ConnectRequest request = STAN_PB__CONNECT_REQUEST__INIT;
    static const char inbox[] = "_INBOX.nobody"; // it is never asked whether it lives
    request.client_id = (ProtobufCBinaryData){id.len, (uint8_t *)(uintptr_t)id.ptr};
    request.heartbeat_inbox = (ProtobufCBinaryData){sizeof(inbox) - 1, (uint8_t *)(uintptr_t)inbox};
    size_t size = stan_pb__connect_request__get_packed_size(&request);
    char *to = buffer_reserve(payload, size);
    must(to && buffer_printf(subject, "%.*s.%.*s", BYTES_ARG(options->discover_prefix), BYTES_ARG(id)) == 0);
    buffer_commit(payload, stan_pb__connect_request__pack(&request, (uint8_t *)to));
}

void stan_describe_with(struct stan *stan, void (*describe)(void *owner, uint32_t member, struct buffer *out),
                        void *owner)
{
    stan->describe = describe;
    stan->describe_owner = owner;
}

void stan_stats_get(const struct stan *stan, struct stan_stats *ret_stats)
{
    *ret_stats = stan->stats;
    ret_stats->clients = registry_count(&stan->registry);
    ret_stats->subscriptions = stan->subscriptions;
}

void stan_limits_set(struct stan *stan, const struct channel_limit *channel, const struct channel_rule *rules,
                     size_t rule_count)
{
    channel_limits_free(stan->limits);
    stan->limits = channel_limits_new(channel, rules, rule_count);
    channels_follow_limits(stan);
}

void stan_list_clients(const struct stan *stan, struct buffer *ret_numbers)
{
    registry_list(&stan->registry, ret_numbers);
}

void stan_save_client(const struct stan *stan, uint32_t number, struct buffer *out)
{
    registry_save(&stan->registry, number, out);
}

int stan_restore_client(struct stan *stan, const struct record *image, uint32_t *ret_number)
{
    return registry_load(&stan->registry, image, ret_number);
}

int stan_subject_number(struct bytes subject, uint32_t *ret_number)
{
    size_t start = subject.len;
    while (start > 0 && subject.ptr[start - 1] != '.')
        start--;
    uint64_t number;
    if (number_parse_u64(bytes_skip(subject, start), UINT32_MAX, &number))
        return ERR_INVALID;
    *ret_number = (uint32_t)number;
    return 0;
}

static void subjects_make(struct stan *stan)
{
    const struct bytes cid = stan->options.cluster_id;
    snprintf(stan->publish_prefix, STAN_SUBJECT_MAX, "_STAN.pub.%.*s", BYTES_ARG(cid));
    snprintf(stan->subscribe_subject, STAN_SUBJECT_MAX, "_STAN.sub.%.*s", BYTES_ARG(cid));
    snprintf(stan->unsubscribe_subject, STAN_SUBJECT_MAX, "_STAN.unsub.%.*s", BYTES_ARG(cid));
    snprintf(stan->sub_close_subject, STAN_SUBJECT_MAX, "_STAN.subclose.%.*s", BYTES_ARG(cid));
    snprintf(stan->close_subject, STAN_SUBJECT_MAX, "_STAN.close.%.*s", BYTES_ARG(cid));
    snprintf(stan->ping_subject, STAN_SUBJECT_MAX, "%.*s.%.*s.pings", BYTES_ARG(stan->options.discover_prefix),
             BYTES_ARG(cid));
    snprintf(stan->inbox_prefix, STAN_SUBJECT_MAX, "_INBOX.STAN-%.*s", BYTES_ARG(cid));
}

static int inlet_open(struct stan *stan, enum stan_inlet which, const char *subject, const char *suffix)
{
    char whole[STAN_SUBJECT_MAX + 16];
    int length = snprintf(whole, sizeof(whole), "%s%s", subject, suffix);
    int error = broker_inlet_add(stan->broker, &stan->inlets[which], bytes_make(whole, (size_t)length));
    stan->inlet_open[which] = !error;
    return error;
}

static struct stan *stan_of(struct inlet *inlet, enum stan_inlet which)
{
    return container_of(inlet - which, struct stan, inlets);
}

static bool on_connect(struct inlet *inlet, const struct inlet_message *message)
{
    connect_on_request(stan_of(inlet, STAN_INLET_CONNECT), message);
    return true;
}

static bool on_publish(struct inlet *inlet, const struct inlet_message *message)
{
    return publish_on_message(stan_of(inlet, STAN_INLET_PUBLISH), message);
}

static bool on_publish_run(struct inlet *inlet, const struct inlet_message *messages, size_t count)
{
    return publish_on_run(stan_of(inlet, STAN_INLET_PUBLISH), messages, count);
}

static bool on_subscribe(struct inlet *inlet, const struct inlet_message *message)
{
    subscribe_on_request(stan_of(inlet, STAN_INLET_SUBSCRIBE), message);
    return true;
}

static bool on_unsubscribe(struct inlet *inlet, const struct inlet_message *message)
{
    subscribe_on_unsubscribe(stan_of(inlet, STAN_INLET_UNSUBSCRIBE), message, false);
    return true;
}

static bool on_sub_close(struct inlet *inlet, const struct inlet_message *message)
{
    subscribe_on_unsubscribe(stan_of(inlet, STAN_INLET_SUB_CLOSE), message, true);
    return true;
}

static bool on_ack_run(struct inlet *inlet, const struct inlet_message *messages, size_t count)
{
    acknowledge_on_run(stan_of(inlet, STAN_INLET_ACK), messages, count);
    return true;
}

static bool on_ack(struct inlet *inlet, const struct inlet_message *message)
{
    acknowledge_on_message(stan_of(inlet, STAN_INLET_ACK), message);
    return true;
}

static bool on_close(struct inlet *inlet, const struct inlet_message *message)
{
    connect_on_close(stan_of(inlet, STAN_INLET_CLOSE), message);
    return true;
}

static bool on_ping(struct inlet *inlet, const struct inlet_message *message)
{
    connect_on_ping(stan_of(inlet, STAN_INLET_PING), message);
    return true;
}

static bool on_heartbeat(struct inlet *inlet, const struct inlet_message *message)
{
    heartbeat_on_answer(stan_of(inlet, STAN_INLET_HEARTBEAT), message->subject);
    return true;
}

static bool on_probe(struct inlet *inlet, const struct inlet_message *message)
{
    connect_on_probe_answer(stan_of(inlet, STAN_INLET_PROBE), message->subject);
    return true;
}
