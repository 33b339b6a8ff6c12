// SPDX-License-Identifier: Apache-2.0
// What operators read. Only the layer that can act on an error logs it, once.
//
// Any thread may write, and an owner may change `level` and `trace` meanwhile (a reload): both are read and set atomically.
// tidy: prefix logger
#pragma once

#include <stdarg.h>
#include <stdbool.h>

// TRACE, the protocol word by word, is asked for on its own and not by a lower level, as in nats-server (CO-X04: -D and -V).
enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL };

struct logger {
    void *owner;
    enum log_level level; // less than this is not written; LOG_DEBUG or more
    void (*write)(void *owner, enum log_level level, const char *format, va_list arguments);
    bool trace; // LOG_TRACE is written
};

static inline bool logger_is_enabled(const struct logger *logger, enum log_level level)
{
    if (!logger)
        return false;
    return level == LOG_TRACE ? __atomic_load_n(&logger->trace, __ATOMIC_RELAXED)
                              : level >= __atomic_load_n(&logger->level, __ATOMIC_RELAXED);
}

static inline void logger_set(struct logger *logger, enum log_level level, bool trace)
{
    __atomic_store_n(&logger->level, level, __ATOMIC_RELAXED);
    __atomic_store_n(&logger->trace, trace, __ATOMIC_RELAXED);
}

// One line without its newline. Never secrets.
__attribute__((format(printf, 3, 4))) static inline void logger_write(const struct logger *logger, enum log_level level,
                                                                      const char *format, ...)
{
    if (!logger_is_enabled(logger, level))
        return;
    va_list arguments;
    va_start(arguments, format);
    logger->write(logger->owner, level, format, arguments);
    va_end(arguments);
}
