// SPDX-License-Identifier: Apache-2.0
// See latency.h.
#include "broker/latency.h"

#include "broker/connection.h"
#include "broker/import.h"
#include "broker/request_info.h"
#include "broker/system_events.h"
#include "codec/json_writer.h"
#include "codec/timestamp.h"
#include "wire/headers.h"

#define METRIC_MAX (64 * 1024)

struct latency {
    struct account *exporter; // borrowed; a response that has one ends before its accounts
    uint64_t start_mono_ns, start_wall_ns;
    uint64_t requestor_rtt_ns;
    uint32_t subject_len, requestor_len;
    char text[]; // subject, requestor as JSON
};

static bool is_sampled(const struct import_target *import, const struct broker_message *message);
static bool is_traced(struct bytes header);
static bool is_odd(struct bytes hex);
static struct bytes last_part(struct bytes text, char separator);
static void write_metric(const struct latency *latency, enum latency_status status, const struct connection *responder,
                         struct json_writer *json);
static const char *description(enum latency_status status);

struct latency *latency_begin(const struct import_target *import, const struct broker_message *message,
                              const struct request_info *info)
{
    if (import->latency_subject.len == 0 || import->response != AUTH_RESPONSE_SINGLETON || !is_sampled(import, message))
        return NULL;
    const struct broker *broker = import->exporter->broker;
    struct buffer requestor;
    buffer_init(&requestor, METRIC_MAX);
    struct json_writer json;
    json_writer_init_compact(&json, &requestor);
    request_info_write(info, &json);
    if (json_writer_finish(&json)) { // a client may have a name of any length: then there is no metric
        buffer_deinit(&requestor);
        return NULL;
    }
    struct latency *latency = mem_alloc(sizeof(*latency) + import->latency_subject.len + requestor.len);
    *latency = (struct latency){
        .exporter = import->exporter,
        .start_mono_ns = broker->now.mono_ns,
        .start_wall_ns = broker->now.wall_ns,
        .requestor_rtt_ns = message->from ? message->from->rtt_ns : 0,
        .subject_len = (uint32_t)import->latency_subject.len,
        .requestor_len = (uint32_t)requestor.len,
    };
    broker_copy(broker_copy(latency->text, import->latency_subject), buffer_bytes(&requestor));
    buffer_deinit(&requestor);
    return latency;
}

void latency_end(struct latency *latency, enum latency_status status, const struct connection *responder)
{
    if (!latency)
        return;
    struct buffer text;
    buffer_init(&text, METRIC_MAX);
    struct json_writer json;
    json_writer_init_compact(&json, &text);
    write_metric(latency, status, responder, &json);
    struct bytes part = buffer_bytes(&text);
    if (json_writer_finish(&json) == 0)
        account_publish(latency->exporter, bytes_make(latency->text, latency->subject_len), (struct bytes){0},
                        (struct bytes){0}, &part, 1);
    buffer_deinit(&text);
    mem_free(latency);
}

static bool is_sampled(const struct import_target *import, const struct broker_message *message)
{
    if (import->latency_sampling == AUTH_LATENCY_HEADERS)
        return is_traced(message->header);
    if (import->latency_sampling >= 100)
        return true;
    return (int32_t)prng_below(&import->exporter->broker->response_prng, 100) < import->latency_sampling;
}

// The headers of Jaeger, Zipkin (both forms) and W3C's trace context, as nats-server reads them.
static bool is_traced(struct bytes header)
{
    struct bytes value;
    if (header.len == 0)
        return false;
    if (headers_find(header, BYTES("Uber-Trace-Id"), &value) == 0)
        return is_odd(last_part(value, ':'));
    if (headers_find(header, BYTES("X-B3-Sampled"), &value) == 0)
        return bytes_equal(value, BYTES("1"));
    if (headers_find(header, BYTES("X-B3-TraceId"), &value) == 0)
        return true; // left to us
    if (headers_find(header, BYTES("B3"), &value) == 0) {
        struct bytes parts = value, part = {0};
        for (int i = 0; i < 3 && parts.len > 0; i++) {
            const char *dash = memchr(parts.ptr, '-', parts.len);
            part = bytes_make(parts.ptr, dash ? (size_t)(dash - parts.ptr) : parts.len);
            parts = bytes_skip(parts, dash ? part.len + 1 : part.len);
        }
        return bytes_equal(part, BYTES("1")) || bytes_equal(part, BYTES("d"));
    }
    if (headers_find(header, BYTES("Traceparent"), &value) == 0 ||
        headers_find(header, BYTES("traceparent"), &value) == 0)
        return is_odd(last_part(value, '-'));
    return false;
}

static bool is_odd(struct bytes hex)
{
    if (hex.len == 0)
        return false;
    char last = hex.ptr[hex.len - 1];
    return last >= '0' && last <= '9' ? last & 1 : last == 'b' || last == 'd' || last == 'f';
}

static struct bytes last_part(struct bytes text, char separator)
{
    size_t at = text.len;
    while (at > 0 && text.ptr[at - 1] != separator)
        at--;
    return bytes_skip(text, at);
}

static void write_metric(const struct latency *latency, enum latency_status status, const struct connection *responder,
                         struct json_writer *json)
{
    struct broker *broker = latency->exporter->broker;
    char start[TIMESTAMP_TEXT_SIZE];
    timestamp_format(latency->start_wall_ns - latency->requestor_rtt_ns, start);
    system_events_begin(broker, "io.nats.server.metric.v1.service_latency", json);
    json_writer_put_u64(json, "status", status);
    if (description(status))
        json_writer_put_string(json, "description", bytes_from_string(description(status)));
    json_writer_put_json(json, "requestor", bytes_make(latency->text + latency->subject_len, latency->requestor_len));
    if (status == LATENCY_ANSWERED) {
        struct request_info info = {.account = responder ? responder->account : latency->exporter,
                                    .connection = responder,
                                    .is_detailed = true,
                                    .with_server = true};
        json_writer_key(json, "responder");
        request_info_write(&info, json);
    }
    json_writer_put_string(json, "start", bytes_from_string(start));
    uint64_t took_ns =
        status == LATENCY_ANSWERED || status == LATENCY_TIMEOUT ? broker->now.mono_ns - latency->start_mono_ns : 0;
    uint64_t rtt_ns = responder ? responder->rtt_ns : 0;
    json_writer_put_u64(json, "service", took_ns > rtt_ns ? took_ns - rtt_ns : 0);
    json_writer_put_u64(json, "system", 0);
    json_writer_put_u64(json, "total", latency->requestor_rtt_ns + took_ns);
    json_writer_end(json);
}

static const char *description(enum latency_status status)
{
    switch (status) {
    case LATENCY_ANSWERED: return NULL;
    case LATENCY_BAD_REQUEST: return "Bad Request";
    case LATENCY_NO_RESPONDER: return "Service Unavailable";
    case LATENCY_TIMEOUT: return "Service Timeout";
    }
    return NULL;
}
