// SPDX-License-Identifier: Apache-2.0
// Who am I, and what may I do? The answer to `$SYS.REQ.USER.INFO`, in every account (CO-Y31): `{"server": …, "data": …}`.
// It concerns the connection that asks, so no other worker hears of it.
#pragma once

#include "broker/broker_internal.h"

struct connection;

#define SYSTEM_USER_INFO_SUBJECT "$SYS.REQ.USER.INFO"

// Answers if the subject is that one; False: it is a message like any other. What it may publish was looked at before.
bool system_user_info_take(struct connection *connection, struct bytes subject, struct bytes reply);
