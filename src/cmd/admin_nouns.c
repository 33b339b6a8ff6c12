// SPDX-License-Identifier: Apache-2.0
// The commands of operators: weir channel, group, msg, dlq and client. Tables; admin_command.c does the work.
// tidy: prefix channel group msg dlq client
#include "cmd/admin_payload.h"
#include "cmd/admin_redrive.h"
#include "cmd/commands.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define WORD(shown_, field_, ...)                                                                                      \
    {                                                                                                                  \
        .shown = shown_, .field = field_, __VA_ARGS__                                                                  \
    }
#define CHANNEL     WORD("CHANNEL", "channel", .by_id = true)
#define GROUP       CHANNEL, WORD("GROUP", "group", .by_id = true)
#define MATCH       WORD("MATCH", "match", .optional = true)
#define ANY_CHANNEL WORD("CHANNEL", "channel", .optional = true)
#define SEQUENCES   WORD("SEQUENCE", "sequences", .type = ADMIN_NUMBER, .optional = true, .is_list = true)
#define CURSOR                                                                                                         \
    {                                                                                                                  \
        "next", "after"                                                                                                \
    }

// Which group, for verbs with GROUP.
#define GROUP_OPTIONS                                                                                                  \
    {"id", "group_id", ADMIN_NUMBER, "N", "the group by its number, instead of CHANNEL and GROUP"},                    \
    {                                                                                                                  \
        "client", "client_id", ADMIN_TEXT, "ID", "of a durable or plain subscription: whose"                           \
    }

static const struct admin_option group_options[] = {GROUP_OPTIONS, {0}};
static const struct admin_option match_options[] = {
    {"match", "match", ADMIN_TEXT, "PATTERN", "only channels of this name; may have wildcards (jobs.>)"}, {0}};
static const struct admin_option for_options[] = {
    {"for", "for_ms", ADMIN_DURATION, "TIME", "and go on by itself after that (10m); without it, when it is resumed"},
    {0}};
static const struct admin_option force_options[] = {
    {"force", "force", ADMIN_TRUE, NULL, "also while it has subscribers"}, {0}};

// --- channels

#define CHANNEL_CONFIG_OPTIONS                                                                                         \
    {"max_msgs", "config.max_msgs", ADMIN_NUMBER, "N", "messages; 0: no limit, as in the next ones"},                  \
        {"max_bytes", "config.max_bytes", ADMIN_SIZE, "SIZE", "bytes of messages"},                                    \
        {"max_age", "config.max_age_ms", ADMIN_DURATION, "TIME", "age of messages"},                                   \
        {"max_subs", "config.max_subs", ADMIN_NUMBER, "N", "subscriptions"},                                           \
        {"max_inactivity", "config.max_inactivity_ms", ADMIN_DURATION, "TIME", "removed when unused for so long"},     \
        {"discard", "config.discard", ADMIN_TEXT, "old|new", "what goes when it is full"},                             \
        {"max_deliver", "config.max_deliver", ADMIN_NUMBER, "N", "deliveries of a message before it is dead"},         \
        {"backoff", "config.backoff_ms", ADMIN_DURATIONS, "TIMES", "waits between deliveries: 1s,10s,1m"},             \
        {"dead_letter", "config.dead_letter", ADMIN_TEXT, "NAME", "channel that gets what dies"},                      \
        {"disconnect_grace", "config.disconnect_grace_ms", ADMIN_DURATION, "TIME",                                     \
         "how long a lost worker keeps its messages"},                                                                 \
    {                                                                                                                  \
        "duplicate_window", "config.duplicate_window_ms", ADMIN_DURATION, "TIME",                                      \
            "how long message ids are remembered"                                                                      \
    }

static const struct admin_option create_options[] = {CHANNEL_CONFIG_OPTIONS, {0}};
static const struct admin_option edit_options[] = {
    CHANNEL_CONFIG_OPTIONS, {"reset", "reset", ADMIN_TRUE, NULL, "back to what the configuration file says"}, {0}};
static const struct admin_option purge_options[] = {
    {"all", "all", ADMIN_TRUE, NULL, "all messages"},
    {"before_sequence", "before_sequence", ADMIN_NUMBER, "N", "those below this sequence"},
    {"before_time", "before_time", ADMIN_TEXT, "TIME", "those published before (2026-11-23T08:00:00Z)"},
    {"keep", "keep", ADMIN_NUMBER, "N", "all but the newest N"},
    {0}};

static const struct admin_column channel_columns[] = {{"CHANNEL", "channel", ADMIN_SHOW_TEXT},
                                                      {"MESSAGES", "messages", ADMIN_SHOW_COUNT},
                                                      {"BYTES", "bytes", ADMIN_SHOW_SIZE},
                                                      {"WAITING", "waiting.messages", ADMIN_SHOW_COUNT},
                                                      {"IN FLIGHT", "in_flight.messages", ADMIN_SHOW_COUNT},
                                                      {"DEAD", "dead.messages", ADMIN_SHOW_COUNT},
                                                      {"GROUPS", "groups", ADMIN_SHOW_COUNT},
                                                      {"MEMBERS", "members", ADMIN_SHOW_COUNT},
                                                      {"paused", "paused", ADMIN_SHOW_FLAG},
                                                      {0}};
static const struct admin_column channel_fields[] = {
    {"Channel", "channel", ADMIN_SHOW_TEXT},
    {"Number", "id", ADMIN_SHOW_COUNT},
    {"Messages", "messages", ADMIN_SHOW_COUNT},
    {"Bytes", "bytes", ADMIN_SHOW_SIZE},
    {"First sequence", "first_sequence", ADMIN_SHOW_COUNT},
    {"  published", "first_time", ADMIN_SHOW_TEXT},
    {"Last sequence", "last_sequence", ADMIN_SHOW_COUNT},
    {"  published", "last_time", ADMIN_SHOW_TEXT},
    {"Published ever", "published", ADMIN_SHOW_COUNT},
    {"Groups", "groups", ADMIN_SHOW_COUNT},
    {"Members", "members", ADMIN_SHOW_COUNT},
    {"Waiting", "waiting.messages", ADMIN_SHOW_COUNT},
    {"  bytes", "waiting.bytes", ADMIN_SHOW_SIZE},
    {"In flight", "in_flight.messages", ADMIN_SHOW_COUNT},
    {"  bytes", "in_flight.bytes", ADMIN_SHOW_SIZE},
    {"Dead", "dead.messages", ADMIN_SHOW_COUNT},
    {"Paused", "paused", ADMIN_SHOW_TEXT},
    {"  until", "paused_until", ADMIN_SHOW_TEXT},
    {"Edited", "edited", ADMIN_SHOW_TEXT},
    {"max_msgs", "config.max_msgs", ADMIN_SHOW_LIMIT},
    {"max_bytes", "config.max_bytes", ADMIN_SHOW_SIZE_LIMIT},
    {"max_age", "config.max_age_ms", ADMIN_SHOW_AGE_LIMIT},
    {"max_subs", "config.max_subs", ADMIN_SHOW_LIMIT},
    {"max_inactivity", "config.max_inactivity_ms", ADMIN_SHOW_AGE_LIMIT},
    {"discard", "config.discard", ADMIN_SHOW_TEXT},
    {"max_deliver", "config.max_deliver", ADMIN_SHOW_LIMIT},
    {"dead_letter", "config.dead_letter", ADMIN_SHOW_TEXT},
    {"disconnect_grace", "config.disconnect_grace_ms", ADMIN_SHOW_AGE},
    {"duplicate_window", "config.duplicate_window_ms", ADMIN_SHOW_AGE},
    {0}};
static const struct admin_column purge_fields[] = {{"Purged", "purged.messages", ADMIN_SHOW_COUNT},
                                                   {"  bytes", "purged.bytes", ADMIN_SHOW_SIZE},
                                                   {"Messages left", "channel.messages", ADMIN_SHOW_COUNT},
                                                   {0}};
static const struct admin_column removed_fields[] = {{"Removed", "removed", ADMIN_SHOW_TEXT}, {0}};

static const struct admin_verb channel_verbs[] = {
    {.name = "ls",
     .request = "CHANNEL.LIST",
     .help = "lists channels with what is pending",
     .arguments = {MATCH},
     .list = "channels",
     .cursor = CURSOR,
     .columns = channel_columns},
    {.name = "info",
     .request = "CHANNEL.INFO",
     .help = "shows one, with its limits",
     .arguments = {CHANNEL},
     .columns = channel_fields},
    {.name = "create",
     .request = "CHANNEL.CREATE",
     .help = "makes one; limits not given are the configuration's",
     .arguments = {CHANNEL},
     .options = create_options,
     .columns = channel_fields},
    {.name = "edit",
     .request = "CHANNEL.EDIT",
     .help = "changes the limits given",
     .arguments = {CHANNEL},
     .options = edit_options,
     .columns = channel_fields},
    {.name = "pause",
     .request = "CHANNEL.PAUSE",
     .help = "stops deliveries to all of its groups; publishing goes on",
     .arguments = {CHANNEL},
     .options = for_options,
     .columns = channel_fields},
    {.name = "resume",
     .request = "CHANNEL.RESUME",
     .help = "lets deliveries go on",
     .arguments = {CHANNEL},
     .columns = channel_fields},
    {.name = "purge",
     .request = "CHANNEL.PURGE",
     .help = "removes messages, for every group",
     .arguments = {CHANNEL},
     .options = purge_options,
     .question = "This removes messages, also those that nobody has finished.",
     .columns = purge_fields},
    {.name = "rm",
     .request = "CHANNEL.RM",
     .help = "removes the channel with its groups and messages",
     .arguments = {CHANNEL},
     .options = force_options,
     .question = "This removes the channel with its groups and messages.",
     .columns = removed_fields},
};

static const struct admin_noun noun_channel = {
    "channel", "Channels: what they hold, how they are limited, and whether they deliver.", channel_verbs,
    COUNT_OF(channel_verbs)};

// --- groups

static const struct admin_option group_for_options[] = {
    GROUP_OPTIONS,
    {"for", "for_ms", ADMIN_DURATION, "TIME", "and go on by itself after that (10m); without it, when it is resumed"},
    {0}};
static const struct admin_option group_force_options[] = {
    GROUP_OPTIONS, {"force", "force", ADMIN_TRUE, NULL, "also while it has members"}, {0}};
static const struct admin_option seek_options[] = {
    GROUP_OPTIONS,
    {"to", "to", ADMIN_TEXT, "first|last|new", "the first message there is, the last, or what comes from now on"},
    {"to_sequence", "to_sequence", ADMIN_NUMBER, "N", "this message, or the next that there is"},
    {"to_time", "to_time", ADMIN_TEXT, "TIME", "the first published then or later (2026-11-23T08:00:00Z)"},
    {0}};

static const struct admin_column group_columns[] = {{"CHANNEL", "channel", ADMIN_SHOW_TEXT},
                                                    {"GROUP", "group", ADMIN_SHOW_TEXT},
                                                    {"KIND", "kind", ADMIN_SHOW_TEXT},
                                                    {"CLIENT", "client_id", ADMIN_SHOW_TEXT},
                                                    {"WAITING", "waiting.messages", ADMIN_SHOW_COUNT},
                                                    {"BYTES", "waiting.bytes", ADMIN_SHOW_SIZE},
                                                    {"OLDEST", "waiting.oldest_age_ms", ADMIN_SHOW_AGE},
                                                    {"IN FLIGHT", "in_flight.messages", ADMIN_SHOW_COUNT},
                                                    {"OLDEST", "in_flight.oldest_age_ms", ADMIN_SHOW_AGE},
                                                    {"DEAD", "dead.messages", ADMIN_SHOW_COUNT},
                                                    {"MEMBERS", "members", ADMIN_SHOW_COUNT},
                                                    {"ID", "group_id", ADMIN_SHOW_COUNT},
                                                    {"paused", "paused", ADMIN_SHOW_FLAG},
                                                    {0}};
static const struct admin_column group_fields[] = {{"Channel", "channel", ADMIN_SHOW_TEXT},
                                                   {"Group", "group", ADMIN_SHOW_TEXT},
                                                   {"Number", "group_id", ADMIN_SHOW_COUNT},
                                                   {"Kind", "kind", ADMIN_SHOW_TEXT},
                                                   {"Durable", "durable", ADMIN_SHOW_TEXT},
                                                   {"Client", "client_id", ADMIN_SHOW_TEXT},
                                                   {"Paused", "paused", ADMIN_SHOW_TEXT},
                                                   {"  until", "paused_until", ADMIN_SHOW_TEXT},
                                                   {"Next sequence", "next_sequence", ADMIN_SHOW_COUNT},
                                                   {"Finished up to", "ack_floor", ADMIN_SHOW_COUNT},
                                                   {"Waiting", "waiting.messages", ADMIN_SHOW_COUNT},
                                                   {"  bytes", "waiting.bytes", ADMIN_SHOW_SIZE},
                                                   {"  oldest", "waiting.oldest_age_ms", ADMIN_SHOW_AGE},
                                                   {"In flight", "in_flight.messages", ADMIN_SHOW_COUNT},
                                                   {"  bytes", "in_flight.bytes", ADMIN_SHOW_SIZE},
                                                   {"  oldest", "in_flight.oldest_age_ms", ADMIN_SHOW_AGE},
                                                   {"  delayed", "delayed.messages", ADMIN_SHOW_COUNT},
                                                   {"Dead", "dead.messages", ADMIN_SHOW_COUNT},
                                                   {"Delivered", "delivered", ADMIN_SHOW_COUNT},
                                                   {"Redelivered", "redelivered", ADMIN_SHOW_COUNT},
                                                   {"Acknowledged", "acked", ADMIN_SHOW_COUNT},
                                                   {0}};
static const struct admin_column member_columns[] = {{"MEMBER", "member", ADMIN_SHOW_COUNT},
                                                     {"CLIENT", "client_id", ADMIN_SHOW_TEXT},
                                                     {"CID", "cid", ADMIN_SHOW_COUNT},
                                                     {"STATE", "state", ADMIN_SHOW_TEXT},
                                                     {"HOLDS", "in_flight.messages", ADMIN_SHOW_COUNT},
                                                     {"BYTES", "in_flight.bytes", ADMIN_SHOW_SIZE},
                                                     {"FOR", "in_flight.oldest_held_ms", ADMIN_SHOW_AGE},
                                                     {"OLDEST", "in_flight.oldest_sequence", ADMIN_SHOW_COUNT},
                                                     {"MAX", "max_in_flight", ADMIN_SHOW_COUNT},
                                                     {"ACK WAIT", "ack_wait_ms", ADMIN_SHOW_AGE},
                                                     {0}};

static void show_group(const json_t *answer, FILE *out)
{
    const json_t *members = json_object_get(answer, "members");
    admin_show_fields(answer, group_fields, out);
    if (!json_is_array(members))
        return;
    fputs("\nMembers\n", out);
    admin_show_table(members, member_columns, out);
}

static const struct admin_verb group_verbs[] = {
    {.name = "ls",
     .request = "GROUP.LIST",
     .help = "lists groups with what they have to do",
     .arguments = {ANY_CHANNEL},
     .options = match_options,
     .list = "groups",
     .cursor = CURSOR,
     .columns = group_columns},
    {.name = "info",
     .request = "GROUP.INFO",
     .help = "shows one, with its members and what they hold",
     .arguments = {GROUP},
     .options = group_options,
     .show = show_group},
    {.name = "pause",
     .request = "GROUP.PAUSE",
     .help = "stops deliveries to it",
     .arguments = {GROUP},
     .options = group_for_options,
     .show = show_group},
    {.name = "resume",
     .request = "GROUP.RESUME",
     .help = "lets deliveries go on",
     .arguments = {GROUP},
     .options = group_options,
     .show = show_group},
    {.name = "seek",
     .request = "GROUP.SEEK",
     .help = "lets it begin anew elsewhere; what is out is forgotten",
     .arguments = {GROUP},
     .options = seek_options,
     .question = "The group forgets its position and what is out, and begins there anew.",
     .show = show_group},
    {.name = "rm",
     .request = "GROUP.RM",
     .help = "removes it with its position",
     .arguments = {GROUP},
     .options = group_force_options,
     .question = "This removes the group with its position.",
     .columns = removed_fields},
};

static const struct admin_noun noun_group = {
    "group", "Groups: queue groups, durables and plain subscriptions, each with a position in a channel.", group_verbs,
    COUNT_OF(group_verbs)};

// --- messages

static const struct admin_option list_options[] = {
    GROUP_OPTIONS,
    {"state", "state", ADMIN_TEXT, "STATE", "stored, waiting, in_flight, redelivery, delayed or dead"},
    {"from", "from_sequence", ADMIN_NUMBER, "N", "from this sequence on"},
    {0}};
static const struct admin_option get_options[] = {
    {"max_bytes", "max_bytes", ADMIN_SIZE, "SIZE", "at most so much of the payload (64K)"}, {0}};
static const struct admin_option release_options[] = {
    GROUP_OPTIONS,
    {"member", "member", ADMIN_NUMBER, "N", "all that this member holds, instead of SEQUENCE"},
    {"delay", "delay_ms", ADMIN_DURATION, "TIME", "not before that time is over"},
    {"count", "count", ADMIN_TRUE, NULL, "the delivery was an attempt"},
    {0}};
static const struct admin_option kill_options[] = {
    GROUP_OPTIONS, {"reason", "reason", ADMIN_TEXT, "TEXT", "kept with it, up to 256 bytes"}, {0}};

static const struct admin_column message_columns[] = {
    {"SEQUENCE", "sequence", ADMIN_SHOW_COUNT}, {"STATE", "state", ADMIN_SHOW_TEXT},
    {"AGE", "age_ms", ADMIN_SHOW_AGE},          {"SIZE", "size", ADMIN_SHOW_SIZE},
    {"ATTEMPTS", "attempts", ADMIN_SHOW_COUNT}, {"CLIENT", "client_id", ADMIN_SHOW_TEXT},
    {"HELD", "held_ms", ADMIN_SHOW_AGE},        {"LEFT", "deadline_ms", ADMIN_SHOW_AGE},
    {"REASON", "reason", ADMIN_SHOW_TEXT},      {0}};
static const struct admin_column released_fields[] = {
    {"Released", "released", ADMIN_SHOW_COUNT}, {"Killed", "killed", ADMIN_SHOW_COUNT}, {0}};

static void show_changed(const json_t *answer, FILE *out)
{
    const json_t *missing = json_object_get(answer, "not_found"), *sequence;
    size_t i;
    admin_show_fields(answer, released_fields, out);
    if (json_array_size(missing) == 0)
        return;
    fputs("Not there (finished, or not delivered):", out);
    json_array_foreach(missing, i, sequence) fprintf(out, " %lld", json_integer_value(sequence));
    fputc('\n', out);
}

static const struct admin_verb msg_verbs[] = {
    {.name = "ls",
     .request = "MSG.LIST",
     .help = "lists messages: all that are stored, or a group's by state",
     .arguments = {CHANNEL, WORD("GROUP", "group", .optional = true, .by_id = true)},
     .options = list_options,
     .list = "messages",
     .cursor = {"next_sequence", "from_sequence"},
     .columns = message_columns},
    {.name = "get",
     .request = "MSG.GET",
     .help = "shows one with headers and payload",
     .arguments = {CHANNEL, WORD("SEQUENCE", "sequence", .type = ADMIN_NUMBER)},
     .options = get_options,
     .show = admin_payload_show,
     .show_raw = admin_payload_show_raw},
    {.name = "release",
     .request = "MSG.RELEASE",
     .help = "takes messages from who holds them, for others to get",
     .arguments = {GROUP, SEQUENCES},
     .options = release_options,
     .show = show_changed},
    {.name = "kill",
     .request = "MSG.KILL",
     .help = "declares messages dead: they are not delivered again",
     .arguments = {GROUP, SEQUENCES},
     .options = kill_options,
     .question = "These messages will not be delivered to this group again, unless they are redriven.",
     .show = show_changed},
};

static const struct admin_noun noun_msg = {"msg", "Messages: where they are, who holds them, and what is in them.",
                                           msg_verbs, COUNT_OF(msg_verbs)};

// --- dead letters

static const struct admin_option redrive_options[] = {
    GROUP_OPTIONS,
    {"all", "all", ADMIN_TRUE, NULL, "all that are dead, instead of SEQUENCE"},
    {"rate", "rate", ADMIN_NUMBER, "N", "at most so many a second"},
    {0}};
static const struct admin_column dead_columns[] = {{"CHANNEL", "channel", ADMIN_SHOW_TEXT},
                                                   {"GROUP", "group", ADMIN_SHOW_TEXT},
                                                   {"CLIENT", "client_id", ADMIN_SHOW_TEXT},
                                                   {"DEAD", "dead.messages", ADMIN_SHOW_COUNT},
                                                   {"BYTES", "dead.bytes", ADMIN_SHOW_SIZE},
                                                   {"OLDEST", "dead.oldest_since", ADMIN_SHOW_TEXT},
                                                   {"NEWEST", "dead.newest_since", ADMIN_SHOW_TEXT},
                                                   {"ID", "group_id", ADMIN_SHOW_COUNT},
                                                   {0}};
static const struct admin_column job_columns[] = {{"JOB", "job", ADMIN_SHOW_COUNT},
                                                  {"CHANNEL", "channel", ADMIN_SHOW_TEXT},
                                                  {"GROUP", "group", ADMIN_SHOW_TEXT},
                                                  {"STATE", "state", ADMIN_SHOW_TEXT},
                                                  {"TOTAL", "total", ADMIN_SHOW_COUNT},
                                                  {"REDRIVEN", "redriven", ADMIN_SHOW_COUNT},
                                                  {"GONE", "gone", ADMIN_SHOW_COUNT},
                                                  {"RATE", "rate", ADMIN_SHOW_LIMIT},
                                                  {0}};

static void show_jobs(const json_t *answer, FILE *out)
{
    admin_show_table(json_object_get(answer, "jobs"), job_columns, out);
}

static const struct admin_verb dlq_verbs[] = {
    {.name = "ls",
     .request = "DLQ.LIST",
     .help = "lists groups that have dead messages",
     .arguments = {ANY_CHANNEL},
     .list = "groups",
     .cursor = CURSOR,
     .columns = dead_columns},
    {.name = "redrive",
     .request = "DLQ.REDRIVE",
     .help = "delivers dead messages again, as if for the first time",
     .arguments = {GROUP, SEQUENCES},
     .options = redrive_options,
     .follow = admin_redrive_follow},
    {.name = "jobs", .request = "DLQ.JOBS", .help = "lists redrives, how far they are", .show = show_jobs},
    {.name = "cancel",
     .request = "DLQ.CANCEL",
     .help = "ends one; what was not redriven stays dead",
     .arguments = {WORD("JOB", "job", .type = ADMIN_NUMBER)},
     .columns = job_columns},
};

static const struct admin_noun noun_dlq = {"dlq", "Dead letters: messages given up, and how they get another chance.",
                                           dlq_verbs, COUNT_OF(dlq_verbs)};

// --- clients

static const struct admin_option kick_options[] = {
    {"cid", "cid", ADMIN_NUMBER, "N", "the connection of this number, instead of CLIENT"}, {0}};
static const struct admin_column client_columns[] = {{"CLIENT", "client_id", ADMIN_SHOW_TEXT},
                                                     {"CID", "cid", ADMIN_SHOW_COUNT},
                                                     {"SINCE", "since", ADMIN_SHOW_TEXT},
                                                     {"SUBSCRIPTIONS", "subscriptions", ADMIN_SHOW_COUNT},
                                                     {"HOLDS", "in_flight.messages", ADMIN_SHOW_COUNT},
                                                     {"BYTES", "in_flight.bytes", ADMIN_SHOW_SIZE},
                                                     {"MISSED", "heartbeats_failed", ADMIN_SHOW_COUNT},
                                                     {0}};
static const struct admin_column membership_columns[] = {
    {"CHANNEL", "channel", ADMIN_SHOW_TEXT},       {"GROUP", "group", ADMIN_SHOW_TEXT},
    {"MEMBER", "member", ADMIN_SHOW_COUNT},        {"HOLDS", "in_flight.messages", ADMIN_SHOW_COUNT},
    {"BYTES", "in_flight.bytes", ADMIN_SHOW_SIZE}, {0}};
static const struct admin_column client_fields[] = {{"Client", "client_id", ADMIN_SHOW_TEXT},
                                                    {"Connection", "cid", ADMIN_SHOW_COUNT},
                                                    {"Since", "since", ADMIN_SHOW_TEXT},
                                                    {"Holds", "in_flight.messages", ADMIN_SHOW_COUNT},
                                                    {"Heartbeats missed", "heartbeats_failed", ADMIN_SHOW_COUNT},
                                                    {0}};
static const struct admin_column kicked_fields[] = {{"Kicked", "kicked", ADMIN_SHOW_TEXT}, {0}};

static void show_client(const json_t *answer, FILE *out)
{
    admin_show_fields(answer, client_fields, out);
    fputs("\nSubscriptions\n", out);
    admin_show_table(json_object_get(answer, "groups"), membership_columns, out);
}

static const struct admin_verb client_verbs[] = {
    {.name = "ls",
     .request = "CLIENT.LIST",
     .help = "lists the clients of NATS Streaming",
     .arguments = {MATCH},
     .list = "clients",
     .cursor = CURSOR,
     .columns = client_columns},
    {.name = "info",
     .request = "CLIENT.INFO",
     .help = "shows one with its subscriptions and what it holds",
     .arguments = {WORD("CLIENT", "client_id", .type = ADMIN_TEXT)},
     .show = show_client},
    {.name = "kick",
     .request = "CLIENT.KICK",
     .help = "closes one; what it held goes to others at once",
     .arguments = {WORD("CLIENT", "client_id", .optional = true)},
     .options = kick_options,
     .question = "The client is closed, and learns it by its next ping.",
     .columns = kicked_fields},
};

static const struct admin_noun noun_client = {"client", "Clients: who is there, and what they hold.", client_verbs,
                                              COUNT_OF(client_verbs)};

#define NOUN(name)                                                                                                     \
    int name##_run(int count, char **arguments)                                                                        \
    {                                                                                                                  \
        return admin_command_run(&noun_##name, count, arguments);                                                      \
    }                                                                                                                  \
    void name##_help(void)                                                                                             \
    {                                                                                                                  \
        admin_command_help(&noun_##name);                                                                              \
    }
NOUN(channel)
NOUN(group)
NOUN(msg)
NOUN(dlq)
NOUN(client)
#undef NOUN
