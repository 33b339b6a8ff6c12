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

// The inverse.
static uint64_t civil_days(unsigned year, unsigned month, unsigned day)
{
    year -= month <= 2;
    unsigned era = year / 400, of_era = year - era * 400;
    unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097ULL + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int take_digits(struct bytes *text, unsigned digits, unsigned max, unsigned *ret)
{
    unsigned value = 0;
    if (text->len < digits)
        return ERR_INVALID;
    for (unsigned i = 0; i < digits; i++) {
        if (text->ptr[i] < '0' || text->ptr[i] > '9')
            return ERR_INVALID;
        value = value * 10 + (unsigned)(text->ptr[i] - '0');
    }
    *text = bytes_skip(*text, digits);
    *ret = value;
    return value <= max ? 0 : ERR_INVALID;
}

static int take_char(struct bytes *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return ERR_INVALID;
    *text = bytes_skip(*text, 1);
    return 0;
}

static int take_fraction(struct bytes *text, uint64_t *ret_ns)
{
    if (take_char(text, '.'))
        return 0;
    uint64_t unit = 100000000;
    size_t len = 0;
    for (; len < text->len && text->ptr[len] >= '0' && text->ptr[len] <= '9'; len++, unit /= 10)
        *ret_ns += (uint64_t)(text->ptr[len] - '0') * unit;
    *text = bytes_skip(*text, len);
    return len ? 0 : ERR_INVALID;
}

static int take_offset(struct bytes *text, int64_t *ret_s)
{
    unsigned hours, minutes;
    if (take_char(text, 'Z') == 0)
        return 0;
    int64_t sign = take_char(text, '+') == 0 ? 1 : take_char(text, '-') == 0 ? -1 : 0;
    if (sign == 0 || take_digits(text, 2, 23, &hours) || take_char(text, ':') || take_digits(text, 2, 59, &minutes))
        return ERR_INVALID;
    *ret_s = sign * (int64_t)(hours * 3600 + minutes * 60);
    return 0;
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

int timestamp_parse(struct bytes text, uint64_t *ret_wall_ns)
{
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    // Year, month, day, hour, minute, second, and what follows each.
    static const struct {
        unsigned digits, max;
        char behind;
    } parts[] = {{4, 2554, '-'}, {2, 12, '-'}, {2, 31, 'T'}, {2, 23, ':'}, {2, 59, ':'}, {2, 59, 0}};
    unsigned values[6];
    for (size_t i = 0; i < 6; i++) {
        if (take_digits(&text, parts[i].digits, parts[i].max, &values[i]) ||
            (parts[i].behind && take_char(&text, parts[i].behind)))
            return ERR_INVALID;
    }
    bool leap = values[0] % 4 == 0 && (values[0] % 100 != 0 || values[0] % 400 == 0);
    if (values[0] < 1970 || values[1] == 0 || values[2] == 0 ||
        values[2] > lengths[values[1] - 1] + (leap && values[1] == 2))
        return ERR_INVALID;
    uint64_t fraction_ns = 0;
    int64_t offset_s = 0;
    if (take_fraction(&text, &fraction_ns) || take_offset(&text, &offset_s) || text.len)
        return ERR_INVALID;
    int64_t seconds = (int64_t)civil_days(values[0], values[1], values[2]) * 86400 + values[3] * 3600 + values[4] * 60 +
                      values[5] - offset_s;
    if (seconds < 0 || (uint64_t)seconds >= UINT64_MAX / 1000000000)
        return ERR_INVALID;
    *ret_wall_ns = (uint64_t)seconds * 1000000000 + fraction_ns;
    return 0;
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
