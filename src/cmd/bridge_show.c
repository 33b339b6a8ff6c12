// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bridge
// What people see of `weir bridge`: a line that is written over itself on a terminal, what happens, and in the end what came over.
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/bridge_internal.h"

static const uint64_t SHOW_EVERY_NS = 200000000;

static void show_channel(const struct bridge *bridge, const struct bridge_channel *channel, FILE *out);
static void clean(char *text);

void bridge_show_progress(struct bridge *bridge)
{
    uint64_t now_ns = client_now_ns();
    if (now_ns - bridge->shown_ns < SHOW_EVERY_NS || !isatty(STDERR_FILENO))
        return;
    double seconds = (double)(now_ns - bridge->began_ns) / 1e9;
    uint64_t goal = 0, reached = 0;
    for (size_t i = 0; i < bridge->channel_count; i++) {
        const struct bridge_channel *channel = bridge->channels[i];
        uint64_t here = bridge_position_reached(&channel->position);
        goal += channel->goal;
        reached += here < channel->goal ? here : channel->goal;
    }
    bridge->shown_ns = now_ns;
    fprintf(stderr, "\r\033[K%zu channels, %llu messages, %.1f MB, %.0f a second", bridge->channel_count,
            (unsigned long long)bridge->copied, (double)bridge->bytes / 1e6, (double)bridge->copied / seconds);
    if (goal)
        fprintf(stderr, ", %.0f %%", 100 * (double)reached / (double)goal);
    if (!bridge->from_up || !bridge->to_up)
        fprintf(stderr, "; waiting for the %s server", bridge->from_up ? "new" : "old");
    fflush(stderr);
}

void bridge_show_line(const char *format, ...)
{
    char text[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    clean(text);
    fprintf(stderr, "%sweir bridge: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", text);
}

void bridge_show_summary(const struct bridge *bridge, FILE *out)
{
    size_t failed = 0;
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    for (size_t i = 0; i < bridge->channel_count; i++) {
        failed += bridge->channels[i]->state == BRIDGE_FAILED;
        show_channel(bridge, bridge->channels[i], out);
    }
    if (bridge->options.dry_run)
        return;
    fprintf(out, "Copied %llu messages with %llu bytes from cluster %s to cluster %s, in %zu channels",
            (unsigned long long)bridge->copied, (unsigned long long)bridge->bytes, bridge->options.from_cluster,
            bridge->options.to_cluster, bridge->channel_count);
    if (bridge->present)
        fprintf(out, "; %llu were there already", (unsigned long long)bridge->present);
    if (failed)
        fprintf(out, "; %zu channels were given up", failed);
    fputc('\n', out);
}

static void show_channel(const struct bridge *bridge, const struct bridge_channel *channel, FILE *out)
{
    char name[BRIDGE_NAME_MAX + 1], error[BRIDGE_ERROR_SIZE];
    uint64_t reached = bridge_position_reached(&channel->position);
    snprintf(name, sizeof(name), "%s", channel->name);
    snprintf(error, sizeof(error), "%s", channel->error);
    clean(name);
    clean(error);
    if (channel->state == BRIDGE_FAILED)
        fprintf(out, "  %s: given up after %llu messages: %s\n", name, (unsigned long long)channel->copied, error);
    else if (bridge->options.dry_run && channel->goal == 0)
        fprintf(out, "  %s: nothing to copy\n", name);
    else if (bridge->options.dry_run)
        fprintf(out, "  %s: message %llu is the last, copied up to %llu\n", name, (unsigned long long)channel->goal,
                (unsigned long long)reached);
    else
        fprintf(out, "  %s: %llu messages with %llu bytes\n", name, (unsigned long long)channel->copied,
                (unsigned long long)channel->bytes);
}

// Names and errors are what servers say: nothing in them steers a terminal.
static void clean(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
    }
}
