/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * /dev/kvm. A stock module must never be taken for PVM's: only the signature in a feature MSR
 * counts, which no other module has (pvm/kvm.h).
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <pvm/kvm.h>

#define DEVICE "/dev/kvm"

static int host_open(const char *path)
{
	return open(path, O_RDWR | O_CLOEXEC);
}

static int host_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

static void host_close(int fd)
{
	close(fd);
}

struct kvm_device_calls kvm_device_calls = { host_open, host_ioctl, host_close };

int kvm_device_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do
		ret = kvm_device_calls.ioctl(fd, request, arg);
	while (ret < 0 && errno == EINTR);
	return ret;
}

int kvm_device_ask(int fd, unsigned long request, const char *name, void *arg, char *why,
		   size_t why_size)
{
	int ret = kvm_device_ioctl(fd, request, arg);

	if (ret < 0)
		snprintf(why, why_size, "%s: %s: %s", DEVICE, name, strerror(errno));
	return ret;
}

void kvm_device_close(int fd)
{
	kvm_device_calls.close(fd);
}

/* What a person can do about it. */
static const char *advice(int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return ": load kvm-pvm.ko";
	case EACCES:
	case EPERM:
		return ": it is for root and, on most systems, the group kvm";
	case EMFILE:
		return ": see 'ulimit -n'";
	default:
		return "";
	}
}

/* 0: another module's. */
static uint64_t abis_of(int fd)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = PVM_KVM_MSR_ABIS };

	if (kvm_device_ioctl(fd, KVM_GET_MSRS, &msrs) != 1 ||
	    (msrs.entry.data & ~PVM_KVM_ABIS_MASK) != PVM_KVM_ABIS_SIGNATURE)
		return 0;
	return msrs.entry.data & PVM_KVM_ABIS_MASK;
}

int kvm_device_open(uint32_t *abis, char *why, size_t why_size)
{
	int fd = kvm_device_calls.open(DEVICE), version;

	if (fd < 0) {
		snprintf(why, why_size, "the kvm executor needs " DEVICE ": %s%s", strerror(errno),
			 advice(errno));
		return -1;
	}
	version = kvm_device_ioctl(fd, KVM_GET_API_VERSION, NULL);
	*abis = version == KVM_API_VERSION ? (uint32_t)abis_of(fd) : 0;
	if (*abis)
		return fd;
	kvm_device_close(fd);
	if (version != KVM_API_VERSION)
		snprintf(why, why_size, DEVICE " does not speak KVM's API, version %d",
			 KVM_API_VERSION);
	else
		snprintf(why, why_size,
			 DEVICE " is not PVM's: another module of KVM has it (kvm-intel, kvm-amd); unload that and load kvm-pvm.ko");
	return -1;
}
