// SPDX-License-Identifier: Apache-2.0
// What a word without quotes means, as nats-server sees it: first a boolean, then by its first character a number, a time or
// a string. A word that only begins like a number (127.0.0.1:4222, 1h30m, 8m4dwr) is a string.
#include <stdlib.h>

#include "base/must.h"
#include "base/number.h"
#include "codec/conf_internal.h"

// Longest number that is looked at: no integer or float of use is longer.
#define CONF_WORD_NUMBER_MAX 320

static bool read_boolean(struct bytes word, bool *ret_boolean);
static int read_integer(struct bytes digits, struct bytes suffix, bool negative, int64_t *ret_integer);
static bool find_factor(struct bytes suffix, uint64_t *ret_factor);
static bool looks_float(struct bytes word, size_t digits);
static int read_time(struct bytes word, int64_t *ret_seconds);
static bool looks_time(struct bytes word);
static size_t count_digits(struct bytes word);

int conf_word_read(struct bytes word, struct conf_value *value, const char **ret_wrong)
{
    must(word.len > 0);
    bool negative = word.ptr[0] == '-';
    struct bytes number = bytes_skip(word, negative);
    size_t digits = count_digits(number);
    uint64_t factor;
    value->type = CONF_STRING;
    if (read_boolean(word, &value->boolean)) {
        value->type = CONF_BOOL;
    } else if (digits == 0) {
        *ret_wrong = "a number has a digit here; quote it if it is a string";
        return negative || word.ptr[0] == '.' ? ERR_INVALID : 0;
    } else if (looks_float(number, digits)) {
        value->type = CONF_FLOAT;
        value->real = strtod(word.ptr, NULL);
    } else if (find_factor(bytes_skip(number, digits), &factor)) {
        value->type = CONF_INTEGER;
        *ret_wrong = "an integer is from -9223372036854775808 to 9223372036854775807; quote it if it is a string";
        return read_integer(bytes_make(number.ptr, digits), bytes_skip(number, digits), negative, &value->integer);
    } else if (looks_time(word)) {
        value->type = CONF_TIME;
        *ret_wrong = "there is no such date or time";
        return read_time(word, &value->seconds);
    } else if (negative) {
        *ret_wrong = "this is no number; quote it if it is a string";
        return ERR_INVALID;
    }
    return 0;
}

bool conf_word_is_bcrypt(struct bytes word)
{
    return bytes_starts_with(word, BYTES("$2a$")) || bytes_starts_with(word, BYTES("$2b$")) ||
           bytes_starts_with(word, BYTES("$2y$"));
}

static bool read_boolean(struct bytes word, bool *ret_boolean)
{
    bool yes = bytes_equal_fold(word, BYTES("true")) || bytes_equal_fold(word, BYTES("yes")) ||
               bytes_equal_fold(word, BYTES("on"));
    bool no = bytes_equal_fold(word, BYTES("false")) || bytes_equal_fold(word, BYTES("no")) ||
              bytes_equal_fold(word, BYTES("off"));
    if (yes || no)
        *ret_boolean = yes;
    return yes || no;
}

static int read_integer(struct bytes digits, struct bytes suffix, bool negative, int64_t *ret_integer)
{
    uint64_t factor = 1, number;
    uint64_t most = (uint64_t)INT64_MAX + negative;
    must(find_factor(suffix, &factor));
    if (number_parse_u64(digits, most / factor, &number))
        return ERR_INVALID;
    *ret_integer = negative ? (int64_t)(0 - number * factor) : (int64_t)(number * factor);
    return 0;
}

// "", k, kb, ki, kib, m …, in any case.
static bool find_factor(struct bytes suffix, uint64_t *ret_factor)
{
    static const char letters[] = "kmgtpe";
    *ret_factor = 1;
    if (suffix.len == 0)
        return true;
    const char *letter = strchr(letters, suffix.ptr[0] | 0x20);
    struct bytes rest = bytes_skip(suffix, 1);
    bool binary =
        bytes_equal_fold(rest, BYTES("b")) || bytes_equal_fold(rest, BYTES("i")) || bytes_equal_fold(rest, BYTES("ib"));
    if (!letter || *letter == '\0' || (rest.len != 0 && !binary))
        return false;
    for (const char *at = letters; at <= letter; at++)
        *ret_factor *= binary ? 1024 : 1000;
    return true;
}

// digits '.' digits, then perhaps an exponent as JSON has it.
static bool looks_float(struct bytes word, size_t digits)
{
    if (word.len > CONF_WORD_NUMBER_MAX || digits == word.len || word.ptr[digits] != '.')
        return false;
    struct bytes rest = bytes_skip(word, digits + 1);
    size_t behind = count_digits(rest);
    if (behind == 0 || behind == rest.len)
        return behind != 0;
    rest = bytes_skip(rest, behind);
    if ((rest.ptr[0] | 0x20) != 'e')
        return false;
    rest = bytes_skip(rest, 1);
    if (rest.len > 0 && (rest.ptr[0] == '+' || rest.ptr[0] == '-'))
        rest = bytes_skip(rest, 1);
    return rest.len > 0 && rest.len <= 3 && count_digits(rest) == rest.len;
}

// 2016-05-04T18:53:41Z
static bool looks_time(struct bytes word)
{
    static const char shape[] = "0000-00-00T00:00:00Z";
    if (word.len != sizeof(shape) - 1)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        bool digit = word.ptr[i] >= '0' && word.ptr[i] <= '9';
        if (shape[i] == '0' ? !digit : word.ptr[i] != shape[i])
            return false;
    }
    return true;
}

static int read_time(struct bytes word, int64_t *ret_seconds)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const uint8_t offsets[] = {0, 5, 8, 11, 14, 17};
    uint64_t parts[6]; // year, month, day, hour, minute, second
    for (size_t i = 0; i < 6; i++)
        must(number_parse_u64(bytes_make(word.ptr + offsets[i], i == 0 ? 4 : 2), 9999, &parts[i]) == 0);
    int64_t year = (int64_t)parts[0];
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (parts[1] < 1 || parts[1] > 12 || parts[2] < 1 || parts[3] > 23 || parts[4] > 59 || parts[5] > 59)
        return ERR_INVALID;
    if (parts[2] > (uint64_t)lengths[parts[1] - 1] + (leap && parts[1] == 2))
        return ERR_INVALID;
    int64_t days = (int64_t)parts[2] - 1;
    for (uint64_t month = 1; month < parts[1]; month++)
        days += lengths[month - 1] + (leap && month == 2);
    // Leap days of the years before, counted from the year 0; 1970 is where time begins.
    int64_t before = year - 1;
    days += 365 * (year - 1970) + (before / 4 - before / 100 + before / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
    *ret_seconds = days * 86400 + (int64_t)(parts[3] * 3600 + parts[4] * 60 + parts[5]);
    return 0;
}

static size_t count_digits(struct bytes word)
{
    size_t count = 0;
    while (count < word.len && word.ptr[count] >= '0' && word.ptr[count] <= '9')
        count++;
    return count;
}
