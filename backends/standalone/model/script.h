/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A script: what a guest of the model does, one command per line. The language
 * is described in docs/model-script.md. Owns the text, its names and its
 * checks; commands act on a vCPU only as a guest could, and stop with a
 * guest_exit whenever a guest would stop. Host-side commands ("host ...")
 * call the engine as a monitor does.
 *
 * Errors are one line: "FILE:LINE: what is wrong with which thing".
 */
#ifndef MODEL_SCRIPT_H
#define MODEL_SCRIPT_H

#include <pthread.h>

#include "../monitor.h"
#include "cpu.h"
#include "step.h"

#define SCRIPT_MAX_WORDS	12
#define SCRIPT_MESSAGE		256

struct script_line {
	unsigned number;		/* in the text, from 1 */
	unsigned count;
	char *word[SCRIPT_MAX_WORDS];	/* word[0] is the command */
	const struct script_command *command;
};

struct script_name {
	char *name;
	uint64_t value;
	uint8_t levels;			/* of a table, else 0 */
};

/* What the script needs of the machine it runs on. */
struct script_machine {
	struct pvm_vm *vm;
	uint8_t *memory;		/* guest memory */
	uint64_t memory_size;
	unsigned vcpus;
};

struct script {
	const char *file;
	char *text;			/* words point into it */
	struct script_line *line;
	unsigned lines;
	struct script_name *name;
	unsigned names;
	struct script_machine machine;

	/* Running. Under lock. */
	pthread_mutex_t lock;
	pthread_cond_t turn;
	unsigned next;			/* line */
	unsigned current;		/* vCPU whose turn it is */
	uint64_t pool, pool_end;	/* free guest pages for tables */
	bool failed;
	char message[SCRIPT_MESSAGE];
};

/* A vCPU as a runner of lines. */
struct script_vcpu {
	struct script *script;
	struct pvm_vcpu *vcpu;
	struct model_cpu *cpu;
	pvm_hpa_t root;			/* for this run */

	unsigned phase;			/* of a command that has stopped the guest; 0: a new line */
	unsigned attempts;		/* exits of the present access */
	uint64_t saved_rax;
	struct model_place place;	/* when the guest stopped */
	bool event_pending;		/* delivered, no "expect" has seen it yet */
	struct model_event event;	/* the last one */
	uint64_t faults;		/* #PF exits, all of them */
	bool kicked;			/* under script->lock */
	bool halted;			/* its last exit was a halt */
};

enum script_result {
	SCRIPT_NEXT,	/* done: go on with the next line */
	SCRIPT_EXIT,	/* the guest stopped: exit is filled, the command goes on later */
	SCRIPT_LEAVE,	/* the guest stopped, and the command is done */
	SCRIPT_WAIT,	/* nothing yet: wait for a kick, then try again */
	SCRIPT_FAIL,	/* script->message */
};

struct script_command {
	const char *name;
	unsigned min, max;		/* words after the name */
	const char *usage;
	enum script_result (*run)(struct script_vcpu *v, const struct script_line *line,
				  struct pvm_guest_exit *exit);
};

/* ------------------------------------------------------------------------
 * script.c: text.
 */

/* Takes @text over (malloc'ed). Returns false with script->message. @config is
 * changed by the script's config lines; it may be NULL (they are only checked). */
bool script_parse(struct script *script, const char *file, char *text, struct pvm_vm_config *config);
void script_free(struct script *script);

/* Sets the message, with file and line; always returns SCRIPT_FAIL. */
enum script_result script_fail(struct script *script, const struct script_line *line,
			       const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Define or change a name. False: no memory, or the name is one of ours. */
bool script_define(struct script *script, const char *name, uint64_t value, uint8_t levels);
const struct script_name *script_find_name(const struct script *script, const char *name,
					   size_t length);

/* ------------------------------------------------------------------------
 * script_expr.c: expressions.
 */

/* The value of @word. False with script->message. @v NULL: before the guest runs,
 * so registers and functions have no value. */
bool script_eval(struct script *script, struct script_vcpu *v, const struct script_line *line,
		 const char *word, uint64_t *value);

/* In a command: evaluate word @index of @line into *@value, or leave with the failure. */
#define SCRIPT_EVAL(v, line, index, value) \
	do { \
		if (!script_eval((v)->script, (v), (line), (line)->word[index], (value))) \
			return SCRIPT_FAIL; \
	} while (0)

/* The gpa of the guest's entry for @gva at @level under @root, or 0. */
uint64_t script_entry(struct script *script, const struct script_vcpu *v, uint64_t root,
		      uint64_t gva, unsigned level);

/* script_names.c: registers, constants. */
bool script_register_get(const struct script_vcpu *v, const char *name, size_t length,
			 uint64_t *value);
bool script_register_set(struct script_vcpu *v, const char *name, uint64_t value);
bool script_register_known(const char *name, size_t length);
bool script_constant(const char *name, size_t length, uint64_t *value);

/* ------------------------------------------------------------------------
 * Commands and the loop over them.
 */

/* script_access.c, _setup.c, _insn.c, _boot.c: NULL-name-terminated. */
extern const struct script_command script_access_commands[];
extern const struct script_command script_setup_commands[];
extern const struct script_command script_insn_commands[];
extern const struct script_command script_boot_commands[];

/* script_run.c: run lines until the guest stops. exit is filled. */
void script_run(struct script_vcpu *v, struct pvm_guest_exit *exit);
void script_kick(struct script_vcpu *v);

/* In a command that stops the guest once: true the first time, false when the
 * guest is back and the command is done. */
static inline bool script_stop_once(struct script_vcpu *v)
{
	bool first = v->phase == 0;

	v->phase = 1;
	return first;
}

/* script_start.c: start another vCPU as a guest would, through the ACPI
 * multiprocessor wakeup mailbox. False with script->message. */
bool script_start_vcpu(struct script *script, const struct script_line *line, uint32_t apic_id,
		       uint64_t rip);

/* "#PF", "interrupt 0x31": for messages. */
const char *script_event_name(const struct model_event *event, char *buf, size_t size);

#endif /* MODEL_SCRIPT_H */
