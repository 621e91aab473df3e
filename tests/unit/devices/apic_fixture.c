/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A local APIC whose clock moves only when a test says so. */
#include "apic_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

struct apic_fixture apics;

static uint64_t fake_now(void *host)
{
	return ((struct apic_fixture *)host)->now;
}

/* The TSC runs at 2 GHz and was 0 at time 0. */
static uint64_t fake_tsc_time(void *host, uint64_t tsc)
{
	(void)host;
	return tsc / 2;
}

static void fake_lock(void *host)
{
	cr_assert_eq(((struct apic_fixture *)host)->depth++, 0, "the bus lock is not recursive");
}

static void fake_unlock(void *host)
{
	cr_assert_eq(--((struct apic_fixture *)host)->depth, 0);
}

static void fake_kick(void *host, uint32_t id)
{
	cr_assert_eq(((struct apic_fixture *)host)->depth, 1, "kick() runs under the lock");
	((struct apic_fixture *)host)->kicks[id]++;
}

static void fake_set_timer(void *host, uint64_t time)
{
	((struct apic_fixture *)host)->timer = time;
}

static const struct local_apic_ops ops = {
	.now = fake_now,
	.tsc_time = fake_tsc_time,
	.lock = fake_lock,
	.unlock = fake_unlock,
	.kick = fake_kick,
	.set_timer = fake_set_timer,
};

void apics_reset(void)
{
	memset(&apics, 0, sizeof(apics));
	apics.now = 1000000;
	apics.timer = APIC_NEVER;
	local_apic_bus_init(&apics.bus, apics.apic, APICS, &ops, &apics);
}

void apics_start(void)
{
	unsigned i;

	apics_reset();
	for (i = 0; i < APICS; i++)
		apic_write(i, APIC_MSR_SVR, APIC_SVR_ENABLE | 0xff);
}

void apic_write(unsigned id, uint32_t msr, uint64_t value)
{
	cr_assert(local_apic_write(&apics.apic[id], msr, value), "WRMSR %#x = %#lx raised #GP", msr,
		  (unsigned long)value);
}

uint64_t apic_read(unsigned id, uint32_t msr)
{
	uint64_t value = ~0ull;

	cr_assert(local_apic_read(&apics.apic[id], msr, &value), "RDMSR %#x raised #GP", msr);
	return value;
}

void apics_advance(uint64_t ns)
{
	uint64_t end = apics.now + ns;
	unsigned rounds = 0;

	while (apics.timer <= end) {
		cr_assert_lt(rounds++, 1000, "the timer never stops");
		if (apics.timer > apics.now)
			apics.now = apics.timer;
		local_apic_bus_tick(&apics.bus);
	}
	apics.now = end;
}

bool apic_requested(unsigned id, uint8_t vector)
{
	return apic_read(id, APIC_MSR_IRR + vector / 32) >> (vector % 32) & 1;
}

int apic_take(unsigned id)
{
	int vector = local_apic_pending(&apics.apic[id]);

	if (vector >= 0)
		local_apic_accept(&apics.apic[id], (uint8_t)vector);
	return vector;
}
