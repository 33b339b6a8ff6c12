// SPDX-License-Identifier: Apache-2.0
#include "os/log_syslog.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LOG_SYSLOG_SCHEME     "udp://"
#define LOG_SYSLOG_PACKET_MAX 2048

static int log_syslog_connect(const char *address, int *ret_fd);

int log_syslog_open(struct log_syslog *log, const char *tag, const char *address)
{
    int fd = -1;
    int error = address ? log_syslog_connect(address, &fd) : 0;
    if (error)
        return error;
    *log = (struct log_syslog){.tag = tag, .fd = fd, .open = true};
    if (!address)
        openlog(log->tag, LOG_PID, LOG_DAEMON);
    return 0;
}

void log_syslog_send(const struct log_syslog *log, int severity, const char *line)
{
    if (log->fd < 0) {
        syslog(LOG_DAEMON | severity, "%s", line);
        return;
    }
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    char date[32], host[64];
    strftime(date, sizeof(date), "%b %e %H:%M:%S", &local);
    if (gethostname(host, sizeof(host)) != 0)
        snprintf(host, sizeof(host), "localhost");
    host[sizeof(host) - 1] = '\0';
    char packet[LOG_SYSLOG_PACKET_MAX];
    int len = snprintf(packet, sizeof(packet), "<%d>%s %s %s[%ld]: %s", LOG_DAEMON | severity, date, host, log->tag,
                       (long)getpid(), line);
    size_t size = (size_t)len < sizeof(packet) ? (size_t)len : sizeof(packet) - 1;
    (void)send(log->fd, packet, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// The local one is libc's and stays: another of ours may be using it already.
void log_syslog_close(struct log_syslog *log)
{
    if (log->open && log->fd >= 0)
        close(log->fd);
    log->open = false;
}

static int log_syslog_connect(const char *address, int *ret_fd)
{
    if (strncmp(address, "tcp://", strlen("tcp://")) == 0)
        return ERR_UNSUPPORTED;
    if (strncmp(address, LOG_SYSLOG_SCHEME, strlen(LOG_SYSLOG_SCHEME)) != 0)
        return ERR_INVALID;
    char host[256];
    snprintf(host, sizeof(host), "%s", address + strlen(LOG_SYSLOG_SCHEME));
    char *colon = strrchr(host, ':');
    if (!colon || colon == host || colon[1] == '\0')
        return ERR_INVALID;
    *colon = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found;
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return ERR_NOT_FOUND;
    int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool connected = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0;
    freeaddrinfo(found);
    if (!connected) {
        if (fd >= 0)
            close(fd);
        return ERR_IO;
    }
    *ret_fd = fd;
    return 0;
}
