/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A saved guest that goes on: what its VM is made with, and what is put into it before it runs. */
#ifndef SAVED_RESTORE_H
#define SAVED_RESTORE_H

#include "description.h"
#include "saved_file.h"

/**
 * saved_options - what of @description a VM's options say.
 * @options: its disks and networks, if there are any, are in place of the saved ones.
 * Returns 0, or -1 with one line in @why, which begins with @path.
 */
int saved_options(const struct saved_description *description, const char *path,
		  struct monitor_options *options, char *why, size_t why_size);

/**
 * saved_restore - all of a guest, from its file into a VM that has not run.
 * Nothing is used before all was read, and found whole. Returns 0, or -1 with one line in @why. Signals and
 * keys have their effect meanwhile: where they have ended the VM (monitor_vm::over) that is 0, and nothing
 * was used.
 */
int saved_restore(struct monitor_vm *vm, struct saved_reader *reader, char *why, size_t why_size);

#endif /* SAVED_RESTORE_H */
