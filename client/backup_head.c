/* What backup and restore have in common: names, and the first member, which says to people and to us what this is. */
#include "client/backup_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/ids.h"

const char *const backup_keys[BACKUP_KEYS] = {
	[KEY_DEVICE] = "device.key", [KEY_ORG] = "org.key", [KEY_SECRETARIAT] = "secretariat.key",
	[KEY_ROOT] = "root.key", [KEY_WITNESS] = "witness.key", [KEY_ORG_NEXT] = "org-next.key",
	[KEY_SECRETARIAT_NEXT] = "secretariat-next.key", [KEY_ROLE_COUNT] = "kx.key",
};

bool backup_is_blob(const char *name)
{
	size_t hex = strspn(name, "0123456789abcdef");

	return hex >= 1 && hex <= 64 && strcmp(name + hex, BACKUP_BLOB_SUFFIX) == 0;
}

int backup_io(void)
{
	return errno == ENOSPC || errno == EDQUOT ? RK_EDISKFULL : errno == EEXIST ? RK_EEXISTS : RK_EIO;
}

size_t backup_head_write(char text[BACKUP_HEAD_MAX_BYTES], const struct backup_head *h)
{
	char when[32], exchange[65], org[33], device[33];
	time_t t = (time_t)(h->created_at / 1000);
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	ids_hex(exchange, BYTES_OF(h->exchange_id));
	ids_hex(org, BYTES_OF(h->org_id));
	ids_hex(device, BYTES_OF(h->device_id));
	return (size_t)snprintf(text, BACKUP_HEAD_MAX_BYTES,
	                        "renkei backup %d\ncreated %s\ncreated_ms %" PRId64 "\nexchange %s\norganisation %s\ndevice %s\nattachments %s\n"
	                        "To restore: renkei restore FILE\n",
	                        BACKUP_FORMAT, when, h->created_at, exchange, org, device, h->without_attachments ? "no" : "yes");
}

/* The value behind "NAME " on a line of its own, or NULL; ended by a NUL. */
static char *value_of(char *text, const char *name, char value[128])
{
	size_t len = strlen(name);

	for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (strncmp(line, name, len) == 0 && line[len] == ' ') {
			snprintf(value, 128, "%.*s", (int)strcspn(line + len + 1, "\n"), line + len + 1);
			return value;
		}
	return NULL;
}

static bool take_number(const char *digits, int64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(digits, &end, 10);
	return digits[0] >= '0' && digits[0] <= '9' && *end == 0 && errno == 0;
}

int backup_head_read(struct bytes bytes, struct backup_head *h)
{
	char text[BACKUP_HEAD_MAX_BYTES + 1], value[128];
	int64_t format;

	*h = (struct backup_head){0};
	if (bytes.len > BACKUP_HEAD_MAX_BYTES)
		return RK_MALFORMED;
	memcpy(text, bytes.data, bytes.len);
	text[bytes.len] = 0;
	if (strncmp(text, "renkei backup ", 14) != 0 || !value_of(text, "renkei backup", value) || !take_number(value, &format))
		return RK_MALFORMED;
	if (format > BACKUP_FORMAT)
		return RK_ENEWER;
	if (!value_of(text, "created_ms", value) || !take_number(value, &h->created_at) ||
	    !value_of(text, "exchange", value) || !ids_from_hex(h->exchange_id, sizeof(h->exchange_id), value) ||
	    !value_of(text, "organisation", value) || !ids_from_hex(h->org_id, sizeof(h->org_id), value) ||
	    !value_of(text, "device", value) || !ids_from_hex(h->device_id, sizeof(h->device_id), value) ||
	    !value_of(text, "attachments", value))
		return RK_MALFORMED;
	h->without_attachments = strcmp(value, "no") == 0;
	return RK_OK;
}
