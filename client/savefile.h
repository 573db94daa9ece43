/*
 * savefile: writing what others sent into a folder, without harm: names become harmless base names, nothing is overwritten, and a
 * file is there whole and durable or not at all.
 */
#ifndef RENKEI_CLIENT_SAVEFILE_H
#define RENKEI_CLIENT_SAVEFILE_H

#include "proto/bytes.h"
#include "proto/errcode.h"

#define SAVEFILE_NAME_MAX 256

/** Opens a folder, making its last part (0700) if it is missing.  RK_EIO (errno says), RK_EDISKFULL. */
int savefile_open(const char *folder, int *dir_fd);

/**
 * Could savefile_open and savefile_write use this folder now?  Changes nothing: for those who have something to lose by finding out
 * late.  RK_EIO (errno says).
 */
int savefile_check(const char *folder);

/**
 * A harmless name made of what a sender gave: path separators, a leading dot, control characters and names that lead elsewhere
 * are replaced; never empty.  UTF-8 stays UTF-8.
 */
void savefile_name(char out[SAVEFILE_NAME_MAX], const char *given);

/** True if something of that name is there, of whatever kind. */
bool savefile_exists(int dir_fd, const char *name);

/** Writes a new file (0600): temporary name, fsync, rename without replacing.  RK_EEXISTS, RK_EIO, RK_EDISKFULL. */
int savefile_write(int dir_fd, const char *name, struct bytes content);

/** Gives a whole, durable file of the folder its name.  RK_EEXISTS, RK_EIO, RK_EDISKFULL. */
int savefile_rename_new(int dir_fd, const char *from, const char *to);
/* The same of what does not fit into memory. */
struct savefile {
	int dir_fd, fd;
	char temporary[64]; /* its name until then; empty: it has none, and is gone with the process */
};
int savefile_begin(int dir_fd, struct savefile *);
int savefile_append(struct savefile *, struct bytes);
/** Under its name if code is RK_OK; else nothing of it stays, and code is returned. */
int savefile_finish(struct savefile *, const char *name, int code);
/** Takes back what this run has written. */
void savefile_remove(int dir_fd, const char *name);

/** Makes the names in the folder durable.  RK_EIO. */
int savefile_close(int dir_fd);

#endif
