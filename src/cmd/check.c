// SPDX-License-Identifier: Apache-2.0
// `weir check DIR`: what a data directory holds and what is wrong with it. Reads only: not even the LOCK file is made. A
// directory in use is refused, because a log that is being written looks torn.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/must.h"
#include "cmd/commands.h"
#include "cmd/encryption.h"
#include "cmd/intake_target.h"
#include "os/directory.h"
#include "server/flag.h"
#include "server/options.h"
#include "store/store.h"

// A disk that only executes at once.
struct check_disk {
    struct disk disk;
    struct directory directory;
};

static void disk_submit_never(struct disk *disk, enum disk_lane lane, struct disk_request *request);
static void disk_run_now(struct disk *disk, struct disk_request *request);
static int look_at(const char *path, const struct store_encryption *encryption);
static int check_directory(const char *path, struct directory directory, const struct store_encryption *encryption);
static void print_line(void *owner, const char *line);

#define AT(field) offsetof(struct options, field)

static const struct flag flags[] = {
    {"encryption_key_file", FLAG_STRING, AT(encryption_key_file), 0, 0, NULL, "FILE",
     "with the key; the variable " ENCRYPTION_VARIABLE " wins"},
    {"encryption_old_key_file", FLAG_STRING, AT(encryption_old_key_file), 0, 0, NULL, "FILE", "with the key before it"},
};

static const struct disk_ops check_disk_ops = {disk_submit_never, disk_run_now};

int check_run(int count, char **arguments)
{
    struct options options;
    options_default(&options, OPTIONS_WEIR);
    char message[ENCRYPTION_MESSAGE_SIZE];
    int used = 0;
    if (flag_parse(flags, sizeof(flags) / sizeof(flags[0]), &options, count, arguments, &used, message,
                   sizeof(message))) {
        fprintf(stderr, "weir check: %s\n", message);
        return 2;
    }
    if (count - used != 1) {
        fputs("weir check: wants one data directory, behind its options; see `weir check --help`\n", stderr);
        return 2;
    }
    const char *variable = getenv(ENCRYPTION_VARIABLE);
    options.encrypt = variable && variable[0] != '\0'; // an empty one is none, as elsewhere
    struct encryption encryption;
    if (encryption_load(&encryption, &options, NULL, message)) {
        fprintf(stderr, "weir check: %s\n", message);
        return 1;
    }
    int code = look_at(arguments[used], &encryption.store);
    encryption_deinit(&encryption);
    return code;
}

void check_help(void)
{
    puts("usage: weir check [OPTIONS] DIR\n\n"
         "Prints what a data directory holds and what is wrong with it, and changes nothing. The server must not be "
         "running on\n"
         "it. Of an encrypted one without its key only what its headers say. Exit code 0: nothing is wrong; 1: "
         "something is, or\n"
         "the directory cannot be read.\n");
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        char line[256];
        if (flag_help(&flags[i], line, sizeof(line)))
            puts(line);
    }
}

static int look_at(const char *path, const struct store_encryption *encryption)
{
    struct directory directory;
    int error = directory_open(&directory, path, false);
    if (error) {
        fprintf(stderr, "weir check: %s: %s\n", path, error == ERR_INVALID ? "not a directory" : error_text(error));
        return 1;
    }
    error = directory_lock(&directory, false);
    int code = 1;
    if (error)
        fprintf(stderr, "weir check: %s: %s\n", path,
                error == ERR_IN_USE ? "in use by a server: stop it first" : error_text(error));
    else if (intake_target_is_unfinished(&directory))
        fprintf(stderr, "weir check: %s: an import or a restore was not finished here: repeat it\n", path);
    else
        code = check_directory(path, directory, encryption);
    directory_close(&directory);
    return code;
}

static int check_directory(const char *path, struct directory directory, const struct store_encryption *encryption)
{
    struct check_disk disk = {.disk = {.ops = &check_disk_ops}, .directory = directory};
    int problems = store_check(&disk.disk, encryption, print_line, NULL);
    if (problems < 0) {
        fprintf(stderr, "weir check: %s: %s\n", path, error_text(problems));
        return 1;
    }
    return problems > 0;
}

static void print_line(void *owner, const char *line)
{
    (void)owner;
    puts(line);
}

static void disk_submit_never(struct disk *disk, enum disk_lane lane, struct disk_request *request)
{
    (void)disk;
    (void)lane;
    (void)request;
    must(!"a check only runs requests");
}

static void disk_run_now(struct disk *disk, struct disk_request *request)
{
    directory_execute(&container_of(disk, struct check_disk, disk)->directory, request, NULL);
}
