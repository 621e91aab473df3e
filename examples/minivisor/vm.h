/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The one virtual machine: what libpvm, the devices and minivisor keep for it.
 * vm.c makes it, host.c is libpvm's way to us, platform.c the machine around the
 * vCPUs, run.c what happens on each CPU.
 */
#ifndef MINIVISOR_VM_H
#define MINIVISOR_VM_H

#include <pvm/exit.h>
#include <pvm/switcher.h>
#include <pvm/vcpu.h>

#include "cpu.h"
#include "debug_exit.h"
#include "local_apic.h"
#include "serial16550.h"

struct vm_vcpu {
	struct pvm_vcpu pvm;
	struct pvm_switcher_vcpu switcher;
	struct local_apic *apic;
	bool idle;			/* its CPU is in HLT, or about to */
	bool kicked;			/* something has come for it since it was looked at last */
};

struct vm {
	struct pvm_vm pvm;
	struct pvm_switcher_vm switcher;
	uint8_t *memory;		/* the guest's, gpa 0 first */
	uint64_t memory_size;
	uint32_t vcpu_count;
	struct vm_vcpu vcpu[MAX_CPUS];	/* vCPU n runs on CPU n and nowhere else */
	struct spinlock mmu_lock, apic_lock, serial_lock;

	struct serial16550 serial;
	struct debug_exit debug_exit;
	struct local_apic_bus apics;
	struct local_apic apic[MAX_CPUS];
	bool is_xen;			/* xen.h */
};

extern struct vm vm;
extern struct pvm_switcher switcher;

/* host.c */
extern const struct pvm_host_ops host_ops;
extern const struct pvm_switcher_ops switcher_ops;

/* Once, on the boot CPU, before the others start: configure the switcher, map the areas. */
void host_init(void);
/* On each CPU: its area. */
void host_init_cpu(struct cpu *cpu);

/**
 * vm_create - the VM with @vcpus vCPUs and @memory bytes, the guest's ELF file loaded.
 * All CPUs have their areas. Fails with a line.
 */
void vm_create(uint32_t vcpus, uint64_t memory, const char *command_line);

/* platform.c: devices. */
void platform_init(void);
/* With the option stats: what happened, of all CPUs. The guest has ended. */
void platform_print_stats(void);
uint32_t platform_in(uint16_t port, uint8_t size);
void platform_out(uint16_t port, uint8_t size, uint32_t value);
bool platform_rdmsr(struct vm_vcpu *vcpu, uint32_t index, uint64_t *value);
bool platform_wrmsr(struct vm_vcpu *vcpu, uint32_t index, uint64_t value);

/* run.c: this CPU runs its vCPU until the machine ends. */
__attribute__((noreturn)) void run_vcpu(struct cpu *cpu);
/* Make a vCPU look at its interrupts. Any CPU. */
void run_kick(struct vm_vcpu *vcpu);
/* VECTOR_TIMER's handler while guests run; @nmi: now and then an NMI to the next CPU. */
void run_init(bool nmi);

#endif /* MINIVISOR_VM_H */
