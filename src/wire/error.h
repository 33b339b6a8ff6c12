// SPDX-License-Identifier: Apache-2.0
// What a server tells a client in `-ERR '…'`, in the words of nats-server: clients compare lower-cased prefixes (CO-P14).
// tidy: prefix wire_error
#pragma once

#include "base/bytes.h"

enum wire_error_fate {
    WIRE_ERROR_KEEP,  // the connection goes on
    WIRE_ERROR_CLOSE, // the server closes the connection after sending it
};

// id, fate, text between the quotes. Texts ending in a space take a detail: `Permissions Violation for Publish to "foo"`.
#define WIRE_ERROR_TABLE(X)                                                                                            \
    X(WIRE_UNKNOWN_OPERATION, WIRE_ERROR_CLOSE, "Unknown Protocol Operation")                                          \
    X(WIRE_PARSER_ERROR, WIRE_ERROR_CLOSE, "Parser Error")                                                             \
    X(WIRE_MAX_CONTROL_LINE, WIRE_ERROR_CLOSE, "maximum control line exceeded")                                        \
    X(WIRE_MAX_PAYLOAD, WIRE_ERROR_CLOSE, "Maximum Payload Violation")                                                 \
    X(WIRE_INVALID_CLIENT_PROTOCOL, WIRE_ERROR_CLOSE, "invalid client protocol")                                       \
    X(WIRE_HEADERS_NOT_SUPPORTED, WIRE_ERROR_CLOSE, "message headers not supported")                                   \
    X(WIRE_BAD_HEADER, WIRE_ERROR_CLOSE, "bad message header detected")                                                \
    X(WIRE_NO_RESPONDERS_NEEDS_HEADERS, WIRE_ERROR_CLOSE, "no responders requires headers support")                    \
    X(WIRE_AUTHORIZATION_VIOLATION, WIRE_ERROR_CLOSE, "Authorization Violation")                                       \
    X(WIRE_AUTHENTICATION_TIMEOUT, WIRE_ERROR_CLOSE, "Authentication Timeout")                                         \
    X(WIRE_AUTHENTICATION_EXPIRED, WIRE_ERROR_CLOSE, "User Authentication Expired")                                    \
    X(WIRE_SLOW_CONSUMER, WIRE_ERROR_CLOSE, "Slow Consumer")                                                           \
    X(WIRE_STALE_CONNECTION, WIRE_ERROR_CLOSE, "Stale Connection")                                                     \
    X(WIRE_MAX_CONNECTIONS, WIRE_ERROR_CLOSE, "maximum connections exceeded")                                          \
    X(WIRE_THROTTLED, WIRE_ERROR_CLOSE, "Connection throttling is active. Please try again later.")                    \
    X(WIRE_TLS_REQUIRED, WIRE_ERROR_CLOSE, "Secure Connection - TLS Required")                                         \
    X(WIRE_MAX_ACCOUNT_CONNECTIONS, WIRE_ERROR_CLOSE, "maximum account active connections exceeded")                   \
    X(WIRE_SERVER_SHUTDOWN, WIRE_ERROR_CLOSE, "Server Shutdown")                                                       \
    X(WIRE_MAX_SUBSCRIPTIONS, WIRE_ERROR_KEEP, "maximum subscriptions exceeded")                                       \
    X(WIRE_MAX_SUBJECT_TOKENS, WIRE_ERROR_KEEP, "Permissions Violation: subject has exceeded number of tokens limit")  \
    X(WIRE_INVALID_SUBJECT, WIRE_ERROR_KEEP, "Invalid Subject")                                                        \
    X(WIRE_INVALID_PUBLISH_SUBJECT, WIRE_ERROR_KEEP, "Invalid Publish Subject")                                        \
    X(WIRE_PUBLISH_PERMISSION, WIRE_ERROR_KEEP, "Permissions Violation for Publish to ")                               \
    X(WIRE_REPLY_PERMISSION, WIRE_ERROR_KEEP, "Permissions Violation for Publish with Reply of ")                      \
    X(WIRE_SUBSCRIBE_PERMISSION, WIRE_ERROR_KEEP, "Permissions Violation for Subscription to ")

enum wire_error {
    WIRE_OK,
#define X(id, fate, text) id,
    WIRE_ERROR_TABLE(X)
#undef X
        WIRE_ERROR_COUNT,
};

// The text between the quotes; never NULL.
const char *wire_error_text(enum wire_error error);
enum wire_error_fate wire_error_fate(enum wire_error error);
