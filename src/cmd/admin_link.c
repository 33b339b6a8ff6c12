// SPDX-License-Identifier: Apache-2.0
#include "cmd/admin_link.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "wire/headers.h"

enum { SUBJECT_SIZE = 256 };

static void on_message(void *owner, const struct wire_op *message);
static bool is_nobody(const struct wire_op *message);
static int wait_answer(struct admin_link *link, int timeout_ms);
static json_t *check(struct admin_link *link, json_t *answer);
static json_t *fail(struct admin_link *link, const char *what, const char *detail);

int admin_link_open(struct admin_link *link, const struct client_options *options, const char *command)
{
    struct client_options ours = *options;
    *link = (struct admin_link){0};
    ours.name = command;
    ours.no_responders = true;
    int error = client_connect(&link->client, &ours);
    if (error) {
        fail(link, link->client.error, NULL);
        return error;
    }
    link->client.on_message = on_message;
    link->client.owner = link;
    snprintf(link->inbox, sizeof(link->inbox), "_INBOX.weir.%d.%llx", (int)getpid(),
             (unsigned long long)client_now_ns());
    char all[ADMIN_LINK_INBOX_SIZE + 2];
    snprintf(all, sizeof(all), "%s.*", link->inbox);
    client_subscribe(&link->client, bytes_from_string(all), (struct bytes){0}, 1);
    return 0;
}

void admin_link_close(struct admin_link *link)
{
    json_decref(link->answer);
    link->answer = NULL;
    client_close(&link->client);
}

json_t *admin_link_ask(struct admin_link *link, const char *request, const json_t *body, int timeout_ms)
{
    char subject[SUBJECT_SIZE], reply[ADMIN_LINK_INBOX_SIZE + 32];
    snprintf(subject, sizeof(subject), "$WEIR.API.V1.%s", request);
    snprintf(reply, sizeof(reply), "%s.%llu", link->inbox, (unsigned long long)++link->asked);
    char *text = json_dumps(body, JSON_COMPACT);
    if (!text)
        return fail(link, "an argument is not UTF-8", NULL);
    json_decref(link->answer);
    link->answer = NULL;
    link->nobody = link->refused = false;
    link->client.error[0] = '\0'; // perhaps of an address that did not answer
    int error = client_publish(&link->client, bytes_from_string(subject), bytes_from_string(reply), (struct bytes){0},
                               bytes_from_string(text));
    mem_free(text);
    if (!error)
        error = wait_answer(link, timeout_ms);
    if (link->nobody)
        return fail(
            link, "the server has no admin API (it is not Weir, or the account is not the one with the streams)", NULL);
    if (link->refused)
        return fail(link, link->client.error, "not_permitted");
    if (error == ERR_TIMEOUT)
        return fail(link, "the server does not answer", NULL);
    if (error)
        return fail(link, link->client.error, NULL);
    json_t *answer = link->answer;
    link->answer = NULL;
    return check(link, answer);
}

static void on_message(void *owner, const struct wire_op *message)
{
    struct admin_link *link = owner;
    char expected[ADMIN_LINK_INBOX_SIZE + 32];
    snprintf(expected, sizeof(expected), "%s.%llu", link->inbox, (unsigned long long)link->asked);
    if (link->answer || link->nobody || !bytes_equal(message->subject, bytes_from_string(expected)))
        return;
    link->nobody = is_nobody(message);
    if (!link->nobody)
        link->answer = json_loadb(message->payload.ptr, message->payload.len, 0, NULL);
    if (!link->nobody && !link->answer)
        link->answer = json_null();
}

static bool is_nobody(const struct wire_op *message)
{
    struct headers headers;
    return message->header.len && headers_parse(message->header, &headers) == 0 &&
           headers.status == HEADERS_STATUS_NO_RESPONDERS && message->payload.len == 0;
}

static int wait_answer(struct admin_link *link, int timeout_ms)
{
    uint64_t end = client_now_ns() + (uint64_t)timeout_ms * 1000000;
    for (;;) {
        if (link->answer || link->nobody || link->refused)
            return 0;
        uint64_t now = client_now_ns();
        if (now >= end)
            return ERR_TIMEOUT;
        int got = client_wait(&link->client, (int)((end - now) / 1000000) + 1);
        if (got < 0)
            return got;
        link->refused = link->client.error[0] != '\0';
    }
}

// The answer, unless it is an error: {"error":{"code":…,"message":…}}.
static json_t *check(struct admin_link *link, json_t *answer)
{
    const json_t *error = json_object_get(answer, "error");
    if (json_is_object(answer) && !error)
        return answer;
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    if (code)
        fail(link, message ? message : "refused", code);
    else
        fail(link, "the answer is none of the admin API", NULL);
    json_decref(answer);
    return NULL;
}

static json_t *fail(struct admin_link *link, const char *what, const char *detail)
{
    if (detail)
        snprintf(link->error, sizeof(link->error), "%.*s (%.64s)", ADMIN_LINK_ERROR_SIZE - 80, what, detail);
    else
        snprintf(link->error, sizeof(link->error), "%.*s", ADMIN_LINK_ERROR_SIZE - 1, what);
    return NULL;
}
