// SPDX-License-Identifier: Apache-2.0
// tidy: prefix work
// The jobs of `weir work`: taken, started, extended, ended, given back.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/memory.h"
#include "cmd/work_internal.h"

enum { DETAIL_SIZE = 128 };

static void take(struct work *work, uint64_t now_ns);
static bool take_again(struct work *work, struct fleet_message *message);
static struct job *find(const struct list *jobs, const struct fleet_message *message);
static void start(struct work *work, struct job *job, uint64_t now_ns);
static void look_after_waiting(struct work *work, uint64_t now_ns);
static void look_after_running(struct work *work, uint64_t now_ns);
static void extend(struct work *work, struct job *job, uint64_t now_ns);
static void give_back(struct work *work, struct job *job, const char *why, uint64_t delay_ns, uint64_t now_ns);
static void release(struct work *work, struct job *job, const char *why, uint64_t now_ns);
static enum work_outcome judge(const struct work *work, struct job *job, int status, char *ret_detail);
static void conclude(struct work *work, struct job *job, enum work_outcome outcome, const char *detail,
                     uint64_t now_ns);
static int tell(const struct job *job);
static void pay(struct work *work, uint64_t now_ns);
static void leave_idle_servers(struct work *work);
static uint64_t backoff(const struct work_options *options, uint32_t attempt);

void work_jobs_step(struct work *work, uint64_t now_ns)
{
    take(work, now_ns); // what is owed for may have come again
    pay(work, now_ns);
    look_after_waiting(work, now_ns);
    look_after_running(work, now_ns);
    if (work->stopping)
        leave_idle_servers(work);
}

void work_jobs_ended(struct work *work, pid_t pid, int status, uint64_t now_ns)
{
    char detail[DETAIL_SIZE];
    list_foreach(link, &work->running)
    {
        struct job *job = container_of(link, struct job, link);
        if (job->pid != pid)
            continue;
        job->pid = 0;
        work->running_count--;
        list_remove(&job->link);
        list_init(&job->link);
        work->busy_ns += now_ns - job->started_ns;
        enum work_outcome outcome = judge(work, job, status, detail);
        conclude(work, job, outcome, detail, now_ns);
        return;
    }
}

void work_jobs_stop(struct work *work, uint64_t now_ns)
{
    work->stopping = true;
    work->stop_ns = now_ns + work->options.grace_ns;
    work_show_event(work, NULL, "told to stop: no more jobs are started");
    list_foreach(link, &work->running)
    {
        if (work->options.tell)
            job_signal(container_of(link, struct job, link), SIGTERM);
    }
}

void work_jobs_give_back_all(struct work *work)
{
    uint64_t now_ns = client_now_ns();
    list_foreach(link, &work->waiting) release(work, container_of(link, struct job, link), "the worker stops", now_ns);
    // All are killed before the first is given back: elsewhere they may begin at once.
    list_foreach(link, &work->running) job_signal(container_of(link, struct job, link), SIGKILL);
    list_foreach(link, &work->running) release(work, container_of(link, struct job, link), "the worker stops", now_ns);
}

void work_jobs_free(struct work *work)
{
    struct list *lists[] = {&work->waiting, &work->running, &work->owed};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        list_foreach(link, lists[i]) job_free(container_of(link, struct job, link));
    }
}

static void take(struct work *work, uint64_t now_ns)
{
    struct fleet_message *message;
    while ((message = fleet_take(&work->fleet))) {
        if (take_again(work, message)) {
            mem_free(message);
            continue;
        }
        struct job *job = job_new(message, now_ns);
        list_push_back(&work->waiting, &job->link);
        work->waiting_count++;
    }
}

// What we have already, and is delivered again because the server was away for long. It goes on under the newer delivery.
static bool take_again(struct work *work, struct fleet_message *message)
{
    struct list *lists[] = {&work->waiting, &work->running, &work->owed};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct job *job = find(lists[i], message);
        if (!job)
            continue;
        job->message->registration = message->registration;
        return true;
    }
    return false;
}

static struct job *find(const struct list *jobs, const struct fleet_message *message)
{
    for (const struct list *link = jobs->next; link != jobs; link = link->next) {
        struct job *job = container_of(link, struct job, link);
        if (job->message->server == message->server && job->message->sequence == message->sequence &&
            job->message->time_ns == message->time_ns)
            return job;
    }
    return NULL;
}

static void look_after_waiting(struct work *work, uint64_t now_ns)
{
    // Less than the 200 ms in which a job should be elsewhere; and it may come here again and again.
    const uint64_t stopping_delay_ns = 100000000;
    list_foreach(link, &work->waiting)
    {
        struct job *job = container_of(link, struct job, link);
        const struct fleet_server *server = job->message->server;
        bool is_up = server->state == FLEET_UP;
        if (is_up && job->message->registration != server->registration) {
            work->waiting_count--;
            job_free(job); // it is delivered again, to somebody
        } else if (is_up && work->stopping) {
            bool is_new = job->taken_ns > work->stop_ns - work->options.grace_ns;
            give_back(work, job, NULL, is_new ? stopping_delay_ns : 0, now_ns);
        } else if (is_up && work->running_count < work->options.slots) {
            start(work, job, now_ns);
        } else if (is_up && now_ns - job->taken_ns >= work->options.hold_ns) {
            work->surplus++;
            give_back(work, job, NULL, 0, now_ns);
        } else {
            extend(work, job, now_ns);
        }
    }
}

static void start(struct work *work, struct job *job, uint64_t now_ns)
{
    char detail[DETAIL_SIZE];
    list_remove(&job->link);
    list_init(&job->link);
    work->waiting_count--;
    if (job_start(job, &work->command, now_ns)) {
        snprintf(detail, sizeof(detail), "no process: %s", strerror(errno));
        list_push_back(&work->waiting, &job->link);
        work->waiting_count++;
        give_back(work, job, detail, work->options.backoff_ns, now_ns);
        return;
    }
    job->stop_ns = work->options.timeout_ns ? now_ns + work->options.timeout_ns : 0;
    list_push_back(&work->running, &job->link);
    work->running_count++;
}

static void look_after_running(struct work *work, uint64_t now_ns)
{
    list_foreach(link, &work->running)
    {
        struct job *job = container_of(link, struct job, link);
        extend(work, job, now_ns);
        if (job->stop_ns && now_ns >= job->stop_ns) {
            job->stop_ns = 0;
            job->kill_ns = now_ns + work->options.kill_after_ns;
            job->timed_out = true;
            work->timeouts++;
            job_signal(job, SIGTERM);
        } else if (job->kill_ns && now_ns >= job->kill_ns) {
            job->kill_ns = 0;
            job_signal(job, SIGKILL);
        }
    }
}

static void extend(struct work *work, struct job *job, uint64_t now_ns)
{
    char words[64];
    if (now_ns - job->extended_ns < work->options.ack_wait_ns / 3)
        return;
    snprintf(words, sizeof(words), "+WPI %llu", (unsigned long long)job->message->sequence);
    if (fleet_say(job->message, bytes_from_string(words)) == 0) {
        work->extensions++;
        job->extended_ns = now_ns;
    }
}

// Without counting. Of what is away nobody has to be told: it is taken from us.
static void give_back(struct work *work, struct job *job, const char *why, uint64_t delay_ns, uint64_t now_ns)
{
    char words[128];
    int len = snprintf(words, sizeof(words), "-NAK %llu {\"count\": false", (unsigned long long)job->message->sequence);
    if (delay_ns)
        len += snprintf(words + len, sizeof(words) - (size_t)len, ", \"delay\": %llu", (unsigned long long)delay_ns);
    snprintf(words + len, sizeof(words) - (size_t)len, "}");
    (void)!fleet_say(job->message, bytes_from_string(words));
    release(work, job, why, now_ns);
}

// It is not ours any more. `why` NULL: not worth a word.
static void release(struct work *work, struct job *job, const char *why, uint64_t now_ns)
{
    if (why) {
        work->outcomes[WORK_GIVEN_BACK]++;
        work_show_job(work, job, WORK_GIVEN_BACK, why, now_ns);
    }
    work->waiting_count -= job->state == JOB_WAITING;
    work->running_count -= job->state == JOB_RUNNING;
    job_free(job);
}

static enum work_outcome judge(const struct work *work, struct job *job, int status, char *ret_detail)
{
    const struct work_options *options = &work->options;
    unsigned long long sequence = job->message->sequence;
    uint32_t attempt = job_attempt(job);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (job->timed_out)
        snprintf(ret_detail, DETAIL_SIZE, "it took too long");
    else if (code >= 0)
        snprintf(ret_detail, DETAIL_SIZE, "exit code %d", code);
    else
        snprintf(ret_detail, DETAIL_SIZE, "signal %d", WTERMSIG(status));
    if (code == 0 && !job->timed_out)
        return WORK_DONE;
    if (work->stopping && options->tell && !job->timed_out) {
        snprintf(job->words, sizeof(job->words), "-NAK %llu {\"count\": false}", sequence);
        return WORK_GIVEN_BACK;
    }
    if ((options->dead_exit && code == (int)options->dead_exit) ||
        (options->max_attempts && attempt >= options->max_attempts)) {
        snprintf(job->words, sizeof(job->words), "+TERM %llu %s, attempt %u", sequence, ret_detail, attempt);
        return WORK_DEAD;
    }
    snprintf(job->words, sizeof(job->words), "-NAK %llu {\"delay\": %llu}", sequence,
             (unsigned long long)backoff(options, attempt));
    return WORK_FAILED;
}

// `job` is in no list. What its server cannot be told now it is told when it is back.
static void conclude(struct work *work, struct job *job, enum work_outcome outcome, const char *detail, uint64_t now_ns)
{
    job->state = JOB_OWED;
    int error = tell(job);
    if (error == ERR_CLOSED)
        outcome = outcome == WORK_GIVEN_BACK ? outcome : WORK_LOST;
    work->outcomes[outcome]++;
    work_show_job(work, job, outcome, detail, now_ns);
    if (error == ERR_AGAIN)
        list_push_back(&work->owed, &job->link);
    else
        job_free(job);
}

static int tell(const struct job *job)
{
    return job->words[0] ? fleet_say(job->message, bytes_from_string(job->words)) : fleet_acknowledge(job->message);
}

static void pay(struct work *work, uint64_t now_ns)
{
    list_foreach(link, &work->owed)
    {
        struct job *job = container_of(link, struct job, link);
        int error = tell(job);
        if (error == ERR_CLOSED) {
            work->outcomes[WORK_LOST]++;
            work_show_job(work, job, WORK_LOST, "the server has given it to others while it was away", now_ns);
        }
        if (error != ERR_AGAIN)
            job_free(job);
    }
}

// A subscription cannot be told to take no more. So the whole server is left as soon as nothing of it runs here; until then what
// comes goes back.
static void leave_idle_servers(struct work *work)
{
    for (size_t i = 0; i < work->fleet.count; i++) {
        struct fleet_server *server = &work->fleet.servers[i];
        bool is_needed = server->state == FLEET_LEAVING || server->state == FLEET_LEFT;
        struct list *lists[] = {&work->running, &work->owed};
        for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++) {
            list_foreach(link, lists[k]) is_needed =
                is_needed || container_of(link, struct job, link)->message->server == server;
        }
        if (!is_needed)
            fleet_leave(server);
    }
}

static uint64_t backoff(const struct work_options *options, uint32_t attempt)
{
    uint64_t delay_ns = options->backoff_ns;
    for (uint32_t i = 1; i < attempt && delay_ns < options->backoff_max_ns; i++)
        delay_ns *= 2;
    return delay_ns < options->backoff_max_ns ? delay_ns : options->backoff_max_ns;
}
