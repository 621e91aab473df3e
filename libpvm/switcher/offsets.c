/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The offsets that entry.S uses, made by the compiler from the structures: this
 * file is compiled to assembly and offsets.cmake turns its marks into offsets.h.
 */
#include "switcher/area.h"

#define VALUE(name, value) __asm__ volatile("\n#OFFSET " #name " %c0 " : : "i"(value))
#define CPU(name, field) VALUE(CPU_##name, offsetof(struct pvm_switcher_cpu, field))
#define VCPU(name, field) VALUE(VCPU_##name, offsetof(struct pvm_vcpu, field))
#define GPR(name) VALUE(VCPU_##name, offsetof(struct pvm_vcpu, gpr) + 8 * PVM_##name)
#define SEG(name) VALUE(VCPU_##name, offsetof(struct pvm_vcpu, seg) + 2 * PVM_##name)
#define MSR(name, field) VALUE(MSR_##name, offsetof(struct switcher_msr, field))
#define ROOTS(name, field) VALUE(ROOTS_##name, offsetof(struct pvm_switcher_roots, field))

void pvm_switcher_offsets(void);

static void cpu_offsets(void)
{
	CPU(SIGNAL, signal);
	CPU(OWED, owed);
	CPU(SELF, self);
	CPU(RAX, rax);
	CPU(RCX, rcx);
	CPU(RDX, rdx);
	CPU(R11, r11);
	CPU(GS_BASE, gs_base);
	CPU(INHIBIT, inhibit);
	CPU(PENDING, pending);
	CPU(USER_MODE, user_mode);
	CPU(FLAGS, flags);
	CPU(EXTRAS, extras);
	CPU(RUNNING, running);
	CPU(KIND, kind);
	CPU(ROOTS, roots);
	CPU(PVCS, pvcs);
	CPU(LSTAR, lstar);
	CPU(RETU_NEXT, retu_next);
	CPU(RETS_NEXT, rets_next);
	CPU(KERNEL_GS_BASE, kernel_gs_base);
	CPU(SUPERVISOR_RSP, supervisor_rsp);
	CPU(CANONICAL_ADD, canonical_add);
	CPU(CANONICAL_LIMIT, canonical_limit);
	CPU(RANGE_START, range_start);
	CPU(RANGE_END, range_end);
	CPU(PGTBL_FLAGS, pgtbl_flags);
	CPU(USER_CS_SS, user_cs_ss);
	CPU(PKRU, pkru);
	CPU(SUPERVISOR_PKRU, supervisor_pkru);
	CPU(GS_SHIFT, gs_shift);
	CPU(USER_CS, user_cs);
	CPU(USER_DS, user_ds);
	CPU(PUBLISHED, published);
	CPU(VCPU, vcpu);
	CPU(HOST_RSP, host_rsp);
	CPU(HOST_CR3, host_cr3);
	CPU(HOST_NOFLUSH, host_noflush);
	CPU(HOST_GS_BASE, host_gs_base);
	CPU(HOST_KERNEL_GS_BASE, host_kernel_gs_base);
	CPU(HOST_FS_BASE, host_fs_base);
	CPU(GUEST_DR7, guest_dr7);
	CPU(CR2, cr2);
	CPU(GLOBAL_GVA, global_gva);
	CPU(DR6, dr6);
	CPU(FAULT_RIP, fault_rip);
	CPU(HOST_CR4, host_cr4);
	CPU(CR4_KEEP, cr4_keep);
	CPU(CR4_USER, cr4_user);
	CPU(MSRS, msrs);
	CPU(MSRS_END, msrs_end);
	CPU(HOST_PKRU, host_pkru);
	CPU(HOST_SPEC_CTRL, host_spec_ctrl);
	CPU(MITIGATIONS, mitigations);
	CPU(HOST_DS, host_ds);
	CPU(HOST_ES, host_es);
	CPU(HOST_FS, host_fs);
	CPU(HOST_GS, host_gs);
	CPU(HOST_SS, host_ss);
	CPU(SWITCHER_SS, switcher_ss);
	CPU(IDTR, idtr);
	CPU(HOST_IDTR, host_idtr);
	CPU(FRAME, frame);
	CPU(VECTOR, frame.vector);
	CPU(ERROR, frame.error);
	CPU(RIP, frame.rip);
	CPU(CS, frame.cs);
	CPU(RFLAGS, frame.rflags);
	CPU(RSP, frame.rsp);
	CPU(SS, frame.ss);
	CPU(USER_SYSCALLS, stats.user_syscalls);
	CPU(RETURNS_USER, stats.returns_user);
	CPU(RETURNS_SUPERVISOR, stats.returns_supervisor);
	CPU(LOAD_PGTBLS, stats.load_pgtbls);
	CPU(WINDOW_NMIS, stats.window_nmis);
	CPU(WINDOW_MCES, stats.window_mces);
	CPU(WINDOW_DBS, stats.window_dbs);
	CPU(FLUSHES_PAID, stats.flushes_paid);
}

static void table_offsets(void)
{
	CPU(GUEST_CPUNODE, guest_cpunode);
	CPU(CPUNODE, cpunode);
	CPU(CPUNODE_AT, cpunode_at);
	CPU(GUEST_LDT, guest_ldt);
	CPU(SEGMENT, segment);
	CPU(SEGMENT_BASE, segment_base);
}

static void msr_offsets(void)
{
	MSR(INDEX, index);
	MSR(LOW, low);
	MSR(HIGH, high);
	MSR(HOST_LOW, host_low);
	MSR(HOST_HIGH, host_high);
	VALUE(MSR_SIZE, sizeof(struct switcher_msr));
}

static void vcpu_offsets(void)
{
	GPR(RAX);
	GPR(RCX);
	GPR(RDX);
	GPR(RBX);
	GPR(RSP);
	GPR(RBP);
	GPR(RSI);
	GPR(RDI);
	GPR(R8);
	GPR(R9);
	GPR(R10);
	GPR(R11);
	GPR(R12);
	GPR(R13);
	GPR(R14);
	GPR(R15);
	SEG(DS);
	SEG(ES);
	SEG(FS);
	SEG(GS);
	VCPU(RIP, rip);
	VCPU(RFLAGS, rflags);
	VCPU(FS_BASE, fs_base);
	VCPU(GS_BASE, gs_base);
	VCPU(PKRU, pkru);
}

static void constants(void)
{
	VALUE(PVM_SWITCHER_AREA_SIZE, PVM_SWITCHER_AREA_SIZE);
	VALUE(HOST_SIGNAL, HOST_SIGNAL);
	VALUE(PENDING_NMI, PENDING_NMI);
	VALUE(PENDING_MC, PENDING_MC);
	VALUE(AREA_PKE, AREA_PKE);
	VALUE(AREA_SMAP, AREA_SMAP);
	VALUE(EXTRA_CR4, EXTRA_CR4);
	VALUE(EXTRA_MSRS, EXTRA_MSRS);
	VALUE(EXTRA_CPUNODE, EXTRA_CPUNODE);
	VALUE(KIND_VECTOR, KIND_VECTOR);
	VALUE(KIND_SYSCALL, KIND_SYSCALL);
	VALUE(KIND_SYSCALL32, KIND_SYSCALL32);
	VALUE(KIND_KICK, KIND_KICK);
	VALUE(KIND_FAULT, KIND_FAULT);
	VALUE(KIND_HYPERCALL, KIND_HYPERCALL);
	VALUE(MITIGATE_VERW, PVM_MITIGATE_VERW);
	VALUE(MITIGATE_GLOBAL, MITIGATE_GLOBAL);
	VALUE(MITIGATE_SELECTORS, MITIGATE_SELECTORS);
	VALUE(MITIGATE_RSB_FILL, PVM_MITIGATE_RSB_FILL);
	VALUE(MITIGATE_BHB_CLEAR, PVM_MITIGATE_BHB_CLEAR);
	VALUE(MITIGATE_IBRS, PVM_MITIGATE_IBRS);
	VALUE(MITIGATE_LFENCE, PVM_MITIGATE_LFENCE);
	VALUE(MITIGATE_EXIT_IBPB, PVM_MITIGATE_EXIT_IBPB);
}

void pvm_switcher_offsets(void)
{
	constants();
	cpu_offsets();
	table_offsets();
	msr_offsets();
	vcpu_offsets();
	ROOTS(CR3, cr3);
	ROOTS(SIGNAL, signal);
	ROOTS(TAG_BIT, tag_bit);
	ROOTS(GUEST_CR3, guest_cr3);
	ROOTS(GUEST_SWITCH_CR3, guest_switch_cr3);
	VALUE(ROOTS_SIZE, sizeof(struct pvm_switcher_roots));
}
