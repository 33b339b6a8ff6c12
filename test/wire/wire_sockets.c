// SPDX-License-Identifier: Apache-2.0
// Plays transcripts on the program in $WEIR (build-debug/weir), over sockets, with $WEIR_THREADS workers (1): the clients' bytes whole, and
// one at a time. A program called nats-server is played what is core NATS, whole. Prints TAP, one test per section.
//
//   wire_sockets FILE…              all sections
//   wire_sockets --only WORDS FILE… those with these words in their title
//   wire_sockets --verbose FILE…    with the server's log
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/must.h"
#include "codec/json_fields.h"
#include "wire_main.h"
#include "wire_server.h"

// For the answer to one line, and for a section: a server whose PINGs never end is not waited for.
enum { LIMIT_MS = 20000, SECTION_LIMIT_MS = 90000 };

struct stage {
    struct play play;
    struct wire_server server;
    bool byte_by_byte;
    uint64_t until_ms;             // the section's limit
    int fds[TRANSCRIPT_NAMES_MAX]; // -1: none
};

static const char *program(void);
static void run_section(struct wire_main *run, const struct transcript *transcript,
                        const struct transcript_section *section);
static void play_section(struct wire_main *run, struct stage *stage, const struct transcript *transcript);
static void obey(struct stage *stage, const struct play_step *step);
static void open_conn(struct stage *stage, size_t conn);
static void close_conn(struct stage *stage, size_t conn);
static void send_bytes(struct stage *stage, int fd, struct bytes bytes);
static void wait_for_server(struct stage *stage);
static void take_bytes(struct stage *stage, size_t conn);

int main(int count, char **arguments)
{
    json_fields_init();
    signal(SIGPIPE, SIG_IGN);
    const char *name = strrchr(program(), '/');
    bool is_nats_server = strcmp(name ? name + 1 : program(), "nats-server") == 0;
    struct wire_main run;
    if (!wire_main_init(&run, is_nats_server ? TRANSCRIPT_NATS_SERVER : TRANSCRIPT_WEIR, count, arguments))
        return 2;
    return wire_main_run(&run, run_section);
}

static const char *program(void)
{
    const char *chosen = getenv("WEIR");
    return chosen ? chosen : "build-debug/weir";
}

static void run_section(struct wire_main *run, const struct transcript *transcript,
                        const struct transcript_section *section)
{
    char failure[PLAY_FAILURE_SIZE] = "";
    for (int round = 0; round < (run->player == TRANSCRIPT_WEIR ? 2 : 1) && !failure[0]; round++) {
        struct stage *stage = mem_alloc_zero(sizeof(*stage));
        stage->byte_by_byte = round == 1;
        for (size_t i = 0; i < TRANSCRIPT_NAMES_MAX; i++)
            stage->fds[i] = -1;
        play_init(&stage->play, transcript, section, run->player);
        play_section(run, stage, transcript);
        memcpy(failure, stage->play.failure, sizeof(failure));
        play_deinit(&stage->play);
        mem_free(stage);
    }
    wire_main_report(run, section, failure);
}

static void play_section(struct wire_main *run, struct stage *stage, const struct transcript *transcript)
{
    struct buffer config;
    buffer_init(&config, SIZE_MAX / 4);
    transcript_config(transcript->config, &config);
    const char *threads = getenv("WEIR_THREADS");
    stage->until_ms = wire_server_now_ms() + SECTION_LIMIT_MS;
    bool is_up = wire_server_start(&stage->server, program(), threads ? threads : "1", buffer_bytes(&config));
    buffer_deinit(&config);
    if (!is_up)
        play_fail(&stage->play, "%s does not start: --verbose shows its log", program());
    for (struct play_step step = play_next(&stage->play); step.kind != PLAY_DONE && step.kind != PLAY_FAILED;
         step = play_next(&stage->play))
        obey(stage, &step);
    for (size_t i = 0; i < TRANSCRIPT_NAMES_MAX; i++)
        close_conn(stage, i);
    if (!wire_server_stop(&stage->server))
        play_fail(&stage->play, "the server did not end well: --verbose shows its log");
    if (run->verbose)
        printf("    %.*s\n", BYTES_ARG(stage->server.log));
    if (stage->play.failure[0])
        wire_main_note(run, "with the bytes %s", stage->byte_by_byte ? "one at a time" : "whole");
    wire_server_deinit(&stage->server);
}

static void obey(struct stage *stage, const struct play_step *step)
{
    switch (step->kind) {
    case PLAY_OPEN: open_conn(stage, step->conn); break;
    case PLAY_SEND: send_bytes(stage, stage->fds[step->conn], step->bytes); break;
    case PLAY_CLOSE: close_conn(stage, step->conn); break;
    case PLAY_WAIT: wait_for_server(stage); break;
    case PLAY_RELOAD:
        if (!wire_server_reload(&stage->server, step->bytes))
            play_fail(&stage->play, "the server refused the new configuration: --verbose shows its log");
        break;
    case PLAY_LAME_DUCK: wire_server_lame_duck(&stage->server); break;
    case PLAY_ADVANCE: play_fail(&stage->play, "time passes in the simulation only"); break;
    case PLAY_RESTART:
        for (size_t i = 0; i < TRANSCRIPT_NAMES_MAX; i++)
            close_conn(stage, i);
        if (!wire_server_restart(&stage->server))
            play_fail(&stage->play, "the server does not stop and start: --verbose shows its log");
        break;
    case PLAY_SETTLE:
    case PLAY_DONE:
    case PLAY_FAILED: break;
    }
}

static void open_conn(struct stage *stage, size_t conn)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    must(fd >= 0);
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(stage->server.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    stage->fds[conn] = fd;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return;
    close_conn(stage, conn);
    play_closed(&stage->play, conn);
}

static void close_conn(struct stage *stage, size_t conn)
{
    if (stage->fds[conn] >= 0)
        close(stage->fds[conn]);
    stage->fds[conn] = -1;
}

// What a closed connection no longer takes is not missed.
static void send_bytes(struct stage *stage, int fd, struct bytes bytes)
{
    while (bytes.len > 0 && fd >= 0) {
        ssize_t taken = write(fd, bytes.ptr, stage->byte_by_byte ? 1 : bytes.len);
        if (taken < 0 && errno != EINTR)
            return;
        bytes = bytes_skip(bytes, taken > 0 ? (size_t)taken : 0);
    }
}

// Until anybody hears anything.
static void wait_for_server(struct stage *stage)
{
    struct pollfd wanted[TRANSCRIPT_NAMES_MAX + 1];
    for (;;) {
        for (size_t i = 0; i < TRANSCRIPT_NAMES_MAX; i++)
            wanted[i] = (struct pollfd){.fd = stage->fds[i], .events = POLLIN};
        wanted[TRANSCRIPT_NAMES_MAX] = (struct pollfd){.fd = stage->server.log_fd, .events = POLLIN};
        bool is_late = wire_server_now_ms() > stage->until_ms;
        int ready = is_late ? 0 : poll(wanted, TRANSCRIPT_NAMES_MAX + 1, LIMIT_MS);
        if (ready == 0)
            play_timeout(&stage->play);
        if (ready == 0)
            return;
        bool heard = false;
        for (size_t i = 0; i < TRANSCRIPT_NAMES_MAX && ready > 0; i++) {
            if (wanted[i].revents == 0)
                continue;
            take_bytes(stage, i);
            heard = true;
        }
        if (ready > 0 && wanted[TRANSCRIPT_NAMES_MAX].revents)
            wire_server_read_log(&stage->server);
        if (heard)
            return;
    }
}

static void take_bytes(struct stage *stage, size_t conn)
{
    char piece[65536];
    ssize_t got = read(stage->fds[conn], piece, sizeof(piece));
    if (got < 0 && errno == EINTR)
        return;
    if (got > 0) {
        play_data(&stage->play, conn, bytes_make(piece, (size_t)got));
        return;
    }
    close_conn(stage, conn);
    play_closed(&stage->play, conn);
}
