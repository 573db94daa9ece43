/*
 * env: one LMDB environment, its tables and transactions.  Only its two sources include lmdb.h; above it
 * nobody knows an MDB_ name.  Default flags only: each commit is durable when it returns (HAZARDS L1).  Used by the
 * broker's store and by the client's.  One environment per path and process (L11); never used across fork.
 */
#ifndef RENKEI_STORE_ENV_H
#define RENKEI_STORE_ENV_H

#include "proto/bytes.h"
#include "proto/errcode.h"

struct env;
struct txn;
struct env_cursor;

#define ENV_KEY_MAX_BYTES 511
#define ENV_TABLES_MAX 64

struct env_options {
	const char *path;             /* folder; created 0700 if create */
	const char *const *tables;    /* names; index in this array is the table number */
	unsigned table_count;
	uint64_t map_bytes;           /* fixed at open (L6) */
	uint32_t format;              /* format of this program; a folder of a higher one: RK_ESTOREFORMAT */
	uint32_t readers;             /* 0: default 126 */
	bool create;
	bool is_writer;               /* the one process that writes this store: what its journal holds is taken up */
	uint64_t journal_bytes;       /* of a writer's journal (journal.h); 0: none is kept */
};

/** Opens (and creates).  Checks file length against the last page (L4), clears stale readers (L10), creates tables,
 *  writes or checks the format.  RK_ESTORE, RK_ESTOREFORMAT, RK_EIO, RK_EDISKFULL, RK_ENOTFOUND (no store there and
 *  !create), RK_ELOCKED (this process has it open: L11), RK_CONFLICT (the journal is another store's), RK_STORE_FULL (the map has no room for
 *  what it holds).  May wait for another process's write transaction. */
int env_open(const struct env_options *, struct env **out);
void env_close(struct env *);
/** How many batches this writer's env_open found saved, and took up. */
uint64_t env_taken_up(const struct env *);
/** False: none was asked for, or the disk had no room for it at the opening. */
bool env_has_journal(const struct env *);

/** Locks the folder for one process: flock on `name` inside `path`.  RK_ELOCKED if another holds it.  *fd is closed
 *  to unlock. */
int env_lock_folder(const char *path, const char *name, int *fd);

/** A write transaction waits for the other writer; a read transaction is a snapshot and must be short (L9). */
int env_begin(struct env *, bool write, struct txn **out);
/** Commits (durable on return) and frees.  Returns the transaction's sticky error, if any, having aborted.
 *  RK_EDISKFULL: nothing of it is there, later ones may pass.  RK_ESTORE or RK_EIO at commit: the outcome is unknown;
 *  stop (L8). */
int env_commit(struct txn *) __attribute__((warn_unused_result));
void env_abort(struct txn *);
/**
 * A batch that is durable without a commit.  env_gather: from now on what is put is gathered too; all that was put before must be saved.  env_save:
 * what was gathered is in the journal, durably, and the transaction goes on: it sees its rows, other transactions do not before its commit.
 * Should it be given up (by a kill, a failure, env_abort), the next write transaction begins with what was saved.
 * RK_TOO_LARGE: it was not gathered, does not fit, or deletes something: commit.  RK_EDISKFULL: the same, for want of room.  RK_EIO: the outcome is
 * unknown; stop (L8).
 */
void env_gather(struct txn *);
int env_save(struct txn *) __attribute__((warn_unused_result));
/** First error of the transaction; every call after it does nothing and returns it. RK_ENOTFOUND and RK_EEXISTS are
 *  not errors of it. */
int env_error(const struct txn *);

/** *value is borrowed: in a write transaction until its next write, cursor or env_get_held, else until its end.  May be unaligned.
 *  RK_ENOTFOUND. */
int env_get(struct txn *, unsigned table, struct bytes key, struct bytes *value);
/** The same of a row that this transaction will likely ask for again, as ENV_HOLD is for one that it will change. */
int env_get_held(struct txn *, unsigned table, struct bytes key, struct bytes *value);
bool env_has(struct txn *, unsigned table, struct bytes key);

enum env_put_flag {
	ENV_PUT = 0,
	ENV_APPEND = 1,
	ENV_NEW = 2,  /* RK_EEXISTS if there */
	ENV_HOLD = 3, /* as ENV_PUT, of a small row that this transaction will likely change again: LMDB gets it at the commit */
};
int env_put(struct txn *, unsigned table, struct bytes key, struct bytes value, enum env_put_flag);
/** Puts room for len bytes that the caller fills before the next call: bulk is copied once, into the page. */
int env_reserve(struct txn *, unsigned table, struct bytes key, size_t len, enum env_put_flag, uint8_t **room);
/** RK_ENOTFOUND if it was not there. */
int env_del(struct txn *, unsigned table, struct bytes key);

/** A cursor lives inside its transaction; env_cursor_free(NULL) is fine. */
int env_cursor_open(struct txn *, unsigned table, struct env_cursor **out);
void env_cursor_free(struct env_cursor *);
/** First key >= `from`; then the following / preceding ones; the last of the table.  RK_ENOTFOUND at the end. */
int env_cursor_seek(struct env_cursor *, struct bytes from, struct bytes *key, struct bytes *value);
int env_cursor_next(struct env_cursor *, struct bytes *key, struct bytes *value);
int env_cursor_prev(struct env_cursor *, struct bytes *key, struct bytes *value);
int env_cursor_last(struct env_cursor *, struct bytes *key, struct bytes *value);
/** Exactly this key: as env_get, but what lies close to the last one is found without a search. */
int env_cursor_find(struct env_cursor *, struct bytes key, struct bytes *value);
/** Deletes the entry at the cursor; the next env_cursor_next gives the one after it. */
int env_cursor_del(struct env_cursor *);

/** Last key that starts with prefix, or RK_ENOTFOUND.  key and value as env_get. */
int env_last_with_prefix(struct txn *, unsigned table, struct bytes prefix, struct bytes *key, struct bytes *value);

struct env_status {
	uint64_t map_bytes, used_bytes;   /* used = pages in use by the last commit x page size */
	uint64_t last_txn;
	uint32_t readers;
	uint64_t oldest_reader_lag;       /* transactions behind */
};
int env_status(struct env *, struct env_status *);
#define ENV_AHEAD_CHUNK_BYTES (256 * 1024)
struct env_ahead {
	uint64_t used_bytes;      /* to the end of the last page */
	uint64_t ahead_bytes;     /* of the file behind that, written already */
	uint64_t last_txn;
};
int env_ahead(struct env *, struct env_ahead *);
/**
 * Appends one chunk of zeros to the file, durably, unless ahead_bytes lie ahead already, the map ends, or the disk has less than reserve_bytes free:
 * then *written is 0.  Waits for the writer, and lets him wait for one copy of a chunk into the page cache; env_ahead.c says why no page can be hit.  For
 * the one process that writes the store, outside its transactions.  An error (RK_EDISKFULL and so on) leaves the store as it was.
 */
int env_ahead_write(struct env *, uint64_t ahead_bytes, uint64_t reserve_bytes, uint64_t *written);
/** Frees slots of dead readers (L10); call each minute. */
int env_check_readers(struct env *);
/** Hot copy into an empty folder, compacted.  A long reader: run it in a process of its own. */
int env_copy(struct env *, const char *folder);

/** Calls fn for every (table, key, value) in order; for dumps and equality tests.  Stops at fn's first non-zero. */
int env_walk(struct env *, int (*fn)(void *, unsigned table, struct bytes key, struct bytes value), void *user);

#endif
