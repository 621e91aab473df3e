/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Whose is /dev/kvm? No answer makes a VM. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "fake_kernel.h"
#include "kvm/device.h"
#include "vm.h"

static char why[512];
static uint32_t abis;

static void setup(void)
{
	fake_kernel_install();
	why[0] = 0;
}

static void teardown(void)
{
	cr_assert_eq(fake_kernel.vms, 0, "a VM was made");
	cr_assert_eq(fake_kernel.descriptors, 0, "a descriptor is left");
}

TestSuite(device, .init = setup, .fini = teardown);

static void expect_refused(const char *thing)
{
	cr_assert_eq(kvm_device_open(&abis, why, sizeof(why)), -1);
	cr_assert(strstr(why, thing), "'%s' does not say '%s'", why, thing);
	cr_assert(!strchr(why, '\n'));
	cr_assert_eq(monitor_executor_default(false) == &kvm_executor, false);
}

Test(device, the_module_is_known_by_its_feature_msr)
{
	int fd = kvm_device_open(&abis, why, sizeof(why));

	cr_assert_geq(fd, 0, "%s", why);
	cr_assert_eq(abis, fake_kernel.abis);
	kvm_device_close(fd);
	cr_assert_eq(monitor_executor_default(false), &kvm_executor);
}

Test(device, a_stock_module_is_not_pvms)
{
	fake_kernel.is_pvm = false;
	expect_refused("/dev/kvm is not PVM's: another module of KVM has it");
}

Test(device, nor_is_one_that_ignores_unknown_msrs)
{
	fake_kernel.is_pvm = false;
	fake_kernel.ignores_msrs = true;
	expect_refused("not PVM's");
}

Test(device, nor_is_a_kernel_without_feature_msrs)
{
	fake_kernel.fails = KVM_GET_MSRS;
	fake_kernel.fails_errno = ENOTTY;
	expect_refused("not PVM's");
}

Test(device, another_version_of_the_api_is_refused)
{
	fake_kernel.version = KVM_API_VERSION + 1;
	expect_refused("does not speak KVM's API, version 12");
}

Test(device, what_keeps_it_from_being_opened_is_said_with_what_helps)
{
	static const struct {
		int error;
		const char *thing;
	} rows[] = {
		{ ENOENT, "No such file or directory: load kvm-pvm.ko" },
		{ ENODEV, "No such device: load kvm-pvm.ko" },
		{ ENXIO, "load kvm-pvm.ko" },
		{ EACCES, "Permission denied: it is for root and, on most systems, the group kvm" },
		{ EMFILE, "Too many open files: see 'ulimit -n'" },
		{ ENOMEM, "the kvm executor needs /dev/kvm: " },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake_kernel.open_errno = rows[i].error;
		expect_refused(rows[i].thing);
	}
}

Test(device, who_limits_shadow_memory_gets_an_executor_that_can)
{
	cr_assert_neq(monitor_executor_default(true), &kvm_executor);
}

Test(device, an_operation_that_fails_is_named)
{
	int fd = kvm_device_open(&abis, why, sizeof(why));

	fake_kernel.fails = KVM_GET_VCPU_MMAP_SIZE;
	fake_kernel.fails_errno = EIO;
	cr_assert_eq(KVM_ASK(fd, KVM_GET_VCPU_MMAP_SIZE, 0, why, sizeof(why)), -1);
	cr_assert_str_eq(why, "/dev/kvm: KVM_GET_VCPU_MMAP_SIZE: Input/output error");
	kvm_device_close(fd);
}
