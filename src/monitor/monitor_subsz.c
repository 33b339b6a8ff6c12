// SPDX-License-Identifier: Apache-2.0
// Who subscribes to what, and how the match caches do (CO-H07).
#include "monitor/monitor_copy.h"
#include "monitor/monitor_internal.h"
#include "monitor/parameter.h"
#include "monitor/put.h"
#include "subject/subject.h"

#define LIMIT_DEFAULT 1024

struct subsz {
    struct monitor_copy copy; // first
    struct inspection_sublist sublist;
    bool subs;
    uint64_t offset, limit;
    char account[PARAMETER_TEXT_SIZE];
    char test[PARAMETER_TEXT_SIZE];
};

static bool read_parameters(struct subsz *subsz, struct page *page);
static void add(struct monitor_copy *copy, struct broker *broker);
static void write_page(struct monitor_copy *copy);
static void write_list(struct json_writer *json, const struct subsz *subsz);

void monitor_subsz(struct monitor *monitor, struct page *page)
{
    struct subsz *subsz = monitor_copy_new(sizeof(*subsz), monitor, page, add, write_page);
    if (read_parameters(subsz, page))
        monitor_copy_start(&subsz->copy);
    else
        monitor_copy_free(&subsz->copy);
}

static bool read_parameters(struct subsz *subsz, struct page *page)
{
    int64_t offset = 0;
    int64_t limit = 0;
    if (!parameter_bool(page, "subs", &subsz->subs) || !parameter_int(page, "offset", &offset) ||
        !parameter_int(page, "limit", &limit) || !parameter_text(page, "test", subsz->test) ||
        !parameter_text(page, "acc", subsz->account))
        return false;
    if (subsz->test[0] != '\0' && !subject_is_valid_publish(bytes_from_string(subsz->test))) {
        parameter_refuse(page, "invalid test subject, must be valid publish subject: %s", subsz->test);
        return false;
    }
    subsz->offset = offset > 0 ? (uint64_t)offset : 0;
    subsz->limit = limit > 0 ? (uint64_t)limit : LIMIT_DEFAULT;
    if (subsz->limit > UINT64_MAX - subsz->offset)
        subsz->limit = LIMIT_DEFAULT;
    return true;
}

static void add(struct monitor_copy *copy, struct broker *broker)
{
    struct subsz *subsz = (struct subsz *)copy;
    inspection_add_subscriptions(&copy->inspection, &subsz->sublist, broker, bytes_from_string(subsz->account),
                                 bytes_from_string(subsz->test), subsz->subs ? subsz->offset + subsz->limit : 0);
}

static void write_page(struct monitor_copy *copy)
{
    struct subsz *subsz = (struct subsz *)copy;
    struct json_writer writer;
    struct json_writer *json = &writer;
    monitor_begin_json(copy->monitor, copy->page, json);
    put_sublist(json, &subsz->sublist);
    if (subsz->subs)
        write_list(json, subsz);
    json_writer_end(json);
    monitor_finish_json(json, copy->page);
}

static void write_list(struct json_writer *json, const struct subsz *subsz)
{
    const struct inspection_sublist *sublist = &subsz->sublist;
    json_writer_put_u64(json, "total", sublist->total);
    json_writer_put_u64(json, "offset", subsz->offset);
    json_writer_put_u64(json, "limit", subsz->limit);
    json_writer_key(json, "subscriptions_list");
    json_writer_begin_array(json);
    for (uint64_t i = subsz->offset; i < sublist->list_count && i - subsz->offset < subsz->limit; i++)
        put_subscription(json, &sublist->list[i]);
    json_writer_end(json);
}
