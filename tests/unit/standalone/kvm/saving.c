/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As saving.h says. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <pvm/kvm.h>
#include <pvm/xen_state.h>

#include "control.h"
#include "fake_kernel.h"
#include "restore.h"
#include "saved_file.h"
#include "saving.h"
#include "serial16550.h"
#include "xen_guest.h"

#define VCPUS		2u
#define STORE_PAGE	6u

char first[64], second[64], why[512];
const char *saving_trace, *saving_disk;
int saving_console = -1;
bool saving_signals, saving_keys;
struct monitor_options options;
struct monitor_result result;
struct monitor_vm *vm;

static char folder[32];
static struct saved_description description;
static struct saved_reader *reader;
static pthread_t runner;

static bool never(void *opaque)
{
	(void)opaque;
	return false;
}

/* ------------------------------------------------------------------------
 * The first file.
 */

static void ignore(void *host, const struct xen_store_path *path)
{
	(void)host;
	(void)path;
}

/* @has_disk: one that no driver uses. */
static void devices(struct xen_record *to, bool has_disk)
{
	static struct xen_store_page page;
	static struct xen_store store;
	struct serial16550 uart;
	unsigned i;

	serial16550_init(&uart, NULL, NULL);
	serial16550_save(&uart, to);
	xen_store_init(&store, ignore, NULL);
	xen_store_connect(&store, &page);
	xen_record_put32(to, CONSOLE_PORT);
	xen_record_put32(to, CONSOLE_PAGE);
	xen_record_put64(to, 0);
	xen_record_put32(to, STORE_PORT);
	xen_record_put32(to, STORE_PAGE);
	xen_store_save(&store, to);
	for (i = 0; has_disk && i < 4; i++)	/* its port, its state, what was said, how it writes */
		xen_record_put32(to, 0);
}

static void put(struct saved_writer *writer, enum saved_kind kind, uint64_t index, const void *bytes,
		uint64_t length)
{
	const struct saved_section section = { kind, index, length };

	cr_assert_eq(saved_write(writer, &section, bytes, why, sizeof(why)), 0, "%s", why);
}

void saving_make_first(const struct saved_disk *disk)
{
	static uint8_t bytes[XEN_GUEST_RECORD_MAX], page[4096];
	struct xen_record record = { .bytes = malloc(sizeof(bytes)), .size = sizeof(bytes) };
	int fd = open(first, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	struct saved_writer *writer;
	char *text;
	uint32_t i;

	description = (struct saved_description){
		.kernel = "/boot/vmlinuz", .command_line = "quiet", .memory = MEMORY, .vcpus = VCPUS,
		.cpuid_count = 1, .cpuid = { { .leaf = 1, .eax = 0x1234 } },
	};
	if (disk)
		description.disks[description.disk_count++] = *disk;
	text = saved_description_print(&description);
	writer = saved_writer_create(fd, text, never, NULL, why, sizeof(why));
	cr_assert_not_null(writer, "%s", why);
	memset(bytes, 1, sizeof(struct pvm_xen_vm_state));
	put(writer, SAVED_VM, 0, bytes, sizeof(struct pvm_xen_vm_state));
	for (i = 0; i < VCPUS; i++) {
		memset(bytes, 0, kvm_executor.saving->vcpu_bytes);
		bytes[0] = (uint8_t)(0x40 + i);		/* rax */
		put(writer, SAVED_REGISTERS, i, bytes, kvm_executor.saving->vcpu_bytes);
		memset(bytes, (int)(0x50 + i), sizeof(struct pvm_xen_vcpu_state));
		put(writer, SAVED_VCPU, i, bytes, sizeof(struct pvm_xen_vcpu_state));
	}
	memset(bytes, 0x60, PAGES / 8);
	put(writer, SAVED_TABLES, 0, bytes, PAGES / 8);
	devices(&record, disk);
	put(writer, SAVED_DEVICES, 0, record.bytes, record.at);
	memset(page, 0x77, sizeof(page));
	put(writer, SAVED_MEMORY, 100, page, sizeof(page));
	put(writer, SAVED_MEMORY, PAGES - 1, page, sizeof(page));
	cr_assert_eq(saved_write_end(writer, why, sizeof(why)), 0, "%s", why);
	saved_writer_destroy(writer);
	free(record.bytes);
	free(text);
	close(fd);
}

/* ------------------------------------------------------------------------
 * A guest that runs.
 */

/* As a halted guest in the kernel. */
void saving_begin(void)
{
	fake_kernel_install();
	fake_kernel.abis |= 1u << PVM_ABI_XEN_PV;
	fake_kernel.run = fake_until_kick;
	strcpy(folder, "/tmp/pvm-save-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(first, sizeof(first), "%s/first", folder);
	snprintf(second, sizeof(second), "%s/second", folder);
	saving_make_first(NULL);
}

void saving_end(void)
{
	unlink(first);
	unlink(second);
	rmdir(folder);
	cr_assert_eq(fake_kernel.descriptors, 0, "a descriptor is left");
}


struct monitor_vm *saving_restore(const char *path)
{
	const char *text, *wrong;
	size_t length;

	options = (struct monitor_options){ .executor = &kvm_executor, .console_in = -1, .console_out = -1 };
	reader = saved_reader_open(path, why, sizeof(why));
	if (!reader)
		return NULL;
	text = saved_reader_text(reader, &length);
	wrong = saved_description_parse(&description, text, length);
	cr_assert_null(wrong, "%s", wrong);
	options.trace = saving_trace;
	options.console_in = saving_console;
	options.signals = saving_signals;
	options.console_keys = saving_keys;
	if (saving_disk)
		options.disks[options.disk_count++].path = saving_disk;
	options.saved = reader;
	cr_assert_eq(saved_options(&description, path, &options, why, sizeof(why)), 0, "%s", why);
	return monitor_vm_create(&options, why, sizeof(why));
}

void saving_forget(void)
{
	saved_description_close(&description);
	saved_reader_close(reader);
	reader = NULL;
}

static void *run(void *arg)
{
	(void)arg;
	monitor_vm_run(vm, &result);
	return NULL;
}

int saving_try_connect(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	socklen_t length = control_address(&address, getpid());

	if (!connect(fd, (struct sockaddr *)&address, length))
		return fd;
	close(fd);
	return -1;
}

int saving_connect(void)
{
	int fd;

	while ((fd = saving_try_connect()) < 0)
		sched_yield();
	return fd;
}

void saving_start(const char *path)
{
	vm = saving_restore(path);
	cr_assert_not_null(vm, "%s", why);
	cr_assert_eq(pthread_create(&runner, NULL, run, NULL), 0);
}

void saving_finish(enum monitor_end end)
{
	pthread_join(runner, NULL);
	cr_expect_eq(result.end, end, "%s", result.message);
	cr_assert_eq(monitor_vm_destroy(vm, why, sizeof(why)), 0, "%s", why);
	saving_forget();
}

void saving_stop(void)
{
	monitor_vm_stop(vm, MONITOR_END_SIGNAL, 143, "the test is over");
	saving_finish(MONITOR_END_SIGNAL);
}

/* ------------------------------------------------------------------------
 * A client.
 */

void saving_ask(int to, const void *bytes, size_t size, int file, unsigned count)
{
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(16 * sizeof(int))] = { 0 };
	struct iovec vector = { (void *)bytes, size };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	struct cmsghdr *header;
	unsigned i;

	if (count) {
		message.msg_control = space;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		for (i = 0; i < count; i++)
			memcpy(CMSG_DATA(header) + i * sizeof(int), &file, sizeof(file));
	}
	cr_assert_geq(sendmsg(to, &message, MSG_NOSIGNAL), 0, "%s", strerror(errno));
}

const struct control_request saving_ends = { CONTROL_MAGIC, CONTROL_VERSION, CONTROL_SAVE, 0 };
const struct control_request saving_goes_on = { CONTROL_MAGIC, CONTROL_VERSION, CONTROL_SAVE,
						CONTROL_GOES_ON };

struct control_reply saving_reply(int from)
{
	struct control_reply reply = { .status = -1 };

	cr_assert_eq(recv(from, &reply, sizeof(reply), 0), (ssize_t)sizeof(reply));
	cr_assert_eq(reply.magic, CONTROL_MAGIC);
	return reply;
}

int saving_new_file(const char *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0, "%s", strerror(errno));
	return fd;
}

struct control_reply saving_save(const char *path, const struct control_request *request)
{
	int to = saving_connect(), file = saving_new_file(path);
	struct control_reply reply;

	saving_ask(to, request, sizeof(*request), file, 1);
	reply = saving_reply(to);
	close(file);
	close(to);
	return reply;
}

