// SPDX-License-Identifier: Apache-2.0
// Reading a configuration: the tree, files and variables. An error unwinds everything; conf_deinit() frees what was built.
#include "codec/conf_internal.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/must.h"

#define CONF_CHUNK_BYTES 16384
// From this many members on a map gets an index.
#define CONF_INDEX_FROM 12

static int read_file(struct conf_reader *reader, const char *path, struct conf_value *map);
static void init(struct conf *conf);
static int read_environment(struct conf_reader *reader, struct bytes name, struct conf_place place,
                            struct conf_value *ret_value);
static int fail_variable(struct conf_reader *reader, struct conf_place place, struct bytes name, const char *what);
static int join_path(struct conf_reader *reader, struct bytes path, struct conf_place place, char *ret_path);
static int append(struct conf_reader *reader, struct conf_value *container, struct conf_place place,
                  const struct conf_value *value, struct conf_member **ret_member);
static int add_index(struct conf_reader *reader, struct conf_value *map, struct conf_member *member);
static size_t weight_of(const struct conf_value *value);
static void make_printable(char *text);
static const char *unread_text(int error);

int conf_read_file(struct conf *conf, const struct conf_source *source, const char *path, struct conf_error *ret_error)
{
    struct conf_reader reader = {.conf = conf, .source = source, .error = ret_error};
    init(conf);
    ret_error->place = (struct conf_place){.file = path};
    int error = read_file(&reader, path, &conf->root);
    if (error && error != ERR_INVALID)
        snprintf(ret_error->text, sizeof(ret_error->text), "cannot read the file: %s", unread_text(error));
    return error;
}

int conf_read_text(struct conf *conf, const struct conf_source *source, const char *name, struct bytes text,
                   struct conf_error *ret_error)
{
    struct conf_reader reader = {.conf = conf, .source = source, .error = ret_error, .files = 1, .includes = 1};
    init(conf);
    struct bytes kept;
    int error = conf_copy(&reader, (struct conf_place){.file = name}, bytes_from_string(name), &kept);
    return error ? error : conf_parser_read(&reader, kept.ptr, text, &conf->root);
}

void conf_deinit(struct conf *conf)
{
    for (struct conf_index *index = conf->indexes; index; index = index->next)
        map_deinit(&index->map);
    conf->indexes = NULL;
    arena_deinit(&conf->arena);
    conf->root = (struct conf_value){.type = CONF_MAP};
}

struct conf_member *conf_find(const struct conf_value *map, struct bytes name)
{
    must(map->type == CONF_MAP);
    if (map->names)
        return map_find(map->names, name);
    struct conf_member *member = map->first;
    while (member && !bytes_equal(member->name, name))
        member = member->next;
    return member;
}

const char *conf_type_name(enum conf_type type)
{
    static const char *const names[] = {"a string", "true or false", "an integer", "a number with a fraction",
                                        "a time",   "an array",      "a map"};
    must((size_t)type < sizeof(names) / sizeof(names[0]));
    return names[type];
}

void conf_error_format(const struct conf_error *error, char *ret_text, size_t size)
{
    if (error->place.line)
        snprintf(ret_text, size, "%s:%u:%u: %s", error->place.file, error->place.line, error->place.column,
                 error->text);
    else
        snprintf(ret_text, size, "%s: %s", error->place.file, error->text);
    make_printable(ret_text);
}

int conf_fail(struct conf_reader *reader, struct conf_place place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reader->error->text, sizeof(reader->error->text), format, arguments);
    va_end(arguments);
    make_printable(reader->error->text);
    reader->error->place = place;
    return ERR_INVALID;
}

int conf_copy(struct conf_reader *reader, struct conf_place place, struct bytes text, struct bytes *ret_copy)
{
    char *copy = arena_alloc(&reader->conf->arena, text.len + 1);
    if (!copy)
        return conf_fail(reader, place, "the configuration takes more than %d MB", CONF_BYTES_MAX / (1024 * 1024));
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *ret_copy = bytes_make(copy, text.len);
    return 0;
}

int conf_count(struct conf_reader *reader, struct conf_place place, size_t count)
{
    reader->values += count;
    if (reader->values <= CONF_VALUES_MAX)
        return 0;
    return conf_fail(reader, place, "more than %d values, those of used variables counted each time", CONF_VALUES_MAX);
}

int conf_put(struct conf_reader *reader, struct conf_value *map, struct bytes name, struct conf_place place,
             const struct conf_value *value)
{
    struct conf_member *member = conf_find(map, name);
    if (member) {
        map->weight += weight_of(value); // the old one's stays in it: it is a bound
        member->place = place;
        member->value = *value;
        return 0;
    }
    int error = append(reader, map, place, value, &member);
    if (error)
        return error;
    member->name = name;
    return add_index(reader, map, member);
}

int conf_push(struct conf_reader *reader, struct conf_value *array, const struct conf_value *value)
{
    struct conf_member *member;
    return append(reader, array, value->place, value, &member);
}

int conf_look_up(struct conf_reader *reader, const struct conf_scope *scope, struct bytes name, struct conf_place place,
                 struct conf_value *ret_value)
{
    for (; scope; scope = scope->outer) {
        struct conf_member *member = conf_find(scope->map, name);
        if (member) {
            member->used = true;
            *ret_value = member->value;
            return conf_count(reader, place, weight_of(ret_value));
        }
    }
    return read_environment(reader, name, place, ret_value);
}

int conf_include(struct conf_reader *reader, struct conf_value *map, struct bytes path, struct conf_place place)
{
    char *joined = arena_alloc(&reader->conf->arena, CONF_PATH_MAX);
    if (!joined || reader->includes >= CONF_INCLUDE_MAX)
        return conf_fail(reader, place, "more than %d files within each other; does a file include itself?",
                         CONF_INCLUDE_MAX);
    int error = join_path(reader, path, place, joined);
    if (error)
        return error;
    struct conf_value members = {.type = CONF_MAP};
    error = read_file(reader, joined, &members);
    // nats-server takes every name as relative; what is not there is then what it says.
    if (error == ERR_NOT_FOUND && path.len < CONF_PATH_MAX && path.ptr[0] == '/') {
        memcpy(joined, path.ptr, path.len);
        joined[path.len] = '\0';
        error = read_file(reader, joined, &members);
    }
    if (error && error != ERR_INVALID)
        return conf_fail(reader, place, "cannot include %s: %s", joined, unread_text(error));
    for (struct conf_member *member = members.first; member && !error; member = member->next) {
        error = conf_put(reader, map, member->name, member->place, &member->value);
        if (!error && member->used)
            conf_find(map, member->name)->used = true;
    }
    return error;
}

// ERR_INVALID: the error is set; others: the file cannot be read, and nothing is set.
static int read_file(struct conf_reader *reader, const char *path, struct conf_value *map)
{
    if (++reader->files > CONF_FILES_MAX)
        return conf_fail(reader, (struct conf_place){.file = path}, "more than %d files", CONF_FILES_MAX);
    struct buffer content;
    buffer_init(&content, CONF_FILE_BYTES_MAX);
    struct bytes kept;
    int error = conf_copy(reader, (struct conf_place){.file = path}, bytes_from_string(path), &kept);
    bool taken = !error;
    if (taken)
        error = reader->source->read(reader->source->owner, path, &content);
    if (taken && error == ERR_INVALID)
        error = ERR_IO; // ERR_INVALID says that the error is set
    if (!error) {
        reader->includes++;
        error = conf_parser_read(reader, kept.ptr, buffer_bytes(&content), map);
        reader->includes--;
    }
    buffer_deinit(&content);
    return error;
}

static void init(struct conf *conf)
{
    *conf = (struct conf){.root = {.type = CONF_MAP}};
    arena_init(&conf->arena, CONF_CHUNK_BYTES, CONF_BYTES_MAX);
}

static int read_environment(struct conf_reader *reader, struct bytes name, struct conf_place place,
                            struct conf_value *ret_value)
{
    const char *found = reader->source->environment(reader->source->owner, name.ptr);
    if (!found)
        return fail_variable(reader, place, name, "is neither defined above nor in the environment");
    if (reader->variables >= CONF_VARIABLE_MAX)
        return fail_variable(reader, place, name, "leads back to itself, or through too many others");
    struct bytes text, label;
    int error = conf_copy(reader, place, bytes_from_string(found), &text);
    if (!error)
        error = conf_copy(reader, place, bytes_make(name.ptr - 1, name.len + 1), &label);
    if (error)
        return error;
    reader->variables++;
    error = conf_parser_read_value(reader, label.ptr, text, ret_value);
    reader->variables--;
    return error;
}

// A password that begins with '$' and has no quotes looks like a variable's name.
static int fail_variable(struct conf_reader *reader, struct conf_place place, struct bytes name, const char *what)
{
    if (reader->secret)
        return conf_fail(reader, place, "the variable here %s; quote the value if it is none", what);
    return conf_fail(reader, place, "variable \"%.*s\" %s", BYTES_ARG(name), what);
}

// Relative to the folder of the file that includes.
static int join_path(struct conf_reader *reader, struct bytes path, struct conf_place place, char *ret_path)
{
    const char *slash = strrchr(place.file, '/');
    size_t folder = slash ? (size_t)(slash - place.file) + 1 : 0;
    if (path.len == 0 || folder + path.len >= CONF_PATH_MAX)
        return conf_fail(reader, place, "include needs the name of a file, of at most %d bytes", CONF_PATH_MAX - 1);
    memcpy(ret_path, place.file, folder);
    memcpy(ret_path + folder, path.ptr, path.len);
    ret_path[folder + path.len] = '\0';
    return 0;
}

static int append(struct conf_reader *reader, struct conf_value *container, struct conf_place place,
                  const struct conf_value *value, struct conf_member **ret_member)
{
    struct conf_member *member = arena_alloc(&reader->conf->arena, sizeof(*member));
    if (!member)
        return conf_fail(reader, place, "the configuration takes more than %d MB", CONF_BYTES_MAX / (1024 * 1024));
    *member = (struct conf_member){.place = place, .value = *value};
    if (container->last)
        container->last->next = member;
    else
        container->first = member;
    container->last = member;
    container->count++;
    container->weight += weight_of(value);
    *ret_member = member;
    return 0;
}

static int add_index(struct conf_reader *reader, struct conf_value *map, struct conf_member *member)
{
    if (map->names)
        return map_add(map->names, member->name, member);
    if (map->count < CONF_INDEX_FROM)
        return 0;
    struct conf_index *index = arena_alloc(&reader->conf->arena, sizeof(*index));
    if (!index)
        return conf_fail(reader, member->place, "the configuration takes too much memory");
    map_init(&index->map, CONF_VALUES_MAX + 1);
    index->next = reader->conf->indexes;
    reader->conf->indexes = index;
    map->names = &index->map;
    for (struct conf_member *each = map->first; each; each = each->next)
        must(map_add(map->names, each->name, each) == 0);
    return 0;
}

static size_t weight_of(const struct conf_value *value)
{
    return 1 + (value->type == CONF_MAP || value->type == CONF_ARRAY ? value->weight : 0);
}

// Names of keys and files come from the file, and messages go to terminals.
static void make_printable(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
    }
}

static const char *unread_text(int error)
{
    return error == ERR_UNSUPPORTED ? "it is a directory or a pipe, not a file" : error_text(error);
}
