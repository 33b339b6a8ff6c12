// SPDX-License-Identifier: Apache-2.0
// The connection of a client: libnats with the options that fit, and what libnats calls when something happens to it. It reconnects without
// end; what the streaming side makes of that is the keeper's business, which is only woken up here.
#include "client/client_internal.h"

#include <stdio.h>

enum { PING_INTERVAL_MS = 10000, PINGS_OUT = 2 };

static natsStatus set_options(struct weir_client *client, natsOptions *options);
static natsStatus set_login(const struct weir_client_options *from, natsOptions *options);
static natsStatus set_tls(const struct weir_client_options *from, natsOptions *options);
static void on_disconnected(natsConnection *nc, void *closure);
static void on_reconnected(natsConnection *nc, void *closure);
static void on_closed(natsConnection *nc, void *closure);
static void on_complaint(natsConnection *nc, natsSubscription *sub, natsStatus status, void *closure);
static void on_complete(void *closure);

int weir_client_connect(struct weir_client *client, struct weir_error *ret_error)
{
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);
    if (status == NATS_OK)
        status = set_options(client, options);
    if (status != NATS_OK) {
        natsOptions_Destroy(options);
        return weir_error_set(ret_error, status == NATS_NO_MEMORY ? WEIR_ERR_MEMORY : WEIR_ERR_INVALID,
                              "an option is not taken: %s", weir_error_words(status));
    }
    weir_client_ref(client); // until on_closed()
    status = natsConnection_Connect(&client->nc, options);
    natsOptions_Destroy(options);
    if (status == NATS_OK)
        return 0;
    weir_client_unref(client);
    return weir_error_set(ret_error, status == NATS_TIMEOUT ? WEIR_ERR_UNREACHABLE : weir_error_of(status),
                          "connecting: %s", weir_error_words(status));
}

int weir_client_listen(struct weir_client *client, const char *subject, natsMsgHandler handler,
                       natsSubscription **ret_sub, struct weir_error *ret_error)
{
    natsSubscription *sub = NULL;
    natsStatus status = natsConnection_Subscribe(&sub, client->nc, subject, handler, client);
    if (status != NATS_OK)
        return weir_error_nats(ret_error, status, "listening");
    weir_client_ref(client);
    natsSubscription_SetPendingLimits(sub, -1, -1); // bounded by what we asked for
    if ((status = natsSubscription_SetOnCompleteCB(sub, on_complete, client)) != NATS_OK) {
        natsSubscription_Destroy(sub); // it leaks the reference rather than freeing what a callback may use
        return weir_error_nats(ret_error, status, "listening");
    }
    *ret_sub = sub;
    return 0;
}

static natsStatus set_options(struct weir_client *client, natsOptions *options)
{
    const struct weir_client_options *from = &client->options;
    natsStatus status = natsOptions_SetURL(options, from->servers);
    if (status == NATS_OK)
        status = natsOptions_SetName(options, from->name);
    if (status == NATS_OK)
        status = natsOptions_SetTimeout(options, from->connect_timeout_ms);
    if (status == NATS_OK)
        status = natsOptions_SetWriteDeadline(options, from->connect_timeout_ms);
    if (status == NATS_OK)
        status = natsOptions_SetMaxReconnect(options, -1);
    if (status == NATS_OK)
        status = natsOptions_SetReconnectWait(options, from->reconnect_wait_ms);
    if (status == NATS_OK)
        status = natsOptions_SetReconnectJitter(options, from->reconnect_wait_ms / 2, from->reconnect_wait_ms / 2);
    if (status == NATS_OK)
        status = natsOptions_SetIgnoreDiscoveredServers(options, true); // others are not this server
    // What libnats keeps while there is no connection gets ahead of what we send again. It takes one message even so.
    if (status == NATS_OK)
        status = natsOptions_SetReconnectBufSize(options, 1);
    if (status == NATS_OK)
        status = natsOptions_SetFailRequestsOnDisconnect(options, true);
    if (status == NATS_OK)
        status = natsOptions_SetPingInterval(options, PING_INTERVAL_MS);
    if (status == NATS_OK)
        status = natsOptions_SetMaxPingsOut(options, PINGS_OUT);
    if (status == NATS_OK)
        status = natsOptions_SetDisconnectedCB(options, on_disconnected, client);
    if (status == NATS_OK)
        status = natsOptions_SetReconnectedCB(options, on_reconnected, client);
    if (status == NATS_OK)
        status = natsOptions_SetClosedCB(options, on_closed, client);
    if (status == NATS_OK)
        status = natsOptions_SetErrorHandler(options, on_complaint, client);
    if (status == NATS_OK)
        status = set_login(from, options);
    return status == NATS_OK ? set_tls(from, options) : status;
}

static natsStatus set_login(const struct weir_client_options *from, natsOptions *options)
{
    natsStatus status = NATS_OK;
    if (from->user)
        status = natsOptions_SetUserInfo(options, from->user, from->password ? from->password : "");
    if (status == NATS_OK && from->token)
        status = natsOptions_SetToken(options, from->token);
    if (status == NATS_OK && from->nkey_public)
        status = natsOptions_SetNKeyFromSeed(options, from->nkey_public, from->nkey_seed_file);
    if (status == NATS_OK && from->credentials_file)
        status = natsOptions_SetUserCredentialsFromFiles(options, from->credentials_file, NULL);
    return status;
}

static natsStatus set_tls(const struct weir_client_options *from, natsOptions *options)
{
    natsStatus status = NATS_OK;
    if (from->tls || from->tls_ca_file || from->tls_cert_file || from->tls_insecure)
        status = natsOptions_SetSecure(options, true);
    if (status == NATS_OK && from->tls_ca_file)
        status = natsOptions_LoadCATrustedCertificates(options, from->tls_ca_file);
    if (status == NATS_OK && from->tls_cert_file)
        status = natsOptions_LoadCertificatesChain(options, from->tls_cert_file, from->tls_key_file);
    if (status == NATS_OK && from->tls_insecure)
        status = natsOptions_SkipServerVerification(options, true);
    return status;
}

static void on_disconnected(natsConnection *nc, void *closure)
{
    struct weir_client *client = closure;
    const char *words = NULL;
    natsConnection_GetLastError(nc, &words);
    pthread_mutex_lock(&client->mutex);
    if (client->state == WEIR_CLIENT_OPEN && weir_client_link_up(client)) {
        client->link_events++;
        weir_client_set_ready(client);
        snprintf(client->why, sizeof(client->why), "%s", words && words[0] ? words : "the connection broke");
        pthread_cond_broadcast(&client->changed);
    }
    pthread_mutex_unlock(&client->mutex);
}

static void on_reconnected(natsConnection *nc, void *closure)
{
    struct weir_client *client = closure;
    (void)nc;
    pthread_mutex_lock(&client->mutex);
    if (client->state == WEIR_CLIENT_OPEN && !weir_client_link_up(client)) {
        client->link_events++;
        weir_client_set_ready(client);
        client->pings_out = 0;
        client->next_ping_ms = 0; // at once: does the streaming server still know us?
        snprintf(client->why, sizeof(client->why), "connected again");
        pthread_cond_broadcast(&client->changed);
    }
    pthread_mutex_unlock(&client->mutex);
}

// The last that libnats says about a connection.
static void on_closed(natsConnection *nc, void *closure)
{
    (void)nc;
    weir_client_unref(closure);
}

// What the server complains about asynchronously, such as a missing permission. It explains the time-out that follows.
static void on_complaint(natsConnection *nc, natsSubscription *sub, natsStatus status, void *closure)
{
    struct weir_client *client = closure;
    const char *words = NULL;
    (void)sub;
    if (status == NATS_SLOW_CONSUMER)
        return; // the server delivers again what was dropped
    natsConnection_GetLastError(nc, &words);
    pthread_mutex_lock(&client->mutex);
    snprintf(client->why, sizeof(client->why), "%s", words && words[0] ? words : natsStatus_GetText(status));
    pthread_mutex_unlock(&client->mutex);
}

static void on_complete(void *closure)
{
    weir_client_unref(closure);
}
