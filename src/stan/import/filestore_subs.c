// SPDX-License-Identifier: Apache-2.0
#include "stan/import/filestore_subs.h"

#include "base/memory.h"
#include "base/must.h"

static int take_state(struct filestore_subs *subs, struct bytes payload);
static int take_change(struct filestore_subs *subs, const struct filestore_frame *frame);
static void keep_texts(struct filestore_subscription *subscription, const struct filestore_sub *state);
static void subscription_free(struct filestore_subs *subs, struct filestore_subscription *subscription);

void filestore_subs_init(struct filestore_subs *subs, size_t max, size_t pending_max)
{
    *subs = (struct filestore_subs){.pending_max = pending_max};
    map_u64_init(&subs->by_id, max);
    list_init(&subs->list);
}

void filestore_subs_clear(struct filestore_subs *subs)
{
    for (struct list *link = list_first(&subs->list); link; link = list_first(&subs->list))
        subscription_free(subs, container_of(link, struct filestore_subscription, link));
    map_u64_deinit(&subs->by_id);
}

int filestore_subs_apply(struct filestore_subs *subs, const struct filestore_frame *frame)
{
    switch (frame->type) {
    case FILESTORE_SUB_NEW:
    case FILESTORE_SUB_UPDATE: return take_state(subs, frame->payload);
    case FILESTORE_SUB_DELETE:
    case FILESTORE_SUB_ACK:
    case FILESTORE_SUB_PENDING: return take_change(subs, frame);
    default: return ERR_UNSUPPORTED;
    }
}

// A new one, or another state of one that is there, which keeps what is pending.
static int take_state(struct filestore_subs *subs, struct bytes payload)
{
    struct filestore_sub state;
    int error = filestore_sub_decode(payload, &state);
    if (error)
        return error;
    struct filestore_subscription *subscription = map_u64_find(&subs->by_id, state.id);
    if (!subscription) {
        subscription = mem_alloc_zero(sizeof(*subscription));
        error = map_u64_add(&subs->by_id, state.id, subscription);
        if (error) {
            mem_free(subscription);
            return error;
        }
        map_u64_init(&subscription->pending, SIZE_MAX);
        list_push_back(&subs->list, &subscription->link);
    }
    if (state.last_sent < subscription->state.last_sent)
        state.last_sent = subscription->state.last_sent;
    keep_texts(subscription, &state);
    return 0;
}

static int take_change(struct filestore_subs *subs, const struct filestore_frame *frame)
{
    uint64_t id, sequence;
    int error = filestore_sub_change_decode(frame->payload, &id, &sequence);
    struct filestore_subscription *subscription = error ? NULL : map_u64_find(&subs->by_id, id);
    if (!subscription)
        return error;
    if (frame->type == FILESTORE_SUB_DELETE) {
        subscription_free(subs, subscription);
    } else if (frame->type == FILESTORE_SUB_ACK) {
        subs->pending_count -= map_u64_remove(&subscription->pending, sequence) != NULL;
    } else if (!map_u64_find(&subscription->pending, sequence)) {
        if (subs->pending_count == subs->pending_max)
            return ERR_LIMIT;
        error = map_u64_add(&subscription->pending, sequence, subscription);
        subs->pending_count += !error;
        if (subscription->state.last_sent < sequence)
            subscription->state.last_sent = sequence;
    }
    return error;
}

static void keep_texts(struct filestore_subscription *subscription, const struct filestore_sub *state)
{
    char *old = subscription->storage;
    subscription->state = *state;
    struct bytes *texts[] = {
        &subscription->state.client_id, &subscription->state.group,   &subscription->state.inbox,
        &subscription->state.ack_inbox, &subscription->state.durable,
    };
    size_t size = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        size += texts[i]->len;
    char *to = subscription->storage = mem_alloc(size);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i]->len)
            memcpy(to, texts[i]->ptr, texts[i]->len);
        texts[i]->ptr = to;
        to += texts[i]->len;
    }
    mem_free(old);
}

static void subscription_free(struct filestore_subs *subs, struct filestore_subscription *subscription)
{
    subs->pending_count -= map_u64_count(&subscription->pending);
    must(map_u64_remove(&subs->by_id, subscription->state.id) == subscription);
    list_remove(&subscription->link);
    map_u64_deinit(&subscription->pending);
    mem_free(subscription->storage);
    mem_free(subscription);
}
