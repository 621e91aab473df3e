/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As xen_ring.h says. */
#include "xen_ring.h"

#include <string.h>

void xen_ring_init(struct xen_ring *ring, void *page, uint32_t entry_size)
{
	uint32_t entries = 1;

	while (entries * 2 * entry_size <= sizeof(ring->page->entries))
		entries *= 2;
	*ring = (struct xen_ring){ .page = page, .entry_size = entry_size, .entries = entries };
	/* A guest that connects anew starts at 0, or goes on where it was: then all was answered. */
	ring->taken = ring->answered = ring->published =
		__atomic_load_n(&ring->page->rsp_prod, __ATOMIC_ACQUIRE);
}

uint32_t xen_ring_waiting(const struct xen_ring *ring, bool *broken)
{
	uint32_t waiting = __atomic_load_n(&ring->page->req_prod, __ATOMIC_ACQUIRE) - ring->taken;
	/* An entry whose answer is not in the ring cannot hold another request. */
	bool nonsense = waiting > ring->entries - (ring->taken - ring->answered);

	if (broken)
		*broken = nonsense;
	return nonsense ? 0 : waiting;
}

static uint8_t *entry(const struct xen_ring *ring, uint32_t index)
{
	return ring->page->entries + (size_t)(index & (ring->entries - 1)) * ring->entry_size;
}

bool xen_ring_take(struct xen_ring *ring, void *request, uint32_t bytes)
{
	if (!xen_ring_waiting(ring, NULL))
		return false;
	memcpy(request, entry(ring, ring->taken), bytes);
	/* What is decided is decided by the copy: the guest may change the entry now. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	ring->taken++;
	return true;
}

bool xen_ring_ask(struct xen_ring *ring)
{
	__atomic_store_n(&ring->page->req_event, ring->taken + 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return xen_ring_waiting(ring, NULL);
}

void xen_ring_answer(struct xen_ring *ring, const void *response, uint32_t bytes)
{
	memcpy(entry(ring, ring->answered++), response, bytes);
}

bool xen_ring_publish(struct xen_ring *ring)
{
	uint32_t before = ring->published, event;

	__atomic_store_n(&ring->page->rsp_prod, ring->answered, __ATOMIC_SEQ_CST);
	ring->published = ring->answered;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = __atomic_load_n(&ring->page->rsp_event, __ATOMIC_SEQ_CST);
	return ring->answered - event < ring->answered - before;
}

void xen_ring_save(const struct xen_ring *ring, const struct xen_grants *grants, struct xen_record *to)
{
	xen_record_put32(to, xen_grants_frame(grants, ring->page));
	xen_record_put32(to, ring->answered);
	xen_record_put32(to, ring->published);
}

bool xen_ring_restore(struct xen_ring *ring, uint32_t entry_size, const struct xen_grants *grants,
		      struct xen_record *from)
{
	void *page = xen_grants_at(grants, xen_record_get32(from));

	if (from->is_bad || !page) {
		from->is_bad = true;
		return false;
	}
	xen_ring_init(ring, page, entry_size);
	ring->taken = ring->answered = xen_record_get32(from);
	ring->published = xen_record_get32(from);
	if (ring->answered - ring->published > ring->entries)
		from->is_bad = true;
	return !from->is_bad;
}
