// SPDX-License-Identifier: Apache-2.0
// The configuration file (CO-X03) and the command line together: what keys set, what is refused and where, that flags win, and that
// no message shows a secret. Secrets in these tests contain the word "hush".
#include <stdio.h>
#include <string.h>

#include "config_rig.h"
#include "server/config_key.h"
#include "server/options_internal.h"

static void an_empty_file_leaves_the_defaults(void **state)
{
    struct options plain;
    options_default(&plain, OPTIONS_WEIR);
    accept_as(OPTIONS_WEIR, "-c main", "# nothing\n");
    assert_int_equal(config.options.port, plain.port);
    assert_string_equal(config.options.directory, "./data");
    assert_false(config.websocket.on);
    assert_int_equal(config.warning_count, 0);
    assert_false(auth_config_view(config.auth)->client.required);
    config_deinit(&config);
    assert_int_equal(read_config(OPTIONS_WEIR, "-p 7", ""), 0);
    assert_int_equal(config.options.port, 7);
    config_deinit(&config);
}

static void the_keys_of_the_server(void **state)
{
    accept("listen: \"127.0.0.1:4111\"\nclient_advertise: 'example.org:4222'\nserver_name: name\nhttp: "
           "8333\nmax_payload: 64KB\n"
           "MAX_CONTROL_LINE: 1KB\nmax_pending 128kb\nmax_conn: 77\nmax_closed_clients: 5\nmax_subs: "
           "78\nmax_sub_tokens: 255\nping_interval: \"20s\"\nping_max: 3\n"
           "write_deadline: '2s'\nlame_duck_duration: \"60s\"\nlame_duck_grace_period: 5s\n");
    const struct options *options = &config.options;
    assert_string_equal(options->host, "127.0.0.1");
    assert_int_equal(options->port, 4111);
    assert_string_equal(options->client_advertise, "example.org:4222");
    assert_string_equal(options->server_name, "name");
    assert_int_equal(options->http_port, 8333);
    assert_null(options->http_host);
    assert_int_equal(options->max_payload, 65536);
    assert_int_equal(options->max_control_line, 1024);
    assert_int_equal(options->max_pending, 131072);
    assert_int_equal(options->max_connections, 77);
    assert_int_equal(options->max_closed, 5);
    assert_int_equal(options->max_subscriptions, 78);
    assert_int_equal(options->max_sub_tokens, 255);
    assert_int_equal(options->ping_interval_ns, 20 * SECOND);
    assert_int_equal(options->ping_max, 3);
    assert_int_equal(options->write_deadline_ns, 2 * SECOND);
    assert_int_equal(options->lame_duck_duration_ns, 60 * SECOND);
    assert_int_equal(options->lame_duck_grace_ns, 5 * SECOND);
    config_deinit(&config);
    accept("net: 127.0.0.2; port: -1; monitor_port: 8444, max_connections: -1, max_subscriptions: -1\n"
           "log_file: /tmp/x, logtime: no, logtime_utc: yes, debug: true, trace_verbose: true, logfile_size_limit: 1MB,"
           "logfile_max_num: 4, syslog: true, remote_syslog: \"udp://h:514\", max_traced_msg_len: 100, pidfile: p, "
           "ports_file_dir: d");
    assert_string_equal(options->host, "127.0.0.2");
    assert_int_equal(options->port, -1);
    assert_int_equal(options->http_port, 8444);
    assert_int_equal(options->max_connections, 10000000);
    assert_int_equal(options->max_subscriptions, 0);
    assert_string_equal(options->log_file, "/tmp/x");
    assert_false(options->log_time);
    assert_true(options->log_time_utc);
    assert_true(options->debug);
    assert_true(options->trace);
    assert_true(options->trace_verbose);
    assert_int_equal(options->log_size_limit, 1 << 20);
    assert_int_equal(options->log_max_files, 4);
    assert_true(options->syslog);
    assert_string_equal(options->remote_syslog, "udp://h:514");
    assert_int_equal(options->max_traced_length, 100);
    assert_string_equal(options->pid_file, "p");
    assert_string_equal(options->ports_file_dir, "d");
    config_deinit(&config);
    accept("server_tags: [Rack:7, ssd]\nhttp_base_path: nats/");
    assert_int_equal(options->server_tag_count, 2);
    assert_string_equal(options->server_tags[0], "rack:7");
    assert_string_equal(options->http_base_path, "/nats");
    config_forget_files(&config);
    assert_string_equal(options->server_tags[1], "ssd");
    assert_string_equal(options->http_base_path, "/nats");
    config_deinit(&config);
    accept("server_tags: one\nhttp_base_path: \"/\"");
    assert_int_equal(options->server_tag_count, 1);
    assert_null(options->http_base_path);
    config_deinit(&config);
    accept("listen: \":4000\"\nhttp: \"[::1]:8222\"");
    assert_string_equal(options->host, "0.0.0.0");
    assert_int_equal(options->port, 4000);
    assert_string_equal(options->http_host, "::1");
    config_deinit(&config);
}

static void flags_win_over_the_file(void **state)
{
    accept_as(OPTIONS_NATS_SERVER, "-p 4555 -c main -D=false --pass hush",
              "port: 4444\ndebug: true\nmax_connections: 5\n"
              "authorization {user: u, password: other}");
    assert_int_equal(config.options.port, 4555);
    assert_false(config.options.debug);
    assert_int_equal(config.options.max_connections, 5);
    assert_string_equal(config.options.user, "u");
    assert_string_equal(config.options.password, "hush");
    config_deinit(&config);
}

static void variables_need_no_known_name(void **state)
{
    accept(
        "MY: 4999\nport: $MY\nmax_connections: $PORT\nauthorization { A: hush, users: [ {user: a, password: $A} ] }");
    assert_int_equal(config.options.port, 4999);
    assert_int_equal(config.options.max_connections, 4333);
    config_deinit(&config);
    refuse("MY: 4999\nport: 1", "main:1:1: unknown key \"MY\"");
}

static void unknown_keys_are_told_with_their_neighbour(void **state)
{
    refuse("\n  max_paylod: 1", "main:2:3: unknown key \"max_paylod\"; did you mean \"max_payload\"?");
    refuse("authorization {\n usr: a }", "main:2:2: unknown key \"usr\"; did you mean \"user\"?");
    refuse("authorization{ user: a }", "main:1:1: a blank belongs between");
    refuse("tls { nothing_like_it: 5 }", "main:1:7: unknown key \"nothing_like_it\" in tls");
    refuse("accounts { A { userz: [] } }", "did you mean \"users\"?");
    refuse("include nothing", "main:1:1: cannot include nothing: not found");
    refuse("port: 4222 4223", "main:1:12: ");
}

static void features_that_are_missing_are_refused_by_name(void **state)
{
    refuse("port: 1\ncluster { name: x }", "main:2:1: cluster: clusters of servers are not there yet");
    refuse("gateway { }", "gateways are not served");
    refuse("leafnodes { }", "leaf nodes are not served");
    refuse("leaf { }", "leaf nodes");
    refuse("mqtt { port: 1 }", "MQTT is not served");
    refuse("jetstream: enabled", "JetStream is not served yet");
    refuse("jetstream { store_dir: x }", "JetStream is not served yet");
    refuse("operator: x", "operators and JWTs are not served");
    refuse("resolver: MEMORY", "operators and JWTs are not served");
    refuse("ocsp: true", "OCSP is not served");
    refuse("mappings { a: b }", "subject mappings are not served");
    refuse("accounts { A { jetstream: true } }", "JetStream is not served");
    refuse("authorization { auth_callout { } }", "auth callout is not served");
    refuse("websocket { port: 1, jwt_cookie: x }", "so none comes in a cookie");
    refuse("websocket { port: 1, user_cookie: x }", "not in cookies");
    accept("jetstream: false\naccounts { A { jetstream: disabled } }");
    config_deinit(&config);
    accept("server_metadata: {a: b}\nprof_port: 5");
    assert_int_equal(config.warning_count, 2);
    assert_string_equal(config.warnings[1],
                        "main:2:1: prof_port has no effect: there is no profiling port; perf and heaptrack look at "
                        "a running server");
    config_deinit(&config);
}

static void values_of_the_wrong_kind_are_told_with_the_right_one(void **state)
{
    refuse("port: \"4222\"", "main:1:7: port: an integer, from -1 to 65535 is expected here");
    refuse("port: 70000", "main:1:7: port: an integer, from -1 to 65535");
    refuse("debug: \"true\"", "main:1:8: debug: true or false, without quotes,");
    refuse("server_name: 5", "main:1:14: server_name: a string (quote it)");
    refuse("server_name: \"\"", "not empty");
    refuse("max_payload: \"1MB\"", "max_payload: a size such as 65536, 64KB or 1GB, from 1024 to 8388608");
    refuse("max_payload: 9MB", "main:1:14: max_payload: a size");
    refuse("max_pending: -1", "max_pending: a size");
    refuse("ping_interval: \"2x\"", "ping_interval: a duration such as");
    refuse("ping_interval: 1.5", "a duration");
    refuse("ping_interval: \"1ms\"", "from 10ms to 24h");
    refuse("lame_duck_duration: \"10s\"", "from 30s to 168h");
    refuse("listen: foo", "main:1:9: listen: HOST:PORT");
    refuse("listen: \"foo:bar\"", "HOST:PORT");
    refuse("http: \"a:b:1\"", "HOST:PORT");
    refuse("listen: 70000", "HOST:PORT");
    refuse("http_base_path: \"/a b\"", "a path such as");
    refuse("server_tags: [1]", "array of strings");
    refuse("max_connections: 5x", "max_connections: an integer from -1");
    refuse("authorization: 5", "main:1:16: authorization: a map { … } is expected");
    refuse("accounts: 5", "a map of accounts, or an array of their names");
    refuse("port: 1\nmonitor_port: 1", "same port");
    refuse("max_pending: 64KB\nmax_payload: 1MB", "max_pending is less");
    accept("ping_interval: 30\nwrite_deadline: 2m");
    assert_int_equal(config.options.ping_interval_ns, 30 * SECOND);
    assert_int_equal(config.options.write_deadline_ns, 120 * SECOND);
    assert_int_equal(config.warning_count, 1);
    assert_string_equal(config.warnings[0], "main:1:16: ping_interval should be written as a duration: \"30s\"");
    config_deinit(&config);
}

// CO-S02, CO-S06
static void authorization_has_a_token_a_user_or_users(void **state)
{
    accept("authorization { token: hush, timeout: 0.5 }");
    const struct auth_view *view = auth_config_view(config.auth);
    assert_int_equal(view->client.token.kind, AUTH_SECRET_PLAIN);
    assert_int_equal(view->client.timeout_ms, 500);
    assert_true(view->client.required);
    config_deinit(&config);
    accept("authorization { user: u, pass: $PASS, timeout: 3 }");
    view = auth_config_view(config.auth);
    assert_true(bytes_equal(view->client.single_user, BYTES("u")));
    assert_int_equal(view->client.single_password.text.len, 9);
    assert_int_equal(view->client.timeout_ms, 3000);
    config_deinit(&config);
    accept("authorization {\n"
           "  default_permissions { publish: \"default.>\" }\n"
           "  users = [\n"
           "    {user: plain, password: hush}\n"
           "    {user: hashed, password: $2a$11$W2zko751KUvVy59mUTWmpOdWjpEm5qhcCZRd05GjI/sSOT.xtiHyG,\n"
           "     permissions { publish { allow: [a, \"b.>\"], deny: c }, subscribe: \"_INBOX.> q\", allow_responses { "
           "max: 5, "
           "expires: 1m } }\n"
           "     allowed_connection_types: [STANDARD, websocket] }\n"
           "    {nkey: UCNGL4W5QX66CFX6A6DCBVDH5VOHMI7B2UZZU7TXAUQQSI2JPHULCKBR}\n"
           "  ]\n}\nno_auth_user: plain");
    view = auth_config_view(config.auth);
    assert_int_equal(view->user_count, 3);
    assert_true(bytes_equal(view->client.no_auth_user->name, BYTES("plain")));
    assert_int_equal(view->users[0].permissions->publish_allow.count, 1);
    const struct auth_permissions *permissions = view->users[1].permissions;
    assert_int_equal(view->users[1].password.kind, AUTH_SECRET_BCRYPT);
    assert_int_equal(permissions->publish_allow.count, 2);
    assert_int_equal(permissions->publish_deny.count, 1);
    assert_int_equal(permissions->subscribe_allow.items[0].queue.len, 1);
    assert_int_equal(permissions->response_max, 5);
    assert_int_equal(permissions->response_ttl_ns, 60 * SECOND);
    assert_int_equal(view->users[1].connection_types, AUTH_CONNECTION_STANDARD | AUTH_CONNECTION_WEBSOCKET);
    assert_true(view->users[2].is_nkey);
    config_deinit(&config);
}

static void authorization_that_contradicts_itself_is_refused(void **state)
{
    refuse("\nauthorization { user: a, password: hush, token: hush2 }",
           "main:2:1: cannot have both a user and password and a token");
    refuse("authorization { token: hush, users: [{user: a, password: hush}] }",
           "main:1:1: cannot have both a token and a list");
    refuse("authorization { user: u, password: hush, users: [{user: a, password: hush}] }",
           "main:1:1: cannot have both");
    refuse("authorization { users: [\n {user: a, password: hush}\n {user: a, password: hush2}] }",
           "main:3:2: duplicate user \"a\"");
    refuse("authorization { users: [{password: hush}] }", "main:1:25: a user needs a name");
    refuse("authorization { users: [{nkey: bad}] }", "main:1:25: not a valid public nkey");
    refuse("authorization { users: [{nkey: bad, user: a}] }", "neither name nor password");
    refuse("authorization { users: [{user: c, password: hush, permissions: {\n publish: \"a..b\"}}] }",
           "\"a..b\" is not a valid subject");
    refuse("authorization { users: [{user: c, password: hush, permissions: {publish: {allowx: a}}}] }",
           "unknown key \"allowx\"");
    refuse("authorization { users: [{user: c, password: 12345}] }", "main:1:45: password: a string (quote it)");
    refuse("authorization { users: {user: c} }", "an array of users");
    refuse("authorization { users: [c] }", "a user is expected here");
    refuse("authorization { user: a, password: hush, timeout: [] }", "a number of seconds");
    refuse("no_auth_user: nobody\nauthorization { users: [{user: a}] }", "main:1:15: ");
    refuse("authorization { users: [{user: a, permissions: {publish: 5}}] }",
           "publish: a string, or an array of strings");
    refuse("authorization { users: [{user: a, connection_types: [FTP]}] }", "STANDARD, WEBSOCKET");
}

static const struct auth_listener *client_as(const char *flags, const char *text)
{
    accept_as(OPTIONS_NATS_SERVER, flags, text);
    return &auth_config_view(config.auth)->client;
}

// CO-X04, CO-S02: a token is stronger than a single user, a list of users too; both whoever says it.
static void flags_contradict_nothing_in_the_file(void **state)
{
    const struct auth_listener *client = client_as("-c main --auth hush", "authorization { user: u, password: hush2 }");
    assert_int_equal(client->single_user.len, 0);
    assert_int_equal(client->single_password.kind, AUTH_SECRET_NONE);
    assert_true(bytes_equal(client->token.text, BYTES("hush")));
    config_deinit(&config);
    client = client_as("-c main --user u --pass hush", "authorization { token: hush2 }");
    assert_int_equal(client->single_user.len, 0);
    assert_true(bytes_equal(client->token.text, BYTES("hush2")));
    config_deinit(&config);
    client = client_as("-c main --user x --pass hush", "authorization { users: [{user: a}] }");
    assert_int_equal(client->single_user.len, 0);
    config_deinit(&config);
    client = client_as("-c main --pass hush", "authorization { users: [{user: a}] }");
    assert_int_equal(client->single_password.kind, AUTH_SECRET_NONE);
    config_deinit(&config);
    client = client_as("-c main --auth hush", "authorization { users: [{user: a}] }");
    assert_true(bytes_equal(client->token.text, BYTES("hush")));
    assert_int_equal(auth_config_view(config.auth)->user_count, 1);
    config_deinit(&config);
    client = client_as("-c main --user x", "authorization { user: u, password: hush }");
    assert_true(bytes_equal(client->single_user, BYTES("x")));
    assert_true(bytes_equal(client->single_password.text, BYTES("hush")));
    config_deinit(&config);
}

static void flags_do_not_help_a_file_that_contradicts_itself(void **state)
{
    refuse_as(OPTIONS_NATS_SERVER, "-c main --auth hush", "authorization { user: a, password: hush, token: hush2 }",
              "main:1:1: cannot have both a user and password and a token");
    refuse_as(OPTIONS_NATS_SERVER, "-c main --auth hush", "authorization { token: hush2, users: [{user: a}] }",
              "main:1:1: cannot have both a token and a list");
    refuse_as(OPTIONS_NATS_SERVER, "-c main --auth hush", "accounts { A { users: [{user: a}] } }",
              "main:1:24: cannot have both a token (--auth) and users of accounts");
    refuse_as(OPTIONS_NATS_SERVER, "-c main --user u --pass hush", "accounts { A { users: [{user: a}] } }",
              "main:1:24: cannot have both a user and password (--user, --pass) and users of accounts");
    refuse_as(OPTIONS_NATS_SERVER, "-c main --pass hush", "port: 1", "a password without a user");
}

// CO-S07, CO-S08
static void accounts_have_users_exports_and_imports(void **state)
{
    accept("accounts {\n"
           "  A { users: [{user: a, password: hush}], exports: [ {stream: \"s.>\"}, {service: q, accounts: [B], "
           "response_type: stream,\n"
           "      response_threshold: \"5s\", latency: {sampling: \"50%\", subject: lat}} ]\n"
           "      limits { max_conn: 5, max_subs: -1, max_payload: 1KB } }\n"
           "  B { users: [{user: b, password: hush}], default_permissions { subscribe: x }\n"
           "      imports: [ {stream: {account: A, subject: \"s.*\"}, prefix: p}, {service: {account: A, subject: q}, "
           "to: mine, share: yes} ] }\n"
           "  SYS { users: [{user: sys, password: hush}] }\n"
           "}\nsystem_account: SYS\n");
    const struct auth_view *view = auth_config_view(config.auth);
    const struct auth_account *a = &view->accounts[auth_config_find_account(config.auth, BYTES("A"))];
    const struct auth_account *b = &view->accounts[auth_config_find_account(config.auth, BYTES("B"))];
    assert_int_equal(a->export_count, 2);
    assert_int_equal(a->limits.max_connections, 5);
    assert_int_equal(a->limits.max_subscriptions, AUTH_UNLIMITED);
    assert_int_equal(a->limits.max_payload, 1024);
    assert_true(a->exports[1].is_service);
    assert_false(a->exports[1].is_public);
    assert_int_equal(a->exports[1].response, AUTH_RESPONSE_STREAM);
    assert_int_equal(a->exports[1].response_threshold_ns, 5 * SECOND);
    assert_int_equal(a->exports[1].latency_sampling, 50);
    assert_int_equal(b->import_count, 2);
    assert_true(b->imports[1].share);
    assert_int_equal(view->system_account, auth_config_find_account(config.auth, BYTES("SYS")));
    assert_int_equal(auth_config_find_user(config.auth, BYTES("b"))->permissions->subscribe_allow.count, 1);
    config_deinit(&config);
    accept("accounts: [A, B]\nno_sys_acc: true");
    assert_int_not_equal(auth_config_find_account(config.auth, BYTES("B")), AUTH_NONE);
    assert_int_equal(auth_config_view(config.auth)->system_account, AUTH_NONE);
    config_deinit(&config);
}

static void accounts_that_make_no_sense_are_refused(void **state)
{
    refuse("accounts { A {users: [{user: a, password: hush}]}\n B {users: [{user: a, password: hush}]} }",
           "main:2:13: duplicate user");
    refuse("accounts { A {exports: [{stream: a}]}\n B {imports: [{stream: {account: C, subject: a}}]} }",
           "main:2:15: ");
    refuse("accounts { A {exports: [{stream: a}]}\n B {imports: [{stream: {account: A, subject: b}}]} }",
           "main:2:15: account \"A\" does not export");
    refuse("accounts { \"$G\" {} }", "main:1:12: \"$G\" is a reserved account");
    refuse("system_account: nope", "main:1:17: ");
    refuse("accounts { A {exports: [{stream: a.b, account_token_position: 1}]} }", "\"a.b\" has no * as token 1");
    refuse("accounts { A {exports: [{stream: a.>, account_token_position: 2}]} }", "\"a.>\" has no * as token 2");
    refuse("accounts { A {exports: [{service: a.*, account_token_position: 3}]} }", "\"a.*\" has no * as token 3");
    refuse("accounts { A { exports: [{stream: a, service: b}] } }", "one `stream` or one `service`");
    refuse("accounts { A { exports: [{}] } }", "needs a `stream` or a `service`");
    refuse("accounts { A { exports: [{stream: a, response_type: stream}] } }", "belong to a `service`");
    refuse("accounts { A { exports: [{service: a, latency: {sampling: 200, subject: x}}] } }",
           "percentage from 1 to 100");
    refuse("accounts { A { exports: [{service: a, latency: {sampling: 20}}] } }", "latency needs a `subject`");
    refuse("accounts { A { imports: [{stream: {account: A}}] } }", "with account and subject");
    refuse("accounts { A { imports: [{service: {account: A, subject: b}, prefix: c}] } }",
           "`prefix` belongs to a `stream`");
    refuse("accounts { A { limits { max_conn: 5s } } }", "max_conn: an integer of at least -1");
    refuse("accounts { A { limits { max_conn: -2 } } }", "an integer of at least -1");
}

// CO-S01
static void tls_blocks(void **state)
{
    accept(
        "tls { cert_file: c.pem, key_file: k.pem, ca_file: ca.pem, verify_and_map: true, timeout: 0.5, min_version: "
        "\"1.3\"\n"
        "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], curve_preferences: [CurveP256], handshake_first: "
        "\"300ms\"\n connection_rate_limit: 50\n"
        "  pinned_certs: ['a8f407340dcc719864214b85ed96f98d16cbffa8f509d9fa4ca237b7bb3f9c32'] }\nallow_non_tls: true");
    const struct tls_options *tls = &config.options.tls;
    assert_true(tls_options_is_on(tls));
    assert_string_equal(tls->cert_file, "c.pem");
    assert_true(tls->verify);
    assert_true(tls->verify_and_map);
    assert_true(auth_config_view(config.auth)->client.verify_and_map);
    assert_int_equal(tls->timeout_ns, SECOND / 2);
    assert_int_equal(tls->min_version, 13);
    assert_int_equal(tls->rate_limit, 50);
    assert_int_equal(tls->suite_count, 1);
    assert_int_equal(tls->curve_count, 1);
    assert_int_equal(tls->first, TLS_OPTIONS_AUTO);
    assert_int_equal(tls->fallback_ns, 3 * SECOND / 10);
    assert_int_equal(tls->pin_count, 1);
    assert_int_equal(tls->pins[0][0], 0xa8);
    assert_true(tls->allow_plain);
    assert_int_equal(auth_config_view(config.auth)->client.timeout_ms, 1500);
    config_deinit(&config);
    accept("tls {}");
    assert_false(tls_options_is_on(&config.options.tls));
    config_deinit(&config);
    refuse("tls { cert_file: x }", "main:1:1: ");
    refuse("https: 8333", "HTTPS needs a certificate");
    refuse("tls { cert_file: c, key_file: k, cipher_suites: [A] }", "cipher_suites: there is no such name");
    refuse("tls { cert_file: c, key_file: k, cipher_suites: [] }", "not empty");
    refuse("tls { cert_file: c, key_file: k, min_version: \"1.1\" }", "\"1.2\" or \"1.3\"");
    refuse("tls { cert_file: c, key_file: k, verify: true, pinned_certs: [a] }", "64 hexadecimal digits");
    refuse("tls { cert_file: c, key_file: k, handshake_first: perhaps }", "a duration");
    refuse("tls { ocsp_peer: true }", "OCSP");
}

// CO-T04
static void websocket_blocks(void **state)
{
    accept("websocket { listen: \"127.0.0.1:8080\", no_tls: true, same_origin: true, compression: true, "
           "handshake_timeout: \"5s\"\n"
           " allowed_origins: [\"http://a\", \"https://b:1\"], advertise: \"h:1\"\n"
           " authorization { user: w, password: hush, timeout: 3 } }");
    const struct websocket_config *websocket = &config.websocket;
    assert_true(websocket->on);
    assert_string_equal(websocket->host, "127.0.0.1");
    assert_int_equal(websocket->port, 8080);
    assert_true(websocket->no_tls && websocket->same_origin && websocket->compression);
    assert_int_equal(websocket->handshake_ns, 5 * SECOND);
    assert_int_equal(websocket->origin_count, 2);
    assert_string_equal(websocket->user, "w");
    assert_int_equal(websocket->auth_timeout_ns, 3 * SECOND);
    assert_false(auth_config_view(config.auth)->client.required);
    const struct auth_listener *listener = &auth_config_view(config.auth)->websocket;
    assert_true(listener->required && bytes_equal(listener->single_user, BYTES("w")));
    assert_int_equal(listener->timeout_ms, 3000);
    config_deinit(&config);
    accept("authorization { users: [{user: a}, {user: b}], timeout: 5 }\nno_auth_user: a\n"
           "websocket { port: -1, no_tls: true, no_auth_user: b, ping_interval: \"20s\" }");
    listener = &auth_config_view(config.auth)->websocket;
    assert_true(bytes_equal(listener->no_auth_user->name, BYTES("b")));
    assert_int_equal(listener->timeout_ms, 5000);
    assert_int_equal(config.websocket.ping_interval_ns, 20 * SECOND);
    config_deinit(&config);
    accept("ws { port: -1, tls { cert_file: c, key_file: k } }");
    assert_int_equal(config.websocket.tls.use, TLS_OPTIONS_ON);
    config_deinit(&config);
    accept("websocket { }");
    assert_false(config.websocket.on);
    config_deinit(&config);
    refuse("websocket { port: 80 }", "main:1:1: websocket: a tls block is missing");
    refuse("websocket { port: 80, no_tls: true, tls { cert_file: c, key_file: k } }", "contradict");
    refuse("websocket { port: 80, no_tls: true, authorization { users: [] } }", "lists of users are the server's");
    refuse("websocket { port: 80, no_tls: true, no_auth_user: x }",
           "main:1:1: websocket: no_auth_user \"x\" is not a defined user");
    refuse("websocket { port: 80, no_tls: true, authorization { password: p } }", "a password without a user");
    refuse("websocket { port: 80, no_tls: true, authorization { user: u, password: p, token: t } }",
           "cannot have both a user and password and a token");
    refuse("websocket { port: 80, no_tls: true, authorization { user: u } }\nauthorization { users: [{user: a}] }",
           "websocket authentication username not compatible with presence of users/nkeys");
    refuse("websocket { port: 80, no_tls: true, authorization { token: t } }\naccounts { A { users: [{user: a}] } }",
           "websocket authentication token not compatible with presence of users/nkeys");
    refuse("http: 80\nhttps: 81", "main:2:1: http_port and https_port");
    refuse_as(OPTIONS_NATS_SERVER, "-c main -ms 81", "\n http_port: 80", "main:2:2: http_port and https_port");
    refuse("websocket { port: x }", "main:1:19: port: an integer from -1 to 65535");
}

// What flags are told too: of the file its place, and no flag that nobody gave.
static void what_contradicts_in_the_file_has_its_place(void **state)
{
    refuse("port: 1\n client_advertise: \"foo:abc\"", "main:2:2: client_advertise: HOST, HOST:PORT");
    refuse("lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"30s\"",
           "main:1:1: lame_duck_grace_period must be less than lame_duck_duration");
    refuse("max_payload: 1MB\nmax_pending: 65536", "main:1:1: max_pending is less than max_payload");
    refuse_as(OPTIONS_NATS_SERVER, "-c main --lame_duck_grace_period 40s", "port: 1\nlame_duck_duration: \"30s\"",
              "main:2:1: lame_duck_grace_period must");
    refuse_as(OPTIONS_NATS_SERVER, "-c main --client_advertise foo:abc", "client_advertise: \"foo:1\"",
              "-client_advertise: HOST, HOST:PORT");
    assert_null(strstr(message, "main:"));
}

static void the_files_can_be_forgotten(void **state)
{
    accept("listen: \"127.0.0.3:5\"\nhttp: \"127.0.0.4:6\"\nserver_name: sn\nprof_port: 1\nauthorization {user: u, "
           "pass: hush}\n"
           "tls {cert_file: c, key_file: k, verify: yes, ca_file: ca,\n"
           " pinned_certs: ['a8f407340dcc719864214b85ed96f98d16cbffa8f509d9fa4ca237b7bb3f9c32']}\n"
           "ws {port: 7, no_tls: yes, origins: [a, b], authorization {token: t}}\nstreaming {cid: cc, store: memory, "
           "limits {dead_letter: dl, channels {'x.*' {dead_letter: dm}}}}");
    struct config old = config;
    struct config_changes changes;
    accept("listen: \"127.0.0.3:5\"\nhttp: \"127.0.0.4:6\"\nserver_name: sn\nprof_port: 1\nauthorization {user: u, "
           "pass: hush}\n"
           "tls {cert_file: c, key_file: k, verify: yes, ca_file: ca,\n"
           " pinned_certs: ['a8f407340dcc719864214b85ed96f98d16cbffa8f509d9fa4ca237b7bb3f9c32']}\n"
           "ws {port: 7, no_tls: yes, origins: [a, b], authorization {token: t}}\nstreaming {cid: cc, store: memory, "
           "limits {dead_letter: dl, channels {'x.*' {dead_letter: dm}}}}");
    config_forget_files(&old);
    config_forget_files(&config);
    assert_string_equal(config.options.http_host, "127.0.0.4");
    assert_string_equal(config.options.password, "hush");
    assert_memory_equal(config.options.channel.dead_letter.ptr, "dl", 2);
    assert_memory_equal(config.options.channel_rules[0].pattern.ptr, "x.*", 3);
    assert_memory_equal(config.options.channel_rules[0].limit.dead_letter.ptr, "dm", 2);
    assert_int_equal(config_compare(&old, &config, &changes, message), 0);
    assert_int_equal(changes.count, 0);
    assert_non_null(strstr(old.warnings[0], "prof_port"));
    assert_int_equal(auth_config_view(old.auth)->client.single_user.len, 1);
    config_deinit(&old);
    config_deinit(&config);
}

// A second config beside `config`, from `text`; compares them.
static int compare(const char *before, const char *after, struct config_changes *changes)
{
    accept(before);
    struct config old = config;
    accept(after);
    int error = config_compare(&old, &config, changes, message);
    config_deinit(&old);
    config_deinit(&config);
    return error;
}

// CO-X02
static void a_reload_knows_what_changed(void **state)
{
    struct config_changes changes;
    assert_int_equal(compare("port: 5\ndebug: no", "debug: no; port: 5", &changes), 0);
    assert_int_equal(changes.count, 0);
    assert_false(changes.auth || changes.tls || changes.log);
    assert_int_equal(compare("debug: no", "debug: yes\nmax_connections: 5\nping_interval: 3m\nlog_file: x", &changes),
                     0);
    assert_int_equal(changes.count, 4);
    assert_true(changes.log);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(compare("port: 1", i ? "port: 1, log_level: warn" : "port: 1, log_format: json", &changes), 0);
        assert_int_equal(changes.count, 1);
        assert_true(changes.log);
        assert_string_equal(changes.lines[0].text, i ? "log_level = warn" : "log_format = json");
    }
    assert_int_equal(compare("debug: no", "debug: yes\nmax_connections: 5\nping_interval: 3m\nlog_file: x", &changes),
                     0);
    assert_string_equal(changes.lines[0].text, "ping_interval = 3m");
    assert_string_equal(changes.lines[1].text, "log_file = x");
    assert_string_equal(changes.lines[2].text, "debug = true");
    assert_string_equal(changes.lines[3].text, "max_connections = 5");
    assert_int_equal(
        compare("authorization {user: a, password: hush}", "authorization {user: a, password: hush2}", &changes), 0);
    assert_int_equal(changes.count, 1);
    assert_true(changes.auth);
    assert_null(strstr(changes.lines[0].text, "hush"));
    assert_int_equal(compare("accounts {A {users: [{user: a}]}}", "accounts {B {users: [{user: a}]}}", &changes), 0);
    assert_true(changes.auth);
    assert_int_equal(compare("tls {cert_file: a, key_file: b}", "tls {cert_file: a, key_file: b}", &changes), 0);
    assert_true(changes.tls);
    assert_int_equal(changes.count, 0);
    assert_int_equal(compare("streaming {store: memory}", "streaming {store: memory, limits {mm: 1}}", &changes), 0);
    assert_int_equal(changes.count, 1);
    assert_string_equal(changes.lines[0].text, "streaming.store_limits");
    assert_int_equal(compare("streaming {store: memory, limits {channels {a {mm: 1}}}}",
                             "streaming {store: memory, limits {channels {a {mm: 0}}}}", &changes),
                     0);
    assert_int_equal(changes.count, 1);
    assert_int_equal(compare("", "tls {cert_file: a, key_file: b, min_version: '1.3'}", &changes), 0);
    assert_string_equal(changes.lines[changes.count - 1].text, "tls = enabled");
}

static void what_needs_a_restart_refuses_a_reload(void **state)
{
    struct config_changes changes;
    assert_int_equal(compare("port: 5", "port: 6", &changes), ERR_UNSUPPORTED);
    assert_string_equal(message, "config reload not supported for port: old=5, new=6");
    assert_int_equal(compare("", "server_name: x", &changes), ERR_UNSUPPORTED);
    assert_int_equal(compare("streaming {store: memory}", "streaming {store: memory, cid: y}", &changes),
                     ERR_UNSUPPORTED);
    assert_int_equal(compare("streaming {store: memory}", "streaming {store: memory, limits {mc: 1}}", &changes),
                     ERR_UNSUPPORTED);
    assert_non_null(strstr(message, "streaming.store_limits.max_channels"));
    assert_int_equal(compare("", "websocket {port: 7, no_tls: true}", &changes), ERR_UNSUPPORTED);
    assert_int_equal(compare("ws {port: 7, no_tls: true}", "ws {port: 7, no_tls: true, origins: [a]}", &changes),
                     ERR_UNSUPPORTED);
}

// Strings are compared to their ends, however long.
static void long_values_are_compared_whole(void **state)
{
    struct config_changes changes;
    char name[301], before[700], after[700];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    snprintf(before, sizeof(before), "log_file: /%sa", name);
    snprintf(after, sizeof(after), "log_file: /%sb", name);
    assert_int_equal(compare(before, before, &changes), 0);
    assert_int_equal(changes.count, 0);
    assert_int_equal(compare(before, after, &changes), 0);
    assert_int_equal(changes.count, 1);
    assert_true(changes.log);
    snprintf(before, sizeof(before), "tls {cert_file: %sa, key_file: k}", name);
    snprintf(after, sizeof(after), "tls {cert_file: %sb, key_file: k}", name);
    assert_int_equal(compare(before, after, &changes), 0);
    assert_int_equal(changes.count, 1);
}

// A key said with its documented default changes nothing. (Of auth's keys only their texts are compared.)
static void expect_default(const struct config_key *key, const char *format)
{
    char text[200], value[64];
    const char *end = strstr(key->fallback, ": ");
    size_t len = end ? (size_t)(end - key->fallback) : strlen(key->fallback);
    struct config_changes changes;
    snprintf(value, sizeof(value), "%.*s", (int)len, key->fallback);
    snprintf(text, sizeof(text), format, BYTES_ARG(config_key_name(key)), value);
    accept_as(OPTIONS_WEIR, "-c main", "");
    struct config old = config;
    accept_as(OPTIONS_WEIR, "-c main", text);
    if (config_compare(&old, &config, &changes, message) || (changes.count && !changes.auth))
        fail_msg("%s is not the default: %s", text, changes.count ? changes.lines[0].text : message);
    config_deinit(&old);
    config_deinit(&config);
}

static void the_documented_defaults_are_the_defaults(void **state)
{
    static const struct {
        const char *block, *format;
    } blocks[] = {{"", "%.*s: \"%s\""},
                  {"streaming", "streaming { %.*s: \"%s\" }"},
                  {"streaming store_limits", "streaming { store_limits { %.*s: \"%s\" } }"}};
    size_t checked = 0;
    for (size_t i = 0; config_key_block(i); i++) {
        const struct config_block *block = config_key_block(i);
        for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++) {
            for (size_t k = 0; strcmp(block->name, blocks[b].block) == 0 && k < block->count; k++) {
                const struct config_key *key = &block->keys[k];
                bool words = key->type == CONFIG_STRING && key->fallback && strchr(key->fallback, ' ');
                bool quoted = key->type == CONFIG_STRING || key->type == CONFIG_CHOICE ||
                              key->type == CONFIG_DURATION || (key->fallback && strpbrk(key->fallback, ".$"));
                char format[64];
                size_t used = 0;
                // The quotes go for what is no string.
                for (const char *at = blocks[b].format; *at; at++) {
                    if (quoted || *at != '"')
                        format[used++] = *at;
                }
                format[used] = '\0';
                if (key->fallback && !words && key->type != CONFIG_IGNORED) {
                    expect_default(key, format);
                    checked++;
                }
            }
        }
    }
    assert_true(checked > 50);
}

static bool has_key_at(size_t offset)
{
    static const char *const names[] = {
        "", "streaming", "streaming store_limits", "streaming tls", "streaming file", "authorization"};
    for (size_t i = 0; config_key_block(i); i++) {
        const struct config_block *block = config_key_block(i);
        bool tls = strcmp(block->name, "tls") == 0;
        bool chosen = tls;
        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
            chosen |= strcmp(block->name, names[n]) == 0;
        size_t base = tls ? offsetof(struct options, tls) : 0;
        size_t before = tls ? 0 : offsetof(struct config, options);
        for (size_t k = 0; chosen && k < block->count; k++) {
            if (block->keys[k].offset >= before && block->keys[k].offset - before + base == offset)
                return true;
        }
    }
    return false;
}

static void what_a_flag_says_a_key_can_say(void **state)
{
    // About this start alone; and what is a part of another flag, or read by a key of its own.
    static const char *const others[] = {"c,config",        "sc,stan_config",  "t",  "sl,signal", "h,help",
                                         "help_tls",        "v,version",       "DV", "DVV",       "SDV",
                                         "js,jetstream",    "streaming",       "VV", "tls",       "import",
                                         "import_key_file", "import_encrypted"};
    size_t count, checked = 0;
    const struct flag *flags = options_flags(OPTIONS_WEIR, &count);
    for (size_t i = 0; i < count; i++) {
        bool other = flags[i].type == FLAG_HEADING || flags[i].type == FLAG_REFUSED || flags[i].type == FLAG_IGNORED ||
                     flags[i].type == FLAG_IGNORED_BOOL;
        for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
            other |= strcmp(flags[i].names, others[k]) == 0;
        if (other)
            continue;
        checked++;
        if (!has_key_at(flags[i].offset))
            fail_msg("-%s has no key", flags[i].names);
    }
    assert_true(checked > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_leaves_the_defaults),
        cmocka_unit_test(the_keys_of_the_server),
        cmocka_unit_test(flags_win_over_the_file),
        cmocka_unit_test(variables_need_no_known_name),
        cmocka_unit_test(unknown_keys_are_told_with_their_neighbour),
        cmocka_unit_test(features_that_are_missing_are_refused_by_name),
        cmocka_unit_test(values_of_the_wrong_kind_are_told_with_the_right_one),
        cmocka_unit_test(authorization_has_a_token_a_user_or_users),
        cmocka_unit_test(authorization_that_contradicts_itself_is_refused),
        cmocka_unit_test(flags_contradict_nothing_in_the_file),
        cmocka_unit_test(flags_do_not_help_a_file_that_contradicts_itself),
        cmocka_unit_test(accounts_have_users_exports_and_imports),
        cmocka_unit_test(accounts_that_make_no_sense_are_refused),
        cmocka_unit_test(tls_blocks),
        cmocka_unit_test(websocket_blocks),
        cmocka_unit_test(what_contradicts_in_the_file_has_its_place),
        cmocka_unit_test(the_files_can_be_forgotten),
        cmocka_unit_test(a_reload_knows_what_changed),
        cmocka_unit_test(what_needs_a_restart_refuses_a_reload),
        cmocka_unit_test(long_values_are_compared_whole),
        cmocka_unit_test(the_documented_defaults_are_the_defaults),
        cmocka_unit_test(what_a_flag_says_a_key_can_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
