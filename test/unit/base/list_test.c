// SPDX-License-Identifier: Apache-2.0
// Linking, unlinking, walking while members go.
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct member {
    int number;
    struct list link;
};

static void assert_numbers(struct list *head, const char *digits)
{
    list_foreach(link, head)
    {
        assert_int_equal(container_of(link, struct member, link)->number, *digits++ - '0');
    }
    assert_int_equal(*digits, 0);
}

static void fill(struct list *head, struct member members[6])
{
    list_init(head);
    for (int i = 0; i < 6; i++) {
        members[i].number = i;
        list_push_back(head, &members[i].link);
    }
}

static void pushes_and_pops(void **state)
{
    struct list head;
    struct member members[6];
    fill(&head, members);
    assert_numbers(&head, "012345");
    assert_ptr_equal(list_first(&head), &members[0].link);
    assert_ptr_equal(list_last(&head), &members[5].link);
    assert_ptr_equal(list_pop_front(&head), &members[0].link);
    assert_false(list_is_linked(&members[0].link));
    list_push_back(&head, &members[0].link);
    list_remove(&members[3].link);
    list_push_front(&head, &members[3].link);
    assert_numbers(&head, "312450");
    list_remove(&members[3].link);
    list_remove(&members[3].link);
    assert_numbers(&head, "12450");
    while (list_pop_front(&head)) {
    }
    assert_true(list_empty(&head));
    assert_null(list_first(&head));
    assert_null(list_last(&head));
}

static void knows_what_is_linked(void **state)
{
    struct list head, node = {NULL, NULL};
    list_init(&head);
    assert_false(list_is_linked(&node));
    list_push_back(&head, &node);
    assert_true(list_is_linked(&node));
    list_remove(&node);
    assert_false(list_is_linked(&node));
}

static void removes_while_walking(void **state)
{
    struct list head, other;
    struct member members[6];
    fill(&head, members);
    list_init(&other);
    list_foreach(link, &head)
    {
        if (container_of(link, struct member, link)->number % 2 == 0) {
            list_remove(link);
            list_push_back(&other, link);
        }
    }
    assert_numbers(&head, "135");
    assert_numbers(&other, "024");
}

static void appends_whole_lists(void **state)
{
    struct list head, empty;
    struct member members[6];
    fill(&head, members);
    list_init(&empty);
    list_append_all(&head, &empty);
    assert_numbers(&head, "012345");
    list_append_all(&empty, &head);
    assert_numbers(&head, "");
    list_remove(&members[5].link);
    list_push_back(&head, &members[5].link);
    list_append_all(&head, &empty);
    assert_numbers(&head, "501234");
    assert_numbers(&empty, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushes_and_pops),
        cmocka_unit_test(knows_what_is_linked),
        cmocka_unit_test(removes_while_walking),
        cmocka_unit_test(appends_whole_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
