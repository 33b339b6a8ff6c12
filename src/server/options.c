// SPDX-License-Identifier: Apache-2.0
#include "server/options.h"

#include <stdio.h>

#include "base/bytes.h"
#include "server/flag.h"

#define KIB    (1024LL)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)
#define MS     (1000000LL)
#define SECOND (1000 * MS)
#define DAY    (86400 * SECOND)

#define AT(field) offsetof(struct options, field)

static const struct flag flags[] = {
    {"", FLAG_HEADING, 0, 0, 0, NULL, NULL, "Network:"},
    {"a,addr,net", FLAG_STRING, AT(host), 0, 0, NULL, "ADDRESS", "listen on this address (0.0.0.0)"},
    {"p,port", FLAG_INT, AT(port), -1, 65535, NULL, "PORT", "for clients (4222); -1: any free one"},
    {"m,http_port", FLAG_INT, AT(http_port), -1, 65535, NULL, "PORT",
     "for monitoring over HTTP (none); -1: any free one"},
    {"n,name,server_name", FLAG_STRING, AT(server_name), 0, 0, NULL, "NAME", "of this server (its id)"},
    {"", FLAG_HEADING, 0, 0, 0, NULL, NULL, "\nStorage:"},
    {"dir", FLAG_STRING, AT(directory), 0, 0, NULL, "DIR", "where the data is (./data)"},
    {"cid,cluster_id", FLAG_STRING, AT(cluster_id), 0, 0, NULL, "ID", "NATS Streaming cluster id (test-cluster)"},
    {"st,store", FLAG_CHOICE, AT(store), 0, 0, "file,memory", "file|memory", "where messages are kept (file)"},
    {"sync", FLAG_CHOICE, AT(sync), 0, 0, "always,interval,never", "WHEN",
     "always (the default: before every acknowledgement), interval or never"},
    {"sync_interval", FLAG_DURATION, AT(sync_interval_ns), MS, DAY, NULL, "TIME", "for --sync interval (1s)"},
    {"log_bytes", FLAG_BYTES, AT(log_bytes), 16 * MIB, 1024 * GIB, NULL, "SIZE",
     "kept in the log before it rolls over (512M)"},
    {"memory_bytes", FLAG_BYTES, AT(memory_bytes), MIB, 16 * 1024 * GIB, NULL, "SIZE",
     "of messages in a memory store (1G)"},
    {"", FLAG_HEADING, 0, 0, 0, NULL, NULL, "\nLimits for connections:"},
    {"max_payload", FLAG_BYTES32, AT(max_payload), KIB, 8 * MIB, NULL, "SIZE", "of one message (1M)"},
    {"max_control_line", FLAG_BYTES32, AT(max_control_line), 512, MIB, NULL, "SIZE", "of one protocol line (4096)"},
    {"max_pending", FLAG_BYTES, AT(max_pending), 64 * KIB, 16 * GIB, NULL, "SIZE", "waiting for one slow reader (64M)"},
    {"max_connections", FLAG_COUNT, AT(max_connections), 1, 10000000, NULL, "N", "at once (65536)"},
    {"max_subscriptions", FLAG_COUNT, AT(max_subscriptions), 0, UINT32_MAX, NULL, "N", "per connection (0: unlimited)"},
    {"ping_interval", FLAG_DURATION, AT(ping_interval_ns), 10 * MS, DAY, NULL, "TIME",
     "between pings to a client (2m)"},
    {"ping_max", FLAG_COUNT, AT(ping_max), 1, 1000, NULL, "N", "unanswered pings before a client is given up (2)"},
    {"write_deadline", FLAG_DURATION, AT(write_deadline_ns), 10 * MS, DAY, NULL, "TIME",
     "for a reader that takes nothing (10s)"},
    {"", FLAG_HEADING, 0, 0, 0, NULL, NULL, "\nNATS Streaming:"},
    {"mc,max_channels", FLAG_COUNT, AT(max_channels), 0, UINT32_MAX, NULL, "N", "channels (100); 0: unlimited"},
    {"msu,max_subs", FLAG_COUNT, AT(max_channel_subs), 0, UINT32_MAX, NULL, "N",
     "subscriptions per channel (1000); 0: unlimited"},
    {"mm,max_msgs", FLAG_COUNT64, AT(max_channel_msgs), 0, INT64_MAX, NULL, "N",
     "messages per channel (1000000); 0: unlimited"},
    {"mb,max_bytes", FLAG_BYTES, AT(max_channel_bytes), 0, INT64_MAX, NULL, "SIZE",
     "of a channel (1024000000); 0: unlimited"},
    {"ma,max_age", FLAG_DURATION, AT(max_channel_age_ns), 0, INT64_MAX, NULL, "TIME",
     "messages are kept (0: for ever)"},
    {"hbi,hb_interval", FLAG_DURATION, AT(heartbeat_interval_ns), 10 * MS, DAY, NULL, "TIME",
     "between heartbeats to a client (30s)"},
    {"hbt,hb_timeout", FLAG_DURATION, AT(heartbeat_timeout_ns), 10 * MS, DAY, NULL, "TIME",
     "for the answer to one (10s)"},
    {"hbf,hb_fail_count", FLAG_COUNT, AT(heartbeat_fail_count), 1, 1000000, NULL, "N",
     "missed ones before a client is given up (10)"},
    {"duplicate_window", FLAG_DURATION, AT(duplicate_window_ns), 0, 7 * DAY, NULL, "TIME",
     "in which a repeated publish is stored once (2m)"},
    {"max_ids", FLAG_COUNT64, AT(max_ids), 1000, 1000000000000, NULL, "N",
     "publishes remembered for that, 40 bytes each (20000000)"},
    {"disconnect_grace", FLAG_DURATION, AT(disconnect_grace_ns), 0, DAY, NULL, "TIME",
     "a lost client keeps its messages (5s)"},
    {"", FLAG_HEADING, 0, 0, 0, NULL, NULL, "\nOther:"},
    {"l,log", FLAG_STRING, AT(log_file), 0, 0, NULL, "FILE", "log to this file (standard error)"},
    {"D,debug", FLAG_BOOL, AT(debug), 0, 0, NULL, NULL, "accepted; nothing is logged at that level yet"},
    {"V,trace", FLAG_BOOL, AT(trace), 0, 0, NULL, NULL, "accepted; the protocol is not traced yet"},
    {"h,help", FLAG_BOOL, AT(help), 0, 0, NULL, NULL, "this text"},
};

static int check_together(const struct options *options, char *message);
static int check_cluster_id(const char *id, char *message);

void options_default(struct options *options)
{
    *options = (struct options){
        .host = "0.0.0.0",
        .port = 4222,
        .directory = "./data",
        .cluster_id = "test-cluster",
        .store = OPTIONS_STORE_FILE,
        .sync = OPTIONS_SYNC_ALWAYS,
        .sync_interval_ns = SECOND,
        .log_bytes = 512 * MIB,
        .memory_bytes = GIB,
        .max_payload = MIB,
        .max_control_line = 4096,
        .max_pending = 64 * MIB,
        .max_connections = 65536,
        .ping_interval_ns = 120 * SECOND,
        .ping_max = 2,
        .write_deadline_ns = 10 * SECOND,
        .max_channels = 100,
        .max_channel_subs = 1000,
        .max_channel_msgs = 1000000,
        .max_channel_bytes = 1024000000,
        .heartbeat_interval_ns = 30 * SECOND,
        .heartbeat_timeout_ns = 10 * SECOND,
        .heartbeat_fail_count = 10,
        .duplicate_window_ns = 120 * SECOND,
        .max_ids = 20000000,
        .disconnect_grace_ns = 5 * SECOND,
    };
    tls_options_default(&options->tls);
}

int options_parse(struct options *options, int count, char *const *arguments, char ret_message[OPTIONS_MESSAGE_SIZE])
{
    int used;
    int error = flag_parse(flags, sizeof(flags) / sizeof(flags[0]), options, count, arguments, &used, ret_message,
                           OPTIONS_MESSAGE_SIZE);
    if (error)
        return error;
    if (used < count) {
        snprintf(ret_message, OPTIONS_MESSAGE_SIZE, "\"%.100s\" is not a flag; serve takes only flags",
                 arguments[used]);
        return ERR_INVALID;
    }
    return options->help ? 0 : check_together(options, ret_message);
}

bool options_help(size_t index, char *ret_line, size_t size)
{
    if (index >= sizeof(flags) / sizeof(flags[0]))
        return false;
    flag_help(&flags[index], ret_line, size);
    return true;
}

const char *options_store_name(const struct options *options)
{
    return options->store == OPTIONS_STORE_FILE ? "FILE" : "MEMORY";
}

const char *options_sync_name(const struct options *options)
{
    static const char *const names[] = {"always", "interval", "never"};
    return names[options->sync];
}

// What no flag can know alone.
static int check_together(const struct options *options, char *message)
{
    if (options->port > 0 && options->port == options->http_port) {
        snprintf(message, OPTIONS_MESSAGE_SIZE, "-p and -m are both %d: clients and monitoring need a port each",
                 options->port);
        return ERR_INVALID;
    }
    if (options->max_pending < options->max_payload) {
        snprintf(message, OPTIONS_MESSAGE_SIZE,
                 "-max_pending is less than -max_payload: no reader could be sent such a message");
        return ERR_INVALID;
    }
    return check_cluster_id(options->cluster_id, message);
}

// It is part of subjects and client ids, and kept in every log file's header.
static int check_cluster_id(const char *id, char *message)
{
    size_t len = strlen(id);
    bool fine = len <= 128;
    for (size_t i = 0; i < len && fine; i++) {
        char c = id[i];
        fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    if (fine)
        return 0;
    snprintf(message, OPTIONS_MESSAGE_SIZE, "-cluster_id: at most 128 letters, digits, - and _; not \"%.100s\"", id);
    return ERR_INVALID;
}
