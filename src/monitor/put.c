// SPDX-License-Identifier: Apache-2.0
#include "monitor/put.h"

#include "codec/duration.h"
#include "codec/timestamp.h"
#include "monitor/monitor_internal.h"

void put_server_id(struct json_writer *json, const struct monitor *monitor)
{
    json_writer_put_string(json, "server_id", bytes_from_string(monitor->options.broker_options->server_id));
}

void put_time(struct json_writer *json, const char *key, uint64_t wall_ns)
{
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(wall_ns, text);
    json_writer_put_string(json, key, bytes_from_string(text));
}

void put_uptime(struct json_writer *json, const char *key, uint64_t from_ns, uint64_t to_ns)
{
    char text[DURATION_TEXT_SIZE];
    duration_format(to_ns > from_ns ? to_ns - from_ns : 0, text);
    json_writer_put_string(json, key, bytes_from_string(text));
}

void put_text(struct json_writer *json, const char *key, struct bytes text)
{
    if (text.len > 0)
        json_writer_put_string(json, key, text);
}

void put_subscription(struct json_writer *json, const struct inspection_subscription *subscription)
{
    json_writer_begin_object(json);
    json_writer_put_string(json, "account", subscription->account);
    json_writer_put_string(json, "account_tag", subscription->account);
    json_writer_put_string(json, "subject", subscription->subject);
    put_text(json, "qgroup", subscription->queue);
    json_writer_put_string(json, "sid", subscription->sid);
    json_writer_put_u64(json, "msgs", subscription->delivered);
    if (subscription->max > 0)
        json_writer_put_u64(json, "max", subscription->max);
    json_writer_put_u64(json, "cid", subscription->cid);
    json_writer_end(json);
}

void put_sublist(struct json_writer *json, const struct inspection_sublist *sublist)
{
    double finds = sublist->matches > 0 ? (double)sublist->matches : 1;
    double cached = sublist->cache > 0 ? (double)sublist->cache : 1;
    json_writer_put_u64(json, "num_subscriptions", sublist->subscriptions);
    json_writer_put_u64(json, "num_cache", sublist->cache);
    json_writer_put_u64(json, "num_inserts", sublist->inserts);
    json_writer_put_u64(json, "num_removes", sublist->removes);
    json_writer_put_u64(json, "num_matches", sublist->matches);
    json_writer_put_double(json, "cache_hit_rate", (double)sublist->cache_hits / finds);
    json_writer_put_u64(json, "max_fanout", sublist->fanout_max);
    json_writer_put_double(json, "avg_fanout", (double)sublist->fanout_total / cached);
}
