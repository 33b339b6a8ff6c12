// SPDX-License-Identifier: Apache-2.0
// One file after the other, in the order in which a later one needs the earlier: clients, then per channel the slices of its messages
// and its subscriptions. Between two steps the place is in `stage`, `channel`, `slice` and the reader.
#include "stan/import/importer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/endian.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/varint.h"
#include "stan/channel.h"
#include "stan/import/filestore_cipher.h"
#include "stan/import/filestore_listing.h"
#include "stan/import/filestore_reader.h"
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
    struct filestore_crc crc;
    struct filestore_cipher cipher;
    struct filestore_reader reader;
    struct filestore_clients clients;
    struct filestore_subs subs;
    struct buffer clear; // a decrypted payload
    struct importer_stats stats;
    char *server;            // owned: payload of server.dat
    struct bytes cluster_id; // in `server`
    struct filestore_listing listing;
    enum stage stage;
    size_t channel, slice;   // of `stage`
    uint64_t reader_counted; // bytes of the reader's file that are in stats.bytes_read
    struct engine_time now;  // of the step
    // Of the channel:
    struct seed_channel_state state;
    uint64_t channel_messages, channel_sealed;
    bool resumed; // the record in `held` waits for the log
    struct filestore_frame held;
};

static int read_server(struct importer *importer);
static void look_at_subjects(struct importer *importer, const struct filestore_server *server);
static const struct filestore_crc *crc_of(const struct importer *importer);
static int step(struct importer *importer);
static int step_clients(struct importer *importer);
static int step_channel(struct importer *importer);
static int step_messages(struct importer *importer);
static int next_slice(struct importer *importer);
static int take_message(struct importer *importer, const struct filestore_frame *frame);
static int clear_payload(struct importer *importer, struct bytes data, struct bytes *ret_clear);
static int check_sealed(struct importer *importer, bool at_end);
static int step_subs(struct importer *importer);
static int open_file(struct importer *importer, const char *path, bool typed);
static int next_frame(struct importer *importer, bool (*plausible)(const void *owner, struct bytes bytes),
                      struct filestore_frame *ret_frame, bool *ret_end);
static int cut_end(struct importer *importer, bool (*plausible)(const void *owner, struct bytes bytes),
                   struct filestore_frame *ret_frame, bool *ret_end);
static bool plausible_message(const void *owner, struct bytes bytes);
static bool plausible_change(const void *owner, struct bytes bytes);
static void count_read(struct importer *importer);
static int problem(struct importer *importer, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(const struct importer *importer, int error, const char *what);
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
    filestore_crc_init(&importer->crc, options->crc_polynomial);
    filestore_cipher_init(&importer->cipher, options->crypto, options->key);
    importer->options.key = (struct bytes){0};
    filestore_reader_init(&importer->reader, options->source);
    filestore_clients_init(&importer->clients, CLIENTS_MAX);
    filestore_subs_init(&importer->subs, SUBS_MAX, PENDING_MAX);
    buffer_init(&importer->clear, FILESTORE_PAYLOAD_MAX);
    int error = filestore_listing_read(&importer->listing, options->source);
    if (error)
        fail(importer, error, "the store's folder");
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
    filestore_reader_deinit(&importer->reader);
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
    uint64_t until = importer->stats.bytes_read + budget;
    while (importer->stage != STAGE_DONE) {
        int error = step(importer);
        count_read(importer);
        if (error)
            return error;
        if (importer->stats.bytes_read >= until)
            return 1;
    }
    return 0;
}

void importer_stats_get(const struct importer *importer, struct importer_stats *ret_stats)
{
    *ret_stats = importer->stats;
}

static int read_server(struct importer *importer)
{
    const struct logger *logger = importer->options.logger;
    struct filestore_frame frame;
    struct filestore_server server;
    int error = filestore_reader_open(&importer->reader, "server.dat", false, crc_of(importer));
    if (error == ERR_NOT_FOUND) {
        logger_write(
            logger, LOG_ERROR,
            "there is no server.dat: this is not the --dir of a NATS Streaming server with a FILE store. An SQL "
            "store, or a Raft log, cannot be imported; clients of a server with one can be");
        return ERR_NOT_FOUND;
    }
    if (error == ERR_CORRUPT)
        logger_write(logger, LOG_ERROR, "server.dat:0: not a file of version 1");
    if (error)
        return error == ERR_CORRUPT ? error : fail(importer, error, "server.dat");
    if (filestore_reader_next(&importer->reader, &frame) != FILESTORE_RECORD ||
        filestore_server_decode(frame.payload, &server)) {
        logger_write(logger, LOG_ERROR,
                     "server.dat:4: damaged, or checked with another polynomial: nothing is known of this store");
        return ERR_CORRUPT;
    }
    importer->server = mem_copy(frame.payload);
    must(filestore_server_decode(bytes_make(importer->server, frame.payload.len), &server) == 0);
    importer->cluster_id = server.cluster_id;
    importer->stats.clustered = server.node_id.len > 0;
    filestore_reader_close(&importer->reader);
    if (server.cluster_id.len > CLUSTER_ID_MAX) {
        logger_write(logger, LOG_ERROR, "server.dat:4: its cluster id has %zu characters: at most %d can be served",
                     server.cluster_id.len, CLUSTER_ID_MAX);
        return ERR_UNSUPPORTED;
    }
    if (!channel_client_id_is_valid(server.cluster_id)) {
        logger_write(logger, LOG_ERROR, "server.dat:4: its cluster id is none: only letters, digits, - and _");
        return ERR_UNSUPPORTED;
    }
    look_at_subjects(importer, &server);
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

static const struct filestore_crc *crc_of(const struct importer *importer)
{
    return importer->options.check_crc ? &importer->crc : NULL;
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
    int error = importer->listing.has_clients ? open_file(importer, "clients.dat", true) : 0;
    while (!error && importer->reader.file) {
        struct filestore_frame frame;
        bool end;
        error = next_frame(importer, plausible_change, &frame, &end);
        if (error || end)
            break;
        int bad = filestore_clients_apply(&importer->clients, &frame);
        if (bad)
            error = problem(importer, bad, "a record of type %u that cannot be used", frame.type);
    }
    count_read(importer);
    filestore_reader_close(&importer->reader);
    for (struct list *link = importer->clients.list.next; !error && link != &importer->clients.list;
         link = link->next) {
        struct filestore_registered *registered = container_of(link, struct filestore_registered, link);
        int bad = seed_client(importer->stan, registered, &importer->stats.seed);
        if (bad == ERR_INVALID || bad == ERR_EXISTS || bad == ERR_TOO_BIG)
            error = problem(importer, bad, "the client \"%.*s\" cannot be registered",
                            (int)(registered->client.id.len < 100 ? registered->client.id.len : 100),
                            registered->client.id.ptr);
        else
            error = bad ? fail(importer, bad, "clients.dat") : 0;
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
        return problem(importer, ERR_INVALID, "%.200s: a folder whose name is no channel's", channel->name.ptr);
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
        return fail(importer, error, channel->name.ptr);
    importer->stats.channels++;
    importer->stage = STAGE_MESSAGES;
    return 0;
}

// One record, or the way to the next file.
static int step_messages(struct importer *importer)
{
    if (!importer->reader.file)
        return next_slice(importer);
    bool end = false;
    int error = 0;
    if (!importer->resumed)
        error = next_frame(importer, plausible_message, &importer->held, &end);
    if (error)
        return error;
    if (end) {
        count_read(importer);
        filestore_reader_close(&importer->reader);
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
    int error = open_file(importer, path, false);
    if (!error && !importer->reader.file)
        importer->slice++;
    return error;
}

static int take_message(struct importer *importer, const struct filestore_frame *frame)
{
    struct filestore_message message;
    if (filestore_message_decode(frame->payload, &message))
        return problem(importer, ERR_PROTOCOL, "no message");
    uint64_t last = importer->state.last_sequence, index;
    if (message.sequence <= last || message.sequence > INT64_MAX)
        return problem(importer, ERR_INVALID, "sequence %llu after %llu", (unsigned long long)message.sequence,
                       (unsigned long long)last);
    struct publish publish = {.reply = message.reply};
    int error = clear_payload(importer, message.data, &publish.payload);
    if (error)
        return problem(importer, error, "sequence %llu cannot be decrypted: another key, or damaged",
                       (unsigned long long)message.sequence);
    if (message_record_size(0, message.reply.len, 0, publish.payload.len) > importer->options.message_max)
        error = ERR_TOO_BIG;
    else if (importer->stan)
        error = engine_import_message(importer->stan->engine, importer->state.stream, &publish, message.sequence,
                                      message.time_ns, importer->now, &index);
    if (error == ERR_AGAIN)
        return error;
    if (error == ERR_TOO_BIG)
        return problem(importer, error, "sequence %llu is too big: %zu bytes", (unsigned long long)message.sequence,
                       publish.payload.len);
    if (error)
        return fail(importer, error, importer->reader.path);
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
    return problem(importer, ERR_PERMISSION, "the messages of \"%s\" look encrypted: the key is needed",
                   current(importer)->name.ptr);
}

static int step_subs(struct importer *importer)
{
    const struct filestore_channel *channel = current(importer);
    char path[FILESTORE_PATH_SIZE];
    snprintf(path, sizeof(path), "%s/subs.dat", channel->name.ptr);
    int error = channel->has_subs ? open_file(importer, path, true) : 0;
    while (!error && importer->reader.file) {
        struct filestore_frame frame;
        bool end;
        error = next_frame(importer, plausible_change, &frame, &end);
        if (error || end)
            break;
        int bad = filestore_subs_apply(&importer->subs, &frame);
        if (bad)
            error = problem(importer, bad, "a record of type %u that cannot be used", frame.type);
    }
    count_read(importer);
    filestore_reader_close(&importer->reader);
    if (importer->channel_messages == 0)
        importer->state.first_sequence = importer->state.last_sequence + 1;
    if (!error) {
        error = seed_subscriptions(importer->stan, &importer->state, &importer->clients, &importer->subs, importer->now,
                                   &importer->stats.seed);
        if (error)
            error = fail(importer, error, path);
    }
    filestore_subs_clear(&importer->subs);
    importer->channel++;
    importer->stage = STAGE_CHANNEL;
    return error;
}

// Damage of the whole file is told here; then, if the import goes on, no file is open.
static int open_file(struct importer *importer, const char *path, bool typed)
{
    struct filestore_reader *reader = &importer->reader;
    int error = filestore_reader_open(reader, path, typed, crc_of(importer));
    importer->reader_counted = 0;
    if (error == ERR_CORRUPT) {
        bool empty = reader->size < FILESTORE_VERSION_SIZE;
        error = empty && importer->options.truncate_bad_eof
                    ? 0
                    : problem(importer, error,
                              empty ? "the file is empty, as after a power cut" : "not a file of version 1");
        filestore_reader_close(reader);
        return error;
    }
    return error ? fail(importer, error, path) : 0;
}

// The next record, behind what is damaged if the import goes on.
static int next_frame(struct importer *importer, bool (*plausible)(const void *owner, struct bytes bytes),
                      struct filestore_frame *ret_frame, bool *ret_end)
{
    struct filestore_reader *reader = &importer->reader;
    enum filestore_finding finding = filestore_reader_next(reader, ret_frame);
    *ret_end = finding == FILESTORE_END && filestore_reader_rest_is_blank(reader);
    if (finding == FILESTORE_RECORD || *ret_end)
        return 0;
    if (reader->error)
        return fail(importer, reader->error, reader->path);
    uint64_t from = reader->offset;
    if (finding == FILESTORE_TORN && importer->options.truncate_bad_eof)
        return cut_end(importer, plausible, ret_frame, ret_end);
    int error =
        problem(importer, ERR_CORRUPT, "%s",
                finding == FILESTORE_TORN ? "the file ends within a record (--truncate-bad-eof takes what is before it)"
                : finding == FILESTORE_DAMAGED ? "the check of a record does not fit"
                                               : "no record begins here");
    if (error)
        return error;
    finding = filestore_reader_resync(reader, plausible, importer, ret_frame);
    if (reader->error)
        return fail(importer, reader->error, reader->path);
    *ret_end = finding != FILESTORE_RECORD;
    bool given_up = *ret_end && reader->credit == 0;
    logger_write(importer->options.logger, LOG_WARN, "%s:%llu: passed over %llu bytes%s", reader->path,
                 (unsigned long long)from, (unsigned long long)((given_up ? reader->size : reader->offset) - from),
                 given_up ? ", all that is left: long records seem to begin everywhere in it" : "");
    return 0;
}

// A length that was damaged looks like a record at the end, too: then whole ones follow, and nothing may be cut off.
static int cut_end(struct importer *importer, bool (*plausible)(const void *owner, struct bytes bytes),
                   struct filestore_frame *ret_frame, bool *ret_end)
{
    struct filestore_reader *reader = &importer->reader;
    uint64_t from = reader->offset;
    *ret_end = filestore_reader_resync(reader, plausible, importer, ret_frame) != FILESTORE_RECORD;
    if (reader->error)
        return fail(importer, reader->error, reader->path);
    if (!*ret_end || reader->credit == 0)
        return problem(importer, ERR_CORRUPT, "a record before which, from %llu on, none can be read",
                       (unsigned long long)from);
    logger_write(importer->options.logger, LOG_WARN, "%s:%llu: %llu bytes at the end, no whole record, were left out",
                 reader->path, (unsigned long long)from, (unsigned long long)(reader->size - from));
    return 0;
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

// A record of subs.dat begins with a number, one of clients.dat with a text; the check says the rest.
static bool plausible_change(const void *owner, struct bytes bytes)
{
    const struct importer *importer = owner;
    uint8_t type = (uint8_t)bytes.ptr[3];
    bool clients = importer->stage == STAGE_CLIENTS;
    if (bytes.len <= FILESTORE_HEADER_SIZE || type < 1 ||
        type > (clients ? FILESTORE_CLIENT_DELETE : FILESTORE_SUB_PENDING))
        return false;
    bool names_two =
        !clients && type != FILESTORE_SUB_NEW && type != FILESTORE_SUB_UPDATE; // a subscription and a sequence
    if ((get_u32(bytes.ptr) & 0xffffff) > (names_two ? CHANGE_MAX : STATE_MAX))
        return false;
    return bytes.ptr[FILESTORE_HEADER_SIZE] == (clients ? 1 << 3 | 2 : 1 << 3);
}

static void count_read(struct importer *importer)
{
    uint64_t at = importer->reader.file ? importer->reader.offset + importer->reader.used : 0;
    if (at > importer->reader_counted) {
        importer->stats.bytes_read += at - importer->reader_counted;
        importer->reader_counted = at;
    }
}

// Something that an import can go on without. 0: it does; else it ends with this error.
static int problem(struct importer *importer, int error, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    bool goes_on = importer->options.keep_going;
    enum log_level level = goes_on ? LOG_WARN : LOG_ERROR;
    if (importer->reader.file)
        logger_write(importer->options.logger, level, "%s:%llu: %s", importer->reader.path,
                     (unsigned long long)importer->reader.offset, text);
    else
        logger_write(importer->options.logger, level, "%s", text);
    importer->stats.problems += goes_on;
    return goes_on ? 0 : error;
}

static int fail(const struct importer *importer, int error, const char *what)
{
    logger_write(importer->options.logger, LOG_ERROR, "%s: %s", what, error_text(error));
    return error;
}

static const struct filestore_channel *current(const struct importer *importer)
{
    return &importer->listing.channels[importer->channel];
}
