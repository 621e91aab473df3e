/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Text: formatting, two UARTs by polling, and the last line of a machine. */
#include "print.h"

#include "cpu.h"

#define COM1	0x3f8
#define COM2	0x2f8
#define LSR	5
#define LSR_THR_EMPTY	0x20
#define LSR_IDLE	0x40

#define DEBUG_EXIT	0xf4
#define BOCHS_SHUTDOWN	0x8900

static struct spinlock com2_lock;

static void uart_init(uint16_t port)
{
	outb(port + 1, 0);	/* no interrupts */
	outb(port + 3, 0x80);
	outb(port, 1);		/* 115200 baud */
	outb(port + 1, 0);
	outb(port + 3, 3);	/* 8 bits, no parity */
	outb(port + 2, 7);	/* FIFOs on and empty */
	outb(port + 4, 3);
}

static void uart_put(uint16_t port, uint8_t byte)
{
	while (!(inb(port + LSR) & LSR_THR_EMPTY))
		cpu_relax();
	outb(port, byte);
}

void print_init(void)
{
	uart_init(COM1);
	uart_init(COM2);
}

void guest_putc(uint8_t byte)
{
	uart_put(COM1, byte);
}

/* ------------------------------------------------------------------------
 * Formatting.
 */

struct text {
	char *to;
	size_t size, length;
};

static void put(struct text *text, char c)
{
	if (text->length + 1 < text->size)
		text->to[text->length] = c;
	text->length++;
}

static void put_padded(struct text *text, const char *s, size_t length, size_t width, char pad)
{
	for (; width > length; width--)
		put(text, pad);
	while (length--)
		put(text, *s++);
}

static void put_number(struct text *text, uint64_t value, unsigned base, bool negative, size_t width,
		       char pad)
{
	char digits[24];
	size_t at = sizeof(digits);

	do
		digits[--at] = "0123456789abcdef"[value % base];
	while (value /= base);
	if (negative)
		digits[--at] = '-';
	put_padded(text, digits + at, sizeof(digits) - at, width, pad);
}

static uint64_t next_number(va_list *args, unsigned longs, bool is_signed)
{
	if (longs)
		return va_arg(*args, uint64_t);
	return is_signed ? (uint64_t)va_arg(*args, int) : va_arg(*args, unsigned);
}

static void put_directive(struct text *text, const char **format, va_list *args)
{
	const char *f = *format, *s;
	char pad = *f == '0' ? '0' : ' ';
	unsigned longs = 0;
	size_t width = 0, length;
	uint64_t value;

	for (; *f >= '0' && *f <= '9'; f++)
		width = width * 10 + (size_t)(*f - '0');
	for (; *f == 'l' || *f == 'z'; f++)
		longs++;
	switch (*f) {
	case 's':
		s = va_arg(*args, const char *);
		for (length = 0; s[length]; length++)
			;
		put_padded(text, s, length, width, ' ');
		break;
	case 'c':
		put(text, (char)va_arg(*args, int));
		break;
	case 'd':
		value = next_number(args, longs, true);
		put_number(text, (int64_t)value < 0 ? -value : value, 10, (int64_t)value < 0, width, pad);
		break;
	case 'u':
		put_number(text, next_number(args, longs, false), 10, false, width, pad);
		break;
	case 'x':
	case 'p':
		put_number(text, next_number(args, *f == 'p' ? 1 : longs, false), 16, false, width, pad);
		break;
	default:
		put(text, *f);
	}
	*format = f + 1;
}

int vsnprintf(char *to, size_t size, const char *format, va_list args)
{
	struct text text = { to, size, 0 };
	va_list copy;

	va_copy(copy, args);
	while (*format) {
		char c = *format++;

		if (c == '%' && *format)
			put_directive(&text, &format, &copy);
		else
			put(&text, c);
	}
	va_end(copy);
	if (size)
		to[text.length < size ? text.length : size - 1] = 0;
	return (int)text.length;
}

int snprintf(char *to, size_t size, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(to, size, format, args);
	va_end(args);
	return length;
}

static void print_line(const char *format, va_list args)
{
	char line[400];
	const char *c;

	vsnprintf(line, sizeof(line), format, args);
	spin_lock(&com2_lock);
	for (c = line; *c; c++)
		uart_put(COM2, (uint8_t)*c);
	spin_unlock(&com2_lock);
}

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line(format, args);
	va_end(args);
}

/* ------------------------------------------------------------------------
 * The end.
 */

void machine_exit(uint8_t status)
{
	const char *c;

	irq_disable();
	while (!(inb(COM1 + LSR) & LSR_IDLE) || !(inb(COM2 + LSR) & LSR_IDLE))
		cpu_relax();
	outb(DEBUG_EXIT, status);
	for (c = "Shutdown"; *c; c++)
		outb(BOCHS_SHUTDOWN, (uint8_t)*c);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void fail(const char *format, ...)
{
	char line[360];
	va_list args;

	irq_disable();
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	com2_lock = (struct spinlock){ 0, 0 };	/* its holder may be the one that failed */
	print("minivisor: %s\n", line);
	machine_exit(EXIT_FAILED);
}
