// SPDX-License-Identifier: Apache-2.0
// Query parameters of a page, by type, with nats-server's leniency and its errors. A parameter that is absent or empty leaves the
// value as it is.
#pragma once

#include "monitor/page.h"

// Of a text parameter, with its NUL.
#define PARAMETER_TEXT_SIZE 1024

// Each returns false when the page has been filled with an error (400): then there is nothing more to do.
bool parameter_bool(struct page *page, const char *name, bool *value) MUST_USE;
bool parameter_int(struct page *page, const char *name, int64_t *value) MUST_USE;
bool parameter_uint(struct page *page, const char *name, uint64_t *value) MUST_USE;
bool parameter_text(struct page *page, const char *name, char value[PARAMETER_TEXT_SIZE]) MUST_USE;

// As nats-streaming-server reads numbers: 0 for what is absent or no number, too long or too large.
int64_t parameter_lenient_int(const struct page *page, const char *name);

// 400 and a line of text.
void parameter_refuse(struct page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));
