# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""The guards of invariants.md, as text that can be taken out, and who must miss them.

Owns no logic. A guard is a name that begins with its number, the edits that remove it
(file, text that is there once, text instead), and the tests of which one must fail.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Guard:
    name: str
    edits: tuple
    tests: tuple


def guard(name, file, old, new, *tests):
    return Guard(name, ((file, old, new),), tests)


BUILD = "pvm-static"	# as the only test: without the guard that target must not build

RETURN = "libpvm/abi/pvm/syscall.h"
DUAL = "libpvm/abi/dual_cr3/events.c"
MODE = "libpvm/abi/pvm/mode.h"
DIRECT = "libpvm/abi/dual_cr3/direct.S"
SINGLE = "libpvm/abi/single_cr3/events.c"
SINGLE_DIRECT = "libpvm/abi/single_cr3/direct.S"
DIALECT = "libpvm/abi/pvm/direct.h"
TAILS = "libpvm/switcher/tails.S"
WORLD = "libpvm/switcher/world.S"
ENTRY = "libpvm/switcher/entry.h"
CPU = "libpvm/switcher/cpu.c"
RUN = "libpvm/switcher/run.c"

# The engine's: under `pvm run`, or where only a unit test can see it.
ENGINE = (
    guard("S1 return to user: RIP", RETURN,
          "return pvm_rip_runnable(vcpu, user->rip);", "return true;",
          "hostile.s01_noncanonical_rip"),
    guard("S1 return to 32-bit user: RIP", RETURN,
          "user->cs == config->user32_cs && user->rip <= PVM_RIP32_MAX", "user->cs == config->user32_cs",
          "hostile.s01_noncanonical_rip"),
    guard("S1 return to supervisor: RIP", DUAL,
          "if (!pvm_rip_runnable(vcpu, frame.rip)) {", "if (!frame.vector && 0) {",
          "hostile.s01_noncanonical_rip"),
    guard("S1 after a hypercall: RIP", "libpvm/events/resume.h",
          "if (pvm_likely(pvm_rip_runnable(vcpu, vcpu->rip)))", "if (vcpu->rip || !sleep)",
          "unit.hypercall", "unit.events"),
    guard("S1 IRQ_HLT: RIP", "libpvm/hypercall/hypercall.c",
          "if (!pvm_rip_runnable(vcpu, vcpu->rip))", "if (!vcpu->rip)",
          "unit.hypercall", "ring0.hostile.s01_noncanonical_rip"),
    guard("S1 HLT: RIP", "libpvm/hypercall/insn.c",
          "if (!pvm_rip_runnable(vcpu, vcpu->rip))", "if (!vcpu->rip)", "unit.hypercall"),
    guard("S1 snapshot: RIP", "libpvm/vcpu/state.c",
          "return pvm_canonical_in(s->rip, pvm_host_address_bits(config));", "return true;",
          "unit.test-vcpu"),
    guard("S2 return to user: RFLAGS", RETURN,
          "pvm_rflags_sane(pvm_pvcs_get32(vcpu, l->eflags))", "(pvm_pvcs_get32(vcpu, l->eflags))",
          "hostile.s02_rflags", "unit.events"),
    guard("S2 return to supervisor: RFLAGS", DUAL,
          "pvm_rflags_sane(frame.rflags)", "frame.rflags", "hostile.s02_rflags", "unit.events"),
    guard("S2 entry of an event: RFLAGS", MODE,
          "	vcpu->rflags = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;	/* S2 */\n", "",
          "hostile.s02_rflags"),
    guard("S4 return to user: SS", RETURN,
          "	if (user->ss != config->user_ds)\n		return false;\n", "",
          "hostile.s04_selectors"),
    guard("S4 return to user: CS", RETURN,
          "return user->cs == config->user32_cs && user->rip <= PVM_RIP32_MAX;",
          "return user->rip <= PVM_RIP32_MAX;", "hostile.s04_selectors"),
    guard("S8 PVCS: aligned, within a page", "libpvm/vcpu/pvcs.c",
          "	if (!gpa_allowed(vcpu, gpa))\n		return PVM_EINVAL;\n", "	(void)gpa_allowed;\n",
          "hostile.s08_pvcs_places"),
    guard("S8 PVCS: pinned", "libpvm/vcpu/pvcs.c",
          "if (vcpu->vm->ops->pin(vcpu->vm->host, pvm_gfn(gfn), &page) != PVM_OK)",
          "page = vcpu->vm->ops->gfn_to_va(vcpu->vm->host, pvm_gfn(gfn), true);\n		if (!page)",
          "unit.test-vcpu"),
    guard("S11 entry of the supervisor: PKRU", MODE,
          "		vcpu->pkru = vcpu->cr4 & PVM_CR4_PKS ? (uint32_t)vcpu->msr.pkrs : 0;\n", "",
          "hostile.s11_pkru", "unit.events"),
    guard("S11 return to user: PKRU", MODE,
          "	if (vcpu->vm->config.host_pke)\n		vcpu->pkru = user->pkru;	/* S11 */\n", "",
          "hostile.s11_pkru", "unit.events"),
    guard("S12 LOAD_TLS: selectors whose entry goes", "libpvm/vcpu/segment.c",
          "	pvm_drop_dangling(vcpu);\n	vcpu->state_gen++;", "	vcpu->state_gen++;",
          "ring0.hostile.s05_stale_selectors", "unit.test-vcpu"),
    guard("S12 LOAD_TLS: what goes into the GDT", "libpvm/vcpu/segment.c",
          "	if ((desc & needed) != needed || (desc & PVM_DESC_CODE))\n		return 0;\n",
          "	(void)needed;\n", "unit.test-vcpu"),
    guard("S12 #DB put off by MOV SS", "libpvm/events/debug.c",
          "illegal_hits(vcpu, causes) | deferred_hits(vcpu, causes)",
          "(deferred_hits(vcpu, causes) & 0) | illegal_hits(vcpu, causes)", "unit.events"),
    guard("M1 the switcher's entry of a root has no U", "libpvm/mmu/page.c",
          "config->switcher_entry & ~PVM_PTE_U; /* M1 */", "config->switcher_entry;", "unit.mmu"),
    guard("M1 the switcher's slot is no address of the guest's", "libpvm/mmu/walk.c",
          "	if (config->switcher_entry && PVM_LEVEL_INDEX(gva.v, host_levels) == config->switcher_slot)\n"
          "		return false;\n", "	(void)config, (void)host_levels;\n", "unit.mmu"),
    guard("M1 a configuration without U in the switcher's entry", "libpvm/vcpu/config.c",
          "if (!(config->switcher_entry & PVM_PTE_P) || (config->switcher_entry & PVM_PTE_U))",
          "if (!(config->switcher_entry & PVM_PTE_P))", "unit.test-vcpu"),
    guard("M7 addresses outside the ranges", "libpvm/mmu/walk.c",
          "return pvm_legal_address(vcpu, gva);	/* M7 */", "return true;",
          "ring0.hostile.s06_switcher_slot", "unit.mmu"),
    guard("M7 entry points outside the ranges", "libpvm/vcpu/msr.c",
          "	if (!pvm_legal_address(vcpu, pvm_gva(value)) ||\n"
          "	    !pvm_legal_address(vcpu, pvm_gva(value + size)))\n		return PVM_EINVAL;\n",
          "	(void)vcpu, (void)size;\n", "unit.test-vcpu", "guest.msr"),
    guard("M7 delivery to an entry outside the ranges", MODE,
          "return pvm_likely(entry < 1ull << 47) || pvm_legal_address(vcpu, pvm_gva(entry));",
          "return vcpu || entry;", "unit.events"),
    guard("M7 breakpoints outside the ranges", "libpvm/vcpu/debug.c",
          "if (!pvm_legal_address(vcpu, pvm_gva(vcpu->dr[n])) ||\n		    (", "if ((",
          "unit.test-vcpu", "ring0.hostile.s12_debug"),
)

# The switcher's: on minivisor.
SWITCHER = (
    guard("S1 direct return to user: RIP", DIRECT,
          "	CANONICAL_OR dual_return_user_refused	/* S1 */\n", "",
          "ring0.hostile.s01_noncanonical_rip"),
    guard("S1 direct return to supervisor: RIP", DIRECT,
          "1:	CANONICAL_OR dual_return_supervisor_refused	/* S1 */\n", "1:\n",
          "ring0.hostile.s01_noncanonical_rip"),
    guard("S2 direct return to user: RFLAGS", DIRECT,
          "	movl	PVCS_EFLAGS(%rdx), %r11d\n	andl	$PVM_RFLAGS_GUEST, %r11d	/* S2 */\n",
          "	movl	PVCS_EFLAGS(%rdx), %r11d\n", "ring0.hostile.s02_rflags"),
    guard("S2 direct return to supervisor: RFLAGS", DIRECT,
          "	movq	%rcx, C(RIP)\n	andl	$PVM_RFLAGS_GUEST, %r11d	/* S2 */\n",
          "	movq	%rcx, C(RIP)\n", "ring0.hostile.s02_rflags"),
    guard("S2 direct return to user: R11 is RFLAGS, or IRET", DIRECT,
          "	cmpq	PVCS_R11(%rdx), %r11		/* S2 */\n	jne	dual_return_user_iret\n", "",
          "ring0.hostile.s02_rflags"),
    guard("S2 direct return to user: TF, RF need IRET", DIRECT,
          "	testl	$(PVM_RFLAGS_RF | PVM_RFLAGS_TF), %r11d	/* S2 */\n	jnz	dual_return_user_iret\n", "",
          "ring0.hostile.s02_rflags", "ring0.hostile.s12_debug"),
    guard("S2 SYSCALL: NT is masked", CPU,
          "#define FMASK			(~(uint64_t)PVM_RFLAGS_FIXED & 0x3f7fd5)",
          "#define FMASK			(~(uint64_t)PVM_RFLAGS_FIXED & 0x3f3fd5)",
          "ring0.hostile.s02_rflags"),
    guard("S2 SYSCALL: TF is masked", CPU,
          "#define FMASK			(~(uint64_t)PVM_RFLAGS_FIXED & 0x3f7fd5)",
          "#define FMASK			(~(uint64_t)PVM_RFLAGS_FIXED & 0x3f7ed5)",
          "ring0.hostile.s12_debug"),
    guard("S2 SYSCALL: IF is masked", CPU,
          "#define FMASK			(~(uint64_t)PVM_RFLAGS_FIXED & 0x3f7fd5)",
          "#define FMASK			(~(uint64_t)PVM_RFLAGS_FIXED & 0x3f7dd5)",
          "ring0.hostile.s08_random_pvcs"),
    guard("S2 world switch: TF, RF need IRET", ENTRY,
          "	testl	$(PVM_RFLAGS_RF | PVM_RFLAGS_TF), %r11d	/* S2 */\n	jnz	\\iret\n", "",
          "ring0.hostile.s02_rflags", "ring0.hostile.s12_debug"),
    guard("S2 world switch: R11 is RFLAGS, or IRET", ENTRY,
          "	cmpq	%r11, C(R11)			/* S2 */\n	jne	\\iret\n", "",
          "ring0.hostile.s02_rflags", "ring0.hostile.s10_leaks"),
    guard("S3 the inhibitor word", ENTRY,
          "	cmpl	$0, C(INHIBIT)\n	jne	\\otherwise\n", "",
          "ring0.hostile.s08_pvcs_places"),
    guard("S3 one test of the word, and not none", DIALECT,
          "	UNLESS_INHIBITED syscall_to_host	/* S3 */\n", "", BUILD),
    guard("S4 direct return to user: the pair", DIRECT,
          "	cmpl	C(USER_CS_SS), %eax		/* S4: both selectors at once */\n"
          "	jne	syscall_to_host\n", "", "ring0.hostile.s04_selectors"),
    guard("S6, M7 direct return to supervisor: where the frame may be", DIRECT,
          "	shrq	$47, %rax\n	jz	1f\n	cmpq	C(RANGE_START), %rdx\n"
          "	jb	syscall_to_host\n	cmpq	C(RANGE_END), %rdx\n	ja	syscall_to_host\n1:	movq	%r11",
          "1:	movq	%r11", "ring0.hostile.death_frame_area"),
    guard("S5 direct return to user: a GS base that can be loaded", DIALECT,
          "	shlq	%cl, %rax\n	sarq	%cl, %rax\n	wrgsbase %rax\n.endm", "	wrgsbase %rax\n.endm",
          "ring0.hostile.s05_bases"),
    guard("S11 direct SYSCALL: the user's PKRU", DIRECT,
          "	movl	C(SUPERVISOR_PKRU), %eax\n	wrpkru\n", "	nop\n", "ring0.hostile.s11_pkru"),
    guard("S11 direct return to user: the user's PKRU", DIALECT,
          "	xorl	%ecx, %ecx\n	xorl	%edx, %edx\n	wrpkru\n.endm", "	nop\n.endm",
          "ring0.hostile.s11_pkru"),
    guard("S10 VERW before SYSRET", TAILS,
          "	movq	C(RSP), %rsp\n	verw	verw_selector(%rip)		/* S10: last */\n",
          "	verw	verw_selector(%rip)\n	movq	C(RSP), %rsp\n", "ring0.verw"),
    guard("S10 VERW before IRET", TAILS,
          "	addq	$(CPU_RIP - CPU_FRAME), %rsp\n	verw	verw_selector(%rip)		/* S10: last */\n",
          "	addq	$(CPU_RIP - CPU_FRAME), %rsp\n", "ring0.verw"),
    guard("S11 into the guest: its PKRU", WORLD,
          "	movl	VCPU_PKRU(%rsi), %eax\n	wrpkru\n", "", "ring0.hostile.s11_pkru"),
    guard("S11 out of the guest: the host's PKRU", WORLD,
          "	movl	C(HOST_PKRU), %eax\n	wrpkru\n", "", "ring0.hostile.s11_pkru"),
    guard("S12 a frame that cannot be read", "libpvm/switcher/vectors.S",
          "	leaq	pvm_switcher_frame_read(%rip), %rax\n	cmpq	%rax, 24(%rsp)\n	jb	own_fault\n",
          "	jmp	own_fault\n", "ring0.hostile.death_frame_unmapped"),
    guard("S5 out of the guest: the host's GS base", WORLD,
          "	movq	C(HOST_GS_BASE), %rax\n	wrgsbase %rax\n", "", "ring0.hostile.s05_bases"),
    guard("S5 out of the guest: the host's kernel GS base", WORLD,
          "	movq	C(HOST_KERNEL_GS_BASE), %rax\n	wrgsbase %rax\n	swapgs\n", "",
          "ring0.hostile.s05_bases"),
    guard("S5 out of the guest: the host's DS", WORLD,
          "	LEAVE_SEGMENT ds CPU_HOST_DS VCPU_DS\n", "", "ring0.hostile.s05_segments"),
    guard("S5 out of the guest: the CS of a SYSCALL", RUN,
          "			vcpu->seg[PVM_CS] = vcpu->vm->config.user_cs;\n", "			(void)vcpu;\n",
          "ring0.hostile.s05_stale_selectors"),
)

UNIT = "unit.test-switcher"
CORNERS = "ring0.corners.four-level"
HOST_STATE = "ring0.host-state.four-level"
C_SIDE = (
    guard("S5 the supervisor after a direct switch: its CS", RUN,
          "		cpu->frame.cs = cpu->user_cs;	/* a direct switch leaves the user's there */\n", "", CORNERS),
    guard("S5 a host's own selectors", CPU, "	put_segments_aside(cpu);\n",
          "	(void)put_segments_aside;\n", CORNERS),
    guard("S5 a GDT that is read-only", CPU, "		hw_lgdt(&writable);\n", "		(void)writable;\n", CORNERS),
    guard("S5 out of the guest: the host's DR0-3", "libpvm/switcher/debug.c",
          "		hw_write_dr2(cpu->host_dr[2]);\n", "", HOST_STATE),
    guard("S6 M1 the tables of the slot: no U", "libpvm/switcher/vm.c",
          "*entry = page.pa.v | PVM_PTE_P |", "*entry = page.pa.v | PVM_PTE_U | PVM_PTE_P |", UNIT),
    guard("S6 the switcher's data is not executable", "libpvm/switcher/vm.c",
          "(switcher->config.features.nx ? PVM_PTE_NX : 0)", "(switcher ? 0 : 1)", UNIT),
    guard("S7 a new tag owes a flush", "libpvm/switcher/tag.c",
          "		__atomic_fetch_or(&cpu->owed, 1u << tag, __ATOMIC_SEQ_CST);	/* S7 */\n", "		(void)tag;\n", UNIT),
    guard("S7 a tag in use has one owner", "libpvm/switcher/tag.c",
          "	} while (cpu->live_tags >> tag & 1);\n", "	} while (0);\n", UNIT),
    guard("S7 a tag is one VM's", "libpvm/switcher/tag.c",
          " &&\n	       cpu->tag_gen[tag] == cpu->tags_gen", "", UNIT),
    guard("S7 a tag is one vCPU's", "libpvm/switcher/tag.c",
          " && cpu->tag_vcpu[tag] == svcpu->vcpu", " && svcpu", UNIT),
    guard("S8 the window follows the pin", RUN,
          " && svcpu->window_pins == svcpu->vcpu->pins", "", CORNERS),
    guard("S9 a CPU without FSGSBASE is refused", "libpvm/switcher/switcher.c",
          "	if (!features->fsgsbase)\n", "	if (0)\n", UNIT),
    guard("S9 a host with FRED is refused", "libpvm/switcher/switcher.c",
          "	if (features->fred)\n", "	if (0)\n", UNIT),
    guard("S5 out of the guest: the host's CR4", WORLD,
          "	movq	C(HOST_CR4), %rax\n	movq	%rax, %cr4\n", "", CORNERS),
    guard("S5 into the guest: its CR4", WORLD,
          "	orq	C(CR4_USER), %rax\n", "", CORNERS),
    guard("S6 S9 a CPU with Meltdown needs the host's word", "libpvm/switcher/switcher.c",
          "config->features.meltdown && !config->meltdown_accepted", "0", UNIT),
    guard("S9 a host with a supervisor shadow stack is refused", "libpvm/switcher/switcher.c",
          "	if (features->supervisor_shadow_stack)\n", "	if (0)\n", UNIT),
    guard("S9 a thread's shadow stack is not the guest's", CPU,
          "		hw_wrmsr(MSR_U_CET, 0);\n", "", "bochs.cet.host-state"),
    guard("S9 S7 the host's PCIDs are not ours", "libpvm/switcher/switcher.c",
          "	if (!config->pcid_first || ", "	if (", UNIT),
    guard("S10 VERW where buffers leak", "libpvm/switcher/mitigate.c",
          "		needed |= PVM_MITIGATE_VERW;\n", "		(void)needed;\n", UNIT),
    guard("S13 the signal is looked at", "libpvm/switcher/flush.c",
          "	if (signals(cpu, tags))\n		return true;\n", "", UNIT),
    guard("S13 what is owed is written down", "libpvm/switcher/flush.c",
          "		__atomic_fetch_or(&cpu->owed, tags, __ATOMIC_SEQ_CST);\n", "		(void)tags;\n", UNIT),
)

# Single CR3's own: two roots from one table, its returns and direct switches.
ROOTS = "hostile.m03_two_roots.single"
SINGLE_CR3 = (
    guard("M3 the walk: user mode and what lacks U", "libpvm/mmu/walk.c",
          "		return !walk->user;	/* M3 */", "		return false;", ROOTS),
    guard("M3 a user's root is brought up to date without what lost U", "libpvm/mmu/sync.c",
          "page->role.user_root && !(guest & PVM_PTE_U);", "page->role.user_root && !guest;",
          "model.single_flush", "ring0." + ROOTS),
    guard("M3 M4 the role of a table says if all above it have U", "libpvm/mmu/sync.c",
          "child->role.user_path != (page->role.user_path && (guest & PVM_PTE_U))",
          "child->role.user_path != (page->role.user_path && guest)",
          "model.single_roots", "ring0." + ROOTS),
    guard("M4 the walk: SMEP", "libpvm/mmu/walk.c",
          "return walk->user && (walk->access & PVM_ACCESS_EXEC) && (vcpu->cr4 & PVM_CR4_SMEP);",
          "return false;", "unit.mmu", "model.single_smep"),
    guard("M4 a leaf of the user's is not executable for the supervisor", "libpvm/mmu/fill.c",
          "(walk->entry[walk->level] & PVM_PTE_NX) | smep_nx(fill);",
          "(walk->entry[walk->level] & PVM_PTE_NX);", "unit.mmu", "ring0." + ROOTS),
    guard("M4 nor are the pieces of a large one", "libpvm/mmu/fill.c",
          "		entry |= smep_nx(fill);\n	return", "		entry |= 0;\n	return", "unit.mmu", "ring0." + ROOTS),
    guard("S1 single CR3: return to supervisor: RIP", SINGLE,
          "if (!pvm_rip_runnable(vcpu, rip)) {", "if (!rip) {", "hostile.s01_noncanonical_rip.single"),
    guard("S2 single CR3: return to supervisor: RFLAGS", SINGLE,
          "pvm_rflags_sane(rflags);	/* S2 */", "rflags;", "unit.events"),
    guard("S1 single CR3: direct return to user: RIP", SINGLE_DIRECT,
          "	CANONICAL_OR single_return_user_refused	/* S1 */\n", "",
          "ring0.hostile.s01_noncanonical_rip.single"),
    guard("S2 single CR3: direct return to user: RFLAGS", SINGLE_DIRECT,
          "	andl	$PVM_RFLAGS_GUEST, %r11d	/* S2 */\n", "", "ring0.hostile.s02_rflags.single"),
    guard("S2 single CR3: direct return to user: R11 is RFLAGS, or IRET", SINGLE_DIRECT,
          "	cmpq	PVM_SC_PVCS_R11(%rdx), %r11	/* S2 */\n	jne	single_return_user_iret\n", "",
          "ring0.hostile.s02_rflags.single"),
    guard("S2 single CR3: direct return to user: TF, RF need IRET", SINGLE_DIRECT,
          "	testl	$(PVM_RFLAGS_RF | PVM_RFLAGS_TF), %r11d	/* S2 */\n	jnz	single_return_user_iret\n", "",
          "ring0.hostile.s02_rflags.single", "ring0.hostile.s12_debug.single"),
    guard("S4 single CR3: direct return to user: the pair", SINGLE_DIRECT,
          "	cmpl	C(USER_CS_SS), %eax		/* S4: both selectors at once */\n	jne	syscall_to_host\n", "",
          "ring0.hostile.s04_selectors.single"),
    guard("S11 single CR3: direct SYSCALL: the user's PKRU", SINGLE_DIRECT,
          "	movl	C(SUPERVISOR_PKRU), %eax\n	wrpkru\n", "	nop\n", "ring0.hostile.s11_pkru.single"),
)

GUARDS = ENGINE + SWITCHER + C_SIDE + SINGLE_CR3
