// SPDX-License-Identifier: Apache-2.0
#include "cmd/encryption.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cmd/config_source.h"
#include "os/crypto.h"
#include "os/process.h"
#include "os/random.h"

enum {
    KEY_FILE_BYTES_MAX = 4096,
    KEY_BYTES_SHORT = 16, // below that it is a word rather than a key
};

static char *take_variable(void);
static int read_key_file(const char *path, const struct logger *logger, char **ret_key,
                         char message[ENCRYPTION_MESSAGE_SIZE]);
static void take_keys(struct encryption *encryption, uint32_t cipher, const struct logger *logger);
static struct bytes without_white_space(struct bytes text);
static void wipe(char *text);

static const uint32_t ciphers[] = {[OPTIONS_CIPHER_AES] = CRYPTO_AES_256_GCM,
                                   [OPTIONS_CIPHER_CHACHA] = CRYPTO_CHACHA20_POLY1305,
                                   [OPTIONS_CIPHER_NONE] = 0};

int encryption_load(struct encryption *encryption, const struct options *options, const struct logger *logger,
                    char ret_message[ENCRYPTION_MESSAGE_SIZE])
{
    *encryption = (struct encryption){.from = "the environment"};
    if (!options_encrypts(options))
        return 0;
    int error = 0;
    encryption->key = take_variable();
    if (!encryption->key && options->encryption_key_file) {
        encryption->from = "a file";
        error = read_key_file(options->encryption_key_file, logger, &encryption->key, ret_message);
    } else if (!encryption->key && options->encryption_key) {
        encryption->from = "the configuration or the command line";
        encryption->key = mem_copy_string(bytes_from_string(options->encryption_key));
    } else if (!encryption->key) {
        snprintf(ret_message, ENCRYPTION_MESSAGE_SIZE,
                 "-encrypt needs a key: in a file (-encryption_key_file) or in the variable " ENCRYPTION_VARIABLE);
        error = ERR_INVALID;
    }
    if (!error && options->encryption_old_key_file)
        error = read_key_file(options->encryption_old_key_file, logger, &encryption->old_key, ret_message);
    if (error) {
        encryption_deinit(encryption);
        return error;
    }
    if (options->encryption_key)
        logger_write(
            logger, LOG_WARN,
            "an encryption key on the command line or in the configuration is seen by others: put it in a file "
            "(-encryption_key_file) or into " ENCRYPTION_VARIABLE);
    take_keys(encryption, ciphers[options->encryption_cipher], logger);
    return 0;
}

int encryption_load_file(struct encryption *encryption, const char *path, uint32_t cipher, const struct logger *logger,
                         char ret_message[ENCRYPTION_MESSAGE_SIZE])
{
    *encryption = (struct encryption){.from = "a file"};
    int error = read_key_file(path, logger, &encryption->key, ret_message);
    if (!error)
        take_keys(encryption, cipher, logger);
    return error;
}

int encryption_load_data(struct encryption *encryption, const char *path, uint32_t cipher, const struct logger *logger,
                         char ret_message[ENCRYPTION_MESSAGE_SIZE])
{
    *encryption = (struct encryption){0};
    if (!path)
        return 0;
    process_empty_core();
    return encryption_load_file(encryption, path, ciphers[cipher], logger, ret_message);
}

int encryption_check(const struct options *options, char ret_message[ENCRYPTION_MESSAGE_SIZE])
{
    struct encryption encryption;
    int error = encryption_load(&encryption, options, NULL, ret_message);
    encryption_deinit(&encryption);
    return error;
}

void encryption_deinit(struct encryption *encryption)
{
    wipe(encryption->key);
    wipe(encryption->old_key);
    *encryption = (struct encryption){0};
}

// Children do not get it, and /proc does not show it any more.
static char *take_variable(void)
{
    char *variable = getenv(ENCRYPTION_VARIABLE);
    if (!variable || !*variable)
        return NULL;
    char *key = mem_copy_string(bytes_from_string(variable));
    explicit_bzero(variable, strlen(variable));
    unsetenv(ENCRYPTION_VARIABLE);
    return key;
}

// The whole file but for white space at both ends: editors and `echo` leave some.
static int read_key_file(const char *path, const struct logger *logger, char **ret_key,
                         char message[ENCRYPTION_MESSAGE_SIZE])
{
    struct buffer content;
    buffer_init(&content, KEY_FILE_BYTES_MAX);
    int error = config_source_read_file(path, &content);
    struct bytes key = without_white_space(buffer_bytes(&content));
    const char *wrong = error == ERR_UNSUPPORTED ? "not a file" : error ? error_text(error) : NULL;
    if (!error && key.len == 0)
        wrong = "there is nothing in it";
    else if (!error && memchr(key.ptr, '\0', key.len))
        wrong = "there is a zero byte in it; write the key as text, in hexadecimal or base64";
    if (wrong)
        snprintf(message, ENCRYPTION_MESSAGE_SIZE, "encryption key file %s: %s", path, wrong);
    else
        *ret_key = mem_copy_string(key);
    if (content.len)
        explicit_bzero(content.ptr, content.len);
    buffer_deinit(&content);
    struct stat status;
    if (!wrong && stat(path, &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)))
        logger_write(logger, LOG_WARN, "the encryption key file %s can be read by others than its owner: chmod 600",
                     path);
    return wrong ? ERR_INVALID : 0;
}

static void take_keys(struct encryption *encryption, uint32_t cipher, const struct logger *logger)
{
    if (strlen(encryption->key) < KEY_BYTES_SHORT)
        logger_write(logger, LOG_WARN,
                     "the encryption key is short: who has the files can guess it; `openssl rand -hex 32` makes one");
    crypto_machine.guard(encryption->key, strlen(encryption->key));
    if (encryption->old_key)
        crypto_machine.guard(encryption->old_key, strlen(encryption->old_key));
    encryption->store = (struct store_encryption){
        .cipher = cipher,
        .key = bytes_from_string(encryption->key),
        .old_key = encryption->old_key ? bytes_from_string(encryption->old_key) : BYTES(""),
        .crypto = &crypto_machine,
        .random = &random_machine,
    };
}

// At both ends, line feeds included.
static struct bytes without_white_space(struct bytes text)
{
    static const char white[] = " \t\r\n\v\f";
    while (text.len > 0 && memchr(white, text.ptr[0], sizeof(white) - 1))
        text = bytes_skip(text, 1);
    while (text.len > 0 && memchr(white, text.ptr[text.len - 1], sizeof(white) - 1))
        text.len--;
    return text;
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    mem_free(text);
}
