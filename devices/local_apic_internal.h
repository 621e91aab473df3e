/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What local_apic.c and local_apic_timer.c share. All under the bus lock. */
#ifndef DEVICES_LOCAL_APIC_INTERNAL_H
#define DEVICES_LOCAL_APIC_INTERNAL_H

#include "local_apic.h"

/* local_apic.c: a fixed interrupt arrives; an error bit is raised. */
void apic_accept_fixed(struct local_apic *apic, uint8_t vector);
void apic_error(struct local_apic *apic, uint32_t bit);

/* local_apic_timer.c: the registers of the timer. Reserved bits were checked
 * but for the mode in the LVT entry: false is #GP. */
bool apic_timer_write_lvt(struct local_apic *apic, uint32_t value);
void apic_timer_write_initial(struct local_apic *apic, uint32_t value);
void apic_timer_write_divide(struct local_apic *apic, uint32_t value);
void apic_timer_write_deadline(struct local_apic *apic, uint64_t value);
uint32_t apic_timer_current(struct local_apic *apic);

#endif /* DEVICES_LOCAL_APIC_INTERNAL_H */
