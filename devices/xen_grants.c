/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As xen_grants.h says. */
#include "xen_grants.h"

#include <stddef.h>

#define PAGE	4096

void *xen_grants_page(const struct xen_grants *grants, uint32_t ref, bool writable)
{
	const struct xen_grant *grant;
	uint16_t flags;
	uint32_t frame;

	if (ref >= grants->count)
		return NULL;
	grant = &grants->table[ref];
	flags = __atomic_load_n(&grant->flags, __ATOMIC_ACQUIRE);
	frame = __atomic_load_n(&grant->frame, __ATOMIC_RELAXED);
	if ((flags & XEN_GRANT_TYPE) != XEN_GRANT_ACCESS || (writable && (flags & XEN_GRANT_READONLY)) ||
	    __atomic_load_n(&grant->domain, __ATOMIC_RELAXED) || frame >= grants->pages)
		return NULL;
	return grants->memory + (uint64_t)frame * PAGE;
}

void *xen_grants_map(const struct xen_grants *grants, uint32_t ref)
{
	void *page = xen_grants_page(grants, ref, true);

	if (page)
		__atomic_fetch_or(&grants->table[ref].flags, XEN_GRANT_READING | XEN_GRANT_WRITING,
				  __ATOMIC_SEQ_CST);
	return page;
}

void xen_grants_unmap(const struct xen_grants *grants, uint32_t ref)
{
	if (ref < grants->count)
		__atomic_fetch_and(&grants->table[ref].flags,
				   (uint16_t)~(XEN_GRANT_READING | XEN_GRANT_WRITING), __ATOMIC_SEQ_CST);
}

uint32_t xen_grants_frame(const struct xen_grants *grants, const void *page)
{
	return (uint32_t)((uint64_t)((const uint8_t *)page - grants->memory) / PAGE);
}

void *xen_grants_at(const struct xen_grants *grants, uint32_t frame)
{
	return frame < grants->pages ? grants->memory + (uint64_t)frame * PAGE : NULL;
}
