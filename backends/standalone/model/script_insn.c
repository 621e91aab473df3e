/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Commands that are privileged instructions: they stop the guest, decoded.
 * Also what is made of them: say (OUT to the console), exit (OUT to the exit
 * port) and start (another vCPU). */
#include "script.h"

#include <string.h>

#define SERIAL_PORT	0x3f8
#define EXIT_PORT	0xf4

/* Lengths of the instructions, so that rip moves as a guest's would. */
#define LENGTH_MSR	2	/* 0f 32, 0f 30 */
#define LENGTH_MOV_CR	3	/* 0f 22 /r; DR: 0f 23 /r */
#define LENGTH_INVLPG	3	/* 0f 01 /7 */
#define LENGTH_SHORT	1	/* hlt, cli, sti, in, out with DX */
#define LENGTH_INT	2	/* cd ib */

static enum script_result stop(struct script_vcpu *v, const struct pvm_insn *insn, uint8_t vector,
			       struct pvm_guest_exit *exit)
{
	(void)v;
	model_step_insn(insn, vector, exit);
	return SCRIPT_EXIT;
}

/* The "= VALUE" at the end of a line, if there. An event came: nothing to check. */
static enum script_result check(struct script_vcpu *v, const struct script_line *line, uint64_t is)
{
	uint64_t wanted;

	if (v->event_pending || line->count < 4 || strcmp(line->word[line->count - 2], "="))
		return SCRIPT_NEXT;
	SCRIPT_EVAL(v, line, line->count - 1, &wanted);
	if (is != wanted)
		return script_fail(v->script, line, "%s %s: it is %#lx, not %#lx", line->word[0],
				   line->word[1], (unsigned long)is, (unsigned long)wanted);
	return SCRIPT_NEXT;
}

static enum script_result run_rdmsr(struct script_vcpu *v, const struct script_line *line,
				    struct pvm_guest_exit *exit)
{
	uint64_t *gpr = v->vcpu->gpr;

	if (!script_stop_once(v))
		return check(v, line, gpr[PVM_RDX] << 32 | (uint32_t)gpr[PVM_RAX]);
	SCRIPT_EVAL(v, line, 1, &gpr[PVM_RCX]);
	return stop(v, &(struct pvm_insn){ .op = PVM_INSN_RDMSR, .length = LENGTH_MSR }, PVM_VEC_GP,
		    exit);
}

static enum script_result run_wrmsr(struct script_vcpu *v, const struct script_line *line,
				    struct pvm_guest_exit *exit)
{
	uint64_t *gpr = v->vcpu->gpr, value;

	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	SCRIPT_EVAL(v, line, 1, &gpr[PVM_RCX]);
	SCRIPT_EVAL(v, line, 2, &value);
	gpr[PVM_RAX] = (uint32_t)value;
	gpr[PVM_RDX] = value >> 32;
	return stop(v, &(struct pvm_insn){ .op = PVM_INSN_WRMSR, .length = LENGTH_MSR }, PVM_VEC_GP,
		    exit);
}

/* cr NUMBER VALUE, dr NUMBER VALUE, cr3 VALUE: MOV to it from RAX. */
static enum script_result run_mov(struct script_vcpu *v, const struct script_line *line,
				  struct pvm_guest_exit *exit)
{
	struct pvm_insn insn = { .op = PVM_INSN_MOV_TO_CR, .length = LENGTH_MOV_CR, .reg = PVM_RAX,
				 .creg = 3, .size = 8 };
	uint64_t number;

	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	if (line->count == 3) {
		SCRIPT_EVAL(v, line, 1, &number);
		insn.creg = number & 0xf;
	}
	if (line->word[0][0] == 'd')
		insn.op = PVM_INSN_MOV_TO_DR;
	SCRIPT_EVAL(v, line, line->count - 1, &v->vcpu->gpr[PVM_RAX]);
	return stop(v, &insn, PVM_VEC_GP, exit);
}

static enum script_result run_invlpg(struct script_vcpu *v, const struct script_line *line,
				     struct pvm_guest_exit *exit)
{
	struct pvm_insn insn = { .op = PVM_INSN_INVLPG, .length = LENGTH_INVLPG, .memory = true };

	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	SCRIPT_EVAL(v, line, 1, &insn.address);
	return stop(v, &insn, PVM_VEC_GP, exit);
}

static enum script_result run_plain(struct script_vcpu *v, const struct script_line *line,
				    struct pvm_guest_exit *exit)
{
	static const struct {
		const char *name;
		enum pvm_insn_op op;
	} plain[] = {
		{ "hlt", PVM_INSN_HLT }, { "cli", PVM_INSN_CLI }, { "sti", PVM_INSN_STI },
	};
	struct pvm_insn insn = { .length = LENGTH_SHORT };
	size_t i;

	for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (!strcmp(plain[i].name, line->word[0]))
			insn.op = plain[i].op;
	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	stop(v, &insn, PVM_VEC_GP, exit);
	/* A halted vCPU comes back with an event; other lines run meanwhile. */
	return insn.op == PVM_INSN_HLT ? SCRIPT_LEAVE : SCRIPT_EXIT;
}

/* cpuid LEAF [SUBLEAF]: the synthetic one; results in eax, ebx, ecx, edx. */
static enum script_result run_cpuid(struct script_vcpu *v, const struct script_line *line,
				    struct pvm_guest_exit *exit)
{
	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	SCRIPT_EVAL(v, line, 1, &v->vcpu->gpr[PVM_RAX]);
	v->vcpu->gpr[PVM_RCX] = 0;
	if (line->count == 3)
		SCRIPT_EVAL(v, line, 2, &v->vcpu->gpr[PVM_RCX]);
	return stop(v, &(struct pvm_insn){ .op = PVM_INSN_SYNTHETIC_CPUID,
					   .length = PVM_SYNTHETIC_CPUID_LEN }, PVM_VEC_GP, exit);
}

static enum script_result run_int(struct script_vcpu *v, const struct script_line *line,
				  struct pvm_guest_exit *exit)
{
	struct pvm_insn insn = { .op = PVM_INSN_INT, .length = LENGTH_INT };

	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	SCRIPT_EVAL(v, line, 1, &insn.value);
	model_step_insn(&insn, PVM_VEC_GP, exit);
	exit->error_code = (uint32_t)(insn.value << 3 | 2);	/* IDT selector error code */
	return SCRIPT_EXIT;
}

/* One OUT of one byte; the caller puts rax back. */
static enum script_result out_byte(struct script_vcpu *v, uint16_t port, uint8_t value,
				   struct pvm_guest_exit *exit)
{
	v->vcpu->gpr[PVM_RAX] = value;
	v->vcpu->gpr[PVM_RDX] = port;
	return stop(v, &(struct pvm_insn){ .op = PVM_INSN_OUT, .length = LENGTH_SHORT, .size = 1,
					   .port_is_dx = true }, PVM_VEC_GP, exit);
}

static enum script_result run_out(struct script_vcpu *v, const struct script_line *line,
				  struct pvm_guest_exit *exit)
{
	uint64_t port, value;

	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	SCRIPT_EVAL(v, line, 1, &port);
	SCRIPT_EVAL(v, line, 2, &value);
	return out_byte(v, (uint16_t)port, (uint8_t)value, exit);
}

static enum script_result run_in(struct script_vcpu *v, const struct script_line *line,
				 struct pvm_guest_exit *exit)
{
	if (!script_stop_once(v))
		return check(v, line, v->vcpu->gpr[PVM_RAX] & 0xff);
	SCRIPT_EVAL(v, line, 1, &v->vcpu->gpr[PVM_RDX]);
	return stop(v, &(struct pvm_insn){ .op = PVM_INSN_IN, .length = LENGTH_SHORT, .size = 1,
					   .port_is_dx = true }, PVM_VEC_GP, exit);
}

/* say "TEXT": one character each time the guest comes back, then a newline. */
static enum script_result run_say(struct script_vcpu *v, const struct script_line *line,
				  struct pvm_guest_exit *exit)
{
	const char *text = line->word[1];
	size_t length = strlen(text);
	unsigned at = v->phase++;

	if (v->vcpu->user_mode)
		return script_fail(v->script, line, "say in user mode: it has no ports");
	if (length < 2 || text[0] != '"' || text[length - 1] != '"')
		return script_fail(v->script, line, "say wants its text in quotation marks");
	if (at < length - 1)
		return out_byte(v, SERIAL_PORT, (uint8_t)(at < length - 2 ? text[at + 1] : '\n'), exit);
	return SCRIPT_NEXT;
}

static enum script_result run_exit(struct script_vcpu *v, const struct script_line *line,
				   struct pvm_guest_exit *exit)
{
	uint64_t status;

	if (v->vcpu->user_mode)
		return script_fail(v->script, line, "exit in user mode: it has no ports");
	if (!script_stop_once(v))
		return script_fail(v->script, line, "the guest runs on after exit");
	SCRIPT_EVAL(v, line, 1, &status);
	return out_byte(v, EXIT_PORT, (uint8_t)status, exit);
}

static enum script_result run_start(struct script_vcpu *v, const struct script_line *line,
				    struct pvm_guest_exit *exit)
{
	uint64_t id, rip;

	(void)exit;
	SCRIPT_EVAL(v, line, 1, &id);
	SCRIPT_EVAL(v, line, 2, &rip);
	if (id >= v->script->machine.vcpus)
		return script_fail(v->script, line, "the VM has no vCPU %lu: it was made with %u",
				   (unsigned long)id, v->script->machine.vcpus);
	return script_start_vcpu(v->script, line, (uint32_t)id, rip) ? SCRIPT_NEXT : SCRIPT_FAIL;
}

const struct script_command script_insn_commands[] = {
	{ "rdmsr", 1, 3, "INDEX [= VALUE]", run_rdmsr },
	{ "wrmsr", 2, 2, "INDEX VALUE", run_wrmsr },
	{ "cr3", 1, 1, "VALUE", run_mov },
	{ "cr", 2, 2, "NUMBER VALUE", run_mov },
	{ "dr", 2, 2, "NUMBER VALUE", run_mov },
	{ "invlpg", 1, 1, "GVA", run_invlpg },
	{ "hlt", 0, 0, "", run_plain },
	{ "cli", 0, 0, "", run_plain },
	{ "sti", 0, 0, "", run_plain },
	{ "cpuid", 1, 2, "LEAF [SUBLEAF]", run_cpuid },
	{ "int", 1, 1, "VECTOR", run_int },
	{ "out", 2, 2, "PORT VALUE", run_out },
	{ "in", 1, 3, "PORT [= VALUE]", run_in },
	{ "say", 1, 1, "\"TEXT\"", run_say },
	{ "exit", 1, 1, "STATUS", run_exit },
	{ "start", 2, 2, "VCPU RIP", run_start },
	{ NULL, 0, 0, NULL, NULL },
};
