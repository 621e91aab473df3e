/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Where this machine reports an ICEBP (0xf1) to a plain process: after the instruction, as
 * the manuals say, or at it, as below some hypervisors. Prints the line that s12_int_n
 * prints as a guest; `pvm run` can show a guest only what the machine shows a process.
 */
#define _GNU_SOURCE	/* REG_RIP */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

extern const char icebp[];
__asm__(".pushsection .text\n.globl icebp\nicebp:\n	.byte 0xf1\n	ud2\n.popsection");

static void trapped(int signal, siginfo_t *info, void *context)
{
	unsigned long rip = (unsigned long)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	(void)info;
	if (signal == SIGTRAP && rip == (unsigned long)icebp + 1)
		puts("icebp: RIP after it");
	else if (signal == SIGTRAP && rip == (unsigned long)icebp)
		puts("icebp: RIP at it");
	else
		printf("icebp: signal %d, RIP +%ld\n", signal, (long)(rip - (unsigned long)icebp));
	fflush(stdout);
	_Exit(0);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };

	sigaction(SIGTRAP, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	__asm__ volatile("jmp icebp");
	return 1;
}
