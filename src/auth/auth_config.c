// SPDX-License-Identifier: Apache-2.0
// The finished config: shared, counted, read. Its two maps are only read after auth_builder_finish(), so that threads may.
#include "auth/auth_config.h"

#include "auth/auth_builder.h"
#include "auth/auth_config_internal.h"
#include "base/memory.h"
#include "base/must.h"

#define ARENA_CHUNK_BYTES 4096

static bool count(atomic_uint *counter, int64_t max);
static atomic_uint *counter_of(struct auth_config *config, const struct auth_user *user);

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

const struct auth_listener *auth_config_listener(const struct auth_config *config, enum auth_connection_type type)
{
    return type == AUTH_CONNECTION_WEBSOCKET ? &config->view.websocket : &config->view.client;
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

bool auth_config_enter(struct auth_config *config, const struct auth_user *user, uint32_t account, bool always)
{
    int64_t account_max = always ? AUTH_UNLIMITED : config->view.accounts[account].limits.max_connections;
    int64_t user_max = always || !user ? AUTH_UNLIMITED : user->limits.max_connections;
    if (!count(&config->account_connections[account], account_max))
        return false;
    atomic_uint *of_user = counter_of(config, user);
    if (!of_user || count(of_user, user_max))
        return true;
    atomic_fetch_sub_explicit(&config->account_connections[account], 1, memory_order_relaxed);
    return false;
}

void auth_config_leave(struct auth_config *config, const struct auth_user *user, uint32_t account)
{
    must(atomic_fetch_sub_explicit(&config->account_connections[account], 1, memory_order_relaxed) > 0);
    atomic_uint *of_user = counter_of(config, user);
    if (of_user)
        must(atomic_fetch_sub_explicit(of_user, 1, memory_order_relaxed) > 0);
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

static bool count(atomic_uint *counter, int64_t max)
{
    unsigned now = atomic_load_explicit(counter, memory_order_relaxed);
    do {
        if (max != AUTH_UNLIMITED && now >= max)
            return false;
    } while (
        !atomic_compare_exchange_weak_explicit(counter, &now, now + 1, memory_order_relaxed, memory_order_relaxed));
    return true;
}

// NULL: nobody of the list.
static atomic_uint *counter_of(struct auth_config *config, const struct auth_user *user)
{
    const struct auth_view *view = &config->view;
    bool is_listed = user && user >= view->users && user < view->users + view->user_count;
    return is_listed ? &config->user_connections[user - view->users] : NULL;
}
