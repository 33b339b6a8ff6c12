// SPDX-License-Identifier: Apache-2.0
// The finished config: shared, counted, read. Its two maps are only read after auth_builder_finish(), so that threads may.
#include "auth/auth_config.h"

#include "auth/auth_builder.h"
#include "auth/auth_config_internal.h"
#include "base/memory.h"
#include "base/must.h"

#define ARENA_CHUNK_BYTES 4096

struct auth_config *auth_config_new(void)
{
    struct auth_config *config = mem_alloc_zero(sizeof(*config));
    atomic_init(&config->refs, 1);
    arena_init(&config->arena, ARENA_CHUNK_BYTES, AUTH_BYTES_MAX);
    map_init(&config->users, AUTH_USERS_MAX);
    map_init(&config->accounts, AUTH_ACCOUNTS_MAX);
    return config;
}

struct auth_config *auth_config_new_open(void)
{
    struct auth_builder *builder = auth_builder_new();
    struct auth_config *config = NULL;
    must(auth_builder_finish(builder, &config, NULL) == 0);
    auth_builder_free(builder);
    return config;
}

const struct auth_view *auth_config_view(const struct auth_config *config)
{
    return &config->view;
}

struct auth_config *auth_config_ref(struct auth_config *config)
{
    unsigned before = atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
    must(before > 0 && before < UINT32_MAX);
    return config;
}

void auth_config_unref(struct auth_config *config)
{
    if (!config || atomic_fetch_sub_explicit(&config->refs, 1, memory_order_acq_rel) != 1)
        return;
    map_deinit(&config->users);
    map_deinit(&config->accounts);
    arena_deinit(&config->arena);
    mem_free(config);
}

const struct auth_user *auth_config_find_user(const struct auth_config *config, struct bytes name)
{
    return map_find(&config->users, name);
}

uint32_t auth_config_find_account(const struct auth_config *config, struct bytes name)
{
    const struct auth_account *account = map_find(&config->accounts, name);
    return account ? (uint32_t)(account - config->view.accounts) : AUTH_NONE;
}
