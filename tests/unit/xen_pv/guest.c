/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A Xen PV guest for unit tests, as guest.h says. */
#include "guest.h"

#include <string.h>

struct xen_guest g;

static void host_clock(void *host, struct pvm_clock *clock)
{
	(void)host;
	*clock = (struct pvm_clock){ .tsc = 2 * g.now, .ns = g.now, .wall_ns = 1700000000000000000ull + g.now,
				     .mul = 0x80000000, .shift = 0, .stable = true };
}

static void host_set_timer(void *host, struct pvm_vcpu *vcpu, uint64_t ns)
{
	(void)host;
	(void)vcpu;
	g.deadline = ns;
}

static void host_kick(void *host, struct pvm_vcpu *vcpu)
{
	(void)host;
	g.kicks[vcpu->id]++;
}

static void host_notify(void *host, uint32_t port, uint32_t remote)
{
	(void)host;
	g.notified_port = port;
	g.notified_remote = remote;
	g.notified++;
	if (g.on_notify)
		g.on_notify();
}

struct pvm_vm_config xen_guest_config(unsigned vcpus)
{
	struct pvm_vm_config config = fixture_config();

	config.abi = PVM_ABI_XEN_PV;
	config.host_ldt = true;
	config.range = (struct pvm_linear_range){ 272, 512, 0x1ff, 0x1ff };
	config.xen = (struct pvm_xen_config){
		.vcpus = vcpus,
		.pages = PAGES,
		.shared_info = { SHARED_GFN },
		.grants = { GRANTS_GFN },
		.grant_frames = 4,
	};
	return config;
}

void *xen_at(uint64_t gva)
{
	return g.f.host.memory + (gva - KERNEL);
}

uint64_t xen_word(uint64_t gva)
{
	return *(uint64_t *)xen_at(gva);
}

struct pvm_xen_shared_info *xen_shared(void)
{
	return (void *)(g.f.host.memory + SHARED_GFN * PVM_PAGE_SIZE);
}

struct pvm_xen_vcpu_info *xen_vcpu_info(unsigned id)
{
	return g.f.vcpu[id].pvcs;
}

static void map_all(void)
{
	uint64_t at;

	g.kernel_table = fixture_new_table(&g.f);
	g.user_table = fixture_new_table(&g.f);
	for (at = 0; at < KERNEL_SIZE; at += PVM_PAGE_SIZE)
		fixture_map(&g.f, g.kernel_table, 4, KERNEL + at, at, 1,
			    PVM_PTE_P | PVM_PTE_W | PVM_PTE_A | PVM_PTE_D);
	fixture_map(&g.f, g.kernel_table, 4, USER, USER_GPA, 1, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
	fixture_map(&g.f, g.user_table, 4, USER, USER_GPA, 1, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
}

static void register_callback(uint16_t type, uint64_t address)
{
	struct pvm_xen_callback_register reg = { .type = type, .flags = PVM_XEN_CALLBACKF_MASK_EVENTS,
						 .address = address };

	memcpy(xen_at(ARGUMENTS), &reg, sizeof(reg));
	cr_assert_eq(xen_call(PVM_XEN_CALLBACK_OP, PVM_XEN_CALLBACKOP_REGISTER, ARGUMENTS, 0, 0), 0);
}

static void register_traps(void)
{
	struct pvm_xen_trap_info *traps = xen_at(ARGUMENTS);
	unsigned i;

	for (i = 0; i < 32; i++)
		traps[i] = (struct pvm_xen_trap_info){ .vector = (uint8_t)i, .address = TRAP(i),
			.flags = PVM_XEN_TRAP_MASKS | (i == PVM_VEC_BP || i == PVM_VEC_OF ? 3 : 0) };
	traps[i++] = (struct pvm_xen_trap_info){ .vector = 0x80, .address = TRAP(0x80), .flags = 3 };
	traps[i] = (struct pvm_xen_trap_info){ .address = 0 };
	cr_assert_eq(xen_call(PVM_XEN_SET_TRAP_TABLE, ARGUMENTS, 0, 0, 0), 0);
}

void xen_guest_init(unsigned vcpus)
{
	struct pvm_vm_config config = xen_guest_config(vcpus);

	xen_guest_init_config(&config);
}

void xen_guest_init_config(const struct pvm_vm_config *config)
{
	unsigned vcpus = config->xen.vcpus;
	struct pvm_vcpu *vcpu = &g.f.vcpu[0];
	unsigned i;

	memset(&g, 0, sizeof(g));
	test_host_init(&g.f.host, MEMORY, NULL);
	g.f.host.ops.clock = host_clock;
	g.f.host.ops.set_timer = host_set_timer;
	g.f.host.ops.kick = host_kick;
	g.f.host.ops.notify = host_notify;
	g.now = 1000;
	g.deadline = PVM_NO_DEADLINE;
	g.f.next_table = MEMORY / 2;
	g.f.vcpus = vcpus;
	cr_assert_eq(pvm_vm_init(&g.f.vm, config, &g.f.host.ops, &g.f.host), PVM_OK);
	for (i = 0; i < vcpus; i++)
		cr_assert_eq(pvm_vcpu_init(&g.f.vcpu[i], &g.f.vm, i), PVM_OK);
	map_all();
	cr_assert_eq(pvm_cr_write(vcpu, 3, g.kernel_table), PVM_OK);
	vcpu->rip = KERNEL;
	vcpu->gpr[PVM_RSP] = OTHER_STACK;
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	register_callback(PVM_XEN_CALLBACK_EVENT, EVENT_CALLBACK);
	register_callback(PVM_XEN_CALLBACK_FAILSAFE, FAILSAFE);
	register_callback(PVM_XEN_CALLBACK_SYSCALL, SYSCALL_ENTRY);
	register_traps();
	cr_assert_eq(xen_call(PVM_XEN_STACK_SWITCH, USER_DS, KERNEL_STACK, 0, 0), 0);
	*(struct pvm_xen_mmuext_op *)xen_at(ARGUMENTS) = (struct pvm_xen_mmuext_op){
		.cmd = PVM_XEN_NEW_USER_BASEPTR, .arg1 = g.user_table >> PVM_PAGE_SHIFT };
	cr_assert_eq(xen_call(PVM_XEN_MMUEXT_OP, ARGUMENTS, 1, 0, PVM_XEN_DOMID_SELF), 0);
	/* What its first entry told is dealt with. */
	xen_vcpu_info(0)->pending = 0;
	xen_vcpu_info(0)->pending_sel = 0;
}

void xen_guest_fini(void)
{
	const char *wrong = pvm_mmu_check(&g.f.vm);

	cr_assert_null(wrong, "%s", wrong);
	fixture_fini(&g.f);
}

enum pvm_action xen_exit(unsigned id, enum pvm_exit_kind kind, uint8_t vector, uint32_t error_code,
			 uint64_t gva)
{
	struct pvm_guest_exit stop = { .kind = kind, .vector = vector, .error_code = error_code,
				       .gva = { gva } };
	pvm_hpa_t root;

	return pvm_handle_exit(&g.f.vcpu[id], &stop, &root, g.brief ? PVM_NO_SLEEP : PVM_MAY_SLEEP);
}

enum pvm_action xen_enter(unsigned id)
{
	return xen_exit(id, PVM_EXIT_KICK, 0, 0, 0);
}

enum pvm_action xen_syscall(unsigned id)
{
	struct pvm_vcpu *vcpu = &g.f.vcpu[id];

	vcpu->rip += PVM_SYSCALL_LENGTH;
	vcpu->gpr[PVM_RCX] = vcpu->rip;
	vcpu->gpr[PVM_R11] = vcpu->rflags;
	return xen_exit(id, PVM_EXIT_SYSCALL, 0, 0, 0);
}

enum pvm_action xen_call_of(unsigned id, uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct pvm_vcpu *vcpu = &g.f.vcpu[id];

	vcpu->gpr[PVM_RAX] = nr;
	vcpu->gpr[PVM_RDI] = a;
	vcpu->gpr[PVM_RSI] = b;
	vcpu->gpr[PVM_RDX] = c;
	vcpu->gpr[PVM_R10] = d;
	return xen_syscall(id);
}

int64_t xen_call(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct pvm_vcpu *vcpu = &g.f.vcpu[0];
	uint64_t rip = vcpu->rip;

	cr_assert_eq(xen_call_of(0, nr, a, b, c, d), PVM_ACT_RESUME, "hypercall %lu", nr);
	while (vcpu->rip == rip)
		cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	return (int64_t)vcpu->gpr[PVM_RAX];
}

void xen_go_user(bool events)
{
	struct pvm_vcpu *vcpu = &g.f.vcpu[0];
	const uint64_t frame[9] = { 1, 2, 3, 0, USER, USER_CS, events ? PVM_RFLAGS_IF : 0,
				    USER + 0x800, USER_DS };

	memcpy(xen_at(OTHER_STACK - 0x100), frame, sizeof(frame));
	vcpu->gpr[PVM_RSP] = OTHER_STACK - 0x100;
	vcpu->gpr[PVM_RAX] = PVM_XEN_IRET;
	cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
}
