// SPDX-License-Identifier: Apache-2.0
// See response.h. The prefix of a broker is an inlet of each account that was ever asked something, so an answer is found without
// the match cache; behind the prefix stands the id.
#include "broker/response.h"

#include "broker/connection.h"
#include "broker/latency.h"

#define ID_LEN 11 // digits of 64 bits to the base of 62

static const char DIGITS[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static size_t cost_bytes(size_t subject_len);
static bool has_room(const struct account *payer, size_t size_bytes);
static void tell_full(struct account *payer);
static void count(const struct response *response, int change);
static int listen_in(struct account *home);
static size_t put_prefix(const struct broker *broker, char *at);
static size_t put_number(uint64_t number, size_t len, char *at);
static bool read_id(struct bytes text, uint64_t *ret_id);
static struct latency *take_latency(struct response *response);
static void end_response(struct response *response);
static void fire_expiry(struct wheel_timer *timer, uint64_t now_ms);

int response_add(const struct response_request *request, char ret_subject[RESPONSE_SUBJECT_LEN_MAX], size_t *ret_len,
                 uint64_t *ret_id)
{
    struct account *home = request->home;
    struct broker *broker = home->broker;
    if (!has_room(request->payer, cost_bytes(request->reply.len))) {
        tell_full(request->payer);
        return ERR_LIMIT;
    }
    int error = home->responses ? 0 : listen_in(home);
    if (error)
        return error;
    struct response *response = mem_alloc(cost_bytes(request->reply.len));
    *response = (struct response){
        .home = home,
        .asker = request->asker,
        .payer = request->payer,
        .expiry.fire = fire_expiry,
        .threshold_ms = request->threshold_ms,
        .type = (uint8_t)request->type,
        .subject_len = (uint32_t)request->reply.len,
    };
    broker_copy(response->subject, request->reply);
    do
        response->id = prng_next(&broker->response_prng);
    while (response->id == 0 || map_u64_find(&broker->responses, response->id));
    error = map_u64_add(&broker->responses, response->id, response);
    must(error == 0);
    list_push_back(&broker->response_list, &response->link);
    wheel_set(&broker->wheel, &response->expiry, broker->now_ms + request->threshold_ms);
    count(response, 1);
    size_t len = put_prefix(broker, ret_subject);
    *ret_len = len + put_number(response->id, ID_LEN, ret_subject + len);
    *ret_id = response->id;
    return 0;
}

void response_remove(struct broker *broker, uint64_t id)
{
    struct response *response = map_u64_find(&broker->responses, id);
    if (!response)
        return;
    struct latency *latency = take_latency(response);
    end_response(response);
    latency_end(latency, LATENCY_NO_RESPONDER, NULL);
}

void response_measure(struct broker *broker, uint64_t id, struct latency *latency)
{
    struct response *response = map_u64_find(&broker->responses, id);
    must(response && !response->latency);
    response->latency = latency;
}

void response_remove_all(struct account *account)
{
    list_foreach(link, &account->broker->response_list)
    {
        struct response *response = container_of(link, struct response, link);
        if (response->home == account || response->asker == account || response->payer == account)
            end_response(response);
    }
}

bool response_deliver(struct inlet_target *target, struct broker_message *message)
{
    struct account *home = target->account;
    struct broker *broker = home->broker;
    uint64_t id;
    if (!read_id(bytes_skip(message->subject, target->pattern.len - 1), &id))
        return false;
    struct response *response = map_u64_find(&broker->responses, id);
    if (!response || response->home != home || response->busy == UINT8_MAX)
        return false;
    struct account *asker = response->asker;
    struct broker_message next = *message;
    next.subject = bytes_make(response->subject, response->subject_len);
    next.requester = NULL;
    next.groups = NULL;
    char reply[RESPONSE_SUBJECT_LEN_MAX];
    uint64_t back = 0;
    // Who answers may ask in turn: the way there is the way back.
    if (message->reply.len > 0) {
        struct response_request request = {.home = asker,
                                           .asker = home,
                                           .payer = home,
                                           .reply = message->reply,
                                           .type = AUTH_RESPONSE_SINGLETON,
                                           .threshold_ms = RESPONSE_THRESHOLD_MS};
        if (response_add(&request, reply, &next.reply.len, &back))
            return false;
        next.reply.ptr = reply;
    }
    struct latency *latency = take_latency(response);
    response->busy++;
    bool taken = broker_forward(asker, &next, INLET_STANDING_NONE) > 0;
    response->busy--;
    bool is_end = message->payload_len == 0 && message->header.len == 0;
    if (response->removed)
        mem_free(response);
    else if (!taken || is_end || response->type == AUTH_RESPONSE_SINGLETON)
        end_response(response);
    else
        wheel_set(&broker->wheel, &response->expiry, broker->now_ms + response->threshold_ms);
    if (!taken && back)
        response_remove(broker, back);
    latency_end(latency, LATENCY_ANSWERED, message->from);
    return taken;
}

void response_check(const struct broker *broker)
{
    size_t found = 0;
    uint64_t size_bytes = 0;
    map_u64_check(&broker->responses);
    list_foreach(link, &broker->response_list)
    {
        const struct response *response = container_of(link, struct response, link);
        must(!response->removed && map_u64_find(&broker->responses, response->id) == response);
        must(response->home->broker == broker && response->asker->broker == broker);
        must(response->home->responses && wheel_is_set(&response->expiry));
        must(response->payer->response_count > 0 && response->payer->response_bytes > 0);
        found++;
        size_bytes += cost_bytes(response->subject_len);
    }
    must(size_bytes == broker->response_bytes && size_bytes <= broker->options.max_response_bytes);
    must(found == map_u64_count(&broker->responses) && found <= broker->options.max_responses);
}

static size_t cost_bytes(size_t subject_len)
{
    return sizeof(struct response) + subject_len;
}

static bool has_room(const struct account *payer, size_t size_bytes)
{
    const struct broker *broker = payer->broker;
    uint64_t free_count = broker->options.max_responses - map_u64_count(&broker->responses);
    uint64_t free_bytes = broker->options.max_response_bytes - broker->response_bytes;
    return payer->response_count < free_count && payer->response_bytes + size_bytes <= free_bytes;
}

// Once until half of them have ended.
static void tell_full(struct account *payer)
{
    if (payer->responses_full_at > 0)
        return;
    payer->responses_full_at = payer->response_count > 0 ? payer->response_count : 1;
    logger_write(payer->broker->options.logger, LOG_WARN,
                 "account %.*s: %u requests to services of other accounts wait for an answer: more are refused",
                 (int)payer->name_len, payer->name, payer->response_count);
}

// One more (1), or one less (-1).
static void count(const struct response *response, int change)
{
    struct account *payer = response->payer;
    uint64_t size_bytes = (uint64_t)(int64_t)change * cost_bytes(response->subject_len);
    payer->response_count += (uint32_t)change;
    payer->response_bytes += size_bytes;
    payer->broker->response_bytes += size_bytes;
    if (payer->response_count <= payer->responses_full_at / 2)
        payer->responses_full_at = 0;
}

static int listen_in(struct account *home)
{
    char text[RESPONSE_SUBJECT_LEN_MAX];
    size_t len = put_prefix(home->broker, text);
    text[len++] = '>';
    return broker_inlet_open(home, TARGET_RESPONSES, NULL, bytes_make(text, len), &home->responses);
}

// "_R_.x7Fq2A."
static size_t put_prefix(const struct broker *broker, char *at)
{
    size_t len = sizeof(RESPONSE_PREFIX) - 1;
    memcpy(at, RESPONSE_PREFIX, len);
    len += put_number(broker->response_mark, 6, at + len);
    at[len++] = '.';
    return len;
}

static size_t put_number(uint64_t number, size_t len, char *at)
{
    for (size_t i = len; i > 0; i--) {
        at[i - 1] = DIGITS[number % 62];
        number /= 62;
    }
    return len;
}

static bool read_id(struct bytes text, uint64_t *ret_id)
{
    if (text.len != ID_LEN)
        return false;
    uint64_t id = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = memchr(DIGITS, text.ptr[i], sizeof(DIGITS) - 1);
        if (!digit)
            return false;
        id = id * 62 + (uint64_t)(digit - DIGITS);
    }
    *ret_id = id;
    return true;
}

static struct latency *take_latency(struct response *response)
{
    struct latency *latency = response->latency;
    response->latency = NULL;
    return latency;
}

static void end_response(struct response *response)
{
    struct broker *broker = response->home->broker;
    must(map_u64_remove(&broker->responses, response->id) == response);
    list_remove(&response->link);
    wheel_cancel(&broker->wheel, &response->expiry);
    count(response, -1);
    response->removed = true;
    mem_free(take_latency(response));
    if (response->busy == 0)
        mem_free(response);
}

static void fire_expiry(struct wheel_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    struct response *response = container_of(timer, struct response, expiry);
    struct latency *latency = take_latency(response);
    end_response(response);
    latency_end(latency, LATENCY_TIMEOUT, NULL);
}
