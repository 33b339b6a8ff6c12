// SPDX-License-Identifier: Apache-2.0
// Connections and the listener on real loopback sockets, with the test as a blocking client.
#include "os_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "os/listener.h"
#include "os/tcp.h"

#define BIG (8 * 1024 * 1024)

struct rig {
    struct os_test_loop test;
    struct tcp tcp;
    struct listener listener;
    struct net_handler handler;
    struct net_conn *conn; // of the last accepted, NULL after on_close
    struct net_peer peer;
    struct buffer got;
    unsigned lost, accepts, data_calls, writables, closes;
    int close_error;
    bool refuse;
    bool in_close_or_write; // on_close must not come from inside these
};

static void *rig_accept(void *owner, struct net_conn *conn, const struct net_peer *peer)
{
    struct rig *rig = owner;
    rig->accepts++;
    rig->peer = *peer;
    if (rig->refuse) {
        net_write(conn, &BYTES("no"), 1);
        return NULL;
    }
    rig->conn = conn;
    return rig;
}

static void rig_data(void *context, struct bytes data)
{
    struct rig *rig = context;
    rig->data_calls++;
    assert_int_equal(buffer_append(&rig->got, data), 0);
}

static void rig_writable(void *context)
{
    ((struct rig *)context)->writables++;
}

static void rig_closed(void *context, int error)
{
    struct rig *rig = context;
    assert_false(rig->in_close_or_write);
    assert_int_equal(rig->test.begins, rig->test.ends + 1);
    rig->closes++;
    rig->close_error = error;
    rig->conn = NULL;
}

static void rig_lost(void *owner)
{
    ((struct rig *)owner)->lost++;
}

static void rig_close(struct rig *rig)
{
    rig->in_close_or_write = true;
    net_close(rig->conn);
    rig->in_close_or_write = false;
}

// A connected descriptor, or -1 when refused.
static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    return -1;
}

static int rig_setup(void **state)
{
    struct rig *rig = mem_alloc_zero(sizeof(*rig));
    os_test_loop_init(&rig->test);
    tcp_init(&rig->tcp, &rig->test.loop);
    buffer_init(&rig->got, 2 * BIG);
    rig->handler = (struct net_handler){rig, rig_accept, rig_data, rig_writable, rig_closed, NULL, rig_lost};
    assert_int_equal(listener_open(&rig->listener, &rig->tcp, "127.0.0.1", -1), 0);
    assert_true(rig->listener.port > 0);
    assert_int_equal(connect_to(rig->listener.port), -1);
    assert_int_equal(listener_start(&rig->listener, &rig->handler, NULL), 0);
    *state = rig;
    return 0;
}

static bool rig_is_idle(void *context)
{
    return ((struct rig *)context)->tcp.count == 0;
}

static int rig_teardown(void **state)
{
    struct rig *rig = *state;
    listener_close(&rig->listener);
    listener_close(&rig->listener);
    tcp_close_all(&rig->tcp);
    os_test_run_until(&rig->test, rig_is_idle, rig);
    loop_deinit(&rig->test.loop);
    tcp_deinit(&rig->tcp);
    buffer_deinit(&rig->got);
    mem_free(rig);
    return 0;
}

static int rig_connect(const struct rig *rig)
{
    int fd = connect_to(rig->listener.port);
    assert_true(fd >= 0);
    return fd;
}

static bool rig_accepted(void *context)
{
    return ((struct rig *)context)->accepts > 0;
}

static bool rig_has_closed(void *context)
{
    return ((struct rig *)context)->closes > 0;
}

static bool rig_got_five(void *context)
{
    return ((struct rig *)context)->got.len >= 5;
}

static bool rig_is_writable(void *context)
{
    return ((struct rig *)context)->writables > 0;
}

static size_t read_all(int fd, char *out, size_t size)
{
    size_t total = 0;
    ssize_t got;
    while (total < size && (got = recv(fd, out + total, size - total, 0)) > 0)
        total += (size_t)got;
    return total;
}

static void bytes_go_both_ways_and_the_peer_is_known(void **state)
{
    struct rig *rig = *state;
    int fd = rig_connect(rig);
    assert_int_equal(send(fd, "hello", 5, 0), 5);
    os_test_run_until(&rig->test, rig_got_five, rig);
    assert_true(bytes_equal(buffer_bytes(&rig->got), BYTES("hello")));
    assert_string_equal(rig->peer.ip, "127.0.0.1");
    struct sockaddr_in self;
    socklen_t len = sizeof(self);
    getsockname(fd, (struct sockaddr *)&self, &len);
    assert_int_equal(rig->peer.port, ntohs(self.sin_port));
    struct bytes parts[] = {BYTES("on"), BYTES(""), BYTES("e and t"), BYTES("wo")};
    assert_int_equal(net_write(rig->conn, parts, 4), 11);
    char answer[11];
    assert_int_equal(read_all(fd, answer, 11), 11);
    assert_memory_equal(answer, "one and two", 11);
    close(fd);
    os_test_run_until(&rig->test, rig_has_closed, rig);
    assert_int_equal(rig->close_error, 0);
}

static void many_parts_leave_in_order(void **state)
{
    struct rig *rig = *state;
    int fd = rig_connect(rig);
    os_test_run_until(&rig->test, rig_accepted, rig);
    static char text[3000];
    static struct bytes parts[1500];
    for (size_t i = 0; i < 1500; i++) {
        text[2 * i] = (char)('a' + i % 26);
        text[2 * i + 1] = (char)('A' + i / 26 % 26);
        parts[i] = bytes_make(text + 2 * i, 2);
    }
    assert_int_equal(net_write(rig->conn, parts, 1500), 3000);
    static char got[3000];
    assert_int_equal(read_all(fd, got, 3000), 3000);
    assert_memory_equal(got, text, 3000);
    close(fd);
}

static void a_full_socket_takes_less_and_tells_when_there_is_room(void **state)
{
    struct rig *rig = *state;
    int fd = rig_connect(rig);
    os_test_run_until(&rig->test, rig_accepted, rig);
    char *big = mem_alloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 7 + i / 251);
    struct bytes rest = bytes_make(big, BIG);
    size_t taken = net_write(rig->conn, &rest, 1);
    assert_in_range(taken, 1, BIG - 1);
    assert_int_equal(net_write(rig->conn, &rest, 1), 0);
    char *got = mem_alloc(BIG);
    size_t have = 0;
    rest = bytes_skip(rest, taken);
    for (size_t sent = taken; have < BIG;) {
        have += read_all(fd, got + have, sent - have);
        if (rest.len == 0)
            continue;
        rig->writables = 0;
        os_test_run_until(&rig->test, rig_is_writable, rig);
        taken = net_write(rig->conn, &rest, 1);
        assert_true(taken > 0);
        sent += taken;
        rest = bytes_skip(rest, taken);
    }
    assert_memory_equal(got, big, BIG);
    mem_free(got);
    mem_free(big);
    close(fd);
}

static bool third_end(void *context)
{
    struct rig *rig = context;
    rig->test.again = true;
    return rig->test.ends % 3 == 0;
}

static void a_paused_connection_gives_nothing_until_resumed(void **state)
{
    struct rig *rig = *state;
    int fd = rig_connect(rig);
    os_test_run_until(&rig->test, rig_accepted, rig);
    net_read_pause(rig->conn);
    net_read_pause(rig->conn);
    assert_int_equal(send(fd, "hello", 5, 0), 5);
    os_test_run_until(&rig->test, third_end, rig);
    assert_int_equal(rig->data_calls, 0);
    net_read_resume(rig->conn);
    os_test_run_until(&rig->test, rig_got_five, rig);
    assert_int_equal(rig->data_calls, 1);
    close(fd);
}

static void close_comes_later_once_and_sends_what_was_taken(void **state)
{
    struct rig *rig = *state;
    int fd = rig_connect(rig);
    os_test_run_until(&rig->test, rig_accepted, rig);
    // Unread input must not turn the last words into a reset.
    assert_int_equal(send(fd, "unread", 6, 0), 6);
    assert_int_equal(net_write(rig->conn, &BYTES("-ERR bye"), 1), 8);
    struct net_conn *conn = rig->conn;
    rig_close(rig);
    rig_close(rig);
    assert_int_equal(net_write(conn, &BYTES("more"), 1), 4);
    os_test_run_until(&rig->test, rig_has_closed, rig);
    assert_int_equal(rig->closes, 1);
    char last[16];
    assert_int_equal(read_all(fd, last, sizeof(last)), 8);
    assert_memory_equal(last, "-ERR bye", 8);
    close(fd);
}

static void a_refused_connection_gets_no_callback(void **state)
{
    struct rig *rig = *state;
    rig->refuse = true;
    int fd = rig_connect(rig);
    os_test_run_until(&rig->test, rig_accepted, rig);
    os_test_run_until(&rig->test, rig_is_idle, rig);
    char last[8];
    assert_int_equal(read_all(fd, last, sizeof(last)), 2);
    assert_int_equal(rig->closes, 0);
    close(fd);
}

static void a_reset_is_told(void **state)
{
    struct rig *rig = *state;
    int fd = rig_connect(rig);
    os_test_run_until(&rig->test, rig_accepted, rig);
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    os_test_run_until(&rig->test, rig_has_closed, rig);
    assert_int_equal(rig->close_error, ERR_CLOSED);
}

static void a_port_in_use_and_bad_addresses_have_their_own_errors(void **state)
{
    struct rig *rig = *state;
    struct listener other;
    assert_int_equal(listener_open(&other, &rig->tcp, "127.0.0.1", rig->listener.port), ERR_IN_USE);
    assert_int_equal(listener_open(&other, &rig->tcp, "203.0.113.1", 0), ERR_NOT_FOUND);
    assert_int_equal(listener_open(&other, &rig->tcp, "127.0.0.1", 70000), ERR_INVALID);
    assert_int_equal(listener_open(&other, &rig->tcp, "not an address", 0), ERR_INVALID);
    assert_false(other.open);
    listener_close(&other);
}

static void many_connections_are_accepted_in_several_turns(void **state)
{
    struct rig *rig = *state;
    int fds[LISTENER_ACCEPTS_PER_TURN + 10];
    size_t count = sizeof(fds) / sizeof(fds[0]);
    for (size_t i = 0; i < count; i++)
        fds[i] = rig_connect(rig);
    while (rig->accepts < count)
        os_test_run_until(&rig->test, third_end, rig);
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    rig->conn = NULL;
}

static bool rig_paused(void *context)
{
    return ((struct rig *)context)->listener.pauses > 0;
}

static bool rig_paused_again(void *context)
{
    return ((struct rig *)context)->listener.pauses > 2;
}

static bool rig_recovered(void *context)
{
    return !((struct rig *)context)->listener.is_short;
}

static bool rig_has_two(void *context)
{
    return ((struct rig *)context)->accepts == 2;
}

// Still connected, and nothing has come.
static void assert_waits(int fd)
{
    char none;
    assert_int_equal(recv(fd, &none, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

// Keeps what the listener writes, a line each.
static void rig_log(void *owner, enum log_level level, const char *format, va_list arguments)
{
    char line[256];
    int len = vsnprintf(line, sizeof(line), format, arguments);
    assert_int_equal(buffer_append(owner, bytes_make(line, (size_t)len)), 0);
    assert_int_equal(buffer_append(owner, level == LOG_ERROR ? BYTES(" (error)\n") : BYTES("\n")), 0);
}

static void without_descriptors_clients_wait_and_are_served_later(void **state)
{
    struct rig *rig = *state;
    struct logger logger = {.owner = &rig->got, .level = LOG_INFO, .write = rig_log};
    rig->listener.logger = &logger;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    int fd = rig_connect(rig);
    int next = rig_connect(rig);
    struct rlimit low = {.rlim_cur = (rlim_t)next + 1, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    os_test_run_until(&rig->test, rig_paused_again, rig);
    assert_int_equal(rig->accepts, 0);
    assert_waits(fd);
    assert_waits(next);
    setrlimit(RLIMIT_NOFILE, &limit);
    os_test_run_until(&rig->test, rig_recovered, rig);
    assert_int_equal(rig->accepts, 2);
    char expected[256];
    snprintf(
        expected, sizeof(expected),
        "no file descriptors left for new connections on port %u, which wait; raise the limit (ulimit -n) (error)\n"
        "new connections on port %u are accepted again\n",
        rig->listener.port, rig->listener.port);
    assert_int_equal(rig->got.len, strlen(expected));
    assert_memory_equal(rig->got.ptr, expected, strlen(expected));
    // Another pause, so soon, is not worth another line.
    rig->listener.fd_limit = 0;
    rig->listener.pauses = 0;
    int late = rig_connect(rig);
    os_test_run_until(&rig->test, rig_paused, rig);
    rig->listener.fd_limit = (int)limit.rlim_cur;
    os_test_run_until(&rig->test, rig_recovered, rig);
    assert_int_equal(rig->accepts, 3);
    assert_int_equal(rig->got.len, strlen(expected));
    close(late);
    close(fd);
    close(next);
    rig->conn = NULL;
}

static void the_last_descriptors_are_not_for_connections(void **state)
{
    struct rig *rig = *state;
    int first = rig_connect(rig), next = rig_connect(rig);
    rig->listener.fd_limit = next + 2; // one of the accepted is lower
    os_test_run_until(&rig->test, rig_paused, rig);
    assert_int_equal(rig->accepts, 1);
    assert_waits(next);
    // Who leaves makes room for who waits.
    close(first);
    os_test_run_until(&rig->test, rig_has_two, rig);
    rig_close(rig);
    os_test_run_until(&rig->test, rig_is_idle, rig);
    char none;
    assert_int_equal(recv(next, &none, 1, 0), 0);
    close(next);
}

// The socket stays readable, but the loop sleeps: a turn, at most, for each look.
static void a_pause_does_not_keep_the_loop_busy(void **state)
{
    struct rig *rig = *state;
    int fd = rig_connect(rig);
    rig->listener.fd_limit = fd + 1;
    os_test_run_until(&rig->test, rig_paused, rig);
    unsigned turns = rig->test.begins;
    os_test_run_until(&rig->test, rig_paused_again, rig);
    assert_in_range(rig->test.begins - turns, 1, 2 + 2);
    close(fd);
}

// The handler never meets it, but whoever placed it with him has counted it.
static void what_cannot_be_watched_is_told_as_lost(void **state)
{
    struct rig *rig = *state;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC); // a file is nothing to wait for
    assert_true(fd >= 0);
    assert_int_equal(tcp_adopt(&rig->tcp, fd, &rig->handler, &rig->peer, NULL), ERR_IO);
    assert_int_equal(rig->accepts, 0);
    assert_int_equal(rig->lost, 1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    rig->handler.on_lost = NULL;
    assert_int_equal(
        tcp_adopt(&rig->tcp, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), &rig->handler, &rig->peer, NULL), ERR_IO);
    assert_int_equal(rig->lost, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(bytes_go_both_ways_and_the_peer_is_known),
        T(many_parts_leave_in_order),
        T(a_full_socket_takes_less_and_tells_when_there_is_room),
        T(a_paused_connection_gives_nothing_until_resumed),
        T(close_comes_later_once_and_sends_what_was_taken),
        T(a_refused_connection_gets_no_callback),
        T(a_reset_is_told),
        T(what_cannot_be_watched_is_told_as_lost),
        T(a_port_in_use_and_bad_addresses_have_their_own_errors),
        T(many_connections_are_accepted_in_several_turns),
        T(the_last_descriptors_are_not_for_connections),
        T(a_pause_does_not_keep_the_loop_busy),
        T(without_descriptors_clients_wait_and_are_served_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
