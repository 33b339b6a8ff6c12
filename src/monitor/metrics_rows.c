// SPDX-License-Identifier: Apache-2.0
#include "monitor/metrics_rows.h"

#include "base/memory.h"
#include "base/must.h"
#include "monitor/metrics_old.h"
#include "monitor/monitor_internal.h"
#include "monitor/put_streaming.h"

enum { ROWS_FIRST = 64, SAMPLE_EXTRA = 24, HEAD_EXTRA = 64, LABELS_MAX = 64 * 1024 };

static size_t fixed_bytes(void);
static size_t row_bytes(enum metrics_kind kind, size_t labels_len, const uint64_t values[METRICS_COLUMNS_MAX]);
static bool add_single(struct metrics_rows *rows, const struct consumer_state *state);
static bool is_single(const struct stan_consumer_view *group);
static void put_labels(struct buffer *labels, const struct stan_channel_view *channel,
                       const struct stan_consumer_view *group);
static uint64_t lower_sequence(uint64_t a, uint64_t b);

void metrics_rows_init(struct metrics_rows *rows, size_t max_rows, size_t max_bytes)
{
    *rows = (struct metrics_rows){.max_rows = max_rows, .max_bytes = max_bytes, .bytes = fixed_bytes()};
    must(rows->bytes <= max_bytes);
    buffer_init(&rows->labels, max_bytes);
    buffer_init(&rows->scratch, LABELS_MAX);
}

void metrics_rows_deinit(struct metrics_rows *rows)
{
    for (size_t i = 0; i < METRICS_KINDS; i++)
        mem_free(rows->lists[i].rows);
    buffer_deinit(&rows->labels);
    buffer_deinit(&rows->scratch);
}

bool metrics_rows_add_channel(struct metrics_rows *rows, const struct stan_channel_view *channel)
{
    struct tally tally;
    stream_tally_get(channel->stream, &tally);
    const uint64_t values[METRICS_COLUMNS_MAX] = {
        [CHANNEL_MESSAGES] = channel->state.messages,
        [CHANNEL_BYTES] = channel->state.bytes,
        [CHANNEL_FIRST] = channel->first_sequence,
        [CHANNEL_LAST] = channel->state.last_sequence,
        [CHANNEL_SUBSCRIPTIONS] = channel->subscriptions,
        [CHANNEL_PUBLISHED] = tally.published,
        [CHANNEL_PUBLISHED_BYTES] = tally.published_bytes,
        [CHANNEL_DELIVERED] = tally.delivered,
        [CHANNEL_REDELIVERED] = tally.redelivered,
        [CHANNEL_ACKED] = tally.acked,
        [CHANNEL_DEAD] = tally.dead,
        [CHANNEL_PAUSED] = channel->state.paused,
    };
    rows->has_singles = false;
    rows->singles = (struct stan_consumer_view){0};
    put_labels(&rows->scratch, channel, &rows->singles);
    if (!metrics_rows_add(rows, METRICS_CHANNEL, values))
        return false;
    if (rows->old)
        metrics_old_add_stream(rows, channel, values);
    return true;
}

bool metrics_rows_add_group(struct metrics_rows *rows, struct monitor *monitor, const struct stan_channel_view *channel,
                            const struct stan_consumer_view *group, uint32_t *patience)
{
    const struct consumer_state *state = &group->state;
    struct streaming_age age;
    struct tally tally = {0};
    bool all_singles = group == &rows->singles;
    if (is_single(group) && !all_singles)
        return add_single(rows, state);
    if (!put_streaming_age(monitor, channel, group, patience, &age))
        return false;
    if (!all_singles)
        consumer_tally_get(group->consumer, &tally);
    // Plain subscriptions come and go: what they counted is in their channel's numbers.
    uint64_t unknown = all_singles ? METRICS_UNKNOWN : 0;
    const uint64_t values[METRICS_COLUMNS_MAX] = {
        [GROUP_WAITING] = state->waiting,
        [GROUP_WAITING_BYTES] = state->waiting_bytes,
        [GROUP_OLDEST_WAITING] = age.waiting_known       ? age.waiting_ns
                                 : state->oldest_waiting ? METRICS_UNKNOWN
                                                         : 0,
        [GROUP_IN_FLIGHT] = state->pending,
        [GROUP_IN_FLIGHT_BYTES] = state->pending_bytes,
        [GROUP_OLDEST_UNACKED] = age.unacked_known       ? age.unacked_ns
                                 : state->oldest_pending ? METRICS_UNKNOWN
                                                         : 0,
        [GROUP_DEAD] = state->dead,
        [GROUP_DEAD_BYTES] = state->dead_bytes,
        [GROUP_MEMBERS] = state->members,
        [GROUP_DELIVERED] = tally.delivered | unknown,
        [GROUP_REDELIVERED] = tally.redelivered | unknown,
        [GROUP_ACKED] = tally.acked | unknown,
        [GROUP_DIED] = tally.dead | unknown,
        [GROUP_PAUSED] = state->paused | unknown,
    };
    put_labels(&rows->scratch, channel, group);
    if (metrics_rows_add(rows, METRICS_GROUP, values) && rows->old && !all_singles)
        metrics_old_add_consumer(rows, channel, group);
    return true;
}

bool metrics_rows_end_channel(struct metrics_rows *rows, struct monitor *monitor,
                              const struct stan_channel_view *channel, uint32_t *patience)
{
    return !rows->has_singles || metrics_rows_add_group(rows, monitor, channel, &rows->singles, patience);
}

bool metrics_rows_add(struct metrics_rows *rows, enum metrics_kind kind, const uint64_t values[METRICS_COLUMNS_MAX])
{
    struct metrics_list *list = &rows->lists[kind];
    size_t bytes = row_bytes(kind, rows->scratch.len, values);
    size_t count = rows->lists[METRICS_CHANNEL].count + rows->lists[METRICS_GROUP].count;
    bool counts = kind == METRICS_CHANNEL || kind == METRICS_GROUP;
    if ((counts && count >= rows->max_rows) || bytes > rows->max_bytes - rows->bytes) {
        rows->truncated = true;
        return false;
    }
    rows->bytes += bytes;
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : ROWS_FIRST;
        list->rows = mem_realloc(list->rows, list->capacity * sizeof(list->rows[0]));
    }
    struct metrics_row *row = &list->rows[list->count++];
    row->labels = (uint32_t)rows->labels.len;
    row->labels_len = (uint32_t)rows->scratch.len;
    memcpy(row->values, values, sizeof(row->values));
    must(buffer_append(&rows->labels, buffer_bytes(&rows->scratch)) == 0); // a part of what will be written
    return true;
}

bool metrics_rows_write(struct metrics_rows *rows, struct metric_writer *writer, size_t samples)
{
    uint32_t end = rows->old ? METRICS_KINDS : METRICS_OLD_STREAM;
    while (samples > 0 && rows->kind < end) {
        const struct metrics_family *family = &metrics_families_tables[rows->kind].families[rows->family];
        const struct metrics_list *list = &rows->lists[rows->kind];
        if (rows->row == 0)
            metric_writer_family(writer, family->type, family->name, family->help);
        for (; samples > 0 && rows->row < list->count; samples--, rows->row++) {
            const struct metrics_row *row = &list->rows[rows->row];
            struct bytes labels = bytes_make(rows->labels.ptr + row->labels, row->labels_len);
            uint64_t value = row->values[family->column];
            if (value == METRICS_UNKNOWN)
                continue;
            if (family->seconds)
                metric_writer_seconds(writer, labels, value);
            else
                metric_writer_u64(writer, labels, value);
        }
        if (rows->row < list->count)
            break;
        rows->row = 0;
        if (++rows->family == metrics_families_tables[rows->kind].count) {
            rows->family = 0;
            rows->kind++;
        }
    }
    return rows->kind == end;
}

// Of the lines that families begin with.
static size_t fixed_bytes(void)
{
    size_t bytes = 0;
    for (size_t kind = 0; kind < METRICS_KINDS; kind++) {
        for (size_t i = 0; i < metrics_families_tables[kind].count; i++)
            bytes += 2 * strlen(metrics_families_tables[kind].families[i].name) +
                     strlen(metrics_families_tables[kind].families[i].help) + HEAD_EXTRA;
    }
    return bytes;
}

// At most: a number has not more digits than three for ten bits, and one.
static size_t row_bytes(enum metrics_kind kind, size_t labels_len, const uint64_t values[METRICS_COLUMNS_MAX])
{
    size_t bytes = 0;
    for (size_t i = 0; i < metrics_families_tables[kind].count; i++) {
        const struct metrics_family *family = &metrics_families_tables[kind].families[i];
        unsigned bits = 64 - (unsigned)__builtin_clzll(values[family->column] | 1);
        bytes += strlen(family->name) + labels_len + bits * 3 / 10 + 1 + SAMPLE_EXTRA;
    }
    return bytes;
}

static bool add_single(struct metrics_rows *rows, const struct consumer_state *state)
{
    struct consumer_state *sum = &rows->singles.state;
    rows->has_singles = true;
    // Each of them gets everything: together they wait for what the last of them waits for.
    if (state->waiting > sum->waiting)
        sum->waiting = state->waiting;
    if (state->waiting_bytes > sum->waiting_bytes)
        sum->waiting_bytes = state->waiting_bytes;
    sum->pending += state->pending;
    sum->pending_bytes += state->pending_bytes;
    sum->dead += state->dead;
    sum->dead_bytes += state->dead_bytes;
    sum->members += state->members;
    sum->oldest_waiting = lower_sequence(sum->oldest_waiting, state->oldest_waiting);
    sum->oldest_pending = lower_sequence(sum->oldest_pending, state->oldest_pending);
    return true;
}

static bool is_single(const struct stan_consumer_view *group)
{
    return group->durable.len == 0 && group->group.len == 0;
}

// As other pages and the API call them: a queue group by its name, "durable:name" if it is durable; a durable by its own, with whose
// it is.
static void put_labels(struct buffer *labels, const struct stan_channel_view *channel,
                       const struct stan_consumer_view *group)
{
    buffer_clear(labels);
    must(metric_label_append(labels, "channel", channel->name) == 0); // names are limited, see ENGINE_NAME_MAX
    if (group->queue.len > 0)
        must(metric_label_append(labels, "group", group->queue) == 0);
    else if (group->durable.len > 0)
        must(metric_label_append(labels, "group", group->durable) == 0);
    if (group->queue.len == 0 && group->client_id.len > 0)
        must(metric_label_append(labels, "client_id", group->client_id) == 0);
}

static uint64_t lower_sequence(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}
