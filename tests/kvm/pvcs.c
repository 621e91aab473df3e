/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * pvcs: the memory of a PVCS, which the engine pins: its slot goes while user space sets registers, it
 * comes only when user space brings it, it is a file's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <pvm/abi.h>
#include <pvm/kvm.h>
#include <pvm/vcpu.h>
#include <pvm/x86.h>

#include "bare.h"

#define PAGE		4096ull
#define PLACE		0x10000000ull	/* gpa */
#define SIZE		(64ull << 10)
#define ENTRY		0x3100
#define HELD_MOST	3000		/* ms, where a signal does not end KVM_RUN */
/* WRMSR by hypercall, of PLACE + 2 * PAGE; OUT 0x80, again. */
#define MOVE_PVCS	BARE_CODE("\xb8\x08\x82\x08\x17\xbb\xf1\x4d\x56\x4b\x41\xba\x00\x20\x00\x10\x0f\x05" \
				  "\xe6\x80\xeb\xfc")

static struct machine m;

static uint8_t *new_memory(void)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static uint64_t place_of_pvcs(void)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = MSR_PVM_VCPU_STRUCT };

	ASK(m.vcpu[0], KVM_GET_MSRS, &msrs);
	return msrs.entry.data;
}

/* ------------------------------------------------------------------------
 * The slot goes, or other memory comes there, and then user space sets registers.
 */

static bool untouched(const uint8_t *page)
{
	unsigned i;

	for (i = 0; i < PAGE; i++)
		if (page[i] != 0xff)
			return false;
	return true;
}

/* OUT 0x80, OUT 0x82, again: after the first, with its answer given. */
static uint8_t *begin(void)
{
	uint8_t *memory = new_memory();

	bare_begin(&m, BARE_CODE("\xe6\x80\xe6\x82\xeb\xfa"));
	machine_slot(&m, 1, 0, PLACE, SIZE, memory);
	bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, PLACE);
	bare_set_msr(&m, MSR_PVM_EVENT_ENTRY, ENTRY);
	bare_run(&m);
	bare_complete(&m);
	return memory;
}

static void end(uint8_t *memory)
{
	machine_destroy(&m);
	if (memory)
		munmap(memory, SIZE);
}

static void set_if(bool on)
{
	struct kvm_regs regs = bare_regs(&m);

	regs.rflags = on ? regs.rflags | PVM_RFLAGS_IF : regs.rflags & ~(uint64_t)PVM_RFLAGS_IF;
	ASK(m.vcpu[0], KVM_SET_REGS, &regs);
}

static void registers_of_a_lost_slot(void)
{
	struct kvm_sregs sregs;
	uint8_t *memory = begin();

	machine_slot(&m, 1, 0, PLACE, 0, memory);
	memset(memory, 0xff, PAGE);
	set_if(false);
	check(untouched(memory), "M10: KVM_SET_REGS leaves memory alone that has no slot any more");
	end(memory);

	memory = begin();
	machine_slot(&m, 1, 0, PLACE, 0, memory);
	memset(memory, 0xff, PAGE);
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	ASK(m.vcpu[0], KVM_SET_SREGS, &sregs);
	set_if(false);
	bare_run(&m);
	check(untouched(memory), "M10: so do KVM_SET_SREGS and KVM_RUN");
	end(memory);
}

/* Also when there is none at that moment. */
static void registers_between_slots(void)
{
	uint8_t *memory = begin();

	machine_slot(&m, 1, 0, PLACE, 0, memory);
	set_if(true);
	check(bare_regs(&m).rflags & PVM_RFLAGS_IF, "KVM_GET_REGS has IF that KVM_SET_REGS set while a PVCS is away");
	machine_slot(&m, 1, 0, PLACE, SIZE, memory);
	bare_run(&m);
	check(place_of_pvcs() == PLACE && (bare_regs(&m).rflags & PVM_RFLAGS_IF),
	      "a PVCS is kept whose slot is made anew, and IF that was set meanwhile");
	end(memory);
}

static void registers_of_another_slot(void)
{
	uint8_t *memory = begin(), *other = new_memory();

	machine_slot(&m, 1, 0, PLACE, 0, memory);
	machine_slot(&m, 1, 0, PLACE, SIZE, other);
	set_if(true);
	bare_run(&m);
	check(bare_regs(&m).rflags & PVM_RFLAGS_IF, "IF that KVM_SET_REGS sets is the guest's");
	check(((struct pvm_vcpu_struct *)other)->event_flags & PVM_EVENT_FLAGS_IF, "in its PVCS");
	end(memory);
	munmap(other, SIZE);
}

/* ------------------------------------------------------------------------
 * Memory that user space brings when it is touched: userfaultfd.
 */

static int uffd;
static atomic_bool held;	/* what was asked for comes later, and a signal at once */
static atomic_bool gave_in;	/* it came, as nothing else happened */
static pthread_t runner;

static void *bring(void *unused)
{
	static const char zeroes[PAGE];
	struct uffd_msg message;
	unsigned waited;

	(void)unused;
	while (read(uffd, &message, sizeof(message)) == sizeof(message)) {
		if (held) {
			usleep(100000);		/* it waits by now */
			pthread_kill(runner, SIGUSR1);
		}
		for (waited = 0; held && waited < HELD_MOST; waited++)
			usleep(1000);
		gave_in = held;
		struct uffdio_copy copy = {
			.dst = message.arg.pagefault.address & ~(PAGE - 1),
			.src = (uintptr_t)zeroes,
			.len = PAGE,
		};

		ioctl(uffd, UFFDIO_COPY, &copy);
	}
	return NULL;
}

static void come_late(uint8_t *memory)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range.len = SIZE, .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t thread;

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	reg.range.start = (uintptr_t)memory;
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		machine_die("userfaultfd: %s", strerror(errno));
	pthread_create(&thread, NULL, bring, NULL);
}

static void memory_that_comes_late(void)
{
	uint8_t *memory = new_memory();

	come_late(memory);
	bare_begin(&m, MOVE_PVCS);
	machine_slot(&m, 1, 0, PLACE, SIZE, memory);
	check(bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, PLACE), "KVM_SET_MSRS waits for the memory of a PVCS");
	bare_run(&m);
	check(m.run[0]->exit_reason == KVM_EXIT_IO && bare_regs(&m).rax == 0, "so does the guest's call");
	machine_slot(&m, 1, 0, PLACE, 0, memory);
	madvise(memory, SIZE, MADV_DONTNEED);
	machine_slot(&m, 1, 0, PLACE, SIZE, memory);
	bare_run(&m);
	check(place_of_pvcs() == PLACE + 2 * PAGE, "and KVM_RUN after the slot was made anew");
	end(memory);
}

static bool is_since(unsigned wanted_major, unsigned wanted_minor)
{
	unsigned major = 0, minor = 0;
	struct utsname kernel;

	uname(&kernel);
	sscanf(kernel.release, "%u.%u", &major, &minor);
	return major > wanted_major || (major == wanted_major && minor >= wanted_minor);
}

static void on_signal(int number)
{
	(void)number;
}

/* KVM_RUN while its memory is held, and a signal comes. Does that end it? */
static bool run_into_signal(void)
{
	int error;

	held = true;
	gave_in = false;
	error = bare_run(&m);
	held = false;
	return error == EINTR && !gave_in;
}

/* The guest has come to its port, with its PVCS where MOVE_PVCS wants it. */
static bool has_moved(void)
{
	return m.run[0]->exit_reason == KVM_EXIT_IO && place_of_pvcs() == PLACE + 2 * PAGE;
}

/* Linux waits for userfaultfd and looks at signals since 6.2. */
static void signals_meanwhile(void)
{
	bool looks = is_since(6, 2);
	uint8_t *memory = new_memory();

	memory[0] = 1;
	come_late(memory);
	bare_begin(&m, MOVE_PVCS);
	machine_slot(&m, 1, 0, PLACE, SIZE, memory);
	bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, PLACE);
	check(run_into_signal() == looks, "a signal %s KVM_RUN that waits for the memory of a PVCS",
	      looks ? "ends" : "does not end");
	bare_run(&m);
	check(has_moved() && bare_regs(&m).rax == 0,
	      "M11: and the guest's call is made again");
	bare_complete(&m);
	machine_slot(&m, 1, 0, PLACE, 0, memory);
	madvise(memory, SIZE, MADV_DONTNEED);
	machine_slot(&m, 1, 0, PLACE, SIZE, memory);
	check(run_into_signal() == looks && place_of_pvcs() == PLACE + 2 * PAGE,
	      "M11: the PVCS is kept when a signal comes before its new memory");
	bare_run(&m);
	check(has_moved(), "and is there again");
	held = true;
	check(bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, PLACE + 4 * PAGE),
	      "KVM_SET_MSRS, which cannot be asked again, waits whatever signals there are");
	held = false;
	end(memory);
}

static void map_at(uint8_t *at)
{
	if (mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	    MAP_FAILED)
		machine_die("mmap: %s", strerror(errno));
}

static void poisoned_memory(void)
{
	uint8_t *memory = new_memory();
	int error;

	bare_begin(&m, MOVE_PVCS);
	machine_slot(&m, 1, 0, PLACE, SIZE, memory);
	memory[2 * PAGE] = 1;
	if (madvise(memory + 2 * PAGE, PAGE, MADV_HWPOISON))
		machine_die("MADV_HWPOISON: %s", strerror(errno));
	error = bare_run(&m);
	check(error == EINTR, "a PVCS in poisoned memory ends KVM_RUN: %s", strerror(error));
	map_at(memory + 2 * PAGE);
	bare_run(&m);
	check(has_moved() && bare_regs(&m).rax == 0,
	      "M11: and the guest's call is made again when there is other memory");
	end(memory);
}

/* ------------------------------------------------------------------------
 * Memory that user space has unmapped.
 */

static void unmapped_memory(void)
{
	uint8_t *memory = new_memory();

	bare_begin(&m, MOVE_PVCS);
	machine_slot(&m, 1, 0, PLACE, SIZE, memory);
	munmap(memory + 2 * PAGE, PAGE);
	check(bare_run(&m) == EFAULT && place_of_pvcs() == 0,
	      "a PVCS in a slot whose memory is unmapped is KVM_RUN's error");
	map_at(memory + 2 * PAGE);
	bare_run(&m);
	check(has_moved() && bare_regs(&m).rax == 0, "M11: and the guest's call is made again");
	bare_complete(&m);
	machine_slot(&m, 1, 0, PLACE, 0, memory);
	munmap(memory + 2 * PAGE, PAGE);
	machine_slot(&m, 1, 0, PLACE, SIZE, memory);
	check(bare_run(&m) == EFAULT && place_of_pvcs() == PLACE + 2 * PAGE,
	      "M11: the PVCS is kept when its new memory is not mapped");
	map_at(memory + 2 * PAGE);
	bare_run(&m);
	check(has_moved(), "and is there again");
	end(memory);
}

/* ------------------------------------------------------------------------
 * A slot that moves while the vCPU runs, which looks for its PVCS when KVM has made the old one invalid and
 * the new one is not there yet. KVM of 6.12 and later moves none (slots.c).
 */

#define MOVES	20

static void *run_on(void *unused)
{
	(void)unused;
	return bare_run(&m) == EINTR ? &m : NULL;
}

static void slot_that_moves(void)
{
	uint8_t *memory = new_memory();
	void *interrupted = NULL;
	pthread_t thread;
	unsigned i;

	bare_begin(&m, BARE_CODE("\xeb\xfe"));
	machine_slot(&m, 1, 0, PLACE, SIZE, memory);
	bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, PLACE + 8 * PAGE);
	pthread_create(&thread, NULL, run_on, NULL);
	usleep(50000);
	for (i = 0; i < MOVES; i++) {
		machine_slot(&m, 1, 0, i % 2 ? PLACE : PLACE + 4 * PAGE, SIZE, memory);
		usleep(1000);
	}
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &interrupted);
	check(interrupted && place_of_pvcs() == PLACE + 8 * PAGE, "a PVCS is kept when its slot has moved, and has it");
	end(memory);
}

/* ------------------------------------------------------------------------
 * A file's memory, on a file system that writes back what its pages are marked for: Minix's, whose
 * first version is a few blocks.
 */

#define DISK		"/dev/ram1"
#define BLOCK		1024
#define ZONES		512
#define INODES		32
#define FIRST_ZONE	5	/* after the boot block, the superblock, two bitmaps, the inodes */

struct minix {
	uint8_t boot[BLOCK];
	struct {
		uint16_t inodes, zones, imap_blocks, zmap_blocks, first_zone, log_zone_size;
		uint32_t max_size;
		uint16_t magic, state;
		uint8_t rest[BLOCK - 20];
	} super;
	uint8_t imap[BLOCK], zmap[BLOCK];
	struct {
		uint16_t mode, uid;
		uint32_t size, time;
		uint8_t gid, links;
		uint16_t zone[9];
	} inode[INODES];
	struct {
		uint16_t inode;
		char name[14];
	} root[BLOCK / 16];
};

static void make_minix(void)
{
	static struct minix fs = {
		.super = { .inodes = INODES, .zones = ZONES, .imap_blocks = 1, .zmap_blocks = 1,
			   .first_zone = FIRST_ZONE, .max_size = 1 << 20, .magic = 0x137f, .state = 1 },
		.inode = { { .mode = 040755, .size = 32, .links = 2, .zone = { FIRST_ZONE } } },
		.root = { { 1, "." }, { 1, ".." } },
	};
	int fd = open(DISK, O_WRONLY | O_CLOEXEC);

	memset(fs.imap, 0xff, sizeof(fs.imap));
	memset(fs.zmap, 0xff, sizeof(fs.zmap));
	memset(fs.imap, 0, INODES / 8);
	fs.imap[0] = 3;			/* none, and the root */
	memset(fs.zmap, 0, (ZONES - FIRST_ZONE) / 8);
	fs.zmap[0] = 3;
	if (fd < 0 || write(fd, &fs, sizeof(fs)) != sizeof(fs) || fsync(fd))
		machine_die("%s: %s", DISK, strerror(errno));
	close(fd);
}

static void load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
		machine_die("%s: %s", path, strerror(errno));
	close(fd);
}

/* What user space has written and synchronised after the PVCS was given up, by the guest or by user space. */
static uint8_t file_after(const char *path, bool by_guest, bool *pinned)
{
	uint8_t *memory, got = 0;
	int fd;

	if (mount(DISK, "/mnt", "minix", 0, NULL) < 0)
		machine_die("mount: %s", strerror(errno));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ftruncate(fd, SIZE) < 0 || memory == MAP_FAILED)
		machine_die("%s: %s", path, strerror(errno));
	memset(memory, 0, SIZE);
	/* WRMSR of 0 by hypercall, from the switcher, where interrupts are off; OUT 0x80, again. */
	bare_begin(&m, BARE_CODE("\xb8\x08\x82\x08\x17\xbb\xf1\x4d\x56\x4b\x45\x31\xd2\x0f\x05"
				 "\xe6\x80\xeb\xfc"));
	machine_slot(&m, 1, 0, PLACE, SIZE, memory);
	*pinned = bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, PLACE);
	msync(memory, SIZE, MS_SYNC);
	if (by_guest)
		bare_run(&m);
	else
		bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, 0);
	if (place_of_pvcs())
		machine_die("the PVCS is still there");
	end(NULL);
	memory[PAGE - 1] = 'B';
	msync(memory, SIZE, MS_SYNC);
	fsync(fd);
	munmap(memory, SIZE);
	close(fd);
	umount("/mnt");
	if (mount(DISK, "/mnt", "minix", MS_RDONLY, NULL) < 0)
		machine_die("mount: %s", strerror(errno));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (pread(fd, &got, 1, PAGE - 1) != 1)
		got = 0;
	close(fd);
	umount("/mnt");
	return got;
}

static void memory_of_a_file(void)
{
	bool pinned;
	uint8_t got;

	if (access("/modules/minix.ko", R_OK)) {
		printf("# excused 3: a file's page: this kernel has no file system of minix's\n");
		return;
	}
	load_module("/modules/minix.ko");
	mkdir("/mnt", 0700);
	make_minix();
	got = file_after("/mnt/a", false, &pinned);
	check(got == 'B', "a file has what was written after user space gave its PVCS up");
	check(pinned == !is_since(6, 5), "Linux %s the page of a file", pinned ? "pins" : "does not pin");
	got = file_after("/mnt/b", true, &pinned);
	check(got == 'B', "and after the guest did");
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	runner = pthread_self();
	registers_of_a_lost_slot();
	registers_of_another_slot();
	registers_between_slots();
	memory_that_comes_late();
	signals_meanwhile();
	poisoned_memory();
	unmapped_memory();
	slot_that_moves();
	memory_of_a_file();
	return check_finish();
}
