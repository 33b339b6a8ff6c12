// SPDX-License-Identifier: Apache-2.0
#include "play.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/must.h"
#include "base/number.h"
#include "proto_fields.h"

#define INPUT_MAX (16 * 1024 * 1024)

// One operation of the server; both without their line ends.
struct operation {
    struct bytes line, payload;
    bool has_payload;
    size_t len; // of all of it
};

enum { OPERATION_NONE, OPERATION_WHOLE, OPERATION_BROKEN };

static void forget_conns(struct play *play);
static bool pay_pong(struct play *play, struct play_step *ret_step);
static const struct transcript_line *current(const struct play *play);
static bool step_line(struct play *play, const struct transcript_line *line, struct play_step *ret_step);
static bool open_conn(struct play *play, size_t index, struct play_step *ret_step);
static bool say(struct play *play, const struct transcript_line *line, struct play_step *ret_step);
static bool say_line(struct play *play, const struct transcript_line *line);
static const char *expand_payload(struct play *play, struct bytes text, struct buffer *out);
static bool hear(struct play *play, const struct transcript_line *line, struct play_step *ret_step);
static bool hear_any(struct play *play, const struct transcript_line *first, const struct operation *operation);
static bool ask_quiet(struct play *play, size_t index, struct play_step *ret_step);
static bool ask_last(struct play *play, struct play_step *ret_step);
static bool settle(struct play *play, struct play_step *ret_step);
static void check_nothing_is_left(struct play *play, size_t index);
static bool hear_end(struct play *play, size_t index, struct play_step *ret_step);
static int take_operation(struct play *play, size_t index, bool wants_info, bool wants_ping, struct operation *ret);
static int read_operation(struct bytes input, struct operation *ret);
static bool is_match(struct play *play, const struct transcript_line *line, const struct operation *operation);
static void fail_with(struct play *play, const char *expected, const struct operation *operation);
static void print_bytes(struct bytes bytes, struct buffer *out);

void play_init(struct play *play, const struct transcript *transcript, const struct transcript_section *section,
               enum transcript_player player)
{
    *play = (struct play){.transcript = transcript, .section = section, .player = player};
    pattern_vars_init(&play->vars);
    buffer_init(&play->out, SIZE_MAX / 4);
    for (size_t i = 0; i < TRANSCRIPT_NAMES_MAX; i++)
        buffer_init(&play->conns[i].input, INPUT_MAX);
}

void play_deinit(struct play *play)
{
    pattern_vars_deinit(&play->vars);
    buffer_deinit(&play->out);
    for (size_t i = 0; i < TRANSCRIPT_NAMES_MAX; i++)
        buffer_deinit(&play->conns[i].input);
}

struct play_step play_next(struct play *play)
{
    struct play_step step = {.kind = PLAY_FAILED};
    if (play->restarted)
        forget_conns(play);
    while (!play->failure[0] && !pay_pong(play, &step)) {
        const struct transcript_line *line = current(play);
        if (line ? step_line(play, line, &step) : ask_last(play, &step))
            break;
    }
    if (play->failure[0])
        step = (struct play_step){.kind = PLAY_FAILED};
    return step;
}

void play_data(struct play *play, size_t conn, struct bytes data)
{
    if (buffer_append(&play->conns[conn].input, data))
        play_fail(play, "the server sends without end");
}

void play_closed(struct play *play, size_t conn)
{
    play->conns[conn].ended = true;
}

void play_timeout(struct play *play)
{
    const struct transcript_line *line = current(play);
    if (line && line->kind == TRANSCRIPT_HEAR)
        play_fail(play, "nothing came, expected: %.*s", BYTES_ARG(line->text));
    else if (line && line->kind == TRANSCRIPT_CLOSED)
        play_fail(play, "the server has not closed the connection");
    else
        play_fail(play, "no PONG came");
}

void play_fail(struct play *play, const char *format, ...)
{
    if (play->failure[0])
        return;
    const struct transcript_line *line = current(play);
    unsigned number = line ? line->number : play->section->number;
    int len = snprintf(play->failure, sizeof(play->failure), "%s:%u: ", play->transcript->path, number);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(play->failure + len, sizeof(play->failure) - (size_t)len, format, arguments);
    va_end(arguments);
}

static void forget_conns(struct play *play)
{
    for (size_t i = 0; i < TRANSCRIPT_NAMES_MAX; i++) {
        buffer_deinit(&play->conns[i].input);
        play->conns[i] = (struct play_conn){.opened = false};
        buffer_init(&play->conns[i].input, INPUT_MAX);
    }
    play->restarted = false;
}

static bool pay_pong(struct play *play, struct play_step *ret_step)
{
    for (size_t i = 0; i < TRANSCRIPT_NAMES_MAX; i++) {
        if (!play->conns[i].owes_pong || play->conns[i].ended)
            continue;
        play->conns[i].owes_pong = false;
        *ret_step = (struct play_step){.kind = PLAY_SEND, .conn = i, .bytes = BYTES("PONG\r\n")};
        return true;
    }
    return false;
}

// NULL: all lines are done.
static const struct transcript_line *current(const struct play *play)
{
    return play->at < play->section->count ? &play->section->lines[play->at] : NULL;
}

// True: *ret_step is for the runner.
static bool step_line(struct play *play, const struct transcript_line *line, struct play_step *ret_step)
{
    if (!(line->players & play->player)) {
        play->at++;
        return false;
    }
    *ret_step = (struct play_step){.conn = line->conn, .duration_ns = line->duration_ns};
    switch ((enum transcript_kind)line->kind) {
    case TRANSCRIPT_SAY: return open_conn(play, line->conn, ret_step) || say(play, line, ret_step);
    case TRANSCRIPT_HEAR: return open_conn(play, line->conn, ret_step) || hear(play, line, ret_step);
    case TRANSCRIPT_QUIET: return open_conn(play, line->conn, ret_step) || ask_quiet(play, line->conn, ret_step);
    case TRANSCRIPT_CLOSED: return open_conn(play, line->conn, ret_step) || hear_end(play, line->conn, ret_step);
    case TRANSCRIPT_OPEN:
        if (open_conn(play, line->conn, ret_step))
            return true;
        play->at++;
        return false;
    case TRANSCRIPT_LET:
        buffer_clear(&play->out);
        pattern_substitute(line->payload, &play->vars, &play->out);
        pattern_vars_set(&play->vars, line->text, buffer_bytes(&play->out));
        play->at++;
        return false;
    case TRANSCRIPT_CLOSE:
        check_nothing_is_left(play, line->conn);
        play->conns[line->conn].end_was_heard = play->conns[line->conn].ended = true;
        ret_step->kind = PLAY_CLOSE;
        break;
    case TRANSCRIPT_ADVANCE: ret_step->kind = PLAY_ADVANCE; break;
    case TRANSCRIPT_LAME_DUCK: ret_step->kind = PLAY_LAME_DUCK; break;
    case TRANSCRIPT_RESTART:
        if (settle(play, ret_step))
            return true;
        play->restarted = true;
        ret_step->kind = PLAY_RESTART;
        break;
    case TRANSCRIPT_RELOAD:
        buffer_clear(&play->out);
        transcript_config(line->text, &play->out);
        *ret_step = (struct play_step){.kind = PLAY_RELOAD, .bytes = buffer_bytes(&play->out)};
        break;
    }
    play->at++;
    return true;
}

static bool open_conn(struct play *play, size_t index, struct play_step *ret_step)
{
    struct play_conn *conn = &play->conns[index];
    if (conn->opened)
        return false;
    conn->opened = true;
    *ret_step = (struct play_step){.kind = PLAY_OPEN, .conn = index};
    return true;
}

// This line and those after it of the same client, in one piece.
static bool say(struct play *play, const struct transcript_line *line, struct play_step *ret_step)
{
    buffer_clear(&play->out);
    size_t conn = line->conn;
    while (line && line->kind == TRANSCRIPT_SAY && (line->conn == conn || !(line->players & play->player))) {
        if ((line->players & play->player) && !say_line(play, line))
            return false;
        play->at++;
        line = current(play);
    }
    *ret_step = (struct play_step){.kind = PLAY_SEND, .conn = conn, .bytes = buffer_bytes(&play->out)};
    return !play->conns[conn].ended;
}

static bool say_line(struct play *play, const struct transcript_line *line)
{
    struct buffer payload;
    buffer_init(&payload, SIZE_MAX / 4);
    const char *wrong = line->has_payload ? expand_payload(play, line->payload, &payload) : NULL;
    if (!wrong && !line->has_payload && proto_fields_is(line->text))
        wrong = proto_fields_encode(line->text, &play->vars, &play->out);
    else if (!wrong)
        wrong =
            pattern_expand(line->text, &play->vars, line->has_payload ? payload.len : PATTERN_NO_LENGTH, &play->out);
    if (!line->no_end)
        must(buffer_append(&play->out, BYTES("\r\n")) == 0);
    if (line->has_payload) {
        must(buffer_append(&play->out, buffer_bytes(&payload)) == 0);
        must(buffer_append(&play->out, BYTES("\r\n")) == 0);
    }
    buffer_deinit(&payload);
    if (wrong)
        play_fail(play, "%s: %.*s", wrong, BYTES_ARG(line->text));
    return !wrong;
}

static const char *expand_payload(struct play *play, struct bytes text, struct buffer *out)
{
    return proto_fields_is(text) ? proto_fields_encode(text, &play->vars, out)
                                 : pattern_expand(text, &play->vars, PATTERN_NO_LENGTH, out);
}

static bool hear(struct play *play, const struct transcript_line *line, struct play_step *ret_step)
{
    struct operation operation;
    bool wants_ping = bytes_equal(line->text, BYTES("PING"));
    int got = take_operation(play, line->conn, bytes_starts_with(line->text, BYTES("INFO ")), wants_ping, &operation);
    if (got == OPERATION_NONE && play->conns[line->conn].ended)
        play_fail(play, "the server has closed the connection, expected: %.*s", BYTES_ARG(line->text));
    if (got != OPERATION_WHOLE) {
        *ret_step = (struct play_step){.kind = PLAY_WAIT};
        return true;
    }
    if (line->in_any_order ? hear_any(play, line, &operation) : is_match(play, line, &operation)) {
        play->at += !line->in_any_order;
        buffer_consume(&play->conns[line->conn].input, operation.len);
    } else {
        char expected[500];
        snprintf(expected, sizeof(expected), "%.*s%s%.*s", BYTES_ARG(line->text), line->has_payload ? " + " : "",
                 BYTES_ARG(line->payload));
        fail_with(play, expected, &operation);
    }
    return false;
}

// The neighbours of the same client; those that were heard before have their bit set.
static bool hear_any(struct play *play, const struct transcript_line *first, const struct operation *operation)
{
    size_t count = 0, heard = 0;
    bool found = false;
    for (; play->at + count < play->section->count && count < 64; count++) {
        const struct transcript_line *line = &play->section->lines[play->at + count];
        bool is_member = line->kind == TRANSCRIPT_HEAR && line->in_any_order && line->conn == first->conn;
        if (!is_member)
            break;
        bool pending = (line->players & play->player) && !(play->heard & (1ull << count));
        if (pending && !found && is_match(play, line, operation)) {
            play->heard |= 1ull << count;
            found = true;
            pending = false;
        }
        heard += !pending;
    }
    if (heard == count) {
        play->at += count;
        play->heard = 0;
    }
    return found;
}

static bool ask_quiet(struct play *play, size_t index, struct play_step *ret_step)
{
    struct play_conn *conn = &play->conns[index];
    struct operation operation;
    if (!conn->pinged) {
        conn->pinged = true;
        *ret_step = (struct play_step){.kind = PLAY_SEND, .conn = index, .bytes = BYTES("PING\r\n")};
        return true;
    }
    int got = take_operation(play, index, false, false, &operation);
    if (got == OPERATION_NONE && conn->ended)
        play_fail(play, "the server has closed the connection, expected: PONG");
    if (got != OPERATION_WHOLE) {
        *ret_step = (struct play_step){.kind = PLAY_WAIT};
        return true;
    }
    if (!bytes_equal(operation.line, BYTES("PONG"))) {
        fail_with(play, "PONG: nothing else", &operation);
        return false;
    }
    buffer_consume(&conn->input, operation.len);
    conn->pinged = false;
    if (current(play))
        play->at++;
    else
        play->last++;
    return false;
}

// All lines are done: nobody may have heard more.
static bool ask_last(struct play *play, struct play_step *ret_step)
{
    if (play->last == TRANSCRIPT_NAMES_MAX) {
        if (!settle(play, ret_step))
            *ret_step = (struct play_step){.kind = PLAY_DONE};
        return true;
    }
    struct play_conn *conn = &play->conns[play->last];
    if (!conn->opened || conn->end_was_heard) {
        play->last++;
        return false;
    }
    return ask_quiet(play, play->last, ret_step);
}

// True: the runner is to wait first. Then nobody may have heard anything more.
static bool settle(struct play *play, struct play_step *ret_step)
{
    for (size_t i = 0; i < TRANSCRIPT_NAMES_MAX && play->settled; i++)
        check_nothing_is_left(play, i);
    play->settled = !play->settled;
    ret_step->kind = PLAY_SETTLE;
    return play->settled;
}

static void check_nothing_is_left(struct play *play, size_t index)
{
    struct operation operation;
    if (take_operation(play, index, false, false, &operation) == OPERATION_WHOLE)
        fail_with(play, "nothing more", &operation);
}

static bool hear_end(struct play *play, size_t index, struct play_step *ret_step)
{
    struct operation operation;
    struct play_conn *conn = &play->conns[index];
    int got = take_operation(play, index, false, false, &operation);
    if (got == OPERATION_WHOLE) {
        fail_with(play, "the connection is closed", &operation);
        return false;
    }
    if (!conn->ended) {
        *ret_step = (struct play_step){.kind = PLAY_WAIT};
        return true;
    }
    if (conn->input.len > 0) {
        play_fail(play, "the server has closed the connection in the middle of an operation");
        return false;
    }
    conn->end_was_heard = true;
    play->at++;
    return false;
}

// What nobody expects and is nothing to worry about is passed over: the first INFO, and the server's PING.
static int take_operation(struct play *play, size_t index, bool wants_info, bool wants_ping, struct operation *ret)
{
    struct play_conn *conn = &play->conns[index];
    for (;;) {
        int got = read_operation(buffer_bytes(&conn->input), ret);
        if (got == OPERATION_BROKEN)
            play_fail(play, "the server sends what is no operation");
        if (got != OPERATION_WHOLE)
            return got;
        bool is_first = !conn->greeted;
        bool is_info = bytes_starts_with(ret->line, BYTES("INFO {"));
        conn->greeted = true;
        if (is_first && !is_info)
            play_fail(play, "the server's first operation is not INFO");
        bool unseen = (is_first && is_info && !wants_info) || (!wants_ping && bytes_equal(ret->line, BYTES("PING")));
        if (!unseen)
            return OPERATION_WHOLE;
        conn->owes_pong |= !is_info;
        buffer_consume(&conn->input, ret->len);
    }
}

static int read_operation(struct bytes input, struct operation *ret)
{
    const char *end = input.len > 0 ? memmem(input.ptr, input.len, "\r\n", 2) : NULL;
    if (!end)
        return OPERATION_NONE;
    *ret = (struct operation){.line = bytes_make(input.ptr, (size_t)(end - input.ptr))};
    ret->len = ret->line.len + 2;
    if (!bytes_starts_with(ret->line, BYTES("MSG ")) && !bytes_starts_with(ret->line, BYTES("HMSG ")))
        return OPERATION_WHOLE;
    const char *size = memrchr(ret->line.ptr, ' ', ret->line.len);
    uint64_t len;
    struct bytes digits = bytes_make(size + 1, (size_t)(end - size - 1));
    if (number_parse_u64(digits, INPUT_MAX, &len))
        return OPERATION_BROKEN;
    if (input.len < ret->len + len + 2)
        return OPERATION_NONE;
    ret->payload = bytes_make(input.ptr + ret->len, len);
    ret->has_payload = true;
    ret->len += len + 2;
    return memcmp(input.ptr + ret->len - 2, "\r\n", 2) == 0 ? OPERATION_WHOLE : OPERATION_BROKEN;
}

static bool is_match(struct play *play, const struct transcript_line *line, const struct operation *operation)
{
    if (line->has_payload != operation->has_payload)
        return false;
    if (bytes_starts_with(line->text, BYTES("INFO {")))
        return bytes_starts_with(operation->line, BYTES("INFO {")) &&
               pattern_match_json(bytes_skip(line->text, 5), bytes_skip(operation->line, 5), &play->vars);
    if (!pattern_match(line->text, operation->line, operation->payload.len, &play->vars))
        return false;
    if (!line->has_payload)
        return true;
    return proto_fields_is(line->payload)
               ? proto_fields_match(line->payload, operation->payload, &play->vars)
               : pattern_match(line->payload, operation->payload, PATTERN_NO_LENGTH, &play->vars);
}

static void fail_with(struct play *play, const char *expected, const struct operation *operation)
{
    struct buffer text;
    buffer_init(&text, SIZE_MAX / 4);
    print_bytes(operation->line, &text);
    if (operation->has_payload) {
        must(buffer_append(&text, BYTES(" + ")) == 0);
        proto_fields_print(operation->payload, &text);
        if (text.len == 0 || text.ptr[text.len - 1] != '}')
            print_bytes(operation->payload, &text);
    }
    play_fail(play, "expected: %s\n    came: %.*s", expected, BYTES_ARG(text));
    buffer_deinit(&text);
}

static void print_bytes(struct bytes bytes, struct buffer *out)
{
    for (size_t i = 0; i < bytes.len && i < 300; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (c == '\r' || c == '\n')
            must(buffer_append(out, c == '\r' ? BYTES("\\r") : BYTES("\\n")) == 0);
        else
            must(buffer_printf(out, c < 32 || c > 126 ? "\\x%02x" : "%c", c) == 0);
    }
}
