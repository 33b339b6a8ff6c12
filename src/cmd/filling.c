// SPDX-License-Identifier: Apache-2.0
#include "cmd/filling.h"

#include "base/must.h"
#include "cmd/intake_target.h"
#include "os/clock.h"
#include "os/file_disk.h"
#include "server/node_config.h"

// So that no client is given up meanwhile.
static const uint64_t LONG_NS = 100ull * 24 * 3600 * 1000000000;

static const char NO_ROOM[] =
    "no space left on its disk: it needs about as much as what comes in, and 256 MiB besides for "
    "what a server keeps free";

struct session {
    const struct filling *filling; // borrowed
    struct loop loop;
    struct loop_handler handler;
    struct file_disk disk;
    struct broker *broker;
    struct shard *shard;
    struct stan *stan;
    struct shard_machine watch; // hears of batches that the log refused
    struct moment now;
    bool more;    // whoever fills waits for nothing
    bool stepped; // and is through
    bool refused; // the log did not take something
    bool ending;  // everything is durable, or there is an error; what is under way is waited for
    int error;
};

static void explain(const struct filling *filling, const char *text);
static int fill_directory(struct session *session, struct directory directory);
static void start(struct session *session);
static void stop(struct session *session);
static void on_turn_begin(void *owner, struct moment now);
static bool on_turn_end(void *owner);
static uint64_t on_deadline(void *owner);
static void step(struct session *session);
static void watch_init(struct shard_machine *watch);

int filling_run(const struct filling *filling)
{
    struct session session = {.filling = filling, .more = true};
    struct directory directory;
    const char *text = NULL;
    int error = intake_target_open(&directory, filling->directory, &text);
    if (error) {
        explain(filling, error == ERR_EXISTS     ? text
                         : error == ERR_INVALID  ? "not a directory"
                         : error == ERR_NO_SPACE ? NO_ROOM
                                                 : error_text(error));
        return error;
    }
    session.handler = (struct loop_handler){&session, on_turn_begin, on_turn_end, on_deadline};
    error = loop_init(&session.loop, &session.handler);
    if (error) {
        directory_close(&directory);
        logger_write(filling->logger, LOG_ERROR, "no file descriptors left to start with (ulimit -n)");
        return error;
    }
    error = fill_directory(&session, directory);
    if (error == ERR_NO_SPACE)
        explain(filling, NO_ROOM);
    loop_deinit(&session.loop);
    return error;
}

static void explain(const struct filling *filling, const char *text)
{
    logger_write(filling->logger, LOG_ERROR, "%s: %s", filling->directory, text);
}

// The directory is the disk's from here on; its lock ends with it, and the mark goes before.
static int fill_directory(struct session *session, struct directory directory)
{
    int error = file_disk_open(&session->disk, &session->loop, directory);
    if (error) {
        logger_write(session->filling->logger, LOG_ERROR, "cannot start the log thread: %s", error_text(error));
        return error;
    }
    start(session);
    error = shard_open(session->shard, &session->disk.disk, session->now);
    if (!error) {
        session->filling->begin(session->filling->owner, session->shard, session->stan);
        loop_run(&session->loop);
        error = session->error;
    }
    stop(session);
    if (!error)
        error = intake_target_finish(&session->disk.directory);
    file_disk_close(&session->disk);
    return error;
}

static void start(struct session *session)
{
    struct options options;
    struct broker_options broker;
    struct shard_options shard;
    struct stan_options stan;
    options_default(&options, OPTIONS_WEIR);
    options.cluster_id = session->filling->cluster_id;
    options.max_payload = FILLING_MESSAGE_MAX;
    options.max_channels = 0;
    options.max_ids = 1;
    options.heartbeat_interval_ns = LONG_NS;
    node_config_broker(&options, &broker);
    node_config_shard(&options, &shard);
    node_config_stan(&options, &stan);
    shard.store.unserved = true;
    shard.store.logger = shard.logger = stan.logger = session->filling->logger;
    if (session->filling->encryption)
        shard.store.encryption = *session->filling->encryption;
    stan.max_clients = UINT32_MAX / 4;
    session->now = clock_now();
    session->broker = broker_new(&broker, session->now);
    session->shard = shard_new(&shard);
    session->stan = stan_new(&stan, session->broker, session->shard, session->now);
    watch_init(&session->watch);
    shard_machine_add(session->shard, &session->watch);
}

static void stop(struct session *session)
{
    shard_stop(session->shard);
    stan_free(session->stan);
    shard_free(session->shard);
    broker_free(session->broker);
}

static void on_turn_begin(void *owner, struct moment now)
{
    struct session *session = owner;
    session->now = now;
    broker_turn_begin(session->broker, now);
    stan_turn_begin(session->stan, now);
}

static bool on_turn_end(void *owner)
{
    struct session *session = owner;
    if (session->refused && !session->error)
        session->error = ERR_NO_SPACE;
    if (!session->ending)
        step(session);
    bool again = shard_turn_end(session->shard, session->now);
    again |= broker_turn_end(session->broker);
    bool durable = shard_committed_index(session->shard) >= shard_last_index(session->shard);
    if (!session->ending && (session->error || (session->stepped && durable))) {
        session->ending = true;
        shard_quiesce(session->shard);
    }
    if (session->ending && shard_is_idle(session->shard)) {
        loop_stop(&session->loop);
        return false;
    }
    return again || (!session->ending && session->more);
}

static uint64_t on_deadline(void *owner)
{
    struct session *session = owner;
    uint64_t deadline_ms = shard_next_deadline_ms(session->shard), broker_ms = broker_next_deadline_ms(session->broker);
    if (session->more && !session->ending)
        return 0;
    return deadline_ms < broker_ms ? deadline_ms : broker_ms;
}

static void step(struct session *session)
{
    if (session->stepped || session->error)
        return;
    int result = session->filling->step(session->filling->owner,
                                        (struct engine_time){session->now.mono_ns, session->now.wall_ns});
    session->stepped = result == 0;
    session->more = result > 0;
    if (result < 0 && result != ERR_AGAIN)
        session->error = result;
}

// --- what the log refused -------------------------------------------------------------------------------------------
//
// A server drops what was proposed and goes on; here there would be a hole.

static int watch_apply(struct shard_machine *watch, const struct record *record, uint64_t index)
{
    (void)watch;
    (void)record;
    (void)index;
    return ERR_CORRUPT;
}

static int watch_restore(struct shard_machine *watch, const struct record *image)
{
    (void)watch;
    (void)image;
    return ERR_CORRUPT;
}

static void watch_checkpoint_begin(struct shard_machine *watch, bool base)
{
    (void)watch;
    (void)base;
}

static int watch_checkpoint_next(struct shard_machine *watch, uint64_t index, struct buffer *out, size_t max_bytes)
{
    (void)watch;
    (void)index;
    (void)out;
    (void)max_bytes;
    return 0;
}

static void watch_drop_tail(struct shard_machine *watch, uint64_t last_good)
{
    (void)last_good;
    container_of(watch, struct session, watch)->refused = true;
}

// It has no kinds of its own.
static void watch_init(struct shard_machine *watch)
{
    *watch = (struct shard_machine){
        .first_kind = 1,
        .apply = watch_apply,
        .restore = watch_restore,
        .checkpoint_begin = watch_checkpoint_begin,
        .checkpoint_next = watch_checkpoint_next,
        .drop_tail = watch_drop_tail,
    };
}
