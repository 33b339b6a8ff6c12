// SPDX-License-Identifier: Apache-2.0
// Tells the service manager how the server does, as systemd wants it (sd_notify(3)): a datagram to the socket that the variable NOTIFY_SOCKET
// names, a path or, after @, a name without a file. Without the variable, or when nobody takes it, nothing happens. Never waits.
// One thread, the main one.
#pragma once

// Whoever connects is served.
void notify_ready(void);
// It stops in order; this may take a while.
void notify_stopping(void);
