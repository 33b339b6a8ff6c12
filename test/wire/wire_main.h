// SPDX-License-Identifier: Apache-2.0
// What the two runners share: the command line, the files, and TAP.
#pragma once

#include <stdio.h>

#include "play.h"

struct wire_main {
    enum transcript_player player;
    const char *only; // words of titles; NULL: all
    uint64_t seeds;
    bool mutants, verbose;
    char **files; // borrowed
    int file_count;
    unsigned tests, failed;
    char note[200]; // of the test that runs
};

// False: the command line is wrong, and standard error says how.
bool wire_main_init(struct wire_main *run, enum transcript_player player, int count, char **arguments);

// Plays one section, and reports.
typedef void wire_main_one(struct wire_main *run, const struct transcript *transcript,
                           const struct transcript_section *section);

// Calls `one` for each section that is for this player, of each file that the command line names, also as a shell pattern. Returns the
// program's exit code.
int wire_main_run(struct wire_main *run, wire_main_one *one);

// An empty failure: it has passed.
void wire_main_report(struct wire_main *run, const struct transcript_section *section, const char *failure);
// How to find the failure that is reported next.
void wire_main_note(struct wire_main *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
