// SPDX-License-Identifier: Apache-2.0
#include "cmd/intake.h"

#include <stdio.h>

#include "base/must.h"
#include "cmd/filling.h"
#include "os/clock.h"
#include "os/crypto.h"
#include "os/directory.h"

enum { STEP_BYTES = 4 << 20, PROGRESS_MS = 100 }; // of the source, between two looks at the log

// The source: a disk that only executes at once.
struct source {
    struct disk disk; // first
    struct directory directory;
};

struct session {
    struct intake *run;
    struct importer *importer; // borrowed
    uint64_t shown_ms;
};

static int open_source(struct source *source, const struct intake *run);
static int look(struct intake *run, struct importer *importer);
static int fill(struct intake *run, struct importer *importer);
static void begin(void *owner, struct shard *shard, struct stan *stan);
static int step(void *owner, struct engine_time now);
static void source_submit(struct disk *disk, enum disk_lane lane, struct disk_request *request);
static void source_run(struct disk *disk, struct disk_request *request);

static const struct disk_ops source_ops = {source_submit, source_run};

int intake_run(struct intake *run)
{
    struct source source = {.disk = {.ops = &source_ops}};
    struct importer *importer;
    int error = open_source(&source, run);
    if (error)
        return error;
    run->options.source = &source.disk;
    run->options.crypto = &crypto_machine;
    run->options.cluster_id = bytes_from_string(run->cluster_id ? run->cluster_id : "");
    run->options.message_max = FILLING_MESSAGE_MAX;
    run->options.logger = run->logger;
    error = importer_open(&run->options, &importer);
    if (!error) {
        struct bytes cluster_id = importer_cluster_id(importer);
        snprintf(run->ret_cluster_id, sizeof(run->ret_cluster_id), "%.*s", BYTES_ARG(cluster_id));
        bool other = run->cluster_id && !bytes_equal(cluster_id, bytes_from_string(run->cluster_id));
        if (other)
            logger_write(run->logger, LOG_ERROR, "the store is of the cluster id %s, not %s: -cid %s goes on with it",
                         run->ret_cluster_id, run->cluster_id, run->ret_cluster_id);
        error = other ? ERR_OTHER_CLUSTER : run->directory ? fill(run, importer) : look(run, importer);
        importer_stats_get(importer, &run->stats);
        if (!error && run->stats.decrypted && run->directory && !intake_encrypts(run))
            logger_write(run->logger, LOG_WARN,
                         "%s was encrypted, and %s is not: who has its files can read the messages", run->source,
                         run->directory);
        importer_free(importer);
    }
    directory_close(&source.directory);
    return error;
}

static int open_source(struct source *source, const struct intake *run)
{
    int error = directory_open(&source->directory, run->source, false);
    if (error) {
        logger_write(run->logger, LOG_ERROR, "%s: %s", run->source,
                     error == ERR_INVALID ? "not a directory" : error_text(error));
        return error;
    }
    long pid;
    error = directory_lock_foreign(&source->directory, ".rootdir.lck", &pid);
    if (!error)
        return 0;
    if (error == ERR_IN_USE)
        logger_write(run->logger, LOG_ERROR,
                     "%s: the NATS Streaming server with the process id %ld is running on it: stop it first",
                     run->source, pid);
    else
        logger_write(run->logger, LOG_ERROR, "%s/.rootdir.lck: %s", run->source, error_text(error));
    directory_close(&source->directory);
    return error;
}

static int look(struct intake *run, struct importer *importer)
{
    int result;
    importer_begin(importer, NULL);
    do {
        const struct moment now = clock_now();
        result = importer_step(importer, (struct engine_time){now.mono_ns, now.wall_ns}, STEP_BYTES);
        importer_stats_get(importer, &run->stats);
        if (run->progress)
            run->progress(run->owner, &run->stats);
    } while (result > 0);
    return result;
}

static int fill(struct intake *run, struct importer *importer)
{
    struct session session = {.run = run, .importer = importer};
    const struct filling filling = {
        .directory = run->directory,
        .cluster_id = run->ret_cluster_id,
        .encryption = run->encryption,
        .logger = run->logger,
        .begin = begin,
        .step = step,
        .owner = &session,
    };
    return filling_run(&filling);
}

static void begin(void *owner, struct shard *shard, struct stan *stan)
{
    struct session *session = owner;
    (void)shard;
    importer_begin(session->importer, stan);
}

static int step(void *owner, struct engine_time now)
{
    struct session *session = owner;
    struct intake *run = session->run;
    int result = importer_step(session->importer, now, STEP_BYTES);
    uint64_t now_ms = now.mono_ns / 1000000;
    if (run->progress && (result == 0 || now_ms - session->shown_ms >= PROGRESS_MS)) {
        session->shown_ms = now_ms;
        importer_stats_get(session->importer, &run->stats);
        run->progress(run->owner, &run->stats);
    }
    return result;
}

static void source_submit(struct disk *disk, enum disk_lane lane, struct disk_request *request)
{
    (void)disk;
    (void)lane;
    (void)request;
    must(!"an import only runs requests on its source");
}

static void source_run(struct disk *disk, struct disk_request *request)
{
    directory_execute(&container_of(disk, struct source, disk)->directory, request, NULL);
}
