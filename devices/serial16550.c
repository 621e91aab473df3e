/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A 16550A UART (National Semiconductor PC16550D data sheet). The transmitter
 * is always idle: a byte is out when the write returns. Must never block.
 */
#include "serial16550.h"

void serial16550_init(struct serial16550 *uart, void (*output)(void *host, uint8_t byte),
		      void *host)
{
	*uart = (struct serial16550){ .output = output, .host = host, .lcr = 0x03 };
}

/* Without the FIFO one byte fits. */
static unsigned capacity(const struct serial16550 *uart)
{
	return uart->fifo_enabled ? SERIAL16550_FIFO : 1;
}

unsigned serial16550_room(const struct serial16550 *uart)
{
	unsigned size = capacity(uart);

	return uart->fifo_count < size ? size - uart->fifo_count : 0;
}

void serial16550_input(struct serial16550 *uart, uint8_t byte)
{
	if (!serial16550_room(uart)) {
		uart->overrun = true;
		return;
	}
	uart->fifo[(uart->fifo_first + uart->fifo_count) % SERIAL16550_FIFO] = byte;
	uart->fifo_count++;
}

static uint8_t read_receive_buffer(struct serial16550 *uart)
{
	uint8_t byte;

	if (!uart->fifo_count)
		return 0;
	byte = uart->fifo[uart->fifo_first];
	uart->fifo_first = (uart->fifo_first + 1) % SERIAL16550_FIFO;
	uart->fifo_count--;
	return byte;
}

/* The highest-priority interrupt that is enabled and there. */
static uint8_t interrupt_id(const struct serial16550 *uart)
{
	if ((uart->ier & SERIAL_IER_LINE) && uart->overrun)
		return SERIAL_IIR_LINE;
	if ((uart->ier & SERIAL_IER_RX) && uart->fifo_count)
		return SERIAL_IIR_RX;
	if ((uart->ier & SERIAL_IER_TX) && uart->tx_interrupt)
		return SERIAL_IIR_TX;
	return SERIAL_IIR_NONE;
}

bool serial16550_interrupt(const struct serial16550 *uart)
{
	return interrupt_id(uart) != SERIAL_IIR_NONE;
}

static uint8_t line_status(struct serial16550 *uart)
{
	uint8_t status = SERIAL_LSR_THR_EMPTY | SERIAL_LSR_IDLE;

	if (uart->fifo_count)
		status |= SERIAL_LSR_DATA;
	if (uart->overrun)
		status |= SERIAL_LSR_OVERRUN;
	uart->overrun = false;
	return status;
}

/* Connected and ready; in loopback the four outputs of MCR. */
static uint8_t modem_status(const struct serial16550 *uart)
{
	if (!(uart->mcr & SERIAL_MCR_LOOP))
		return SERIAL_MSR_CTS | SERIAL_MSR_DSR | SERIAL_MSR_DCD;
	return (uart->mcr & 0x02 ? SERIAL_MSR_CTS : 0) | (uart->mcr & 0x01 ? SERIAL_MSR_DSR : 0) |
	       (uart->mcr & 0x04 ? SERIAL_MSR_RI : 0) | (uart->mcr & 0x08 ? SERIAL_MSR_DCD : 0);
}

uint8_t serial16550_read(struct serial16550 *uart, unsigned reg)
{
	uint8_t id;

	switch (reg) {
	case SERIAL_RBR:
		if (uart->lcr & SERIAL_LCR_DLAB)
			return uart->divisor[0];
		return read_receive_buffer(uart);
	case SERIAL_IER:
		return uart->lcr & SERIAL_LCR_DLAB ? uart->divisor[1] : uart->ier;
	case SERIAL_IIR:
		id = interrupt_id(uart);
		if (id == SERIAL_IIR_TX)
			uart->tx_interrupt = false;
		return id | (uart->fifo_enabled ? SERIAL_IIR_FIFO : 0);
	case SERIAL_LCR:
		return uart->lcr;
	case SERIAL_MCR:
		return uart->mcr;
	case SERIAL_LSR:
		return line_status(uart);
	case SERIAL_MSR:
		return modem_status(uart);
	case SERIAL_SCR:
		return uart->scratch;
	}
	return 0xff;
}

static void transmit(struct serial16550 *uart, uint8_t byte)
{
	if (uart->mcr & SERIAL_MCR_LOOP)
		serial16550_input(uart, byte);
	else
		uart->output(uart->host, byte);
	uart->tx_interrupt = true;
}

static void write_fifo_control(struct serial16550 *uart, uint8_t value)
{
	bool enable = value & SERIAL_FCR_ENABLE;

	if (enable != uart->fifo_enabled || (value & SERIAL_FCR_CLEAR_RX))
		uart->fifo_count = 0;
	uart->fifo_enabled = enable;
}

void serial16550_write(struct serial16550 *uart, unsigned reg, uint8_t value)
{
	switch (reg) {
	case SERIAL_THR:
		if (uart->lcr & SERIAL_LCR_DLAB)
			uart->divisor[0] = value;
		else
			transmit(uart, value);
		break;
	case SERIAL_IER:
		if (uart->lcr & SERIAL_LCR_DLAB) {
			uart->divisor[1] = value;
			break;
		}
		/* Enabling the transmit interrupt raises it at once: the line is idle. */
		if ((value & SERIAL_IER_TX) && !(uart->ier & SERIAL_IER_TX))
			uart->tx_interrupt = true;
		uart->ier = value & 0x0f;
		break;
	case SERIAL_FCR:
		write_fifo_control(uart, value);
		break;
	case SERIAL_LCR:
		uart->lcr = value;
		break;
	case SERIAL_MCR:
		uart->mcr = value & 0x1f;
		break;
	case SERIAL_SCR:
		uart->scratch = value;
		break;
	}
}

void serial16550_save(const struct serial16550 *uart, struct xen_record *to)
{
	const uint8_t registers[] = { uart->fifo_enabled, uart->overrun,    uart->tx_interrupt,
				      uart->ier,	  uart->lcr,	    uart->mcr,
				      uart->scratch,	  uart->divisor[0], uart->divisor[1] };
	uint8_t i;

	xen_record_put(to, registers, sizeof(registers));
	xen_record_put32(to, uart->fifo_count);
	for (i = 0; i < uart->fifo_count; i++)
		xen_record_put(to, &uart->fifo[(uart->fifo_first + i) % SERIAL16550_FIFO], 1);
}

bool serial16550_restore(struct serial16550 *uart, struct xen_record *from)
{
	uint8_t registers[9];

	xen_record_get(from, registers, sizeof(registers));
	uart->fifo_enabled = registers[0] & 1;
	uart->overrun = registers[1] & 1;
	uart->tx_interrupt = registers[2] & 1;
	uart->ier = registers[3];
	uart->lcr = registers[4];
	uart->mcr = registers[5];
	uart->scratch = registers[6];
	uart->divisor[0] = registers[7];
	uart->divisor[1] = registers[8];
	uart->fifo_first = 0;
	uart->fifo_count = (uint8_t)xen_record_most(from, SERIAL16550_FIFO);
	xen_record_get(from, uart->fifo, uart->fifo_count);
	return !from->is_bad;
}
