// SPDX-License-Identifier: Apache-2.0
// Encodes protocol lines into the caller's memory, fast: one of these runs per delivered message.
//
// Nothing here checks room or syntax: every function has a companion or constant telling the bytes it may write, and
// returns the address behind what it wrote. Subjects, queue names and sids must be valid (no blanks).
//
// A subscription to a literal subject keeps its delivery prefix ready: WRITER_PREFIX is "HMSG <subject> <sid> ", of which a
// message without headers uses all but the first byte:
//
//     char *end = writer_prefix(subscription->prefix, subject, sid);               // once
//     memcpy(at, prefix + 1, len - 1); at = writer_msg_end(at + len - 1, reply, payload_len);   // per message
#pragma once

#include "base/bytes.h"
#include "wire/error.h"

#define WRITER_NUMBER_LEN_MAX 20

static inline size_t writer_prefix_len(size_t subject_len, size_t sid_len)
{
    return sizeof("HMSG ") - 1 + subject_len + 1 + sid_len + 1;
}
// "HMSG <subject> <sid> ": exactly writer_prefix_len() bytes.
char *writer_prefix(char *at, struct bytes subject, struct bytes sid);

// What may follow the prefix at most: "[reply ]hlen tlen\r\n".
static inline size_t writer_msg_end_len_max(size_t reply_len)
{
    return reply_len + 1 + 2 * (WRITER_NUMBER_LEN_MAX + 1) + 2;
}
// "[<reply> ]<payload_len>\r\n"
char *writer_msg_end(char *at, struct bytes reply, size_t payload_len);
// "[<reply> ]<header_len> <header_len + payload_len>\r\n"
char *writer_hmsg_end(char *at, struct bytes reply, size_t header_len, size_t payload_len);

// The whole line of a delivery: MSG, or HMSG when has_header. At most writer_prefix_len() + writer_msg_end_len_max().
char *writer_msg(char *at, struct bytes subject, struct bytes sid, struct bytes reply, bool has_header,
                 size_t header_len, size_t payload_len);

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
