// SPDX-License-Identifier: Apache-2.0
// The broker's auth_config: which it is, what a reload changes for those who are here, and the permits that connections of the same
// permissions share.
#include "auth/login.h"
#include "auth/permit.h"
#include "broker/broker.h"
#include "broker/connection.h"

static void renew(struct connection *connection, struct auth_config *before);

int broker_auth_replace(struct broker *broker, struct auth_config *config)
{
    must(broker->depth == 0);
    const struct auth_view *view = auth_config_view(config);
    must(broker->options.crypto || !view->has_nkeys);
    must((broker->options.crypto && broker->options.offload) || view->decoy_count == 0);
    int error = broker_accounts_replace(broker, view);
    if (error)
        return error;
    struct auth_config *before = broker->auth;
    broker->auth = auth_config_ref(config);
    list_foreach(link, &broker->connections) renew(container_of(link, struct connection, link), before);
    auth_config_unref(before);
    return 0;
}

const struct auth_config *broker_auth(const struct broker *broker)
{
    return broker->auth;
}

struct account *broker_account_of(struct broker *broker, uint32_t index)
{
    const struct auth_view *view = auth_config_view(broker->auth);
    struct account *account = account_find(broker, view->accounts[index].name);
    must(account);
    return account;
}

struct permit *broker_permit_take(struct broker *broker, const struct auth_permissions *permissions)
{
    uint64_t key = (uintptr_t)permissions;
    struct permit *permit = map_u64_find(&broker->permits, key);
    if (permit)
        return permit_ref(permit);
    permit = permit_new(broker->auth, permissions, prng_next(&broker->prng));
    int error = map_u64_add(&broker->permits, key, permit);
    must(error == 0);
    return permit;
}

void broker_permit_drop(struct broker *broker, struct permit *permit)
{
    if (!permit)
        return;
    if (!permit_is_shared(permit))
        must(map_u64_remove(&broker->permits, (uintptr_t)permit_permissions(permit)) == permit);
    permit_unref(permit);
}

// Nobody is asked again: who would get in with what he showed then stays, as he would be let in now.
static void renew(struct connection *connection, struct auth_config *before)
{
    struct broker *broker = connection->broker;
    bool is_required = connection_listener(connection)->required;
    const struct connection_identity *identity = connection->identity;
    if (connection->refused || connection->state != CONNECTION_OPEN) {
        connection_depart(connection, before);
        return;
    }
    if (connection->tls != CONNECTION_TLS_SETTLED)
        return; // its login has not begun: it will be of the new one
    if (connection->login == CONNECTION_LOGIN_AWAITED) {
        if (!is_required)
            connection_login_begin(connection);
        return;
    }
    // Who is not yet somebody is seen to by connection_login_end(); who already is stays so until then.
    uint8_t login = connection->login;
    if (login == CONNECTION_LOGIN_CHECKING && !identity->is_counted)
        return;
    bool is_default = !identity || identity->is_default;
    struct login_decision decision =
        login_renew(before, identity ? identity->user : NULL, is_default, broker->auth, connection_type(connection));
    if (decision.verdict != LOGIN_ACCEPTED) {
        connection_log_refusal(connection, "authentication error after a reload", connection_user_name(connection),
                               (struct bytes){0});
        connection_fail(connection, WIRE_AUTHORIZATION_VIOLATION);
    } else if (broker_account_of(broker, decision.account) != connection->account) {
        connection_finish(connection, "Client Closed");
    }
    connection_depart(connection, before);
    if (connection->state != CONNECTION_OPEN)
        return;
    if (is_required)
        must(auth_config_enter(broker->auth, decision.user, decision.account, true));
    if (is_required || identity)
        connection_enter(connection, &decision, is_required);
    connection->login = login;
    connection_permission_recheck(connection);
}
