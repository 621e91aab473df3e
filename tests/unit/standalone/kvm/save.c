/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A guest that goes on from a file, is saved again by the socket that pvm save uses, and is the same; and
 * kernels that make trouble. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <pvm/kvm.h>
#include <pvm/xen.h>
#include <pvm/xen_state.h>

#include "restore.h"
#include "saving.h"
#include "xen_bus.h"

TestSuite(save, .init = saving_begin, .fini = saving_end, .timeout = 120);

static void expect_same_files(void)
{
	static uint8_t a[1 << 20], b[1 << 20];
	int fds[2] = { open(first, O_RDONLY | O_CLOEXEC), open(second, O_RDONLY | O_CLOEXEC) };
	ssize_t sizes[2] = { read(fds[0], a, sizeof(a)), read(fds[1], b, sizeof(b)) };

	cr_expect_gt(sizes[0], 0);
	cr_expect_eq(sizes[0], sizes[1], "%zd and %zd bytes", sizes[0], sizes[1]);
	close(fds[0]);
	close(fds[1]);
}

/* ------------------------------------------------------------------------
 * Saved, and restored.
 */

Test(save, a_guest_goes_on_where_it_was)
{
	saving_start(first);
	close(saving_connect());
	cr_expect_eq(fake_kernel.abi, PVM_ABI_XEN_PV);
	cr_expect(fake_kernel.regs[0].rax == 0x40 && fake_kernel.regs[1].rax == 0x41);
	cr_expect_eq(fake_kernel.xen_state[PVM_KVM_XEN_STATE_VM].bytes[0], 1);
	cr_expect_eq(fake_kernel.xen_state[PVM_KVM_XEN_STATE_VCPU].bytes[sizeof(struct pvm_xen_vcpu_state)],
		     0x51);
	cr_expect_eq(fake_kernel.xen_state[PVM_KVM_XEN_STATE_TABLES].bytes[PAGES / 8 - 1], 0x60);
	cr_expect(fake_kernel.port_fd[CONSOLE_PORT] > 0 && fake_kernel.port_fd[STORE_PORT] > 0);
	cr_expect(vm->memory.va[100 * 4096] == 0x77 && vm->memory.va[MEMORY - 1] == 0x77);
	cr_expect_eq(vm->memory.va[99 * 4096], 0);
	/* The console and the store: what came meanwhile is looked for. */
	while (__atomic_load_n(&fake_kernel.notified, __ATOMIC_SEQ_CST) < 2)
		sched_yield();
	saving_stop();
}

Test(save, saved_again_it_is_the_same)
{
	saving_start(first);
	cr_expect_eq(saving_save(second, &saving_ends).status, 0);
	saving_finish(MONITOR_END_SAVED);
	cr_expect_eq(result.status, 0);
	cr_expect(strstr(result.message, "saved: 'pvm restore' goes on with it"), "%s", result.message);
	saving_start(second);
	unlink(first);
	cr_expect_eq(saving_save(first, &saving_ends).status, 0);
	saving_finish(MONITOR_END_SAVED);
	expect_same_files();
}

Test(save, a_guest_that_goes_on_can_be_saved_again_and_again)
{
	unsigned i;

	saving_start(first);
	for (i = 0; i < 20; i++) {
		struct control_reply reply = saving_save(second, &saving_goes_on);

		cr_assert_eq(reply.status, 0, "%s", reply.line);
		unlink(second);
	}
	saving_stop();
}

Test(save, vcpus_that_cannot_be_saved_yet_run_on_a_little)
{
	saving_start(first);
	fake_kernel.saves_fail = 5;
	cr_expect_eq(saving_save(second, &saving_ends).status, 0);
	saving_finish(MONITOR_END_SAVED);
}

Test(save, but_not_without_end)
{
	struct control_reply reply;

	saving_start(first);
	fake_kernel.saves_fail = UINT32_MAX;
	reply = saving_save(second, &saving_ends);
	cr_expect_eq(reply.status, 1);
	cr_expect(strstr(reply.line, "PVM_KVM_XEN_SAVE of a vCPU: Resource temporarily unavailable"), "%s",
		  reply.line);
	fake_kernel.saves_fail = 0;
	unlink(second);
	cr_expect_eq(saving_save(second, &saving_goes_on).status, 0, "it goes on");
	saving_stop();
}

static int out_with_a_step(unsigned vcpu, struct kvm_run *run)
{
	static atomic_uint steps;

	(void)vcpu;
	/* The rest of an access of several bytes: each KVM_RUN completes one. */
	if (atomic_fetch_add(&steps, 1) < 100) {
		fake_port(run, 0x3f9, true, 0);
		return 0;
	}
	return fake_until_kick(vcpu, run);
}

Test(save, a_port_access_is_done_before_it)
{
	fake_kernel.run = out_with_a_step;
	saving_start(first);
	cr_expect_eq(saving_save(second, &saving_ends).status, 0);
	saving_finish(MONITOR_END_SAVED);
}

Test(save, a_kernel_that_refuses)
{
	struct control_reply reply;

	saving_start(first);
	close(saving_connect());
	fake_kernel.fails_errno = EIO;
	fake_kernel.fails = KVM_GET_XSAVE;
	reply = saving_save(second, &saving_ends);
	cr_expect_eq(reply.status, 1);
	cr_expect_str_eq(reply.line, "/dev/kvm: KVM_GET_XSAVE: Input/output error");
	fake_kernel.fails = 0;
	saving_stop();
}

/* As they come while a large file is read. */
static void restore_with(int signal, const char *message)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	cr_assert_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	cr_assert_eq(raise(signal), 0);
	saving_signals = true;
	vm = saving_restore(first);
	cr_assert_not_null(vm, "%s", why);
	monitor_vm_run(vm, &result);
	cr_expect_eq(result.end, MONITOR_END_SIGNAL);
	cr_expect_eq(result.status, 128 + signal);
	cr_expect_str_eq(result.message, message);
	cr_expect_neq(fake_kernel.regs[0].rax, 0x40, "nothing of the file was used");
	cr_expect_not(fake_kernel.has_run);
	cr_assert_eq(monitor_vm_destroy(vm, why, sizeof(why)), 0, "%s", why);
	saving_forget();
	cr_expect_eq(sigtimedwait(&set, NULL, &(struct timespec){ 0 }), -1, "it was heard");
}

Test(save, signals_end_it_while_its_file_is_read)
{
	restore_with(SIGINT, "ended by SIGINT");
	fake_kernel.vms = fake_kernel.vcpus = 0;
	restore_with(SIGTERM, "ended by SIGTERM");
	fake_kernel.vms = fake_kernel.vcpus = 0;
	/* It asks a guest to power off; this one does not listen yet. */
	restore_with(SIGPWR, "ended by SIGPWR");
}

/* In a session of its own, whose terminal has the keys already. NULL, or what is wrong. */
static const char *restore_at_a_terminal(void)
{
	int keyboard = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios before, after;

	if (keyboard < 0 || grantpt(keyboard) || unlockpt(keyboard) || setsid() < 0)
		return "no terminal";
	saving_console = open(ptsname(keyboard), O_RDWR | O_CLOEXEC);
	if (tcgetpgrp(saving_console) != getpgrp() || tcgetattr(saving_console, &before) ||
	    write(keyboard, "\1x\n", 3) != 3)
		return "the terminal is not ours";
	saving_keys = true;
	vm = saving_restore(first);
	if (!vm)
		return why;
	monitor_vm_run(vm, &result);
	if (result.end != MONITOR_END_EXIT || result.status || fake_kernel.has_run)
		return "the guest has run";
	if (tcgetattr(saving_console, &after) || after.c_lflag != before.c_lflag)
		return "the terminal is not as it was";
	return monitor_vm_destroy(vm, why, sizeof(why)) ? why : NULL;
}

/* Where Ctrl-C is the guest's. */
Test(save, keys_end_it_while_its_file_is_read)
{
	char said[sizeof(why)] = "";
	const char *wrong;
	int ends[2];
	pid_t child;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	child = fork();		/* who leads its processes has no new session */
	if (!child) {
		wrong = restore_at_a_terminal();
		_exit(wrong && write(ends[1], wrong, strlen(wrong)) > 0);
	}
	close(ends[1]);
	cr_assert_geq(read(ends[0], said, sizeof(said) - 1), 0);
	cr_expect_str_eq(said, "");
	close(ends[0]);
	cr_assert_eq(waitpid(child, NULL, 0), child);
}

/* ------------------------------------------------------------------------
 * Input that comes meanwhile.
 */

bool __real_xen_bus_rest(struct xen_bus *bus, unsigned seconds);
bool __wrap_xen_bus_rest(struct xen_bus *bus, unsigned seconds);

static int keys = -1;		/* where it is typed while the devices do not come to rest; -1: they do */

bool __wrap_xen_bus_rest(struct xen_bus *bus, unsigned seconds)
{
	bool rests = __real_xen_bus_rest(bus, seconds);
	int waiting = 1;

	if (keys < 0)
		return rests;
	cr_assert_eq(write(keys, "k", 1), 1);
	while (waiting)
		cr_assert(!ioctl(saving_console, FIONREAD, &waiting) && !usleep(10000));
	usleep(100000);		/* it is held now */
	xen_bus_go_on(bus);
	return false;
}

Test(save, input_reaches_a_guest_whose_devices_did_not_rest)
{
	const struct pvm_xen_console *ring;
	struct control_reply reply;
	unsigned tries = 1000;
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	saving_console = ends[0];
	keys = ends[1];
	saving_start(first);
	while (__atomic_load_n(&fake_kernel.notified, __ATOMIC_SEQ_CST) < 3)
		sched_yield();
	usleep(100000);		/* its start wakes the main thread, too: that is over now */
	reply = saving_save(second, &saving_ends);
	cr_expect_str_eq(reply.line, "a disk or a network of its host does not come to rest");
	ring = (void *)(vm->memory.va + CONSOLE_PAGE * 4096);
	while (!__atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE) && tries--)
		usleep(10000);
	cr_expect_eq(ring->in_prod, 1);
	cr_expect_eq(ring->in[0], 'k');
	saving_stop();
}

/* ------------------------------------------------------------------------
 * Files that cannot go on.
 */

static void expect_refused(const char *thing)
{
	cr_expect_null(saving_restore(first));
	cr_expect(strstr(why, thing), "'%s' does not say '%s'", why, thing);
	cr_expect_eq(strncmp(why, first, strlen(first)), 0, "'%s' does not name the file", why);
	saving_forget();
}

Test(save, another_xcr0)
{
	fake_kernel.xcr0 = 0xe7;
	expect_refused(": its XCR0 is 0x0, and this host's 0xe7");
}

Test(save, a_kernel_that_refuses_the_state)
{
	static const struct {
		unsigned long request;
		const char *name;
	} rows[] = {
		{ KVM_SET_XSAVE, "KVM_SET_XSAVE" }, { KVM_SET_SREGS, "KVM_SET_SREGS" },
		{ KVM_SET_REGS, "KVM_SET_REGS" }, { KVM_SET_DEBUGREGS, "KVM_SET_DEBUGREGS" },
		{ KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS" },
	};
	size_t i;

	fake_kernel.fails_errno = EINVAL;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake_kernel.fails = rows[i].request;
		fake_kernel.vms = fake_kernel.vcpus = 0;
		expect_refused(rows[i].name);
	}
}

Test(save, a_trace_does_not_overwrite_it)
{
	static uint8_t bytes[1 << 20];
	int fd = open(first, O_RDONLY | O_CLOEXEC);
	ssize_t size = read(fd, bytes, sizeof(bytes));

	saving_trace = first;
	cr_expect_null(saving_restore(first));
	cr_expect(strstr(why, ": that is the guest"), "%s", why);
	saving_forget();
	cr_expect_eq(lseek(fd, 0, SEEK_END), size);
	close(fd);
}

Test(save, disks_that_are_not_there)
{
	const struct saved_description with_disk = {
		.kernel = "k", .command_line = "", .memory = MEMORY, .vcpus = 1, .disk_count = 1,
		.disks = { { "/d/a", 512, false, "5.000000000" } },
	};

	options = (struct monitor_options){ .disk_count = 2 };
	cr_expect_eq(saved_options(&with_disk, "F", &options, why, sizeof(why)), -1);
	cr_expect_str_eq(why, "F: --disk is given 2 times, and the guest has 1 disks");
	options = (struct monitor_options){ .disk_count = 1, .disks = { { .path = "b", .read_only = true } } };
	cr_expect_eq(saved_options(&with_disk, "F", &options, why, sizeof(why)), -1);
	cr_expect_str_eq(why, "F: the 1. --disk cannot be 'ro': the guest writes it");
	options = (struct monitor_options){ .net_count = 1 };
	cr_expect_eq(saved_options(&with_disk, "F", &options, why, sizeof(why)), -1);
	cr_expect_str_eq(why, "F: --net is given 1 times, and the guest has 0 network cards");
	options = (struct monitor_options){ .disk_count = 1, .disks = { { .path = "b" } } };
	cr_expect_eq(saved_options(&with_disk, "F", &options, why, sizeof(why)), 0, "%s", why);
	cr_expect_str_eq(options.disks[0].path, "b");
	cr_expect_null(options.disks[0].written, "the user knows");
	options = (struct monitor_options){ 0 };
	cr_expect_eq(saved_options(&with_disk, "F", &options, why, sizeof(why)), 0, "%s", why);
	cr_expect_str_eq(options.disks[0].path, "/d/a");
	cr_expect_str_eq(options.disks[0].written, "5.000000000");
}
