// SPDX-License-Identifier: Apache-2.0
// What clients saw, and whether the server was allowed to do that. The model knows nothing of the server's inside: it is told what
// clients send, when the node got it, and what came back, and derives from that what is owed and what is forbidden:
//
//   M1 every message that was acknowledged is delivered to every consumer that began before it, and is readable at the end
//   M2 nothing is delivered that was not published; payload and channel are what was sent; a refused message never appears
//   M3 a sequence names one message with one time for ever; sequences have no gaps, times do not go back
//   M4 first deliveries of a consumer leave in the order of sequences
//   M5 first attempts of one publisher on one connection have increasing sequences
//   M6 a message published again within the window is stored once
//   M7 a member gets no new message while it has MaxInflight unacknowledged ones
//   M8 a message is delivered again only where section 6 of ARCHITECTURE.md allows it; a synced acknowledgement is final
//   M9 a redelivery says so, and its count is at least the number of deliveries before it
//   M10 with a maximum age (and no other limit) nothing younger is gone, and nothing much older is delivered
//
// Times are virtual. What a client knows is late; where the truth is not known exactly, the model is lenient.
#pragma once

#include "base/buffer.h"
#include "sim_net.h"
#include "sim_trace.h"

enum sim_publish_state {
    SIM_PUBLISH_OPEN,     // no answer yet
    SIM_PUBLISH_ACCEPTED, // a PubAck without an error came
    SIM_PUBLISH_REFUSED,  // only errors came, and each says that nothing was stored
    SIM_PUBLISH_UNKNOWN,  // given up, or the error leaves it open
};

// One message that a client wants stored, however often it sends it.
struct sim_publish {
    uint32_t id; // position in sim_model.publishes; its guid and payload follow from it
    uint32_t channel;
    uint32_t client;
    uint32_t size; // payload bytes
    uint8_t state; // enum sim_publish_state
    uint32_t attempts;
    uint32_t refusals;
    uint64_t connection;        // link number of the first attempt
    uint64_t first_ns, last_ns; // of the attempts, as sent
    uint64_t consumed_ns;       // the node got the last attempt; 0: not known
    uint64_t accepted_ns;
    uint64_t sequence; // as delivered; 0: never seen
    uint64_t copies;   // sequences that hold it
};

// As ST-M12 has them.
enum sim_start { SIM_START_NEW, SIM_START_LAST, SIM_START_DELTA, SIM_START_SEQUENCE, SIM_START_FIRST };

struct sim_sub_request {
    uint32_t client, channel;
    char durable[16], group[16]; // "" for none
    enum sim_start start;
    uint64_t start_sequence;
    uint32_t max_in_flight;
    uint64_t ack_wait_ns;
};

// A subscription: one SubscriptionRequest and what became of it. Never freed within a run.
enum sim_sub_state { SIM_SUB_REQUESTED, SIM_SUB_OPEN, SIM_SUB_CLOSING, SIM_SUB_ENDED };

struct sim_sub {
    uint32_t id;
    uint32_t client;
    struct sim_consumer *consumer;
    uint8_t state; // enum sim_sub_state
    uint32_t max_in_flight;
    uint64_t ack_wait_ns;
    char inbox[48];
    char ack_inbox[96];
    struct sim_sub_request request;
    uint64_t requested_ns, opened_ns;
    uint64_t released_ns; // the server may give its messages to others from here on; UINT64_MAX: no reason to
    uint64_t gone_ns; // the node saw its connection end, or started, and has not seen its inbox since; 0: it is there
    uint64_t grace_over_ns; // when it was last gone for longer than the grace; 0: never
    uint64_t link;          // number of the link on which the node knows its inbox
    uint64_t epoch;         // grows when its connection or the node is lost: what is in flight is then not known
    uint64_t first_last;    // highest first delivery within this life of the node
};

// What happened to one sequence at one consumer.
struct sim_held {
    uint32_t deliveries;       // seen by any member
    uint32_t epoch_deliveries; // in this life of the node
    uint64_t life;             // of the node, at the last delivery
    struct sim_sub *holder;    // of the last delivery
    uint64_t holder_epoch;
    uint32_t last_count;    // redelivery count of the last delivery
    struct sim_stamp last;  // of the last delivery
    struct sim_stamp first; // of the first delivery (not redelivered) in `first_life`
    uint64_t first_life;    // 0: none
    bool delivery_synced;   // a restart knows of the last delivery
    uint32_t naks;          // it was given back so often, and did not come again early for it yet
    uint64_t nak_due_ns;    // not before this, if naks
    uint32_t uncounted;     // deliveries of which the client said that they do not count
    bool ack_sent;
    bool ack_seen; // the node got one
    bool ack_synced;
    uint64_t ack_ns; // the node got one that it cannot but accept; 0: not known
    uint64_t ack_life;
};

struct sim_consumer {
    uint32_t id;
    char key[64]; // what makes two subscriptions share it
    uint32_t channel;
    bool durable;
    bool group;
    bool certain;                     // its start is known: nothing unclear happened while it was created
    struct sim_sub_request request;   // its first subscription's
    uint64_t requested_ns, opened_ns; // of its first subscription
    uint64_t low;                     // smallest sequence seen; 0: none
    struct sim_held *held;            // owned; by sequence
    size_t held_count;
    bool ended;   // gone from the server
    bool unclear; // whether it is gone nobody knows: its end was asked for and never answered
};

struct sim_stored {
    uint32_t publish; // id + 1; 0: not seen
    uint64_t time_ns;
};

struct sim_channel {
    char name[24];
    struct sim_stored *stored; // owned; by sequence
    size_t stored_count;
    uint64_t last_sequence; // highest seen
};

enum { SIM_CHANNELS_MAX = 8 };

struct sim_model {
    struct sim_trace *trace; // borrowed
    struct sim_publish **publishes;
    size_t publish_count, publish_capacity;
    struct sim_sub **subs;
    size_t sub_count, sub_capacity;
    struct sim_consumer **consumers;
    size_t consumer_count, consumer_capacity;
    struct sim_channel channels[SIM_CHANNELS_MAX];
    uint32_t channel_count;
    struct sim_consumer *readers[SIM_CHANNELS_MAX]; // at the end: what can be read from the first message on
    uint64_t life;                                  // of the node, from 1
    uint64_t window_ns;                             // duplicate window
    uint64_t grace_ns;                              // disconnect grace
    bool has_workers;                               // several
    bool limited;                                   // channels have limits: the oldest messages may go
    bool
        keeps_unfinished; // limited, but what a consumer has not finished is not dropped: publishes are refused instead
    uint64_t max_age_ns;  // 0: none
    bool only_aged;       // limited by nothing but that
    uint64_t now_ns, wall_ns, wall_max_ns;         // virtual time; the wall clock, and the latest that it ever showed
    uint64_t jump_ns;                              // when the wall clock last jumped forward; 0: never
    uint64_t crash_ns;                             // when the node last died or started; 0: never
    uint64_t synced_ns;                            // what the node got before this is on the disk
    bool disk_healthy;                             // since the last start: no failure was injected
    bool disk_small;                               // the disk may be full
    bool stopping;                                 // the node was told to stop
    bool reads_fail;                               // since the last start one may have: what it was for comes later
    uint64_t deliveries, redeliveries, duplicates; // counts, to show that a run did something
};

void sim_model_init(struct sim_model *model, struct sim_trace *trace, uint32_t channels);
void sim_model_deinit(struct sim_model *model);

// The clocks, as they are from now on.
void sim_model_clock(struct sim_model *model, uint64_t now_ns, uint64_t wall_ns);

// --- publishing
struct sim_publish *sim_model_publish_new(struct sim_model *model, uint32_t client, uint32_t channel, uint32_t size);
void sim_model_publish_sent(struct sim_model *model, struct sim_publish *publish, uint64_t connection, uint64_t now_ns);
// error.len 0: success. `connection`: on which the answer came.
void sim_model_publish_answered(struct sim_model *model, struct sim_publish *publish, struct bytes error,
                                uint64_t now_ns);
// Writes the guid, NUL-terminated; appends the payload.
void sim_publish_guid(const struct sim_publish *publish, char ret_guid[32]);
void sim_publish_payload(const struct sim_model *model, const struct sim_publish *publish, struct buffer *out);

// --- subscribing
// Finds or makes the consumer.
struct sim_sub *sim_model_sub_new(struct sim_model *model, const struct sim_sub_request *request, uint64_t now_ns);
void sim_model_sub_opened(struct sim_model *model, struct sim_sub *sub, uint64_t now_ns);
// The client asks for its end, or asks for a second time.
void sim_model_sub_ending(struct sim_model *model, struct sim_sub *sub, uint64_t now_ns);
// It was answered (unsubscribe: a durable goes with its last member), or its client died or gave up.
void sim_model_sub_ended(struct sim_model *model, struct sim_sub *sub, bool unsubscribe, bool answered,
                         uint64_t now_ns);
// The node saw a link end, and saw an inbox on one.
void sim_model_link_gone(struct sim_model *model, uint64_t link, uint64_t now_ns);
void sim_model_sub_back(struct sim_model *model, struct sim_sub *sub, uint64_t link, uint64_t now_ns);

// --- delivery
struct sim_delivery {
    uint64_t sequence, time_ns;
    uint32_t redelivery_count;
    bool redelivered;
    struct bytes subject, data;
    struct sim_stamp stamp;
};
void sim_model_delivered(struct sim_model *model, struct sim_sub *sub, const struct sim_delivery *delivery,
                         uint64_t now_ns);
// An acknowledgement, or the word that the message is dead: either way it is finished. Returns in which life of the node the delivery
// was that it answers.
uint64_t sim_model_ack_sent(struct sim_model *model, struct sim_sub *sub, uint64_t sequence);
// The client gives it back for so long. `counts`: that was a delivery.
void sim_model_given_back(struct sim_model *model, struct sim_sub *sub, uint64_t sequence, uint64_t delay_ns,
                          bool counts);
// The node may have got it.
void sim_model_ack_maybe(struct sim_sub *sub, uint64_t sequence);
// `life`: of sim_model_ack_sent().
void sim_model_ack_consumed(struct sim_model *model, struct sim_sub *sub, uint64_t sequence, uint64_t life,
                            uint64_t now_ns);

// Nobody used it for long enough: it must be gone by now, with what it held, and begins anew with its next message.
void sim_model_channel_gone(struct sim_model *model, uint32_t channel);

// --- the node
void sim_model_crashed(struct sim_model *model, uint64_t now_ns);
void sim_model_started(struct sim_model *model, uint64_t now_ns);

// --- at the end, when nothing is under way: what is owed has been paid (M1, M3, M5, M6).
// Is something still owed to living consumers? Tells what, for failures.
bool sim_model_is_owed(const struct sim_model *model, char *ret_text, size_t size);
void sim_model_check_end(struct sim_model *model);
