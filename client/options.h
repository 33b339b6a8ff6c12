// SPDX-License-Identifier: Apache-2.0
// The caller's options as the library keeps them: of the size that the library knows, with defaults filled in, texts copied.
#pragma once

#include "client/weir.h"

// Copies with all texts; *ret is owned and ends with weir_options_client_deinit(). A client id is made up if there is none. `options` may be NULL.
// WEIR_ERR_INVALID (not initialized, a negative time, …), _TOO_BIG, _MEMORY.
int weir_options_client_copy(const struct weir_client_options *options, struct weir_client_options *ret,
                             struct weir_error *ret_error) WEIR_MUST_USE;
void weir_options_client_deinit(struct weir_client_options *options);

// As weir_options_client_copy(), and the channel is checked as a publish's is; that stays the caller's.
int weir_options_sub_copy(const char *channel, const struct weir_sub_options *options, struct weir_sub_options *ret,
                          struct weir_error *ret_error) WEIR_MUST_USE;
void weir_options_sub_deinit(struct weir_sub_options *options);

// A list of URLs with commas between them; the first is told as the number-th. WEIR_ERR_INVALID: one is empty, has a scheme other than nats or
// tls, or a port that is none.
int weir_options_check_servers(const char *urls, size_t number, struct weir_error *ret_error) WEIR_MUST_USE;

// What a publish is called with, checked; the texts stay the caller's.
int weir_options_read_publish(const char *channel, const void *data, size_t data_bytes,
                              const struct weir_publish_options *options, struct weir_publish_options *ret,
                              struct weir_error *ret_error) WEIR_MUST_USE;

// `value_ms` where the option is 0. WEIR_ERR_INVALID: negative, or more than a year, which deadlines can be reckoned with.
int weir_options_default_time(int64_t *time_ms, int64_t value_ms, const char *name,
                              struct weir_error *ret_error) WEIR_MUST_USE;

// Letters and digits by chance, sizeof - 1 of them. WEIR_ERR_MEMORY: the system has no random numbers.
int weir_options_letters(char *ret_text, size_t size) WEIR_MUST_USE;

// A text of 22 letters and digits that nobody has had. WEIR_ERR_MEMORY.
enum { WEIR_UNIQUE_BYTES = 23 };
int weir_options_unique(char ret_text[WEIR_UNIQUE_BYTES]) WEIR_MUST_USE;
