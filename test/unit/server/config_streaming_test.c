// SPDX-License-Identifier: Apache-2.0
// The configuration of NATS Streaming (ST-C01 … ST-C48): keys, files of -sc, and the command lines of nats-streaming-server.
#include <stdio.h>
#include <string.h>

#include "config_rig.h"

// ST-C01…C18
static void streaming_blocks(void **state)
{
    static const char block[] = "streaming { cid: my-cluster, store: FILE, dir: /d, sync: interval, sync_interval: "
                                "10ms, hbi: \"1s\", hbt: 2s, hbf: 3\n"
                                " store_limits { mc: 1, max_subs: 2, max_msgs: 3, mb: 4KB, ma: \"24h\" }, sd: true, "
                                "stan_trace: false, partitioning: true, replace_duplicate_durable: true\n"
                                " file { compact: false } }";
    accept_as(OPTIONS_NATS_STREAMING, "-c main", block);
    const struct options *options = &config.options;
    assert_string_equal(options->cluster_id, "my-cluster");
    assert_int_equal(options->store, OPTIONS_STORE_FILE);
    assert_string_equal(options->directory, "/d");
    assert_int_equal(options->sync, OPTIONS_SYNC_INTERVAL);
    assert_int_equal(options->heartbeat_interval_ns, SECOND);
    assert_int_equal(options->heartbeat_timeout_ns, 2 * SECOND);
    assert_int_equal(options->heartbeat_fail_count, 3);
    assert_int_equal(options->max_channels, 1);
    assert_int_equal(options->channel.max_subscriptions, 2);
    assert_int_equal(options->channel.max_msgs, 3);
    assert_int_equal(options->channel.max_bytes, 4096);
    assert_int_equal(options->channel.max_age_ns, 86400 * SECOND);
    assert_true(options->debug && options->replace_durable);
    assert_int_equal(config.warning_count, 2);
    config_deinit(&config);
    // A file of its own, with and without the block, and flags over it.
    stan_text = block;
    accept_as(OPTIONS_NATS_STREAMING, "-sc stan -c main -cid other -st memory", "port: 4999");
    assert_int_equal(options->port, 4999);
    assert_string_equal(options->cluster_id, "other");
    assert_int_equal(options->store, OPTIONS_STORE_MEMORY);
    config_deinit(&config);
    stan_text = "id: third\nstore: MEMORY\nport: 5\n";
    accept_as(OPTIONS_NATS_STREAMING, "-sc stan", "");
    assert_string_equal(options->cluster_id, "third");
    config_deinit(&config);
    // NATS Streaming's server reads its keys from the file of -c, too.
    accept_as(OPTIONS_NATS_STREAMING, "-c main", "port: 4998\nid: fourth\ndir: x\nstore: file");
    assert_int_equal(options->port, 4998);
    assert_string_equal(options->cluster_id, "fourth");
    config_deinit(&config);
    refuse("id: fifth", "unknown key \"id\"");
    // It takes what it does not know, too.
    accept_as(OPTIONS_NATS_STREAMING, "-c main", "whatever: 5\nstreaming { strore: FILE, limits { max_chanels: 3 } }");
    assert_int_equal(config.warning_count, 3);
    assert_string_equal(config.warnings[1], "main:2:13: unknown key \"strore\" has no effect; did you mean \"store\"?");
    config_deinit(&config);
    refuse_as(OPTIONS_NATS_STREAMING, "-c main", "authorization { usr: a }", "did you mean \"user\"?");
    accept_as(OPTIONS_WEIR, "-c main", "streaming: false");
    assert_false(options->streaming);
    config_deinit(&config);
    refuse_as(OPTIONS_NATS_STREAMING, "-c main", "streaming { cluster_id: \"a.b\" }", "letters, digits");
    refuse_as(OPTIONS_NATS_STREAMING, "-c main", "streaming { store: SQL }", "main:1:20: store: one of file,memory (S");
    refuse_as(OPTIONS_NATS_STREAMING, "-c main", "streaming { cluster { } }", "clusters of servers");
    refuse_as(OPTIONS_NATS_STREAMING, "-c main", "streaming { encryption_cipher: DES }", "one of AES,CHACHA,NONE");
    refuse_as(OPTIONS_NATS_STREAMING, "-c main", "streaming { encryption_old_key_file: old }", "there is no new key");
    accept_as(OPTIONS_NATS_STREAMING, "-c main", "streaming { encrypt: true, encryption_cipher: chacha }"); // ST-C23
    assert_true(options_encrypts(options));
    assert_int_equal(options->encryption_cipher, OPTIONS_CIPHER_CHACHA);
    config_deinit(&config);
    accept_as(OPTIONS_NATS_STREAMING, "-c main --encryption_key hush", "streaming { encryption_cipher: AES }");
    assert_true(options_encrypts(options));
    assert_int_equal(options->encryption_cipher, OPTIONS_CIPHER_AES);
    assert_string_equal(options->encryption_key, "hush");
    config_deinit(&config);
    accept_as(OPTIONS_WEIR, "-c main", "streaming { encryption_key_file: file, encryption_old_key_file: old }");
    assert_true(options_encrypts(options));
    config_deinit(&config);
    accept_as(OPTIONS_NATS_STREAMING, "-c main", "streaming { store: FILE }");
    assert_string_equal(options->directory, "./data");
    config_deinit(&config);
    refuse("streaming { store: FILE }", "root directory must be specified");
    refuse_as(OPTIONS_NATS_STREAMING, "-sc stan -c none", "", "none: cannot read the file: not found");
}

static void expect_channel(const char *name, uint64_t max_msgs, uint64_t max_bytes)
{
    const struct options *options = &config.options;
    struct channel_limits *limits =
        channel_limits_new(&options->channel, options->channel_rules, options->channel_rule_count);
    const struct channel_limit *limit = channel_limits_find(limits, bytes_from_string(name));
    assert_int_equal(limit->max_msgs, max_msgs);
    assert_int_equal(limit->max_bytes, max_bytes);
    channel_limits_free(limits);
}

// ST-C10…C13, ST-C15
static void limits_of_single_channels(void **state)
{
    static const char text[] = "streaming { store: memory, store_limits { max_msgs: 10, max_bytes: 1MB, per_channel {\n"
                               " foo { mm: 0, mi: 1h }, \"foo.>\" { max_count: 5, maxBytes: -1 }\n"
                               " \"foo.*\" { mb: 7 }, \"bar baz\" { } } } }";
    accept_as(OPTIONS_NATS_STREAMING, "-c main -mm 20", text);
    expect_channel("foo", 0, 1024 * 1024); // no limit, as 0 says
    expect_channel("foo.a.b", 5, 0);
    expect_channel("foo.a", 5, 7);
    expect_channel("bar baz", 20, 1024 * 1024); // what is inherited is the flag's
    expect_channel("other", 20, 1024 * 1024);
    assert_int_equal(config.options.channel_rules[0].limit.max_inactivity_ns, 3600 * SECOND);
    config_deinit(&config);
    const char *bad[][2] = {
        {"channels: 5", "main:1:38: channels: a map { … } is expected here"},
        {"channels { a: 5 }", "main:1:42: a: a map { … } is expected here"},
        {"channels { a* { } }", "main:1:39: channels: invalid channel name"},
        {"channels { \"a.>.b\" { } }", "invalid channel name"},
        {"channels { a/b { } }", "invalid channel name"},
        {"channels { a { max_msgs: x } }", "main:1:53: max_msgs: an integer of at least -1"},
        {"channels { a { max_subs: 5000000000 } }", "max_subs: an integer from -1 to 4294967295"},
        {"channels { a { max_age: x } }", "max_age: a duration such as"},
        {"max_channels: 1, channels { a { }, b { }, \"c.*\" { } }",
         "main:1:45: channels: 2 are named here, but max_channels is 1"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char line[200];
        snprintf(line, sizeof(line), "streaming { store_limits { %s } }", bad[i][0]);
        refuse_as(OPTIONS_NATS_STREAMING, "-c main", line, bad[i][1]);
    }
    refuse_as(OPTIONS_WEIR, "-c main", "streaming { limits { channels { a { max_mgs: 1 } } } }",
              "did you mean \"max_msgs\"?");
    refuse_as(OPTIONS_NATS_STREAMING, "-c main -mc 1", "streaming { limits { channels { a { }, b { } } } }",
              "max_channels is 1");
}

// The keys that nats-streaming-server has not, for all channels and for some.
static void channels_say_how_their_messages_are_treated(void **state)
{
    accept_as(
        OPTIONS_WEIR, "-c main",
        "streaming { store_limits { discard: new, max_deliver: 5, backoff: [\"1s\", 2s, 100ms], dead_letter: dead\n"
        " duplicate_window: \"1h\", disconnect_grace: 1m\n"
        " channels { a { discard: OLD, max_deliver: -1, backoff: [], dead_letter: \"\", duplicate_window: 0s,\n"
        " disconnect_grace: \"0\" }, b { backoff: 3s } } } }");
    const struct channel_limit *all = &config.options.channel, *a = &config.options.channel_rules[0].limit;
    assert_true(all->discard_new);
    assert_int_equal(all->max_deliver, 5);
    assert_int_equal(all->backoff_count, 3);
    assert_int_equal(all->backoff_ns[1], 2 * SECOND);
    assert_memory_equal(all->dead_letter.ptr, "dead", 4);
    assert_int_equal(all->duplicate_window_ns, 3600 * SECOND);
    assert_int_equal(all->disconnect_grace_ns, 60 * SECOND);
    assert_false(a->discard_new);
    assert_int_equal(a->max_deliver + a->backoff_count + a->dead_letter.len, 0);
    assert_int_equal(a->duplicate_window_ns + a->disconnect_grace_ns, 0);
    const uint32_t given = CHANNEL_GIVES_DISCARD | CHANNEL_GIVES_DELIVERIES | CHANNEL_GIVES_BACKOFF |
                           CHANNEL_GIVES_DEAD_LETTER | CHANNEL_GIVES_WINDOW | CHANNEL_GIVES_GRACE;
    assert_int_equal(a->given, given);
    assert_int_equal(config.options.channel_rules[1].limit.backoff_count, 1);
    config_deinit(&config);
    const char *bad[][2] = {
        {"discard: newest", "discard: old or new is expected here"},
        {"max_deliver: many", "max_deliver: an integer"},
        {"backoff: soon", "backoff: a duration such as"},
        {"backoff: [1s, soon]", "main:1:42: backoff: a duration such as"},
        {"backoff: [1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8]", "an array of at most 16 durations"},
        {"dead_letter: a.*", "dead_letter: the name of a channel"},
        {"dead_letter: 5", "dead_letter: the name of a channel"},
        {"duplicate_window: 169h", "at most \"168h\""},
        {"disconnect_grace: 25h", "at most \"24h\""},
        {"dead_letter: a, channels { a { dead_letter: b } }",
         "dead messages of \"a\" would go from channel to channel"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char line[200];
        snprintf(line, sizeof(line), "streaming { store_limits { %s } }", bad[i][0]);
        refuse_as(OPTIONS_WEIR, "-c main", line, bad[i][1]);
    }
}

// ST-C48: a lone file of -sc is the NATS server's too, as Helm charts have it.
static void a_lone_file_is_for_both_servers(void **state)
{
    stan_text = "listen: \"127.0.0.9:4999\"\nhttp: 8222\nstreaming { id: stan, store: file, dir: /data/stan/store }";
    accept_as(OPTIONS_NATS_STREAMING, "-sc stan", "");
    assert_string_equal(config.options.host, "127.0.0.9");
    assert_int_equal(config.options.http_port, 8222);
    assert_string_equal(config.options.cluster_id, "stan");
    config_deinit(&config);
    accept_as(OPTIONS_WEIR, "-sc stan", "");
    assert_int_equal(config.options.port, 4999);
    config_deinit(&config);
    stan_text = "store: memory\nhttp_port: 8333";
    accept_as(OPTIONS_WEIR, "--stan_config=stan", "");
    assert_int_equal(config.options.http_port, 8333);
    config_deinit(&config);
    // Beside a file of -c it is for NATS Streaming alone.
    accept_as(OPTIONS_NATS_STREAMING, "-sc stan -c main", "port: 4111");
    assert_int_equal(config.options.http_port, 0);
    assert_int_equal(config.options.port, 4111);
    config_deinit(&config);
}

// Every flag of nats-streaming-server 0.25.6 under each of its names, with a value; what becomes of it.
enum fate { TAKEN, NAMED_IN_THE_LOG, REFUSED };
static const struct {
    const char *names, *value; // value NULL: a boolean
    enum fate fate;
} flags[] = {
    {"cid,cluster_id", "x", TAKEN},                   // ST-C01
    {"st,store", "FILE", TAKEN},                      // ST-C03
    {"dir", "/d", TAKEN},                             // ST-C04
    {"SD,stan_debug", NULL, TAKEN},                   // ST-C05
    {"SV,stan_trace", NULL, TAKEN},                   //
    {"SDV", NULL, TAKEN},                             //
    {"ns,nats_server", "nats://h:1", TAKEN},          // ST-C06
    {"secure", NULL, TAKEN},                          // ST-C08
    {"tls_client_key", "/k", TAKEN},                  //
    {"tls_client_cert", "/c", TAKEN},                 //
    {"tls_client_cacert", "/a", TAKEN},               //
    {"mc,max_channels", "5", TAKEN},                  // ST-C09
    {"msu,max_subs", "5", TAKEN},                     // ST-C10
    {"mm,max_msgs", "5", TAKEN},                      // ST-C11
    {"mb,max_bytes", "5MB", TAKEN},                   // ST-C12
    {"ma,max_age", "1h30m", TAKEN},                   // ST-C13
    {"mi,max_inactivity", "1.5h", TAKEN},             // ST-C14
    {"hbi,hb_interval", "20s", TAKEN},                // ST-C16
    {"hbt,hb_timeout", "500ms", TAKEN},               // ST-C17
    {"hbf,hb_fail_count", "3", TAKEN},                // ST-C18
    {"ft_group", "g", REFUSED},                       // ST-C19
    {"partitioning", NULL, NAMED_IN_THE_LOG},         // ST-C20
    {"replace_durable", NULL, TAKEN},                 // ST-C21
    {"syslog_name", "s", NAMED_IN_THE_LOG},           // ST-C22
    {"encrypt", NULL, TAKEN},                         // ST-C23
    {"encryption_cipher", "CHACHA", TAKEN},           //
    {"encryption_key", "hush", TAKEN},                //
    {"file_compact_enabled", NULL, NAMED_IN_THE_LOG}, // ST-C24
    {"file_compact_frag", "50", NAMED_IN_THE_LOG},
    {"file_compact_interval", "300", NAMED_IN_THE_LOG},
    {"file_compact_min_size", "1MB", NAMED_IN_THE_LOG},
    {"file_buffer_size", "2MB", NAMED_IN_THE_LOG}, // ST-C25
    {"file_read_buffer_size", "2MB", NAMED_IN_THE_LOG},
    {"file_crc", NULL, NAMED_IN_THE_LOG}, // ST-C26
    {"file_crc_poly", "3988292384", NAMED_IN_THE_LOG},
    {"file_sync", NULL, TAKEN},                        // ST-C27
    {"file_auto_sync", "1m", NAMED_IN_THE_LOG},        // ST-C28
    {"file_slice_max_msgs", "5", NAMED_IN_THE_LOG},    // ST-C29
    {"file_slice_max_bytes", "5MB", NAMED_IN_THE_LOG}, //
    {"file_slice_max_age", "1h", NAMED_IN_THE_LOG},    //
    {"file_slice_archive_script", "/s", REFUSED},      // ST-C30
    {"file_fds_limit", "5", NAMED_IN_THE_LOG},         // ST-C31
    {"file_parallel_recovery", "5", NAMED_IN_THE_LOG}, // ST-C32
    {"file_truncate_bad_eof", NULL, NAMED_IN_THE_LOG}, // ST-C33
    {"sql_driver", "d", REFUSED},                      // ST-C34
    {"sql_source", "s", REFUSED},
    {"sql_no_caching", NULL, REFUSED},
    {"sql_max_open_conns", "5", REFUSED},
    {"sql_bulk_insert_limit", "5", REFUSED},
    {"io_batch_size", "5", NAMED_IN_THE_LOG}, // ST-C35
    {"io_sleep_time", "5", NAMED_IN_THE_LOG},
    {"cluster_node_id", "a", REFUSED},        // ST-C36
    {"cluster_bootstrap", NULL, REFUSED},     // ST-C37
    {"cluster_peers", "b,c", REFUSED},        // ST-C38
    {"cluster_log_path", "/l", REFUSED},      // ST-C39
    {"cluster_log_cache_size", "5", REFUSED}, // ST-C40
    {"cluster_log_snapshots", "5", REFUSED},
    {"cluster_trailing_logs", "5", REFUSED},
    {"cluster_sync", NULL, REFUSED},                       // ST-C41
    {"cluster_proceed_on_restore_failure", NULL, REFUSED}, // ST-C42
    {"cluster_allow_add_remove_node", NULL, REFUSED},      // ST-C43
    {"cluster_raft_logging", NULL, REFUSED},               // ST-C44
    {"clustered", NULL, REFUSED},                          // ST-C46
    {"sl,signal", "reload", TAKEN},                        // ST-C47
    {"a,addr,net", "127.0.0.1", TAKEN},                    // ST-C48
    {"p,port", "4333", TAKEN},
    {"P,pid", "/p", TAKEN},
    {"m,http_port", "8222", TAKEN},
    {"c,config", "main", TAKEN},
    {"l,log", "/l", TAKEN},
    {"T,logtime", NULL, TAKEN},
    {"s,syslog", NULL, TAKEN},
    {"r,remote_syslog", "udp://h:1", TAKEN},
    {"D,debug", NULL, TAKEN},
    {"V,trace", NULL, TAKEN},
    {"DV", NULL, TAKEN},
    {"user", "u", TAKEN},
    {"pass", "hush", TAKEN},
    {"auth", "hush", TAKEN},
    {"tls", NULL, TAKEN},
    {"tlscert", "/c", TAKEN},
    {"tlskey", "/k", TAKEN},
    {"tlsverify", NULL, TAKEN},
    {"tlscacert", "/c", TAKEN},
    {"routes", "nats://h:1", REFUSED},
    {"cluster", "nats://h:1", REFUSED},
};

// One flag in one of the forms of Go's flag package: -x v, --x v, -x=v, --x=v; what goes with it is said, too.
static void expect_flag(const char *name, const char *value, enum fate fate, int form)
{
    char text[200];
    const char *dashes = form & 1 ? "--" : "-";
    if (value)
        snprintf(text, sizeof(text), "%s%s%s%s", dashes, name, form & 2 ? "=" : " ", value);
    else
        snprintf(text, sizeof(text), "%s%s%s", dashes, name, form & 2 ? "=true" : "");
    bool is_tls = strncmp(name, "tls", 3) == 0 && strncmp(name, "tls_", 4) != 0;
    if (is_tls)
        strncat(text, " --tlscert /c --tlskey /k", sizeof(text) - strlen(text) - 1);
    if (strcmp(name, "pass") == 0)
        strncat(text, " -user u", sizeof(text) - strlen(text) - 1);
    int error = read_config(OPTIONS_NATS_STREAMING, text, "");
    if ((error != 0) != (fate == REFUSED))
        fail_msg("%s: %s", text, error ? message : "is not refused");
    if (error && !strstr(message, "not there yet") && !strstr(message, "not served") &&
        !strstr(message, "will come with clusters") && !strstr(message, "no slices"))
        fail_msg("%s says %s", text, message);
    assert_null(strstr(message, "hush"));
    if (!error && config.options.ignored.count != (fate == NAMED_IN_THE_LOG))
        fail_msg("%s: %u flags are named in the log", text, config.options.ignored.count);
    config_deinit(&config);
}

// ST-C01…C48
static void every_flag_has_its_fate(void **state)
{
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        char names[64];
        snprintf(names, sizeof(names), "%s", flags[i].names);
        char *rest = names, *name;
        while ((name = strsep(&rest, ",")))
            for (int form = 0; form < 4; form++)
                expect_flag(name, flags[i].value, flags[i].fate, form);
    }
}

// ST-C02, ST-C06…C08, ST-C23, ST-C27: what is understood, though some of it is not served yet.
static void values_of_streaming_keys(void **state)
{
    const struct options *options = &config.options;
    accept_as(OPTIONS_NATS_STREAMING, "-c main",
              "streaming { discover_prefix: my.discover, credentials: c, username: u, password: hush, token: hush, "
              "nkey_seed_file: n\n"
              " secure: true, tls { client_cert: cc, client_key: ck, client_cacert: ca, server_hostname: h, insecure: "
              "true }\n"
              " file { sync_on_flush: false } }");
    assert_string_equal(options->discover_prefix, "my.discover");
    assert_string_equal(options->nats.credentials_file, "c");
    assert_string_equal(options->nats.user, "u");
    assert_string_equal(options->nats.password, "hush");
    assert_string_equal(options->nats.ca_file, "ca");
    assert_string_equal(options->nats.server_name, "h");
    assert_true(options->nats.secure && options->nats.skip_verify);
    assert_true(options_nats_is_idle(&options->nats));
    assert_int_equal(options->sync, OPTIONS_SYNC_NEVER);
    config_deinit(&config);
    // A flag wins over the file here, too.
    accept_as(OPTIONS_NATS_STREAMING, "-c main --file_sync=true", "streaming { file { sync: false } }");
    assert_int_equal(options->sync, OPTIONS_SYNC_ALWAYS);
    assert_false(options_nats_is_idle(&options->nats));
    config_deinit(&config);
    accept_as(OPTIONS_WEIR, "-c main", "streaming { nats_server: \"nats://u:p@h:1, tls://[::1]\" }");
    assert_string_equal(options->nats.url, "nats://u:p@h:1, tls://[::1]");
    config_deinit(&config);
    refuse_as(OPTIONS_WEIR, "-c main", "streaming { nats_server: \"nats://u:hush@\" }",
              "-ns (nats_server): nats://[USER:PASSWORD@]HOST[:PORT] is expected");
    refuse_as(OPTIONS_WEIR, "-c main", "streaming { nats_server: \"h\", credentials: c }",
              "credentials: files with JWT");
    refuse_as(OPTIONS_WEIR, "-c main", "streaming { nats_server: \"h\", tls { client_cert: c } }",
              "-tls_client_cert and -tls_client_key belong together");
    refuse_as(OPTIONS_WEIR, "--streaming=false -ns h", NULL, "-ns: there is nothing to serve");
    refuse_as(OPTIONS_WEIR, "-c main", "streaming { discover_prefix: \"a.*\" }", "discover_prefix: a subject");
    refuse_as(OPTIONS_WEIR, "-c main", "streaming { tls { cert_file: x } }", "unknown key \"cert_file\"");
    refuse_as(OPTIONS_WEIR, "-c main", "streaming { sql { driver: mysql } }",
              "main:1:13: sql: SQL stores are not served");
}

// No secret of a file may be changed by a reload, and none is shown when it is tried.
static void secrets_of_streaming_need_a_restart(void **state)
{
    static const char *const keys[] = {"password", "token"};
    struct config_changes changes;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char text[100];
        accept_as(OPTIONS_WEIR, "-c main", "streaming { store: memory }");
        struct config old = config;
        snprintf(text, sizeof(text), "streaming { store: memory, %s: hush }", keys[i]);
        accept_as(OPTIONS_WEIR, "-c main", text);
        assert_int_equal(config_compare(&old, &config, &changes, message), ERR_UNSUPPORTED);
        assert_non_null(strstr(message, keys[i]));
        assert_null(strstr(message, "hush"));
        config_deinit(&old);
        config_deinit(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streaming_blocks),
        cmocka_unit_test(limits_of_single_channels),
        cmocka_unit_test(channels_say_how_their_messages_are_treated),
        cmocka_unit_test(a_lone_file_is_for_both_servers),
        cmocka_unit_test(every_flag_has_its_fate),
        cmocka_unit_test(values_of_streaming_keys),
        cmocka_unit_test(secrets_of_streaming_need_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
