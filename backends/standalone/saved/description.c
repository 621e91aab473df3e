/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* description.h: the JSON. A number of more than 53 bits would not be itself any more; there is none. */
#include "description.h"

#include <cjson/cJSON.h>
#include <net/if.h>
#include <string.h>

#include "../memory.h"

#define CPUID_FIELDS	7	/* of an entry, in the order of struct pvm_cpuid_entry */
#define NUMBER_MAX	9007199254740992.0	/* 2^53 */

/* ------------------------------------------------------------------------
 * To JSON. cJSON's functions take NULL for what an earlier one could not make, and say so.
 */

static bool add_disks(cJSON *to, const struct saved_description *description)
{
	cJSON *list = cJSON_AddArrayToObject(to, "disks");
	unsigned i;

	for (i = 0; i < description->disk_count; i++) {
		const struct saved_disk *disk = &description->disks[i];
		cJSON *entry = cJSON_CreateObject();

		if (!cJSON_AddItemToArray(list, entry)) {
			cJSON_Delete(entry);
			return false;
		}
		if (!cJSON_AddStringToObject(entry, "path", disk->path) ||
		    !cJSON_AddNumberToObject(entry, "bytes", (double)disk->bytes) ||
		    !cJSON_AddBoolToObject(entry, "read_only", disk->read_only) ||
		    !cJSON_AddStringToObject(entry, "written", disk->written))
			return false;
	}
	return list;
}

static bool add_net(cJSON *to, const struct monitor_net *net)
{
	if (net->tap)
		return cJSON_AddStringToObject(to, "tap", net->tap);
	if (net->forward_from && (!cJSON_AddNumberToObject(to, "forward_from", net->forward_from) ||
				  !cJSON_AddNumberToObject(to, "forward_to", net->forward_to)))
		return false;
	return cJSON_AddBoolToObject(to, "loopback", net->loopback);
}

static bool add_nets(cJSON *to, const struct saved_description *description)
{
	cJSON *list = cJSON_AddArrayToObject(to, "nets");
	unsigned i;

	for (i = 0; i < description->net_count; i++) {
		cJSON *entry = cJSON_CreateObject();

		if (!cJSON_AddItemToArray(list, entry)) {
			cJSON_Delete(entry);
			return false;
		}
		if (!add_net(entry, &description->nets[i]))
			return false;
	}
	return list;
}

static bool add_cpuid(cJSON *to, const struct saved_description *description)
{
	cJSON *list = cJSON_AddArrayToObject(to, "cpuid");
	uint32_t i;

	for (i = 0; i < description->cpuid_count; i++) {
		const struct pvm_cpuid_entry *entry = &description->cpuid[i];
		double fields[CPUID_FIELDS] = { entry->leaf, entry->subleaf, entry->subleaf_matters,
						entry->eax,  entry->ebx,     entry->ecx,
						entry->edx };
		cJSON *row = cJSON_CreateDoubleArray(fields, CPUID_FIELDS);

		if (!cJSON_AddItemToArray(list, row)) {
			cJSON_Delete(row);
			return false;
		}
	}
	return list;
}

char *saved_description_print(const struct saved_description *description)
{
	cJSON *json = cJSON_CreateObject();
	char *text = NULL;

	if (cJSON_AddStringToObject(json, "kernel", description->kernel) &&
	    cJSON_AddStringToObject(json, "command_line", description->command_line) &&
	    cJSON_AddNumberToObject(json, "memory", (double)description->memory) &&
	    cJSON_AddNumberToObject(json, "vcpus", description->vcpus) && add_disks(json, description) &&
	    add_nets(json, description) && add_cpuid(json, description))
		text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}

/* ------------------------------------------------------------------------
 * From JSON.
 */

static bool take_number(const cJSON *from, const char *name, uint64_t most, uint64_t *number)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, name);

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < NUMBER_MAX))
		return false;
	*number = (uint64_t)item->valuedouble;
	return (double)*number == item->valuedouble && *number <= most;
}

static bool take_bool(const cJSON *from, const char *name, bool *value)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, name);

	*value = cJSON_IsTrue(item);
	return cJSON_IsBool(item);
}

static const char *take_text(const cJSON *from, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(from, name));
}

static bool take_disk(struct saved_disk *disk, const cJSON *entry)
{
	const char *written = take_text(entry, "written");

	disk->path = take_text(entry, "path");
	if (!disk->path || !*disk->path || !written || strlen(written) >= sizeof(disk->written))
		return false;
	strcpy(disk->written, written);
	return take_bool(entry, "read_only", &disk->read_only) &&
	       take_number(entry, "bytes", UINT64_MAX, &disk->bytes);
}

static const char *take_disks(struct saved_description *to, const cJSON *json)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "disks"), *entry;

	if (!cJSON_IsArray(list))
		return "no list of disks";
	cJSON_ArrayForEach(entry, list) {
		if (to->disk_count++ == MONITOR_DISKS_MAX)
			return "too many disks";
		if (!take_disk(&to->disks[to->disk_count - 1], entry))
			return "a disk that is none";
	}
	return NULL;
}

static bool take_net(struct monitor_net *net, const cJSON *entry)
{
	uint64_t from = 0, to = 0;

	net->tap = take_text(entry, "tap");
	if (net->tap)
		return *net->tap && strlen(net->tap) < IFNAMSIZ;
	if (cJSON_HasObjectItem(entry, "forward_from") &&
	    (!take_number(entry, "forward_from", UINT16_MAX, &from) ||
	     !take_number(entry, "forward_to", UINT16_MAX, &to) || !from || !to))
		return false;
	net->forward_from = (uint16_t)from;
	net->forward_to = (uint16_t)to;
	return take_bool(entry, "loopback", &net->loopback);
}

static const char *take_nets(struct saved_description *to, const cJSON *json)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "nets"), *entry;

	if (!cJSON_IsArray(list))
		return "no list of networks";
	cJSON_ArrayForEach(entry, list) {
		if (to->net_count++ == MONITOR_NETS_MAX)
			return "too many networks";
		if (!take_net(&to->nets[to->net_count - 1], entry))
			return "a network that is none";
	}
	return NULL;
}

static bool take_cpuid_row(struct pvm_cpuid_entry *to, const cJSON *row)
{
	uint32_t fields[CPUID_FIELDS];
	const cJSON *field;
	unsigned count = 0;

	cJSON_ArrayForEach(field, row) {
		if (count == CPUID_FIELDS || !cJSON_IsNumber(field) ||
		    !(field->valuedouble >= 0 && field->valuedouble <= UINT32_MAX))
			return false;
		fields[count++] = (uint32_t)field->valuedouble;
	}
	if (!cJSON_IsArray(row) || count != CPUID_FIELDS)
		return false;
	*to = (struct pvm_cpuid_entry){
		.leaf = fields[0], .subleaf = fields[1], .subleaf_matters = fields[2],
		.eax = fields[3], .ebx = fields[4], .ecx = fields[5], .edx = fields[6],
	};
	return true;
}

static const char *take_cpuid(struct saved_description *to, const cJSON *json)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "cpuid"), *row;

	if (!cJSON_IsArray(list) || !cJSON_GetArraySize(list))
		return "no CPUID table";
	cJSON_ArrayForEach(row, list) {
		if (to->cpuid_count++ == SAVED_CPUID_MAX)
			return "too many CPUID leaves";
		if (!take_cpuid_row(&to->cpuid[to->cpuid_count - 1], row))
			return "a CPUID leaf that is none";
	}
	return NULL;
}

static const char *take_all(struct saved_description *to, const cJSON *json)
{
	uint64_t vcpus;
	const char *wrong;

	to->kernel = take_text(json, "kernel");
	to->command_line = take_text(json, "command_line");
	if (!to->kernel || !to->command_line)
		return "no kernel";
	if (!take_number(json, "memory", GUEST_MEMORY_MAX, &to->memory) || to->memory < GUEST_MEMORY_MIN ||
	    to->memory % PVM_PAGE_SIZE)
		return "no possible memory size";
	if (!take_number(json, "vcpus", MONITOR_MAX_VCPUS, &vcpus) || !vcpus)
		return "no possible number of vCPUs";
	to->vcpus = (uint32_t)vcpus;
	wrong = take_disks(to, json);
	if (!wrong)
		wrong = take_nets(to, json);
	return wrong ? wrong : take_cpuid(to, json);
}

const char *saved_description_parse(struct saved_description *description, const char *text, size_t length)
{
	const char *wrong = "its description is not JSON";

	memset(description, 0, sizeof(*description));
	description->json = cJSON_ParseWithLength(text, length);
	if (cJSON_IsObject((cJSON *)description->json))
		wrong = take_all(description, description->json);
	if (wrong)
		saved_description_close(description);
	return wrong;
}

void saved_description_close(struct saved_description *description)
{
	cJSON_Delete(description->json);
	memset(description, 0, sizeof(*description));
}
