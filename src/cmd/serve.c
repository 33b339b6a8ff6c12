// SPDX-License-Identifier: Apache-2.0
// `weir serve`: a node on this machine. The order of its start: options; ports reserved; directory locked; everything
// recovered; only then listening, so whoever can connect is served. Its end: no new connections; what was taken becomes durable and
// is answered; the rest of every connection is sent, within seconds; exit code 0.
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cmd/commands.h"
#include "cmd/encryption.h"
#include "cmd/intake.h"
#include "cmd/intake_show.h"
#include "cmd/intake_target.h"
#include "cmd/persona.h"
#include "cmd/serve_files.h"
#include "cmd/serve_reload.h"
#include "cmd/serve_start.h"
#include "cmd/serve_stop.h"
#include "cmd/serve_tls.h"
#include "cmd/serve_uplink.h"
#include "cmd/serve_workers.h"
#include "os/clock.h"
#include "os/crypto.h"
#include "os/file_disk.h"
#include "os/listener.h"
#include "os/notify.h"
#include "os/offload.h"
#include "os/process.h"
#include "os/random.h"
#include "os/server_log.h"
#include "os/signals.h"
#include "server/node.h"

struct serve {
    struct config config;    // of the start: the node borrows its strings
    struct config *reloaded; // owned: the one that holds now; NULL: config
    struct options options;  // those of the one that holds
    int argument_count;
    char **arguments; // borrowed
    struct server_log log;
    struct loop loop;
    struct loop_handler handler;
    struct tcp tcp;
    struct serve_workers workers;
    struct serve_tls tls;
    struct serve_uplink uplink; // with -ns
    struct listener clients;    // without
    struct listener monitoring;
    struct listener websockets;
    struct serve_spread client_spread, websocket_spread;
    struct signals signals;
    struct directory directory;
    struct file_disk disk;
    struct offload_pool offload_pool;
    struct offload_port offload; // for the loop
    char id[NODE_ID_SIZE];
    struct node *node;            // owned; NULL: not started
    uint64_t stop_by_ms;          // UINT64_MAX: not stopping
    struct encryption encryption; // owned: until the store is open
    bool has_directory;
    bool has_disk;
    bool has_offload;
    bool lame_duck; // clients shall go elsewhere; then it stops
    bool forced;    // slow connections were closed
    bool has_rival; // another server serves the same cluster id
};

static int start_log(struct serve *serve);
static int start_all(struct serve *serve);
static int start_workers(struct serve *serve);
static int start_tls(struct serve *serve);
static int start_uplink(struct serve *serve);
static void on_rival(void *owner);
static int import_first(struct serve *serve);
static int open_directory(struct serve *serve);
static int open_port(struct serve *serve, struct listener *listener, const char *host, int port, const char *what);
static int start_node(struct serve *serve);
static int load_keys(struct serve *serve);
static int start_offload(struct serve *serve);
static int start_listening(struct serve *serve, struct listener *listener, const struct net_handler *handler);
static int write_pid(struct serve *serve);
static void write_ports(struct serve *serve);
static void remove_files(struct serve *serve);
static void stop_all(struct serve *serve);
static void abandon(struct serve *serve);
static void drop_reloaded(struct serve *serve);
static void on_turn_begin(void *owner, struct moment now);
static bool on_turn_end(void *owner);
static uint64_t on_deadline(void *owner);
static bool on_stop(void *owner, int number);
static void stop(struct serve *serve);
static void on_request(void *owner, int number);
static void enter_lame_duck(struct serve *serve);
static void reopen_log(struct serve *serve);
static int reload(struct serve *serve, char ret_message[MONITOR_RELOAD_MESSAGE_SIZE]);
static int on_reload(void *owner, char ret_message[MONITOR_RELOAD_MESSAGE_SIZE]);
static void replace_pid_file(struct serve *serve, const struct options *fresh);
static const char *signal_name(int number);

int serve_run(int count, char **arguments)
{
    return serve_as(OPTIONS_WEIR, count, arguments);
}

int serve_as(enum options_persona persona, int count, char **arguments)
{
    static struct serve serve = {.stop_by_ms = UINT64_MAX}; // tidy: allow mutable (the program's one server)
    int code;
    if (!serve_read_config(persona, count, arguments, &serve.config, &code))
        return code;
    serve.options = serve.config.options;
    serve.argument_count = count;
    serve.arguments = arguments;
    if (start_log(&serve) != 0)
        return 1;
    process_raise_file_limit();
    serve.handler = (struct loop_handler){&serve, on_turn_begin, on_turn_end, on_deadline};
    if (loop_init(&serve.loop, &serve.handler) != 0) {
        logger_write(&serve.log.logger, LOG_FATAL, "no file descriptors left to start with (ulimit -n)");
        return 1;
    }
    tcp_init(&serve.tcp, &serve.loop);
    signals_start(&serve.signals, &serve.loop, &serve, on_stop, on_request);
    int error = start_workers(&serve);
    if (!error)
        error = start_all(&serve);
    if (!error)
        loop_run(&serve.loop);
    stop_all(&serve);
    drop_reloaded(&serve);
    config_deinit(&serve.config);
    return error || serve.has_rival ? 1 : 0;
}

void serve_help(void)
{
    persona_print_help(OPTIONS_WEIR);
}

static int start_log(struct serve *serve)
{
    server_log_init(&serve->log, STDERR_FILENO, LOG_INFO);
    int error = serve_configure_log(&serve->log, &serve->options);
    char text[512];
    if (error)
        fprintf(stderr, "%s: %s\n", persona_name(serve->options.persona),
                serve_explain_log(&serve->options, error, text, sizeof(text)));
    return error;
}

// Their threads begin when the node is there.
static int start_workers(struct serve *serve)
{
    struct process_usage usage;
    process_self.read(process_self.owner, &usage);
    uint32_t count = serve->options.threads ? serve->options.threads : serve_workers_default(usage.cores);
    // All clients are behind one connection.
    if (serve->options.nats.url)
        count = 1;
    // One arena for each: the other threads allocate little, and more would only be idle memory.
    mallopt(M_ARENA_MAX, (int)count);
    // What is freed is joined with its neighbours at once: glibc would put that off, and then do it for a million pieces in one go.
    mallopt(M_MXFAST, 0);
    // A piece as large as a chunk of the log goes back to the system when it is freed. glibc would raise that limit.
    enum { LARGE_BYTES = 1024 * 1024 };
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, 8 * LARGE_BYTES);
    int error = serve_workers_init(&serve->workers, count, &serve->loop, &serve->log.logger);
    if (error)
        logger_write(&serve->log.logger, LOG_FATAL, "no file descriptors left for %u threads (ulimit -n)", count);
    return error;
}

static int start_all(struct serve *serve)
{
    node_make_id(&random_machine, serve->id);
    serve_announce_start(&serve->log.logger, &serve->config, serve->id);
    bool has_clients = !serve->options.nats.url; // else they are elsewhere, and no port is opened for them
    int error = 0;
    if (has_clients)
        error = open_port(serve, &serve->clients, serve->options.host, serve->options.port, "clients");
    int http_port = serve->options.https_port ? serve->options.https_port : serve->options.http_port;
    const char *http_host = serve->options.http_host ? serve->options.http_host : serve->options.host;
    if (!error && http_port != 0)
        error = open_port(serve, &serve->monitoring, http_host, http_port, "monitoring");
    const struct websocket_config *websocket = &serve->config.websocket;
    if (!error && websocket->on && has_clients)
        error = open_port(serve, &serve->websockets, websocket->host, websocket->port, "websockets");
    if (!error)
        error = start_tls(serve);
    if (!error && !has_clients)
        error = start_uplink(serve);
    bool stores = serve->options.streaming && serve->options.store == OPTIONS_STORE_FILE;
    if (!error && stores)
        error = load_keys(serve);
    if (!error && stores && serve->options.import_source)
        error = import_first(serve);
    if (!error && stores)
        error = open_directory(serve);
    // Not before ports and directory are ours: a second start by mistake leaves the file of the server that runs alone.
    if (!error)
        error = write_pid(serve);
    if (!error)
        error = start_node(serve);
    if (!error && has_clients)
        error = start_listening(serve, &serve->clients, node_client_handler(serve->node));
    if (!error && serve->monitoring.open)
        error = start_listening(serve, &serve->monitoring, node_monitor_handler(serve->node));
    if (!error && serve->websockets.open)
        error = start_listening(serve, &serve->websockets, node_worker_websocket_handler(serve->node, 0));
    if (!error) {
        write_ports(serve);
        if (serve->websockets.open)
            serve_announce_websocket(&serve->log.logger, websocket, serve->websockets.port);
        serve_announce_ready(&serve->log.logger, &serve->options, serve->id, serve->clients.port,
                             serve->monitoring.port);
        notify_ready();
    }
    return error;
}

static int open_port(struct serve *serve, struct listener *listener, const char *host, int port, const char *what)
{
    char text[SERVE_HOST_SIZE];
    int error = listener_open(listener, &serve->tcp, host, port);
    if (error)
        logger_write(&serve->log.logger, LOG_FATAL, "cannot listen on %s:%d for %s: %s", serve_format_host(host, text),
                     port, what,
                     error == ERR_IN_USE    ? "in use by another process"
                     : error == ERR_INVALID ? "not an address"
                                            : error_text(error));
    return error;
}

static int start_tls(struct serve *serve)
{
    char message[SERVE_TLS_MESSAGE_SIZE];
    int error = serve_tls_start(&serve->tls, &serve->config, &serve->log.logger, message);
    if (error)
        logger_write(&serve->log.logger, LOG_FATAL, "%s", message);
    return error;
}

static int start_uplink(struct serve *serve)
{
    char message[SERVE_UPLINK_MESSAGE_SIZE];
    int error = serve_uplink_start(&serve->uplink, &serve->options.nats, &serve->tcp, message);
    if (error)
        logger_write(&serve->log.logger, LOG_FATAL, "%s", message);
    return error;
}

// ST-P01: two servers with one cluster id would each take half of the messages.
static void on_rival(void *owner)
{
    struct serve *serve = owner;
    logger_write(
        &serve->log.logger, LOG_FATAL,
        "another server serves cluster id %s to the clients of that NATS server: stop it, or choose another -cid",
        serve->options.cluster_id);
    serve->has_rival = true;
    if (serve->stop_by_ms == UINT64_MAX)
        stop(serve);
}

// Only into a directory that has nothing yet, so that the flag may stay where it is.
static int import_first(struct serve *serve)
{
    const struct logger *logger = &serve->log.logger;
    struct intake_log log = {.logger = logger, .told_ns = clock_mono_ns()};
    struct intake intake = {
        .source = serve->options.import_source,
        .directory = serve->options.directory,
        .cluster_id = serve->options.cluster_id,
        .logger = logger,
        .progress = intake_show_log,
        .owner = &log,
    };
    if (intake_target_is_taken(intake.directory)) {
        logger_write(logger, LOG_INFO, "Nothing is imported from %s: the data directory %s has data already",
                     intake.source, intake.directory);
        return 0;
    }
    importer_options_default(&intake.options);
    char message[ENCRYPTION_MESSAGE_SIZE];
    struct encryption old_keys = {0};
    if (serve->options.import_key_file &&
        encryption_load_file(&old_keys, serve->options.import_key_file, 0, logger, message)) {
        logger_write(logger, LOG_FATAL, "%s", message);
        return ERR_INVALID;
    }
    intake.options.may_be_encrypted = serve->options.import_encrypted;
    intake.options.key_hint = "--import_key_file FILE";
    if (old_keys.key)
        intake.options.key = old_keys.store.key;
    else if (serve->options.import_encrypted)
        // The variable is gone if it was taken for the new store: then it is for the old one too, as it was before the move.
        intake.options.key = serve->encryption.key ? serve->encryption.store.key : intake_key(NULL);
    intake.encryption = &serve->encryption.store;
    logger_write(logger, LOG_INFO, "Importing %s", intake.source);
    int error = intake_run(&intake);
    encryption_deinit(&old_keys);
    char line[512];
    intake_show_line(&intake, line, sizeof(line));
    if (error)
        logger_write(logger, LOG_FATAL, "nothing was imported%s",
                     intake_is_damage(error) ? "; `weir import --keep-going` passes over what is damaged" : "");
    else
        logger_write(logger, LOG_INFO, "%s", line);
    return error;
}

static int open_directory(struct serve *serve)
{
    const char *path = serve->options.directory;
    int error = directory_open(&serve->directory, path, true);
    if (error) {
        logger_write(&serve->log.logger, LOG_FATAL, "cannot use the data directory %s: %s", path,
                     error == ERR_INVALID ? "it is not a directory" : error_text(error));
        return error;
    }
    serve->has_directory = true;
    error = directory_lock(&serve->directory, true);
    if (error)
        logger_write(&serve->log.logger, LOG_FATAL, "the data directory %s is %s", path,
                     error == ERR_IN_USE ? "in use by another process: stop it, or choose another --dir"
                                         : error_text(error));
    if (!error && intake_target_is_unfinished(&serve->directory)) {
        logger_write(
            &serve->log.logger, LOG_FATAL,
            "an import or a restore into the data directory %s was not finished: repeat it, or choose another --dir",
            path);
        error = ERR_NOT_OURS;
    }
    return error;
}

static int start_node(struct serve *serve)
{
    if (serve->has_directory) {
        int error = file_disk_open(&serve->disk, &serve->loop, serve->directory);
        serve->has_directory = false; // the disk's now, or closed
        if (error) {
            logger_write(&serve->log.logger, LOG_FATAL, "cannot start the log thread: %s", error_text(error));
            return error;
        }
        serve->has_disk = true;
    }
    int error = start_offload(serve);
    if (error)
        return error;
    bool is_https = serve->options.https_port != 0;
    serve->clients.security = serve->tls.clients;
    if (is_https)
        serve->monitoring.security = serve->tls.monitoring;
    serve->monitoring.may_use_reserve = true;
    if (serve->config.websocket.on && !serve->config.websocket.no_tls)
        serve->websockets.security = serve->tls.websocket;
    struct node_env env = {
        .disk = serve->has_disk ? &serve->disk.disk : NULL,
        .random = &random_machine,
        .process = &process_self,
        .logger = &serve->log.logger,
        .auth = serve->config.auth,
        .crypto = &crypto_machine,
        .encryption = &serve->encryption.store,
        .offload = &serve->offload.offload,
        .offloads = serve->workers.offloads,
        .server_id = serve->id,
        .port = serve->clients.port,
        .websocket = serve->config.websocket.on ? &serve->config.websocket : NULL,
        .websocket_port = serve->websockets.port,
        .http_port = is_https ? 0 : serve->monitoring.port,
        .https_port = is_https ? serve->monitoring.port : 0,
        .dialer = &serve->uplink.dialer.net,
        .nkey_seed = serve->uplink.has_seed ? serve->uplink.seed : NULL,
        .sign = crypto_ed25519_sign,
        .on_rival = on_rival,
        .rival_owner = serve,
        .reload = on_reload,
        .reload_owner = serve,
        .worker_count = serve->workers.count,
        .wake = serve_workers_wake,
        .wake_owner = &serve->workers,
    };
    char http_host[SERVE_HOST_SIZE];
    serve_format_host(serve->options.http_host ? serve->options.http_host : serve->options.host, http_host);
    if (serve->monitoring.open)
        logger_write(&serve->log.logger, LOG_INFO, "Starting %s monitor on %s:%u", is_https ? "https" : "http",
                     http_host, serve->monitoring.port);
    error = node_start(&serve->options, &env, clock_now(), &serve->node);
    encryption_deinit(&serve->encryption);
    if (error)
        return error;
    serve_workers_spread(&serve->workers, &serve->clients, &serve->client_spread, node_worker_handler);
    if (serve->websockets.open)
        serve_workers_spread(&serve->workers, &serve->websockets, &serve->websocket_spread,
                             node_worker_websocket_handler);
    error = serve_workers_start(&serve->workers, serve->node);
    if (error)
        logger_write(&serve->log.logger, LOG_FATAL, "cannot start the threads of %u workers", serve->workers.count);
    return error;
}

static int load_keys(struct serve *serve)
{
    char message[ENCRYPTION_MESSAGE_SIZE];
    const struct options *options = &serve->options;
    int error = encryption_load(&serve->encryption, options, &serve->log.logger, message);
    if (error) {
        logger_write(&serve->log.logger, LOG_FATAL, "%s", message);
        return error;
    }
    if (serve->encryption.key) {
        process_empty_core();
        logger_write(&serve->log.logger, LOG_INFO, "Encryption at rest: %s for new files, the key is from %s",
                     options_cipher_name(options), serve->encryption.from);
    }
    return 0;
}

// One processor is left to messages.
static int start_offload(struct serve *serve)
{
    unsigned processors = uv_available_parallelism();
    int error = offload_pool_start(&serve->offload_pool, processors > 1 ? processors - 1 : 1);
    if (error) {
        logger_write(&serve->log.logger, LOG_FATAL, "cannot start a thread for password hashes (ulimit -u)");
        return error;
    }
    error = offload_port_open(&serve->offload, &serve->offload_pool, &serve->loop);
    serve->has_offload = !error;
    if (!error)
        error = serve_workers_open_offload(&serve->workers, &serve->offload_pool);
    if (!error)
        return 0;
    if (!serve->has_offload)
        offload_pool_stop(&serve->offload_pool);
    logger_write(&serve->log.logger, LOG_FATAL, "no file descriptors left to start with (ulimit -n)");
    return error;
}

static int start_listening(struct serve *serve, struct listener *listener, const struct net_handler *handler)
{
    int error = listener_start(listener, handler, &serve->log.logger);
    if (error)
        logger_write(&serve->log.logger, LOG_FATAL, "cannot listen on port %u: %s", listener->port, error_text(error));
    return error;
}

static int write_pid(struct serve *serve)
{
    const char *path = serve->options.pid_file;
    int error = path ? serve_files_write_pid(path) : 0;
    if (error)
        logger_write(&serve->log.logger, LOG_FATAL, "Could not write pidfile: %s: %s", path, error_text(error));
    return error;
}

// The server serves without it, as nats-server.
static void write_ports(struct serve *serve)
{
    const struct options *options = &serve->options;
    if (!options->ports_file_dir)
        return;
    const struct serve_port ports[] = {
        {"nats", tls_options_is_on(&options->tls) ? "tls" : "nats", options->host, serve->clients.port},
        {"websocket", serve->config.websocket.no_tls ? "ws" : "wss", serve->config.websocket.host,
         serve->websockets.port},
        {"monitoring", options->https_port ? "https" : "http", options->http_host ? options->http_host : options->host,
         serve->monitoring.port},
    };
    int error = serve_files_write_ports(options->ports_file_dir, persona_name(options->persona), ports,
                                        sizeof(ports) / sizeof(ports[0]));
    if (error)
        logger_write(&serve->log.logger, LOG_ERROR, "Error writing ports file to %s: %s", options->ports_file_dir,
                     error_text(error));
}

static void remove_files(struct serve *serve)
{
    if (serve->options.ports_file_dir)
        serve_files_remove_ports(serve->options.ports_file_dir, persona_name(serve->options.persona));
    if (serve->options.pid_file)
        serve_files_remove_pid(serve->options.pid_file);
}

static void stop_all(struct serve *serve)
{
    serve_stop_bound();
    listener_close(&serve->clients);
    listener_close(&serve->monitoring);
    listener_close(&serve->websockets);
    serve_workers_join(&serve->workers);
    serve_workers_close_offload(&serve->workers);
    if (serve->has_offload) {
        offload_port_close(&serve->offload);
        offload_pool_stop(&serve->offload_pool);
    }
    if (serve->node)
        node_stop(serve->node);
    if (serve->has_disk)
        file_disk_close(&serve->disk);
    if (serve->has_directory)
        directory_close(&serve->directory);
    signals_stop(&serve->signals);
    tcp_deinit(&serve->tcp);
    serve_workers_deinit(&serve->workers);
    serve_tls_stop(&serve->tls);
    serve_uplink_stop(&serve->uplink);
    serve->node = NULL;
    loop_deinit(&serve->loop);
    remove_files(serve);
    if (serve->stop_by_ms != UINT64_MAX)
        logger_write(&serve->log.logger, LOG_INFO, "Server Exiting..");
    server_log_deinit(&serve->log);
}

// Other workers are still there: nothing that they use may go.
static void abandon(struct serve *serve)
{
    serve_stop_bound();
    serve_stop_tell(&serve->log);
    remove_files(serve);
    _exit(1);
}

static void on_turn_begin(void *owner, struct moment now)
{
    struct serve *serve = owner;
    if (serve->node)
        node_turn_begin(serve->node, now);
}

static bool on_turn_end(void *owner)
{
    struct serve *serve = owner;
    if (!serve->node)
        return false;
    bool again = node_turn_end(serve->node);
    if (serve->stop_by_ms == UINT64_MAX) {
        if (!serve->lame_duck || node_has_clients(serve->node))
            return again;
        stop(serve);
        return true;
    }
    if (serve->tcp.count == 0 && node_is_quiet(serve->node)) {
        loop_stop(&serve->loop);
        return false;
    }
    if (!serve->forced && moment_mono_ms(serve->loop.now) >= serve->stop_by_ms) {
        serve->forced = true;
        if (serve->tcp.count > 0)
            logger_write(&serve->log.logger, LOG_WARN, "%zu connections did not take their rest in time",
                         serve->tcp.count);
        tcp_close_all(&serve->tcp);
    }
    if (serve->forced && moment_mono_ms(serve->loop.now) >= serve->stop_by_ms + SERVE_STOP_HUNG_MS)
        abandon(serve);
    return again;
}

static uint64_t on_deadline(void *owner)
{
    struct serve *serve = owner;
    uint64_t deadline_ms = serve->node ? node_next_deadline_ms(serve->node) : UINT64_MAX;
    uint64_t stop_ms = serve->forced ? serve->stop_by_ms + SERVE_STOP_HUNG_MS : serve->stop_by_ms;
    return deadline_ms < stop_ms ? deadline_ms : stop_ms;
}

// A lame duck takes no notice of SIGTERM (CO-X01): who sends it to a process that shall go has what he wants, only slower.
static bool on_stop(void *owner, int number)
{
    struct serve *serve = owner;
    logger_write(&serve->log.logger, LOG_INFO, "Trapped \"%s\" signal", signal_name(number));
    if (serve->lame_duck && number == SIGTERM && serve->stop_by_ms == UINT64_MAX)
        return false;
    if (serve->stop_by_ms == UINT64_MAX)
        stop(serve);
    return true;
}

static void stop(struct serve *serve)
{
    logger_write(&serve->log.logger, LOG_INFO, "Initiating Shutdown...");
    notify_stopping();
    listener_close(&serve->clients);
    listener_close(&serve->monitoring);
    listener_close(&serve->websockets);
    serve->stop_by_ms = moment_mono_ms(serve->loop.now) + SERVE_STOP_MS;
    serve_workers_stop(&serve->workers, serve->stop_by_ms);
    node_shutdown(serve->node);
}

// As nats-server (CO-X01).
static void on_request(void *owner, int number)
{
    struct serve *serve = owner;
    char message[MONITOR_RELOAD_MESSAGE_SIZE];
    logger_write(&serve->log.logger, LOG_INFO, "Trapped \"%s\" signal", signal_name(number));
    switch (number) {
    case SIGHUP: (void)reload(serve, message); break;
    case SIGUSR1: reopen_log(serve); break;
    case SIGUSR2: enter_lame_duck(serve); break;
    default: break;
    }
}

static void enter_lame_duck(struct serve *serve)
{
    if (serve->lame_duck || serve->stop_by_ms != UINT64_MAX)
        return;
    logger_write(&serve->log.logger, LOG_INFO, "Entering lame duck mode, stop accepting new clients");
    serve->lame_duck = true;
    listener_close(&serve->clients);
    listener_close(&serve->websockets);
    node_lame_duck(serve->node);
}

static void reopen_log(struct serve *serve)
{
    const struct logger *logger = &serve->log.logger;
    int error = server_log_reopen(&serve->log);
    if (error == ERR_NOT_FOUND && !serve->options.log_file)
        logger_write(logger, LOG_INFO, "File log re-open ignored, not a file logger");
    else if (error)
        logger_write(logger, LOG_ERROR, "Cannot re-open the log file %s: %s", serve->options.log_file,
                     error_text(error));
    else
        logger_write(logger, LOG_INFO, "File log re-opened");
}

static int on_reload(void *owner, char ret_message[MONITOR_RELOAD_MESSAGE_SIZE])
{
    return reload(owner, ret_message);
}

static int reload(struct serve *serve, char ret_message[MONITOR_RELOAD_MESSAGE_SIZE])
{
    snprintf(ret_message, MONITOR_RELOAD_MESSAGE_SIZE, "nothing was read again");
    if (serve->stop_by_ms != UINT64_MAX)
        return ERR_UNSUPPORTED;
    const struct serve_reload what = {
        .persona = serve->options.persona,
        .count = serve->argument_count,
        .arguments = serve->arguments,
        .log = &serve->log,
        .tls = &serve->tls,
        .node = serve->node,
        .message = ret_message,
    };
    struct config *fresh = serve_reload(&what, serve->reloaded ? serve->reloaded : &serve->config);
    if (!fresh)
        return ERR_INVALID;
    replace_pid_file(serve, &fresh->options);
    drop_reloaded(serve);
    serve->reloaded = fresh;
    serve->options = fresh->options;
    return 0;
}

static void replace_pid_file(struct serve *serve, const struct options *fresh)
{
    const char *old_path = serve->options.pid_file, *path = fresh->pid_file;
    if (old_path && path && strcmp(old_path, path) == 0)
        return;
    int error = path ? serve_files_write_pid(path) : 0;
    if (error)
        logger_write(&serve->log.logger, LOG_ERROR, "Could not write pidfile: %s: %s", path, error_text(error));
    if (old_path)
        serve_files_remove_pid(old_path);
}

static void drop_reloaded(struct serve *serve)
{
    if (!serve->reloaded)
        return;
    config_deinit(serve->reloaded);
    mem_free(serve->reloaded);
    serve->reloaded = NULL;
}

// In the words of Go, which logs have.
static const char *signal_name(int number)
{
    switch (number) {
    case SIGINT: return "interrupt";
    case SIGTERM: return "terminated";
    case SIGHUP: return "hangup";
    case SIGUSR1: return "user defined signal 1";
    case SIGUSR2: return "user defined signal 2";
    default: return "unknown";
    }
}
