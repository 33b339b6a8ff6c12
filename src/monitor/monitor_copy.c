// SPDX-License-Identifier: Apache-2.0
// Whoever waits, waits for a copy that is under way: the end of each begins the next.
#include "monitor/monitor_copy.h"

#include "base/memory.h"
#include "base/must.h"
#include "monitor/monitor_internal.h"

static void begin(struct monitor_copy *copy);
static void begin_waiting(struct monitor *monitor);
static void leave(struct page *page);
static void visit_broker(struct monitor_visit *visit, struct broker *broker);
static void visited(struct monitor_visit *visit);
static struct monitor_copy *take_first(struct monitor *monitor);

void *monitor_copy_new(size_t size, struct monitor *monitor, struct page *page,
                       void (*add)(struct monitor_copy *copy, struct broker *broker),
                       void (*write)(struct monitor_copy *copy))
{
    struct monitor_copy *copy = mem_alloc_zero(size);
    copy->visit = (struct monitor_visit){.run = visit_broker, .done = visited};
    copy->monitor = monitor;
    copy->page = page;
    copy->add = add;
    copy->write = write;
    return copy;
}

void monitor_copy_free(struct monitor_copy *copy)
{
    mem_free(copy);
}

void monitor_copy_start(struct monitor_copy *copy)
{
    struct monitor *monitor = copy->monitor;
    copy->page->held = true;
    copy->page->holder = copy;
    if (monitor->copies < MONITOR_COPIES_MAX && list_empty(&monitor->waiting)) {
        begin(copy);
        return;
    }
    copy->page->leave = leave;
    list_push_back(&monitor->waiting, &copy->link);
}

void monitor_copy_refuse_waiting(struct monitor *monitor)
{
    while (!list_empty(&monitor->waiting)) {
        struct monitor_copy *copy = take_first(monitor);
        struct page *page = copy->page;
        mem_free(copy);
        monitor_say(page, 503, "the server is shutting down");
        page_finish(page);
    }
}

static void begin(struct monitor_copy *copy)
{
    copy->monitor->copies++;
    inspection_init(&copy->inspection, MONITOR_COPY_MAX);
    monitor_visit_brokers(copy->monitor, &copy->visit);
}

static void begin_waiting(struct monitor *monitor)
{
    while (monitor->copies < MONITOR_COPIES_MAX && !list_empty(&monitor->waiting))
        begin(take_first(monitor));
}

static void leave(struct page *page)
{
    struct monitor_copy *copy = page->holder;
    list_remove(&copy->link);
    mem_free(copy);
    page_finish(page);
}

static void visit_broker(struct monitor_visit *visit, struct broker *broker)
{
    struct monitor_copy *copy = (struct monitor_copy *)visit;
    copy->add(copy, broker);
}

static void visited(struct monitor_visit *visit)
{
    struct monitor_copy *copy = (struct monitor_copy *)visit;
    struct monitor *monitor = copy->monitor;
    struct page *page = copy->page;
    copy->write(copy);
    inspection_deinit(&copy->inspection);
    mem_free(copy);
    must(monitor->copies > 0);
    monitor->copies--;
    begin_waiting(monitor);
    page_finish(page);
}

static struct monitor_copy *take_first(struct monitor *monitor)
{
    struct monitor_copy *copy = container_of(list_pop_front(&monitor->waiting), struct monitor_copy, link);
    copy->page->leave = NULL;
    return copy;
}
