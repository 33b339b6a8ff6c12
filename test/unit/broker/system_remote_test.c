// SPDX-License-Identifier: Apache-2.0
// The system account with several workers: what the server says of itself is heard once, wherever one listens (CO-Y33, CO-Y36), and what
// is asked of a connection is answered once, wherever it is (CO-Y24, CO-Y25).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/account.h"
#include "broker/broker_internal.h"
#include "broker/connection.h"
#include "town.h"

#define WORKERS 3

static void begin(struct town *town)
{
    struct broker_options options;
    broker_options_default(&options);
    options.server_id = "ID";
    options.server_name = "name";
    town_init(town, WORKERS, &options);
}

// A client of the system account, on this worker.
static struct peer *join(struct town *town, uint32_t worker, const char *text)
{
    struct world *world = &town->workers[worker].world;
    struct peer *peer = peer_connect(world, "\"protocol\":1");
    connection_account_set(peer->context, account_system(world->broker));
    peer_say(peer, text);
    town_settle(town);
    peer_forget(peer);
    return peer;
}

static int times(struct peer *peer, const char *what)
{
    int count = 0;
    assert_int_equal(buffer_append_char(&peer->received, '\0'), 0);
    for (const char *at = peer->received.ptr; (at = strstr(at, what)); at++)
        count++;
    peer_forget(peer);
    return count;
}

// Two plain subscribers and two groups, of which one has no member on worker 0.
static void test_the_server_is_heard_once_by_everybody(void **state)
{
    for (int round = 0; round < 2; round++) {
        struct town town;
        const char *event = round ? "MSG $SYS.SERVER.ID.SHUTDOWN " : "MSG $SYS.SERVER.ID.LAMEDUCK ";
        begin(&town);
        struct peer *plain[2] = {join(&town, 0, "SUB $SYS.SERVER.> 1\r\n"), join(&town, 2, "SUB $SYS.SERVER.> 1\r\n")};
        struct peer *far[2] = {join(&town, 1, "SUB $SYS.SERVER.> far 1\r\n"),
                               join(&town, 2, "SUB $SYS.SERVER.> far 1\r\n")};
        struct peer *all[3];
        for (uint32_t i = 0; i < WORKERS; i++)
            all[i] = join(&town, i, "SUB $SYS.SERVER.> all 1\r\n");
        // As a node does it: the others hear of it behind what worker 0 has sent.
        for (uint32_t i = 0; i < WORKERS; i++) {
            if (round)
                broker_shutdown(town.workers[i].world.broker);
            else
                broker_lame_duck(town.workers[i].world.broker, 1000, 500);
            if (i == 0)
                town_settle(&town);
        }
        town_settle(&town);
        assert_int_equal(times(plain[0], event), 1);
        assert_int_equal(times(plain[1], event), 1);
        assert_int_equal(times(far[0], event) + times(far[1], event), 1);
        assert_int_equal(times(all[0], event) + times(all[1], event) + times(all[2], event), 1);
        town_deinit(&town);
    }
}

static void test_a_connection_is_sent_away_wherever_it_is(void **state)
{
    struct town town;
    char text[200];
    begin(&town);
    struct peer *asker = join(&town, 0, "SUB in 1\r\n");
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct peer *peer = peer_connect(&town.workers[i].world, "\"protocol\":1");
        peer_say(peer, "PING\r\n");
        peer_forget(peer);
        int digits = snprintf(NULL, 0, "%llu", (unsigned long long)((struct connection *)peer->context)->id);
        for (int kick = 0; kick < 2; kick++) {
            snprintf(text, sizeof(text), "PUB $SYS.REQ.SERVER.ID.%s in %d\r\n{\"cid\":%llu}\r\n", kick ? "KICK" : "LDM",
                     8 + digits, (unsigned long long)((struct connection *)peer->context)->id);
            peer_say(asker, text);
            town_settle(&town);
            assert_int_equal(times(asker, "MSG in 1 "), 1);
            if (!kick)
                assert_int_equal(times(peer, "\"ldm\":true"), 1);
        }
        assert_true(peer->closed);
    }
    town_deinit(&town);
}

static void test_one_says_that_there_is_no_such_connection(void **state)
{
    static const char *const asked[] = {"{\"cid\":901}", "{\"cid\":902}", "{\"cid\":903}", "{\"cid\":-90}",
                                        "{\"cid\":000}", "{\"cud\":001}", "{\"cid\":0.5}", "{\"cid\":{}}]"};
    static const char *const what[] = {"KICK", "LDM"};
    struct town town;
    char text[200];
    begin(&town);
    for (uint32_t worker = 0; worker < WORKERS; worker++) {
        struct peer *asker = join(&town, worker, "SUB in 1\r\n");
        for (size_t i = 0; i < 2 * sizeof(asked) / sizeof(asked[0]); i++) {
            snprintf(text, sizeof(text), "PUB $SYS.REQ.SERVER.ID.%s in 11\r\n%s\r\n", what[i % 2], asked[i / 2]);
            peer_say(asker, text);
            town_settle(&town);
            assert_int_equal(times(asker, "\"error\":{\"code\":500,\"description\":\"no such client\"}}\r\n"), 1);
        }
    }
    town_deinit(&town);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_server_is_heard_once_by_everybody),
        cmocka_unit_test(test_a_connection_is_sent_away_wherever_it_is),
        cmocka_unit_test(test_one_says_that_there_is_no_such_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
