// SPDX-License-Identifier: Apache-2.0
// weir backup: a file with one channel, or with everything, of a running server (admin/backup_service.h). The file has its name only
// when it is whole and on disk.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin/backup_service.h"
#include "cmd/backup_verify.h"
#include "cmd/client.h"
#include "cmd/commands.h"
#include "codec/json_writer.h"

enum { REQUESTS = 4, TIMEOUT_MS = 30000, PATH_SIZE = 4096 };

static const char usage[] =
    "Usage: weir backup [options] FILE\n"
    "\n"
    "Writes everything that a running server has to FILE: channels with their messages up to one moment, clients, and "
    "how\n"
    "far every subscription had come shortly before it. The server goes on meanwhile. `weir restore` makes a data "
    "directory\nof it.\n"
    "\n"
    "Options:\n"
    "  --channel NAME        only this channel, without clients\n"
    "  --keep-going          pass over messages that the server cannot read, and say how many are missing\n"
    "  --check               look at FILE instead: is it a whole backup?\n" CLIENT_OPTIONS_HELP;

struct backup {
    struct client_options connection;
    const char *channel, *path;
    bool check, keep_going;
    struct client client;
    char inbox[64];
    char partial[PATH_SIZE];
    char number[32]; // of the backup, as the server calls it; empty: not begun
    int fd;
    uint64_t bytes;
    bool ended;
    bool failed; // and it was said why
};

static int options_parse(struct backup *backup, int argc, char **argv);
static int fetch(struct backup *backup);
static int begin(struct backup *backup);
static int ask(struct backup *backup);
static void on_message(void *owner, const struct wire_op *message);
static void on_answer(struct backup *backup, char kind, struct bytes content);
static void fail(struct backup *backup, const char *text, size_t len);
static int finish(struct backup *backup);

void backup_help(void)
{
    fputs(usage, stdout);
}

int backup_run(int count, char **arguments)
{
    // getopt wants the name in front.
    char **argv = arguments - 1;
    argv[0] = (char[]){"weir backup"};
    struct backup backup = {.connection = CLIENT_OPTIONS_INIT, .channel = "", .fd = -1};
    int status = options_parse(&backup, count + 1, argv);
    if (status)
        return status;
    backup.path = argv[optind];
    if (backup.check)
        return backup_verify(backup.path, stdout) ? 1 : 0;
    if (access(backup.path, F_OK) == 0) {
        fprintf(stderr, "weir backup: %s exists: nothing is overwritten\n", backup.path);
        return 1;
    }
    snprintf(backup.partial, sizeof(backup.partial), "%.4080s.partial", backup.path);
    backup.fd = open(backup.partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (backup.fd < 0) {
        fprintf(stderr, "weir backup: %s: %s\n", backup.partial, strerror(errno));
        return 1;
    }
    status = fetch(&backup);
    if (!status)
        status = finish(&backup);
    close(backup.fd);
    if (status)
        unlink(backup.partial);
    return status;
}

static int options_parse(struct backup *backup, int argc, char **argv)
{
    enum { CHANNEL = 256, CHECK, KEEP_GOING };
    static const struct option options[] = {
        CLIENT_OPTIONS_ROWS,
        {"channel", required_argument, NULL, CHANNEL},
        {"check", no_argument, NULL, CHECK},
        {"keep-going", no_argument, NULL, KEEP_GOING},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, status = 0;
    while (!status && (option = getopt_long(argc, argv, CLIENT_OPTIONS_LETTERS "h", options, NULL)) != -1) {
        switch (option) {
        case CHANNEL: backup->channel = optarg; break;
        case CHECK: backup->check = true; break;
        case KEEP_GOING: backup->keep_going = true; break;
        case 'h': fputs(usage, stdout); exit(0);
        default:
            if (!client_options_take(&backup->connection, option, optarg))
                return client_refuse_options("backup");
        }
    }
    if (!status)
        status = client_options_check(&backup->connection, "backup");
    if (!status && argc - optind != 1) {
        fputs(usage, stderr);
        status = 2;
    }
    return status;
}

static int fetch(struct backup *backup)
{
    struct client *client = &backup->client;
    const struct bytes none = {0};
    backup->connection.name = "weir backup";
    backup->connection.no_responders = true;
    int error = client_connect(client, &backup->connection);
    if (error) {
        fprintf(stderr, "weir backup: %s\n", client->error);
        return 1;
    }
    client->on_message = on_message;
    client->owner = backup;
    snprintf(backup->inbox, sizeof(backup->inbox), "_INBOX.backup.%d.%llx", (int)getpid(),
             (unsigned long long)client_now_ns());
    client_subscribe(client, bytes_from_string(backup->inbox), none, 1);
    error = begin(backup);
    while (!error && !backup->ended && !backup->failed) {
        int result = client_wait(client, TIMEOUT_MS);
        error = result < 0 ? result : result == 0 ? ERR_TIMEOUT : 0;
        if (!error && client->error[0] && !backup->failed) // it may not ask, or not listen
            fail(backup, client->error, strlen(client->error));
    }
    if (error && !backup->failed)
        fprintf(stderr, "weir backup: %s\n", error == ERR_TIMEOUT ? "the server does not answer" : client->error);
    client_close(client);
    return error || backup->failed;
}

static int begin(struct backup *backup)
{
    struct buffer text;
    struct json_writer json;
    const struct bytes none = {0};
    buffer_init(&text, 65536);
    json_writer_init_compact(&json, &text);
    json_writer_begin_object(&json);
    if (backup->channel[0])
        json_writer_put_string(&json, "channel", bytes_from_string(backup->channel));
    if (backup->keep_going)
        json_writer_put_bool(&json, "keep_going", true);
    json_writer_end(&json);
    int error = json_writer_finish(&json);
    if (error)
        fail(backup, "the channel's name is too long", 30);
    else
        error = client_publish(&backup->client, BYTES(BACKUP_SUBJECT), bytes_from_string(backup->inbox), none,
                               buffer_bytes(&text));
    buffer_deinit(&text);
    return error;
}

static int ask(struct backup *backup)
{
    const struct bytes none = {0};
    return client_publish(&backup->client, BYTES(BACKUP_NEXT_SUBJECT), bytes_from_string(backup->inbox), none,
                          bytes_from_string(backup->number));
}

static void on_message(void *owner, const struct wire_op *message)
{
    static const char nobody[] = "the server makes no backups, or you may not ask for one";
    struct backup *backup = owner;
    if (backup->ended || backup->failed)
        return;
    if (message->payload.len == 0)
        fail(backup, nobody, sizeof(nobody) - 1); // a 503
    else
        on_answer(backup, message->payload.ptr[0], bytes_skip(message->payload, 1));
}

static void on_answer(struct backup *backup, char kind, struct bytes content)
{
    int error = 0;
    switch (kind) {
    case 'B':
        snprintf(backup->number, sizeof(backup->number), "%.*s", BYTES_ARG(content));
        for (int i = 0; i < REQUESTS && !error; i++)
            error = ask(backup);
        break;
    case 'D':
    case 'Z':
        while (content.len) {
            ssize_t written = write(backup->fd, content.ptr, content.len);
            if (written < 0 && errno == EINTR)
                continue;
            if (written <= 0) {
                fail(backup, strerror(errno), strlen(strerror(errno)));
                return;
            }
            backup->bytes += (uint64_t)written;
            content = bytes_skip(content, (size_t)written);
        }
        backup->ended = kind == 'Z';
        if (kind == 'D')
            error = ask(backup);
        break;
    default: fail(backup, content.ptr, content.len);
    }
    if (error)
        fail(backup, error_text(error), strlen(error_text(error)));
}

static void fail(struct backup *backup, const char *text, size_t len)
{
    backup->failed = true;
    fprintf(stderr, "weir backup: %.*s\n", (int)(len < 300 ? len : 300), text);
}

// Durable, then under its name, and that durable too.
static int finish(struct backup *backup)
{
    char folder[PATH_SIZE];
    snprintf(folder, sizeof(folder), "%.4090s", backup->path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    if (fsync(backup->fd) != 0) {
        fprintf(stderr, "weir backup: %s: %s\n", backup->partial, strerror(errno));
        return 1;
    }
    if (backup_verify(backup->partial, stdout))
        return 1;
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = rename(backup->partial, backup->path) == 0 && fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    if (!done)
        fprintf(stderr, "weir backup: %s: %s\n", backup->path, strerror(errno));
    return !done;
}
