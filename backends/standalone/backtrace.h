/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a person needs to see when something died: a guest's registers and
 * stacks with names, and the monitor's own stack.
 *
 * Reads the guest and never changes it; whatever the guest's stack holds, the
 * output ends after BACKTRACE_FRAMES_MAX frames a stack.
 */
#ifndef STANDALONE_BACKTRACE_H
#define STANDALONE_BACKTRACE_H

#include <stdio.h>

#define BACKTRACE_FRAMES_MAX 64

struct monitor_vcpu;
struct symbols;

/**
 * backtrace_guest - registers and stacks of a vCPU that does not run now.
 * @symbols: of the guest's file, for names and unwind information; NULL: frame
 * pointers are followed and addresses stay numbers.
 *
 * Prints the stack of the mode it is in; in supervisor mode also the user
 * stack that the PVCS holds, if there is one.
 */
void backtrace_guest(FILE *out, struct monitor_vcpu *vcpu, const struct symbols *symbols);

/**
 * backtrace_install_monitor_handlers - from now on SIGSEGV, SIGBUS, SIGILL,
 * SIGFPE, SIGABRT, SIGTRAP and SIGSYS of this process print the stack of the thread
 * they hit to stderr; the process then dies of that signal, as it would have. Of a SIGBUS in guest
 * memory, which the host has lost, one line says so, and the process exits with MONITOR_STATUS_FAILED.
 * @first: called in the handler, before anything is printed.
 */
void backtrace_install_monitor_handlers(void (*first)(void));

#endif /* STANDALONE_BACKTRACE_H */
