// SPDX-License-Identifier: Apache-2.0
#include "auth/auth_listeners.h"

static void check_flags(struct auth_builder *builder);
static const struct auth_user *find_no_auth_user(struct auth_builder *builder, const char *prefix, struct bytes name,
                                                 uint32_t where);
static bool serves_system_only(const struct auth_builder *builder);
static const struct auth_user *nobody_new(struct auth_builder *builder);
static void complete_websocket(struct auth_builder *builder);
static void check_websocket(struct auth_builder *builder);
static bool is_required(const struct auth_view *view, const struct auth_listener *listener);
static bool has_plain_password(const struct auth_listener *listener);

void auth_listeners_check(struct auth_builder *builder)
{
    struct auth_listener *client = &builder->config->view.client;
    bool has_token = client->token.kind != AUTH_SECRET_NONE, has_list = false;
    bool has_single = client->single_user.len || client->single_password.kind != AUTH_SECRET_NONE;
    for (uint32_t i = 0; i < builder->user_count; i++)
        has_list |= bytes_equal(builder->users[i].account, BYTES("$G"));
    if (has_single && has_token && builder->single_user_where && builder->token_where)
        auth_builder_fail(builder, ERR_INVALID, builder->token_where,
                          "cannot have both a user and password and a token");
    if (has_single && has_list && builder->single_user_where)
        auth_builder_fail(builder, ERR_INVALID, builder->single_user_where,
                          "cannot have both a single user and password and a list of users");
    if (has_token && has_list && builder->token_where)
        auth_builder_fail(builder, ERR_INVALID, builder->token_where, "cannot have both a token and a list of users");
    if (!has_list)
        check_flags(builder);
    if (has_single && (has_token || has_list)) {
        client->single_user = (struct bytes){0};
        client->single_password = (struct auth_secret){0};
    } else if (has_single && !client->single_user.len) {
        auth_builder_fail(builder, ERR_INVALID, builder->single_user_where, "a password without a user");
    }
    check_websocket(builder);
}

void auth_listeners_finish(struct auth_builder *builder)
{
    struct auth_view *view = &builder->config->view;
    struct auth_listener *client = &view->client;
    if (builder->result)
        return;
    if (builder->no_auth_user.len)
        client->no_auth_user = find_no_auth_user(builder, "", builder->no_auth_user, builder->no_auth_user_where);
    else if (serves_system_only(builder))
        client->no_auth_user = nobody_new(builder);
    client->required = is_required(view, client);
    client->info_required = client->required && !builder->no_auth_user.len;
    complete_websocket(builder);
    view->has_certificate_users = client->verify_and_map || view->websocket.verify_and_map;
    view->has_plain_passwords = has_plain_password(client) || has_plain_password(&view->websocket);
    for (uint32_t i = 0; i < view->user_count; i++) {
        const struct auth_secret *password = &view->users[i].password;
        bool is_none = view->users[i].is_nkey || (view->has_certificate_users && password->text.len == 0);
        view->has_plain_passwords |= !is_none && password->kind != AUTH_SECRET_BCRYPT;
    }
}

// Users of accounts bear no flag beside them, unless there are users of no account too (CO-X04).
static void check_flags(struct auth_builder *builder)
{
    const struct auth_listener *client = &builder->config->view.client;
    bool has_token = client->token.kind != AUTH_SECRET_NONE && !builder->token_where;
    if (!has_token && (!client->single_user.len || builder->single_user_where))
        return;
    for (uint32_t i = 0; i < builder->user_count; i++) {
        if (!bytes_equal(builder->users[i].account, BYTES("$G")))
            auth_builder_fail(builder, ERR_INVALID, builder->users[i].where,
                              "cannot have both %s and users of accounts",
                              has_token ? "a token (--auth)" : "a user and password (--user, --pass)");
    }
}

static const struct auth_user *find_no_auth_user(struct auth_builder *builder, const char *prefix, struct bytes name,
                                                 uint32_t where)
{
    const struct auth_user *user = auth_config_find_user(builder->config, name);
    if (!user)
        auth_builder_fail(builder, ERR_NOT_FOUND, where, "%sno_auth_user \"%.*s\" is not a defined user", prefix,
                          AUTH_QUOTED(name));
    return user;
}

// Only the system account has users: they are for the operator, and say nothing about everybody else (CO-S07).
static bool serves_system_only(const struct auth_builder *builder)
{
    const struct auth_view *view = &builder->config->view;
    if (view->user_count == 0 || view->account_count != 2 || view->system_account == AUTH_NONE ||
        builder->has_authorization)
        return false;
    for (uint32_t i = 0; i < view->user_count; i++)
        if (view->users[i].account != view->system_account)
            return false;
    return true;
}

static const struct auth_user *nobody_new(struct auth_builder *builder)
{
    struct auth_user *nobody = auth_builder_place(builder, 1, sizeof(*nobody));
    if (nobody) {
        nobody->account = AUTH_GLOBAL_ACCOUNT;
        nobody->limits = (struct auth_limits){AUTH_UNLIMITED, AUTH_UNLIMITED, AUTH_UNLIMITED};
    }
    return nobody;
}

// CO-T04: any of the three, and the listener stands for itself; its time is its own in any case. Users whose certificates name them have
// no passwords: so they need certificates here too, whatever this listener's TLS says (nats-server lets anybody in by such a name).
static void complete_websocket(struct auth_builder *builder)
{
    struct auth_view *view = &builder->config->view;
    struct auth_listener own = view->websocket, *websocket = &view->websocket;
    bool is_own = own.token.kind != AUTH_SECRET_NONE || own.single_user.len || builder->websocket_no_auth_user.len;
    *websocket = is_own ? own : view->client;
    if (builder->has_websocket) {
        websocket->verify_and_map = own.verify_and_map || view->client.verify_and_map;
        websocket->timeout_ms = own.timeout_ms ? own.timeout_ms : view->client.timeout_ms;
    }
    if (builder->websocket_no_auth_user.len)
        websocket->no_auth_user =
            find_no_auth_user(builder, "websocket: ", builder->websocket_no_auth_user, builder->websocket_where);
    websocket->required = websocket->info_required = is_required(view, websocket);
}

static void check_websocket(struct auth_builder *builder)
{
    const struct auth_listener *websocket = &builder->config->view.websocket;
    if (builder->user_count == 0)
        return;
    if (websocket->single_user.len)
        auth_builder_fail(builder, ERR_INVALID, builder->websocket_where,
                          "websocket authentication username not compatible with presence of users/nkeys");
    if (websocket->token.kind != AUTH_SECRET_NONE)
        auth_builder_fail(builder, ERR_INVALID, builder->websocket_where,
                          "websocket authentication token not compatible with presence of users/nkeys");
}

static bool is_required(const struct auth_view *view, const struct auth_listener *listener)
{
    return view->user_count || listener->single_user.len || listener->token.kind != AUTH_SECRET_NONE;
}

static bool has_plain_password(const struct auth_listener *listener)
{
    return listener->single_user.len && listener->single_password.kind == AUTH_SECRET_PLAIN;
}
