// SPDX-License-Identifier: Apache-2.0
#include "os/log_line.h"

#include <stdio.h>

#include "base/json_text.h"

// How an object ends.
#define JSON_END "\"}\n"
// What members of their own leave for the message.
#define MESSAGE_ROOM 1024

// A line that is being written. What does not fit is left out.
struct writer {
    char *line;
    size_t len, max;
};

static size_t put_prefix(char *line, const struct log_line_style *style, const struct timespec *now, long pid,
                         enum log_level level);
static size_t end_text(char *line, size_t len);
static size_t write_json(char *line, const struct log_line_style *style, const struct timespec *now, long pid,
                         enum log_level level, struct bytes text);
static void put_origin(struct writer *writer, struct bytes *text);
static bool cut_name(struct bytes *text, struct bytes *ret_name);
static void put_member(struct writer *writer, const char *key, struct bytes value);
static void put_escaped(struct writer *writer, struct bytes text);
static void put(struct writer *writer, struct bytes text);
static bool is_digit(char c);

size_t log_line_format(char line[LOG_LINE_MAX], const struct log_line_style *style, const struct timespec *now,
                       long pid, enum log_level level, size_t *ret_begin, const char *format, va_list arguments)
{
    char text[LOG_LINE_MAX];
    char *to = style->json ? text : line;
    size_t used = style->json ? 0 : put_prefix(line, style, now, pid, level);
    int more = vsnprintf(to + used, LOG_LINE_MAX - used, format, arguments);
    size_t len = used + (more > 0 ? (size_t)more : 0);
    len = len < LOG_LINE_MAX ? len : LOG_LINE_MAX - 1;
    *ret_begin = used;
    if (style->json)
        return write_json(line, style, now, pid, level, bytes_make(text, len));
    len = used + end_text(line + used, len - used);
    return len;
}

static size_t put_prefix(char *line, const struct log_line_style *style, const struct timespec *now, long pid,
                         enum log_level level)
{
    static const char *const names[] = {"TRC", "DBG", "INF", "WRN", "ERR", "FTL"};
    if (!style->time)
        return (size_t)snprintf(line, LOG_LINE_MAX, "[%ld] [%s] ", pid, names[level]);
    struct tm parts;
    if (style->time_utc)
        gmtime_r(&now->tv_sec, &parts);
    else
        localtime_r(&now->tv_sec, &parts);
    char date[32];
    strftime(date, sizeof(date), "%Y/%m/%d %H:%M:%S", &parts);
    return (size_t)snprintf(line, LOG_LINE_MAX, "[%ld] %s.%06ld [%s] ", pid, date, now->tv_nsec / 1000, names[level]);
}

// Control characters (a client's name may hold some) must not be able to forge lines or to drive a terminal.
static size_t end_text(char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    }
    line[len] = '\n';
    return len + 1;
}

static size_t write_json(char *line, const struct log_line_style *style, const struct timespec *now, long pid,
                         enum log_level level, struct bytes text)
{
    static const char *const names[] = {"trace", "debug", "info", "warn", "error", "fatal"};
    struct writer writer = {.line = line, .max = LOG_LINE_MAX - (sizeof(JSON_END) - 1)};
    char head[128], date[32] = "", fraction[32] = "";
    if (style->time) {
        struct tm parts;
        gmtime_r(&now->tv_sec, &parts);
        strftime(date, sizeof(date), "\"time\":\"%Y-%m-%dT%H:%M:%S", &parts);
        snprintf(fraction, sizeof(fraction), ".%06ldZ\",", now->tv_nsec / 1000 % 1000000);
    }
    snprintf(head, sizeof(head), "{%s%s\"level\":\"%s\",\"pid\":%ld", date, fraction, names[level], pid);
    put(&writer, bytes_from_string(head));
    put_origin(&writer, &text);
    put(&writer, BYTES(",\"msg\":\""));
    put_escaped(&writer, text);
    memcpy(line + writer.len, JSON_END, sizeof(JSON_END) - 1);
    return writer.len + sizeof(JSON_END) - 1;
}

// Takes "ADDRESS - cid:NUMBER - " and a name in quotation marks off the front, if it is there.
static void put_origin(struct writer *writer, struct bytes *text)
{
    static const struct bytes mark = {" - cid:", sizeof(" - cid:") - 1};
    const char *blank = memchr(text->ptr, ' ', text->len);
    struct bytes client = bytes_make(text->ptr, blank ? (size_t)(blank - text->ptr) : 0);
    struct bytes rest = bytes_skip(*text, client.len), id, name;
    if (client.len == 0 || !bytes_starts_with(rest, mark))
        return;
    rest = id = bytes_skip(rest, mark.len);
    while (rest.len > 0 && is_digit(rest.ptr[0]))
        rest = bytes_skip(rest, 1);
    id.len -= rest.len;
    if (id.len == 0 || !bytes_starts_with(rest, BYTES(" - ")))
        return;
    *text = bytes_skip(rest, 3);
    put_member(writer, "client", client);
    put(writer, BYTES(",\"cid\":"));
    put(writer, id);
    if (cut_name(text, &name))
        put_member(writer, "name", name);
}

// In it a quotation mark is behind a backslash.
static bool cut_name(struct bytes *text, struct bytes *ret_name)
{
    size_t at = 1;
    if (text->len == 0 || text->ptr[0] != '"')
        return false;
    while (at < text->len && text->ptr[at] != '"')
        at += text->ptr[at] == '\\' ? 2 : 1;
    if (at >= text->len || !bytes_starts_with(bytes_skip(*text, at + 1), BYTES(" - ")))
        return false;
    *ret_name = bytes_make(text->ptr + 1, at - 1);
    *text = bytes_skip(*text, at + sizeof("\" - ") - 1);
    return true;
}

static void put_member(struct writer *writer, const char *key, struct bytes value)
{
    put(writer, BYTES(",\""));
    put(writer, bytes_from_string(key));
    put(writer, BYTES("\":\""));
    size_t max = writer->max;
    writer->max = max - MESSAGE_ROOM;
    put_escaped(writer, value);
    writer->max = max;
    put(writer, BYTES("\""));
}

static void put_escaped(struct writer *writer, struct bytes text)
{
    char escape[JSON_TEXT_ESCAPE_SIZE];
    while (text.len > 0)
        put(writer, json_text_next(&text, escape));
}

// An escape whole or not at all, of plain text what fits, character by character.
static void put(struct writer *writer, struct bytes text)
{
    size_t room = writer->max - writer->len;
    if (text.len > room) {
        text.len = text.ptr[0] == '\\' ? 0 : room;
        while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80)
            text.len--;
        writer->max = writer->len + text.len; // nothing comes behind a gap
    }
    memcpy(writer->line + writer->len, text.ptr, text.len);
    writer->len += text.len;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
