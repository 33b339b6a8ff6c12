// SPDX-License-Identifier: Apache-2.0
#include "admin/backup_service.h"

#include <stdio.h>

#include "admin/admin_access.h"
#include "admin/backup.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/number.h"
#include "codec/json_request.h"
#include "stan/channel.h"

enum {
    WAITING_MAX = 8,      // requests for bytes at a time
    FORGOTTEN_MS = 60000, // without any
    SILENCE_MS = 5000,    // then an empty answer says that it is being worked on
    REQUEST_MAX = 65536,  // bytes
    REFUSED_SIZE = 400,
    PIECES_PER_TURN = 4, // of work, and answers
};

enum { KIND_BEGUN = 'B', KIND_DATA = 'D', KIND_LAST = 'Z', KIND_ERROR = 'E' };

struct begin_request {
    uint64_t present;
    struct bytes channel;
    bool keep_going;
};

static const struct json_request_field begin_fields[] = {
    {"channel", offsetof(struct begin_request, channel), JSON_REQUEST_TEXT, 0, CHANNEL_NAME_MAX, NULL},
    {"keep_going", offsetof(struct begin_request, keep_going), JSON_REQUEST_FLAG, 0, 0, NULL},
};

static const struct json_request_table begin_table = {begin_fields, sizeof(begin_fields) / sizeof(begin_fields[0]),
                                                      offsetof(struct begin_request, present)};

// Who asked for the backup that is under way.
struct asker {
    uint64_t connection; // id
    bool is_elsewhere;   // in another account
    char *reply;         // owned: of its last request
    uint64_t asked_ms;   // when that was
    uint64_t told_ms;    // the last answer
};

struct backup_service {
    struct backup_service_options options;
    struct admin_access access;
    struct inlet begin, next;
    struct backup *backup; // owned; NULL: none
    uint32_t number;       // its
    struct asker asker;
    char *waiting[WAITING_MAX]; // owned: reply subjects, the oldest first
    size_t waiting_count;
    bool reading; // the work waits for the disk
    struct moment now;
    bool stopped;
};

static bool on_begin(struct inlet *inlet, const struct inlet_message *message);
static bool on_next(struct inlet *inlet, const struct inlet_message *message);
static bool is_allowed(struct backup_service *service, const struct inlet_message *message);
static bool is_taken(struct backup_service *service, const struct inlet_message *message);
static bool begin(struct backup_service *service, struct bytes request, char refused[REFUSED_SIZE]);
static void note_asker(struct backup_service *service, const struct inlet_message *message);
static void give_up(struct backup_service *service);
static bool work(struct backup_service *service);
static void send_bytes(struct backup_service *service, struct bytes bytes, bool is_last);
static void fail(struct backup_service *service);
static void tell_end(struct backup_service *service);
static void answer(struct backup_service *service, struct bytes reply, char kind, struct bytes text);

struct backup_service *backup_service_new(const struct backup_service_options *options)
{
    struct backup_service *service = mem_alloc_zero(sizeof(*service));
    service->options = *options;
    service->access.logger = options->logger;
    service->begin.on_message = on_begin;
    service->next.on_message = on_next;
    must(options->answer_bytes > 1);
    must(broker_inlet_add(options->broker, &service->begin, BYTES(BACKUP_SUBJECT)) == 0);
    must(broker_inlet_add(options->broker, &service->next, BYTES(BACKUP_NEXT_SUBJECT)) == 0);
    return service;
}

void backup_service_free(struct backup_service *service)
{
    if (!service)
        return;
    backup_service_stop(service);
    mem_free(service);
}

void backup_service_stop(struct backup_service *service)
{
    if (service->stopped)
        return;
    service->stopped = true;
    broker_inlet_remove(service->options.broker, &service->begin);
    broker_inlet_remove(service->options.broker, &service->next);
    give_up(service);
}

bool backup_service_turn_end(struct backup_service *service, struct moment now)
{
    service->now = now;
    if (service->backup && moment_mono_ms(now) > service->asker.asked_ms + FORGOTTEN_MS) {
        logger_write(service->options.logger, LOG_WARN, "backup %u is given up: nobody asks for more of it",
                     service->number);
        give_up(service);
    }
    bool again = service->backup && service->waiting_count;
    for (int i = 0; i < PIECES_PER_TURN && again; i++)
        again = work(service);
    return again;
}

uint64_t backup_service_next_deadline_ms(const struct backup_service *service)
{
    if (!service->backup)
        return UINT64_MAX;
    bool is_busy = service->waiting_count && !service->reading;
    return is_busy ? moment_mono_ms(service->now) : service->asker.asked_ms + FORGOTTEN_MS + 1;
}

static bool on_begin(struct inlet *inlet, const struct inlet_message *message)
{
    struct backup_service *service = container_of(inlet, struct backup_service, begin);
    if (!is_allowed(service, message) || message->reply.len == 0)
        return true; // with nowhere to send it nobody would ask for the rest
    if (is_taken(service, message)) {
        answer(service, message->reply, KIND_ERROR, BYTES("another backup is under way"));
        return true;
    }
    give_up(service);
    char refused[REFUSED_SIZE];
    if (!begin(service, message->payload, refused)) {
        answer(service, message->reply, KIND_ERROR, bytes_from_string(refused));
        return true;
    }
    note_asker(service, message);
    char text[NUMBER_MAX_DIGITS];
    answer(service, message->reply, KIND_BEGUN, bytes_make(text, number_format_u64(text, service->number)));
    logger_write(service->options.logger, LOG_INFO, "backup %u begins", service->number);
    return true;
}

static bool on_next(struct inlet *inlet, const struct inlet_message *message)
{
    struct backup_service *service = container_of(inlet, struct backup_service, next);
    uint64_t number;
    if (!is_allowed(service, message))
        return true;
    if (!service->backup || number_parse_u64(message->payload, UINT32_MAX, &number) || number != service->number ||
        message->connection != service->asker.connection) {
        answer(service, message->reply, KIND_ERROR, BYTES("there is no such backup of yours, or it was given up"));
    } else if (service->waiting_count == WAITING_MAX || message->reply.len == 0) {
        answer(service, message->reply, KIND_ERROR, BYTES("too many requests at a time"));
    } else {
        service->waiting[service->waiting_count++] = mem_copy_string(message->reply);
        note_asker(service, message);
    }
    return true;
}

// False: it was told.
static bool is_allowed(struct backup_service *service, const struct inlet_message *message)
{
    bool allowed = admin_access_allows(&service->access, message, service->now);
    if (!allowed)
        answer(service, message->reply, KIND_ERROR, BYTES(ADMIN_ACCESS_TEXT));
    return allowed;
}

// A backup is under way, and whoever asked for it is still there: nobody but him begins another.
static bool is_taken(struct backup_service *service, const struct inlet_message *message)
{
    const struct asker *asker = &service->asker;
    if (!service->backup || message->connection == asker->connection)
        return false;
    // Of another account it is not known here who listens.
    return asker->is_elsewhere ||
           broker_interest(service->options.broker, bytes_from_string(asker->reply)) != BROKER_INTEREST_NONE;
}

// False: `refused` says why.
static bool begin(struct backup_service *service, struct bytes request, char refused[REFUSED_SIZE])
{
    struct begin_request what = {0};
    struct json_request_error error;
    void *tree;
    if (request.len > REQUEST_MAX) {
        snprintf(refused, REFUSED_SIZE, "the request is too big");
        return false;
    }
    if (json_request_read(request, &begin_table, UINT64_MAX, &what, &tree, &error)) {
        bool is_object = error.problem != JSON_REQUEST_NO_OBJECT;
        snprintf(refused, REFUSED_SIZE, is_object ? "\"%s\": %s" : "the request is no JSON object%.0s%.0s", error.field,
                 error.text);
        return false;
    }
    int failed = backup_new(&(struct backup_options){.shard = service->options.shard,
                                                     .stan = service->options.stan,
                                                     .cluster_id = service->options.cluster_id,
                                                     .channel = what.channel,
                                                     .time_ns = service->now.wall_ns,
                                                     .keep_going = what.keep_going,
                                                     .logger = service->options.logger},
                            &service->backup);
    json_request_free(tree);
    service->number += !failed;
    service->reading = false;
    if (failed)
        snprintf(refused, REFUSED_SIZE, "%s",
                 failed == ERR_NOT_FOUND ? "there is no such channel" : error_text(failed));
    return !failed;
}

static void note_asker(struct backup_service *service, const struct inlet_message *message)
{
    struct asker *asker = &service->asker;
    mem_free(asker->reply);
    uint64_t now_ms = moment_mono_ms(service->now), told_ms = service->waiting_count > 1 ? asker->told_ms : now_ms;
    *asker = (struct asker){.connection = message->connection,
                            .is_elsewhere = message->standing == INLET_STANDING_EXPORTED,
                            .reply = mem_copy_string(message->reply),
                            .asked_ms = now_ms,
                            .told_ms = told_ms};
}

static void give_up(struct backup_service *service)
{
    for (size_t i = 0; i < service->waiting_count; i++)
        mem_free(service->waiting[i]);
    service->waiting_count = 0;
    backup_free(service->backup);
    service->backup = NULL;
    mem_free(service->asker.reply);
    service->asker = (struct asker){0};
}

// One piece, and what came of it to the oldest request that waits. True: more can be done at once.
static bool work(struct backup_service *service)
{
    size_t want = service->options.answer_bytes - 1;
    enum backup_result result = backup_work(service->backup, want);
    service->reading = result == BACKUP_WAITS;
    if (result == BACKUP_FAILED) {
        fail(service);
        return false;
    }
    if (result == BACKUP_READY) {
        struct bytes bytes = backup_bytes(service->backup);
        size_t len = bytes.len < want ? bytes.len : want;
        bool is_last = backup_is_whole(service->backup) && len == bytes.len;
        send_bytes(service, bytes_make(bytes.ptr, len), is_last);
        backup_drop(service->backup, len);
        if (is_last)
            tell_end(service);
    } else if (moment_mono_ms(service->now) > service->asker.told_ms + SILENCE_MS) {
        send_bytes(service, (struct bytes){0}, false);
    }
    return service->backup && service->waiting_count && !service->reading;
}

static void send_bytes(struct backup_service *service, struct bytes bytes, bool is_last)
{
    const char kind = is_last ? KIND_LAST : KIND_DATA;
    const struct bytes parts[] = {bytes_make(&kind, 1), bytes}, none = {0};
    char *reply = service->waiting[0];
    service->waiting_count--;
    memmove(service->waiting, service->waiting + 1, service->waiting_count * sizeof(service->waiting[0]));
    service->asker.told_ms = moment_mono_ms(service->now);
    broker_publish(service->options.broker, bytes_from_string(reply), none, none, parts, 2);
    mem_free(reply);
}

static void fail(struct backup_service *service)
{
    struct bytes text = bytes_from_string(backup_error(service->backup));
    logger_write(service->options.logger, LOG_ERROR, "backup %u ends: %.*s", service->number, BYTES_ARG(text));
    for (size_t i = 0; i < service->waiting_count; i++)
        answer(service, bytes_from_string(service->waiting[i]), KIND_ERROR, text);
    give_up(service);
}

static void tell_end(struct backup_service *service)
{
    struct backup_stats stats;
    backup_stats_get(service->backup, &stats);
    logger_write(service->options.logger, LOG_INFO, "backup %u is whole: %llu channels, %llu frames, %llu bytes",
                 service->number, (unsigned long long)stats.channels, (unsigned long long)stats.frames,
                 (unsigned long long)stats.bytes);
    if (stats.missing)
        logger_write(service->options.logger, LOG_WARN, "backup %u lacks %llu messages that cannot be read",
                     service->number, (unsigned long long)stats.missing);
    give_up(service);
}

static void answer(struct backup_service *service, struct bytes reply, char kind, struct bytes text)
{
    const struct bytes parts[] = {bytes_make(&kind, 1), text}, none = {0};
    if (reply.len)
        broker_publish(service->options.broker, reply, none, none, parts, 2);
}
