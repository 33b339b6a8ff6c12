// SPDX-License-Identifier: Apache-2.0
// The directory that an import or a restore fills. As long as it is not whole it holds a file IMPORTING: a server does not start on it, and
// the next one throws away what is there and begins anew. So an import that was cut short leaves nothing that could be taken for data.
#pragma once

#include <stdbool.h>

#include "os/directory.h"

#define INTAKE_TARGET_MARK "IMPORTING"

// Creates, locks, marks. An existing directory must be empty, but for what an unfinished import left, which is removed. ERR_EXISTS: it
// is not, *ret_text says what is there (static or in `directory`'s memory); ERR_IN_USE, errors of directory_open().
int intake_target_open(struct directory *directory, const char *path, const char **ret_text) MUST_USE;
// Everything is there, and durable: the mark is taken off, durably. ERR_IO.
int intake_target_finish(const struct directory *directory) MUST_USE;

// For those who serve or look at a directory: has an import not been finished in it?
bool intake_target_is_unfinished(const struct directory *directory);
// Whether it has anything in it that an import would refuse. False: it is empty, is not there, or holds an unfinished import.
bool intake_target_is_taken(const char *path);
