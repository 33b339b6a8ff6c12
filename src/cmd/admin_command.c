// SPDX-License-Identifier: Apache-2.0
#include "cmd/admin_command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/must.h"
#include "base/number.h"
#include "cmd/admin_value.h"
#include "cmd/terminal.h"

enum {
    FIRST_OPTION = 2000, // what getopt gives for the verb's own
    OPTIONS_MAX = 64,
    PAGE_MAX = 1000, // entries of a page, see docs/admin-api.md
    LIMIT_DEFAULT = 1000,
    TIMEOUT_MS = 30000,
    NAME_SIZE = 64,
    ANSWER_SIZE = 16,
    HELP_WIDTH = 21, // of an option, where help begins to say what it does
};

enum common_option { OPTION_JSON = 1900, OPTION_YES, OPTION_RAW, OPTION_LIMIT, OPTION_TIMEOUT };

struct call {
    const struct admin_noun *noun;
    const struct admin_verb *verb;
    struct client_options connection;
    char name[NAME_SIZE]; // "channel ls"
    char title[NAME_SIZE + 8];
    bool json, raw, yes;
    uint64_t limit, timeout_ms; // limit 0: everything
    json_t *body;               // owned
    struct admin_link link;
};

static const struct admin_verb *find_verb(const struct admin_noun *noun, const char *name);
static int parse(struct call *call, int argc, char **argv);
static int take_option(struct call *call, int option, const char *value);
static int take_arguments(struct call *call, int count, char **arguments);
static int take_list(struct call *call, const struct admin_argument *argument, int count, char **arguments);
static int put(struct call *call, const char *what, const char *field, enum admin_type type, const char *text);
static void print_verb_help(const struct admin_noun *noun, const struct admin_verb *verb, FILE *out);
static void print_option(const struct admin_option *option, FILE *out);
static void print_usage_line(const struct admin_noun *noun, const struct admin_verb *verb, FILE *out);
static int confirm(struct call *call);
static int run(struct call *call);
static json_t *ask(struct call *call);
static json_t *ask_list(struct call *call);
static void show(struct call *call, const json_t *answer);
static int fail(const struct call *call, const char *what);

int admin_command_run(const struct admin_noun *noun, int count, char **arguments)
{
    if (count == 0 || strcmp(arguments[0], "help") == 0) {
        admin_command_help(noun);
        return count == 0 ? 2 : 0;
    }
    struct call call = {
        .noun = noun, .connection = CLIENT_OPTIONS_INIT, .limit = LIMIT_DEFAULT, .timeout_ms = TIMEOUT_MS};
    call.verb = find_verb(noun, arguments[0]);
    if (!call.verb) {
        fprintf(stderr, "weir %s: there is no \"%s\"; `weir help %s` lists what there is\n", noun->name, arguments[0],
                noun->name);
        return 2;
    }
    snprintf(call.name, sizeof(call.name), "%s %s", noun->name, call.verb->name);
    snprintf(call.title, sizeof(call.title), "weir %s", call.name);
    // getopt wants the name in front.
    arguments[0] = call.title;
    call.body = json_object();
    int status = parse(&call, count, arguments);
    if (!status)
        status = confirm(&call);
    if (!status)
        status = run(&call);
    json_decref(call.body);
    return status;
}

void admin_command_help(const struct admin_noun *noun)
{
    printf("Usage: weir %s VERB [options] ...\n\n%s\n\n", noun->name, noun->help);
    for (size_t i = 0; i < noun->count; i++)
        printf("  %-8s %s\n", noun->verbs[i].name, noun->verbs[i].help);
    printf("\n`weir %s %s --help` says more.\n", noun->name, noun->verbs[0].name);
}

static const struct admin_verb *find_verb(const struct admin_noun *noun, const char *name)
{
    for (size_t i = 0; i < noun->count; i++) {
        if (strcmp(noun->verbs[i].name, name) == 0)
            return &noun->verbs[i];
    }
    return NULL;
}

static int parse(struct call *call, int argc, char **argv)
{
    static const struct option common[] = {
        CLIENT_OPTIONS_ROWS,
        {"json", no_argument, NULL, OPTION_JSON},
        {"yes", no_argument, NULL, OPTION_YES},
        {"raw", no_argument, NULL, OPTION_RAW},
        {"limit", required_argument, NULL, OPTION_LIMIT},
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},
        {"help", no_argument, NULL, 'h'},
    };
    struct option options[OPTIONS_MAX] = {{0}};
    size_t count = sizeof(common) / sizeof(common[0]);
    memcpy(options, common, sizeof(common));
    for (const struct admin_option *own = call->verb->options; own && own->name; own++) {
        must(count + 1 < OPTIONS_MAX);
        int takes = own->type == ADMIN_TRUE ? no_argument : required_argument;
        options[count++] = (struct option){own->name, takes, NULL, FIRST_OPTION + (int)(own - call->verb->options)};
    }
    int option, status = 0;
    while (!status && (option = getopt_long(argc, argv, CLIENT_OPTIONS_LETTERS "hy", options, NULL)) != -1)
        status = take_option(call, option, optarg);
    if (!status)
        status = client_options_check(&call->connection, call->name);
    if (!status)
        status = take_arguments(call, argc - optind, argv + optind);
    return status;
}

static int take_option(struct call *call, int option, const char *value)
{
    switch (option) {
    case OPTION_JSON: call->json = true; return 0;
    case 'y':
    case OPTION_YES: call->yes = true; return 0;
    case OPTION_RAW:
        call->raw = true;
        return call->verb->show_raw ? 0 : client_complain(call->name, "--raw is for payloads", "here");
    case OPTION_LIMIT:
        if (!call->verb->list || number_parse_u64(bytes_from_string(value), UINT32_MAX, &call->limit))
            return client_complain(call->name, "--limit takes a number, for lists; 0: all", value);
        return 0;
    case OPTION_TIMEOUT: return admin_value_ms(call->name, "timeout", value, &call->timeout_ms);
    case 'h': print_verb_help(call->noun, call->verb, stdout); exit(0);
    default: break;
    }
    if (option < FIRST_OPTION)
        return client_options_take(&call->connection, option, value) ? 0 : client_refuse_options(call->name);
    const struct admin_option *own = &call->verb->options[option - FIRST_OPTION];
    char what[NAME_SIZE];
    snprintf(what, sizeof(what), "--%s", own->name);
    return put(call, what, own->field, own->type, value);
}

static int take_arguments(struct call *call, int count, char **arguments)
{
    bool by_id = json_object_get(call->body, "group_id") != NULL;
    int used = 0, status = 0;
    for (size_t i = 0; !status && i < ADMIN_ARGUMENTS_MAX && call->verb->arguments[i].shown; i++) {
        const struct admin_argument *argument = &call->verb->arguments[i];
        if (by_id && argument->by_id)
            continue;
        if (used >= count && !argument->optional) {
            used = count + 1;
            break;
        }
        if (argument->is_list) {
            status = take_list(call, argument, count - used, arguments + used);
            used = count;
        } else if (used < count) {
            status = put(call, argument->shown, argument->field, argument->type, arguments[used++]);
        }
    }
    if (status || used == count)
        return status;
    if (used > count)
        fprintf(stderr, "weir %s: something is missing\n", call->name);
    else
        fprintf(stderr, "weir %s: \"%s\" is too much\n", call->name, arguments[used]);
    print_usage_line(call->noun, call->verb, stderr);
    return 2;
}

static int take_list(struct call *call, const struct admin_argument *argument, int count, char **arguments)
{
    if (count == 0)
        return 0;
    json_t *list = json_array();
    int status = 0;
    for (int i = 0; !status && i < count; i++) {
        json_t *value = admin_value_read(call->name, argument->shown, argument->type, arguments[i]);
        status = value ? 0 : 2;
        json_array_append_new(list, value);
    }
    json_object_set_new(call->body, argument->field, list);
    return status;
}

static int put(struct call *call, const char *what, const char *field, enum admin_type type, const char *text)
{
    json_t *value = admin_value_read(call->name, what, type, text), *object = call->body;
    if (!value)
        return 2;
    const char *dot = strchr(field, '.');
    if (dot) {
        char outer[NAME_SIZE];
        snprintf(outer, sizeof(outer), "%.*s", (int)(dot - field), field);
        object = json_object_get(call->body, outer);
        if (!object) {
            object = json_object();
            json_object_set_new(call->body, outer, object);
        }
        field = dot + 1;
    }
    json_object_set_new(object, field, value);
    return 0;
}

static void print_usage_line(const struct admin_noun *noun, const struct admin_verb *verb, FILE *out)
{
    fprintf(out, "Usage: weir %s %s [options]", noun->name, verb->name);
    for (size_t i = 0; i < ADMIN_ARGUMENTS_MAX && verb->arguments[i].shown; i++) {
        const struct admin_argument *argument = &verb->arguments[i];
        fprintf(out, argument->optional ? " [%s%s]" : " %s%s", argument->shown, argument->is_list ? "..." : "");
    }
    fputc('\n', out);
}

static void print_verb_help(const struct admin_noun *noun, const struct admin_verb *verb, FILE *out)
{
    print_usage_line(noun, verb, out);
    fprintf(out, "\n%c%s.\n\nOptions:\n", verb->help[0] - ('a' - 'A') * (verb->help[0] >= 'a'), verb->help + 1);
    for (const struct admin_option *own = verb->options; own && own->name; own++)
        print_option(own, out);
    if (verb->show_raw)
        fputs("  --raw                 the payload alone, as it is\n", out);
    if (verb->list)
        fputs("  --limit N             at most so many entries (1000); 0: all\n", out);
    if (verb->question)
        fputs("  -y, --yes             do not ask\n", out);
    fputs("  --json                the answer as it is, see docs/admin-api.md\n"
          "  --timeout TIME        how long to wait for the server (30s)\n" CLIENT_OPTIONS_HELP,
          out);
}

static void print_option(const struct admin_option *option, FILE *out)
{
    char left[NAME_SIZE];
    snprintf(left, sizeof(left), "--%s%s%s", option->name, option->value ? " " : "",
             option->value ? option->value : "");
    if (strlen(left) > HELP_WIDTH)
        fprintf(out, "  %s\n  %*s %s\n", left, HELP_WIDTH, "", option->help);
    else
        fprintf(out, "  %-*s %s\n", HELP_WIDTH, left, option->help);
}

static int confirm(struct call *call)
{
    if (!call->verb->question || call->yes)
        return 0;
    if (!isatty(STDIN_FILENO)) {
        fprintf(stderr, "weir %s: this cannot be undone; without a terminal to ask, it takes --yes\n", call->name);
        return 2;
    }
    char answer[ANSWER_SIZE] = "";
    fprintf(stderr, "%s Go on? [y/N] ", call->verb->question);
    if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return 0;
    fputs("nothing was done\n", stderr);
    return 1;
}

static int run(struct call *call)
{
    if (admin_link_open(&call->link, &call->connection, call->title))
        return fail(call, call->link.error);
    json_t *answer = call->verb->list ? ask_list(call) : ask(call);
    int status = 0;
    if (!answer)
        status = fail(call, call->link.error);
    else if (call->verb->follow && !call->json)
        status = call->verb->follow(&call->link, answer);
    else
        show(call, answer);
    json_decref(answer);
    admin_link_close(&call->link);
    if (fflush(stdout) || ferror(stdout))
        status = fail(call, "standard output cannot be written");
    return status;
}

static json_t *ask(struct call *call)
{
    return admin_link_ask(&call->link, call->verb->request, call->body, (int)call->timeout_ms);
}

// Page after page, into the first page's list.
static json_t *ask_list(struct call *call)
{
    json_t *whole = NULL;
    const char *const *cursor = call->verb->cursor;
    for (;;) {
        json_t *list = whole ? json_object_get(whole, call->verb->list) : NULL;
        uint64_t left = call->limit ? call->limit - json_array_size(list) : PAGE_MAX;
        json_object_set_new(call->body, "limit", json_integer(left < PAGE_MAX ? (json_int_t)left : PAGE_MAX));
        json_t *page = ask(call);
        if (!page) {
            json_decref(whole);
            return NULL;
        }
        json_t *next = json_incref(json_object_get(page, cursor[0]));
        if (whole) {
            json_array_extend(list, json_object_get(page, call->verb->list));
            json_decref(page);
        } else {
            whole = page;
            list = json_object_get(whole, call->verb->list);
        }
        bool full = call->limit && json_array_size(list) >= call->limit;
        json_object_del(whole, cursor[0]);
        if (!next || full) {
            if (next)
                json_object_set_new(whole, cursor[0], next);
            return whole;
        }
        json_object_set_new(call->body, cursor[1], next);
    }
}

static void show(struct call *call, const json_t *answer)
{
    const struct admin_verb *verb = call->verb;
    if (call->raw) {
        verb->show_raw(answer, stdout);
    } else if (call->json) {
        json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
    } else if (verb->show) {
        verb->show(answer, stdout);
    } else if (verb->list) {
        admin_show_table(json_object_get(answer, verb->list), verb->columns, stdout);
        if (json_object_get(answer, verb->cursor[0]))
            fprintf(stderr, "weir %s: there are more; --limit 0 shows all\n", call->name);
    } else {
        admin_show_fields(answer, verb->columns, stdout);
    }
}

static int fail(const struct call *call, const char *what)
{
    fprintf(stderr, "weir %s: ", call->name);
    terminal_print(bytes_from_string(what), true, stderr);
    fputc('\n', stderr);
    return 1;
}
