// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_access.h"

#include "wire/quote.h"

enum { LOGGED_PER_MINUTE = 10, QUOTED_SIZE = 160 };

bool admin_access_allows(struct admin_access *access, const struct inlet_message *message, struct moment now)
{
    if (message->standing != INLET_STANDING_NONE)
        return true;
    uint64_t minute = moment_mono_ms(now) / 60000;
    if (minute != access->minute)
        access->logged = 0;
    access->minute = minute;
    if (access->logged == LOGGED_PER_MINUTE)
        return false;
    access->logged++;
    char subject[QUOTED_SIZE];
    struct bytes rest = message->subject;
    subject[quote_next(&rest, subject, sizeof(subject) - 1)] = '\0';
    logger_write(access->logger, LOG_WARN, "connection %llu may not ask for %s%s",
                 (unsigned long long)message->connection, subject,
                 access->logged == LOGGED_PER_MINUTE ? " (no more of these are logged in this minute)" : "");
    return false;
}
