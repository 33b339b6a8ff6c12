// SPDX-License-Identifier: Apache-2.0
// Whoever waits, waits for a copy that is under way: the end of each begins the next.
#include "monitor/monitor_copy.h"

#include "base/memory.h"
#include "base/must.h"
#include "monitor/monitor_internal.h"

#define STEP_WAIT_MS 2

static void begin(struct monitor_copy *copy);
static void begin_waiting(struct monitor *monitor);
static void leave(struct page *page);
static void leave_steps(struct page *page);
static void end_steps(struct monitor_copy *copy);
static void refuse(struct monitor_copy *copy);
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

void *monitor_copy_new_steps(size_t size, struct monitor *monitor, struct page *page,
                             bool (*step)(struct monitor_copy *copy), void (*release)(struct monitor_copy *copy))
{
    struct monitor_copy *copy = monitor_copy_new(size, monitor, page, NULL, NULL);
    copy->step = step;
    copy->release = release;
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
    monitor->stopping = true;
    while (!list_empty(&monitor->waiting))
        refuse(take_first(monitor));
    while (!list_empty(&monitor->stepping)) {
        struct monitor_copy *copy = container_of(list_first(&monitor->stepping), struct monitor_copy, link);
        end_steps(copy);
        refuse(copy);
    }
}

void monitor_copy_turn(struct monitor *monitor)
{
    if (list_empty(&monitor->stepping))
        return;
    struct monitor_copy *copy = container_of(list_first(&monitor->stepping), struct monitor_copy, link);
    copy->waits = false;
    if (!copy->step(copy)) {
        list_remove(&copy->link);
        list_push_back(&monitor->stepping, &copy->link);
        return;
    }
    struct page *page = copy->page;
    end_steps(copy);
    mem_free(copy);
    begin_waiting(monitor);
    page_finish(page);
}

uint64_t monitor_copy_next_deadline_ms(const struct monitor *monitor)
{
    uint64_t now_ms = moment_mono_ms(monitor->now);
    list_foreach(link, &monitor->stepping)
    {
        if (!container_of(link, struct monitor_copy, link)->waits)
            return now_ms;
    }
    return list_empty(&monitor->stepping) ? UINT64_MAX : now_ms + STEP_WAIT_MS;
}

static void begin(struct monitor_copy *copy)
{
    struct monitor *monitor = copy->monitor;
    if (copy->step && monitor->stopping) {
        refuse(copy);
        return;
    }
    monitor->copies++;
    inspection_init(&copy->inspection, MONITOR_COPY_MAX);
    if (!copy->step) {
        monitor_visit_brokers(monitor, &copy->visit);
        return;
    }
    copy->page->leave = leave_steps;
    list_push_back(&monitor->stepping, &copy->link);
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

static void leave_steps(struct page *page)
{
    struct monitor_copy *copy = page->holder;
    struct monitor *monitor = copy->monitor;
    end_steps(copy);
    mem_free(copy);
    page_finish(page);
    begin_waiting(monitor);
}

// Of one that is under way: what it has goes.
static void end_steps(struct monitor_copy *copy)
{
    list_remove(&copy->link);
    copy->release(copy);
    inspection_deinit(&copy->inspection);
    copy->page->leave = NULL;
    must(copy->monitor->copies > 0);
    copy->monitor->copies--;
}

static void refuse(struct monitor_copy *copy)
{
    struct page *page = copy->page;
    mem_free(copy);
    monitor_say(page, 503, "the server is shutting down");
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
