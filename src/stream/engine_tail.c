// SPDX-License-Identifier: Apache-2.0
// The tentative tail: what was proposed and is not committed. Operations on objects are kept in order, so that they can be taken
// back from the newest on; messages are kept as marks of their stream, ids in the dedupe ring.
#include "stream/engine_internal.h"

static void take_back(struct tail_op *op);
static void member_return(struct member *member, bool with_consumer);

void engine_drop_tail(struct engine *engine, uint64_t last_good)
{
    for (struct list *link = list_last(&engine->tail); link; link = list_last(&engine->tail)) {
        struct tail_op *op = container_of(link, struct tail_op, link);
        if (op->index <= last_good)
            break;
        list_remove(link);
        take_back(op);
        pool_put(&engine->ops, op);
    }
    dedupe_drop(&engine->dedupe, last_good);
    list_foreach(link, &engine->stream_list) stream_drop_marks(container_of(link, struct stream, link), last_good);
    list_foreach(link, &engine->stream_list) stream_limits_look(container_of(link, struct stream, link));
    journal_drop(engine, last_good);
    if (engine->last_index > last_good)
        engine->last_index = last_good;
}

void engine_tail_push(struct engine *engine, enum tail_kind kind, void *object, uint64_t index, bool with_consumer)
{
    struct tail_op *op = pool_get(&engine->ops);
    must(op);
    *op = (struct tail_op){.index = index, .kind = kind, .object = object, .with_consumer = with_consumer};
    list_push_back(&engine->tail, &op->link);
}

bool engine_tail_commit(struct engine *engine, enum tail_kind kind, const void *object)
{
    struct list *link = list_first(&engine->tail);
    if (!link)
        return false;
    struct tail_op *op = container_of(link, struct tail_op, link);
    must(op->kind == kind && op->object == object);
    list_remove(link);
    pool_put(&engine->ops, op);
    return true;
}

static void take_back(struct tail_op *op)
{
    switch (op->kind) {
    case TAIL_STREAM_CREATE: stream_free(op->object); break;
    case TAIL_CONSUMER_CREATE: consumer_free(op->object); break;
    case TAIL_MEMBER_ADD:
        redelivery_release(op->object); // what an import gave it
        member_free(op->object);
        break;
    case TAIL_MEMBER_REMOVE: member_return(op->object, op->with_consumer); break;
    case TAIL_CONSUMER_SEEK:
        ((struct consumer *)op->object)->seeking = false;
        consumer_wake(op->object);
        break;
    case TAIL_STREAM_UPDATE: ((struct stream *)op->object)->updates--; break;
    case TAIL_STREAM_DELETE:
        ((struct stream *)op->object)->deleting = false;
        stream_name_add(op->object);
        break;
    case TAIL_CONSUMER_DELETE:
        ((struct consumer *)op->object)->deleting = false;
        consumer_name_add(op->object);
        break;
    }
}

static void member_return(struct member *member, bool with_consumer)
{
    member->removing = false;
    member->consumer->member_count++;
    member->consumer->stream->member_count++;
    if (with_consumer) {
        member->consumer->deleting = false;
        consumer_name_add(member->consumer);
    }
    member_choice_update(member);
}
