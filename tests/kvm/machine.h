/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A virtual machine on nothing but /dev/kvm's ioctls, for the programs that test kvm-pvm: memory, vCPUs
 * in 64-bit mode by the Linux boot protocol. What a program does with its exits is its own. An ioctl that
 * fails where it must not ends the program with its name; the checks are lines as the guests print them.
 */
#ifndef KVM_MACHINE_H
#define KVM_MACHINE_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define MACHINE_VCPUS	16
#define MACHINE_RING0	UINT32_MAX	/* the guest is no PVM guest */

struct machine {
	int kvm, vm;
	unsigned vcpus;
	int vcpu[MACHINE_VCPUS];
	struct kvm_run *run[MACHINE_VCPUS];
	uint8_t *memory;		/* slot 0, from address 0 */
	uint64_t memory_size;
	uint32_t abi;			/* enum pvm_abi, or MACHINE_RING0 */
	uint64_t start;			/* the guest's first instruction */
};

/* Status 125. */
__attribute__((noreturn, format(printf, 1, 2))) void machine_die(const char *format, ...);

/* An ioctl that must not fail. */
#define ASK(fd, request, arg) machine_ask(fd, request, #request, (void *)(uintptr_t)(arg))
int machine_ask(int fd, unsigned long request, const char *name, void *arg);

/* A VM with the guest of an ELF file in @memory_size bytes, and @vcpus vCPUs; the first can run. */
void machine_create(struct machine *m, const char *guest, uint64_t memory_size, unsigned vcpus);

/* The same, but the vCPUs start as CPUs do, with @firmware, tests/kvm/firmware.S, in the ROM. There is
 * a PIT. */
void machine_create_with_firmware(struct machine *m, const char *guest, uint64_t memory_size, unsigned vcpus,
				  const char *firmware);

/* What the firmware finds and is told, in guest memory: firmware.S. */
struct machine_firmware {
	uint16_t soft, divided, ticks, shadow, waited;
	uint8_t pad[22];
	uint64_t start;
	uint32_t switch_cr3_msr;
};

#define MACHINE_FIRMWARE	0x600
#define MACHINE_POST		0x80	/* port: how far it is */
#define MACHINE_POST_REAL_MODE	1
#define MACHINE_POST_64_BIT	2

/* The same with one vCPU on a vendor module of the kernel's own, which starts the guest at ring 0. */
void machine_create_ring0(struct machine *m, const char *guest, uint64_t memory_size);

/* A machine without a guest's file: @memory_size bytes, vCPUs whose registers are not set. */
void machine_create_bare(struct machine *m, uint32_t abi, uint64_t memory_size, unsigned vcpus);
void machine_destroy(struct machine *m);

/* KVM's own counter of turns of its loop, of all vCPUs. */
unsigned long machine_exits(const struct machine *m);

/* 64-bit mode at @rip, as the boot protocol wants it. The first says whether KVM takes it. */
bool machine_try_registers(struct machine *m, unsigned vcpu, uint64_t rip, uint64_t rsi);
void machine_set_registers(struct machine *m, unsigned vcpu, uint64_t rip, uint64_t rsi);

/* Wait until the guest starts vCPU @vcpu by the mailbox of its firmware, and set it up. */
void machine_wait_for_start(struct machine *m, unsigned vcpu);

/* 0, or errno. @size 0: the slot goes. */
int machine_slot(struct machine *m, unsigned slot, unsigned flags, uint64_t gpa, uint64_t size, void *memory);

/* A counter of the VM's file "pvm" in debugfs. */
unsigned long machine_stat(struct machine *m, const char *name);

/* A word to a file of the host's; it must be taken. */
void machine_put(const char *file, const char *text);

/* ok N - ..., not ok N - ...; the plan; and the status: 0 if all was well. */
__attribute__((format(printf, 2, 3))) bool check(bool ok, const char *format, ...);
int check_finish(void);

#endif /* KVM_MACHINE_H */
