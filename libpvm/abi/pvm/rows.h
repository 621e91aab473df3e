/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The hypercalls of the specification, a row each: number, name, handler, and whether it
 * may be answered inside the switcher. A dialect's table has these and its LOAD_PGTBL.
 *
 * spec: Hypercall event in supervisor mode
 */
#ifndef PVM_ABI_PVM_ROWS_H
#define PVM_ABI_PVM_ROWS_H

#include "hypercall/handlers.h"

/* Rows of a dialect's table, a power of two; there are fewer hypercalls. */
#define PVM_DIALECT_HYPERCALLS	16

/* Rows of the specification but LOAD_PGTBL, by number. After IRQ_WIN and IRQ_HLT the host
 * offers its interrupts, so they are not served in the switcher. */
#define PVM_DIALECT_ROWS \
	[PVM_HC_IRQ_WIN - PVM_HC_BASE] = { "IRQ_WIN", pvm_hc_irq_win, PVM_SERVE_NOT }, \
	[PVM_HC_IRQ_HLT - PVM_HC_BASE] = { "IRQ_HLT", pvm_hc_irq_hlt, PVM_SERVE_NOT }, \
	[PVM_HC_TLB_FLUSH - PVM_HC_BASE] = { "TLB_FLUSH", pvm_hc_tlb_flush, PVM_SERVE_RESULT }, \
	[PVM_HC_TLB_FLUSH_CURRENT - PVM_HC_BASE] = \
		{ "TLB_FLUSH_CURRENT", pvm_hc_tlb_flush_current, PVM_SERVE_RESULT }, \
	[PVM_HC_TLB_INVLPG - PVM_HC_BASE] = { "TLB_INVLPG", pvm_hc_tlb_invlpg, PVM_SERVE_RESULT }, \
	[PVM_HC_LOAD_GS - PVM_HC_BASE] = { "LOAD_GS", pvm_hc_load_gs, PVM_SERVE_RESULT }, \
	[PVM_HC_RDMSR - PVM_HC_BASE] = { "RDMSR", pvm_hc_rdmsr, PVM_SERVE_RESULT }, \
	[PVM_HC_WRMSR - PVM_HC_BASE] = { "WRMSR", pvm_hc_wrmsr, PVM_SERVE_RESULT }, \
	[PVM_HC_LOAD_TLS - PVM_HC_BASE] = { "LOAD_TLS", pvm_hc_load_tls, PVM_SERVE_RESULT }

#endif /* PVM_ABI_PVM_ROWS_H */
