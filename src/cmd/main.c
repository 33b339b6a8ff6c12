// SPDX-License-Identifier: Apache-2.0
// `weir`: finds the sub-command and hands over. No sub-command, or a flag first, means `serve`. Called `nats-server` or
// `nats-streaming-server` it is that server (cmd/persona.h).
#include <stdio.h>
#include <string.h>

#include "cmd/commands.h"
#include "cmd/persona.h"
#include "cmd/serve_start.h"
#include "codec/json_fields.h"
#include "os/process.h"

struct command {
    const char *name;
    const char *line;
    int (*run)(int count, char **arguments);
    void (*help)(void);
};

static const struct command commands[] = {
#define X(name, line) {#name, line, name##_run, name##_help},
    COMMANDS(X)
#undef X
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int run_persona(enum options_persona persona, int count, char **arguments);
static const struct command *find(const char *name);
static int run_help(int count, char **arguments);
static void print_usage(FILE *out);
static int refuse(const char *name);

int main(int count, char **arguments)
{
    if (process_open_standard())
        return 1;
    json_fields_init();
    enum options_persona persona = persona_find(count > 0 ? arguments[0] : NULL);
    if (persona != OPTIONS_WEIR)
        return run_persona(persona, count - 1, arguments + 1);
    if (count < 2)
        return serve_run(0, arguments + 1);
    const char *first = arguments[1];
    if (strcmp(first, "help") == 0 || strcmp(first, "--help") == 0 || strcmp(first, "-help") == 0 ||
        strcmp(first, "-h") == 0)
        return run_help(count - 2, arguments + 2);
    if (strcmp(first, "--version") == 0 || strcmp(first, "-version") == 0 || strcmp(first, "-v") == 0)
        return version_run(0, arguments + 2);
    if (first[0] == '-')
        return serve_run(count - 1, arguments + 1);
    const struct command *command = find(first);
    if (!command)
        return refuse(first);
    if (count > 2 && (strcmp(arguments[2], "--help") == 0 || strcmp(arguments[2], "-h") == 0)) {
        command->help();
        return 0;
    }
    return command->run(count - 2, arguments + 2);
}

// These servers know no sub-commands but the words for two of their flags.
static int run_persona(enum options_persona persona, int count, char **arguments)
{
    if (count == 1 && strcmp(arguments[0], "version") == 0) {
        persona_print_version(persona);
        return 0;
    }
    if (count == 1 && strcmp(arguments[0], "help") == 0) {
        persona_print_help(persona);
        return 0;
    }
    return serve_as(persona, count, arguments);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int run_help(int count, char **arguments)
{
    if (count == 0) {
        print_usage(stdout);
        return 0;
    }
    const struct command *command = find(arguments[0]);
    if (!command)
        return refuse(arguments[0]);
    command->help();
    return 0;
}

static void print_usage(FILE *out)
{
    fputs("Weir, a durable message server for NATS and NATS Streaming clients.\n\n"
          "usage: weir [COMMAND] [FLAGS]\n\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].line);
    fputs("\n`weir COMMAND --help` says more. Flags without a command are those of `weir serve`.\n", out);
}

static int refuse(const char *name)
{
    fprintf(stderr, "weir: there is no command \"%s\"\n\n", name);
    print_usage(stderr);
    return 2;
}
