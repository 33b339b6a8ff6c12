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
static void make_digest(const struct conf_value *root, char digest[CONFIG_DIGEST_SIZE]);
static int read_all(int fd, struct buffer *content);
static const char *find_variable(void *owner, const char *name);

int config_source_read(struct config *config, enum options_persona persona, int count, char *const *arguments,
                       char ret_message[CONFIG_MESSAGE_SIZE])
{
    static const struct conf_source source = {NULL, read_file, find_variable};
    int error = config_read(config, persona, count, arguments, &source, ret_message);
    if (error)
        return error;
    if (config->options.config_file || config->options.streaming_config_file) {
        make_digest(&config->conf.root, config->digest);
        config->options.config_digest = config->digest;
    }
    config_forget_files(config);
    return 0;
}

// O_NONBLOCK: a fifo without a writer is refused below, not waited for.
int config_source_read_file(const char *path, struct buffer *content)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : errno == EACCES ? ERR_PERMISSION : ERR_IO;
    struct stat status;
    int error = ERR_IO;
    if (fstat(fd, &status) == 0)
        error = S_ISDIR(status.st_mode) || S_ISFIFO(status.st_mode) ? ERR_UNSUPPORTED : read_all(fd, content);
    close(fd);
    return error;
}

static int read_file(void *owner, const char *path, struct buffer *content)
{
    return config_source_read_file(path, content);
}

static void make_digest(const struct conf_value *root, char digest[CONFIG_DIGEST_SIZE])
{
    uint8_t bytes[CRYPTO_SHA256_LEN];
    struct buffer text;
    buffer_init(&text, SIZE_MAX / 2); // as large as the configuration, which is bounded
    must(conf_json_write(root, &text) == 0);
    crypto_machine.sha256(buffer_bytes(&text), bytes);
    explicit_bzero(text.ptr, text.len);
    buffer_deinit(&text);
    memcpy(digest, "sha256:", 7);
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(digest + 7 + 2 * i, 3, "%02x", bytes[i]);
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
