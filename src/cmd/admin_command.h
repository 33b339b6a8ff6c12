// SPDX-License-Identifier: Apache-2.0
// Commands that are a request to the admin API each: `weir channel ls`, `weir group pause jobs workers`. A noun is a table of verbs; a verb
// names its request (docs/admin-api.md), where its arguments and options go in it, and how the answer is shown. Parsing, help, completion
// and manual pages come from these tables.
#pragma once

#include "cmd/admin_show.h"

enum {
    ADMIN_ARGUMENTS_MAX = 4,
    ADMIN_VERBS_MAX = 16,
};

// What a word on the command line is, and what it becomes.
enum admin_type {
    ADMIN_TEXT,      // as it is
    ADMIN_NUMBER,    // a JSON integer
    ADMIN_SIZE,      // bytes: 1024, 64K, 10M, 1G
    ADMIN_DURATION,  // milliseconds: 30s, 1m30s
    ADMIN_DURATIONS, // an array of them: 1s,5s,1m
    ADMIN_TRUE,      // an option without a value
};

// Where an argument goes. `field` "config.max_msgs" is within an object.
struct admin_argument {
    const char *shown; // "CHANNEL"
    const char *field;
    enum admin_type type;
    bool optional; // only the last ones
    bool is_list;  // takes all that is left, as an array
    bool by_id;    // not there when --id names the group
};

struct admin_option {
    const char *name; // without dashes
    const char *field;
    enum admin_type type;
    const char *value; // as help shows it; NULL: none
    const char *help;
};

struct admin_verb {
    const char *name;
    const char *request; // "CHANNEL.LIST"
    const char *help;    // one line
    struct admin_argument arguments[ADMIN_ARGUMENTS_MAX];
    const struct admin_option *options; // ends with a row without a name; NULL: none
    const char *question;               // asked before, of what cannot be undone; NULL: not asked
    const char *list;      // the answer's member that is the list, to be asked for to its end; NULL: no list
    const char *cursor[2]; // of a list: the answer's member to go on with, and the request's it goes into
    const struct admin_column *columns; // of the list, or of the answer's fields
    // Instead of `columns`; NULL: these. And with --raw; NULL: there is no such option.
    void (*show)(const json_t *answer, FILE *out);
    void (*show_raw)(const json_t *answer, FILE *out);
    // After the answer, to wait for what it began. Returns the exit code; NULL: nothing.
    int (*follow)(struct admin_link *link, const json_t *answer);
};

struct admin_noun {
    const char *name;
    const char *help; // a paragraph
    const struct admin_verb *verbs;
    size_t count;
};

// As commands.h has it: the sub-command's run and help.
int admin_command_run(const struct admin_noun *noun, int count, char **arguments);
void admin_command_help(const struct admin_noun *noun);
