/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What comes out of pvm_switcher_run(): what exits say of themselves, a system call that a
 * waiting interrupt makes one (S3), and the host's own NMIs and machine checks (S12).
 */
#include <pvm/mmu.h>

#include "minivisor.h"
#include "corners.h"
#include "cpu.h"
#include "print.h"
#include "trap.h"

#define DR6_BS		0x4000ull
#define DR6_NONE	0xffff0ff0ull
#define CR2_BEFORE	0x123456000ull
#define NO_SELECTOR	0xff0		/* beyond the switcher's GDT */

/* S3: an interrupt waits for the guest: its system call is the host's to see, which offers it. */
void waiting_interrupt_is_seen(void)
{
	static const uint8_t user[] = { 0x0f, 0x05 }, supervisor[] = { 0x0f, 0x0b };
	struct pvm_switcher_exit exit;

	write_code(USER_CODE, user, sizeof(user));
	write_code(SUPERVISOR_CODE, supervisor, sizeof(supervisor));
	start_user(USER_CS, USER_CODE);
	run_to_ud2("without an interrupt");
	start_user(USER_CS, USER_CODE);
	((struct pvm_vcpu_struct *)test.vcpu.pvcs)->event_flags |= PVM_EVENT_FLAGS_IP;
	run_once(&exit);
	((struct pvm_vcpu_struct *)test.vcpu.pvcs)->event_flags &= ~PVM_EVENT_FLAGS_IP;
	if (exit.guest.kind != PVM_EXIT_SYSCALL || !test.vcpu.user_mode)
		fail("S3: an interrupt waits: exit %d at rip %lx", exit.guest.kind, test.vcpu.rip);
	print("a waiting interrupt is seen\n");
}

/* What each exit says of itself, and DR6 and CR2 only where they are its own. */
void exits_say_what_they_are(bool serve)
{
	static const struct {
		uint8_t code[2], size, vector;
		enum pvm_exit_kind kind;
		uint32_t error_code;
		uint8_t length;		/* by which RIP goes on */
		bool open;		/* the gate is CPL 3's for once: it stands for an event */
		bool served;		/* not an exit where they are */
	} exits[] = {
		{ { 0x90 }, 1, PVM_VEC_DB, PVM_EXIT_EXCEPTION, 0, 1, false, false },	/* by TF */
		{ { 0x0f, 0x0b }, 2, PVM_VEC_UD, PVM_EXIT_EXCEPTION, 0, 0, false, false },
		{ { 0xf4 }, 1, PVM_VEC_GP, PVM_EXIT_EXCEPTION, 0, 0, false, false },
		{ { 0x8e, 0xd8 }, 2, PVM_VEC_GP, PVM_EXIT_EXCEPTION, NO_SELECTOR, 0, false, false },
		{ { 0x8b, 0x00 }, 2, PVM_VEC_PF, PVM_EXIT_EXCEPTION, PVM_PF_U, 0, false, true },
		{ { 0xcc }, 1, PVM_VEC_BP, PVM_EXIT_SOFTWARE, 0, 1, false, true },
		{ { 0xcd, PVM_VEC_OF }, 2, PVM_VEC_OF, PVM_EXIT_SOFTWARE, 0, 2, false, false },
		{ { 0xcd, PVM_VEC_SYSCALL32 }, 2, PVM_VEC_SYSCALL32, PVM_EXIT_SOFTWARE, 0, 2, false, false },
		{ { 0xcd, 31 }, 2, 31, PVM_EXIT_EXCEPTION, 0, 2, true, false },
		{ { 0xcd, 32 }, 2, 32, PVM_EXIT_INTERRUPT, 0, 2, true, false },
		{ { 0xcd, 255 }, 2, 255, PVM_EXIT_INTERRUPT, 0, 2, true, false },
	};
	struct pvm_switcher_exit exit;
	struct pvm_vcpu *vcpu = &test.vcpu;
	unsigned i;

	test.svcpu.serve = serve;
	for (i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
		uint64_t dr6 = DR6_NONE | (exits[i].vector == PVM_VEC_DB ? DR6_BS : 0);
		uint64_t rip = USER_CODE + (uint64_t)exits[i].length;

		if (serve && exits[i].served)
			continue;
		write_code(USER_CODE, exits[i].code, exits[i].size);
		start_user(USER_CS, USER_CODE);
		vcpu->rflags |= exits[i].vector == PVM_VEC_DB ? PVM_RFLAGS_TF : 0;
		vcpu->gpr[PVM_RAX] = NOWHERE | NO_SELECTOR;
		vcpu->dr6 = DR6_NONE;
		vcpu->cr2 = CR2_BEFORE;
		*gate_type(exits[i].vector) |= exits[i].open ? GATE_DPL_3 : 0;
		run_once(&exit);
		*gate_type(exits[i].vector) &= (uint8_t)~(exits[i].open ? GATE_DPL_3 : 0);
		if (exit.guest.kind != exits[i].kind || exit.guest.vector != exits[i].vector ||
		    exit.guest.error_code != exits[i].error_code || vcpu->rip != rip)
			fail("exit %d, vector %u, error code %x, rip %lx instead of %d, %u, %x, %lx",
			     exit.guest.kind, exit.guest.vector, exit.guest.error_code, vcpu->rip,
			     exits[i].kind, exits[i].vector, exits[i].error_code, rip);
		if (vcpu->dr6 != dr6 || vcpu->cr2 != CR2_BEFORE)
			fail("vector %u: DR6 %lx, CR2 %lx", exits[i].vector, vcpu->dr6, vcpu->cr2);
		if (exits[i].vector == PVM_VEC_PF && exit.guest.gva.v != (NOWHERE | NO_SELECTOR))
			fail("a #PF at %lx", exit.guest.gva.v);
	}
	print("exits say what they are%s\n", serve ? ", and what is not served is one" : "");
}

/* A #PF that the host's hypervisor has made: the guest meets its own again. */
void hosts_faults_are_no_guests(bool serve)
{
	static const uint8_t user[] = { 0x8b, 0x00 };
	struct pvm_switcher_exit exit;

	test.svcpu.serve = serve;
	write_code(USER_CODE, user, sizeof(user));
	start_user(USER_CS, USER_CODE);
	test.vcpu.gpr[PVM_RAX] = NOWHERE;
	run_once(&exit);	/* its page is there from now on */
	start_user(USER_CS, USER_CODE);
	test.vcpu.gpr[PVM_RAX] = NOWHERE;
	test.vcpu.cr2 = CR2_BEFORE;
	test_hosts_fault = NOWHERE;
	run_once(&exit);
	if (exit.guest.kind != PVM_EXIT_KICK || test.vcpu.rip != USER_CODE || !test.vcpu.user_mode ||
	    test.vcpu.cr2 != CR2_BEFORE || test.vcpu.gpr[PVM_RAX] != NOWHERE)
		fail("a fault of the host's: exit %d at rip %lx", exit.guest.kind, test.vcpu.rip);
	test.svcpu.serve = false;
	run_once(&exit);
	if (exit.guest.kind != PVM_EXIT_EXCEPTION || exit.guest.vector != PVM_VEC_PF ||
	    exit.guest.gva.v != NOWHERE)
		fail("after a fault of the host's: exit %d, vector %u", exit.guest.kind, exit.guest.vector);
	test.svcpu.serve = serve;
	print("faults of the host's are none of the guest's%s\n", serve ? ", served or not" : "");
}

static unsigned host_nmis, host_machine_checks;

static void on_nmi(struct trap_frame *frame)
{
	(void)frame;
	host_nmis++;
}

static void on_machine_check(struct trap_frame *frame)
{
	(void)frame;
	host_machine_checks++;
}

/* INT @vector in user mode, through a gate that CPL 3 may use for once, stands for the event. */
static void event_is_the_hosts(uint8_t vector, bool is_nmi)
{
	const uint8_t user[] = { 0xcd, vector, 0x0f, 0x0b };
	struct pvm_switcher_exit exit;

	host_nmis = host_machine_checks = 0;
	write_code(USER_CODE, user, sizeof(user));
	start_user(USER_CS, USER_CODE + 2);
	run_to_ud2("without the event");	/* its page is there from now on */
	start_user(USER_CS, USER_CODE);
	*gate_type(vector) |= GATE_DPL_3;
	run_once(&exit);
	*gate_type(vector) &= (uint8_t)~GATE_DPL_3;
	if (exit.guest.kind != PVM_EXIT_KICK || test.vcpu.rip != USER_CODE + 2 || !test.vcpu.user_mode)
		fail("S12: vector %u: exit %d at rip %lx", vector, exit.guest.kind, test.vcpu.rip);
	if (exit.nmi != is_nmi || exit.machine_check == is_nmi)
		fail("S12: vector %u: NMI %u, #MC %u", vector, exit.nmi, exit.machine_check);
	pvm_switcher_host_events(test.cpu, &exit);
	run_once(&exit);
	if (exit.guest.kind != PVM_EXIT_EXCEPTION || exit.guest.vector != PVM_VEC_UD)
		fail("after vector %u: exit %d, vector %u", vector, exit.guest.kind, exit.guest.vector);
	pvm_switcher_host_events(test.cpu, &exit);
	if (host_nmis != is_nmi || host_machine_checks == is_nmi)
		fail("S12: vector %u: %u NMIs, %u #MCs", vector, host_nmis, host_machine_checks);
}

/* S12: each reaches its handler of the host's, once, and no other does. */
void events_are_the_hosts(void)
{
	trap_set(PVM_VEC_NMI, on_nmi);
	trap_set(PVM_VEC_MC, on_machine_check);
	event_is_the_hosts(PVM_VEC_NMI, true);
	event_is_the_hosts(PVM_VEC_MC, false);
	print("NMIs and machine checks are the host's\n");
}
