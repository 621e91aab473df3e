/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The timer of the local APIC: APIC_TIMER_HZ before the divider, kept as the
 * time when it expires, so that nothing runs while it counts. The host gets
 * the earliest expiry of the whole bus (set_timer()). SDM vol. 3, 10.5.4
 */
#include "local_apic_internal.h"

static uint32_t mode(const struct local_apic *apic)
{
	return apic->lvt[0] >> APIC_LVT_TIMER_SHIFT & 3;
}

/* Bits 0, 1 and 3 of DIVIDE: 000 is 2, 110 is 128, 111 is 1. */
static uint64_t divider(const struct local_apic *apic)
{
	uint32_t code = (apic->divide & 3) | (apic->divide >> 1 & 4);

	return code == 7 ? 1 : 2ull << code;
}

static uint64_t period(const struct local_apic *apic)
{
	return apic->initial_count * divider(apic);
}

static uint64_t now(const struct local_apic *apic)
{
	return apic->bus->ops->now(apic->bus->host);
}

/* Tell the host when to call, if that has changed. */
static void set_bus_timer(struct local_apic_bus *bus)
{
	uint64_t first = APIC_NEVER;
	uint32_t i;

	for (i = 0; i < bus->count; i++)
		if (bus->apics[i].expires < first)
			first = bus->apics[i].expires;
	if (first == bus->timer)
		return;
	bus->timer = first;
	bus->ops->set_timer(bus->host, first);
}

static void set_expiry(struct local_apic *apic, uint64_t expires)
{
	apic->expires = expires;
	set_bus_timer(apic->bus);
}

bool apic_timer_write_lvt(struct local_apic *apic, uint32_t value)
{
	uint32_t old = mode(apic), new = value >> APIC_LVT_TIMER_SHIFT & 3;

	if (new == 3)
		return false;
	apic->lvt[0] = value;
	/* Between counting and TSC-deadline the timer stops. */
	if (old != new && (old == APIC_TIMER_TSC_DEADLINE || new == APIC_TIMER_TSC_DEADLINE)) {
		apic->tsc_deadline = 0;
		apic->initial_count = 0;
		set_expiry(apic, APIC_NEVER);
	}
	return true;
}

void apic_timer_write_initial(struct local_apic *apic, uint32_t value)
{
	if (mode(apic) == APIC_TIMER_TSC_DEADLINE)
		return;
	apic->initial_count = value;
	set_expiry(apic, value ? now(apic) + period(apic) : APIC_NEVER);
}

uint32_t apic_timer_current(struct local_apic *apic)
{
	uint64_t time;

	if (mode(apic) == APIC_TIMER_TSC_DEADLINE || apic->expires == APIC_NEVER)
		return 0;
	time = now(apic);
	return apic->expires > time ? (uint32_t)((apic->expires - time) / divider(apic)) : 0;
}

/* The count goes on from where it is, at the new rate. */
void apic_timer_write_divide(struct local_apic *apic, uint32_t value)
{
	uint32_t left = apic_timer_current(apic);

	apic->divide = value;
	if (left)
		set_expiry(apic, now(apic) + left * divider(apic));
}

void apic_timer_write_deadline(struct local_apic *apic, uint64_t value)
{
	if (mode(apic) != APIC_TIMER_TSC_DEADLINE)
		return;
	apic->tsc_deadline = value;
	set_expiry(apic, value ? apic->bus->ops->tsc_time(apic->bus->host, value) : APIC_NEVER);
}

static void expire(struct local_apic *apic, uint64_t time)
{
	uint64_t every = period(apic);

	if (mode(apic) == APIC_TIMER_PERIODIC && every) {
		/* One interrupt however late the host is; the phase is kept. */
		if (every < APIC_TIMER_MIN_PERIOD)
			apic->expires = time + APIC_TIMER_MIN_PERIOD;
		else
			apic->expires += ((time - apic->expires) / every + 1) * every;
	} else {
		apic->expires = APIC_NEVER;
		apic->tsc_deadline = 0;
	}
	if (!(apic->lvt[0] & APIC_LVT_MASKED))
		apic_accept_fixed(apic, (uint8_t)apic->lvt[0]);
}

void local_apic_bus_tick(struct local_apic_bus *bus)
{
	uint64_t time;
	uint32_t i;

	bus->ops->lock(bus->host);
	time = bus->ops->now(bus->host);
	for (i = 0; i < bus->count; i++)
		if (bus->apics[i].expires <= time)
			expire(&bus->apics[i], time);
	bus->timer = APIC_NEVER - 1;	/* the host's timer has gone off: tell it again */
	set_bus_timer(bus);
	bus->ops->unlock(bus->host);
}
