// SPDX-License-Identifier: Apache-2.0
#include "codec/timestamp.h"

#include <stdio.h>
#include <string.h>

// Days since 1970 to a date of the Gregorian calendar. Years are counted from March, so that the leap day comes last.
static void civil_date(uint64_t days, unsigned *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    days += 719468; // to 1 March of the year 0
    unsigned era = (unsigned)(days / 146097);
    unsigned of_era = (unsigned)(days % 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month = (5 * of_year + 2) / 153;
    *ret_day = of_year - (153 * month + 2) / 5 + 1;
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

void timestamp_format(uint64_t wall_ns, char ret_text[TIMESTAMP_TEXT_SIZE])
{
    uint64_t seconds = wall_ns / 1000000000;
    unsigned nanoseconds = (unsigned)(wall_ns % 1000000000);
    unsigned year, month, day;
    civil_date(seconds / 86400, &year, &month, &day);
    unsigned of_day = (unsigned)(seconds % 86400);
    int len = snprintf(ret_text, TIMESTAMP_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%09u", year % 10000, month, day,
                       of_day / 3600, of_day / 60 % 60, of_day % 60, nanoseconds);
    while (ret_text[len - 1] == '0')
        len--;
    if (ret_text[len - 1] == '.')
        len--;
    memcpy(ret_text + len, "Z", 2);
}

void timestamp_format_http(uint64_t wall_ns, char ret_text[TIMESTAMP_HTTP_SIZE])
{
    static const char *const weekdays[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"}; // the epoch's first
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    uint64_t seconds = wall_ns / 1000000000;
    unsigned of_day = (unsigned)(seconds % 86400);
    unsigned year, month, day;
    civil_date(seconds / 86400, &year, &month, &day);
    snprintf(ret_text, TIMESTAMP_HTTP_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", weekdays[seconds / 86400 % 7],
             day % 100, months[month - 1], year % 10000, of_day / 3600, of_day / 60 % 60, of_day % 60);
}
