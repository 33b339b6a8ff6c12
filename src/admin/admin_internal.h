// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// What the files of the admin API share. A request is a row of the table in admin_requests.c; its handler is called at the turn's end, and
// at the end of each later turn, until it says that it is through:
//
//            begun                    READY: changes proposed           durable
//   QUEUED ─────────► work() ──LATER─┐ ──────────────────────► HELD ──────────────► render(), answered
//                        ▲───────────┘
//                     FAILED ────────────────────────────────► HELD ──────────────► the error
//
// What an answer shows is looked up when it leaves, so it is what is durable by then.
#pragma once

#include "admin/admin_api.h"
#include "admin/admin_error.h"
#include "base/list.h"
#include "base/map_u64.h"
#include "codec/json_request.h"
#include "codec/json_writer.h"
#include "shard/hold.h"
#include "stan/stan_inspect.h"
#include "store/store.h"

enum {
    ADMIN_UNDER_WAY_MAX = 64,
    ADMIN_LIMIT_DEFAULT = 100,
    ADMIN_LIMIT_MAX = 1000,
    ADMIN_TURN_WORK = 1000,        // entries of lists and messages, per turn
    ADMIN_VISITS_MAX = 20000,      // groups that one answer looks at
    ADMIN_POLL_MS = 20,            // between two looks at what takes its time
    ADMIN_PATIENCE_MS = 5000,      // for what may never come
    ADMIN_JOBS_MAX = 64,           // of DLQ.REDRIVE that are remembered
    ADMIN_FOR_MAX_MS = 2147483647, // 24 days
    ADMIN_ACCOUNT = 1,             // `$G`
};

// The fields of requests, in the order of the table (admin_requests.c).
enum admin_field {
    FIELD_CHANNEL,
    FIELD_GROUP,
    FIELD_GROUP_ID,
    FIELD_CLIENT_ID,
    FIELD_MATCH,
    FIELD_AFTER,
    FIELD_LIMIT,
    FIELD_CONFIG,
    FIELD_RESET,
    FIELD_FOR_MS,
    FIELD_ALL,
    FIELD_BEFORE_SEQUENCE,
    FIELD_BEFORE_TIME,
    FIELD_KEEP,
    FIELD_FORCE,
    FIELD_TO_SEQUENCE,
    FIELD_TO_TIME,
    FIELD_TO,
    FIELD_STATE,
    FIELD_FROM_SEQUENCE,
    FIELD_SEQUENCE,
    FIELD_MAX_BYTES,
    FIELD_SEQUENCES,
    FIELD_MEMBER,
    FIELD_DELAY_MS,
    FIELD_COUNT,
    FIELD_REASON,
    FIELD_RATE,
    FIELD_JOB,
    FIELD_CID,
    FIELD_END,
};

#define FIELD_BIT(field) (UINT64_C(1) << (field))

// Of `config`, in the order of its table.
enum admin_config_field {
    CONFIG_MAX_MSGS,
    CONFIG_MAX_BYTES,
    CONFIG_MAX_AGE_MS,
    CONFIG_MAX_SUBS,
    CONFIG_MAX_INACTIVITY_MS,
    CONFIG_DISCARD,
    CONFIG_MAX_DELIVER,
    CONFIG_BACKOFF_MS,
    CONFIG_DEAD_LETTER,
    CONFIG_DISCONNECT_GRACE_MS,
    CONFIG_DUPLICATE_WINDOW_MS,
    CONFIG_END,
};

struct admin_config {
    uint64_t max_msgs, max_bytes, max_age_ms, max_subs, max_inactivity_ms, max_deliver, disconnect_grace_ms,
        duplicate_window_ms;
    struct bytes discard, dead_letter;
    struct json_request_numbers backoff_ms;
};

struct admin_fields {
    uint64_t present, config_present; // bits of enum admin_field, admin_config_field
    struct bytes channel, group, client_id, match, after, before_time, to_time, to, state, reason;
    uint64_t group_id, limit, for_ms, before_sequence, keep, to_sequence, from_sequence, sequence, max_bytes, member,
        delay_ms, rate, job, cid;
    bool reset, all, force, count;
    struct json_request_numbers sequences;
    struct admin_config config;
};

enum admin_step {
    ADMIN_READY,  // answered when ask->index is durable
    ADMIN_LATER,  // again in the next turn
    ADMIN_FAILED, // ask->error is set
};

// Over groups.
struct admin_sums {
    uint64_t waiting, waiting_bytes, in_flight, in_flight_bytes, dead, dead_bytes;
};

struct admin_ask;

struct admin_row {
    const char *name;
    uint64_t fields, required; // bits of enum admin_field
    bool view;                 // only shows
    enum admin_step (*work)(struct admin_api *api, struct admin_ask *ask);
};

// Something that was asked for.
struct admin_ask {
    struct list link; // api's
    uint64_t number;
    const struct admin_row *row;
    struct admin_fields fields;
    void *tree;           // owned; fields borrow from it
    admin_api_done *done; // NULL: forgotten
    void *owner;
    bool begun; // work() was called before
    bool held;
    uint64_t begun_ms;
    uint64_t index; // of the newest record that its answer says something about
    struct admin_error error;
    // Writes the answer. False: there is none any more; ask->error is set.
    bool (*render)(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
    // The handlers'.
    uint32_t stream, consumer, client; // ids
    struct admin_sums sums;
    uint64_t messages, bytes, count;
    int outcome;
    bool over;     // `outcome` is there
    bool awaiting; // the engine will call back
    uint64_t job;
    struct stream_purge purge;
    struct json_request_numbers not_found;
    struct store_fetch fetch;
    bool fetching, fetched;
};

struct admin_job;

struct admin_api {
    struct admin_api_options options;
    struct engine *engine; // the shard's
    struct store *store;
    struct list asks; // admin_ask, in the order in which they came
    size_t ask_count;
    struct map_u64 by_number;
    struct hold answers;
    uint64_t numbers, held_index;
    bool dropped;        // indexes up to held_index are given again
    struct buffer out;   // an answer
    struct buffer piece; // an entry of a list
    struct moment now;
    uint64_t start_ns;
    bool stopped;
    struct list jobs; // admin_job, the oldest first
    size_t job_count;
    uint64_t job_numbers;
};

// --- admin_requests.c
extern const struct json_request_table admin_request_table;
const struct admin_row *admin_request_find(struct bytes name);

static inline bool admin_has(const struct admin_ask *ask, enum admin_field field)
{
    return ask->fields.present & FIELD_BIT(field);
}

// --- admin_api.c
static inline struct engine_time admin_time(const struct admin_api *api)
{
    return (struct engine_time){api->now.mono_ns, api->now.wall_ns};
}
// Sets the error; returns ADMIN_FAILED.
enum admin_step admin_fail(struct admin_ask *ask, enum admin_code code, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// The same for an ERR_*; what was to be done: "pause the channel".
enum admin_step admin_fail_with(struct admin_ask *ask, int error, const char *what);
bool admin_is_patient(const struct admin_api *api, const struct admin_ask *ask);
// The answer is made when everything asked before has left.
enum admin_step admin_show(struct admin_ask *ask,
                           bool (*render)(struct admin_api *api, struct admin_ask *ask, struct buffer *out));

// --- admin_find.c: what a request is about. NULL: the error is set
struct stream *admin_find_channel(struct admin_api *api, struct admin_ask *ask);
struct consumer *admin_find_group(struct admin_api *api, struct admin_ask *ask);
// The same again by ask->stream and ask->consumer, which the former two set.
struct stream *admin_find_channel_again(struct admin_api *api, struct admin_ask *ask);
struct consumer *admin_find_group_again(struct admin_api *api, struct admin_ask *ask);
// Of a group: name as the API shows it, and whose it is. Borrowed, until something is applied.
struct bytes admin_find_group_name(const struct consumer *consumer, struct bytes *ret_client);
// Is the text such as a pattern in which * stands for anything?
bool admin_find_matches(struct bytes pattern, struct bytes text);

// --- admin_object.c: the objects of the document; `json` is within nothing
void admin_object_channel(struct admin_api *api, struct json_writer *json, struct stream *stream, size_t *visits);
// The fields of an object that is begun; `members` only if wanted.
void admin_object_put_group(struct admin_api *api, struct json_writer *json, struct consumer *consumer,
                            bool with_count);
void admin_object_member(struct admin_api *api, struct json_writer *json, const struct member *member);
void admin_object_put_time(struct json_writer *json, const char *key, uint64_t wall_ns);
// {"messages":…,"bytes":…}
void admin_object_put_amount(struct json_writer *json, const char *key, uint64_t messages, uint64_t bytes);
void admin_object_add(struct admin_sums *sums, const struct consumer *consumer);
// waiting, in_flight, dead
void admin_object_put_sums(struct json_writer *json, const struct admin_sums *sums);
// Answers that are one of these.
bool admin_object_render_channel(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
bool admin_object_render_group(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
// Ends an answer. False: it is too big; the error is set.
bool admin_object_finish(struct json_writer *json, struct admin_ask *ask);

// --- admin_page.c: a list, as far as it fits
struct admin_page {
    struct admin_api *api;
    struct buffer *out;
    size_t limit, count;
    uint64_t last[2]; // cursor of the newest entry
    bool full;
};
// The cursor of a request, all zeroes without one. False: the error is set.
bool admin_page_after(struct admin_ask *ask, uint64_t ret_after[2]);
void admin_page_begin(struct admin_page *page, struct admin_api *api, const struct admin_ask *ask, const char *name,
                      struct buffer *out);
// To write the next entry with. False: the page is full.
bool admin_page_entry(struct admin_page *page, struct json_writer *json);
// It is written. False: it has no room, so the page ends before it.
bool admin_page_put(struct admin_page *page, struct json_writer *json, uint64_t major, uint64_t minor);
// `more`: there are further ones; total: UINT64_MAX: not known. False: not even one fits.
bool admin_page_end(struct admin_page *page, struct admin_ask *ask, bool more, uint64_t total);

// --- admin_group_page.c: a list of groups
struct admin_groups {
    bool (*is_meant)(const struct admin_ask *ask, const struct consumer *consumer);
    void (*put)(struct admin_api *api, struct json_writer *json, struct consumer *consumer); // one object
    // How many are meant, of one channel or (NULL) of all; NULL: the answer does not say.
    uint64_t (*count)(struct admin_api *api, const struct admin_ask *ask, struct stream *only);
};
bool admin_group_page(struct admin_api *api, struct admin_ask *ask, struct buffer *out,
                      const struct admin_groups *groups);

// --- the handlers, by noun
enum admin_step admin_server_info(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_channel_list(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_channel_info(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_group_list(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_group_info(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_message_list(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_message_get(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_dlq_list(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_client_list(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_client_info(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_channel_create(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_channel_edit(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_channel_pause(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_channel_resume(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_channel_purge(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_channel_remove(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_group_pause(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_group_resume(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_group_seek(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_group_remove(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_message_release(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_message_kill(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_dlq_redrive(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_dlq_jobs(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_dlq_cancel(struct admin_api *api, struct admin_ask *ask);
enum admin_step admin_client_kick(struct admin_api *api, struct admin_ask *ask);
// The answer {"removed":true}.
enum admin_step admin_show_removed(struct admin_ask *ask);

// --- admin_jobs.c
bool admin_jobs_turn_end(struct admin_api *api);
uint64_t admin_jobs_next_deadline_ms(const struct admin_api *api);
void admin_jobs_free(struct admin_api *api);

// The read of a message is given up.
void admin_message_end(struct admin_api *api, struct admin_ask *ask);
