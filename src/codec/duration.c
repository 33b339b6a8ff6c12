// SPDX-License-Identifier: Apache-2.0
#include "codec/duration.h"

#include <stdio.h>

struct unit {
    struct bytes name;
    uint64_t ns;
};

// Longer names before those they begin with.
static const struct unit units[] = {
    {{"ns", 2}, 1},
    {{"us", 2}, 1000},
    {{"\xc2\xb5s", 3}, 1000},
    {{"ms", 2}, 1000000},
    {{"s", 1}, 1000000000},
    {{"m", 1}, 60 * 1000000000ULL},
    {{"h", 1}, 3600 * 1000000000ULL},
    {{"d", 1}, 86400 * 1000000000ULL},
};

static void format_fraction(uint64_t value, uint64_t one, const char *unit, char *ret_text, size_t size);
static int parse_number(struct bytes *rest, double *ret_value);
static int parse_unit(struct bytes *rest, uint64_t *ret_ns);

int duration_parse(struct bytes text, uint64_t max_ns, uint64_t *ret_ns)
{
    if (bytes_equal(text, BYTES("0"))) {
        *ret_ns = 0;
        return 0;
    }
    if (text.len == 0)
        return ERR_INVALID;
    uint64_t total_ns = 0;
    while (text.len > 0) {
        double value;
        uint64_t unit_ns;
        if (parse_number(&text, &value) || parse_unit(&text, &unit_ns))
            return ERR_INVALID;
        double part_ns = value * (double)unit_ns;
        if (part_ns > (double)max_ns || (uint64_t)part_ns > max_ns - total_ns)
            return ERR_TOO_BIG;
        total_ns += (uint64_t)part_ns;
    }
    *ret_ns = total_ns;
    return 0;
}

void duration_format(uint64_t ns, char ret_text[DURATION_TEXT_SIZE])
{
    static const struct {
        uint64_t seconds;
        char letter;
    } parts[] = {{365 * 86400, 'y'}, {86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    uint64_t seconds = ns / 1000000000;
    size_t used = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        uint64_t count = seconds / parts[i].seconds;
        seconds %= parts[i].seconds;
        if (used > 0 || count > 0 || parts[i].seconds == 1)
            used += (size_t)snprintf(ret_text + used, DURATION_TEXT_SIZE - used, "%llu%c", (unsigned long long)count,
                                     parts[i].letter);
    }
}

void duration_format_go(uint64_t ns, char ret_text[DURATION_TEXT_SIZE])
{
    if (ns < 1000) {
        snprintf(ret_text, DURATION_TEXT_SIZE, ns > 0 ? "%lluns" : "0s", (unsigned long long)ns);
    } else if (ns < 1000000) {
        format_fraction(ns, 1000, "\xc2\xb5s", ret_text, DURATION_TEXT_SIZE);
    } else if (ns < 1000000000) {
        format_fraction(ns, 1000000, "ms", ret_text, DURATION_TEXT_SIZE);
    } else {
        uint64_t minutes = ns / 60000000000;
        int used = 0;
        if (minutes >= 60)
            used = snprintf(ret_text, DURATION_TEXT_SIZE, "%lluh", (unsigned long long)(minutes / 60));
        if (minutes > 0)
            used += snprintf(ret_text + used, DURATION_TEXT_SIZE - (size_t)used, "%llum",
                             (unsigned long long)(minutes % 60));
        format_fraction(ns % 60000000000, 1000000000, "s", ret_text + used, DURATION_TEXT_SIZE - (size_t)used);
    }
}

// value / one (a power of ten, at most 10^9) as a number without zeroes behind its point.
static void format_fraction(uint64_t value, uint64_t one, const char *unit, char *ret_text, size_t size)
{
    char digits[16];
    int len = snprintf(digits, sizeof(digits), ".%09u", (unsigned)(value % one * (1000000000 / one) % 1000000000));
    while (len > 1 && digits[len - 1] == '0')
        len--;
    snprintf(ret_text, size, "%llu%.*s%s", (unsigned long long)(value / one), len > 1 ? len : 0, digits, unit);
}

// Digits with at most one point among them, and at least one digit.
static int parse_number(struct bytes *rest, double *ret_value)
{
    double value = 0;
    double scale = 0; // 0: left of the point
    size_t digits = 0;
    size_t i = 0;
    for (; i < rest->len; i++) {
        char c = rest->ptr[i];
        if (c == '.' && scale == 0) {
            scale = 1;
        } else if (c >= '0' && c <= '9') {
            digits++;
            scale /= 10;
            value = scale > 0 ? value + scale * (c - '0') : value * 10 + (c - '0');
        } else {
            break;
        }
    }
    *rest = bytes_skip(*rest, i);
    *ret_value = value;
    return digits > 0 ? 0 : ERR_INVALID;
}

static int parse_unit(struct bytes *rest, uint64_t *ret_ns)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (bytes_starts_with(*rest, units[i].name)) {
            *ret_ns = units[i].ns;
            *rest = bytes_skip(*rest, units[i].name.len);
            return 0;
        }
    }
    return ERR_INVALID;
}
