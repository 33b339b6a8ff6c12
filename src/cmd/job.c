// SPDX-License-Identifier: Apache-2.0
#include "cmd/job.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/must.h"
#include "wire/headers.h"

enum { ENVIRONMENT_MAX = 8 << 20, NUMBER_SIZE = 24 };

#define PREFIX "WEIR_"

// "NAME=value" one behind the other, each with its NUL.
struct environment {
    struct buffer text;
    char **list; // owned; into text
};

static void make_id(struct job *job);
static int open_payload(struct job *job, const char *directory);
static int write_all(int fd, struct bytes data);
static void environment_init(struct environment *environment, const struct job *job, const struct job_command *command);
static void environment_add(struct environment *environment, const char *prefix, struct bytes name, struct bytes value);
static void environment_add_headers(struct environment *environment, struct bytes block);
static bool is_ours(const char *variable);
static void run_child(const struct job_command *command, char *const *environment, int input, pid_t parent)
    __attribute__((noreturn));

extern char **environ;

struct job *job_new(struct fleet_message *message, uint64_t now_ns)
{
    struct job *job = mem_alloc_zero(sizeof(*job));
    list_init(&job->link);
    job->message = message;
    job->taken_ns = job->extended_ns = now_ns;
    make_id(job);
    return job;
}

void job_free(struct job *job)
{
    if (job->file[0])
        (void)unlink(job->file);
    list_remove(&job->link);
    mem_free(job->message);
    mem_free(job);
}

uint32_t job_attempt(const struct job *job)
{
    return job->message->redelivery_count + 1;
}

int job_start(struct job *job, const struct job_command *command, uint64_t now_ns)
{
    struct environment environment;
    int input = open_payload(job, command->directory);
    if (input < 0)
        return ERR_IO;
    environment_init(&environment, job, command);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        run_child(command, environment.list, input, parent);
    int problem = errno;
    if (pid > 0)
        (void)setpgid(pid, pid); // whoever is first
    close(input);
    buffer_deinit(&environment.text);
    mem_free(environment.list);
    errno = problem;
    if (pid < 0)
        return ERR_IO;
    job->pid = pid;
    job->state = JOB_RUNNING;
    job->started_ns = now_ns;
    return 0;
}

void job_signal(const struct job *job, int number)
{
    if (job->pid > 0)
        (void)kill(-job->pid, number);
}

char *job_find_program(const char *name)
{
    const char *path = getenv("PATH");
    struct bytes rest = bytes_from_string(path ? path : "/usr/local/bin:/usr/bin:/bin");
    char *found = NULL;
    if (strchr(name, '/'))
        return access(name, X_OK) == 0 ? mem_copy_string(bytes_from_string(name)) : NULL;
    while (!found && rest.len > 0 && name[0]) {
        char file[4096];
        const char *colon = memchr(rest.ptr, ':', rest.len);
        struct bytes folder = bytes_make(rest.ptr, colon ? (size_t)(colon - rest.ptr) : rest.len);
        rest = bytes_skip(rest, folder.len + (colon != NULL));
        int len = snprintf(file, sizeof(file), "%.*s%s%s", BYTES_ARG(folder), folder.len ? "/" : "./", name);
        if (len > 0 && (size_t)len < sizeof(file) && access(file, X_OK) == 0)
            found = mem_copy_string(bytes_from_string(file));
    }
    return found;
}

// What goes into names of files and lines of logs is looked at.
static void make_id(struct job *job)
{
    const struct fleet_message *message = job->message;
    struct bytes id;
    bool is_good = headers_find(message->headers, BYTES("Nats-Msg-Id"), &id) == 0 && id.len > 0 && id.len < JOB_ID_SIZE;
    for (size_t i = 0; is_good && i < id.len; i++)
        is_good = (unsigned char)id.ptr[i] > ' ' && id.ptr[i] != 0x7f;
    if (is_good)
        memcpy(job->id, id.ptr, id.len);
    else
        snprintf(job->id, sizeof(job->id), "%llu-%llx", (unsigned long long)message->sequence,
                 (unsigned long long)message->time_ns);
}

// A descriptor for standard input: the payload, or nothing when that is a file. -1: errno says why.
static int open_payload(struct job *job, const char *directory)
{
    int fd;
    if (!directory) {
        fd = memfd_create("weir-job", MFD_CLOEXEC);
        if (fd >= 0 && (write_all(fd, job->message->data) || lseek(fd, 0, SEEK_SET) < 0)) {
            close(fd);
            return -1;
        }
        return fd;
    }
    snprintf(job->file, sizeof(job->file), "%.480s/weir-job-XXXXXX", directory);
    fd = mkostemp(job->file, O_CLOEXEC);
    if (fd < 0) {
        job->file[0] = '\0';
        return -1;
    }
    int error = write_all(fd, job->message->data);
    close(fd);
    return error ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int write_all(int fd, struct bytes data)
{
    while (data.len > 0) {
        ssize_t written = write(fd, data.ptr, data.len);
        if (written < 0 && errno != EINTR)
            return ERR_IO;
        data = bytes_skip(data, written > 0 ? (size_t)written : 0);
    }
    return 0;
}

static void environment_init(struct environment *environment, const struct job *job, const struct job_command *command)
{
    const struct fleet_message *message = job->message;
    char number[NUMBER_SIZE];
    size_t count = 0;
    buffer_init(&environment->text, ENVIRONMENT_MAX);
    environment_add(environment, PREFIX, BYTES("CHANNEL"), bytes_from_string(command->channel));
    environment_add(environment, PREFIX, BYTES("GROUP"), bytes_from_string(command->group));
    environment_add(environment, PREFIX, BYTES("SERVER"), bytes_from_string(message->server->name));
    environment_add(environment, PREFIX, BYTES("ID"), bytes_from_string(job->id));
    snprintf(number, sizeof(number), "%llu", (unsigned long long)message->sequence);
    environment_add(environment, PREFIX, BYTES("SEQUENCE"), bytes_from_string(number));
    snprintf(number, sizeof(number), "%u", (unsigned)job_attempt(job));
    environment_add(environment, PREFIX, BYTES("ATTEMPT"), bytes_from_string(number));
    if (job->file[0])
        environment_add(environment, PREFIX, BYTES("FILE"), bytes_from_string(job->file));
    environment_add_headers(environment, message->headers);
    for (char **at = environ; *at; at++) {
        if (!is_ours(*at))
            (void)!buffer_append(&environment->text, bytes_make(*at, strlen(*at) + 1));
    }
    for (size_t i = 0; i < environment->text.len; i++)
        count += environment->text.ptr[i] == '\0';
    environment->list = mem_alloc((count + 1) * sizeof(char *));
    char *at = environment->text.ptr;
    for (size_t i = 0; i < count; i++) {
        environment->list[i] = at;
        at += strlen(at) + 1;
    }
    environment->list[count] = NULL;
}

// Letters become capitals; what cannot be in a name becomes "_". What does not fit is left out.
static void environment_add(struct environment *environment, const char *prefix, struct bytes name, struct bytes value)
{
    struct buffer *text = &environment->text;
    char *to = buffer_reserve(text, strlen(prefix) + name.len + value.len + 2);
    if (!to || memchr(value.ptr ? value.ptr : "", '\0', value.len))
        return;
    size_t len = strlen(prefix);
    memcpy(to, prefix, len);
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        to[len++] = c < 0x80 && isalnum(c) ? (char)toupper(c) : '_';
    }
    to[len++] = '=';
    if (value.len)
        memcpy(to + len, value.ptr, value.len);
    to[len + value.len] = '\0';
    buffer_commit(text, len + value.len + 1);
}

static void environment_add_headers(struct environment *environment, struct bytes block)
{
    struct headers headers;
    struct headers_field field;
    if (!block.len || headers_parse(block, &headers))
        return;
    while (headers_next(&headers.fields, &field))
        environment_add(environment, PREFIX "HEADER_", field.name, field.value);
}

static bool is_ours(const char *variable)
{
    static const char *const names[] = {
        "CHANNEL=", "GROUP=", "SERVER=", "ID=", "SEQUENCE=", "ATTEMPT=", "FILE=", "HEADER_"};
    bool is_ours = false;
    if (strncmp(variable, PREFIX, strlen(PREFIX)) != 0)
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        is_ours = is_ours || strncmp(variable + strlen(PREFIX), names[i], strlen(names[i])) == 0;
    return is_ours;
}

// Only calls that a child of a process with threads may make.
static void run_child(const struct job_command *command, char *const *environment, int input, pid_t parent)
{
    sigset_t none;
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); // it died before it could be told
    (void)signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(input, STDIN_FILENO) == STDIN_FILENO)
        (void)execve(command->arguments[0], command->arguments, environment);
    static const char words[] = "weir work: the command cannot be executed\n";
    (void)!write(STDERR_FILENO, words, sizeof(words) - 1);
    _exit(127);
}
