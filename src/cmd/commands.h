// SPDX-License-Identifier: Apache-2.0
// The sub-commands of `weir`: one file and one line of COMMANDS each. `run` gets the arguments behind the sub-command's
// name and returns the exit code: 0, 1 (it failed), 2 (it was called wrongly). `help` prints what --help shows.
#pragma once

// name, one line for the list
#define COMMANDS(X)                                                                                                    \
    X(serve, "run the server (the default)")                                                                           \
    X(pub, "publish a message")                                                                                        \
    X(sub, "print what is published")                                                                                  \
    X(req, "send a request, print the reply")                                                                          \
    X(enqueue, "put jobs into a channel of one of several servers")                                                    \
    X(work, "run a command for each message of a channel")                                                             \
    X(bench, "put load on a server and measure")                                                                       \
    X(channel, "channels: list, limit, pause, purge")                                                                  \
    X(group, "groups: list, pause, seek, remove")                                                                      \
    X(msg, "messages: list, show, release, kill")                                                                      \
    X(dlq, "dead letters: list, redrive")                                                                              \
    X(client, "clients of NATS Streaming: list, show, kick")                                                           \
    X(top, "watch a server")                                                                                           \
    X(check, "look at a data directory, change nothing")                                                               \
    X(backup, "copy what a running server has into a file")                                                            \
    X(restore, "make a data directory of such a file")                                                                 \
    X(import, "move in with the data of a NATS Streaming server")                                                      \
    X(bridge, "copy channels from a NATS Streaming server while it runs")                                              \
    X(version, "print the version")

#define X(name, line)                                                                                                  \
    int name##_run(int count, char **arguments);                                                                       \
    void name##_help(void);
COMMANDS(X)
#undef X
