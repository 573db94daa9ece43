#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>
#include "tests/unit/exchange_verbs.h"
static double now_s(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (double)t.tv_sec + (double)t.tv_nsec / 1e9; }
static void probe(void **state)
{
	static struct exchange x;
	uint8_t nda[32], env[32], post[32];
	double t = now_s();
	(void)state;
#define LAP(what) fprintf(stderr, "%-20s %.3f\n", what, now_s() - t); t = now_s()
	exchange_begin(&x, EXCHANGE_START_MS, "Asia/Tokyo");
	LAP("begin");
	unsigned a = exchange_join(&x, "a", RK__ORG_KIND__SME);
	LAP("join");
	unsigned b = exchange_join(&x, "b", RK__ORG_KIND__UNIVERSITY);
	LAP("join");
	struct agreement_new terms = {.last_day = 20281231, .window_days = -1, .survival_months = -1};
	exchange_must(verb_agree(&x, a, b, &terms, nda), "agree");
	LAP("agree");
	exchange_must(verb_send(&x, a, nda, "one", 1000, env), "send");
	LAP("send");
	exchange_must(verb_get(&x, b, env, "one", 1000), "get");
	LAP("get");
	exchange_must(verb_post(&x, b, "title", 0, post), "post");
	LAP("post");
	for (int i = 0; i < 5; i++) {
		exchange_pass(EXCHANGE_DAY_MS);
		exchange_must(verb_sync(&x, 0, NULL), "sync s");
		LAP("sync s");
		exchange_must(verb_sync(&x, a, NULL), "sync a");
		LAP("sync a");
	}
	exchange_broker_stop(&x.broker);
	LAP("stop");
	exchange_broker_start(&x.broker);
	LAP("start");
	exchange_must(verb_sync(&x, a, NULL), "sync a");
	LAP("sync a");
	exchange_end(&x);
	LAP("end");
}
int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(probe)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
