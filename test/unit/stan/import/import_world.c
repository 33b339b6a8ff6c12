// SPDX-License-Identifier: Apache-2.0
#include "import_world.h"

#include <stdio.h>

#include "base/must.h"

enum { KIB = 1024, MESSAGE_MAX = 16 * KIB, STEP = 4096, TURNS_MAX = 100000 };

#define SECOND 1000000000ULL

static void world_log(void *owner, enum log_level level, const char *format, va_list arguments)
{
    struct import_world *world = owner;
    (void)level;
    size_t room = sizeof(world->said) - world->said_len;
    int len = vsnprintf(world->said + world->said_len, room, format, arguments);
    if (len > 0 && (size_t)len + 1 < room) {
        world->said_len += (size_t)len;
        world->said[world->said_len++] = '\n';
    }
    world->said[world->said_len] = '\0';
}

// Signs that it was given nothing of a key: no test here has one.
static void no_digest(struct bytes input, uint8_t ret_digest[CRYPTO_SHA256_LEN])
{
    (void)input;
    memset(ret_digest, 0, CRYPTO_SHA256_LEN);
}

static const struct crypto world_crypto = {.sha256 = no_digest};

void import_world_init(struct import_world *world)
{
    *world = (struct import_world){.now = {.mono_ns = SECOND, .wall_ns = 1700000000 * SECOND}};
    sim_disk_init(&world->source, 1);
    sim_disk_init(&world->target, 2);
    importer_options_default(&world->options);
    world->logger = (struct logger){.owner = world, .level = LOG_WARN, .write = world_log};
    world->options.message_max = MESSAGE_MAX;
    world->options.source = &world->source.disk;
    world->options.crypto = &world_crypto;
    world->options.logger = &world->logger;
}

void import_world_deinit(struct import_world *world)
{
    sim_disk_deinit(&world->source);
    sim_disk_deinit(&world->target);
}

void import_world_put(struct import_world *world, const char *path, struct bytes content)
{
    char folder[256];
    const char *slash = strchr(path, '/');
    if (slash) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
        struct disk_request request = {.op = DISK_MKDIR, .path = folder};
        (void)!disk_run(&world->source.disk, &request);
    }
    sim_disk_put(&world->source, path, content);
}

static int open_shard(struct import_world *world)
{
    struct broker_options broker;
    struct stan_options stan;
    struct shard_options shard = {.id = 1, .logger = &world->logger};
    broker_options_default(&broker);
    stan_options_default(&stan);
    store_options_default(&shard.store);
    stan.logger = shard.store.logger = &world->logger;
    stan.heartbeat_interval_ns = 1000 * SECOND;
    shard.store.identity = BYTES("test-cluster");
    shard.store.max_payload = MESSAGE_MAX;
    shard.store.file_bytes = shard.store.first_file_bytes = 64 * KIB;
    shard.store.log_bytes = 1024 * KIB;
    shard.store.checkpoint_bytes = 128 * KIB;
    world->broker = broker_new(&broker, world->now);
    world->shard = shard_new(&shard);
    world->stan = stan_new(&stan, world->broker, world->shard, world->now);
    return shard_open(world->shard, &world->target.disk, world->now);
}

// True: come back at once.
static bool turn(struct import_world *world)
{
    world->now.mono_ns += SECOND / 1000;
    world->now.wall_ns += SECOND / 1000;
    broker_turn_begin(world->broker, world->now);
    stan_turn_begin(world->stan, world->now);
    bool again = shard_turn_end(world->shard, world->now);
    again |= broker_turn_end(world->broker);
    sim_disk_drain(&world->target);
    return again;
}

void import_world_settle(struct import_world *world)
{
    int turns = 0;
    while (turn(world) || !sim_disk_is_idle(&world->target))
        must(++turns < TURNS_MAX);
}

int import_world_open(struct import_world *world)
{
    int error = open_shard(world);
    if (!error)
        error = stan_start(world->stan, world->now);
    if (!error)
        import_world_settle(world);
    else
        import_world_close(world);
    return error;
}

void import_world_close(struct import_world *world)
{
    if (shard_store(world->shard)) {
        shard_quiesce(world->shard);
        sim_disk_drain(&world->target);
    }
    stan_stop(world->stan);
    shard_stop(world->shard);
    stan_free(world->stan);
    shard_free(world->shard);
    broker_free(world->broker);
}

static int step(struct import_world *world, struct importer *importer)
{
    const struct engine_time now = {world->now.mono_ns, world->now.wall_ns};
    return importer_step(importer, now, STEP);
}

static int fill(struct import_world *world, struct importer *importer)
{
    int turns = 0, result = open_shard(world);
    uint64_t most = 0;
    if (!result) {
        importer_begin(importer, world->stan);
        do {
            result = step(world, importer);
            uint64_t last = shard_last_index(world->shard);
            most = last > most ? last : most;
            turn(world);
            must(++turns < TURNS_MAX);
        } while (result > 0 || result == ERR_AGAIN);
        import_world_settle(world);
        if (!result && shard_committed_index(world->shard) < most)
            result = ERR_IO; // the log did not take everything
    }
    import_world_close(world);
    return result;
}

int import_world_run(struct import_world *world, bool only_look)
{
    struct importer *importer;
    int result = importer_open(&world->options, &importer);
    if (result)
        return result;
    if (only_look) {
        importer_begin(importer, NULL);
        do {
            result = step(world, importer);
        } while (result > 0);
    } else {
        result = fill(world, importer);
    }
    importer_stats_get(importer, &world->stats);
    importer_free(importer);
    return result;
}
