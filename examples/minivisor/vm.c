/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Making the VM: what its CPU is like, its memory, the guest in it, its vCPUs. */
#include "vm.h"

#include "apic.h"
#include "boot.h"
#include "elf_file.h"
#include "guest_abi.h"
#include "memory.h"
#include "options.h"
#include "print.h"
#include "xen.h"

#define CPUID_TIMING	0x40000010u	/* kHz of the TSC and of the APIC timer */
#define CPUID_ENTRIES	128
#define GUEST_MAXPHYADDR 40

/* Emulated selectors of the guest's supervisor mode. */
#define SUPERVISOR_CS	0x10
#define SUPERVISOR_SS	0x18

struct vm vm;
static struct pvm_cpuid_entry cpuid_table[CPUID_ENTRIES];
static uint32_t cpuid_count;

/* ------------------------------------------------------------------------
 * CPUID: the CPU's own, as libpvm filters it, with our APIC and clocks.
 */

static uint32_t last_subleaf(uint32_t leaf)
{
	switch (leaf) {
	case PVM_CPUID_LEAF_FEATURES:
		return 2;
	case PVM_CPUID_LEAF_XSTATE:
		return 18;
	case PVM_CPUID_LEAF_CACHES:
	case PVM_CPUID_LEAF_TOPOLOGY:
	case PVM_CPUID_LEAF_TOPOLOGY2:
	case PVM_CPUID_LEAF_AMD_CACHES:
		return 4;
	}
	return 0;
}

static void add_leaf(uint32_t leaf)
{
	uint32_t last = last_subleaf(leaf), i, out[4];

	for (i = 0; i <= last && cpuid_count < CPUID_ENTRIES - 1; i++) {
		cpuid(leaf, i, out);
		if (leaf == PVM_CPUID_LEAF_BASIC) {
			out[2] |= PVM_CPUID_1_ECX_X2APIC | PVM_CPUID_1_ECX_TSC_DEADLINE;
			out[3] |= PVM_CPUID_1_EDX_APIC;
		}
		cpuid_table[cpuid_count++] = (struct pvm_cpuid_entry){
			.leaf = leaf, .subleaf = i, .subleaf_matters = last > 0,
			.eax = out[0], .ebx = out[1], .ecx = out[2], .edx = out[3],
		};
	}
}

static void add_leaves(uint32_t first)
{
	uint32_t out[4], leaf;

	cpuid(first, 0, out);
	for (leaf = first; leaf <= out[0] && leaf < first + 0x30; leaf++)
		add_leaf(leaf);
}

static void make_cpuid(void)
{
	add_leaves(0);
	add_leaves(PVM_CPUID_LEAF_EXTENDED);
	cpuid_table[cpuid_count++] = (struct pvm_cpuid_entry){
		.leaf = CPUID_TIMING, .eax = tsc_khz, .ebx = APIC_TIMER_HZ / 1000,
	};
}

/* ------------------------------------------------------------------------
 * The parts.
 */

static void make_engine(enum pvm_abi abi, bool is_xen)
{
	const struct cpu_features *f = &cpu_features;
	struct pvm_vm_config config = {
		.abi = abi,
		.host_la57 = f->la57,
		.host_nx = true,
		.host_pke = f->pke,
		.host_umip = f->umip,
		.host_osxsave = f->xsave,
		.host_page1g = f->page1g,
		.host_maxphyaddr = f->maxphyaddr,
		.guest_maxphyaddr = f->maxphyaddr < GUEST_MAXPHYADDR ? f->maxphyaddr : GUEST_MAXPHYADDR,
		.user32_cs = USER32_CS,
		.user_ds = USER_DS,
		.user_cs = USER_CS,
		.cpunode_sel = CPUNODE_SEL,
		.tls_index = TLS_INDEX,
		.kernel_cs = SUPERVISOR_CS,
		.kernel_ds = SUPERVISOR_SS,
		/* All of the upper half but the switcher's slots, and slots that no range may have. */
		.range = {
			.pml4_start = IMAGE_SLOT + 1,
			.pml4_end = 510,
			.pml5_start = f->la57 ? 256 : PVM_RANGE_INDEX_NONE,
			.pml5_end = f->la57 ? LA57_IMAGE_SLOT : PVM_RANGE_INDEX_NONE,
		},
		.cpuid = cpuid_table,
		.cpuid_count = cpuid_count,
		.switcher_slot = switcher.slot,
		.switcher_entry = vm.switcher.entry,
	};
	const char *why = NULL;
	int error;

	if (is_xen)
		xen_configure(&config);
	if (pvm_vm_config_check(&config, &why))
		fail("this machine cannot run guests: %s", why);
	error = pvm_vm_init(&vm.pvm, &config, &host_ops, NULL);
	if (error)
		fail("the engine refuses to make the VM (error %d)", error);
}

static void make_vcpu(uint32_t id)
{
	struct vm_vcpu *vcpu = &vm.vcpu[id];
	int error = pvm_vcpu_init(&vcpu->pvm, &vm.pvm, id);

	vcpu->pvm.backend = vcpu;
	if (!error)
		error = pvm_switcher_vcpu_init(&vcpu->switcher, &vm.switcher, &vcpu->pvm);
	vcpu->switcher.serve = true;
	if (error)
		fail("vCPU %u: error %d", id, error);
}

static const char *read_module(void *source, void *buffer, uint64_t length, uint64_t offset)
{
	(void)source;
	memcpy(buffer, boot.module + offset, length);
	return NULL;
}

/* The command line's word, or else the file's. */
static enum pvm_abi choose_abi(const struct elf_file *elf)
{
	enum pvm_abi abi = PVM_ABI_DUAL_CR3;
	size_t length = 0;
	const char *name = option_text("abi", &length);
	char why[256];

	if (name && !guest_abi_by_name(name, length, &abi))
		fail("option abi needs one of: %s", guest_abi_list(why, sizeof(why)));
	if (!name && guest_abi_of_file(elf, &abi, why, sizeof(why)))
		fail("%s", why);
	return abi;
}

static void read_guest(struct elf_file *elf)
{
	char why[256];

	*elf = (struct elf_file){ .path = "guest", .size = boot.module_size, .read = read_module };
	if (!boot.module)
		fail("no guest: it is the first module (QEMU: -initrd)");
	if (elf_file_parse(elf, why, sizeof(why)))
		fail("%s", why);
}

/* A guest that is written for minivisor: into its memory, with what it finds there; where vCPU 0 starts. */
static void start_guest(const struct elf_file *elf, const char *command_line)
{
	char why[256];

	if (elf_file_check_memory(elf, vm.memory_size, why, sizeof(why)) ||
	    elf_file_load(elf, vm.memory, vm.memory_size, why, sizeof(why)) ||
	    boot_write(vm.memory, vm.memory_size, vm.vcpu_count, command_line, why, sizeof(why)))
		fail("%s", why);
	if (boot_vcpu(&vm.vcpu[0].pvm, elf->start, BOOT_PARAMS))
		fail("the engine refuses the guest's start state");
}

void vm_create(uint32_t vcpus, uint64_t memory, const char *command_line)
{
	static struct elf_file elf;
	uint32_t i;

	vm.vcpu_count = vcpus;
	vm.memory_size = memory;
	vm.memory = memory_take(memory);
	if (!vm.memory)
		fail("no %lu MiB of memory for the guest", memory >> 20);
	read_guest(&elf);
	vm.is_xen = xen_is_guest(&elf);
	make_cpuid();
	if (pvm_switcher_vm_init(&vm.switcher, &switcher) ||
	    (vm.is_xen && pvm_switcher_vm_ldts(&vm.switcher, vcpus)))
		fail("no memory for the switcher's tables");
	make_engine(vm.is_xen ? PVM_ABI_XEN_PV : choose_abi(&elf), vm.is_xen);
	platform_init();
	for (i = 0; i < vcpus; i++)
		make_vcpu(i);
	if (vm.is_xen)
		xen_start_guest(&elf, command_line);
	else
		start_guest(&elf, command_line);
}
