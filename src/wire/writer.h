// SPDX-License-Identifier: Apache-2.0
// Encodes protocol lines into the caller's memory, fast: one of these runs per delivered message.
//
// Nothing here checks room or syntax: every function has a companion or constant telling the bytes it may write, and
// returns the address behind what it wrote. Subjects, queue names and sids must be valid (no blanks).
#pragma once

#include "base/bytes.h"
#include "wire/error.h"

#define WRITER_NUMBER_LEN_MAX 20

// The line of a delivery: "MSG <subject> <sid> [<reply> ]<payload_len>\r\n", or with has_header "HMSG <subject> <sid> [<reply>
// ]<header_len> <header_len + payload_len>\r\n". At most writer_msg_len_max() bytes.
char *writer_msg(char *at, struct bytes subject, struct bytes sid, struct bytes reply, bool has_header,
                 size_t header_len, size_t payload_len);
static inline size_t writer_msg_len_max(size_t subject_len, size_t sid_len, size_t reply_len)
{
    return sizeof("HMSG ") - 1 + subject_len + 1 + sid_len + 1 + reply_len + 1 + 2 * (WRITER_NUMBER_LEN_MAX + 1) + 2;
}

// Decimal digits, at most WRITER_NUMBER_LEN_MAX bytes.
char *writer_number(char *at, uint64_t number);

// "-ERR '<text>[\"<detail>\"]'\r\n". The detail is added, cut short if need be, only to texts that take one. Writes at most
// WRITER_ERROR_LEN_MAX bytes.
#define WRITER_ERROR_LEN_MAX 512
char *writer_error(char *at, enum wire_error error, struct bytes detail);

#define WRITER_PING "PING\r\n"
#define WRITER_PONG "PONG\r\n"
#define WRITER_OK   "+OK\r\n"

// The client's side. Each writes at most WRITER_LINE_LEN_MAX(sum of the lengths of its arguments) bytes.
#define WRITER_LINE_LEN_MAX(arguments_len) ((arguments_len) + 3 * (WRITER_NUMBER_LEN_MAX + 1) + 16)
// "PUB <subject> [<reply> ]<payload_len>\r\n"; payload and CRLF follow.
char *writer_pub(char *at, struct bytes subject, struct bytes reply, size_t payload_len);
// "HPUB <subject> [<reply> ]<header_len> <header_len + payload_len>\r\n"; header, payload and CRLF follow.
char *writer_hpub(char *at, struct bytes subject, struct bytes reply, size_t header_len, size_t payload_len);
// "SUB <subject> [<queue> ]<sid>\r\n"
char *writer_sub(char *at, struct bytes subject, struct bytes queue, uint64_t sid);
// "UNSUB <sid>[ <max>]\r\n"; max 0: at once.
char *writer_unsub(char *at, uint64_t sid, uint64_t max);
