/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A 16550A UART: registers, receive FIFO, line status. Bytes go out through a
 * callback and come in through serial16550_input().
 *
 * Freestanding; knows no host, no guest memory and no interrupt controller.
 * Never blocks. The caller serialises the calls on one UART.
 */
#ifndef DEVICES_SERIAL16550_H
#define DEVICES_SERIAL16550_H

#include <stdbool.h>
#include <stdint.h>

#include "xen_record.h"

#define SERIAL16550_REGISTERS	8
#define SERIAL16550_FIFO	16	/* bytes */

/* Registers, as offsets from the base port. With LCR.DLAB set, 0 and 1 are the divisor latch. */
#define SERIAL_RBR	0	/* read: receive buffer */
#define SERIAL_THR	0	/* write: transmit holding */
#define SERIAL_IER	1
#define SERIAL_IIR	2	/* read */
#define SERIAL_FCR	2	/* write */
#define SERIAL_LCR	3
#define SERIAL_MCR	4
#define SERIAL_LSR	5
#define SERIAL_MSR	6
#define SERIAL_SCR	7

#define SERIAL_IER_RX		0x01
#define SERIAL_IER_TX		0x02
#define SERIAL_IER_LINE		0x04
#define SERIAL_IIR_NONE		0x01
#define SERIAL_IIR_TX		0x02
#define SERIAL_IIR_RX		0x04
#define SERIAL_IIR_LINE		0x06
#define SERIAL_IIR_FIFO		0xc0
#define SERIAL_FCR_ENABLE	0x01
#define SERIAL_FCR_CLEAR_RX	0x02
#define SERIAL_LCR_DLAB		0x80
#define SERIAL_MCR_LOOP		0x10
#define SERIAL_LSR_DATA		0x01
#define SERIAL_LSR_OVERRUN	0x02
#define SERIAL_LSR_THR_EMPTY	0x20
#define SERIAL_LSR_IDLE		0x40
#define SERIAL_MSR_CTS		0x10
#define SERIAL_MSR_DSR		0x20
#define SERIAL_MSR_RI		0x40
#define SERIAL_MSR_DCD		0x80

struct serial16550 {
	void (*output)(void *host, uint8_t byte);
	void *host;
	uint8_t fifo[SERIAL16550_FIFO];
	uint8_t fifo_first, fifo_count;
	bool fifo_enabled;
	bool overrun;
	bool tx_interrupt;	/* THR became empty, which was not read in IIR yet */
	uint8_t ier, lcr, mcr, scratch;
	uint8_t divisor[2];
};

/**
 * serial16550_init - the state after reset: 8 data bits, FIFO off, line idle.
 * @output: gets each byte the guest sends; called within serial16550_write().
 * @host: handed to @output.
 */
void serial16550_init(struct serial16550 *uart, void (*output)(void *host, uint8_t byte),
		      void *host);

/* A guest's byte access to register 0..7. Reads may have effects (RBR, IIR, LSR). */
uint8_t serial16550_read(struct serial16550 *uart, unsigned reg);
void serial16550_write(struct serial16550 *uart, unsigned reg, uint8_t value);

/* How many bytes serial16550_input() takes now without an overrun. */
unsigned serial16550_room(const struct serial16550 *uart);

/* A byte arrives on the line. Without room it is lost and LSR says overrun. */
void serial16550_input(struct serial16550 *uart, uint8_t byte);

/* The level of the interrupt line, for hosts that wire it. */
bool serial16550_interrupt(const struct serial16550 *uart);

/* Its registers and what it has received, for a guest that is saved; and after serial16550_init(). False: the
 * record is bad. */
void serial16550_save(const struct serial16550 *uart, struct xen_record *to);
bool serial16550_restore(struct serial16550 *uart, struct xen_record *from);

#endif /* DEVICES_SERIAL16550_H */
