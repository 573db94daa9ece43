#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/cmd.h"
#include "broker/secrets.h"
#include "proto/errcode.h"
#include "proto/invite.h"

static const char prefix[] = "tcp://";

/* tcp://HOST:PORT.  PORT: 1..65535, or with any_port 0 or '*'. */
static bool is_endpoint(const char *text, bool any_port)
{
	const char *host = text + sizeof(prefix) - 1, *colon;
	char *end;
	unsigned long port;

	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0 || strlen(text) > ENDPOINT_MAX_CHARS)
		return false;
	for (const char *c = text; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	colon = strrchr(host, ':');
	if (colon == NULL || colon == host)
		return false;
	if (any_port && strcmp(colon + 1, "*") == 0)
		return true;
	if (colon[1] < '0' || colon[1] > '9')
		return false;
	port = strtoul(colon + 1, &end, 10);
	return *end == '\0' && port <= 65535 && (port != 0 || any_port);
}

/* One that others can connect to: a port, and no address that means "all of them". */
static bool can_be_advertised(const char *text)
{
	const char *host = text + sizeof(prefix) - 1;

	return is_endpoint(text, false) && strncmp(host, "*:", 2) != 0 && strncmp(host, "0.0.0.0:", 8) != 0 &&
	       strncmp(host, "[::]:", 5) != 0;
}

static int check_options(const struct cmd_options *o, const char *advertise)
{
	if (o->listen == NULL)
		return cmd_fail(RK_EUSAGE, "--listen is missing: say where to listen, for example tcp://0.0.0.0:7700");
	if (!is_endpoint(o->listen, true))
		return cmd_fail(RK_EUSAGE, "--listen must be tcp://ADDRESS:PORT, not '%s'", o->listen);
	if (o->advertise != NULL && !can_be_advertised(o->advertise))
		return cmd_fail(RK_EUSAGE, "--advertise must be tcp://NAME:PORT that members can connect to, not '%s'",
				o->advertise);
	if (!can_be_advertised(advertise))
		return cmd_fail(
			RK_EUSAGE,
			"members cannot connect to '%s': say what they shall use with --advertise tcp://NAME:PORT",
			advertise);
	return 0;
}

static int make_folder(const char *data)
{
	struct stat st;

	if (mkdir(data, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return cmd_fail(RK_EIO, "%s cannot be made: %s", data, strerror(errno));
	if (stat(data, &st) != 0 || !S_ISDIR(st.st_mode))
		return cmd_fail(RK_EIO, "%s is not a folder", data);
	if (chmod(data, 0700) != 0)
		return cmd_fail(RK_EIO, "%s cannot be made private (mode 0700): %s", data, strerror(errno));
	return 0;
}

static int write_text(const char *data, const char *name, const char *text)
{
	char line[CMD_TEXT_MAX_BYTES + 2];
	int n = snprintf(line, sizeof(line), "%s\n", text);

	return secrets_write_file(data, name, line, (uint32_t)n, 0600);
}

int cmd_init(const struct cmd_options *o)
{
	const char *advertise = o->advertise != NULL ? o->advertise : o->listen;
	char text[INVITE_TEXT_CHARS];
	struct broker_card card;
	struct secrets keys = {0};
	int lock = -1, code, r;

	if ((code = check_options(o, advertise)) != 0 || (code = make_folder(o->data)) != 0)
		return code;
	cmd_harden();
	if (!cmd_lock(o->data, &lock, &code))
		return code;
	r = secrets_create(o->data, &keys);
	if (r == RK_EEXISTS)
		return cmd_fail(
			r, "%s has its keys already; its card is in %s/card.  Use another folder for another broker",
			o->data, o->data);
	if (r != RK_OK)
		return cmd_fail_code(r, "the broker's keys cannot be written to %s (%s)", o->data, strerror(errno));
	memset(&card, 0, sizeof(card));
	memcpy(card.curve_pk, keys.curve_pk, 32);
	memcpy(card.log_pk, keys.log_pk, 32);
	snprintf(card.endpoint, sizeof(card.endpoint), "%s", advertise);
	secrets_wipe(&keys);
	if ((r = invite_card_text(text, &card)) != RK_OK)
		return cmd_fail_code(r, "the card cannot be written");
	if ((r = write_text(o->data, "listen", o->listen)) != RK_OK || (r = write_text(o->data, "card", text)) != RK_OK)
		return cmd_fail_code(r, "%s cannot be written (%s)", o->data, strerror(errno));
	printf("%s\n", text);
	fprintf(stderr,
		"The keys of this broker lie in %s, readable by this user only; without them the exchange cannot go "
		"on.\n"
		"Next: the secretariat runs `renkei exchange create NAME --broker CARD --out charter.rk` with the card "
		"above.\n",
		o->data);
	return errcode_exit(fflush(stdout) == 0 ? RK_OK : RK_EIO);
}
