// SPDX-License-Identifier: Apache-2.0
// A NATS Streaming client as a state machine: what stan.go does, and what applications on it do, good and bad. It connects,
// publishes with a window, subscribes in every way, acknowledges now, late or not, answers heartbeats, pings, reconnects with the
// same identity after a reset (re-subscribing its inboxes), or dies and comes back as a new process. All that it does and sees goes
// to the model.
//
//   link:  DOWN ──connect──► GREETING ──INFO──► UP ──closed──► DOWN
//   stan:  NONE ──► CONNECTING ──ConnectResponse──► CONNECTED ──► CLOSING ──CloseResponse──► NONE
#pragma once

#include "base/buffer.h"
#include "base/prng.h"
#include "sim_model.h"
#include "sim_net.h"
#include "wire/parser.h"

enum sim_link_stage { SIM_LINK_DOWN, SIM_LINK_GREETING, SIM_LINK_UP };
enum sim_stan_stage { SIM_STAN_NONE, SIM_STAN_CONNECTING, SIM_STAN_CONNECTED, SIM_STAN_CLOSING };

enum sim_request_kind {
    SIM_REQUEST_CONNECT,
    SIM_REQUEST_SUBSCRIBE,
    SIM_REQUEST_SUB_CLOSE,
    SIM_REQUEST_UNSUBSCRIBE,
    SIM_REQUEST_CLOSE,
    SIM_REQUEST_PING,
};

// What a client is like. Percentages.
struct sim_habits {
    uint32_t ack_now, ack_late; // the rest: never, until it comes again
    bool verdicts;              // of the rest some is given back, and some said to be in progress
    uint32_t window;            // publishes without an answer
    uint32_t burst;             // publishes at once, at most
    uint32_t payload_max;       // bytes
    uint64_t think_ns;          // between acts, at most
    uint32_t republish;         // after a reconnect, else given up
    uint32_t publish_again;     // of accepted ones, soon after: a duplicate
    uint32_t subs_max;
    uint32_t end_sub, unsubscribe, end_client, die; // per mille of acts
};

struct sim_request {
    enum sim_request_kind kind;
    uint32_t token;
    struct sim_sub *sub;
    uint64_t deadline_ns;
};

// Something sent whose arrival at the node matters.
struct sim_transit {
    uint64_t position; // in the link's stream, behind it
    struct sim_sub *sub;
    uint64_t sequence;           // an acknowledgement; 0 with a sub: the inbox is subscribed
    uint64_t life;               // of the node, when it made the delivery that is acknowledged
    struct sim_publish *publish; // or NULL
};

struct sim_late {
    struct sim_sub *sub;
    uint64_t sequence, due_ns;
};

enum { SIM_CLIENT_REQUESTS = 32, SIM_CLIENT_SUBS = 32, SIM_CLIENT_LISTED = 4096 };

struct sim_client {
    struct sim_net *net;     // borrowed
    struct sim_model *model; // borrowed
    struct prng *prng;       // borrowed
    struct sim_habits habits;
    uint32_t index;
    uint32_t process; // grows with each death: the inboxes and the connection id differ
    bool calm;        // does nothing of its own, finishes what it owes
    bool anchor;      // never dies or ends a subscription
    bool reader;      // only made to read at the end
    uint64_t now_ns;

    struct sim_link *link; // borrowed; NULL: none
    uint8_t link_stage, stan_stage;
    uint64_t link_due_ns; // when to connect
    uint64_t act_due_ns, ping_due_ns;
    struct parser parser;
    struct buffer input, output;
    uint32_t next_token;

    struct sim_request requests[SIM_CLIENT_REQUESTS];
    size_t request_count;
    struct sim_sub *subs[SIM_CLIENT_SUBS]; // not ended
    size_t sub_count;
    struct sim_publish **window; // owned array: no answer yet
    size_t window_count;
    struct sim_transit *transit; // owned
    size_t transit_count;
    struct sim_late *late; // owned
    size_t late_count;
};

void sim_client_init(struct sim_client *client, uint32_t index, struct sim_net *net, struct sim_model *model,
                     struct prng *prng, const struct sim_habits *habits);
void sim_client_deinit(struct sim_client *client);

// Acts that are due.
void sim_client_act(struct sim_client *client, uint64_t now_ns);
uint64_t sim_client_next_ns(const struct sim_client *client);
// After a turn of the node: what it got.
void sim_client_poll(struct sim_client *client, uint64_t now_ns);

// The process dies; its link is closed, reset or left behind without a word.
enum sim_death { SIM_DEATH_CLOSE, SIM_DEATH_RESET, SIM_DEATH_SILENT };
void sim_client_die(struct sim_client *client, enum sim_death death);
// The link breaks; the client goes on. `silent`: the node is not told.
void sim_client_break(struct sim_client *client, bool silent);
// Asks for a subscription of this kind, if connected and not too many. False: not now.
bool sim_client_subscribe(struct sim_client *client, const struct sim_sub_request *request);
bool sim_client_end_sub(struct sim_client *client, struct sim_sub *sub, bool unsubscribe);
void sim_client_publish(struct sim_client *client, uint32_t channel, uint32_t size);
