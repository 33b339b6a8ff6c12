// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// DLQ.REDRIVE, DLQ.JOBS, DLQ.CANCEL: dead messages are delivered again, a few in each turn and no faster than somebody wants. A job lives with
// the process; what it has not come to is still dead.
#include "admin/admin_internal.h"
#include "base/memory.h"

enum { BATCH = 128, RETRY_MS = 50 }; // messages per turn; after the log or the engine took nothing

static const uint64_t MESSAGE_NS = 1000000000; // credit that one message costs

enum job_state { JOB_RUNNING, JOB_DONE, JOB_CANCELLED };

static const char *const STATES[] = {[JOB_RUNNING] = "running", [JOB_DONE] = "done", [JOB_CANCELLED] = "cancelled"};

struct admin_job {
    struct list link; // api's
    uint64_t number;
    uint32_t consumer;
    char *channel, *group; // owned
    uint64_t *sequences;   // owned; NULL: all that were dead when it began
    uint64_t total, redriven, gone, rate;
    uint64_t at;        // into `sequences`; without: the sequence to go on with
    uint64_t last;      // without: of the last one
    uint64_t credit;    // ns times rate; what is earned is at most a second's
    uint64_t earned_ns; // monotonic: up to when
    uint64_t retry_ms;
    // The messages on their way, one batch at a time; the log may refuse it.
    uint64_t index; // of their record; 0: none
    uint64_t batch[BATCH];
    size_t batch_count, taken;
    uint64_t batch_at; // `at` before them
    enum job_state state;
};

static struct admin_job *job_new(struct admin_api *api, struct admin_ask *ask, struct consumer *consumer);
static struct admin_job *job_find(struct admin_api *api, uint64_t number);
static void job_free(struct admin_api *api, struct admin_job *job);
static bool make_room(struct admin_api *api);
static size_t step(struct admin_api *api, struct admin_job *job, size_t most);
static bool waits(const struct admin_api *api, const struct admin_job *job);
static void arrive(struct admin_job *job, const struct consumer *consumer);
static size_t next_batch(const struct admin_job *job, const struct consumer *consumer, uint64_t *sequences, size_t max);
static uint64_t allowance(struct admin_api *api, struct admin_job *job);
static void end(struct admin_job *job, enum job_state state);
static bool render_job(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static bool render_jobs(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static void put_job(struct json_writer *json, const struct admin_job *job);

enum admin_step admin_dlq_redrive(struct admin_api *api, struct admin_ask *ask)
{
    struct consumer *consumer = admin_find_group(api, ask);
    if (!consumer)
        return ADMIN_FAILED;
    if (admin_has(ask, FIELD_SEQUENCES) == (admin_has(ask, FIELD_ALL) && ask->fields.all))
        return admin_fail(ask, ADMIN_BAD_REQUEST, "sequences", "either sequences or all: true must be given");
    if (!make_room(api))
        return admin_fail(ask, ADMIN_BUSY, NULL, "%d jobs are running", ADMIN_JOBS_MAX);
    ask->job = job_new(api, ask, consumer)->number;
    return admin_show(ask, render_job);
}

enum admin_step admin_dlq_jobs(struct admin_api *api, struct admin_ask *ask)
{
    (void)api;
    return admin_show(ask, render_jobs);
}

enum admin_step admin_dlq_cancel(struct admin_api *api, struct admin_ask *ask)
{
    struct admin_job *job = job_find(api, ask->fields.job);
    if (!job)
        return admin_fail(ask, ADMIN_JOB_NOT_FOUND, "job", "there is no job %llu", (unsigned long long)ask->fields.job);
    if (job->state == JOB_RUNNING)
        job->state = JOB_CANCELLED;
    ask->job = job->number;
    return admin_show(ask, render_job);
}

bool admin_jobs_turn_end(struct admin_api *api)
{
    size_t left = BATCH;
    bool more = false;
    list_foreach(link, &api->jobs)
    {
        struct admin_job *job = container_of(link, struct admin_job, link);
        if (job->state != JOB_RUNNING || moment_mono_ms(api->now) < job->retry_ms || waits(api, job))
            continue;
        left -= step(api, job, left);
        more |= job->state == JOB_RUNNING && job->rate == 0 && moment_mono_ms(api->now) >= job->retry_ms &&
                !waits(api, job);
    }
    return more;
}

uint64_t admin_jobs_next_deadline_ms(const struct admin_api *api)
{
    uint64_t deadline_ms = UINT64_MAX, now_ms = moment_mono_ms(api->now);
    list_foreach(link, &api->jobs)
    {
        const struct admin_job *job = container_of(link, struct admin_job, link);
        if (job->state != JOB_RUNNING || waits(api, job))
            continue;
        uint64_t due_ms =
            job->rate ? now_ms + 1 + (MESSAGE_NS - job->credit % MESSAGE_NS) / job->rate / 1000000 : now_ms;
        due_ms = due_ms > job->retry_ms ? due_ms : job->retry_ms;
        deadline_ms = due_ms < deadline_ms ? due_ms : deadline_ms;
    }
    return deadline_ms;
}

void admin_jobs_free(struct admin_api *api)
{
    for (struct list *link = list_first(&api->jobs); link; link = list_first(&api->jobs))
        job_free(api, container_of(link, struct admin_job, link));
}

static struct admin_job *job_new(struct admin_api *api, struct admin_ask *ask, struct consumer *consumer)
{
    struct admin_job *job = mem_alloc_zero(sizeof(*job));
    struct consumer_state state;
    struct bytes client;
    consumer_state_get(consumer, &state);
    job->number = ++api->job_numbers;
    job->consumer = state.id;
    job->channel = mem_copy_string(stream_name(consumer_stream(consumer)));
    job->group = mem_copy_string(admin_find_group_name(consumer, &client));
    job->rate = ask->fields.rate;
    job->credit = MESSAGE_NS; // the first at once
    job->earned_ns = api->now.mono_ns;
    job->total = state.dead;
    job->last = UINT64_MAX;
    if (admin_has(ask, FIELD_SEQUENCES)) {
        const struct json_request_numbers *numbers = &ask->fields.sequences;
        job->sequences = mem_alloc(numbers->count * sizeof(*job->sequences));
        memcpy(job->sequences, numbers->at, numbers->count * sizeof(*job->sequences));
        job->total = numbers->count;
    } else {
        struct stream_state stream;
        stream_state_get(consumer_stream(consumer), &stream);
        job->last = stream.last_sequence;
    }
    list_init(&job->link);
    list_push_back(&api->jobs, &job->link);
    api->job_count++;
    if (job->total == 0)
        end(job, JOB_DONE);
    return job;
}

static struct admin_job *job_find(struct admin_api *api, uint64_t number)
{
    list_foreach(link, &api->jobs)
    {
        struct admin_job *job = container_of(link, struct admin_job, link);
        if (job->number == number)
            return job;
    }
    return NULL;
}

static void job_free(struct admin_api *api, struct admin_job *job)
{
    list_remove(&job->link);
    api->job_count--;
    mem_free(job->channel);
    mem_free(job->group);
    mem_free(job->sequences);
    mem_free(job);
}

// The oldest that is over is forgotten. False: all are running.
static bool make_room(struct admin_api *api)
{
    list_foreach(link, &api->jobs)
    {
        struct admin_job *job = container_of(link, struct admin_job, link);
        if (api->job_count < ADMIN_JOBS_MAX)
            break;
        if (job->state != JOB_RUNNING)
            job_free(api, job);
    }
    return api->job_count < ADMIN_JOBS_MAX;
}

// Is its batch neither in the log nor refused?
static bool waits(const struct admin_api *api, const struct admin_job *job)
{
    const struct shard *shard = api->options.shard;
    return job->index > shard_committed_index(shard) && job->index <= shard_last_index(shard);
}

// The batch is in the log, or is not and will not be: who is still dead is asked for again.
static void arrive(struct admin_job *job, const struct consumer *consumer)
{
    size_t dead = 0;
    for (size_t i = 0; i < job->batch_count; i++) {
        struct dead_info info;
        dead += consumer_dead_list(consumer, job->batch[i], &info, 1) == 1 && info.sequence == job->batch[i];
    }
    job->index = 0;
    job->redriven += job->taken > dead ? job->taken - dead : 0;
    if (dead && job->taken)
        job->at = job->batch_at;
}

// Returns how many messages it looked at.
static size_t step(struct admin_api *api, struct admin_job *job, size_t most)
{
    uint64_t allowed = allowance(api, job), *sequences = job->batch;
    struct consumer *consumer = engine_consumer_by_id(api->engine, job->consumer);
    size_t taken = 0, max = allowed < most ? (size_t)allowed : most;
    if (!consumer) {
        end(job, JOB_CANCELLED);
        return 0;
    }
    if (job->index)
        arrive(job, consumer);
    if (job->sequences && job->at == job->total) {
        end(job, JOB_DONE);
        return 0;
    }
    size_t count = max ? next_batch(job, consumer, sequences, max) : 0;
    if (max && count == 0)
        end(job, JOB_DONE);
    if (count == 0)
        return 0;
    int error = engine_redrive(api->engine, consumer, sequences, count, admin_time(api), &taken, &job->index);
    if (error == ERR_FAILED || error == ERR_CLOSED)
        end(job, JOB_CANCELLED);
    if (error) {
        job->index = 0;
        job->retry_ms = moment_mono_ms(api->now) + RETRY_MS;
        return 0;
    }
    job->batch_count = count;
    job->batch_at = job->at;
    job->taken = taken;
    job->credit -= job->rate ? count * MESSAGE_NS : 0;
    job->at = job->sequences ? job->at + count : sequences[count - 1] + 1;
    return count;
}

static size_t next_batch(const struct admin_job *job, const struct consumer *consumer, uint64_t *sequences, size_t max)
{
    struct dead_info infos[BATCH];
    size_t count = 0;
    if (job->sequences) {
        for (; count < max && job->at + count < job->total; count++)
            sequences[count] = job->sequences[job->at + count];
        return count;
    }
    max = consumer_dead_list(consumer, job->at, infos, max);
    for (; count < max && infos[count].sequence <= job->last; count++)
        sequences[count] = infos[count].sequence;
    return count;
}

// Messages that may go now.
static uint64_t allowance(struct admin_api *api, struct admin_job *job)
{
    uint64_t elapsed_ns = api->now.mono_ns - job->earned_ns, most = job->rate > 1 ? job->rate * MESSAGE_NS : MESSAGE_NS;
    if (job->rate == 0)
        return UINT64_MAX;
    job->earned_ns = api->now.mono_ns;
    job->credit += (elapsed_ns < MESSAGE_NS ? elapsed_ns : MESSAGE_NS) * job->rate;
    job->credit = job->credit < most ? job->credit : most;
    return job->credit / MESSAGE_NS;
}

static void end(struct admin_job *job, enum job_state state)
{
    job->state = state;
    if (state == JOB_DONE)
        job->gone = job->total > job->redriven ? job->total - job->redriven : 0;
}

static bool render_job(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    const struct admin_job *job = job_find(api, ask->job);
    struct json_writer json;
    if (!job) {
        admin_fail(ask, ADMIN_JOB_NOT_FOUND, NULL, "the job is forgotten");
        return false;
    }
    json_writer_init_compact(&json, out);
    put_job(&json, job);
    return admin_object_finish(&json, ask);
}

static bool render_jobs(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    struct json_writer json;
    json_writer_init_compact(&json, out);
    json_writer_begin_object(&json);
    json_writer_key(&json, "jobs");
    json_writer_begin_array(&json);
    list_foreach(link, &api->jobs) put_job(&json, container_of(link, struct admin_job, link));
    json_writer_end(&json);
    json_writer_end(&json);
    return admin_object_finish(&json, ask);
}

static void put_job(struct json_writer *json, const struct admin_job *job)
{
    json_writer_begin_object(json);
    json_writer_put_u64(json, "job", job->number);
    json_writer_put_string(json, "channel", bytes_from_string(job->channel));
    json_writer_put_string(json, "group", bytes_from_string(job->group));
    json_writer_put_u64(json, "group_id", job->consumer);
    json_writer_put_u64(json, "total", job->total);
    json_writer_put_u64(json, "redriven", job->redriven);
    json_writer_put_u64(json, "gone", job->gone);
    json_writer_put_u64(json, "rate", job->rate);
    json_writer_put_string(json, "state", bytes_from_string(STATES[job->state]));
    json_writer_end(json);
}
