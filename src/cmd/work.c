// SPDX-License-Identifier: Apache-2.0
// weir work: what it is called with. See cmd/work_internal.h for what it does.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "cmd/commands.h"
#include "cmd/work_internal.h"
#include "codec/duration.h"
#include "stan/channel.h"

enum { NAME_MAX_BYTES = 255 }; // of a group or durable, as libweir has it

static const uint64_t SECOND_NS = 1000000000, DAY_NS = 86400000000000;

static const char usage[] =
    "Usage: weir work [options] CHANNEL --group GROUP -- COMMAND [ARGUMENT…]\n"
    "\n"
    "Runs COMMAND for each message of a channel, on one or several servers. The payload is its standard input; "
    "WEIR_CHANNEL, WEIR_GROUP,\n"
    "WEIR_SEQUENCE, WEIR_ATTEMPT, WEIR_ID, WEIR_SERVER and WEIR_HEADER_… are in its environment. Exit code 0: the job "
    "is done. Another\n"
    "one: it is tried again after a while. As long as the command runs the server knows that the job is worked on.\n"
    "\n"
    "Options:\n"
    "  --group GROUP         the group whose members share the jobs\n"
    "  --servers URL,URL…    the servers; they need not know of each other (--server)\n"
    "  -j, --jobs N          so many at the same time, of all servers together (1)\n"
    "  --durable NAME        what the servers remember the group's position by (the group's name)\n"
    "  --cid ID              the servers' cluster id (test-cluster)\n"
    "  --client_id ID        who we are, different for each worker (weir-work-, the host's name and the process id)\n"
    "  --ack_wait TIME       so long after a sign of life a job is given to another worker; whole seconds, 1s to 24h "
    "(30s)\n"
    "  --max_attempts N      a job that has failed so often is dead; 0: only the server's max_deliver counts (10)\n"
    "  --dead_exit CODE      this exit code says that trying again is of no use: the job is dead at once\n"
    "  --backoff TIME        until the second attempt; each later wait is twice as long (1s)\n"
    "  --backoff_max TIME    and at most this (5m)\n"
    "  --timeout TIME        a command that runs longer is terminated, with all of its process group, and has failed\n"
    "  --kill_after TIME     and killed so long after that (10s)\n"
    "  --grace TIME          at SIGTERM or SIGINT, running commands may go on for so long before they are killed and "
    "their jobs given to\n"
    "                        other workers, without counting as attempts (30s). A second signal: at once\n"
    "  --tell                the commands get SIGTERM too when the grace begins; who then fails is not counted as an "
    "attempt\n"
    "  --hold TIME           so long a job may wait here for a free place before it is given back for others (1s)\n"
    "  --file                the payload is a file, WEIR_FILE, in TMPDIR or /tmp; standard input is empty\n"
    "  -m, --http [HOST:]PORT    /metrics, /healthz and /readyz; port 0: any\n"
    "  --log_format FORMAT   text or json (text)\n"
    "  -q, --quiet           no lines about jobs that are done, no progress\n" CLIENT_OPTIONS_HELP "\n"
    "Exit code 0: it was told to stop, and nothing is left undone that others do not know of; 1: it could not start; "
    "2: called wrongly.\n";

enum {
    GROUP = 256,
    SERVERS,
    DURABLE,
    CID,
    CLIENT_ID,
    ACK_WAIT,
    MAX_ATTEMPTS,
    DEAD_EXIT,
    BACKOFF,
    BACKOFF_MAX,
    TIMEOUT,
    KILL_AFTER,
    GRACE,
    TELL,
    HOLD,
    PAYLOAD_FILE,
    LOG_FORMAT
};

static int parse(struct work_options *options, int argc, char **argv);
static int take(struct work_options *options, int option, const char *value);
static int take_time(struct work_options *options, int option, const char *value);
static int take_ack_wait(struct work_options *options, const char *value);
static int check(const struct work_options *options);
static int check_names(const struct work_options *options);
static bool is_name(const char *text);
static int run(struct work *work);
static void make_client_id(char *ret_id, size_t size);

void work_help(void)
{
    fputs(usage, stdout);
}

int work_run(int count, char **arguments)
{
    // getopt wants the name in front.
    char **argv = arguments - 1;
    argv[0] = (char[]){"weir work"};
    struct work *work = mem_alloc_zero(sizeof(*work));
    work->options = (struct work_options){
        .connection = CLIENT_OPTIONS_INIT,
        .cluster = "test-cluster",
        .slots = 1,
        .ack_wait_ns = 30 * SECOND_NS,
        .max_attempts = 10,
        .backoff_ns = SECOND_NS,
        .backoff_max_ns = 300 * SECOND_NS,
        .kill_after_ns = 10 * SECOND_NS,
        .grace_ns = 30 * SECOND_NS,
        .hold_ns = SECOND_NS,
    };
    int status = parse(&work->options, count + 1, argv);
    if (!status && !work->options.help) {
        const char *servers = work->options.servers;
        // The text may hold a password.
        if (server_list_init(&work->list, servers ? servers : work->options.connection.server)) {
            fprintf(stderr, "weir work: --servers is no list of servers' addresses\n");
            status = 2;
        } else {
            status = run(work);
            server_list_deinit(&work->list);
        }
    }
    mem_free(work);
    return status;
}

static int parse(struct work_options *options, int argc, char **argv)
{
    static const struct option rows[] = {
        CLIENT_OPTIONS_ROWS,
        {"group", required_argument, NULL, GROUP},
        {"servers", required_argument, NULL, SERVERS},
        {"jobs", required_argument, NULL, 'j'},
        {"durable", required_argument, NULL, DURABLE},
        {"cid", required_argument, NULL, CID},
        {"client_id", required_argument, NULL, CLIENT_ID},
        {"ack_wait", required_argument, NULL, ACK_WAIT},
        {"max_attempts", required_argument, NULL, MAX_ATTEMPTS},
        {"dead_exit", required_argument, NULL, DEAD_EXIT},
        {"backoff", required_argument, NULL, BACKOFF},
        {"backoff_max", required_argument, NULL, BACKOFF_MAX},
        {"timeout", required_argument, NULL, TIMEOUT},
        {"kill_after", required_argument, NULL, KILL_AFTER},
        {"grace", required_argument, NULL, GRACE},
        {"tell", no_argument, NULL, TELL},
        {"hold", required_argument, NULL, HOLD},
        {"file", no_argument, NULL, PAYLOAD_FILE},
        {"http", required_argument, NULL, 'm'},
        {"log_format", required_argument, NULL, LOG_FORMAT},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, status = 0;
    while (!status && !options->help &&
           (option = getopt_long(argc, argv, CLIENT_OPTIONS_LETTERS "j:m:qh", rows, NULL)) != -1)
        status = take(options, option, optarg);
    if (status || options->help)
        return status;
    if (argc - optind < 2) {
        fputs(usage, stderr);
        return 2;
    }
    options->channel = argv[optind];
    options->arguments = argv + optind + 1;
    return check(options);
}

static int take(struct work_options *options, int option, const char *value)
{
    switch (option) {
    case GROUP: options->group = value; return 0;
    case SERVERS: options->servers = value; return 0;
    case 'j': return client_options_number("work", "--jobs", value, 1, WORK_JOBS_MAX, &options->slots);
    case DURABLE: options->durable = value; return 0;
    case CID: options->cluster = value; return 0;
    case CLIENT_ID: options->client_id = value; return 0;
    case MAX_ATTEMPTS:
        return client_options_number("work", "--max_attempts", value, 0, 1000000, &options->max_attempts);
    case DEAD_EXIT: return client_options_number("work", "--dead_exit", value, 1, 255, &options->dead_exit);
    case TELL: options->tell = true; return 0;
    case PAYLOAD_FILE: options->file = true; return 0;
    case 'm': options->http = value; return 0;
    case 'q': options->quiet = true; return 0;
    case LOG_FORMAT:
        options->json = strcmp(value, "json") == 0;
        return options->json || strcmp(value, "text") == 0
                   ? 0
                   : client_complain("work", "--log_format is text or json", value);
    case 'h':
        work_help();
        options->help = true;
        return 0;
    default: return take_time(options, option, value);
    }
}

static int take_time(struct work_options *options, int option, const char *value)
{
    switch (option) {
    case ACK_WAIT: return take_ack_wait(options, value);
    case BACKOFF: return client_options_duration("work", "--backoff", value, DAY_NS, &options->backoff_ns);
    case BACKOFF_MAX:
        return client_options_duration("work", "--backoff_max", value, 30 * DAY_NS, &options->backoff_max_ns);
    case TIMEOUT: return client_options_duration("work", "--timeout", value, 365 * DAY_NS, &options->timeout_ns);
    case KILL_AFTER: return client_options_duration("work", "--kill_after", value, DAY_NS, &options->kill_after_ns);
    case GRACE: return client_options_duration("work", "--grace", value, 30 * DAY_NS, &options->grace_ns);
    case HOLD: return client_options_duration("work", "--hold", value, DAY_NS, &options->hold_ns);
    default: return client_options_take(&options->connection, option, value) ? 0 : client_refuse_options("work");
    }
}

// The protocol counts it in seconds (ST-P03).
static int take_ack_wait(struct work_options *options, const char *value)
{
    uint64_t ns;
    if (duration_parse(bytes_from_string(value), DAY_NS, &ns) != 0 || ns < SECOND_NS || ns % SECOND_NS)
        return client_complain("work", "--ack_wait takes whole seconds, from 1s to 24h", value);
    options->ack_wait_ns = ns;
    return 0;
}

static int check(const struct work_options *options)
{
    if (!stan_session_takes_channel(bytes_from_string(options->channel)))
        return client_complain("work", "a channel is words joined by dots, without wildcards and blanks",
                               options->channel);
    int status = check_names(options);
    if (status)
        return status;
    if (!channel_client_id_is_valid(bytes_from_string(options->cluster)))
        return client_complain("work", "--cid has letters, digits, - and _", options->cluster);
    if (options->client_id && !channel_client_id_is_valid(bytes_from_string(options->client_id)))
        return client_complain("work", "--client_id has letters, digits, - and _", options->client_id);
    return client_options_check(&options->connection, "work");
}

// What a server takes for a group and its durable (ST-E15); the group's name is also the durable's if that has none of its own.
static int check_names(const struct work_options *options)
{
    const char *group = options->group, *durable = options->durable;
    if (!group) {
        fputs("weir work: --group GROUP is missing: the name of the group whose members share the jobs\n", stderr);
        return 2;
    }
    if (!is_name(group))
        return client_complain("work", "--group takes a name of 1 to 255 bytes, UTF-8", group);
    if (!durable && strchr(group, ':'))
        return client_complain(
            "work", "--group takes a name without ':', unless --durable gives another for the position", group);
    if (durable && (!is_name(durable) || strchr(durable, ':')))
        return client_complain("work", "--durable takes a name of 1 to 255 bytes, UTF-8, without ':'", durable);
    return 0;
}

static bool is_name(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= NAME_MAX_BYTES && channel_text_is_valid(bytes_from_string(text));
}

static int run(struct work *work)
{
    char client_id[128];
    const char *directory = getenv("TMPDIR");
    struct work_options *options = &work->options;
    char *program = job_find_program(options->arguments[0]);
    if (!program) {
        fprintf(stderr, "weir work: there is no program \"%s\" that may be executed\n", options->arguments[0]);
        return 1;
    }
    options->arguments[0] = program;
    make_client_id(client_id, sizeof(client_id));
    if (!options->client_id)
        options->client_id = client_id;
    if (!options->durable)
        options->durable = options->group;
    options->connection.name = "weir work";
    work->command = (struct job_command){
        .arguments = options->arguments,
        .channel = options->channel,
        .group = options->group,
        .directory = !options->file              ? NULL
                     : directory && directory[0] ? directory
                                                 : "/tmp",
    };
    int status = work_loop(work);
    mem_free(program);
    return status;
}

// A pod's name, and process 1 in it: so a container that is started again takes over from itself.
static void make_client_id(char *ret_id, size_t size)
{
    char host[64] = "";
    (void)gethostname(host, sizeof(host) - 1);
    for (char *at = host; *at; at++) {
        if (!isalnum((unsigned char)*at) && *at != '-' && *at != '_')
            *at = '-';
    }
    snprintf(ret_id, size, "weir-work-%s-%d", host, (int)getpid());
}
