/*
 * post_and_kill: the moment between an acknowledgement and the commit, from outside.
 *
 *   post_and_kill HOME BROKER_PID TITLE...    posts an offer for each title, one after the other, and kills the broker as soon as the last one is
 *                                             acknowledged; prints the number of each in its channel
 *
 * The home must not be used otherwise, but by this program again: a writer of its own speaks for it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/errcode.h"
#include "tests/unit/member.h"
#include "tests/unit/process_kit.h"

#define QUIET_MS 200 /* while somebody reads, nothing is saved, and for a time after it */

static bool post(struct member *m, struct rawpeer *p, const char *title)
{
	struct arena *arena = arena_new(1 << 20);
	Rk__Request r = RK__REQUEST__INIT;
	const Rk__Reply *reply = NULL;
	struct member_post sealed;
	int code;

	member_seal_titled(m, process_wall_ms(), title, arena, &sealed);
	r.protocol = 1;
	r.op = RK__OP__OP_SUBMIT;
	r.head = sealed.signed_head;
	code = rawpeer_numbered(p, &r, &sealed.body, 1, &reply);
	if (code == RK_OK)
		printf("%llu\n", (unsigned long long)reply->seq);
	else
		fprintf(stderr, "post_and_kill: %s: code %d\n", title, code);
	arena_free(arena);
	return code == RK_OK;
}

int main(int argc, char **argv)
{
	struct member m;
	struct rawpeer *p;
	bool ok;

	if (argc < 4) {
		fprintf(stderr, "usage: post_and_kill HOME BROKER_PID TITLE...\n");
		return 2;
	}
	member_open(&m, argv[1]);
	p = member_connect(&m);
	ok = rawpeer_hello(p) == RK_OK;
	process_pause_ms(QUIET_MS);
	for (int i = 3; ok && i < argc; i++)
		ok = post(&m, p, argv[i]);
	if (kill((pid_t)atoi(argv[2]), SIGKILL) != 0) {
		perror("kill");
		ok = false;
	}
	rawpeer_free(p);
	member_close(&m);
	return ok ? 0 : 1;
}
