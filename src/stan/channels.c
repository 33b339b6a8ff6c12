// SPDX-License-Identifier: Apache-2.0
// tidy: prefix channels
// Channels as streams: made on first use (ST-B01), with the limits that the configuration has for their names (ST-C15).
#include "stan/stan_internal.h"

static bool is_rescued(struct bytes name);

int channels_create(struct stan *stan, struct bytes name, struct stream **ret_stream)
{
    struct stream_config config;
    uint64_t index;
    if (inactivity_is_removing(&stan->inactivity, name))
        return ERR_IN_USE;
    channel_limits_config(stan->limits, name, &config);
    int error = engine_stream_create(stan->engine, &config, stan_time(stan), ret_stream, &index);
    if (!error)
        (void)!inactivity_note(&stan->inactivity, *ret_stream); // else it is noted when it is looked at
    return error;
}

void channels_follow_limits(struct stan *stan)
{
    struct stream *stream = NULL;
    while ((stream = engine_stream_next(stan->engine, stream))) {
        struct stream_state state;
        struct stream_config config;
        stream_state_get(stream, &state);
        channel_limits_config(stan->limits, state.config.name, &config);
        if (state.edited || is_rescued(config.name) || stream_config_equal(&state.config, &config))
            continue;
        uint64_t index;
        int error = engine_stream_update(stan->engine, stream, &config, stan_time(stan), &index);
        if (error)
            logger_write(stan->options.logger, LOG_WARN,
                         "channel %.*s keeps its former limits until the next start: %s", BYTES_ARG(config.name),
                         error_text(error));
    }
    inactivity_look_soon(&stan->inactivity);
}

uint64_t channels_max_inactivity_ns(const struct stan *stan, struct bytes name)
{
    struct stream *stream = engine_stream_find(stan->engine, 1, name);
    struct stream_state state = {0};
    if (stream)
        stream_state_get(stream, &state);
    if (state.edited)
        return state.inactivity_ns;
    return is_rescued(name) ? 0 : channel_limits_find(stan->limits, name)->max_inactivity_ns;
}

// What a damaged log left without a name is for people to look at: no limit takes anything of it away.
static bool is_rescued(struct bytes name)
{
    return bytes_starts_with(name, BYTES("weir.lost.stream."));
}
