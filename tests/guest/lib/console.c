/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The 16550 and printf. Must work before anything else does: no memory, no
 * page tables, no events are assumed.
 */
#include "console.h"

#include <stdarg.h>

#include "insn.h"
#include "spinlock.h"

#define UART		0x3f8
#define UART_FCR	(UART + 2)
#define UART_LCR	(UART + 3)
#define UART_LSR	(UART + 5)
#define LSR_THR_EMPTY	(1 << 5)
#define FIFO_SIZE	16	/* bytes that fit when the holding register is empty */
#define LINE_MAX	256

static struct spinlock console_lock;

void console_init(void)
{
	outb(UART_LCR, 3);	/* 8 bits, no parity */
	outb(UART_FCR, 1);	/* FIFOs on */
}

static void write_locked(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i % FIFO_SIZE == 0)
			while (!(inb(UART_LSR) & LSR_THR_EMPTY))
				cpu_relax();
		outb(UART, s[i]);
	}
}

void console_write(const char *s, size_t n)
{
	spin_lock(&console_lock);
	write_locked(s, n);
	spin_unlock(&console_lock);
}

struct line {
	char text[LINE_MAX];
	size_t used;
};

static void put(struct line *line, char c)
{
	if (line->used < LINE_MAX)
		line->text[line->used++] = c;
}

static void put_number(struct line *line, u64 value, unsigned base, int width, char pad)
{
	char digits[20];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (; width > n; width--)
		put(line, pad);
	while (n)
		put(line, digits[--n]);
}

static void put_string(struct line *line, const char *s, int width)
{
	int n = (int)strlen(s);

	while (*s)
		put(line, *s++);
	for (; width > n; width--)
		put(line, ' ');
}

/* One conversion, @f after its '%'. Returns the place after it. */
static const char *convert(struct line *line, const char *f, va_list *args)
{
	bool prefix = false, is_long = false;
	char pad = ' ';
	int width = 0;
	u64 value;

	for (; *f == '#' || *f == '0'; f++) {
		if (*f == '#')
			prefix = true;
		else
			pad = '0';
	}
	for (; *f >= '0' && *f <= '9'; f++)
		width = width * 10 + *f - '0';
	for (; *f == 'l'; f++)
		is_long = true;

	switch (*f) {
	case 's':
		put_string(line, va_arg(*args, const char *), width);
		break;
	case 'c':
		put(line, (char)va_arg(*args, int));
		break;
	case 'd': {
		s64 number = is_long ? va_arg(*args, s64) : va_arg(*args, int);

		if (number < 0)
			put(line, '-');
		put_number(line, number < 0 ? -(u64)number : (u64)number, 10, width, pad);
		break;
	}
	case 'p':
	case 'x':
		is_long |= *f == 'p';
		value = is_long ? va_arg(*args, u64) : va_arg(*args, u32);
		if (prefix || *f == 'p')
			put_string(line, "0x", 0);
		put_number(line, value, 16, width, pad);
		break;
	case 'u':
		value = is_long ? va_arg(*args, u64) : va_arg(*args, u32);
		put_number(line, value, 10, width, pad);
		break;
	default:
		put(line, *f);
		break;
	}
	return *f ? f + 1 : f;
}

void printf(const char *format, ...)
{
	struct line line = { .used = 0 };
	va_list args;

	va_start(args, format);
	while (*format) {
		if (*format == '%')
			format = convert(&line, format + 1, &args);
		else
			put(&line, *format++);
	}
	va_end(args);
	console_write(line.text, line.used);
}
