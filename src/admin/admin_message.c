// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// MSG.LIST and MSG.GET: single messages, as they are stored and as a group has them. When they were published stands with the message, which
// may lie on disk: a list waits for what has to be read, not for ever.
#include "admin/admin_internal.h"
#include "base/memory.h"
#include "base/must.h"
#include "codec/base64.h"
#include "stan/member_data.h"
#include "wire/headers.h"

enum { LOOK_MAX = 20000, BATCH = 64, GET_DEFAULT = 65536, GET_ROOM = 8192, NS_PER_MS = 1000000 };

enum state { STATE_STORED, STATE_WAITING, STATE_IN_FLIGHT, STATE_REDELIVERY, STATE_DELAYED, STATE_DEAD, STATE_ANY };

static const char *const STATES[] = {
    [STATE_STORED] = "stored",         [STATE_WAITING] = "waiting", [STATE_IN_FLIGHT] = "in_flight",
    [STATE_REDELIVERY] = "redelivery", [STATE_DELAYED] = "delayed", [STATE_DEAD] = "dead",
};

// One message of a list.
struct entry {
    uint64_t sequence;
    enum state state;
    uint32_t size, attempts, member;
    uint64_t delivered_ns, deadline_ns;
    const struct dead_info *dead;
};

struct listing {
    struct admin_api *api;
    struct admin_ask *ask;
    struct admin_page page;
    struct stream *stream;
    struct consumer *consumer; // NULL: what is stored
    enum state wanted;
    uint64_t next; // to go on with
    bool more, reads;
};

static int state_of(struct admin_ask *ask, enum state *ret_state);
static bool render_list(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static bool listing_run(struct listing *listing, struct buffer *out);
static void list_stored(struct listing *listing, uint64_t from);
static void list_pending(struct listing *listing, uint64_t from);
static void list_waiting(struct listing *listing, uint64_t from);
static void list_messages(struct listing *listing, enum state what, uint64_t from);
static void list_dead(struct listing *listing, uint64_t from);
static bool put_entry(struct listing *listing, const struct entry *entry, uint64_t time_ns);
static bool find_and_put(struct listing *listing, const struct entry *entry);
static void put_dead(struct listing *listing, struct json_writer *json, const struct dead_info *dead);
static enum state pending_state(const struct pending_info *info);
static void on_fetched(struct store_fetch *fetch);
static bool render_get(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static void put_headers(struct json_writer *json, struct bytes block);
static void put_payload(struct json_writer *json, struct bytes payload);

// A dry run first: it asks for what has to be read.
enum admin_step admin_message_list(struct admin_api *api, struct admin_ask *ask)
{
    enum state state;
    bool grouped = admin_has(ask, FIELD_GROUP) || admin_has(ask, FIELD_GROUP_ID);
    if (!grouped && !admin_has(ask, FIELD_CHANNEL))
        return admin_fail(ask, ADMIN_BAD_REQUEST, "channel", "channel is missing");
    if (state_of(ask, &state) || (grouped ? !admin_find_group(api, ask) : !admin_find_channel(api, ask)))
        return ADMIN_FAILED;
    if (grouped == (state == STATE_STORED))
        return admin_fail(ask, ADMIN_BAD_REQUEST, "state",
                          grouped ? "`stored` is asked for without a group" : "this state is asked for with a group");
    struct listing listing = {.api = api, .ask = ask};
    buffer_clear(&api->out);
    if (!listing_run(&listing, &api->out))
        return ADMIN_FAILED;
    return listing.reads && admin_is_patient(api, ask) ? ADMIN_LATER : admin_show(ask, render_list);
}

enum admin_step admin_message_get(struct admin_api *api, struct admin_ask *ask)
{
    if (ask->fetched)
        return admin_show(ask, render_get);
    if (ask->fetching)
        return ADMIN_LATER;
    struct stream *stream = admin_find_channel(api, ask);
    if (!stream)
        return ADMIN_FAILED;
    ask->fetch = (struct store_fetch){.stream = ask->stream, .sequence = ask->fields.sequence, .done = on_fetched};
    int result = store_fetch(api->store, &ask->fetch);
    ask->fetching = result == ERR_AGAIN;
    if (ask->fetching)
        return ADMIN_LATER;
    ask->fetch.result = result;
    ask->fetched = true;
    return admin_show(ask, render_get);
}

void admin_message_end(struct admin_api *api, struct admin_ask *ask)
{
    if (ask->fetching)
        store_fetch_cancel(api->store, &ask->fetch);
    else if (ask->fetched && ask->fetch.result == 0)
        chunk_unref(ask->fetch.chunk);
    ask->fetching = ask->fetched = false;
}

static int state_of(struct admin_ask *ask, enum state *ret_state)
{
    bool grouped = admin_has(ask, FIELD_GROUP) || admin_has(ask, FIELD_GROUP_ID);
    *ret_state = grouped ? STATE_ANY : STATE_STORED;
    if (!admin_has(ask, FIELD_STATE))
        return 0;
    for (int i = 0; i < STATE_ANY; i++) {
        *ret_state = (enum state)i;
        if (bytes_equal(ask->fields.state, bytes_from_string(STATES[i])))
            return 0;
    }
    admin_fail(ask, ADMIN_BAD_REQUEST, "state",
               "state must be one of stored, waiting, in_flight, redelivery, delayed, dead");
    return ERR_INVALID;
}

static bool render_list(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    struct listing listing = {.api = api, .ask = ask};
    return listing_run(&listing, out);
}

static bool listing_run(struct listing *listing, struct buffer *out)
{
    struct admin_ask *ask = listing->ask;
    uint64_t from = ask->fields.from_sequence ? ask->fields.from_sequence : 1;
    if (state_of(ask, &listing->wanted))
        return false;
    listing->stream = admin_find_channel_again(listing->api, ask);
    if (!listing->stream)
        return false;
    if (listing->wanted != STATE_STORED && !(listing->consumer = admin_find_group_again(listing->api, ask)))
        return false;
    admin_page_begin(&listing->page, listing->api, ask, "messages", out);
    if (listing->wanted == STATE_STORED)
        list_stored(listing, from);
    else if (listing->wanted == STATE_DEAD)
        list_dead(listing, from);
    else if (listing->wanted != STATE_WAITING)
        list_pending(listing, from);
    if ((listing->wanted == STATE_ANY || listing->wanted == STATE_WAITING) && !listing->more)
        list_waiting(listing, from);
    if (listing->page.full && listing->page.count == 0) {
        admin_fail(ask, ADMIN_TOO_BIG, NULL, "not one entry fits into a message (max_payload)");
        return false;
    }
    int error = buffer_append_char(out, ']');
    if (listing->more)
        error |= buffer_printf(out, ",\"next_sequence\":%llu", (unsigned long long)listing->next);
    return !(error | buffer_append_char(out, '}'));
}

static void list_stored(struct listing *listing, uint64_t from)
{
    list_messages(listing, STATE_STORED, from);
}

static void list_pending(struct listing *listing, uint64_t from)
{
    struct pending_info infos[BATCH];
    size_t looked = 0, count = BATCH;
    while (!listing->more && count == BATCH) {
        count = consumer_pending_list(listing->consumer, from, infos, BATCH);
        for (size_t i = 0; i < count && !listing->more; i++) {
            enum state state = pending_state(&infos[i]);
            struct entry entry = {
                infos[i].sequence,    state, infos[i].size, infos[i].attempts, infos[i].member, infos[i].delivered_ns,
                infos[i].deadline_ns, NULL};
            if (listing->wanted == STATE_ANY || listing->wanted == state)
                listing->more = !find_and_put(listing, &entry);
            from = infos[i].sequence + 1;
        }
        looked += count;
        if (looked >= LOOK_MAX && !listing->more) {
            listing->more = true;
            listing->next = from;
        }
    }
}

static void list_waiting(struct listing *listing, uint64_t from)
{
    struct consumer_state state;
    consumer_state_get(listing->consumer, &state);
    list_messages(listing, STATE_WAITING, from > state.next_sequence ? from : state.next_sequence);
}

// All that the channel has from there on.
static void list_messages(struct listing *listing, enum state what, uint64_t from)
{
    struct engine_size sizes[BATCH];
    struct stream_state state;
    stream_state_get(listing->stream, &state);
    from = from > state.first_sequence ? from : state.first_sequence;
    while (!listing->more && from <= state.last_sequence) {
        bool wait;
        size_t count = engine_message_list(listing->api->engine, listing->stream, from, sizes, BATCH, &wait);
        if (count == 0) {
            listing->reads |= wait;
            listing->more = wait;
            listing->next = from;
            return;
        }
        for (size_t i = 0; i < count && !listing->more; i++) {
            struct entry entry = {sizes[i].sequence, what, sizes[i].size, .member = 0};
            if (sizes[i].sequence <= state.last_sequence)
                listing->more = !put_entry(listing, &entry, sizes[i].time_ns);
            from = sizes[i].sequence + 1;
        }
    }
}

static void list_dead(struct listing *listing, uint64_t from)
{
    struct dead_info infos[BATCH];
    size_t count = BATCH;
    while (!listing->more && count == BATCH) {
        count = consumer_dead_list(listing->consumer, from, infos, BATCH);
        for (size_t i = 0; i < count && !listing->more; i++) {
            struct entry entry = {
                infos[i].sequence, STATE_DEAD, infos[i].size, infos[i].attempts, infos[i].member, 0, 0, &infos[i]};
            listing->more = !find_and_put(listing, &entry);
            from = infos[i].sequence + 1;
        }
    }
}

static bool find_and_put(struct listing *listing, const struct entry *entry)
{
    uint64_t time_ns = 0;
    int error = engine_message_time(listing->api->engine, listing->stream, entry->sequence, &time_ns);
    listing->reads |= error == ERR_AGAIN;
    return put_entry(listing, entry, error ? 0 : time_ns);
}

// False: the page is full; it goes on with this one.
static bool put_entry(struct listing *listing, const struct entry *entry, uint64_t time_ns)
{
    struct json_writer json;
    uint64_t now_ns = listing->api->now.wall_ns;
    struct stan_subscription_view subscription;
    listing->next = entry->sequence;
    if (!admin_page_entry(&listing->page, &json))
        return false;
    json_writer_begin_object(&json);
    json_writer_put_u64(&json, "sequence", entry->sequence);
    if (time_ns) {
        admin_object_put_time(&json, "time", time_ns);
        json_writer_put_u64(&json, "age_ms", now_ns > time_ns ? (now_ns - time_ns) / NS_PER_MS : 0);
    }
    json_writer_put_u64(&json, "size", entry->size);
    json_writer_put_string(&json, "state", bytes_from_string(STATES[entry->state]));
    if (entry->state != STATE_STORED && entry->state != STATE_WAITING)
        json_writer_put_u64(&json, "attempts", entry->attempts);
    if (entry->member)
        json_writer_put_u64(&json, "member", entry->member);
    if (entry->member && stan_inspect_subscription(listing->api->options.stan, entry->member, &subscription) &&
        subscription.client_id.len)
        json_writer_put_string(&json, "client_id", subscription.client_id);
    if (entry->state == STATE_IN_FLIGHT && entry->delivered_ns)
        json_writer_put_u64(&json, "held_ms",
                            now_ns > entry->delivered_ns ? (now_ns - entry->delivered_ns) / NS_PER_MS : 0);
    if (entry->deadline_ns)
        json_writer_put_u64(&json, "deadline_ms",
                            entry->deadline_ns > now_ns ? (entry->deadline_ns - now_ns) / NS_PER_MS : 0);
    if (entry->dead)
        put_dead(listing, &json, entry->dead);
    json_writer_end(&json);
    return admin_page_put(&listing->page, &json, entry->sequence, 0);
}

static void put_dead(struct listing *listing, struct json_writer *json, const struct dead_info *dead)
{
    struct bytes reason = dead->reason == DEAD_MAX_DELIVER ? BYTES("max_deliver") : BYTES("terminated");
    json_writer_put_string(json, "reason", dead->text.len ? dead->text : reason);
    admin_object_put_time(json, "since", dead->since_ns);
    if (!dead->stream)
        return;
    const struct stream *copies = engine_stream_by_id(listing->api->engine, dead->stream);
    json_writer_put_object(json, "dead_letter");
    if (copies)
        json_writer_put_string(json, "channel", stream_name(copies));
    json_writer_put_u64(json, "sequence", dead->copied_as);
    json_writer_end(json);
}

static enum state pending_state(const struct pending_info *info)
{
    switch (info->place) {
    case PENDING_WITH_MEMBER: return STATE_IN_FLIGHT;
    case PENDING_HELD_BACK: return STATE_DELAYED;
    case PENDING_FOR_REDELIVERY:
    case PENDING_RUN_OUT: break;
    }
    return STATE_REDELIVERY;
}

static void on_fetched(struct store_fetch *fetch)
{
    struct admin_ask *ask = container_of(fetch, struct admin_ask, fetch);
    ask->fetching = false;
    ask->fetched = true;
}

static bool render_get(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    struct message_record message;
    struct json_writer json;
    uint64_t sequence = ask->fields.sequence;
    int result = ask->fetch.result;
    if (result == 0 && (!engine_is_wanted(api->engine, ask->stream, sequence) ||
                        message_record_get(&ask->fetch.record, &message) || message.sequence != sequence))
        result = ERR_NOT_FOUND;
    struct stream *stream = admin_find_channel_again(api, ask);
    if (!stream)
        return false;
    if (result) {
        admin_fail(ask, result == ERR_NOT_FOUND ? ADMIN_MESSAGE_NOT_FOUND : ADMIN_UNAVAILABLE, "sequence",
                   "message %llu: %s", (unsigned long long)sequence, error_text(result));
        return false;
    }
    size_t most = admin_has(ask, FIELD_MAX_BYTES) ? (size_t)ask->fields.max_bytes : GET_DEFAULT;
    // Headers may be escaped to three bytes and more each; what is left is for the payload, of which four characters are three bytes.
    size_t taken = GET_ROOM + message.headers.len * 6 + message.subject.len * 6;
    size_t room = out->max > taken ? (out->max - taken) / 4 * 3 : 0;
    size_t shown = message.payload.len < most ? message.payload.len : most;
    shown = shown < room ? shown : room;
    json_writer_init_compact(&json, out);
    json_writer_begin_object(&json);
    json_writer_put_u64(&json, "sequence", sequence);
    admin_object_put_time(&json, "time", message.time_ns);
    json_writer_put_string(&json, "subject", message.subject.len ? message.subject : stream_name(stream));
    json_writer_put_u64(&json, "size", message.payload.len);
    if (message.headers.len)
        put_headers(&json, message.headers);
    put_payload(&json, bytes_make(message.payload.ptr, shown));
    json_writer_put_bool(&json, "truncated", shown < message.payload.len);
    json_writer_end(&json);
    return admin_object_finish(&json, ask);
}

static void put_headers(struct json_writer *json, struct bytes block)
{
    struct headers headers;
    struct headers_field field;
    if (headers_parse(block, &headers))
        return;
    json_writer_key(json, "headers");
    json_writer_begin_array(json);
    while (headers_next(&headers.fields, &field)) {
        json_writer_begin_array(json);
        json_writer_string(json, field.name);
        json_writer_string(json, field.value);
        json_writer_end(json);
    }
    json_writer_end(json);
}

static void put_payload(struct json_writer *json, struct bytes payload)
{
    size_t size = BASE64_ENCODED_LEN(payload.len), len;
    char *text = mem_alloc(size + 1);
    must(base64_encode(payload, BASE64_STANDARD, text, size, &len) == 0);
    json_writer_put_string(json, "data", bytes_make(text, len));
    mem_free(text);
}
