// SPDX-License-Identifier: Apache-2.0
// weir enqueue: what it is called with. See cmd/enqueue_internal.h for what it does.
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "cmd/commands.h"
#include "cmd/enqueue_internal.h"
#include "os/random.h"
#include "stan/channel.h"

static const uint64_t HOUR_NS = 3600000000000;

static const char usage[] =
    "Usage: weir enqueue [options] CHANNEL [FILE…]\n"
    "\n"
    "Puts jobs into a channel: each FILE is one, or all of standard input, or with --lines every line. A job counts as "
    "enqueued when a\n"
    "server has it on disk. Of several servers one is taken at random; when it fails, refuses or is silent, the next "
    "one is tried.\n"
    "\n"
    "Options:\n"
    "  --servers URL,URL…    the servers; they need not know of each other (--server)\n"
    "  --cid ID              their cluster id (test-cluster)\n"
    "  --client_id ID        who we are (weir-enqueue- and a random number)\n"
    "  --lines               every line is a job, empty ones are not; of the files, if there are any\n"
    "  --id TEMPLATE         the job's id: {n} is its number from 1 on, {file} the file's name, {hash} 16 digits of "
    "what is in it.\n"
    "                        A server stores an id once within its duplicate_window, so the same call twice makes no "
    "second job\n"
    "  --deadline TIME       give up when no server has stored anything for so long (30s)\n"
    "  --json                say in JSON what was done\n"
    "  -q, --quiet           no progress bar\n" CLIENT_OPTIONS_HELP "\n"
    "Exit code 0: every job is stored; 1: not all of them are, standard error says how many and what each server said; "
    "2: called wrongly.\n";

static int parse(struct enqueue_options *options, int argc, char **argv);
static int take(struct enqueue_options *options, int option, const char *value);
static int check(const struct enqueue_options *options);
static int run(struct enqueue *enqueue);

enum { SERVERS = 256, CID, CLIENT_ID, LINES, ID, DEADLINE, JSON };

void enqueue_help(void)
{
    fputs(usage, stdout);
}

int enqueue_run(int count, char **arguments)
{
    // getopt wants the name in front.
    char **argv = arguments - 1;
    argv[0] = (char[]){"weir enqueue"};
    struct enqueue *enqueue = mem_alloc_zero(sizeof(*enqueue));
    enqueue->options = (struct enqueue_options){
        .connection = CLIENT_OPTIONS_INIT, .cluster = "test-cluster", .deadline_ns = 30000000000};
    int status = parse(&enqueue->options, count + 1, argv);
    if (!status && !enqueue->options.help) {
        const char *servers = enqueue->options.servers;
        // The text may hold a password.
        if (server_list_init(&enqueue->list, servers ? servers : enqueue->options.connection.server)) {
            fprintf(stderr, "weir enqueue: --servers is no list of servers' addresses\n");
            status = 2;
        } else {
            status = run(enqueue);
            server_list_deinit(&enqueue->list);
        }
    }
    mem_free(enqueue);
    return status;
}

static int parse(struct enqueue_options *options, int argc, char **argv)
{
    static const struct option rows[] = {
        CLIENT_OPTIONS_ROWS,
        {"servers", required_argument, NULL, SERVERS},
        {"cid", required_argument, NULL, CID},
        {"client_id", required_argument, NULL, CLIENT_ID},
        {"lines", no_argument, NULL, LINES},
        {"id", required_argument, NULL, ID},
        {"deadline", required_argument, NULL, DEADLINE},
        {"json", no_argument, NULL, JSON},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, status = 0;
    while (!status && !options->help &&
           (option = getopt_long(argc, argv, CLIENT_OPTIONS_LETTERS "qh", rows, NULL)) != -1)
        status = take(options, option, optarg);
    if (status || options->help)
        return status;
    if (optind == argc) {
        fputs(usage, stderr);
        return 2;
    }
    options->channel = argv[optind];
    options->files = argv + optind + 1;
    options->file_count = (size_t)(argc - optind - 1);
    return check(options);
}

static int take(struct enqueue_options *options, int option, const char *value)
{
    switch (option) {
    case SERVERS: options->servers = value; return 0;
    case CID: options->cluster = value; return 0;
    case CLIENT_ID: options->client_id = value; return 0;
    case LINES: options->lines = true; return 0;
    case ID: options->id_template = value; return 0;
    case DEADLINE: return client_options_duration("enqueue", "--deadline", value, 24 * HOUR_NS, &options->deadline_ns);
    case JSON: options->json = true; return 0;
    case 'q': options->quiet = true; return 0;
    case 'h':
        enqueue_help();
        options->help = true;
        return 0;
    default: return client_options_take(&options->connection, option, value) ? 0 : client_refuse_options("enqueue");
    }
}

static int check(const struct enqueue_options *options)
{
    if (!stan_session_takes_channel(bytes_from_string(options->channel)))
        return client_complain("enqueue", "a channel is words joined by dots, without wildcards and blanks",
                               options->channel);
    if (!channel_client_id_is_valid(bytes_from_string(options->cluster)))
        return client_complain("enqueue", "--cid has letters, digits, - and _", options->cluster);
    if (options->client_id && !channel_client_id_is_valid(bytes_from_string(options->client_id)))
        return client_complain("enqueue", "--client_id has letters, digits, - and _", options->client_id);
    if (options->id_template && !enqueue_knows_id(options->id_template))
        return client_complain("enqueue", "--id knows {n}, {file} and {hash}, and nothing else in braces",
                               options->id_template);
    if (options->id_template && !strchr(options->id_template, '{') && (options->lines || options->file_count > 1))
        return client_complain("enqueue", "several jobs with one --id would be one job; it needs {n}, {file} or {hash}",
                               options->id_template);
    return client_options_check(&options->connection, "enqueue");
}

static int run(struct enqueue *enqueue)
{
    uint64_t random = random_machine.next(random_machine.owner);
    char client_id[64];
    snprintf(enqueue->made_id, sizeof(enqueue->made_id), "%016llx",
             (unsigned long long)random_machine.next(random_machine.owner));
    snprintf(client_id, sizeof(client_id), "weir-enqueue-%016llx", (unsigned long long)random);
    if (!enqueue->options.client_id)
        enqueue->options.client_id = client_id;
    enqueue->options.connection.name = "weir enqueue";
    enqueue->at = random % enqueue->list.count;
    enqueue->began_ns = enqueue->progress_ns = client_now_ns();
    int error = enqueue_read(enqueue);
    // What was read before it went wrong is still delivered; that a deadline passed is not waited for twice.
    if (error != ERR_TIMEOUT && error != ERR_FAILED) {
        int drained = enqueue_drain(enqueue);
        error = error ? error : drained;
    }
    enqueue_close(enqueue);
    int status = error ? 1 : 0;
    enqueue_show_end(enqueue, status);
    return status;
}
