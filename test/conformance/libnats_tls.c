// SPDX-License-Identifier: Apache-2.0
// CO-S01: Debian's libnats over TLS. `libnats-tls URL CA CERTIFICATE KEY`; tls.test.js starts the server. Says what was wrong and ends
// with 1, or says nothing.
#include <nats/nats.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 15000, SIZE = 1024 * 1024, ROUNDS = 5 };

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, nats_GetLastError(NULL));                        \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

// A megabyte goes and comes back the same.
static int echo(natsConnection *nc, natsSubscription *sub, char *payload, int round)
{
    natsMsg *msg = NULL;
    for (size_t i = 0; i < SIZE; i++)
        payload[i] = (char)(i * 7 + i / 251 + (size_t)round);
    CHECK(natsConnection_Publish(nc, "echo", payload, SIZE) == NATS_OK);
    CHECK(natsSubscription_NextMsg(&msg, sub, WAIT_MS) == NATS_OK);
    CHECK(natsMsg_GetDataLength(msg) == SIZE && memcmp(natsMsg_GetData(msg), payload, SIZE) == 0);
    natsMsg_Destroy(msg);
    return 0;
}

int main(int count, char **arguments)
{
    natsOptions *options = NULL;
    natsConnection *nc = NULL;
    natsSubscription *sub = NULL;
    CHECK(count == 5);
    CHECK(natsOptions_Create(&options) == NATS_OK && natsOptions_SetURL(options, arguments[1]) == NATS_OK);
    CHECK(natsOptions_SetSecure(options, true) == NATS_OK && natsOptions_SetAllowReconnect(options, false) == NATS_OK);
    CHECK(natsOptions_LoadCATrustedCertificates(options, arguments[2]) == NATS_OK);
    // Without its certificate it is refused.
    CHECK(natsConnection_Connect(&nc, options) != NATS_OK);
    CHECK(natsOptions_LoadCertificatesChain(options, arguments[3], arguments[4]) == NATS_OK);
    CHECK(natsOptions_SetExpectedHostname(options, "localhost") == NATS_OK);
    CHECK(natsConnection_Connect(&nc, options) == NATS_OK);
    CHECK(natsConnection_SubscribeSync(&sub, nc, "echo") == NATS_OK);
    char *payload = malloc(SIZE);
    int failed = 0;
    for (int round = 0; round < ROUNDS && !failed; round++)
        failed = echo(nc, sub, payload, round);
    free(payload);
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(nc);
    natsOptions_Destroy(options);
    nats_Close();
    return failed;
}
