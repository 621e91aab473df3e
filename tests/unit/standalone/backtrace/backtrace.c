/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The guest's backtrace: program.S's functions on stacks laid out by hand, and
 * stacks that no honest program has.
 */
#define _GNU_SOURCE
#include "backtrace.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "monitor.h"
#include "symbols.h"

#define OUTERMOST	0x400000ull
#define OUTER		0x400100ull
#define MIDDLE		0x400200ull
#define INNER		0x400300ull
#define STACK_TOP	0x208000ull	/* of fixture_boot() */
#define USER_STACK	0x680000ull	/* linear; elsewhere in memory */
#define USER_STACK_GPA	0x700000ull
#define ROOT_FRAME	(STACK_TOP - 8)
#define OUTPUT_MAX	65536

static struct fixture f;
static struct monitor_vm vm = { .memory = { .fd = -1 } };
static struct monitor_vcpu monitor = { .vm = &vm };
static char output[OUTPUT_MAX];

static void setup(void)
{
	fixture_init(&f);
	fixture_boot(&f, &f.vcpu[0]);
}

static void teardown(void)
{
	fixture_fini(&f);
}

TestSuite(backtrace, .init = setup, .fini = teardown);

static void poke(uint64_t gpa, uint64_t value)
{
	memcpy(f.host.memory + gpa, &value, sizeof(value));
}

/* inner <- middle <- outer <- outermost, the stack growing down from @top;
 * gpa = linear + @shift. Returns the registers of inner at its UD2. */
static void lay_out_stack(uint64_t top, uint64_t shift, uint64_t *rip, uint64_t *rsp, uint64_t *rbp)
{
	uint64_t sp = top, outermost_rbp, middle_rbp;

	poke((sp -= 8) + shift, 0);		/* outermost has no caller */
	poke((sp -= 8) + shift, 0);		/* its push %rbp */
	outermost_rbp = sp;
	poke((sp -= 8) + shift, OUTERMOST + 9);	/* call outer */
	sp -= 24;
	poke((sp -= 8) + shift, OUTER + 9);	/* call middle */
	poke((sp -= 8) + shift, outermost_rbp);
	middle_rbp = sp;
	sp -= 40;
	poke((sp -= 8) + shift, MIDDLE + 13);	/* call inner */
	poke((sp -= 8) + shift, 0x1234);	/* push %rbx */
	sp -= 8;
	*rip = INNER + 5;
	*rsp = sp;
	*rbp = middle_rbp;
}

static const char *print_backtrace(const char *elf)
{
	FILE *out = fmemopen(output, sizeof(output), "w");
	struct symbols *symbols = elf ? symbols_open(elf) : NULL;

	monitor.pvm = f.vcpu[0];
	backtrace_guest(out, &monitor, symbols);
	symbols_close(symbols);
	fclose(out);
	return output;
}

static unsigned count_of(const char *needle)
{
	unsigned count = 0;
	const char *at;

	for (at = output; (at = strstr(at, needle)); at += strlen(needle))
		count++;
	return count;
}

static void run_in_supervisor(void)
{
	struct pvm_vcpu *vcpu = &f.vcpu[0];

	lay_out_stack(STACK_TOP, 0, &vcpu->rip, &vcpu->gpr[PVM_RSP], &vcpu->gpr[PVM_RBP]);
}

Test(backtrace, a_supervisor_stack_is_unwound_by_eh_frame_and_frame_pointer_with_names)
{
	run_in_supervisor();
	print_backtrace(PROGRAM);
	cr_assert(strstr(output, "  supervisor stack:\n"
				 "    #0  0x0000000000400305 inner+0x5\n"
				 "    #1  0x000000000040020d middle+0xd\n"
				 "    #2  0x0000000000400109 outer+0x9\n"
				 "    #3  0x0000000000400009 outermost+0x9\n"), "%s", output);
	cr_assert_eq(count_of("#4"), 0, "%s", output);
	cr_assert_eq(count_of("user stack"), 0, "no user mode has run: %s", output);
}

/* As Linux takes memory for it: by 512 bytes. */
static uint64_t size_in_memory(int fd)
{
	struct stat status;

	cr_assert_eq(fstat(fd, &status), 0);
	return (uint64_t)status.st_blocks;
}

/* The tables are read by their mapping, the stack is not. */
Test(backtrace, of_a_memory_file_no_page_is_made_for_it_and_one_that_is_lost_ends_a_stack)
{
	static const uint8_t nothing[0x1000];
	uint8_t *stack = f.host.memory + STACK_TOP - 0x1000;
	uint64_t before;

	run_in_supervisor();
	vm.memory.fd = memfd_create("guest", 0);
	cr_assert_eq(ftruncate(vm.memory.fd, (off_t)f.host.memory_size), 0);
	cr_assert_eq(pwrite(vm.memory.fd, stack, 0x1000, STACK_TOP - 0x1000), 0x1000);
	memcpy(stack, nothing, sizeof(nothing));
	print_backtrace(PROGRAM);
	cr_assert(strstr(output, "outermost+0x9\n"), "%s", output);

	before = size_in_memory(vm.memory.fd);
	f.vcpu[0].gpr[PVM_RSP] -= 0x1000;
	f.vcpu[0].gpr[PVM_RBP] -= 0x1000;
	print_backtrace(PROGRAM);
	cr_assert(strstr(output, "inner+0x5\n"), "%s", output);
	cr_assert_eq(size_in_memory(vm.memory.fd), before);

	cr_assert_eq(ftruncate(vm.memory.fd, STACK_TOP - 0x2000), 0);
	print_backtrace(PROGRAM);
	cr_assert(strstr(output, "inner+0x5\n"), "%s", output);
	cr_assert_eq(count_of("#1"), 0, "%s", output);
}

Test(backtrace, without_the_file_frame_pointers_are_followed_and_addresses_stay_numbers)
{
	run_in_supervisor();
	f.vcpu[0].rip = MIDDLE + 13;		/* inner has no frame pointer of its own */
	print_backtrace(NULL);
	cr_assert(strstr(output, "    #0  0x000000000040020d\n"
				 "    #1  0x0000000000400109\n"), "%s", output);
	print_backtrace("/nonexistent");
	cr_assert(strstr(output, "    #1  0x0000000000400109\n"), "%s", output);
}

Test(backtrace, registers_and_mode_are_printed)
{
	f.vcpu[0].gpr[PVM_R13] = 0xfeedface;
	f.vcpu[0].halted = true;
	print_backtrace(NULL);
	cr_assert(strstr(output, "vCPU 0: supervisor mode, halted\n"), "%s", output);
	cr_assert(strstr(output, "r13 0x00000000feedface"), "%s", output);
}

/* Supervisor in a handler, the user state in the PVCS, its stack mapped by the
 * user's table alone. */
static void interrupt_user_mode(void)
{
	struct pvm_vcpu *vcpu = &f.vcpu[0];
	struct pvm_vcpu_struct *pvcs = vcpu->pvcs;
	uint64_t user_cr3 = fixture_new_table(&f), gva;

	for (gva = 0; gva < 0x10000; gva += PVM_PAGE_SIZE)
		fixture_map(&f, user_cr3, 4, USER_STACK - 0x8000 + gva, USER_STACK_GPA - 0x8000 + gva, 1,
			    PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
	vcpu->msr.switch_cr3 = user_cr3;
	pvcs->user_cs = f.vm.config.user_cs;
	lay_out_stack(USER_STACK, USER_STACK_GPA - USER_STACK, &pvcs->rip, &pvcs->rsp,
		      &monitor.user_gpr[PVM_RBP]);
	monitor.user_gpr[PVM_RSP] = pvcs->rsp;
	vcpu->rip = OUTERMOST + 1;
}

Test(backtrace, from_a_handler_the_user_stack_is_read_through_the_users_table)
{
	interrupt_user_mode();
	print_backtrace(PROGRAM);
	cr_assert(strstr(output, "  user stack, as the PVCS has it:\n"
				 "    #0  0x0000000000400305 inner+0x5\n"
				 "    #1  0x000000000040020d middle+0xd\n"
				 "    #2  0x0000000000400109 outer+0x9\n"
				 "    #3  0x0000000000400009 outermost+0x9\n"), "%s", output);
	cr_assert(strstr(output, "  supervisor stack:\n    #0  0x0000000000400001 outermost+0x1\n"), "%s",
		  output);
}

Test(backtrace, registers_of_another_user_state_are_not_used)
{
	interrupt_user_mode();
	monitor.user_gpr[PVM_RSP] += 64;
	print_backtrace(PROGRAM);
	cr_assert(strstr(output, "user stack, as the PVCS has it:\n    #0  0x0000000000400305 inner+0x5\n"),
		  "%s", output);
	cr_assert_eq(count_of("outer+"), 0, "middle's frame hangs on rbp: %s", output);
}

Test(backtrace, user_mode_itself_has_one_stack)
{
	struct pvm_vcpu *vcpu = &f.vcpu[0];

	run_in_supervisor();
	vcpu->user_mode = true;
	vcpu->seg[PVM_CS] = f.vm.config.user_cs;
	print_backtrace(PROGRAM);
	cr_assert(strstr(output, "  user stack:\n    #0  0x0000000000400305 inner+0x5\n"), "%s", output);
	cr_assert_eq(count_of("as the PVCS has it"), 0);
}

Test(backtrace, of_32_bit_code_only_the_first_frame_is_shown)
{
	struct pvm_vcpu *vcpu = &f.vcpu[0];

	run_in_supervisor();
	vcpu->user_mode = true;
	vcpu->seg[PVM_CS] = f.vm.config.user32_cs;
	print_backtrace(PROGRAM);
	cr_assert(strstr(output, "  user32 stack:\n    #0  0x0000000000400305 inner+0x5\n"), "%s", output);
	cr_assert_eq(count_of("#1"), 0);
}

Test(backtrace, looking_changes_no_byte_of_the_guest)
{
	uint8_t *before = malloc(f.host.memory_size);
	struct pvm_vcpu vcpu;

	interrupt_user_mode();
	run_in_supervisor();
	vcpu = f.vcpu[0];
	memcpy(before, f.host.memory, f.host.memory_size);
	print_backtrace(PROGRAM);
	cr_assert_gt(count_of("outermost"), 1, "%s", output);
	cr_assert_eq(memcmp(before, f.host.memory, f.host.memory_size), 0, "accessed bits count as bytes");
	cr_assert_eq(memcmp(&vcpu, &f.vcpu[0], sizeof(vcpu)), 0);
	free(before);
}

Test(backtrace, a_frame_pointer_that_points_to_itself_ends_the_stack)
{
	struct pvm_vcpu *vcpu = &f.vcpu[0];

	vcpu->rip = OUTERMOST + 4;
	vcpu->gpr[PVM_RSP] = vcpu->gpr[PVM_RBP] = STACK_TOP - 64;
	poke(STACK_TOP - 64, STACK_TOP - 64);
	poke(STACK_TOP - 56, OUTERMOST + 9);
	print_backtrace(PROGRAM);
	cr_assert_leq(count_of("outermost"), 2, "%s", output);
}

Test(backtrace, an_endless_stack_ends_after_a_bounded_number_of_frames)
{
	struct pvm_vcpu *vcpu = &f.vcpu[0];
	uint64_t sp;

	for (sp = 0x600000; sp < 0x700000; sp += 16) {
		poke(sp, sp + 16);
		poke(sp + 8, OUTERMOST + 9);
	}
	vcpu->rip = OUTERMOST + 4;
	vcpu->gpr[PVM_RSP] = vcpu->gpr[PVM_RBP] = 0x600000;
	print_backtrace(PROGRAM);
	cr_assert_eq(count_of("outermost"), BACKTRACE_FRAMES_MAX, "%s", output);
	cr_assert_eq(count_of("and perhaps more"), 1);
}

/* As of a Linux kernel, of which a System.map has the names. */
Test(backtrace, of_a_stack_that_cannot_be_walked_the_words_that_name_code_are_shown)
{
	static const char map[] =
		"ffffffff81000000 T startup\nffffffff81000200 t idle\nffffffff81000400 T _etext\n";
	char path[] = "/tmp/pvm-backtrace-XXXXXX";
	struct pvm_vcpu *vcpu = &f.vcpu[0];
	int fd = mkstemp(path);

	cr_assert(fd >= 0 && write(fd, map, sizeof(map) - 1) == sizeof(map) - 1);
	close(fd);
	poke(STACK_TOP - 32, 0xffffffff81000110);
	poke(STACK_TOP - 24, 0x1234);			/* no code */
	poke(STACK_TOP - 16, 0xffffffff81000200);	/* behind a call that is startup's last */
	poke(STACK_TOP - 8, 0xffffffff82000000);	/* behind the code */
	vcpu->rip = 0xffffffff81000208;
	vcpu->gpr[PVM_RSP] = STACK_TOP - 32;
	vcpu->gpr[PVM_RBP] = 0;
	print_backtrace(path);
	unlink(path);
	cr_assert(strstr(output, "#0  0xffffffff81000208 idle+0x8\n"
				 "  on it, perhaps return addresses:\n"
				 "    0xffffffff81000110 startup+0x110\n"
				 "    0xffffffff81000200 startup+0x200\n"), "%s", output);
	cr_assert_eq(count_of("    0xffffffff8"), 2, "%s", output);
	print_backtrace(NULL);
	cr_assert_eq(count_of("perhaps"), 0, "without names: %s", output);
}

Test(backtrace, registers_that_point_nowhere_leave_one_frame)
{
	static const uint64_t nowhere[] = { 0, 1, 0x7ffffffff000, 0x800000000000, 0xf000000000000000,
					    0xffffffffffffffff };
	struct pvm_vcpu *vcpu = &f.vcpu[0];
	size_t i;

	for (i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		vcpu->rip = INNER + 5;
		vcpu->gpr[PVM_RSP] = vcpu->gpr[PVM_RBP] = nowhere[i];
		print_backtrace(PROGRAM);
		cr_assert(strstr(output, "#0  0x0000000000400305 inner+0x5\n"), "%s", output);
		vcpu->rip = nowhere[i];
		print_backtrace(PROGRAM);
		cr_assert_eq(count_of("#0 "), 1, "%s", output);
	}
}

Test(backtrace, random_stacks_and_files_end)
{
	char path[] = "/tmp/pvm-backtrace-test-XXXXXX";
	int fd = mkstemp(path), round, i;
	FILE *file = fopen(PROGRAM, "r");
	static uint8_t elf[1 << 17], copy[1 << 17];
	size_t size = fread(elf, 1, sizeof(elf), file);

	fclose(file);
	cr_assert_geq(fd, 0);
	srand(23);
	for (round = 0; round < 200; round++) {
		run_in_supervisor();
		for (i = 0; i < 8; i++)
			poke(f.vcpu[0].gpr[PVM_RSP] + (uint64_t)(rand() % 20) * 8,
			     OUTERMOST + (uint64_t)(rand() % 0x410));
		memcpy(copy, elf, size);
		for (i = 0; i < 10; i++)	/* also the bytes of the unwind information */
			copy[0x1000 + (size_t)rand() % (size - 0x1000)] = (uint8_t)rand();
		cr_assert_eq(pwrite(fd, copy, size, 0), (ssize_t)size);
		print_backtrace(path);
		cr_assert_leq(count_of("    #"), BACKTRACE_FRAMES_MAX);
	}
	close(fd);
	unlink(path);
}

Test(backtrace, a_pvcs_of_garbage_is_no_danger)
{
	struct pvm_vcpu *vcpu = &f.vcpu[0];

	run_in_supervisor();
	memset(vcpu->pvcs, 0xff, sizeof(struct pvm_vcpu_struct));
	dual_pvcs(vcpu)->user_cs = f.vm.config.user_cs;
	vcpu->msr.switch_cr3 = ~0ull;
	print_backtrace(PROGRAM);
	cr_assert(strstr(output, "user stack, as the PVCS has it:\n    #0  0xffffffffffffffff\n"), "%s",
		  output);
}
