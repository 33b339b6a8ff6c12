// SPDX-License-Identifier: Apache-2.0
// tidy: prefix config
#include "server/config_channels.h"

#include "base/list.h"
#include "base/must.h"
#include "server/config_blocks.h"
#include "server/units.h"
#include "stan/channel.h"
#include "subject/subject.h"

#define OF_ALL(field)   offsetof(struct config, options.channel.field)
#define OF_ONE(field)   offsetof(struct channel_limit, field)
#define NUMBER          "an integer; 0 or -1: unlimited"
#define SHOWN(text)     text
#define INHERITED(text) "inherited"

static int read_number(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_narrow_number(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_time(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_window(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_grace(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_discard(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_backoff(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_dead_letter(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_channels(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_rule(struct config_reader *reader, const struct conf_member *member, struct channel_rule *rule);
static int read_up_to(struct config_reader *reader, const struct conf_member *member, uint64_t max_ns,
                      const char *wanted, uint64_t *place);
static size_t count_wildcards(const struct options *options);
static bool limit_is_equal(const struct channel_limit *a, const struct channel_limit *b);
static struct bytes move_bytes(struct bytes bytes, struct arena *strings);

// The rows that both blocks have; they differ in what they read into and in the default.
#define CHANNEL_KEYS(LIMIT, DEFAULT)                                                                                   \
    CONFIG_OWN("max_subs,msu,max_subscriptions,maxsubscriptions", NUMBER, LIMIT(max_subscriptions),                    \
               read_narrow_number, CONFIG_RELOAD_YES, DEFAULT("1000"), "subscriptions of a channel"),                  \
        CONFIG_OWN("max_msgs,mm,maxmsgs,max_count,maxcount", NUMBER, LIMIT(max_msgs), read_number, CONFIG_RELOAD_YES,  \
                   DEFAULT("1000000"), "messages in a channel; the oldest go"),                                        \
        CONFIG_OWN("max_bytes,mb,maxbytes", "a size; 0 or -1: unlimited", LIMIT(max_bytes), read_number,               \
                   CONFIG_RELOAD_YES, DEFAULT("1024000000"), "bytes of a channel's messages; the oldest go"),          \
        CONFIG_OWN("max_age,ma,maxage", "a duration; 0: for ever", LIMIT(max_age_ns), read_time, CONFIG_RELOAD_YES,    \
                   DEFAULT("0"), "so long messages are kept"),                                                         \
        CONFIG_OWN("max_inactivity,mi,maxinactivity", "a duration; 0: never", LIMIT(max_inactivity_ns), read_time,     \
                   CONFIG_RELOAD_YES, DEFAULT("0"),                                                                    \
                   "a channel without subscriptions, offline durables included, is removed when it had no message "    \
                   "for so long"),                                                                                     \
        CONFIG_OWN("discard", "old or new", LIMIT(discard_new), read_discard, CONFIG_RELOAD_YES, DEFAULT("old"),       \
                   "what a full channel does: drop its oldest messages, or refuse new ones and drop only what "        \
                   "everybody has finished"),                                                                          \
        CONFIG_OWN("max_deliver", NUMBER, LIMIT(max_deliver), read_narrow_number, CONFIG_RELOAD_YES, DEFAULT("0"),     \
                   "deliveries of a message to a durable or group, then it is dead"),                                  \
        CONFIG_OWN("backoff", "a duration, or an array of up to 16", LIMIT(backoff_ns), read_backoff,                  \
                   CONFIG_RELOAD_YES, DEFAULT("[]"),                                                                   \
                   "the least time from a delivery to the next one; the last one repeats"),                            \
        CONFIG_OWN("dead_letter", "a channel's name; empty: none", LIMIT(dead_letter), read_dead_letter,               \
                   CONFIG_RELOAD_YES, DEFAULT("\"\""), "the channel that gets dead messages"),                         \
        CONFIG_OWN("duplicate_window", "a duration, up to 168h; 0: none", LIMIT(duplicate_window_ns), read_window,     \
                   CONFIG_RELOAD_YES, DEFAULT("2m"), "in which a repeated publish is stored once"),                    \
        CONFIG_OWN("disconnect_grace", "a duration, up to 24h; 0: none", LIMIT(disconnect_grace_ns), read_grace,       \
                   CONFIG_RELOAD_YES, DEFAULT("5s"), "so long a lost client keeps its messages"),

static const struct config_key limits_keys[] = {
    CONFIG_OWN("max_channels,mc,maxchannels", NUMBER, offsetof(struct config, options.max_channels), read_narrow_number,
               CONFIG_RELOAD_NO, "100", "channels"),
    CHANNEL_KEYS(OF_ALL, SHOWN) CONFIG_OWN("channels,channels_limits,channelslimits,per_channel,per_channel_limits",
                                           "a map of channels", 0, read_channels, CONFIG_RELOAD_YES, NULL,
                                           "what counts for single channels: see [channels](#streaming-channels)"),
};
static const struct config_key channel_keys[] = {CHANNEL_KEYS(OF_ONE, INHERITED)};

const struct config_block config_store_limits_block = CONFIG_BLOCK_OF("streaming store_limits", limits_keys);
const struct config_block config_channel_block = CONFIG_BLOCK_OF("streaming channels", channel_keys);

// Which values of a rule are its own, by the places of its keys.
static const struct {
    size_t offset;
    enum channel_given given;
} givings[] = {
    {OF_ONE(max_subscriptions), CHANNEL_GIVES_SUBSCRIPTIONS},
    {OF_ONE(max_msgs), CHANNEL_GIVES_MSGS},
    {OF_ONE(max_bytes), CHANNEL_GIVES_BYTES},
    {OF_ONE(max_age_ns), CHANNEL_GIVES_AGE},
    {OF_ONE(max_inactivity_ns), CHANNEL_GIVES_INACTIVITY},
    {OF_ONE(duplicate_window_ns), CHANNEL_GIVES_WINDOW},
    {OF_ONE(disconnect_grace_ns), CHANNEL_GIVES_GRACE},
    {OF_ONE(discard_new), CHANNEL_GIVES_DISCARD},
    {OF_ONE(max_deliver), CHANNEL_GIVES_DELIVERIES},
    {OF_ONE(backoff_ns), CHANNEL_GIVES_BACKOFF},
    {OF_ONE(dead_letter), CHANNEL_GIVES_DEAD_LETTER},
};

int config_channels_check(struct config_reader *reader)
{
    const struct config *config = reader->config;
    const struct options *options = &config->options;
    size_t wildcards = count_wildcards(options), plain = options->channel_rule_count - wildcards;
    if (options->max_channels && plain > options->max_channels)
        return config_reader_fail(reader, config->channels_place,
                                  "channels: %zu are named here, but max_channels is %u: no more can be made", plain,
                                  options->max_channels);
    if (wildcards > CHANNEL_RULES_WILDCARD_MAX)
        return config_reader_fail(reader, config->channels_place, "channels: %zu names with wildcards; %d may be",
                                  wildcards, CHANNEL_RULES_WILDCARD_MAX);
    struct channel_limits *limits =
        channel_limits_new(&options->channel, options->channel_rules, options->channel_rule_count);
    struct bytes circle = channel_limits_find_circle(limits);
    int error = 0;
    if (circle.len)
        error =
            config_reader_fail(reader, config->channels_place,
                               "dead_letter: dead messages of \"%.*s\" would go from channel to channel for ever, or "
                               "through more than %d",
                               BYTES_ARG(circle), CHANNEL_DEAD_LETTERS_MAX);
    channel_limits_free(limits);
    return error;
}

void config_channels_move(struct options *options, struct arena *strings)
{
    struct channel_rule *rules = arena_alloc(strings, (options->channel_rule_count + 1) * sizeof(*rules));
    must(rules); // they fitted into the other, as do the strings
    options->channel.dead_letter = move_bytes(options->channel.dead_letter, strings);
    for (size_t i = 0; i < options->channel_rule_count; i++) {
        rules[i] = options->channel_rules[i];
        rules[i].pattern = move_bytes(rules[i].pattern, strings);
        rules[i].limit.dead_letter = move_bytes(rules[i].limit.dead_letter, strings);
    }
    options->channel_rules = rules;
}

bool config_channels_equal(const struct options *a, const struct options *b)
{
    bool same = a->channel_rule_count == b->channel_rule_count && limit_is_equal(&a->channel, &b->channel);
    for (size_t i = 0; i < a->channel_rule_count && same; i++) {
        const struct channel_rule *rule_a = &a->channel_rules[i], *rule_b = &b->channel_rules[i];
        same = bytes_equal(rule_a->pattern, rule_b->pattern) && limit_is_equal(&rule_a->limit, &rule_b->limit);
    }
    return same;
}

// -1 is another way to say unlimited.
static int read_number(struct config_reader *reader, const struct conf_member *member, void *target)
{
    int64_t number;
    int error = config_reader_integer(reader, member, -1, INT64_MAX, &number);
    if (!error)
        *(uint64_t *)target = number < 0 ? 0 : (uint64_t)number;
    return error;
}

static int read_narrow_number(struct config_reader *reader, const struct conf_member *member, void *target)
{
    int64_t number;
    int error = config_reader_integer(reader, member, -1, UINT32_MAX, &number);
    if (!error)
        *(uint32_t *)target = number < 0 ? 0 : (uint32_t)number;
    return error;
}

static int read_time(struct config_reader *reader, const struct conf_member *member, void *target)
{
    const struct conf_value *value = &member->value;
    if ((value->type == CONF_STRING || value->type == CONF_INTEGER) && value->text.len && value->text.ptr[0] == '-') {
        *(uint64_t *)target = 0;
        return 0;
    }
    return config_reader_duration(reader, member, target);
}

static int read_window(struct config_reader *reader, const struct conf_member *member, void *target)
{
    return read_up_to(reader, member, 7 * DAY, "a duration of at most \"168h\"", target);
}

static int read_grace(struct config_reader *reader, const struct conf_member *member, void *target)
{
    return read_up_to(reader, member, DAY, "a duration of at most \"24h\"", target);
}

static int read_up_to(struct config_reader *reader, const struct conf_member *member, uint64_t max_ns,
                      const char *wanted, uint64_t *place)
{
    uint64_t ns;
    int error = config_reader_duration(reader, member, &ns);
    if (!error && ns > max_ns)
        return config_reader_refuse(reader, member, wanted);
    if (!error)
        *place = ns;
    return error;
}

static int read_discard(struct config_reader *reader, const struct conf_member *member, void *target)
{
    bool is_new = bytes_equal_fold(member->value.text, BYTES("new"));
    if (member->value.type != CONF_STRING || (!is_new && !bytes_equal_fold(member->value.text, BYTES("old"))))
        return config_reader_refuse(reader, member, "old or new");
    *(bool *)target = is_new;
    return 0;
}

static int read_backoff(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct channel_limit *limit = container_of(target, struct channel_limit, backoff_ns);
    const struct conf_value *value = &member->value;
    bool is_list = value->type == CONF_ARRAY;
    if (is_list && value->count > STREAM_BACKOFF_MAX)
        return config_reader_refuse(reader, member, "an array of at most 16 durations");
    limit->backoff_count = 0;
    for (const struct conf_member *item = is_list ? value->first : member; item; item = is_list ? item->next : NULL) {
        struct conf_member named = *item;
        uint64_t ns;
        named.name = member->name;
        int error = config_reader_duration(reader, &named, &ns);
        if (error)
            return error;
        limit->backoff_ns[limit->backoff_count++] = ns;
    }
    return 0;
}

static int read_dead_letter(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct bytes name = member->value.text;
    if (member->value.type != CONF_STRING || (name.len && !channel_name_is_valid(name)))
        return config_reader_refuse(reader, member, "the name of a channel, without wildcards,");
    *(struct bytes *)target = name;
    return 0;
}

static int read_channels(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct options *options = &reader->config->options;
    if (config_reader_map(reader, member))
        return ERR_INVALID;
    if (member->value.count > CHANNEL_RULES_MAX)
        return config_reader_fail(reader, member->place, "%s: %zu channels; %d may be", member->name.ptr,
                                  member->value.count, CHANNEL_RULES_MAX);
    struct channel_rule *rules = config_reader_alloc(reader, (member->value.count + 1) * sizeof(*rules));
    size_t count = 0;
    for (const struct conf_member *channel = member->value.first; channel; channel = channel->next) {
        if (channel->used && channel->value.type != CONF_MAP)
            continue; // a variable
        int error = read_rule(reader, channel, &rules[count++]);
        if (error)
            return error;
    }
    options->channel_rules = rules;
    options->channel_rule_count = count;
    reader->config->channels_place = member->place;
    return 0;
}

static int read_rule(struct config_reader *reader, const struct conf_member *member, struct channel_rule *rule)
{
    *rule = (struct channel_rule){.pattern = member->name};
    if (!channel_limits_is_pattern(member->name))
        return config_reader_fail(
            reader, member->place,
            "channels: invalid channel name; a name, in which tokens between dots may be * and the last one >, is "
            "expected");
    if (config_reader_map(reader, member))
        return ERR_INVALID;
    int error = config_reader_apply(reader, &config_channel_block, &member->value, &rule->limit);
    for (const struct conf_member *given = member->value.first; given && !error; given = given->next) {
        const struct config_key *key = config_key_find(&config_channel_block, given->name);
        for (size_t i = 0; key && i < sizeof(givings) / sizeof(givings[0]); i++)
            rule->limit.given |= givings[i].offset == key->offset ? givings[i].given : 0;
    }
    return error;
}

static size_t count_wildcards(const struct options *options)
{
    size_t count = 0;
    for (size_t i = 0; i < options->channel_rule_count; i++)
        count += subject_has_wildcard(options->channel_rules[i].pattern);
    return count;
}

static bool limit_is_equal(const struct channel_limit *a, const struct channel_limit *b)
{
    return a->given == b->given && a->max_subscriptions == b->max_subscriptions && a->max_msgs == b->max_msgs &&
           a->max_bytes == b->max_bytes && a->max_age_ns == b->max_age_ns &&
           a->max_inactivity_ns == b->max_inactivity_ns && a->duplicate_window_ns == b->duplicate_window_ns &&
           a->disconnect_grace_ns == b->disconnect_grace_ns && a->discard_new == b->discard_new &&
           a->max_deliver == b->max_deliver && a->backoff_count == b->backoff_count &&
           memcmp(a->backoff_ns, b->backoff_ns, a->backoff_count * sizeof(a->backoff_ns[0])) == 0 &&
           bytes_equal(a->dead_letter, b->dead_letter);
}

static struct bytes move_bytes(struct bytes bytes, struct arena *strings)
{
    struct bytes copy = arena_copy(strings, bytes);
    must(copy.ptr || bytes.len == 0);
    return copy;
}
