// SPDX-License-Identifier: Apache-2.0
#include "broker/login_job.h"

#include "broker/connection.h"

static void begin_next(struct broker *broker);
static void run(struct offload_job *offload);
static void done(struct offload_job *offload);
static void job_free(struct login_job *job);

void login_job_begin(struct connection *connection, const struct login_decision *decision, struct bytes user)
{
    struct broker *broker = connection->broker;
    struct login_job *job = mem_alloc(sizeof(*job) + decision->given.len + user.len);
    *job = (struct login_job){
        .offload = {.run = run, .done = done},
        .broker = broker,
        .connection = connection,
        .auth = auth_config_ref(broker->auth),
        .decision = *decision,
    };
    char *at = broker_copy(job->text, decision->given);
    job->decision.given = bytes_make(job->text, decision->given.len);
    job->user = bytes_make(at, user.len);
    broker_copy(at, user);
    connection->identity->job = job;
    list_push_back(&broker->logins, &job->link);
    begin_next(broker);
}

void login_job_forget(struct login_job *job)
{
    job->connection = NULL;
    if (!list_is_linked(&job->link))
        return; // the offload has it
    list_remove(&job->link);
    job_free(job);
}

static void begin_next(struct broker *broker)
{
    struct list *link;
    while (broker->logins_running < BROKER_LOGINS_RUNNING_MAX && (link = list_pop_front(&broker->logins))) {
        broker->logins_running++;
        offload_submit(broker->options.offload, &container_of(link, struct login_job, link)->offload);
    }
}

// On another thread: the hash and the password lie still, and so does the table of functions.
static void run(struct offload_job *offload)
{
    struct login_job *job = container_of(offload, struct login_job, offload);
    job->matched = job->broker->options.crypto->bcrypt_matches(job->decision.hash, job->decision.given);
}

static void done(struct offload_job *offload)
{
    struct login_job *job = container_of(offload, struct login_job, offload);
    struct broker *broker = job->broker;
    struct connection *connection = job->connection;
    broker->logins_running--;
    begin_next(broker);
    if (connection) {
        struct login_decision decision = job->decision;
        decision.verdict = job->matched && !decision.hopeless ? LOGIN_ACCEPTED : LOGIN_REFUSED;
        // The configuration may have changed meanwhile.
        if (decision.verdict == LOGIN_ACCEPTED && job->auth != broker->auth)
            decision = login_renew(job->auth, decision.user, false, broker->auth, connection_type(connection));
        connection->identity->job = NULL;
        connection_login_end(connection, &decision, job->user);
    }
    job_free(job);
}

static void job_free(struct login_job *job)
{
    // The password does not stay behind in the heap.
    volatile char *at = job->text;
    for (size_t i = 0; i < job->decision.given.len; i++)
        at[i] = 0;
    auth_config_unref(job->auth);
    mem_free(job);
}
