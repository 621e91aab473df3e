/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As xen_console.h says. Indices run freely; a ring's size is a power of two. */
#include "xen_console.h"

#define IN_SIZE		sizeof(((struct pvm_xen_console *)0)->in)
#define OUT_SIZE	sizeof(((struct pvm_xen_console *)0)->out)

static uint32_t load(const uint32_t *index)
{
	return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void xen_console_init(struct xen_console *console, void *page)
{
	*console = (struct xen_console){ .ring = page };
}

unsigned xen_console_take(struct xen_console *console, uint8_t *to, unsigned size)
{
	struct pvm_xen_console *ring = console->ring;
	uint32_t there = load(&ring->out_prod) - console->taken, i;

	if (there > OUT_SIZE) {		/* an index the guest made up */
		console->taken += there - OUT_SIZE;
		there = OUT_SIZE;
	}
	size = lesser(size, there);
	for (i = 0; i < size; i++)
		to[i] = (uint8_t)__atomic_load_n(&ring->out[console->taken++ % OUT_SIZE], __ATOMIC_RELAXED);
	__atomic_store_n(&ring->out_cons, console->taken, __ATOMIC_RELEASE);
	return size;
}

unsigned xen_console_room(const struct xen_console *console)
{
	uint32_t used = console->given - load(&console->ring->in_cons);

	return used > IN_SIZE ? 0 : (unsigned)IN_SIZE - used;
}

unsigned xen_console_give(struct xen_console *console, const uint8_t *from, unsigned size)
{
	struct pvm_xen_console *ring = console->ring;
	unsigned i;

	size = lesser(size, xen_console_room(console));
	for (i = 0; i < size; i++)
		ring->in[console->given++ % IN_SIZE] = (char)from[i];
	__atomic_store_n(&ring->in_prod, console->given, __ATOMIC_RELEASE);
	return size;
}

void xen_console_save(const struct xen_console *console, struct xen_record *to)
{
	xen_record_put32(to, console->taken);
	xen_record_put32(to, console->given);
}

void xen_console_restore(struct xen_console *console, struct xen_record *from)
{
	console->taken = xen_record_get32(from);
	console->given = xen_record_get32(from);
}
