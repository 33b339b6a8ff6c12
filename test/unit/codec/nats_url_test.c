// SPDX-License-Identifier: Apache-2.0
// Addresses of servers as people write them.
#include "codec/nats_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"

static void expect(const char *text, const char *wanted)
{
    struct nats_url url;
    char got[2048];
    if (nats_url_parse(text, &url))
        fail_msg("\"%s\" is refused", text);
    snprintf(got, sizeof(got), "%s %s %s|%s|%s|%s", url.is_tls ? "tls" : "any", url.host, url.port, url.user,
             url.password, url.token);
    assert_string_equal(got, wanted);
}

static void addresses_are_read(void **state)
{
    expect("localhost", "any localhost 4222|||");
    expect("localhost:1", "any localhost 1|||");
    expect("nats://127.0.0.1:65535/", "any 127.0.0.1 65535|||");
    expect("tls://nats.example.com", "tls nats.example.com 4222|||");
    expect("TLS://ann:pass@host", "tls host 4222|ann|pass|");
    expect("Nats://host", "any host 4222|||");
    expect("[::1]:4223", "any ::1 4223|||");
    expect("nats://[::1]", "any ::1 4222|||");
    expect("nats://user:word@host:1", "any host 1|user|word|");
    expect("nats://s3cret@host", "any host 4222|||s3cret");
    expect("nats://user:@host", "any host 4222|user||");
    expect("tls://u%40x:p%3A%2F@[fe80::1]:1", "tls fe80::1 1|u@x|p:/|");
    expect("nats://user:p@ss@host", "any host 4222|user|p@ss|");
}

static void others_are_refused(void **state)
{
    const char *wrong[] = {"",
                           "nats://",
                           ":4222",
                           "host:",
                           "host:0",
                           "host:65536",
                           "host:x",
                           "[::1",
                           "[]:1",
                           "[::1]4222",
                           "a/b",
                           "http://a",
                           "user:pw@",
                           "a%4:b@host",
                           "a:%@ho",
                           "h:1:2",
                           "tls://:1",
                           "[::1]:0",
                           "a:b%00c@host",
                           "host:-1",
                           "h: 1",
                           " ",
                           "a b",
                           " a",
                           "a\tb:1",
                           "a\r\nb",
                           "wss://ann:s3cret@host",
                           "http://ann:s3cret@host",
                           "tls:/ann://s3cret@host"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct nats_url url;
        if (nats_url_parse(wrong[i], &url) != ERR_INVALID)
            fail_msg("\"%s\" is taken", wrong[i]);
    }
}

static void nothing_is_too_long(void **state)
{
    struct nats_url url;
    char *text = mem_alloc(2000);
    for (size_t len = 250; len < 260; len++) {
        snprintf(text, 2000, "%0*d", (int)len, 0);
        assert_int_equal(nats_url_parse(text, &url), len < 256 ? 0 : ERR_INVALID);
        snprintf(text, 2000, "%0*d:x@host", (int)len, 0);
        assert_int_equal(nats_url_parse(text, &url), len < 256 ? 0 : ERR_TOO_BIG);
        snprintf(text, 2000, "x:%0*d@host", (int)len, 0);
        assert_int_equal(nats_url_parse(text, &url), len < 256 ? 0 : ERR_TOO_BIG);
        snprintf(text, 2000, "%0*d@host", (int)len, 0);
        assert_int_equal(nats_url_parse(text, &url), len < 256 ? 0 : ERR_TOO_BIG);
    }
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(nothing_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
