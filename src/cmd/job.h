// SPDX-License-Identifier: Apache-2.0
// A job of `weir work`: a message, and the process that works on it, which leads a process group of its own. The process dies with the
// worker, so that a job of a killed worker does not run here and elsewhere for longer than it must.
//
// In its environment: WEIR_CHANNEL, WEIR_GROUP, WEIR_SEQUENCE, WEIR_ATTEMPT (from 1 on), WEIR_ID, WEIR_SERVER (host:port), WEIR_FILE (with
// a file), and for each header Some-Name of the message WEIR_HEADER_SOME_NAME; not what the worker itself has under these names.
#pragma once

#include <sys/types.h>

#include "cmd/fleet.h"

enum { JOB_ID_SIZE = 264, JOB_WORDS_SIZE = 320, JOB_FILE_SIZE = 512 };

// WAITING for a free place, RUNNING, or OWED: it has ended, and its server, which is away, does not know it yet.
enum job_state { JOB_WAITING, JOB_RUNNING, JOB_OWED };

struct job {
    struct list link;              // list link: the worker's
    struct fleet_message *message; // owned
    enum job_state state;
    char id[JOB_ID_SIZE]; // stable over attempts: header Nats-Msg-Id, or else made of sequence and time
    uint64_t taken_ns, started_ns, extended_ns;
    pid_t pid;                 // RUNNING
    char file[JOB_FILE_SIZE];  // of the payload; empty: none
    uint64_t stop_ns, kill_ns; // when it is terminated, and killed; 0: not
    bool timed_out;
    char words[JOB_WORDS_SIZE]; // OWED: what the server is to hear; empty: the acknowledgement
};

struct job_command {
    char *const *arguments; // with the NULL; the first is the program's path, looked up
    const char *channel, *group;
    const char *directory; // for files; NULL: the payload is standard input
};

// Takes the message over.
struct job *job_new(struct fleet_message *message, uint64_t now_ns);
// Not a running one. Removes its file.
void job_free(struct job *job);
// From 1 on, as the server counts.
uint32_t job_attempt(const struct job *job);
// 0, or ERR_IO with errno set: no process, file or memory to be had.
int job_start(struct job *job, const struct job_command *command, uint64_t now_ns) MUST_USE;
// To all of its process group.
void job_signal(const struct job *job, int number);

// The path of a program as a shell would find it, owned by the caller. NULL: there is none that may be executed.
char *job_find_program(const char *name);
