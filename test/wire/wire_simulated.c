// SPDX-License-Identifier: Apache-2.0
// Plays transcripts on the simulated server: with 1 and 3 workers, in a memory store and on a disk, the clients' bytes whole, one at a time,
// and cut at random with delays. Prints TAP, one test per section.
//
//   wire_simulated FILE…              all sections
//   wire_simulated --only WORDS FILE… those with these words in their title
//   wire_simulated --seeds N FILE…    random cuts with so many seeds (3)
//   wire_simulated --verbose FILE…    with the server's log
//   wire_simulated --mutants FILE…    every expectation made wrong, each in every way: all of them must fail
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/must.h"
#include "codec/json_fields.h"
#include "play.h"
#include "server/config.h"
#include "sim_node.h"
#include "wire_main.h"

#define MS     1000000ull
#define MIB    (1024ull * 1024)
#define SECOND 1000000000ull

enum { STEPS_MAX = 2000000, LIMIT_SECONDS = 10, SETTLE_MS = 50 };

enum cut { CUT_NOWHERE, CUT_EVERYWHERE, CUT_AT_RANDOM };

// One playing of one section.
struct stage {
    struct prng prng;
    struct sim_trace trace;
    struct sim_net net;
    struct sim_node node;
    struct config config;
    struct config fresh; // of a reload
    bool has_fresh;
    struct play play;
    enum cut cut;
    uint64_t now_ns, steps;
    uint64_t heard; // grows with what the server says and closes
    struct seat {
        struct stage *stage;
        struct sim_link *link; // NULL: closed
        size_t conn;
    } seats[TRANSCRIPT_NAMES_MAX];
};

struct variant {
    bool verbose;
    uint32_t workers;
    enum cut cut;
    uint64_t seed;
};

static void play_section(const struct transcript *transcript, const struct transcript_section *section,
                         const struct variant *variant, char ret_failure[PLAY_FAILURE_SIZE]);
static bool stage_open(struct stage *stage, const struct transcript *transcript, const struct variant *variant);
static void stage_close(struct stage *stage);
static bool read_config(struct stage *stage, struct bytes text, struct config *config);
static int read_content(void *owner, const char *path, struct buffer *content);
static void obey(struct stage *stage, const struct play_step *step);
static void send_bytes(struct stage *stage, struct seat *seat, struct bytes bytes);
static void restart(struct stage *stage);
static void wait_for_server(struct stage *stage);
static void pass(struct stage *stage, uint64_t duration_ns);
static void step_once(struct stage *stage, uint64_t until_ns);
static void on_data(void *owner, struct bytes data, const struct sim_stamp *stamp);
static void on_close(void *owner);
static void run_section(struct wire_main *run, const struct transcript *transcript,
                        const struct transcript_section *section);
static void run_mutants(struct wire_main *run, const struct transcript *transcript,
                        const struct transcript_section *section);

int main(int count, char **arguments)
{
    json_fields_init();
    struct wire_main run;
    if (!wire_main_init(&run, TRANSCRIPT_SIMULATION, count, arguments))
        return 2;
    return wire_main_run(&run, run.mutants ? run_mutants : run_section);
}

static void run_section(struct wire_main *run, const struct transcript *transcript,
                        const struct transcript_section *section)
{
    char failure[PLAY_FAILURE_SIZE] = "";
    for (uint32_t workers = 1; workers <= 3 && !failure[0]; workers += 2) {
        for (uint64_t seed = 0; seed < run->seeds + 2 && !failure[0]; seed++) {
            struct variant variant = {run->verbose, workers,
                                      seed == 0   ? CUT_NOWHERE
                                      : seed == 1 ? CUT_EVERYWHERE
                                                  : CUT_AT_RANDOM,
                                      seed};
            play_section(transcript, section, &variant, failure);
            if (failure[0])
                wire_main_note(run, "with %u workers, seed %llu", workers, (unsigned long long)seed);
        }
    }
    wire_main_report(run, section, failure);
}

static void run_mutants(struct wire_main *run, const struct transcript *transcript,
                        const struct transcript_section *section)
{
    static const char *const NAMES[] = {"changed", "left out", "there twice"};
    const struct variant variant = {run->verbose, 1, CUT_NOWHERE, 0};
    char survivor[PLAY_FAILURE_SIZE] = "", failure[PLAY_FAILURE_SIZE];
    size_t made = 0;
    size_t line = section == transcript->sections ? 0 : section->begin_count; // those of all sections once
    for (; line < section->count && !survivor[0]; line++) {
        for (int mutant = 0; mutant < TRANSCRIPT_MUTANT_COUNT && !survivor[0]; mutant++) {
            struct transcript_section wrong;
            struct buffer storage;
            buffer_init(&storage, SIZE_MAX / 4);
            bool has_mutant = (section->lines[line].players & TRANSCRIPT_SIMULATION) &&
                              transcript_mutate(section, line, (enum transcript_mutant)mutant, &storage, &wrong);
            if (has_mutant) {
                made++;
                play_section(transcript, &wrong, &variant, failure);
                if (!failure[0])
                    snprintf(survivor, sizeof(survivor), "%s:%u: passes with this line %s", transcript->path,
                             section->lines[line].number, NAMES[mutant]);
                mem_free(wrong.lines);
            }
            buffer_deinit(&storage);
        }
    }
    if (made == 0)
        snprintf(survivor, sizeof(survivor), "%s:%u: expects nothing", transcript->path, section->number);
    wire_main_report(run, section, survivor);
}

static void play_section(const struct transcript *transcript, const struct transcript_section *section,
                         const struct variant *variant, char ret_failure[PLAY_FAILURE_SIZE])
{
    struct stage *stage = mem_alloc_zero(sizeof(*stage));
    play_init(&stage->play, transcript, section, TRANSCRIPT_SIMULATION);
    if (stage_open(stage, transcript, variant)) {
        for (struct play_step step = play_next(&stage->play); step.kind != PLAY_DONE && step.kind != PLAY_FAILED;
             step = play_next(&stage->play))
            obey(stage, &step);
        stage_close(stage);
    }
    config_deinit(&stage->config);
    if (stage->has_fresh)
        config_deinit(&stage->fresh);
    memcpy(ret_failure, stage->play.failure, PLAY_FAILURE_SIZE);
    play_deinit(&stage->play);
    mem_free(stage);
}

static bool stage_open(struct stage *stage, const struct transcript *transcript, const struct variant *variant)
{
    prng_seed(&stage->prng, variant->seed);
    sim_trace_init(&stage->trace, variant->verbose);
    stage->cut = variant->cut;
    stage->now_ns = SECOND;
    struct sim_net_faults faults = {.cut = variant->cut == CUT_AT_RANDOM, .buffer_bytes = SIZE_MAX};
    if (faults.cut && prng_chance(&stage->prng, 1, 2))
        faults.delay_max_ns = 3 * MS;
    struct buffer text;
    buffer_init(&text, SIZE_MAX / 4);
    transcript_config(transcript->config, &text);
    bool is_read = read_config(stage, buffer_bytes(&text), &stage->config);
    buffer_deinit(&text);
    if (!is_read)
        return false;
    sim_net_init(&stage->net, &stage->prng, &faults);
    stage->net.now_ns = stage->now_ns;
    sim_node_init(&stage->node, &stage->net, &stage->prng, &stage->trace,
                  variant->seed != 2 && !stage->play.section->has_restart);
    stage->node.options = stage->config.options;
    stage->node.options.store = stage->node.disk ? OPTIONS_STORE_FILE : OPTIONS_STORE_MEMORY;
    // Small, but a message of the default max_payload must fit.
    stage->node.options.log_bytes = 32 * MIB;
    stage->node.options.log_file_bytes = 5 * MIB;
    stage->node.options.log_first_bytes = 64 * 1024;
    stage->node.options.threads = variant->workers;
    stage->node.auth = stage->config.auth;
    if (sim_node_start(&stage->node, stage->now_ns))
        return true;
    play_fail(&stage->play, "the simulated server does not start: --verbose says why");
    sim_net_deinit(&stage->net);
    sim_node_deinit(&stage->node);
    return false;
}

static void stage_close(struct stage *stage)
{
    for (size_t i = 0; i < TRANSCRIPT_NAMES_MAX; i++)
        if (stage->seats[i].link)
            sim_link_close(stage->seats[i].link);
    sim_node_kill(&stage->node, SIM_LOSS_NONE);
    sim_net_deinit(&stage->net);
    sim_node_deinit(&stage->node);
}

static bool read_config(struct stage *stage, struct bytes text, struct config *config)
{
    static char dash_c[] = "-c", name[] = "transcript";
    char *arguments[] = {dash_c, name};
    char message[CONFIG_MESSAGE_SIZE];
    const struct conf_source source = {&text, read_content, NULL};
    int error = config_read(config, OPTIONS_WEIR, 2, arguments, &source, message);
    if (error)
        play_fail(&stage->play, "the configuration: %s", message);
    return !error;
}

static int read_content(void *owner, const char *path, struct buffer *content)
{
    (void)path;
    return buffer_append(content, *(const struct bytes *)owner);
}

static void obey(struct stage *stage, const struct play_step *step)
{
    struct seat *seat = &stage->seats[step->conn];
    switch (step->kind) {
    case PLAY_OPEN:
        *seat = (struct seat){.stage = stage, .conn = step->conn};
        seat->link = sim_net_connect(&stage->net, &(struct sim_peer){seat, on_data, on_close});
        if (!seat->link)
            play_closed(&stage->play, step->conn);
        break;
    case PLAY_SEND: send_bytes(stage, seat, step->bytes); break;
    case PLAY_CLOSE:
        if (seat->link)
            sim_link_close(seat->link);
        seat->link = NULL;
        break;
    case PLAY_WAIT: wait_for_server(stage); break;
    case PLAY_ADVANCE: pass(stage, step->duration_ns); break;
    case PLAY_RELOAD:
        must(!stage->has_fresh);
        stage->has_fresh = true;
        if (read_config(stage, step->bytes, &stage->fresh))
            sim_node_reload(&stage->node, &stage->fresh.options, stage->fresh.auth);
        break;
    case PLAY_LAME_DUCK: sim_node_lame_duck(&stage->node); break;
    case PLAY_RESTART: restart(stage); break;
    case PLAY_SETTLE: pass(stage, SETTLE_MS * MS); break;
    case PLAY_DONE:
    case PLAY_FAILED: break;
    }
}

static void send_bytes(struct stage *stage, struct seat *seat, struct bytes bytes)
{
    size_t piece = stage->cut == CUT_EVERYWHERE ? 1 : bytes.len;
    for (size_t i = 0; i < bytes.len && seat->link; i += piece) {
        sim_link_send(seat->link, bytes_make(bytes.ptr + i, piece));
        if (piece < bytes.len)
            step_once(stage, stage->now_ns);
    }
}

static void restart(struct stage *stage)
{
    sim_node_shutdown(&stage->node);
    while (stage->node.node && stage->steps < STEPS_MAX)
        step_once(stage, stage->now_ns + MS);
    sim_net_deliver(&stage->net, stage->now_ns); // what is left of the links learns of it
    if (stage->node.node || !sim_node_start(&stage->node, stage->now_ns))
        play_fail(&stage->play, "the simulated server does not stop and start: --verbose says why");
}

static void wait_for_server(struct stage *stage)
{
    uint64_t heard = stage->heard, until_ns = stage->now_ns + LIMIT_SECONDS * SECOND;
    while (stage->heard == heard && stage->now_ns < until_ns && stage->steps < STEPS_MAX)
        step_once(stage, until_ns);
    if (stage->heard == heard)
        play_timeout(&stage->play);
}

static void pass(struct stage *stage, uint64_t duration_ns)
{
    uint64_t until_ns = stage->now_ns + duration_ns;
    while (stage->now_ns < until_ns && stage->steps < STEPS_MAX)
        step_once(stage, until_ns);
}

// To the next moment at which anything happens, and everything that happens then.
static void step_once(struct stage *stage, uint64_t until_ns)
{
    uint64_t next_ns = until_ns;
    const uint64_t dues[] = {sim_net_next_ns(&stage->net), sim_node_next_ns(&stage->node)};
    for (size_t i = 0; i < sizeof(dues) / sizeof(dues[0]); i++)
        next_ns = dues[i] < next_ns ? dues[i] : next_ns;
    stage->now_ns = next_ns > stage->now_ns ? next_ns : stage->now_ns + 1000;
    stage->trace.now_ns = stage->net.now_ns = stage->now_ns;
    stage->steps++;
    sim_node_turn(&stage->node, stage->now_ns);
    sim_net_deliver(&stage->net, stage->now_ns);
}

static void on_data(void *owner, struct bytes data, const struct sim_stamp *stamp)
{
    (void)stamp;
    struct seat *seat = owner;
    seat->stage->heard++;
    play_data(&seat->stage->play, seat->conn, data);
}

static void on_close(void *owner)
{
    struct seat *seat = owner;
    seat->stage->heard++;
    seat->link = NULL;
    play_closed(&seat->stage->play, seat->conn);
}
