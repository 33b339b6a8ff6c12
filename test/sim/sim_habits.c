// SPDX-License-Identifier: Apache-2.0
// tidy: prefix sim
// What simulated clients do of their own accord: publish, subscribe, acknowledge well or badly, leave and die.
#include <stdio.h>

#include "base/must.h"
#include "sim_client_internal.h"

#define SECOND 1000000000ULL

static void act(struct sim_client *client);
static void act_publish(struct sim_client *client);
static void act_publish_again(struct sim_client *client);
static void act_subscribe(struct sim_client *client);
static void act_end_sub(struct sim_client *client, bool unsubscribe);
static void say_verdict(struct sim_client *client, struct sim_sub *sub, uint64_t sequence, uint64_t roll);
static bool is_anchored(const struct sim_client *client, const struct sim_sub_request *wanted);
static bool has_durable(const struct sim_client *client, const struct sim_sub_request *wanted);

void sim_client_act(struct sim_client *client, uint64_t now_ns)
{
    client->now_ns = now_ns;
    if (client->link_stage == SIM_LINK_DOWN && now_ns >= client->link_due_ns)
        sim_client_connect(client);
    if (client->link_stage != SIM_LINK_UP)
        return;
    for (size_t i = client->request_count; i > 0; i--)
        if (client->requests[i - 1].deadline_ns <= now_ns)
            sim_client_request_expired(client, i - 1);
    for (size_t i = client->late_count; i > 0; i--) {
        struct sim_late late = client->late[i - 1];
        if (late.due_ns > now_ns && !client->calm)
            continue;
        client->late[i - 1] = client->late[--client->late_count];
        if (late.sub->state == SIM_SUB_OPEN)
            sim_client_send_ack(client, late.sub, late.sequence);
    }
    if (client->stan_stage != SIM_STAN_CONNECTED)
        return;
    if (client->ping_due_ns <= now_ns) {
        client->ping_due_ns = now_ns + 5 * SECOND;
        sim_client_send_ping(client);
    }
    if (client->act_due_ns <= now_ns && !client->calm) {
        client->act_due_ns = now_ns + 1000 + prng_below(client->prng, client->habits.think_ns);
        act(client);
    }
}

uint64_t sim_client_next_ns(const struct sim_client *client)
{
    if (client->link_stage == SIM_LINK_DOWN)
        return client->link_due_ns;
    if (client->link_stage != SIM_LINK_UP)
        return UINT64_MAX;
    uint64_t first_ns = UINT64_MAX;
    for (size_t i = 0; i < client->request_count; i++)
        if (client->requests[i].deadline_ns < first_ns)
            first_ns = client->requests[i].deadline_ns;
    for (size_t i = 0; i < client->late_count; i++)
        if (client->late[i].due_ns < first_ns)
            first_ns = client->late[i].due_ns;
    if (client->stan_stage == SIM_STAN_CONNECTED) {
        if (client->ping_due_ns < first_ns)
            first_ns = client->ping_due_ns;
        if (client->act_due_ns < first_ns && !client->calm)
            first_ns = client->act_due_ns;
    }
    return first_ns;
}

void sim_client_resume(struct sim_client *client)
{
    size_t kept = 0;
    for (size_t i = 0; i < client->window_count; i++) {
        struct sim_publish *publish = client->window[i];
        if (client->calm || prng_below(client->prng, 100) < client->habits.republish) {
            client->window[kept++] = publish;
            sim_client_send_publish(client, publish);
        } else {
            publish->state = SIM_PUBLISH_UNKNOWN;
        }
    }
    client->window_count = kept;
}

void sim_client_delivered(struct sim_client *client, struct sim_sub *sub, uint64_t sequence)
{
    uint64_t roll = prng_below(client->prng, 100);
    if (sub->state != SIM_SUB_OPEN)
        return;
    if (client->calm || roll < client->habits.ack_now) {
        sim_client_send_ack(client, sub, sequence);
    } else if (roll < client->habits.ack_now + client->habits.ack_late && client->late_count < SIM_CLIENT_LISTED) {
        uint64_t wait_ns = prng_below(client->prng, 2 * sub->ack_wait_ns);
        client->late[client->late_count++] = (struct sim_late){sub, sequence, client->now_ns + wait_ns};
    } else if (client->habits.verdicts && roll % 2) {
        say_verdict(client, sub, sequence, roll);
    }
}

void sim_client_answered(struct sim_client *client, struct sim_publish *publish)
{
    for (size_t i = 0; i < client->window_count; i++) {
        if (client->window[i] != publish)
            continue;
        if (publish->state == SIM_PUBLISH_REFUSED && prng_chance(client->prng, 1, 4)) {
            sim_client_send_publish(client, publish);
            return;
        }
        memmove(client->window + i, client->window + i + 1, (--client->window_count - i) * sizeof(*client->window));
        return;
    }
}

void sim_client_forget_sub(struct sim_client *client, struct sim_sub *sub, bool unsubscribed, bool answered)
{
    sim_model_sub_ended(client->model, sub, unsubscribed, answered, client->now_ns);
    for (size_t i = client->sub_count; i > 0; i--)
        if (client->subs[i - 1] == sub)
            client->subs[i - 1] = client->subs[--client->sub_count];
    for (size_t i = client->late_count; i > 0; i--)
        if (client->late[i - 1].sub == sub)
            client->late[i - 1] = client->late[--client->late_count];
    for (size_t i = client->request_count; i > 0; i--)
        if (client->requests[i - 1].sub == sub)
            client->requests[i - 1] = client->requests[--client->request_count];
}

bool sim_client_may_refuse(const struct sim_client *client, struct bytes error)
{
    const struct sim_model *model = client->model;
    if (bytes_starts_with(error, BYTES("stan: the server is overloaded")))
        return true;
    if (bytes_starts_with(error, BYTES("stan: the server is shutting down")))
        return model->stopping;
    if (bytes_starts_with(error, BYTES("stan: the channel is full of messages that are not acknowledged")))
        return model->keeps_unfinished;
    if (bytes_starts_with(error, BYTES("stan: the server's disk is full")))
        return model->disk_small;
    if (bytes_starts_with(error, BYTES("stan: the server's log has failed")))
        return !model->disk_healthy;
    return false;
}

static void act(struct sim_client *client)
{
    const struct sim_habits *habits = &client->habits;
    if (client->reader)
        return;
    uint64_t roll = prng_below(client->prng, 1000);
    if (roll < habits->die && !client->anchor) {
        sim_client_die(client, (enum sim_death)prng_below(client->prng, 3));
        return;
    }
    roll = prng_below(client->prng, 1000);
    if (roll < habits->end_client && !client->anchor && client->window_count == 0) {
        sim_client_send_close(client);
        return;
    }
    if (prng_below(client->prng, 1000) < habits->end_sub)
        act_end_sub(client, false);
    if (prng_below(client->prng, 1000) < habits->unsubscribe)
        act_end_sub(client, true);
    if (client->sub_count < habits->subs_max && prng_chance(client->prng, 1, 2))
        act_subscribe(client);
    else
        act_publish(client);
    if (prng_below(client->prng, 100) < habits->publish_again)
        act_publish_again(client);
}

static void act_publish(struct sim_client *client)
{
    if (client->habits.burst == 0)
        return;
    uint32_t burst = 1 + (uint32_t)prng_below(client->prng, client->habits.burst);
    uint32_t channel = (uint32_t)prng_below(client->prng, client->model->channel_count);
    for (uint32_t i = 0; i < burst && client->window_count < client->habits.window; i++) {
        uint64_t largest = prng_chance(client->prng, 1, 20) ? client->habits.payload_max : 200;
        sim_client_publish(client, channel, 16 + (uint32_t)prng_below(client->prng, largest));
    }
}

// One of our recent ones, answered or not.
static void act_publish_again(struct sim_client *client)
{
    const struct sim_model *model = client->model;
    for (size_t i = model->publish_count; i > 0 && i + 40 > model->publish_count; i--) {
        struct sim_publish *publish = model->publishes[i - 1];
        if (publish->client == client->index && publish->state == SIM_PUBLISH_ACCEPTED &&
            prng_chance(client->prng, 1, 4)) {
            sim_client_send_publish(client, publish);
            return;
        }
    }
}

static void act_subscribe(struct sim_client *client)
{
    struct prng *prng = client->prng;
    struct sim_sub_request wanted = {
        .client = client->index,
        .channel = (uint32_t)prng_below(prng, client->model->channel_count),
        .start = (enum sim_start)prng_below(prng, 5),
        .max_in_flight =
            prng_chance(prng, 1, 3) ? 1 + (uint32_t)prng_below(prng, 3) : 5 + (uint32_t)prng_below(prng, 60),
        .ack_wait_ns = (1 + prng_below(prng, 4)) * SECOND,
    };
    wanted.start_sequence = prng_below(prng, client->model->channels[wanted.channel].last_sequence + 4);
    uint64_t kind = prng_below(prng, 4);
    if (kind & 1)
        snprintf(wanted.durable, sizeof(wanted.durable), "d%u", (unsigned)prng_below(prng, 2));
    if (kind & 2)
        snprintf(wanted.group, sizeof(wanted.group), "g%u", (unsigned)prng_below(prng, 2));
    if ((kind == 2 && !is_anchored(client, &wanted)) || (kind == 1 && has_durable(client, &wanted)))
        return;
    sim_client_subscribe(client, &wanted);
}

static void act_end_sub(struct sim_client *client, bool unsubscribe)
{
    if (client->sub_count == 0)
        return;
    struct sim_sub *sub = client->subs[prng_below(client->prng, client->sub_count)];
    if (sub->state != SIM_SUB_OPEN || (client->anchor && sub->consumer->group))
        return;
    sim_client_end_sub(client, sub, unsubscribe && !sub->consumer->group);
}

// A queue group that is not durable goes with its last member; when exactly, only the server knows. So another client joins one
// only while the anchor, which never leaves, is in it.
static bool is_anchored(const struct sim_client *client, const struct sim_sub_request *wanted)
{
    if (client->anchor)
        return true;
    for (size_t i = 0; i < client->model->sub_count; i++) {
        const struct sim_sub *sub = client->model->subs[i];
        if (sub->client == 0 && sub->state == SIM_SUB_OPEN && sub->request.channel == wanted->channel &&
            sub->request.durable[0] == 0 && strcmp(sub->request.group, wanted->group) == 0)
            return true;
    }
    return false;
}

static bool has_durable(const struct sim_client *client, const struct sim_sub_request *wanted)
{
    for (size_t i = 0; i < client->sub_count; i++) {
        const struct sim_sub_request *ours = &client->subs[i]->request;
        if (ours->channel == wanted->channel && ours->group[0] == 0 && strcmp(ours->durable, wanted->durable) == 0)
            return true;
    }
    return false;
}

static void say_verdict(struct sim_client *client, struct sim_sub *sub, uint64_t sequence, uint64_t roll)
{
    char text[64];
    uint64_t delay_ns = sequence % 3 * SECOND / 4;
    bool counts = sequence % 5 != 1;
    if (roll % 8 == 1) {
        sim_client_send_term(client, sub, sequence);
        return;
    }
    if (roll % 8 == 5) {
        snprintf(text, sizeof(text), "+WPI %llu", (unsigned long long)sequence);
    } else {
        sim_model_given_back(client->model, sub, sequence, delay_ns, counts);
        snprintf(text, sizeof(text), "-NAK %llu {\"delay\": %llu%s}", (unsigned long long)sequence,
                 (unsigned long long)delay_ns, counts ? "" : ", \"count\": false");
    }
    sim_client_send_verdict(client, sub, text);
}
