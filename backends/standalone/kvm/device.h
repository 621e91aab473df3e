/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * /dev/kvm: opened, asked whether it is PVM's, and spoken to by name, so that what fails says
 * what it was. Knows nothing of a VM.
 */
#ifndef KVM_DEVICE_H
#define KVM_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The host's calls: a test puts a kernel of its own here. */
struct kvm_device_calls {
	int (*open)(const char *path);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	void (*close)(int fd);
};

extern struct kvm_device_calls kvm_device_calls;

/**
 * kvm_device_open - open /dev/kvm, if it is kvm-pvm.ko's.
 * @abis: which guest ABIs it runs, 1 << enum pvm_abi each.
 * Makes no VM. Returns the descriptor, or -1 with one line in @why that says what to do.
 */
int kvm_device_open(uint32_t *abis, char *why, size_t why_size);
void kvm_device_close(int fd);

/* ioctl(2), again when a signal came. Not for KVM_RUN, where one is meant. */
int kvm_device_ioctl(int fd, unsigned long request, void *arg);

/* The same; what fails is said in @why, by @name. -1: it has failed. */
int kvm_device_ask(int fd, unsigned long request, const char *name, void *arg, char *why,
		   size_t why_size);
#define KVM_ASK(fd, request, arg, why, why_size) \
	kvm_device_ask(fd, request, #request, (void *)(uintptr_t)(arg), why, why_size)

#endif /* KVM_DEVICE_H */
