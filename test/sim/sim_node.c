// SPDX-License-Identifier: Apache-2.0
// tidy: prefix sim
#include "sim_node.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"

enum { KIB = 1024 };

static uint64_t random_next(void *owner);
static void log_write(void *owner, enum log_level level, const char *format, va_list arguments);
static void disk_turn(struct sim_node *sim);
static void tear_down(struct sim_node *sim);
static void wake(void *owner, uint32_t worker);

static struct moment moment_of(const struct sim_node *sim)
{
    return (struct moment){.mono_ns = sim->now_ns, .wall_ns = (uint64_t)((int64_t)sim->now_ns + sim->wall_ns)};
}

void sim_node_init(struct sim_node *sim, struct sim_net *net, struct prng *prng, struct sim_trace *trace, bool memory)
{
    *sim =
        (struct sim_node){.net = net, .prng = prng, .trace = trace, .wall_ns = 1700000000000000000, .step_ns = 1000000};
    sim->random = (struct random_source){sim, random_next};
    sim->logger = (struct logger){.owner = sim, .level = LOG_DEBUG, .write = log_write};
    options_default(&sim->options, OPTIONS_WEIR);
    sim->options.host = "127.0.0.1";
    sim->options.cluster_id = "sim";
    sim->options.store = memory ? OPTIONS_STORE_MEMORY : OPTIONS_STORE_FILE;
    // Small files, so that a short run sees roll-over, checkpoints and recycling.
    sim->options.max_payload = 8 * KIB;
    sim->options.log_bytes = 256 * KIB;
    sim->options.log_file_bytes = 128 * KIB;
    sim->options.log_first_bytes = 64 * KIB;
    sim->options.checkpoint_bytes = 100 * KIB;
    if (!memory) {
        sim->disk = mem_alloc(sizeof(*sim->disk));
        sim_disk_init(sim->disk, prng_next(prng));
    }
}

void sim_node_deinit(struct sim_node *sim)
{
    must(!sim->node);
    if (sim->disk)
        sim_disk_deinit(sim->disk);
    mem_free(sim->disk);
}

bool sim_node_start(struct sim_node *sim, uint64_t now_ns)
{
    must(!sim->node);
    sim->now_ns = now_ns;
    sim_crypto_next_life(&sim->encryption);
    sim->env = (struct node_env){
        .encryption = &sim->encryption,
        .disk = sim->disk ? &sim->disk->disk : NULL,
        .random = &sim->random,
        .logger = &sim->logger,
        .auth = sim->auth,
        .port = 4222,
        .worker_count = sim->options.threads,
        .wake = wake,
    };
    sim->stopping = false;
    sim->starts++;
    sim_trace_note(sim->trace, "the node starts");
    int error = node_start(&sim->options, &sim->env, moment_of(sim), &sim->node);
    must(!sim_crypto_nonce_reused());
    if (error) {
        sim->node = NULL;
        return false;
    }
    sim_workers_start(&sim->workers, sim->node, sim->options.threads, sim->prng);
    sim->net->up = true;
    sim->again = true;
    return true;
}

void sim_node_turn(struct sim_node *sim, uint64_t now_ns)
{
    sim->now_ns = now_ns;
    sim->turns++;
    sim_workers_begin(&sim->workers, moment_of(sim));
    disk_turn(sim);
    sim_net_turn(sim->net, sim_workers_handler(&sim->workers), now_ns);
    sim->again = sim_workers_end(&sim->workers, moment_of(sim));
    if (sim->stopping && sim_workers_are_quiet(&sim->workers)) {
        sim_net_crash(sim->net, sim_workers_handler(&sim->workers));
        node_stop(sim->node);
        sim->node = NULL;
        sim_trace_note(sim->trace, "the node has stopped");
    }
}

uint64_t sim_node_next_ns(const struct sim_node *sim)
{
    if (!sim->node)
        return UINT64_MAX;
    if (sim->again)
        return sim->now_ns;
    uint64_t deadline_ms = sim_workers_next_deadline_ms(&sim->workers);
    uint64_t due_ns = deadline_ms > UINT64_MAX / 1000000 ? UINT64_MAX : deadline_ms * 1000000;
    if (sim->disk && !sim_disk_is_idle(sim->disk) && sim->disk_due_ns < due_ns)
        due_ns = sim->disk_due_ns;
    return due_ns;
}

// The disk as the crash leaves it is a copy; the dying node goes on with the old one, unseen, until it can be freed.
void sim_node_kill(struct sim_node *sim, enum sim_loss loss)
{
    if (!sim->node)
        return;
    sim_trace_note(sim->trace, "the node is killed (%d)", loss);
    struct sim_disk *kept = NULL;
    if (sim->disk) {
        kept = mem_alloc(sizeof(*kept));
        sim_disk_fork(sim->disk, prng_next(sim->prng), loss, kept);
        kept->capacity = sim->disk->capacity;
        sim->disk->capacity = UINT64_MAX;
    }
    sim->logger.level = LOG_ERROR + 1;
    tear_down(sim);
    sim->logger.level = LOG_DEBUG;
    if (sim->disk) {
        sim_disk_deinit(sim->disk);
        mem_free(sim->disk);
    }
    sim->disk = kept;
}

void sim_node_reload(struct sim_node *sim, const struct options *options, struct auth_config *auth)
{
    sim_trace_note(sim->trace, "the node is configured anew");
    node_turn_begin(sim->node, moment_of(sim));
    int error = auth ? node_auth_replace(sim->node, auth) : 0;
    must(error == 0);
    node_reload(sim->node, options);
    sim->again = node_turn_end(sim->node);
}

void sim_node_lame_duck(struct sim_node *sim)
{
    sim_trace_note(sim->trace, "the node is a lame duck");
    node_turn_begin(sim->node, moment_of(sim));
    node_lame_duck(sim->node);
    sim->again = node_turn_end(sim->node);
}

void sim_node_shutdown(struct sim_node *sim)
{
    if (!sim->node || sim->stopping)
        return;
    sim_trace_note(sim->trace, "the node is told to stop");
    sim->stopping = true;
    node_turn_begin(sim->node, moment_of(sim));
    node_shutdown(sim->node);
    sim->again = node_turn_end(sim->node);
}

static uint64_t random_next(void *owner)
{
    return prng_next(((struct sim_node *)owner)->prng);
}

static void log_write(void *owner, enum log_level level, const char *format, va_list arguments)
{
    struct sim_node *sim = owner;
    char line[400];
    vsnprintf(line, sizeof(line), format, arguments);
    sim_trace_note(sim->trace, "log %d: %s", level, line);
}

// A few requests are carried out or reported, then the disk takes its time.
static void disk_turn(struct sim_node *sim)
{
    if (!sim->disk || sim_disk_is_idle(sim->disk) || sim->disk_due_ns > sim->now_ns)
        return;
    for (uint64_t steps = 1 + prng_below(sim->prng, 6); steps > 0 && sim_disk_step(sim->disk); steps--)
        ;
    sim->disk_due_ns = sim->now_ns + prng_below(sim->prng, sim->step_ns);
}

static void tear_down(struct sim_node *sim)
{
    struct moment now = moment_of(sim);
    sim_workers_begin(&sim->workers, now);
    sim_net_crash(sim->net, sim_workers_handler(&sim->workers));
    node_shutdown(sim->node);
    sim_workers_end(&sim->workers, now);
    for (int turns = 0; !sim_workers_are_quiet(&sim->workers); turns++) {
        must(turns < 100000);
        now.mono_ns += 100000;
        sim_workers_begin(&sim->workers, now);
        if (sim->disk)
            sim_disk_drain(sim->disk);
        sim_workers_end(&sim->workers, now);
    }
    node_stop(sim->node);
    sim->node = NULL;
}

// Every worker looks into its mailboxes before long.
static void wake(void *owner, uint32_t worker)
{
    (void)owner;
    (void)worker;
}
