/*
 * load_kit: what the load programs of all systems have in common: one publisher's posts to a number of subscribers, counted and timed in
 * the same way, whatever carries them.  A load program brings its connections up, then asks load_may_send before each post and reports
 * what it sent, what was acknowledged and what arrived.  Two phases: posts to warm up, which nobody counts, then those that are measured; a phase
 * ends when every post is acknowledged and with every subscriber.  Posts have numbers from 0 over both phases; a subscriber that gets
 * another one than the next ends the program: a system that loses or doubles has no figures here.  One thread.
 */
#ifndef RENKEI_BENCH_LOAD_KIT_H
#define RENKEI_BENCH_LOAD_KIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOAD_PAYLOAD_BYTES 1024
#define LOAD_SUBSCRIBERS_MAX 8192

struct load {
	/* Settings. */
	const char *system, *endpoint, *path;   /* path: a certificate or a folder, as the system needs */
	int pid;                  /* the broker's */
	unsigned subscribers, window;
	unsigned writers, idle, stuck;          /* used by load_renkei alone, as are … */
	double life;              /* … seconds until the posts expire: 90 days */
	double seconds;           /* no new post after this time of the second phase */
	uint64_t posts;           /* nor beyond this number, of both phases */
	uint64_t warm_up;         /* posts of the first phase */
	double rate;              /* posts a second; 0: whatever the window allows */

	/* State. */
	bool measuring, closed;   /* closed: no post is sent any more */
	uint64_t sent, acked, delivered, phase_begin; /* posts, posts, deliveries of all; first post of this phase */
	uint64_t *got;            /* posts that each subscriber has */
	uint64_t slowest;         /* posts that every subscriber has */
	unsigned at_slowest;      /* subscribers that have no more than those */
	double *sent_at;          /* of post number % sent_slots */
	uint64_t sent_slots;
	float *latency;           /* seconds, of measured deliveries, while a rate is given */
	uint64_t latency_count, latency_room;
	double late;              /* the latest that a post was sent after its time */
	double began, cpu_began, acked_at, ended, cpu_ended;
	int timer;                /* timerfd; readable when the next post is due */
};

/** Reads the command line; ends the program with a sentence if it is wrong. */
void load_options(struct load *, const char *system, int argc, char **argv);
void load_free(struct load *);

/** Everybody is connected: the first phase begins. */
void load_start(struct load *);

/** May (must) post number l->sent go out now? */
bool load_may_send(struct load *);
void load_sent(struct load *);
/** n posts more are acknowledged. */
void load_acked(struct load *, uint64_t n);
/** A subscriber has this post. */
void load_delivered(struct load *, unsigned subscriber, uint64_t post);

/** Nothing is outstanding and nothing more is to be sent; goes from the first phase to the second.  False: go on. */
bool load_is_done(struct load *);

/** The result, one line of JSON on stdout. */
void load_report(struct load *);

/** The number of a post stands in the first 8 bytes of a payload that is not sealed; the rest is random, but the same in all. */
void load_payload(uint8_t out[LOAD_PAYLOAD_BYTES], uint64_t post);
uint64_t load_payload_post(const uint8_t *payload);

double load_now(void);
/** User and system time of all threads of the broker, in seconds. */
double load_cpu(const struct load *);
/** Ends the program: system and sentence on stderr. */
void load_die(const struct load *, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

#endif
