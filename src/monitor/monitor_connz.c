// SPDX-License-Identifier: Apache-2.0
// Who is connected, and who was (CO-H03). The connections of all workers are copied first, then sorted, cut and written.
#include "base/memory.h"
#include "base/must.h"
#include "codec/duration.h"
#include "monitor/monitor_copy.h"
#include "monitor/monitor_internal.h"
#include "monitor/parameter.h"
#include "monitor/put.h"

#include <stdio.h>
#include <stdlib.h>

#define LIMIT_DEFAULT 1024

typedef int compare_function(const struct inspection_connection *a, const struct inspection_connection *b);

struct connz {
    struct monitor_copy copy; // first
    struct inspection_query query;
    const struct connz_order *order;
    bool auth;
    uint64_t offset, limit;
    char account[PARAMETER_TEXT_SIZE];
    char user[PARAMETER_TEXT_SIZE];
    char filter_subject[PARAMETER_TEXT_SIZE];
    char mqtt_client[PARAMETER_TEXT_SIZE];
};

struct connz_order {
    const char *name;
    compare_function *compare;
    bool closed_only;
};

static bool read_parameters(struct connz *connz, struct page *page);
static bool read_order(struct connz *connz, struct page *page);
static bool read_state(struct connz *connz, struct page *page);
static bool read_subs(struct connz *connz, struct page *page);
static void add(struct monitor_copy *copy, struct broker *broker);
static void write_page(struct monitor_copy *copy);
static struct inspection_connection **sort(const struct connz *connz, size_t count);
static int compare(const void *a, const void *b, void *context);
static void write_connection(struct json_writer *json, const struct connz *connz,
                             const struct inspection_connection *connection);
static void write_certificates(struct json_writer *json, const struct inspection_connection *connection);
static void put_sha256(struct json_writer *json, const char *key, const uint8_t sha256[NET_SHA256_SIZE]);
static void write_subscriptions(struct json_writer *json, const struct connz *connz,
                                const struct inspection_connection *connection);

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))
// Largest first, of a field.
#define ORDER_DOWN(name, field)                                                                                        \
    static int name(const struct inspection_connection *a, const struct inspection_connection *b)                      \
    {                                                                                                                  \
        return COMPARE(b->field, a->field);                                                                            \
    }
ORDER_DOWN(by_subs, subscription_count)
ORDER_DOWN(by_pending, pending_bytes)
ORDER_DOWN(by_msgs_to, out_msgs)
ORDER_DOWN(by_msgs_from, in_msgs)
ORDER_DOWN(by_bytes_to, out_bytes)
ORDER_DOWN(by_bytes_from, in_bytes)
ORDER_DOWN(by_last, last_activity_ns)
ORDER_DOWN(by_uptime, start_ns)
ORDER_DOWN(by_stop, stop_ns)
ORDER_DOWN(by_rtt, rtt_ns)

static int by_cid(const struct inspection_connection *a, const struct inspection_connection *b)
{
    return COMPARE(a->cid, b->cid);
}

static int by_idle(const struct inspection_connection *a, const struct inspection_connection *b)
{
    return COMPARE(a->last_activity_ns, b->last_activity_ns);
}

static int by_reason(const struct inspection_connection *a, const struct inspection_connection *b)
{
    return strcmp(a->reason ? a->reason : "", b->reason ? b->reason : "");
}

static const struct connz_order orders[] = {
    {"cid", by_cid, false},           {"start", by_cid, false},
    {"subs", by_subs, false},         {"pending", by_pending, false},
    {"msgs_to", by_msgs_to, false},   {"msgs_from", by_msgs_from, false},
    {"bytes_to", by_bytes_to, false}, {"bytes_from", by_bytes_from, false},
    {"last", by_last, false},         {"idle", by_idle, false},
    {"uptime", by_uptime, false},     {"stop", by_stop, true},
    {"reason", by_reason, true},      {"rtt", by_rtt, false},
};

void monitor_connz(struct monitor *monitor, struct page *page)
{
    struct connz *connz = monitor_copy_new(sizeof(*connz), monitor, page, add, write_page);
    if (read_parameters(connz, page))
        monitor_copy_start(&connz->copy);
    else
        monitor_copy_free(&connz->copy);
}

static bool read_parameters(struct connz *connz, struct page *page)
{
    int64_t offset = 0;
    int64_t limit = 0;
    struct inspection_query *query = &connz->query;
    if (!read_order(connz, page) || !parameter_bool(page, "auth", &connz->auth) || !read_subs(connz, page) ||
        !parameter_int(page, "offset", &offset) || !parameter_int(page, "limit", &limit) ||
        !parameter_uint(page, "cid", &query->cid) || !read_state(connz, page) ||
        !parameter_text(page, "user", connz->user) || !parameter_text(page, "acc", connz->account) ||
        !parameter_text(page, "filter_subject", connz->filter_subject) ||
        !parameter_text(page, "mqtt_client", connz->mqtt_client))
        return false;
    if (connz->order->closed_only && query->state != INSPECTION_CLOSED) {
        parameter_refuse(page, "sort by %s only valid on closed connections", connz->order->name);
        return false;
    }
    connz->offset = offset > 0 ? (uint64_t)offset : 0;
    connz->limit = limit > 0 ? (uint64_t)limit : LIMIT_DEFAULT;
    if (query->cid > 0)
        connz->limit = 1;
    if (connz->mqtt_client[0] != '\0')
        query->cid = UINT64_MAX; // there is none
    query->with_certificates = connz->auth;
    query->user = bytes_from_string(connz->user);
    query->account = bytes_from_string(connz->account);
    query->filter_subject = bytes_from_string(connz->filter_subject);
    return true;
}

static bool read_order(struct connz *connz, struct page *page)
{
    char text[PARAMETER_TEXT_SIZE] = "";
    connz->order = &orders[0];
    if (!parameter_text(page, "sort", text))
        return false;
    if (text[0] == '\0')
        return true;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (strcmp(text, orders[i].name) == 0) {
            connz->order = &orders[i];
            return true;
        }
    }
    parameter_refuse(page, "invalid sorting option: %s", text);
    return false;
}

static bool read_state(struct connz *connz, struct page *page)
{
    char text[PARAMETER_TEXT_SIZE] = "";
    connz->query.state = INSPECTION_OPEN;
    if (!parameter_text(page, "state", text))
        return false;
    if (strcmp(text, "closed") == 0)
        connz->query.state = INSPECTION_CLOSED;
    else if (strcmp(text, "any") == 0 || strcmp(text, "all") == 0)
        connz->query.state = INSPECTION_ANY;
    else if (text[0] != '\0' && strcmp(text, "open") != 0) {
        parameter_refuse(page, "Error decoding state for %s", text);
        return false;
    }
    return true;
}

// "detail", or a boolean.
static bool read_subs(struct connz *connz, struct page *page)
{
    char text[PARAMETER_TEXT_SIZE] = "";
    bool names = false;
    if (!parameter_text(page, "subs", text))
        return false;
    if (strcmp(text, "detail") == 0) {
        connz->query.with_subs = INSPECTION_SUBS_DETAIL;
        return true;
    }
    if (!parameter_bool(page, "subs", &names))
        return false;
    connz->query.with_subs = names ? INSPECTION_SUBS_NAMES : INSPECTION_SUBS_NONE;
    return true;
}

static void add(struct monitor_copy *copy, struct broker *broker)
{
    inspection_add_connections(&copy->inspection, broker, &((struct connz *)copy)->query);
}

static void write_page(struct monitor_copy *copy)
{
    struct connz *connz = (struct connz *)copy;
    struct json_writer writer;
    struct json_writer *json = &writer;
    const struct inspection *inspection = &copy->inspection;
    size_t count = (size_t)inspection->connection_count;
    struct inspection_connection **sorted = sort(connz, count);
    size_t from = connz->offset < count ? (size_t)connz->offset : count;
    size_t to = count - from < connz->limit ? count : from + (size_t)connz->limit;
    monitor_begin_json(connz->copy.monitor, connz->copy.page, json);
    json_writer_put_u64(json, "num_connections", to - from);
    json_writer_put_u64(json, "total", inspection->total);
    json_writer_put_u64(json, "offset", connz->offset);
    json_writer_put_u64(json, "limit", connz->limit);
    json_writer_key(json, "connections");
    json_writer_begin_array(json);
    for (size_t i = from; i < to; i++)
        write_connection(json, connz, sorted[i]);
    json_writer_end(json);
    json_writer_end(json);
    monitor_finish_json(json, connz->copy.page);
    mem_free(sorted);
}

static struct inspection_connection **sort(const struct connz *connz, size_t count)
{
    struct inspection_connection **sorted = mem_alloc((count + 1) * sizeof(struct inspection_connection *));
    size_t at = 0;
    for (struct inspection_connection *each = connz->copy.inspection.connections; each; each = each->next)
        sorted[at++] = each;
    must(at == count);
    qsort_r(sorted, count, sizeof(struct inspection_connection *), compare, (void *)connz->order);
    return sorted;
}

// What is equal stands in the order in which it connected.
static int compare(const void *a, const void *b, void *context)
{
    const struct connz_order *order = context;
    const struct inspection_connection *first = *(struct inspection_connection *const *)a;
    const struct inspection_connection *second = *(struct inspection_connection *const *)b;
    int result = order->compare(first, second);
    return result ? result : by_cid(first, second);
}

static void write_connection(struct json_writer *json, const struct connz *connz,
                             const struct inspection_connection *connection)
{
    uint64_t until_ns = connection->stop_ns ? connection->stop_ns : connz->copy.monitor->now.wall_ns;
    char text[DURATION_TEXT_SIZE];
    json_writer_begin_object(json);
    json_writer_put_u64(json, "cid", connection->cid);
    json_writer_put_string(json, "kind", BYTES("Client"));
    json_writer_put_string(json, "type", bytes_from_string(connection->type));
    json_writer_put_string(json, "ip", bytes_from_string(connection->ip));
    json_writer_put_u64(json, "port", connection->port);
    put_time(json, "start", connection->start_ns);
    put_time(json, "last_activity", connection->last_activity_ns);
    if (connection->stop_ns > 0)
        put_time(json, "stop", connection->stop_ns);
    put_text(json, "reason", bytes_from_string(connection->reason));
    if (connection->rtt_ns > 0) {
        duration_format_go(connection->rtt_ns, text);
        json_writer_put_string(json, "rtt", bytes_from_string(text));
    }
    put_uptime(json, "uptime", connection->start_ns, until_ns);
    put_uptime(json, "idle", connection->last_activity_ns, until_ns);
    json_writer_put_u64(json, "pending_bytes", connection->pending_bytes);
    json_writer_put_u64(json, "in_msgs", connection->in_msgs);
    json_writer_put_u64(json, "out_msgs", connection->out_msgs);
    json_writer_put_u64(json, "in_bytes", connection->in_bytes);
    json_writer_put_u64(json, "out_bytes", connection->out_bytes);
    json_writer_put_u64(json, "subscriptions", connection->subscription_count);
    put_text(json, "name", connection->name);
    put_text(json, "lang", connection->lang);
    put_text(json, "version", connection->version);
    put_text(json, "tls_version", bytes_from_string(connection->tls_version));
    put_text(json, "tls_cipher_suite", bytes_from_string(connection->tls_cipher_suite));
    write_certificates(json, connection);
    if (connection->tls_first)
        json_writer_put_bool(json, "tls_first", true);
    if (connz->auth) {
        put_text(json, "authorized_user", connection->user);
        put_text(json, "account", connection->account);
    }
    write_subscriptions(json, connz, connection);
    if (connz->auth)
        put_text(json, "name_tag", connection->account);
    json_writer_end(json);
}

static void write_certificates(struct json_writer *json, const struct inspection_connection *connection)
{
    if (connection->certificate_count == 0)
        return;
    json_writer_key(json, "tls_peer_certs");
    json_writer_begin_array(json);
    for (size_t i = 0; i < connection->certificate_count; i++) {
        const struct net_certificate *certificate = &connection->certificates[i];
        json_writer_begin_object(json);
        put_text(json, "subject", certificate->subject);
        put_sha256(json, "spki_sha256", certificate->key_sha256);
        put_sha256(json, "cert_sha256", certificate->sha256);
        json_writer_end(json);
    }
    json_writer_end(json);
}

static void put_sha256(struct json_writer *json, const char *key, const uint8_t sha256[NET_SHA256_SIZE])
{
    char text[2 * NET_SHA256_SIZE + 1];
    for (size_t i = 0; i < NET_SHA256_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", sha256[i]);
    json_writer_put_string(json, key, bytes_from_string(text));
}

static void write_subscriptions(struct json_writer *json, const struct connz *connz,
                                const struct inspection_connection *connection)
{
    bool detail = connz->query.with_subs == INSPECTION_SUBS_DETAIL;
    if (connection->listed_count == 0)
        return;
    json_writer_key(json, detail ? "subscriptions_list_detail" : "subscriptions_list");
    json_writer_begin_array(json);
    for (uint32_t i = 0; i < connection->listed_count; i++) {
        if (detail)
            put_subscription(json, &connection->subscriptions[i]);
        else
            json_writer_string(json, connection->subscriptions[i].subject);
    }
    json_writer_end(json);
}
