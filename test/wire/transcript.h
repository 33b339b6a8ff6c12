// SPDX-License-Identifier: Apache-2.0
// A file of transcripts, read into lines that a player can follow; README.md is the format. Texts are borrowed from the file's content,
// which is kept; nothing in them is expanded here.
#pragma once

#include "base/buffer.h"

enum { TRANSCRIPT_NAMES_MAX = 16, TRANSCRIPT_MESSAGE_SIZE = 300 };

enum transcript_player {
    TRANSCRIPT_SIMULATION = 1,
    TRANSCRIPT_WEIR = 2,
    TRANSCRIPT_NATS_SERVER = 4,
    TRANSCRIPT_EVERYONE = 7,
};

enum transcript_kind {
    TRANSCRIPT_SAY,       // text, and payload when text has ${#}
    TRANSCRIPT_HEAR,      // text, and payload after MSG and HMSG
    TRANSCRIPT_OPEN,      //
    TRANSCRIPT_CLOSE,     //
    TRANSCRIPT_CLOSED,    //
    TRANSCRIPT_QUIET,     //
    TRANSCRIPT_LET,       // text is the name, payload the value
    TRANSCRIPT_ADVANCE,   // duration_ns
    TRANSCRIPT_RELOAD,    // text: the `|` lines as they stand in the file; transcript_config()
    TRANSCRIPT_LAME_DUCK, //
    TRANSCRIPT_RESTART,   //
};

struct transcript_line {
    uint8_t kind;      // enum transcript_kind
    uint8_t players;   // set of enum transcript_player
    uint8_t conn;      // index of names[], where the kind has one
    bool in_any_order; // HEAR with `<?`
    bool no_end;       // SAY: without \r\n
    bool payload_no_end;
    bool has_payload;
    unsigned number;      // of the line in the file
    struct bytes text;    // borrowed
    struct bytes payload; // borrowed
    uint64_t duration_ns;
};

struct transcript_section {
    struct bytes title; // borrowed
    unsigned number;    // of its line
    uint8_t players;    // those who have anything to do in it
    bool has_restart;   // so it needs a store that outlives the server
    struct transcript_line *lines;
    size_t count, capacity;
    size_t begin_count; // of the lines: those that all sections begin with
};

struct transcript {
    const char *path;    // borrowed
    char *content;       // owned
    struct bytes config; // the head's `|` lines as they stand in the file
    struct bytes names[TRANSCRIPT_NAMES_MAX];
    size_t name_count;
    struct transcript_section begin;     // lines before the first section: all begin with them
    struct transcript_section *sections; // owned
    size_t section_count, section_capacity;
};

// Copies the text. ERR_INVALID: the message is "PATH:LINE: …"; there is nothing to free.
int transcript_read(struct transcript *transcript, const char *path, struct bytes text,
                    char ret_message[TRANSCRIPT_MESSAGE_SIZE]) MUST_USE;
void transcript_deinit(struct transcript *transcript);

// Appends the configuration that `|` lines stand for.
void transcript_config(struct bytes lines, struct buffer *out);

// What --mutants does to an expectation of a section, so that it is wrong.
enum transcript_mutant { TRANSCRIPT_CHANGED, TRANSCRIPT_LEFT_OUT, TRANSCRIPT_TWICE, TRANSCRIPT_MUTANT_COUNT };
// A copy of the section with the line wrong; its lines are the caller's to free with mem_free(), and `storage` holds changed text. False:
// there is nothing about this line that could be made wrong in this way.
bool transcript_mutate(const struct transcript_section *section, size_t line, enum transcript_mutant mutant,
                       struct buffer *storage, struct transcript_section *ret_section);
