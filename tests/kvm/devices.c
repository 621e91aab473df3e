/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * devices SERVANT.elf: what KVM itself does for guests: interrupts from event descriptors, by messages and
 * lines, ports that signal one, its local APIC, its clock, its timer of the PC, its own hypercalls, and the
 * time that others took.
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <linux/kvm_para.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <pvm/abi.h>

#define GSI		24	/* above those of the IO-APIC */
#define PIC_LINE	1
#define LINE		11
#define PORT		0x1234
#define APIC_MESSAGES	0xfee00000u
#define PIT_COMMAND	0x43
#define PIT_CHANNEL_0	0x40
#define PIT_LINE	2
#define CLOCK_SET	1000000000000ull	/* ns */
#define CLOCK_SLACK	10000000
#define TSC_DEADLINE	0x6e0
#define MASKED		64
#define LISTENER	64	/* and the next one: APIC IDs in the second word of an IPI's bitmap */
#define LISTENERS	2
#define APIC_SVR	0xf0
#define APIC_IRR	0x200
#define STEAL_PAGE	200
#define STEAL_TRIES	1000
#define CPUID_MAX	256
#define SYSTEM_TIME	MSR_KVM_SYSTEM_TIME_NEW

static struct client c;
static uint64_t irqs;		/* of SERVANT_VECTOR that the guest has had */

/* It has one more. */
static bool comes(void)
{
	irqs++;
	return client_order_at(&c, ORDER_IRQS, 0, irqs, 0) == DONE && c.box->result == irqs;
}

static bool nests(void)
{
	irqs++;
	return client_order_at(&c, ORDER_END, 0, 0, 0) == DONE && c.box->result;
}

static void messages(void)
{
	struct kvm_msi msi = { .address_lo = APIC_MESSAGES, .data = SERVANT_VECTOR };

	ASK(c.m.vm, KVM_SIGNAL_MSI, &msi);
	check(comes(), "a message is an interrupt of the guest's");
}

static void event_descriptors(void)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = {
		.head.nr = 1,
		.entry = { .gsi = GSI, .type = KVM_IRQ_ROUTING_MSI,
			   .u.msi = { .address_lo = APIC_MESSAGES, .data = SERVANT_VECTOR } },
	};
	struct kvm_irqfd irqfd = { .gsi = GSI };
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t one = 1;

	irqfd.fd = (uint32_t)fd;
	ASK(c.m.vm, KVM_SET_GSI_ROUTING, &routing);
	ASK(c.m.vm, KVM_IRQFD, &irqfd);
	check(fd >= 0 && write(fd, &one, sizeof(one)) == sizeof(one) && comes(),
	      "so is an event descriptor (irqfd)");
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	ASK(c.m.vm, KVM_IRQFD, &irqfd);
	close(fd);
}

/* Vectors of the PC's PICs are below those of the local APIC until a guest has set them otherwise. */
static void pics(void)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_PIC_MASTER };
	struct kvm_irq_level level = { .irq = PIC_LINE, .level = 1 };

	ASK(c.m.vm, KVM_GET_IRQCHIP, &chip);
	chip.chip.pic.irq_base = 8;
	chip.chip.pic.imr = (uint8_t)~(1u << PIC_LINE);
	chip.chip.pic.init_state = 0;
	ASK(c.m.vm, KVM_SET_IRQCHIP, &chip);
	ASK(c.m.vm, KVM_IRQ_LINE, &level);
	check(nests(), "an interrupt with the vector of an exception is nothing to the guest");
	ASK(c.m.vm, KVM_GET_IRQCHIP, &chip);
	check(chip.chip.pic.isr & 1u << PIC_LINE, "though it has been taken from the PIC");
	chip.chip.pic.imr = 0xff;
	chip.chip.pic.isr = 0;
	ASK(c.m.vm, KVM_SET_IRQCHIP, &chip);
}

/* A level-triggered line through the IO-APIC: its end is told to who raised it. */
static void lines(void)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = {
		.head.nr = 1,
		.entry = { .gsi = LINE, .type = KVM_IRQ_ROUTING_IRQCHIP,
			   .u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = LINE } },
	};
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	int raise = eventfd(0, EFD_CLOEXEC), ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct kvm_irqfd irqfd = {
		.gsi = LINE, .flags = KVM_IRQFD_FLAG_RESAMPLE, .fd = (uint32_t)raise,
		.resamplefd = (uint32_t)ended,
	};
	uint64_t one = 1, count = 0;

	ASK(c.m.vm, KVM_SET_GSI_ROUTING, &routing);
	ASK(c.m.vm, KVM_GET_IRQCHIP, &chip);
	chip.chip.ioapic.redirtbl[LINE].bits = 0;
	chip.chip.ioapic.redirtbl[LINE].fields.vector = SERVANT_VECTOR;
	chip.chip.ioapic.redirtbl[LINE].fields.trig_mode = 1;
	ASK(c.m.vm, KVM_SET_IRQCHIP, &chip);
	ASK(c.m.vm, KVM_IRQFD, &irqfd);
	check(write(raise, &one, sizeof(one)) == sizeof(one) && comes() &&
	      read(ended, &count, sizeof(count)) == sizeof(count) && count == 1, "the end of a level-triggered interrupt is told");
	irqfd.flags |= KVM_IRQFD_FLAG_DEASSIGN;
	ASK(c.m.vm, KVM_IRQFD, &irqfd);
	chip.chip.ioapic.redirtbl[LINE].fields.mask = 1;
	ASK(c.m.vm, KVM_SET_IRQCHIP, &chip);
	close(raise);
	close(ended);
}

static void port_events(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct kvm_ioeventfd event = {
		.addr = PORT, .len = 4, .fd = fd, .datamatch = 0x1234,
		.flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	uint64_t count = 0;

	ASK(c.m.vm, KVM_IOEVENTFD, &event);
	check(client_order_at(&c, ORDER_OUT, PORT, 4, 0x1234) == DONE &&
	      read(fd, &count, sizeof(count)) == sizeof(count) && count == 1, "a write to a port signals an event descriptor (ioeventfd), and does not leave KVM");
	event.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	ASK(c.m.vm, KVM_IOEVENTFD, &event);
	close(fd);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

struct pvclock_vcpu_time_info {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags, more[2];
};

/* What a guest makes of it. RDTSC is the host's there, too. */
static uint64_t guests_time(const struct pvclock_vcpu_time_info *time)
{
	uint64_t passed = __builtin_ia32_rdtsc() - time->tsc_timestamp;

	passed = time->tsc_shift < 0 ? passed >> -time->tsc_shift : passed << time->tsc_shift;
	return time->system_time + (uint64_t)((unsigned __int128)passed * time->tsc_to_system_mul >> 32);
}

/* The structure is in the region, as a page of the guest's. */
static void system_time(void)
{
	struct kvm_clock_data clock = { .clock = CLOCK_SET };
	struct pvclock_vcpu_time_info time;
	uint64_t start, guests;

	check(client_order_at(&c, ORDER_WRMSR, SYSTEM_TIME, 0, REGION | 1) == DONE && c.box->result == 0,
	      "the MSR of KVM's clock can be written by a hypercall");
	client_finds(&c, 100, 1, 0, 0);		/* KVM fills it before an entry */
	memcpy(&time, c.region, sizeof(time));
	check(time.version && !(time.version & 1) && time.tsc_to_system_mul && time.tsc_timestamp,
	      "and the clock is in the guest's memory");
	start = now();
	ASK(c.m.vm, KVM_SET_CLOCK, &clock);
	client_finds(&c, 100, 1, 0, 0);
	memcpy(&time, c.region, sizeof(time));
	guests = guests_time(&time);
	/* The host's clocks differ by their own adjustments. */
	check(guests > CLOCK_SET - CLOCK_SLACK && guests < CLOCK_SET + 2 * (now() - start) + CLOCK_SLACK,
	      "by which it is as late as user space has set it: %llu ns after that",
	      (unsigned long long)(guests - CLOCK_SET));
	client_order_at(&c, ORDER_WRMSR, SYSTEM_TIME, 0, 0);
}

/* By the guest's own writes to its ports: channel 0 counts down, once (mode 0), low byte first. */
static bool timer_fires(unsigned count)
{
	return client_order_at(&c, ORDER_OUT, PIT_COMMAND, 1, 0x30) == DONE &&
	       client_order_at(&c, ORDER_OUT, PIT_CHANNEL_0, 1, count & 0xff) == DONE &&
	       client_order_at(&c, ORDER_OUT, PIT_CHANNEL_0, 1, count >> 8) == DONE && comes();
}

/* Channel 0: its interrupt, which is GSI 0 and the IO-APIC's line 2; its state in and out. */
static void pc_timer(void)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = {
		.head.nr = 1,
		.entry = { .gsi = 0, .type = KVM_IRQ_ROUTING_IRQCHIP,
			   .u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = PIT_LINE } },
	};
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_pit_state2 before, after;

	ASK(c.m.vm, KVM_SET_GSI_ROUTING, &routing);
	ASK(c.m.vm, KVM_GET_IRQCHIP, &chip);
	chip.chip.ioapic.redirtbl[PIT_LINE].bits = 0;
	chip.chip.ioapic.redirtbl[PIT_LINE].fields.vector = SERVANT_VECTOR;
	ASK(c.m.vm, KVM_SET_IRQCHIP, &chip);
	check(timer_fires(0x1000) && timer_fires(0x100), "the PIT interrupts when it has counted down");
	chip.chip.ioapic.redirtbl[PIT_LINE].fields.mask = 1;
	ASK(c.m.vm, KVM_SET_IRQCHIP, &chip);

	ASK(c.m.vm, KVM_GET_PIT2, &before);
	before.channels[0].count = 0x4321;
	before.channels[0].mode = 2;
	ASK(c.m.vm, KVM_SET_PIT2, &before);
	ASK(c.m.vm, KVM_GET_PIT2, &after);
	check(after.channels[0].count == 0x4321 && after.channels[0].mode == 2, "the PIT keeps its state");
	check(client_order_at(&c, ORDER_OUT, PIT_COMMAND, 1, 0x34) == DONE, "and its ports do not leave KVM");
}

/* KVM's local APIC, whose registers kvm-pvm writes where KVM's loop is not asked. What it must be asked
 * for at once is here: it would come with the next tick of the host's anyway. */
static void local_apic(void)
{
	unsigned long before;

	check(nests(),
	      "an interrupt that waits for another's end comes right behind the EOI");
	check(client_order_at(&c, ORDER_LATE, 0, 0, 0) == DONE && c.box->result,
	      "a deadline that is over interrupts at once");
	before = machine_exits(&c.m);
	check(client_order_at(&c, ORDER_MASKED, 0, MASKED, 0) == DONE &&
	      machine_exits(&c.m) - before >= MASKED,
	      "a vCPU that has kicked itself leaves, as no other kick would reach it");
}

/* User space's filter of MSRs holds for the deadline, too. */
static void filtered(void)
{
	uint8_t denied = 0;
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = { .flags = KVM_MSR_FILTER_WRITE, .nmsrs = 1, .base = TSC_DEADLINE,
			       .bitmap = &denied },
	};

	ASK(c.m.vm, KVM_X86_SET_MSR_FILTER, &filter);
	check(client_order_at(&c, ORDER_WRMSR, TSC_DEADLINE, 0, 0) == DONE && c.box->result,
	      "an MSR that user space's filter denies is refused");
	filter = (struct kvm_msr_filter){ .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };
	ASK(c.m.vm, KVM_X86_SET_MSR_FILTER, &filter);
	check(client_order_at(&c, ORDER_WRMSR, TSC_DEADLINE, 0, 0) == DONE && !c.box->result,
	      "and without the filter it is not");
}

/* ------------------------------------------------------------------------
 * What KVM offers to guests that know it.
 */

static bool offers(unsigned feature)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + CPUID_MAX * sizeof(cpuid->entries[0]));
	bool found = false;
	unsigned i;

	if (!cpuid)
		machine_die("no memory");
	cpuid->nent = CPUID_MAX;
	ASK(c.m.kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == KVM_CPUID_FEATURES)
			found = cpuid->entries[i].eax >> feature & 1;
	free(cpuid);
	return found;
}

static int64_t hypercall(uint64_t number, const uint64_t arg[4])
{
	c.box->step = arg[2];
	c.box->large = arg[3];
	if (client_order_at(&c, ORDER_HYPERCALL, number, arg[0], arg[1]) != DONE)
		machine_die("the hypercall does not end");
	c.box->large = 0;
	return (int64_t)c.box->result;
}

/* A vCPU that never runs: its local APIC keeps what it gets. */
static int create_listener(unsigned id)
{
	int fd = ASK(c.m.vm, KVM_CREATE_VCPU, id);
	struct kvm_lapic_state apic;

	ASK(fd, KVM_GET_LAPIC, &apic);
	apic.regs[APIC_SVR + 1] |= 1;	/* on */
	ASK(fd, KVM_SET_LAPIC, &apic);
	return fd;
}

static bool has_got(int listener, unsigned vector)
{
	struct kvm_lapic_state apic;

	ASK(listener, KVM_GET_LAPIC, &apic);
	return apic.regs[APIC_IRR + vector / 32 * 16 + vector % 32 / 8] >> vector % 8 & 1;
}

/* SEND_IPI: a bitmap of 128 vCPUs in two words, the APIC ID of its first bit, the vector. Whatever word
 * there is instead of one of them, not all of these are right. */
static void interrupts_by_hypercall(void)
{
	static const struct {
		uint64_t arg[4];
		unsigned got;	/* by which listeners */
	} sent[] = {
		{ { 0, 1, 0, 0x91 }, 1 }, { { 0, 2, 0, 0x92 }, 2 }, { { 0, 3, 0, 0x93 }, 3 },
		{ { 1, 0, LISTENER, 0x94 }, 1 }, { { 2, 0, LISTENER, 0x95 }, 2 },
		{ { 0, 1, 1, 0x96 }, 2 },
	};
	static const uint64_t to_two[4] = { 1, 1, 0, SERVANT_VECTOR };
	int listener[LISTENERS];
	bool right = true;
	unsigned i, l;

	for (l = 0; l < LISTENERS; l++)
		listener[l] = create_listener(LISTENER + l);
	for (i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		right &= hypercall(KVM_HC_SEND_IPI, sent[i].arg) == __builtin_popcount(sent[i].got);
		for (l = 0; l < LISTENERS; l++)
			right &= has_got(listener[l], (unsigned)sent[i].arg[3]) == (sent[i].got >> l & 1);
	}
	check(offers(KVM_FEATURE_PV_SEND_IPI) && right, "KVM's hypercall for IPIs gets all of its arguments");
	client_order_at(&c, ORDER_IRQS, 0, 0, 0);
	irqs = c.box->result;
	check(hypercall(KVM_HC_SEND_IPI, to_two) == 2 && comes(), "and interrupts who calls, too");
	for (l = 0; l < LISTENERS; l++)
		close(listener[l]);
}

static void kicks(void)
{
	client_hammer(&c);
	check(offers(KVM_FEATURE_PV_UNHALT) &&
	      client_order_at(&c, ORDER_KICK, KVM_HC_KICK_CPU, 1, 0) == DONE && c.box->result,
	      "KVM's hypercall to kick a vCPU wakes one that halts");
	check(!client_hammer_ends(&c), "which goes on");
}

static void *burn(void *ends)
{
	while (!__atomic_load_n((bool *)ends, __ATOMIC_RELAXED))
		;
	return NULL;
}

static struct kvm_steal_time stolen(void)
{
	struct kvm_steal_time steal;

	client_finds(&c, 0, REGION_PAGES, 0, 0);
	memcpy(&steal, c.region + STEAL_PAGE * PAGE, sizeof(steal));
	return steal;
}

/* Another thread wants the CPU of this one. */
static void steal_time(void)
{
	struct kvm_steal_time before, after;
	uint64_t start, passed;
	pthread_t thread;
	bool ends = false;
	unsigned tries;
	cpu_set_t one, all;

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	memset(c.region + STEAL_PAGE * PAGE, 0, PAGE);
	check(offers(KVM_FEATURE_STEAL_TIME) &&
	      client_order_at(&c, ORDER_WRMSR, MSR_KVM_STEAL_TIME, 0,
			      (REGION + STEAL_PAGE * PAGE) | KVM_MSR_ENABLED) == DONE && !c.box->result,
	      "KVM's MSR for stolen time can be written by a hypercall");
	start = now();		/* what is counted later has come later */
	before = stolen();
	check(before.version && !(before.version & 1), "and the counter is in the guest's memory, whole");
	if (pthread_create(&thread, NULL, burn, &ends))
		machine_die("no thread");
	tries = 0;
	do
		after = stolen();
	while (after.steal == before.steal && ++tries < STEAL_TRIES);
	passed = now() - start;
	__atomic_store_n(&ends, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	check(after.version > before.version && !(after.version & 1) && after.steal > before.steal &&
	      after.steal - before.steal <= 2 * passed,	/* of another clock */
	      "it counts what another thread took: %llu of %llu ns",
	      (unsigned long long)(after.steal - before.steal), (unsigned long long)passed);
	client_order_at(&c, ORDER_WRMSR, MSR_KVM_STEAL_TIME, 0, 0);
	sched_setaffinity(0, sizeof(all), &all);
}

int main(int argc, char **argv)
{
	struct kvm_pit_config pit = { 0 };

	if (argc != 2)
		machine_die("usage: devices SERVANT.elf");
	client_create(&c, argv[1], 2);
	ASK(c.m.vm, KVM_CREATE_PIT2, &pit);
	pics();
	messages();
	event_descriptors();
	lines();
	port_events();
	system_time();
	pc_timer();
	local_apic();
	filtered();
	steal_time();
	interrupts_by_hypercall();
	kicks();
	check(client_writes(&c, 0, 8, 1, 1) && host_finds(c.region, 0, 8, 1, 1), "the guest goes on");
	client_destroy(&c);
	return check_finish();
}
