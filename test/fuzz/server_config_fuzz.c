// SPDX-License-Identifier: Apache-2.0
// A whole configuration: any text may be in the file, with any of the servers that this one stands for. It is read or refused in one
// line; what was read can be compared with itself, and then nothing has changed. The first byte chooses the server and the flags.
#include "base/must.h"
#include "server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_file(void *owner, const char *path, struct buffer *content)
{
    const struct bytes *text = owner;
    return path[0] == 'm' ? buffer_append(content, *text) : ERR_NOT_FOUND;
}

static const char *environment(void *owner, const char *name)
{
    return name[0] == 'E' ? "[ a, 'b' ]" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char flags[][5] = {"-c", "m", "-sc", "m", "-p", "4000"};
    char *const arguments[] = {flags[0], flags[1], flags[2], flags[3], flags[4], flags[5]};
    static struct config_changes changes; // 16 KB
    if (size == 0)
        return 0;
    enum options_persona persona = data[0] % 3;
    int count = persona == OPTIONS_NATS_SERVER || data[0] < 128 ? 2 : 6;
    struct bytes text = bytes_make(data + 1, size - 1);
    const struct conf_source source = {&text, read_file, environment};
    char message[CONFIG_MESSAGE_SIZE] = "";
    struct config config;
    int error = config_read(&config, persona, count, arguments, &source, message);
    must(error == 0 || error == ERR_INVALID);
    must((error == 0) == (message[0] == '\0') && !strchr(message, '\n'));
    must((error == 0) == (config.auth != NULL));
    for (size_t i = 0; i < config.warning_count; i++)
        must(config.warnings[i][0] != '\0' && !strchr(config.warnings[i], '\n'));
    if (error == 0) {
        must(config_compare(&config, &config, &changes, message) == 0);
        must(changes.count == 0 && !changes.auth && !changes.log);
    }
    config_deinit(&config);
    return 0;
}
