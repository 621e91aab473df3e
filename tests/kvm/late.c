/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * late SERVANT.elf: a CPU that runs guests for the first time when there are VMs already. The first job, as
 * it is no first time after any other.
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CPU1	"/sys/devices/system/cpu/cpu1/online"
#define PAGES	64

static struct client c;

int main(int argc, char **argv)
{
	cpu_set_t cpus;

	if (argc != 2)
		machine_die("usage: late SERVANT.elf");
	machine_put(CPU1, "0");
	client_create(&c, argv[1], 2);
	client_hammer(&c);
	client_wait_for_lap(&c);
	machine_put(CPU1, "1");
	CPU_ZERO(&cpus);
	CPU_SET(1, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		machine_die("CPU 1: %s", strerror(errno));
	check(client_writes(&c, 100, PAGES, 1, 1) && client_finds(&c, 100, PAGES, 1, 1),
	      "a vCPU runs on a CPU that came later than its VM");
	client_wait_for_lap(&c);
	check(!client_hammer_ends(&c), "and nothing is lost");
	client_destroy(&c);
	return check_finish();
}
