/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The 16550: what a driver sees in each register. */
#include <criterion/criterion.h>

#include "serial16550.h"

static uint8_t sent[64];
static unsigned sent_count;

static void record(void *host, uint8_t byte)
{
	(void)host;
	sent[sent_count++] = byte;
}

static struct serial16550 uart;

static void setup(void)
{
	sent_count = 0;
	serial16550_init(&uart, record, NULL);
}

TestSuite(serial16550, .init = setup);

static void enable_fifo(void)
{
	serial16550_write(&uart, SERIAL_FCR, SERIAL_FCR_ENABLE);
}

Test(serial16550, a_byte_written_to_thr_goes_out)
{
	serial16550_write(&uart, SERIAL_THR, 'A');
	cr_assert_eq(sent_count, 1);
	cr_assert_eq(sent[0], 'A');
}

Test(serial16550, the_transmitter_is_always_ready)
{
	serial16550_write(&uart, SERIAL_THR, 'A');
	cr_assert_eq(serial16550_read(&uart, SERIAL_LSR), SERIAL_LSR_THR_EMPTY | SERIAL_LSR_IDLE);
}

Test(serial16550, input_shows_in_lsr_and_is_read_in_order)
{
	enable_fifo();
	serial16550_input(&uart, 'x');
	serial16550_input(&uart, 'y');
	cr_assert(serial16550_read(&uart, SERIAL_LSR) & SERIAL_LSR_DATA);
	cr_assert_eq(serial16550_read(&uart, SERIAL_RBR), 'x');
	cr_assert_eq(serial16550_read(&uart, SERIAL_RBR), 'y');
	cr_assert_not(serial16550_read(&uart, SERIAL_LSR) & SERIAL_LSR_DATA);
	cr_assert_eq(serial16550_read(&uart, SERIAL_RBR), 0);
}

Test(serial16550, the_fifo_holds_sixteen_bytes_and_wraps)
{
	unsigned round, i;

	enable_fifo();
	for (round = 0; round < 3; round++) {
		for (i = 0; i < SERIAL16550_FIFO; i++) {
			cr_assert_eq(serial16550_room(&uart), SERIAL16550_FIFO - i);
			serial16550_input(&uart, (uint8_t)(round * 16 + i));
		}
		cr_assert_eq(serial16550_room(&uart), 0);
		for (i = 0; i < 11; i++)
			cr_assert_eq(serial16550_read(&uart, SERIAL_RBR), round * 16 + i);
		for (; i < SERIAL16550_FIFO; i++)
			cr_assert_eq(serial16550_read(&uart, SERIAL_RBR), round * 16 + i);
	}
}

Test(serial16550, without_the_fifo_one_byte_fits)
{
	cr_assert_eq(serial16550_room(&uart), 1);
	serial16550_input(&uart, 'x');
	cr_assert_eq(serial16550_room(&uart), 0);
}

Test(serial16550, a_byte_without_room_is_lost_and_reported_once)
{
	serial16550_input(&uart, 'x');
	serial16550_input(&uart, 'y');
	cr_assert(serial16550_read(&uart, SERIAL_LSR) & SERIAL_LSR_OVERRUN);
	cr_assert_not(serial16550_read(&uart, SERIAL_LSR) & SERIAL_LSR_OVERRUN);
	cr_assert_eq(serial16550_read(&uart, SERIAL_RBR), 'x');
	cr_assert_not(serial16550_read(&uart, SERIAL_LSR) & SERIAL_LSR_DATA);
}

Test(serial16550, clearing_the_receive_fifo_drops_input)
{
	enable_fifo();
	serial16550_input(&uart, 'x');
	serial16550_write(&uart, SERIAL_FCR, SERIAL_FCR_ENABLE | SERIAL_FCR_CLEAR_RX);
	cr_assert_not(serial16550_read(&uart, SERIAL_LSR) & SERIAL_LSR_DATA);
}

Test(serial16550, dlab_makes_0_and_1_the_divisor)
{
	serial16550_write(&uart, SERIAL_IER, 0x05);
	serial16550_write(&uart, SERIAL_LCR, SERIAL_LCR_DLAB | 3);
	serial16550_write(&uart, 0, 0x0c);
	serial16550_write(&uart, 1, 0x01);
	cr_assert_eq(serial16550_read(&uart, 0), 0x0c);
	cr_assert_eq(serial16550_read(&uart, 1), 0x01);
	serial16550_write(&uart, SERIAL_LCR, 3);
	cr_assert_eq(serial16550_read(&uart, SERIAL_IER), 0x05);
	cr_assert_eq(sent_count, 0, "the divisor was sent as a byte");
	cr_assert_eq(serial16550_read(&uart, SERIAL_LCR), 3);
}

Test(serial16550, the_scratch_register_keeps_its_value)
{
	serial16550_write(&uart, SERIAL_SCR, 0x5a);
	cr_assert_eq(serial16550_read(&uart, SERIAL_SCR), 0x5a);
}

Test(serial16550, reserved_bits_of_ier_and_mcr_read_as_zero)
{
	serial16550_write(&uart, SERIAL_IER, 0xff);
	serial16550_write(&uart, SERIAL_MCR, 0xef);
	cr_assert_eq(serial16550_read(&uart, SERIAL_IER), 0x0f);
	cr_assert_eq(serial16550_read(&uart, SERIAL_MCR), 0x0f);
}

Test(serial16550, iir_names_the_highest_interrupt)
{
	cr_assert_eq(serial16550_read(&uart, SERIAL_IIR), SERIAL_IIR_NONE);
	cr_assert_not(serial16550_interrupt(&uart));
	serial16550_write(&uart, SERIAL_IER, SERIAL_IER_RX | SERIAL_IER_TX | SERIAL_IER_LINE);
	serial16550_input(&uart, 'x');
	serial16550_input(&uart, 'y');
	cr_assert(serial16550_interrupt(&uart));
	cr_assert_eq(serial16550_read(&uart, SERIAL_IIR), SERIAL_IIR_LINE);
	serial16550_read(&uart, SERIAL_LSR);
	cr_assert_eq(serial16550_read(&uart, SERIAL_IIR), SERIAL_IIR_RX);
	serial16550_read(&uart, SERIAL_RBR);
	cr_assert_eq(serial16550_read(&uart, SERIAL_IIR), SERIAL_IIR_TX);
	cr_assert_eq(serial16550_read(&uart, SERIAL_IIR), SERIAL_IIR_NONE, "reading IIR takes it");
	serial16550_write(&uart, SERIAL_THR, 'z');
	cr_assert_eq(serial16550_read(&uart, SERIAL_IIR), SERIAL_IIR_TX);
}

Test(serial16550, iir_tells_that_the_fifo_is_on)
{
	enable_fifo();
	cr_assert_eq(serial16550_read(&uart, SERIAL_IIR), SERIAL_IIR_NONE | SERIAL_IIR_FIFO);
}

Test(serial16550, in_loopback_output_is_input)
{
	serial16550_write(&uart, SERIAL_MCR, SERIAL_MCR_LOOP);
	serial16550_write(&uart, SERIAL_THR, 'L');
	cr_assert_eq(sent_count, 0);
	cr_assert_eq(serial16550_read(&uart, SERIAL_RBR), 'L');
}

Test(serial16550, in_loopback_modem_status_is_modem_control)
{
	serial16550_write(&uart, SERIAL_MCR, SERIAL_MCR_LOOP | 0x0a);
	cr_assert_eq(serial16550_read(&uart, SERIAL_MSR), SERIAL_MSR_CTS | SERIAL_MSR_DCD);
	serial16550_write(&uart, SERIAL_MCR, SERIAL_MCR_LOOP | 0x05);
	cr_assert_eq(serial16550_read(&uart, SERIAL_MSR), SERIAL_MSR_DSR | SERIAL_MSR_RI);
	serial16550_write(&uart, SERIAL_MCR, 0);
	cr_assert_eq(serial16550_read(&uart, SERIAL_MSR),
		     SERIAL_MSR_CTS | SERIAL_MSR_DSR | SERIAL_MSR_DCD);
}

Test(serial16550, saved_it_goes_on_where_it_was)
{
	uint8_t bytes[64];
	struct xen_record record = { .bytes = bytes, .size = sizeof(bytes) };
	struct serial16550 other;

	serial16550_write(&uart, SERIAL_FCR, SERIAL_FCR_ENABLE);
	serial16550_write(&uart, SERIAL_LCR, SERIAL_LCR_DLAB | 3);
	serial16550_write(&uart, 0, 0x34);
	serial16550_write(&uart, SERIAL_LCR, 3);
	serial16550_write(&uart, SERIAL_IER, SERIAL_IER_RX);
	serial16550_write(&uart, SERIAL_SCR, 0x5a);
	serial16550_input(&uart, 'a');
	serial16550_input(&uart, 'b');
	serial16550_input(&uart, 'c');
	cr_expect_eq(serial16550_read(&uart, 0), 'a');
	serial16550_save(&uart, &record);
	cr_assert_not(record.is_bad);
	record.size = record.at;
	record.at = 0;
	serial16550_init(&other, NULL, NULL);
	cr_assert(serial16550_restore(&other, &record) && xen_record_is_whole(&record));
	cr_expect_eq(serial16550_read(&other, 0), 'b');
	cr_expect_eq(serial16550_read(&other, 0), 'c');
	cr_expect_eq(serial16550_read(&other, SERIAL_SCR), 0x5a);
	cr_expect_eq(serial16550_read(&other, SERIAL_LCR), 3);
	cr_expect_eq(serial16550_read(&other, SERIAL_IER), SERIAL_IER_RX);
	cr_expect_eq(serial16550_read(&other, SERIAL_IIR) & SERIAL_IIR_FIFO, SERIAL_IIR_FIFO);
	serial16550_write(&other, SERIAL_LCR, SERIAL_LCR_DLAB);
	cr_expect_eq(serial16550_read(&other, 0), 0x34);
	record.at = 0;
	bytes[9] = 255;
	cr_expect_not(serial16550_restore(&other, &record), "more than it holds");
}
