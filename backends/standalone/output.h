/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Input and output that never keep a VM from its end: descriptors of our own that do not block,
 * and writes that wait for a slow reader while the VM runs, and give up on one that takes
 * nothing once it is over.
 */
#ifndef STANDALONE_OUTPUT_H
#define STANDALONE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* How long a reader that takes nothing may be waited for when the VM is over. */
#define OUTPUT_PATIENCE_MS 2000

/**
 * output_own - the pipe or terminal @fd once more, so that it does not block while the
 * description that others share stays as it is. @flags: O_RDONLY or O_WRONLY.
 * Returns a new descriptor, or -1: a file, a socket, or no /proc; use @fd then, after poll().
 */
int output_own(int fd, int flags);

/* As read(), after poll() has said that there is something: what another reader of a socket, or of a pipe
 * whose description is not our own, has taken since is not waited for (EAGAIN). */
ssize_t output_try_read(int fd, void *buffer, size_t size);

/**
 * output_write - all of @size bytes.
 * @over: readable once the VM is over; -1: it is.
 * @patience: milliseconds, from then on, for a reader that takes nothing.
 * Returns 0, or errno: EAGAIN when that was not enough.
 */
int output_write(int fd, int over, int patience, const void *bytes, size_t size);

/* To standard error, but not for ever: it may have no reader. What is not taken in
 * OUTPUT_PATIENCE_MS is dropped. */
void output_report(const void *text, size_t size);
/* The same with a line, which may name a file: what a terminal could obey is '?', but for a tab and the end
 * of a line. */
__attribute__((format(printf, 1, 2))) void output_say(const char *format, ...);

/* How many bytes the control character at @text has, in UTF-8; 0: it is another, or @text's end. */
size_t output_control_size(const char *text);

#endif /* STANDALONE_OUTPUT_H */
