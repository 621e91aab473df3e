/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Local APICs in x2APIC mode: registers, priorities, interrupt messages. The
 * timer is in local_apic_timer.c. Everything but local_apic_attention() runs
 * under the bus lock. Must never touch a CPU: the host does.
 */
#include <pvm/host.h>

#include "local_apic_internal.h"

static void apic_lock(struct local_apic *apic)
{
	apic->bus->ops->lock(apic->bus->host);
}

static void apic_unlock(struct local_apic *apic)
{
	apic->bus->ops->unlock(apic->bus->host);
}

/* Highest set bit of a 256-bit register, or -1. */
static int highest(const uint32_t reg[8])
{
	int i;

	for (i = 7; i >= 0; i--)
		if (reg[i])
			return 32 * i + 31 - __builtin_clz(reg[i]);
	return -1;
}

static void update_attention(struct local_apic *apic)
{
	atomic_store(&apic->attention, apic->nmi || highest(apic->irr) >= 0);
}

bool local_apic_attention(const struct local_apic *apic)
{
	return atomic_load(&apic->attention);
}

static bool enabled(const struct local_apic *apic)
{
	return apic->svr & APIC_SVR_ENABLE;
}

static void kick(struct local_apic *apic)
{
	update_attention(apic);
	apic->bus->ops->kick(apic->bus->host, apic->id);
}

void apic_accept_fixed(struct local_apic *apic, uint8_t vector)
{
	if (!enabled(apic))
		return;
	if (vector < 16) {
		apic_error(apic, APIC_ESR_RECEIVE_VECTOR);
		return;
	}
	apic->irr[vector / 32] |= 1u << (vector % 32);
	kick(apic);
}

void apic_error(struct local_apic *apic, uint32_t bit)
{
	uint32_t lvt = apic->lvt[APIC_MSR_LVT_ERROR - APIC_MSR_LVT_TIMER];

	apic->esr_next |= bit;
	/* A bad vector in the error entry itself would otherwise come back here for ever. */
	if (!(lvt & APIC_LVT_MASKED) && (lvt & 0xff) >= 16)
		apic_accept_fixed(apic, (uint8_t)lvt);
}

static void accept_nmi(struct local_apic *apic)
{
	apic->nmi = true;
	kick(apic);
}

/* SDM vol. 3, 10.8.3.1 */
static uint32_t processor_priority(const struct local_apic *apic)
{
	int vector = highest(apic->isr);
	uint32_t in_service = vector < 0 ? 0 : (uint32_t)vector & 0xf0;

	return (apic->tpr & 0xf0) >= in_service ? apic->tpr : in_service;
}

int local_apic_pending(struct local_apic *apic)
{
	int vector;

	apic_lock(apic);
	vector = highest(apic->irr);
	if (vector >= 0 &&
	    (!enabled(apic) || ((uint32_t)vector & 0xf0) <= (processor_priority(apic) & 0xf0)))
		vector = -1;
	apic_unlock(apic);
	return vector;
}

void local_apic_accept(struct local_apic *apic, uint8_t vector)
{
	apic_lock(apic);
	apic->irr[vector / 32] &= ~(1u << (vector % 32));
	apic->isr[vector / 32] |= 1u << (vector % 32);
	update_attention(apic);
	apic_unlock(apic);
}

bool local_apic_take_nmi(struct local_apic *apic)
{
	bool nmi;

	apic_lock(apic);
	nmi = apic->nmi;
	apic->nmi = false;
	update_attention(apic);
	apic_unlock(apic);
	return nmi;
}

/* Apart, so that the common answer is a few instructions. */
static __attribute__((noinline)) uint32_t look(struct local_apic *apic, uint64_t cr8, uint8_t *vector)
{
	uint32_t waits = 0;
	int pending;

	local_apic_set_cr8(apic, cr8);
	pending = local_apic_pending(apic);
	if (pending >= 0) {
		*vector = (uint8_t)pending;
		waits |= PVM_WAITS_INTERRUPT;
	}
	apic_lock(apic);
	waits |= apic->nmi ? PVM_WAITS_NMI : 0;
	apic_unlock(apic);
	return waits;
}

uint32_t local_apic_waits(struct local_apic *apic, uint64_t cr8, uint8_t *vector)
{
	return atomic_load(&apic->attention) ? look(apic, cr8, vector) : 0;
}

void local_apic_taken(struct local_apic *apic, uint32_t waits, uint8_t vector)
{
	if (waits & PVM_WAITS_NMI)
		local_apic_take_nmi(apic);
	if (waits & PVM_WAITS_INTERRUPT)
		local_apic_accept(apic, vector);
}

void local_apic_raise(struct local_apic *apic, uint8_t vector)
{
	apic_lock(apic);
	apic_accept_fixed(apic, vector);
	apic_unlock(apic);
}

uint64_t local_apic_get_cr8(struct local_apic *apic)
{
	uint64_t cr8;

	apic_lock(apic);
	cr8 = apic->tpr >> 4;
	apic_unlock(apic);
	return cr8;
}

void local_apic_set_cr8(struct local_apic *apic, uint64_t cr8)
{
	apic_lock(apic);
	apic->tpr = (uint32_t)(cr8 & 0xf) << 4;
	apic_unlock(apic);
}

/* ------------------------------------------------------------------------
 * Messages. SDM vol. 3, 10.12.9 and 10.12.10
 */

/* Cluster in the high half, one bit of sixteen in the low half. */
static uint32_t logical_id(const struct local_apic *apic)
{
	return (apic->id >> 4) << 16 | 1u << (apic->id & 0xf);
}

static bool addressed(const struct local_apic *sender, const struct local_apic *apic, uint64_t icr)
{
	uint32_t destination = (uint32_t)(icr >> 32);

	switch ((icr >> APIC_ICR_SHORTHAND_SHIFT) & 3) {
	case APIC_SHORTHAND_SELF:
		return apic == sender;
	case APIC_SHORTHAND_ALL:
		return true;
	case APIC_SHORTHAND_OTHERS:
		return apic != sender;
	}
	if (destination == APIC_BROADCAST)
		return true;
	if (icr & APIC_ICR_LOGICAL)
		return destination >> 16 == logical_id(apic) >> 16 &&
		       (destination & logical_id(apic) & 0xffff);
	return destination == apic->id;
}

static void send_lowest_priority(struct local_apic *sender, uint64_t icr)
{
	struct local_apic_bus *bus = sender->bus;
	struct local_apic *best = 0;
	uint32_t i;

	for (i = 0; i < bus->count; i++) {
		struct local_apic *apic = &bus->apics[i];

		if (addressed(sender, apic, icr) && enabled(apic) &&
		    (!best || processor_priority(apic) < processor_priority(best)))
			best = apic;
	}
	if (best)
		apic_accept_fixed(best, (uint8_t)icr);
}

static void send(struct local_apic *sender, uint64_t icr)
{
	struct local_apic_bus *bus = sender->bus;
	uint32_t mode = (icr >> APIC_ICR_MODE_SHIFT) & 7;
	uint32_t i;

	if ((mode == APIC_MODE_FIXED || mode == APIC_MODE_LOWEST) && (icr & 0xff) < 16) {
		apic_error(sender, APIC_ESR_SEND_VECTOR);
		return;
	}
	if (mode == APIC_MODE_LOWEST) {
		send_lowest_priority(sender, icr);
		return;
	}
	for (i = 0; i < bus->count; i++) {
		if (!addressed(sender, &bus->apics[i], icr))
			continue;
		if (mode == APIC_MODE_FIXED)
			apic_accept_fixed(&bus->apics[i], (uint8_t)icr);
		else if (mode == APIC_MODE_NMI)
			accept_nmi(&bus->apics[i]);
	}
}

#define ICR_RESERVED	0xfff33000ull

static bool write_icr(struct local_apic *apic, uint64_t value)
{
	uint32_t mode = (value >> APIC_ICR_MODE_SHIFT) & 7;

	if ((value & ICR_RESERVED) || mode == 3 || mode == 7)
		return false;
	apic->icr = value;
	send(apic, value);
	return true;
}

/* ------------------------------------------------------------------------
 * Registers.
 */

static void end_of_interrupt(struct local_apic *apic)
{
	int vector = highest(apic->isr);

	if (vector >= 0)
		apic->isr[vector / 32] &= ~(1u << (vector % 32));
}

/* Bits of an LVT entry that software may set; bit 12 (delivery status) reads as 0. */
static uint32_t lvt_bits(uint32_t msr)
{
	switch (msr) {
	case APIC_MSR_LVT_TIMER:
		return APIC_LVT_MASKED | 3u << APIC_LVT_TIMER_SHIFT | 0xff;
	case APIC_MSR_LVT_ERROR:
		return APIC_LVT_MASKED | 0xff;
	case APIC_MSR_LVT_LINT0:
	case APIC_MSR_LVT_LINT1:
		return APIC_LVT_MASKED | 0xa7ff;
	}
	return APIC_LVT_MASKED | 0x7ff;
}

#define LVT_READ_ONLY	0x5000u		/* delivery status, remote IRR: writes are ignored */

static bool write_lvt(struct local_apic *apic, uint32_t msr, uint32_t value)
{
	uint32_t *lvt = &apic->lvt[msr - APIC_MSR_LVT_TIMER];

	value &= ~LVT_READ_ONLY;
	if (value & ~lvt_bits(msr))
		return false;
	if (!enabled(apic))
		value |= APIC_LVT_MASKED;
	if (msr == APIC_MSR_LVT_TIMER)
		return apic_timer_write_lvt(apic, value);
	*lvt = value;
	return true;
}

static bool write_svr(struct local_apic *apic, uint32_t value)
{
	unsigned i;

	if (value & ~(APIC_SVR_ENABLE | 0xff))
		return false;
	apic->svr = value;
	if (!enabled(apic))
		for (i = 0; i < APIC_LVT_ENTRIES; i++)
			apic->lvt[i] |= APIC_LVT_MASKED;
	return true;
}

static bool write_register(struct local_apic *apic, uint32_t msr, uint64_t value)
{
	if (msr == APIC_MSR_ICR)
		return write_icr(apic, value);
	if (msr == APIC_MSR_TSC_DEADLINE) {
		apic_timer_write_deadline(apic, value);
		return true;
	}
	if (value >> 32)
		return false;
	switch (msr) {
	case APIC_MSR_TPR:
		if (value & ~0xffull)
			return false;
		apic->tpr = (uint32_t)value;
		return true;
	case APIC_MSR_EOI:
		if (value)
			return false;
		end_of_interrupt(apic);
		return true;
	case APIC_MSR_SVR:
		return write_svr(apic, (uint32_t)value);
	case APIC_MSR_ESR:
		if (value)
			return false;
		apic->esr = apic->esr_next;
		apic->esr_next = 0;
		return true;
	case APIC_MSR_LVT_TIMER ... APIC_MSR_LVT_ERROR:
		return write_lvt(apic, msr, (uint32_t)value);
	case APIC_MSR_INITIAL_COUNT:
		apic_timer_write_initial(apic, (uint32_t)value);
		return true;
	case APIC_MSR_DIVIDE:
		if (value & ~0xbull)
			return false;
		apic_timer_write_divide(apic, (uint32_t)value);
		return true;
	case APIC_MSR_SELF_IPI:
		if (value & ~0xffull)
			return false;
		send(apic, value | (uint64_t)APIC_SHORTHAND_SELF << APIC_ICR_SHORTHAND_SHIFT);
		return true;
	}
	return false;
}

static bool read_register(struct local_apic *apic, uint32_t msr, uint64_t *value)
{
	switch (msr) {
	case APIC_MSR_ID:
		*value = apic->id;
		return true;
	case APIC_MSR_VERSION:
		*value = APIC_VERSION;
		return true;
	case APIC_MSR_TPR:
		*value = apic->tpr;
		return true;
	case APIC_MSR_PPR:
		*value = processor_priority(apic);
		return true;
	case APIC_MSR_LDR:
		*value = logical_id(apic);
		return true;
	case APIC_MSR_SVR:
		*value = apic->svr;
		return true;
	case APIC_MSR_ISR ... APIC_MSR_ISR + 7:
		*value = apic->isr[msr - APIC_MSR_ISR];
		return true;
	case APIC_MSR_TMR ... APIC_MSR_TMR + 7:
		*value = 0;	/* all our interrupts are edges */
		return true;
	case APIC_MSR_IRR ... APIC_MSR_IRR + 7:
		*value = apic->irr[msr - APIC_MSR_IRR];
		return true;
	case APIC_MSR_ESR:
		*value = apic->esr;
		return true;
	case APIC_MSR_ICR:
		*value = apic->icr;
		return true;
	case APIC_MSR_LVT_TIMER ... APIC_MSR_LVT_ERROR:
		*value = apic->lvt[msr - APIC_MSR_LVT_TIMER];
		return true;
	case APIC_MSR_INITIAL_COUNT:
		*value = apic->initial_count;
		return true;
	case APIC_MSR_CURRENT_COUNT:
		*value = apic_timer_current(apic);
		return true;
	case APIC_MSR_DIVIDE:
		*value = apic->divide;
		return true;
	case APIC_MSR_TSC_DEADLINE:
		*value = apic->tsc_deadline;
		return true;
	}
	return false;
}

bool local_apic_read(struct local_apic *apic, uint32_t msr, uint64_t *value)
{
	bool ok;

	apic_lock(apic);
	ok = read_register(apic, msr, value);
	apic_unlock(apic);
	return ok;
}

bool local_apic_write(struct local_apic *apic, uint32_t msr, uint64_t value)
{
	bool ok;

	apic_lock(apic);
	ok = write_register(apic, msr, value);
	apic_unlock(apic);
	return ok;
}

/* Reset state: SDM vol. 3, 10.4.7.1 and 10.12.5.1 */
void local_apic_bus_init(struct local_apic_bus *bus, struct local_apic *apics, uint32_t count,
			 const struct local_apic_ops *ops, void *host)
{
	uint32_t i;
	unsigned entry;

	bus->ops = ops;
	bus->host = host;
	bus->apics = apics;
	bus->count = count;
	bus->timer = APIC_NEVER;
	for (i = 0; i < count; i++) {
		apics[i] = (struct local_apic){
			.bus = bus, .id = i, .svr = 0xff, .expires = APIC_NEVER
		};
		for (entry = 0; entry < APIC_LVT_ENTRIES; entry++)
			apics[i].lvt[entry] = APIC_LVT_MASKED;
	}
}
