/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Event channels, of the interface's two levels: a bit for each port in the shared_info, a bit for
 * each word of those in a vcpu_info. A port is a virtual interrupt's, an interrupt between vCPUs,
 * or has its other end with the host.
 *
 * A port's state is one word of 64 bits, changed under the VM's MMU lock and read by anyone.
 * To raise a port takes no lock: its bit is set first, and only then is looked whom it tells, so
 * that a vcpu_info that moves meanwhile is told everything anew (pvm_xen_tell_everything()).
 */
#include "abi/xen_pv/xen_pv.h"
#include "mmu/lock.h"

#define DOMID_HOST	0	/* the other end of every channel between domains */
#define COST		8	/* of call->budget: the table may be full, or the host be told */

/* ------------------------------------------------------------------------
 * The table.
 */

union port_word {
	struct xen_port port;
	uint64_t word;
};

static uint64_t *port_at(const struct pvm_vm *vm, uint32_t port)
{
	uint64_t *page = xen_vm(vm)->ports[port / XEN_PORTS_PER_PAGE].va;

	return page + port % XEN_PORTS_PER_PAGE;
}

struct xen_port pvm_xen_port_get(const struct pvm_vm *vm, uint32_t port)
{
	union port_word word = { .word = 0 };

	if (port && port < PVM_XEN_PORTS_MAX)
		word.word = __atomic_load_n(port_at(vm, (uint32_t)pvm_index_clamped(port, PVM_XEN_PORTS_MAX)),
					    __ATOMIC_SEQ_CST);
	return word.port;
}

void pvm_xen_port_set(struct pvm_vm *vm, uint32_t port, struct xen_port to)
{
	union port_word word = { .port = to };

	__atomic_store_n(port_at(vm, port), word.word, __ATOMIC_SEQ_CST);
}

/* With the lock: a closed port becomes @to. */
static int port_new(struct pvm_vm *vm, struct xen_port to)
{
	uint32_t port;

	for (port = 1; port < PVM_XEN_PORTS_MAX; port++) {
		if (pvm_xen_port_get(vm, port).state != PVM_XEN_PORT_CLOSED)
			continue;
		pvm_xen_port_set(vm, port, to);
		return (int)port;
	}
	return PVM_XEN_ENOSPC;
}

static int port_new_locked(struct pvm_vm *vm, struct xen_port to)
{
	int port;

	pvm_lock(vm);
	port = port_new(vm, to);
	pvm_unlock(vm);
	return port;
}

/* ------------------------------------------------------------------------
 * Telling.
 */

static uint64_t bit_of(uint32_t port)
{
	return 1ull << port % 64;
}

/* The word of @words that a port's bit is in. The guest writes it, too: only atomic accesses (M6). */
static uint64_t *word_of(uint64_t *words, uint32_t port)
{
	return &words[port / 64];
}

static void kick(struct pvm_vcpu *vcpu)
{
	vcpu->vm->ops->kick(vcpu->vm->host, vcpu);
}

/* The vCPU finds word @index of the pending bits. True: it was not told before. */
static bool tell(const struct pvm_vcpu *vcpu, uint64_t words)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	struct pvm_xen_vcpu_info *info;
	bool fresh = false;

	/* Who waits for tellers is not kept by those that come later (M12). */
	if (!__atomic_load_n(&xen->info, __ATOMIC_SEQ_CST))
		return false;
	/* In one order with pvm_xen_leave_info()'s two: one of us sees the other. */
	__atomic_fetch_add(&xen->tellers, 1, __ATOMIC_SEQ_CST);
	info = __atomic_load_n(&xen->info, __ATOMIC_SEQ_CST);
	if (info) {
		__atomic_fetch_or(&info->pending_sel, words, __ATOMIC_SEQ_CST);
		fresh = !__atomic_exchange_n(&info->pending, 1, __ATOMIC_SEQ_CST);
	}
	__atomic_fetch_sub(&xen->tellers, 1, __ATOMIC_SEQ_CST);
	return fresh;
}

/* M10: what is told meanwhile is told anew at the next place (pvm_xen_tell_everything()). */
void pvm_xen_leave_info(struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	unsigned spins = 0;

	__atomic_store_n(&xen->info, NULL, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&xen->tellers, __ATOMIC_SEQ_CST))
		pvm_nap(vcpu->vm, ++spins);
}

void pvm_xen_tell_everything(struct pvm_vcpu *vcpu)
{
	tell(vcpu, ~0ull);
}

/* A vCPU that polls goes on; it looks at its ports again. */
static void wake_poller(struct pvm_vcpu *vcpu, uint32_t port)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);

	if (__atomic_load_n(&xen->wait, __ATOMIC_SEQ_CST) != XEN_WAIT_PORT)
		return;
	if (xen->poll_count == 1 && PVM_READ_ONCE(xen->poll_port) != port)
		return;
	__atomic_store_n(&xen->woken, 1, __ATOMIC_SEQ_CST);
	kick(vcpu);
}

void pvm_xen_raise(struct pvm_vm *vm, uint32_t port)
{
	struct pvm_xen_shared_info *shared = __atomic_load_n(&xen_vm(vm)->shared, __ATOMIC_ACQUIRE);
	struct pvm_vcpu *vcpu;

	if (!shared || (__atomic_fetch_or(word_of(shared->pending, port), bit_of(port), __ATOMIC_SEQ_CST) &
			bit_of(port)))
		return;
	vcpu = xen_find_vcpu(vm, pvm_xen_port_get(vm, port).vcpu);
	if (!vcpu)
		return;
	wake_poller(vcpu, port);
	if (!(__atomic_load_n(word_of(shared->mask, port), __ATOMIC_SEQ_CST) & bit_of(port)) &&
	    tell(vcpu, 1ull << port / 64))
		kick(vcpu);
}

void pvm_xen_raise_virq(struct pvm_vcpu *vcpu, unsigned virq)
{
	uint16_t port = __atomic_load_n(&xen_vcpu(vcpu)->virq_port[virq], __ATOMIC_ACQUIRE);

	if (port)
		pvm_xen_raise(vcpu->vm, port);
}

bool pvm_xen_port_is_pending(const struct pvm_vm *vm, uint32_t port)
{
	struct pvm_xen_shared_info *shared = xen_vm(vm)->shared;

	if (!shared || port >= PVM_XEN_PORTS_MAX)
		return false;
	port = (uint32_t)pvm_index_clamped(port, PVM_XEN_PORTS_MAX);
	return __atomic_load_n(word_of(shared->pending, port), __ATOMIC_SEQ_CST) & bit_of(port);
}

/* ------------------------------------------------------------------------
 * EVTCHNOP_*
 */

static int bind_virq(struct pvm_vm *vm, uint32_t virq, uint32_t id)
{
	struct xen_port port = { .state = PVM_XEN_PORT_VIRQ, .virq = (uint8_t)virq, .vcpu = (uint16_t)id };
	struct pvm_vcpu *vcpu = xen_find_vcpu(vm, id);
	int result;

	if (virq >= PVM_XEN_VIRQS || (id && !(PVM_XEN_VIRQS_OF_VCPU >> virq & 1)))
		return PVM_XEN_EINVAL;
	if (!vcpu)
		return PVM_XEN_ENOENT;
	virq = (uint32_t)pvm_index_clamped(virq, PVM_XEN_VIRQS);
	pvm_lock(vm);
	if (xen_vcpu(vcpu)->virq_port[virq])
		result = PVM_XEN_EEXIST;
	else
		result = port_new(vm, port);
	if (result > 0)
		__atomic_store_n(&xen_vcpu(vcpu)->virq_port[virq], (uint16_t)result, __ATOMIC_RELEASE);
	pvm_unlock(vm);
	return result;
}

static int bind_ipi(struct pvm_vm *vm, uint32_t id)
{
	if (!xen_find_vcpu(vm, id))
		return PVM_XEN_ENOENT;
	return port_new_locked(vm, (struct xen_port){ .state = PVM_XEN_PORT_IPI, .vcpu = (uint16_t)id });
}

static int alloc_unbound(struct pvm_vm *vm, uint16_t domain, uint16_t remote)
{
	if (domain != PVM_XEN_DOMID_SELF)
		return PVM_XEN_ESRCH;
	/* A port to itself is for a store that the guest runs. Linux wants one if it is not told of the
	 * host's, does without after this answer, and ends after any other. */
	if (remote == PVM_XEN_DOMID_SELF)
		return PVM_XEN_ENOSYS;
	if (remote != DOMID_HOST)
		return PVM_XEN_EPERM;
	return port_new_locked(vm, (struct xen_port){ .state = PVM_XEN_PORT_UNBOUND });
}

/* It stays with the vCPU that it was bound for, whichever the port tells now. */
static void unbind_virq(struct pvm_vm *vm, uint32_t virq, uint32_t number)
{
	struct pvm_vcpu *vcpu;
	uint32_t id;

	for (id = 0; id < vm->config.xen.vcpus; id++) {
		vcpu = xen_find_vcpu(vm, id);
		if (vcpu && xen_vcpu(vcpu)->virq_port[virq] == number)
			__atomic_store_n(&xen_vcpu(vcpu)->virq_port[virq], 0, __ATOMIC_RELEASE);
	}
}

static int close_port(struct pvm_vm *vm, uint32_t number)
{
	struct pvm_xen_shared_info *shared = xen_vm(vm)->shared;
	struct xen_port port;

	pvm_lock(vm);
	port = pvm_xen_port_get(vm, number);
	if (port.state != PVM_XEN_PORT_CLOSED) {
		if (port.state == PVM_XEN_PORT_VIRQ)
			unbind_virq(vm, port.virq, number);
		pvm_xen_port_set(vm, number, (struct xen_port){ .state = PVM_XEN_PORT_CLOSED });
		if (shared)
			__atomic_fetch_and(word_of(shared->pending, number), ~bit_of(number),
					   __ATOMIC_SEQ_CST);
	}
	pvm_unlock(vm);
	return port.state == PVM_XEN_PORT_CLOSED ? PVM_XEN_EINVAL : 0;
}

static int send(struct pvm_vm *vm, uint32_t number)
{
	struct xen_port port = pvm_xen_port_get(vm, number);

	switch (port.state) {
	case PVM_XEN_PORT_INTERDOMAIN:
		if (vm->ops->notify)
			vm->ops->notify(vm->host, number, port.remote);
		return 0;
	case PVM_XEN_PORT_IPI:
		pvm_xen_raise(vm, number);
		return 0;
	case PVM_XEN_PORT_UNBOUND:
		return 0;	/* it has no other end yet */
	}
	return PVM_XEN_EINVAL;
}

static int bind_vcpu(struct pvm_vm *vm, uint32_t number, uint32_t id)
{
	struct xen_port port;
	int result = 0;

	if (!xen_find_vcpu(vm, id))
		return PVM_XEN_ENOENT;
	pvm_lock(vm);
	port = pvm_xen_port_get(vm, number);
	/* An interrupt of one vCPU is its own. */
	if (port.state != PVM_XEN_PORT_INTERDOMAIN && port.state != PVM_XEN_PORT_UNBOUND &&
	    (port.state != PVM_XEN_PORT_VIRQ || (PVM_XEN_VIRQS_OF_VCPU >> port.virq & 1))) {
		result = PVM_XEN_EINVAL;
	} else {
		port.vcpu = (uint16_t)id;
		pvm_xen_port_set(vm, number, port);
	}
	pvm_unlock(vm);
	return result;
}

static int unmask(struct pvm_vm *vm, uint32_t number)
{
	struct pvm_xen_shared_info *shared = xen_vm(vm)->shared;
	struct xen_port port = pvm_xen_port_get(vm, number);
	struct pvm_vcpu *vcpu = xen_find_vcpu(vm, port.vcpu);

	if (port.state == PVM_XEN_PORT_CLOSED || !shared)
		return PVM_XEN_EINVAL;
	__atomic_fetch_and(word_of(shared->mask, number), ~bit_of(number), __ATOMIC_SEQ_CST);
	if (vcpu && pvm_xen_port_is_pending(vm, number) && tell(vcpu, 1ull << number / 64))
		kick(vcpu);
	return 0;
}

/* The structures of the interface, as words of 32 bits. */
struct request {
	uint32_t word[6];
};

static int status(struct pvm_vm *vm, struct request *r)
{
	uint32_t number = r->word[1];
	struct xen_port port = pvm_xen_port_get(vm, number);

	if ((uint16_t)r->word[0] != PVM_XEN_DOMID_SELF)
		return PVM_XEN_ESRCH;
	if (!number || number >= PVM_XEN_PORTS_MAX)
		return PVM_XEN_EINVAL;
	r->word[2] = port.state;
	r->word[3] = port.vcpu;
	r->word[4] = port.state == PVM_XEN_PORT_VIRQ ? port.virq : DOMID_HOST;
	r->word[5] = port.remote;
	return 0;
}

/* Bytes of the request, and the word of it that the answer goes to; 0: none. */
struct shape {
	uint8_t size, answer;
	bool known;
};

static const struct shape shapes[] = {
	[PVM_XEN_EVTCHNOP_BIND_VIRQ] = { 12, 2, true },
	[PVM_XEN_EVTCHNOP_CLOSE] = { 4, 0, true },
	[PVM_XEN_EVTCHNOP_SEND] = { 4, 0, true },
	[PVM_XEN_EVTCHNOP_STATUS] = { 24, 0, true },
	[PVM_XEN_EVTCHNOP_ALLOC_UNBOUND] = { 8, 1, true },
	[PVM_XEN_EVTCHNOP_BIND_IPI] = { 8, 1, true },
	[PVM_XEN_EVTCHNOP_BIND_VCPU] = { 8, 0, true },
	[PVM_XEN_EVTCHNOP_UNMASK] = { 4, 0, true },
};

static int request(struct pvm_vm *vm, uint64_t op, struct request *r)
{
	switch (op) {
	case PVM_XEN_EVTCHNOP_BIND_VIRQ:
		return bind_virq(vm, r->word[0], r->word[1]);
	case PVM_XEN_EVTCHNOP_CLOSE:
		return close_port(vm, r->word[0]);
	case PVM_XEN_EVTCHNOP_SEND:
		return send(vm, r->word[0]);
	case PVM_XEN_EVTCHNOP_STATUS:
		return status(vm, r);
	case PVM_XEN_EVTCHNOP_ALLOC_UNBOUND:
		return alloc_unbound(vm, (uint16_t)r->word[0], (uint16_t)(r->word[0] >> 16));
	case PVM_XEN_EVTCHNOP_BIND_IPI:
		return bind_ipi(vm, r->word[0]);
	case PVM_XEN_EVTCHNOP_BIND_VCPU:
		return bind_vcpu(vm, r->word[0], r->word[1]);
	}
	return unmask(vm, r->word[0]);
}

/* Can the answer be written? Asked first: what was bound is not unbound because of memory that is
 * away. */
enum xen_step pvm_xen_event_channel_op(struct xen_call *call)
{
	uint64_t op = call->arg[0], at = call->arg[1];
	const struct shape *shape = &shapes[pvm_index_clamped(op, sizeof(shapes) / sizeof(shapes[0]))];
	struct request r;
	bool failed;
	enum xen_step step;
	int result;

	call->budget -= COST;
	if (!shape->known)
		return xen_done(call, PVM_XEN_ENOSYS);
	step = pvm_xen_read(call, at, &r, shape->size, &failed);
	if (failed)
		return step;
	if (shape->answer || op == PVM_XEN_EVTCHNOP_STATUS) {
		step = pvm_xen_write(call, at, &r, shape->size, &failed);
		if (failed)
			return step;
	}
	result = request(call->vcpu->vm, op, &r);
	if (result < 0 || !(shape->answer || op == PVM_XEN_EVTCHNOP_STATUS))
		return xen_done(call, result);
	if (shape->answer)
		r.word[shape->answer] = (uint32_t)result;
	step = pvm_xen_write(call, at, &r, shape->size, &failed);
	if (failed && step == XEN_LATE && shape->answer)
		close_port(call->vcpu->vm, (uint32_t)result);	/* it is asked for again */
	return failed ? step : xen_done(call, 0);
}

/* ------------------------------------------------------------------------
 * The host's ends.
 */

int pvm_xen_alloc_port(struct pvm_vm *vm, uint32_t remote, uint32_t vcpu)
{
	return port_new_locked(vm, (struct xen_port){
		.state = PVM_XEN_PORT_INTERDOMAIN, .vcpu = (uint16_t)vcpu, .remote = remote });
}

static int change(struct pvm_vm *vm, uint32_t number, uint8_t from, uint8_t to, uint32_t remote)
{
	struct xen_port port;

	pvm_lock(vm);
	port = pvm_xen_port_get(vm, number);
	if (port.state == from) {
		pvm_xen_port_set(vm, number,
				 (struct xen_port){ .state = to, .vcpu = port.vcpu, .remote = remote });
		pvm_unlock(vm);
		return PVM_OK;
	}
	pvm_unlock(vm);
	return PVM_EINVAL;
}

int pvm_xen_bind_port(struct pvm_vm *vm, uint32_t port, uint32_t remote)
{
	return change(vm, port, PVM_XEN_PORT_UNBOUND, PVM_XEN_PORT_INTERDOMAIN, remote);
}

int pvm_xen_unbind_port(struct pvm_vm *vm, uint32_t port)
{
	return change(vm, port, PVM_XEN_PORT_INTERDOMAIN, PVM_XEN_PORT_UNBOUND, 0);
}

int pvm_xen_notify(struct pvm_vm *vm, uint32_t port)
{
	if (pvm_xen_port_get(vm, port).state != PVM_XEN_PORT_INTERDOMAIN)
		return PVM_EINVAL;
	if (!__atomic_load_n(&xen_vm(vm)->shared, __ATOMIC_ACQUIRE))
		return PVM_EAGAIN;
	pvm_xen_raise(vm, port);
	return PVM_OK;
}
