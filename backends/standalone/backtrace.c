/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A guest's registers and stacks, with libunwind's remote accessors: memory
 * comes from the guest through its own page tables, unwind information from
 * its ELF file. Changes nothing of the guest, not even an accessed bit.
 */
#include "backtrace.h"

#include <inttypes.h>
#include <libunwind.h>
#include <string.h>
#include <unistd.h>

#include <pvm/mmu.h>
#include <pvm/vcpu.h>

#include "monitor.h"
#include "symbols.h"

/* Where the table of symbols_fdes() seems to be for libunwind: an address that
 * no guest memory has, as it is not canonical at any paging depth. */
#define FDE_TABLE_ADDRESS	0xf000000000000000ull

/* Words that libunwind may read for one stack. An ordinary frame takes some two
 * hundred; an ELF file with an endless DWARF expression ends here. */
#define READS_MAX		65536
#define SCAN_WORDS		1024	/* of a stack that cannot be walked */

/* libunwind's; exported for users of the remote accessors, declared nowhere. */
int _Ux86_64_dwarf_search_unwind_table(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di,
				       unw_proc_info_t *info, int need_unwind_info, void *arg);

/* One stack to walk: registers, tables to read it through, names. */
struct stack {
	struct pvm_vcpu vcpu;		/* a copy: CR3 and mode are this stack's */
	int memory;			/* the file of guest memory; -1: there is none */
	const struct symbols *symbols;	/* may be NULL */
	uint64_t gpr[PVM_GPR_COUNT];
	uint64_t rip;
	unsigned reads;
};

/* libunwind numbers registers as DWARF does. */
static const uint8_t gpr_of_dwarf[] = {
	[UNW_X86_64_RAX] = PVM_RAX, [UNW_X86_64_RDX] = PVM_RDX, [UNW_X86_64_RCX] = PVM_RCX,
	[UNW_X86_64_RBX] = PVM_RBX, [UNW_X86_64_RSI] = PVM_RSI, [UNW_X86_64_RDI] = PVM_RDI,
	[UNW_X86_64_RBP] = PVM_RBP, [UNW_X86_64_RSP] = PVM_RSP, [UNW_X86_64_R8] = PVM_R8,
	[UNW_X86_64_R9] = PVM_R9,   [UNW_X86_64_R10] = PVM_R10, [UNW_X86_64_R11] = PVM_R11,
	[UNW_X86_64_R12] = PVM_R12, [UNW_X86_64_R13] = PVM_R13, [UNW_X86_64_R14] = PVM_R14,
	[UNW_X86_64_R15] = PVM_R15,
};

/* Copy from one page. From the file, if there is one: a page that is not there yet is not made for
 * this, and one that the host has lost is an error and no SIGBUS. */
static bool read_page(struct stack *stack, pvm_gpa_t gpa, void *buf, size_t len)
{
	struct pvm_vm *vm = stack->vcpu.vm;
	const uint8_t *page;

	if (stack->memory >= 0)
		return pread(stack->memory, buf, len, (off_t)gpa.v) == (ssize_t)len;
	page = vm->ops->gfn_to_va(vm->host, pvm_gpa_to_gfn(gpa), false);
	if (page)
		memcpy(buf, page + (gpa.v & (PVM_PAGE_SIZE - 1)), len);
	return page;
}

/* Copy from the guest's memory, page by page, without setting accessed bits. */
static bool read_guest(struct stack *stack, uint64_t gva, void *buf, size_t len)
{
	uint8_t *to = buf;

	while (len) {
		size_t in_page = PVM_PAGE_SIZE - (gva & (PVM_PAGE_SIZE - 1));
		size_t part = len < in_page ? len : in_page;
		struct pvm_fault_result result;

		if (!pvm_mmu_translate(&stack->vcpu, pvm_gva(gva), PVM_ACCESS_READ, false, &result) ||
		    !read_page(stack, result.gpa, to, part))
			return false;
		to += part;
		gva += part;
		len -= part;
	}
	return true;
}

/* Copy from the tables of the ELF file, if the address is in one. */
static bool read_tables(const struct stack *stack, uint64_t address, void *buf, size_t len)
{
	uint64_t start;
	size_t size, count;
	const uint8_t *bytes;

	if (!stack->symbols)
		return false;
	bytes = symbols_eh_frame(stack->symbols, &start, &size);
	if (!bytes || address - start >= size) {
		bytes = (const uint8_t *)symbols_fdes(stack->symbols, &count);
		start = FDE_TABLE_ADDRESS;
		size = count * sizeof(struct symbols_fde);
	}
	if (!bytes || address < start || address - start >= size)
		return false;
	/* libunwind reads whole words; the last may reach over the end. */
	memset(buf, 0, len);
	memcpy(buf, bytes + (address - start), len < size - (address - start) ?
						len : size - (address - start));
	return true;
}

static int access_mem(unw_addr_space_t as, unw_word_t address, unw_word_t *value, int write, void *arg)
{
	struct stack *stack = arg;

	(void)as;
	if (write || stack->reads >= READS_MAX)
		return -UNW_EINVAL;
	stack->reads++;
	if (read_tables(stack, address, value, sizeof(*value)) ||
	    read_guest(stack, address, value, sizeof(*value)))
		return 0;
	return -UNW_EINVAL;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *value, int write, void *arg)
{
	struct stack *stack = arg;

	(void)as;
	if (write)
		return -UNW_EREADONLYREG;
	if (reg == UNW_X86_64_RIP)
		*value = stack->rip;
	else if (reg >= 0 && (size_t)reg < sizeof(gpr_of_dwarf))
		*value = stack->gpr[gpr_of_dwarf[reg]];
	else
		return -UNW_EBADREG;
	return 0;
}

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *info,
			  int need_unwind_info, void *arg)
{
	struct stack *stack = arg;
	unw_dyn_info_t table;
	uint64_t start;
	size_t size, count;

	if (!stack->symbols || !symbols_eh_frame(stack->symbols, &start, &size))
		return -UNW_ENOINFO;
	symbols_fdes(stack->symbols, &count);
	if (!count)
		return -UNW_ENOINFO;
	memset(&table, 0, sizeof(table));
	table.format = UNW_INFO_FORMAT_REMOTE_TABLE;
	table.start_ip = 0;
	table.end_ip = ~0ull;
	table.u.rti.segbase = start;
	table.u.rti.table_data = FDE_TABLE_ADDRESS;
	table.u.rti.table_len = count * sizeof(struct symbols_fde) / sizeof(unw_word_t);
	return _Ux86_64_dwarf_search_unwind_table(as, ip, &table, info, need_unwind_info, arg);
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *info, void *arg)
{
	(void)as, (void)info, (void)arg;
}

static int get_dyn_info_list_addr(unw_addr_space_t as, unw_word_t *list, void *arg)
{
	(void)as, (void)list, (void)arg;
	return -UNW_ENOINFO;
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *value, int write, void *arg)
{
	(void)as, (void)reg, (void)value, (void)write, (void)arg;
	return -UNW_EBADREG;
}

static int resume(unw_addr_space_t as, unw_cursor_t *cursor, void *arg)
{
	(void)as, (void)cursor, (void)arg;
	return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t as, unw_word_t ip, char *name, size_t size,
			 unw_word_t *offset, void *arg)
{
	(void)as, (void)ip, (void)name, (void)size, (void)offset, (void)arg;
	return -UNW_ENOINFO;
}

static unw_accessors_t accessors = {
	.find_proc_info = find_proc_info,
	.put_unwind_info = put_unwind_info,
	.get_dyn_info_list_addr = get_dyn_info_list_addr,
	.access_mem = access_mem,
	.access_reg = access_reg,
	.access_fpreg = access_fpreg,
	.resume = resume,
	.get_proc_name = get_proc_name,
};

/* @return_address: the call is before @rip, perhaps in another function. */
static void print_frame(FILE *out, const struct stack *stack, unsigned frame, uint64_t rip,
			bool return_address)
{
	uint64_t offset = 0;
	const char *name = stack->symbols ?
		symbols_find(stack->symbols, return_address ? rip - 1 : rip, &offset) : NULL;

	fprintf(out, "    #%-2u 0x%016" PRIx64, frame, rip);
	if (name)
		fprintf(out, " %s+0x%" PRIx64, name, return_address ? offset + 1 : offset);
	fputc('\n', out);
}

/* Does .eh_frame know this address? */
static bool has_unwind_info(unw_addr_space_t as, struct stack *stack, uint64_t ip)
{
	unw_proc_info_t info;

	return find_proc_info(as, ip, &info, 0, stack) == 0;
}

/* Take the registers that a call preserves over from the cursor. */
static void take_registers(unw_cursor_t *cursor, struct stack *stack)
{
	static const uint8_t preserved[] = { UNW_X86_64_RBX, UNW_X86_64_RBP, UNW_X86_64_RSP,
					     UNW_X86_64_R12, UNW_X86_64_R13, UNW_X86_64_R14,
					     UNW_X86_64_R15 };
	unw_word_t value;
	size_t i;

	for (i = 0; i < sizeof(preserved); i++)
		if (unw_get_reg(cursor, preserved[i], &value) == 0)
			stack->gpr[gpr_of_dwarf[preserved[i]]] = value;
	if (unw_get_reg(cursor, UNW_REG_IP, &value) == 0)
		stack->rip = value;
}

/* Follow saved frame pointers; each frame must lie above the one before. */
static bool step_frame_pointer(struct stack *stack)
{
	uint64_t frame[2];	/* the caller's RBP, the return address */
	uint64_t rbp = stack->gpr[PVM_RBP];

	if (rbp < stack->gpr[PVM_RSP] || rbp % 8 || !read_guest(stack, rbp, frame, sizeof(frame)) ||
	    !frame[1])
		return false;
	stack->gpr[PVM_RSP] = rbp + sizeof(frame);
	stack->gpr[PVM_RBP] = frame[0];
	stack->rip = frame[1];
	return true;
}

/* Without: a walk by frame pointers, which code need not have, goes wrong unseen. */
static bool has_unwind_tables(const struct symbols *symbols)
{
	size_t count;

	symbols_fdes(symbols, &count);
	return count;
}

/* What lies on a stack from @rsp on and names code may be a return address, or may have been one. */
static void print_words(FILE *out, struct stack *stack, uint64_t rsp)
{
	uint64_t words[SCAN_WORDS], offset;
	unsigned count = 0, shown = 0, i;

	rsp &= ~7ull;
	while (count < SCAN_WORDS && read_guest(stack, rsp + count * 8, &words[count], 8))
		count++;
	for (i = 0; i < count && shown < BACKTRACE_FRAMES_MAX; i++) {
		const char *name = symbols_find(stack->symbols, words[i] - 1, &offset);

		if (!name || (int64_t)words[i] >= 0)
			continue;
		if (!shown++)
			fprintf(out, "  on it, perhaps return addresses:\n");
		fprintf(out, "    0x%016" PRIx64 " %s+0x%" PRIx64 "\n", words[i], name, offset + 1);
	}
}

/* @compatible: of 32-bit code, whose frames have another layout: its first one only. */
static void print_stack(FILE *out, struct stack *stack, bool compatible)
{
	const uint64_t top = stack->gpr[PVM_RSP];
	unw_addr_space_t as;
	unsigned frame = 0;
	unw_cursor_t cursor;
	bool dwarf;

	print_frame(out, stack, frame, stack->rip, false);
	as = compatible ? NULL : unw_create_addr_space(&accessors, 0);
	if (!as)
		return;
	unw_set_caching_policy(as, UNW_CACHE_NONE);
	dwarf = unw_init_remote(&cursor, as, stack) == 0;
	while (++frame < BACKTRACE_FRAMES_MAX) {
		uint64_t rsp = stack->gpr[PVM_RSP], ip = frame > 1 ? stack->rip - 1 : stack->rip;

		dwarf = dwarf && has_unwind_info(as, stack, ip);
		if (dwarf) {
			if (unw_step(&cursor) <= 0)
				break;
			take_registers(&cursor, stack);
		} else if (!step_frame_pointer(stack)) {
			break;
		}
		if (!stack->rip || stack->gpr[PVM_RSP] <= rsp)
			break;
		print_frame(out, stack, frame, stack->rip, true);
	}
	if (frame == BACKTRACE_FRAMES_MAX)
		fprintf(out, "    ... and perhaps more\n");
	if (stack->symbols && (frame <= 1 || !has_unwind_tables(stack->symbols)))
		print_words(out, stack, top);
	unw_destroy_addr_space(as);
}

static void print_registers(FILE *out, const struct pvm_vcpu *vcpu)
{
	static const char *const names[PVM_GPR_COUNT] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp",
							  "rsi", "rdi", "r8",  "r9",  "r10", "r11",
							  "r12", "r13", "r14", "r15" };
	unsigned i;

	fprintf(out, "vCPU %" PRIu32 ": %s mode%s%s\n", vcpu->id, pvm_mode_name(pvm_vcpu_mode(vcpu)),
		vcpu->halted ? ", halted" : "", vcpu->nmi_masked ? ", NMIs masked" : "");
	fprintf(out, "  rip 0x%016" PRIx64 "  rflags 0x%08" PRIx64 "  cs 0x%x ss 0x%x\n", vcpu->rip,
		pvm_vcpu_rflags(vcpu), vcpu->seg[PVM_CS], vcpu->seg[PVM_SS]);
	for (i = 0; i < PVM_GPR_COUNT; i++)
		fprintf(out, "%s%-3s 0x%016" PRIx64 "%s", i % 4 ? "  " : "  ", names[i], vcpu->gpr[i],
			i % 4 == 3 ? "\n" : "");
	fprintf(out, "  cr2 0x%016" PRIx64 "  cr3 0x%016" PRIx64 "  switch_cr3 0x%016" PRIx64 "\n",
		vcpu->cr2, vcpu->cr3, vcpu->msr.switch_cr3);
	fprintf(out, "  fs_base 0x%016" PRIx64 "  gs_base 0x%016" PRIx64 "  pvcs 0x%" PRIx64 "\n",
		vcpu->fs_base, vcpu->gs_base, vcpu->msr.vcpu_struct);
}

/* Where user mode was, as the shared structure of the guest's ABI has it. */
struct user_place {
	uint16_t cs;
	uint64_t rip, rsp, cr3;
	bool last;	/* it is where the last exit from user mode was */
};

static struct user_place dual_cr3_place(const struct monitor_vcpu *monitor)
{
	struct pvm_vcpu_struct pvcs;

	memcpy(&pvcs, monitor->pvm.pvcs, sizeof(pvcs));
	return (struct user_place){
		.cs = pvcs.user_cs, .rip = pvcs.rip, .rsp = pvcs.rsp,
		.cr3 = monitor->pvm.msr.switch_cr3,
		.last = monitor->user_gpr[PVM_RSP] == pvcs.rsp,
	};
}

/* RSP is not in it, and an event in supervisor mode has changed the rest: then there
 * is no place to show. */
static struct user_place single_cr3_place(const struct monitor_vcpu *monitor)
{
	struct pvm_sc_vcpu_struct pvcs;
	bool last;

	memcpy(&pvcs, monitor->pvm.pvcs, sizeof(pvcs));
	last = monitor->user_gpr[PVM_RCX] == pvcs.rcx && monitor->user_gpr[PVM_R11] == pvcs.r11;
	return (struct user_place){
		.cs = pvcs.user_cs, .rip = last ? pvcs.rip : 0, .rsp = monitor->user_gpr[PVM_RSP],
		.cr3 = monitor->pvm.cr3, .last = last,
	};
}

/* The user's registers as the PVCS has them, read through the user's table. The
 * PVCS has not all of them: the others are those of the last exit from user
 * mode, if that is the one that the PVCS tells of. */
static bool user_stack_of(const struct monitor_vcpu *monitor, struct stack *stack, bool *compatible)
{
	const struct pvm_vcpu *vcpu = &monitor->pvm;
	struct user_place user;

	if (vcpu->user_mode || !vcpu->pvcs)
		return false;
	/* Each reads as much as its own ABI's PVCS has. Of an ABI that is not known here
	 * nothing is read, and no user stack is shown. */
	switch (vcpu->vm->config.abi) {
	case PVM_ABI_DUAL_CR3:
		user = dual_cr3_place(monitor);
		break;
	case PVM_ABI_SINGLE_CR3:
		user = single_cr3_place(monitor);
		break;
	default:
		return false;
	}
	*compatible = user.cs == vcpu->vm->config.user32_cs;
	if ((!*compatible && user.cs != vcpu->vm->config.user_cs) || !user.rip)
		return false;
	stack->vcpu.cr3 = user.cr3;
	stack->vcpu.user_mode = true;
	memset(stack->gpr, 0, sizeof(stack->gpr));
	if (user.last)
		memcpy(stack->gpr, monitor->user_gpr, sizeof(stack->gpr));
	stack->gpr[PVM_RSP] = user.rsp;
	stack->rip = user.rip;
	stack->reads = 0;
	return true;
}

void backtrace_guest(FILE *out, struct monitor_vcpu *vcpu, const struct symbols *symbols)
{
	struct stack stack = {
		.vcpu = vcpu->pvm, .memory = vcpu->vm->memory.fd, .symbols = symbols, .rip = vcpu->pvm.rip,
	};
	bool compatible;

	memcpy(stack.gpr, vcpu->pvm.gpr, sizeof(stack.gpr));
	/* We look, the guest does not: its protection keys do not apply. */
	stack.vcpu.cr4 &= ~(PVM_CR4_PKE | PVM_CR4_PKS);
	print_registers(out, &vcpu->pvm);
	fprintf(out, "  %s stack:\n", pvm_mode_name(pvm_vcpu_mode(&vcpu->pvm)));
	print_stack(out, &stack, pvm_vcpu_mode(&vcpu->pvm) == PVM_MODE_USER32);
	if (user_stack_of(vcpu, &stack, &compatible)) {
		fprintf(out, "  user stack, as the PVCS has it:\n");
		print_stack(out, &stack, compatible);
	}
}
