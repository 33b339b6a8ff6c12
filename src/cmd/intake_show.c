// SPDX-License-Identifier: Apache-2.0
#include "cmd/intake_show.h"

#include <stdlib.h>

#include "cmd/encryption.h"
#include "os/clock.h"

enum { BAR = 30 };

static const uint64_t LOG_EVERY_NS = 10000000000ull;

static void print_count(FILE *out, uint64_t count, const char *one, const char *many);
static double megabytes(uint64_t bytes);

struct bytes intake_key(const char *given)
{
    const char *variable = getenv(ENCRYPTION_VARIABLE);
    return bytes_from_string(variable && *variable ? variable : given);
}

void intake_show_progress(void *owner, const struct importer_stats *stats)
{
    (void)owner;
    double share = stats->bytes_total ? (double)stats->bytes_read / (double)stats->bytes_total : 1;
    share = share > 1 ? 1 : share;
    char bar[BAR + 1];
    for (int i = 0; i < BAR; i++)
        bar[i] = i < (int)(share * BAR) ? '#' : '.';
    bar[BAR] = '\0';
    fprintf(stderr, "\r[%s] %3.0f %%  %.1f of %.1f MB, %llu messages ", bar, 100 * share, megabytes(stats->bytes_read),
            megabytes(stats->bytes_total), (unsigned long long)stats->messages);
}

void intake_show_log(void *owner, const struct importer_stats *stats)
{
    struct intake_log *log = owner;
    uint64_t now_ns = clock_mono_ns();
    if (now_ns - log->told_ns < LOG_EVERY_NS)
        return;
    log->told_ns = now_ns;
    logger_write(log->logger, LOG_INFO, "Imported %.1f of %.1f MB", megabytes(stats->bytes_read),
                 megabytes(stats->bytes_total));
}

void intake_show_summary(const struct intake *intake, FILE *out)
{
    const struct importer_stats *stats = &intake->stats;
    const struct seed_counts *seed = &stats->seed;
    fprintf(out, "%s %s, cluster id %s:\n", intake->directory ? "Imported" : "Would import", intake->source,
            intake->ret_cluster_id);
    print_count(out, stats->channels, "channel", "channels");
    fprintf(out, "  %llu messages with %llu bytes\n", (unsigned long long)stats->messages,
            (unsigned long long)stats->message_bytes);
    print_count(out, seed->clients, "client", "clients");
    print_count(out, seed->durables, "durable subscription", "durable subscriptions");
    print_count(out, seed->durable_groups, "durable queue group", "durable queue groups");
    print_count(out, seed->groups, "queue group", "queue groups");
    print_count(out, seed->subscriptions, "other subscription", "other subscriptions");
    fprintf(out, "  %llu of all subscriptions belong to a client that may be running\n",
            (unsigned long long)seed->members);
    fprintf(out, "  %llu messages were sent and not acknowledged: they will be sent again\n",
            (unsigned long long)seed->pending);
    if (stats->clustered)
        fputs("It was a node of a cluster: its clients and subscriptions are in the Raft log and did not come over.\n",
              out);
    if (stats->missing)
        fprintf(out, "%llu sequence numbers between a channel's first and last are not there\n",
                (unsigned long long)stats->missing);
    if (seed->without_client)
        fprintf(out, "%llu subscriptions had lost their client and are not durable: left behind\n",
                (unsigned long long)seed->without_client);
    if (seed->unusable)
        fprintf(out, "%llu subscriptions have names that are too long: left behind\n",
                (unsigned long long)seed->unusable);
    if (seed->pending_gone)
        fprintf(out, "%llu messages that were not acknowledged are not in the store any more\n",
                (unsigned long long)seed->pending_gone);
    if (seed->beyond_the_end)
        fprintf(out, "%llu positions lay behind the last message that is there; they were taken back to it\n",
                (unsigned long long)seed->beyond_the_end);
    if (stats->other_subjects)
        fprintf(out, "The old server had request subjects that are not made of its cluster id: see above. Clients that "
                     "are running "
                     "must be started\nanew: they ask for the subjects when they connect.\n");
    if (stats->decrypted)
        fprintf(out, "%llu messages were encrypted%s\n", (unsigned long long)stats->decrypted,
                intake->directory && !intake_encrypts(intake) ? ", and are in the clear now (--data-key-file)" : "");
    if (stats->problems)
        fprintf(out, "%llu problems were passed over: see above\n", (unsigned long long)stats->problems);
    if (intake->directory)
        fprintf(out, "Serve it with the flags of the old server, but --dir %s. %s is unchanged: it is the way back.\n",
                intake->directory, intake->source);
}

void intake_show_line(const struct intake *intake, char *text, size_t size)
{
    const struct importer_stats *stats = &intake->stats;
    const struct seed_counts *seed = &stats->seed;
    snprintf(
        text, size,
        "Imported %s: %llu channels with %llu messages (%llu bytes), %llu clients, %llu durables, queue groups and "
        "subscriptions, %llu messages not acknowledged, %llu problems passed over",
        intake->source, (unsigned long long)stats->channels, (unsigned long long)stats->messages,
        (unsigned long long)stats->message_bytes, (unsigned long long)seed->clients,
        (unsigned long long)(seed->durables + seed->durable_groups + seed->groups + seed->subscriptions),
        (unsigned long long)seed->pending, (unsigned long long)stats->problems);
}

static void print_count(FILE *out, uint64_t count, const char *one, const char *many)
{
    fprintf(out, "  %llu %s\n", (unsigned long long)count, count == 1 ? one : many);
}

static double megabytes(uint64_t bytes)
{
    return (double)bytes / 1e6;
}
