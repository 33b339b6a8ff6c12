// SPDX-License-Identifier: Apache-2.0
#include "cmd/serve_uplink.h"

#include <stdio.h>
#include <string.h>

#include "cmd/client_login.h"
#include "os/tls_client.h"

int serve_uplink_start(struct serve_uplink *uplink, const struct options_nats *nats, struct tcp *tcp,
                       char ret_message[SERVE_UPLINK_MESSAGE_SIZE])
{
    // -secure alone means: encrypted, with whoever it is (ST-C08).
    const struct tls_client_config config = {
        .ca_file = nats->ca_file,
        .cert_file = nats->cert_file,
        .key_file = nats->key_file,
        .skip_verify = nats->skip_verify || (nats->secure && !nats->ca_file),
    };
    char message[TLS_MESSAGE_SIZE];
    *uplink = (struct serve_uplink){.tls = tls_new()};
    int error = tls_client_load(uplink->tls, &config, message);
    if (error)
        snprintf(ret_message, SERVE_UPLINK_MESSAGE_SIZE, "TLS of a client (-ns): %s", message);
    if (!error && nats->nkey_seed_file) {
        error = client_login_read_seed(nats->nkey_seed_file, uplink->seed, ret_message, SERVE_UPLINK_MESSAGE_SIZE);
        uplink->has_seed = !error;
    }
    if (error)
        serve_uplink_stop(uplink);
    else
        dialer_init(&uplink->dialer, tcp, uplink->tls);
    return error;
}

int serve_uplink_check(const struct options_nats *nats, char ret_message[SERVE_UPLINK_MESSAGE_SIZE])
{
    struct serve_uplink uplink;
    int error = serve_uplink_start(&uplink, nats, NULL, ret_message);
    if (!error)
        serve_uplink_stop(&uplink);
    return error;
}

void serve_uplink_stop(struct serve_uplink *uplink)
{
    if (!uplink->tls)
        return;
    tls_unref(uplink->tls);
    explicit_bzero(uplink->seed, sizeof(uplink->seed));
    uplink->tls = NULL;
}
