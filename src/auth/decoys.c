// SPDX-License-Identifier: Apache-2.0
#include "auth/decoys.h"

#include "auth/secret.h"
#include "base/hash.h"

#define COSTS 100 // two digits

struct costs {
    struct bytes example[COSTS]; // a hash of that cost
    uint32_t count[COSTS];       // how many
};

static void count_hash(struct costs *costs, struct auth_secret secret);

void decoys_make(struct auth_builder *builder)
{
    struct auth_view *view = &builder->config->view;
    struct costs costs = {.count = {0}};
    if (builder->result)
        return;
    const struct auth_listener *listeners[] = {&view->client, &view->websocket};
    for (size_t i = 0; i < 2; i++) {
        count_hash(&costs, listeners[i]->token);
        count_hash(&costs, listeners[i]->single_password);
    }
    for (uint32_t i = 0; i < view->user_count; i++)
        count_hash(&costs, view->users[i].password);
    uint32_t kinds = 0, below = 0;
    for (int cost = 0; cost < COSTS; cost++)
        kinds += costs.count[cost] > 0;
    struct auth_decoy *decoys = auth_builder_place(builder, kinds, sizeof(*decoys));
    char *texts = auth_builder_place(builder, kinds, SECRET_DECOY_LEN);
    if (!decoys || !texts)
        return;
    for (int cost = 0, at = 0; cost < COSTS; cost++) {
        if (costs.count[cost] == 0)
            continue;
        char *text = texts + at * SECRET_DECOY_LEN;
        below += costs.count[cost];
        secret_decoy(costs.example[cost], text);
        decoys[at++] = (struct auth_decoy){bytes_make(text, SECRET_DECOY_LEN), below};
    }
    view->decoys = decoys;
    view->decoy_count = kinds;
}

struct bytes decoys_pick(const struct auth_view *view, struct bytes name, uint64_t seed)
{
    if (view->decoy_count == 0)
        return (struct bytes){0};
    const struct auth_decoy *decoy = view->decoys;
    uint64_t at = hash_bytes(name, seed) % view->decoys[view->decoy_count - 1].below;
    while (at >= decoy->below)
        decoy++;
    return decoy->hash;
}

static void count_hash(struct costs *costs, struct auth_secret secret)
{
    if (secret.kind != AUTH_SECRET_BCRYPT)
        return;
    int cost = secret_cost(secret.text);
    costs->example[cost] = secret.text;
    costs->count[cost]++;
}
