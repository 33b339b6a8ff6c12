// SPDX-License-Identifier: Apache-2.0
// `weir check DIR`: what a data directory holds and what is wrong with it. Reads only: not even the LOCK file is made. A
// directory in use is refused, because a log that is being written looks torn.
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/must.h"
#include "cmd/commands.h"
#include "cmd/intake_target.h"
#include "os/directory.h"
#include "store/store.h"

// A disk that only executes at once.
struct check_disk {
    struct disk disk;
    struct directory directory;
};

static void disk_submit_never(struct disk *disk, enum disk_lane lane, struct disk_request *request);
static void disk_run_now(struct disk *disk, struct disk_request *request);
static int check_directory(const char *path, struct directory directory);
static void print_line(void *owner, const char *line);

static const struct disk_ops check_disk_ops = {disk_submit_never, disk_run_now};

int check_run(int count, char **arguments)
{
    if (count != 1 || arguments[0][0] == '-') {
        fputs("weir check: wants one data directory; see `weir check --help`\n", stderr);
        return 2;
    }
    const char *path = arguments[0];
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
        fprintf(stderr, "weir check: %s: an import was not finished here: repeat `weir import`\n", path);
    else
        code = check_directory(path, directory);
    directory_close(&directory);
    return code;
}

void check_help(void)
{
    puts("usage: weir check DIR\n\n"
         "Prints what a data directory holds and what is wrong with it, and "
         "changes nothing. The server must not be\n"
         "running on it. Exit code 0: nothing is wrong; 1: something is, or the "
         "directory cannot be read.");
}

static int check_directory(const char *path, struct directory directory)
{
    struct check_disk disk = {.disk = {.ops = &check_disk_ops}, .directory = directory};
    int problems = store_check(&disk.disk, NULL, print_line, NULL);
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
