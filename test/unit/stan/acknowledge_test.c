// SPDX-License-Identifier: Apache-2.0
// Acks and verdicts on an ack inbox, headers from publisher to subscriber, and dead letters, in a server on a simulated disk.
#include <stdio.h>

#include "base/memory.h"
#include "env/log.h"
#include "rig.h"
#include "stan/stan_inspect.h"
#include "store/chunk.h"

static struct engine *engine(struct rig *rig)
{
    return shard_engine(rig->shard);
}

static struct stream *channel(struct rig *rig, const char *name)
{
    return engine_stream_find(engine(rig), 1, bytes_from_string(name));
}

static struct member *member(struct rig *rig)
{
    struct consumer *consumer = stream_consumer_next(channel(rig, "channel"), NULL);
    return consumer ? consumer_member_next(consumer, NULL) : NULL;
}

static struct consumer_state state_of(struct rig *rig)
{
    struct consumer_state state;
    consumer_state_get(member_consumer(member(rig)), &state);
    return state;
}

// As a message comes into a channel that is another's dead letter channel: past those who publish.
static void store_with(struct rig *rig, struct bytes headers)
{
    struct publish message = {.headers = headers, .payload = BYTES("data")};
    struct publish_result result;
    struct engine_time now = {rig->now.mono_ns, rig->now.wall_ns};
    assert_int_equal(engine_publish(engine(rig), channel(rig, "channel"), &message, now, &result), 0);
    rig_settle(rig);
}

// The subscription counts as listened to, though only the test listens.
static void ready(struct rig *rig)
{
    engine_member_set_state(engine(rig), member(rig), MEMBER_READY,
                            (struct engine_time){rig->now.mono_ns, rig->now.wall_ns});
    rig_settle(rig);
}

static void say(struct rig *rig, const char *text)
{
    char subject[64];
    struct bytes payload = bytes_from_string(text);
    snprintf(subject, sizeof(subject), "_INBOX.STAN-test-cluster.ack.%u", member_id(member(rig)));
    broker_publish(rig->broker, bytes_from_string(subject), (struct bytes){0}, (struct bytes){0}, &payload, 1);
    rig_settle(rig);
}

static void publish_with(struct rig *rig, const char *guid, struct bytes headers)
{
    StanPb__PubMsg message = STAN_PB__PUB_MSG__INIT;
    uint8_t packed[256];
    message.client_id = rig_text("a");
    message.guid = rig_text(guid);
    message.subject = rig_text("channel");
    message.data = rig_text("data");
    struct bytes payload = bytes_make(packed, stan_pb__pub_msg__pack(&message, packed));
    broker_publish(rig->broker, BYTES("_STAN.pub.test-cluster.channel"), BYTES("r.p"), headers, &payload, 1);
    rig_settle(rig);
}

// A server whose channels have this limit, a client and its durable subscription, and so many messages.
static void begin(struct rig *rig, uint32_t max_deliver, const char *dead_letter, int messages)
{
    rig_stop(rig);
    rig->options.channel.max_deliver = max_deliver;
    rig->options.channel.dead_letter = bytes_from_string(dead_letter);
    rig_start(rig);
    rig_connect(rig, "a", "");
    for (int i = 0; i < messages; i++)
        publish_with(rig, (char[]){(char)('a' + i), 0}, (struct bytes){0});
    rig_subscribe_durable(rig, "a", "r.inbox", "d.1", "");
    rig_settle(rig);
    ready(rig);
    rig->heard_len = 0;
}

// Messages delivered since the last call.
static size_t heard(struct rig *rig)
{
    size_t count = 0;
    for (size_t i = 0; i < rig->heard_len; i++)
        count += bytes_starts_with(bytes_make(rig->heard + i, rig->heard_len - i), BYTES("inbox ok;"));
    rig->heard_len = 0;
    return count;
}

static void fetched(struct store_fetch *fetch)
{
    assert_int_equal(fetch->result, 0);
}

static void read_message(struct rig *rig, const char *name, uint64_t sequence, char *ret_text, size_t size)
{
    struct stream_state state;
    struct message_record message;
    stream_state_get(channel(rig, name), &state);
    struct store_fetch fetch = {.stream = state.id, .sequence = sequence, .done = fetched};
    if (store_fetch(shard_store(rig->shard), &fetch) == ERR_AGAIN)
        rig_settle(rig);
    assert_non_null(fetch.chunk);
    assert_int_equal(message_record_get(&fetch.record, &message), 0);
    snprintf(ret_text, size, "%.*s|%.*s", BYTES_ARG(message.headers), BYTES_ARG(message.payload));
    chunk_unref(fetch.chunk);
}

static void words_are_heard(void **state)
{
    struct rig *rig = *state;
    begin(rig, 0, "", 2);
    assert_int_equal(state_of(rig).pending, 1); // MaxInflight is 1
    say(rig, "-NAK 1");
    assert_int_equal(heard(rig), 1);
    assert_int_equal(state_of(rig).redelivered, 1);
    say(rig, "-NAK 1 {\"delay\":\"20s\"}");
    assert_int_equal(state_of(rig).pending, 2); // the other one has the place
    assert_int_equal(heard(rig), 1);
    rig_pass(rig, 10);
    assert_int_equal(heard(rig), 0);
    say(rig, "+WPI");
    rig_pass(rig, 12);
    assert_int_equal(heard(rig), 1);
    say(rig, "+WPI 2");
    say(rig, "+WPI 1");
    rig_pass(rig, 20);
    say(rig, "+WPI");
    rig_pass(rig, 20);
    assert_int_equal(heard(rig), 0);
    say(rig, "+TERM 2 bad\r\nword");
    say(rig, "+TERM 1");
    assert_int_equal(state_of(rig).pending, 0);
    assert_int_equal(state_of(rig).dead, 2);
    struct dead_info info;
    assert_int_equal(consumer_dead_list(member_consumer(member(rig)), 2, &info, 1), 1);
    assert_true(bytes_equal(info.text, BYTES("bad\r\nword")));
}

// A delivery that does not count is none of the first, whatever its number says.
static void what_does_not_count_was_sent_all_the_same(void **state)
{
    struct rig *rig = *state;
    struct stan_subscription_view view;
    begin(rig, 0, "", 3);
    say(rig, "-NAK 1 {\"count\":false,\"delay\":\"20s\"}");
    say(rig, "-NAK 2 {\"count\":false,\"delay\":\"25s\"}");
    say(rig, "+TERM 3");
    rig_pass(rig, 22);
    assert_int_equal(heard(rig), 3);
    assert_true(stan_inspect_subscription(rig->stan, member_id(member(rig)), &view));
    assert_int_equal(view.last_sent, 3);
    assert_int_equal(view.redelivered, 1);
    assert_int_equal(state_of(rig).redelivered, 1);
}

static void nonsense_is_not(void **state)
{
    struct rig *rig = *state;
    static const char *const texts[] = {"+TERM",  "-NAK 1 {\"delay\":1",   "+WPI 7 7", "+TERM 2", "-NAK 2",
                                        "+WPI 2", "-NAK 1 {\"delay\":-1}", "hello",    "",        "+ACK"};
    begin(rig, 0, "", 1);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        say(rig, texts[i]);
    assert_int_equal(state_of(rig).pending, 1);
    assert_int_equal(state_of(rig).redelivered, 0);
    assert_int_equal(state_of(rig).dead, 0);
}

static void a_dead_letter_tells_its_story(void **state)
{
    struct rig *rig = *state;
    char text[1024], expected[1024];
    begin(rig, 0, "dead.letters", 0);
    publish_with(rig, "1", BYTES("NATS/1.0\r\nTrace: 7\r\nWeir-Dead-Reason: forged\r\nA:b\r\n\r\n"));
    ready(rig);
    say(rig, "+TERM 1 no\r\nEvil: x");
    assert_int_equal(state_of(rig).dead, 1);
    read_message(rig, "dead.letters", 1, text, sizeof(text));
    struct dead_info info;
    assert_int_equal(consumer_dead_list(member_consumer(member(rig)), 0, &info, 1), 1);
    const char *head = "NATS/1.0\r\nTrace: 7\r\nA: b\r\nWeir-Dead-Stream: channel\r\nWeir-Dead-Sequence: 1\r\n"
                       "Weir-Dead-Message-Time: 1970-01-01T00:16:4";
    const char *tail = "Weir-Dead-Durable: d.1\r\nWeir-Dead-Client: a\r\nWeir-Dead-Attempts: 1\r\n"
                       "Weir-Dead-Reason: terminated\r\nWeir-Dead-Text: no  Evil: x\r\n"
                       "Weir-Dead-Time: 1970-01-01T00:16:4";
    assert_memory_equal(text, head, strlen(head));
    assert_non_null(strstr(text, tail));
    snprintf(expected, sizeof(expected), "Weir-Dead-Hops: 1\r\n\r\n|data");
    assert_string_equal(text + strlen(text) - strlen(expected), expected);
}

static void deliveries_run_out(void **state)
{
    struct rig *rig = *state;
    char text[1024];
    begin(rig, 2, "dead", 1);
    rig_pass(rig, 31);
    rig_pass(rig, 31);
    rig_settle(rig);
    assert_int_equal(state_of(rig).dead, 1);
    read_message(rig, "dead", 1, text, sizeof(text));
    assert_non_null(strstr(text, "Weir-Dead-Attempts: 2\r\nWeir-Dead-Reason: max_deliver\r\nWeir-Dead-Time"));
    assert_null(strstr(text, "Weir-Dead-Text"));
    rig_stop(rig);
    rig_start(rig);
    rig_settle(rig);
    assert_int_equal(state_of(rig).dead, 1);
    assert_non_null(channel(rig, "dead"));
}

static char logged[512];
static size_t logged_lines;

static void keep_line(void *owner, enum log_level level, const char *format, va_list arguments)
{
    (void)owner;
    if (level < LOG_WARN)
        return;
    vsnprintf(logged, sizeof(logged), format, arguments);
    logged_lines++;
}

// What says that it has been through enough channels, and headers that cannot be a block's, neither crash nor circle. Who dies without a
// copy is counted and told of, in one line for many.
static void strange_headers(void **state)
{
    struct rig *rig = *state;
    char text[1024];
    const struct {
        struct bytes headers;
        bool copied;
    } cases[] = {
        {BYTES("NATS/1.0\r\nWeir-Dead-Hops: 16\r\n\r\n"), false},
        {BYTES("NATS/1.0\r\nWeir-Dead-Hops: 15\r\n\r\n"), true},
        {BYTES("NATS/1.0\r\nWeir-Dead-Hops: many\r\n\r\n"), true},
        {BYTES("no block at all"), true},
        {BYTES("NATS/1.0\r\nA name: x\r\n\r\n"), true},
        {BYTES("NATS/1.0\r\nName: a\001b\r\n\r\n"), true},
        {BYTES("NATS/1.0\r\nWeir-Dead-Hops: 16\r\nno field\r\n\r\n"), true},
        {BYTES("NATS/1.0\r\nWeir-Dead-Hops: 16\r\n\r\n"), false},
    };
    struct logger logger = {.level = LOG_WARN, .write = keep_line};
    logged_lines = 0;
    rig->options.logger = &logger;
    begin(rig, 0, "dead", 1);
    say(rig, "+TERM 1");
    uint64_t copies = 1;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char term[16];
        store_with(rig, cases[i].headers);
        ready(rig);
        snprintf(term, sizeof(term), "+TERM %zu", i + 2);
        say(rig, term);
        assert_int_equal(state_of(rig).dead, i + 2);
        copies += cases[i].copied;
        struct stream_state dead = {0};
        if (channel(rig, "dead"))
            stream_state_get(channel(rig, "dead"), &dead);
        assert_int_equal(dead.messages, copies);
    }
    read_message(rig, "dead", 2, text, sizeof(text));
    assert_non_null(strstr(text, "Weir-Dead-Hops: 16\r\n"));
    struct engine_stats stats;
    engine_stats_get(engine(rig), &stats);
    assert_int_equal(stats.not_copied, 2);
    assert_int_equal(logged_lines, 1);
    assert_non_null(
        strstr(logged, "1 dead messages did not get to their dead letter channel, the last one, 2 of channel channel"));
    rig_pass(rig, 61);
    store_with(rig, cases[0].headers);
    ready(rig);
    say(rig, "+TERM 10");
    assert_int_equal(logged_lines, 2);
    assert_non_null(strstr(logged, "2 dead messages"));
    rig_stop(rig);
    rig->options.logger = NULL;
    rig_start(rig);
}

// A publisher cannot say how often its message has died, nor who it died for.
static void nobody_publishes_a_story(void **state)
{
    struct rig *rig = *state;
    char text[1024];
    begin(rig, 0, "dead", 0);
    publish_with(rig, "1", BYTES("NATS/1.0\r\nWeir-Dead-Hops: 16\r\n\r\n"));
    publish_with(rig, "2", BYTES("NATS/1.0 100\r\nWeir-Dead-Hops: 16\r\n\r\n"));
    publish_with(rig, "3", BYTES("NATS/1.0\r\nA:b\r\nWeir-Dead-Hops: 16\r\nC: Weir-Dead-D\r\nWeir-Dead-X: y\r\n\r\n"));
    read_message(rig, "channel", 1, text, sizeof(text));
    assert_string_equal(text, "|data");
    read_message(rig, "channel", 2, text, sizeof(text));
    assert_string_equal(text, "NATS/1.0 100\r\n\r\n|data");
    read_message(rig, "channel", 3, text, sizeof(text));
    assert_string_equal(text, "NATS/1.0\r\nA:b\r\nC: Weir-Dead-D\r\n\r\n|data");
    ready(rig);
    say(rig, "+TERM 1");
    read_message(rig, "dead", 1, text, sizeof(text));
    assert_non_null(strstr(text, "Weir-Dead-Hops: 1\r\n"));
}

static char delivered_headers[256];

static bool hear_headers(struct inlet *inlet, const struct inlet_message *message)
{
    (void)inlet;
    snprintf(delivered_headers, sizeof(delivered_headers), "%.*s", BYTES_ARG(message->headers));
    return true;
}

static void headers_come_with_the_message(void **state)
{
    struct rig *rig = *state;
    struct inlet ear = {.on_message = hear_headers};
    begin(rig, 0, "", 0);
    assert_int_equal(broker_inlet_add(rig->broker, &ear, BYTES("r.inbox")), 0);
    publish_with(rig, "1", BYTES("NATS/1.0\r\nA: b\r\n\r\n"));
    ready(rig);
    assert_string_equal(delivered_headers, "NATS/1.0\r\nA: b\r\n\r\n");
    publish_with(rig, "2", (struct bytes){0});
    say(rig, "+TERM 1");
    assert_string_equal(delivered_headers, "");
    broker_inlet_remove(rig->broker, &ear);
}

// ST-B20 the other way round: nothing unfinished is dropped for what comes.
static void a_full_channel_refuses(void **state)
{
    struct rig *rig = *state;
    rig_stop(rig);
    rig->options.channel.max_msgs = 2;
    rig->options.channel.discard_new = true;
    rig_start(rig);
    rig_connect(rig, "a", "");
    rig_publish(rig, "a", "1", 4, "r.1");
    rig_publish(rig, "a", "2", 4, "r.2");
    rig_publish(rig, "a", "3", 4, "r.3");
    rig_settle(rig);
    rig_expect_heard(rig, "1 ok;2 ok;3 the channel is full of messages that are not acknowledged, nothing was stored;");
    rig_subscribe_durable(rig, "a", "r.inbox", "d", "");
    rig_settle(rig);
    ready(rig);
    rig->heard_len = 0;
    say(rig, "+TERM 1");
    rig->heard_len = 0;
    rig_publish(rig, "a", "3", 4, "r.3");
    rig_publish(rig, "a", "4", 4, "r.4");
    rig_settle(rig);
    rig_expect_heard(rig, "3 ok;4 the channel is full of messages that are not acknowledged, nothing was stored;");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
    const struct CMUnitTest tests[] = {
        T(words_are_heard),          T(what_does_not_count_was_sent_all_the_same),
        T(nonsense_is_not),          T(a_dead_letter_tells_its_story),
        T(deliveries_run_out),       T(strange_headers),
        T(nobody_publishes_a_story), T(headers_come_with_the_message),
        T(a_full_channel_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
