// SPDX-License-Identifier: Apache-2.0
// The flags of each persona (CO-X04, ST-C01…C48). What another server has and this one has not is refused by name, or taken and
// named in the log if nothing depends on it: a command line that works elsewhere gets a clear answer here.
#include "server/options_internal.h"
#include "server/units.h"

#include <stddef.h>

#define AT(field) offsetof(struct options, field)

// clang-format off
// One row each, as a macro, since several personas share them.
#define NETWORK_FLAGS \
    {"a,addr,net", FLAG_STRING, AT(host), 0, 0, NULL, "ADDRESS", "listen on this address (0.0.0.0)"}, \
    {"p,port", FLAG_INT, AT(port), -1, 65535, NULL, "PORT", "for clients (4222); -1: any free one"}, \
    {"m,http_port", FLAG_INT, AT(http_port), -1, 65535, NULL, "PORT", \
     "for monitoring over HTTP (none); -1: any free one"}, \
    {"ms,https_port", FLAG_INT, AT(https_port), -1, 65535, NULL, "PORT", "for monitoring over HTTPS (none); -1: any free one"}, \
    {"n,name,server_name", FLAG_STRING, AT(server_name), 0, 0, NULL, "NAME", "of this server (its id)"}, \
    {"client_advertise", FLAG_STRING, AT(client_advertise), 0, 0, NULL, "HOST[:PORT]", "what clients are told to connect to"},

#define LIMIT_FLAGS \
    {"threads", FLAG_COUNT, AT(threads), 0, 64, NULL, "N", "that serve clients (0: by the number of cores)"}, \
    {"max_payload", FLAG_BYTES32, AT(max_payload), KIB, 8 * MIB, NULL, "SIZE", "of one message (1M)"}, \
    {"max_control_line", FLAG_BYTES32, AT(max_control_line), 512, MIB, NULL, "SIZE", "of one protocol line (4096)"}, \
    {"max_pending", FLAG_BYTES, AT(max_pending), 64 * KIB, 16 * GIB, NULL, "SIZE", "waiting for one slow reader (64M)"}, \
    {"max_connections", FLAG_COUNT, AT(max_connections), 1, 10000000, NULL, "N", "at once (65536)"}, \
    {"max_subscriptions", FLAG_COUNT, AT(max_subscriptions), 0, UINT32_MAX, NULL, "N", "per connection (0: unlimited)"}, \
    {"ping_interval", FLAG_DURATION, AT(ping_interval_ns), 10 * MS, DAY, NULL, "TIME", \
     "between pings to a client (2m)"}, \
    {"ping_max", FLAG_COUNT, AT(ping_max), 1, 1000, NULL, "N", "unanswered pings before a client is given up (2)"}, \
    {"write_deadline", FLAG_DURATION, AT(write_deadline_ns), 10 * MS, DAY, NULL, "TIME", \
     "for a reader that takes nothing (10s)"},

#define AUTH_FLAGS \
    {"user", FLAG_STRING, AT(user), 0, 0, NULL, "NAME", "that clients must have"}, \
    {"pass", FLAG_STRING, AT(password), 0, 0, NULL, "PASSWORD", "of that user"}, \
    {"auth", FLAG_STRING, AT(token), 0, 0, NULL, "TOKEN", "that clients must have"},

#define TLS_FLAGS \
    {"tls", FLAG_SWITCH, AT(tls.use), 0, 0, NULL, NULL, "clients must speak TLS; see --help_tls"}, \
    {"tlscert", FLAG_STRING, AT(tls.cert_file), 0, 0, NULL, "FILE", "certificate of this server (PEM)"}, \
    {"tlskey", FLAG_STRING, AT(tls.key_file), 0, 0, NULL, "FILE", "its key (PEM)"}, \
    {"tlsverify", FLAG_BOOL, AT(tls.verify), 0, 0, NULL, NULL, "clients must show a certificate"}, \
    {"tlscacert", FLAG_STRING, AT(tls.ca_file), 0, 0, NULL, "FILE", "who signs those (PEM; the system's authorities)"},

#define PROCESS_FLAGS \
    {"c,config", FLAG_STRING, AT(config_file), 0, 0, NULL, "FILE", "configuration; flags win over it"}, \
    {"t", FLAG_BOOL, AT(check_config), 0, 0, NULL, NULL, "check the configuration and exit"}, \
    {"sl,signal", FLAG_STRING, AT(signal), 0, 0, NULL, "SIGNAL[=PID]", "ldm, stop, quit, term, reopen or reload another server"}, \
    {"P,pid", FLAG_STRING, AT(pid_file), 0, 0, NULL, "FILE", "where the process id is written"}, \
    {"ports_file_dir", FLAG_STRING, AT(ports_file_dir), 0, 0, NULL, "DIR", "where PROGRAM_PID.ports with the addresses is written"}, \
    {"profile", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "there is no profiling port; perf and heaptrack look at a running server"}, \
    {"lame_duck_duration", FLAG_DURATION, AT(lame_duck_duration_ns), 10 * MS, DAY, NULL, "TIME", "connections are closed over so long (2m)"}, \
    {"lame_duck_grace_period", FLAG_DURATION, AT(lame_duck_grace_ns), 0, DAY, NULL, "TIME", "until the first one is (10s)"},

#define LOG_FLAGS \
    {"l,log", FLAG_STRING, AT(log_file), 0, 0, NULL, "FILE", "log to this file (standard error)"}, \
    {"log_size_limit", FLAG_BYTES, AT(log_size_limit), 0, INT64_MAX, NULL, "SIZE", "the file is moved away when it is as long (0: never)"}, \
    {"log_level", FLAG_CHOICE, AT(log_level), 0, 0, "trace,debug,info,warn,error", "LEVEL", "the least that is logged: trace, debug, info (the default), warn or error"}, \
    {"log_format", FLAG_CHOICE, AT(log_format), 0, 0, "text,json", "text|json", "lines as nats-server's (text), or one JSON object a line"}, \
    {"T,logtime", FLAG_BOOL, AT(log_time), 0, 0, NULL, NULL, "-T=false: lines without the time"}, \
    {"s,syslog", FLAG_BOOL, AT(syslog), 0, 0, NULL, NULL, "log to syslog"}, \
    {"r,remote_syslog", FLAG_STRING, AT(remote_syslog), 0, 0, NULL, "ADDRESS", "of another host: udp://HOST:514"}, \
    {"D,debug", FLAG_BOOL, AT(debug), 0, 0, NULL, NULL, "log who connects and why connections end"}, \
    {"V,trace", FLAG_BOOL, AT(trace), 0, 0, NULL, NULL, "log every operation of the protocol"}, \
    {"VV", FLAG_BOOL, AT(trace_verbose), 0, 0, NULL, NULL, "and those of the system account"}, \
    {"DV", FLAG_BOOL, AT(debug_and_trace), 0, 0, NULL, NULL, "-D and -V"}, \
    {"DVV", FLAG_BOOL, AT(debug_and_verbose), 0, 0, NULL, NULL, "-D and -VV"}, \
    {"max_traced_msg_len", FLAG_COUNT, AT(max_traced_length), 0, 0, NULL, "BYTES", "of a payload that -V shows (0: all)"},

#define COMMON_FLAGS \
    {"h,help", FLAG_BOOL, AT(help), 0, 0, NULL, NULL, "this text"}, \
    {"help_tls", FLAG_BOOL, AT(help_tls), 0, 0, NULL, NULL, "about TLS"}, \
    {"v,version", FLAG_BOOL, AT(version), 0, 0, NULL, NULL, "the version"},

// -cluster is nats-server's; -js is refused when it is true: options_check().
#define CLUSTER_FLAGS \
    {"routes", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster,cluster_listen", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_name", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_advertise", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"no_advertise", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"connect_retries", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"},

#define JETSTREAM_FLAGS \
    {"js,jetstream", FLAG_BOOL, AT(jetstream), 0, 0, NULL, NULL, NULL}, \
    {"sd,store_dir", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "it is JetStream's, which is not served yet; leave it out"},

#define STORE_FLAGS \
    {"dir", FLAG_STRING, AT(directory), 0, 0, NULL, "DIR", "where the data is (./data)"}, \
    {"import", FLAG_STRING, AT(import_source), 0, 0, NULL, "DIR", "move in at the first start with what a NATS Streaming server has in its --dir"}, \
    {"import_key_file", FLAG_STRING, AT(import_key_file), 0, 0, NULL, "FILE", "with the key of what --import reads; without it the key of --encrypt is its, too"}, \
    {"import_encrypted", FLAG_BOOL, AT(import_encrypted), 0, 0, NULL, NULL, "-import_encrypted=false: what looks encrypted there is not"}, \
    {"cid,cluster_id", FLAG_STRING, AT(cluster_id), 0, 0, NULL, "ID", "NATS Streaming cluster id (test-cluster)"}, \
    {"st,store", FLAG_CHOICE, AT(store), 0, 0, "file,memory,-sql", "file|memory", "where messages are kept (file; as nats-streaming-server: memory)"}, \
    {"sync", FLAG_CHOICE, AT(sync), 0, 0, "always,interval,never", "WHEN", \
     "always (the default: before every acknowledgement), interval or never"}, \
    {"sync_interval", FLAG_DURATION, AT(sync_interval_ns), MS, DAY, NULL, "TIME", "for --sync interval (1s)"}, \
    {"log_bytes", FLAG_BYTES, AT(log_bytes), 16 * MIB, 1024 * GIB, NULL, "SIZE", \
     "kept in the log before it rolls over (512M)"}, \
    {"memory_bytes", FLAG_BYTES, AT(memory_bytes), MIB, 16 * 1024 * GIB, NULL, "SIZE", \
     "of messages in a memory store (1G)"}, \
    {"encrypt", FLAG_BOOL, AT(encrypt), 0, 0, NULL, NULL, "what is kept on disk"}, \
    {"encryption_cipher", FLAG_CHOICE, AT(encryption_cipher), 0, 0, "AES,CHACHA,NONE", "AES|CHACHA|NONE", \
     "for new files (AES); NONE: the key only reads the old ones"}, \
    {"encryption_key_file", FLAG_STRING, AT(encryption_key_file), 0, 0, NULL, "FILE", \
     "with the key; the variable NATS_STREAMING_ENCRYPTION_KEY wins"}, \
    {"encryption_old_key_file", FLAG_STRING, AT(encryption_old_key_file), 0, 0, NULL, "FILE", \
     "with the key before it, while there are files from its time"}, \
    {"encryption_key", FLAG_STRING, AT(encryption_key), 0, 0, NULL, "KEY", \
     "the key itself, which others then see"},

#define STREAMING_FLAGS \
    {"mc,max_channels", FLAG_COUNT, AT(max_channels), 0, UINT32_MAX, NULL, "N", "channels (100); 0: unlimited"}, \
    {"msu,max_subs", FLAG_COUNT, AT(channel.max_subscriptions), 0, UINT32_MAX, NULL, "N", \
     "subscriptions per channel (1000); 0: unlimited"}, \
    {"mm,max_msgs", FLAG_COUNT64, AT(channel.max_msgs), 0, INT64_MAX, NULL, "N", \
     "messages per channel (1000000); 0: unlimited"}, \
    {"mb,max_bytes", FLAG_BYTES, AT(channel.max_bytes), 0, INT64_MAX, NULL, "SIZE", \
     "of a channel (1024000000); 0: unlimited"}, \
    {"ma,max_age", FLAG_DURATION, AT(channel.max_age_ns), 0, INT64_MAX, NULL, "TIME", \
     "messages are kept (0: for ever)"}, \
    {"mi,max_inactivity", FLAG_DURATION, AT(channel.max_inactivity_ns), 0, INT64_MAX, NULL, "TIME", \
     "then a channel without subscriptions and new messages is removed (0: never)"}, \
    {"replace_durable", FLAG_BOOL, AT(replace_durable), 0, 0, NULL, NULL, "who subscribes to a durable in use takes it over"}, \
    {"hbi,hb_interval", FLAG_DURATION, AT(heartbeat_interval_ns), 10 * MS, DAY, NULL, "TIME", \
     "between heartbeats to a client (30s)"}, \
    {"hbt,hb_timeout", FLAG_DURATION, AT(heartbeat_timeout_ns), 10 * MS, DAY, NULL, "TIME", \
     "for the answer to one (10s)"}, \
    {"hbf,hb_fail_count", FLAG_COUNT, AT(heartbeat_fail_count), 1, 1000000, NULL, "N", \
     "missed ones before a client is given up (10)"}, \
    {"duplicate_window", FLAG_DURATION, AT(channel.duplicate_window_ns), 0, 7 * DAY, NULL, "TIME", \
     "in which a repeated publish is stored once (2m)"}, \
    {"max_ids", FLAG_COUNT64, AT(max_ids), 1000, 1000000000000, NULL, "N", \
     "publishes remembered for that, 40 bytes each (20000000)"}, \
    {"max_parked", FLAG_COUNT, AT(max_parked), 1, 1000000, NULL, "N", \
     "to be retried, of one subscription or group: then it gets nothing new (100000)"}, \
    {"disconnect_grace", FLAG_DURATION, AT(channel.disconnect_grace_ns), 0, DAY, NULL, "TIME", \
     "a lost client keeps its messages (5s)"},

#define STREAMING_OTHER_FLAGS \
    {"sc,stan_config", FLAG_STRING, AT(streaming_config_file), 0, 0, NULL, "FILE", "configuration with a streaming block"}, \
    {"SD,stan_debug", FLAG_BOOL, AT(debug), 0, 0, NULL, NULL, NULL}, \
    {"SV,stan_trace", FLAG_BOOL, AT(trace), 0, 0, NULL, NULL, NULL}, \
    {"SDV", FLAG_BOOL, AT(debug_and_trace), 0, 0, NULL, NULL, NULL}, \
    {"ns,nats_server", FLAG_STRING, AT(nats.url), 0, 0, NULL, "URL", "serve the clients of a NATS server elsewhere"}, \
    {"secure", FLAG_BOOL, AT(nats.secure), 0, 0, NULL, NULL, NULL}, \
    {"tls_client_key", FLAG_STRING, AT(nats.key_file), 0, 0, NULL, "FILE", NULL}, \
    {"tls_client_cert", FLAG_STRING, AT(nats.cert_file), 0, 0, NULL, "FILE", NULL}, \
    {"tls_client_cacert", FLAG_STRING, AT(nats.ca_file), 0, 0, NULL, "FILE", NULL}, \
    {"ft_group", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "one server serves a directory; fault tolerance will come with clusters"}, \
    {"clustered", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_node_id", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_bootstrap", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_peers", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_log_path", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_log_cache_size", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_log_snapshots", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_trailing_logs", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_sync", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_raft_logging", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_proceed_on_restore_failure", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"cluster_allow_add_remove_node", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "clusters of servers are not there yet: run one server"}, \
    {"sql_driver", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "SQL stores are not served: -st file or memory"}, \
    {"sql_source", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "SQL stores are not served: -st file or memory"}, \
    {"sql_no_caching", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "SQL stores are not served: -st file or memory"}, \
    {"sql_max_open_conns", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "SQL stores are not served: -st file or memory"}, \
    {"sql_bulk_insert_limit", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "SQL stores are not served: -st file or memory"}, \
    {"file_slice_archive_script", FLAG_REFUSED, 0, 0, 0, NULL, NULL, "there are no slices to archive; weir backup copies what a running server has"}, \
    {"syslog_name", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"partitioning", FLAG_IGNORED_BOOL, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_compact_enabled", FLAG_IGNORED_BOOL, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_compact_frag", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_compact_interval", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_compact_min_size", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_buffer_size", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_read_buffer_size", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_crc", FLAG_IGNORED_BOOL, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_crc_poly", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_sync", FLAG_BOOL, AT(file_sync), 0, 0, NULL, NULL, "--file_sync=false: as --sync never"}, \
    {"file_auto_sync", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_slice_max_msgs", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_slice_max_bytes", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_slice_max_age", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_fds_limit", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_parallel_recovery", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"file_truncate_bad_eof", FLAG_IGNORED_BOOL, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"io_batch_size", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL}, \
    {"io_sleep_time", FLAG_IGNORED, AT(ignored), 0, 0, NULL, NULL, NULL},
// clang-format on

static const struct flag weir_flags[] = {
    {"", FLAG_HEADING, 0, 0, 0, NULL, NULL, "Network:"},
    NETWORK_FLAGS{"", FLAG_HEADING, 0, 0, 0, NULL, NULL, "\nStorage:"},
    STORE_FLAGS{"", FLAG_HEADING, 0, 0, 0, NULL, NULL, "\nSecurity:"},
    AUTH_FLAGS TLS_FLAGS{"", FLAG_HEADING, 0, 0, 0, NULL, NULL, "\nLimits for connections:"},
    LIMIT_FLAGS{"", FLAG_HEADING, 0, 0, 0, NULL, NULL, "\nNATS Streaming:"},
    {"streaming", FLAG_BOOL, AT(streaming), 0, 0, NULL, NULL, "--streaming=false: core NATS alone, nothing on disk"},
    STREAMING_FLAGS{"", FLAG_HEADING, 0, 0, 0, NULL, NULL, "\nLog:"},
    LOG_FLAGS{"", FLAG_HEADING, 0, 0, 0, NULL, NULL, "\nOther:"},
    PROCESS_FLAGS COMMON_FLAGS CLUSTER_FLAGS JETSTREAM_FLAGS STREAMING_OTHER_FLAGS};

static const struct flag nats_server_flags[] = {
    NETWORK_FLAGS AUTH_FLAGS TLS_FLAGS PROCESS_FLAGS LOG_FLAGS LIMIT_FLAGS COMMON_FLAGS CLUSTER_FLAGS JETSTREAM_FLAGS};

static const struct flag nats_streaming_flags[] = {
    NETWORK_FLAGS AUTH_FLAGS TLS_FLAGS STORE_FLAGS STREAMING_FLAGS STREAMING_OTHER_FLAGS PROCESS_FLAGS LOG_FLAGS
        LIMIT_FLAGS COMMON_FLAGS CLUSTER_FLAGS};

const struct flag *options_flags(enum options_persona persona, size_t *ret_count)
{
    switch (persona) {
    case OPTIONS_NATS_SERVER:
        *ret_count = sizeof(nats_server_flags) / sizeof(nats_server_flags[0]);
        return nats_server_flags;
    case OPTIONS_NATS_STREAMING:
        *ret_count = sizeof(nats_streaming_flags) / sizeof(nats_streaming_flags[0]);
        return nats_streaming_flags;
    default: *ret_count = sizeof(weir_flags) / sizeof(weir_flags[0]); return weir_flags;
    }
}
