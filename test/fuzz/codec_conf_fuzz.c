// SPDX-License-Identifier: Apache-2.0
// The configuration language: any bytes may be read. What comes out is within the bounds and ends every string with a NUL; what is
// refused says where. The input is split at its first 0xff: the second part is what every include and every variable holds.
#include "base/must.h"
#include "codec/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    struct bytes text;
    struct bytes other;
    char variable[256]; // `other` up to its first NUL
};

static int read_file(void *owner, const char *path, struct buffer *content)
{
    const struct input *input = owner;
    return path[0] == 'n' ? ERR_NOT_FOUND : buffer_append(content, input->other);
}

static const char *environment(void *owner, const char *name)
{
    const struct input *input = owner;
    return name[0] == 'n' ? NULL : input->variable;
}

// Counts the values, as deep as they are, and looks at each; gives up behind `budget`.
static void check_value(const struct conf_value *value, size_t *budget)
{
    if (*budget == 0)
        return;
    --*budget;
    if (value->type != CONF_ARRAY && value->type != CONF_MAP) {
        must(value->text.ptr && value->text.ptr[value->text.len] == '\0' && value->place.line > 0);
        return;
    }
    size_t count = 0;
    for (const struct conf_member *member = value->first; member; member = member->next, count++) {
        must(value->type == CONF_ARRAY || conf_find(value, member->name) == member);
        check_value(&member->value, budget);
    }
    must(count == value->count && count <= value->weight && value->weight <= CONF_VALUES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.text = bytes_make(data, size)};
    const char *split = size ? memchr(data, 0xff, size) : NULL;
    if (split) {
        input.text.len = (size_t)(split - input.text.ptr);
        input.other = bytes_skip(bytes_make(data, size), input.text.len + 1);
        size_t len = input.other.len < sizeof(input.variable) ? input.other.len : sizeof(input.variable) - 1;
        memcpy(input.variable, input.other.ptr, len);
    }
    const struct conf_source source = {&input, read_file, environment};
    struct conf conf;
    struct conf_error wrong = {.place.line = 0};
    char message[CONF_MESSAGE_SIZE];
    int error = conf_read_text(&conf, &source, "f", input.text, &wrong);
    if (error) {
        must(error == ERR_INVALID && wrong.place.file != NULL && wrong.text[0] != '\0');
        conf_error_format(&wrong, message, sizeof(message));
        must(memchr(message, '\n', strlen(message)) == NULL);
    } else {
        size_t budget = 10000;
        check_value(&conf.root, &budget);
    }
    conf_deinit(&conf);
    return 0;
}
