// SPDX-License-Identifier: Apache-2.0
#include "server/config_streaming.h"

#include "server/config_blocks.h"
#include "server/units.h"

#define AT(field) offsetof(struct config, field)

#define NO_CLUSTER "clusters of servers are not there yet; leave it out and run one server"
#define OWN_STORE  "the store of Weir does not need it"

static int read_on(struct config_reader *reader, const struct conf_member *member, void *target);

static const struct config_key keys[] = {
    CONFIG_KEY("cluster_id,cid,id", CONFIG_STRING, AT(options.cluster_id), 0, 0, CONFIG_RELOAD_NO, "test-cluster",
               "what clients name when they connect; letters, digits, - and _"),
    {.names = "store,st,store_type,storetype",
     .type = CONFIG_CHOICE,
     .choices = "file,memory",
     .unserved = "sql: SQL stores are not served; `weir bridge` copies what a running server has in one",
     .offset = AT(options.store),
     .reload = CONFIG_RELOAD_NO,
     .fallback = "file",
     .help = "where messages are kept; called as nats-streaming-server the default is memory"},
    CONFIG_KEY("dir,datastore", CONFIG_STRING, AT(options.directory), 0, 0, CONFIG_RELOAD_NO, "./data",
               "where the data is"),
    CONFIG_ONE_OF("sync", "always,interval,never", AT(options.sync), CONFIG_RELOAD_NO, "always",
                  "when a publish is acknowledged: after its sync, or earlier"),
    CONFIG_KEY("sync_interval", CONFIG_DURATION, AT(options.sync_interval_ns), MS, DAY, CONFIG_RELOAD_NO, "1s",
               "for `sync: interval`"),
    CONFIG_KEY("log_bytes", CONFIG_BYTES, AT(options.log_bytes), 16 * MIB, 1024 * GIB, CONFIG_RELOAD_NO, "512MB",
               "kept in the log before it rolls over"),
    CONFIG_KEY("memory_bytes", CONFIG_BYTES, AT(options.memory_bytes), MIB, 16 * 1024 * GIB, CONFIG_RELOAD_NO, "1GB",
               "of messages in a memory store"),
    CONFIG_KEY("encrypt", CONFIG_BOOL, AT(options.encrypt), 0, 0, CONFIG_RELOAD_NO, "false",
               "what is kept on disk; needs a key, of which the variable `NATS_STREAMING_ENCRYPTION_KEY` wins"),
    CONFIG_ONE_OF("encryption_cipher", "AES,CHACHA,NONE", AT(options.encryption_cipher), CONFIG_RELOAD_NO, "AES",
                  "for new files; NONE: the key only reads the old ones"),
    CONFIG_KEY("encryption_key_file", CONFIG_STRING, AT(options.encryption_key_file), 0, 0, CONFIG_RELOAD_NO, NULL,
               "with the key"),
    CONFIG_KEY("encryption_old_key_file", CONFIG_STRING, AT(options.encryption_old_key_file), 0, 0, CONFIG_RELOAD_NO,
               NULL, "with the key before it, while there are files from its time"),
    CONFIG_SECRET("encryption_key", AT(options.encryption_key), CONFIG_RELOAD_NO,
                  "the key itself; better in a file of its own"),
    CONFIG_MAP("store_limits,limits,storelimits", 0, &config_store_limits_block, NULL, CONFIG_RELOAD_NO,
               "what a channel may hold"),
    CONFIG_KEY("hb_interval,hbi,server_to_client_hb_interval", CONFIG_DURATION, AT(options.heartbeat_interval_ns),
               10 * MS, DAY, CONFIG_RELOAD_NO, "30s", "between heartbeats to a client"),
    CONFIG_KEY("hb_timeout,hbt,server_to_client_hb_timeout", CONFIG_DURATION, AT(options.heartbeat_timeout_ns), 10 * MS,
               DAY, CONFIG_RELOAD_NO, "10s", "for the answer to one"),
    CONFIG_KEY("hb_fail_count,hbf,server_to_client_hb_fail_count", CONFIG_COUNT, AT(options.heartbeat_fail_count), 1,
               1000000, CONFIG_RELOAD_NO, "10", "missed ones before a client is given up"),
    CONFIG_KEY("duplicate_window", CONFIG_DURATION, AT(options.channel.duplicate_window_ns), 0, 7 * DAY,
               CONFIG_RELOAD_YES, "2m", "in which a repeated publish is stored once; also in `store_limits`"),
    CONFIG_KEY("max_ids", CONFIG_COUNT64, AT(options.max_ids), 1000, 1000000000000, CONFIG_RELOAD_NO, "20000000",
               "publishes remembered for that, 40 bytes each"),
    CONFIG_KEY(
        "max_parked", CONFIG_COUNT, AT(options.max_parked), 1, 1000000, CONFIG_RELOAD_NO, "100000",
        "messages of one subscription or group that wait to be retried; while there are so many it gets nothing new"),
    CONFIG_KEY("disconnect_grace", CONFIG_DURATION, AT(options.channel.disconnect_grace_ns), 0, DAY, CONFIG_RELOAD_NO,
               "5s", "so long a lost client keeps its messages"),
    CONFIG_OWN("sd,stan_debug", "true or false", AT(options.debug), read_on, CONFIG_RELOAD_YES, "false", "as `debug`"),
    CONFIG_OWN("sv,stan_trace", "true or false", AT(options.trace), read_on, CONFIG_RELOAD_YES, "false", "as `trace`"),
    CONFIG_MAP("file,file_options", 0, &config_file_block, NULL, CONFIG_RELOAD_NO, "of NATS Streaming's file store"),
    CONFIG_NO_EFFECT("partitioning", "one server serves all channels"),
    CONFIG_NO_EFFECT("syslog_name", "the program's name is used"),
    CONFIG_NO_EFFECT("io_batch_size,io_sleep_time", "one sync serves all that waits"),
    CONFIG_KEY("discover_prefix", CONFIG_STRING, AT(options.discover_prefix), 0, 0, CONFIG_RELOAD_NO, "_STAN.discover",
               "subject under which clients look for the cluster id; they must be told the same"),
    CONFIG_KEY("nats_server,ns,nats_server_url", CONFIG_STRING, AT(options.nats.url), 0, 0, CONFIG_RELOAD_NO, NULL,
               "a NATS server elsewhere, or several of its cluster, whose clients are served: NATS Streaming alone, no "
               "port for clients"),
    CONFIG_KEY("credentials", CONFIG_STRING, AT(options.nats.credentials_file), 0, 0, CONFIG_RELOAD_NO, NULL,
               "for `nats_server`: a file with a JWT: not there yet"),
    CONFIG_KEY("username,user", CONFIG_STRING, AT(options.nats.user), 0, 0, CONFIG_RELOAD_NO, NULL,
               "for `nats_server`: a user"),
    CONFIG_SECRET("password,pass", AT(options.nats.password), CONFIG_RELOAD_NO, "for `nats_server`: of that user"),
    CONFIG_SECRET("token", AT(options.nats.token), CONFIG_RELOAD_NO, "for `nats_server`: a token"),
    CONFIG_KEY("nkey_seed_file", CONFIG_STRING, AT(options.nats.nkey_seed_file), 0, 0, CONFIG_RELOAD_NO, NULL,
               "for `nats_server`: a file with an nkey's seed"),
    CONFIG_KEY("secure", CONFIG_BOOL, AT(options.nats.secure), 0, 0, CONFIG_RELOAD_NO, "false",
               "for `nats_server`: TLS, without `client_ca` whoever it is"),
    CONFIG_MAP("tls", 0, &config_streaming_tls_block, NULL, CONFIG_RELOAD_NO,
               "for `nats_server`: TLS with certificates"),
    CONFIG_KEY("replace_durable,replace_durables,replace_duplicate_durable,replace_duplicate_durables", CONFIG_BOOL,
               AT(options.replace_durable), 0, 0, CONFIG_RELOAD_NO, "false",
               "who subscribes to a durable in use takes it over; the subscription before is closed"),
    CONFIG_NOT_SERVED("cluster,clustered", NO_CLUSTER),
    CONFIG_NOT_SERVED("ft_group,ft_group_name",
                      "one server serves a directory; fault tolerance will come with clusters"),
    CONFIG_NOT_SERVED("sql,sql_options", "SQL stores are not served: `store: file` or `store: memory`"),
};
static const struct config_key tls_keys[] = {
    CONFIG_KEY("client_cert", CONFIG_STRING, AT(options.nats.cert_file), 0, 0, CONFIG_RELOAD_NO, NULL,
               "certificate of this server as a client (PEM)"),
    CONFIG_KEY("client_key", CONFIG_STRING, AT(options.nats.key_file), 0, 0, CONFIG_RELOAD_NO, NULL, "its key (PEM)"),
    CONFIG_KEY("client_ca,client_cacert", CONFIG_STRING, AT(options.nats.ca_file), 0, 0, CONFIG_RELOAD_NO, NULL,
               "who signs certificates of servers (PEM)"),
    CONFIG_KEY("server_name,server_hostname", CONFIG_STRING, AT(options.nats.server_name), 0, 0, CONFIG_RELOAD_NO, NULL,
               "whom the server's certificate must name"),
    CONFIG_KEY("skip_verify,insecure", CONFIG_BOOL, AT(options.nats.skip_verify), 0, 0, CONFIG_RELOAD_NO, "false",
               "whoever the server is"),
};
static const struct config_key file_keys[] = {
    CONFIG_KEY("sync,do_sync,sync_on_flush,file_sync", CONFIG_BOOL, AT(options.file_sync), 0, 0, CONFIG_RELOAD_NO,
               "true", "false is `sync: never` of [streaming](#streaming): a crash of the machine loses messages"),
    CONFIG_NO_EFFECT("compact,compact_enabled,compact_frag,compact_fragmentation,compact_interval,compact_min_size",
                     OWN_STORE),
    CONFIG_NO_EFFECT("buffer_size,read_buffer_size,crc,do_crc,crc_poly,auto_sync,fds_limit,file_descriptors_limit,"
                     "parallel_recovery",
                     OWN_STORE),
    CONFIG_NO_EFFECT("slice_max_msgs,slice_max_count,slice_msgs,slice_count,slice_max_bytes,slice_max_size,slice_bytes,"
                     "slice_size,slice_max_age,slice_age,slice_max_time,slice_time_limit",
                     OWN_STORE),
    CONFIG_NOT_SERVED("slice_archive_script,slice_archive,slice_script",
                      "there are no slices to archive; `weir backup` copies what a running server has"),
};

const struct config_block config_streaming_block = CONFIG_BLOCK_OF("streaming", keys);
const struct config_block config_streaming_tls_block = CONFIG_BLOCK_OF("streaming tls", tls_keys);
const struct config_block config_file_block = CONFIG_BLOCK_OF("streaming file", file_keys);

int config_streaming_read(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct config *config = reader->config;
    if (member->value.type == CONF_BOOL) {
        config->options.streaming = member->value.boolean;
        return 0;
    }
    if (config_reader_map(reader, member))
        return ERR_INVALID;
    config->options.streaming = true;
    return config_reader_apply(reader, &config_streaming_block, &member->value, config);
}

// One of two keys with one meaning may be off while the other is on.
static int read_on(struct config_reader *reader, const struct conf_member *member, void *target)
{
    bool on;
    int error = config_reader_bool(reader, member, &on);
    *(bool *)target |= !error && on;
    return error;
}
