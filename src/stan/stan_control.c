// SPDX-License-Identifier: Apache-2.0
#include "stan/stan_control.h"

#include "stan/channel.h"
#include "stan/stan_internal.h"

int stan_control_create_channel(struct stan *stan, struct bytes name, struct stream **ret_stream, uint64_t *ret_index)
{
    int error = channel_name_is_valid(name) ? channels_create(stan, name, ret_stream) : ERR_INVALID;
    if (!error)
        *ret_index = shard_last_index(stan->shard);
    return error;
}

int stan_control_remove_channel(struct stan *stan, struct stream *stream, uint64_t *ret_index)
{
    return inactivity_remove(&stan->inactivity, stream, true, ret_index);
}

bool stan_control_is_name(struct bytes name)
{
    return channel_name_is_valid(name);
}

void stan_control_config(const struct stan *stan, struct bytes name, struct stream_edit *ret_edit)
{
    *ret_edit = (struct stream_edit){.inactivity_ns = channel_limits_find(stan->limits, name)->max_inactivity_ns};
    channel_limits_config(stan->limits, name, &ret_edit->config);
}

void stan_control_edited(struct stan *stan)
{
    inactivity_look_soon(&stan->inactivity);
}

int stan_control_remove_group(struct stan *stan, struct consumer *consumer, uint64_t *ret_index)
{
    int error = inactivity_note(&stan->inactivity, consumer_stream(consumer));
    return error ? error : engine_consumer_delete(stan->engine, consumer, stan_time(stan), ret_index);
}

int stan_control_close_client(struct stan *stan, struct bytes client_id, uint64_t *ret_index)
{
    struct stan_client *client = registry_find(&stan->registry, client_id);
    return client ? registry_close(&stan->registry, client, ret_index) : ERR_NOT_FOUND;
}
