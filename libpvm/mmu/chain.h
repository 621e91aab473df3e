/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A circular doubly linked list through its members. Owns nothing.
 */
#ifndef MMU_CHAIN_H
#define MMU_CHAIN_H

#include <pvm/types.h>

struct pvm_list {
	struct pvm_list *next, *prev;
};

#define pvm_list_entry(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

static inline void pvm_list_init(struct pvm_list *list)
{
	list->next = list->prev = list;
}

static inline bool pvm_list_empty(const struct pvm_list *list)
{
	return list->next == list;
}

static inline void pvm_list_add(struct pvm_list *list, struct pvm_list *head)
{
	list->next = head->next;
	list->prev = head;
	head->next->prev = list;
	head->next = list;
}

static inline void pvm_list_del(struct pvm_list *list)
{
	list->prev->next = list->next;
	list->next->prev = list->prev;
	pvm_list_init(list);
}

static inline void pvm_list_move(struct pvm_list *list, struct pvm_list *head)
{
	pvm_list_del(list);
	pvm_list_add(list, head);
}

/* Everything in @from goes to the front of @to. */
static inline void pvm_list_splice(struct pvm_list *from, struct pvm_list *to)
{
	if (pvm_list_empty(from))
		return;
	from->prev->next = to->next;
	to->next->prev = from->prev;
	to->next = from->next;
	from->next->prev = to;
	pvm_list_init(from);
}

#endif /* MMU_CHAIN_H */
