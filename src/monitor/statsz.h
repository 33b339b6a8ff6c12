// SPDX-License-Identifier: Apache-2.0
// What a server says of itself in the system account: who it is, and its most important figures.
#pragma once

#include "base/buffer.h"
#include "monitor/monitor.h"
#include "monitor/page.h"

// {"server": …, "statsz": …}, as published in `$SYS.SERVER.<id>.STATSZ` (CO-Y37).
void statsz_write(struct monitor *monitor, struct buffer *out);
// The value of "server".
void statsz_server(struct monitor *monitor, struct buffer *out);
// ,"error":{…}
void statsz_error(int code, struct bytes text, struct buffer *out);

// Pages: the value of "statsz", and who this is.
void statsz_page(struct monitor *monitor, struct page *page);
void statsz_idz(struct monitor *monitor, struct page *page);
