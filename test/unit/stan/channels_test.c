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

// ST-E20: subscriptions. Nothing is left of what was refused.
static void too_many_subscriptions_are_refused(void **state)
{
    struct rig *rig = *state;
    rig_stop(rig);
    rig->options.channel.max_subscriptions = 1;
    rig_start(rig);
    rig_connect(rig, "a", "");
    rig_subscribe(rig, "a", "r.one", false, "r.1");
    rig_subscribe(rig, "a", "r.two", false, "r.2");
    rig_subscribe_durable(rig, "a", "r.three", "durable", "r.3");
    rig_settle(rig);
    rig_expect_heard(rig, "1 ok;2 too many subscriptions per channel;3 too many subscriptions per channel;");
    rig_expect_counts(rig, 1, 1, 1);
}

// --- channels that nobody uses (ST-B21, ST-C14) ------------------------------------------------------------------------

#define MINUTE 60

static void start_with_inactivity(struct rig *rig, uint64_t seconds)
{
    rig_stop(rig);
    rig->options.channel.max_inactivity_ns = seconds * SECOND;
    rig->options.heartbeat_interval_ns = 1000000 * SECOND; // nobody answers them here
    rig_start(rig);
    rig_connect(rig, "a", "");
    rig_settle(rig);
}

static bool is_there(struct rig *rig, const char *name)
{
    return engine_stream_find(shard_engine(rig->shard), 1, bytes_from_string(name)) != NULL;
}

static void a_channel_without_use_is_removed(void **state)
{
    struct rig *rig = *state;
    start_with_inactivity(rig, 10 * MINUTE);
    rig_publish_to(rig, "idle", "a", "1", "");
    rig_publish_to(rig, "fed", "a", "1", "");
    rig_subscribe(rig, "a", "r.inbox", false, "");
    rig_pass(rig, 6 * MINUTE);
    rig_publish_to(rig, "fed", "a", "2", "");
    rig_pass(rig, 6 * MINUTE);
    assert_false(is_there(rig, "idle"));
    assert_true(is_there(rig, "fed"));
    assert_true(is_there(rig, "channel"));
    rig_pass(rig, 100 * MINUTE);
    assert_false(is_there(rig, "fed"));
    assert_true(is_there(rig, "channel"));
    // A new one of the name begins anew.
    rig->heard_len = 0;
    rig_publish_to(rig, "idle", "a", "1", "r.1");
    rig_settle(rig);
    rig_expect_heard(rig, "1 ok;");
    expect_channel(rig, "idle", 1000000, 1);
    // Behind its last subscription it has its time again.
    rig_sub_close(rig, "a", "r.inbox", "");
    rig_pass(rig, 9 * MINUTE);
    assert_true(is_there(rig, "channel"));
    rig_pass(rig, 2 * MINUTE);
    assert_false(is_there(rig, "channel"));
}

static void an_offline_durable_keeps_its_channel(void **state)
{
    struct rig *rig = *state;
    start_with_inactivity(rig, 10 * MINUTE);
    rig_subscribe_durable(rig, "a", "r.inbox", "durable", "");
    rig_settle(rig);
    rig_close(rig, "a", "");
    rig_pass(rig, 100 * MINUTE);
    assert_true(is_there(rig, "channel"));
    rig_connect(rig, "a", "");
    rig_subscribe_durable(rig, "a", "r.inbox", "durable", "");
    rig_settle(rig);
    rig->heard_len = 0;
    rig_unsubscribe(rig, "a", "r.inbox", "r.u");
    rig_settle(rig);
    rig_expect_heard(rig, "u ok;");
    rig_expect_counts(rig, 1, 0, 0);
    rig_pass(rig, 11 * MINUTE);
    assert_false(is_there(rig, "channel"));
}

// ST-E18: between the removal and its being durable.
static void a_channel_that_is_being_removed_is_refused(void **state)
{
    struct rig *rig = *state;
    start_with_inactivity(rig, 10 * MINUTE);
    rig_publish_to(rig, "channel", "a", "1", "");
    rig_settle(rig);
    rig->heard_len = 0;
    rig->now.mono_ns += 11 * MINUTE * SECOND;
    rig->now.wall_ns += 11 * MINUTE * SECOND;
    rig_turn(rig);
    rig_publish_to(rig, "channel", "a", "2", "r.1");
    rig_subscribe(rig, "a", "r.inbox", false, "r.2");
    rig_settle(rig);
    rig_expect_heard(rig, "1 channel is being deleted;2 channel is being deleted;");
    rig_publish_to(rig, "channel", "a", "2", "r.3");
    rig_settle(rig);
    rig_expect_heard(rig, "3 ok;");
    // A disk that refuses the removal leaves the channel; it goes at the next look.
    rig->now.mono_ns += 11 * MINUTE * SECOND;
    rig->now.wall_ns += 11 * MINUTE * SECOND;
    rig_turn(rig);
    assert_false(is_there(rig, "channel"));
    sim_disk_fail(&rig->disk, 1, ERR_NO_SPACE);
    sim_disk_drain(&rig->disk);
    rig_turn(rig);
    assert_true(is_there(rig, "channel"));
    rig_pass(rig, 1);
    assert_false(is_there(rig, "channel"));
}

// A publish that came in time, and is not durable yet, keeps its channel.
static void a_message_on_its_way_keeps_its_channel(void **state)
{
    struct rig *rig = *state;
    start_with_inactivity(rig, 10 * MINUTE);
    rig_publish_to(rig, "channel", "a", "1", "");
    rig_settle(rig);
    rig->heard_len = 0;
    rig->now.mono_ns += 11 * MINUTE * SECOND;
    rig->now.wall_ns += 11 * MINUTE * SECOND;
    broker_turn_begin(rig->broker, rig->now);
    stan_turn_begin(rig->stan, rig->now);
    rig_publish_to(rig, "channel", "a", "2", "r.1");
    rig_turn(rig);
    rig_settle(rig);
    rig_expect_heard(rig, "1 ok;");
    expect_channel(rig, "channel", 1000000, 2);
    rig_pass(rig, 9 * MINUTE);
    assert_true(is_there(rig, "channel"));
    rig_pass(rig, 2 * MINUTE);
    assert_false(is_there(rig, "channel"));
}

static void restart(struct rig *rig)
{
    rig_stop(rig);
    rig_start(rig);
    rig_settle(rig);
}

// Old things are only in the checkpoints by then.
static void restart_behind_checkpoints(struct rig *rig)
{
    for (int i = 0; i < 2; i++) {
        rig_pass_checkpoint(rig, "other", "a");
        restart(rig);
    }
}

// The channel has a subscription for so long.
static void use(struct rig *rig, uint64_t seconds)
{
    rig_subscribe(rig, "a", "r.inbox", false, "");
    rig_settle(rig);
    rig_pass(rig, seconds);
    rig_sub_close(rig, "a", "r.inbox", "");
    rig_settle(rig);
}

// A reload.
static void set_inactivity(struct rig *rig, uint64_t seconds)
{
    rig->options.channel.max_inactivity_ns = seconds * SECOND;
    stan_limits_set(rig->stan, &rig->options.channel, NULL, 0);
    rig_settle(rig);
}

// A restart is no use of a channel, and does not forget what was: a message, or the end of a subscription.
static void inactivity_goes_on_over_restarts(void **state)
{
    struct rig *rig = *state;
    start_with_inactivity(rig, 10 * MINUTE);
    rig_publish_to(rig, "one", "a", "1", "");
    use(rig, 8 * MINUTE);
    restart(rig);
    assert_true(is_there(rig, "one"));
    rig_pass(rig, 3 * MINUTE);
    assert_false(is_there(rig, "one"));
    assert_true(is_there(rig, "channel"));
    restart(rig);
    rig_pass(rig, 6 * MINUTE);
    assert_true(is_there(rig, "channel"));
    rig_pass(rig, 2 * MINUTE);
    assert_false(is_there(rig, "channel"));
    restart(rig);
    assert_false(is_there(rig, "one") || is_there(rig, "channel"));
}

// The same through checkpoints, which are all that a start reads of what was long ago.
static void inactivity_goes_on_over_checkpoints(void **state)
{
    struct rig *rig = *state;
    start_with_inactivity(rig, 10 * MINUTE);
    use(rig, 100 * MINUTE);
    restart_behind_checkpoints(rig);
    assert_true(is_there(rig, "channel"));
    rig_pass(rig, 8 * MINUTE);
    rig_publish_to(rig, "other", "a", "1", "");
    rig_pass(rig, 3 * MINUTE);
    assert_false(is_there(rig, "channel"));
    restart_behind_checkpoints(rig);
    assert_false(is_there(rig, "channel"));
}

// Whatever was there before the limit was has all its time.
static void a_new_limit_counts_from_when_it_came(void **state)
{
    struct rig *rig = *state;
    start_with_inactivity(rig, 0);
    rig_publish_to(rig, "one", "a", "1", "");
    rig_pass(rig, 100 * MINUTE);
    rig->options.channel.max_inactivity_ns = 10 * MINUTE * SECOND;
    restart(rig);
    rig_pass(rig, 9 * MINUTE);
    assert_true(is_there(rig, "one"));
    rig_pass(rig, 2 * MINUTE);
    assert_false(is_there(rig, "one"));
    rig_publish_to(rig, "one", "a", "1", "");
    rig_settle(rig);
    set_inactivity(rig, 0);
    rig_pass(rig, 100 * MINUTE);
    assert_true(is_there(rig, "one"));
}

// While there is no limit nobody notes who leaves; the note of before must not count when the limit comes back.
static void a_limit_that_comes_back_begins_anew(void **state)
{
    struct rig *rig = *state;
    start_with_inactivity(rig, 10 * MINUTE);
    rig_publish_to(rig, "channel", "a", "1", "");
    rig_settle(rig);
    set_inactivity(rig, 0);
    use(rig, 100 * MINUTE);
    set_inactivity(rig, 10 * MINUTE);
    rig_pass(rig, 1);
    assert_true(is_there(rig, "channel"));
    rig_pass(rig, 11 * MINUTE);
    assert_false(is_there(rig, "channel"));
}

// Who starts with a longer limit, to keep what is there, must not lose it by the old one.
static void a_start_with_a_longer_age_takes_nothing_away(void **state)
{
    struct rig *rig = *state;
    rig_stop(rig);
    rig->options.channel.max_age_ns = 600 * SECOND;
    rig_start(rig);
    rig_connect(rig, "a", "");
    rig_settle(rig);
    rig_publish_to(rig, "channel", "a", "1", "");
    rig_publish_to(rig, "channel", "a", "2", "");
    rig_settle(rig);
    rig_stop(rig);
    rig->now.mono_ns += 1200 * SECOND;
    rig->now.wall_ns += 1200 * SECOND;
    rig->options.channel.max_age_ns = 0;
    rig_start(rig);
    rig_settle(rig);
    struct stream_state state_now;
    stream_state_get(engine_stream_find(shard_engine(rig->shard), 1, BYTES("channel")), &state_now);
    assert_int_equal(state_now.messages, 2);
    assert_int_equal(state_now.config.max_age_ns, 0);
}

// --- durables that are taken over (ST-B06, ST-C21) -----------------------------------------------------------------

static void a_durable_in_use_is_refused_or_taken_over(void **state)
{
    struct rig *rig = *state;
    rig_connect(rig, "a", "");
    rig_subscribe_durable(rig, "a", "r.one", "durable", "r.1");
    rig_subscribe_durable(rig, "a", "r.two", "durable", "r.2");
    rig_settle(rig);
    rig_expect_heard(rig, "1 ok;2 duplicate durable registration;");
    rig_stop(rig);
    rig->options.replace_durable = true;
    rig_start(rig);
    rig_settle(rig);
    // Even from one that is not durable yet.
    rig_subscribe_durable(rig, "a", "r.two", "durable", "r.2");
    rig_subscribe_durable(rig, "a", "r.three", "durable", "r.3");
    rig_settle(rig);
    rig_expect_heard(rig, "2 ok;3 ok;");
    rig_expect_counts(rig, 1, 1, 1);
    rig_sub_close(rig, "a", "r.two", "r.4");
    rig_sub_close(rig, "a", "r.three", "r.5");
    rig_settle(rig);
    rig_expect_heard(rig, "4 invalid subscription;5 ok;");
    rig_expect_counts(rig, 1, 0, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
    const struct CMUnitTest tests[] = {
        T(limits_are_those_of_the_name),
        T(rescued_messages_have_no_limits),
        T(too_many_channels_are_refused),
        T(too_many_subscriptions_are_refused),
        T(a_channel_without_use_is_removed),
        T(an_offline_durable_keeps_its_channel),
        T(a_channel_that_is_being_removed_is_refused),
        T(a_message_on_its_way_keeps_its_channel),
        T(inactivity_goes_on_over_restarts),
        T(inactivity_goes_on_over_checkpoints),
        T(a_new_limit_counts_from_when_it_came),
        T(a_limit_that_comes_back_begins_anew),
        T(a_start_with_a_longer_age_takes_nothing_away),
        T(a_durable_in_use_is_refused_or_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
