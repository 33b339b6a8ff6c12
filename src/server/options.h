// SPDX-License-Identifier: Apache-2.0
// What `weir serve` can be told, with the defaults of the servers it replaces (CO-P16, CO-X04, ST-C01…C18), and how a command line
// tells it. Flags are read as Go programs read them: -p 1, --p 1, -p=1 and --p=1 are the same.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "env/log.h"
#include "server/flag.h"
#include "server/tls_options.h"
#include "stan/channel_limits.h"

// Longest message of options_parse(), with its NUL.
#define OPTIONS_MESSAGE_SIZE 512

// Which server it is taken for: by the name it is called with (CO-X04). Each has its own flags, defaults and help.
enum options_persona {
    OPTIONS_WEIR,           // everything, on disk
    OPTIONS_NATS_SERVER,    // core NATS: nothing on disk, no NATS Streaming
    OPTIONS_NATS_STREAMING, // NATS Streaming, in memory unless told otherwise (ST-C03)
};

enum options_log_format { OPTIONS_LOG_TEXT, OPTIONS_LOG_JSON };
enum options_store { OPTIONS_STORE_FILE, OPTIONS_STORE_MEMORY, OPTIONS_STORE_SQL }; // SQL: refused by options_check()
enum options_cipher { OPTIONS_CIPHER_AES, OPTIONS_CIPHER_CHACHA, OPTIONS_CIPHER_NONE };
enum options_sync { OPTIONS_SYNC_ALWAYS, OPTIONS_SYNC_INTERVAL, OPTIONS_SYNC_NEVER };

// A NATS server elsewhere, whose clients NATS Streaming is served to (ST-C06…C08). Without a URL the rest means nothing.
struct options_nats {
    const char *url;              // -ns: NULL: none
    const char *credentials_file; // no flag, as all up to the TLS files
    const char *user;
    const char *password; // never shown
    const char *token;    // never shown
    const char *nkey_seed_file;
    bool secure;           // -secure: TLS without verification of the server
    const char *cert_file; // -tls_client_cert, -tls_client_key, -tls_client_cacert
    const char *key_file;
    const char *ca_file;
    const char *server_name; // no flag
    bool skip_verify;        // no flag
};

// Strings are borrowed from the command line, from whoever read the configuration file, or static.
struct options {
    uint32_t persona;   // enum options_persona
    bool streaming;     // --streaming: serve NATS Streaming; without it there is no store and no data directory
    const char *host;   // -a: what to listen on; "0.0.0.0"
    int32_t port;       // -p: 4222; -1: any free one
    int32_t http_port;  // -m: 0: none; -1: any free one
    int32_t https_port; // -ms: 0: none; -1: any free one
    const char *admin_user, *admin_password; // no flag: who may do everything over HTTP; plain or bcrypt; NULL: nobody
    const char *http_base_path;              // no flag: monitoring's pages are below it: "/nats"; NULL: below /
    const char *http_host;                   // what monitoring listens on; NULL: host
    const char *client_advertise; // --client_advertise: HOST[:PORT] that clients are told (CO-P18); NULL: host and port
    const char *server_name;      // -n: NULL: the server's id
    const char *const *server_tags; // no flag: shown by monitoring, in lower case
    size_t server_tag_count;
    const char *directory;       // --dir: "./data"
    const char *import_source;   // --import: a NATS Streaming store to begin with; NULL: none
    const char *import_key_file; // --import_key_file: of its key; NULL: the key of encryption at rest is its, too
    bool import_encrypted;       // --import_encrypted: false: what looks encrypted there is not
    const char *cluster_id;      // -cid: "test-cluster"
    const char *discover_prefix; // no flag: "_STAN.discover" (ST-C02)
    uint32_t store;              // -st: enum options_store
    uint32_t sync;               // --sync: enum options_sync
    bool file_sync;              // --file_sync: false is --sync never (ST-C27); sync says it afterwards
    uint64_t sync_interval_ns;   // --sync_interval: 1 s
    uint64_t log_bytes;          // --log_bytes: budget of the retained log, 512 MiB
    uint64_t memory_bytes;       // --memory_bytes: of the memory store, 1 GiB
    bool encrypt;                // --encrypt: what is kept on disk (ST-C23)
    uint32_t encryption_cipher;  // --encryption_cipher: enum options_cipher; NONE: the key only reads what there is
    const char *encryption_key;  // --encryption_key: never shown; NULL: none. The environment's wins, then the file's
    const char *encryption_key_file;     // --encryption_key_file
    const char *encryption_old_key_file; // --encryption_old_key_file: of the key before this one
    uint64_t log_file_bytes;             // no flag, small in tests; 0: the store's default, as for the next two
    uint64_t log_first_bytes;
    uint64_t checkpoint_bytes;

    const char *config_file;           // -c: NULL: none
    const char *config_digest;         // no flag: "sha256:…" of what that file says; NULL: unknown
    const char *streaming_config_file; // -sc: NULL: none
    bool check_config;                 // -t: look at the configuration, do not serve
    const char *signal;                // -sl: COMMAND[=PID]: signal another process instead of serving (CO-X01)
    const char *pid_file;              // -P: NULL: none
    const char *ports_file_dir;        // --ports_file_dir: NULL: none

    const char *log_file;       // -l: NULL: standard error
    uint64_t log_size_limit;    // --log_size_limit: bytes, then the file is rotated; 0: never
    uint32_t log_max_files;     // kept, with the current one; 0: all
    bool syslog;                // -s
    const char *remote_syslog;  // -r: "udp://HOST:PORT"; NULL: none
    uint32_t log_level;         // --log_level: enum log_level, LOG_INFO; what -D and -V ask for comes besides
    uint32_t log_format;        // --log_format: enum options_log_format
    bool log_time;              // -T: true
    bool log_time_utc;          // false
    bool debug;                 // -D
    bool trace;                 // -V
    bool trace_verbose;         // -VV: the system account too
    uint32_t max_traced_length; // --max_traced_msg_len: bytes of a payload that a trace shows; 0: all

    const char *user;     // --user, --pass, --auth: the one user or the token; NULL: none
    const char *password; // never shown
    const char *token;    // never shown

    uint64_t lame_duck_duration_ns; // --lame_duck_duration: connections are closed over so long, 2 min (CO-P16, CO-P17)
    uint64_t lame_duck_grace_ns;    // --lame_duck_grace_period: until the first is, 10 s

    struct tls_options tls; // --tls…: of client connections and https monitoring

    uint32_t threads;           // --threads: workers; 0: by the number of cores
    uint32_t max_payload;       // bytes, 1 MiB
    uint32_t max_control_line;  // bytes, 4096
    uint64_t max_pending;       // bytes, 64 MiB
    uint32_t max_connections;   // 65,536
    uint32_t max_closed;        // no flag: closed connections that monitoring can show, 10,000
    uint32_t max_subscriptions; // per connection; 0: unlimited
    uint32_t max_sub_tokens;    // of a subscription's subject; 0: no limit of its own
    uint64_t ping_interval_ns;  // 2 min
    uint32_t ping_max;          // 2
    uint64_t write_deadline_ns; // 10 s

    uint32_t max_channels; // -mc: 100; 0: unlimited
    // What a channel may hold, unless one of the rules counts for it: -msu -mm -mb -ma -mi --duplicate_window --disconnect_grace; the
    // rest has no flags.
    struct channel_limit channel;
    const struct channel_rule *channel_rules; // no flag
    size_t channel_rule_count;
    struct options_nats nats;
    bool replace_durable;           // --replace_durable: who subscribes to a durable in use takes it over
    uint64_t heartbeat_interval_ns; // -hbi: 30 s
    uint64_t heartbeat_timeout_ns;  // -hbt: 10 s
    uint32_t heartbeat_fail_count;  // -hbf: 10
    uint64_t max_ids;               // --max_ids: publishes remembered in that window, about 40 bytes each, 20,000,000
    uint32_t max_parked;            // --max_parked: messages of a consumer that wait to be retried; 100,000

    struct flag_ignored ignored; // flags that have no effect here: to be said once
    bool help;                   // -h: show options_help() and do nothing
    bool help_tls;               // --help_tls
    bool version;                // -v

    bool debug_and_trace;   // -DV, -SDV: while flags are read; debug and trace say it afterwards
    bool debug_and_verbose; // -DVV
    bool jetstream;         // -js: refused
};

// Defaults of a persona.
void options_default(struct options *options, enum options_persona persona);

// Reads the arguments (without the program's and the sub-command's name) over what is in `options`, whose persona says which flags
// there are. Who finds a config_file in it fills defaults and file into new options and reads the arguments over those: flags win.
// ERR_INVALID: the message says what was wrong and what would be right, in one line without a newline.
int options_parse(struct options *options, int count, char *const *arguments,
                  char ret_message[OPTIONS_MESSAGE_SIZE]) MUST_USE;

// What no flag, and no key of a configuration, can know alone; options_parse() has asked it unless a file is named. ERR_INVALID and a
// message.
int options_check(const struct options *options, char ret_message[OPTIONS_MESSAGE_SIZE]) MUST_USE;

// Host and port that clients are told (CO-P18): client_advertise, "HOST", "HOST:PORT" or "[IPV6]:PORT", or else host and `port`, the one
// that is listened on. ERR_INVALID: it is none of these; options_check() refuses it.
#define OPTIONS_HOST_SIZE 256
int options_advertised(const struct options *options, uint16_t port, char ret_host[OPTIONS_HOST_SIZE],
                       uint16_t *ret_port) MUST_USE;

// One line of the description of Weir's flags at a time, from index 0 on; false when there is none. Without a newline.
bool options_help(size_t index, char *ret_line, size_t size);

// The least that is logged, by --log_level, -D and -V together; LOG_DEBUG or more (see struct logger).
enum log_level options_log_level(const struct options *options);
// Is every operation of the protocol logged?
bool options_log_trace(const struct options *options);
// Has encryption at rest been asked for?
bool options_encrypts(const struct options *options);
// Is anything said about a NATS server elsewhere but where it is? Then it has no effect.
bool options_nats_is_idle(const struct options_nats *nats);

// What users read: "FILE" or "MEMORY"; "always", "interval" or "never".
const char *options_store_name(const struct options *options);
const char *options_sync_name(const struct options *options);
const char *options_cipher_name(const struct options *options); // "AES-256-GCM", …
