// SPDX-License-Identifier: Apache-2.0
// What TLS costs a running server: `tls-bench PORT PID COUNT MEGABYTES` opens COUNT secure connections to the server with that process
// id, subscribes once on each, prints its resident memory and how many handshakes a second it made; then sends MEGABYTES in
// messages of 16 KiB to a subscriber of its own and prints how fast they came back. Start the server with --tls.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"

#define PAYLOAD (16 * 1024)

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long resident_kib(const char *pid)
{
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof(path), "/proc/%s/status", pid);
    FILE *file = fopen(path, "r");
    must(file);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    }
    fclose(file);
    return kib;
}

static void send_all(SSL *ssl, const char *text, size_t len)
{
    must(SSL_write(ssl, text, (int)len) == (int)len);
}

// INFO in the clear, then the handshake, CONNECT, one subscription, and the PONG that says it is there.
static SSL *open_one(SSL_CTX *context, uint16_t port, const char *subscribe)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    char c = 0;
    while (c != '\n')
        must(recv(fd, &c, 1, 0) == 1);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    must(SSL_connect(ssl) == 1);
    char line[256];
    int len = snprintf(line, sizeof(line), "CONNECT {\"verbose\":false}\r\n%sPING\r\n", subscribe);
    send_all(ssl, line, (size_t)len);
    must(SSL_read(ssl, line, sizeof(line)) >= 4 && strncmp(line, "PONG", 4) == 0);
    return ssl;
}

static void measure_idle(SSL_CTX *context, uint16_t port, const char *pid, size_t count)
{
    long before = resident_kib(pid);
    double begin = now_s();
    for (size_t i = 0; i < count; i++) {
        char subscribe[64];
        snprintf(subscribe, sizeof(subscribe), "SUB idle.%010zu 1\r\n", i);
        (void)open_one(context, port, subscribe);
    }
    double took = now_s() - begin;
    long after = resident_kib(pid);
    printf("%zu idle connections: %.1f MB in all, %.2f KiB each; %.0f handshakes/s\n", count, (double)after / 1000,
           (double)(after - before) / (double)count, (double)count / took);
}

static void measure_speed(SSL_CTX *context, uint16_t port, size_t megabytes)
{
    size_t count = megabytes * 1000000 / PAYLOAD;
    SSL *reader = open_one(context, port, "SUB speed 1\r\n");
    SSL *writer = open_one(context, port, "");
    double begin = now_s();
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        static char message[64 + PAYLOAD];
        int head = snprintf(message, sizeof(message), "PUB speed %d\r\n", PAYLOAD);
        memset(message + head, 'x', PAYLOAD);
        memcpy(message + head + PAYLOAD, "\r\n", 2);
        for (size_t i = 0; i < count; i++)
            send_all(writer, message, (size_t)head + PAYLOAD + 2);
        _exit(0);
    }
    static char got[64 * 1024];
    size_t wanted = count * (sizeof("MSG speed 1 16384\r\n") - 1 + PAYLOAD + 2);
    for (size_t have = 0; have < wanted;) {
        int n = SSL_read(reader, got, sizeof(got));
        must(n > 0);
        have += (size_t)n;
    }
    double took = now_s() - begin;
    waitpid(child, NULL, 0);
    printf("%zu MB in and out: %.0f MB/s\n", megabytes, (double)megabytes / took);
}

int main(int count, char **arguments)
{
    if (count != 5) {
        fprintf(stderr, "usage: tls-bench PORT PID COUNT MEGABYTES\n");
        return 2;
    }
    uint16_t port = (uint16_t)strtoul(arguments[1], NULL, 10);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    measure_idle(context, port, arguments[2], strtoul(arguments[3], NULL, 10));
    measure_speed(context, port, strtoul(arguments[4], NULL, 10));
    return 0;
}
