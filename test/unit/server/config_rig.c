// SPDX-License-Identifier: Apache-2.0
#include "config_rig.h"

#include <stdio.h>
#include <string.h>

struct config config;
char message[CONFIG_MESSAGE_SIZE];
const char *stan_text;
static const char *main_text;

static int read_file(void *owner, const char *path, struct buffer *content)
{
    const char *text = strcmp(path, "main") == 0 ? main_text : strcmp(path, "stan") == 0 ? stan_text : NULL;
    return text ? buffer_append(content, bytes_from_string(text)) : ERR_NOT_FOUND;
}

static const char *environment(void *owner, const char *name)
{
    return strcmp(name, "PORT") == 0 ? "4333" : strcmp(name, "PASS") == 0 ? "'hush hush'" : NULL;
}

static const struct conf_source source = {NULL, read_file, environment};

int read_config(enum options_persona persona, const char *arguments, const char *text)
{
    static char copy[512];
    char *list[16];
    int count = 0;
    snprintf(copy, sizeof(copy), "%s", arguments);
    for (char *at = copy; at && *at; count++) {
        list[count] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = '\0';
    }
    main_text = text;
    message[0] = '\0';
    return config_read(&config, persona, count, list, &source, message);
}

void accept_as(enum options_persona persona, const char *arguments, const char *text)
{
    if (read_config(persona, arguments, text))
        fail_msg("%s\n  says %s", text, message);
    assert_non_null(config.auth);
}

void accept(const char *text)
{
    accept_as(OPTIONS_NATS_SERVER, "-c main", text);
}

void refuse_as(enum options_persona persona, const char *arguments, const char *text, const char *wanted)
{
    if (!read_config(persona, arguments, text))
        fail_msg("accepted: %s", text);
    if (!strstr(message, wanted))
        fail_msg("%s\n  says %s\n  not  %s", text, message, wanted);
    assert_null(strstr(message, "hush"));
    assert_null(strchr(message, '\n'));
    config_deinit(&config);
}

void refuse(const char *text, const char *wanted)
{
    refuse_as(OPTIONS_NATS_SERVER, "-c main", text, wanted);
}
