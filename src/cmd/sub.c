// SPDX-License-Identifier: Apache-2.0
// weir sub: prints what is published on a subject.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/number.h"
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/terminal.h"
#include "subject/subject.h"

static const char usage[] =
    "Usage: weir sub [options] SUBJECT\n"
    "\n"
    "Prints the messages published on SUBJECT, which may have wildcards, until interrupted.\n"
    "\n"
    "Options:\n"
    "  -q, --queue NAME      share the messages with the other members of this queue group\n"
    "  --count N             stop after N messages\n"
    "  --raw                 print payloads only, as they are, each followed by a newline\n" CLIENT_OPTIONS_HELP;

struct sub {
    struct client_options connection;
    const char *queue;
    uint64_t count, seen;
    bool raw, is_terminal;
};

// What could steer a terminal stands there as \xNN; line ends and tabs stay.
static void print(const struct sub *sub, struct bytes text)
{
    if (!sub->is_terminal || sub->raw) {
        fwrite(text.ptr, 1, text.len, stdout);
        return;
    }
    terminal_print(text, false, stdout);
}

static void on_message(void *owner, const struct wire_op *message)
{
    struct sub *sub = owner;
    if (sub->count && sub->seen == sub->count)
        return;
    sub->seen++;
    if (!sub->raw) {
        printf("[%llu] ", (unsigned long long)sub->seen);
        print(sub, message->subject);
        if (message->reply.len) {
            printf("  reply ");
            print(sub, message->reply);
        }
        printf("  %zu bytes\n", message->payload.len);
        if (message->header.len)
            print(sub, message->header);
    }
    print(sub, message->payload);
    putchar('\n');
    fflush(stdout);
}

static int options_parse(struct sub *sub, int argc, char **argv)
{
    enum { COUNT = 256, RAW };
    static const struct option options[] = {
        CLIENT_OPTIONS_ROWS,
        {"queue", required_argument, NULL, 'q'},
        {"count", required_argument, NULL, COUNT},
        {"raw", no_argument, NULL, RAW},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, status = 0;
    while (!status && (option = getopt_long(argc, argv, CLIENT_OPTIONS_LETTERS "q:h", options, NULL)) != -1) {
        switch (option) {
        case 'q': sub->queue = optarg; break;
        case COUNT:
            if (number_parse_u64(bytes_from_string(optarg), UINT64_MAX, &sub->count))
                status = client_complain("sub", "--count takes a number", optarg);
            break;
        case RAW: sub->raw = true; break;
        case 'h': fputs(usage, stdout); exit(0);
        default:
            if (!client_options_take(&sub->connection, option, optarg))
                return client_refuse_options("sub");
        }
    }
    if (!status)
        status = client_options_check(&sub->connection, "sub");
    if (!status && argc - optind != 1) {
        fputs(usage, stderr);
        status = 2;
    }
    return status;
}

void sub_help(void)
{
    fputs(usage, stdout);
}

int sub_run(int count, char **arguments)
{
    // getopt wants the name in front.
    int argc = count + 1;
    char **argv = arguments - 1;
    argv[0] = (char[]){"weir sub"};
    struct sub sub = {.connection = CLIENT_OPTIONS_INIT, .queue = "", .is_terminal = isatty(STDOUT_FILENO)};
    struct client client;
    int status = options_parse(&sub, argc, argv);
    if (status)
        return status;
    if (!subject_is_valid_subscribe(bytes_from_string(argv[optind])))
        return client_complain("sub", "a subject is words without blanks, joined by dots", argv[optind]);
    sub.connection.name = "weir sub";
    int got = client_connect(&client, &sub.connection);
    if (got == 0) {
        client.on_message = on_message;
        client.owner = &sub;
        client_subscribe(&client, bytes_from_string(argv[optind]), bytes_from_string(sub.queue), 1);
        got = client_round_trip(&client, 5000);
        if (got == 0 && !sub.raw)
            fprintf(stderr, "Listening on %s\n", argv[optind]);
        while (got >= 0 && (sub.count == 0 || sub.seen < sub.count))
            got = client_wait(&client, -1);
        client_close(&client);
    }
    if (got < 0)
        fprintf(stderr, "weir sub: %s\n", client.error);
    return got < 0;
}
