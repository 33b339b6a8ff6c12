// SPDX-License-Identifier: Apache-2.0
// The one table of expected errors. A function that can fail returns 0 or one of these, negative; callers must look.
// What cannot happen is must() (base/must.h); out of memory aborts in the allocator (base/memory.h).
#pragma once

#define ERROR_TABLE(X)                                                                                                 \
    X(ERR_INVALID, 1, "invalid argument")                                                                              \
    X(ERR_TOO_BIG, 2, "too big")                                                                                       \
    X(ERR_NOT_FOUND, 3, "not found")                                                                                   \
    X(ERR_EXISTS, 4, "already exists")                                                                                 \
    X(ERR_AGAIN, 5, "not now, try again")                                                                              \
    X(ERR_LIMIT, 6, "a configured limit is reached")                                                                   \
    X(ERR_IO, 7, "input/output error")                                                                                 \
    X(ERR_NO_SPACE, 8, "no space left on device")                                                                      \
    X(ERR_CORRUPT, 9, "damaged data")                                                                                  \
    X(ERR_UNSUPPORTED, 10, "not supported")                                                                            \
    X(ERR_CLOSED, 11, "closed")                                                                                        \
    X(ERR_IN_USE, 12, "in use by another process")                                                                     \
    X(ERR_NOT_OURS, 13, "not a Weir data directory")                                                                   \
    X(ERR_NEWER, 14, "written by a newer version")                                                                     \
    X(ERR_FAILED, 15, "the log has failed and needs a restart")                                                        \
    X(ERR_TIMEOUT, 16, "timed out")                                                                                    \
    X(ERR_PERMISSION, 17, "permission denied")                                                                         \
    X(ERR_DUPLICATE, 18, "duplicate")                                                                                  \
    X(ERR_OTHER_CLUSTER, 19, "belongs to another cluster id")                                                          \
    X(ERR_PROTOCOL, 20, "protocol error")                                                                              \
    X(ERR_IDS_FULL, 21, "too many message ids within the duplicate window")                                            \
    X(ERR_FULL, 22, "full of messages that are not finished")                                                          \
    X(ERR_KEY, 23, "encrypted, and the key is missing or another one")

enum error {
#define X(name, number, text) name = -number,
    ERROR_TABLE(X)
#undef X
};

// Static text of an error (or "ok" for 0); never NULL.
const char *error_text(int error);
// The identifier, "ERR_IO"; never NULL.
const char *error_name(int error);

#define MUST_USE __attribute__((warn_unused_result))
