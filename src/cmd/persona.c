// SPDX-License-Identifier: Apache-2.0
#include "cmd/persona.h"

#include <stdio.h>
#include <string.h>

#include "wire/info.h"

static const char *const names[] = {
    [OPTIONS_WEIR] = "weir",
    [OPTIONS_NATS_SERVER] = "nats-server",
    [OPTIONS_NATS_STREAMING] = "nats-streaming-server",
};

// The order and the alignment are those that people know from these servers.
static const char network_help[] =
    "    -a, --addr, --net <host>         Address to listen on (default: 0.0.0.0)\n"
    "    -p, --port <port>                Port for clients (default: 4222; -1: any free one)\n"
    "    -n, --name\n"
    "        --server_name <name>         Name of this server (default: its id)\n"
    "    -P, --pid <file>                 Write the process id to this file\n"
    "    -m, --http_port <port>           Port for monitoring over HTTP\n"
    "    -ms,--https_port <port>          Port for monitoring over HTTPS\n"
    "    -c, --config <file>              Configuration file; flags win over it\n"
    "    -t                               Check the configuration and exit\n"
    "    -sl,--signal <signal>[=<pid>]    Send a signal to a running server: ldm, stop, quit, term, reopen, reload.\n"
    "                                     <pid> is a process id or the path of a pid file\n"
    "        --client_advertise <string>  HOST[:PORT] that clients are told\n"
    "        --ports_file_dir <dir>       Write <program>_<pid>.ports with the addresses to this directory\n";

static const char log_help[] =
    "\nLogging Options:\n"
    "    -l, --log <file>                 Log to this file instead of standard error\n"
    "    -T, --logtime                    Lines begin with the time (default: true)\n"
    "    -s, --syslog                     Log to syslog\n"
    "    -r, --remote_syslog <addr>       Log to syslog of another host (udp://localhost:514)\n"
    "    -D, --debug                      Log who connects and why connections end\n"
    "    -V, --trace                      Log every operation of the protocol\n"
    "    -VV                              -V with the system account\n"
    "    -DV                              -D and -V\n"
    "    -DVV                             -D and -VV\n"
    "        --log_size_limit <limit>     Start a new log file at this size (default: never)\n"
    "        --max_traced_msg_len <len>   Bytes of a payload that -V shows (default: all)\n";

static const char security_help[] =
    "\nAuthorization Options:\n"
    "        --user <user>                User that clients must have\n"
    "        --pass <password>            Password of that user\n"
    "        --auth <token>               Token that clients must have\n"
    "\nTLS Options:\n"
    "        --tls                        Serve TLS, do not verify clients (default: false)\n"
    "        --tlscert <file>             Certificate of the server\n"
    "        --tlskey <file>              Private key of that certificate\n"
    "        --tlsverify                  Serve TLS, verify certificates of clients\n"
    "        --tlscacert <file>           Who signs certificates of clients\n";

static const char common_help[] = "\nCommon Options:\n"
                                  "    -h, --help                       This text\n"
                                  "    -v, --version                    The version\n"
                                  "        --help_tls                   About TLS\n";

static const char streaming_help[] =
    "Streaming Server Options:\n"
    "    -cid, --cluster_id <string>      Cluster id (default: test-cluster)\n"
    "    -st,  --store <string>           Where messages are kept: MEMORY or FILE (default: MEMORY)\n"
    "          --dir <string>             Root directory of a FILE store (default: ./data)\n"
    "    -mc,  --max_channels <int>       Channels (default: 100; 0: unlimited)\n"
    "    -msu, --max_subs <int>           Subscriptions per channel (default: 1000; 0: unlimited)\n"
    "    -mm,  --max_msgs <int>           Messages per channel (default: 1000000; 0: unlimited)\n"
    "    -mb,  --max_bytes <size>         Size of a channel (default: 1024000000; 0: unlimited)\n"
    "    -ma,  --max_age <duration>       How long messages are kept (default: 0s, for ever)\n"
    "    -mi,  --max_inactivity <duration> Channels that nobody uses are removed then (default: 0s, never)\n"
    "    -sc,  --stan_config <file>       Configuration file with a streaming block\n"
    "    -hbi, --hb_interval <duration>   Between heartbeats to a client (default: 30s)\n"
    "    -hbt, --hb_timeout <duration>    For the answer to one (default: 10s)\n"
    "    -hbf, --hb_fail_count <int>      Heartbeats missed before a client is given up (default: 10)\n"
    "    -SD,  --stan_debug               As -D\n"
    "    -SV,  --stan_trace               As -V\n"
    "    -SDV                             As -DV\n"
    "          --replace_durable          Who subscribes to a durable in use takes it over (default: false)\n"
    "          --encrypt                  Encrypt what is stored (default: false)\n"
    "          --encryption_cipher <string> AES or CHACHA (default: AES)\n"
    "          --encryption_key <string>  The key; rather in the variable NATS_STREAMING_ENCRYPTION_KEY\n"
    "          --file_sync                --file_sync=false: as --sync never (default: true)\n"
    "          --sync <when>              Sync to disk: always (default), interval or never\n"
    "\nEmbedded NATS Server Options:\n";

enum options_persona persona_find(const char *argv0)
{
    const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
    const char *base = slash ? slash + 1 : argv0 ? argv0 : "";
    if (strcmp(base, names[OPTIONS_NATS_SERVER]) == 0)
        return OPTIONS_NATS_SERVER;
    if (strcmp(base, names[OPTIONS_NATS_STREAMING]) == 0)
        return OPTIONS_NATS_STREAMING;
    return OPTIONS_WEIR;
}

const char *persona_name(enum options_persona persona)
{
    return names[persona];
}

void persona_print_version(enum options_persona persona)
{
    if (persona == OPTIONS_WEIR) {
        printf("weir %s (client protocol of nats-server %s)\n", WEIR_VERSION, INFO_NATS_VERSION);
        return;
    }
    if (persona == OPTIONS_NATS_STREAMING)
        printf("nats-streaming-server version %s, ", PERSONA_STREAMING_VERSION);
    printf("nats-server: v%s\n", INFO_NATS_VERSION);
}

void persona_print_help(enum options_persona persona)
{
    if (persona == OPTIONS_WEIR) {
        puts("usage: weir serve [FLAGS]\n\n"
             "Runs the server until SIGINT or SIGTERM. -x, --x, -x=VALUE and -x VALUE are the same.\n");
        char line[256];
        for (size_t i = 0; options_help(i, line, sizeof(line)); i++)
            puts(line);
        return;
    }
    printf("\nUsage: %s [options]\n\n", names[persona]);
    fputs(persona == OPTIONS_NATS_STREAMING ? streaming_help : "Server Options:\n", stdout);
    fputs(network_help, stdout);
    fputs(log_help, stdout);
    fputs(security_help, stdout);
    fputs(common_help, stdout);
    printf("\nThis is Weir %s. Limits, NATS Streaming and storage: weir serve --help.\n", WEIR_VERSION);
}
