// SPDX-License-Identifier: Apache-2.0
#include "client/error.h"

#include <stdarg.h>
#include <stdio.h>

const char *weir_strerror(int result)
{
    static const char *const texts[] = {
        "ok",
        "invalid argument, or not allowed in this callback",
        "out of memory",
        "the server cannot be reached",
        "the server does not accept these credentials",
        "nobody serves this cluster id",
        "no answer in time",
        "refused by the server",
        "too big",
        "too many publishes under way",
        "the server has given this client up",
        "closed",
        "not an answer",
        "there is no such server",
    };
    size_t number = result <= 0 ? (size_t) - (long)result : SIZE_MAX;
    return number < sizeof(texts) / sizeof(texts[0]) ? texts[number] : "unknown result";
}

const char *weir_version(void)
{
    return WEIR_VERSION;
}

int weir_error_set(struct weir_error *ret_error, int code, const char *format, ...)
{
    va_list arguments;
    if (!ret_error)
        return code;
    ret_error->code = code;
    va_start(arguments, format);
    vsnprintf(ret_error->text, sizeof(ret_error->text), format, arguments);
    va_end(arguments);
    return code;
}

const char *weir_error_words(natsStatus status)
{
    const char *words = nats_GetLastError(NULL);
    return words && words[0] ? weir_error_plain(words) : natsStatus_GetText(status);
}

const char *weir_error_plain(const char *words)
{
    // "(conn.c:733): SSL handshake error: …"
    const char *end = words[0] == '(' ? strstr(words, "): ") : NULL;
    const char *rest = end ? end + 3 : words;
    // With TLS 1.3 a server refuses a certificate only after our side of the handshake, and libnats does not read why.
    if (strcmp(rest, "Expected 'PONG', got ''") == 0)
        return "the server closed the connection before it answered; with TLS, it may want a certificate of ours, "
               "or not know who signed it (tls_cert_file)";
    return rest;
}

int weir_error_of(natsStatus status)
{
    switch (status) {
    case NATS_OK: return WEIR_OK;
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
    case NATS_SSL_ERROR: return WEIR_ERR_AUTHORIZATION;
    case NATS_TIMEOUT: return WEIR_ERR_TIMEOUT;
    case NATS_MAX_PAYLOAD: return WEIR_ERR_TOO_BIG;
    case NATS_NO_MEMORY: return WEIR_ERR_MEMORY;
    case NATS_CONNECTION_CLOSED:
    case NATS_INVALID_SUBSCRIPTION: return WEIR_ERR_CLOSED;
    case NATS_INVALID_ARG:
    case NATS_INVALID_SUBJECT:
    case NATS_INVALID_QUEUE_NAME: return WEIR_ERR_INVALID;
    case NATS_NO_RESPONDERS: return WEIR_ERR_NO_CLUSTER;
    default: return WEIR_ERR_UNREACHABLE;
    }
}

int weir_error_nats(struct weir_error *ret_error, natsStatus status, const char *what)
{
    return weir_error_set(ret_error, weir_error_of(status), "%s: %s", what, natsStatus_GetText(status));
}
