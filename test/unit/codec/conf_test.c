// SPDX-License-Identifier: Apache-2.0
// The configuration language (CO-X03): what text becomes, and what is refused where. Expected trees are written in one line:
// s"text", i4, f0.5, t0 (seconds since 1970), true, [elements], {name: value}.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/conf.h"

struct file {
    const char *path, *text;
};

// What tests include and find in the environment.
static const struct file files[] = {
    {"etc/users.conf", "ALICE: secret\nusers = [a, b] # two\n"},
    {"etc/nothing.conf", ""},
    {"etc/empty.conf", "\n # nothing\n"},
    {"etc/again.conf", "include 'again.conf'"},
    {"etc/broken.conf", "a: 1\n b: [1 2]"},
    {"etc/sub/inner.conf", "include \"../users.conf\"; deep: 1"},
    {"etc/variable.conf", "from_outside: $outer"},
    {"etc/sub/../users.conf", "ALICE: secret\nusers = [a, b]"},
    {"/abs/one.conf", "absolute: yes"},
};
static const struct file variables[] = {
    {"NUMBER", "22"}, {"TEXT", "xyz"},   {"QUOTED", "'3 x'"},     {"LIST", "[1, 2]"},
    {"EMPTY", ""},    {"LOOP", "$LOOP"}, {"TWO", "secret words"}, {"SEE", "$NUMBER"},
    {"A", "$B"},      {"B", "$A"},       {"BROKEN", "[hidden1"},  {"port", "9"},
};

static int read_file(void *owner, const char *path, struct buffer *content)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(files[i].path, path) == 0)
            return buffer_append(content, bytes_from_string(files[i].text));
    }
    return strcmp(path, "etc/locked.conf") == 0 ? ERR_PERMISSION : ERR_NOT_FOUND;
}

static const char *environment(void *owner, const char *name)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (strcmp(variables[i].path, name) == 0)
            return variables[i].text;
    }
    return NULL;
}

static const struct conf_source source = {NULL, read_file, environment};

static void show(struct buffer *out, const struct conf_value *value)
{
    int error = 0;
    if (value->type == CONF_STRING) {
        error = buffer_printf(out, "s\"%.*s\"", BYTES_ARG(value->text));
        assert_int_equal(strlen(value->text.ptr), value->text.len);
    } else if (value->type == CONF_BOOL) {
        error = buffer_printf(out, value->boolean ? "true" : "false");
    } else if (value->type == CONF_INTEGER) {
        error = buffer_printf(out, "i%lld", (long long)value->integer);
    } else if (value->type == CONF_FLOAT) {
        error = buffer_printf(out, "f%g", value->real);
    } else if (value->type == CONF_TIME) {
        error = buffer_printf(out, "t%lld", (long long)value->seconds);
    } else {
        bool map = value->type == CONF_MAP;
        size_t count = 0;
        error = buffer_append_char(out, map ? '{' : '[');
        for (const struct conf_member *member = value->first; member; member = member->next, count++) {
            if (map)
                error |= buffer_printf(out, "%s%.*s: ", count ? ", " : "", BYTES_ARG(member->name));
            else
                error |= buffer_printf(out, "%s", count ? ", " : "");
            show(out, &member->value);
        }
        assert_int_equal(count, value->count);
        error |= buffer_append_char(out, map ? '}' : ']');
    }
    assert_int_equal(error, 0);
}

static void expect(const char *text, const char *wanted)
{
    struct conf conf;
    struct conf_error wrong;
    struct buffer out;
    buffer_init(&out, 1 << 20);
    if (conf_read_text(&conf, &source, "etc/main.conf", bytes_from_string(text), &wrong))
        fail_msg("%s\n%s:%u:%u: %s", text, wrong.place.file, wrong.place.line, wrong.place.column, wrong.text);
    show(&out, &conf.root);
    assert_int_equal(buffer_append_char(&out, '\0'), 0);
    if (strcmp(out.ptr, wanted) != 0)
        fail_msg("%.200s\n  gives  %s\n  not    %s", text, out.ptr, wanted);
    buffer_deinit(&out);
    conf_deinit(&conf);
}

// `wanted`: "file:line:column: " and a part of the text.
static void refuse(const char *text, const char *wanted)
{
    struct conf conf;
    struct conf_error wrong;
    char message[600];
    if (conf_read_text(&conf, &source, "etc/main.conf", bytes_from_string(text), &wrong) != ERR_INVALID)
        fail_msg("accepted: %.200s", text);
    conf_error_format(&wrong, message, sizeof(message));
    const char *part = strstr(wanted, ": ");
    assert_non_null(part);
    if (strncmp(message, wanted, (size_t)(part - wanted)) != 0 || !strstr(message, part + 2))
        fail_msg("%.200s\n  says   %s\n  not    %s", text, message, wanted);
    assert_null(strstr(message, "secret"));
    conf_deinit(&conf);
}

static void keys_and_separators(void **state)
{
    expect("", "{}");
    expect(" \n\t# nothing\n// at all", "{}");
    expect("\xef\xbb\xbf"
           "a: 1",
           "{a: i1}");
    expect("a=1\nb:2\nc 3\nd= 4\ne : 5", "{a: i1, b: i2, c: i3, d: i4, e: i5}");
    expect("foo='1'; bar=2.2; baz=true; boo=22", "{foo: s\"1\", bar: f2.2, baz: true, boo: i22}");
    expect("a 1, b 2,\nc 3;;\nd 4", "{a: i1, b: i2, c: i3, d: i4}");
    expect("a: 1\r\nb: 2\r\n", "{a: i1, b: i2}");
    expect("a: 1\rb: 2", "{a: i1, b: i2}");
    expect("key\n  value", "{key: s\"value\"}");
    expect("m {a:\n 1}", "{m: {a: i1}}");
    expect("\"a b\": 1\n'c=\"d': 2", "{a b: i1, c=\"d: i2}");
    expect("x\xc2\xa0 y", "{x: s\"y\"}");
    expect("\xc3\xa4\xe2\x82\xac: \xf0\x9f\x98\x80", "{\xc3\xa4\xe2\x82\xac: s\"\xf0\x9f\x98\x80\"}");
    expect("a: 1\na: 2\nA: 3", "{a: i2, A: i3}");
    expect("includes: 1\ninclude: 2", "{includes: i1, include: i2}");
    expect("foo.*: 1\n{a}: 2", "{foo.*: i1, {a}: i2}");
}

static void maps_and_arrays(void **state)
{
    expect("foo  {\n host {\n ip = '127.0.0.1'\n port = 4242\n }\n servers = [ \"a.com\", \"b.com\"]\n}",
           "{foo: {host: {ip: s\"127.0.0.1\", port: i4242}, servers: [s\"a.com\", s\"b.com\"]}}");
    expect("a {}\nb []", "{a: {}, b: []}");
    expect("a { b { c { d 1 } } } ; e 2", "{a: {b: {c: {d: i1}}}, e: i2}");
    expect("a {b 1, c 2; d 3\ne 4,}", "{a: {b: i1, c: i2, d: i3, e: i4}}");
    expect("a [1, 2\n3,\n4\n,5 # six\n 6,]", "{a: [i1, i2, i3, i4, i5, i6]}");
    expect("a [ {b 1} // one\n {c 2} ]", "{a: [{b: i1}, {c: i2}]}");
    expect("a [[1],[],[2 ,[3]]]", "{a: [[i1], [], [i2, [i3]]]}");
    expect("a [x,y]\nb {c z}", "{a: [s\"x\", s\"y\"], b: {c: s\"z\"}}");
    expect("accounts { users = [{}]}\n }\n", "{accounts: {users: [{}]}}");
    expect("a [\n nats://a:b@h:1\n nats://h:2\n]", "{a: [s\"nats://a:b@h:1\", s\"nats://h:2\"]}");
}

static void json_is_a_part_of_it(void **state)
{
    expect("{}", "{}");
    expect("{ # comment\n }", "{}");
    expect("{\n{\n a: 1 // c\n}\n# d\n}\n# e", "{a: i1}");
    expect("{ a: 1 }\n}", "{a: i1}");
    expect("{\"port\": 4227, \"d\": \"1h\", \"c\": {\"r\": [\"x\", \"y\"], \"e\": {}, \"t\": true, \"f\": 1.5e3}}\n",
           "{port: i4227, d: s\"1h\", c: {r: [s\"x\", s\"y\"], e: {}, t: true, f: f1500}}");
    expect("{\n\"a\"\n:\n1\n,\n\"b\":\"\\u00e9\\ud83d\\ude00\\/\\b\\f\"}",
           "{a: i1, b: s\"\xc3\xa9\xf0\x9f\x98\x80/\b\f\"}");
}

static void strings(void **state)
{
    expect("a 'x\\n\"#y'", "{a: s\"x\\n\"#y\"}");
    expect("a \"x\\t\\n\\r\\\"\\\\ \\x41\\xe9'\"", "{a: s\"x\t\n\r\"\\ A\xe9'\"}");
    expect("a 'two\nlines'\nb \"two\nlines\"", "{a: s\"two\nlines\", b: s\"two\nlines\"}");
    expect("a x#y\nb x//y #z", "{a: s\"x#y\", b: s\"x//y\"}");
    expect("a x\\x20y", "{a: s\"x y\"}");
    expect("a \\x31", "{a: s\"1\"}");
    expect("a ''\nb \"\"", "{a: s\"\", b: s\"\"}");
    expect("a 12'3'\nb 1\\2\\x41", "{a: s\"12'3\", b: s\"1\\2A\"}");
    expect("a x'\nb y", "{a: s\"x\", b: s\"y\"}");
}

static void blocks(void **state)
{
    expect("a (\nfirst\n  second )\n)\nb 1", "{a: s\"\nfirst\n  second )\n\", b: i1}");
    expect("a (x\n)", "{a: s\"x\n\"}");
    expect("a (\r\nx\r\n)\r\n", "{a: s\"\r\nx\r\n\"}");
    expect("a (\n)b\n )\n)\n", "{a: s\"\n)b\n )\n\"}");
}

static void words_are_typed_by_their_looks(void **state)
{
    expect("a [true, YES, On, false, No, off, ons]", "{a: [true, true, true, false, false, false, s\"ons\"]}");
    expect("a [0, -5, 007, 9223372036854775807, -9223372036854775808]",
           "{a: [i0, i-5, i7, i9223372036854775807, i-9223372036854775808]}");
    expect("a [8k, 4kb, 3Ki, 4kib, 1m, 2MB, 2Mi, 64MiB]",
           "{a: [i8000, i4096, i3072, i4096, i1000000, i2097152, i2097152, i67108864]}");
    expect("a [2g, 2GB, 1T, 1tib, 1p, 1PiB, 1e, 1EB, -1k]",
           "{a: [i2000000000, i2147483648, i1000000000000, i1099511627776, i1000000000000000, i1125899906842624, "
           "i1000000000000000000, i1152921504606846976, i-1000]}");
    expect("a [2.2, -0.5, 1.5e3, 1.0E-2]", "{a: [f2.2, f-0.5, f1500, f0.01]}");
    expect("a [2016-05-04T18:53:41Z, 1970-01-01T00:00:00Z, 2000-02-29T23:59:59Z, 1969-12-31T23:59:59Z]",
           "{a: [t1462388021, t0, t951868799, t-1]}");
    expect("a [127.0.0.1, 127.0.0.1:4222, ::1, 10s, 1h30m, 1m30s, 1.5h]",
           "{a: [s\"127.0.0.1\", s\"127.0.0.1:4222\", s\"::1\", s\"10s\", s\"1h30m\", s\"1m30s\", s\"1.5h\"]}");
    expect("a [0K1abc, 8m4dwr, 5e7bcd-abc10, 4e2abc, 3xyz, 5kbb, 2016-05-04]",
           "{a: [s\"0K1abc\", s\"8m4dwr\", s\"5e7bcd-abc10\", s\"4e2abc\", s\"3xyz\", s\"5kbb\", s\"2016-05-04\"]}");
}

static void variables_are_looked_up_outward(void **state)
{
    expect("index = 22\n foo = $index", "{index: i22, foo: i22}");
    expect("index = 22\n nest {\n index = 11\n foo = $index\n }\n bar = $index",
           "{index: i22, nest: {index: i11, foo: i11}, bar: i22}");
    expect("u {n: a}\nl [$u, [$u]]\nm {x {y $l}}", "{u: {n: s\"a\"}, l: [{n: s\"a\"}, [{n: s\"a\"}]], "
                                                   "m: {x: {y: [{n: s\"a\"}, [{n: s\"a\"}]]}}}");
    expect("a [$NUMBER, $TEXT, $QUOTED, $LIST, $EMPTY, $SEE]", "{a: [i22, s\"xyz\", s\"3 x\", [i1, i2], s\"\", i22]}");
    expect("p $2a$11$ooo\nq $2b$11$o\nr '$x'", "{p: s\"$2a$11$ooo\", q: s\"$2b$11$o\", r: s\"$x\"}");
    expect("port: $port", "{port: i9}");
    expect("a: 1\na: $a\nb: $a", "{a: i1, b: i1}");
    refuse("foo=$index", "etc/main.conf:1:5: \"index\" is neither defined");
    refuse("n {x 1}\nfoo=$x", "etc/main.conf:2:5: neither defined");
    refuse("a: $later\nlater: 1", "etc/main.conf:1:4: neither defined");
    refuse("a: $", "etc/main.conf:1:4: name of a variable");
    refuse("a: $LOOP", "$LOOP:1:1: leads back to itself");
    refuse("a: $A", "$B:1:1: leads back to itself");
    refuse("a: $TWO", "$TWO:1:8: quote it");
    refuse("a: $BROKEN", "$BROKEN:1:1: never closed");
}

// `password: $ecr3t` is a variable that nobody defined, or a password without quotes.
static void names_of_variables_are_not_shown_for_secrets(void **state)
{
    static const char *const texts[] = {"password: $ecr3t", "a {Pass $ecr3t}",   "tokens [$ecr3t]",
                                        "DB_SECRET=$ecr3t", "nkey_seed: $ecr3t", "a: 1\npass: {x {y: $ecr3t}}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct conf conf;
        struct conf_error wrong;
        assert_int_equal(conf_read_text(&conf, &source, "etc/main.conf", bytes_from_string(texts[i]), &wrong),
                         ERR_INVALID);
        assert_null(strstr(wrong.text, "ecr3t"));
        assert_non_null(strstr(wrong.text, "quote the value"));
        conf_deinit(&conf);
    }
    refuse("pass: x\nuser: $nobody", "etc/main.conf:2:7: variable \"nobody\" is neither defined");
}

static void files_include_others(void **state)
{
    expect("a: 1\ninclude users.conf\nb: $ALICE",
           "{a: i1, ALICE: s\"secret\", users: [s\"a\", s\"b\"], b: s\"secret\"}");
    expect("m {include 'sub/inner.conf'}; users: 1",
           "{m: {ALICE: s\"secret\", users: [s\"a\", s\"b\"], deep: i1}, users: i1}");
    expect("users: 1; INCLUDE \"users.conf\"", "{users: [s\"a\", s\"b\"], ALICE: s\"secret\"}");
    expect("include empty.conf", "{}");
    expect("include nothing.conf", "{}");
    expect("include /abs/one.conf", "{absolute: true}");
    refuse("include again.conf", "etc/again.conf:1:1: does a file include itself?");
    refuse("a 1\n include broken.conf", "etc/broken.conf:2:8: a ',', a new line or ']' is expected");
    refuse("\ninclude none.conf", "etc/main.conf:2:1: cannot include etc/none.conf: not found");
    refuse("include locked.conf", "etc/main.conf:1:1: permission denied");
    refuse("outer: 1\ninclude variable.conf", "etc/variable.conf:1:15: neither defined");
    refuse("include {", "etc/main.conf:1:9: name of a file");
    refuse("include 'x", "etc/main.conf:1:9: never closed");
    refuse("include ''", "etc/main.conf:1:1: name of a file");
}

static void what_is_broken_is_told_with_its_place(void **state)
{
    refuse("aaaa", "etc/main.conf:1:5: no value");
    refuse("a: 1\n  bbb  \n", "etc/main.conf:3:1: no value");
    refuse("a,b,c\n", "etc/main.conf:2:1: no value");
    refuse("a = \n 1", "etc/main.conf:1:3: on the line of its key");
    refuse("a { b }", "etc/main.conf:1:7: no value");
    refuse("a { b: , c: 1}", "etc/main.conf:1:8: no value");
    refuse("a: ;", "etc/main.conf:1:4: no value");
    refuse("a { bc{ d 1 } }", "etc/main.conf:1:5: a blank belongs");
    refuse("= 1", "etc/main.conf:1:1: a key is expected");
    refuse("a {\n b: 1\n", "etc/main.conf:1:3: '{' is never closed");
    refuse("{\n a: 1\n", "etc/main.conf:1:1: '{' is never closed");
    refuse("{{ a: 1 } ", "etc/main.conf:1:11: a '}' is missing");
    refuse("a: 1}}}", "etc/main.conf:1:6: something follows");
    refuse("a: 1\n}\nb: 2", "etc/main.conf:3:1: something follows");
    refuse("a [1, 2", "etc/main.conf:1:3: '[' is never closed");
    refuse("a [1 2]", "etc/main.conf:1:6: a ',', a new line or ']'");
    refuse("a [1,,2]", "etc/main.conf:1:6: a value or ']'");
    refuse("a [,1]", "etc/main.conf:1:4: a value or ']'");
    refuse("a {b: 1 c: 2}", "etc/main.conf:1:9: a ',', a new line or '}'");
    refuse("a {]: 1}", "etc/main.conf:1:4: a key is expected");
    refuse("a {b: 1,, c: 2}", "etc/main.conf:1:9: a key is expected");
    refuse("pass: secret secret", "etc/main.conf:1:14: quote a value with blanks");
    refuse("pass: \"secret\"secret", "etc/main.conf:1:15: expected here");
    refuse("pass: secret,secret", "etc/main.conf:1:20: no value");
    refuse("a: 'x\n", "etc/main.conf:1:4: never closed with '");
    refuse("a: \"x\\\"", "etc/main.conf:1:4: never closed with \"");
    refuse("\n \"x", "etc/main.conf:2:2: quoted key is never closed");
    refuse("a: (\n x )\n", "etc/main.conf:1:4: alone on its line");
    refuse("a: \"\\q\"", "etc/main.conf:1:5: behind '\\'");
    refuse("a: C:\\secret", "etc/main.conf:1:6: behind '\\'");
    refuse("a: \"\\x4g\"", "etc/main.conf:1:8: hexadecimal");
    refuse("a: \"\\x00\"", "etc/main.conf:1:5: NUL");
    refuse("a: \"\\ud800\"", "etc/main.conf:1:7: no character");
    refuse("a: .5", "etc/main.conf:1:4: a number has a digit");
    refuse("a: -x", "etc/main.conf:1:4: a number has a digit");
    refuse("a: -1x", "etc/main.conf:1:4: no number");
    refuse("a: 9223372036854775808", "etc/main.conf:1:4: an integer is from");
    refuse("a: 10e", "etc/main.conf:1:4: an integer is from");
    refuse("a: 99999999999999999999999999999999999999999", "etc/main.conf:1:4: an integer is from");
    refuse("a: 2016-13-04T18:53:41Z", "etc/main.conf:1:4: no such date");
    refuse("a: 2015-02-29T18:53:41Z", "etc/main.conf:1:4: no such date");
    refuse("a: 1 /b", "etc/main.conf:1:6: expected here");
    refuse("\xc3\xa4\xc3\xb6 1 2", "etc/main.conf:1:6: expected here");
}

static void a_nul_byte_is_no_text(void **state)
{
    struct conf conf;
    struct conf_error wrong;
    assert_int_equal(conf_read_text(&conf, &source, "x", BYTES("a: 1\nb\0"), &wrong), ERR_INVALID);
    assert_int_equal(wrong.place.line, 2);
    assert_int_equal(wrong.place.column, 2);
    assert_non_null(strstr(wrong.text, "NUL"));
    conf_deinit(&conf);
}

static void a_missing_file_keeps_its_error(void **state)
{
    struct conf conf;
    struct conf_error wrong;
    char message[600];
    assert_int_equal(conf_read_file(&conf, &source, "etc/none", &wrong), ERR_NOT_FOUND);
    conf_error_format(&wrong, message, sizeof(message));
    assert_string_equal(message, "etc/none: cannot read the file: not found");
    conf_deinit(&conf);
    assert_int_equal(conf_read_file(&conf, &source, "etc/locked.conf", &wrong), ERR_PERMISSION);
    conf_deinit(&conf);
    assert_int_equal(conf_read_file(&conf, &source, "etc/sub/inner.conf", &wrong), 0);
    assert_int_equal(conf.root.count, 3);
    conf_deinit(&conf);
}

static void values_know_where_they_stand(void **state)
{
    struct conf conf;
    struct conf_error wrong;
    const char *text = "x: 1\n\t\xc3\xa4 {\n  bb: $x }\ninclude users.conf";
    assert_int_equal(conf_read_text(&conf, &source, "etc/main.conf", bytes_from_string(text), &wrong), 0);
    struct conf_member *outer = conf_find(&conf.root, BYTES("\xc3\xa4"));
    assert_int_equal(outer->place.line, 2);
    assert_int_equal(outer->place.column, 2);
    assert_int_equal(outer->value.place.column, 4);
    struct conf_member *inner = conf_find(&outer->value, BYTES("bb"));
    assert_int_equal(inner->place.line, 3);
    assert_int_equal(inner->place.column, 3);
    assert_int_equal(inner->value.place.column, 7);
    assert_string_equal(inner->value.place.file, "etc/main.conf");
    assert_true(conf_find(&conf.root, BYTES("x"))->used);
    assert_false(outer->used);
    struct conf_member *users = conf_find(&conf.root, BYTES("users"));
    assert_string_equal(users->place.file, "etc/users.conf");
    assert_int_equal(users->place.line, 2);
    assert_null(conf_find(&conf.root, BYTES("nobody")));
    conf_deinit(&conf);
}

// A text of `count` times `part` between two others; the caller frees it.
static char *repeat(const char *before, const char *part, size_t count, const char *behind)
{
    struct buffer text;
    buffer_init(&text, 64 << 20);
    int error = buffer_append(&text, bytes_from_string(before));
    for (size_t i = 0; i < count; i++)
        error |= buffer_append(&text, bytes_from_string(part));
    error |= buffer_append(&text, bytes_make(behind, strlen(behind) + 1));
    assert_int_equal(error, 0);
    return text.ptr;
}

static void everything_is_bounded(void **state)
{
    struct conf conf;
    struct conf_error wrong;
    char *text = repeat("a ", "[", CONF_DEPTH_MAX, "");
    char *closed = repeat(text, "]", CONF_DEPTH_MAX, "");
    assert_int_equal(conf_read_text(&conf, &source, "x", bytes_from_string(closed), &wrong), 0);
    conf_deinit(&conf);
    mem_free(text);
    mem_free(closed);
    text = repeat("a ", "[", 100000, "");
    refuse(text, "etc/main.conf:1:67: within each other");
    mem_free(text);
    text = repeat("a {", "b {", 100000, "");
    refuse(text, "etc/main.conf:1:195: within each other");
    mem_free(text);
    // Every line has ten times the values of the one before, and few bytes.
    refuse("a [1,1,1,1,1,1,1,1,1,1]\nb [$a,$a,$a,$a,$a,$a,$a,$a,$a,$a]\nc [$b,$b,$b,$b,$b,$b,$b,$b,$b,$b]\n"
           "d [$c,$c,$c,$c,$c,$c,$c,$c,$c,$c]\ne [$d,$d,$d,$d,$d,$d,$d,$d,$d,$d]\nf [$e,$e,$e,$e,$e,$e,$e,$e,$e,$e]\n"
           "g [$f,$f,$f,$f,$f,$f,$f,$f,$f,$f]\n",
           "etc/main.conf:7:4: more than 2000000 values, those of used variables");
}

static void maps_of_many_members_are_found_fast(void **state)
{
    struct buffer text;
    struct conf conf;
    struct conf_error wrong;
    char name[32];
    buffer_init(&text, 16 << 20);
    int error = buffer_append(&text, BYTES("users {"));
    for (int i = 0; i < 50000; i++)
        error |= buffer_printf(&text, "user%d: %d\n", i, i);
    error |= buffer_append(&text, BYTES("user7: again}"));
    assert_int_equal(error, 0);
    assert_int_equal(conf_read_text(&conf, &source, "x", buffer_bytes(&text), &wrong), 0);
    struct conf_value *users = &conf_find(&conf.root, BYTES("users"))->value;
    assert_int_equal(users->count, 50000);
    for (int i = 0; i < 50000; i += 997) {
        int len = snprintf(name, sizeof(name), "user%d", i);
        assert_int_equal(conf_find(users, bytes_make(name, (size_t)len))->value.integer, i);
    }
    assert_string_equal(conf_find(users, BYTES("user7"))->value.text.ptr, "again");
    conf_deinit(&conf);
    buffer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_separators),
        cmocka_unit_test(maps_and_arrays),
        cmocka_unit_test(json_is_a_part_of_it),
        cmocka_unit_test(strings),
        cmocka_unit_test(blocks),
        cmocka_unit_test(words_are_typed_by_their_looks),
        cmocka_unit_test(variables_are_looked_up_outward),
        cmocka_unit_test(names_of_variables_are_not_shown_for_secrets),
        cmocka_unit_test(files_include_others),
        cmocka_unit_test(what_is_broken_is_told_with_its_place),
        cmocka_unit_test(a_nul_byte_is_no_text),
        cmocka_unit_test(a_missing_file_keeps_its_error),
        cmocka_unit_test(values_know_where_they_stand),
        cmocka_unit_test(everything_is_bounded),
        cmocka_unit_test(maps_of_many_members_are_found_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
