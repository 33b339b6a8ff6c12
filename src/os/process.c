// SPDX-License-Identifier: Apache-2.0
#include "os/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static void process_read(void *owner, struct process_usage *ret_usage);
static bool process_read_disk(void *owner, const char *directory, struct process_disk *ret_disk);
static uint64_t process_resident_bytes(void);
static uint64_t process_cpu_ns(void);
static uint64_t process_open_files(void);

const struct process_source process_self = {.owner = NULL, .read = process_read, .read_disk = process_read_disk};

// open() gives the lowest number that is free, and those below `fd` are taken by now.
int process_open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        if (open("/dev/null", O_RDWR) != fd)
            return ERR_IO;
    }
    return 0;
}

void process_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

// Not RLIMIT_CORE, which does not hold for a core that is piped to a program, nor PR_SET_DUMPABLE, which keeps out debuggers too.
void process_empty_core(void)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t written = write(fd, "0", 1);
    (void)written;
    close(fd);
}

static void process_read(void *owner, struct process_usage *ret_usage)
{
    (void)owner;
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    cpu_set_t set;
    int cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    *ret_usage = (struct process_usage){
        .resident_bytes = process_resident_bytes(),
        .cpu_ns = process_cpu_ns(),
        .open_files = process_open_files(),
        .max_files = limit.rlim_cur,
        .cores = (uint32_t)cores,
    };
}

static bool process_read_disk(void *owner, const char *directory, struct process_disk *ret_disk)
{
    (void)owner;
    struct statvfs volume;
    if (statvfs(directory, &volume) != 0)
        return false;
    *ret_disk = (struct process_disk){
        .free_bytes = (uint64_t)volume.f_bavail * volume.f_frsize,
        .size_bytes = (uint64_t)volume.f_blocks * volume.f_frsize,
    };
    return true;
}

// The second number of /proc/self/statm, in pages. 0 when there is no /proc.
static uint64_t process_resident_bytes(void)
{
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    char text[128];
    ssize_t len = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    unsigned long long size, resident;
    if (sscanf(text, "%llu %llu", &size, &resident) != 2)
        return 0;
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t process_cpu_ns(void)
{
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

// Entries of /proc/self/fd without "." and ".." and the one that reading it takes.
static uint64_t process_open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    uint64_t count = 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count > 3 ? count - 3 : 0;
}
