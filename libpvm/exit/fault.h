/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_handle_page_fault() for who wants to know what it has left alone. fault.c */
#ifndef PVM_EXIT_FAULT_H
#define PVM_EXIT_FAULT_H

#include <pvm/exit.h>

/* The same. *@fixed: the guest tries the access again, and nothing of the vCPU's registers has changed. */
enum pvm_action pvm_fault_answer(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t error_code,
				 enum pvm_sleep sleep, bool *fixed);

#endif /* PVM_EXIT_FAULT_H */
