// SPDX-License-Identifier: Apache-2.0
// tidy: prefix work
// What `weir work` counts, for Prometheus. What waits in the channel is the servers' to say.
#include "cmd/work_internal.h"
#include "codec/metric_writer.h"

enum { LABELS_MAX = 1024 };

static void put(struct metric_writer *writer, enum metric_type type, const char *name, const char *help,
                uint64_t value);
static void put_servers(struct metric_writer *writer, const struct work *work);

int work_metrics(const struct work *work, struct buffer *out)
{
    struct metric_writer writer;
    struct buffer labels;
    metric_writer_init(&writer, out, METRIC_PROMETHEUS);
    metric_writer_family(&writer, METRIC_COUNTER, "weir_work_jobs", "Jobs that ended here, by what came of them.");
    buffer_init(&labels, LABELS_MAX);
    int error = 0;
    for (size_t i = 0; i < WORK_OUTCOMES && !error; i++) {
        buffer_clear(&labels);
        error = metric_label_append(&labels, "outcome", bytes_from_string(work_outcome_names[i]));
        metric_writer_u64(&writer, buffer_bytes(&labels), work->outcomes[i]);
    }
    buffer_deinit(&labels);
    put(&writer, METRIC_GAUGE, "weir_work_slots", "How many jobs may run at the same time.", work->options.slots);
    put(&writer, METRIC_GAUGE, "weir_work_running", "Jobs that run.", work->running_count);
    put(&writer, METRIC_GAUGE, "weir_work_waiting", "Messages here that wait for a free place.", work->waiting_count);
    put(&writer, METRIC_COUNTER, "weir_work_timeouts", "Commands that took too long.", work->timeouts);
    put(&writer, METRIC_COUNTER, "weir_work_extensions", "Times that a server was told that a job is worked on.",
        work->extensions);
    put(&writer, METRIC_COUNTER, "weir_work_surplus", "Messages given back because no place became free.",
        work->surplus);
    metric_writer_family(&writer, METRIC_COUNTER, "weir_work_busy_seconds", "What commands that ended took, in sum.");
    metric_writer_seconds(&writer, (struct bytes){0}, work->busy_ns);
    put_servers(&writer, work);
    return error ? error : metric_writer_finish(&writer);
}

static void put(struct metric_writer *writer, enum metric_type type, const char *name, const char *help, uint64_t value)
{
    metric_writer_family(writer, type, name, help);
    metric_writer_u64(writer, (struct bytes){0}, value);
}

static void put_servers(struct metric_writer *writer, const struct work *work)
{
    struct buffer labels;
    buffer_init(&labels, LABELS_MAX);
    for (int is_loss = 0; is_loss < 2; is_loss++) {
        metric_writer_family(writer, is_loss ? METRIC_COUNTER : METRIC_GAUGE,
                             is_loss ? "weir_work_connections_lost" : "weir_work_connected",
                             is_loss ? "Connections to a server that were lost." : "Whether a server is connected.");
        for (size_t i = 0; i < work->fleet.count; i++) {
            const struct fleet_server *server = &work->fleet.servers[i];
            buffer_clear(&labels);
            if (metric_label_append(&labels, "server", bytes_from_string(server->name)) == 0)
                metric_writer_u64(writer, buffer_bytes(&labels), is_loss ? server->losses : server->state == FLEET_UP);
        }
    }
    buffer_deinit(&labels);
}
