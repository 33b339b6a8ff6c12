// SPDX-License-Identifier: Apache-2.0
// The options of all our commands that connect to a server: where it is, who we are, how the connection is secured. Named as in the
// tools and examples of NATS.
#pragma once

#include <getopt.h>
#include <stdbool.h>

#include "cmd/client_link.h"

// Strings are borrowed.
struct client_options {
    const char *server;                  // see codec/nats_url.h; a list of them is not taken
    const char *user, *password, *token; // NULL: what the URL has
    const char *nkey_file;               // a user's seed; NULL: none
    struct client_tls tls;
    bool wants_tls;     // not in the clear, whatever the server says; "tls://" says the same
    bool tls_first;     // the handshake comes before the server's greeting
    bool no_responders; // answer requests nobody listens to with a 503
    const char *name;   // shown by the server
    int timeout_ms;     // of connecting
};

#define CLIENT_OPTIONS_INIT                                                                                            \
    {                                                                                                                  \
        .server = "nats://127.0.0.1:4222", .timeout_ms = 5000                                                          \
    }

// For getopt_long(): the letters, and rows for the table.
#define CLIENT_OPTIONS_LETTERS "s:"
enum client_option {
    CLIENT_OPTION_SERVER = 's',
    CLIENT_OPTION_USER = 1000,
    CLIENT_OPTION_PASSWORD,
    CLIENT_OPTION_TOKEN,
    CLIENT_OPTION_NKEY,
    CLIENT_OPTION_TLS,
    CLIENT_OPTION_CA,
    CLIENT_OPTION_CERT,
    CLIENT_OPTION_KEY,
    CLIENT_OPTION_SKIP,
    CLIENT_OPTION_FIRST,
};
#define CLIENT_OPTIONS_ROWS                                                                                            \
    {"server", required_argument, NULL, CLIENT_OPTION_SERVER}, {"user", required_argument, NULL, CLIENT_OPTION_USER},  \
        {"password", required_argument, NULL, CLIENT_OPTION_PASSWORD},                                                 \
        {"token", required_argument, NULL, CLIENT_OPTION_TOKEN},                                                       \
        {"nkey", required_argument, NULL, CLIENT_OPTION_NKEY}, {"tls", no_argument, NULL, CLIENT_OPTION_TLS},          \
        {"tlscacert", required_argument, NULL, CLIENT_OPTION_CA},                                                      \
        {"tlsca", required_argument, NULL, CLIENT_OPTION_CA},                                                          \
        {"tlscert", required_argument, NULL, CLIENT_OPTION_CERT},                                                      \
        {"tlskey", required_argument, NULL, CLIENT_OPTION_KEY}, {"tlsskip", no_argument, NULL, CLIENT_OPTION_SKIP},    \
    {                                                                                                                  \
        "tlsfirst", no_argument, NULL, CLIENT_OPTION_FIRST                                                             \
    }

// For --help.
#define CLIENT_OPTIONS_HELP                                                                                            \
    "\n"                                                                                                               \
    "Connection:\n"                                                                                                    \
    "  -s, --server URL      [nats://|tls://][user:password@|token@]host[:port] (nats://127.0.0.1:4222)\n"             \
    "  --user NAME           with --password; both show in the list of processes, as the URL does\n"                   \
    "  --password TEXT\n"                                                                                              \
    "  --token TEXT\n"                                                                                                 \
    "  --nkey FILE           file with the seed of a user's nkey\n"                                                    \
    "  --tls                 nothing in the clear; also what tls:// says\n"                                            \
    "  --tlscacert FILE      who signs servers' certificates, PEM (the system's authorities); also --tlsca\n"          \
    "  --tlscert FILE        our certificate, PEM, for servers that ask for one\n"                                     \
    "  --tlskey FILE         its key\n"                                                                                \
    "  --tlsfirst            TLS before the server's greeting (its handshake_first)\n"                                 \
    "  --tlsskip             take any certificate, be the server who it may\n"

// Takes one of the rows; false: it is none of them.
bool client_options_take(struct client_options *options, int option, const char *value);
// Whether they go together; else says what does not. Returns the exit status 0 or 2.
int client_options_check(const struct client_options *options, const char *command);

// For commands with values of their own: reads one, or says on standard error what `name` takes. Returns the exit status 0 or 2.
int client_options_duration(const char *command, const char *name, const char *text, uint64_t max_ns, uint64_t *ret_ns);
int client_options_number(const char *command, const char *name, const char *text, uint64_t min, uint64_t max,
                          uint64_t *ret_number);
