// SPDX-License-Identifier: Apache-2.0
// A section of a transcript while it is played. Pure: it says what the runner shall do next, and is told what the server sent. The runner
// decides how bytes are cut, how long it waits, and which server it is.
//
//   for (;;) switch ((step = play_next(&play)).kind)
//     PLAY_WAIT           until play_data() or play_closed() was called; nothing comes: play_timeout()
//     PLAY_OPEN … SETTLE      do it, then go on
//     PLAY_DONE, PLAY_FAILED  the end
#pragma once

#include "pattern.h"
#include "transcript.h"

enum { PLAY_FAILURE_SIZE = 1200 };

enum play_kind {
    PLAY_OPEN,      // a connection of `conn`
    PLAY_SEND,      // `bytes`, valid until the next call
    PLAY_CLOSE,     // `conn`
    PLAY_WAIT,      // for what the server says
    PLAY_ADVANCE,   // the clock by `duration_ns`
    PLAY_RELOAD,    // with the configuration `bytes`
    PLAY_LAME_DUCK, //
    PLAY_RESTART,   // the server stops in good order and starts again on its data; all connections are gone then
    PLAY_SETTLE,    // wait a moment for what nobody expects, if waiting costs nothing
    PLAY_DONE,      //
    PLAY_FAILED,    // play.failure says why
};

struct play_step {
    enum play_kind kind;
    size_t conn;
    struct bytes bytes;
    uint64_t duration_ns;
};

struct play_conn {
    bool opened;
    bool ended;         // by the server
    bool end_was_heard; // `closed`, or the client closed it
    bool greeted;       // its first operation was taken
    bool pinged;        // PING of `quiet` is sent
    bool owes_pong;     // for a PING of the server that nobody expected
    struct buffer input;
};

struct play {
    const struct transcript *transcript;      // borrowed
    const struct transcript_section *section; // borrowed
    enum transcript_player player;
    size_t at;      // line
    uint64_t heard; // of a run of `<?` lines from `at` on: those that have come
    size_t last;    // at the end: the connection that is asked
    bool settled;   // PLAY_SETTLE was done
    bool restarted; // PLAY_RESTART was said: names stand for new connections
    struct pattern_vars vars;
    struct play_conn conns[TRANSCRIPT_NAMES_MAX];
    struct buffer out;
    char failure[PLAY_FAILURE_SIZE]; // empty: none
};

void play_init(struct play *play, const struct transcript *transcript, const struct transcript_section *section,
               enum transcript_player player);
void play_deinit(struct play *play);

struct play_step play_next(struct play *play);

// The server has sent this to the connection.
void play_data(struct play *play, size_t conn, struct bytes data);
// The server has closed it.
void play_closed(struct play *play, size_t conn);
// Nothing came for so long that nothing will: the play fails, and says what was expected.
void play_timeout(struct play *play);
// Something else went wrong at this line.
void play_fail(struct play *play, const char *format, ...) __attribute__((format(printf, 2, 3)));
