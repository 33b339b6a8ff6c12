// SPDX-License-Identifier: Apache-2.0
// Who subscribes to what, and how the match caches do (CO-H07).
#include "base/memory.h"
#include "monitor/monitor_internal.h"
#include "monitor/parameter.h"
#include "monitor/put.h"
#include "subject/subject.h"

#define LIMIT_DEFAULT 1024

struct subsz {
    struct monitor_visit visit; // first
    struct monitor *monitor;    // borrowed
    struct page *page;
    struct inspection inspection;
    struct inspection_sublist sublist;
    bool subs;
    uint64_t offset, limit;
    char account[PARAMETER_TEXT_SIZE];
    char test[PARAMETER_TEXT_SIZE];
};

static bool read_parameters(struct subsz *subsz, struct page *page);
static void visit_broker(struct monitor_visit *visit, struct broker *broker);
static void visited(struct monitor_visit *visit);
static void write_page(struct subsz *subsz);
static void write_list(struct json_writer *json, const struct subsz *subsz);

void monitor_subsz(struct monitor *monitor, struct page *page)
{
    struct subsz *subsz = mem_alloc_zero(sizeof(*subsz));
    subsz->monitor = monitor;
    subsz->page = page;
    if (!read_parameters(subsz, page) || !monitor_begin_copy(monitor, page)) {
        mem_free(subsz);
        return;
    }
    inspection_init(&subsz->inspection, MONITOR_COPY_MAX);
    page->held = true;
    subsz->visit = (struct monitor_visit){.run = visit_broker, .done = visited};
    monitor_visit_brokers(monitor, &subsz->visit);
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

static void visit_broker(struct monitor_visit *visit, struct broker *broker)
{
    struct subsz *subsz = (struct subsz *)visit;
    inspection_add_subscriptions(&subsz->inspection, &subsz->sublist, broker, bytes_from_string(subsz->account),
                                 bytes_from_string(subsz->test), subsz->subs ? subsz->offset + subsz->limit : 0);
}

static void visited(struct monitor_visit *visit)
{
    struct subsz *subsz = (struct subsz *)visit;
    struct page *page = subsz->page;
    write_page(subsz);
    inspection_deinit(&subsz->inspection);
    monitor_end_copy(subsz->monitor);
    mem_free(subsz);
    page_finish(page);
}

static void write_page(struct subsz *subsz)
{
    struct json_writer writer;
    struct json_writer *json = &writer;
    json_writer_init(json, subsz->page->body);
    json_writer_begin_object(json);
    put_server_id(json, subsz->monitor);
    put_time(json, "now", subsz->monitor->now.wall_ns);
    put_sublist(json, &subsz->sublist);
    if (subsz->subs)
        write_list(json, subsz);
    json_writer_end(json);
    monitor_finish_json(json, subsz->page);
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
