// SPDX-License-Identifier: Apache-2.0
// What operators read. Only the layer that can act on an error logs it, once.
// tidy: prefix logger
#pragma once

#include <stdarg.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct logger {
    void *owner;
    enum log_level level; // less than this is not written
    void (*write)(void *owner, enum log_level level, const char *format, va_list arguments);
};

// One line without its newline. Never secrets.
__attribute__((format(printf, 3, 4))) static inline void logger_write(const struct logger *logger, enum log_level level,
                                                                      const char *format, ...)
{
    if (!logger || level < logger->level)
        return;
    va_list arguments;
    va_start(arguments, format);
    logger->write(logger->owner, level, format, arguments);
    va_end(arguments);
}
