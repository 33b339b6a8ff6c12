// SPDX-License-Identifier: Apache-2.0
// A run: publishes of one connection that lie one behind the other in what was read and go to one inlet that takes several at
// once. Whoever stores messages can so ask for the memory that it needs for the last of them while it works on the first.
//
// The order of everything that a connection does stays: a run ends before any other operation of the connection is carried
// out, and before the bytes in which its messages lie may change.
#pragma once

#include "broker/broker.h"

struct connection;
struct inlet_target;
struct broker_message;
struct wire_op;

struct inlet_run {
    struct inlet_target *target; // borrowed; valid while count > 0
    struct bytes subject;        // of the last message
    size_t count;
    struct inlet_message messages[INLET_RUN_MAX];
};

// Whether the run can stay open when this operation of the connection is carried out.
bool inlet_run_goes_on(const struct inlet_run *run, const struct connection *connection, const struct wire_op *op);
// True: the message, of one part, is or will be delivered with the run. False: it goes the usual way. Only what goes on with an
// open run.
bool inlet_run_add(struct inlet_run *run, struct connection *connection, const struct broker_message *message);
// Delivers what has gathered.
void inlet_run_end(struct inlet_run *run, struct connection *connection);
