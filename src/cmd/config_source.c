// SPDX-License-Identifier: Apache-2.0
#include "cmd/config_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"
#include "codec/conf_json.h"
#include "os/crypto.h"

#define READ_BYTES 65536

static int read_file(void *owner, const char *path, struct buffer *content);
static int read_all(int fd, struct buffer *content);
static const char *find_variable(void *owner, const char *name);

const struct conf_source *config_source_machine(void)
{
    static const struct conf_source source = {NULL, read_file, find_variable};
    return &source;
}

void config_source_digest(const struct config *config, char ret_digest[CONFIG_SOURCE_DIGEST_SIZE])
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    struct buffer text;
    buffer_init(&text, SIZE_MAX / 2); // as large as the configuration, which is bounded
    must(conf_json_write(&config->conf.root, &text) == 0);
    crypto_machine.sha256(buffer_bytes(&text), digest);
    explicit_bzero(text.ptr, text.len);
    buffer_deinit(&text);
    memcpy(ret_digest, "sha256:", 7);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(ret_digest + 7 + 2 * i, 3, "%02x", digest[i]);
}

// O_NONBLOCK: a fifo without a writer is refused below, not waited for.
static int read_file(void *owner, const char *path, struct buffer *content)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : errno == EACCES ? ERR_PERMISSION : ERR_IO;
    struct stat status;
    int error = ERR_IO;
    if (fstat(fd, &status) == 0 && !S_ISDIR(status.st_mode) && !S_ISFIFO(status.st_mode))
        error = read_all(fd, content);
    close(fd);
    return error;
}

static int read_all(int fd, struct buffer *content)
{
    for (;;) {
        char *place = buffer_reserve(content, READ_BYTES);
        size_t room = place ? READ_BYTES : content->max - content->len;
        place = place ? place : buffer_reserve(content, room);
        char one_more;
        ssize_t got = read(fd, room ? place : &one_more, room ? room : 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ERR_IO;
        if (got == 0)
            return 0;
        if (room == 0)
            return ERR_TOO_BIG;
        buffer_commit(content, (size_t)got);
    }
}

static const char *find_variable(void *owner, const char *name)
{
    return getenv(name);
}
