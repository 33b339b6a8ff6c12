// SPDX-License-Identifier: Apache-2.0
#include "store_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

static void print_log(void *owner, enum log_level level, const char *format, va_list arguments)
{
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

static const struct logger verbose = {.write = print_log};

uint64_t world_first_seed(void)
{
    const char *only = getenv("SEED");
    return only ? strtoull(only, NULL, 10) : 1;
}

uint64_t world_last_seed(uint64_t last)
{
    const char *more = getenv("SEEDS");
    if (getenv("SEED"))
        return world_first_seed();
    return more ? strtoull(more, NULL, 10) : last;
}

struct world *world_new(uint64_t seed)
{
    struct world *world = mem_alloc_zero(sizeof(*world));
    sim_disk_init(&world->disk, seed);
    model_init(&world->model, &world->disk, seed + 1000000);
    world->model.options.encryption = sim_crypto_for_seed(seed);
    if (getenv("SEED"))
        world->model.options.logger = &verbose;
    prng_seed(&world->prng, seed + 2000000);
    return world;
}

void world_free(struct world *world)
{
    sim_disk_deinit(&world->disk);
    mem_free(world);
}

void world_steps(struct world *world, uint64_t most)
{
    for (uint64_t n = prng_below(&world->prng, most + 1); n && sim_disk_step(&world->disk); n--)
        ;
}

void world_live(struct world *world, uint64_t turns)
{
    struct model *model = &world->model;
    for (uint64_t turn = 0; turn < turns && !model->complaint[0]; turn++) {
        for (uint64_t n = prng_below(&world->prng, 12); n; n--)
            model_append(model, 8000);
        if (prng_chance(&world->prng, 1, 20) && model->state_last >= model->state_first)
            (void)model_trim(model,
                             model->state_first + prng_below(&world->prng, model->state_last - model->state_first + 1));
        model_turn(model);
        world_steps(world, 6);
        if (prng_chance(&world->prng, 1, 4) && model->promised >= model->state_first)
            model_fetch(model, model->state_first + prng_below(&world->prng, model->promised - model->state_first + 1));
    }
}

void world_read_all(struct world *world)
{
    struct model *model = &world->model;
    for (uint64_t s = model->state_first; s <= model->state_last && !model->complaint[0]; s++)
        model_fetch(model, s);
}

void world_open_somehow(struct world *world, enum sim_loss loss)
{
    struct model *model = &world->model;
    for (int attempt = 0;; attempt++) {
        if (attempt < 3 && prng_chance(&world->prng, 1, 3))
            sim_disk_fail(&world->disk, 1 + prng_below(&world->prng, 40), ERR_IO);
        else
            world->disk.fail_error = 0;
        int error = model_open(model);
        bool failed = world->disk.failed;
        world->disk.fail_error = 0;
        if (!error)
            return;
        if (!failed || attempt > 5) {
            model_complain(model, "does not open: %s", error_text(error));
            return;
        }
        sim_disk_crash(&world->disk, loss);
    }
}
