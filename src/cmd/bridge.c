// SPDX-License-Identifier: Apache-2.0
// `weir bridge`: what it is called with. See cmd/bridge_internal.h for what it does.
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/memory.h"
#include "cmd/bridge_internal.h"
#include "cmd/bridge_mark.h"
#include "cmd/commands.h"
#include "server/flag.h"
#include "stan/channel.h"

enum { ROOM_MAX = 1 << 20, CLIENT_ID_SIZE = 256 };

#define AT(field) offsetof(struct bridge_options, field)
// Who we are at one of the servers, as the options of the other commands have it.
#define SIDE(side, which)                                                                                               \
    {#side "_user", FLAG_STRING, AT(side.user), 0, 0, NULL, "NAME", "at the " which " server, with its password"},      \
        {#side "_password",                                                                                             \
         FLAG_STRING,                                                                                                   \
         AT(side.password),                                                                                             \
         0,                                                                                                             \
         0,                                                                                                             \
         NULL,                                                                                                          \
         "TEXT",                                                                                                        \
         "shows in the list of processes, as URLs do"},                                                                 \
        {#side "_token", FLAG_STRING, AT(side.token), 0, 0, NULL, "TEXT", "instead of a user"},                         \
        {#side "_nkey", FLAG_STRING, AT(side.nkey_file), 0, 0, NULL, "FILE", "with the seed of a user's nkey"},         \
        {#side "_tls", FLAG_BOOL, AT(side.wants_tls), 0, 0, NULL, NULL, "nothing in the clear; also what tls:// says"}, \
        {#side "_tlscacert," #side "_tlsca",                                                                            \
         FLAG_STRING,                                                                                                   \
         AT(side.tls.ca_file),                                                                                          \
         0,                                                                                                             \
         0,                                                                                                             \
         NULL,                                                                                                          \
         "FILE",                                                                                                        \
         "who signs its certificate, PEM (the system's authorities)"},                                                  \
        {#side "_tlscert", FLAG_STRING, AT(side.tls.cert_file), 0, 0, NULL, "FILE", "our certificate, PEM"},            \
        {#side "_tlskey", FLAG_STRING, AT(side.tls.key_file), 0, 0, NULL, "FILE", "its key"},                           \
        {#side "_tlsfirst", FLAG_BOOL, AT(side.tls_first), 0, 0, NULL, NULL, "TLS before the server's greeting"},       \
    {                                                                                                                   \
#side "_tlsskip", FLAG_BOOL, AT(side.tls.skip_verify), 0, 0, NULL, NULL, "take any certificate"                 \
    }

static const struct flag flags[] = {
    {"from", FLAG_STRING, AT(from.server), 0, 0, NULL, "URL",
     "the old server: [nats://|tls://][user:password@|token@]host[:port]"},
    {"from_cluster", FLAG_STRING, AT(from_cluster), 0, 0, NULL, "ID", "its cluster id"},
    {"to", FLAG_STRING, AT(to.server), 0, 0, NULL, "URL", "the new server, a Weir"},
    {"to_cluster", FLAG_STRING, AT(to_cluster), 0, 0, NULL, "ID", "its cluster id (that of the old one)"},
    {"channels_from_monitoring", FLAG_STRING, AT(monitoring), 0, 0, NULL, "URL",
     "all channels that the old server's monitoring port lists, new ones too: http://HOST:8222"},
    {"client_id", FLAG_STRING, AT(client_id), 0, 0, NULL, "ID",
     "at both servers (weir-bridge- and the old cluster id)"},
    {"durable", FLAG_STRING, AT(durable), 0, 0, NULL, "NAME", "of the subscriptions at the old server (weir-bridge)"},
    {"once", FLAG_BOOL, AT(once), 0, 0, NULL, NULL,
     "end when everything is copied that the old server had at the start"},
    {"follow", FLAG_BOOL, AT(follow), 0, 0, NULL, NULL, "go on until interrupted (the default)"},
    {"dry-run", FLAG_BOOL, AT(dry_run), 0, 0, NULL, NULL, "say what there is, copy nothing"},
    {"keep-going", FLAG_BOOL, AT(keep_going), 0, 0, NULL, NULL,
     "give up a channel that a server refuses, and go on with the others"},
    {"window", FLAG_COUNT, AT(window), 1, BRIDGE_WINDOW_MAX, NULL, "N",
     "messages of a channel on their way at the same time (256)"},
    {"idle", FLAG_DURATION, AT(idle_ns), 100000000, 3600000000000, NULL, "DURATION",
     "with --once, --dry-run: silence after which a channel counts as empty (5s)"},
    {NULL, FLAG_HEADING, 0, 0, 0, NULL, NULL, "\nConnections:"},
    SIDE(from, "old"),
    SIDE(to, "new"),
    // The other way of writing them.
    {"from-cluster", FLAG_STRING, AT(from_cluster), 0, 0, NULL, "ID", NULL},
    {"to-cluster", FLAG_STRING, AT(to_cluster), 0, 0, NULL, "ID", NULL},
    {"channels-from-monitoring", FLAG_STRING, AT(monitoring), 0, 0, NULL, "URL", NULL},
    {"client-id", FLAG_STRING, AT(client_id), 0, 0, NULL, "ID", NULL},
    {"dry_run", FLAG_BOOL, AT(dry_run), 0, 0, NULL, NULL, NULL},
    {"keep_going", FLAG_BOOL, AT(keep_going), 0, 0, NULL, NULL, NULL},
    {"h,help", FLAG_BOOL, AT(help), 0, 0, NULL, NULL, "this text"},
};

#define FLAG_TOTAL (sizeof(flags) / sizeof(flags[0]))

static int parse(struct bridge *bridge, int count, char **list);
static int check(struct bridge_options *options, size_t channels);
static int check_side(struct client_options *side, const char *which, const char *flag);
static int fetch_names(struct bridge *bridge);
static int take_signals(struct bridge *bridge);
static int complain(const char *text);

int bridge_run(int count, char **list)
{
    char client_id[CLIENT_ID_SIZE];
    struct bridge bridge = {
        .options = {.from = {.timeout_ms = 5000, .name = "weir bridge"},
                    .to = {.timeout_ms = 5000, .name = "weir bridge"},
                    .durable = "weir-bridge",
                    .window = 256,
                    .idle_ns = 5000000000},
        .signal_fd = -1,
    };
    buffer_init(&bridge.room, ROOM_MAX);
    int status = parse(&bridge, count, list);
    if (!status && !bridge.options.help) {
        snprintf(client_id, sizeof(client_id), "weir-bridge-%s", bridge.options.from_cluster);
        if (!bridge.options.client_id)
            bridge.options.client_id = client_id;
        status = fetch_names(&bridge);
        if (!status)
            status = take_signals(&bridge);
        if (!status) {
            status = bridge_copy(&bridge);
            if (bridge.begun)
                bridge_show_summary(&bridge, stdout);
        }
    }
    for (size_t i = 0; i < bridge.channel_count; i++) {
        bridge_position_deinit(&bridge.channels[i]->position);
        mem_free(bridge.channels[i]->name);
        mem_free(bridge.channels[i]);
    }
    mem_free(bridge.channels);
    buffer_deinit(&bridge.room);
    if (bridge.signal_fd >= 0)
        close(bridge.signal_fd);
    return status;
}

void bridge_help(void)
{
    puts("usage: weir bridge --from URL --from_cluster ID --to URL [FLAGS] CHANNEL…\n\n"
         "Copies channels from a running NATS Streaming server, whatever its store, to a running Weir, and goes on "
         "with\n"
         "what is published there until interrupted. It is a client of both, so nobody has to stop anything. Each "
         "message\n"
         "is acknowledged at the old server when the new one has it on disk; called again after whatever happened, it "
         "goes\n"
         "on where it was: nothing is lost, nothing is there twice. Order, data and reply subjects stay; the new "
         "server\n"
         "gives its own numbers and times, the old ones are in the headers Weir-Bridge-Sequence and Weir-Bridge-Time.\n"
         "Positions of subscriptions do not come over: for these there is `weir import`.\n");
    for (size_t i = 0; i < FLAG_TOTAL; i++) {
        char line[256];
        if (flag_help(&flags[i], line, sizeof(line)))
            puts(line);
    }
    puts("\nExit code 0: stopped in order, or with --once everything was copied; 1: it was not; 2: called wrongly.");
}

// Flags may stand before, between and behind channels.
static int parse(struct bridge *bridge, int count, char **list)
{
    char message[256];
    for (int at = 0; at < count;) {
        int used;
        if (flag_parse(flags, FLAG_TOTAL, &bridge->options, count - at, list + at, &used, message, sizeof(message)))
            return complain(message);
        at += used;
        if (at < count && bridge_channel_add(bridge, bytes_from_string(list[at]))) {
            fprintf(stderr, "weir bridge: \"%s\" is no name of a channel (wildcards are not taken)\n", list[at]);
            return 2;
        }
        at += at < count;
    }
    if (bridge->options.help) {
        bridge_help();
        return 0;
    }
    return check(&bridge->options, bridge->channel_count);
}

static int check(struct bridge_options *options, size_t channels)
{
    if (!options->from.server || !options->from_cluster)
        return complain("--from URL and --from_cluster ID are missing: the old server");
    if (!options->to.server)
        return complain("--to URL is missing: the new server");
    if (!options->to_cluster)
        options->to_cluster = options->from_cluster;
    if (!channel_client_id_is_valid(bytes_from_string(options->from_cluster)) ||
        !channel_client_id_is_valid(bytes_from_string(options->to_cluster)) ||
        strlen(options->from_cluster) > BRIDGE_MARK_CLUSTER_MAX ||
        strlen(options->to_cluster) > BRIDGE_MARK_CLUSTER_MAX)
        return complain("a cluster id has letters, digits, - and _, at most 128 of them");
    if (options->client_id && !channel_client_id_is_valid(bytes_from_string(options->client_id)))
        return complain("--client_id has letters, digits, - and _");
    if (options->once && options->follow)
        return complain("--once or --follow, not both");
    if (channels == 0 && !options->monitoring)
        return complain("which channels? Name them, or give --channels_from_monitoring URL");
    if (channels > 0 && options->monitoring)
        return complain("name channels, or give --channels_from_monitoring URL, not both");
    int status = check_side(&options->from, "the old server", "--from");
    return status ? status : check_side(&options->to, "the new server", "--to");
}

static int check_side(struct client_options *side, const char *which, const char *flag)
{
    char command[64], text[128];
    struct nats_url url;
    snprintf(command, sizeof(command), "bridge, %s", which);
    snprintf(text, sizeof(text), "%s is not a server's address", flag); // which may hold a password
    if (nats_url_parse(side->server, &url))
        return complain(text);
    // Whoever says how wants it.
    side->wants_tls =
        side->wants_tls || side->tls.ca_file || side->tls.cert_file || side->tls.skip_verify || side->tls_first;
    return client_options_check(side, command);
}

static int fetch_names(struct bridge *bridge)
{
    if (!bridge->options.monitoring)
        return 0;
    int error = bridge_discover(bridge);
    return error ? error == ERR_INVALID ? 2 : 1 : 0;
}

// They wait in a descriptor until somebody looks.
static int take_signals(struct bridge *bridge)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    bridge->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (bridge->signal_fd < 0)
        perror("weir bridge");
    return bridge->signal_fd < 0;
}

static int complain(const char *text)
{
    fprintf(stderr, "weir bridge: %s; see `weir bridge --help`\n", text);
    return 2;
}
