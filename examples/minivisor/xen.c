/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A guest that speaks Xen PV; see xen.h. Its console's output goes where COM1's does; it has no input. */
#include "xen.h"

#include <pvm/xen.h>

#include "apic.h"
#include "layout.h"
#include "memory.h"
#include "print.h"
#include "xen_start.h"

#define CONSOLE		1	/* the host's name for its end of the console's port */
#define GRANT_FRAMES	4
#define RESERVED_PAGES	16	/* of memory, beyond the guest's: shared_info and grants */
#define EXIT_CRASHED	66	/* a machine's exit status, beside those of print.h */
#define ENTRIES		(PVM_PAGE_SIZE / sizeof(uint64_t))

static uint64_t deadline[MAX_CPUS];	/* ns; ~0: none */
static struct pvm_xen_console *console;
static uint32_t console_port;
static struct spinlock console_lock;

bool xen_is_guest(const struct elf_file *elf)
{
	return elf->xen.has_entry;
}

/* ------------------------------------------------------------------------
 * Time, and telling.
 */

void xen_host_clock(void *host, struct pvm_clock *now)
{
	uint64_t ns = clock_now();

	(void)host;
	*now = (struct pvm_clock){ .tsc = rdtsc(), .ns = ns, .wall_ns = ns, .stable = true };
	pvm_clock_scale(tsc_khz, &now->mul, &now->shift);
}

/* On the vCPU's own CPU. */
void xen_host_set_timer(void *host, struct pvm_vcpu *vcpu, uint64_t ns)
{
	(void)host;
	deadline[vcpu->id] = ns;
	apic_timer_at(ns);
}

void xen_tick(struct vm_vcpu *vcpu)
{
	uint64_t *at = &deadline[vcpu->pvm.id];

	if (clock_now() < *at) {
		apic_timer_at(*at);
		return;
	}
	*at = ~0ull;
	pvm_xen_timer(&vcpu->pvm);
}

void xen_host_kick(void *host, struct pvm_vcpu *pvm)
{
	struct vm_vcpu *vcpu = pvm->backend;

	(void)host;
	__atomic_store_n(&vcpu->kicked, true, __ATOMIC_SEQ_CST);
	run_kick(vcpu);
}

/* What the guest has printed. Its indices are its own; the ring is no longer than it is. */
void xen_host_notify(void *host, uint32_t port, uint32_t remote)
{
	uint32_t from, to, count;

	(void)host;
	if (remote != CONSOLE)
		return;
	spin_lock(&console_lock);
	from = console->out_cons;
	to = __atomic_load_n(&console->out_prod, __ATOMIC_ACQUIRE);
	for (count = 0; from != to && count < sizeof(console->out); from++, count++)
		guest_putc((uint8_t)console->out[from % sizeof(console->out)]);
	__atomic_store_n(&console->out_cons, from, __ATOMIC_RELEASE);
	spin_unlock(&console_lock);
	pvm_xen_notify(&vm.pvm, port);
}

void xen_end(uint32_t reason)
{
	print("minivisor: the guest ends: %s\n", pvm_xen_shutdown_name(reason));
	platform_print_stats();
	machine_exit(reason == PVM_XEN_SHUTDOWN_CRASH ? EXIT_CRASHED : 0);
}

/* ------------------------------------------------------------------------
 * Memory.
 */

static uint64_t guest_pages(void)
{
	return (vm.memory_size >> PVM_PAGE_SHIFT) - RESERVED_PAGES;
}

static uint64_t *new_table(void)
{
	uint64_t *table = page_alloc();

	if (!table)
		fail("no memory for the table of frame numbers");
	return table;
}

/* The entry of @table at @index, which leads to a table. */
static uint64_t *below(uint64_t *table, uint64_t index)
{
	if (!table[index])
		table[index] = direct_to_phys(new_table()) | PVM_PTE_P | PVM_PTE_U | PVM_PTE_A | PVM_PTE_NX;
	return phys_to_virt(table[index] & PVM_PTE_ADDR_MASK);
}

/* Entry n is n, for everyone to read. Returns the top-level entry. */
static uint64_t make_m2p(uint64_t frames)
{
	uint64_t *top = new_table(), *page, frame, i;

	for (frame = 0; frame < frames; frame += ENTRIES) {
		uint64_t offset = frame * sizeof(uint64_t);

		page = below(below(below(top, PVM_LEVEL_INDEX(offset, 3)), PVM_LEVEL_INDEX(offset, 2)),
			     PVM_LEVEL_INDEX(offset, 1));
		for (i = 0; i < ENTRIES; i++)
			page[i] = frame + i;
	}
	return direct_to_phys(top) | PVM_PTE_P | PVM_PTE_U | PVM_PTE_A | PVM_PTE_NX;
}

void xen_configure(struct pvm_vm_config *config)
{
	uint64_t frames = (vm.memory_size >> PVM_PAGE_SHIFT);

	config->abi = PVM_ABI_XEN_PV;
	config->host_ldt = true;
	config->range = (struct pvm_linear_range){
		.pml4_start = IMAGE_SLOT + 1, .pml4_end = PVM_PTES_PER_TABLE,
		.pml5_start = PVM_RANGE_INDEX_NONE, .pml5_end = PVM_RANGE_INDEX_NONE,
	};
	config->xen = (struct pvm_xen_config){
		.vcpus = vm.vcpu_count,
		.pages = guest_pages(),
		.shared_info = { guest_pages() },
		.grants = { guest_pages() + 1 },
		.grant_frames = GRANT_FRAMES,
		.m2p_slot = M2P_SLOT,
		.m2p_entry = make_m2p(frames),
		.m2p_frames = frames,
	};
}

/* ------------------------------------------------------------------------
 * Start.
 */

void xen_start_guest(const struct elf_file *elf, const char *command_line)
{
	struct pvm_vcpu *vcpu = &vm.vcpu[0].pvm;
	struct xen_start start = {
		.memory = vm.memory,
		.pages = guest_pages(),
		.kernel = elf,
		.initrd = boot.second_module,
		.initrd_size = boot.second_module_size,
		.command_line = command_line,
		.shared_info = pvm_gfn_to_gpa(vm.pvm.config.xen.shared_info).v,
	};
	char why[256];
	uint32_t i;

	for (i = 0; i < MAX_CPUS; i++)
		deadline[i] = ~0ull;
	console_port = (uint32_t)pvm_xen_alloc_port(&vm.pvm, CONSOLE, 0);
	start.console_port = console_port;
	if (xen_start_write(&start, why, sizeof(why)))
		fail("%s", why);
	console = (struct pvm_xen_console *)(vm.memory + start.console);
	if (pvm_cr_write(vcpu, 3, start.cr3) != PVM_OK)
		fail("the engine refuses the guest's page tables");
	vcpu->rip = start.rip;
	vcpu->gpr[PVM_RSP] = start.rsp;
	vcpu->gpr[PVM_RSI] = start.rsi;
}
