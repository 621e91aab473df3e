/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The executors of this build, by name. Owns the list and nothing else. */
#include "vm.h"

#include <string.h>

/* In the order in which they are taken where none is named. */
static const struct executor_ops *const executors[] = {
#ifdef MONITOR_HAS_KVM
	&kvm_executor,
#endif
#ifdef MONITOR_HAS_NATIVE
	&native_executor,
#endif
#ifdef MONITOR_HAS_MODEL
	&model_executor,
#endif
	NULL
};

const char *monitor_executor_name(unsigned index)
{
	unsigned i;

	for (i = 0; executors[i]; i++)
		if (i == index)
			return executors[i]->name;
	return NULL;
}

const struct executor_ops *monitor_executor(const char *name)
{
	unsigned i;

	for (i = 0; executors[i]; i++)
		if (!strcmp(executors[i]->name, name))
			return executors[i];
	return NULL;
}

const struct executor_ops *monitor_executor_default(bool limits_shadow_memory)
{
	char why[512];
	unsigned i;

	for (i = 0; executors[i]; i++) {
		if (limits_shadow_memory && executors[i]->live)
			continue;
		if (!executors[i]->available || executors[i]->available(why, sizeof(why)))
			return executors[i];
	}
	return NULL;
}
