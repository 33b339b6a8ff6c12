// SPDX-License-Identifier: Apache-2.0
// "/metrics": everything that is counted or measured, as Prometheus and its kin read it. Text 0.0.4, or OpenMetrics 1.0 for who asks for that.
//
// Made in steps: the workers' figures are added up, channels and groups gathered, then everything is written, family by family. How many
// there may be is bounded: by `limit` rows, and by what a page may hold; who has more scrapes them in parts (`channel=orders.>`), and
// is told by weir_metrics_truncated that he has.
#include "monitor/metrics_old.h"
#include "monitor/metrics_rows.h"
#include "monitor/monitor_copy.h"
#include "monitor/monitor_internal.h"
#include "monitor/parameter.h"
#include "monitor/put_metrics.h"
#include "subject/subject.h"

#define ROWS_DEFAULT 20000
#define ROWS_MAX     200000
// What is not about channels and groups needs less than that.
#define SERVER_BYTES (1024 * 1024)
#define PATIENCE     64

enum { STEP_ROWS = 64, STEP_SKIPPED = 8, STEP_SAMPLES = 1024 };

enum phase { COLLECT, GATHER, SERVER, ROWS };

struct metrics {
    struct monitor_copy copy; // first
    struct metric_writer writer;
    struct metrics_rows rows;
    enum phase phase;
    bool asked;                        // for the workers' figures
    uint64_t collections;              // monitor.collections then
    char pattern[PARAMETER_TEXT_SIZE]; // of channels; "": all
    uint32_t channel, group;           // gathered up to these ids
    bool in_channel;                   // and more of its groups or subscriptions may come
    bool in_subscriptions;
    struct stan_inspect_place place; // in the list of these
    uint32_t patience;
};

static bool read_query(struct metrics *metrics, struct page *page);
static enum metric_format choose_format(const struct page *page);
static bool step(struct monitor_copy *copy);
static void release(struct monitor_copy *copy);
static bool collect(struct metrics *metrics);
static void ignore(struct monitor *monitor, struct page *page);
static bool gather(struct metrics *metrics);
static bool gather_channel(struct metrics *metrics, size_t *left);
static bool gather_groups(struct metrics *metrics, struct stan_channel_view *channel, size_t *left);
static bool gather_subscriptions(struct metrics *metrics, struct stan_channel_view *channel, size_t *left);
static bool finish(struct metrics *metrics);

void monitor_metrics(struct monitor *monitor, struct page *page)
{
    struct metrics *metrics = monitor_copy_new_steps(sizeof(*metrics), monitor, page, step, release);
    enum metric_format format = choose_format(page);
    metrics->patience = PATIENCE;
    if (!read_query(metrics, page)) {
        metrics_rows_deinit(&metrics->rows);
        monitor_copy_free(&metrics->copy);
        return;
    }
    page->content_type = format == METRIC_OPENMETRICS
                             ? BYTES("application/openmetrics-text; version=1.0.0; charset=utf-8")
                             : BYTES("text/plain; version=0.0.4; charset=utf-8");
    metric_writer_init(&metrics->writer, page->body, format);
    monitor_copy_start(&metrics->copy);
}

static bool read_query(struct metrics *metrics, struct page *page)
{
    uint64_t limit = ROWS_DEFAULT;
    metrics_rows_init(&metrics->rows, 0, PAGE_SIZE_MAX - SERVER_BYTES);
    if (!parameter_text(page, "channel", metrics->pattern) || !parameter_uint(page, "limit", &limit) ||
        !parameter_bool(page, "old", &metrics->rows.old))
        return false;
    metrics->rows.max_rows = limit < ROWS_MAX ? (size_t)limit : ROWS_MAX;
    struct bytes pattern = bytes_from_string(metrics->pattern);
    if (pattern.len == 0 || subject_is_valid_subscribe(pattern))
        return true;
    parameter_refuse(page, "'channel' is neither the name of a channel nor a pattern of such names");
    return false;
}

// The newer one only for those who ask for it by name.
static enum metric_format choose_format(const struct page *page)
{
    struct bytes fields = page->request->fields;
    uint32_t open = http_accept_weight(fields, BYTES("application/openmetrics-text"), BYTES("0.0.1,1.0.0"), true);
    uint32_t text = http_accept_weight(fields, BYTES("text/plain"), BYTES("0.0.4"), false);
    return open > 0 && open >= text ? METRIC_OPENMETRICS : METRIC_PROMETHEUS;
}

static bool step(struct monitor_copy *copy)
{
    struct metrics *metrics = (struct metrics *)copy;
    switch (metrics->phase) {
    case COLLECT:
        if (collect(metrics))
            metrics->phase = copy->monitor->options.stan ? GATHER : SERVER;
        return false;
    case GATHER:
        if (gather(metrics))
            metrics->phase = SERVER;
        return false;
    case SERVER:
        put_metrics_server(copy->monitor, &metrics->writer, &metrics->rows);
        metrics->phase = ROWS;
        return copy->monitor->options.stan ? false : finish(metrics);
    case ROWS: return metrics_rows_write(&metrics->rows, &metrics->writer, STEP_SAMPLES) && finish(metrics);
    }
    return true;
}

static void release(struct monitor_copy *copy)
{
    metrics_rows_deinit(&((struct metrics *)copy)->rows);
}

// The page may be given up meanwhile; so the collection does not know of it, and its end is seen here.
static bool collect(struct metrics *metrics)
{
    struct monitor *monitor = metrics->copy.monitor;
    if (!metrics->asked) {
        metrics->asked = true;
        metrics->collections = monitor->collections;
        monitor_collect_stats(monitor, NULL, ignore);
    }
    metrics->copy.waits = monitor->collections == metrics->collections;
    return !metrics->copy.waits;
}

static void ignore(struct monitor *monitor, struct page *page)
{
    (void)monitor;
    (void)page;
}

// True: all are there, or as many as there may be.
static bool gather(struct metrics *metrics)
{
    for (size_t left = STEP_ROWS * STEP_SKIPPED; left > 0 && !metrics->copy.waits && !metrics->rows.truncated;) {
        if (!gather_channel(metrics, &left))
            return true;
    }
    return metrics->rows.truncated;
}

// The next channel, or more of the one that was begun. False: there is none.
static bool gather_channel(struct metrics *metrics, size_t *left)
{
    const struct stan *stan = metrics->copy.monitor->options.stan;
    struct bytes pattern = bytes_from_string(metrics->pattern);
    struct stan_channel_view channel;
    if (metrics->in_channel && stan_inspect_channel(stan, metrics->channel, &channel))
        return metrics->in_subscriptions ? gather_subscriptions(metrics, &channel, left)
                                         : gather_groups(metrics, &channel, left);
    metrics->in_channel = false;
    if (!stan_inspect_channel_next(stan, metrics->channel, &channel))
        return false;
    metrics->channel = channel.id;
    metrics->group = 0;
    metrics->in_subscriptions = false;
    if (pattern.len > 0 && !subject_match(pattern, channel.name)) {
        --*left;
        return true;
    }
    *left -= *left < STEP_SKIPPED ? *left : STEP_SKIPPED;
    metrics->in_channel = metrics_rows_add_channel(&metrics->rows, &channel);
    return !metrics->in_channel || gather_groups(metrics, &channel, left);
}

static bool gather_groups(struct metrics *metrics, struct stan_channel_view *channel, size_t *left)
{
    struct monitor *monitor = metrics->copy.monitor;
    struct stan_consumer_view group;
    for (; *left > 0; *left -= *left < STEP_SKIPPED ? *left : STEP_SKIPPED) {
        bool more = stan_inspect_consumer_next(monitor->options.stan, channel, true, metrics->group, &group);
        bool done = more ? metrics_rows_add_group(&metrics->rows, monitor, channel, &group, &metrics->patience)
                         : metrics_rows_end_channel(&metrics->rows, monitor, channel, &metrics->patience);
        metrics->copy.waits = !done;
        metrics->in_subscriptions = !more && done && metrics->rows.old;
        metrics->in_channel = more || !done || metrics->in_subscriptions;
        if (!more || !done)
            break;
        metrics->group = group.id;
    }
    metrics->place = (struct stan_inspect_place){0};
    return true;
}

static bool gather_subscriptions(struct metrics *metrics, struct stan_channel_view *channel, size_t *left)
{
    const struct stan *stan = metrics->copy.monitor->options.stan;
    struct stan_subscription_view subscription;
    for (; *left > 0; *left -= *left < STEP_SKIPPED ? *left : STEP_SKIPPED) {
        metrics->in_channel = stan_inspect_subscription_next(stan, channel, &metrics->place, &subscription);
        if (!metrics->in_channel)
            break;
        metrics_old_add_subscription(&metrics->rows, &subscription, &metrics->place);
    }
    return true;
}

static bool finish(struct metrics *metrics)
{
    if (metric_writer_finish(&metrics->writer))
        monitor_say(metrics->copy.page, 503, "this page has become too long");
    return true;
}
