// SPDX-License-Identifier: Apache-2.0
// A shard's life and turns. The order in a turn: the engine delivers what is committed and appends its records; the store seals,
// writes and, for what has become durable, gives back entries (shard_handler.c), which are applied at once; then the answers that
// waited for them leave, and what they made deliverable goes out in the next turn, which comes at once.
#include "shard/shard.h"

#include "base/memory.h"
#include "base/must.h"
#include "shard/shard_internal.h"

static void log_repairs(const struct shard *shard);
static void release_holds(struct shard *shard);

struct shard *shard_new(const struct shard_options *options)
{
    struct shard *shard = mem_alloc_zero(sizeof(*shard));
    shard->options = *options;
    list_init(&shard->machines);
    list_init(&shard->holds);
    struct engine_options engine = options->engine;
    engine.no_images = options->store.memory;
    shard_host_fill(shard, &engine.host);
    shard->engine = engine_new(&engine);
    return shard;
}

void shard_free(struct shard *shard)
{
    if (!shard)
        return;
    must(!shard->store);
    engine_free(shard->engine);
    pool_deinit(&shard->fetches);
    mem_free(shard);
}

void shard_machine_add(struct shard *shard, struct shard_machine *machine)
{
    must(!shard->store);
    list_push_back(&shard->machines, &machine->link);
}

int shard_open(struct shard *shard, struct disk *disk, struct moment now)
{
    struct store_handler handler;
    shard->now = (struct engine_time){now.mono_ns, now.wall_ns};
    shard_handler_fill(shard, &handler);
    int error = store_open(&shard->options.store, disk, &handler, now, &shard->store);
    shard->options.store.encryption = (struct store_encryption){0}; // the keys were the caller's
    if (error)
        return error;
    shard->serving = true;
    engine_recovered(shard->engine, shard->now);
    log_repairs(shard);
    list_foreach(link, &shard->machines)
    {
        struct shard_machine *machine = container_of(link, struct shard_machine, link);
        if (machine->recovered)
            machine->recovered(machine, now);
    }
    return 0;
}

void shard_quiesce(struct shard *shard)
{
    engine_quiesce(shard->engine);
    store_quiesce(shard->store);
}

bool shard_is_idle(const struct shard *shard)
{
    return store_is_idle(shard->store);
}

void shard_stop(struct shard *shard)
{
    if (!shard->store)
        return;
    engine_quiesce(shard->engine);
    store_finish(shard->store);
    uint64_t committed = shard_committed_index(shard);
    list_foreach(link, &shard->holds) hold_drop(container_of(link, struct hold, link), committed, ERR_CLOSED);
    store_stop(shard->store);
    shard->store = NULL;
    shard->serving = false;
}

struct engine *shard_engine(struct shard *shard)
{
    return shard->engine;
}

struct store *shard_store(struct shard *shard)
{
    return shard->store;
}

bool shard_is_gap(const struct shard *shard, const struct store_fetch *fetch)
{
    struct store_stats stats;
    store_stats_get(shard->store, &stats);
    return stats.damaged_areas == 0 && fetch->is_absent &&
           engine_has_gap(shard->engine, fetch->stream, fetch->sequence, fetch->next);
}

char *shard_reserve(struct shard *shard, size_t size, uint64_t *ret_index)
{
    return store_reserve(shard->store, shard->options.id, size, ret_index);
}

int shard_admit(struct shard *shard, size_t size, bool reserved)
{
    return reserved ? store_admit_reserved(shard->store, size) : store_admit(shard->store, size);
}

uint64_t shard_last_index(const struct shard *shard)
{
    return store_last_index(shard->store, shard->options.id);
}

uint64_t shard_committed_index(const struct shard *shard)
{
    return store_committed_index(shard->store, shard->options.id);
}

bool shard_turn_end(struct shard *shard, struct moment now)
{
    shard->now = (struct engine_time){now.mono_ns, now.wall_ns};
    bool more = engine_turn_end(shard->engine, shard->now);
    shard->committed = false;
    more |= store_turn_end(shard->store, now);
    release_holds(shard);
    return more || shard->committed;
}

uint64_t shard_next_deadline_ms(const struct shard *shard)
{
    uint64_t engine_ms = engine_next_deadline_ms(shard->engine), store_ms = store_next_deadline_ms(shard->store);
    return engine_ms < store_ms ? engine_ms : store_ms;
}

void shard_hold_add(struct shard *shard, struct hold *hold)
{
    list_push_back(&shard->holds, &hold->link);
}

static void log_repairs(const struct shard *shard)
{
    struct engine_stats stats;
    engine_stats_get(shard->engine, &stats);
    if (stats.replaced)
        logger_write(
            shard->options.logger, LOG_ERROR,
            "shard %u: the end of %llu streams, consumers or members was lost with damaged entries; newer ones "
            "of the same name took their place",
            shard->options.id, (unsigned long long)stats.replaced);
    if (stats.nameless)
        logger_write(
            shard->options.logger, LOG_ERROR,
            "shard %u: the creation of %llu streams was lost with damaged entries; their messages are kept and "
            "served as weir.lost.stream.<id>",
            shard->options.id, (unsigned long long)stats.nameless);
}

// Also without a commit: the answer to a duplicate waits for an index that may long be committed.
static void release_holds(struct shard *shard)
{
    uint64_t index = shard_committed_index(shard);
    list_foreach(link, &shard->holds) hold_commit(container_of(link, struct hold, link), index);
}
