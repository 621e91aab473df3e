/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The corners of pvm_switcher_run(): what the files of that one program share. */
#ifndef CORNERS_H
#define CORNERS_H

#include "test_vm.h"

/* gpas, and as the guest sees them */
#define USER_CODE	0x1840
#define SUPERVISOR_CODE	0x1880

/* Of gate_type(): CPL 3 may use the gate. */
#define GATE_DPL_3	0x60

void write_code(uint64_t at, const void *bytes, size_t size);
/* User mode at @rip, its stack, and SUPERVISOR_CODE for its system calls. */
void start_user(uint16_t cs, uint64_t rip);
/* To the next exit, whatever it is. */
void run_once(struct pvm_switcher_exit *exit);
/* To the #UD that ends each program; @name says where it does not. */
void run_to_ud2(const char *name);
/* To the first exit that is no page fault, with the supervisor's entry at @lstar. */
void run_to_syscall(struct pvm_switcher_exit *exit, uint64_t lstar);

/* The byte of a gate of the switcher's IDT that has its type and its DPL. */
uint8_t *gate_type(uint8_t vector);

/* corners_cr4.c */
void cr4_goes_with_the_guest(void);

/* corners_exits.c */
void waiting_interrupt_is_seen(void);
void exits_say_what_they_are(bool serve);
void hosts_faults_are_no_guests(bool serve);
void events_are_the_hosts(void);

/* corners_global.c */
void the_hosts_global_pages_are_its_own(void);
void the_return_stack_is_filled_where_text_is_at_guests_addresses(void);

/* corners_ldt.c */
void ldts_are_the_guests(void);

/* corners_msrs.c */
void msrs_go_with_the_guest(void);

/* corners_window.c */
void window_follows_the_pin(void);
void window_is_of_the_pinned_page(void);
void window_follows_a_move_within_the_page(void);

#endif /* CORNERS_H */
