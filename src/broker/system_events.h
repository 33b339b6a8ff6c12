// SPDX-License-Identifier: Apache-2.0
// What clients of the system account are told (1b.5 of the reference): who comes and goes, who was not let in, that the server stops.
//
//     $SYS.ACCOUNT.<account>.CONNECT, …DISCONNECT    CO-Y02, CO-Y03; not for `$G`, as nats-server has it
//     $SYS.SERVER.<id>.CLIENT.AUTH.ERR                CO-Y32; in the account itself, if it has one: $SYS.ACCOUNT.CLIENT.AUTH.ERR, CO-Y06
//     $SYS.SERVER.<id>.SHUTDOWN, …LAMEDUCK           CO-Y36, CO-Y33
//
// JSON with the fields of nats-server. Nothing is written while nobody listens, so a flood of connections costs a look-up each.
// Not from within the routing of a message.
#pragma once

#include "broker/broker_internal.h"

struct connection;
struct json_writer;

// It is in, and in its account.
void system_events_connected(struct connection *connection);
// It is gone; connection.reason says why.
void system_events_closed(const struct connection *connection);
// Everybody hears it from worker 0, and one member of a queue group; the other workers' brokers have nothing to say. It comes to them
// in front of what worker 0 has them told later: nobody is closed before.
void system_events_shutdown(struct broker *broker);
void system_events_lame_duck(struct broker *broker);
// Begins an object with what all events and metrics have in front: type, id, timestamp.
void system_events_begin(struct broker *broker, const char *type, struct json_writer *json);

// The member "server" of an object.
void system_events_put_server(struct broker *broker, struct json_writer *json);
