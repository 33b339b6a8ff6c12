// SPDX-License-Identifier: Apache-2.0
// Intrusive doubly linked circular list. The same struct is the head and, embedded in a member, the link; the list owns
// nothing. All operations are O(1) and allocate nothing. A link is either in one list or points at itself.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next; // list link
    struct list *prev; // list link
};

// From a pointer to the embedded link (or other member) to the struct around it.
#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

// Walks from front to back; link is declared by the macro. The body may remove (and free) the current member and append
// others, but not remove the one that follows.
#define list_foreach(link, head)                                                                                       \
    for (struct list *link = (head)->next, *link##_next_ = link->next; link != (head);                                 \
         link = link##_next_, link##_next_ = link->next)

// An empty head, or a link in no list.
static inline void list_init(struct list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

// Whether the link is in a list; false as well for one that is all zeroes and was never initialised.
static inline bool list_is_linked(const struct list *node)
{
    return node->next != NULL && node->next != node;
}

// The node must be in no list.
static inline void list_push_back(struct list *head, struct list *node)
{
    node->next = head;
    node->prev = head->prev;
    head->prev->next = node;
    head->prev = node;
}

// The node must be in no list.
static inline void list_push_front(struct list *head, struct list *node)
{
    node->prev = head;
    node->next = head->next;
    head->next->prev = node;
    head->next = node;
}

// Takes the node out of whatever list it is in; harmless for an initialised one that is in none.
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

// The first link, still in the list; NULL when empty.
static inline struct list *list_first(const struct list *head)
{
    return head->next == head ? NULL : head->next;
}

// The last link, still in the list; NULL when empty.
static inline struct list *list_last(const struct list *head)
{
    return head->prev == head ? NULL : head->prev;
}

// The first link, taken out; NULL when empty.
static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = list_first(head);
    if (node) {
        list_remove(node);
    }
    return node;
}

// Moves all members of `from` behind those of `to`, in order; `from` is empty afterwards.
static inline void list_append_all(struct list *to, struct list *from)
{
    if (list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}
