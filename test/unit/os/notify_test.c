// SPDX-License-Identifier: Apache-2.0
// What a service manager hears, and that nothing depends on one being there.
#include "os_test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "os/notify.h"

// A manager's socket under `name`, of which the first byte is 0 for one without a file.
static int open_manager(const char *name, size_t len)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(len < sizeof(address.sun_path));
    memcpy(address.sun_path, name, len);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
    return fd;
}

static void assert_hears(int fd, const char *text)
{
    char heard[64] = "";
    ssize_t len = recv(fd, heard, sizeof(heard) - 1, 0);
    assert_int_equal(len, (ssize_t)strlen(text));
    assert_string_equal(heard, text);
}

static void assert_hears_nothing(int fd)
{
    char heard[64];
    assert_int_equal(recv(fd, heard, sizeof(heard), 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void the_manager_hears_that_it_serves_and_that_it_stops(void **state)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/notify", os_test_directory());
    int fd = open_manager(path, strlen(path));
    setenv("NOTIFY_SOCKET", path, 1);
    notify_ready();
    assert_hears(fd, "READY=1");
    notify_stopping();
    assert_hears(fd, "STOPPING=1");
    assert_hears_nothing(fd);
    close(fd);
}

static void a_socket_may_be_a_name_without_a_file(void **state)
{
    char name[64];
    int len = snprintf(name, sizeof(name), "@weir-notify-test-%ld", (long)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    name[0] = '\0';
    int fd = open_manager(name, (size_t)len);
    notify_ready();
    assert_hears(fd, "READY=1");
    close(fd);
}

static void without_a_manager_nothing_happens(void **state)
{
    char path[96], long_path[300];
    snprintf(path, sizeof(path), "%s/notify", os_test_directory());
    int fd = open_manager(path, strlen(path));
    unsetenv("NOTIFY_SOCKET");
    notify_ready();
    memset(long_path, 'x', sizeof(long_path));
    long_path[0] = '/';
    long_path[sizeof(long_path) - 1] = '\0';
    const char *names[] = {"", "/", "notify", "vsock:2:1", "/nobody/is/here", long_path};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        notify_ready();
    }
    assert_hears_nothing(fd);
    close(fd);
}

static void a_manager_that_does_not_listen_does_not_hold_it_up(void **state)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/notify", os_test_directory());
    int fd = open_manager(path, strlen(path));
    setenv("NOTIFY_SOCKET", path, 1);
    for (int i = 0; i < 10000; i++) // more than a socket holds
        notify_ready();
    assert_hears(fd, "READY=1");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manager_hears_that_it_serves_and_that_it_stops),
        cmocka_unit_test(a_socket_may_be_a_name_without_a_file),
        cmocka_unit_test(without_a_manager_nothing_happens),
        cmocka_unit_test(a_manager_that_does_not_listen_does_not_hold_it_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
