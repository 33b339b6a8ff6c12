// SPDX-License-Identifier: Apache-2.0
#include "cmd/serve_files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/must.h"
#include "os/file.h"

// Far more than a machine has addresses.
#define SERVE_FILES_PORTS_MAX (64 * 1024)

static int write_whole(const char *path, struct bytes content);
static int ports_path(const char *directory, const char *program, char ret_path[PATH_MAX]);
static int put_urls(struct buffer *text, const struct serve_port *port);
static int put_interfaces(struct buffer *text, const struct serve_port *port, int family);
static int put_url(struct buffer *text, const struct serve_port *port, const char *host);

int serve_files_write_pid(const char *path)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%ld", (long)getpid());
    return write_whole(path, bytes_make(text, (size_t)len));
}

void serve_files_remove_pid(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    char text[32];
    ssize_t len = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    if (strtol(text, NULL, 10) == (long)getpid())
        unlink(path);
}

int serve_files_write_ports(const char *directory, const char *program, const struct serve_port *ports, size_t count)
{
    char path[PATH_MAX];
    int error = ports_path(directory, program, path);
    if (error)
        return error;
    struct buffer text;
    buffer_init(&text, SERVE_FILES_PORTS_MAX);
    bool first = true;
    error = buffer_append_char(&text, '{');
    for (size_t i = 0; i < count && !error; i++) {
        if (ports[i].port == 0)
            continue;
        error = buffer_printf(&text, "%s\"%s\":[", first ? "" : ",", ports[i].kind);
        if (!error)
            error = put_urls(&text, &ports[i]);
        if (!error)
            error = buffer_append_char(&text, ']');
        first = false;
    }
    if (!error)
        error = buffer_append_char(&text, '}');
    if (!error)
        error = write_whole(path, buffer_bytes(&text));
    buffer_deinit(&text);
    return error;
}

void serve_files_remove_ports(const char *directory, const char *program)
{
    char path[PATH_MAX];
    if (ports_path(directory, program, path) == 0)
        unlink(path);
}

int serve_files_check_replace(const char *path)
{
    struct stat status;
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX] = ".";
    size_t len = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    if (len >= sizeof(directory))
        return ERR_TOO_BIG;
    if (len > 0)
        memcpy(directory, path, len);
    directory[len > 0 ? len : 1] = '\0';
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return file_error(EISDIR);
    // With a slash at its end: what is no folder is an error.
    strncat(directory, "/", sizeof(directory) - strlen(directory) - 1);
    return faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0 ? 0 : file_error(errno);
}

int serve_files_check_append(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0 || S_ISDIR(status.st_mode))
        return serve_files_check_replace(path);
    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 ? 0 : file_error(errno);
}

// Under another name first: whoever waits for the file never reads half of it.
static int write_whole(const char *path, struct bytes content)
{
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof(temporary), "%s.%ld~", path, (long)getpid()) >= sizeof(temporary))
        return ERR_TOO_BIG;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return file_error(errno);
    ssize_t written = write(fd, content.ptr, content.len);
    int error = written == (ssize_t)content.len ? 0 : written < 0 ? file_error(errno) : ERR_NO_SPACE;
    close(fd);
    if (!error && rename(temporary, path) != 0)
        error = file_error(errno);
    if (error)
        unlink(temporary);
    return error;
}

static int ports_path(const char *directory, const char *program, char ret_path[PATH_MAX])
{
    int len = snprintf(ret_path, PATH_MAX, "%s/%s_%ld.ports", directory, program, (long)getpid());
    return len < PATH_MAX ? 0 : ERR_TOO_BIG;
}

static int put_urls(struct buffer *text, const struct serve_port *port)
{
    if (strcmp(port->host, "0.0.0.0") == 0)
        return put_interfaces(text, port, AF_INET);
    if (strcmp(port->host, "::") == 0)
        return put_interfaces(text, port, AF_INET6);
    return put_url(text, port, port->host);
}

static int put_interfaces(struct buffer *text, const struct serve_port *port, int family)
{
    struct ifaddrs *list;
    if (getifaddrs(&list) != 0)
        return put_url(text, port, port->host);
    int error = 0;
    bool first = true;
    for (struct ifaddrs *one = list; one && !error; one = one->ifa_next) {
        char host[INET6_ADDRSTRLEN];
        if (!one->ifa_addr || one->ifa_addr->sa_family != family || !(one->ifa_flags & IFF_UP))
            continue;
        const void *bare = one->ifa_addr;
        const void *address = family == AF_INET ? (const void *)&((const struct sockaddr_in *)bare)->sin_addr
                                                : (const void *)&((const struct sockaddr_in6 *)bare)->sin6_addr;
        if (!inet_ntop(family, address, host, sizeof(host)))
            continue;
        if (!first)
            error = buffer_append_char(text, ',');
        if (!error)
            error = put_url(text, port, host);
        first = false;
    }
    freeifaddrs(list);
    return error;
}

static int put_url(struct buffer *text, const struct serve_port *port, const char *host)
{
    bool v6 = strchr(host, ':') != NULL;
    return buffer_printf(text, "\"%s://%s%s%s:%u\"", port->scheme, v6 ? "[" : "", host, v6 ? "]" : "", port->port);
}
