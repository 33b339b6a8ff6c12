// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bench_floor
// weir bench floor: what the least that a server can do for a replay costs here. A process reads the log files and segments in
// --dir, cuts what it reads into pieces of --size bytes, puts the frame of a delivery around each (MSG, ST-M03) and writes them
// to one connection; acknowledgements it reads and throws away. It finds, checks, counts and remembers nothing. The other end is
// the client that `weir bench stan-sub` is, which parses and acknowledges, but cannot verify. What `stan-sub --stored` does not reach
// of this rate is Weir's doing; the rest is that of kernel, disk and client.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/varint.h"
#include "cmd/bench.h"
#include "stan/envelope.h"
#include "stan/field.h"
#include "wire/writer.h"

enum { READ_BYTES = 1024 * 1024, SEND_BYTES = 256 * 1024, HEAD_MAX = 512, WAIT_MS = 20000 };

static const char greeting[] =
    "INFO {\"server_id\":\"F\",\"version\":\"2.9.10\",\"headers\":true,\"max_payload\":67108864}\r\n";

// The process that stands for the server.
struct sender {
    const struct bench *bench; // borrowed
    int fd;
    uint64_t sequence;
    struct buffer out;
    char *piece; // owned: of --size bytes, piece_len are there
    size_t piece_len;
    char *read; // owned
};

static int fail(const char *what)
{
    fprintf(stderr, "weir bench: %s: %s\n", what, strerror(errno));
    return 1;
}

static void flush(struct sender *sender)
{
    static char acks[65536]; // tidy: allow mutable (of a process that does nothing else)
    struct bytes left = buffer_bytes(&sender->out);
    while (left.len) {
        ssize_t sent = send(sender->fd, left.ptr, left.len, MSG_NOSIGNAL);
        if (sent <= 0)
            exit(1);
        left = bytes_skip(left, (size_t)sent);
    }
    buffer_clear(&sender->out);
    while (recv(sender->fd, acks, sizeof(acks), MSG_DONTWAIT) > 0)
        ;
}

static void deliver(struct sender *sender, struct bytes data)
{
    char head[HEAD_MAX], tail[ENVELOPE_TAIL_MAX];
    struct envelope_delivery envelope = {.sequence = ++sender->sequence,
                                         .subject = bytes_from_string(sender->bench->subject),
                                         .data_len = data.len,
                                         .time_ns = UINT64_C(1600000000000000000)};
    size_t head_len = envelope_head_encode(head, &envelope), tail_len = envelope_tail_encode(tail, &envelope);
    struct bytes inbox = BYTES("_INBOX.floor.1"), sid = BYTES("1"), none = {0};
    char *at = buffer_reserve(&sender->out, HEAD_MAX + writer_msg_len_max(inbox.len, sid.len, 0) + data.len);
    if (!at)
        exit(1);
    char *end = writer_msg(at, inbox, sid, none, false, 0, head_len + data.len + tail_len);
    memcpy(end, head, head_len);
    memcpy(end + head_len, data.ptr, data.len);
    memcpy(end + head_len + data.len, tail, tail_len);
    end += head_len + data.len + tail_len;
    *end++ = '\r';
    *end++ = '\n';
    buffer_commit(&sender->out, (size_t)(end - at));
    if (sender->out.len >= SEND_BYTES)
        flush(sender);
}

static void take(struct sender *sender, struct bytes bytes)
{
    size_t size = sender->bench->size;
    while (bytes.len && sender->sequence < sender->bench->messages) {
        if (sender->piece_len == 0 && bytes.len >= size) {
            deliver(sender, bytes_make(bytes.ptr, size));
            bytes = bytes_skip(bytes, size);
            continue;
        }
        size_t room = size - sender->piece_len, n = bytes.len < room ? bytes.len : room;
        memcpy(sender->piece + sender->piece_len, bytes.ptr, n);
        bytes = bytes_skip(bytes, n);
        sender->piece_len += n;
        if (sender->piece_len == size) {
            deliver(sender, bytes_make(sender->piece, size));
            sender->piece_len = 0;
        }
    }
}

static void send_file(struct sender *sender, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;
    while (fd >= 0 && sender->sequence < sender->bench->messages && (got = read(fd, sender->read, READ_BYTES)) > 0)
        take(sender, bytes_make(sender->read, (size_t)got));
    if (fd >= 0)
        close(fd);
}

static void send_folder(struct sender *sender, const char *folder, const char *ending)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", sender->bench->directory, folder);
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        size_t len = strlen(names[i]->d_name);
        snprintf(path, sizeof(path), "%s/%s/%.255s", sender->bench->directory, folder, names[i]->d_name);
        if (len > strlen(ending) && strcmp(names[i]->d_name + len - strlen(ending), ending) == 0)
            send_file(sender, path);
    }
}

// Ends when everything is sent and the client has gone.
static void serve(const struct bench *bench, int listener)
{
    char line[4096];
    struct sender sender = {.bench = bench, .fd = accept(listener, NULL, NULL)};
    ssize_t got = sender.fd < 0 ? -1 : send(sender.fd, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL);
    while (got > 0) { // what ends with a PING
        got = recv(sender.fd, line, sizeof(line), 0);
        if (got >= 6 && memcmp(line + got - 6, "PING\r\n", 6) == 0)
            break;
    }
    if (got <= 0 || send(sender.fd, "PONG\r\n", 6, MSG_NOSIGNAL) != 6 || recv(sender.fd, line, sizeof(line), 0) <= 0)
        exit(1); // what came last is the subscription
    buffer_init(&sender.out, SIZE_MAX / 2);
    sender.piece = mem_alloc(bench->size);
    sender.read = mem_alloc(READ_BYTES);
    send_folder(&sender, "shards/1", ".seg");
    send_folder(&sender, "wal", ".wal");
    flush(&sender);
    while (recv(sender.fd, line, sizeof(line), 0) > 0)
        ;
    exit(0);
}

// A delivery: as of a server, but that its content is none of ours.
static void on_message(void *owner, const struct wire_op *message)
{
    struct bench *bench = owner;
    struct bytes frame = message->payload, data = {0};
    struct field field;
    uint64_t sequence = 0;
    while (frame.len && field_next(&frame, &field) == 0) {
        if (field.number == 1)
            sequence = field.value;
        else if (field.number == 4)
            data = field.bytes;
    }
    bench->done++;
    bench->wrong += data.len != bench->size || sequence != bench->done;
}

static int receive(struct bench *bench, const struct sockaddr_in *address)
{
    char server[64];
    struct client client;
    snprintf(server, sizeof(server), "nats://127.0.0.1:%d", ntohs(address->sin_port));
    bench->connection.server = server;
    bench_start(bench);
    int status = bench_connect(bench, &client, "weir bench");
    if (status)
        return status;
    client.on_message = on_message;
    client.owner = bench;
    client_subscribe(&client, BYTES("_INBOX.floor.*"), BYTES(""), 1);
    for (uint64_t acknowledged = 0; !status && bench->done < bench->messages; bench_progress(bench)) {
        if (client_wait(&client, WAIT_MS) <= 0)
            status = fail("fewer messages than --msgs are in --dir");
        for (; !status && acknowledged < bench->done; acknowledged++) {
            char frame[HEAD_MAX], *at = frame; // Ack, ST-M04
            struct bytes channel = bytes_from_string(bench->subject);
            *at++ = 1 << 3 | FIELD_BYTES;
            at = varint_put(at, channel.len);
            memcpy(at, channel.ptr, channel.len);
            at += channel.len;
            *at++ = 2 << 3 | FIELD_VARINT;
            at = varint_put(at, acknowledged + 1);
            bench->wrong += client_publish(&client, BYTES("_STAN.acks.floor"), (struct bytes){0}, (struct bytes){0},
                                           bytes_make(frame, (size_t)(at - frame))) != 0;
        }
    }
    bench_stop(bench);
    client_close(&client);
    return status;
}

int bench_floor(struct bench *bench)
{
    struct sockaddr_in address;
    int listener = bench_listen(&address);
    if (listener < 0)
        return fail("listening");
    bench->server_pid = fork();
    if (bench->server_pid == 0)
        serve(bench, listener);
    close(listener);
    if (bench->server_pid < 0)
        return fail("starting the process that sends");
    int status = receive(bench, &address);
    kill(bench->server_pid, SIGKILL);
    waitpid(bench->server_pid, NULL, 0);
    return status;
}
