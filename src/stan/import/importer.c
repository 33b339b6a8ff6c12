// SPDX-License-Identifier: Apache-2.0
// One file after the other, in the order in which a later one needs the earlier: clients, then per channel the slices of its messages
// and its subscriptions. Between two steps the place is in `stage`, `channel`, `slice` and the reader.
#include "stan/import/importer.h"

#include <stdio.h>

#include "base/endian.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/varint.h"
#include "stan/channel.h"
#include "stan/import/filestore_cipher.h"
#include "stan/import/filestore_listing.h"
#include "stan/import/filestore_source.h"
#include "stan/stan_internal.h"

enum {
    CLIENTS_MAX = 1 << 20,
    SUBS_MAX = 1 << 20,    // of a channel
    PENDING_MAX = 1 << 22, // of a channel
    CLUSTER_ID_MAX = 128,
    STATE_MAX = 65536, // bytes of a client or subscription, of which none has that many
    CHANGE_MAX = 64,   // bytes of a record that only names one
    SEALED_LOOK = 100, // messages of a channel, all of which look encrypted
};

// Of a sequence that may follow another behind damage; what lies further off is no record, but bytes that look like one.
static const uint64_t SEQUENCE_STEP_MAX = 1ull << 40;

enum stage { STAGE_CLIENTS, STAGE_CHANNEL, STAGE_MESSAGES, STAGE_SUBS, STAGE_DONE };

struct importer {
    struct importer_options options;
    struct stan *stan; // borrowed; NULL: only look
    struct filestore_cipher cipher;
    struct filestore_source source;
    struct filestore_clients clients;
    struct filestore_subs subs;
    struct buffer clear; // a decrypted payload
    struct importer_stats stats;
    char *server;            // owned: payload of server.dat, or the cluster id instead
    struct bytes cluster_id; // in `server`
    struct filestore_listing listing;
    enum stage stage;
    size_t channel, slice;  // of `stage`
    struct engine_time now; // of the step
    // Of the channel:
    struct seed_channel_state state;
    uint64_t channel_messages, channel_sealed;
    bool resumed; // the record in `held` waits for the log
    struct filestore_frame held;
};

static int read_server(struct importer *importer);
static bool looks_like_a_store(const struct importer *importer);
static int take_server(struct importer *importer);
static int do_without_server(struct importer *importer, const char *damage);
static int check_cluster_id(const struct importer *importer);
static void look_at_subjects(struct importer *importer, const struct filestore_server *server);
static int step(struct importer *importer);
static int step_clients(struct importer *importer);
static int step_channel(struct importer *importer);
static int step_messages(struct importer *importer);
static int next_slice(struct importer *importer);
static int take_message(struct importer *importer, const struct filestore_frame *frame);
static int clear_payload(struct importer *importer, struct bytes data, struct bytes *ret_clear);
static int check_sealed(struct importer *importer, bool at_end);
static int step_subs(struct importer *importer);
static bool plausible_message(const void *owner, struct bytes bytes);
static bool plausible_client(const void *owner, struct bytes bytes);
static bool plausible_subscription(const void *owner, struct bytes bytes);
static int apply_client(void *owner, const struct filestore_frame *frame);
static int apply_subscription(void *owner, const struct filestore_frame *frame);
static const struct filestore_channel *current(const struct importer *importer);

void importer_options_default(struct importer_options *options)
{
    *options = (struct importer_options){
        .may_be_encrypted = true,
        .check_crc = true,
        .crc_polynomial = FILESTORE_CRC_IEEE,
        .message_max = 8 << 20,
    };
}

int importer_open(const struct importer_options *options, struct importer **ret_importer)
{
    struct importer *importer = mem_alloc_zero(sizeof(*importer));
    importer->options = *options;
    filestore_cipher_init(&importer->cipher, options->crypto, options->key);
    importer->options.key = (struct bytes){0};
    importer->server = options->cluster_id.len ? mem_copy(options->cluster_id) : NULL;
    filestore_source_init(&importer->source, options->source, options->crc_polynomial);
    importer->source.check_crc = options->check_crc;
    importer->source.keep_going = options->keep_going;
    importer->source.truncate_bad_eof = options->truncate_bad_eof;
    importer->source.logger = options->logger;
    filestore_clients_init(&importer->clients, CLIENTS_MAX);
    filestore_subs_init(&importer->subs, SUBS_MAX, PENDING_MAX);
    buffer_init(&importer->clear, FILESTORE_PAYLOAD_MAX);
    int error = filestore_listing_read(&importer->listing, options->source);
    if (error)
        filestore_source_fail(&importer->source, error, "the store's folder");
    else
        error = read_server(importer);
    importer->stats.bytes_total = importer->listing.bytes;
    if (error) {
        importer_free(importer);
        return error;
    }
    *ret_importer = importer;
    return 0;
}

void importer_free(struct importer *importer)
{
    if (!importer)
        return;
    filestore_listing_deinit(&importer->listing);
    mem_free(importer->server);
    filestore_source_deinit(&importer->source);
    filestore_clients_deinit(&importer->clients);
    filestore_subs_clear(&importer->subs);
    buffer_deinit(&importer->clear);
    mem_free(importer);
}

struct bytes importer_cluster_id(const struct importer *importer)
{
    return importer->cluster_id;
}

void importer_begin(struct importer *importer, struct stan *stan)
{
    importer->stan = stan;
}

int importer_step(struct importer *importer, struct engine_time now, size_t budget)
{
    importer->now = now;
    uint64_t until = importer->source.bytes_read + budget;
    while (importer->stage != STAGE_DONE) {
        int error = step(importer);
        filestore_source_count(&importer->source);
        if (error)
            return error;
        if (importer->source.bytes_read >= until)
            return 1;
    }
    return 0;
}

void importer_stats_get(const struct importer *importer, struct importer_stats *ret_stats)
{
    *ret_stats = importer->stats;
    ret_stats->bytes_read = importer->source.bytes_read;
    ret_stats->problems = importer->source.problems;
}

static int read_server(struct importer *importer)
{
    struct filestore_reader *reader = &importer->source.reader;
    int error = filestore_reader_open(reader, "server.dat", false, filestore_source_crc(&importer->source));
    if (error == ERR_NOT_FOUND && looks_like_a_store(importer))
        return do_without_server(importer, "server.dat is missing");
    if (error == ERR_NOT_FOUND) {
        logger_write(
            importer->options.logger, LOG_ERROR,
            "there is no server.dat: this is not the --dir of a NATS Streaming server with a FILE store. An SQL "
            "store, or a Raft log, cannot be imported; clients of a server with one can be");
        return ERR_NOT_FOUND;
    }
    bool is_empty = reader->size < FILESTORE_VERSION_SIZE;
    if (error == ERR_CORRUPT)
        error = do_without_server(importer,
                                  is_empty ? "the file is empty, as after a power cut" : "not a file of version 1");
    else if (error)
        error = filestore_source_fail(&importer->source, error, "server.dat");
    else
        error = take_server(importer);
    filestore_reader_close(reader);
    return error;
}

// Is there anything that a server with a FILE store leaves beside server.dat?
static bool looks_like_a_store(const struct importer *importer)
{
    bool has_messages = false;
    for (size_t i = 0; i < importer->listing.count; i++)
        has_messages |= importer->listing.channels[i].slice_count > 0;
    return importer->listing.has_clients || has_messages;
}

// IM-01: one record, and nothing behind it.
static int take_server(struct importer *importer)
{
    struct filestore_reader *reader = &importer->source.reader;
    struct filestore_frame frame, none;
    struct filestore_server server;
    enum filestore_finding finding = filestore_reader_next(reader, &frame);
    if (reader->error)
        return filestore_source_fail(&importer->source, reader->error, "server.dat");
    if (finding != FILESTORE_RECORD || filestore_server_decode(frame.payload, &server))
        return do_without_server(importer, "damaged, or checked with another polynomial");
    mem_free(importer->server);
    importer->server = mem_copy(frame.payload);
    must(filestore_server_decode(bytes_make(importer->server, frame.payload.len), &server) == 0);
    importer->cluster_id = server.cluster_id;
    importer->stats.clustered = server.node_id.len > 0;
    (void)filestore_reader_next(reader, &none);
    int error = 0;
    if (reader->offset < reader->size)
        error = filestore_source_problem(&importer->source, ERR_CORRUPT, "%llu bytes behind the one record it has",
                                         (unsigned long long)(reader->size - reader->offset));
    if (!error)
        error = check_cluster_id(importer);
    if (!error)
        look_at_subjects(importer, &server);
    return error;
}

// Of what is in it, only the cluster id is needed: the subjects are made of it.
static int do_without_server(struct importer *importer, const char *damage)
{
    const struct importer_options *options = &importer->options;
    if (!options->keep_going || options->cluster_id.len == 0) {
        char place[40] = "";
        if (importer->source.reader.file)
            snprintf(place, sizeof(place), "server.dat:%llu: ", (unsigned long long)importer->source.reader.offset);
        logger_write(options->logger, LOG_ERROR,
                     "%s%s: nothing is known of this store; `weir import --keep-going --cluster_id ID` "
                     "takes your word for its cluster id and goes on",
                     place, damage);
        return ERR_CORRUPT;
    }
    importer->cluster_id = bytes_make(importer->server, options->cluster_id.len);
    int error = filestore_source_problem(&importer->source, ERR_CORRUPT,
                                         "%s: the cluster id is taken to be %.*s, and request subjects to be those of "
                                         "that id",
                                         damage, (int)(options->cluster_id.len < 100 ? options->cluster_id.len : 100),
                                         options->cluster_id.ptr);
    return error ? error : check_cluster_id(importer);
}

static int check_cluster_id(const struct importer *importer)
{
    const struct logger *logger = importer->options.logger;
    if (importer->cluster_id.len > CLUSTER_ID_MAX) {
        logger_write(logger, LOG_ERROR, "server.dat:4: its cluster id has %zu characters: at most %d can be served",
                     importer->cluster_id.len, CLUSTER_ID_MAX);
        return ERR_UNSUPPORTED;
    }
    if (!channel_client_id_is_valid(importer->cluster_id)) {
        logger_write(logger, LOG_ERROR, "server.dat:4: its cluster id is none: only letters, digits, - and _");
        return ERR_UNSUPPORTED;
    }
    return 0;
}

// All servers of today make them of the cluster id, as we do; a store that is old enough may have others, which clients keep.
static void look_at_subjects(struct importer *importer, const struct filestore_server *server)
{
    const struct {
        const char *prefix;
        struct bytes subject;
    } known[] = {
        {"_STAN.discover.", server->discovery}, {"_STAN.pub.", server->publish}, {"_STAN.sub.", server->subscribe},
        {"_STAN.unsub.", server->unsubscribe},  {"_STAN.close.", server->close}, {"_STAN.subclose.", server->sub_close},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct bytes prefix = bytes_from_string(known[i].prefix), subject = known[i].subject;
        if (subject.len == 0 ||
            (bytes_starts_with(subject, prefix) && bytes_equal(bytes_skip(subject, prefix.len), importer->cluster_id)))
            continue;
        importer->stats.other_subjects = true;
        logger_write(
            importer->options.logger, LOG_WARN,
            "the old server used the subject %.*s and not %s%.*s: clients of it that are running must be started "
            "anew (discover_prefix can be configured)",
            (int)(subject.len < 200 ? subject.len : 200), subject.ptr, known[i].prefix,
            BYTES_ARG(importer->cluster_id));
    }
}

static int step(struct importer *importer)
{
    switch (importer->stage) {
    case STAGE_CLIENTS: return step_clients(importer);
    case STAGE_CHANNEL: return step_channel(importer);
    case STAGE_MESSAGES: return step_messages(importer);
    case STAGE_SUBS: return step_subs(importer);
    case STAGE_DONE: break;
    }
    return 0;
}

static int step_clients(struct importer *importer)
{
    int error = importer->listing.has_clients ? filestore_source_replay(&importer->source, "clients.dat",
                                                                        plausible_client, apply_client, importer)
                                              : 0;
    for (struct list *link = importer->clients.list.next; !error && link != &importer->clients.list;
         link = link->next) {
        struct filestore_registered *registered = container_of(link, struct filestore_registered, link);
        int bad = seed_client(importer->stan, registered, &importer->stats.seed);
        if (bad == ERR_INVALID || bad == ERR_EXISTS || bad == ERR_TOO_BIG)
            error = filestore_source_problem(&importer->source, bad, "the client \"%.*s\" cannot be registered",
                                             (int)(registered->client.id.len < 100 ? registered->client.id.len : 100),
                                             registered->client.id.ptr);
        else
            error = bad ? filestore_source_fail(&importer->source, bad, "clients.dat") : 0;
    }
    importer->stage = STAGE_CHANNEL;
    return error;
}

static int step_channel(struct importer *importer)
{
    if (importer->channel == importer->listing.count) {
        importer->stage = STAGE_DONE;
        return 0;
    }
    const struct filestore_channel *channel = current(importer);
    if (!channel_name_is_valid(channel->name)) {
        importer->channel++;
        return filestore_source_problem(&importer->source, ERR_INVALID, "%.200s: a folder whose name is no channel's",
                                        channel->name.ptr);
    }
    importer->state = (struct seed_channel_state){.first_sequence = 1};
    importer->channel_messages = importer->channel_sealed = 0;
    importer->slice = 0;
    filestore_cipher_set_channel(&importer->cipher, channel->name);
    int error =
        importer->stan ? seed_channel(importer->stan, channel->name, importer->now, &importer->state.stream) : 0;
    if (error == ERR_AGAIN)
        return error;
    if (error)
        return filestore_source_fail(&importer->source, error, channel->name.ptr);
    importer->stats.channels++;
    importer->stage = STAGE_MESSAGES;
    return 0;
}

// One record, or the way to the next file.
static int step_messages(struct importer *importer)
{
    if (!importer->source.reader.file)
        return next_slice(importer);
    bool end = false;
    int error = 0;
    if (!importer->resumed)
        error = filestore_source_next(&importer->source, plausible_message, importer, &importer->held, &end);
    if (error)
        return error;
    if (end) {
        filestore_source_close(&importer->source);
        importer->slice++;
        return 0;
    }
    error = take_message(importer, &importer->held);
    importer->resumed = error == ERR_AGAIN;
    return error;
}

static int next_slice(struct importer *importer)
{
    const struct filestore_channel *channel = current(importer);
    if (importer->slice == channel->slice_count) {
        importer->stage = STAGE_SUBS;
        return check_sealed(importer, true);
    }
    char path[FILESTORE_PATH_SIZE];
    snprintf(path, sizeof(path), "%s/msgs.%llu.dat", channel->name.ptr,
             (unsigned long long)channel->slices[importer->slice]);
    int error = filestore_source_open(&importer->source, path, false);
    if (!error && !importer->source.reader.file)
        importer->slice++;
    return error;
}

static int take_message(struct importer *importer, const struct filestore_frame *frame)
{
    struct filestore_message message;
    if (filestore_message_decode(frame->payload, &message))
        return filestore_source_problem(&importer->source, ERR_PROTOCOL, "no message");
    uint64_t last = importer->state.last_sequence, index;
    if (message.sequence <= last || message.sequence > INT64_MAX)
        return filestore_source_problem(&importer->source, ERR_INVALID, "sequence %llu after %llu",
                                        (unsigned long long)message.sequence, (unsigned long long)last);
    struct publish publish = {.reply = message.reply};
    int error = clear_payload(importer, message.data, &publish.payload);
    if (error)
        return filestore_source_problem(&importer->source, error,
                                        "sequence %llu cannot be decrypted: another key, or damaged",
                                        (unsigned long long)message.sequence);
    if (message_record_size(0, message.reply.len, 0, publish.payload.len) > importer->options.message_max)
        error = ERR_TOO_BIG;
    else if (importer->stan)
        error = engine_import_message(importer->stan->engine, importer->state.stream, &publish, message.sequence,
                                      message.time_ns, importer->now, &index);
    if (error == ERR_AGAIN)
        return error;
    if (error == ERR_TOO_BIG)
        return filestore_source_problem(&importer->source, error, "sequence %llu is too big: %zu bytes",
                                        (unsigned long long)message.sequence, publish.payload.len);
    if (error)
        return filestore_source_fail(&importer->source, error, importer->source.reader.path);
    if (importer->channel_messages++ == 0)
        importer->state.first_sequence = message.sequence;
    else
        importer->stats.missing += message.sequence - last - 1;
    importer->state.last_sequence = message.sequence;
    importer->stats.messages++;
    importer->stats.message_bytes += publish.payload.len;
    importer->channel_sealed += !importer->cipher.has_key && filestore_cipher_is_sealed(message.data);
    importer->stats.decrypted += publish.payload.ptr != message.data.ptr;
    return importer->channel_messages == SEALED_LOOK ? check_sealed(importer, false) : 0;
}

static int clear_payload(struct importer *importer, struct bytes data, struct bytes *ret_clear)
{
    return filestore_cipher_open(&importer->cipher, data, &importer->clear, ret_clear);
}

// Nobody wants to find out later that the key was forgotten.
static int check_sealed(struct importer *importer, bool at_end)
{
    bool all = importer->options.may_be_encrypted && importer->channel_messages > 0 &&
               importer->channel_sealed == importer->channel_messages;
    if (!all || (at_end && importer->channel_messages >= SEALED_LOOK))
        return 0;
    return filestore_source_problem(&importer->source, ERR_PERMISSION,
                                    "the messages of \"%.100s\" look encrypted: the key is needed%s%s",
                                    current(importer)->name.ptr, importer->options.key_hint ? ": " : "",
                                    importer->options.key_hint ? importer->options.key_hint : "");
}

static int step_subs(struct importer *importer)
{
    const struct filestore_channel *channel = current(importer);
    char path[FILESTORE_PATH_SIZE];
    snprintf(path, sizeof(path), "%s/subs.dat", channel->name.ptr);
    int error = channel->has_subs ? filestore_source_replay(&importer->source, path, plausible_subscription,
                                                            apply_subscription, importer)
                                  : 0;
    if (importer->channel_messages == 0)
        importer->state.first_sequence = importer->state.last_sequence + 1;
    if (!error) {
        error = seed_subscriptions(importer->stan, &importer->state, &importer->clients, &importer->subs, importer->now,
                                   &importer->stats.seed);
        if (error)
            error = filestore_source_fail(&importer->source, error, path);
    }
    filestore_subs_clear(&importer->subs);
    importer->channel++;
    importer->stage = STAGE_CHANNEL;
    return error;
}

// Written by the old server, a message begins with its sequence, which is above those before, and the channel's name.
static bool plausible_message(const void *owner, struct bytes bytes)
{
    const struct importer *importer = owner;
    const struct bytes name = current(importer)->name;
    uint64_t sequence;
    size_t used;
    if (bytes.len < FILESTORE_HEADER_SIZE + 2 || bytes.ptr[FILESTORE_HEADER_SIZE] != 1 << 3)
        return false;
    struct bytes rest = bytes_skip(bytes, FILESTORE_HEADER_SIZE + 1);
    uint64_t last = importer->state.last_sequence, length;
    if (varint_get(rest, &sequence, &used) || sequence <= last || sequence - last > SEQUENCE_STEP_MAX)
        return false;
    rest = bytes_skip(rest, used);
    if (rest.len < 2 || rest.ptr[0] != (2 << 3 | 2) || varint_get(bytes_skip(rest, 1), &length, &used))
        return false;
    rest = bytes_skip(rest, 1 + used);
    return length == name.len && bytes_starts_with(rest, name);
}

// A record of clients.dat begins with a text, one of subs.dat with a number; the check says the rest.
static bool plausible_client(const void *owner, struct bytes bytes)
{
    (void)owner;
    uint8_t type = (uint8_t)bytes.ptr[3];
    return bytes.len > FILESTORE_HEADER_SIZE && type >= FILESTORE_CLIENT_ADD && type <= FILESTORE_CLIENT_DELETE &&
           (get_u32(bytes.ptr) & 0xffffff) <= STATE_MAX && bytes.ptr[FILESTORE_HEADER_SIZE] == (1 << 3 | 2);
}

static bool plausible_subscription(const void *owner, struct bytes bytes)
{
    (void)owner;
    uint8_t type = (uint8_t)bytes.ptr[3];
    uint32_t max = type == FILESTORE_SUB_NEW || type == FILESTORE_SUB_UPDATE ? STATE_MAX : CHANGE_MAX;
    return bytes.len > FILESTORE_HEADER_SIZE && type >= FILESTORE_SUB_NEW && type <= FILESTORE_SUB_PENDING &&
           (get_u32(bytes.ptr) & 0xffffff) <= max && bytes.ptr[FILESTORE_HEADER_SIZE] == 1 << 3;
}

static int apply_client(void *owner, const struct filestore_frame *frame)
{
    struct importer *importer = owner;
    return filestore_clients_apply(&importer->clients, frame);
}

static int apply_subscription(void *owner, const struct filestore_frame *frame)
{
    struct importer *importer = owner;
    return filestore_subs_apply(&importer->subs, frame);
}

static const struct filestore_channel *current(const struct importer *importer)
{
    return &importer->listing.channels[importer->channel];
}
