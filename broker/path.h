/*
 * path: what the threads of the broker share: configuration, roster, rings, bells, and the few flags by which they
 * start and stop. Made once before the threads, freed after them.  DESIGN.md beside this file draws it.
 */
#ifndef RENKEI_BROKER_PATH_H
#define RENKEI_BROKER_PATH_H

#include <stdatomic.h>

#include "broker/config.h"
#include "broker/message.h"
#include "broker/ring.h"
#include "broker/roster.h"
#include "broker/sequence.h"
#include "store/env.h"

#define PATH_VERIFY_MAX 16
#define PATH_DELIVERIES_MAX 4096 /* that front has not given back */
#define PATH_BLOBS_MAX 1000      /* commands for the blobs thread, waiting or inside */
#define PATH_LOADS_MAX 16        /* loads of pages, waiting or inside */
#define BULK_NICE 10             /* of threads that move bulk: nobody's post may wait for a core behind them */

struct apply;
struct signer;

struct path {
	const struct config *config;
	struct roster *roster;
	struct env *env;
	struct apply *apply;         /* applier's alone while it runs */
	struct sequence *sequence;
	struct signer *signer;       /* of checkpoints */
	void *zmq;                   /* the process's one context */
	uint8_t exchange_id[32];
	uint8_t generation[16];      /* of the store */
	struct message_load load;
	const char *blobs_folder;    /* of the attachments */
	struct message_held held;    /* bulk of attachments, read ahead */
	_Atomic uint64_t blob_room;  /* bytes free on their disk, as of a second ago; UINT64_MAX before the first look */

	/* One bell for each thread that sleeps; the rings it consumes ring it.  Ring a_b: producer a, consumer b. */
	struct ring_bell *net_bell, *apply_bell, *blobs_bell, *pages_bell, *verify_bell[PATH_VERIFY_MAX];
	struct ring *front_admit;    /* message_in; full: dropped and counted */
	struct ring *admit_apply;    /* message_in; full: admit waits */
	struct ring *admit_deliver;  /* message_in, without a request: the session has ended; full: busy */
	struct ring *admit_verify[PATH_VERIFY_MAX],
		*verify_admit[PATH_VERIFY_MAX]; /* message_in; never full: admit counts */
	struct ring *admit_blobs, *blobs_admit; /* message_in; never full: admit counts */
	struct ring *apply_blobs;    /* struct blobs_drop; full: left to the sweep */
	atomic_bool blobs_sweep;     /* set when one was: sweep all soon */
	struct ring *apply_front, *admit_front,
		*deliver_front; /* message_out; full: apply waits; the other two empty it themselves */
	struct ring *apply_deliver;  /* deliver_event; full: apply waits */
	struct ring *deliver_pages, *pages_deliver; /* struct page_load; never full: deliver counts */
	struct ring *front_deliver;  /* message_out given back; never full: deliver counts */

	/* Flags.  Each is set once, by the main thread, then the bells are rung. */
	atomic_bool draining;        /* admit refuses new work `moving` */
	atomic_bool deaf;            /* front shall receive no more … */
	atomic_bool is_deaf;         /* … and says here that it does not */
	atomic_bool stopping;        /* admit, verify, blobs, apply, deliver end when their rings are empty */
	atomic_bool closing;         /* front sends what is left and closes; zap ends */

	atomic_size_t live_bytes;    /* of posts on their way from apply to deliver */
	atomic_uint proofs;          /* GET_PROOFs on their way to deliver: admit counts up, deliver down */
	atomic_bool read_only;       /* the store is older than our own log; set once, by apply's thread or at the start */
	atomic_bool clock_off;       /* sequence refuses: admit answers `busy` */
	_Atomic uint64_t batches;    /* durable so far, in the tables or in the journal */
	/* A batch may be durable, and answered, before others see it in the tables (store/env_journal.c).  See path_may_read. */
	_Atomic uint64_t stored;     /* `batches` as of apply's last commit */
	atomic_bool store_wanted;    /* somebody waits for the next one */
	atomic_bool store_stuck;     /* the last one failed for want of room */
	_Atomic int64_t read_ms;     /* when somebody last had to wait: beside such reading, batches are committed */
	atomic_bool in_batch;        /* one is in flight */
	_Atomic int64_t apply_alive_ms; /* CLOCK_MONOTONIC of the apply thread's last turn: feeds the watchdog */
	atomic_int failure;          /* errcode of a thread that cannot go on; 0: none */
	int failure_fd;              /* eventfd, wakes the main thread */

	void (*yield)(void *user, bool for_apply); /* net's, for path_put */
	void *yield_user;
};

/** Makes rings and bells for the configuration.  RK_ENOMEM.  The other fields are the caller's to fill. */
int path_init(struct path *, const struct config *);
/** Frees rings and bells; they are empty.  A zeroed path is allowed. */
void path_clear(struct path *);

/** For the thread of front, admit and deliver: puts, and while the ring is full does its other work.  for_apply: the ring is apply's. */
void path_put(struct path *, struct ring *, void *item, bool for_apply);
/** What it does instead of waiting idly: sends what stands in front's rings; for_apply, also takes deliver's events. */
void path_yield(struct path *, bool for_apply);

/**
 * Have the tables every batch that was answered?  False: not yet; apply has been told, and rings net's bell when it is so.
 * *mark is the asker's, 0 when he begins to ask, and 0 again when they have.  Any thread but apply's.
 */
bool path_may_read(struct path *, uint64_t *mark);

/** The same as of now, without waiting for it. */
bool path_is_stored(const struct path *);

/** A thread cannot go on: the process shall end with this code.  Any thread; the first one counts. */
void path_fail(struct path *, int code);
/** Rings every bell. */
void path_wake(struct path *);

/** Deadlines inside the process (HAZARDS K2). */
int64_t path_monotonic_ms(void);

#endif
