// SPDX-License-Identifier: Apache-2.0
// weir req: sends a request and prints the reply.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/number.h"
#include "cmd/client.h"
#include "cmd/commands.h"
#include "subject/subject.h"
#include "wire/headers.h"

static const char usage[] = "Usage: weir req [options] SUBJECT [MESSAGE]\n"
                            "\n"
                            "Sends a request and prints the first reply. Exit status 1 when nobody answers.\n"
                            "\n"
                            "Options:\n"
                            "  --timeout MS          how long to wait for the reply (2000)\n" CLIENT_OPTIONS_HELP;

struct req {
    struct client_options connection;
    uint64_t timeout_ms;
    bool answered, nobody;
};

static void on_reply(void *owner, const struct wire_op *message)
{
    struct req *req = owner;
    struct headers headers;
    if (req->answered || req->nobody)
        return;
    if (message->header.len && headers_parse(message->header, &headers) == 0 &&
        headers.status == HEADERS_STATUS_NO_RESPONDERS && message->payload.len == 0) {
        req->nobody = true;
        return;
    }
    fwrite(message->payload.ptr, 1, message->payload.len, stdout);
    putchar('\n');
    req->answered = true;
}

static int options_parse(struct req *req, int argc, char **argv)
{
    enum { TIMEOUT = 256 };
    static const struct option options[] = {
        CLIENT_OPTIONS_ROWS,
        {"timeout", required_argument, NULL, TIMEOUT},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, status = 0;
    while (!status && (option = getopt_long(argc, argv, CLIENT_OPTIONS_LETTERS "h", options, NULL)) != -1) {
        switch (option) {
        case TIMEOUT:
            if (number_parse_u64(bytes_from_string(optarg), 86400000, &req->timeout_ms))
                status = client_complain("req", "--timeout takes a number of milliseconds", optarg);
            break;
        case 'h': fputs(usage, stdout); exit(0);
        default:
            if (!client_options_take(&req->connection, option, optarg))
                return client_refuse_options("req");
        }
    }
    if (!status)
        status = client_options_check(&req->connection, "req");
    if (!status && (argc - optind < 1 || argc - optind > 2)) {
        fputs(usage, stderr);
        status = 2;
    }
    return status;
}

static int request(struct req *req, struct client *client, const char *subject, const char *message)
{
    char inbox[64];
    snprintf(inbox, sizeof(inbox), "_INBOX.weir-req.%d.%llx", (int)getpid(), (unsigned long long)client_now_ns());
    client_subscribe(client, bytes_from_string(inbox), BYTES(""), 1);
    int got = client_publish(client, bytes_from_string(subject), bytes_from_string(inbox), (struct bytes){0},
                             bytes_from_string(message));
    uint64_t end = client_now_ns() + req->timeout_ms * 1000000;
    while (got >= 0 && !req->answered && !req->nobody && client_now_ns() < end)
        got = client_wait(client, (int)((end - client_now_ns()) / 1000000) + 1);
    return got < 0 ? got : 0;
}

void req_help(void)
{
    fputs(usage, stdout);
}

int req_run(int count, char **arguments)
{
    // getopt wants the name in front.
    int argc = count + 1;
    char **argv = arguments - 1;
    argv[0] = (char[]){"weir req"};
    struct req req = {.connection = CLIENT_OPTIONS_INIT, .timeout_ms = 2000};
    struct client client;
    int status = options_parse(&req, argc, argv);
    if (status)
        return status;
    if (!subject_is_valid_publish(bytes_from_string(argv[optind])))
        return client_complain("req", "a subject is words without blanks, joined by dots", argv[optind]);
    req.connection.name = "weir req";
    req.connection.no_responders = true;
    int error = client_connect(&client, &req.connection);
    if (!error) {
        client.on_message = on_reply;
        client.owner = &req;
        error = request(&req, &client, argv[optind], argc - optind == 2 ? argv[optind + 1] : "");
        client_close(&client);
    }
    if (error)
        fprintf(stderr, "weir req: %s\n", client.error);
    else if (req.nobody)
        fprintf(stderr, "weir req: nobody listens on %s\n", argv[optind]);
    else if (!req.answered)
        fprintf(stderr, "weir req: no reply within %llu ms\n", (unsigned long long)req.timeout_ms);
    return req.answered ? 0 : 1;
}
