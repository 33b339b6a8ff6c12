// SPDX-License-Identifier: Apache-2.0
// weir top: what a server does, once a second: rates, and the groups with the most to do. Asks the admin API; q, or an interrupt, ends it.
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/must.h"
#include "base/number.h"
#include "cmd/admin_show.h"
#include "cmd/admin_value.h"
#include "cmd/commands.h"
#include "cmd/terminal.h"

enum { TIMEOUT_MS = 10000, GROUPS_MAX = 1000, LINE_SIZE = 256, HEAD_LINES = 6, ROWS_DEFAULT = 24 };

static const char usage[] =
    "Usage: weir top [options]\n"
    "\n"
    "Shows what a server does: rates, totals, and the groups with the most to do. On a terminal it goes on until q;\n"
    "keys: w in flight or waiting first, d dead first, n by name.\n"
    "\n"
    "Options:\n"
    "  --every TIME          between two looks (1s)\n"
    "  --count N             so many looks, then end; what is no terminal gets 1 unless told\n"
    "  --channel NAME        only groups of this channel\n" CLIENT_OPTIONS_HELP;

enum order { BY_PENDING, BY_DEAD, BY_NAME };

static const struct admin_column columns[] = {{"CHANNEL", "channel", ADMIN_SHOW_TEXT},
                                              {"GROUP", "group", ADMIN_SHOW_TEXT},
                                              {"WAITING", "waiting.messages", ADMIN_SHOW_COUNT},
                                              {"BYTES", "waiting.bytes", ADMIN_SHOW_SIZE},
                                              {"OLDEST", "waiting.oldest_age_ms", ADMIN_SHOW_AGE},
                                              {"IN FLIGHT", "in_flight.messages", ADMIN_SHOW_COUNT},
                                              {"OLDEST", "in_flight.oldest_age_ms", ADMIN_SHOW_AGE},
                                              {"DEAD", "dead.messages", ADMIN_SHOW_COUNT},
                                              {"MEMBERS", "members", ADMIN_SHOW_COUNT},
                                              {"paused", "paused", ADMIN_SHOW_FLAG},
                                              {0}};

struct top {
    struct client_options connection;
    struct admin_link link;
    const char *channel;
    uint64_t every_ms, count;
    enum order order;
    bool terminal;
    struct termios before;                       // of the terminal, while it is ours
    uint64_t published, delivered, acked, at_ns; // of the look before; at_ns 0: none
};

static int options_parse(struct top *top, int argc, char **argv);
static int run(struct top *top);
static int look(struct top *top);
static json_t *ask_groups(struct top *top);
static void show_head(struct top *top, const json_t *server);
static uint64_t total(const json_t *server, const char *name);
static void show_rate(const char *name, uint64_t now, uint64_t before, uint64_t ns);
static json_t *sorted(const struct top *top, json_t *groups);
static int compare_pending(const void *a, const void *b);
static int compare_dead(const void *a, const void *b);
static int compare_name(const void *a, const void *b);
static uint64_t messages(const json_t *group, const char *what);
static size_t terminal_rows(void);
static void terminal_take(struct top *top);
static void terminal_give_back(struct top *top);
static bool wait_key(struct top *top);

void top_help(void)
{
    fputs(usage, stdout);
}

int top_run(int count, char **arguments)
{
    // getopt wants the name in front.
    char **argv = arguments - 1;
    argv[0] = (char[]){"weir top"};
    struct top top = {.connection = CLIENT_OPTIONS_INIT, .every_ms = 1000};
    top.terminal = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
    top.count = top.terminal ? UINT64_MAX : 1;
    int status = options_parse(&top, count + 1, argv);
    if (status)
        return status;
    if (admin_link_open(&top.link, &top.connection, "weir top")) {
        fprintf(stderr, "weir top: %s\n", top.link.error);
        return 1;
    }
    terminal_take(&top);
    status = run(&top);
    terminal_give_back(&top);
    if (status)
        fprintf(stderr, "weir top: %s\n", top.link.error);
    admin_link_close(&top.link);
    return status;
}

static int options_parse(struct top *top, int argc, char **argv)
{
    enum { EVERY = 256, COUNT, CHANNEL };
    static const struct option options[] = {
        CLIENT_OPTIONS_ROWS,
        {"every", required_argument, NULL, EVERY},
        {"count", required_argument, NULL, COUNT},
        {"channel", required_argument, NULL, CHANNEL},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, status = 0;
    while (!status && (option = getopt_long(argc, argv, CLIENT_OPTIONS_LETTERS "h", options, NULL)) != -1) {
        switch (option) {
        case EVERY: status = admin_value_ms("top", "--every", optarg, &top->every_ms); break;
        case COUNT:
            if (number_parse_u64(bytes_from_string(optarg), UINT64_MAX, &top->count))
                status = client_complain("top", "--count takes a number", optarg);
            break;
        case CHANNEL: top->channel = optarg; break;
        case 'h': fputs(usage, stdout); exit(0);
        default:
            if (!client_options_take(&top->connection, option, optarg))
                return client_refuse_options("top");
        }
    }
    if (!status)
        status = client_options_check(&top->connection, "top");
    if (!status && argc != optind) {
        fputs(usage, stderr);
        status = 2;
    }
    return status;
}

static int run(struct top *top)
{
    for (uint64_t i = 0; i < top->count; i++) {
        if (i && !wait_key(top))
            return 0;
        if (look(top))
            return 1;
    }
    return 0;
}

static int look(struct top *top)
{
    json_t *body = json_object(), *server = admin_link_ask(&top->link, "SERVER.INFO", body, TIMEOUT_MS);
    json_decref(body);
    json_t *groups = server ? ask_groups(top) : NULL;
    if (groups) {
        if (top->terminal)
            fputs("\033[H\033[2J", stdout);
        show_head(top, server);
        json_t *list = sorted(top, json_object_get(groups, "groups"));
        admin_show_table(list, columns, stdout);
        json_decref(list);
        fflush(stdout);
    }
    int status = groups ? 0 : 1;
    json_decref(groups);
    json_decref(server);
    return status;
}

static json_t *ask_groups(struct top *top)
{
    json_t *body = json_object();
    json_object_set_new(body, "limit", json_integer(GROUPS_MAX));
    if (top->channel)
        json_object_set_new(body, "channel", json_string(top->channel));
    json_t *groups = admin_link_ask(&top->link, "GROUP.LIST", body, TIMEOUT_MS);
    json_decref(body);
    return groups;
}

static void show_head(struct top *top, const json_t *server)
{
    static const struct admin_column name = {"", "name", ADMIN_SHOW_TEXT};
    static const struct admin_column cluster = {"", "cluster_id", ADMIN_SHOW_TEXT};
    static const struct admin_column uptime = {"", "uptime_ms", ADMIN_SHOW_AGE};
    static const struct admin_column log_state = {"", "log.state", ADMIN_SHOW_TEXT};
    static const struct admin_column free_bytes = {"", "disk.free_bytes", ADMIN_SHOW_SIZE};
    static const struct admin_column totals[] = {
        {"", "totals.channels", ADMIN_SHOW_COUNT},     {"", "totals.groups", ADMIN_SHOW_COUNT},
        {"", "totals.members", ADMIN_SHOW_COUNT},      {"", "totals.waiting.messages", ADMIN_SHOW_COUNT},
        {"", "totals.waiting.bytes", ADMIN_SHOW_SIZE}, {"", "totals.in_flight.messages", ADMIN_SHOW_COUNT},
        {"", "totals.dead.messages", ADMIN_SHOW_COUNT}};
    char cells[7][ADMIN_CELL_SIZE];
    admin_show_cell(server, &name, cells[0]);
    admin_show_cell(server, &cluster, cells[1]);
    admin_show_cell(server, &uptime, cells[2]);
    admin_show_cell(server, &log_state, cells[3]);
    admin_show_cell(server, &free_bytes, cells[4]);
    printf("%s  cluster %s  up %s  log %s, %s free\n", cells[0], cells[1], cells[2], cells[3], cells[4]);
    for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++)
        admin_show_cell(server, &totals[i], cells[i]);
    printf("%s channels, %s groups, %s members  waiting %s (%s)  in flight %s  dead %s\n", cells[0], cells[1], cells[2],
           cells[3], cells[4], cells[5], cells[6]);
    uint64_t now = client_now_ns(), ns = top->at_ns ? now - top->at_ns : 0;
    show_rate("published", total(server, "published"), top->published, ns);
    show_rate("  delivered", total(server, "delivered"), top->delivered, ns);
    show_rate("  acknowledged", total(server, "acked"), top->acked, ns);
    fputs("\n\n", stdout);
    top->published = total(server, "published");
    top->delivered = total(server, "delivered");
    top->acked = total(server, "acked");
    top->at_ns = now;
}

static uint64_t total(const json_t *server, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json_object_get(server, "totals"), name));
}

// The first look has nothing to compare with, and shows sums.
static void show_rate(const char *name, uint64_t now, uint64_t before, uint64_t ns)
{
    char text[LINE_SIZE];
    uint64_t value = ns && now >= before ? (uint64_t)((double)(now - before) * 1e9 / (double)ns) : now;
    admin_show_count(value, text, sizeof(text));
    printf("%s %s%s", name, text, ns ? "/s" : "");
}

// As many as the terminal has room for.
static json_t *sorted(const struct top *top, json_t *groups)
{
    static int (*const compare[])(const void *, const void *) = {compare_pending, compare_dead, compare_name};
    json_t *all[GROUPS_MAX], *list = json_array();
    size_t count = json_array_size(groups), rows = top->terminal ? terminal_rows() : GROUPS_MAX;
    count = count < GROUPS_MAX ? count : GROUPS_MAX;
    for (size_t i = 0; i < count; i++)
        all[i] = json_array_get(groups, i);
    qsort(all, count, sizeof(all[0]), compare[top->order]);
    for (size_t i = 0; i < count && i + HEAD_LINES < rows; i++)
        json_array_append(list, all[i]);
    return list;
}

static int compare_pending(const void *a, const void *b)
{
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    uint64_t x = messages(left, "waiting") + messages(left, "in_flight");
    uint64_t y = messages(right, "waiting") + messages(right, "in_flight");
    return x != y ? (x < y) - (x > y) : compare_name(a, b);
}

static int compare_dead(const void *a, const void *b)
{
    uint64_t x = messages(*(json_t *const *)a, "dead"), y = messages(*(json_t *const *)b, "dead");
    return x != y ? (x < y) - (x > y) : compare_pending(a, b);
}

static int compare_name(const void *a, const void *b)
{
    static const char *const keys[] = {"channel", "group"};
    int result = 0;
    for (size_t i = 0; !result && i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *x = json_string_value(json_object_get(*(json_t *const *)a, keys[i]));
        const char *y = json_string_value(json_object_get(*(json_t *const *)b, keys[i]));
        result = x && y ? strcmp(x, y) : 0;
    }
    return result;
}

static uint64_t messages(const json_t *group, const char *what)
{
    return (uint64_t)json_integer_value(json_object_get(json_object_get(group, what), "messages"));
}

static size_t terminal_rows(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row ? size.ws_row : ROWS_DEFAULT;
}

// Keys come one by one, and are not shown; an interrupt is a key like others, so that the terminal is always given back.
static void terminal_take(struct top *top)
{
    if (!top->terminal || tcgetattr(STDIN_FILENO, &top->before)) {
        top->terminal = false;
        return;
    }
    struct termios ours = top->before;
    ours.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    tcsetattr(STDIN_FILENO, TCSANOW, &ours);
    fputs("\033[?1049h\033[?25l", stdout);
}

static void terminal_give_back(struct top *top)
{
    if (!top->terminal)
        return;
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &top->before);
}

// Until the next look, or a key that wants one. False: it was the last.
static bool wait_key(struct top *top)
{
    enum { INTERRUPT = 3 };
    char key = 0;
    struct pollfd input = {.fd = top->terminal ? STDIN_FILENO : -1, .events = POLLIN};
    if (poll(&input, 1, (int)top->every_ms) <= 0)
        return true;
    if (read(STDIN_FILENO, &key, 1) != 1)
        return false;
    switch (key) {
    case 'w': top->order = BY_PENDING; break;
    case 'd': top->order = BY_DEAD; break;
    case 'n': top->order = BY_NAME; break;
    default: break;
    }
    return key != 'q' && key != INTERRUPT;
}
