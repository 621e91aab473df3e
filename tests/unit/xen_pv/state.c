/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A guest that goes on in another VM, by what the snapshot interface gives, and states that no guest has. */
#include <pvm/state.h>
#include <pvm/xen_state.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "abi/xen_pv/xen_pv.h"
#include "guest.h"

#define VCPUS		3
#define CONTEXT		(KERNEL + 0x70000)
#define TIME_AREA	(KERNEL + 0x95000)
#define TABLE_WORDS	(MEMORY / PVM_PAGE_SIZE / 64)

struct paper {
	struct pvm_vcpu_state vcpu[VCPUS];
	struct pvm_xen_vcpu_state xen[VCPUS];
	struct pvm_xen_vm_state vm;
	uint64_t tables[TABLE_WORDS];
};

static struct pvm_vcpu *const vcpu = &g.f.vcpu[0];
static struct paper paper;
static const char *field;

static void setup(void)
{
	xen_guest_init(VCPUS);
}

TestSuite(state, .init = setup, .fini = xen_guest_fini);

static int64_t op(uint64_t what, uint64_t id, uint64_t arg)
{
	return xen_call(PVM_XEN_VCPU_OP, what, id, arg, 0);
}

static void save(void)
{
	unsigned i;

	for (i = 0; i < VCPUS; i++) {
		pvm_vcpu_save(&g.f.vcpu[i], &paper.vcpu[i]);
		pvm_xen_vcpu_save(&g.f.vcpu[i], &paper.xen[i]);
	}
	pvm_xen_vm_save(&g.f.vm, &paper.vm);
	pvm_xen_tables_save(vcpu, pvm_gfn(0), paper.tables, TABLE_WORDS);
}

/* Another VM, with the memory of this one. */
static void make_new(void)
{
	struct pvm_vm_config config = xen_guest_config(VCPUS);
	unsigned i;

	for (i = 0; i < VCPUS; i++)
		pvm_vcpu_destroy(&g.f.vcpu[i]);
	pvm_vm_destroy(&g.f.vm);
	g.deadline = PVM_NO_DEADLINE;
	memset(g.kicks, 0, sizeof(g.kicks));
	cr_assert_eq(pvm_vm_init(&g.f.vm, &config, &g.f.host.ops, &g.f.host), PVM_OK);
	for (i = 0; i < VCPUS; i++)
		cr_assert_eq(pvm_vcpu_init(&g.f.vcpu[i], &g.f.vm, i), PVM_OK);
}

static void restore(void)
{
	unsigned i;

	for (i = 0; i < VCPUS; i++) {
		paper.vcpu[i].vcpu_struct = 0;
		paper.vcpu[i].halted = 0;
		cr_assert_eq(pvm_vcpu_restore(&g.f.vcpu[i], &paper.vcpu[i], &field), PVM_OK, "%s", field);
	}
	g.now = paper.vm.now;
	cr_assert_eq(pvm_xen_vm_restore(&g.f.vm, &paper.vm, &field), PVM_OK, "%s", field);
	for (i = 0; i < VCPUS; i++)
		cr_assert_eq(pvm_xen_vcpu_restore(&g.f.vcpu[i], &paper.xen[i], &field), PVM_OK, "%s", field);
	cr_assert_eq(pvm_xen_tables_restore(vcpu, pvm_gfn(0), paper.tables, TABLE_WORDS), PVM_OK);
}

static void move(void)
{
	save();
	make_new();
	restore();
}

/* A virtual interrupt of vCPU @id: its port. */
static uint32_t bind_virq(uint32_t virq, uint32_t id)
{
	uint32_t *request = xen_at(ARGUMENTS);

	request[0] = virq;
	request[1] = id;
	cr_assert_eq(xen_call(PVM_XEN_EVENT_CHANNEL_OP, PVM_XEN_EVTCHNOP_BIND_VIRQ, ARGUMENTS, 0, 0), 0);
	return request[2];
}

static bool is_pending(uint32_t port)
{
	return xen_shared()->pending[port / 64] >> port % 64 & 1;
}

static void start_second(void)
{
	uint8_t *context = xen_at(CONTEXT);

	memset(context, 0, PVM_XEN_CONTEXT_SIZE);
	*(uint64_t *)(context + PVM_XEN_CONTEXT_FLAGS) = 4;
	*(uint64_t *)(context + PVM_XEN_CONTEXT_REGS) = 15;	/* r15 */
	*(uint64_t *)(context + PVM_XEN_CONTEXT_RIP) = KERNEL + 0x80;
	*(uint64_t *)(context + PVM_XEN_CONTEXT_CR3) = g.kernel_table;
	*(uint64_t *)(context + PVM_XEN_CONTEXT_EVENT) = EVENT_CALLBACK;
	cr_assert_eq(op(PVM_XEN_VCPUOP_INITIALISE, 1, CONTEXT), 0);
	cr_assert_eq(op(PVM_XEN_VCPUOP_UP, 1, 0), 0);
}

/* spec: XC-098 */
Test(state, a_program_goes_on_and_its_kernel_is_reached)
{
	xen_go_user(true);
	vcpu->gpr[PVM_RBX] = 0x5555;
	move();
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	/* It is told to look at everything: what came between is not lost. */
	cr_expect_eq(vcpu->rip, EVENT_CALLBACK);
	cr_expect_not(vcpu->user_mode);
	cr_expect_eq(vcpu->gpr[PVM_RBX], 0x5555);
	cr_expect_eq(vcpu->cr3, g.kernel_table);
	cr_expect_eq(vcpu->msr.switch_cr3, g.user_table);
	cr_expect_eq(vcpu->gpr[PVM_RSP] & ~0xfffull, KERNEL_STACK - 0x1000);
	cr_assert_eq(xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_GP, 0, 0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(13));
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
}

/* spec: XC-098 */
Test(state, a_mask_stays)
{
	xen_vcpu_info(0)->mask = 1;
	xen_vcpu_info(0)->cr2 = 0x1234;
	move();
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip & ~0xffull, KERNEL, "no upcall");
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
	cr_expect_eq(xen_vcpu_info(0)->cr2, 0x1234);
	cr_expect_eq(xen_vcpu_info(0)->pending, 1);
}

/* spec: XC-098 */
Test(state, a_vcpu_info_that_was_registered)
{
	struct {
		uint64_t frame;
		uint32_t offset, pad;
	} place = { 0x90, 0x40, 0 };

	memcpy(xen_at(ARGUMENTS), &place, sizeof(place));
	cr_assert_eq(op(PVM_XEN_VCPUOP_REGISTER_VCPU_INFO, 0, ARGUMENTS), 0);
	xen_vcpu_info(0)->mask = 0;
	xen_vcpu_info(0)->cr2 = 0x77;
	move();
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq((uint8_t *)xen_vcpu_info(0), g.f.host.memory + 0x90040);
	cr_expect_eq(xen_vcpu_info(0)->cr2, 0x77);
	cr_expect_eq(vcpu->rip, EVENT_CALLBACK);
}

/* It was registered, and the vCPU has not moved there: what it was told is at the old place. */
Test(state, a_vcpu_info_on_its_way)
{
	save();
	paper.xen[0].info = 0x90040;
	paper.xen[0].info_now = SHARED_GFN * PVM_PAGE_SIZE;
	xen_vcpu_info(0)->mask = 0;
	xen_vcpu_info(0)->cr2 = 0x99;
	make_new();
	restore();
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq((uint8_t *)xen_vcpu_info(0), g.f.host.memory + 0x90040);
	cr_expect_eq(xen_vcpu_info(0)->cr2, 0x99);
}

static unsigned naps;

static void teller_leaves(void *host)
{
	(void)host;
	naps++;
	xen_vcpu(vcpu)->tellers = 0;
}

static void (*true_unpin)(void *host, pvm_gfn_t gfn, void *va);
static unsigned let_go;

static void unpin_what_no_teller_has(void *host, pvm_gfn_t gfn, void *va)
{
	uintptr_t info = (uintptr_t)xen_vcpu(vcpu)->info;

	cr_expect_neq(info & ~(uintptr_t)(PVM_PAGE_SIZE - 1), (uintptr_t)va);
	let_go++;
	true_unpin(host, gfn, va);
}

/* A vcpu_info on its way from a page of its own, which only its pin holds. */
static void restore_on_its_way(void)
{
	save();
	paper.xen[0].info = 0x90040;
	paper.xen[0].info_now = 0x91040;
	make_new();
	restore();
	true_unpin = g.f.host.ops.unpin;
	g.f.host.ops.unpin = unpin_what_no_teller_has;
}

Test(state, S8_a_vcpu_infos_page_is_let_go_when_no_teller_is_in_it)
{
	restore_on_its_way();
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	g.f.host.ops.unpin = true_unpin;
	cr_expect_eq(let_go, 1);
	cr_expect_eq((uint8_t *)xen_vcpu(vcpu)->info, g.f.host.memory + 0x90040);
}

Test(state, M12_nothing_brief_waits_for_a_teller)
{
	restore_on_its_way();
	g.brief = true;
	xen_vcpu(vcpu)->tellers = 1;
	cr_assert_eq(xen_enter(0), PVM_ACT_RETRY);
	cr_expect_eq((uint8_t *)xen_vcpu(vcpu)->info, g.f.host.memory + 0x91040, "there it can be told");
	xen_vcpu(vcpu)->tellers = 0;
	g.brief = false;
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	g.f.host.ops.unpin = true_unpin;
	cr_expect_eq((uint8_t *)xen_vcpu(vcpu)->info, g.f.host.memory + 0x90040);
}

Test(state, S8_a_reset_lets_the_page_go_when_no_teller_is_in_it)
{
	save();
	paper.xen[0].info = paper.xen[0].info_now = 0x90040;
	make_new();
	restore();
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	g.f.host.ops.nap = teller_leaves;
	xen_vcpu(vcpu)->tellers = 1;
	pvm_vcpu_reset(vcpu);
	cr_expect_eq(naps, 1);
	xen_vcpu(vcpu)->tellers = 1;
	g.f.vm.abi->vcpu_reset(vcpu);
	cr_expect_eq(xen_vcpu(vcpu)->tellers, 1, "one that has come since is still counted");
}

/* spec: XC-055, XC-099 */
Test(state, ports_and_timers)
{
	uint32_t timer = bind_virq(PVM_XEN_VIRQ_TIMER, 0);
	uint32_t host = (uint32_t)pvm_xen_alloc_port(&g.f.vm, 7, 0);
	uint32_t *send = xen_at(ARGUMENTS);

	cr_assert_eq(xen_call(PVM_XEN_SET_TIMER_OP, 9000, 0, 0, 0), 0);
	cr_assert_eq(xen_call_of(0, PVM_XEN_SCHED_OP, PVM_XEN_SCHEDOP_BLOCK, 0, 0, 0), PVM_ACT_HALT);
	move();
	cr_expect_eq(g.deadline, PVM_NO_DEADLINE);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME, "it looks whether something came meanwhile");
	cr_expect_eq(g.deadline, 9000);
	g.now = 9001;
	pvm_xen_timer(vcpu);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect(is_pending(timer));
	/* The other end has to be bound again. */
	cr_expect_eq(pvm_xen_notify(&g.f.vm, host), PVM_EINVAL);
	cr_assert_eq(pvm_xen_bind_port(&g.f.vm, host, 8), PVM_OK);
	cr_assert_eq(pvm_xen_notify(&g.f.vm, host), PVM_OK);
	cr_expect(is_pending(host));
	send[0] = host;
	cr_assert_eq(xen_call(PVM_XEN_EVENT_CHANNEL_OP, PVM_XEN_EVTCHNOP_SEND, ARGUMENTS, 0, 0), 0);
	cr_expect_eq(g.notified_remote, 8);
	cr_expect_neq(bind_virq(PVM_XEN_VIRQ_TIMER, 1), timer, "that one is taken");
}

/* spec: XC-099 */
Test(state, one_that_polls_goes_on_polling)
{
	struct pvm_xen_poll *poll = xen_at(ARGUMENTS);
	uint32_t port = (uint32_t)pvm_xen_alloc_port(&g.f.vm, 1, 0), *ports = xen_at(ARGUMENTS + 0x100);

	ports[0] = port;
	*poll = (struct pvm_xen_poll){ .ports = ARGUMENTS + 0x100, .count = 1, .timeout = 5000 };
	xen_vcpu_info(0)->mask = 1;
	cr_assert_eq(xen_call_of(0, PVM_XEN_SCHED_OP, PVM_XEN_SCHEDOP_POLL, ARGUMENTS, 0, 0), PVM_ACT_HALT);
	move();
	cr_assert_eq(pvm_xen_bind_port(&g.f.vm, port, 1), PVM_OK);
	cr_assert_eq(xen_enter(0), PVM_ACT_HALT);
	cr_expect_eq(g.deadline, 5000);
	cr_assert_eq(xen_enter(0), PVM_ACT_HALT);
	cr_assert_eq(pvm_xen_notify(&g.f.vm, port), PVM_OK);
	cr_expect_eq(g.kicks[0], 1);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
}

/* spec: XC-100 */
Test(state, one_that_is_to_start_starts)
{
	start_second();
	move();
	cr_assert_eq(xen_enter(1), PVM_ACT_RESUME);
	cr_expect_eq(g.f.vcpu[1].rip, KERNEL + 0x80);
	cr_expect_eq(g.f.vcpu[1].gpr[PVM_R15], 15);
	cr_expect_eq(xen_vcpu_info(1)->mask, 1);
	cr_expect_eq(xen_enter(2), PVM_ACT_HALT);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(op(PVM_XEN_VCPUOP_IS_UP, 1, 0), 1);
	cr_expect_eq(op(PVM_XEN_VCPUOP_IS_UP, 2, 0), 0);
}

/* spec: XC-100 */
Test(state, one_that_is_down_comes_up_where_it_was)
{
	start_second();
	cr_assert_eq(xen_enter(1), PVM_ACT_RESUME);
	cr_assert_eq(xen_call_of(1, PVM_XEN_VCPU_OP, PVM_XEN_VCPUOP_DOWN, 1, 0, 0), PVM_ACT_HALT);
	xen_vcpu_info(1)->mask = 1;
	move();
	cr_assert_eq(xen_enter(1), PVM_ACT_HALT);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_assert_eq(op(PVM_XEN_VCPUOP_UP, 1, 0), 0);
	cr_assert_eq(xen_enter(1), PVM_ACT_RESUME);
	cr_expect_eq(g.f.vcpu[1].rip, KERNEL + 0x80 + PVM_SYSCALL_LENGTH);
}

/* spec: XC-101 */
Test(state, clocks_go_on_from_where_they_were)
{
	const struct pvm_xen_time_info *area = xen_at(TIME_AREA);

	g.now = 70000;
	move();
	cr_expect_eq(g.now, 70000);
	g.now += 5;
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(xen_vcpu_info(0)->time.system_time, 70005);
	cr_expect_eq(area->version, 0, "none is registered");
}

/* A program may look at the clock of a vCPU that sleeps: it is right before any vCPU goes on. */
/* spec: XC-101 */
Test(state, clocks_for_programs_are_written_first)
{
	struct pvm_xen_time_info *area = xen_at(TIME_AREA);
	uint32_t version;

	start_second();
	cr_assert_eq(xen_enter(1), PVM_ACT_RESUME);
	*(uint64_t *)xen_at(ARGUMENTS) = TIME_AREA;
	cr_assert_eq(xen_call_of(1, PVM_XEN_VCPU_OP, PVM_XEN_VCPUOP_REGISTER_TIME, 1, ARGUMENTS, 0),
		     PVM_ACT_RESUME);
	version = area->version;
	cr_assert_eq(area->system_time, 1000);
	xen_go_user(false);
	g.now = 3000;
	move();
	g.now = 4000;
	g.brief = true;
	cr_assert_eq(xen_enter(0), PVM_ACT_RETRY, "M12: not with interrupts off");
	cr_expect_eq(area->version, version);
	g.brief = false;
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(area->system_time, 4000);
	cr_expect_eq(area->tsc_timestamp, 8000);
	cr_expect_neq(area->version, version);
	cr_expect_eq(area->version & 1, 0);
	/* Its vCPU writes it once more: what others have read in part is of another version. */
	version = area->version;
	g.now = 5000;
	cr_assert_eq(xen_enter(1), PVM_ACT_RESUME);
	cr_expect_eq(area->system_time, 5000);
	cr_expect_neq(area->version, version);
	cr_expect_eq(area->version & 1, 0);
}

/* spec: XC-109 */
Test(state, the_numbers_of_getcpu_go_along)
{
	uint64_t *gdt = xen_at(KERNEL + 0xa0000), number;

	gdt[15] = 0x0040f50000003001ull;
	*(uint64_t *)xen_at(ARGUMENTS) = 0xa0;
	cr_assert_eq(xen_call(PVM_XEN_SET_GDT, ARGUMENTS, 16, 0, 0), 0);
	number = vcpu->cpunode;
	move();
	cr_assert_neq(vcpu->cpunode, number);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->cpunode, number);
}

/* Also of a vCPU whose program runs, and again at the next change of the clock. */
/* spec: XC-054 */
Test(state, a_clock_for_programs_of_one_in_user_mode)
{
	const struct pvm_xen_time_info *area = xen_at(TIME_AREA);

	*(uint64_t *)xen_at(ARGUMENTS) = TIME_AREA;
	cr_assert_eq(op(PVM_XEN_VCPUOP_REGISTER_TIME, 0, ARGUMENTS), 0);
	xen_go_user(false);
	move();
	g.now = 2000;
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(area->system_time, 2000);
	g.now = 3000;
	pvm_xen_clock_changed(&g.f.vm);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(area->system_time, 3000);
}

Test(state, memory_of_a_clock_that_is_gone_holds_nothing_up)
{
	save();
	paper.xen[1].time_area_gpa = MEMORY + 0x1000;
	make_new();
	restore();
	cr_expect_eq(xen_enter(0), PVM_ACT_RESUME);
}

/* Where the host has let another vCPU run, which is just writing this one's context. */
Test(state, S1_a_context_that_another_vcpu_writes_is_not_restored)
{
	struct xen_vcpu *xen;

	save();
	make_new();
	xen = xen_vcpu(&g.f.vcpu[1]);
	xen->life = XEN_BUSY;
	xen->start.rip = 1ull << 63;
	paper.xen[1].life = XEN_STARTING;
	paper.xen[1].start = (struct pvm_xen_start_state){ .rip = KERNEL, .cr3 = g.kernel_table };
	cr_expect_eq(pvm_xen_vcpu_restore(&g.f.vcpu[1], &paper.xen[1], &field), PVM_EBUSY);
	cr_expect_str_eq(field, "life");
	cr_expect_eq(xen->life, XEN_BUSY);
	cr_expect_eq(xen->start.rip, 1ull << 63);
	xen->life = XEN_FRESH;
	cr_assert_eq(pvm_xen_vcpu_restore(&g.f.vcpu[1], &paper.xen[1], &field), PVM_OK, "%s", field);
	cr_expect_eq(xen->life, XEN_STARTING);
	cr_expect_eq(xen->start.rip, KERNEL);
}

Test(state, saved_before_it_has_run)
{
	xen_go_user(true);
	move();
	move();
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, EVENT_CALLBACK);
	cr_expect_eq(vcpu->msr.switch_cr3, g.user_table);
}

/* spec: XC-102 */
Test(state, pinned_tables_stay_pinned)
{
	uint64_t at = fixture_new_table(&g.f);
	struct pvm_xen_mmuext_op *request = xen_at(ARGUMENTS);

	*request = (struct pvm_xen_mmuext_op){ .cmd = PVM_XEN_PIN_L1_TABLE, .arg1 = at >> PVM_PAGE_SHIFT };
	cr_assert_eq(xen_call(PVM_XEN_MMUEXT_OP, ARGUMENTS, 1, 0, PVM_XEN_DOMID_SELF), 0);
	save();
	cr_expect_eq(paper.tables[at / PVM_PAGE_SIZE / 64], 1ull << at / PVM_PAGE_SIZE % 64);
	memset(paper.tables, 0, sizeof(paper.tables));
	make_new();
	cr_assert_eq(pvm_xen_tables_restore(vcpu, pvm_gfn(0), paper.tables, TABLE_WORDS), PVM_OK);
	pvm_xen_tables_save(vcpu, pvm_gfn(0), paper.tables, TABLE_WORDS);
	cr_expect_eq(paper.tables[at / PVM_PAGE_SIZE / 64], 0);
	paper.tables[at / PVM_PAGE_SIZE / 64] = 1ull << at / PVM_PAGE_SIZE % 64;
	cr_assert_eq(pvm_xen_tables_restore(vcpu, pvm_gfn(0), paper.tables, TABLE_WORDS), PVM_OK);
	memset(paper.tables, 0, sizeof(paper.tables));
	pvm_xen_tables_save(vcpu, pvm_gfn(0), paper.tables, TABLE_WORDS);
	cr_expect_eq(paper.tables[at / PVM_PAGE_SIZE / 64], 1ull << at / PVM_PAGE_SIZE % 64);
	cr_expect_eq(pvm_xen_tables_restore(vcpu, pvm_gfn(MEMORY / PVM_PAGE_SIZE), &(uint64_t){ 1 }, 1),
		     PVM_EFAULT, "no memory");
	cr_expect_eq(pvm_xen_tables_restore(vcpu, pvm_gfn(1ull << 60), &(uint64_t){ 1 }, 1), PVM_EINVAL);
}

/* In a program that runs on it: the table is the kernel's, and is copied at the first entry. */
/* spec: XC-102 */
Test(state, an_ldt_goes_along)
{
	uint64_t *table = xen_at(KERNEL + 0x50000);

	table[0] = 0x00cffb000000ffff;
	table[1] = 0x00cff3000000ffff;
	table[2] = 0x0000ec0000100000;		/* a gate */
	*(struct pvm_xen_mmuext_op *)xen_at(ARGUMENTS) = (struct pvm_xen_mmuext_op){
		.cmd = PVM_XEN_SET_LDT, .arg1 = KERNEL + 0x50000, .arg2 = 3 };
	cr_assert_eq(xen_call(PVM_XEN_MMUEXT_OP, ARGUMENTS, 1, 0, PVM_XEN_DOMID_SELF), 0);
	xen_go_user(false);
	vcpu->seg[PVM_CS] = 0x07;
	vcpu->seg[PVM_SS] = vcpu->seg[PVM_FS] = 0x0f;
	move();
	cr_expect_null(vcpu->ldt);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(pvm_vcpu_underlying_cs(vcpu), 0x07);
	cr_expect_eq(pvm_vcpu_underlying_ss(vcpu), 0x0f);
	cr_expect_eq(vcpu->seg[PVM_FS], 0x0f);
	cr_expect(pvm_data_selector_valid(vcpu, 0x0f));
	cr_expect_not(pvm_data_selector_valid(vcpu, 0x17), "S6");
}

Test(state, S1_S4_code_of_an_ldt_is_32_bit_code_of_rpl_3)
{
	xen_go_user(false);
	save();
	make_new();
	paper.vcpu[0].vcpu_struct = 0;
	paper.vcpu[0].seg[PVM_CS] = 0x07;
	paper.vcpu[0].rip = 1ull << 32;
	cr_expect_eq(pvm_vcpu_restore(vcpu, &paper.vcpu[0], &field), PVM_EINVAL);
	cr_expect_str_eq(field, "rip");
	paper.vcpu[0].rip--;
	paper.vcpu[0].seg[PVM_CS] = 0x04;
	cr_expect_eq(pvm_vcpu_restore(vcpu, &paper.vcpu[0], &field), PVM_EINVAL);
	cr_expect_str_eq(field, "seg");
	paper.vcpu[0].seg[PVM_CS] = 0x07;
	cr_expect_eq(pvm_vcpu_restore(vcpu, &paper.vcpu[0], &field), PVM_OK);
	restore();
}

/* ------------------------------------------------------------------------
 * What is refused.
 */

/* spec: XC-103 */
Test(state, one_that_has_run_takes_none)
{
	save();
	cr_expect_eq(pvm_xen_vm_restore(&g.f.vm, &paper.vm, &field), PVM_EBUSY);
	cr_expect_eq(pvm_xen_vcpu_restore(vcpu, &paper.xen[0], &field), PVM_EBUSY);
}

static void refuse_vm(size_t offset, uint64_t value, const char *name)
{
	struct pvm_xen_vm_state bad = paper.vm;

	memcpy((char *)&bad + offset, &value, sizeof(value));
	cr_expect_eq(pvm_xen_vm_restore(&g.f.vm, &bad, &field), PVM_EINVAL, "%s", name);
	cr_expect_str_eq(field, name);
}

#define REFUSE_VM(member, value) refuse_vm(offsetof(struct pvm_xen_vm_state, member), value, #member)

/* spec: XC-103 */
Test(state, bad_states_of_a_vm_are_refused_by_name)
{
	save();
	make_new();
	REFUSE_VM(version, PVM_XEN_STATE_VERSION + 1);
	REFUSE_VM(size, sizeof(paper.vm) - 8);
	REFUSE_VM(now, ~0ull);
	refuse_vm(offsetof(struct pvm_xen_vm_state, port[0]), PVM_XEN_PORT_IPI, "port");
	refuse_vm(offsetof(struct pvm_xen_vm_state, port[5]), PVM_XEN_PORT_PIRQ, "port");
	refuse_vm(offsetof(struct pvm_xen_vm_state, port[5]), PVM_XEN_PORT_IPI + 1, "port");
	refuse_vm(offsetof(struct pvm_xen_vm_state, port[5]),
		  PVM_XEN_PORT_IPI | (uint64_t)VCPUS << PVM_XEN_STATE_VCPU_SHIFT, "port");
	refuse_vm(offsetof(struct pvm_xen_vm_state, port[5]),
		  PVM_XEN_PORT_VIRQ | PVM_XEN_VIRQS << PVM_XEN_STATE_VIRQ_SHIFT, "port");
	refuse_vm(offsetof(struct pvm_xen_vm_state, port[5]), PVM_XEN_PORT_IPI | 1ull << 32, "port");
	cr_expect_eq(pvm_xen_vm_restore(&g.f.vm, &paper.vm, &field), PVM_OK);
}

static void refuse_vcpu(size_t offset, uint64_t value, const char *name)
{
	struct pvm_xen_vcpu_state bad = paper.xen[0];

	memcpy((char *)&bad + offset, &value, sizeof(value));
	cr_expect_eq(pvm_xen_vcpu_restore(vcpu, &bad, &field), PVM_EINVAL, "%s", name);
	cr_expect_str_eq(field, name);
}

#define REFUSE(member, value) refuse_vcpu(offsetof(struct pvm_xen_vcpu_state, member), value, #member)

/* spec: XC-103 */
Test(state, bad_states_of_a_vcpu_are_refused_by_name)
{
	uint32_t timer = bind_virq(PVM_XEN_VIRQ_TIMER, 0);

	save();
	make_new();
	cr_assert_eq(pvm_xen_vm_restore(&g.f.vm, &paper.vm, &field), PVM_OK);
	REFUSE(version, 0);
	REFUSE(size, 0);
	REFUSE(life, 1);
	REFUSE(life, 6);
	REFUSE(wait, 3);
	REFUSE(woken, 2);
	REFUSE(timer_fired, 2);
	REFUSE(poll_count, 129);
	REFUSE(poll_port, 1ull << 32);
	REFUSE(other_cr3, ~0ull);
	REFUSE(gdt_frame, ~0ull);
	REFUSE(gdt_entries, 7169);
	refuse_vcpu(offsetof(struct pvm_xen_vcpu_state, trap_flags[3]), 256, "trap_flags");
	refuse_vcpu(offsetof(struct pvm_xen_vcpu_state, callback_masks[0]), 2, "callback_masks");
	refuse_vcpu(offsetof(struct pvm_xen_vcpu_state, ldt_entries), 8193, "ldt");
	paper.xen[0].ldt_entries = 1;
	REFUSE(ldt, 8);
	g.f.vm.config.host_ldt = false;
	REFUSE(ldt, 0);
	g.f.vm.config.host_ldt = true;
	paper.xen[0].ldt_entries = 0;
	REFUSE(info, 1);
	REFUSE(info, ~0ull << 3);
	REFUSE(info_now, PVM_PAGE_SIZE - 8);
	REFUSE(time_area_gpa, PVM_PAGE_SIZE - 8);
	REFUSE(runstate, 4);
	refuse_vcpu(offsetof(struct pvm_xen_vcpu_state, virq_port[0]), PVM_XEN_PORTS_MAX, "virq_port");
	refuse_vcpu(offsetof(struct pvm_xen_vcpu_state, virq_port[0]), timer + 1, "virq_port");
	refuse_vcpu(offsetof(struct pvm_xen_vcpu_state, virq_port[1]), timer, "virq_port");
	cr_expect_eq(pvm_xen_vcpu_restore(vcpu, &paper.xen[0], &field), PVM_OK);
}

/* spec: XC-103 */
Test(state, starts_that_cannot_be_are_refused_S1)
{
	start_second();
	save();
	make_new();
	cr_assert_eq(pvm_xen_vm_restore(&g.f.vm, &paper.vm, &field), PVM_OK);
	paper.xen[1].start.rip = 1ull << 62;
	cr_expect_eq(pvm_xen_vcpu_restore(&g.f.vcpu[1], &paper.xen[1], &field), PVM_EINVAL);
	cr_expect_str_eq(field, "start");
	cr_expect_eq(xen_enter(1), PVM_ACT_HALT, "it is as it was");
}

/* Whatever is taken, the vCPU runs on or ends, and the shadow tables are right (xen_guest_fini()). */
Test(state, any_state_that_is_taken_is_harmless)
{
	uint64_t random = 1, seed, taken = 0;

	xen_go_user(true);
	save();
	for (seed = 1; seed <= 300; seed++) {
		struct paper mine = paper;
		uint64_t *words = (uint64_t *)&mine.xen[0];
		unsigned i, count = (unsigned)(seed % 4) + 1;

		for (i = 0; i < count; i++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			words[2 + (random >> 33) % (sizeof(mine.xen[0]) / 8 - 2)] =
				random >> (random >> 58);
		}
		make_new();
		mine.vcpu[0].vcpu_struct = 0;
		cr_assert_eq(pvm_vcpu_restore(vcpu, &mine.vcpu[0], &field), PVM_OK);
		cr_assert_eq(pvm_xen_vm_restore(&g.f.vm, &mine.vm, &field), PVM_OK);
		if (pvm_xen_vcpu_restore(vcpu, &mine.xen[0], &field) != PVM_OK)
			continue;
		taken++;
		for (i = 0; i < 4; i++)
			xen_enter(0);
		xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_GP, 0, 0);
		cr_assert_null(pvm_mmu_check(&g.f.vm), "seed %lu", (unsigned long)seed);
	}
	cr_expect_gt(taken, 30);
}
