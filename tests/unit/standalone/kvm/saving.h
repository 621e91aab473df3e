/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A guest of the fake kernel's that goes on from a file of the test's own, and a client of its control
 * socket. Tests have saving_begin() and saving_end() around them.
 */
#ifndef TEST_SAVING_H
#define TEST_SAVING_H

#include "control.h"
#include "description.h"
#include "fake_kernel.h"

#define MEMORY		(16ull << 20)
#define PAGES		(MEMORY / 4096)
#define CONSOLE_PORT	3u
#define STORE_PORT	4u
#define CONSOLE_PAGE	5u

extern char first[64], second[64];	/* names of files: of the one to go on from, and of none */
extern char why[512];
extern const char *saving_trace;	/* where its next VM has its trace; NULL: none */
extern const char *saving_disk;	/* --disk= of its next VM; NULL: as the file says */
extern int saving_console;	/* what it reads as its console, or -1 */
extern bool saving_signals, saving_keys;	/* signals are heard; Ctrl-A x ends it */
extern struct monitor_options options;
extern struct monitor_result result;
extern struct monitor_vm *vm;
extern const struct control_request saving_ends, saving_goes_on;

void saving_begin(void);
void saving_end(void);
/* Once more, of a guest with that disk; NULL: without. saving_begin() makes one without. */
void saving_make_first(const struct saved_disk *disk);

/* A VM that has not run; NULL with the line. Afterwards: saving_forget(). */
struct monitor_vm *saving_restore(const char *path);
void saving_forget(void);

/* The same, running in another thread; until its end, or to its end. */
void saving_start(const char *path);
void saving_finish(enum monitor_end end);
void saving_stop(void);

/* The socket; -1: there is none. The second waits for it. */
int saving_try_connect(void);
int saving_connect(void);
/* A request with @count descriptors, all of them @file; and what comes of it. */
void saving_ask(int to, const void *bytes, size_t size, int file, unsigned count);
struct control_reply saving_reply(int from);
int saving_new_file(const char *path);
/* All of it. */
struct control_reply saving_save(const char *path, const struct control_request *request);

#endif /* TEST_SAVING_H */
