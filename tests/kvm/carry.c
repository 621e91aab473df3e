/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * carry save GUEST.elf LINES FILE: a guest until it has printed so many lines; then all of it into FILE.
 * carry load FILE: it goes on. Prints what the guest has printed and prints, and ends with its status.
 *
 * For hosts that are not the same one: see between. snapshot has moments of every kind, within one.
 */
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "serial16550.h"
#include "vcpu_state.h"

#define MEMORY		(64ull << 20)
#define PAGE		4096u
#define SERIAL		0x3f8
#define DEBUG_EXIT	0xf4
#define TEXT_MOST	65536
#define NO_PAGE		UINT64_MAX	/* in FILE, behind the last one */

/* What is not the guest's memory; of one build of this program. */
struct carried {
	uint64_t size;			/* of this */
	uint32_t abi;
	struct vcpu_state state;
	char text[TEXT_MOST];
	uint32_t text_size;
};

static struct machine m;
static struct serial16550 uart;
static struct carried carried;
static unsigned lines_to_go;		/* 0: it is not stopped */

static void keep_byte(void *host, uint8_t byte)
{
	(void)host;
	if (carried.text_size == TEXT_MOST)
		machine_die("the guest prints too much");
	carried.text[carried.text_size++] = (char)byte;
	if (byte != '\n' || !lines_to_go)
		return;
	if (!--lines_to_go)
		m.run[0]->immediate_exit = 1;
}

static void put(FILE *file, const void *data, size_t size)
{
	if (fwrite(data, size, 1, file) != 1)
		machine_die("it cannot be written: %s", strerror(errno));
}

static void take(FILE *file, void *data, size_t size)
{
	if (fread(data, size, 1, file) != 1)
		machine_die("the file ends early");
}

static void save(const char *path)
{
	static const uint8_t zero[PAGE];
	uint64_t page, none = NO_PAGE;
	FILE *file = fopen(path, "we");

	if (!file)
		machine_die("%s: %s", path, strerror(errno));
	carried.size = sizeof(carried);
	carried.abi = m.abi;
	vcpu_state_get(m.vcpu[0], &carried.state);
	put(file, &carried, sizeof(carried));
	for (page = 0; page < m.memory_size / PAGE; page++) {
		if (!memcmp(m.memory + page * PAGE, zero, PAGE))
			continue;
		put(file, &page, sizeof(page));
		put(file, m.memory + page * PAGE, PAGE);
	}
	put(file, &none, sizeof(none));
	if (fclose(file))
		machine_die("%s: %s", path, strerror(errno));
}

static void load(const char *path)
{
	uint64_t page;
	FILE *file = fopen(path, "re");

	if (!file)
		machine_die("%s: %s", path, strerror(errno));
	take(file, &carried, sizeof(carried));
	if (carried.size != sizeof(carried))
		machine_die("%s is of another build", path);
	machine_create_bare(&m, carried.abi, MEMORY, 1);
	for (take(file, &page, sizeof(page)); page != NO_PAGE; take(file, &page, sizeof(page))) {
		if (page >= MEMORY / PAGE)
			machine_die("%s has a page that is not the guest's", path);
		take(file, m.memory + page * PAGE, PAGE);
	}
	fclose(file);
	vcpu_state_set(m.vcpu[0], &carried.state);
}

/* True: the guest has ended, with *@status. */
static bool do_io(struct kvm_run *run, int *status)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned port = run->io.port;

	if (run->io.direction == KVM_EXIT_IO_IN) {
		*data = port - SERIAL < 8 ? serial16550_read(&uart, port - SERIAL) : 0xff;
		return false;
	}
	if (port - SERIAL < 8)
		serial16550_write(&uart, port - SERIAL, *data);
	*status = *data;
	return port == DEBUG_EXIT;
}

/* The guest's status; or -1: it has printed its lines, and its last exit is complete. */
static int run(void)
{
	int status;

	for (;;) {
		if (ioctl(m.vcpu[0], KVM_RUN, 0) < 0) {
			if (errno == EINTR && m.run[0]->immediate_exit)
				return -1;
			if (errno != EINTR && errno != EAGAIN)
				machine_die("KVM_RUN: %s", strerror(errno));
		} else if (m.run[0]->exit_reason != KVM_EXIT_IO) {
			machine_die("exit reason %u, suberror %u", m.run[0]->exit_reason, m.run[0]->internal.suberror);
		} else if (do_io(m.run[0], &status)) {
			return status;
		}
	}
}

int main(int argc, char **argv)
{
	bool saves = argc == 5 && !strcmp(argv[1], "save");
	int status;

	if (!saves && (argc != 3 || strcmp(argv[1], "load")))
		machine_die("usage: carry save GUEST.elf LINES FILE | carry load FILE");
	serial16550_init(&uart, keep_byte, NULL);
	if (saves) {
		lines_to_go = (unsigned)strtoul(argv[3], NULL, 0);
		machine_create(&m, argv[2], MEMORY, 1);
	} else {
		load(argv[2]);
	}
	status = run();
	if (saves && status >= 0)
		machine_die("the guest has ended before that, with status %d", status);
	if (saves) {
		save(argv[4]);
		return 0;
	}
	fwrite(carried.text, carried.text_size, 1, stdout);
	return status;
}
