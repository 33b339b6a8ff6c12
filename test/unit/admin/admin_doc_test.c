// SPDX-License-Identifier: Apache-2.0
// docs/admin-api.md against the tables of the code: each request and each error code of one stands in the other. Prints TAP.
//
//   test-admin-admin_doc FILE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin_api.h"
#include "admin/admin_error.h"

enum { TEXT_MAX = 1 << 20 };

static int failed, number;

static void tell(bool good, const char *what, const char *name)
{
    printf("%sok %d - %s%s\n", good ? "" : "not ", ++number, what, name);
    failed += !good;
}

// A row of a table begins with this name, or one of several that begin it.
static bool has_row(const char *text, const char *name)
{
    char cell[128];
    snprintf(cell, sizeof(cell), "`%s`", name);
    for (const char *line = strstr(text, "\n| `"); line; line = strstr(line + 1, "\n| `")) {
        const char *end = strstr(line + 3, " | "), *found = strstr(line, cell);
        if (end && found && found < end)
            return true;
    }
    return false;
}

static bool knows(const char *name)
{
    for (size_t i = 0; admin_api_request_name(i); i++) {
        if (strcmp(admin_api_request_name(i), name) == 0)
            return true;
    }
    return strcmp(name, "BACKUP") == 0 || strcmp(name, "BACKUP.NEXT") == 0; // backup_service.h
}

// Every name in capitals that begins a row.
static void check_rows(const char *text)
{
    size_t rows = 0;
    for (const char *line = strstr(text, "\n| `"); line; line = strstr(line + 1, "\n| `")) {
        const char *end = strstr(line + 3, " | ");
        for (const char *at = line + 3; end && at < end; at++) {
            size_t len = strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ.");
            if (*at != '`' || len == 0 || at[1 + len] != '`')
                continue;
            char name[64];
            snprintf(name, sizeof(name), "%.*s", (int)len, at + 1);
            tell(knows(name), "the server knows ", name);
            rows++;
            at += len + 1;
        }
    }
    tell(rows > 20, "there are rows", "");
}

static void check_code(const char *text, enum admin_code code)
{
    char wanted[16];
    const char *name = admin_error_name(code), *line = text;
    snprintf(wanted, sizeof(wanted), "| %u", admin_error_status(code));
    char cell[64];
    snprintf(cell, sizeof(cell), "`%s`", name);
    while ((line = strstr(line, "\n| `"))) {
        const char *end = strchr(line + 1, '\n'), *found = strstr(line, cell), *status = strstr(line, wanted);
        if (found && end && found < end && status && status < end)
            break;
        line++;
    }
    tell(line, "with its status stands ", name);
}

int main(int argc, char **argv)
{
    static char text[TEXT_MAX];
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    size_t len = file ? fread(text, 1, TEXT_MAX - 1, file) : 0;
    tell(len > 0 && len < TEXT_MAX - 1, "the document is read", "");
    if (file)
        fclose(file);
    for (size_t i = 0; admin_api_request_name(i); i++)
        tell(has_row(text, admin_api_request_name(i)), "the document has ", admin_api_request_name(i));
    check_rows(text);
    for (int code = 0; code < ADMIN_CODE_COUNT; code++) {
        check_code(text, (enum admin_code)code);
        tell(admin_error_find(bytes_from_string(admin_error_name((enum admin_code)code))) == (enum admin_code)code,
             "is found: ", admin_error_name((enum admin_code)code));
    }
    printf("1..%d\n", number);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
