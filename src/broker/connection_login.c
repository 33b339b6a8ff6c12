// SPDX-License-Identifier: Apache-2.0
// Who a connection is (CO-S02, S03, S07): CONNECT against the broker's auth_config, the time it may take, and what follows from it:
// account, permissions, limits. Order and words are nats-server's. Passwords kept as bcrypt hashes are compared elsewhere
// (env/offload.h), a few at a time; meanwhile the connection is not read, and nobody else waits. Secrets are never logged.
#include "auth/login.h"

#include "auth/permit.h"
#include "auth/replies.h"
#include "broker/connection.h"
#include "broker/login_job.h"
#include "broker/system_events.h"
#include "codec/base64.h"
#include "env/crypto.h"
#include "env/offload.h"

#define NONCE_BYTES 11
#define NAMES_MAX   (3 * NET_NAMES_MAX + 1)

// The steps of one CONNECT, also from within net_describe_tls().
struct attempt {
    struct connection *connection;
    struct login login;
    struct login_decision decision;
    bool decided;
};

static void decide(struct attempt *attempt);
static void decide_by_certificate(void *owner, const struct net_tls_info *info);
static void add_names(struct bytes *names, uint32_t *count, const struct net_names *more);
static void refuse(struct connection *connection, struct bytes user);
static void finish_connect(struct connection *connection);
static struct connection_identity *identify(struct connection *connection);
static bool is_same(const struct connection *connection, const struct login_decision *decision);
static void take_permissions(struct connection *connection);
static int64_t smaller(int64_t max, int64_t limit);

void connection_login_begin(struct connection *connection)
{
    struct broker *broker = connection->broker;
    const struct auth_listener *listener = connection_listener(connection);
    connection->login = listener->required ? CONNECTION_LOGIN_AWAITED : CONNECTION_LOGIN_DONE;
    if (listener->required)
        wheel_set(&broker->wheel, &connection->ping, broker->now_ms + listener->timeout_ms);
    else
        connection_ping_start(connection, false);
}

struct bytes connection_nonce(const struct connection *connection, char ret_text[CONNECTION_NONCE_LEN])
{
    const struct broker_options *options = &connection->broker->options;
    if (!auth_config_view(connection->broker->auth)->has_nkeys)
        return (struct bytes){0};
    // Nobody can tell one nonce from others, and nothing has to be kept.
    uint8_t input[sizeof(options->nonce_key) + sizeof(connection->id)], digest[CRYPTO_SHA256_LEN];
    memcpy(input, options->nonce_key, sizeof(options->nonce_key));
    memcpy(input + sizeof(options->nonce_key), &connection->id, sizeof(connection->id));
    options->crypto->sha256(bytes_make(input, sizeof(input)), digest);
    size_t len = 0;
    must(base64_encode(bytes_make(digest, NONCE_BYTES), BASE64_RAW_URL, ret_text, CONNECTION_NONCE_LEN, &len) == 0);
    return bytes_make(ret_text, len);
}

bool connection_login_first(struct connection *connection, char first)
{
    struct broker *broker = connection->broker;
    if (first == 'C' || first == 'c')
        return true;
    if (!login_is_optional(broker->auth, connection_type(connection))) {
        refuse(connection, (struct bytes){0});
        return false;
    }
    // As somebody who has no credentials to show: whoever types by hand.
    struct attempt attempt = {.connection = connection, .login.connection_type = connection_type(connection)};
    decide(&attempt);
    if (attempt.decision.verdict != LOGIN_ACCEPTED) {
        refuse(connection, (struct bytes){0});
        return false;
    }
    if (!connection_admit(connection, &attempt.decision))
        return false;
    connection_ping_start(connection, false);
    return true;
}

void connection_login(struct connection *connection, const struct wire_connect *options)
{
    struct broker *broker = connection->broker;
    char nonce[CONNECTION_NONCE_LEN];
    wheel_cancel(&broker->wheel, &connection->ping);
    struct attempt attempt = {
        .connection = connection,
        .login =
            {
                .user = options->user,
                .password = options->pass,
                .token = options->auth_token,
                .nkey = options->nkey,
                .signature = options->sig,
                .nonce = connection_nonce(connection, nonce),
                .connection_type = connection_type(connection),
            },
    };
    memcpy(&attempt.login.decoy_seed, broker->options.nonce_key, sizeof(attempt.login.decoy_seed));
    // Also of a websocket, whose TLS is below it.
    if (connection_listener(connection)->verify_and_map)
        net_describe_tls(connection->net, &attempt, decide_by_certificate);
    if (!attempt.decided)
        decide(&attempt);
    const struct login *login = &attempt.login;
    switch (attempt.decision.verdict) {
    case LOGIN_REFUSED: refuse(connection, login->nkey.len ? login->nkey : login->user); break;
    case LOGIN_HASH:
        connection->login = CONNECTION_LOGIN_CHECKING;
        identify(connection);
        connection_pause(connection, CONNECTION_PAUSE_LOGIN);
        login_job_begin(connection, &attempt.decision, login->user);
        break;
    case LOGIN_ACCEPTED:
        if (connection_admit(connection, &attempt.decision))
            finish_connect(connection);
        break;
    }
}

void connection_login_end(struct connection *connection, const struct login_decision *decision, struct bytes user)
{
    if (connection->state == CONNECTION_OPEN) {
        if (decision->verdict != LOGIN_ACCEPTED)
            refuse(connection, user);
        else if (connection_admit(connection, decision))
            finish_connect(connection);
    }
    connection_resume(connection, CONNECTION_PAUSE_LOGIN);
}

bool connection_admit(struct connection *connection, const struct login_decision *decision)
{
    struct broker *broker = connection->broker;
    struct account *account = broker_account_of(broker, decision->account);
    if (!connection_listener(connection)->required || is_same(connection, decision)) {
        connection->login = CONNECTION_LOGIN_DONE;
        return true;
    }
    // Whoever has subscribed as somebody cannot become somebody else elsewhere.
    if (connection->subscriptions.count > 0 && account != connection->account) {
        refuse(connection, decision->user ? decision->user->name : (struct bytes){0});
        return false;
    }
    connection_depart(connection, broker->auth);
    if (!auth_config_enter(broker->auth, decision->user, decision->account, false)) {
        connection_fail(connection, WIRE_MAX_ACCOUNT_CONNECTIONS);
        return false;
    }
    connection_enter(connection, decision, true);
    if (account != connection->account)
        connection_account_set(connection, account);
    connection_permission_recheck(connection);
    return connection->state == CONNECTION_OPEN; // or what it was told was too much for its queue
}

void connection_enter(struct connection *connection, const struct login_decision *decision, bool is_counted)
{
    struct connection_identity *identity = identify(connection);
    must(!identity->is_counted);
    identity->user = decision->user;
    identity->account = decision->account;
    identity->is_counted = is_counted;
    identity->is_default = decision->is_default;
    connection->login = CONNECTION_LOGIN_DONE;
    take_permissions(connection);
    connection_limits_take(connection);
}

void connection_depart(struct connection *connection, struct auth_config *config)
{
    struct connection_identity *identity = connection->identity;
    if (!identity)
        return;
    if (identity->is_counted)
        auth_config_leave(config, identity->user, identity->account);
    identity->is_counted = false;
    identity->user = NULL;
    identity->account = 0; // the first, which every config has
    replies_free(identity->replies);
    identity->replies = NULL;
    broker_permit_drop(connection->broker, connection->permit);
    connection->permit = NULL;
}

void connection_login_forget(struct connection *connection)
{
    if (connection->identity && connection->identity->job)
        login_job_forget(connection->identity->job);
    connection_depart(connection, connection->broker->auth);
    mem_free(connection->identity);
    connection->identity = NULL;
}

void connection_limits_take(struct connection *connection)
{
    const struct broker_options *options = &connection->broker->options;
    const struct auth_view *view = auth_config_view(connection->broker->auth);
    const struct connection_identity *identity = connection->identity;
    bool is_user = identity && identity->user;
    const struct auth_limits *limits[] = {identity ? &view->accounts[identity->account].limits : NULL,
                                          is_user ? &identity->user->limits : NULL};
    int64_t payload_max = options->max_payload;
    int64_t subscriptions_max = options->max_subscriptions ? options->max_subscriptions : UINT32_MAX;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (!limits[i])
            continue;
        payload_max = smaller(payload_max, limits[i]->max_payload);
        subscriptions_max = smaller(subscriptions_max, limits[i]->max_subscriptions);
    }
    connection->subscriptions_max = (uint32_t)subscriptions_max;
    struct parser_config config = {
        .control_line_max = options->max_control_line,
        .payload_max = payload_max > 0 ? (uint32_t)payload_max : 1, // 0 would mean the default
    };
    parser_set_limits(&connection->parser, &config);
}

struct bytes connection_user_name(const struct connection *connection)
{
    const struct connection_identity *identity = connection->identity;
    if (identity && identity->user)
        return identity->user->name;
    return connection->client ? connection->client->user : (struct bytes){0};
}

enum auth_connection_type connection_type(const struct connection *connection)
{
    return connection->peer.transport == NET_WEBSOCKET ? AUTH_CONNECTION_WEBSOCKET : AUTH_CONNECTION_STANDARD;
}

const struct auth_listener *connection_listener(const struct connection *connection)
{
    return auth_config_listener(connection->broker->auth, connection_type(connection));
}

static void decide(struct attempt *attempt)
{
    const struct broker *broker = attempt->connection->broker;
    attempt->decision = login_decide(broker->auth, &attempt->login, broker->options.crypto);
    attempt->decided = true;
}

// The names in the order in which nats-server tries them.
static void decide_by_certificate(void *owner, const struct net_tls_info *info)
{
    struct attempt *attempt = owner;
    struct bytes names[NAMES_MAX];
    uint32_t count = 0;
    add_names(names, &count, &info->emails);
    add_names(names, &count, &info->dns_names);
    add_names(names, &count, &info->uris);
    if (info->certificate_count > 0)
        names[count++] = info->certificates[0].subject;
    attempt->login.certificate_names = names;
    attempt->login.certificate_name_count = count;
    decide(attempt);
    attempt->login.certificate_names = NULL;
}

static void add_names(struct bytes *names, uint32_t *count, const struct net_names *more)
{
    for (size_t i = 0; i < more->count; i++)
        names[(*count)++] = more->items[i];
}

static void refuse(struct connection *connection, struct bytes user)
{
    if (connection->state != CONNECTION_OPEN)
        return;
    connection_log_refusal(connection, "authentication error", user, (struct bytes){0});
    connection_fail(connection, WIRE_AUTHORIZATION_VIOLATION);
}

// What else CONNECT asked for, behind who it is.
static void finish_connect(struct connection *connection)
{
    if (connection->connect_error != WIRE_OK) {
        connection_fail(connection, connection->connect_error);
        return;
    }
    connection_ping_start(connection, true);
    system_events_connected(connection);
    connection_confirm(connection);
}

static struct connection_identity *identify(struct connection *connection)
{
    if (!connection->identity)
        connection->identity = mem_alloc_zero(sizeof(*connection->identity));
    return connection->identity;
}

static bool is_same(const struct connection *connection, const struct login_decision *decision)
{
    const struct connection_identity *identity = connection->identity;
    return identity && identity->is_counted && identity->user == decision->user &&
           identity->account == decision->account;
}

static void take_permissions(struct connection *connection)
{
    struct broker *broker = connection->broker;
    struct connection_identity *identity = connection->identity;
    const struct auth_permissions *permissions = identity->user ? identity->user->permissions : NULL;
    must(!connection->permit && !identity->replies);
    if (!permissions)
        return;
    connection->permit = broker_permit_take(broker, permissions);
    if (permissions->allow_responses)
        identity->replies =
            replies_new(permissions->response_max, permissions->response_ttl_ns, prng_next(&broker->prng));
}

static int64_t smaller(int64_t max, int64_t limit)
{
    return limit != AUTH_UNLIMITED && limit < max ? limit : max;
}
