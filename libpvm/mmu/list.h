/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A circular doubly linked list through its members. Owns nothing.
 */
#ifndef MMU_LIST_H
#define MMU_LIST_H

#include <pvm/types.h>

struct list {
	struct list *next, *prev;
};

#define list_entry(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

static inline void list_init(struct list *list)
{
	list->next = list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
	return list->next == list;
}

static inline void list_add(struct list *list, struct list *head)
{
	list->next = head->next;
	list->prev = head;
	head->next->prev = list;
	head->next = list;
}

static inline void list_del(struct list *list)
{
	list->prev->next = list->next;
	list->next->prev = list->prev;
	list_init(list);
}

static inline void list_move(struct list *list, struct list *head)
{
	list_del(list);
	list_add(list, head);
}

#endif /* MMU_LIST_H */
