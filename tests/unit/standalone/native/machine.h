/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A VM for tests of the native executor: the real engine and the monitor's
 * memory, no guest file, no devices, no run loop. Tests put code bytes into
 * guest memory, set registers, and look at single exits.
 *
 * Both root tables map the first MACHINE_MAPPED bytes at gva = gpa with 4 KiB
 * pages (P, W, U). Everything else is for the test to map.
 */
#ifndef NATIVE_TEST_MACHINE_H
#define NATIVE_TEST_MACHINE_H

#include <criterion/criterion.h>
#include <string.h>

#include "monitor.h"
#include "native.h"

#define MACHINE_MEMORY	(64ull << 20)
#define MACHINE_MAPPED	(8ull << 20)

/* Addresses that the tests use. */
#define CODE	0x200000ull
#define DATA	0x300000ull
#define STACK	0x400000ull	/* top */

struct machine {
	struct monitor_vm vm;
	struct monitor_vcpu *vcpu[4];
	uint64_t supervisor_cr3, user_cr3;
	uint64_t next_table;
	struct pvm_vm_config config;
};

/* Fails the test when the host can not run it. */
void machine_init(struct machine *m, unsigned vcpus);
/* Its memory can shrink: machine_lose() takes all from @gpa on away. */
void machine_init_shrinkable(struct machine *m, unsigned vcpus);
void machine_lose(struct machine *m, uint64_t gpa);
void machine_fini(struct machine *m);

/* Map gva to gpa under @cr3 with a leaf at @level; no flush. @flags 0: unmap. */
void machine_map(struct machine *m, uint64_t cr3, uint64_t gva, uint64_t gpa, unsigned level,
		 uint64_t flags);
#define RWX (PVM_PTE_P | PVM_PTE_W | PVM_PTE_U)

void *machine_at(struct machine *m, uint64_t gpa);

/* Position-independent guest code, assembled into the test program. @asm is the
 * text, one string; the name is used with machine_code(). */
#define GUEST_CODE(name, text) \
	extern const uint8_t name[], name##_end[]; \
	__asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.popsection\n")

/* Put it at CODE, and vCPU 0's rip there. */
#define machine_code(m, name) \
	machine_put((m), (m)->vcpu[0], CODE, name, (size_t)(name##_end - name))
void machine_put(struct machine *m, struct monitor_vcpu *vcpu, uint64_t gva, const uint8_t *code,
		 size_t size);

/* Make vCPU 0 what the engine would make it for a user program. */
void machine_user(struct machine *m, bool code64);

/* One run on the current root, exits as they come. */
struct pvm_guest_exit machine_run_once(struct monitor_vcpu *vcpu);

/* Run, with page faults that the engine resolves resolved; one that it does not
 * comes back as exit with the code to inject. */
struct pvm_guest_exit machine_run(struct monitor_vcpu *vcpu);

/* The space of vcpu's current root, NULL: none; and its process. */
struct space *machine_space(struct monitor_vcpu *vcpu);

/* The stub that serves vcpu's current root, 0: none. */
pid_t machine_stub(struct monitor_vcpu *vcpu);

/* The exit is a #PF at @gva. */
#define assert_page_fault(exit, address) do { \
	cr_assert_eq((exit).kind, PVM_EXIT_EXCEPTION, "%s %s", pvm_exit_name((exit).kind), \
		     (exit).message); \
	cr_assert_eq((exit).vector, PVM_VEC_PF, "vector %u", (exit).vector); \
	cr_assert_eq((exit).gva.v, (address), "address %#lx", (unsigned long)(exit).gva.v); \
} while (0)
#define assert_exception(exit, v) do { \
	cr_assert_eq((exit).kind, PVM_EXIT_EXCEPTION, "%s %s", pvm_exit_name((exit).kind), \
		     (exit).message); \
	cr_assert_eq((exit).vector, (v), "vector %u", (exit).vector); \
} while (0)
#define assert_kind(exit, k) \
	cr_assert_eq((exit).kind, (k), "%s vector %u: %s", pvm_exit_name((exit).kind), \
		     (exit).vector, (exit).message)

#endif /* NATIVE_TEST_MACHINE_H */
