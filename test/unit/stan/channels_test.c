// SPDX-License-Identifier: Apache-2.0
// Channels get what the configuration has for their names (ST-C15): when they are made, at a start with other rules, at a reload.
#include "base/memory.h"
#include "rig.h"

static struct channel_rule rule(const char *pattern, uint64_t max_msgs)
{
    struct channel_rule rule = {.pattern = bytes_from_string(pattern)};
    rule.limit.max_msgs = max_msgs;
    rule.limit.given = CHANNEL_GIVES_MSGS;
    return rule;
}

static void expect_channel(struct rig *rig, const char *name, uint64_t max_msgs, uint64_t messages)
{
    struct stream *stream = engine_stream_find(shard_engine(rig->shard), 1, bytes_from_string(name));
    assert_non_null(stream);
    struct stream_state state;
    stream_state_get(stream, &state);
    assert_int_equal(state.config.max_msgs, max_msgs);
    assert_int_equal(state.messages, messages);
}

static void limits_are_those_of_the_name(void **state)
{
    struct rig *rig = *state;
    const struct channel_rule rules[] = {rule("jobs.>", 2), rule("jobs.all", 0)};
    rig_stop(rig);
    rig->options.rules = rules;
    rig->options.rule_count = 2;
    rig_start(rig);
    rig_connect(rig, "a", "");
    const char *guids[] = {"1", "2", "3", "4"};
    for (size_t i = 0; i < 4; i++) {
        rig_publish_to(rig, "jobs.some", "a", guids[i], "");
        rig_publish_to(rig, "jobs.all", "a", guids[i], "");
        rig_publish_to(rig, "other", "a", guids[i], "");
    }
    rig_settle(rig);
    expect_channel(rig, "jobs.some", 2, 2);
    expect_channel(rig, "jobs.all", 0, 4);
    expect_channel(rig, "other", 1000000, 4);
    // Whoever is only named is not there (as in nats-streaming-server).
    assert_null(engine_stream_find(shard_engine(rig->shard), 1, BYTES("jobs.>")));
    // Other rules at the next start: for the channels that are there, too.
    rig_stop(rig);
    const struct channel_rule others[] = {rule("*.all", 1)};
    rig->options.rules = others;
    rig->options.rule_count = 1;
    rig->options.channel.max_msgs = 3;
    rig_start(rig);
    rig_settle(rig);
    expect_channel(rig, "jobs.some", 3, 2);
    expect_channel(rig, "jobs.all", 1, 1);
    expect_channel(rig, "other", 3, 3);
    // And at a reload.
    rig->options.channel.max_msgs = 0;
    rig_turn(rig);
    stan_limits_set(rig->stan, &rig->options.channel, rules, 2);
    rig_settle(rig);
    expect_channel(rig, "jobs.some", 2, 2);
    expect_channel(rig, "jobs.all", 0, 1);
    expect_channel(rig, "other", 0, 3);
}

// What is found without its name after damage is nobody's to limit.
static void rescued_messages_have_no_limits(void **state)
{
    struct rig *rig = *state;
    struct stream_config config = {.account = 1, .name = BYTES("weir.lost.stream.7")};
    struct stream *stream;
    uint64_t index;
    struct engine_time now = {rig->now.mono_ns, rig->now.wall_ns};
    assert_int_equal(engine_stream_create(shard_engine(rig->shard), &config, now, &stream, &index), 0);
    rig_settle(rig);
    rig_stop(rig);
    rig->options.channel.max_msgs = 3;
    rig_start(rig);
    rig_settle(rig);
    expect_channel(rig, "weir.lost.stream.7", 0, 0);
}

// ST-E20: channels.
static void too_many_channels_are_refused(void **state)
{
    struct rig *rig = *state;
    rig_stop(rig);
    rig->options.max_channels = 1;
    rig_start(rig);
    rig_connect(rig, "a", "");
    rig_publish_to(rig, "one", "a", "1", "r.1");
    rig_publish_to(rig, "two", "a", "2", "r.2");
    rig_publish_to(rig, "one", "a", "3", "r.3");
    rig_subscribe(rig, "a", "r.inbox", false, "r.4");
    rig_settle(rig);
    rig_expect_heard(rig, "1 ok;2 too many channels;3 ok;4 too many channels;");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
    const struct CMUnitTest tests[] = {
        T(limits_are_those_of_the_name),
        T(rescued_messages_have_no_limits),
        T(too_many_channels_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
