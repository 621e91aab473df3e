/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The executor without a CPU. Owns the switches of struct fake; never touches guest memory. */
#include "fake_executor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "debug_exit.h"
#include "fixture.h"

struct fake fake;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t kicked = PTHREAD_COND_INITIALIZER;
static bool kick_pending[MONITOR_MAX_VCPUS];

static void exit_0(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	fake_out(vcpu, exit, DEBUG_EXIT_PORT, 0);
}

void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(kick_pending, 0, sizeof(kick_pending));
	fake.run = exit_0;
	fake.vcpu_init_fails = -1;
}

void fake_out(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit, uint16_t port, uint8_t value)
{
	vcpu->pvm.gpr[PVM_RAX] = value;
	exit->kind = PVM_EXIT_INSN;
	exit->vector = PVM_VEC_GP;
	exit->error_code = 0;
	exit->insn = (struct pvm_insn){ .op = PVM_INSN_OUT, .length = 1, .size = 1, .port = port };
}

void fake_exception(struct pvm_guest_exit *exit, uint8_t vector, uint32_t error_code)
{
	exit->kind = PVM_EXIT_EXCEPTION;
	exit->vector = vector;
	exit->error_code = error_code;
}

void fake_wait_for_kick(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	pthread_mutex_lock(&lock);
	while (!kick_pending[vcpu->pvm.id])
		pthread_cond_wait(&kicked, &lock);
	kick_pending[vcpu->pvm.id] = false;
	pthread_mutex_unlock(&lock);
	exit->kind = PVM_EXIT_KICK;
}

/* What a hypervisor below us might say of itself. */
static const struct pvm_cpuid_entry other_hypervisor = {
	.leaf = 0x40000003, .eax = 0xdead, .ebx = 0xdead, .ecx = 0xdead, .edx = 0xdead,
};

static int fake_probe(struct pvm_vm_config *config, const char *guest, char *why, size_t why_size)
{
	(void)guest;
	*config = fixture_config();
	config->cpuid = &other_hypervisor;
	config->cpuid_count = 1;
	if (!fake.upper_half)
		config->range =
			(struct pvm_linear_range){ PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE,
						   PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE };
	if (fake.probe_fails)
		snprintf(why, why_size, "this host lacks a wheel");
	return fake.probe_fails ? -1 : 0;
}

static int fake_vm_init(struct monitor_vm *vm, char *why, size_t why_size)
{
	(void)vm;
	if (fake.vm_init_fails) {
		snprintf(why, why_size, "no room for a VM");
		return -1;
	}
	fake.vms_alive++;
	return 0;
}

static void fake_vm_destroy(struct monitor_vm *vm)
{
	(void)vm;
	fake.vms_alive--;
}

static int fake_vcpu_init(struct monitor_vcpu *vcpu, char *why, size_t why_size)
{
	if ((int)vcpu->pvm.id == fake.vcpu_init_fails) {
		usleep(50000);	/* others could begin */
		snprintf(why, why_size, "no room for vCPU %u", vcpu->pvm.id);
		return -1;
	}
	fake.vcpus_alive++;
	return 0;
}

static void fake_vcpu_destroy(struct monitor_vcpu *vcpu)
{
	(void)vcpu;
	fake.vcpus_alive--;
}

static void fake_run(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	fake.runs++;
	fake.run(vcpu, exit);
}

static void fake_kick(struct monitor_vcpu *vcpu)
{
	fake.kicks++;
	pthread_mutex_lock(&lock);
	kick_pending[vcpu->pvm.id] = true;
	pthread_cond_broadcast(&kicked);
	pthread_mutex_unlock(&lock);
}

static void fake_tlb_flush(struct monitor_vm *vm, const struct pvm_tlb_flush *flush)
{
	(void)vm;
	(void)flush;
}

const struct executor_ops fake_executor = {
	.name = "fake",
	.probe = fake_probe,
	.vm_init = fake_vm_init,
	.vm_destroy = fake_vm_destroy,
	.vcpu_init = fake_vcpu_init,
	.vcpu_destroy = fake_vcpu_destroy,
	.run = fake_run,
	.kick = fake_kick,
	.tlb_flush = fake_tlb_flush,
};
