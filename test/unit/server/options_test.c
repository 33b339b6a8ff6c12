// SPDX-License-Identifier: Apache-2.0
// The command line of `weir serve`: the spellings, the bounds and the messages.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/options.h"

#define SECOND 1000000000ULL

static char message[OPTIONS_MESSAGE_SIZE];

// Splits at blanks; `text` may have at most 15 arguments.
static int parse_as(enum options_persona persona, struct options *options, const char *text)
{
    static char copy[512];
    char *arguments[16];
    int count = 0;
    assert_true(strlen(text) < sizeof(copy));
    memcpy(copy, text, strlen(text) + 1);
    for (char *at = copy; at && *at; count++) {
        assert_true(count < 16);
        arguments[count] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = '\0';
    }
    options_default(options, persona);
    message[0] = '\0';
    return options_parse(options, count, arguments, message);
}

static int parse(struct options *options, const char *text)
{
    return parse_as(OPTIONS_WEIR, options, text);
}

static void expect_refused(const char *text, const char *wanted)
{
    struct options options;
    assert_int_equal(parse(&options, text), ERR_INVALID);
    if (!strstr(message, wanted))
        fail_msg("\"%s\" should say \"%s\", not \"%s\"", text, wanted, message);
    assert_null(strchr(message, '\n'));
}

// CO-P16, ST-C01…C18
static void the_defaults_are_those_of_the_servers_replaced(void **state)
{
    struct options options;
    assert_int_equal(parse(&options, ""), 0);
    assert_string_equal(options.host, "0.0.0.0");
    assert_int_equal(options.port, 4222);
    assert_int_equal(options.http_port, 0);
    assert_string_equal(options.cluster_id, "test-cluster");
    assert_int_equal(options.store, OPTIONS_STORE_FILE);
    assert_int_equal(options.sync, OPTIONS_SYNC_ALWAYS);
    assert_int_equal(options.max_payload, 1024 * 1024);
    assert_int_equal(options.max_control_line, 4096);
    assert_int_equal(options.max_pending, 64 * 1024 * 1024);
    assert_int_equal(options.max_connections, 65536);
    assert_int_equal(options.ping_interval_ns, 120 * SECOND);
    assert_int_equal(options.ping_max, 2);
    assert_int_equal(options.write_deadline_ns, 10 * SECOND);
    assert_int_equal(options.max_channels, 100);
    assert_int_equal(options.channel.max_subscriptions, 1000);
    assert_int_equal(options.channel.max_msgs, 1000000);
    assert_int_equal(options.channel.max_bytes, 1024000000);
    assert_int_equal(options.channel.max_age_ns, 0);
    assert_int_equal(options.heartbeat_interval_ns, 30 * SECOND);
    assert_int_equal(options.heartbeat_timeout_ns, 10 * SECOND);
    assert_int_equal(options.heartbeat_fail_count, 10);
}

// CO-X04
static void a_flag_has_four_spellings(void **state)
{
    static const char *const texts[] = {"-p 1", "--p 1", "-p=1", "--p=1", "-port 1", "--port=1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct options options;
        assert_int_equal(parse(&options, texts[i]), 0);
        assert_int_equal(options.port, 1);
    }
    struct options options;
    assert_int_equal(parse(&options, "-p -1 -D -V=false -m=8222"), 0);
    assert_int_equal(options.port, -1);
    assert_int_equal(options.http_port, 8222);
    assert_true(options.debug);
    assert_false(options.trace);
    assert_int_equal(parse(&options, "-D=0 -p 1 -p 2 --"), 0);
    assert_false(options.debug);
    assert_int_equal(options.port, 2);
}

static void every_kind_of_value_is_read(void **state)
{
    struct options options;
    assert_int_equal(
        parse(&options, "-a ::1 --dir=/d -cid c-1 -st MEMORY --sync Interval --sync_interval 250ms -n name"), 0);
    assert_string_equal(options.host, "::1");
    assert_string_equal(options.directory, "/d");
    assert_string_equal(options.cluster_id, "c-1");
    assert_string_equal(options.server_name, "name");
    assert_int_equal(options.store, OPTIONS_STORE_MEMORY);
    assert_int_equal(options.sync, OPTIONS_SYNC_INTERVAL);
    assert_int_equal(options.sync_interval_ns, SECOND / 4);
    assert_string_equal(options_store_name(&options), "MEMORY");
    assert_string_equal(options_sync_name(&options), "interval");
    assert_int_equal(parse(&options, "-mc 0 -msu 5 -mm 7 -mb 2M -ma 1h30m -hbi 1s -hbt 2s -hbf 3"), 0);
    assert_int_equal(options.max_channels, 0);
    assert_int_equal(options.channel.max_subscriptions, 5);
    assert_int_equal(options.channel.max_msgs, 7);
    assert_int_equal(options.channel.max_bytes, 2 * 1024 * 1024);
    assert_int_equal(options.channel.max_age_ns, 5400 * SECOND);
    assert_int_equal(options.heartbeat_interval_ns, SECOND);
    assert_int_equal(options.heartbeat_timeout_ns, 2 * SECOND);
    assert_int_equal(options.heartbeat_fail_count, 3);
    assert_int_equal(parse(&options, "--max_payload 64KB --max_pending 1gb"), 0);
    assert_int_equal(options.max_payload, 65536);
    assert_int_equal(options.max_pending, 1 << 30);
}

static void an_unknown_flag_is_told_with_its_neighbour(void **state)
{
    expect_refused("--cluster_ids x", "did you mean -cluster_id?");
    expect_refused("-prot 4222", "did you mean -port?");
    expect_refused("-max_paylaod=5", "did you mean -max_payload?");
    expect_refused("-quite_unlike_anything", "--help lists");
    expect_refused("-js3", "did you mean -js?");
    expect_refused("--=x", "bad flag syntax: --=x");
    expect_refused("---p=1", "bad flag syntax: ---p=1");
    expect_refused("-foo3", "flag provided but not defined: -foo3");
}

static void values_out_of_bounds_are_told_with_the_bounds(void **state)
{
    expect_refused("-p 65536", "invalid value \"65536\" for flag -p: it is not a whole number from -1 to 65535");
    expect_refused("-p -2", "from -1 to 65535");
    expect_refused("-p x", "\"x\" for flag -p: it is not a whole number");
    expect_refused("-p", "flag needs an argument: -p");
    expect_refused("-p=", "is not a whole number");
    expect_refused("--max_payload 9M", "a size such as 65536, 64K or 1G from 1024 to 8388608");
    expect_refused("--max_payload 99999999999999999999", "is not a size");
    expect_refused("--max_payload 9999999999999G", "is not a size");
    expect_refused("-hbi 30", "a duration such as 500ms");
    expect_refused("-hbi 1ms", "from 10 ms to 86400000 ms");
    expect_refused("-st SQL", "one of file,memory");
    expect_refused("--sync often", "one of always,interval,never");
    expect_refused("-D=maybe", "invalid boolean value \"maybe\" for -D: it is not true or false");
    expect_refused("--dir=", "empty");
    expect_refused("-hbf 0", "from 1 to");
    expect_refused("-mc -1", "a whole number");
}

static void what_does_not_go_together_is_refused(void **state)
{
    expect_refused("-p 4222 -m 4222", "a port each");
    expect_refused("--max_payload 1M --max_pending 64K", "-max_pending is less");
    expect_refused("-cid a.b", "letters, digits");
    expect_refused("-p 1 stray -m 2", "\"stray\" is not a flag");
    expect_refused("-", "\"-\" is not a flag");
    struct options options;
    assert_int_equal(parse(&options, "-p -1 -m -1"), 0);
}

static void help_wins_and_lists_every_flag(void **state)
{
    struct options options;
    assert_int_equal(parse(&options, "-cid a.b --help"), 0);
    assert_true(options.help);
    static const char *const wanted[] = {"-p, --port PORT", "-cid, --cluster_id ID", "--max_payload SIZE",
                                         "-D, --debug"};
    size_t found = 0;
    char line[256];
    for (size_t i = 0; options_help(i, line, sizeof(line)); i++) {
        for (size_t j = 0; j < sizeof(wanted) / sizeof(wanted[0]); j++)
            found += strstr(line, wanted[j]) != NULL;
        assert_true(strlen(line) < 120);
    }
    assert_int_equal(found, 4);
}

static void expect_refused_as(enum options_persona persona, const char *text, const char *wanted)
{
    struct options options;
    assert_int_equal(parse_as(persona, &options, text), ERR_INVALID);
    if (!strstr(message, wanted))
        fail_msg("\"%s\" should say \"%s\", not \"%s\"", text, wanted, message);
}

// CO-X04: as nats-server nothing is stored, as nats-streaming-server in memory (ST-C03).
static void each_persona_has_its_defaults_and_flags(void **state)
{
    struct options options;
    assert_int_equal(parse_as(OPTIONS_NATS_SERVER, &options, "-p 4300 -n name -js=false"), 0);
    assert_false(options.streaming);
    assert_null(options.directory);
    expect_refused_as(OPTIONS_NATS_SERVER, "-cid x", "flag provided but not defined: -cid");
    assert_int_equal(parse_as(OPTIONS_NATS_STREAMING, &options, "-cid other -SDV"), 0);
    assert_true(options.streaming && options.debug && options.trace);
    assert_int_equal(options.store, OPTIONS_STORE_MEMORY);
    assert_int_equal(parse_as(OPTIONS_NATS_STREAMING, &options, "-st file"), 0);
    assert_string_equal(options.directory, "./data");
    assert_int_equal(parse_as(OPTIONS_NATS_STREAMING, &options, "-st FILE -dir /d"), 0);
    assert_int_equal(options.store, OPTIONS_STORE_FILE);
    assert_int_equal(parse(&options, "-cid x -js=false"), 0);
    assert_true(options.streaming);
    assert_int_equal(options.store, OPTIONS_STORE_FILE);
}

// CO-X04: every flag of a stand-alone nats-server, under all its names.
static void all_flags_of_nats_server_are_known(void **state)
{
    struct options options;
    assert_int_equal(
        parse_as(OPTIONS_NATS_SERVER, &options,
                 "-net ::1 --server_name n -P /pid -m 1 --client_advertise h:1 --ports_file_dir /d -l /log"),
        0);
    assert_string_equal(options.host, "::1");
    assert_string_equal(options.server_name, "n");
    assert_string_equal(options.pid_file, "/pid");
    assert_string_equal(options.client_advertise, "h:1");
    assert_string_equal(options.ports_file_dir, "/d");
    assert_string_equal(options.log_file, "/log");
    assert_int_equal(parse_as(OPTIONS_NATS_SERVER, &options,
                              "-T=false -s -r udp://h:1 --log_size_limit 1000 --max_traced_msg_len 5 -p 0 -c f -t"),
                     0);
    assert_true(options.syslog && !options.log_time && options.check_config);
    assert_string_equal(options.remote_syslog, "udp://h:1");
    assert_int_equal(options.log_size_limit, 1000);
    assert_int_equal(options.max_traced_length, 5);
    assert_int_equal(options.port, 4222);
    static const struct {
        const char *text;
        bool debug, trace, verbose;
    } levels[] = {
        {"-D", true, false, false},         {"-V", false, true, false}, {"-DV", true, true, false},
        {"-VV", false, true, true},         {"-DVV", true, true, true}, {"--debug --trace", true, true, false},
        {"-DV=false", false, false, false},
    };
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        assert_int_equal(parse_as(OPTIONS_NATS_SERVER, &options, levels[i].text), 0);
        assert_int_equal(options.debug, levels[i].debug);
        assert_int_equal(options.trace, levels[i].trace);
        assert_int_equal(options.trace_verbose, levels[i].verbose);
    }
    static const struct {
        const char *text;
        enum log_level level;
        bool trace;
    } least[] = {
        {"-p 1", LOG_INFO, false},
        {"--log_level warn", LOG_WARN, false},
        {"--log_level ERROR", LOG_ERROR, false},
        {"-log_level debug", LOG_DEBUG, false},
        {"--log_level trace", LOG_DEBUG, true},
        {"--log_level error -D", LOG_DEBUG, false},
        {"--log_level warn -V", LOG_WARN, true},
    };
    for (size_t i = 0; i < sizeof(least) / sizeof(least[0]); i++) {
        assert_int_equal(parse_as(OPTIONS_NATS_SERVER, &options, least[i].text), 0);
        assert_int_equal(options_log_level(&options), least[i].level);
        assert_int_equal(options_log_trace(&options), least[i].trace);
        assert_int_equal(options.log_format, OPTIONS_LOG_TEXT);
    }
    assert_int_equal(parse_as(OPTIONS_WEIR, &options, "--log_format json"), 0);
    assert_int_equal(options.log_format, OPTIONS_LOG_JSON);
    static const char *const exits[] = {"-v", "--version", "-h", "-help", "--help_tls"};
    for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
        assert_int_equal(parse_as(OPTIONS_NATS_SERVER, &options, exits[i]), 0);
        assert_int_equal(options.version + options.help + options.help_tls, 1);
    }
}

// What is not there is refused by its name, and what does not matter is taken and remembered.
static void what_is_missing_is_refused_by_name(void **state)
{
    expect_refused_as(OPTIONS_NATS_SERVER, "-js", "JetStream is not served yet");
    expect_refused_as(OPTIONS_NATS_SERVER, "-sd /d", "-sd: it is JetStream's");
    static const char *const clustered[] = {"--routes nats://h:1", "--cluster nats://h:1", "--cluster_name c",
                                            "--no_advertise",      "--connect_retries 1",  "--cluster_advertise h"};
    for (size_t i = 0; i < sizeof(clustered) / sizeof(clustered[0]); i++)
        expect_refused_as(OPTIONS_NATS_SERVER, clustered[i], "clusters of servers are not there yet");
    expect_refused_as(OPTIONS_NATS_SERVER, "--profile 1", "no profiling port");
    expect_refused_as(OPTIONS_NATS_SERVER, "-t", "must specify [-c, --config] option");
    expect_refused_as(OPTIONS_NATS_STREAMING, "--clustered", "clusters of servers");
    expect_refused_as(OPTIONS_NATS_STREAMING, "--ft_group g", "fault tolerance");
    expect_refused_as(OPTIONS_NATS_STREAMING, "--sql_driver x", "SQL stores are not served");
    expect_refused_as(OPTIONS_NATS_STREAMING, "-st sql", "SQL stores are not served");
    expect_refused_as(OPTIONS_NATS_STREAMING, "-st foo", "it is not one of file,memory");
    expect_refused_as(OPTIONS_NATS_STREAMING, "-st -sql", "it is not one of file,memory");
    expect_refused_as(OPTIONS_NATS_STREAMING, "-ns nats://", "-ns (nats_server): nats://[USER:PASSWORD@]HOST");
    struct options options;
    assert_int_equal(parse_as(OPTIONS_NATS_STREAMING, &options, "--file_crc --file_buffer_size 2MB -p 1"), 0);
    assert_int_equal(options.ignored.count, 2);
    assert_string_equal(options.ignored.names[1], "file_buffer_size");
    assert_int_equal(options.port, 1);
}

// CO-X04, CO-S01
static void tls_flags_need_each_other(void **state)
{
    struct options options;
    assert_int_equal(parse(&options, "--tls --tlscert c.pem --tlskey k.pem -ms 8222"), 0);
    assert_true(tls_options_is_on(&options.tls));
    assert_string_equal(options.tls.cert_file, "c.pem");
    assert_string_equal(options.tls.key_file, "k.pem");
    assert_int_equal(options.https_port, 8222);
    assert_int_equal(parse(&options, "-tlsverify -tlscert=c.pem -tlskey=k.pem -tlscacert ca.pem"), 0);
    assert_true(tls_options_is_on(&options.tls) && options.tls.verify);
    assert_string_equal(options.tls.ca_file, "ca.pem");
    assert_int_equal(parse(&options, "--tls=false --tlscert c.pem"), 0);
    assert_false(tls_options_is_on(&options.tls));
    expect_refused("--tls", "--tlscert FILE");
    expect_refused("--tlscert c.pem", "--tlskey FILE");
    expect_refused("-ms 8222", "HTTPS needs a certificate");
    expect_refused("--tlscert c --tlskey k -m 8222 -ms 8223", "not both");
    expect_refused("--tlscert c --tlskey k -p 8222 -ms 8222", "-p and -ms are the same port");
}

// IM-20
static void an_import_needs_files(void **state)
{
    struct options options;
    (void)state;
    assert_int_equal(parse(&options, "--import old"), 0);
    assert_string_equal(options.import_source, "old");
    expect_refused("--import old -st memory", "-import moves into files: -st file and -dir");
    expect_refused("--import old --streaming=false", "-import moves into files: -st file and -dir");
    assert_int_equal(parse(&options, "--import old --import_key_file key"), 0);
    assert_true(options.import_encrypted);
    assert_int_equal(parse(&options, "--import old --import_encrypted=false"), 0);
    expect_refused("--import old --import_encrypted=false --import_key_file key",
                   "-import_key_file: a store that is not encrypted has no key");
    expect_refused("--import_key_file key", "-import_key_file and -import_encrypted are about what -import names, and "
                                            "it is not there");
}

// CO-P18, CO-X04: as nats-server reads --client_advertise.
static void what_clients_are_told_is_read(void **state)
{
    static const struct {
        const char *flags, *host;
        uint16_t port;
    } cases[] = {
        {"-a 127.0.0.1", "127.0.0.1", 4300},
        {"-a ::1", "::1", 4300},
        {"--client_advertise example.com", "example.com", 4300},
        {"--client_advertise example.com:7777", "example.com", 7777},
        {"--client_advertise [::1]:99", "::1", 99},
        {"--client_advertise ::1", "::1", 4300},
        {"--client_advertise h:0", "h", 4300},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct options options;
        char host[OPTIONS_HOST_SIZE];
        uint16_t port;
        assert_int_equal(parse(&options, cases[i].flags), 0);
        assert_int_equal(options_advertised(&options, 4300, host, &port), 0);
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
    static const char *const wrong[] = {":99", "h:b", "h:70000", "[]:1", "h:"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "--client_advertise %s", wrong[i]);
        expect_refused(text, "-client_advertise: HOST, HOST:PORT");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_those_of_the_servers_replaced),
        cmocka_unit_test(a_flag_has_four_spellings),
        cmocka_unit_test(every_kind_of_value_is_read),
        cmocka_unit_test(an_unknown_flag_is_told_with_its_neighbour),
        cmocka_unit_test(values_out_of_bounds_are_told_with_the_bounds),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(help_wins_and_lists_every_flag),
        cmocka_unit_test(each_persona_has_its_defaults_and_flags),
        cmocka_unit_test(all_flags_of_nats_server_are_known),
        cmocka_unit_test(what_is_missing_is_refused_by_name),
        cmocka_unit_test(what_clients_are_told_is_read),
        cmocka_unit_test(tls_flags_need_each_other),
        cmocka_unit_test(an_import_needs_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
