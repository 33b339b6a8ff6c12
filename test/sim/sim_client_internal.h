// SPDX-License-Identifier: Apache-2.0
// What the two files of the simulated client share: sim_client.c (protocol) and sim_habits.c (what it does of its own accord).
#pragma once

#include "sim_client.h"

// --- protocol
void sim_client_connect(struct sim_client *client);
void sim_client_send_subscribe(struct sim_client *client, struct sim_sub *sub);
void sim_client_send_publish(struct sim_client *client, struct sim_publish *publish);
void sim_client_send_ack(struct sim_client *client, struct sim_sub *sub, uint64_t sequence);
// A verdict in words: "+WPI 7".
void sim_client_send_verdict(struct sim_client *client, struct sim_sub *sub, const char *text);
// Says that the message is dead.
void sim_client_send_term(struct sim_client *client, struct sim_sub *sub, uint64_t sequence);
void sim_client_send_ping(struct sim_client *client);
void sim_client_send_close(struct sim_client *client);
void sim_client_request_expired(struct sim_client *client, size_t at);
void sim_client_track(struct sim_client *client, struct sim_transit transit);

// --- habits
// After a reconnect: what to do about publishes without an answer.
void sim_client_resume(struct sim_client *client);
// A message came: acknowledge it now, later or not.
void sim_client_delivered(struct sim_client *client, struct sim_sub *sub, uint64_t sequence);
void sim_client_answered(struct sim_client *client, struct sim_publish *publish);
void sim_client_forget_sub(struct sim_client *client, struct sim_sub *sub, bool unsubscribed, bool answered);
// May the server refuse a request with this now?
bool sim_client_may_refuse(const struct sim_client *client, struct bytes error);
