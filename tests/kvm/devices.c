/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * devices SERVANT.elf: what KVM itself does for guests: interrupts from event descriptors, by messages and
 * lines, ports that signal one, its local APIC, its clock, its timer of the PC.
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <linux/kvm_para.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <pvm/abi.h>

#define GSI		24	/* above those of the IO-APIC */
#define PIC_LINE	1
#define LINE		11
#define PORT		0x1234
#define APIC_MESSAGES	0xfee00000u
#define PIT_COMMAND	0x43
#define TSC_DEADLINE	0x6e0
#define MASKED		64
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

/* The structure is in the region, as a page of the guest's. */
static void system_time(void)
{
	struct pvclock_vcpu_time_info {
		uint32_t version, pad;
		uint64_t tsc_timestamp, system_time;
		uint32_t tsc_to_system_mul;
		int8_t tsc_shift;
		uint8_t flags, more[2];
	} time;

	check(client_order_at(&c, ORDER_WRMSR, SYSTEM_TIME, 0, REGION | 1) == DONE && c.box->result == 0,
	      "the MSR of KVM's clock can be written by a hypercall");
	client_finds(&c, 100, 1, 0, 0);		/* KVM fills it before an entry */
	memcpy(&time, c.region, sizeof(time));
	check(time.version && !(time.version & 1) && time.tsc_to_system_mul && time.tsc_timestamp,
	      "and the clock is in the guest's memory");
	client_order_at(&c, ORDER_WRMSR, SYSTEM_TIME, 0, 0);
}

/* Channel 0, once around: its counter moves. */
static void pc_timer(void)
{
	struct kvm_pit_state2 before, after;

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

int main(int argc, char **argv)
{
	struct kvm_pit_config pit = { 0 };

	if (argc != 2)
		machine_die("usage: devices SERVANT.elf");
	client_create(&c, argv[1], 1);
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
	check(client_writes(&c, 0, 8, 1, 1) && host_finds(c.region, 0, 8, 1, 1), "the guest goes on");
	client_destroy(&c);
	return check_finish();
}
