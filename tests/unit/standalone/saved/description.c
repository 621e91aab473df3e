/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What a saved guest is: there and back, with what is no description; and on which CPU it can go on. */
#include "description.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct saved_description description, parsed;
static char why[256];

static void setup(void)
{
	memset(&description, 0, sizeof(description));
	description.kernel = "/boot/vmlinuz-6.1";
	description.command_line = "console=hvc0 \"a b\"";
	description.memory = 512ull << 20;
	description.vcpus = 2;
	description.disk_count = 2;
	description.disks[0] = (struct saved_disk){ "/d/a", 1ull << 40, false, "1790000000.000000001" };
	description.disks[1] = (struct saved_disk){ "/d/b", 512, true, "" };
	description.net_count = 2;
	description.nets[0] =
		(struct monitor_net){ .forward_from = 8022, .forward_to = 22, .loopback = true };
	description.nets[1] = (struct monitor_net){ .tap = "tap0" };
	description.cpuid_count = 2;
	description.cpuid[0] = (struct pvm_cpuid_entry){ .leaf = 1, .eax = 0xffffffff, .ecx = 5 };
	description.cpuid[1] = (struct pvm_cpuid_entry){ .leaf = 7, .subleaf = 1, .subleaf_matters = true,
							 .edx = 1 };
}

TestSuite(description, .init = setup);

static const char *parse(const char *text)
{
	return saved_description_parse(&parsed, text, strlen(text));
}

Test(description, there_and_back)
{
	char *text = saved_description_print(&description), *again;

	cr_assert_not_null(text);
	cr_assert_null(parse(text));
	cr_expect_str_eq(parsed.kernel, description.kernel);
	cr_expect_str_eq(parsed.command_line, description.command_line);
	cr_expect(parsed.memory == description.memory && parsed.vcpus == 2);
	cr_expect(parsed.disk_count == 2 && parsed.disks[0].bytes == 1ull << 40 && parsed.disks[1].read_only);
	cr_expect_str_eq(parsed.disks[1].path, "/d/b");
	cr_expect_str_eq(parsed.disks[0].written, "1790000000.000000001");
	cr_expect_str_eq(parsed.disks[1].written, "");
	cr_expect(parsed.nets[0].forward_from == 8022 && parsed.nets[0].forward_to == 22);
	cr_expect(parsed.nets[0].loopback && !parsed.nets[0].tap && !parsed.nets[1].loopback);
	cr_expect_str_eq(parsed.nets[1].tap, "tap0");
	cr_expect(parsed.cpuid_count == 2 && parsed.cpuid[0].eax == 0xffffffff &&
		  parsed.cpuid[1].subleaf_matters);
	again = saved_description_print(&parsed);
	cr_expect_str_eq(again, text);
	free(again);
	free(text);
	saved_description_close(&parsed);
}

/* Each row: what is replaced in a good one, and what is said then. */
Test(description, each_field_garbled)
{
	static const struct {
		const char *was, *is, *said;
	} rows[] = {
		{ "{\"kernel\"", "[\"kernel\"", "its description is not JSON" },
		{ "\"kernel\"", "\"Kernel\"", "no kernel" },
		{ "\"/boot/vmlinuz-6.1\"", "5", "no kernel" },
		{ "\"command_line\"", "\"x\"", "no kernel" },
		{ "536870912", "536870913", "no possible memory size" },
		{ "536870912", "4096", "no possible memory size" },
		{ "536870912", "1e300", "no possible memory size" },
		{ "536870912", "-4096", "no possible memory size" },
		{ "536870912", "17179873280", "no possible memory size" },
		{ "\"vcpus\":2", "\"vcpus\":0", "no possible number of vCPUs" },
		{ "\"vcpus\":2", "\"vcpus\":65", "no possible number of vCPUs" },
		{ "\"vcpus\":2", "\"vcpus\":1.5", "no possible number of vCPUs" },
		{ "\"vcpus\":2", "\"vcpus\":\"2\"", "no possible number of vCPUs" },
		{ "\"disks\"", "\"x\"", "no list of disks" },
		{ "\"/d/a\"", "\"\"", "a disk that is none" },
		{ "\"/d/a\"", "null", "a disk that is none" },
		{ "1099511627776", "-1", "a disk that is none" },
		{ "\"read_only\":false", "\"read_only\":0", "a disk that is none" },
		{ "\"written\"", "\"x\"", "a disk that is none" },
		{ "\"1790000000.000000001\"", "0", "a disk that is none" },
		{ "1790000000.000000001", "1790000000.0000000000000000000001", "a disk that is none" },
		{ "\"nets\"", "\"x\"", "no list of networks" },
		{ "\"forward_from\":8022", "\"forward_from\":65536", "a network that is none" },
		{ "\"forward_to\":22", "\"forward_to\":0", "a network that is none" },
		{ "\"loopback\":true", "\"loopback\":1", "a network that is none" },
		{ "\"tap0\"", "\"a-name-that-is-too-long\"", "a network that is none" },
		{ "\"tap0\"", "\"\"", "a network that is none" },
		{ "\"cpuid\"", "\"x\"", "no CPUID table" },
		{ "4294967295", "4294967296", "a CPUID leaf that is none" },
		{ "4294967295", "\"a\"", "a CPUID leaf that is none" },
		{ "[[1,", "[[1,1,", "a CPUID leaf that is none" },
		{ "[[1,", "[[", "a CPUID leaf that is none" },
		{ "[[1,", "[1,[", "a CPUID leaf that is none" },
	};
	char *text = saved_description_print(&description), garbled[1024];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *at = strstr(text, rows[i].was), *said;

		cr_assert_not_null(at, "row %zu: %s", i, text);
		snprintf(garbled, sizeof(garbled), "%.*s%s%s", (int)(at - text), text, rows[i].is,
			 at + strlen(rows[i].was));
		said = parse(garbled);
		cr_assert_not_null(said, "row %zu", i);
		cr_expect_str_eq(said, rows[i].said, "row %zu: %s", i, said);
	}
	free(text);
}

Test(description, more_than_there_can_be)
{
	char text[32768] =
		"{\"kernel\":\"a\",\"command_line\":\"\",\"memory\":67108864,\"vcpus\":1,\"disks\":[";
	size_t length = strlen(text);
	unsigned i;

	for (i = 0; i <= MONITOR_DISKS_MAX; i++)
		length += (size_t)sprintf(
			text + length, "%s{\"path\":\"/a\",\"bytes\":512,\"read_only\":true,\"written\":\"\"}", i ? "," : "");
	strcpy(text + length, "]}");
	cr_expect_str_eq(parse(text), "too many disks");
	length = (size_t)sprintf(text,
				 "{\"kernel\":\"a\",\"command_line\":\"\",\"memory\":67108864,\"vcpus\":1,"
				 "\"disks\":[],\"nets\":[");
	for (i = 0; i <= MONITOR_NETS_MAX; i++)
		length += (size_t)sprintf(text + length, "%s{\"tap\":\"a\"}", i ? "," : "");
	strcpy(text + length, "]}");
	cr_expect_str_eq(parse(text), "too many networks");
	length = (size_t)sprintf(text,
				 "{\"kernel\":\"a\",\"command_line\":\"\",\"memory\":67108864,\"vcpus\":1,"
				 "\"disks\":[],\"nets\":[],\"cpuid\":[");
	for (i = 0; i <= SAVED_CPUID_MAX; i++)
		length += (size_t)sprintf(text + length, "%s[1,0,0,0,0,0,0]", i ? "," : "");
	strcpy(text + length, "]}");
	cr_expect_str_eq(parse(text), "too many CPUID leaves");
}

Test(description, every_length_of_it)
{
	char *text = saved_description_print(&description);
	size_t length;

	for (length = 0; length < strlen(text); length++)
		cr_assert_not_null(saved_description_parse(&parsed, text, length), "%zu bytes", length);
	free(text);
}

/* ------------------------------------------------------------------------
 * The CPU.
 */

static int check(const struct pvm_cpuid_entry *saved, uint32_t saved_count,
		 const struct pvm_cpuid_entry *host, uint32_t host_count)
{
	return saved_cpu_check(saved, saved_count, host, host_count, why, sizeof(why));
}

Test(description, a_cpu_that_can_more_is_as_good)
{
	const struct pvm_cpuid_entry saved[] = { { .leaf = 1, .eax = 5, .edx = 1 } };
	const struct pvm_cpuid_entry host[] = { { .leaf = 0, .eax = 9 }, { .leaf = 1, .eax = 7, .edx = 3 } };

	cr_expect_eq(check(saved, 1, host, 2), 0, "%s", why);
	cr_expect_eq(check(saved, 1, saved, 1), 0, "%s", why);
}

Test(description, what_a_cpu_lacks_is_named)
{
	const struct pvm_cpuid_entry saved[] = {
		{ .leaf = 1, .edx = 0x80000001 },
		{ .leaf = 7, .subleaf = 0, .subleaf_matters = true, .ebx = 0x120 },
		{ .leaf = 7, .subleaf = 1, .subleaf_matters = true, .eax = 0x10 },
	};
	const struct pvm_cpuid_entry host[] = {
		{ .leaf = 1, .edx = 1 },
		{ .leaf = 7, .subleaf = 0, .subleaf_matters = true, .eax = 1 },
	};

	cr_expect_eq(check(saved, 3, host, 2), -1);
	cr_expect_str_eq(why, "leaf 0x1 edx bits 31; leaf 0x7 ebx bits 5, 8; leaf 0x7.1 eax bits 4");
	cr_expect_eq(check(saved, 3, host, 0), -1);
}

Test(description, xsave_has_its_parts_where_they_were)
{
	const struct pvm_cpuid_entry saved[] = {
		{ .leaf = 0xd, .subleaf = 9, .subleaf_matters = true, .eax = 8, .ebx = 2688 }
	};
	struct pvm_cpuid_entry host[] = { saved[0] };

	cr_expect_eq(check(saved, 1, host, 1), 0, "%s", why);
	host[0].ebx = 2432;
	cr_expect_eq(check(saved, 1, host, 1), -1);
	cr_expect_str_eq(why, "leaf 0xd.9: its part of XSAVE's area is elsewhere");
}
