/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Registers between KVM's structures and the monitor's struct pvm_vcpu: there at the first
 * instruction, back when the vCPU has ended. Between the two they are the kernel's.
 */
#include <string.h>

#include <pvm/abi.h>
#include <pvm/state.h>

#include "device.h"
#include "kvm.h"

#define APIC_X2APIC	(1u << 10 | 1u << 11)	/* APIC_BASE: enabled, x2APIC mode */
#define CODE_TYPE	0xb
#define DATA_TYPE	0x3

static struct kvm_segment segment(const struct pvm_vcpu *pvm, unsigned index, uint64_t base)
{
	bool code = index == PVM_CS;

	return (struct kvm_segment){
		.selector = pvm->seg[index], .base = base, .limit = ~0u, .present = 1, .s = 1, .g = 1,
		.type = code ? CODE_TYPE : DATA_TYPE, .l = code, .db = !code,
	};
}

static int set_msr(int fd, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	return kvm_device_ioctl(fd, KVM_SET_MSRS, &msrs) == 1 ? 0 : -1;
}

/* False: there is no such MSR in the guest's ABI. */
static bool get_msr(int fd, uint32_t index, uint64_t *value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = index };

	if (kvm_device_ioctl(fd, KVM_GET_MSRS, &msrs) != 1)
		return false;
	*value = msrs.entry.data;
	return true;
}

static int put_sregs(const struct pvm_vcpu *pvm, int fd, char *why, size_t why_size)
{
	struct kvm_sregs sregs;

	if (KVM_ASK(fd, KVM_GET_SREGS, &sregs, why, why_size) < 0)
		return -1;
	sregs.cs = segment(pvm, PVM_CS, 0);
	sregs.ss = segment(pvm, PVM_SS, 0);
	sregs.ds = segment(pvm, PVM_DS, 0);
	sregs.es = segment(pvm, PVM_ES, 0);
	sregs.fs = segment(pvm, PVM_FS, pvm->fs_base);
	sregs.gs = segment(pvm, PVM_GS, pvm->gs_base);
	sregs.cr0 = pvm->cr0;
	sregs.cr3 = pvm->cr3;
	/* The module adds what is always set; KVM itself refuses some of that. */
	sregs.cr4 = PVM_CR4_PAE;
	sregs.efer = pvm->efer;
	sregs.apic_base |= APIC_X2APIC;
	return KVM_ASK(fd, KVM_SET_SREGS, &sregs, why, why_size) < 0 ? -1 : 0;
}

/* KVM's order of the general registers is not the encoding's. */
static void gpr_to_kvm(const uint64_t *gpr, struct kvm_regs *regs)
{
	regs->rax = gpr[PVM_RAX];
	regs->rcx = gpr[PVM_RCX];
	regs->rdx = gpr[PVM_RDX];
	regs->rbx = gpr[PVM_RBX];
	regs->rsp = gpr[PVM_RSP];
	regs->rbp = gpr[PVM_RBP];
	regs->rsi = gpr[PVM_RSI];
	regs->rdi = gpr[PVM_RDI];
	memcpy(&regs->r8, &gpr[PVM_R8], 8 * sizeof(*gpr));
}

static void gpr_from_kvm(uint64_t *gpr, const struct kvm_regs *regs)
{
	gpr[PVM_RAX] = regs->rax;
	gpr[PVM_RCX] = regs->rcx;
	gpr[PVM_RDX] = regs->rdx;
	gpr[PVM_RBX] = regs->rbx;
	gpr[PVM_RSP] = regs->rsp;
	gpr[PVM_RBP] = regs->rbp;
	gpr[PVM_RSI] = regs->rsi;
	gpr[PVM_RDI] = regs->rdi;
	memcpy(&gpr[PVM_R8], &regs->r8, 8 * sizeof(*gpr));
}

int kvm_registers_put(struct monitor_vcpu *vcpu, char *why, size_t why_size)
{
	const struct pvm_vcpu *pvm = &vcpu->pvm;
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = { .rip = pvm->rip, .rflags = PVM_RFLAGS_FIXED };
	int fd = kvm_vcpu(vcpu)->fd;

	gpr_to_kvm(pvm->gpr, &regs);
	if (put_sregs(pvm, fd, why, why_size) ||
	    KVM_ASK(fd, KVM_SET_REGS, &regs, why, why_size) < 0)
		return -1;
	if (pvm->msr.switch_cr3 && set_msr(fd, MSR_PVM_SWITCH_CR3, pvm->msr.switch_cr3)) {
		snprintf(why, why_size, "kvm-pvm.ko refuses user mode's page table");
		return -1;
	}
	return KVM_ASK(fd, KVM_SET_MP_STATE, &runnable, why, why_size) < 0 ? -1 : 0;
}

static void take_sregs(struct pvm_vcpu_state *state, const struct kvm_sregs *sregs)
{
	state->user_mode = sregs->ss.dpl == 3;
	state->seg[PVM_CS] = sregs->cs.selector;
	state->seg[PVM_SS] = sregs->ss.selector;
	state->seg[PVM_DS] = sregs->ds.selector;
	state->seg[PVM_ES] = sregs->es.selector;
	state->seg[PVM_FS] = sregs->fs.selector;
	state->seg[PVM_GS] = sregs->gs.selector;
	state->fs_base = sregs->fs.base;
	state->gs_base = sregs->gs.base;
	state->cr2 = sregs->cr2;
	state->cr3 = sregs->cr3;
	state->cr4 |= sregs->cr4;
}

static void take_msrs(struct pvm_vcpu_state *state, int fd)
{
	get_msr(fd, MSR_PVM_LINEAR_ADDRESS_RANGE, &state->linear_address_range);
	get_msr(fd, MSR_PVM_VCPU_STRUCT, &state->vcpu_struct);
	get_msr(fd, MSR_PVM_SWITCH_CR3, &state->switch_cr3);
}

const char *kvm_registers_get(struct monitor_vcpu *vcpu)
{
	struct pvm_vcpu_state state;
	struct kvm_vcpu_events events = { 0 };
	struct kvm_mp_state mp = { 0 };
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	const char *field = "state";
	int fd = kvm_vcpu(vcpu)->fd;

	if (kvm_device_ioctl(fd, KVM_GET_REGS, &regs) < 0 ||
	    kvm_device_ioctl(fd, KVM_GET_SREGS, &sregs) < 0 ||
	    kvm_device_ioctl(fd, KVM_GET_MP_STATE, &mp) < 0 ||
	    kvm_device_ioctl(fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return "registers";
	pvm_vcpu_save(&vcpu->pvm, &state);
	gpr_from_kvm(state.gpr, &regs);
	state.rip = regs.rip;
	state.rflags = pvm_rflags_sanitize(regs.rflags);
	take_sregs(&state, &sregs);
	state.nmi_masked = !!events.nmi.masked;
	state.halted = mp.mp_state == KVM_MP_STATE_HALTED && !state.user_mode;
	take_msrs(&state, fd);
	return pvm_vcpu_restore(&vcpu->pvm, &state, &field) == PVM_OK ? NULL : field;
}

void kvm_registers_place(struct monitor_vcpu *vcpu)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int fd = kvm_vcpu(vcpu)->fd;

	if (kvm_device_ioctl(fd, KVM_GET_REGS, &regs) < 0 ||
	    kvm_device_ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return;
	vcpu->pvm.rip = regs.rip;
	vcpu->pvm.user_mode = sregs.ss.dpl == 3;
	vcpu->pvm.seg[PVM_CS] = sregs.cs.selector;
}
