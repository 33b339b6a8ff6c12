// SPDX-License-Identifier: Apache-2.0
// What clients of the system account may do to connections (1b.5 of the reference): `{"cid": n}` to
//
//     $SYS.REQ.SERVER.<id>.KICK    closes it (CO-Y24)
//     $SYS.REQ.SERVER.<id>.LDM     tells it that the server goes, so that it moves elsewhere (CO-Y25)
//
// Answered with `{"server": …}`, and `"error"` if there is no such connection: by the worker whose connections have such numbers.
#pragma once

#include "broker/broker_internal.h"

// Listens in the broker's system account, and no more in the one that was before. Whenever that may have changed.
void system_control_listen(struct broker *broker);
// Closes a client's connection as KICK does. False: this broker has none of that number.
bool system_control_kick(struct broker *broker, uint64_t cid);
// The broker ends.
void system_control_stop(struct broker *broker);
