# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Mutants that no test can tell from the original, each with the reason.

A line of the survivors' report, "path: before => after", and why it is equivalent, or
why nothing that may be relied on changes. An entry whose line is no longer in the tree is
reported, to be removed.
"""
JUDGED = {
    "libpvm/mmu/pool.c: if (objects <= slab->available) => if (objects < slab->available)":
        "with as many objects as are available the rest of the function finds 0, too",
    "libpvm/mmu/fill.c: if (((entry & ~parent->table[index]) & PVM_PTE_W) || => "
    "if (((entry & ~parent->table[index]) | PVM_PTE_W) ||":
        "what is below is brought up to date also where no right is gained: work, no difference",
    "libpvm/events/debug.c: for (i = 0; i < 4; i++) => for (i = 0; i <= 4; i++)":
        "bit 4 of DR6 is no cause and is masked out before",
    "libpvm/vcpu/cpuid.c: return out[EAX] < limit ? out[EAX] : limit; => "
    "return out[EAX] <= limit ? out[EAX] : limit;":
        "the smaller of two that are equal",
    "libpvm/mmu/host.c: if (!pvm_page_evict(mmu, over < SHRINK_STEP ? over : SHRINK_STEP)) => "
    "if (!pvm_page_evict(mmu, over <= SHRINK_STEP ? over : SHRINK_STEP))":
        "the smaller of two that are equal",
    "libpvm/switcher/cpu.c: hw_load_gs(0); => hw_load_gs(1);":
        "selectors 0 to 3 are null alike; one that was not null was put aside",
    "libpvm/vcpu/cpuid.c: for (component = 2; component < 32; component++) { => "
    "for (component = 2; component < 33; component++) {":
        "a shift by 32 looks at bit 0 on x86, and subleaf 32 is empty; -fsanitize=undefined tells",
    "libpvm/mmu/root.c: role.range = (widest ? 1 : vcpu->id + 2) & 0x3fff;\t"
    "/* PVM_VCPU_ID_MAX + 2: all 14 bits */ => role.range = (widest ? 1 : vcpu->id + 3) & 0x3fff;\t"
    "/* PVM_VCPU_ID_MAX + 2: all 14 bits */":
        "a name for the vCPU's own ranges: any that is not 1 and no other vCPU's",
    "libpvm/switcher/tag.c: for (i = 0; i < PVM_SWITCHER_TAGS; i++) { => "
    "for (i = 0; i <= PVM_SWITCHER_TAGS; i++) {":
        "in the area the words after them are tag 0's own, which has no owner either; "
        "-fsanitize=undefined tells",
    "libpvm/switcher/tag.c: tag = cpu->next_tag++ % PVM_SWITCHER_TAGS; => "
    "tag = cpu->next_tag-- % PVM_SWITCHER_TAGS;":
        "the tags are given out the other way round",
    "libpvm/switcher/vm.c: for (i = 0; i < pages->count; i++) => "
    "for (i = 0; i <= pages->count; i++)":
        "the page of an entry is in the list: its end is not come to",
    "libpvm/switcher/vm.c: for (i = 0; i < pages->count; i++) => "
    "for (i = 1; i < pages->count; i++)":
        "the first page is the list itself, and no entry's",
    "libpvm/switcher/run.c: svcpu->special = vcpu->dr7 & SPECIAL_DEBUG ? "
    "pvm_vcpu_underlying_dr7(vcpu) : 0; => svcpu->special = vcpu->dr7 | SPECIAL_DEBUG ? "
    "pvm_vcpu_underlying_dr7(vcpu) : 0;":
        "a DR7 with nothing armed is not loaded: enter() and debug.c ask for the bits again",
    "libpvm/switcher/area.h: uint64_t host_dr7, host_dr[4]; => uint64_t host_dr7, host_dr[5];":
        "one more word that is not used",
    "libpvm/switcher/vm.c: for (offset = 0; offset < size; offset += PVM_PAGE_SIZE) { => "
    "for (offset = 1; offset < size; offset += PVM_PAGE_SIZE) {":
        "as many pages, and the 1 in each entry is P, which is set anyway",
    "libpvm/switcher/vm.c: return PVM_PTE_W | PVM_PTE_D | "
    "(switcher->config.features.nx ? PVM_PTE_NX : 0); => return PVM_PTE_W | PVM_PTE_D | "
    "(switcher->config.features.nx ? PVM_PTE_NX : 1);":
        "bit 0 is P, which is set anyway",
    "libpvm/switcher/vm.c: (uint64_t)(pvm_switcher_text_end - pvm_switcher_text_start), 0); => "
    "(uint64_t)(pvm_switcher_text_end - pvm_switcher_text_start), 1);":
        "bit 0 is P, which is set anyway",
    "libpvm/mmu/radix.c: for (height = radix->height; height > 1; height--) { => "
    "for (height = radix->height; height > 0; height--) {":
        "a slot looked at as a page: whatever it holds, 0 pages are missing",
    "libpvm/mmu/sync.c: if (role.level != 1 || role.direct || (role.us && !role.user_root)) => "
    "if (role.level != 1 || role.direct || (role.us || !role.user_root))":
        "the long way finds the same",
    "libpvm/mmu/sync.c: return !((~guest & set) | (guest & rule->clear) | "
    "((guest ^ entry) & rule->same) | => return !((~guest & set) | (guest | rule->clear) | "
    "((guest ^ entry) & rule->same) |":
        "the long way finds the same",
    "libpvm/switcher/detect.c: uint32_t regs[4]; => uint32_t regs[5];":
        "one more word that is not used",
    "libpvm/switcher/run.c: cpu->runs++; => cpu->runs--;":
        "compared with an older one for being another",
    "libpvm/mmu/host.c: *count = FRAMES_MAX - gfn.v; => *count = FRAMES_MAX + gfn.v;":
        "nothing is known of frames past the last, and the end of the range does not wrap",
    "libpvm/switcher/cpu.c: hw_wrmsr(MSR_U_CET, 0); => ;":
        "no emulator that the tests run on has CR4.CET",
    "libpvm/mmu/track.c: if (page->synced >= d->since || (d->upper && page->role.level == 1)) => "
    "if (page->synced > d->since || (d->upper && page->role.level == 1))":
        "what was compared at that very time is compared once more: work, no difference",
    "libpvm/hypercall/insn_register.c: if (xcr0 & ~((uint64_t)out[3] << 32 | out[0])) => "
    "if (xcr0 & ~((uint64_t)out[3] >> 32 | out[0]))":
        "the guest's CPUID has no state component past 31: EDX is 0",
    "libpvm/vcpu/cpuid.c: uint32_t out[4]; => uint32_t out[5];":
        "one more word that is not used",
    "libpvm/switcher/cpu.c: cpu->extras = (features->pke ? EXTRA_PKE : 0) | (features->mitigations ? "
    "EXTRA_MITIGATE : 0); => cpu->extras = (features->pke ? EXTRA_PKE : 0) | (features->mitigations ? "
    "EXTRA_MITIGATE : 1);":
        "the longer way of a world switch is taken, which looks at each feature by itself",
    "libpvm/mmu/page.c: uint32_t looked, gone = 0, limit = 2 * EVICT_LOOKS + 2 * mmu->vcpus + MAX_LEVELS; "
    "=> uint32_t looked, gone = 0, limit = 2 * EVICT_LOOKS + 3 * mmu->vcpus + MAX_LEVELS;":
        "a bound, and as good a one",
    "libpvm/mmu/walk.c: uint64_t every = ~0ull, some = 0;\t/* the entries, by AND and by OR */ => "
    "uint64_t every = ~0ull, some = 1;\t/* the entries, by AND and by OR */":
        "of the OR only NX is looked at",
    "libpvm/mmu/track.c: if (page->synced >= d->since || (d->upper && page->role.level == 1)) => "
    "if (page->synced >= d->since && (d->upper && page->role.level == 1))":
        "more is compared than must be: work, no difference",
    "libpvm/mmu/host.c: if (gfn.v >= FRAMES_MAX) => if (gfn.v > FRAMES_MAX)":
        "for the one after the last the count becomes 0, which is nothing, too",
    "libpvm/mmu/sync.c: PVM_PTE_NX : 0; => PVM_PTE_NX : 1;":
        "bit 0 is P, which an entry that stays has",
    "libpvm/switcher/run.c: cpu->range_start = ~0ull; => ;":
        "nothing is below the end of an empty range, which is 0",
    "libpvm/vcpu/cpuid.c: if (!mask || subleaf > 31) { => if (!mask || subleaf >= 31) {":
        "no guest has a state component 31: its subleaf is zero either way",
    "libpvm/vcpu/cpuid.c: keep(out, 0, LEAF_88_EBX, 0, 0); => keep(out, 1, LEAF_88_EBX, 0, 0);":
        "EAX is written in the next line",
    "libpvm/mmu/page.c: for (page = role.range > 1 ? pvm_page_first(mmu, gfn) : NULL; "
    "page; page = next) { => for (page = role.range >= 1 ? pvm_page_first(mmu, gfn) : "
    "NULL; page; page = next) {":
        "roots of the widest range are all of generation 0: looked at, and left alone",
    "libpvm/events/interrupt.c: return pvm_event_deliver(vcpu, vector, 0); => "
    "return pvm_event_deliver(vcpu, vector, 1);":
        "an interrupt's vector has no error code: the argument is not looked at",
    "libpvm/mmu/walk.c: walk->level = walk->read_only = 0; => "
    "walk->level = walk->read_only = 1;":
        "no entry has level 0, and the level of a walk that read no entry is not used",
    "libpvm/vcpu/debug.c: if (number < DR_COUNT) { => if (number <= DR_COUNT) {":
        "DR4 is DR6 or no register at all: 4 does not come here",
}
