// SPDX-License-Identifier: Apache-2.0
// tidy: prefix stream consumer
#include "stream/tally.h"

#include "stream/engine_internal.h"

enum { KEY_MAX = 2 + 4 + 2 * ENGINE_NAME_MAX };

struct page {
    struct list link;
    struct tally tally;
    size_t key_len;
    char key[];
};

static struct bytes key_put(char *to, struct bytes stream, struct bytes consumer);
static struct bytes stream_key(const struct stream *stream);
static void page_free(struct tally_book *book, struct page *page);

void tally_book_init(struct tally_book *book, size_t max)
{
    map_init(&book->pages, max);
    list_init(&book->used);
}

void tally_book_deinit(struct tally_book *book)
{
    for (struct list *link = list_first(&book->used); link; link = list_first(&book->used))
        page_free(book, container_of(link, struct page, link));
    map_deinit(&book->pages);
}

void tally_book_keep(struct tally_book *book, struct bytes stream, struct bytes consumer, const struct tally *tally)
{
    static const struct tally nothing;
    char text[KEY_MAX];
    if (memcmp(tally, &nothing, sizeof(nothing)) == 0)
        return;
    struct bytes key = key_put(text, stream, consumer);
    struct page *page = map_find(&book->pages, key);
    if (!page) {
        if (map_count(&book->pages) == book->pages.max)
            page_free(book, container_of(list_first(&book->used), struct page, link));
        page = mem_alloc_zero(sizeof(*page) + key.len);
        memcpy(page->key, key.ptr, key.len);
        page->key_len = key.len;
        must(map_add(&book->pages, bytes_make(page->key, key.len), page) == 0);
        list_push_back(&book->used, &page->link);
    }
    tally_add(&page->tally, tally);
}

void tally_book_take(struct tally_book *book, struct bytes stream, struct bytes consumer, struct tally *ret)
{
    char text[KEY_MAX];
    struct page *page = map_find(&book->pages, key_put(text, stream, consumer));
    *ret = page ? page->tally : (struct tally){0};
    if (page)
        page_free(book, page);
}

void tally_add(struct tally *to, const struct tally *what)
{
    to->published += what->published;
    to->published_bytes += what->published_bytes;
    to->delivered += what->delivered;
    to->redelivered += what->redelivered;
    to->acked += what->acked;
    to->dead += what->dead;
}

bool tally_subtract(struct tally *from, const struct tally *what)
{
    if (from->published < what->published || from->published_bytes < what->published_bytes ||
        from->delivered < what->delivered || from->redelivered < what->redelivered || from->acked < what->acked ||
        from->dead < what->dead)
        return false;
    *from = (struct tally){
        .published = from->published - what->published,
        .published_bytes = from->published_bytes - what->published_bytes,
        .delivered = from->delivered - what->delivered,
        .redelivered = from->redelivered - what->redelivered,
        .acked = from->acked - what->acked,
        .dead = from->dead - what->dead,
    };
    return true;
}

void tally_stream_named(struct stream *stream)
{
    struct tally tally;
    tally_book_take(&stream->engine->tallies, stream_key(stream), (struct bytes){0}, &tally);
    tally_add(&stream->tally, &tally);
    for (struct consumer *each = stream_consumer_next(stream, NULL); each; each = stream_consumer_next(stream, each))
        tally_consumer_named(each);
}

void tally_stream_unnamed(struct stream *stream)
{
    for (struct consumer *each = stream_consumer_next(stream, NULL); each; each = stream_consumer_next(stream, each))
        tally_consumer_unnamed(each);
    tally_book_keep(&stream->engine->tallies, stream_key(stream), (struct bytes){0}, &stream->tally);
    stream->tally = (struct tally){0};
}

// What the stream has lost sight of is not the consumer's either: its sum would rise by what was counted long ago.
void tally_consumer_named(struct consumer *consumer)
{
    struct stream *stream = consumer->stream;
    struct tally tally;
    tally_book_take(&stream->engine->tallies, stream_key(stream), consumer->config.name, &tally);
    if (tally_subtract(&stream->tally, &tally))
        tally_add(&consumer->tally, &tally);
}

void tally_consumer_unnamed(struct consumer *consumer)
{
    struct stream *stream = consumer->stream;
    tally_book_keep(&stream->engine->tallies, stream_key(stream), consumer->config.name, &consumer->tally);
    tally_add(&stream->tally, &consumer->tally);
    consumer->tally = (struct tally){0};
}

void stream_tally_get(const struct stream *stream, struct tally *ret)
{
    *ret = stream->tally;
    list_foreach(link, &stream->consumers) tally_add(ret, &container_of(link, struct consumer, link)->tally);
}

void consumer_tally_get(const struct consumer *consumer, struct tally *ret)
{
    *ret = consumer->tally;
}

// The length of the first in front: one pair of names is not another.
static struct bytes key_put(char *to, struct bytes stream, struct bytes consumer)
{
    must(2 + stream.len + consumer.len <= KEY_MAX);
    put_u16(to, (uint16_t)stream.len);
    memcpy(to + 2, stream.ptr, stream.len);
    if (consumer.len)
        memcpy(to + 2 + stream.len, consumer.ptr, consumer.len);
    return bytes_make(to, 2 + stream.len + consumer.len);
}

static struct bytes stream_key(const struct stream *stream)
{
    return bytes_make(stream->key, 4 + stream->config.name.len);
}

static void page_free(struct tally_book *book, struct page *page)
{
    must(map_remove(&book->pages, bytes_make(page->key, page->key_len)) == page);
    list_remove(&page->link);
    mem_free(page);
}
