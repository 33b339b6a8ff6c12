// SPDX-License-Identifier: Apache-2.0
// What a line of the log looks like; and that JSON is JSON whatever it is made of.
#include "os/log_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/prng.h"
#include "base/utf8.h"

static char line[LOG_LINE_MAX + 1];
static size_t begin;

__attribute__((format(printf, 3, 4))) static size_t write_line(const struct log_line_style *style, enum log_level level,
                                                               const char *format, ...)
{
    const struct timespec now = {.tv_sec = 1795420800, .tv_nsec = 1234567};
    va_list arguments;
    va_start(arguments, format);
    size_t len = log_line_format(line, style, &now, 4711, level, &begin, format, arguments);
    va_end(arguments);
    assert_true(len <= LOG_LINE_MAX);
    line[len] = '\0';
    return len;
}

static void text_is_as_nats_server_has_it(void **state)
{
    const struct log_line_style style = {.time = true, .time_utc = true}, bare = {.json = false};
    write_line(&style, LOG_WARN, "disk at %d%%", 97);
    assert_string_equal(line, "[4711] 2026/11/23 08:00:00.001234 [WRN] disk at 97%\n");
    assert_string_equal(line + begin, "disk at 97%\n");
    write_line(&bare, LOG_ERROR, "a\nb\x7f");
    assert_string_equal(line, "[4711] [ERR] a?b?\n");
}

static void json_has_members(void **state)
{
    static const struct {
        const char *text, *members;
    } cases[] = {
        {"Server is ready", "\"msg\":\"Server is ready\"}\n"},
        {"127.0.0.1:4711 - cid:5 - \"v1:c:a\\\"b\" - Client connection closed",
         "\"client\":\"127.0.0.1:4711\",\"cid\":5,\"name\":\"v1:c:a\\\\\\\"b\",\"msg\":\"Client connection "
         "closed\"}\n"},
        {"[::1]:4711 - cid:18446744073709551615 - ",
         "\"client\":\"[::1]:4711\",\"cid\":18446744073709551615,\"msg\":\"\"}\n"},
        // What only looks like it.
        {"a - cid: - b", "\"msg\":\"a - cid: - b\"}\n"},
        {"a - cid:5x - b", "\"msg\":\"a - cid:5x - b\"}\n"},
        {" - cid:5 - b", "\"msg\":\" - cid:5 - b\"}\n"},
        {"a - cid:5 - \"b", "\"client\":\"a\",\"cid\":5,\"msg\":\"\\\"b\"}\n"},
        {"a - cid:5 - \"b\\", "\"client\":\"a\",\"cid\":5,\"msg\":\"\\\"b\\\\\"}\n"},
        {"a - cid:5 - \"b\" c", "\"client\":\"a\",\"cid\":5,\"msg\":\"\\\"b\\\" c\"}\n"},
        {"a - cid:5", "\"msg\":\"a - cid:5\"}\n"},
        {"", "\"msg\":\"\"}\n"},
    };
    const struct log_line_style style = {.json = true, .time = true}, bare = {.json = true};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char wanted[512];
        write_line(&style, LOG_INFO, "%s", cases[i].text);
        snprintf(wanted, sizeof(wanted), "{\"time\":\"2026-11-23T08:00:00.001234Z\",\"level\":\"info\",\"pid\":4711,%s",
                 cases[i].members);
        assert_string_equal(line, wanted);
        assert_int_equal(begin, 0);
    }
    write_line(&bare, LOG_FATAL, "a\n\xff");
    assert_string_equal(line, "{\"level\":\"fatal\",\"pid\":4711,\"msg\":\"a\\u000a\xef\xbf\xbd\"}\n");
}

// One object: only its strings hold escapes, all of them are closed, and nothing is left open at the end.
static void assert_is_json(size_t len)
{
    bool in_string = false;
    assert_true(len > 4 && line[0] == '{' && memcmp(line + len - 3, "\"}\n", 3) == 0);
    for (size_t i = 0; i < len - 1;) {
        size_t size = utf8_len(bytes_make(line + i, len - i));
        assert_true(size > 0 && (unsigned char)line[i] >= ' ');
        if (line[i] == '"')
            in_string = !in_string;
        assert_true(line[i] != '\\' || in_string);
        if (line[i] == '\\')
            size = line[i + 1] == 'u' ? 6 : 2;
        i += size;
        assert_true(i <= len - 1);
    }
    assert_false(in_string);
}

static void json_is_json_whatever_it_is_made_of(void **state)
{
    const struct log_line_style style = {.json = true, .time = true};
    static char text[2 * LOG_LINE_MAX];
    struct prng prng;
    prng_seed(&prng, 4711);
    for (int round = 0; round < 3000; round++) {
        size_t len = prng_below(&prng, round % 2 ? 64 : sizeof(text) - 64), kind = prng_below(&prng, 4);
        size_t at = 0;
        if (round % 3 == 0)
            at = (size_t)snprintf(text, 64, "127.0.0.1:1 - cid:%d - \"", round);
        for (; at < len; at++) {
            static const char edges[] = "\"\\\n\xc3\xa4";
            text[at] = kind == 0   ? (char)(prng_below(&prng, 255) + 1)
                       : kind == 1 ? edges[prng_below(&prng, sizeof(edges) - 1)]
                                   : "\x01x"[kind - 2];
        }
        memcpy(text + at, round % 5 == 0 ? "\" - end" : "", round % 5 == 0 ? 8 : 1);
        size_t written = write_line(&style, LOG_DEBUG, "%s", text);
        assert_is_json(written);
    }
}

// A long name leaves room for what happened.
static void names_do_not_push_out_messages(void **state)
{
    const struct log_line_style style = {.json = true};
    static char name[3500];
    memset(name, '\\', sizeof(name) - 2);
    size_t len = write_line(&style, LOG_INFO, "a - cid:1 - \"%s\" - it is gone", name);
    assert_is_json(len);
    assert_non_null(strstr(line, "\"msg\":\"it is gone\"}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_as_nats_server_has_it),
        cmocka_unit_test(json_has_members),
        cmocka_unit_test(json_is_json_whatever_it_is_made_of),
        cmocka_unit_test(names_do_not_push_out_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
