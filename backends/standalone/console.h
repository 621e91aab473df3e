/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The terminal or files that are the guest's console. */
#ifndef STANDALONE_CONSOLE_H
#define STANDALONE_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

struct console {
	int in, out;		/* fds, or -1 */
	int own_in, own_out;	/* the same, as descriptions that do not block; or -1 */
	int over;		/* fd: readable once there is to be no more output; or -1 */
	bool terminal;		/* @in is one */
	bool unclaimed;		/* no session's, when it was opened */
	bool raw;		/* it was changed */
	bool keys;		/* when it is, keys that send signals do not */
	struct termios saved;
	int error;		/* errno of the first output that failed, or 0 */
	bool gave_up;		/* the reader took nothing when it was over */
	bool elsewhere;		/* the terminal was another's before the last wait */
};

/**
 * console_open - begin to use @in and @out.
 * A terminal at @in, while we are in its foreground or if no session has it, does not echo nor wait for
 * lines until console_close(); the keys that send signals still do, unless @keys: then
 * what they are is input, and output goes out as it is.
 * @over: when it is readable, output that its reader does not take in OUTPUT_PATIENCE_MS is dropped, and all
 *        that comes after it; -1: never.
 */
void console_open(struct console *console, int in, int out, int over, bool keys);
void console_close(struct console *console);

/* The process is about to stop, or was continued: the terminal is the shell's meanwhile. */
void console_suspend(struct console *console);
void console_resume(struct console *console);

/* From a signal handler of a dying process: the terminal as it was. */
void console_restore_in_handler(void);

/* Some bytes of the guest's. Waits for a slow reader, as console_open() says. Returns 0, or the errno of the
 * first output that failed; there is no output after that. */
int console_put(struct console *console, const uint8_t *bytes, unsigned count);

/*
 * Before each wait: how long it may take, in milliseconds; -1: as long as one likes. Where the terminal is
 * another's it may become ours with no signal, as by a shell's fg of a job that runs; here it is found so,
 * as by console_resume().
 */
int console_patience(struct console *console);

/* What to poll() for input; -1: nothing now (none wanted, or the terminal is another's). */
int console_input(const struct console *console);

/* At most @size bytes of input; 0: none now; -1: never again (end of file). */
int console_get(struct console *console, uint8_t *buffer, unsigned size);

#endif /* STANDALONE_CONSOLE_H */
