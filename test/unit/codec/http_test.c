// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "codec/http.h"

static int parse(const char *text, struct http_request *request)
{
    size_t used;
    int error = http_request_parse(bytes_from_string(text), 64, request, &used);
    if (error == 0)
        assert_int_equal(used, strlen(text));
    return error;
}

static int parse_error(const char *text)
{
    struct http_request request;
    return parse(text, &request);
}

static void a_request_is_path_query_and_keep_alive(void **state)
{
    struct http_request request;
    assert_int_equal(parse("GET /varz HTTP/1.1\r\nHost: a\r\n\r\n", &request), 0);
    assert_true(bytes_equal(request.path, BYTES("/varz")));
    assert_int_equal(request.query.len, 0);
    assert_false(request.head);
    assert_true(request.keep_alive);
    assert_int_equal(parse("HEAD /connz?subs=1&x HTTP/1.0\n\n", &request), 0);
    assert_true(bytes_equal(request.path, BYTES("/connz")));
    assert_true(bytes_equal(request.query, BYTES("subs=1&x")));
    assert_true(request.head);
    assert_false(request.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.1\r\nCONNECTION: foo, Close\r\n\r\n", &request), 0);
    assert_false(request.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\nConnection:\tkeep-alive \r\nContent-Length: 0\r\n\r\n", &request), 0);
    assert_true(request.keep_alive);
}

static void every_cut_of_a_request_waits_for_more(void **state)
{
    const char *text = "GET /varz?a=b HTTP/1.1\r\nHost: here\r\nX: y\r\n\r\n";
    struct http_request request;
    size_t used;
    for (size_t len = 0; len < strlen(text); len++)
        assert_int_equal(http_request_parse(bytes_make(text, len), 0, &request, &used), ERR_AGAIN);
}

static void fields_are_found_by_name_and_word(void **state)
{
    struct http_request request;
    struct bytes value;
    assert_int_equal(
        parse("GET / HTTP/1.1\r\nHost:  here:80 \r\nX-List: a, Upgrade\r\nEmpty:\r\nx-list:\tKEEP\r\n\r\n", &request),
        0);
    assert_true(http_field_find(request.fields, BYTES("host"), &value));
    assert_true(bytes_equal(value, BYTES("here:80")));
    assert_true(http_field_find(request.fields, BYTES("empty"), &value));
    assert_int_equal(value.len, 0);
    assert_true(http_field_find(request.fields, BYTES("x-list"), &value));
    assert_true(bytes_equal(value, BYTES("a, Upgrade")));
    assert_false(http_field_find(request.fields, BYTES("get /"), &value));
    assert_false(http_field_find(request.fields, BYTES("list"), &value));
    assert_true(http_field_has(request.fields, BYTES("x-list"), BYTES("upgrade")));
    assert_true(http_field_has(request.fields, BYTES("x-list"), BYTES("keep")));
    assert_false(http_field_has(request.fields, BYTES("x-list"), BYTES("up")));
    assert_int_equal(parse("GET / HTTP/1.1\r\n\r\n", &request), 0);
    assert_false(http_field_find(request.fields, BYTES("host"), &value));
}

static void the_next_request_stays(void **state)
{
    const char *text = "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
    struct http_request request;
    size_t used;
    assert_int_equal(http_request_parse(bytes_from_string(text), 0, &request, &used), 0);
    assert_true(bytes_equal(request.path, BYTES("/a")));
    assert_int_equal(used, strlen(text) / 2);
}

static void a_target_may_name_the_host(void **state)
{
    struct http_request request;
    assert_int_equal(parse("GET http://host:8222/varz?a=/b HTTP/1.1\r\n\r\n", &request), 0);
    assert_true(bytes_equal(request.path, BYTES("/varz")) && bytes_equal(request.query, BYTES("a=/b")));
    assert_int_equal(parse("GET https://host/ HTTP/1.1\r\n\r\n", &request), 0);
    assert_true(bytes_equal(request.path, BYTES("/")));
}

static void malformed_requests_are_refused(void **state)
{
    static const char *const texts[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1 x\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET varz HTTP/1.1\r\n\r\n",
        "GET http:///a HTTP/1.1\r\n\r\n",
        "GET http:// HTTP/1.1\r\n\r\n",
        "GET http://a HTTP/1.1\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\n\r\n",
        "GET /\xff HTTP/1.1\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
        " / HTTP/1.1\r\n\r\n",
        "GET / HTTX/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nA : x\r\n\r\n",
        "GET / HTTP/1.1\r\nA: x\r\n folded: y\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (parse_error(texts[i]) != ERR_PROTOCOL)
            fail_msg("accepted: %s", texts[i]);
    }
    struct http_request request;
    size_t used;
    assert_int_equal(http_request_parse(BYTES("GET /\0 HTTP/1.1\r\n\r\n"), 0, &request, &used), ERR_PROTOCOL);
    assert_int_equal(http_error_status(ERR_PROTOCOL), 400);
}

static void other_methods_versions_and_bodies_are_not_supported(void **state)
{
    assert_int_equal(parse_error("POST / HTTP/1.1\r\n\r\n"), ERR_UNSUPPORTED);
    assert_int_equal(parse_error("get / HTTP/1.1\r\n\r\n"), ERR_UNSUPPORTED);
    assert_int_equal(parse_error("GET / HTTP/2.0\r\n\r\n"), ERR_UNSUPPORTED);
    assert_int_equal(parse_error("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"), ERR_UNSUPPORTED);
    assert_int_equal(parse_error("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), ERR_UNSUPPORTED);
    assert_int_equal(http_error_status(ERR_UNSUPPORTED), 405);
}

static void a_post_has_a_body_of_the_length_it_says(void **state)
{
    struct http_request request;
    size_t used;
    const char *text = "POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
    assert_int_equal(parse(text, &request), 0);
    assert_true(request.post && !request.head);
    assert_true(bytes_equal(request.body, BYTES("hello")));
    for (size_t len = 0; len < strlen(text); len++)
        assert_int_equal(http_request_parse(bytes_make(text, len), 64, &request, &used), ERR_AGAIN);
    assert_int_equal(parse("POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n", &request), 0);
    assert_int_equal(request.body.len, 0);
    // More than one takes, whether it is there or not; and where no bodies are taken.
    assert_int_equal(parse_error("POST /a HTTP/1.1\r\nContent-Length: 65\r\n\r\n"), ERR_LIMIT);
    assert_int_equal(parse_error("POST /a HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"), ERR_LIMIT);
    assert_int_equal(http_error_status(ERR_LIMIT), 413);
    assert_int_equal(http_request_parse(bytes_from_string(text), 0, &request, &used), ERR_UNSUPPORTED);
    // What two programs could read differently.
    assert_int_equal(parse_error("GET /a HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n"), ERR_PROTOCOL);
    assert_int_equal(parse_error("POST /a HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
                     ERR_PROTOCOL);
    assert_int_equal(parse_error("POST /a HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello"), ERR_PROTOCOL);
    assert_int_equal(parse_error("POST /a HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello"), ERR_PROTOCOL);
    assert_int_equal(parse_error("POST /a HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello"),
                     ERR_UNSUPPORTED);
    assert_int_equal(parse_error("POST /a HTTP/1.1\r\n\r\n"), ERR_UNSUPPORTED);
}

static void a_head_that_is_too_long_is_refused(void **state)
{
    static char text[HTTP_HEAD_SIZE_MAX + 16];
    memset(text, 'a', sizeof(text));
    memcpy(text, "GET /", 5);
    struct http_request request;
    size_t used;
    assert_int_equal(http_request_parse(bytes_make(text, HTTP_HEAD_SIZE_MAX - 1), 0, &request, &used), ERR_AGAIN);
    assert_int_equal(http_request_parse(bytes_make(text, HTTP_HEAD_SIZE_MAX), 0, &request, &used), ERR_TOO_BIG);
    assert_int_equal(http_error_status(ERR_TOO_BIG), 431);
    memcpy(text + HTTP_HEAD_SIZE_MAX - 13, " HTTP/1.1\r\n\r\n", 13);
    assert_int_equal(http_request_parse(bytes_make(text, sizeof(text)), 0, &request, &used), 0);
    assert_int_equal(used, HTTP_HEAD_SIZE_MAX);
}

static void query_values_are_found_and_decoded(void **state)
{
    struct bytes query = BYTES("a=1&subs&name=caf%C3%A9+bar%3d&a=2&bad=%4&bad2=%zz&nul=%00");
    char value[16];
    assert_int_equal(http_query_find(query, BYTES("a"), value, sizeof(value)), 0);
    assert_string_equal(value, "1");
    assert_int_equal(http_query_find(query, BYTES("subs"), value, sizeof(value)), 0);
    assert_string_equal(value, "");
    assert_int_equal(http_query_find(query, BYTES("name"), value, sizeof(value)), 0);
    assert_string_equal(value, "caf\xc3\xa9 bar=");
    assert_int_equal(http_query_find(query, BYTES("name"), value, 10), ERR_TOO_BIG);
    assert_int_equal(http_query_find(query, BYTES("b"), value, sizeof(value)), ERR_NOT_FOUND);
    assert_int_equal(http_query_find(BYTES(""), BYTES("b"), value, sizeof(value)), ERR_NOT_FOUND);
    assert_int_equal(http_query_find((struct bytes){0}, BYTES("b"), value, sizeof(value)), ERR_NOT_FOUND);
    assert_int_equal(http_query_find(query, BYTES("bad"), value, sizeof(value)), ERR_INVALID);
    assert_int_equal(http_query_find(query, BYTES("bad2"), value, sizeof(value)), ERR_INVALID);
    assert_int_equal(http_query_find(query, BYTES("nul"), value, sizeof(value)), ERR_INVALID);
}

static void a_response_has_its_length_and_no_body_for_head(void **state)
{
    struct buffer out;
    buffer_init(&out, 1024);
    struct http_response response = {
        .status = 200, .content_type = BYTES("text/plain"), .body = BYTES("hello"), .keep_alive = true};
    assert_int_equal(http_response_append(&out, &response), 0);
    const char *full = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nCache-Control: no-store\r\n"
                       "Connection: keep-alive\r\n\r\nhello";
    assert_true(bytes_equal(buffer_bytes(&out), bytes_from_string(full)));
    buffer_clear(&out);
    response.date_ns = 1795411771425149490;
    assert_int_equal(http_response_append(&out, &response), 0);
    const char *dated = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Mon, 23 Nov 2026 05:29:31 GMT\r\n"
                        "Content-Length: 5\r\nCache-Control: no-store\r\nConnection: keep-alive\r\n\r\nhello";
    assert_true(bytes_equal(buffer_bytes(&out), bytes_from_string(dated)));
    response.date_ns = 0;
    buffer_clear(&out);
    response.head = true;
    assert_int_equal(http_response_append(&out, &response), 0);
    assert_true(bytes_equal(buffer_bytes(&out), bytes_make(full, strlen(full) - 5)));
    buffer_deinit(&out);
    buffer_init(&out, 150);
    response.head = false;
    assert_int_equal(http_response_append(&out, &response), 0);
    size_t before = out.len;
    assert_int_equal(http_response_append(&out, &response), ERR_TOO_BIG);
    assert_int_equal(out.len, before);
    buffer_deinit(&out);
}

static uint32_t weigh(const char *accept, const char *type, bool named)
{
    char fields[512];
    int len = snprintf(fields, sizeof(fields), "Host: h\r\nAccept: %s\r\n\r\n", accept);
    return http_accept_weight(bytes_make(fields, (size_t)len), bytes_from_string(type), BYTES("0.0.4, 1.0.0"), named);
}

static void content_is_weighed_as_the_client_says(void **state)
{
    // What Prometheus 2 and 3 send.
    const char *two = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const char *three = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                        "text/plain;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    assert_int_equal(weigh(two, "application/openmetrics-text", true), 1000);
    assert_int_equal(weigh(two, "text/plain", false), 500);
    assert_int_equal(weigh(three, "application/openmetrics-text", true), 600);
    assert_int_equal(weigh("*/*", "text/plain", false), 1000);
    assert_int_equal(weigh("*/*", "text/plain", true), 0);
    assert_int_equal(weigh("text/*;q=0.2, */*", "text/plain", false), 200);
    assert_int_equal(weigh("text/plain;q=0.1;version=7, TEXT/PLAIN ; Q = 0.25", "text/plain", false), 250);
    assert_int_equal(weigh("text/plain;version=2", "text/plain", false), 0);
    assert_int_equal(weigh("text/plain;q=0", "text/plain", false), 0);
    assert_int_equal(weigh("text/plain;q=0.1234", "text/plain", false), 123);
    assert_int_equal(weigh("text/plain;q=nine, text/plain;q=-1, text/plain;q=7", "text/plain", false), 0);
    assert_int_equal(weigh("text/plain;q=1.9", "text/plain", false), 1000);
    assert_int_equal(weigh(",;,=;q,text", "text/plain", false), 0);
    assert_int_equal(http_accept_weight(BYTES("Host: h\r\n\r\n"), BYTES("a/b"), BYTES(""), false), 1000);
    assert_int_equal(http_accept_weight(BYTES("Host: h\r\n\r\n"), BYTES("a/b"), BYTES(""), true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_path_query_and_keep_alive),
        cmocka_unit_test(every_cut_of_a_request_waits_for_more),
        cmocka_unit_test(fields_are_found_by_name_and_word),
        cmocka_unit_test(the_next_request_stays),
        cmocka_unit_test(a_target_may_name_the_host),
        cmocka_unit_test(malformed_requests_are_refused),
        cmocka_unit_test(other_methods_versions_and_bodies_are_not_supported),
        cmocka_unit_test(a_post_has_a_body_of_the_length_it_says),
        cmocka_unit_test(a_head_that_is_too_long_is_refused),
        cmocka_unit_test(query_values_are_found_and_decoded),
        cmocka_unit_test(content_is_weighed_as_the_client_says),
        cmocka_unit_test(a_response_has_its_length_and_no_body_for_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
