/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Loading and storing the guest's registers. Owns the knowledge of the kernel's
 * frame. The guest can write into the frame pages while it runs, so nothing of
 * a frame is trusted but as the guest's own registers, of the mode that the vCPU
 * is in; and nothing there is used on the way back in.
 */
#include "frame.h"

#include <cpuid.h>
#include <signal.h>
#include <string.h>

#define UC_FP_XSTATE		0x1

/* The FXSAVE area and the XSAVE header, SDM vol. 1, 13.4. */
#define FX_FCW			0
#define FX_MXCSR		24
#define FX_MXCSR_MASK		28
#define FX_SW_RESERVED		464
#define FX_SIZE			512
#define XSAVE_BV		512
#define XSAVE_HEADER_END	576
#define FX_FCW_RESET		0x37f
#define MXCSR_RESET		0x1f80
#define MXCSR_MASK_DEFAULT	0xffbf	/* where FXSAVE leaves the mask 0 */
#define XFEATURE_PKRU		(1ull << 9)

/* What CPUID offers a guest of them. */
#define XFEATURES_OF_GUESTS	((uint64_t)(PVM_XCR0_X87 | PVM_XCR0_SSE | PVM_XCR0_AVX | PVM_XCR0_AVX512 | \
					    PVM_XCR0_PKRU))

#define PKRU_KEY0_DENIED	1u

#define CPUID_XSTATE		0xd

_Static_assert(sizeof(((struct stub_control *)0)->xstate) >= MONITOR_XSTATE_MAX, "xstate");
_Static_assert(sizeof(struct sigframe_xstate) == FX_SIZE - FX_SW_RESERVED, "sw_reserved");

static uint32_t read32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t read64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void write32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void write64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

bool sigframe_learn(struct sigframe_place *place, const uint8_t *shared, uint64_t address)
{
	uint32_t eax, ebx, ecx, edx;
	const uint64_t end = STUB_SHARED + STUB_SHARED_SIZE;
	uint64_t xstate;

	memset(place, 0, sizeof(*place));
	if (address < STUB_ALTSTACK || address % 8 || address + sizeof(struct sigframe) > end)
		return false;
	place->address = address;
	place->frame = (const struct sigframe *)(void *)(shared + (address - STUB_SHARED));
	xstate = place->frame->xstate;
	if (xstate % 64 || xstate < address + sizeof(struct sigframe) || xstate + FX_SIZE > end)
		return false;
	place->xstate = shared + (xstate - STUB_SHARED);
	memcpy(&place->layout, place->xstate + FX_SW_RESERVED, sizeof(place->layout));
	if (!(place->frame->flags & UC_FP_XSTATE) || place->layout.magic != FP_XSTATE_MAGIC1 ||
	    place->layout.size < XSAVE_HEADER_END || place->layout.size > CONTROL_XSTATE_SIZE ||
	    xstate + place->layout.size + 4 > end)
		return false;
	place->mxcsr_mask = read32(place->xstate + FX_MXCSR_MASK);
	if (!place->mxcsr_mask)
		place->mxcsr_mask = MXCSR_MASK_DEFAULT;
	if ((place->layout.features & XFEATURE_PKRU) &&
	    __get_cpuid_count(CPUID_XSTATE, 9, &eax, &ebx, &ecx, &edx) &&
	    ebx + sizeof(uint32_t) <= place->layout.size)
		place->pkru_offset = ebx;
	return true;
}

/* ------------------------------------------------------------------------
 * Extended state.
 */

/* The state after reset: XRSTOR makes it where the header says so. */
static void reset_xstate(uint8_t *x, size_t size)
{
	memset(x, 0, size);
	write32(x + FX_FCW, FX_FCW_RESET);
	write32(x + FX_MXCSR, MXCSR_RESET);
}

/* XRSTOR refuses reserved bits, and then the stub would die. N4: what else the host has, such as AMX's tile
 * configuration, no guest's kernel saves: it would go from one program to the next. So all start without. */
static void sanitize_xstate(const struct sigframe_place *place, uint8_t *x)
{
	write32(x + FX_MXCSR, read32(x + FX_MXCSR) & place->mxcsr_mask);
	write64(x + XSAVE_BV, read64(x + XSAVE_BV) & place->layout.features & XFEATURES_OF_GUESTS);
	memset(x + XSAVE_BV + 8, 0, XSAVE_HEADER_END - XSAVE_BV - 8);
}

static void load_xstate(const struct sigframe_place *place, uint8_t *x, const struct monitor_vcpu *vcpu)
{
	uint32_t size = place->layout.size;

	if (vcpu->xstate_size >= XSAVE_HEADER_END && vcpu->xstate_size <= size) {
		memcpy(x, vcpu->xstate, vcpu->xstate_size);
		memset(x + vcpu->xstate_size, 0, size - vcpu->xstate_size);
		sanitize_xstate(place, x);
	} else {
		reset_xstate(x, size);
	}
	if (place->pkru_offset) {
		write32(x + place->pkru_offset, vcpu->pvm.pkru);
		write64(x + XSAVE_BV, read64(x + XSAVE_BV) | XFEATURE_PKRU);
	}
}

void frame_store_xstate(const struct sigframe_place *place, const uint8_t *x, struct monitor_vcpu *vcpu)
{
	uint32_t size = place->layout.size;

	memcpy(vcpu->xstate, x, size);
	vcpu->xstate_size = size;
	sanitize_xstate(place, vcpu->xstate);
	memset(vcpu->xstate + FX_SW_RESERVED, 0, sizeof(place->layout));
	if (place->pkru_offset)
		vcpu->pvm.pkru = read64(vcpu->xstate + XSAVE_BV) & XFEATURE_PKRU ?
				 read32(vcpu->xstate + place->pkru_offset) : 0;
}

/* ------------------------------------------------------------------------
 * General registers and segments.
 */

static uint16_t loadable(const struct pvm_vcpu *vcpu, unsigned seg, const uint64_t tls[3])
{
	uint16_t sel = vcpu->seg[seg];
	unsigned entry = PVM_SEL_INDEX(sel) - vcpu->vm->config.tls_index;

	if (!pvm_selector_loadable(vcpu, sel) || (entry < 3 && !tls[entry]))
		return 0;
	return sel;
}

void frame_store_gprs(const struct sigframe *f, uint64_t gpr[16])
{
	gpr[PVM_RAX] = f->rax;
	gpr[PVM_RCX] = f->rcx;
	gpr[PVM_RDX] = f->rdx;
	gpr[PVM_RBX] = f->rbx;
	gpr[PVM_RSP] = f->rsp;
	gpr[PVM_RBP] = f->rbp;
	gpr[PVM_RSI] = f->rsi;
	gpr[PVM_RDI] = f->rdi;
	gpr[PVM_R8] = f->r8;
	gpr[PVM_R9] = f->r9;
	gpr[PVM_R10] = f->r10;
	gpr[PVM_R11] = f->r11;
	gpr[PVM_R12] = f->r12;
	gpr[PVM_R13] = f->r13;
	gpr[PVM_R14] = f->r14;
	gpr[PVM_R15] = f->r15;
}

void frame_load(const struct sigframe_place *place, struct stub_control *control,
		const struct monitor_vcpu *vcpu, const uint64_t tls[3])
{
	const struct pvm_vcpu *pvm = &vcpu->pvm;
	struct stub_registers *regs = &control->registers;

	load_xstate(place, control->xstate, vcpu);
	control->xfeatures = place->layout.features;
	regs->ds = loadable(pvm, PVM_DS, tls);
	regs->es = loadable(pvm, PVM_ES, tls);
	regs->fs = loadable(pvm, PVM_FS, tls);
	regs->gs = loadable(pvm, PVM_GS, tls);
	regs->fs_base = frame_canonical(pvm->fs_base);
	regs->gs_base = frame_canonical(pvm->gs_base);
	/* A tracer cannot set ID; IRET sets all. */
	regs->flags = PVM_RFLAGS_FIXED | (pvm->rflags & PVM_RFLAGS_ID);
	control->enter = place->pkru_offset && (pvm->pkru & PKRU_KEY0_DENIED) ? ENTER_TRACED : ENTER_IRET;
	memcpy(regs->gpr, pvm->gpr, sizeof(regs->gpr));
	regs->iret = (struct stub_iret){
		.rip = pvm->rip,
		.cs = pvm_vcpu_underlying_cs(pvm),
		/* S2, at the last place before the CPU. */
		.rflags = pvm_rflags_sanitize(pvm->rflags),
		.rsp = pvm->gpr[PVM_RSP],
		.ss = pvm_vcpu_underlying_ss(pvm),
	};
}

void frame_grant_key0(const struct sigframe_place *place, struct stub_control *control)
{
	uint8_t *pkru = control->xstate + place->pkru_offset;

	write32(pkru, read32(pkru) & ~PKRU_KEY0_DENIED);
	control->enter = ENTER_IRET;
}

void frame_store(const struct sigframe_place *place, const struct stub_record *record,
		 struct monitor_vcpu *vcpu)
{
	struct pvm_vcpu *pvm = &vcpu->pvm;
	const struct pvm_vm_config *config = &pvm->vm->config;
	const struct sigframe *f = place->frame;

	frame_store_gprs(f, pvm->gpr);
	/* A forged frame says what no CPU has: no event comes with that. */
	pvm->rip = frame_canonical(f->rip);
	pvm->rflags = pvm_rflags_sanitize(f->rflags);
	/*
	 * In supervisor mode both are emulated. In user mode there are two code
	 * segments and one stack segment, whatever a forged frame says (S4).
	 */
	if (pvm->user_mode) {
		pvm->seg[PVM_CS] = f->cs == config->user32_cs ? config->user32_cs : config->user_cs;
		pvm->seg[PVM_SS] = config->user_ds;
	}
	pvm->seg[PVM_DS] = (uint16_t)record->ds;
	pvm->seg[PVM_ES] = (uint16_t)record->es;
	pvm->seg[PVM_FS] = (uint16_t)record->fs;
	pvm->seg[PVM_GS] = (uint16_t)record->gs;
	pvm->fs_base = frame_canonical(record->fs_base);
	pvm->gs_base = frame_canonical(record->gs_base);
	frame_store_xstate(place, place->xstate, vcpu);
}
