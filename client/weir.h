// SPDX-License-Identifier: Apache-2.0
// libweir: publishes messages to Weir (or nats-streaming-server), subscribes to them, and says what is pending.
//
// Two kinds of handle. A `weir_client` is one client id at one server, with everything that NATS Streaming has and what Weir adds
// (giving back, extending and terminating a message, the backlog of a subscription). A `weir_fleet` is the same for several servers that
// know nothing of each other: it subscribes at all of them, publishes to any that takes the message, and brings everything back after
// an outage. A program that has one server today and may have three tomorrow takes a fleet of one.
//
//     struct weir_client_options options;
//     weir_client_options_init(&options);
//     options.servers = "nats://127.0.0.1:4222";
//     options.client_id = "thumbnailer-1";
//     struct weir_client *client;
//     struct weir_error error;
//     if (weir_client_open(&options, &client, &error) != 0)
//         return complain(error.text);
//     weir_client_publish(client, "pictures", data, data_bytes, NULL, &error);
//
// General rules
//
// - Results. A function that can fail returns 0 or a negative `WEIR_ERR_*`; weir_strerror() says it in words. Many also take `ret_error`
//   (may be NULL), which then has the same code and a sentence for people: what was wrong, where, and what the server said. It is
//   written on failure only. Other `ret_` parameters are untouched on failure.
// - Options are structs of the caller's memory. Call their `…_init()` first: it sets all to 0, and the size, by which the library
//   knows which fields the caller was compiled with. A 0 or NULL is the default that the field's comment names. They are copied.
// - Units are in the names: `_ms` milliseconds, `_ns` nanoseconds, `_bytes` bytes. A time in options is at most a year (else WEIR_ERR_INVALID); what waits
//   because a parameter says how long may wait for ever (INT64_MAX). Text is UTF-8 and ends with a NUL; payloads are bytes.
// - Threads. Every function may be called from any thread at the same time, except that nothing may use a handle during or after
//   the call that frees it. Callbacks come from threads of the library, as each type of callback says. Waiting in one is allowed (that is what
//   a slow worker does) and holds up only what its comment names.
// - A channel is words joined by dots, at most 4 KiB, without blanks and wildcards (* and >); what else a server does not take in one (/) it refuses itself.
// - Processes. Do not fork() with a handle open and use it in the child. The library has no state of its own outside its handles; that of
//   libnats, which it uses, is freed by nats_Close() if a program wants to end without memory in use.
// - A symbol's version says since when it has been there: WEIR_1 for everything here. Structs whose fields are shown grow only at their end.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEIR_API      __attribute__((visibility("default")))
#define WEIR_MUST_USE __attribute__((warn_unused_result))
#else
#define WEIR_API
#define WEIR_MUST_USE
#endif

// ---- Errors

enum weir_result {
    WEIR_OK = 0,           // done
    WEIR_ERR_INVALID = -1, // an argument makes no sense, or the call is not allowed in this callback; nothing was done
    WEIR_ERR_MEMORY = -2,  // out of memory, or no thread could be started
    WEIR_ERR_UNREACHABLE = -3,   // no connection to the server, or it was refused there
    WEIR_ERR_AUTHORIZATION = -4, // user, password, token, key or certificate were not accepted
    WEIR_ERR_NO_CLUSTER = -5,    // the server is there, and nobody serves this cluster id
    WEIR_ERR_TIMEOUT = -6,       // no answer in time. Of a publish: it may have been stored all the same
    WEIR_ERR_REFUSED = -7, // the server said no; ret_error has its words, such as "stan: clientID already registered"
    WEIR_ERR_TOO_BIG =
        -8, // larger than the server takes (max_payload), or a name or id of more than 255 bytes (a channel: 4 KiB)
    WEIR_ERR_LIMIT = -9, // as many unacknowledged publishes as max_publishes_in_flight, and this callback must not wait
    WEIR_ERR_LOST =
        -10, // the server has given this client up, or another one took its client id: it is of no use any more
    WEIR_ERR_CLOSED = -11,    // the handle, or what the message came by, was closed
    WEIR_ERR_PROTOCOL = -12,  // an answer that is not one
    WEIR_ERR_NOT_FOUND = -13, // no such server in this fleet
};

enum { WEIR_ERROR_TEXT_BYTES = 1024 };

// Filled on failure. It has no owner: the text is in it.
struct weir_error {
    int code;                         // the value that was returned
    char text[WEIR_ERROR_TEXT_BYTES]; // for people; cut off at its end if need be
};

// What a result means, in a few words; static, never NULL, also for numbers that are none.
WEIR_API const char *weir_strerror(int result);

// The library's version, "0.1.0"; static.
WEIR_API const char *weir_version(void);

// ---- Client

struct weir_client;
struct weir_sub;
struct weir_msg;

enum weir_event {
    WEIR_EVENT_DISCONNECTED =
        1, // the connection broke. It is being made again, without end; subscriptions and publishes under way go on then
    WEIR_EVENT_RECONNECTED = 2, // it is there again
    WEIR_EVENT_LOST =
        3, // the end: see WEIR_ERR_LOST. Comes once, and nothing comes after it. Free the client and open another one
};

// Called for each event of a client, one after the other, on a thread of that client. While it runs, no other event is reported, no
// ping is sent and no deadline of an asynchronous publish is looked at. `why` is valid during the call. It must not free the client.
typedef void weir_event_fn(struct weir_client *client, enum weir_event event, const char *why, void *closure);

struct weir_client_options {
    size_t size_bytes;   // set by weir_client_options_init()
    const char *servers; // URLs with commas between them: ways to one and the same server. NULL: nats://127.0.0.1:4222
    const char *cluster_id;     // NULL: test-cluster
    const char *client_id;      // letters, digits, - and _; one client at a time may have it. NULL: one that nobody has
    const char *name;           // of the connection, as the server's monitoring shows it. NULL: the client id
    const char *user;           // may also be in the URL, with its password. NULL: none
    const char *password;       // of the user; forgotten when the client is freed. NULL: none
    const char *token;          // NULL: none
    const char *nkey_public;    // the public part of an nkey. NULL: none
    const char *nkey_seed_file; // the file with its seed
    const char *credentials_file; // of a user with a JWT. NULL: none
    bool tls;                     // speak TLS (also if a server's URL begins with tls://)
    bool tls_insecure;            // do not look at the server's certificate
    const char *tls_ca_file;      // who may have signed the server's certificate (PEM). NULL: the system's authorities
    const char *tls_cert_file;    // our certificate (PEM), for servers that ask for one. NULL: none
    const char *tls_key_file;     // its key (PEM)
    const char *discover_prefix;  // NULL: _STAN.discover
    int64_t connect_timeout_ms;   // for the connection, and again for the answer to "who are you". 0: 2,000
    int64_t request_timeout_ms;   // for the answer to subscribe, unsubscribe, close and backlog. 0: 10,000
    int64_t publish_timeout_ms;   // for the acknowledgement of a publish that does not say. 0: 30,000
    uint32_t
        max_publishes_in_flight; // asynchronous ones that wait for their acknowledgement; then publishing waits. 0: 16,384
    int64_t ping_interval_ms;    // between pings to the server, whole seconds. 0: 5,000
    uint32_t ping_max_out;       // so many unanswered ones end the client (WEIR_EVENT_LOST), at least 2. 0: 88
    int64_t reconnect_wait_ms; // between attempts to reconnect; up to half of it is added at random. 0: 250
    weir_event_fn *on_event;   // NULL: none
    void *closure;             // for on_event
};

static inline void weir_client_options_init(struct weir_client_options *options)
{
    memset(options, 0, sizeof(*options));
    options->size_bytes = sizeof(*options);
}

// Connects, and registers the client id (ST-P01). Waits at most twice connect_timeout_ms. The handle is the caller's; weir_client_free() ends
// it. WEIR_ERR_UNREACHABLE, _AUTHORIZATION, _NO_CLUSTER, _TIMEOUT, _REFUSED (client id in use, or not allowed), _INVALID (also of
// a URL that is none), _MEMORY.
WEIR_API int weir_client_open(const struct weir_client_options *options, struct weir_client **ret_client,
                              struct weir_error *ret_error) WEIR_MUST_USE;

// Says goodbye to the server, so that what this client holds goes to others at once; then disconnects. Durables stay. Handlers that run
// are not waited for, nobody is called any more who was not running. Publishes without an acknowledgement end with WEIR_ERR_CLOSED.
// What could not be said (no connection) is an error, and the client is closed nonetheless. Calling it again does nothing.
WEIR_API int weir_client_close(struct weir_client *client, struct weir_error *ret_error);

// Closes the client if it is open, waits until handlers that run (other than the caller's) have returned, and frees it together with those
// of its subscriptions that were not freed yet: their handles are gone then. Messages that were kept stay valid. Not from a callback
// of this client. NULL is allowed.
WEIR_API void weir_client_free(struct weir_client *client);

// The client id, as given or made up; valid as long as the client.
WEIR_API const char *weir_client_id(const struct weir_client *client);

// True between WEIR_EVENT_RECONNECTED (or the beginning) and WEIR_EVENT_DISCONNECTED or _LOST.
WEIR_API bool weir_client_is_connected(struct weir_client *client);

// ---- Publishing

struct weir_publish_options {
    size_t size_bytes; // set by weir_publish_options_init()
    const char *
        id; // of the message, at most 255 bytes, no control characters: what Weir has from this client id in this channel already (within its duplicate
    // window) is acknowledged and not stored again. NULL: one that nobody has
    const char *reply;  // handed to subscribers as it is. NULL: none
    int64_t timeout_ms; // for everything until the acknowledgement, reconnections included. 0: publish_timeout_ms
    const char *
        key; // of a fleet only: publishes with the same key go to the same server as long as that lives. NULL: any server
    size_t *
        ret_server; // of weir_fleet_publish() only: receives the index of the server that acknowledged. NULL: nobody asks
};

static inline void weir_publish_options_init(struct weir_publish_options *options)
{
    memset(options, 0, sizeof(*options));
    options->size_bytes = sizeof(*options);
}

// Stores a message in a channel and waits until the server has acknowledged it: then it is on the server's disk. While there is no
// connection it waits for one; a publish whose acknowledgement may have been lost is sent again with the same id. `options` may be NULL.
// WEIR_ERR_TIMEOUT: nobody knows whether it was stored; publishing again with the same id is safe. WEIR_ERR_REFUSED, _TOO_BIG, _INVALID,
// _LOST, _CLOSED. Not from a weir_published_fn of this client (WEIR_ERR_INVALID): it would wait for itself.
WEIR_API int weir_client_publish(struct weir_client *client, const char *channel, const void *data, size_t data_bytes,
                                 const struct weir_publish_options *options,
                                 struct weir_error *ret_error) WEIR_MUST_USE;

// The end of an asynchronous publish: `result` is 0 when it was acknowledged, else as of weir_client_publish(); `id` is the message's, `why` a
// sentence ("" if all is well); both are valid during the call. Called exactly once for each publish that was accepted, on a thread of the library,
// one at a time for a client; while it runs no other publish of that client ends. It may publish asynchronously, and close the client; the others end within that call then.
typedef void weir_published_fn(int result, const char *id, const char *why, void *closure);

// The same without waiting: returns when the message is on its way, or will be as soon as there is a connection. Data and texts are copied.
// Publishes of one client arrive in the order in which they were made, except that of those which are made while a connection breaks one may get
// ahead of those that have to be sent again. Waits, at most for the publish's own time, while
// max_publishes_in_flight are unacknowledged; within a weir_published_fn it returns WEIR_ERR_LIMIT instead. On failure `on_published` is not
// called. `on_published` may be NULL. Else it fails as weir_client_publish() does: WEIR_ERR_TIMEOUT (no room in time), _TOO_BIG, _INVALID, _LOST, _CLOSED,
// _MEMORY.
WEIR_API int weir_client_publish_async(struct weir_client *client, const char *channel, const void *data,
                                       size_t data_bytes, const struct weir_publish_options *options,
                                       weir_published_fn *on_published, void *closure,
                                       struct weir_error *ret_error) WEIR_MUST_USE;

// Waits until every asynchronous publish made before has ended, well or not. WEIR_ERR_TIMEOUT: not within that time.
WEIR_API int weir_client_flush(struct weir_client *client, int64_t timeout_ms) WEIR_MUST_USE;

// ---- Subscribing

// Where a subscription begins. A durable, or a group that is there already, goes on where it is, whatever this says (ST-B05).
enum weir_start {
    WEIR_START_NEW = 0,      // with what is published from now on
    WEIR_START_LAST = 1,     // with the last message there is
    WEIR_START_AGO = 2,      // with the first that is not older than start_ago_ns
    WEIR_START_SEQUENCE = 3, // with start_sequence, or the first after it that there is
    WEIR_START_FIRST = 4,    // with the first there is
};

struct weir_sub_options {
    size_t size_bytes;       // set by weir_sub_options_init()
    const char *group;       // members of a queue group share its messages. NULL: a subscription by itself
    const char *durable;     // its position outlives the client; with a group: the group's does. NULL: not durable
    enum weir_start start;   // where it begins, if nothing is there that it goes on with
    uint64_t start_sequence; // for WEIR_START_SEQUENCE
    int64_t start_ago_ns;    // for WEIR_START_AGO
    uint32_t max_in_flight;  // unacknowledged messages that the server lets this subscription have. 0: 1,024
    int64_t ack_wait_ms;     // then an unacknowledged message is delivered again; whole seconds, rounded up. 0: 30,000
    bool manual_ack;         // the program acknowledges; else the library does when the handler has returned
};

static inline void weir_sub_options_init(struct weir_sub_options *options)
{
    memset(options, 0, sizeof(*options));
    options->size_bytes = sizeof(*options);
}

// Called for each message, one at a time for a subscription, on a thread of that subscription: a slow handler holds up nothing else. The message
// is valid until the handler returns, or longer with weir_msg_keep(). It may close or unsubscribe its own subscription, not free it or its client.
typedef void weir_message_fn(struct weir_msg *msg, void *closure);

// Subscribes to a channel (ST-P03). Messages come from now on, possibly before this returns. `options` may be NULL. The handle is the caller's,
// ends with weir_sub_free(), and at the latest with the client. WEIR_ERR_REFUSED: the server's words, as of "stan: duplicate durable
// registration"; _TIMEOUT, _INVALID, _TOO_BIG, _LOST, _CLOSED, _UNREACHABLE (not connected), _MEMORY.
WEIR_API int weir_client_subscribe(struct weir_client *client, const char *channel,
                                   const struct weir_sub_options *options, weir_message_fn *on_message, void *closure,
                                   struct weir_sub **ret_sub, struct weir_error *ret_error) WEIR_MUST_USE;

// Ends the subscription and keeps what is durable of it (ST-P05). What it holds goes to others at once. The handler is not called again.
// On failure the server keeps the subscription until the client is closed: WEIR_ERR_TIMEOUT (no answer), _UNREACHABLE (no connection), _REFUSED,
// _LOST, _CLOSED. Calling it again does nothing.
WEIR_API int weir_sub_close(struct weir_sub *sub, struct weir_error *ret_error);

// The same, and a durable is deleted, or a durable group with its last member (ST-P04). Fails as weir_sub_close() does.
WEIR_API int weir_sub_unsubscribe(struct weir_sub *sub, struct weir_error *ret_error);

// Closes the subscription if it is open, waits until its handler has returned, and frees it. Not from its handler. NULL is allowed.
WEIR_API void weir_sub_free(struct weir_sub *sub);

// The channel; valid as long as the subscription.
WEIR_API const char *weir_sub_channel(const struct weir_sub *sub);

// What this client holds: messages that have arrived and are not done. They wait for the handler, are in it, or were kept and neither acknowledged,
// given back, terminated nor freed. `ret_bytes` counts what came over the wire, that is payloads and about 40 bytes for each message.
// Either may be NULL. Asks nobody, waits for nothing.
WEIR_API void weir_sub_pending(struct weir_sub *sub, uint64_t *ret_messages, uint64_t *ret_bytes);

// What the server has for the subscription's group or durable (or itself, if it is neither): everything that is not finished. Bytes are as the
// server counts them: payloads, and what it keeps beside each.
struct weir_backlog {
    uint64_t messages;           // the sum of waiting_messages and in_flight_messages
    uint64_t bytes;              // the sum of their bytes
    uint64_t waiting_messages;   // never delivered yet
    uint64_t waiting_bytes;      // of those
    uint64_t in_flight_messages; // delivered to a member and not finished, or to be delivered again
    uint64_t in_flight_bytes;    // of those
    uint64_t dead_messages;      // given up, and still stored; not part of the sum
    uint64_t members;            // subscriptions that share it
    int64_t
        oldest_age_ms; // since the oldest of `messages` was published; -1: there is none, or the server does not know
};

// Asks the server (`+INFO` at the ack inbox; no permission for the admin API is needed). WEIR_ERR_TIMEOUT: no answer, be it that the server does not
// know the question, as nats-streaming-server does not; _REFUSED, _CLOSED, _LOST, _UNREACHABLE, _PROTOCOL.
WEIR_API int weir_sub_backlog(struct weir_sub *sub, struct weir_backlog *ret_backlog,
                              struct weir_error *ret_error) WEIR_MUST_USE;

// Gives back everything that the subscription holds, delivered to its handler or not (`-NAK` without a number). Not counted: the deliveries
// count neither as attempts nor as redeliveries. What the server then sends may come here again; see weir_sub_close().
// WEIR_ERR_CLOSED, _LOST, _UNREACHABLE, _MEMORY: as for messages, below.
WEIR_API int weir_sub_nak_all(struct weir_sub *sub, bool count);

// The beginning of an orderly end: the handler is not called any more. What waits for it, and what still comes, is given back: not counted, and
// to be delivered elsewhere after a twentieth of a second (at once, the server might choose this subscription again). What the program
// has kept is its own to finish, extend or give back, as before; given back, it waits for that twentieth too. weir_sub_close() comes after it.
WEIR_API void weir_sub_stop(struct weir_sub *sub);

// ---- Messages. These functions may be called on any thread as long as the message is valid.

// Its number in the channel, from 1 on.
WEIR_API uint64_t weir_msg_sequence(const struct weir_msg *msg);
// The payload: valid as long as the message, not ended by a NUL. Never NULL.
WEIR_API const void *weir_msg_data(const struct weir_msg *msg);
WEIR_API size_t weir_msg_data_bytes(const struct weir_msg *msg);
// Of the subscription; valid as long as the message.
WEIR_API const char *weir_msg_channel(const struct weir_msg *msg);
// What its publisher gave as reply, or NULL.
WEIR_API const char *weir_msg_reply(const struct weir_msg *msg);
// When it was stored, since 1970.
WEIR_API int64_t weir_msg_time_ns(const struct weir_msg *msg);
// Whether, and how often, it was delivered before.
WEIR_API bool weir_msg_is_redelivered(const struct weir_msg *msg);
WEIR_API uint32_t weir_msg_redeliveries(const struct weir_msg *msg);
// A NATS header of the message, or NULL if it has none of that name; valid as long as the message. Of several the first. For one message on
// one thread at a time.
WEIR_API const char *weir_msg_header(struct weir_msg *msg, const char *name);
// The index of the server that it came from (see weir_fleet_server_url()); 0 without a fleet.
WEIR_API size_t weir_msg_server(const struct weir_msg *msg);

// Within the handler: makes the message the program's, until weir_msg_free().
WEIR_API void weir_msg_keep(struct weir_msg *msg);
// Frees a message that was kept. What was not acknowledged by then is delivered again after its ack wait. NULL is allowed.
WEIR_API void weir_msg_free(struct weir_msg *msg);

// What follows is said to the server and not answered: 0 means that it is on its way, or will be when the connection is there again. WEIR_ERR_CLOSED:
// the subscription or its client was closed, and the server has given the message to others; _LOST: the same, by the server. _UNREACHABLE: there has
// been no connection for long, and 8 MiB are waiting to be said already; _MEMORY. All but weir_msg_ack() are Weir's own: other servers
// ignore them.

// Done: it does not come again (ST-P06). With manual_ack only, else WEIR_ERR_INVALID; otherwise it fails as said above.
WEIR_API int weir_msg_ack(struct weir_msg *msg);
// Still at work: the ack wait of this message begins anew. It fails as said above.
WEIR_API int weir_msg_extend(struct weir_msg *msg);
// Gives it back. It is delivered again after `delay_ms` (0: at once; at most a year), to whoever has room. `count`: it was an attempt, that is, it
// counts for redeliveries and for the channel's max_deliver. WEIR_ERR_INVALID: a delay that makes no sense; otherwise it fails as said above.
WEIR_API int weir_msg_nak(struct weir_msg *msg, int64_t delay_ms, bool count);
// Gives it up: it is dead, and not delivered again. Of `reason` (NULL: none) the server keeps 256 bytes. It fails as said above.
WEIR_API int weir_msg_term(struct weir_msg *msg, const char *reason);

// ---- Fleet

struct weir_fleet;
struct weir_fleet_sub;

enum weir_server_state {
    WEIR_SERVER_DOWN = 0,   // not connected; being tried without end
    WEIR_SERVER_UP = 1,     // takes and gives messages
    WEIR_SERVER_SILENT = 2, // connected, but did not answer in time lately: publishes go there last
};

// Called when a server's state changed, or for what went wrong there (`why`, valid during the call), such as why it cannot be reached; the same
// only once in a row. On a thread of that server. It must not free the fleet.
typedef void weir_fleet_event_fn(struct weir_fleet *fleet, size_t server, enum weir_server_state state, const char *why,
                                 void *closure);

struct weir_fleet_options {
    size_t size_bytes;          // set by weir_fleet_options_init()
    const char *const *servers; // URLs, one for each server (each may be a list, as of weir_client_options)
    size_t servers_count;       // 1 to 64
    const struct weir_client_options
        *client;            // for all; its servers, on_event and closure are not looked at. NULL: the defaults
    int64_t try_timeout_ms; // a server that has not acknowledged a publish by then is passed over for another. 0: 2,000
    weir_fleet_event_fn *on_event; // NULL: none
    void *closure;                 // for on_event
};

static inline void weir_fleet_options_init(struct weir_fleet_options *options)
{
    memset(options, 0, sizeof(*options));
    options->size_bytes = sizeof(*options);
}

// Begins to connect to all servers, each on a thread of its own, and does not wait for them: see weir_fleet_wait(). The handle is the caller's;
// weir_fleet_free() ends it. The client id is the same at all servers; NULL makes one up. WEIR_ERR_INVALID (also of
// a URL that is none), _MEMORY.
WEIR_API int weir_fleet_open(const struct weir_fleet_options *options, struct weir_fleet **ret_fleet,
                             struct weir_error *ret_error) WEIR_MUST_USE;

// Waits until at least `count` servers are up (0: all). WEIR_ERR_TIMEOUT: they are not, and ret_error says of each why.
WEIR_API int weir_fleet_wait(struct weir_fleet *fleet, size_t count, int64_t timeout_ms,
                             struct weir_error *ret_error) WEIR_MUST_USE;

// As weir_client_close() and weir_client_free(), for all servers. Not from a callback of this fleet. Publishes under way end with
// WEIR_ERR_CLOSED. NULL is allowed. All weir_fleet_sub of it are gone then.
WEIR_API void weir_fleet_free(struct weir_fleet *fleet);

// As weir_client_id(); how many servers there are.
WEIR_API const char *weir_fleet_client_id(const struct weir_fleet *fleet);
WEIR_API size_t weir_fleet_servers(const struct weir_fleet *fleet);
// As it was given, without user and password; NULL if `server` is none. Valid as long as the fleet.
WEIR_API const char *weir_fleet_server_url(const struct weir_fleet *fleet, size_t server);
WEIR_API enum weir_server_state weir_fleet_server_state(struct weir_fleet *fleet, size_t server);

// Maintenance of one server: from now on nothing new is published there; what it has is still delivered here. Publishes under way
// end as usual, so nothing is lost and nothing waits. weir_fleet_undrain() ends it. A publish never goes to a drained server, even if all
// others are down. WEIR_ERR_NOT_FOUND.
WEIR_API int weir_fleet_drain(struct weir_fleet *fleet, size_t server);
WEIR_API int weir_fleet_undrain(struct weir_fleet *fleet, size_t server);
WEIR_API bool weir_fleet_is_drained(struct weir_fleet *fleet, size_t server);

// Stores a message at one server and waits for its acknowledgement. The server is picked at random, or by the options' key; one that is down,
// refuses, or says nothing within try_timeout_ms is passed over for the next, again and again until timeout_ms is over. All
// tries have the same id, so a server never has it twice; two servers may, if the first stored it and its acknowledgement did not come.
// WEIR_ERR_REFUSED: every server that takes publishes refused it. WEIR_ERR_UNREACHABLE: not one acknowledged it in time; none of them was connected.
// WEIR_ERR_TIMEOUT: the same, and at least one may have stored it. ret_error says of each server why. _TOO_BIG, _INVALID, _CLOSED.
WEIR_API int weir_fleet_publish(struct weir_fleet *fleet, const char *channel, const void *data, size_t data_bytes,
                                const struct weir_publish_options *options, struct weir_error *ret_error) WEIR_MUST_USE;

// The same without waiting, as weir_client_publish_async(); `on_published` may come on different threads at the same time. The order of
// publishes is kept at none of the servers. max_publishes_in_flight of the client options counts for the fleet. It
// fails as weir_client_publish_async() does; that all servers are away is no reason.
WEIR_API int weir_fleet_publish_async(struct weir_fleet *fleet, const char *channel, const void *data,
                                      size_t data_bytes, const struct weir_publish_options *options,
                                      weir_published_fn *on_published, void *closure,
                                      struct weir_error *ret_error) WEIR_MUST_USE;

// As weir_client_flush().
WEIR_API int weir_fleet_flush(struct weir_fleet *fleet, int64_t timeout_ms) WEIR_MUST_USE;

// Subscribes at every server that is up and, as soon as they come, at the others; and again whenever a server has forgotten it (it came back
// without its data, or had given this client up). A subscription that is neither durable nor in a group begins anew then, as `options` say.
// `on_message` may be called for different servers at the same time. The handle is the caller's, ends with weir_fleet_sub_free(), and at the latest with
// the fleet. If a server that is up refuses it, that is the result and there is no subscription. WEIR_ERR_REFUSED, _INVALID, _TOO_BIG, _MEMORY, _CLOSED.
WEIR_API int weir_fleet_subscribe(struct weir_fleet *fleet, const char *channel, const struct weir_sub_options *options,
                                  weir_message_fn *on_message, void *closure, struct weir_fleet_sub **ret_sub,
                                  struct weir_error *ret_error) WEIR_MUST_USE;

// As weir_sub_stop(), at all servers.
WEIR_API void weir_fleet_sub_stop(struct weir_fleet_sub *sub);

// As weir_sub_close(), _unsubscribe() and _free(), at all servers. Servers that could not be told are named in ret_error; one
// that never had the subscription has nothing to be told, but for the durable that weir_fleet_sub_unsubscribe() is to delete there.
WEIR_API int weir_fleet_sub_close(struct weir_fleet_sub *sub, struct weir_error *ret_error);
WEIR_API int weir_fleet_sub_unsubscribe(struct weir_fleet_sub *sub, struct weir_error *ret_error);
WEIR_API void weir_fleet_sub_free(struct weir_fleet_sub *sub);

// For `server`: its index, or WEIR_ALL_SERVERS for the sum.
#define WEIR_ALL_SERVERS ((size_t)-1)

// As weir_sub_pending(). WEIR_ERR_NOT_FOUND: no such server.
WEIR_API int weir_fleet_sub_pending(struct weir_fleet_sub *sub, size_t server, uint64_t *ret_messages,
                                    uint64_t *ret_bytes);

// As weir_sub_backlog(). The sum is of the servers that answered; ret_answers (may be NULL) says how many did, and oldest_age_ms is that of
// the oldest. If none answered, that is an error.
WEIR_API int weir_fleet_sub_backlog(struct weir_fleet_sub *sub, size_t server, struct weir_backlog *ret_backlog,
                                    size_t *ret_answers, struct weir_error *ret_error) WEIR_MUST_USE;

// As weir_sub_nak_all(), at all servers.
WEIR_API int weir_fleet_sub_nak_all(struct weir_fleet_sub *sub, bool count);

#ifdef __cplusplus
}
#endif
