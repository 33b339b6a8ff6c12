// SPDX-License-Identifier: Apache-2.0
// `weir import SOURCE --dir DATA`: moves in with what a NATS Streaming server has on its disk. The source is read, locked meanwhile,
// and never changed: it is the way back.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/commands.h"
#include "cmd/encryption.h"
#include "cmd/intake.h"
#include "cmd/intake_show.h"
#include "server/flag.h"

struct arguments {
    const char *directory, *cluster_id, *key, *key_file, *data_key_file;
    bool dry_run, keep_going, truncate_bad_eof, check_crc, may_be_encrypted, help;
    uint32_t crc_polynomial, data_cipher;
};

#define AT(field) offsetof(struct arguments, field)

// The names of the old server's flags are taken as well.
static const struct flag flags[] = {
    {"dir", FLAG_STRING, AT(directory), 0, 0, NULL, "DATA", "the new data directory: empty, or not there yet"},
    {"dry-run,dry_run", FLAG_BOOL, AT(dry_run), 0, 0, NULL, NULL, "read everything, write nothing"},
    {"keep-going,keep_going", FLAG_BOOL, AT(keep_going), 0, 0, NULL, NULL,
     "pass over what is damaged, say so, and go on behind it"},
    {"cluster_id,cluster-id,cid", FLAG_STRING, AT(cluster_id), 0, 0, NULL, "ID",
     "that SOURCE must be of; with --keep-going, what it is if server.dat is damaged or missing"},
    {"encryption-key,encryption_key", FLAG_STRING, AT(key), 0, 0, NULL, "KEY",
     "of an encrypted store; " ENCRYPTION_VARIABLE " goes before it, and is seen by nobody else"},
    {"encryption-key-file,encryption_key_file", FLAG_STRING, AT(key_file), 0, 0, NULL, "FILE",
     "with the key of an encrypted store; goes before both"},
    {"encrypted", FLAG_BOOL, AT(may_be_encrypted), 0, 0, NULL, NULL, "--encrypted=false: what looks encrypted is not"},
    {"crc-poly,file_crc_poly", FLAG_COUNT, AT(crc_polynomial), 1, UINT32_MAX, NULL, "NUMBER",
     "the polynomial of its checks (3988292384: IEEE)"},
    {"crc,file_crc", FLAG_BOOL, AT(check_crc), 0, 0, NULL, NULL, "--crc=false: its checks are not looked at"},
    {"truncate-bad-eof,file_truncate_bad_eof", FLAG_BOOL, AT(truncate_bad_eof), 0, 0, NULL, NULL,
     "a file that ends within a record ends before it"},
    ENCRYPTION_DATA_FLAGS(struct arguments, data_key_file, data_cipher),
    {"h,help", FLAG_BOOL, AT(help), 0, 0, NULL, NULL, "this text"},
};

#define FLAG_TOTAL (sizeof(flags) / sizeof(flags[0]))

static void write_line(void *owner, enum log_level level, const char *format, va_list list);
static const struct logger logger = {.level = LOG_WARN, .write = write_line};

static int parse(struct arguments *arguments, int count, char **list, const char **ret_source);
static int complain(const char *text);
static int move_in(const struct arguments *arguments, const char *source, const struct encryption *old_keys,
                   const struct encryption *keys);

int import_run(int count, char **list)
{
    struct arguments arguments = {.check_crc = true, .may_be_encrypted = true, .crc_polynomial = FILESTORE_CRC_IEEE};
    const char *source = NULL;
    int code = parse(&arguments, count, list, &source);
    if (code || arguments.help)
        return code;
    struct encryption old_keys = {0}, keys = {0};
    char message[ENCRYPTION_MESSAGE_SIZE];
    int error = arguments.key_file ? encryption_load_file(&old_keys, arguments.key_file, 0, NULL, message) : 0;
    if (!error)
        error = encryption_load_data(&keys, arguments.data_key_file, arguments.data_cipher, &logger, message);
    if (error)
        fprintf(stderr, "weir import: %s\n", message);
    code = error ? 1 : move_in(&arguments, source, &old_keys, &keys);
    encryption_deinit(&old_keys);
    encryption_deinit(&keys);
    return code;
}

static int move_in(const struct arguments *arguments, const char *source, const struct encryption *old_keys,
                   const struct encryption *keys)
{
    struct intake intake = {
        .source = source,
        .directory = arguments->dry_run ? NULL : arguments->directory,
        .cluster_id = arguments->cluster_id,
        .encryption = &keys->store,
        .logger = &logger,
        .progress = isatty(STDERR_FILENO) ? intake_show_progress : NULL,
    };
    importer_options_default(&intake.options);
    intake.options.keep_going = arguments->keep_going;
    intake.options.truncate_bad_eof = arguments->truncate_bad_eof;
    intake.options.check_crc = arguments->check_crc;
    intake.options.crc_polynomial = arguments->crc_polynomial;
    intake.options.may_be_encrypted = arguments->may_be_encrypted;
    intake.options.key_hint = "--encryption-key-file FILE, or the variable " ENCRYPTION_VARIABLE;
    intake.options.key = old_keys->key ? old_keys->store.key : intake_key(arguments->key);
    int error = intake_run(&intake);
    if (intake.progress)
        fputc('\n', stderr);
    if (error) {
        fprintf(stderr, "weir import: nothing was imported%s\n",
                intake_is_damage(error) && !arguments->keep_going ? "; --keep-going passes over what is damaged" : "");
        return 1;
    }
    intake_show_summary(&intake, stdout);
    return 0;
}

void import_help(void)
{
    puts("usage: weir import SOURCE --dir DATA [FLAGS]\n\n"
         "Makes a data directory of what a NATS Streaming server with a FILE store left in SOURCE, its --dir: channels "
         "with\n"
         "messages, their sequence numbers and times, clients, and all subscriptions with what was sent to them and "
         "not\n"
         "acknowledged. The old server must not be running. SOURCE is only read. Clients of the old server that are "
         "still\n"
         "running go on when a server starts on DATA at the same address.\n");
    for (size_t i = 0; i < FLAG_TOTAL; i++) {
        char line[256];
        if (flag_help(&flags[i], line, sizeof(line)))
            puts(line);
    }
    puts("\nExit code 0: everything was imported; 1: it was not, and DATA is not served; 2: called wrongly.");
}

// Flags may stand before and behind SOURCE.
static int parse(struct arguments *arguments, int count, char **list, const char **ret_source)
{
    char message[256];
    if (flag_parse_around(flags, FLAG_TOTAL, arguments, count, list, "SOURCE", ret_source, message, sizeof(message)))
        return complain(message);
    if (arguments->help) {
        import_help();
        return 0;
    }
    if (!*ret_source)
        return complain("the --dir of a NATS Streaming server is missing");
    return arguments->directory || arguments->dry_run ? 0 : complain("--dir DATA is missing: where to");
}

static int complain(const char *text)
{
    fprintf(stderr, "weir import: %s; see `weir import --help`\n", text);
    return 2;
}

static void write_line(void *owner, enum log_level level, const char *format, va_list list)
{
    (void)owner;
    char text[1600];
    vsnprintf(text, sizeof(text), format, list);
    fprintf(stderr, "%sweir import: %s%s\n", isatty(STDERR_FILENO) ? "\r" : "",
            level >= LOG_ERROR ? "" : "warning: ", text);
}
