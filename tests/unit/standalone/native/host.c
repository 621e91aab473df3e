/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the executor needs of its host, and what it does to it. */
#include "machine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pvm/mmu.h>

static struct machine m;

TestSuite(native_host, .timeout = 60);

GUEST_CODE(code_syscall, "syscall");
GUEST_CODE(code_spin, "1: jmp 1b");

/* From now on @nr with first argument @arg (or any, ~0u) fails with @error. */
static void forbid(uint32_t nr, uint32_t arg, uint32_t error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arg, 0, arg == ~0u ? 0 : 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

static void check_refused(const char *what)
{
	struct pvm_vm_config config = { .abi = PVM_ABI_DUAL_CR3 };
	char why[256] = "";

	cr_assert_eq(native_executor.probe(&config, "none", why, sizeof(why)), -1);
	cr_assert(strstr(why, what), "%s", why);
	cr_assert(!strchr(why, '\n'));
}

Test(native_host, S9_a_host_without_syscall_user_dispatch_is_refused_by_that_name)
{
	forbid(SYS_prctl, 59, EINVAL);
	check_refused("Syscall User Dispatch (Linux 5.11");
}

Test(native_host, S9_a_host_without_seccomp_filters_is_refused_by_that_name)
{
	forbid(SYS_seccomp, ~0u, ENOSYS);
	check_refused("seccomp");
}

Test(native_host, a_host_that_can_not_execute_memory_files_is_refused_by_that_name)
{
	char why[256] = "";
	struct native_vcpu *old;

	machine_init(&m, 1);
	old = m.vcpu[0]->executor;
	forbid(SYS_memfd_create, ~0u, EPERM);
	cr_assert_eq(native_executor.vcpu_init(m.vcpu[0], why, sizeof(why)), -1);
	cr_assert(strstr(why, "memfd_create") || strstr(why, "stub"), "%s", why);
	m.vcpu[0]->executor = old;
	machine_fini(&m);
}

GUEST_CODE(code_store, "movb $1, (%rbx); syscall");

Test(native_host, without_ptrace_a_guest_runs_without_breakpoints_and_tls_segments)
{
	const uint64_t tls[3] = { 0x00cff3000000ffff, 0, 0 };
	struct pvm_guest_exit exit;
	unsigned i;

	machine_init(&m, 1);
	forbid(SYS_ptrace, ~0u, EPERM);
	m.vcpu[0]->pvm.dr[0] = DATA;
	m.vcpu[0]->pvm.dr7 = PVM_DR7_FIXED | 1 | 1 << 16;
	pvm_load_tls(&m.vcpu[0]->pvm, tls);
	m.vcpu[0]->pvm.seg[PVM_FS] = 0x63;
	for (i = 0; i < 2; i++) {
		machine_code(&m, code_store);
		m.vcpu[0]->pvm.gpr[PVM_RBX] = DATA;
		exit = machine_run(m.vcpu[0]);
		assert_kind(exit, PVM_EXIT_SYSCALL);
		cr_assert_eq(m.vcpu[0]->pvm.seg[PVM_FS], 0);
	}
	machine_fini(&m);
}

/* M2: should the shadow tables ever point elsewhere, it is not mapped. */
Test(native_host, M2_a_shadow_entry_outside_guest_memory_is_an_error_and_no_mapping)
{
	struct pvm_guest_exit exit;
	uint64_t size;

	machine_init(&m, 1);
	machine_code(&m, code_syscall);
	exit = machine_run_once(m.vcpu[0]);
	assert_page_fault(exit, CODE);
	cr_assert_eq(pvm_mmu_fault(&m.vcpu[0]->pvm, pvm_gva(CODE), exit.error_code, PVM_MAY_SLEEP).kind,
		     PVM_FAULT_FIXED);
	size = m.vm.memory.size;
	m.vm.memory.size = CODE;
	exit = machine_run_once(m.vcpu[0]);
	m.vm.memory.size = size;
	assert_kind(exit, PVM_EXIT_FAILED);
	cr_assert(strstr(exit.message, "no guest memory"), "%s", exit.message);
	machine_fini(&m);
}

/* ------------------------------------------------------------------------
 * CPUs.
 */

static unsigned cpus_of(pid_t pid)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	cr_assert_eq(sched_getaffinity(pid, sizeof(set), &set), 0);
	return (unsigned)CPU_COUNT(&set);
}

Test(native_host, a_thread_has_its_cpus_back_when_its_vcpu_is_gone)
{
	unsigned before = cpus_of(0);
	struct pvm_guest_exit exit;

	machine_init(&m, 1);
	machine_code(&m, code_syscall);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
	machine_fini(&m);
	cr_assert_eq(cpus_of(0), before);
}

/* All of them; the suite's limit of time is the end of it. */
static unsigned wanted;

static void *wait_for_the_stubs_cpus(void *argument)
{
	pid_t stub = *(pid_t *)argument;

	while (cpus_of(stub) != wanted)
		usleep(1000);
	native_executor.kick(m.vcpu[0]);
	return NULL;
}

Test(native_host, a_guest_that_computes_for_long_may_use_any_cpu)
{
	struct pvm_guest_exit exit;
	pthread_t thread;
	pid_t stub;

	wanted = cpus_of(0);
	if (wanted < 2)
		cr_skip_test("one CPU only");
	machine_init(&m, 1);
	machine_code(&m, code_syscall);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
	stub = machine_stub(m.vcpu[0]);
	pthread_create(&thread, NULL, wait_for_the_stubs_cpus, &stub);
	machine_code(&m, code_spin);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	assert_kind(exit, PVM_EXIT_KICK);
	machine_fini(&m);
}
