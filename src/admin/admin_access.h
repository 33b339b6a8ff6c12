// SPDX-License-Identifier: Apache-2.0
// Who may administer the server by requests to `$WEIR.API.>` (docs/admin-api.md, "Access"): the one place that decides, for backups and for
// everything else. Everybody is refused who is not let in by name:
//
//   users are configured    a publish permission names the subject, `$WEIR.…`; one that only covers it, as `>` does, is none
//   no users                from the machine itself, but not through a websocket: pages of any site can open one to it
//   from another account    a service export of `$G` names the subject; there the permissions of that account count
//   behind `-ns`            nobody: what users of the server there may do is not known here
//   from inside             nobody: the server publishes where clients say, as to their inboxes
//
// The broker says which of these it was (broker.h, enum inlet_standing), of connections of any worker. Over HTTP, where a user is known
// and no connection, it is permit_names() of auth/permit.h.
#pragma once

#include "broker/broker.h"

// What who may not is told.
#define ADMIN_ACCESS_CODE "not_permitted"
#define ADMIN_ACCESS_TEXT                                                                                              \
    "this needs a publish permission that begins with $WEIR. or, where no users are configured, a connection from "    \
    "the "                                                                                                             \
    "machine itself"

// Embedded by whoever serves requests.
struct admin_access {
    const struct logger *logger; // borrowed for life; may be NULL
    uint64_t minute;             // of the refusals that were logged
    uint32_t logged;
};

// May this request be carried out? No: the log says so, of at most 10 in a minute.
bool admin_access_allows(struct admin_access *access, const struct inlet_message *message, struct moment now) MUST_USE;
