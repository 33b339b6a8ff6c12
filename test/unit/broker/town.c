// SPDX-License-Identifier: Apache-2.0
// See town.h.
#include "town.h"

#include "base/must.h"

static void carry(void *owner, uint32_t to, struct remote_batch *batch);

void town_init(struct town *town, uint32_t count, const struct broker_options *options)
{
    must(count <= TOWN_WORKERS_MAX);
    town->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct town_worker *worker = &town->workers[i];
        worker->town = town;
        worker->number = i;
        worker->waiting = 0;
        worker->carrier = (struct remote_carrier){.owner = worker, .send = carry};
        list_init(&worker->mailbox);
        struct broker_options own = *options;
        own.worker = i;
        own.worker_count = count;
        own.carrier = &worker->carrier;
        own.seed += i;
        world_init(&worker->world, &own);
    }
}

void town_deinit(struct town *town)
{
    for (uint32_t i = 0; i < town->count; i++) {
        struct world *world = &town->workers[i].world;
        for (size_t p = 0; p < world->peer_count; p++)
            peer_close(world->peers[p]);
    }
    town_settle(town);
    for (uint32_t i = 0; i < town->count; i++)
        must(broker_remote_is_idle(town->workers[i].world.broker));
    for (uint32_t i = 0; i < town->count; i++)
        world_deinit(&town->workers[i].world);
    for (uint32_t i = 0; i < town->count; i++)
        must(list_empty(&town->workers[i].mailbox));
}

void town_step(struct town *town, uint32_t number, size_t max)
{
    struct town_worker *worker = &town->workers[number];
    broker_turn_begin(worker->world.broker, worker->world.now);
    struct list *link;
    for (; max > 0 && (link = list_pop_front(&worker->mailbox)); max--) {
        worker->waiting--;
        broker_remote_receive(worker->world.broker, container_of(link, struct remote_batch, link));
    }
    world_turn(&worker->world);
}

void town_settle(struct town *town)
{
    for (int steps = 0; steps == 0 || !town_is_quiet(town); steps++) {
        must(steps < 10000);
        for (uint32_t i = 0; i < town->count; i++)
            town_step(town, i, SIZE_MAX);
    }
}

bool town_is_quiet(const struct town *town)
{
    for (uint32_t i = 0; i < town->count; i++) {
        if (town->workers[i].waiting > 0)
            return false;
    }
    return true;
}

static void carry(void *owner, uint32_t to, struct remote_batch *batch)
{
    struct town_worker *from = owner;
    struct town_worker *receiver = &from->town->workers[to];
    must(to < from->town->count && batch->to != batch->from);
    list_push_back(&receiver->mailbox, &batch->link);
    receiver->waiting++;
}
