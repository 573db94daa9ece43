#include "broker/path.h"

#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "proto/errcode.h"

#define VERIFY_RING 1024       /* commands in one verify thread; admit counts, so its rings never fill */
#define OUT_RING 8192
#define EVENT_RING 8192
#define BLOBS_RING 1024        /* above PATH_BLOBS_MAX */
#define DROP_RING 4096
#define SPENT_RING 1024        /* a batch; what does not fit is freed */
#define FULL_PAUSE_NS 50000       /* between two looks at a full ring: short against an fsync */

static bool make(struct ring **r, size_t capacity, struct ring_bell *bell)
{
	if (bell != NULL)
		*r = ring_new(capacity, bell);
	return *r != NULL;
}

static bool make_verify(struct path *p, unsigned i)
{
	p->verify_bell[i] = ring_bell_new();
	return make(&p->admit_verify[i], VERIFY_RING, p->verify_bell[i]) &&
	       make(&p->verify_admit[i], VERIFY_RING, p->net_bell);
}

int path_init(struct path *p, const struct config *config)
{
	memset(p, 0, sizeof(*p));
	p->config = config;
	p->failure_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->net_bell = ring_bell_new();
	p->apply_bell = ring_bell_new();
	p->blobs_bell = ring_bell_new();
	p->pages_bell = ring_bell_new();
	atomic_store(&p->blob_room, UINT64_MAX);
	if (p->failure_fd < 0 || !make(&p->front_admit, (size_t)config->ring_messages, p->net_bell) ||
	    !make(&p->admit_apply, (size_t)config->ring_messages, p->apply_bell) ||
	    !make(&p->admit_deliver, (size_t)config->ring_messages, p->net_bell) ||
	    !make(&p->admit_blobs, BLOBS_RING, p->blobs_bell) || !make(&p->blobs_admit, BLOBS_RING, p->net_bell) ||
	    !make(&p->apply_blobs, DROP_RING, p->blobs_bell) ||
	    !make(&p->apply_front, OUT_RING, p->net_bell) || !make(&p->admit_front, OUT_RING, p->net_bell) ||
	    !make(&p->deliver_front, PATH_DELIVERIES_MAX, p->net_bell) ||
	    !make(&p->apply_deliver, EVENT_RING, p->net_bell) ||
	    !make(&p->deliver_pages, PATH_LOADS_MAX, p->pages_bell) || !make(&p->pages_deliver, PATH_LOADS_MAX, p->net_bell) ||
	    !make(&p->front_deliver, PATH_DELIVERIES_MAX, p->net_bell) || !make(&p->load.spent, SPENT_RING, p->net_bell))
		return RK_ENOMEM;
	for (unsigned i = 0; i < (unsigned)config->verify_threads; i++)
		if (!make_verify(p, i))
			return RK_ENOMEM;
	return RK_OK;
}

void path_clear(struct path *p)
{
	struct ring *const rings[] = {p->front_admit, p->admit_apply,   p->admit_deliver, p->apply_front,
	                              p->admit_front, p->deliver_front, p->apply_deliver, p->front_deliver,
	                              p->admit_blobs, p->blobs_admit,   p->apply_blobs,   p->deliver_pages, p->pages_deliver};
	struct ring_bell *const bells[] = {p->net_bell, p->apply_bell, p->blobs_bell, p->pages_bell};

	message_load_clear(&p->load);
	ring_free(p->load.spent);
	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
		ring_free(rings[i]);
	for (unsigned i = 0; i < PATH_VERIFY_MAX; i++) {
		ring_free(p->admit_verify[i]);
		ring_free(p->verify_admit[i]);
		ring_bell_free(p->verify_bell[i]);
	}
	for (size_t i = 0; i < sizeof(bells) / sizeof(bells[0]); i++)
		ring_bell_free(bells[i]);
	if (p->failure_fd > 0)
		close(p->failure_fd);
	memset(p, 0, sizeof(*p));
}

void path_yield(struct path *p, bool for_apply)
{
	if (p->yield != NULL)
		p->yield(p->yield_user, for_apply);
}

void path_put(struct path *p, struct ring *r, void *item, bool for_apply)
{
	const struct timespec pause = {.tv_nsec = FULL_PAUSE_NS};

	while (!ring_put(r, item)) {
		ring_wake(r);
		path_yield(p, for_apply);
		if (for_apply)
			nanosleep(&pause, NULL);
	}
}

bool path_may_read(struct path *p, uint64_t *mark)
{
	if (*mark == 0)
		*mark = atomic_load(&p->batches);
	if (atomic_load(&p->stored) >= *mark) {
		*mark = 0;
		return true;
	}
	/* While the store is stuck a commit serves nobody: saving goes on. */
	if (!atomic_load(&p->store_stuck))
		atomic_store(&p->read_ms, path_monotonic_ms());
	if (!atomic_exchange(&p->store_wanted, true))
		ring_bell_ring(p->apply_bell);
	return false;
}

bool path_is_stored(const struct path *p)
{
	uint64_t batches = atomic_load(&p->batches);

	return atomic_load(&p->stored) >= batches;
}

void path_fail(struct path *p, int code)
{
	int none = 0;

	if (atomic_compare_exchange_strong(&p->failure, &none, code))
		(void)eventfd_write(p->failure_fd, 1);
}

void path_wake(struct path *p)
{
	ring_bell_ring(p->net_bell);
	ring_bell_ring(p->apply_bell);
	ring_bell_ring(p->blobs_bell);
	ring_bell_ring(p->pages_bell);
	for (unsigned i = 0; i < PATH_VERIFY_MAX && p->verify_bell[i] != NULL; i++)
		ring_bell_ring(p->verify_bell[i]);
}

int64_t path_monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
