/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S8: the PVCS at bad places: outside of memory, misaligned, over a page's end,
 * over code, over the stack, over the page tables that are in use; changed
 * between any two uses, and taken away.
 */
#include "attack.h"

#define SEED		0x5808
#define DATA		USER_BASE
#define RCX_VA		(DATA + (32 + OF_PVCS(RCX) / 8) * PAGE_SIZE)
#define OLD		0x1111ul
#define NEW		0x2222ul

USER_CODE(user_read, "	movq	(%rdi), %rax\n	syscall\n");
USER_CODE(user_ud2, "	ud2\n");

/* A page of code whose bytes are not needed. */
extern char spare_code[];
__asm__(".pushsection .text\n.balign 4096\n.globl spare_code\nspare_code: .skip 4096, 0x90\n.popsection");

static u64 own_pvcs(void)
{
	return virt_to_phys((u64)pvcs());
}

/* User mode and back, by the PVCS at @va; true if all of it works. */
static bool works_at(volatile struct guest_pvcs *p)
{
	fill_pvcs((u64)attack_user_syscall);
	*p = *pvcs();
	p->rcx = 0;
	fill_registers();
	return attack(attack_retu) == BY_SYSCALL && p->rcx == (u64)attack_user_syscall_next &&
	       p->rip == (u64)attack_user_syscall_next;
}

static void refused(void)
{
	static const u64 offsets[] = { 1, 2, 4, 7, 9, PAGE_SIZE - 64, PAGE_SIZE - 120, PAGE_SIZE - 8 };
	u64 page = page_alloc(), before = own_pvcs(), list[96];
	struct tally t = { 0 };
	unsigned n = 0;

	for (unsigned i = 0; i < array_size(offsets); i++)
		list[n++] = page + offsets[i];
	list[n++] = align_up(memory_end(), PAGE_SIZE) + 16 * MiB;
	list[n++] = 0xfee00000;
	list[n++] = 0xfec00000;
	for (unsigned bit = 32; bit < 64; bit++) {
		list[n++] = page | 1ul << bit;
		list[n++] = 1ul << bit;
	}
	list[n++] = ~0ul;
	list[n++] = -128ul;
	for (unsigned i = 0; i < n; i++) {
		tally(&t, hc_wrmsr(MSR_PVM_VCPU_STRUCT, list[i]) != 0 &&
		      hc_rdmsr(MSR_PVM_VCPU_STRUCT) == before && works_at(pvcs()), list[i]);
	}
	check_tally(&t, "S8: a PVCS outside of memory, misaligned or over a page's end is refused");
	page_free(page);
}

static void over_things(void)
{
	u64 code = virt_to_phys((u64)spare_code);
	volatile struct guest_pvcs *alias = (void *)(DATA + 16 * PAGE_SIZE);

	/* The text is read-only for us: through an alias. */
	map_user(&boot_space, (u64)alias, code, PTE_USER_RW);
	hc_tlb_flush();
	check(hc_wrmsr(MSR_PVM_VCPU_STRUCT, code) == 0, "S8: the PVCS may lie over code");
	check(works_at(alias), "S8: and works there");
	hc_wrmsr(MSR_PVM_VCPU_STRUCT, virt_to_phys(attack_stack() - 2048));
	check(works_at((void *)(attack_stack() - 2048)), "S8: and on the stack");
	hc_wrmsr(MSR_PVM_VCPU_STRUCT, own_pvcs());
	check(works_at(pvcs()), "S8: and at its own place again");
}

/*
 * The PVCS over the entry that maps DATA: what the hypervisor saves there is a
 * change of the guest's tables, which a flush must bring to light (M9).
 */
static void over_a_table(void)
{
	u64 old_page = page_alloc(), new_page = page_alloc(), entry = new_page | PTE_USER_RW, *pte, by;
	volatile struct guest_pvcs *p;

	*(u64 *)phys_to_virt(old_page) = OLD;
	*(u64 *)phys_to_virt(new_page) = NEW;
	/* One of the entries after the 32nd is the rcx field of a PVCS at 256. */
	pte = (map_user(&boot_space, RCX_VA, old_page, PTE_USER_RW),
	       user_pte(&boot_space, RCX_VA));
	p = (void *)(align_down((u64)pte, PAGE_SIZE) + 256);
	guest_assert((u64)&p->rcx == (u64)pte);
	hc_tlb_flush();
	guest_assert(hc_wrmsr(MSR_PVM_VCPU_STRUCT, virt_to_phys((u64)p)) == 0);
	for (unsigned round = 0; round < 4; round++) {
		u64 want = round & 1 ? old_page : new_page;

		check_eq(*(u64 *)(RCX_VA), round & 1 ? NEW : OLD,
			 "S8: the page that the entry maps, before");
		entry = want | PTE_USER_RW | PTE_A | PTE_D;
		fill_pvcs((u64)user_ud2);
		*p = *pvcs();
		p->rcx = entry;		/* user mode has it in RCX and brings it back */
		by = attack(attack_retu);
		check(by == BY_USER_EVENT && (u8)p->event_vector == VEC_UD && *pte == entry,
		      "S8: an event saves RCX over a page-table entry");
		hc_invlpg(RCX_VA);
		check_eq(*(u64 *)(RCX_VA), round & 1 ? OLD : NEW,
			 "S8, M9: and after INVLPG that entry counts");
	}
	hc_wrmsr(MSR_PVM_VCPU_STRUCT, own_pvcs());
}

/* Over the supervisor's own top table, in the part that it does not use. */
static void over_a_root(void)
{
	volatile struct guest_pvcs *p = (void *)((u64)phys_to_virt(boot_space.user_root) + 1024);

	hc_wrmsr(MSR_PVM_VCPU_STRUCT, virt_to_phys((u64)p));
	check(works_at(p), "S8: the PVCS over the top-level table in use");
	memset((void *)p, 0, sizeof(*p));
	hc_wrmsr(MSR_PVM_VCPU_STRUCT, own_pvcs());
	hc_tlb_flush();
}

static void moved_all_the_time(void)
{
	u64 pages[16];
	struct tally t = { 0 }, old = { 0 };

	for (unsigned i = 0; i < array_size(pages); i++)
		pages[i] = page_alloc();
	for (unsigned i = 0; i < 2000; i++) {
		u64 r = random64(), pa = pages[r % 16] + (r >> 8) % 31 * 128;
		u64 last = hc_rdmsr(MSR_PVM_VCPU_STRUCT);
		volatile struct guest_pvcs *before = phys_to_virt(last);
		u64 rip;

		guest_assert(hc_wrmsr(MSR_PVM_VCPU_STRUCT, pa) == 0);
		before->rip = rip = random64();
		tally(&t, works_at(phys_to_virt(pa)), pa);
		tally(&old, last == pa || before == pvcs() || before->rip == rip, last);
	}
	check_tally(&t, "S8: a PVCS that moves all the time works wherever it is");
	check_tally(&old, "S8: and the places that it left are not written");
	hc_wrmsr(MSR_PVM_VCPU_STRUCT, own_pvcs());
}

static void taken_away(void)
{
	check(hc_wrmsr(MSR_PVM_VCPU_STRUCT, 0) == 0, "S8: the PVCS can be taken away");
	fill_registers();
	/* In single CR3 that #GP has nowhere to go: death_locked.c. */
	if (!SINGLE_CR3) {
		check(was_exception(attack(attack_retu), VEC_GP, (u64)attack_retu),
		      "S8: without one EVENT_RETURN_USER is #GP");
	}
	check_eq(hypercall(PVM_HC_IRQ_WIN, 0, 0, 0, 0), 0, "S8: and hypercalls work");
	check(hc_wrmsr(MSR_PVM_VCPU_STRUCT, own_pvcs()) == 0 && works_at(pvcs()), "S8: and it comes back");
}

void guest_main(void)
{
	seed_random(SEED);
	attack_begin();
	refused();
	over_things();
	over_a_table();
	over_a_root();
	moved_all_the_time();
	taken_away();
	attack_end();
}
