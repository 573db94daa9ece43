#include "broker/server.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/applier.h"
#include "broker/blobs.h"
#include "broker/net.h"
#include "broker/page_load.h"
#include "broker/verify.h"
#include "broker/zap.h"
#include "proto/errcode.h"

#define THREAD_STACK_BYTES (1024 * 1024)
#define REFUSE_MS 1000 /* at a stop, how long new work is refused before it is not even heard */

struct server {
	struct path *path;
	struct front *front;
	struct admit *admit;
	struct verify *verify;
	struct blobs *blobs;
	struct applier *applier;
	struct deliver *deliver;
	struct net net;
	struct zap zap;
	int64_t drain_ms; /* when it began */
	struct verify_thread verify_parts[PATH_VERIFY_MAX];
	pthread_t net_thread, apply_thread, blobs_thread, pages_thread, zap_thread, verify_threads[PATH_VERIFY_MAX];
};

static void server_free(struct server *s)
{
	front_free(s->front);
	admit_free(s->admit);
	verify_free(s->verify);
	blobs_free(s->blobs);
	applier_free(s->applier);
	deliver_free(s->deliver);
	free(s);
}

static bool start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
	r = pthread_create(thread, &attr, run, argument);
	pthread_attr_destroy(&attr);
	if (r == 0)
		pthread_setname_np(*thread, name);
	return r == 0;
}

/* From the end of the path to its beginning; zap answers before net can have anybody to hear. */
static bool start_all(struct server *s)
{
	if (!start(&s->zap_thread, "rk-zap", zap_run, &s->zap) ||
	    !start(&s->apply_thread, "rk-apply", applier_run, s->applier) ||
	    !start(&s->blobs_thread, "rk-blobs", blobs_run, s->blobs) ||
	    !start(&s->pages_thread, "rk-pages", page_load_thread, s->path))
		return false;
	for (unsigned i = 0; i < (unsigned)s->path->config->verify_threads; i++) {
		s->verify_parts[i] = (struct verify_thread){s->path, s->verify, i};
		if (!start(&s->verify_threads[i], "rk-verify", verify_run, &s->verify_parts[i]))
			return false;
	}
	return start(&s->net_thread, "rk-net", net_run, &s->net);
}

int server_start(struct path *path, void *router, void *zap_socket, struct server **out)
{
	struct server *s = calloc(1, sizeof(*s));
	int code;

	*out = NULL;
	if (s == NULL)
		return RK_ENOMEM;
	s->path = path;
	s->zap = (struct zap){path, zap_socket};
	s->front = front_new(path, router);
	s->admit = admit_new(path);
	s->verify = verify_new(path->roster, path->exchange_id);
	s->applier = applier_new(path);
	s->deliver = deliver_new(path);
	if ((code = blobs_new(path, &s->blobs)) != RK_OK) {
		server_free(s);
		return code;
	}
	if (s->front == NULL || s->admit == NULL || s->verify == NULL || s->applier == NULL || s->deliver == NULL) {
		server_free(s);
		return RK_ENOMEM;
	}
	s->net = (struct net){path, s->front, s->admit, s->deliver};
	atomic_store(&path->apply_alive_ms, path_monotonic_ms());
	if (!start_all(s))
		return RK_EINTERNAL;
	*out = s;
	return RK_OK;
}

void server_drain(struct server *s)
{
	s->drain_ms = path_monotonic_ms();
	atomic_store(&s->path->draining, true);
	path_wake(s->path);
}

bool server_is_drained(struct server *s)
{
	bool is_empty = atomic_load(&s->path->load.count) == 0;

	/* Nobody is in, or new ones come without end: let nobody in.  Who is in is answered. */
	if (!atomic_load(&s->path->deaf) && (is_empty || path_monotonic_ms() - s->drain_ms > REFUSE_MS)) {
		atomic_store(&s->path->deaf, true);
		path_wake(s->path);
	}
	return atomic_load(&s->path->is_deaf) && atomic_load(&s->path->load.count) == 0;
}

void server_stop(struct server *s)
{
	struct path *p = s->path;

	atomic_store(&p->stopping, true);
	path_wake(p);
	for (unsigned i = 0; i < (unsigned)p->config->verify_threads; i++)
		pthread_join(s->verify_threads[i], NULL);
	pthread_join(s->blobs_thread, NULL);
	pthread_join(s->pages_thread, NULL);
	pthread_join(s->apply_thread, NULL);
	/* What they put for front and deliver is still to be sent. */
	atomic_store(&p->closing, true);
	path_wake(p);
	pthread_join(s->net_thread, NULL);
	pthread_join(s->zap_thread, NULL);
	server_free(s);
}
