// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_service.h"

#include "admin/admin_access.h"
#include "base/memory.h"
#include "base/must.h"
#include "env/log_quota.h"
#include "wire/quote.h"

enum { ERROR_MAX = 4096, QUOTED_SIZE = 240 }; // bytes; of a request in the log

struct admin_service {
    struct admin_service_options options;
    struct inlet inlet;
    struct admin_access access;
    struct log_quota lines;
    struct list requests; // under way
    bool stopped;
};

struct request {
    struct list link;
    struct admin_service *service; // borrowed
    struct bytes reply;            // in `text`
    char text[];
};

static bool on_message(struct inlet *inlet, const struct inlet_message *message);
static void log_change(struct admin_service *service, const struct inlet_message *message, struct bytes name);
static void refuse(struct admin_service *service, struct bytes reply);
static void answered(void *owner, unsigned status, struct bytes json);

struct admin_service *admin_service_new(const struct admin_service_options *options)
{
    struct admin_service *service = mem_alloc_zero(sizeof(*service));
    service->options = *options;
    service->access.logger = options->logger;
    service->inlet.on_message = on_message;
    list_init(&service->requests);
    must(broker_inlet_add(options->broker, &service->inlet, BYTES(ADMIN_SUBJECT_PREFIX ">")) == 0);
    return service;
}

void admin_service_stop(struct admin_service *service)
{
    if (!service || service->stopped)
        return;
    service->stopped = true;
    broker_inlet_remove(service->options.broker, &service->inlet);
}

void admin_service_free(struct admin_service *service)
{
    if (!service)
        return;
    admin_service_stop(service);
    for (struct list *link = list_pop_front(&service->requests); link; link = list_pop_front(&service->requests))
        mem_free(container_of(link, struct request, link));
    mem_free(service);
}

// Backups are somebody else's (backup_service.h).
static bool on_message(struct inlet *inlet, const struct inlet_message *message)
{
    struct admin_service *service = container_of(inlet, struct admin_service, inlet);
    struct bytes name = bytes_skip(message->subject, sizeof(ADMIN_SUBJECT_PREFIX) - 1);
    if (message->reply.len == 0 || bytes_equal(name, BYTES("BACKUP")) || bytes_starts_with(name, BYTES("BACKUP.")))
        return true;
    if (!admin_access_allows(&service->access, message, admin_api_now(service->options.api))) {
        refuse(service, message->reply);
        return true;
    }
    log_change(service, message, name);
    struct request *request = mem_alloc(sizeof(*request) + message->reply.len);
    request->service = service;
    request->reply = bytes_make(request->text, message->reply.len);
    memcpy(request->text, message->reply.ptr, message->reply.len);
    list_init(&request->link);
    list_push_back(&service->requests, &request->link);
    admin_api_ask(service->options.api, name, message->payload, answered, request);
    return true;
}

// Who did what, for whoever looks into it later. What only shows is not told.
static void log_change(struct admin_service *service, const struct inlet_message *message, struct bytes name)
{
    struct moment now = admin_api_now(service->options.api);
    char text[QUOTED_SIZE];
    uint32_t left_out;
    if (!admin_api_is_change(name) || !log_quota_take(&service->lines, moment_mono_ms(now), &left_out))
        return;
    struct bytes rest = message->payload;
    size_t len = quote_next(&rest, text, sizeof(text));
    logger_write(service->options.logger, LOG_INFO, "connection %llu asks for %.*s %.*s%s",
                 (unsigned long long)message->connection, BYTES_ARG(name), (int)len, text, rest.len ? "..." : "");
    if (left_out)
        logger_write(service->options.logger, LOG_INFO, "%u changes before it were asked for and not logged", left_out);
}

static void refuse(struct admin_service *service, struct bytes reply)
{
    struct buffer text;
    struct bytes none = {0};
    buffer_init(&text, ERROR_MAX);
    admin_api_put_error(&text, ADMIN_ACCESS_CODE, ADMIN_ACCESS_TEXT);
    struct bytes json = buffer_bytes(&text);
    broker_publish(service->options.broker, reply, none, none, &json, 1);
    buffer_deinit(&text);
}

static void answered(void *owner, unsigned status, struct bytes json)
{
    struct request *request = owner;
    struct bytes none = {0};
    (void)status;
    broker_publish(request->service->options.broker, request->reply, none, none, &json, 1);
    list_remove(&request->link);
    mem_free(request);
}
