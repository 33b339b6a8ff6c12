// SPDX-License-Identifier: Apache-2.0
// weir pub: publishes a message, given as an argument or read from standard input.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/number.h"
#include "cmd/client.h"
#include "cmd/commands.h"
#include "subject/subject.h"
#include "wire/headers.h"

enum { MESSAGE_MAX = 64 << 20, HEADERS_MAX = 64 << 10, TIMEOUT_MS = 5000 };

static const char usage[] =
    "Usage: weir pub [options] SUBJECT [MESSAGE]\n"
    "\n"
    "Publishes MESSAGE, or standard input when it is left out, and waits until the server has it.\n"
    "\n"
    "Options:\n"
    "  -r, --reply SUBJECT   where answers go\n"
    "  -H, --header NAME:VALUE   a header; may be repeated\n"
    "  --count N             publish it N times (1)\n" CLIENT_OPTIONS_HELP;

struct pub {
    struct client_options connection;
    const char *reply;
    uint64_t count;
    char headers_memory[HEADERS_MAX];
    struct headers_builder headers;
    bool has_headers;
};

static int header_add(struct pub *pub, const char *text)
{
    const char *colon = strchr(text, ':');
    if (!colon) {
        fprintf(stderr, "weir pub: a header is NAME:VALUE, not \"%s\"\n", text);
        return 2;
    }
    if (!pub->has_headers)
        headers_begin(&pub->headers, pub->headers_memory, HEADERS_MAX, 0, (struct bytes){0});
    pub->has_headers = true;
    const char *value = colon + 1 + strspn(colon + 1, " ");
    headers_add(&pub->headers, bytes_make(text, (size_t)(colon - text)), bytes_from_string(value));
    return 0;
}

static int options_parse(struct pub *pub, int argc, char **argv)
{
    enum { COUNT = 256 };
    static const struct option options[] = {
        CLIENT_OPTIONS_ROWS,
        {"reply", required_argument, NULL, 'r'},
        {"header", required_argument, NULL, 'H'},
        {"count", required_argument, NULL, COUNT},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, status = 0;
    while (!status && (option = getopt_long(argc, argv, CLIENT_OPTIONS_LETTERS "r:H:h", options, NULL)) != -1) {
        switch (option) {
        case 'r': pub->reply = optarg; break;
        case 'H': status = header_add(pub, optarg); break;
        case COUNT:
            if (number_parse_u64(bytes_from_string(optarg), 1000000000, &pub->count))
                status = client_complain("pub", "--count takes a number from 0 to 1000000000", optarg);
            break;
        case 'h': fputs(usage, stdout); exit(0);
        default:
            if (!client_options_take(&pub->connection, option, optarg))
                return client_refuse_options("pub");
        }
    }
    if (!status)
        status = client_options_check(&pub->connection, "pub");
    if (!status && (argc - optind < 1 || argc - optind > 2)) {
        fputs(usage, stderr);
        status = 2;
    }
    return status;
}

// All of standard input, in `message`.
static int input_read(struct buffer *message)
{
    ssize_t got;
    do {
        char *to = buffer_reserve(message, 64 << 10);
        if (!to) {
            fprintf(stderr, "weir pub: standard input is larger than any message\n");
            return 1;
        }
        got = read(STDIN_FILENO, to, 64 << 10);
        if (got > 0)
            buffer_commit(message, (size_t)got);
    } while (got > 0);
    return got < 0;
}

void pub_help(void)
{
    fputs(usage, stdout);
}

int pub_run(int count, char **arguments)
{
    // getopt wants the name in front.
    int argc = count + 1;
    char **argv = arguments - 1;
    argv[0] = (char[]){"weir pub"};
    struct pub pub = {.connection = CLIENT_OPTIONS_INIT, .reply = "", .count = 1};
    struct client client;
    struct buffer input;
    struct bytes headers = {0};
    int status = options_parse(&pub, argc, argv);
    if (status)
        return status;
    if (!subject_is_valid_publish(bytes_from_string(argv[optind])))
        return client_complain("pub", "a subject is words without blanks, joined by dots", argv[optind]);
    if (pub.has_headers && headers_end(&pub.headers, &headers)) {
        fprintf(stderr, "weir pub: a header has a bad name or value, or there are too many\n");
        return 2;
    }
    buffer_init(&input, MESSAGE_MAX);
    struct bytes payload = {0};
    if (argc - optind == 2) {
        payload = bytes_from_string(argv[optind + 1]);
    } else {
        status = input_read(&input);
        payload = buffer_bytes(&input);
    }
    pub.connection.name = "weir pub";
    int error = status ? 0 : client_connect(&client, &pub.connection);
    if (!status && !error) {
        for (uint64_t i = 0; i < pub.count && !error; i++) {
            error = client_publish(&client, bytes_from_string(argv[optind]), bytes_from_string(pub.reply), headers,
                                   payload);
            if (!error && client_pending(&client) > 1 << 20)
                error = client_flush(&client);
        }
        if (!error)
            error = client_round_trip(&client, TIMEOUT_MS);
        client_close(&client);
    }
    if (error) {
        fprintf(stderr, "weir pub: %s\n", client.error);
        status = 1;
    }
    buffer_deinit(&input);
    return status;
}
