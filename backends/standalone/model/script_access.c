/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Commands that touch memory or change mode: accesses, SYSCALL in its roles,
 * exceptions, and "expect", which takes note of the event that came of it. */
#include "script.h"

#include <stdio.h>
#include <string.h>

/* An access that stops the guest this often makes no progress. */
#define MAX_ATTEMPTS 16

/* ------------------------------------------------------------------------
 * read GVA [BYTES] [= VALUE], write GVA VALUE [BYTES], exec GVA
 */

static enum script_result try_access(struct script_vcpu *v, const struct script_line *line,
				     enum model_kind kind, uint64_t gva, unsigned size,
				     uint64_t *value, struct pvm_guest_exit *exit)
{
	if (size < 1 || size > 8)
		return script_fail(v->script, line, "an access has 1 to 8 bytes");
	/* Back from an exit with an event: the access did not happen. */
	if (v->phase && v->event_pending)
		return SCRIPT_LEAVE;
	if (!v->phase)
		v->attempts = 0;
	if (kind == MODEL_EXEC)
		v->vcpu->rip = gva;
	if (model_step_access(v->cpu, v->vcpu, v->root, gva, kind, size, value, exit) ==
	    MODEL_STEP_DONE)
		return SCRIPT_NEXT;
	if (exit->kind == PVM_EXIT_FAILED)
		return script_fail(v->script, line, "%s", exit->message);
	if (exit->kind == PVM_EXIT_EXCEPTION)
		v->faults++;
	if (++v->attempts > MAX_ATTEMPTS)
		return script_fail(v->script, line, "the access to %#lx stops the guest again and again",
				   (unsigned long)gva);
	v->phase = 1;
	return SCRIPT_EXIT;
}

/* The event came instead of the access: go on after the line, with the guest running. */
static enum script_result settle(enum script_result result)
{
	return result == SCRIPT_LEAVE ? SCRIPT_NEXT : result;
}

static enum script_result run_read(struct script_vcpu *v, const struct script_line *line,
				   struct pvm_guest_exit *exit)
{
	bool checked = line->count >= 4 && !strcmp(line->word[line->count - 2], "=");
	unsigned plain = line->count - (checked ? 2 : 0);
	uint64_t gva, size = 8, value = 0, wanted = 0;
	enum script_result result;

	SCRIPT_EVAL(v, line, 1, &gva);
	if (plain == 3)
		SCRIPT_EVAL(v, line, 2, &size);
	else if (plain != 2)
		return script_fail(v->script, line, "usage: read %s", line->command->usage);
	result = try_access(v, line, MODEL_READ, gva, (unsigned)size, &value, exit);
	if (result != SCRIPT_NEXT || !checked)
		return settle(result);
	SCRIPT_EVAL(v, line, line->count - 1, &wanted);
	if (value != wanted)
		return script_fail(v->script, line, "read %s: it is %#lx, not %#lx", line->word[1],
				   (unsigned long)value, (unsigned long)wanted);
	return SCRIPT_NEXT;
}

static enum script_result run_write(struct script_vcpu *v, const struct script_line *line,
				    struct pvm_guest_exit *exit)
{
	uint64_t gva, value, size = 8;

	SCRIPT_EVAL(v, line, 1, &gva);
	SCRIPT_EVAL(v, line, 2, &value);
	if (line->count == 4)
		SCRIPT_EVAL(v, line, 3, &size);
	return settle(try_access(v, line, MODEL_WRITE, gva, (unsigned)size, &value, exit));
}

static enum script_result run_exec(struct script_vcpu *v, const struct script_line *line,
				   struct pvm_guest_exit *exit)
{
	uint64_t gva, value = 0;

	SCRIPT_EVAL(v, line, 1, &gva);
	return settle(try_access(v, line, MODEL_EXEC, gva, 1, &value, exit));
}

/* ------------------------------------------------------------------------
 * SYSCALL: syscall [RAX], hypercall NUMBER [ARG...] [= RESULT], return_user,
 * return_supervisor
 */

static enum script_result run_syscall(struct script_vcpu *v, const struct script_line *line,
				      struct pvm_guest_exit *exit)
{
	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	if (line->count == 2)
		SCRIPT_EVAL(v, line, 1, &v->vcpu->gpr[PVM_RAX]);
	model_step_syscall(v->vcpu, exit);
	return SCRIPT_EXIT;
}

static enum script_result check_result(struct script_vcpu *v, const struct script_line *line)
{
	uint64_t wanted;

	SCRIPT_EVAL(v, line, line->count - 1, &wanted);
	if (v->vcpu->gpr[PVM_RAX] != wanted)
		return script_fail(v->script, line, "hypercall %s: the result is %#lx, not %#lx",
				   line->word[1], (unsigned long)v->vcpu->gpr[PVM_RAX],
				   (unsigned long)wanted);
	return SCRIPT_NEXT;
}

static enum script_result run_hypercall(struct script_vcpu *v, const struct script_line *line,
					struct pvm_guest_exit *exit)
{
	static const unsigned argument[] = { PVM_RAX, PVM_RBX, PVM_R10, PVM_RDX, PVM_RSI };
	bool checked = line->count >= 4 && !strcmp(line->word[line->count - 2], "=");
	unsigned plain = line->count - (checked ? 2 : 0), i;
	uint64_t value[5] = { 0 };

	if (v->vcpu->user_mode && !v->phase)
		return script_fail(v->script, line, "hypercall in user mode: say syscall");
	if (plain > 6)
		return script_fail(v->script, line, "usage: hypercall %s", line->command->usage);
	if (!script_stop_once(v))
		return checked ? check_result(v, line) : SCRIPT_NEXT;
	for (i = 1; i < plain; i++)
		SCRIPT_EVAL(v, line, i, &value[i - 1]);
	for (i = 0; i < 5; i++)
		v->vcpu->gpr[argument[i]] = value[i];
	model_step_syscall(v->vcpu, exit);
	/* A halted vCPU comes back with an event; other lines run meanwhile. */
	return value[0] == PVM_HC_IRQ_HLT ? SCRIPT_LEAVE : SCRIPT_EXIT;
}

static enum script_result run_return(struct script_vcpu *v, const struct script_line *line,
				     struct pvm_guest_exit *exit)
{
	bool to_user = !strcmp(line->word[0], "return_user");

	if (v->vcpu->user_mode && !v->phase)
		return script_fail(v->script, line, "%s in user mode", line->word[0]);
	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	v->vcpu->rip = to_user ? v->vcpu->msr.retu_rip : v->vcpu->msr.rets_rip;
	model_step_syscall(v->vcpu, exit);
	return SCRIPT_EXIT;
}

/* interrupt VECTOR: the vCPU's own x2APIC sends it, asked by hypercall. */
static enum script_result run_interrupt(struct script_vcpu *v, const struct script_line *line,
					struct pvm_guest_exit *exit)
{
	uint64_t vector, index;

	SCRIPT_EVAL(v, line, 1, &vector);
	if (v->vcpu->user_mode && !v->phase)
		return script_fail(v->script, line, "interrupt in user mode: send it before return_user");
	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	script_constant("X2APIC_SELF_IPI", sizeof("X2APIC_SELF_IPI") - 1, &index);
	v->vcpu->gpr[PVM_RAX] = PVM_HC_WRMSR;
	v->vcpu->gpr[PVM_RBX] = index;
	v->vcpu->gpr[PVM_R10] = vector;
	model_step_syscall(v->vcpu, exit);
	return SCRIPT_EXIT;
}

/* raise VECTOR [CODE]; int80 */
static enum script_result run_raise(struct script_vcpu *v, const struct script_line *line,
				    struct pvm_guest_exit *exit)
{
	uint64_t vector, code = 0;

	SCRIPT_EVAL(v, line, 1, &vector);
	if (line->count == 3)
		SCRIPT_EVAL(v, line, 2, &code);
	if (vector >= PVM_VEC_EXCEPTIONS)
		return script_fail(v->script, line, "a CPU raises vectors 0 to 31, not %s", line->word[1]);
	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	model_step_exception((uint8_t)vector, (uint32_t)code, exit);
	exit->gva = pvm_gva(v->vcpu->cr2);
	return SCRIPT_EXIT;
}

static enum script_result run_int80(struct script_vcpu *v, const struct script_line *line,
				    struct pvm_guest_exit *exit)
{
	(void)line;
	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	model_step_int80(v->vcpu, exit);
	return SCRIPT_EXIT;
}

/* ------------------------------------------------------------------------
 * expect EVENT [CODE [CR2]]
 */

static bool event_vector(struct script_vcpu *v, const struct script_line *line, uint64_t *vector)
{
	static const struct {
		const char *name;
		uint8_t vector;
	} names[] = {
		{ "de", PVM_VEC_DE }, { "db", PVM_VEC_DB }, { "nmi", PVM_VEC_NMI }, { "bp", PVM_VEC_BP },
		{ "ud", PVM_VEC_UD }, { "gp", PVM_VEC_GP }, { "pf", PVM_VEC_PF }, { "ss", PVM_VEC_SS },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i].name, line->word[1])) {
			*vector = names[i].vector;
			return true;
		}
	return script_eval(v->script, v, line, line->word[1], vector);
}

static enum script_result run_expect(struct script_vcpu *v, const struct script_line *line,
				     struct pvm_guest_exit *exit)
{
	uint64_t vector, code = v->event.error_code, cr2 = v->event.cr2;
	char name[64];

	(void)exit;
	if (!v->event_pending)
		return SCRIPT_WAIT;
	if (!event_vector(v, line, &vector))
		return SCRIPT_FAIL;
	if (line->count > 2)
		SCRIPT_EVAL(v, line, 2, &code);
	if (line->count > 3)
		SCRIPT_EVAL(v, line, 3, &cr2);
	v->event_pending = false;
	if (v->event.vector != vector || v->event.error_code != code || v->event.cr2 != cr2)
		return script_fail(v->script, line, "expect %s %s %s: the event is %s", line->word[1],
				   line->count > 2 ? line->word[2] : "",
				   line->count > 3 ? line->word[3] : "",
				   script_event_name(&v->event, name, sizeof(name)));
	return SCRIPT_NEXT;
}

const struct script_command script_access_commands[] = {
	{ "read", 1, 4, "GVA [BYTES] [= VALUE]", run_read },
	{ "write", 2, 3, "GVA VALUE [BYTES]", run_write },
	{ "exec", 1, 1, "GVA", run_exec },
	{ "syscall", 0, 1, "[RAX]", run_syscall },
	{ "hypercall", 1, 7, "NUMBER [ARGUMENT...] [= RESULT]", run_hypercall },
	{ "return_user", 0, 0, "", run_return },
	{ "return_supervisor", 0, 0, "", run_return },
	{ "interrupt", 1, 1, "VECTOR", run_interrupt },
	{ "raise", 1, 2, "VECTOR [CODE]", run_raise },
	{ "int80", 0, 0, "", run_int80 },
	{ "expect", 1, 3, "EVENT [CODE [CR2]]", run_expect },
	{ NULL, 0, 0, NULL, NULL },
};
