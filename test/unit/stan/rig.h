// SPDX-License-Identifier: Apache-2.0
// A STAN server on a simulated disk for the tests of this folder: requests from inside the process, on a log whose disk works when the
// test says so. Each test file's own.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/broker.h"
#include "shard/shard.h"
#include "sim_disk.h"
#include "stan/stan.h"
#include "stan/stan.pb-c.h"

#define KIB    1024
#define SECOND 1000000000ULL

struct rig {
    struct sim_disk disk;
    struct broker *broker;
    struct shard *shard;
    struct stan *stan;
    struct stan_options options; // of the next start, as the next
    bool has_uplink;             // broker_options.has_uplink; nothing is connected, so all are cut off
    struct inlet ear;
    struct moment now;
    char heard[4096]; // "reply-subject text;" for each answer
    size_t heard_len;
};

// Of cmocka: a rig in *state, started.
int rig_set_up(void **state);
int rig_tear_down(void **state);
// A stop in order, and a start on what is on the disk.
void rig_start(struct rig *rig);
void rig_stop(struct rig *rig);

// A turn in which the disk does nothing, 10 ms long.
void rig_turn(struct rig *rig);
// Turns in which the disk does all that it is asked to.
void rig_settle(struct rig *rig);
// Time goes by: seconds in a few turns.
void rig_pass(struct rig *rig, uint64_t seconds);

// Publishes until one more checkpoint is complete.
void rig_pass_checkpoint(struct rig *rig, const char *channel, const char *id);

// What answers said since the last call, "reply-subject text;" each; `text` without the "stan: " of errors, "ok" for all others.
void rig_expect_heard(struct rig *rig, const char *text);
void rig_expect_counts(struct rig *rig, uint64_t clients, uint64_t subscriptions, uint64_t consumers);

// Requests of a client, to "channel" unless said otherwise; answers go to `reply`, "r." and a name, or "".
ProtobufCBinaryData rig_text(const char *string);
void rig_say(struct rig *rig, struct bytes subject, const char *reply, const ProtobufCMessage *message);
void rig_connect(struct rig *rig, const char *id, const char *reply);
void rig_close(struct rig *rig, const char *id, const char *reply);
void rig_publish(struct rig *rig, const char *id, const char *guid, size_t size, const char *reply);
void rig_publish_to(struct rig *rig, const char *channel, const char *id, const char *guid, const char *reply); // 1 KiB
void rig_subscribe(struct rig *rig, const char *id, const char *inbox, bool by_time, const char *reply);
void rig_subscribe_durable(struct rig *rig, const char *id, const char *inbox, const char *durable, const char *reply);
void rig_sub_close(struct rig *rig, const char *id, const char *inbox, const char *reply);
void rig_unsubscribe(struct rig *rig, const char *id, const char *inbox, const char *reply);
