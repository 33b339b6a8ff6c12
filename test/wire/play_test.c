// SPDX-License-Identifier: Apache-2.0
// That what is wrong is seen: transcripts against made-up servers that say the right thing, too little, too much, or something else; and
// transcripts that are none.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/must.h"
#include "play.h"
#include "proto_fields.h"

#define INFO "INFO {\"server_id\":\"N\",\"port\":4222,\"ids\":[1,2]} \r\n"

// A server that says one thing after each thing it is told, whatever that is. A NULL ends the connection.
struct server {
    const char *answers[12];
    size_t count;
    struct buffer told;
};

static void answer(struct server *server, struct play *play, size_t conn)
{
    const char *text = server->answers[server->count];
    server->count++;
    if (text)
        play_data(play, conn, bytes_from_string(text));
    else
        play_closed(play, conn);
}

// Plays the section on it; gives what went wrong, "" for nothing.
static void run(const char *text, struct server *server, char failure[PLAY_FAILURE_SIZE])
{
    struct transcript transcript;
    char message[TRANSCRIPT_MESSAGE_SIZE];
    int error = transcript_read(&transcript, "made.up", bytes_from_string(text), message);
    if (error)
        fail_msg("%s", message);
    struct play play;
    play_init(&play, &transcript, &transcript.sections[0], TRANSCRIPT_WEIR);
    buffer_init(&server->told, SIZE_MAX / 4);
    struct play_step step;
    while ((step = play_next(&play)).kind != PLAY_DONE && step.kind != PLAY_FAILED) {
        if (step.kind == PLAY_SEND)
            must(buffer_append(&server->told, step.bytes) == 0);
        if (step.kind == PLAY_OPEN)
            play_data(&play, step.conn, BYTES(INFO));
        if (step.kind == PLAY_SEND)
            answer(server, &play, step.conn);
        if (step.kind == PLAY_WAIT)
            play_timeout(&play);
    }
    memcpy(failure, play.failure, PLAY_FAILURE_SIZE);
    play_deinit(&play);
    transcript_deinit(&transcript);
}

static void expect(const char *text, struct server server, const char *wanted_failure)
{
    char failure[PLAY_FAILURE_SIZE];
    run(text, &server, failure);
    buffer_deinit(&server.told);
    if (!wanted_failure[0])
        assert_string_equal(failure, "");
    else if (!strstr(failure, wanted_failure))
        fail_msg("\"%s\" is not in \"%s\"", wanted_failure, failure);
}

#define TALK "== talk\n> SUB a 1\n< MSG a 1 2\n< hi\n"

static void what_is_right_passes(void **state)
{
    (void)state;
    expect(TALK, (struct server){.answers = {"MSG a 1 2\r\nhi\r\n", "PONG\r\n"}}, "");
    expect(TALK, (struct server){.answers = {"PING\r\nMSG a 1 2\r\nhi\r\n", "", "PONG\r\n"}}, "");
    expect("== end\n> x\n< -ERR 'x'\nclosed\n", (struct server){.answers = {"-ERR 'x'\r\n"}}, "has not closed");
    expect("== end\n> x\nclosed\n", (struct server){.answers = {NULL}}, "");
    expect("== two\na> x\nb> y\nb<? 1\nb<? 2\n", (struct server){.answers = {"", "2\r\n1\r\n", "PONG\r\n", "PONG\r\n"}},
           "");
}

static void another_byte_is_seen(void **state)
{
    (void)state;
    const char *const WRONG[] = {"MSG b 1 2\r\nhi\r\n",       "MSG a 1 2\r\nho\r\n", "MSG a 1 3\r\nhi!\r\n",
                                 "MSG a  1 2\r\nhi\r\n",      "msg a 1 2\r\n",       "HMSG a 1 2 2\r\nhi\r\n",
                                 "+OK\r\nMSG a 1 2\r\nhi\r\n"};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
        expect(TALK, (struct server){.answers = {WRONG[i], "PONG\r\n"}}, "made.up:3: expected: MSG a 1 2 + hi");
    expect(TALK, (struct server){.answers = {"MSG a 1 2\r\nhi!!", "PONG\r\n"}}, "no operation");
    expect(TALK, (struct server){.answers = {"MSG a 1 2\nhi\n\r\n", "PONG\r\n"}}, "no operation");
    expect(TALK, (struct server){.answers = {"MSG a 1 x\r\nhi\r\n", "PONG\r\n"}}, "no operation");
}

static void too_little_is_seen(void **state)
{
    (void)state;
    expect(TALK, (struct server){.answers = {""}}, "nothing came, expected: MSG a 1 2");
    expect(TALK, (struct server){.answers = {"MSG a 1 2\r\nhi\r"}}, "nothing came, expected: MSG a 1 2");
    expect(TALK, (struct server){.answers = {NULL}}, "closed the connection, expected: MSG a 1 2");
    expect("== end\n> x\nclosed\n", (struct server){.answers = {""}}, "has not closed");
    expect("== two\na> x\na<? 1\na<? 2\n", (struct server){.answers = {"1\r\n"}}, "nothing came");
}

static void too_much_is_seen(void **state)
{
    (void)state;
    expect(TALK, (struct server){.answers = {"MSG a 1 2\r\nhi\r\n+OK\r\n", "PONG\r\n"}},
           "expected: PONG: nothing else");
    expect(TALK, (struct server){.answers = {"MSG a 1 2\r\nhi\r\n", "PONG\r\nPONG\r\n"}}, "expected: nothing more");
    expect(TALK, (struct server){.answers = {"MSG a 1 2\r\nhi\r\n", NULL}}, "closed the connection");
    expect("== end\n> x\nclosed\n", (struct server){.answers = {"+OK\r\n"}}, "the connection is closed");
    expect("== end\n> x\nquiet\n", (struct server){.answers = {"+OK\r\n", "PONG\r\n"}}, "nothing else");
    expect("== two\na> x\na<? 1\na<? 2\n", (struct server){.answers = {"1\r\n1\r\n2\r\n", "PONG\r\n"}}, "expected: 1");
}

static void placeholders_hold(void **state)
{
    (void)state;
    const char *text =
        "== talk\nlet me you\n> A ${me}\n< B ${first=} ${_}\n> C ${first} ${#}\n> pb{1:\"${first}\" 2:300}\n"
        "< MSG ${first} ${#}\n< pb{1:\"${second=}x\" 2:${_}}\n> ${second}\\r\\x41\\\n";
    struct server server = {.answers = {"B one two\r\n", "MSG one 7\r\n\x0a\x03twx\x10\x07\r\n", "", "PONG\r\n"}};
    char failure[PLAY_FAILURE_SIZE];
    run(text, &server, failure);
    assert_string_equal(failure, "");
    static const char TOLD[] = "A you\r\nC one 8\r\n\x0a\x03one\x10\xac\x02\r\ntw\rAPING\r\n";
    assert_int_equal(server.told.len, sizeof(TOLD) - 1);
    assert_memory_equal(server.told.ptr, TOLD, sizeof(TOLD) - 1);
    buffer_deinit(&server.told);
    server.answers[1] = "MSG two 7\r\n\x0a\x03twx\x10\x07\r\n";
    server.count = 0;
    run(text, &server, failure);
    assert_non_null(strstr(failure, "expected: MSG ${first} ${#}"));
    buffer_deinit(&server.told);
}

static void names_without_a_value_are_seen(void **state)
{
    (void)state;
    expect("== a\n> A ${nobody}\n", (struct server){.answers = {""}}, "no value yet");
    expect("== a\n> A ${_}\n", (struct server){.answers = {""}}, "cannot be here");
    expect("== a\n> A \\q\n", (struct server){.answers = {""}}, "escape");
    expect("== a\n> A\n< ${nobody}\n", (struct server){.answers = {"x\r\n"}}, "expected: ${nobody}");
}

static bool is_json_match(const char *wanted, const char *actual)
{
    struct pattern_vars vars;
    pattern_vars_init(&vars);
    bool same = pattern_match_json(bytes_from_string(wanted), bytes_from_string(actual), &vars);
    pattern_vars_deinit(&vars);
    return same;
}

static void json_has_what_is_asked(void **state)
{
    (void)state;
    assert_true(is_json_match("{\"a\":1}", "{\"a\":1,\"b\":2}"));
    assert_true(is_json_match("{\"a\":\"${_}\",\"c\":\"${absent}\"}", "{\"a\":[]}"));
    assert_true(is_json_match("{\"a\":{\"x\":[1,\"${_}\"]}}", "{\"a\":{\"x\":[1,2],\"y\":3}}"));
    assert_false(is_json_match("{\"a\":1}", "{\"a\":2}"));
    assert_false(is_json_match("{\"a\":1}", "{\"a\":\"1\"}"));
    assert_false(is_json_match("{\"a\":\"${_}\"}", "{}"));
    assert_false(is_json_match("{\"a\":\"${absent}\"}", "{\"a\":null}"));
    assert_false(is_json_match("{\"a\":[1]}", "{\"a\":[1,2]}"));
    assert_false(is_json_match("{\"a\":1}", "{\"a\":1"));
}

static bool is_proto_match(const char *text, struct bytes message)
{
    struct pattern_vars vars;
    pattern_vars_init(&vars);
    bool same = proto_fields_match(bytes_from_string(text), message, &vars);
    pattern_vars_deinit(&vars);
    return same;
}

static void protobuf_is_written_and_read(void **state)
{
    (void)state;
    struct pattern_vars vars;
    pattern_vars_init(&vars);
    struct buffer out;
    buffer_init(&out, SIZE_MAX / 4);
    assert_null(proto_fields_encode(BYTES("pb{1:\"me\" 3:300 2:\"\" 16:-1 5:\"\\x00}\"}"), &vars, &out));
    static const char WANTED[] =
        "\x0a\x02me\x18\xac\x02\x12\x00\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x2a\x02\x00}";
    assert_int_equal(out.len, sizeof(WANTED) - 1);
    assert_memory_equal(out.ptr, WANTED, out.len);
    assert_true(is_proto_match("pb{1:\"me\" 3:300 2:\"\" 16:-1 5:\"\\x00}\"}", buffer_bytes(&out)));
    assert_false(is_proto_match("pb{1:\"me\" 3:300 2:\"\" 16:-1}", buffer_bytes(&out)));
    assert_false(is_proto_match("pb{1:\"me\" 3:301 2:\"\" 16:-1 5:\"\\x00}\"}", buffer_bytes(&out)));
    assert_false(is_proto_match("pb{3:300 1:\"me\" 2:\"\" 16:-1 5:\"\\x00}\"}", buffer_bytes(&out)));
    assert_true(is_proto_match("pb{}", BYTES("")));
    assert_true(is_proto_match("pb{1:${_}}", BYTES("\x08\x05")));
    assert_false(is_proto_match("pb{1:5}", BYTES("\x08\x85\x00"))); // longer than it has to be
    assert_false(is_proto_match("pb{1:\"abc\"}", BYTES("\x0a\x03"
                                                       "ab")));
    assert_non_null(proto_fields_encode(BYTES("pb{1:me}"), &vars, &out));
    assert_non_null(proto_fields_encode(BYTES("pb{1}"), &vars, &out));
    assert_non_null(proto_fields_encode(BYTES("pb{1:\"me}"), &vars, &out));
    buffer_deinit(&out);
    pattern_vars_deinit(&vars);
}

static void refuse(const char *text, const char *wanted)
{
    struct transcript transcript;
    char message[TRANSCRIPT_MESSAGE_SIZE];
    assert_int_equal(transcript_read(&transcript, "made.up", bytes_from_string(text), message), ERR_INVALID);
    if (!strstr(message, wanted))
        fail_msg("\"%s\" is not in \"%s\"", wanted, message);
}

static void what_is_no_transcript_is_told_with_its_line(void **state)
{
    (void)state;
    refuse("# nothing\n", "no section");
    refuse("== a\n>PING\n", "made.up:2: a blank is missing");
    refuse("== a\n< MSG a 1 2\n", "made.up:2: the payload is missing");
    refuse("== a\na< MSG a 1 2\nb< hi\n", "made.up:3: this should be the payload");
    refuse("== a\n> PUB a ${#}\n< hi\n", "this should be the payload");
    refuse("== a\nwait 3s\n", "made.up:2: not a line of a transcript: wait");
    refuse("== a\nadvance 3s\n", "only simulation");
    refuse("== a\nonly simulation: because\nadvance 3h\n", "a time like");
    refuse("== a\nonly weir\n", "REASON");
    refuse("== a\nonly me: because\n", "the players are");
    refuse("== a\nreload\n", "followed by configuration");
    refuse("== a\n| port: 1\n", "at the head");
    refuse("== a\nlet x\n", "let NAME TEXT");
}

static void lines_are_for_their_players(void **state)
{
    (void)state;
    const char *text =
        "== a\n> x\nonly nats-server: it says more\n< more\nonly weir: it says less\n< less\neveryone\n< end\n";
    expect(text, (struct server){.answers = {"less\r\nend\r\n", "PONG\r\n"}}, "");
    expect(text, (struct server){.answers = {"more\r\nend\r\n", "PONG\r\n"}}, "expected: less");
}

static void what_stands_first_begins_every_section(void **state)
{
    (void)state;
    const char *text = "> first\n< one\n== a\n> second\n< two\n";
    expect(text, (struct server){.answers = {"one\r\n", "two\r\n", "PONG\r\n"}}, "");
    expect(text, (struct server){.answers = {"two\r\n"}}, "made.up:2: expected: one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_passes),
        cmocka_unit_test(another_byte_is_seen),
        cmocka_unit_test(too_little_is_seen),
        cmocka_unit_test(too_much_is_seen),
        cmocka_unit_test(placeholders_hold),
        cmocka_unit_test(names_without_a_value_are_seen),
        cmocka_unit_test(json_has_what_is_asked),
        cmocka_unit_test(protobuf_is_written_and_read),
        cmocka_unit_test(what_is_no_transcript_is_told_with_its_line),
        cmocka_unit_test(lines_are_for_their_players),
        cmocka_unit_test(what_stands_first_begins_every_section),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
