// SPDX-License-Identifier: Apache-2.0
#include "aim.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096, HEADER = 64, SLICE = 32, IMAGES = 0x8001, ITEMS = 0x8002, FRAME = 16 };

enum moment { BEFORE, AFTER, SYNCED };

// Several threads write: the counter and `armed` are atomic.
static const char *aim_what, *aim_where; // "record" and "8015"; NULL: nothing is aimed at
static char aim_text[64];
static uint32_t aim_kind;
static enum moment aim_when;
static int aim_left; // moments that pass
static int armed;    // the moment was; the next sync is the cut

static void cut(void);
static void match(bool done);
static bool holds(const char *path, const char *bytes, size_t len, off_t offset);
static bool log_holds(const char *bytes, size_t len, off_t offset);
static bool entries_hold(const char *bytes, size_t len);
static bool records_hold(const char *bytes, size_t len);
static bool checkpoint_holds(const char *bytes, size_t len);
static uint32_t number(const char *at, size_t bytes);

void aim_start(void)
{
    const char *aim = getenv("POWERCUT_AIM"), *skip = getenv("POWERCUT_SKIP"), *when = getenv("POWERCUT_WHEN");
    const char *colon = aim ? strchr(aim, ':') : NULL;
    if (!colon || (size_t)(colon - aim) >= sizeof(aim_text))
        return;
    memcpy(aim_text, aim, (size_t)(colon - aim));
    aim_where = colon + 1;
    aim_kind = (uint32_t)strtoul(aim_where, NULL, 16);
    aim_left = skip ? (int)strtol(skip, NULL, 10) : 0;
    aim_when = when && strcmp(when, "before") == 0 ? BEFORE : when && strcmp(when, "synced") == 0 ? SYNCED : AFTER;
    aim_what = aim_text;
}

void aim_write(bool done, const char *path, const struct iovec *parts, int count, off_t offset)
{
    if (!aim_what || !path)
        return;
    bool first = strcmp(aim_what, "header") == 0;
    if (first || strcmp(aim_what, "write") == 0) {
        if (strstr(path, aim_where) && (!first || offset == 0))
            match(done);
        return;
    }
    size_t len = 0, at = 0;
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    char *bytes = malloc(len + 1); // tidy: allow malloc: nothing of ours is linked into this library
    for (int i = 0; bytes && i < count; at += parts[i++].iov_len)
        memcpy(bytes + at, parts[i].iov_base, parts[i].iov_len);
    if (bytes && holds(path, bytes, len, offset))
        match(done);
    free(bytes); // tidy: allow free: as above
}

void aim_name(bool done, const char *what, const char *path)
{
    if (aim_what && strcmp(aim_what, what) == 0 && strstr(path, aim_where))
        match(done);
}

void aim_synced(void)
{
    if (__atomic_load_n(&armed, __ATOMIC_SEQ_CST))
        cut();
}

static void cut(void)
{
    const char *hit = getenv("POWERCUT_HIT");
    int fd = hit ? open(hit, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0)
        close(fd);
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

// Each moment is told twice, before and after: it is counted at the one that was asked for.
static void match(bool done)
{
    if (done != (aim_when != BEFORE) || __atomic_fetch_sub(&aim_left, 1, __ATOMIC_SEQ_CST) > 0)
        return;
    if (aim_when == SYNCED)
        __atomic_store_n(&armed, 1, __ATOMIC_SEQ_CST);
    else
        cut();
}

static bool holds(const char *path, const char *bytes, size_t len, off_t offset)
{
    bool log = strncmp(path, "wal/", 4) == 0 && !strstr(path, ".idx");
    bool checkpoint = strncmp(path, "checkpoint/", 11) == 0;
    if (strcmp(aim_what, "record") == 0 && log)
        return log_holds(bytes, len, offset);
    return checkpoint && offset == 0 && checkpoint_holds(bytes, len);
}

// Batches at the beginnings of blocks, or (a recovery's copies) an entry alone.
static bool log_holds(const char *bytes, size_t len, off_t offset)
{
    if (len >= HEADER && memcmp(bytes, "WEnt", 4) == 0)
        return entries_hold(bytes, len);
    for (size_t at = offset == 0 ? BLOCK : 0; at + HEADER <= len;) {
        size_t batch = number(bytes + at + 4, 4);
        if (memcmp(bytes + at, "WBat", 4) != 0 || batch < HEADER || batch > len - at)
            return false;
        if (entries_hold(bytes + at + HEADER, batch - HEADER))
            return true;
        at += (batch + BLOCK - 1) / BLOCK * BLOCK;
    }
    return false;
}

static bool entries_hold(const char *bytes, size_t len)
{
    for (size_t at = 0; at + HEADER <= len && memcmp(bytes + at, "WEnt", 4) == 0;) {
        size_t records = number(bytes + at + 4, 4);
        if (records > len - at - HEADER)
            return false;
        if (records_hold(bytes + at + HEADER, records))
            return true;
        at += HEADER + records;
    }
    return false;
}

static bool records_hold(const char *bytes, size_t len)
{
    for (size_t at = 0; at + FRAME <= len;) {
        size_t size = number(bytes + at + 4, 4);
        if (number(bytes + at + 8, 2) == aim_kind)
            return true;
        if (size < FRAME)
            return false;
        at += (size + 7) / 8 * 8;
    }
    return false;
}

static bool checkpoint_holds(const char *bytes, size_t len)
{
    bool items = strcmp(aim_what, "item") == 0;
    for (size_t at = BLOCK; at + SLICE <= len;) {
        uint32_t type = number(bytes + at, 4);
        size_t content = number(bytes + at + 8, 4), end = at + SLICE + content;
        if (end > len)
            return false;
        if (!items && type == IMAGES && records_hold(bytes + at + SLICE, content))
            return true;
        for (size_t i = at + SLICE; items && type == ITEMS && i + FRAME <= end; i += number(bytes + i + 4, 4)) {
            if (number(bytes + i, 4) == aim_kind)
                return true;
            if (number(bytes + i + 4, 4) < FRAME)
                return false;
        }
        at = end;
    }
    return false;
}

static uint32_t number(const char *at, size_t bytes)
{
    uint32_t value = 0;
    for (size_t i = bytes; i > 0; i--)
        value = value << 8 | (uint8_t)at[i - 1];
    return value;
}
