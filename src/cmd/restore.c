// SPDX-License-Identifier: Apache-2.0
// weir restore: a data directory made of a backup. The whole file is verified before anything is written.
// tidy: prefix restore_command
#include "admin/restore.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmd/backup_verify.h"
#include "cmd/commands.h"
#include "cmd/encryption.h"
#include "cmd/filling.h"
#include "server/flag.h"

enum { STEP_FRAMES = 10000, CLUSTER_ID_SIZE = 129 };

struct arguments {
    const char *directory, *data_key_file;
    uint32_t data_cipher;
    bool help;
};

static const struct flag flags[] = {
    {"dir", FLAG_STRING, offsetof(struct arguments, directory), 0, 0, NULL, "DATA",
     "the new data directory: empty, or not there yet"},
    ENCRYPTION_DATA_FLAGS(struct arguments, data_key_file, data_cipher),
    {"h,help", FLAG_BOOL, offsetof(struct arguments, help), 0, 0, NULL, NULL, "this text"},
};

#define FLAG_TOTAL (sizeof(flags) / sizeof(flags[0]))

static void write_line(void *owner, enum log_level level, const char *format, va_list list);
static const struct logger logger = {.level = LOG_WARN, .write = write_line};

struct session {
    const char *path;
    struct backup_reader reader;
    struct restore *restore; // owned
    struct record held;      // waits for the log
    bool holds;
    struct restore_stats stats;
};

static int parse(struct arguments *arguments, int count, char **list, const char **ret_path);
static int complain(const char *text);
static int make(const char *path, const struct arguments *arguments, const struct store_encryption *encryption);
static void show(const struct restore_stats *stats, const char *cluster_id, const struct arguments *arguments);
static void begin(void *owner, struct shard *shard, struct stan *stan);
static int step(void *owner, struct engine_time now);

int restore_run(int count, char **list)
{
    struct arguments arguments = {0};
    const char *path = NULL;
    int code = parse(&arguments, count, list, &path);
    if (code || arguments.help)
        return code;
    if (backup_verify(path, stdout))
        return 1;
    struct encryption keys;
    char message[ENCRYPTION_MESSAGE_SIZE];
    if (encryption_load_data(&keys, arguments.data_key_file, arguments.data_cipher, &logger, message)) {
        fprintf(stderr, "weir restore: %s\n", message);
        return 1;
    }
    code = make(path, &arguments, &keys.store);
    encryption_deinit(&keys);
    return code;
}

void restore_help(void)
{
    puts("usage: weir restore FILE --dir DATA\n\n"
         "Makes a data directory of a backup (`weir backup`): channels with the numbers and times of their messages, "
         "clients,\n"
         "and all subscriptions where they were. The file is read and verified first. Limits are those of the server "
         "that\n"
         "is started on it. A backup of one channel has no clients: what is not durable of its subscriptions is "
         "gone.\n");
    for (size_t i = 0; i < FLAG_TOTAL; i++) {
        char line[256];
        if (flag_help(&flags[i], line, sizeof(line)))
            puts(line);
    }
}

static int parse(struct arguments *arguments, int count, char **list, const char **ret_path)
{
    char message[256];
    if (flag_parse_around(flags, FLAG_TOTAL, arguments, count, list, "FILE", ret_path, message, sizeof(message)))
        return complain(message);
    if (arguments->help) {
        restore_help();
        return 0;
    }
    if (!*ret_path)
        return complain("the backup is missing");
    return arguments->directory ? 0 : complain("--dir DATA is missing: where to");
}

static int complain(const char *text)
{
    fprintf(stderr, "weir restore: %s; see `weir restore --help`\n", text);
    return 2;
}

static int make(const char *path, const struct arguments *arguments, const struct store_encryption *encryption)
{
    struct session session = {.path = path};
    struct backup_begin first;
    char cluster_id[CLUSTER_ID_SIZE];
    int error = backup_reader_open(&session.reader, path, &first);
    if (error)
        return complain(error_text(error));
    if (first.cluster_id.len >= sizeof(cluster_id)) {
        backup_reader_close(&session.reader);
        return complain("the backup's cluster id is too long to be served");
    }
    snprintf(cluster_id, sizeof(cluster_id), "%.*s", BYTES_ARG(first.cluster_id));
    const struct filling filling = {
        .directory = arguments->directory,
        .cluster_id = cluster_id,
        .encryption = encryption,
        .logger = &logger,
        .begin = begin,
        .step = step,
        .owner = &session,
    };
    error = filling_run(&filling);
    if (session.restore)
        restore_free(session.restore);
    backup_reader_close(&session.reader);
    if (error) {
        fputs("weir restore: nothing was restored\n", stderr);
        return 1;
    }
    show(&session.stats, cluster_id, arguments);
    return 0;
}

static void show(const struct restore_stats *stats, const char *cluster_id, const struct arguments *arguments)
{
    printf("Restored: %llu channels, %llu messages, %llu clients, %llu durables, queue groups and subscriptions, %llu "
           "messages "
           "not acknowledged, %llu dead\n",
           (unsigned long long)stats->channels, (unsigned long long)stats->messages, (unsigned long long)stats->clients,
           (unsigned long long)stats->consumers, (unsigned long long)stats->pending, (unsigned long long)stats->dead);
    if (stats->without_client)
        printf("%llu subscriptions without their client: what is durable of them stays, the rest does not\n",
               (unsigned long long)stats->without_client);
    printf("Serve it with -cid %s --dir %s", cluster_id, arguments->directory);
    if (arguments->data_key_file)
        printf(" --encryption_key_file %s", arguments->data_key_file);
    putchar('\n');
}

static void begin(void *owner, struct shard *shard, struct stan *stan)
{
    struct session *session = owner;
    session->restore = restore_new(shard, stan, FILLING_MESSAGE_MAX);
}

static int step(void *owner, struct engine_time now)
{
    struct session *session = owner;
    for (int i = 0; i < STEP_FRAMES; i++) {
        int result = session->holds ? 1 : backup_reader_next(&session->reader, &session->held);
        if (result == 0) {
            result = restore_end(session->restore, now);
            restore_stats_get(session->restore, &session->stats);
            return result;
        }
        if (result < 0) {
            fprintf(stderr, "weir restore: %s: changed while it was read\n", session->path);
            return result;
        }
        result = restore_take(session->restore, &session->held, now);
        session->holds = result == ERR_AGAIN;
        if (result && result != ERR_AGAIN && result != ERR_NO_SPACE)
            fprintf(stderr, "weir restore: %s: the frame before byte %llu: %s\n", session->path,
                    (unsigned long long)session->reader.offset, error_text(result));
        if (result)
            return result;
    }
    return 1;
}

static void write_line(void *owner, enum log_level level, const char *format, va_list list)
{
    (void)owner;
    fprintf(stderr, "weir restore: %s", level >= LOG_ERROR ? "" : "warning: ");
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
}
